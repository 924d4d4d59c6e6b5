package sim

import (
	"context"
	"errors"
	"time"

	"github.com/primacydb/primacy/topology"
)

// keeper keeps one connection to one watched server, and probes on it. It has no task of its own: each of its functions
// is called by who probes, or when something arrives.
type keeper struct {
	fleet  *fleet
	server topology.Address
	memory memory

	link *wire
	// login is the attempt under way, nil when there is none. It outlives a probe that gave up on it.
	login    *login
	attempts int      // that came to nothing since the last login
	lost     error    // what cut the last kept connection, until a new one stands
	probes   []*probe // the first is under way, the others wait for it
	reading  *reading // that is waited for
	spare    *reading // one that can be used
	left     bool
}

// login is an attempt to log in.
type login struct {
	wire  *wire
	timer timer
}

// A login may take long on a server that is frozen after its kernel has accepted the connection. Each attempt that came
// to nothing doubles the patience.
const (
	loginPatience    = 10 * time.Second
	loginPatienceMax = 40 * time.Second
)

// probe is a question to one server.
type probe struct {
	round  *round
	keeper *keeper
	into   *topology.Observation
	begun  time.Duration // when it was asked for
	at     time.Time     // the same by the elector's clock
	phase  phase
	kept   bool // it was asked on a connection that stood before
	again  bool // it waits for a login that began after it, or for its second
}

// phase is how far a probe is.
type phase int

const (
	queued phase = iota
	loggingIn
	asked
	answered
)

// reading is one use of the probe's statement. It serves again once it was answered; one that nobody waits for any more
// may still be filled in, by a server that was frozen, and is left alone.
type reading struct {
	keeper *keeper
	probe  *probe
	wire   *wire
	sent   time.Duration
	at     time.Time // when it was sent, by the elector's clock
	seen   topology.Observation
	err    error

	ask     statement   // to be run on the server
	arrive  func(error) // when the answer is there
	deliver func()      // when the process takes it
}

func (k *keeper) newReading() *reading {
	r := &reading{keeper: k}
	r.ask = func(on *guest, done func(error)) { observe(on, r.at, &r.seen, done) }
	r.arrive = func(err error) { r.err = err; k.fleet.process.deliver(r.deliver) }
	r.deliver = func() { k.answer(r) }
	return r
}

// round is probes that are asked for together.
type round struct {
	fleet   *fleet
	waiter  *task
	missing int
	probes  []probe

	done func() bool
	hand func(*task)
}

// newRound is one that nobody uses.
func (f *fleet) newRound(size int) *round {
	for i, r := range f.idle {
		if len(r.probes) == size {
			f.idle = append(f.idle[:i], f.idle[i+1:]...)
			return r
		}
	}
	r := &round{fleet: f, probes: make([]probe, size)}
	r.done = func() bool { return r.missing == 0 }
	r.hand = func(t *task) { r.waiter = t }
	return r
}

// round probes servers, all at once, and returns what came of it when all have answered, and at the timeout at the
// latest.
func (f *fleet) round(ctx context.Context, servers []topology.Address) []topology.Observation {
	r, seen := f.newRound(len(servers)), f.clock.slabs().observations.some(len(servers))
	r.missing = len(servers)
	for i, server := range servers {
		r.probes[i] = probe{round: r, keeper: f.keeper(server), into: &seen[i]}
		r.probes[i].keeper.ask(&r.probes[i])
	}
	f.clock.waitFor(ctx, f.probeTimeout, r.done, r.hand)
	if r.missing > 0 {
		why := context.DeadlineExceeded
		if ctx.Err() != nil {
			why = ctx.Err()
		}
		for i := range r.probes {
			r.probes[i].giveUp(why)
		}
	}
	f.idle = append(f.idle, r)
	return seen
}

// ask takes a probe on.
func (k *keeper) ask(p *probe) {
	p.begun, p.at = k.fleet.clock.now, k.fleet.process.Now()
	k.probes = append(k.probes, p)
	if len(k.probes) == 1 {
		k.start(p)
	}
}

func (k *keeper) start(p *probe) {
	if k.left {
		p.fail(context.Canceled)
		return
	}
	if p.kept = k.link != nil; p.kept {
		k.read(p)
		return
	}
	p.phase = loggingIn
	if p.again = k.login == nil; p.again {
		k.startLogin()
	}
}

// read asks on the kept connection.
func (k *keeper) read(p *probe) {
	r := k.spare
	if k.spare = nil; r == nil {
		r = k.newReading()
	}
	p.phase, k.reading = asked, r
	r.probe, r.wire, r.sent, r.at = p, k.link, k.fleet.clock.now, k.fleet.process.Now()
	r.wire.run(r.ask, r.arrive)
}

// answer is what came back. A kept connection that turns out to be cut is no answer yet: the same probe asks who is there
// now.
func (k *keeper) answer(r *reading) {
	if k.reading != r {
		return
	}
	k.reading = nil
	p := r.probe
	if r.err == nil {
		*p.into = r.seen
		p.into.Address, p.into.At, p.into.Latency = k.server, r.at, k.fleet.clock.now-r.sent
		k.memory.learn(p.into)
		k.spare = r
		k.finish(p)
		return
	}
	k.lose(r.wire, r.err)
	if p.kept {
		k.start(p)
		return
	}
	p.fail(r.err)
}

// fail ends a probe without a reading. Silence after a cut is still a cut: the peer's kernel told us that the process let
// go of its connection, and nobody has answered since.
func (p *probe) fail(err error) {
	k := p.keeper
	*p.into = topology.Observation{Address: k.server, At: p.at}
	failed(p.into, err, k.fleet.clock.now-p.begun)
	if k.lost != nil && p.into.Reach == topology.ReachSilent && p.phase == loggingIn {
		p.into.Reach, p.into.Error = topology.ReachReset, k.lost.Error()+"; nobody has answered since"
	}
	k.finish(p)
}

// giveUp ends a probe that is not over when its round is.
func (p *probe) giveUp(why error) {
	k := p.keeper
	if p.phase == asked { // the server may still be busy with the question
		k.fleet.hangUp(k.link)
		k.link, k.reading = nil, nil
		p.fail(why)
		if k.link == nil && k.login == nil && !k.left {
			k.startLogin()
		}
		return
	}
	if p.phase != answered {
		p.fail(why)
	}
}

// finish takes a probe off the list and begins the next.
func (k *keeper) finish(p *probe) {
	p.phase = answered
	k.memory.judge(p.into)
	for i, other := range k.probes {
		if other == p {
			k.probes = append(k.probes[:i], k.probes[i+1:]...)
			break
		}
	}
	r := p.round
	r.missing--
	if r.missing == 0 && r.waiter != nil {
		r.waiter.process.wake(r.waiter)
	}
	if len(k.probes) > 0 && k.probes[0].phase == queued {
		k.start(k.probes[0])
	}
}

// startLogin logs in beside whatever else goes on.
func (k *keeper) startLogin() {
	f, l := k.fleet, &login{}
	k.login = l
	l.timer = f.clock.after(connectTimeout, func() { f.process.deliver(func() { k.impatient(l) }) })
	l.wire = f.open(k.server, announcement{elector: f.elector}, func(err error) {
		f.process.deliver(func() { k.welcome(l, err) })
	})
	w := l.wire
	w.onBreak = func() { f.process.deliver(func() { k.lose(w, errConnReset) }) }
}

// impatient gives up a login to a host that does not answer at all, and goes on waiting for a process that hangs.
func (k *keeper) impatient(l *login) {
	f := k.fleet
	switch {
	case k.login != l:
	case !f.answers(k.server):
		k.welcome(l, errConnTimeout)
	default:
		patience := min(loginPatience<<min(k.attempts, 8), loginPatienceMax)
		l.timer = f.clock.after(patience-connectTimeout, func() { f.process.deliver(func() { k.welcome(l, errConnTimeout) }) })
	}
}

// welcome takes in how an attempt ended.
func (k *keeper) welcome(l *login, err error) {
	if k.login != l {
		return
	}
	l.timer.cancel()
	k.login = nil
	if err == nil {
		k.link, k.attempts, k.lost = l.wire, 0, nil
	} else {
		k.attempts++
		k.fleet.hangUp(l.wire)
	}
	switch {
	case len(k.probes) > 0 && k.probes[0].phase == loggingIn:
		k.loggedIn(k.probes[0], err)
	case err == nil && k.memory.failing():
		k.fleet.signal(k.server) // it is back
	}
}

// loggedIn goes on with the probe that waited for a login. An attempt that began before the probe says nothing new by
// failing; then there is another one.
func (k *keeper) loggedIn(p *probe, err error) {
	switch {
	case err == nil:
		k.read(p)
	case !p.again:
		p.again = true
		k.startLogin()
	default:
		p.fail(err)
	}
}

// lose lets go of a connection that was cut from the other side, and says so.
func (k *keeper) lose(w *wire, why error) {
	if w == nil || k.link != w || k.left {
		return
	}
	k.fleet.hangUp(w)
	k.link = nil
	if errors.Is(why, errConnReset) {
		k.lost = why
	}
	k.fleet.signal(k.server)
}

// leave ends everything.
func (k *keeper) leave() {
	k.left = true
	k.fleet.hangUp(k.link)
	k.link, k.reading = nil, nil
	if k.login != nil {
		k.login.timer.cancel()
		k.fleet.hangUp(k.login.wire)
		k.login = nil
	}
	if len(k.probes) > 0 {
		k.probes[0].fail(context.Canceled)
	}
}

// failed makes an observation one that gave no reading.
func failed(o *topology.Observation, err error, waited time.Duration) {
	o.Latency, o.Reach, o.Errno, o.Error = waited, reachOf(err), int(errnoOf(err)), err.Error()
	if errors.Is(err, context.DeadlineExceeded) {
		o.Error = "no answer in time"
	}
}

// reachOf classifies how a probe ended.
func reachOf(err error) topology.Reach {
	switch number := errnoOf(err); {
	case err == nil:
		return topology.ReachOK
	case errors.Is(err, context.Canceled):
		return topology.ReachUnknown // we did not wait for the answer
	case errors.Is(err, errConnRefused):
		return topology.ReachRefused
	case errors.Is(err, errConnReset), number == errServerShutdown, number == errConnectionWasKilled:
		return topology.ReachReset
	case number != 0:
		return topology.ReachDenied
	}
	return topology.ReachSilent
}

// memory is what earlier readings of a server add to the next one.
type memory struct {
	incarnation  string
	startedAt    time.Time
	failingSince time.Time
	contact      topology.Contact
	// stuckSince and waitingSince are when commits were first seen to wait for the disk, and for acknowledgements.
	stuckSince, waitingSince time.Time
}

// learn completes a reading. One process has one start; and how long a commit has waited is never overstated, it counts
// from when one was first seen waiting.
func (m *memory) learn(o *topology.Observation) {
	if m.incarnation != o.Incarnation {
		m.incarnation, m.startedAt = o.Incarnation, o.StartedAt
		m.stuckSince, m.waitingSince = time.Time{}, time.Time{}
	}
	o.StartedAt = m.startedAt
	o.Stall.OldestCommit = since(&m.stuckSince, o.At, o.Stall.OldestCommit)
	o.Stall.DiskFull = o.Stall.DiskFull && o.Stall.OldestCommit >= stuckAfter
	o.Stall.OldestAckWait = since(&m.waitingSince, o.At, o.Stall.OldestAckWait)
	m.contact.Note(o.At, o.Replication)
}

// stuckAfter is how long a commit waits before the server is asked whether its disk is full.
const stuckAfter = 2 * time.Second

func since(first *time.Time, now time.Time, atMost time.Duration) time.Duration {
	switch {
	case atMost <= 0:
		*first = time.Time{}
		return 0
	case first.IsZero():
		*first = now
	}
	return min(atMost, now.Sub(*first))
}

// judge completes an observation with how long probes have been failing.
func (m *memory) judge(o *topology.Observation) {
	switch {
	case o.OK():
		m.failingSince = time.Time{}
	case o.Reach != topology.ReachUnknown && m.failingSince.IsZero():
		m.failingSince = o.At
	}
	o.FailingSince = m.failingSince
}

func (m *memory) failing() bool { return !m.failingSince.IsZero() }
