package topology

import (
	"fmt"
	"slices"
)

// watchedMin is how many servers an elector must watch before a share of them means anything.
const watchedMin = 3

// isolation tells whether this elector is the broken part: it has lost too many of all the servers that it watches.
// An elector that watches this one cluster only is isolated when it has lost all of it. Short of that the reached
// servers testify, and whoever reaches too few to revoke or establish is blocked by that anyway.
func (q inquiry) isolation() []Finding {
	lost, watched := q.s.OthersLost, q.s.OthersWatched
	limit := q.l.IsolatedShare * float64(watched)
	if watched <= len(q.s.Servers) {
		limit = float64(watched)
	}
	if watched < watchedMin || float64(lost) < limit {
		return nil
	}
	return []Finding{{
		Code: ElectorIsolated, Severity: SeverityCritical,
		Message:  fmt.Sprintf("this elector has lost %d of the %d servers that it watches: it is probably cut off itself and stands down", lost, watched),
		Evidence: []Evidence{{By: byProbe, Fact: fmt.Sprintf("%d of %d servers of all clusters do not answer", lost, watched), At: q.s.At}},
		WhyNot:   "no failover: mend this elector's network, or let another elector take over",
	}}
}

// restrained withdraws remedies that must not be applied now, and says why at each finding.
func (q inquiry) restrained(found []Finding) []Finding {
	isolated := slices.ContainsFunc(found, func(f Finding) bool { return f.Code == ElectorIsolated })
	behind := slices.ContainsFunc(found, func(f Finding) bool { return f.Code == StoreBehind })
	var kept []Finding
	for _, f := range found {
		switch {
		case q.s.Reparenting && slices.Contains(causedByChange, f.Code):
			continue
		case q.s.Reparenting:
			f = f.without("a leadership change is running")
		case behind:
			f = f.without("the record is older than what the servers know: see " + string(StoreBehind))
		case len(q.ahead) > 0 && f.Remedy == RemedyReconcile:
			f = f.without("a later term has to be settled first: see " + string(LeadershipUnsettled))
		case !q.led && f.Remedy == RemedyReconcile:
			f = f.without("the cluster is not adopted yet")
		case isolated && f.Remedy == RemedyEmergency:
			f = f.without(fmt.Sprintf("no failover: this elector has lost %d of the %d servers that it watches", q.s.OthersLost, q.s.OthersWatched))
		}
		kept = append(kept, q.maintained(f))
	}
	return kept
}

// maintained makes a finding about a server that an operator keeps out a mere note.
func (q inquiry) maintained(f Finding) Finding {
	if f.Server == "" || !q.s.Maintenance.Has(f.Server) {
		return f
	}
	reason := fmt.Sprintf("%s is in maintenance", f.Server)
	if f.Remedy == RemedyNone && f.WhyNot == "" {
		f.WhyNot = reason
	}
	f.Severity = SeverityInfo
	return f.without(reason)
}

// without takes the remedy away; a finding that had none keeps its own reason.
func (f Finding) without(reason string) Finding {
	if f.Remedy != RemedyNone {
		f.Remedy, f.WhyNot = RemedyNone, reason
	}
	return f
}

// causedByChange are the findings that a running leadership change brings about by itself.
var causedByChange = []Code{
	PrimaryReadOnly, PrimaryUnverified, LeadershipUnsettled, NoPrimary, NotAdopted, TwoWritable, StalePrimary, WritableReplica,
	SemiSyncBlocked, SemiSyncAsync, SemiSyncSettings, AckerDisabled, UnknownAcker, NotReplicating, WrongSource,
	ReceiverStopped, ReceiverFailed, ReceiverConnecting, Lagging, JournalMissing, WouldBlock,
}
