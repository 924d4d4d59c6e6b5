package sim

import (
	"context"
	"errors"
	"slices"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// tenure is an elector's acting on one cluster under one term.
type tenure struct {
	fleet   *fleet
	cluster string
	term    uint32

	ended    bool // a higher term of ours has begun
	sessions []*session
}

// tenure finds or begins our tenure. A higher term than before ends the sessions of the lower one, on all servers of
// the cluster; a lower one is refused.
func (f *fleet) tenure(cluster string, term uint32) (*tenure, error) {
	for i, t := range f.tenures {
		switch {
		case t.cluster != cluster:
		case t.term == term:
			return t, nil
		case t.term > term:
			return nil, fencedBy(t.term, "this elector acts for %s under term %d already", cluster, t.term)
		default:
			t.end()
			f.tenures[i] = &tenure{fleet: f, cluster: cluster, term: term}
			return f.tenures[i], nil
		}
	}
	t := &tenure{fleet: f, cluster: cluster, term: term}
	f.tenures = append(f.tenures, t)
	return t, nil
}

func (t *tenure) end() {
	t.ended = true
	for _, s := range t.sessions {
		s.cut()
	}
}

func (t *tenure) session(server topology.Address) (*session, error) {
	if err := t.mayAct(); err != nil {
		return nil, err
	}
	for _, s := range t.sessions {
		if s.server == server {
			return s, nil
		}
	}
	s := &session{tenure: t, server: server}
	t.sessions = append(t.sessions, s)
	return s, nil
}

func (t *tenure) mayAct() error {
	if t.ended {
		return refuse(reparent.ReasonFenced, "term %d of %s is over: this elector acts under a higher one", t.term, t.cluster)
	}
	return nil
}

// session is an elector's standing on one server under one term: the connection that holds the cluster's named lock
// there. It is opened by its first command, kept for the later ones, and opened again, through the whole fence, when
// it has broken in between. It is never re-made inside a command.
type session struct {
	*tenure
	server topology.Address
	taken  bool          // a command runs
	queue  []*task       // that wait for their turn
	verb   reparent.Verb // of the command that runs, of which so many statements have been sent
	sent   int
	link   *wire
	born   string // the server process' incarnation, once read; it cannot change under a connection
	// unackedBefore is how many commits had completed without their acknowledgements before our first attempt at the
	// marker; nil before there was one.
	unackedBefore *int64
	spare         *aside  // a session for the marker, opened before the gap in which it is needed
	strays        []int64 // sessions aside that were left without their answer
}

// begin takes the turn and sees to it that the session stands, and that nothing of an earlier command is still on its way.
func (s *session) begin(ctx *patience, verb reparent.Verb) error {
	if !s.take(ctx) {
		return refuse(reparent.ReasonDeadline, "an earlier command on %s has not returned", s.server)
	}
	s.verb, s.sent = verb, 0
	if err := s.stand(ctx); err != nil {
		s.release()
		return err
	}
	if err := s.recall(ctx); err != nil {
		s.finish()
		return err
	}
	return nil
}

// finish gives the turn back. What broke is closed here, by its owner.
func (s *session) finish() {
	if !s.link.alive() {
		s.drop()
	}
	s.release()
}

func (s *session) stand(ctx *patience) error {
	if s.link.alive() {
		return nil
	}
	s.drop()
	l, err := s.dial(ctx, dutyAct)
	if err != nil {
		return err
	}
	if err := s.fence(ctx, l); err != nil {
		s.fleet.hangUp(l)
		return err
	}
	return s.keep(l)
}

// keep makes the link ours, unless the term ended while it was opened.
func (s *session) keep(l *wire) error {
	if err := s.mayAct(); err != nil {
		s.fleet.hangUp(l)
		return err
	}
	s.link, l.guest.passed = l, true
	l.guest.server.letThrough(l.guest)
	return nil
}

func (s *session) drop() {
	l, spare := s.link, s.spare
	s.link, s.born, s.spare = nil, "", nil
	if spare != nil {
		spare.close()
	}
	s.fleet.hangUp(l)
}

// cut ends the session from outside. When a command is using it, only its wire is closed: the command finds it broken,
// and its owner tidies up. One that is only being opened is found to be too late by keep.
func (s *session) cut() {
	if s.taken && s.link != nil {
		s.link.lost(errConnReset)
		return
	}
	s.drop()
}

// dial opens a connection that is announced.
func (s *session) dial(ctx *patience, duty string) (*wire, error) {
	s.step()
	w, err := s.fleet.dial(ctx, s.server, s.announcement(duty))
	switch {
	case err == nil:
		return w, nil
	case errnoOf(err) != 0:
		return nil, refuse(reparent.ReasonDenied, "login refused: %v", err)
	case errors.Is(err, context.DeadlineExceeded):
		return nil, refuse(reparent.ReasonUnreachable, "%s does not answer", s.server)
	}
	return nil, refuse(reparent.ReasonUnreachable, "%s: %v", s.server, err)
}

// What a connection of ours is for; it is announced, so that a newer elector knows what a session that it has killed
// can still be doing.
const (
	dutyAct   = "act"   // holds the named lock and runs everything that returns at once
	dutyStop  = "stop"  // STOP REPLICA, which can hang and cannot be killed; it only ever takes power away
	dutyClose = "close" // SET GLOBAL super_read_only, which hangs while a commit waits; it can be killed
	dutyMark  = "mark"  // commits in the journal; while that waits for acknowledgements nothing can end it
)

func (t *tenure) announcement(duty string) announcement {
	return announcement{cluster: t.cluster, elector: t.fleet.elector, process: t.fleet.incarnation, term: t.term, duty: duty}
}

// exec sends a statement on one of the session's connections and waits for its end.
func (s *session) exec(ctx *patience, w *wire, statement statement) error {
	s.step()
	return s.fleet.exec(ctx, w, statement)
}

// ask is exec for a statement that returns at once and cannot fail.
func (s *session) ask(ctx *patience, look func(*server)) error {
	return s.exec(ctx, s.link, func(on *guest, done func(error)) {
		look(on.server)
		done(nil)
	})
}

// step lets whoever injects faults strike before the next statement.
func (s *session) step() {
	s.sent++
	s.fleet.step(s.server, s.verb, s.sent)
}

// incarnation names the server process at the other end.
func (s *session) incarnation(ctx *patience) (string, error) {
	if s.born != "" {
		return s.born, nil
	}
	o, err := s.read(ctx)
	s.born = o.Incarnation
	return s.born, err
}

// take waits for the session's turn; false when ctx ended first.
func (s *session) take(ctx *patience) bool {
	s.fleet.clock.waitFor(ctx.life, -1, func() bool { return !s.taken }, func(t *task) {
		if t != nil {
			s.queue = append(s.queue, t)
		} else if i := slices.Index(s.queue, s.fleet.clock.current); i >= 0 {
			s.queue = slices.Delete(s.queue, i, i+1)
		}
	})
	if s.taken {
		return false
	}
	s.taken = true
	return true
}

func (s *session) release() {
	s.taken = false
	if len(s.queue) > 0 {
		s.queue[0].process.wake(s.queue[0])
	}
}
