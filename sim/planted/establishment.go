package main

import (
	"time"

	"github.com/primacydb/primacy/sim"
)

// establishmentBugs hand the leadership over in the wrong order, or take a thing for proven that is not.
var establishmentBugs = []bug{
	{
		name: "marker-after-opening",
		what: "the new primary is opened for writes before its marker is acknowledged",
		edits: []edit{
			{"reparent/establish.go", "return op.withFollowers(append(commands, mark), op.hurried())", "return op.withFollowers(append(append(commands, op.openCommands()...), mark), op.hurried())"},
			{"sim/verbs_journal.go", "if !before.readOnly && reparent.Kind(d.Kind) != reparent.KindAdoption {", "if before.readOnly && !before.readOnly {"},
		},
		breaks:  []sim.Invariant{sim.OneCompleter, sim.NothingLost, sim.NoVanishingRead},
		options: within(three, sim.SlowLink, sim.Crash, sim.WishPlanned),
	},
	{
		name: "marker-without-hash",
		what: "markers carry the term alone, and terms are drawn without asking the servers, so two decisions of one term write the same GTID",
		edits: []edit{
			{"topology/decision.go", "if len(hash) < 16 {", "if len(hash) >= 0 {"},
			{"orchestrator/lead.go", "term, err := lease.NextTerm(ctx, uint64(above))", "term, err := lease.NextTerm(ctx, uint64(above-above))"},
		},
		breaks:  []sim.Invariant{sim.EverywhereOrGone, sim.OneCompleter, sim.NothingLost, sim.Progress},
		options: within(four, sim.EmptyStore, sim.OldStore, sim.Crash, sim.Isolate, sim.Split, sim.KillElector),
	},
	{
		name: "opened-after-a-restart",
		what: "a new primary that restarted between its marker and its opening is opened all the same, without semi-sync",
		edits: []edit{
			{"reparent/establish.go", "c.Acks, c.Incarnation = op.Ruleset.AcksNeeded(op.To), op.Decision.Incarnation", "c.Acks = 0"},
		},
		breaks: []sim.Invariant{sim.NothingLost, sim.NoVanishingRead, sim.OneCompleter},
		options: scripted(three, 1,
			on(1, sim.WishPlanned, 5*time.Second, 0),
			sim.Fault{Kind: sim.PauseElector, At: 5 * time.Second, Step: 41, Target: sim.OnActor, For: 600 * time.Millisecond},
			sim.Fault{Kind: sim.Crash, At: 5 * time.Second, Step: 41, Target: sim.OnServer, Server: 1, For: 50 * time.Millisecond}),
	},
	{
		name:    "undo-skipped",
		what:    "an attempt that gives up leaves what it stopped as it is",
		edits:   []edit{{"reparent/operation.go", "op.Phase, op.PhaseAt, op.Tries = PhaseReleasing, now, 0\n\treturn op", "return op.finish(ending, now)"}},
		breaks:  []sim.Invariant{sim.NothingLeftBehind, sim.Progress},
		options: scripted(three, 1, neverReady()...),
	},
	{
		name:   "undone-after-the-marker",
		what:   "an emergency change that fails after its marker may have been written is undone instead of left for the next one to revoke",
		edits:  []edit{{"reparent/establish.go", "if !op.MarkSent {", "if !op.MarkSent || op.Kind != KindPlanned {"}},
		breaks: []sim.Invariant{sim.NothingLost, sim.OneCompleter, sim.NoVanishingRead, sim.EverywhereOrGone, sim.Progress},
		options: scripted(four, 1,
			on(3, sim.WishEmergency, 5*time.Second, 0),
			between(2, 3, sim.CutOneWay, 5*time.Second, 60), // C receives the marker, and its acknowledgement is lost
			between(3, 0, sim.CutPair, 5*time.Second, 59),
			between(3, 1, sim.CutPair, 5*time.Second, 59)),
	},
	{
		name:   "marker-not-awaited",
		what:   "the new primary is opened as soon as its marker may stand in the binary log, without waiting for its acknowledgements",
		edits:  []edit{{"reparent/establish.go", "if marked.Done() {", "if maybe(marked.Outcome) {"}},
		breaks: []sim.Invariant{sim.NothingLost, sim.OneCompleter, sim.NoVanishingRead, sim.EverywhereOrGone, sim.Progress},
		options: scripted(three, 1,
			on(1, sim.WishPlanned, 5*time.Second, 0),
			sim.Fault{Kind: sim.Blind, At: 5 * time.Second, Step: 38, Target: sim.OnServer, Server: 1, For: 6 * time.Second}),
	},
	{
		name: "not-applied-yet",
		what: "the marker is written before the candidate has applied the chosen history, and its server does not ask either",
		edits: []edit{
			{"reparent/emergency.go", "return op.Progress[op.To].Applied == Yes && op.Ruleset.CanComplete(op.To, op.attached())", "return op.Ruleset.CanComplete(op.To, op.attached())"},
			{"sim/verbs_semisync.go", "err := a.changeUnless(ctx, []guard{unapplied}, func(s *server) error {", "err := a.changeUnless(ctx, nil, func(s *server) error {"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.NoVanishingRead, sim.EverywhereOrGone, sim.Progress},
		options: within(three, sim.SlowApplier, sim.HugeWrite, sim.Crash, sim.Freeze, sim.CutPair),
	},
	{
		name:    "poison-not-undone",
		what:    "an attempt that gives up leaves the primary poisoned",
		edits:   []edit{{"reparent/release.go", "if maybe(p.Silenced) && p.With == Poison && op.poisonedHere(before) {", "if maybe(p.Silenced) && p.With == Demote && op.poisonedHere(before) {"}},
		breaks:  []sim.Invariant{sim.NothingLeftBehind, sim.Progress},
		options: scripted(three, 1, neverReady()...),
	},
}

// neverReady is a change that is asked for while no replica applies what it receives in time, so that it has to give up.
func neverReady() []sim.Fault {
	return []sim.Fault{
		on(1, sim.SlowApplier, 5*time.Second, 200*time.Second),
		on(2, sim.SlowApplier, 5*time.Second, 200*time.Second),
		on(1, sim.WishEmergency, 7*time.Second, 0),
	}
}
