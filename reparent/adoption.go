package reparent

import (
	"fmt"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/topology"
)

// Adoption records the first term of a healthy cluster on its one writable primary.
func Adoption(c antiflap.Clearance, in Intent, primary topology.Address, now time.Time) Operation {
	op := begin(KindAdoption, c, in, now)
	if !op.Running() {
		return op
	}
	seen := in.Snapshot.Server(primary)
	if !seen.Writable() {
		return op.block(Obstacle{Code: "not_writable", Message: fmt.Sprintf("%s is not a writable primary", primary)}, now)
	}
	if current, led := in.History.Current(); led {
		return op.block(Obstacle{Code: "adopted", Message: fmt.Sprintf("%s leads under term %d already", current.Primary, current.Term)}, now)
	}
	for _, o := range in.Snapshot.Servers {
		if o.Writable() && o.Address != primary {
			return op.block(Obstacle{Code: "two_writable", Message: fmt.Sprintf("%s is writable too", o.Address), Remedy: "close one of them"}, now)
		}
	}
	op.To, op.From, op.Phase = primary, primary, PhaseMarking
	op.Chosen = seen.Executed
	return op.sealed(seen.Executed.Union(op.pendingMarkers(primary)), in.Snapshot.Reached())
}
