package mysqld_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/reparent"
)

func (w *stage) follow(i, source int, term uint32) reparent.Command {
	c := w.command(reparent.Follow, i, term)
	c.Source, c.Acker = w.address(source), true
	return c
}

func TestFollowKeepsWhatIsReceivedAndNotApplied(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.must(f, w.command(reparent.AwaitApplied, 1, term))
	blocker := w.admin(1)
	scalar(t, blocker, "SELECT GET_LOCK('x', 0)")
	if _, err := blocker.ExecContext(t.Context(), "FLUSH TABLES app.rows WITH READ LOCK"); err != nil {
		t.Fatal(err)
	}
	id := w.mustWrite(0)
	w.applies(2, id)
	if w.has(1, id) {
		t.Fatal("the applier was not held back")
	}
	received := w.value(1, "SELECT received_transaction_set FROM performance_schema.replication_connection_status")
	r := w.must(f, w.follow(1, 2, term))
	if !r.Observation.Received.Contains(gtid.MustParse(received)) {
		t.Errorf("it forgot received transactions: %s of %s are left", r.Observation.Received, received)
	}
	if _, err := blocker.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
	w.applies(1, id)
}

func TestFollowRefusesToThrowAwayWhatAFailedApplierHasLeft(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	id := shared.rows.Add(1)
	w.exec(1, "SET GLOBAL super_read_only = OFF; SET SESSION sql_log_bin = OFF; INSERT INTO app.rows VALUES (?); SET GLOBAL super_read_only = ON", id)
	w.exec(0, "INSERT INTO app.rows VALUES (?)", id)
	w.eventually(1, "OFF", "SELECT service_state FROM performance_schema.replication_applier_status")
	w.refused(f, w.follow(1, 2, term), reparent.ReasonUnapplied)
	detach := w.command(reparent.Detach, 1, term)
	w.refused(f, detach, reparent.ReasonUnapplied)
	w.exec(1, "SET GLOBAL super_read_only = OFF; SET SESSION sql_log_bin = OFF; DELETE FROM app.rows WHERE id = ?; SET GLOBAL super_read_only = ON; START REPLICA", id)
	w.applies(1, id)
	w.must(f, w.follow(1, 2, term))
}

func TestFollowStartsAnApplierThatStandsStillBeforeItRepoints(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.exec(1, "STOP REPLICA SQL_THREAD")
	id := w.mustWrite(0)
	w.applies(2, id)
	w.eventually(1, "1", holds, w.executed(0).String())
	w.must(f, w.freeze(1, term))
	w.must(f, w.follow(1, 2, term))
	w.applies(1, id)
}

func TestNothingIsSentAfterAStopOfTheApplierThatHasNotReturned(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.caughtUp()
	first, second := shared.rows.Add(1), shared.rows.Add(1)
	// The applier waits for a row of somebody's, with a second transaction behind it.
	w.exec(1, "SET GLOBAL super_read_only = OFF, GLOBAL read_only = OFF")
	blocker := w.admin(1)
	if _, err := blocker.ExecContext(t.Context(), "SET SESSION sql_log_bin = OFF; BEGIN; INSERT INTO app.rows VALUES (?)", first); err != nil {
		t.Fatal(err)
	}
	w.exec(1, "SET GLOBAL super_read_only = ON")
	w.exec(0, "INSERT INTO app.rows VALUES (?)", first)
	w.eventually(1, "1", "SELECT COUNT(*) FROM performance_schema.data_lock_waits")
	w.exec(0, "INSERT INTO app.rows VALUES (?)", second)
	w.eventually(1, "1", holds, w.executed(0).String())
	w.must(f, w.freeze(1, term))
	stopped := make(chan error, 1)
	go func(by *sql.Conn) {
		_, err := by.ExecContext(context.Background(), "STOP REPLICA SQL_THREAD")
		stopped <- err
	}(w.admin(1))
	w.eventually(1, "1", "SELECT COUNT(*) FROM performance_schema.threads WHERE processlist_state = 'Killing replica'")
	queued := make(chan error, 1)
	go func(by *sql.Conn) {
		_, err := by.ExecContext(context.Background(), "STOP REPLICA IO_THREAD")
		queued <- err
	}(w.admin(1))
	t.Cleanup(func() { _, _ = blocker.ExecContext(context.Background(), "ROLLBACK") }) // before the sessions that hang are closed
	w.eventually(1, "2", "SELECT COUNT(*) FROM performance_schema.threads WHERE processlist_info LIKE 'STOP REPLICA%'")
	if state := w.value(1, "SELECT service_state FROM performance_schema.replication_applier_status"); state != "ON" {
		t.Fatalf("the applier shows as %s: there would be nothing to take in from it", state)
	}
	for _, c := range []reparent.Command{w.follow(1, 2, term), w.command(reparent.Resume, 1, term)} {
		contains(t, w.refused(f, c, reparent.ReasonRefused).Detail, "STOP REPLICA")
	}
	if _, err := blocker.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-stopped, <-queued); err != nil {
		t.Fatal(err)
	}
	w.must(f, w.follow(1, 2, term))
	w.applies(1, first)
	w.applies(1, second)
}

// TestAStopThatHasReturnedKeepsNobodyOut looks at once after the answer, when the server has not tidied up yet.
func TestAStopThatHasReturnedKeepsNobodyOut(t *testing.T) {
	w := realStage(t)
	by, looks := w.admin(2), w.admin(2)
	for range 300 {
		if _, err := by.ExecContext(t.Context(), "STOP REPLICA IO_THREAD"); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			var underWay bool
			var seen sql.NullString
			err := looks.QueryRowContext(t.Context(), "SELECT "+mysqld.StopUnderWay+`, (SELECT GROUP_CONCAT(CONCAT_WS(' ', processlist_command, processlist_state, processlist_info))
				FROM performance_schema.threads WHERE processlist_info LIKE 'STOP%')`).Scan(&underWay, &seen)
			if err != nil || underWay {
				t.Fatalf("under way: %t, %s, %v", underWay, seen.String, err)
			}
		}
	}
}

func TestFollowRefusesAnErrantServer(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.caughtUp()
	within := w.executed(1)
	w.exec(1, "SET GLOBAL super_read_only = OFF; INSERT INTO app.rows VALUES (?); SET GLOBAL super_read_only = ON", shared.rows.Add(1))
	follow := w.follow(1, 2, term)
	follow.Within = within
	w.refused(f, follow, reparent.ReasonErrant)
	w.receiving(1)
	follow.Within = w.executed(1)
	w.must(f, follow)
	t.Run("and once it follows, what came from the source is not errant", func(t *testing.T) {
		w.eventually(1, "ON", receiverState)
		w.mustWrite(0)
		w.caughtUp()
		follow.Within = w.executed(1)
		w.must(f, follow)
	})
}

func TestFollowIsDoneTwiceWithTheEffectOfOnce(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	follow := w.follow(1, 0, term)
	follow.Within = w.executed(1).Union(w.executed(0))
	before := w.value(1, "SELECT thread_id FROM performance_schema.replication_connection_status")
	w.must(f, follow)
	w.mustWrite(0)
	w.caughtUp()
	w.must(f, follow)
	if after := w.value(1, "SELECT thread_id FROM performance_schema.replication_connection_status"); after != before {
		t.Error("the receiver was restarted although it followed already")
	}
}

// The option files of these servers have the replica side on and the receiver start by itself. One that restarts beside its
// primary, with both cut off from everybody else, acknowledges what nobody else holds.
func TestAServerThatMustNotAcknowledgeDoesNotAfterARestartEither(t *testing.T) {
	for _, row := range []struct{ name, started, before string }{
		{name: "it has to be attached", before: "STOP REPLICA IO_THREAD"},
		{name: "it follows as it should", before: "STOP REPLICA IO_THREAD; SET GLOBAL rpl_semi_sync_replica_enabled = OFF; START REPLICA IO_THREAD"},
		{name: "its process was started with what is not persisted any more", started: "SET PERSIST_ONLY skip_replica_start = ON", before: "RESET PERSIST skip_replica_start"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := realStage(t)
			restart := func() {
				if err := w.servers[1].Restart(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			if row.started != "" {
				w.exec(1, row.started)
				restart()
			}
			f, term := w.elector("elector-1"), w.term()
			w.exec(1, row.before)
			follow := w.follow(1, 0, term)
			follow.Acker = false
			r := w.must(f, follow)
			contains(t, r.Detail, "skip_replica_start is persisted")
			if o := r.Observation; o.AcksAlone() || o.SemiSync.ReplicaEnabled {
				t.Errorf("it acknowledges, or would after a restart: %+v %+v", o.SemiSync, o.Settings)
			}
			w.eventually(1, "ON", receiverState)
			restart()
			if state := w.value(1, receiverState); state != "OFF" {
				t.Errorf("after a restart its receiver is %s", state)
			}
		})
	}
}

func TestAnAckerStartsByItselfAsBefore(t *testing.T) {
	w := realStage(t)
	w.exec(1, "STOP REPLICA IO_THREAD")
	w.must(w.elector("elector-1"), w.follow(1, 0, w.term()))
	if persisted := w.value(1, "SELECT COUNT(*) FROM performance_schema.persisted_variables WHERE variable_name = 'skip_replica_start'"); persisted != "0" {
		t.Error("skip_replica_start was persisted although its acknowledgement counts")
	}
}

func TestAFormerPrimaryFollowsWithItsSourceSideOff(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.must(f, w.follow(1, 2, term))
	w.must(f, w.command(reparent.Demote, 0, term))
	w.caughtUp()
	w.must(f, w.command(reparent.Detach, 2, term))
	r := w.must(f, w.follow(0, 2, term))
	contains(t, r.Detail, "rpl_semi_sync_source_enabled = OFF")
	if r.Observation.SemiSync.SourceEnabled || !r.Observation.SemiSync.ReplicaEnabled || r.Observation.Replication.Source != w.address(2) {
		t.Errorf("%+v", r.Observation.SemiSync)
	}
	w.exec(2, "SET GLOBAL read_only = OFF")
	id := w.mustWrite(2)
	w.applies(0, id)
	w.applies(1, id)
	w.exec(2, "SET GLOBAL super_read_only = ON")
}

func TestFollowClosesAWritableServer(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.exec(1, "SET GLOBAL read_only = OFF")
	w.must(f, w.follow(1, 0, term))
	if w.value(1, "SELECT @@GLOBAL.super_read_only") != "1" {
		t.Error("it follows and takes writes")
	}
}

func TestFollowRefusesAPrimaryWithWaiters(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.stopAckers()
	w.waitingWrite(0)
	w.refused(f, w.follow(0, 2, term), reparent.ReasonWaiters)
	w.startAckers()
	w.awaitWaiters(0, 0)
}

func TestAFailedChangeOfSourceDoesNotShowThePassword(t *testing.T) {
	w := realStage(t)
	const secret = "open sesame"
	f := mysqld.NewFleet(mysqld.Settings{
		User: w.users.Primacy.Name, Password: constant(w.users.Primacy.Password), Elector: "elector-1",
		ReplicationUser: w.users.Replica.Name, ReplicationPassword: constant(secret), Heartbeat: 10_000 * time.Hour,
	})
	defer f.Close()
	r := w.do(f, w.follow(1, 2, w.term()))
	if r.Done() || strings.Contains(r.Detail, secret) {
		t.Errorf("%s: %s", r.Outcome, r.Detail)
	}
}
