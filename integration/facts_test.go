package integration_test

// The design stands on what MySQL does in corners that its manual says little about. Each such fact is
// shown here on a real server, so that a version that behaves differently is noticed before it is
// trusted. A failure here is no bug of Primacy: it is a reason to think again.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

const waits = "SELECT COUNT(*) FROM performance_schema.threads WHERE name = 'thread/sql/one_connection' AND processlist_state LIKE 'Waiting for semi-sync ACK%'"

// locked counts the waits for a lock on a row. innodb_trx would show them too, and is not refreshed for who asks often.
const locked = "SELECT COUNT(*) FROM performance_schema.data_lock_waits"

func TestFactsAboutCommitsThatWait(t *testing.T) {
	f := threeServers(t)

	f.fact("E1: without ackers a commit hangs, invisible, in the binary log and not in gtid_executed", func(f *trio) {
		f.stopAckers()
		before := f.value(0, "SELECT @@GLOBAL.gtid_executed")
		id, _ := f.writeAndWait(0)
		if f.has(0, id) {
			f.Error("the row is visible")
		}
		if now := f.value(0, "SELECT @@GLOBAL.gtid_executed"); now != before {
			f.Errorf("gtid_executed went from %s to %s", before, now)
		}
		owned, _, _ := strings.Cut(f.value(0, "SELECT @@GLOBAL.gtid_owned"), "#")
		if owned == "" || !strings.Contains(f.binlog(0), owned) {
			f.Errorf("%q is not in the binary log", owned)
		}
	})

	f.fact("E1: it waits on after its client has left", func(f *trio) {
		f.stopAckers()
		ctx, leave := context.WithCancel(f.Context())
		_, ended := f.writeWith(ctx, f.app(0))
		f.eventually(0, "1", waits)
		leave()
		<-ended
		f.stays(0, "1", waits)
	})

	f.fact("E2: KILL cuts its client and does not end it; acknowledgements complete it", func(f *trio) {
		f.stopAckers()
		id, ended := f.writeAndWait(0)
		f.exec(0, "KILL "+f.value(0, "SELECT processlist_id FROM performance_schema.threads WHERE name = 'thread/sql/one_connection' AND processlist_state LIKE 'Waiting for semi-sync ACK%'"))
		if <-ended == nil {
			f.Error("the client heard OK")
		}
		f.stays(0, "1", waits)
		f.startAckers()
		f.eventually(0, "0", waits)
		f.arrives(0, id)
		f.arrives(1, id)
	})

	f.fact("E2: the performance schema shows a killed session like any other", func(f *trio) {
		f.stopAckers()
		_, ended := f.writeAndWait(0)
		f.exec(0, "KILL "+f.value(0, "SELECT processlist_id FROM performance_schema.threads WHERE name = 'thread/sql/one_connection' AND processlist_state LIKE 'Waiting for semi-sync ACK%'"))
		<-ended
		if command := f.value(0, "SELECT processlist_command FROM performance_schema.threads WHERE name = 'thread/sql/one_connection' AND processlist_state LIKE 'Waiting for semi-sync ACK%'"); command != "Query" {
			f.Errorf("it shows as %q: whoever kills need no longer remember it", command)
		}
	})

	f.fact("E1: commits behind the first one queue, and do not count as waiting", func(f *trio) {
		f.stopAckers()
		f.writeAndWait(0)
		f.writeWith(f.Context(), f.app(0))
		f.eventually(0, "1", "SELECT COUNT(*) FROM performance_schema.threads WHERE name = 'thread/sql/one_connection' AND processlist_state = 'waiting for handler commit'")
		f.stays(0, "1", "SELECT variable_value FROM performance_schema.global_status WHERE variable_name = 'Rpl_semi_sync_source_wait_sessions'")
	})

	f.fact("E3: super_read_only hangs behind it, reads 1 meanwhile, and new writes queue", func(f *trio) {
		f.stopAckers()
		f.writeAndWait(0)
		closing, ended := f.background(0, "SET GLOBAL super_read_only = ON")
		f.eventually(0, "1", "SELECT @@GLOBAL.super_read_only")
		_, queued := f.writeWith(f.Context(), f.app(0))
		f.eventually(0, "Waiting for global read lock", "SELECT processlist_state FROM performance_schema.threads WHERE processlist_id = ?", closing)
		f.exec(0, "KILL QUERY "+closing)
		if err := <-ended; errno(err) != 1317 {
			f.Errorf("it ended with %v; expected 1317, interrupted", err)
		}
		f.eventually(0, "0", "SELECT @@GLOBAL.super_read_only")
		f.startAckers()
		if err := <-queued; err != nil {
			f.Errorf("the write that queued: %v", err)
		}
	})

	f.fact("E3: lock_wait_timeout makes it give up by itself and leaves nothing behind", func(f *trio) {
		f.stopAckers()
		f.writeAndWait(0)
		_, ended := f.background(0, "SET SESSION lock_wait_timeout = 1; SET GLOBAL super_read_only = ON")
		if err := <-ended; errno(err) != 1205 {
			f.Errorf("it ended with %v; expected 1205, lock wait timeout", err)
		}
		if now := f.value(0, "SELECT CONCAT(@@GLOBAL.read_only, @@GLOBAL.super_read_only)"); now != "00" {
			f.Errorf("read_only and super_read_only are %s", now)
		}
	})

	f.fact("E10: switching the source side off completes it without an acknowledgement", func(f *trio) {
		f.stopAckers()
		id, ended := f.writeAndWait(0)
		f.exec(0, "SET GLOBAL rpl_semi_sync_source_enabled = OFF")
		if err := <-ended; err != nil {
			f.Errorf("the client heard %v", err)
		}
		if f.has(1, id) || f.has(2, id) {
			f.Error("a replica has it")
		}
	})

	f.fact("E10b: offline_mode, super_read_only, source side off: no client hears OK", func(f *trio) {
		f.stopAckers()
		id, ended := f.writeAndWait(0)
		f.exec(0, "SET GLOBAL offline_mode = ON")
		if <-ended == nil {
			f.Error("the client heard OK")
		}
		closing, closed := f.background(0, "SET GLOBAL super_read_only = ON")
		f.eventually(0, "Waiting for global read lock", "SELECT processlist_state FROM performance_schema.threads WHERE processlist_id = ?", closing)
		f.exec(0, "SET GLOBAL rpl_semi_sync_source_enabled = OFF")
		if err := <-closed; err != nil {
			f.Errorf("super_read_only: %v", err)
		}
		if !f.has(0, id) || f.has(1, id) {
			f.Error("expected the row on the primary alone")
		}
	})

	f.fact("E24: it keeps its row locked: who writes the row again waits, and gives up with 1205", func(f *trio) {
		f.stopAckers()
		id, _ := f.writeAndWait(0)
		_, again := f.background(0, fmt.Sprintf("SET SESSION innodb_lock_wait_timeout = 1; INSERT INTO app.rows VALUES (%d)", id))
		if err := <-again; errno(err) != 1205 {
			f.Errorf("it ended with %v; expected 1205, lock wait timeout", err)
		}
		f.stays(0, "1", waits)
	})

	f.fact("E24: once it is complete, who waits for its row hears 1062", func(f *trio) {
		f.stopAckers()
		id, ended := f.writeAndWait(0)
		_, again := f.background(0, fmt.Sprintf("INSERT INTO app.rows VALUES (%d)", id))
		f.eventually(0, "1", locked)
		f.startAckers()
		if err := <-ended; err != nil {
			f.Errorf("the client heard %v", err)
		}
		if err := <-again; errno(err) != 1062 {
			f.Errorf("who wrote it again heard %v; expected 1062, duplicate entry", err)
		}
	})

	f.fact("E24: KILL and offline_mode end the wait for the row, and super_read_only waits for it", func(f *trio) {
		f.stopAckers()
		id, _ := f.writeAndWait(0)
		insert := fmt.Sprintf("INSERT INTO app.rows VALUES (%d)", id)
		session, again := f.background(0, insert)
		f.eventually(0, "1", locked)
		closing, closed := f.background(0, "SET GLOBAL super_read_only = ON")
		f.eventually(0, "Waiting for global read lock", "SELECT processlist_state FROM performance_schema.threads WHERE processlist_id = ?", closing)
		f.exec(0, "KILL QUERY "+session)
		if err := <-again; errno(err) != 1317 {
			f.Errorf("it ended with %v; expected 1317, interrupted", err)
		}
		f.exec(0, "KILL QUERY "+closing)
		<-closed
		app := f.app(0)
		ended := make(chan error, 1)
		go func() { _, err := app.ExecContext(f.Context(), insert); ended <- err }()
		f.eventually(0, "1", locked)
		f.exec(0, "SET GLOBAL offline_mode = ON")
		if err := <-ended; err == nil || errno(err) == 1062 {
			f.Errorf("the client heard %v; expected that it is cut off", err)
		}
	})

	f.fact("T6, T7: an ack count of 65535 holds it although ackers are back; the old count lets it go with OK", func(f *trio) {
		f.stopAckers()
		_, ended := f.writeAndWait(0)
		f.exec(0, "SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 65535")
		f.startAckers()
		f.awaitReceivers()
		f.stays(0, "1", waits)
		f.exec(0, "SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 1")
		if err := <-ended; err != nil {
			f.Errorf("the client heard %v", err)
		}
	})

	f.fact("T8: offline_mode returns at once, and replicas cannot connect again", func(f *trio) {
		f.stopAckers()
		f.writeAndWait(0)
		begun := time.Now()
		f.exec(0, "SET GLOBAL offline_mode = ON")
		f.Logf("offline_mode after %s", time.Since(begun))
		f.exec(1, "START REPLICA IO_THREAD")
		f.eventually(1, "3032", "SELECT last_error_number FROM performance_schema.replication_connection_status")
	})
}

func TestFactsAboutRestarts(t *testing.T) {
	f := threeServers(t)

	f.fact("E4: a crash completes what nobody acknowledged, and semi-sync is off afterwards", func(f *trio) {
		f.stopAckers()
		id, _ := f.writeAndWait(0)
		owned, _, _ := strings.Cut(f.value(0, "SELECT @@GLOBAL.gtid_owned"), "#")
		f.crash(0)
		if !f.has(0, id) {
			f.Error("the row is gone")
		}
		if f.value(0, "SELECT GTID_SUBSET(?, @@GLOBAL.gtid_executed)", owned) != "1" {
			f.Errorf("%s is not in gtid_executed", owned)
		}
		if now := f.value(0, "SELECT CONCAT(@@GLOBAL.rpl_semi_sync_source_enabled, @@GLOBAL.read_only)"); now != "00" {
			f.Errorf("semi-sync source and read_only are %s", now)
		}
	})

	f.fact("E16: a stopped receiver comes back with a restart, and acknowledges", func(f *trio) {
		f.exec(2, "STOP REPLICA IO_THREAD")
		f.exec(1, "STOP REPLICA IO_THREAD")
		_, ended := f.writeAndWait(0)
		f.crash(1)
		if err := <-ended; err != nil {
			f.Errorf("the commit did not complete: %v", err)
		}
	})

	f.fact("E16: SET PERSIST_ONLY skip_replica_start keeps it stopped", func(f *trio) {
		f.exec(1, "SET PERSIST_ONLY skip_replica_start = ON; STOP REPLICA IO_THREAD")
		f.crash(1)
		f.stays(1, "OFF", "SELECT service_state FROM performance_schema.replication_connection_status")
	})
}

func TestFactsAboutRelayLogs(t *testing.T) {
	f := threeServers(t)

	f.fact("E8a: CHANGE REPLICATION SOURCE with both threads stopped loses what was acknowledged", func(f *trio) {
		f.exec(2, "STOP REPLICA IO_THREAD")
		f.exec(1, "STOP REPLICA SQL_THREAD")
		id := f.write(0)
		last := f.last(0)
		f.eventually(1, "1", received, last)
		f.exec(1, "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_PORT = 1")
		if f.value(1, received, last) == "1" || f.value(1, executed, last) == "1" || f.has(1, id) {
			f.Error("it is still there")
		}
	})

	f.fact("E17: with the applier running, even blocked, relay logs are kept", func(f *trio) {
		release := f.holdApplier(1)
		id := f.write(0)
		last := f.last(0)
		f.eventually(1, "1", received, last)
		f.exec(1, "STOP REPLICA IO_THREAD; CHANGE REPLICATION SOURCE TO SOURCE_PORT = 1")
		release()
		f.arrives(1, id)
	})

	f.fact("E17b: naming SOURCE_AUTO_POSITION needs both threads stopped", func(f *trio) {
		f.exec(1, "STOP REPLICA IO_THREAD")
		_, err := f.admin(1).ExecContext(f.Context(), "CHANGE REPLICATION SOURCE TO SOURCE_AUTO_POSITION = 1")
		if errno(err) != 3081 {
			f.Errorf("%v; expected 3081", err)
		}
	})

	f.fact("E9: after a reset the received set knows nothing of the past", func(f *trio) {
		last := f.last(0)
		f.eventually(1, "1", executed, last)
		f.point(1, f.servers[0].Port)
		if f.value(1, received, last) == "1" {
			f.Error("it remembers")
		}
	})
}

func TestFactsAboutHistories(t *testing.T) {
	f := threeServers(t)

	f.fact("E13: an errant server replicates without any error", func(f *trio) {
		f.exec(1, "STOP REPLICA; SET GLOBAL read_only = OFF")
		stray := f.write(1)
		f.exec(1, "SET GLOBAL super_read_only = ON; START REPLICA")
		f.arrives(1, f.write(0))
		if states := f.value(1, "SELECT CONCAT(r.service_state, a.service_state, r.last_error_number) FROM performance_schema.replication_connection_status r, performance_schema.replication_applier_status a"); states != "ONON0" {
			f.Errorf("receiver, applier and error are %s", states)
		}
		if f.has(0, stray) {
			f.Error("the stray row is on the primary")
		}
	})

	f.fact("E20: the applier of a server with its source side on waits for acknowledgements that never come", func(f *trio) {
		release := f.holdApplier(1)
		id := f.write(0)
		last := f.last(0)
		f.arrives(2, id)
		f.eventually(1, "1", received, last)
		f.point(2, f.servers[1].Port)
		f.exec(2, "START REPLICA")
		f.awaitClients(1, "1")
		f.exec(1, "SET GLOBAL rpl_semi_sync_source_enabled = ON")
		release()
		const stuck = "SELECT COUNT(*) FROM performance_schema.threads WHERE name = 'thread/sql/replica_worker' AND processlist_state LIKE 'Waiting for semi-sync ACK%'"
		f.eventually(1, "1", stuck)
		f.stays(1, "1", stuck)
		if f.value(1, executed, last) == "1" {
			f.Error("it is applied nevertheless")
		}
		f.exec(1, "SET GLOBAL rpl_semi_sync_source_enabled = OFF")
		f.arrives(1, id)
	})

	f.fact("E21: an acker counts while the source side is off, and acknowledges as soon as it is on", func(f *trio) {
		f.point(2, f.servers[1].Port)
		f.exec(2, "START REPLICA")
		f.awaitClients(1, "1")
		f.exec(1, "STOP REPLICA; SET GLOBAL rpl_semi_sync_source_enabled = ON; SET GLOBAL read_only = OFF")
		id := f.write(1)
		f.arrives(2, id)
	})

	f.fact("T1: a transaction under a tag is received under it", func(f *trio) {
		if f.value(0, "SELECT @@version REGEXP '^8[.][0-2][.]'") == "1" {
			return // tags came with 8.3
		}
		f.exec(1, "STOP REPLICA SQL_THREAD")
		f.exec(0, "SET SESSION gtid_next = 'AUTOMATIC:term_17'; INSERT INTO app.rows VALUES (?)", f.row())
		f.eventually(1, "1", "SELECT received_transaction_set LIKE '%:term\\_17:1%' FROM performance_schema.replication_connection_status")
	})

	f.fact("T2: a transaction under a synthetic UUID is received before it is applied", func(f *trio) {
		const marker = "7072696d-0000-0011-0123-456789abcdef:1"
		f.exec(1, "STOP REPLICA SQL_THREAD")
		f.exec(0, "SET SESSION gtid_next = '"+marker+"'; INSERT INTO app.rows VALUES (?)", f.row())
		f.eventually(1, "1", received, marker)
		if f.value(1, executed, marker) == "1" {
			f.Error("it is applied already")
		}
	})

	f.fact("T5: a marker is acknowledged soon after a replica was repointed", func(f *trio) {
		f.eventually(1, "1", executed, f.last(0))
		f.eventually(2, "1", executed, f.last(0))
		f.exec(1, "STOP REPLICA; SET GLOBAL rpl_semi_sync_source_enabled = ON; SET GLOBAL read_only = OFF")
		begun := time.Now()
		f.point(2, f.servers[1].Port)
		f.exec(2, "START REPLICA")
		f.exec(1, "SET SESSION gtid_next = '7072696d-0000-0012-0123-456789abcdef:1'; INSERT INTO app.rows VALUES (?)", f.row())
		f.Logf("repoint to acknowledged marker: %s", time.Since(begun))
	})
}

func TestFactsAboutSessions(t *testing.T) {
	f := threeServers(t)

	f.fact("E23: named locks work on a closed server, and killing the holder hands them on", func(f *trio) {
		first, second := f.admin(1), f.admin(1)
		holder := scalar(f.T, first, "SELECT CONNECTION_ID()")
		if scalar(f.T, first, "SELECT GET_LOCK('fact', 0)") != "1" || scalar(f.T, second, "SELECT GET_LOCK('fact', 0)") != "0" {
			f.Error("the lock is not exclusive")
		}
		if used := scalar(f.T, second, "SELECT IS_USED_LOCK('fact')"); used != holder {
			f.Errorf("IS_USED_LOCK says %q, the holder is %s", used, holder)
		}
		if _, err := second.ExecContext(f.Context(), "KILL "+holder); err != nil {
			f.Fatal(err)
		}
		if scalar(f.T, second, "SELECT GET_LOCK('fact', 10)") != "1" {
			f.Error("the lock was not handed on")
		}
	})

	f.fact("E23: session_connect_attrs shows sessions from other hosts, session_account_connect_attrs does not", func(f *trio) {
		mysql.RegisterDialContext("elsewhere", func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext(ctx, "tcp", address)
		})
		account := f.users.Primacy
		far := f.open(fmt.Sprintf("%s:%s@elsewhere(%s)/", account.Name, account.Password, f.servers[1].Address()))
		id, near := scalar(f.T, far, "SELECT CONNECTION_ID()"), f.login(1, account)
		for table, want := range map[string]string{"session_connect_attrs": "1", "session_account_connect_attrs": "0"} {
			query := "SELECT COUNT(*) > 0 FROM performance_schema." + table + " WHERE processlist_id = " + id
			if got := scalar(f.T, near, query); got != want {
				f.Errorf("%s shows a session of the same account from another host: %s", table, got)
			}
		}
	})

	f.fact("T3: super_read_only stops everybody, read_only alone only those without CONNECTION_ADMIN", func(f *trio) {
		f.exec(0, "CREATE DATABASE _primacy; CREATE TABLE _primacy.journal (term INT PRIMARY KEY)")
		const insert = "SET SESSION gtid_next = '7072696d-0000-0013-0123-456789abcdef:1'; INSERT INTO _primacy.journal VALUES (19)"
		f.exec(0, "SET GLOBAL super_read_only = ON")
		_, err := f.admin(0).ExecContext(f.Context(), "INSERT INTO app.rows VALUES (?)", f.row())
		if errno(err) != 1290 {
			f.Errorf("root under super_read_only: %v; expected 1290", err)
		}
		f.exec(0, "SET GLOBAL super_read_only = OFF")
		if _, ended := f.writeWith(f.Context(), f.app(0)); errno(<-ended) != 1290 {
			f.Error("an application wrote under read_only")
		}
		if _, err := f.login(0, f.users.Primacy).ExecContext(f.Context(), insert); err != nil {
			f.Errorf("Primacy's account, with its grants and no others, under read_only: %v", err)
		}
	})

	f.fact("KILL does not reach accounts with SYSTEM_USER", func(f *trio) {
		root := scalar(f.T, f.admin(0), "SELECT CONNECTION_ID()")
		_, err := f.login(0, f.users.Primacy).ExecContext(f.Context(), "KILL "+root)
		if errno(err) != 1095 {
			f.Errorf("%v; expected 1095", err)
		}
	})
}

func errno(err error) int {
	var answer *mysql.MySQLError
	if errors.As(err, &answer) {
		return int(answer.Number)
	}
	return 0
}
