package topology

// ClusterState is a cluster in one word, for API and dashboard.
type ClusterState string

// The cluster states.
const (
	StateHealthy       ClusterState = "healthy"
	StateDegraded      ClusterState = "degraded"
	StatePrimaryFailed ClusterState = "primary_failed"
	StateReparenting   ClusterState = "reparenting"
	StateBlocked       ClusterState = "blocked"
	StateUnknown       ClusterState = "unknown"
)

// ServerRole is a server in one word.
type ServerRole string

// The roles.
const (
	RolePrimary     ServerRole = "primary"
	RoleReplica     ServerRole = "replica"
	RoleQuarantined ServerRole = "quarantined"
	RoleUnreachable ServerRole = "unreachable"
	RoleUnknown     ServerRole = "unknown"
)
