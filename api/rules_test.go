package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

func (p *plane) ChangeRules(_ context.Context, w orchestrator.RulesWish) (orchestrator.Answer, error) {
	p.called("rules", w)
	op := p.end
	op.Kind = reparent.KindRules
	if w.Reason == "I vouch" {
		return orchestrator.Answer{Operation: reparent.Operation{Kind: reparent.KindRules, State: reparent.StateSucceeded}, Vouched: "they are on record as ruleset 5"}, nil
	}
	return orchestrator.Answer{Operation: op, Steps: []reparent.Step{{Phase: reparent.PhaseRaising, Title: "raise"}}}, p.err
}

func TestTheRulesInForceAreTold(t *testing.T) {
	s := serveWith(t, shop(), nil)
	told := s.ask("GET", "/api/v1/clusters/shop/rules", "").tree(t)
	if told["policy"] != "semi_sync" || told["number"] != 1.0 || len(told["members"].([]any)) != 3 {
		t.Errorf("got %v", told)
	}
}

func TestOtherRulesAreAskedForAsAWhole(t *testing.T) {
	p := shop()
	s := serveWith(t, p, nil)
	body := `{"policy":"semi_sync","acks":1,"members":[{"address":"db1:3306","zone":"a"},{"address":"db2:3306","promotion":"never"}],"gone":["db3:3306"],"ruleset":1,"reason":"gone"}`
	if r := s.ask("PUT", "/api/v1/clusters/shop/rules", body, userHeader, "ada"); r.status != http.StatusAccepted || !strings.Contains(r.text, `"kind":"rules"`) {
		t.Errorf("%d %s", r.status, r.text)
	}
	one := uint64(1)
	want, err := json.Marshal([]any{"rules", orchestrator.RulesWish{
		Cluster: "shop", Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}, Gone: []topology.Address{db3}, Number: &one,
		Members: []topology.Member{{Address: db1, Zone: "a"}, {Address: db2, Promotion: topology.PromotionNever}}, By: "ada (not authenticated)", Reason: "gone",
	}})
	if err != nil || p.calls[len(p.calls)-1] != string(want) {
		t.Errorf("called %v, want %s (%v)", p.calls, want, err)
	}
	dry := s.ask("PUT", "/api/v1/clusters/shop/rules", strings.Replace(body, `"reason"`, `"dry_run":true,"reason"`, 1))
	if dry.status != http.StatusOK || !strings.Contains(dry.text, `"title":"raise"`) {
		t.Errorf("a dry run: %d %s", dry.status, dry.text)
	}
	if r := s.ask("PUT", "/api/v1/clusters/shop/rules", `{"policy":"fast","acks":1,"members":[]}`); r.status != http.StatusUnprocessableEntity {
		t.Errorf("no such policy: %d %s", r.status, r.text)
	}
	if r := s.ask("PUT", "/api/v1/clusters/shop/rules", strings.Replace(body, `"gone"}`, `"I vouch"}`, 1)); r.status != http.StatusOK || r.tree(t)["vouched"] != "they are on record as ruleset 5" {
		t.Errorf("vouched for: %d %s", r.status, r.text)
	}
	p.err = &orchestrator.BlockedError{Obstacle: reparent.Obstacle{Code: "too_few_ackers", Message: "too few follow", Remedy: "mend them"}}
	if r := s.ask("PUT", "/api/v1/clusters/shop/rules", body); r.status != http.StatusConflict || !strings.Contains(r.text, "too_few_ackers") {
		t.Errorf("blocked: %d %s", r.status, r.text)
	}
}

// While rules are changed the primary goes on serving, and routers go on finding it.
func TestTheCheckOfThePrimarySucceedsWhileRulesAreChanged(t *testing.T) {
	for _, phase := range []reparent.Phase{reparent.PhaseRaising, reparent.PhaseDisabling, reparent.PhaseBarrier, reparent.PhaseRecording, reparent.PhaseReleasing} {
		p := shop()
		p.view.Running = &reparent.Operation{ID: "x", Cluster: "shop", Kind: reparent.KindRules, Term: 4, To: db1, State: reparent.StateRunning, Phase: phase}
		s := serveWith(t, p, nil)
		if r := s.ask("GET", "/check/shop/primary?server=db1:3306", ""); r.status != http.StatusOK {
			t.Errorf("%s: %d %s", phase, r.status, r.text)
		}
	}
}
