package reparent

import (
	"slices"
	"time"

	"github.com/primacydb/primacy/topology"
)

// repairDeadline bounds the repair of one server.
const repairDeadline = 10 * time.Second

// Repairs says how replication is set right under an established primary that serves: a primary of an
// earlier term is fenced and, once closed, follows like any other; clean replicas that do not follow are
// made to, and the source side of semi-sync is set as the ruleset wants. A server with errant transactions
// is closed for writes and otherwise left alone until they are settled: it is attached to nothing, and one
// that replicates goes on receiving, for what it acknowledged counts. Under one that does not serve, only
// a writable primary of an earlier term is fenced, and who took the address of the established one. Nothing here moves leadership.
func Repairs(findings []topology.Finding, s topology.Snapshot, h topology.History, term uint32) []Command {
	current, led := h.Current()
	primary := s.Server(current.Primary)
	if !led || s.Reparenting || s.Held != nil {
		return nil
	}
	if primary.UUID != current.PrimaryUUID {
		return append(closeImpostor(findings, primary, s, h, term), fenceStale(findings, s, h, term)...)
	}
	if poisonedInVain(primary, s, h) {
		return []Command{{
			Verb: Antidote, Server: primary.Address, Acks: s.Ruleset.AcksNeeded(primary.Address), Cluster: s.Cluster, Term: term, Deadline: repairDeadline,
		}}
	}
	if !primary.Writable() {
		return fenceStale(findings, s, h, term)
	}
	settled := h.Leaderships[len(h.Leaderships)-1].Established() && !h.Recovered // nobody else may have been decided on since
	var commands []Command
	done := topology.Servers()
	for _, f := range findings {
		o := s.Server(f.Server)
		if f.Remedy != topology.RemedyReconcile || !o.OK() || s.Maintenance.Has(f.Server) || done.Has(f.Server) {
			continue
		}
		c, wanted := repairOf(f, s, primary, findings, settled)
		if c.Verb == Follow && quarantined(findings, f.Server) {
			c, wanted = Command{Verb: Demote}, f.Code == topology.WritableReplica
		}
		if (c.Verb == Follow || c.Verb == DisableSource && !c.Release) && o.SemiSync.Waiters > 0 { // it will never be acknowledged there, and holds up whatever closes the server
			c = Command{Verb: Fence}
		}
		if !wanted {
			continue
		}
		c.Server, c.Cluster, c.Term, c.Deadline = f.Server, s.Cluster, term, repairDeadline
		commands, done = append(commands, c), done.With(f.Server)
	}
	return commands
}

// closeImpostor closes a server that took the address of the established primary, as one whose data was lost and that starts
// writable: clients find it there, nobody acknowledges what they write, and replicas that connect again take it over. It is
// done where the change that replaces the primary is not made at once.
func closeImpostor(findings []topology.Finding, primary *topology.Observation, s topology.Snapshot, h topology.History, term uint32) []Command {
	replaced := slices.ContainsFunc(findings, func(f topology.Finding) bool {
		return f.Code == topology.PrimaryReplaced && f.Remedy == topology.RemedyEmergency
	})
	settled := h.Leaderships[len(h.Leaderships)-1].Established()
	if !replaced || !settled || !primary.OK() || !primary.Writable() || s.Maintenance.Has(primary.Address) {
		return nil
	}
	return []Command{{Verb: Fence, Server: primary.Address, Cluster: s.Cluster, Term: term, Deadline: repairDeadline}}
}

// fenceStale fences the writable primaries of earlier terms for as long as the established primary does not serve and is not
// replaced: clients find them, and a replica that is pointed there, by hand or by what it keeps, completes what they write,
// which the next change cancels.
func fenceStale(findings []topology.Finding, s topology.Snapshot, h topology.History, term uint32) []Command {
	if h.Recovered || !h.Leaderships[len(h.Leaderships)-1].Established() {
		return nil
	}
	var commands []Command
	for _, f := range findings {
		o := s.Server(f.Server)
		if f.Code == topology.StalePrimary && f.Remedy == topology.RemedyReconcile && o.OK() && !o.ReadOnly && !s.Maintenance.Has(f.Server) {
			commands = append(commands, Command{Verb: Fence, Server: f.Server, Cluster: s.Cluster, Term: term, Deadline: repairDeadline})
		}
	}
	return commands
}

// poisonedInVain tells whether the established primary, the same process still, waits for acknowledgements that nobody can
// give although no later term was ever decided: a command of a change that gave up reached it late, as when its process
// had been frozen. Where the record was lost, a later term may have been decided; and with its source side off, as a fence
// leaves it, it would answer what nobody acknowledged.
func poisonedInVain(primary *topology.Observation, s topology.Snapshot, h topology.History) bool {
	last := h.Leaderships[len(h.Leaderships)-1]
	return !h.Recovered && primary.OK() && primary.SemiSync.Acks >= topology.PoisonAcks && primary.SemiSync.SourceEnabled && s.Ruleset.AcksNeeded(primary.Address) > 0 &&
		last.Established() && last.Incarnation == primary.Incarnation && !s.Maintenance.Has(primary.Address)
}

func repairOf(f topology.Finding, s topology.Snapshot, primary *topology.Observation, findings []topology.Finding, settled bool) (Command, bool) {
	switch f.Code {
	case topology.StalePrimary:
		if closed(s.Server(f.Server)) {
			return followPrimary(f.Server, s, primary, findings), true
		}
		return Command{Verb: Fence}, true
	case topology.WrongSource, topology.NotReplicating, topology.ReceiverStopped, topology.ReceiverFailed,
		topology.IntermediateUnfit, topology.CascadeReturning, topology.ApplierStopped, topology.ApplierFailed, topology.ReplicaOffline, topology.WritableReplica, topology.AckerDisabled,
		topology.AckerBehind, topology.UnknownAcker:
		if f.Server == primary.Address {
			return Command{Verb: Detach}, f.Code == topology.WrongSource
		}
		return followPrimary(f.Server, s, primary, findings), true
	case topology.SemiSyncSettings, topology.SemiSyncAsync:
		if f.Server != primary.Address {
			return Command{Verb: DisableSource}, f.Code == topology.SemiSyncSettings
		}
		if s.Ruleset.AcksNeeded(primary.Address) == 0 {
			return Command{Verb: DisableSource, Release: true, Incarnation: primary.Incarnation}, f.Code == topology.SemiSyncSettings && settled
		}
		return Command{Verb: EnableSource, Acks: s.Ruleset.AcksNeeded(primary.Address)}, true
	}
	return Command{}, false
}

// followPrimary makes a server follow the primary, or an intermediate that is to feed it, and acknowledge if it is an acker
// that is not to rest.
func followPrimary(a topology.Address, s topology.Snapshot, primary *topology.Observation, findings []topology.Finding) Command {
	o := s.Server(a)
	rests := slices.ContainsFunc(findings, func(f topology.Finding) bool { return f.Rests(o) })
	return Command{
		Verb: Follow, Source: topology.SourceOf(a, s.Ruleset, primary.Address, findings), Acker: s.Ruleset.Ackers(primary.Address).Has(a) && !rests,
		Within: openTo(primary.Executed, primary),
	}
}

func quarantined(findings []topology.Finding, a topology.Address) bool {
	return slices.ContainsFunc(findings, func(f topology.Finding) bool {
		return f.Server == a && (f.Code == topology.Errant || f.Code == topology.HalfRewound)
	})
}
