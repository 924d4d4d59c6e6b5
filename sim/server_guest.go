package sim

import (
	"slices"

	"github.com/primacydb/primacy/topology"
)

// account is what a session may do.
type account int

const (
	accountApp     account = iota // no CONNECTION_ADMIN: cut by offline_mode, refused by read_only
	accountPrimacy                // CONNECTION_ADMIN and SYSTEM_VARIABLES_ADMIN: refused by super_read_only only
	accountRoot                   // SYSTEM_USER as well: out of reach of KILL by the others
)

// announcement is what a connection says of itself in its attributes; zero for ordinary clients.
type announcement struct {
	cluster, elector, process string
	term                      uint32
	duty                      string
}

// guest is a session on a server.
type guest struct {
	server *server
	id     int64
	who    account
	says   announcement
	wire   *wire
	doing  doing
	commit *commit     // its transaction, from the commit on
	cancel func(error) // ends the statement that it runs; nil while nothing can
	killed bool        // it is still listed while its statement cannot be ended
	left   bool        // its client closed the connection
	passed bool        // an elector's session that is through the fence
	// Looks of fences are counted on each server: how many there had been when the session came, and its own last one.
	entered, looked int
	done            func(error) // the end of a statement
	life            int         // of the server's process
}

// blank is the guest's memory for the next one.
func (g *guest) blank() { *g = guest{done: g.done} }

// pass is an elector's session that came through its fence, and which look let it through. It is remembered for as long as the
// server's process lives, also when the session is gone.
type pass struct {
	says   announcement
	looked int
}

// letThrough remembers a session that its fence has let through. The answer to its last look may have taken long.
func (s *server) letThrough(g *guest) {
	if g.life != s.life {
		return
	}
	later := func(p, than pass) bool {
		return p.says.cluster == than.says.cluster && p.says.term >= than.says.term && p.looked >= than.looked
	}
	now := pass{g.says, g.looked}
	if slices.ContainsFunc(s.passes, func(p pass) bool { return later(p, now) }) {
		return
	}
	s.passes = append(slices.DeleteFunc(s.passes, func(p pass) bool { return later(now, p) }), now)
}

// doing is what the process list shows of a session.
type doing int

const (
	idle          doing = iota
	querying            // a statement that KILL ends
	waitingForAck       // "Waiting for semi-sync ACK": nothing ends it (E2)
	committing          // "waiting for handler commit": behind one that waits for acks, or for the disk
	stopping            // STOP REPLICA that hangs: nothing ends it (E15)
	closingWrites       // SET super_read_only that waits for the global read lock; KILL ends and undoes it
)

// wire is a connection to a server as its client holds it.
type wire struct {
	pipe    *pipe
	guest   *guest  // the server's side of it, once it is there; only to be handed to statements
	broke   error   // why it ended; nil while it stands
	onBreak func()  // told once when it ends from the other side
	server  *server // that was called
	who     account // as whom, and what is said of it
	says    announcement
	then    func(error)
	sent    queue[statement] // on their way
	reads   bool             // its statements read variables
	end     promise[error]   // of the statement that was asked last: one runs at a time, and who gives one up hangs up
	ended   func(error)      // keeps it

	// The functions that go with its place in memory.
	ok       func() // the answer that all is well
	arrived  func() // of the next statement
	called   func() // the connection reaches the host
	admitted func() // and the process
	reset    func() // the server's side of it is gone
	dropped  func() // the client's is
	noticed  func() // and the process looks
}

// blank is the wire's memory for the next one.
func (w *wire) blank() {
	*w = wire{
		sent: w.sent.emptied(), ended: w.ended,
		ok: w.ok, arrived: w.arrived, called: w.called, admitted: w.admitted, reset: w.reset, dropped: w.dropped, noticed: w.noticed,
	}
}

// statement is one that is carried out at a server: it calls done exactly once, at once or later.
type statement = func(on *guest, done func(error))

// dial opens a connection. then is called with errConnRefused, errConnReset, a mysqlError (3032, offline) or nil, and
// never when the other side is silent: whoever waits no longer closes the wire.
func (h *hosts) dial(from place, to topology.Address, who account, says announcement, then func(error)) *wire {
	w := h.clock.slabs().wires.one()
	w.server, w.who, w.says, w.then = h.at(to), who, says, then
	if w.ok == nil {
		w.bind()
	}
	w.pipe = h.network.open(from, w.server.place)
	w.pipe.ends[caller].gone, w.pipe.ends[callee].gone = w.reset, w.dropped
	w.pipe.send(callee, w.called)
	return w
}

func (w *wire) bind() {
	w.ok, w.arrived, w.called, w.noticed = func() { w.answered(nil) }, w.arrival, w.call, w.clientLeft
	w.admitted = func() { w.server.welcome(w) }
	w.reset = func() { w.lost(errConnReset) }
	w.dropped = func() { w.server.inTurn(w.server.life, w.noticed) }
}

// call is the connection at the server's host.
func (w *wire) call() {
	s := w.server
	if s.refuses() {
		w.pipe.send(caller, func() { w.lost(errConnRefused) })
		return
	}
	if s.state == processFrozen {
		s.knocking = append(s.knocking, w)
	}
	s.inTurn(s.life, w.admitted)
}

// refuses tells whether the host says that nobody listens.
func (s *server) refuses() bool { return s.state == processDead || s.state == processBooting }

func (s *server) welcome(w *wire) {
	if s.offline && w.who == accountApp {
		w.pipe.send(caller, func() { w.lost(errOffline) })
		w.pipe.close(callee)
		return
	}
	s.nextGuest++
	w.guest = s.clock.slabs().guests.one()
	*w.guest = guest{server: s, life: s.life, id: s.nextGuest, who: w.who, says: w.says, wire: w, done: w.guest.done, entered: s.looks}
	if w.guest.done == nil {
		w.guest.done = w.guest.returned
	}
	s.guests = append(s.guests, w.guest)
	w.pipe.send(caller, w.ok)
}

// lost is the end of a connection that its client did not ask for.
func (w *wire) lost(err error) {
	if w.broke != nil {
		return
	}
	w.broke = err
	w.pipe.close(caller)
	then, told := w.then, w.onBreak
	w.then, w.onBreak = nil, nil
	if then != nil {
		then(err)
	}
	if told != nil {
		told()
	}
}

func (w *wire) answered(err error) {
	then := w.then
	w.then = nil
	if then != nil {
		then(err)
	}
}

// alive tells whether nothing has ended the connection, as far as its client knows; a nil wire is not alive.
func (w *wire) alive() bool { return w != nil && w.broke == nil }

// close hangs up. Nothing is told to the client any more; a statement that runs goes on.
func (w *wire) close() {
	if w == nil || w.broke != nil {
		return
	}
	w.broke, w.then, w.onBreak = errConnReset, nil, nil
	w.pipe.close(caller)
}

// run sends a statement, one at a time on a connection. It is carried out when it arrives, and calls done exactly once,
// at once or later. then is called with its error when the answer is back, or with why the connection broke, and then
// nobody knows. What the statement reads it leaves in variables of its caller, who may look at them when then was called
// with nil.
func (w *wire) run(do statement, then func(error)) {
	if w.broke != nil {
		then(w.broke)
		return
	}
	w.then = then
	w.sent.push(do)
	w.pipe.send(callee, w.arrived)
}

// asked is run for whoever waits for the end of the statement.
func (w *wire) asked(c *clock, do statement) *promise[error] {
	w.end = promise[error]{clock: c}
	if w.ended == nil {
		w.ended = w.end.keep
	}
	w.run(do, w.ended)
	return &w.end
}

// arrival is a statement at the server.
func (w *wire) arrival() {
	next, s := w.sent.pop(), w.guest.server
	if s.state == processUp {
		w.guest.carryOut(next)
		return
	}
	s.inTurn(s.life, func() { w.guest.carryOut(next) })
}

func (g *guest) carryOut(do statement) {
	if g.wire.pipe.ends[callee].closed {
		return
	}
	g.doing = querying
	if g.wire.reads {
		g.whenReadable(do)
		return
	}
	do(g, g.done)
}

// returned is the end of each statement, of which nobody hears when the process has ended by then.
func (g *guest) returned(err error) {
	if g.server.life == g.life {
		g.finished(err)
	}
}

// finished is the end of a statement.
func (g *guest) finished(err error) {
	g.doing, g.cancel = idle, nil
	if g.killed || g.left {
		g.remove()
		return
	}
	w := g.wire
	if err == nil { // which is mostly so
		w.pipe.send(caller, w.ok)
		return
	}
	w.pipe.send(caller, func() { w.answered(err) })
}

// clientLeft is what a server notices of a client that hung up: nothing, before the statement has ended.
func (w *wire) clientLeft() {
	g := w.guest
	if g == nil {
		return
	}
	g.left = true
	if g.doing == idle {
		g.remove()
	}
}

// connected tells whether the session is in the process list.
func (g *guest) connected() bool { return g != nil && slices.Contains(g.server.guests, g) }

// remove takes the session out of the process list, with its named locks.
func (g *guest) remove() {
	s := g.server
	g.wire.pipe.close(callee)
	s.guests = slices.DeleteFunc(s.guests, func(o *guest) bool { return o == g })
	s.locks = slices.DeleteFunc(s.locks, func(l namedLock) bool { return l.holder == g })
}

// end cuts the session. What it runs is ended where that is possible.
func (g *guest) end() {
	g.killed = true
	g.wire.pipe.close(callee)
	switch {
	case g.cancel != nil:
		g.cancel(errQueryInterrupted)
	case g.doing == idle:
		g.remove()
	}
}

// sessions are those in the process list, by id.
func (s *server) sessions() []*guest { return s.guests }

func (s *server) guest(id int64) *guest {
	for _, g := range s.guests {
		if g.id == id {
			return g
		}
	}
	return nil
}

// killSession is KILL: 1094 for an unknown session, 1095 for one that is out of reach.
func (s *server) killSession(id int64, by *guest) error {
	g := s.guest(id)
	switch {
	case g == nil:
		return errNoSuchThread
	case g.who == accountRoot && by.who != accountRoot:
		return errNotOwnerOfThread
	case !g.killed:
		g.end()
	}
	return nil
}

// killQuery is KILL QUERY.
func (s *server) killQuery(id int64) error {
	g := s.guest(id)
	if g == nil {
		return errNoSuchThread
	}
	if g.cancel != nil {
		g.cancel(errQueryInterrupted)
	}
	return nil
}

// namedLock is one of GET_LOCK.
type namedLock struct {
	name   string
	holder *guest
}

// getLock is GET_LOCK(name, 0).
func (s *server) getLock(g *guest, name string) bool {
	holder := s.lockHolder(name)
	if holder == nil {
		s.locks = append(s.locks, namedLock{name, g})
	}
	return holder == nil || holder == g
}

// releaseLock is RELEASE_LOCK.
func (s *server) releaseLock(g *guest, name string) {
	s.locks = slices.DeleteFunc(s.locks, func(l namedLock) bool { return l.holder == g && l.name == name })
}

// lockHolder is IS_USED_LOCK; nil for nobody.
func (s *server) lockHolder(name string) *guest {
	for _, l := range s.locks {
		if l.name == name {
			return l.holder
		}
	}
	return nil
}
