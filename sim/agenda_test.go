package sim

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Delays of all sizes, some longer than a turn of the wheel, events that arrange others and time limits that are called off.
func TestWhatIsArrangedHappensInTheOrderOfTimeAndThenOfItsArrangement(t *testing.T) {
	delays := []time.Duration{0, 0, time.Microsecond, 300 * time.Microsecond, 17 * time.Millisecond, time.Second, 10 * time.Second, 17179869184, time.Minute, time.Hour}
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := newClock(seed)
		type mark struct {
			at     time.Duration
			serial uint64
		}
		var happened, wanted []mark
		var limits []timer
		var arrange func(depth int)
		arrange = func(depth int) {
			d := delays[r.IntN(len(delays))]
			if d > 0 {
				d += time.Duration(r.Int64N(int64(d)))
			}
			m := mark{c.now + d, c.serial}
			if r.IntN(3) == 0 {
				limits = append(limits, c.after(d, func() { t.Error("what was called off happened") }))
				return
			}
			wanted = append(wanted, m)
			c.after(d, func() {
				if c.now != m.at {
					t.Errorf("at %s instead of %s", c.now, m.at)
				}
				happened = append(happened, m)
				for range r.IntN(3) * min(depth, 1) {
					arrange(depth - 1)
				}
			})
		}
		callOff := func() bool {
			for _, l := range limits {
				l.cancel()
			}
			limits = limits[:0]
			return false
		}
		for range 200 {
			arrange(4)
		}
		for end := time.Duration(0); end < 10*time.Hour; end += time.Duration(r.Int64N(int64(20 * time.Minute))) {
			callOff()
			if c.runUntil(end, callOff); c.now != end {
				t.Fatalf("the clock shows %s, not %s", c.now, end)
			}
			arrange(1)
		}
		callOff()
		c.runUntil(20*time.Hour, callOff)
		slices.SortFunc(wanted, func(a, b mark) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.serial, b.serial)) })
		if !slices.Equal(happened, wanted) {
			t.Fatalf("seed %d: %d of %d happened, or in another order", seed, len(happened), len(wanted))
		}
		if c.later.asleep != 0 || len(c.later.near) != 0 {
			t.Errorf("seed %d: %d and %d are left", seed, c.later.asleep, len(c.later.near))
		}
	}
}
