package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

var fewTables = []string{
	"CREATE TABLE app.goods (id INT PRIMARY KEY, name VARCHAR(200), stock INT)",
	"INSERT INTO app.goods WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 300) SELECT id, REPEAT('x', 100), id FROM n",
}

// changesMuch writes about a thousand rows.
func (e *errant) changesMuch(a topology.Address) {
	e.byHand(a, "UPDATE app.goods SET stock = -stock", "DELETE FROM app.goods WHERE id % 3 = 0", "INSERT INTO app.goods SELECT id + 1000, name, 7 FROM app.goods", "UPDATE app.goods SET stock = stock + 1 WHERE id < 1000")
}

// crash kills the rewound server, starts it again, and lets another process of the elector go on.
func (e *errant) crash() {
	e.t.Helper()
	e.kill(e.old)
	e.restart(e.old)
	e.anew()
}

func TestARewindGoesOnAfterACrashBehindEachOfItsSteps(t *testing.T) {
	e := strayed(t, fewTables...)
	e.strays("crashes", e.changesMuch)
	e.byHand(e.task.Primary, "UPDATE app.goods SET stock = stock * 2 WHERE id < 50")
	for _, step := range rewindSteps {
		e.does(step)
		e.crash()
		if holds := e.holds(e.old).Contains(e.task.Set); holds != (step != settle.StepAdmit) {
			t.Errorf("behind %s it holds the transactions: %v", step, holds)
		}
		e.does(step)
	}
	e.follows()
	e.alike("app.goods")
}

// What is killed within a step has done all of it or nothing that matters; the same step, asked for again, ends the same.
func TestARewindThatIsKilledWithinAStepIsDoneAllTheSame(t *testing.T) {
	e := strayed(t, fewTables...)
	random := rand.New(rand.NewPCG(7, 7))
	for round := range 3 {
		e.strays(fmt.Sprint("killed-", round), e.changesMuch)
		e.byHand(e.task.Primary, "UPDATE app.goods SET stock = stock + 1 WHERE id < 50")
		for _, step := range rewindSteps {
			if step == settle.StepUndo || step == settle.StepAdmit {
				e.killedWithin(step, time.Duration(random.IntN(250))*time.Millisecond)
			}
			e.does(step)
		}
		e.follows()
		e.alike("app.goods")
	}
}

func (e *errant) killedWithin(step settle.Step, after time.Duration) {
	e.t.Helper()
	task := e.task
	task.Step = step
	ended := make(chan settle.Result, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		ended <- e.fleet.Work(ctx, clusterName, e.term, task, func(settle.Progress) {})
	}()
	var r settle.Result
	select {
	case r = <-ended:
		e.kill(e.old)
	case <-time.After(after):
		e.kill(e.old)
		r = <-ended
	}
	e.t.Logf("killed %s after %s: %s %s %.100s", step, after, r.Outcome, r.Code, r.Detail)
	if r.Outcome == reparent.No && r.Final {
		e.t.Errorf("the crash was taken for a refusal: %s", r.Detail)
	}
	e.restart(e.old)
	e.anew()
}

// What was undone is a matter of the rows: whoever was called off in between, the next one goes on from there.
func TestAnotherSettlementGoesOnFromWhatOneThatWasCalledOffHasUndone(t *testing.T) {
	e := strayed(t, fewTables...)
	e.strays("first", e.changesMuch)
	e.does(settle.StepCheck, settle.StepIsolate, settle.StepUndo)
	e.task.Settlement = "second"
	e.anew()
	e.does(rewindSteps...)
	e.follows()
	e.alike("app.goods")
}

func TestWhatWasWrittenOnTopOfWhatWasUndoneIsRefused(t *testing.T) {
	e := strayed(t, fewTables...)
	e.strays("first", e.changesMuch)
	first := e.alone
	e.does(settle.StepCheck, settle.StepIsolate, settle.StepUndo)
	e.refusesToAdmitWhatWasNotUndone(first)
	e.strays("second", func(a topology.Address) { e.byHand(a, "UPDATE app.goods SET stock = 5 WHERE id = 1") })
	e.task.Set = first.Union(e.task.Set)
	e.refuses(settle.StepCheck, "undone_before")
}

// refusesToAdmitWhatWasNotUndone asks for the last step of a set of which the server knows nothing.
func (e *errant) refusesToAdmitWhatWasNotUndone(undone gtid.Set) {
	e.t.Helper()
	e.unrecorded(e.old, "CREATE TABLE _primacy.kept SELECT * FROM _primacy.undone", "DELETE FROM _primacy.undone")
	e.refuses(settle.StepAdmit, "not_undone")
	e.unrecorded(e.old, "INSERT INTO _primacy.undone SELECT * FROM _primacy.kept", "DROP TABLE _primacy.kept")
	if !e.holds(e.old).Contains(undone) {
		e.t.Error("it was admitted")
	}
}

func TestAServerWhoseTransactionsWereEmptiedAndNotSetYetIsCompletedByWhoMakesItFollow(t *testing.T) {
	e := strayed(t, fewTables...)
	e.strays("emptied", e.changesMuch)
	e.does(rewindSteps[:len(rewindSteps)-1]...)
	e.byHand(e.old, "STOP REPLICA", "RESET REPLICA ALL")
	target := e.holds(e.old).Subtract(e.task.Set)
	e.unrecorded(e.old, "UPDATE _primacy.undone SET target = '"+target.String()+"'")
	e.byHand(e.old, "RESET BINARY LOGS AND GTIDS")
	e.crash()
	if !e.holds(e.old).IsEmpty() {
		t.Fatal("it is not empty: nothing is tested")
	}
	e.byHand(e.task.Primary, "UPDATE app.goods SET stock = stock + 1 WHERE id < 50")
	e.follows()
	e.alike("app.goods")
	if left := e.table(e.old, "SELECT COUNT(*) FROM _primacy.undone")[0][0]; left != "0" {
		t.Errorf("%s rewinds are still kept", left)
	}
	e.does(settle.StepAdmit) // nobody told the settlement
	e.alike("app.goods")
}

// A failover that kept the transactions where another server had them made them the primary's, while this one was out of reach.
func TestAServerWhoseRowsLackWhatItsGTIDsTellOfFollowsNobody(t *testing.T) {
	e := strayed(t, fewTables...)
	const row = "INSERT INTO app.goods VALUES (9000, 'kept', 1)"
	e.strays("half", func(a topology.Address) { e.byHand(a, row) })
	e.does(settle.StepCheck, settle.StepIsolate, settle.StepUndo)
	e.byHand(e.task.Primary, "SET SESSION gtid_next = '"+e.task.Set.String()+"'", row, "SET SESSION gtid_next = 'AUTOMATIC'")
	e.mustNotFollow()
	e.mustNotLead()
	e.does(settle.StepCatchUp)
	if r := e.work(settle.StepVerify); r.Outcome != reparent.No || !r.Final || r.Code != "rows_differ" {
		t.Errorf("verify: %s (%s) %s", r.Outcome, r.Code, r.Detail)
	}
	e.mustNotFollow()
	e.crash()
	if o := e.probe(e.old); !o.Undone.Equal(e.task.Set) {
		t.Errorf("a probe says that %s was undone there and not %s", o.Undone, e.task.Set)
	}
	e.mustNotFollow()
	e.unrecorded(e.old, row, "DELETE FROM _primacy.undone") // as somebody does who has rebuilt it
	e.follows()
	e.alike("app.goods")
}

func (e *errant) mustNotFollow() {
	e.t.Helper()
	r := e.attach()
	e.t.Logf("%s %s", r.Reason, r.Detail)
	if o := e.probe(e.old); r.Outcome != reparent.No || r.Reason != reparent.ReasonErrant || o.Replication != nil && o.Replication.Receiver != topology.ThreadOff {
		e.t.Errorf("it is attached with rows missing: %s %s %s, %+v", r.Outcome, r.Reason, r.Detail, o.Replication)
	}
}

// mustNotLead claims that no term marker is written on the server.
func (e *errant) mustNotLead() {
	e.t.Helper()
	o := e.probe(e.old)
	d := topology.Decision{Cluster: clusterName, Term: e.term, Kind: string(reparent.KindEmergency), Primary: e.old, PrimaryUUID: o.UUID, Incarnation: o.Incarnation, Base: o.Executed}.Sealed()
	m := e.fleet.Do(e.t.Context(), orchestrator.Batch{Commands: []reparent.Command{{Verb: reparent.Mark, Server: e.old, Cluster: clusterName, Term: e.term, Decision: d}}})[0]
	if m.Outcome != reparent.No || m.Reason != reparent.ReasonErrant {
		e.t.Errorf("it may lead with rows missing: %s %s %s", m.Outcome, m.Reason, m.Detail)
	}
}

// The elector died between taking the transactions out of the server and forgetting that they had been undone.
func TestAServerThatWasAdmittedForgetsWhatWasUndoneThereWhoeverMakesItFollow(t *testing.T) {
	e := strayed(t, fewTables...)
	const row = "INSERT INTO app.goods VALUES (9000, 'kept', 1)"
	e.strays("admitted", func(a topology.Address) { e.byHand(a, row) })
	e.does(rewindSteps...)
	e.unrecorded(e.old, "INSERT INTO _primacy.undone VALUES ('admitted', '"+e.task.Set.String()+"', '', '"+e.holds(e.old).String()+"', NOW())")
	e.follows()
	if left := e.table(e.old, "SELECT COUNT(*) FROM _primacy.undone")[0][0]; left != "0" {
		t.Errorf("%s rewinds are still kept", left)
	}
	e.byHand(e.task.Primary, "SET SESSION gtid_next = '"+e.task.Set.String()+"'", row, "SET SESSION gtid_next = 'AUTOMATIC'")
	e.follows()
	e.byHand(e.old, "STOP REPLICA IO_THREAD")
	e.follows()
	e.alike("app.goods")
}

func TestARowThatWasNotUndoneIsFoundBeforeTheServerIsTakenForClean(t *testing.T) {
	e := strayed(t, append(fewTables, "CREATE TABLE app.exact (id INT PRIMARY KEY, flo FLOAT, doc JSON, word CHAR(5) CHARACTER SET latin1)",
		`INSERT INTO app.exact VALUES (1, 1.2345678, '{"a": 1.5}', 'ä'), (2, 2, NULL, 'b'), (3, 3, NULL, 'c')`)...)
	alone := func(a topology.Address) {
		e.byHand(a, "INSERT INTO app.exact VALUES (9, 9, NULL, 'n')", "DELETE FROM app.exact WHERE id = 3", `UPDATE app.exact SET flo = 7, doc = '{"a": 2}', word = 'x'`)
	}
	for name, left := range map[string]string{
		"a row that stays inserted":      "INSERT INTO app.exact VALUES (9, 9, NULL, 'n')",
		"a row that stays deleted":       "DELETE FROM app.exact WHERE id = 3",
		"the last decimal of a number":   "UPDATE app.exact SET flo = flo + 0.0000001192 WHERE id = 1",
		"a value within a document":      `UPDATE app.exact SET doc = '{"a": 1.25}' WHERE id = 1`,
		"a letter":                       "UPDATE app.exact SET word = 'a' WHERE id = 1",
		"a NULL that is an empty string": "UPDATE app.exact SET doc = 'null' WHERE id = 2",
	} {
		t.Run(name, func(t *testing.T) {
			e.strays(fmt.Sprintf("left-%.20s", name), alone)
			e.does(settle.StepCheck, settle.StepIsolate, settle.StepUndo)
			before := e.table(e.old, "CHECKSUM TABLE app.exact")[0][1]
			e.unrecorded(e.old, left)
			if e.table(e.old, "CHECKSUM TABLE app.exact")[0][1] == before {
				t.Fatal("the row is no other")
			}
			e.does(settle.StepCatchUp)
			if r := e.work(settle.StepVerify); r.Outcome != reparent.No || !r.Final || r.Code != "rows_differ" {
				t.Errorf("verify: %s (%s) %s", r.Outcome, r.Code, r.Detail)
			}
			if !e.holds(e.old).Contains(e.task.Set) {
				t.Error("it is errant no more")
			}
			e.unrecorded(e.old, "REPLACE INTO app.exact VALUES (1, 1.2345678, '{\"a\": 1.5}', 'ä'), (2, 2, NULL, 'b'), (3, 3, NULL, 'c')", "DELETE FROM app.exact WHERE id = 9")
			e.does(settle.StepVerify, settle.StepAdmit)
			e.follows()
			e.alike("app.exact")
		})
	}
}

func TestAHigherTermTakesARewoundServerAway(t *testing.T) {
	e := strayed(t, fewTables...)
	e.strays("outranked", e.changesMuch)
	e.does(settle.StepCheck, settle.StepIsolate)
	first := e.fleet
	e.fleet = nil
	e.anew()
	r := e.fleet.Do(t.Context(), orchestrator.Batch{Commands: []reparent.Command{{Verb: reparent.Freeze, Server: e.old, Cluster: clusterName, Term: 2}}})[0]
	if r.Outcome != reparent.Yes {
		t.Fatalf("freeze: %s %s", r.Outcome, r.Detail)
	}
	rows := e.table(e.old, "CHECKSUM TABLE app.goods")[0][1]
	e.task.Step = settle.StepUndo
	late := first.Work(t.Context(), clusterName, 1, e.task, func(settle.Progress) {})
	if late.Outcome == reparent.Yes || late.Code != string(reparent.ReasonFenced) {
		t.Errorf("the lower term: %s (%s) %s", late.Outcome, late.Code, late.Detail)
	}
	if e.table(e.old, "CHECKSUM TABLE app.goods")[0][1] != rows {
		t.Error("it undid something")
	}
}
