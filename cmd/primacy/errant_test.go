package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// workshop is a control plane that settles db3 of shop in one go.
type workshop struct {
	orchestrator.Errant
	begun  settle.Settlement
	check  settle.Result
	wishes []orchestrator.SettleWish
	err    error
}

func newWorkshop() *workshop {
	at := time.Date(2026, 1, 2, 15, 4, 5, 678e6, time.UTC)
	set := gtid.Range(gtid.Source{UUID: topologytest.UUID("A")}, 41, 42)
	value := func(column, sql string, key bool) settle.Value {
		return settle.Value{Column: column, SQL: sql, JSON: sql, Key: key}
	}
	w := &workshop{Errant: orchestrator.Errant{
		Server: "db3:3306", Set: set,
		Verdict: settle.Verdict{Never: true, Term: 3, Set: set, Why: []string{"written by db3:3306 under term 2, whose commits wait for 1 ack; the change of term 3 froze and read db1:3306 and db2:3306, which lacked them"}},
		Transcript: settle.Transcript{Set: set, Rows: 2, Transactions: []settle.Transaction{
			{GTID: topologytest.UUID("A").String() + ":41", CommittedAt: at, ServerID: 3, Thread: 17, Changes: []settle.Change{
				{Schema: "app", Table: "orders", Action: "insert", After: []settle.Value{value("id", "7", true), value("note", "'it''s'", false)}}}},
			{GTID: topologytest.UUID("A").String() + ":42", CommittedAt: at.Add(time.Millisecond), ServerID: 3, Changes: []settle.Change{
				{Schema: "app", Table: "orders", Action: "update", Before: []settle.Value{value("id", "6", true), value("note", "NULL", false)},
					After: []settle.Value{value("id", "6", true), value("note", "'paid'", false)}}}},
		}},
	}}
	s := settle.Begin(settle.Settlement{ID: "shop-1", Cluster: "shop", Server: "db3:3306", Kind: settle.KindRewind, Set: set, By: "ada", Reason: "proven"}, at)
	for range settle.KindRewind.Steps() {
		s = s.Apply(settle.Result{Outcome: reparent.Yes, Detail: "done"}, at)
	}
	w.begun = s
	return w
}

func (w *workshop) servers() []orchestrator.Errant { return []orchestrator.Errant{w.Errant} }

// bench is a workshop as the API wants it.
type bench struct{ *workshop }

func (b bench) Errant(context.Context, string, topology.Address) ([]orchestrator.Errant, error) {
	return b.servers(), b.err
}

func (b bench) Settle(_ context.Context, w orchestrator.SettleWish) (orchestrator.SettleAnswer, error) {
	b.wishes = append(b.wishes, w)
	return orchestrator.SettleAnswer{Settlement: b.begun, Steps: w.Kind.Steps(), Check: b.check}, b.err
}

func (b bench) CancelSettling(context.Context, string, topology.Address, orchestrator.Order) (settle.Settlement, error) {
	return b.begun, b.err
}

func (b bench) Settlements(context.Context, string, int) ([]settle.Settlement, error) {
	return []settle.Settlement{b.begun}, b.err
}

func (b bench) Settlement(context.Context, string, string) (settle.Settlement, settle.Transcript, error) {
	return b.begun, b.Transcript, b.err
}

func onBench(t *testing.T, w *workshop, args ...string) result {
	t.Helper()
	return against(t, api.Settings{Plane: newPlane(), Errant: bench{w}, Events: orchestrator.NewStream(nil)}, args...)
}

func TestErrantTransactionsAreShownAsTheyWereWritten(t *testing.T) {
	r := onBench(t, newWorkshop(), "errant", "shop")
	r.wants(t, exitDone)
	wantGolden(t, "errant", r.out)
}

func TestErrantTransactionsAreExportedAsSQL(t *testing.T) {
	r := onBench(t, newWorkshop(), "errant", "shop", "db3:3306", "export")
	r.wants(t, exitDone, "INSERT INTO `app`.`orders` (`id`, `note`) VALUES (7, 'it''s');", "UPDATE `app`.`orders` SET `id` = 6, `note` = 'paid' WHERE `id` <=> 6 LIMIT 1;")
	w := newWorkshop()
	w.Transcript.Truncated = true
	onBench(t, w, "errant", "shop", "db3:3306", "export").wants(t, exitFailed, "not all of it")
	w = newWorkshop()
	w.Transcript.Transactions[0].Lacks = []string{"UserVarEvent"}
	onBench(t, w, "errant", "shop", "db3:3306", "export").wants(t, exitFailed, "UserVarEvent", "INCOMPLETE")
	onBench(t, w, "errant", "shop", "db3:3306", "export", "--format", "json").wants(t, exitFailed, `"lacks": [`)
	onBench(t, w, "errant", "shop").wants(t, exitDone, "what is not told: UserVarEvent")
}

func TestAServerIsRewoundOnRecord(t *testing.T) {
	w := newWorkshop()
	onBench(t, w, "errant", "shop", "db3:3306", "rewind", "--reason", "proven", "--accept", "reuse").wants(t, exitDone, "admit", "clean again")
	if wish := w.wishes[0]; wish.Kind != settle.KindRewind || wish.Reason != "proven" || wish.Server != "db3:3306" || !strings.Contains(fmt.Sprint(wish.Accept), "reuse") {
		t.Errorf("%+v", wish)
	}
	onBench(t, w, "errant", "shop", "db3:3306", "rewind").wants(t, exitUsage, "--reason")
	onBench(t, w, "errant", "shop", "db3:3306", "forget").wants(t, exitUsage, "no action")
	w.begun.State, w.begun.Detail = settle.StateRefused, "app.t has no primary key"
	onBench(t, w, "errant", "shop", "db3:3306", "rewind", "--reason", "proven").wants(t, exitFailed, "refused", "no primary key")
	w.err = fmt.Errorf("%w: commits would wait", orchestrator.ErrCannotSettle)
	onBench(t, w, "errant", "shop", "db3:3306", "clone", "--reason", "proven").wants(t, exitBlocked, "commits would wait")
}

func TestADryRunSaysWhetherARewindIsPossible(t *testing.T) {
	w := newWorkshop()
	w.check = settle.Result{Outcome: reparent.Yes, Detail: "2 rows can be undone"}
	onBench(t, w, "errant", "shop", "db3:3306", "rewind", "--dry-run").wants(t, exitDone, "Possible", "export, check, isolate, undo")
	w.check = settle.Result{Outcome: reparent.No, Detail: "app.t has no primary key"}
	onBench(t, w, "errant", "shop", "db3:3306", "rewind", "--dry-run").wants(t, exitBlocked, "Not possible", "no primary key")
}

func TestCallingItOffHasNoDryRun(t *testing.T) {
	w := newWorkshop()
	onBench(t, w, "errant", "shop", "db3:3306", "cancel", "--dry-run").wants(t, exitUsage, "--dry-run")
	onBench(t, w, "errant", "shop", "db3:3306", "cancel", "--dry-run", "--reason", "later").wants(t, exitUsage, "--dry-run")
	onBench(t, w, "errant", "shop", "db3:3306", "cancel", "--reason", "later").wants(t, exitDone)
}

func TestWhatWasSettledIsListed(t *testing.T) {
	w := newWorkshop()
	r := onBench(t, w, "errant", "shop", "--past")
	r.wants(t, exitDone, "rewind", "succeeded", "db3:3306", "ada", "proven")
	wantWidth(t, r.out)
	onBench(t, w, "errant", "shop", "--past", "-o", "json").wants(t, exitDone, `"settlements": [`)
	w.begun.State, w.begun.Detail = settle.StateRefused, "app.t has no primary key"
	onBench(t, w, "errant", "shop", "--past").wants(t, exitDone, "refused", "no primary key")
}

func TestATransactionOfWhichNoTimeIsKnownHasNone(t *testing.T) {
	w := newWorkshop()
	w.Transcript.Transactions[0].CommittedAt = time.Time{}
	r := onBench(t, w, "errant", "shop")
	r.wants(t, exitDone, "at no known time")
	if strings.Contains(r.out, "0001-01-01") {
		t.Error(r.out)
	}
}
