package sim

import (
	"fmt"
	"slices"
)

// Settle implements scenario.Stage: it lets time pass until nothing moves any more but what has no end, like attempts to
// connect to somebody who is away.
func (s *Stage) Settle() error {
	why := ""
	err := s.until("rest", func() bool { why = s.restless(); return why == "" })
	if err != nil {
		return fmt.Errorf("%w: %s", err, why)
	}
	return nil
}

// restless says what still moves; empty when nothing does.
func (s *Stage) restless() string {
	for _, x := range s.world.hosts.all {
		if why := s.moves(x); why != "" {
			return fmt.Sprintf("%s: %s", x.address, why)
		}
	}
	for _, w := range s.writes {
		if !w.ended && (w.on.state == processDead || w.on.done.has(w.gtid)) {
			return fmt.Sprintf("the client of %s has not heard yet", w.gtid)
		}
	}
	return ""
}

// moves says what a server is still about to do.
func (s *Stage) moves(x *server) string {
	switch {
	case x.state == processBooting:
		return "it starts"
	case x.state != processUp:
		return ""
	case len(x.commits) > 0 && s.willHear(x) >= x.semi.acks:
		return "acknowledgements must come"
	case len(x.commits) == 0 && x.inFlight > 0 && !x.disk.stuck():
		return "it commits"
	case s.hasStaleDump(x):
		return "it has not noticed that a replica left"
	case x.channel == nil:
		return ""
	}
	if why := s.receives(x); why != "" {
		return why
	}
	c := x.channel
	if ails := c.applier.ails; c.applier.on && c.relay.len() > 0 && len(x.commits) == 0 && ails.delay == 0 && !ails.blocked && !x.disk.stuck() {
		return "it applies"
	}
	return ""
}

// willHear counts those whose acknowledgement of the oldest commit is there or must come.
func (s *Stage) willHear(x *server) int {
	head := x.commits[0]
	n := x.acksFor(head.place)
	for _, d := range x.dumps {
		if s.willSay(d, head) {
			n++
		}
	}
	return n
}

// willSay tells whether a replica is still about to acknowledge a commit, and will be heard.
func (s *Stage) willSay(d *dump, c *commit) bool {
	x, replica := d.source, d.replica
	lost, ever := s.lost[d]
	switch {
	case !d.semi || d.receiver.dump != d || d.exclude.Has(c.gtid) || replica.disk.stuck():
		return false
	case s.isMuted(replica, x) || !s.flows(replica, x) || ever && lost >= c.place:
		return false
	}
	return !slices.ContainsFunc(x.semi.acked, func(a ackedTo) bool { return a.serverID == d.from.serverID && a.place >= c.place })
}

// flows tells whether two servers hear each other.
func (s *Stage) flows(a, b *server) bool {
	n := s.world.network
	return n.up(a.place, b.place) && n.up(b.place, a.place)
}

// hasStaleDump tells whether a server still feeds one that has left. Of one that it cannot hear it never learns.
func (s *Stage) hasStaleDump(x *server) bool {
	return slices.ContainsFunc(x.dumps, func(d *dump) bool { return d.receiver.dump != d && s.flows(d.replica, x) })
}

// receives says what a receiver is still about to do.
func (s *Stage) receives(x *server) string {
	r, source := &x.channel.receiver, s.at(x.channel.source)
	away := source == nil || source.state != processUp || source.offline || s.isParted(x, source) || !s.flows(x, source)
	switch {
	case r.state == receiverOn && away:
		return "it has not noticed that its source is away"
	case r.state == receiverOn && len(r.unsaved) == 0 && !x.disk.stuck() && s.lacks(x, source):
		return "it receives"
	case (r.state == receiverTrying || r.state == receiverPausing) && !away:
		return "it connects"
	}
	return ""
}

// lacks tells whether a replica has not got all that is in its source's binary log.
func (s *Stage) lacks(x, source *server) bool {
	return slices.ContainsFunc(source.log.entries, func(t *transaction) bool { return t.origin != x.serverID && !x.channel.holds(t.gtid) })
}
