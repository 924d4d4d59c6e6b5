package reparent

import (
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// answer carries a command out. A command that waits for something which has not happened answers pending, and is
// asked again later.
func (w *world) answer(c Command) (r Result, pending bool) {
	s := w.servers[c.Server]
	if !s.up || w.cut.Has(c.Server) {
		return no(ReasonUnreachable), false
	}
	if seen := s.observe(); s.owner > c.Term || seen.Term() > c.Term {
		return no(ReasonFenced), false
	}
	s.owner = c.Term
	r, pending = s.do(c)
	w.flow()
	if !pending && c.Verb != AwaitApplied {
		r.Observation = s.observe()
	}
	return r, pending
}

func no(why Reason) Result { return Result{Outcome: No, Reason: why} }

// late is the answer of a command whose deadline passed.
func (w *world) late(c Command) Result {
	s := w.servers[c.Server]
	r := Result{Outcome: No, Reason: ReasonDeadline}
	switch c.Verb {
	case Mark:
		r.Outcome = Unknown // the commit still waits
	case Barrier:
		r.Outcome, s.bar = Unknown, gtid.GTID{} // so does this one, and who asks again commits another
	case Demote:
		s.offline = s.offline && !c.Offline // cancelled
	}
	return r
}

var yes = Result{Outcome: Yes}

func (s *mysqld) do(c Command) (Result, bool) {
	switch c.Verb {
	case Read, CreateJournal:
		return yes, false
	case Freeze:
		s.bootStopped, s.receiver = true, false
		return yes, false
	case Resume:
		return s.resume(c), false
	case Poison:
		return s.poison(), false
	case Antidote:
		if c.Acks < 1 {
			return no(ReasonRefused), false
		}
		s.acks, s.offline = c.Acks, false
		s.settle()
		return yes, false
	case Demote:
		return s.demote(c)
	case Reopen, Open:
		return s.open(c), false
	case Fence:
		s.goOffline()
		s.readOnly, s.superReadOnly, s.semiSource = true, true, false
		for _, waiter := range s.waiting {
			s.complete(waiter.gtid, false)
		}
		s.waiting = nil
		return yes, false
	case Follow:
		return s.follow(c), false
	case AwaitApplied:
		s.applier = s.applier || s.channel
		return yes, !s.executed.Contains(c.Set)
	case AwaitAckers:
		return yes, s.clients() < c.Acks
	case PrepareSource, EnableSource:
		if c.Acks < 1 {
			return no(ReasonRefused), false
		}
		s.acks, s.infinite = max(1, c.Acks), true
		s.semiSource = s.semiSource || c.Verb == EnableSource
		s.settle()
		return yes, false
	case DisableSource:
		if len(s.waiting) > 0 {
			return no(ReasonWaiters), false
		}
		s.semiSource = false
		return yes, false
	case Mark:
		return s.mark(c)
	case Barrier:
		return s.barrier(c)
	case Detach:
		if len(s.relay) > 0 {
			return no(ReasonUnapplied), false
		}
		s.channel, s.receiver, s.received = false, false, gtid.Set{}
		return yes, false
	}
	panic("no such verb: " + string(c.Verb))
}

func (s *mysqld) resume(c Command) Result {
	if !c.Within.IsEmpty() && !c.Within.Contains(s.position()) {
		return no(ReasonErrant)
	}
	s.receiver = s.channel
	return yes
}

func (s *mysqld) poison() Result {
	if !s.semiSync().Verified() {
		return no(ReasonNotSemiSync)
	}
	s.acks = topology.PoisonAcks
	s.goOffline()
	return yes
}

// goOffline cuts the clients: nobody is told OK any more.
func (s *mysqld) goOffline() {
	s.offline = true
	for i := range s.waiting {
		s.waiting[i].client = false
	}
}

func (s *mysqld) demote(c Command) (Result, bool) {
	if c.Offline {
		s.goOffline()
	}
	if len(s.waiting) > 0 {
		return yes, true
	}
	s.readOnly, s.superReadOnly = true, true
	return yes, false
}

func (s *mysqld) open(c Command) Result {
	if c.Incarnation != "" && c.Incarnation != s.incarnation() {
		return no(ReasonRefused)
	}
	s.readOnly, s.superReadOnly = false, false
	if c.Verb == Open {
		s.offline = false
	}
	return yes
}

func (s *mysqld) follow(c Command) Result {
	following := s.connected() && s.source == c.Source && s.semiReplica == c.Acker
	switch {
	case !following && !c.Within.IsEmpty() && !c.Within.Contains(s.position()):
		return no(ReasonErrant)
	case len(s.waiting) > 0:
		return no(ReasonWaiters)
	}
	s.readOnly, s.superReadOnly, s.semiSource, s.offline = true, true, false, false
	s.semiReplica, s.source, s.channel, s.receiver, s.applier = c.Acker, c.Source, true, true, true
	return yes
}

func (s *mysqld) mark(c Command) (Result, bool) {
	g := c.Decision.Marker().GTID()
	switch {
	case c.Decision.Incarnation != s.incarnation():
		return no(ReasonRefused), false
	case s.executed.Has(g):
		return yes, false
	case s.logged().Has(g):
		return yes, true
	case !c.Within.IsEmpty() && !c.Within.Contains(s.position()):
		return no(ReasonErrant), false
	case c.Acks > 0 && !s.semiSync().Verified():
		return no(ReasonNotSemiSync), false
	}
	s.world.safeToMark(c)
	s.superReadOnly = false
	s.commit(g, false)
	return yes, !s.executed.Has(g)
}

// barrier commits a transaction once, however often it is asked whether it came back.
func (s *mysqld) barrier(c Command) (Result, bool) {
	switch {
	case c.Incarnation != s.incarnation() || s.readOnly || s.offline:
		return no(ReasonRefused), false
	case s.bar.Number == 0 && (!s.semiSync().Verified() || s.acks < c.Acks):
		return no(ReasonNotSemiSync), false
	case s.bar.Number == 0:
		s.bar = s.next()
		s.commit(s.bar, false)
	}
	if !s.executed.Has(s.bar) {
		return yes, true
	}
	s.bar = gtid.GTID{}
	return yes, false
}
