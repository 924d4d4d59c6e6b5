package orchestrator

import (
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// restarted is a primary that came back by itself, closed.
func restarted() *topologytest.Builder {
	return topologytest.Cluster("A", "B", "C").Acks(1).Restarted("A").ReadOnly("A").
		Edit("A", func(o *topology.Observation) { o.SemiSync.SourceEnabled, o.SemiSync.SourceActive = false, false })
}

// windowed has the window of the change open that made A primary.
func (d *desk) windowed() {
	made := antiflap.Change{Cluster: "shop", Term: 1, Kind: antiflap.Emergency, At: d.now}
	d.record.Antiflap = antiflap.Cluster{}.Established(made, antiflap.Defaults())
}

// first is the kind of the first change that was begun; empty when none was.
func (d *desk) first() reparent.Kind {
	for _, b := range d.batches {
		if b.Phase != "" {
			return b.Kind
		}
	}
	return ""
}

func TestToOpenAPrimaryAgainIsNoChangeOfThePrimary(t *testing.T) {
	for _, row := range []struct {
		name string
		b    *topologytest.Builder
		set  func(*desk)
		want reparent.Kind
	}{
		{"nothing stands against it", restarted(), func(*desk) {}, reparent.KindReopening},
		{"a window is open", restarted(), (*desk).windowed, reparent.KindReopening},
		{"automatic changes are switched off", restarted(), func(d *desk) { d.record.Automation = &Switch{By: "alice"} }, reparent.KindReopening},
		{"it is in maintenance", restarted().Maintenance("A"), func(d *desk) { d.record.Maintenance = map[topology.Address]Note{"A": {By: "alice"}} }, ""},
		{"it did not restart, and a window is open", topologytest.Cluster("A", "B", "C").Acks(1).ReadOnly("A"), (*desk).windowed, ""},
		{"it did not restart", topologytest.Cluster("A", "B", "C").Acks(1).ReadOnly("A"), func(*desk) {}, reparent.KindEmergency},
		{"an acker is out of reach", restarted().Silent("C"), func(*desk) {}, reparent.KindEmergency},
		{"an acker is out of reach, and a window is open", restarted().Silent("C"), (*desk).windowed, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := deskOf(t, row.b)
			row.set(d)
			if d.round(t); d.first() != row.want {
				t.Errorf("%q was begun, and not %q; refused: %s", d.first(), row.want, d.refusal)
			}
		})
	}
}

func TestWhyAPrimaryIsNotOpenedAgainIsSaid(t *testing.T) {
	d := deskOf(t, restarted().Silent("C"))
	d.windowed()
	if d.round(t); !strings.Contains(d.refusal, "A cannot be opened again as it is: C may hold more") {
		t.Error(d.refusal)
	}
}

// attempts counts how often the loop has begun to open a primary again.
func (d *desk) attempts() (n int) {
	for _, b := range d.batches {
		if b.Phase == reparent.PhaseVerifying {
			n++
		}
	}
	return n
}

func TestToOpenAPrimaryAgainIsTriedAgainWithPauses(t *testing.T) {
	d := deskOf(t, restarted())
	d.windowed()
	d.round(t) // its servers refuse all commands
	if d.round(t); d.attempts() != 1 || !strings.Contains(d.refusal, "has just failed") {
		t.Errorf("%d attempts at once, %s", d.attempts(), d.refusal)
	}
	if d.pass(t, 30*time.Second); d.attempts() < 3 || d.attempts() > 6 {
		t.Errorf("%d attempts in half a minute", d.attempts())
	}
}

func TestAPrimaryThatWasOpenedAgainOpensNoWindow(t *testing.T) {
	b := restarted()
	d := deskOf(t, b)
	op := reparent.Operation{
		Cluster: "shop", Kind: reparent.KindReopening, State: reparent.StateSucceeded, Term: 2, To: "A", From: "A",
		Established: d.now, Chosen: b.Set("A:1-100, t1"),
	}
	d.reopenings.failed = 3
	d.settle(t.Context(), settled{op: op, lineage: d.lineage})
	if d.record.Antiflap.Window(d.now).Open || len(d.brake.Changes) > 0 || d.reopenings.failed > 0 || !d.floor.Equal(op.Chosen) {
		t.Errorf("%+v, %+v, %+v, floor %s", d.record.Antiflap, d.brake, d.reopenings, d.floor)
	}
	g := gain{lease: d.lease, record: d.record, lineage: d.lineage, term: 4}
	g.lineage.History.Leaderships[0].Kind, g.record.SavedAt = string(reparent.KindReopening), d.now
	if d.lead(t.Context(), g); d.record.Antiflap.Window(d.now).Open {
		t.Error("whoever takes the cluster over counts it")
	}
}
