package integration_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/mysqld/local"
)

// What CLONE does to the server whose data it replaces. Measured on 9.7.

func TestFactsAboutClones(t *testing.T) {
	f := threeServers(t)

	f.fact("E31: super_read_only refuses it before anything is dropped, read_only and offline_mode do not", func(f *trio) {
		id := f.write(0)
		f.arrives(2, id)
		if err := f.clone(2, 1); errno(err) != 1290 {
			f.Fatalf("under super_read_only: %v; expected 1290", err)
		}
		if !f.has(2, id) {
			f.Error("its rows are gone")
		}
	})

	f.fact("E31: a wrong login at the donor is 3862, a donor that is not on the list 3869, and nothing is dropped", func(f *trio) {
		id := f.write(0)
		f.arrives(2, id)
		f.exec(2, "SET GLOBAL super_read_only = OFF")
		wrong := f.users.Primacy
		wrong.Password = "another"
		if err := f.cloneAs(2, 1, wrong); errno(err) != 3862 {
			f.Errorf("%v; expected 3862", err)
		}
		f.exec(2, "SET GLOBAL clone_valid_donor_list = '127.0.0.1:1'")
		if _, err := f.login(2, f.users.Primacy).ExecContext(f.Context(), f.cloneStatement(1, f.users.Primacy)); errno(err) != 3869 {
			f.Errorf("%v; expected 3869", err)
		}
		if !f.has(2, id) {
			f.Error("its rows are gone")
		}
	})

	f.fact("E32: the recipient keeps its server_uuid and what it has persisted, and starts as its option file says", func(f *trio) {
		f.exec(2, "SET PERSIST_ONLY skip_replica_start = ON; SET PERSIST_ONLY super_read_only = ON")
		uuid, persisted := f.value(2, "SELECT @@server_uuid"), f.value(2, persistedVariables)
		f.cloned(2, 1)
		if now := f.value(2, "SELECT @@server_uuid"); now != uuid {
			f.Errorf("server_uuid went from %s to %s", uuid, now)
		}
		if now := f.value(2, persistedVariables); now != persisted {
			f.Errorf("persisted variables went from %s to %s", persisted, now)
		}
		if now := f.value(2, "SELECT CONCAT(@@GLOBAL.skip_replica_start, @@GLOBAL.super_read_only, @@GLOBAL.offline_mode)"); now != "110" {
			f.Errorf("skip_replica_start, super_read_only and offline_mode are %s", now)
		}
	})

	f.fact("E32: it has the donor's gtid_executed, all of it purged, and the donor's channel with its receiver off", func(f *trio) {
		f.write(0)
		f.eventually(1, "1", executed, f.last(0))
		f.exec(2, "SET PERSIST_ONLY skip_replica_start = ON")
		f.cloned(2, 1)
		if got := f.value(2, "SELECT @@GLOBAL.gtid_executed = @@GLOBAL.gtid_purged AND GTID_SUBSET(?, @@GLOBAL.gtid_executed)", f.last(0)); got != "1" {
			f.Error("gtid_executed or gtid_purged differ from the donor's")
		}
		if got := f.value(2, "SELECT CONCAT(port, service_state) FROM performance_schema.replication_connection_configuration JOIN performance_schema.replication_connection_status USING (channel_name)"); got != fmt.Sprintf("%dOFF", f.servers[0].Port) {
			f.Errorf("its channel is %s", got)
		}
	})

	f.fact("E33: while it copies, user data is gone and gtid_executed is empty, and both stay so after KILL QUERY (1317, or 1158 where it was reading)", func(f *trio) {
		defer f.cloned(2, 1)
		session, ended := f.cloning(2, 1)
		f.emptied(2)
		f.exec(2, "KILL QUERY "+session)
		if err := <-ended; !cloneEnded(err) {
			f.Errorf("%v; expected 1317 or 1158", err)
		}
		f.emptied(2)
	})

	f.fact("E33: KILL cuts the connection at once, and the clone ends after it", func(f *trio) {
		defer f.cloned(2, 1)
		session, ended := f.cloning(2, 1)
		f.exec(2, "KILL "+session)
		if err := <-ended; err == nil || errno(err) != 0 && !cloneEnded(err) {
			f.Errorf("%v; expected a lost connection", err)
		}
		f.eventually(2, "Failed", "SELECT state FROM performance_schema.clone_status")
	})

	f.fact("E34: a recipient that is killed comes back empty", func(f *trio) {
		defer f.cloned(2, 1)
		f.cloning(2, 1)
		f.crash(2)
		f.emptied(2)
	})

	f.fact("E34: a donor that restarts ends it (3862), and the recipient stays empty", func(f *trio) {
		defer f.cloned(2, 1)
		_, ended := f.cloning(2, 1)
		f.crash(1)
		if err := <-ended; errno(err) != 3862 {
			f.Errorf("%v; expected 3862", err)
		}
		f.emptied(2)
	})

	f.fact("E35: on the donor writes go on meanwhile, DDL too, and its receiver can be stopped", func(f *trio) {
		defer f.cloned(2, 1)
		session, ended := f.cloning(2, 1)
		f.exec(0, "CREATE TABLE IF NOT EXISTS app.meanwhile (id INT PRIMARY KEY)")
		f.arrives(1, f.write(0))
		f.exec(1, "STOP REPLICA IO_THREAD; START REPLICA IO_THREAD")
		f.exec(2, "KILL QUERY "+session)
		<-ended
	})
}

// cloneEnded tells whether an error is one of a clone that was killed: what it says depends on whether it was just reading
// from its donor.
func cloneEnded(err error) bool { return errno(err) == 1317 || errno(err) == 1158 }

func TestFactsAboutClonesWithoutASupervisor(t *testing.T) {
	binary, err := local.Find("")
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := local.Start(t.Context(), binary, local.Spec{Servers: 2, Unsupervised: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fleet.Close(); err != nil {
			t.Error(err)
		}
	})
	f := &trio{t, fleet.Servers, fleet.Users, nil}
	f.exec(0, "SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF; CREATE TABLE app.rows (id BIGINT PRIMARY KEY); INSERT INTO app.rows VALUES (7)")

	exited := f.servers[1].Exited()
	f.exec(1, "STOP REPLICA; SET GLOBAL super_read_only = OFF")
	if err := f.clone(1, 0); errno(err) != 3707 {
		t.Errorf("E36: it ends with %v; expected 3707, restart failed", err)
	}
	f.ends(1, exited)
	if err := f.servers[1].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := f.value(1, "SELECT CONCAT(state, ' ', error_no) FROM performance_schema.clone_status"); got != "Completed 0" {
		t.Errorf("E36: started by hand, its clone is %s", got)
	}
	if !f.has(1, 7) {
		t.Error("E36: started by hand, it lacks the donor's row")
	}
}

const persistedVariables = "SELECT GROUP_CONCAT(variable_name, variable_value ORDER BY variable_name) FROM performance_schema.persisted_variables"

func (f *trio) cloneStatement(donor int, account local.Account) string {
	return fmt.Sprintf("CLONE INSTANCE FROM '%s'@'127.0.0.1':%d IDENTIFIED BY '%s'", account.Name, f.servers[donor].Port, account.Password)
}

func (f *trio) clone(i, donor int) error { return f.cloneAs(i, donor, f.users.Primacy) }

func (f *trio) cloneAs(i, donor int, account local.Account) error {
	f.Helper()
	f.exec(i, "SET GLOBAL clone_valid_donor_list = ?", f.servers[donor].Address())
	_, err := f.login(i, f.users.Primacy).ExecContext(f.Context(), f.cloneStatement(donor, account))
	return err
}

// cloned replaces a server's data and waits until it answers again.
func (f *trio) cloned(i, donor int) {
	f.Helper()
	f.exec(i, "STOP REPLICA; SET GLOBAL super_read_only = OFF; SET GLOBAL clone_max_data_bandwidth = 0")
	exited := f.servers[i].Exited()
	if err := f.clone(i, donor); err != nil && errno(err) != 0 {
		f.Fatal(err)
	}
	f.ends(i, exited)
	f.answers(i)
	f.eventually(i, "Completed", "SELECT state FROM performance_schema.clone_status")
}

func (f *trio) ends(i int, exited <-chan struct{}) {
	f.Helper()
	select {
	case <-exited:
	case <-time.After(30 * time.Second):
		f.Fatalf("server %d runs on", i)
	}
}

func (f *trio) answers(i int) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if f.reach(ctx, i) == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.Fatalf("server %d does not answer", i)
		}
	}
}

func (f *trio) reach(ctx context.Context, i int) error {
	db, err := sql.Open("mysql", f.servers[i].AdminDSN())
	if err != nil {
		return err
	}
	defer db.Close()
	return db.PingContext(ctx)
}

// cloning begins a slow clone and returns while it copies.
func (f *trio) cloning(i, donor int) (session string, ended <-chan error) {
	f.Helper()
	f.enlarge()
	f.eventually(donor, "1", executed, f.last(0))
	f.exec(i, "STOP REPLICA; SET GLOBAL super_read_only = OFF; SET GLOBAL clone_max_data_bandwidth = 1")
	f.exec(i, "SET GLOBAL clone_valid_donor_list = ?", f.servers[donor].Address())
	conn, done := f.login(i, f.users.Primacy), make(chan error, 1)
	session = scalar(f.T, conn, "SELECT CONNECTION_ID()")
	go func() {
		_, err := conn.ExecContext(f.Context(), f.cloneStatement(donor, f.users.Primacy))
		done <- err
	}()
	f.eventually(i, "In Progress", "SELECT state FROM performance_schema.clone_progress WHERE stage = 'FILE COPY' AND data > 0")
	return session, done
}

// enlarge gives a clone something to do.
func (f *trio) enlarge() {
	f.Helper()
	f.exec(0, "CREATE TABLE IF NOT EXISTS app.large (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)")
	if f.value(0, "SELECT COUNT(*) FROM app.large") != "0" {
		return
	}
	f.exec(0, "INSERT INTO app.large (v) VALUES "+strings.TrimSuffix(strings.Repeat("(REPEAT('x', 1000000)), ", 48), ", "))
}

// emptied claims that nothing is left of a server but what belongs to MySQL.
func (f *trio) emptied(i int) {
	f.Helper()
	if got := f.value(i, "SELECT CONCAT(@@GLOBAL.gtid_executed, (SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'app'))"); got != "0" {
		f.Errorf("gtid_executed and the number of its schemas are %s", got)
	}
}
