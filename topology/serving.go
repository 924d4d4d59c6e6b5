package topology

import "fmt"

// servingPrimary judges an established primary that answers.
func (q *inquiry) servingPrimary(found []Finding) []Finding {
	if !q.led || !q.p.Reach.OK() {
		return found
	}
	switch {
	case q.replaced:
		return append(found, q.primaryReplaced())
	case !q.p.Writable():
		return append(found, q.primaryReadOnly())
	}
	if q.restarted() {
		found = append(found, q.primaryUnverified())
	}
	if q.isStuck() {
		found = append(found, q.primaryStuck())
	}
	return found
}

// restarted tells whether another process of the primary's server answers than the one that was established.
func (q *inquiry) restarted() bool {
	return q.led && q.p.Incarnation != "" && q.lead.Incarnation != "" && q.p.Incarnation != q.lead.Incarnation
}

func (q *inquiry) restartEvidence() []Evidence {
	if !q.restarted() {
		return nil
	}
	return []Evidence{q.saw(q.p, "its process started %s, after it was established", q.ago(q.p.StartedAt))}
}

// primaryReplaced is a server with another server_uuid at the primary's address: a wiped data directory, or a moved
// address. The established primary may live on elsewhere, and then a replica may still hear it.
func (q *inquiry) primaryReplaced() Finding {
	f := Finding{
		Code: PrimaryReplaced, Severity: SeverityCritical, Server: q.leader, Remedy: RemedyEmergency, Certain: true,
		Message:  fmt.Sprintf("at %s answers a server with server_uuid %s, but the established primary is %s", q.leader, q.p.UUID, q.leaderUUID),
		Evidence: []Evidence{q.saw(q.p, "server_uuid is %s, %s executed", q.p.UUID, transactions(q.p.Executed))},
	}
	for _, o := range q.replicas {
		r := o.Replication
		if o.Reach.OK() && r != nil && r.SourceUUID == q.leaderUUID && r.Receiver == ThreadOn &&
			r.HeartbeatAge >= 0 && r.HeartbeatAge <= q.heartbeatLimit(*r) {
			f.Remedy, f.Certain = RemedyNone, false
			f.WhyNot = fmt.Sprintf("no failover: %s still receives from the established primary, so it lives at another address", o.Address)
			f.Evidence = append(f.Evidence, q.said(q.leader, o, "receives from "+r.SourceUUID.String()))
		}
	}
	return f
}

// primaryReadOnly is an established primary that is closed: restarted under its boot settings, or demoted by hand. A
// new term opens it, or another server, after verification.
func (q *inquiry) primaryReadOnly() Finding {
	f := Finding{
		Code: PrimaryReadOnly, Severity: SeverityCritical, Server: q.leader, Remedy: RemedyEmergency, Evidence: q.restartEvidence(),
		Message: fmt.Sprintf("%s is the established primary and is read-only: no client can write", q.leader),
	}
	switch {
	case q.restarted():
		f.Message = fmt.Sprintf("%s restarted and is read-only: it is opened, or replaced, under a new term after verification", q.leader)
	case q.p.OfflineMode:
		f.Message = fmt.Sprintf("%s is the established primary and is in offline mode: no client can write", q.leader)
	}
	f.Evidence = append(f.Evidence, q.saw(q.p, "read_only is %s, super_read_only is %s, offline_mode is %s",
		onOff(q.p.ReadOnly), onOff(q.p.SuperReadOnly), onOff(q.p.OfflineMode)))
	if q.p.Stall.ReadOnlyWait {
		f.Evidence = append(f.Evidence, q.noted(q.p, "a session still waits in SET super_read_only, so the variable proves nothing yet"))
	}
	return f
}

func onOff(b bool) string {
	if b {
		return "ON"
	}
	return "OFF"
}

// primaryUnverified is a primary that came back writable. MySQL completes un-acknowledged transactions when it
// recovers, and semi-sync may be off since: nobody has checked that ackers hold what it now shows its clients. Under a
// policy that promises nothing there is nothing to check.
func (q *inquiry) primaryUnverified() Finding {
	f := Finding{
		Code: PrimaryUnverified, Severity: SeverityCritical, Server: q.leader, Remedy: RemedyEmergency, Evidence: q.restartEvidence(),
		Message: fmt.Sprintf("%s restarted and takes writes without verification: it may show transactions that no acker holds", q.leader),
	}
	if q.needed == 0 {
		f.Severity, f.Remedy = SeverityInfo, RemedyNone
		f.Message = fmt.Sprintf("%s restarted since it was established", q.leader)
		f.WhyNot = "the durability policy asks for no acknowledgement, so there is nothing to verify"
	}
	return f
}

// isStuck tells whether commits hang in the storage engine or the binary log. Commits that queue behind one that waits
// for acknowledgements look the same; that is another trouble, and a new primary would have it too.
func (q *inquiry) isStuck() bool {
	stall := q.p.Stall
	if stall.DiskFull {
		return true
	}
	return stall.Committing > 0 && stall.OldestCommit >= q.l.StuckAfter && !q.waitsForAcks()
}

func (q *inquiry) primaryStuck() Finding {
	stall := q.p.Stall
	f := Finding{
		Code: PrimaryStuck, Severity: SeverityCritical, Server: q.leader, Remedy: RemedyEmergency,
		Message: fmt.Sprintf("%s answers but cannot complete commits: the oldest has been waiting for its disk for %s", q.leader, span(stall.OldestCommit)),
	}
	if stall.DiskFull {
		f.Message = fmt.Sprintf("%s answers but cannot complete commits: its disk is full", q.leader)
		f.Evidence = append(f.Evidence, q.noted(q.p, "a session waits for disk space"))
	}
	if stall.Committing > 0 {
		f.Evidence = append(f.Evidence, q.saw(q.p, "%s in commit, the oldest for %s", plural(stall.Committing, "session", "sessions"), span(stall.OldestCommit)))
	}
	if stall.OldestWaiter != "" {
		f.Evidence = append(f.Evidence, q.saw(q.p, "the oldest is %s", stall.OldestWaiter))
	}
	return f
}
