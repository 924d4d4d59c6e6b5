package integration

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// foreseen asks what would happen, of what the control plane saw in a view.
func foreseen(v orchestrator.View, failed ...topology.Address) reparent.Forecast {
	clearance, _, _ := antiflap.Settings{}.Clear(antiflap.Request{Cluster: clusterName, Operator: "the test", Now: time.Now()}, antiflap.Cluster{}, antiflap.Fleet{})
	return reparent.Foresee(clearance, reparent.Intent{ID: "forecast", Snapshot: v.Snapshot, History: v.History}, topology.Servers(failed...), time.Now())
}

func (c *cluster) isForeseen(want reparent.Prospect, failed ...topology.Address) reparent.Forecast {
	c.t.Helper()
	return c.isForeseenIn(c.view(), want, failed...)
}

func (c *cluster) isForeseenIn(v orchestrator.View, want reparent.Prospect, failed ...topology.Address) reparent.Forecast {
	c.t.Helper()
	f := foreseen(v, failed...)
	if f.Prospect != want {
		c.t.Errorf("if %v fail: %s %s %+v, want %s", failed, f.Prospect, f.Promoted, f.Obstacle, want)
	}
	return f
}

// Under a writing client, so that servers are seen at different moments. Then neither replica can apply what it received:
// that the primary could not be replaced is said while it lives, and so it happens.
func TestWhatIsForetoldOfRealServersHappens(t *testing.T) {
	c := started(t, 3, 1)
	client := c.write(2)
	c.awaitAcks(client, 50)
	primary := c.view().Primary
	replicas := c.members(primary)
	for range 20 {
		v := c.awaitWholeRound()
		c.isForeseenIn(v, reparent.ProspectPromoted, primary)
		c.isForeseenIn(v, reparent.ProspectUnaffected, replicas[0])
		c.isForeseenIn(v, reparent.ProspectBlocked, primary, replicas[1])
		c.isForeseenIn(v, reparent.ProspectWritesWait, replicas...)
	}
	c.byHand(primary, "CREATE TABLE app.clash (id INT PRIMARY KEY)")
	for _, a := range replicas {
		c.eventually("the table is on "+string(a), func() bool {
			return len(c.table(a, "SELECT 1 FROM information_schema.tables WHERE table_name = 'clash'")) == 1
		})
		c.unrecorded(a, "INSERT INTO app.clash VALUES (1)")
	}
	c.byHand(primary, "INSERT INTO app.clash VALUES (1)")
	for _, a := range replicas {
		c.awaitFinding(topology.ApplierFailed, a)
	}
	c.awaitAcks(client, 20) // what they receive they acknowledge all the same
	c.awaitRounds(2)
	told := c.isForeseen(reparent.ProspectBlocked, primary)
	c.kill(primary)
	v := c.await("the failover blocks", func(v orchestrator.View) bool { return v.State == topology.StateBlocked && v.Obstacle != nil })
	if told.Obstacle == nil || told.Obstacle.Code != v.Obstacle.Code {
		t.Errorf("foretold was %+v, and it blocks for %+v", told.Obstacle, v.Obstacle)
	}
	for _, a := range replicas {
		c.unrecorded(a, "DELETE FROM app.clash", "START REPLICA SQL_THREAD")
	}
	v = c.awaitNewPrimary(primary)
	c.awaitAcks(client, 20)
	c.restart(primary)
	c.awaitSettled(primary)
	t.Logf("%s leads; %s", v.Primary, c.nothingLost(client, c.quarantined()...))
}
