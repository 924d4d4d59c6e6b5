package antiflap

import (
	"testing"
	"time"
)

func TestAWindowHasAsMuchTimeLeftByAnotherClockAsWhenItWasSaved(t *testing.T) {
	opened := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	settings := Settings{Window: time.Minute, ProvenAfter: 10 * time.Second}
	c := Cluster{}.Established(Change{Cluster: "shop", Term: 3, Kind: Emergency, At: opened, To: "A"}, settings)
	c = c.AttemptFailed(opened)
	saved := opened.Add(20 * time.Second)
	c = c.Proved(saved)
	for _, off := range []time.Duration{-time.Hour, 0, time.Hour} {
		there := saved.Add(off)
		got := c.Shifted(off)
		if w := got.Window(there); !w.Open || w.Left != 40*time.Second {
			t.Errorf("a clock that is %s off: %+v", off, w)
		}
		if got.retryLeft(there) != c.retryLeft(saved) {
			t.Errorf("a clock that is %s off: the pause has %s left, want %s", off, got.retryLeft(there), c.retryLeft(saved))
		}
		if w := got.Proved(there.Add(5 * time.Second)).Proved(there.Add(11 * time.Second)); w.Proven.IsZero() {
			t.Errorf("a clock that is %s off: the good service before does not count", off)
		}
	}
	if (Cluster{}).Shifted(time.Hour) != (Cluster{}) {
		t.Error("nothing becomes something by another clock")
	}
}

// TestRepeatsAreForgottenThoughNobodySavedMeanwhile has a second change come some time after the first. The state was
// saved when the first window opened, and another elector, whose clock is off, has taken it over since.
func TestRepeatsAreForgottenThoughNobodySavedMeanwhile(t *testing.T) {
	s := Defaults()
	opened := Cluster{}.Established(emergency(2, noon), s)
	rows := []struct {
		name    string
		real    time.Duration // between the changes
		off     time.Duration // the second elector's clock
		repeats int
	}{
		{"a month later", 30 * 24 * time.Hour, 0, 0},
		{"a month later, by a clock that is hours behind", 30 * 24 * time.Hour, -5 * time.Hour, 0},
		{"an hour later", time.Hour, 0, 1},
		{"an hour later, by a clock that is hours ahead", time.Hour, 5 * time.Hour, 1},
		{"an hour later, by a clock that is days behind", time.Hour, -5 * 24 * time.Hour, 1},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			there := after(row.real + row.off)
			c := opened.Shifted(there.Sub(noon))
			if w := c.Window(there); !w.Open || w.Left != s.Window {
				t.Errorf("taken over with %s left of it", w.Left)
			}
			if c = c.Rebased(there).Established(emergency(3, there), s); c.Repeats != row.repeats {
				t.Errorf("it counts as repeat %d, want %d", c.Repeats, row.repeats)
			}
		})
	}
}
