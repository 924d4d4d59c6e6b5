package orchestrator

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

func TestABatchSaysOfWhichStepOfWhichChangeItIs(t *testing.T) {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1))
	d.look(t)
	if _, err := d.grant(t.Context(), Wish{Cluster: "shop", Kind: reparent.KindEmergency, To: "C", By: "ada"}, d.now); err != nil {
		t.Fatal(err)
	}
	d.workers.Wait()
	if len(d.batches) == 0 || d.batches[0].Kind != reparent.KindEmergency || d.batches[0].Phase != reparent.PhaseRevoking {
		t.Errorf("the first step of an emergency: %+v", d.batches)
	}
}

func TestABatchOfRepairsIsOfNoChange(t *testing.T) {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1).Replication("C", func(r *topology.Replication) { r.Source = "B" }))
	d.pass(t, 2*time.Second)
	if len(d.batches) == 0 || d.batches[0].Kind != "" || d.batches[0].Phase != "" {
		t.Errorf("repairs: %+v", d.batches)
	}
}
