package reparent

import (
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// sealed fills in the decision for the operation's candidate.
func (op Operation) sealed(base gtid.Set, reached topology.ServerSet) Operation {
	d := topology.Decision{
		Cluster: op.Cluster, Term: op.Term, Kind: string(op.Kind), Primary: op.To,
		PrimaryUUID: op.Known[op.To].UUID, Incarnation: op.Known[op.To].Incarnation,
		Ruleset: op.Ruleset.Number, Base: base, Reached: reached, Elector: op.Elector, DecidedAt: op.PhaseAt,
	}
	if reading := op.Progress[op.To].Reading; reading != nil {
		d.PrimaryUUID, d.Incarnation = reading.UUID, reading.Incarnation
	}
	if n := len(op.History.Leaderships); n > 0 {
		d.Previous = op.History.Leaderships[n-1].Hash
	}
	d = d.Sealed()
	op.Decision = &d
	return op
}

// markCommands writes the term marker. While it waits for its acknowledgements nobody else can write:
// read_only is still on. Where the attached ackers do not suffice, or did not answer at the first try, whoever
// else can become one attaches in parallel; otherwise that waits until the gap is over.
func (op Operation) markCommands() []Command {
	mark := op.command(Mark, op.To, op.Timing.Mark)
	mark.Decision, mark.Acks = *op.Decision, op.Ruleset.AcksNeeded(op.To)
	var commands []Command
	if op.Kind == KindAdoption {
		commands = append(commands, op.command(CreateJournal, op.To, op.Timing.Mark))
	} else {
		mark.Within = op.allowed()
	}
	commands = append(commands, op.sourceCommands(mark.Acks)...)
	if op.stillFed() {
		stop := op.command(Freeze, op.To, op.Timing.Freeze)
		stop.Passing = true // the marker may be late because the disk writes nothing
		commands = append(commands, stop)
	}
	return op.withFollowers(append(commands, mark), op.hurried())
}

// stillFed tells whether the candidate of a planned change is to stop receiving before its marker is tried once more. The old
// primary is closed, but a restart may open it, and what it writes then is cancelled by the marker that has been decided: the
// candidate must not get it. That takes seconds, so the first try does without, for the gap is no time for what can wait; and a
// stop that hangs keeps only every other try from the marker.
func (op *Operation) stillFed() bool {
	return op.Kind == KindPlanned && op.Tries%2 == 1 && op.Progress[op.To].Paused != Yes
}

// sourceCommands switch the source side on. In an adoption clients write all the while: without ackers
// they would hang from that moment on, so those have to be there first. So they have to be for a primary that is
// opened again: a marker that waits for them could not be taken back. Where nobody is to acknowledge it is
// switched off: an option file may have it on at start, and the marker would wait for what nobody gives. A
// primary that serves is left as it is, for its commits complete.
func (op *Operation) sourceCommands(acks int) []Command {
	switch {
	case acks == 0 && op.Kind == KindAdoption:
		return nil
	case acks == 0:
		return []Command{op.command(DisableSource, op.To, op.Timing.Follow)}
	}
	enable := op.command(EnableSource, op.To, op.Timing.Follow)
	enable.Acks = acks
	if op.Kind != KindAdoption && op.Kind != KindReopening {
		return []Command{enable}
	}
	await := op.command(AwaitAckers, op.To, op.Timing.Follow)
	await.Acks = acks
	return []Command{await, enable}
}

// latecomers are servers that may still become followers: those that are not attached, and in a planned
// change the old primary, which stepped down with nothing waiting.
func (op *Operation) latecomers() topology.ServerSet {
	all := op.Followers
	if op.Kind == KindPlanned {
		all = all.With(op.From)
	}
	return all.Minus(op.attached()).Without(op.To)
}

// hurried are the latecomers that attach while the marker waits: none at first where the attached ackers
// suffice, for the gap is no time for what can wait. The old primary is among them only when the marker
// cannot do without it: until then it is kept as it is, for it may have to be opened again. And even then only once it is
// the last that lacks: servers that still follow it would get the marker from it, and never acknowledge it.
func (op *Operation) hurried() topology.ServerSet {
	late := op.latecomers()
	switch {
	case op.Kind == KindAdoption:
		return late
	case op.Tries == 0 && op.Ruleset.CanComplete(op.To, op.attached()):
		return topology.ServerSet{}
	case op.Kind == KindPlanned && !op.lacksOldPrimary(late.Without(op.From)):
		return late.Without(op.From)
	}
	return late
}

// lacksOldPrimary tells whether the old primary's acknowledgement is what the marker lacks: not as long as others may do
// without it, who are asked first, and not before those that are needed beside it are attached or frozen.
func (op *Operation) lacksOldPrimary(others topology.ServerSet) bool {
	left := op.attached().Union(op.frozen())
	asked := others.And(op.Ruleset.Ackers(op.To)).Minus(left)
	return (asked.IsEmpty() || op.Tries > 1) && op.Ruleset.CanComplete(op.To, left.With(op.From))
}

func (op Operation) applyMarking(commands []Command, results []Result, now time.Time) Operation {
	op = op.foldPropagating(commands, results)
	if i := slices.IndexFunc(commands, func(c Command) bool { return c.Verb == Freeze }); i >= 0 && i < len(results) {
		p := op.Progress[op.To]
		p.Paused = results[i].Outcome
		op.Progress[op.To] = p
	}
	marked := resultOf(commands, results, Mark)
	if marked.Done() {
		return op.marked(now)
	}
	op.Tries++
	if op.Tries < op.Timing.MarkTries {
		return op
	}
	why := failures(commands, results)
	if !op.MarkSent {
		return op.unmarked(why, now)
	}
	return op.fail("establish", Obstacle{
		Code:    "not_established",
		Message: fmt.Sprintf("%s could not be established: %s", op.To, why),
		Remedy:  "its marker may still be acknowledged; the next change revokes it first",
	}, now)
}

func (op Operation) marked(now time.Time) Operation {
	op.MarkedAt = now
	if op.Kind == KindAdoption {
		op.Established = now
		return op.move(PhaseDone, "establish", fmt.Sprintf("term %d is on record on %s", op.Term, op.To), now).finish(StateSucceeded, now)
	}
	return op.move(PhaseOpening, "establish", fmt.Sprintf("the marker of term %d is acknowledged: everything before it is durable", op.Term), now,
		"decision "+op.Decision.Hash, "marker "+op.Decision.Marker().GTID().String())
}

// unmarked turns back: the marker certainly stands in nobody's binary log, so nothing has been promised.
func (op *Operation) unmarked(why string, now time.Time) Operation {
	if op.Kind == KindEmergency {
		return op.nextCandidate("establish", why, now)
	}
	return op.giveUp(StateUndone, "establish", Obstacle{
		Code: "not_marked", Message: fmt.Sprintf("the marker was not written on %s: %s", op.To, why),
	}, now)
}

func (op *Operation) openCommands() []Command {
	c := op.command(Open, op.To, op.Timing.Follow)
	c.Acks, c.Incarnation = op.Ruleset.AcksNeeded(op.To), op.Decision.Incarnation
	return []Command{c}
}

func (op Operation) applyOpening(commands []Command, results []Result, now time.Time) Operation {
	if results[0].Done() {
		op.Established, op.GapTo = now, now
		return op.move(PhaseReconciling, "open", fmt.Sprintf("%s takes writes", op.To), now)
	}
	op.Tries++
	if op.Tries < op.Timing.MarkTries {
		return op
	}
	return op.fail("open", Obstacle{
		Code:    "not_opened",
		Message: fmt.Sprintf("%s holds the acknowledged marker and could not be opened: %s", op.To, failures(commands, results)),
	}, now)
}

// reconcileCommands lets the new primary forget its old source, and the others follow. What does not
// succeed now is taken up by the repair of replicas; the change itself has succeeded.
func (op *Operation) reconcileCommands() []Command {
	return op.withFollowers([]Command{op.command(Detach, op.To, op.Timing.Follow)}, op.latecomers())
}

func (op Operation) applyReconciling(commands []Command, results []Result, now time.Time) Operation {
	op = op.foldPropagating(commands, results)
	detail := fmt.Sprintf("%s follow %s", op.attached(), op.To)
	if left := op.latecomers(); !left.IsEmpty() {
		detail += fmt.Sprintf("; %s left to the repair of replicas", left)
	}
	if !resultOf(commands, results, Detach).Done() {
		detail += fmt.Sprintf("; %s still has the channel from its old source", op.To)
	}
	return op.move(PhaseDone, "reconcile", detail, now).finish(StateSucceeded, now)
}
