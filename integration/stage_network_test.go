package integration

import (
	"fmt"
	"io"
	"iter"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/topology"
)

// A street is the networks between real servers and an elector: a door in front of each server, and rules about who may
// go in. Replicas and the elector know the servers by their doors alone. Who knocks is found out from the kernel, which
// knows the process at the other end: one of the servers, or this one, which is where the elector lives.
type street struct {
	doors []*door
	// dumps tells whether a server sends its binary log over a connection, which is known by the port that it comes from.
	dumps func(server topology.Address, port int) bool

	mu sync.Mutex
	// closed are visitors that a server's door does not let in.
	closed map[visit]bool
	// mute are replicas whose acknowledgements do not get through a door.
	mute map[visit]bool
	// held are ways on which nothing passes; the channel is closed when it does again.
	held map[way]chan struct{}
}

// way is one direction of a visit: what the visitor says, or what it is answered.
type way struct {
	visit
	answers bool
}

// visit is somebody at a server: a replica, or the elector, which has no name.
type visit struct{ who, to topology.Address }

// door is where a server is reached.
type door struct {
	street   *street
	listener net.Listener
	server   *local.Server
	owner    sync.WaitGroup

	mu    sync.Mutex
	calls []*call
	ended bool
}

// call is one connection through a door.
type call struct {
	visit      visit
	near, away net.Conn
	mute       atomic.Bool // nothing that the visitor says gets through any more
}

// newStreet opens the doors, in an order in which their addresses are sorted as the servers are.
func newStreet(t *testing.T, fleet *local.Fleet) *street {
	t.Helper()
	s := &street{closed: map[visit]bool{}, mute: map[visit]bool{}, held: map[way]chan struct{}{}}
	var listeners []net.Listener
	for range fleet.Servers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
	}
	slices.SortFunc(listeners, func(a, b net.Listener) int { return strings.Compare(a.Addr().String(), b.Addr().String()) })
	for i, server := range fleet.Servers {
		d := &door{street: s, listener: listeners[i], server: server}
		s.doors = append(s.doors, d)
		d.owner.Go(d.accept)
		t.Cleanup(d.end)
	}
	return s
}

func (d *door) address() topology.Address { return topology.Address(d.listener.Addr().String()) }

func (s *street) door(a topology.Address) *door {
	for _, d := range s.doors {
		if d.address() == a {
			return d
		}
	}
	return nil
}

// open lets visitors in, and those who were mute be heard: they come again, for what they said is lost.
func (s *street) open(whom func(visit) bool) {
	s.mu.Lock()
	maps.DeleteFunc(s.closed, func(v visit, _ bool) bool { return whom(v) })
	maps.DeleteFunc(s.mute, func(v visit, _ bool) bool { return whom(v) })
	maps.DeleteFunc(s.held, func(w way, held chan struct{}) bool {
		if whom(w.visit) {
			close(held)
		}
		return whom(w.visit)
	})
	s.mu.Unlock()
	for _, d := range s.doors {
		for c := range d.callsOf(whom) {
			if c.mute.Load() {
				closeAll([]net.Conn{c.near, c.away})
			}
		}
	}
}

// shut keeps a visitor out, and ends the visits that it is on.
func (s *street) shut(v visit) {
	s.mu.Lock()
	s.closed[v] = true
	s.mu.Unlock()
	for c := range s.door(v.to).callsOf(func(other visit) bool { return other == v }) {
		closeAll([]net.Conn{c.near, c.away})
	}
}

// hold lets nothing pass any more on some ways, and says nothing, as a broken network does.
func (s *street) hold(ways ...way) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range ways {
		if s.held[w] == nil {
			s.held[w] = make(chan struct{})
		}
	}
}

// pass waits until something may pass.
func (s *street) pass(w way) {
	s.mu.Lock()
	held := s.held[w]
	s.mu.Unlock()
	if held != nil {
		<-held
	}
}

// silence swallows a replica's acknowledgements from now on.
func (s *street) silence(v visit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute[v] = true
}

func (d *door) callsOf(whom func(visit) bool) iter.Seq[*call] {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Values(slices.DeleteFunc(slices.Clone(d.calls), func(c *call) bool { return !whom(c.visit) }))
}

func (s *street) isShut(v visit) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed[v]
}

func (s *street) isMute(v visit) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mute[v]
}

func (d *door) accept() {
	for {
		near, err := d.listener.Accept()
		if err != nil {
			return
		}
		d.owner.Go(func() { d.admit(near) })
	}
}

func (d *door) admit(near net.Conn) {
	c := &call{visit: visit{who: d.street.caller(near), to: d.address()}, near: near}
	away, err := net.Dial("tcp", d.server.Address())
	if err != nil || d.street.isShut(c.visit) || c.visit.who == stranger {
		near.Close()
		if err == nil {
			away.Close()
		}
		return
	}
	c.away = away
	if !d.keep(c) {
		return
	}
	defer d.forget(c)
	d.owner.Go(func() {
		defer closeAll([]net.Conn{near, away})
		d.carry(way{c.visit, true}, away, near, func() bool { return false })
	})
	d.carry(way{c.visit, false}, near, away, func() bool { return d.isMuted(c) })
}

// keep remembers a call for its end; false when that has come. What was shut while it was admitted is seen here.
func (d *door) keep(c *call) bool {
	d.mu.Lock()
	d.calls = append(d.calls, c)
	ended := d.ended
	d.mu.Unlock()
	if ended || d.street.isShut(c.visit) {
		d.forget(c)
		return false
	}
	return true
}

func (d *door) forget(c *call) {
	closeAll([]net.Conn{c.near, c.away})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = slices.DeleteFunc(d.calls, func(other *call) bool { return other == c })
}

// isMuted tells whether what comes next is an acknowledgement that is to get lost. A replica says nothing else once it
// receives the binary log; before that it has to be heard.
func (d *door) isMuted(c *call) bool {
	if !c.mute.Load() && d.street.isMute(c.visit) && d.street.dumps(d.address(), c.away.LocalAddr().(*net.TCPAddr).Port) {
		c.mute.Store(true)
	}
	return c.mute.Load()
}

// carry hands on what comes from one end of a call, unless it is to be swallowed.
func (d *door) carry(w way, from io.Reader, to io.Writer, swallow func() bool) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		d.street.pass(w)
		if !swallow() {
			if _, failed := to.Write(buffer[:n]); failed != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

const stranger topology.Address = "a stranger"

// caller is the server at the other end of a connection, or nobody for this process. The kernel's list can miss a line
// while others come and go, so it is asked more than once.
func (s *street) caller(near net.Conn) topology.Address {
	for range 10 {
		if who := s.lookUp(near); who != stranger {
			return who
		}
	}
	return stranger
}

func (s *street) lookUp(near net.Conn) topology.Address {
	socket, err := socketOf(near)
	if err != nil {
		return stranger
	}
	if holds("self", socket) {
		return ""
	}
	for _, d := range s.doors {
		if pid := d.server.Pid(); pid > 0 && holds(strconv.Itoa(pid), socket) {
			return d.address()
		}
	}
	return stranger
}

// socketOf is the kernel's name for the other end of a connection on this machine.
func socketOf(near net.Conn) (string, error) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return "", err
	}
	ends := hexAddress(near.RemoteAddr()) + " " + hexAddress(near.LocalAddr())
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 9 && fields[1]+" "+fields[2] == ends {
			return "socket:[" + fields[9] + "]", nil
		}
	}
	return "", fmt.Errorf("the kernel does not list %s", near.RemoteAddr())
}

// hexAddress writes 127.0.0.1:80 as the kernel does: 0100007F:0050.
func hexAddress(a net.Addr) string {
	return fmt.Sprintf("0100007F:%04X", a.(*net.TCPAddr).Port)
}

// holds tells whether a process has a socket open.
func holds(process, socket string) bool {
	dir := filepath.Join("/proc", process, "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		name, err := os.Readlink(filepath.Join(dir, e.Name()))
		return err == nil && name == socket
	})
}

func (d *door) end() {
	d.listener.Close()
	d.street.open(func(v visit) bool { return v.to == d.address() })
	d.mu.Lock()
	d.ended = true
	for _, c := range d.calls {
		closeAll([]net.Conn{c.near, c.away})
	}
	d.mu.Unlock()
	d.owner.Wait()
}
