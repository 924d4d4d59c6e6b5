package mysqld

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld/binlog"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// A rewind undoes a server's errant transactions with the rows of its own binary log, while nobody but Primacy can
// reach it. Let X be the server, S its errant transactions and P the established primary.
//
//	(1) X \ S ⊆ P: what X holds beside S is not lost with X.
//	(2) All of S is undone in one transaction on X, or nothing of it: X is never in between.
//	(3) S stays in X's gtid_executed until every row that S touched equals P's, at a position of X that P has.
//	    So whoever looks at X before that, also with an empty store, finds it errant.
//	(4) Only then S is taken out of gtid_executed, by emptying the binary log, which held S too.
//
// Statements were tried on MySQL 9.7; only the words for emptying the binary log differ before 8.4.

// dutyUndo undoes transactions; it can be killed, and then nothing is undone.
const dutyUndo duty = "undo"

// stepTime bounds a step but for catching up, which is asked about again and again.
const stepTime = 5 * time.Minute

// unfit is an error that no further try would mend, or only one after somebody else has done something.
type unfit struct {
	code, detail string
	passing      bool
}

func (u unfit) Error() string { return u.detail }

func unfitFor(code, format string, args ...any) error {
	return unfit{code: code, detail: fmt.Sprintf(format, args...)}
}

func unfitYet(code, format string, args ...any) error {
	return unfit{code, fmt.Sprintf(format, args...), true}
}

// underWay is an error that is none: the same step is to be asked for again.
type underWay struct{ detail string }

func (u underWay) Error() string { return u.detail }

// stepped does a step, and tells what came of it.
func (j *job) stepped(ctx context.Context, step func(context.Context) (string, error)) settle.Result {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	done, err := step(ctx)
	if err == nil {
		return doneStep("%s", done)
	}
	if no, ok := errors.AsType[unfit](err); ok {
		if !no.passing {
			j.leaveStopped(ctx)
		}
		r := refusedStep(no.code, "%s", no.detail)
		r.Final = !no.passing
		return r
	}
	if no, ok := errors.AsType[binlog.Refusal](err); ok {
		return refusedStep(no.Code, "%s: %s", j.server, no.Detail)
	}
	if wait, ok := errors.AsType[underWay](err); ok {
		return settle.Result{Outcome: reparent.Unknown, Code: "under_way", Detail: wait.detail}
	}
	return failedStep(ctx, err)
}

func (j *job) rewindStep(ctx context.Context) (done string, err error) {
	switch j.task.Step {
	case settle.StepCheck:
		return j.checkRewind(ctx)
	case settle.StepIsolate:
		return j.isolate(ctx)
	case settle.StepUndo:
		return j.undo(ctx)
	case settle.StepCatchUp:
		return j.catchUp(ctx)
	case settle.StepVerify:
		return j.verifyRewind(ctx)
	case settle.StepAdmit:
		return j.admit(ctx)
	case settle.StepExport, settle.StepClone, settle.StepKeep, settle.StepDiscard:
	}
	return "", j.noSuchStep()
}

func (j *job) noSuchStep() error {
	return unfitFor("not_available", "a %s has no step %q", j.task.Kind, j.task.Step)
}

// leaveStopped ends the replication of a server that is given up while it caught up: nothing more is to come on top. Where
// that fails it goes on receiving, errant as it is, which does no harm but to itself.
func (j *job) leaveStopped(ctx context.Context) {
	if s := j.task.Step; s != settle.StepCatchUp && s != settle.StepVerify && !s.IntoHistory() {
		return
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), defaultDeadline)
	defer cancel()
	if err := j.runAside(bounded, dutyStop, "STOP REPLICA"); err != nil {
		j.fleet.settings.Log.Warn("replication of a server that was given up could not be stopped", "server", j.server, "error", err)
	}
}

// isolate leaves the server to us: its clients are cut, nobody can write, nothing replicates. What the server has
// received of the set and not applied is dropped (3), for once on purpose; else all that it received is applied.
func (j *job) isolate(ctx context.Context) (string, error) {
	if err := j.shutIn(ctx); err != nil {
		return "", err
	}
	o, err := j.observe(ctx)
	switch {
	case err != nil:
		return "", err
	case o.Replication == nil:
		return "closed; it has no source", nil
	case o.Unapplied().IsEmpty():
		return "closed; replication is stopped", j.stopApplier(ctx)
	case !o.Executed.Intersects(j.task.Set):
		return j.dropReceived(ctx, o)
	}
	if err := j.applyAll(ctx, o); err != nil {
		return "", err
	}
	return "closed; what it had received is applied", j.stopApplier(ctx)
}

// shutIn closes the server to clients and writers, in the order in which nobody hears an OK for what waits, and
// stops its receiver, over a restart too. All of it holds already on a server that is quarantined after a failover.
func (j *job) shutIn(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, defaultDeadline)
	defer cancel()
	o, err := j.observe(bounded)
	if err != nil {
		return err
	}
	if !closed(o) || !o.OfflineMode || o.SemiSync.SourceEnabled {
		if _, err := j.fenceOff(bounded); err != nil {
			return err
		}
	}
	_, err = j.freeze(bounded)
	return err
}

// applyAll lets the applier finish.
func (j *job) applyAll(ctx context.Context, o topology.Observation) error {
	if r := o.Replication; r.Applier == topology.ThreadOff && r.ApplierErrno != 0 {
		return unfitFor("unapplied", "%s has received %s, and its applier stopped with error %d: it cannot be rewound; clone it", j.server, o.Unapplied(), r.ApplierErrno)
	}
	if o.Replication.Applier == topology.ThreadOff {
		if err := j.change(ctx, "START REPLICA SQL_THREAD"); err != nil {
			return err
		}
	}
	j.command.Set = o.Received
	bounded, cancel := context.WithTimeout(ctx, defaultDeadline)
	defer cancel()
	_, err := j.awaitApplied(bounded)
	if err != nil && bounded.Err() != nil || reasonOf(err) == reparent.ReasonDeadline {
		return underWay{fmt.Sprintf("%s still applies what it has received: %s", j.server, o.Unapplied())}
	}
	return err
}

// dropReceived forgets what the server has received: some of it belongs to the set, and nothing of the set is applied.
// What goes beside the set is on the primary, and can be sent again.
func (j *job) dropReceived(ctx context.Context, o topology.Observation) (string, error) {
	p, err := j.primary(ctx)
	if err != nil {
		return "", err
	}
	rest := o.Unapplied().Subtract(j.task.Set)
	if gone := rest.Subtract(p.Executed.Subtract(p.Purged)); !gone.IsEmpty() {
		return "", unfitFor("purged", "%s has received %s, which would go with its relay logs, and the primary cannot send them again", j.server, gone)
	}
	within := literal(j.task.Set)
	untouched := guard{
		broken: "GTID_SUBTRACT(@@GLOBAL.gtid_executed, GTID_SUBTRACT(@@GLOBAL.gtid_executed, " + within + ")) <> ''",
		reason: reparent.ReasonUnapplied, detail: "some of what was only received has been applied meanwhile",
	}
	if err := j.changeUnless(ctx, []guard{untouched}, "DO 0"); err != nil {
		return "", err
	}
	if err := j.runAside(ctx, dutyStop, "STOP REPLICA SQL_THREAD"); err != nil {
		return "", err
	}
	if err := j.changeUnless(ctx, []guard{untouched}, "RESET REPLICA ALL"); err != nil {
		return "", err
	}
	return fmt.Sprintf("closed; %s was received and not applied, and is gone with the relay logs", o.Unapplied().Intersect(j.task.Set)), nil
}

// undo undoes all of the set that is applied, in one transaction, and keeps beside it that it was done.
func (j *job) undo(ctx context.Context) (string, error) {
	if _, err := j.isolate(ctx); err != nil { // it may have restarted since
		return "", err
	}
	plan, err := j.examine(ctx)
	switch {
	case err != nil:
		return "", err
	case plan.done:
		return "undone already", nil
	case len(plan.Changes) == 0:
		return "there is nothing to undo", nil
	}
	if err := j.prepareUndone(ctx); err != nil {
		return "", err
	}
	if err := j.carryOut(ctx, plan); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d rows of %d tables are as they were", plan.Rows, len(plan.Tables())), j.closeAgain(ctx)
}

// undoneTable keeps, on the server that is rewound alone, what was undone there. It is no part of any history: nothing of
// it stands in a binary log.
const undoneTable = `CREATE TABLE IF NOT EXISTS _primacy.undone (
	settlement VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
	transactions LONGTEXT NOT NULL,
	definitions LONGTEXT NOT NULL,
	target LONGTEXT NULL,
	undone_at DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COMMENT = 'Errant transactions that Primacy undoes on this server. Do not change.'`

const undoneRow = "INSERT INTO _primacy.undone (settlement, transactions, definitions, target, undone_at) VALUES (?, ?, ?, ?, UTC_TIMESTAMP(6))"

// undone is what the server says of its rewind. It speaks of rows, so it holds for whichever settlement finds it.
type undone struct {
	done        bool     // what is applied of the set was undone
	definitions string   // of the tables that were touched, as they were then
	target      gtid.Set // what gtid_executed is to become; empty before the last step
}

// readUndone asks the server. Rows from which something else was undone are no basis for undoing more.
func (j *job) readUndone(ctx context.Context) (undone, error) {
	rows, err := j.query(ctx, "SELECT transactions, definitions, COALESCE(target, '') FROM _primacy.undone")
	if errno := mysqlErrno(err); errno == errNoSuchTable || errno == errUnknownDatabase {
		return undone{}, nil
	}
	if err != nil || len(rows) == 0 {
		return undone{}, err
	}
	was, err := gtid.Parse(rows[0][0].text)
	if err != nil {
		return undone{}, err
	}
	target, err := gtid.Parse(rows[0][2].text)
	switch {
	case err != nil:
		return undone{}, err
	case len(rows) > 1, !target.IsEmpty() && !was.Contains(j.applied), target.IsEmpty() && !was.Equal(j.applied):
		return undone{}, unfitFor("undone_before", "%s was undone on %s before, and not brought to its end: with what it holds now its rows cannot be told; clone it", was, j.server)
	}
	return undone{done: true, definitions: rows[0][1].text, target: target}, nil
}

// prepareUndone opens super_read_only, with everybody else kept out by read_only and offline_mode, for what is written
// without a GTID.
func (j *job) prepareUndone(ctx context.Context) error {
	return j.unlogged(ctx, keptOut, "CREATE DATABASE IF NOT EXISTS _primacy DEFAULT CHARACTER SET = utf8mb4; "+undoneTable)
}

// keptOut guards what is done while super_read_only is off.
var keptOut = guard{
	broken: "@@GLOBAL.read_only = 0 OR @@GLOBAL.offline_mode = 0",
	reason: reparent.ReasonRefused,
	detail: "somebody opened it for others meanwhile",
}

// stillOpen guards what is done on a server that may have joined the others already.
var stillOpen = guard{broken: "@@GLOBAL.read_only = 0", reason: reparent.ReasonRefused, detail: "somebody opened it meanwhile"}

// unlogged runs statements that leave no trace in the binary log, and leaves super_read_only off.
func (a *act) unlogged(ctx context.Context, unless guard, statement string, args ...any) error {
	side, err := a.undoing(ctx, unless)
	if err != nil {
		return err
	}
	defer side.close()
	side.guards = []guard{unless}
	return side.run(ctx, statement, args...)
}

// undoing opens super_read_only, and a session whose changes leave no GTID.
func (a *act) undoing(ctx context.Context, unless guard) (*aside, error) {
	side, err := a.aside(ctx, dutyUndo)
	if err != nil {
		return nil, err
	}
	if err := a.changeUnless(ctx, []guard{unless}, "SET GLOBAL super_read_only = OFF"); err != nil {
		side.close()
		return nil, err
	}
	if err := side.link.exec(ctx, "SET SESSION sql_log_bin = 0"); err != nil {
		side.close()
		return nil, err
	}
	return side, nil
}

func (a *act) closeAgain(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, defaultDeadline)
	defer cancel()
	return a.closeForWrites(bounded, a.aside)
}

// carryOut is the one transaction that undoes the set. Whatever goes wrong before its commit, the end of the session
// takes it all back; when the reply to the commit is lost, the server's table tells.
func (j *job) carryOut(ctx context.Context, plan examined) error {
	side, err := j.undoing(ctx, keptOut)
	if err != nil {
		return err
	}
	defer side.close()
	begin := func(first string) error { // BINLOG takes the session's gtid_next away
		return side.link.exec(ctx, first+"; SET SESSION gtid_next = 'AUTOMATIC'; BEGIN")
	}
	n := 0
	for statement := range plan.Statements {
		run := begin
		if n > 0 {
			run = func(s string) error { return side.link.exec(ctx, s) }
		}
		if err := run(statement); err != nil {
			return j.notUndone(err, n)
		}
		if n++; n%100 == 0 {
			j.tell(settle.Progress{Step: settle.StepUndo, Text: "undoing", Done: uint64(n), Of: uint64(len(plan.Changes)), Unit: "events"})
		}
	}
	if err := plan.asBefore(ctx, side.link); err != nil {
		return err
	}
	side.guards = []guard{keptOut, j.stillErrant()}
	return side.run(ctx, undoneRow+"; COMMIT", j.task.Settlement, plan.Found.String(), plan.definitions, nil)
}

// notUndone explains an event that was refused: the rows are not what the log says, or not in the form that it describes.
func (j *job) notUndone(err error, n int) error {
	const noSuchRow, rowExists, otherColumns, packetTooLarge = 1032, 1062, 1677, 1153
	switch errno := mysqlErrno(err); errno {
	case noSuchRow, rowExists, otherColumns, packetTooLarge:
		return unfitFor("rows_differ", "%s: undoing event %d was refused with error %d: its rows are not those that its log tells of; nothing was undone; clone it", j.server, n, errno)
	}
	return err
}

// stillErrant keeps what was undone from being taken for clean, should somebody have emptied gtid_executed meanwhile.
func (j *job) stillErrant() guard {
	return guard{
		broken: "NOT GTID_SUBSET(" + literal(j.applied) + ", @@GLOBAL.gtid_executed)",
		reason: reparent.ReasonRefused,
		detail: "its gtid_executed was changed by somebody else meanwhile",
	}
}
