package topology

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// An acker that has much to apply would be slow to lead, and slow to hand on what only it has received. So it rests: it goes
// on receiving and acknowledges nothing, as long as others acknowledge enough. Whom the ruleset lets acknowledge stays as it
// is: the fewer do, the less can have been completed, so that a server may begin to rest at any time, and cease to.

const (
	// restAfter is for how long an acker has to be behind before it rests: to switch takes a restart of its receiver.
	restAfter = 5 * time.Second
	// restEnds is the part of the limit below which it acknowledges again.
	restEnds = 10
	// ackWaitMost is how long commits may wait for acknowledgements while ackers rest.
	ackWaitMost = time.Second
)

// acksNow tells whether a replica of the leader acknowledges at this moment.
func (o *Observation) acksNow() bool {
	return o.Replication != nil && o.Replication.Receiver == ThreadOn && o.SemiSync.ReplicaEnabled && o.SemiSync.ReplicaActive
}

// backlog ranks ackers that are behind: one that waits on purpose, one that applies nothing at all, or what is left to apply.
// None is 0.
func (q *inquiry) backlog(o *Observation) uint64 {
	const never, delayed = 1 << 62, 1 << 63
	if o.Replication.ApplierDelayed > 0 {
		return delayed
	}
	limit, left := uint64(q.l.BacklogMax), o.Unapplied().Count()
	if !o.acksNow() {
		limit /= restEnds
	}
	switch {
	case left == 0:
		return 0
	case o.Replication.Applier != ThreadOn:
		return never
	case left > limit:
		return left
	}
	return 0
}

// resting are the ackers that are to acknowledge nothing for now: those behind, the worst first, that the commits of the
// primary can do without, also when one more server fails. Who is errant, or out of Primacy's hands, is not counted on. When
// commits wait, all are needed.
func (q *inquiry) resting() ServerSet {
	if q.l.BacklogMax < 0 || !q.led || !q.leads() || q.needed == 0 || q.p.Stall.OldestAckWait >= ackWaitMost {
		return ServerSet{}
	}
	var behind []*Observation
	var reliable []Address
	for _, o := range q.replicas {
		if !o.Reach.OK() || !q.ackers.Has(o.Address) || !q.follows(o) {
			continue
		}
		if o.acksNow() && !q.s.Maintenance.Has(o.Address) && q.errant[o.Address].IsEmpty() {
			reliable = append(reliable, o.Address)
		}
		if q.backlog(o) > 0 {
			behind = append(behind, o)
		}
	}
	if len(behind) == 0 {
		return ServerSet{}
	}
	slices.SortStableFunc(behind, func(a, b *Observation) int { return cmp.Compare(q.backlog(b), q.backlog(a)) })
	return q.dispensable(behind, Servers(reliable...))
}

// dispensable are those behind without whom enough others acknowledge, and one to spare: what a server has received while it
// rested it never acknowledges, so a commit that waits for it would wait until somebody commits after it. Those that rest
// already are asked for last: whether they may go on depends on who is left.
func (q *inquiry) dispensable(behind []*Observation, reliable ServerSet) ServerSet {
	var rest ServerSet
	acks := max(q.needed, q.p.SemiSync.Acks) + 1
	for _, idle := range []bool{false, true} {
		for _, o := range behind {
			others := reliable.Without(o.Address)
			if o.acksNow() != idle && q.s.Ruleset.CanCompleteWith(q.leader, others, acks) {
				rest, reliable = rest.With(o.Address), others
			}
		}
	}
	return rest
}

// behind is what is found about an acker that rests, or is about to.
func (q *inquiry) behind(o *Observation) Finding {
	left := fmt.Sprintf("has %s received and not applied", transactions(o.Unapplied()))
	f := q.onChannel(o, AckerBehind, SeverityWarning, RemedyNone, "", left)
	switch r := o.Replication; {
	case r.ApplierDelayed > 0:
		f.Severity = SeverityInfo
		f.Message = fmt.Sprintf("%s applies with a delay of %d s on purpose, so it is not to acknowledge while others do", o.Address, r.ApplierDelayed)
	case r.Applier != ThreadOn:
		f.Message = fmt.Sprintf("%s applies nothing, so it is not to acknowledge while others do", o.Address)
	default:
		f.Message = fmt.Sprintf("%s has %d transactions received and not applied (limit %d), so it is not to acknowledge while others do", o.Address, o.Unapplied().Count(), q.l.BacklogMax)
	}
	if !o.acksNow() {
		f.WhyNot = fmt.Sprintf("it acknowledges nothing, and does again when it has at most %d left to apply, or is needed", q.l.BacklogMax/restEnds)
		return f
	}
	if since := began(&f, q.previous); since.IsZero() || q.now.Sub(since) < restAfter {
		f.Severity, f.WhyNot = SeverityInfo, "it may have caught up within "+span(restAfter)
		return f
	}
	f.Remedy = RemedyReconcile
	if !q.errant[o.Address].IsEmpty() {
		f.Remedy, f.WhyNot = RemedyNone, "it holds errant transactions, which have to be settled first"
	}
	return f
}

// Rests tells whether a finding says of an acker that it is to acknowledge nothing, or does so already.
func (f Finding) Rests(o *Observation) bool {
	return f.Code == AckerBehind && f.Server == o.Address && (f.Remedy == RemedyReconcile || !o.SemiSync.ReplicaEnabled)
}
