package reparent

import (
	"slices"
	"testing"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

func TestAMarkerThatCertainlyWasNotWrittenPromisesNothing(t *testing.T) {
	refuse := func(c Command) fate {
		if c.Verb == EnableSource && c.Server == "B" {
			return fateRefused
		}
		return fateNone
	}
	t.Run("an emergency elects another one", func(t *testing.T) {
		w := newWorld(1, "A", "B", "C", "D")
		w.servers["A"].crash()
		e := &elector{world: w, name: "elector-1", fate: refuse}
		op, _ := e.run(w.emergency())
		if op.State != StateSucceeded || op.To != "C" || op.MarkSent != true {
			t.Errorf("%s %s %+v", op.State, op.To, op.Obstacle)
		}
		w.whole(t, e.trace)
	})
	t.Run("a planned change is undone", func(t *testing.T) {
		w := newWorld(1, "A", "B")
		before := w.states()
		e := &elector{world: w, name: "elector-1", fate: refuse}
		op, _ := e.run(w.planned("B"))
		if op.State != StateUndone || op.Decision != nil || !sameStates(before, w.states()) || !w.completes(w.servers["A"]) {
			t.Errorf("%s %+v\n%+v\n%+v", op.State, op.Obstacle, before, w.states())
		}
		w.whole(t, e.trace)
	})
}

func TestAMarkerThatMayHaveBeenWrittenLeavesTheOutcomeOpen(t *testing.T) {
	for name, f := range map[string]fate{"dropped": fateDropped, "lost": fateLost, "crashed": fateCrashed} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, "A", "B", "C")
			w.servers["A"].crash()
			first := true
			e := &elector{world: w, name: "elector-1", fate: func(c Command) fate {
				if c.Verb != Mark {
					return fateNone
				}
				if f == fateCrashed && first {
					first = false
					return fateDropped
				}
				return f
			}}
			op, _ := e.run(w.emergency())
			if op.State != StateFailed || op.Decision == nil || !op.MarkSent {
				t.Errorf("%s %+v", op.State, op.Obstacle)
			}
			if l, ok := op.Leadership(); !ok || l.Established() {
				t.Errorf("the next change has to know of it, and not as established: %+v", l)
			}
		})
	}
}

func TestARestartedCandidateIsNotOpened(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	w.servers["A"].crash()
	e := &elector{world: w, name: "elector-1", fate: func(c Command) fate {
		if c.Verb == Open {
			return fateRestarted
		}
		return fateNone
	}}
	op, _ := e.run(w.emergency())
	if op.State != StateFailed || code(op.Obstacle) != "not_opened" || !w.servers["B"].readOnly {
		t.Errorf("%s %+v: its semi-sync is off after the restart", op.State, op.Obstacle)
	}
}

func TestNobodyCanWriteBeforeTheMarkerIsAcknowledged(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	w.servers["A"].crash()
	w.apart[[2]topology.Address{"C", "B"}] = true
	e := &elector{world: w, name: "elector-1"}
	op := e.driven(w.emergency(), PhaseMarking)
	op = op.Apply(e.send(op, op.Next()), w.now())
	if op.Phase != PhaseMarking || w.write("B").Number != 0 {
		t.Errorf("%s, and B takes writes", op.Phase)
	}
}

func TestWhereNobodyIsToAcknowledgeTheMarkerWaitsForNobody(t *testing.T) {
	none := topologytest.Cluster("A", "B", "C").Policy(topology.Policy{Kind: topology.PolicyNone})
	begun := map[string]func(*world) Operation{
		"in a planned change": func(w *world) Operation { return w.planned("B") },
		"in an emergency":     func(w *world) Operation { return w.emergency() },
	}
	for name, begin := range begun {
		t.Run(name, func(t *testing.T) {
			w := worldOf(none.Ruleset())
			b := w.servers["B"]
			b.semiSource, b.infinite, b.acks = true, true, 1
			if op := w.must(t, begin(w)); op.State != StateSucceeded || op.To != "B" || b.semiSource {
				t.Errorf("%s: %s leads, source side %t: %+v", op.State, op.To, b.semiSource, op.Obstacle)
			}
		})
	}
	adoption := Adoption(clearance(true), intentOf(none.Unadopted()), "A", topologytest.Now)
	if off := commandsOf(adoption.Next(), DisableSource); len(off) > 0 {
		t.Errorf("a primary that serves is changed: %s", off[0])
	}
}

func TestTheMarkerIsSentOnlyOnceItsDecisionIsOnRecord(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	w.servers["A"].crash()
	e := &elector{world: w, name: "elector-1"}
	op := e.driven(w.emergency(), PhaseMarking)
	if !op.Next().SaveFirst || op.CoveredBy(e.saved) {
		t.Error("the decision is not on record")
	}
}

// TestAMarkerThatMayHaveBeenWrittenIsRememberedThoughAnotherServerIsOwnedByANewerTerm has B not answer, and D owned.
func TestAMarkerThatMayHaveBeenWrittenIsRememberedThoughAnotherServerIsOwnedByANewerTerm(t *testing.T) {
	for outcome, sent := range map[Outcome]bool{Unknown: true, Yes: true, No: false, Skipped: false} {
		w := newWorld(1, "A", "B", "C", "D")
		w.servers["A"].crash()
		e := &elector{world: w, name: "elector-1", fate: func(c Command) fate {
			if c.Server == "D" && c.Verb == Follow {
				return fateDropped
			}
			return fateNone
		}}
		op := e.driven(w.emergency(), PhaseMarking)
		op.Tries = 1 // whoever is late is asked again
		results := make([]Result, len(op.Next().Commands))
		for i, c := range op.Next().Commands {
			switch c.Verb {
			case Mark:
				results[i] = Result{Outcome: outcome}
			case Follow:
				results[i] = no(ReasonFenced)
			default:
				results[i] = Result{Outcome: Yes}
			}
		}
		if _, fenced := fencedBy(op.Next().Commands, results); !fenced {
			t.Fatalf("nobody follows in this step: %v", op.Next().Commands)
		}
		if op = op.Apply(results, w.now()); op.State != StateFailed || op.MarkSent != sent {
			t.Errorf("the marker's outcome was %s: %s, and it may have been sent: %t", outcome, op.State, op.MarkSent)
		}
	}
}

func TestWhatIsLeftToRepairIsNamed(t *testing.T) {
	w := newWorld(1, "A", "B", "C", "D")
	w.servers["A"].crash()
	e := &elector{world: w, name: "elector-1", fate: func(c Command) fate {
		if c.Server == "D" && c.Verb == Follow || c.Verb == Detach {
			return fateRefused
		}
		return fateNone
	}}
	op, _ := e.run(w.emergency())
	last := op.Stages[len(op.Stages)-1]
	if want := "C follow B; D left to the repair of replicas; B still has the channel from its old source"; op.State != StateSucceeded || last.Detail != want {
		t.Errorf("%s: %q", op.State, last.Detail)
	}
}

func TestAnAdoptionNeedsOneWritablePrimaryAndNoTerm(t *testing.T) {
	rows := []struct {
		name  string
		build func(*topologytest.Builder)
		code  string
	}{
		{"a healthy cluster", func(b *topologytest.Builder) { b.Unadopted() }, ""},
		{"adopted already", func(*topologytest.Builder) {}, "adopted"},
		{"read-only", func(b *topologytest.Builder) { b.Unadopted().ReadOnly("A") }, "not_writable"},
		{"two writable servers", func(b *topologytest.Builder) { b.Unadopted().Writable("C") }, "two_writable"},
		{"tried before, and nobody knows how it ended", func(b *topologytest.Builder) { b.Intent(1, "A", "A:1-90").Executed("A", "A:1-100") }, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C")
			row.build(b)
			in := intentOf(b)
			op := Adoption(clearance(true), in, "A", topologytest.Now)
			if code(op.Obstacle) != row.code {
				t.Fatalf("%+v", op.Obstacle)
			}
			if len(in.History.Leaderships) > 0 && op.Running() && !op.Decision.Base.Contains(b.Set("t1")) {
				t.Errorf("the marker of the first try may wait in the binary log: base %s", op.Decision.Base)
			}
		})
	}
}

func TestReplicasThatDoNotAcknowledgeYetAreMadeToBeforeThePrimaryWaits(t *testing.T) {
	w := unadopted(topologytest.Cluster("A", "B", "C").Acks(1).Ruleset())
	for _, s := range w.all() {
		s.semiReplica, s.semiSource = false, false
	}
	in := w.intent()
	x := w.write("A") // clients write all the while
	op := w.must(t, Adoption(clearance(true), in, "A", w.now()))
	y := w.write("A")
	if op.State != StateSucceeded || !w.completes(w.servers["A"]) || !w.servers["A"].semiSource || !w.answered.Has(x) || !w.answered.Has(y) {
		t.Errorf("%s %+v", op.State, op.Obstacle)
	}
	if !w.servers["B"].semiReplica || !w.servers["C"].semiReplica {
		t.Error("B or C does not acknowledge")
	}
}

func TestAnAdoptionOfAHealthyClusterTouchesNobodyButThePrimary(t *testing.T) {
	op := Adoption(clearance(true), intentOf(topologytest.Cluster("A", "B", "C").Unadopted()), "A", topologytest.Now)
	var verbs []Verb
	for _, c := range op.Next().Commands {
		verbs = append(verbs, c.Verb)
		if c.Server != "A" {
			t.Errorf("%s", c)
		}
	}
	if !slices.Equal(verbs, []Verb{CreateJournal, AwaitAckers, EnableSource, Mark}) {
		t.Errorf("%v", verbs)
	}
}

// TestAnAdoptionThatGivesUpLeavesThePrimaryWaiting: it serves all the while. What made its commits wait before the adoption does
// so after it; where nothing did, that is put back.
func TestAnAdoptionThatGivesUpLeavesThePrimaryWaiting(t *testing.T) {
	for _, before := range []bool{true, false} {
		b := topologytest.Cluster("A", "B", "C").Unadopted().Edit("A", func(o *topology.Observation) { o.SemiSync.SourceEnabled = before })
		op := Adoption(clearance(true), intentOf(b), "A", topologytest.Now)
		for range 10 {
			commands := op.Next().Commands
			if op.Phase == PhaseReleasing {
				off := slices.ContainsFunc(commands, func(c Command) bool { return c.Server == "A" && c.Verb == DisableSource })
				if off == before {
					t.Errorf("commits waited before: %t, and the source side is switched off: %t", before, off)
				}
				break
			}
			results := make([]Result, len(commands))
			for i, c := range commands {
				if results[i] = (Result{Outcome: Yes}); c.Verb == Mark {
					results[i] = Result{Outcome: No, Reason: ReasonUnreachable}
				}
			}
			op = op.Apply(results, topologytest.Now)
		}
		if op.Phase != PhaseReleasing {
			t.Errorf("commits waited before: %t: it ends in %s", before, op.Phase)
		}
	}
}

func TestWhoIsNotNeededAttachesAfterTheGap(t *testing.T) {
	w := newWorld(1, "A", "B", "C", "D")
	w.servers["A"].crash()
	op := w.emergency()
	e := &elector{world: w, name: "elector-1"}
	op = op.Apply(e.send(op, op.Next()), w.now())
	results := e.send(op, op.Next())
	for i, c := range op.Next().Commands {
		if c.Server == "D" {
			results[i] = Result{Outcome: Unknown, Reason: ReasonAbandoned}
		}
	}
	op = op.Apply(results, w.now())
	asked := func(op Operation) bool {
		return slices.ContainsFunc(op.Next().Commands, func(c Command) bool { return c.Server == "D" })
	}
	if op.Phase != PhaseMarking || asked(op) {
		t.Errorf("%s: C acknowledges, and yet %v", op.Phase, op.Next().Commands)
	}
	results = make([]Result, len(op.Next().Commands))
	for i := range results {
		results[i] = Result{Outcome: Unknown, Reason: ReasonDeadline}
	}
	if again := op.Apply(results, w.now()); !asked(again) {
		t.Errorf("C did not acknowledge, and D is not asked: %v", again.Next().Commands)
	}
}
