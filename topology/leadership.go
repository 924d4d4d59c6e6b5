package topology

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/primacydb/primacy/gtid"
)

// records compares what is on record about the leadership with what the servers show of it.
func (q *inquiry) records(found []Finding) []Finding {
	unknown, unsettled := q.unrecordedMarkers(), q.unsettled()
	switch {
	case len(unknown) > 0:
		return append(found, q.storeBehind(unknown))
	case unsettled != nil && q.isBeingAdopted():
		return append(found, q.adoptedAgain(*unsettled))
	case unsettled != nil:
		return append(found, q.leadershipUnsettled(*unsettled))
	case !q.led:
		return append(found, q.unadopted())
	case q.h.Recovered && q.serves():
		return append(found, q.recovered())
	}
	return found
}

// serves tells whether the process that was established completes writes, as far as it shows.
func (q *inquiry) serves() bool {
	return q.leads() && q.p.Writable() && q.p.Incarnation == q.lead.Incarnation && q.writable().Len() == 1 &&
		(q.needed == 0 || q.p.SemiSync.Verified() && q.p.SemiSync.Clients >= max(q.needed, q.p.SemiSync.Acks))
}

// recovered asks for a new term where the one on record comes from journals: what a lost change has left somewhere, as a
// marker that waits for acknowledgements, then belongs to an earlier term than what is written from now on.
func (q *inquiry) recovered() Finding {
	return Finding{
		Code: NotAdopted, Severity: SeverityWarning, Server: q.leader, Remedy: RemedyAdopt,
		Evidence: []Evidence{q.saw(q.p, "is writable, and completed the marker of %s", q.lead.Marker())},
		Message:  fmt.Sprintf("that %s leads under term %d is known from the servers' journals only: it is adopted again, under a new term", q.leader, q.lead.Term),
	}
}

// recordOf finds the leadership that a marker stands for; nil when no record names it.
func (q *inquiry) recordOf(m Marker) *Leadership {
	for i := len(q.h.Leaderships) - 1; i >= 0; i-- {
		if q.h.Leaderships[i].Marker() == m {
			return &q.h.Leaderships[i]
		}
	}
	return nil
}

// aheadOfRecord finds the reached servers that have heard of a term after the current one, or of another leadership
// that claims the same term; nil, as a rule.
func (q *inquiry) aheadOfRecord() map[Address]Marker {
	var ahead map[Address]Marker
	current := q.lead.Marker()
	for _, o := range q.members {
		if !o.Reach.OK() {
			continue
		}
		for _, set := range [2]gtid.Set{o.Executed, o.Received} {
			for s := range set.Sources() {
				m, ok := MarkerOf(s.UUID)
				if !ok || q.led && (m.Term < current.Term || m == current) || !ahead[o.Address].before(m) {
					continue
				}
				if ahead == nil {
					ahead = map[Address]Marker{}
				}
				ahead[o.Address] = m
			}
		}
	}
	return ahead
}

// unrecordedMarkers are the servers whose latest leadership no record names.
func (q *inquiry) unrecordedMarkers() []Address {
	return q.aheadWhere(func(m Marker) bool { return q.recordOf(m) == nil })
}

// unsettled is the latest leadership on record that was begun after the established one and never ended. That nobody
// shows its marker proves nothing: a marker that waits for acknowledgements is in the binary log and in no GTID set. nil
// when there is none.
func (q *inquiry) unsettled() *Leadership {
	var last *Leadership
	for i := range q.h.Leaderships {
		l := &q.h.Leaderships[i]
		if !l.Established() && l.Term > q.lead.Term && (last == nil || l.Term > last.Term) {
			last = l
		}
	}
	return last
}

// unsettledMarkers are the servers whose latest leadership is a recorded intent of unknown outcome.
func (q *inquiry) unsettledMarkers() []Address {
	return q.aheadWhere(func(m Marker) bool { return q.recordOf(m) != nil })
}

func (q *inquiry) aheadWhere(keep func(Marker) bool) []Address {
	if len(q.ahead) == 0 {
		return nil
	}
	var all []Address
	for _, a := range slices.Sorted(maps.Keys(q.ahead)) {
		if keep(q.ahead[a]) {
			all = append(all, a)
		}
	}
	return all
}

func (q *inquiry) markerEvidence(servers []Address) []Evidence {
	var all []Evidence
	for _, a := range servers {
		all = append(all, q.saw(q.server(a), "holds the marker of %s", q.ahead[a]))
	}
	return all
}

func (q *inquiry) storeBehind(servers []Address) Finding {
	record := "no leadership is on record"
	if q.led {
		record = fmt.Sprintf("the latest established leadership on record is term %d of %s", q.lead.Term, q.lead.Primary)
	}
	return Finding{
		Code: StoreBehind, Severity: SeverityCritical, Evidence: q.markerEvidence(servers),
		Message: fmt.Sprintf("%s %s of a leadership that is not on record: %s", named(servers), does(len(servers), "knows", "know"), record),
		WhyNot: "nothing is changed on the strength of an outdated record; it is taken over from the servers' journals as far as they prove it. " +
			"If this stays: was the store restored from an old backup, or does another control plane manage these servers?",
	}
}

// isBeingAdopted tells whether what is unsettled are adoptions that were interrupted, of the one server that takes writes.
// Nobody led before it by record, or it is the one who did: there is nothing to revoke, and it serves all the while.
func (q *inquiry) isBeingAdopted() bool {
	if q.leader == "" || q.led && (!q.h.Recovered || !q.serves()) {
		return false
	}
	return !slices.ContainsFunc(q.h.Leaderships, func(l Leadership) bool {
		return !l.Established() && (l.Kind != kindAdoption || l.PrimaryUUID != q.leaderUUID)
	})
}

func (q *inquiry) adoptedAgain(l Leadership) Finding {
	f := q.recovered()
	if !q.led {
		f = q.notAdopted()
	}
	f.Message = fmt.Sprintf("%s leads, and whether its adoption under term %d came to its end is not on record: it is made again", q.leader, l.Term)
	return f
}

// kindAdoption is the kind of a decision that records the first term of a cluster on the server that leads it already.
const kindAdoption = "adoption"

func (q *inquiry) leadershipUnsettled(l Leadership) Finding {
	shown := "nobody shows its marker, which proves nothing while it may wait for acknowledgements"
	servers := q.unsettledMarkers()
	if len(servers) > 0 {
		shown = fmt.Sprintf("%s %s its marker", named(servers), does(len(servers), "holds", "hold"))
	}
	recorded := Evidence{By: "the record", At: l.DecidedAt, Fact: fmt.Sprintf("%s decided on %s for term %d, and no outcome is noted", l.Elector, l.Primary, l.Term)}
	return Finding{
		Code: LeadershipUnsettled, Severity: SeverityCritical, Server: l.Primary, Remedy: RemedyEmergency, Evidence: append(q.markerEvidence(servers), recorded),
		Message: fmt.Sprintf("a change to %s under term %d was begun and its outcome is not on record, but %s: it has to be finished", l.Primary, l.Term, shown),
	}
}

// writable are the members on which ordinary clients can write.
func (q *inquiry) writable() ServerSet {
	return q.s.where(func(o *Observation) bool { return o.Reach.OK() && !o.ReadOnly && !o.OfflineMode }).And(q.servers)
}

// onlyWritable is the one writable member of a cluster, with its identity.
func (q *inquiry) onlyWritable() (Address, gtid.UUID) {
	writable := q.writable()
	if writable.Len() != 1 {
		return "", gtid.UUID{}
	}
	a := writable.members[0]
	return a, q.server(a).UUID
}

// unadopted judges a cluster without a record by what its servers show.
func (q *inquiry) unadopted() Finding {
	writable := q.writable()
	switch writable.Len() {
	case 0:
		return q.noPrimary()
	case 1:
		return q.notAdopted()
	}
	return Finding{
		Code: TwoWritable, Severity: SeverityCritical, Evidence: q.writableEvidence(writable),
		Message: fmt.Sprintf("%s are all writable and no leadership is on record", named(writable.List())),
		WhyNot:  "which one leads cannot be known from here: set super_read_only=ON on all but the right one, and the cluster can be adopted",
	}
}

func (q *inquiry) noPrimary() Finding {
	f := Finding{
		Code: NoPrimary, Severity: SeverityCritical, Message: "no leadership is on record and no server is writable",
		WhyNot: "a primary cannot be chosen without a record of who led: make the right server writable (read_only and offline_mode off) and the cluster is adopted, or let `primacy emergency` choose by what the servers hold",
	}
	if q.s.Reached().Len() < len(q.s.Ruleset.Members) {
		f.WhyNot = "the primary may be among the servers that are not reached: make nothing writable before they are"
	}
	for _, o := range q.members {
		if o.Reach.OK() {
			f.Evidence = append(f.Evidence, q.noted(o, closedText(o)))
		} else {
			f.Evidence = append(f.Evidence, q.noted(o, reachText(o)))
		}
	}
	return f
}

// closedText says what keeps clients from writing on a server, all of it: who opens it by hand has to switch off both.
func closedText(o *Observation) string {
	switch {
	case !o.OfflineMode:
		return "is read-only"
	case !o.ReadOnly:
		return "is in offline mode"
	}
	return "is read-only and in offline mode"
}

func (q *inquiry) writableEvidence(writable ServerSet) []Evidence {
	var all []Evidence
	for _, a := range writable.members {
		all = append(all, q.noted(q.server(a), "is writable"))
	}
	return all
}

// notAdopted offers adoption of a cluster that has one writable server which all the others follow.
func (q *inquiry) notAdopted() Finding {
	f := Finding{
		Code: NotAdopted, Severity: SeverityInfo, Server: q.leader, Remedy: RemedyAdopt,
		Evidence: []Evidence{q.noted(q.p, "is writable")},
		Message:  fmt.Sprintf("%s leads, but no term is on record yet", q.leader),
	}
	for _, o := range q.replicas {
		if reason := q.notFollowing(o); reason != "" {
			f.Severity, f.Remedy = SeverityWarning, RemedyNone
			f.WhyNot = cmp.Or(f.WhyNot, fmt.Sprintf("not adopted before the cluster is healthy: %s %s", o.Address, reason))
			f.Evidence = append(f.Evidence, q.noted(o, reason))
		}
	}
	return f
}

// notFollowing says why a server is not a plain replica of the leader; empty when it is.
func (q *inquiry) notFollowing(o *Observation) string {
	switch {
	case !o.Reach.OK():
		return "is not reached: " + reachText(o)
	case o.Replication == nil:
		return "does not replicate"
	case q.source(o) == nil:
		return fmt.Sprintf("replicates from %s", o.Replication.Source)
	case o.Replication.Receiver != ThreadOn:
		return "does not receive"
	case !q.errant[o.Address].IsEmpty():
		return "holds errant " + transactions(q.errant[o.Address])
	}
	return ""
}

// writableServers reports whoever is writable besides the primary.
func (q *inquiry) writableServers(found []Finding) []Finding {
	writable := q.writable()
	if q.led && writable.Len() > 1 {
		found = append(found, Finding{
			Code: TwoWritable, Severity: SeverityCritical, Evidence: q.writableEvidence(writable),
			Message: fmt.Sprintf("%s are all writable; only %s leads by record (term %d)", named(writable.List()), q.leader, q.lead.Term),
			WhyNot:  "settled server by server: see their own findings",
		})
	}
	for _, o := range q.replicas {
		if o.Reach.OK() && q.leader != "" && !o.Closed() && !q.isStale(o) {
			found = append(found, q.writableReplica(o))
		}
	}
	return found
}

func (q *inquiry) writableReplica(o *Observation) Finding {
	f := Finding{Code: WritableReplica, Severity: SeverityCritical, Server: o.Address, Remedy: RemedyReconcile,
		Message:  fmt.Sprintf("%s is writable although %s leads: what is written there will be errant", o.Address, q.leader),
		Evidence: []Evidence{q.noted(o, "read_only and super_read_only are OFF")}}
	switch {
	case o.SuperReadOnly:
		f.Evidence = []Evidence{q.noted(o, "read_only is OFF, and super_read_only, which is ON, closes nothing alone")}
	case o.ReadOnly:
		f.Severity = SeverityWarning
		f.Message = fmt.Sprintf("%s is open for writes of privileged accounts: super_read_only is OFF", o.Address)
		f.Evidence = []Evidence{q.noted(o, "read_only is ON, super_read_only is OFF")}
	}
	return f
}

// isStale tells whether a server that led in an earlier term still, or again, behaves like a primary.
func (q *inquiry) isStale(o *Observation) bool {
	if !q.led || !o.Reach.OK() || o.Address == q.leader || o.UUID == q.leaderUUID || !q.hasLed(o) {
		return false
	}
	return !o.ReadOnly || o.SemiSync.SourceEnabled || q.source(o) == nil
}

// hasLed tells whether a server led by record, or may have: a recorded intent counts.
func (q *inquiry) hasLed(o *Observation) bool {
	if o.UUID == (gtid.UUID{}) {
		return false
	}
	return slices.Contains(q.h.Leaders, o.UUID) ||
		slices.ContainsFunc(q.h.Leaderships, func(l Leadership) bool { return l.PrimaryUUID == o.UUID })
}

func (q *inquiry) stalePrimaries(found []Finding) []Finding {
	for _, o := range q.replicas {
		if q.isStale(o) {
			found = append(found, q.stalePrimary(o))
		}
	}
	return found
}

func (q *inquiry) stalePrimary(o *Observation) Finding {
	f := Finding{
		Code: StalePrimary, Severity: SeverityWarning, Server: o.Address, Remedy: RemedyReconcile,
		Message: fmt.Sprintf("%s led before and has not joined %s, the primary of term %d", o.Address, q.leader, q.lead.Term),
	}
	if !o.ReadOnly {
		f.Severity = SeverityCritical
		f.Message = fmt.Sprintf("%s led before and is writable, although %s leads term %d: it has to be fenced", o.Address, q.leader, q.lead.Term)
		f.Evidence = append(f.Evidence, q.noted(o, "is writable"))
	}
	if o.SemiSync.SourceEnabled {
		f.Evidence = append(f.Evidence, q.saw(o, "its source side of semi-sync is on, with %s waiting for acknowledgements", plural(o.SemiSync.Waiters, "session", "sessions")))
	}
	if !q.follows(o) {
		f.Evidence = append(f.Evidence, q.saw(o, "does not replicate from %s", q.leader))
	}
	return f
}
