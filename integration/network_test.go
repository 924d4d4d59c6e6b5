package integration

import (
	"net"
	"sync"
	"testing"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// A path is a way to a server that can be made to swallow everything without a word, as a broken network does.
// Only the control plane takes it; replicas and clients go straight.
type path struct {
	listener net.Listener
	target   string
	owner    sync.WaitGroup

	mu    sync.Mutex
	open  chan struct{} // closed while packets pass; replaced by an open one while they do not
	conns []net.Conn
	ended bool
}

func newPath(t *testing.T, target string) *path {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &path{listener: listener, target: target, open: make(chan struct{})}
	close(p.open)
	p.owner.Go(p.accept)
	t.Cleanup(p.end)
	return p
}

func (p *path) address() topology.Address { return topology.Address(p.listener.Addr().String()) }

func (p *path) accept() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", p.target)
		if err != nil {
			from.Close()
			continue
		}
		if !p.keep(from, to) {
			return
		}
		p.owner.Go(func() { p.carry(from, to) })
		p.owner.Go(func() { p.carry(to, from) })
	}
}

// keep remembers connections for the end; false when that has come.
func (p *path) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, conns...)
	if p.ended {
		closeAll(conns)
	}
	return !p.ended
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		c.Close()
	}
}

func (p *path) carry(from, to net.Conn) {
	defer closeAll([]net.Conn{from, to})
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		<-p.passable()
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}

func (p *path) passable() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

func (p *path) swallow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = make(chan struct{})
}

func (p *path) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
	default:
		close(p.open)
	}
}

func (p *path) end() {
	p.listener.Close()
	p.mend()
	p.mu.Lock()
	p.ended = true
	closeAll(p.conns)
	p.mu.Unlock()
	p.owner.Wait()
}

// overPaths is a healthy cluster that the control plane reaches over paths of its own.
func overPaths(t *testing.T, servers, acks int) (*cluster, map[topology.Address]*path) {
	t.Helper()
	c := bare(t, servers, acks)
	paths := map[topology.Address]*path{}
	for i, s := range c.fleet.Servers {
		p := newPath(t, s.Address())
		paths[p.address()] = p
		c.ruleset.Members[i].Address = p.address()
	}
	c.at = func(a topology.Address) string { return paths[a].target }
	c.startPlane()
	c.awaitHealthy()
	return c, paths
}

// We are the broken part: the primary's ackers hear it, its clients write, and nothing must be done.
func TestPrimaryThatOnlyWeCannotReachIsLeftAlone(t *testing.T) {
	c, paths := overPaths(t, 3, 1)
	client := c.write(2)
	c.awaitAcks(client, 20)
	primary := c.view().Primary
	sent := len(c.plane.sent.all())
	paths[primary].swallow()
	f := c.awaitFinding(topology.PrimaryUnreachableByUs, primary)
	t.Log(f.Message, f.WhyNot)
	if f.Remedy != topology.RemedyNone || f.WhyNot == "" {
		t.Errorf("the finding does not say why nothing is done: %+v", f)
	}
	// Longer than any silence that would convict a primary.
	c.await("a primary that has been silent for twice the limit", func(v orchestrator.View) bool {
		o := v.Snapshot.Server(primary)
		return !o.FailingSince.IsZero() && o.At.Sub(o.FailingSince) > 2*c.blueprint().Limits.SilentAfter
	})
	c.awaitAcks(client, 20)
	if more := c.plane.sent.all()[sent:]; len(more) > 0 {
		t.Errorf("commands were sent: %v", more)
	}
	paths[primary].mend()
	c.awaitHealthy()
	if v := c.view(); v.Primary != primary || len(c.recoveries()) != 1 {
		t.Errorf("%s leads after %d changes, and only the adoption was due", v.Primary, len(c.recoveries()))
	}
	t.Log(c.nothingLost(client))
}

// With every server out of our sight we are cut off ourselves.
func TestElectorThatReachesNobodyStandsDown(t *testing.T) {
	c, paths := overPaths(t, 3, 1)
	client := c.write(2)
	c.awaitAcks(client, 20)
	sent := len(c.plane.sent.all())
	for _, p := range paths {
		p.swallow()
	}
	f := c.awaitFinding(topology.ElectorIsolated, "")
	t.Log(f.Message)
	c.awaitRounds(3)
	c.awaitAcks(client, 20)
	if more := c.plane.sent.all()[sent:]; len(more) > 0 {
		t.Errorf("commands were sent: %v", more)
	}
	for _, p := range paths {
		p.mend()
	}
	c.awaitHealthy()
	t.Log(c.nothingLost(client))
}
