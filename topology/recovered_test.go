package topology_test

import (
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// TestNothingIsAttachedToALeaderOfTheJournalsThatAnotherMayHaveReplaced has a store that was emptied, and A, which led under the
// latest term that servers show. Whether X is attached to it depends on who could have led since and on who remembers.
func TestNothingIsAttachedToALeaderOfTheJournalsThatAnotherMayHaveReplaced(t *testing.T) {
	five := func() *topologytest.Builder {
		return topologytest.Cluster("A", "B", "C", "D", "X").Acks(1).Primary("A").Recovered()
	}
	forgetful := func(o *topology.Observation) { o.Executed, o.Received, o.Replication = gtid.Set{}, gtid.Set{}, nil }
	for _, row := range []struct {
		name     string
		b        *topologytest.Builder
		attached bool
	}{
		{"all others replicate from it", five().Stopped("X"), true},
		{"one replicates from it, and nobody knows of the others", five().Stopped("X").Silent("C", "D"), true},
		{"none does, and two are silent", five().Stopped("X", "B").Silent("C", "D"), false},
		{"none does, and one is silent", five().Stopped("X", "B", "C").Silent("D"), true},
		{"none does, one is silent, and one lost its data", five().Stopped("X", "B").Edit("C", forgetful).Silent("D"), false},
		{"none does, one is silent, and it lost its own data", five().Stopped("B", "C").Edit("X", forgetful).Silent("D"), false},
		{"none does, and it lost its own data", five().Stopped("B", "C", "D").Edit("X", forgetful), true},
		{"none does, and two lost their data, but all answer", five().Stopped("X", "B").Edit("C", forgetful).Edit("D", forgetful), true},
		{"one of two that it needs replicates from it", five().Acks(2).Stopped("X", "B").Silent("D"), true},
		{"and three are out of the way", topologytest.Cluster("A", "B", "C", "D", "E", "X").Acks(2).Primary("A").Recovered().Stopped("X").Silent("B", "C", "D"), false},
		{"what is silent replicates from another one", topologytest.Cluster("A", "B", "C", "X").Acks(1).Primary("A").Cascade("B", "C").Recovered().Stopped("X").Silent("B", "C"), true},
		{"nobody has to acknowledge", five().Policy(topology.Policy{Kind: topology.PolicyNone}).Stopped("X", "B").Silent("C", "D"), true},
		{"the record was never lost", topologytest.Cluster("A", "B", "C", "D", "X").Acks(1).Primary("A").Stopped("X", "B").Silent("C", "D"), true},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, f := range topology.Analyze(row.b.Snapshot(), row.b.History(), topologytest.Limits, topologytest.Now.Add(time.Second), nil) {
				if f.Server != "X" || f.Code != topology.ReceiverStopped && f.Code != topology.NotReplicating {
					continue
				}
				if got := f.Remedy == topology.RemedyReconcile; got != row.attached || !got && !strings.Contains(f.WhyNot, "may lead since") {
					t.Errorf("%s: %s, remedy %q: %s", f.Code, f.Message, f.Remedy, f.WhyNot)
				}
				return
			}
			t.Error("nothing is found about X")
		})
	}
}
