package reparent

import (
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/topology"
)

const releaseTries = 5

// releaseCommands reverse exactly what was done, and what may have been done: leaders get their ack
// count or their writes back, replicas their receiver and their source. It is only reached while no
// marker was written, so the established primary is still the rightful one.
func (op *Operation) releaseCommands() []Command {
	var commands []Command
	for _, m := range op.Ruleset.Members {
		if op.Progress[m.Address].Released != Yes {
			commands = append(commands, op.releaseOf(m.Address)...)
		}
	}
	return commands
}

func (op *Operation) releaseOf(a topology.Address) []Command {
	if op.Kind == KindRules {
		return op.relaxed(a)
	}
	p, before := op.Progress[a], op.Known[a]
	var commands []Command
	if maybe(p.Sourced) && !before.served() {
		commands = append(commands, op.command(DisableSource, a, op.Timing.Follow))
	}
	if maybe(p.Silenced) && p.With == Poison && op.poisonedHere(before) {
		c := op.command(Antidote, a, op.Timing.Follow) // ahead of what may be refused: a server's commands end with its first failure
		c.Acks = op.acksAgain(a, before)
		commands = append(commands, c)
	}
	return append(append(commands, op.restarted(a, p, before)...), op.unsilenced(a, p, before)...)
}

// served tells whether a server took writes that waited for acknowledgements. It goes on doing so, or is opened again: without its
// source side it would answer clients with nothing behind it.
func (k Known) served() bool { return k.Writable && k.Sourcing }

// restarted gives a replica its source and its receiver back, if it had them. A server that did not answer
// when the change began stays as it is: it may have been stopped by an earlier change for good reason, and
// its source may be a primary that was replaced since, whose commits it would acknowledge. It is left to the
// repair of replicas, which knows whom to follow. So is one that followed a server which
// knows nothing of the latest term: it may have lost its data since, and would get back what that term cancelled.
func (op *Operation) restarted(a topology.Address, p Progress, before Known) []Command {
	back := op.command(Follow, a, op.Timing.Follow)
	back.Source, back.Acker = before.Source, op.Ruleset.Ackers(before.Source).Has(a) && (before.Acking || !op.outdated())
	switch {
	case !before.Reached:
	case p.Moved && op.led(a):
		return []Command{op.command(Detach, a, op.Timing.Follow)}
	case p.Moved && before.Receiving && !op.replaced(before.Source):
		return []Command{back}
	case p.Moved: // to whom it is pointed matters to nobody as long as it is stopped: to point it back would have it receive for a moment
		return []Command{op.command(Freeze, a, op.Timing.Freeze)}
	case (maybe(p.Frozen) || maybe(p.Paused)) && before.Receiving:
		return []Command{op.command(Resume, a, op.Timing.Follow)}
	}
	return nil
}

// unsilenced lets a leader complete writes again, if it could before. One that was made to follow has lost
// its source side on the way: without it, it would complete writes that nobody acknowledged.
func (op *Operation) unsilenced(a topology.Address, p Progress, before Known) []Command {
	var commands []Command
	followed, opens := p.Moved && op.led(a), before.Writable && op.rightful(a)
	if followed && before.Sourcing && opens {
		c := op.command(EnableSource, a, op.Timing.Follow)
		c.Acks = op.acksAgain(a, before)
		commands = append(commands, c)
	}
	if opens && (followed || maybe(p.Silenced) && p.With == Demote) {
		c := op.command(Reopen, a, op.Timing.Follow)
		c.Incarnation = before.Incarnation
		commands = append(commands, c)
	}
	return commands
}

// acksAgain is how many acknowledgements a leader that is let go waits for again: what the rules ask for, and no fewer than it
// waited for before where the rules are outdated. Nothing is loosened by rules that are not in force any more.
func (op Operation) acksAgain(a topology.Address, before Known) int {
	return max(1, op.Ruleset.AcksNeeded(a), before.Acks)
}

// rightful tells whether a server that took writes may take them again: it leads by record, in the same process, and no
// server shows the marker of a later term. One that was replaced, or that somebody opened by hand, was closed for good. One
// that led in another process restarted since, and nobody has looked whether its term still counts and ackers hold its
// rows: it stays closed until the restart gate has. That holds where the record came from journals as well: whoever leads
// has its marker, so a server that was reached and that they do not name was replaced.
func (op *Operation) rightful(a topology.Address) bool {
	all := op.History.Leaderships
	last := slices.IndexFunc(all, func(l topology.Leadership) bool { return l.Primary == a && l.Incarnation == op.Known[a].Incarnation })
	return len(all) == 0 || last >= 0 && !slices.ContainsFunc(all[last+1:], op.shown)
}

// replaced tells whether a server shows the marker of a leadership of which another one, that was followed, has nothing.
func (op *Operation) replaced(source topology.Address) bool {
	all := op.History.Leaderships
	for i := len(all) - 1; i >= 0; i-- {
		if op.shown(all[i]) {
			return all[i].Primary != source && !op.Known[source].Position.Contains(all[i].Marker().Set())
		}
	}
	return false
}

// shown tells whether a server held a leadership's marker when the change began.
func (op *Operation) shown(l topology.Leadership) bool {
	marker := l.Marker().Set()
	for _, known := range op.Known {
		if known.Position.Contains(marker) {
			return true
		}
	}
	return false
}

// led tells whether a server was no replica: what was left of an old channel is not worth keeping. One that somebody had
// opened, and that never led, was one all the same.
func (op *Operation) led(a topology.Address) bool {
	before, stepsDown := op.Known[a], op.Kind == KindPlanned && a == op.From
	return before.Source == "" || before.Open && (stepsDown || op.isLeader(a))
}

// poisonedHere tells whether poison on a server is this change's. What an earlier change left on purpose
// stays; when only one server can be leading, no earlier change can have meant it.
func (op *Operation) poisonedHere(before Known) bool {
	return len(op.Leaders) < 2 || (before.Reached && !before.Poisoned)
}

// maybe is true for what was done and for what may have been done.
func maybe(o Outcome) bool { return o == Yes || o == Unknown }

func (op Operation) applyReleasing(commands []Command, results []Result, now time.Time) Operation {
	open := map[topology.Address]bool{}
	for i, r := range results {
		a := commands[i].Server
		open[a] = open[a] || !released(commands[i], r)
	}
	var left []topology.Address
	for a, unreleased := range open {
		if unreleased {
			left = append(left, a)
			continue
		}
		p := op.Progress[a]
		p.Released = Yes
		op.Progress[a] = p
	}
	op.Tries++
	if len(left) > 0 && op.Tries < releaseTries && op.Kind != KindRules { // there the repair does the same
		return op
	}
	return op.letGo(topology.Servers(left...), failures(commands, results), now)
}

// released tells whether a command of a release needs no repetition. A process that came back by itself
// has nothing left of what was done to the one before; the restart gate opens it.
func released(c Command, r Result) bool {
	return r.Done() || (c.Verb == Reopen && r.Outcome == No && r.Reason == ReasonRefused)
}

func (op Operation) letGo(left topology.ServerSet, why string, now time.Time) Operation {
	if !op.GapFrom.IsZero() {
		op.GapTo = now
	}
	detail := "what was stopped runs again"
	if op.Kind == KindRules {
		detail = "whoever was stopped is left to the repair of replicas"
		if !op.transition().PromisesNothing() {
			detail = "commits wait for as many acknowledgements as before; " + detail
		}
	}
	if !left.IsEmpty() {
		detail = fmt.Sprintf("%s could not be released and is left to the repair of replicas: %s", left, why)
	}
	if unseen := op.unseen(); !unseen.IsEmpty() {
		detail += fmt.Sprintf("; %s did not answer at first and may have been stopped: left to the repair of replicas", unseen)
	}
	op = op.move(PhaseDone, "release", detail, now)
	return op.finish(op.Ending, now)
}

// unseen are servers that may have been frozen and of which nobody knows what they did before.
func (op *Operation) unseen() topology.ServerSet {
	return op.Ruleset.Servers().Where(func(a topology.Address) bool {
		return maybe(op.Progress[a].Frozen) && !op.Known[a].Reached
	})
}
