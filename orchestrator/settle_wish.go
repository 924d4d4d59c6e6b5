package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// Errant is what is known of one server's errant transactions.
type Errant struct {
	Server     topology.Address
	Set        gtid.Set
	Verdict    settle.Verdict
	Transcript settle.Transcript
	// Unread is why the transactions could not be read or judged; empty when they were.
	Unread string
	// Settlement is the one under way, or the last one that ended; nil when there was none.
	Settlement *settle.Settlement
}

// SettleWish asks for the settlement of a server.
type SettleWish struct {
	Cluster string
	Server  topology.Address
	Kind    settle.Kind
	DryRun  bool     // find out whether it is possible, and change nothing
	Accept  []string // see settle.Accept…
	Reason  string
	By      string
	// Call and Revisions are those of an Order.
	Call      reparent.Call
	Revisions []string
}

// SettleAnswer is the settlement that was begun or, for a dry run, would be, with the steps that it takes.
type SettleAnswer struct {
	Settlement settle.Settlement
	Steps      []settle.Step
	// Check is what a dry run found out.
	Check settle.Result
}

// Errant tells of each server with errant transactions who wrote what and whether it may have been answered; of one when
// it is named. It reads binary logs, and changes nothing.
func (o *Orchestrator) Errant(ctx context.Context, cluster string, server topology.Address) ([]Errant, error) {
	c, err := o.find(cluster)
	if err != nil {
		return nil, err
	}
	charges, settling, err := c.charges(ctx, server)
	if err != nil {
		return nil, err
	}
	var all []Errant
	for _, ch := range charges {
		e := Errant{Server: ch.server, Set: ch.set, Verdict: settle.Verdict{Set: ch.set}}
		if e.Settlement, err = c.lastSettlement(ctx, ch.server, settling); err != nil {
			return nil, err
		}
		j, err := ch.judge(ctx)
		if e.Transcript, e.Verdict = j.transcript, j.verdict; err != nil {
			e.Unread = err.Error()
		}
		all = append(all, e)
	}
	return all, nil
}

// errNoBench is what an orchestrator answers that cannot work on servers.
var errNoBench = fmt.Errorf("%w: this control plane works on no servers", ErrCannotSettle)

// charges are the servers that hold errant transactions now, or the one that is named.
func (c *cluster) charges(ctx context.Context, server topology.Address) (all []charge, settling *settle.Settlement, err error) {
	if c.o.settings.Bench == nil {
		return nil, nil, errNoBench
	}
	if _, member := c.view().Ruleset.Member(server); server != "" && !member {
		return nil, nil, fmt.Errorf("%w: %q is no member of cluster %s; members are %s", ErrNoSuchServer, server, c.name, c.view().Ruleset.Servers())
	}
	err = c.do(ctx, func(context.Context) {
		errant := c.errantSets(c.now())
		for _, a := range slices.Sorted(maps.Keys(errant)) {
			if server == "" || a == server {
				all = append(all, c.charge(a, errant[a]))
			}
		}
		settling = c.lineage.Settling
	})
	return all, settling, err
}

// lastSettlement is the settlement of a server under way, else the last one on record.
func (c *cluster) lastSettlement(ctx context.Context, server topology.Address, settling *settle.Settlement) (*settle.Settlement, error) {
	if settling != nil && settling.Server == server {
		return settling, nil
	}
	all, err := c.settlements(ctx, settlementsMost)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Server == server {
			return &all[i], nil
		}
	}
	return nil, nil
}

// settlementsMost bounds how many settlements are looked through.
const settlementsMost = 100

func (c *cluster) settlements(ctx context.Context, limit int) ([]settle.Settlement, error) {
	docs, err := c.o.store.List(ctx, settlementKey(c.name, ""), limit, true)
	if err != nil {
		return nil, fmt.Errorf("list settlements of cluster %s: %w", c.name, err)
	}
	var all []settle.Settlement
	for _, d := range docs {
		var s storedSettlement
		if err := decode(d, &s, &s.Version); err != nil {
			return nil, err
		}
		all = append(all, s.Settlement)
	}
	return all, nil
}

// Settlements lists what was done about errant servers of a cluster, newest first, with the one under way as it stands.
func (o *Orchestrator) Settlements(ctx context.Context, cluster string, limit int) ([]settle.Settlement, error) {
	c, err := o.find(cluster)
	if err != nil {
		return nil, err
	}
	all, err := c.settlements(ctx, limit)
	if now := c.view().Settling; now != nil {
		all = slices.DeleteFunc(all, func(s settle.Settlement) bool { return s.ID == now.ID })
		all = append([]settle.Settlement{*now}, all...)
	}
	if limit > 0 {
		all = all[:min(len(all), limit)]
	}
	return all, err
}

// Settlement finds one settlement with what its transactions did; the transcript is empty before they were put on record.
func (o *Orchestrator) Settlement(ctx context.Context, cluster, id string) (settle.Settlement, settle.Transcript, error) {
	c, err := o.find(cluster)
	if err != nil {
		return settle.Settlement{}, settle.Transcript{}, err
	}
	s, err := c.settlement(ctx, id)
	if err != nil {
		return settle.Settlement{}, settle.Transcript{}, err
	}
	var e storedExport
	d, found, err := o.store.Get(ctx, exportKey(cluster, id))
	if err == nil && found {
		err = decode(d, &e, &e.Version)
	}
	return s, e.Transcript, err
}

// settlement is the one under way as it stands, or one on record.
func (c *cluster) settlement(ctx context.Context, id string) (settle.Settlement, error) {
	if now := c.view().Settling; now != nil && now.ID == id {
		return *now, nil
	}
	var s storedSettlement
	d, found, err := c.o.store.Get(ctx, settlementKey(c.name, id))
	switch {
	case err != nil:
		return s.Settlement, fmt.Errorf("load settlement %s of cluster %s: %w", id, c.name, err)
	case !found:
		return s.Settlement, fmt.Errorf("%w: settlement %q", ErrNoSuchRecovery, id)
	}
	return s.Settlement, decode(d, &s, &s.Version)
}

// Settle begins a settlement by hand. It returns as soon as it has begun; Settlements tells how it goes on.
func (o *Orchestrator) Settle(ctx context.Context, w SettleWish) (SettleAnswer, error) {
	c, err := o.find(w.Cluster)
	if err != nil {
		return SettleAnswer{}, err
	}
	if err := w.sane(); err != nil {
		return SettleAnswer{}, err
	}
	if s, begun, err := c.settledUnder(ctx, w.order()); begun || err != nil {
		return SettleAnswer{Settlement: s, Steps: s.Kind.Steps()}, err
	}
	charges, _, err := c.charges(ctx, w.Server)
	if err != nil {
		return SettleAnswer{}, err
	}
	if len(charges) == 0 {
		return SettleAnswer{}, fmt.Errorf("%w: %s", ErrNotErrant, w.Server)
	}
	j, err := charges[0].judge(ctx)
	takesAway := w.Kind != settle.KindKeep && !slices.Contains(w.Accept, settle.AcceptPossiblyAcked)
	if err != nil && takesAway {
		return SettleAnswer{}, fmt.Errorf("%w: it cannot be judged whether a client was answered: %w", ErrCannotSettle, err)
	}
	if !j.verdict.Never && takesAway {
		return SettleAnswer{}, fmt.Errorf("%w: %s may have been answered to clients (%s); look at what it did, and give %s as accepted if it may go",
			ErrCannotSettle, j.set, join(j.verdict.Why), settle.AcceptPossiblyAcked)
	}
	return c.settleAsAsked(ctx, w, j)
}

// order is who asks, without what a dry run does not need.
func (w SettleWish) order() Order {
	o := Order{By: w.By, Reason: w.Reason, Call: w.Call, Revisions: w.Revisions}
	if w.DryRun {
		o.Call = reparent.Call{}
	}
	return o
}

// settledUnder finds the settlement that a call has begun or called off already, and refuses one that was meant for another
// state of the cluster. A call is kept with the settlement, which is saved when it is begun and when it ends.
func (c *cluster) settledUnder(ctx context.Context, o Order) (s settle.Settlement, found bool, err error) {
	var failed error
	err = c.do(ctx, func(loop context.Context) { s, found, failed = c.settled(loop, o) })
	return s, found, errors.Join(err, failed)
}

func (c *cluster) settled(ctx context.Context, o Order) (s settle.Settlement, found bool, err error) {
	if c.lease == nil {
		return s, false, c.notLeading()
	}
	if o.Call != (reparent.Call{}) {
		if s, found, err = c.settlementOf(ctx, o.Call); found || err != nil {
			return s, found, err
		}
	}
	if len(o.Revisions) > 0 {
		err = at(c.current(), o.Revisions)
	}
	return s, false, err
}

func (c *cluster) settlementOf(ctx context.Context, call reparent.Call) (settle.Settlement, bool, error) {
	ctx, cancel := c.runtime().Within(ctx, storeTimeout)
	defer cancel()
	all, err := c.settlements(ctx, callsKept)
	if err != nil {
		return settle.Settlement{}, false, err
	}
	if now := c.lineage.Settling; now != nil {
		all = append([]settle.Settlement{*now}, all...)
	}
	for _, s := range all {
		for _, earlier := range s.Calls {
			if earlier.Key == call.Key {
				return s, true, same(earlier, call)
			}
		}
	}
	return settle.Settlement{}, false, nil
}

// calls keeps the key of an order, if it has one.
func (o Order) calls(before []reparent.Call) []reparent.Call {
	if o.Call == (reparent.Call{}) {
		return before
	}
	return append(slices.Clone(before), o.Call)
}

func join(why []string) string {
	if len(why) == 0 {
		return "nothing is known"
	}
	return why[0]
}

func (w SettleWish) sane() error {
	for _, a := range w.Accept {
		if !slices.Contains(settle.Accepts(), a) {
			return fmt.Errorf("%w: accept %q is unknown; it may be one of %v", ErrBadWish, a, settle.Accepts())
		}
	}
	switch {
	case w.Server == "":
		return fmt.Errorf("%w: no server is named", ErrBadWish)
	case !slices.Contains(settle.Kinds(), w.Kind):
		return fmt.Errorf("%w: action %q is unknown, use one of %v", ErrBadWish, w.Kind, settle.Kinds())
	case w.Reason == "" && !w.DryRun:
		return fmt.Errorf("%w: it needs a reason, for it goes on record", ErrBadWish)
	}
	return nil
}

// settleAsAsked looks once more in the loop, and begins.
func (c *cluster) settleAsAsked(ctx context.Context, w SettleWish, j judgement) (SettleAnswer, error) {
	var s settle.Settlement
	var task settle.Task
	var lease Lease
	var term uint32
	var failed error
	err := c.do(ctx, func(loop context.Context) {
		var found bool
		if s, found, failed = c.settled(loop, w.order()); found || failed != nil { // while it was judged
			return
		}
		now := c.now()
		s = settle.Settlement{
			ID: settlementID(c.name, now), Cluster: c.name, Server: w.Server, Kind: w.Kind, Set: j.set, Verdict: j.verdict, Term: j.term,
			By: person(w.By), Reason: w.Reason, Accept: w.Accept, Calls: w.order().calls(nil),
		}
		if failed = c.maySettle(s, now); failed != nil {
			return
		}
		if s = settle.Begin(s, now); w.Kind == settle.KindClone {
			current, _ := c.lineage.History.Current()
			s.Donor, _ = c.donor(current.Primary, s)
		}
		if w.DryRun {
			s.Step = settle.StepCheck
			task, lease, term = c.task(s), c.lease, c.sessionTerm
			return
		}
		if err := c.conclude(loop, s); err != nil {
			failed = fmt.Errorf("the settlement could not be put on record, and nothing was changed: %w", err)
			return
		}
		c.settleErrant(loop, now)
	})
	if err = errors.Join(err, failed); err != nil || !w.DryRun {
		return SettleAnswer{Settlement: s, Steps: w.Kind.Steps()}, err
	}
	return SettleAnswer{Settlement: s, Steps: w.Kind.Steps(), Check: c.tried(ctx, lease, term, task)}, nil
}

// tried is the one step of a dry run: it changes nothing.
func (c *cluster) tried(ctx context.Context, lease Lease, term uint32, task settle.Task) settle.Result {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(lease.Context(), cancel)()
	return c.o.settings.Bench.Work(ctx, c.name, term, task, func(settle.Progress) {})
}

// maySettle says why a settlement cannot be begun now; nil when it can.
func (c *cluster) maySettle(s settle.Settlement, now time.Time) error {
	switch {
	case c.lease == nil || !c.lease.Held(now):
		return c.notLeading()
	case c.busy:
		return ErrBusy
	case c.lineage.Settling != nil:
		return fmt.Errorf("%w: %s is being settled (%s), one server at a time", ErrCannotSettle, c.lineage.Settling.Server, c.lineage.Settling.Step)
	case c.record.Halting != nil:
		return fmt.Errorf("%w: a %s of servers is under way, at %s", ErrCannotSettle, c.record.Halting.Kind, c.record.Halting.Server())
	case c.stint != nil:
		return fmt.Errorf("%w: it is being looked at by itself; try again in a moment", ErrCannotSettle)
	case !c.errantSets(now)[s.Server].Equal(s.Set):
		return fmt.Errorf("%w: what %s holds has changed while it was looked at; try again", ErrCannotSettle, s.Server)
	}
	current, _ := c.lineage.History.Current()
	if current.Term != s.Term {
		return fmt.Errorf("%w: the primary was changed while it was looked at; try again", ErrCannotSettle)
	}
	if why := settle.Needed(c.snapshot, current.Primary, s.Server); why != "" { // what passes by itself is waited for
		return fmt.Errorf("%w: %s", ErrCannotSettle, why)
	}
	return nil
}

// CancelSettling calls a settlement off. What it has done so far stays done: the server stays quarantined.
func (o *Orchestrator) CancelSettling(ctx context.Context, cluster string, server topology.Address, order Order) (settle.Settlement, error) {
	c, err := o.find(cluster)
	if err != nil {
		return settle.Settlement{}, err
	}
	s, done, err := c.settledUnder(ctx, order)
	if done || err != nil {
		return s, err
	}
	var failed error
	err = c.do(ctx, func(loop context.Context) { s, failed = c.cancelSettling(loop, server, order) })
	return s, errors.Join(err, failed)
}

func (c *cluster) cancelSettling(ctx context.Context, server topology.Address, o Order) (settle.Settlement, error) {
	now := c.now()
	switch s := c.lineage.Settling; {
	case c.lease == nil || !c.lease.Held(now):
		return settle.Settlement{}, c.notLeading()
	case c.busy:
		return settle.Settlement{}, ErrBusy
	case s == nil || s.Server != server:
		return settle.Settlement{}, fmt.Errorf("%w: %s is not being settled", ErrCannotSettle, server)
	case s.Step == settle.StepAdmit && c.snapshot.Server(server).OK(): // one that does not come back would keep everything else waiting
		return *s, fmt.Errorf("%w: %s is at its last step, which is not left half done", ErrCannotSettle, server)
	default:
		c.endSettling()
		end := s.End(settle.StateCancelled, fmt.Sprintf("called off by %s: %s", person(o.By), o.Reason), now)
		end.Calls = o.calls(end.Calls)
		if err := c.conclude(ctx, end); err != nil {
			return *s, fmt.Errorf("it could not be put on record that the settlement of %s is called off, so it goes on: %w", server, err)
		}
		return end, nil
	}
}
