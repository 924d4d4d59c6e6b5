package main

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync/atomic"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// household is a cluster of three servers that are all well.
type household struct {
	name    string
	ruleset topology.Ruleset
	history topology.History
	servers []topology.Observation
}

// newHousehold makes the same of the same name in each process.
func newHousehold(name string) household {
	h := household{name: name, ruleset: topology.Ruleset{Number: 1, Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}}}
	for _, letter := range []string{"a", "b", "c"} {
		h.ruleset.Members = append(h.ruleset.Members, topology.Member{Address: topology.Address(name + "-" + letter + ":3306"), Zone: letter})
	}
	primary := h.ruleset.Members[0].Address
	since := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	base := gtid.MustParse(identity(primary).String() + ":1-100")
	decision := topology.Decision{
		Cluster: name, Term: 1, Kind: "adoption", Primary: primary, PrimaryUUID: identity(primary), Incarnation: string(primary) + "/1",
		Ruleset: 1, Base: base, Reached: h.ruleset.Servers(), Elector: "elector-0", DecidedAt: since,
	}.Sealed()
	h.history = topology.History{
		Leaderships: []topology.Leadership{{Decision: decision, EstablishedAt: since.Add(time.Second)}},
		Leaders:     []gtid.UUID{identity(primary)},
	}
	for i, m := range h.ruleset.Members {
		h.servers = append(h.servers, healthy(i, m.Address, primary, base.Union(decision.Marker().Set()), since))
	}
	return h
}

func identity(a topology.Address) gtid.UUID {
	sum := sha256.Sum256([]byte(a))
	return gtid.UUID(sum[:16])
}

// healthy is a server about which there is nothing to find.
func healthy(i int, a, primary topology.Address, executed gtid.Set, since time.Time) topology.Observation {
	const timeoutMax = (1<<32 - 1) * time.Millisecond
	o := topology.Observation{
		Address: a, Latency: time.Millisecond, Reach: topology.ReachOK, UUID: identity(a), ServerID: uint32(i + 1), Version: "9.7.4",
		StartedAt: since.Add(-time.Hour), Incarnation: string(a) + "/1", Executed: executed,
		Settings: topology.Settings{
			GTIDMode: "ON", EnforceGTIDConsistency: "ON", LogBin: true, LogReplicaUpdates: true, BinlogFormat: "ROW", BinlogRowImage: "FULL",
			SyncBinlog: 1, FlushLogAtCommit: 1, SkipReplicaStart: true, BootReadOnly: true, PreserveOrder: true,
			ReplicaNetTimeout: 4 * time.Second, ReplicaRetryPeriod: time.Second, JournalPresent: true,
		},
		SemiSync: topology.SemiSync{Installed: true, Timeout: timeoutMax, AfterSync: true, WaitNoReplica: true, Acks: 1},
	}
	if a == primary {
		o.SemiSync.SourceEnabled, o.SemiSync.SourceActive, o.SemiSync.Clients = true, true, 2
		return o
	}
	o.ReadOnly, o.SuperReadOnly, o.Received = true, true, executed
	o.SemiSync.ReplicaEnabled, o.SemiSync.ReplicaActive = true, true
	o.Replication = &topology.Replication{
		Source: primary, SourceUUID: identity(primary), User: "replica", AutoPosition: true,
		Receiver: topology.ThreadOn, Applier: topology.ThreadOn, HeartbeatAge: 300 * time.Millisecond, HeartbeatEvery: 500 * time.Millisecond,
	}
	return o
}

// calmFleet shows servers that are always well, and counts what they are told.
type calmFleet struct {
	households map[string]household
	commands   atomic.Int64
}

var _ orchestrator.Fleet = (*calmFleet)(nil)

func newCalmFleet(clusters int) *calmFleet {
	f := &calmFleet{households: make(map[string]household, clusters)}
	for i := range clusters {
		f.households[nameOf(i)] = newHousehold(nameOf(i))
	}
	return f
}

// Watch is for servers that need a connection.
func (*calmFleet) Watch(string, []topology.Address) {}

// Observe shows the servers as they are now, which is as ever.
func (f *calmFleet) Observe(_ context.Context, cluster string) []topology.Observation {
	all := slices.Clone(f.households[cluster].servers)
	for i, now := 0, time.Now(); i < len(all); i++ {
		all[i].At = now
		if all[i].Address == f.households[cluster].ruleset.Members[0].Address {
			all[i].Replicas = f.households[cluster].ruleset.Servers().Without(all[i].Address).List()
		}
	}
	return all
}

// Signals are of connections that break, and none does.
func (*calmFleet) Signals(func(orchestrator.Signal)) {}

// Do is never called: nothing is ever wrong here.
func (f *calmFleet) Do(_ context.Context, b orchestrator.Batch) []reparent.Result {
	f.commands.Add(int64(len(b.Commands)))
	return make([]reparent.Result, len(b.Commands))
}

// Journal is empty: what is on record is never in doubt.
func (*calmFleet) Journal(context.Context, topology.Address) ([]topology.Decision, error) {
	return nil, nil
}

// Probe is for servers that are not on record.
func (*calmFleet) Probe(context.Context, topology.Address) topology.Observation {
	return topology.Observation{}
}
