package reparent

import (
	"fmt"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// Verb is what a command does to one server. Each may be run twice with the effect of once.
type Verb string

// The verbs. What each proves when its outcome is Yes stands beside it; the SQL is in mysqld.
const (
	// Read observes the server. Yes: the observation is first-hand and taken after the command was sent.
	Read Verb = "read"
	// Freeze persists skip_replica_start, stops the receiver, and reads twice that it is off and the
	// received set stands still. The applier keeps running. Yes: the server acknowledges nothing more,
	// not even after a restart, until it is told to Follow or Resume.
	Freeze Verb = "freeze"
	// Resume undoes Freeze: starts the receiver (and the applier, when it was running) towards the
	// source that the channel has. Refused (Errant) when the position is not within Within, if given, and
	// while a STOP REPLICA of ours has not returned: what it still lets run ends later.
	Resume Verb = "resume"
	// Poison makes a reachable semi-sync leader unable to complete: it waits for PoisonAcks from now on,
	// then clients are cut by offline_mode. Yes: both read back, and semi-sync was verified on (E1, T6).
	Poison Verb = "poison"
	// Antidote undoes Poison: the ack count is Acks again and offline_mode off.
	Antidote Verb = "antidote"
	// Demote sets super_read_only within the deadline. Yes: the statement returned, nothing waits for
	// acks, and the observation's executed set is final. With Offline, clients are cut first. On No or
	// Unknown the attempt has been cancelled on the server as far as it could be reached.
	Demote Verb = "demote"
	// Reopen undoes Demote on an established primary: offline_mode, read_only and super_read_only off. Refused
	// when another process than Incarnation answers: one that came back by itself is verified first.
	Reopen Verb = "reopen"
	// Fence shuts a primary of an earlier term in the only safe order (E10b): offline_mode, then
	// super_read_only, then source-side semi-sync off, which completes waiters that no client hears of.
	// Yes: read-only, offline and nothing waits; what it completed shows in the observation.
	Fence Verb = "fence"
	// Follow makes the server a replica of Source: read-only, replica-side semi-sync on exactly when Acker,
	// receiver stopped, source changed while the applier runs (E17; both threads only when there was
	// no channel or nothing unapplied), started. Refused (Errant) when its position is not within
	// Within, if that is not empty; what has come from Source meanwhile is not held against one that
	// follows already. Refused (Waiters) while commits wait there. What is left of a former primary, the
	// source side and offline_mode, is switched off after the start. Yes: the receiver was started and
	// points at Source.
	Follow Verb = "follow"
	// AwaitApplied waits until Set is executed. An applier that stands still without an error is started,
	// and not again within the command. Yes: it is executed.
	AwaitApplied Verb = "await_applied"
	// AwaitAckers waits until at least Acks semi-sync replicas are connected to the server (E21).
	AwaitAckers Verb = "await_ackers"
	// PrepareSource sets ack count, infinite timeout and the rest of the source side without enabling it.
	PrepareSource Verb = "prepare_source"
	// EnableSource does PrepareSource and switches the source side on. Only after catch-up (E20).
	EnableSource Verb = "enable_source"
	// DisableSource switches the source side off; refused (Waiters) while a commit waits (E10), unless the server is closed and
	// only its own applier waits: what it commits then shows in the observation. With Release it may let commits go: that is for
	// a primary that serves under rules which ask for no acknowledgements. It is refused then when another process than
	// Incarnation answers, and when the server is poisoned.
	DisableSource Verb = "disable_source"
	// Mark opens super_read_only while read_only stays on, and commits the decision under its marker
	// GTID. Yes: the commit returned with semi-sync verified on: everything before it is durable under
	// the new term. Already there and committed by this process counts as Yes. Refused when another process
	// than the decision's answers, and (Errant) when the server holds more than Within, if that is given: the
	// marker would stand on top of it. No: it is certainly not in the binary log.
	Mark Verb = "mark"
	// Open sets read_only off and offline_mode off. Yes: read back. Refused when another process than
	// Incarnation answers: its semi-sync is off, and nobody knows what it completed on the way.
	Open Verb = "open"
	// Detach stops replication and forgets the channel on a server that has executed all it received.
	Detach Verb = "detach"
	// CreateJournal creates the journal schema and table on a writable primary.
	CreateJournal Verb = "create_journal"
	// Barrier commits a transaction on the primary that serves, which also keeps Rules there for people to read. Yes: its
	// commit returned while commits waited for Acks acknowledgements: as many hold everything that stands before it in the
	// binary log. Refused when another process than Incarnation answers, or none that is open.
	Barrier Verb = "barrier"
)

// Command is one instruction to one server, as plain data.
type Command struct {
	Verb   Verb             `json:"verb"`
	Server topology.Address `json:"server"`
	// Cluster and Term say on whose behalf: the fenced session holds the cluster's named lock on the
	// server, announces elector and term, has ended sessions of lower terms, and refuses to act
	// (Fenced) when a marker or session of a higher term exists there.
	Cluster string `json:"cluster"`
	Term    uint32 `json:"term"`
	// Deadline bounds the command, counted from when it is handed over.
	Deadline time.Duration `json:"deadline"`

	Source  topology.Address `json:"source,omitempty"`  // Follow
	Acker   bool             `json:"acker,omitempty"`   // Follow
	Within  gtid.Set         `json:"within,omitzero"`   // Follow, Resume, Mark
	Set     gtid.Set         `json:"set,omitzero"`      // AwaitApplied
	Acks    int              `json:"acks,omitempty"`    // Antidote, AwaitAckers, PrepareSource, EnableSource
	Offline bool             `json:"offline,omitempty"` // Demote
	Release bool             `json:"release,omitempty"` // DisableSource
	// Passing: Freeze only stops the receiver, and has nothing said of the next start, which needs a disk that writes.
	Passing bool `json:"passing,omitempty"`
	// Incarnation is the process that Reopen, Open, and DisableSource with Release are meant for: another one, which came back on its own and was
	// never verified, is left closed (Refused). Empty for any.
	Incarnation string            `json:"incarnation,omitempty"`
	Decision    topology.Decision `json:"decision,omitzero"` // Mark
	Rules       *topology.Ruleset `json:"rules,omitempty"`   // Barrier
}

// String is the command as a dry run prints it.
func (c Command) String() string {
	switch c.Verb {
	case Follow:
		return fmt.Sprintf("%s: follow %s", c.Server, c.Source)
	case AwaitApplied:
		return fmt.Sprintf("%s: wait until %s is applied", c.Server, c.Set)
	case AwaitAckers:
		return fmt.Sprintf("%s: wait until %d semi-sync replicas are connected", c.Server, c.Acks)
	case EnableSource, PrepareSource, Antidote:
		return fmt.Sprintf("%s: %s with %s", c.Server, c.Verb, acks(c.Acks))
	case Mark:
		return fmt.Sprintf("%s: write the marker of term %d", c.Server, c.Decision.Term)
	case Barrier:
		return fmt.Sprintf("%s: commit a transaction that %d servers acknowledge", c.Server, c.Acks)
	case Read, Freeze, Resume, Poison, Demote, Reopen, Fence, DisableSource, Open, Detach, CreateJournal:
		return fmt.Sprintf("%s: %s", c.Server, c.Verb)
	}
	return fmt.Sprintf("%s: %s", c.Server, c.Verb)
}

// Outcome is the answer to a command: yes, no, or we do not know. Unknown is never taken for No.
type Outcome string

// The outcomes.
const (
	// Unknown: the reply was lost, the deadline passed, or nobody waited for it. It may yet happen.
	Unknown Outcome = "unknown"
	// Yes: done and verified as the verb says.
	Yes Outcome = "yes"
	// No: certainly not done, and nothing of it is under way.
	No Outcome = "no"
	// Skipped: not sent, because an earlier command to the same server in the step was not a Yes.
	Skipped Outcome = "skipped"
)

// Reason classifies a No or Unknown.
type Reason string

// The reasons.
const (
	ReasonNone        Reason = ""
	ReasonFenced      Reason = "fenced"      // a higher term owns the server
	ReasonUnreachable Reason = "unreachable" // no session
	ReasonDenied      Reason = "denied"      // MySQL refused: login or privilege; Detail names it
	ReasonDeadline    Reason = "deadline"
	ReasonErrant      Reason = "errant"    // the position is not within what was allowed
	ReasonWaiters     Reason = "waiters"   // commits wait for acknowledgements
	ReasonUnapplied   Reason = "unapplied" // relay log would be lost: the applier does not run
	ReasonNotSemiSync Reason = "not_semi_sync"
	ReasonRefused     Reason = "refused"   // a precondition of the verb does not hold; Detail says which
	ReasonError       Reason = "error"     // any other MySQL error; Detail has its number
	ReasonAbandoned   Reason = "abandoned" // the step had enough and stopped waiting
)

// Result is what came of a command.
type Result struct {
	Outcome Outcome `json:"outcome"`
	Reason  Reason  `json:"reason,omitempty"`
	Detail  string  `json:"detail,omitempty"`
	// Owner is the highest term that acts on the server, when that is why the command was refused (Fenced); 0 when it is
	// not known.
	Owner uint32        `json:"owner,omitempty"`
	Took  time.Duration `json:"took"`
	// Observation is what the command read back after it acted; Reach is ReachUnknown when it read
	// nothing. Positions in it are first-hand and were taken after the effect.
	Observation topology.Observation `json:"observation,omitzero"`
}

// Done tells whether the command did what its verb promises.
func (r Result) Done() bool { return r.Outcome == Yes }
