package antiflap

import "time"

// Cluster is what has to be remembered about the leadership changes of one cluster. The zero value is a cluster that
// never changed. It is a value: every method returns the next one, and a method that has nothing to change returns an
// equal one (==), so a caller may save only what differs.
type Cluster struct {
	Last    Change    `json:"last,omitzero"`     // the latest change that reached establishment
	Repeats int       `json:"repeats,omitempty"` // windows opened before the current one that are not forgotten yet
	Opened  time.Time `json:"opened,omitzero"`   // when the latest window opened, as far as its time has been counted since
	Until   time.Time `json:"until,omitzero"`    // when it ends by itself
	Ended   time.Time `json:"ended,omitzero"`    // when it was ended early
	EndedBy string    `json:"ended_by,omitempty"`
	// OpenedWall is when the latest window opened by the clock of the elector that opened it. It is never moved, so it tells
	// by the calendar how long ago that was, as well as two clocks agree.
	OpenedWall time.Time `json:"opened_wall,omitzero"`

	ProveForMS int64     `json:"prove_for_ms,omitempty"` // good service that proves the new primary, as set when the window opened
	Proving    time.Time `json:"proving,omitzero"`       // since when the new primary has been serving well
	ProvingTo  time.Time `json:"proving_to,omitzero"`    // until when that was seen
	Proven     time.Time `json:"proven,omitzero"`        // when it had lasted long enough; it stays proven afterwards

	AcknowledgedBy     string    `json:"acknowledged_by,omitempty"`
	AcknowledgedReason string    `json:"acknowledged_reason,omitempty"`
	AcknowledgedAt     time.Time `json:"acknowledged_at,omitzero"`

	Attempts int       `json:"attempts,omitempty"` // failed attempts in a row
	RetryAt  time.Time `json:"retry_at,omitzero"`  // no automatic attempt before
}

// Established takes note of a change that reached establishment. An emergency opens a window, longer with each repeat;
// a planned change opens none and ends the one that is open, for the primary that it guarded against is gone. Told twice
// about one term, it changes nothing the second time.
func (c Cluster) Established(change Change, s Settings) Cluster {
	if change.toldBefore(c.Last) {
		return c
	}
	change.At = wall(change.At)
	c.Last = change
	c = c.AttemptsReset()
	if change.opensWindow() {
		return c.opened(change.At, s.filled())
	}
	return c.ended(change.At, change.String())
}

// opened starts a window for a new, unproven primary.
func (c Cluster) opened(at time.Time, s Settings) Cluster {
	c.Repeats = c.repeatsAt(at, s.Decay)
	c.Opened, c.OpenedWall, c.Until = at, at, at.Add(s.length(c.Repeats))
	c.Ended, c.EndedBy = time.Time{}, ""
	c.ProveForMS = max(s.ProvenAfter.Milliseconds(), 1)
	c.Proving, c.ProvingTo, c.Proven = time.Time{}, time.Time{}, time.Time{}
	c.AcknowledgedBy, c.AcknowledgedReason, c.AcknowledgedAt = "", "", time.Time{}
	return c
}

// repeatsAt counts the remembered windows before one that opens now. Repeats are forgotten by the calendar too: time in
// which nobody saved anything lies between them all the same, and a clock that is hours off makes the next window shorter
// at most, never one that is open.
func (c Cluster) repeatsAt(at time.Time, decay time.Duration) int {
	byCalendar := !c.OpenedWall.IsZero() && at.Sub(c.OpenedWall) >= decay
	if c.Opened.IsZero() || at.Sub(c.Opened) >= decay || byCalendar {
		return 0
	}
	return c.Repeats + 1
}

// ended closes the window before its time, if one stands open or is held.
func (c Cluster) ended(at time.Time, by string) Cluster {
	if c.Opened.IsZero() || !c.Ended.IsZero() {
		return c
	}
	c.Ended, c.EndedBy = wall(at), by
	return c
}

// Acknowledge lifts the window: a person has looked. Without a window there is nothing to lift and nothing changes.
// The back-off after failed attempts goes on; see [Cluster.AttemptsReset].
func (c Cluster) Acknowledge(by, reason string, now time.Time) Cluster {
	if !c.isOpen(now) {
		return c
	}
	c.AcknowledgedBy, c.AcknowledgedReason, c.AcknowledgedAt = by, reason, wall(now)
	return c.ended(now, "acknowledged by "+by)
}

// Shifted moves everything that lies in time by d. Whoever takes over from another elector tells nothing from its own
// clock about times by the other's; what it can know is how far each lay from the moment at which the other saved them.
// Shifted by the difference of the clocks at that moment and now, what was left of a window then is left now. Only whether
// repeats are forgotten goes by the calendar; see [Cluster.OpenedWall].
func (c Cluster) Shifted(d time.Duration) Cluster {
	for _, t := range []*time.Time{&c.Opened, &c.Until, &c.Proving, &c.ProvingTo, &c.Proven, &c.RetryAt} {
		if !t.IsZero() {
			*t = wall(t.Add(d))
		}
	}
	return c
}

// Rebased corrects what a clock that jumped back would otherwise stretch: nothing has more time left than it was given.
// To be called once per round, before the other questions; it changes nothing while clocks behave.
func (c Cluster) Rebased(now time.Time) Cluster {
	now = wall(now)
	if length := c.length(); now.Before(c.Opened) {
		c.Opened, c.Until = now, now.Add(length)
	}
	if latest := now.Add(backoff(c.Attempts)); c.RetryAt.After(latest) {
		c.RetryAt = latest
	}
	return c
}
