package reparent

import (
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// Prospect is what a failure would lead to.
type Prospect string

// The prospects.
const (
	ProspectUnaffected Prospect = "unaffected"  // the primary stays, and writes go on
	ProspectWritesWait Prospect = "writes_wait" // the primary stays, and commits wait for acknowledgements
	ProspectPromoted   Prospect = "promoted"    // another server is promoted
	ProspectBlocked    Prospect = "blocked"     // nobody can be promoted
	ProspectUnknown    Prospect = "unknown"     // no leadership is recorded, so nothing is done about it
)

// Forecast is what would happen if some servers failed.
type Forecast struct {
	Failed   topology.ServerSet
	Prospect Prospect
	// Promoted is the server that would be promoted.
	Promoted topology.Address
	// Obstacle is why nobody could be, or what commits would wait for.
	Obstacle *Obstacle
}

// Foresee plays an emergency change in which the servers that failed say nothing, and every other one does as it is told. It
// asks the questions that a change itself asks, so that nobody learns the answer during an outage. The intent carries
// snapshot and history; nothing is sent.
func Foresee(c antiflap.Clearance, in Intent, failed topology.ServerSet, now time.Time) Forecast {
	f := Forecast{Failed: failed, Prospect: ProspectUnknown}
	leader, led := in.History.Current()
	if !led {
		return f
	}
	before := in.Snapshot
	in = in.without(failed, leader.Primary, now)
	if primary := in.Snapshot.Server(leader.Primary); primary.OK() {
		f.Prospect, f.Obstacle = in.acknowledged(primary, before, failed)
		return f
	}
	op := Emergency(c, in, now)
	if op.Running() {
		_, op = DryRun(op, in.Snapshot, now)
	}
	f.Prospect, f.Obstacle = ProspectBlocked, op.Obstacle
	if op.State == StateSucceeded {
		f.Prospect, f.Promoted = ProspectPromoted, op.To
	}
	return f
}

// without is the intent of somebody who sees the same servers a moment after some failed. What these showed last is among the
// sightings already.
func (in Intent) without(failed topology.ServerSet, leader topology.Address, now time.Time) Intent {
	committed := in.Snapshot.Server(leader).Executed
	in.Snapshot.Servers = slices.Clone(in.Snapshot.Servers)
	for i := range in.Snapshot.Servers {
		o := &in.Snapshot.Servers[i]
		in.Term = max(in.Term, o.Term()+1)
		switch {
		case failed.Has(o.Address):
			*o = topology.Observation{Address: o.Address, At: now, Reach: topology.ReachSilent, FailingSince: now}
		case o.OK() && o.Replication != nil && o.Replication.Source == leader:
			*o = follower(*o, committed, failed.Has(leader))
		}
	}
	for _, l := range in.History.Leaderships {
		in.Term = max(in.Term, l.Term+1)
	}
	return in
}

// follower is a replica of the primary. Servers are probed one by one, so that the primary may show what had not arrived yet
// when the replica was asked; what its receiver was about to get, it has got by the time that the primary fails.
func follower(o topology.Observation, committed gtid.Set, orphaned bool) topology.Observation {
	channel := *o.Replication
	if channel.Receiver == topology.ThreadOn {
		o.Received = o.Received.Union(committed.Subtract(o.Executed))
		if orphaned {
			channel.Receiver = topology.ThreadConnecting
		}
	}
	o.Replication = &channel
	return o
}

// acknowledged tells whether commits on a primary that stays get the acknowledgements that they wait for.
func (in Intent) acknowledged(primary *topology.Observation, before topology.Snapshot, failed topology.ServerSet) (Prospect, *Obstacle) {
	if !primary.SemiSync.SourceEnabled || !primary.SemiSync.SourceActive {
		return ProspectUnaffected, nil
	}
	able := acking(in.Snapshot, primary)
	// The primary counts those too that are out of our reach; of the failed that were so, each may have been one, unless its
	// process is gone already.
	lost := failed.Where(func(a topology.Address) bool {
		o := before.Server(a)
		return !o.OK() && !o.Reach.Gone() || acking(before, primary).Has(a)
	})
	left := max(able.Len(), primary.SemiSync.Clients-lost.Len())
	if left >= primary.SemiSync.Acks {
		return ProspectUnaffected, nil
	}
	missing := in.Snapshot.Ruleset.Ackers(primary.Address).Minus(able)
	return ProspectWritesWait, &Obstacle{
		Code:    "too_few_ackers",
		Message: fmt.Sprintf("commits on %s wait for more acknowledgements than there are: for %d, of %d", primary.Address, primary.SemiSync.Acks, left),
		Needs:   subsets(missing, primary.SemiSync.Acks-left),
		Remedy:  "bring one of them back, or ask for fewer acks",
	}
}

// acking are the servers that are seen to acknowledge, and those that rest, or are to be mended, and are made to at once when
// they are needed.
func acking(s topology.Snapshot, primary *topology.Observation) topology.ServerSet {
	return s.Ruleset.Servers().Where(func(a topology.Address) bool {
		o := s.Server(a)
		able := o.SemiSync.ReplicaEnabled || s.Ruleset.Ackers(primary.Address).Has(a) && !s.Maintenance.Has(a)
		return o.OK() && able && o.Replication != nil && o.Replication.Source == primary.Address && o.Replication.Receiver == topology.ThreadOn
	})
}

// Failures are what is worth asking: each server, each zone of several servers, and up to pairsMax members each pair. A set
// is asked once.
func Failures(r topology.Ruleset) (single, zones, pairs []topology.ServerSet) {
	for i, m := range r.Members {
		single = append(single, topology.Servers(m.Address))
		if slices.IndexFunc(r.Members, func(o topology.Member) bool { return o.Zone == m.Zone }) == i && m.Zone != "" {
			zone := r.Servers().Where(func(a topology.Address) bool { o, _ := r.Member(a); return o.Zone == m.Zone })
			if zone.Len() > 1 && zone.Len() < len(r.Members) {
				zones = append(zones, zone)
			}
		}
		for _, n := range r.Members[i+1:] {
			if len(r.Members) <= pairsMax && len(r.Members) > 2 {
				pairs = append(pairs, topology.Servers(m.Address, n.Address))
			}
		}
	}
	pairs = slices.DeleteFunc(pairs, func(p topology.ServerSet) bool { return slices.ContainsFunc(zones, p.Equal) })
	return single, zones, pairs
}

// pairsMax is the largest cluster of which all pairs are asked for.
const pairsMax = 15
