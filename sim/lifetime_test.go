package sim

import (
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
)

// inParallel simulates lifetimes on all cores, and reports each that broke a promise with the command that shows it.
func inParallel(t *testing.T, n int, life func(i int) (seed uint64, o Options)) (all []Report) {
	t.Helper()
	all = make([]Report, n)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			var crew Crew
			defer crew.Dismiss()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				all[i] = crew.Live(life(i))
			}
		})
	}
	workers.Wait()
	for i, r := range all {
		if r.Failed() {
			t.Errorf("%s\n  run it again: %s", r.Text(), again(life(i)))
		}
	}
	return all
}

// seeded are lifetimes with the same options and the seeds from 0 on.
func seeded(o Options) func(i int) (uint64, Options) {
	return func(i int) (uint64, Options) { return uint64(i), o }
}

// again is the command that runs a lifetime of a test again.
func again(seed uint64, o Options) string {
	words := []string{"primacy simulate --trace --seeds 1 --seed", fmt.Sprint(seed)}
	if o.Electors > 0 {
		words = append(words, "--electors", fmt.Sprint(o.Electors))
	}
	if o.Cascade {
		words = append(words, "--cascade")
	}
	if o.Length > 0 {
		words = append(words, "--length", o.Length.String())
	}
	if o.Kinds != nil {
		words = append(words, "--faults", commas(o.Kinds))
	}
	if o.Only != nil {
		words = append(words, "--only", commas(o.Only))
	}
	if o.Cluster == nil {
		return strings.Join(words, " ")
	}
	rules := o.Cluster.Ruleset
	even, err := EvenCluster(len(rules.Members), rules.Policy)
	if err != nil || !reflect.DeepEqual(even, *o.Cluster) || rules.Policy.AllowUnfenced {
		return strings.Join(words, " ") + " --config with a cluster like that of the test"
	}
	words = append(words, "--servers", fmt.Sprint(len(rules.Members)), "--policy", string(rules.Policy.Kind))
	if rules.Policy.Acks > 0 {
		words = append(words, "--acks", fmt.Sprint(rules.Policy.Acks))
	}
	if rules.Policy.Zones > 0 {
		words = append(words, "--zones", fmt.Sprint(rules.Policy.Zones))
	}
	return strings.Join(words, " ")
}

func commas[T any](all []T) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(all), "[]"), " ", ",")
}

func TestABrokenLifetimeOfATestIsReportedWithItsOptions(t *testing.T) {
	cluster, err := EvenCluster(5, topology.Policy{Kind: topology.PolicyZones, Acks: 2, Zones: 2})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Electors: 3, Length: time.Minute, Kinds: []Kind{Crash, Freeze}, Only: []int{1, 4}, Cluster: &cluster}
	const want = "primacy simulate --trace --seeds 1 --seed 17 --electors 3 --length 1m0s --faults crash,freeze --only 1,4 --servers 5 --policy zones --acks 2 --zones 2"
	if got := again(17, o); got != want {
		t.Error(got)
	}
	if got := again(17, Options{Kinds: []Kind{}}); got != "primacy simulate --trace --seeds 1 --seed 17 --faults none" {
		t.Error(got)
	}
}

// The race detector makes lifetimes ten times as slow, so most are run by `primacy simulate` in make test.
func TestLifetimesKeepEveryPromise(t *testing.T) {
	const seeds = 200 / thinned
	changes, answered := 0, 0
	for _, r := range inParallel(t, seeds, seeded(Options{})) {
		changes, answered = changes+r.Changes, answered+r.Answered
	}
	if changes < seeds/4 || answered < seeds*20 {
		t.Errorf("%d changes of the primary and %d answered writes in %d lifetimes: that is no life", changes, answered, seeds)
	}
}

// TestLifetimesWithACascadeKeepEveryPromise has a member replicate from another one than the primary, as far as that lives.
func TestLifetimesWithACascadeKeepEveryPromise(t *testing.T) {
	const seeds = 200 / thinned
	changes, cascades := 0, 0
	for _, r := range inParallel(t, seeds, seeded(Options{Cascade: true})) {
		changes += r.Changes
		if slices.ContainsFunc(r.Ruleset.Members, func(m topology.Member) bool { return m.Source != "" }) {
			cascades++
		}
	}
	if changes < seeds/4 || cascades < seeds/2 {
		t.Errorf("%d changes of the primary, and %d cascades, in %d lifetimes", changes, cascades, seeds)
	}
}

// TestLifetimesWhoseRulesChangeKeepEveryPromise has the rules changed under way, also where that takes a barrier.
func TestLifetimesWhoseRulesChangeKeepEveryPromise(t *testing.T) {
	const seeds = 200 / thinned
	changes, ruled := 0, 0
	for _, r := range inParallel(t, seeds, seeded(Options{Rules: true})) {
		changes, ruled = changes+r.Changes, ruled+r.Ruled
	}
	if changes < seeds/4 || ruled < seeds/4 {
		t.Errorf("%d changes of the primary, and %d of the rules that took a barrier, in %d lifetimes", changes, ruled, seeds)
	}
}

func TestRecordedLifetimesKeepEveryPromise(t *testing.T) {
	file, err := os.Open("testdata/seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	recorded, err := ReadRecorded(file)
	if err != nil {
		t.Fatal(err)
	}
	inParallel(t, len(recorded), func(i int) (uint64, Options) { return recorded[i].Seed, recorded[i].Options })
}

func TestAWorldWithoutFaultsIsHealthyAndKeepsItsPrimary(t *testing.T) {
	for _, r := range inParallel(t, 40, seeded(Options{Kinds: []Kind{}})) {
		if r.Changes > 0 || r.Attempts != 1 || r.Unprotected > 0 || len(r.Faults) > 0 {
			t.Errorf("seed %d: %+v", r.Seed, r)
		}
	}
}

func TestTracingChangesNothing(t *testing.T) {
	first := inParallel(t, 30, seeded(Options{}))
	for i, again := range inParallel(t, 30, seeded(Options{Trace: true})) {
		again.Trace = nil
		if !reflect.DeepEqual(first[i], again) {
			t.Errorf("seed %d: digest %x after %s, with a trace %x after %s", i, first[i].Digest, first[i].Virtual, again.Digest, again.Virtual)
		}
	}
}

// TestTheSameSeedIsTheSameLife compares all that is told of a lifetime, word by word: a digest alone knows when things
// happened and not what.
func TestTheSameSeedIsTheSameLife(t *testing.T) {
	const seeds = 50 / thinned
	live := seeded(Options{Trace: true})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	alone := inParallel(t, seeds, live)
	runtime.GOMAXPROCS(4)
	for i, r := range inParallel(t, seeds, live) {
		if !reflect.DeepEqual(r, alone[i]) {
			t.Errorf("seed %d: %s", i, firstDifference(alone[i], r))
		}
	}
}

func firstDifference(a, b Report) string {
	for i := range min(len(a.Trace), len(b.Trace)) {
		if a.Trace[i] != b.Trace[i] {
			return fmt.Sprintf("%q, and then %q", a.Trace[i], b.Trace[i])
		}
	}
	a.Trace, b.Trace = a.Trace[:0], b.Trace[:0]
	return fmt.Sprintf("%+v, and then %+v", a, b)
}

// BenchmarkLifetime runs fresh seeds on one core.
func BenchmarkLifetime(b *testing.B) {
	b.ReportAllocs()
	changes, writes, seed := 0, 0, uint64(0)
	var crew Crew
	defer crew.Dismiss()
	for b.Loop() {
		r := crew.Live(1<<40+seed, Options{})
		changes, writes, seed = changes+r.Changes, writes+r.Writes, seed+1
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Minutes(), "lifetimes/min")
	b.ReportMetric(float64(changes)/float64(b.N), "changes/op")
	b.ReportMetric(float64(writes)/float64(b.N), "writes/op")
}

func TestAFaultThatIsLeftOutChangesNothingBeforeIt(t *testing.T) {
	for seed := range uint64(20) {
		whole := Live(seed, Options{Trace: true})
		if len(whole.Faults) == 0 {
			continue
		}
		none := Live(seed, Options{Trace: true, Only: []int{}})
		first := whole.Faults[0].At
		for i := range none.Trace {
			if none.Trace[i].At >= first {
				break
			}
			if i >= len(whole.Trace) || whole.Trace[i] != none.Trace[i] {
				t.Fatalf("seed %d: without its faults it goes %q at %s, before the first of them at %s", seed, none.Trace[i].Text, none.Trace[i].At, first)
			}
		}
	}
}

// Each policy asks other servers, and another number of them: what is checked has to make sense for all.
func TestLifetimesUnderEachPolicyKeepEveryPromise(t *testing.T) {
	for _, p := range []topology.Policy{
		{Kind: topology.PolicyNone},
		{Kind: topology.PolicyNone, AllowUnfenced: true},
		{Kind: topology.PolicySemiSync, Acks: 2},
		{Kind: topology.PolicyCrossZone, Acks: 2},
		{Kind: topology.PolicyZones, Acks: 2, Zones: 2},
	} {
		t.Run(fmt.Sprintf("%s allow_unfenced=%t", p.Kind, p.AllowUnfenced), func(t *testing.T) {
			cluster, err := EvenCluster(0, p)
			if err != nil {
				t.Fatal(err)
			}
			const seeds = 50 / thinned
			answered := 0
			for _, r := range inParallel(t, seeds, seeded(Options{Cluster: &cluster})) {
				answered += r.Answered
			}
			if answered < seeds*20 {
				t.Errorf("%d answered writes in %d lifetimes: that is no life", answered, seeds)
			}
		})
	}
}

func TestEachPolicyIsDrawn(t *testing.T) {
	seen := map[topology.Policy]int{}
	for seed := range uint64(400) {
		seen[drawCluster(draws(seed, forShape), draws(seed, forRules), nil).Ruleset.Policy]++
	}
	usual := seen[topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}] + seen[topology.Policy{Kind: topology.PolicySemiSync, Acks: 2}]
	for _, p := range []topology.Policy{
		{Kind: topology.PolicyNone},
		{Kind: topology.PolicyNone, AllowUnfenced: true},
		{Kind: topology.PolicyCrossZone, Acks: 2},
		{Kind: topology.PolicyZones, Acks: 1, Zones: 2},
		{Kind: topology.PolicyZones, Acks: 2, Zones: 3},
	} {
		if n := seen[p]; n == 0 || n > usual/4 {
			t.Errorf("of 400 clusters %d have %+v, and %d wait for one or two acknowledgements of any server", n, p, usual)
		}
	}
}

func TestAPauseOfAMinuteOutlastsAllOtherFaults(t *testing.T) {
	pause := Fault{Kind: PauseElector, At: 40 * time.Second, For: 25 * time.Second, Target: OnActor}
	for _, r := range inParallel(t, 4, func(i int) (uint64, Options) { return uint64(i), Options{Electors: 2, Faults: []Fault{pause}} }) {
		if until := r.Faults[0].Happened + 65*time.Second; r.Virtual < until {
			t.Errorf("seed %d: the elector that paused at %s was to go on at %s, and the world ended at %s", r.Seed, r.Faults[0].Happened, until, r.Virtual)
		}
	}
}

func TestFaultsMeetEachServerOfALargeCluster(t *testing.T) {
	large := Cluster{Ruleset: topology.Ruleset{Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}}}
	for i := range 12 {
		large.Ruleset.Members = append(large.Ruleset.Members, topology.Member{Address: topology.Address(rune('A' + i))})
	}
	met := map[int]bool{}
	for seed := range uint64(50) {
		for _, f := range Drawn(seed, Options{Cluster: &large}) {
			met[f.Server], met[f.Other] = true, true
		}
	}
	if len(met) != 12 {
		t.Errorf("faults meet %d of 12 servers", len(met))
	}
}
