package orchestrator

import (
	"context"
	"sync"
	"time"
)

// Runtime is how the loop tells the time, waits, and does several things at once. Processes are made of goroutines and
// timers; the simulator runs one task at a time, in virtual time and in an order that its seed decides. The loop
// blocks nowhere but here, in its Fleet and in its Store.
type Runtime interface {
	// Now is the time by this elector's clock.
	Now() time.Time
	// NewBell makes a bell that nobody has rung.
	NewBell() Bell
	// NewTasks makes an empty group of tasks.
	NewTasks() Tasks
	// Within is a context that ends after d, or with its parent.
	Within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc)
}

// Bell wakes one waiting task. Rung while nobody waits, it is remembered, once.
type Bell interface {
	// Ring may be called from anywhere and never blocks.
	Ring()
	// Wait returns true when the bell was rung, false when the time is over or ctx ended. A negative time is for ever.
	// Only one task may wait at a time.
	Wait(ctx context.Context, atMost time.Duration) bool
}

// Tasks is a group of things done at once. Wait returns when all have ended.
type Tasks interface {
	Go(work func())
	Wait()
}

// forever is a wait that only the bell or the end of its context ends.
const forever = time.Duration(-1)

// Process is the runtime of a real process.
type Process struct{}

var _ Runtime = Process{}

// Now is the system's time.
func (Process) Now() time.Time { return time.Now() }

// NewBell makes a bell between goroutines.
func (Process) NewBell() Bell { return make(bell, 1) }

// NewTasks makes a group of goroutines.
func (Process) NewTasks() Tasks { return &sync.WaitGroup{} }

// Within is context.WithTimeout.
func (Process) Within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d)
}

type bell chan struct{}

func (b bell) Ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

func (b bell) Wait(ctx context.Context, atMost time.Duration) bool {
	var over <-chan time.Time
	if atMost >= 0 {
		timer := time.NewTimer(atMost)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-b:
		return true
	case <-over:
	case <-ctx.Done():
	}
	return false
}
