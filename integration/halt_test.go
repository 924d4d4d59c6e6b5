package integration

import (
	"context"
	"testing"
	"time"

	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// halting is a cluster whose control plane stops servers.
func halting(t *testing.T, spec local.Spec) *cluster {
	t.Helper()
	c := bareOf(t, spec, 1)
	c.tune = func(b *blueprint) { b.Bench = true }
	c.startPlane()
	c.awaitHealthy()
	return c
}

func (c *cluster) halt(w orchestrator.HaltWish) (orchestrator.HaltAnswer, error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	w.Cluster, w.By, w.Reason, w.Terms.Drain = clusterName, "alice", "test", 200*time.Millisecond
	return c.plane.orch.Halt(ctx, w)
}

// haltNow is how the latest halt stands.
func (c *cluster) haltNow() halt.Halt {
	c.t.Helper()
	all, err := c.plane.orch.Halts(c.t.Context(), clusterName, 1)
	if err != nil || len(all) == 0 {
		c.t.Fatal(all, err)
	}
	return all[0]
}

func (c *cluster) awaitHalt(what string, within time.Duration, holds func(halt.Halt) bool) halt.Halt {
	c.t.Helper()
	for limit := time.Now().Add(within); time.Now().Before(limit); c.awaitRounds(1) {
		if h := c.haltNow(); holds(h) {
			return h
		}
	}
	c.t.Fatalf("never saw: %s; %+v\n%s", what, c.haltNow(), c.describe())
	return halt.Halt{}
}

// halted waits until a halt has succeeded, and tells its stages.
func (c *cluster) halted(within time.Duration) halt.Halt {
	c.t.Helper()
	h := c.awaitHalt("the end of the halt", within, func(h halt.Halt) bool { return !h.Running() })
	for _, s := range h.Stages {
		c.t.Logf("%s %-8s %8s %-6s %s", s.Server, s.Name, s.Duration.Round(time.Millisecond), s.Outcome, s.Detail)
	}
	if h.State != halt.StateSucceeded {
		c.t.Fatalf("%s: %s\n%s", h.State, h.Detail, c.describe())
	}
	return h
}

// processes are the incarnations of all servers.
func (c *cluster) processes() map[topology.Address]string {
	all := map[topology.Address]string{}
	for _, o := range c.view().Snapshot.Servers {
		all[o.Address] = o.Incarnation
	}
	return all
}

// The elector is changed half way: what is on record is gone on with.
func TestAWholeClusterIsRestartedUnderLoadAndLosesNothing(t *testing.T) {
	c := halting(t, local.Spec{Servers: 3})
	client := c.write(4)
	c.awaitAcks(client, 50)
	before, processes := c.view(), c.processes()
	began := time.Now()
	if _, err := c.halt(orchestrator.HaltWish{Kind: halt.KindRestart}); err != nil {
		t.Fatal(err)
	}
	c.awaitHalt("the second server", patience, func(h halt.Halt) bool { return h.At == 1 && h.Step != halt.StepCheck })
	c.stopPlane()
	c.startPlane()
	h := c.halted(4 * patience)
	t.Logf("all three were restarted within %s", time.Since(began).Round(time.Millisecond))
	v := c.awaitHealthy()
	c.awaitAcks(client, 50)
	if v.Primary == before.Primary || v.Term <= before.Term || h.Servers[2] != before.Primary {
		t.Errorf("%s led and %s leads under term %d; the order was %v", before.Primary, v.Primary, v.Term, h.Servers)
	}
	for a, process := range c.processes() {
		if process == processes[a] {
			t.Errorf("%s was not restarted", a)
		}
	}
	if len(v.Maintenance) > 0 {
		t.Errorf("still under maintenance: %v", v.Maintenance)
	}
	c.logChange(client, began)
	t.Log(c.nothingLost(client))
	c.onlyPrimaryIsWritable()
}

// MySQL itself would answer OK to whoever waits (E6). Without a supervisor somebody has to start a server.
func TestAPrimaryIsStoppedUnderLoadAndNobodyIsToldOKForNothing(t *testing.T) {
	c := halting(t, local.Spec{Servers: 3, Unsupervised: true})
	client := c.write(4)
	c.awaitAcks(client, 50)
	old := c.view().Primary

	t.Log("while commits wait it is refused")
	c.lockOutAckers(old)
	told := c.commitInFlight(old, unacked)
	c.await("the commit waiting", func(v orchestrator.View) bool { return v.Snapshot.Server(old).SemiSync.Waiters > 0 })
	answer, err := c.halt(orchestrator.HaltWish{Kind: halt.KindStop, Servers: []topology.Address{old}})
	if err == nil {
		t.Errorf("begun: %+v", answer.Halt)
	}
	t.Log(err)
	select {
	case err := <-told:
		t.Errorf("the client that waits was told: %v", err)
	default:
	}
	c.letAckersIn(old)
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	c.awaitHealthy()

	t.Log("under load it is moved and stopped")
	exited := c.server(old).Exited()
	if _, err := c.halt(orchestrator.HaltWish{Kind: halt.KindStop, Servers: []topology.Address{old}}); err != nil {
		t.Fatal(err)
	}
	c.halted(2 * patience)
	<-exited
	c.awaitAcks(client, 50)
	if f, found := findingOf(c.view(), topology.ServerUnreachable, old); found && f.Severity != topology.SeverityInfo {
		t.Errorf("that it is away is an incident: %s", f.Message)
	}

	t.Log("a restart begins with nobody, for one is under maintenance")
	other := c.members(old, c.view().Primary)[0]
	if _, err := c.halt(orchestrator.HaltWish{Kind: halt.KindRestart, Servers: []topology.Address{other}}); err == nil {
		t.Error("begun")
	}
	c.restart(old)
	if err := c.plane.orch.SetMaintenance(t.Context(), clusterName, old, false, orchestrator.Order{By: "alice"}); err != nil {
		t.Fatal(err)
	}
	c.awaitHealthy()

	t.Log("it is restarted, and waits for somebody who starts it")
	exited = c.server(old).Exited()
	if _, err := c.halt(orchestrator.HaltWish{Kind: halt.KindRestart, Servers: []topology.Address{old}}); err != nil {
		t.Fatal(err)
	}
	c.awaitHalt("that somebody has to start it", patience, func(h halt.Halt) bool { return h.Code == "start_it" })
	<-exited
	c.restart(old)
	c.halted(2 * patience)
	client.Stop()
	c.awaitHealthy()
	t.Log(c.nothingLost(client))
	c.onlyPrimaryIsWritable()
}
