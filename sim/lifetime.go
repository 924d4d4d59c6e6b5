package sim

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// clusterName is what the one cluster of a world is called.
const clusterName = "shop"

// lengthDefault is how long things go wrong, graceMax how long the world then gets to become whole. The latter is the
// published time within which writes complete again; it includes what a person needs to lift a window and to rebuild
// quarantined servers as the runbook says.
const (
	lengthDefault = 50 * time.Second
	graceMax      = 90 * time.Second
	helpsWithin   = 30 * time.Second // how long what a person does last may take to help
	adoptedWithin = 15 * time.Second
	restAtLeast   = 2 * time.Second
	restAtMost    = 30 * time.Second
)

// world is everything that is simulated in one lifetime.
type world struct {
	seed     uint64
	options  Options
	clock    *clock
	network  *network
	hosts    *hosts
	store    *vault
	cluster  Cluster
	ruleset  topology.Ruleset   // as the configuration says now
	numbered numbered           // those that are in force, as whoever acts shows it
	asking   int                // how many changes of the rules are being asked for
	accepted topology.Ruleset   // what it said when it last was one that may be put in force by itself
	forced   []topology.Ruleset // all that may be in force, or have been
	electors []*elector
	clients  []*client
	person   *person
	reader   *reader
	judge    *judge
	undo     []*undoing
	steps    []waiting // faults that wait for commands or calls
	commands int       // sent to servers by electors
	calls    int       // to the store
	mended   bool      // the time of faults is over
	mendAt   time.Duration
	lasting  time.Duration // until when an elector stands still, whatever is mended
	applying time.Duration // how long a replica takes at most to apply the huge transactions
	damaged  []damage      // servers that lost what they held
	spareRow int64
	stray    *server // on which somebody wrote
	lags     *rand.Rand
	report   Report
}

// Live simulates one lifetime. The same seed and options give the same one, on any machine.
func Live(seed uint64, o Options) Report {
	var crew Crew
	defer crew.Dismiss()
	return crew.Live(seed, o)
}

// draws are the streams of chance of a world. Each purpose has its own, so that leaving a fault out changes what
// follows from it and nothing else.
func draws(seed uint64, purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, purpose)) }

const (
	forShape uint64 = iota + 1
	forFaults
	forClients
	forRules
	forLags
	forSettings
	forZones
	forBacklogs
	forDelays
	forCascades
	forChanges
	forReaders
)

func newWorld(seed uint64, o Options) *world { return newWorldOn(newClock(seed), seed, o) }

func newWorldOn(c *clock, seed uint64, o Options) *world {
	if o.Length <= 0 {
		o.Length = lengthDefault
	}
	n := newNetwork(c)
	w := &world{seed: seed, options: o, clock: c, network: n, hosts: newHosts(c, n), lags: draws(seed, forLags)}
	shape := draws(seed, forShape)
	w.cluster = drawCluster(shape, draws(seed, forRules), o.Cluster)
	if o.Cluster == nil && o.Cascade {
		w.cluster = drawCascade(draws(seed, forCascades), w.cluster)
	}
	if o.Cluster == nil {
		w.cluster.Limits.BacklogMax = []int{0, 1, 1, 2, 5}[draws(seed, forBacklogs).IntN(5)]
	}
	w.ruleset, w.accepted, w.forced = w.cluster.Ruleset, w.cluster.Ruleset, []topology.Ruleset{w.cluster.Ruleset}
	w.judge = newJudge(w)
	w.settle(shape)
	w.people(shape, seed)
	w.report = Report{Seed: seed, Ruleset: w.cluster.Ruleset, Electors: len(w.electors)}
	return w
}

// drawCluster draws what the configuration would say. Everything drawn is drawn in any case, so that a given cluster
// leaves the other draws as they are.
func drawCluster(r, ofRules *rand.Rand, given *Cluster) Cluster {
	n := []int{3, 3, 3, 3, 3, 4, 4, 5, 5, 6, 7}[r.IntN(11)]
	c := Cluster{
		Ruleset:       drawPolicy(ofRules, drawRuleset(r, n)),
		ProbeInterval: []time.Duration{500 * time.Millisecond, time.Second, time.Second, 2 * time.Second, 2 * time.Second, 2 * time.Second}[r.IntN(6)],
	}
	c.Antiflap.Window = []time.Duration{500 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second}[r.IntN(5)]
	c.Antiflap.ProvenAfter = []time.Duration{500 * time.Millisecond, 2 * time.Second, 10 * time.Second}[r.IntN(3)]
	c.Antiflap.WindowMax = time.Minute
	c.Antiflap.ReplaceGonePrimary = r.IntN(4) > 0
	c.Antiflap.FleetChangesMax = 100
	if given != nil {
		return *given
	}
	return c
}

func drawRuleset(r *rand.Rand, n int) topology.Ruleset {
	rules := topology.Ruleset{Number: 1, Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1 + r.IntN(max(1, n/2))}}
	for i := range n {
		m := topology.Member{Address: topology.Address(rune('A' + i)), Zone: string(rune('x' + i%3))}
		switch r.IntN(8) {
		case 0:
			m.Promotion = topology.PromotionPrefer
		case 1:
			m.Promotion = topology.PromotionNever
		case 2:
			m.Promotion = topology.PromotionAvoid
		}
		if i < 2 && m.Promotion == topology.PromotionNever {
			m.Promotion = ""
		}
		rules.Members = append(rules.Members, m)
	}
	if r.IntN(5) == 0 {
		zoned := rules
		zoned.Policy = topology.Policy{Kind: topology.PolicyCrossZone, Acks: 1}
		if zoned.Validate() == nil {
			return zoned
		}
	}
	return rules
}

// rarely is how many of twenty clusters have each of the policies that are not drawn otherwise. Most clusters wait for the
// acknowledgements of any servers, so that is what most lifetimes are spent on.
const rarely = 1

// drawPolicy gives some clusters another policy, in zones that are not always alike, where the policy can be met in them.
func drawPolicy(r *rand.Rand, rules topology.Ruleset) topology.Ruleset {
	other, n := rules, r.IntN(20)-3*rarely
	other.Policy = topology.Policy{Kind: topology.PolicyZones, Acks: 1 + r.IntN(2), Zones: 2 + r.IntN(2)}
	spread := []int{3, 3, 2, 4}[r.IntN(4)]
	other.Members = slices.Clone(rules.Members)
	for i := range other.Members {
		other.Members[i].Zone = string(rune('w' + i%spread))
	}
	switch {
	case n < -2*rarely:
		other.Policy = topology.Policy{Kind: topology.PolicyNone}
	case n < -rarely:
		other.Policy = topology.Policy{Kind: topology.PolicyNone, AllowUnfenced: true}
	case n < 0:
	case n < 2*rarely:
		other.Policy = topology.Policy{Kind: topology.PolicyCrossZone, Acks: 2 + r.IntN(2)}
	default:
		return rules
	}
	if other.Validate() != nil {
		return rules
	}
	return other
}

// settle builds the cluster as somebody set it up who never heard of Primacy: the first server is the primary.
func (w *world) settle(r *rand.Rand) {
	var first *server
	offline, exempt := r.IntN(4) == 0, r.IntN(2) == 0
	others := drawSettings(draws(w.seed, forSettings))
	for i, m := range w.ruleset.Members {
		o := drawOptions(r)
		o.Offline, o.ReplicasExempt = offline, exempt
		s := w.hosts.add(m.Address, others.of(i, o))
		s.readOnly, s.superReadOnly, s.skew = true, true, others.clocks[i%len(others.clocks)]
		s.setOffline(false)
		s.semi.source, s.semi.active = false, false
		if w.ruleset.AcksNeeded(m.Address) == 0 && !s.options.SuperReadOnly {
			s.options.SemiSyncSource = false // it would wait for acknowledgements that nobody gives: found, said, and not repaired
		}
		if i == 0 {
			first = s
		}
	}
	acks, ackers := w.ruleset.AcksNeeded(first.address), w.ruleset.Ackers(first.address)
	for _, m := range w.ruleset.Members[1:] {
		source := cmp.Or(w.ruleset.Intermediate(m.Address, first.address), first.address)
		w.hosts.at(m.Address).follows(source, ackers.Has(m.Address))
	}
	if late := draws(w.seed, forDelays); w.options.Cluster == nil && late.IntN(12) == 0 { // SOURCE_DELAY
		m := w.ruleset.Members[1+late.IntN(len(w.ruleset.Members)-1)]
		w.hosts.at(m.Address).delayApplier(time.Duration(1+late.IntN(6)) * time.Second)
	}
	first.setReadOnlyOff()
	first.setAcks(max(1, acks))
	if acks > 0 {
		first.enableSource()
	}
}

// settings are those of option files that Primacy would have otherwise, and finds fault with.
type settings struct {
	writable  int // servers whose number has this bit start writable, as MySQL does when it is told nothing; 0 for none
	finite    bool
	slowBeat  bool // replica_net_timeout is MySQL's own
	semiSync  bool // both sides are on at start
	noJournal bool
	clocks    [serversDrawn]time.Duration
	acking    int // servers whose number has this bit start with the replica side on; 0 for none
}

// seldom is how many of twenty clusters have each of them.
const seldom = 1

func drawSettings(r *rand.Rand) (s settings) {
	if r.IntN(20) < seldom {
		s.writable = 1 + r.IntN(3)
	}
	s.finite, s.slowBeat, s.semiSync, s.noJournal = r.IntN(20) < seldom, r.IntN(20) < seldom, r.IntN(20) < seldom, r.IntN(20) < seldom
	if r.IntN(20) < seldom {
		for i := range s.clocks {
			s.clocks[i] = time.Duration(r.IntN(7200)-3600) * time.Second
		}
	}
	if r.IntN(8) == 0 {
		s.acking = 1 + r.IntN(7)
	}
	return s
}

// of are the settings of the server with a number.
func (s settings) of(i int, o options) options {
	o.SuperReadOnly = s.writable == 0 || (i+1)&s.writable == 0
	o.NoJournal = s.noJournal
	if s.finite {
		o.Timeout = 10 * time.Second
	}
	if s.slowBeat {
		o.NetTimeout = 60 * time.Second
	}
	o.SemiSyncReplica = (i+1)&s.acking != 0
	if s.semiSync {
		o.SemiSyncReplica, o.SemiSyncSource = true, i%2 == 0
	}
	return o
}

// drawOptions are those of one server.
func drawOptions(r *rand.Rand) options {
	o := healthyOptions()
	o.SkipReplicaStart = r.IntN(3) > 0
	o.RelayLogRecovery = r.IntN(6) == 0
	o.LoseRelayLogs = r.IntN(6) == 0
	return o
}

// people are electors, clients and the operator.
func (w *world) people(r *rand.Rand, seed uint64) {
	electors := []int{1, 1, 1, 2, 2, 3}[r.IntN(6)]
	if w.options.Electors > 0 {
		electors = w.options.Electors
	}
	w.store = newVault(w.clock)
	w.store.calling = func(elector, call string) {
		if w.options.Trace {
			w.tell(elector, "asks the store: %s", call)
		}
		w.called()
	}
	for i := range electors {
		w.electors = append(w.electors, w.hire(fmt.Sprintf("elector-%d", i+1), r))
	}
	for _, e := range w.electors {
		e.start()
	}
	chance := draws(seed, forClients)
	for i := range 1 + r.IntN(2) {
		w.clients = append(w.clients, w.connect(fmt.Sprintf("client-%d", i+1), chance))
	}
	w.person = w.employ()
	w.reader = newReader(w)
}

// live lets the world live to its end: faults, mending, and becoming whole.
func (w *world) live() {
	defer w.bury()
	if w.adopt(); w.broken() {
		return
	}
	w.arrangeFaults()
	w.mendAt = w.clock.now + w.options.Length
	if w.clock.runUntil(w.mendAt, w.passes); w.broken() {
		return
	}
	w.mend()
	if w.lasting > w.clock.now {
		w.clock.runUntil(w.lasting, w.passes)
		w.mendAt = w.clock.now
	}
	end := w.clock.now + graceMax + w.applying
	if w.judge.conduct.startOpen() { // a person tries one thing after the other
		end += graceMax
	}
	for !w.broken() {
		until := max(end, min(w.person.acted+helpsWithin, end+graceMax)) // it is under way with what it did last
		if w.clock.now >= until {
			break
		}
		w.clock.runUntil(min(until, w.clock.now+time.Second), w.passes)
		if w.whole() {
			break
		}
	}
	w.rest()
}

// adopt waits until the cluster's first term is on record: before that nothing is promised.
func (w *world) adopt() {
	adopted := func() bool { return w.judge.heard > 0 }
	w.clock.runUntil(adoptedWithin, func() bool { return w.broken() || adopted() })
	if !adopted() && !w.broken() {
		w.violated(Progress, "the cluster was not adopted within %s: %s", adoptedWithin, w.state())
	}
}

// rest stops the clients and lets replication catch up; then the end can be looked at.
func (w *world) rest() {
	for _, c := range w.clients {
		c.process.kill()
	}
	w.person.process.kill()
	w.clock.runUntil(w.clock.now+restAtLeast, w.passes)
	w.clock.runUntil(w.clock.now+restAtMost+w.applying, func() bool { return w.broken() || w.even() })
	if !w.broken() {
		w.judge.atTheEnd()
	}
}

// even tells whether all members hold the same, and each is in its place.
func (w *world) even() bool {
	all, p := w.members(), w.primary()
	if p == nil || slices.ContainsFunc(all, func(s *server) bool { return s != p && s.state == processUp && w.amiss(s, p) != "" }) {
		return false
	}
	for _, s := range all[1:] {
		if s.state != processUp || !s.executed().Equal(all[0].executed()) {
			return false
		}
	}
	return w.amissLeading(p) == "" && !slices.ContainsFunc(all, func(s *server) bool { return s != p && w.amissFollowing(s, p) != "" })
}

// broken tells whether there is no point in going on.
func (w *world) broken() bool { return len(w.report.Violations) > 0 }

// passes is asked after each event: it lets the reader look when its time has come, and tells whether to stop.
func (w *world) passes() bool {
	if w.clock.now >= w.reader.next {
		w.reader.look()
	}
	return w.broken()
}

// bury ends all tasks: none outlives its world. A crash of the control plane is a violation like others.
func (w *world) bury() {
	if r := recover(); r != nil {
		w.violated(NoCrash, "%v", r)
		if w.options.Trace {
			panic(r)
		}
	}
	for _, e := range w.electors {
		e.process.kill()
	}
	for _, c := range w.clients {
		c.process.kill()
	}
	w.person.process.kill()
	w.report.Virtual, w.report.Digest = w.clock.now, w.clock.digest
	w.report.Unknown = w.report.Writes - w.report.Answered - w.report.Refused
}

func (w *world) violated(i Invariant, format string, values ...any) {
	if w.judge.beyond {
		return
	}
	v := Violation{Invariant: i, At: w.clock.now, Text: fmt.Sprintf(format, values...)}
	w.report.Violations = append(w.report.Violations, v)
	w.tell("invariant", "BROKEN: %s", v)
}

// tell adds a line to the trace; its arguments are put together only when there is one.
func (w *world) tell(who, format string, values ...any) {
	if w.options.Trace {
		w.report.Trace = append(w.report.Trace, Entry{At: w.clock.now, Who: who, Text: fmt.Sprintf(format, values...)})
	}
}

// elector is one node of the control plane: a process that may die and be started again.
type elector struct {
	world   *world
	name    string
	place   place
	skew    time.Duration
	process *process
	life    *life
	loop    *orchestrator.Orchestrator
	rules   topology.Ruleset // that it was started with
	fleet   *fleet
	lives   int
}

// hire adds an elector. Its clock may be an hour off: nothing may depend on it.
func (w *world) hire(name string, r *rand.Rand) *elector {
	e := &elector{world: w, name: name, place: w.network.join(name)}
	if r.IntN(4) == 0 {
		e.skew = time.Duration(r.IntN(7200)-3600) * time.Second
	}
	return e
}

// start begins a life of the elector.
func (e *elector) start() {
	w := e.world
	e.lives++
	e.process = w.clock.newProcess(e.name)
	e.process.skew = e.skew
	e.life = w.clock.newLife(context.Background())
	e.fleet = newFleet(e.process, w.hosts, e.place, e.name)
	e.fleet.sending = func(server topology.Address, verb reparent.Verb, statement int) {
		if w.options.Trace {
			w.tell(e.name, "%s %s (%d)", server, verb, statement)
		}
		w.commandSent()
	}
	e.rules = w.ruleset
	settings := orchestrator.Settings{
		Elector: e.name, Clusters: []orchestrator.ClusterSettings{{Name: clusterName, Ruleset: w.ruleset}},
		Limits: w.cluster.Limits, Antiflap: w.cluster.Antiflap, Timing: w.cluster.Timing, ProbeInterval: w.cluster.ProbeInterval,
		Automation: true, RulesChanges: w.options.Rules, Runtime: e.process,
	}
	told := func(ev orchestrator.Event) { w.judge.event(e, ev) }
	e.loop = orchestrator.New(settings, e.fleet, w.store.connect(e.process), orchestrator.NewStream(nil, told))
	loop, life := e.loop, e.life
	e.process.spawn(func() { loop.Run(life) })
	w.tell(e.name, "starts")
}

// alive tells whether the elector runs and is not paused.
func (e *elector) alive() bool { return !e.process.dead && !e.process.paused && e.life.err == nil }

// restart starts an elector that is dead.
func (e *elector) restart() {
	if e.process.dead {
		e.start()
	}
}

// kill is kill -9.
func (e *elector) kill() {
	e.process.kill()
	e.fleet.close()
	e.world.tell(e.name, "is killed")
}

// view is what the elector believes of the cluster.
func (e *elector) view() orchestrator.View {
	v, _ := e.loop.Cluster(clusterName)
	return v
}

// actor is the elector that acts now; nil when none does.
func (w *world) actor() *elector {
	for _, e := range w.electors {
		if e.alive() && e.loop.Leads(clusterName) {
			return e
		}
	}
	return nil
}

// primary is the server at which writes complete now, as far as an outsider can see; nil when there is none.
func (w *world) primary() *server {
	all := w.hosts.all
	if w.options.Rules {
		all = w.members()
	}
	for _, s := range all {
		if s.state == processUp && !s.readOnly && !s.offline {
			return s
		}
	}
	return nil
}

// members are the servers of the ruleset in force, as the elector that acts knows it.
func (w *world) members() []*server {
	rules := w.accepted
	if e := w.actor(); e != nil && (len(w.forced) > 1 || w.options.Rules) {
		rules = e.view().Ruleset
	}
	return slices.DeleteFunc(slices.Clone(w.hosts.all), func(s *server) bool {
		_, in := rules.Member(s.address)
		return !in
	})
}
