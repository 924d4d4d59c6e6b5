package reparent

import (
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

func (w *world) planned(to topology.Address) Operation {
	in := w.intent()
	in.Wanted = to
	return Planned(clearance(false), in, w.now())
}

// driven goes on until the operation is in a phase.
func (e *elector) driven(op Operation, to Phase) Operation {
	for op.Running() && op.Phase != to {
		op = op.Apply(e.send(op, op.Next()), e.world.now())
	}
	return op
}

func TestWhatStandsAgainstAPlannedChangeIsFoundBeforeAnythingIsTouched(t *testing.T) {
	lagging := func(o *topology.Observation) { o.Replication.Lag = time.Minute }
	rows := []struct {
		name  string
		build func(*topologytest.Builder)
		to    topology.Address
		code  string
	}{
		{"nothing", func(*topologytest.Builder) {}, "B", ""},
		{"nobody leads by record", func(b *topologytest.Builder) { b.Unadopted() }, "B", "no_primary"},
		{"the primary does not answer", func(b *topologytest.Builder) { b.Silent("A") }, "B", "primary_unreachable"},
		{"the primary is read-only", func(b *topologytest.Builder) { b.ReadOnly("A") }, "B", "primary_read_only"},
		{"commits have been waiting on it", func(b *topologytest.Builder) {
			b.Edit("A", func(o *topology.Observation) { o.SemiSync.Waiters, o.Stall.OldestAckWait = 3, time.Minute })
		}, "B", "waiters"},
		{"commits wait on it for a moment, as ever", func(b *topologytest.Builder) {
			b.Edit("A", func(o *topology.Observation) { o.SemiSync.Waiters, o.Stall.OldestAckWait = 3, time.Millisecond })
		}, "B", ""},
		{"it leads already", func(*topologytest.Builder) {}, "A", "already_primary"},
		{"it is no member", func(*topologytest.Builder) {}, "X", "not_a_candidate"},
		{"it may never lead", func(b *topologytest.Builder) { b.Promotion(topology.PromotionNever, "B") }, "B", "not_a_candidate"},
		{"it is under maintenance", func(b *topologytest.Builder) { b.Maintenance("B") }, "B", "not_a_candidate"},
		{"it does not answer", func(b *topologytest.Builder) { b.Unreachable("B") }, "B", "not_a_candidate"},
		{"it lags", func(b *topologytest.Builder) { b.Edit("B", lagging) }, "B", "no_candidate"},
		{"it is errant", func(b *topologytest.Builder) { b.Positions("A:1-100, t1, B:1", "B") }, "B", "no_candidate"},
		{"it was read later than the primary and holds more", func(b *topologytest.Builder) { b.Positions("A:1-120, t1", "B") }, "B", ""},
		{"its receiver is stopped", func(b *topologytest.Builder) { b.Stopped("B") }, "B", "no_candidate"},
		{"an acker that it needs replicates from somebody else", func(b *topologytest.Builder) {
			b.Acks(2).Replication("C", func(r *topology.Replication) { r.Source = "X" })
		}, "B", "no_candidate"},
		{"an acker that it needs does not receive", func(b *topologytest.Builder) { b.Acks(2).Stopped("C") }, "B", "no_candidate"},
		{"an acker that it needs is connecting", func(b *topologytest.Builder) { b.Acks(2).Connecting(2003, "C") }, "B", ""},
		{"one that it can do without does not receive", func(b *topologytest.Builder) { b.Stopped("C") }, "B", ""},
		{"a later term is unsettled", func(b *topologytest.Builder) { b.Term(1, "A", "A:1-10").Intent(2, "C", "A:1-100, t1") }, "B", "unsettled"},
		{"a server knows of a later term that is not on record", func(b *topologytest.Builder) { b.Positions("A:1-100, t1, t3", "C") }, "B", "unknown_marker"},
		{"a server has received the marker of a later term that is not on record", func(b *topologytest.Builder) { b.Received("C", "t3") }, "B", "unknown_marker"},
		{"a server still holds the marker of an earlier term", func(b *topologytest.Builder) {
			b.Term(2, "A", "A:1-10, t1").Positions("A:1-100, t1, t2", "A", "B", "C")
		}, "B", ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C").Acks(1)
			row.build(b)
			in := intentOf(b)
			in.Wanted = row.to
			op := Planned(clearance(false), in, topologytest.Now)
			if code(op.Obstacle) != row.code || (op.State == StateBlocked) != (row.code != "") {
				t.Errorf("%s %+v", op.State, op.Obstacle)
			}
			if op.State == StateBlocked && !op.Next().Done {
				t.Errorf("it is blocked and wants %v", op.Next().Commands)
			}
		})
	}
}

func TestTheOldPrimaryKeepsTheAckersThatItNeeds(t *testing.T) {
	rows := []struct {
		name     string
		servers  []topology.Address
		acks     int
		prepared string
	}{
		{"one to spare", []topology.Address{"A", "B", "C"}, 1, "C"},
		{"none to spare", []topology.Address{"A", "B", "C"}, 2, "no server"},
		{"two servers", []topology.Address{"A", "B"}, 1, "no server"},
		{"two to spare, two needed", []topology.Address{"A", "B", "C", "D", "E"}, 2, "C, D"},
		{"three to spare, one needed", []topology.Address{"A", "B", "C", "D", "E"}, 1, "C"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			op := newWorld(row.acks, row.servers...).planned("B")
			if op.Prepared.String() != row.prepared {
				t.Errorf("%s attach beforehand", op.Prepared)
			}
		})
	}
}

func TestFollowersThatDoNotAckForTheOldPrimaryAttachFreely(t *testing.T) {
	// D acknowledges for A, C for B: nothing is taken from A when C attaches to B.
	b := topologytest.Cluster("A", "B", "C").Policy(topology.Policy{Kind: topology.PolicyCrossZone, Acks: 1})
	b.Zone("east", "A", "C").Zone("west", "B")
	in := intentOf(b)
	in.Wanted = "B"
	if op := Planned(clearance(false), in, topologytest.Now); op.Prepared.String() != "C" {
		t.Errorf("%s attach beforehand; %+v", op.Prepared, op.Obstacle)
	}
}

func TestAPlannedChangeLosesNothingAndLeavesEverybodyFollowing(t *testing.T) {
	for _, servers := range [][]topology.Address{{"A", "B"}, {"A", "B", "C"}, {"A", "B", "C", "D", "E"}} {
		w := newWorld(1, servers...)
		x := w.write("A")
		op := w.must(t, w.planned("B"))
		if op.State != StateSucceeded || !op.Decision.Base.Has(x) || !w.completes(w.servers["B"]) || !w.servers["A"].readOnly {
			t.Errorf("%v: %s %+v", servers, op.State, op.Obstacle)
		}
		for _, a := range servers {
			if s := w.servers[a]; a != "B" && (s.source != "B" || !s.receiver || s.semiSource) {
				t.Errorf("%v: %s is %+v", servers, a, w.states()[a])
			}
		}
	}
}

func TestTheLagGateAsksAgainUntilTheCandidateKeepsUp(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	e := &elector{world: w, name: "elector-1"}
	op := e.driven(w.planned("B"), PhaseGating)
	op = op.Apply([]Result{{Outcome: Yes, Took: time.Second}}, w.now())
	if op.Phase != PhaseMeasuring {
		t.Fatalf("after a slow answer: %s", op.Phase)
	}
	x := w.write("A")
	op = e.driven(op, PhaseGating)
	if !op.Chosen.Has(x) {
		t.Error("the position was not measured again")
	}
	op = op.Apply([]Result{{Outcome: Yes, Took: time.Millisecond}}, w.now())
	if op.Phase != PhasePreparing {
		t.Errorf("after a quick answer: %s", op.Phase)
	}
	op = e.driven(op, PhaseGating).Apply([]Result{{Outcome: Yes, Took: time.Second}}, w.now())
	op = e.driven(op, PhaseGating).Apply([]Result{{Outcome: Yes, Took: time.Millisecond}}, w.now())
	if op.Phase != PhaseDemoting {
		t.Errorf("after a slow and a quick answer with the ackers attached: %s", op.Phase)
	}
}

func TestALagGateThatNeverOpensUndoes(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	before := w.states()
	e := &elector{world: w, name: "elector-1"}
	op := w.planned("B")
	op.Timing.GateTries = 3
	op = e.driven(op, PhaseGating)
	for op.Phase == PhaseGating || op.Phase == PhaseMeasuring {
		if op.Phase == PhaseMeasuring {
			op = op.Apply(e.send(op, op.Next()), w.now())
			continue
		}
		op = op.Apply([]Result{{Outcome: Yes, Took: time.Second}}, w.now())
	}
	op = w.must(t, op)
	if op.State != StateUndone || code(op.Obstacle) != "lagging" || !sameStates(before, w.states()) || !op.GapTo.IsZero() {
		t.Errorf("%s %+v, gap to %s", op.State, op.Obstacle, op.GapTo)
	}
}

func sameStates(a, b map[topology.Address]state) bool {
	for name := range a {
		if a[name] != b[name] {
			return false
		}
	}
	return len(a) == len(b)
}

func TestACandidateThatIsGoneIsNotAskedFiftyTimes(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	e := &elector{world: w, name: "elector-1"}
	op := e.driven(w.planned("B"), PhaseGating)
	if op = op.Apply([]Result{no(ReasonUnreachable)}, w.now()); op.Phase != PhaseReleasing {
		t.Errorf("%s", op.Phase)
	}
}

func TestACandidateThatDoesNotGetThereAtAllIsWaitedForFiveTimes(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	e := &elector{world: w, name: "elector-1"}
	op := e.driven(w.planned("B"), PhaseGating)
	for tries := 1; ; tries++ {
		if op = op.Apply([]Result{no(ReasonDeadline)}, w.now()); op.Phase == PhaseReleasing || tries > 50 {
			if tries != 5 || code(op.Obstacle) != "lagging" {
				t.Errorf("%d tries, %+v", tries, op.Obstacle)
			}
			return
		}
		op.Phase = PhaseGating
	}
}

func TestNobodyIsAttachedToACandidateThatCannotBeRead(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	e := &elector{world: w, name: "elector-1"}
	op := e.driven(w.planned("B"), PhaseMeasuring)
	primary := Result{Outcome: Yes, Observation: *w.snapshot().Server("A")}
	if op = op.Apply([]Result{primary, no(ReasonUnreachable)}, w.now()); op.Phase != PhaseReleasing || code(op.Obstacle) != "not_prepared" {
		t.Errorf("%s %+v", op.Phase, op.Obstacle)
	}
}

func TestAWriteOnTheCandidateAfterItWasChosenIsSeenBeforeAnybodyIsAttached(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	e := &elector{world: w, name: "elector-1"}
	op := e.driven(w.planned("B"), PhaseMeasuring)
	w.servers["B"].commit(w.servers["B"].next(), false)
	op = w.must(t, op)
	if op.State != StateUndone || code(op.Obstacle) != "errant_candidate" || w.servers["A"].readOnly || w.servers["C"].source != "A" {
		t.Errorf("%s %+v, A closed %t, C follows %s", op.State, op.Obstacle, w.servers["A"].readOnly, w.servers["C"].source)
	}
}

func TestAPrimaryThatRestartedMeanwhileIsNotDemoted(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	e := &elector{world: w, name: "elector-1"}
	op := e.driven(w.planned("B"), PhaseMeasuring)
	w.servers["A"].crash()
	w.servers["A"].restart()
	op = w.must(t, op)
	if op.State != StateUndone || code(op.Obstacle) != "primary_lost" || !w.servers["A"].readOnly {
		t.Errorf("%s %+v, A closed %t", op.State, op.Obstacle, w.servers["A"].readOnly)
	}
}

func TestADemotionIsUndoneWhateverItsAnswer(t *testing.T) {
	for name, f := range map[string]fate{"refused": fateRefused, "dropped": fateDropped, "lost": fateLost} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, "A", "B", "C")
			before := w.states()
			e := &elector{world: w, name: "elector-1", fate: func(c Command) fate {
				if c.Verb == Demote {
					return f
				}
				return fateNone
			}}
			op, _ := e.run(w.planned("B"))
			if op.State != StateUndone || !sameStates(before, w.states()) {
				t.Errorf("%s %+v\n%+v\n%+v", op.State, op.Obstacle, before, w.states())
			}
			w.whole(t, e.trace)
		})
	}
}

func TestAPrimaryThatDiedInItsDemotionIsNotOpenedByTheUndoing(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	w.servers["A"].bootReadOnly = true
	e := &elector{world: w, name: "elector-1", fate: func(c Command) fate {
		switch c.Verb {
		case Demote:
			return fateLost
		case Reopen:
			return fateRestarted
		}
		return fateNone
	}}
	op, _ := e.run(w.planned("B"))
	if op.State != StateUndone || !w.servers["A"].readOnly || op.Progress["A"].Released != Yes {
		t.Errorf("%s, A closed %t, released %s", op.State, w.servers["A"].readOnly, op.Progress["A"].Released)
	}
	w.whole(t, e.trace)
}

func TestACandidateThatDoesNotCatchUpUndoes(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	before := w.states()
	e := &elector{world: w, name: "elector-1"}
	op := e.driven(w.planned("B"), PhaseDemoting)
	w.apart[[2]topology.Address{"B", "A"}], w.apart[[2]topology.Address{"C", "B"}] = true, true
	w.servers["A"].semiSource = false
	w.write("A")
	w.servers["A"].semiSource = true
	op = op.Apply(e.send(op, op.Next()), w.now())
	op = e.driven(op, PhaseReleasing)
	if code(op.Obstacle) != "not_caught_up" || op.Decision != nil {
		t.Fatalf("%+v %v", op.Obstacle, op.Decision)
	}
	op = w.must(t, op)
	if op.State != StateUndone || !sameStates(before, w.states()) {
		t.Errorf("%s\n%+v\n%+v", op.State, before, w.states())
	}
}

func TestACandidateWithAStrayWriteIsNotMarked(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	e := &elector{world: w, name: "elector-1"}
	op := e.driven(w.planned("B"), PhaseDemoting)
	w.servers["B"].commit(w.servers["B"].next(), false)
	op = w.must(t, op)
	if op.State != StateUndone || code(op.Obstacle) != "not_marked" {
		t.Errorf("%s %+v", op.State, op.Obstacle)
	}
}

func TestTheOldPrimaryIsAskedForItsAckOnlyWhenItIsNeeded(t *testing.T) {
	for _, row := range []struct {
		servers []topology.Address
		asked   bool
	}{{[]topology.Address{"A", "B"}, true}, {[]topology.Address{"A", "B", "C"}, false}} {
		w := newWorld(1, row.servers...)
		e := &elector{world: w, name: "elector-1"}
		op := e.driven(w.planned("B"), PhaseMarking)
		asked := slices.ContainsFunc(op.Next().Commands, func(c Command) bool { return c.Server == "A" })
		if asked != row.asked {
			t.Errorf("%v: %v", row.servers, op.Next().Commands)
		}
	}
}

func TestTheOldPrimaryHelpsOutWhenTheOthersDoNotAcknowledge(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	e := &elector{world: w, name: "elector-1"}
	op := e.driven(w.planned("B"), PhaseMarking)
	w.servers["C"].crash()
	op = w.must(t, op)
	if op.State != StateSucceeded || w.servers["A"].source != "B" || !w.completes(w.servers["B"]) {
		t.Errorf("%s %+v", op.State, op.Obstacle)
	}
}

// The old primary may restart writable while a marker is late. What it writes then was cancelled by that marker's decision.
func TestACandidateWhoseMarkerIsLateStopsReceivingFromTheOldPrimary(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	e := &elector{world: w, name: "elector-1"}
	op := e.driven(w.planned("B"), PhaseMarking)
	stops := func(commands []Command) bool {
		i := slices.IndexFunc(commands, func(c Command) bool { return c.Verb == Freeze && c.Server == "B" && c.Passing })
		return i >= 0 && i < slices.IndexFunc(commands, func(c Command) bool { return c.Verb == Mark })
	}
	if stops(op.Next().Commands) {
		t.Fatal("the gap waits for a stop that is not needed yet")
	}
	e.fate = func(c Command) fate {
		if c.Verb == Mark {
			return fateDropped
		}
		return fateNone
	}
	op = op.Apply(e.send(op, op.Next()), w.now())
	if !stops(op.Next().Commands) {
		t.Fatalf("it still receives: %v", op.Next().Commands)
	}
	e.fate = nil
	op = op.Apply(e.send(op, op.Next()), w.now())
	if w.servers["B"].receiver {
		t.Error("it receives")
	}
	if op = w.must(t, op); op.State != StateSucceeded || !w.completes(w.servers["B"]) {
		t.Errorf("%s %+v", op.State, op.Obstacle)
	}
}

// The stop of the candidate's receiver is undone with everything else where the marker certainly was not written.
func TestACandidateThatIsNotMarkedReceivesAgain(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	before := w.states()
	e := &elector{world: w, name: "elector-1", fate: func(c Command) fate {
		if c.Verb == Mark {
			return fateRefused
		}
		return fateNone
	}}
	op, _ := e.run(w.planned("B"))
	if op.State != StateUndone || op.MarkSent || op.Progress["B"].Paused != Yes || !sameStates(before, w.states()) {
		t.Errorf("%s %+v %+v\n%+v\n%+v", op.State, op.Obstacle, op.Progress["B"], before, w.states())
	}
}

func TestAnAckerWithAStrayWriteIsNotAttachedBeforehand(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	e := &elector{world: w, name: "elector-1"}
	op := e.driven(w.planned("B"), PhasePreparing)
	w.servers["C"].commit(w.servers["C"].next(), false)
	op = w.must(t, op)
	if op.State != StateUndone || code(op.Obstacle) != "not_prepared" || w.servers["C"].source != "A" {
		t.Errorf("%s %+v", op.State, op.Obstacle)
	}
}

func TestWhoIsNeededBesideTheOldPrimaryLeavesItBeforeItFollows(t *testing.T) {
	rows := []struct {
		name    string
		servers []topology.Address
		acks    int
		leave   string
	}{
		{"the old primary is the only other", []topology.Address{"A", "B"}, 1, "no server"},
		{"the old primary is not needed", []topology.Address{"A", "B", "C"}, 1, "no server"},
		{"both are needed", []topology.Address{"A", "B", "C"}, 2, "C"},
		{"all three are needed", []topology.Address{"A", "B", "C", "D"}, 3, "C, D"},
		{"one can be done without", []topology.Address{"A", "B", "C", "D"}, 2, "no server"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(row.acks, row.servers...)
			var left topology.ServerSet
			e := &elector{world: w, name: "elector-1", fate: func(c Command) fate {
				if s := w.servers[c.Server]; c.Verb == Freeze && s.receiver && s.source == "A" && w.servers["A"].readOnly && w.servers["A"].source == "" {
					left = left.With(c.Server)
				}
				return fateNone
			}}
			op, _ := e.run(w.planned("B"))
			if left.String() != row.leave || op.State != StateSucceeded || !w.completes(w.servers["B"]) {
				t.Errorf("%s left; %s %+v", left, op.State, op.Obstacle)
			}
		})
	}
}

func TestAnAckerThatDoesNotLeaveTheOldPrimaryUndoesBeforeAnythingIsPromised(t *testing.T) {
	for name, f := range map[string]fate{"refused": fateRefused, "dropped": fateDropped, "lost": fateLost} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(2, "A", "B", "C")
			before := w.states()
			e := &elector{world: w, name: "elector-1", fate: func(c Command) fate {
				if c.Verb == Freeze {
					return f
				}
				return fateNone
			}}
			op, _ := e.run(w.planned("B"))
			if op.State != StateUndone || code(op.Obstacle) != "acker_lost" || op.MarkSent || !sameStates(before, w.states()) {
				t.Errorf("%s %+v\n%+v\n%+v", op.State, op.Obstacle, before, w.states())
			}
			w.whole(t, e.trace)
		})
	}
}

func TestWhoLeftTheOldPrimaryIsGivenBackWhenTheElectorDies(t *testing.T) {
	w := newWorld(2, "A", "B", "C")
	before := w.states()
	e := &elector{world: w, name: "elector-1", dies: func(_ int, phase Phase, point string) bool {
		return phase == PhaseCatchingUp && point == "apply"
	}}
	if _, died := e.run(w.planned("B")); !died || w.servers["C"].receiver {
		t.Fatal("C is not frozen")
	}
	op := w.must(t, e.takeOver(e.saved))
	if op.State != StateUndone || !sameStates(before, w.states()) {
		t.Errorf("%s\n%+v\n%+v", op.State, before, w.states())
	}
}

func TestOthersAreAskedForTheirAckBeforeTheOldPrimaryIs(t *testing.T) {
	w := newWorld(2, "A", "B", "C", "D", "E")
	e := &elector{world: w, name: "elector-1"}
	op := e.driven(w.planned("B"), PhaseMarking)
	w.servers["C"].crash()
	w.servers["D"].crash()
	op = w.must(t, op) // had A and E been told at once, A could have handed the marker on to E, which then never acknowledges it
	if op.State != StateSucceeded || w.servers["A"].source != "B" || w.servers["E"].source != "B" {
		t.Errorf("%s %+v", op.State, op.Obstacle)
	}
}
