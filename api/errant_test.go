package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

func (p *plane) Errant(_ context.Context, cluster string, server topology.Address) ([]orchestrator.Errant, error) {
	p.called("errant", cluster, server)
	return p.errant, p.err
}

func (p *plane) Settle(_ context.Context, w orchestrator.SettleWish) (orchestrator.SettleAnswer, error) {
	p.called("settle", w)
	return p.begun, p.err
}

func (p *plane) CancelSettling(_ context.Context, cluster string, server topology.Address, o orchestrator.Order) (settle.Settlement, error) {
	p.called("cancel", cluster, server, o)
	return p.begun.Settlement, p.err
}

func (p *plane) Settlements(_ context.Context, cluster string, limit int) ([]settle.Settlement, error) {
	p.called("settlements", cluster, limit)
	return []settle.Settlement{p.begun.Settlement}, p.err
}

func (p *plane) Settlement(context.Context, string, string) (settle.Settlement, settle.Transcript, error) {
	return p.begun.Settlement, p.export, p.err
}

// strayed is shop with one errant transaction on db3, whose rewind has begun.
func strayed() *plane {
	p := shop()
	set := gtid.Range(gtid.Source{UUID: topologytest.UUID("X")}, 7, 7)
	t := settle.Transcript{Set: set, Rows: 1, Transactions: []settle.Transaction{{
		GTID: set.String(), CommittedAt: topologytest.Now, ServerID: 3, File: "binlog.000004", Process: settle.Process{Number: 1, Known: true, StartedAt: topologytest.Now},
		Changes: []settle.Change{{Schema: "app", Table: "writes", Action: "insert", After: []settle.Value{{Column: "id", SQL: "7", JSON: 7, Key: true}}}},
	}}}
	v := settle.Verdict{Never: true, Why: []string{"too few were left"}, Set: set, Term: 3}
	s := settle.Begin(settle.Settlement{ID: "shop-1", Cluster: "shop", Server: db3, Kind: settle.KindRewind, Set: set, Verdict: v, By: "ada", Reason: "r"}, topologytest.Now)
	s = s.Apply(settle.Result{Outcome: reparent.Yes, Detail: "1 transaction is on record"}, topologytest.Now)
	s.ExportedTo = "exports/shop/shop-1"
	p.errant = []orchestrator.Errant{{Server: db3, Set: set, Verdict: v, Transcript: t, Settlement: &s}}
	p.begun, p.export = orchestrator.SettleAnswer{Settlement: s, Steps: settle.KindRewind.Steps()}, t
	return p
}

func TestErrantTransactionsAreToldRowByRow(t *testing.T) {
	p := strayed()
	s := serveWith(t, p, nil)
	told, err := s.client.Errant(t.Context(), "shop", "db3:3306")
	if err != nil || len(told) != 1 {
		t.Fatalf("%+v, %v", told, err)
	}
	e := told[0]
	if !e.Verdict.NeverAcknowledged || e.Transactions[0].Changes[0].After[0].Column != "id" || e.Settlement.Step != "check" || len(e.Settlement.Stages) != 1 {
		t.Errorf("%+v", e)
	}
	if p.calls[0] != `["errant","shop","db3:3306"]` {
		t.Error(p.calls)
	}
}

// slowReader takes longer for a binary log than other answers may take.
type slowReader struct {
	*plane
	takes time.Duration
}

func (r slowReader) Errant(ctx context.Context, cluster string, server topology.Address) ([]orchestrator.Errant, error) {
	ctx, cancel := context.WithTimeout(ctx, r.takes)
	defer cancel()
	<-ctx.Done()
	return r.plane.Errant(ctx, cluster, server)
}

func (r slowReader) Settle(ctx context.Context, w orchestrator.SettleWish) (orchestrator.SettleAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, r.takes)
	defer cancel()
	<-ctx.Done()
	return r.plane.Settle(ctx, w)
}

func TestALongBinaryLogHasTimeToBeRead(t *testing.T) {
	p := strayed()
	s := serveWith(t, p, func(s *Settings) {
		s.AnswerTimeout, s.Errant = 50*time.Millisecond, slowReader{p, 200 * time.Millisecond}
	})
	if told, err := s.client.Errant(t.Context(), "shop", "db3:3306"); err != nil || len(told) != 1 {
		t.Errorf("%+v, %v", told, err)
	}
	if r := s.ask("GET", "/api/v1/clusters/shop/servers/db3:3306/errant/export", ""); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.text)
	}
	if _, err := s.client.Settle(t.Context(), "shop", "db3:3306", SettleRequest{Action: "rewind", Reason: "proven"}); err != nil {
		t.Error(err)
	}
}

func TestASettlementIsAskedForWithAReason(t *testing.T) {
	p := strayed()
	s := serveWith(t, p, nil)
	const path = "/api/v1/clusters/shop/servers/db3:3306/errant"
	if got := s.ask("POST", path, `{"action":"rewind","reason":"as proven","accept":["reuse"]}`); got.status != http.StatusAccepted || !strings.Contains(got.text, `"steps":["export","check","isolate","undo"`) {
		t.Errorf("%d %s", got.status, got.text)
	}
	if !strings.Contains(p.calls[0], `"Kind":"rewind"`) || !strings.Contains(p.calls[0], `"Reason":"as proven"`) || !strings.Contains(p.calls[0], `"reuse"`) {
		t.Error(p.calls)
	}
	p.begun.Check = settle.Result{Outcome: reparent.No, Code: "no_primary_key", Detail: "app.t has none"}
	if got := s.ask("POST", path, `{"action":"rewind","dry_run":true}`); got.status != http.StatusOK || !strings.Contains(got.text, `"possible":false,"code":"no_primary_key"`) {
		t.Errorf("%d %s", got.status, got.text)
	}
	if got := s.ask("POST", path, `{"action":"cancel","reason":"no"}`); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.text)
	}
}

func TestASettlementThatIsAskedForTwiceUnderOneKeyIsToldByItAndForWhichRevision(t *testing.T) {
	p := strayed()
	s := serveWith(t, p, nil)
	const path = "/api/v1/clusters/shop/servers/db3:3306/errant"
	for _, body := range []string{`{"action":"keep","reason":"wanted"}`, `{"action":"cancel","reason":"not now"}`} {
		for range 2 {
			s.ask("POST", path, body, "Idempotency-Key", "k1", "If-Match", `"r7.x"`)
		}
	}
	if len(p.calls) != 4 || p.calls[0] != p.calls[1] || p.calls[2] != p.calls[3] || !strings.Contains(p.calls[0], `"Kind":"keep"`) {
		t.Fatal(p.calls)
	}
	for _, call := range p.calls {
		if !strings.Contains(call, `"Revisions":["r7"]`) || strings.Contains(call, `"Call":{"key":""`) {
			t.Error(call)
		}
	}
}

func TestWhatStandsAgainstASettlementIsAProblem(t *testing.T) {
	const path = "/api/v1/clusters/shop/servers/db3:3306/errant"
	rows := []struct {
		name, body string
		err        error
		status     int
		code       string
	}{
		{"an action that nobody knows", `{"action":"forget"}`, nil, 422, CodeInvalid},
		{"something to accept that nobody knows", `{"action":"rewind","accept":["everything"]}`, nil, 422, CodeInvalid},
		{"a clean server", `{"action":"rewind","reason":"r"}`, fmt.Errorf("%w: db3", orchestrator.ErrNotErrant), 409, CodeNotErrant},
		{"one that is needed", `{"action":"clone","reason":"r"}`, fmt.Errorf("%w: without it commits wait", orchestrator.ErrCannotSettle), 409, CodeCannotSettle},
		{"a dry run of calling it off", `{"action":"cancel","dry_run":true}`, nil, 422, CodeInvalid},
		{"calling it off without a reason", `{"action":"cancel"}`, nil, 422, CodeInvalid},
		{"no reason", `{"action":"clone"}`, fmt.Errorf("%w: it needs a reason", orchestrator.ErrBadWish), 422, CodeInvalid},
		{"another elector acts", `{"action":"clone","reason":"r"}`, orchestrator.ErrNotLeading, 503, CodeNotLeading},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p := strayed()
			p.err = row.err
			got := serveWith(t, p, nil).ask("POST", path, row.body)
			if got.status != row.status || !strings.Contains(got.text, `"code":"`+row.code+`"`) {
				t.Errorf("%d %s", got.status, got.text)
			}
			if row.err == nil && len(p.calls) > 0 {
				t.Errorf("it was done all the same: %s", p.calls)
			}
		})
	}
}

func TestSettlementsStayOnRecordWithWhatWentWithThem(t *testing.T) {
	s := serveWith(t, strayed(), nil)
	list, err := s.client.Settlements(t.Context(), "shop", 0, "")
	all := list.Settlements
	if err != nil || len(all) != 1 || all[0].Action != "rewind" {
		t.Fatalf("%+v, %v", all, err)
	}
	one, err := s.client.Settlement(t.Context(), "shop", all[0].ID)
	if err != nil || one.Transcript == nil || one.Transcript.Rows != 1 {
		t.Errorf("%+v, %v", one, err)
	}
}

func TestASettlementThatIsNotThereIsLookedForWhereSettlementsAre(t *testing.T) {
	p := strayed()
	p.err = fmt.Errorf("%w: settlement %q", orchestrator.ErrNoSuchRecovery, "shop-2")
	s := serveWith(t, p, nil)
	for _, path := range []string{"/api/v1/clusters/shop/settlements/shop-2", "/api/v1/clusters/shop/settlements/shop-2/export"} {
		r := s.ask("GET", path, "")
		r.wantProblem(t, 404, CodeNoSuchRecovery)
		if !strings.Contains(r.text, "/api/v1/clusters/shop/settlements lists them") || strings.Contains(r.text, "/recoveries") {
			t.Errorf("%s: %s", path, r.text)
		}
	}
}
