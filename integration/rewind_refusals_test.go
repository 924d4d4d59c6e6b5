package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

func TestWhatCannotBeUndoneExactlyIsRefusedByItsReasonBeforeAnythingChanges(t *testing.T) {
	e := strayed(t,
		"CREATE TABLE app.goods (id INT PRIMARY KEY, name VARCHAR(30), doc JSON)", "INSERT INTO app.goods VALUES (1, 'apple', '{\"a\": [1, 2, 3]}')",
		"CREATE TABLE app.pairs (id INT PRIMARY KEY, v INT)", "CREATE TABLE app.nokey (id INT)",
		"CREATE TABLE app.ours (id INT PRIMARY KEY) ENGINE = MyISAM")
	insert := "INSERT INTO app.pairs VALUES (%d, 0)"
	for i, row := range []struct {
		name, code string
		alone      []string
		prepare    func()
	}{
		{"a statement that changes a table", "ddl", []string{"CREATE TABLE app.more (id INT)"}, nil},
		{"an account", "ddl", []string{"CREATE USER somebody IDENTIFIED BY 'secret'"}, nil},
		{"rows that were not logged whole", "row_image", []string{"SET SESSION binlog_row_image = MINIMAL", "UPDATE app.goods SET name = 'x' WHERE id = 1"}, nil},
		{"a part of a document", "row_image", []string{"SET SESSION binlog_row_value_options = PARTIAL_JSON", "UPDATE app.goods SET doc = JSON_SET(doc, '$.a[0]', 9) WHERE id = 1"}, nil},
		{"a table without a primary key", "no_primary_key", []string{"INSERT INTO app.nokey VALUES (1)"}, nil},
		{"an engine that takes nothing back", "engine", []string{"INSERT INTO app.ours VALUES (1)"}, nil},
		{"an XA transaction", "xa", []string{"XA START 'x'", fmt.Sprintf(insert, 100), "XA END 'x'", "XA PREPARE 'x'", "XA COMMIT 'x'"}, nil},
		{"more rows than allowed", "too_many_rows", []string{fmt.Sprintf(insert, 200), fmt.Sprintf(insert, 201)}, func() { e.task.Limits = settle.Limits{Rows: 1} }},
		{"a log that was purged", "purged", []string{fmt.Sprintf(insert, 300), "FLUSH BINARY LOGS"}, func() {
			files := e.table(e.old, "SHOW BINARY LOGS")
			e.byHand(e.old, "PURGE BINARY LOGS TO '"+files[len(files)-1][0]+"'")
		}},
		{"a table that was changed since", "schema_changed", []string{"INSERT INTO app.goods (id) VALUES (400)"}, func() {
			e.unrecorded(e.old, "ALTER TABLE app.goods ADD COLUMN more INT")
		}},
		{"rows that are not as they were left", "rows_differ", []string{"INSERT INTO app.pairs VALUES (1, 1)"}, func() {
			e.unrecorded(e.old, "DELETE FROM app.pairs")
		}},
		{"the last copy of something else", "last_copy", []string{fmt.Sprintf(insert, 600), fmt.Sprintf(insert, 601)}, func() {
			uuid := e.probe(e.old).UUID
			e.task.Set = within(t, uuid.String()+":1-1")
		}},
		{"a later transaction on the same rows, which stays", "interleaved", []string{fmt.Sprintf(insert, 650)}, func() {
			e.byHand(e.old, "START REPLICA")
			e.byHand(e.task.Primary, fmt.Sprintf(insert, 651))
			e.eventually("the transaction", func() bool { return e.holds(e.old).Contains(e.holds(e.task.Primary)) })
			e.byHand(e.old, "STOP REPLICA")
		}},
		{"a number that another member holds too", "reuse", []string{fmt.Sprintf(insert, 700)}, func() {
			other := e.members(e.old, e.task.Primary)[0]
			e.byHand(other, "SET GLOBAL super_read_only = OFF", "SET SESSION gtid_next = '"+e.task.Set.String()+"'", "COMMIT", "SET SESSION gtid_next = 'AUTOMATIC'", "SET GLOBAL super_read_only = ON")
		}},
		{"what the primary has got meanwhile", "not_errant", []string{fmt.Sprintf(insert, 800)}, func() {
			e.byHand(e.task.Primary, "SET SESSION gtid_next = '"+e.task.Set.String()+"'", "COMMIT", "SET SESSION gtid_next = 'AUTOMATIC'")
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			in := *e
			in.cluster = &cluster{}
			*in.cluster = *e.cluster
			in.t, e.task.Limits = t, settle.Limits{}
			e.strays(fmt.Sprint("refused-", i), func(a topology.Address) { e.byHand(a, row.alone...) })
			if row.prepare != nil {
				row.prepare()
			}
			in.task = e.task
			in.refuses(settle.StepCheck, row.code)
			e.forgiven()
		})
	}
}

func TestAMemberThatCannotBeAskedBlocksARewindUntilSomebodyAnswersForIt(t *testing.T) {
	e := strayed(t, fewTables...)
	e.strays("unasked", e.changesMuch)
	down := e.members(e.old, e.task.Primary)[0]
	e.byHand(e.task.Primary, "SET GLOBAL rpl_semi_sync_source_enabled = OFF") // nobody acknowledges any more
	e.kill(down)
	e.declines(settle.StepCheck, "reuse", false)
	e.task.AcceptReuse = true
	e.does(rewindSteps...)
	e.follows()
	e.alike("app.goods")
}

func TestAReplicaOfTheErrantServerBlocksARewind(t *testing.T) {
	e := strayed(t, fewTables...)
	other := e.members(e.old, e.task.Primary)[0]
	e.strays("followed", e.changesMuch)
	e.byHand(e.task.Primary, "SET GLOBAL rpl_semi_sync_source_enabled = OFF")
	e.byHand(other, "STOP REPLICA", fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_PORT = %d", e.server(e.old).Port), "START REPLICA")
	e.eventually("the replica's replica", func() bool { return len(e.probe(e.old).Replicas) > 0 })
	e.declines(settle.StepCheck, "replicas", false)
}

// A server that is watched is asked rarely who replicates from it: what its probes tell of that may be half a minute old.
func TestWhoReplicatesFromAnErrantServerIsAskedWhenItIsRewound(t *testing.T) {
	e := strayed(t, fewTables...)
	other := e.members(e.old, e.task.Primary)[0]
	e.byHand(e.task.Primary, "SET GLOBAL rpl_semi_sync_source_enabled = OFF")
	listed := func(n int) {
		t.Helper()
		e.eventually("its list of replicas", func() bool { return len(e.table(e.old, "SHOW REPLICAS")) == n })
	}
	to := func(source topology.Address) {
		e.byHand(other, "STOP REPLICA", fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_PORT = %d", e.server(source).Port), "START REPLICA")
	}
	e.forgiven()
	to(e.old)
	listed(1)
	e.fleet.Watch(clusterName, e.members())
	e.eventually("a probe that tells of it", func() bool { return len(e.probe(e.old).Replicas) == 1 })
	e.byHand(other, "STOP REPLICA")
	listed(0)
	e.strays("asked", e.changesMuch)
	told := len(e.probe(e.old).Replicas)
	e.does(settle.StepCheck)
	to(e.old)
	listed(1)
	e.declines(settle.StepCheck, "replicas", false)
	t.Logf("before it was asked, %d were told of", told)
}

// Until 9.5, and where it is told to later, InnoDB deletes the children of a row by itself.
func TestChildrenThatGoWithoutATraceInTheLogBlockARewind(t *testing.T) {
	e := strayed(t, "CREATE TABLE app.parents (id INT PRIMARY KEY)",
		"CREATE TABLE app.children (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES app.parents (id) ON DELETE CASCADE)",
		"INSERT INTO app.parents VALUES (1)", "INSERT INTO app.children VALUES (1, 1)")
	config, err := os.OpenFile(filepath.Join(e.server(e.old).Dir, "my.cnf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.WriteString("loose_innodb_native_foreign_keys = ON\n"); err != nil {
		t.Fatal(err)
	}
	if err := config.Close(); err != nil {
		t.Fatal(err)
	}
	e.crash()
	e.strays("cascade", func(a topology.Address) { e.byHand(a, "DELETE FROM app.parents") })
	e.refuses(settle.StepCheck, "cascade")
}
