// Package halt says how servers are stopped and restarted so that no client is told OK for what nobody acknowledged, and
// no more than one server is missing because of it. A halt is a value like a change of the primary is: Next says what to do
// now, somebody does it, and how it stands then is saved. So it is gone on with by another elector at whichever step it
// stands, and nothing here talks to a server.
//
// MySQL answers OK to whoever waits for an acknowledgement when it is shut down in order. So nobody is told to shut down
//
//	(1) who leads: a planned change takes the primary elsewhere first, and does not happen while commits wait on it;
//	(2) who is open, or has commits that wait: it is closed in the order in which clients are cut before they could hear
//	    anything, and the server itself checks once more in the round trip that stops it;
//	(3) without whom the primary's commits would wait;
//	(4) who holds what it has only received: all of it is applied, or the primary has executed it, so that a start that
//	    throws relay logs away throws nothing away that counts.
package halt

import (
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Kind is what is done to servers.
type Kind string

// The kinds of halts.
const (
	KindStop    Kind = "stop"    // one server is stopped, and stays so
	KindRestart Kind = "restart" // servers are restarted one after the other, the primary last
)

// Step is where a halt stands with one of its servers. Whatever a step does may be done twice.
type Step string

// The steps, in the order in which each server takes them; start and join are a restart's.
const (
	// StepCheck waits until the cluster can do without the server, and asks for the privilege that it takes.
	StepCheck Step = "check"
	// StepMove has a planned change take the primary elsewhere; left out where the server does not lead.
	StepMove Step = "move"
	// StepHold puts the server under maintenance: repairs leave it alone, and that it goes away is no incident.
	StepHold Step = "hold"
	// StepQuiesce closes the server, lets its clients go, stops its receiver and has it apply what it received.
	StepQuiesce Step = "quiesce"
	// StepStop tells it to shut down or to restart, and waits until it is gone.
	StepStop Step = "stop"
	// StepStart waits until it is back, as another process of the same server. Then its maintenance is over.
	StepStart Step = "start"
	// StepJoin waits until it replicates and acknowledges again, and holds what the primary had when it came back.
	StepJoin Step = "join"
)

// Steps are the steps of a kind, in order.
func (k Kind) Steps() []Step {
	steps := []Step{StepCheck, StepMove, StepHold, StepQuiesce, StepStop}
	if k == KindRestart {
		steps = append(steps, StepStart, StepJoin)
	}
	return steps
}

// State is what has become of a halt.
type State string

// The states; all but running are final.
const (
	StateRunning   State = "running"
	StateSucceeded State = "succeeded"
	StateFailed    State = "failed"    // it stopped at a server, which Detail names with the reason
	StateCancelled State = "cancelled" // somebody called it off
)

// How a server was told to go.
const (
	HowRestart  = "restart"  // its supervisor starts it again
	HowShutdown = "shutdown" // somebody has to start it
)

// Terms are what whoever asks may choose. Begin puts defaults in place of zeros.
type Terms struct {
	// To is who is to lead instead, where a server leads; empty for the best one.
	To topology.Address `json:"to,omitempty"`
	// Shutdown: a restart shuts servers down instead, and waits until somebody starts each.
	Shutdown bool `json:"shutdown,omitempty"`
	// Drain is how long clients are given before they are cut.
	Drain time.Duration `json:"drain"`
	// Hold is after how long the maintenance of a server ends by itself.
	Hold time.Duration `json:"hold"`
	// Wait is how long a step may take.
	Wait time.Duration `json:"wait"`
}

// The defaults of Terms.
const (
	DrainDefault = 5 * time.Second
	HoldDefault  = time.Hour
	WaitDefault  = 10 * time.Minute
)

// Stage is a step of one server that is over.
type Stage struct {
	Server topology.Address `json:"server"`
	reparent.Stage
}

// Halt is the stop of one server, or the restart of several.
type Halt struct {
	ID      string             `json:"id"`
	Cluster string             `json:"cluster"`
	Kind    Kind               `json:"kind"`
	Servers []topology.Address `json:"servers"` // in the order in which they are stopped
	At      int                `json:"at"`      // which of them
	Terms   Terms              `json:"terms"`
	By      string             `json:"by,omitempty"`
	Reason  string             `json:"reason,omitempty"`
	Call    reparent.Call      `json:"call,omitzero"`

	Step   Step      `json:"step"`
	StepAt time.Time `json:"step_at"`
	State  State     `json:"state"`
	// Term is that of the leadership under which it goes on; under another one that is not its own doing it ends.
	Term uint32 `json:"term"`
	// Change is the planned change that it has begun for the server at which it stands.
	Change string `json:"change,omitempty"`
	// Held is the server that it has put under maintenance. One that is stopped for good stays so.
	Held topology.Address `json:"held,omitempty"`
	// UUID and Process are the server as it was closed.
	UUID    gtid.UUID `json:"server_uuid,omitzero"`
	Process string    `json:"process,omitempty"`
	// Told is how it was told to go; empty before that is certain.
	Told string `json:"told,omitempty"`
	// Goal is what the primary had executed when the server came back.
	Goal gtid.Set `json:"goal,omitzero"`

	Tries      int       `json:"tries,omitempty"`  // failed ones of this step, in a row
	NextAt     time.Time `json:"next_at,omitzero"` // not before
	Stages     []Stage   `json:"stages"`
	Code       string    `json:"code,omitempty"`
	Detail     string    `json:"detail,omitempty"`
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
}

// Begin makes a halt that stands at its first step. Replicas go in the order of the ruleset, whoever leads goes last.
func Begin(h Halt, leader topology.Leadership, now time.Time) Halt {
	h.Servers = leaderLast(h.Servers, leader.Primary)
	h.Terms.Drain = orElse(h.Terms.Drain, DrainDefault)
	h.Terms.Hold = orElse(h.Terms.Hold, HoldDefault)
	h.Terms.Wait = orElse(h.Terms.Wait, WaitDefault)
	h.Step, h.State, h.Term, h.StartedAt, h.StepAt = StepCheck, StateRunning, leader.Term, now, now
	return h
}

func orElse(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}

func leaderLast(servers []topology.Address, leader topology.Address) []topology.Address {
	ordered := slices.DeleteFunc(slices.Clone(servers), func(a topology.Address) bool { return a == leader })
	if len(ordered) < len(servers) {
		ordered = append(ordered, leader)
	}
	return ordered
}

// Server is the one at which it stands.
func (h Halt) Server() topology.Address { return h.Servers[min(h.At, len(h.Servers)-1)] }

// Running tells whether something is left to do.
func (h Halt) Running() bool { return h.State == StateRunning }

// Has tells whether a server is among those that are stopped.
func (h Halt) Has(a topology.Address) bool { return slices.Contains(h.Servers, a) }

// Shifted is the halt as it counts for an elector whose clock shows so much more than that of the one that saved it.
func (h Halt) Shifted(by time.Duration) Halt {
	h.StepAt = h.StepAt.Add(by)
	if !h.NextAt.IsZero() {
		h.NextAt = h.NextAt.Add(by)
	}
	return h
}

// End ends it. What it keeps under maintenance is given free, but for a server that was stopped as it was asked for.
func (h Halt) End(state State, detail string, now time.Time) Halt {
	h.State, h.Detail, h.FinishedAt, h.NextAt = state, detail, now, time.Time{}
	if state != StateSucceeded {
		h.Held = ""
	}
	return h
}

// done closes the step, and stands at the next one, at the next server, or at the end.
func (h Halt) done(detail string, now time.Time, evidence ...string) Halt {
	return h.staged("ok", detail, now, evidence).passed(now)
}

// passed stands at what comes after the step.
func (h Halt) passed(now time.Time) Halt {
	steps := h.Kind.Steps()
	h.StepAt, h.Tries, h.NextAt, h.Code, h.Detail = now, 0, time.Time{}, "", ""
	if at := slices.Index(steps, h.Step); at+1 < len(steps) {
		h.Step = steps[at+1]
		return h
	}
	if h.At+1 < len(h.Servers) {
		h.At++
		h.Step, h.Change, h.UUID, h.Process, h.Told, h.Goal = steps[0], "", gtid.UUID{}, "", "", gtid.Set{}
		return h
	}
	return h.End(StateSucceeded, h.epilogue(), now)
}

func (h Halt) epilogue() string {
	if h.Kind == KindRestart && len(h.Servers) == 1 {
		return fmt.Sprintf("%s was restarted, and replicates again", h.Server())
	}
	if h.Kind == KindRestart {
		return fmt.Sprintf("%d servers were restarted, and each replicates or leads again", len(h.Servers))
	}
	return fmt.Sprintf("%s is stopped and under maintenance; when it runs again: primacy maintenance %s off", h.Server(), h.Server())
}

// staged closes a line of the timeline.
func (h Halt) staged(outcome, detail string, now time.Time, evidence []string) Halt {
	h.Stages = append(slices.Clip(h.Stages), Stage{Server: h.Server(), Stage: reparent.Stage{
		Name: string(h.Step), StartedAt: h.StepAt, Duration: now.Sub(h.StepAt), Outcome: outcome, Detail: detail, Evidence: evidence,
	}})
	return h
}

// failed ends it at the step at which it stands.
func (h Halt) failed(detail string, now time.Time) Halt {
	return h.staged("failed", detail, now, nil).End(StateFailed, fmt.Sprintf("%s: %s", h.Server(), detail), now)
}
