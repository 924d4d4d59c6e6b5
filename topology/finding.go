package topology

import "time"

// Severity orders findings.
type Severity string

// The severities, worst first.
const (
	SeverityCritical Severity = "critical" // writes do not complete, or data is at risk
	SeverityWarning  Severity = "warning"  // the next failure would hurt
	SeverityInfo     Severity = "info"
)

// Code names a kind of finding; it is stable and used in API, metrics and runbook.
type Code string

// The findings.
const (
	PrimaryDead            Code = "primary_dead"              // process gone, ackers have lost it too
	PrimaryFrozen          Code = "primary_frozen"            // silent for us and for its ackers
	PrimaryStuck           Code = "primary_stuck"             // answers, cannot complete commits
	PrimaryUnreachableByUs Code = "primary_unreachable_by_us" // its ackers still hear it: no failover
	PrimarySuspect         Code = "primary_suspect"           // not reached, evidence still incomplete
	PrimaryDenied          Code = "primary_denied"            // it lives but refuses our login
	PrimaryReadOnly        Code = "primary_read_only"         // the established primary is up and read-only
	NoPrimary              Code = "no_primary"                // none is recorded and none is writable
	NotAdopted             Code = "not_adopted"               // healthy, no term recorded yet
	TwoWritable            Code = "two_writable"
	StalePrimary           Code = "stale_primary" // an earlier term's primary is back and not fenced
	SemiSyncBlocked        Code = "semi_sync_blocked"
	SemiSyncAsync          Code = "semi_sync_async"      // silent fallback to async
	SemiSyncSettings       Code = "semi_sync_settings"   // source side not as the ruleset wants
	AckerDisabled          Code = "acker_disabled"       // replica side off on a member that should ack
	AckerBehind            Code = "acker_behind"         // has too much to apply to acknowledge while others do
	UnknownAcker           Code = "unknown_acker"        // more semi-sync clients than members attached
	ServerUnreachable      Code = "server_unreachable"   // a replica does not answer
	ServerDenied           Code = "server_denied"        // login refused, names the account and the remedy
	GrantMissing           Code = "grant_missing"        // logged in, a needed privilege is lacking
	ReceiverStopped        Code = "receiver_stopped"     // off without error
	ReceiverFailed         Code = "receiver_failed"      // off or connecting with an error
	ReceiverConnecting     Code = "receiver_connecting"  // trying; primary alive
	ApplierStopped         Code = "applier_stopped"      // off without error
	ApplierFailed          Code = "applier_failed"       // off with an error
	NotReplicating         Code = "not_replicating"      // a replica without any channel
	WrongSource            Code = "wrong_source"         // replicates from something else than the primary
	IntermediateUnfit      Code = "intermediate_unfit"   // the source of a cascaded replica cannot feed it
	CascadeRehomed         Code = "cascade_rehomed"      // a cascaded replica replicates from the primary meanwhile
	CascadeReturning       Code = "cascade_returning"    // its intermediate is fit again, and it goes back soon
	ReplicaOffline         Code = "replica_offline"      // in offline mode, as after a start with offline_mode=ON
	Lagging                Code = "lagging"              //
	Errant                 Code = "errant_transactions"  //
	HalfRewound            Code = "half_rewound"         // its GTIDs tell of rows that a rewind has undone there
	PurgedOnSource         Code = "purged_on_source"     // needs transactions that the primary has purged
	WritableReplica        Code = "writable_replica"     // read_only or super_read_only off on a replica
	WrongSettings          Code = "wrong_settings"       // GTID mode, binlog, boot settings …: names each
	JournalMissing         Code = "journal_missing"      // no _primacy.journal: a term cannot be recorded
	ElectorIsolated        Code = "elector_isolated"     // we have lost too many servers to judge
	WouldBlock             Code = "failover_would_block" // if the primary died now, nothing could be done
	DuplicateIdentity      Code = "duplicate_identity"   // two members with one server_uuid or server_id
	RulesetDiffers         Code = "ruleset_differs"      // the configured rules cannot simply replace the recorded ones
	RulesOutdated          Code = "rules_outdated"       // leaderships were decided under later rules than those on record
	StoreBehind            Code = "store_behind"         // servers know of a term that no record names
	ClusterMaintenance     Code = "cluster_maintenance"  // an operator has taken the whole cluster: nothing is done by itself
	StoreUnavailable       Code = "store_unavailable"    // the store does not answer this elector: it changes nothing by itself
	LeadershipUnsettled    Code = "leadership_unsettled" // a later term was begun and its outcome is unknown
	PrimaryReplaced        Code = "primary_replaced"     // another server answers at the primary's address
	PrimaryUnverified      Code = "primary_unverified"   // it restarted and is writable without verification
)

// Evidence is one fact behind a finding: what was seen, of whom, by whom, how long ago.
type Evidence struct {
	Server Address `json:"server,omitempty"`
	// By is who saw it: "probe", or the address of the replica that reported it, or an elector.
	By   string    `json:"by"`
	Fact string    `json:"fact"`
	At   time.Time `json:"at,omitzero"`
}

// Remedy is what Primacy does about a finding by itself.
type Remedy string

// The remedies.
const (
	RemedyNone      Remedy = ""          // report only
	RemedyEmergency Remedy = "emergency" // replace the primary
	RemedyReconcile Remedy = "reconcile" // fence, rejoin or restart replication on the server
	RemedyAdopt     Remedy = "adopt"     // record term 1
)

// Finding is something that is wrong, with its evidence in words an operator can read, and with why
// an action follows or does not.
type Finding struct {
	Code     Code       `json:"code"`
	Severity Severity   `json:"severity"`
	Server   Address    `json:"server,omitempty"`
	Message  string     `json:"message"`
	Evidence []Evidence `json:"evidence"`
	Since    time.Time  `json:"since"`
	Remedy   Remedy     `json:"remedy,omitempty"`
	// WhyNot says why nothing is done about it, when nothing is.
	WhyNot string `json:"why_not,omitempty"`
	// Certain is set when the primary's process or host is gone for sure, not merely silent.
	Certain bool `json:"certain,omitempty"`
}

// Limits are the thresholds of the analysis, from the configuration.
type Limits struct {
	SilentAfter   time.Duration // silence of probes and heartbeats before a primary counts as frozen
	StuckAfter    time.Duration // age of the oldest stalled commit before a primary counts as stuck
	LagMax        time.Duration // replicas beyond it are reported
	RehomeAfter   time.Duration // an intermediate that cannot feed its cascaded replicas for so long loses them to the primary
	ReturnAfter   time.Duration // and one that is fit for so long gets them back
	BacklogMax    int           // received transactions that an acker may have left to apply before it rests; negative: any number
	IsolatedShare float64       // share of all watched servers lost at which this elector stands down
}
