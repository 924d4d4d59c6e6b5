package integration

import (
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

var (
	keepSteps    = []settle.Step{settle.StepCheck, settle.StepIsolate, settle.StepCatchUp, settle.StepKeep}
	discardSteps = []settle.Step{settle.StepCheck, settle.StepIsolate, settle.StepCatchUp, settle.StepVerify, settle.StepDiscard}
)

// did is what a server's binary log says that transactions did, but for who wrote it down.
func (e *errant) did(a topology.Address) (all []settle.Transaction) {
	e.t.Helper()
	t, err := e.fleet.Decode(e.t.Context(), a, e.task.Set, settle.Limits{})
	if err != nil || !t.Missing.IsEmpty() || t.Truncated {
		e.t.Fatalf("%v, missing %s", err, t.Missing)
	}
	for _, x := range t.Transactions {
		all = append(all, settle.Transaction{GTID: x.GTID, Changes: x.Changes})
	}
	return all
}

func TestWhatAReplicaWroteAloneIsKeptByThePrimaryToTheLastByte(t *testing.T) {
	schema := slices.Clone(randomSchema)
	for i := range schema { // what foreign keys delete is refused, and so are keys that are spelled in two ways: see below
		schema[i] = strings.ReplaceAll(schema[i], "ON DELETE CASCADE ON UPDATE CASCADE", "")
	}
	schema = slices.DeleteFunc(schema, func(s string) bool { return strings.Contains(s, "app.texts") || strings.Contains(s, "app.latin") })
	e := strayed(t, append(schema, "CREATE TABLE app.busy (id INT PRIMARY KEY, v INT)")...)
	e.task.Kind = settle.KindKeep
	e.random(1, e.task.Primary).transactions(60)
	e.eventually("the first rows everywhere", func() bool { return e.holds(e.old).Contains(e.holds(e.task.Primary)) })
	for seed := range uint64(3) {
		e.strays(fmt.Sprint("seed-", seed), func(a topology.Address) { e.random(3000+seed, a).transactions(12) })
		wrote := e.did(e.old)
		e.byHand(e.task.Primary, fmt.Sprintf("INSERT INTO app.busy VALUES (%d, 1)", seed), "UPDATE app.busy SET v = v + 1")
		t.Logf("seed %d: %d transactions", seed, len(wrote))
		e.does(keepSteps...)
		e.does(settle.StepKeep) // again, as after a lost answer
		if !e.holds(e.task.Primary).Contains(e.task.Set) {
			t.Fatal("the primary does not hold them")
		}
		if there := e.did(e.task.Primary); !reflect.DeepEqual(there, wrote) {
			t.Errorf("the primary's log says that they did %+v\nand they did %+v", there, wrote)
		}
		e.follows()
		e.alike("app.busy", "app.everything", "app.days", "app.parts", "app.hidden", "app.parents", "app.children", "app.owners", "app.owned", "app.wide")
	}
}

// givenUp waits until the primary ends the session in which transactions are kept after so many seconds of silence; false when
// it does not for a while.
func (e *errant) givenUp(db *sql.Conn, seconds string) bool {
	const ask = `SELECT v.variable_value FROM performance_schema.session_connect_attrs a JOIN performance_schema.threads t USING (processlist_id)
		JOIN performance_schema.variables_by_thread v USING (thread_id)
		WHERE a.attr_name = 'primacy_duty' AND a.attr_value = 'keep' AND v.variable_name = 'wait_timeout'`
	var most string
	for limit := time.Now().Add(patience); most != seconds && time.Now().Before(limit); {
		_ = db.QueryRowContext(e.t.Context(), ask).Scan(&most) // there may be none yet
	}
	return most == seconds
}

func TestWhatCannotBeKeptExactlyIsRefusedByItsReasonAndThePrimaryStaysAsItIs(t *testing.T) {
	e := strayed(t, "CREATE TABLE app.pairs (id INT PRIMARY KEY, v INT, more INT)", "INSERT INTO app.pairs VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)",
		"CREATE TABLE app.words (w VARCHAR(20) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, v INT)", "INSERT INTO app.words VALUES ('a', 1)",
		"CREATE TABLE app.parents (id INT PRIMARY KEY)",
		"CREATE TABLE app.children (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES app.parents (id) ON DELETE CASCADE)",
		"INSERT INTO app.parents VALUES (1)", "INSERT INTO app.children VALUES (1, 1)")
	e.task.Kind = settle.KindKeep
	primary, other := e.task.Primary, e.members(e.old, e.task.Primary)[0]
	holder := e.root(primary)
	defer holder.Close()
	watcher := e.root(primary)
	defer watcher.Close()
	bounded := make(chan bool, 1)
	if _, err := holder.ExecContext(t.Context(), "SET autocommit = 0"); err != nil {
		t.Fatal(err)
	}
	for i, row := range []struct {
		name, code string
		final      bool
		alone      string
		prepare    func()
		after      func()
	}{
		{"a key that was spelled in two ways", "rows_differ", true, "UPDATE app.words SET w = UPPER(w); UPDATE app.words SET v = 2 WHERE w = 'A'", nil, nil},
		{"a statement", "ddl", true, "CREATE TABLE app.mine (id INT)", nil, nil},
		{"a statement that was logged as such beside rows", "ddl", true, "SET SESSION binlog_format = 'MIXED'; BEGIN; INSERT INTO app.pairs VALUES (40, 0, 0); INSERT INTO app.pairs VALUES (41, LENGTH(UUID()), 0); COMMIT", nil, nil},
		{"foreign keys that delete rows", "cascade", true, "DELETE FROM app.parents", nil, nil},
		{"a row that the primary changed since", "rows_differ", true, "UPDATE app.pairs SET v = 10 WHERE id = 1", func() { e.byHand(primary, "UPDATE app.pairs SET more = 7 WHERE id = 1") }, nil},
		{"a row that the primary deleted", "rows_differ", true, "UPDATE app.pairs SET v = 10 WHERE id = 2", func() { e.byHand(primary, "DELETE FROM app.pairs WHERE id = 2") }, nil},
		{"a row that the primary wrote too", "rows_differ", true, "INSERT INTO app.pairs VALUES (9, 9, 9)", func() { e.byHand(primary, "INSERT INTO app.pairs VALUES (9, 9, 9)") }, nil},
		{"a row that was changed here since", "rows_differ", true, "UPDATE app.pairs SET v = 11 WHERE id = 3", func() { e.unrecorded(e.old, "UPDATE app.pairs SET v = 12 WHERE id = 3") }, nil},
		{"a row that somebody has locked", "locked", false, "UPDATE app.pairs SET v = v + 1 WHERE id = 4", func() {
			if _, err := holder.ExecContext(t.Context(), "UPDATE app.pairs SET more = 9 WHERE id = 4"); err != nil {
				t.Fatal(err)
			}
			go func() { bounded <- e.givenUp(watcher, "30") }()
		}, func() {
			if _, err := holder.ExecContext(t.Context(), "ROLLBACK"); err != nil {
				t.Fatal(err)
			}
			if !<-bounded {
				t.Error("an elector that falls silent keeps the rows locked for longer than half a minute")
			}
		}},
		{"a table that somebody has locked", "locked", false, "UPDATE app.pairs SET v = v + 1 WHERE id = 4", func() {
			if _, err := holder.ExecContext(t.Context(), "LOCK TABLES app.pairs WRITE"); err != nil {
				t.Fatal(err)
			}
		}, func() {
			if _, err := holder.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
				t.Fatal(err)
			}
		}},
		{"a table that is another one on the primary", "schema_changed", true, "INSERT INTO app.pairs VALUES (20, 0, 0)", func() { e.unrecorded(primary, "ALTER TABLE app.pairs MODIFY more BIGINT") }, func() { e.unrecorded(primary, "ALTER TABLE app.pairs MODIFY more INT") }},
		{"a number that another member holds too", "reuse", true, "INSERT INTO app.pairs VALUES (30, 0, 0)", func() {
			e.byHand(other, "SET GLOBAL super_read_only = OFF", "SET SESSION gtid_next = '"+e.task.Set.String()+"'", "COMMIT", "SET SESSION gtid_next = 'AUTOMATIC'", "SET GLOBAL super_read_only = ON")
		}, nil},
		{"the marker of a decision that came to nothing", "marker", true, "", func() {
			marker := topology.Marker{Term: 9, Hash: 9}.GTID().String()
			e.byHand(e.old, "SET GLOBAL super_read_only = OFF", "SET SESSION gtid_next = '"+marker+"'", "COMMIT", "SET SESSION gtid_next = 'AUTOMATIC'", "SET GLOBAL super_read_only = ON")
			e.task.Set = within(t, marker)
			e.alone, e.term = e.task.Set, 9
		}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			e.strays(fmt.Sprint("refused-", i), func(a topology.Address) {
				if row.alone != "" {
					e.byHand(a, strings.Split(row.alone, "; ")...)
				}
			})
			if row.prepare != nil {
				row.prepare()
			}
			holds := e.holds(primary)
			e.declines(settle.StepCheck, row.code, row.final)
			if !e.holds(primary).Equal(holds) {
				t.Error("the primary was changed")
			}
			if row.after != nil {
				row.after()
			}
			e.forgiven()
		})
	}
}

// The rows have to be the same at the moment in which the primary commits, whatever it does until then.
func TestARowThatChangesAndChangesBackWhileAServerCatchesUpIsNotKept(t *testing.T) {
	e := strayed(t, "CREATE TABLE app.pairs (id INT PRIMARY KEY, v INT)", "INSERT INTO app.pairs VALUES (1, 1)")
	e.task.Kind = settle.KindKeep
	e.strays("back", func(a topology.Address) { e.byHand(a, "UPDATE app.pairs SET v = 5 WHERE id = 1") })
	e.does(settle.StepCheck, settle.StepIsolate)
	e.byHand(e.task.Primary, "UPDATE app.pairs SET v = 2 WHERE id = 1", "UPDATE app.pairs SET v = 1 WHERE id = 1")
	e.does(settle.StepCatchUp)
	if r := e.work(settle.StepKeep); r.Outcome != reparent.No || !r.Final || r.Code != "rows_differ" {
		t.Errorf("%s (%s) %s", r.Outcome, r.Code, r.Detail)
	}
	if e.holds(e.task.Primary).Intersects(e.task.Set) || !e.holds(e.old).Contains(e.task.Set) {
		t.Error("it was kept all the same, or the server forgot that it is errant")
	}
}

func TestWhatChangedNothingThatThePrimaryLacksIsDiscardedAndAnythingElseRefused(t *testing.T) {
	e := strayed(t, append(fewTables, "CREATE TABLE app.nokey (id INT)")...)
	e.task.Kind = settle.KindDiscard
	primary := e.task.Primary
	for i, row := range []struct {
		name, code string // refused so, unless somebody answers for it; not at all when empty
		alone      []string
		prepare    []string // on the primary
	}{
		{"rows that came and went", "", []string{"INSERT INTO app.goods VALUES (901, 'x', 1)", "UPDATE app.goods SET stock = 7 WHERE id = 901", "DELETE FROM app.goods WHERE id = 901"}, nil},
		{"rows that the primary got as well", "", []string{"INSERT INTO app.goods VALUES (902, 'y', 2)", "UPDATE app.goods SET stock = 70 WHERE id = 1"}, nil},
		{"an account", "unverified", []string{"CREATE USER somebody"}, []string{"CREATE USER somebody"}},
		{"a table without a primary key", "unverified", []string{"INSERT INTO app.nokey VALUES (1)", "DELETE FROM app.nokey"}, nil},
		{"rows that the primary lacks", "rows_differ", []string{"INSERT INTO app.goods VALUES (903, 'z', 3)"}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			e.strays(fmt.Sprint("discard-", i), func(a topology.Address) { e.byHand(a, row.alone...) })
			e.task.AcceptUnverified = false
			if i == 1 { // by a repair of somebody's, which the server has not got yet
				e.byHand(primary, "SET SESSION sql_log_bin = OFF", row.alone[0], row.alone[1])
				e.unrecorded(e.members(e.old, primary)[0], row.alone...)
			}
			if row.prepare != nil {
				e.unrecorded(primary, row.prepare...)
			}
			if row.code != "" {
				e.declines(settle.StepCheck, row.code, true)
			}
			if row.code == "rows_differ" {
				e.forgiven()
				return
			}
			e.task.AcceptUnverified = true
			e.byHand(primary, fmt.Sprintf("UPDATE app.goods SET stock = stock + 1 WHERE id BETWEEN %d AND 200", 10+10*i))
			e.does(discardSteps...)
			e.does(settle.StepDiscard)
			if !e.holds(primary).Contains(e.task.Set) {
				t.Fatal("the primary does not hold them")
			}
			for _, x := range e.did(primary) {
				if len(x.Changes) > 0 {
					t.Errorf("%+v", x)
				}
			}
			e.follows()
			e.alike("app.goods", "app.nokey")
		})
	}
}

// Nobody who got from the primary what was kept is errant because of it, when the primary dies right afterwards.
func TestWhatWasKeptOrDiscardedMakesNobodyErrantWhenThePrimaryDies(t *testing.T) {
	c := settling(t, 3, settle.PolicyQuarantine)
	v := c.view()
	c.byHand(v.Primary, "CREATE TABLE app.goods (id INT PRIMARY KEY, v INT)")
	c.converged(c.members()...)
	for i, kind := range []settle.Kind{settle.KindKeep, settle.KindDiscard} {
		v := c.view()
		old := c.members(v.Primary)[0]
		statements := []string{"SET GLOBAL super_read_only = OFF", fmt.Sprintf("INSERT INTO app.goods VALUES (%d, 1)", i)}
		if kind == settle.KindDiscard {
			statements = append(statements, fmt.Sprintf("DELETE FROM app.goods WHERE id = %d", i))
		}
		c.unrepaired(old, statements...)
		c.awaitFinding(topology.Errant, old)
		e := c.errantOf(old)
		w := orchestrator.SettleWish{Server: old, Kind: kind, Call: reparent.Call{Key: string(kind), Digest: "d"}}
		if kind == settle.KindDiscard {
			if _, err := c.settle(w); !errors.Is(err, orchestrator.ErrCannotSettle) {
				t.Errorf("what may have been answered was discarded unasked: %v", err)
			}
			w.Accept = []string{settle.AcceptPossiblyAcked}
		}
		begun, err := c.settle(w)
		if err != nil {
			t.Fatal(err)
		}
		if s := c.awaitSettlement(patience); s.State != settle.StateSucceeded || s.ExportedTo == "" {
			t.Fatalf("%+v\n%s", s, c.describe())
		}
		if again, err := c.settle(w); err != nil || again.Settlement.ID != begun.Settlement.ID {
			t.Errorf("the same call again: %+v, %v", again.Settlement, err)
		}
		c.awaitHealthy()
		c.converged(c.members()...)
		if !c.view().Snapshot.Server(v.Primary).Executed.Contains(e.Set) {
			t.Errorf("the primary lacks %s", e.Set)
		}
		c.kill(v.Primary)
		after := c.awaitNewPrimary(v.Primary)
		c.restart(v.Primary)
		c.awaitHealthy()
		c.converged(c.members()...)
		if !c.view().Snapshot.Server(after.Primary).Executed.Contains(e.Set) {
			t.Errorf("%s went with the old primary", e.Set)
		}
		c.acknowledge()
	}
	for _, a := range c.members() {
		if got := c.table(a, "SELECT id FROM app.goods"); len(got) != 1 || got[0][0] != "0" {
			t.Errorf("%s: %v", a, got)
		}
	}
}
