package sim

import (
	"errors"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Commands to servers as primaries: the statements of mysqld, in the same order and behind the same guards.

// undoTime is how much longer than its deadline a command may take that has to undo itself.
const undoTime = time.Second

// switches are the three variables that decide who can write.
type switches struct{ readOnly, superReadOnly, offline bool }

func switchesOf(s *server) switches { return switches{s.readOnly, s.superReadOnly, s.offline} }

func (a *act) switches(ctx *patience) (now switches, err error) {
	err = a.query(ctx, func(s *server) { now = switchesOf(s) })
	return now, err
}

// closed tells whether nobody can write: super_read_only alone closes nothing.
func (w switches) closed() bool { return w.readOnly && w.superReadOnly }

// demote closes the server for writes, or leaves it as it was. The proof is the return of the statements, never the
// variables, of which super_read_only reads 1 while its statement still waits.
func (a *act) demote(ctx *patience) (topology.Observation, error) {
	before, err := a.switches(ctx)
	if err != nil {
		return topology.Observation{}, err
	}
	before.superReadOnly = before.closed() // where it stands alone there is nothing to be put back
	if a.command.Offline && !before.offline {
		if err := a.change(ctx, offlineOn); err != nil {
			return topology.Observation{}, err
		}
	}
	if err := a.closeForWrites(ctx); err != nil {
		return topology.Observation{}, a.undone(before, err)
	}
	o, err := a.observe(ctx)
	if err != nil {
		return o, err
	}
	if err := a.demoted(o); err != nil {
		return o, a.undone(before, err)
	}
	return o, nil
}

// demoted tells why a server does not count as demoted although the statements have returned.
func (a *act) demoted(o topology.Observation) error {
	switch {
	case !o.Closed():
		return refuse(reparent.ReasonRefused, "%s was opened again at once", a.server)
	case o.SemiSync.Waiters > 0:
		return refuse(reparent.ReasonWaiters, "%d commits wait for acknowledgements on %s behind super_read_only", o.SemiSync.Waiters, a.server)
	}
	return nil
}

func offlineOn(s *server) error { s.setOffline(true); return nil }

// closeForWrites runs closeStatement until the command's deadline. It ends with nil only when the
// server has said that it is in force; after a refusal nothing of it is under way any more.
func (a *act) closeForWrites(ctx *patience) error {
	side, err := a.aside(ctx, dutyClose)
	if err != nil {
		return err
	}
	beyond := a.fleet.clock.patient(nil, ctx.remaining()+undoTime)
	err = side.closeBefore(ctx, beyond)
	beyond.over()
	side.close()
	return err
}

func (s *aside) closeBefore(ctx, beyond *patience) error {
	ended := s.start(beyond, closeStatement(ctx))
	if err, over := ended.await(ctx.life, -1); over {
		return s.settle(ctx, err)
	}
	return s.giveUp(beyond, ended)
}

// closeStatement is SET SESSION lock_wait_timeout, SET GLOBAL super_read_only = ON and SET GLOBAL read_only = ON, which
// closes a server whatever its switches were. The server gives up by itself when we die meanwhile.
func closeStatement(ctx *patience) statement {
	return closeWithin(max(time.Second, (ctx.remaining() + time.Second - 1).Truncate(time.Second)))
}

func closeWithin(lockWait time.Duration) statement {
	return func(on *guest, done func(error)) { on.server.closeUp(on, lockWait, done) }
}

// lockWaitDefault is lock_wait_timeout where no session sets it: a year.
const lockWaitDefault = 365 * 24 * time.Hour

// giveUp ends a statement whose time is over, and tells how it ended: it may have made it after all.
func (s *aside) giveUp(beyond *patience, ended *promise[error]) error {
	if err := s.cancel(beyond); err != nil {
		return doubtful(reparent.ReasonDeadline, "super_read_only on %s did not take effect in time, and cancelling it failed: %v", s.server, err)
	}
	err := s.fleet.await(beyond, s.link, ended)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errQueryInterrupted), errors.Is(err, errLockWaitTimeout):
		return refuse(reparent.ReasonDeadline, "super_read_only on %s did not take effect in time and was cancelled: something keeps a commit or a statement open", s.server)
	default:
		return doubtful(reparent.ReasonDeadline, "super_read_only on %s was cancelled and its end is not known: %v", s.server, err)
	}
}

// undone puts the switches back after a demotion that failed. The failure stays a No only when reading them back shows
// that they are.
func (a *act) undone(before switches, failure error) error {
	ctx := a.fleet.clock.patient(nil, undoTime)
	defer ctx.over()
	if before != (switches{true, true, true}) {
		if err := a.change(ctx, before.restore); err != nil {
			return doubtful(reasonOf(failure), "%v; undoing it failed: %v", failure, err)
		}
	}
	after, err := a.switches(ctx)
	if err != nil || after != before {
		return doubtful(reasonOf(failure), "%v; undoing it could not be verified: %v", failure, err)
	}
	return failure
}

// restore switches off what was off.
func (w switches) restore(s *server) error {
	if !w.superReadOnly {
		s.setSuperReadOnlyOff()
	}
	if !w.readOnly {
		s.setReadOnlyOff()
	}
	if !w.offline {
		s.setOffline(false)
	}
	return nil
}

// openFor is what open and reopen have in common. Switching read_only off switches super_read_only off.
func (a *act) openFor(ctx *patience, guards []guard) (topology.Observation, error) {
	if err := a.meant(ctx); err != nil {
		return topology.Observation{}, err
	}
	sent := a.fleet.clock.now
	openUp := func(s *server) error {
		if s.hosts.opening != nil {
			s.hosts.opening(s, sent)
		}
		s.setReadOnlyOff()
		s.setOffline(false)
		return nil
	}
	if err := a.changeUnless(ctx, guards, openUp); err != nil {
		return topology.Observation{}, err
	}
	o, err := a.observe(ctx)
	if err == nil && !o.Writable() {
		err = refuse(reparent.ReasonRefused, "%s was closed again at once", a.server)
	}
	return o, err
}

// meant refuses to open another process than the command is for.
func (a *act) meant(ctx *patience) error {
	if a.command.Incarnation == "" {
		return nil
	}
	born, err := a.incarnation(ctx)
	if err == nil && born != a.command.Incarnation {
		err = refuse(reparent.ReasonRefused, "%s is not the process that this is for: it has restarted since", a.server)
	}
	return err
}

func (a *act) reopen(ctx *patience) (topology.Observation, error) { return a.openFor(ctx, nil) }

// open lets everybody write. Where the policy asks for acknowledgements, the server checks in the same round trip that
// its commits will wait for them.
func (a *act) open(ctx *patience) (topology.Observation, error) {
	var guards []guard
	if a.command.Acks > 0 {
		guards = append(guards, unacknowledged(a.command.Acks))
	}
	return a.openFor(ctx, guards)
}

// fenceOff closes a primary of an earlier term in the only order in which no client hears an OK for a commit that
// nobody acknowledged: cut the clients, stop new commits, and only then let those that wait complete.
func (a *act) fenceOff(ctx *patience) (topology.Observation, error) {
	if err := a.change(ctx, offlineOn); err != nil {
		return topology.Observation{}, err
	}
	side, err := a.aside(ctx, dutyClose)
	if err != nil {
		return topology.Observation{}, err
	}
	ended := side.start(ctx, closeStatement(ctx))
	if err := a.drain(ctx, side, ended); err != nil {
		_ = side.cancel(ctx) // else writes hang behind it until the server gives it up
		side.close()
		return topology.Observation{}, err
	}
	err = a.sourceOff(ctx)
	side.close()
	if err != nil {
		return topology.Observation{}, err
	}
	return a.fencedOff(ctx)
}

// drain waits until super_read_only is in force. While it waits itself, behind commits that wait for acknowledgements,
// no new commit can begin; then those are let go.
func (a *act) drain(ctx *patience, side *aside, ended *promise[error]) error {
	clock, cut := a.fleet.clock, killed{}
	for tick := clock.now + drainEvery; ; tick = nextTick(tick, clock.now, drainEvery) {
		err, over := ended.await(ctx.life, tick-clock.now)
		switch {
		case over:
			return side.settle(ctx, err)
		case ctx.Err() != nil:
			return ctx.Err()
		}
		held, err := a.cutWaiters(ctx, side, &cut)
		if err == nil && held {
			err = a.sourceOff(ctx)
		}
		if err != nil {
			return err
		}
	}
}

const drainEvery = 5 * time.Millisecond

// cutWaiters tells whether super_read_only waits behind commits of which no client will hear. offline_mode spares
// accounts with CONNECTION_ADMIN, also with a transaction that is still open: once super_read_only waits they can begin
// nothing new, so whoever is left of them is ended here. Our own account is spared, bar an elector that waits with a
// marker.
func (a *act) cutWaiters(ctx *patience, side *aside, cut *killed) (held bool, err error) {
	var left []leftover
	closing, waiters := false, 0
	err = a.query(ctx, func(s *server) {
		for _, g := range s.sessions() {
			l := leftover{id: g.id, who: g.who, commits: g.doing == waitingForAck || g.doing == committing}
			closing = closing || g == side.link.guest && g.doing != idle
			if l.commits {
				waiters++
			}
			if !cut.has(l.id) && (l.commits || l.who != accountPrimacy) {
				left = append(left, l)
			}
		}
		for _, c := range s.commits { // of what an applier commits no client hears
			if c.guest == nil {
				waiters++
			}
		}
	})
	if err != nil || !closing || waiters == 0 {
		return false, err
	}
	for _, l := range left {
		if err := a.cutSession(ctx, l, cut); err != nil {
			return false, err
		}
	}
	return len(left) == 0, nil // a look that found nobody new
}

// leftover is a session that is still connected.
type leftover struct {
	id      int64
	who     account
	commits bool
}

// cutSession ends one session. Accounts with SYSTEM_USER are out of our reach: they are spared as long as they have
// nothing to commit, and stop the fencing when they have.
func (a *act) cutSession(ctx *patience, l leftover, cut *killed) error {
	err := a.end(ctx, a.link, []rival{{id: l.id}}, cut)
	if !errors.Is(err, errNotOwnerOfThread) {
		return err
	}
	if l.commits {
		return refuse(reparent.ReasonWaiters, "session %d on %s has a commit that nobody acknowledged; it has the privilege SYSTEM_USER, "+
			"so only such an account can end it: KILL %d", l.id, a.server, l.id)
	}
	*cut = append(*cut, l.id)
	return nil
}

// sourceOff switches the source side off where it is on. It takes up to a second.
func (a *act) sourceOff(ctx *patience) error {
	now, err := a.source(ctx)
	if err != nil || !now.SourceEnabled {
		return err
	}
	return a.changeSlowly(ctx, nil, disablesSource)
}

// disablesSource takes about a second when the source side is on, in which the server reads no variable for anybody.
func disablesSource(on *guest, done func(error)) {
	if s := on.server; s.semi.source {
		done = s.switchSource(done)
	}
	on.server.disableSource(on, done)
}

// fencedOff reads the proof back.
func (a *act) fencedOff(ctx *patience) (topology.Observation, error) {
	o, err := a.observe(ctx)
	if err == nil && (!closed(o) || !o.OfflineMode || o.SemiSync.Waiters > 0) {
		err = refuse(reparent.ReasonRefused, "%s was changed by somebody else while it was fenced", a.server)
	}
	return o, err
}
