package main

import (
	"time"

	"github.com/primacydb/primacy/sim"
)

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
	{
		name: "repair-towards-anybody",
		what: "the repair of replicas starts them towards whatever source they have, and not towards the primary on record",
		edits: []edit{
			{"reparent/repair.go", "Verb: Follow, Source: topology.SourceOf(a, s.Ruleset, primary.Address, findings), Acker:", "Verb: Follow, Source: " + itsSource + ", Acker:"},
		},
		breaks:  []sim.Invariant{sim.NothingLeftBehind, sim.EverywhereOrGone, sim.Progress},
		options: within(four, sim.StopReceiver, sim.Crash, sim.Isolate, sim.WishPlanned),
	},
	{
		name: "unsettled-not-asked",
		what: "replicas are attached to the primary on record although a later leadership's outcome is unknown, which is no sign that the one on record does not serve either",
		edits: []edit{
			{"topology/restraint.go", "case (len(q.ahead) > 0 || q.unsettled() != nil) && f.Remedy == RemedyReconcile:", "case len(q.ahead) < 0 && f.Remedy == RemedyReconcile:"},
			{"topology/restraint.go", "serves := q.leads() && !primaryFailed(found)", "serves := q.leads()"},
		},
		breaks: []sim.Invariant{sim.NothingLost, sim.OneCompleter, sim.NoVanishingRead, sim.EverywhereOrGone, sim.Progress},
		options: scripted(four, 1,
			sim.Fault{Kind: sim.Isolate, At: 5 * time.Second, Target: sim.OnServer, Server: 0, Other: 1, For: 5 * time.Second},
			between(1, 3, sim.CutPair, 5*time.Second, 0), // B hears nothing of D, which is elected
			sim.Fault{Kind: sim.KillElector, At: 5 * time.Second, Step: 52, Target: sim.OnActor, For: 100 * time.Millisecond}, // D is open, and that is not on record
			between(3, 0, sim.Blind, 5*time.Second, 52)),
	},
	{
		name: "restarted-and-opened",
		what: "the established primary is opened again after a restart although no reached server can acknowledge, so nobody else need hold what its restart has completed",
		edits: []edit{
			{"reparent/repair.go", "if !primary.Writable() {\n\t\treturn fenceStale(findings, s, h, term)\n\t}", opensAgain},
		},
		breaks: []sim.Invariant{sim.NoVanishingRead},
		options: scripted(three, 1,
			between(0, 1, sim.CutPair, 5*time.Second, 0),
			between(0, 2, sim.CutPair, 5*time.Second, 0), // clients write what nobody acknowledges
			on(1, sim.Blind, 5*time.Second, 11*time.Second),
			on(2, sim.Blind, 5*time.Second, 11*time.Second),
			on(0, sim.Crash, 7*time.Second, 50*time.Millisecond),
			on(0, sim.HostDown, 16*time.Second, 60*time.Second)), // and the others go on without it
	},
}

// itsSource is the source that a replica has, if it has one.
const itsSource = `func() topology.Address {
		if has := sourceOf(s.Server(a)); has != "" {
			return has
		}
		return primary.Address
	}()`

// opensAgain switches the source side on and opens the primary in the next round.
const opensAgain = `if primary.OK() && !primary.Writable() && primary.Incarnation != current.Incarnation {
		c := Command{Verb: EnableSource, Server: primary.Address, Acks: s.Ruleset.AcksNeeded(primary.Address), Cluster: s.Cluster, Term: term, Deadline: repairDeadline}
		if primary.SemiSync.Verified() {
			c.Verb = Open
		}
		return []Command{c}
	}
	if !primary.Writable() {
		return fenceStale(findings, s, h, term)
	}`
