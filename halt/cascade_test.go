package halt

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// fed is a cluster in which X replicates from B.
func fed() *topologytest.Builder {
	return topologytest.Cluster("A", "B", "C", "X").Acks(1).Cascade("B", "X").Edit("B", func(o *topology.Observation) { o.Replicas = []topology.Address{"X"} })
}

func TestACascadedReplicaHoldsUpNoRestart(t *testing.T) {
	for name, builder := range map[string]func() *topologytest.Builder{
		"it is at its intermediate": fed,
		"it is with the primary": func() *topologytest.Builder {
			return fed().Replication("X", func(r *topology.Replication) { r.Source, r.SourceUUID = "A", topologytest.UUID("A") })
		},
		"it is as late as its intermediate on purpose": func() *topologytest.Builder {
			return fed().Replication("B", func(r *topology.Replication) { r.ApplierDelayed = 3600 }).Executed("B", "A:1-50, t1").Positions("A:1-50, t1", "X")
		},
	} {
		y := yardOf(t, KindRestart, "B", "C", "X")
		y.builder = builder
		y.run(100)
		y.ended(t, StateSucceeded)
		if want := []string{"stop B", "stop C", "stop X"}; !slices.Equal(y.log, want) {
			t.Errorf("%s: %v", name, y.log)
		}
	}
}

func TestAnIntermediateIsStoppedThoughAReplicaHangsOnIt(t *testing.T) {
	y := yardOf(t, KindStop, "B")
	y.builder = fed
	y.run(100)
	y.ended(t, StateSucceeded)
}

func TestAServerThatReplicatesFromNeitherIsUnwell(t *testing.T) {
	y := yardOf(t, KindRestart, "B")
	y.builder = func() *topologytest.Builder {
		return fed().Replication("X", func(r *topology.Replication) { r.Source = "C" })
	}
	if why := y.halt.Hindered(y.sight()); !strings.Contains(why, "not from B") {
		t.Error(why)
	}
	y.builder = func() *topologytest.Builder {
		return fed().Edit("X", func(o *topology.Observation) { o.Reach = topology.ReachSilent })
	}
	y.now = y.now.Add(time.Second)
	if why := y.halt.Hindered(y.sight()); why == "" {
		t.Error("a server that is away is well")
	}
}
