package main

import (
	"time"

	"github.com/primacydb/primacy/sim"
	"github.com/primacydb/primacy/topology"
)

// cascadeBugs misjudge a replica that replicates from another member than the primary.
var cascadeBugs = []bug{
	{
		name:    "cascades-follow-the-fallen",
		what:    "an emergency change has a cascaded replica follow its intermediate though that does not follow the new primary: the dead primary, when it is back",
		edits:   []edit{{"reparent/cascade.go", "op.Known[a].Source == intermediate && op.Followers.Has(intermediate) {", "op.Known[a].Source == intermediate {"}},
		breaks:  []sim.Invariant{sim.EverywhereOrGone},
		options: scripted(cascade(0, 30*time.Second), 1, fallen()...),
	},
	{
		name: "cascades-are-abandoned",
		what: "a cascaded replica is never attached to the primary, however long its intermediate has been gone",
		edits: []edit{
			{"topology/cascade.go", "case !atOnce && (since.IsZero() || q.now.Sub(since) < q.l.RehomeAfter):", "case !atOnce && (since.IsZero() || !since.After(q.now)):"},
		},
		breaks:  []sim.Invariant{sim.NothingLeftBehind},
		options: scripted(cascade(1, time.Second), 1, on(1, sim.HostDown, 3*time.Second, 30*time.Second)),
	},
	{
		name:    "cascades-stay-away",
		what:    "a cascaded replica that had to leave its intermediate is never brought back to it",
		edits:   []edit{{"topology/cascade.go", "if since := began(&f, q.previous); since.IsZero() || q.now.Sub(since) < q.returnAfter(o) {", "if since := began(&f, q.previous); since.IsZero() || q.now.Sub(since) < 100*q.returnAfter(o) {"}},
		breaks:  []sim.Invariant{sim.NothingLeftBehind},
		options: sim.Options{Cascade: true, Length: 15 * time.Second, Kinds: []sim.Kind{sim.Crash, sim.HostDown, sim.Isolate, sim.WishPlanned}},
	},
	{
		name: "cascades-count-as-ackers",
		what: "a replica that replicates from another one counts as one that acknowledges to the primary",
		edits: []edit{
			{"topology/ruleset.go", "if m.Source != \"\" {\n\t\treturn false\n\t}\n\tswitch r.Policy.Kind {", "switch r.Policy.Kind {"},
			{"topology/cascade.go", "return m.Source == \"\"\n", "return m.Source == m.Source\n"},
		},
		breaks:  []sim.Invariant{sim.Progress, sim.NothingLost, sim.NothingLeftBehind},
		options: sim.Options{Cascade: true, Length: 15 * time.Second, Kinds: []sim.Kind{sim.Crash, sim.Isolate, sim.CutPair, sim.WishPlanned}},
	},
}

// cascade is five servers of which the last replicates from one that is named by its number.
func cascade(intermediate int, rehomeAfter time.Duration) *sim.Cluster {
	return altered(five1, func(c *sim.Cluster) {
		c.Ruleset.Members = append([]topology.Member(nil), c.Ruleset.Members...)
		leaf := &c.Ruleset.Members[4]
		leaf.Source, leaf.Promotion = c.Ruleset.Members[intermediate].Address, topology.PromotionNever
		c.Limits.RehomeAfter, c.Limits.ReturnAfter = rehomeAfter, rehomeAfter
	})
}

// fallen is a primary that nobody hears of any more, on which clients write on; then the other servers hear it again, and the
// elector does not yet.
func fallen() []sim.Fault {
	return []sim.Fault{
		{Kind: sim.Isolate, At: 5 * time.Second, Target: sim.OnServer, Server: 0, Other: 1, For: 8 * time.Second},
		on(0, sim.Blind, 5*time.Second, 14*time.Second),
	}
}
