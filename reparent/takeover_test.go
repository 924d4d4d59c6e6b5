package reparent

import (
	"fmt"
	"testing"

	"github.com/primacydb/primacy/topology"
)

// TestATakenOverChangeIsFinishedOrUndone kills the elector before and after each step of each kind of change, with the
// last value saved or only what has to be. Whatever the next elector does, nobody leads twice, and afterwards the
// cluster gets back to a primary that completes writes.
func TestATakenOverChangeIsFinishedOrUndone(t *testing.T) {
	for _, kind := range []Kind{KindEmergency, KindPlanned} {
		for _, diligent := range []bool{true, false} {
			for n := 1; n <= 8; n++ {
				for _, point := range []string{"save", "send", "apply"} {
					t.Run(fmt.Sprintf("%s %t %d %s", kind, diligent, n, point), func(t *testing.T) {
						w := newWorld(1, "A", "B", "C")
						w.write("A")
						op := w.planned("B")
						if kind == KindEmergency {
							w.servers["A"].crash()
							op = w.emergency()
						}
						e := &elector{world: w, name: "elector-1", keeps: func() bool { return diligent },
							dies: func(m int, _ Phase, p string) bool { return m == n && p == point }}
						end, died := e.run(op)
						if died && e.saved.ID != "" {
							end, _ = (&elector{world: w, name: "elector-2"}).run(e.takeOver(e.saved))
						}
						if end.State == StateUndone && kind == KindPlanned && !w.completes(w.servers["A"]) {
							t.Error("undone, and A does not serve")
						}
						w.concluded(end)
						w.recover(t)
						w.whole(t, e.trace)
					})
				}
			}
		}
	}
}

// recover is what the loop does until a primary completes writes again.
func (w *world) recover(t *testing.T) {
	t.Helper()
	w.repair()
	current, _ := w.history().Current()
	if len(w.leaderships) > 1 || !w.completes(w.servers[current.Primary]) {
		w.must(t, w.emergency())
		w.repair()
		current, _ = w.history().Current()
	}
	g := w.write(current.Primary)
	if primary := w.servers[current.Primary]; !w.answered.Has(g) || !primary.executed.Contains(w.answered) {
		t.Errorf("write %s on %s, which holds %s; answered are %s", g, current.Primary, primary.executed, w.answered)
	}
}

func interrupted(t *testing.T, in Phase) (*elector, Operation) {
	t.Helper()
	w := newWorld(1, "A", "B", "C")
	w.write("A")
	w.servers["A"].crash()
	e := &elector{world: w, name: "elector-2"}
	op := e.driven(w.emergency(), in)
	if op.Phase != in {
		t.Fatalf("%s %+v", op.Phase, op.Obstacle)
	}
	return e, op
}

func TestWithoutADecisionATakeOverUndoes(t *testing.T) {
	e, op := interrupted(t, PhaseRevoking)
	e.send(op, op.Next())
	op = e.takeOver(op)
	if op.Phase != PhaseReleasing || op.Ending != StateUndone {
		t.Fatalf("%s", op.Phase)
	}
	op, _ = e.run(op)
	if op.State != StateUndone || !e.world.servers["B"].receiver || !e.world.servers["C"].receiver {
		t.Errorf("%s, B receives %t", op.State, e.world.servers["B"].receiver)
	}
}

func TestAttachingThatWasNeverSavedIsUndoneToo(t *testing.T) {
	e, early := interrupted(t, PhaseRevoking)
	later := e.driven(early, PhasePropagating)
	e.send(later, later.Next())
	if e.world.servers["C"].source != "B" {
		t.Fatal("C does not follow B")
	}
	op, _ := e.run(e.takeOver(early))
	if op.State != StateUndone || e.world.servers["C"].source != "A" {
		t.Errorf("%s, C follows %s", op.State, e.world.servers["C"].source)
	}
}

func TestACommittedMarkerIsCarriedToItsEnd(t *testing.T) {
	e, op := interrupted(t, PhaseMarking)
	e.send(op, op.Next())
	op = e.takeOver(op)
	if op.Phase != PhaseOpening {
		t.Fatalf("%s %+v", op.Phase, op.Obstacle)
	}
	if op, _ = e.run(op); op.State != StateSucceeded || op.Elector != "elector-2" || !e.world.completes(e.world.servers["B"]) {
		t.Errorf("%s", op.State)
	}
}

func TestAMarkerProvesNothingOnAProcessThatRestarted(t *testing.T) {
	e, op := interrupted(t, PhaseMarking)
	e.world.apart[[2]topology.Address{"C", "B"}] = true
	e.send(op, op.Next())
	e.world.servers["B"].crash()
	e.world.servers["B"].restart()
	e.world.servers["B"].semiSource = true // as some have it in their option file
	if !e.world.servers["B"].executed.Has(op.Decision.Marker().GTID()) {
		t.Fatal("the restart did not complete the marker")
	}
	if op = e.takeOver(op); op.State != StateFailed || code(op.Obstacle) != "interrupted" {
		t.Errorf("%s %+v", op.State, op.Obstacle)
	}
}

// reopened is an old primary that somebody has opened again by hand: the same process, and one of its ackers follows it.
func (w *world) reopened(a, acker topology.Address) {
	p, s := w.servers[a], w.servers[acker]
	p.readOnly, p.superReadOnly, p.offline, p.semiSource, p.acks = false, false, false, true, 1
	s.source, s.channel, s.receiver = a, true, true
	w.flow()
}

func TestAMarkerProvesNothingWhileAnotherServerIsOpenAgain(t *testing.T) {
	for _, in := range []Phase{PhaseMarking, PhaseOpening} {
		w := newWorld(1, "A", "B", "C")
		e := &elector{world: w, name: "elector-2"}
		op := e.driven(w.planned("B"), in)
		if in == PhaseMarking {
			e.send(op, op.Next())
		}
		w.reopened("A", "C")
		if op = e.takeOver(op); op.State != StateFailed || code(op.Obstacle) != "interrupted" {
			t.Errorf("in phase %s: %s in %s, %+v", in, op.State, op.Phase, op.Obstacle)
		}
	}
}

func TestWhatAReopenedPrimaryAnsweredIsNotGivenUpByFinishingTheChange(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	e := &elector{world: w, name: "elector-2"}
	op := e.driven(w.planned("B"), PhaseMarking)
	e.send(op, op.Next())
	w.reopened("A", "C")
	if y := w.write("A"); !w.answered.Has(y) {
		t.Fatal("A does not complete y")
	}
	w.broken = nil // that two servers could complete writes was somebody's doing
	w.concluded(e.takeOver(op))
	if end := w.emergency(); end.State != StateBlocked || code(end.Obstacle) != "only_on_leader" {
		t.Errorf("%s %+v", end.State, end.Obstacle)
	}
}

func TestWhatIsKnownToBeAcknowledgedNeedsNoFurtherSight(t *testing.T) {
	e, op := interrupted(t, PhaseOpening)
	e.world.cut = topology.Servers("B")
	if op = e.takeOver(op); op.Phase != PhaseOpening {
		t.Errorf("%s %+v", op.Phase, op.Obstacle)
	}
}

func TestAnEstablishedChangeStaysOneWhoeverDies(t *testing.T) {
	e, op := interrupted(t, PhaseReconciling)
	e.world.servers["B"].crash()
	op, _ = e.run(e.takeOver(op))
	if l, _ := op.Leadership(); op.State != StateSucceeded || !l.Established() {
		t.Errorf("%s %+v", op.State, op.Obstacle)
	}
}

func TestATakeOverActsUnderItsOwnTerm(t *testing.T) {
	e, op := interrupted(t, PhaseMarking)
	e.send(op, op.Next())
	op = e.takeOver(op)
	if c := op.Next().Commands[0]; c.Term != e.world.term || op.Term == c.Term {
		t.Errorf("%s under term %d, the change has term %d", c, c.Term, op.Term)
	}
}

func TestAFinishedChangeIsNotTakenOver(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	w.servers["A"].crash()
	op := w.must(t, w.emergency())
	if again := TakeOver(op, 9, "elector-2", w.snapshot(), w.now()); text(again) != text(op) {
		t.Errorf("%s", text(again))
	}
}

func TestARoundOfUndoingIsGoneOnWithAsItWas(t *testing.T) {
	w := newWorld(1, "A", "B", "C", "D")
	e := &elector{world: w, name: "elector-2", fate: func(c Command) fate {
		if c.Verb == Freeze && c.Server == "D" || c.Verb == Poison {
			return fateRefused
		}
		return fateNone
	}}
	op := e.driven(w.emergency(), PhaseReleasing)
	e.fate = nil
	end, _ := e.run(e.takeOver(op))
	if end.State != StateBlocked || code(end.Obstacle) != "not_revoked" || !w.servers["B"].receiver {
		t.Errorf("%s %+v", end.State, end.Obstacle)
	}
}

func TestAckersThatWereAttachedBeforehandGoBack(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	before := w.states()
	e := &elector{world: w, name: "elector-2"}
	op := e.driven(w.planned("B"), PhasePreparing)
	e.send(op, op.Next())
	if w.servers["C"].source != "B" {
		t.Fatal("C does not follow B")
	}
	op, _ = e.run(e.takeOver(op))
	if op.State != StateUndone || !sameStates(before, w.states()) {
		t.Errorf("%s\n%+v\n%+v", op.State, before, w.states())
	}
}

func TestAMarkerProvesNothingWhereFewerAcksWereWaitedFor(t *testing.T) {
	w := newWorld(2, "A", "B", "C", "D")
	w.servers["A"].crash()
	e := &elector{world: w, name: "elector-2"}
	op := e.driven(w.emergency(), PhaseMarking)
	if op.Phase != PhaseMarking {
		op = e.driven(op, PhaseDone)
		t.Fatalf("%s %+v", op.Phase, op.Obstacle)
	}
	e.send(op, op.Next())
	w.servers["B"].acks = 1
	if op = e.takeOver(op); op.State != StateFailed {
		t.Errorf("%s in %s", op.State, op.Phase)
	}
}

// A decision whose marker was certainly not sent is withdrawn. Were it still on record when the elector dies over the
// release, its candidate would count as a leader that has to be revoked, perhaps with no server left to lead.
func TestADecisionThatWasWithdrawnIsOffTheRecordBeforeAnythingIsReleased(t *testing.T) {
	for _, point := range []string{"send", "apply"} {
		w := newWorld(1, "A", "B", "C")
		e := &elector{world: w, name: "elector-1", dies: func(_ int, p Phase, at string) bool { return p == PhaseReleasing && at == point },
			fate: func(c Command) fate {
				if c.Verb == EnableSource && c.Server == "B" {
					return fateRefused
				}
				return fateNone
			}}
		if op, died := e.run(w.planned("B")); !died || op.Decision != nil || op.MarkSent {
			t.Fatalf("%s: it was not given up before its marker: %s, %+v", point, op.Phase, op.Obstacle)
		}
		heir := &elector{world: w, name: "elector-2"}
		op, _ := heir.run(heir.takeOver(e.saved))
		if _, decided := op.Leadership(); decided || op.State != StateUndone {
			t.Errorf("%s: taken over, it ends %s: %+v", point, op.State, op.Obstacle)
		}
		if g := w.write("A"); g.Number == 0 {
			t.Errorf("%s: the primary does not take writes again", point)
		}
	}
}
