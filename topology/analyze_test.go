package topology_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// cluster is five servers, A leads, two acknowledgements are needed.
func cluster() *topologytest.Builder { return topologytest.Cluster("A", "B", "C", "D", "E").Acks(2) }

func analyze(b *topologytest.Builder) []topology.Finding {
	return topology.Analyze(b.Snapshot(), b.History(), topologytest.Limits, topologytest.Now, nil)
}

func find(found []topology.Finding, code topology.Code, server topology.Address) (topology.Finding, bool) {
	i := slices.IndexFunc(found, func(f topology.Finding) bool { return f.Code == code && f.Server == server })
	if i < 0 {
		return topology.Finding{}, false
	}
	return found[i], true
}

func mustFind(t *testing.T, found []topology.Finding, code topology.Code, server topology.Address) topology.Finding {
	t.Helper()
	f, ok := find(found, code, server)
	if !ok {
		t.Fatalf("no %s of %q among %v", code, server, codesOf(found))
	}
	return f
}

func codesOf(found []topology.Finding) []string {
	var all []string
	for _, f := range found {
		all = append(all, string(f.Code)+" "+string(f.Server))
	}
	return all
}

// crossZone is a cluster of three zones in which a transaction must reach another zone than the primary's.
func crossZone() *topologytest.Builder {
	return cluster().Policy(topology.Policy{Kind: topology.PolicyCrossZone, Acks: 1}).Zone("b", "C", "D").Zone("c", "E")
}

// cascade has E replicate from B, and one acknowledgement is enough.
func cascade() *topologytest.Builder { return cluster().Acks(1).Cascade("B", "E") }

func unpromising() *topologytest.Builder {
	return cluster().Policy(topology.Policy{Kind: topology.PolicyNone, AllowUnfenced: true})
}

func TestAHealthyClusterHasNothingWrong(t *testing.T) {
	for name, b := range map[string]*topologytest.Builder{
		"two acknowledgements of four":       cluster(),
		"no promise":                         unpromising(),
		"acknowledgements from another zone": crossZone(),
		"every transaction in three zones":   crossZone().Policy(topology.Policy{Kind: topology.PolicyZones, Acks: 1, Zones: 3}),
		"smallest cluster that can fail":     topologytest.Cluster("A", "B", "C"),
		"third term of a server":             cluster().Primary("C").Term(1, "A", "").Term(2, "B", "A:1-100").Term(3, "C", "A:1-100,B:1-7"),
		"a cascaded replica":                 cascade(),
		"a cascaded replica of the primary":  cascade().Primary("B").Term(1, "A", "").Term(2, "B", "A:1-100"),
		"replicas under a lower promotion":   cluster().Promotion(topology.PromotionNever, "D", "E"),
	} {
		if found := analyze(b); len(found) != 0 {
			t.Errorf("%s: %v: %s", name, codesOf(found), found[0].Message)
		}
	}
}

func TestEachFindingFiresOnItsOwnTroubleAndNotOnTheNextOne(t *testing.T) {
	tested := map[topology.Code]bool{}
	for _, row := range troubles {
		tested[row.code] = true
		if f, ok := find(analyze(row.fires), row.code, row.server); !ok {
			t.Errorf("%s: no %s of %q among %v", row.name, row.code, row.server, codesOf(analyze(row.fires)))
		} else {
			checkWords(t, row.name, f, row.says)
		}
		for name, b := range row.not {
			if f, ok := find(analyze(b), row.code, row.server); ok {
				t.Errorf("%s although %s: %s", row.code, name, f.Message)
			}
		}
	}
	for _, code := range topology.Codes() {
		if !tested[code] {
			t.Errorf("nothing shows when %s fires", code)
		}
	}
}

// checkWords wants a message, evidence that says who saw it, and why nothing is done where nothing is.
func checkWords(t *testing.T, name string, f topology.Finding, says string) {
	t.Helper()
	everything := f.Message + "\n" + f.WhyNot
	for _, e := range f.Evidence {
		everything += "\n" + e.By + " " + e.Fact
		if e.By == "" || e.Fact == "" {
			t.Errorf("%s: evidence without a witness or a fact: %+v", name, e)
		}
	}
	if f.Message == "" || len(f.Evidence) == 0 || strings.Contains(everything, "%!") || strings.Contains(everything, "reach no server") || strings.Contains(everything, "most no server") {
		t.Errorf("%s: wording is broken: %s", name, everything)
	}
	if f.Remedy == topology.RemedyNone && f.WhyNot == "" {
		t.Errorf("%s: nothing is done and nobody knows why", name)
	}
	if !strings.Contains(everything, says) {
		t.Errorf("%s: %q is not said in:\n%s", name, says, everything)
	}
}

func TestEveryCodeIsListedOnce(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "finding.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []topology.Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if kind, named := specType(spec, ok); named && kind == "Code" {
			text, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			declared = append(declared, topology.Code(text))
		}
		return true
	})
	listed := topology.Codes()
	slices.Sort(declared)
	slices.Sort(listed)
	if len(declared) < 30 || !slices.Equal(declared, listed) {
		t.Errorf("declared %v\nlisted %v", declared, listed)
	}
}

func specType(spec *ast.ValueSpec, ok bool) (string, bool) {
	if !ok || spec.Type == nil {
		return "", false
	}
	id, ok := spec.Type.(*ast.Ident)
	if !ok {
		return "", false
	}
	return id.Name, true
}

func TestWorstComesFirstAndTheOrderOfProbesDoesNotMatter(t *testing.T) {
	b := cluster().Dead("A").Silent("C").Writable("D").Stopped("E").Edit("B", func(o *topology.Observation) { o.Settings.SyncBinlog = 0 })
	s, want := b.Snapshot(), analyze(b)
	if want[0].Code != topology.PrimaryDead || len(want) < 5 {
		t.Fatalf("order is %v", codesOf(want))
	}
	for seed := range uint64(20) {
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(s.Servers), func(i, j int) { s.Servers[i], s.Servers[j] = s.Servers[j], s.Servers[i] })
		if got := topology.Analyze(s, b.History(), topologytest.Limits, topologytest.Now, nil); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: %v, not %v", seed, codesOf(got), codesOf(want))
		}
	}
}

// TestTheSameClusterIsAlwaysJudgedInTheSameWords asks so often that an order which a map gives away would show.
func TestTheSameClusterIsAlwaysJudgedInTheSameWords(t *testing.T) {
	for seed := range uint64(100) {
		b := odd(rand.New(rand.NewPCG(seed, 5)))
		s, h := b.Snapshot(), b.History()
		want := topology.Analyze(s, h, topologytest.Limits, topologytest.Now, nil)
		for range 200 {
			if got := topology.Analyze(s, h, topologytest.Limits, topologytest.Now, nil); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d: %+v, and before %+v", seed, got, want)
			}
		}
	}
}

func TestAFindingKeepsItsBeginning(t *testing.T) {
	b, began := cluster().Stopped("B", "C"), topologytest.Now.Add(-time.Hour)
	first := topology.Analyze(b.Snapshot(), b.History(), topologytest.Limits, began, nil)
	for i := range first {
		if first[i].Since != began {
			t.Fatalf("a new finding began %v", first[i].Since)
		}
	}
	known := slices.DeleteFunc(first, func(f topology.Finding) bool { return f.Server == "C" })
	again := topology.Analyze(b.Snapshot(), b.History(), topologytest.Limits, topologytest.Now, known)
	if f := mustFind(t, again, topology.ReceiverStopped, "B"); f.Since != began {
		t.Errorf("B's finding began %v", f.Since)
	}
	if f := mustFind(t, again, topology.ReceiverStopped, "C"); f.Since != topologytest.Now {
		t.Errorf("C's finding, which is new, began %v", f.Since)
	}
}

func TestAnElectorThatWakesUpConvictsNobody(t *testing.T) {
	b := cluster().Silent("A").Edit("A", func(o *topology.Observation) { o.FailingSince = o.At })
	b.Heartbeat(time.Second, "B", "C", "D", "E")
	for _, b := range []*topologytest.Builder{b, cluster().Dead("A")} {
		woken := topologytest.Now.Add(time.Minute)
		found := topology.Analyze(b.Snapshot(), b.History(), topologytest.Limits, woken, nil)
		for _, f := range found {
			if f.Remedy != topology.RemedyNone {
				t.Errorf("on observations a minute old: %s, %s", f.Code, f.Message)
			}
		}
		mustFind(t, found, topology.PrimarySuspect, "A")
	}
}

func TestMissingLimitsAreFilled(t *testing.T) {
	b := cluster().Silent("A")
	found := topology.Analyze(b.Snapshot(), b.History(), topology.Limits{}, topologytest.Now, nil)
	mustFind(t, found, topology.PrimaryFrozen, "A")
}

// TestNoObservationIsTooOddToJudge takes clusters apart at random: whatever a probe leaves out, the analysis answers,
// explains itself, and never asks for a failover while an acker hears the primary.
func TestNoObservationIsTooOddToJudge(t *testing.T) {
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 2))
		b := odd(rng)
		s, h := b.Snapshot(), b.History()
		found := topology.Analyze(s, h, topologytest.Limits, topologytest.Now, nil)
		for _, f := range found {
			checkWords(t, "seed "+strconv.FormatUint(seed, 10), f, "")
			if f.Remedy == topology.RemedyEmergency && !s.Server("A").OK() && f.Code != topology.LeadershipUnsettled && heard(s) {
				t.Fatalf("seed %d: %s although an acker hears A", seed, f.Message)
			}
		}
		for _, m := range s.Ruleset.Members {
			topology.Role(s.Server(m.Address), h, found)
		}
		topology.State(found, s)
	}
}

// heard tells whether an acker of A heard of it a moment ago, after our probes began to fail.
func heard(s topology.Snapshot) bool {
	return slices.ContainsFunc(s.Servers, func(o observation) bool {
		r := o.Replication
		return o.OK() && o.Address != "A" && r != nil && r.Source == "A" && r.Receiver == topology.ThreadOn &&
			r.HeartbeatAge >= 0 && r.HeartbeatAge < time.Second && s.Server("A").FailingSince.Before(o.At.Add(-2*time.Second))
	})
}

func odd(rng *rand.Rand) *topologytest.Builder {
	b := cluster()
	reaches := []topology.Reach{topology.ReachUnknown, topology.ReachRefused, topology.ReachReset, topology.ReachSilent, topology.ReachDenied, topology.ReachUnresolved}
	oddities := []func(topology.Address){
		func(a topology.Address) {
			b.Probe(a, reaches[rng.IntN(len(reaches))], time.Duration(rng.IntN(9000))*time.Millisecond)
		},
		func(a topology.Address) { b.Edit(a, func(o *observation) { o.Replication = nil }) },
		func(a topology.Address) { b.Replication(a, func(r *channel) { *r = channel{Source: r.Source} }) },
		func(a topology.Address) { b.Heartbeat(time.Duration(rng.IntN(9000)-100)*time.Millisecond, a) },
		func(a topology.Address) { b.Stopped(a) },
		func(a topology.Address) { b.Connecting([]int{0, 1045, 2003, 1236}[rng.IntN(4)], a) },
		func(a topology.Address) {
			b.Edit(a, func(o *observation) { o.SemiSync = topology.SemiSync{Clients: rng.IntN(7), Waiters: rng.IntN(2)} })
		},
		func(a topology.Address) {
			b.Edit(a, func(o *observation) { *o = observation{Address: a, Reach: topology.ReachOK} })
		},
		func(a topology.Address) {
			b.Positions([]string{"", "A:1-100", "t9", "B:1,t1", "A:1-500,t1"}[rng.IntN(5)], a)
		},
		func(a topology.Address) { b.Writable(a) },
		func(a topology.Address) { b.ReadOnly(a) },
		func(a topology.Address) { b.Restarted(a) },
		func(a topology.Address) { b.Maintenance(a) },
		func(a topology.Address) { b.Edit(a, func(o *observation) { o.UUID = topologytest.UUID("B") }) },
		func(a topology.Address) { b.Purged(a, "A:1-200") },
		func(a topology.Address) {
			b.Edit(a, func(o *observation) {
				o.Stall = topology.Stall{OldestCommit: time.Hour, Committing: 1, DiskFull: rng.IntN(2) == 0}
			})
		},
		func(topology.Address) { b.Unadopted() },
		func(a topology.Address) { b.Term(1, "A", "").Intent(2, a, "A:1-100") },
	}
	for range rng.IntN(6) {
		oddities[rng.IntN(len(oddities))](b.Ruleset().Members[rng.IntN(5)].Address)
	}
	return b
}
