package sim

import (
	"time"

	"github.com/primacydb/primacy/gtid"
)

// applier is the thread that executes what the receiver fetched, in its order.
type applier struct {
	channel *channel
	on      bool
	busy    bool   // with the head of the relay log
	portion int    // what is left of the transactions that it applies in one go
	due     func() // the end of the time that they take
	errno   int
	stopped []func() // STOP REPLICA SQL_THREAD that waits for the end of a transaction
	lock    *rowWait // for a row; nil while it waits for none
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

// stopApplier is STOP REPLICA SQL_THREAD. A commit that waits for acknowledgements holds it up, and so does a wait for a row.
func (s *server) stopApplier(on *guest, done func(error)) {
	if s.channel == nil {
		done(nil)
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
	if !a.on || a.busy || a.ails.blocked || c.relay.len() == 0 {
		return
	}
	s := c.server
	if a.due == nil {
		life := s.life
		apply := a.apply
		a.due = func() { s.inTurn(life, apply) }
	}
	a.busy, a.portion = true, a.portionNow()
	s.clock.after(a.takes(), a.due)
}

// takes draws how long the portion takes, and when it may end.
func (a *applier) takes() time.Duration {
	c, s, n := a.channel, a.channel.server, time.Duration(a.portion)
	took := n*a.ails.each + s.clock.between(n*150*time.Microsecond, n*400*time.Microsecond) + s.disk.slower
	for _, t := range c.relay.all()[:a.portion] {
		took += t.size
	}
	if a.ails.delay > 0 {
		took = max(took, a.ails.delay-s.age(c.relay.all()[a.portion-1]))
	}
	return took
}

// age is how long ago a transaction was written, by the clock of the server that wrote it: a replica knows by how much its own
// is off. One whose writer has lost its data, and is another server since, is as old as it needs to be.
func (s *server) age(t *transaction) time.Duration {
	for _, x := range s.hosts.all {
		if x.serverID == t.origin {
			return x.wall() - t.committed
		}
	}
	return 24 * time.Hour
}

// portionNow is how many transactions are applied in one go: as many as there are, up to a bound, where each costs the
// same.
func (a *applier) portionNow() int {
	if a.channel.server.semi.source || a.ails.each > 0 || a.ails.delay > 0 {
		return 1
	}
	return min(a.channel.relay.len(), applyingMax)
}

// apply commits the portion, one transaction after the other, until one has to wait.
func (a *applier) apply() {
	c, s := a.channel, a.channel.server
	for a.portion > 0 {
		switch {
		case s.channel != c || !a.on || c.relay.len() == 0 || a.ails.blocked || len(a.stopped) > 0:
			a.rest()
			return
		case s.disk.stuck():
			s.disk.queue = append(s.disk.queue, a.apply)
			return
		case len(s.closings) > 0:
			s.blocked = append(s.blocked, &blocked{a.apply})
			return
		case !a.commit(c.relay.all()[0]):
			return
		}
	}
	a.rest()
}

// commit applies one transaction; false when the applier cannot go on at once.
func (a *applier) commit(t *transaction) bool {
	s := a.channel.server
	if s.done.has(t.gtid) {
		a.advance(t)
		return true
	}
	if err := s.conflict(t); err != nil {
		a.fail(int(errnoOf(err)))
		return false
	}
	switch {
	case len(s.commits) > 0 && s.waits(t.gtid):
		s.awaited = append(s.awaited, &awaited{set: gtid.Of(t.gtid), done: func(error) { a.apply() }})
	case s.locked(t):
		a.lock = s.awaitRow(t.row, a.gotNoLock)
	case s.semi.source && s.semi.active || len(s.commits) > 0:
		c := &commit{transaction: t, applied: true, done: func(error) { a.advance(t); a.apply() }}
		s.enlist(c)
		s.flush(c)
	default:
		s.log.entries = append(s.log.entries, t)
		s.unacknowledged()
		s.engine(t)
		a.advance(t)
		s.executedMore()
		s.pump()
		return true
	}
	return false
}

// gotNoLock is the end of a wait for a row: another transaction has inserted it. It tries so often when it has waited too
// long that the limit of one try says nothing.
func (a *applier) gotNoLock(error) {
	a.lock = nil
	a.fail(int(errDuplicateRow))
}

// advance is the end of a transaction.
func (a *applier) advance(t *transaction) {
	a.newest, a.portion = t.committed, a.portion-1
	a.channel.relay.pop()
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
