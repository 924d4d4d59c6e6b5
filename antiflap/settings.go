package antiflap

import (
	"math"
	"time"
)

// Settings say how patient Primacy is between two automatic changes. A field that is zero takes its value from
// [Defaults], except ReplaceGonePrimary, where false is the careful answer.
type Settings struct {
	Window             time.Duration // length of the first window after an emergency change
	Factor             float64       // each repeat makes the window this much longer; below 1 counts as 1
	WindowMax          time.Duration // no window is longer than this
	Decay              time.Duration // repeats are forgotten after this long without a window being opened
	ReplaceGonePrimary bool          // replace, inside a window, a proven primary whose process or host is certainly gone
	FleetChangesMax    int           // at most so many automatic changes over all clusters …
	FleetPer           time.Duration // … within this time
	ProvenAfter        time.Duration // a new primary has proved itself after completing writes for this long
}

// Defaults are the values that apply where nothing is configured.
func Defaults() Settings {
	return Settings{
		Window:             5 * time.Minute,
		Factor:             2,
		WindowMax:          time.Hour,
		Decay:              24 * time.Hour,
		ReplaceGonePrimary: true,
		FleetChangesMax:    3,
		FleetPer:           10 * time.Minute,
		ProvenAfter:        time.Minute,
	}
}

// filled puts the default in place of every field that is not positive.
func (s Settings) filled() Settings {
	d := Defaults()
	s.Window = positive(s.Window, d.Window)
	s.Factor = max(positive(s.Factor, d.Factor), 1)
	s.WindowMax = positive(s.WindowMax, d.WindowMax)
	s.Decay = positive(s.Decay, d.Decay)
	s.FleetChangesMax = positive(s.FleetChangesMax, d.FleetChangesMax)
	s.FleetPer = positive(s.FleetPer, d.FleetPer)
	s.ProvenAfter = positive(s.ProvenAfter, d.ProvenAfter)
	return s
}

func positive[T int | float64 | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// length is how long the window lasts that opens after so many repeats. It is computed in floating point and compared
// there, because the product overflows a Duration after a few dozen repeats.
func (s Settings) length(repeats int) time.Duration {
	long := float64(s.Window) * math.Pow(s.Factor, float64(repeats))
	if long >= float64(s.WindowMax) {
		return s.WindowMax
	}
	return time.Duration(long)
}

// wall is how times are kept: without the monotonic reading, which means nothing in another process.
func wall(t time.Time) time.Time { return t.Round(0).UTC() }
