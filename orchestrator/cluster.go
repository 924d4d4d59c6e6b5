package orchestrator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// cluster is the loop of one cluster. One goroutine, run, owns everything above mu; others read what it
// publishes under mu, or hand it work through the channels.
type cluster struct {
	o       *Orchestrator
	name    string
	ruleset topology.Ruleset // as configured; under mu: see configured
	// discovered: the ruleset's members were found from a seed, and may lack some that were down.
	discovered bool

	inbox  *inbox
	alarms Bell // a kept connection broke: probe at once
	paced  Bell // to the prober: its round was looked at
	turned Bell // to the contender: the lock may be ours to take; nil when nothing is shared

	record       record
	lineage      lineage
	rulesRefused string            // why the configured ruleset is not in force
	rulesByHand  string            // that it is not, for somebody asked for another one
	pending      *topology.Ruleset // the configured one, when it takes a barrier; nil when it is in force
	reordered    time.Time         // before it is tried again
	lease        Lease
	sessionTerm  uint32
	owner        uint32             // the highest term that servers were seen to be acted on under
	lastSeen     topology.Sightings // replaced, never changed: readers keep what they were given
	floor        gtid.Set
	brake        antiflap.Fleet
	snapshot     topology.Snapshot
	findings     []topology.Finding
	refusal      string
	obstacle     *reparent.Obstacle
	refusing     refusing // what was told of it
	repairs      map[topology.Address]attempts
	rehomings    map[topology.Address]rehomings
	reopenings   attempts // to open the primary again that restarted
	repairing    bool
	left         reparent.Operation // the operation that ended last under us
	leftUnsaved  bool               // and how it ended is not on record
	stint        *stint             // work on a server that is being settled; nil when there is none
	passed       map[topology.Address]passed
	concludedAt  time.Time  // when the last settlement ended under us
	spell        *spell     // work on a server that is to be stopped; nil when there is none
	lastHalted   *halt.Halt // the stop or restart that ended last while this elector acted
	noted        bool       // something about leaders has to be on record: see witness
	busy         bool
	children     Tasks     // prober and contender
	workers      Tasks     // operations and repairs
	settledAt    time.Time // when the last operation ended
	ledSince     time.Time // when the lock was gained last
	sight        sight
	readAt       time.Time           // when a standby last read what is on record
	read         [2]Document         // and what it read: record and lineage
	entries      entries             // what stands in the store, for as long as the lock is ours
	era          uint64              // the lease's when that was last compared with the store
	audited      time.Time           // and when it last was, or was tried
	recollected  time.Time           // when the journals were last read for want of a store
	owed         map[string]Document // what was written while the store did not answer
	reached      int64               // what is counted for this cluster: see reach

	mu        sync.Mutex
	published View
	running   *reparent.Operation
	recording *recording // of the change that was begun last
	past      past
	progress  *settle.Progress // of the settlement's step
	waitsFor  string           // what the halt's step waits for
	elector   string
	pace      time.Duration // the pause before the next round of probes
}

type round struct {
	began   time.Time
	servers []topology.Observation
}

type gain struct {
	lease   Lease
	record  record
	lineage lineage
	term    uint32
	brake   antiflap.Fleet
	// read is what was on record, and era the lease's before it was read.
	read []Document
	era  uint64
	// unfinished is an operation that an earlier elector, or an earlier life of this one, left behind.
	unfinished *reparent.Operation
}

func newCluster(o *Orchestrator, s ClusterSettings) *cluster {
	r := o.settings.Runtime
	c := &cluster{
		o: o, name: s.Name, ruleset: s.Ruleset, discovered: s.Discovered,
		inbox: &inbox{bell: r.NewBell()}, alarms: r.NewBell(), paced: r.NewBell(), children: r.NewTasks(), workers: r.NewTasks(),
		record: record{Cluster: s.Name, Ruleset: s.Ruleset}, lineage: lineage{Cluster: s.Name},
		lastSeen: topology.Sightings{}, repairs: map[topology.Address]attempts{}, passed: map[topology.Address]passed{}, rehomings: map[topology.Address]rehomings{}, entries: entries{},
	}
	if o.sharing != nil {
		c.turned = r.NewBell()
	}
	c.publish(time.Time{})
	return c
}

func (c *cluster) runtime() Runtime { return c.o.settings.Runtime }

func (c *cluster) now() time.Time { return c.runtime().Now() }

// alarm asks for a round of probes now; several alarms are one.
func (c *cluster) alarm() { c.alarms.Ring() }

// run is the loop. It ends with ctx, after the operation under way has been brought to a point where it
// can be taken over.
func (c *cluster) run(ctx context.Context) {
	c.children.Go(func() { c.probe(ctx) })
	c.children.Go(func() { c.contend(ctx) })
	for ctx.Err() == nil {
		if !c.next(ctx) {
			c.inbox.bell.Wait(ctx, forever)
		}
	}
	c.stop() // and not when the loop panics: it would wait for who goes on, and what lives on would keep the lock
}

// next does one thing that has come in; false when there was none.
func (c *cluster) next(ctx context.Context) bool {
	m := c.inbox.take(!c.busy && !c.repairing && c.stint == nil && c.spell == nil)
	switch {
	case m.settled != nil:
		c.settle(ctx, *m.settled)
	case m.mended != nil:
		c.repaired(m.mended, c.now())
	case m.worked != nil:
		c.took(ctx, *m.worked)
	case m.spelt != nil:
		c.spelt(ctx, *m.spelt)
	case m.lost != nil:
		c.lost(m.lost)
	case m.gained != nil:
		c.lead(ctx, *m.gained)
	case m.probed != nil:
		c.round(ctx, *m.probed)
	case m.asked != nil:
		m.asked.work(ctx)
		c.publish(c.snapshot.At) // whoever asked looks at once
		m.asked.done.Ring()
	default:
		return false
	}
	return true
}

// stop waits for everything that the loop started, and only then gives the lock back: what still runs
// acts under it.
func (c *cluster) stop() {
	c.workers.Wait()
	c.children.Wait()
	if c.lease != nil {
		c.giveBack(c.lease)
	}
}

// round takes in what the prober saw. A round that began before the last operation ended shows servers in
// the middle of it, and nothing may be concluded from that.
func (c *cluster) round(ctx context.Context, r round) {
	defer c.setPace()
	if r.began.Before(c.settledAt) {
		return
	}
	c.standBy(ctx, r.began)
	c.observe(r)
	c.recollect(ctx, c.now())
	c.act(ctx, c.now())
	c.publish(r.began)
	c.confer(r)
	c.compare(c.now())
	c.yield(ctx)
}

// look probes once more, from within the loop: for what must not rest on the last round.
func (c *cluster) look(ctx context.Context) {
	r := round{began: c.now()}
	r.servers = c.o.fleet.Observe(ctx, c.name)
	c.observe(r)
}

// do runs work in the loop and waits for it. The work gets the loop's context: what it begins goes on
// when the request that asked for it is over.
func (c *cluster) do(ctx context.Context, work func(context.Context)) error {
	r := &request{work: work, done: c.runtime().NewBell()}
	c.inbox.ask(r)
	if r.done.Wait(ctx, forever) {
		return nil
	}
	if c.inbox.withdraw(r) {
		return fmt.Errorf("%w: %w", errStopped, ctx.Err())
	}
	r.done.Wait(context.WithoutCancel(ctx), forever)
	return nil
}

// probe observes round after round: at the configured interval, at once when a connection breaks, and
// almost without pause while the loop acts and is unsure about the primary.
func (c *cluster) probe(ctx context.Context) {
	for ctx.Err() == nil {
		r := round{began: c.now()}
		r.servers = c.o.fleet.Observe(ctx, c.name)
		c.inbox.probe(r)
		if c.paced.Wait(ctx, forever) {
			c.alarms.Wait(ctx, c.rest())
		}
	}
}

// urgentInterval is the pause between rounds of the elector that acts once it is open whether the primary is dead: its
// ackers notice within some tens of milliseconds. The others could do nothing about it. The longer it stays open the
// less another round is worth: it comes after a tenth of the time for which it has been open.
const (
	urgentInterval     = 5 * time.Millisecond
	urgentIntervalMost = 50 * time.Millisecond
	urgentPart         = 10
)

func (c *cluster) setPace() {
	wait := c.o.settings.ProbeInterval
	suspect := slices.IndexFunc(c.findings, func(f topology.Finding) bool { return f.Code == topology.PrimarySuspect })
	switch {
	case c.lease == nil:
		wait = watchInterval(wait)
	case suspect >= 0:
		open := c.now().Sub(c.findings[suspect].Since)
		wait = min(wait, urgentIntervalMost, max(urgentInterval, open/urgentPart))
	}
	c.mu.Lock()
	c.pace = wait
	c.mu.Unlock()
	c.paced.Ring()
}

// watchInterval is the pause between rounds of an elector that only watches: each server answers every elector, and one
// that does not act looks anew before it does.
func watchInterval(acting time.Duration) time.Duration {
	return max(acting, min(2*acting, watchIntervalMost))
}

const watchIntervalMost = 2 * time.Second

// rest is how long the prober pauses before its next round.
func (c *cluster) rest() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pace
}

// observe folds a round of probes into what is known, and analyzes it.
func (c *cluster) observe(r round) {
	now := c.now()
	seen := maps.Clone(c.lastSeen)
	for i := range r.servers {
		if o := &r.servers[i]; o.Reach.OK() && !c.usurps(o) {
			before := c.lastSeen.Of(o.Address)
			o.Losses, o.Connecting = o.LossesSince(before), o.ConnectingSince(before)
			seen[o.Address] = o
		}
	}
	c.lastSeen = seen
	c.remember(r.servers)
	lost, watched := c.o.isolation()
	c.snapshot = topology.Snapshot{
		Cluster: c.name, At: r.began, Ruleset: c.record.Ruleset, Servers: r.servers, Reparenting: c.busy, RulesNumbered: c.o.settings.RulesChanges, RulesRefused: c.rulesRefused, RulesByHand: c.rulesByHand, RulesPending: c.pending != nil,
		OthersLost: lost, OthersWatched: watched,
	}
	c.maintained()
	c.snapshot.GivenUp, c.snapshot.Rehomed = c.givenUp(), c.rehomedLately(now)
	if c.lineage.Settling != nil {
		c.snapshot.Settling = c.lineage.Settling.Server
	}
	if c.o.sharing != nil && c.lease != nil {
		c.snapshot.Words = c.o.sharing.words(c.name)
	}
	c.snapshot.StoreSilent, c.snapshot.StoreError = c.o.storeSilence()
	c.o.events.Tell(Event{Kind: EventProbed, At: now, Cluster: c.name, Probes: r.servers})
	c.diagnose(now)
}

// usurps tells whether another server answers at the address of a leader than the one that led, and was seen there: what
// that one showed last is kept for as long as it has to be revoked.
func (c *cluster) usurps(o *topology.Observation) bool {
	for _, l := range c.lineage.History.Leaderships {
		if l.Primary == o.Address && l.PrimaryUUID != o.UUID && c.lastSeen.Of(o.Address).UUID == l.PrimaryUUID {
			return true
		}
	}
	return false
}

// remember keeps the floor: the last position that the established primary showed as committed.
func (c *cluster) remember(servers []topology.Observation) {
	current, led := c.lineage.History.Current()
	if !led {
		return
	}
	for i := range servers {
		if servers[i].Address == current.Primary {
			c.floor = topology.Floor(c.floor, servers[i], current, c.record.Ruleset)
		}
	}
}

func (c *cluster) diagnose(now time.Time) {
	before := c.findings
	c.findings = topology.Analyze(c.snapshot, c.history(), c.o.settings.Limits, now, before)
	c.tellDifferences(before, c.findings, now)
}

// history is what is on record, with what the operation under way has decided: its marker shows on
// servers before the loop takes over what it left.
func (c *cluster) history() topology.History {
	h := c.lineage.History
	if op := c.inFlight(); op != nil && c.busy {
		h = c.lineage.with(*op).History
	}
	h.LastSeen, h.Floor = c.lastSeen, c.floor
	return h
}

// tellDifferences tells what is found now and was not before, and what was found before and is not now.
func (c *cluster) tellDifferences(before, after []topology.Finding, now time.Time) {
	for i := range after {
		if f := &after[i]; !among(before, f) {
			c.o.events.Tell(Event{Kind: EventFindingOpened, At: now, Cluster: c.name, Server: f.Server, Text: f.Message, Finding: f})
		}
	}
	for i := range before {
		if f := &before[i]; !among(after, f) {
			c.o.events.Tell(Event{Kind: EventFindingClosed, At: now, Cluster: c.name, Server: f.Server, Text: "no longer: " + f.Message, Finding: f})
		}
	}
}

// among tells whether the same is found about the same server.
func among(all []topology.Finding, f *topology.Finding) bool {
	for i := range all {
		if all[i].Code == f.Code && all[i].Server == f.Server {
			return true
		}
	}
	return false
}

// publish makes what the loop believes visible to readers.
func (c *cluster) publish(at time.Time) {
	v := View{
		Name: c.name, At: at, Ruleset: c.record.Ruleset, Snapshot: c.snapshot, History: c.history(),
		Findings: c.annotated(), Antiflap: c.record.Antiflap, Told: c.now(),
		Automation: c.automation(), Maintenance: c.record.Maintenance, Held: c.record.Held, Leading: c.lease != nil,
		Refusal: c.refusal, Obstacle: c.obstacle, Settling: c.lineage.Settling, Halting: c.record.Halting, Halted: c.lastHalted,
	}
	if current, led := v.History.Current(); led {
		v.Primary, v.Term = current.Primary, current.Term
	}
	v.State = topology.State(v.Findings, c.snapshot)
	if c.obstacle != nil && v.State == topology.StatePrimaryFailed {
		v.State = topology.StateBlocked
	}
	v.Roles = c.roles(v.History, v.Findings)
	before := c.reached
	c.reached = reach(c.snapshot.Servers)
	c.o.reached.Add(c.reached - before)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.published = v
}

// roles are those of all members. Readers keep what they were given, and change nothing: it is the same map as before for as
// long as the same is in it.
func (c *cluster) roles(h topology.History, findings []topology.Finding) map[topology.Address]topology.ServerRole {
	members, before := c.record.Ruleset.Members, c.published.Roles
	role := func(a topology.Address) topology.ServerRole { return topology.Role(c.snapshot.Server(a), h, findings) }
	if len(before) == len(members) && !slices.ContainsFunc(members, func(m topology.Member) bool { return before[m.Address] != role(m.Address) }) {
		return before
	}
	roles := make(map[topology.Address]topology.ServerRole, len(members))
	for _, m := range members {
		roles[m.Address] = role(m.Address)
	}
	return roles
}

// annotated adds to findings that want an action why it is not taken. Findings are never changed once they are told, so
// without anything to add they are the same.
func (c *cluster) annotated() []topology.Finding {
	if c.refusal == "" {
		return c.findings
	}
	all := slices.Clone(c.findings)
	for i := range all {
		if f := &all[i]; f.Code == topology.StoreBehind || (f.Remedy == topology.RemedyEmergency && f.WhyNot == "") {
			f.WhyNot = c.refusal
		}
	}
	return all
}

func (c *cluster) view() (v View) {
	c.portray(&v)
	return v
}

// portray is view for who has a place for it: a View is large, and its copies are what asking for one costs.
func (c *cluster) portray(v *View) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*v = c.published
	if v.Running, v.Elector = c.running, c.elector; c.o.sharing != nil && !v.Leading {
		v.Elector = c.o.sharing.owner(c.name)
	}
	if v.Settling != nil && c.progress != nil {
		copied := *v.Settling
		copied.Progress, v.Settling = c.progress, &copied
	}
	if v.Halting != nil && c.waitsFor != "" {
		copied := *v.Halting
		copied.Detail, v.Halting = c.waitsFor, &copied
	}
	if v.Running != nil {
		v.State = topology.StateReparenting
	}
}

func (c *cluster) leads() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.published.Leading
}

func (c *cluster) automation() Switch {
	if c.record.Automation != nil {
		return *c.record.Automation
	}
	return Switch{On: c.o.settings.Automation, Reason: "as configured"}
}

func (c *cluster) inFlight() *reparent.Operation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running
}

// show makes the running operation visible while it runs; nil when it has ended.
func (c *cluster) show(op *reparent.Operation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = op
}
