package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/sim"
	"github.com/primacydb/primacy/sim/policy"
	"github.com/primacydb/primacy/topology"
)

// lived is a lifetime that a test's simulator was asked for.
type lived struct {
	seed    uint64
	options sim.Options
}

// worlds is a simulator whose lifetimes end as a test says.
type worlds struct {
	mu    sync.Mutex
	asked []lived
	// breaks are the invariants that a seed breaks.
	breaks func(seed uint64, o sim.Options) []sim.Invariant
	// before is called at the start of each lifetime.
	before func(seed uint64)
}

func (w *worlds) simulator() simulator {
	return simulator{live: func(_ *sim.Crew, seed uint64, o sim.Options) sim.Report { return w.live(seed, o) }, shrink: w.shrink, policies: func(int, func(int, int)) policy.Report { panic("nobody asked for it") }}
}

func (w *worlds) live(seed uint64, o sim.Options) sim.Report {
	if w.before != nil {
		w.before(seed)
	}
	w.mu.Lock()
	w.asked = append(w.asked, lived{seed, o})
	w.mu.Unlock()
	r := sim.Report{Seed: seed, Electors: 2, Virtual: time.Minute, Digest: seed * 17, Changes: 2, Attempts: 3, Writes: 100, Answered: 90, Refused: 8, Unknown: 2, Unprotected: 1}
	r.Ruleset = topology.Ruleset{Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}, Members: []topology.Member{{Address: "A"}, {Address: "B"}, {Address: "C"}}}
	for i, k := range []sim.Kind{sim.Crash, sim.Freeze, sim.CutPair} {
		if o.Only == nil || slices.Contains(o.Only, i) {
			r.Faults = append(r.Faults, sim.Fault{Number: i, Kind: k, At: time.Second, Happened: 3 * time.Second, Target: sim.OnPrimary, Struck: "the primary A", For: time.Second})
		}
	}
	if o.Trace {
		r.Trace = []sim.Entry{{At: 1500 * time.Microsecond, Who: "elector-1", Text: "takes the lock"}}
	}
	if w.breaks != nil {
		for _, i := range w.breaks(seed, o) {
			r.Violations = append(r.Violations, sim.Violation{Invariant: i, At: 5 * time.Second, Text: fmt.Sprintf("row %d is gone", seed)})
		}
	}
	return r
}

// shrink finds out that the freeze alone suffices.
func (w *worlds) shrink(seed uint64, o sim.Options, tried func(sim.Report)) (sim.Options, sim.Report) {
	o.Only = []int{1}
	r := w.live(seed, o)
	tried(r)
	return o, r
}

func breaking(seeds ...uint64) func(uint64, sim.Options) []sim.Invariant {
	return func(seed uint64, _ sim.Options) []sim.Invariant {
		if slices.Contains(seeds, seed) {
			return []sim.Invariant{sim.NothingLost}
		}
		return nil
	}
}

// simulate runs the command with these worlds.
func simulate(t *testing.T, w *worlds, args ...string) result {
	t.Helper()
	return simulateIn(t.Context(), t, w.simulator(), args...)
}

func simulateIn(ctx context.Context, t *testing.T, s simulator, args ...string) result {
	t.Helper()
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("LC_ALL", "")
	root := &cobra.Command{SilenceErrors: true, SilenceUsage: true}
	addAPIFlags(root)
	root.AddCommand(simulateCommand(s))
	var out, errs bytes.Buffer
	root.SetArgs(append([]string{"simulate"}, args...))
	root.SetOut(&out)
	root.SetErr(&errs)
	err := root.ExecuteContext(ctx)
	return result{conclude(err, true, newTerminal(&errs, os.Getenv)), out.String(), errs.String()}
}

func TestAMistakeInWhatToSimulateIsExitCode2(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	wrong, empty := file("wrong.txt", "1 # no_crash: x\nx # no_crash: x\n"), file("empty.txt", "# nothing\n")
	undrawn := file("undrawn.txt", "# of the first week\n5 only=0,99 # no_crash: x\n")
	two := file("two.yaml", strings.ReplaceAll(simulatedConfig, "clusters:\n", "clusters:\n  - {name: stock, seed: \"db9:3306\"}\n"))
	for name, row := range map[string]struct{ args, want string }{
		"no lifetimes":                        {"--seeds 0", "--seeds: 0 lifetimes show nothing; use 1 or more"},
		"fewer than no lifetimes":             {"--seeds -5", "--seeds: -5 lifetimes show nothing"},
		"a fault that does not exist":         {"--faults crash,frieze", `--faults: no fault is called "frieze"; the nearest is freeze (known: all, none, crash,`},
		"a fault like no other":               {"--faults boredom", `--faults: no fault is called "boredom"; use all, none, or some of crash,`},
		"no name of a fault":                  {"--faults crash,,freeze", `--faults: a name is missing in "crash,,freeze"; use all, none, or names`},
		"some faults and none":                {"--faults crash,none", `--faults: "none" says it already; leave out either none or the others`},
		"a fault that the seed does not draw": {"--seed 5 --seeds 1 --only 999", "--only: there is no fault #999: with these options seed 5 draws #0 to #"},
		"a fault of a seed that draws none":   {"--seed 5 --seeds 1 --only 0 --faults none", "--only: there is no fault #0: with these options seed 5 draws none"},
		"faults of no seed":                   {"--seeds 1 --only 3", "--only: numbers of faults belong to one seed; name it with --seed"},
		"faults of many seeds":                {"--seed 1 --only 3", "--only: numbers of faults belong to one seed; add --seeds 1"},
		"faults that are no numbers":          {"--seed 1 --seeds 1 --only crash", `--only: "crash" is no number of a fault; a report shows them as #3`},
		"traces of many lifetimes":            {"--trace", "--trace prints one lifetime; add --seeds 1"},
		"nobody to act":                       {"--electors 0", "--electors: 0 is not between 1 and 7"},
		"no time at all":                      {"--length 0s", "--length: 0s is not between 1s and 1h0m0s"},
		"nobody to work":                      {"--parallel 0", "--parallel: 0 is not between 1 and 1024"},
		"too few servers":                     {"--servers 2", "--servers: 2 is not between 3 and 7"},
		"too many servers":                    {"--servers 8", "--servers: 8 is not between 3 and 7"},
		"no servers":                          {"--servers 0", "--servers: 0 is not between 3 and 7"},
		"a policy that does not exist":        {"--policy semisync", `--policy: "semisync" is not known; the nearest is semi_sync (known: semi_sync,`},
		"a policy like no other":              {"--policy prayers", `--policy: "prayers" is not known; use one of semi_sync,`},
		"more acks than replicas":             {"--servers 3 --acks 3", "--acks: durability policy semi_sync cannot be met while A leads: 3 acks are needed and only B and C may give one; lower --acks to 2 or use more --servers"},
		"acks that a zone has too few for": {"--servers 5 --policy cross_zone --acks 4", "--policy: durability policy cross_zone cannot be met while A leads: 4 acks are needed and only B, C and E may give one, being outside its zone a; " +
			"were the others' counted too, MySQL, which knows no zones, would answer clients with 4 acks (B, C, D, E), which does not satisfy the policy; lower --acks to 3 or use more --servers"},
		"no acks":                   {"--acks 0", "needs acks of at least 1"},
		"acks of a policy without":  {"--policy none --acks 1", "--acks: policy none waits for no acks"},
		"zones of a policy without": {"--zones 2", "--zones: only policy zones counts zones"},
		"zones that no transaction can reach": {"--servers 3 --policy zones --zones 4", "3 acks are needed and only B and C may give one, being outside its zone a; " +
			"on A, B and C a transaction is in 3 zones only, which does not satisfy the policy; lower --zones to 3 or use more --servers"},
		"a cluster of no configuration":       {"--cluster shop", "--cluster: names a cluster of a configuration; give its file with --config"},
		"two policies":                        {"--config x.yaml --policy none", "--policy: the configuration says it already"},
		"a configuration that is not there":   {"--config /nonexistent.yaml", "--config: read the configuration: open /nonexistent.yaml"},
		"a configuration that is a directory": {"--config " + dir, "--config: read the configuration: read " + dir},
		"one of several clusters":             {"--config " + two, "--cluster: the configuration has several, say which: stock, shop"},
		"a cluster that does not exist":       {"--config " + two + " --cluster shap", `--cluster: there is no "shap"; known are stock, shop`},
		"a cluster that is not listed":        {"--config " + two + " --cluster stock", "are found through a seed, and a simulation finds nobody; list them"},
		"a record that is not there":          {"--recorded /nonexistent", "--recorded: open /nonexistent"},
		"a record with a mistake":             {"--recorded " + wrong, wrong + `, line 2: "x" is no seed`},
		"a record of faults not drawn":        {"--recorded " + undrawn, undrawn + ", line 2: only: there is no fault #99: with these options seed 5 draws #0 to #"},
		"a record of nothing":                 {"--recorded " + empty, "holds no lifetime"},
		"a record and a seed":                 {"--recorded x --seed 1", "--seed: the lines of --recorded say what is run; leave it out"},
		"a record and servers":                {"--recorded x --servers 3", "--servers: the lines of --recorded say what is run"},
		"policies of a seed":                  {"--policies --seed 3", "--seed: --policies tries everything, and seeds nothing"},
		"policies of one policy":              {"--policies --policy none", "--policy: --policies tries every policy, in clusters of every kind; leave one of both out"},
		"policies of too many servers":        {"--policies --servers 6", "--servers: 6 is not between 1 and 5"},
		"an output that does not exist":       {"-o yaml", `--output: "yaml" is not known`},
	} {
		t.Run(name, func(t *testing.T) {
			w := &worlds{}
			r := simulate(t, w, strings.Fields(row.args)...)
			r.wants(t, exitUsage, row.want)
			if len(w.asked) > 0 || r.out != "" {
				t.Errorf("simulated %v, said %s", w.asked, r.out)
			}
		})
	}
}

func TestEverySeedIsRunOnce(t *testing.T) {
	w := &worlds{}
	r := simulate(t, w, "--seed", "100", "--seeds", "57", "--parallel", "4")
	r.wants(t, exitDone, "Simulating 57 lifetimes from seed 100, 4 at a time.", "57 lifetimes, 57 min 0 s of virtual time, in",
		"114 changes of the primary in 171 attempts; 5130 of 5700 writes answered, 57 of them unprotected, 456 refused, 114 unknown", "Nothing was broken.")
	var seeds []uint64
	for _, l := range w.asked {
		seeds = append(seeds, l.seed)
	}
	slices.Sort(seeds)
	if len(seeds) != 57 || seeds[0] != 100 || seeds[56] != 156 || len(slices.Compact(seeds)) != 57 {
		t.Errorf("ran %v", seeds)
	}
	if strings.Contains(r.out, "Again") {
		t.Errorf("a command that somebody has just typed is repeated:\n%s", r.out)
	}
}

func TestSeedsThatNobodyNamedAreSaid(t *testing.T) {
	w := &worlds{}
	r := simulate(t, w, "--seeds", "1")
	r.wants(t, exitDone, fmt.Sprintf("Again: primacy simulate --seed %d --seeds 1", w.asked[0].seed))
	if w.asked[0].seed == 0 {
		t.Error("the seed was not drawn")
	}
}

func TestOneLifetimeIsToldWhole(t *testing.T) {
	r := simulate(t, &worlds{}, "--seed", "3", "--seeds", "1", "--trace")
	r.wants(t, exitDone, "0.001500s elector-1 takes the lock", "seed 3: 3 servers, semi_sync with 1 ack", "fault #1 freeze at 3s on the primary A for 1s", "digest 0000000000000033")
}

func TestABrokenPromiseIsReportedShrunkAndRunAgain(t *testing.T) {
	w := &worlds{breaks: breaking(7)}
	r := simulate(t, w, "--seed", "1", "--seeds", "1000", "--electors", "2")
	r.wants(t, exitFailed, "seed 7: 3 servers", "fault #0 crash", "BROKEN nothing_lost at 5s: row 7 is gone",
		"Again: primacy simulate --seed 7 --seeds 1 --electors 2 Shrunk to 1 of 3 faults:",
		"takes the lock", "Again: primacy simulate --seed 7 --seeds 1 --electors 2 --only 1 --trace", "Seed 7 broke nothing_lost.")
	_, after, _ := strings.Cut(r.out, "Shrunk to")
	if strings.Contains(after, "#0 crash") {
		t.Errorf("the shrunk report has faults that were left out:\n%s", after)
	}
	if n := len(w.asked); n > 100 {
		t.Errorf("%d lifetimes were run after the first that broke a promise", n)
	}
}

func TestTheFirstBrokenSeedIsNotTheFastestOne(t *testing.T) {
	later := make(chan struct{})
	w := &worlds{breaks: breaking(1, 2)}
	w.before = func(seed uint64) {
		switch seed {
		case 1:
			select {
			case <-later:
			case <-time.After(10 * time.Second):
			}
		case 2:
			defer close(later)
		}
	}
	simulate(t, w, "--seed", "1", "--seeds", "1000", "--parallel", "2", "--shrink=false").wants(t, exitFailed, "Seed 1 broke nothing_lost.")
}

func TestShrinkingIsLeftOutWhenAskedToAndForChosenFaults(t *testing.T) {
	for _, args := range []string{"--shrink=false", "--only 0,1"} {
		r := simulate(t, &worlds{breaks: breaking(7)}, strings.Fields("--seed 7 --seeds 1 "+args)...)
		if r.wants(t, exitFailed, "BROKEN nothing_lost"); strings.Contains(r.out, "Shrunk") {
			t.Errorf("%s: shrunk all the same:\n%s", args, r.out)
		}
	}
	simulate(t, &worlds{breaks: breaking(7)}, "--seed", "7", "--seeds", "1", "--only", "0,1", "--shrink").wants(t, exitFailed, "Shrunk to 1 of 2 faults")
}

func TestALifetimeThatDoesNotFailTwiceIsTheSimulatorsFault(t *testing.T) {
	times := 0
	w := &worlds{breaks: func(seed uint64, _ sim.Options) []sim.Invariant {
		if times++; times == 1 {
			return []sim.Invariant{sim.Progress}
		}
		return nil
	}}
	simulate(t, w, "--seed", "1", "--seeds", "1").wants(t, exitFailed, "did not break the promise a second time", "please report it")
}

func TestACrashOfTheSimulatorNamesItsSeed(t *testing.T) {
	w := &worlds{before: func(seed uint64) {
		if seed == 4 {
			panic("index out of range")
		}
	}}
	simulate(t, w, "--seed", "1", "--seeds", "10", "--shrink=false").wants(t, exitFailed, "Again: primacy simulate --seed 4 --seeds 1", "BROKEN no_crash at 0s: index out of range", "Seed 4 broke no_crash.")
}

func TestKeepGoingCountsByInvariant(t *testing.T) {
	w := &worlds{breaks: func(seed uint64, _ sim.Options) []sim.Invariant {
		switch seed % 10 {
		case 3:
			return []sim.Invariant{sim.Progress, sim.Progress, sim.NothingLost}
		case 2:
			return []sim.Invariant{sim.Progress}
		}
		return nil
	}}
	r := simulate(t, w, "--seed", "1", "--seeds", "50", "--keep-going")
	r.wants(t, exitFailed, "50 lifetimes,", "nothing_lost 5 3 ", "progress 10 2 ", "Again: primacy simulate --seed 3 --seeds 1 Again: primacy simulate --seed 2 --seeds 1")
	if strings.Contains(r.out, "Shrunk") || strings.Contains(r.out, "row 2 is gone") {
		t.Errorf("tells single lifetimes:\n%s", r.out)
	}
}

func TestTheFirstSeedOfAnInvariantIsTheLowest(t *testing.T) {
	o := &outcome{broken: map[sim.Invariant]*tally{}}
	for _, n := range []int{5, 3, 4} {
		o.count(sim.Progress, ended{number: n})
	}
	if got := o.broken[sim.Progress]; got.first.number != 3 || got.lifetimes != 3 {
		t.Errorf("got %+v", got)
	}
}

func TestAnInterruptedRunSaysWhatWasDone(t *testing.T) {
	for _, form := range []string{"text", "json"} {
		ctx, interrupt := context.WithCancel(t.Context())
		w := &worlds{before: func(seed uint64) {
			if seed == 20 {
				interrupt()
			}
		}}
		r := simulateIn(ctx, t, w.simulator(), "--seed", "1", "--seeds", "1000000", "--parallel", "1", "-o", form)
		if n := len(w.asked); n != 20 {
			t.Errorf("%d lifetimes were run", n)
		}
		if form == "json" {
			r.wants(t, exitDone, `"interrupted": true`, `"lifetimes": 20,`)
			continue
		}
		r.wants(t, exitDone, "Interrupted after 20 of 1000000 lifetimes.", "20 lifetimes, 20 min 0 s of virtual time", "Nothing was broken.")
	}
}

func TestAnswersForPrograms(t *testing.T) {
	var a simulationAnswer
	r := simulate(t, &worlds{breaks: breaking(7)}, "--seed", "6", "--seeds", "5", "-o", "json", "--parallel", "1")
	r.wants(t, exitFailed)
	if err := json.Unmarshal([]byte(r.out), &a); err != nil {
		t.Fatalf("%v:\n%s", err, r.out)
	}
	const again = "primacy simulate --seed 7 --seeds 1"
	if *a.Seed != 6 || a.Seeds != 5 || a.Lifetimes < 2 || a.Changes != 2*a.Lifetimes || a.VirtualMS != 60_000*int64(a.Lifetimes) || a.Interrupted {
		t.Errorf("got %s", r.out)
	}
	if want := []brokenAnswer{{Invariant: "nothing_lost", Lifetimes: 1, Seed: 7, AtMS: 5000, Text: "row 7 is gone", Again: again, Seeds: []uint64{7}}}; !reflect.DeepEqual(a.Broken, want) {
		t.Errorf("got %+v", a.Broken)
	}
	if l := a.Lifetime; l == nil || l.Again != again || len(l.Faults) != 3 || len(l.Trace) != 0 || l.Digest != "0000000000000077" {
		t.Errorf("got %+v", l)
	}
	if l := a.Shrunk; l == nil || l.Again != again+" --only 1 --trace" || len(l.Faults) != 1 || !reflect.DeepEqual(l.Trace, []entryAnswer{{AtUS: 1500, Who: "elector-1", Text: "takes the lock"}}) {
		t.Errorf("got %+v", l)
	}
}

// Each command that is printed is typed in again, and has to ask for the very same lifetime.
func TestThePrintedCommandRunsTheSameLifetime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "it's primacy.yaml")
	if err := os.WriteFile(file, []byte(simulatedConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		nil,
		{"--electors", "3", "--length", "90s", "--faults", "crash, freeze"},
		{"--cascade", "--electors", "2"},
		{"--rules"},
		{"--faults", "none", "--servers", "4"},
		{"--policy", "none"},
		{"--seeds", "1", "--only", "2,0"},
		{"--seeds", "1", "--only", "none"},
		{"--policy", "zones", "--zones", "3", "--acks", "3", "--servers", "7"},
		{"--policy", "cross_zone"},
		{"--config", file},
		{"--config", file, "--cluster", "shop"},
	} {
		first, second := &worlds{breaks: breaking(41)}, &worlds{}
		r := simulate(t, first, append([]string{"--seed", "41", "--shrink=false"}, args...)...)
		_, command, _ := strings.Cut(r.out, "Again: primacy simulate ")
		command, _, _ = strings.Cut(command, "\n")
		simulate(t, second, shellWords(command)...).wants(t, exitDone)
		asked := first.asked[slices.IndexFunc(first.asked, func(l lived) bool { return l.seed == 41 })]
		if len(second.asked) != 1 || !reflect.DeepEqual(second.asked[0], asked) {
			t.Errorf("%v: %q runs %d lifetimes, such as %+v, and not %+v", args, command, len(second.asked), second.asked[0], asked)
		}
	}
}

// shellWords splits a line as a shell does, as far as the command's own quoting goes.
func shellWords(line string) (words []string) {
	for i, part := range strings.Split(strings.ReplaceAll(line, `'\''`, "\x00"), "'") {
		if i%2 == 0 {
			words = append(words, strings.Fields(part)...)
		} else {
			words = append(words, strings.ReplaceAll(part, "\x00", "'"))
		}
	}
	return words
}

const simulatedConfig = `
mysql: {password_file: /nonexistent/mysql.pw}
replication: {password_file: /nonexistent/replica.pw, heartbeat: 250ms}
store: {endpoints: ["https://etcd-1:2379"], tls: {ca_file: /nonexistent/ca.pem}}
tls: {cert_file: /nonexistent/api.crt, key_file: /nonexistent/api.key}
listen: 0.0.0.0:3900
auth: {tokens: [{name: deploy, role: operator, token_file: /nonexistent/token}]}
detection: {probe_interval: 300ms, silent_after: 3s, stuck_after: 7s, lag_max: 20s, isolated_share: 0.7, acker_backlog_max: 0}
antiflap: {window: 6m, factor: 3, window_max: 2h, decay: 12h, proven_after: 2m, replace_gone_primary: false, fleet: {changes_max: 5, per: 20m}}
clusters:
  - name: shop
    durability: {policy: cross_zone, acks: 1}
    servers: [{address: "db1:3306", zone: a, promotion: prefer}, {address: "db2:3306", zone: b}, {address: "db3:3306", zone: b, promotion: never}]
`

// Neither the passwords nor the certificates of this configuration are on the machine that simulates it.
func TestAClusterIsSimulatedAsItsConfigurationSays(t *testing.T) {
	file := filepath.Join(t.TempDir(), "primacy.yaml")
	if err := os.WriteFile(file, []byte(simulatedConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PRIMACY_MYSQL_PASSWORD_FILE", "/nonexistent/another")
	t.Setenv("PRIMACY_DETECTION_STUCK_AFTER", "8s")
	w := &worlds{}
	simulate(t, w, "--seed", "1", "--seeds", "1", "--config", file).wants(t, exitDone)
	want := &sim.Cluster{
		Ruleset: topology.Ruleset{Number: 1, Policy: topology.Policy{Kind: topology.PolicyCrossZone, Acks: 1}, Members: []topology.Member{
			{Address: "db1:3306", Zone: "a", Promotion: "prefer"}, {Address: "db2:3306", Zone: "b", Promotion: "neutral"}, {Address: "db3:3306", Zone: "b", Promotion: "never"},
		}},
		Limits: topology.Limits{SilentAfter: 3 * time.Second, StuckAfter: 8 * time.Second, LagMax: 20 * time.Second, RehomeAfter: 10 * time.Second, ReturnAfter: time.Minute, IsolatedShare: 0.7, BacklogMax: -1},
		Antiflap: antiflap.Settings{
			Window: 6 * time.Minute, Factor: 3, WindowMax: 2 * time.Hour, Decay: 12 * time.Hour, ProvenAfter: 2 * time.Minute, FleetChangesMax: unbraked, FleetPer: 20 * time.Minute,
		},
		Timing: reparent.DefaultTiming(), ProbeInterval: 300 * time.Millisecond,
	}
	if got := w.asked[0].options.Cluster; !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestMistakesInTheSimulatedConfigurationAreToldLikeThoseOfServe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "primacy.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(simulatedConfig, "acks: 1", "acks: 3", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	simulate(t, &worlds{}, "--config", file).wants(t, exitUsage, "clusters[0].durability.acks: 3 acks wanted but only 2 servers")
}

func TestRecordedLifetimesAreRunAsTheyWere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "seeds.txt")
	text := "# of the first week\n17 # nothing_lost: an acker lost its relay log\n18 electors=3 only=1,2 # progress: nobody led\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &worlds{}
	simulate(t, w, "--recorded", file, "--parallel", "1").wants(t, exitDone, "Simulating 2 recorded lifetimes of "+file, "Nothing was broken.")
	want := []lived{{17, sim.Options{}}, {18, sim.Options{Electors: 3, Only: []int{1, 2}}}}
	if !reflect.DeepEqual(w.asked, want) {
		t.Errorf("ran %+v", w.asked)
	}
	simulate(t, &worlds{breaks: breaking(18)}, "--recorded", file).wants(t, exitFailed, "Again: primacy simulate --seed 18 --seeds 1 --electors 3 --only 1,2")
}

// A run of half a minute in a bubble of its own time: a lifetime takes a second.
func TestProgressIsALineEveryTenSeconds(t *testing.T) {
	t.Setenv("LANG", "C.UTF-8")
	synctest.Test(t, func(t *testing.T) {
		w := &worlds{breaks: breaking(3), before: func(uint64) { <-time.After(time.Second) }}
		var errs bytes.Buffer
		r := &simulation{simulator: w.simulator(), progress: newProgress(&errs), plan: plan{
			total: 60, workers: 2, keepGoing: true,
			life: func(i int) life { return life{seed: uint64(i)} },
		}}
		if o := r.all(t.Context()); o.lifetimes != 60 || o.elapsed != 30*time.Second {
			t.Errorf("%d lifetimes in %s", o.lifetimes, o.elapsed)
		}
		lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
		if len(lines) < 2 || len(lines) > 3 {
			t.Fatalf("got %q", lines)
		}
		for i, line := range lines[:2] {
			done, _ := strconv.Atoi(strings.Fields(line)[0])
			if want := 20 * (i + 1); done < want-2 || done > want || !strings.Contains(line, " of 60 lifetimes (1 BROKEN), 1") {
				t.Errorf("got %s", line)
			}
		}
	})
}

func TestProgressSaysHowLongItTakes(t *testing.T) {
	o := &outcome{lifetimes: 5000, broken: map[sim.Invariant]*tally{}}
	for name, row := range map[string]struct {
		elapsed time.Duration
		longest slow
		want    string
	}{
		"as usual":                 {30 * time.Second, slow{17, time.Second}, "5000 of 20000 lifetimes, 10000 a minute, 30 s gone, 90 s left"},
		"one that does not finish": {30 * time.Second, slow{17, 31 * time.Second}, "5000 of 20000 lifetimes, seed 17 has been running for 31 s"},
		"at the very beginning":    {0, slow{}, "5000 of 20000 lifetimes, 0.0 s gone"},
	} {
		if got := o.progress(20000, row.elapsed, row.longest); got != row.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestTheLifetimeThatRunsLongestIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u underway
		if got := u.longest(); got != (slow{}) {
			t.Errorf("nothing runs, and %+v does", got)
		}
		u.begin(1)
		u.begin(2)
		<-time.After(time.Minute)
		u.begin(3)
		u.end(1)
		if got := u.longest(); got != (slow{2, time.Minute}) {
			t.Errorf("got %+v", got)
		}
	})
}

func TestOnATerminalProgressIsWrittenOver(t *testing.T) {
	var out bytes.Buffer
	p := &progress{out: &out, updating: true}
	p.clear()
	p.show("1 of 2")
	p.show("2 of 2")
	p.show(strings.Repeat("x", 100))
	p.clear()
	p.clear()
	if got, want := out.String(), "\r1 of 2\x1b[K\r2 of 2\x1b[K\r"+strings.Repeat("x", 79)+"\x1b[K\r\x1b[K"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestEveryPolicyIsTried(t *testing.T) {
	for violated, code := range map[int]int{0: exitDone, 2: exitFailed} {
		servers := 0
		s := simulator{policies: func(n int, progress func(int, int)) policy.Report {
			servers = n
			progress(1, 1)
			return policy.Report{Servers: n, Violated: violated, Violations: []policy.Violation{{Claim: "Found", Ruleset: "semi_sync", Text: strings.Repeat("B and C ", 30)}}}
		}}
		r := simulateIn(t.Context(), t, s, "--policies")
		if r.wants(t, code, "clusters of up to 5 servers"); servers != policy.ServersMax {
			t.Errorf("%d servers", servers)
		}
		for line := range strings.Lines(r.out) {
			if cells(strings.TrimSpace(line)) > width {
				t.Errorf("wider than a terminal: %s", line)
			}
		}
		var report policy.Report
		r = simulateIn(t.Context(), t, s, "--policies", "--servers", "2", "-o", "json")
		if r.wants(t, code); json.Unmarshal([]byte(r.out), &report) != nil || report.Servers != 2 {
			t.Errorf("got %s", r.out)
		}
	}
}

func TestTheProgramSimulates(t *testing.T) {
	for _, row := range []struct{ args, want string }{
		{"--seeds none", `--seeds: "none" is no whole number`},
		{"--seed abc", `--seed: "abc" is no number from 0 to 18446744073709551615`},
		{"--length 5", `--length: "5" is no duration; write 500ms, 50s or 5m`},
		{"--shrink=perhaps", `--shrink: "perhaps" is neither true nor false`},
		{"--sed 3", "--sed: there is no such flag; the nearest is --seed"},
		{"--boredom", "--boredom: there is no such flag"},
	} {
		runWith(t, append([]string{"simulate"}, strings.Fields(row.args)...)...).wants(t, exitUsage, row.want, "See: primacy simulate --help")
	}
	runWith(t, "simulate", "shop").wants(t, exitUsage, `unknown command "shop"`)
	runWith(t, "simulate", "--seed", "1", "--seeds", "2", "--faults", "none").wants(t, exitDone, "2 lifetimes,", "Nothing was broken.")
}

func TestFaultsThatWereAskedForAndDidNotHappenAreTold(t *testing.T) {
	for seed := range uint64(50) {
		drawn, happened := sim.Drawn(seed, sim.Options{}), sim.Live(seed, sim.Options{}).Faults
		i := slices.IndexFunc(drawn, func(f sim.Fault) bool {
			return !slices.ContainsFunc(happened, func(h sim.Fault) bool { return h.Number == f.Number })
		})
		if i < 0 || sim.Live(seed, sim.Options{Only: []int{i}}).Faults != nil {
			continue
		}
		args := []string{"simulate", "--seed", fmt.Sprint(seed), "--seeds", "1", "--only", fmt.Sprint(i)}
		runWith(t, args...).wants(t, exitDone, fmt.Sprintf("fault %s, did not happen", drawn[i]))
		runWith(t, append(args, "-o", "json")...).wants(t, exitDone, fmt.Sprintf(`"missed": [ { "number": %d, "kind": "%s",`, i, drawn[i].Kind))
		return
	}
	t.Error("in 50 lifetimes every fault happened")
}

func TestAClusterInAFewWordsIsTold(t *testing.T) {
	args := []string{"--seed", "1", "--policy", "zones", "--zones", "4", "--servers", "6"}
	simulate(t, &worlds{}, append(args, "--seeds", "3")...).wants(t, exitDone, "Each of 6 servers, zones with 1 ack in 4 zones.",
		"servers A in a, B in b, C in c, D in d, E in a, F in b",
		"while C leads MySQL, which knows no zones, waits for any 5 of A, B, D, E, F, although A, B, D would do: any 4 could be A, B, E, F")
}

func TestACommandThatAsksAgainAndAgainIsToldOnce(t *testing.T) {
	var trace []sim.Entry
	say := func(who, text string) {
		trace = append(trace, sim.Entry{At: time.Duration(len(trace)), Who: who, Text: text})
	}
	for n := range 3000 {
		say("elector-1", fmt.Sprintf("C fence (%d)", n+1))
		if n%1000 == 0 {
			say("client-1", "row 7 on C: no answer in 1s (9)")
		}
	}
	say("elector-1", "C fence (1)")
	say("elector-2", "C fence (2)")
	var got []string
	for _, e := range withoutRepeats(trace) {
		got = append(got, e.Text)
	}
	want := []string{"C fence (1)", "row 7 on C: no answer in 1s (9)"}
	for n := 2; n <= repeatsMost; n++ {
		want = append(want, fmt.Sprintf("C fence (%d)", n))
	}
	want = append(want, "row 7 on C: no answer in 1s (9)", "row 7 on C: no answer in 1s (9)", "C fence (3000), after 2979 more", "C fence (1)", "C fence (2)")
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestThePageOfTheSimulatorListsEveryFaultAndEveryInvariant(t *testing.T) {
	text, err := os.ReadFile("../../docs/simulation.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range kindNames() {
		if !strings.Contains(string(text), "\n| `"+name+"` | ") {
			t.Errorf("no row tells what the fault %s is", name)
		}
	}
	for _, i := range sim.Invariants() {
		if !strings.Contains(string(text), "\n| `"+string(i)+"` | ") {
			t.Errorf("no row tells what %s promises", i)
		}
	}
}

// An example that names faults has to name ones that the seed draws and that happen.
func TestTheLifetimeThatIsShownAsAnExampleHasTheFaultsThatAreNamed(t *testing.T) {
	page, err := os.ReadFile("../../docs/simulation.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile(`primacy simulate --seed (\d+) --seeds 1 --only (\d+(?:,\d+)+) --trace`)
	for _, text := range []string{string(page), simulateCommand(simulator{}).Example} {
		found := example.FindStringSubmatch(text)
		if found == nil {
			t.Fatal("none is shown")
		}
		seed, only := found[1], found[2]
		r := runWith(t, "simulate", "--seed", seed, "--seeds", "1", "--only", only)
		r.wants(t, exitDone, "Nothing was broken.")
		for n := range strings.SplitSeq(only, ",") {
			if !strings.Contains(r.out, "\n  fault #"+n+" ") {
				t.Errorf("seed %s: fault %q does not happen:\n%s", seed, n, r.out)
			}
		}
	}
}

// What the page shows of a file of recorded seeds is one.
func TestTheRecordOnThePageCanBeRead(t *testing.T) {
	text, err := os.ReadFile("../../docs/simulation.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```\n# SEED")
	block, _, _ = strings.Cut(block, "```")
	if all, err := sim.ReadRecorded(strings.NewReader("#" + block)); err != nil || len(all) != 3 {
		t.Errorf("read %+v, %v", all, err)
	}
}
