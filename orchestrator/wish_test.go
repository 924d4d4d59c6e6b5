package orchestrator

import (
	"context"
	"errors"
	"testing"
	"time"

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

// TestAChangeOutlivesTheRequestThatAskedForIt ends the request as soon as it is answered, as a server of HTTP does: the change
// goes on to its end, and the next one is not refused for it.
func TestAChangeOutlivesTheRequestThatAskedForIt(t *testing.T) {
	inTown(t, 1, func(t *testing.T, w *town) {
		wish := Wish{Cluster: w.names[0], Kind: reparent.KindPlanned, To: "C", By: "ada"}
		e := w.join("one")
		pass(10 * time.Second)
		w.change(func() { w.during = func(context.Context, Batch) { time.Sleep(time.Second) } }) // the request is over before any step is
		ctx, over := context.WithCancel(context.Background())
		answer, err := e.Reparent(ctx, wish)
		over()
		if err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Minute)
		if op, err := e.Recovery(context.Background(), answer.Operation.ID); err != nil || op.Running() {
			t.Errorf("%v, it still runs: %t", err, op.Running())
		}
		if _, err := e.Reparent(context.Background(), wish); errors.Is(err, ErrBusy) {
			t.Error("the cluster stays busy")
		}
		e.stop()
	})
}
