package mysqld_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// halting is a step for a server of the stage, while another one leads.
func (w *stage) halting(f *mysqld.Fleet, step halt.Step, i, leader int) halt.Task {
	o := f.Probe(context.Background(), w.address(leader))
	return halt.Task{
		Step: step, Cluster: cluster, Server: w.address(i), Primary: w.address(leader), PrimaryUUID: o.UUID, Drain: 100 * time.Millisecond, Wait: 10 * time.Second,
	}
}

func halts(f *mysqld.Fleet, term uint32, t halt.Task) halt.Result {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	return f.Halt(ctx, cluster, term, t, func(string) {})
}

// A shutdown in order answers OK to whoever waits (E6). Here their connections are gone before.
func TestNoClientIsToldOKByTheStopOfAServerOnWhichCommitsWait(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.stopAckers()
	id, ended := w.waitingWrite(0)
	step := w.halting(f, halt.StepQuiesce, 0, 1)
	closed := halts(f, term, step)
	if closed.Outcome != reparent.Yes || len(closed.Evidence) == 0 || !strings.Contains(closed.Evidence[0], "1 commits waited") {
		t.Fatalf("%+v", closed)
	}
	step.Step, step.Process = halt.StepStop, closed.Process
	exited := w.servers[0].Exited()
	if r := halts(f, term, step); r.Outcome == reparent.No || r.Outcome == reparent.Yes && r.How != halt.HowShutdown {
		t.Errorf("%+v", r)
	}
	<-exited
	if err := <-ended; err == nil {
		t.Error("a client heard OK for a commit that nobody acknowledged")
	}
	if err := w.servers[0].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !w.has(0, id) {
		t.Error("the commit did not wait at all, so nothing was tested")
	}
}

func TestAServerIsNotToldToShutDownWhileItIsOpen(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.stopAckers()
	_, ended := w.waitingWrite(0)
	step := w.halting(f, halt.StepStop, 0, 1)
	for _, restart := range []bool{false, true} {
		step.Restart, step.Process = restart, f.Probe(t.Context(), w.address(0)).Incarnation
		if r := halts(f, term, step); r.Outcome != reparent.No || r.Code != string(reparent.ReasonWaiters) {
			t.Fatalf("restart %t: %+v", restart, r)
		}
	}
	step.Process = "another one"
	if r := halts(f, term, step); r.Outcome != reparent.No || !strings.Contains(r.Detail, "restarted") {
		t.Errorf("%+v", r)
	}
	step = w.halting(f, halt.StepQuiesce, 0, 0)
	if r := halts(f, term, step); r.Outcome != reparent.No || !strings.Contains(r.Detail, "leads") {
		t.Errorf("whoever leads: %+v", r)
	}
	w.startAckers()
	if err := <-ended; err != nil {
		t.Errorf("the write that waited: %v", err)
	}
}

func TestAReplicaIsClosedWithAllThatItReceivedAppliedAndRestartsByItsSupervisor(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	blocker := w.admin(2)
	if _, err := blocker.ExecContext(t.Context(), "FLUSH TABLES app.rows WITH READ LOCK"); err != nil {
		t.Fatal(err)
	}
	id := w.mustWrite(0)
	reader := w.client(2)
	step := w.halting(f, halt.StepQuiesce, 2, 0)
	done := make(chan halt.Result, 1)
	go func() { done <- halts(f, term, step) }()
	w.eventually(2, "OFF", receiverState)
	if w.has(2, id) {
		t.Error("it is applied already, so nothing is tested")
	}
	if _, err := blocker.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
	closed := <-done
	if closed.Outcome != reparent.Yes || !w.has(2, id) {
		t.Fatalf("%+v", closed)
	}
	if reader.PingContext(t.Context()) == nil {
		t.Error("a client is still connected")
	}
	step.Step, step.Process, step.Restart = halt.StepStop, closed.Process, true
	exited := w.servers[2].Exited()
	if r := halts(f, term, step); r.Outcome == reparent.No || r.Outcome == reparent.Yes && r.How != halt.HowRestart {
		t.Errorf("%+v", r)
	}
	<-exited
	until(t, "another process", func() bool {
		o := f.Probe(t.Context(), w.address(2))
		return o.OK() && o.Incarnation != closed.Process && o.UUID == closed.UUID
	})
}

// A receiver that is stopped in the middle of a transaction leaves an applier that waits for its rest, and so does whoever stops
// the server.
func TestAReplicaToWhichALongTransactionComesIsClosedAtTheEndOfOne(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.longTransactions()
	step := w.halting(f, halt.StepQuiesce, 2, 0)
	step.Wait = 2 * time.Minute
	w.eventually(2, "1", "SELECT COUNT(*) FROM performance_schema.replication_applier_status_by_coordinator WHERE processing_transaction LIKE '%:%'")
	if r := halts(f, term, step); r.Outcome != reparent.Yes {
		t.Fatalf("%+v", r)
	}
	if got := w.value(2, `SELECT COUNT(*) FROM performance_schema.replication_applier_status_by_coordinator
		WHERE processing_transaction LIKE '%:%' AND NOT GTID_SUBSET(processing_transaction, @@GLOBAL.gtid_executed)`); got != "0" {
		t.Error("its applier waits for the rest of a transaction")
	}
}

// longTransactions has the first server commit transactions of many megabytes, one after the other, until the test ends.
func (w *stage) longTransactions() {
	w.Helper()
	w.exec(0, "CREATE TABLE app.long_ones (id INT AUTO_INCREMENT PRIMARY KEY, text LONGTEXT)")
	conn, stop, done := w.client(0), make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := longTransaction(context.Background(), conn); err != nil {
				done <- err
				return
			}
		}
	}()
	w.Cleanup(func() {
		close(stop)
		if err := <-done; err != nil {
			w.Errorf("the client that writes long transactions: %v", err)
		}
		w.exec(0, "DROP TABLE app.long_ones")
	})
}

func longTransaction(ctx context.Context, conn *sql.Conn) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for range 64 {
		if _, err := tx.ExecContext(ctx, "INSERT INTO app.long_ones (text) VALUES (REPEAT('x', 1000000))"); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// What only it holds may be the last copy, and a start with relay_log_recovery throws relay logs away (E8b).
func TestAServerThatHasNotAppliedWhatOnlyItReceivedIsNotClosed(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.exec(2, "STOP REPLICA SQL_THREAD")
	w.mustWrite(0)
	w.eventually(2, "0", "SELECT GTID_SUBSET(received_transaction_set, @@GLOBAL.gtid_executed) FROM performance_schema.replication_connection_status")
	step := w.halting(f, halt.StepQuiesce, 2, 0)
	if r := halts(f, term, step); r.Outcome != reparent.Yes {
		t.Fatalf("the primary has executed it: %+v", r)
	}
	step.Primary, step.PrimaryUUID = w.address(1), topology.Observation{}.UUID
	if r := halts(f, term, step); r.Outcome != reparent.No || r.Code != string(reparent.ReasonUnapplied) {
		t.Errorf("nobody says that he has: %+v", r)
	}
}

func TestAServerThatNobodyStartsAgainIsShutDown(t *testing.T) {
	w := newWorld(t, local.Spec{Servers: 1, Unsupervised: true})
	server := w.local.Servers[0]
	step := halt.Task{Step: halt.StepQuiesce, Cluster: cluster, Server: topology.Address(server.Address()), Primary: "127.0.0.1:1", Restart: true, Wait: time.Second}
	closed := halts(w.fleet, 1, step)
	if closed.Outcome != reparent.Yes {
		t.Fatalf("%+v", closed)
	}
	step.Step, step.Process = halt.StepStop, closed.Process
	exited := server.Exited()
	if r := halts(w.fleet, 1, step); r.Outcome == reparent.No || r.Outcome == reparent.Yes && r.How != halt.HowShutdown {
		t.Errorf("%+v", r)
	}
	<-exited
	if server.State() != local.Stopped {
		t.Error(server.State())
	}
}

func TestTheGrantThatStoppingTakesIsAskedForBeforehand(t *testing.T) {
	w := realStage(t)
	f := w.elector("elector-1")
	step := w.halting(f, halt.StepCheck, 1, 0)
	if r := halts(f, 0, step); r.Outcome != reparent.Yes {
		t.Fatalf("%+v", r)
	}
	w.exec(0, "REVOKE SHUTDOWN ON *.* FROM "+w.users.Primacy.Name)
	defer w.exec(0, "GRANT SHUTDOWN ON *.* TO "+w.users.Primacy.Name)
	w.caughtUp()
	if r := halts(f, 0, step); r.Outcome != reparent.No || !r.Final || !strings.Contains(r.Detail, "GRANT SHUTDOWN") {
		t.Errorf("%+v", r)
	}
}
