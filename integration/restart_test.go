package integration

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// A primary that crashes and is back before anybody replaced it comes up closed. Nothing is opened but
// under a new term, after it is certain which history holds.
func TestPrimaryThatRestartsBeforeItIsReplacedIsOpenedUnderANewTermOnly(t *testing.T) {
	c := started(t, 3, 1)
	client := c.write(4)
	c.awaitAcks(client, 50)
	before := c.view()
	c.stopPlane()
	c.kill(before.Primary)
	c.restart(before.Primary)
	c.startPlane()
	v := c.await("a primary of a later term", func(v orchestrator.View) bool { return serves(v) && v.Term > before.Term })
	if op := c.recoveries()[0]; op.Kind != reparent.KindEmergency && op.Kind != reparent.KindReopening || op.State != reparent.StateSucceeded {
		t.Errorf("the cluster serves after a %s change that %s", op.Kind, op.State)
	}
	t.Logf("%s led, %s leads: %s", before.Primary, v.Primary, c.recoveries()[0].Cause)
	c.awaitAcks(client, 50)
	for _, a := range c.members(v.Primary) {
		c.awaitSettled(a)
	}
	t.Log(c.nothingLost(client, c.quarantined()...))
	c.onlyPrimaryIsWritable()
}

// The window of the change that made it primary is open, it has not proved itself, and it starts offline: it may not be
// replaced, and is opened again, with all that its restart completed, as soon as that is certain to be safe.
func TestPrimaryThatRestartsWithinTheWindowIsOpenedAgain(t *testing.T) {
	c := started(t, 3, 1)
	first := c.view().Primary
	c.kill(first)
	before := c.awaitNewPrimary(first)
	c.restart(first)
	c.awaitSettled(first)
	client := c.write(4)
	c.awaitAcks(client, 50)
	c.byHand(before.Primary, "SET PERSIST_ONLY offline_mode = ON")
	c.kill(before.Primary)
	c.restart(before.Primary)
	ready := time.Now()
	v := c.await("it opened again", func(v orchestrator.View) bool { return serves(v) && v.Term > before.Term })
	op := c.recoveries()[0]
	if op.Kind != reparent.KindReopening || op.State != reparent.StateSucceeded || v.Primary != before.Primary || !v.Window().Open {
		t.Fatalf("%s leads after a %s change that %s, %s led before, the window is open: %t", v.Primary, op.Kind, op.State, before.Primary, v.Window().Open)
	}
	t.Logf("%s was ready, and %s later open", v.Primary, op.Established.Sub(ready).Round(time.Millisecond))
	c.awaitAcks(client, 50)
	c.logChange(client, ready)
	t.Log(c.nothingLost(client))
	c.onlyPrimaryIsWritable()
}

// The same, with a row that nobody acknowledged: the restart completes it (E4). It must end up on every
// server or on none but a quarantined one.
func TestRowThatARestartCompletedIsEverywhereOrQuarantined(t *testing.T) {
	c := started(t, 3, 1)
	client := c.write(2)
	c.awaitAcks(client, 20)
	client.Stop()
	c.converged(c.members()...)
	before := c.view()
	c.lockOutAckers(before.Primary)
	told := c.commitInFlight(before.Primary, unacked)
	c.await("the commit waiting", func(v orchestrator.View) bool { return v.Snapshot.Server(before.Primary).SemiSync.Waiters > 0 })
	c.stopPlane()
	c.kill(before.Primary)
	if err := <-told; err == nil {
		t.Fatal("the client of a commit that nobody acknowledged was told OK")
	}
	c.restart(before.Primary)
	c.letAckersIn(before.Primary)
	c.startPlane()
	v := c.await("a primary of a later term", func(v orchestrator.View) bool { return serves(v) && v.Term > before.Term })
	for _, a := range c.members(v.Primary) {
		c.awaitSettled(a)
	}
	c.nothingLost(client, c.quarantined()...)
	t.Logf("%s led, %s leads, quarantined: %v, the row is on %v", before.Primary, v.Primary, c.quarantined(), c.holders(unacked))
	if v.Primary == before.Primary && len(c.holders(unacked)) != 3 {
		t.Errorf("the old primary leads again, and the row that only it held is on %v", c.holders(unacked))
	}
	c.onlyPrimaryIsWritable()
}

// holders are the servers that have a row.
func (c *cluster) holders(id int64) []topology.Address {
	c.t.Helper()
	var all []topology.Address
	for _, a := range c.members() {
		if c.rows(a)[id] {
			all = append(all, a)
		}
	}
	return all
}

func TestPrimaryThatIsShutDownInOrderIsReplaced(t *testing.T) {
	c := started(t, 3, 1)
	client := c.write(4)
	c.awaitAcks(client, 50)
	old, began := c.view().Primary, time.Now()
	if err := c.server(old).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("it was gone after %s", time.Since(began).Round(time.Millisecond))
	c.awaitNewPrimary(old)
	c.awaitAcks(client, 50)
	c.logChange(client, began)
	c.restart(old)
	c.awaitSettled(old)
	t.Log(c.nothingLost(client, c.quarantined()...))
	c.onlyPrimaryIsWritable()
}
