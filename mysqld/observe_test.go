package mysqld_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"

	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// world is a real fleet, and the Fleet under test that watches it as cluster "c".
type world struct {
	*testing.T
	local *local.Fleet
	fleet *mysqld.Fleet
	// signals are those of fleet that nobody has looked at.
	signals chan orchestrator.Signal
}

// newWorld starts servers. It fails where there is no mysqld: scripts/mysql.sh gets one.
func newWorld(t *testing.T, spec local.Spec) *world {
	t.Helper()
	running := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, running) })
	binary, err := local.Find("")
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := local.Start(t.Context(), binary, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fleet.Close() })
	w := &world{T: t, local: fleet, signals: make(chan orchestrator.Signal, 64)}
	w.fleet = w.watching(w.settings())
	for i := range w.servers() {
		w.eventually(i, "it answers", func(o topology.Observation) bool { return o.OK() }) // the first probe logs in, and studies the server
	}
	w.fleet.Signals(w.heard)
	return w
}

func (w *world) heard(s orchestrator.Signal) {
	select {
	case w.signals <- s:
	default:
	}
}

func (w *world) settings() mysqld.Settings {
	account := w.local.Users.Primacy
	return mysqld.Settings{User: account.Name, Password: func() (string, error) { return account.Password, nil }, Elector: "test"}
}

// watching makes a Fleet that watches all servers, and sees to its end.
func (w *world) watching(settings mysqld.Settings) *mysqld.Fleet {
	f := mysqld.NewFleet(settings)
	w.Cleanup(func() { _ = f.Close() })
	f.Watch("c", w.servers())
	return f
}

func (w *world) servers() (all []topology.Address) {
	for _, s := range w.local.Servers {
		all = append(all, topology.Address(s.Address()))
	}
	return all
}

func (w *world) server(i int) topology.Address { return w.servers()[i] }

// admin runs statements as root.
func (w *world) admin(i int, statements ...string) {
	w.Helper()
	db := w.open(i)
	defer db.Close()
	w.exec(db, statements...)
}

type execer interface {
	ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error)
}

func (w *world) exec(on execer, statements ...string) {
	w.Helper()
	for _, statement := range statements {
		if _, err := on.ExecContext(context.Background(), statement); err != nil {
			w.Fatalf("%s: %v", statement, err)
		}
	}
}

func (w *world) open(i int) *sql.DB {
	w.Helper()
	db, err := sql.Open("mysql", w.local.Servers[i].AdminDSN())
	if err != nil {
		w.Fatal(err)
	}
	return db
}

// number asks for one number as root.
func (w *world) number(i int, question string, args ...any) (n int) {
	w.Helper()
	db := w.open(i)
	defer db.Close()
	if err := db.QueryRowContext(w.Context(), question, args...).Scan(&n); err != nil {
		w.Fatalf("%s: %v", question, err)
	}
	return n
}

// meanwhile runs a statement that may hang, as root. What it returns waits for its end.
func (w *world) meanwhile(i int, statement string) (ended func() error) {
	db := w.open(i)
	result := make(chan error, 1)
	go func() {
		defer db.Close()
		_, err := db.ExecContext(context.Background(), statement)
		result <- err
	}()
	return func() error { return <-result }
}

// see probes one server.
func (w *world) see(i int) topology.Observation {
	return w.fleet.Probe(w.Context(), w.server(i))
}

// eventually probes a server until it shows what is claimed.
func (w *world) eventually(i int, claim string, shows func(topology.Observation) bool) topology.Observation {
	w.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		o := w.see(i)
		if shows(o) {
			return o
		}
		if time.Now().After(deadline) {
			w.Fatalf("%s: never seen; last: %+v", claim, o)
		}
	}
}

func (w *world) signalled(i int, within time.Duration) orchestrator.Signal {
	w.Helper()
	timeout := time.After(within)
	for {
		select {
		case s := <-w.signals:
			if s.Server == w.server(i) {
				return s
			}
		case <-timeout:
			w.Fatalf("no signal of %s within %s", w.server(i), within)
		}
	}
}
