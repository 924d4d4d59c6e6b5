package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/reparent/scenario"
	"github.com/primacydb/primacy/topology"
)

// Stage plays one scenario on simulated servers, in virtual time. Commands take the same way as in lifetimes: through an
// elector's fleet, its fenced sessions and their verbs. It can also let the whole loop run, with its store.
type Stage struct {
	world  *world
	desk   place  // of the elector that the scenario moves itself
	hands  *fleet // that elector's; nil when its process has ended
	hired  int    // processes that it has had
	client place
	rows   int64

	writes  []*stagedWrite
	muted   [][2]*server  // pairs of a replica and a source that does not hear it
	lost    map[*dump]int // the last place of which an acknowledgement got lost
	parted  [][2]*server  // pairs of a replica and a source that does not let it in
	deaf    [][2]*server  // pairs of which the first does not hear the second
	rivals  []*process    // electors of whom nothing but one session is seen
	mended  bool          // nothing happens any more, and nobody writes
	forgone bool          // answered writes may get lost
	broken  []string      // claims that did not hold
	watched watcher       // of what electors send
	loop    stagedLoop
}

var _ scenario.Mended = (*Stage)(nil)

// NewStage is an empty stage. Whatever chance decides follows from the seed.
func NewStage(seed uint64) *Stage {
	c := newClock(seed)
	n := newNetwork(c)
	w := &world{clock: c, network: n, hosts: newHosts(c, n)}
	w.store = newVault(c)
	w.cluster = Cluster{
		Limits:   topology.Limits{SilentAfter: 2 * time.Second, StuckAfter: 5 * time.Second, LagMax: 10 * time.Second, IsolatedShare: 0.7},
		Antiflap: antiflap.Defaults(), Timing: reparent.DefaultTiming(),
	}
	s := &Stage{world: w, client: n.join("client"), lost: map[*dump]int{}}
	w.hosts.unheard, w.hosts.barred = s.loses, s.isParted
	return s
}

// Close ends everything that is under way on the stage.
func (s *Stage) Close() {
	for _, p := range s.rivals {
		p.kill()
	}
	for _, e := range s.world.electors {
		e.process.kill()
	}
	_ = s.ElectorDies()
}

// stagePatience is how long anything on a stage may take.
const stagePatience = 5 * time.Minute

// at finds a server.
func (s *Stage) at(a topology.Address) *server { return s.world.hosts.at(a) }

// until lets time pass until something holds. Nothing on a stage is faster than its step.
func (s *Stage) until(what string, holds func() bool) error {
	c := s.world.clock
	for end := c.now + stagePatience; !holds(); {
		if c.now >= end {
			return fmt.Errorf("never in %s of virtual time: %s", stagePatience, what)
		}
		c.runUntil(c.now+2*time.Millisecond, nil)
	}
	return nil
}

// Build implements scenario.Stage.
func (s *Stage) Build(set scenario.Setting) (scenario.Cast, error) {
	w := s.world
	w.ruleset, w.cluster.Ruleset, w.accepted = set.Ruleset, set.Ruleset, set.Ruleset
	w.judge = newJudge(w)
	w.hosts.completed = s.completed
	s.watched, w.hosts.sent = w.hosts.sent, nil // the scenario's own elector needs no lock
	for _, m := range set.Ruleset.Members {
		w.hosts.add(m.Address, stageOptions(set.Ruleset.AcksNeeded(m.Address) > 0))
	}
	s.desk = w.network.join("elector")
	w.clock.runUntil(stageAge, nil)
	if err := s.lead(set.Ruleset.Members[0].Address); err != nil {
		return scenario.Cast{}, err
	}
	cast := scenario.Cast{Ruleset: set.Ruleset}
	if !set.Adopted {
		return cast, nil
	}
	l, err := s.adopt()
	cast.Leadership = &l
	return cast, err
}

// watcher is told of statements that electors send.
type watcher = func(f *fleet, server topology.Address, verb reparent.Verb, statement int)

// stageAge is how long servers have run when a scenario begins.
const stageAge = 24 * time.Hour

// stageOptions are those of a server on a stage: as Primacy wants it, but that it follows again when it restarts.
func stageOptions(semiSync bool) options {
	o := healthyOptions()
	o.SkipReplicaStart, o.NoJournal, o.SemiSyncReplica = false, true, semiSync
	return o
}

// lead has all others follow one server, with one transaction everywhere.
func (s *Stage) lead(a topology.Address) error {
	first, rules := s.at(a), s.world.ruleset
	ackers, needed := rules.Ackers(a), rules.AcksNeeded(a)
	for _, m := range rules.Members {
		if m.Address != a {
			s.at(m.Address).follows(cmp.Or(rules.Intermediate(m.Address, a), a), ackers.Has(m.Address))
		}
	}
	if err := s.Settle(); err != nil {
		return err
	}
	first.setReadOnlyOff()
	first.setAcks(max(1, needed))
	if needed > 0 {
		first.enableSource()
	}
	if _, err := s.Write(a); err != nil {
		return err
	}
	return s.Settle()
}

// adopt records the first term, the way Primacy does.
func (s *Stage) adopt() (topology.Leadership, error) {
	clear, _, ok := antiflap.Settings{}.Clear(antiflap.Request{Cluster: clusterName, Operator: "alice"}, antiflap.Cluster{}, antiflap.Fleet{})
	if !ok {
		return topology.Leadership{}, errors.New("no clearance for an adoption")
	}
	seen, err := s.Observe()
	if err != nil {
		return topology.Leadership{}, err
	}
	op := reparent.Adoption(clear, reparent.Intent{
		ID: "adoption", Elector: "elector-1", Term: 1, Cause: "test", Timing: reparent.DefaultTiming(),
		Snapshot: topology.Snapshot{Cluster: clusterName, At: s.Now(), Ruleset: s.world.ruleset, Servers: seen},
	}, s.world.ruleset.Members[0].Address, s.Now())
	for op.Running() {
		results, err := s.send(op.Next().Commands)
		if err != nil {
			return topology.Leadership{}, err
		}
		op = op.Apply(results, s.Now())
	}
	l, decided := op.Leadership()
	if !decided || op.State != reparent.StateSucceeded {
		return l, fmt.Errorf("the adoption ended %s: %+v", op.State, op.Obstacle)
	}
	return l, s.Settle()
}

// Now implements scenario.Stage.
func (s *Stage) Now() time.Time { return epoch.Add(s.world.clock.now) }

// Look implements scenario.Stage.
func (s *Stage) Look(a topology.Address) (topology.Observation, error) {
	x := s.at(a)
	o := x.observe(s.Now())
	o.At = s.Now()
	if x.state != processUp {
		o.Reach = topology.ReachRefused
	}
	return o, nil
}

// elector is the process that the scenario moves, watching all servers.
func (s *Stage) elector() *fleet {
	if s.hands == nil {
		s.hired++
		name := fmt.Sprintf("elector-%d", s.hired)
		s.hands = newFleet(s.world.clock.newProcess(name), s.world.hosts, s.desk, name)
		s.hands.finished = s.finished
		s.hands.Watch(clusterName, s.world.ruleset.Servers().List())
	}
	return s.hands
}

// has lets a process do something, and time pass until it has.
func (s *Stage) has(p *process, do func()) error {
	done := false
	p.spawn(func() { do(); done = true })
	c := s.world.clock
	c.runUntil(c.now+stagePatience, func() bool { return done })
	if !done {
		return fmt.Errorf("%s is not done after %s of virtual time", p.name, stagePatience)
	}
	return nil
}

// Observe implements scenario.Stage.
func (s *Stage) Observe() (seen []topology.Observation, err error) {
	f := s.elector()
	err = s.has(f.process, func() { seen = f.Observe(context.Background(), clusterName) })
	return seen, err
}

// ElectorDies implements scenario.Stage.
func (s *Stage) ElectorDies() error {
	if s.hands != nil {
		s.hands.process.kill()
		s.hands.close()
		s.hands = nil
	}
	return nil
}

func (s *Stage) send(commands []reparent.Command) (results []reparent.Result, err error) {
	f := s.elector()
	err = s.has(f.process, func() { results = f.Do(context.Background(), orchestrator.Batch{Commands: commands}) })
	return results, err
}

// Do implements scenario.Stage.
func (s *Stage) Do(orders []scenario.Order) ([]reparent.Result, error) {
	commands, fated := make([]reparent.Command, len(orders)), false
	for i, o := range orders {
		commands[i], fated = o.Command, fated || o.Fate != ""
	}
	if !fated {
		return s.send(commands)
	}
	return s.doFated(orders)
}

// doFated hands commands over one by one, for something happens around them.
func (s *Stage) doFated(orders []scenario.Order) ([]reparent.Result, error) {
	var servers []topology.Address
	for _, o := range orders {
		if !slices.Contains(servers, o.Server) {
			servers = append(servers, o.Server)
		}
	}
	results, f := make([]reparent.Result, len(orders)), s.elector()
	err := s.has(f.process, func() {
		parallel := f.process.NewTasks()
		for _, a := range servers {
			parallel.Go(func() { s.inOrder(a, orders, results) })
		}
		parallel.Wait()
	})
	return results, err
}

// inOrder carries out the commands to one server, as long as each is a Yes.
func (s *Stage) inOrder(a topology.Address, orders []scenario.Order, results []reparent.Result) {
	over := false
	for i, o := range orders {
		switch {
		case o.Server != a:
		case over:
			results[i] = reparent.Result{Outcome: reparent.Skipped}
		default:
			results[i] = s.suffer(o)
			over = !results[i].Done()
		}
	}
}

// suffer lets one command meet its fate.
func (s *Stage) suffer(o scenario.Order) reparent.Result {
	do := func() reparent.Result {
		return s.hands.Do(context.Background(), orchestrator.Batch{Commands: []reparent.Command{o.Command}})[0]
	}
	switch x := s.at(o.Server); o.Fate {
	case scenario.Refused:
		return reparent.Result{Outcome: reparent.No, Reason: reparent.ReasonUnreachable}
	case scenario.Dropped:
		return reparent.Result{Outcome: reparent.Unknown, Reason: reparent.ReasonDeadline}
	case scenario.Lost:
		do()
		return reparent.Result{Outcome: reparent.Unknown, Reason: reparent.ReasonDeadline}
	case scenario.Crashed:
		x.kill()
	case scenario.Restarted:
		x.kill()
		x.boot()
		for x.state != processUp {
			s.world.clock.sleep(10 * time.Millisecond)
		}
	}
	return do()
}

// Broken implements scenario.Stage.
func (s *Stage) Broken() []string {
	broken := slices.Clone(s.broken)
	for _, v := range s.world.report.Violations {
		broken = append(broken, v.String())
	}
	if why := s.world.store.violation(); why != "" {
		broken = append(broken, why)
	}
	return broken
}

func (s *Stage) claim(holds bool, format string, values ...any) {
	if !holds {
		s.broken = append(s.broken, fmt.Sprintf(format, values...))
	}
}

// finished makes the claims that have to hold after every single command.
func (s *Stage) finished(c reparent.Command, _ reparent.Result) {
	var able []topology.Address
	for _, x := range s.world.hosts.all {
		if s.completes(x) {
			able = append(able, x.address)
		}
	}
	s.claim(len(able) <= 1, "after %s: %v can complete writes", c, able)
}

// completed makes the claims of a marker: nobody else can complete anything, and its decision honours whatever a client
// was told.
func (s *Stage) completed(x *server, t *transaction, acks int) {
	s.world.judge.completed(x, t, acks)
	if t.decision == nil {
		return
	}
	for _, y := range s.world.hosts.all {
		s.claim(y == x || !s.completes(y), "the marker of term %d is on %s while %s can complete writes", t.decision.Term, x.address, y.address)
	}
	if s.forgone || t.decision.Kind == string(reparent.KindAdoption) {
		return
	}
	lost := s.answered(false).Subtract(t.decision.Base)
	s.claim(lost.IsEmpty(), "the marker of term %d on %s gives up %s, which clients were told is committed", t.decision.Term, x.address, lost)
	strange := x.position().Subtract(t.decision.Base).Subtract(t.decision.Marker().Set())
	s.claim(strange.IsEmpty(), "the marker of term %d on %s follows %s, which its decision does not honour", t.decision.Term, x.address, strange)
}

// completes tells whether a client's commit on a server could be answered, now or as soon as whoever is down or cut off
// from it comes back as it is.
func (s *Stage) completes(x *server) bool {
	if x.state != processUp || x.readOnly || x.offline {
		return false
	}
	if !x.semi.source || !x.semi.active || x.semi.timeout < topology.TimeoutInfinite {
		return true
	}
	ackers := 0
	for _, y := range s.world.hosts.all {
		if y != x && y.mayAcknowledge(x) {
			ackers++
		}
	}
	return ackers >= x.semi.acks
}

// mayAcknowledge tells whether a server is set up to take transactions from a source and to say so.
func (s *server) mayAcknowledge(source *server) bool {
	c := s.channel
	if c == nil || c.source != source.address {
		return false
	}
	if s.state == processDead || s.state == processBooting {
		return s.startsAlone() && s.options.SemiSyncReplica
	}
	return c.receiver.state != receiverOff && c.receiver.semi
}

// stagedWrite is a transaction on its way.
type stagedWrite struct {
	*transaction
	on     *server
	wire   *wire
	client bool
	ended  bool
	err    error // once it has ended
	forced bool  // its server was being shut down when it ended
}

// row is one that nobody has written.
func (s *Stage) row() int64 {
	s.rows++
	return s.rows
}

// Write implements scenario.Stage.
func (s *Stage) Write(on topology.Address) (gtid.GTID, error) {
	x := s.at(on)
	if x.state != processUp || x.readOnly || x.offline || x.disk.stuck() {
		return gtid.GTID{}, nil
	}
	w := s.begin(x)
	err := s.until("a write that waits or has ended", func() bool { return w.ended || w.gtid.Number > 0 && x.waits(w.gtid) })
	return w.gtid, err
}

// begin sends a client's transaction on its way.
func (s *Stage) begin(x *server) *stagedWrite {
	w := &stagedWrite{transaction: &transaction{row: s.row()}, on: x, client: true}
	s.writes = append(s.writes, w)
	ended := func(err error) { w.ended, w.err = true, err }
	w.wire = s.world.hosts.dial(s.client, x.address, accountApp, announcement{}, func(err error) {
		if err != nil {
			ended(err)
			return
		}
		w.wire.run(func(on *guest, done func(error)) { on.server.execute(on, w.transaction, done) }, ended)
	})
	return w
}

// Enter implements scenario.Stage.
func (s *Stage) Enter(on topology.Address, g gtid.GTID) (gtid.GTID, error) {
	x := s.at(on)
	if x.state != processUp {
		return g, fmt.Errorf("%s is down", on)
	}
	by := Errant
	if _, marker := topology.MarkerOf(g.UUID); marker {
		by = OpenByHand // which the store does not let two electors do: somebody else did it
	}
	s.world.report.Faults = append(s.world.report.Faults, Fault{Kind: by, At: s.world.clock.now})
	t := &transaction{gtid: g, origin: x.serverID, committed: x.wall()}
	c := &commit{transaction: t, done: func(error) {}}
	x.enlist(c)
	x.flush(c)
	return t.gtid, nil
}

// Answered implements scenario.Stage.
func (s *Stage) Answered() (gtid.Set, error) { return s.answered(true), nil }

// answered are the writes whose client was told OK; forced ones are those of which MySQL said so on its way out.
func (s *Stage) answered(forced bool) gtid.Set {
	var told []gtid.GTID
	for _, w := range s.writes {
		if w.client && w.ended && w.err == nil && (forced || !w.forced) {
			told = append(told, w.gtid)
		}
	}
	return gtid.Of(told...)
}
