package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// A world with Options.Rules changes its rules as people do: they write the file and have it read again, or ask an elector.
// What may not be put on record by itself is made by a change with a barrier, or it is said what stands in its way.

// numbered are the rules in force, and since when whoever acts shows that they are.
type numbered struct {
	number uint64
	since  time.Duration
}

// changes draws that the rules are changed, some times in a lifetime.
func changes(r *rand.Rand, length time.Duration, servers, number int) []Fault {
	all := make([]Fault, 1+r.IntN(5))
	for i := range all {
		all[i] = drawFault(r, Reconfigure, length, servers)
		all[i].Number = number + i
	}
	return all
}

// number notes which rules are in force.
func (w *world) number(e *elector) {
	if !w.options.Rules || e != w.actor() {
		return
	}
	if n := e.view().Ruleset.Number; n != w.numbered.number {
		w.numbered = numbered{n, w.clock.now}
	}
}

// changeRules is what somebody wants of the rules, by the file or by hand.
func (w *world) changeRules(f Fault) bool {
	e := w.actor()
	if e == nil || !w.onRecord() || e.view().Ruleset.Number == 0 || outdated(e.view().Findings) {
		return false // first it has to be known which are in force
	}
	now := e.view().Ruleset
	chance := draws(w.report.Seed, forChanges<<32|uint64(f.Number))
	next := now
	next.Members = slices.Clone(now.Members)
	if !w.anotherBy(&next, f, chance) || next.Validate() != nil || next.Same(now) {
		return false
	}
	w.tell("fault", "%s: %s with %d acks, %s%s", f.Kind, next.Policy.Kind, next.Policy.Acks, next.Servers(), cascadesOf(next))
	w.mayBeMade(next)
	if chance.IntN(2) == 0 {
		w.askForRules(e, next, f, chance)
	} else {
		w.writeRules(next, f, chance)
	}
	return true
}

// anotherBy changes one thing of the rules, or two at once.
func (w *world) anotherBy(rules *topology.Ruleset, f Fault, chance *rand.Rand) bool {
	changed := w.anotherOf(rules, f, chance)
	if chance.IntN(4) == 0 && len(rules.Members) > 0 {
		f.Server, f.Other = chance.IntN(serversDrawn), chance.IntN(serversDrawn)
		changed = w.anotherOf(rules, f, chance) || changed
	}
	return changed
}

func (w *world) anotherOf(rules *topology.Ruleset, f Fault, chance *rand.Rand) bool {
	if f.Server%7 == 5 && chance.IntN(2) == 0 {
		return w.enlistAgain(rules)
	}
	if f.Server%7 == 6 && !w.removable(rules.Members[f.Other%len(rules.Members)].Address) {
		return false
	}
	return w.another(rules, f)
}

// removable tells whether a server stays closed when it is a member no more: whoever removes one that takes writes as soon as
// it starts has to see to that first.
func (w *world) removable(a topology.Address) bool {
	s := w.hosts.at(a)
	return s != nil && s.bootsReadOnly() && !slices.Contains(w.judge.opened, a)
}

// enlistAgain adds a server that was a member before, and that nobody has vouched for as gone.
func (w *world) enlistAgain(rules *topology.Ruleset) bool {
	for _, s := range w.hosts.all {
		if _, member := rules.Member(s.address); !member && !s.retired {
			rules.Members = append(rules.Members, topology.Member{Address: s.address, Zone: rules.Members[0].Zone})
			return true
		}
	}
	return false
}

// mayBeMade notes rules that may get in force: with a barrier those are all, but for none after a policy that promises something.
func (w *world) mayBeMade(rules topology.Ruleset) {
	promises := func(r topology.Ruleset) bool { return r.Policy.Kind != topology.PolicyNone }
	if !promises(rules) && !slices.ContainsFunc(w.forced, func(r topology.Ruleset) bool { return !promises(r) }) {
		return
	}
	w.forced = append(w.forced, rules)
	w.judge.fewest = min(w.judge.fewest, leastAcks(rules))
	w.judge.unfenced = w.judge.unfenced || rules.Policy.AllowUnfenced
}

// writeRules has the file changed, and read again by electors that run or are started again. Half of the time somebody
// thinks better of it after a while.
func (w *world) writeRules(next topology.Ruleset, f Fault, chance *rand.Rand) {
	w.ruleset = next
	if chance.IntN(2) == 0 {
		w.rollOut(f.For)
	} else {
		w.reread(f.For)
	}
	if chance.IntN(2) == 0 {
		return
	}
	w.later(f.For+time.Duration(chance.IntN(10))*time.Second, func() {
		if e := w.actor(); e != nil && w.ruleset.Same(next) && e.view().Ruleset.Number > 0 {
			w.ruleset = e.view().Ruleset
			w.rollOut(0)
		}
	})
}

// reread is SIGHUP for one elector after the other.
func (w *world) reread(pause time.Duration) {
	for i, e := range w.electors {
		w.clock.after(time.Duration(i)*pause, func() {
			if e.alive() && !e.rules.Same(w.ruleset) {
				w.signal(e)
			}
		})
	}
}

// signal has one elector read the file again. One that does not answer is started again by whoever looks after it.
func (w *world) signal(e *elector) {
	w.person.process.spawn(func() {
		err := w.asks(func(ctx context.Context) error {
			process, rules := e.process, w.ruleset
			err := e.loop.Configure(ctx, orchestrator.ClusterSettings{Name: clusterName, Ruleset: rules})
			if err == nil && e.process == process {
				e.rules = rules
			}
			return err
		})
		w.tell("operator", "has %s read the file again: %v", e.name, err)
	})
}

// askForRules is a change by hand. Of a server that is down, and that is to be removed, whoever asks may say that it is gone:
// then it is never started again as a replica. Afterwards the file is brought in line.
func (w *world) askForRules(e *elector, next topology.Ruleset, f Fault, chance *rand.Rand) {
	wish := orchestrator.RulesWish{Cluster: clusterName, Policy: next.Policy, Members: next.Members, By: "operator", Reason: "a test"}
	vouch, early := chance.IntN(2) == 0, chance.IntN(3) == 0
	w.asking++
	w.person.process.spawn(func() {
		defer func() { w.asking-- }()
		for a := range e.view().Ruleset.Servers().Minus(next.Servers()).All() {
			if s := w.hosts.at(a); vouch && s != nil && s.state == processDead {
				wish.Gone, s.retired = append(wish.Gone, a), true
			}
		}
		if early { // the file first: then what is asked for is what it says
			w.ruleset = next
			w.rollOut(0)
		}
		err := w.asks(func(ctx context.Context) error { _, err := e.loop.ChangeRules(ctx, wish); return err })
		w.tell("operator", "asks for other rules, with %v gone: %v", wish.Gone, err)
		if err != nil && !errors.Is(err, errNoAnswer) { // nothing was begun
			for _, a := range wish.Gone {
				w.hosts.at(a).retired = false
			}
		}
		if err == nil && !early {
			w.clock.after(f.For, w.bringInLine)
		}
	})
}

// bringInLine has the file say what is in force.
func (w *world) bringInLine() {
	if e := w.actor(); e != nil && e.view().Ruleset.Number > 0 {
		w.ruleset = e.view().Ruleset
		w.reread(0)
	}
}

// rest keeps a server from replicating by itself when it starts, of which somebody has vouched that it acknowledges nothing
// any more.
func (s *server) rest() {
	if s.retired {
		skip := true
		s.stored.skipReplicaStart = &skip
	}
}

// ruler is the person who looks after the rules: puts them on record anew where the store is older than they are, and, once
// all is mended, starts electors again that go by another file.
func (p *person) ruler(e *elector, v *orchestrator.View) {
	w := p.world
	if w.mended { // one that stood still when the others were started with another file goes by the old one
		for _, other := range w.electors {
			if other.alive() && !other.rules.Same(w.ruleset) {
				other.kill()
				other.restart()
			}
		}
	}
	switch {
	case !w.options.Rules:
	case !outdated(v.Findings):
		p.outdated = 0
	case p.outdated == 0:
		p.outdated = w.clock.now
	case w.clock.now-p.outdated > 3*personLooks:
		p.outdated = 0
		wish := orchestrator.RulesWish{Cluster: clusterName, Policy: w.ruleset.Policy, Members: w.ruleset.Members, By: "operator", Reason: "these were in force"}
		err := w.asks(func(ctx context.Context) error { _, err := e.loop.ChangeRules(ctx, wish); return err })
		w.tell("operator", "vouches for the rules of the file: %v", err)
	}
}

func outdated(findings []topology.Finding) bool {
	return slices.ContainsFunc(findings, func(f topology.Finding) bool { return f.Code == topology.RulesOutdated })
}

// undisputed tells whether the file says what is in force, to all electors, and nobody is about to change that: then the
// store may forget it.
func (w *world) undisputed() bool {
	e := w.actor()
	if e == nil || w.asking > 0 {
		return false
	}
	v := e.view()
	return v.Running == nil && v.Ruleset.Same(w.ruleset) && !slices.ContainsFunc(w.electors, func(e *elector) bool { return !e.rules.Same(w.ruleset) })
}

// ruled takes in that a change of the rules has ended. From a policy that promises nothing to one that does, promises begin
// with it; what was answered just before may still be on its way. Where a primary may be replaced that nothing stops, one that
// was goes on answering.
func (j *judge) ruled(op reparent.Operation) {
	t := topology.Transition{Primary: op.To, Old: op.Ruleset, Next: *op.Rules}
	if op.State != reparent.StateSucceeded || t.AtOnce() || t.PromisesNothing() || slices.Contains(j.barriers, op.ID) {
		return
	}
	w := j.world
	w.report.Ruled++
	j.barriers = append(j.barriers, op.ID)
	if op.Ruleset.Policy.Kind == topology.PolicyNone && !j.unfenced {
		j.promise(w.hosts.at(op.To))
	}
}

// promise begins to count what clients are told, and what they were told before and the primary holds: a barrier stands behind it.
// Other rules that are written somewhere may come into force by themselves.
func (j *judge) promise(primary *server) {
	w := j.world
	w.forced = slices.DeleteFunc(w.forced, func(r topology.Ruleset) bool { return r.Policy.Kind == topology.PolicyNone })
	least := len(w.hosts.all)
	for _, r := range w.forced {
		least = min(least, leastAcks(r))
	}
	j.fewest, j.excused = least, max(j.excused, w.clock.now+patienceOfClients)
	held := primary.position()
	for _, g := range j.unpromised {
		if held.Has(g) {
			j.promised.add(g)
		}
	}
	j.unpromised = nil
}

// wanted tells whether the file asks for rules that could be put in force under a primary, and are not.
func (w *world) wanted(p *server) bool {
	e := w.actor()
	if e == nil || p == nil {
		return false
	}
	v := e.view()
	next := w.ruleset
	if next.Number = 0; v.Ruleset.Same(next) || byHand(v.Findings) || next.Policy.Kind == topology.PolicyNone && v.Ruleset.Policy.Kind != topology.PolicyNone {
		return false
	}
	if current, led := v.History.Current(); !led || current.Incarnation != p.incarnation {
		return false // it has restarted by itself as what it was: it has to be established anew before
	}
	t := topology.Transition{Primary: p.address, Old: v.Ruleset, Next: next}
	ready := t.Kept().And(v.Ruleset.Servers()) // whoever is to become a member by the same change follows nobody yet
	return next.Servers().Has(p.address) && (t.AtOnce() || ready.Len() >= t.Acks())
}

// byHand tells whether what is in force was asked for since the file was written.
func byHand(findings []topology.Finding) bool {
	return slices.ContainsFunc(findings, func(f topology.Finding) bool {
		return f.Code == topology.RulesetDiffers && f.Severity == topology.SeverityInfo
	})
}

// wishful tells whether something is still to be waited for that people wanted of the rules.
func (w *world) wishful() bool {
	other := func(e *elector) bool { return e.alive() && !e.rules.Same(w.ruleset) }
	return w.asking > 0 || w.wanted(w.primary()) || slices.ContainsFunc(w.electors, other)
}

// inForce claims that at the end the rules are those of the file where that is possible, that it is said where they are not,
// and that no server acknowledges anything, or takes writes, that is a member no more.
func (j *judge) inForce(p *server) {
	w := j.world
	if w.wanted(p) {
		w.violated(Progress, "at the end the rules of the file are not in force, and nothing stands in their way: %s", w.state())
	}
	e := w.actor()
	if e == nil {
		return
	}
	v := e.view()
	if !v.Ruleset.Same(w.ruleset) && !slices.ContainsFunc(v.Findings, func(f topology.Finding) bool { return f.Code == topology.RulesetDiffers }) {
		w.violated(Progress, "at the end other rules are in force than those of the file, and nobody says so: %s", w.state())
	}
	for _, s := range w.hosts.all {
		switch _, member := v.Ruleset.Member(s.address); {
		case member || s.state != processUp:
		case s.hears(p):
			w.violated(NothingLeftBehind, "%s is no member at the end, and acknowledges what %s writes", s.address, p.address)
		case !s.readOnly && !s.offline && !slices.Contains(j.opened, s.address):
			w.violated(NothingLeftBehind, "%s is no member at the end, and takes writes", s.address)
		}
	}
}
