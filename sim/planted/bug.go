package main

import (
	"strings"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/sim"
	"github.com/primacydb/primacy/topology"
)

// A bug is a mistake that somebody could make in the real code, as an edit of its text. The product has no path for
// tests: each bug is built into a program of its own (go build -overlay), and the files stay as they are.
type bug struct {
	name  string
	what  string // the mistake, as a sentence
	edits []edit
	// breaks are the promises that it breaks; one of them has to catch it.
	breaks []sim.Invariant
	// options make what it takes likely; what they leave out is drawn from the seed.
	options sim.Options
}

// An edit replaces a text that stands exactly once in a file of the project.
type edit struct{ file, old, new string }

// twin tells whether the mistake is made in the simulated servers' statements because the real ones are SQL.
func (b bug) twin() bool {
	for _, e := range b.edits {
		if !strings.HasPrefix(e.file, "sim/") {
			return false
		}
	}
	return true
}

// bugs lists all that are planted.
func bugs() []bug {
	var all []bug
	for _, some := range [][]bug{revocationBugs, historyBugs, establishmentBugs, plannedBugs, electorBugs, repairBugs, serverBugs, foundBugs, reopeningBugs, cascadeBugs, rulesBugs} {
		all = append(all, some...)
	}
	return all
}

// even is a cluster that a bug needs; one that cannot be made is drawn instead, and the tests say so.
func even(servers int, p topology.Policy) *sim.Cluster {
	c, err := sim.EvenCluster(servers, p)
	if err != nil {
		return nil
	}
	return &c
}

// within are options under which much goes wrong in a short time, by these kinds of faults.
func within(cluster *sim.Cluster, kinds ...sim.Kind) sim.Options {
	return sim.Options{Cluster: cluster, Length: 15 * time.Second, Kinds: kinds}
}

// Clusters with short windows, so that the primary changes often.
var (
	three = even(3, topology.Policy{Kind: topology.PolicySemiSync, Acks: 1})
	// four can fall into two halves that both have an acker.
	four  = even(4, topology.Policy{Kind: topology.PolicySemiSync, Acks: 1})
	five1 = even(5, topology.Policy{Kind: topology.PolicySemiSync, Acks: 1})
	// tentative faults make primaries on which clients write what nobody acknowledges, and that come back.
	tentative = []sim.Kind{sim.Isolate, sim.Isolate, sim.Isolate, sim.Split, sim.Split, sim.Crash, sim.Crash}
	// twoOfFour need two acknowledgements.
	twoOfFour = even(4, topology.Policy{Kind: topology.PolicySemiSync, Acks: 2})
	five      = even(5, topology.Policy{Kind: topology.PolicySemiSync, Acks: 2})
	// seldom is three whose electors probe so seldom that what they saw last says little.
	seldom = altered(three, func(c *sim.Cluster) { c.ProbeInterval = 5 * time.Second })
	// crossZone has several servers in each zone.
	crossZone = even(6, topology.Policy{Kind: topology.PolicyCrossZone, Acks: 1})
	// none asks for no acknowledgements: whoever steps down has no source side to be switched off, so changes are short.
	none = even(4, topology.Policy{Kind: topology.PolicyNone})
	// wary is four whose windows are as long as a lifetime, hasty three whose electors soon give up on a server, and hurried
	// four that do not wait long for a marker either.
	wary  = altered(four, func(c *sim.Cluster) { c.Antiflap.Window, c.Antiflap.ProvenAfter = 30*time.Second, 10*time.Second })
	hasty = altered(three, func(c *sim.Cluster) {
		c.Timing = reparent.DefaultTiming()
		c.Timing.Follow = time.Second
	})
	hurried = altered(four, func(c *sim.Cluster) {
		c.Timing = reparent.DefaultTiming()
		c.Timing.Follow, c.Timing.Mark = time.Second, time.Second
	})
)

// altered is a cluster with something changed.
func altered(c *sim.Cluster, change func(*sim.Cluster)) *sim.Cluster {
	if c == nil {
		return nil
	}
	again := *c
	change(&again)
	return &again
}

// scripted are options under which just these things go wrong, where drawing them together would take too long.
func scripted(cluster *sim.Cluster, electors int, faults ...sim.Fault) sim.Options {
	return sim.Options{Cluster: cluster, Electors: electors, Length: 35 * time.Second, Faults: numbered(faults)}
}

func numbered(faults []sim.Fault) []sim.Fault {
	for i := range faults {
		faults[i].Number = i
	}
	return faults
}

// on is a fault that meets one server, and at is when. Numbers are those of servers, from A on.
func on(server int, k sim.Kind, at, lasts time.Duration) sim.Fault {
	return sim.Fault{Kind: k, At: at, Target: sim.OnServer, Server: server, For: lasts}
}

// actor is a fault that meets the elector that acts, after it has sent some commands.
func actor(k sim.Kind, at time.Duration, step int) sim.Fault {
	return sim.Fault{Kind: k, At: at, Step: step, Target: sim.OnActor, For: 20 * time.Second}
}

// between is a fault of two servers, or of what they say to each other, after so many commands.
func between(one, other int, k sim.Kind, at time.Duration, step int) sim.Fault {
	return sim.Fault{Kind: k, At: at, Step: step, Target: sim.OnServer, Server: one, Other: other, For: 20 * time.Second}
}
