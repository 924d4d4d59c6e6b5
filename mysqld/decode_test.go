package mysqld_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// lone is one server on its own, whose binary log a test may fill and break off.
type lone struct {
	testing.TB
	server *local.Server
	users  local.Users
	fleet  *mysqld.Fleet
}

func loneServer(t testing.TB, options map[string]string) *lone {
	t.Helper()
	binary, err := local.Find("")
	if err != nil {
		t.Fatal(err)
	}
	servers, err := local.Start(t.Context(), binary, local.Spec{Servers: 1, Options: options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { servers.Close() })
	l := &lone{TB: t, server: servers.Servers[0], users: servers.Users}
	l.fleet = mysqld.NewFleet(mysqld.Settings{User: l.users.Primacy.Name, Password: constant(l.users.Primacy.Password), Elector: "decoder"})
	t.Cleanup(func() { l.fleet.Close() })
	return l
}

// run executes statements as root and returns what they added to gtid_executed.
func (l *lone) run(statements ...string) gtid.Set {
	l.Helper()
	conn := l.admin()
	defer conn.Close()
	before := gtid.MustParse(scalar(l, conn, "SELECT @@GLOBAL.gtid_executed"))
	for _, s := range statements {
		if _, err := conn.ExecContext(l.Context(), s); err != nil {
			l.Fatalf("%s: %v", s, err)
		}
	}
	return gtid.MustParse(scalar(l, conn, "SELECT @@GLOBAL.gtid_executed")).Subtract(before)
}

func (l *lone) admin() *sql.Conn {
	l.Helper()
	db, err := sql.Open("mysql", l.server.AdminDSN()+"&multiStatements=true")
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { db.Close() })
	conn, err := db.Conn(l.Context())
	if err != nil {
		l.Fatal(err)
	}
	return conn
}

// open lets clients in again after a start, which leaves the server closed.
func (l *lone) open() {
	l.Helper()
	l.run("SET GLOBAL rpl_semi_sync_source_enabled = OFF", "SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF", "SET GLOBAL offline_mode = OFF")
}

func (l *lone) decode(set gtid.Set, limits settle.Limits) settle.Transcript {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), 30*time.Second)
	defer cancel()
	t, err := l.fleet.Decode(ctx, topology.Address(l.server.Address()), set, limits)
	if err != nil {
		l.Fatal(err)
	}
	return t
}

const everyType = `(id INT UNSIGNED PRIMARY KEY, t TINYINT, tu TINYINT UNSIGNED, s SMALLINT, m MEDIUMINT UNSIGNED, b BIGINT, bu BIGINT UNSIGNED,
	d DECIMAL(30,10), f FLOAT, g DOUBLE, bits BIT(64), y YEAR, da DATE, ti TIME(6), dt DATETIME(3), ts TIMESTAMP(6) NULL,
	c CHAR(10) CHARACTER SET latin1, v VARCHAR(50) CHARACTER SET utf8mb4, big5 VARCHAR(50) CHARACTER SET big5, tx TEXT, bl BLOB, bi BINARY(8), vb VARBINARY(20),
	e ENUM('a','b','ü'), st SET('x','y','z'), j JSON, p POINT, vg INT AS (id + 1) VIRTUAL, sg INT AS (id * 2) STORED, UNIQUE KEY (sg))`

const allColumns = "id, t, tu, s, m, b, bu, d, f, g, bits, y, da, ti, dt, ts, c, v, big5, tx, bl, bi, vb, e, st, j, p"

var everyRow = []string{
	`(1, -128, 255, -32768, 16777215, -9223372036854775808, 18446744073709551615, -12345678901234567890.0123456789, 1.5e-10, 2.2250738585072014e-308,
	0xFFFFFFFFFFFFFFFF, 2155, '9999-12-31', '-838:59:58.000001', '1000-01-01 00:00:00.001', '2038-01-19 03:14:07.123456',
	'caf\u00e9', '🐬 it''s \\ "q"', '中文功', 'line\nbreak', X'00FF27', X'01', X'', 'ü', 'x,z', '{"a": [1, null, "é", 1.5], "b": true}', ST_GeomFromText('POINT(1 2)'))`,
	`(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
	`(3, 0, 0, 0, 0, 0, 0, 0, 0.1, 0.1, 0, 0, '2024-02-29', '00:00:00', '2024-02-29 12:00:00', '1970-01-01 00:00:01', '', '', '', '', '', '', '', 1, '', '[]', NULL)`,
}

func TestWhatIsExportedAsSQLDoesAgainWhatWasDone(t *testing.T) {
	for name, options := range map[string]map[string]string{
		"as MySQL is set up":                nil,
		"compressed, with names in the log": {"binlog_transaction_compression": "ON", "binlog_row_metadata": "FULL"},
	} {
		t.Run(name, func(t *testing.T) {
			l := loneServer(t, options)
			l.run("CREATE TABLE app.every "+everyType, "CREATE TABLE app.keyless (a INT, b VARCHAR(20))", "CREATE DATABASE copy",
				"CREATE TABLE copy.every LIKE app.every", "CREATE TABLE copy.keyless LIKE app.keyless",
				"CREATE TABLE app.mixed (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(50))", "CREATE TABLE copy.mixed LIKE app.mixed")
			set := l.run("INSERT INTO app.every ("+allColumns+") VALUES "+strings.ReplaceAll(strings.Join(everyRow, ", "), `\u00e9`, "é"),
				"UPDATE app.every SET v = CONCAT(v, ' changed'), ts = '2001-02-03 04:05:06', id = id + 10 WHERE id IN (1, 3) ORDER BY id DESC",
				"INSERT INTO app.keyless VALUES (1, 'one'), (2, NULL), (1, 'one')", "DELETE FROM app.keyless WHERE a = 1 LIMIT 1", "DELETE FROM app.every WHERE id = 2",
				"BEGIN", "INSERT INTO app.keyless VALUES (7, '''')", "UPDATE app.keyless SET a = 8 WHERE a = 7", "COMMIT",
				"CREATE TABLE app.made SELECT id, v FROM app.every", "SET SESSION binlog_format = 'MIXED'",
				"BEGIN", "INSERT INTO app.mixed (v) VALUES ('as text')", "INSERT INTO app.mixed (v) VALUES (UUID())", "UPDATE app.mixed SET v = CONCAT(v, ' too') WHERE id = 1",
				"SAVEPOINT here", "INSERT INTO app.mixed (v) VALUES (CONCAT('after ', LAST_INSERT_ID()))", "COMMIT")
			told := l.decode(set, settle.Limits{})
			if mixed := told.Transactions[len(told.Transactions)-1]; len(mixed.Logged) < 3 || len(mixed.Changes) == 0 || len(told.Lacking()) > 0 {
				t.Fatalf("the last one does not mix statements and rows, or more is said to be lacking: %+v", mixed)
			}
			if !told.Missing.IsEmpty() || told.Truncated || uint64(len(told.Transactions)) != set.Count() {
				t.Fatalf("%d transactions of %s, missing %s", len(told.Transactions), set, told.Missing)
			}
			if _, err := json.Marshal(told); err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if err := told.WriteSQL(&text); err != nil {
				t.Fatal(err)
			}
			l.run(strings.NewReplacer("`app`.", "`copy`.", "USE `app`", "USE `copy`", " app.", " copy.").Replace(text.String()))
			for _, table := range []string{"every", "keyless", "made", "mixed"} {
				conn := l.admin()
				mine, copied := checksum(t, conn, "app."+table), checksum(t, conn, "copy."+table)
				if mine != copied {
					t.Errorf("table %s differs after\n%s", table, text.String())
				}
			}
		})
	}
}

// TestWhatAnExportCannotTellIsSaid has a statement that takes the value of a user variable, which stands in the log as an event of its own.
func TestWhatAnExportCannotTellIsSaid(t *testing.T) {
	l := loneServer(t, nil)
	l.run("CREATE TABLE app.mixed (id INT PRIMARY KEY, v VARCHAR(50))")
	set := l.run("SET SESSION binlog_format = 'MIXED'", "SET @who = 'bob'", "BEGIN", "INSERT INTO app.mixed VALUES (1, @who)", "INSERT INTO app.mixed VALUES (2, UUID())", "COMMIT")
	told := l.decode(set, settle.Limits{})
	if lacking := told.Lacking(); len(lacking) != 1 || !slices.Equal(lacking[0].Lacks, []string{"UserVarEvent"}) {
		t.Fatalf("%+v", told.Transactions)
	}
	var text strings.Builder
	if err := told.WriteSQL(&text); err != nil || !strings.Contains(text.String(), "INCOMPLETE: "+set.String()+" holds more than is told") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

func checksum(t *testing.T, conn *sql.Conn, table string) (sum string) {
	t.Helper()
	var name string
	if err := conn.QueryRowContext(t.Context(), "CHECKSUM TABLE "+table).Scan(&name, &sum); err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestATranscriptTellsWhichProcessWroteWhatAndHowItEnded(t *testing.T) {
	l := loneServer(t, nil)
	l.run("CREATE TABLE app.rows (id INT PRIMARY KEY)")
	orderly := l.run("FLUSH BINARY LOGS", "INSERT INTO app.rows VALUES (1)", "FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
	if err := l.server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.open()
	broken := l.run("FLUSH BINARY LOGS", "INSERT INTO app.rows VALUES (2)")
	if err := l.server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := l.server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.open()
	alive, ready := l.run("INSERT INTO app.rows VALUES (3)"), time.Now()
	conn := l.admin()
	var logged float64
	if err := conn.QueryRowContext(t.Context(), "SELECT UNIX_TIMESTAMP(MAX(LOGGED)) FROM performance_schema.error_log WHERE ERROR_CODE = 'MY-010116'").Scan(&logged); err != nil {
		t.Fatal(err)
	}
	if started := l.fleet.Probe(t.Context(), topology.Address(l.server.Address())).StartedAt; time.UnixMicro(int64(logged*1e6)).Sub(started).Abs() > 1500*time.Millisecond {
		t.Errorf("it began at %s by its error log, and %s by its uptime", time.UnixMicro(int64(logged*1e6)), started)
	}
	for _, row := range []struct {
		what             string
		set              gtid.Set
		orderly, running bool
	}{{"a process that was stopped in order", orderly, true, false}, {"one that was killed", broken, false, false}, {"the one that runs", alive, false, true}} {
		told := l.decode(row.set, settle.Limits{})
		if len(told.Transactions) != 1 {
			t.Fatalf("%s: %+v", row.what, told)
		}
		p := told.Transactions[0].Process
		if !p.Known || p.StartedAt.IsZero() || p.Orderly != row.orderly || p.Running != row.running {
			t.Errorf("%s is told as %+v", row.what, p)
		}
		started := l.fleet.Probe(t.Context(), topology.Address(l.server.Address())).StartedAt
		if row.running && (p.StartedAt.Before(started.Add(-2*time.Second)) || p.StartedAt.After(ready)) { // it opens its binary log after what it recovers
			t.Errorf("%s: started at %s by its binary log and %s by its uptime, and answered at %s", row.what, p.StartedAt, started, ready)
		}
	}
}

func TestWhatTheBinaryLogNoLongerHoldsIsNamed(t *testing.T) {
	l := loneServer(t, nil)
	first := l.run("CREATE TABLE app.rows (id INT PRIMARY KEY)", "INSERT INTO app.rows VALUES (1)")
	second := l.run("FLUSH BINARY LOGS", "INSERT INTO app.rows VALUES (2), (3), (4)")
	conn := l.admin()
	l.run(fmt.Sprintf("PURGE BINARY LOGS TO '%s'", scalar(t, conn, "SELECT SUBSTRING_INDEX(log_file, '/', -1) FROM (SELECT JSON_UNQUOTE(JSON_EXTRACT(local, '$.binary_log_file')) AS log_file FROM performance_schema.log_status) x")))
	told := l.decode(first.Union(second), settle.Limits{Rows: 2})
	if !told.Missing.Equal(first) || len(told.Transactions) != 1 {
		t.Errorf("missing %s, %d transactions; purged were %s", told.Missing, len(told.Transactions), first)
	}
	if !told.Truncated || told.Rows != 3 || len(told.Transactions[0].Changes) != 2 {
		t.Errorf("of 3 rows with a limit of 2: %d told, %d counted", len(told.Transactions[0].Changes), told.Rows)
	}
}
