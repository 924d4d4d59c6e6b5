package panorama

import (
	"context"
	"fmt"
	"time"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

var _ api.HaltPlane = (*Plane)(nil)

// restarts is how every so many healthy clusters fare: their servers are being restarted, and one of them waits for somebody.
const restarts = 20

// restart is a rolling restart that has come half way: its first server is over.
func (t *town) restart(now time.Time) *halt.Halt {
	h := t.halt(halt.KindRestart, t.ruleset.Servers().List(), now.Add(-3*time.Minute))
	h.By, h.Reason, h.Terms.Shutdown = "grace", t.said("upgrade to 9.7.2"), true
	for i, step := range halt.KindRestart.Steps() {
		if step != halt.StepMove {
			h.Stages = append(h.Stages, t.stage(h.Servers[0], step, h.StartedAt.Add(time.Duration(i)*9*time.Second)))
		}
	}
	for i, step := range []halt.Step{halt.StepCheck, halt.StepHold, halt.StepQuiesce, halt.StepStop} {
		h.Stages = append(h.Stages, t.stage(h.Servers[1], step, h.StartedAt.Add(70*time.Second+time.Duration(i)*5*time.Second)))
	}
	h.At, h.Step, h.StepAt, h.Held = 1, halt.StepStart, now.Add(-80*time.Second), h.Servers[1]
	h.Code, h.Detail = "start_it", t.said("it is shut down, and waits until somebody starts it")
	return &h
}

func (t *town) halt(kind halt.Kind, servers []topology.Address, at time.Time) halt.Halt {
	leader := topology.Leadership{Decision: t.decided}
	return halt.Begin(halt.Halt{ID: t.name + "-" + at.UTC().Format("20060102T150405.000"), Cluster: t.name, Kind: kind, Servers: servers}, leader, at)
}

func (t *town) stage(server topology.Address, step halt.Step, at time.Time) halt.Stage {
	return halt.Stage{Server: server, Stage: reparent.Stage{
		Name: string(step), StartedAt: at, Duration: 4 * time.Second, Outcome: "ok", Detail: t.said("done"),
	}}
}

// halted is the one that ended last; nil when there is none.
func (t *town) halted() *halt.Halt {
	if len(t.halts) == 0 {
		return nil
	}
	return &t.halts[0]
}

// Halt implements api.HaltPlane. It plans, and begins nothing: what is under way here never ends.
func (p *Plane) Halt(_ context.Context, w orchestrator.HaltWish) (orchestrator.HaltAnswer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.byName[w.Cluster]
	switch {
	case !ok:
		return orchestrator.HaltAnswer{}, orchestrator.ErrNoSuchCluster
	case t.halting != nil || !w.DryRun:
		return orchestrator.HaltAnswer{}, fmt.Errorf("%w: these servers do not exist", orchestrator.ErrCannotHalt)
	}
	servers := w.Servers
	if len(servers) == 0 {
		servers = t.ruleset.Servers().List()
	}
	h := t.halt(w.Kind, servers, time.Now())
	return orchestrator.HaltAnswer{Halt: h, Plan: h.Plan(t.primary)}, nil
}

// CancelHalt implements api.HaltPlane.
func (p *Plane) CancelHalt(_ context.Context, cluster string, o orchestrator.Order) (halt.Halt, error) {
	var end halt.Halt
	err := p.edit(cluster, o, fmt.Sprintf("%s called the restart off: %s", o.By, o.Reason), func(t *town, now time.Time) {
		if t.halting != nil {
			end = t.halting.End(halt.StateCancelled, fmt.Sprintf("%s called it off", o.By), now)
			t.halting, t.halts = nil, append([]halt.Halt{end}, t.halts...)
		}
	})
	return end, err
}

// Halts implements api.HaltPlane.
func (p *Plane) Halts(_ context.Context, cluster string, limit int) ([]halt.Halt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.byName[cluster]
	if !ok {
		return nil, orchestrator.ErrNoSuchCluster
	}
	var all []halt.Halt
	if t.halting != nil {
		all = append(all, *t.halting)
	}
	if all = append(all, t.halts...); limit > 0 && len(all) > limit {
		all = all[:limit]
	}
	return all, nil
}
