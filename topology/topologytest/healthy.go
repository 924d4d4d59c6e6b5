package topologytest

import (
	"cmp"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// Settings are those of a server that is set up as Primacy wants it.
var Settings = topology.Settings{
	GTIDMode: "ON", EnforceGTIDConsistency: "ON", LogBin: true, LogReplicaUpdates: true,
	BinlogFormat: "ROW", BinlogRowImage: "FULL", SyncBinlog: 1, FlushLogAtCommit: 1,
	SkipReplicaStart: true, BootReadOnly: true, PreserveOrder: true,
	ReplicaNetTimeout: 4 * time.Second, ReplicaRetryPeriod: time.Second, JournalPresent: true,
}

// TimeoutMax is the longest rpl_semi_sync_source_timeout that MySQL takes.
const TimeoutMax = (1<<32 - 1) * time.Millisecond

func (b *Builder) build() *built {
	c := &built{builder: b, lastSeen: topology.Sightings{}}
	for i, m := range b.ruleset.Members {
		c.servers = append(c.servers, b.healthy(i, m.Address))
	}
	for _, change := range b.edits {
		change(c)
	}
	for _, o := range c.servers {
		if o.OK() {
			c.lastSeen[o.Address] = &o
		}
	}
	return c
}

func (b *Builder) healthy(i int, a topology.Address) topology.Observation {
	o := topology.Observation{
		Address: a, At: Now.Add(-50 * time.Millisecond), Latency: time.Millisecond, Reach: topology.ReachOK,
		UUID: UUID(a), ServerID: uint32(i + 1), Version: "9.7.4", StartedAt: Now.Add(-48 * time.Hour),
		Incarnation: Incarnation(a), ReadOnly: a != b.primary, SuperReadOnly: a != b.primary,
		Executed: b.executed(), Settings: Settings, SemiSync: b.semiSync(a),
	}
	if a == b.primary {
		o.Replicas = b.ruleset.Servers().Without(a).List()
		return o
	}
	o.Received = o.Executed
	o.Replication = b.replication(cmp.Or(b.ruleset.Intermediate(a, b.primary), b.primary))
	return o
}

// executed is 100 transactions of the primary, and the base and marker of each recorded term.
func (b *Builder) executed() gtid.Set {
	set := b.Set(string(b.primary) + ":1-100")
	if b.lost {
		return set
	}
	for _, l := range b.leaderships() {
		set = set.Union(l.Base).Union(l.Marker().Set())
	}
	return set
}

func (b *Builder) replication(source topology.Address) *topology.Replication {
	return &topology.Replication{
		Source: source, SourceUUID: UUID(source), User: "replica", AutoPosition: true,
		Receiver: topology.ThreadOn, Applier: topology.ThreadOn,
		HeartbeatAge: 300 * time.Millisecond, HeartbeatEvery: 500 * time.Millisecond,
	}
}

func (b *Builder) semiSync(a topology.Address) topology.SemiSync {
	ackers, needed := b.ruleset.Ackers(b.primary), b.ruleset.AcksNeeded(b.primary)
	s := topology.SemiSync{Installed: true, Timeout: TimeoutMax, AfterSync: true, WaitNoReplica: true, Acks: max(needed, 1)}
	s.ReplicaEnabled = ackers.Has(a)
	s.ReplicaActive = s.ReplicaEnabled
	if a == b.primary && needed > 0 {
		s.SourceEnabled, s.SourceActive, s.Clients = true, true, ackers.Len()
	}
	return s
}
