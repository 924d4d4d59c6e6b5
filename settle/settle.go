// Package settle says how the errant transactions of one server are settled. A settlement is a value like a change of
// the primary is: Task says what to do now, somebody does it, Apply folds in what came of it, and the value is saved.
// So it is resumed by another elector at whichever step it stands, and nothing here talks to a server.
package settle

import (
	"slices"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Kind is how a server gets rid of its errant transactions.
type Kind string

// The kinds of settlement.
const (
	KindRewind Kind = "rewind" // undone, row by row, from the server's own binary log
	KindClone  Kind = "clone"  // the server's data is replaced by that of a healthy one
	// KindKeep takes them into the history: the primary does what they did, under their own GTIDs.
	KindKeep Kind = "keep"
	// KindDiscard keeps them out of the history for good where they changed nothing that the primary does not have: the
	// primary gets empty transactions of the same GTIDs.
	KindDiscard Kind = "discard"
)

// Kinds are all of them, in the order in which they are told.
func Kinds() []Kind { return []Kind{KindRewind, KindClone, KindDiscard, KindKeep} }

// Step is where a settlement stands. Whatever a step does may be done twice.
type Step string

// The steps, in the order in which a settlement takes them; undo and admit are a rewind's, clone and admit a clone's. Keep
// and discard are the last steps of what they are named after.
const (
	// StepExport reads the transactions and puts them on record. It changes nothing on the server.
	StepExport Step = "export"
	// StepCheck finds out whether the settlement is possible. It changes nothing either.
	StepCheck Step = "check"
	// StepIsolate closes the server to everybody else and stops its replication.
	StepIsolate Step = "isolate"
	// StepUndo reverses the transactions.
	StepUndo Step = "undo"
	// StepClone replaces the server's data.
	StepClone Step = "clone"
	// StepCatchUp has the server replicate, without acknowledging, what it missed.
	StepCatchUp Step = "catch_up"
	// StepVerify compares what was touched with the primary.
	StepVerify Step = "verify"
	// StepKeep has the primary do what the transactions did, while it is seen that the server has the same rows.
	StepKeep Step = "keep"
	// StepDiscard has the primary commit empty transactions with their GTIDs.
	StepDiscard Step = "discard"
	// StepAdmit takes the transactions out of the server's GTID set, last of all: until then it is errant by its own
	// word, whoever looks.
	StepAdmit Step = "admit"
)

// Steps are the steps of a kind, in order.
func (k Kind) Steps() []Step {
	switch k {
	case KindClone:
		return []Step{StepExport, StepCheck, StepIsolate, StepClone, StepAdmit}
	case KindKeep:
		return []Step{StepExport, StepCheck, StepIsolate, StepCatchUp, StepKeep}
	case KindDiscard:
		return []Step{StepExport, StepCheck, StepIsolate, StepCatchUp, StepVerify, StepDiscard}
	case KindRewind:
	}
	return []Step{StepExport, StepCheck, StepIsolate, StepUndo, StepCatchUp, StepVerify, StepAdmit}
}

// IntoHistory tells whether a step takes the transactions into the history of the primary, which has to be on record before.
func (s Step) IntoHistory() bool { return s == StepKeep || s == StepDiscard }

// BringsBack tells whether the step takes nothing away from a server that gives no acknowledgements as it is: when it is done
// the server is nearer to giving them again.
func (s Step) BringsBack() bool { return s == StepCatchUp || s == StepVerify || s == StepAdmit }

// State is what has become of a settlement.
type State string

// The states; all but running are final.
const (
	StateRunning   State = "running"
	StateSucceeded State = "succeeded"
	StateRefused   State = "refused"   // it cannot be settled in this way, and nothing of it is left half done
	StateFailed    State = "failed"    // given up after several tries
	StateCancelled State = "cancelled" // somebody called it off, or what it rested on has changed
)

// Verdict is whether a server's errant transactions were provably never answered to a client.
type Verdict struct {
	// Never is proven; otherwise they may have been.
	Never bool     `json:"never_acknowledged"`
	Why   []string `json:"why"`
	Set   gtid.Set `json:"set"`
	// Term is that of the leadership whose change cancelled them.
	Term uint32 `json:"term,omitempty"`
}

// Limits bound what is read of a server's binary log.
type Limits struct {
	Rows int // rows whose values are kept; 0 takes RowsMax
}

// RowsMax is how many rows are decoded, exported and rewound by default.
const RowsMax = 10000

// Task is one step as it is handed to whoever works on servers.
type Task struct {
	Settlement string           `json:"settlement"` // its id
	Kind       Kind             `json:"kind"`
	Step       Step             `json:"step"`
	Cluster    string           `json:"cluster"`
	Server     topology.Address `json:"server"`
	// Set are the errant transactions. It is empty when a clone is to fill an empty server.
	Set gtid.Set `json:"set,omitzero"`
	// Primary is the established primary, which is writable; Donor whom to clone from.
	Primary     topology.Address `json:"primary"`
	PrimaryUUID gtid.UUID        `json:"primary_uuid"`
	Donor       topology.Address `json:"donor,omitempty"`
	// Members are all members of the cluster: a GTID that would be used anew must not be held by any.
	Members []topology.Address `json:"members"`
	// AcceptReuse: somebody answers for it that a GTID may be used anew although a member could not be asked.
	AcceptReuse bool `json:"accept_reuse,omitempty"`
	// AcceptIncomplete: somebody answers for it that what cannot be read any more is not on record before it is gone.
	AcceptIncomplete bool `json:"accept_incomplete,omitempty"`
	// AcceptUnverified: somebody answers for it that the primary has what cannot be compared.
	AcceptUnverified bool   `json:"accept_unverified,omitempty"`
	Limits           Limits `json:"limits"`
	// ExportDir is where transcripts go that are too large for the store; empty for nowhere.
	ExportDir string `json:"export_dir,omitempty"`
	// RateMax bounds the donor's traffic, in MiB/s; 0 is no bound.
	RateMax int `json:"rate_max,omitempty"`
	// StallMax is how long a clone may make no progress, TimeMax how long it may take; 0 takes CloneStallMax and CloneTimeMax.
	StallMax time.Duration `json:"stall_max,omitempty"`
	TimeMax  time.Duration `json:"time_max,omitempty"`
}

// How long a clone may make no progress, and how long it may take in all. While MySQL waits on the donor for a DDL statement to
// end (clone_ddl_timeout, 5 minutes), drops the old data, or flushes what it has copied, no byte arrives.
const (
	CloneStallMax = 10 * time.Minute
	CloneTimeMax  = 24 * time.Hour
)

// Result is what came of a task. Yes: the step is done, and the next follows. No: it is certainly not; with Final
// there is no use in trying again, else it counts as a try. Unknown: it is under way or was cut off, and the same task
// is handed out again after a moment, without counting as a try.
type Result struct {
	Outcome reparent.Outcome `json:"outcome"`
	// Code says why it is not a Yes, for programs: ddl, row_image, no_primary_key, reuse, purged, denied, not_available…
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
	Final  bool   `json:"final,omitempty"`
	// Evidence goes with the step into the timeline.
	Evidence []string      `json:"evidence,omitempty"`
	Took     time.Duration `json:"took"`
	// Transcript is what StepExport read.
	Transcript *Transcript `json:"transcript,omitempty"`
}

// NotAvailable is the answer of a program that cannot do a step at all.
func NotAvailable(t Task) Result {
	return Result{Outcome: reparent.No, Final: true, Code: "not_available", Detail: "this release cannot do the step " + string(t.Step) + " of a " + string(t.Kind)}
}

// Progress tells how far a step has got while it runs.
type Progress struct {
	Step Step   `json:"step"`
	Text string `json:"text"`
	Done uint64 `json:"done,omitempty"`
	Of   uint64 `json:"of,omitempty"`
	Unit string `json:"unit,omitempty"` // bytes, rows, transactions
}

// Settlement is one server's settlement.
type Settlement struct {
	ID      string           `json:"id"`
	Cluster string           `json:"cluster"`
	Server  topology.Address `json:"server"`
	Kind    Kind             `json:"kind"`
	Set     gtid.Set         `json:"set"`
	Verdict Verdict          `json:"verdict"`
	// Term is that of the leadership under which it was decided. It goes on under later ones.
	Term  uint32           `json:"term"`
	Donor topology.Address `json:"donor,omitempty"`
	// DonorTries are the tries that failed for something that another donor may not have.
	DonorTries map[topology.Address]int `json:"donor_tries,omitempty"`
	Automatic  bool                     `json:"automatic,omitempty"`
	By         string                   `json:"by,omitempty"`
	Reason     string                   `json:"reason,omitempty"`
	// Accept is what somebody answers for: see Accept….
	Accept []string `json:"accept,omitempty"`
	// Calls are those that began it and called it off, where they had keys.
	Calls []reparent.Call `json:"calls,omitempty"`

	Step       Step             `json:"step"`
	StepAt     time.Time        `json:"step_at,omitzero"`
	State      State            `json:"state"`
	Tries      int              `json:"tries,omitempty"`  // failed ones of this step, in a row
	NextAt     time.Time        `json:"next_at,omitzero"` // not before
	Stages     []reparent.Stage `json:"stages"`
	Progress   *Progress        `json:"progress,omitempty"`
	Code       string           `json:"code,omitempty"`
	Detail     string           `json:"detail,omitempty"`
	ExportedTo string           `json:"exported_to,omitempty"` // a file, or the key of a stored document
	StartedAt  time.Time        `json:"started_at"`
	FinishedAt time.Time        `json:"finished_at,omitzero"`
}

// What somebody who asks for a settlement may answer for.
const (
	AcceptPossiblyAcked = "possibly_acked" // the transactions may have been answered to a client
	AcceptIncomplete    = "incomplete"     // not everything can be read any more, so what is put on record before it goes is not all
	AcceptReuse         = "reuse"          // a GTID may be used anew although a member could not be asked whether it holds it
	AcceptUnverified    = "unverified"     // the primary has what statements, and tables without a primary key, cannot be compared for
)

// Accepts are all of them.
func Accepts() []string {
	return []string{AcceptPossiblyAcked, AcceptIncomplete, AcceptReuse, AcceptUnverified}
}

// Running tells whether something is left to do.
func (s Settlement) Running() bool { return s.State == StateRunning }

// HoldsLessThanItSays tells whether rows may be undone or dropped already of which the server's GTIDs still speak: whoever
// takes the errant transactions for kept must not go by them.
func (s Settlement) HoldsLessThanItSays() bool {
	switch s.Step {
	case StepUndo, StepClone:
		return true
	case StepCatchUp, StepVerify, StepAdmit:
		return s.Kind == KindRewind
	case StepExport, StepCheck, StepIsolate, StepKeep, StepDiscard:
	}
	return false
}

// Accepts tells whether somebody answers for something.
func (s Settlement) Accepts(what string) bool { return slices.Contains(s.Accept, what) }
