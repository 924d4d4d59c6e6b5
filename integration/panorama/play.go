package panorama

import (
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// play is a change that is shown as it goes on: its end is known, and what has happened by now is told.
type play struct {
	op   reparent.Operation // as it ends
	told int                // stages that listeners have heard of
}

// lasts is how long a change is played.
const lasts = 3 * time.Second

// newPlay spreads the stages of a change over its time.
func newPlay(op reparent.Operation, now time.Time) *play {
	op.Stages = slices.Clone(op.Stages)
	step := lasts / time.Duration(max(1, len(op.Stages)))
	for i := range op.Stages {
		op.Stages[i].StartedAt, op.Stages[i].Duration = now.Add(time.Duration(i)*step), step
	}
	op.StartedAt, op.PhaseAt, op.FinishedAt = now, now.Add(lasts), now.Add(lasts)
	if !op.Established.IsZero() {
		op.Established = now.Add(lasts - step)
		op.GapFrom, op.GapTo = now.Add(step), now.Add(lasts-step)
	}
	return &play{op: op}
}

func (p *play) end() time.Time { return p.op.FinishedAt }

// at is the change as far as it has come.
func (p *play) at(now time.Time) reparent.Operation {
	op := p.op
	if !now.Before(p.end()) {
		return op
	}
	done := 0
	for done < len(op.Stages) && !op.Stages[done].StartedAt.Add(op.Stages[done].Duration).After(now) {
		done++
	}
	op.Stages = op.Stages[:done]
	op.State, op.Phase, op.PhaseAt = reparent.StateRunning, reparent.PhaseRevoking, now
	op.FinishedAt, op.Established, op.GapTo, op.Obstacle = time.Time{}, time.Time{}, time.Time{}, nil
	return op
}

// wished plays a change through as the servers are.
func (t *town) wished(w orchestrator.Wish, now time.Time) (reparent.Operation, []reparent.Step) {
	clearance, _, _ := antiflap.Defaults().Clear(antiflap.Request{Cluster: t.name, Operator: w.By, Now: now}, t.antiflap, antiflap.Fleet{})
	return t.played(reparent.Intent{
		By: w.By, Reason: w.Reason, Wanted: w.To, Drain: w.Drain, AcceptLoss: w.AcceptLoss, KeepErrant: w.KeepErrant,
		CertifiedDown: topology.Servers(w.CertifyDown...), Cause: fmt.Sprintf("%s change asked for by %s: %s", w.Kind, w.By, w.Reason),
	}, w.Kind, clearance, now)
}

// emergency is what Primacy does by itself when the primary has died.
func (t *town) emergency(now time.Time) reparent.Operation {
	was := t.now
	t.now = dead
	defer func() { t.now = was }()
	clearance, _, _ := antiflap.Defaults().Clear(antiflap.Request{
		Cluster: t.name, Automatic: true, PrimaryCertainlyGone: true, Now: now,
	}, antiflap.Cluster{}, antiflap.Fleet{})
	op, _ := t.played(reparent.Intent{
		Cause: fmt.Sprintf("primary_dead: %s is gone, and its ackers have lost it too", t.primary),
		Evidence: []topology.Evidence{
			{Server: t.primary, By: "probe", Fact: t.said("connection refused"), At: now},
			{Server: t.primary, By: string(t.replica(t.view.Snapshot.Servers, 0).Address), Fact: "its receiver is CONNECTING (error 2003)", At: now},
		},
	}, reparent.KindEmergency, clearance, now)
	return op
}

func (t *town) played(in reparent.Intent, kind reparent.Kind, c antiflap.Clearance, now time.Time) (reparent.Operation, []reparent.Step) {
	in.ID, in.Elector, in.Term = fmt.Sprintf("%s-%010d", t.name, t.term+1), "elector-1", t.term+1
	in.Snapshot, in.History = t.snapshot(now), t.history(t.healthy(now))
	in.Snapshot.Reparenting = false
	begin := reparent.Emergency
	if kind == reparent.KindPlanned {
		begin = reparent.Planned
	}
	op := begin(c, in, now)
	if !op.Running() {
		return op, nil
	}
	steps, end := reparent.DryRun(op, in.Snapshot, now)
	return end, steps
}

// ended takes note of a change.
func (t *town) ended(op reparent.Operation, now time.Time) {
	t.running = nil
	t.past = slices.Insert(t.past, 0, op)
	if op.State != reparent.StateSucceeded || op.Kind == reparent.KindRules {
		t.now, t.since = well, now
		if op.State == reparent.StateSucceeded {
			t.ruleset = *op.Rules
		}
		return
	}
	t.lead(op.Term, op.To, op.Established)
	t.antiflap = t.antiflap.Established(antiflap.Change{
		Cluster: t.name, Term: uint64(op.Term), Kind: string(op.Kind), At: op.Established, From: string(op.From), To: string(op.To), Operator: op.By,
	}, antiflap.Defaults())
	if now.Sub(op.Established) < time.Hour {
		t.antiflap = t.antiflap.Proved(now)
	}
	t.now, t.since = well, now
	if op.Kind == reparent.KindEmergency {
		t.now = windowed
	}
}

// changes are those of the cluster, latest first.
func (t *town) changes(now time.Time) []reparent.Operation {
	if t.running == nil {
		return t.past
	}
	return append([]reparent.Operation{t.running.at(now)}, t.past...)
}
