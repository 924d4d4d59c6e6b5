package sim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/topology"
)

// observe is all that mysqld's probe reads; at is now by the clock of whoever asks, from which StartedAt is derived. At
// and Latency are left to the caller.
func (s *server) observe(at time.Time) (o topology.Observation) {
	s.show(&o, at)
	return o
}

// show is observe, for an observation that has its place already.
func (s *server) show(o *topology.Observation, at time.Time) {
	*o = topology.Observation{
		Address: s.address, Reach: topology.ReachOK, UUID: s.uuid, ServerID: s.serverID, Version: s.options.Version,
		StartedAt: at.Add(s.started - s.clock.now), Incarnation: s.incarnation,
		ReadOnly: s.readOnly, SuperReadOnly: s.superReadOnly, OfflineMode: s.offline,
		Executed: s.executed(), Received: s.received(), Purged: s.purged,
		SemiSync: s.semiSync(), Settings: s.settings(), Stall: s.stall(), Replicas: s.replicas(),
	}
	if s.channel != nil {
		o.Replication = s.replication()
	}
}

// settings are those that Primacy depends on; what holds at the next start stands in place of what held at this one.
func (s *server) settings() topology.Settings {
	settings := topology.Settings{
		GTIDMode: "ON", EnforceGTIDConsistency: "ON", LogBin: true, LogReplicaUpdates: true,
		BinlogFormat: "ROW", BinlogRowImage: "FULL", SyncBinlog: 1, FlushLogAtCommit: 1, PreserveOrder: true,
		RelayLogRecovery: s.options.RelayLogRecovery, RelayLogUnsynced: s.options.LoseRelayLogs, SkipReplicaStart: !s.startsAlone(), BootReadOnly: s.bootsReadOnly(), BootAcksOff: s.bootAcksOff(),
		ReplicaNetTimeout: s.options.NetTimeout, JournalPresent: s.journal,
	}
	if s.channel != nil {
		settings.ReplicaRetryPeriod = s.options.RetryPeriod
	}
	return settings
}

func (s *server) replication() *topology.Replication {
	c := s.channel
	r := s.clock.slabs().replications.one()
	*r = topology.Replication{
		Source: c.source, SourceUUID: c.receiver.sourceUUID, User: "replica", AutoPosition: c.autoPosition,
		ApplierDelayed: int(c.applier.ails.delay / time.Second),
		HeartbeatAge:   c.receiver.heartbeatAge(), HeartbeatEvery: s.options.Heartbeat, Lag: c.lag(),
	}
	r.Receiver, r.ReceiverErrno = s.receiver()
	r.Applier, r.ApplierErrno = s.applier()
	return r
}

// lag is how old the transaction is that is applied or, with the applier off, the newest that was.
func (c *channel) lag() time.Duration {
	switch {
	case c.relay.len() == 0:
		return 0
	case c.applier.busy:
		return c.server.wall() - c.relay.all()[0].committed
	case c.applier.newest > 0:
		return c.server.wall() - c.applier.newest
	}
	return never
}

// listedAfter is how long a session waits before the process list is read for it.
const listedAfter = time.Second

// stall is what the process list shows of commits and of SET super_read_only.
func (s *server) stall() topology.Stall {
	stall := topology.Stall{ReadOnlyWait: len(s.closings) > 0}
	if len(s.commits) > 0 {
		head := s.commits[0]
		stall.ApplierWaits = s.onlyApplierWaits()
		stall.Committing = len(s.commits) - 1
		if age := s.clock.now - head.since; age >= listedAfter {
			stall.OldestAckWait = age
			stall.OldestWaiter = fmt.Sprintf("session %d, waiting for acknowledgements", headID(head))
		}
		return stall
	}
	for _, g := range s.guests {
		if g.commit == nil {
			continue
		}
		stall.Committing++
		if age := s.clock.now - g.commit.since; age >= listedAfter {
			stall.OldestCommit = max(stall.OldestCommit, age)
		}
	}
	if stall.OldestCommit > 0 {
		stall.OldestWaiter = "a commit"
	}
	stall.DiskFull = s.disk.full && stall.OldestCommit >= 2*listedAfter
	return stall
}

// onlyApplierWaits tells whether what waits for acknowledgements is the applier's, and nobody else waits in a commit or to
// close the server.
func (s *server) onlyApplierWaits() bool {
	return len(s.commits) > 0 && len(s.closings) == 0 && !slices.ContainsFunc(s.commits, func(c *commit) bool { return !c.applied })
}

func headID(c *commit) int64 {
	if c.guest == nil {
		return 0
	}
	return c.guest.id
}

// decisions are the rows of the journal, newest first.
func (s *server) decisions() []topology.Decision {
	if !s.journal {
		return nil
	}
	all := make([]topology.Decision, len(s.decided))
	for i, d := range s.decided {
		all[i] = *d
	}
	slices.SortStableFunc(all, func(a, b topology.Decision) int {
		return cmp.Or(cmp.Compare(b.Term, a.Term), b.DecidedAt.Compare(a.DecidedAt))
	})
	return all
}

// persistSkipReplicaStart is SET PERSIST_ONLY skip_replica_start.
func (s *server) persistSkipReplicaStart(on *guest, skip bool, done func(error)) {
	s.onDisk(s.syncTime(), func() { s.stored.skipReplicaStart = &skip; done(nil) })
}

// persistSuperReadOnly is SET PERSIST_ONLY super_read_only.
func (s *server) persistSuperReadOnly(on *guest, boot bool, done func(error)) {
	s.onDisk(s.syncTime(), func() { s.stored.superReadOnly = &boot; done(nil) })
}
