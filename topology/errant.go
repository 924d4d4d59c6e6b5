package topology

import (
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/gtid"
)

// ErrantSets are the transactions that servers hold and the history of the primary does not, by server; see errantSets.
func ErrantSets(s Snapshot, h History, l Limits, now time.Time) map[Address]gtid.Set {
	var q inquiry
	q.begin(s, h, l, now)
	return q.errant
}

// errantSets finds the transactions that servers hold and the chosen history does not.
//
// Let P be the established primary with server_uuid U, and H the set of all transactions of its history: its
// leadership's base and marker, what P has executed, and what P writes from now on.
// Claim: what this function reports of a server X is not in H, whenever P and X were probed and in whichever order.
// P is asked at one moment and X at another, so X may hold what P executed in between, and it may hold what still
// waits for acknowledgements on P, which P's executed set does not show. Both kinds were written by P itself while it
// led, hence bear U: all of U is left out of the report. Any other transaction of H bears another UUID. P does not
// gain such ones after its establishment, but for those of another server that are taken into its history by record: so
// each of the others is in P's executed set or in the base at any time that P can be asked. Who follows P may hold of the
// former what P had not got yet when it was asked, and is not accused of them (takenIn). What remains is not in H.
// Once P shows its marker it has executed all that stood before it, the whole base included: what of the base P lacks even
// then, like the marker of an earlier decision that the base honours though it was never written, nobody will get from it.
// The claim costs this: a transaction under U that P itself has lost (a crash with sync_binlog off) is not seen here.
// Such a P has restarted and is judged as unverified.
// When P replicates from a server outside the cluster it does gain foreign UUIDs; then only those of members count.
// When P was never seen its executed set is unknown, and nothing is claimed.
func (q *inquiry) errantSets() map[Address]gtid.Set {
	seen := q.primarySeen()
	if seen == nil {
		return nil
	}
	var all map[Address]gtid.Set
	mayBeErrant, abreast := q.mayBeErrant(seen), q.knowsAll(seen)
	for _, o := range q.replicas {
		if _, ahead := q.ahead[o.Address]; !o.Reach.OK() || ahead && !abreast {
			continue
		}
		errant := o.Executed.Subtract(seen.Executed).Union(o.Received.Subtract(seen.Executed)).Only(mayBeErrant)
		if q.led && !errant.IsEmpty() && !seen.Executed.Has(q.lead.Marker().GTID()) {
			errant = errant.Subtract(q.lead.Base).Subtract(q.lead.Marker().Set())
		}
		if q.led && !errant.IsEmpty() {
			errant = errant.Subtract(q.takenIn(o))
		}
		if !errant.IsEmpty() {
			if all == nil {
				all = map[Address]gtid.Set{}
			}
			all[o.Address] = errant
		}
	}
	return all
}

// knowsAll tells whether the one writable server of a cluster in which nobody leads by record knows of every leadership that
// any server has heard of: nobody is ahead of it then, however much is not on record.
func (q *inquiry) knowsAll(leader *Observation) bool {
	if q.led {
		return false
	}
	for _, m := range q.ahead {
		if !leader.Executed.Has(m.GTID()) {
			return false
		}
	}
	return true
}

// takenIn is what a replica may have got from the primary of the transactions of other servers that are taken into its
// history. What a server holds by itself of its own counts until the primary shows it.
func (q *inquiry) takenIn(o *Observation) (all gtid.Set) {
	if o.Replication == nil || o.Replication.SourceUUID != q.leaderUUID && !q.cascades(o) {
		return all
	}
	for from, set := range q.lead.Accepted {
		if from != o.Address {
			all = all.Union(set)
		}
	}
	return all
}

// primarySeen is the latest answer of the leader; nil when it was never seen.
func (q *inquiry) primarySeen() *Observation {
	seen, ok := q.p, q.p.Reach.OK()
	if !ok {
		seen = q.h.LastSeen[q.leader]
		ok = seen != nil
	}
	if !ok || q.leader == "" || seen.UUID != q.leaderUUID {
		return nil
	}
	return seen
}

// mayBeErrant leaves out what the primary itself writes and what it takes over from outside the cluster.
func (q *inquiry) mayBeErrant(seen *Observation) func(gtid.Source) bool {
	if seen.Replication == nil || seen.Replication.Receiver == ThreadOff {
		return func(s gtid.Source) bool { return s.UUID != q.leaderUUID }
	}
	return func(s gtid.Source) bool { return s.UUID != q.leaderUUID && q.isMember(s.UUID) }
}

// isMember tells whether a reached member has this server_uuid.
func (q *inquiry) isMember(u gtid.UUID) bool {
	return slices.ContainsFunc(q.members, func(o *Observation) bool { return o.Reach.OK() && o.UUID == u })
}

func (q *inquiry) errants(found []Finding) []Finding {
	for _, o := range q.replicas {
		errant, ok := q.errant[o.Address]
		if !ok {
			continue
		}
		found = append(found, Finding{
			Code: Errant, Severity: SeverityCritical, Server: o.Address,
			Message:  fmt.Sprintf("%s holds %s that the history of %s does not contain", o.Address, transactions(errant), q.leader),
			Evidence: q.errantEvidence(o, errant),
			WhyNot:   "errant transactions are never dropped on suspicion: rewind or clone the server if they were provably never acknowledged, else export them and decide",
		})
	}
	return found
}

// errantEvidence says where each stream of errant transactions comes from.
func (q *inquiry) errantEvidence(o *Observation, errant gtid.Set) []Evidence {
	var all []Evidence
	for _, u := range errant.UUIDs() {
		part := errant.Only(func(s gtid.Source) bool { return s.UUID == u })
		all = append(all, q.saw(o, "holds %s, written by %s", transactions(part), q.author(u)))
	}
	return all
}

// author names who writes under a UUID.
func (q *inquiry) author(u gtid.UUID) string {
	if m, ok := MarkerOf(u); ok {
		return "an elector as the marker of " + m.String()
	}
	for _, o := range q.members {
		if o.Reach.OK() && o.UUID == u {
			return string(o.Address)
		}
	}
	for _, l := range q.h.Leaderships {
		if l.PrimaryUUID == u {
			return string(l.Primary) + " as a leader"
		}
	}
	return "a server that is not reached or no member"
}
