package orchestrator

import (
	"context"
	"fmt"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// wish begins a change that somebody asked for, or plays it through for a dry run.
func (c *cluster) wish(ctx context.Context, w Wish) (Answer, error) {
	if err := c.sane(w); err != nil {
		return Answer{}, err
	}
	var answer Answer
	var failed error
	err := c.do(ctx, func(loop context.Context) { answer, failed = c.grant(loop, w, c.now()) })
	if err != nil {
		return Answer{}, err
	}
	return answer, failed
}

// sane refuses what no state of the cluster could make sensible.
func (c *cluster) sane(w Wish) error {
	members := c.view().Ruleset.Servers()
	named := append([]topology.Address(nil), w.CertifyDown...)
	if w.To != "" {
		named = append(named, w.To)
	}
	for _, a := range named {
		if !members.Has(a) {
			return fmt.Errorf("%w: %q is no member of cluster %s; members are %s", ErrNoSuchServer, a, c.name, members)
		}
	}
	switch {
	case w.Kind != reparent.KindPlanned && w.Kind != reparent.KindEmergency:
		return fmt.Errorf("%w: kind %q is unknown, use planned or emergency", ErrBadWish, w.Kind)
	case w.Kind == reparent.KindPlanned && w.answeredFor():
		return fmt.Errorf("%w: certify_down, accept_loss and keep_errant belong to an emergency change", ErrBadWish)
	case w.answeredFor() && w.Reason == "":
		return fmt.Errorf("%w: certify_down, accept_loss and keep_errant need a reason, for it goes on record", ErrBadWish)
	case w.WithoutStore && w.Reason == "":
		return fmt.Errorf("%w: without_store needs a reason, for it goes on record", ErrBadWish)
	case w.Drain < 0:
		return fmt.Errorf("%w: drain cannot be negative", ErrBadWish)
	}
	return nil
}

// grant runs in the loop.
func (c *cluster) grant(ctx context.Context, w Wish, now time.Time) (Answer, error) {
	if w.WithoutStore {
		return c.withoutStore(ctx, w, now)
	}
	if c.lease == nil || !c.lease.Held(now) {
		return Answer{}, c.notLeading()
	}
	if op, begun, err := c.begun(ctx, w); begun || err != nil {
		return Answer{Operation: op}, err
	}
	if c.busy {
		return Answer{}, ErrBusy
	}
	c.look(ctx)
	return c.granted(ctx, w, c.lease, now)
}

// notLeading says why this elector does not act, as far as the store is the reason. What it refuses has not been begun: it
// is asked before anything else is done for a caller, and nothing else makes an ElsewhereError.
func (c *cluster) notLeading() error {
	if c.o.storeSilent() {
		return fmt.Errorf("%w, and who may act is decided there; a change of the primary can be made knowingly without it: --without-store --reason …", ErrStoreSilent)
	}
	acts := c.view().Elector
	if acts == "" || acts == c.o.settings.Elector {
		return ErrNotLeading
	}
	elsewhere := &ElsewhereError{Elector: acts}
	if c.o.sharing != nil {
		elsewhere.API = c.o.sharing.reached(c.name, acts)
	}
	return elsewhere
}

// outdatedFor is what a planned change waits for where later rules were in force than this elector knows.
func (c *cluster) outdatedFor(w Wish) reparent.Obstacle {
	o := reparent.Obstacle{
		Code: "rules_outdated", Message: fmt.Sprintf("ruleset %d is on record, and ruleset %d was in force: the next primary would wait for whom the older ones name, and nothing would tell of the later ones any more",
			c.record.Ruleset.Number, c.lineage.History.LatestRules()),
		Remedy: fmt.Sprintf("first say which rules are in force: primacy rules %s", c.name),
	}
	if w.WithoutStore {
		o.Message = fmt.Sprintf("ruleset %d was in force, and without the store this elector knows ruleset %d: the next primary would wait for whom the older ones name, and nothing would tell of the later ones any more",
			c.lineage.History.LatestRules(), c.record.Ruleset.Number)
		o.Remedy = "bring back the store, which has the rules on record, or ask an elector that has been running since before the store fell silent"
	}
	return o
}

// granted plays a wish through as the snapshot shows the servers, and begins it under a lease.
func (c *cluster) granted(ctx context.Context, w Wish, lease Lease, now time.Time) (Answer, error) {
	request := antiflap.Request{Cluster: c.name, Operator: person(w.By), Now: now}
	if o := c.halfSettled(); o != nil && w.KeepErrant {
		return Answer{}, &BlockedError{Obstacle: *o}
	}
	if w.Kind == reparent.KindPlanned && c.rulesOutdated() {
		return Answer{}, &BlockedError{Obstacle: c.outdatedFor(w)}
	}
	clearance, _, _ := c.o.settings.Antiflap.Clear(request, c.record.Antiflap, c.brake)
	in, make := c.wished(w), makerOf(w.Kind)
	op := make(clearance, in, now)
	if !op.Running() {
		return Answer{Operation: op}, &BlockedError{Obstacle: *op.Obstacle}
	}
	if w.DryRun {
		steps, end := reparent.DryRun(op, c.snapshot, now)
		return Answer{Operation: end, Steps: steps}, nil
	}
	op, err := c.operation(ctx, lease, clearance, in, make)
	if err != nil {
		return Answer{}, err
	}
	if !op.Running() {
		return Answer{Operation: op}, &BlockedError{Obstacle: *op.Obstacle}
	}
	c.begin(op, lease)
	return Answer{Operation: op}, nil
}

// halfSettled stands in the way of keeping what servers hold by their GTIDs: one that is rewound or cloned at this moment has
// rows undone, or dropped, of which its GTIDs still speak. Nil when there is none that could be read.
func (c *cluster) halfSettled() *reparent.Obstacle {
	s := c.lineage.Settling
	if s == nil || !s.HoldsLessThanItSays() || !c.snapshot.Server(s.Server).OK() {
		return nil
	}
	return &reparent.Obstacle{
		Code: "half_settled", Message: fmt.Sprintf("a %s of %s is under way (%s): what it holds by its GTIDs is not in its rows any more", s.Kind, s.Server, s.Step),
		Remedy: fmt.Sprintf("stop the mysqld of %s first, and clone it afterwards; or leave keep_errant out", s.Server),
	}
}

func person(by string) string {
	if by == "" {
		return "an operator"
	}
	return by
}

func makerOf(k reparent.Kind) maker {
	if k == reparent.KindPlanned {
		return reparent.Planned
	}
	return reparent.Emergency
}

// answeredFor tells whether whoever asks takes it upon himself that something may be done which Primacy does not do.
func (w Wish) answeredFor() bool { return len(w.CertifyDown) > 0 || w.AcceptLoss || w.KeepErrant }

func (c *cluster) wished(w Wish) reparent.Intent {
	cause := fmt.Sprintf("%s change asked for by %s", w.Kind, person(w.By))
	if w.WithoutStore {
		cause += ", without the store"
	}
	if w.Reason != "" {
		cause += ": " + w.Reason
	}
	history := c.history()
	history.Recovered = history.Recovered || w.WithoutStore // who else may lead is not known: all are revoked
	return reparent.Intent{
		ID: "dry-run", Elector: c.o.settings.Elector, Term: c.sessionTerm + 1, Snapshot: c.snapshot, History: history,
		Cause: cause, By: person(w.By), Reason: w.Reason, Call: w.Call, Wanted: w.To, CertifiedDown: topology.Servers(w.CertifyDown...),
		AcceptLoss: w.AcceptLoss, KeepErrant: w.KeepErrant, Drain: w.Drain, Timing: c.o.settings.Timing,
	}
}

// acknowledge lifts the window and the pause after failed attempts.
func (c *cluster) acknowledge(ctx context.Context, o Order) (antiflap.Window, error) {
	return c.change(ctx, fmt.Sprintf("%s acknowledged the last change: %s", person(o.By), o.Reason), o, func(now time.Time) {
		c.record.Antiflap = c.record.Antiflap.Acknowledge(person(o.By), o.Reason, now).AttemptsReset()
	})
}

func (c *cluster) setAutomation(ctx context.Context, on bool, o Order) error {
	word := map[bool]string{true: "on", false: "off"}[on]
	_, err := c.change(ctx, fmt.Sprintf("%s switched automatic changes %s: %s", person(o.By), word, o.Reason), o, func(now time.Time) {
		c.record.Automation = &Switch{On: on, By: person(o.By), Reason: o.Reason, At: now}
	})
	return err
}

// change edits the record in the loop, saves it, and takes the edit back when it could not be saved.
func (c *cluster) change(ctx context.Context, text string, o Order, edit func(now time.Time)) (antiflap.Window, error) {
	var window antiflap.Window
	var failed error
	err := c.do(ctx, func(loop context.Context) {
		if c.lease == nil {
			failed = c.notLeading()
			return
		}
		now := c.now()
		var done bool
		if done, failed = c.done(o); done || failed != nil {
			window = c.record.Antiflap.Window(now)
			return
		}
		before := c.record
		edit(now)
		c.record = c.record.called(o.Call)
		if failed = c.save(loop); failed != nil {
			c.record = before
			return
		}
		c.o.events.Tell(Event{Kind: EventOperator, At: now, Cluster: c.name, By: person(o.By), Text: text})
		window = c.record.Antiflap.Window(now)
	})
	if err != nil {
		return window, err
	}
	return window, failed
}
