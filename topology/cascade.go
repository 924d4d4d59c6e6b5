package topology

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// A cascaded replica replicates from another member, its intermediate, and not from the primary. Its receiver hears nobody but
// the intermediate, so it is no acker and no witness; and what it holds the intermediate has logged before, so nothing is lost
// by not waiting for it. It takes part in a change like other replicas that are no ackers: it is frozen and read where it
// answers, and is never waited for. An intermediate that leads is a primary, and its cascaded replicas are plain ones.
//
// Claim: a cascaded replica does not move to and fro for ever. It leaves its intermediate only when that was unfit for
// RehomeAfter, or could only harm it; it goes back only when the intermediate was fit for ReturnAfter, and each time that it had
// to leave again within memory the next return takes twice as long, up to a cap.

// errChained is for a source that has a source itself.
var errChained = errors.New("it has a source itself, and a cascade is one step deep")

// CascadeOf says why a member cannot be the source of another one; nil when it can. Whoever configures members has the places
// at hand, and words the rest.
func (r Ruleset) CascadeOf(m Member) error {
	source, isMember := r.Member(m.Source)
	switch {
	case m.Source == "":
		return nil
	case m.Source == m.Address:
		return errors.New("it cannot be its own source")
	case !isMember:
		return fmt.Errorf("%s is no member of the cluster", m.Source)
	case source.Source != "":
		return fmt.Errorf("%s cannot be a source: %w", m.Source, errChained)
	}
	return nil
}

func (r Ruleset) validateSources() error {
	for _, m := range r.Members {
		if err := r.CascadeOf(m); err != nil {
			return fmt.Errorf("the source of %s: %w", m.Address, err)
		}
		if m.Source != "" && m.Promotion != PromotionNever {
			return fmt.Errorf("%s replicates from %s and not from the primary, so it cannot lead: give it promotion never", m.Address, m.Source)
		}
	}
	return nil
}

// cascades tells whether any member replicates from another one than the primary by the rules.
func (r *Ruleset) cascades() bool {
	for i := range r.Members {
		if r.Members[i].Source != "" {
			return true
		}
	}
	return false
}

// direct are the members that replicate from whoever leads.
func (r Ruleset) direct() ServerSet {
	if !r.cascades() {
		return r.Servers()
	}
	return r.Servers().Where(func(a Address) bool {
		m, _ := r.Member(a)
		return m.Source == ""
	})
}

// Intermediate is whom a member replicates from by the rules, while somebody else leads; empty when that is the primary.
func (r Ruleset) Intermediate(a, primary Address) Address {
	if m, _ := r.Member(a); a != primary && m.Source != primary {
		return m.Source
	}
	return ""
}

// Cascaded are the members that replicate from one, by the rules.
func (r Ruleset) Cascaded(intermediate, primary Address) ServerSet {
	return r.Servers().Where(func(a Address) bool { return r.Intermediate(a, primary) == intermediate })
}

// SourceOf is from whom a replica is to replicate now, by what an analysis found: the primary, or an intermediate that can
// feed it.
func SourceOf(a Address, r Ruleset, primary Address, findings []Finding) Address {
	for i := range findings {
		f := &findings[i]
		if f.Server != a {
			continue
		}
		unfit := f.Code == IntermediateUnfit && f.Remedy == RemedyReconcile
		if unfit || f.Code == CascadeRehomed || f.Code == CascadeReturning && f.Remedy != RemedyReconcile {
			return primary
		}
	}
	return cmp.Or(r.Intermediate(a, primary), primary)
}

// intermediate is what was seen of the one from whom a server is to replicate by the rules; nil when that is the leader.
func (q *inquiry) intermediate(o *Observation) *Observation {
	if !q.cascading || q.leader == "" {
		return nil
	}
	if a := q.s.Ruleset.Intermediate(o.Address, q.leader); a != "" {
		return q.server(a)
	}
	return nil
}

// cascades tells whether a server's channel leads to its intermediate, under whatever name.
func (q *inquiry) cascades(o *Observation) bool {
	b, r := q.intermediate(o), o.Replication
	if b == nil || r == nil {
		return false
	}
	return r.Source == b.Address || !q.servers.Has(r.Source) && b.Reach.OK() && r.SourceUUID == b.UUID
}

// source is from whom a server rightly replicates; nil when it does not.
func (q *inquiry) source(o *Observation) *Observation {
	switch {
	case q.follows(o):
		return q.p
	case q.cascades(o):
		return q.intermediate(o)
	}
	return nil
}

// rightful names from whom a server is to replicate.
func (q *inquiry) rightful(o *Observation) Address {
	if b := q.intermediate(o); b != nil {
		return b.Address
	}
	return q.leader
}

// cascade judges whether a server is where the rules want it, or has to be with the primary meanwhile.
func (q *inquiry) cascade(found []Finding, o *Observation) []Finding {
	b := q.intermediate(o)
	if b == nil {
		return found
	}
	why, atOnce := q.unfitFor(b, o)
	switch home := q.follows(o); {
	case home && why != "":
		return append(found, q.rehomed(o, b, why))
	case home:
		return append(found, q.returning(o, b))
	case why != "":
		return append(found, q.unfitIntermediate(o, b, why, atOnce || !q.cascades(o)))
	}
	return found
}

// hasFitIntermediate tells whether a server can get what it lacks from its intermediate.
func (q *inquiry) hasFitIntermediate(o *Observation) bool {
	b := q.intermediate(o)
	if b == nil {
		return false
	}
	why, _ := q.unfitFor(b, o)
	return why == ""
}

// unfitFor says why an intermediate cannot feed its cascaded replica; empty when it can. What is seen first-hand and could only
// harm counts at once; what may pass by itself counts when it lasts.
func (q *inquiry) unfitFor(b, o *Observation) (why string, atOnce bool) {
	r := b.Replication
	switch {
	case !b.Reach.OK():
		return "is not reached: " + reachText(b), false
	case !q.errant[b.Address].IsEmpty():
		return "holds errant transactions", true
	case q.s.Settling == b.Address:
		return "is being settled", true
	case !q.follows(b) || q.isStale(b):
		return fmt.Sprintf("does not replicate from %s", q.leader), true
	case !b.Settings.LogBin || !b.Settings.LogReplicaUpdates:
		return "does not write what it replicates to its own binary log", true
	case !q.feeds(b, o) && !o.Position().Contains(b.Purged):
		return fmt.Sprintf("has purged %s, which %s lacks", transactions(b.Purged.Subtract(o.Position())), o.Address), true
	case q.s.Maintenance.Has(b.Address):
		return "is in maintenance", false
	case b.OfflineMode:
		return "is in offline mode", false
	case q.leads() && (r.Receiver == ThreadOff || lastingly(r)):
		return fmt.Sprintf("does not receive from %s%s", q.leader, errnoText(r.ReceiverErrno)), false
	case r.Applier != ThreadOn:
		return "does not apply" + errnoText(r.ApplierErrno), false
	case q.cascades(o) && lastingly(o.Replication): // one that was merely stopped is started again
		return fmt.Sprintf("is well, and %s does not receive from it%s", o.Address, errnoText(o.Replication.ReceiverErrno)), false
	}
	return "", false
}

// lastingly tells whether a receiver does not get through to its source, and not merely not yet.
func lastingly(r *Replication) bool { return r.Receiver != ThreadOn && r.ReceiverErrno != 0 }

// feeds tells whether a cascaded replica receives from its intermediate right now: then it lacks nothing that is purged there.
func (q *inquiry) feeds(b, o *Observation) bool {
	return q.cascades(o) && o.Replication.Receiver == ThreadOn && b.Reach.OK()
}

func (q *inquiry) unfitIntermediate(o, b *Observation, why string, atOnce bool) Finding {
	f := q.onChannel(o, IntermediateUnfit, SeverityWarning, RemedyReconcile,
		fmt.Sprintf("is to replicate from %s, which %s", b.Address, why), "its intermediate is "+string(b.Address))
	f.Evidence = append(f.Evidence, q.noted(b, why))
	if f.Remedy == RemedyNone {
		return f
	}
	lacking := q.p.Purged.Subtract(o.Position())
	since := began(&f, q.previous)
	switch {
	case !lacking.IsEmpty():
		return f.without(fmt.Sprintf("%s has purged %s, which it lacks, so it could get them from %s only, or be cloned", q.leader, transactions(lacking), b.Address))
	case !atOnce && (since.IsZero() || q.now.Sub(since) < q.l.RehomeAfter):
		return f.without(fmt.Sprintf("it is attached to %s when that lasts for %s", q.leader, span(q.l.RehomeAfter)))
	}
	return f
}

func (q *inquiry) rehomed(o, b *Observation, why string) Finding {
	f := q.onChannel(o, CascadeRehomed, SeverityInfo, RemedyNone,
		fmt.Sprintf("replicates from %s meanwhile, for %s, its intermediate, %s", q.leader, b.Address, why), "its source is "+string(o.Replication.Source))
	f.Evidence = append(f.Evidence, q.noted(b, why))
	f.WhyNot = fmt.Sprintf("it goes back when %s has been fit for %s", b.Address, span(q.returnAfter(o)))
	return f
}

func (q *inquiry) returning(o, b *Observation) Finding {
	f := q.onChannel(o, CascadeReturning, SeverityInfo, RemedyReconcile,
		fmt.Sprintf("replicates from %s, and %s, its intermediate, could feed it", q.leader, b.Address), "its source is "+string(o.Replication.Source))
	if since := began(&f, q.previous); since.IsZero() || q.now.Sub(since) < q.returnAfter(o) {
		return f.without(fmt.Sprintf("it goes back when %s has been fit for %s", b.Address, span(q.returnAfter(o))))
	}
	return f
}

// returnsMost caps how often the time before a return is doubled.
const returnsMost = 4

// returnAfter is for how long an intermediate has to be fit before a replica goes back to it that had to leave it lately.
func (q *inquiry) returnAfter(o *Observation) time.Duration {
	return q.l.ReturnAfter << min(max(q.s.Rehomed[o.Address]-1, 0), returnsMost)
}

// strayCascaded is a cascaded replica that would acknowledge as soon as its intermediate led, before anybody could tell it not
// to: what only it holds would then count as safe.
func (q *inquiry) strayCascaded(found []Finding, o *Observation) []Finding {
	var f Finding
	switch {
	case o.SemiSync.ReplicaEnabled:
		f = q.strayAcker(o)
	case o.AcksAlone():
		f = q.strayAtBoot(o)
	default:
		return found
	}
	f.Severity = SeverityWarning
	f.Message += fmt.Sprintf("; it replicates from %s for now, and would when that led", o.Replication.Source)
	return append(found, f)
}

// delay is for how long a server applies late on purpose, because it is told to or because its intermediate is.
func (q *inquiry) delay(o *Observation) time.Duration {
	seconds := o.Replication.ApplierDelayed
	if b := q.intermediate(o); b != nil && q.cascades(o) && b.Replication != nil {
		seconds += b.Replication.ApplierDelayed
	}
	return time.Duration(seconds) * time.Second
}
