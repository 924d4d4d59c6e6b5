package orchestrator

import (
	"fmt"
	"testing"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// crowd is an orchestrator of many clusters that share a desk's servers.
func crowd(t testing.TB, many int) *Orchestrator {
	t.Helper()
	var all []ClusterSettings
	for i := range many {
		all = append(all, ClusterSettings{Name: fmt.Sprintf("shop-%03d", i), Ruleset: ruled("A", "B", "C")})
	}
	d := &desk{servers: topologytest.Cluster("A", "B", "C").Dead("C").Snapshot().Servers, now: topologytest.Now}
	return New(Settings{Clusters: all, Limits: topologytest.Limits, Runtime: deskClock{desk: d}}, deskFleet{d}, deskStore{d}, NewStream(nil))
}

func TestIsolationIsJudgedByAllClusters(t *testing.T) {
	o := crowd(t, 20)
	for range 3 { // what a cluster showed before counts no more
		for _, name := range o.names {
			o.clusters[name].look(t.Context())
			o.clusters[name].publish(topologytest.Now)
		}
	}
	if lost, watched := o.isolation(); lost != 20 || watched != 60 {
		t.Errorf("%d of %d are lost", lost, watched)
	}
	one := o.clusters["shop-007"]
	one.snapshot.Servers = []topology.Observation{{Address: "A", Reach: topology.ReachDenied}}
	one.publish(topologytest.Now)
	if lost, watched := o.isolation(); lost != 19 || watched != 58 {
		t.Errorf("%d of %d are lost after one cluster shrank and answers", lost, watched)
	}
}

// BenchmarkRoundAmongManyClusters is what a round of one cluster costs however many others there are.
func BenchmarkRoundAmongManyClusters(b *testing.B) {
	for _, many := range []int{1, 500} {
		b.Run(fmt.Sprint(many), func(b *testing.B) {
			o := crowd(b, many)
			c := o.clusters["shop-000"]
			for b.Loop() {
				c.look(b.Context())
				c.publish(topologytest.Now)
			}
		})
	}
}
