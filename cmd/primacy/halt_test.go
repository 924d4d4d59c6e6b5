package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// yard is a control plane that restarts db2 of shop, and has got some way when it is looked at again.
type yard struct {
	begun, later halt.Halt
	wishes       []orchestrator.HaltWish
	all          []halt.Halt // nil: only later
	err          error
}

func newYard() *yard {
	at := topologytest.Now
	leader := topology.Leadership{Decision: topology.Decision{Term: 3, Primary: "db1:3306"}}
	h := halt.Begin(halt.Halt{ID: "shop-1", Cluster: "shop", Kind: halt.KindRestart, Servers: []topology.Address{"db1:3306", "db2:3306"}, By: "ada", Reason: "upgrade"}, leader, at)
	later := h.Apply(halt.Result{Outcome: reparent.Yes, Detail: "commits can do without it"}, at.Add(time.Second))
	return &yard{begun: h, later: later.End(halt.StateSucceeded, "2 servers were restarted", at.Add(time.Minute))}
}

func (y *yard) Halt(_ context.Context, w orchestrator.HaltWish) (orchestrator.HaltAnswer, error) {
	y.wishes = append(y.wishes, w)
	return orchestrator.HaltAnswer{Halt: y.begun, Plan: y.begun.Plan("db1:3306")}, y.err
}

func (y *yard) CancelHalt(context.Context, string, orchestrator.Order) (halt.Halt, error) {
	return y.begun.End(halt.StateCancelled, "called off by ada", topologytest.Now), y.err
}

func (y *yard) Halts(context.Context, string, int) ([]halt.Halt, error) {
	if y.all != nil {
		return y.all, y.err
	}
	return []halt.Halt{y.later}, y.err
}

func inYard(t *testing.T, y *yard, args ...string) result {
	t.Helper()
	return against(t, api.Settings{Plane: newPlane(), Halt: y, Events: orchestrator.NewStream(nil)}, args...)
}

func TestARollingRestartIsRehearsedServerByServer(t *testing.T) {
	r := inYard(t, newYard(), "restart", "shop", "--dry-run")
	r.wants(t, exitDone)
	wantGolden(t, "restart_dry_run", r.out)
}

func TestARestartIsFollowedToItsEnd(t *testing.T) {
	y := newYard()
	inYard(t, y, "restart", "shop", "db2:3306", "--reason", "upgrade", "--shutdown", "--drain", "2s").wants(t, exitDone, "db2:3306 check", "commits can do without it", "It succeeded: 2 servers were restarted")
	w := y.wishes[0]
	if w.Kind != halt.KindRestart || len(w.Servers) != 1 || !w.Terms.Shutdown || w.Terms.Drain != 2*time.Second || w.Terms.Hold != time.Hour || w.Reason != "upgrade" {
		t.Errorf("%+v", w)
	}
	y.later = y.later.End(halt.StateFailed, "db2:3306: waited 10m0s in vain: it is down: start it", topologytest.Now)
	inYard(t, y, "restart", "shop", "--reason", "upgrade").wants(t, exitFailed, "start it")
}

func TestAServerIsStoppedByItsNameAlone(t *testing.T) {
	y := newYard()
	inYard(t, y, "stop-server", "db2:3306", "--reason", "disk", "--wait=false").wants(t, exitDone, "It has begun")
	if w := y.wishes[0]; w.Cluster != "shop" || w.Kind != halt.KindStop || len(w.Servers) != 1 || w.Servers[0] != "db2:3306" {
		t.Errorf("%+v", w)
	}
	inYard(t, y, "stop-server", "db9:3306", "--reason", "disk").wants(t, exitUsage, "member of no cluster")
	inYard(t, y, "stop-server", "db2:3306").wants(t, exitUsage, "--reason")
	inYard(t, y, "stop-server", "db2:3306", "--cancel", "--reason", "not today").wants(t, exitDone, "called off by ada")
	y.err = fmt.Errorf("%w: commits would wait", orchestrator.ErrCannotHalt)
	inYard(t, y, "stop-server", "db2:3306", "--reason", "disk").wants(t, exitBlocked, "commits would wait")
}

func TestStopsAndRestartsAreListed(t *testing.T) {
	y := newYard()
	y.all = []halt.Halt{y.begun, y.later.End(halt.StateFailed, "waited 10m0s in vain: it is down: start it", topologytest.Now), y.later}
	r := inYard(t, y, "restart", "shop", "--past")
	r.wants(t, exitDone, "running", "failed", "succeeded", "2 servers", "ada", "upgrade", "Restart under way by ada", "start it")
	wantWidth(t, r.out)
	inYard(t, y, "restart", "shop", "--past", "-o", "json").wants(t, exitDone, `"halts": [`, `"state": "failed"`)
	y.all = []halt.Halt{}
	inYard(t, y, "restart", "shop", "--past").wants(t, exitDone, "No server was stopped or restarted")
	if len(y.wishes) != 0 {
		t.Errorf("looking began %+v", y.wishes)
	}
}

// What is under way is told where somebody looks who did not begin it.
func TestATreeTellsOfARestartUnderWay(t *testing.T) {
	c := exampleCluster()
	c.Halting = &api.Halt{
		ID: "shop-1", Kind: "restart", Servers: []string{"db2:3306", "db3:3306", "db1:3306"}, Server: "db3:3306", Step: "start", State: "running", Code: "start_it",
		Detail: "it is shut down, and waits until somebody starts it", By: "grace", Reason: "upgrade to 9.7.2",
	}
	wantGolden(t, "tree_restarting", drawn(func(s *terminal) { s.tree(c, noon) }))
}
