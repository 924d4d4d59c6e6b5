package orchestrator

import (
	"errors"
	"testing"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology/topologytest"
)

// TestWhileTheStoreIsBehindNobodyChangesThePrimaryByHand asks for changes while a server shows the marker of a term that no
// journal explains: whoever leads under it would not be asked to step down.
func TestWhileTheStoreIsBehindNobodyChangesThePrimaryByHand(t *testing.T) {
	for _, kind := range []reparent.Kind{reparent.KindPlanned, reparent.KindEmergency} {
		for _, dry := range []bool{false, true} {
			d := deskOf(t, topologytest.Cluster("A", "B", "C", "D", "E").Acks(1).Positions("A:1-100, t1, t3", "B"))
			d.look(t)
			_, err := d.grant(t.Context(), Wish{Cluster: "shop", Kind: kind, To: "C", By: "ada", DryRun: dry}, d.now)
			blocked, ok := errors.AsType[*BlockedError](err)
			if !d.storeBehind() || !ok || blocked.Obstacle.Code != "unknown_marker" || blocked.Obstacle.Remedy == "" || d.busy {
				t.Errorf("%s, dry run %t: %v, busy %t", kind, dry, err, d.busy)
			}
		}
	}
}

func TestAChangeThatIsAskedForBeginsWhileTheRecordIsWhole(t *testing.T) {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1))
	d.look(t)
	answer, err := d.grant(t.Context(), Wish{Cluster: "shop", Kind: reparent.KindPlanned, To: "C", By: "ada"}, d.now)
	d.workers.Wait()
	if err != nil || !answer.Operation.Running() || !d.busy {
		t.Errorf("%v %+v", err, answer.Operation.Obstacle)
	}
}
