package local

import (
	"errors"
	"os/exec"
	"runtime"
	"sync"
)

// A forker starts processes that may not outlive this one. Linux ends such a
// child when the *thread* that forked it ends, not when the process does, and Go
// ends threads as it likes; so all children of a fleet are started from one
// thread that is kept for as long as the fleet.
type forker struct {
	requests chan startRequest
	quit     chan struct{}
	once     sync.Once
	ended    sync.WaitGroup
}

type startRequest struct {
	cmd  *exec.Cmd
	done chan error
}

var errForkerClosed = errors.New("the fleet is closed")

func newForker() *forker {
	f := &forker{requests: make(chan startRequest), quit: make(chan struct{})}
	f.ended.Go(f.run)
	return f
}

// run never unlocks its thread: the thread ends with the goroutine, and with it
// whatever child should be left.
func (f *forker) run() {
	runtime.LockOSThread()
	for {
		select {
		case request := <-f.requests:
			request.done <- request.cmd.Start()
		case <-f.quit:
			return
		}
	}
}

func (f *forker) start(cmd *exec.Cmd) error {
	request := startRequest{cmd, make(chan error, 1)}
	select {
	case f.requests <- request:
		return <-request.done
	case <-f.quit:
		return errForkerClosed
	}
}

func (f *forker) close() {
	f.once.Do(func() { close(f.quit) })
	f.ended.Wait()
}
