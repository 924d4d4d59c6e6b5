package main

import (
	"time"

	"github.com/primacydb/primacy/sim"
)

// serverBugs send servers the wrong statements. The real ones are SQL, so these are planted in the simulator's twin.
var serverBugs = []bug{
	{
		name:    "freeze-not-persisted",
		what:    "a stopped server counts as frozen although skip_replica_start was not persisted: it receives again when it restarts",
		edits:   []edit{{"sim/verbs_replica.go", "if !a.command.Passing {", "if false {"}},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter},
		options: within(four, sim.Freeze, sim.Isolate, sim.Blind, sim.Crash, sim.Split),
	},
	{
		name: "applier-stopped-and-changed",
		what: "the source is changed while the applier is stopped, which throws away what was received and not applied",
		edits: []edit{
			{"sim/verbs_replica.go", "[]guard{stopUnderWay, unappliedAndStopped}, changesSource", "[]guard{}, changesSource"},
			{"sim/verbs_replica.go", "\tcase r.Applier == topology.ThreadOff && !o.Unapplied().IsEmpty():\n\t\tif err := a.changeSlowly(ctx, []guard{stopUnderWay}, startsApplier)", "\tcase r.Applier != topology.ThreadOff || !o.Unapplied().IsEmpty():\n\t\tif err := a.changeSlowly(ctx, nil, stopsApplier)"},
		},
		breaks:  []sim.Invariant{sim.NothingLost},
		options: within(three, sim.StopApplier, sim.HugeWrite, sim.SlowApplier, sim.WishPlanned, sim.Crash),
	},
	{
		name:    "change-behind-a-stop",
		what:    "the source is changed although a STOP of the applier has not returned: by the time of the change nothing is applied any more, and what was received is thrown away",
		edits:   []edit{{"sim/verbs_replica.go", "[]guard{stopUnderWay, unappliedAndStopped}, changesSource", "[]guard{unappliedAndStopped}, changesSource"}},
		breaks:  []sim.Invariant{sim.NothingLost},
		options: within(three, sim.StopApplier, sim.DiskFull, sim.SlowApplier, sim.WishPlanned, sim.Crash),
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
		options: scripted(three, 2, overtaken()...),
	},
	{
		name: "older-sessions-only-wait",
		what: "a session of a newer term does not end those of older ones, which are merely kept back for as long as it is there",
		edits: []edit{
			{"sim/session_fence.go", "case other.says.term < s.term:\n\t\treturn true, nil", "case other.says.term < s.term:\n\t\treturn false, nil"},
			{"sim/session_fence.go", "if seen.locked && len(rivals) == 0 {", "if len(rivals) == 0 {"},
			{"sim/session_act.go", "broken: func(s *server) bool { return s.knowsLater(term) },", "broken: func(s *server) bool {\n\t\t\tlater := s.knowsLater(term)\n\t\t\tfor _, g := range s.sessions() {\n\t\t\t\tlater = later || g.says.term > term\n\t\t\t}\n\t\t\treturn later\n\t\t},"},
		},
		breaks:  []sim.Invariant{sim.FencedStaysOut},
		options: scripted(three, 2, overtakenAndLeft()...),
	},
	{
		name: "clients-not-cut",
		what: "nobody cuts the clients of a former primary, neither poison nor a fence, so commits that wait are answered when semi-sync is switched off",
		edits: []edit{
			{"sim/verbs_semisync.go", "s.setAcks(topology.PoisonAcks)\n\t\ts.setOffline(true)", "s.setAcks(topology.PoisonAcks)"},
			{"sim/verbs_semisync.go", "o.SemiSync.Acks != topology.PoisonAcks || !o.OfflineMode) {", "o.SemiSync.Acks != topology.PoisonAcks) {"},
			{"sim/verbs_primary.go", "func (a *act) fenceOff(ctx *patience) (topology.Observation, error) {\n\tif err := a.change(ctx, offlineOn); err != nil {", "func (a *act) fenceOff(ctx *patience) (topology.Observation, error) {\n\tif err := ctx.Err(); err != nil {"},
			{"sim/verbs_primary.go", "(!closed(o) || !o.OfflineMode || o.SemiSync.Waiters > 0)", "(!closed(o) || o.SemiSync.Waiters > 0)"},
			{"sim/verbs_primary.go", "if !cut.has(l.id) && (l.commits || l.who != accountPrimacy) {", "if cut.has(l.id) && (l.commits || l.who != accountPrimacy) {"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter, sim.NoVanishingRead, sim.EverywhereOrGone},
		options: within(three, sim.Isolate, sim.Split, sim.CutPair, sim.Freeze, sim.Crash),
	},
	{
		name: "poison-not-verified",
		what: "poison counts on a primary whose commits do not wait for acknowledgements",
		edits: []edit{
			{"sim/verbs_semisync.go", "if !before.Verified() {\n\t\treturn topology.Observation{}, refuse(reparent.ReasonNotSemiSync, \"commits on", "if before.Acks < 0 {\n\t\treturn topology.Observation{}, refuse(reparent.ReasonNotSemiSync, \"commits on"},
			{"sim/verbs_semisync.go", "if err := a.changeUnless(ctx, []guard{unacknowledged(1)}, poisonous); err != nil {", "if err := a.changeUnless(ctx, nil, poisonous); err != nil {"},
			{"sim/verbs_semisync.go", "if err == nil && (!o.SemiSync.Verified() || o.SemiSync.Acks", "if err == nil && (o.SemiSync.Acks"},
		},
		breaks: []sim.Invariant{sim.NothingLost, sim.OneCompleter, sim.NoVanishingRead},
		options: scripted(three, 1,
			on(1, sim.WishEmergency, 5*time.Second, 0),
			sim.Fault{Kind: sim.Fallback, At: 5 * time.Second, Step: -1, Target: sim.OnServer, Server: 0, For: 20 * time.Second}),
	},
	{
		name: "fence-lets-older-in",
		what: "a session does not ask whether the server knows of a newer term, nor waits for the lock that the one of a newer term holds there",
		edits: []edit{
			{"sim/session_fence.go", "if seen.marker > s.term {", "if seen.marker > s.term && seen.marker == 0 {"},
			{"sim/session_fence.go", "case other.says.term > s.term:\n\t\treturn false, fencedBy(", "case other.says.term > s.term:\n\t\treturn false, nil\n\tcase other.says.term == 0:\n\t\treturn false, fencedBy("},
			{"sim/session_fence.go", "if seen.locked && len(rivals) == 0 {", "if len(rivals) == 0 {"},
			{"sim/session_act.go", "broken: func(s *server) bool { return s.knowsLater(term) },", "broken: func(s *server) bool { return term == 0 },"},
		},
		breaks:  []sim.Invariant{sim.FencedStaysOut, sim.OneCompleter, sim.NothingLost},
		options: scripted(three, 2, overtaken()...),
	},
	{
		name:   "waiting-commits-are-history",
		what:   "what waits for acknowledgements in a primary's binary log is read as executed, as the log's own end says",
		edits:  []edit{{"sim/server_observe.go", "if s.channel != nil {\n\t\to.Replication = s.replication()\n\t}\n}", "shown := history{set: o.Executed}\n\tfor _, c := range s.commits {\n\t\tshown.add(c.gtid)\n\t}\n\to.Executed = shown.all()\n\tif s.channel != nil {\n\t\to.Replication = s.replication()\n\t}\n}"}},
		breaks: []sim.Invariant{sim.Progress, sim.NothingLost, sim.EverywhereOrGone, sim.NoVanishingRead},
		options: scripted(three, 1,
			between(0, 1, sim.CutPair, 5*time.Second, 0),
			between(0, 2, sim.CutPair, 5*time.Second, 0),
			on(0, sim.HostDown, 7*time.Second, 60*time.Second)),
	},
}

// overtaken is a change whose elector loses its lock to another one and cannot be told. What it has to say to the new
// primary takes long, and the other one begins at once.
func overtaken() []sim.Fault {
	return []sim.Fault{
		on(1, sim.WishPlanned, 5*time.Second, 0),
		{Kind: sim.SlowLink, At: 5 * time.Second, Step: 36, Target: sim.OnServer, Server: 4, Other: 1, For: 4 * time.Second}, // the first elector and B
		{Kind: sim.CutStore, At: 5 * time.Second, Step: 40, Target: sim.OnActor, For: 2500 * time.Millisecond},
		{Kind: sim.EndLease, At: 5 * time.Second, Step: 40, Target: sim.OnActor},
	}
}

// overtakenAndLeft is the same, where the other one dies before what the first one had to say arrives.
func overtakenAndLeft() []sim.Fault {
	return append(overtaken(), sim.Fault{Kind: sim.KillElector, At: 5 * time.Second, Step: 57, Target: sim.OnServer, Server: 1, For: 20 * time.Second})
}
