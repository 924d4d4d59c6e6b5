package mysqld_test

import (
	"testing"

	"github.com/primacydb/primacy/reparent"
)

// A network may deliver what was sent before after what was sent later on another connection.
func TestAStatementThatArrivesAfterItWasTakenBackDoesNothing(t *testing.T) {
	for _, c := range []struct {
		name         string
		server       int
		first, then  reparent.Verb
		before       func(*stage)
		query, stays string
	}{
		{"a receiver that runs", 1, reparent.Freeze, reparent.Resume, func(*stage) {}, receives, "1"},
		{"a receiver that somebody stopped meanwhile", 1, reparent.Freeze, reparent.Resume,
			func(w *stage) { w.exec(1, "STOP REPLICA IO_THREAD") }, receives, "1"},
		{"a primary", 0, reparent.Demote, reparent.Reopen, func(*stage) {}, "SELECT @@GLOBAL.super_read_only", "0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := realStage(t)
			f, term := w.elector("elector-1"), w.term()
			p := newProxy(t, string(w.address(c.server)))
			statements, admin := 0, w.admin(c.server)
			d := &delay{2, func() bool { // the session aside sets its variables, and then it sends the statement
				var there int
				_ = admin.QueryRowContext(w.Context(), asides).Scan(&there)
				statements += there
				return statements > 1
			}, make(chan struct{})}
			p.late.Store(d)
			first := reparent.Command{Verb: c.first, Server: p.address(), Term: term, Deadline: inVain}
			if r := w.do(f, first); r.Outcome != reparent.Unknown {
				t.Fatalf("%s: %s, %s: %s", c.first, r.Outcome, r.Reason, r.Detail)
			}
			c.before(w)
			w.must(f, reparent.Command{Verb: c.then, Server: p.address(), Term: term})
			close(d.over)
			w.eventually(c.server, "0", asides)
			if is := w.value(c.server, c.query); is != c.stays {
				t.Errorf("%s is %s once the statement has arrived", c.query, is)
			}
		})
	}
}

const asides = "SELECT COUNT(*) FROM performance_schema.session_connect_attrs WHERE attr_name = 'primacy_duty' AND attr_value IN ('stop', 'close')"

const receives = "SELECT service_state <> 'OFF' FROM performance_schema.replication_connection_status"
