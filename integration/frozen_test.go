package integration

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// A frozen primary holds its connections and answers nobody. Whatever waits on it when it wakes up must
// not be answered with OK: it no longer leads. It wakes up while the change still tries to reach it, or
// long after that has been given up, as writable as it was.
func TestFrozenPrimaryIsReplacedAndWakesUpFenced(t *testing.T) {
	for _, row := range []struct {
		name   string
		freeze time.Duration
		rounds int
	}{
		{"while the change still tries to reach it", 10 * time.Second, 0},
		{"when nobody tries any more", 500 * time.Millisecond, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := bare(t, 3, 1)
			c.tune = func(b *blueprint) { b.Timing.Freeze = row.freeze }
			c.startPlane()
			c.awaitHealthy()
			client := c.write(4)
			c.awaitAcks(client, 50)
			old := c.view().Primary
			waiting := c.connect(old)
			frozen := time.Now()
			c.freeze(old)
			told := c.insert(waiting, unacked) // lies in the socket until the server wakes up
			c.awaitNewPrimary(old)
			c.awaitAcks(client, 50)
			c.logChange(client, frozen)
			c.awaitRounds(row.rounds) // each takes as long as a probe waits for the frozen server
			c.thaw(old)
			if err := <-told; err == nil {
				t.Error("a client that wrote to the frozen primary was told OK, and nobody acknowledged its row")
			}
			c.awaitSettled(old)
			c.awaitAcks(client, 50)
			if fenced := c.plane.sent.of(reparent.Fence, old); fenced == 0 {
				t.Error("the server that woke up as a primary was never fenced")
			}
			t.Log(c.nothingLost(client, c.quarantined()...))
			c.onlyPrimaryIsWritable()
			if errant, ok := findingOf(c.view(), topology.Errant, old); ok {
				t.Log(errant.Message)
			} else if c.rows(old)[unacked] {
				t.Error("the old primary joined with a row that no other server holds")
			}
		})
	}
}

func (c *cluster) onlyPrimaryIsWritable() {
	c.t.Helper()
	v := c.view()
	for _, a := range c.members(v.Primary) {
		if v.Snapshot.Server(a).OK() && c.table(a, "SELECT @@GLOBAL.super_read_only")[0][0] != "1" {
			c.t.Errorf("%s is open for writes, and %s leads", a, v.Primary)
		}
	}
}

// Nothing but acknowledgements is missing, and every other primary would need as many: Primacy names the
// trouble and leaves the choice to an operator.
func TestPrimaryWithoutAckersIsNotReplacedUntilSomebodyAsks(t *testing.T) {
	c := started(t, 3, 1)
	client := c.write(2)
	c.awaitAcks(client, 30)
	client.Stop()
	c.converged(c.members()...)
	old := c.view().Primary
	c.lockOutAckers(old)
	told := c.commitInFlight(old, unacked)
	f := c.awaitFinding(topology.SemiSyncBlocked, old)
	t.Log(f.Message)
	if f.WhyNot == "" || f.Remedy != topology.RemedyNone {
		t.Errorf("the finding does not say why nothing is done: %+v", f)
	}
	c.await("the commit waiting", func(v orchestrator.View) bool { return v.Snapshot.Server(old).SemiSync.Waiters > 0 })
	c.awaitRounds(5)
	if got := len(c.recoveries()); got != 1 {
		t.Fatalf("%d changes are on record, and only the adoption was due", got)
	}
	op := c.reparented(orchestrator.Wish{Kind: reparent.KindEmergency, Reason: "its ackers are locked out", By: "the test"})
	if op.State != reparent.StateSucceeded || op.To == old {
		t.Fatalf("the change asked for ended as %s with %s leading\n%s", op.State, op.To, c.describe())
	}
	if err := <-told; err == nil {
		t.Error("the client that waited was told OK, and nobody acknowledged its row")
	}
	c.awaitSettled(old)
	t.Log(c.nothingLost(client, c.quarantined()...))
	c.onlyPrimaryIsWritable()
	if err := <-c.commitInFlight(c.view().Primary, unacked); err != nil {
		t.Errorf("the new primary takes no writes: %v", err)
	}
}
