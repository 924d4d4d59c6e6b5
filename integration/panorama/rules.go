package panorama

import (
	"context"
	"fmt"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

var _ api.RulesPlane = (*Plane)(nil)

// ChangeRules implements api.RulesPlane, by the real check of both sides.
func (p *Plane) ChangeRules(_ context.Context, w orchestrator.RulesWish) (orchestrator.Answer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.byName[w.Cluster]
	switch {
	case !ok:
		return orchestrator.Answer{}, orchestrator.ErrNoSuchCluster
	case t.running != nil:
		return orchestrator.Answer{}, orchestrator.ErrBusy
	case w.Number != nil && *w.Number != t.ruleset.Number:
		return orchestrator.Answer{}, orchestrator.ErrOtherRevision
	}
	now := time.Now()
	next := topology.Ruleset{Policy: w.Policy, Members: w.Members}
	clearance, _, _ := antiflap.Defaults().Clear(antiflap.Request{Cluster: t.name, Operator: w.By, Now: now}, t.antiflap, antiflap.Fleet{})
	in := reparent.Intent{
		ID: fmt.Sprintf("%s-rules-%d", t.name, t.ruleset.Number), Elector: "elector-1", Term: t.term, By: w.By, Reason: w.Reason,
		Cause: reparent.RulesDifference(t.ruleset, next), Snapshot: t.snapshot(now), History: t.history(t.healthy(now)),
	}
	op := reparent.Rules(clearance, in, next, topology.Servers(w.Gone...), now)
	if !op.Running() {
		return orchestrator.Answer{Operation: op}, &orchestrator.BlockedError{Obstacle: *op.Obstacle}
	}
	steps, end := reparent.DryRun(op, in.Snapshot, now)
	if w.DryRun {
		return orchestrator.Answer{Operation: end, Steps: steps}, nil
	}
	p.begin(t, end, now)
	return orchestrator.Answer{Operation: t.running.at(now)}, nil
}
