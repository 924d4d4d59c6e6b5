package integration

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// asksFor changes the rules by hand and returns what came of it; then the configuration is brought in line.
func (c *cluster) asksFor(policy topology.Policy, members []topology.Member, gone ...topology.Address) reparent.Operation {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	answer, err := c.plane.orch.ChangeRules(ctx, orchestrator.RulesWish{
		Cluster: clusterName, Policy: policy, Members: members, Gone: gone, By: "the test", Reason: "to see",
	})
	if err != nil {
		c.t.Fatalf("%v\n%s", err, c.describe())
	}
	op, err := c.plane.orch.Await(ctx, answer.Operation.ID)
	if err != nil {
		c.t.Fatal(err)
	}
	c.inLine()
	return op
}

// inLine writes the rules in force into the configuration, as an operator does.
func (c *cluster) inLine() {
	c.t.Helper()
	c.await("the end of the change", func(v orchestrator.View) bool { return v.Running == nil })
	c.ruleset = c.view().Ruleset
	if err := c.plane.orch.Configure(c.t.Context(), orchestrator.ClusterSettings{Name: clusterName, Ruleset: c.ruleset}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) succeeds(op reparent.Operation) {
	c.t.Helper()
	if op.State != reparent.StateSucceeded {
		c.t.Fatalf("%s: %+v\n%s", op.State, op.Obstacle, c.describe())
	}
	for _, s := range op.Stages {
		c.t.Logf("%s: %s (%s)", s.Name, s.Detail, s.Duration)
	}
}

// waitsFor is how many acknowledgements commits on the primary wait for, by its own word.
func (c *cluster) waitsFor() int {
	c.t.Helper()
	n, err := strconv.Atoi(c.table(c.view().Primary, "SELECT @@GLOBAL.rpl_semi_sync_source_wait_for_replica_count")[0][0])
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

func (c *cluster) acknowledges(a topology.Address) bool {
	c.t.Helper()
	return c.table(a, "SELECT @@GLOBAL.rpl_semi_sync_replica_enabled")[0][0] == "1"
}

func remaining(members []topology.Member, gone topology.Address) []topology.Member {
	return slices.DeleteFunc(slices.Clone(members), func(m topology.Member) bool { return m.Address == gone })
}

// One fleet through every kind of change while a client writes, and the primary killed in the end.
func TestRulesAreChangedUnderAWritingClientAndNothingIsLost(t *testing.T) {
	c := started(t, 4, 1)
	client := c.write(2)
	c.awaitAcks(client, 20)
	began := c.view()
	primary := began.Primary
	all, replicas := c.ruleset.Members, c.members(primary)
	last := replicas[2]
	two := topology.Policy{Kind: topology.PolicySemiSync, Acks: 2}

	c.succeeds(c.asksFor(two, all))
	if c.waitsFor() != 2 {
		t.Errorf("commits wait for %d", c.waitsFor())
	}
	c.awaitAcks(client, 20)

	cross := topology.Policy{Kind: topology.PolicyCrossZone, Acks: 2}
	c.succeeds(c.asksFor(cross, all))
	moved := slices.Clone(all)
	for i := range moved {
		if moved[i].Address == last {
			home, _ := c.ruleset.Member(primary)
			moved[i].Zone = home.Zone
		}
	}
	c.succeeds(c.asksFor(cross, moved))
	if c.acknowledges(last) {
		t.Errorf("%s stands in the zone of the primary and acknowledges", last)
	}
	c.awaitAcks(client, 20)
	c.succeeds(c.asksFor(two, all))
	c.awaitHealthy()

	c.kill(last)
	c.await("its loss", func(v orchestrator.View) bool { return !v.Snapshot.Server(last).OK() })
	_, err := c.plane.orch.ChangeRules(t.Context(), orchestrator.RulesWish{Cluster: clusterName, Policy: two, Members: remaining(all, last), By: "the test"})
	var blocked *orchestrator.BlockedError
	if !errors.As(err, &blocked) || blocked.Obstacle.Code != "not_reached" {
		t.Errorf("a dead member is removed for nobody's word: %v", err)
	}
	c.succeeds(c.asksFor(two, remaining(all, last), last))
	c.awaitHealthy()
	c.restart(last)
	c.awaitRounds(3)
	if n := c.view().Snapshot.Server(primary).SemiSync.Clients; n != 2 {
		t.Errorf("%d semi-sync replicas are attached, one of them removed", n)
	}
	c.eventually("an answer within a probe's time", func() bool { o := c.plane.fleet.Probe(t.Context(), last); return o.OK() }) // the first login is the slowest
	c.succeeds(c.asksFor(two, all))
	c.awaitHealthy()
	if !c.acknowledges(last) {
		t.Errorf("%s is a member again and does not acknowledge", last)
	}
	c.succeeds(c.asksFor(topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}, all))
	c.await("one acknowledgement", func(v orchestrator.View) bool { return v.Snapshot.Server(primary).SemiSync.Acks == 1 })
	c.awaitAcks(client, 20)
	if v := c.view(); v.Primary != primary || v.Term != began.Term {
		t.Errorf("%s leads under term %d: rules are no leaderships", v.Primary, v.Term)
	}
	c.kill(primary)
	c.awaitNewPrimary(primary)
	c.awaitAcks(client, 20)
	t.Log(c.nothingLost(client, primary))
}

// cutOff stops a control plane in the middle of a step.
type cutOff struct {
	orchestrator.Fleet
	at   reparent.Phase
	once sync.Once
	met  chan struct{}
}

func (h *cutOff) Do(ctx context.Context, b orchestrator.Batch) []reparent.Result {
	if b.Kind != reparent.KindRules || b.Phase != h.at {
		return h.Fleet.Do(ctx, b)
	}
	results := h.Fleet.Do(ctx, b) // it takes effect, and nobody hears of it
	h.once.Do(func() { close(h.met) })
	<-ctx.Done()
	return results
}

func TestAChangeOfTheRulesWhoseElectorEndsInTheMiddleIsMendedByTheNext(t *testing.T) {
	c := bare(t, 4, 1)
	for i, phase := range []reparent.Phase{reparent.PhaseDisabling, reparent.PhaseBarrier} {
		h := &cutOff{at: phase, met: make(chan struct{})}
		p, err := c.blueprint().start(t.Context(), func(f orchestrator.Fleet) orchestrator.Fleet { h.Fleet = f; return h })
		if err != nil {
			t.Fatal(err)
		}
		c.plane = p
		c.watchOver(p)
		v := c.awaitHealthy()
		if i == 0 {
			c.write(1)
		}
		gone := c.members(v.Primary)[2]
		wish := orchestrator.RulesWish{
			Cluster: clusterName, Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 2}, Members: remaining(c.ruleset.Members, gone), By: "the test",
		}
		answer, err := p.orch.ChangeRules(t.Context(), wish)
		if err != nil {
			t.Fatalf("%v\n%s", err, c.describe())
		}
		c.eventually("the step "+string(phase), func() bool {
			select {
			case <-h.met:
				return true
			default:
				return false
			}
		})
		c.stopPlane()
		c.startPlane()
		v = c.awaitHealthy()
		op, err := c.plane.await(answer.Operation.ID)
		if err != nil || op.State != reparent.StateUndone || v.Ruleset.Number != 1 || c.waitsFor() != 1 || !c.acknowledges(gone) {
			t.Errorf("%s: %s %v under ruleset %d, %d acks, %s acknowledges: %t (%v)", phase, op.State, op.Obstacle, v.Ruleset.Number, c.waitsFor(), gone, c.acknowledges(gone), err)
		}
		c.stopPlane()
	}
}
