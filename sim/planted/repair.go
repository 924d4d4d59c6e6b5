package main

import "github.com/primacydb/primacy/sim"

// repairBugs set replication right where it should be left alone, or not where it should.
var repairBugs = []bug{
	{
		name: "repair-during-a-change",
		what: "the repair of replicas goes on while a change runs, and starts the receivers of servers that were revoked",
		edits: []edit{
			{"orchestrator/act.go", "if c.lease == nil || c.busy {\n\t\treturn\n\t}", "if c.lease == nil {\n\t\treturn\n\t}\n\tif c.busy {\n\t\tc.snapshot.Reparenting = false\n\t\tc.diagnose(now)\n\t\tc.repair(now)\n\t\treturn\n\t}"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter, sim.Progress},
		options: within(four, sim.WishPlanned, sim.WishEmergency, sim.DiskStall, sim.Isolate, sim.Freeze, sim.CutPair, sim.Split),
	},
	{
		name: "errant-may-follow",
		what: "nobody asks what a server holds besides the history before it may lead or acknowledge",
		edits: []edit{
			{"reparent/history.go", "if history.Contains(r.position) && valid(r.position).Contains(r.position) {", "if history.Contains(history) && valid(r.position).Contains(history.Subtract(history)) {"},
			{"reparent/establish.go", "mark.Within = op.allowed()", "mark.Within = mark.Within.Union(mark.Within)"},
			{"sim/verbs_replica.go", "if a.command.Within.IsEmpty() {\n\t\treturn nil\n\t}\n\tif stray", "if a.changed == a.changed {\n\t\treturn nil\n\t}\n\tif stray"},
			{"sim/verbs_replica.go", "if a.command.Within.IsEmpty() {\n\t\treturn nil\n\t}\n\twithin", "if a.changed == a.changed {\n\t\treturn nil\n\t}\n\twithin"},
			{"reparent/repair.go", "if c.Verb == Follow && quarantined(findings, f.Server) {", "if c.Verb == Follow && quarantined(nil, f.Server) {"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.EverywhereOrGone, sim.NoVanishingRead},
		options: within(four, tentative...),
	},
}
