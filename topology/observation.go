package topology

import (
	"time"

	"github.com/primacydb/primacy/gtid"
)

// Reach says how a probe ended. Only ReachOK carries readings; each other value is evidence of its own.
type Reach string

// The ways a probe can end.
const (
	// ReachUnknown is a server that was never probed.
	ReachUnknown Reach = ""
	// ReachOK is an answer.
	ReachOK Reach = "ok"
	// ReachRefused means that the host answered and nothing listens: the process is gone.
	ReachRefused Reach = "refused"
	// ReachReset means that a kept connection was cut and a new one has not succeeded yet.
	ReachReset Reach = "reset"
	// ReachSilent means that nothing came back in time: frozen, overloaded, or a black hole.
	ReachSilent Reach = "silent"
	// ReachDenied means that MySQL answered and refused us: wrong password, missing grant, TLS, too
	// many connections. The server lives, and the finding names what to mend.
	ReachDenied Reach = "denied"
	// ReachUnresolved means that the host name or route is unknown to us.
	ReachUnresolved Reach = "unresolved"
)

// OK tells whether the probe was answered.
func (r Reach) OK() bool { return r == ReachOK }

// Gone tells whether the process is certainly not serving: refused, not merely silent.
func (r Reach) Gone() bool { return r == ReachRefused }

// Thread is the state of a receiver (IO) or applier (SQL) thread.
type Thread string

// The thread states, as performance_schema.replication_* names them.
const (
	ThreadOff        Thread = "OFF"
	ThreadConnecting Thread = "CONNECTING"
	ThreadOn         Thread = "ON"
)

// Replication is what a server says about its channel from its source; absent on a server without one.
type Replication struct {
	Source       Address   `json:"source"`
	SourceUUID   gtid.UUID `json:"source_uuid,omitzero"`
	User         string    `json:"user,omitempty"`
	AutoPosition bool      `json:"auto_position,omitempty"`

	Receiver       Thread `json:"receiver"`
	ReceiverErrno  int    `json:"receiver_errno,omitempty"`
	ReceiverError  string `json:"receiver_error,omitempty"`
	Applier        Thread `json:"applier"`
	ApplierErrno   int    `json:"applier_errno,omitempty"`
	ApplierError   string `json:"applier_error,omitempty"`
	ApplierDelayed int    `json:"applier_delay_s,omitempty"` // configured SOURCE_DELAY

	// HeartbeatAge is how long ago, by the replica's own clock, anything was last heard of the source;
	// negative when unknown.
	HeartbeatAge time.Duration `json:"heartbeat_age,omitempty"`
	// HeartbeatEvery is the configured heartbeat interval; 0 when heartbeats are off.
	HeartbeatEvery time.Duration `json:"heartbeat_every,omitempty"`
	// Lag is how old the transaction being applied is, or 0 when all that was received is applied;
	// negative when unknown.
	Lag time.Duration `json:"lag,omitempty"`
}

// SemiSync is both sides of semi-sync on a server.
type SemiSync struct {
	SourceEnabled  bool `json:"source_enabled,omitempty"`  // rpl_semi_sync_source_enabled
	SourceActive   bool `json:"source_active,omitempty"`   // status: OFF means silent fallback to async
	ReplicaEnabled bool `json:"replica_enabled,omitempty"` // rpl_semi_sync_replica_enabled
	ReplicaActive  bool `json:"replica_active,omitempty"`
	// Acks is rpl_semi_sync_source_wait_for_replica_count.
	Acks int `json:"acks,omitempty"`
	// Timeout is rpl_semi_sync_source_timeout; TimeoutInfinite is the longest that MySQL knows.
	Timeout       time.Duration `json:"timeout,omitempty"`
	AfterSync     bool          `json:"after_sync,omitempty"`      // wait point AFTER_SYNC
	WaitNoReplica bool          `json:"wait_no_replica,omitempty"` // rpl_semi_sync_source_wait_no_replica
	Clients       int           `json:"clients,omitempty"`         // connected semi-sync replicas
	Waiters       int           `json:"waiters,omitempty"`         // sessions waiting for acknowledgements
	Installed     bool          `json:"installed,omitempty"`       // both plugins are loaded
}

// TimeoutInfinite is the smallest rpl_semi_sync_source_timeout that counts as "never falls back":
// 24 days and more, which covers MySQL's maximum of 2^32-1 ms on every platform.
const TimeoutInfinite = 24 * 24 * time.Hour

// PoisonAcks is the ack count that no cluster can satisfy; a leader that waits for it is revoked.
const PoisonAcks = 65535

// Verified tells whether a commit on this source really waits for Acks acknowledgements: what was
// seen as committed under it is a floor that no later choice of history may go below.
func (s SemiSync) Verified() bool {
	return s.SourceEnabled && s.SourceActive && s.Timeout >= TimeoutInfinite && s.WaitNoReplica && s.AfterSync && s.Acks > 0
}

// Settings are the server settings that Primacy depends on; see the linter and the boot settings.
type Settings struct {
	GTIDMode               string `json:"gtid_mode,omitempty"`
	EnforceGTIDConsistency string `json:"enforce_gtid_consistency,omitempty"`
	LogBin                 bool   `json:"log_bin,omitempty"`
	LogReplicaUpdates      bool   `json:"log_replica_updates,omitempty"`
	BinlogFormat           string `json:"binlog_format,omitempty"`
	BinlogRowImage         string `json:"binlog_row_image,omitempty"`
	SyncBinlog             int    `json:"sync_binlog,omitempty"`
	FlushLogAtCommit       int    `json:"innodb_flush_log_at_trx_commit,omitempty"`
	RelayLogRecovery       bool   `json:"relay_log_recovery,omitempty"`
	RelayLogUnsynced       bool   `json:"relay_log_unsynced,omitempty"` // sync_relay_log is not 1
	SkipReplicaStart       bool   `json:"skip_replica_start,omitempty"`
	// BootReadOnly tells whether super_read_only stays on over a restart (persisted or in the option
	// file); it is what a server does that comes back, not what it is now.
	BootReadOnly bool `json:"boot_super_read_only,omitempty"`
	// BootAcksOff tells whether the replica side of semi-sync is certain to be off from the first moment after a restart. A
	// value that was changed at run time hides what the option file says, and a persisted one is applied too late.
	BootAcksOff        bool          `json:"boot_semi_sync_replica_off,omitempty"`
	PreserveOrder      bool          `json:"replica_preserve_commit_order,omitempty"`
	ReplicaNetTimeout  time.Duration `json:"replica_net_timeout,omitempty"`
	ReplicaRetryPeriod time.Duration `json:"replica_connect_retry,omitempty"`
	JournalPresent     bool          `json:"journal_present,omitempty"` // _primacy.journal exists
}

// Stall is what speaks for a server that answers and yet cannot complete commits.
type Stall struct {
	// OldestCommit is how long the oldest commit has been waiting in the storage engine or binary log
	// (not for acknowledgements).
	OldestCommit time.Duration `json:"oldest_commit,omitempty"`
	// Committing is how many sessions are in that state.
	Committing int `json:"committing,omitempty"`
	// OldestAckWait is how long the oldest commit has been waiting for acknowledgements.
	OldestAckWait time.Duration `json:"oldest_ack_wait,omitempty"`
	// DiskFull is set when a session waits for disk space.
	DiskFull bool `json:"disk_full,omitempty"`
	// ApplierWaits is set when the replica's own applier waits for acknowledgements, and no session of anybody waits in a
	// commit or in SET super_read_only.
	ApplierWaits bool `json:"applier_waits,omitempty"`
	// ReadOnlyWait is set when a session waits in SET super_read_only (global read lock).
	ReadOnlyWait bool `json:"read_only_wait,omitempty"`
	// OldestWaiter describes the oldest waiting commit: session, user, state; no statement text.
	OldestWaiter string `json:"oldest_waiter,omitempty"`
}

// Observation is what one probe of one server saw. Values describe the moment At; nothing in it may
// be used as if it were newer. Readings that are zero are left out of records: operations keep many observations, and
// are saved while writes stand still.
type Observation struct {
	Address Address       `json:"address"`
	At      time.Time     `json:"at"` // when the probe was sent
	Latency time.Duration `json:"latency,omitempty"`
	Reach   Reach         `json:"reach"`
	Errno   int           `json:"errno,omitempty"` // MySQL error number, when it answered with one
	Error   string        `json:"error,omitempty"`
	// FailingSince is when probes began to fail without a success in between; zero while they succeed.
	FailingSince time.Time `json:"failing_since,omitzero"`

	UUID     gtid.UUID `json:"server_uuid"`
	ServerID uint32    `json:"server_id,omitempty"`
	Version  string    `json:"version,omitempty"`
	// StartedAt is when this mysqld process started, derived from its uptime and so only good to about
	// a second; Incarnation changes exactly when the process does.
	StartedAt   time.Time `json:"started_at,omitzero"`
	Incarnation string    `json:"incarnation"`
	// Losses is what it may have lost at a start, as far as earlier sights of it tell.
	Losses Losses `json:"losses,omitzero"`
	// Connecting is since when its receiver has been seen to try its first connection to its source; zero when it does not, or
	// was not seen to begin.
	Connecting time.Time `json:"connecting_since,omitzero"`

	ReadOnly      bool `json:"read_only,omitempty"`
	SuperReadOnly bool `json:"super_read_only,omitempty"`
	OfflineMode   bool `json:"offline_mode,omitempty"`

	Executed gtid.Set `json:"gtid_executed,omitzero"`
	Received gtid.Set `json:"gtid_received,omitzero"`
	Purged   gtid.Set `json:"gtid_purged,omitzero"`
	// Undone is what Executed still tells of although a rewind has undone it on this server: its rows are gone. It may be half a
	// minute old.
	Undone gtid.Set `json:"gtid_undone,omitzero"`

	Replication *Replication `json:"replication,omitempty"`
	SemiSync    SemiSync     `json:"semi_sync,omitzero"`
	Settings    Settings     `json:"settings,omitzero"`
	Stall       Stall        `json:"stall,omitzero"`
	// Replicas are the addresses that replicate from this server, as it reports them.
	Replicas []Address `json:"replicas,omitempty"`
	// Missing are privileges that a probe found lacking, as GRANT would name them.
	Missing []string `json:"missing_privileges,omitempty"`
}

// OK tells whether the probe was answered.
func (o *Observation) OK() bool { return o.Reach.OK() }

// Position is executed ∪ received; never use one without the other, for the received set forgets its
// past at each restart or reset.
func (o *Observation) Position() gtid.Set { return o.Executed.Union(o.Received) }

// Term is the highest term that the server has heard of; 0 when none.
func (o *Observation) Term() uint32 {
	m, _ := HighestMarker(o.Position())
	return m.Term
}

// Writable tells whether ordinary clients can write.
func (o *Observation) Writable() bool { return o.Reach.OK() && !o.ReadOnly && !o.OfflineMode }

// Closed tells whether nobody can write, whatever their privileges. super_read_only alone closes nothing: MySQL looks at
// it only where read_only is on, and lets it stand alone where read_only was switched off while a SET waited.
func (o *Observation) Closed() bool { return o.ReadOnly && o.SuperReadOnly }

// OnlyApplierWaits tells whether what waits for acknowledgements is the server's own applier and nobody else, as where a
// replica's option file has the source side of semi-sync on. Closing a server waits for commits that are under way, and none
// begins afterwards but the applier's: so no client would hear an OK if the wait was ended, and what it would let through was
// received from elsewhere and counts as held already.
func (o *Observation) OnlyApplierWaits() bool {
	return o.Closed() && o.SemiSync.Waiters > 0 && o.Stall.ApplierWaits
}

// AcksAlone tells whether a restart may be all that it takes for the server to acknowledge: it starts its receiver by itself,
// and nothing is sure to keep the replica side of semi-sync off.
func (o *Observation) AcksAlone() bool {
	return !o.Settings.SkipReplicaStart && !o.Settings.BootAcksOff
}

// MayAck tells whether the server could acknowledge without a word from anybody, now or after a restart.
func (o *Observation) MayAck() bool { return o.SemiSync.ReplicaEnabled || o.AcksAlone() }

// Awaits tells whether the server has not got through to a source that it was pointed at.
func (o *Observation) Awaits(source Address) bool {
	return o.Replication != nil && o.Replication.Source == source && o.Replication.Receiver != ThreadOn
}

// LockedOut tells whether a source refuses the server's login.
func (o *Observation) LockedOut(source Address) bool {
	return o != nil && o.Awaits(source) && refusedLogin(o.Replication.ReceiverErrno)
}

// Unapplied is what was received and not executed yet.
func (o *Observation) Unapplied() gtid.Set { return o.Received.Subtract(o.Executed) }
