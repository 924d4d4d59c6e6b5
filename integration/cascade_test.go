package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// cascade is a cluster of four, the last of which is to replicate from the second by the rules. Its control plane does not run
// yet. Times are short, for what is waited for is not what is measured.
type cascade struct {
	*cluster
	primary, intermediate, other, leaf topology.Address
}

func cascaded(t *testing.T) cascade {
	t.Helper()
	c := cascade{cluster: bareOf(t, local.Spec{Servers: 4}, 1)}
	m := c.ruleset.Members
	c.primary, c.intermediate, c.other, c.leaf = m[0].Address, m[1].Address, m[2].Address, m[3].Address
	m[3].Source, m[3].Promotion = c.intermediate, topology.PromotionNever
	c.tune = func(b *blueprint) {
		b.Bench = true
		b.Limits.RehomeAfter, b.Limits.ReturnAfter = time.Second, 3*time.Second
	}
	return c
}

// fed tells whether the leaf receives from a server, and applies.
func (c cascade) fed(from topology.Address) func(orchestrator.View) bool {
	return func(v orchestrator.View) bool {
		r := v.Snapshot.Server(c.leaf).Replication
		return serves(v) && r != nil && r.Source == from && r.Receiver == topology.ThreadOn && r.Applier == topology.ThreadOn
	}
}

// attach points the leaf at a server by hand.
func (c cascade) attach(to topology.Address) {
	c.t.Helper()
	c.byHand(c.leaf, "STOP REPLICA IO_THREAD", fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_PORT = %d", c.server(to).Port), "START REPLICA IO_THREAD")
}

func (c cascade) rehomedBecause(after uint64, words string) {
	c.t.Helper()
	e := c.awaitEvent(after, orchestrator.EventRepair, func(e orchestrator.Event) bool { return e.Server == c.leaf && strings.Contains(e.Text, words) })
	c.t.Log(e.Text)
}

func TestACascadedReplicaIsFedByItsIntermediateAndByThePrimaryWhileThatIsDown(t *testing.T) {
	c := cascaded(t)
	c.startPlane()
	c.await("the replica at its intermediate", c.fed(c.intermediate))
	v := c.awaitHealthy()
	if o := v.Snapshot.Server(c.leaf); o.SemiSync.ReplicaEnabled || v.Ruleset.Ackers(v.Primary).Has(c.leaf) {
		t.Errorf("it acknowledges: %+v", o.SemiSync)
	}
	client := c.write(1)
	c.awaitAcks(client, 50)
	for round := range 2 {
		began, killed := c.now(), time.Now()
		c.kill(c.intermediate)
		c.await("the replica at the primary", c.fed(v.Primary))
		t.Logf("round %d: with the primary %s after the intermediate was killed", round+1, time.Since(killed).Round(10*time.Millisecond))
		c.rehomedBecause(began, "which is not reached")
		t.Log(c.awaitFinding(topology.CascadeRehomed, c.leaf).WhyNot)
		c.awaitAcks(client, 20)
		began, back := c.now(), time.Now()
		c.bringBack(c.intermediate)
		c.await("the replica at its intermediate again", c.fed(c.intermediate))
		took, least := time.Since(back), 3*time.Second<<round
		t.Logf("round %d: with its intermediate %s after that came back", round+1, took.Round(10*time.Millisecond))
		if took < least {
			t.Errorf("it went back after %s, and %s are the least", took, least)
		}
		c.rehomedBecause(began, "its intermediate")
		c.awaitAcks(client, 20)
	}
	t.Log(c.nothingLost(client))
	if now := c.awaitHealthy(); now.Primary != v.Primary || now.Term != v.Term {
		t.Errorf("%s leads under term %d, and %s led under term %d", now.Primary, now.Term, v.Primary, v.Term)
	}
	c.onlyPrimaryIsWritable()
}

func TestACascadeThatIsThereAlreadyIsAdoptedAsItIs(t *testing.T) {
	c := cascaded(t)
	c.attach(c.intermediate)
	c.startPlane()
	c.awaitHealthy()
	client := c.write(1)
	c.awaitAcks(client, 20)
	if n := c.plane.sent.of(reparent.Follow, c.leaf); n > 1 || !c.fed(c.intermediate)(c.view()) { // once: so that it cannot acknowledge after a restart
		t.Errorf("it was told %d times to follow\n%s", n, c.describe())
	}
	t.Log(c.nothingLost(client))
}

func TestACascadeGoesOnWhoeverLeads(t *testing.T) {
	c := cascaded(t)
	c.startPlane()
	c.await("the replica at its intermediate", c.fed(c.intermediate))
	c.awaitHealthy()
	client := c.write(1)
	move := func(to topology.Address) {
		t.Helper()
		told := c.plane.sent.of(reparent.Follow, c.leaf)
		c.awaitAcks(client, 30)
		op := c.reparented(orchestrator.Wish{Kind: reparent.KindPlanned, To: to, By: "the test"})
		if op.State != reparent.StateSucceeded {
			t.Fatalf("%s: %+v\n%s", op.State, op.Obstacle, c.describe())
		}
		c.awaitHealthy()
		c.await("the replica at its intermediate", c.fed(c.intermediate))
		if more := c.plane.sent.of(reparent.Follow, c.leaf) - told; more > 0 && to != c.intermediate {
			t.Errorf("the primary moved to %s, and the cascaded replica was told %d times to follow", to, more)
		}
		c.awaitAcks(client, 30)
	}
	t.Log("in order: to another server, to the intermediate, and away from it")
	move(c.other)
	move(c.intermediate)
	move(c.primary)

	t.Log("the primary dies, and the intermediate stays what it is, or leads")
	c.kill(c.primary)
	c.awaitNewPrimary(c.primary)
	c.await("the replica at its intermediate", c.fed(c.intermediate))
	c.awaitAcks(client, 30)
	c.bringBack(c.primary)
	c.acknowledge()
	c.awaitHealthy()

	t.Log("the intermediate leads, and dies")
	if c.view().Primary != c.intermediate {
		move(c.intermediate)
	}
	c.kill(c.intermediate)
	v := c.awaitNewPrimary(c.intermediate)
	c.await("the replica at the new primary", c.fed(v.Primary))
	c.awaitAcks(client, 30)
	c.bringBack(c.intermediate)
	c.await("the replica at its intermediate again", c.fed(c.intermediate))
	c.awaitHealthy()

	t.Log("primary and intermediate die at once, which is more than one acknowledgement bears, whatever the replica holds")
	c.acknowledge()
	c.kill(c.intermediate)
	c.kill(v.Primary)
	c.await("a change that is blocked", func(v orchestrator.View) bool { return v.Obstacle != nil && v.Obstacle.Code == "not_revoked" })
	c.restart(c.intermediate)
	now := c.awaitNewPrimary(v.Primary)
	c.await("the replica where it is fed", func(v orchestrator.View) bool { return c.fed(c.intermediate)(v) || c.fed(now.Primary)(v) })
	c.awaitAcks(client, 30)
	if now.Primary != c.intermediate { // whoever holds the latest leads, and that is chance
		c.awaitSettled(c.intermediate)
	}
	c.bringBack(v.Primary)
	c.await("the replica at its intermediate again", c.fed(c.intermediate))
	t.Log(c.nothingLost(client))
	c.awaitHealthy()
	c.onlyPrimaryIsWritable()
	c.everyChangeIsProven()
}

// TestADelayIsKeptOnBothEndsOfACascade has the intermediate apply late, and then the cascaded replica.
func TestADelayIsKeptOnBothEndsOfACascade(t *testing.T) {
	c := cascaded(t)
	c.startPlane()
	c.await("the replica at its intermediate", c.fed(c.intermediate))
	c.awaitHealthy()
	late := func(a topology.Address, seconds int) {
		c.unrepaired(a, "STOP REPLICA SQL_THREAD", fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_DELAY = %d", seconds), "START REPLICA SQL_THREAD")
	}
	late(c.intermediate, 4)
	client := c.write(1)
	c.awaitAcks(client, 50)
	for range 20 {
		v := c.awaitWholeRound()
		if f, found := findingOf(v, topology.IntermediateUnfit, c.leaf); found {
			t.Fatalf("a delayed intermediate loses its replica: %s", f.Message)
		}
		if f, found := findingOf(v, topology.Lagging, c.leaf); found {
			t.Fatalf("what comes late on purpose counts as lag: %s", f.Message)
		}
	}
	if v := c.view(); !c.fed(c.intermediate)(v) || v.Snapshot.Server(c.intermediate).Replication.ApplierDelayed != 4 {
		t.Errorf("the delay was not kept\n%s", c.describe())
	}
	late(c.intermediate, 0)
	c.awaitHealthy()

	t.Log("the replica is delayed itself, and its intermediate dies, and then the primary")
	late(c.leaf, 3600)
	delayed := func(from topology.Address) func(orchestrator.View) bool {
		return func(v orchestrator.View) bool {
			return c.fed(from)(v) && v.Snapshot.Server(c.leaf).Replication.ApplierDelayed == 3600
		}
	}
	c.await("the delay", delayed(c.intermediate))
	c.kill(c.intermediate)
	c.await("the delayed replica at the primary", delayed(c.primary))
	c.awaitAcks(client, 20)
	c.bringBack(c.intermediate)
	c.await("the delayed replica at its intermediate", delayed(c.intermediate))
	began := time.Now()
	c.kill(c.primary)
	v := c.awaitNewPrimary(c.primary)
	t.Logf("another primary %s after the kill, with a replica an hour late", time.Since(began).Round(time.Millisecond))
	c.await("the delayed replica", func(v orchestrator.View) bool { return delayed(c.intermediate)(v) || delayed(v.Primary)(v) })
	c.awaitAcks(client, 20)
	c.bringBack(c.primary)
	late(c.leaf, 0)
	c.await("the replica at its intermediate", c.fed(c.intermediate))
	t.Logf("%s leads: %s", v.Primary, c.nothingLost(client))
	c.awaitHealthy()
}

func TestServersOfACascadeAreRestartedOneByOne(t *testing.T) {
	c := cascaded(t)
	c.startPlane()
	c.await("the replica at its intermediate", c.fed(c.intermediate))
	c.awaitHealthy()
	client := c.write(1)
	c.awaitAcks(client, 20)
	if _, err := c.halt(orchestrator.HaltWish{Kind: halt.KindRestart}); err != nil {
		t.Fatal(err)
	}
	c.halted(4 * patience)
	c.await("the replica at its intermediate", c.fed(c.intermediate))
	t.Log(c.nothingLost(client))
	c.awaitHealthy()
}

func TestAReplicaBecomesACascadedOneAndBackByAChangeOfTheRules(t *testing.T) {
	c := cascaded(t)
	rules := c.ruleset
	plain := append([]topology.Member{}, rules.Members...)
	plain[3].Source = ""
	c.ruleset.Members = plain
	c.startPlane()
	c.awaitHealthy()
	client := c.write(1)
	c.awaitAcks(client, 20)
	change := func(members []topology.Member) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		answer, err := c.plane.orch.ChangeRules(ctx, orchestrator.RulesWish{Cluster: clusterName, Policy: rules.Policy, Members: members, By: "alice", Reason: "test"})
		if err != nil {
			return err
		}
		op, err := c.control.await(answer.Operation.ID)
		if err == nil && op.State != reparent.StateSucceeded {
			err = fmt.Errorf("%s: %+v", op.State, op.Obstacle)
		}
		return err
	}

	t.Log("what makes no sense is refused")
	for what, bad := range map[string]func(m []topology.Member){
		"itself": func(m []topology.Member) { m[3].Source = c.leaf },
		"a chain": func(m []topology.Member) {
			m[2].Source, m[2].Promotion, m[3].Source = c.intermediate, topology.PromotionNever, c.other
		},
		"a ring":   func(m []topology.Member) { m[1].Source, m[1].Promotion = c.leaf, topology.PromotionNever },
		"unknown":  func(m []topology.Member) { m[3].Source = "127.0.0.1:1" },
		"may lead": func(m []topology.Member) { m[3].Promotion = "" },
		"no ackers": func(m []topology.Member) {
			for i := 1; i < 4; i++ {
				m[i].Source, m[i].Promotion = c.primary, topology.PromotionNever
			}
		},
	} {
		members := append([]topology.Member{}, rules.Members...)
		bad(members)
		var blocked *orchestrator.BlockedError
		if err := change(members); !errors.As(err, &blocked) || blocked.Obstacle.Code != "rules_invalid" {
			t.Errorf("%s: %v", what, err)
		} else {
			t.Logf("%s: %v", what, err)
		}
	}

	t.Log("what makes sense is done")
	if err := change(rules.Members); err != nil {
		t.Fatalf("%v\n%s", err, c.describe())
	}
	c.await("the replica at its intermediate", c.fed(c.intermediate))
	c.awaitAcks(client, 20)
	if err := change(plain); err != nil {
		t.Fatalf("%v\n%s", err, c.describe())
	}
	c.await("the replica at the primary, acknowledging", func(v orchestrator.View) bool { return c.fed(v.Primary)(v) && acks(c.leaf, true)(v) })
	t.Log(c.nothingLost(client))
}
