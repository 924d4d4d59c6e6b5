package mysqld_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/primacydb/primacy/reparent"
)

// waitingApplier is a replica that is closed and whose source side is on: what it applies waits for acknowledgements.
func (w *stage) waitingApplier(i int) {
	w.Helper()
	w.exec(i, "SET GLOBAL rpl_semi_sync_source_timeout = 4294967295; SET GLOBAL rpl_semi_sync_source_enabled = ON")
	w.mustWrite(0)
	w.awaitWaiters(i, 1)
}

func TestWhereOnlyTheApplierOfAClosedServerWaitsTheSourceSideIsSwitchedOff(t *testing.T) {
	for _, workers := range []string{"1", "4"} {
		t.Run(workers+" workers", func(t *testing.T) {
			w := realStage(t)
			f, term := w.elector("elector-1"), w.term()
			w.exec(1, "STOP REPLICA SQL_THREAD; SET GLOBAL replica_parallel_workers = "+workers+"; START REPLICA SQL_THREAD")
			w.waitingApplier(1)
			w.mustWrite(0)
			if o := w.must(f, w.command(reparent.Read, 1, term)).Observation; !o.OnlyApplierWaits() {
				t.Errorf("closed %t, %d waiters, %+v", o.Closed(), o.SemiSync.Waiters, o.Stall)
			}
			o := w.must(f, w.command(reparent.DisableSource, 1, term)).Observation
			if o.SemiSync.SourceEnabled || o.SemiSync.Waiters != 0 || !o.Closed() || o.OnlyApplierWaits() {
				t.Errorf("source %t, %d waiters, closed %t, %+v", o.SemiSync.SourceEnabled, o.SemiSync.Waiters, o.Closed(), o.Stall)
			}
			w.caughtUp()
		})
	}
}

func TestAnApplierThatWaitsOnAServerThatIsNotClosedIsNotLetThrough(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.exec(1, "SET GLOBAL super_read_only = OFF")
	w.waitingApplier(1)
	w.refused(f, w.command(reparent.DisableSource, 1, term), reparent.ReasonWaiters)

	demote := w.command(reparent.Demote, 1, term)
	demote.Deadline = time.Second
	w.refused(f, demote, reparent.ReasonDeadline)

	closing := make(chan error, 1)
	go func(by *sql.Conn) {
		_, err := by.ExecContext(w.Context(), "SET GLOBAL super_read_only = ON")
		closing <- err
	}(w.admin(1))
	w.eventually(1, "1", "SELECT COUNT(*) FROM performance_schema.processlist WHERE STATE IN ('Waiting for global read lock', 'Waiting for commit lock') AND INFO LIKE 'SET%'")
	if o := w.must(f, w.command(reparent.Read, 1, term)).Observation; o.Stall.ApplierWaits || o.OnlyApplierWaits() {
		t.Errorf("a SET super_read_only waits too: closed %t, %+v", o.Closed(), o.Stall)
	}
	w.refused(f, w.command(reparent.DisableSource, 1, term), reparent.ReasonWaiters)
	w.exec(1, "SET GLOBAL rpl_semi_sync_source_enabled = OFF")
	if err := <-closing; err != nil {
		t.Error(err)
	}
	w.caughtUp()
}
