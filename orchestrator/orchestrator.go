// Package orchestrator is the loop: observe, analyze, check, step, remember, tell. It owns the seams to
// servers (Fleet) and to memory (Store) and the one stream of events, and decides nothing itself: what
// is wrong is topology's word, whether a change may happen antiflap's, how it happens reparent's.
package orchestrator

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Settings are what the orchestrator is told at start.
type Settings struct {
	Elector string
	// API is the URL under which others reach this elector's API, for the electors that send callers here; empty: they cannot.
	API           string
	Clusters      []ClusterSettings
	Limits        topology.Limits
	Antiflap      antiflap.Settings
	Timing        reparent.Timing
	ProbeInterval time.Duration // default 250 ms
	Automation    bool          // for clusters whose switch nobody touched
	// Company is how this elector shares the clusters out with others; nil when it has the store for itself.
	Company Company
	// TenureMin is how long a cluster stays where it is before it may be handed over to even out the shares: 30 s by
	// default.
	TenureMin time.Duration
	// Silence tells, from memory, since when the store has not answered and what the last attempt met; a zero time while it
	// does answer. nil: nobody listens for it, and what takes a silent store is not done.
	Silence func(now time.Time) (since time.Time, why error)
	// Bench is where errant servers are worked on. nil: what is errant stays quarantined until somebody settles it by hand.
	Bench Bench
	// Halter is where servers are stopped and restarted. nil: none is.
	Halter Halter
	// Clone says how servers get another one's data; only where there is a Bench.
	Clone CloneSettings
	// Errant says what is done by itself about errant servers, and within which bounds.
	Errant ErrantSettings
	// RulesChanges lets rules be changed that cannot simply be recorded in place of others, and by hand. Without it such a
	// configuration is refused.
	RulesChanges bool
	// Runtime tells the time and waits; Process when nil.
	Runtime Runtime
	Log     *slog.Logger
}

// ClusterSettings is one cluster as configured.
type ClusterSettings struct {
	Name    string
	Ruleset topology.Ruleset
	// Discovered: members were found from a seed, so one that is missing is no wish to remove it.
	Discovered bool
}

// Orchestrator runs all clusters of this elector.
type Orchestrator struct {
	settings Settings
	fleet    Fleet
	store    Store
	events   *Stream
	clusters map[string]*cluster
	names    []string
	reached  atomic.Int64 // over all clusters: see reach
	sharing  *sharing     // nil when there is nobody to share with
}

// New wires an orchestrator; Run starts it.
func New(settings Settings, fleet Fleet, store Store, events *Stream) *Orchestrator {
	if settings.ProbeInterval <= 0 {
		settings.ProbeInterval = 250 * time.Millisecond
	}
	if settings.Runtime == nil {
		settings.Runtime = Process{}
	}
	if settings.Timing == (reparent.Timing{}) {
		settings.Timing = reparent.DefaultTiming()
	}
	if settings.TenureMin <= 0 {
		settings.TenureMin = tenureMin
	}
	o := &Orchestrator{settings: settings, fleet: fleet, store: store, events: events, clusters: map[string]*cluster{}}
	if settings.Company != nil {
		o.sharing = newSharing(o)
	}
	for _, c := range settings.Clusters {
		o.clusters[c.Name] = newCluster(o, c)
		o.names = append(o.names, c.Name)
	}
	slices.Sort(o.names)
	return o
}

// Run observes and acts until ctx ends; everything that it started has ended when it returns.
func (o *Orchestrator) Run(ctx context.Context) {
	o.fleet.Signals(o.signal)
	running := o.settings.Runtime.NewTasks()
	for _, name := range o.names {
		c := o.clusters[name]
		o.fleet.Watch(name, c.configured().Servers().List())
		running.Go(func() { c.run(ctx) })
	}
	if o.sharing != nil {
		running.Go(func() { o.sharing.run(ctx) })
	}
	running.Wait()
}

// signal hands a broken connection to its cluster, which probes at once.
func (o *Orchestrator) signal(s Signal) {
	if c := o.clusters[s.Cluster]; c != nil {
		c.alarm()
	}
}

// Events is the stream of everything that happens.
func (o *Orchestrator) Events() *Stream { return o.events }

// Ready tells whether the store answers, so that this elector could act.
func (o *Orchestrator) Ready(ctx context.Context) error { return o.store.Ready(ctx) }

// Clusters lists all views by name.
func (o *Orchestrator) Clusters() []View {
	views := make([]View, 0, len(o.names))
	for _, name := range o.names {
		views = append(views, o.clusters[name].view())
	}
	return views
}

// Cluster is the view of one cluster.
func (o *Orchestrator) Cluster(name string) (v View, err error) {
	c, err := o.find(name)
	if err == nil {
		c.portray(&v)
	}
	return v, err
}

// Leads tells whether this elector acts for a cluster, as its View does.
func (o *Orchestrator) Leads(name string) bool {
	c, err := o.find(name)
	return err == nil && c.leads()
}

func (o *Orchestrator) find(name string) (*cluster, error) {
	c := o.clusters[name]
	if c == nil {
		return nil, fmt.Errorf("%w: %q; known are %q", ErrNoSuchCluster, name, o.names)
	}
	return c, nil
}

// Reparent changes the primary of a cluster by hand. It returns as soon as the change has begun; Await
// waits for its end. A change that cannot be begun is a *BlockedError.
func (o *Orchestrator) Reparent(ctx context.Context, w Wish) (Answer, error) {
	c, err := o.find(w.Cluster)
	if err != nil {
		return Answer{}, err
	}
	return c.wish(ctx, w)
}

// Await returns the recovery when it has ended, or as it is when ctx ends first.
func (o *Orchestrator) Await(ctx context.Context, id string) (reparent.Operation, error) {
	events, stop := o.events.Listen(0)
	defer stop()
	for {
		op, err := o.Recovery(context.WithoutCancel(ctx), id)
		if err != nil || !op.Running() {
			return op, err
		}
		if !untilFinished(ctx, events, id) {
			return o.Recovery(context.WithoutCancel(ctx), id)
		}
	}
}

// untilFinished is false when ctx or the stream ended first.
func untilFinished(ctx context.Context, events <-chan Event, id string) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case e, open := <-events:
			if !open {
				return false
			}
			if e.Kind == EventRecoveryFinished && e.RecoveryID == id {
				return true
			}
		}
	}
}

// Acknowledge lifts a cluster's anti-flapping window and its pause after failed attempts.
func (o *Orchestrator) Acknowledge(ctx context.Context, cluster string, by Order) (antiflap.Window, error) {
	c, err := o.find(cluster)
	if err != nil {
		return antiflap.Window{}, err
	}
	return c.acknowledge(ctx, by)
}

// SetAutomation switches automatic changes of one cluster.
func (o *Orchestrator) SetAutomation(ctx context.Context, cluster string, on bool, by Order) error {
	c, err := o.find(cluster)
	if err != nil {
		return err
	}
	return c.setAutomation(ctx, on, by)
}

// SetMaintenance keeps a server out of candidacy and of repairs, or takes it back. Without a server it is the whole cluster,
// of which nothing is changed by itself meanwhile.
func (o *Orchestrator) SetMaintenance(ctx context.Context, cluster string, server topology.Address, on bool, by Order) error {
	c, err := o.find(cluster)
	if err != nil {
		return err
	}
	return c.setMaintenance(ctx, server, on, by)
}

// isolation counts, over all clusters, the servers that are watched and those that are not reached. Each cluster keeps
// its own part up to date: adding up anew in every round of every cluster would take the square of their number.
func (o *Orchestrator) isolation() (lost, watched int) {
	all := o.reached.Load()
	return int(all >> 32), int(all & 0xffffffff)
}

// reach is how many of its servers a cluster watches and does not reach, as the halves of one number, so that a reader
// never finds the one without the other.
func reach(servers []topology.Observation) int64 {
	lost := 0
	for i := range servers {
		if o := &servers[i]; !o.OK() && o.Reach != topology.ReachDenied {
			lost++
		}
	}
	return int64(lost)<<32 | int64(len(servers))
}
