package sim

import (
	"math/bits"
	"time"
)

// agenda is what is to happen later, the next event first: by time, and at the same time in the order in which it was
// arranged. Most of what is arranged are time limits seconds ahead that are called off long before. So only events of the
// stretch of time that has begun are kept in order. Those of later stretches wait in the slots of a wheel, and whoever was
// called off by the time that his stretch begins is never put in order at all.
type agenda struct {
	near   []*event // of stretches that have begun: the next one last
	begun  int64    // the latest stretch that has begun
	wheel  [slots]*event
	filled [slots / 64]uint64 // the slots that hold something, as bits
	asleep int                // how many events are in the wheel
}

const (
	stretchBits = 24 // a stretch lasts for 2^24 ns, 17 ms
	slots       = 1 << 10
)

func (a *agenda) push(e *event) {
	stretch := int64(e.at) >> stretchBits
	if stretch <= a.begun {
		a.arrange(e)
		return
	}
	slot := stretch % slots
	e.beside = a.wheel[slot]
	a.wheel[slot] = e
	a.filled[slot/64] |= 1 << (slot % 64)
	a.asleep++
}

// arrange puts an event in its place among the near ones.
func (a *agenda) arrange(e *event) {
	i := len(a.near)
	a.near = append(a.near, e)
	for ; i > 0 && a.near[i-1].before(e); i-- {
		a.near[i] = a.near[i-1]
	}
	a.near[i] = e
}

// first is the next near event, which stays there; nil when there is none until the end.
func (a *agenda) first(end time.Duration) *event {
	if last := len(a.near) - 1; last >= 0 && a.near[last].at <= end {
		return a.near[last]
	}
	return nil
}

// goOn lets stretches begin until something is near, or the end is reached. What was called off may go to the spare ones on
// the way.
func (a *agenda) goOn(end time.Duration, spare *spareEvents) {
	for len(a.near) == 0 && a.asleep > 0 && a.begun < int64(end)>>stretchBits {
		a.begin(min(a.next(), int64(end)>>stretchBits), spare)
	}
}

// pop takes out what first has found.
func (a *agenda) pop() { a.near = a.near[:len(a.near)-1] }

// next is the first stretch after those that have begun for which something may be in the wheel, which has to hold something.
func (a *agenda) next() int64 {
	from := a.begun + 1
	slot := from % slots
	word := slot / 64
	if left := a.filled[word] >> (slot % 64); left != 0 {
		return from + int64(bits.TrailingZeros64(left))
	}
	for ahead := 64 - slot%64; ; ahead += 64 {
		word = (word + 1) % int64(len(a.filled))
		if a.filled[word] != 0 {
			return from + ahead + int64(bits.TrailingZeros64(a.filled[word]))
		}
	}
}

// begin lets a stretch begin. In its slot there may also be what belongs to a later turn of the wheel.
func (a *agenda) begin(stretch int64, spare *spareEvents) {
	a.begun = stretch
	slot := stretch % slots
	e := a.wheel[slot]
	a.wheel[slot] = nil
	a.filled[slot/64] &^= 1 << (slot % 64)
	for e != nil {
		next := e.beside
		a.asleep--
		if e.do == nil {
			spare.add(e)
		} else {
			a.push(e)
		}
		e = next
	}
}
