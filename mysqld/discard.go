package mysqld

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld/binlog"
	"github.com/primacydb/primacy/settle"
)

// A discard has the primary commit empty transactions with the GTIDs of the errant ones, see onprimary.go. Nobody gets any
// more what they did, and on the server nothing is undone: so every row that they touched has to be the same on the
// primary. What cannot be compared, like a statement or rows without a primary key, somebody has to answer for.

// discardMost bounds how many empty transactions the primary commits.
const discardMost = 1000

func (j *job) discardStep(ctx context.Context) (string, error) {
	switch j.task.Step {
	case settle.StepCheck:
		return j.checkDiscard(ctx)
	case settle.StepIsolate:
		return j.isolateWhole(ctx)
	case settle.StepCatchUp:
		return j.catchUp(ctx)
	case settle.StepVerify:
		return j.verifyDiscard(ctx)
	case settle.StepDiscard:
		return j.discard(ctx)
	case settle.StepExport, settle.StepUndo, settle.StepClone, settle.StepKeep, settle.StepAdmit:
	}
	return "", j.noSuchStep()
}

// checkDiscard compares rows before anything is done. The server may be behind, and rows may differ because of that: then
// it is refused too, for what the primary did to them since would come on top of the errant ones.
func (j *job) checkDiscard(ctx context.Context) (string, error) {
	if _, _, err := j.alone(ctx); err != nil {
		return "", err
	}
	if n := j.task.Set.Count(); n > discardMost {
		return "", unfitFor("too_many", "%d transactions are to be discarded, and %d may be", n, discardMost)
	}
	rows, err := j.comparableRows(ctx)
	if err != nil {
		return "", err
	}
	primary, err := j.fleet.dial(ctx, j.task.Primary, nil)
	if err != nil {
		return "", err
	}
	defer primary.close()
	there, err := rows.contents(ctx, primary, rows.keys)
	if err != nil {
		return "", err
	}
	if err := j.equalHere(ctx, rows.kept, rows.keys, there, "is another one on the primary: rewind or clone it"); err != nil {
		return "", err
	}
	return rows.told("are the same on the primary"), nil
}

// comparableSet is what the set touched, as far as it can be compared.
type comparableSet struct {
	kept
	keys   []touchedKey
	doubts []string // what cannot be
}

func (c comparableSet) told(what string) string {
	text := fmt.Sprintf("%d rows %s", len(c.keys), what)
	if len(c.doubts) > 0 {
		text += "; not compared, and answered for: " + strings.Join(c.doubts, "; ")
	}
	return text
}

// comparableRows reads the log, and refuses what cannot be compared unless somebody answers for it.
func (j *job) comparableRows(ctx context.Context) (comparableSet, error) {
	c := comparableSet{kept: kept{definitions: map[binlog.Table]definition{}}}
	log, err := j.readTouched(ctx, &c)
	if err != nil {
		return c, err
	}
	var fit []binlog.RowChange
	for _, change := range log.Changes {
		doubt, err := j.doubt(ctx, c.definitions, change)
		switch {
		case err != nil:
			return c, err
		case doubt == "":
			fit = append(fit, change)
		case !slices.Contains(c.doubts, doubt):
			c.doubts = append(c.doubts, doubt)
		}
	}
	log.Changes = fit
	if len(c.doubts) > 0 && !j.task.AcceptUnverified {
		return c, unfitFor("unverified", "%s: it cannot be seen whether the primary has the same: %s. See to it yourself, and accept it", j.server, strings.Join(c.doubts, "; "))
	}
	c.keys, err = j.touched(ctx, log, c.definitions)
	return c, err
}

// readTouched gathers the row changes of the set; statements and what the log does not hold are doubts.
func (j *job) readTouched(ctx context.Context, c *comparableSet) (*binlog.Undoing, error) {
	from, err := firstFile(ctx, j.link, j.task.Set)
	if err != nil {
		return nil, err
	}
	var log *binlog.Undoing
	err = j.fleet.withBinlog(ctx, j.server, func(config binlog.Config) error {
		log, c.doubts = &binlog.Undoing{}, nil
		read, err := binlog.Transactions(ctx, config, binlog.Position{File: from.file, Offset: 4}, j.task.Set, func(t binlog.Transaction) bool {
			log.Note(t)
			c.doubts = append(c.doubts, otherwise(t)...)
			return true
		})
		if missing := j.task.Set.Subtract(read.Seen); err == nil && !missing.IsEmpty() {
			c.doubts = append(c.doubts, fmt.Sprintf("the binary log does not hold %s", missing))
		}
		return err
	})
	return log, err
}

// otherwise is what a transaction did in another way than by rows.
func otherwise(t binlog.Transaction) (all []string) {
	for _, e := range t.Events {
		if q, ok := e.Event.(*replication.QueryEvent); ok {
			if word := binlog.Word(string(q.Query)); !binlog.Frame(word) {
				all = append(all, fmt.Sprintf("%s is a statement (%s …)", t.GTID, word))
			}
		}
	}
	return all
}

// doubt says why rows of a change cannot be found on the primary by their keys; empty when they can.
func (j *job) doubt(ctx context.Context, definitions map[binlog.Table]definition, change binlog.RowChange) (string, error) {
	d, known := definitions[change.Table]
	if !known {
		var err error
		if d, err = defined(ctx, j.link, change.Table); err != nil {
			return "", err
		}
		definitions[change.Table] = d
	}
	rows, _ := change.Event.Event.(*replication.RowsEvent)
	switch {
	case d.Engine == "":
		return fmt.Sprintf("table %s is not there any more, or may not be read", change.Table), nil
	case len(d.Key) == 0:
		return fmt.Sprintf("table %s has no primary key", change.Table), nil
	case !binlog.Whole(rows):
		return fmt.Sprintf("rows of table %s were not logged whole", change.Table), nil
	case sameColumns(change.Table, d, rows.Table) != nil:
		return fmt.Sprintf("table %s was altered since", change.Table), nil
	}
	return "", nil
}

// verifyDiscard compares again, when the server has what the primary has.
func (j *job) verifyDiscard(ctx context.Context) (string, error) {
	rows, err := j.comparableRows(ctx)
	if err != nil {
		return "", err
	}
	if err := j.compare(ctx, rows.keys, rows.definitions); err != nil {
		return "", err
	}
	return rows.told("equal the primary's"), nil
}

// discard has the primary commit the empty transactions. A row that was equal once stays so: whatever comes after it comes
// to both.
func (j *job) discard(ctx context.Context) (string, error) {
	if _, err := j.verifyDiscard(ctx); err != nil {
		return "", err
	}
	if err := j.commitEmpty(ctx); err != nil {
		return "", err
	}
	if err := j.forgetAnyUndone(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d empty transactions are the primary's", j.task.Set.Count()), nil
}

func (j *job) commitEmpty(ctx context.Context) error {
	primary, err := j.primary(ctx)
	if err != nil {
		return err
	}
	if err := j.onlyHere(ctx, primary); err != nil {
		return err
	}
	return j.onPrimary(ctx, func(side *aside) error {
		left, err := j.left(ctx, side.act.link)
		if err != nil {
			return err
		}
		done := 0
		for i := range left.Intervals() {
			for n := i.First; n <= i.Last; n++ {
				x := gtid.GTID{UUID: i.Source.UUID, Tag: i.Source.Tag, Number: n}
				if err := side.commits(ctx, "SET SESSION gtid_next = '"+x.String()+"'; BEGIN; COMMIT; SET SESSION gtid_next = 'AUTOMATIC'"); err != nil {
					return err
				}
				if done++; done%100 == 0 {
					j.tellCommitted(done, int(left.Count()))
				}
			}
		}
		return nil
	})
}

// forgetAnyUndone deletes what a rewind that did not come to its end has left: the rows that it undid are the primary's.
func (j *job) forgetAnyUndone(ctx context.Context) error {
	rows, err := j.query(ctx, "SELECT COUNT(*) FROM _primacy.undone")
	if errno := mysqlErrno(err); errno == errNoSuchTable || errno == errUnknownDatabase {
		return nil
	}
	if err != nil || rows[0][0].number() == 0 {
		return err
	}
	return j.forgetUndone(ctx)
}
