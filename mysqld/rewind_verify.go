package mysqld

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld/binlog"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// catchUp has the server follow the primary without acknowledging, still closed to everybody: it is errant by its own
// word all the while (3). It returns when the server has what the primary had at a moment within the step.
func (j *job) catchUp(ctx context.Context) (string, error) {
	p, err := j.follows(ctx)
	if err != nil {
		return "", err
	}
	if err := j.reaches(ctx, p.Executed); err != nil {
		return "", err
	}
	return "it has what the primary has", nil
}

// follows starts replication where it does not run, and returns the primary.
func (j *job) follows(ctx context.Context) (topology.Observation, error) {
	p, err := j.primary(ctx)
	if err != nil {
		return p, err
	}
	o, err := j.observe(ctx)
	if err != nil {
		return p, err
	}
	j.command.Source, j.command.Acker = j.task.Primary, false
	if j.isFollowing(o) && closed(o) && o.OfflineMode {
		return p, nil
	}
	if r := o.Replication; r != nil && r.ApplierErrno != 0 {
		return p, unfitFor("applier", "the applier of %s stopped with error %d while it caught up: it is not what it was; clone it", j.server, r.ApplierErrno)
	}
	return p, j.startFollowing(ctx, p)
}

func (j *job) startFollowing(ctx context.Context, p topology.Observation) error {
	bounded, cancel := context.WithTimeout(ctx, defaultDeadline)
	defer cancel()
	j.command.Within = p.Executed.Union(j.task.Set)
	if err := j.shutIn(bounded); err != nil {
		return err
	}
	o, err := j.observe(bounded)
	if err != nil {
		return err
	}
	if err := j.errant(o, gtid.Set{}); err != nil {
		return err
	}
	if err := j.acknowledges(bounded, o); err != nil {
		return err
	}
	if err := j.repoint(bounded, o); err != nil {
		return err
	}
	if err := j.changeUnless(bounded, append(j.strayed(), unfollowable), "START REPLICA"); err != nil {
		return err
	}
	_, err = j.receiverStarted(bounded)
	return err
}

// catchUpSlice is how long one look at a server that catches up takes.
const catchUpSlice = 10 * time.Second

// reaches waits until the server has executed a set, for a while.
func (j *job) reaches(ctx context.Context, set gtid.Set) error {
	bounded, cancel := context.WithTimeout(ctx, catchUpSlice)
	defer cancel()
	j.command.Set = set
	_, err := j.awaitApplied(bounded)
	if err == nil {
		return nil
	}
	o, seen := j.observe(ctx)
	switch {
	case seen != nil:
		return seen
	case o.Replication == nil:
		return refuse(reparent.ReasonRefused, "%s lost its channel meanwhile", j.server)
	case o.Replication.ApplierErrno != 0:
		return unfitFor("applier", "the applier of %s stopped with error %d while it caught up: it is not what it was; clone it", j.server, o.Replication.ApplierErrno)
	case o.Replication.Receiver == topology.ThreadOff && o.Replication.ReceiverErrno != 0:
		return refuse(reparent.ReasonError, "the receiver of %s stopped with error %d", j.server, o.Replication.ReceiverErrno)
	}
	missing := set.Subtract(o.Executed).Count()
	j.tell(settle.Progress{Step: j.task.Step, Text: fmt.Sprintf("%d transactions behind the primary", missing), Unit: "transactions"})
	return underWay{fmt.Sprintf("%s lacks %d transactions of the primary", j.server, missing)}
}

// verifyRewind compares every row that the set touched with the primary's. The keys come from the log as another program
// reads it: nothing that undid the rows has a part in it.
func (j *job) verifyRewind(ctx context.Context) (string, error) {
	o, err := j.observe(ctx)
	if err != nil {
		return "", err
	}
	if j.applied = o.Executed.Intersect(j.task.Set); j.applied.IsEmpty() {
		return "none of the transactions was ever applied", nil
	}
	was, err := j.readUndone(ctx)
	switch {
	case err != nil:
		return "", err
	case !was.done:
		return "", unfitFor("not_undone", "%s does not know of having undone anything: begin anew", j.server)
	}
	keys, definitions, err := j.loggedKeys(ctx)
	if err != nil {
		return "", err
	}
	if digest(definitions) != was.definitions {
		return "", unfitFor("schema_changed", "tables that were undone have been altered on the primary since: what was undone cannot be compared; clone %s", j.server)
	}
	if err := j.compare(ctx, keys, definitions); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d rows equal the primary's", len(keys)), nil
}

// loggedKeys reads the keys out of the log once more.
func (j *job) loggedKeys(ctx context.Context) ([]touchedKey, map[binlog.Table]definition, error) {
	from, err := firstFile(ctx, j.link, j.applied)
	if err != nil {
		return nil, nil, err
	}
	log := &binlog.Undoing{}
	err = j.fleet.withBinlog(ctx, j.server, func(c binlog.Config) error {
		log = &binlog.Undoing{}
		_, err := binlog.Transactions(ctx, c, binlog.Position{File: from.file, Offset: 4}, j.applied, func(t binlog.Transaction) bool {
			log.Note(t)
			return true
		})
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	definitions := map[binlog.Table]definition{}
	for _, change := range log.Changes {
		if _, known := definitions[change.Table]; !known {
			if definitions[change.Table], err = defined(ctx, j.link, change.Table); err != nil {
				return nil, nil, err
			}
		}
	}
	keys, err := j.touched(ctx, log, definitions)
	return keys, definitions, err
}

// comparisons is how often a row is looked at that differs: the primary goes on changing it.
const comparisons = 10

// compare reads rows on the primary, waits until the server has all that the primary had then, and reads them there. A
// row that is equal once was undone: what came after the set wrote whole rows over it, or left it alone.
func (j *job) compare(ctx context.Context, keys []touchedKey, definitions map[binlog.Table]definition) error {
	primary, err := j.fleet.dial(ctx, j.task.Primary, nil)
	if err != nil {
		return err
	}
	defer primary.close()
	differ := keys
	for range comparisons {
		if differ, err = j.differing(ctx, primary, differ, definitions); err != nil || len(differ) == 0 {
			return err
		}
	}
	return unfitFor("rows_differ", "%d rows of %s differ from the primary's after they were undone, the first in %s: it stays out; clone it",
		len(differ), j.server, differ[0].described())
}

func (j *job) differing(ctx context.Context, primary *link, keys []touchedKey, definitions map[binlog.Table]definition) (differ []touchedKey, err error) {
	for some := range slices.Chunk(keys, keysAtOnce) {
		if _, err := j.follows(ctx); err != nil {
			return nil, err
		}
		there, err := contents(ctx, primary, some, definitions)
		if err != nil {
			return nil, err
		}
		position, err := primary.query(ctx, "SELECT @@GLOBAL.gtid_executed")
		if err != nil {
			return nil, err
		}
		then, err := positionOf(position, nil)
		if err != nil {
			return nil, err
		}
		if err := j.reaches(ctx, then); err != nil {
			return nil, err
		}
		here, err := contents(ctx, j.link, some, definitions)
		if err != nil {
			return nil, err
		}
		for i, k := range some {
			if there[i] != here[i] {
				differ = append(differ, k)
			}
		}
	}
	return differ, nil
}

// contents are rows as text that can be compared, byte by byte; an absent row is empty.
func contents(ctx context.Context, l *link, keys []touchedKey, definitions map[binlog.Table]definition) ([]string, error) {
	var statements []string
	for _, k := range keys {
		statements = append(statements, "SELECT "+definitions[k.table].exactly()+" FROM "+quoteName(k.table.Schema)+"."+quoteName(k.table.Name)+" WHERE "+k.where)
	}
	results, err := l.queryAll(ctx, strings.Join(statements, ";"))
	if err != nil {
		return nil, err
	}
	var all []string
	for _, rows := range results {
		all = append(all, compared(rows))
	}
	return all, nil
}

// compared is rows as one text, in which a NULL is not the empty text that it is elsewhere.
func compared(rows []row) string {
	var all strings.Builder
	for _, r := range rows {
		for _, c := range r {
			if c.null {
				all.WriteString("NULL ")
				continue
			}
			fmt.Fprintf(&all, "%q ", c.text)
		}
		all.WriteString("; ")
	}
	return all.String()
}

// exactly selects all columns so that different values read differently. A FLOAT is rounded as text, and other values are
// told by their bytes, for a character set may not know all of them.
func (d definition) exactly() string {
	var columns []string
	for _, c := range d.Columns {
		name := quoteName(c.Name)
		switch c.Type {
		case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "year", "double":
		case "float":
			name = "CAST(" + name + " AS DOUBLE)"
		case "bit":
			name += " + 0"
		default:
			name = "HEX(" + name + ")"
		}
		columns = append(columns, name)
	}
	return strings.Join(columns, ", ")
}
