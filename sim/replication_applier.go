package sim

import (
	"time"

	"github.com/primacydb/primacy/gtid"
)

// applier is the thread that executes what the receiver fetched, in its order.
type applier struct {
	channel *channel
	on      bool
	busy    bool // with the head of the relay log
	errno   int
	stopped []func() // STOP REPLICA SQL_THREAD that waits for the end of a transaction
	newest  time.Duration
	ails    ailments
}

// ailments are what makes an applier late. They outlast processes.
type ailments struct {
	each    time.Duration // added to each transaction
	delay   time.Duration // SOURCE_DELAY
	blocked bool          // a lock is in its way
}

// applyingMax is how many transactions an applier that lags takes in one go.
const applyingMax = 32

// startApplier is START REPLICA SQL_THREAD.
func (s *server) startApplier() error {
	if s.channel == nil {
		return errNotConfigured
	}
	a := &s.channel.applier
	if !a.on {
		a.on, a.errno = true, 0
		a.kick()
	}
	return nil
}

// stopApplier is STOP REPLICA SQL_THREAD. A commit that waits for acknowledgements holds it up.
func (s *server) stopApplier(on *guest, done func(error)) {
	if s.channel == nil {
		done(errNotConfigured)
		return
	}
	a := &s.channel.applier
	if a.busy && a.on && !a.ails.blocked {
		on.doing = stopping
		a.stopped = append(a.stopped, func() { done(nil) })
		return
	}
	a.on = false
	done(nil)
}

// slowApplier makes each transaction take longer; 0 ends it.
func (s *server) slowApplier(each time.Duration) { s.ail(func(a *ailments) { a.each = each }) }

// delayApplier is SOURCE_DELAY.
func (s *server) delayApplier(by time.Duration) { s.ail(func(a *ailments) { a.delay = by }) }

// blockApplier puts a lock in the applier's way, or takes it away.
func (s *server) blockApplier(on bool) { s.ail(func(a *ailments) { a.blocked = on }) }

func (s *server) ail(change func(*ailments)) {
	if s.channel == nil {
		return
	}
	change(&s.channel.applier.ails)
	if s.state == processUp || s.state == processFrozen {
		s.later(0, s.channel.applier.kick)
	}
}

// failApplier stops the applier with an error.
func (s *server) failApplier(errno int) {
	if s.channel != nil {
		s.channel.applier.fail(errno)
	}
}

func (a *applier) fail(errno int) {
	a.on, a.errno = false, errno
	a.channel.server.tell("applier fails", nil)
	a.rest()
}

// kick has the applier look at its relay log.
func (a *applier) kick() {
	c := a.channel
	if !a.on || a.busy || a.ails.blocked || len(c.relay) == 0 {
		return
	}
	a.busy = true
	s, n := c.server, a.portion()
	took := time.Duration(n)*a.ails.each + s.clock.between(time.Duration(n)*20*time.Microsecond, time.Duration(n)*60*time.Microsecond)
	for _, t := range c.relay[:n] {
		took += t.size
	}
	due := c.relay[n-1].committed + a.ails.delay - s.clock.now
	if a.ails.delay == 0 {
		due = 0
	}
	s.onDisk(max(took, due), func() { a.apply(n) })
}

// portion is how many transactions are applied in one go: as many as there are, up to a bound, where each costs the same.
func (a *applier) portion() int {
	s := a.channel.server
	if s.semi.source || a.ails.each > 0 || a.ails.delay > 0 {
		return 1
	}
	return min(len(a.channel.relay), applyingMax)
}

// apply commits the first n transactions of the relay log, one after the other.
func (a *applier) apply(n int) {
	c, s := a.channel, a.channel.server
	switch {
	case s.channel != c || !a.on || n == 0 || len(c.relay) == 0 || a.ails.blocked || len(a.stopped) > 0:
		a.rest()
		return
	case len(s.closings) > 0:
		s.blocked = append(s.blocked, &blocked{func() { a.apply(n) }})
		return
	}
	t := c.relay[0]
	next := func(error) {
		a.newest = t.committed
		c.relay = c.relay[1:]
		a.apply(n - 1)
	}
	switch err := s.conflict(t); {
	case s.done.has(t.gtid):
		next(nil)
	case s.owned(t.gtid.UUID) && s.waits(t.gtid):
		s.awaited = append(s.awaited, &awaited{set: gtid.Of(t.gtid), done: func(error) { a.apply(n) }})
	case err != nil:
		a.fail(int(err.(mysqlError)))
	default:
		s.inFlight++
		s.flush(&commit{transaction: t, applied: true, done: next})
	}
}

// rest is the end of a portion.
func (a *applier) rest() {
	a.busy = false
	if len(a.stopped) > 0 {
		a.on = false
		waiting := a.stopped
		a.stopped = nil
		for _, tell := range waiting {
			tell()
		}
	}
	if a.channel.server.channel == a.channel {
		a.kick()
	}
}
