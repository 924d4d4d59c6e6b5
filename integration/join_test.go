package integration

import (
	"strings"
	"testing"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// purge has a server throw away all binary logs but a new one.
func (c *cluster) purge(a topology.Address) {
	c.t.Helper()
	c.byHand(a, "FLUSH BINARY LOGS")
	files := c.table(a, "SHOW BINARY LOGS")
	c.byHand(a, "PURGE BINARY LOGS TO '"+files[len(files)-1][0]+"'")
}

func TestAServerThatLacksWhatThePrimaryPurgedGetsItFromAnotherReplica(t *testing.T) {
	c := bare(t, 3, 1)
	c.tune = func(b *blueprint) { b.Bench = true }
	c.startPlane()
	primary := c.awaitHealthy().Primary
	late := c.members(primary)[0]
	client := c.write(2)
	c.awaitAcks(client, 20)
	c.kill(late)
	c.awaitAcks(client, 50)
	c.purge(primary)
	began := c.now()
	c.restart(late)
	source := c.members(primary, late)[0]
	c.awaitEvent(began, orchestrator.EventRepair, func(e orchestrator.Event) bool {
		return e.Server == late && strings.Contains(e.Text, "follow "+string(source))
	})
	c.await("the primary as its source again", func(v orchestrator.View) bool {
		r := v.Snapshot.Server(late).Replication
		return r != nil && r.Source == primary && r.Receiver == topology.ThreadOn
	})
	c.awaitAcks(client, 20)
	t.Log(c.nothingLost(client))
	c.awaitHealthy()
}
