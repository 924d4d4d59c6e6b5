package integration

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// settling is a cluster whose control plane works on servers.
func settling(t *testing.T, servers int, policy settle.Policy) *cluster {
	t.Helper()
	c := bare(t, servers, 1)
	c.tune = func(b *blueprint) {
		b.Bench = true
		b.Errant = orchestrator.ErrantSettings{Policy: policy, ExportDir: t.TempDir()}
		b.Clone.Donors.FromNeeded = true // of three servers the third is needed while the first is cloned
	}
	c.startPlane()
	c.awaitHealthy()
	return c
}

// leftBehind kills the primary under load while commits wait that nobody acknowledges, has another one take over, and
// brings the old one back with what it alone holds.
func (c *cluster) leftBehind() (old topology.Address) {
	c.t.Helper()
	client := c.write(4)
	c.awaitAcks(client, 20)
	old = c.view().Primary
	c.lockOutAckers(old)
	c.await("commits waiting for acknowledgements", func(v orchestrator.View) bool { return v.Snapshot.Server(old).SemiSync.Waiters > 0 })
	c.kill(old)
	v := c.awaitNewPrimary(old)
	c.awaitAcks(client, 20)
	client.Stop()
	c.restart(old)
	c.t.Log(c.awaitFinding(topology.Errant, old).Message)
	c.t.Log(c.nothingLost(client, old))
	c.level(v)
	return old
}

// level waits until those that follow the primary have what it has.
func (c *cluster) level(v orchestrator.View) {
	c.t.Helper()
	for _, m := range c.members(v.Primary) {
		if v.Roles[m] == topology.RoleReplica {
			c.converged(v.Primary, m)
		}
	}
}

func (c *cluster) errantOf(server topology.Address) orchestrator.Errant {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	all, err := c.plane.orch.Errant(ctx, clusterName, server)
	if err != nil || len(all) != 1 {
		c.t.Fatalf("%+v, %v", all, err)
	}
	return all[0]
}

func (c *cluster) settle(w orchestrator.SettleWish) (orchestrator.SettleAnswer, error) {
	c.t.Helper()
	c.await("a primary that does without the server", func(v orchestrator.View) bool {
		return serves(v) && settle.Needed(v.Snapshot, v.Primary, w.Server) == ""
	})
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	w.Cluster, w.By, w.Reason = clusterName, "alice", "test"
	return c.plane.orch.Settle(ctx, w)
}

// awaitSettlement waits for the end of the latest settlement.
func (c *cluster) awaitSettlement(within time.Duration) settle.Settlement {
	c.t.Helper()
	var all []settle.Settlement
	for limit := time.Now().Add(within); time.Now().Before(limit); {
		var err error
		if all, err = c.plane.orch.Settlements(c.t.Context(), clusterName, 5); err != nil {
			c.t.Fatal(err)
		}
		if len(all) > 0 && !all[0].Running() {
			for _, s := range all[0].Stages {
				c.t.Logf("%-10s %8s %-8s %s", s.Name, s.Duration.Round(time.Millisecond), s.Outcome, s.Detail)
			}
			return all[0]
		}
		c.awaitRounds(1)
	}
	c.t.Fatalf("not settled in %s: %+v\n%s", within, all, c.describe())
	return settle.Settlement{}
}

// sameEverywhere claims that all servers hold the same rows, byte by byte.
func (c *cluster) sameEverywhere() {
	c.t.Helper()
	c.awaitHealthy()
	c.converged(c.members()...)
	primary := c.view().Primary
	want := c.table(primary, "CHECKSUM TABLE app.writes")
	for _, a := range c.members(primary) {
		if got := c.table(a, "CHECKSUM TABLE app.writes"); !slices.EqualFunc(got, want, slices.Equal) {
			c.t.Errorf("%v on %s, %v on the primary", got, a, want)
		}
	}
}

func TestAnOldPrimaryIsRewoundByHandAndLeadsAgain(t *testing.T) {
	c := settling(t, 3, settle.PolicyQuarantine)
	old := c.leftBehind()
	e := c.errantOf(old)
	if !e.Verdict.Never || e.Unread != "" || e.Transcript.Rows == 0 || !e.Transcript.Missing.IsEmpty() {
		t.Fatalf("never acknowledged: %t, %v, %s, rows: %d, missing: %s", e.Verdict.Never, e.Verdict.Why, e.Unread, e.Transcript.Rows, e.Transcript.Missing)
	}
	t.Log(e.Verdict.Why)
	x := e.Transcript.Transactions[0]
	if x.CommittedAt.IsZero() || x.Changes[0].Table != "writes" || x.Changes[0].After[0].Column != "id" || !x.Process.Known || x.Process.Orderly {
		t.Errorf("%+v", x)
	}
	tried, err := c.settle(orchestrator.SettleWish{Server: old, Kind: settle.KindRewind, DryRun: true})
	if err != nil || tried.Check.Outcome != "yes" {
		t.Fatalf("%+v, %v", tried.Check, err)
	}
	if len(c.rows(old)) == len(c.rows(c.view().Primary)) {
		t.Error("the old primary holds nothing beside, so nothing is tested")
	}
	if _, err := c.settle(orchestrator.SettleWish{Server: old, Kind: settle.KindRewind}); err != nil {
		t.Fatal(err)
	}
	if s := c.awaitSettlement(patience); s.State != settle.StateSucceeded || s.ExportedTo == "" {
		t.Fatalf("%+v", s)
	}
	c.sameEverywhere()
	c.letAckersIn(old)
	if op := c.reparented(orchestrator.Wish{Kind: reparent.KindPlanned, To: old}); op.To != old {
		t.Errorf("%+v", op)
	}
	c.sameEverywhere()
}

func TestWhatWasProvablyNeverAnsweredIsSettledByItself(t *testing.T) {
	for _, policy := range []settle.Policy{settle.PolicyAuto, settle.PolicyClone} {
		t.Run(string(policy), func(t *testing.T) {
			c := settling(t, 3, policy)
			c.leftBehind()
			s := c.awaitSettlement(3 * patience)
			if s.State != settle.StateSucceeded || !s.Automatic {
				t.Fatalf("%+v", s)
			}
			c.sameEverywhere()
		})
	}
}

// A server that was shut down in order has told OK to clients whom nobody acknowledged (E6): by itself nobody may take
// that away again.
func TestWhatWasAnsweredByAnOrderlyShutdownIsLeftToAPerson(t *testing.T) {
	c := settling(t, 3, settle.PolicyAuto)
	client := c.write(2)
	c.awaitAcks(client, 20)
	client.Stop()
	c.converged(c.members()...)
	old := c.view().Primary
	c.lockOutAckers(old)
	told := c.commitInFlight(old, unacked)
	c.await("the commit waiting for acknowledgements", func(v orchestrator.View) bool { return v.Snapshot.Server(old).SemiSync.Waiters > 0 })
	if err := c.server(old).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("the client was told: %v", <-told)
	c.awaitNewPrimary(old)
	c.restart(old)
	c.awaitFinding(topology.Errant, old)
	if e := c.errantOf(old); e.Verdict.Never || !strings.Contains(strings.Join(e.Verdict.Why, " "), "in order") {
		t.Errorf("%+v", e.Verdict)
	}
	if _, err := c.settle(orchestrator.SettleWish{Server: old, Kind: settle.KindRewind}); !errors.Is(err, orchestrator.ErrCannotSettle) {
		t.Errorf("without accepting it: %v", err)
	}
	if _, err := c.settle(orchestrator.SettleWish{Server: old, Kind: settle.KindRewind, Accept: []string{settle.AcceptPossiblyAcked}}); err != nil {
		t.Fatal(err)
	}
	if s := c.awaitSettlement(patience); s.State != settle.StateSucceeded {
		t.Fatalf("%+v", s)
	}
	c.sameEverywhere()
}

// What stops servers loses patience, as systemd and containers do: it asks first, and kills whoever is not gone then. The
// binary log ends as after a crash, and clients were told OK all the same (E6).
func TestWhatWasAnsweredByAShutdownThatWasCutShortIsLeftToAPerson(t *testing.T) {
	c := settling(t, 3, settle.PolicyAuto)
	client := c.write(2)
	c.awaitAcks(client, 20)
	client.Stop()
	c.converged(c.members()...)
	old := c.view().Primary
	c.lockOutAckers(old)
	told := c.commitInFlight(old, unacked)
	c.await("the commit waiting for acknowledgements", func(v orchestrator.View) bool { return v.Snapshot.Server(old).SemiSync.Waiters > 0 })
	if err := syscall.Kill(c.server(old).Pid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	t.Logf("the client was told: %v", <-told)
	c.kill(old)
	c.awaitNewPrimary(old)
	c.restart(old)
	c.awaitFinding(topology.Errant, old)
	e := c.errantOf(old)
	if len(e.Transcript.Transactions) == 0 || e.Transcript.Transactions[0].Process.Orderly {
		t.Fatalf("it had time to end in order, so nothing is tested: %+v", e.Transcript)
	}
	if e.Verdict.Never {
		t.Errorf("a client was told OK, and %v", e.Verdict.Why)
	}
	t.Log(e.Verdict.Why)
}
