package main

import "github.com/primacydb/primacy/sim"

// historyBugs choose the wrong one of the histories that were found.
var historyBugs = []bug{
	{
		name:    "received-ignored",
		what:    "the position of a server is what it has executed; what it has received and not applied is forgotten",
		edits:   []edit{{"reparent/history.go", "all = append(all, op.read(m.Address, p.Reading.Position()))", "all = append(all, op.read(m.Address, p.Reading.Executed))"}},
		breaks:  []sim.Invariant{sim.NothingLost, sim.Progress},
		options: within(four, sim.Split, sim.Split, sim.Split, sim.Split, sim.SlowApplier, sim.SlowApplier, sim.SlowApplier, sim.SlowApplier, sim.Crash),
	},
	{
		name:    "most-transactions-win",
		what:    "the server with most transactions decides which history counts, and not the highest term",
		edits:   []edit{{"reparent/history.go", "cmp.Compare(a.marker.Term, b.marker.Term) })", "cmp.Compare(a.position.Count(), b.position.Count()) })"}},
		breaks:  []sim.Invariant{sim.NothingLost, sim.NoVanishingRead, sim.EverywhereOrGone, sim.Progress},
		options: within(four, append([]sim.Kind{sim.HugeWrite, sim.HugeWrite, sim.HugeWrite}, tentative...)...),
	},
	{
		name: "markers-ignored",
		what: "markers are transactions like others: all that is found anywhere is one history",
		edits: []edit{
			{"reparent/history.go", "marker, _ := topology.HighestMarker(legit)\n\treturn reading{", "marker := topology.Marker{}\n\treturn reading{"},
			{"reparent/history.go", "func (op Operation) validity(top topology.Marker) (validity, bool) {", "func (op Operation) validity(top topology.Marker) (validity, bool) {\n\tif top.Term == 0 {\n\t\treturn validity{with: everything, without: everything}, true\n\t}"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.NoVanishingRead, sim.EverywhereOrGone, sim.Progress},
		options: within(four, tentative...),
	},
	{
		name:    "floor-ignored",
		what:    "a history that lacks what was seen as committed on the old primary is accepted",
		edits:   []edit{{"reparent/history.go", "missing := op.legit(op.floor()).Subtract(history)", "missing := op.legit(op.floor()).Subtract(history.Union(op.floor()))"}},
		breaks:  []sim.Invariant{sim.NothingLost, sim.NoVanishingRead},
		options: within(three, sim.Crash, sim.SlowApplier, sim.CutPair, sim.HugeWrite, sim.StopReceiver, sim.Wipe),
	},
	{
		name: "floor-from-a-restart",
		what: "what a primary shows after a restart that nobody verified is taken for the floor",
		edits: []edit{
			{"topology/floor.go", "o.UUID == l.PrimaryUUID && o.Incarnation == l.Incarnation", "o.UUID == l.PrimaryUUID"},
			{"topology/floor.go", "if !established || !o.SemiSync.Verified() || o.SemiSync.Acks < r.AcksNeeded(l.Primary) {", "if !established {"},
		},
		breaks:  []sim.Invariant{sim.Progress},
		options: within(three, sim.Crash, sim.Isolate, sim.CutPair, sim.Wipe),
	},
	{
		name:    "purged-may-follow",
		what:    "whether a candidate has purged what its followers lack is not asked",
		edits:   []edit{{"reparent/election.go", "return follower.Position().Contains(source.Purged) && !older", "return !older"}},
		breaks:  []sim.Invariant{sim.Progress, sim.NothingLeftBehind, sim.EverywhereOrGone},
		options: within(five, sim.Purge, sim.Crash, sim.Isolate, sim.Freeze, sim.WishPlanned, sim.CutPair),
	},
	{
		name: "candidate-lacks-history",
		what: "a candidate need not fetch what it lacks of the chosen history",
		edits: []edit{
			{"reparent/election.go", "return history.Subtract(has).Subtract(op.invisible(a))", "return history.Subtract(history)"},
		},
		breaks: []sim.Invariant{sim.NothingLost},
	},
}
