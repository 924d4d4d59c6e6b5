package antiflap

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// history plays a cluster's life: time passes, the primary serves or not, dies or stalls, operators look or not.
type history struct {
	s       Settings
	c       Cluster
	f       Fleet
	now     time.Time
	term    uint64
	cleared []cleared
}

// cleared is one automatic change, with what was true when it was permitted.
type cleared struct {
	at           time.Time
	windowUntil  time.Time
	gone, proven bool
}

func settings() *rapid.Generator[Settings] {
	return rapid.Custom(func(t *rapid.T) Settings {
		minutes := func(name string, least, most int) time.Duration {
			return time.Duration(rapid.IntRange(least, most).Draw(t, name)) * time.Minute
		}
		return Settings{
			Window:             minutes("window", 1, 30),
			Factor:             rapid.Float64Range(0.5, 4).Draw(t, "factor"),
			WindowMax:          minutes("window_max", 30, 120),
			Decay:              minutes("decay", 60, 1440),
			ReplaceGonePrimary: rapid.Bool().Draw(t, "replace_gone_primary"),
			FleetChangesMax:    rapid.IntRange(1, 4).Draw(t, "changes_max"),
			FleetPer:           minutes("per", 1, 30),
			ProvenAfter:        minutes("proven_after", 1, 5),
		}
	})
}

func (h *history) step(t *rapid.T) {
	h.now = h.now.Add(time.Duration(rapid.IntRange(0, 240).Draw(t, "seconds")) * time.Second)
	switch rapid.SampledFrom([]string{"serve", "fail", "fail", "doubt", "attempt", "acknowledge", "planned"}).Draw(t, "event") {
	case "serve":
		until := h.now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "serves")) * time.Second)
		h.c, h.now = served(h.c, h.now, until), until
	case "fail":
		h.fail(rapid.Bool().Draw(t, "gone"))
	case "doubt":
		h.c = h.c.Doubted()
	case "attempt":
		h.c = h.c.AttemptFailed(h.now)
	case "acknowledge":
		if rapid.IntRange(0, 5).Draw(t, "looks") == 0 {
			h.c = h.c.Acknowledge("ada", "seen", h.now)
		}
	case "planned":
		if rapid.IntRange(0, 5).Draw(t, "moves") == 0 {
			h.establish(Planned)
		}
	}
}

func (h *history) fail(gone bool) {
	window := h.c.Window(h.now)
	clearance, _, ok := h.s.Clear(Request{Cluster: "shop", Automatic: true, PrimaryCertainlyGone: gone, Now: h.now}, h.c, h.f)
	if !ok {
		return
	}
	was := cleared{at: h.now, gone: gone, proven: !h.c.Proven.IsZero()}
	if window.Open {
		was.windowUntil = window.Until
		if window.Held {
			was.windowUntil = h.now
		}
	}
	h.cleared = append(h.cleared, was)
	h.f = h.f.Started(clearance)
	h.establish(Emergency)
}

func (h *history) establish(kind string) {
	h.term++
	change := Change{Cluster: "shop", Term: h.term, Kind: kind, At: h.now}
	h.c, h.f = h.c.Established(change, h.s), h.f.Established(change, h.s)
}

func play(t *rapid.T, check func(h *history)) {
	h := &history{s: settings().Draw(t, "settings"), now: noon}
	for range rapid.IntRange(1, 60).Draw(t, "steps") {
		h.step(t)
		check(h)
	}
}

func TestNoTwoAutomaticChangesWithinOneWindowUnlessAProvenPrimaryIsGone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		play(t, func(h *history) {
			for _, c := range h.cleared {
				if c.at.Before(c.windowUntil) && (!c.gone || !c.proven || !h.s.ReplaceGonePrimary) {
					t.Fatalf("changed at %s, inside a window until %s: %+v", c.at, c.windowUntil, c)
				}
			}
		})
	})
}

func TestAPrimaryThatIsNeverProvenAndNeverGoneIsReplacedOnlyOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &history{s: settings().Draw(t, "settings"), now: noon}
		for range rapid.IntRange(1, 200).Draw(t, "failures") {
			h.now = h.now.Add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "seconds")) * time.Second)
			h.fail(false)
		}
		if len(h.cleared) != 1 {
			t.Fatalf("%d changes, each leader stalling like the one before it", len(h.cleared))
		}
	})
}

func TestNoWindowIsLongerThanTheCapWhateverTheClocksDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		play(t, func(h *history) {
			at := h.now.Add(time.Duration(rapid.IntRange(-7200, 7200).Draw(t, "clock")) * time.Second)
			w := h.c.Window(at)
			if w.Left > h.s.WindowMax || w.Left < 0 || w.Open == (w.Left == 0 && !w.Held) {
				t.Fatalf("at %s: %+v with a cap of %s", at, w, h.s.WindowMax)
			}
			if !w.Held && !w.Until.Equal(at.Add(w.Left)) && w.Open {
				t.Fatalf("until %s is not %s from %s", w.Until, w.Left, at)
			}
		})
	})
}

func TestWindowsOnlyEverShrinkWhileNothingHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		play(t, func(h *history) {
			first := h.now.Add(time.Duration(rapid.IntRange(-3600, 3600).Draw(t, "first")) * time.Second)
			second := first.Add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "later")) * time.Second)
			a, b := h.c.Window(first), h.c.Window(second)
			if b.Left > a.Left || !a.Open && b.Open {
				t.Fatalf("%+v at %s became %+v at %s", a, first, b, second)
			}
		})
	})
}

func TestARefusalThatNamesATimeIsRightAboutIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		play(t, func(h *history) {
			r := Request{Cluster: "shop", Automatic: true, Now: h.now}
			_, refusal, ok := h.s.Clear(r, h.c, h.f)
			if ok || refusal.Until.IsZero() {
				return
			}
			r.Now = refusal.Until
			if _, again, _ := h.s.Clear(r, h.c, h.f); again.Code == refusal.Code {
				t.Fatalf("refused until %s, and then again: %s", refusal.Until, again.Reason)
			}
			r.Now = refusal.Until.Add(-time.Nanosecond)
			if _, early, _ := h.s.Clear(r, h.c, h.f); early.Code != refusal.Code {
				t.Fatalf("the objection %q was over before %s", refusal.Code, refusal.Until)
			}
		})
	})
}

func TestNoMoreAutomaticChangesThanTheFleetAllows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := settings().Draw(t, "settings")
		var f Fleet
		var times []time.Time
		now := noon
		for i := range rapid.IntRange(1, 80).Draw(t, "asks") {
			now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "seconds")) * time.Second)
			name := fmt.Sprintf("shop-%d", i)
			c, _, ok := s.Clear(Request{Cluster: name, Automatic: true, Now: now}, Cluster{}, f)
			if !ok {
				continue
			}
			times = append(times, now)
			f = f.Started(c)
			if rapid.Bool().Draw(t, "established") {
				f = f.Established(Change{Cluster: name, Term: 2, Kind: Emergency, At: now}, s)
			}
		}
		for i := s.FleetChangesMax; i < len(times); i++ {
			if apart := times[i].Sub(times[i-s.FleetChangesMax]); apart < s.FleetPer {
				t.Fatalf("%d changes within %s, %d allowed per %s", s.FleetChangesMax+1, apart, s.FleetChangesMax, s.FleetPer)
			}
		}
	})
}
