package integration

import (
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/mysqld/workload"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

func TestPlannedChangesBackAndForthUnderLoadLoseNothing(t *testing.T) {
	c := started(t, 3, 1)
	client := c.write(4)
	for range 4 {
		c.awaitAcks(client, 50)
		old, began := c.view().Primary, time.Now()
		op := c.reparented(orchestrator.Wish{Kind: reparent.KindPlanned, By: "the test"})
		if op.State != reparent.StateSucceeded || op.To == old {
			t.Fatalf("the change ended as %s with %s leading: %+v\n%s", op.State, op.To, op.Obstacle, c.describe())
		}
		c.awaitAcks(client, 50)
		c.logChange(client, began)
		c.awaitHealthy()
		if v := c.view(); v.Primary != op.To || v.Roles[old] != topology.RoleReplica {
			t.Fatalf("%s leads and %s is %s, but %s was established", v.Primary, old, v.Roles[old], op.To)
		}
	}
	t.Log(c.nothingLost(client))
	c.onlyPrimaryIsWritable()
	if emergencies := slices.ContainsFunc(c.recoveries(), func(op reparent.Operation) bool { return op.Kind == reparent.KindEmergency }); emergencies {
		t.Error("a planned change set off an emergency")
	}
	c.everyChangeIsProven()
}

func TestPlannedChangeGoesToTheServerThatWasAskedFor(t *testing.T) {
	c := started(t, 3, 1)
	client := c.write(1)
	c.awaitAcks(client, 10)
	for _, wanted := range c.members(c.view().Primary) {
		op := c.reparented(orchestrator.Wish{Kind: reparent.KindPlanned, To: wanted, By: "the test"})
		if op.State != reparent.StateSucceeded || op.To != wanted {
			t.Fatalf("%s was asked for, and the change ended as %s with %s\n%s", wanted, op.State, op.To, c.describe())
		}
		c.awaitHealthy()
	}
	c.awaitAcks(client, 10)
	t.Log(c.nothingLost(client))
}

// super_read_only waits behind a table lock, and with it every new write. The primary must be given back
// to its clients when the time is up, as if nothing had been asked.
func TestPlannedChangeThatHangsIsUndoneAndWritesGoOn(t *testing.T) {
	c := started(t, 3, 1)
	client := c.write(4)
	c.awaitAcks(client, 50)
	primary := c.view().Primary
	c.byHand(primary, "CREATE TABLE app.held (id INT PRIMARY KEY)")
	holder := c.root(primary)
	if _, err := holder.ExecContext(t.Context(), "LOCK TABLES app.held WRITE"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	op := c.reparented(orchestrator.Wish{Kind: reparent.KindPlanned, Drain: 500 * time.Millisecond, By: "the test"})
	if op.State != reparent.StateUndone || op.Obstacle == nil || op.Obstacle.Code != "not_demoted" {
		t.Fatalf("a change that could not step down ended as %s: %+v", op.State, op.Obstacle)
	}
	t.Log(op.Obstacle.Message)
	c.awaitAcks(client, 50)
	t.Logf("writes stood still for %s", workload.LongestGap(client.Writes(), began).Length().Round(time.Millisecond))
	c.awaitHealthy()
	if v := c.view(); v.Primary != primary {
		t.Errorf("%s leads after a change that was undone; %s led before", v.Primary, primary)
	}
	t.Log(c.nothingLost(client))
	c.onlyPrimaryIsWritable()
}

// Commits that wait for acknowledgements would make the demotion hang; that is seen before anything is touched.
func TestPlannedChangeIsBlockedWhileCommitsWaitForAcknowledgements(t *testing.T) {
	c := started(t, 3, 2)
	client := c.write(2)
	c.awaitAcks(client, 30)
	primary := c.view().Primary
	mute := c.members(primary)[0]
	c.freeze(mute)
	c.await("a commit that has been waiting for a second", func(v orchestrator.View) bool {
		o := v.Snapshot.Server(primary)
		return o.SemiSync.Waiters > 0 && o.Stall.OldestAckWait > time.Second
	})
	before := len(c.plane.sent.all())
	obstacle := c.blocked(orchestrator.Wish{Kind: reparent.KindPlanned, By: "the test"})
	if obstacle.Code != "waiters" {
		t.Errorf("blocked for another reason: %+v", obstacle)
	}
	t.Log(obstacle.Message)
	if sent := c.plane.sent.all()[before:]; len(sent) > 0 {
		t.Errorf("commands were sent for a change that was blocked: %v", sent)
	}
	c.thaw(mute)
	c.awaitAcks(client, 30)
	c.awaitHealthy()
	t.Log(c.nothingLost(client))
}
