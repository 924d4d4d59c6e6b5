package integration_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primacydb/primacy/mysqld/local"
)

// trio is three real servers with the settings that MySQL has by default where a fact is about them:
// after a restart they are writable and replicate. The first is the primary, the others acknowledge.
type trio struct {
	*testing.T
	servers []*local.Server
	users   local.Users
	rows    *atomic.Int64
}

func threeServers(t *testing.T) *trio {
	t.Helper()
	binary, err := local.Find("")
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := local.Start(t.Context(), binary, local.Spec{
		Schema:  []string{"CREATE TABLE app.rows (id BIGINT PRIMARY KEY)"},
		Options: map[string]string{"skip_replica_start": "OFF", "super_read_only": "OFF", "read_only": "OFF"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fleet.Close(); err != nil {
			t.Error(err)
		}
	})
	return &trio{t, fleet.Servers, fleet.Users, new(atomic.Int64)}
}

// fact is one test, which finds the servers as they were at the start.
func (f *trio) fact(name string, shows func(*trio)) {
	f.Run(name, func(t *testing.T) {
		in := &trio{t, f.servers, f.users, f.rows}
		in.reset()
		shows(in)
	})
}

func (f *trio) reset() {
	f.Helper()
	for i := range f.servers {
		f.exec(i, "SET GLOBAL offline_mode = OFF; SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 1; RESET PERSIST IF EXISTS skip_replica_start; RESET PERSIST IF EXISTS super_read_only")
	}
	for i := 1; i < len(f.servers); i++ {
		f.exec(i, "SET GLOBAL rpl_semi_sync_source_enabled = OFF; SET GLOBAL super_read_only = ON")
		if f.value(i, "SELECT port FROM performance_schema.replication_connection_configuration") != fmt.Sprint(f.servers[0].Port) {
			f.point(i, f.servers[0].Port)
		}
		f.exec(i, "START REPLICA")
	}
	f.awaitReceivers()
	f.exec(0, "SET GLOBAL rpl_semi_sync_source_enabled = ON; SET GLOBAL read_only = OFF; INSERT INTO app.rows VALUES (?)", f.row())
	for i := 1; i < len(f.servers); i++ {
		f.eventually(i, "1", executed, f.value(0, "SELECT @@GLOBAL.gtid_executed"))
	}
}

const (
	executed = "SELECT GTID_SUBSET(?, @@GLOBAL.gtid_executed)"
	received = "SELECT GTID_SUBSET(?, received_transaction_set) FROM performance_schema.replication_connection_status"
)

// point makes a channel anew, without starting it.
func (f *trio) point(i, port int) {
	f.Helper()
	f.exec(i, "STOP REPLICA; RESET REPLICA ALL; CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', "+
		fmt.Sprintf("SOURCE_PORT = %d, ", port)+"SOURCE_USER = ?, SOURCE_PASSWORD = ?, SOURCE_AUTO_POSITION = 1, "+
		"GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1", f.users.Replica.Name, f.users.Replica.Password)
}

func (f *trio) stopAckers() {
	f.Helper()
	f.exec(1, "STOP REPLICA IO_THREAD")
	f.exec(2, "STOP REPLICA IO_THREAD")
}

func (f *trio) startAckers() {
	f.Helper()
	f.exec(1, "START REPLICA")
	f.exec(2, "START REPLICA")
}

func (f *trio) awaitReceivers() {
	f.Helper()
	for i := 1; i < len(f.servers); i++ {
		f.eventually(i, "ON", "SELECT service_state FROM performance_schema.replication_connection_status")
	}
}

func (f *trio) awaitClients(i int, n string) {
	f.Helper()
	f.eventually(i, n, "SELECT variable_value FROM performance_schema.global_status WHERE variable_name = 'Rpl_semi_sync_source_clients'")
}

// crash kills a server and starts it again.
func (f *trio) crash(i int) {
	f.Helper()
	if err := f.servers[i].Kill(); err != nil {
		f.Fatal(err)
	}
	begun := time.Now()
	if err := f.servers[i].Start(f.Context()); err != nil {
		f.Fatal(err)
	}
	f.Logf("it answers %s after the start", time.Since(begun).Round(time.Millisecond))
}

// holdApplier keeps a server's applier from committing, until release.
func (f *trio) holdApplier(i int) (release func()) {
	f.Helper()
	conn := f.admin(i)
	if _, err := conn.ExecContext(f.Context(), "FLUSH TABLES app.rows WITH READ LOCK"); err != nil {
		f.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(f.Context(), "UNLOCK TABLES"); err != nil {
			f.Fatal(err)
		}
	}
}

// admin is a connection of root, app one of an application; both end with the test.
func (f *trio) admin(i int) *sql.Conn {
	f.Helper()
	return f.open(f.servers[i].AdminDSN() + "&multiStatements=true")
}

func (f *trio) app(i int) *sql.Conn {
	f.Helper()
	return f.login(i, f.users.App)
}

func (f *trio) login(i int, account local.Account) *sql.Conn {
	f.Helper()
	return f.open(fmt.Sprintf("%s:%s@tcp(%s)/?interpolateParams=true&multiStatements=true", account.Name, account.Password, f.servers[i].Address()))
}

func (f *trio) open(dsn string) *sql.Conn {
	f.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		f.Fatal(err)
	}
	conn, err := db.Conn(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { conn.Close(); db.Close() })
	return conn
}

func (f *trio) exec(i int, statements string, args ...any) {
	f.Helper()
	conn := f.admin(i)
	defer conn.Close()
	if _, err := conn.ExecContext(f.Context(), statements, args...); err != nil {
		f.Fatalf("server %d: %s: %v", i, statements, err)
	}
}

// background runs a statement and tells in which session.
func (f *trio) background(i int, statement string) (session string, ended <-chan error) {
	f.Helper()
	conn, done := f.admin(i), make(chan error, 1)
	session = scalar(f.T, conn, "SELECT CONNECTION_ID()")
	go func() {
		_, err := conn.ExecContext(f.Context(), statement)
		done <- err
	}()
	return session, done
}

func (f *trio) row() int64 { return f.rows.Add(1) }

func (f *trio) writeWith(ctx context.Context, conn *sql.Conn) (id int64, ended <-chan error) {
	id, done := f.row(), make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(ctx, "INSERT INTO app.rows VALUES (?)", id)
		done <- err
	}()
	return id, done
}

func (f *trio) write(i int) int64 {
	f.Helper()
	id, ended := f.writeWith(f.Context(), f.app(i))
	if err := <-ended; err != nil {
		f.Fatalf("write to server %d: %v", i, err)
	}
	return id
}

func (f *trio) writeAndWait(i int) (id int64, ended <-chan error) {
	f.Helper()
	id, ended = f.writeWith(f.Context(), f.app(i))
	f.eventually(i, "1", waits)
	return id, ended
}

func (f *trio) has(i int, id int64) bool {
	f.Helper()
	return f.value(i, "SELECT COUNT(*) FROM app.rows WHERE id = ?", id) == "1"
}

func (f *trio) arrives(i int, id int64) {
	f.Helper()
	f.eventually(i, "1", "SELECT COUNT(*) FROM app.rows WHERE id = ?", id)
}

// last is the newest transaction under the server's own UUID.
func (f *trio) last(i int) string {
	f.Helper()
	uuid := f.value(i, "SELECT @@server_uuid")
	for part := range strings.SplitSeq(f.value(i, "SELECT @@GLOBAL.gtid_executed"), ",") {
		if source, numbers, _ := strings.Cut(strings.TrimSpace(part), ":"); source == uuid {
			last := numbers[strings.LastIndexAny(numbers, ":-")+1:]
			return uuid + ":" + last
		}
	}
	f.Fatalf("server %d has written nothing", i)
	return ""
}

// binlog is the newest binary log as text, one event in a line.
func (f *trio) binlog(i int) string {
	f.Helper()
	rows, err := f.admin(i).QueryContext(f.Context(), "SHOW BINARY LOGS")
	if err != nil {
		f.Fatal(err)
	}
	files := columns(f.T, rows)
	events, err := f.admin(i).QueryContext(f.Context(), "SHOW BINLOG EVENTS IN '"+strings.Fields(files[len(files)-1])[0]+"'")
	if err != nil {
		f.Fatal(err)
	}
	return strings.Join(columns(f.T, events), "\n")
}

func columns(t *testing.T, rows *sql.Rows) (lines []string) {
	t.Helper()
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values := make([]sql.NullString, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		var line []string
		for _, v := range values {
			line = append(line, v.String)
		}
		lines = append(lines, strings.Join(line, " "))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

func (f *trio) value(i int, query string, args ...any) string {
	f.Helper()
	conn := f.admin(i)
	defer conn.Close()
	return scalar(f.T, conn, query, args...)
}

// scalar is the first column of the first row; empty when there is none.
func scalar(t *testing.T, conn *sql.Conn, query string, args ...any) string {
	t.Helper()
	var v sql.NullString
	if err := conn.QueryRowContext(t.Context(), query, args...).Scan(&v); err != nil && err != sql.ErrNoRows {
		t.Fatalf("%s: %v", query, err)
	}
	return v.String
}

func (f *trio) eventually(i int, want, query string, args ...any) {
	f.Helper()
	conn := f.admin(i)
	defer conn.Close()
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(20 * time.Second); scalar(f.T, conn, query, args...) != want; {
		select {
		case <-tick.C:
		case <-timeout:
			f.Fatalf("server %d: %s is %q and not %q", i, query, scalar(f.T, conn, query, args...), want)
		}
	}
}

// stays claims that something does not happen. Nothing announces that, so it looks for a while.
func (f *trio) stays(i int, want, query string, args ...any) {
	f.Helper()
	conn := f.admin(i)
	defer conn.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 60 {
		<-tick.C
		if got := scalar(f.T, conn, query, args...); got != want {
			f.Fatalf("server %d: %s became %q, it was %q", i, query, got, want)
		}
	}
}
