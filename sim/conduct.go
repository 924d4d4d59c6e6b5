package sim

import (
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// conduct holds how electors behave against what they may do, whether or not anybody comes to harm by it.
type conduct struct {
	world     *world
	lapsed    map[*process]time.Duration    // since when an elector has been sending without a lock
	cancelled []*transaction                // clients' rows that a later term's marker left out
	terms     map[uint32]string             // hashes of the decisions that were acknowledged
	decided   map[uint32]*topology.Decision // all whose markers were written
	markers   []gtid.GTID                   // and their markers
	again     []*topology.Decision          // those whose terms were given out again, as nobody could know of them
	faults    int                           // how many faults were looked at
	harms     int                           // and how many of them happened to somebody
	before    stirrings                     // what had happened at the last event
	calm      time.Duration                 // since when nothing has happened to servers, network and store
	begun     map[string]stirrings          // what had happened when an operation began
	shownTo   *elector                      // who acts, and is shown it
	shown     time.Duration                 // since when a primary has shown that it was established, which is not on record; 0 when none does
	poisoned  time.Duration                 // since when the established primary has been poisoned for nothing; 0 when it is not
	obstacles map[string]obstacleSight      // what each elector showed last
	refusing  map[topology.Address]uint32   // servers that refused to receive again, and the term under which they were told to

	cancelledBy map[*transaction]uint32            // the term that left a cancelled row out
	changed     bool                               // a second leadership was acknowledged once, whoever remembers it
	fed         map[*server]stillFed               // leaders that still received when their term was acknowledged
	followed    map[topology.Address]attachment    // from whom servers were last told to replicate
	standing    map[topology.Address]time.Duration // since when a cascaded replica has stood still behind an intermediate that is gone
}

// obstacleSight is an obstacle, with the observations beside which it was shown first: those that it was found by.
type obstacleSight struct {
	obstacle *reparent.Obstacle
	by       time.Time
}

// stirrings counts what goes wrong and is mended, so that it can be seen whether anything was between two moments.
type stirrings struct{ faults, mended int }

func newConduct(w *world) *conduct {
	c := &conduct{
		world: w, lapsed: map[*process]time.Duration{}, terms: map[uint32]string{}, decided: map[uint32]*topology.Decision{}, begun: map[string]stirrings{},
		obstacles: map[string]obstacleSight{}, refusing: map[topology.Address]uint32{}, cancelledBy: map[*transaction]uint32{}, fed: map[*server]stillFed{}, followed: map[topology.Address]attachment{}, standing: map[topology.Address]time.Duration{},
	}
	w.hosts.handed, w.hosts.detached = c.handed, c.detached
	w.hosts.sent, w.hosts.answered, w.hosts.changing, w.hosts.dropping, w.hosts.stepping, w.hosts.deciding = c.sent, c.answered, c.changing, c.dropping, c.stepping, c.deciding
	return c
}

// toNobody are the kinds of faults that happen to no server: what an elector does not see happens to that elector alone,
// and somebody who asks for a change does no harm.
var toNobody = []Kind{Blind, BlindAll, BlindOneWay, WishPlanned, WishEmergency, Acknowledge}

// stirred counts.
func (c *conduct) stirred() stirrings {
	for ; c.faults < len(c.world.report.Faults); c.faults++ {
		if !slices.Contains(toNobody, c.world.report.Faults[c.faults].Kind) {
			c.harms++
		}
	}
	s := stirrings{faults: c.harms}
	for _, u := range c.world.undo {
		if u.done {
			s.mended++
		}
	}
	return s
}

// event hears what an elector tells.
func (c *conduct) event(e *elector, ev orchestrator.Event) {
	w := c.world
	if now := c.stirred(); now != c.before || w.mended {
		c.before, c.calm = now, w.clock.now
	}
	switch ev.Kind {
	case orchestrator.EventRecoveryStarted:
		if ev.Recovery != nil {
			c.begins(*ev.Recovery)
			c.needed(e, *ev.Recovery)
			c.evident(e, *ev.Recovery)
		}
	case orchestrator.EventRecoveryFinished:
		if op := ev.Recovery; op != nil && op.Kind != reparent.KindRules && (ev.State == reparent.StateUndone || ev.State == reparent.StateBlocked) {
			c.undone(e, *op) // what a change of the rules leaves is the repair's
		}
	case orchestrator.EventRefused:
		v := e.view()
		c.windowed(&v)
	case orchestrator.EventProbed:
		v := e.view()
		c.explained(e, &v)
		c.windowed(&v)
		c.missed(e.name, &v)
		c.healed(e, &v)
		c.shows(e, &v)
		c.stranded(e, &v)
	}
}

// shownFor is how long a primary shows what it is before whoever acts has certainly seen it.
const shownFor = 2 * time.Second

// evident claims that no change is begun to find out how an earlier one ended while its primary shows that. One that is
// taken over was begun before.
func (c *conduct) evident(e *elector, op reparent.Operation) {
	n := len(op.History.Leaderships)
	if n == 0 || op.SessionTerm != 0 || op.History.Leaderships[n-1].Established() || !op.Automatic || op.Kind != reparent.KindEmergency {
		return
	}
	if last := op.History.Leaderships[n-1]; e == c.shownTo && c.shown > 0 && c.world.clock.now-c.shown > shownFor && !c.unstored() {
		c.world.violated(NoNeedlessChange, "%s is to be replaced (%s), and shows that it was established", last.Primary, op.Cause)
	}
}

// unstored tells whether it may have been seen what a primary shows, and not put on record.
func (c *conduct) unstored() bool {
	return slices.ContainsFunc(c.world.report.Faults, func(f Fault) bool {
		return f.Kind == CutStore || f.Kind == StopStore || f.Kind == LoseReply
	})
}

// shows notes since when the primary of a change of unknown outcome has shown to whoever acts that it was established: it
// is the process that was chosen, has completed the marker, and is the only one that is open.
func (c *conduct) shows(e *elector, v *orchestrator.View) {
	if !v.Leading {
		return
	}
	all := v.History.Leaderships
	if e != c.shownTo { // what another one saw, it did not
		c.shownTo, c.shown = e, 0
	}
	if len(all) == 0 || all[len(all)-1].Established() || v.Running != nil {
		c.shown = 0
		return
	}
	switch shows := c.showsTo(e, v, all[len(all)-1]); {
	case !shows:
		c.shown = 0
	case c.shown == 0:
		c.shown = c.world.clock.now
	}
}

// showsTo tells whether a leadership of unknown outcome shows to an elector that it was established.
func (c *conduct) showsTo(e *elector, v *orchestrator.View, l topology.Leadership) bool {
	p, net := c.world.hosts.at(l.Primary), c.world.network
	if p == nil || p.state != processUp || p.incarnation != l.Incarnation || p.readOnly || p.disk.stuck() || !net.prompt(e.place, p.place) {
		return false
	}
	beside := func(s *server) bool { return s != p && (s.state != processUp || !s.readOnly || s.knowsLater(l.Term)) }
	return p.semiSync().Verified() && p.semi.acks >= v.Ruleset.AcksNeeded(l.Primary) && p.executed().Has(l.Marker().GTID()) &&
		!slices.ContainsFunc(c.world.hosts.all, beside)
}

// healedWithin is how long an elector that acts may leave a primary poisoned that nothing is to replace.
const healedWithin = 10 * time.Second

// healed claims that the established primary does not stay poisoned while an elector acts that reaches it, no change runs
// and none of a later term was begun: a command that reaches it when its change has given up makes it so, and nobody else
// would undo that.
func (c *conduct) healed(e *elector, v *orchestrator.View) {
	if !v.Leading {
		return
	}
	switch now := c.world.clock.now; {
	case !c.inVain(e, v):
		c.poisoned = 0
	case c.poisoned == 0:
		c.poisoned = now
	case now-max(c.poisoned, c.calm) > healedWithin:
		c.world.violated(NothingLeftBehind, "%s is left poisoned, and nobody is to replace it: %s", v.Primary, c.world.state())
	}
}

// inVain tells whether the primary is poisoned and its elector could undo it.
func (c *conduct) inVain(e *elector, v *orchestrator.View) bool {
	all, net := v.History.Leaderships, c.world.network
	p := c.world.hosts.at(v.Primary)
	if p == nil || len(all) == 0 || v.Running != nil || v.History.Recovered {
		return false
	}
	_, out := v.Maintenance[v.Primary]
	last := all[len(all)-1]
	return !out && last.Established() && p.state == processUp && p.incarnation == last.Incarnation && !p.disk.stuck() &&
		p.semi.source && p.semi.acks >= topology.PoisonAcks && net.prompt(e.place, p.place)
}

// explained claims that Primacy does not find histories that contradict each other, for as long as nobody writes where
// he must not and the store forgets nothing: markers say which one counts.
func (c *conduct) explained(e *elector, v *orchestrator.View) {
	o := v.Obstacle
	if o == nil || o.Code != "incomparable" && o.Code != "two_markers" || c.trespassed() {
		return
	}
	c.world.violated(Progress, "%s is blocked: %s", e.name, o.Message)
}

// uncertain are the faults after which a primary may have completed by itself what nobody acknowledged.
var uncertain = []Kind{Fallback, Shutdown, Errant, OpenByHand}

// missed claims that nobody is asked to accept a loss where nothing is lost, and that no change waits for what nobody was
// promised: what the servers hold that were reached when that was found, besides the primary where it is said to be the only
// one, lacks a write that was acknowledged, or the marker of a term. Who answers by now is for the next round to see, which
// may wait for seconds for one that is silent.
func (c *conduct) missed(elector string, v *orchestrator.View) {
	w := c.world
	o, last := v.Obstacle, c.obstacles[elector]
	if last.obstacle != o {
		last = obstacleSight{o, v.Snapshot.At}
		c.obstacles[elector] = last
	}
	if o == nil || o.Code != "below_floor" && o.Code != "only_on_leader" || w.clock.now-c.calm < calmFor || last.by != v.Snapshot.At {
		return // or it has looked since, as when somebody asks for a change, and has not judged anew
	}
	if slices.ContainsFunc(w.report.Faults, func(f Fault) bool { return slices.Contains(uncertain, f.Kind) }) {
		return
	}
	var held gtid.Set
	for i := range v.Snapshot.Servers {
		if seen := &v.Snapshot.Servers[i]; seen.Reach.OK() && (o.Code == "below_floor" || seen.Address != v.Primary) {
			held = held.Union(seen.Position())
		}
	}
	if o.Code != "below_floor" && held.Contains(v.Snapshot.Server(v.Primary).Executed) {
		return // histories contradict each other: another server was chosen, and nobody acknowledged its marker
	}
	for _, done := range w.judge.completions {
		if done.acks >= w.judge.fewest && !held.Has(done.gtid) {
			return
		}
	}
	if slices.ContainsFunc(c.markers, func(m gtid.GTID) bool { return !held.Has(m) }) {
		return
	}
	asks := "asks to accept a loss"
	if o.Code != "below_floor" {
		asks = "waits for its primary"
	}
	w.violated(Progress, "%s %s, and nothing that was acknowledged is lost without it: %s", elector, asks, o.Message)
}

// closedByHand tells whether somebody made a primary read-only: an attempt may not have seen it yet.
func (c *conduct) closedByHand() bool {
	return slices.ContainsFunc(c.world.report.Faults, func(f Fault) bool { return f.Kind == CloseByHand })
}

// trespassed tells whether somebody wrote outside the protocol, or the store forgot.
func (c *conduct) trespassed() bool {
	return c.startOpen() || slices.ContainsFunc(c.world.report.Faults, func(f Fault) bool {
		return f.Kind == OpenByHand || f.Kind == OldStore || f.Kind == EmptyStore
	})
}

// provocations are the faults after which a change may stay blocked until a person helps: data or the record is lost, or
// somebody interfered by hand.
var provocations = []Kind{
	Wipe, Errant, Purge, Fallback, OpenByHand, CloseByHand, StopApplier, StopReceiver, OldStore, EmptyStore, Reconfigure, Maintain, Shutdown,
}

// unprovoked tells whether nothing has happened that can keep Primacy from settling everything by itself.
func (c *conduct) unprovoked() bool {
	for _, f := range c.world.report.Faults {
		if slices.Contains(provocations, f.Kind) {
			return false
		}
	}
	if !spares(c.world.ruleset) || c.startOpen() {
		return false
	}
	return !slices.ContainsFunc(c.world.hosts.all, func(s *server) bool { return s.options.RelayLogRecovery || s.options.LoseRelayLogs })
}

// startOpen tells whether some server takes writes as soon as it starts.
func (c *conduct) startOpen() bool {
	return slices.ContainsFunc(c.world.hosts.all, func(s *server) bool { return !s.bootsReadOnly() })
}

// spares tells whether any server can be done without: one that led and was revoked may hold what keeps it from following.
func spares(r topology.Ruleset) bool {
	for _, lost := range r.Members {
		if !slices.ContainsFunc(r.Members, func(m topology.Member) bool {
			return m != lost && m.Promotion != topology.PromotionNever && r.CanComplete(m.Address, r.Servers().Without(lost.Address))
		}) {
			return false
		}
	}
	return true
}

// forgot tells whether the store lost what it knew.
func (c *conduct) forgot() bool {
	return slices.ContainsFunc(c.world.report.Faults, func(f Fault) bool { return f.Kind == OldStore || f.Kind == EmptyStore })
}

// begins notes what had happened by then. An operation that is taken over may meet what its first elector has under way,
// so what it leaves is not judged.
func (c *conduct) begins(op reparent.Operation) {
	if _, again := c.begun[op.ID]; again {
		c.begun[op.ID] = stirrings{-1, -1}
		return
	}
	c.begun[op.ID] = c.before
}

// lapse is how long an elector may still send what it was about to when its lock ended.
const lapse = time.Second

// sent claims that no elector begins commands when by its own clock it has had no lock for longer than what was under way
// takes to end.
func (c *conduct) sent(f *fleet, server topology.Address, verb reparent.Verb, statement int) {
	if statement != 1 || verb == reparent.Read {
		return
	}
	now := c.world.clock.now
	if c.holds(f.process) {
		delete(c.lapsed, f.process)
		return
	}
	since, known := c.lapsed[f.process]
	switch {
	case !known:
		c.lapsed[f.process] = now
	case now-since > lapse:
		c.world.violated(LeaseObeyed, "%s begins %s on %s, %s after it began another one without the lock", f.elector, verb, server, now-since)
	}
}

// stepping claims that an operation asks the lock before each of its steps: none begins when by its elector's own clock the
// lock is gone.
func (c *conduct) stepping(f *fleet) {
	if !c.holds(f.process) {
		c.world.violated(LeaseObeyed, "%s begins a step of an operation without the lock", f.elector)
	}
}

// answered claims that a Yes is one: a server that is said to have stepped down has no commit that a client may yet hear
// OK for, one that is said to be frozen stays so when it restarts, and one that is said to be poisoned waits for
// acknowledgements for as long as it takes, one that is said to receive again is not about to be stopped, and one that is said
// to be open is not about to be closed.
func (c *conduct) answered(_ *fleet, command reparent.Command, r reparent.Result) {
	s := c.world.hosts.at(command.Server)
	if command.Verb == reparent.Resume || command.Verb == reparent.Follow {
		c.refuses(command, r)
		c.attached(command, r)
	}
	if !r.Done() || s == nil || s.state != processUp || s.incarnation != r.Observation.Incarnation {
		return
	}
	switch {
	case command.Verb == reparent.Demote && s.closes(command.Term):
		c.world.violated(OneCompleter, "%s is said to have stepped down, and %d commits wait there before it does", s.address, len(s.commits))
	case command.Verb == reparent.Poison && s.semi.timeout < topology.TimeoutInfinite && s.semi.loosened < c.world.clock.now-r.Took:
		c.world.violated(OneCompleter, "%s is said to be poisoned, and its commits wait for %s only", s.address, s.semi.timeout)
	case command.Verb == reparent.Freeze && !command.Passing && s.startsAlone():
		c.world.violated(OneCompleter, "%s is said to be frozen, and receives again when it restarts", s.address)
	case command.Verb == reparent.Resume && slices.ContainsFunc(s.guests, func(g *guest) bool { return g.doing == stopping && g.says.term == command.Term }):
		c.world.violated(NothingLeftBehind, "%s is said to receive again, and is about to be stopped under the same term", s.address)
	case (command.Verb == reparent.Reopen || command.Verb == reparent.Open) && slices.ContainsFunc(s.closings, func(c *closing) bool { return c.guest.says.term == command.Term }):
		c.world.violated(NothingLeftBehind, "%s is said to be open, and is about to be closed under the same term", s.address)
	}
}

// closes tells whether a server waits to be closed, by anybody but an elector of a later term: that one began after an elector
// that slept since had been answered.
func (s *server) closes(term uint32) bool {
	return slices.ContainsFunc(s.closings, func(c *closing) bool { return c.guest.says.term <= term })
}

// refuses notes a server that does not receive again, for a reason of its own: what it asks for is gone, or it still hangs in
// being stopped. The attempt says so, and leaves it to the repair of replicas.
func (c *conduct) refuses(command reparent.Command, r reparent.Result) {
	if r.Outcome == reparent.No && (r.Reason == reparent.ReasonRefused || r.Reason == reparent.ReasonError) {
		c.refusing[command.Server] = command.Term
	} else {
		delete(c.refusing, command.Server)
	}
}

// holds tells whether a process holds the lock as far as it knows.
func (c *conduct) holds(p *process) bool {
	client := c.world.store.client(p)
	if client == nil || client.session == nil {
		return false
	}
	for _, l := range client.session.leases {
		if l.why == nil && l.session.held(p.Now()) {
			return true
		}
	}
	return false
}

// changing claims that no session changes a server while one of a later term acts there, nor after one has come through its
// fence there since the session logged in, though that one may be gone: what its last look showed was ended by it. One that
// logs in when the later one is gone is not claimed to be kept out: as long as no marker came of that, nothing on the server
// tells of it, and it is for the lock to do so.
func (c *conduct) changing(on *guest) {
	for _, p := range on.server.passes {
		if p.looked > on.entered && p.says.cluster == on.says.cluster && p.says.term > on.says.term {
			c.world.violated(FencedStaysOut, "%s changes %s under term %d in a session that was there when %s came under term %d",
				on.says.elector, on.server.address, on.says.term, p.says.elector, p.says.term)
		}
	}
	for _, g := range on.server.guests {
		if g.passed && !g.killed && !g.left && g.says.cluster == on.says.cluster && g.says.term > on.says.term {
			c.world.violated(FencedStaysOut, "%s changes %s under term %d, where %s acts under term %d",
				on.says.elector, on.server.address, on.says.term, g.says.elector, g.says.term)
		}
	}
}

// dropping claims that nobody but a person throws away what a server has received and not applied.
func (c *conduct) dropping(s *server) {
	if s.channel != nil && s.unapplied() {
		c.world.violated(NothingLost, "%s is told to throw away what it has received and not applied: %s", s.address, s.received().Subtract(s.executed()))
	}
}

// windowed claims that no window is open before the primary was ever changed.
func (c *conduct) windowed(v *orchestrator.View) {
	if !c.changed && v.Antiflap.Window(v.Told).Open { // in this order: a window has words
		c.world.violated(AntiflapObeyed, "an anti-flapping window is open, and the primary was never changed")
	}
}

// leaders counts the leaderships that were acknowledged. A primary that was opened again goes on leading.
func (c *conduct) leaders() int {
	n := 0
	for term := range c.terms {
		if d := c.decided[term]; d == nil || d.Kind != string(reparent.KindReopening) {
			n++
		}
	}
	return n
}

// calmFor is how long nothing may have happened to anybody before a primary that serves is certainly known to serve.
const calmFor = 3 * time.Second

// needed claims that no primary is replaced by itself that serves, and whose ackers hear it, and has done so for a while.
func (c *conduct) needed(e *elector, op reparent.Operation) {
	w := c.world
	p := w.hosts.at(op.From)
	if slices.ContainsFunc(op.Stages, func(s reparent.Stage) bool { return s.Name == "resume" }) {
		return // it was begun before, by another elector
	}
	if !op.Automatic || op.Kind != reparent.KindEmergency || p == nil || w.clock.now-c.calm < calmFor || !c.serves(op, p) {
		return
	}
	if strings.HasPrefix(op.Cause, string(topology.LeadershipUnsettled)) && (c.forgot() || c.unstored() || !w.network.prompt(e.place, p.place) || c.mute(e, op)) {
		return // how that change ended was on record once, or could not be put there or seen, and is to be found out again
	}
	w.violated(NoNeedlessChange, "%s is to be replaced (%s), and it completes writes", p.address, op.Cause)
}

// mute tells whether the server that a change without an outcome chose tells the elector nothing of its marker.
func (c *conduct) mute(e *elector, op reparent.Operation) bool {
	all := op.History.Leaderships
	if len(all) == 0 || all[len(all)-1].Established() {
		return false
	}
	chosen := c.world.hosts.at(all[len(all)-1].Primary)
	return chosen == nil || chosen.state != processUp || !c.world.network.prompt(e.place, chosen.place)
}

// serves tells whether a primary is the process that was established and has all that it takes to complete writes.
func (c *conduct) serves(op reparent.Operation, p *server) bool {
	current, led := op.History.Current()
	if !led || p.state != processUp || p.readOnly || p.offline || p.disk.stuck() || p.incarnation != current.Incarnation {
		return false
	}
	needed := op.Ruleset.AcksNeeded(op.From)
	if needed == 0 {
		lost := func(s *server) bool { // a receiver that waits for its disk hears no heartbeat either
			return s != p && s.state == processUp && (!s.receives(p) || s.disk.stuck())
		}
		return !slices.ContainsFunc(c.world.members(), lost)
	}
	if !p.semi.source {
		return false
	}
	heard := 0
	for a := range op.Ruleset.Ackers(op.From).All() {
		s := c.world.hosts.at(a)
		if s != nil && s.state == processUp && !s.disk.stuck() && s.hears(p) {
			heard++
		}
	}
	return heard >= max(needed, p.semi.acks)
}

// owed tells whether a server that took writes has a right to them: the latest leadership on record is its, in the same
// process, or nothing is on record.
func owed(op reparent.Operation, s *server) bool {
	all := op.History.Leaderships
	if len(all) == 0 {
		return true
	}
	last := all[len(all)-1]
	return last.Primary == s.address && last.Incarnation == s.incarnation
}

// undone claims that an attempt that gave up has left every server as it was, if nothing went wrong meanwhile.
func (c *conduct) undone(e *elector, op reparent.Operation) {
	w := c.world
	if began, known := c.begun[op.ID]; !known || began != c.before || w.mended {
		return
	}
	for _, m := range op.Ruleset.Members {
		s, before := w.hosts.at(m.Address), op.Known[m.Address]
		if s.state != processUp || s.incarnation != before.Incarnation || !before.Reached || s.disk.stuck() || !w.network.prompt(e.place, s.place) {
			continue
		}
		receiver, _ := s.receiver()
		p := op.Progress[m.Address]
		frozen := p.Frozen == reparent.Yes || p.Frozen == reparent.Unknown || p.Paused == reparent.Yes || p.Paused == reparent.Unknown
		_, touched := op.Progress[m.Address] // else it was somebody else, as a repair that had begun before
		switch {
		case !touched:
		case s.semi.acks >= topology.PoisonAcks && !before.Poisoned && op.Progress[m.Address].With == reparent.Poison:
			w.violated(NothingLeftBehind, "%s is left poisoned by %s, which gave up", s.address, op.ID)
		case s.offline && before.Writable && closes(op, m.Address) && owed(op, s):
			w.violated(NothingLeftBehind, "%s is left offline by %s, which gave up", s.address, op.ID)
		case s.readOnly && before.Writable && closes(op, m.Address) && owed(op, s) && !c.closedByHand() && !slices.Contains(w.judge.opened, s.address):
			w.violated(NothingLeftBehind, "%s is left read-only by %s, which gave up", s.address, op.ID)
		case receiver == topology.ThreadOff && before.Receiving && frozen && c.refusing[s.address] != max(op.Term, op.SessionTerm):
			w.violated(NothingLeftBehind, "%s is left without a receiver by %s, which gave up", s.address, op.ID)
		}
	}
}

// closes tells whether an attempt had reason to close a server: it had to be revoked, or was to lead. Any other one that was
// open may have been on the way to being fenced when the attempt began.
func closes(op reparent.Operation, a topology.Address) bool {
	return op.Progress[a].With != "" || op.To == a || op.Excluded.Has(a)
}

// deciding claims that no two decisions are written under one term, whether or not anybody acknowledges them: each may
// wait where nobody sees it. After the store forgot, nobody can know of one that no running server has anything of.
func (c *conduct) deciding(s *server, d *topology.Decision) {
	before, known := c.decided[d.Term]
	c.decided[d.Term] = d
	switch {
	case !known || before.Hash == d.Hash:
	case c.isGone(before, d):
		c.again = append(c.again, before)
		delete(c.terms, d.Term)
		c.world.judge.anew(d.Term)
	default:
		c.world.violated(LeaseObeyed, "%s writes a second decision of term %d", s.address, d.Term)
	}
}

// contested tells whether a term has two decisions, and servers that executed the one beside servers that executed the other.
// Where the policy is none, clients may have been answered under both, and which of them counts is a person's to say.
func (c *conduct) contested() bool {
	holder := func(d *topology.Decision) bool {
		return slices.ContainsFunc(c.world.members(), func(s *server) bool { return s.executed().Has(d.Marker().GTID()) })
	}
	return c.world.rules().Policy.Kind == topology.PolicyNone && slices.ContainsFunc(c.again, func(d *topology.Decision) bool {
		return holder(d) && holder(c.decided[d.Term])
	})
}

// isGone tells whether the store forgot, and nobody who decides again can know of an earlier decision.
func (c *conduct) isGone(before, again *topology.Decision) bool {
	return c.forgot() && before != nil && !slices.ContainsFunc(c.world.hosts.all, func(x *server) bool { return c.tellsOf(x, before, again) })
}

// tellsOf tells whether a server shows a decision, or a session in which it may wait, to whoever decides again.
func (c *conduct) tellsOf(x *server, before, again *topology.Decision) bool {
	if x.state != processUp {
		return false
	}
	return x.position().Has(before.Marker().GTID()) || slices.ContainsFunc(x.guests, func(g *guest) bool {
		return g.says.term == before.Term && !slices.ContainsFunc(c.world.electors, func(e *elector) bool {
			return e.name == again.Elector && e.fleet.incarnation == g.says.process
		})
	})
}

// marked takes in that a term's marker was acknowledged. Two decisions never share a term, no earlier term comes later,
// and what the decision left out is cancelled: it never comes back.
func (c *conduct) marked(s *server, d *topology.Decision) {
	w := c.world
	if hash, known := c.terms[d.Term]; known {
		if hash != d.Hash {
			w.violated(OneCompleter, "two decisions of term %d were acknowledged", d.Term)
		}
		return
	}
	late := false // a later leader has taken it over, and it comes to nothing more
	for term := range c.terms {
		if term > d.Term && c.isGone(c.decided[term], d) {
			delete(c.terms, term)
			delete(w.judge.established, term)
			continue
		}
		late = late || term > d.Term
		if term > d.Term && !w.judge.unfenced && !w.judge.established[term].holds(d.Marker().GTID()) {
			w.violated(OneCompleter, "%s begins to lead under term %d, and a later one was acknowledged before", s.address, d.Term)
			break
		}
	}
	c.terms[d.Term], c.markers = d.Hash, append(c.markers, d.Marker().GTID())
	c.changed = c.changed || c.leaders() > 1
	if late || reparent.Kind(d.Kind) == reparent.KindAdoption {
		return
	}
	c.leavesOut(s, d.Term)
}

// atTheEnd looks at the server that leads at the end, and at the others beside it.
func (c *conduct) atTheEnd(p *server, members []*server) {
	if !c.world.judge.kept && !c.world.judge.unfenced {
		c.goneForGood(p)
	}
	for _, s := range members {
		if s.executed().Equal(p.executed()) && !sameDecisions(s.decided, p.decided) {
			c.world.violated(EverywhereOrGone, "at the end the journals of %s and %s differ under the same GTIDs", s.address, p.address)
		}
	}
}

func sameDecisions(a, b []*topology.Decision) bool {
	found := map[string]bool{}
	for _, d := range a {
		found[d.Hash] = true
	}
	for _, d := range b {
		if !found[d.Hash] {
			return false
		}
	}
	return len(a) == len(b)
}

// hears tells whether a server receives from a primary, and acknowledges.
func (s *server) hears(p *server) bool { return s.receives(p) && s.channel.receiver.semi }

// receives tells whether a server receives from another one over links that work both ways.
func (s *server) receives(p *server) bool {
	net := s.hosts.network
	return s.channel != nil && s.channel.receiver.source == p && s.channel.receiver.state == receiverOn &&
		net.flows(s.place, p.place) && net.flows(p.place, s.place)
}
