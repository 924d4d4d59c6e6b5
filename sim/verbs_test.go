package sim

import (
	"errors"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// marker is the command that writes the marker of a term on a server as it is now.
func (b *bench) marker(f *fleet, term uint32, server topology.Address) reparent.Command {
	s := b.at(server)
	d := topology.Decision{
		Cluster: "shop", Term: term, Kind: string(reparent.KindAdoption), Primary: server, PrimaryUUID: s.uuid, Incarnation: s.incarnation,
		Ruleset: 1, Base: s.executed(), Reached: b.rules.Servers(), Elector: f.elector, DecidedAt: f.process.Now().Truncate(time.Microsecond),
	}.Sealed()
	return reparent.Command{Verb: reparent.Mark, Server: server, Decision: d, Acks: b.rules.Policy.Acks}
}

// isolateAckers keeps A from hearing any acknowledgement.
func (b *bench) isolateAckers() {
	for _, m := range b.rules.Members[1:] {
		b.network.cutBoth(b.at("A").place, b.at(m.Address).place)
	}
	b.pass(time.Second)
}

func (b *bench) receives(a topology.Address) bool {
	state, _ := b.at(a).receiver()
	return state == topology.ThreadOn
}

func TestAFrozenReplicaAcknowledgesNothingMoreNotEvenAfterARestart(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	b.at("B").options.SkipReplicaStart = false
	r := b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Freeze, Server: "B"}))
	if r.Observation.Replication.Receiver != topology.ThreadOff || r.Observation.Replication.Applier != topology.ThreadOn {
		t.Errorf("it read back %+v", r.Observation.Replication)
	}
	if w := b.write("A", 1); w.kept {
		t.Error("a write on A was answered without its only acker")
	}
	b.at("B").kill()
	b.at("B").boot()
	b.pass(4 * time.Second)
	if b.receives("B") {
		t.Error("it receives again after a restart")
	}
}

func TestResumeUndoesFreezeUnlessTheReplicaStrayed(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Freeze, Server: "B"}))
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Freeze, Server: "C"}))
	if _, err := b.at("B").errant(9, true); err != nil {
		t.Fatal(err)
	}
	b.pass(10 * time.Millisecond)
	within := b.at("A").executed().Union(b.marker(f, 9, "A").Decision.Marker().Set())
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Resume, Server: "B", Within: within}), reparent.ReasonErrant)
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Resume, Server: "C", Within: within}))
	b.pass(10 * time.Millisecond)
	if b.receives("B") || !b.receives("C") {
		t.Errorf("B receives: %t, C: %t", b.receives("B"), b.receives("C"))
	}
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Resume, Server: "A"}), reparent.ReasonRefused)
}

func TestAReceiverThatIsAboutToBeStoppedHasNotBeenResumed(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Freeze, Server: "B"}))
	b.at("A").freeze()
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Resume, Server: "B"}))
	if r := b.one(f, 1, reparent.Command{Verb: reparent.Freeze, Server: "B", Deadline: 100 * time.Millisecond}); r.Outcome != reparent.Unknown {
		t.Fatalf("freeze: %s, and its connect hangs", r.Outcome)
	}
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Resume, Server: "B"}), reparent.ReasonRefused)
	b.pass(b.at("B").options.NetTimeout)
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Resume, Server: "B"}))
	b.at("A").thaw()
	b.pass(2 * b.at("B").options.NetTimeout)
	if !b.receives("B") {
		t.Error("it does not receive")
	}
}

func TestNothingIsSentAfterAStopOfTheApplierThatHasNotReturned(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.at("B").slowApplier(time.Second)
	b.write("A", 1)
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Freeze, Server: "B"}))
	b.at("B").fillDisk()
	b.pass(2 * time.Second)
	end := b.hosts.dial(b.at("B").place, "B", accountRoot, announcement{}, func(error) {})
	b.pass(20 * time.Millisecond)
	end.run(stopsApplier, func(error) {})
	b.pass(20 * time.Millisecond)
	if !applies(b.at("B")) || !b.at("B").unapplied() {
		t.Fatal("the applier does not hang")
	}
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Follow, Server: "B", Source: "C", Acker: true}), reparent.ReasonRefused)
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Resume, Server: "B"}), reparent.ReasonRefused)
	b.at("B").healDisk()
	b.pass(100 * time.Millisecond)
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Follow, Server: "B", Source: "A", Acker: true}))
}

func TestResumeStartsTheApplierTooWhereTheProcessCameUpWithoutReplication(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Freeze, Server: "B"}))
	b.at("B").kill()
	b.at("B").boot()
	b.pass(4 * time.Second)
	r := b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Resume, Server: "B"}))
	if r.Observation.Replication.Applier != topology.ThreadOn {
		t.Errorf("applier: %s", r.Observation.Replication.Applier)
	}
}

func TestAPoisonedLeaderCompletesNothingAndTheAntidoteLetsItGoOn(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Poison, Server: "B"}), reparent.ReasonNotSemiSync)
	b.at("A").setWaitNoReplica(false)
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Poison, Server: "A"}), reparent.ReasonNotSemiSync)
	b.at("A").setWaitNoReplica(true)
	r := b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Poison, Server: "A"}))
	if r.Observation.SemiSync.Acks != topology.PoisonAcks || !r.Observation.OfflineMode {
		t.Errorf("it read back %+v", r.Observation)
	}
	if w := b.write("A", 1); !errors.Is(w.value, errOffline) {
		t.Errorf("a client was told %v", w.value)
	}
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Antidote, Server: "A"}), reparent.ReasonRefused)
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Antidote, Server: "A", Acks: 1}))
	b.pass(3 * time.Second) // its replicas were cut off too, and try again
	if w := b.write("A", 2); !w.kept || w.value != nil {
		t.Errorf("a client was told %v (%t)", w.value, w.kept)
	}
}

func TestADemotedPrimaryIsClosedAndItsPositionFinal(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.write("A", 1)
	r := b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Demote, Server: "A", Offline: true, Deadline: time.Second}))
	if !r.Observation.SuperReadOnly || !r.Observation.OfflineMode || r.Observation.SemiSync.Waiters != 0 || !b.at("A").closed() {
		t.Errorf("it read back %+v", r.Observation)
	}
	again := b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Demote, Server: "A", Deadline: time.Second}))
	if !again.Observation.Executed.Equal(r.Observation.Executed) {
		t.Error("its position was not final")
	}
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Reopen, Server: "A", Incarnation: "another"}), reparent.ReasonRefused)
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Reopen, Server: "A", Incarnation: b.at("A").incarnation}))
	if w := b.write("A", 2); !w.kept || w.value != nil {
		t.Errorf("a client was told %v (%t)", w.value, w.kept)
	}
}

func TestADemotionThatCannotBeDoneInTimeIsUndone(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	b.isolateAckers()
	waiting := b.write("A", 1)
	r := b.no(b.one(f, 1, reparent.Command{Verb: reparent.Demote, Server: "A", Offline: true, Deadline: 300 * time.Millisecond}), reparent.ReasonDeadline)
	if r.Took < 300*time.Millisecond || r.Took > 400*time.Millisecond {
		t.Errorf("it took %s", r.Took)
	}
	a := b.at("A")
	if a.superReadOnly || a.readOnly || a.offline || len(a.closings) > 0 || waiting.value == nil && waiting.kept {
		t.Errorf("super_read_only %t, read_only %t, offline %t, %d closings, client told %v", a.superReadOnly, a.readOnly, a.offline, len(a.closings), waiting)
	}
}

func TestAFencedPrimaryTellsNobodyOKForWhatNobodyAcknowledged(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	b.isolateAckers()
	waiting := []*promise[error]{b.write("A", 1), b.write("A", 2)}
	r := b.yes(b.one(f, 2, reparent.Command{Verb: reparent.Fence, Server: "A", Deadline: 5 * time.Second}))
	o := r.Observation
	if !closed(o) || !o.OfflineMode || o.SemiSync.Waiters > 0 || o.SemiSync.SourceEnabled {
		t.Errorf("it read back %+v", o)
	}
	b.pass(time.Second)
	for i, w := range waiting {
		if w.kept && w.value == nil {
			t.Errorf("client %d was told OK", i)
		}
		if !b.at("A").hasRow(int64(i + 1)) {
			t.Errorf("row %d should be committed on A, where nobody can undo it", i+1)
		}
	}
	if r.Took < 900*time.Millisecond {
		t.Errorf("it took %s, though the source side takes a second to be switched off", r.Took)
	}
}

func TestAReplicaFollowsAnotherSourceAndLosesNothingThatItHasNotApplied(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.at("C").blockApplier(true)
	b.write("A", 1)
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Follow, Server: "C", Source: "B", Acker: true}))
	b.at("C").blockApplier(false)
	b.pass(100 * time.Millisecond)
	if o := b.observe(f)[2]; o.Replication.Source != "B" || o.Replication.Receiver != topology.ThreadOn || !b.at("C").hasRow(1) {
		t.Errorf("%+v, row: %t", o.Replication, b.at("C").hasRow(1))
	}
	again := b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Follow, Server: "C", Source: "B", Acker: true}))
	if again.Took > 3*time.Millisecond {
		t.Errorf("to do nothing it took %s", again.Took)
	}
}

func TestWhatCannotFollowIsRefused(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Follow, Server: "C", Source: "C"}), reparent.ReasonRefused)
	stray, err := b.at("C").errant(5, true)
	if err != nil {
		t.Fatal(err)
	}
	b.pass(10 * time.Millisecond)
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Follow, Server: "C", Source: "B", Within: b.at("A").executed().Union(gtid.MustParse("3e11fa47-71ca-11e1-9e33-c80aa9429562:1"))}), reparent.ReasonErrant)
	if !b.at("C").executed().Has(stray.gtid) {
		t.Fatal("the stray write is not there")
	}
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Follow, Server: "C", Source: "A", Acker: true, Within: b.marker(f, 9, "A").Decision.Marker().Set()}), reparent.ReasonErrant)
	b.isolateAckers()
	b.write("A", 1)
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Follow, Server: "A", Source: "B"}), reparent.ReasonWaiters)
	b.at("B").failApplier(1062)
	b.healed()
	b.write("A", 2)
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Follow, Server: "B", Source: "C"}), reparent.ReasonUnapplied)
}

func (b *bench) healed() {
	b.network.healAll()
	b.pass(3 * time.Second)
}

func TestAFormerPrimaryFollowsAndItsSourceSideIsSwitchedOffAfterwards(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Demote, Server: "A", Offline: true, Deadline: time.Second}))
	r := b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Follow, Server: "A", Source: "B", Acker: true}))
	o := r.Observation
	if o.SemiSync.SourceEnabled || o.OfflineMode || !o.SuperReadOnly || o.Replication == nil || o.Replication.Source != "B" || r.Detail == "" {
		t.Errorf("it read back %+v, %q", o, r.Detail)
	}
}

func TestCatchingUpIsAwaitedOrRefusedWithItsReason(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.at("B").blockApplier(true)
	b.write("A", 1)
	set := b.at("A").executed()
	await := reparent.Command{Verb: reparent.AwaitApplied, Server: "B", Set: set, Deadline: 600 * time.Millisecond}
	if r := b.no(b.one(f, 1, await), reparent.ReasonDeadline); r.Took > 610*time.Millisecond || r.Took < 550*time.Millisecond {
		t.Errorf("it took %s", r.Took)
	}
	b.clock.after(300*time.Millisecond, func() { b.at("B").blockApplier(false) })
	if r := b.yes(b.one(f, 1, await)); r.Took > 320*time.Millisecond {
		t.Errorf("it took %s", r.Took)
	}
	b.at("C").failApplier(1062)
	b.write("A", 2)
	await.Server, await.Set = "C", b.at("A").executed()
	if r := b.no(b.one(f, 1, await), reparent.ReasonUnapplied); r.Took > 300*time.Millisecond {
		t.Errorf("it took %s", r.Took)
	}
}

func TestAckersAreAwaited(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.AwaitAckers, Server: "A", Acks: 2}))
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.AwaitAckers, Server: "B", Acks: 1, Deadline: 100 * time.Millisecond}), reparent.ReasonDeadline)
	results := b.do(f, 1, reparent.Command{Verb: reparent.AwaitAckers, Server: "B", Acks: 1},
		reparent.Command{Verb: reparent.Follow, Server: "C", Source: "B", Acker: true})
	b.yes(results[0])
	b.yes(results[1])
}

func TestCommitsThatNeedNotWaitAreLetGo(t *testing.T) {
	b := newBench(t, 3, 2)
	f := b.elector("one")
	b.at("A").enableSource()
	b.at("A").setAcks(3)
	client := b.write("A", 1)
	off := reparent.Command{Verb: reparent.DisableSource, Server: "A", Release: true, Incarnation: "another"}
	b.no(b.one(f, 1, off), reparent.ReasonRefused)
	off.Incarnation = b.at("A").incarnation
	b.at("A").setAcks(topology.PoisonAcks)
	b.no(b.one(f, 1, off), reparent.ReasonWaiters)
	b.at("A").setAcks(3)
	b.yes(b.one(f, 1, off))
	if !client.kept || b.at("A").semi.source {
		t.Error("its commit still waits")
	}
}

func TestOnlyTheApplierOfAClosedServerIsLetThroughWithoutAcknowledgements(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	off := reparent.Command{Verb: reparent.DisableSource, Server: "B"}
	seen := func() *topology.Observation {
		read := b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Read, Server: "B"}))
		return &read.Observation
	}
	b.at("B").enableSource()
	b.at("B").setSuperReadOnlyOff()
	b.write("A", 1)
	if seen().OnlyApplierWaits() || !seen().Stall.ApplierWaits {
		t.Errorf("it is not closed: %+v", seen())
	}
	b.no(b.one(f, 1, off), reparent.ReasonWaiters)
	b.at("B").setReadOnlyOff()
	client := b.write("B", 2)
	b.at("B").readOnly, b.at("B").superReadOnly = true, true // which no server shows while a client's commit waits
	if seen().OnlyApplierWaits() {
		t.Errorf("a client waits behind the applier: %+v", seen().Stall)
	}
	b.no(b.one(f, 1, off), reparent.ReasonWaiters)
	if client.kept {
		t.Fatal("the client has heard already")
	}

	b = newBench(t, 3, 1)
	f = b.elector("one")
	b.at("B").enableSource()
	b.write("A", 1)
	if !seen().OnlyApplierWaits() {
		t.Errorf("only the applier waits: %+v", seen())
	}
	if o := b.yes(b.one(f, 1, off)).Observation; o.SemiSync.SourceEnabled || o.SemiSync.Waiters > 0 || !o.Executed.Contains(b.at("A").executed()) {
		t.Errorf("it read back %+v, executed %s", o.SemiSync, o.Executed)
	}
}

func TestTheSourceSideIsEnabledOnlyAfterCatchingUp(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.at("B").options.Timeout = 10 * time.Second
	b.at("B").setTimeout(10 * time.Second)
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.PrepareSource, Server: "B", Acks: 2}))
	if s := b.at("B").semi; s.source || s.acks != 2 || s.timeout != timeoutMax {
		t.Errorf("prepared: %+v", s)
	}
	b.at("B").blockApplier(true)
	b.write("A", 1)
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.EnableSource, Server: "B", Acks: 1}), reparent.ReasonUnapplied)
	b.at("B").blockApplier(false)
	b.pass(10 * time.Millisecond)
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.EnableSource, Server: "B", Acks: topology.PoisonAcks}), reparent.ReasonRefused)
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.EnableSource, Server: "B", Acks: 1}))
	if s := b.at("B").semi; !s.source || s.acks != 1 {
		t.Errorf("enabled: %+v", s)
	}
	b.isolateAckers()
	b.write("A", 2)
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.DisableSource, Server: "A"}), reparent.ReasonWaiters)
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.DisableSource, Server: "B"}))
	if b.at("B").semi.source {
		t.Error("it is still on")
	}
}

// candidate is B after its freeze: closed, caught up, C attached, its source side on.
func (b *bench) candidate(f *fleet) reparent.Command {
	b.write("A", 99)
	b.yes(b.one(f, 2, reparent.Command{Verb: reparent.Poison, Server: "A"}))
	b.yes(b.one(f, 2, reparent.Command{Verb: reparent.Freeze, Server: "B"}))
	b.yes(b.one(f, 2, reparent.Command{Verb: reparent.Follow, Server: "C", Source: "B", Acker: true}))
	b.yes(b.one(f, 2, reparent.Command{Verb: reparent.PrepareSource, Server: "B", Acks: 1}))
	b.yes(b.one(f, 2, reparent.Command{Verb: reparent.EnableSource, Server: "B", Acks: 1}))
	mark := b.marker(f, 2, "B")
	mark.Decision.Kind = string(reparent.KindEmergency)
	mark.Decision = mark.Decision.Sealed()
	mark.Within = b.at("B").position().Union(mark.Decision.Marker().Set())
	return mark
}

func TestAMarkerIsDurableWhenTheCommandReturnsAndOnlyThenOthersMayWrite(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	mark := b.candidate(f)
	statements := 0
	f.sending = func(topology.Address, reparent.Verb, int) { statements++ }
	b.yes(b.one(f, 2, mark))
	if statements != 5 { // state, source side, super_read_only off, the marker, source side again
		t.Errorf("it took %d statements, though everything was made ready beforehand", statements)
	}
	marker := mark.Decision.Marker().GTID()
	if !b.at("B").executed().Has(marker) || !b.at("C").position().Has(marker) || !b.at("B").readOnly || b.at("B").superReadOnly {
		t.Errorf("B: %s, C: %s, read_only %t", b.at("B").executed(), b.at("C").position(), b.at("B").readOnly)
	}
	if w := b.write("B", 1); !errors.Is(w.value, errReadOnlyOption) {
		t.Errorf("a client was told %v", w.value)
	}
	again := b.yes(b.one(f, 2, mark))
	if again.Took > 5*time.Millisecond {
		t.Errorf("a second time it took %s", again.Took)
	}
	b.yes(b.one(f, 2, reparent.Command{Verb: reparent.Open, Server: "B", Acks: 1, Incarnation: b.at("B").incarnation}))
	if w := b.write("B", 2); !w.kept || w.value != nil {
		t.Errorf("a client was told %v (%t)", w.value, w.kept)
	}
	var decisions []topology.Decision
	b.run(f, func() { decisions, _ = f.Journal(t.Context(), "C") })
	if len(decisions) != 1 || decisions[0].Hash != mark.Decision.Hash || !decisions[0].Intact() {
		t.Errorf("the journal holds %+v", decisions)
	}
}

func TestAMarkerIsRefusedWhereItWouldNotProveAnything(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	mark := b.candidate(f)
	for _, row := range []struct {
		name   string
		change func(*reparent.Command)
		world  func()
		reason reparent.Reason
	}{
		{name: "another process", change: func(c *reparent.Command) { c.Decision.Incarnation = "other"; c.Decision = c.Decision.Sealed() }, reason: reparent.ReasonRefused},
		{name: "a hash that is wrong", change: func(c *reparent.Command) { c.Decision.Hash = "00" }, reason: reparent.ReasonRefused},
		{name: "another server", change: func(c *reparent.Command) { c.Decision.Primary = "C"; c.Decision = c.Decision.Sealed() }, reason: reparent.ReasonRefused},
		{name: "more than it may hold", change: func(c *reparent.Command) { c.Within = c.Decision.Marker().Set() }, reason: reparent.ReasonErrant},
		{name: "more acks than awaited", change: func(c *reparent.Command) { c.Acks = 2 }, reason: reparent.ReasonNotSemiSync},
		{name: "a writable server", change: func(*reparent.Command) {}, world: func() { b.at("B").setReadOnlyOff() }, reason: reparent.ReasonRefused},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := mark
			row.change(&c)
			if row.world != nil {
				row.world()
			}
			r := b.one(f, 2, c)
			if r.Outcome != reparent.No || r.Reason != row.reason {
				t.Errorf("it is %s %s (%s)", r.Outcome, r.Reason, r.Detail)
			}
			if row.world == nil && !b.at("B").closed() {
				t.Error("it was left open for writes")
			}
			b.at("B").readOnly, b.at("B").superReadOnly = true, true
		})
	}
	if b.at("B").position().Has(mark.Decision.Marker().GTID()) {
		t.Error("the marker is there")
	}
}

func TestAMarkerThatWaitsIsAwaitedByTheNextAttempt(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	mark := b.candidate(f)
	b.network.cutBoth(b.at("B").place, b.at("C").place)
	b.pass(time.Second)
	mark.Deadline = 200 * time.Millisecond
	b.must(b.one(f, 2, mark), reparent.Unknown, reparent.ReasonDeadline)
	b.must(b.one(f, 2, mark), reparent.Unknown, reparent.ReasonDeadline)
	mark.Deadline = 10 * time.Second
	b.network.healBoth(b.at("B").place, b.at("C").place)
	b.yes(b.one(f, 2, mark))
	if !b.at("B").executed().Has(mark.Decision.Marker().GTID()) {
		t.Error("the marker is not committed")
	}
}

func TestAServerIsOpenedOnlyAsTheProcessThatWasMeantAndWithItsCommitsWaiting(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.yes(b.one(f, 2, b.candidate(f)))
	open := reparent.Command{Verb: reparent.Open, Server: "B", Acks: 1, Incarnation: "other"}
	b.no(b.one(f, 2, open), reparent.ReasonRefused)
	open.Incarnation, open.Acks = b.at("B").incarnation, 2
	b.no(b.one(f, 2, open), reparent.ReasonNotSemiSync)
	if !b.at("B").readOnly {
		t.Error("it was opened")
	}
}

func TestDetachStopsAReceiverOfWhichNothingIsAppliedAnyMore(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.at("B").failApplier(int(errDuplicateRow))
	b.write("A", 1)
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Detach, Server: "B"}), reparent.ReasonUnapplied)
	if b.receives("B") || !b.at("B").unapplied() {
		t.Errorf("it receives: %t, and keeps what it received: %t", b.receives("B"), b.at("B").unapplied())
	}
}

func TestDetachForgetsTheSourceUnlessSomethingWouldBeLost(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.at("B").blockApplier(true)
	b.write("A", 1)
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Detach, Server: "B"}), reparent.ReasonUnapplied)
	if !b.receives("B") {
		t.Error("its receiver was stopped all the same")
	}
	b.at("B").blockApplier(false)
	b.pass(10 * time.Millisecond)
	if r := b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Detach, Server: "B"})); r.Observation.Replication != nil {
		t.Errorf("it read back %+v", r.Observation.Replication)
	}
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Detach, Server: "B"}))
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Follow, Server: "B", Source: "A", Acker: true}))
}

func TestTheJournalIsCreatedOnceOnAWritablePrimary(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	for _, s := range b.hosts.all {
		s.journal = false
	}
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.CreateJournal, Server: "B"}), reparent.ReasonRefused)
	b.no(b.one(f, 1, b.marker(f, 1, "A")), reparent.ReasonError)
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.CreateJournal, Server: "A"}))
	b.pass(10 * time.Millisecond)
	before := b.at("A").executed()
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.CreateJournal, Server: "A"}))
	if !b.at("B").journal || !b.at("A").executed().Equal(before) {
		t.Error("it did not replicate, or was created twice")
	}
}

func TestAnUnknownVerbIsRefused(t *testing.T) {
	b := newBench(t, 2, 1)
	b.no(b.one(b.elector("one"), 1, reparent.Command{Verb: "dance", Server: "A"}), reparent.ReasonRefused)
}

func TestNobodyReadsAVariableWhileTheSourceSideIsSwitchedOff(t *testing.T) {
	b := newBench(t, 3, 1)
	one, two := b.elector("one"), b.elector("two")
	var took time.Duration
	b.clock.after(100*time.Millisecond, func() {
		one.process.spawn(func() { took = one.Probe(t.Context(), "A").Latency })
	})
	r := b.yes(b.one(two, 1, reparent.Command{Verb: reparent.DisableSource, Server: "A"}))
	b.pass(100 * time.Millisecond)
	if r.Took < 900*time.Millisecond || took < 800*time.Millisecond || took > 950*time.Millisecond {
		t.Errorf("it took %s, and a probe that came a moment later %s", r.Took, took)
	}
	b.observe(one)
	b.yes(b.one(two, 1, reparent.Command{Verb: reparent.EnableSource, Server: "A", Acks: 1}))
	two.process.spawn(func() { // a server that dies meanwhile makes nobody wait after its start
		two.Do(t.Context(), orchestrator.Batch{Commands: []reparent.Command{{Verb: reparent.DisableSource, Server: "A", Cluster: "shop", Term: 2}}})
	})
	b.pass(300 * time.Millisecond)
	b.at("A").kill()
	b.at("A").boot()
	b.pass(3 * time.Second)
	if o := b.observe(one)[0]; !o.OK() || o.Latency > 2*time.Millisecond {
		t.Errorf("%s after %s", o.Reach, o.Latency)
	}
}

func TestAWriteThatStraysInBetweenIsNoticedByTheServerItself(t *testing.T) {
	const start = 10 // the statement that starts the receiver
	for at := 1; ; at++ {
		b := newBench(t, 3, 1)
		f := b.elector("one")
		b.write("A", 1)
		statements := 0
		f.sending = func(topology.Address, reparent.Verb, int) {
			if statements++; statements == at {
				_, _ = b.at("C").errant(5, true)
				b.at("C").superReadOnly = true
			}
		}
		r := b.one(f, 1, reparent.Command{Verb: reparent.Follow, Server: "C", Source: "B", Acker: true, Within: b.at("A").executed()})
		if statements < at {
			if at <= start {
				t.Errorf("it has %d statements only", statements)
			}
			return
		}
		if at <= start {
			b.no(r, reparent.ReasonErrant)
		}
		if at < start-1 && b.at("C").channel.source != "A" {
			t.Errorf("strayed before statement %d, its source was changed", at)
		}
		if state, _ := b.at("C").receiver(); at > 6 && at <= start && state != topology.ThreadOff {
			t.Errorf("strayed before statement %d, it receives", at)
		}
	}
}

func TestAWritableServerIsClosedBeforeItFollows(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.at("C").setReadOnlyOff()
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Follow, Server: "C", Source: "B", Acker: true}))
	if !b.at("C").closed() {
		t.Error("it is open")
	}
	// Opened by hand right before it would start, it does not.
	statements := 0
	f.sending = func(topology.Address, reparent.Verb, int) {
		if statements++; statements == 8 {
			b.at("C").setReadOnlyOff()
		}
	}
	b.no(b.one(f, 1, reparent.Command{Verb: reparent.Follow, Server: "C", Source: "A", Acker: true}), reparent.ReasonRefused)
	if b.receives("C") {
		t.Error("it receives although it is writable")
	}
}

func TestAServerWhereSuperReadOnlyStandsAloneIsReallyClosed(t *testing.T) {
	for _, c := range []reparent.Command{
		{Verb: reparent.Demote, Server: "A"}, {Verb: reparent.Fence, Server: "A"},
		{Verb: reparent.Follow, Server: "C", Source: "A", Acker: true}, {Verb: reparent.Follow, Server: "C", Source: "B", Acker: true},
	} {
		b := newBench(t, 3, 1)
		s := b.at(c.Server)
		s.readOnly, s.superReadOnly = false, true
		c.Deadline = 5 * time.Second
		if r := b.yes(b.one(b.elector("one"), 1, c)); !r.Observation.Closed() || !s.closed() {
			t.Errorf("%s: read_only %t, super_read_only %t", c, s.readOnly, s.superReadOnly)
		}
	}
}

func TestAFencedServerHasNoSourceSideEitherWhenNothingWaited(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	r := b.yes(b.one(f, 2, reparent.Command{Verb: reparent.Fence, Server: "A", Deadline: 5 * time.Second}))
	if r.Observation.SemiSync.SourceEnabled || !r.Observation.OfflineMode || !b.at("A").closed() {
		t.Errorf("it read back %+v", r.Observation)
	}
}

func TestACommitOfSomebodyOutOfReachStopsTheFence(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	b.isolateAckers()
	ended := b.clock.promise()
	root := b.hosts.dial(b.network.join("root"), "A", accountRoot, announcement{}, func(error) {})
	b.pass(5 * time.Millisecond)
	root.run(func(on *guest, done func(error)) { on.server.write(on, 1, done) }, ended.keep)
	b.pass(5 * time.Millisecond)
	b.no(b.one(f, 2, reparent.Command{Verb: reparent.Fence, Server: "A", Deadline: time.Second}), reparent.ReasonWaiters)
	b.pass(time.Second)
	if ended.kept || len(b.at("A").closings) != 0 || !b.at("A").semi.source {
		t.Errorf("it was told %v (%t), %d statements wait for the lock, source side %t", ended.value, ended.kept, len(b.at("A").closings), b.at("A").semi.source)
	}
	root.close()
	b.yes(b.one(f, 2, reparent.Command{Verb: reparent.Fence, Server: "B", Deadline: time.Second}))
}

func TestAMarkerThatNobodyAcknowledgedIsInDoubtThoughItsCommitReturned(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	mark := b.candidate(f)
	b.network.cutBoth(b.at("B").place, b.at("C").place)
	b.pass(time.Second)
	b.clock.after(100*time.Millisecond, func() { b.at("B").fallBack() })
	r := b.must(b.one(f, 2, mark), reparent.Unknown, reparent.ReasonNotSemiSync)
	if !b.at("B").executed().Has(mark.Decision.Marker().GTID()) || r.Took > time.Second {
		t.Errorf("after %s B holds %s", r.Took, b.at("B").executed())
	}
}

func TestTwoDecisionsOfOneTermAreNotBothMarked(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	mark := b.candidate(f)
	b.yes(b.one(f, 2, mark))
	mark.Decision.Base = gtid.Set{}
	mark.Decision, mark.Within = mark.Decision.Sealed(), gtid.Set{}
	b.no(b.one(f, 2, mark), reparent.ReasonFenced)
}
