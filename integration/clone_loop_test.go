package integration

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// cloning is a cluster whose control plane clones.
func cloning(t *testing.T, servers int, how orchestrator.CloneSettings) *cluster {
	t.Helper()
	c := bare(t, servers, 1)
	c.tune = func(b *blueprint) { b.Bench, b.Clone = true, how }
	c.startPlane()
	c.awaitHealthy()
	return c
}

func TestAnErrantOldPrimaryIsClonedByHandAndLeadsAgain(t *testing.T) {
	c := cloning(t, 4, orchestrator.CloneSettings{})
	old := c.leftBehind()
	if _, err := c.settle(orchestrator.SettleWish{Server: old, Kind: settle.KindClone}); err != nil {
		t.Fatal(err)
	}
	s := c.awaitSettlement(3 * patience)
	if s.State != settle.StateSucceeded || s.Donor == c.view().Primary || s.ExportedTo == "" {
		t.Fatalf("%+v", s)
	}
	c.sameEverywhere()
	c.letAckersIn(old) // the copy was made of a server on which nobody was locked out; this changes nothing
	if op := c.reparented(orchestrator.Wish{Kind: reparent.KindPlanned, To: old}); op.To != old {
		t.Errorf("%+v", op)
	}
	c.sameEverywhere()
}

// With three servers and one acknowledgement the only other replica is needed; what forbids the clone is said.
func TestTheOnlyAckerIsNoDonorUnlessThatIsConfigured(t *testing.T) {
	c := cloning(t, 3, orchestrator.CloneSettings{})
	old := c.leftBehind()
	tried, err := c.settle(orchestrator.SettleWish{Server: old, Kind: settle.KindClone, DryRun: true})
	t.Logf("%+v, %v", tried.Check, err)
	if err == nil && tried.Check.Code != "no_donor" {
		t.Error("the only acker was taken, or it is not said why not")
	}
}

// late has a server miss what all others purge meanwhile.
func (c *cluster) late() (server topology.Address) {
	c.t.Helper()
	primary := c.view().Primary
	server = c.members(primary)[0]
	client := c.write(2)
	c.awaitAcks(client, 20)
	c.kill(server)
	c.awaitAcks(client, 50)
	client.Stop()
	c.converged(c.members(primary, server)...)
	for _, a := range c.members(server) {
		c.purge(a)
	}
	c.restart(server)
	return server
}

func TestAServerThatNobodyCanSendWhatItLacksIsCloned(t *testing.T) {
	c := cloning(t, 4, orchestrator.CloneSettings{Join: true})
	late := c.late()
	c.awaitFinding(topology.PurgedOnSource, late)
	s := c.awaitSettlement(3 * patience)
	if s.State != settle.StateSucceeded || s.Server != late || !s.Automatic {
		t.Fatalf("%+v", s)
	}
	c.sameEverywhere()
}

// A change of the primary ends a clone at once and waits for nobody; the clone is done again afterwards.
func TestAPrimaryThatDiesWhileAServerIsClonedIsReplacedAtOnce(t *testing.T) {
	c := cloning(t, 4, orchestrator.CloneSettings{Join: true, RateMax: 20, Donors: settle.DonorRules{FromNeeded: true}})
	// A donor sends as fast as it can for the first second and keeps to its limit from then on, so it takes more data than that.
	c.byHand(c.view().Primary, "CREATE TABLE app.large (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)",
		"INSERT INTO app.large (v) VALUES (REPEAT('x', 16000000)), (REPEAT('y', 16000000))",
		"INSERT INTO app.large (v) SELECT v FROM app.large", "INSERT INTO app.large (v) SELECT v FROM app.large", "INSERT INTO app.large (v) SELECT v FROM app.large")
	late := c.late()
	c.awaitLong("a clone that copies", func() bool {
		s := c.view().Settling
		return s != nil && s.Server == late && s.Step == settle.StepClone && s.Progress != nil && s.Progress.Done > 0
	})
	old := c.view().Primary
	begun := time.Now()
	c.kill(old)
	c.awaitNewPrimary(old)
	took := time.Since(begun)
	t.Logf("replaced after %s", took.Round(time.Millisecond))
	if took > 10*time.Second {
		t.Errorf("the change waited for the clone: %s", took)
	}
	c.restart(old)
	if s := c.awaitSettlement(4 * patience); s.State != settle.StateSucceeded {
		t.Fatalf("%+v", s)
	}
	c.sameEverywhere()
}

// awaitLong is eventually for what takes its time: nothing is cloned by itself before it has been missed for half a minute.
func (c *cluster) awaitLong(what string, holds func() bool) {
	c.t.Helper()
	for limit := time.Now().Add(3 * patience); !holds(); c.awaitRounds(1) {
		if time.Now().After(limit) {
			c.t.Fatalf("never saw: %s\n%s", what, c.describe())
		}
	}
}
