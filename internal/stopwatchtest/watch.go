// Package stopwatchtest measures in tests how long something took, on a machine whose processors others use as well: time in
// which the test's own process was not let run does not count. So a bound can stay as tight as it has to be to find what it
// is there for, and no busy machine breaks it.
package stopwatchtest

import (
	"sync"
	"testing"
	"time"
)

// A sleeper shows what is not given to the process: it asks to be woken after each pace, and is woken later by that much.
// What it is late by on an idle machine is left in.
const (
	pace = 5 * time.Millisecond
	idle = 2 * time.Millisecond
)

// Watch is a stopwatch that runs.
type Watch struct {
	begun time.Time
	mu    sync.Mutex
	slept time.Time     // when the sleeper asked last
	late  time.Duration // before that
}

// Start starts one, that runs until the end of the test.
func Start(t testing.TB) *Watch {
	now := time.Now()
	w := &Watch{begun: now, slept: now}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		w.doze(stop)
	}()
	t.Cleanup(func() { close(stop); <-ended })
	return w
}

// Took is how long it has run, without the time in which the process was not let run. Whoever asks may be woken before the
// sleeper is, so what that one is late by already counts.
func (w *Watch) Took() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	return max(0, now.Sub(w.begun)-w.late-lateness(w.slept, now))
}

func lateness(slept, now time.Time) time.Duration { return max(0, now.Sub(slept)-pace-idle) }

func (w *Watch) doze(stop <-chan struct{}) {
	for {
		time.Sleep(pace)
		w.woken(time.Now())
		select {
		case <-stop:
			return
		default:
		}
	}
}

func (w *Watch) woken(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late += lateness(w.slept, now)
	w.slept = now
}
