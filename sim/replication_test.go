package sim

import (
	"errors"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
)

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

// STOP has told the thread to end, which it does before it connects again.
func TestAReceiverThatIsBeingStoppedWhileItsDiskIsStuckConnectsNoMore(t *testing.T) {
	f := newTrio(t)
	f.b.fillDisk()
	f.write(f.a)
	f.eventually("waiting for the disk", func() bool { return len(f.b.channel.receiver.unsaved) > 0 })
	o := f.as(accountPrimacy, f.b, stopReceiver)
	f.pass(100 * time.Millisecond)
	f.check("hanging", !o.heard)
	f.restart(f.a)
	f.pass(5 * time.Second)
	state, _ := f.b.receiver()
	f.check("off", state == topology.ThreadOff && !o.heard)
	f.b.healDisk()
	f.eventually("stopped", o.ok)
	f.check("startable", f.b.startReceiver() == nil)
	f.eventually("receives", func() bool { state, _ := f.b.receiver(); return state == topology.ThreadOn })
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
	f.b.clone("A", always, func(err error) { cloned = err == nil })
	f.eventually("cloned", func() bool { return cloned })
	f.check("whole", f.b.executed().Equal(f.a.executed()) && f.b.hasRow(o.row) && f.b.state == processUp)
	f.b.follows("A", true)
	f.arrives(f.b, f.written(f.a).row)
}

func always() bool { return true }

func TestAServerIsNotReplacedByACloneWhenWhoBeganItHasSecondThoughts(t *testing.T) {
	f := newTrio(t)
	before := f.b.uuid
	var why error
	f.b.clone("A", func() bool { return false }, func(err error) { why = err })
	f.eventually("given up", func() bool { return why != nil })
	f.check("as it was", f.b.uuid == before && f.b.state == processUp && errors.Is(why, errKept))
}

func TestNoTwoLivesOfAServerHaveTheSameIdentity(t *testing.T) {
	f := newTrio(t)
	seen := map[any]bool{f.b.uuid: true}
	for i := range 6 {
		if i%2 == 0 {
			f.b.renew()
		} else {
			f.b.wipe()
		}
		if seen[f.b.uuid] {
			t.Errorf("%s is used again", f.b.uuid)
		}
		seen[f.b.uuid] = true
	}
}

func TestAServerThatAPersonAttachesTwiceHasOneReceiverAndKeepsWhatItHasNotApplied(t *testing.T) {
	f := newTrio(t)
	f.exec(f.b, stopApplier)
	o := f.written(f.a)
	f.eventually("received", f.b.unapplied)
	for range 2 {
		f.exec(f.b, func(on *guest, done func(error)) { f.b.attach("A")(on, done) })
	}
	f.arrives(f.b, o.row)
	f.eventually("connected", func() bool { return f.b.channel.receiver.state == receiverOn })
	f.pass(time.Second)
	first := f.b.channel.receiver.dump
	for range 5 {
		f.arrives(f.b, f.written(f.a).row)
	}
	f.check("one connection all the while", f.b.channel.receiver.dump == first && first != nil)
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
