package antiflap

import (
	"fmt"
	"time"
)

// Window is what a person is shown: is it open, for how long, why, and how to lift it.
type Window struct {
	Open   bool
	Held   bool          // its time has passed, but the new primary never proved itself: it stays until somebody looks
	Until  time.Time     // zero when held, for then no time ends it
	Left   time.Duration // never more than the window's own length
	Reason string
	Lift   string
}

// Window reads the state at a moment.
//
// A window whose time has passed without the new primary having proved itself is held open. Otherwise a transaction
// that stalls every leader in turn would move the primary once per window for ever; one change, then stop. A primary
// that is certainly gone may be replaced then all the same, see [Settings.Clear].
func (c Cluster) Window(now time.Time) Window {
	switch c.standing(now) {
	case standingNone:
	case standingRunning:
		return c.running(now)
	case standingHeld:
		return c.held()
	}
	return Window{}
}

// standing is what there is of a window at a moment, without the words, which are not wanted on every round.
type standing int

const (
	standingNone standing = iota
	standingRunning
	standingHeld
)

func (c Cluster) standing(now time.Time) standing {
	switch {
	case c.Opened.IsZero() || !c.Ended.IsZero():
		return standingNone
	case now.Before(c.Until):
		return standingRunning
	case c.Proven.IsZero():
		return standingHeld
	}
	return standingNone
}

// isOpen tells whether a window is open, held ones included.
func (c Cluster) isOpen(now time.Time) bool { return c.standing(now) != standingNone }

// length is how long the latest window lasts, left to itself.
func (c Cluster) length() time.Duration { return c.Until.Sub(c.Opened) }

func (c Cluster) running(now time.Time) Window {
	left := min(c.Until.Sub(now), c.length())
	until := wall(now).Add(left)
	return Window{
		Open:   true,
		Until:  until,
		Left:   left,
		Reason: fmt.Sprintf("%s opened a window of %s (%s); no automatic change before %s", c.Last, c.length(), c.timesBefore(), clock(until)),
		Lift:   c.lift(),
	}
}

func (c Cluster) held() Window {
	return Window{
		Open: true,
		Held: true,
		Reason: fmt.Sprintf("%s was the last one, and %s has not completed writes for %s since; another change would likely end the same way",
			c.Last, named(c.Last.To), c.proveFor()),
		Lift: c.lift(),
	}
}

func (c Cluster) timesBefore() string {
	if c.Repeats == 0 {
		return "the first of late"
	}
	return fmt.Sprintf("repeat %d", c.Repeats)
}

func (c Cluster) lift() string {
	return fmt.Sprintf("find out why, then `primacy ack %s`; it also ends when the primary has served well for long enough", c.Last.Cluster)
}
