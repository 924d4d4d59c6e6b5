package api

import (
	"fmt"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Check is the answer to a router that asks whether to send clients to a server.
type Check struct {
	OK     bool   `json:"ok"`
	Server string `json:"server"`
	Role   string `json:"role"`
	Term   uint32 `json:"term"`
	Reason string `json:"reason" doc:"Why not; empty when ok."`
}

// leadership is who leads a cluster by what is known right now. While a change is under way, the old primary counts
// no more from the moment at which it begins to be revoked, and the new one counts as soon as it takes writes.
func leadership(v orchestrator.View) (primary topology.Address, term uint32, opened bool) {
	op := v.Running
	if op == nil {
		return v.Primary, v.Term, false
	}
	switch op.Phase {
	case reparent.PhaseReconciling, reparent.PhaseDone:
		if !op.Established.IsZero() {
			return op.To, op.Term, true
		}
	case reparent.PhaseRevoking, reparent.PhaseDemoting, reparent.PhaseCatchingUp, reparent.PhaseFetching,
		reparent.PhasePropagating, reparent.PhaseMarking, reparent.PhaseOpening, reparent.PhaseReleasing:
		if op.Kind != reparent.KindAdoption && op.Kind != reparent.KindRules {
			return "", op.Term, false
		}
	case reparent.PhasePreparing, reparent.PhaseMeasuring, reparent.PhaseGating,
		reparent.PhaseRaising, reparent.PhaseDisabling, reparent.PhaseBarrier, reparent.PhaseRecording:
	}
	return v.Primary, v.Term, false
}

// checkPrimary succeeds only for the server that leads an established term, is reached and writable, as of now. A
// store that is away does not fail it: the primary goes on serving. That another elector has moved the primary
// meanwhile shows on the servers, in a term higher than the one on record.
func checkPrimary(v orchestrator.View, server topology.Address, now time.Time, freshFor time.Duration) Check {
	primary, term, opened := leadership(v)
	o := v.Snapshot.Server(server)
	c := Check{Server: string(server), Role: string(v.Roles[server]), Term: term}
	switch {
	case primary == "" && v.Running != nil:
		c.Reason = "the primary is being changed"
	case primary == "":
		c.Reason = "no primary is established"
	case server != primary:
		c.Reason = "the primary is " + string(primary)
	case stale(v, now, freshFor):
		c.Reason = staleReason(v, now)
	case opened:
		c.OK, c.Role = true, string(topology.RolePrimary)
	case !o.OK():
		c.Reason = "it is not reached: " + string(o.Reach)
	case highestTerm(v) > term:
		c.Reason = fmt.Sprintf("a server has heard of term %d, higher than %d on record", highestTerm(v), term)
	case v.Roles[server] != topology.RolePrimary:
		c.Reason = "another server answers at its address"
	case !o.Writable():
		c.Reason = "it is read-only"
	default:
		c.OK = true
	}
	return c
}

// checkReplica succeeds for a replica that follows, is in service and is not further behind than allowed. 0 allows
// any lag.
func checkReplica(v orchestrator.View, server topology.Address, lagMax time.Duration, now time.Time, freshFor time.Duration) Check {
	o := v.Snapshot.Server(server)
	c := Check{Server: string(server), Role: string(v.Roles[server]), Term: v.Term}
	_, out := v.Maintenance[server]
	switch {
	case stale(v, now, freshFor):
		c.Reason = staleReason(v, now)
	case !o.OK():
		c.Reason = "it is not reached: " + string(o.Reach)
	case v.Roles[server] != topology.RoleReplica:
		c.Reason = "its role is " + string(v.Roles[server])
	case out:
		c.Reason = "it is under maintenance"
	case o.OfflineMode:
		c.Reason = "it is offline"
	case o.Replication == nil || o.Replication.Receiver != topology.ThreadOn || o.Replication.Applier != topology.ThreadOn:
		c.Reason = "it does not replicate"
	case lagMax > 0 && (o.Replication.Lag < 0 || o.Replication.Lag > lagMax):
		c.Reason = fmt.Sprintf("it is further behind than %s", lagMax)
	default:
		c.OK = true
	}
	return c
}

func stale(v orchestrator.View, now time.Time, freshFor time.Duration) bool {
	return v.At.IsZero() || now.Sub(v.At) > freshFor
}

func staleReason(v orchestrator.View, now time.Time) string {
	if v.At.IsZero() {
		return "the cluster has not been probed yet"
	}
	return fmt.Sprintf("the cluster was last probed %s ago", now.Sub(v.At).Round(time.Millisecond))
}

func highestTerm(v orchestrator.View) uint32 {
	var highest uint32
	for _, o := range v.Snapshot.Servers {
		if o.OK() {
			highest = max(highest, o.Term())
		}
	}
	return highest
}
