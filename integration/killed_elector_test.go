package integration

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/mysqld/workload"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Whatever step a control plane is killed at, the next one finishes or undoes the change: one server
// takes writes, nothing stays stopped, and nothing that was acknowledged is lost.

func TestControlPlaneKilledAtAnyStepOfAnEmergencyIsTakenOverFrom(t *testing.T) {
	c := mortals(t)
	for _, d := range []death{
		{"before", "revoking"}, {"during", "revoking"}, {"after", "revoking"},
		{"during", "propagating"},
		{"before", "marking"}, {"during", "marking"}, {"after", "marking"},
		{"after", "opening"}, {"during", "reconciling"},
	} {
		t.Run(d.String(), func(t *testing.T) {
			c := c.in(t)
			c.startProcess(d)
			old := c.awaitCalm().Primary
			client := c.write(2)
			c.awaitAcks(client, 20)
			began := time.Now()
			c.kill(old)
			c.awaitDeath()
			c.startProcess(death{})
			c.await("a primary that serves", func(v orchestrator.View) bool { return serves(v) && v.Primary != old })
			c.awaitAcks(client, 20)
			c.report(client, d, began)
			c.bringBack(old)
			c.rebuildQuarantined()
			c.acknowledge()
			c.undisturbed(client)
		})
	}
}

func TestControlPlaneKilledAtAnyStepOfAPlannedChangeIsTakenOverFrom(t *testing.T) {
	c := mortals(t)
	for _, d := range []death{
		{"before", "preparing"}, {"during", "preparing"}, {"after", "preparing"}, {"after", "measuring"}, {"after", "gating"},
		{"before", "demoting"}, {"after", "demoting"}, {"after", "catching_up"},
		{"before", "marking"}, {"during", "marking"}, {"after", "marking"},
		{"after", "opening"}, {"during", "reconciling"}, {"after", "reconciling"},
	} {
		t.Run(d.String(), func(t *testing.T) {
			c := c.in(t)
			c.startProcess(d)
			c.awaitCalm()
			client := c.write(2)
			c.awaitAcks(client, 20)
			began := time.Now()
			if _, err := c.control.reparent(orchestrator.Wish{Kind: reparent.KindPlanned, By: "the test"}); err != nil && !errors.Is(err, errDied) {
				t.Fatal(err)
			}
			c.awaitDeath()
			c.startProcess(death{})
			c.await("a primary that serves, and an elector that may act", func(v orchestrator.View) bool { return v.Leading && serves(v) })
			c.awaitAcks(client, 20)
			c.report(client, d, began)
			c.acknowledge()
			c.undisturbed(client)
		})
	}
}

// Undoing is a procedure too, and the one that undoes may be killed in the middle of it.
func TestControlPlaneKilledWhileItUndoesAChangeIsTakenOverFrom(t *testing.T) {
	c := mortals(t)
	for _, d := range []death{{"before", "releasing"}, {"during", "releasing"}, {"after", "releasing"}} {
		t.Run(d.String(), func(t *testing.T) {
			c := c.in(t)
			c.startProcess(death{"after", "demoting"})
			c.awaitCalm()
			client := c.write(2)
			c.awaitAcks(client, 20)
			began := time.Now()
			if _, err := c.control.reparent(orchestrator.Wish{Kind: reparent.KindPlanned, By: "the test"}); err != nil && !errors.Is(err, errDied) {
				t.Fatal(err)
			}
			c.awaitDeath()
			c.startProcess(d)
			c.awaitDeath()
			c.startProcess(death{})
			c.await("a primary that serves, and an elector that may act", func(v orchestrator.View) bool { return v.Leading && serves(v) })
			c.awaitAcks(client, 20)
			c.report(client, d, began)
			c.acknowledge()
			c.undisturbed(client)
		})
	}
}

// mortals is a cluster whose control planes die often, so that neither brake nor window gets in the way.
func mortals(t *testing.T) *cluster {
	t.Helper()
	c := bare(t, 3, 1)
	c.tune = func(b *blueprint) { b.Antiflap.FleetChangesMax = 1000 }
	return c
}

// rebuildQuarantined does with servers that hold what nobody acknowledged what an operator would do, so
// that the next subtest finds three servers again.
func (c *cluster) rebuildQuarantined() {
	c.t.Helper()
	for _, a := range c.quarantined() {
		if err := c.server(a).Rebuild(c.t.Context()); err != nil {
			c.t.Fatal(err)
		}
		c.await(string(a)+" as a replica after it was rebuilt", func(v orchestrator.View) bool {
			r := v.Snapshot.Server(a).Replication
			return serves(v) && r != nil && r.Source == v.Primary && r.Receiver == topology.ThreadOn
		})
	}
}

// in is the same cluster within a subtest.
func (c *cluster) in(t *testing.T) *cluster {
	inner := *c
	inner.t = t
	return &inner
}

// awaitDeath waits until the control plane has killed itself.
func (c *cluster) awaitDeath() {
	c.t.Helper()
	c.eventually("the death of the control plane", func() bool {
		_, err := c.control.view()
		return errors.Is(err, errDied)
	})
	p := c.control.(*process)
	c.stopPlane()
	if !p.killed() {
		c.t.Fatalf("the control plane ended by itself: %s", p.cmd.ProcessState)
	}
}

// awaitCalm waits until a primary serves, every other server follows it or is quarantined, and nothing
// else is wrong.
func (c *cluster) awaitCalm() orchestrator.View {
	c.t.Helper()
	return c.await("a calm cluster", func(v orchestrator.View) bool {
		if !serves(v) || !v.Leading {
			return false
		}
		for _, m := range v.Ruleset.Members {
			if m.Address != v.Primary && v.Roles[m.Address] != topology.RoleReplica {
				return false
			}
		}
		for _, f := range v.Findings {
			if f.Code != topology.WouldBlock {
				return false
			}
		}
		return true
	})
}

// undisturbed is the end of every change, however it was interrupted.
func (c *cluster) undisturbed(client *workload.Client) {
	c.t.Helper()
	c.awaitCalm()
	c.nothingLost(client)
	c.onlyPrimaryIsWritable()
	for _, a := range c.members(c.view().Primary) {
		threads := c.table(a, "SELECT r.service_state, a.service_state FROM performance_schema.replication_connection_status r, performance_schema.replication_applier_status a")
		if len(threads) != 1 || strings.Join(threads[0], " ") != "ON ON" {
			c.t.Errorf("replication of %s was left stopped: %v", a, threads)
		}
	}
	c.byHand(c.view().Primary, "TRUNCATE TABLE app.writes")
	c.converged(c.members()...)
	c.stopPlane()
}

// report tells what became of the change.
func (c *cluster) report(client *workload.Client, d death, began time.Time) {
	c.t.Helper()
	for _, op := range c.recoveries() {
		if op.Kind != reparent.KindAdoption && op.StartedAt.After(began) {
			why := ""
			if op.Obstacle != nil {
				why = op.Obstacle.Message
			}
			c.t.Logf("%s: %s change of term %d %s %s", d, op.Kind, op.Term, op.State, why)
		}
	}
	c.t.Logf("%s: gap %s", d, workload.LongestGap(client.Writes(), began).Length().Round(time.Millisecond))
}
