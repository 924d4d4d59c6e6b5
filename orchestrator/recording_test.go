package orchestrator

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology/topologytest"
)

// deafLease is held, and its store takes nothing any more.
type deafLease struct{ deskLease }

func (deafLease) Put(context.Context, ...Document) error {
	return errors.New("the lock has been given back")
}

func TestAChangeIsAcceptedOnlyOnceItIsOnRecord(t *testing.T) {
	for name, taken := range map[string]bool{"the store takes it": true, "the elector stops before": false} {
		t.Run(name, func(t *testing.T) {
			d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1).Primary("A").EstablishedAgo(time.Hour))
			d.round(t)
			if !taken {
				d.cluster.lease = deafLease{deskLease{d}}
			}
			answer, err := d.cluster.grant(t.Context(), Wish{Cluster: "shop", Kind: reparent.KindPlanned}, d.now)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.o.OnRecord(t.Context(), answer.Operation.ID); (err == nil) != taken || err != nil && !errors.Is(err, ErrNotLeading) {
				t.Errorf("%v", err)
			}
			if !taken && slices.ContainsFunc(d.sent, func(c reparent.Command) bool { return c.Verb != reparent.Read }) {
				t.Errorf("nobody knows of it, and %v was sent", d.sent)
			}
			d.workers.Wait()
		})
	}
}
