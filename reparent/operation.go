// Package reparent says how leadership moves. A change is a value, Operation: Next says what to do
// now, someone does it, Apply folds in what happened. Nothing here talks to a server, a store or a
// clock, so the same value is what is saved, resumed, printed by a dry run, shown in a timeline and
// driven by the simulator.
package reparent

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// Kind is how leadership changes hands.
type Kind string

// The kinds of change.
const (
	KindAdoption  Kind = "adoption"  // a healthy cluster gets its first recorded term
	KindPlanned   Kind = "planned"   // the primary is asked to step down
	KindEmergency Kind = "emergency" // the primary is revoked
	KindReopening Kind = "reopening" // the primary restarted, and is opened again
	KindRules     Kind = "rules"     // policy or membership are changed; the primary stays
)

// State is what has become of an operation.
type State string

// The states of an operation; all but running are final.
const (
	StateRunning   State = "running"
	StateSucceeded State = "succeeded"
	StateUndone    State = "undone"  // stopped before anything was promised, and what was done is reversed
	StateBlocked   State = "blocked" // it would not have been safe, or could not have succeeded
	StateFailed    State = "failed"  // ended after the marker may have been written: its outcome is unknown
)

// Phase is where an operation stands.
type Phase string

// The phases. Emergency: revoking, fetching, propagating, marking, opening, reconciling. Planned:
// preparing, gating, demoting, catching_up, marking, opening, reconciling. Adoption: marking. Reopening:
// verifying, propagating, marking, opening, reconciling. Rules: raising, disabling, barrier,
// recording.
const (
	PhaseVerifying   Phase = "verifying"
	PhaseRevoking    Phase = "revoking"
	PhaseFetching    Phase = "fetching"
	PhasePropagating Phase = "propagating"
	PhasePreparing   Phase = "preparing"
	PhaseMeasuring   Phase = "measuring"
	PhaseGating      Phase = "gating"
	PhaseDemoting    Phase = "demoting"
	PhaseCatchingUp  Phase = "catching_up"
	PhaseMarking     Phase = "marking"
	PhaseOpening     Phase = "opening"
	PhaseReconciling Phase = "reconciling"
	PhaseReleasing   Phase = "releasing"
	PhaseRaising     Phase = "raising"
	PhaseDisabling   Phase = "disabling"
	PhaseBarrier     Phase = "barrier"
	PhaseRecording   Phase = "recording"
	PhaseDone        Phase = "done"
)

// Leader is a server that may be completing writes until it is revoked.
type Leader struct {
	Address topology.Address `json:"address"`
	Term    uint32           `json:"term"`
	// Acks is how many acknowledgements its commits wait for, as far as is known: the lower of what the
	// ruleset says and what was last seen. 0 means that freezing ackers cannot stop it.
	Acks int `json:"acks"`
	// Certified is set when an operator vouches that it is powered off.
	Certified bool `json:"certified,omitempty"`
	// Why says where Acks comes from when it is not simply the ruleset.
	Why string `json:"why,omitempty"`
	// SeenAt is when it last answered, and Seen what it showed as executed then.
	SeenAt time.Time `json:"seen_at,omitzero"`
	Seen   gtid.Set  `json:"seen,omitzero"`
}

// Progress is what an operation has done to one server and learned from it.
type Progress struct {
	Frozen   Outcome `json:"frozen,omitempty"`   // Freeze
	Paused   Outcome `json:"paused,omitempty"`   // Freeze that is Passing
	Silenced Outcome `json:"silenced,omitempty"` // Poison or Demote of a leader
	With     Verb    `json:"with,omitempty"`     // which of the two
	Attached Outcome `json:"attached,omitempty"` // Follow the candidate
	Moved    bool    `json:"moved,omitempty"`    // its source was changed, or may have been
	Sourced  Outcome `json:"sourced,omitempty"`  // EnableSource
	Applied  Outcome `json:"applied,omitempty"`  // AwaitApplied of the chosen history
	Released Outcome `json:"released,omitempty"`
	Note     string  `json:"note,omitempty"` // why it is not a Yes
	// Reading is what the server showed after it was frozen or silenced, or when it last answered since.
	Reading *topology.Observation `json:"reading,omitempty"`
	// Judged is what the choice of history and candidate rests on, where Reading is a later answer.
	Judged *topology.Observation `json:"judged,omitempty"`
}

// reread takes a later answer of a server in, and keeps the one that the choice rests on.
func (p Progress) reread(o *topology.Observation) Progress {
	p.Judged = cmp.Or(p.Judged, p.Reading)
	p.Reading = o
	return p
}

// Known is what was last seen of a server before the operation began.
type Known struct {
	Incarnation string    `json:"incarnation"`
	UUID        gtid.UUID `json:"server_uuid"`
	// Position is everything that it was ever seen to hold, as far as is remembered.
	Position  gtid.Set `json:"position"`
	Receiving bool     `json:"receiving,omitempty"`
	// Open is set when it answered with read_only off; Writable when clients could also connect.
	Open     bool             `json:"open,omitempty"`
	Writable bool             `json:"writable,omitempty"`
	Reached  bool             `json:"reached,omitempty"`
	Source   topology.Address `json:"source,omitempty"`
	ReadOnly bool             `json:"read_only,omitempty"`
	// Acking is set when the replica side of semi-sync was on: it may acknowledge whatever the ruleset says. AcksAlone is set
	// when a restart, which nobody need have seen, may be all that it took for that.
	Acking    bool `json:"acking,omitempty"`
	AcksAlone bool `json:"acks_alone,omitempty"`
	// Sourcing is set when its source side of semi-sync was on.
	Sourcing bool `json:"sourcing,omitempty"`
	// Acks is how many acknowledgements its commits waited for, where the rules are older than those that somebody was made
	// the primary under: what was asked of it then may be more than they ask for.
	Acks int `json:"acks,omitempty"`
	// ApplierWaits is set when it was closed and its own applier, and nobody else, waited for acknowledgements.
	ApplierWaits bool `json:"applier_waits,omitempty"`
	// Poisoned is set when an earlier change had poisoned it already.
	Poisoned bool `json:"poisoned,omitempty"`
	// Restarted and Replaced: the process, or the whole server, is not the one that was remembered.
	Restarted bool `json:"restarted,omitempty"`
	Replaced  bool `json:"replaced,omitempty"`
	// Recovers is set when it was seen to drop, at a start, what it has received and not applied: whatever it is set to by now.
	Recovers bool `json:"recovers,omitempty"`
	// Unsynced is set when it was seen to keep what it has received, or applied, in files that are not written to disk at once:
	// it may have lost that with its host's power, whatever it is set to by now. Losses is what earlier starts may have lost.
	Unsynced bool            `json:"unsynced,omitempty"`
	Losses   topology.Losses `json:"losses,omitzero"`
	// Silencer is how this server would be made unable to complete, were it a leader.
	Silencer Verb `json:"silencer,omitempty"`
}

// Stage is one line of the timeline.
type Stage struct {
	Name      string        `json:"name"`
	StartedAt time.Time     `json:"started_at"`
	Duration  time.Duration `json:"duration"`
	Outcome   string        `json:"outcome"` // ok, failed, blocked, undone
	Detail    string        `json:"detail"`
	Evidence  []string      `json:"evidence,omitempty"`
}

// Obstacle is why an operation cannot go on, and what would have to be different.
type Obstacle struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	// Needs are the minimal sets of servers one of which would have to come back; empty when servers
	// coming back would not help.
	Needs []topology.ServerSet `json:"needs,omitempty"`
	// Branches are the histories that contradict each other.
	Branches map[topology.Address]gtid.Set `json:"branches,omitempty"`
	// Remedy says what an operator can do.
	Remedy string `json:"remedy,omitempty"`
}

// Timing are the deadlines of an operation's stages.
type Timing struct {
	Freeze    time.Duration `json:"freeze"`   // one server
	Grace     time.Duration `json:"grace"`    // for stragglers, once enough is proven
	Fetch     time.Duration `json:"fetch"`    // one round of catching up; goes on while there is progress
	Follow    time.Duration `json:"follow"`   // one server
	Mark      time.Duration `json:"mark"`     // the marker's acknowledgements
	Drain     time.Duration `json:"drain"`    // super_read_only of a planned change
	CatchUp   time.Duration `json:"catch_up"` // the candidate, after the primary stepped down
	Gate      time.Duration `json:"gate"`     // a candidate this close to the primary keeps up
	GateTries int           `json:"gate_tries"`
	MarkTries int           `json:"mark_tries"`
}

// DefaultTiming suits servers on one network. Freeze stays above the time in which a healthy server
// stops a receiver that is connecting with the recommended replica_net_timeout.
func DefaultTiming() Timing {
	return Timing{
		Freeze: 5 * time.Second, Grace: 25 * time.Millisecond, Fetch: 5 * time.Second,
		Follow: 5 * time.Second, Mark: 5 * time.Second, Drain: 2 * time.Second,
		CatchUp: 2 * time.Second, Gate: 20 * time.Millisecond, GateTries: 50, MarkTries: 3,
	}
}

// Operation is one leadership change. The zero value is of no use; Planned, Emergency and Adoption
// make one. It is a plain value: Apply returns a changed copy.
type Operation struct {
	ID      string `json:"id"`
	Cluster string `json:"cluster"`
	Kind    Kind   `json:"kind"`
	Cause   string `json:"cause"`
	Term    uint32 `json:"term"`
	// SessionTerm is the term under which an elector that took the operation over acts; the highest it
	// drew, so that sessions of the one before are fenced. 0 means Term.
	SessionTerm uint32 `json:"session_term,omitempty"`
	Elector     string `json:"elector"`
	By          string `json:"by,omitempty"` // operator, when asked for by hand
	Reason      string `json:"reason,omitempty"`
	// Call is the call that asked for this; empty when nobody did, or gave it no key.
	Call Call `json:"call,omitzero"`
	// Follows names the certificate of the cluster's change before this one, and Digest is this one's own: see Sealed.
	Follows Link   `json:"follows,omitzero"`
	Digest  string `json:"digest,omitempty"`

	From   topology.Address `json:"from,omitempty"`
	To     topology.Address `json:"to,omitempty"`
	Wanted topology.Address `json:"wanted,omitempty"`

	Phase      Phase     `json:"phase"`
	State      State     `json:"state"`
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	PhaseAt    time.Time `json:"phase_at"`
	Stages     []Stage   `json:"stages"`
	Obstacle   *Obstacle `json:"obstacle,omitempty"`
	Clearance  string    `json:"clearance"`
	Automatic  bool      `json:"automatic"`

	Ruleset topology.Ruleset `json:"ruleset"`
	// Rules are those that a change of the rules puts in the place of Ruleset.
	Rules      *topology.Ruleset             `json:"rules,omitempty"`
	History    topology.History              `json:"history"`
	Floor      gtid.Set                      `json:"floor"`
	Leaders    []Leader                      `json:"leaders"`
	Known      map[topology.Address]Known    `json:"known"`
	Barred     map[topology.Address]string   `json:"barred,omitempty"` // never candidates, and why
	Silent     topology.ServerSet            `json:"silent,omitzero"`  // members not to bother: certified down
	AcceptLoss bool                          `json:"accept_loss,omitempty"`
	KeepErrant bool                          `json:"keep_errant,omitempty"`
	Timing     Timing                        `json:"timing"`
	Progress   map[topology.Address]Progress `json:"progress"`
	Prepared   topology.ServerSet            `json:"prepared,omitzero"` // planned: attached before the freeze
	// Ready: the ackers that could be prepared are attached, and what is left is the gap itself.
	Ready     bool               `json:"ready,omitempty"`
	Chosen    gtid.Set           `json:"chosen,omitzero"`  // the history that is honoured
	Source    topology.Address   `json:"source,omitempty"` // intermediate source of the candidate
	Followers topology.ServerSet `json:"followers,omitzero"`
	Excluded  topology.ServerSet `json:"excluded,omitzero"` // candidates that were tried
	Decision  *topology.Decision `json:"decision,omitempty"`
	Tries     int                `json:"tries,omitempty"`
	// MarkSent is set once the marker may stand in the candidate's binary log.
	MarkSent    bool      `json:"mark_sent,omitempty"`
	MarkedAt    time.Time `json:"marked_at,omitzero"`
	Established time.Time `json:"established_at,omitzero"`
	// Ending is the state that follows once what was done is released.
	Ending State `json:"ending,omitempty"`
	// GapFrom and GapTo bound the time in which Primacy kept writes from completing.
	GapFrom time.Time `json:"gap_from,omitzero"`
	GapTo   time.Time `json:"gap_to,omitzero"`
}

// Intent is everything that a change starts from.
type Intent struct {
	ID       string
	Elector  string
	Term     uint32
	Snapshot topology.Snapshot
	History  topology.History
	Cause    string
	Evidence []topology.Evidence
	By       string
	Reason   string
	Call     Call
	Wanted   topology.Address
	// CertifiedDown are servers that an operator vouches to be powered off.
	CertifiedDown topology.ServerSet
	// AcceptLoss lets an emergency reparent go on although acknowledged transactions may be out of reach.
	AcceptLoss bool
	// KeepErrant takes transactions that no recorded leader wrote, or that were cancelled, into the history.
	KeepErrant bool
	Drain      time.Duration
	Timing     Timing
	DetectedAt time.Time
	// Foreseen is set by whoever had an emergency change forecast from these very facts, and not found blocked.
	Foreseen bool
}

// Call is a call of somebody who gave it a key, to be able to repeat it: what came of the first one is then found by it.
type Call struct {
	Key    string `json:"key"`    // of this caller, for this kind of call and this cluster
	Digest string `json:"digest"` // of what was asked for: the same key with another one is a mistake
}

// begin fills in what all kinds share.
func begin(kind Kind, c antiflap.Clearance, in Intent, now time.Time) Operation {
	op := Operation{
		ID: in.ID, Cluster: in.Snapshot.Cluster, Kind: kind, Cause: in.Cause, Term: in.Term, Elector: in.Elector,
		By: in.By, Reason: in.Reason, Call: in.Call, Wanted: in.Wanted, State: StateRunning, StartedAt: now, PhaseAt: now,
		Clearance: c.Why(), Automatic: c.Automatic(), Ruleset: in.Snapshot.Ruleset, History: in.History,
		Floor: in.History.Floor, Silent: in.CertifiedDown, AcceptLoss: in.AcceptLoss, KeepErrant: in.KeepErrant,
		Timing: in.Timing, Known: map[topology.Address]Known{}, Barred: map[topology.Address]string{},
		Progress: map[topology.Address]Progress{},
	}
	if op.Timing == (Timing{}) {
		op.Timing = DefaultTiming()
	}
	if in.Drain > 0 {
		op.Timing.Drain = in.Drain
	}
	if current, ok := in.History.Current(); ok {
		op.From = current.Primary
	}
	for _, m := range op.Ruleset.Members {
		op.know(m, &in)
	}
	op = op.noteDetection(in, now)
	if !c.Valid() || c.Cluster() != op.Cluster {
		return op.block(Obstacle{Code: "no_clearance", Message: "no valid anti-flapping clearance for this cluster"}, now)
	}
	return op
}

func (op *Operation) know(m topology.Member, in *Intent) {
	live, seen, before := in.Snapshot.Server(m.Address), lastSeen(in, m.Address), in.History.LastSeen.Of(m.Address)
	if seen.Incarnation != "" {
		op.Known[m.Address] = Known{
			Incarnation: seen.Incarnation, UUID: seen.UUID, Position: seen.Position().Union(before.Position()),
			Receiving: seen.Replication != nil && seen.Replication.Receiver != topology.ThreadOff,
			Open:      live.OK() && !live.ReadOnly,
			Writable:  live.Writable(), Reached: live.OK(), Source: sourceOf(seen),
			ReadOnly: live.ReadOnly, Silencer: op.silencer(m.Address, live),
			ApplierWaits: live.OK() && live.OnlyApplierWaits(),
			Acking:       seen.SemiSync.ReplicaEnabled, AcksAlone: seen.AcksAlone(), Sourcing: seen.SemiSync.SourceEnabled, Poisoned: seen.SemiSync.Acks >= topology.PoisonAcks,
			Restarted: before.Incarnation != "" && before.Incarnation != seen.Incarnation,
			Replaced:  before.Incarnation != "" && before.UUID != seen.UUID,
			Recovers:  before.Settings.RelayLogRecovery || seen.Settings.RelayLogRecovery,
			Unsynced:  before.Settings.Unsynced() || seen.Settings.Unsynced(), Losses: seen.Losses,
		}
	}
	if op.outdated() && live.OK() && live.SemiSync.SourceEnabled && live.SemiSync.Acks < topology.PoisonAcks {
		known := op.Known[m.Address]
		known.Acks = live.SemiSync.Acks
		op.Known[m.Address] = known
	}
	switch {
	case in.Snapshot.Maintenance.Has(m.Address):
		op.Barred[m.Address] = underMaintenance
	case m.Promotion == topology.PromotionNever:
		op.Barred[m.Address] = "its promotion rule is never"
	}
}

// outdated tells whether somebody was made the primary under later rules than those that the operation goes by: the store was
// put back to a time before they were changed.
func (op Operation) outdated() bool { return op.History.LatestRules() > op.Ruleset.Number }

func sourceOf(o *topology.Observation) topology.Address {
	if o.Replication == nil {
		return ""
	}
	return o.Replication.Source
}

func (op Operation) noteDetection(in Intent, now time.Time) Operation {
	started := now
	if !in.DetectedAt.IsZero() && in.DetectedAt.Before(now) {
		started = in.DetectedAt
	}
	stage := Stage{Name: "detect", StartedAt: started, Duration: now.Sub(started), Outcome: "ok", Detail: in.Cause}
	for _, e := range in.Evidence {
		stage.Evidence = append(stage.Evidence, describe(e))
	}
	op.Stages = append(op.Stages, stage)
	return op
}

func describe(e topology.Evidence) string {
	switch {
	case e.Server == "":
		return e.By + ": " + e.Fact
	case e.By == "" || e.By == string(e.Server):
		return string(e.Server) + ": " + e.Fact
	}
	return string(e.Server) + " (by " + e.By + "): " + e.Fact
}

// Step is what is to be done now.
type Step struct {
	Phase    Phase     `json:"phase"`
	Title    string    `json:"title"`
	Commands []Command `json:"commands"`
	// SaveFirst: the operation as it is must be in the store before the commands are sent. A release waits for that for a
	// moment only: nothing that was promised depends on it.
	SaveFirst bool `json:"save_first,omitempty"`
	// Done: there is nothing more to do.
	Done bool `json:"done,omitempty"`
}

// Next says what to do now. Asked twice without Apply in between it says the same.
func (op Operation) Next() Step {
	step := Step{Phase: op.Phase}
	switch op.Phase {
	case PhaseVerifying:
		step.Title, step.Commands = "verify: does anybody hold more, or know of a later term", op.verifyCommands()
	case PhaseRevoking:
		step.Title, step.Commands, step.SaveFirst = "revoke: freeze ackers so that no earlier primary can complete a write", op.revokeCommands(), true
	case PhaseFetching:
		step.Title, step.Commands = "propagate: the candidate fetches what it lacks", op.fetchCommands()
	case PhasePropagating:
		step.Title, step.Commands = "propagate: the candidate applies everything, its ackers attach", op.propagateCommands()
	case PhasePreparing:
		step.Title, step.Commands, step.SaveFirst = "prepare: attach ackers to the candidate while writes go on", op.prepareCommands(), true
	case PhaseMeasuring:
		step.Title, step.Commands = "lag gate: where is the primary now", op.measureCommands()
	case PhaseGating:
		step.Title, step.Commands = "lag gate: does the candidate keep up", op.gateCommands()
	case PhaseDemoting:
		step.Title, step.Commands = "revoke: the primary steps down", op.demoteCommands()
	case PhaseCatchingUp:
		step.Title, step.Commands = "propagate: the candidate reaches the final position", op.catchUpCommands()
	case PhaseMarking:
		step.Title, step.Commands, step.SaveFirst = "establish: write the term marker and wait for its acknowledgements", op.markCommands(), true
	case PhaseOpening:
		step.Title, step.Commands = "establish: open the new primary for writes", op.openCommands()
	case PhaseReconciling:
		step.Title, step.Commands = "reconcile: the others follow the new primary", op.reconcileCommands()
	case PhaseReleasing:
		// A decision that was withdrawn has to be off the record first: whoever takes over would count its candidate as a leader.
		step.Title, step.Commands, step.SaveFirst = "release: restart what was stopped", op.releaseCommands(), true
	case PhaseRaising:
		step.Title, step.Commands, step.SaveFirst = "raise: commits wait for as many acknowledgements as either ruleset asks for", op.raiseCommands(), true
	case PhaseDisabling:
		step.Title, step.Commands = "disable: whoever is no acker under the new rules acknowledges no more", op.disableCommands()
		step.SaveFirst = op.transition().PromisesNothing() // nothing came before it
	case PhaseBarrier:
		step.Title, step.Commands = "barrier: a transaction is acknowledged, and everything before it is held by enough", op.barrierCommands()
	case PhaseRecording:
		step.Title, step.SaveFirst = fmt.Sprintf("record: ruleset %d; what it wants of servers is then the repair's", op.Rules.Number), true
	case PhaseDone:
		step.Title, step.Done = "done", true
	}
	return step
}

// Enough tells, while a step runs, whether the results so far settle it; the rest may be abandoned. The commands are those of
// Next, which would have to be put together for each answer otherwise, and the results are in their order.
func (op Operation) Enough(commands []Command, results []Result) bool {
	switch op.Phase {
	case PhaseVerifying:
		return op.verified(commands, results)
	case PhaseRevoking:
		after := op.clone().foldRevoking(commands, results)
		return after.revocationSuffices()
	case PhasePropagating:
		after := op.clone().foldPropagating(commands, results)
		return after.canMark()
	case PhaseMarking:
		return resultOf(commands, results, Mark).Done()
	case PhasePreparing, PhaseFetching, PhaseMeasuring, PhaseGating, PhaseDemoting, PhaseCatchingUp,
		PhaseOpening, PhaseReconciling, PhaseReleasing, PhaseRaising, PhaseDisabling, PhaseBarrier, PhaseRecording, PhaseDone:
		return false
	}
	return false
}

// Apply folds in what came of the commands of Next, in their order, and moves on.
func (op Operation) Apply(results []Result, now time.Time) Operation {
	commands := op.Next().Commands
	results = matched(results, len(commands))
	op = op.clone()
	if op.Phase == PhaseMarking { // also when another server says that somebody newer owns it
		op.MarkSent = op.MarkSent || maybe(resultOf(commands, results, Mark).Outcome)
	}
	if by, fenced := fencedBy(commands, results); fenced {
		return op.fenced(by, now)
	}
	switch op.Phase {
	case PhaseVerifying:
		return op.applyVerifying(commands, results, now)
	case PhaseRevoking:
		return op.applyRevoking(commands, results, now)
	case PhaseFetching:
		return op.applyFetching(commands, results, now)
	case PhasePropagating:
		return op.applyPropagating(commands, results, now)
	case PhasePreparing:
		return op.applyPreparing(commands, results, now)
	case PhaseMeasuring:
		return op.applyMeasuring(commands, results, now)
	case PhaseGating:
		return op.applyGating(commands, results, now)
	case PhaseDemoting:
		return op.applyDemoting(commands, results, now)
	case PhaseCatchingUp:
		return op.applyCatchingUp(commands, results, now)
	case PhaseMarking:
		return op.applyMarking(commands, results, now)
	case PhaseOpening:
		return op.applyOpening(commands, results, now)
	case PhaseReconciling:
		return op.applyReconciling(commands, results, now)
	case PhaseReleasing:
		return op.applyReleasing(commands, results, now)
	case PhaseRaising:
		return op.applyRaising(commands, results, now)
	case PhaseDisabling:
		return op.applyDisabling(commands, results, now)
	case PhaseBarrier:
		return op.applyBarrier(commands, results, now)
	case PhaseRecording:
		return op.InForce("", now)
	case PhaseDone:
		return op
	}
	return op
}

// matched gives every command a result: nobody waited for those that are missing.
func matched(results []Result, commands int) []Result {
	if len(results) >= commands {
		return results[:commands]
	}
	results = slices.Clip(results)
	for len(results) < commands {
		results = append(results, Result{Outcome: Unknown, Reason: ReasonAbandoned})
	}
	return results
}

// clone gives the maps and slices that Apply changes a life of their own. Stages are only ever appended, so it is
// enough that nobody else appends behind them.
func (op Operation) clone() Operation {
	op.Progress = maps.Clone(op.Progress)
	op.Stages = slices.Clip(op.Stages)
	if op.Progress == nil {
		op.Progress = map[topology.Address]Progress{}
	}
	return op
}

// Running tells whether something is left to do.
func (op Operation) Running() bool { return op.State == StateRunning }

// CoveredBy tells whether a saved copy already holds everything that must be on record before the
// next irreversible step: who acts under which term, and what was decided.
func (op Operation) CoveredBy(saved Operation) bool {
	return saved.ID == op.ID && saved.Term == op.Term && saved.SessionTerm == op.SessionTerm && decisionHash(saved) == decisionHash(op)
}

func decisionHash(op Operation) string {
	if op.Decision == nil {
		return ""
	}
	return op.Decision.Hash
}

// Leadership is what the operation has made or may have made; false as long as it has decided nothing.
func (op Operation) Leadership() (topology.Leadership, bool) {
	if op.Decision == nil {
		return topology.Leadership{}, false
	}
	return topology.Leadership{Decision: *op.Decision, EstablishedAt: op.Established}, true
}

// move goes to the next phase and closes the stage that ends with it.
func (op Operation) move(to Phase, stage, detail string, now time.Time, evidence ...string) Operation {
	op.Stages = append(op.Stages, Stage{
		Name: stage, StartedAt: op.PhaseAt, Duration: now.Sub(op.PhaseAt), Outcome: "ok", Detail: detail, Evidence: evidence,
	})
	op.Phase, op.PhaseAt, op.Tries = to, now, 0
	return op
}

// finish ends the operation.
func (op Operation) finish(s State, now time.Time) Operation {
	op.Phase, op.State, op.FinishedAt, op.PhaseAt = PhaseDone, s, now, now
	return op
}

// block ends an operation that has touched nothing yet.
func (op Operation) block(o Obstacle, now time.Time) Operation {
	o = o.worded()
	op.Obstacle = &o
	op.Stages = append(op.Stages, Stage{Name: "gate", StartedAt: now, Outcome: "blocked", Detail: o.Message})
	return op.finish(StateBlocked, now)
}

// giveUp turns to releasing what was stopped; the operation then ends as blocked or undone. It is only
// reached before a marker was sent, so the decision, if any, is withdrawn.
func (op Operation) giveUp(ending State, stage string, o Obstacle, now time.Time) Operation {
	o = o.worded()
	op.Obstacle, op.Ending, op.Decision = &o, ending, nil
	op.Stages = append(op.Stages, Stage{
		Name: stage, StartedAt: op.PhaseAt, Duration: now.Sub(op.PhaseAt), Outcome: outcomeWord(ending), Detail: o.Message,
	})
	op.Phase, op.PhaseAt, op.Tries = PhaseReleasing, now, 0
	return op
}

// fail ends an operation whose marker may have been written: its outcome is unknown, and the next
// change has to revoke its candidate too.
func (op Operation) fail(stage string, o Obstacle, now time.Time) Operation {
	op.Obstacle = &o
	op.Stages = append(op.Stages, Stage{
		Name: stage, StartedAt: op.PhaseAt, Duration: now.Sub(op.PhaseAt), Outcome: "failed", Detail: o.Message,
	})
	return op.finish(StateFailed, now)
}

// codeFenced is the code of an operation that a newer term has stopped.
const codeFenced = "fenced"

// fenced ends the operation because a newer term owns a server: whatever is left to do is the newer
// elector's, and releasing anything now would undo its work. What was established stays so.
func (op *Operation) fenced(by topology.Address, now time.Time) Operation {
	if !op.Established.IsZero() {
		return op.move(PhaseDone, string(op.Phase), fmt.Sprintf("%s is owned by a newer term by now; the rest is left to it", by), now).finish(StateSucceeded, now)
	}
	return op.fail(string(op.Phase), Obstacle{
		Code:    codeFenced,
		Message: fmt.Sprintf("%s is owned by a newer term; this change of term %d stops where it is", by, op.Term),
	}, now)
}

// worded adds to an obstacle's message which servers would help.
func (o Obstacle) worded() Obstacle {
	if len(o.Needs) > 0 {
		o.Message += "; one of these would have to be reached: " + alternatives(o.Needs)
	}
	return o
}

func outcomeWord(s State) string {
	switch s {
	case StateBlocked:
		return "blocked"
	case StateUndone:
		return "undone"
	case StateRunning, StateSucceeded:
		return "ok"
	case StateFailed:
		return "failed"
	}
	return "failed"
}

func fencedBy(commands []Command, results []Result) (topology.Address, bool) {
	for i := range min(len(results), len(commands)) {
		if results[i].Reason == ReasonFenced {
			return commands[i].Server, true
		}
	}
	return "", false
}

// resultOf finds the result of the first command with that verb; Unknown when there is none.
func resultOf(commands []Command, results []Result, verb Verb) Result {
	for i := range min(len(results), len(commands)) {
		if commands[i].Verb == verb {
			return results[i]
		}
	}
	return Result{Outcome: Unknown}
}

// command addresses a verb to a server on the operation's behalf.
func (op *Operation) command(verb Verb, server topology.Address, deadline time.Duration) Command {
	return Command{Verb: verb, Server: server, Cluster: op.Cluster, Term: max(op.Term, op.SessionTerm), Deadline: deadline}
}
