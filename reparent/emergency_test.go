package reparent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// emergency begins a change in a world, as it is now.
func (w *world) emergency() Operation {
	return Emergency(clearance(true), w.intent(), w.now())
}

func commandsOf(step Step, v Verb) []Command {
	return slices.DeleteFunc(slices.Clone(step.Commands), func(c Command) bool { return c.Verb != v })
}

func TestWithoutAClearanceNothingBegins(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	w.servers["A"].crash()
	other, _, _ := antiflap.Settings{}.Clear(antiflap.Request{Cluster: "other", Operator: "alice"}, antiflap.Cluster{}, antiflap.Fleet{})
	for _, c := range []antiflap.Clearance{{}, other} {
		op := Emergency(c, w.intent(), w.now())
		if op.State != StateBlocked || code(op.Obstacle) != "no_clearance" {
			t.Errorf("cleared for %q: %s %+v", c.Cluster(), op.State, op.Obstacle)
		}
	}
}

func TestADeadPrimaryIsReplaced(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	x := w.write("A")
	w.servers["A"].crash()
	op := w.must(t, w.emergency())
	if op.State != StateSucceeded || op.To != "B" || !op.Decision.Base.Has(x) || !w.completes(w.servers["B"]) {
		t.Errorf("%s leading %s: %+v", op.State, op.To, op.Obstacle)
	}
	if op.GapFrom.IsZero() || !op.GapTo.After(op.GapFrom) || op.GapFrom.After(op.MarkedAt) {
		t.Errorf("gap from %s to %s", op.GapFrom, op.GapTo)
	}
	if w.completes(w.servers["A"]) || w.servers["C"].source != "B" {
		t.Error("A can go on, or C does not follow B")
	}
}

func TestEveryMemberIsFrozenAndEveryLeaderSilencedFirst(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	w.cut = topology.Servers("C")
	step := w.emergency().Next()
	if step.Done {
		w.cut = topology.ServerSet{}
		step = w.emergency().Next()
	}
	var got []string
	for _, c := range step.Commands {
		got = append(got, c.String())
	}
	if want := []string{"A: poison", "A: freeze", "B: freeze", "C: freeze"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if !step.SaveFirst {
		t.Error("the intent has to be on record before anything is frozen")
	}
}

func TestHowALeaderIsSilenced(t *testing.T) {
	rows := []struct {
		name    string
		change  func(*topology.Observation)
		verb    Verb
		offline bool
	}{
		{"it serves", func(*topology.Observation) {}, Poison, false},
		{"it serves without semi-sync, so nothing poisons it", func(o *topology.Observation) { o.SemiSync.SourceEnabled = false }, Demote, true},
		{"it came back closed", func(o *topology.Observation) {
			o.ReadOnly, o.SuperReadOnly, o.SemiSync.SourceEnabled = true, true, false
		}, Demote, false},
		{"its marker waits", func(o *topology.Observation) { o.ReadOnly, o.SemiSync.Waiters = true, 1 }, Poison, false},
		{"super_read_only hangs on it", func(o *topology.Observation) { o.ReadOnly, o.SuperReadOnly, o.Stall.ReadOnlyWait = true, true, true }, Poison, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			op := revoking(intentOf(topologytest.Cluster("A", "B", "C").Edit("A", row.change)))
			c := op.Next().Commands[0]
			if c.Server != "A" || c.Verb != row.verb || c.Offline != row.offline {
				t.Errorf("%s, offline %t", c, c.Offline)
			}
		})
	}
}

// applierWaits lets a closed server wait for acknowledgements in its applier.
func applierWaits(o *topology.Observation) {
	o.ReadOnly, o.SuperReadOnly, o.Stall.ApplierWaits = true, true, true
	o.SemiSync = topology.SemiSync{Installed: true, SourceEnabled: true, SourceActive: true, AfterSync: true, WaitNoReplica: true,
		Timeout: topologytest.TimeoutMax, Acks: 1, Waiters: 1, ReplicaEnabled: true}
}

func TestAClosedServerOnWhichOnlyItsApplierWaitsIsLetThroughOnceItIsFrozenAndMayFollow(t *testing.T) {
	rows := []struct {
		name     string
		change   func(*topology.Observation)
		commands []string
		may      bool
	}{
		{"only its applier waits", applierWaits, []string{"A: freeze", "A: disable_source", "A: demote", "B: freeze", "C: freeze"}, true},
		{"somebody else waits there too", func(o *topology.Observation) { applierWaits(o); o.Stall.ApplierWaits = false },
			[]string{"A: poison", "A: freeze", "B: freeze", "C: freeze"}, false},
		{"it is not closed for everybody", func(o *topology.Observation) { applierWaits(o); o.SuperReadOnly = false },
			[]string{"A: poison", "A: freeze", "B: freeze", "C: freeze"}, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			in := intentOf(topologytest.Cluster("A", "B", "C").Acks(2).Edit("A", row.change))
			op := revoking(in)
			var got []string
			for _, c := range op.Next().Commands {
				got = append(got, c.String())
			}
			if !slices.Equal(got, row.commands) {
				t.Errorf("%q", got)
			}
			if obstacle := op.forecast(&in); row.may != (obstacle == nil) {
				t.Errorf("two have to follow: %+v", obstacle)
			}
		})
	}
}

func TestAReplicaOnWhichOnlyItsApplierWaitsIsLetThroughTooAndWhatItReadsBackCounts(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C").Acks(1).Dead("A").Edit("B", applierWaits))
	op := Emergency(clearance(true), in, topologytest.Now)
	step := op.Next()
	results := make([]Result, len(step.Commands))
	for i, c := range step.Commands {
		o := in.Snapshot.Server(c.Server)
		results[i] = Result{Outcome: Yes, Observation: *o}
		switch {
		case c.Server == "A":
			results[i] = no(ReasonUnreachable)
		case c.Verb == DisableSource:
			o.SemiSync.SourceEnabled, o.SemiSync.Waiters = false, 0
			results[i].Observation = *o
		}
	}
	if got := commandsOf(step, DisableSource); len(got) != 1 || got[0].Server != "B" {
		t.Fatalf("%v", step.Commands)
	}
	op = op.Apply(results, topologytest.Now)
	if op.To == "" || op.Progress["B"].Reading.SemiSync.Waiters != 0 || op.Progress["B"].Frozen != Yes {
		t.Errorf("%s to %q: %+v", op.Phase, op.To, op.Obstacle)
	}
}

func TestRevocationIsNotWaitedForOnceItIsProven(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C", "D", "E").Acks(2).Dead("A"))
	op := Emergency(clearance(true), in, topologytest.Now)
	results := make([]Result, len(op.Next().Commands))
	enough := -1
	for i, c := range op.Next().Commands {
		results[i] = Result{Outcome: Yes, Observation: *in.Snapshot.Server(c.Server)}
		if c.Server == "A" {
			results[i] = no(ReasonUnreachable)
		}
		if enough < 0 && op.Enough(op.Next().Commands, results) {
			enough = i
		}
	}
	if c := op.Next().Commands[enough]; c.Server != "D" {
		t.Errorf("enough once %s is done; B, C and D prove it", c)
	}
}

func TestUnknownIsNeverTakenForFrozen(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C").Acks(1).Dead("A"))
	op := Emergency(clearance(true), in, topologytest.Now)
	op = op.Apply([]Result{no(ReasonUnreachable), {Outcome: Skipped}, {Outcome: Yes, Observation: *in.Snapshot.Server("B")}}, topologytest.Now)
	if op.Phase != PhaseReleasing || code(op.Obstacle) != "not_revoked" {
		t.Fatalf("%s %+v", op.Phase, op.Obstacle)
	}
	if got := commandsOf(op.Next(), Resume); len(got) != 2 {
		t.Errorf("B was frozen and C may have been: %v", op.Next().Commands)
	}
}

func TestAFrozenServerWithoutAReadingIsNoEvidence(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C").Acks(1).Dead("A"))
	op := Emergency(clearance(true), in, topologytest.Now)
	yesWithNothing := Result{Outcome: Yes}
	op = op.Apply([]Result{no(ReasonUnreachable), {Outcome: Skipped}, {Outcome: Yes, Observation: *in.Snapshot.Server("B")}, yesWithNothing}, topologytest.Now)
	if code(op.Obstacle) != "not_discovered" {
		t.Errorf("%+v", op.Obstacle)
	}
}

func TestAFencedResultStopsWithoutReleasing(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C").Acks(1).Dead("A"))
	op := Emergency(clearance(true), in, topologytest.Now)
	op = op.Apply([]Result{no(ReasonUnreachable), {Outcome: Skipped}, {Outcome: Yes, Observation: *in.Snapshot.Server("B")}, no(ReasonFenced)}, topologytest.Now)
	if op.State != StateFailed || code(op.Obstacle) != "fenced" || !op.Next().Done {
		t.Errorf("%s %s %+v", op.State, op.Phase, op.Obstacle)
	}
}

func TestBeingFencedAfterEstablishmentIsNoFailure(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	w.servers["A"].crash()
	e := &elector{world: w, name: "elector-1", dies: func(_ int, p Phase, _ string) bool { return p == PhaseReconciling }}
	op, _ := e.run(w.emergency())
	op = op.Apply([]Result{no(ReasonFenced)}, w.now())
	if l, _ := op.Leadership(); op.State != StateSucceeded || !l.Established() {
		t.Errorf("%s, established %s", op.State, l.EstablishedAt)
	}
}

func TestFollowersOfACandidateThatWasGivenUpDoNotCountForTheNext(t *testing.T) {
	w := newWorld(1, "A", "B", "C", "D")
	w.servers["A"].crash()
	w.servers["B"].lazy, w.servers["C"].lazy, w.servers["D"].lazy = false, false, false
	op := w.emergency()
	in := op.Next()
	e := &elector{world: w, name: "elector-1"}
	op = op.Apply(e.send(op, in), w.now())
	for range propagateTries {
		step := op.Next()
		results := e.send(op, step)
		for i, c := range step.Commands {
			if c.Verb == AwaitApplied {
				results[i] = no(ReasonDeadline)
			}
		}
		op = op.Apply(results, w.now())
	}
	if op.To != "C" || op.Phase != PhasePropagating || !op.attached().IsEmpty() {
		t.Fatalf("%s in %s, attached %s", op.To, op.Phase, op.attached())
	}
	for _, c := range commandsOf(op.Next(), Follow) {
		if c.Source != "C" {
			t.Errorf("%s", c)
		}
	}
	if op = w.must(t, op); op.State != StateSucceeded || w.servers["D"].source != "C" {
		t.Errorf("%s, D follows %s", op.State, w.servers["D"].source)
	}
}

func TestABacklogIsWaitedForAsLongAsItShrinks(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	for range 20 {
		w.servers["B"].lazy, w.servers["C"].lazy = true, true
		w.write("A")
	}
	w.servers["A"].crash()
	e := &elector{world: w, name: "elector-1"}
	op := w.emergency()
	op = op.Apply(e.send(op, op.Next()), w.now())
	for round := 0; op.Phase == PhasePropagating; round++ {
		if round > 30 || op.To != "B" {
			t.Fatalf("round %d, candidate %s", round, op.To)
		}
		op = op.Apply(e.send(op, op.Next()), w.now())
		s := w.servers["B"]
		s.lazy = false
		s.apply()
		s.lazy = true
	}
	if op.Phase != PhaseMarking {
		t.Errorf("%s %+v", op.Phase, op.Obstacle)
	}
}

func TestAcceptedLossIsOnRecord(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Acks(1).Silent("A").Positions("A:1-99, t1", "B", "C")
	in := intentOf(b)
	in.AcceptLoss = true
	op := Emergency(clearance(true), in, topologytest.Now)
	results := []Result{no(ReasonUnreachable), {Outcome: Skipped}, {Outcome: Yes, Observation: *in.Snapshot.Server("B")}, {Outcome: Yes, Observation: *in.Snapshot.Server("C")}}
	op = op.Apply(results, topologytest.Now)
	last := op.Stages[len(op.Stages)-1]
	if !slices.ContainsFunc(last.Evidence, func(e string) bool {
		return strings.Contains(e, "loss accepted by alice (test)") && strings.Contains(e, ":100")
	}) {
		t.Errorf("%q", last.Evidence)
	}
}

func TestWithoutATermNothingIsDecided(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C").Acks(1).Dead("A"))
	in.Term = 0
	op := Emergency(clearance(true), in, topologytest.Now)
	op = op.Apply([]Result{no(ReasonUnreachable), {Outcome: Skipped}, {Outcome: Yes, Observation: *in.Snapshot.Server("B")},
		{Outcome: Yes, Observation: *in.Snapshot.Server("C")}}, topologytest.Now)
	if op.Phase != PhaseReleasing || op.Ending != StateUndone || op.Decision != nil {
		t.Errorf("%s %+v", op.Phase, op.Decision)
	}
}

func TestAPrimaryThatStillServesIsNotItsOwnSuccessor(t *testing.T) {
	w := worldOf(topologytest.Cluster("A", "B", "C").Policy(topology.Policy{Kind: topology.PolicyNone}).Promotion(topology.PromotionPrefer, "A").Ruleset())
	if op := w.must(t, w.emergency()); op.State != StateSucceeded || op.To != "B" {
		t.Errorf("%s %s %+v", op.State, op.To, op.Obstacle)
	}
}

func TestTheCandidateWaitsForItsOwnAckersOnly(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D").Policy(topology.Policy{Kind: topology.PolicyCrossZone, Acks: 1})
	b.Zone("east", "A", "B", "C").Zone("west", "D").Dead("A")
	in := intentOf(b)
	op := revoking(in).froze(in, "B", "C", "D")
	found, obstacle := op.settle()
	if obstacle != nil {
		t.Fatal(obstacle.Message)
	}
	op = op.elected(found, topologytest.Now)
	follows := commandsOf(op.Next(), Follow)
	if len(follows) != 2 || follows[0].Acker || !follows[1].Acker {
		t.Fatalf("%+v", follows)
	}
	attach := func(a topology.Address) bool {
		results := make([]Result, len(op.Next().Commands))
		for i, c := range op.Next().Commands {
			results[i].Outcome = Unknown
			if c.Server == op.To || c.Server == a {
				results[i].Outcome = Yes
			}
		}
		return op.Enough(op.Next().Commands, results)
	}
	if attach("C") || !attach("D") {
		t.Error("C is in the candidate's zone and does not acknowledge; D does")
	}
}

func TestAStageSaysHowLongItTook(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	w.servers["A"].crash()
	op := w.must(t, w.emergency())
	var names []string
	var total time.Duration
	for _, s := range op.Stages {
		names, total = append(names, s.Name), total+s.Duration
		if s.Outcome != "ok" {
			t.Errorf("%+v", s)
		}
	}
	if got := strings.Join(names, " "); got != "detect revoke choose propagate establish open reconcile" || total != op.FinishedAt.Sub(op.StartedAt) {
		t.Errorf("%s; %s of %s", got, total, op.FinishedAt.Sub(op.StartedAt))
	}
}

// fetching is a change whose candidate B has to fetch x from D.
func fetching(t *testing.T) (*elector, Operation) {
	t.Helper()
	w := newWorld(1, "A", "B", "C", "D")
	w.ruleset.Members[1].Promotion = topology.PromotionPrefer
	w.apart[[2]topology.Address{"B", "A"}], w.apart[[2]topology.Address{"C", "A"}] = true, true
	w.write("A")
	w.servers["A"].crash()
	e := &elector{world: w, name: "elector-1"}
	op := e.driven(w.emergency(), PhaseFetching)
	if op.To != "B" || op.Source != "D" {
		t.Fatalf("%s fetches from %s: %+v", op.To, op.Source, op.Obstacle)
	}
	return e, op
}

func TestACandidateThatFetchedMoreThanTheHistoryIsGivenUp(t *testing.T) {
	e, op := fetching(t)
	d := e.world.servers["D"]
	d.commit(d.next(), false)
	op, _ = e.run(op)
	if op.State == StateSucceeded && op.To == "B" {
		t.Errorf("B leads with a stray write that it fetched from D")
	}
	e.world.whole(t, e.trace)
}

// What counts is what the candidate lacks: that somebody writes on a source which lost its data, and starts writable, brings it no nearer.
func TestASourceThatLostItsDataAndIsWrittenToIsNotWaitedFor(t *testing.T) {
	e, op := fetching(t)
	at := e.world.now()
	for n := 1; op.Phase == PhaseFetching; n++ {
		if n > propagateTries {
			t.Fatalf("after %d rounds it still waits for D: %+v", n, op.Stages)
		}
		commands := op.Next().Commands
		results := make([]Result, len(commands))
		for i, c := range commands {
			results[i] = Result{Outcome: Unknown, Reason: ReasonDeadline, Observation: *op.Progress[c.Server].Reading}
			if c.Server == "D" {
				results[i].Observation.Executed = gtid.MustParse(fmt.Sprintf("%s:1-%d", topologytest.UUID("X"), 100*n))
			}
		}
		at = at.Add(5 * time.Second)
		op = op.Apply(results, at)
	}
}

func TestACandidateThatFetchedInVainGetsItsOldSourceBack(t *testing.T) {
	e, op := fetching(t)
	e.world.ruleset.Members[2].Promotion, e.world.ruleset.Members[3].Promotion = topology.PromotionNever, topology.PromotionNever
	op.Barred = map[topology.Address]string{"C": "test", "D": "test"}
	e.fate = func(c Command) fate {
		if c.Verb == AwaitApplied {
			return fateDropped
		}
		return fateNone
	}
	op, _ = e.run(op)
	if b := e.world.servers["B"]; op.State != StateUndone || b.source != "A" || !b.receiver {
		t.Errorf("%s %+v: B receives from %s: %t", op.State, op.Obstacle, b.source, b.receiver)
	}
}

func TestAPoisonedCandidateGetsItsAntidoteBeforeAnybodyFollows(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D").Acks(2).Term(1, "A", "A:1-10").Intent(2, "B", "A:1-100, t1").Executed("A", "A:1-100, t1").Dead("A")
	b.Positions("A:1-100, t1", "B", "C", "D").Edit("B", func(o *topology.Observation) {
		o.SuperReadOnly, o.OfflineMode = false, true
		o.SemiSync = topology.SemiSync{Installed: true, SourceEnabled: true, SourceActive: true, AfterSync: true, WaitNoReplica: true,
			Timeout: topologytest.TimeoutMax, Acks: topology.PoisonAcks, Waiters: 1}
	})
	in := intentOf(b)
	op := revoking(in).silenced(in, "B", Poison).froze(in, "C", "D")
	found, obstacle := op.settle()
	if obstacle != nil {
		t.Fatal(obstacle.Message)
	}
	first := op.elected(found, topologytest.Now).Next().Commands[0]
	if first.Server != "B" || first.Verb != Antidote || first.Acks != 2 {
		t.Errorf("%s", first)
	}
}

func TestACandidateThatIsOpenIsClosedFirst(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C").Acks(1).Dead("A").Writable("B"))
	op := revoking(in).froze(in, "B", "C")
	found, obstacle := op.settle()
	if obstacle != nil {
		t.Fatal(obstacle.Message)
	}
	if first := op.elected(found, topologytest.Now).Next().Commands[0]; first.Server != "B" || first.Verb != Demote {
		t.Errorf("%s", first)
	}
}

func TestACandidateOnWhichACommitWaitsThatNoRecordNamesIsFencedAndNotAskedToClose(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("A").Edit("B", func(o *topology.Observation) { o.SuperReadOnly, o.SemiSync.Waiters = false, 1 })
	in := intentOf(b)
	op := revoking(in).froze(in, "B", "C")
	verbs := func() (all []Verb) {
		for _, c := range op.readied("B") {
			all = append(all, c.Verb)
		}
		return all
	}
	if got := verbs(); !slices.Equal(got, []Verb{Fence}) {
		t.Errorf("%v", got)
	}
	op.Progress["B"].Reading.SemiSync.Waiters = 0
	if got := verbs(); !slices.Equal(got, []Verb{Demote}) {
		t.Errorf("with nothing waiting: %v", got)
	}
}

func TestAReplicaThatSomebodyOpenedGoesBackToItsSourceWhenAChangeIsUndone(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C").Acks(1).Dead("A").Writable("B"))
	op := revoking(in).froze(in, "B", "C")
	for _, moved := range []topology.Address{"B", "C"} {
		p := op.Progress[moved]
		p.Moved = true
		op.Progress[moved] = p
		if back := op.releaseOf(moved); len(back) != 1 || back[0].Verb != Follow || back[0].Source != "A" {
			t.Errorf("%s: %v", moved, back)
		}
	}
}

func TestWhatWouldHelpIsWorkedOutForEachSetOfServersByItself(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D", "E").Acks(1).Dead("A", "B", "C")
	op := Emergency(clearance(true), intentOf(b), topologytest.Now)
	if op.Running() || op.Obstacle == nil {
		t.Fatalf("B or C could acknowledge for A: %+v", op)
	}
	if needs := op.Obstacle.Needs; len(needs) != 2 || alternatives(needs) != "{A} or {B, C}" {
		t.Errorf("needs %s", alternatives(needs))
	}
}
