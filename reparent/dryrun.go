package reparent

import (
	"time"

	"github.com/primacydb/primacy/topology"
)

// DryRun plays an operation against what the snapshot shows, with every reachable server answering as
// it should, and returns the steps that would be taken and how it would end. Nothing is sent.
func DryRun(op Operation, snapshot topology.Snapshot, now time.Time) ([]Step, Operation) {
	servers := map[topology.Address]topology.Observation{}
	for _, o := range snapshot.Servers {
		servers[o.Address] = o
	}
	var steps []Step
	for op.Running() && len(steps) < dryRunMax {
		step := op.Next()
		steps = append(steps, step)
		results := make([]Result, len(step.Commands))
		for i, c := range step.Commands {
			results[i] = ideal(c, servers)
		}
		op = op.Apply(results, now)
	}
	return steps, op
}

// dryRunMax is far above the number of steps that any change takes.
const dryRunMax = 40

// ideal is what a healthy server would answer; it also moves the server's picture on.
func ideal(c Command, servers map[topology.Address]topology.Observation) Result {
	o := servers[c.Server]
	if !o.OK() {
		return Result{Outcome: No, Reason: ReasonUnreachable, Detail: "it does not answer"}
	}
	o.Replication = copied(o.Replication)
	switch c.Verb {
	case Freeze:
		if o.Replication != nil {
			o.Replication.Receiver = topology.ThreadOff
		}
	case Demote:
		o.ReadOnly, o.SuperReadOnly, o.OfflineMode = true, true, o.OfflineMode || c.Offline
	case Fence:
		o.ReadOnly, o.SuperReadOnly, o.OfflineMode = true, true, true
	case Poison:
		o.OfflineMode, o.SemiSync.Acks = true, topology.PoisonAcks
	case Antidote:
		o.OfflineMode, o.SemiSync.Acks = false, c.Acks
	case AwaitApplied:
		o.Executed, o.Received = o.Executed.Union(c.Set), o.Received.Union(c.Set)
	case Mark:
		o.Executed = o.Executed.Union(c.Decision.Marker().Set())
	case Open, Reopen:
		o.ReadOnly, o.SuperReadOnly, o.OfflineMode = false, false, false
	case Follow:
		o.ReadOnly, o.SuperReadOnly = true, true
		o.Replication = &topology.Replication{Source: c.Source, Receiver: topology.ThreadOn, Applier: topology.ThreadOn, AutoPosition: true}
	case DisableSource:
		o.SemiSync.SourceEnabled, o.SemiSync.SourceActive, o.SemiSync.Waiters, o.Stall.ApplierWaits = false, false, 0, false
	case Read, Resume, AwaitAckers, PrepareSource, EnableSource, Detach, CreateJournal, Barrier:
	}
	servers[c.Server] = o
	return Result{Outcome: Yes, Observation: o}
}

func copied(r *topology.Replication) *topology.Replication {
	if r == nil {
		return nil
	}
	twin := *r
	return &twin
}
