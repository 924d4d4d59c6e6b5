package browser

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/integration/panorama"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/mysqld/workload"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/store"
	"github.com/primacydb/primacy/topology"
)

const clusterName = "shop"

// counter is the API as one process serves it, which can be closed and opened again.
type counter struct {
	t        testing.TB
	settings api.Settings
	address  string
	close    func()
	fault    atomic.Pointer[fault] // what comes in the way of answers; nil: nothing does
}

// serve opens a counter at a free port.
func serve(t testing.TB, s api.Settings) *counter {
	t.Helper()
	c := &counter{t: t, settings: s, address: "127.0.0.1:0"}
	c.open()
	t.Cleanup(func() { c.close() })
	return c
}

func (c *counter) base() string { return "http://" + c.address }

func (c *counter) open() {
	c.t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.address = l.Addr().String()
	server := api.NewServer(c.settings)
	inner := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := c.fault.Load(); f == nil || !(*f)(w, r) {
			inner.ServeHTTP(w, r)
		}
	})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	c.close = sync.OnceFunc(func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			c.t.Error(err)
		}
	})
}

// scenery serves clusters that do not exist.
func scenery(t testing.TB, s panorama.Settings) (*panorama.Plane, *counter) {
	t.Helper()
	charts := api.NewCharts()
	plane := panorama.New(s, orchestrator.NewStream(nil, charts.Tap), time.Now())
	return plane, serve(t, plane.Settings(charts, "test"))
}

// playing lets them change until the test ends.
func playing(t testing.TB, plane *panorama.Plane, every time.Duration) {
	ctx, stop := context.WithCancel(context.Background())
	var changing sync.WaitGroup
	changing.Go(func() { plane.Run(ctx, every) })
	t.Cleanup(func() { stop(); changing.Wait() })
}

// fleet is one cluster of real servers with a control plane in front and a client that writes.
type fleet struct {
	*counter
	servers *local.Fleet
	orch    *orchestrator.Orchestrator
	client  *workload.Client
}

func realFleet(t *testing.T) *fleet {
	t.Helper()
	binary, err := local.Find("")
	must(t, err)
	servers, err := local.Start(t.Context(), binary, local.Spec{Servers: 3, Names: []string{"db1", "db2", "db3"}})
	must(t, err)
	t.Cleanup(func() { must(t, servers.Close()) })
	memory, err := store.Open(t.Context(), store.Settings{
		Dir: t.TempDir(), LeaseTTL: time.Minute, Elector: "elector-1", Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	t.Cleanup(func() { must(t, memory.Close()) })
	reach := mysqld.NewFleet(mysqld.Settings{
		User: servers.Users.Primacy.Name, Password: fixed(servers.Users.Primacy.Password),
		ReplicationUser: servers.Users.Replica.Name, ReplicationPassword: fixed(servers.Users.Replica.Password), Elector: "elector-1",
	})
	t.Cleanup(func() { must(t, reach.Close()) })
	events := orchestrator.NewStream(nil)
	settings := settingsOf(servers, memory)
	settings.Bench, settings.Halter, settings.RulesChanges = reach, reach, true
	f := &fleet{servers: servers, orch: orchestrator.New(settings, reach, memory.Seam(), events)}
	ctx, stop := context.WithCancel(context.Background())
	var looping sync.WaitGroup
	looping.Go(func() { f.orch.Run(ctx) })
	t.Cleanup(func() { stop(); looping.Wait() })
	f.counter = serve(t, api.Settings{Plane: f.orch, Errant: f.orch, Inspector: linter{reach}, Certificates: f.orch, Halt: f.orch, Rules: f.orch, Events: events, Elector: "elector-1", Version: "test", NoticedWithin: 3 * time.Second})
	f.writes(t)
	f.byHand(servers.Servers[0].Address(), "CREATE TABLE app.notes (id INT PRIMARY KEY, says VARCHAR(40))", "INSERT INTO app.notes VALUES (1, 'call back')")
	return f
}

// linter looks at real servers for the check of settings.
type linter struct{ *mysqld.Fleet }

func (linter) LintLimits(string) topology.LintLimits {
	return topology.LintLimits{SilentAfter: 2 * time.Second}
}

func settingsOf(servers *local.Fleet, memory *store.Store) orchestrator.Settings {
	rules := topology.Ruleset{Number: 1, Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}}
	for i, s := range servers.Servers {
		rules.Members = append(rules.Members, topology.Member{Address: topology.Address(s.Address()), Zone: string(rune('a' + i))})
	}
	return orchestrator.Settings{
		Elector: "elector-1", Automation: true, Antiflap: antiflap.Defaults(), Timing: reparent.DefaultTiming(),
		Limits: topology.Limits{SilentAfter: 2 * time.Second, StuckAfter: 5 * time.Second, LagMax: 10 * time.Second, IsolatedShare: 1},
		Log:    slog.New(slog.DiscardHandler), Silence: memory.Silence,
		Clusters: []orchestrator.ClusterSettings{{Name: clusterName, Ruleset: rules}},
	}
}

func fixed(password string) func() (string, error) {
	return func() (string, error) { return password, nil }
}

// writes lets a client write, so that there is something to lose. A primary that is killed in the middle of a write is
// rightly quarantined when it is back, so whoever kills one and wants it back has the client end before.
// See rests.
func (f *fleet) writes(t *testing.T) {
	t.Helper()
	var addresses []string
	for _, s := range f.servers.Servers {
		addresses = append(addresses, s.Address())
	}
	app := f.servers.Users.App
	client, err := workload.Start(t.Context(), workload.Settings{
		Addresses: addresses, User: app.Name, Password: app.Password, Writers: 1, Pause: 20 * time.Millisecond,
	})
	must(t, err)
	f.client = client
	t.Cleanup(func() { client.Stop() })
	must(t, client.AwaitAcks(t.Context(), 3))
}

// rests ends the client. What it had sent may still be waiting for an acknowledgement: the lock comes when nothing commits
// any more, and the second time also after what waited for the first one to go.
func (f *fleet) rests(primary string) {
	f.t.Helper()
	f.client.Stop()
	f.byHand(primary, "FLUSH TABLES WITH READ LOCK", "UNLOCK TABLES", "FLUSH TABLES WITH READ LOCK", "UNLOCK TABLES")
}

// byHand runs statements in one session of somebody with all rights.
func (f *fleet) byHand(server string, statements ...string) {
	f.t.Helper()
	config, err := mysql.ParseDSN(f.server(server).AdminDSN())
	must(f.t, err)
	connector, err := mysql.NewConnector(config)
	must(f.t, err)
	db := sql.OpenDB(connector)
	defer func() { must(f.t, db.Close()) }()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	session, err := db.Conn(ctx)
	must(f.t, err)
	defer func() { must(f.t, session.Close()) }()
	for _, statement := range statements {
		_, err := session.ExecContext(ctx, statement)
		must(f.t, err)
	}
}

// server finds the process behind an address.
func (f *fleet) server(address string) *local.Server {
	f.t.Helper()
	for _, s := range f.servers.Servers {
		if s.Address() == address {
			return s
		}
	}
	f.t.Fatalf("no server listens at %s", address)
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
