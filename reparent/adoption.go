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
	op.To, op.From, op.Phase = primary, primary, PhaseMarking
	op.Chosen = seen.Executed
	return op.sealed(seen.Executed, in.Snapshot.Reached())
}
