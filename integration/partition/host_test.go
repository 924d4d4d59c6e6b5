//go:build linux

package partition

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// host is a machine as far as the network goes: a thread in a namespace of its own, which starts the processes that are to
// be there. They end with it, and the namespace with them.
type host struct {
	name   string
	subnet string // all of its addresses
	thread int
	work   chan func()
	quit   chan struct{}
	ended  sync.WaitGroup
}

// newHost begins without any network. With stay the host is where the tests themselves are.
func newHost(name, subnet string, stay bool) (*host, error) {
	h := &host{name: name, subnet: subnet, work: make(chan func()), quit: make(chan struct{})}
	begun := make(chan error, 1)
	h.ended.Go(func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		h.thread = syscall.Gettid()
		var err error
		if !stay {
			err = syscall.Unshare(syscall.CLONE_NEWNET)
		}
		begun <- err
		h.serve()
	})
	if err := <-begun; err != nil {
		h.close()
		return nil, fmt.Errorf("give %s a network: %w", name, err)
	}
	return h, nil
}

func (h *host) serve() {
	for {
		select {
		case do := <-h.work:
			do()
		case <-h.quit:
			return
		}
	}
}

// at does something on the host's thread.
func (h *host) at(do func()) {
	done := make(chan struct{})
	h.work <- func() { defer close(done); do() }
	<-done
}

// start starts a process on the host.
func (h *host) start(cmd *exec.Cmd) (err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	h.at(func() { err = cmd.Start() })
	return err
}

// dial connects as a program on the host would, past every cut when it is to the host itself.
func (h *host) dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	h.at(func() { conn, err = new(net.Dialer).DialContext(ctx, network, address) })
	return conn, err
}

// ip changes the host's network.
func (h *host) ip(commands ...string) error {
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := h.start(cmd); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("ip on %s: %w\n%s\n%s", h.name, err, strings.Join(commands, "\n"), said.String())
	}
	return nil
}

// close ends whatever runs on the host.
func (h *host) close() {
	close(h.quit)
	h.ended.Wait()
}
