package reparent

import (
	"testing"

	"github.com/primacydb/primacy/topology/topologytest"
)

func TestADryRunShowsEveryStepAndSendsNothing(t *testing.T) {
	for _, kind := range []Kind{KindEmergency, KindPlanned} {
		w := newWorld(1, "A", "B", "C")
		w.write("A")
		in := w.intent()
		op := Planned(clearance(false), in, w.now())
		if kind == KindEmergency {
			op = Emergency(clearance(true), in, w.now())
		}
		before, servers := text(op), w.states()
		steps, end := DryRun(op, in.Snapshot, w.now())
		if end.State != StateSucceeded || text(op) != before || !sameStates(servers, w.states()) {
			t.Errorf("%s: %s %+v", kind, end.State, end.Obstacle)
		}
		e := &elector{world: w, name: "elector-1"}
		e.run(op)
		for i := range min(len(steps), len(e.done)) {
			if steps[i].Phase != e.done[i].Phase || len(steps[i].Commands) != len(e.done[i].Commands) {
				t.Errorf("%s: step %d is %s with %d commands, and in earnest %s with %d", kind, i+1,
					steps[i].Phase, len(steps[i].Commands), e.done[i].Phase, len(e.done[i].Commands))
			}
		}
		if len(steps) != len(e.done) {
			t.Errorf("%s: %d steps, and in earnest %d", kind, len(steps), len(e.done))
		}
	}
}

func TestADryRunLeavesTheSnapshotAlone(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C").Acks(1).Dead("A"))
	before := text(in.Snapshot)
	DryRun(Emergency(clearance(true), in, topologytest.Now), in.Snapshot, topologytest.Now)
	if text(in.Snapshot) != before {
		t.Error("it was changed")
	}
}

func TestADryRunOfABlockedChangeHasNoSteps(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C").Acks(1).Dead("A", "B"))
	if steps, end := DryRun(Emergency(clearance(true), in, topologytest.Now), in.Snapshot, topologytest.Now); len(steps) > 0 || end.State != StateBlocked {
		t.Errorf("%d steps, %s", len(steps), end.State)
	}
}
