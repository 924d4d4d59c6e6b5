package topology_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

func TestErrantTransactions(t *testing.T) {
	for _, row := range []struct {
		name   string
		b      *topologytest.Builder
		errant string // on B
	}{
		{"B was asked later than A and has more of A's", cluster().Executed("B", "A:1-130,t1"), ""},
		{"B holds what waits for acks on A, which A does not show", cluster().Received("B", "A:1-101,t1"), ""},
		{"B was written to", cluster().Executed("B", "A:1-100,t1,B:1-2"), "B:1-2"},
		{"B received what someone wrote on C, and A did not", cluster().Received("B", "A:1-100,t1,C:4"), "C:4"},
		{"B has only its base", cluster().Executed("B", "A:1-10").Received("B", ""), ""},
		{"B has the marker before A shows it", cluster().Executed("A", "A:1-100"), ""},
		{"B holds what the second term cancelled", secondTerm().Executed("B", "A:1-103,t1,C:1-100,t2"), "A:101-103"},
		{"B holds the marker of a cancelled term", cluster().Primary("C").Term(1, "A", "").Term(3, "C", "A:1-100").Executed("B", "A:1-100,t1,t2"), "t2"},
		{"B holds a marker that A's base honours and A never had", cluster().Primary("A").Term(1, "C", "").Term(3, "A", "C:1-50,t1,t2").Executed("A", "C:1-50,t1,t3,A:1-7").Executed("B", "C:1-50,t1,t2"), "t2"},
		{"A is dead and was seen with E's old transactions", cluster().Positions("A:1-100,E:1-9,t1", "A", "B").Dead("A"), ""},
		{"A is dead and B was written to", cluster().Executed("B", "A:1-100,t1,B:1").Dead("A"), "B:1"},
		{"A is dead and was last seen before it led", cluster().Term(1, "C", "").Term(2, "A", "C:1-50").Executed("A", "C:1-40,t1").Dead("A").Executed("B", "C:1-50,t1,t2,A:1-7"), ""},
		{"tagged transactions of A", cluster().Executed("B", "A:batch:1-5"), ""},
		{"tagged transactions of B", cluster().Executed("B", "A:1-100,t1,B:batch:1-5"), "B:batch:1-5"},
		{"A follows another cluster, B was asked later", upstream(cluster()).Executed("B", "A:1-100,t1,F:1-200"), ""},
		{"A follows another cluster, and B was written to", upstream(cluster()).Executed("B", "A:1-100,t1,F:1-200,B:1"), "B:1"},
		{"nothing is on record and B was written to", cluster().Unadopted().Executed("B", "A:1-100,B:1"), "B:1"},
		{"nothing is on record any more, A knows of every term, and B was written to", cluster().Unadopted().Executed("A", "A:1-100,t1,t2").Executed("B", "A:1-100,t1,B:1"), "B:1"},
		{"nothing is on record any more, and B knows of a term that A does not", cluster().Unadopted().Executed("A", "A:1-100,t1").Executed("B", "A:1-100,t1,t2,B:1"), ""},
		{"nothing is on record any more, and C knows of a term that A does not", cluster().Unadopted().Executed("A", "A:1-100,t1").Executed("B", "A:1-100,t1,B:1").Executed("C", "A:1-100,t1,t2"), ""},
		{"nothing is on record and nobody leads", cluster().Unadopted().ReadOnly("A").Executed("B", "A:1-100,B:1"), ""},
		{"another server answers in A's place", impostor().Executed("B", "A:1-100,t1,B:1"), ""},
		{"B heard of a later term, so it is us who are behind", cluster().Executed("B", "A:1-100,t1,C:1,t9"), ""},
	} {
		f, found := find(analyze(row.b), topology.Errant, "B")
		if found != (row.errant != "") {
			t.Errorf("%s: errant is %v: %s", row.name, found, f.Message)
			continue
		}
		if want := row.b.Set(row.errant).String(); found && !strings.Contains(f.Message, "("+want+")") {
			t.Errorf("%s: wants %s: %s", row.name, want, f.Message)
		}
	}
}

// While a server is settled its transactions become the primary's one after the other, and replicas get them from there.
func TestWhatAReplicaGotFromThePrimaryOfWhatIsTakenIntoItsHistoryMakesItErrantInNoRound(t *testing.T) {
	for _, row := range []struct {
		name   string
		b      *topologytest.Builder
		errant topology.Address
	}{
		{"B was asked after the primary had got it, and the primary before", cluster().Executed("B", "A:1-100,t1,C:7"), ""},
		{"the server that they come from", cluster().Executed("C", "A:1-100,t1,C:7"), "C"},
		{"B holds something else of that server", cluster().Executed("B", "A:1-100,t1,C:8"), "B"},
		{"B follows nobody, so it has it from elsewhere", cluster().Executed("B", "A:1-100,t1,C:7").Edit("B", func(o *observation) { o.Replication = nil }), "B"},
	} {
		h := row.b.History()
		h.Leaderships[0] = h.Leaderships[0].Accepting("C", row.b.Set("C:7"))
		all := topology.ErrantSets(row.b.Snapshot(), h, topologytest.Limits, topologytest.Now)
		if _, is := all[row.errant]; is != (row.errant != "") || len(all) > 1 || !is && len(all) > 0 {
			t.Errorf("%s: %v", row.name, all)
		}
	}
}

// upstream makes the primary a replica of a server that is no member.
func upstream(b *topologytest.Builder) *topologytest.Builder {
	return b.Edit("A", func(o *observation) {
		o.Replication = &channel{Source: "upstream:1", SourceUUID: topologytest.UUID("F"), AutoPosition: true, Receiver: topology.ThreadOn, Applier: topology.ThreadOn}
	})
}

func TestWithoutEverHavingSeenThePrimaryNothingIsErrant(t *testing.T) {
	b := cluster().Executed("B", "A:1-100,t1,E:1").Dead("A")
	h := b.History()
	delete(h.LastSeen, "A")
	found := topology.Analyze(b.Snapshot(), h, topologytest.Limits, topologytest.Now, nil)
	if f, ok := find(found, topology.Errant, "B"); ok {
		t.Errorf("A may have executed E:1: %s", f.Message)
	}
}

// TestReadingServersAtDifferentMomentsAccusesNobody lets a cluster run and probes its servers one after the other, in any
// order, while the primary writes, commits wait for acks and replicas fall behind. Nothing is errant until a server is
// written to, and then exactly that is.
func TestReadingServersAtDifferentMomentsAccusesNobody(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		b, strays := running(rng)
		for _, a := range ackers {
			f, found := find(analyze(b), topology.Errant, a)
			want := strays[a]
			if found != !want.IsEmpty() || found && !strings.Contains(f.Message, "("+want.String()+")") {
				t.Fatalf("seed %d: %s holds %s: %v %s", seed, a, want, found, f.Message)
			}
		}
	}
}

func running(rng *rand.Rand) (*topologytest.Builder, map[topology.Address]gtid.Set) {
	b := cluster().Primary("A").Term(1, "C", "").Term(2, "A", "C:1-50")
	committed, written := 100, 100
	received := map[topology.Address]int{"B": 100, "C": 100, "D": 100, "E": 100}
	strays := map[topology.Address]gtid.Set{}
	probed := map[topology.Address]bool{}
	for len(probed) < 5 {
		switch a := ackers[rng.IntN(len(ackers))]; rng.IntN(5) {
		case 0:
			written += rng.IntN(3)
		case 1: // A commits what two ackers hold
			committed = max(committed, secondHighest(received))
		case 2:
			received[a] += rng.IntN(written - received[a] + 1)
		case 3:
			if !probed[a] && rng.IntN(4) == 0 {
				strays[a] = strays[a].Union(b.Set(fmt.Sprintf("%s:%d", a, 1000+rng.IntN(9))))
			}
		case 4:
			a = b.Ruleset().Members[rng.IntN(5)].Address
			switch {
			case probed[a]:
			case a == "A":
				b.Executed("A", fmt.Sprintf("C:1-50,t1,t2,A:1-%d", committed))
			default:
				stray, applied := strays[a], received[a]-rng.IntN(3)
				b.Executed(a, fmt.Sprintf("C:1-50,t1,t2,A:1-%d", applied)).Received(a, fmt.Sprintf("A:40-%d", received[a]))
				b.Edit(a, func(o *observation) { o.Executed = o.Executed.Union(stray) })
			}
			probed[a] = true
		}
	}
	return b, strays
}

func secondHighest(received map[topology.Address]int) int {
	highest, second := 0, 0
	for _, n := range received {
		if n > highest {
			highest, second = n, highest
		} else {
			second = max(second, n)
		}
	}
	return second
}
