package reparent

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// Planned begins a change that the primary agrees to. Everything that stands against it is found before
// anything is frozen: the operation then comes back blocked and nothing has been touched.
func Planned(c antiflap.Clearance, in Intent, now time.Time) Operation {
	op := begin(KindPlanned, c, in, now)
	if !op.Running() {
		return op
	}
	if obstacle := op.preflight(in); obstacle != nil {
		return op.block(*obstacle, now)
	}
	winner, obstacle := op.pick(in)
	if obstacle != nil {
		return op.block(*obstacle, now)
	}
	op.To = winner.address
	op.Followers = winner.followers.Without(op.From).Minus(op.stayers(in, winner.followers))
	op.Prepared = op.preparable(in)
	primary := in.Snapshot.Server(op.From)
	op.Progress[op.From] = Progress{Reading: primary}
	op.Chosen = primary.Executed
	return op.move(PhaseMeasuring, "choose", fmt.Sprintf("%s: %s", op.To, op.reasonToPromote(winner)), now, op.ranked(winner.others)...)
}

// preflight asks whether there is a primary that can step down.
func (op *Operation) preflight(in Intent) *Obstacle {
	primary := in.Snapshot.Server(op.From)
	holder, unrecorded := op.unrecorded(in.Snapshot)
	switch {
	case holder != "":
		return unknownMarker(holder, unrecorded)
	case op.From == "":
		return &Obstacle{Code: "no_primary", Message: "no established primary is on record", Remedy: "a cluster without a primary takes: primacy emergency " + op.Cluster}
	case !primary.OK():
		return &Obstacle{Code: "primary_unreachable", Message: fmt.Sprintf("the primary %s does not answer (%s)", op.From, primary.Reach), Remedy: "a primary that is gone takes: primacy emergency " + op.Cluster}
	case !primary.Writable():
		return &Obstacle{Code: "primary_read_only", Message: fmt.Sprintf("the primary %s is read-only already", op.From), Remedy: "primacy emergency " + op.Cluster}
	case op.unsettled() != "":
		return &Obstacle{Code: "unsettled", Message: op.unsettled(), Remedy: "an emergency change revokes both: primacy emergency " + op.Cluster}
	case primary.SemiSync.Waiters > 0 && primary.Stall.OldestAckWait > time.Second:
		return &Obstacle{Code: "waiters", Message: fmt.Sprintf("%d commits on %s wait for acknowledgements, the oldest for %s: it could not step down", primary.SemiSync.Waiters, op.From, primary.Stall.OldestAckWait.Round(time.Millisecond)), Remedy: "restore its ackers first"}
	case op.Wanted == op.From:
		return &Obstacle{Code: "already_primary", Message: fmt.Sprintf("%s is the primary already", op.Wanted)}
	}
	if op.Wanted != "" {
		if why := op.unwanted(&in); why != "" {
			return &Obstacle{Code: "not_a_candidate", Message: fmt.Sprintf("%s cannot be promoted: %s", op.Wanted, why)}
		}
	}
	return nil
}

// unsettled names a later leadership whose outcome is unknown: its primary may be leading too, and would
// not be asked to step down.
func (op *Operation) unsettled() string {
	for _, l := range op.History.Leaderships {
		if current, _ := op.History.Current(); l.Term > current.Term {
			return fmt.Sprintf("whether %s was established under term %d is unknown", l.Primary, l.Term)
		}
	}
	return ""
}

// unrecorded finds a server that knows of a leadership after the current one that is not on record: whoever leads under
// it would not be asked to step down. No server when there is none.
func (op *Operation) unrecorded(s topology.Snapshot) (topology.Address, topology.Marker) {
	current, _ := op.History.Current()
	for _, m := range op.Ruleset.Members {
		o := s.Server(m.Address)
		if !o.OK() {
			continue
		}
		for _, marker := range topology.Markers(o.Position()) {
			if marker.Term >= current.Term && !op.onRecord(marker) {
				return m.Address, marker
			}
		}
	}
	return "", topology.Marker{}
}

func (op *Operation) onRecord(m topology.Marker) bool {
	return slices.ContainsFunc(op.History.Leaderships, func(l topology.Leadership) bool { return l.Marker() == m })
}

// pick elects among the replicas as the snapshot shows them. The old primary counts as a follower, for it
// becomes one.
func (op *Operation) pick(in Intent) (candidacy, *Obstacle) {
	view := op.clone()
	view.Barred = withBar(op.Barred, op.From, "it is the primary that is to step down")
	primary := in.Snapshot.Server(op.From)
	history := primary.Executed
	var clean []topology.Address
	for _, m := range op.Ruleset.Members {
		o := *in.Snapshot.Server(m.Address)
		if !o.OK() {
			continue
		}
		if m.Address == op.From {
			o.SemiSync.Waiters, o.Stall = 0, topology.Stall{} // it follows only after it stepped down, and then nothing waits
		}
		view.Progress[m.Address] = Progress{Frozen: Yes, Reading: &o}
		if why := view.notReplicating(m.Address, &o); why != "" {
			view.Barred = withBar(view.Barred, m.Address, why)
		}
		if openTo(history, primary).Contains(o.Position()) {
			clean = append(clean, m.Address)
		}
		history = history.Union(o.Position().Intersect(openTo(history, primary)))
	}
	c := choice{history: history, clean: topology.Servers(clean...), why: "the history that counts is the primary's"}
	c.follow = c.clean.Where(func(a topology.Address) bool { return a == op.From || follows(in.Snapshot.Server(a), op.From) })
	winner, obstacle := view.elect(c)
	c.follow = c.clean // once the new primary has all that it needs, the others may come too
	winner.followers = view.followersOf(winner.address, c)
	return winner, obstacle
}

// follows tells whether a server has a primary for its source, and receives from it or tries to. Whether one that does not
// can be made to follow anybody in time is not known: a command to it may hang, and what it holds may not show yet.
func follows(o *topology.Observation, primary topology.Address) bool {
	return o.OK() && o.Replication != nil && o.Replication.Source == primary && o.Replication.Receiver != topology.ThreadOff
}

// notReplicating says why a member is no candidate of a planned change: it has to follow the primary now.
func (op *Operation) notReplicating(a topology.Address, o *topology.Observation) string {
	switch r := o.Replication; {
	case a == op.From:
		return ""
	case r == nil || r.Source != op.From:
		return "it does not replicate from the primary"
	case r.Receiver != topology.ThreadOn:
		return fmt.Sprintf("its receiver is %s", r.Receiver)
	case r.Applier != topology.ThreadOn:
		return fmt.Sprintf("its applier is %s", r.Applier)
	case r.Lag > plannedLagMax:
		return fmt.Sprintf("it lags %s behind", r.Lag.Round(time.Millisecond))
	}
	return ""
}

// plannedLagMax is how far a candidate may lag when a planned change begins; the lag gate then waits
// until it keeps up within Timing.Gate.
const plannedLagMax = 10 * time.Second

func withBar(bars map[topology.Address]string, a topology.Address, why string) map[topology.Address]string {
	all := map[topology.Address]string{}
	for k, v := range bars {
		all[k] = v
	}
	if all[a] == "" {
		all[a] = why
	}
	return all
}

// openTo is a primary's history and whatever it may write from now on: replicas that were read later
// than it, or that hold what still waits for acknowledgement, hold more of it and are not errant.
func openTo(history gtid.Set, primary *topology.Observation) gtid.Set {
	var more gtid.Set
	for s := range history.Sources() {
		if s.UUID == primary.UUID {
			more = more.Union(gtid.Range(s, 1, math.MaxInt64-1))
		}
	}
	return history.Union(more).Union(gtid.Range(gtid.Source{UUID: primary.UUID}, 1, math.MaxInt64-1))
}

// preparable are the followers that may attach to the candidate while the old primary still leads: it
// must keep as many ackers as it needs, the candidate among them.
func (op *Operation) preparable(in Intent) topology.ServerSet {
	receives := func(a topology.Address) bool {
		o := in.Snapshot.Server(a)
		return follows(o, op.From) && o.Replication.Receiver == topology.ThreadOn
	}
	acking := op.Ruleset.Ackers(op.From).Where(func(a topology.Address) bool {
		return receives(a) && in.Snapshot.Server(a).SemiSync.ReplicaEnabled
	})
	spare := acking.Len() - op.Ruleset.AcksNeeded(op.From)
	var taken []topology.Address
	for _, a := range op.Followers.And(op.Ruleset.Ackers(op.To)).Where(receives).List() {
		if len(taken) == op.Ruleset.AcksNeeded(op.To) || (acking.Has(a) && spare <= 0) {
			continue
		}
		if acking.Has(a) {
			spare--
		}
		taken = append(taken, a)
	}
	return topology.Servers(taken...)
}

// prepareCommands attach ackers to the candidate, behind which they still receive all that the primary
// writes, and set its source side up without switching it on (E20).
func (op Operation) prepareCommands() []Command {
	var commands []Command
	if acks := op.Ruleset.AcksNeeded(op.To); acks > 0 {
		prepare := op.command(PrepareSource, op.To, op.Timing.Follow)
		prepare.Acks = acks
		commands = append(commands, prepare)
	}
	for _, a := range op.Prepared.List() {
		c := op.command(Follow, a, op.Timing.Follow)
		c.Source, c.Acker, c.Within = op.To, true, openTo(op.Chosen, op.Progress[op.From].Reading)
		commands = append(commands, c)
	}
	if !op.Prepared.IsEmpty() {
		await := op.command(AwaitAckers, op.To, op.Timing.Follow)
		await.Acks = op.Prepared.Len()
		commands = append(commands, await)
	}
	return append(commands, op.command(Read, op.From, op.Timing.Follow))
}

func (op Operation) applyPreparing(commands []Command, results []Result, now time.Time) Operation {
	op = op.foldPropagating(commands, results)
	if slices.ContainsFunc(results, func(r Result) bool { return !r.Done() }) {
		return op.giveUp(StateUndone, "prepare", Obstacle{Code: "not_prepared", Message: "the candidate could not be prepared: " + failures(commands, results)}, now)
	}
	detail := fmt.Sprintf("%s is set up as a source", op.To)
	if !op.Prepared.IsEmpty() {
		detail += fmt.Sprintf("; %s attached to it beforehand", op.Prepared)
	}
	op.Ready = true
	return op.move(PhaseMeasuring, "prepare", detail, now)
}

// measureCommands and gateCommands are the lag gate: read where the primary is, and see how long the
// candidate takes to get there. It is passed twice: before ackers are taken from the primary, for from then
// on a candidate with a backlog would be slow to acknowledge and hold every commit up; and right before
// the primary steps down.
func (op *Operation) measureCommands() []Command {
	return []Command{op.command(Read, op.From, op.Timing.Follow), op.command(Read, op.To, op.Timing.Follow)}
}

func (op Operation) applyMeasuring(_ []Command, results []Result, now time.Time) Operation {
	o := results[0].Observation
	switch {
	case !results[0].Done() || !o.OK():
		return op.giveUp(StateUndone, "gate", Obstacle{Code: "primary_lost", Message: fmt.Sprintf("the primary %s could not be read: %s", op.From, results[0].Detail)}, now)
	case o.Incarnation != op.Known[op.From].Incarnation || !o.Writable():
		return op.giveUp(StateUndone, "gate", Obstacle{Code: "primary_lost", Message: fmt.Sprintf("the primary %s restarted or was closed meanwhile", op.From)}, now)
	}
	candidate := results[1].Observation
	if !results[1].Done() || !candidate.OK() { // what it holds is not known, and others are to be attached to it
		return op.giveUp(StateUndone, "gate", Obstacle{Code: "not_prepared", Message: fmt.Sprintf("the candidate %s could not be read: %s", op.To, results[1].Detail)}, now)
	}
	if extra := candidate.Position().Subtract(openTo(o.Executed, &o)); !extra.IsEmpty() { // whoever is attached to it takes that over
		return op.giveUp(StateUndone, "gate", Obstacle{
			Code:    "errant_candidate",
			Message: fmt.Sprintf("%s holds %s, which the primary does not have: somebody wrote there", op.To, extra),
			Remedy:  "settle its errant transactions or choose another candidate",
		}, now)
	}
	p := op.Progress[op.From]
	p.Reading = &o
	op.Progress[op.From] = p
	op.Chosen, op.Phase = o.Executed, PhaseGating
	return op
}

func (op *Operation) gateCommands() []Command {
	c := op.command(AwaitApplied, op.To, op.Timing.CatchUp)
	c.Set = op.Chosen
	return []Command{c}
}

// gateTimeouts is how often the candidate may fail to get to the primary's position at all.
const gateTimeouts = 5

func (op Operation) applyGating(_ []Command, results []Result, now time.Time) Operation {
	r := results[0]
	if r.Done() && r.Took <= op.Timing.Gate {
		next := PhasePreparing
		if op.Ready {
			next = PhaseDemoting
		}
		return op.move(next, "gate", fmt.Sprintf("%s is within %s of the primary", op.To, r.Took.Round(100*time.Microsecond)), now)
	}
	if op.Tries++; !r.Done() {
		op.Tries += op.Timing.GateTries / gateTimeouts // it was waited for long enough
	}
	if op.Tries < op.Timing.GateTries && (r.Done() || r.Reason == ReasonDeadline) {
		op.Phase = PhaseMeasuring
		return op
	}
	return op.giveUp(StateUndone, "gate", Obstacle{
		Code: "lagging",
		Message: fmt.Sprintf("%s does not keep up (%s): at last it took %s to reach the primary's position, and %s is the limit",
			op.To, cmp.Or(string(r.Reason), "too slow"), r.Took.Round(time.Millisecond), op.Timing.Gate),
		Remedy: "lower the write load or choose another candidate",
	}, now)
}

func (op *Operation) demoteCommands() []Command {
	return []Command{op.command(Demote, op.From, op.Timing.Drain)}
}

// applyDemoting takes the final position from the statement's return, never from a variable (E3).
func (op Operation) applyDemoting(_ []Command, results []Result, now time.Time) Operation {
	r := results[0]
	p := op.Progress[op.From]
	p.Silenced, p.With = r.Outcome, Demote
	op.GapFrom = now.Add(-r.Took)
	if !r.Done() || !r.Observation.OK() {
		op.Progress[op.From] = p
		return op.giveUp(StateUndone, "revoke", Obstacle{
			Code:    "not_demoted",
			Message: fmt.Sprintf("%s did not step down within %s: %s", op.From, op.Timing.Drain, r.Detail),
			Remedy:  "look for commits that wait for acknowledgements or for long transactions, or give it longer with --drain",
		}, now)
	}
	o := r.Observation
	p.Reading = &o
	op.Progress[op.From] = p
	op.Chosen = o.Executed
	op = op.move(PhaseCatchingUp, "revoke", fmt.Sprintf("%s stepped down at its final position", op.From), now, "final position "+o.Executed.String())
	return op.sealed(op.Chosen.Union(op.pendingMarkers(op.To)), topology.Servers(op.From, op.To).Union(op.Prepared))
}

func (op *Operation) catchUpCommands() []Command {
	commands := op.gateCommands()
	for _, a := range op.leavers().List() {
		commands = append(commands, op.command(Freeze, a, op.Timing.CatchUp))
	}
	return commands
}

// leavers are the ackers that stop receiving from the old primary before it follows the new one, where the marker needs its
// acknowledgement beside theirs. It hands on what it has applied: who got the marker from it would connect to the new primary
// with the marker in hand, and only what comes over that connection is acknowledged. Following begins with that stop anyway.
func (op *Operation) leavers() topology.ServerSet {
	if op.Ruleset.CanComplete(op.To, op.Followers) {
		return topology.ServerSet{}
	}
	return op.Followers.And(op.Ruleset.Ackers(op.To)).Minus(op.Prepared)
}

func (op Operation) applyCatchingUp(commands []Command, results []Result, now time.Time) Operation {
	op = op.foldRevoking(commands, results)
	left := op.leavers()
	switch caughtUp := results[0].Done(); {
	case !caughtUp:
		return op.giveUp(StateUndone, "propagate", Obstacle{
			Code:    "not_caught_up",
			Message: fmt.Sprintf("%s did not reach the final position within %s: %s", op.To, op.Timing.CatchUp, failures(commands, results)),
		}, now)
	case !op.frozen().Contains(left):
		return op.giveUp(StateUndone, "propagate", Obstacle{
			Code:    "acker_lost",
			Message: fmt.Sprintf("the marker needs acknowledgements of %s, and not all of them left %s within %s: %s", left, op.From, op.Timing.CatchUp, failures(commands, results)),
			Remedy:  "see why that server does not answer",
		}, now)
	}
	p := op.Progress[op.To]
	p.Applied = Yes
	op.Progress[op.To] = p
	detail := fmt.Sprintf("%s has applied everything", op.To)
	if !left.IsEmpty() {
		detail += fmt.Sprintf("; %s left %s", left, op.From)
	}
	return op.move(PhaseMarking, "propagate", detail, now)
}
