package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// TestAnAckerThatIsBehindRestsUntilItIsNeededOrHasCaughtUp keeps a lock in the way of a replica's applier, and then has it apply
// with a delay.
func TestAnAckerThatIsBehindRestsUntilItIsNeededOrHasCaughtUp(t *testing.T) {
	c := bare(t, 4, 1)
	c.tune = func(b *blueprint) { b.Limits.BacklogMax = 50 }
	c.startPlane()
	c.awaitHealthy()
	client := c.write(2)
	c.awaitAcks(client, 20)
	primary := c.view().Primary
	slow, other := c.members(primary)[0], c.members(primary)[1]

	holder := c.root(slow)
	if _, err := holder.ExecContext(t.Context(), "FLUSH TABLES app.writes WITH READ LOCK"); err != nil {
		t.Fatal(err)
	}
	c.await("the slow replica rests", acks(slow, false))
	t.Log(c.awaitFinding(topology.AckerBehind, slow).Message)
	c.awaitAcks(client, 20)
	c.kill(other)
	c.await("the slow replica is needed", acks(slow, true))
	c.awaitAcks(client, 20)
	c.restart(other)
	c.await("the other one acknowledges, and the slow one rests again", func(v orchestrator.View) bool {
		return acks(other, true)(v) && acks(slow, false)(v)
	})
	if _, err := holder.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
	c.await("the slow replica has caught up", acks(slow, true))

	c.unrepaired(slow, "STOP REPLICA SQL_THREAD", "CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 3600", "START REPLICA SQL_THREAD")
	c.await("the delayed replica rests", acks(slow, false))
	began := c.now()
	c.unrepaired(slow, "STOP REPLICA IO_THREAD", fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_PORT = %d", c.server(other).Port), "START REPLICA IO_THREAD")
	c.awaitEvent(began, orchestrator.EventRepair, func(e orchestrator.Event) bool {
		return e.Server == slow && strings.HasPrefix(e.Text, "repaired")
	})
	c.await("the delayed replica follows the primary", func(v orchestrator.View) bool {
		r := v.Snapshot.Server(slow).Replication
		return r != nil && r.Source == primary && r.Receiver == topology.ThreadOn && r.ApplierDelayed == 3600 && acks(slow, false)(v)
	})
	client.Stop()
	c.await("all have received the same", func(v orchestrator.View) bool {
		return !slices.ContainsFunc(c.members(slow), func(a topology.Address) bool {
			return !v.Snapshot.Server(a).Position().Equal(v.Snapshot.Server(slow).Position())
		})
	})
	c.kill(primary)
	leader := c.awaitNewPrimary(primary).Primary
	if leader == slow {
		t.Errorf("%s leads, and it applies with a delay", leader)
	}
	c.await("the delayed replica acknowledges, for it is needed, and keeps its delay", func(v orchestrator.View) bool {
		r := v.Snapshot.Server(slow).Replication
		return acks(slow, true)(v) && r.Source == leader && r.ApplierDelayed == 3600
	})
	if err := <-c.commitInFlight(leader, 1_000_000_000); err != nil {
		t.Error(err)
	}
}

// acks tells whether a server follows the primary and acknowledges, or does not.
func acks(a topology.Address, wanted bool) func(orchestrator.View) bool {
	return func(v orchestrator.View) bool {
		o := v.Snapshot.Server(a)
		return o.OK() && o.Replication != nil && o.Replication.Source == v.Primary && o.Replication.Receiver == topology.ThreadOn &&
			o.SemiSync.ReplicaEnabled == wanted && o.SemiSync.ReplicaActive == wanted
	}
}
