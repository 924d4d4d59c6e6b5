package topology

import "fmt"

// A record that was taken over from the servers' journals names the latest leadership that those know of which answer: L under
// term t. A later one, of M under term u, may have been established all the same, if nobody who answers remembers it.
//
// Claim: it was not, when L's ackers that replicate from it right now suffice for it to complete; or when the silent, which are
// the members that do not answer and those that lost what they knew, do not suffice for any of them to complete. For M was
// established only after L had been revoked, which froze so many of L's ackers that the rest do not suffice: those that
// replicate from L were not frozen, as nobody else starts a frozen receiver. And M's marker is on M and on as many of its
// ackers as M needed; whoever has it and remembers shows it, so all of them are silent. Where all members answer it no longer
// matters whether there was an M: one that had not lost its data would show its marker, so nobody leads in L's place, and what
// M answered is held by nobody who could come back with it.
//
// So as long as none of this holds nothing is attached to L: it could then answer clients with the acknowledgements of servers that
// were frozen so that it cannot, beside M.

// rivalled says who may lead in the leader's place by what a lost record may have said; empty when nobody can.
func (q *inquiry) rivalled() string {
	if !q.h.Recovered || !q.led || q.needed == 0 {
		return ""
	}
	if q.s.Ruleset.CanComplete(q.leader, q.s.where(q.receivesFromLeader)) {
		return ""
	}
	if q.servers.Minus(q.s.where(func(o *Observation) bool { return o.Reach.OK() })).IsEmpty() {
		return ""
	}
	silent := q.servers.Minus(q.s.where(q.remembers))
	for a := range silent.And(q.s.Ruleset.direct()).All() {
		if q.s.Ruleset.CanComplete(a, silent) {
			return fmt.Sprintf("the record was lost, and %s may lead since by the acknowledgements of others that do not answer or lost their data: %s", a, silent)
		}
	}
	return ""
}

func (q *inquiry) receivesFromLeader(o *Observation) bool {
	return o.Reach.OK() && q.follows(o) && o.Replication.Receiver == ThreadOn
}

// remembers tells whether a server would show a leadership that came after the leader's, if it had taken part in one: it
// answers, and holds at least the leader's marker.
func (q *inquiry) remembers(o *Observation) bool {
	return o.Reach.OK() && o.Position().Has(q.lead.Marker().GTID())
}
