package integration

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/primacydb/primacy/topology"
)

// A crossing is the way of one replica to its source. It hands everything on, refuses where the source's process has ended,
// and becomes a black hole when it is cut: what is on its way waits, and nobody answers who connects.
type crossing struct {
	target string
	port   int
	owner  sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while it refuses or is cut
	lowered  bool
	dark     *darkness     // set while it is cut
	passable chan struct{} // closed while it is not cut
	conns    map[net.Conn]bool
	ended    bool
}

// crossingHost is a loopback address that nobody else listens at, so that a port which is given up for a while is free.
const crossingHost = "127.0.77.1"

func newCrossing(target string) (*crossing, error) {
	c := &crossing{target: target, passable: make(chan struct{}), conns: map[net.Conn]bool{}, lowered: true}
	close(c.passable)
	return c, c.raise()
}

func (c *crossing) address() topology.Address {
	return topology.Address(fmt.Sprintf("%s:%d", crossingHost, c.port))
}

// raise lets the way lead to the source, and lower has it refuse. On one that is cut this shows when it is mended.
func (c *crossing) raise() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lowered = false
	return c.serve()
}

func (c *crossing) lower() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lowered = true
	return c.rest()
}

// serve listens, if anything is to be heard.
func (c *crossing) serve() error {
	if c.lowered || c.dark != nil || c.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", crossingHost, c.port))
	if err != nil {
		return err
	}
	c.port, c.listener = l.Addr().(*net.TCPAddr).Port, l
	c.owner.Go(func() { c.accept(l) })
	return nil
}

func (c *crossing) rest() error {
	if c.listener == nil {
		return nil
	}
	l := c.listener
	c.listener = nil
	return l.Close()
}

func (c *crossing) accept(l net.Listener) {
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		c.owner.Go(func() { c.admit(near) })
	}
}

func (c *crossing) admit(near net.Conn) {
	away, err := net.Dial("tcp", c.target)
	if err != nil {
		near.Close()
		return
	}
	if !c.keep(near, away) {
		return
	}
	defer c.forget(near, away)
	c.owner.Go(func() { c.carry(away, near) })
	c.carry(near, away)
}

// keep remembers connections for the end; false when that has come.
func (c *crossing) keep(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		c.conns[conn] = true
	}
	if c.ended {
		closeAll(conns)
	}
	return !c.ended
}

func (c *crossing) forget(conns ...net.Conn) {
	closeAll(conns)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		delete(c.conns, conn)
	}
}

// carry hands on what comes, the end included, once anything passes.
func (c *crossing) carry(from, to net.Conn) {
	defer closeAll([]net.Conn{from, to})
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		<-c.open()
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}

func (c *crossing) open() chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passable
}

// cut makes it a black hole.
func (c *crossing) cut() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dark != nil {
		return nil
	}
	c.passable = make(chan struct{})
	err := c.rest()
	dark, err2 := darken(c.port)
	c.dark = dark
	return errors.Join(err, err2)
}

// mend ends that; what waited goes on.
func (c *crossing) mend() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dark == nil {
		return nil
	}
	err := c.dark.end()
	c.dark = nil
	close(c.passable)
	return errors.Join(err, c.serve())
}

func (c *crossing) end() error {
	err := errors.Join(c.mend(), c.lower())
	c.mu.Lock()
	c.ended = true
	for conn := range c.conns {
		conn.Close()
	}
	c.mu.Unlock()
	c.owner.Wait()
	return err
}

// darkness is a port at which nobody answers: somebody listens and takes nothing in, and those who may wait for that are
// there already, so the kernel drops whoever comes.
type darkness struct {
	socket int
	queue  []net.Conn
}

// unanswered is how long a connection on this machine may take before it counts as dropped.
const unanswered = 100 * time.Millisecond

func darken(port int) (*darkness, error) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	d := &darkness{socket: socket}
	at := &syscall.SockaddrInet4{Port: port}
	copy(at.Addr[:], net.ParseIP(crossingHost).To4())
	for _, step := range []func() error{
		func() error { return syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1) },
		func() error { return syscall.Bind(socket, at) },
		func() error { return syscall.Listen(socket, 0) },
		func() error { return d.fill(port) },
	} {
		if err := step(); err != nil {
			return nil, errors.Join(err, d.end())
		}
	}
	return d, nil
}

// fill takes all places in the queue.
func (d *darkness) fill(port int) error {
	for range 16 {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", crossingHost, port), unanswered)
		if late, is := errors.AsType[net.Error](err); is && late.Timeout() {
			return nil
		}
		if err != nil {
			return err
		}
		d.queue = append(d.queue, conn)
	}
	return errors.New("whoever connects to a port at which nobody answers is let in")
}

func (d *darkness) end() error {
	closeAll(d.queue)
	return os.NewSyscallError("close", syscall.Close(d.socket))
}
