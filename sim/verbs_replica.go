package sim

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Commands to servers as replicas: the statements of mysqld, in the same order and behind the same guards.

// freeze persists the promise first: a revoked replica that restarts would otherwise connect to the old primary again
// and acknowledge. The receiver is stopped also while it is only "connecting".
func (a *act) freeze(ctx *patience) (topology.Observation, error) {
	if !a.command.Passing {
		if err := a.promiseToStayStopped(ctx); err != nil {
			return topology.Observation{}, err
		}
	}
	before, err := a.receiver(ctx)
	if err != nil {
		return topology.Observation{}, err
	}
	if before.exists {
		if err := a.runAside(ctx, dutyStop, stopsReceiver); err != nil {
			return topology.Observation{}, err
		}
	}
	return a.standsStill(ctx)
}

// standsStill reads twice that the receiver is off and that the received set does not grow.
func (a *act) standsStill(ctx *patience) (topology.Observation, error) {
	first, err := a.receiver(ctx)
	if err != nil {
		return topology.Observation{}, err
	}
	o, err := a.observe(ctx)
	switch {
	case err != nil:
		return o, err
	case o.Replication != nil && (first.state != topology.ThreadOff || o.Replication.Receiver != topology.ThreadOff):
		return o, refuse(reparent.ReasonRefused, "the receiver of %s runs again after STOP REPLICA: something else starts it", a.server)
	case !first.received.Equal(o.Received):
		return o, doubtful(reparent.ReasonRefused, "%s still receives although its receiver is off", a.server)
	}
	return o, nil
}

// promiseToStayStopped makes the next start of the process leave replication off.
func (a *act) promiseToStayStopped(ctx *patience) error {
	promised := false
	err := a.query(ctx, func(s *server) { promised = !s.startsAlone() })
	if err != nil || promised {
		return err
	}
	return a.changeSlowly(ctx, nil, func(on *guest, done func(error)) { on.server.persistSkipReplicaStart(on, true, done) })
}

// receiver is a small reading of the receiver alone.
type receiverSight struct {
	exists   bool
	state    topology.Thread
	received gtid.Set
}

func (a *act) receiver(ctx *patience) (r receiverSight, err error) {
	err = a.query(ctx, func(s *server) {
		if s.channel != nil {
			state, _ := s.receiver()
			r = receiverSight{true, state, s.received()}
		}
	})
	return r, err
}

// The statements that start and stop replication.
func stopsReceiver(on *guest, done func(error)) {
	on.doing = stopping
	on.inChannelTurn(done, func(done func(error)) { on.server.stopReceiver(on, done) })
}

func startsReceiver(on *guest, done func(error)) {
	on.inChannelTurn(done, func(done func(error)) { on.takes(10, 20, on.server.startReceiver(), done) })
}

func startsApplier(on *guest, done func(error)) {
	on.inChannelTurn(done, func(done func(error)) { done(on.server.startApplier()) })
}

func startsReplica(on *guest, done func(error)) {
	on.inChannelTurn(done, func(done func(error)) {
		err := on.server.startReceiver()
		if err == nil {
			err = on.server.startApplier()
		}
		on.takes(10, 20, err, done)
	})
}

// channelTurn is whose statement about the channel runs: they run one at a time, and one that hangs holds up all others.
type channelTurn struct {
	taken bool
	queue []func()
}

// inChannelTurn carries a statement about the channel out when its turn has come. Nothing ends it before.
func (g *guest) inChannelTurn(done func(error), do func(done func(error))) {
	s, life := g.server, g.server.life
	begin := func() {
		do(func(err error) {
			if s.life == life {
				s.turn.next()
			}
			done(err)
		})
	}
	if s.turn.taken {
		s.turn.queue = append(s.turn.queue, begin)
		return
	}
	s.turn.taken = true
	begin()
}

// next hands the turn on.
func (t *channelTurn) next() {
	if t.taken = len(t.queue) > 0; !t.taken {
		return
	}
	begin := t.queue[0]
	t.queue = t.queue[1:]
	begin()
}

// takes tells how a statement ended, so many milliseconds after it took effect.
func (g *guest) takes(least, most time.Duration, err error, done func(error)) {
	s := g.server
	s.later(s.clock.between(least*time.Millisecond, most*time.Millisecond), func() { done(err) })
}

// resume starts what freeze stopped. The applier was not stopped; it is started only where the process came up without
// replication, which is what a restart of a frozen server looks like.
func (a *act) resume(ctx *patience) (topology.Observation, error) {
	before, err := a.observe(ctx)
	if err == nil && before.Replication != nil && before.Replication.Receiver != topology.ThreadOff {
		before, err = a.undisturbed(ctx)
	}
	switch {
	case err != nil:
		return before, err
	case before.Replication == nil:
		return before, refuse(reparent.ReasonRefused, "%s has no source to resume from", a.server)
	case before.Replication.Receiver != topology.ThreadOff:
		return before, a.errant(before, a.receivedFrom(before))
	}
	if err := a.errant(before, gtid.Set{}); err != nil {
		return before, err
	}
	start, err := a.resumption(ctx, before.Replication)
	if err != nil {
		return before, err
	}
	if err := a.changeSlowly(ctx, append(a.strayed(), stopUnderWay), start); err != nil {
		return before, err
	}
	return a.receiverStarted(ctx)
}

// undisturbed is a reading of a server on which no STOP REPLICA of ours is left. One that hangs behind a connect ends a
// receiver that still shows as running, and a start would hang behind it in a session that keeps newer electors out.
func (a *act) undisturbed(ctx *patience) (topology.Observation, error) {
	if left, err := a.stopsLeft(ctx); err != nil || left {
		return topology.Observation{}, cmp.Or(err, refuse(reparent.ReasonRefused, "a STOP REPLICA of ours has not returned on %s", a.server))
	}
	return a.observe(ctx)
}

func (a *act) stopsLeft(ctx *patience) (left bool, err error) {
	err = a.query(ctx, func(s *server) {
		left = slices.ContainsFunc(s.sessions(), func(g *guest) bool { return g.says.cluster == a.cluster && g.says.duty == dutyStop })
	})
	return left, err
}

// resumption asks how this process was started, which is not what is persisted for the next one.
func (a *act) resumption(ctx *patience, r *topology.Replication) (statement, error) {
	skipped := false
	if err := a.query(ctx, func(s *server) { skipped = s.skipReplicaStart }); err != nil {
		return nil, err
	}
	if r.Applier == topology.ThreadOff && r.ApplierErrno == 0 && skipped {
		return startsReplica, nil
	}
	return startsReceiver, nil
}

func (a *act) receiverStarted(ctx *patience) (topology.Observation, error) {
	o, err := a.observe(ctx)
	switch {
	case err != nil:
		return o, err
	case o.Replication == nil:
		return o, refuse(reparent.ReasonRefused, "%s lost its channel meanwhile", a.server)
	case o.Replication.Receiver == topology.ThreadOff:
		return o, refuse(reparent.ReasonError, "the receiver of %s stopped at once: error %d", a.server, o.Replication.ReceiverErrno)
	}
	return o, nil
}

// errant refuses a position that is not within what the command allows. besides holds what came from the source since
// the check that was made before the start.
func (a *act) errant(o topology.Observation, besides gtid.Set) error {
	if a.command.Within.IsEmpty() {
		return nil
	}
	if stray := o.Position().Subtract(a.command.Within).Subtract(besides); !stray.IsEmpty() {
		return refuse(reparent.ReasonErrant, "%s holds what the chosen history does not: %s", a.server, stray)
	}
	return nil
}

// receivedFrom is the part of a position that a running receiver may have added since the check before its start: its
// source's own transactions, and the markers of this term.
func (a *act) receivedFrom(o topology.Observation) gtid.Set {
	return o.Position().Only(func(s gtid.Source) bool {
		m, isMarker := topology.MarkerOf(s.UUID)
		return s.UUID == o.Replication.SourceUUID || isMarker && m.Term >= a.term
	})
}

// strayed is the errant check made by the server itself, in the round trip that starts the receiver.
func (a *act) strayed() []guard {
	if a.command.Within.IsEmpty() {
		return nil
	}
	within := a.command.Within
	return []guard{{
		broken: func(s *server) bool { return !within.Contains(s.executed()) || !within.Contains(s.received()) },
		reason: reparent.ReasonErrant,
		detail: "it holds what the chosen history does not",
	}}
}

// unapplied guards statements that would throw relay logs away.
var unapplied = guard{
	broken: (*server).unapplied,
	reason: reparent.ReasonUnapplied,
	detail: "it has received transactions that are not applied, and they would be lost",
}

// unappliedAndStopped allows what unapplied forbids while the applier runs, for then relay logs are kept.
var unappliedAndStopped = guard{
	broken: func(s *server) bool { return s.unapplied() && !applies(s) },
	reason: unapplied.reason,
	detail: unapplied.detail + ": the applier does not run",
}

// stopUnderWay keeps a statement from queueing behind a STOP REPLICA of anybody's that has not returned.
var stopUnderWay = guard{
	broken: func(s *server) bool {
		return slices.ContainsFunc(s.guests, func(g *guest) bool { return g.doing == stopping })
	},
	reason: reparent.ReasonRefused,
	detail: "a STOP REPLICA has not returned there",
}

func applies(s *server) bool {
	state, _ := s.applier()
	return state == topology.ThreadOn
}

// follow makes the server a replica of the command's source. Whatever takes long comes after the start.
func (a *act) follow(ctx *patience) (topology.Observation, error) {
	before, err := a.observe(ctx)
	if err != nil {
		return before, err
	}
	if err := a.mayFollow(before); err != nil {
		return before, err
	}
	if before, err = a.closeReplica(ctx, before); err != nil {
		return before, err
	}
	if before, err = a.hushed(ctx, before); err != nil {
		return before, err
	}
	if a.isFollowing(before) {
		return a.tidyReplica(ctx, before)
	}
	stopped, err := a.stopReceiver(ctx, before)
	if err != nil {
		return stopped, err
	}
	if err := a.acknowledges(ctx, stopped); err != nil {
		return stopped, err
	}
	if err := a.repoint(ctx, stopped); err != nil {
		return stopped, err
	}
	if err := a.changeSlowly(ctx, append(a.strayed(), unfollowable, stopUnderWay), startsReplica); err != nil {
		return stopped, err
	}
	started, err := a.receiverStarted(ctx)
	if err != nil {
		return started, err
	}
	return a.tidyReplica(ctx, started)
}

// unfollowable keeps a writable server from replicating.
var unfollowable = guard{
	broken: func(s *server) bool { return !switchesOf(s).closed() },
	reason: reparent.ReasonRefused,
	detail: "it was opened for writes meanwhile",
}

func (a *act) mayFollow(o topology.Observation) error {
	switch {
	case a.command.Source == a.server:
		return refuse(reparent.ReasonRefused, "%s cannot follow itself", a.server)
	case o.SemiSync.Waiters > 0 && !closed(o):
		return refuse(reparent.ReasonWaiters, "%d commits on %s wait for acknowledgements; fence it first", o.SemiSync.Waiters, a.server)
	case a.isFollowing(o):
		return a.errant(o, a.receivedFrom(o))
	}
	return a.errant(o, gtid.Set{})
}

// closed tells whether super_read_only is in force: the variables alone may belong to a SET that still waits.
func closed(o topology.Observation) bool { return o.Closed() && !o.Stall.ReadOnlyWait }

func (a *act) closeReplica(ctx *patience, o topology.Observation) (topology.Observation, error) {
	if closed(o) {
		return o, nil
	}
	if err := a.closeForWrites(ctx); err != nil {
		return o, err
	}
	o, err := a.observe(ctx)
	if err == nil && !o.Closed() {
		err = refuse(reparent.ReasonRefused, "%s was opened again at once", a.server)
	}
	return o, err
}

// isFollowing tells whether there is nothing left to do but to tidy up. A receiver that is only connecting is
// restarted, since it may sit out a long retry period or hold old credentials.
func (a *act) isFollowing(o topology.Observation) bool {
	r := o.Replication
	return r != nil && r.Source == a.command.Source && r.Receiver == topology.ThreadOn && r.Applier == topology.ThreadOn &&
		o.SemiSync.ReplicaEnabled == a.command.Acker
}

// stopReceiver makes the position stand still, and checks it as it then is.
func (a *act) stopReceiver(ctx *patience, o topology.Observation) (topology.Observation, error) {
	if o.Replication == nil || o.Replication.Receiver == topology.ThreadOff {
		return o, nil
	}
	if err := a.runAside(ctx, dutyStop, stopsReceiver); err != nil {
		return o, err
	}
	stopped, err := a.standsStill(ctx)
	if err != nil {
		return stopped, err
	}
	return stopped, a.errant(stopped, gtid.Set{})
}

// hushed keeps a server that must not acknowledge from doing so after a restart, unseen by anybody: one that does not start
// its receiver by itself waits for somebody who says to whom it is to connect, and how.
func (a *act) hushed(ctx *patience, o topology.Observation) (topology.Observation, error) {
	if a.command.Acker || !o.AcksAlone() {
		return o, nil
	}
	if err := a.promiseToStayStopped(ctx); err != nil {
		return o, err
	}
	a.note = "it follows; skip_replica_start is persisted, for after a restart it could have acknowledged by itself"
	return a.observe(ctx)
}

// acknowledges sets the replica side of semi-sync, which a receiver reads when it starts.
func (a *act) acknowledges(ctx *patience, o topology.Observation) error {
	if o.SemiSync.ReplicaEnabled == a.command.Acker {
		return nil
	}
	acker := a.command.Acker
	return a.change(ctx, func(s *server) error { s.setReplicaSide(acker); return nil })
}

// repoint changes the source so that what was received and is not applied survives: with the applier running, and
// without a word about auto-position, which the channel keeps.
func (a *act) repoint(ctx *patience, o topology.Observation) error {
	switch r := o.Replication; {
	case r == nil:
		return a.changeSource(ctx, true)
	case !r.AutoPosition:
		return a.adoptAutoPosition(ctx)
	case r.Applier == topology.ThreadOff && r.ApplierErrno != 0 && !o.Unapplied().IsEmpty():
		if r.Source == a.command.Source { // it may at least receive, and acknowledge or not, as it is told
			return nil
		}
		return refuse(reparent.ReasonUnapplied, "%s: %s: its applier stopped with error %d", a.server, unapplied.detail, r.ApplierErrno)
	case r.Applier == topology.ThreadOff && !o.Unapplied().IsEmpty():
		if err := a.changeSlowly(ctx, []guard{stopUnderWay}, startsApplier); err != nil {
			return err
		}
	}
	return a.changeSource(ctx, false)
}

// adoptAutoPosition is for a channel that somebody else set up by file and position. Auto-position needs both threads
// stopped, and so everything applied.
func (a *act) adoptAutoPosition(ctx *patience) error {
	if err := a.changeSlowly(ctx, []guard{unapplied}, stopsApplier); err != nil {
		return err
	}
	return a.changeSource(ctx, true)
}

func stopsApplier(on *guest, done func(error)) {
	on.doing = stopping
	on.inChannelTurn(done, func(done func(error)) { on.server.stopApplier(on, done) })
}

// changeSource names auto-position only for a channel that is new.
func (a *act) changeSource(ctx *patience, autoPosition bool) error {
	source := a.command.Source
	err := a.changeSlowly(ctx, []guard{stopUnderWay, unappliedAndStopped}, changesSource(source, autoPosition))
	if errno := errnoOf(err); errno != 0 && errno != errAccessDenied {
		return refuse(reparent.ReasonError, "CHANGE REPLICATION SOURCE on %s: error %d", a.server, errno)
	}
	return err
}

func changesSource(source topology.Address, autoPosition bool) statement {
	return func(on *guest, done func(error)) {
		on.inChannelTurn(done, func(done func(error)) { on.takes(6, 14, on.server.changeSource(source, autoPosition), done) })
	}
}

// tidyReplica ends what a former primary brings along. The applier of a server whose source side is on would wait for
// acknowledgements that never come; switching it off takes up to a second, so it comes after the start, when the server
// acknowledges already. Nothing but the applier can be waiting: the server was closed with no waiters before.
func (a *act) tidyReplica(ctx *patience, o topology.Observation) (topology.Observation, error) {
	sourcing, offline := o.SemiSync.SourceEnabled, o.OfflineMode
	if !sourcing && !offline {
		return o, nil
	}
	err := a.changeSlowly(ctx, nil, func(on *guest, done func(error)) {
		if !sourcing {
			on.server.setOffline(false)
			done(nil)
			return
		}
		disablesSource(on, func(err error) {
			if err == nil && offline {
				on.server.setOffline(false)
			}
			done(err)
		})
	})
	if err != nil {
		return o, err
	}
	a.note = "it follows; it was still set up as a primary"
	return a.observe(ctx)
}

// awaitApplied waits in slices, so that an applier that does not run is noticed. One that stands still without an error, as
// after a restart, is started, and whoever stops it again meanwhile is let have it so.
func (a *act) awaitApplied(ctx *patience) (topology.Observation, error) {
	started := false
	for {
		applied, err := a.awaitSet(ctx, a.command.Set)
		if err != nil || applied {
			return topology.Observation{}, err
		}
		if started, err = a.stillApplies(ctx, started); err != nil {
			return topology.Observation{}, err
		}
	}
}

// awaitSet waits on the server for a set to be executed, for one slice.
func (a *act) awaitSet(ctx *patience, set gtid.Set) (executed bool, err error) {
	atMost := slice(ctx)
	err = a.exec(ctx, a.link, func(on *guest, done func(error)) { on.server.awaitExecuted(on, set, atMost, done) })
	if errors.Is(err, errAwaitTimeout) {
		return false, nil
	}
	return err == nil, err
}

// slice is how long one wait on the server may take: it ends a little before the command does, so that the session
// survives the wait.
func slice(ctx *patience) time.Duration {
	const longest, spare = 250 * time.Millisecond, 20 * time.Millisecond
	return max(time.Millisecond, min(longest, ctx.remaining()-spare))
}

// stillApplies refuses to wait any longer, or starts the applier if it has not done so before.
func (a *act) stillApplies(ctx *patience, started bool) (bool, error) {
	if ctx.remaining() < 25*time.Millisecond {
		return started, refuse(reparent.ReasonDeadline, "%s has not applied %s yet", a.server, a.command.Set)
	}
	runs := false
	if err := a.query(ctx, func(s *server) { runs = applies(s) }); err != nil || runs {
		return started, err
	}
	o, err := a.observe(ctx)
	if err != nil {
		return started, err
	}
	if r := o.Replication; started || r == nil || r.ApplierErrno != 0 {
		return started, refuse(reparent.ReasonUnapplied, "%s has not applied %s and its applier does not run", a.server, a.command.Set)
	}
	return true, a.changeSlowly(ctx, []guard{stopUnderWay}, startsApplier)
}

// detach forgets the source. Relay logs go with it, so everything in them has to be applied. Where the applier does not run,
// to wait helps nobody: the receiver is stopped all the same, for a primary must get nothing from where it is no more.
func (a *act) detach(ctx *patience) (topology.Observation, error) {
	before, err := a.observe(ctx)
	switch {
	case err != nil || before.Replication == nil:
		return before, err
	case !before.Unapplied().IsEmpty() && before.Replication.Applier == topology.ThreadOn:
		return before, refuse(unapplied.reason, "%s: %s", a.server, unapplied.detail)
	}
	if err := a.runAside(ctx, dutyStop, stopsReceiver); err != nil {
		return before, err
	}
	if err := a.changeSlowly(ctx, []guard{unapplied}, forgetsSource); err != nil {
		return before, err
	}
	return a.observe(ctx)
}

func forgetsSource(on *guest, done func(error)) {
	stopsApplier(on, func(err error) {
		if err != nil {
			done(err)
			return
		}
		resetsReplica(on, done)
	})
}

func resetsReplica(on *guest, done func(error)) {
	on.inChannelTurn(done, func(done func(error)) { on.takes(8, 10, on.server.resetReplica(), done) })
}
