package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/primacydb/primacy/mysqld/workload"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

func TestKilledPrimariesAreReplacedRoundAfterRoundAndNothingIsLost(t *testing.T) {
	for _, size := range []struct{ servers, acks, rounds int }{{3, 1, 3}, {5, 2, 2}} {
		t.Run(fmt.Sprintf("%d of %d replicas acknowledge", size.acks, size.servers-1), func(t *testing.T) {
			c := started(t, size.servers, size.acks)
			client := c.write(4)
			for range size.rounds {
				c.awaitAcks(client, 50)
				old := c.view().Primary
				killed := time.Now()
				c.kill(old)
				c.awaitNewPrimary(old)
				c.awaitAcks(client, 50)
				c.logChange(client, killed)
				c.bringBack(old)
				c.acknowledge()
			}
			t.Log(c.nothingLost(client))
			c.everyChangeIsProven()
		})
	}
}

// awaitSettled waits until a server that came back is a replica again, or is quarantined with a finding
// that lists what it holds too much.
func (c *cluster) awaitSettled(a topology.Address) {
	c.t.Helper()
	c.await(string(a)+" as a replica or quarantined", func(v orchestrator.View) bool {
		o := v.Snapshot.Server(a)
		joined := v.Roles[a] == topology.RoleReplica && o.Replication != nil && o.Replication.Source == v.Primary &&
			o.Replication.Receiver == topology.ThreadOn && o.Replication.Applier == topology.ThreadOn
		_, errant := findingOf(v, topology.Errant, a)
		return serves(v) && o.OK() && o.SuperReadOnly && (joined || errant)
	})
}

// bringBack starts a server that was killed and waits until it is a replica.
func (c *cluster) bringBack(a topology.Address) {
	c.t.Helper()
	c.restart(a)
	c.awaitRejoined(a)
}

// awaitRejoined waits until a server that was killed and started is a replica. When the crash left it with
// a transaction that nobody acknowledged, which is chance, it is quarantined, and rebuilt as an operator
// would do it: what follows needs it.
func (c *cluster) awaitRejoined(a topology.Address) {
	c.t.Helper()
	c.awaitSettled(a)
	f, errant := findingOf(c.view(), topology.Errant, a)
	if errant {
		c.t.Logf("rebuilt: %s", f.Message)
		c.rebuild(a)
		return
	}
	c.catchUp(a, c.view())
}

// rebuild throws a server's data away and waits until it has got all of the primary's again.
func (c *cluster) rebuild(a topology.Address) {
	c.t.Helper()
	v := c.view()
	if err := c.server(a).Rebuild(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.catchUp(a, v)
}

// catchUp waits until a server follows and has all that the primary had at the time of the view.
func (c *cluster) catchUp(a topology.Address, then orchestrator.View) {
	c.t.Helper()
	all := then.Snapshot.Server(then.Primary).Executed
	c.await(string(a)+" as a replica that has caught up", func(v orchestrator.View) bool {
		o := v.Snapshot.Server(a)
		return serves(v) && o.Executed.Contains(all) && v.Roles[a] == topology.RoleReplica && o.Replication.Receiver == topology.ThreadOn
	})
}

// quarantined are the servers that hold errant transactions.
func (c *cluster) quarantined() []topology.Address {
	c.t.Helper()
	var all []topology.Address
	for _, f := range c.view().Findings {
		if f.Code == topology.Errant {
			all = append(all, f.Server)
		}
	}
	return all
}

// logChange tells how long clients could not write, and what the time went to.
func (c *cluster) logChange(client *workload.Client, since time.Time) {
	c.t.Helper()
	c.t.Logf("gap %s", workload.LongestGap(client.Writes(), since).Length().Round(100*time.Microsecond))
	for _, s := range c.recoveries()[0].Stages {
		c.t.Logf("%-10s %8s %s", s.Name, s.Duration.Round(100*time.Microsecond), s.Detail)
	}
}

// A server that completes a transaction on its restart which nobody acknowledged (E4) must not join as
// if nothing had happened, nor lead again.
func TestRestartedPrimaryWithAnUnacknowledgedRowIsQuarantined(t *testing.T) {
	c := started(t, 3, 1)
	client := c.write(2)
	c.awaitAcks(client, 20)
	client.Stop()
	c.converged(c.members()...)
	old := c.view().Primary
	c.lockOutAckers(old)
	told := c.commitInFlight(old, unacked)
	c.await("the commit waiting for acknowledgements", func(v orchestrator.View) bool { return v.Snapshot.Server(old).SemiSync.Waiters > 0 })
	c.kill(old)
	if err := <-told; err == nil {
		t.Fatal("the client of a commit that nobody acknowledged was told OK")
	}
	c.awaitNewPrimary(old)
	c.restart(old)
	f := c.awaitFinding(topology.Errant, old)
	t.Log(f.Message)
	c.await("quarantine", func(v orchestrator.View) bool { return v.Roles[old] == topology.RoleQuarantined })
	if !c.rows(old)[unacked] {
		t.Error("the old primary does not hold the row, so nothing was tested")
	}
	t.Log(c.nothingLost(client, old))
	if c.rows(c.view().Primary)[unacked] {
		t.Error("the row that nobody acknowledged is on the new primary, but the old one was quarantined for it")
	}
	if following := c.plane.sent.of(reparent.Follow, old); following > 0 {
		t.Errorf("the quarantined server was told to follow %d times", following)
	}
	c.rebuild(old)
	t.Log(c.nothingLost(client))
	if err := <-c.commitInFlight(c.view().Primary, unacked); err != nil {
		t.Errorf("the new primary takes no writes: %v", err)
	}
}

// unacked is the number of a row that tests write by hand; clients do not get so far.
const unacked = 1_000_000

// lockOutAckers makes all replicas lose the primary without a way back: repairs cannot restore what the
// primary refuses. The lock is on that server only.
func (c *cluster) lockOutAckers(primary topology.Address) {
	c.t.Helper()
	c.unrecorded(primary, fmt.Sprintf("ALTER USER '%s'@'%%' ACCOUNT LOCK", c.fleet.Users.Replica.Name))
	for _, a := range c.members(primary) {
		c.byHand(a, "STOP REPLICA IO_THREAD")
	}
	c.await("a primary without ackers", func(v orchestrator.View) bool { return v.Snapshot.Server(primary).SemiSync.Clients == 0 })
}

func (c *cluster) letAckersIn(primary topology.Address) {
	c.t.Helper()
	c.unrecorded(primary, fmt.Sprintf("ALTER USER '%s'@'%%' ACCOUNT UNLOCK", c.fleet.Users.Replica.Name))
}
