package orchestrator

import (
	"errors"
	"fmt"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// View is what the orchestrator believes about a cluster, since when and on whose word. The caller may keep it, and does
// not change what its maps and slices hold.
type View struct {
	Name       string
	At         time.Time // of the latest round of probes
	Ruleset    topology.Ruleset
	Snapshot   topology.Snapshot
	History    topology.History
	Findings   []topology.Finding
	State      topology.ClusterState
	Roles      map[topology.Address]topology.ServerRole
	Primary    topology.Address // of the established leadership; empty when none
	Term       uint32
	Automation Switch
	// Antiflap is what is remembered of changes, and Told when all this was put together: see Window.
	Antiflap antiflap.Cluster
	Told     time.Time
	// Maintenance names who took a server out, and why.
	Maintenance map[topology.Address]Note
	// Held is who took the whole cluster, and why; nil when nobody has.
	Held *Note
	// Leading tells whether this elector acts for the cluster; Elector names who does.
	Leading bool
	Elector string
	// Running is the operation under way; nil when none.
	Running *reparent.Operation
	// Refusal is why a wanted automatic change is not made right now; empty when none is wanted.
	Refusal string
	// Settling is what is being done about a server with errant transactions; nil when nothing is.
	Settling *settle.Settlement
	// Halting is the stop or the restart of servers that is under way; nil when none is.
	Halting *halt.Halt
	// Halted is the one that ended last while this elector acted, so that its end is seen as soon as it is no longer under
	// way; nil when there is none. All that ended are told by Halts.
	Halted *halt.Halt
	// Obstacle is what a wanted change would need, when it is blocked.
	Obstacle *reparent.Obstacle
}

// Window is whether anti-flapping forbids automatic changes, why, and how to lift that. Its words are for people, who look
// less often than the loop publishes.
func (v View) Window() antiflap.Window { return v.Antiflap.Window(v.Told) }

// Switch is a switch with who set it and why.
type Switch struct {
	On     bool      `json:"on"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// Note says who did something and why.
type Note struct {
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at,omitzero"`
	// Until is when it ends by itself; zero: when somebody ends it.
	Until time.Time `json:"until,omitzero"`
}

// Wish asks for a change of the primary.
type Wish struct {
	Cluster     string
	Kind        reparent.Kind // KindPlanned or KindEmergency
	To          topology.Address
	DryRun      bool
	Drain       time.Duration
	CertifyDown []topology.Address
	AcceptLoss  bool
	KeepErrant  bool
	// WithoutStore asks for it knowingly while the store does not answer.
	WithoutStore bool
	Reason       string
	By           string
	// Call and Revisions are as in an Order. Term, when set, is the term in which the cluster has to be.
	Call      reparent.Call
	Revisions []string
	Term      *uint32
}

// Order is who asks for something, why, and what keeps it from being done twice or too late.
type Order struct {
	By     string
	Reason string
	// Call tells an order that is repeated, for its answer was lost, from a new one; without a key it is a new one.
	Call reparent.Call
	// Revisions are those of View.Revision of which the cluster has to be at one; with none it may be at any.
	Revisions []string
	// Lasting is how long maintenance goes on; 0 is until somebody ends it.
	Lasting time.Duration
}

// Answer is what came of a wish: the operation, running or (dry run, blocked) finished, and for a dry run
// the steps.
type Answer struct {
	Operation reparent.Operation
	Steps     []reparent.Step
	// Vouched is set where rules were only put on record, for somebody vouches that they are in force, or would be: what
	// was done. The operation says it too, has no id, and is nowhere on record.
	Vouched string
}

// The errors that callers tell apart.
var (
	ErrNoSuchCluster  = errors.New("no such cluster")
	ErrNoSuchServer   = errors.New("no such server")
	ErrNoSuchRecovery = errors.New("no such recovery")
	// ErrNotErrant: the server holds no errant transactions, as far as is known.
	ErrNotErrant = errors.New("no errant transactions are known there")
	// ErrCannotSettle: the server cannot be settled in this way now; its text says why, and nothing was changed.
	ErrCannotSettle = errors.New("the server cannot be settled so now")
	// ErrCannotHalt: the server cannot be stopped now; its text says why, and nothing was changed.
	ErrCannotHalt = errors.New("the server cannot be stopped now")
	// ErrNotLeading: another elector acts for the cluster, or none does yet.
	ErrNotLeading = errors.New("this elector does not act for the cluster")
	// ErrBusy: a change of this cluster is under way.
	ErrBusy = errors.New("a change of this cluster is under way")
	// ErrOtherTerm: the cluster is not in the term in which it has to be; nothing was done.
	ErrOtherTerm = errors.New("the cluster is in another term")
	// ErrOtherRevision: the cluster is at no revision at which it has to be; nothing was done.
	ErrOtherRevision = errors.New("the cluster has changed")
	// ErrCallReused: another thing was asked for under the same key before; nothing was done.
	ErrCallReused = errors.New("the key belongs to another call")
	// ErrBadWish: the wish makes no sense, whatever the state of the cluster.
	ErrBadWish = errors.New("bad request")
)

// ElsewhereError is ErrNotLeading where it is known who acts for the cluster. Nothing of what was asked for has been begun:
// it may be asked for there.
type ElsewhereError struct {
	Elector string // by name
	API     string // where its API is reached, as it says; empty when it does not
}

// Error names the elector that acts.
func (e *ElsewhereError) Error() string { return fmt.Sprintf("%v: %s does", ErrNotLeading, e.Elector) }

// Unwrap is ErrNotLeading.
func (e *ElsewhereError) Unwrap() error { return ErrNotLeading }

// BlockedError is a change that was not begun, with what it needs.
type BlockedError struct{ Obstacle reparent.Obstacle }

// Error says what stands against the change and what would help.
func (e *BlockedError) Error() string {
	if e.Obstacle.Remedy == "" {
		return e.Obstacle.Message
	}
	return fmt.Sprintf("%s (%s)", e.Obstacle.Message, e.Obstacle.Remedy)
}
