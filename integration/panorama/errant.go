package panorama

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

var _ api.ErrantPlane = (*Plane)(nil)

// settling is a settlement that is shown as it goes on: each step takes stepLasts.
type settling struct {
	begun settle.Settlement
}

const stepLasts = 800 * time.Millisecond

// rowsShown is how many rows the largest errant transaction changes: more than fit on a page.
const rowsShown = 130

// at is the settlement as far as it has come.
func (s *settling) at(now time.Time) settle.Settlement {
	done := s.begun
	for done.Running() && !now.Before(done.StepAt.Add(stepLasts)) {
		step := done.StepAt.Add(stepLasts)
		if done.Step == settle.StepExport {
			done.ExportedTo = "exports/" + done.Cluster + "/" + done.ID
		}
		done = done.Apply(settle.Result{Outcome: reparent.Yes, Detail: stepWords[done.Step], Evidence: []string{"played"}}, step)
	}
	if done.Running() {
		part := uint64(now.Sub(done.StepAt) * 100 / stepLasts)
		done.Progress = &settle.Progress{Step: done.Step, Text: string(done.Step) + " goes on", Done: part, Of: 100, Unit: "rows"}
	}
	return done
}

var stepWords = map[settle.Step]string{
	settle.StepExport: "3 transactions are on record", settle.StepCheck: "no member holds them, every row can be undone",
	settle.StepIsolate: "it is attached to nothing and takes no writes",
}

// strays is where a cluster's errant transactions are; empty when there are none.
func (t *town) strays(now time.Time) (topology.Address, gtid.Set) {
	if t.now != astray {
		return "", gtid.Set{}
	}
	a := t.replica(t.healthy(now), 1).Address
	return a, straySet(a)
}

func straySet(a topology.Address) gtid.Set {
	return gtid.MustParse(fmt.Sprintf("%s:1-3", identity(a+"/somebody")))
}

// verdict alternates between clusters, so that both can be seen.
func (t *town) verdict(set gtid.Set) settle.Verdict {
	if t.rate%2 == 0 {
		return settle.Verdict{Never: true, Set: set, Term: t.term, Why: []string{
			fmt.Sprintf("%s wrote them while it led and waited for 1 acknowledgement", t.primary),
			fmt.Sprintf("the change to term %d froze %d of its ackers, none of which held them", t.term, len(t.ruleset.Members)-2),
		}}
	}
	return settle.Verdict{Set: set, Why: []string{"no recorded leader wrote them: " + t.said("a session of app@10.0.0.7")}}
}

// transcript is what somebody did who thought that they were on the primary.
func (t *town) transcript(set gtid.Set, now time.Time) settle.Transcript {
	var rows []settle.Change
	for i := range rowsShown {
		before := []settle.Value{{Column: "id", SQL: fmt.Sprint(4000 + i), JSON: 4000 + i, Key: true}, {Column: "state", SQL: "'open'", JSON: "open"}, {Column: "note", SQL: "NULL"}}
		after := slices.Clone(before)
		after[1], after[2] = settle.Value{Column: "state", SQL: "'paid'", JSON: "paid"}, settle.Value{Column: "note", SQL: "'" + t.said("by phone") + "'", JSON: t.said("by phone")}
		rows = append(rows, settle.Change{Schema: "app", Table: "orders", Action: "update", Before: before, After: after})
	}
	person := []settle.Value{{Column: "id", SQL: "17", JSON: 17, Key: true}, {Column: "name", SQL: "'" + t.said("Zoë") + "'", JSON: t.said("Zoë")}}
	lacking := [][]string{1: {t.said("CREATE USER app@'%', whose password is not told")}, 2: nil}
	told := settle.Transcript{Set: set, ReadAt: now, Rows: rowsShown + 2}
	for i, changes := range [][]settle.Change{
		{{Schema: "app", Table: "customers", Action: "insert", After: person}}, rows,
		{{Schema: "app", Table: t.said("sessions"), Action: "delete", Before: []settle.Value{{Column: "@1", SQL: "X'00ff'", JSON: map[string]string{"base64": "AP8="}}}}},
	} {
		told.Transactions = append(told.Transactions, settle.Transaction{
			GTID: fmt.Sprintf("%s:%d", identity(t.replica(t.healthy(now), 1).Address+"/somebody"), i+1), CommittedAt: t.since.Add(time.Duration(i) * 41 * time.Millisecond),
			ServerID: 3, Thread: 4711, File: "binlog.000004", Bytes: 900, Changes: changes, Statements: []string{t.said("UPDATE app.orders SET state = 'paid'")},
			Process: settle.Process{Number: 1, Known: true, Running: true, StartedAt: t.founded}, Lacks: lacking[i],
		})
	}
	return told
}

// Errant implements api.ErrantPlane.
func (p *Plane) Errant(_ context.Context, cluster string, server topology.Address) ([]orchestrator.Errant, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.byName[cluster]
	if !ok {
		return nil, orchestrator.ErrNoSuchCluster
	}
	now := time.Now()
	a, set := t.strays(now)
	if a == "" || (server != "" && server != a) {
		return nil, nil
	}
	e := orchestrator.Errant{Server: a, Set: set, Verdict: t.verdict(set), Transcript: t.transcript(set, now)}
	if all := t.settlements(now); len(all) > 0 {
		e.Settlement = &all[0]
	}
	return []orchestrator.Errant{e}, nil
}

// settlements are those of a cluster, latest first.
func (t *town) settlements(now time.Time) []settle.Settlement {
	if t.settling == nil {
		return t.settled
	}
	return append([]settle.Settlement{t.settling.at(now)}, t.settled...)
}

// Settle implements api.ErrantPlane.
func (p *Plane) Settle(ctx context.Context, w orchestrator.SettleWish) (orchestrator.SettleAnswer, error) {
	found, err := p.Errant(ctx, w.Cluster, w.Server)
	if err != nil {
		return orchestrator.SettleAnswer{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t, now := p.byName[w.Cluster], time.Now()
	switch {
	case len(found) == 0:
		return orchestrator.SettleAnswer{}, orchestrator.ErrNotErrant
	case t.settling != nil:
		return orchestrator.SettleAnswer{}, orchestrator.ErrBusy
	case !found[0].Verdict.Never && !slices.Contains(w.Accept, settle.AcceptPossiblyAcked):
		return orchestrator.SettleAnswer{}, fmt.Errorf("%w: %s may have been answered to clients; look at what it did, and give possibly_acked as accepted if it may go", orchestrator.ErrCannotSettle, found[0].Set)
	}
	s := settle.Begin(settle.Settlement{
		ID: t.name + "-" + now.UTC().Format("20060102T150405.000"), Cluster: t.name, Server: w.Server, Kind: w.Kind, Set: found[0].Set, Verdict: found[0].Verdict,
		Term: t.term, By: w.By, Reason: w.Reason, Accept: w.Accept,
	}, now)
	answer := orchestrator.SettleAnswer{Settlement: s, Steps: w.Kind.Steps(), Check: settle.Result{Outcome: reparent.Yes, Detail: "3 transactions with 132 rows can be undone"}}
	if !w.DryRun {
		t.settling = &settling{begun: s}
		p.acting[t] = true
		p.told(t, now, fmt.Sprintf("%s asked for a %s of %s: %s", w.By, w.Kind, w.Server, w.Reason))
	}
	return answer, nil
}

func (p *Plane) told(t *town, now time.Time, text string) {
	p.events.Tell(orchestrator.Event{At: now, Kind: orchestrator.EventOperator, Cluster: t.name, Text: text})
}

// settles tells what has become of a settlement, and ends it when its time has come.
func (p *Plane) settles(t *town, now time.Time) {
	s := t.settling.at(now)
	if s.Running() {
		return
	}
	before := t.view.Findings
	t.settling, t.settled = nil, slices.Insert(t.settled, 0, s)
	t.now, t.since = well, now
	t.rebuild(now)
	p.compare(t, before, now)
	p.told(t, now, fmt.Sprintf("%s is clean again", s.Server))
}

// CancelSettling implements api.ErrantPlane.
func (p *Plane) CancelSettling(_ context.Context, cluster string, _ topology.Address, o orchestrator.Order) (settle.Settlement, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.byName[cluster]
	if !ok {
		return settle.Settlement{}, orchestrator.ErrNoSuchCluster
	}
	if t.settling == nil {
		return settle.Settlement{}, orchestrator.ErrNotErrant
	}
	now := time.Now()
	s := t.settling.at(now).End(settle.StateCancelled, "called off by "+o.By+": "+o.Reason, now)
	t.settling, t.settled = nil, slices.Insert(t.settled, 0, s)
	return s, nil
}

// Settlements implements api.ErrantPlane.
func (p *Plane) Settlements(_ context.Context, cluster string, limit int) ([]settle.Settlement, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.byName[cluster]
	if !ok {
		return nil, orchestrator.ErrNoSuchCluster
	}
	all := t.settlements(time.Now())
	if limit > 0 && len(all) > limit {
		all = all[:limit]
	}
	return all, nil
}

// Settlement implements api.ErrantPlane.
func (p *Plane) Settlement(ctx context.Context, cluster, id string) (settle.Settlement, settle.Transcript, error) {
	all, err := p.Settlements(ctx, cluster, 0)
	if err != nil {
		return settle.Settlement{}, settle.Transcript{}, err
	}
	i := slices.IndexFunc(all, func(s settle.Settlement) bool { return s.ID == id })
	if i < 0 {
		return settle.Settlement{}, settle.Transcript{}, orchestrator.ErrNoSuchRecovery
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return all[i], p.byName[cluster].transcript(all[i].Set, time.Now()), nil
}
