package mysqld

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld/binlog"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// What has to hold before anything is undone. Each condition has a word of its own, so that a program can tell them
// apart; a server that does not meet one is left as it is, for a clone.

func (j *job) checkRewind(ctx context.Context) (string, error) {
	plan, err := j.examine(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case j.applied.IsEmpty():
		return "none of it is applied, so there is nothing to undo", nil
	case plan.done:
		return "it was undone before, and goes on from there", nil
	}
	var names []string
	for _, t := range plan.Tables() {
		names = append(names, t.String())
	}
	return fmt.Sprintf("%d rows of tables %s can be undone", plan.Rows, strings.Join(names, ", ")), nil
}

// examined is a set of transactions that can be undone.
type examined struct {
	*binlog.Undoing
	done        bool // an earlier attempt has undone it
	keys        []touchedKey
	definitions string
}

// examine checks everything, changes nothing, and returns what undoes the set.
func (j *job) examine(ctx context.Context) (examined, error) {
	o, err := j.sight(ctx)
	if err != nil {
		return examined{}, err
	}
	p, err := j.primary(ctx)
	if err != nil {
		return examined{}, err
	}
	j.applied = o.Executed.Intersect(j.task.Set)
	if err := j.stillLacked(ctx, p); err != nil {
		return examined{}, err
	}
	if err := j.dispensable(ctx, o, p); err != nil {
		return examined{}, err
	}
	if j.applied.IsEmpty() {
		return examined{Undoing: binlog.Undo(gtid.Set{}, binlog.UndoLimits{})}, nil
	}
	if was, err := j.readUndone(ctx); err != nil || was.done {
		return examined{Undoing: binlog.Undo(gtid.Set{}, binlog.UndoLimits{}), done: was.done}, err
	}
	log, err := j.readLog(ctx, binlog.UndoLimits{Rows: cmp.Or(j.task.Limits.Rows, settle.RowsMax)})
	if err != nil {
		return examined{}, err
	}
	plan := examined{Undoing: log}
	err = j.examineTables(ctx, &plan)
	return plan, err
}

// sight is the server with whoever replicates from it at this moment: a probe may tell who did half a minute ago.
func (j *job) sight(ctx context.Context) (topology.Observation, error) {
	o, err := j.observe(ctx)
	if err != nil {
		return o, err
	}
	replicas, err := replicasOf(ctx, j.link)
	if lacksPrivilege(err) {
		return o, nil
	}
	o.Replicas = replicas
	return o, err
}

// primary is the established primary, read first-hand.
func (j *job) primary(ctx context.Context) (topology.Observation, error) {
	p := j.fleet.Probe(ctx, j.task.Primary)
	switch {
	case !p.OK():
		return p, underWay{fmt.Sprintf("the primary %s does not answer: %s", j.task.Primary, p.Error)}
	case p.UUID != j.task.PrimaryUUID:
		return p, unfitFor("primary", "another server than the primary answers at %s", j.task.Primary)
	case !p.Writable():
		return p, underWay{fmt.Sprintf("%s takes no writes", j.task.Primary)}
	}
	return p, nil
}

// stillLacked refuses to undo what the primary has got since, as when a change kept it: nothing would look errant afterwards,
// and the rows would be missing.
func (j *job) stillLacked(ctx context.Context, p topology.Observation) error {
	there := p.Executed.Intersect(j.applied)
	if there.IsEmpty() {
		return nil
	}
	if was, err := j.readUndone(ctx); err != nil || was.done {
		return err
	}
	return unfitFor("not_errant", "the primary has %s by now, so %s is not errant because of it; nothing was undone", there, j.server)
}

// dispensable checks (1), that nobody replicates from the server, that it can catch up afterwards, and that no GTID comes
// to stand for two transactions.
func (j *job) dispensable(ctx context.Context, o, p topology.Observation) error {
	if err := j.detached(o, p); err != nil {
		return err
	}
	return j.reused(ctx, o)
}

// detached checks that the server can be taken out of replication, and can catch up.
func (j *job) detached(o, p topology.Observation) error {
	if alone := o.Position().Subtract(j.task.Set).Subtract(p.Executed); !alone.IsEmpty() {
		return unfitFor("last_copy", "%s holds %s, which the primary lacks and which is not to be undone", j.server, alone)
	}
	if len(o.Replicas) > 0 {
		return unfitYet("replicas", "%v replicate from %s: what is undone here would stay there", o.Replicas, j.server)
	}
	if gone := p.Purged.Subtract(o.Executed); !gone.IsEmpty() {
		return unfitFor("purged", "the primary has purged %s, which %s needs to catch up", gone, j.server)
	}
	return nil
}

// reused refuses what would give one GTID to two transactions: once its own numbers are taken back the server uses them
// again, should it lead, and whoever holds the old ones would skip the new.
func (j *job) reused(ctx context.Context, o topology.Observation) error {
	own := j.task.Set.Only(func(s gtid.Source) bool { return s.UUID == o.UUID })
	if own.IsEmpty() {
		return nil
	}
	for _, member := range j.task.Members {
		if member == j.server {
			continue
		}
		m := j.fleet.Probe(ctx, member)
		switch held := m.Position().Intersect(own); {
		case !m.OK() && !j.task.AcceptReuse:
			return unfitYet("reuse", "%s could not be asked (%s) whether it holds %s; %s would use the same numbers again. "+
				"Bring it back, take it out of the cluster, or accept it", member, m.Error, own, j.server)
		case !held.IsEmpty():
			return unfitFor("reuse", "%s holds %s too: settle it first, for %s would use the same numbers again", member, held, j.server)
		}
	}
	return nil
}

// undoBytes bounds what is undone in one transaction; a single event has to fit into a statement.
const undoBytes = 256 << 20

// readLog gathers what undoes the applied part of the set.
func (j *job) readLog(ctx context.Context, limits binlog.UndoLimits) (*binlog.Undoing, error) {
	rows, err := j.query(ctx, "SELECT @@GLOBAL.max_allowed_packet")
	if err != nil {
		return nil, err
	}
	const driverMax, spare = 64 << 20, 64 << 10
	limits.Bytes, limits.Event = undoBytes, (min(int(rows[0][0].number()), driverMax)-spare)/4*3
	from, err := firstFile(ctx, j.link, j.applied)
	if err != nil {
		return nil, err
	}
	var u *binlog.Undoing
	err = j.fleet.withBinlog(ctx, j.server, func(c binlog.Config) error {
		var failed error
		u = binlog.Undo(j.applied, limits)
		read := binlog.Read(ctx, c, binlog.Position{File: from.file, Offset: 4}, func(e binlog.Event) bool {
			failed = u.Add(e)
			return failed == nil
		})
		if failed != nil {
			return failed
		}
		return read
	})
	if err != nil {
		return nil, err
	}
	if missing := j.applied.Subtract(u.Found); !missing.IsEmpty() {
		return nil, unfitFor("purged", "the binary log of %s holds %s no more", j.server, missing)
	}
	return u, nil
}

// definition is what a table looks like.
type definition struct {
	Engine  string
	Columns []columnDefinition
	Key     []string // the columns of the primary key
}

type columnDefinition struct{ Name, Type, Charset, Length string }

func (d definition) keyColumn(name string) (columnDefinition, bool) {
	i := slices.IndexFunc(d.Columns, func(c columnDefinition) bool { return c.Name == name })
	if i < 0 || !slices.Contains(d.Key, name) {
		return columnDefinition{}, false
	}
	return d.Columns[i], true
}

// defined reads what a table looks like; an absent one has no engine.
func defined(ctx context.Context, l *link, t binlog.Table) (d definition, err error) {
	results, err := l.queryAll(ctx, `SELECT engine FROM information_schema.tables WHERE table_schema = ? AND table_name = ? AND table_type = 'BASE TABLE';
		SELECT column_name, data_type, COALESCE(character_set_name, ''), COALESCE(character_octet_length, '')
			FROM information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position;
		SELECT column_name FROM information_schema.statistics WHERE table_schema = ? AND table_name = ? AND index_name = 'PRIMARY' ORDER BY seq_in_index`,
		t.Schema, t.Name, t.Schema, t.Name, t.Schema, t.Name)
	if err != nil {
		return d, err
	}
	if len(results[0]) > 0 {
		d.Engine = results[0][0][0].text
	}
	for _, r := range results[1] {
		d.Columns = append(d.Columns, columnDefinition{r[0].text, strings.ToLower(r[1].text), r[2].text, r[3].text})
	}
	for _, r := range results[2] {
		d.Key = append(d.Key, r[0].text)
	}
	return d, nil
}

// examineTables checks the tables of the set, and whether their rows can be found by their keys.
func (j *job) examineTables(ctx context.Context, plan *examined) error {
	definitions := map[binlog.Table]definition{}
	for _, t := range plan.Tables() {
		d, err := defined(ctx, j.link, t)
		if err != nil {
			return err
		}
		if err := j.tableFits(ctx, t, d); err != nil {
			return err
		}
		definitions[t] = d
	}
	for _, change := range plan.Changes {
		rows, _ := change.Event.Event.(*replication.RowsEvent)
		if err := sameColumns(change.Table, definitions[change.Table], rows.Table); err != nil {
			return err
		}
	}
	plan.definitions = digest(definitions)
	keys, err := j.touched(ctx, plan.Undoing, definitions)
	if err != nil {
		return err
	}
	plan.keys = keys
	return plan.asAfter(ctx, j.link)
}

// digest names definitions: they are the same exactly when it is.
func digest(all map[binlog.Table]definition) string {
	named := map[string]definition{}
	for t, d := range all {
		named[t.String()] = d
	}
	text, _ := json.Marshal(named) // in the order of the names; nothing in it can fail
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func (j *job) tableFits(ctx context.Context, t binlog.Table, d definition) error {
	switch {
	case d.Engine == "":
		return unfitFor("no_table", "%s: table %s is not there any more, or %s lacks SELECT on it", j.server, t, j.fleet.settings.User)
	case d.Engine != "InnoDB":
		return unfitFor("engine", "%s: table %s is of engine %s, which takes nothing back", j.server, t, d.Engine)
	case len(d.Key) == 0:
		return unfitFor("no_primary_key", "%s: table %s has no primary key: its rows cannot be told apart", j.server, t)
	}
	return j.cascades(ctx, t)
}

// cascades refuses tables whose foreign keys change children that do not stand in the binary log. From 9.6 on they do,
// unless the server is told to leave them to InnoDB.
func (j *job) cascades(ctx context.Context, t binlog.Table) error {
	child, logged, err := j.children(ctx, t)
	if err == nil && !logged && !child.null {
		err = unfitFor("cascade", "%s: rows of %s go with those of %s without a trace in the binary log", j.server, child, t)
	}
	return err
}

// children names a table whose rows foreign keys change with those of another one, and tells whether the log tells of them.
func (j *job) children(ctx context.Context, t binlog.Table) (child cell, logged bool, err error) {
	rows, err := j.query(ctx, `SELECT (SELECT variable_value FROM performance_schema.global_variables WHERE variable_name = 'innodb_native_foreign_keys'),
		(SELECT CONCAT(MIN(constraint_schema), '.', MIN(table_name)) FROM information_schema.referential_constraints
		WHERE unique_constraint_schema = ? AND referenced_table_name = ?
			AND (delete_rule NOT IN ('RESTRICT', 'NO ACTION') OR update_rule NOT IN ('RESTRICT', 'NO ACTION')))`, t.Schema, t.Name)
	if err != nil {
		return cell{}, false, err
	}
	return rows[0][1], rows[0][0].text == "OFF", nil
}

// loggedAs are the types under which a binary log may describe a column. Tried on 9.7.
var loggedAs = map[string][]byte{
	"tinyint": {mysql.MYSQL_TYPE_TINY}, "smallint": {mysql.MYSQL_TYPE_SHORT}, "mediumint": {mysql.MYSQL_TYPE_INT24},
	"int": {mysql.MYSQL_TYPE_LONG}, "bigint": {mysql.MYSQL_TYPE_LONGLONG}, "year": {mysql.MYSQL_TYPE_YEAR},
	"float": {mysql.MYSQL_TYPE_FLOAT}, "double": {mysql.MYSQL_TYPE_DOUBLE}, "decimal": {mysql.MYSQL_TYPE_NEWDECIMAL},
	"bit": {mysql.MYSQL_TYPE_BIT}, "date": {mysql.MYSQL_TYPE_DATE}, "time": {mysql.MYSQL_TYPE_TIME2, mysql.MYSQL_TYPE_TIME},
	"datetime":  {mysql.MYSQL_TYPE_DATETIME2, mysql.MYSQL_TYPE_DATETIME},
	"timestamp": {mysql.MYSQL_TYPE_TIMESTAMP2, mysql.MYSQL_TYPE_TIMESTAMP},
	"char":      {mysql.MYSQL_TYPE_STRING}, "binary": {mysql.MYSQL_TYPE_STRING}, "enum": {mysql.MYSQL_TYPE_STRING}, "set": {mysql.MYSQL_TYPE_STRING},
	"varchar": {mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_VAR_STRING}, "varbinary": {mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_VAR_STRING},
	"json": {mysql.MYSQL_TYPE_JSON}, "vector": {mysql.MYSQL_TYPE_VECTOR},
	"tinytext": {mysql.MYSQL_TYPE_BLOB}, "text": {mysql.MYSQL_TYPE_BLOB}, "mediumtext": {mysql.MYSQL_TYPE_BLOB}, "longtext": {mysql.MYSQL_TYPE_BLOB},
	"tinyblob": {mysql.MYSQL_TYPE_BLOB}, "blob": {mysql.MYSQL_TYPE_BLOB}, "mediumblob": {mysql.MYSQL_TYPE_BLOB}, "longblob": {mysql.MYSQL_TYPE_BLOB},
	"geometry": {mysql.MYSQL_TYPE_GEOMETRY}, "point": {mysql.MYSQL_TYPE_GEOMETRY}, "linestring": {mysql.MYSQL_TYPE_GEOMETRY},
	"polygon": {mysql.MYSQL_TYPE_GEOMETRY}, "multipoint": {mysql.MYSQL_TYPE_GEOMETRY}, "multilinestring": {mysql.MYSQL_TYPE_GEOMETRY},
	"multipolygon": {mysql.MYSQL_TYPE_GEOMETRY}, "geomcollection": {mysql.MYSQL_TYPE_GEOMETRY},
}

// sameColumns refuses a table that was changed since: its columns are not those that the log describes. The server
// compares them again, more closely, when it is told to undo.
func sameColumns(t binlog.Table, d definition, logged *replication.TableMapEvent) error {
	if len(d.Columns) != len(logged.ColumnType) {
		return unfitFor("schema_changed", "table %s has %d columns, and had %d when it was changed", t, len(d.Columns), len(logged.ColumnType))
	}
	for i, c := range d.Columns {
		if !slices.Contains(loggedAs[c.Type], logged.ColumnType[i]) {
			return unfitFor("schema_changed", "column %s of table %s is a %s, and was none when it was changed", c.Name, t, c.Type)
		}
	}
	return nil
}
