package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Which rules are in force is what the record says. They are changed by somebody who asks, or by the configuration; the file
// wins only when it has changed since rules were last recorded, so that what somebody asked for is not undone by a restart.

// RulesWish asks for other rules than those in force.
type RulesWish struct {
	Cluster string
	Policy  topology.Policy
	Members []topology.Member
	// Gone are members to be removed of which whoever asks vouches that they acknowledge nothing any more.
	Gone []topology.Address
	// Number, when set, is that of the rules which have to be in force.
	Number *uint64
	DryRun bool
	Reason string
	By     string
	// Call and Revisions are as in an Order.
	Call      reparent.Call
	Revisions []string
}

// ChangeRules puts other rules in force. It returns as soon as the change has begun; Await waits for its end. A change that
// cannot be begun is a *BlockedError.
func (o *Orchestrator) ChangeRules(ctx context.Context, w RulesWish) (Answer, error) {
	c, err := o.find(w.Cluster)
	if err != nil {
		return Answer{}, err
	}
	if !o.settings.RulesChanges {
		return Answer{}, fmt.Errorf("%w: rules are not changed here", ErrBadWish)
	}
	if len(w.Gone) > 0 && w.Reason == "" {
		return Answer{}, fmt.Errorf("%w: gone needs a reason, for it goes on record", ErrBadWish)
	}
	until := o.settings.Runtime.Now().Add(repairsEnd)
	for {
		answer, err := c.ruled(ctx, w)
		if !errors.Is(err, errRepairing) || o.settings.Runtime.Now().After(until) {
			return answer, err
		}
		o.settings.Runtime.NewBell().Wait(ctx, repairsPoll)
	}
}

// Repairs under way could do the opposite of what a change of the rules does: they are waited for.
const (
	repairsEnd  = 12 * time.Second
	repairsPoll = 100 * time.Millisecond
)

var errRepairing = fmt.Errorf("%w: a repair is", ErrBusy)

func (c *cluster) ruled(ctx context.Context, w RulesWish) (answer Answer, failed error) {
	err := c.do(ctx, func(loop context.Context) { answer, failed = c.rule(loop, w, c.now()) })
	return answer, errors.Join(err, failed)
}

// rule runs in the loop.
func (c *cluster) rule(ctx context.Context, w RulesWish, now time.Time) (Answer, error) {
	if c.lease == nil || !c.lease.Held(now) {
		return Answer{}, c.notLeading()
	}
	if w.Call != (reparent.Call{}) && !w.DryRun {
		if op, found, err := c.granting(ctx, w.Call); found || err != nil {
			return Answer{Operation: op}, err
		}
		if did, err := c.done(Order{Call: w.Call}); did || err != nil {
			return c.vouching(w, c.record.Ruleset, fmt.Sprintf("by this call rules were put on record that are in force; by now that is ruleset %d", c.record.Ruleset.Number)), err
		}
	}
	if w.Number != nil && *w.Number != c.record.Ruleset.Number {
		return Answer{}, fmt.Errorf("%w: ruleset %d of cluster %s is in force, not %d", ErrOtherRevision, c.record.Ruleset.Number, c.name, *w.Number)
	}
	if err := at(c.current(), w.Revisions); err != nil {
		return Answer{}, err
	}
	switch {
	case c.busy:
		return Answer{}, ErrBusy
	case c.repairing && !w.DryRun:
		return Answer{}, errRepairing
	}
	for _, o := range []*reparent.Obstacle{c.unsettledServer(), c.stoppingServer()} {
		if o != nil {
			return Answer{}, &BlockedError{Obstacle: *o}
		}
	}
	next := topology.Ruleset{Policy: w.Policy, Members: w.Members}
	if c.rulesOutdated() {
		return c.vouched(ctx, w, next)
	}
	if o := c.strange(ctx, next); o != nil {
		return Answer{}, &BlockedError{Obstacle: *o}
	}
	c.look(ctx)
	return c.changeRules(ctx, w, next, now)
}

// rulesOutdated tells whether a leadership was decided under later rules than those on record. See topology.RulesOutdated.
func (c *cluster) rulesOutdated() bool {
	return c.o.settings.RulesChanges && c.lineage.History.LatestRules() > c.record.Ruleset.Number
}

// vouched puts rules on record under the latest number, when the record is older than that and somebody who knows says that
// these are in force. They are those on record or those of the file: any others would be a change of rules that nobody can name.
func (c *cluster) vouched(ctx context.Context, w RulesWish, next topology.Ruleset) (Answer, error) {
	next.Number = c.lineage.History.LatestRules()
	leads := topology.Address("")
	if all := c.lineage.History.Leaderships; len(all) > 0 {
		leads = all[len(all)-1].Primary
	}
	switch {
	case w.Reason == "" && !w.DryRun:
		return Answer{}, fmt.Errorf("%w: to vouch for rules needs a reason, for it goes on record", ErrBadWish)
	case !c.record.Ruleset.Same(next) && !c.wantedRules().Same(next):
		return Answer{}, &BlockedError{Obstacle: reparent.Obstacle{
			Code: "rules_outdated", Message: fmt.Sprintf("ruleset %d is on record, and ruleset %d was in force", c.record.Ruleset.Number, next.Number),
			Remedy: "first say which rules are in force: ask for those on record, or write them to the file and ask for the same",
		}}
	case leads != "" && !next.Servers().Has(leads):
		return Answer{}, &BlockedError{Obstacle: reparent.Obstacle{
			Code: "primary_removed", Message: fmt.Sprintf("%s leads, and is no member by these rules: they cannot be the ones that were in force", leads),
			Remedy: "write the rules that were in force to the file, with it, and ask for the same",
		}}
	case w.DryRun:
		return c.vouching(w, next, fmt.Sprintf("these rules would be put on record as ruleset %d, for %s vouches that they are in force; no server would be told anything", next.Number, person(w.By))), nil
	}
	before := c.record
	c.record = c.record.called(w.Call)
	c.record.Ruleset, c.record.Configured = next, c.asConfigured()
	if err := c.save(ctx); err != nil {
		c.record = before
		return Answer{}, err
	}
	c.watch()
	c.reconfigure(ctx)
	text := fmt.Sprintf("%s vouches that these rules are in force: they are on record as ruleset %d", person(w.By), next.Number)
	c.o.events.Tell(Event{Kind: EventOperator, At: c.now(), Cluster: c.name, By: w.By, Text: text + ": " + w.Reason})
	return c.vouching(w, next, text), nil
}

// vouching is the answer to somebody who vouched for rules: a change that has succeeded, and that no server was told of.
func (c *cluster) vouching(w RulesWish, next topology.Ruleset, text string) Answer {
	current, _ := c.lineage.History.Current()
	now := c.now()
	return Answer{Vouched: text, Operation: reparent.Operation{
		Cluster: c.name, Kind: reparent.KindRules, Cause: text, Elector: c.o.settings.Elector, By: person(w.By), Reason: w.Reason, From: current.Primary, To: current.Primary,
		Phase: reparent.PhaseDone, State: reparent.StateSucceeded, StartedAt: now, PhaseAt: now, FinishedAt: now, Ruleset: next, Rules: &next,
	}}
}

// unsettledServer stands in the way of a change of the rules; nil when nothing is.
func (c *cluster) unsettledServer() *reparent.Obstacle {
	s := c.lineage.Settling
	if s == nil {
		return nil
	}
	return &reparent.Obstacle{
		Code: "settling", Message: fmt.Sprintf("%s is being settled, and until then it is not known what it holds", s.Server),
		Remedy: fmt.Sprintf("wait for its end, or call it off: primacy errant %s %s cancel", c.name, s.Server),
	}
}

// stoppingServer stands in the way as well: it is to come back as what it was, and until then one acknowledges less.
func (c *cluster) stoppingServer() *reparent.Obstacle {
	h := c.record.Halting
	if h == nil {
		return nil
	}
	return &reparent.Obstacle{
		Code: "halting", Message: fmt.Sprintf("a %s is under way, at %s", h.Kind, h.Server()),
		Remedy: fmt.Sprintf("wait for its end, or call it off: primacy restart %s --cancel", c.name),
	}
}

// strange looks at servers before they become members: one that is a mistake in writing would only be counted as out of
// reach, and one with other data would be errant from its first moment.
func (c *cluster) strange(ctx context.Context, next topology.Ruleset) *reparent.Obstacle {
	current, _ := c.lineage.History.Current()
	primary := c.lastSeen.Of(current.Primary)
	for a := range next.Servers().Minus(c.record.Ruleset.Servers()).All() {
		o := c.o.fleet.Probe(ctx, a)
		if !o.OK() {
			return &reparent.Obstacle{Code: "added_not_reached", Message: fmt.Sprintf("%s does not answer (%s %s)", a, o.Reach, o.Error),
				Remedy: "start it, with the accounts that Primacy and replication need, and add it then"}
		}
		for _, m := range c.record.Ruleset.Members {
			if known := c.lastSeen.Of(m.Address); known.UUID == o.UUID && next.Servers().Has(m.Address) {
				return &reparent.Obstacle{Code: "added_twice", Message: fmt.Sprintf("%s has the server_uuid of %s", a, m.Address), Remedy: "stop it, delete auto.cnf in its data directory, and start it"}
			}
		}
		if own := o.Position().Subtract(primary.Position()).Only(func(s gtid.Source) bool { return s.UUID != primary.UUID }); !own.IsEmpty() {
			return &reparent.Obstacle{Code: "added_errant", Message: fmt.Sprintf("%s holds transactions that %s does not: %s", a, current.Primary, own),
				Remedy: "begin with an empty server, or with a copy of a member's data"}
		}
	}
	return nil
}

func (c *cluster) changeRules(ctx context.Context, w RulesWish, next topology.Ruleset, now time.Time) (Answer, error) {
	request := antiflap.Request{Cluster: c.name, Operator: person(w.By), Now: now}
	clearance, _, _ := c.o.settings.Antiflap.Clear(request, c.record.Antiflap, c.brake)
	in, make := c.rulesIntent(w, next), rulesMaker(next, w.Gone)
	op := make(clearance, in, now)
	if w.DryRun && op.Running() {
		steps, end := reparent.DryRun(op, c.snapshot, now)
		return Answer{Operation: end, Steps: steps}, nil
	}
	if op.Running() {
		var err error
		if op, err = c.operation(ctx, c.lease, clearance, in, make); err != nil {
			return Answer{}, err
		}
	}
	if !op.Running() {
		return Answer{Operation: op}, &BlockedError{Obstacle: *op.Obstacle}
	}
	c.begin(op, c.lease)
	return Answer{Operation: op}, nil
}

func rulesMaker(next topology.Ruleset, gone []topology.Address) maker {
	return func(cl antiflap.Clearance, in reparent.Intent, now time.Time) reparent.Operation {
		return reparent.Rules(cl, in, next, topology.Servers(gone...), now)
	}
}

func (c *cluster) rulesIntent(w RulesWish, next topology.Ruleset) reparent.Intent {
	cause := fmt.Sprintf("%s, asked for by %s", reparent.RulesDifference(c.record.Ruleset, next), person(w.By))
	if w.Reason != "" {
		cause += ": " + w.Reason
	}
	return reparent.Intent{
		ID: "dry-run", Elector: c.o.settings.Elector, Term: c.sessionTerm + 1, Snapshot: c.snapshot, History: c.history(),
		Cause: cause, By: person(w.By), Reason: w.Reason, Call: w.Call, Timing: c.o.settings.Timing,
	}
}

// putInForce puts the rules of a change on record. An error leaves open whether they stand there: whoever asked tries again,
// or leaves it to the one who reads the record next.
func (c *cluster) putInForce(ctx context.Context, op reparent.Operation) (refused string, err error) {
	if c.lease == nil {
		return "", ErrNotLeading
	}
	if r := c.record.Ruleset; r.Number != op.Ruleset.Number || !r.Same(op.Ruleset) {
		return fmt.Sprintf("ruleset %d is in force by now, and not %d", r.Number, op.Ruleset.Number), nil
	}
	before := c.record
	c.record.Ruleset, c.record.Configured = *op.Rules, c.asConfigured()
	for a := range before.Ruleset.Servers().Minus(op.Rules.Servers()).All() {
		if _, out := c.record.Maintenance[a]; out {
			c.note(a, nil)
		}
	}
	if err := c.save(ctx); err != nil {
		c.record = before
		return "", err
	}
	c.pending, c.rulesRefused, c.rulesByHand = nil, "", ""
	c.watch()
	c.reconfigure(ctx)
	return "", nil
}

// watch has the members probed, and forgets what was seen of others.
func (c *cluster) watch() {
	members := c.record.Ruleset.Servers()
	c.o.fleet.Watch(c.name, members.List())
	kept := topology.Sightings{}
	for a, o := range c.lastSeen {
		if members.Has(a) {
			kept[a] = o
		}
	}
	c.lastSeen = kept
}

// Configure tells of rules that the configuration has by now. They are put in force as if they had been there at start; a
// change that takes a barrier is made when the cluster is ready for it.
func (o *Orchestrator) Configure(ctx context.Context, s ClusterSettings) error {
	c, err := o.find(s.Name)
	if err != nil {
		return err
	}
	return c.do(ctx, func(loop context.Context) {
		c.mu.Lock()
		c.ruleset = s.Ruleset
		c.mu.Unlock()
		if c.lease != nil && !c.busy {
			c.reconfigure(loop)
			c.watch()
		}
	})
}

// configured are the rules of the configuration; asked for by the contender too.
func (c *cluster) configured() topology.Ruleset {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ruleset
}

// asConfigured are the rules of the configuration as they are kept with the record.
func (c *cluster) asConfigured() *topology.Ruleset {
	r := c.wantedRules()
	r.Number = 0
	return &r
}

// wantedRules are those that the configuration asks for.
func (c *cluster) wantedRules() topology.Ruleset {
	wanted := c.configured()
	if c.discovered { // a member that did not answer just now is no wish to remove it
		for _, m := range c.record.Ruleset.Members {
			if _, found := wanted.Member(m.Address); !found {
				wanted.Members = append(slices.Clip(wanted.Members), m)
			}
		}
	}
	return wanted
}

// reconfigure records the configured ruleset in place of the one on record, where that is safe as it is. Where it takes a
// barrier that is left to reorder.
func (c *cluster) reconfigure(ctx context.Context) {
	wanted := c.wantedRules()
	c.rulesRefused, c.rulesByHand, c.pending = "", "", nil
	if c.rulesOutdated() {
		return
	}
	if c.o.settings.RulesChanges && c.outweighs(wanted) || c.record.Ruleset.Same(wanted) {
		return
	}
	if c.rulesRefused = c.record.Ruleset.Succeeds(wanted); c.rulesRefused != "" {
		if c.o.settings.RulesChanges {
			c.pending = &wanted
		}
		return
	}
	before := c.record
	wanted.Number = before.Ruleset.Number + 1
	c.record.Ruleset = wanted
	if c.o.settings.RulesChanges {
		c.record.Configured = c.asConfigured()
	}
	if err := c.save(ctx); err != nil {
		c.record, c.rulesRefused = before, fmt.Sprintf("it could not be recorded: %v", err)
		return
	}
	c.watch()
	c.o.events.Tell(Event{
		Kind: EventOperator, At: c.now(), Cluster: c.name, By: "configuration",
		Text: fmt.Sprintf("ruleset %d of cluster %s is on record: %s with %d acks, %s", wanted.Number, c.name, wanted.Policy.Kind, wanted.Policy.Acks, wanted.Servers()),
	})
}

// outweighs tells whether the record counts for more than the configuration: they agree, or the file is the one that was
// there when the rules on record were put in force, so that somebody has asked for others since.
func (c *cluster) outweighs(wanted topology.Ruleset) bool {
	known := c.record.Configured
	switch {
	case c.record.Ruleset.Same(wanted):
		if known == nil || !known.Same(wanted) {
			c.record.Configured, c.noted = c.asConfigured(), true
		}
		return true
	case known != nil && known.Same(wanted):
		c.rulesByHand = fmt.Sprintf("ruleset %d was put on record by hand, and the file has not changed since: %s", c.record.Ruleset.Number, reparent.RulesDifference(c.record.Ruleset, wanted))
		return true
	}
	return false
}

// reorderEvery is how long a change that the configuration asks for and that did not come to its end waits for the next try.
const reorderEvery = 30 * time.Second

// reorder makes a change of the rules that the configuration asks for, as soon as the cluster is ready for it.
func (c *cluster) reorder(ctx context.Context, now time.Time) {
	if c.pending == nil || c.rulesOutdated() || c.busy || c.repairing || c.lineage.Settling != nil || c.record.Halting != nil || c.record.Held != nil || now.Before(c.reordered) {
		return
	}
	w := RulesWish{Cluster: c.name, By: "configuration", Reason: "the file has changed"}
	forecast := rulesMaker(*c.pending, nil)(c.operatorClearance(now), c.rulesIntent(w, *c.pending), now)
	if !forecast.Running() {
		c.rulesRefused = (&BlockedError{Obstacle: *forecast.Obstacle}).Error()
		return
	}
	c.reordered = now.Add(reorderEvery)
	if _, err := c.changeRules(ctx, w, *c.pending, now); err != nil {
		c.rulesRefused = err.Error()
	}
}

func (c *cluster) operatorClearance(now time.Time) antiflap.Clearance {
	cl, _, _ := c.o.settings.Antiflap.Clear(antiflap.Request{Cluster: c.name, Operator: "primacy", Now: now}, c.record.Antiflap, c.brake)
	return cl
}
