package sim

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
)

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

func TestWhatIsAppliedIsCountedAsUnacknowledgedOnlyIfItWaitedWhenTheSourceSideWentOff(t *testing.T) {
	for _, row := range []struct {
		name    string
		arrives bool
		counted int64
	}{
		{"it arrives first and waits", true, 1},
		{"the source side goes off first", false, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newTrio(t)
			f.b.blockApplier(true)
			o := f.written(f.a)
			before := f.b.unacked()
			f.b.enableSource()
			if row.arrives {
				f.b.blockApplier(false)
				f.eventually("waiting", func() bool { return waiters(f.b) == 1 })
			}
			f.exec(f.b, sourceOff)
			f.b.blockApplier(false)
			f.arrives(f.b, o.row)
			f.check("counted as the order says", f.b.unacked()-before == row.counted)
		})
	}
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

func TestWithoutWaitNoReplicaSemiSyncEndsWithItsLastAcker(t *testing.T) {
	f := newTrio(t)
	f.a.setWaitNoReplica(false)
	f.check("on while there are ackers", f.a.semiSync().SourceActive)
	f.stopAckers()
	f.pass(2 * goneAfter)
	f.check("off without", !f.a.semiSync().SourceActive)
	f.written(f.a)
}
