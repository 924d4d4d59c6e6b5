package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

func (p *plane) Halt(_ context.Context, w orchestrator.HaltWish) (orchestrator.HaltAnswer, error) {
	p.called("halt", w)
	h := stopping()
	return orchestrator.HaltAnswer{Halt: h, Plan: h.Plan(db1)}, p.err
}

func (p *plane) CancelHalt(_ context.Context, cluster string, by orchestrator.Order) (halt.Halt, error) {
	p.called("cancel halt", cluster, by)
	return stopping().End(halt.StateCancelled, "called off", topologytest.Now), p.err
}

func (p *plane) Halts(_ context.Context, cluster string, limit int) ([]halt.Halt, error) {
	p.called("halts", cluster, limit)
	switch {
	case p.halts == nil:
		return []halt.Halt{stopping()}, p.err
	case limit > 0:
		return p.halts[:min(limit, len(p.halts))], p.err
	}
	return p.halts, p.err
}

// stopping is a restart of shop whose first step is over.
func stopping() halt.Halt {
	h := halt.Begin(halt.Halt{
		ID: "shop-1", Cluster: "shop", Kind: halt.KindRestart, Servers: []topology.Address{db1, db2}, By: "ada", Reason: "upgrade",
	}, topology.Leadership{Decision: topology.Decision{Term: 3, Primary: db1}}, topologytest.Now)
	return h.Apply(halt.Result{Outcome: reparent.Yes, Detail: "commits can do without it"}, topologytest.Now.Add(time.Second))
}

func TestAServerIsStoppedWithTermsAndAKey(t *testing.T) {
	p := shop()
	s := serveWith(t, p, nil)
	const path = "/api/v1/clusters/shop/servers/db2:3306/stop"
	got := s.ask("POST", path, `{"reason":"disk","drain_ms":2000,"hold_ms":60000,"wait_ms":30000,"to":"db3:3306"}`, keyHeader, "k")
	if got.status != http.StatusAccepted || !strings.Contains(got.text, `"step":"move"`) || !strings.Contains(got.text, `"plan":[{"server":"db2:3306","steps":["check that every`) {
		t.Errorf("%d %s", got.status, got.text)
	}
	for _, part := range []string{`"Kind":"stop"`, `"Servers":["db2:3306"]`, `"to":"db3:3306"`, `"drain":2000000000`, `"hold":60000000000`, `"wait":30000000000`, `"Reason":"disk"`} {
		if !strings.Contains(p.calls[0], part) {
			t.Errorf("%s lacks %s", p.calls[0], part)
		}
	}
	if strings.Contains(p.calls[0], `"key":""`) {
		t.Error("the key did not get through")
	}
	if got := s.ask("POST", path, `{"dry_run":true}`); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.text)
	}
}

func TestServersAreRestartedAndThatIsCalledOff(t *testing.T) {
	p := shop()
	s := serveWith(t, p, nil)
	if a, err := s.client.RestartServers(t.Context(), "shop", RestartRequest{Servers: []string{"db2:3306"}, Shutdown: true, HaltTerms: HaltTerms{Reason: "upgrade"}}); err != nil || a.Halt.Server != "db2:3306" || len(a.Plan) != 2 {
		t.Errorf("%+v, %v", a, err)
	}
	if !strings.Contains(p.calls[0], `"shutdown":true`) || !strings.Contains(p.calls[0], `"Kind":"restart"`) {
		t.Error(p.calls)
	}
	if end, err := s.client.CancelHalt(t.Context(), "shop", "not today"); err != nil || end.State != "cancelled" {
		t.Errorf("%+v, %v", end, err)
	}
	list, err := s.client.Halts(t.Context(), "shop", 0, "")
	all := list.Halts
	if err != nil || len(all) != 1 || len(all[0].Stages) != 1 || all[0].Stages[0].Server != "db2:3306" || all[0].Stages[0].Name != "check" || all[0].DrainMS != 5000 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestTheClusterTellsThatServersAreBeingStopped(t *testing.T) {
	p := shop()
	h := stopping()
	p.view.Halting = &h
	c, err := serveWith(t, p, nil).client.Cluster(t.Context(), "shop")
	if err != nil || c.Halting == nil || c.Halting.ID != "shop-1" {
		t.Errorf("%+v, %v", c.Halting, err)
	}
}

// Whoever looks sees the end in the same answer in which it is no longer under way.
func TestTheClusterTellsHowAStopEnded(t *testing.T) {
	p := shop()
	h := stopping().End(halt.StateSucceeded, "it is stopped", topologytest.Now)
	p.view.Halted = &h
	c, err := serveWith(t, p, nil).client.Cluster(t.Context(), "shop")
	if err != nil || c.Halting != nil || c.Halted == nil || c.Halted.State != "succeeded" || c.Halted.Detail != "it is stopped" {
		t.Errorf("%+v, %+v, %v", c.Halting, c.Halted, err)
	}
}

// Stops and settlements are kept for good, so that their lists have pages.
func TestByPagesEveryStopIsFoundOnceAndNewestFirst(t *testing.T) {
	p := shop()
	for i := range 7 {
		h := stopping()
		h.ID, h.StartedAt = fmt.Sprintf("shop-%d", i), topologytest.Now.Add(time.Duration(i/2)*time.Second) // some began at the same moment
		p.halts = append([]halt.Halt{h}, p.halts...)
	}
	s := serveWith(t, p, nil)
	var seen []string
	before := ""
	for range 4 {
		list, err := s.client.Halts(t.Context(), "shop", 2, before)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range list.Halts {
			seen = append(seen, h.ID)
		}
		if before = list.Next; before == "" {
			break
		}
	}
	slices.Sort(seen)
	if before != "" || !slices.Equal(seen, []string{"shop-0", "shop-1", "shop-2", "shop-3", "shop-4", "shop-5", "shop-6"}) {
		t.Errorf("%q, and then %q", seen, before)
	}
	s.ask("GET", "/api/v1/clusters/shop/halts?before=nonsense", "").wantProblem(t, 422, CodeInvalid)
	s.ask("GET", "/api/v1/clusters/shop/settlements?before="+firstPage(t, s).Next, "").wantProblem(t, 422, CodeInvalid)
}

func firstPage(t *testing.T, s *service) HaltList {
	t.Helper()
	list, err := s.client.Halts(t.Context(), "shop", 2, "")
	if err != nil || list.Next == "" {
		t.Fatalf("%+v, %v", list, err)
	}
	return list
}

func TestWhatStandsAgainstAStopIsAProblem(t *testing.T) {
	const path = "/api/v1/clusters/shop/servers/db2:3306/stop"
	rows := []struct {
		name, body string
		err        error
		status     int
		code       string
	}{
		{"one that is needed", `{"reason":"r"}`, fmt.Errorf("%w: commits would wait", orchestrator.ErrCannotHalt), 409, CodeCannotStop},
		{"a primary that cannot be moved", `{"reason":"r"}`, &orchestrator.BlockedError{Obstacle: reparent.Obstacle{Code: "waiters", Message: "2 commits wait"}}, 409, CodeBlocked},
		{"no reason", `{}`, fmt.Errorf("%w: it needs a reason", orchestrator.ErrBadWish), 422, CodeInvalid},
		{"a drain that nobody waits for", `{"drain_ms":-1}`, nil, 422, CodeInvalid},
		{"another elector acts", `{"reason":"r"}`, orchestrator.ErrNotLeading, 503, CodeNotLeading},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p := shop()
			p.err = row.err
			got := serveWith(t, p, nil).ask("POST", path, row.body)
			if got.status != row.status || !strings.Contains(got.text, `"code":"`+row.code+`"`) {
				t.Errorf("%d %s", got.status, got.text)
			}
		})
	}
}
