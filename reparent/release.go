package reparent

import (
	"fmt"
	"time"

	"github.com/primacydb/primacy/topology"
)

const releaseTries = 5

// releaseCommands reverse exactly what was done, and what may have been done: leaders get their ack
// count or their writes back, replicas their receiver and their source. It is only reached while no
// marker was written, so the established primary is still the rightful one.
func (op Operation) releaseCommands() []Command {
	var commands []Command
	for _, m := range op.Ruleset.Members {
		if op.Progress[m.Address].Released != Yes {
			commands = append(commands, op.releaseOf(m.Address)...)
		}
	}
	return commands
}

func (op Operation) releaseOf(a topology.Address) []Command {
	p, before := op.Progress[a], op.Known[a]
	var commands []Command
	if maybe(p.Silenced) && before.Writable {
		commands = append(commands, op.unsilence(a, p.With))
	}
	switch {
	case maybe(p.Attached) && before.Source != "":
		back := op.command(Follow, a, op.Timing.Follow)
		back.Source, back.Acker = before.Source, op.Ruleset.Ackers(before.Source).Has(a)
		commands = append(commands, back)
	case maybe(p.Frozen) && before.Receiving:
		commands = append(commands, op.command(Resume, a, op.Timing.Follow))
	}
	return commands
}

func (op Operation) unsilence(a topology.Address, with Verb) Command {
	verb := Reopen
	if with == Poison {
		verb = Antidote
	}
	c := op.command(verb, a, op.Timing.Follow)
	c.Acks = op.Ruleset.AcksNeeded(a)
	return c
}

// maybe is true for what was done and for what may have been done.
func maybe(o Outcome) bool { return o == Yes || o == Unknown }

func (op Operation) applyReleasing(commands []Command, results []Result, now time.Time) Operation {
	open := map[topology.Address]bool{}
	for i, r := range results {
		a := commands[i].Server
		open[a] = open[a] || !r.Done()
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
	if len(left) > 0 && op.Tries < releaseTries {
		return op
	}
	return op.released(topology.Servers(left...), failures(commands, results), now)
}

func (op Operation) released(left topology.ServerSet, why string, now time.Time) Operation {
	op.GapTo = now
	detail := "what was stopped runs again"
	if !left.IsEmpty() {
		detail = fmt.Sprintf("%s could not be released and is left to the repair of replicas: %s", left, why)
	}
	op = op.move(PhaseDone, "release", detail, now)
	return op.finish(op.Ending, now)
}
