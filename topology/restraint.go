package topology

import (
	"fmt"
	"slices"
)

// watchedMin is how many servers an elector must watch before a share of them means anything.
const watchedMin = 3

// isolation tells whether this elector is the broken part: it has lost too many of all the servers that it watches.
func (q *inquiry) isolation(found []Finding) []Finding {
	if !q.isIsolated() {
		return found
	}
	lost, watched := q.lost()
	return append(found, Finding{
		Code: ElectorIsolated, Severity: SeverityCritical,
		Message:  fmt.Sprintf("this elector has lost %d of the %d servers that it watches: it is probably cut off itself and stands down", lost, watched),
		Evidence: []Evidence{{By: byProbe, Fact: fmt.Sprintf("%d of %d servers do not answer", lost, watched), At: q.s.At}},
		WhyNot:   "no failover: mend this elector's network, or let another elector take over",
	})
}

// isIsolated asks for the configured share of a fleet. An elector that watches this one cluster only is isolated when
// it has lost all of it: short of that the reached servers testify, and whoever reaches too few to revoke or establish
// is blocked by that anyway.
func (q *inquiry) isIsolated() bool {
	lost, watched := q.lost()
	if watched < watchedMin {
		return false
	}
	if q.watchesOthers() {
		return float64(lost) >= q.l.IsolatedShare*float64(watched)
	}
	return lost == watched
}

func (q *inquiry) watchesOthers() bool { return q.s.OthersWatched > len(q.s.Servers) }

// lost counts the servers that do not answer. Of a single cluster those count from which nothing comes back at all: a
// host that refuses a connection shows that our network works.
func (q *inquiry) lost() (lost, watched int) {
	if q.watchesOthers() {
		return q.s.OthersLost, q.s.OthersWatched
	}
	mute := q.s.where(func(o *Observation) bool { return o.Reach == ReachSilent || o.Reach == ReachUnresolved })
	return mute.Len(), len(q.s.Servers)
}

// restrained withdraws remedies that must not be applied now, and says why at each finding. It makes use of the findings'
// own memory.
func (q *inquiry) restrained(found []Finding) []Finding {
	isolated := slices.ContainsFunc(found, func(f Finding) bool { return f.Code == ElectorIsolated })
	behind := slices.ContainsFunc(found, func(f Finding) bool { return f.Code == StoreBehind })
	serves := q.leads() && !primaryFailed(found)
	rival := q.rivalled()
	kept := found[:0]
	for _, f := range found {
		switch {
		case q.s.Reparenting && slices.Contains(causedByChange, f.Code):
			continue
		case q.s.Reparenting:
			f = f.without("a leadership change is running")
		case behind:
			f = f.without("the record is older than what the servers know: see " + string(StoreBehind))
		case q.s.Held != nil:
			f = f.without("the cluster is in maintenance" + q.ending(q.s.Held.Until))
		case (len(q.ahead) > 0 || q.unsettled() != nil) && f.Remedy == RemedyReconcile:
			f = f.without("a later term has to be settled first: see " + string(LeadershipUnsettled))
		case !q.led && f.Remedy == RemedyReconcile:
			f = f.without("the cluster is not adopted yet")
		case f.Remedy == RemedyReconcile && q.sharesIdentity(f.Server):
			f = f.without("it has the server_uuid of the primary and may be the primary itself: see " + string(DuplicateIdentity))
		case !serves && slices.Contains(towardsPrimary, f.Code):
			f = f.without("nothing is attached to a primary that does not serve")
		case rival != "" && f.Remedy == RemedyReconcile && slices.Contains(towardsPrimary, f.Code):
			f = f.without(rival + "; it is attached when enough of them are back")
		case isolated && f.Remedy == RemedyEmergency:
			lost, watched := q.lost()
			f = f.without(fmt.Sprintf("no failover: this elector has lost %d of the %d servers that it watches", lost, watched))
		case !q.s.StoreSilent.IsZero():
			f = f.without("the store does not answer this elector: see " + string(StoreUnavailable))
		}
		kept = append(kept, q.maintained(f.explained()))
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// maintained makes a finding about a server that an operator keeps out a mere note.
func (q *inquiry) maintained(f Finding) Finding {
	if f.Server == "" || !q.s.Maintenance.Has(f.Server) {
		return f
	}
	f.Severity = SeverityInfo
	return f.without(fmt.Sprintf("%s is in maintenance%s", f.Server, q.ending(q.s.MaintenanceEnds[f.Server])))
}

// explained says why nothing is done where the finding itself does not.
func (f Finding) explained() Finding {
	if f.Remedy == RemedyNone && f.WhyNot == "" {
		f.WhyNot = inaction[f.Code]
	}
	return f
}

// inaction says why Primacy does nothing by itself about some findings.
var inaction = map[Code]string{
	ServerUnreachable:  "a server's process, host and network are not Primacy's to start or mend; it is reconciled when it is back",
	ServerDenied:       "accounts and limits are changed by an operator only",
	GrantMissing:       "accounts are changed by an operator only",
	ReceiverFailed:     "the cause has to be mended first; as long as the receiver is connecting, MySQL tries again by itself",
	ReceiverConnecting: "MySQL tries again by itself",
	ApplierFailed:      "starting it again would fail again; the cause has to be mended first",
	Lagging:            "a replica catches up by itself, and one that lags delays no failover",
	WrongSettings:      "settings are changed by an operator only, with the statements in the evidence",
	ClusterMaintenance: "until then no primary is replaced and no replica repaired by itself; changes by hand go on",
	WouldBlock:         "bring back the servers that are named",
}

// without takes the remedy away; a finding that had none keeps its own reason.
func (f Finding) without(reason string) Finding {
	if f.Remedy != RemedyNone {
		f.Remedy, f.WhyNot = RemedyNone, reason
	}
	return f
}

// sharesIdentity tells whether a server under another address shows the leader's server_uuid. What fences it could
// fence the leader.
func (q *inquiry) sharesIdentity(a Address) bool {
	o := q.server(a)
	return a != q.leader && o.Reach.OK() && o.UUID == q.leaderUUID
}

// towardsPrimary are the findings whose remedy attaches something to the primary. While it fails that would at best be
// in vain, and at worst give acknowledgements back to a server that a leadership change is about to revoke.
var towardsPrimary = []Code{NotReplicating, WrongSource, IntermediateUnfit, CascadeReturning, ReceiverStopped, ReceiverFailed, ReplicaOffline, AckerDisabled, AckerBehind, UnknownAcker, SemiSyncAsync, SemiSyncSettings}

// causedByChange are the findings that a running leadership change brings about by itself.
var causedByChange = []Code{
	PrimaryReadOnly, PrimaryUnverified, LeadershipUnsettled, NoPrimary, NotAdopted, TwoWritable, StalePrimary, WritableReplica,
	SemiSyncBlocked, SemiSyncAsync, SemiSyncSettings, AckerDisabled, AckerBehind, UnknownAcker, NotReplicating, WrongSource,
	IntermediateUnfit, CascadeRehomed, CascadeReturning, ReceiverStopped, ReceiverFailed, ReceiverConnecting, ReplicaOffline, Lagging, JournalMissing, WouldBlock,
}
