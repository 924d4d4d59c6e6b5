package main

import (
	"time"

	"github.com/primacydb/primacy/sim"
	"github.com/primacydb/primacy/topology"
)

// reopeningBugs open a primary that restarted although it is not certain that it may lead on.
var reopeningBugs = []bug{
	{
		name: "reopened-with-less",
		what: "a primary that restarted is opened again without asking whether others hold more than it has left, nor what it was known to have",
		edits: []edit{
			{"reparent/reopen.go", "case !o.Executed.Contains(op.Known[op.To].Position):", "case len(op.Known) == 0:"},
			{"reparent/reopen.go", "case !o.Executed.Contains(op.legit(op.Floor.Union(op.foundation()))):", "case len(op.Known) == 0:"},
			{"reparent/reopen.go", "if more := op.ofItsTerm(a).Subtract(executed); !more.IsEmpty() {", "if more := executed.Subtract(executed); !more.IsEmpty() {"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.NoVanishingRead},
		options: scripted(wary, 1, backWithLess()...),
	},
	{
		name: "reopened-under-a-later-term",
		what: "a primary that restarted is opened again although a later leadership was begun: neither the record nor the markers that servers show are asked",
		edits: []edit{
			{"reparent/reopen.go", "case !op.History.Leaderships[n-1].Established() || op.History.Leaderships[n-1].Term != current.Term:", "case n < 0 && current.Term > 0:"},
			{"reparent/reopen.go", "if marker.Term > current.Term || marker.Term == current.Term && marker != current {", "if marker.Term < current.Term && marker.Term > current.Term {"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter, sim.NoVanishingRead},
		options: scripted(sixOfTwo, 1, chosenBehindTheRecord()...),
	},
	{
		name: "reopened-without-acknowledgements",
		what: "a primary that restarted is opened again as soon as its marker may stand in its binary log: nobody waits for ackers, nor for what they acknowledge",
		edits: []edit{
			{"reparent/establish.go", "if op.Kind != KindAdoption && op.Kind != KindReopening {", "if op.Kind != KindAdoption {"},
			{"reparent/establish.go", "if marked.Done() {", "if marked.Done() || op.Kind == KindReopening && maybe(marked.Outcome) {"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter, sim.NoVanishingRead, sim.Progress},
		options: sim.Options{Cluster: slowToProve, Electors: 1, Length: 45 * time.Second, Faults: numbered(backAlone())},
	},
}

// sixOfTwo need two acknowledgements and can fall into two halves that both have them.
var sixOfTwo = even(6, topology.Policy{Kind: topology.PolicySemiSync, Acks: 2})

// chosenBehindTheRecord is a change to D that comes to its end without a record of it, and D out of the elector's reach, when
// A is back. E and F have heard nothing of D.
func chosenBehindTheRecord() []sim.Fault {
	return []sim.Fault{
		between(3, 4, sim.CutPair, 4*time.Second, 0),
		between(3, 5, sim.CutPair, 4*time.Second, 0),
		on(0, sim.Crash, 5*time.Second, time.Second),
		{Kind: sim.KillElector, At: 5 * time.Second, Step: 82, Target: sim.OnActor, For: 100 * time.Millisecond},
		{Kind: sim.Blind, At: 5 * time.Second, Step: 82, Target: sim.OnServer, Server: 3, For: 20 * time.Second},
	}
}

// backAlone is B, within the window of the change that made it primary: its clients write what nobody acknowledges, it
// restarts, its ackers hear nothing of it, and when the window is over its host loses power.
func backAlone() []sim.Fault {
	return []sim.Fault{
		on(0, sim.Crash, 5*time.Second, 300*time.Millisecond),
		{Kind: sim.CutPair, At: 10 * time.Second, Target: sim.OnServer, Server: 1, Other: 0, For: time.Minute},
		{Kind: sim.CutPair, At: 10 * time.Second, Target: sim.OnServer, Server: 1, Other: 2, For: time.Minute},
		on(1, sim.Crash, 12*time.Second, 50*time.Millisecond),
		on(1, sim.HostDown, 34*time.Second, time.Minute),
	}
}

// backWithLess is D, within the window of the change that made it primary, that loses the end of its log: what it wrote last,
// B and C have not heard of, and A has acknowledged.
func backWithLess() []sim.Fault {
	return []sim.Fault{
		on(0, sim.Crash, 5*time.Second, 300*time.Millisecond),
		{Kind: sim.CutPair, At: 8 * time.Second, Target: sim.OnServer, Server: 3, Other: 1, For: 7 * time.Second},
		{Kind: sim.CutPair, At: 8 * time.Second, Target: sim.OnServer, Server: 3, Other: 2, For: 7 * time.Second},
		on(3, sim.LoseLog, 14*time.Second, 100*time.Millisecond),
		on(3, sim.Wipe, 30*time.Second, 100*time.Millisecond), // a replica skips what it wrote itself, so it would never have that again
	}
}

// slowToProve are three whose primary has not proved itself before its window is over.
var slowToProve = altered(three, func(c *sim.Cluster) { c.Antiflap.Window, c.Antiflap.ProvenAfter = 20*time.Second, 18*time.Second })
