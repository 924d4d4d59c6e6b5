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
