package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology/topologytest"
)

// reachedAt has an elector say where its API is.
func reachedAt(url string) func(*Settings) { return func(s *Settings) { s.API = url } }

// calls are all that change something.
func calls(e elector, cluster string) map[string]error {
	ctx := context.Background()
	_, planned := e.Reparent(ctx, Wish{Cluster: cluster, Kind: reparent.KindPlanned, By: "ada"})
	_, rehearsed := e.Reparent(ctx, Wish{Cluster: cluster, Kind: reparent.KindEmergency, DryRun: true, By: "ada"})
	_, acknowledged := e.Acknowledge(ctx, cluster, Order{By: "ada", Reason: "seen"})
	return map[string]error{
		"planned": planned, "dry run": rehearsed, "ack": acknowledged,
		"automation":  e.SetAutomation(ctx, cluster, false, Order{By: "ada", Reason: "migration"}),
		"maintenance": e.SetMaintenance(ctx, cluster, "B", true, Order{By: "ada", Reason: "disk"}),
	}
}

// TestWhoeverDoesNotActNamesWhoDoesAndHasBegunNothing tries all that changes something, on each cluster of another elector.
// That nothing was begun is what lets a caller go there with the same call.
func TestWhoeverDoesNotActNamesWhoDoesAndHasBegunNothing(t *testing.T) {
	inTown(t, 4, func(t *testing.T, w *town) {
		one, two := w.join("one", reachedAt("https://one:3900")), w.join("two") // two is of a release that does not say
		pass(10 * time.Second)
		said := []string{texts(one), texts(two)}
		writes, documents := w.writes, maps.Clone(w.documents)
		for cluster, session := range w.owners() {
			here, acts := one, ElsewhereError{Elector: "two"}
			if session == one.man.session {
				here, acts = two, ElsewhereError{Elector: "one", API: "https://one:3900"}
			}
			for what, err := range calls(here, cluster) {
				var elsewhere *ElsewhereError
				if !errors.As(err, &elsewhere) || *elsewhere != acts || !errors.Is(err, ErrNotLeading) || !strings.Contains(err.Error(), acts.Elector+" does") {
					t.Errorf("%s of %s, asked of %s: %v %+v", what, cluster, here.man.node, err, elsewhere)
				}
			}
			if v, err := here.Cluster(cluster); err != nil || v.Running != nil || !v.Snapshot.Maintenance.IsEmpty() || len(v.Maintenance) > 0 || !v.Automation.On {
				t.Errorf("%s shows %+v of what it refused", here.man.node, v)
			}
		}
		if len(w.changes) > 0 || w.writes != writes || len(documents) != len(w.documents) {
			t.Errorf("%d changes were begun, %d documents written", len(w.changes), w.writes-writes)
		}
		for i, e := range []elector{one, two} {
			if now := texts(e); now != said[i] {
				t.Errorf("%s told of what it refused: %s", e.man.node, strings.TrimPrefix(now, said[i]))
			}
		}
		one.stop() // and only now: the other takes its clusters
		two.stop()
	})
}

// TestWhereAnElectorIsGoesWithItsLock has one leave that said where it is, and another take its clusters that is elsewhere.
func TestWhereAnElectorIsGoesWithItsLock(t *testing.T) {
	inTown(t, 3, func(t *testing.T, w *town) {
		one, two := w.join("one", reachedAt("https://one:3900")), w.join("two", reachedAt("https://two:3900"))
		three := w.join("three")
		pass(10 * time.Second)
		for _, acts := range []elector{one, two} {
			for cluster, session := range w.owners() {
				if session != acts.man.session {
					continue
				}
				_, err := three.Acknowledge(context.Background(), cluster, Order{By: "ada", Reason: "seen"})
				var elsewhere *ElsewhereError
				if !errors.As(err, &elsewhere) || elsewhere.Elector != acts.man.node || elsewhere.API != "https://"+acts.man.node+":3900" {
					t.Errorf("%s: %v %+v", cluster, err, elsewhere)
				}
				if url := three.sharing.reached(cluster, "another"); url != "" {
					t.Errorf("%s, heard of before, is taken for where another is", url)
				}
			}
			if acts.man == one.man {
				one.stop()
				pass(time.Second)
			}
		}
		two.stop()
		three.stop()
	})
}

// TestAnElectorThatHasLostItsLockNamesNobody least of all itself.
func TestAnElectorThatHasLostItsLockNamesNobody(t *testing.T) {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1))
	d.lease = nil
	err := d.notLeading()
	if errors.As(err, new(*ElsewhereError)) || !errors.Is(err, ErrNotLeading) {
		t.Errorf("got %v", err)
	}
}

// TestWhatEarlierReleasesSayOfThemselvesIsReadAndTheySeeNothingNew when nothing is configured that they do not know.
func TestWhatEarlierReleasesSayOfThemselvesIsReadAndTheySeeNothingNew(t *testing.T) {
	const earlier = `{"version":1,"node":"one","process":"p","clusters":["a","b"]}`
	var c colleague
	c.hear(map[string][]byte{aboutSubject: []byte(earlier)})
	if c.about.Node != "one" || !c.lists("b") || c.about.API != "" {
		t.Errorf("read %+v", c.about)
	}
	if again, err := json.Marshal(c.about); err != nil || string(again) != earlier {
		t.Errorf("said %s %v", again, err)
	}
}
