package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/config"
	"github.com/primacydb/primacy/sim"
	"github.com/primacydb/primacy/sim/policy"
)

// simulator is what the command runs: the questions that it asks of package sim.
type simulator struct {
	live   func(crew *sim.Crew, seed uint64, o sim.Options) sim.Report
	shrink func(seed uint64, o sim.Options, tried func(sim.Report)) (sim.Options, sim.Report)
	// policies tries every policy in clusters of up to n servers.
	policies func(n int, progress func(done, total int)) policy.Report
}

// simulateOptions are the flags of simulate. given tells which of them were written.
type simulateOptions struct {
	seeds     int
	seed      uint64
	recorded  string
	cluster   simulatedCluster
	electors  int
	cascade   bool
	rules     bool
	length    time.Duration
	faults    string
	only      string
	trace     bool
	parallel  int
	shrink    bool
	keepGoing bool
	policies  bool
	given     func(flag string) bool
}

// The bounds of the flags.
const (
	lengthLeast   = time.Second
	lengthMost    = time.Hour
	electorsMost  = 7
	parallelMost  = 1024
	simulateSeeds = 1000
	// simulateGarbage is by how many percent the memory may grow between two collections.
	simulateGarbage = 3200
)

func simulateCommand(s simulator) *cobra.Command {
	var o simulateOptions
	c := &cobra.Command{
		Use: "simulate", Short: "try the failover code on your cluster and policy, in simulated lifetimes full of faults", Args: cobra.NoArgs,
		Long: `Runs the code that moves primaries in simulated worlds: servers, network, clients, electors and
store, in virtual time, with faults drawn from a seed. Whatever happens is held against the
promises, and so is what is left when all faults are mended.

A seed that breaks a promise is reported with the command that runs it again; then faults are
left out as long as it still breaks, and the rest is shown with its trace. Ctrl-C stops in order
and reports what was done.

The cluster is drawn from the seed too, unless a configuration or any of --servers, --policy,
--acks and --zones says what it is.

Exit codes: 0 nothing was broken, 1 a promise was broken, 2 bad usage.`,
		Example: `  primacy simulate --seeds 100000
  primacy simulate --config primacy.yaml --cluster shop
  primacy simulate --servers 5 --policy zones --zones 3 --acks 2
  primacy simulate --seed 4715 --seeds 1 --only 3,7 --trace`,
		RunE: func(c *cobra.Command, _ []string) error {
			o.given = c.Flags().Changed
			return runSimulate(c, s, o)
		},
	}
	addSimulateFlags(c, &o)
	addShapeFlags(c, &o.cluster)
	return c
}

func addSimulateFlags(c *cobra.Command, o *simulateOptions) {
	f := c.Flags()
	f.IntVar(&o.seeds, "seeds", simulateSeeds, "how many lifetimes, each with a seed of its own")
	f.Uint64Var(&o.seed, "seed", 0, "the first seed (default: drawn from the time, and said)")
	f.StringVar(&o.recorded, "recorded", "", "run the lifetimes that are written in this file instead")
	f.IntVar(&o.electors, "electors", 0, "how many electors (default: drawn)")
	f.BoolVar(&o.cascade, "cascade", false, "have a member replicate from another one than the primary, where the cluster is drawn")
	f.BoolVar(&o.rules, "rules", false, "have the rules changed more often, also in ways that take a barrier, by the file and by hand")
	f.DurationVar(&o.length, "length", 0, "how long things go wrong, in virtual time (default 50s)")
	f.StringVar(&o.faults, "faults", "all", "kinds of faults that may be drawn: all, none, or some with commas between them")
	f.StringVar(&o.only, "only", "", "of the faults that the seed draws, keep those with these numbers, or none")
	f.BoolVar(&o.trace, "trace", false, "print everything that happens in the one lifetime")
	f.IntVar(&o.parallel, "parallel", runtime.GOMAXPROCS(0), "how many lifetimes run at the same time")
	f.BoolVar(&o.shrink, "shrink", true, "look for the fewest faults that still break the promise; with --only just when asked to")
	f.BoolVar(&o.keepGoing, "keep-going", false, "do not stop at the first broken promise: count them all")
	f.BoolVar(&o.policies, "policies", false, fmt.Sprintf("instead of simulating, try every policy in clusters of up to %d servers, or --servers", policy.ServersMax))
	_ = c.RegisterFlagCompletionFunc("faults", cobra.FixedCompletions(append([]string{"all", "none"}, kindNames()...), cobra.ShellCompDirectiveNoFileComp))
}

func kindNames() []string {
	var names []string
	for _, k := range sim.Kinds() {
		names = append(names, string(k))
	}
	return names
}

func runSimulate(c *cobra.Command, s simulator, o simulateOptions) error {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	if o.policies {
		return checkPolicies(c, s, o, asJSON)
	}
	if os.Getenv("GOGC") == "" { // worlds are small and short-lived: collecting their garbage less often saves a fifth of the time
		debug.SetGCPercent(simulateGarbage)
	}
	p, err := o.plan(c.Context(), newTerminal(c.ErrOrStderr(), os.Getenv))
	if err != nil {
		return err
	}
	r := &simulation{simulator: s, plan: p, progress: newProgress(c.ErrOrStderr())}
	if asJSON {
		return r.toldAsJSON(c.Context(), c.OutOrStdout())
	}
	return r.told(c.Context(), newTerminal(c.OutOrStdout(), os.Getenv))
}

// plan is what is to be simulated.
type plan struct {
	total     int
	life      func(i int) life
	recorded  string // the file that the lifetimes come from, if they do
	seed      uint64 // the first, if they do not
	drawn     bool   // nobody asked for that seed
	again     string // the command that does the same again
	workers   int
	keepGoing bool
	shrink    bool
	single    bool         // one lifetime, which is told whole
	cluster   *sim.Cluster // that all lifetimes have, if it was described in a few words
}

// life is one lifetime to be simulated.
type life struct {
	seed    uint64
	options sim.Options
	// again is the command for this lifetime, with other options.
	again func(o sim.Options) string
}

// plan checks the flags, and reads the files that they name.
func (o simulateOptions) plan(ctx context.Context, warn *terminal) (plan, error) {
	if err := o.check(); err != nil {
		return plan{}, err
	}
	p := plan{workers: o.parallel, keepGoing: o.keepGoing, shrink: o.shrink}
	if !o.given("shrink") && o.given("only") {
		p.shrink = false
	}
	if o.recorded != "" {
		return o.planRecorded(p)
	}
	options, err := o.options(ctx, warn)
	if err != nil {
		return plan{}, err
	}
	p.total, p.single, p.seed, p.drawn = o.seeds, o.seeds == 1, o.seed, !o.given("seed")
	if p.drawn {
		p.seed = uint64(time.Now().UnixMicro())
	}
	if o.cluster.config == "" {
		p.cluster = options.Cluster
	}
	p.again = o.command(p.seed, o.seeds, options)
	p.life = func(i int) life { return o.life(p.seed+uint64(i), options) }
	return p, nil
}

func (o simulateOptions) check() error {
	switch {
	case o.seeds < 1:
		return usagef("--seeds: %d lifetimes show nothing; use 1 or more", o.seeds)
	case o.given("only") && !o.given("seed"):
		return usagef("--only: numbers of faults belong to one seed; name it with --seed")
	case o.given("only") && o.seeds != 1:
		return usagef("--only: numbers of faults belong to one seed; add --seeds 1")
	case o.trace && o.seeds != 1:
		return usagef("--trace prints one lifetime; add --seeds 1, and --seed for a certain one")
	case o.given("electors") && (o.electors < 1 || o.electors > electorsMost):
		return usagef("--electors: %d is not between 1 and %d", o.electors, electorsMost)
	case o.given("length") && (o.length < lengthLeast || o.length > lengthMost):
		return usagef("--length: %s is not between %s and %s", o.length, lengthLeast, lengthMost)
	case o.parallel < 1 || o.parallel > parallelMost:
		return usagef("--parallel: %d is not between 1 and %d", o.parallel, parallelMost)
	}
	return o.cluster.check(o.given)
}

// options are those of every lifetime.
func (o simulateOptions) options(ctx context.Context, warn *terminal) (options sim.Options, err error) {
	options = sim.Options{Electors: o.electors, Cascade: o.cascade, Rules: o.rules, Length: o.length, Trace: o.trace}
	if options.Kinds, err = kinds(o.faults); err != nil {
		return options, err
	}
	if o.given("only") {
		if options.Only, err = sim.ParseNumbers(o.only); err != nil {
			return options, usagef("--only: %v", err)
		}
		if err := sim.CheckOnly(o.seed, options); err != nil {
			return options, usagef("--only: %v", err)
		}
	}
	options.Cluster, err = o.cluster.settle(ctx, o.given, warn)
	return options, err
}

// kinds names, for a fault that there is not, the one that was probably meant.
func kinds(text string) ([]sim.Kind, error) {
	all, err := sim.ParseKinds(text)
	var unknown *sim.UnknownKindError
	if errors.As(err, &unknown) {
		if near, found := config.Nearest(unknown.Name, append(kindNames(), "all", "none")); found {
			return nil, usagef("--faults: no fault is called %q; the nearest is %s (known: all, none, %s)", unknown.Name, near, strings.Join(kindNames(), ", "))
		}
	}
	if err != nil {
		return nil, usagef("--faults: %v", err)
	}
	return all, nil
}

// ofLifetimes are the flags that say what a lifetime is like.
var ofLifetimes = []string{"seeds", "seed", "config", "cluster", "policy", "acks", "zones", "electors", "cascade", "rules", "length", "faults", "only", "trace"}

// anyOf is the first of these flags that was given, or nothing.
func (o simulateOptions) anyOf(flags ...string) string {
	if i := slices.IndexFunc(flags, o.given); i >= 0 {
		return flags[i]
	}
	return ""
}

// planRecorded takes what is simulated from a file, where each line says what it was run with.
func (o simulateOptions) planRecorded(p plan) (plan, error) {
	if flag := o.anyOf(slices.Concat(ofLifetimes, []string{"servers"})...); flag != "" {
		return p, usagef("--%s: the lines of --recorded say what is run; leave it out", flag)
	}
	all, err := readRecorded(o.recorded)
	if err != nil {
		return p, err
	}
	for _, r := range all {
		if err := sim.CheckOnly(r.Seed, r.Options); err != nil {
			return p, usagef("--recorded: %s, line %d: only: %v", o.recorded, r.Line, err)
		}
	}
	p.total, p.recorded, p.again = len(all), o.recorded, "primacy simulate --recorded "+quoted(o.recorded)
	p.life = func(i int) life { return o.life(all[i].Seed, all[i].Options) }
	return p, nil
}

func readRecorded(name string) (all []sim.Recorded, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, usagef("--recorded: %v", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if all, err = sim.ReadRecorded(file); err != nil {
		return nil, usagef("--recorded: %s, %v", name, err)
	}
	if len(all) == 0 {
		return nil, usagef("--recorded: %s holds no lifetime", name)
	}
	return all, nil
}

func (o simulateOptions) life(seed uint64, options sim.Options) life {
	return life{seed: seed, options: options, again: func(other sim.Options) string { return o.command(seed, 1, other) }}
}

// command is what runs these seeds with these options again.
func (o simulateOptions) command(seed uint64, seeds int, options sim.Options) string {
	words := []string{"primacy simulate --seed", strconv.FormatUint(seed, 10), "--seeds", strconv.Itoa(seeds)}
	words = append(words, o.cluster.words(options.Cluster)...)
	if options.Electors > 0 {
		words = append(words, "--electors", strconv.Itoa(options.Electors))
	}
	if options.Cascade {
		words = append(words, "--cascade")
	}
	if options.Rules {
		words = append(words, "--rules")
	}
	if options.Length > 0 {
		words = append(words, "--length", options.Length.String())
	}
	if options.Kinds != nil {
		words = append(words, "--faults", list(options.Kinds))
	}
	if options.Only != nil {
		words = append(words, "--only", list(options.Only))
	}
	if options.Trace {
		words = append(words, "--trace")
	}
	return strings.Join(words, " ")
}

// list writes a list as its flag reads it.
func list[T any](all []T) string {
	var words []string
	for _, one := range all {
		words = append(words, fmt.Sprint(one))
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ",")
}

// quoted is a file's name as a shell takes it.
func quoted(name string) string {
	if strings.ContainsAny(name, " '\"$`\\*?[]<>|&;()#~!{}\t\n") {
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return name
}
