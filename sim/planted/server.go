package main

import "github.com/primacydb/primacy/sim"

// serverBugs send servers the wrong statements. The real ones are SQL, so these are planted in the simulator's twin.
var serverBugs = []bug{
	{
		name:    "freeze-not-persisted",
		what:    "a stopped server counts as frozen although skip_replica_start was not persisted: it receives again when it restarts",
		edits:   []edit{{"sim/verbs_replica.go", "if err := a.promiseToStayStopped(ctx); err != nil {\n\t\treturn topology.Observation{}, err\n\t}", ""}},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter},
		options: within(four, sim.Freeze, sim.Isolate, sim.Blind, sim.Crash, sim.Split),
	},
	{
		name: "applier-stopped-and-changed",
		what: "the source is changed while the applier is stopped, which throws away what was received and not applied",
		edits: []edit{
			{"sim/verbs_replica.go", "[]guard{unappliedAndStopped}, changesSource", "[]guard{}, changesSource"},
			{"sim/verbs_replica.go", "\tcase r.Applier == topology.ThreadOff && !o.Unapplied().IsEmpty():\n\t\tif err := a.changeSlowly(ctx, nil, startsApplier)", "\tcase r.Applier != topology.ThreadOff || !o.Unapplied().IsEmpty():\n\t\tif err := a.changeSlowly(ctx, nil, stopsApplier)"},
		},
		breaks:  []sim.Invariant{sim.NothingLost},
		options: within(three, sim.StopApplier, sim.HugeWrite, sim.SlowApplier, sim.WishPlanned, sim.Crash),
	},
	{
		name: "read-only-believed",
		what: "a primary counts as demoted once super_read_only reads 1, although the statement still waits behind commits",
		edits: []edit{
			{"sim/verbs_primary.go", "if err, over := ended.await(ctx.life, -1); over {", "if s.command.Verb == reparent.Demote {\n\t\treturn nil\n\t}\n\tif err, over := ended.await(ctx.life, -1); over {"},
			{"sim/verbs_primary.go", "if err := a.demoted(o); err != nil {", "if err := a.demoted(o); err != nil && !o.SuperReadOnly {"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter, sim.NoVanishingRead, sim.EverywhereOrGone},
		options: within(four, sim.WishPlanned, sim.SlowLink, sim.CutPair, sim.CutOneWay),
	},
	{
		name: "semi-sync-off-before-offline",
		what: "a primary of an earlier term is fenced in the wrong order: semi-sync is switched off before its clients are cut",
		edits: []edit{
			{"sim/verbs_primary.go", "func (a *act) fenceOff(ctx *patience) (topology.Observation, error) {\n", "func (a *act) fenceOff(ctx *patience) (topology.Observation, error) {\n\tif err := a.sourceOff(ctx); err != nil {\n\t\treturn topology.Observation{}, err\n\t}\n"},
		},
		breaks:  []sim.Invariant{sim.NothingLost},
		options: within(three, sim.Isolate, sim.Split, sim.CutPair, sim.Freeze, sim.Crash),
	},
	{
		name: "older-sessions-not-ended",
		what: "a session of a newer term does not end those of older ones",
		edits: []edit{
			{"sim/session_fence.go", "case other.says.term < s.term:\n\t\treturn true, nil", "case other.says.term < s.term:\n\t\treturn false, nil"},
			{"sim/session_fence.go", "if seen.locked && len(rivals) == 0 {", "if len(rivals) == 0 {"},
			{"sim/session_act.go", "broken: func(s *server) bool { return s.knowsLater(term) },", "broken: func(s *server) bool { return term == 0 },"},
		},
		breaks:  []sim.Invariant{sim.FencedStaysOut, sim.OneCompleter, sim.NothingLost},
		options: within(three, sim.PauseElector, sim.EndLease, sim.CutStore, sim.KillElector, sim.Crash, sim.Isolate, sim.WishPlanned),
	},
}
