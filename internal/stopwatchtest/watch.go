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
	late  time.Duration
}

// Start starts one, that runs until the end of the test.
func Start(t testing.TB) *Watch {
	w := &Watch{begun: time.Now()}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		w.doze(stop)
	}()
	t.Cleanup(func() { close(stop); <-ended })
	return w
}

// Took is how long it has run, without the time in which the process was not let run.
func (w *Watch) Took() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(0, time.Since(w.begun)-w.late)
}

func (w *Watch) doze(stop <-chan struct{}) {
	for {
		slept := time.Now()
		time.Sleep(pace)
		w.mu.Lock()
		w.late += max(0, time.Since(slept)-pace-idle)
		w.mu.Unlock()
		select {
		case <-stop:
			return
		default:
		}
	}
}
