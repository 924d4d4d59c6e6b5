package topology

import (
	"fmt"
	"strings"

	"github.com/primacydb/primacy/gtid"
)

// unreachedPrimary judges an established primary that our probes do not reach. Its ackers are the witnesses:
// whoever still hears it stops the failover, whoever lost it confirms the failure.
func (q *inquiry) unreachedPrimary(found []Finding) []Finding {
	if !q.led {
		return found
	}
	switch q.p.Reach {
	case ReachOK:
		return found
	case ReachDenied:
		return append(found, q.primaryDenied())
	case ReachUnknown:
		return append(found, q.primaryUnprobed())
	case ReachRefused, ReachReset, ReachSilent, ReachUnresolved:
	}
	t := q.tally()
	switch {
	case t.lives():
		return append(found, q.unreachableByUs(t))
	case q.isDead(t):
		return append(found, q.primaryDead(t))
	case q.isFrozen(t):
		return append(found, q.primaryFrozen(t))
	}
	return append(found, q.primarySuspect(t))
}

// tally is the testimony of all witnesses, sorted.
type tally struct {
	hears, unsettled, lost, none []witness
	others                       []Evidence // electors that reach it
}

func (q *inquiry) tally() tally {
	t := tally{others: q.reachedByOthers()}
	for _, w := range q.witnesses() {
		switch w.says {
		case testimonyHears:
			t.hears = append(t.hears, w)
		case testimonyUnsettled:
			t.unsettled = append(t.unsettled, w)
		case testimonyLost:
			t.lost = append(t.lost, w)
		case testimonyNone:
			t.none = append(t.none, w)
		}
	}
	if q.p.Reach.Gone() {
		t.hears, t.none = q.withoutDrainers(t.hears, t)
		t.unsettled, t.none = q.withoutDrainers(t.unsettled, t)
	}
	return t
}

// withoutDrainers moves those who merely read what the primary sent before it went to the ones who say nothing.
//
// A replica with a backlog keeps its receiver on, and its heartbeat fresh, for as long as data lies in its socket's
// buffer, which can be seconds after a kill -9. It shows by what it lacks: while it has not got to where a witness is
// that lost the primary, nothing of what it receives needs a primary that lives. Only a process that is gone by the
// word of its own host is judged like that; a primary that is merely silent to us keeps every one who hears it.
func (q *inquiry) withoutDrainers(group []witness, t tally) (rest, none []witness) {
	none = t.none
	for _, w := range group {
		ahead, lacks := q.aheadOf(w, t.lost)
		if lacks == 0 {
			rest = append(rest, w)
			continue
		}
		w.says = testimonyNone
		w.words = fmt.Sprintf("reads what was sent before: it lacks %d transactions that %s, who lost the primary, holds", lacks, ahead)
		none = append(none, w)
	}
	return rest, none
}

// aheadOf finds the witness that holds most of the primary's transactions that another one lacks.
func (q *inquiry) aheadOf(w witness, lost []witness) (ahead Address, lacks uint64) {
	for _, l := range lost {
		written := l.Position().Only(func(s gtid.Source) bool { return s.UUID == q.leaderUUID })
		if n := written.Subtract(w.Position()).Count(); n > lacks {
			ahead, lacks = l.Address, n
		}
	}
	return ahead, lacks
}

func (t tally) lives() bool { return len(t.hears)+len(t.others) > 0 }

// isDead is the fast path: the process is gone, by the word of its own host, and every acker that could tell has
// lost it. Without any such acker (all stopped by hand, or none reached) the refusal must last as long as a silence
// would have to: it is first-hand and certain, but a supervisor may be restarting the process this very moment.
// A connection that was merely cut needs a witness.
func (q *inquiry) isDead(t tally) bool {
	if len(t.unsettled) > 0 {
		return false
	}
	switch q.p.Reach {
	case ReachRefused:
		return len(t.lost) > 0 || q.failingFor() >= q.l.SilentAfter
	case ReachReset:
		return len(t.lost) > 0
	case ReachOK, ReachDenied, ReachUnknown, ReachSilent, ReachUnresolved:
	}
	return false
}

// isFrozen is the slow path: nothing came back for SilentAfter, neither to us nor to any acker that could tell. When
// none can tell, the primary has failed only if so many ackers were seen not to receive that it cannot complete a
// write; else the unreached ones may hear it, and we may be the broken part.
func (q *inquiry) isFrozen(t tally) bool {
	if len(t.unsettled) > 0 || q.failingFor() < q.l.SilentAfter {
		return false
	}
	return len(t.lost) > 0 || !q.s.Ruleset.CanComplete(q.leader, q.maybeReceiving())
}

// maybeReceiving are the ackers that were not seen idle: unreached, or with their receiver connected to the primary.
func (q *inquiry) maybeReceiving() ServerSet {
	return q.ackers.Where(func(a Address) bool {
		o := q.server(a)
		return !o.Reach.OK() || q.follows(o) && o.Replication.Receiver != ThreadOff
	})
}

// evidence tells first what our probe saw, then what each witness says, then the other electors.
func (q *inquiry) evidence(t tally) []Evidence {
	all := []Evidence{q.saw(q.p, "%s for %s", reachText(q.p), span(q.failingFor()))}
	all = append(all, q.lastSeen(q.leader)...)
	for _, group := range [][]witness{t.hears, t.lost, t.unsettled, t.none} {
		for _, w := range group {
			all = append(all, q.said(q.leader, w.Observation, w.words))
		}
	}
	all = append(all, q.silentWitnesses()...)
	return append(all, t.others...)
}

// silentWitnesses says which ackers could not be asked.
func (q *inquiry) silentWitnesses() []Evidence {
	var all []Evidence
	for _, a := range q.ackers.Minus(q.s.Reached()).members {
		o := q.server(a)
		all = append(all, q.saw(o, "cannot testify: %s", reachText(o)))
	}
	return all
}

// reachText says how a probe ended.
func reachText(o *Observation) string {
	switch o.Reach {
	case ReachOK:
		return "answers"
	case ReachRefused:
		return "its host refuses the connection, so no process listens"
	case ReachReset:
		return "the connection was cut and a new one has not succeeded"
	case ReachSilent:
		return "nothing comes back"
	case ReachDenied:
		return "MySQL answers and refuses our login" + errnoText(o.Errno)
	case ReachUnresolved:
		return "its name or route is unknown to us"
	case ReachUnknown:
	}
	return "not probed lately"
}

func (q *inquiry) primaryDead(t tally) Finding {
	f := Finding{
		Code: PrimaryDead, Severity: SeverityCritical, Server: q.leader, Remedy: RemedyEmergency,
		Certain: q.p.Reach.Gone(), Evidence: q.evidence(t),
	}
	switch {
	case len(t.lost) > 0 && f.Certain:
		f.Message = fmt.Sprintf("%s is dead: its host refuses connections, and %s lost it too", q.leader, witnessNames(t.lost))
	case len(t.lost) > 0:
		f.Message = fmt.Sprintf("%s is dead: it cut our connection, and %s lost it too", q.leader, witnessNames(t.lost))
	default:
		f.Message = fmt.Sprintf("%s is dead: its host keeps refusing connections; no acker can say more", q.leader)
	}
	return f
}

func (q *inquiry) primaryFrozen(t tally) Finding {
	f := Finding{
		Code: PrimaryFrozen, Severity: SeverityCritical, Server: q.leader, Remedy: RemedyEmergency, Evidence: q.evidence(t),
		Message: fmt.Sprintf("%s is silent, and %s lost it too", q.leader, witnessNames(t.lost)),
	}
	if len(t.lost) == 0 {
		f.Message = fmt.Sprintf("%s is silent, and too few of its ackers receive from it to complete a write", q.leader)
	}
	return f
}

func (q *inquiry) unreachableByUs(t tally) Finding {
	f := Finding{
		Code: PrimaryUnreachableByUs, Severity: SeverityWarning, Server: q.leader, Evidence: q.evidence(t),
		Message: fmt.Sprintf("%s does not answer this elector, but it lives", q.leader),
	}
	var reasons []string
	for _, w := range t.hears {
		reasons = append(reasons, string(w.Address)+" "+w.words)
	}
	for _, w := range t.others {
		reasons = append(reasons, w.By+" "+w.Fact)
	}
	f.WhyNot = "no failover: " + strings.Join(reasons, "; ") + ". Mend the network between this elector and " + string(q.leader)
	if maybe := t.possibleAckers(q); !q.s.Ruleset.CanComplete(q.leader, maybe) {
		f.Severity = SeverityCritical
		f.Message += fmt.Sprintf("; yet its writes wait, for %s and %d must", mayAcknowledge(maybe), q.needed)
	}
	return f
}

func mayAcknowledge(maybe ServerSet) string {
	if maybe.IsEmpty() {
		return "none of its ackers can acknowledge"
	}
	return "only " + named(maybe.List()) + " can acknowledge"
}

// possibleAckers are those that may be connected: all but the ones seen to have lost the primary or to be stopped.
func (t tally) possibleAckers(q *inquiry) ServerSet {
	maybe := q.maybeReceiving()
	for _, w := range t.lost {
		maybe = maybe.Without(w.Address)
	}
	return maybe
}

func (q *inquiry) primarySuspect(t tally) Finding {
	return Finding{
		Code: PrimarySuspect, Severity: SeverityWarning, Server: q.leader, Evidence: q.evidence(t),
		Message: fmt.Sprintf("%s does not answer; whether it has failed is not settled yet", q.leader),
		WhyNot:  "no failover yet: " + q.unsettledReason(t),
	}
}

func (q *inquiry) unsettledReason(t tally) string {
	switch {
	case len(t.unsettled) > 0:
		return string(t.unsettled[0].Address) + " " + t.unsettled[0].words
	case q.failingFor() < q.l.SilentAfter:
		return fmt.Sprintf("it has been failing for %s, and %s are needed without %s", span(q.failingFor()), span(q.l.SilentAfter), q.witnessLack(t))
	}
	if maybe := q.maybeReceiving(); !maybe.IsEmpty() {
		return "no acker that follows it can be asked, and it may still reach " + named(maybe.List())
	}
	return "no replica that follows it can be asked"
}

func (q *inquiry) witnessLack(t tally) string {
	if len(t.lost) > 0 {
		return "a refused connection"
	}
	return "a witness"
}

func (q *inquiry) primaryDenied() Finding {
	return Finding{
		Code: PrimaryDenied, Severity: SeverityWarning, Server: q.leader,
		Evidence: append([]Evidence{q.noted(q.p, reachText(q.p))}, q.lastSeen(q.leader)...),
		Message:  fmt.Sprintf("%s refuses our login%s: %s", q.leader, errnoText(q.p.Errno), loginAdvice(q.p.Errno)),
		WhyNot:   "no failover: a server that refuses a login lives",
	}
}

func (q *inquiry) primaryUnprobed() Finding {
	return Finding{
		Code: PrimarySuspect, Severity: SeverityWarning, Server: q.leader, Evidence: q.lastSeen(q.leader),
		Message: fmt.Sprintf("%s has not been probed lately", q.leader),
		WhyNot:  "no failover: nothing fresh is known about it",
	}
}

func witnessNames(all []witness) string {
	names := make([]Address, len(all))
	for i, w := range all {
		names[i] = w.Address
	}
	return named(names)
}
