package topology

import (
	"slices"

	"github.com/primacydb/primacy/gtid"
)

// ClusterState sums a cluster up in one word.
type ClusterState string

// The states of a cluster.
const (
	StateHealthy       ClusterState = "healthy"
	StateDegraded      ClusterState = "degraded"       // writes complete, something needs attention
	StatePrimaryFailed ClusterState = "primary_failed" // a failover is due
	StateReparenting   ClusterState = "reparenting"
	StateBlocked       ClusterState = "blocked" // writes do not complete, and it takes more than Primacy to mend that
	StateUnknown       ClusterState = "unknown" // this elector cannot judge
)

// State sums up what an analysis found.
func State(findings []Finding, s Snapshot) ClusterState {
	has := func(codes ...Code) bool {
		return slices.ContainsFunc(findings, func(f Finding) bool {
			return f.Severity == SeverityCritical && slices.Contains(codes, f.Code)
		})
	}
	suspect := slices.ContainsFunc(findings, func(f Finding) bool { return f.Code == PrimarySuspect && f.Severity != SeverityInfo })
	switch {
	case s.Reparenting:
		return StateReparenting
	case !s.answered(), has(ElectorIsolated):
		return StateUnknown
	case has(StoreBehind, NoPrimary, SemiSyncBlocked, WouldBlock):
		return StateBlocked
	case primaryFailed(findings):
		return StatePrimaryFailed
	case has(failedCodes...):
		return StateBlocked
	case suspect:
		return StateUnknown
	case slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity != SeverityInfo }):
		return StateDegraded
	}
	return StateHealthy
}

// doubtCodes are the critical findings that say of a primary that it does not complete writes as the policy wants, or that
// it may not be the one who leads. What is wrong with other servers says nothing about it.
var doubtCodes = []Code{
	PrimaryDead, PrimaryFrozen, PrimaryStuck, PrimaryReadOnly, PrimaryUnverified, PrimaryReplaced, PrimaryUnreachableByUs,
	SemiSyncBlocked, SemiSyncAsync, SemiSyncSettings,
	LeadershipUnsettled, StoreBehind, NoPrimary, TwoWritable, StalePrimary, ElectorIsolated,
}

// Serves tells whether the primary completes writes as far as an analysis found.
func Serves(findings []Finding) bool {
	return !slices.ContainsFunc(findings, func(f Finding) bool {
		return f.Severity == SeverityCritical && slices.Contains(doubtCodes, f.Code)
	})
}

// ServerRole is what a server is in its cluster.
type ServerRole string

// The roles of a server.
const (
	RolePrimary     ServerRole = "primary"
	RoleReplica     ServerRole = "replica"
	RoleQuarantined ServerRole = "quarantined" // holds errant transactions, or led before and has not joined
	RoleUnreachable ServerRole = "unreachable"
	RoleUnknown     ServerRole = "unknown"
)

// Role names the role of one server, given what an analysis of its cluster found.
func Role(o *Observation, h History, findings []Finding) ServerRole {
	switch o.Reach {
	case ReachOK:
	case ReachRefused, ReachReset, ReachSilent, ReachUnresolved:
		return RoleUnreachable
	case ReachDenied, ReachUnknown:
		return RoleUnknown
	}
	about := func(codes ...Code) bool {
		return slices.ContainsFunc(findings, func(f Finding) bool { return f.Server == o.Address && slices.Contains(codes, f.Code) })
	}
	lead, led := h.Current()
	switch {
	case led && lead.Primary == o.Address && (lead.PrimaryUUID == o.UUID || lead.PrimaryUUID == gtid.UUID{}):
		return RolePrimary
	case !led && about(NotAdopted):
		return RolePrimary
	case about(Errant, HalfRewound, StalePrimary):
		return RoleQuarantined
	case o.Replication != nil:
		return RoleReplica
	}
	return RoleUnknown
}
