package main

import (
	"os/exec"
	"runtime"
	"sync"
)

// leash starts processes that do not outlive this one. Where the kernel sees to it, it ends them with the thread that
// started them, so all are started from one thread that is kept.
type leash struct {
	starts chan func()
	quit   chan struct{}
	ended  sync.WaitGroup
}

func newLeash() *leash {
	l := &leash{starts: make(chan func()), quit: make(chan struct{})}
	l.ended.Go(func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		for {
			select {
			case start := <-l.starts:
				start()
			case <-l.quit:
				return
			}
		}
	})
	return l
}

func (l *leash) start(cmd *exec.Cmd) error {
	tie(cmd)
	done := make(chan error, 1)
	l.starts <- func() { done <- cmd.Start() }
	return <-done
}

// close ends what was started and still runs.
func (l *leash) close() {
	close(l.quit)
	l.ended.Wait()
}
