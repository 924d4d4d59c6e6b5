package integration

import (
	"testing"

	"github.com/primacydb/primacy/topology"
)

// A replica skips what carries its own server_id. A former primary that was thrown away and rebuilt under the
// server_id of its life before would never get what it wrote then.
func TestAServerThatIsRebuiltGetsWhatItWroteInItsLifeBefore(t *testing.T) {
	c := started(t, 3, 1)
	client := c.write(2)
	c.awaitAcks(client, 20)
	old := c.view().Primary
	c.kill(old)
	c.awaitNewPrimary(old)
	c.awaitAcks(client, 20)
	client.Stop()
	if err := c.server(old).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.converged(old)
	if v := c.view(); v.Roles[old] != topology.RoleReplica {
		t.Errorf("%s is %s", old, v.Roles[old])
	}
	t.Log(c.nothingLost(client))
}
