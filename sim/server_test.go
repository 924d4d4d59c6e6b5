package sim

import (
	"errors"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// trio is a primary with replicas that acknowledge, by itself: no elector, no client that is not asked for.
type trio struct {
	*testing.T
	clock   *clock
	network *network
	hosts   *hosts
	a, b, c *server
	desk    place // where clients sit
	row     int64
}

func newTrio(t *testing.T) *trio { return trioOf(t, 1, healthyOptions()) }

func trioOf(t *testing.T, seed uint64, o options) *trio {
	c := newClock(seed)
	n := newNetwork(c)
	f := &trio{T: t, clock: c, network: n, hosts: newHosts(c, n)}
	f.a, f.b, f.c = f.hosts.add("A", o), f.hosts.add("B", o), f.hosts.add("C", o)
	f.desk = n.join("desk")
	f.b.follows("A", true)
	f.c.follows("A", true)
	f.a.setReadOnlyOff()
	f.a.enableSource()
	f.pass(time.Second)
	return f
}

func (f *trio) pass(d time.Duration) { f.clock.runUntil(f.clock.now+d, nil) }

// eventually lets time pass until something holds, for a minute at most.
func (f *trio) eventually(what string, holds func() bool) {
	f.Helper()
	f.clock.runUntil(f.clock.now+time.Minute, holds)
	if !holds() {
		f.Fatalf("after a minute: not %s", what)
	}
}

// stays lets two seconds pass, in which something has to hold on.
func (f *trio) stays(what string, holds func() bool) {
	f.Helper()
	f.clock.runUntil(f.clock.now+2*time.Second, func() bool { return !holds() })
	if !holds() {
		f.Fatalf("%s no longer", what)
	}
}

func (f *trio) check(what string, holds bool) {
	f.Helper()
	if !holds {
		f.Errorf("not %s", what)
	}
}

// outcome is what a client heard, if anything.
type outcome struct {
	wire  *wire
	row   int64
	heard bool
	err   error
	at    time.Duration
}

func (o *outcome) ok() bool { return o.heard && o.err == nil }

func (f *trio) dial(s *server, who account, says announcement) *outcome {
	o := &outcome{}
	o.wire = f.hosts.dial(f.desk, s.address, who, says, func(err error) { o.heard, o.err = true, err })
	f.pass(10 * time.Millisecond)
	return o
}

func (f *trio) run(w *wire, statement func(on *guest, done func(error))) *outcome {
	o := &outcome{wire: w}
	w.run(statement, func(err error) { o.heard, o.err, o.at = true, err, f.clock.now })
	return o
}

// as sends a statement in a session of its own, and does not wait for its end.
func (f *trio) as(who account, s *server, statement func(on *guest, done func(error))) *outcome {
	f.Helper()
	d := f.dial(s, who, announcement{})
	if !d.ok() {
		f.Fatalf("login on %s: %v", s.address, d.err)
	}
	return f.run(d.wire, statement)
}

// write is a client's write, on its way.
func (f *trio) write(s *server) *outcome {
	f.Helper()
	f.row++
	row := f.row
	o := f.as(accountApp, s, func(on *guest, done func(error)) { on.server.write(on, row, done) })
	o.row = row
	f.pass(20 * time.Millisecond)
	return o
}

func (f *trio) written(s *server) *outcome {
	f.Helper()
	o := f.write(s)
	if !o.ok() {
		f.Fatalf("a write on %s: heard %v, %v", s.address, o.heard, o.err)
	}
	return o
}

// exec runs a statement of the administrator to its end.
func (f *trio) exec(s *server, statement func(on *guest, done func(error))) error {
	f.Helper()
	o := f.as(accountRoot, s, statement)
	f.eventually("answered", func() bool { return o.heard })
	return o.err
}

func stopReceiver(on *guest, done func(error)) { on.server.stopReceiver(on, done) }
func stopApplier(on *guest, done func(error))  { on.server.stopApplier(on, done) }
func sourceOff(on *guest, done func(error))    { on.server.disableSource(on, done) }
func closeNow(on *guest, done func(error))     { on.server.closeForWrites(on, time.Minute, done) }

func (f *trio) stopAckers() {
	f.Helper()
	f.exec(f.b, stopReceiver)
	f.exec(f.c, stopReceiver)
}

func (f *trio) startAckers() {
	_ = f.b.startReceiver()
	_ = f.c.startReceiver()
}

// last is the newest transaction in a server's binary log.
func last(s *server) gtid.GTID { return s.log.entries[len(s.log.entries)-1].gtid }

func (f *trio) arrives(s *server, row int64) {
	f.Helper()
	f.eventually("arrived at "+string(s.address), func() bool { return s.hasRow(row) })
}

func waiters(s *server) int { return s.semiSync().Waiters }

func TestE1WithoutAckersACommitHangsInvisible(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	before := f.a.executed()
	o := f.write(f.a)
	f.check("unheard", !o.heard)
	f.check("invisible", !f.a.hasRow(o.row))
	f.check("left out of gtid_executed", f.a.executed().Equal(before))
	f.check("in the binary log", !before.Has(last(f.a)))
	f.check("owned", f.a.owned(f.a.uuid))
	f.check("one waits", waiters(f.a) == 1)
	o.wire.close()
	f.stays("it waits on after its client left", func() bool { return waiters(f.a) == 1 })
}

func TestE1CommitsBehindTheFirstDoNotCountAsWaiting(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	first, second := f.write(f.a), f.write(f.a)
	f.check("first waits for acknowledgements", first.wire.guest.doing == waitingForAck)
	f.check("second waits behind it", second.wire.guest.doing == committing)
	f.check("one waiter", waiters(f.a) == 1 && f.a.observe(epoch).Stall.Committing == 1)
	f.startAckers()
	f.eventually("both are answered", func() bool { return first.ok() && second.ok() })
}

func TestE2KillCutsTheClientAndNotTheWait(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	o := f.write(f.a)
	id := o.wire.guest.id
	f.exec(f.a, func(on *guest, done func(error)) { done(on.server.killSession(id, on)) })
	f.pass(10 * time.Millisecond)
	f.check("cut", o.heard && errors.Is(o.err, errConnReset))
	f.stays("it waits", func() bool { return waiters(f.a) == 1 })
	f.check("it is listed", f.a.guest(id).connected())
	f.startAckers()
	f.arrives(f.a, o.row)
	f.check("it is gone then", f.a.guest(id) == nil)
}

func TestE3SuperReadOnlyHangsBehindAWaiterAndReads1(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	o := f.write(f.a)
	closing := f.as(accountPrimacy, f.a, closeNow)
	f.pass(10 * time.Millisecond)
	seen := f.a.observe(epoch)
	f.check("it reads 1 and read_only 0", seen.SuperReadOnly && !seen.ReadOnly && seen.Stall.ReadOnlyWait)
	queued := f.write(f.a)
	f.stays("both hang", func() bool { return !closing.heard && !queued.heard })
	f.exec(f.a, func(on *guest, done func(error)) { done(on.server.killQuery(closing.wire.guest.id)) })
	f.eventually("it ends with 1317", func() bool { return closing.heard && errors.Is(closing.err, errQueryInterrupted) })
	f.check("nothing is left of it", !f.a.superReadOnly && !f.a.readOnly)
	f.startAckers()
	f.eventually("both writes are answered", func() bool { return o.ok() && queued.ok() })
}

func TestE3SuperReadOnlyTakesEffectWhenTheWaiterIsGone(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	o := f.write(f.a)
	closing := f.as(accountPrimacy, f.a, closeNow)
	f.pass(10 * time.Millisecond)
	queued := f.write(f.a)
	f.startAckers()
	f.eventually("it returns", closing.ok)
	f.check("in force", f.a.readOnly && f.a.superReadOnly && !f.a.observe(epoch).Stall.ReadOnlyWait)
	f.eventually("the waiter heard OK", o.ok)
	f.eventually("what queued is refused", func() bool { return queued.heard })
	f.check("with 1290", errors.Is(queued.err, errReadOnlyOption))
}

func TestE3LockWaitTimeoutGivesUpAndLeavesNothing(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	f.write(f.a)
	err := f.exec(f.a, func(on *guest, done func(error)) { on.server.closeForWrites(on, time.Second, done) })
	f.check("1205", errors.Is(err, errLockWaitTimeout))
	f.check("nothing is left", !f.a.superReadOnly && !f.a.readOnly)
}

func TestE4ACrashCompletesWhatNobodyAcknowledged(t *testing.T) {
	f := newTrio(t)
	f.a.options.SuperReadOnly = false
	f.stopAckers()
	o := f.write(f.a)
	before, began := f.a.incarnation, f.clock.now
	f.a.kill()
	f.pass(10 * time.Millisecond)
	f.check("its client heard of the end", errors.Is(o.err, errConnReset))
	refused := f.dial(f.a, accountApp, announcement{})
	f.check("the host refuses", errors.Is(refused.err, errConnRefused))
	f.a.boot()
	f.eventually("it serves", func() bool { return f.a.state == processUp })
	f.check("in about a second", f.clock.now-began < 2*time.Second)
	f.check("the row is there", f.a.hasRow(o.row) && f.a.executed().Has(last(f.a)))
	f.check("semi-sync off, writable, another incarnation", !f.a.semi.source && !f.a.readOnly && f.a.incarnation != before)
}

func TestBootSettingsHoldAtTheNextStart(t *testing.T) {
	f := newTrio(t)
	f.a.options.Offline = true
	f.check("by the option file", f.a.observe(epoch).Settings.BootReadOnly)
	f.exec(f.a, func(on *guest, done func(error)) { on.server.persistSuperReadOnly(on, false, done) })
	f.check("what is persisted comes first", !f.a.observe(epoch).Settings.BootReadOnly)
	f.exec(f.a, func(on *guest, done func(error)) { on.server.persistSuperReadOnly(on, true, done) })
	f.restart(f.a)
	f.check("closed and offline", f.a.superReadOnly && f.a.readOnly && f.a.offline)
}

func (f *trio) restart(s *server) {
	f.Helper()
	s.kill()
	s.boot()
	f.eventually("up again", func() bool { return s.state == processUp })
	f.pass(100 * time.Millisecond)
}

func TestE6AnOrderlyShutdownAnswersOKToWaiters(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	o := f.write(f.a)
	f.a.shutDown()
	f.pass(10 * time.Millisecond)
	f.check("OK", o.ok())
	f.a.boot()
	f.arrives(f.a, o.row)
	f.check("on the primary alone", !f.b.hasRow(o.row) && !f.c.hasRow(o.row))
}

func TestE7ANonAckerAppliesWhatIsNotAcknowledged(t *testing.T) {
	f := newTrio(t)
	f.exec(f.b, stopReceiver)
	f.exec(f.c, stopReceiver)
	f.c.setReplicaSide(false)
	_ = f.c.startReceiver()
	f.eventually("connected", func() bool { state, _ := f.c.receiver(); return state == topology.ThreadOn })
	o := f.write(f.a)
	f.arrives(f.c, o.row)
	f.check("unanswered", !o.heard && !f.a.hasRow(o.row))
}

func TestE8aChangeWithTheApplierStoppedLosesWhatWasAcknowledged(t *testing.T) {
	f := newTrio(t)
	f.exec(f.c, stopReceiver)
	f.exec(f.b, stopApplier)
	o := f.written(f.a)
	f.check("received", f.b.received().Has(last(f.a)) && f.b.unapplied())
	f.exec(f.b, stopReceiver)
	f.check("taken", f.b.changeSource("C", false) == nil)
	f.check("gone", !f.b.position().Has(last(f.a)) && f.b.received().IsEmpty())
	_ = f.b.startApplier()
	f.stays("gone", func() bool { return !f.b.hasRow(o.row) })
}

func TestE8bRelayLogRecoveryLosesWhatWasAcknowledged(t *testing.T) {
	f := newTrio(t)
	f.b.options.RelayLogRecovery = true
	f.exec(f.c, stopReceiver)
	f.exec(f.b, stopApplier)
	f.written(f.a)
	f.a.kill()
	f.restart(f.b)
	f.check("gone", !f.b.position().Has(last(f.a)))
}

func TestE8cWithoutRelayLogRecoveryItIsKept(t *testing.T) {
	f := newTrio(t)
	f.exec(f.c, stopReceiver)
	f.exec(f.b, stopApplier)
	o := f.written(f.a)
	f.a.kill()
	f.restart(f.b)
	f.check("received", f.b.received().Has(last(f.a)))
	_ = f.b.startApplier()
	f.arrives(f.b, o.row)
}

func TestWithoutSyncedRelayLogsALossOfPowerTakesThem(t *testing.T) {
	f := newTrio(t)
	f.b.options.LoseRelayLogs = true
	f.exec(f.c, stopReceiver)
	f.exec(f.b, stopApplier)
	f.written(f.a)
	f.b.powerOff()
	f.b.powerOn()
	f.b.boot()
	f.eventually("up", func() bool { return f.b.state == processUp })
	f.check("gone", !f.b.position().Has(last(f.a)))
}

func TestE9AfterARestartTheReceivedSetKnowsNothingOfThePast(t *testing.T) {
	f := newTrio(t)
	f.written(f.a)
	f.written(f.a)
	f.exec(f.b, stopApplier)
	f.written(f.a)
	f.check("all of it", f.b.received().Count() == 3)
	f.restart(f.b)
	f.check("what is in the relay logs", f.b.received().Count() == 1 && f.b.received().Has(last(f.a)))
	f.check("executed is whole", f.b.position().Equal(f.a.executed()))
}

func TestE10SwitchingTheSourceSideOffCompletesWaiters(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	o := f.write(f.a)
	began := f.clock.now
	f.exec(f.a, sourceOff)
	f.check("OK, at once", o.ok() && o.at < began+50*time.Millisecond)
	f.check("counted", f.a.unacked() == 1)
	f.check("on the primary alone", f.a.hasRow(o.row) && !f.b.hasRow(o.row))
}

func TestE10bOfflineThenClosedThenSourceOffTellsNobodyOK(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	o := f.write(f.a)
	f.exec(f.a, func(on *guest, done func(error)) { on.server.setOffline(true); done(nil) })
	f.pass(10 * time.Millisecond)
	f.check("cut", o.heard && errors.Is(o.err, errConnReset))
	closing := f.as(accountPrimacy, f.a, closeNow)
	f.stays("it waits", func() bool { return !closing.heard && waiters(f.a) == 1 })
	f.exec(f.a, sourceOff)
	f.check("closed", closing.ok() && f.a.superReadOnly && waiters(f.a) == 0)
	f.check("on the primary alone", f.a.hasRow(o.row) && !f.b.hasRow(o.row))
}

func TestE11SwitchingTheSourceSideOffTakesASecond(t *testing.T) {
	f := newTrio(t)
	began := f.clock.now
	f.exec(f.a, sourceOff)
	took := f.clock.now - began
	f.check("about 980 ms", took > 900*time.Millisecond && took < 1100*time.Millisecond)
	began = f.clock.now
	f.exec(f.a, sourceOff)
	f.check("nothing when it is off", f.clock.now-began < 50*time.Millisecond)
}

func TestE13AnErrantServerRejoinsWithoutAnError(t *testing.T) {
	f := newTrio(t)
	stray, err := f.b.errant(1000, true)
	f.check("written", err == nil && f.b.hasRow(1000))
	f.exec(f.b, stopReceiver)
	_ = f.b.startReceiver()
	f.arrives(f.b, f.written(f.a).row)
	state, errno := f.b.receiver()
	f.check("no error", state == topology.ThreadOn && errno == 0)
	f.check("diverged", f.b.executed().Has(stray.gtid) && !f.a.executed().Has(stray.gtid))
	_, err = f.b.errant(1001, false)
	f.check("refused by super_read_only", errors.Is(err, errReadOnlyOption))
}

func TestE14StopOfAReceiverThatReadsIsQuickThoughItsSourceIsCutOff(t *testing.T) {
	f := newTrio(t)
	f.network.isolate(f.a.place)
	began := f.clock.now
	f.exec(f.b, stopReceiver)
	f.check("quick", f.clock.now-began < 50*time.Millisecond)
}

func TestE15StopOfAReceiverThatConnectsWaitsForTheConnect(t *testing.T) {
	f := newTrio(t)
	f.network.isolate(f.a.place)
	f.eventually("connecting", func() bool { return f.b.channel.receiver.state == receiverTrying })
	began := f.clock.now
	o := f.as(accountPrimacy, f.b, stopReceiver)
	f.pass(100 * time.Millisecond)
	f.check("hanging", !o.heard && o.wire.guest.doing == stopping)
	f.eventually("stopped", o.ok)
	took := f.clock.now - began
	f.check("for replica_net_timeout", took > time.Second && took <= 4*time.Second+50*time.Millisecond)
	state, _ := f.b.receiver()
	f.check("off", state == topology.ThreadOff)
}

func TestE16AStoppedReceiverComesBackWithARestartAndAcknowledges(t *testing.T) {
	f := newTrio(t)
	f.b.options.SkipReplicaStart, f.b.options.SemiSyncReplica = false, true
	f.stopAckers()
	o := f.write(f.a)
	f.restart(f.b)
	f.eventually("answered", o.ok)
}

func TestE16SkipReplicaStartKeepsItStopped(t *testing.T) {
	o := healthyOptions()
	o.SkipReplicaStart = false
	f := trioOf(t, 1, o)
	f.check("it would start", f.b.startsAlone())
	f.exec(f.b, func(on *guest, done func(error)) { on.server.persistSkipReplicaStart(on, true, done) })
	f.check("it says so", f.b.observe(epoch).Settings.SkipReplicaStart && !f.b.skipReplicaStart)
	f.restart(f.b)
	f.stays("off", func() bool { state, _ := f.b.receiver(); return state == topology.ThreadOff })
}

func TestE17ChangeWithTheApplierRunningKeepsRelayLogs(t *testing.T) {
	f := newTrio(t)
	f.b.blockApplier(true)
	o := f.written(f.a)
	f.exec(f.b, stopReceiver)
	f.check("taken", f.b.changeSource("C", false) == nil)
	f.check("kept", f.b.received().Has(last(f.a)))
	f.b.blockApplier(false)
	f.arrives(f.b, o.row)
}

func TestE17bNamingAutoPositionNeedsBothThreadsStopped(t *testing.T) {
	f := newTrio(t)
	f.check("3021 with the receiver on", errors.Is(f.b.changeSource("C", false), errReplicaNotStopped))
	f.exec(f.b, stopReceiver)
	f.check("3081", errors.Is(f.b.changeSource("C", true), errBothNotStopped))
	f.check("3081 for RESET too", errors.Is(f.b.resetReplica(), errBothNotStopped))
	f.exec(f.b, stopApplier)
	f.check("then it is taken", f.b.changeSource("C", true) == nil && f.b.resetReplica() == nil)
	f.check("1200 without a channel", errors.Is(f.b.startReceiver(), errNotConfigured))
}

func TestE18ReceiversLeaveAFrozenPrimaryAfterTheirNetTimeout(t *testing.T) {
	f := newTrio(t)
	f.pass(10 * time.Second)
	f.check("heard within the interval", f.b.observe(epoch).Replication.HeartbeatAge <= 500*time.Millisecond)
	f.a.freeze()
	began := f.clock.now
	f.eventually("connecting", func() bool { state, _ := f.b.receiver(); return state == topology.ThreadConnecting })
	took := f.clock.now - began
	f.check("after 3.5 to 4 s", took >= 3500*time.Millisecond && took <= 4*time.Second)
	f.check("heard that long ago", f.b.observe(epoch).Replication.HeartbeatAge >= took)
	f.a.thaw()
	f.eventually("on again", func() bool { state, _ := f.b.receiver(); return state == topology.ThreadOn })
}

func TestE19StopReplicaTakesMilliseconds(t *testing.T) {
	f := newTrio(t)
	began := f.clock.now
	f.exec(f.b, stopReceiver)
	f.check("a few", f.clock.now-began < 50*time.Millisecond)
}

func TestE20TheApplierOfASourceWaitsForAcknowledgementsThatNeverCome(t *testing.T) {
	f := newTrio(t)
	f.b.blockApplier(true)
	first := f.written(f.a)
	second := f.written(f.a)
	f.arrives(f.c, second.row)
	f.exec(f.c, stopReceiver)
	f.check("repointed", f.c.changeSource("B", false) == nil && f.c.startReceiver() == nil)
	f.eventually("counted", func() bool { return f.b.semiSync().Clients == 1 })
	f.b.enableSource()
	f.b.blockApplier(false)
	f.eventually("waiting", func() bool { return waiters(f.b) == 1 })
	f.stays("waiting", func() bool { return waiters(f.b) == 1 && !f.b.hasRow(first.row) && f.b.log.end() == 1 })
	f.exec(f.b, sourceOff)
	f.arrives(f.b, second.row)
}

func TestE21AnAckerCountsWhileTheSourceSideIsOffAndAcknowledgesOnceItIsOn(t *testing.T) {
	f := newTrio(t)
	f.exec(f.c, stopReceiver)
	f.check("repointed", f.c.changeSource("B", false) == nil && f.c.startReceiver() == nil)
	f.eventually("counted", func() bool { return f.b.semiSync().Clients == 1 && !f.b.semiSync().SourceEnabled })
	f.exec(f.b, stopReceiver)
	f.b.enableSource()
	f.b.setReadOnlyOff()
	f.arrives(f.c, f.written(f.b).row)
}

func TestE22ReplicasNoticeAKilledSourceAtOnce(t *testing.T) {
	f := newTrio(t)
	f.a.kill()
	began := f.clock.now
	f.eventually("noticed", func() bool {
		state, errno := f.b.receiver()
		return state == topology.ThreadConnecting && errno > 2000 && errno < 2100
	})
	f.check("within 65 ms", f.clock.now-began < 65*time.Millisecond)
	f.pass(100 * time.Millisecond)
	began = f.clock.now
	f.exec(f.b, stopReceiver)
	f.check("STOP is quick", f.clock.now-began < 50*time.Millisecond)
}

func TestE23NamedLocksWorkOnAClosedServerAndKillHandsThemOn(t *testing.T) {
	f := newTrio(t)
	first, second := f.dial(f.b, accountPrimacy, announcement{}), f.dial(f.b, accountPrimacy, announcement{term: 7})
	get := func(w *wire) (got bool) {
		o := f.run(w, func(on *guest, done func(error)) { got = on.server.getLock(on, "shop"); done(nil) })
		f.eventually("answered", func() bool { return o.heard })
		return got
	}
	f.check("had", get(first.wire))
	f.check("exclusive", get(first.wire) && !get(second.wire))
	f.check("used by the first", f.b.lockHolder("shop") == first.wire.guest)
	f.check("attributes are seen", f.b.sessions()[1].says.term == 7)
	id := first.wire.guest.id
	o := f.run(second.wire, func(on *guest, done func(error)) { done(on.server.killSession(id, on)) })
	f.eventually("killed", o.ok)
	f.check("handed on", get(second.wire))
	third := f.dial(f.b, accountPrimacy, announcement{})
	f.check("not to be had", !get(third.wire))
	f.eventually("released", f.run(second.wire, func(on *guest, done func(error)) { on.server.releaseLock(on, "shop"); done(nil) }).ok)
	f.check("to be had", get(third.wire))
	f.check("the first noticed", !first.wire.alive())
	o = f.run(second.wire, func(on *guest, done func(error)) { done(on.server.killSession(id, on)) })
	f.eventually("1094", func() bool { return errors.Is(o.err, errNoSuchThread) })
}

func TestKillDoesNotReachAccountsWithSystemUser(t *testing.T) {
	f := newTrio(t)
	root, ours := f.dial(f.b, accountRoot, announcement{}), f.dial(f.b, accountPrimacy, announcement{})
	o := f.run(ours.wire, func(on *guest, done func(error)) { done(on.server.killSession(root.wire.guest.id, on)) })
	f.eventually("1095", func() bool { return errors.Is(o.err, errNotOwnerOfThread) })
}

func decisionOf(term uint32, s *server) topology.Decision {
	return topology.Decision{Cluster: "shop", Term: term, Primary: s.address, DecidedAt: epoch}.Sealed()
}

func TestT2AMarkerIsReceivedBeforeItIsApplied(t *testing.T) {
	f := newTrio(t)
	f.exec(f.b, stopApplier)
	d := decisionOf(17, f.a)
	f.check("marked", f.exec(f.a, func(on *guest, done func(error)) { on.server.mark(on, d, done) }) == nil)
	f.check("received", f.b.received().Has(d.Marker().GTID()) && !f.b.executed().Has(d.Marker().GTID()))
	f.check("known", f.b.knowsLater(16) && !f.b.knowsLater(17))
	f.check("no row yet", len(f.b.decisions()) == 0)
	f.check("the row where it is applied", len(f.a.decisions()) == 1 && f.a.decisions()[0].Intact())
	_ = f.b.startApplier()
	f.eventually("the row", func() bool { return len(f.b.decisions()) == 1 })
	f.check("again is nothing", f.exec(f.a, func(on *guest, done func(error)) { on.server.mark(on, d, done) }) == nil && len(f.a.decisions()) == 1)
}

func TestAMarkerThatAnotherSessionCommitsIsWaitedFor(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	d := decisionOf(2, f.a)
	mark := func(on *guest, done func(error)) { on.server.mark(on, d, done) }
	first := f.as(accountPrimacy, f.a, mark)
	f.pass(10 * time.Millisecond)
	f.check("owned", f.a.owned(d.Marker().GTID().UUID))
	second := f.as(accountPrimacy, f.a, mark)
	f.stays("both wait", func() bool { return !first.heard && !second.heard })
	f.startAckers()
	f.eventually("both are answered", func() bool { return first.ok() || second.ok() })
	f.check("one row", len(f.a.decisions()) == 1)
}

func TestT3SuperReadOnlyStopsEverybodyAndReadOnlyThoseWithoutConnectionAdmin(t *testing.T) {
	f := newTrio(t)
	d := decisionOf(19, f.b)
	mark := func(on *guest, done func(error)) { on.server.mark(on, d, done) }
	f.check("root is refused", errors.Is(f.exec(f.b, mark), errReadOnlyOption))
	f.b.setSuperReadOnlyOff()
	f.check("an application is refused", errors.Is(f.write(f.b).err, errReadOnlyOption))
	o := f.as(accountPrimacy, f.b, mark)
	f.eventually("Primacy writes", o.ok)
}

func TestT6T7PoisonHoldsWaitersAndTheOldCountLetsThemGo(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	o := f.write(f.a)
	f.a.setAcks(topology.PoisonAcks)
	f.startAckers()
	f.stays("held", func() bool { return !o.heard && waiters(f.a) == 1 })
	f.a.setAcks(1)
	f.eventually("OK", o.ok)
}

func TestT8OfflineModeCutsClientsAndKeepsReplicasOut(t *testing.T) {
	f := newTrio(t)
	client := f.dial(f.a, accountApp, announcement{})
	f.exec(f.a, func(on *guest, done func(error)) { on.server.setOffline(true); done(nil) })
	f.pass(100 * time.Millisecond)
	f.check("cut", !client.wire.alive())
	f.check("refused", errors.Is(f.dial(f.a, accountApp, announcement{}).err, errOffline))
	f.check("Primacy comes in", f.dial(f.a, accountPrimacy, announcement{}).ok())
	_, errno := f.b.receiver()
	f.check("replicas are refused", errno == int(errOffline) && f.a.semiSync().Clients == 0)
	f.a.setOffline(false)
	f.eventually("they come back", func() bool { return f.a.semiSync().Clients == 2 })
}

func TestT8ReplicasWithConnectionAdminStay(t *testing.T) {
	o := healthyOptions()
	o.ReplicasExempt = true
	f := trioOf(t, 1, o)
	f.a.setOffline(true)
	f.stays("connected", func() bool { return f.a.semiSync().Clients == 2 })
}

func TestAFiniteTimeoutFallsBackSilentlyAndRecovers(t *testing.T) {
	f := newTrio(t)
	f.a.setTimeout(500 * time.Millisecond)
	f.stopAckers()
	o := f.write(f.a)
	f.eventually("OK without an acknowledgement", o.ok)
	f.check("off by itself", !f.a.semiSync().SourceActive && f.a.semiSync().SourceEnabled && f.a.unacked() == 1)
	f.check("no floor", !f.a.semiSync().Verified())
	f.startAckers()
	f.pass(time.Second)
	f.written(f.a)
	f.eventually("on again", func() bool { return f.a.semiSync().SourceActive })
}

func TestCommitsBehindTheFirstHaveTheirOwnPatienceAndWaitAndCountAsOne(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	first := f.write(f.a)
	f.a.setTimeout(300 * time.Millisecond)
	second, third := f.write(f.a), f.write(f.a)
	f.stays("behind one without end", func() bool { return !first.heard && !second.heard && !third.heard })
	f.a.acknowledge(f.b.serverID, f.a.commits[1].place)
	f.pass(10 * time.Millisecond)
	f.check("the second waits for what the third needs", first.ok() && !second.heard)
	f.eventually("both are let go", func() bool { return second.ok() && third.ok() })
	f.check("as one", f.a.unacked() == 1)
}

func TestTwoAcksMeanTwoServers(t *testing.T) {
	f := newTrio(t)
	f.a.setAcks(2)
	f.exec(f.c, stopReceiver)
	o := f.write(f.a)
	f.arrives(f.b, o.row)
	f.stays("one is not enough", func() bool { return !o.heard })
	_ = f.c.startReceiver()
	f.eventually("two are", o.ok)
}

func TestAReplicaThatLeftCountsForAMomentLonger(t *testing.T) {
	f := newTrio(t)
	f.exec(f.b, stopReceiver)
	f.check("it still counts", f.a.semiSync().Clients == 2)
	f.pass(goneAfter + 10*time.Millisecond)
	f.check("and no longer", f.a.semiSync().Clients == 1)
}

func TestAReplicaThatLacksPurgedTransactionsIsRefused(t *testing.T) {
	f := newTrio(t)
	f.exec(f.b, stopReceiver)
	o := f.written(f.a)
	f.a.purgeBinlogs()
	f.check("purged", f.a.observe(epoch).Purged.Equal(f.a.executed()))
	_ = f.b.startReceiver()
	f.eventually("1236", func() bool {
		state, errno := f.b.receiver()
		return state == topology.ThreadOff && errno == int(errNoSource)
	})
	f.check("nothing came", !f.b.hasRow(o.row))
	cloned := false
	f.b.clone("A", func(err error) { cloned = err == nil })
	f.eventually("cloned", func() bool { return cloned })
	f.check("whole", f.b.executed().Equal(f.a.executed()) && f.b.hasRow(o.row) && f.b.state == processUp)
	f.b.follows("A", true)
	f.arrives(f.b, f.written(f.a).row)
}

func TestAWipedServerIsANewOneThatGetsEverything(t *testing.T) {
	f := newTrio(t)
	o := f.written(f.a)
	f.arrives(f.b, o.row)
	uuid, id := f.b.uuid, f.b.serverID
	f.b.wipe()
	f.b.boot()
	f.eventually("up", func() bool { return f.b.state == processUp })
	f.check("another", f.b.uuid != uuid && f.b.serverID != id && f.b.executed().IsEmpty() && f.b.channel == nil)
	f.b.follows("A", true)
	f.arrives(f.b, o.row)
}

func TestAServerThatIsRebuiltUnderItsOldServerIDSkipsWhatItWrote(t *testing.T) {
	f := newTrio(t)
	o := f.written(f.a)
	f.arrives(f.b, o.row)
	id := f.a.serverID
	f.a.wipe()
	f.a.serverID = id
	f.a.boot()
	f.eventually("up", func() bool { return f.a.state == processUp })
	f.a.follows("B", false)
	f.stays("skipped", func() bool { return !f.a.hasRow(o.row) })
}

func TestAStalledDiskHangsCommitsAndAcknowledgements(t *testing.T) {
	f := newTrio(t)
	f.a.stallDisk()
	o := f.write(f.a)
	f.pass(3 * time.Second)
	stall := f.a.observe(epoch).Stall
	f.check("it shows", !o.heard && stall.OldestCommit >= 2*time.Second && stall.Committing == 1 && !stall.DiskFull && waiters(f.a) == 0)
	f.a.healDisk()
	f.eventually("OK", o.ok)
	f.b.stallDisk()
	f.c.stallDisk()
	o = f.write(f.a)
	f.pass(time.Second)
	f.check("no acknowledgement", waiters(f.a) == 1)
	hanging := f.as(accountPrimacy, f.b, stopReceiver)
	f.stays("STOP hangs too", func() bool { return !hanging.heard })
	f.b.healDisk()
	f.eventually("OK", func() bool { return o.ok() && hanging.ok() })
	f.a.fillDisk()
	f.write(f.a)
	f.pass(3 * time.Second)
	f.check("full is told apart", f.a.observe(epoch).Stall.DiskFull)
	f.a.kill()
	f.a.boot()
	f.eventually("up", func() bool { return f.a.state == processUp })
	f.check("disks outlast processes", f.a.disk.full)
}

func TestASlowDiskMakesCommitsSlow(t *testing.T) {
	f := newTrio(t)
	f.a.slowDisk(400 * time.Millisecond)
	began := f.clock.now
	o := f.write(f.a)
	f.eventually("OK", o.ok)
	f.check("late", f.clock.now-began >= 400*time.Millisecond)
	f.a.slowDisk(0)
	f.check("in time again", f.written(f.a).ok())
}

func TestSuperReadOnlyBehindAWaiterReads0WhereReadOnlyIsOn(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	f.write(f.a)
	f.a.readOnly = true
	closing := f.as(accountPrimacy, f.a, closeNow)
	f.pass(10 * time.Millisecond)
	f.check("0 and 1, and it waits", !f.a.superReadOnly && f.a.readOnly && f.a.observe(epoch).Stall.ReadOnlyWait)
	f.startAckers()
	f.eventually("in force", func() bool { return closing.ok() && f.a.superReadOnly })
}

func TestReadOnlyOffWhileSuperReadOnlyWaitsChangesNothingButReadOnly(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	f.write(f.a)
	closing := f.as(accountRoot, f.a, closeNow)
	f.pass(10 * time.Millisecond)
	f.a.setReadOnlyOff()
	f.check("it reads 1 and waits on", f.a.superReadOnly && !f.a.readOnly && !closing.heard)
	f.startAckers()
	f.eventually("closed", func() bool { return closing.ok() && f.a.closed() })

	f.stopAckers()
	f.a.setSuperReadOnlyOff()
	_, _ = f.a.errant(1000, true)
	closing = f.as(accountRoot, f.a, closeNow)
	f.pass(10 * time.Millisecond)
	f.check("it reads 0 where read_only was on", !f.a.superReadOnly && !closing.heard)
	f.a.setReadOnlyOff()
	f.startAckers()
	f.eventually("told OK, and open all the same", func() bool { return closing.ok() && f.a.superReadOnly && !f.a.closed() })
	f.written(f.a)
}

func TestAnAcknowledgementCountsAlsoWhenItsReplicaHasLeft(t *testing.T) {
	f := newTrio(t)
	f.a.setAcks(2)
	f.exec(f.c, stopReceiver)
	o := f.write(f.a)
	f.arrives(f.b, o.row)
	f.exec(f.b, stopReceiver)
	f.pass(2 * time.Second)
	_ = f.c.startReceiver()
	f.eventually("OK", o.ok)
}

func TestWhatAReplicaGotOnAnEarlierConnectionIsAcknowledgedWithTheNextWriteOnly(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	f.b.setReplicaSide(false)
	_ = f.b.startReceiver()
	o := f.write(f.a)
	f.arrives(f.b, o.row)
	f.exec(f.b, stopReceiver)
	f.b.setReplicaSide(true)
	_ = f.b.startReceiver()
	f.eventually("connected", func() bool { return f.b.channel.receiver.acknowledges() })
	f.stays("it waits", func() bool { return !o.heard })
	next := f.write(f.a)
	f.eventually("both are answered", func() bool { return o.ok() && next.ok() })
}

func TestASourceThatListensToOthersHearsANewReplicaWithinASecond(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	o := f.write(f.a)
	began := f.clock.now
	f.startAckers() // the source has not noticed yet that they were away
	f.eventually("connected", func() bool { return f.b.channel.receiver.acknowledges() })
	f.pass(50 * time.Millisecond)
	f.check("acknowledged and not heard", f.b.hasRow(o.row) && !o.heard)
	f.eventually("OK", o.ok)
	f.check("within a second", o.at-began < ackPoll+50*time.Millisecond)
	f.stopAckers()
	f.pass(2 * goneAfter)
	o = f.write(f.a)
	began = f.clock.now
	f.startAckers()
	f.eventually("OK", o.ok)
	f.check("at once when it listens to nobody", o.at-began < 50*time.Millisecond)
}

func TestQueuedCommitsAreSentToReplicas(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	f.b.setReplicaSide(false)
	_ = f.b.startReceiver()
	f.write(f.a)
	queued := f.write(f.a)
	f.arrives(f.b, queued.row)
	f.check("unheard", !queued.heard)
}

func TestTheLowestFreeNumberIsUsedNext(t *testing.T) {
	f := newTrio(t)
	f.written(f.a)
	f.a.done.add(gtid.GTID{UUID: f.a.uuid, Number: 3})
	f.written(f.a)
	f.written(f.a)
	f.check("2 and 4", f.a.executed().Equal(gtid.Range(gtid.Source{UUID: f.a.uuid}, 1, 4)) && last(f.a).Number == 4)
}

func TestStopOfAnApplierThatWaitsForAcknowledgementsHangs(t *testing.T) {
	f := newTrio(t)
	f.b.blockApplier(true)
	f.written(f.a)
	f.b.enableSource()
	f.b.blockApplier(false)
	f.eventually("waiting", func() bool { return waiters(f.b) == 1 })
	stop := f.as(accountPrimacy, f.b, stopApplier)
	f.b.setSuperReadOnlyOff()
	closing := f.as(accountPrimacy, f.b, closeNow)
	f.stays("both hang", func() bool { return !stop.heard && !closing.heard && f.b.channel.applier.on })
	f.exec(f.b, sourceOff)
	f.eventually("both return", func() bool { return stop.ok() && closing.ok() })
	f.check("off", !f.b.channel.applier.on)
}

func TestAStalledDiskStopsTheApplier(t *testing.T) {
	f := newTrio(t)
	f.b.blockApplier(true)
	o := f.written(f.a)
	f.b.stallDisk()
	f.b.blockApplier(false)
	f.stays("received and not applied", func() bool { return f.b.unapplied() && !f.b.hasRow(o.row) })
	f.b.healDisk()
	f.arrives(f.b, o.row)
}

func TestWithoutWaitNoReplicaSemiSyncEndsWithItsLastAcker(t *testing.T) {
	f := newTrio(t)
	f.a.setWaitNoReplica(false)
	f.check("on while there are ackers", f.a.semiSync().SourceActive)
	f.stopAckers()
	f.pass(2 * goneAfter)
	f.check("off without", !f.a.semiSync().SourceActive)
	f.written(f.a)
}

func TestAFrozenServerTakesUpWhatCameMeanwhile(t *testing.T) {
	f := newTrio(t)
	f.exec(f.c, stopReceiver)
	f.b.freeze()
	o := f.write(f.a)
	silent := f.dial(f.b, accountPrimacy, announcement{})
	gone := f.dial(f.b, accountPrimacy, announcement{term: 9})
	gone.wire.close()
	f.stays("nothing comes back", func() bool { return !o.heard && !silent.heard })
	f.b.thaw()
	f.eventually("both are answered", func() bool { return o.ok() && silent.ok() })
	f.pass(10 * time.Millisecond)
	for _, g := range f.b.sessions() {
		f.check("no session of a client that gave up", g.says.term != 9)
	}
}

func TestAHostWithoutPowerIsSilentAndRefusesWhenItIsBack(t *testing.T) {
	f := newTrio(t)
	f.a.powerOff()
	o := f.dial(f.a, accountApp, announcement{})
	f.stays("silent", func() bool { return !o.heard })
	state, _ := f.b.receiver()
	f.check("its replicas do not know yet", state == topology.ThreadOn)
	f.a.powerOn()
	f.eventually("refused", func() bool { return errors.Is(o.err, errConnRefused) })
}

func TestARowThatIsThereUnderAnotherGTIDStopsTheApplier(t *testing.T) {
	f := newTrio(t)
	_, _ = f.b.errant(f.row+1, true)
	o := f.written(f.a)
	f.arrives(f.c, o.row)
	f.eventually("1062", func() bool { state, errno := f.b.applier(); return state == topology.ThreadOff && errno == 1062 })
	again := f.as(accountApp, f.a, func(on *guest, done func(error)) { on.server.write(on, o.row, done) })
	f.eventually("1062 for a client too", func() bool { return errors.Is(again.err, errDuplicateRow) })
}

func TestAReplicaThatKnowsMoreOfItsSourceThanTheSourceIsRefused(t *testing.T) {
	f := newTrio(t)
	f.written(f.a)
	uuid := f.a.uuid
	f.a.wipe()
	f.a.uuid = uuid
	f.a.boot()
	f.eventually("refused", func() bool {
		state, errno := f.b.receiver()
		return state == topology.ThreadOff && errno == int(errNoSource)
	})
}

func TestTwoServersOfOneIdentityDoNotReplicate(t *testing.T) {
	f := newTrio(t)
	f.exec(f.b, stopReceiver)
	f.b.serverID = f.a.serverID
	_ = f.b.startReceiver()
	f.eventually("refused", func() bool { _, errno := f.b.receiver(); return errno == int(errReplicaFatal) })
}

func TestAReceiverReadsTheReplicaSideAnewWhenItConnectsAgain(t *testing.T) {
	f := newTrio(t)
	f.exec(f.b, stopReceiver)
	f.b.setReplicaSide(false)
	_ = f.b.startReceiver()
	f.eventually("connected", func() bool { state, _ := f.b.receiver(); return state == topology.ThreadOn })
	f.b.setReplicaSide(true)
	f.c.setReplicaSide(false)
	f.stays("as they were started", func() bool { return !f.b.channel.receiver.semi && f.c.channel.receiver.semi })
	f.restart(f.a)
	f.eventually("one that began to acknowledge", f.b.channel.receiver.acknowledges)
	state, errno := f.c.receiver()
	f.check("one that was to stop gives up", state == topology.ThreadOff && errno == int(errReplicaFatal))
}

func TestALateApplierShowsItsLag(t *testing.T) {
	f := newTrio(t)
	f.b.delayApplier(2 * time.Second)
	o := f.written(f.a)
	f.pass(time.Second)
	lag := f.b.observe(epoch).Replication.Lag
	f.check("late", !f.b.hasRow(o.row) && lag > 900*time.Millisecond && lag < 1200*time.Millisecond)
	f.arrives(f.b, o.row)
	f.check("none left", f.b.observe(epoch).Replication.Lag == 0)
	f.b.delayApplier(0)
	f.b.slowApplier(300 * time.Millisecond)
	began := f.clock.now
	f.arrives(f.b, f.written(f.a).row)
	f.check("slow", f.clock.now-began > 300*time.Millisecond)
	f.b.failApplier(1032)
	state, errno := f.b.applier()
	f.check("failed", state == topology.ThreadOff && errno == 1032)
}

func TestWaitForExecutedGTIDSetEndsWithTheSetOrTheTime(t *testing.T) {
	f := newTrio(t)
	f.b.blockApplier(true)
	o := f.written(f.a)
	set := gtid.Of(last(f.a))
	wait := func(on *guest, done func(error)) { on.server.awaitExecuted(on, set, time.Second, done) }
	f.check("time over", errors.Is(f.exec(f.b, wait), errAwaitTimeout))
	waiting := f.as(accountPrimacy, f.b, wait)
	f.pass(10 * time.Millisecond)
	f.b.blockApplier(false)
	f.eventually("there", waiting.ok)
	f.check("applied", f.b.hasRow(o.row) && f.exec(f.b, wait) == nil)
}

func TestTheJournalTableReplicates(t *testing.T) {
	o := healthyOptions()
	o.NoJournal = true
	f := trioOf(t, 1, o)
	f.check("absent", !f.a.observe(epoch).Settings.JournalPresent)
	f.check("1146", errors.Is(f.exec(f.a, func(on *guest, done func(error)) { on.server.mark(on, decisionOf(1, f.a), done) }), errNoTable))
	f.check("made", f.exec(f.a, func(on *guest, done func(error)) { on.server.createJournal(on, done) }) == nil)
	f.eventually("everywhere", func() bool { return f.b.observe(epoch).Settings.JournalPresent })
}

func TestWhatReplicasForgetTheirSourceSendsAgainInItsOrder(t *testing.T) {
	f := newTrio(t)
	f.network.cutBoth(f.a.place, f.b.place)
	for range 5 {
		f.written(f.a)
	}
	f.pass(20 * time.Second)
	f.check("behind", !f.b.executed().Equal(f.a.executed()))
	f.network.healBoth(f.a.place, f.b.place)
	f.eventually("even", func() bool { return f.b.executed().Equal(f.a.executed()) })
	for i, e := range f.b.log.entries {
		f.check("the same order", e == f.a.log.entries[i])
	}
}

func TestAQuietWorldGivesNoFindings(t *testing.T) {
	f := newTrio(t)
	o := f.a.observe(epoch)
	f.check("verified", o.SemiSync.Verified() && o.SemiSync.Clients == 2 && o.Writable())
	f.check("both replicas are named", len(o.Replicas) == 2 && o.Replicas[0] == "B")
	s := topology.Snapshot{Cluster: "shop", At: epoch, Ruleset: topology.Ruleset{Number: 1, Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}}}
	for _, server := range f.hosts.all {
		o := server.observe(epoch)
		o.At = epoch
		s.Servers = append(s.Servers, o)
		s.Ruleset.Members = append(s.Ruleset.Members, topology.Member{Address: server.address, Zone: "x"})
	}
	lead := topology.Leadership{Decision: topology.Decision{Cluster: "shop", Term: 1, Primary: "A", PrimaryUUID: f.a.uuid, Incarnation: f.a.incarnation}, EstablishedAt: epoch}
	findings := topology.Analyze(s, topology.History{Leaderships: []topology.Leadership{lead}, Leaders: []gtid.UUID{f.a.uuid}},
		topology.Limits{SilentAfter: 2 * time.Second, StuckAfter: 5 * time.Second, LagMax: 10 * time.Second, IsolatedShare: 0.5}, epoch, nil)
	for _, finding := range findings {
		t.Errorf("%s: %s", finding.Code, finding.Message)
	}
}
