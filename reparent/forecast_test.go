package reparent

import (
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// foreseen is what a world is told of a failure.
func (w *world) foreseen(failed topology.ServerSet) Forecast {
	w.snapshot()
	in := w.intent()
	return Foresee(clearance(false), in, failed, w.now())
}

// TestWhatIsForetoldIsWhatHappens breaks clusters in many ways, asks what would happen if some servers died, lets them die,
// and compares.
func TestWhatIsForetoldIsWhatHappens(t *testing.T) {
	told := map[Prospect]int{}
	rapid.Check(t, func(t *rapid.T) {
		l := startLife(t)
		l.happenings()
		l.world.seen()
		failed := topology.Servers()
		for range rapid.IntRange(1, 2).Draw(t, "failures") {
			failed = failed.With(l.any("fails").name)
		}
		f := l.world.foreseen(failed)
		told[f.Prospect]++
		for a := range failed.All() {
			if s := l.world.servers[a]; s.up {
				s.crash()
			}
		}
		l.world.flow()
		if problem := l.world.contradicts(f); problem != "" {
			t.Fatalf("%s: %s (%+v), and then %s\n%s", failed, f.Prospect, f, problem, strings.Join(l.trace, "\n"))
		}
	})
	for _, p := range []Prospect{ProspectUnaffected, ProspectWritesWait, ProspectPromoted, ProspectBlocked} {
		if told[p] == 0 {
			t.Errorf("%s was never told", p)
		}
	}
}

// seen mends what no probe can see before a change is tried: that two replicas do not reach each other.
func (w *world) seen() {
	leader, _ := w.history().Current()
	maps.DeleteFunc(w.apart, func(pair [2]topology.Address, _ bool) bool { return pair[1] != leader.Primary })
	w.flow()
}

// contradicts says what happens otherwise than it was told.
func (w *world) contradicts(f Forecast) string {
	in := w.intent()
	leader, _ := in.History.Current()
	if primary := in.Snapshot.Server(leader.Primary); primary.OK() {
		p := w.servers[leader.Primary]
		if f.Prospect == ProspectWritesWait && !f.Failed.And(w.cut).IsEmpty() {
			return "" // nobody could see whether what was out of reach acknowledged
		}
		waits := p.semiSource && p.infinite && p.clients() < p.acks
		if waits != (f.Prospect == ProspectWritesWait) {
			return "commits wait is " + map[bool]string{true: "true", false: "false"}[waits]
		}
		return ""
	}
	op := Emergency(clearance(false), in, w.now())
	op, _ = (&elector{world: w, name: "elector-1"}).run(op)
	switch {
	case op.State == StateSucceeded && (f.Prospect != ProspectPromoted || f.Promoted != op.To):
		return string(op.To) + " is promoted"
	case op.State != StateSucceeded && f.Prospect != ProspectBlocked:
		return string(op.State) + ": " + op.Obstacle.Message
	}
	return ""
}

func TestEachFailureIsAskedOnce(t *testing.T) {
	r := topologytest.Cluster("A", "B", "C", "D").Zone("east", "A", "B").Zone("west", "C").Ruleset()
	single, zones, pairs := Failures(r)
	if len(single) != 4 || len(zones) != 1 || !zones[0].Equal(topology.Servers("A", "B")) || len(pairs) != 5 {
		t.Errorf("single %v, zones %v, pairs %v", single, zones, pairs)
	}
}

func TestWithoutALeadershipNothingIsForetold(t *testing.T) {
	if f := Foresee(clearance(false), intentOf(topologytest.Cluster("A", "B", "C").Unadopted()), topology.Servers("A"), topologytest.Now); f.Prospect != ProspectUnknown {
		t.Errorf("got %+v", f)
	}
}

func TestAForecastLeavesWhatItWasGivenAlone(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C").Acks(1))
	before := text(in.Snapshot) + text(in.History.LastSeen)
	Foresee(clearance(false), in, topology.Servers("A"), topologytest.Now)
	if text(in.Snapshot)+text(in.History.LastSeen) != before {
		t.Error("it was changed")
	}
}

func TestABlockedForecastSaysWhatItWouldNeed(t *testing.T) {
	for name, failed := range map[string]topology.ServerSet{"promotion": topology.Servers("A", "B"), "acknowledgements": topology.Servers("B", "C")} {
		f := Foresee(clearance(false), intentOf(topologytest.Cluster("A", "B", "C").Acks(1)), failed, topologytest.Now)
		if f.Obstacle == nil || len(f.Obstacle.Needs) == 0 {
			t.Errorf("%s: %s %+v", name, f.Prospect, f.Obstacle)
		}
	}
}

func TestWhatThePrimaryShowsAndAReplicaNotYetBlocksNothing(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Acks(1)
	in := intentOf(b)
	in.Snapshot.Servers[0].Executed = in.Snapshot.Servers[0].Executed.Union(b.Set("A:500-502"))
	in.History.Floor = in.Snapshot.Servers[0].Executed
	if f := Foresee(clearance(false), in, topology.Servers("A"), topologytest.Now); f.Prospect != ProspectPromoted {
		t.Errorf("%s: %+v", f.Prospect, f.Obstacle)
	}
}
