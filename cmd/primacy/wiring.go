package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/api/hooks"
	"github.com/primacydb/primacy/config"
	"github.com/primacydb/primacy/metrics"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/store"
	"github.com/primacydb/primacy/topology"
)

// controlPlane is everything that runs behind the API, wired in one place. Close ends it.
type controlPlane struct {
	node    string
	orch    *orchestrator.Orchestrator
	events  *orchestrator.Stream
	metrics *metrics.Metrics
	charts  *api.Charts
	fleet   *mysqld.Fleet
	linting inspector
	store   *store.Store
	hooks   *hooks.Runner
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// startControlPlane opens the store, connects to the servers and starts the loop. ctx bounds the start
// only. When it fails, nothing is left running.
func startControlPlane(ctx context.Context, c config.Config, log *slog.Logger) (*controlPlane, error) {
	p := &controlPlane{node: c.Node, metrics: metrics.New(), charts: api.NewCharts()}
	p.events = orchestrator.NewStream(log, p.metrics.Tap, p.charts.Tap)
	servers, err := serverSettings(c, log)
	if err != nil {
		return nil, err
	}
	memory, err := storeSettings(c, log)
	if err != nil {
		return nil, err
	}
	if p.store, err = store.Open(ctx, memory); err != nil {
		return nil, err
	}
	p.fleet = mysqld.NewFleet(servers)
	p.linting = inspectorOf(c, p.fleet)
	settings, err := loopSettings(ctx, c, p.fleet, log)
	if err != nil {
		return nil, errors.Join(err, p.fleet.Close(), p.store.Close())
	}
	settings.Bench, settings.Halter = p.fleet, p.fleet
	settings.Company, settings.Silence = p.store.Company().Seam(), p.store.Silence
	settings, fleet, record := trapped(settings, p.fleet, p.store.Seam())
	p.orch = orchestrator.New(settings, fleet, record, p.events)
	p.metrics.Watch(p.orch.Clusters)
	p.hooks = hooks.Start(p.events, hooksOf(c.Hooks), log)
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.cancel = cancel
	p.running.Go(func() { p.orch.Run(running) })
	return p, nil
}

// inspector lets the API ask what primacy check asks.
type inspector struct {
	*mysqld.Fleet
	limits map[string]topology.LintLimits
}

func inspectorOf(c config.Config, fleet *mysqld.Fleet) inspector {
	i := inspector{fleet, map[string]topology.LintLimits{}}
	for _, cluster := range c.Clusters {
		i.limits[cluster.Name] = lintLimits(c, cluster)
	}
	return i
}

// LintLimits implements api.Inspector.
func (i inspector) LintLimits(cluster string) topology.LintLimits { return i.limits[cluster] }

func lintLimits(c config.Config, cluster config.Cluster) topology.LintLimits {
	return topology.LintLimits{SilentAfter: c.Detection.SilentAfter, Seed: cluster.Seed != ""}
}

// Close stops the loop, gives the locks back and closes what startControlPlane opened.
func (p *controlPlane) Close() error {
	p.cancel()
	p.running.Wait()
	p.hooks.Close()
	return errors.Join(p.fleet.Close(), p.store.Close())
}

func hooksOf(configured []config.Hook) []hooks.Hook {
	var all []hooks.Hook
	for _, h := range configured {
		hook := hooks.Hook{Name: h.Name, Command: h.Command, URL: h.URL, Timeout: h.Timeout}
		for _, e := range h.Events {
			hook.Events = append(hook.Events, orchestrator.EventKind(e))
		}
		all = append(all, hook)
	}
	return all
}

func serverSettings(c config.Config, log *slog.Logger) (mysqld.Settings, error) {
	secure, err := clientTLS(c.MySQL.TLS, "mysql.tls")
	return mysqld.Settings{
		User: c.MySQL.User, Password: revealed(c.MySQL.Password), TLS: secure,
		ReplicationUser: c.Replication.User, ReplicationPassword: revealed(c.Replication.Password),
		ReplicationTLS: mysqld.ReplicationTLS(c.Replication.TLS), Heartbeat: c.Replication.Heartbeat,
		ProbeTimeout: c.Detection.ProbeTimeout, Elector: c.Node, Log: log,
	}, err
}

func revealed(s config.Secret) func() (string, error) {
	return func() (string, error) { return s.Reveal(), nil }
}

func storeSettings(c config.Config, log *slog.Logger) (store.Settings, error) {
	secure, err := clientTLS(c.Store.TLS, "store.tls")
	return store.Settings{
		Dir: c.Store.Dir, Endpoints: c.Store.Endpoints, Name: c.Store.Name, PeerListen: c.Store.PeerListen,
		InitialCluster: strings.Join(c.Store.InitialCluster, ","), LeaseTTL: c.Store.Lease,
		Peer: store.PeerTLS{CertFile: c.Store.PeerTLS.CertFile, KeyFile: c.Store.PeerTLS.KeyFile, CAFile: c.Store.PeerTLS.CAFile},
		TLS:  secure, User: c.Store.User, Password: c.Store.Password.Reveal(), Elector: c.Node, Log: log,
		Later: true, // what is known of the servers is worth telling without it
	}, err
}

// clientTLS is nil when the configuration does not ask for TLS.
func clientTLS(c config.ClientTLS, key string) (*tls.Config, error) {
	if !c.Enabled && c == (config.ClientTLS{}) {
		return nil, nil
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName, InsecureSkipVerify: c.SkipVerify}
	if c.CAFile != "" {
		trusted, err := authorities(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("%s.ca_file: %w", key, err)
		}
		settings.RootCAs = trusted
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("%s.cert_file: %w", key, err)
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings, nil
}

// authorities are the certificates of a file.
func authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	return pool, nil
}

func loopSettings(ctx context.Context, c config.Config, fleet *mysqld.Fleet, log *slog.Logger) (orchestrator.Settings, error) {
	settings := orchestrator.Settings{
		Elector: c.Node, API: c.Advertise, Automation: c.Automation, ProbeInterval: c.Detection.ProbeInterval, Log: log,
		Limits: limitsOf(c.Detection), Antiflap: windowsOf(c.Antiflap), RulesChanges: true,
		Errant: orchestrator.ErrantSettings{Policy: settle.Policy(c.Errant.Policy), RowsMax: c.Errant.RowsMax, ExportDir: c.Errant.ExportDir},
		Clone: orchestrator.CloneSettings{
			Join: c.Clone.Join, Donors: settle.DonorRules{FromNeeded: c.Clone.FromNeededAcker, FromPrimary: c.Clone.FromPrimary}, RateMax: c.Clone.RateMaxMB,
			StallMax: c.Clone.StallMax, TimeMax: c.Clone.TimeMax,
		},
	}
	for _, cluster := range c.Clusters {
		ruleset, err := rulesetOf(ctx, cluster, fleet)
		if err != nil {
			return settings, err
		}
		settings.Clusters = append(settings.Clusters, orchestrator.ClusterSettings{Name: cluster.Name, Ruleset: ruleset, Discovered: cluster.Seed != ""})
	}
	return settings, nil
}

// reconfigure hands the rules of a configuration that was read again to the loop: of clusters that were there at start.
func (p *controlPlane) reconfigure(ctx context.Context, c config.Config) error {
	var failed error
	for _, cluster := range c.Clusters {
		ruleset, err := rulesetOf(ctx, cluster, p.fleet)
		if err == nil {
			err = p.orch.Configure(ctx, orchestrator.ClusterSettings{Name: cluster.Name, Ruleset: ruleset})
		}
		if !errors.Is(err, orchestrator.ErrNoSuchCluster) { // it takes a restart, which is said
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

func limitsOf(d config.Detection) topology.Limits {
	backlogMax := d.AckerBacklogMax
	if backlogMax == 0 {
		backlogMax = -1
	}
	return topology.Limits{SilentAfter: d.SilentAfter, StuckAfter: d.StuckAfter, LagMax: d.LagMax, RehomeAfter: d.RehomeAfter, ReturnAfter: d.ReturnAfter, IsolatedShare: d.IsolatedShare, BacklogMax: backlogMax}
}

func windowsOf(a config.Antiflap) antiflap.Settings {
	return antiflap.Settings{
		Window: a.Window, Factor: a.Factor, WindowMax: a.WindowMax, Decay: a.Decay,
		ReplaceGonePrimary: a.ReplaceGonePrimary, ProvenAfter: a.ProvenAfter,
		FleetChangesMax: a.Fleet.ChangesMax, FleetPer: a.Fleet.Per,
	}
}

// rulesetOf is what the configuration says of a cluster, completed by discovery when it names a seed.
func rulesetOf(ctx context.Context, c config.Cluster, fleet *mysqld.Fleet) (topology.Ruleset, error) {
	r := topology.Ruleset{Number: 1, Policy: topology.Policy{
		Kind: topology.PolicyKind(c.Durability.Policy), Acks: c.Durability.Acks, Zones: c.Durability.Zones,
		AllowUnfenced: c.Durability.AllowUnfenced,
	}}
	for _, s := range c.Servers {
		r.Members = append(r.Members, topology.Member{
			Address: topology.Address(s.Address), Zone: s.Zone, Promotion: topology.Promotion(s.Promotion), Source: topology.Address(s.Source),
		})
	}
	if c.Seed != "" {
		for _, a := range discover(ctx, topology.Address(c.Seed), fleet).Minus(r.Servers()).List() {
			r.Members = append(r.Members, topology.Member{Address: a})
		}
	}
	if len(r.Members) == 0 {
		return r, fmt.Errorf("cluster %s: no server answered at the seed %s; list its servers, or start again when the seed is up", c.Name, c.Seed)
	}
	if err := r.Validate(); err != nil {
		return r, fmt.Errorf("cluster %s: %w", c.Name, err)
	}
	return r, nil
}

// discover asks the seed for its source and replicas, those for theirs, until nobody new is named.
func discover(ctx context.Context, seed topology.Address, fleet *mysqld.Fleet) topology.ServerSet {
	first := fleet.Probe(ctx, seed)
	if !first.OK() {
		return topology.ServerSet{}
	}
	reached := map[topology.Address]topology.Observation{seed: first}
	for {
		members, unexplored := topology.Discover(first, reached)
		if unexplored.IsEmpty() {
			return members
		}
		for _, a := range unexplored.List() {
			reached[a] = fleet.Probe(ctx, a)
		}
	}
}
