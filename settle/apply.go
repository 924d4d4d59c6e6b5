package settle

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Policy is what is done by itself about transactions that were provably never answered. What may have been answered
// stays quarantined under each of them until somebody decides.
type Policy string

// The policies.
const (
	PolicyQuarantine Policy = "quarantine" // nothing: somebody asks for it
	PolicyRewind     Policy = "rewind"
	PolicyClone      Policy = "clone"
	PolicyAuto       Policy = "auto" // rewind, and clone where that is refused
)

// Kind is what a policy tries first; false when it does nothing.
func (p Policy) Kind() (Kind, bool) {
	switch p {
	case PolicyRewind, PolicyAuto:
		return KindRewind, true
	case PolicyClone:
		return KindClone, true
	case PolicyQuarantine:
	}
	return "", false
}

// TriesMax is how often a step may fail in a row.
const TriesMax = 4

// pause is how long is waited after a failure, and again how long before it is asked how something goes on.
const (
	pauseFirst  = 15 * time.Second
	pauseFactor = 4
	askAgain    = time.Second
)

// Begin makes a settlement that stands at its first step.
func Begin(s Settlement, now time.Time) Settlement {
	s.Step, s.State, s.StartedAt, s.StepAt = s.Kind.Steps()[0], StateRunning, now, now
	return s
}

// Apply folds in what came of the step that a settlement stands at.
func (s Settlement) Apply(r Result, now time.Time) Settlement {
	s.Code, s.Detail, s.Progress, s.NextAt = r.Code, r.Detail, nil, time.Time{}
	s.Stages = slices.Clip(s.Stages)
	switch {
	case r.Outcome == reparent.Yes:
		return s.done(r, now)
	case r.Outcome == reparent.No && (r.Final || r.Code == string(reparent.ReasonDenied)):
		return s.staged("blocked", r, now).End(StateRefused, r.Detail, now)
	case r.Outcome == reparent.No && r.Code != string(reparent.ReasonFenced):
		return s.failed(r, now)
	}
	s.NextAt = now.Add(askAgain)
	return s
}

func (s Settlement) done(r Result, now time.Time) Settlement {
	s = s.staged("ok", r, now)
	steps := s.Kind.Steps()
	if at := slices.Index(steps, s.Step); at >= 0 && at+1 < len(steps) {
		s.Step, s.StepAt, s.Tries, s.Code, s.Detail = steps[at+1], now, 0, "", ""
		return s
	}
	return s.End(StateSucceeded, r.Detail, now)
}

func (s Settlement) failed(r Result, now time.Time) Settlement {
	s.Tries++
	s = s.blamed(r).staged("failed", r, now)
	if s.Tries >= TriesMax {
		return s.End(StateFailed, fmt.Sprintf("gave up after %d tries: %s", s.Tries, r.Detail), now)
	}
	pause := pauseFirst
	for range s.Tries - 1 {
		pause *= pauseFactor
	}
	s.NextAt, s.StepAt = now.Add(pause), now
	return s
}

// blamed counts a failed try of a donor whose fault it may be, and lets it go: another one is asked first the next time.
func (s Settlement) blamed(r Result) Settlement {
	if s.Kind != KindClone || s.Donor == "" || !mayBeTheDonors(s.Step, r.Code) {
		return s
	}
	tries := make(map[topology.Address]int, len(s.DonorTries)+1)
	maps.Copy(tries, s.DonorTries)
	tries[s.Donor]++
	s.Donor, s.DonorTries = "", tries
	return s
}

// mayBeTheDonors tells whether another donor may do where this one did not. Whatever is the server's own, or the primary's,
// would stop a clone from anybody.
func mayBeTheDonors(step Step, code string) bool {
	switch code {
	case "writable", "followed", "only_copy", "reuse", "reuse_unknown", "primary", "no_donor", "busy", "disk", "interrupted":
		return false
	case "donor", "donor_errant", "donor_behind", "stalled", "too_long":
		return true
	}
	return step == StepClone
}

// staged closes a line of the timeline.
func (s Settlement) staged(outcome string, r Result, now time.Time) Settlement {
	s.Stages = append(s.Stages, reparent.Stage{
		Name: string(s.Step), StartedAt: s.StepAt, Duration: now.Sub(s.StepAt), Outcome: outcome, Detail: r.Detail, Evidence: r.Evidence,
	})
	return s
}

// End ends it.
func (s Settlement) End(state State, detail string, now time.Time) Settlement {
	s.State, s.Detail, s.FinishedAt, s.NextAt = state, detail, now, time.Time{}
	return s
}
