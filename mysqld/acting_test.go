package mysqld_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// The tests of commands share one real fleet of three servers. Each test gets it in the same shape:
// the first server is the writable primary, the other two follow it and acknowledge. Terms only rise.

const cluster = "shop"

// stage is the fleet as one test sees it.
type stage struct {
	testing.TB
	servers []*local.Server
	users   local.Users
}

// shared boots the fleet on first use and is closed by TestMain.
var shared struct {
	sync.Once
	fleet *local.Fleet
	err   error
	terms atomic.Uint32
	rows  atomic.Int64
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.fleet != nil {
		if err := shared.fleet.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "close fleet:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func realStage(t testing.TB) *stage {
	t.Helper()
	shared.Do(func() {
		binary, err := local.Find("")
		if err != nil {
			shared.err = err
			return
		}
		shared.fleet, shared.err = local.Start(context.Background(), binary, local.Spec{
			Schema:  []string{"CREATE TABLE app.rows (id BIGINT PRIMARY KEY)"},
			Options: map[string]string{"skip_replica_start": "OFF"},
		})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	w := &stage{t, shared.fleet.Servers, shared.fleet.Users}
	t.Cleanup(w.reset)
	return w
}

// term is the first of ten terms that nobody has used.
func (w *stage) term() uint32 { return shared.terms.Add(10) }

func (w *stage) address(i int) topology.Address { return topology.Address(w.servers[i].Address()) }

// elector is a Fleet of its own, as a process of that name would have it.
func (w *stage) elector(name string) *mysqld.Fleet {
	f := mysqld.NewFleet(mysqld.Settings{
		User: w.users.Primacy.Name, Password: constant(w.users.Primacy.Password), Elector: name,
		ReplicationUser: w.users.Replica.Name, ReplicationPassword: constant(w.users.Replica.Password),
		ProbeTimeout: 5 * time.Second,
	})
	w.Cleanup(func() { f.Close() })
	f.Watch(cluster, []topology.Address{w.address(0), w.address(1), w.address(2)})
	f.Observe(context.Background(), cluster)
	return f
}

func constant(s string) func() (string, error) { return func() (string, error) { return s, nil } }

// admin is one connection of root.
func (w *stage) admin(i int) *sql.Conn {
	w.Helper()
	db, err := sql.Open("mysql", w.servers[i].AdminDSN()+"&multiStatements=true")
	if err != nil {
		w.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { conn.Close(); db.Close() })
	return conn
}

func (w *stage) exec(i int, statements string, args ...any) {
	w.Helper()
	if _, err := w.admin(i).ExecContext(context.Background(), statements, args...); err != nil {
		w.Fatalf("server %d: %s: %v", i, statements, err)
	}
}

// value is the first column of the first row; empty when there is none or it is NULL.
func (w *stage) value(i int, query string, args ...any) string {
	w.Helper()
	return scalar(w, w.admin(i), query, args...)
}

func scalar(t testing.TB, conn *sql.Conn, query string, args ...any) string {
	t.Helper()
	var v sql.NullString
	err := conn.QueryRowContext(context.Background(), query, args...).Scan(&v)
	if err != nil && err != sql.ErrNoRows {
		t.Fatalf("%s: %v", query, err)
	}
	return v.String
}

// eventually waits for a query to give a value.
func (w *stage) eventually(i int, want, query string, args ...any) {
	w.Helper()
	conn := w.admin(i)
	until(w, fmt.Sprintf("server %d: %s to be %q", i, query, want), func() bool { return scalar(w, conn, query, args...) == want })
}

func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(time.Minute); !holds(); {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// client is an application's session; its errors are for the test to judge.
func (w *stage) client(i int) *sql.Conn {
	w.Helper()
	return w.login(i, w.users.App.Name, w.users.App.Password)
}

func (w *stage) login(i int, user, password string) *sql.Conn {
	w.Helper()
	dsn := fmt.Sprintf("%s:%s@tcp(%s)/?interpolateParams=true", user, password, w.servers[i].Address())
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		w.Fatal(err)
	}
	conn, err := db.Conn(context.Background())
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { conn.Close(); db.Close() })
	return conn
}

// write begins an insert of a new row and says on the channel how it ended.
func (w *stage) write(i int) (id int64, ended <-chan error) {
	w.Helper()
	ended = w.writeAs(w.client(i))
	return shared.rows.Load(), ended
}

// writeAs is write in a given session. It ends with the test at the latest.
func (w *stage) writeAs(conn *sql.Conn) <-chan error {
	ctx, id, done := w.Context(), shared.rows.Add(1), make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(ctx, "INSERT INTO app.rows VALUES (?)", id)
		done <- err
	}()
	return done
}

func (w *stage) mustWrite(i int) int64 {
	w.Helper()
	id, ended := w.write(i)
	if err := <-ended; err != nil {
		w.Fatalf("write to server %d: %v", i, err)
	}
	return id
}

// waitingWrite begins a write on the primary whose ackers have been stopped, and waits until it waits.
func (w *stage) waitingWrite(i int) (id int64, ended <-chan error) {
	w.Helper()
	id, ended = w.write(i)
	w.awaitWaiters(i, 1)
	return id, ended
}

func (w *stage) awaitWaiters(i, n int) {
	w.Helper()
	w.eventually(i, fmt.Sprint(n), "SELECT variable_value FROM performance_schema.global_status WHERE variable_name = 'Rpl_semi_sync_source_wait_sessions'")
}

func (w *stage) stopAckers() {
	for i := 1; i < len(w.servers); i++ {
		w.exec(i, "STOP REPLICA IO_THREAD")
	}
}

func (w *stage) startAckers() {
	for i := 1; i < len(w.servers); i++ {
		w.exec(i, "START REPLICA")
	}
}

// do runs one command with a generous deadline.
func (w *stage) do(f *mysqld.Fleet, c reparent.Command) reparent.Result {
	w.Helper()
	if c.Cluster == "" {
		c.Cluster = cluster
	}
	if c.Deadline == 0 {
		c.Deadline = 10 * time.Second
	}
	return f.Do(context.Background(), orchestrator.Batch{Commands: []reparent.Command{c}})[0]
}

func (w *stage) must(f *mysqld.Fleet, c reparent.Command) reparent.Result {
	w.Helper()
	r := w.do(f, c)
	if !r.Done() {
		w.Fatalf("%s: %s, %s: %s", c, r.Outcome, r.Reason, r.Detail)
	}
	return r
}

func (w *stage) refused(f *mysqld.Fleet, c reparent.Command, reason reparent.Reason) reparent.Result {
	w.Helper()
	r := w.do(f, c)
	if r.Outcome != reparent.No || r.Reason != reason {
		w.Fatalf("%s: %s, %s: %s; expected no, %s", c, r.Outcome, r.Reason, r.Detail, reason)
	}
	return r
}

// decision is a sealed one for a server as it is now.
func (w *stage) decision(f *mysqld.Fleet, i int, term uint32, kind reparent.Kind) topology.Decision {
	o := f.Probe(context.Background(), w.address(i))
	return topology.Decision{
		Cluster: cluster, Term: term, Kind: string(kind), Primary: w.address(i), PrimaryUUID: o.UUID, Incarnation: o.Incarnation,
		Ruleset: 1, Base: o.Executed, Reached: topology.Servers(w.address(0), w.address(1)), Elector: "elector-1", DecidedAt: time.Now(),
	}.Sealed()
}

func (w *stage) executed(i int) gtid.Set {
	return gtid.MustParse(w.value(i, "SELECT @@GLOBAL.gtid_executed"))
}

// caughtUp waits until the others have applied what the first server has executed.
func (w *stage) caughtUp() {
	w.Helper()
	set := w.value(0, "SELECT @@GLOBAL.gtid_executed")
	for i := 1; i < len(w.servers); i++ {
		w.eventually(i, "1", "SELECT GTID_SUBSET(?, @@GLOBAL.gtid_executed)", set)
	}
}

// reset brings the fleet back into its shape, whatever the test has done. It drops errant transactions
// nowhere: rows have different keys, and positions of one server may stay ahead of another's.
func (w *stage) reset() {
	for i := range w.servers {
		if err := w.servers[i].Thaw(); err != nil {
			w.Logf("thaw: %v", err)
		}
		w.exec(i, "SET GLOBAL offline_mode = OFF; SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 1; "+
			"SET GLOBAL rpl_semi_sync_source_timeout = 4294967295; RESET PERSIST IF EXISTS skip_replica_start")
	}
	if w.value(0, "SELECT COUNT(*) FROM performance_schema.replication_connection_configuration") != "0" {
		w.exec(0, "STOP REPLICA; RESET REPLICA ALL")
	}
	for i := 1; i < len(w.servers); i++ {
		w.exec(i, "SET GLOBAL rpl_semi_sync_source_enabled = OFF; SET GLOBAL super_read_only = ON; SET GLOBAL rpl_semi_sync_replica_enabled = ON")
		w.attach(i)
	}
	w.exec(0, "SET GLOBAL rpl_semi_sync_source_enabled = ON; SET GLOBAL read_only = OFF")
	w.exec(0, "INSERT INTO app.rows VALUES (?)", shared.rows.Add(1)) // its acknowledgement releases every commit before it
	w.caughtUp()
}

// attach makes a server follow the first one. A replica that does so already is left alone: a dump
// thread whose replica has gone counts as a client for up to a second.
func (w *stage) attach(i int) {
	const follows = "SELECT COUNT(*) FROM performance_schema.replication_connection_configuration WHERE port = ? AND auto_position = '1'"
	if w.value(i, follows, w.servers[0].Port) == "0" {
		w.point(i, w.servers[0].Port)
	}
	w.exec(i, "START REPLICA")
	w.eventually(i, "ON", receiverState)
}

// point makes a channel anew, without starting it.
func (w *stage) point(i, port int) {
	w.exec(i, "STOP REPLICA; RESET REPLICA ALL; CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', "+
		fmt.Sprintf("SOURCE_PORT = %d, ", port)+"SOURCE_USER = ?, SOURCE_PASSWORD = ?, SOURCE_AUTO_POSITION = 1, "+
		"GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1", w.users.Replica.Name, w.users.Replica.Password)
}

func contains(t *testing.T, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%q does not say %q", text, part)
	}
}
