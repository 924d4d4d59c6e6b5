package reparent

import (
	"fmt"
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
	}
	if mark.Acks > 0 {
		enable := op.command(EnableSource, op.To, op.Timing.Follow)
		enable.Acks = mark.Acks
		commands = append(commands, enable)
	}
	commands = append(commands, mark)
	if op.Kind == KindAdoption || (op.Tries == 0 && op.Ruleset.CanComplete(op.To, op.attached())) {
		return commands
	}
	for _, a := range op.latecomers().List() {
		commands = append(commands, op.followCommand(a))
	}
	return commands
}

// latecomers are servers that may still become ackers: followers that are not attached, and in a planned
// change the old primary, which stepped down with nothing waiting.
func (op Operation) latecomers() topology.ServerSet {
	all := op.Followers
	if op.Kind == KindPlanned {
		all = all.With(op.From)
	}
	return all.Minus(op.attached()).Without(op.To)
}

func (op Operation) applyMarking(commands []Command, results []Result, now time.Time) Operation {
	op = op.foldPropagating(commands, results)
	marked := resultOf(commands, results, Mark)
	if marked.Done() {
		op.MarkedAt = now
		if op.Kind == KindAdoption {
			op.Established = now
			return op.move(PhaseDone, "establish", fmt.Sprintf("term %d is on record on %s", op.Term, op.To), now).finish(StateSucceeded, now)
		}
		return op.move(PhaseOpening, "establish", fmt.Sprintf("the marker of term %d is acknowledged: everything before it is durable", op.Term), now,
			"decision "+op.Decision.Hash, "marker "+op.Decision.Marker().GTID().String())
	}
	op.Tries++
	if op.Tries < op.Timing.MarkTries {
		return op
	}
	return op.fail("establish", Obstacle{
		Code:    "not_established",
		Message: fmt.Sprintf("%s could not be established: %s", op.To, failures(commands, results)),
		Remedy:  "its marker may still be acknowledged; the next change revokes it first",
	}, now)
}

func (op Operation) openCommands() []Command {
	c := op.command(Open, op.To, op.Timing.Follow)
	c.Acks = op.Ruleset.AcksNeeded(op.To)
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
func (op Operation) reconcileCommands() []Command {
	commands := []Command{op.command(Detach, op.To, op.Timing.Follow)}
	for _, a := range op.latecomers().List() {
		commands = append(commands, op.followCommand(a))
	}
	return commands
}

func (op Operation) applyReconciling(commands []Command, results []Result, now time.Time) Operation {
	op = op.foldPropagating(commands, results)
	detail := fmt.Sprintf("%s follow %s", op.attached(), op.To)
	if left := op.latecomers(); !left.IsEmpty() {
		detail += fmt.Sprintf("; %s left to the repair of replicas", left)
	}
	return op.move(PhaseDone, "reconcile", detail, now).finish(StateSucceeded, now)
}
