package sim

import (
	"fmt"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// act is one command while it is carried out on its fenced session.
type act struct {
	*session
	command reparent.Command
	// changed is set as soon as something that changes the server may have been sent: from then on a lost reply means
	// that nobody knows.
	changed bool
	note    string // what to say beside a Yes
}

// A guard is a condition that the server itself checks, in the same round trip as the statement that it protects.
// broken is true when the statement must not run.
type guard struct {
	broken func(*server) bool
	reason reparent.Reason
	detail string
}

// errGuard is how a server says that a guard stopped a statement; which one it does not say.
const errGuard mysqlError = 1772

// query asks the server, in one round trip.
func (a *act) query(ctx *patience, look func(*server)) error {
	return a.ask(ctx, look)
}

// change runs a statement behind the fence's guard: it does not run when a marker of a higher term has arrived since
// the last look.
func (a *act) change(ctx *patience, do func(*server) error) error {
	return a.changeUnless(ctx, nil, do)
}

// changeUnless is change with further guards.
func (a *act) changeUnless(ctx *patience, guards []guard, do func(*server) error) error {
	return a.changeSlowly(ctx, guards, func(on *guest, done func(error)) { done(do(on.server)) })
}

// changeSlowly is changeUnless for a statement that takes its time on the server.
func (a *act) changeSlowly(ctx *patience, guards []guard, start statement) error {
	guards = append([]guard{a.fenceGuard()}, guards...)
	a.changed = true
	err := a.exec(ctx, a.link, guarded(guards, start))
	if errnoOf(err) == errGuard {
		return a.explain(ctx, guards)
	}
	return err
}

// guarded makes the server stop at a broken guard.
func guarded(guards []guard, start statement) statement {
	return func(on *guest, done func(error)) {
		for i := range guards {
			if guards[i].broken(on.server) {
				done(errGuard)
				return
			}
		}
		if on.server.hosts.changing != nil {
			on.server.hosts.changing(on)
		}
		start(on, done)
	}
}

// explain asks which guard stopped a statement.
func (a *act) explain(ctx *patience, guards []guard) error {
	at := -1
	err := a.query(ctx, func(s *server) {
		for i := range guards {
			if at < 0 && guards[i].broken(s) {
				at = i
			}
		}
	})
	switch {
	case err != nil:
		return refuse(reparent.ReasonRefused, "a condition of %s did not hold on %s, and asking which failed: %v", a.command.Verb, a.server, err)
	case at >= 0:
		return refuse(guards[at].reason, "%s: %s", a.server, guards[at].detail)
	}
	return refuse(reparent.ReasonRefused, "a condition of %s did not hold on %s for a moment; try again", a.command.Verb, a.server)
}

// fenceGuard stops a statement when the server knows of a later leadership than ours.
func (a *act) fenceGuard() guard {
	term := a.term
	return guard{
		broken: func(s *server) bool { return s.knowsLater(term) },
		reason: reparent.ReasonFenced,
		detail: "it holds the marker of a higher term than ours",
	}
}

// observe is a full reading on the fenced session.
func (a *act) observe(ctx *patience) (topology.Observation, error) { return a.read(ctx) }

// read is a full reading on the session's own connection.
func (s *session) read(ctx *patience) (topology.Observation, error) {
	s.step()
	o := s.fleet.read(ctx, s.link, s.server)
	if !o.OK() {
		return o, fmt.Errorf("read %s: %s", s.server, o.Error)
	}
	return o, nil
}

// aside is a session for one statement that may hang. It is announced like the acting one and without the named lock,
// so that a hanging statement keeps no newer elector out; a newer elector kills it.
//
// It is safe for the same reason as the acting session: the round trip on the acting session that follows its login
// proves that no newer elector had finished its fence by then, and a newer elector's last look finds it.
type aside struct {
	*act
	link   *wire
	guards []guard         // beside the fence's own
	ended  *promise[error] // how its statement ended; nil before there is one
}

func (a *act) aside(ctx *patience, duty string) (*aside, error) {
	if spare := a.spare; duty == dutyMark && spare != nil {
		a.spare = nil
		if spare.link.alive() {
			spare.act = a
			return spare, nil
		}
		spare.close()
	}
	l, err := a.dial(ctx, duty)
	if err != nil {
		return nil, err
	}
	seen := false
	if err = a.query(ctx, func(s *server) { seen = l.guest.connected() }); err == nil && !seen {
		err = refuse(reparent.ReasonRefused, "%s does not show the connection attributes of a new session", a.server)
	}
	if err != nil {
		a.fleet.hangUp(l)
		return nil, err
	}
	return &aside{act: a, link: l}, nil
}

// warmUp does beforehand what the marker needs, so that the write gap has one round trip for it. What fails here is
// tried again when it is needed.
func (a *act) warmUp(ctx *patience) {
	if _, err := a.incarnation(ctx); err != nil || a.spare != nil && a.spare.link.alive() {
		return
	}
	if side, err := a.aside(ctx, dutyMark); err == nil {
		a.spare = side
	}
}

// close ends the session. A statement that still runs loses its connection; the server may go on with it.
func (s *aside) close() {
	if s.ended != nil {
		s.stray(s)
	}
	s.fleet.hangUp(s.link)
}

// start sends a guarded statement; how it ended is kept in what it returns.
func (s *aside) start(ctx *patience, run statement) *promise[error] {
	s.changed = true
	s.guards = append([]guard{s.fenceGuard()}, s.guards...)
	s.step()
	s.ended = s.fleet.send(ctx, s.link, guarded(s.guards, run))
	return s.ended
}

// run is start and the wait for its end.
func (s *aside) run(ctx *patience, run statement) error {
	return s.settle(ctx, s.fleet.await(ctx, s.link, s.start(ctx, run)))
}

// settle explains an end that a guard brought about.
func (s *aside) settle(ctx *patience, err error) error {
	if errnoOf(err) == errGuard {
		return s.explain(ctx, s.guards)
	}
	return err
}

// cancel ends the statement that runs, from the acting session.
func (s *aside) cancel(ctx *patience) error {
	id := s.link.guest.id
	err := s.exec(ctx, s.act.link, func(on *guest, done func(error)) { done(on.server.killQuery(id)) })
	if errnoOf(err) == errNoSuchThread {
		return nil
	}
	return err
}

// runAside is a statement in a session of its own, from login to goodbye.
func (a *act) runAside(ctx *patience, duty string, run statement) error {
	s, err := a.aside(ctx, duty)
	if err != nil {
		return err
	}
	err = s.run(ctx, run)
	s.close()
	return err
}
