package integration_test

// What the undoing of errant transactions stands on: BINLOG, empty binary logs, what a log tells of the
// process that wrote it.

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/primacydb/primacy/mysqld/binlog"
)

// logged is the newest binary log of a server, one raw event after the other, without checksums.
func (f *trio) logged(i int) (raw [][]byte, events []*replication.BinlogEvent) {
	f.Helper()
	rows, err := f.admin(i).QueryContext(f.Context(), "SHOW BINARY LOGS")
	if err != nil {
		f.Fatal(err)
	}
	files := columns(f.T, rows)
	return f.loggedIn(i, strings.Fields(files[len(files)-1])[0])
}

func (f *trio) loggedIn(i int, file string) (raw [][]byte, events []*replication.BinlogEvent) {
	f.Helper()
	path := filepath.Join(f.servers[i].Dir, "data", file)
	err := replication.NewBinlogParser().ParseFile(path, 0, func(e *replication.BinlogEvent) error {
		raw = append(raw, e.RawData[:len(e.RawData)-replication.BinlogChecksumLength])
		events = append(events, e)
		return nil
	})
	if err != nil {
		f.Fatal(err)
	}
	return raw, events
}

// undoing is what undoes the last row event of a server's log: the statement that BINLOG needs first, and
// the one that undoes it.
func (f *trio) undoing(i int) (format, undo string) {
	f.Helper()
	raw, events := f.logged(i)
	var table []byte
	for n, e := range events {
		switch e.Header.EventType {
		case replication.FORMAT_DESCRIPTION_EVENT:
			format = binlog.Statement(binlog.Format(raw[n]))
		case replication.TABLE_MAP_EVENT:
			table = raw[n]
		case replication.WRITE_ROWS_EVENTv2, replication.UPDATE_ROWS_EVENTv2, replication.DELETE_ROWS_EVENTv2:
			inverse, _, err := binlog.Invert(table, raw[n])
			if err != nil {
				f.Fatal(err)
			}
			undo = binlog.Statement(table, inverse)
		}
	}
	return format, undo
}

func (f *trio) run(conn *sql.Conn, statements ...string) {
	f.Helper()
	for _, statement := range statements {
		if _, err := conn.ExecContext(f.Context(), statement); err != nil {
			f.Fatalf("%s: %v", statement, err)
		}
	}
}

// automatic is what a session had before BINLOG was told the format of the log.
const automatic = "SET SESSION gtid_next = 'AUTOMATIC'"

// settler gives Primacy's account what settling takes.
func (f *trio) settler(i int) *sql.Conn {
	f.Helper()
	f.exec(i, "SET SESSION sql_log_bin = 0; SET GLOBAL super_read_only = OFF; GRANT BINLOG_ADMIN ON *.* TO "+f.users.Primacy.Name)
	return f.login(i, f.users.Primacy)
}

func TestFactsAboutUndoing(t *testing.T) {
	f := threeServers(t)

	f.fact("E25: BINLOG needs BINLOG_ADMIN and no right to the table, and is obeyed under read_only and offline_mode, not under super_read_only", func(f *trio) {
		id := f.write(0)
		format, undo := f.undoing(0)
		f.exec(0, "REVOKE BINLOG_ADMIN ON *.* FROM "+f.users.Primacy.Name)
		without := f.login(0, f.users.Primacy)
		if _, err := without.ExecContext(f.Context(), format); errno(err) != 1227 {
			f.Errorf("without BINLOG_ADMIN: %v; expected 1227", err)
		}
		conn := f.settler(0)
		f.exec(0, "SET GLOBAL offline_mode = ON; SET GLOBAL super_read_only = ON")
		f.run(conn, "SET SESSION sql_log_bin = 0", format, automatic)
		if _, err := conn.ExecContext(f.Context(), undo); errno(err) != 1290 {
			f.Errorf("under super_read_only: %v; expected 1290", err)
		}
		f.exec(0, "SET GLOBAL super_read_only = OFF")
		if now := f.value(0, "SELECT @@GLOBAL.read_only"); now != "1" {
			f.Fatalf("read_only is %s", now)
		}
		f.run(conn, undo)
		if f.has(0, id) {
			f.Error("the row is still there")
		}
	})

	f.fact("E25: after the log's format the session needs its gtid_next again, or every statement is refused with 1782", func(f *trio) {
		conn := f.settler(0)
		f.write(0)
		format, undo := f.undoing(0)
		f.run(conn, "SET SESSION sql_log_bin = 0", format)
		if _, err := conn.ExecContext(f.Context(), undo); errno(err) != 1782 {
			f.Errorf("without it: %v; expected 1782", err)
		}
		f.run(conn, automatic, undo)
	})

	f.fact("E25: with sql_log_bin=0 it leaves no GTID and nothing in the log", func(f *trio) {
		conn := f.settler(0)
		f.write(0)
		format, undo := f.undoing(0)
		const state = "SELECT @@GLOBAL.gtid_executed"
		before, lines := f.value(0, state), f.binlog(0)
		f.run(conn, "SET SESSION sql_log_bin = 0", format, automatic, undo)
		if now := f.value(0, state); now != before {
			f.Errorf("gtid_executed went from %s to %s", before, now)
		}
		if f.binlog(0) != lines {
			f.Error("the log has grown")
		}
	})

	f.fact("E25: it is part of a transaction: ROLLBACK, and the end of the session, take it back", func(f *trio) {
		conn := f.settler(0)
		id := f.write(0)
		format, undo := f.undoing(0)
		f.run(conn, "SET SESSION sql_log_bin = 0", format, automatic, "BEGIN", undo)
		if n := scalar(f.T, conn, "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = CONNECTION_ID()"); n != "1" {
			f.Error("there is no transaction any more")
		}
		f.run(conn, "ROLLBACK")
		if !f.has(0, id) {
			f.Error("ROLLBACK did not bring the row back")
		}
		f.run(conn, "BEGIN", undo)
		conn.Close()
		f.eventually(0, "1", "SELECT COUNT(*) FROM app.rows WHERE id = ?", id)
	})

	f.fact("E25: rows that are not as expected are errors: 1032 where one is missing, 1062 where there is one already", func(f *trio) {
		conn := f.settler(0)
		f.write(0)
		format, undo := f.undoing(0)
		f.run(conn, "SET SESSION sql_log_bin = 0", format, automatic, undo)
		if _, err := conn.ExecContext(f.Context(), undo); errno(err) != 1032 {
			f.Errorf("undone twice: %v; expected 1032", err)
		}
		id := f.write(0)
		f.exec(0, "DELETE FROM app.rows WHERE id = ?", id)
		format, undo = f.undoing(0)
		f.run(conn, format, automatic, undo)
		if _, err := conn.ExecContext(f.Context(), undo); errno(err) != 1062 {
			f.Errorf("inserted twice: %v; expected 1062", err)
		}
	})

	f.fact("E25: no trigger fires", func(f *trio) {
		conn := f.settler(0)
		f.exec(0, "CREATE TABLE app.gone (id BIGINT); CREATE TRIGGER app.note AFTER DELETE ON app.rows FOR EACH ROW INSERT INTO app.gone VALUES (OLD.id)")
		f.write(0)
		format, undo := f.undoing(0)
		f.run(conn, "SET SESSION sql_log_bin = 0", format, automatic, undo)
		if n := f.value(0, "SELECT COUNT(*) FROM app.gone"); n != "0" {
			f.Errorf("%s rows were noted", n)
		}
		f.exec(0, "DROP TRIGGER app.note; DROP TABLE app.gone")
	})

	f.fact("E27: offline_mode cuts who lacks CONNECTION_ADMIN, and neither Primacy nor its next session", func(f *trio) {
		before, app := f.login(0, f.users.Primacy), f.app(0)
		f.exec(0, "SET GLOBAL offline_mode = ON")
		if _, err := app.ExecContext(f.Context(), "SELECT 1"); err == nil {
			f.Error("the application's session lives on")
		}
		f.run(before, "SELECT 1")
		f.run(f.login(0, f.users.Primacy), "SELECT 1")
	})
}

func TestFactsAboutCascades(t *testing.T) {
	f := threeServers(t)
	f.exec(0, "CREATE TABLE app.parents (id INT PRIMARY KEY); CREATE TABLE app.children (id INT PRIMARY KEY, parent INT, "+
		"FOREIGN KEY (parent) REFERENCES app.parents (id) ON DELETE CASCADE ON UPDATE SET NULL)")

	f.fact("E30: since 9.6 what a foreign key deletes stands in the log, before its parent, unless InnoDB is to do it", func(f *trio) {
		if f.value(0, "SELECT @@version REGEXP '^(8|9[.][0-5])[.]'") == "1" {
			return // before, InnoDB does it, without a trace in the log
		}
		f.exec(0, "INSERT INTO app.parents VALUES (1); INSERT INTO app.children VALUES (10, 1), (11, 1); DELETE FROM app.parents WHERE id = 1")
		_, events := f.logged(0)
		var deleted []string
		for _, e := range events {
			if rows, ok := e.Event.(*replication.RowsEvent); ok && rows.Type() == replication.EnumRowsEventTypeDelete {
				for _, row := range rows.Rows {
					deleted = append(deleted, fmt.Sprintf("%s %v", rows.Table.Table, row[0]))
				}
			}
		}
		if got := strings.Join(deleted, ", "); got != "children 10, children 11, parents 1" {
			f.Errorf("deleted in the log: %s", got)
		}
		if native := f.value(0, "SELECT @@GLOBAL.innodb_native_foreign_keys"); native != "0" {
			f.Errorf("innodb_native_foreign_keys is %s", native)
		}
	})
}

func TestFactsAboutEmptiedLogs(t *testing.T) {
	f := threeServers(t)
	const executed = "SELECT @@GLOBAL.gtid_executed"
	expect := func(f *trio, what, want string) {
		f.Helper()
		if got := f.value(2, executed); got != want {
			f.Errorf("%s gtid_executed is %q and not %q", what, got, want)
		}
	}

	f.fact("E26: a server that is closed to everybody is emptied, and told what it has executed", func(f *trio) {
		f.exec(2, "STOP REPLICA; RESET REPLICA ALL; SET GLOBAL super_read_only = ON")
		before := f.value(2, executed)
		conn := f.login(2, f.users.Primacy)
		f.run(conn, "RESET BINARY LOGS AND GTIDS")
		expect(f, "after RESET", "")
		f.run(conn, "SET GLOBAL gtid_purged = '"+before+"'")
		expect(f, "with gtid_purged", before)
		f.crash(2)
		expect(f, "after a crash", before)
	})

	f.fact("E26: in between, also over a crash, it is empty by its own word and full of rows", func(f *trio) {
		f.exec(2, "STOP REPLICA; RESET REPLICA ALL")
		before := f.value(2, executed)
		f.exec(2, "RESET BINARY LOGS AND GTIDS")
		f.crash(2)
		expect(f, "after RESET and a crash", "")
		if f.value(2, "SELECT COUNT(*) > 0 FROM app.rows") != "1" {
			f.Error("its rows are gone")
		}
		f.exec(2, "SET GLOBAL gtid_purged = '"+before+"'")
	})
}

func TestFactsAboutProcesses(t *testing.T) {
	f := threeServers(t)

	f.fact("E29: a file that begins a process says when, and one that ends in order ends with STOP", func(f *trio) {
		files := func() (told []string) {
			rows, err := f.admin(2).QueryContext(f.Context(), "SHOW BINARY LOGS")
			if err != nil {
				f.Fatal(err)
			}
			for _, line := range columns(f.T, rows) {
				_, events := f.loggedIn(2, strings.Fields(line)[0])
				began := "goes on"
				if events[0].Event.(*replication.FormatDescriptionEvent).CreateTimestamp != 0 {
					began = "begins"
				}
				ends := "open"
				switch events[len(events)-1].Header.EventType {
				case replication.STOP_EVENT:
					ends = "stop"
				case replication.ROTATE_EVENT:
					ends = "rotate"
				}
				told = append(told, began+"…"+ends)
			}
			return told
		}
		f.exec(2, "FLUSH BINARY LOGS")
		f.crash(2)
		if err := f.servers[2].Restart(f.Context()); err != nil {
			f.Fatal(err)
		}
		want := []string{"begins…rotate", "goes on…open", "begins…stop", "begins…open"}
		if got := files(); !slices.Equal(got, want) {
			f.Errorf("after FLUSH, kill -9 and a shutdown the files are %v and not %v", got, want)
		}
	})
}
