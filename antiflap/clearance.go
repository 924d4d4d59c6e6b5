package antiflap

import (
	"fmt"
	"time"
)

// Request asks to change the primary of a cluster.
type Request struct {
	Cluster string
	// Automatic: Primacy wants it by itself. Otherwise somebody asked for it, planned or emergency.
	Automatic bool
	// PrimaryCertainlyGone: the evidence says that the primary's process or host is gone (connections refused or reset
	// and every acker has lost its stream), not merely that it is silent or stuck. When in doubt, false.
	PrimaryCertainlyGone bool
	// Begun is the term of a change that was begun and whose outcome is unknown, while no server takes writes; 0 when there
	// is none. To finish it is no further change.
	Begun    uint64
	Operator string // who asked; for the record
	Now      time.Time
}

// Clearance permits one leadership change. It can only be made by [Settings.Clear]; the zero value permits nothing. It is
// not saved: an operation that is resumed after a restart was cleared when it began and goes on without a new one.
type Clearance struct {
	cluster    string
	why        string
	at         time.Time
	automatic  bool
	windowOpen bool
}

// Valid is false for a Clearance that nobody gave.
func (c Clearance) Valid() bool { return c.cluster != "" }

// Cluster is the only cluster that may be changed under it.
func (c Clearance) Cluster() string { return c.cluster }

// Why tells what it rests on, in words for the record.
func (c Clearance) Why() string { return c.why }

// At is when it was given.
func (c Clearance) At() time.Time { return c.at }

// Automatic is true when nobody asked for the change.
func (c Clearance) Automatic() bool { return c.automatic }

// WindowOpen is true when a window stood open and the change was permitted all the same.
func (c Clearance) WindowOpen() bool { return c.windowOpen }

// The codes of refusals; they are stable.
const (
	WindowOpen   = "window_open"   // a window is open and the rule for gone primaries does not apply
	Unproven     = "unproven"      // the last change never proved itself, so another one is not tried automatically
	RetryBackoff = "retry_backoff" // the pause after a failed attempt
	FleetBrake   = "fleet_brake"   // too many automatic changes over all clusters
	WrongCluster = "wrong_cluster" // the request and the state are not of the same cluster: a bug of the caller
)

// Refusal says why not, until when, and what lifts it. Until is zero when no time does.
type Refusal struct {
	Code   string    `json:"code"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"until,omitzero"`
	Lift   string    `json:"lift,omitempty"`
}

// Clear decides. What somebody asked for is never refused, but the clearance records what stood against it. What Primacy
// wants by itself is refused
//
//   - while a window is open, unless the primary is certainly gone, the last change proved itself, and
//     ReplaceGonePrimary is on;
//   - when the window's time has passed and the last change never proved itself, unless the primary is certainly gone;
//   - neither of these two when a later change than the one that opened the window was begun and has to be finished;
//   - during the pause after a failed attempt;
//   - while the fleet's brake is on.
func (s Settings) Clear(r Request, c Cluster, f Fleet) (Clearance, Refusal, bool) {
	s = s.filled()
	r.Now = wall(r.Now)
	if refusal, wrong := mismatch(r, c); wrong {
		return Clearance{}, refusal, false
	}
	refusal, against := s.firstObjection(r, c, f)
	if r.Automatic && against {
		return Clearance{}, refusal, false
	}
	return Clearance{
		cluster:    r.Cluster,
		why:        why(r, c, refusal),
		at:         r.Now,
		automatic:  r.Automatic,
		windowOpen: c.isOpen(r.Now),
	}, Refusal{}, true
}

func mismatch(r Request, c Cluster) (Refusal, bool) {
	known := c.Last.Cluster
	if r.Cluster != "" && (known == "" || known == r.Cluster) {
		return Refusal{}, false
	}
	return Refusal{
		Code:   WrongCluster,
		Reason: fmt.Sprintf("asked about cluster %q with the history of cluster %q", r.Cluster, known),
	}, true
}

// firstObjection puts the one first that lasts longest as a rule, for that is the one worth telling.
func (s Settings) firstObjection(r Request, c Cluster, f Fleet) (Refusal, bool) {
	if refusal, no := s.windowObjects(r, c); no {
		return refusal, true
	}
	if refusal, no := backoffObjects(r, c); no {
		return refusal, true
	}
	return s.brakeObjects(r, f)
}

func (s Settings) windowObjects(r Request, c Cluster) (Refusal, bool) {
	if !c.isOpen(r.Now) || r.finishes(c) {
		return Refusal{}, false
	}
	w := c.Window(r.Now)
	switch {
	case w.Held:
		return Refusal{Code: Unproven, Reason: w.Reason, Lift: w.Lift}, !r.PrimaryCertainlyGone
	case r.PrimaryCertainlyGone && s.ReplaceGonePrimary && !c.Proven.IsZero():
		return Refusal{}, false
	default:
		return Refusal{Code: WindowOpen, Reason: w.Reason + s.whyGoneDoesNotCount(r, c), Until: w.Until, Lift: w.Lift}, true
	}
}

// finishes tells whether the change that is wanted completes one that was begun after the last that counted. It was
// permitted, or asked for, when it was begun, and what it closed stays closed until it is finished. Once that is
// established it counts, and opens a window of its own.
func (r Request) finishes(c Cluster) bool { return r.Begun > c.Last.Term }

// whyGoneDoesNotCount answers the question that follows at once when a dead primary is not replaced.
func (s Settings) whyGoneDoesNotCount(r Request, c Cluster) string {
	switch {
	case !r.PrimaryCertainlyGone:
		return ""
	case !s.ReplaceGonePrimary:
		return "; the primary is certainly gone, but replacing it inside a window is switched off (antiflap.replace_gone_primary)"
	default:
		return fmt.Sprintf("; the primary is certainly gone, but it had not proved itself by completing writes for %s", c.proveFor())
	}
}

func backoffObjects(r Request, c Cluster) (Refusal, bool) {
	left := c.retryLeft(r.Now)
	if left <= 0 {
		return Refusal{}, false
	}
	until := r.Now.Add(left)
	return Refusal{
		Code:   RetryBackoff,
		Reason: fmt.Sprintf("attempt %d failed; the next one is not made before %s", c.Attempts, clock(until)),
		Until:  until,
		Lift:   "wait; or start the change by hand",
	}, true
}

func (s Settings) brakeObjects(r Request, f Fleet) (Refusal, bool) {
	brake := f.brakeFor(r.Cluster, r.Now, s)
	if !brake.On {
		return Refusal{}, false
	}
	return Refusal{
		Code: FleetBrake,
		Reason: fmt.Sprintf("%d automatic changes over all clusters within %s, and %d are allowed; no further one before %s",
			brake.Changes, s.FleetPer, s.FleetChangesMax, clock(brake.Until)),
		Until: brake.Until,
		Lift:  fmt.Sprintf("look for a shared cause; `primacy emergency %s` changes this one by hand (antiflap.fleet)", r.Cluster),
	}, true
}

// why puts the clearance into words.
func why(r Request, c Cluster, overridden Refusal) string {
	switch standing := c.standing(r.Now); {
	case !r.Automatic && overridden.Code != "":
		return fmt.Sprintf("asked for by %s, although: %s", person(r.Operator), overridden.Reason)
	case !r.Automatic:
		return "asked for by " + person(r.Operator)
	case standing != standingNone && r.finishes(c):
		return fmt.Sprintf("automatic, inside a window: the change of term %d was begun and has to be finished, and nobody takes writes", r.Begun)
	case standing == standingHeld:
		return "automatic; the last change never proved itself, but its window is over and the primary is certainly gone"
	case standing == standingRunning:
		return fmt.Sprintf("automatic, inside a window: the primary is certainly gone, and it had proved itself at %s", clock(c.Proven))
	default:
		return "automatic; nothing stands against it"
	}
}

func person(operator string) string {
	if operator == "" {
		return "an operator who gave no name"
	}
	return operator
}
