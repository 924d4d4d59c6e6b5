// Package panorama is a control plane that shows a whole landscape of clusters which do not exist: healthy and sick ones,
// changes under way, windows, maintenance. Findings, roles and changes are worked out by the real code from invented
// observations, so a page that shows them shows what it would show of real servers. The same seed gives the same landscape.
package panorama

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Settings say how large the landscape is.
type Settings struct {
	Clusters int
	Servers  int // of each cluster; at least 3
	Seed     uint64
	// Changes is how often the primary of a cluster has changed at most; they are what takes time to make.
	Changes int
	// Hostile lets every text that a server or an operator supplies carry markup, scripts and marks that turn text around.
	Hostile bool
}

// Plane is the control plane. Its methods may be called from many goroutines.
type Plane struct {
	settings Settings
	events   *orchestrator.Stream
	mu       sync.Mutex
	random   *rand.Rand
	towns    []*town
	byName   map[string]*town
	acting   map[*town]bool // those with a change or a settlement under way
	calls    map[string]made
}

// made is what a call with an idempotency key has brought about.
type made struct {
	call     reparent.Call
	recovery string // empty for what is no change of a primary
}

var _ api.ControlPlane = (*Plane)(nil)

// New makes a landscape as it is now. Nothing in it changes by itself until Run.
func New(s Settings, events *orchestrator.Stream, now time.Time) *Plane {
	p := &Plane{
		settings: s, events: events, random: rand.New(rand.NewPCG(s.Seed, 0)),
		byName: map[string]*town{}, acting: map[*town]bool{}, calls: map[string]made{},
	}
	for i := range s.Clusters {
		t := newTown(i, s, p.random, now)
		p.towns, p.byName[t.name] = append(p.towns, t), t
		if t.running != nil {
			p.acting[t] = true
		}
	}
	return p
}

// Settings serve it with all that it has to show; charts have to be a tap of its events.
func (p *Plane) Settings(charts *api.Charts, version string) api.Settings {
	return api.Settings{
		Plane: p, Errant: p, Inspector: p, Certificates: p, Halt: p, Rules: p, Events: p.events, Charts: charts, Elector: "elector-1", Version: version, NoticedWithin: 3 * time.Second,
	}
}

// Run changes one cluster every so often, and plays changes of the primary, until ctx ends.
func (p *Plane) Run(ctx context.Context, every time.Duration) {
	changes, frames, rounds := time.NewTicker(every), time.NewTicker(50*time.Millisecond), time.NewTicker(probeEvery)
	defer rounds.Stop()
	defer changes.Stop()
	defer frames.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-changes.C:
			p.Change(now)
		case now := <-frames.C:
			p.advance(now)
		case now := <-rounds.C:
			p.mu.Lock()
			p.probeWatched(now)
			p.mu.Unlock()
		}
	}
}

// Change lets something happen to one cluster: a healthy one gets into trouble, a sick one is mended or its primary replaced.
func (p *Plane) Change(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.towns[p.random.IntN(len(p.towns))]
	switch {
	case t.running != nil, t.settling != nil:
	case t.now == well:
		p.become(t, troubles.pick(p.random), now)
	case t.now == dead:
		p.begin(t, t.emergency(now), now)
	default:
		p.become(t, well, now)
	}
}

// become puts a cluster into a situation, and tells which findings that opened and closed.
func (p *Plane) become(t *town, s *situation, now time.Time) {
	before := t.view.Findings
	t.now, t.since = s, now
	if s == reparenting {
		p.begin(t, t.emergency(now), now)
		return
	}
	t.rebuild(now)
	p.compare(t, before, now)
}

// compare tells the difference between two analyses.
func (p *Plane) compare(t *town, before []topology.Finding, now time.Time) {
	told := func(kind orchestrator.EventKind, f topology.Finding) {
		p.events.Tell(orchestrator.Event{At: now, Kind: kind, Cluster: t.name, Server: f.Server, Text: f.Message, Finding: &f})
	}
	same := func(f topology.Finding) func(topology.Finding) bool {
		return func(g topology.Finding) bool { return f.Code == g.Code && f.Server == g.Server }
	}
	for _, f := range t.view.Findings {
		if !slices.ContainsFunc(before, same(f)) {
			told(orchestrator.EventFindingOpened, f)
		}
	}
	for _, f := range before {
		if !slices.ContainsFunc(t.view.Findings, same(f)) {
			told(orchestrator.EventFindingClosed, f)
		}
	}
}

// begin starts to play a change.
func (p *Plane) begin(t *town, op reparent.Operation, now time.Time) {
	before := t.view.Findings
	t.running = newPlay(op, now)
	p.acting[t] = true
	t.rebuild(now)
	p.compare(t, before, now)
	p.events.Tell(orchestrator.Event{At: now, Kind: orchestrator.EventRecoveryStarted, Cluster: t.name, RecoveryID: op.ID, Text: op.Cause})
}

// advance tells what has happened since the last call in the changes under way, and ends those whose time has come.
func (p *Plane) advance(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.towns {
		if !p.acting[t] {
			continue
		}
		if t.running != nil {
			p.played(t, now)
		}
		if t.settling != nil {
			p.settles(t, now)
		}
		p.acting[t] = t.running != nil || t.settling != nil
	}
}

func (p *Plane) played(t *town, now time.Time) {
	op := t.running.at(now)
	for ; t.running.told < len(op.Stages); t.running.told++ {
		stage := op.Stages[t.running.told]
		p.events.Tell(orchestrator.Event{At: now, Kind: orchestrator.EventRecoveryStage, Cluster: t.name, RecoveryID: op.ID, Stage: &stage, Text: stage.Name + ": " + stage.Detail})
	}
	if op.Running() {
		return
	}
	before := t.view.Findings
	t.ended(op, now)
	t.rebuild(now)
	p.compare(t, before, now)
	p.events.Tell(orchestrator.Event{At: now, Kind: orchestrator.EventRecoveryFinished, Cluster: t.name, RecoveryID: op.ID, State: op.State, Recovery: &op, Text: fmt.Sprintf("the change ended: %s", op.State)})
	if op.State == reparent.StateSucceeded {
		p.events.Tell(orchestrator.Event{At: now, Kind: orchestrator.EventPrimaryChanged, Cluster: t.name, Server: op.To, RecoveryID: op.ID, Text: fmt.Sprintf("%s leads under term %d", op.To, op.Term)})
	}
}

// Clusters implements api.ControlPlane.
func (p *Plane) Clusters() []orchestrator.View {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	all := make([]orchestrator.View, len(p.towns))
	for i, t := range p.towns {
		all[i] = t.glance(now)
	}
	return all
}

// Cluster implements api.ControlPlane.
func (p *Plane) Cluster(name string) (orchestrator.View, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.byName[name]
	if !ok {
		return orchestrator.View{}, orchestrator.ErrNoSuchCluster
	}
	now := time.Now()
	p.watch(t, now)
	return t.look(now), nil
}

// Reparent implements api.ControlPlane. A change that is not blocked takes three seconds.
func (p *Plane) Reparent(_ context.Context, w orchestrator.Wish) (orchestrator.Answer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.byName[w.Cluster]
	before, repeated, err := p.repeats(w.Call, w.DryRun)
	switch {
	case !ok:
		return orchestrator.Answer{}, orchestrator.ErrNoSuchCluster
	case err != nil:
		return orchestrator.Answer{}, err
	case repeated:
		op, err := p.find(before.recovery)
		return orchestrator.Answer{Operation: op}, err
	case t.running != nil:
		return orchestrator.Answer{}, orchestrator.ErrBusy
	case !t.view.Leading:
		return orchestrator.Answer{}, &orchestrator.ElsewhereError{Elector: t.view.Elector}
	case w.Term != nil && *w.Term != t.view.Term:
		return orchestrator.Answer{}, orchestrator.ErrOtherTerm
	}
	now := time.Now()
	op, steps := t.wished(w, now)
	if op.State == reparent.StateBlocked {
		return orchestrator.Answer{Operation: op}, &orchestrator.BlockedError{Obstacle: *op.Obstacle}
	}
	if w.DryRun {
		return orchestrator.Answer{Operation: op, Steps: steps}, nil
	}
	p.begin(t, op, now)
	p.remember(made{call: w.Call, recovery: op.ID})
	return orchestrator.Answer{Operation: t.running.at(now)}, nil
}

// repeats finds what a call has brought about already.
func (p *Plane) repeats(c reparent.Call, dryRun bool) (before made, repeated bool, err error) {
	before, repeated = p.calls[c.Key]
	if dryRun || !repeated {
		return made{}, false, nil
	}
	if before.call.Digest != c.Digest {
		err = orchestrator.ErrCallReused
	}
	return before, true, err
}

func (p *Plane) remember(m made) {
	if m.call.Key != "" {
		p.calls[m.call.Key] = m
	}
}

// OnRecord implements api.ControlPlane; there is no record to wait for.
func (p *Plane) OnRecord(context.Context, string) error { return nil }

// Await implements api.ControlPlane.
func (p *Plane) Await(ctx context.Context, id string) (reparent.Operation, error) {
	op, err := p.Recovery(ctx, id)
	for err == nil && op.Running() {
		tick := time.NewTimer(50 * time.Millisecond)
		select {
		case <-ctx.Done():
			tick.Stop()
			return op, nil
		case <-tick.C:
			op, err = p.Recovery(ctx, id)
		}
	}
	return op, err
}

// Recoveries implements api.ControlPlane.
func (p *Plane) Recoveries(_ context.Context, cluster string, limit int) ([]reparent.Operation, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []reparent.Operation
	for _, t := range p.towns {
		if cluster == "" || t.name == cluster {
			all = append(all, t.changes(time.Now())...)
		}
	}
	slices.SortStableFunc(all, func(a, b reparent.Operation) int { return b.StartedAt.Compare(a.StartedAt) })
	if limit > 0 && len(all) > limit {
		all = all[:limit]
	}
	return all, nil
}

// Recovery implements api.ControlPlane.
func (p *Plane) Recovery(_ context.Context, id string) (reparent.Operation, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.find(id)
}

func (p *Plane) find(id string) (reparent.Operation, error) {
	name := id[:max(0, strings.LastIndexByte(id, '-'))]
	if t, ok := p.byName[name]; ok {
		for _, op := range t.changes(time.Now()) {
			if op.ID == id {
				return op, nil
			}
		}
	}
	return reparent.Operation{}, orchestrator.ErrNoSuchRecovery
}

// edit changes a cluster as an operator does.
func (p *Plane) edit(cluster string, o orchestrator.Order, text string, change func(*town, time.Time)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.byName[cluster]
	if !ok {
		return orchestrator.ErrNoSuchCluster
	}
	if _, repeated, err := p.repeats(o.Call, false); repeated {
		return err
	}
	p.remember(made{call: o.Call})
	now := time.Now()
	before := t.view.Findings
	change(t, now)
	t.rebuild(now)
	p.compare(t, before, now)
	p.events.Tell(orchestrator.Event{At: now, Kind: orchestrator.EventOperator, Cluster: cluster, By: o.By, Text: text})
	return nil
}

// Acknowledge implements api.ControlPlane.
func (p *Plane) Acknowledge(_ context.Context, cluster string, o orchestrator.Order) (antiflap.Window, error) {
	return antiflap.Window{}, p.edit(cluster, o, o.By+" acknowledged the last change: "+o.Reason, func(t *town, now time.Time) {
		t.antiflap = t.antiflap.Acknowledge(o.By, o.Reason, now)
	})
}

// SetAutomation implements api.ControlPlane.
func (p *Plane) SetAutomation(_ context.Context, cluster string, on bool, o orchestrator.Order) error {
	return p.edit(cluster, o, fmt.Sprintf("%s switched automatic changes (%t): %s", o.By, on, o.Reason), func(t *town, now time.Time) {
		t.automation = orchestrator.Switch{On: on, By: o.By, Reason: o.Reason, At: now}
	})
}

// SetMaintenance implements api.ControlPlane.
func (p *Plane) SetMaintenance(_ context.Context, cluster string, server topology.Address, on bool, o orchestrator.Order) error {
	return p.edit(cluster, o, fmt.Sprintf("%s switched maintenance of %s (%t): %s", o.By, server, on, o.Reason), func(t *town, now time.Time) {
		n := &orchestrator.Note{By: o.By, Reason: o.Reason, At: now}
		if o.Lasting > 0 {
			n.Until = now.Add(o.Lasting)
		}
		t.maintain(server, on, n)
	})
}

// Ready implements api.ControlPlane.
func (p *Plane) Ready(context.Context) error { return nil }
