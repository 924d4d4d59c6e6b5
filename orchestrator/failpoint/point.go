// Package failpoint lets a test kill or stop an elector at a named point of a change: before, during or after one of its
// steps, and around each write to the store that a successor depends on. It stands between the loop and what the loop
// acts on, so the loop knows nothing of it. No program holds it that was not built for tests with the tag failpoints.
package failpoint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/primacydb/primacy/reparent"
)

// Moment is where a point lies in relation to its step.
type Moment string

// The moments. Between before and after, a step of several commands also has the moment at which the first of them has
// been answered.
const (
	Before Moment = "before"
	During Moment = "during"
	After  Moment = "after"
)

// Action is what happens to the elector.
type Action string

// The actions: SIGKILL; SIGSTOP, from which SIGCONT wakes it up to go on with what it was about to do; and SIGSTOP of one
// that afterwards goes through with its change without finding out that its lock is gone: only the store and the servers can
// still refuse what it wants.
const (
	Kill      Action = "kill"
	Stop      Action = "stop"
	Sleepwalk Action = "sleepwalk"
)

// What an elector writes to the store in the course of a change. The other steps are the phases of an operation.
const (
	Brake       = "brake"       // the automatic change is counted by the fleet's brake
	Term        = "term"        // its term is drawn
	Intent      = "intent"      // the operation is on record, with nothing decided
	Decision    = "decision"    // who is to lead is on record
	Established = "established" // that the marker was acknowledged is on record
	Settled     = "settled"     // that it has ended is on record
	Counted     = "counted"     // its anti-flapping window is on record
	Recorded    = "recorded"    // the rules that a change puts in force are on record
)

// Writes are the steps that are writes to the store.
func Writes() []string {
	return []string{Brake, Term, Intent, Decision, Established, Settled, Counted, Recorded}
}

// Phases are the steps that are told to servers.
func Phases() []string {
	return []string{
		string(reparent.PhaseRevoking), string(reparent.PhaseFetching), string(reparent.PhasePropagating),
		string(reparent.PhaseMeasuring), string(reparent.PhaseGating), string(reparent.PhasePreparing), string(reparent.PhaseDemoting), string(reparent.PhaseCatchingUp),
		string(reparent.PhaseMarking), string(reparent.PhaseOpening), string(reparent.PhaseReconciling), string(reparent.PhaseReleasing),
		string(reparent.PhaseRaising), string(reparent.PhaseDisabling), string(reparent.PhaseBarrier),
	}
}

// Point is one point of a change, and what happens to the elector that gets there.
type Point struct {
	Kind   reparent.Kind
	Moment Moment
	Step   string
	Action Action
}

// String is the form that Parse reads: "emergency after marking: kill".
func (p Point) String() string {
	return fmt.Sprintf("%s %s %s: %s", p.Kind, p.Moment, p.Step, p.Action)
}

// Parse reads the name of a point.
func Parse(text string) (Point, error) {
	place, action, _ := strings.Cut(strings.TrimSpace(text), ": ")
	words := strings.Fields(place)
	if len(words) != 3 {
		return Point{}, fmt.Errorf("failpoint %q: write it like \"emergency after marking: kill\"", text)
	}
	p := Point{Kind: reparent.Kind(words[0]), Moment: Moment(words[1]), Step: words[2], Action: Action(action)}
	return p, p.check()
}

func (p Point) check() error {
	switch written := slices.Contains(Writes(), p.Step); {
	case p.Kind != reparent.KindPlanned && p.Kind != reparent.KindEmergency && p.Kind != reparent.KindRules:
		return fmt.Errorf("failpoint %q: the kind %q is not known; use planned, emergency or rules", p, p.Kind)
	case p.Moment != Before && p.Moment != During && p.Moment != After:
		return fmt.Errorf("failpoint %q: the moment %q is not known; use before, during or after", p, p.Moment)
	case !written && !slices.Contains(Phases(), p.Step):
		return fmt.Errorf("failpoint %q: the step %q is not known; use one of %s", p, p.Step, strings.Join(append(Writes(), Phases()...), ", "))
	case written && p.Moment == During:
		return fmt.Errorf("failpoint %q: a write to the store has no middle; use before or after", p)
	case p.Action != Kill && p.Action != Stop && p.Action != Sleepwalk:
		return fmt.Errorf("failpoint %q: the action %q is not known; use kill, stop or sleepwalk", p, p.Action)
	}
	return nil
}
