package reparent

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// Emergency begins the replacement of a primary that cannot complete writes. When the snapshot shows
// that it cannot succeed, the operation comes back blocked and nothing has been touched.
func Emergency(c antiflap.Clearance, in Intent, now time.Time) Operation {
	op := begin(KindEmergency, c, in, now)
	if !op.Running() {
		return op
	}
	op.Leaders = leaders(&in)
	if in.Snapshot.Server(op.From).Writable() && op.Wanted != op.From {
		op.Barred = withBar(op.Barred, op.From, "it is the primary that is to be replaced")
	}
	op.Phase = PhaseRevoking
	if in.Foreseen {
		return op
	}
	if obstacle := op.forecast(&in); obstacle != nil {
		return op.block(*obstacle, now)
	}
	return op
}

// forecast plays the revocation with every reachable server answering as the snapshot shows it: what
// cannot succeed even then is not begun.
func (op *Operation) forecast(in *Intent) *Obstacle {
	if op.Wanted != "" {
		if why := op.unwanted(in); why != "" {
			return &Obstacle{Code: "not_a_candidate", Message: fmt.Sprintf("%s cannot be promoted: %s", op.Wanted, why)}
		}
	}
	for _, a := range in.CertifiedDown.List() {
		if o := in.Snapshot.Server(a); o.OK() || o.Reach == topology.ReachDenied {
			return &Obstacle{Code: "certificate_contradicted", Message: fmt.Sprintf("%s was certified to be powered off, and it answers", a),
				Remedy: "certify only what is powered off; a server that answers is revoked without a certificate"}
		}
	}
	hoped := op.hoped(in)
	_, obstacle := hoped.settle()
	if obstacle != nil {
		if back := op.comebacks(in, hoped); len(back) > 0 {
			obstacle.Needs = back
		}
	}
	return obstacle
}

// hoped is the change after a revocation in which every server that answered does as it is told.
func (op *Operation) hoped(in *Intent) Operation {
	hoped := op.clone()
	for i := range op.Ruleset.Members {
		a := op.Ruleset.Members[i].Address
		hoped.Progress[a] = op.hope(a, in.Snapshot.Find(a))
	}
	return hoped
}

// comebacks are the smallest sets of servers that do not answer with which the change could succeed, if they
// came back as they were last seen. Servers that were never seen are not counted on, nor are primaries that
// were replaced: nobody knows what they hold by now.
func (op *Operation) comebacks(in *Intent, hoped Operation) []topology.ServerSet {
	missing := op.Ruleset.Servers().Minus(op.Silent).Where(func(a topology.Address) bool {
		seen := in.History.LastSeen.Of(a)
		return !in.Snapshot.Server(a).OK() && seen.OK() && (!seen.Writable() || op.isLeader(a))
	})
	var found []topology.ServerSet
	for size := 1; size <= missing.Len() && missing.Len() <= comebacksMax; size++ {
		for _, back := range subsets(missing, size) {
			if !slices.ContainsFunc(found, back.Contains) && op.sufficesWith(in, hoped, back) {
				found = append(found, back)
			}
		}
	}
	return found
}

// sufficesWith tells whether the change could succeed if some came back and showed what they showed last. What it
// changes in hoped for that it puts back.
func (op *Operation) sufficesWith(in *Intent, hoped Operation, back topology.ServerSet) bool {
	gone := map[topology.Address]Progress{}
	for a := range back.All() {
		gone[a] = hoped.Progress[a]
		hoped.Progress[a] = op.hope(a, in.History.LastSeen[a])
	}
	defer maps.Copy(hoped.Progress, gone)
	return hoped.revocationSuffices()
}

// comebacksMax bounds the search for what would help: with more servers missing, the answer is too long
// to be read anyway.
const comebacksMax = 7

func (op *Operation) unwanted(in *Intent) string {
	if _, member := op.Ruleset.Member(op.Wanted); !member {
		return "it is no member of the cluster; members are " + op.Ruleset.Servers().String()
	}
	if !in.Snapshot.Server(op.Wanted).OK() {
		return "it does not answer"
	}
	return op.Barred[op.Wanted]
}

func (op *Operation) hope(a topology.Address, o *topology.Observation) Progress {
	if o == nil || !o.OK() || op.Silent.Has(a) {
		return Progress{Frozen: No, Silenced: No, Note: "it does not answer"}
	}
	p := Progress{Frozen: Yes, Reading: o}
	if o.OnlyApplierWaits() {
		p.Reading = letThrough(*o)
	}
	if verb := op.silencer(a, o); verb != "" && op.isLeader(a) {
		p.Silenced, p.With = Yes, verb
	}
	return p
}

// letThrough is a server whose applier has been relieved of waiting for acknowledgements.
func letThrough(o topology.Observation) *topology.Observation {
	o.SemiSync.SourceEnabled, o.SemiSync.SourceActive, o.SemiSync.Waiters = false, false, 0
	o.Stall.ApplierWaits = false
	return &o
}

// silencer chooses how a leader itself is made unable to complete; empty when only its ackers can do it.
func (op *Operation) silencer(a topology.Address, o *topology.Observation) Verb {
	switch {
	case !o.OK() && op.Ruleset.AcksNeeded(a) > 0:
		return Poison
	case !o.OK(), o.OnlyApplierWaits():
		return Demote
	case o.ReadOnly && (o.SemiSync.Waiters > 0 || o.Stall.ReadOnlyWait) && o.SemiSync.Verified():
		return Poison // stepping down would hang behind what waits, a marker as a rule
	case o.ReadOnly:
		return Demote
	case o.SemiSync.Verified():
		return Poison
	}
	return Demote
}

// revokeCommands freezes every member, and tries each leader itself too: to reach it makes everything
// else unnecessary.
func (op *Operation) revokeCommands() []Command {
	commands := make([]Command, 0, len(op.Ruleset.Members)+len(op.Leaders))
	for _, m := range op.Ruleset.Members {
		if op.Silent.Has(m.Address) {
			continue
		}
		commands = append(commands, op.revoke(m.Address)...)
	}
	return commands
}

// revoke freezes a server, and silences it first if it may be leading. One whose applier waits for acknowledgements that
// nobody gives is frozen first; then its source side is switched off, or it would neither follow anybody nor catch up. It is
// closed, so that no client waits there, and what is let through it had received.
func (op *Operation) revoke(a topology.Address) []Command {
	var silence []Command
	if op.isLeader(a) {
		silence = op.silence(a)
	}
	freeze := op.command(Freeze, a, op.Timing.Freeze)
	if op.Known[a].ApplierWaits {
		return append([]Command{freeze, op.command(DisableSource, a, op.Timing.Follow)}, silence...)
	}
	return append(silence, freeze)
}

func (op *Operation) silence(a topology.Address) []Command {
	verb := op.silencerOf(a)
	if verb == "" {
		return nil
	}
	c := op.command(verb, a, op.Timing.Freeze)
	c.Offline = verb == Demote && !op.Known[a].ReadOnly
	return []Command{c}
}

// Silencers says for each leader how it is to be silenced, by what was known when the operation began.
func (op Operation) Silencers() map[topology.Address]Verb {
	chosen := map[topology.Address]Verb{}
	for _, l := range op.Leaders {
		chosen[l.Address] = op.silencerOf(l.Address)
	}
	return chosen
}

func (op *Operation) silencerOf(leader topology.Address) Verb {
	known := op.Known[leader]
	if !known.Reached {
		return op.silencer(leader, &topology.Observation{})
	}
	return known.Silencer
}

// foldRevoking takes the results into the progress of the servers, which is the caller's own, without deciding anything.
func (op Operation) foldRevoking(commands []Command, results []Result) Operation {
	for i := range min(len(results), len(commands)) {
		a := commands[i].Server
		op.Progress[a] = op.Progress[a].folded(commands[i].Verb, &results[i])
	}
	return op
}

func (p Progress) folded(verb Verb, r *Result) Progress {
	switch verb {
	case Freeze:
		p.Frozen = r.Outcome
	case Poison, Demote:
		p.Silenced, p.With = r.Outcome, verb
	case Read, Resume, Antidote, Reopen, Fence, Follow, AwaitApplied, AwaitAckers, PrepareSource,
		EnableSource, DisableSource, Mark, Open, Detach, CreateJournal, Barrier:
	}
	if r.Outcome == Yes && r.Observation.Reach.OK() {
		seen := r.Observation
		p.Reading = &seen
	}
	if r.Outcome != Yes && r.Outcome != Skipped {
		p.Note = strings.Join(strings.Fields(string(verb)+": "+string(r.Outcome)+" "+string(r.Reason)+" "+r.Detail), " ")
	}
	return p
}

// settlement is a revocation that holds, with the history and the candidate that follow from it.
type settlement struct {
	revoked   Revoked
	choice    choice
	candidate candidacy
	losses    []string // what may be lost, and who accepted that
}

// settle asks the four questions of an emergency in their order: revoked, discovered, which history,
// who leads.
func (op Operation) settle() (settlement, *Obstacle) {
	proof, obstacle := op.revoked()
	if obstacle != nil {
		return settlement{}, obstacle
	}
	found, obstacle := op.concluded()
	found.revoked = proof
	return found, obstacle
}

// concluded is what follows from a revocation that holds.
func (op *Operation) concluded() (settlement, *Obstacle) {
	chosen, contradiction := op.chooseHistory()
	losses, obstacle := op.bearable(chosen.history, contradiction == nil)
	if obstacle := cmp.Or(obstacle, contradiction); obstacle != nil {
		return settlement{}, obstacle
	}
	winner, obstacle := op.elect(chosen)
	if obstacle != nil {
		return settlement{}, obstacle
	}
	return settlement{choice: chosen, candidate: winner, losses: losses}, nil
}

// bearable says what may get lost with a history. Only durability policy none or an operator's recorded
// acceptance passes that point; anything else is an obstacle. The policy speaks of the latest transactions, which replicas may
// not have: that all data may go is left to the operator.
func (op *Operation) bearable(history gtid.Set, chosen bool) ([]string, *Obstacle) {
	found := op.undiscovered(history)
	below := op.belowFloor(history)
	if chosen && below != nil {
		found = append(found, *below)
	}
	var accepted string
	switch {
	case len(found) == 0:
		return nil, nil
	case op.Ruleset.Policy.Kind == topology.PolicyNone && chosen && below != nil && history.IsEmpty() && !op.AcceptLoss:
		return nil, below
	case op.Ruleset.Policy.Kind == topology.PolicyNone:
		accepted = "may be lost, for the durability policy is none: "
	case op.AcceptLoss:
		accepted = fmt.Sprintf("loss accepted by %s (%s): ", cmp.Or(op.By, "nobody by name"), cmp.Or(op.Reason, "no reason given"))
	default:
		return nil, &found[0]
	}
	var losses []string
	for _, o := range found {
		losses = append(losses, accepted+o.Message)
	}
	return losses, nil
}

// revocationSuffices is what settle decides, without the words. It is asked for many sets of servers.
func (op *Operation) revocationSuffices() bool {
	if !op.isRevoked() {
		return false
	}
	chosen, contradiction := op.chooseHistory()
	return contradiction == nil && op.electable(chosen) && op.bears(chosen.history)
}

func (op *Operation) bears(history gtid.Set) bool {
	_, obstacle := op.bearable(history, true)
	return obstacle == nil
}

func (op Operation) applyRevoking(commands []Command, results []Result, now time.Time) Operation {
	op = op.foldRevoking(commands, results)
	op.GapFrom = op.PhaseAt
	found, obstacle := op.settle()
	if obstacle != nil {
		return op.giveUp(StateBlocked, "revoke", *obstacle, now)
	}
	op = op.move(PhasePropagating, "revoke", fmt.Sprintf("no earlier primary can complete a write; %s frozen", op.frozen()), now,
		append(found.revoked.How(), op.notes()...)...)
	return op.elected(found, now)
}

// elected records history and candidate and goes where the candidate's needs lead.
func (op Operation) elected(found settlement, now time.Time) Operation {
	if !found.revoked.valid(op) {
		return op.giveUp(StateUndone, "choose", Obstacle{Code: "not_revoked", Message: "the proof of revocation is not this change's; it has no term"}, now)
	}
	c := found.candidate
	op.To, op.Source, op.Followers = c.address, c.source, c.followers
	op.Chosen = found.choice.history
	op = op.sealed(found.choice.history.Union(op.pendingMarkers(op.To)), op.frozen())
	evidence := slices.Concat([]string{op.because(found.choice)}, found.losses, op.ranked(c.others))
	op = op.move(PhasePropagating, "choose", fmt.Sprintf("%s: %s", c.address, op.reasonToPromote(c)), now, evidence...)
	if c.source != "" {
		op.Phase = PhaseFetching
	}
	return op
}

func (op *Operation) notes() []string {
	var notes []string
	for _, m := range op.Ruleset.Members {
		if note := op.Progress[m.Address].Note; note != "" {
			notes = append(notes, fmt.Sprintf("%s: %s", m.Address, note))
		}
	}
	return notes
}

// fetchCommands lets the candidate catch up from the server that holds what it lacks, and freezes it
// again afterwards. The source has to apply what it received first, for its own binary log feeds the
// candidate.
func (op *Operation) fetchCommands() []Command {
	follow := op.command(Follow, op.To, op.Timing.Follow)
	follow.Source, follow.Within = op.Source, op.allowed()
	await := op.command(AwaitApplied, op.To, op.Timing.Fetch)
	await.Set = op.lacks(op.To, op.Chosen, gtid.Set{})
	feed := op.command(AwaitApplied, op.Source, op.Timing.Fetch)
	feed.Set = op.Progress[op.Source].Reading.Position().Intersect(op.Chosen)
	commands := append(op.opened(op.Source), feed)
	commands = append(commands, op.readied(op.To)...)
	return append(commands, follow, await, op.command(Freeze, op.To, op.Timing.Freeze))
}

// readied gets a candidate ready to apply and to be followed: closed for writes, so that nobody can write
// once it is reachable again; without a source side that waits for acknowledgements of what its followers
// hold already (E20); reachable for its followers.
func (op *Operation) readied(a topology.Address) []Command {
	var commands []Command
	o := op.Progress[a].Reading
	if op.Tries > 0 {
		commands = append(commands, op.command(Read, a, op.Timing.Follow)) // to see whether it made progress
	}
	switch {
	case o.Closed() || !op.invisible(a).IsEmpty():
	case o.SemiSync.Waiters > 0: // a marker that no record names: closing waits for it, and once it is through it shows
		commands = append(commands, op.command(Fence, a, op.Timing.Follow))
	default:
		commands = append(commands, op.command(Demote, a, op.Timing.Follow))
	}
	if o.SemiSync.SourceEnabled && o.SemiSync.Waiters == 0 && !op.lacks(a, op.Chosen, o.Executed).IsEmpty() {
		commands = append(commands, op.command(DisableSource, a, op.Timing.Follow))
	}
	return append(commands, op.opened(a)...)
}

// opened lets followers connect to a server that is offline; it is closed for writes.
func (op *Operation) opened(a topology.Address) []Command {
	o := op.Progress[a].Reading
	if !o.OfflineMode && o.SemiSync.Acks < topology.PoisonAcks {
		return nil
	}
	if op.Kind == KindReopening && o.SemiSync.Clients >= op.Ruleset.AcksNeeded(a) { // they need not be let in, so readers are kept out until it is opened
		return nil
	}
	c := op.command(Antidote, a, op.Timing.Follow)
	c.Acks = max(1, op.Ruleset.AcksNeeded(a))
	return []Command{c}
}

func (op *Operation) applyFetching(commands []Command, results []Result, now time.Time) Operation {
	followed := resultOf(commands, results, Follow)
	p := op.Progress[op.To]
	p.Moved = p.Moved || maybe(followed.Outcome)
	op.Progress[op.To] = p
	frozen := resultOf(commands, results, Freeze)
	o := frozen.Observation
	if !frozen.Done() || !o.OK() || !op.lacks(op.To, op.Chosen, o.Executed).IsEmpty() {
		return op.again(commands, results, "fetch", now)
	}
	p = p.reread(&o)
	p.Frozen = Yes
	op.Progress[op.To] = p
	if strange := o.Position().Subtract(op.allowed()); !strange.IsEmpty() {
		return op.nextCandidate("fetch", fmt.Sprintf("%s gave it more than the chosen history: %s", op.Source, strange), now)
	}
	return op.move(PhasePropagating, "fetch", fmt.Sprintf("%s fetched what it lacked from %s", op.To, op.Source), now)
}

// propagateCommands: the candidate applies the chosen history while its ackers attach to it. Its source
// side stays off until then: ackers that attach now are counted, and acknowledge from the moment it is
// switched on (E20, E21).
func (op *Operation) propagateCommands() []Command {
	commands := append(make([]Command, 0, op.Followers.Len()+4), op.readied(op.To)...)
	if acks := op.Ruleset.AcksNeeded(op.To); acks > 0 {
		prepare := op.command(PrepareSource, op.To, op.Timing.Follow)
		prepare.Acks = acks
		commands = append(commands, prepare)
	}
	await := op.command(AwaitApplied, op.To, op.Timing.Fetch)
	await.Set = op.lacks(op.To, op.Chosen, gtid.Set{})
	return op.withFollowers(append(commands, await), op.Followers)
}

// withFollowers adds the commands that let servers follow the candidate.
func (op Operation) withFollowers(commands []Command, followers topology.ServerSet) []Command {
	if followers.IsEmpty() {
		return commands
	}
	ackers := op.Ruleset.Ackers(op.To)
	c := op.command(Follow, "", op.Timing.Follow)
	c.Source, c.Within = op.To, op.allowed()
	if op.Kind == KindAdoption {
		c.Within = openTo(op.Chosen, op.Progress[op.To].Reading) // clients write all the while
	}
	for a := range followers.All() {
		c.Server, c.Acker, c.Source = a, ackers.Has(a), op.sourceFor(a)
		commands = append(commands, c)
	}
	return commands
}

// allowed is what a follower of the candidate may hold.
func (op *Operation) allowed() gtid.Set {
	allowed := op.Chosen
	if op.Decision != nil {
		allowed = allowed.Union(op.Decision.Base).Union(op.Decision.Marker().Set())
	}
	return allowed
}

// foldPropagating takes the results into the progress of the servers, which is the caller's own.
func (op Operation) foldPropagating(commands []Command, results []Result) Operation {
	for i := range min(len(results), len(commands)) {
		p, outcome := op.Progress[commands[i].Server], results[i].Outcome
		switch commands[i].Verb {
		case AwaitApplied:
			p.Applied = outcome
		case Follow:
			p.Attached, p.Moved = outcome, p.Moved || maybe(outcome)
		case EnableSource:
			p.Sourced = outcome
		case Read, Freeze, Resume, Poison, Antidote, Demote, Reopen, Fence, AwaitAckers, PrepareSource,
			DisableSource, Mark, Open, Detach, CreateJournal, Barrier:
		}
		op.Progress[commands[i].Server] = p
	}
	return op
}

func (op *Operation) attached() topology.ServerSet {
	return op.where(func(p Progress) bool { return p.Attached == Yes })
}

// canMark tells whether the marker can be acknowledged: the candidate has applied the whole history and
// enough ackers are attached.
func (op *Operation) canMark() bool {
	return op.Progress[op.To].Applied == Yes && op.Ruleset.CanComplete(op.To, op.attached())
}

func (op Operation) applyPropagating(commands []Command, results []Result, now time.Time) Operation {
	op = op.foldPropagating(commands, results)
	if op.canMark() {
		return op.move(PhaseMarking, "propagate", fmt.Sprintf("%s has applied the chosen history; %s follow it", op.To, op.attached()), now)
	}
	return op.again(commands, results, "propagate", now)
}

// again repeats a propagating step while there is hope: a server that applies a backlog needs time, and
// one that stopped making progress is given up after a few rounds.
func (op Operation) again(commands []Command, results []Result, stage string, now time.Time) Operation {
	progressed := false
	for i := range results {
		if (commands[i].Verb != AwaitApplied && commands[i].Verb != Read) || !results[i].Observation.Reach.OK() {
			continue
		}
		p, seen := op.Progress[commands[i].Server], results[i].Observation
		progressed = progressed || (p.Reading != nil && op.applied(&seen) > op.applied(p.Reading))
		op.Progress[commands[i].Server] = p.reread(&seen)
	}
	op.Tries++
	if progressed {
		op.Tries = 1
	}
	if op.Tries < propagateTries && !op.gone(commands, results) {
		return op
	}
	return op.nextCandidate(stage, failures(commands, results), now)
}

const propagateTries = 3

// applied is how much of the chosen history a server has executed. What else it executes is no progress: a source that lost its
// data and takes writes would be waited for as long as somebody writes to it.
func (op *Operation) applied(o *topology.Observation) uint64 {
	return op.Chosen.Intersect(o.Executed).Count()
}

// gone tells whether the candidate certainly cannot be reached any more: waiting for it delays the next one.
func (op *Operation) gone(commands []Command, results []Result) bool {
	for i, r := range results {
		if commands[i].Server == op.To && r.Outcome == No && (r.Reason == ReasonUnreachable || r.Reason == ReasonDenied) {
			return true
		}
	}
	return false
}

// nextCandidate leaves a candidate that cannot get ready and elects another one; with none left the
// operation is undone. Nothing has been promised yet: no marker was written.
func (op Operation) nextCandidate(stage, why string, now time.Time) Operation {
	if op.Kind == KindReopening { // who is no candidate but the primary, and revoked nobody
		return op.giveUp(StateUndone, stage, op.notReopened(why), now)
	}
	op.Excluded = op.Excluded.With(op.To)
	message := fmt.Sprintf("%s did not get ready: %s", op.To, why)
	op.Barred = withBar(op.Barred, op.To, message)
	op.Decision = nil
	op = op.unattached()
	found, obstacle := op.settle()
	if obstacle != nil {
		obstacle.Message = message + "; and no other candidate: " + obstacle.Message
		return op.giveUp(StateUndone, stage, *obstacle, now)
	}
	op.Stages = append(op.Stages, Stage{Name: stage, StartedAt: op.PhaseAt, Duration: now.Sub(op.PhaseAt), Outcome: "failed", Detail: message})
	op.PhaseAt, op.Tries = now, 0
	return op.elected(found, now)
}

// unattached forgets who followed the last candidate: the next one needs them itself, and is chosen by what is known now.
func (op Operation) unattached() Operation {
	for a, p := range op.Progress {
		p.Attached, p.Applied, p.Judged = "", "", nil
		op.Progress[a] = p
	}
	return op
}

// failures words what was not a Yes.
func failures(commands []Command, results []Result) string {
	var words []string
	for i, r := range results {
		if r.Outcome != Yes && r.Outcome != Skipped && i < len(commands) {
			words = append(words, strings.TrimSpace(fmt.Sprintf("%s: %s %s", commands[i], r.Reason, r.Detail)))
		}
	}
	if len(words) == 0 {
		return "no reason given"
	}
	return strings.Join(words, "; ")
}
