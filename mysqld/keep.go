package mysqld

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld/binlog"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// A keep has the primary do what the errant transactions did, with the rows of the server's own binary log, see
// onprimary.go. Each of them is committed there by itself, and while the locks of its rows are held:
//
//	(a) the rows are those that the log says were there before: undoing what was just done leads to the same rows;
//	(b) the server has all that the primary had committed when the locks were taken, and its rows are those that come of
//	    it, but for rows that a later transaction of the set changes again: those are compared with that one.
//
// No value is turned into text on the way, and no trigger fires: what triggers did stands in the log as well.

// keepRows bounds what is kept: its rows are locked on the primary while they are compared.
const keepRows = 1000

func (j *job) keepStep(ctx context.Context) (string, error) {
	switch j.task.Step {
	case settle.StepCheck:
		return j.checkKeep(ctx)
	case settle.StepIsolate:
		return j.isolateWhole(ctx)
	case settle.StepCatchUp:
		return j.catchUp(ctx)
	case settle.StepKeep:
		return j.keep(ctx)
	case settle.StepExport, settle.StepUndo, settle.StepClone, settle.StepVerify, settle.StepDiscard, settle.StepAdmit:
	}
	return "", j.noSuchStep()
}

// kept is a set of transactions that can be done again.
type kept struct {
	*binlog.Undoing
	definitions map[binlog.Table]definition
	keys        map[gtid.GTID][]touchedKey // of each transaction
	last        map[string]gtid.GTID       // which one changed a row last, by its name
}

// checkKeep plays all of the set through on the primary in one transaction, and takes it back.
func (j *job) checkKeep(ctx context.Context) (string, error) {
	plan, err := j.examineKeep(ctx)
	if err != nil {
		return "", err
	}
	if err := j.onPrimary(ctx, func(side *aside) error { return j.playThrough(ctx, side, plan) }); err != nil {
		return "", err
	}
	var names []string
	for _, t := range plan.Tables() {
		names = append(names, t.String())
	}
	return fmt.Sprintf("%d rows of tables %s are on the primary as they were before, and can be changed there", plan.Rows, strings.Join(names, ", ")), nil
}

func (j *job) examineKeep(ctx context.Context) (kept, error) {
	if _, _, err := j.alone(ctx); err != nil {
		return kept{}, err
	}
	log, err := j.readLog(ctx, binlog.UndoLimits{Rows: min(cmp.Or(j.task.Limits.Rows, settle.RowsMax), keepRows), Overwritten: true})
	if err != nil {
		return kept{}, err
	}
	plan := kept{Undoing: log, definitions: map[binlog.Table]definition{}, keys: map[gtid.GTID][]touchedKey{}, last: map[string]gtid.GTID{}}
	if err := j.examineKept(ctx, plan); err != nil {
		return kept{}, err
	}
	return plan, j.sameOnPrimary(ctx, plan.definitions)
}

// examineKept checks the tables of the set, and finds the rows that each transaction touches.
func (j *job) examineKept(ctx context.Context, plan kept) error {
	for _, t := range plan.Tables() {
		d, err := defined(ctx, j.link, t)
		if err != nil {
			return err
		}
		if err := j.tableFits(ctx, t, d); err != nil {
			return err
		}
		child, _, err := j.children(ctx, t)
		if err != nil {
			return err
		}
		if !child.null {
			return unfitFor("cascade", "%s: foreign keys change rows of %s with those of %s, and would again on the primary", j.server, child, t)
		}
		plan.definitions[t] = d
	}
	for _, change := range plan.Changes {
		rows, _ := change.Event.Event.(*replication.RowsEvent)
		if err := sameColumns(change.Table, plan.definitions[change.Table], rows.Table); err != nil {
			return err
		}
	}
	for _, x := range plan.Order {
		keys, err := j.touched(ctx, &binlog.Undoing{Changes: plan.of(x), Rows: plan.Rows}, plan.definitions)
		if err != nil {
			return err
		}
		plan.keys[x] = keys
		for _, k := range keys {
			plan.last[k.name()] = x
		}
	}
	return nil
}

// of are the row events of one transaction.
func (k kept) of(x gtid.GTID) []binlog.RowChange {
	return slices.DeleteFunc(slices.Clone(k.Changes), func(c binlog.RowChange) bool { return c.GTID != x })
}

// all are the keys of all rows, each once.
func (k kept) all() []touchedKey {
	var all []touchedKey
	for _, x := range k.Order {
		all = append(all, k.lastBy(x)...)
	}
	return all
}

// lastBy are the keys of those rows that no later transaction of the set touches.
func (k kept) lastBy(x gtid.GTID) []touchedKey {
	return slices.DeleteFunc(slices.Clone(k.keys[x]), func(key touchedKey) bool { return k.last[key.name()] != x })
}

// sameOnPrimary refuses tables that are other ones on the primary.
func (j *job) sameOnPrimary(ctx context.Context, definitions map[binlog.Table]definition) error {
	primary, err := j.fleet.dial(ctx, j.task.Primary, nil)
	if err != nil {
		return err
	}
	defer primary.close()
	for _, t := range slices.SortedFunc(maps.Keys(definitions), func(a, b binlog.Table) int { return strings.Compare(a.String(), b.String()) }) {
		there, err := defined(ctx, primary, t)
		if err != nil {
			return err
		}
		one, other := map[binlog.Table]definition{t: there}, map[binlog.Table]definition{t: definitions[t]}
		if digest(one) != digest(other) {
			return unfitFor("schema_changed", "table %s is not the same on the primary", t)
		}
	}
	return nil
}

// playThrough does everything on the primary and takes it back. The server is not up to date yet: what it has is what the
// set left, or somebody else has changed it.
func (j *job) playThrough(ctx context.Context, side *aside, plan kept) error {
	if err := j.undoable(ctx, side, plan, "AUTOMATIC", plan.Changes, plan.all()); err != nil {
		return err
	}
	for _, x := range plan.Order {
		if err := j.carry(ctx, side, plan.of(x)); err != nil {
			return err
		}
		if err := j.sameHere(ctx, side, plan, plan.lastBy(x)); err != nil {
			return err
		}
	}
	return side.link.exec(ctx, "ROLLBACK")
}

// lockWait is how long the primary's clients may keep a row or a table from us; deadlocks end us at once. idleMost is after
// how long without a word the primary takes it for given up: the rows of an elector that is frozen, or whose host is gone,
// would else stay locked for an hour.
const (
	lockWait = 2 * time.Second
	idleMost = 30 * time.Second
)

// undoable begins a transaction on the primary, and sees to it that (a) holds for changes: it does them and undoes them. The
// rows stay locked.
func (j *job) undoable(ctx context.Context, side *aside, plan kept, next string, changes []binlog.RowChange, keys []touchedKey) error {
	begin := fmt.Sprintf("SET SESSION innodb_lock_wait_timeout = %[1]d, lock_wait_timeout = %[1]d, wait_timeout = %[2]d; SET SESSION gtid_next = '%[3]s'; BEGIN; SAVEPOINT before_it",
		int(lockWait.Seconds()), int(idleMost.Seconds()), next)
	if len(changes) > 0 { // BINLOG takes the session's gtid_next away
		begin = plan.Format() + "; " + begin
	}
	if err := side.link.exec(ctx, begin); err != nil {
		return err
	}
	if err := j.carry(ctx, side, changes); err != nil {
		return err
	}
	if err := j.asLogged(ctx, side, plan, changes, keys); err != nil {
		return err
	}
	return side.link.exec(ctx, "ROLLBACK TO SAVEPOINT before_it")
}

// carry does changes on the primary.
func (j *job) carry(ctx context.Context, side *aside, changes []binlog.RowChange) error {
	side.changed = true
	for _, c := range changes {
		if err := side.link.exec(ctx, binlog.Statement(c.Description, c.Again)); err != nil {
			return notDone(err, side.server, c.Table)
		}
	}
	return nil
}

// asLogged compares the rows as another session sees them, which is as they were committed, with what is left of them when
// the changes are undone. Nobody else changes them meanwhile: they are locked.
func (j *job) asLogged(ctx context.Context, side *aside, plan kept, changes []binlog.RowChange, keys []touchedKey) error {
	others, err := j.fleet.dial(ctx, j.task.Primary, nil)
	if err != nil {
		return err
	}
	defer others.close()
	if err := others.exec(ctx, "SET SESSION transaction_isolation = 'READ-COMMITTED'"); err != nil {
		return err
	}
	now, err := plan.contents(ctx, others, keys)
	if err != nil {
		return err
	}
	for _, c := range slices.Backward(changes) {
		if err := side.link.exec(ctx, binlog.Statement(c.Description, c.Inverse)); err != nil {
			return notDone(err, side.server, c.Table)
		}
	}
	before, err := plan.contents(ctx, side.link, keys)
	if err != nil {
		return err
	}
	for i, k := range keys {
		if now[i] != before[i] {
			return unfitFor("rows_differ", "%s: a row of %s has been changed since; what was done to it on %s cannot be done again", side.server, k.described(), j.server)
		}
	}
	return nil
}

// notDone explains an event that the primary refused.
func notDone(err error, primary topology.Address, t binlog.Table) error {
	const noSuchRow, rowExists, isParent, isChild, otherColumns, packetTooLarge, deadlock = 1032, 1062, 1451, 1452, 1677, 1153, 1213
	switch errno := mysqlErrno(err); errno {
	case noSuchRow, rowExists, isParent, isChild, otherColumns, packetTooLarge:
		return unfitFor("rows_differ", "%s refused a row of table %s with error %d: its rows are not those that the transactions were written upon", primary, t, errno)
	case errLockWaitTimeout, deadlock:
		return unfitYet("locked", "%s: somebody else has locked rows of table %s", primary, t)
	}
	return err
}

// contents reads rows, a few at a time.
func (k kept) contents(ctx context.Context, l *link, keys []touchedKey) (all []string, err error) {
	for some := range slices.Chunk(keys, keysAtOnce) {
		part, err := contents(ctx, l, some, k.definitions)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	return all, nil
}

// sameHere compares rows of the server with what the transaction that is open on the primary makes of them. Keys that
// differ as text and are equal by their collation count as different ones: where both were used, this refuses too much.
func (j *job) sameHere(ctx context.Context, side *aside, plan kept, keys []touchedKey) error {
	wanted, err := plan.contents(ctx, side.link, keys)
	if err != nil {
		return err
	}
	return j.equalHere(ctx, plan, keys, wanted, "is not what the transactions left of it: it was changed since")
}

func (j *job) equalHere(ctx context.Context, plan kept, keys []touchedKey, wanted []string, otherwise string) error {
	here, err := plan.contents(ctx, j.link, keys)
	if err != nil {
		return err
	}
	for i, k := range keys {
		if here[i] != wanted[i] {
			return unfitFor("rows_differ", "%s: a row of %s %s", j.server, k.described(), otherwise)
		}
	}
	return nil
}

// keep commits one transaction after the other on the primary.
func (j *job) keep(ctx context.Context) (string, error) {
	if _, err := j.follows(ctx); err != nil {
		return "", err
	}
	plan, err := j.examineKeep(ctx)
	if err != nil {
		return "", err
	}
	others, err := j.fleet.dial(ctx, j.task.Primary, nil)
	if err != nil {
		return "", err
	}
	defer others.close()
	left, err := j.left(ctx, others)
	if err != nil {
		return "", err
	}
	for i, x := range plan.Order {
		if !left.Has(x) {
			continue
		}
		if err := j.onPrimary(ctx, func(side *aside) error { return j.keepOne(ctx, side, others, plan, x) }); err != nil {
			return "", err
		}
		j.tellCommitted(i+1, len(plan.Order))
	}
	return fmt.Sprintf("%d transactions with %d rows are the primary's", len(plan.Order), plan.Rows), nil
}

// keepOne commits one transaction on the primary, if (a) and (b) hold.
func (j *job) keepOne(ctx context.Context, side *aside, others *link, plan kept, x gtid.GTID) error {
	if err := j.undoable(ctx, side, plan, x.String(), plan.of(x), plan.keys[x]); err != nil {
		return err
	}
	if err := j.carry(ctx, side, plan.of(x)); err != nil {
		return err
	}
	executed, owned, err := committed(ctx, others)
	if err != nil {
		return err
	}
	if err := j.soonReaches(ctx, executed.Union(owned.Subtract(j.task.Set))); err != nil {
		return err
	}
	if err := j.sameHere(ctx, side, plan, plan.lastBy(x)); err != nil {
		return err
	}
	return side.commits(ctx, "COMMIT")
}

// holdMax is how long rows of the primary are locked for a server that has to catch up.
const holdMax = 3 * time.Second

// soonReaches waits until the server has executed a set, as long as rows may be locked for it.
func (j *job) soonReaches(ctx context.Context, set gtid.Set) error {
	bounded, cancel := context.WithTimeout(ctx, holdMax)
	defer cancel()
	err := j.reaches(bounded, set)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return underWay{fmt.Sprintf("%s is more than %s behind the primary", j.server, holdMax)}
	}
	return err
}
