package topology

import (
	"fmt"
	"strings"
)

// leads tells whether the leader answers and really is the one that should lead: only then do its readings say
// anything about the cluster.
func (q *inquiry) leads() bool { return q.leader != "" && q.p.Reach.OK() && !q.replaced }

// lacksAckers tells whether fewer replicas are attached than a commit has to wait for, by what the server really does.
func (q *inquiry) lacksAckers() bool {
	semi := q.p.SemiSync
	return semi.SourceEnabled && semi.SourceActive && semi.Clients < semi.Acks
}

// waitsForAcks tells whether commits hang, or would, because acknowledgements do not come.
func (q *inquiry) waitsForAcks() bool { return q.p.SemiSync.Waiters > 0 || q.lacksAckers() }

// ackWaits reports writes that cannot complete for want of acknowledgements. A new primary would need as many, so this
// is no reason for a failover; what is missing is named instead.
func (q *inquiry) ackWaits(found []Finding) []Finding {
	if !q.leads() {
		return found
	}
	semi, stall := q.p.SemiSync, q.p.Stall
	switch {
	case q.lacksAckers() && semi.Acks == PoisonAcks:
		return append(found, q.poisoned())
	case q.lacksAckers():
		return append(found, q.tooFewAckers())
	case semi.Waiters > 0 && stall.OldestAckWait >= q.l.StuckAfter:
		return append(found, q.acksOverdue())
	}
	return found
}

func (q *inquiry) poisoned() Finding {
	f := Finding{
		Code: SemiSyncBlocked, Severity: SeverityCritical, Server: q.leader, Evidence: q.waitEvidence(),
		Message: fmt.Sprintf("%s waits for %d acknowledgements, which revokes it: a leadership change left it so", q.leader, PoisonAcks),
		WhyNot:  fmt.Sprintf("the change has to be finished or undone; by hand: SET GLOBAL rpl_semi_sync_source_wait_for_replica_count=%d", q.needed),
	}
	if q.h.Recovered { // by a change of which nothing is on record any more: whom it chose is not known, so all are asked
		f.Remedy, f.WhyNot = RemedyEmergency, ""
	}
	return f
}

func (q *inquiry) tooFewAckers() Finding {
	semi := q.p.SemiSync
	f := Finding{
		Code: SemiSyncBlocked, Severity: SeverityCritical, Server: q.leader, Evidence: q.waitEvidence(),
		Message: fmt.Sprintf("writes on %s wait: %s attached and each commit needs %d", q.leader, plural(semi.Clients, "acker is", "ackers are"), semi.Acks),
		WhyNot:  "no failover: another primary would need as many acknowledgements",
	}
	var missing []string
	for _, a := range q.ackers.members {
		if reason := q.notAcking(q.server(a)); reason != "" {
			missing = append(missing, string(a)+" "+reason)
		}
	}
	if len(missing) > 0 {
		f.Message += ". Missing: " + strings.Join(missing, "; ")
	}
	return f
}

func (q *inquiry) acksOverdue() Finding {
	semi, stall := q.p.SemiSync, q.p.Stall
	return Finding{
		Code: SemiSyncBlocked, Severity: SeverityCritical, Server: q.leader, Evidence: q.waitEvidence(),
		Message: fmt.Sprintf("writes on %s have been waiting for acknowledgements for %s although %s attached and %s enough",
			q.leader, span(stall.OldestAckWait), plural(semi.Clients, "acker is", "ackers are"), does(semi.Acks, "one is", fmt.Sprintf("%d are", semi.Acks))),
		WhyNot: "no failover: if the cause is a very large transaction, every new primary would wait for it too; if the ackers hang " +
			"(disk, network), mend or restart them, or replace the primary by hand",
	}
}

func (q *inquiry) waitEvidence() []Evidence {
	semi, stall := q.p.SemiSync, q.p.Stall
	all := []Evidence{q.saw(q.p, "%s attached, %d needed, %s", plural(semi.Clients, "semi-sync replica is", "semi-sync replicas are"),
		semi.Acks, plural(semi.Waiters, "session waits", "sessions wait"))}
	if stall.OldestWaiter != "" {
		all = append(all, q.saw(q.p, "the oldest is %s, waiting for %s", stall.OldestWaiter, span(stall.OldestAckWait)))
	}
	for _, a := range q.ackers.members {
		if o := q.server(a); q.notAcking(o) != "" {
			all = append(all, q.noted(o, q.notAcking(o)))
		}
	}
	return all
}

// notAcking says why a member that may ack does not; empty when nothing speaks against it.
func (q *inquiry) notAcking(o *Observation) string {
	r := o.Replication
	switch {
	case !o.Reach.OK():
		return "is not reached: " + reachText(o)
	case r == nil:
		return "does not replicate"
	case !q.follows(o):
		return fmt.Sprintf("replicates from %s", r.Source)
	case r.Receiver == ThreadOff:
		return "has its receiver stopped" + errnoText(r.ReceiverErrno)
	case r.Receiver == ThreadConnecting:
		return "cannot connect" + errnoText(r.ReceiverErrno)
	case !o.SemiSync.ReplicaEnabled:
		return "has its replica side of semi-sync off"
	case !o.SemiSync.ReplicaActive:
		return "receives without semi-sync: its receiver has to be restarted"
	}
	return ""
}

// sourceSide reports a primary whose commits do not wait as the durability policy wants.
func (q *inquiry) sourceSide(found []Finding) []Finding {
	if !q.leads() {
		return found
	}
	semi := q.p.SemiSync
	if q.needed == 0 {
		return q.waitsInVain(found)
	}
	if !semi.SourceEnabled || !semi.SourceActive {
		return append(found, q.async())
	}
	wrong, severity := q.sourceSettings()
	if len(wrong) == 0 {
		return found
	}
	f := Finding{
		Code: SemiSyncSettings, Severity: severity, Server: q.leader, Remedy: RemedyReconcile,
		Message: fmt.Sprintf("semi-sync on %s is not set as the durability policy wants: %s", q.leader, strings.Join(wrong, "; ")),
	}
	for _, w := range wrong {
		f.Evidence = append(f.Evidence, q.noted(q.p, w))
	}
	return append(found, f)
}

// waitsInVain reports a primary that waits for acknowledgements although the durability policy asks for none, as one does
// whose option file has the source side on: no member is made to give any, so that sooner or later its writes stand still.
func (q *inquiry) waitsInVain(found []Finding) []Finding {
	semi := q.p.SemiSync
	if !q.led || !semi.SourceEnabled || semi.Acks >= PoisonAcks {
		return found
	}
	return append(found, Finding{
		Code: SemiSyncSettings, Severity: SeverityWarning, Server: q.leader, Remedy: RemedyReconcile,
		Message: fmt.Sprintf("%s waits for %s although the durability policy asks for none: its source side of semi-sync is on, and its writes stand still "+
			"while fewer are attached (SET GLOBAL rpl_semi_sync_source_enabled=OFF)", q.leader, plural(semi.Acks, "acknowledgement", "acknowledgements")),
		Evidence: []Evidence{q.noted(q.p, "rpl_semi_sync_source_enabled is ON")},
	})
}

func (q *inquiry) async() Finding {
	f := Finding{
		Code: SemiSyncAsync, Severity: SeverityCritical, Server: q.leader, Remedy: RemedyReconcile,
		Message:  fmt.Sprintf("%s answers clients without waiting for acknowledgements: its source side of semi-sync is off. What it commits now can be lost", q.leader),
		Evidence: []Evidence{q.noted(q.p, "rpl_semi_sync_source_enabled is OFF")},
	}
	if !q.p.SemiSync.Installed {
		f.Message = fmt.Sprintf("%s answers clients without waiting for acknowledgements: the semi-sync plugins are not installed. What it commits now can be lost", q.leader)
	}
	if q.p.SemiSync.SourceEnabled {
		f.Message = fmt.Sprintf("%s fell back to asynchronous replication after a timeout of %s. What it commits now can be lost", q.leader, span(q.p.SemiSync.Timeout))
		f.Evidence = []Evidence{q.noted(q.p, "Rpl_semi_sync_source_status is OFF while rpl_semi_sync_source_enabled is ON")}
	}
	return f
}

// sourceSettings lists each setting with the loss that it permits and the statement that mends it. The count of
// acknowledgements is a breach of the policy right now, and so it is critical; the others take a further failure.
func (q *inquiry) sourceSettings() (wrong []string, severity Severity) {
	semi, needed := q.p.SemiSync, q.needed
	severity = SeverityWarning
	if semi.Acks != needed && semi.Acks != PoisonAcks {
		wrong = append(wrong, fmt.Sprintf("it waits for %s and the policy needs %d (SET GLOBAL rpl_semi_sync_source_wait_for_replica_count=%d)",
			plural(semi.Acks, "acknowledgement", "acknowledgements"), needed, needed))
	}
	if semi.Acks < needed {
		severity = SeverityCritical
	}
	if semi.Timeout < TimeoutInfinite {
		wrong = append(wrong, fmt.Sprintf("after %s without acknowledgements it answers clients all the same (SET GLOBAL rpl_semi_sync_source_timeout=4294967295)", span(semi.Timeout)))
	}
	if !semi.WaitNoReplica {
		wrong = append(wrong, "it stops waiting when too few ackers are attached (SET GLOBAL rpl_semi_sync_source_wait_no_replica=ON)")
	}
	if !semi.AfterSync {
		wrong = append(wrong, "others see a transaction before it is acknowledged (SET GLOBAL rpl_semi_sync_source_wait_point=AFTER_SYNC)")
	}
	return wrong, severity
}

// acking reports members whose acknowledgement should count and does not, and the reverse.
func (q *inquiry) acking(found []Finding) []Finding {
	if !q.leads() || q.needed == 0 {
		return found
	}
	resting := q.resting()
	for _, o := range q.replicas {
		switch {
		case o.Reach.OK() && q.cascades(o):
			found = q.strayCascaded(found, o)
		case !o.Reach.OK() || !q.follows(o):
		case resting.Has(o.Address):
			found = append(found, q.behind(o))
		case q.ackers.Has(o.Address):
			found = q.idleAcker(found, o)
		case o.SemiSync.ReplicaEnabled:
			found = append(found, q.strayAcker(o))
		case o.AcksAlone():
			found = append(found, q.strayAtBoot(o))
		}
	}
	return q.strangers(found)
}

func (q *inquiry) idleAcker(found []Finding, o *Observation) []Finding {
	f := Finding{Code: AckerDisabled, Severity: SeverityWarning, Server: o.Address, Remedy: RemedyReconcile}
	switch {
	case !o.SemiSync.ReplicaEnabled:
		f.Message = fmt.Sprintf("%s does not acknowledge: its replica side of semi-sync is off", o.Address)
		f.Evidence = []Evidence{q.noted(o, "rpl_semi_sync_replica_enabled is OFF")}
	case !o.SemiSync.ReplicaActive && o.Replication.Receiver == ThreadOn && q.p.SemiSync.SourceEnabled:
		f.Message = fmt.Sprintf("%s does not acknowledge: its receiver connected before semi-sync was enabled and has to be restarted", o.Address)
		f.Evidence = []Evidence{q.noted(o, "Rpl_semi_sync_replica_status is OFF while rpl_semi_sync_replica_enabled is ON")}
	default:
		return found
	}
	return append(found, f)
}

// strayAcker is a member that MySQL counts although the policy does not: any k acknowledgements answer the client.
func (q *inquiry) strayAcker(o *Observation) Finding {
	return Finding{
		Code: UnknownAcker, Severity: SeverityCritical, Server: o.Address, Remedy: RemedyReconcile,
		Message: fmt.Sprintf("%s acknowledges transactions of %s although its acknowledgement must not count under policy %s: "+
			"what only it holds can be lost (SET GLOBAL rpl_semi_sync_replica_enabled=OFF and restart its receiver)", o.Address, q.leader, q.s.Ruleset.Policy.Kind),
		Evidence: []Evidence{q.noted(o, "rpl_semi_sync_replica_enabled is ON")},
	}
}

// strayAtBoot is a member that a restart alone could make one, unseen where we do not reach it. Until that is ruled out it has
// to count as one when the primary is lost.
func (q *inquiry) strayAtBoot(o *Observation) Finding {
	return Finding{
		Code: UnknownAcker, Severity: SeverityWarning, Server: o.Address, Remedy: RemedyReconcile,
		Message: fmt.Sprintf("%s would acknowledge transactions of %s after a restart, or might, although its acknowledgement must not count under policy %s: "+
			"what only it holds could be lost (SET PERSIST_ONLY skip_replica_start=ON; where persisted_globals_load is OFF, in its option file)", o.Address, q.leader, q.s.Ruleset.Policy.Kind),
		Evidence: []Evidence{q.noted(o, "skip_replica_start is OFF at boot, and rpl_semi_sync_replica_enabled is not certain to be OFF")},
	}
}

// strangers are semi-sync clients that no member can be. Members that are unreached, or that may be connecting, are
// counted as attached, and so are those that are just ceasing to acknowledge, of which the primary hears a moment later: no
// moment between two probes makes a member look like a stranger.
func (q *inquiry) strangers(found []Finding) []Finding {
	members := 0
	for _, o := range q.replicas {
		if !o.Reach.OK() || q.follows(o) && (o.Replication.Receiver == ThreadOff) != o.SemiSync.ReplicaEnabled {
			members++
		}
	}
	if q.p.SemiSync.Clients <= members {
		return found
	}
	return append(found, Finding{
		Code: UnknownAcker, Severity: SeverityWarning, Server: q.leader,
		Message: fmt.Sprintf("%d semi-sync replicas are attached to %s and at most %d can be members: an unknown server may acknowledge, and what only it holds can be lost",
			q.p.SemiSync.Clients, q.leader, members),
		Evidence: []Evidence{q.saw(q.p, "Rpl_semi_sync_source_clients is %d", q.p.SemiSync.Clients)},
		WhyNot:   "the stranger is not known by address: look for it in SHOW REPLICAS, and disable its rpl_semi_sync_replica_enabled or make it a member",
	})
}
