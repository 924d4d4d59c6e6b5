package main

import (
	"time"

	"github.com/primacydb/primacy/sim"
)

// plannedBugs hand the leadership over by agreement, and too early.
var plannedBugs = []bug{
	{
		name: "catch-up-not-awaited",
		what: "a planned change does not wait until the candidate has the old primary's final position",
		edits: []edit{
			{"reparent/planned.go", "op = op.move(PhaseCatchingUp,", "op = op.move(PhaseMarking,"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.NoVanishingRead, sim.EverywhereOrGone},
		options: within(four, sim.WishPlanned, sim.SlowLink, sim.CutPair, sim.CutOneWay),
	},
	{
		name:   "reopened-after-the-marker",
		what:   "a planned change that fails after its marker may have been written reopens the old primary",
		edits:  []edit{{"reparent/establish.go", "if !op.MarkSent {", "if !op.MarkSent || op.Kind == KindPlanned {"}},
		breaks: []sim.Invariant{sim.NothingLost, sim.OneCompleter, sim.NoVanishingRead},
		options: scripted(four, 1,
			on(1, sim.WishPlanned, 5*time.Second, 0),
			between(2, 1, sim.CutOneWay, 5*time.Second, 37), // C receives the marker, and its acknowledgement is lost
			between(1, 0, sim.CutPair, 5*time.Second, 36),
			between(1, 3, sim.CutPair, 5*time.Second, 36)),
	},
	{
		name: "demotion-not-verified",
		what: "a planned change goes on although the old primary's answer to its demotion was lost",
		edits: []edit{
			{"reparent/establish.go", "mark.Within = op.allowed()", "mark.Within = mark.Within.Union(mark.Within)"},
			{"reparent/planned.go", "if !r.Done() || !r.Observation.OK() {\n\t\top.Progress[op.From] = p", "if r.Outcome == No {\n\t\top.Progress[op.From] = p"},
			{"reparent/planned.go", "o := r.Observation\n\tp.Reading = &o\n\top.Progress[op.From] = p\n\top.Chosen = o.Executed", "o := *p.Reading\n\tif r.Observation.OK() {\n\t\to = r.Observation\n\t}\n\tp.Reading = &o\n\top.Progress[op.From] = p\n\top.Chosen = o.Executed"},
		},
		breaks: []sim.Invariant{sim.NothingLost, sim.OneCompleter, sim.NoVanishingRead},
		options: scripted(four, 1,
			on(1, sim.WishPlanned, 5*time.Second, 0),
			sim.Fault{Kind: sim.Blind, At: 5 * time.Second, Step: 29, Target: sim.OnServer, Server: 0, For: 10 * time.Second}),
	},
}
