package mysqld

import (
	"context"
	"fmt"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// admit takes the set out of gtid_executed (4). The target is kept on the server first: between emptying and setting,
// gtid_executed is empty although there are rows, and whoever finds it so completes it.
func (j *job) admit(ctx context.Context) (string, error) {
	o, err := j.observe(ctx)
	if err != nil {
		return "", err
	}
	j.applied = o.Executed.Intersect(j.task.Set)
	was, err := j.readUndone(ctx)
	switch {
	case err != nil:
		return "", err
	case !j.applied.IsEmpty() && !was.done:
		return "", unfitFor("not_undone", "%s does not know of having undone anything: begin anew", j.server)
	case o.Executed.IsEmpty() && !was.target.IsEmpty():
		if _, err := j.completeTarget(ctx, o); err != nil {
			return "", err
		}
	case o.Position().Intersects(j.task.Set):
		if err := j.takeOut(ctx, was); err != nil {
			return "", err
		}
		was.done = true
	}
	if was.done {
		if err := j.forgetUndone(ctx); err != nil {
			return "", err
		}
	}
	return "its transactions are those of the primary", nil
}

// takeOut stops replication, and replaces what the server says that it has executed.
func (j *job) takeOut(ctx context.Context, was undone) error {
	if _, err := j.isolate(ctx); err != nil {
		return err
	}
	o, err := j.sight(ctx)
	if err != nil {
		return err
	}
	p, err := j.primary(ctx)
	if err != nil {
		return err
	}
	if err := j.dispensable(ctx, o, p); err != nil {
		return err
	}
	target := o.Executed.Subtract(j.task.Set)
	if target.IsEmpty() {
		return unfitFor("empty", "nothing would be left of the transactions of %s", j.server)
	}
	if err := j.keepTarget(ctx, was, target); err != nil {
		return err
	}
	version, err := j.dialect(ctx)
	if err != nil {
		return err
	}
	reset := ""
	if o.Replication != nil {
		reset = "RESET REPLICA ALL; "
	}
	guards := []guard{unapplied, {
		broken: "NOT GTID_SUBSET(" + literal(o.Executed) + ", @@GLOBAL.gtid_executed) OR NOT GTID_SUBSET(@@GLOBAL.gtid_executed, " + literal(o.Executed) + ")",
		reason: reparent.ReasonRefused, detail: "it has executed something meanwhile",
	}}
	// The redo log has to be on disk before the binary log goes: what was undone must not come back from it.
	return j.changeUnless(ctx, guards, "FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS; "+reset+version.resetBinaryLogs+"; SET GLOBAL gtid_purged = "+literal(target))
}

func (j *job) dialect(ctx context.Context) (dialect, error) {
	rows, err := j.query(ctx, "SELECT @@version, @@version_comment")
	if err != nil {
		return dialect{}, err
	}
	return dialectOf(rows[0][0].text, rows[0][1].text)
}

func (j *job) keepTarget(ctx context.Context, was undone, target gtid.Set) error {
	if err := j.prepareUndone(ctx); err != nil {
		return err
	}
	err := j.unlogged(ctx, keptOut, "BEGIN; DELETE FROM _primacy.undone; "+undoneRow+"; COMMIT",
		j.task.Settlement, j.task.Set.String(), was.definitions, target.String())
	if err != nil {
		return err
	}
	return j.closeAgain(ctx)
}

// forgetUndone deletes what the server kept of its rewind: from here on its rows are those of its transactions.
func (a *act) forgetUndone(ctx context.Context) error {
	if err := a.unlogged(ctx, stillOpen, "DELETE FROM _primacy.undone"); err != nil {
		return err
	}
	return a.closeAgain(ctx)
}

// completeTarget gives a server its transactions back whose gtid_executed was emptied by an admission that did not come
// to its end, whoever finds it so: such a server is not empty, and must not be filled from the beginning.
func (a *act) completeTarget(ctx context.Context, o topology.Observation) (topology.Observation, error) {
	if !o.Executed.IsEmpty() {
		return o, nil
	}
	rows, err := a.query(ctx, "SELECT target FROM _primacy.undone WHERE target IS NOT NULL")
	if errno := mysqlErrno(err); errno == errNoSuchTable || errno == errUnknownDatabase {
		return o, nil
	}
	switch {
	case err != nil || len(rows) == 0:
		return o, err
	case len(rows) > 1:
		return o, refuse(reparent.ReasonRefused, "%s knows of %d rewinds that did not come to their end", a.server, len(rows))
	}
	target, err := gtid.Parse(rows[0][0].text)
	if err != nil {
		return o, fmt.Errorf("%s: the transactions that its rewind left: %w", a.server, err)
	}
	if m, ok := topology.HighestMarker(target); ok && m.Term > a.term {
		return o, fencedBy(m.Term, "%s holds the marker of term %d, we act under %d", a.server, m.Term, a.term)
	}
	if err := a.changeUnless(ctx, []guard{emptied}, "SET GLOBAL gtid_purged = "+literal(target)); err != nil {
		return o, err
	}
	if err := a.forgetUndone(ctx); err != nil { // else it would be put back again, should somebody empty it
		return o, err
	}
	return a.observe(ctx)
}

var emptied = guard{broken: "@@GLOBAL.gtid_executed <> ''", reason: reparent.ReasonRefused, detail: "it has executed something meanwhile"}

// whole refuses a server that was left in the middle of a rewind when the primary got, from somebody else, what was undone
// there: by its GTIDs it is errant no more and would skip those transactions, and their rows are gone. ended is set when a
// rewind was brought to its end, but for forgetting it: the GTIDs tell of nothing that was undone.
func (a *act) whole(ctx context.Context, executed gtid.Set) (ended bool, err error) {
	rows, err := a.query(ctx, "SELECT transactions, target IS NOT NULL FROM _primacy.undone")
	if errno := mysqlErrno(err); errno == errNoSuchTable || errno == errUnknownDatabase {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	ended = len(rows) > 0
	for _, row := range rows {
		was, err := gtid.Parse(row[0].text)
		if err != nil {
			return false, fmt.Errorf("%s: what was undone there: %w", a.server, err)
		}
		if gone := executed.Intersect(was); !gone.IsEmpty() {
			return false, refuse(reparent.ReasonErrant, "%s says that it has executed %s, and a rewind has undone it there: its rows lack what its GTIDs tell of. "+
				"If the primary has these transactions by now, rebuild it from another server's data; _primacy.undone has to be empty then", a.server, gone)
		}
		ended = ended && row[1].on()
	}
	return ended, nil
}

// wholeOrForgotten is whole, and forgets what was brought to its end.
func (a *act) wholeOrForgotten(ctx context.Context, o topology.Observation) error {
	ended, err := a.whole(ctx, o.Executed)
	if err != nil || !ended {
		return err
	}
	return a.forgetUndone(ctx)
}
