package main

import (
	"time"

	"github.com/primacydb/primacy/sim"
)

// historyBugs choose the wrong one of the histories that were found.
var historyBugs = []bug{
	{
		name:   "received-ignored",
		what:   "the position of a server is what it has executed; what it has received and not applied is forgotten",
		edits:  []edit{{"reparent/history.go", "all = append(all, op.read(m.Address, p.Reading.Position()))", "all = append(all, op.read(m.Address, p.Reading.Executed))"}},
		breaks: []sim.Invariant{sim.NothingLost, sim.Progress},
		options: scripted(four, 1,
			on(1, sim.SlowApplier, 4900*time.Millisecond, 10*time.Second),
			on(0, sim.Split, 5*time.Second, 3*time.Second), // A and B here, C and D there
			on(0, sim.Crash, 6500*time.Millisecond, 20*time.Second)),
	},
	{
		name: "most-transactions-win",
		what: "the server with most transactions decides which history counts, and not the highest term, nor what is known to be committed",
		edits: []edit{
			{"reparent/history.go", "top := slices.MaxFunc(all, func(a, b reading) int { return cmp.Compare(a.marker.Term, b.marker.Term) })", mostWins},
			{"reparent/history.go", "missing := op.legit(op.floor()).Subtract(history)", "missing := op.legit(op.floor()).Subtract(history.Union(op.floor()))"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.NoVanishingRead, sim.EverywhereOrGone, sim.Progress},
		options: scripted(four, 1, isolatedAndBusy()...),
	},
	{
		name: "markers-ignored",
		what: "markers are transactions like others: all that is found anywhere is one history",
		edits: []edit{
			{"reparent/history.go", "marker, _ := topology.HighestMarker(legit)\n\treturn reading{", "marker := topology.Marker{}\n\treturn reading{"},
			{"reparent/history.go", "func (op *Operation) validity(top topology.Marker) (validity, bool) {", "func (op *Operation) validity(top topology.Marker) (validity, bool) {\n\tif top.Term == 0 {\n\t\treturn validity{with: everything, without: everything}, true\n\t}"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.NoVanishingRead, sim.EverywhereOrGone, sim.Progress},
		options: within(four, tentative...),
	},
	{
		name: "floor-ignored",
		what: "a history that lacks what was seen as committed on the old primary is accepted, and nobody asks who has lost it",
		edits: []edit{
			{"reparent/history.go", "missing := op.legit(op.floor()).Subtract(history)", "missing := op.legit(op.floor()).Subtract(history.Union(op.floor()))"},
			{"reparent/revocation.go", `return op.frozen().Where(func(a topology.Address) bool { return op.doubt(a, l, begun) == "" })`, "_ = begun\n\treturn op.frozen()"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.NoVanishingRead},
		options: scripted(three, 1, robbed()...),
	},
	{
		name: "floor-from-a-restart",
		what: "what a primary shows after a restart that nobody verified is taken for the floor",
		edits: []edit{
			{"topology/floor.go", "o.UUID == l.PrimaryUUID && o.Incarnation == l.Incarnation", "o.UUID == l.PrimaryUUID"},
			{"topology/floor.go", "if !established || !o.SemiSync.Verified() || o.SemiSync.Acks < r.AcksNeeded(l.Primary) {", "if !established {"},
		},
		breaks: []sim.Invariant{sim.Progress},
		options: scripted(three, 1,
			on(0, sim.Blind, 5*time.Second, 1800*time.Millisecond),
			between(0, 1, sim.CutPair, 5*time.Second, 0),
			between(0, 2, sim.CutPair, 5*time.Second, 0), // clients write what nobody acknowledges
			on(0, sim.Crash, 5800*time.Millisecond, 50*time.Millisecond),
			// It is seen once more, and gone when it is to be revoked.
			sim.Fault{Kind: sim.HostDown, At: 6300 * time.Millisecond, Step: 1, Target: sim.OnServer, Server: 0, For: 60 * time.Second}),
	},
	{
		name: "candidate-lacks-history",
		what: "a candidate need not fetch what it lacks of the chosen history",
		edits: []edit{
			{"reparent/election.go", "return history.Subtract(has).Subtract(op.invisible(a))", "return history.Subtract(history)"},
		},
		breaks: []sim.Invariant{sim.NothingLost},
	},
	{
		name: "purged-may-follow",
		what: "nobody asks whether a candidate has purged what its followers lack, and one whose receiver stops at once for that counts as attached",
		edits: []edit{
			{"reparent/election.go", "return follower.Position().Contains(source.Purged) && !older", "return !older"},
			{"sim/verbs_replica.go", "case o.Replication.Receiver == topology.ThreadOff:\n\t\treturn o, refuse(reparent.ReasonError, \"the receiver", "case o.Replication.Receiver == topology.ThreadOff && o.Replication.ReceiverErrno == 0:\n\t\treturn o, refuse(reparent.ReasonError, \"the receiver"},
		},
		breaks: []sim.Invariant{sim.Progress},
		options: scripted(twoOfFour, 1,
			between(0, 2, sim.CutPair, 5*time.Second, 0), // C lacks what D purges
			on(3, sim.Purge, 7*time.Second, 0),
			on(0, sim.Wipe, 8*time.Second, 3*time.Second)), // and so does A, when it is back
	},
	{
		name: "nobody-read-not-asked",
		what: "the control plane crashes where a history is to be chosen and no server's position counts, as the one that is reached is a primary on which commits wait",
		edits: []edit{
			{"reparent/history.go", "if len(all) == 0 {\n\t\treturn choice{}, &Obstacle{Code: \"nothing_read\"", "if len(all) < 0 {\n\t\treturn choice{}, &Obstacle{Code: \"nothing_read\""},
		},
		breaks: []sim.Invariant{sim.NoCrash},
		options: scripted(three, 1,
			on(1, sim.HostDown, 5*time.Second, 10*time.Second),
			on(2, sim.HostDown, 5*time.Second, 10*time.Second),
			sim.Fault{Kind: sim.WishEmergency, At: 9 * time.Second, Other: 1}), // for whoever is chosen
	},
}

// isolatedAndBusy is a primary on which much is written that nobody acknowledges. When it is back, its successor dies.
func isolatedAndBusy() []sim.Fault {
	away := on(0, sim.Isolate, 5*time.Second, 5*time.Second)
	away.Other = 1 // clients reach it
	apart := on(2, sim.CutPair, 5*time.Second, 20*time.Second)
	apart.Other = 3 // C never hears that D leads
	faults := []sim.Fault{away, apart, on(3, sim.Crash, 11200*time.Millisecond, 30*time.Second)}
	for i := range 8 {
		faults = append(faults, on(0, sim.HugeWrite, 5300*time.Millisecond+time.Duration(i)*50*time.Millisecond, 100*time.Millisecond))
	}
	return faults
}

const mostWins = `top := slices.MaxFunc(all, func(a, b reading) int { return cmp.Compare(a.position.Count(), b.position.Count()) })
	if len(all) > 0 {
		most := choice{history: top.position, why: "most transactions"}
		for _, r := range all {
			if top.position.Contains(r.position) {
				most.clean = most.clean.With(r.address)
			}
		}
		most.follow = most.clean
		return most, nil
	}`
