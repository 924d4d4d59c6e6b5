package reparent

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

func TestAnOperationGoesOnFromTheStoreAsFromMemory(t *testing.T) {
	for _, kind := range []Kind{KindEmergency, KindPlanned} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(1, "A", "B", "C")
			w.write("A")
			var op Operation
			if kind == KindPlanned {
				op = Planned(clearance(false), w.intent(), w.now())
			} else {
				w.servers["A"].crash()
				op = w.emergency()
			}
			e := &elector{world: w, name: "elector-1"}
			for op.Running() {
				step, again, stored := op.Next(), op.Next(), reloaded(op)
				if text(step) != text(again) {
					t.Fatalf("asked twice in %s: %s and %s", op.Phase, text(step), text(again))
				}
				if text(step) != text(stored.Next()) {
					t.Fatalf("in %s, from memory %s, from the store %s", op.Phase, text(step), text(stored.Next()))
				}
				results, now := e.send(op, step), w.now()
				if a, b := op.Apply(results, now), stored.Apply(results, now); text(a) != text(b) {
					t.Fatalf("in %s, from memory %s, from the store %s", op.Phase, text(a), text(b))
				}
				op = op.Apply(results, now)
			}
			if op.State != StateSucceeded {
				t.Errorf("%s %+v", op.State, op.Obstacle)
			}
		})
	}
}

func text(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func TestApplyLeavesItsReceiverAsItWas(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	w.servers["A"].crash()
	op := w.emergency()
	e := &elector{world: w, name: "elector-1"}
	for op.Running() {
		before := text(op)
		results := e.send(op, op.Next())
		op.Enough(op.Next().Commands, results)
		next := op.Apply(results, w.now())
		if text(op) != before {
			t.Fatalf("in %s it became %s", op.Phase, text(op))
		}
		op = next
	}
}

// TestWhatWasAppliedBelongsToNobodyElse lets others go on with what an operation was made of: its results, and the
// operation before it, from which a second one is made.
func TestWhatWasAppliedBelongsToNobodyElse(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	w.servers["A"].crash()
	op := w.emergency()
	e := &elector{world: w, name: "elector-1"}
	for op.Running() {
		results := e.send(op, op.Next())
		next := op.Apply(results, w.now())
		want := text(next)
		op.Apply(nil, w.now())
		clear(results)
		if text(next) != want {
			t.Fatalf("after %s it became %s", op.Phase, text(next))
		}
		op = next
	}
}

// TestTheSameChangeIsAlwaysMadeInTheSameWords asks so often that an order which a map gives away would show.
func TestTheSameChangeIsAlwaysMadeInTheSameWords(t *testing.T) {
	five := func() *topologytest.Builder { return topologytest.Cluster("A", "B", "C", "D", "E").Acks(2) }
	for name, b := range map[string]*topologytest.Builder{
		"it succeeds":             five().Dead("A"),
		"a branch was cancelled":  five().Term(1, "A", "A:1-10").Term(2, "C", "A:1-90,t1").Dead("A").Positions("A:1-120,t1", "B"),
		"histories contradict":    five().Dead("A").Positions("A:1-90,A:110,t1", "B").Positions("A:1-95,A:120,t1", "C"),
		"two electors, one term":  five().Dead("A").Positions("A:1-100,t1,t9", "B").Positions("A:1-100,t1,7072696d-0000-0009-0000-000000000001:1", "C"),
		"too few are reached":     five().Dead("A", "B", "C", "D"),
		"nobody is on record":     five().Unadopted().Dead("A", "B"),
		"some are errant":         five().Dead("A").Executed("B", "A:1-100,B:7,t1").Executed("C", "A:1-100,C:7,t1"),
		"the outcome was unknown": five().Term(1, "A", "").Intent(2, "C", "A:1-100").Intent(3, "D", "A:1-100").Dead("C"),
	} {
		in := intentOf(b)
		made := func() string {
			all := []Operation{Emergency(clearance(true), in, topologytest.Now), Planned(clearance(false), in, topologytest.Now)}
			steps, end := DryRun(all[0], in.Snapshot, topologytest.Now)
			again, undone := DryRun(TakeOver(all[0], 9, "elector-2", in.Snapshot, topologytest.Now), in.Snapshot, topologytest.Now)
			return text([]any{all, steps, end, again, undone})
		}
		want := made()
		for range 200 {
			if got := made(); got != want {
				t.Fatalf("%s:\n%s\n%s", name, want, got)
			}
		}
	}
}

func TestMissingResultsAreUnknownAndSuperfluousOnesNothing(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	w.servers["A"].crash()
	op := w.emergency()
	short := op.Apply(nil, w.now())
	if short.Phase != PhaseReleasing || short.Progress["B"].Frozen != Unknown {
		t.Errorf("%s %+v", short.Phase, short.Progress["B"])
	}
	many := make([]Result, 20)
	for i := range many {
		many[i] = no(ReasonUnreachable)
	}
	if long := op.Apply(many, w.now()); long.Phase != PhaseReleasing {
		t.Errorf("%s", long.Phase)
	}
}

func TestTheStepsOfAnyChangeAreInTheOnlySafeOrder(t *testing.T) {
	// Whatever the kind: no marker before every leader was asked, no opening before the marker.
	for _, planned := range []bool{false, true} {
		w := newWorld(2, "A", "B", "C", "D")
		op := w.emergency()
		if planned {
			op = Planned(clearance(false), w.intent(), w.now())
		}
		e := &elector{world: w, name: "elector-1"}
		e.run(op)
		at := map[Verb]int{}
		for i, step := range e.done {
			for _, c := range step.Commands {
				if _, seen := at[c.Verb]; !seen {
					at[c.Verb] = i
				}
			}
		}
		silenced := at[Poison]
		if planned {
			silenced = at[Demote]
		}
		if silenced >= at[Mark] || at[Mark] >= at[Open] || len(w.broken) > 0 {
			t.Errorf("planned %t: %v, %q", planned, at, w.broken)
		}
	}
}

func TestWhatIsSavedCoversOnlyTheSameDecisionUnderTheSameTerm(t *testing.T) {
	op := Operation{ID: "1", Term: 3, Decision: &topology.Decision{Hash: "aa"}}
	other := func(change func(*Operation)) Operation {
		saved := op
		change(&saved)
		return saved
	}
	if !op.CoveredBy(other(func(o *Operation) { o.Phase, o.Tries = PhaseMarking, 2 })) {
		t.Error("progress alone needs no save")
	}
	for name, saved := range map[string]Operation{
		"nothing":          {},
		"no decision":      other(func(o *Operation) { o.Decision = nil }),
		"another decision": other(func(o *Operation) { o.Decision = &topology.Decision{Hash: "bb"} }),
		"another term":     other(func(o *Operation) { o.Term = 2 }),
		"another elector":  other(func(o *Operation) { o.SessionTerm = 5 }),
		"another change":   other(func(o *Operation) { o.ID = "2" }),
	} {
		if op.CoveredBy(saved) {
			t.Errorf("%s covers it", name)
		}
	}
}

func TestALeadershipIsNamedFromTheDecisionOn(t *testing.T) {
	if _, ok := (Operation{}).Leadership(); ok {
		t.Error("nothing was decided")
	}
	w := newWorld(1, "A", "B", "C")
	w.servers["A"].crash()
	op := w.must(t, w.emergency())
	l, ok := op.Leadership()
	if !ok || !l.Established() || !l.Intact() || l.Previous != op.History.Leaderships[0].Hash || !reflect.DeepEqual(l.Reached, topology.Servers("B", "C")) {
		t.Errorf("%+v", l)
	}
}
