package integration

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/mysqld/workload"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/store"
	"github.com/primacydb/primacy/topology"
)

const clusterName = "shop"

// patience bounds every wait for a condition; it is never a measure of anything.
const patience = 60 * time.Second

// cluster is a real fleet with a control plane in front, both in this process but for mysqld itself.
type cluster struct {
	t       *testing.T
	fleet   *local.Fleet
	ruleset topology.Ruleset
	storeAt string
	plane   *plane
	tune    func(*orchestrator.Settings)
}

// plane is one life of the control plane.
type plane struct {
	orch   *orchestrator.Orchestrator
	events *orchestrator.Stream
	fleet  *mysqld.Fleet
	store  *store.Store
	cancel context.CancelFunc
	ran    sync.WaitGroup
}

// bare starts real servers without a control plane.
func bare(t *testing.T, servers, acks int) *cluster {
	t.Helper()
	binary, err := local.Find("")
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := local.Start(t.Context(), binary, local.Spec{Servers: servers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fleet.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &cluster{t: t, fleet: fleet, storeAt: t.TempDir()}
	c.ruleset.Policy = topology.Policy{Kind: topology.PolicySemiSync, Acks: acks}
	for i, s := range fleet.Servers {
		c.ruleset.Members = append(c.ruleset.Members, topology.Member{Address: topology.Address(s.Address()), Zone: string(rune('a' + i))})
	}
	return c
}

// started is bare with a control plane that has adopted the cluster and finds it healthy.
func started(t *testing.T, servers, acks int) *cluster {
	t.Helper()
	c := bare(t, servers, acks)
	c.startPlane()
	c.awaitServing()
	return c
}

// awaitServing waits until an established primary takes writes, all servers answer and no change runs.
func (c *cluster) awaitServing() orchestrator.View {
	c.t.Helper()
	return c.await("an established primary that serves", func(v orchestrator.View) bool {
		return v.Primary != "" && v.Running == nil && v.Snapshot.Server(v.Primary).Writable() && v.Snapshot.Reached().Len() == len(v.Ruleset.Members)
	})
}

func (c *cluster) startPlane() {
	c.t.Helper()
	p := &plane{}
	level := slog.LevelError
	if os.Getenv("PRIMACY_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	quiet := slog.New(slog.DiscardHandler)
	var err error
	p.store, err = store.Open(c.t.Context(), store.Settings{Dir: c.storeAt, LeaseTTL: 2 * time.Second, Elector: "test", Log: quiet})
	if err != nil {
		c.t.Fatal(err)
	}
	users := c.fleet.Users
	p.fleet = mysqld.NewFleet(mysqld.Settings{
		User: users.Primacy.Name, Password: fixed(users.Primacy.Password),
		ReplicationUser: users.Replica.Name, ReplicationPassword: fixed(users.Replica.Password), Elector: "test", Log: log,
	})
	p.events = orchestrator.NewStream(log)
	settings := orchestrator.Settings{
		Elector: "test", Automation: true, Antiflap: antiflap.Defaults(), Now: time.Now, Log: log,
		Limits:   topology.Limits{SilentAfter: 2 * time.Second, StuckAfter: 5 * time.Second, LagMax: 10 * time.Second, IsolatedShare: 0.7},
		Clusters: []orchestrator.ClusterSettings{{Name: clusterName, Ruleset: c.ruleset}},
	}
	if c.tune != nil {
		c.tune(&settings)
	}
	p.orch = orchestrator.New(settings, p.fleet, p.store.Seam(), p.events)
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.ran.Go(func() { p.orch.Run(ctx) })
	c.plane = p
	c.t.Cleanup(func() { c.stopPlane(p) })
}

func fixed(password string) func() (string, error) {
	return func() (string, error) { return password, nil }
}

func (c *cluster) stopPlane(p *plane) {
	if c.plane != p {
		return
	}
	c.plane = nil
	p.cancel()
	p.ran.Wait()
	if err := p.fleet.Close(); err != nil {
		c.t.Error(err)
	}
	if err := p.store.Close(); err != nil {
		c.t.Error(err)
	}
}

func (c *cluster) view() orchestrator.View {
	c.t.Helper()
	v, err := c.plane.orch.Cluster(clusterName)
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}

// await waits until the view satisfies a condition; each round of probes is a new look.
func (c *cluster) await(what string, holds func(orchestrator.View) bool) orchestrator.View {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if v := c.view(); holds(v) {
			return v
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.t.Fatalf("never saw: %s\n%s", what, c.describe())
		}
	}
}

func (c *cluster) describe() string {
	v := c.view()
	text := fmt.Sprintf("state %s, primary %s, term %d, refusal %q", v.State, v.Primary, v.Term, v.Refusal)
	for _, f := range v.Findings {
		text += fmt.Sprintf("\n  %s %s %s: %s [%s]", f.Severity, f.Code, f.Server, f.Message, f.WhyNot)
		for _, e := range f.Evidence {
			text += fmt.Sprintf("\n    %s %s: %s", e.By, e.Server, e.Fact)
		}
	}
	for _, o := range v.Snapshot.Servers {
		text += fmt.Sprintf("\n  %s %s ro=%v super=%v off=%v executed=%s received=%s semi=%+v", o.Address, o.Reach, o.ReadOnly, o.SuperReadOnly, o.OfflineMode, o.Executed, o.Received, o.SemiSync)
		if o.Replication != nil {
			text += fmt.Sprintf("\n     %+v", *o.Replication)
		}
	}
	for _, e := range c.plane.events.Recent() {
		text += fmt.Sprintf("\n  %s %s %s", e.At.Format("15:04:05.000"), e.Kind, e.Text)
	}
	return text
}

func (c *cluster) awaitState(s topology.ClusterState) orchestrator.View {
	c.t.Helper()
	return c.await("state "+string(s), func(v orchestrator.View) bool { return v.State == s })
}

// awaitNewPrimary waits until another server than the one named leads and takes writes.
func (c *cluster) awaitNewPrimary(old topology.Address) orchestrator.View {
	c.t.Helper()
	return c.await("a primary other than "+string(old), func(v orchestrator.View) bool {
		return v.Primary != "" && v.Primary != old && v.Running == nil && v.Snapshot.Server(v.Primary).Writable()
	})
}

func (c *cluster) server(a topology.Address) *local.Server {
	c.t.Helper()
	s := c.fleet.Server(string(a))
	if s == nil {
		c.t.Fatalf("no server %s", a)
	}
	return s
}

func (c *cluster) write(writers int) *workload.Client {
	c.t.Helper()
	var addresses []string
	for _, s := range c.fleet.Servers {
		addresses = append(addresses, s.Address())
	}
	client, err := workload.Start(c.t.Context(), workload.Settings{
		Addresses: addresses, User: c.fleet.Users.App.Name, Password: c.fleet.Users.App.Password, Writers: writers,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(client.Stop)
	return client
}

func (c *cluster) awaitAcks(client *workload.Client, n int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := client.AwaitAcks(ctx, n); err != nil {
		c.t.Fatalf("%v\n%s", err, c.describe())
	}
}

// nothingLost stops the client and holds every row that was acknowledged against the primary, and every
// server that replicates against the primary.
func (c *cluster) nothingLost(client *workload.Client) workload.Verdict {
	c.t.Helper()
	client.Stop()
	v := c.view()
	rows, err := workload.Rows(c.t.Context(), c.server(v.Primary).AdminDSN())
	if err != nil {
		c.t.Fatal(err)
	}
	verdict := workload.Judge(client.Writes(), rows)
	if !verdict.Good() || verdict.Acknowledged == 0 {
		c.t.Fatalf("%s (lost %v, ghosts %v)\n%s", verdict, verdict.Lost, verdict.Ghosts, c.describe())
	}
	return verdict
}

// converged waits until the named servers hold the same transactions as the primary.
func (c *cluster) converged(servers ...topology.Address) {
	c.t.Helper()
	c.await(fmt.Sprintf("%v at the primary's position", servers), func(v orchestrator.View) bool {
		want := v.Snapshot.Server(v.Primary).Executed
		for _, a := range servers {
			if o := v.Snapshot.Server(a); !o.OK() || !o.Executed.Equal(want) || want.Equal(gtid.Set{}) {
				return false
			}
		}
		return true
	})
}

func (c *cluster) recoveries() []reparent.Operation {
	c.t.Helper()
	all, err := c.plane.orch.Recoveries(c.t.Context(), clusterName, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	return all
}
