package reparent

import (
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// Reopening begins to open the established primary again where nothing has happened but that its process is another one and
// came up closed. It is no change of the primary: nobody is frozen or revoked and nobody else is chosen. It gets a new
// term, for what the new process completes has to be told from what the old one did. When the snapshot shows that one of
// its conditions does not hold, it comes back blocked and nothing has been touched: then an emergency change asks all of them.
//
// Theorem. Let P be the established primary, t its term, the latest on record, and k the acknowledgements that its commits
// wait for, out of the servers E that may acknowledge them. Let another process of the same server answer, closed, and let R
// be the servers that were read after that was seen, without those that prove nothing by what they lack. If
//
//	(1) nobody in R knows of a term after t, and no server outside of R could have been acknowledged as a primary by
//	    others outside of R alone,
//	(2) fewer than k servers of E are outside of R,
//	(3) what those in R hold of the history of term t lies within what P has executed, and so does whatever is known
//	    to have been acknowledged,
//
// then no later leadership was ever acknowledged, nothing that P's earlier process completed is lacking on P, and nobody but
// the process that answers can complete another write under term t.
//
// Proof. A leadership is acknowledged by a primary and its ackers, not all of whom are outside of R by (1); the others hold
// its marker, and show it. What P completed was held by k servers of E, one of which is in R by (2) and shows it, and so P
// holds it by (3). The earlier process of P is gone, for no two share a data directory, and who is closed completes nothing.
//
// What the restart completed although nobody had acknowledged it is part of P's binary log. Whoever acknowledges the marker
// has received all that stands before it from there. So once the marker's commit returns k ackers hold all that P has
// executed, and only then it is opened.
func Reopening(c antiflap.Clearance, in Intent, now time.Time) Operation {
	op := begin(KindReopening, c, in, now)
	if !op.Running() {
		return op
	}
	op.To, op.Leaders, op.Phase = op.From, leaders(&in), PhaseVerifying
	op.Clearance = "the primary stays who it is, so anti-flapping does not apply"
	if in.Snapshot.Maintenance.Has(op.To) {
		return op.block(op.notReopened("it is in maintenance"), now)
	}
	seen := op.clone()
	for _, m := range op.Ruleset.Members {
		if o := in.Snapshot.Server(m.Address); o.OK() {
			seen.Progress[m.Address] = Progress{Reading: o}
		}
	}
	if _, why := seen.reopenable(); why != nil {
		return op.block(*why, now)
	}
	return op
}

func (op *Operation) notReopened(why string) Obstacle {
	return Obstacle{Code: "not_reopened", Message: fmt.Sprintf("%s cannot be opened again as it is: %s", op.To, why)}
}

// verifyCommands read all members. What they show then is younger than the process that is to be opened.
func (op *Operation) verifyCommands() []Command {
	commands := make([]Command, 0, len(op.Ruleset.Members))
	for _, m := range op.Ruleset.Members {
		commands = append(commands, op.command(Read, m.Address, op.Timing.Freeze))
	}
	return commands
}

// foldVerifying takes the readings into the progress of the servers, which is the caller's own.
func (op Operation) foldVerifying(commands []Command, results []Result) Operation {
	for i := range min(len(results), len(commands)) {
		a := commands[i].Server
		op.Progress[a] = op.Progress[a].folded(Read, &results[i])
	}
	return op
}

func (op *Operation) verified(commands []Command, results []Result) bool {
	after := op.clone().foldVerifying(commands, results)
	_, why := after.reopenable()
	return why == nil
}

func (op Operation) applyVerifying(commands []Command, results []Result, now time.Time) Operation {
	op = op.foldVerifying(commands, results)
	followers, why := op.reopenable()
	if why != nil {
		return op.giveUp(StateBlocked, "verify", *why, now)
	}
	op.GapFrom, op.Followers = op.PhaseAt, followers
	op.Chosen = op.Progress[op.To].Reading.Executed
	op = op.sealed(op.Chosen.Union(op.pendingMarkers(op.To)), op.asked())
	told := op.verifiedStage()
	return op.move(PhasePropagating, told.Name, told.Detail, now, told.Evidence...)
}

func (op *Operation) verifiedStage() Stage {
	return Stage{
		Name: "verify", Detail: fmt.Sprintf("%s restarted, its term %d is the latest, and nobody holds more of it", op.To, op.current().Term),
		Evidence: []string{fmt.Sprintf("read since then: %s", op.asked()), fmt.Sprintf("it has executed %s", op.Chosen)},
	}
}

// reopeningClaims asks for the theorem's conditions again, by what was read.
func (op *Operation) reopeningClaims() []Claim {
	claims := []Claim{op.whoMayLead()}
	if claims[0].Standing == Refuted || len(op.Leaders) == 0 {
		return append(claims, refuted("revocation", "who led before is not what it went by"))
	}
	followers, why := op.reopenable()
	if op.Decision == nil {
		return append(claims, op.rightlyNotReopened(why))
	}
	return append(claims, op.verification(followers, why), op.wentOn(), op.decided(op.Chosen.Union(op.pendingMarkers(op.To)), op.asked()), op.establishment(),
		op.tells(append([]Stage{op.verifiedStage()}, op.markedStages()...)))
}

func (op Operation) rightlyNotReopened(why *Obstacle) Claim {
	const name = "obstacle"
	switch {
	case op.State != StateBlocked:
		return untold(name, "it was not opened, and nothing was decided: %s", op.Obstacle.Message)
	case why == nil:
		return refuted(name, "it is said that it could not be opened again (%s), and by the evidence it could", op.Obstacle.Message)
	case !why.worded().same(*op.Obstacle):
		return refuted(name, "by the evidence it could not be opened for another reason: %s", why.Message)
	}
	return holds(name, "it was rightly not opened: %s", op.Obstacle.Message)
}

func (op *Operation) verification(followers topology.ServerSet, why *Obstacle) Claim {
	const name = "revocation"
	switch {
	case op.From != op.To || op.Wanted != "" && op.Wanted != op.To:
		return refuted(name, "a primary that is opened again is the one who led")
	case why != nil:
		return refuted(name, "%s", why.Message)
	case !followers.Equal(op.Followers):
		return refuted(name, "by the evidence %s could follow it", followers)
	}
	return holds(name, "%s restarted and was closed, nobody of %s knew of a later term or held more of its history, so nobody had to be revoked", op.To, op.asked())
}

func (op *Operation) wentOn() Claim {
	if p := op.Progress[op.To]; p.Reading == nil || !p.Reading.Executed.Equal(op.Chosen) {
		return refuted("history", "what was honoured is not what %s had executed", op.To)
	}
	return holds("history", "what was honoured is what %s had executed, and nothing that is known to have been acknowledged is missing", op.To)
}

// asked are the servers that were read since the operation began.
func (op *Operation) asked() topology.ServerSet {
	return op.where(func(p Progress) bool { return p.Reading != nil })
}

func (op *Operation) current() topology.Leadership {
	current, _ := op.History.Current()
	return current
}

// reopenable asks for the theorem's conditions by what was read, and that enough ackers can follow. It says who can.
func (op *Operation) reopenable() (followers topology.ServerSet, _ *Obstacle) {
	for _, holds := range []func() string{op.isSettled, op.isReborn, op.isWhole, op.isLatest, op.isHeldByNobodyElse, op.isProven} {
		if why := holds(); why != "" {
			o := op.notReopened(why)
			return followers, &o
		}
	}
	followers = op.reopenFollowers()
	if !op.Ruleset.CanComplete(op.To, followers) {
		o := op.notReopened(fmt.Sprintf("it needs %s, and %s can follow it", acks(op.Ruleset.AcksNeeded(op.To)), only(followers)))
		return followers, &o
	}
	return followers, nil
}

// isSettled asks the record: the term that is to be continued is its last word, and not one that journals have told.
func (op *Operation) isSettled() string {
	current, led := op.History.Current()
	switch n := len(op.History.Leaderships); {
	case !led:
		return "no leadership is on record"
	case op.History.Recovered:
		return "what is on record was taken over from journals"
	case !op.History.Leaderships[n-1].Established() || op.History.Leaderships[n-1].Term != current.Term:
		return "the outcome of a later change is not known"
	}
	return ""
}

// isReborn asks whether the same server answers in another process, the one that was seen, and is closed.
func (op *Operation) isReborn() string {
	o := op.Progress[op.To].Reading
	switch {
	case o == nil:
		return "it does not answer"
	case o.UUID != op.current().PrimaryUUID:
		return "another server answers at its address"
	case o.Incarnation == op.current().Incarnation:
		return "its process is the one that was established"
	case o.Incarnation != op.Known[op.To].Incarnation:
		return "it has restarted once more"
	case !o.Closed() || o.Stall.ReadOnlyWait:
		return "it is not closed"
	case o.SemiSync.Waiters > 0:
		return "commits wait for acknowledgements there"
	case o.Settings.SyncBinlog != 1, !op.Known[op.To].Losses.Executed.IsZero():
		return "it does not write its binary log to disk with each commit (sync_binlog), or did not when it restarted, so its end may be lost"
	}
	return op.unfit(op.To, o)
}

// isWhole asks whether the server still has what it is known to have had, and nothing else but what its leadership honours
// or it wrote itself.
func (op *Operation) isWhole() string {
	o, valid := op.Progress[op.To].Reading, op.ofItsTerm(op.To)
	switch {
	case !o.Executed.Contains(op.current().Marker().Set()):
		return "it does not show the marker of its own term"
	case !o.Executed.Contains(o.Received):
		return "it has received what it has not applied"
	case !o.Executed.Contains(op.Known[op.To].Position):
		return "it no longer holds what it was seen to hold"
	case !o.Executed.Contains(op.legit(op.Floor.Union(op.foundation()))):
		return "it lacks what is known to have been acknowledged"
	case !valid.Contains(o.Executed):
		return fmt.Sprintf("it holds transactions that are no part of its leadership's history: %s", o.Executed.Subtract(valid))
	}
	return ""
}

// ofItsTerm is what a server that was read holds of the established leadership's history.
func (op *Operation) ofItsTerm(a topology.Address) gtid.Set {
	valid, _ := op.validity(op.current().Marker())
	r := op.read(a, op.Progress[a].Reading.Position())
	if r.marker == op.current().Marker() {
		return valid.with(r.legit)
	}
	return valid.without(r.legit)
}

// isLatest is condition (1). That nobody else can have been acknowledged unseen is what the record says already; it may be
// older than what it tells of.
func (op *Operation) isLatest() string {
	current := op.current().Marker()
	for _, m := range op.Ruleset.Members {
		reading := op.Progress[m.Address].Reading
		if reading == nil {
			continue
		}
		for _, marker := range topology.Markers(reading.Position()) {
			if marker.Term > current.Term || marker.Term == current.Term && marker != current {
				return fmt.Sprintf("%s holds the marker of %s, which is later than its term %d", m.Address, marker, current.Term)
			}
		}
		if m.Address != op.To && !reading.Closed() {
			return fmt.Sprintf("%s is open for writes", m.Address)
		}
	}
	unread := op.Ruleset.Servers().Minus(op.asked())
	if i := slices.IndexFunc(unread.List(), func(a topology.Address) bool { return op.Ruleset.CanComplete(a, unread.Without(a)) }); i >= 0 {
		return fmt.Sprintf("who is out of reach could complete writes by themselves: %s", unread)
	}
	return ""
}

// isHeldByNobodyElse is condition (3): nobody who was read holds more of the leadership's history.
func (op *Operation) isHeldByNobodyElse() string {
	executed := op.Progress[op.To].Reading.Executed
	for a := range op.asked().Without(op.To).All() {
		if more := op.ofItsTerm(a).Subtract(executed); !more.IsEmpty() {
			return fmt.Sprintf("%s holds %s, which it lacks", a, more)
		}
	}
	return ""
}

// isProven is condition (2). Where the policy asks for no acknowledgements everybody has to be read.
func (op *Operation) isProven() string {
	begun, l := op.legit(op.beginning()), op.Leaders[len(op.Leaders)-1]
	if op.Progress[op.To].Reading.Executed.Contains(l.Seen) {
		l.Seen = gtid.Set{} // it holds that itself, and its binary log is written to disk with each commit
	}
	unproven := op.mayAck(op.To).Where(func(a topology.Address) bool { return op.doubt(a, l, begun) != "" })
	if unproven.Len() < max(1, op.Ruleset.AcksNeeded(op.To)) {
		return ""
	}
	return fmt.Sprintf("%s may hold more of its history and could not be asked, or prove nothing by what they lack", unproven)
}

// reopenFollowers are the servers that were read and can follow: they hold nothing beyond its history, nothing that they lack
// was purged, and nothing keeps them from applying.
func (op *Operation) reopenFollowers() topology.ServerSet {
	source := op.Progress[op.To].Reading
	return op.asked().Without(op.To).Where(func(a topology.Address) bool {
		o := op.Progress[a].Reading
		return source.Executed.Contains(o.Position()) && op.ofItsTerm(a).Contains(o.Position()) && o.SemiSync.Waiters == 0 && !stalled(o) && canFollow(o, source)
	})
}
