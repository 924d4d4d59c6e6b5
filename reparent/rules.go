package reparent

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/topology"
)

// Rules begins a change of the rules under a primary that goes on serving: the moves of topology.Transition, one after the
// other. Who leads is not touched, so there is no decision and no marker: the barrier is a transaction of the primary's own,
// of which nobody has to know what became. gone are members to be removed of which an operator vouches that they acknowledge
// nothing any more.
//
// What Rules only adds or lowers is recorded as it is. A change that cannot be made now comes back blocked.
func Rules(c antiflap.Clearance, in Intent, next topology.Ruleset, gone topology.ServerSet, now time.Time) Operation {
	op := begin(KindRules, c, in, now)
	next.Number = op.Ruleset.Number + 1
	op.Rules, op.Silent, op.To = &next, gone, op.From
	if !op.Running() {
		return op
	}
	if o := op.unlawful(in); o != nil {
		return op.block(*o, now)
	}
	t := op.transition()
	if t.AtOnce() {
		op.Phase = PhaseRecording
		return op
	}
	if o := op.unready(in, t); o != nil {
		return op.block(*o, now)
	}
	seen := in.Snapshot.Server(op.To)
	op.Progress[op.To] = Progress{Reading: seen}
	op.Followers = op.unasked(in.Snapshot, t)
	op.Phase = PhaseRaising
	if t.PromisesNothing() {
		op.Phase = op.stopping()
	}
	return op
}

// stopping is the phase of whoever is to acknowledge no more, or the one after it where that is nobody.
func (op *Operation) stopping() Phase {
	if !op.outgoing().IsEmpty() {
		return PhaseDisabling
	}
	return op.stopped()
}

// stopped is the phase after that: where nothing is promised there is nothing to have acknowledged.
func (op *Operation) stopped() Phase {
	if op.transition().PromisesNothing() {
		return PhaseRecording
	}
	return PhaseBarrier
}

func (op Operation) transition() topology.Transition {
	return topology.Transition{Primary: op.To, Old: op.Ruleset, Next: *op.Rules}
}

// unasked are those that are to acknowledge the barrier and acknowledge nothing yet: the old policy may ask nobody.
func (op *Operation) unasked(s topology.Snapshot, t topology.Transition) topology.ServerSet {
	return op.acking(s, t).Where(func(a topology.Address) bool { return !s.Server(a).SemiSync.ReplicaEnabled })
}

// outgoing are those that have to say that they acknowledge no more.
func (op *Operation) outgoing() topology.ServerSet {
	t := op.transition()
	return t.Removed().Union(t.Leaving()).Minus(op.Silent)
}

// unlawful says what is wrong with the new rules whatever the servers do; nil when nothing is.
func (op Operation) unlawful(in Intent) *Obstacle {
	next := *op.Rules
	if err := next.Validate(); err != nil {
		return &Obstacle{Code: "rules_invalid", Message: "these rules could not be kept: " + err.Error(), Remedy: lawfulRemedy(err)}
	}
	switch {
	case op.Ruleset.Same(next):
		return &Obstacle{Code: "rules_same", Message: fmt.Sprintf("these are the rules in force, number %d", op.Ruleset.Number)}
	case next.Policy.Kind == topology.PolicyNone && op.Ruleset.Policy.Kind != topology.PolicyNone:
		return &Obstacle{Code: "rules_promise_nothing", Message: "what was acknowledged under a policy that promises something cannot be taken under one that promises nothing",
			Remedy: "lower the acks instead"}
	}
	if op.To != "" && !next.Servers().Has(op.To) {
		return &Obstacle{Code: "primary_removed", Message: fmt.Sprintf("%s leads", op.To), Remedy: fmt.Sprintf("move the primary first: primacy reparent %s", op.Cluster)}
	}
	for a := range op.Silent.All() {
		switch {
		case !op.transition().Removed().Has(a):
			return &Obstacle{Code: "gone_kept", Message: fmt.Sprintf("%s is said to be gone and would stay a member", a), Remedy: "remove it"}
		case in.Snapshot.Server(a).OK() || in.Snapshot.Server(a).Reach == topology.ReachDenied:
			return &Obstacle{Code: "gone_contradicted", Message: fmt.Sprintf("%s is said to be gone, and it answers", a),
				Remedy: "remove it without saying so: it is stopped then; or switch it off"}
		}
	}
	return nil
}

// lawfulRemedy says what to ask for instead of a policy that cannot be met; empty of other mistakes, which say it themselves.
func lawfulRemedy(err error) string {
	var unmet *topology.UnmetError
	if !errors.As(err, &unmet) {
		return ""
	}
	others := []string{"add servers"}
	if unmet.ZoneRead {
		others = []string{"add servers outside zone " + unmet.Home, fmt.Sprintf("give %s promotion never", unmet.Needs.Primary)}
	}
	return unmet.Remedy("ask for acks %d", "ask for zones %d", others...)
}

// unready says what has to be different for a barrier to be acknowledged and to prove something; nil when nothing has.
func (op *Operation) unready(in Intent, t topology.Transition) *Obstacle {
	all := in.History.Leaderships
	switch {
	case len(all) == 0 || in.History.Recovered || !all[len(all)-1].Established():
		return &Obstacle{Code: "history_unsettled", Message: "who leads is not settled: another server than the primary may still complete writes under the present rules",
			Remedy: "wait until the findings about the leadership are gone"}
	case restartedOpen(in, all[len(all)-1]):
		return &Obstacle{Code: "primary_not_serving", Message: fmt.Sprintf("%s has restarted since it was established, and takes writes by its own settings", op.To),
			Remedy: fmt.Sprintf("move the primary, so that one is established anew: primacy reparent %s; and let servers start with super_read_only", op.Cluster)}
	case !serving(in, all[len(all)-1]):
		return &Obstacle{Code: "primary_not_serving", Message: fmt.Sprintf("%s does not take writes as the present rules want it", op.To), Remedy: "see its findings; rules are changed while the primary serves"}
	}
	if away := op.outgoing().Minus(in.Snapshot.Reached()); !away.IsEmpty() {
		return &Obstacle{Code: "not_reached", Message: fmt.Sprintf("%s would acknowledge no more under the new rules, and cannot be told so: not reached", away),
			Needs: []topology.ServerSet{away}, Remedy: op.goneRemedy(away.And(t.Removed()))}
	}
	if open := t.Removed().Minus(op.Silent).Where(func(a topology.Address) bool { return !in.Snapshot.Server(a).Closed() }); !open.IsEmpty() {
		return &Obstacle{Code: "removed_open", Message: fmt.Sprintf("%s is not closed for writes, and nobody would look at it any more", open),
			Remedy: "wait until Primacy has closed it, or close it: SET GLOBAL super_read_only = ON"}
	}
	if ready := op.acking(in.Snapshot, t); ready.Len() < t.Acks() {
		return &Obstacle{Code: "too_few_ackers",
			Message: fmt.Sprintf("on the way each commit needs %s of servers that may give them before and after, and of those only %s can now", acks(t.Acks()), named(ready)),
			Remedy:  fmt.Sprintf("these may give them: %s; mend those, or add servers first and change the rest when they follow, or go by way of rules under which more may acknowledge both times", named(t.Kept()))}
	}
	return nil
}

func (op *Operation) goneRemedy(removed topology.ServerSet) string {
	if removed.IsEmpty() {
		return "bring it back, or remove it"
	}
	return fmt.Sprintf("bring it back; or, once it is certain that it will never replicate again, primacy rules %s remove %s --gone --reason …", op.Cluster, removed.List()[0])
}

func named(s topology.ServerSet) string {
	if s.IsEmpty() {
		return "none"
	}
	return s.String()
}

// serving tells whether the established process takes writes and waits for as many acknowledgements as the record says.
func serving(in Intent, l topology.Leadership) bool {
	o, needed := in.Snapshot.Server(l.Primary), in.Snapshot.Ruleset.AcksNeeded(l.Primary)
	return o.Writable() && o.UUID == l.PrimaryUUID && o.Incarnation == l.Incarnation &&
		(needed == 0 || o.SemiSync.Verified() && o.SemiSync.Acks >= needed && o.SemiSync.Acks < topology.PoisonAcks)
}

// restartedOpen tells whether the server that leads is another process by now, which nobody has opened, and goes on leading: so
// it is where no acknowledgement is asked for. Elsewhere the loop acts on it.
func restartedOpen(in Intent, l topology.Leadership) bool {
	o := in.Snapshot.Server(l.Primary)
	return in.Snapshot.Ruleset.AcksNeeded(l.Primary) == 0 && o.Writable() && o.UUID == l.PrimaryUUID && l.Incarnation != "" && o.Incarnation != l.Incarnation
}

// acking are those of E″ that would acknowledge the barrier: they receive from the primary. Under the policy none they are
// asked for it first.
func (op *Operation) acking(s topology.Snapshot, t topology.Transition) topology.ServerSet {
	return t.Kept().Where(func(a topology.Address) bool {
		o := s.Server(a)
		r := o.Replication
		return o.OK() && o.SemiSync.Installed && r != nil && r.Source == op.To && r.Receiver == topology.ThreadOn && o.Closed()
	})
}

// raiseCommands have every commit wait for k″ from now on. Whoever is to give acknowledgements and does not yet begins to
// before the primary waits for it.
func (op *Operation) raiseCommands() []Command {
	t := op.transition()
	await, enable := op.command(AwaitAckers, op.To, op.Timing.Follow), op.command(EnableSource, op.To, op.Timing.Follow)
	await.Acks, enable.Acks = t.Acks(), t.Acks()
	return append(op.followAs(op.Followers, true), await, enable)
}

// followAs has servers follow the primary, acknowledging or not.
func (op Operation) followAs(servers topology.ServerSet, acker bool) []Command {
	var commands []Command
	primary := op.Progress[op.To].Reading
	for a := range servers.All() {
		c := op.command(Follow, a, op.Timing.Follow)
		c.Source, c.Acker, c.Within = op.To, acker, openTo(primary.Executed, primary)
		commands = append(commands, c)
	}
	return commands
}

func (op Operation) applyRaising(commands []Command, results []Result, now time.Time) Operation {
	op = op.foldPropagating(commands, results)
	if resultOf(commands, results, EnableSource).Done() {
		return op.move(op.stopping(), "raise", fmt.Sprintf("each commit on %s waits for %s", op.To, acks(op.transition().Acks())), now)
	}
	return op.insist("raise", fmt.Sprintf("%s does not wait for %s", op.To, acks(op.transition().Acks())), commands, results, now)
}

// disableCommands stop those whose acknowledgement counts no more: removed ones altogether, so that no restart brings them
// back, and the others follow on without being counted.
func (op *Operation) disableCommands() []Command {
	t := op.transition()
	var commands []Command
	for a := range t.Removed().Minus(op.Silent).All() {
		commands = append(commands, op.command(Freeze, a, op.Timing.Freeze))
	}
	return append(commands, op.followAs(t.Leaving().Minus(t.Removed()), false)...)
}

func (op *Operation) applyDisabling(commands []Command, results []Result, now time.Time) Operation {
	for _, r := range results {
		if !r.Done() {
			return op.insist("disable", "not every server that is to acknowledge no more says that it does not", commands, results, now)
		}
	}
	return op.move(op.stopped(), "disable", fmt.Sprintf("acknowledging no more: %s", named(op.outgoing())), now)
}

// barrierCommands have a transaction acknowledged by k″ of E″, and with it everything before it.
func (op *Operation) barrierCommands() []Command {
	await, barrier := op.command(AwaitAckers, op.To, op.Timing.Follow), op.command(Barrier, op.To, op.Timing.Mark)
	await.Acks, barrier.Acks = op.transition().Acks(), op.transition().Acks()
	barrier.Rules, barrier.Incarnation = op.Rules, op.Progress[op.To].Reading.Incarnation
	return []Command{await, barrier}
}

func (op *Operation) applyBarrier(commands []Command, results []Result, now time.Time) Operation {
	t := op.transition()
	if resultOf(commands, results, Barrier).Done() {
		detail := fmt.Sprintf("everything on %s up to now is held by %d of %s, which is enough before and after", op.To, t.Acks(), t.Kept())
		if !op.Silent.IsEmpty() {
			detail += fmt.Sprintf("; that %s acknowledges nothing is the word of %s: %s", op.Silent, op.By, op.Reason)
		}
		return op.move(PhaseRecording, "barrier", detail, now)
	}
	return op.relent("barrier", Obstacle{Code: "not_acknowledged",
		Message: fmt.Sprintf("%s did not get its acknowledgements: %s", op.To, failures(commands, results)), Remedy: "the present rules stay in force; see the findings about its ackers"}, now)
}

// insist tries a step again, and gives up in the end: at once where no answer came, for the primary may have failed, and
// nobody replaces it while its rules are being changed.
func (op Operation) insist(stage, what string, commands []Command, results []Result, now time.Time) Operation {
	op.Tries++
	mute := slices.ContainsFunc(results, func(r Result) bool { return r.Reason == ReasonUnreachable || r.Reason == ReasonDeadline })
	if !mute && op.Tries < op.Timing.MarkTries {
		return op
	}
	return op.relent(stage, Obstacle{Code: "not_obeyed", Message: fmt.Sprintf("%s: %s", what, failures(commands, results)),
		Remedy: "the present rules stay in force; mend what is named, and try again"}, now)
}

// relent gives a change of the rules up.
func (op *Operation) relent(stage string, o Obstacle, now time.Time) Operation {
	return op.giveUp(StateUndone, stage, o, now)
}

// relaxed puts the primary's acks back to what the rules on record ask for. Ackers that were disabled are left to the repair
// of replicas: without them MySQL is only stricter than it has to be.
func (op *Operation) relaxed(a topology.Address) []Command {
	if a != op.To || !maybe(op.Progress[a].Sourced) {
		return nil
	}
	if needed := op.Ruleset.AcksNeeded(a); needed > 0 {
		c := op.command(EnableSource, a, op.Timing.Follow)
		c.Acks = needed
		return []Command{c}
	}
	return []Command{op.command(DisableSource, a, op.Timing.Follow)}
}

// InForce is told by whoever keeps the record that the new rules stand there, or why they never will.
func (op Operation) InForce(refused string, now time.Time) Operation {
	op = op.clone()
	if refused != "" {
		return op.relent("record", Obstacle{Code: "not_recorded", Message: refused}, now)
	}
	detail := fmt.Sprintf("ruleset %d is in force: %s", op.Rules.Number, ruleText(*op.Rules))
	return op.move(PhaseDone, "record", detail, now).finish(StateSucceeded, now)
}

// ruleText is a ruleset in a line.
func ruleText(r topology.Ruleset) string {
	var members []string
	for _, m := range r.Members {
		text := string(m.Address)
		if m.Zone != "" {
			text += " in " + m.Zone
		}
		if m.Source != "" {
			text += " from " + string(m.Source)
		}
		members = append(members, text)
	}
	slices.Sort(members)
	return fmt.Sprintf("%s, %s", policyText(r.Policy), strings.Join(members, ", "))
}

// resumeRules goes on with a change of the rules that was interrupted: whether it has come to its end the record says, which
// the snapshot is of. Else it is given up, wherever it stood.
func (op Operation) resumeRules(snapshot topology.Snapshot, now time.Time) Operation {
	if r := snapshot.Ruleset; r.Number == op.Rules.Number && r.Same(*op.Rules) {
		return op.InForce("", now)
	}
	if op.Phase == PhaseRecording && op.transition().AtOnce() {
		op.Obstacle, op.Ending = &Obstacle{Code: Interrupted, Message: "interrupted before the new rules were recorded"}, StateUndone
		return op.finish(StateUndone, now)
	}
	return op.undo(snapshot, now)
}

// RulesDifference says in words in what one ruleset differs from another.
func RulesDifference(old, next topology.Ruleset) string {
	var words []string
	if o, n := old.Policy, next.Policy; o != n {
		words = append(words, fmt.Sprintf("%s becomes %s", policyText(o), policyText(n)))
	}
	if gone := old.Servers().Minus(next.Servers()); !gone.IsEmpty() {
		words = append(words, fmt.Sprintf("%s is removed", gone))
	}
	for _, m := range next.Members {
		before, stays := old.Member(m.Address)
		switch {
		case !stays:
			words = append(words, fmt.Sprintf("%s is added", m.Address))
		case before.Zone != m.Zone:
			words = append(words, fmt.Sprintf("the zone of %s becomes %q", m.Address, m.Zone))
		}
		if stays && before.Promotion.Rank() != m.Promotion.Rank() {
			words = append(words, fmt.Sprintf("the promotion rule of %s becomes %s", m.Address, m.Promotion))
		}
		if m.Source != before.Source {
			words = append(words, fmt.Sprintf("the source of %s becomes %s", m.Address, cmp.Or(m.Source, "the primary")))
		}
	}
	if len(words) == 0 {
		return "nothing but the order of members is changed"
	}
	return strings.Join(words, ", ")
}

func policyText(p topology.Policy) string {
	text := fmt.Sprintf("%s with %s", p.Kind, acks(p.Acks))
	if p.Kind == topology.PolicyZones {
		text += fmt.Sprintf(" in %d zones", p.Zones)
	}
	return text
}

// rulesClaim asks whether the new rules were recorded after everything that has to come before.
func (op Operation) rulesClaim() Claim {
	const name = "rules"
	switch {
	case op.Rules == nil || op.Rules.Number != op.Ruleset.Number+1 || op.Rules.Validate() != nil:
		return refuted(name, "its new rules are no rules, or do not follow the ones before")
	case op.State != StateSucceeded:
		return untold("obstacle", "nothing was recorded: %s", op.Obstacle.Message)
	}
	at := 0
	for _, stage := range op.needed() {
		i := slices.IndexFunc(op.Stages[at:], func(s Stage) bool { return s.Name == stage && s.Outcome == "ok" })
		switch {
		case i < 0 && op.SessionTerm != 0:
			return untold(name, "ruleset %d is on record; the stage %s was not saved before its elector died", op.Rules.Number, stage)
		case i < 0:
			return refuted(name, "ruleset %d was recorded without the stage %s before it", op.Rules.Number, stage)
		}
		at += i + 1
	}
	return holds(name, "ruleset %d took the place of %d: %s", op.Rules.Number, op.Ruleset.Number, RulesDifference(op.Ruleset, *op.Rules))
}

// needed are the stages without which new rules are not recorded, in their order.
func (op *Operation) needed() []string {
	switch t := op.transition(); {
	case t.AtOnce(), t.PromisesNothing() && op.outgoing().IsEmpty():
		return []string{"record"}
	case t.PromisesNothing():
		return []string{"disable", "record"}
	case op.outgoing().IsEmpty():
		return []string{"raise", "barrier", "record"}
	}
	return []string{"raise", "disable", "barrier", "record"}
}
