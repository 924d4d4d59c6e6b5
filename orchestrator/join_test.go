package orchestrator

import (
	"context"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// quietBench does every step at once, and remembers which. A server that was admitted has all that the primary has.
type quietBench struct {
	desk  *desk
	tasks *[]settle.Task
}

func (quietBench) Decode(context.Context, topology.Address, gtid.Set, settle.Limits) (settle.Transcript, error) {
	return settle.Transcript{}, nil
}

func (b quietBench) Work(_ context.Context, _ string, _ uint32, t settle.Task, _ func(settle.Progress)) settle.Result {
	*b.tasks = append(*b.tasks, t)
	for i := range b.desk.servers {
		if o := &b.desk.servers[i]; o.Address == t.Server && t.Step == settle.StepAdmit {
			o.Executed, o.Purged, o.Replication = b.desk.servers[0].Executed, b.desk.servers[0].Executed, nil
		}
	}
	return settle.Result{Outcome: reparent.Yes}
}

// shortOf is a cluster whose server X lacks what A has purged.
func shortOf() *topologytest.Builder {
	return topologytest.Cluster("A", "B", "C", "X").Acks(1).Primary("A").EstablishedAgo(time.Hour).Purged("A", "A:1-50").Executed("X", "A:1-20").Received("X", "").
		Edit("X", func(o *topology.Observation) {
			o.Replication.Receiver, o.Replication.ReceiverErrno = topology.ThreadOff, 1236
		})
}

// deskWithBench is a desk with a bench, and what is handed to it.
func deskWithBench(t *testing.T, b *topologytest.Builder) (*desk, *[]settle.Task) {
	t.Helper()
	d, tasks := deskOf(t, b), new([]settle.Task)
	d.o.settings.Bench, d.o.settings.Clone.Join = quietBench{d, tasks}, true
	return d, tasks
}

func TestOnlyWhereThereIsABenchAServerIsSentToAnotherSource(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*desk)
		b      *topologytest.Builder
		sent   bool
	}{
		{name: "with a bench", b: shortOf(), sent: true},
		{name: "without one, as in a simulated lifetime", b: shortOf(), change: func(d *desk) { d.o.settings.Bench = nil }},
		{name: "with automation off", b: shortOf(), change: func(d *desk) { d.record.Automation = &Switch{On: false} }},
		{name: "in maintenance", b: shortOf(), change: func(d *desk) {
			d.record.Maintenance = map[topology.Address]Note{"X": {By: "alice"}}
		}},
		{name: "while a change is under way", b: shortOf(), change: func(d *desk) { d.busy = true }},
		{name: "while it is settled itself", b: shortOf(), change: func(d *desk) {
			d.lineage.Settling = &settle.Settlement{Server: "X", State: settle.StateRunning, NextAt: d.now.Add(time.Hour)}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			d, _ := deskWithBench(t, row.b)
			if row.change != nil {
				row.change(d)
			}
			d.round(t)
			sent := len(d.sent) == 1 && d.sent[0].Verb == reparent.Follow && d.sent[0].Server == "X" && d.sent[0].Source == "B" && !d.sent[0].Acker
			if sent != row.sent || !sent && len(d.sent) > 0 {
				t.Errorf("%v", d.sent)
			}
		})
	}
}

func TestAServerIsClonedUnaskedOnlyWhereNothingElseHelps(t *testing.T) {
	hopeless := func() *topologytest.Builder { return shortOf().Purged("B", "A:1-50").Purged("C", "A:1-50") }
	for _, row := range []struct {
		name   string
		b      *topologytest.Builder
		change func(*desk)
		cloned bool
	}{
		{name: "nobody has the logs", b: hopeless(), cloned: true},
		{name: "another replica has them", b: shortOf()},
		{name: "it is not configured", b: hopeless(), change: func(d *desk) { d.o.settings.Clone.Join = false }},
		{name: "there is no bench", b: hopeless(), change: func(d *desk) { d.o.settings.Bench = nil }},
		{name: "automation is off", b: hopeless(), change: func(d *desk) { d.record.Automation = &Switch{On: false} }},
		{name: "it is in maintenance", b: hopeless(), change: func(d *desk) {
			d.record.Maintenance = map[topology.Address]Note{"X": {By: "alice"}}
		}},
		{name: "it holds errant transactions", b: hopeless().Executed("X", "A:1-20, X:1")},
		{name: "others replicate from it", b: hopeless().Edit("X", func(o *topology.Observation) { o.Replicas = []topology.Address{"Y"} })},
		{name: "every other replica is needed for acknowledgements", b: hopeless().Acks(2)},
	} {
		t.Run(row.name, func(t *testing.T) {
			d, tasks := deskWithBench(t, row.b)
			if row.change != nil {
				row.change(d)
			}
			if d.pass(t, joinAfter-2*time.Second); len(*tasks) > 0 {
				t.Errorf("before its time: %+v", *tasks)
			}
			d.pass(t, 20*time.Second)
			var steps []settle.Step
			for _, task := range *tasks {
				if task.Kind != settle.KindClone || task.Server != "X" || task.Donor != "B" || !task.Set.IsEmpty() {
					t.Errorf("%+v", task)
				}
				steps = append(steps, task.Step)
			}
			if (len(steps) == len(settle.KindClone.Steps())) != row.cloned || !row.cloned && len(steps) > 0 {
				t.Errorf("%v", steps)
			}
		})
	}
}
