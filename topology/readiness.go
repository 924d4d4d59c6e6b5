package topology

import (
	"fmt"
	"slices"
	"strings"
)

// readiness asks what would happen if the primary died now, or what stands in the way when it has. It is the same
// question that a reparent asks first, so that nobody learns the answer during an outage.
func (q *inquiry) readiness(found []Finding) []Finding {
	if !q.led || q.s.Reparenting {
		return found
	}
	failed := primaryFailed(found)
	lacks := append(q.revocationLacks(failed), q.establishmentLacks()...)
	if len(lacks) == 0 {
		return found
	}
	f := Finding{Code: WouldBlock, Severity: SeverityWarning, Server: q.leader, Evidence: []Evidence{q.noted(q.p, reachText(q.p))},
		Message: "if " + string(q.leader) + " failed now, a failover would block: " + strings.Join(lacks, "; ")}
	if failed {
		f.Severity = SeverityCritical
		f.Message = "the failover of " + string(q.leader) + " is blocked: " + strings.Join(lacks, "; ")
	}
	for _, o := range q.replicas {
		if reason := q.unfit(o); reason != "" {
			f.Evidence = append(f.Evidence, q.noted(o, reason))
		}
	}
	return append(found, f)
}

// failedCodes are the findings that ask for another primary.
var failedCodes = []Code{PrimaryDead, PrimaryFrozen, PrimaryStuck, PrimaryReadOnly, PrimaryUnverified, PrimaryReplaced, LeadershipUnsettled}

func primaryFailed(found []Finding) bool {
	for _, f := range found {
		for _, c := range failedCodes {
			if f.Code == c && f.Severity == SeverityCritical && f.Remedy == RemedyEmergency {
				return true
			}
		}
	}
	return false
}

// revocationLacks says which of the servers that may be leading could not be stopped. A leader that answers can be
// stopped on the server itself; another one only by freezing so many ackers that it cannot complete.
func (q *inquiry) revocationLacks(failed bool) []string {
	var lacks []string
	for _, l := range q.h.Leaderships {
		if l.Term < q.lead.Term {
			continue
		}
		here := q.server(l.Primary)
		answers := here.Reach.OK() && here.UUID == l.PrimaryUUID
		if answers && (failed || l.Primary != q.leader) {
			continue
		}
		if lack := q.revocationLack(l.Primary, q.acksOf(l)); lack != "" {
			lacks = append(lacks, lack)
		}
	}
	return lacks
}

// acksOf is how many acknowledgements a leader waits for: what it was seen to do where that is less than the rule.
func (q *inquiry) acksOf(l Leadership) int {
	needed := q.s.Ruleset.AcksNeeded(l.Primary)
	o := q.server(l.Primary)
	switch {
	case !o.Reach.OK() || o.UUID != l.PrimaryUUID:
		return needed
	case !o.SemiSync.SourceEnabled || !o.SemiSync.SourceActive:
		return 0
	}
	return min(needed, o.SemiSync.Acks)
}

func (q *inquiry) revocationLack(leader Address, acks int) string {
	r := q.s.Ruleset
	if r.Policy.Kind == PolicyNone {
		if r.Policy.AllowUnfenced {
			return ""
		}
		return fmt.Sprintf("under policy none %s needs no acknowledgement, so nothing on the replicas can stop it: it takes a fencing hook, an operator's certificate or allow_unfenced", leader)
	}
	if acks == 0 {
		return fmt.Sprintf("%s does not wait for acknowledgements, so stopping its ackers would not stop it", leader)
	}
	loose := q.unreachedAckers(leader)
	if loose.Len() < acks {
		return ""
	}
	return fmt.Sprintf("%s could still complete writes with %s, which %s not reached: bring back %s", leader,
		named(loose.List()), does(loose.Len(), "is", "are"), either(Unrevoked(loose, acks)))
}

// unreachedAckers are the servers out of reach that could acknowledge a leader's commits: those whose acknowledgement is to
// count, and those of which it is not known that they give none.
func (q *inquiry) unreachedAckers(leader Address) ServerSet {
	ackers := q.ackersOf(leader)
	return q.servers.Without(leader).Where(func(a Address) bool {
		return !q.server(a).Reach.OK() && (ackers.Has(a) || q.h.LastSeen.Of(a).MayAck())
	})
}

func (q *inquiry) ackersOf(leader Address) ServerSet {
	if leader == q.leader {
		return q.ackers
	}
	return q.s.Ruleset.Ackers(leader)
}

// establishmentLacks says why none of the other servers could become primary; nothing when one could.
func (q *inquiry) establishmentLacks() []string {
	others := q.eligible()
	if slices.ContainsFunc(others, q.establishable) {
		return nil
	}
	lacks := make([]string, len(others))
	for i, a := range others {
		lacks[i] = q.establishmentLack(a)
	}
	if len(lacks) == 0 {
		return []string{"no other server may be promoted"}
	}
	return lacks
}

// eligible are the other members that the rules let lead.
func (q *inquiry) eligible() []Address {
	found := make([]Address, 0, len(q.s.Ruleset.Members))
	for i := range q.s.Ruleset.Members {
		if m := &q.s.Ruleset.Members[i]; m.Address != q.leader && m.Promotion != PromotionNever {
			found = append(found, m.Address)
		}
	}
	return found
}

func (q *inquiry) establishable(candidate Address) bool {
	if !q.fit(q.server(candidate)) {
		return false
	}
	able, r := 0, &q.s.Ruleset
	home := r.zoneOf(candidate)
	for i, o := range q.members {
		if m := &r.Members[i]; m.Address != q.leader && r.counts(m, candidate, home) && q.fit(o) {
			able++
		}
	}
	return able >= r.AcksNeeded(candidate)
}

// attachable are the ackers that a new primary would get.
func (q *inquiry) attachable(candidate Address) ServerSet {
	return q.s.Ruleset.Ackers(candidate).Where(func(a Address) bool { return a != q.leader && q.fit(q.server(a)) })
}

func (q *inquiry) establishmentLack(candidate Address) string {
	if reason := q.unfit(q.server(candidate)); reason != "" {
		return string(candidate) + " " + reason
	}
	r := q.s.Ruleset
	return fmt.Sprintf("%s could not get %s: it would also need %s", candidate,
		plural(r.AcksNeeded(candidate), "acknowledgement", "acknowledgements"), either(r.Establishable(candidate, q.attachable(candidate))))
}

// fit tells whether a server could lead or follow a new primary right now.
func (q *inquiry) fit(o *Observation) bool { return o.Reach.OK() && q.unfit(o) == "" }

// unfit says why a server could neither lead nor follow a new primary right now; empty when it could.
func (q *inquiry) unfit(o *Observation) string {
	r := o.Replication
	switch {
	case !o.Reach.OK():
		return "is not reached: " + reachText(o)
	case q.s.Maintenance.Has(o.Address):
		return "is in maintenance"
	case !q.errant[o.Address].IsEmpty():
		return "holds errant transactions"
	case r == nil:
		return "does not replicate"
	case r.Applier != ThreadOn && (r.Applier != ThreadOff || r.ApplierErrno != 0): // one that stands still is started
		return "does not apply" + errnoText(r.ApplierErrno)
	case q.needed > 0 && !o.SemiSync.Installed:
		return "lacks the semi-sync plugins"
	}
	return ""
}
