package reparent

import (
	"fmt"
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
	op.Leaders = leaders(in)
	op.Phase = PhaseRevoking
	if obstacle := op.forecast(in); obstacle != nil {
		return op.block(*obstacle, now)
	}
	return op
}

// forecast plays the revocation with every reachable server answering as the snapshot shows it: what
// cannot succeed even then is not begun.
func (op Operation) forecast(in Intent) *Obstacle {
	if op.Wanted != "" {
		if why := op.unwanted(in); why != "" {
			return &Obstacle{Code: "not_a_candidate", Message: fmt.Sprintf("%s cannot be promoted: %s", op.Wanted, why)}
		}
	}
	hoped := op.clone()
	for _, m := range op.Ruleset.Members {
		hoped.Progress[m.Address] = op.hope(m.Address, in.Snapshot.Server(m.Address))
	}
	_, obstacle := hoped.settle()
	return obstacle
}

func (op Operation) unwanted(in Intent) string {
	if _, member := op.Ruleset.Member(op.Wanted); !member {
		return "it is no member of the cluster; members are " + op.Ruleset.Servers().String()
	}
	if !in.Snapshot.Server(op.Wanted).OK() {
		return "it does not answer"
	}
	return op.Barred[op.Wanted]
}

func (op Operation) hope(a topology.Address, o topology.Observation) Progress {
	if !o.OK() || op.Silent.Has(a) {
		return Progress{Frozen: No, Silenced: No, Note: "it does not answer"}
	}
	p := Progress{Frozen: Yes, Reading: &o}
	if verb := op.silencer(a, o); verb != "" && op.isLeader(a) {
		p.Silenced, p.With = Yes, verb
	}
	return p
}

// silencer chooses how a leader itself is made unable to complete; empty when only its ackers can do it.
func (op Operation) silencer(a topology.Address, o topology.Observation) Verb {
	switch {
	case !o.OK() && op.Ruleset.AcksNeeded(a) > 0:
		return Poison
	case !o.OK():
		return Demote
	case o.ReadOnly && (o.SemiSync.Waiters > 0 || o.Stall.ReadOnlyWait):
		return "" // a marker waits for its acks: stepping down would hang, and poison would strand a candidate
	case o.ReadOnly:
		return Demote
	case o.SemiSync.Verified():
		return Poison
	}
	return Demote
}

// revokeCommands freezes every member, and tries each leader itself too: to reach it makes everything
// else unnecessary.
func (op Operation) revokeCommands() []Command {
	var commands []Command
	for _, m := range op.Ruleset.Members {
		if op.Silent.Has(m.Address) {
			continue
		}
		if op.isLeader(m.Address) {
			commands = append(commands, op.silence(m.Address)...)
		}
		commands = append(commands, op.command(Freeze, m.Address, op.Timing.Freeze))
	}
	return commands
}

func (op Operation) silence(a topology.Address) []Command {
	verb := op.Silencers()[a]
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
		chosen[l.Address] = op.Known[l.Address].Silencer
		if !op.Known[l.Address].Reached {
			chosen[l.Address] = op.silencer(l.Address, topology.Observation{})
		}
	}
	return chosen
}

// foldRevoking takes the results into the servers' progress without deciding anything.
func (op Operation) foldRevoking(commands []Command, results []Result) Operation {
	op = op.clone()
	for i, r := range results {
		if i >= len(commands) {
			break
		}
		a := commands[i].Server
		op.Progress[a] = op.Progress[a].folded(commands[i].Verb, r)
	}
	return op
}

func (p Progress) folded(verb Verb, r Result) Progress {
	switch verb {
	case Freeze:
		p.Frozen = r.Outcome
	case Poison, Demote:
		p.Silenced, p.With = r.Outcome, verb
	case Read, Resume, Antidote, Reopen, Fence, Follow, AwaitApplied, AwaitAckers, PrepareSource,
		EnableSource, DisableSource, Mark, Open, Detach, CreateJournal:
	}
	if r.Outcome == Yes && r.Observation.OK() {
		o := r.Observation
		p.Reading = &o
	}
	if r.Outcome != Yes && r.Outcome != Skipped {
		p.Note = strings.TrimSpace(fmt.Sprintf("%s: %s %s %s", verb, r.Outcome, r.Reason, r.Detail))
	}
	return p
}

// settlement is a revocation that holds, with the history and the candidate that follow from it.
type settlement struct {
	revoked   Revoked
	choice    choice
	candidate candidacy
}

// settle asks the four questions of an emergency in their order: revoked, discovered, which history,
// who leads.
func (op Operation) settle() (settlement, *Obstacle) {
	proof, obstacle := op.revoked()
	if obstacle != nil {
		return settlement{}, obstacle
	}
	if obstacle := op.discovered(); obstacle != nil {
		return settlement{}, obstacle
	}
	chosen, obstacle := op.chooseHistory()
	if obstacle != nil {
		return settlement{}, obstacle
	}
	winner, obstacle := op.elect(chosen)
	if obstacle != nil {
		return settlement{}, obstacle
	}
	return settlement{revoked: proof, choice: chosen, candidate: winner}, nil
}

func (op Operation) revocationSuffices() bool {
	_, obstacle := op.settle()
	return obstacle == nil
}

func (op Operation) applyRevoking(commands []Command, results []Result, now time.Time) Operation {
	op = op.foldRevoking(commands, results)
	found, obstacle := op.settle()
	if obstacle != nil {
		return op.giveUp(StateBlocked, "revoke", *obstacle, now)
	}
	op.GapFrom = now
	op = op.move(PhasePropagating, "revoke", fmt.Sprintf("no earlier primary can complete a write; %s frozen", op.frozen()), now,
		append(found.revoked.How(), op.notes()...)...)
	return op.elected(found, now)
}

// elected records history and candidate and goes where the candidate's needs lead.
func (op Operation) elected(found settlement, now time.Time) Operation {
	c := found.candidate
	op.To, op.Source, op.Followers = c.address, c.source, c.followers
	op.Chosen = found.choice.history
	op = op.decide(found)
	op = op.move(PhasePropagating, "choose", fmt.Sprintf("%s: %s", c.address, c.why), now, append([]string{found.choice.why}, c.others...)...)
	if c.source != "" {
		op.Phase = PhaseFetching
	}
	return op
}

// decide seals the decision. It takes a settlement, and with it the proof of revocation.
func (op Operation) decide(found settlement) Operation {
	if !found.revoked.valid(op) {
		return op
	}
	return op.sealed(found.choice.history.Union(op.pendingMarkers(found.candidate.address)), op.frozen())
}

func (op Operation) notes() []string {
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
func (op Operation) fetchCommands() []Command {
	feed := op.command(AwaitApplied, op.Source, op.Timing.Fetch)
	feed.Set = op.Progress[op.Source].Reading.Position().Intersect(op.Chosen)
	follow := op.command(Follow, op.To, op.Timing.Follow)
	follow.Source, follow.Within = op.Source, op.Chosen
	await := op.command(AwaitApplied, op.To, op.Timing.Fetch)
	await.Set = op.Chosen
	return []Command{feed, follow, await, op.command(Freeze, op.To, op.Timing.Freeze)}
}

func (op Operation) applyFetching(commands []Command, results []Result, now time.Time) Operation {
	frozen := results[len(results)-1]
	if frozen.Done() && frozen.Observation.Executed.Contains(op.Chosen) {
		o := frozen.Observation
		p := op.Progress[op.To]
		p.Reading, p.Frozen = &o, Yes
		op.Progress[op.To] = p
		return op.move(PhasePropagating, "fetch", fmt.Sprintf("%s fetched what it lacked from %s", op.To, op.Source), now)
	}
	return op.again(commands, results, "fetch", now)
}

// propagateCommands: the candidate applies the chosen history while its ackers attach to it. Its source
// side stays off until then: ackers that attach now are counted, and acknowledge from the moment it is
// switched on (E20, E21).
func (op Operation) propagateCommands() []Command {
	await := op.command(AwaitApplied, op.To, op.Timing.Fetch)
	await.Set = op.Chosen
	prepare := op.command(PrepareSource, op.To, op.Timing.Follow)
	prepare.Acks = op.Ruleset.AcksNeeded(op.To)
	commands := []Command{prepare, await}
	for _, a := range op.Followers.List() {
		commands = append(commands, op.followCommand(a))
	}
	return commands
}

func (op Operation) followCommand(a topology.Address) Command {
	c := op.command(Follow, a, op.Timing.Follow)
	c.Source, c.Acker, c.Within = op.To, op.Ruleset.Ackers(op.To).Has(a), op.allowed()
	return c
}

// allowed is what a follower of the candidate may hold.
func (op Operation) allowed() gtid.Set {
	allowed := op.Chosen
	if op.Decision != nil {
		allowed = allowed.Union(op.Decision.Base).Union(op.Decision.Marker().Set())
	}
	return allowed
}

func (op Operation) foldPropagating(commands []Command, results []Result) Operation {
	op = op.clone()
	for i, r := range results {
		if i >= len(commands) {
			break
		}
		p := op.Progress[commands[i].Server]
		switch commands[i].Verb {
		case AwaitApplied:
			p.Applied = r.Outcome
		case Follow:
			p.Attached = r.Outcome
		case Read, Freeze, Resume, Poison, Antidote, Demote, Reopen, Fence, AwaitAckers, PrepareSource,
			EnableSource, DisableSource, Mark, Open, Detach, CreateJournal:
		}
		op.Progress[commands[i].Server] = p
	}
	return op
}

func (op Operation) attached() topology.ServerSet {
	return op.where(func(p Progress) bool { return p.Attached == Yes })
}

// canMark tells whether the marker can be acknowledged: the candidate has applied the whole history and
// enough ackers are attached.
func (op Operation) canMark() bool {
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
	for i, r := range results {
		if commands[i].Verb != AwaitApplied || !r.Observation.OK() {
			continue
		}
		p := op.Progress[commands[i].Server]
		progressed = progressed || (p.Reading != nil && r.Observation.Executed.Count() > p.Reading.Executed.Count())
		o := r.Observation
		p.Reading = &o
		op.Progress[commands[i].Server] = p
	}
	op.Tries++
	if progressed {
		op.Tries = 1
	}
	if op.Tries < propagateTries {
		return op
	}
	return op.nextCandidate(stage, failures(commands, results), now)
}

const propagateTries = 3

// nextCandidate leaves a candidate that cannot get ready and elects another one; with none left the
// operation is undone. Nothing has been promised yet: no marker was written.
func (op Operation) nextCandidate(stage, why string, now time.Time) Operation {
	op.Excluded = op.Excluded.With(op.To)
	message := fmt.Sprintf("%s did not get ready: %s", op.To, why)
	op.Barred = withBar(op.Barred, op.To, message)
	op.Decision = nil
	found, obstacle := op.settle()
	if obstacle != nil {
		obstacle.Message = message + "; and no other candidate: " + obstacle.Message
		return op.giveUp(StateUndone, stage, *obstacle, now)
	}
	op.Stages = append(op.Stages, Stage{Name: stage, StartedAt: op.PhaseAt, Duration: now.Sub(op.PhaseAt), Outcome: "failed", Detail: message})
	op.PhaseAt, op.Tries = now, 0
	return op.elected(found, now)
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
