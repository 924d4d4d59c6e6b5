package orchestrator

import (
	"context"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology/topologytest"
)

// queue is a store in which somebody else holds every lock.
type queue struct{ deskStore }

func (queue) Acquire(ctx context.Context, _ string) (Lease, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// An elector that lived on without its loop would keep its locks, and nobody would act for its clusters.
func TestALoopThatPanicsEndsItsProcessAndDoesNotWaitForWhatItStarted(t *testing.T) {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1))
	d.o.store = queue{deskStore{d}}
	ctx, cancel := context.WithCancel(t.Context())
	defer func() { cancel(); d.children.Wait() }()
	panicked := make(chan any, 1)
	go func() {
		defer func() { panicked <- recover() }()
		d.run(ctx)
	}()
	d.inbox.ask(&request{work: func(context.Context) { panic("a slip") }, done: Process{}.NewBell()})
	select {
	case r := <-panicked:
		if r != "a slip" {
			t.Errorf("the loop ended with %v", r)
		}
	case <-time.After(10 * time.Second):
		t.Error("the loop's panic does not come out: it waits for prober and contender, which go on")
	}
}
