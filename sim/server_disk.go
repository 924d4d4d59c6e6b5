package sim

import "time"

// disk is what a server writes to. What it holds survives restarts, and so does what ails it.
type disk struct {
	stalled, full bool
	slower        time.Duration
	queue         []func() // what waits for it
}

func (d *disk) stuck() bool { return d.stalled || d.full }

// onDisk does something once the disk has taken d to write; when the disk is stuck by then, once it goes on.
func (s *server) onDisk(d time.Duration, do func()) {
	if s.disk.stuck() {
		s.disk.queue = append(s.disk.queue, do)
		return
	}
	s.later(d+s.disk.slower, do).event.disk = true
}

// inTurnOnDisk is inTurn for what the disk has to be well for.
func (s *server) inTurnOnDisk(life int, do func()) {
	if s.life == life && s.state == processFrozen {
		s.waiting = append(s.waiting, func() { s.onceWritten(do) })
	} else if s.life == life {
		s.onceWritten(do)
	}
}

func (s *server) onceWritten(do func()) {
	if s.disk.stuck() {
		s.disk.queue = append(s.disk.queue, do)
		return
	}
	do()
}

// syncTime draws how long a write to the disk takes that is synced.
func (s *server) syncTime() time.Duration {
	return s.clock.between(100*time.Microsecond, 600*time.Microsecond)
}

// stallDisk makes whatever needs the disk hang.
func (s *server) stallDisk() { s.disk.stalled = true; s.tell("disk stalls", nil) }

// fillDisk makes commits wait for space.
func (s *server) fillDisk() { s.disk.full = true; s.tell("disk full", nil) }

// slowDisk makes each write take longer; 0 ends it.
func (s *server) slowDisk(by time.Duration) { s.disk.slower = by }

// healDisk ends stall, want of space and slowness; what waited goes on in its order.
func (s *server) healDisk() {
	s.disk.stalled, s.disk.full, s.disk.slower = false, false, 0
	queue := s.disk.queue
	s.disk.queue = nil
	var at time.Duration
	for _, do := range queue {
		at += s.clock.between(0, 200*time.Microsecond)
		s.onDisk(at, do)
	}
	s.tell("disk works", nil)
}
