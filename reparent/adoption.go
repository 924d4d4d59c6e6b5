package reparent

import (
	"fmt"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/topology"
)

// Adoption records the first term of a healthy cluster on its one writable primary, or a new one where what is on record
// was taken over from journals. Replicas that are to
// acknowledge and do not yet are made to, before the primary begins to wait for them.
func Adoption(c antiflap.Clearance, in Intent, primary topology.Address, now time.Time) Operation {
	op := begin(KindAdoption, c, in, now)
	if !op.Running() {
		return op
	}
	seen := in.Snapshot.Server(primary)
	if !seen.Writable() {
		return op.block(Obstacle{Code: "not_writable", Message: fmt.Sprintf("%s is not a writable primary", primary)}, now)
	}
	if current, led := in.History.Current(); led && (!in.History.Recovered || current.Primary != primary) {
		return op.block(Obstacle{Code: "adopted", Message: fmt.Sprintf("%s leads under term %d already", current.Primary, current.Term)}, now)
	}
	for _, o := range in.Snapshot.Servers {
		if o.Writable() && o.Address != primary {
			return op.block(Obstacle{Code: "two_writable", Message: fmt.Sprintf("%s is writable too", o.Address), Remedy: "close one of them"}, now)
		}
	}
	op.To, op.From, op.Phase = primary, primary, PhaseMarking
	op.Chosen, op.Followers = seen.Executed, op.mute(in.Snapshot)
	op.Progress[primary] = Progress{Reading: seen}
	return op.sealed(seen.Executed.Union(op.pendingMarkers(primary)), in.Snapshot.Reached())
}

// mute are the replicas of the primary on which the replica side of semi-sync is off.
func (op Operation) mute(s topology.Snapshot) topology.ServerSet {
	return op.Ruleset.Ackers(op.To).Where(func(a topology.Address) bool {
		o := s.Server(a)
		return o.OK() && o.Replication != nil && o.Replication.Source == op.To && !o.SemiSync.ReplicaEnabled
	})
}
