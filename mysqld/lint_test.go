package mysqld_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/topology"
)

// linted is a fleet with the settings of the pages, and what is broken on it.
type linted struct {
	*world
	rules topology.Ruleset
	usual map[topology.Address][]string // what is said of the fleet as it is
}

func newLinted(t *testing.T) *linted {
	t.Helper()
	w := &linted{world: newWorld(t, local.Spec{Servers: 2})}
	settings := w.settings()
	settings.ReplicationUser = w.local.Users.Replica.Name
	w.fleet = w.watching(settings)
	w.rules = topology.Ruleset{Number: 1, Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}}
	w.usual = make(map[topology.Address][]string)
	for _, a := range w.servers() {
		w.rules.Members = append(w.rules.Members, topology.Member{Address: a})
		for _, r := range w.remarks(a) {
			w.usual[a] = append(w.usual[a], r.Code)
		}
	}
	return w
}

// remarks are those on one server.
func (w *linted) remarks(a topology.Address) []topology.Remark {
	i := w.fleet.Inspect(w.Context(), a)
	return topology.Lint(w.rules, topology.LintLimits{}, []topology.Inspection{i})
}

// news are the remarks that the fleet as it was did not get.
func (w *linted) news(a topology.Address) (found []topology.Remark) {
	for _, r := range w.remarks(a) {
		if r.Server == a && !slices.Contains(w.usual[a], r.Code) {
			found = append(found, r)
		}
	}
	return found
}

func codes(remarks []topology.Remark) (all []string) {
	for _, r := range remarks {
		all = append(all, r.Code)
	}
	return all
}

// unlogged runs statements in one session that replicates nothing.
func (w *linted) unlogged(i int, statements ...string) {
	w.Helper()
	db := w.open(i)
	defer db.Close()
	session, err := db.Conn(context.Background())
	if err != nil {
		w.Fatal(err)
	}
	defer session.Close()
	w.exec(session, append([]string{"SET SESSION sql_log_bin = OFF"}, statements...)...)
}

// unwarned fails where more than notes are made of servers that have the settings of the pages.
func (w *linted) unwarned(t *testing.T) {
	for _, a := range w.servers() {
		i := w.fleet.Inspect(t.Context(), a)
		if len(i.Unread) > 0 {
			t.Errorf("%s: not read: %q", a, i.Unread)
		}
		for _, r := range w.remarks(a) {
			if r.Server == a && r.Severity != topology.SeverityInfo && r.Code != "disk" { // this machine's disk is not the fleet's doing
				t.Errorf("%+v", r)
			}
		}
		if i.Disk.Total == 0 {
			t.Errorf("%s: the disk of a server on this machine was not looked at", a)
		}
	}
	if said := strings.Join(w.usual[w.server(0)], " "); !strings.Contains(said, "unfenceable_accounts") {
		t.Errorf("nothing is said of root: %s", said)
	}
}

// brokenSettings are for a replica. Those that the linter mends have no cure.
var brokenSettings = []struct{ code, harm, cure string }{
	{"sync_binlog", "SET PERSIST sync_binlog = 0", ""},
	{"innodb_flush_log_at_trx_commit", "SET GLOBAL innodb_flush_log_at_trx_commit = 2", ""},
	{"binlog_format", "SET PERSIST_ONLY binlog_format = 'MIXED'", ""},
	{"binlog_row_image", "SET PERSIST binlog_row_image = 'MINIMAL'", ""},
	{"sync_relay_log", "SET PERSIST sync_relay_log = 10000", ""},
	{"replica_net_timeout", "SET PERSIST replica_net_timeout = 60", ""},
	{"relay_log_recovery", "SET PERSIST_ONLY relay_log_recovery = ON", ""},
	{"skip_replica_start", "SET PERSIST_ONLY skip_replica_start = OFF", ""},
	{"super_read_only_at_boot", "SET PERSIST_ONLY super_read_only = OFF", ""},
	{"log_replica_updates", "SET PERSIST_ONLY log_replica_updates = OFF", ""},
	{"replica_preserve_commit_order", "SET PERSIST_ONLY replica_preserve_commit_order = OFF", ""},
	{"rpl_semi_sync_source_enabled", "SET PERSIST_ONLY rpl_semi_sync_source_enabled = ON", ""},
	{"not_persisted", "SET GLOBAL sync_relay_log = 1; RESET PERSIST sync_relay_log", ""},
	{"binlog_expire_logs_seconds", "SET PERSIST binlog_expire_logs_seconds = 3600", "SET PERSIST binlog_expire_logs_seconds = 86400"},
	{"replica_exec_mode", "SET PERSIST replica_exec_mode = 'IDEMPOTENT'", "SET PERSIST replica_exec_mode = 'STRICT'"},
	{"replica_parallel_workers", "SET PERSIST replica_parallel_workers = 1", "SET PERSIST replica_parallel_workers = 2"},
	{"gtid_mode", "SET PERSIST gtid_mode = 'ON_PERMISSIVE'", "SET PERSIST gtid_mode = 'ON'"},
	{"other_channels", "CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'nowhere' FOR CHANNEL 'second'", "RESET REPLICA ALL FOR CHANNEL 'second'"},
	{"replication_filters", "STOP REPLICA SQL_THREAD; CHANGE REPLICATION FILTER REPLICATE_IGNORE_DB = (app)", "CHANGE REPLICATION FILTER REPLICATE_IGNORE_DB = (); START REPLICA SQL_THREAD"},
}

func TestEachBrokenSettingIsNamedAndWhatIsMendedOutlivesARestart(t *testing.T) {
	w := newLinted(t)
	t.Run("as the pages want them", w.unwarned)
	a := w.server(1)
	for _, r := range brokenSettings {
		t.Run(r.code, func(t *testing.T) {
			w.admin(1, strings.Split(r.harm, "; ")...)
			found := w.news(a)
			if got := codes(found); !slices.Equal(got, []string{r.code}) {
				t.Fatalf("after %s: %v", r.harm, got)
			}
			if !slices.Contains(topology.LintCodes(), r.code) {
				t.Errorf("%s is not listed", r.code)
			}
			if mends := found[0].Fix != nil; mends != (r.cure == "") {
				t.Fatalf("the linter mends it: %v", mends)
			}
			if r.cure != "" {
				w.admin(1, strings.Split(r.cure, "; ")...)
			} else if err := w.fleet.Persist(t.Context(), a, *found[0].Fix); err != nil {
				t.Fatal(err)
			}
			if got := w.news(a); len(got) > 0 {
				t.Errorf("still after it was mended: %+v", got)
			}
		})
	}
	if err := w.local.Servers[1].Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.news(a); len(got) > 0 {
		t.Errorf("after a restart: %+v", got)
	}
}

// brokenContents are for a primary.
var brokenContents = []struct{ code, harm, cure, names string }{
	{"tables_without_primary_key", "CREATE TABLE app.keyless (a INT)", "DROP TABLE app.keyless", "app.keyless"},
	{"tables_without_primary_key", "CREATE TABLE app.parted (a INT) PARTITION BY RANGE (a) SUBPARTITION BY HASH (a) SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN (9), PARTITION p1 VALUES LESS THAN (99))", "DROP TABLE app.parted", "key: 1 (app.parted)"},
	{"tables_without_primary_key", "CREATE TABLE app.one (a INT, UNIQUE KEY (a)) PARTITION BY HASH (a) PARTITIONS 3; CREATE TABLE app.two (a INT NOT NULL, b INT, UNIQUE KEY (a)) PARTITION BY HASH (a) PARTITIONS 3; CREATE TABLE app.three (a INT PRIMARY KEY) PARTITION BY HASH (a) PARTITIONS 3", "DROP TABLE app.one, app.two, app.three", "key: 1 (app.one)"},
	{"tables_without_transactions", "CREATE TABLE app.old (a INT PRIMARY KEY) ENGINE = MyISAM", "DROP TABLE app.old", "app.old (MyISAM)"},
	{"cascading_foreign_keys", "CREATE TABLE app.one (a INT PRIMARY KEY); CREATE TABLE app.many (a INT PRIMARY KEY, CONSTRAINT torn FOREIGN KEY (a) REFERENCES app.one (a) ON DELETE CASCADE)",
		"DROP TABLE app.many, app.one", "app.torn"},
	{"replication_account", "RENAME USER replica TO somebody", "RENAME USER somebody TO replica", "no replication account replica"},
	{"replication_account", "REVOKE REPLICATION SLAVE ON *.* FROM replica", "GRANT REPLICATION SLAVE ON *.* TO replica", "has no REPLICATION SLAVE"},
	{"grant_missing", "REVOKE RELOAD ON *.* FROM primacy", "GRANT RELOAD ON *.* TO primacy", "RELOAD ON *.*"},
	{"grant_optional", "REVOKE BACKUP_ADMIN ON *.* FROM primacy", "GRANT BACKUP_ADMIN ON *.* TO primacy", "BACKUP_ADMIN"},
}

func TestWhatTablesAndAccountsPermitIsNamed(t *testing.T) {
	w := newLinted(t)
	a := w.server(0)
	for _, r := range brokenContents {
		t.Run(r.harm, func(t *testing.T) {
			w.unlogged(0, strings.Split(r.harm, "; ")...)
			defer w.unlogged(0, strings.Split(r.cure, "; ")...)
			found := w.news(a)
			if got := codes(found); !slices.Equal(got, []string{r.code}) {
				t.Fatalf("got %v", got)
			}
			if !strings.Contains(found[0].Message, r.names) {
				t.Errorf("%q does not name %s", found[0].Message, r.names)
			}
		})
	}
	if got := w.news(a); len(got) > 0 {
		t.Errorf("after all was undone: %+v", got)
	}
	t.Run("partitions", w.partitions)
	t.Run("privileges that come by a role", w.byRoles)
	t.Run("what may not be read", w.unread)
	t.Run("a server that refuses or does not answer", w.unanswered)
}

// partitions are looked at by an account that may read no row.
func (w *linted) partitions(t *testing.T) {
	w.unlogged(0, "REVOKE SELECT ON *.* FROM primacy", "CREATE TABLE app.Bare (a INT) PARTITION BY HASH (a) PARTITIONS 3", "CREATE TABLE app.keyed (a INT PRIMARY KEY) PARTITION BY HASH (a) PARTITIONS 3")
	defer w.unlogged(0, "GRANT SELECT ON *.* TO primacy", "DROP TABLE app.Bare, app.keyed")
	if i := w.fleet.Inspect(t.Context(), w.server(0)); i.Keyless.Count != 1 || !slices.Equal(i.Keyless.Names, []string{"app.Bare"}) || len(i.Unread) > 0 {
		t.Errorf("%+v, not read: %q", i.Keyless, i.Unread)
	}
}

// byRoles compares what is said of the replication account with what a session of it may do.
func (w *linted) byRoles(t *testing.T) {
	w.unlogged(0, "CREATE ROLE reading, `outer`@`127.0.0.1`, idle", "GRANT REPLICATION SLAVE ON *.* TO reading", "GRANT reading TO `outer`@`127.0.0.1`", "REVOKE REPLICATION SLAVE ON *.* FROM replica")
	defer w.unlogged(0, "GRANT REPLICATION SLAVE ON *.* TO replica", "DROP ROLE reading, `outer`@`127.0.0.1`, idle")
	for _, row := range []struct {
		name, harm, cure string
		may              bool
	}{
		{"no role", "DO 0", "DO 0", false},
		{"a role that is not active at login", "GRANT reading TO replica", "REVOKE reading FROM replica", false},
		{"a default role", "GRANT reading TO replica; SET DEFAULT ROLE reading TO replica", "REVOKE reading FROM replica", true},
		{"another default role", "GRANT reading, idle TO replica; SET DEFAULT ROLE idle TO replica", "REVOKE reading, idle FROM replica", false},
		{"a role within a default role", "GRANT `outer`@`127.0.0.1` TO replica; SET DEFAULT ROLE `outer`@`127.0.0.1` TO replica", "REVOKE `outer`@`127.0.0.1` FROM replica", true},
		{"any role, where all are active at login", "GRANT reading TO replica; SET GLOBAL activate_all_roles_on_login = ON", "REVOKE reading FROM replica; SET GLOBAL activate_all_roles_on_login = OFF", true},
		{"a mandatory role", "SET GLOBAL mandatory_roles = 'reading'", "SET GLOBAL mandatory_roles = ''", true},
		{"a mandatory role beside a default one", "SET GLOBAL mandatory_roles = '`reading`@`%`'; GRANT idle TO replica; SET DEFAULT ROLE idle TO replica", "SET GLOBAL mandatory_roles = ''; REVOKE idle FROM replica", true},
		{"another mandatory role", "SET GLOBAL mandatory_roles = 'idle'", "SET GLOBAL mandatory_roles = ''", false},
		{"a mandatory role, where all are active at login", "SET GLOBAL mandatory_roles = 'idle, `outer`@`127.0.0.1`', GLOBAL activate_all_roles_on_login = ON", "SET GLOBAL mandatory_roles = '', GLOBAL activate_all_roles_on_login = OFF", true},
		{"a mandatory role that is a default one", "SET GLOBAL mandatory_roles = 'reading'; SET DEFAULT ROLE reading TO replica", "SET GLOBAL mandatory_roles = ''", true},
		{"a default role that is mandatory no longer", "DO 0", "SET DEFAULT ROLE NONE TO replica", false},
	} {
		w.unlogged(0, strings.Split(row.harm, "; ")...)
		if got := w.mayReplicate(t); got != row.may {
			t.Errorf("%s: MySQL lets it replicate: %t", row.name, got)
		}
		i := w.fleet.Inspect(t.Context(), w.server(0))
		if said := slices.Contains(codes(w.remarks(w.server(0))), "replication_account"); said == row.may || len(i.Unread) > 0 {
			t.Errorf("%s: it is said that it may not: %t; not read: %q", row.name, said, i.Unread)
		}
		w.unlogged(0, strings.Split(row.cure, "; ")...)
	}
}

// mayReplicate asks for something that takes the privilege, and nothing else, in a session of the replication account.
func (w *linted) mayReplicate(t *testing.T) bool {
	t.Helper()
	replica := w.local.Users.Replica
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)/", replica.Name, replica.Password, w.server(0)))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "SHOW REPLICAS")
	if err == nil {
		return rows.Close() == nil
	}
	if denied := new(mysql.MySQLError); !errors.As(err, &denied) || denied.Number != 1227 {
		t.Fatal(err)
	}
	return false
}

// unread fails where silence would read as praise.
func (w *linted) unread(t *testing.T) {
	for harm, cure := range map[string]string{
		"REVOKE SHOW VIEW ON *.* FROM primacy":                                                           "GRANT SHOW VIEW ON *.* TO primacy",
		"REVOKE SELECT (User, Host, Super_priv, Repl_slave_priv) ON mysql.user FROM primacy":             "GRANT SELECT (User, Host, Super_priv, Repl_slave_priv) ON mysql.user TO primacy",
		"REVOKE SELECT ON mysql.role_edges FROM primacy; REVOKE REPLICATION SLAVE ON *.* FROM replica":   "GRANT SELECT ON mysql.role_edges TO primacy; GRANT REPLICATION SLAVE ON *.* TO replica",
		"CREATE TABLE app.old (a INT PRIMARY KEY) ENGINE = MyISAM; REVOKE SHOW VIEW ON *.* FROM primacy": "DROP TABLE app.old; GRANT SHOW VIEW ON *.* TO primacy",
	} {
		w.unlogged(0, append([]string{"REVOKE SELECT ON *.* FROM primacy"}, strings.Split(harm, "; ")...)...)
		if i := w.fleet.Inspect(t.Context(), w.server(0)); len(i.Unread) == 0 {
			t.Errorf("%s: all was read: %+v", harm, i)
		}
		w.unlogged(0, append([]string{"GRANT SELECT ON *.* TO primacy"}, strings.Split(cure, "; ")...)...)
	}
}

func (w *linted) unanswered(t *testing.T) {
	settings := w.settings()
	settings.Password = func() (string, error) { return "wrong", nil }
	w.fleet = w.watching(settings)
	if got := codes(w.remarks(w.server(0))); !slices.Contains(got, "server_denied") {
		t.Errorf("a wrong password: %v", got)
	}
	if err := w.local.Servers[1].Kill(); err != nil {
		t.Fatal(err)
	}
	if got := codes(w.remarks(w.server(1))); !slices.Contains(got, "server_unreachable") {
		t.Errorf("a dead server: %v", got)
	}
}

func TestNothingIsSetThatIsNotOnTheList(t *testing.T) {
	fleet := mysqld.NewFleet(mysqld.Settings{})
	defer fleet.Close()
	for _, fix := range []topology.Fix{
		{Variable: "gtid_mode", Value: "OFF"}, {Variable: "read_only", Value: "OFF"}, {Variable: "sync_binlog", Value: "1, GLOBAL read_only = OFF"}, {},
	} {
		if err := fleet.Persist(t.Context(), "127.0.0.1:1", fix); err == nil || !strings.Contains(fmt.Sprint(err), "not among the settings") {
			t.Errorf("%+v: %v", fix, err)
		}
	}
}
