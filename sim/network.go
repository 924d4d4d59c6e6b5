package sim

import (
	"slices"
	"time"
)

// place is somebody in the network: a server, an elector, a client, the store.
type place int

// network carries messages between places. Each way between two places is up or cut on its own. Nobody is told of a cut:
// what is sent into it waits, as TCP does, until the way is mended or the connection is given up.
type network struct {
	clock *clock
	names []string
	links [][]way // [from][to]
	off   []bool  // hosts without power
	pipes []*pipe // with something that waits
	told  []func(from, to place)
	fast  time.Duration // the least that a message takes
	slow  time.Duration // the most, on a link that nothing ails
}

// way leads from one place to another.
type way struct {
	cut    bool
	since  time.Duration // of the cut
	slower time.Duration // added to each message
}

// newNetwork is a network of nobody, in which a message takes a tenth to half of a millisecond.
func newNetwork(c *clock) *network {
	return &network{clock: c, fast: 100 * time.Microsecond, slow: 500 * time.Microsecond}
}

// join adds a place.
func (n *network) join(name string) place {
	n.names = append(n.names, name)
	n.off = append(n.off, false)
	for i := range n.links {
		n.links[i] = append(n.links[i], way{})
	}
	n.links = append(n.links, make([]way, len(n.names)))
	return place(len(n.names) - 1)
}

// whenChanged has somebody told of each way that is cut or mended, and again when a cut has lasted for firstFlight.
func (n *network) whenChanged(tell func(from, to place)) { n.told = append(n.told, tell) }

func (n *network) changed(from, to place) {
	for _, tell := range n.told {
		tell(from, to)
	}
}

// cut makes one way a black hole.
func (n *network) cut(from, to place) {
	l := &n.links[from][to]
	if l.cut || from == to {
		return
	}
	l.cut, l.since = true, n.clock.now
	n.changed(from, to)
	n.clock.after(firstFlight, func() { n.changed(from, to) })
}

// cutBoth makes both ways between two places black holes.
func (n *network) cutBoth(a, b place) {
	n.cut(a, b)
	n.cut(b, a)
}

// heal mends one way; what waited on connections is sent again.
func (n *network) heal(from, to place) {
	l := &n.links[from][to]
	if !l.cut {
		return
	}
	l.cut = false
	n.changed(from, to)
	n.flush()
}

// healBoth mends both ways between two places.
func (n *network) healBoth(a, b place) {
	n.heal(a, b)
	n.heal(b, a)
}

// isolate cuts a place off from all others.
func (n *network) isolate(p place) {
	for other := range n.names {
		n.cutBoth(p, place(other))
	}
}

// rejoin mends all ways from and to a place.
func (n *network) rejoin(p place) {
	for other := range n.names {
		n.healBoth(p, place(other))
	}
}

// healAll mends everything; hosts without power stay so.
func (n *network) healAll() {
	for from := range n.links {
		for to := range n.links[from] {
			n.links[from][to].slower = 0
			n.heal(place(from), place(to))
		}
	}
}

// slowDown makes every message on one way take so much longer; 0 ends it.
func (n *network) slowDown(from, to place, by time.Duration) { n.links[from][to].slower = by }

// powerOff and powerOn are the host of a place; without power it is silent in all directions.
func (n *network) powerOff(p place) {
	n.off[p] = true
	for other := range n.names {
		n.changed(p, place(other))
	}
}

func (n *network) powerOn(p place) {
	n.off[p] = false
	for other := range n.names {
		n.changed(p, place(other))
	}
	n.flush()
}

// up tells whether what one place sends now arrives at the other.
func (n *network) up(from, to place) bool {
	return !n.links[from][to].cut && !n.off[from] && !n.off[to]
}

// firstFlight is how long a connection goes on one way after the other way was cut: until its sender, which gets no
// acknowledgements of packets any more, stops sending.
const firstFlight = 700 * time.Millisecond

// flows tells whether data passes now on a connection, in one direction.
func (n *network) flows(from, to place) bool {
	if !n.up(from, to) {
		return false
	}
	back := &n.links[to][from]
	return !back.cut || n.clock.now-back.since < firstFlight
}

// prompt tells whether whatever is asked is answered in time: data passes both ways, and takes no longer than usual.
func (n *network) prompt(a, b place) bool {
	return n.flows(a, b) && n.flows(b, a) && n.links[a][b].slower+n.links[b][a].slower == 0
}

// delay draws how long a message takes.
func (n *network) delay(from, to place) time.Duration {
	if from == to {
		return 0
	}
	return n.clock.between(n.fast, n.slow) + n.links[from][to].slower
}

// pipe is a connection between two places: in each direction what is sent arrives in order, or not at all when the
// receiving end has been closed.
type pipe struct {
	net     *network
	ends    [2]end
	reached bool // the first message got on its way
}

// end is one side of a pipe.
type end struct {
	at     place
	coming queue[func()] // messages on their way to here, each with an event for its arrival
	held   []func()      // messages to here that a cut holds up
	take   func()        // takes the next of coming
	closed bool
	gone   func() // told once when the other side has closed, after all that it sent before; nil for nobody
	left   func() // tells it
}

// open makes a pipe, of which the other side knows nothing before the first message.
func (n *network) open(from, to place) *pipe {
	p := n.clock.slabs().pipes.one()
	p.net, p.ends[caller].at, p.ends[callee].at = n, from, to
	if p.ends[caller].take == nil {
		p.ends[caller].bind()
		p.ends[callee].bind()
	}
	return p
}

// blank is the pipe's memory for the next one.
func (p *pipe) blank() {
	*p = pipe{ends: [2]end{p.ends[caller].emptied(), p.ends[callee].emptied()}}
}

// bind makes the functions that go with an end's place in memory.
func (e *end) bind() { e.take, e.left = e.arrival, e.deserted }

func (e *end) emptied() end { return end{coming: e.coming.emptied(), take: e.take, left: e.left} }

// arrival is the next message at its end. Whatever delays were drawn for them, they arrive in the order in which they
// were sent.
func (e *end) arrival() {
	if do := e.coming.pop(); !e.closed {
		do()
	}
}

// The two ends of a pipe: who opened it, and who was called.
const (
	caller = 0
	callee = 1
)

// send carries a message to one end.
func (p *pipe) send(to int, do func()) {
	e, from := &p.ends[to], p.ends[1-to].at
	if e.closed || p.ends[1-to].closed {
		return
	}
	p.carry(e, from, do)
}

func (p *pipe) carry(e *end, from place, do func()) {
	if len(e.held) > 0 || !p.net.flows(from, e.at) {
		if len(e.held) == 0 && len(p.ends[1].held)+len(p.ends[0].held) == 0 {
			p.net.pipes = append(p.net.pipes, p)
		}
		e.held = append(e.held, do)
		return
	}
	p.arrange(e, p.net.delay(from, e.at), do)
}

func (p *pipe) arrange(e *end, delay time.Duration, do func()) {
	p.reached = true
	e.coming.push(do)
	p.net.clock.after(delay, e.take)
}

// close ends the connection from one side. Nothing arrives there any more; the other side hears of it after all that was
// sent to it before, and not at all while the way is cut.
func (p *pipe) close(by int) {
	e, other := &p.ends[by], &p.ends[1-by]
	if e.closed {
		return
	}
	e.closed, e.held = true, nil
	if !p.reached {
		other.closed, other.held = true, nil // a connect that was given up
	}
	if other.closed || other.gone == nil {
		return
	}
	p.carry(other, e.at, other.left)
}

// deserted is what one side hears when the other has closed.
func (e *end) deserted() {
	gone := e.gone
	e.gone = nil
	if gone != nil {
		gone()
	}
}

// flush sends again what waited for ways that are up now.
func (n *network) flush() {
	waiting := n.pipes
	n.pipes = nil
	for _, p := range waiting {
		for to := range p.ends {
			p.release(to)
		}
		if len(p.ends[0].held)+len(p.ends[1].held) > 0 {
			n.pipes = append(n.pipes, p)
		}
	}
}

// release sends what one end waits for. A sender tries again at intervals that grow, so this takes a moment.
func (p *pipe) release(to int) {
	e, from := &p.ends[to], p.ends[1-to].at
	if len(e.held) == 0 || !p.net.flows(from, e.at) {
		return
	}
	held, again := e.held, p.net.clock.between(0, 300*time.Millisecond)
	e.held = nil
	for _, do := range held {
		p.arrange(e, again+p.net.delay(from, e.at), do)
	}
}

// holds tells whether something is on hold between two places, for tests.
func (n *network) holds(a, b place) bool {
	return slices.ContainsFunc(n.pipes, func(p *pipe) bool {
		return p.ends[0].at == a && p.ends[1].at == b || p.ends[0].at == b && p.ends[1].at == a
	})
}
