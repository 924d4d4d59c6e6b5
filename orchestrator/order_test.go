package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology/topologytest"
)

func keyed(key, digest string) reparent.Call { return reparent.Call{Key: key, Digest: digest} }

func planned(call reparent.Call) Wish {
	return Wish{Cluster: "shop", Kind: reparent.KindPlanned, To: "C", By: "ada", Call: call}
}

func TestACallThatIsRepeatedFindsTheChangeThatItBegan(t *testing.T) {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1))
	d.look(t)
	first, err := d.grant(t.Context(), planned(keyed("k", "planned")), d.now)
	if err != nil {
		t.Fatal(err)
	}
	again, err := d.grant(t.Context(), planned(keyed("k", "planned")), d.now)
	if err != nil || again.Operation.ID != first.Operation.ID || d.terms != 2 {
		t.Errorf("%s, then %s: %v, %d terms were drawn", first.Operation.ID, again.Operation.ID, err, d.terms)
	}
	if _, err := d.grant(t.Context(), planned(keyed("other", "planned")), d.now); !errors.Is(err, ErrBusy) {
		t.Errorf("another call: %v", err)
	}
	if _, err := d.grant(t.Context(), planned(keyed("k", "emergency")), d.now); !errors.Is(err, ErrCallReused) {
		t.Errorf("another thing under the same key: %v", err)
	}
	if _, err := d.grant(t.Context(), planned(reparent.Call{}), d.now); !errors.Is(err, ErrBusy) {
		t.Errorf("no key at all: %v", err)
	}
	d.workers.Wait()
}

func TestARehearsalTakesNoKey(t *testing.T) {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1))
	d.look(t)
	w := planned(keyed("k", "planned"))
	w.DryRun = true
	if _, err := d.grant(t.Context(), w, d.now); err != nil || d.busy {
		t.Fatal(err)
	}
	w.DryRun = false
	if answer, err := d.grant(t.Context(), w, d.now); err != nil || !answer.Operation.Running() || !d.busy {
		t.Errorf("the change itself: %v", err)
	}
	w.DryRun = true
	if answer, err := d.grant(t.Context(), w, d.now); !errors.Is(err, ErrBusy) {
		t.Errorf("a rehearsal was answered with the change: %s %v", answer.Operation.ID, err)
	}
	d.workers.Wait()
}

func TestAChangeThatWasMeantForAnotherStateIsNotBegun(t *testing.T) {
	for name, row := range map[string]struct {
		term *uint32
		at   func(now string) []string
		want error
	}{
		"another term":                      {new(uint32(7)), nil, ErrOtherTerm},
		"this term":                         {new(uint32(1)), nil, nil},
		"another revision":                  {nil, func(string) []string { return []string{"0123456789abcdef"} }, ErrOtherRevision},
		"this revision":                     {nil, func(now string) []string { return []string{now} }, nil},
		"one of two revisions":              {nil, func(now string) []string { return []string{"0123456789abcdef", now} }, nil},
		"this revision, and another term":   {new(uint32(7)), func(now string) []string { return []string{now} }, ErrOtherTerm},
		"a term that is none, 0, at term 1": {new(uint32(0)), nil, ErrOtherTerm},
	} {
		t.Run(name, func(t *testing.T) {
			for _, dry := range []bool{true, false} {
				d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1))
				d.look(t)
				w := planned(reparent.Call{})
				w.Term, w.DryRun = row.term, dry
				if row.at != nil {
					w.Revisions = row.at(d.current().Revision())
				}
				_, err := d.grant(t.Context(), w, d.now)
				if !errors.Is(err, row.want) || d.busy != (row.want == nil && !dry) {
					t.Errorf("dry run %t: %v, begun %t", dry, err, d.busy)
				}
				d.workers.Wait()
			}
		})
	}
}

// What a call has changed makes another revision, and must not keep its repetition from being answered.
func TestARepeatedCallIsAnsweredAlthoughItHasChangedTheRevision(t *testing.T) {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1))
	d.look(t)
	w := planned(keyed("k", "planned"))
	w.Revisions, w.Term = []string{d.current().Revision()}, new(uint32(1))
	first, err := d.grant(t.Context(), w, d.now)
	if err != nil || d.current().Revision() == w.Revisions[0] {
		t.Fatalf("%v, revision as before", err)
	}
	if again, err := d.grant(t.Context(), w, d.now); err != nil || again.Operation.ID != first.Operation.ID {
		t.Errorf("%v %s", err, again.Operation.ID)
	}
	d.workers.Wait()
}

// acting is the elector that acts for the only cluster of a town, with the others.
func acting(t *testing.T, w *town, all ...elector) (acts elector, others []elector) {
	t.Helper()
	session := w.owners()[w.names[0]]
	for _, e := range all {
		if e.man.session == session {
			acts = e
		} else {
			others = append(others, e)
		}
	}
	if acts.Orchestrator == nil {
		t.Fatal("nobody acts")
	}
	return acts, others
}

// TestAKeyOutlivesTheElector has the one that acts die right after it has begun a change and switched something, and whoever
// called repeat the calls to its successor.
func TestAKeyOutlivesTheElector(t *testing.T) {
	inTown(t, 1, func(t *testing.T, w *town) {
		ctx, cluster := context.Background(), w.names[0]
		one, two := w.join("one"), w.join("two")
		pass(10 * time.Second)
		acts, others := acting(t, w, one, two)
		out, back := Order{By: "ada", Reason: "disk", Call: keyed("out", "on")}, Order{By: "ada", Reason: "mended", Call: keyed("back", "off")}
		if err := errors.Join(acts.SetMaintenance(ctx, cluster, "B", true, out), acts.SetMaintenance(ctx, cluster, "B", false, back)); err != nil {
			t.Fatal(err)
		}
		wish := Wish{Cluster: cluster, Kind: reparent.KindPlanned, To: "C", By: "ada", Call: keyed("move", "C")}
		first, err := acts.Reparent(ctx, wish)
		if err != nil {
			t.Fatal(err)
		}
		pass(100 * time.Millisecond)
		acts.stop()
		pass(10 * time.Second)
		next, _ := acting(t, w, others...)
		again, err := next.Reparent(ctx, wish)
		if err != nil || again.Operation.ID != first.Operation.ID {
			t.Errorf("%s, then %s: %v", first.Operation.ID, again.Operation.ID, err)
		}
		wish.Call.Digest = "B"
		if _, err := next.Reparent(ctx, wish); !errors.Is(err, ErrCallReused) {
			t.Errorf("another change under the same key: %v", err)
		}
		if err := next.SetMaintenance(ctx, cluster, "B", true, out); err != nil {
			t.Error(err)
		}
		if v, err := next.Cluster(cluster); err != nil || len(v.Maintenance) > 0 {
			t.Errorf("a call that was repeated late took B out again: %+v %v", v.Maintenance, err)
		}
		out.Call.Digest = "off"
		if err := next.SetMaintenance(ctx, cluster, "B", true, out); !errors.Is(err, ErrCallReused) {
			t.Errorf("another switch under the same key: %v", err)
		}
		next.stop()
	})
}

// TestWithoutALookAtTheRecordACallWithAKeyBeginsNothing has the store answer nothing just when it would tell whether the
// call is a new one.
func TestWithoutALookAtTheRecordACallWithAKeyBeginsNothing(t *testing.T) {
	inTown(t, 1, func(t *testing.T, w *town) {
		e := w.join("one")
		pass(10 * time.Second)
		e.man.deaf(true)
		wish := Wish{Cluster: w.names[0], Kind: reparent.KindPlanned, To: "C", By: "ada", Call: keyed("k", "C")}
		if _, err := e.Reparent(context.Background(), wish); err == nil || len(w.changes) > 0 {
			t.Errorf("%v, changes %v", err, w.changes)
		}
		e.man.deaf(false)
		if _, err := e.Reparent(context.Background(), wish); err != nil {
			t.Error(err)
		}
		e.stop()
	})
}

func TestOnlyTheLatestCallsAreKept(t *testing.T) {
	var r record
	for i := range 3 * callsKept {
		r = r.called(keyed(fmt.Sprint(i), "x"))
	}
	if len(r.Calls) != callsKept || r.Calls[0].Key != "40" || r.Calls[callsKept-1].Key != "59" {
		t.Errorf("kept %v", r.Calls)
	}
	if again := r.called(reparent.Call{}); !slices.Equal(again.Calls, r.Calls) {
		t.Error("a call without a key was kept")
	}
}

func TestASwitchThatWasMeantForAnotherRevisionIsLeftAsItIs(t *testing.T) {
	inTown(t, 1, func(t *testing.T, w *town) {
		ctx, cluster := context.Background(), w.names[0]
		e := w.join("one")
		pass(10 * time.Second)
		seen, err := e.Cluster(cluster)
		if err != nil {
			t.Fatal(err)
		}
		order := Order{By: "ada", Reason: "migration", Revisions: []string{seen.Revision()}}
		if err := e.SetAutomation(ctx, cluster, false, order); err != nil {
			t.Fatal(err)
		}
		if err := e.SetAutomation(ctx, cluster, true, order); !errors.Is(err, ErrOtherRevision) {
			t.Errorf("got %v", err)
		}
		if now, err := e.Cluster(cluster); err != nil || now.Automation.On {
			t.Errorf("automation %+v %v", now.Automation, err)
		}
		e.stop()
	})
}
