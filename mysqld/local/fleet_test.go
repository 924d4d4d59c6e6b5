package local

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"
)

// TestMain lets this program play the supervisor that is killed, see
// TestNoServerSurvivesAKilledSupervisor.
func TestMain(m *testing.M) {
	if play, asked := roles[os.Getenv("PRIMACY_TEST_ROLE")]; asked {
		play()
		return
	}
	goleak.VerifyTestMain(m)
}

// testBinary is a real server; without one these tests say nothing, so they fail.
func testBinary(t *testing.T) Binary {
	t.Helper()
	binary, err := Find("")
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

type testLog struct{ t *testing.T }

func (l testLog) Write(line []byte) (int, error) {
	l.t.Logf("%s", bytes.TrimSpace(line))
	return len(line), nil
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func startFleet(t *testing.T, spec Spec) *Fleet {
	t.Helper()
	if spec.Log == nil {
		spec.Log = testLog{t}
	}
	fleet, err := Start(deadline(t), testBinary(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fleet.Close(); err != nil {
			t.Error(err)
		}
	})
	return fleet
}

// connect opens one server as one of the fleet's accounts, over TCP as any
// client does.
func connect(t *testing.T, s *Server, account Account) *sql.DB {
	t.Helper()
	config := mysql.NewConfig()
	config.User, config.Passwd = account.Name, account.Password
	config.Net, config.Addr = "tcp", s.Address()
	config.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	return db
}

func admin(t *testing.T, s *Server) *sql.DB {
	t.Helper()
	db, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func do(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(deadline(t), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func read(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	var value sql.NullString
	if err := db.QueryRowContext(deadline(t), query).Scan(&value); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return value.String
}

// awaitValue waits until a query answers what is wanted.
func awaitValue(t *testing.T, db *sql.DB, query, want string) {
	t.Helper()
	var last string
	defer func() {
		if t.Failed() {
			t.Logf("the last answer was %s", last)
		}
	}()
	eventually(t, fmt.Sprintf("%s to answer %s", query, want), func() bool {
		var value sql.NullString
		if err := db.QueryRowContext(deadline(t), query).Scan(&value); err != nil {
			last = err.Error()
			return false
		}
		last = value.String
		return last == want
	})
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited 20 s for %s", what)
		}
	}
}

func errorNumber(err error) uint16 {
	if refused := (*mysql.MySQLError)(nil); errors.As(err, &refused) {
		return refused.Number
	}
	return 0
}

func TestTheFirstServerLeadsAndTheOthersAcknowledge(t *testing.T) {
	fleet := startFleet(t, Spec{})
	for _, s := range fleet.Servers {
		if executed := read(t, admin(t, s), "SELECT @@GLOBAL.gtid_executed"); executed != "" {
			t.Errorf("%s begins with transactions of its own: %s", s.Name, executed)
		}
	}
	primary := connect(t, fleet.Servers[0], fleet.Users.App)
	do(t, primary, "CREATE TABLE app.t (id INT PRIMARY KEY)", "INSERT INTO app.t VALUES (7)")
	if acked := read(t, admin(t, fleet.Servers[0]), "SELECT variable_value FROM performance_schema.global_status WHERE variable_name = 'Rpl_semi_sync_source_yes_tx'"); acked != "2" {
		t.Errorf("%s of 2 transactions were acknowledged", acked)
	}
	for _, s := range fleet.Servers[1:] {
		replica := connect(t, s, fleet.Users.App)
		awaitValue(t, replica, "SELECT MAX(id) FROM app.t", "7")
		if _, err := replica.ExecContext(deadline(t), "INSERT INTO app.t VALUES (8)"); errorNumber(err) != 1290 {
			t.Errorf("%s answered a write with %v, not with error 1290 (read only)", s.Name, err)
		}
	}
}

func TestReplicasAreKnownByTheAddressThatClientsUse(t *testing.T) {
	fleet := startFleet(t, Spec{Servers: 2})
	rows, err := admin(t, fleet.Servers[0]).QueryContext(deadline(t), "SHOW REPLICAS")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var id, port, source int
	var host, uuid string
	for rows.Next() {
		if err := rows.Scan(&id, &host, &port, &source, &uuid); err != nil {
			t.Fatal(err)
		}
	}
	if address := fmt.Sprintf("%s:%d", host, port); address != fleet.Servers[1].Address() {
		t.Errorf("the replica calls itself %s, clients call it %s", address, fleet.Servers[1].Address())
	}
}

func TestRootIsReachableThroughTheSocketOnly(t *testing.T) {
	fleet := startFleet(t, Spec{Servers: 1})
	err := connect(t, fleet.Servers[0], Account{Name: "root"}).PingContext(deadline(t))
	if number := errorNumber(err); number != 1045 && number != 1130 {
		t.Errorf("root without a password over TCP: %v", err)
	}
	if mode := must(os.Stat(fleet.Dir))(t).Mode().Perm(); mode&0o077 != 0 {
		t.Errorf("the directory with the sockets is open to others: %v", mode)
	}
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func TestPasswordsReachNeitherTheTemplateNorTheBinaryLog(t *testing.T) {
	fleet := startFleet(t, Spec{Servers: 2, Users: Users{App: Account{Password: "it's a \\ \"secret\""}}})
	if err := connect(t, fleet.Servers[1], fleet.Users.App).PingContext(deadline(t)); err != nil {
		t.Errorf("a password with quotes does not work: %v", err)
	}
	template, used, err := newTemplate(fleet.binary, Spec{Users: fleet.Users}).dir(deadline(t), testLog{t})
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	for _, root := range []string{template, filepath.Join(fleet.Servers[0].Dir, "my.cnf")} {
		refuseText(t, root, fleet.Users.Primacy.Password, fleet.Users.Replica.Password)
	}
	for _, log := range must(filepath.Glob(filepath.Join(fleet.Servers[0].dataPath(), "binlog.*")))(t) {
		refuseText(t, log, fleet.Users.Primacy.Password)
	}
}

func refuseText(t *testing.T, root string, texts ...string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		for _, text := range texts {
			if bytes.Contains(content, []byte(text)) {
				t.Errorf("%s holds a password", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAServerFitsInto200MB(t *testing.T) {
	begun := time.Now()
	fleet := startFleet(t, Spec{})
	t.Logf("three servers ready after %d ms", time.Since(begun).Milliseconds())
	do(t, connect(t, fleet.Servers[0], fleet.Users.App), "CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, v TEXT)",
		"INSERT INTO app.t (v) VALUES (REPEAT('x', 30000)), (REPEAT('y', 30000))")
	for range 7 {
		do(t, connect(t, fleet.Servers[0], fleet.Users.App), "INSERT INTO app.t (v) SELECT v FROM app.t")
	}
	want := read(t, admin(t, fleet.Servers[0]), "SELECT COUNT(*) FROM app.t")
	for _, s := range fleet.Servers {
		awaitValue(t, admin(t, s), "SELECT COUNT(*) FROM app.t", want)
		resident := residentKB(t, s.Pid())
		t.Logf("%s: %d MB resident", s.Name, resident/1024)
		if resident > 200*1024 {
			t.Errorf("%s takes %d MB", s.Name, resident/1024)
		}
	}
}

func residentKB(t *testing.T, pid int) (kb int) {
	t.Helper()
	status := string(must(os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)))(t))
	_, rest, _ := strings.Cut(status, "VmRSS:")
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	return kb
}

// The performance schema is cut down to fit; what the control plane reads must
// have stayed.
func TestTheSmallPerformanceSchemaStillShowsReplication(t *testing.T) {
	fleet := startFleet(t, Spec{Servers: 2})
	db := connect(t, fleet.Servers[1], fleet.Users.Primacy)
	rows := []struct{ name, query, want string }{
		{"receiver state", "SELECT service_state FROM performance_schema.replication_connection_status", "ON"},
		{"heartbeat interval", "SELECT heartbeat_interval BETWEEN 0.49 AND 0.51 FROM performance_schema.replication_connection_configuration", "1"},
		{"applier workers", "SELECT COUNT(*) FROM performance_schema.replication_applier_status_by_worker", "2"},
		{"sessions", "SELECT COUNT(*) > 0 FROM performance_schema.threads WHERE type = 'FOREGROUND' AND processlist_user = 'primacy'", "1"},
		{"what a session waits for", "SELECT processlist_state FROM performance_schema.threads WHERE name = 'thread/sql/replica_io'", "Waiting for source to send event"},
		{"a session's statement", "SELECT COUNT(*) > 0 FROM performance_schema.processlist WHERE info LIKE '%processlist%'", "1"},
		{"connection attributes", "SELECT COUNT(*) > 0 FROM performance_schema.session_connect_attrs WHERE attr_name = '_client_name'", "1"},
		{"metadata locks", "SELECT COUNT(*) > 0 FROM performance_schema.metadata_locks", "1"},
		{"global variables", "SELECT COUNT(*) > 0 FROM performance_schema.global_variables WHERE variable_name LIKE 'rpl_semi_sync%'", "1"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { awaitValue(t, db, row.query, row.want) })
	}
}

func TestAFailedStartShowsTheServersComplaintAndLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fleet")
	fleet, err := Start(deadline(t), testBinary(t), Spec{Dir: dir, Servers: 2, Options: map[string]string{"no_such_option": "1"}})
	if fleet != nil || err == nil {
		t.Fatal("a server with an unknown option started")
	}
	if !strings.Contains(err.Error(), "no_such_option") {
		t.Errorf("the error does not name the option: %v", err)
	}
	startFleet(t, Spec{Dir: dir, Servers: 2})
}

func TestOptionsReachTheServers(t *testing.T) {
	fleet := startFleet(t, Spec{
		Servers:   2,
		Names:     []string{"left", "right"},
		Options:   map[string]string{"max_connections": "77"},
		PerServer: func(i int) map[string]string { return map[string]string{"replica_net_timeout": fmt.Sprint(10 + i)} },
		Schema:    []string{"CREATE TABLE app.made_before (id INT)", "INSERT INTO\napp.made_before VALUES (3)"},
	})
	for i, s := range fleet.Servers {
		got := read(t, admin(t, s), "SELECT CONCAT_WS(' ', @@max_connections, @@replica_net_timeout, id) FROM app.made_before")
		if want := fmt.Sprintf("77 %d 3", 10+i); got != want {
			t.Errorf("%s: %s, want %s", s.Name, got, want)
		}
	}
	if base := filepath.Base(fleet.Servers[1].Dir); base != "right" {
		t.Errorf("the second server lives in %s", base)
	}
}

func TestAFleetInADirectoryTooDeepForASocketIsReached(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))
	fleet := startFleet(t, Spec{Dir: dir, Servers: 1})
	if got := read(t, admin(t, fleet.Servers[0]), "SELECT @@port"); got != fmt.Sprint(fleet.Servers[0].Port) {
		t.Errorf("reached port %s", got)
	}
}

func TestNamesThatCannotBeServersAreRefused(t *testing.T) {
	rows := []struct {
		name  string
		names []string
	}{
		{"leaving the directory", []string{"../x"}},
		{"twice the same", []string{"a", "a"}},
		{"the lock's own name", []string{"lock"}},
		{"hidden", []string{".x"}},
		{"empty", []string{""}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if _, err := (Spec{Names: row.names}).complete(); err == nil {
				t.Errorf("%q was accepted", row.names)
			}
		})
	}
}
