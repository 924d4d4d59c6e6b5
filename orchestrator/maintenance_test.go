package orchestrator

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// timedCluster has the server B out for ten minutes, and the whole cluster for five.
func timedCluster(t *testing.T) *desk {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1))
	d.look(t)
	d.note("B", &Note{By: "ada", Reason: "disk", At: d.now, Until: d.now.Add(10 * time.Minute)})
	d.note("", &Note{By: "ada", Reason: "switches", At: d.now, Until: d.now.Add(5 * time.Minute)})
	d.maintained()
	return d
}

func TestMaintenanceEndsByItself(t *testing.T) {
	d := timedCluster(t)
	d.pass(t, 5*time.Minute-time.Second)
	if d.record.Held == nil || len(d.record.Maintenance) != 1 {
		t.Fatalf("it ended too early: %+v", d.record)
	}
	d.pass(t, 2*time.Second)
	if d.record.Held != nil || d.snapshot.Held != nil || len(d.record.Maintenance) != 1 {
		t.Errorf("the cluster's has not ended, or the server's has: %+v", d.record)
	}
	d.pass(t, 5*time.Minute)
	if len(d.record.Maintenance) != 0 || d.snapshot.Maintenance.Has("B") {
		t.Errorf("the server's has not ended: %+v", d.record)
	}
	if r, err := recordOf(DocumentOf(recordKey("shop"), d.documents[recordKey("shop")]), "shop", d.ruleset); err != nil || len(r.Maintenance) > 0 || r.Held != nil {
		t.Errorf("that is not on record: %+v %v", r, err)
	}
}

func TestADeadPrimaryIsNotReplacedBeforeTheMaintenanceOfItsClusterEnds(t *testing.T) {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1).Dead("A"))
	d.note("", &Note{By: "ada", Until: d.now.Add(time.Minute)})
	d.maintained()
	d.pass(t, 50*time.Second)
	if d.terms > 0 || d.busy {
		t.Fatal("a change was begun")
	}
	if _, found := d.wanted(topology.RemedyEmergency); found {
		t.Error("a change is wanted")
	}
	d.pass(t, 15*time.Second)
	if d.terms == 0 {
		t.Error("no change was begun after its end")
	}
}

// What is left of it counts, not what a clock shows: the successor's is two days ahead, or behind.
func TestASuccessorGoesOnCountingWhateverItsClockShows(t *testing.T) {
	for _, ahead := range []time.Duration{48 * time.Hour, -48 * time.Hour} {
		d := timedCluster(t)
		d.pass(t, 3*time.Minute+30*time.Second)
		d.saveRecord(t.Context())
		r, err := recordOf(DocumentOf(recordKey("shop"), d.documents[recordKey("shop")]), "shop", d.ruleset)
		if err != nil {
			t.Fatal(err)
		}
		taken := r.from(d.now.Add(ahead))
		if left := taken.Held.Until.Sub(d.now.Add(ahead)); left != 90*time.Second {
			t.Errorf("%s are left to the cluster", left)
		}
		if left := taken.Maintenance["B"].Until.Sub(d.now.Add(ahead)); left != 390*time.Second {
			t.Errorf("%s are left to the server", left)
		}
		if before, after := (View{Held: r.Held, Maintenance: r.Maintenance}), (View{Held: taken.Held, Maintenance: taken.Maintenance}); before.Revision() != after.Revision() {
			t.Error("another revision, for another elector looks at it")
		}
	}
}

func TestWhileMaintenanceHasAnEndTheRecordIsNeverOld(t *testing.T) {
	d := timedCluster(t)
	for range 8 {
		d.pass(t, time.Minute)
		if age := d.now.Sub(d.record.SavedAt); age > timedSavedEvery {
			t.Fatalf("the record is %s old", age)
		}
	}
}

func TestANoteOfAnEarlierReleaseHasNoEnd(t *testing.T) {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1))
	old := []byte(`{"version":1,"cluster":"shop","maintenance":{"B":{"by":"ada","reason":"disk","at":"2026-01-02T03:04:05Z"}},"saved_at":"2026-01-02T03:04:05Z"}`)
	r, err := recordOf(DocumentOf(recordKey("shop"), old), "shop", d.ruleset)
	if err != nil {
		t.Fatal(err)
	}
	d.record.Maintenance = r.from(d.now).Maintenance
	d.pass(t, time.Hour)
	if n := d.record.Maintenance["B"]; n.By != "ada" || !n.Until.IsZero() {
		t.Errorf("%+v", n)
	}
}

func TestMaintenanceIsAskedForAsWholeOrByServerAndForAWhile(t *testing.T) {
	inTown(t, 1, func(t *testing.T, w *town) {
		ctx, cluster := context.Background(), w.names[0]
		e := w.join("one")
		defer e.stop()
		pass(10 * time.Second)
		if err := errors.Join(
			e.SetMaintenance(ctx, cluster, "", true, Order{By: "ada", Reason: "switches", Lasting: time.Minute}),
			e.SetMaintenance(ctx, cluster, "B", true, Order{By: "ada", Reason: "disk"}),
		); err != nil {
			t.Fatal(err)
		}
		v, err := e.Cluster(cluster)
		if err != nil || v.Held == nil || v.Held.Until.Sub(v.Held.At) != time.Minute || v.Maintenance["B"].Reason != "disk" || !v.Maintenance["B"].Until.IsZero() {
			t.Errorf("%+v %+v %v", v.Held, v.Maintenance, err)
		}
		pass(62 * time.Second)
		if v, err := e.Cluster(cluster); err != nil || v.Held != nil || len(v.Maintenance) != 1 {
			t.Errorf("%+v %+v %v", v.Held, v.Maintenance, err)
		}
		if err := e.SetMaintenance(ctx, cluster, "B", true, Order{Lasting: -time.Second}); !errors.Is(err, ErrBadWish) {
			t.Errorf("for less than no time: %v", err)
		}
	})
}
