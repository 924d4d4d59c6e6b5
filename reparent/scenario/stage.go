package scenario

import (
	"fmt"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Stage is where a scenario is played: some servers, their clients, and an elector's hands and eyes. It is used by one
// goroutine, for one playing of one scenario, and begins with Build. Servers go by the addresses that Build gives them.
//
// Besides doing what it is told, a stage claims what has to hold in every scenario, as far as it can see it, and
// remembers the claims that did not (Broken).
type Stage interface {
	// Build sets the cluster up.
	Build(Setting) (Cast, error)
	// Happen lets something happen. A kind that the stage cannot bring about is a CannotError.
	Happen(Happening) error
	// Write is a client's transaction on a server. It returns when the client was answered or the transaction stands in
	// the binary log and waits; the zero GTID when the server takes none.
	Write(topology.Address) (gtid.GTID, error)
	// Enter puts a transaction that no client wrote into a server's binary log, behind whatever waits there, read-only or
	// not, under a GTID or, for the zero value, under the server's next.
	Enter(topology.Address, gtid.GTID) (gtid.GTID, error)
	// Settle lets replication run until nothing moves any more, and clients hear what they are told.
	Settle() error

	// Observe is a round of probes by the elector: an observation for each server, in the order of the cast.
	Observe() ([]topology.Observation, error)
	// Do hands commands to their servers on the elector's behalf, as orchestrator.Fleet.Do does, and waits for all of
	// them: those to different servers in parallel, those to one in order and only as long as each is a Yes.
	Do([]Order) ([]reparent.Result, error)
	// ElectorDies ends the elector's process: its sessions break. The next commands come from another one.
	ElectorDies() error
	// Now is what a right clock says.
	Now() time.Time

	// Look is a server as it is, whoever can reach it. Its Reach is not OK when its process does not run.
	Look(topology.Address) (topology.Observation, error)
	// Answered are the transactions whose client was told OK.
	Answered() (gtid.Set, error)
	// Broken are the claims that did not hold.
	Broken() []string
}

// Looped is a stage on which Primacy's whole loop can run, automation included. The changes of a scenario that uses
// it are the loop's alone.
type Looped interface {
	Stage
	// Loop lets it run for so long, from where it stopped the last time. Where time cannot be held it runs on meanwhile.
	Loop(time.Duration) (Course, error)
}

// Mended is a stage on which every story is played on past its end: all that is broken is mended, the loop runs on, and the
// cluster has to be whole.
type Mended interface {
	Looped
	// Mend ends whatever keeps servers, networks, disks, the store and electors from working. What does not run stays down.
	Mend() error
}

// Course is where the loop has come to since the scenario began.
type Course struct {
	// Operations are the changes that it has carried out or begun, in their order.
	Operations []reparent.Operation
	// Findings are those of the last round, Refusal is why nothing is done about them, Obstacle what a change would need.
	Findings []topology.Finding
	Refusal  string
	Obstacle *reparent.Obstacle
	// Answers are what operators were told who asked for something.
	Answers []string
	// Struck counts what happened before a statement or a step of an elector (KillElector, PauseElector, BackAtStatement,
	// BackAtStep).
	Struck int
}

// Setting is the cluster that a scenario begins with. The first member is its primary, the others follow it and
// acknowledge as the ruleset says; one transaction is everywhere.
type Setting struct {
	// Ruleset has the names of the scenario for addresses.
	Ruleset topology.Ruleset
	// Adopted: the first member leads term 1, and its marker is everywhere.
	Adopted bool
}

// Cast is a cluster that was set up.
type Cast struct {
	// Ruleset is that of the setting with the stage's own addresses, in the same order and sorted like the names.
	Ruleset topology.Ruleset
	// Leadership is the first one; nil when the cluster was never adopted.
	Leadership *topology.Leadership
	// Timing suits the stage; zero for the default.
	Timing reparent.Timing
}

// Happening is something that happens to a server. Which fields count stands beside the kinds.
type Happening struct {
	Kind   Kind
	Server topology.Address
	Source topology.Address
	Acks   int
	Term   uint32
	Set    gtid.Set
	Delay  time.Duration
	Text   string
}

// Kind says what happens.
type Kind string

// What can happen.
const (
	Crash    Kind = "crash"     // kill -9; nothing when it is down
	Restart  Kind = "restart"   // the process starts again, after a crash if it ran: what waited completes, everything is closed
	ShutDown Kind = "shut down" // in order: MySQL tells waiting clients OK (E6), or is killed when that takes too long
	Wipe     Kind = "wipe"      // an emptied data directory comes up in its place
	Clone    Kind = "clone"     // it becomes a copy of Source, closed and following nobody
	FillDisk Kind = "fill disk" // no commit gets through any more

	StopReceiver  Kind = "stop receiver"  // as an operator does: it is back after a restart
	StartReceiver Kind = "start receiver" // if it has a source; an earlier promise to stay stopped is forgotten
	StopApplier   Kind = "stop applier"
	FallBehind    Kind = "fall behind" // it applies Delay late; what it has to apply is that old

	NoAcker          Kind = "no acker"           // its replica side of semi-sync is off
	NoSource         Kind = "no source"          // its source side is off: it writes asynchronously
	FiniteTimeout    Kind = "finite timeout"     // its source side would fall back to async after 10 s
	FallBack         Kind = "fall back"          // and it did
	WaitForAcks      Kind = "wait for acks"      // its commits wait for Acks acknowledgements
	RelayLogRecovery Kind = "relay log recovery" // at its next start it drops what it received and did not apply
	Purge            Kind = "purge"              // Set is not in its binary log any more
	RunVersion       Kind = "run version"        // Text

	CutOff     Kind = "cut off"    // the elector cannot reach it, everybody else can
	Reconnect  Kind = "reconnect"  // it can again
	Part       Kind = "part"       // it cannot receive from Source
	Mute       Kind = "mute"       // it receives from Source, and its acknowledgements get lost
	Join       Kind = "join"       // without a server: everybody can receive from everybody, and be heard
	TakenOver  Kind = "taken over" // an elector of term Term has a session on it
	GiveUpLoss Kind = "give up"    // without a server: an operator accepts that answered writes are lost
	Payload    Kind = "payload"    // without a server: clients go on trying a transaction with which no commit gets through any more on whoever leads
	Deafen     Kind = "deafen"     // nothing that Source sends gets through to it, of whatever kind; Join ends that
	SetClock   Kind = "set clock"  // its clock is off by Delay
	KeepOn     Kind = "keep on"    // without a server: clients write all the time on whoever leads
)

// What happens to the loop, on a stage where it runs: to its electors, of which the one that acts is meant, to its store,
// and what operators want of it. None has a server but where it is said.
const (
	HireElector  Kind = "hire elector"  // another one runs from now on; with Acks, configured with so many
	KillElector  Kind = "kill elector"  // kill -9, now or just before its statement number Acks from now on
	PauseElector Kind = "pause elector" // it stands still for Delay while all others go on, now or before its statement number Acks
	// A server starts again, if it is down, just before an elector's statement, or its step of a change, number Acks from now
	// on: it is up when that is sent.
	BackAtStatement Kind = "back at statement"
	BackAtStep      Kind = "back at step"

	SkewElector   Kind = "skew elector"   // the clock of the next one that is started is off by Delay
	DeafenElector Kind = "deafen elector" // nothing that Server sends gets through to it; Reconnect ends that
	Configure     Kind = "configure"      // all are started again, configured with Acks acknowledgements
	EndLease      Kind = "end lease"      // its lock is given to whoever waits for it
	LoseStore     Kind = "lose store"     // the store starts empty
	RestoreStore  Kind = "restore store"  // it is put back to what it was before Delay
	StopStore     Kind = "stop store"     // it does not answer
	StartStore    Kind = "start store"    // it does again
	AskForChange  Kind = "ask for change" // an operator asks for a change of the kind Text, to Server unless that is empty
	LiftTheWindow Kind = "lift window"    // an operator acknowledges the last change
)

// Order is a command with what goes wrong with it.
type Order struct {
	reparent.Command
	Fate Fate
}

// Fate is what goes wrong with a command. The zero value is nothing.
type Fate string

// The fates.
const (
	Refused   Fate = "refused"   // the server cannot be reached: No (unreachable), and nothing was done
	Dropped   Fate = "dropped"   // the command is lost on its way: Unknown (deadline)
	Lost      Fate = "lost"      // it is carried out and its answer is lost: Unknown (deadline)
	Crashed   Fate = "a crash"   // the server dies before it arrives
	Restarted Fate = "a restart" // the server dies and is back when it arrives
)

// CannotError says that a stage cannot bring something about.
type CannotError struct{ Reason string }

func (e *CannotError) Error() string { return "not on this stage: " + e.Reason }

// Cannot makes a CannotError.
func Cannot(format string, values ...any) error {
	return &CannotError{fmt.Sprintf(format, values...)}
}
