package topology

import (
	"fmt"

	"github.com/primacydb/primacy/gtid"
)

// channels judges the replication of each reached server other than the leader, and of the leader itself.
func (q *inquiry) channels(found []Finding) []Finding {
	if q.leader == "" {
		return found
	}
	found = q.followingPrimary(found)
	for _, o := range q.replicas {
		if o.Reach.OK() && !q.isStale(o) {
			found = q.channel(found, o)
		}
	}
	return found
}

// followingPrimary reports a primary that receives from another member: a circle.
func (q *inquiry) followingPrimary(found []Finding) []Finding {
	r := q.p.Replication
	if !q.leads() || r == nil || r.Receiver == ThreadOff || !q.servers.Has(r.Source) {
		return found
	}
	return append(found, Finding{
		Code: WrongSource, Severity: SeverityWarning, Server: q.leader, Remedy: RemedyReconcile,
		Message:  fmt.Sprintf("%s leads and replicates from %s, a member of its own cluster", q.leader, r.Source),
		Evidence: []Evidence{q.saw(q.p, "its receiver is %s and its source is %s", r.Receiver, r.Source)},
	})
}

func (q *inquiry) channel(found []Finding, o *Observation) []Finding {
	if o.Replication == nil {
		return append(q.cascade(found, o), q.onChannel(o, NotReplicating, SeverityWarning, RemedyReconcile, "does not replicate from anything", "has no replication channel"))
	}
	found = q.cascade(found, o)
	if from := q.source(o); from != nil {
		found = q.receiver(found, o, from)
		found = q.offline(found, o)
		found = q.sourcing(found, o)
	} else {
		found = append(found, q.onChannel(o, WrongSource, SeverityWarning, RemedyReconcile,
			fmt.Sprintf("replicates from %s, not from %s", o.Replication.Source, q.rightful(o)), fmt.Sprintf("its source is %s", o.Replication.Source)))
	}
	found = q.purged(found, o)
	return q.applier(found, o)
}

// onChannel makes a finding about a replica. Nothing is started on a server that holds errant transactions: it would
// replicate without an error and stay different.
func (q *inquiry) onChannel(o *Observation, code Code, severity Severity, remedy Remedy, message, fact string) Finding {
	f := Finding{
		Code: code, Severity: severity, Server: o.Address, Remedy: remedy,
		Message: string(o.Address) + " " + message, Evidence: []Evidence{q.noted(o, fact)},
	}
	if remedy == RemedyReconcile && !q.errant[o.Address].IsEmpty() {
		f.Remedy, f.WhyNot = RemedyNone, "it holds errant transactions, which have to be settled first"
	}
	if remedy == RemedyReconcile && !o.Undone.IsEmpty() {
		f = f.without("a rewind was left half done there: see " + string(HalfRewound))
	}
	return f
}

// receiver judges the receiver of a server that has the right source. While that is not reached a receiver that
// cannot connect is a witness against it, not a trouble of its own.
func (q *inquiry) receiver(found []Finding, o, from *Observation) []Finding {
	r := o.Replication
	sourceFails := !from.Reach.OK() && networkErrno(r.ReceiverErrno)
	if r.Receiver == ThreadOn || sourceFails {
		return found
	}
	fact := fmt.Sprintf("its receiver is %s%s", r.Receiver, errnoText(r.ReceiverErrno))
	switch {
	case refusedLogin(r.ReceiverErrno):
		return append(found, q.lockedOut(o, from.Address, fact))
	case r.ReceiverErrno != 0:
		remedy := RemedyNone
		if r.Receiver == ThreadOff && !hopelessReceiverErrno(r.ReceiverErrno) && sharedIdentity(from, o) == "" { // it was stopped, or ran out of attempts
			remedy = RemedyReconcile
		}
		return append(found, q.onChannel(o, ReceiverFailed, SeverityWarning, remedy,
			fmt.Sprintf("does not receive from %s%s: %s", from.Address, errnoText(r.ReceiverErrno), receiverAdvice(r.ReceiverErrno)), fact))
	case r.Receiver == ThreadConnecting && from.Reach.OK():
		return append(found, q.onChannel(o, ReceiverConnecting, SeverityInfo, RemedyNone, fmt.Sprintf("is connecting to %s", from.Address), fact))
	case r.Receiver == ThreadOff:
		return append(found, q.onChannel(o, ReceiverStopped, SeverityWarning, RemedyReconcile,
			"does not receive: its receiver was stopped without an error", fact))
	}
	return found
}

// lockedOut is a replica whose login is refused. It is told the credentials that are configured, which are the right ones
// where the account was changed. Where they are refused as well it goes on trying with them, and nobody has to tell it again.
func (q *inquiry) lockedOut(o *Observation, source Address, fact string) Finding {
	errno := o.Replication.ReceiverErrno
	f := q.onChannel(o, ReceiverFailed, SeverityWarning, RemedyReconcile,
		fmt.Sprintf("does not receive from %s%s: %s", source, errnoText(errno), receiverAdvice(errno)), fact)
	if n := q.s.GivenUp[o.Address]; n > 0 && o.Replication.Receiver == ThreadConnecting {
		return f.without(fmt.Sprintf("%s refuses the configured credentials too, with which it was pointed there anew %s: mend the account there, or "+
			"replication in the configuration", source, plural(n, "time", "times")))
	}
	return f
}

// sourcing reports a replica that waits for acknowledgements of what it applies: nobody gives them, for whoever follows it
// has had those transactions from elsewhere. A candidate that was given up while we did not reach it can be left so.
func (q *inquiry) sourcing(found []Finding, o *Observation) []Finding {
	if !o.SemiSync.SourceEnabled || !q.led {
		return found
	}
	return append(found, q.onChannel(o, SemiSyncSettings, SeverityWarning, RemedyReconcile,
		"follows the primary and has its source side of semi-sync on: what it applies waits for acknowledgements that do not come", "rpl_semi_sync_source_enabled is ON"))
}

// offline reports a replica that clients cannot use: one that starts with offline_mode=ON, or that was fenced while it
// followed, waits for somebody to let it back.
func (q *inquiry) offline(found []Finding, o *Observation) []Finding {
	if !o.OfflineMode {
		return found
	}
	return append(found, q.onChannel(o, ReplicaOffline, SeverityWarning, RemedyReconcile,
		"follows the primary and is in offline mode: no client can read there", "offline_mode is ON"))
}

// purged tells whether a server that does not receive needs transactions which the primary has purged. One that
// receives right now lacks nothing; its own set is merely older than the primary's.
func (q *inquiry) purged(found []Finding, o *Observation) []Finding {
	if !q.leads() || q.source(o) != nil && o.Replication.Receiver == ThreadOn || q.hasFitIntermediate(o) {
		return found
	}
	lacking := q.p.Purged.Subtract(o.Position())
	if lacking.IsEmpty() {
		return found
	}
	f := q.onChannel(o, PurgedOnSource, SeverityCritical, RemedyNone,
		fmt.Sprintf("lacks %s, of which %s has purged the binary logs: it cannot catch up from there", transactions(lacking), q.leader),
		"lacks "+transactions(lacking))
	f.WhyNot = "clone it from a healthy server"
	if holders := q.holders(o.Address, lacking); len(holders) > 0 {
		f.WhyNot += ", or let it catch up from " + joinedAddresses(holders, "or") + " first, which still " + does(len(holders), "has", "have") + " the logs"
	}
	return append(found, f)
}

// holders are the other replicas that executed what a server lacks and have not purged it.
func (q *inquiry) holders(lacks Address, lacking gtid.Set) []Address {
	var all []Address
	for _, o := range q.replicas {
		if o.Reach.OK() && o.Address != lacks && o.Executed.Contains(lacking) && !o.Purged.Intersects(lacking) {
			all = append(all, o.Address)
		}
	}
	return all
}

func (q *inquiry) applier(found []Finding, o *Observation) []Finding {
	r := o.Replication
	if r.Applier == ThreadOn {
		return q.lagging(found, o)
	}
	fact := fmt.Sprintf("its applier is %s%s", r.Applier, errnoText(r.ApplierErrno))
	switch {
	case r.ApplierErrno != 0:
		remedy := RemedyNone
		if transientApplierErrno(r.ApplierErrno) {
			remedy = RemedyReconcile
		}
		return append(found, q.onChannel(o, ApplierFailed, SeverityWarning, remedy,
			fmt.Sprintf("cannot apply what it received%s: %s", errnoText(r.ApplierErrno), applierAdvice(r.ApplierErrno)), fact))
	case r.Applier == ThreadOff:
		return append(found, q.onChannel(o, ApplierStopped, SeverityWarning, RemedyReconcile, "does not apply: its applier was stopped without an error", fact))
	}
	return q.lagging(found, o)
}

// lagging leaves out the delay that was asked for.
func (q *inquiry) lagging(found []Finding, o *Observation) []Finding {
	delay := q.delay(o)
	lag := o.Replication.Lag - delay
	if lag <= q.l.LagMax {
		return found
	}
	return append(found, q.onChannel(o, Lagging, SeverityWarning, RemedyNone,
		fmt.Sprintf("applies transactions that are %s old (limit %s)", span(o.Replication.Lag), span(q.l.LagMax+delay)),
		fmt.Sprintf("has %s received and not applied", transactions(o.Unapplied()))))
}

// unreachedServers reports members, other than an established primary, that do not answer.
func (q *inquiry) unreachedServers(found []Finding) []Finding {
	for _, o := range q.members {
		if q.led && o.Address == q.leader {
			continue
		}
		if !o.Reach.OK() {
			found = append(found, q.unreached(o))
		}
	}
	return found
}

func (q *inquiry) unreached(o *Observation) Finding {
	f := Finding{Code: ServerUnreachable, Severity: SeverityWarning, Server: o.Address,
		Evidence: append(append(make([]Evidence, 0, 2), q.noted(o, reachText(o))), q.lastSeen(o.Address)...)}
	switch o.Reach {
	case ReachOK:
	case ReachDenied:
		f.Code = ServerDenied
		f.Message = fmt.Sprintf("%s refuses our login%s: %s", o.Address, errnoText(o.Errno), loginAdvice(o.Errno))
	case ReachUnknown:
		f.Severity, f.Evidence = SeverityInfo, q.lastSeen(o.Address)
		f.Message = fmt.Sprintf("%s has not been probed lately", o.Address)
	case ReachRefused, ReachReset, ReachSilent, ReachUnresolved:
		f.Message = string(o.Address) + " is not reached: " + reachText(o)
	}
	return f
}
