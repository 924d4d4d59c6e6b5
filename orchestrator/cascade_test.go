package orchestrator

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// TestACascadedReplicaGoesToAndFroLessAndLessOften has an intermediate that dies and comes back every three minutes. What is
// sent happens.
func TestACascadedReplicaGoesToAndFroLessAndLessOften(t *testing.T) {
	well := topologytest.Cluster("A", "B", "C", "X").Acks(1).Cascade("B", "X")
	d := deskOf(t, well)
	d.obeys = true
	d.o.settings.Limits.RehomeAfter, d.o.settings.Limits.ReturnAfter = 10*time.Second, time.Minute
	healthy := slices.Clone(d.servers)
	place := func(a topology.Address) int {
		return slices.IndexFunc(d.servers, func(o topology.Observation) bool { return o.Address == a })
	}
	var moved []int
	for seen := 0; d.now.Sub(topologytest.Now) < 40*time.Minute; {
		b := &d.servers[place("B")]
		if up := int(d.now.Sub(topologytest.Now)/time.Second)%180 >= 20; up {
			*b = healthy[place("B")]
		} else {
			*b = topology.Observation{Address: "B", Reach: topology.ReachRefused, FailingSince: d.now}
		}
		d.pass(t, time.Second)
		for ; seen < len(d.sent); seen++ {
			c := d.sent[seen]
			if c.Verb != reparent.Follow || c.Server != "X" || c.Acker {
				t.Fatalf("sent %s", c)
			}
			x := &d.servers[place("X")]
			r := *x.Replication
			r.Source, r.SourceUUID = c.Source, topologytest.UUID(c.Source)
			x.Replication = &r
			moved = append(moved, int(d.now.Sub(topologytest.Now)/time.Second))
		}
	}
	// It leaves after ten seconds, and goes back one minute after the intermediate came back, then two; four never pass.
	if len(moved) != 5 || moved[0] > 15 || moved[1] < 80 || moved[1] > 85 || moved[3] < 320 || moved[3] > 325 || moved[4] > 380 {
		t.Errorf("it was moved at %v s", moved)
	}
	var texts []string
	for _, e := range d.o.events.Recent() {
		if e.Kind == EventRepair && e.Server == "X" {
			texts = append(texts, e.Text)
		}
	}
	if len(texts) != len(moved) || !strings.Contains(texts[0], "which is not reached") || !strings.Contains(texts[1], "follow B, its intermediate") {
		t.Errorf("told: %q", texts)
	}
	if d.rehomings["X"].times != 3 {
		t.Errorf("%+v", d.rehomings["X"])
	}
	d.now = d.now.Add(rehomedFor)
	if all := d.rehomedLately(d.now); len(all) != 0 || len(d.rehomings) != 0 {
		t.Errorf("remembered for ever: %v", all)
	}
}
