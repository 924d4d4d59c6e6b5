package mysqld_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/primacydb/primacy/reparent"
)

// lockTable keeps SET GLOBAL super_read_only waiting, until its result is called.
func (w *stage) lockTable(i int) (unlock func()) {
	w.Helper()
	holder := w.admin(i)
	if _, err := holder.ExecContext(w.Context(), "LOCK TABLES app.rows WRITE"); err != nil {
		w.Fatal(err)
	}
	return func() {
		if _, err := holder.ExecContext(context.Background(), "UNLOCK TABLES"); err != nil {
			w.Error(err)
		}
	}
}

// closing begins to close a server for writes by hand, and waits until that waits.
func (w *stage) closing(i int) (ended <-chan error) {
	w.Helper()
	done := make(chan error, 1)
	go func(by *sql.Conn) {
		_, err := by.ExecContext(context.Background(), "SET GLOBAL super_read_only = ON")
		done <- err
	}(w.admin(i))
	w.eventually(i, "1", "SELECT COUNT(*) FROM performance_schema.processlist WHERE state = 'Waiting for global read lock'")
	return done
}

const readOnlySwitches = "SELECT CONCAT(@@GLOBAL.read_only, @@GLOBAL.super_read_only)"

// openedUnderneath opens a server while it is being closed: super_read_only is ON, and clients can write.
func (w *stage) openedUnderneath(i int) {
	w.Helper()
	w.exec(i, "SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = ON")
	unlock := w.lockTable(i)
	ended := w.closing(i)
	w.exec(i, "SET GLOBAL read_only = OFF")
	unlock()
	if err := <-ended; err != nil {
		w.Fatal(err)
	}
	w.eventually(i, "01", readOnlySwitches)
}

func TestSuperReadOnlyAloneClosesNothingAndSettingItAgainDoesNotHelp(t *testing.T) {
	w := realStage(t)
	w.openedUnderneath(0)
	w.mustWrite(0)
	w.exec(0, "SET GLOBAL super_read_only = ON")
	w.mustWrite(0)
	w.exec(0, "SET GLOBAL super_read_only = ON, GLOBAL read_only = ON") // what people are told to do
	w.eventually(0, "11", readOnlySwitches)
}

func TestAServerWhereSuperReadOnlyStandsAloneIsReallyClosed(t *testing.T) {
	for _, c := range []struct {
		what    string
		server  int
		command func(w *stage, term uint32) reparent.Command
	}{
		{"by a demotion", 0, func(w *stage, term uint32) reparent.Command { return w.command(reparent.Demote, 0, term) }},
		{"by fencing", 0, func(w *stage, term uint32) reparent.Command { return w.command(reparent.Fence, 0, term) }},
		{"by following", 1, func(w *stage, term uint32) reparent.Command { return w.follow(1, 0, term) }},
		{"by following anew", 1, func(w *stage, term uint32) reparent.Command { return w.follow(1, 2, term) }},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := realStage(t)
			w.openedUnderneath(c.server)
			r := w.must(w.elector("elector-1"), c.command(w, w.term()))
			if !r.Observation.Closed() {
				t.Error("the result shows it open")
			}
			if now := w.value(c.server, readOnlySwitches); now != "11" {
				t.Errorf("read_only and super_read_only are %s", now)
			}
			w.exec(c.server, "SET GLOBAL offline_mode = OFF")
			if _, ended := w.write(c.server); <-ended == nil {
				t.Error("a client could write")
			}
		})
	}
}

func TestClosingWhereSuperReadOnlyStandsAloneCanBeCancelledToo(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.openedUnderneath(0)
	unlock := w.lockTable(0)
	demote := w.command(reparent.Demote, 0, term)
	demote.Deadline = inVain
	w.refused(f, demote, reparent.ReasonDeadline)
	if now := w.value(0, readOnlySwitches); now != "00" {
		t.Errorf("read_only and super_read_only are %s", now)
	}
	unlock()
	w.mustWrite(0)
}
