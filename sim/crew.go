package sim

import "iter"

// Crew lives one lifetime after the other, and keeps between them what each needs: coroutines whose stacks have grown, and
// memory. The zero value is one; it is for one goroutine at a time.
type Crew struct {
	idle  []*strand
	slabs slabs
}

// Live simulates one lifetime. The same seed and options give the same one, on any machine and with any crew.
func (c *Crew) Live(seed uint64, o Options) Report {
	w := newWorldOn(newClockOf(c, seed), seed, o)
	w.live()
	w.report.Missed = w.missed()
	c.slabs.reuse()
	return w.report
}

// Dismiss ends what the crew keeps. It may live on afterwards.
func (c *Crew) Dismiss() {
	for _, s := range c.idle {
		s.stop()
	}
	c.idle, c.slabs = nil, slabs{}
}

// strand is a coroutine. It runs one task after the other, since its stack has grown to what tasks need by then, which
// costs more than most of them do.
type strand struct {
	task  *task
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
}

// strand is one for a task that begins.
func (c *Crew) strand(t *task) *strand {
	if last := len(c.idle) - 1; last >= 0 {
		s := c.idle[last]
		c.idle = c.idle[:last]
		s.task = t
		return s
	}
	s := &strand{task: t}
	s.next, s.stop = iter.Pull(func(yield func(struct{}) bool) {
		s.yield = yield
		makeRoom()
		for s.run(); yield(struct{}{}); s.run() {
		}
	})
	return s
}

// makeRoom lets a new stack grow once, while next to nothing lies on it, to what most tasks need. By itself it would double
// several times, and each time all that lies on it is moved.
//
//go:noinline
func makeRoom() (last byte) {
	var room [12 << 10]byte
	return room[len(room)-1]
}

// run is a task from its beginning to its end, or until it is killed.
func (s *strand) run() {
	t := s.task
	defer func() {
		t.ended = true
		if r := recover(); r != nil {
			if _, killed := r.(unwound); !killed {
				panic(r)
			}
		}
	}()
	t.work()
}

// release takes a strand back whose task is over.
func (c *Crew) release(s *strand) {
	s.task = nil
	c.idle = append(c.idle, s)
}
