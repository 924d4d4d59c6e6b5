package sim

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// fleet is one elector's connections to the servers. What mysqld does with SQL on real servers it does on simulated
// ones, statement by statement, each a message there and one back.
type fleet struct {
	clock   *clock
	process *process
	hosts   *hosts
	place   place
	elector string // its name, announced in every session
	// incarnation tells this process from an earlier one of the same elector.
	incarnation  string
	probeTimeout time.Duration

	// sending, when set, is told of each statement that is about to be sent for a command, the first being 1. Whatever it
	// does to the world happens before the statement.
	sending func(server topology.Address, verb reparent.Verb, statement int)
	// finished, when set, is told of each command with what came of it.
	finished func(reparent.Command, reparent.Result)

	tell    func(orchestrator.Signal)
	watched []watch
	keepers []*keeper
	tenures []*tenure
	wires   []*wire // that are open or being opened
	idle    []*round
}

var _ orchestrator.Fleet = (*fleet)(nil)

// watch is the servers of one cluster.
type watch struct {
	cluster string
	servers []topology.Address
}

// newFleet makes the fleet of a process of an elector, which watches nothing yet.
func newFleet(p *process, h *hosts, at place, elector string) *fleet {
	h.clock.serial++
	return &fleet{
		clock: p.clock, process: p, hosts: h, place: at, elector: elector, incarnation: strconv.FormatUint(h.clock.serial, 36),
		probeTimeout: time.Second, tell: func(orchestrator.Signal) {},
	}
}

// connectTimeout bounds the wait for a host that does not answer at all.
const connectTimeout = 2 * time.Second

// Signals implements orchestrator.Fleet.
func (f *fleet) Signals(tell func(orchestrator.Signal)) { f.tell = tell }

// signal tells every cluster that watches the server that something happened to its kept connection.
func (f *fleet) signal(server topology.Address) {
	for _, w := range f.watched {
		if slices.Contains(w.servers, server) {
			f.tell(orchestrator.Signal{Cluster: w.cluster, Server: server, At: f.process.Now()})
		}
	}
}

// Watch implements orchestrator.Fleet.
func (f *fleet) Watch(cluster string, servers []topology.Address) {
	f.clock.enter()
	f.watched = slices.DeleteFunc(f.watched, func(w watch) bool { return w.cluster == cluster })
	if len(servers) > 0 {
		f.watched = append(f.watched, watch{cluster, slices.Clone(servers)})
	}
	f.keepers = slices.DeleteFunc(f.keepers, func(k *keeper) bool {
		gone := !f.watches(k.server)
		if gone {
			k.leave()
		}
		return gone
	})
	for _, server := range servers {
		if f.keeper(server) == nil {
			k := &keeper{fleet: f, server: server}
			f.keepers = append(f.keepers, k)
			k.startLogin()
		}
	}
}

func (f *fleet) watches(server topology.Address) bool {
	return slices.ContainsFunc(f.watched, func(w watch) bool { return slices.Contains(w.servers, server) })
}

// keeper is who keeps the connection to a server; nil for one that is not watched.
func (f *fleet) keeper(server topology.Address) *keeper {
	for _, k := range f.keepers {
		if k.server == server {
			return k
		}
	}
	return nil
}

// Observe implements orchestrator.Fleet.
func (f *fleet) Observe(ctx context.Context, cluster string) []topology.Observation {
	f.clock.enter()
	for _, w := range f.watched {
		if w.cluster == cluster {
			return f.round(ctx, w.servers)
		}
	}
	return nil
}

// Probe implements orchestrator.Fleet.
func (f *fleet) Probe(ctx context.Context, server topology.Address) topology.Observation {
	f.clock.enter()
	if f.keeper(server) != nil {
		return f.round(ctx, []topology.Address{server})[0]
	}
	patience := f.clock.patient(ended(ctx), f.probeTimeout)
	defer patience.over()
	o := topology.Observation{Address: server, At: f.process.Now()}
	begun := f.clock.now
	w, err := f.dial(patience, server, announcement{elector: f.elector})
	if err != nil {
		failed(&o, err, f.clock.now-begun)
		new(memory).judge(&o)
		return o
	}
	defer f.hangUp(w)
	o = f.read(patience, w, server)
	new(memory).judge(&o)
	return o
}

// Journal implements orchestrator.Fleet.
func (f *fleet) Journal(ctx context.Context, server topology.Address) ([]topology.Decision, error) {
	f.clock.enter()
	patience := f.clock.patient(ended(ctx), defaultDeadline)
	defer patience.over()
	w, err := f.dial(patience, server, announcement{elector: f.elector})
	if err != nil {
		return nil, fmt.Errorf("read journal of %s: %w", server, err)
	}
	defer f.hangUp(w)
	var decisions []topology.Decision
	err = f.exec(patience, w, func(on *guest, done func(error)) {
		decisions = on.server.decisions()
		done(nil)
	})
	if err != nil {
		return nil, fmt.Errorf("read journal of %s: %w", server, err)
	}
	return decisions, nil
}

// read is a full first-hand reading on a given connection. An error shows in Reach, Errno and Error.
func (f *fleet) read(ctx *patience, w *wire, server topology.Address) topology.Observation {
	o := f.clock.slabs().observations.one()
	sent, at := f.clock.now, f.process.Now()
	err := f.exec(ctx, w, func(on *guest, done func(error)) { observe(on, at, o, done) })
	if err != nil {
		o := topology.Observation{Address: server, At: at}
		failed(&o, err, f.clock.now-sent)
		return o
	}
	o.Address, o.At, o.Latency = server, at, f.clock.now-sent
	if k := f.keeper(server); k != nil {
		k.memory.learn(o)
	}
	return *o
}

// observe is the probe's statement on the server.
func observe(on *guest, at time.Time, o *topology.Observation, done func(error)) {
	on.server.show(o, at)
	done(nil)
}

// dial logs in and waits for that. A host that does not answer at all is given up after connectTimeout.
func (f *fleet) dial(ctx *patience, server topology.Address, says announcement) (*wire, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	in := f.clock.promise()
	w := f.open(server, says, in.keep)
	err, answered := in.await(ctx.life, connectTimeout)
	if !answered && ctx.Err() == nil && f.answers(server) {
		err, answered = in.await(ctx.life, -1)
	}
	switch {
	case answered && err == nil:
		return w, nil
	case answered:
	case ctx.Err() != nil:
		err = ctx.Err()
	default:
		err = errConnTimeout
	}
	f.hangUp(w)
	return nil, err
}

// open begins to log in.
func (f *fleet) open(server topology.Address, says announcement, then func(error)) *wire {
	w := f.hosts.dial(f.place, server, accountPrimacy, says, then)
	w.reads = true
	f.wires = append(f.wires, w)
	return w
}

// answers tells whether the kernel of a server's host answers ours.
func (f *fleet) answers(server topology.Address) bool {
	s := f.hosts.at(server)
	return s != nil && f.hosts.network.up(f.place, s.place) && f.hosts.network.up(s.place, f.place)
}

// hangUp closes a connection.
func (f *fleet) hangUp(w *wire) {
	if w == nil {
		return
	}
	if i := slices.Index(f.wires, w); i >= 0 {
		f.wires = slices.Delete(f.wires, i, i+1)
		w.close()
	}
}

// close ends all connections, as the kernel does for a process that was killed.
func (f *fleet) close() {
	for _, w := range f.wires {
		w.close()
	}
	f.wires = nil
}

// send puts a statement on its way, unless ctx has ended. How it ended, or why the connection broke, is kept in the promise.
func (f *fleet) send(ctx *patience, w *wire, what statement) *promise[error] {
	if ctx.Err() == nil && w.alive() {
		return w.asked(f.clock, what)
	}
	answer := f.clock.promise()
	answer.keep(cmp.Or(ctx.Err(), errConnReset))
	return answer
}

// await waits for the end of a statement. Who gives up closes the connection, as nobody knows what else will come on it.
func (f *fleet) await(ctx *patience, w *wire, answer *promise[error]) error {
	err, answered := answer.await(ctx.life, -1)
	if !answered {
		f.hangUp(w)
		return ctx.Err()
	}
	return err
}

// exec is send and await.
func (f *fleet) exec(ctx *patience, w *wire, what statement) error {
	f.clock.enter()
	return f.await(ctx, w, f.send(ctx, w, what))
}

// rest lets time pass, until ctx ends.
func (f *fleet) rest(ctx *patience, d time.Duration) {
	if d > 0 {
		f.clock.waitFor(ctx.life, d, func() bool { return false }, func(*task) {})
	}
}

// step lets whoever injects faults strike before a statement.
func (f *fleet) step(server topology.Address, verb reparent.Verb, statement int) {
	f.clock.enter()
	if f.hosts.sent != nil {
		f.hosts.sent(f, server, verb, statement)
	}
	if f.sending == nil {
		return
	}
	f.sending(server, verb, statement)
	f.clock.enter()
	if f.process.paused {
		f.clock.sleep(0)
	}
}
