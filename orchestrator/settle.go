package orchestrator

import (
	"context"
	"time"

	"github.com/primacydb/primacy/topology"
)

// settleErrant goes on with the settlement that is under way, or begins one where that is configured.
func (c *cluster) settleErrant(context.Context, time.Time) {}

// endSettling gives the server under settlement free at once: a change of the primary goes first, and waits for nobody.
func (c *cluster) endSettling() {}

// underSettlement tells whether a server is left to its settlement.
func (c *cluster) underSettlement(a topology.Address) bool {
	return c.lineage.Settling != nil && c.lineage.Settling.Server == a
}
