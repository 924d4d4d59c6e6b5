package integration

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/store"
	"github.com/primacydb/primacy/topology"
)

// blueprint is everything that a control plane is made from, as plain data: it starts in this process or,
// where a test kills it, in one of its own.
type blueprint struct {
	StoreDir string   // an etcd of its own, or
	Etcd     []string // one that several control planes share
	Elector  string
	// StoreWait is how long a start waits for the store before it goes on without; 0 takes the store's own.
	StoreWait time.Duration
	Ruleset   topology.Ruleset
	Users     local.Users
	Limits    topology.Limits
	Antiflap  antiflap.Settings
	Timing    reparent.Timing
	// Bench: servers are settled, and sent to other sources than the primary; Clone says how.
	Bench  bool
	Clone  orchestrator.CloneSettings
	Errant orchestrator.ErrantSettings
}

func (c *cluster) blueprint() blueprint {
	b := blueprint{
		StoreDir: c.storeAt, Elector: "test", Ruleset: c.ruleset, Users: c.fleet.Users,
		Limits:   topology.Limits{SilentAfter: 2 * time.Second, StuckAfter: 5 * time.Second, LagMax: 10 * time.Second, IsolatedShare: 0.7},
		Antiflap: antiflap.Defaults(), Timing: reparent.DefaultTiming(),
	}
	if c.tune != nil {
		c.tune(&b)
	}
	return b
}

// control is what a test asks of a control plane, wherever it runs.
type control interface {
	view() (orchestrator.View, error)
	events() []orchestrator.Event
	recoveries() ([]reparent.Operation, error)
	// reparent begins a change; await returns it when it has ended.
	reparent(orchestrator.Wish) (reparent.Operation, error)
	await(id string) (reparent.Operation, error)
	acknowledge() error
	stop() error
}

// plane is one life of a control plane in this process.
type plane struct {
	orch   *orchestrator.Orchestrator
	stream *orchestrator.Stream
	fleet  *mysqld.Fleet
	sent   *recorder
	store  *store.Store
	cancel context.CancelFunc
	ran    sync.WaitGroup
}

// start brings a control plane up. between is put between it and the servers; nil leaves it out.
func (b blueprint) start(ctx context.Context, between func(orchestrator.Fleet) orchestrator.Fleet) (*plane, error) {
	level := slog.LevelError
	if os.Getenv("PRIMACY_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	p := &plane{}
	lease := time.Minute // nobody competes for the lock of a store of its own
	if len(b.Etcd) > 0 {
		lease = 2 * time.Second
	}
	var err error
	p.store, err = store.Open(ctx, store.Settings{
		Dir: b.StoreDir, Endpoints: b.Etcd, LeaseTTL: lease, Elector: b.Elector, Log: slog.New(slog.DiscardHandler),
		Later: true, ReadyTimeout: b.StoreWait,
	})
	if err != nil {
		return nil, err
	}
	p.fleet = mysqld.NewFleet(mysqld.Settings{
		User: b.Users.Primacy.Name, Password: fixed(b.Users.Primacy.Password),
		ReplicationUser: b.Users.Replica.Name, ReplicationPassword: fixed(b.Users.Replica.Password), Elector: b.Elector, Log: log,
	})
	p.sent = &recorder{Fleet: p.fleet}
	var servers orchestrator.Fleet = p.sent
	if between != nil {
		servers = between(p.sent)
	}
	p.stream = orchestrator.NewStream(log)
	var bench orchestrator.Bench
	var halter orchestrator.Halter
	if b.Bench {
		bench = p.fleet
		halter = p.fleet
	}
	p.orch = orchestrator.New(orchestrator.Settings{
		Bench: bench, Halter: halter, Clone: b.Clone, Errant: b.Errant, RulesChanges: true,
		Elector: b.Elector, Automation: true, Antiflap: b.Antiflap, Timing: b.Timing, Limits: b.Limits, Log: log,
		Clusters: []orchestrator.ClusterSettings{{Name: clusterName, Ruleset: b.Ruleset}}, Silence: p.store.Silence,
	}, servers, p.store.Seam(), p.stream)
	run, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.ran.Go(func() { p.orch.Run(run) })
	return p, nil
}

func fixed(password string) func() (string, error) {
	return func() (string, error) { return password, nil }
}

func (p *plane) view() (orchestrator.View, error) { return p.orch.Cluster(clusterName) }

func (p *plane) events() []orchestrator.Event { return p.stream.Recent() }

func (p *plane) recoveries() ([]reparent.Operation, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.orch.Recoveries(ctx, clusterName, 0)
}

func (p *plane) reparent(w orchestrator.Wish) (reparent.Operation, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w.Cluster = clusterName
	answer, err := p.orch.Reparent(ctx, w)
	return answer.Operation, err
}

func (p *plane) await(id string) (reparent.Operation, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.orch.Await(ctx, id)
}

func (p *plane) acknowledge() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := p.orch.Acknowledge(ctx, clusterName, orchestrator.Order{By: "the test", Reason: "looked at it"})
	return err
}

func (p *plane) stop() error {
	p.cancel()
	p.ran.Wait()
	if err := p.fleet.Close(); err != nil {
		return err
	}
	return p.store.Close()
}

// recorder remembers every command that was handed to the servers.
type recorder struct {
	orchestrator.Fleet
	mu       sync.Mutex
	commands []reparent.Command
}

func (r *recorder) Do(ctx context.Context, batch orchestrator.Batch) []reparent.Result {
	r.mu.Lock()
	r.commands = append(r.commands, batch.Commands...)
	r.mu.Unlock()
	return r.Fleet.Do(ctx, batch)
}

func (r *recorder) all() []reparent.Command {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.commands)
}

// of counts the commands of one verb to one server.
func (r *recorder) of(verb reparent.Verb, server topology.Address) int {
	count := 0
	for _, c := range r.all() {
		if c.Verb == verb && c.Server == server {
			count++
		}
	}
	return count
}
