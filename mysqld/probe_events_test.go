package mysqld_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primacydb/primacy/internal/stopwatchtest"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/topology"
)

func TestAKilledServerIsASignalAndRefusedInOneProbe(t *testing.T) {
	w := newWorld(t, local.Spec{})
	before := w.see(primary)
	w.see(replica)
	killed := time.Now()
	if err := w.local.Servers[primary].Kill(); err != nil {
		t.Fatal(err)
	}
	s := w.signalled(primary, 5*time.Second)
	t.Logf("signal %s after the kill was sent", s.At.Sub(killed))
	all := w.fleet.Observe(t.Context(), "c")
	t.Logf("refused %s after the kill was sent", time.Since(killed))
	if o := all[primary]; o.Reach != topology.ReachRefused || !o.FailingSince.Equal(o.At) {
		t.Errorf("%+v", o)
	}
	if !all[replica].OK() || !all[other].OK() {
		t.Errorf("the others: %s %s", all[replica].Reach, all[other].Reach)
	}
	o := w.eventually(replica, "the replica has lost it too", func(o topology.Observation) bool {
		return o.Replication.Receiver == topology.ThreadConnecting && o.Replication.ReceiverErrno != 0
	})
	t.Logf("the replica says so %s after the kill was sent", time.Since(killed))
	if o.Replication.ReceiverError == "" || o.Replication.Applier != topology.ThreadOn {
		t.Errorf("%+v", o.Replication)
	}
	later := w.see(primary)
	if !later.FailingSince.Equal(all[primary].At) {
		t.Errorf("failing since %s, first failure %s", later.FailingSince, all[primary].At)
	}
	if err := w.local.Servers[primary].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := w.eventually(primary, "it answers again", func(o topology.Observation) bool { return o.OK() })
	if !after.FailingSince.IsZero() || after.UUID != before.UUID || after.Incarnation == before.Incarnation {
		t.Errorf("started again: %+v\nbefore: %+v", after, before)
	}
	if !after.StartedAt.After(before.StartedAt) {
		t.Errorf("started at %s, before that at %s", after.StartedAt, before.StartedAt)
	}
}

func TestAFrozenServerIsSilentAndAThawIsASignal(t *testing.T) {
	w := newWorld(t, local.Spec{Servers: 1})
	before := w.see(primary)
	server := w.local.Servers[primary]
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	var first topology.Observation
	for i := range 5 {
		watch := stopwatchtest.Start(t)
		o := w.see(primary)
		if took := watch.Took(); o.Reach != topology.ReachSilent || took > time.Second+200*time.Millisecond {
			t.Errorf("probe %d: %s after %s: %s", i, o.Reach, took, o.Error)
		}
		if i == 0 {
			first = o
		}
		if !o.FailingSince.Equal(first.At) {
			t.Errorf("failing since %s, first failure %s", o.FailingSince, first.At)
		}
	}
	w.drain()
	if err := server.Thaw(); err != nil {
		t.Fatal(err)
	}
	thawed := time.Now()
	s := w.signalled(primary, 5*time.Second)
	t.Logf("signal %s after the thaw", s.At.Sub(thawed))
	after := w.see(primary)
	if !after.OK() || !after.FailingSince.IsZero() || after.Incarnation != before.Incarnation {
		t.Errorf("%+v", after)
	}
	w.eventuallyConnections(primary, 1)
}

func TestProbesLeaveOneConnectionAndItIsGoneAfterwards(t *testing.T) {
	w := newWorld(t, local.Spec{Servers: 1})
	for range 200 {
		if o := w.see(primary); !o.OK() {
			t.Fatalf("%+v", o)
		}
	}
	w.eventuallyConnections(primary, 1)
	w.fleet.Watch("c", nil)
	w.eventuallyConnections(primary, 0)
	for range 20 { // unwatched: a connection for each probe
		if o := w.see(primary); !o.OK() {
			t.Fatalf("%+v", o)
		}
	}
	w.eventuallyConnections(primary, 0)
}

func TestASessionThatIsKilledIsASignalAndNoFailure(t *testing.T) {
	w := newWorld(t, local.Spec{Servers: 1})
	w.see(primary)
	id := w.number(primary, "SELECT ID FROM performance_schema.processlist WHERE USER = ?", w.local.Users.Primacy.Name)
	db := w.open(primary)
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "KILL ?", id); err != nil {
		t.Fatal(err)
	}
	w.signalled(primary, 5*time.Second)
	if o := w.see(primary); !o.OK() {
		t.Errorf("%+v", o)
	}
}

func TestAnOrderlyShutdownIsASignal(t *testing.T) {
	w := newWorld(t, local.Spec{Servers: 1})
	w.see(primary)
	if err := w.local.Servers[primary].Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.signalled(primary, 5*time.Second)
	if o := w.see(primary); o.Reach != topology.ReachRefused {
		t.Errorf("%+v", o)
	}
}

func TestAProbeIsOneRoundTrip(t *testing.T) {
	w := newWorld(t, local.Spec{Servers: 1})
	p := newProxy(t, w.local.Servers[primary].Address())
	f := mysqld.NewFleet(w.settings())
	t.Cleanup(func() { _ = f.Close() })
	f.Watch("c", []topology.Address{p.address()})
	for range 3 { // facts, the first statement as text, the second is prepared
		if o := f.Probe(t.Context(), p.address()); !o.OK() {
			t.Fatalf("%+v", o)
		}
	}
	const probes = 50
	sent := p.sent.Load()
	for range probes {
		if o := f.Probe(t.Context(), p.address()); !o.OK() || o.Executed.Count() != 0 {
			t.Fatalf("%+v", o)
		}
	}
	if got := p.sent.Load() - sent; got != probes {
		t.Errorf("%d probes took %d round trips", probes, got)
	}
}

func TestAHostThatSwallowsEverythingIsSilentInTime(t *testing.T) {
	w := newWorld(t, local.Spec{Servers: 1})
	p := newProxy(t, w.local.Servers[primary].Address())
	f := w.watching(w.settings())
	f.Watch("c", []topology.Address{p.address(), w.server(primary)})
	if o := f.Probe(t.Context(), p.address()); !o.OK() {
		t.Fatalf("%+v", o)
	}
	p.hole.Store(true)
	watch := stopwatchtest.Start(t)
	all := f.Observe(t.Context(), "c")
	if took := watch.Took(); all[0].Reach != topology.ReachSilent || took > time.Second+200*time.Millisecond {
		t.Errorf("%s: %+v", took, all[0])
	}
	if !all[1].OK() {
		t.Errorf("the other one: %+v", all[1])
	}
}

func TestACallerWhoGivesUpProvesNothing(t *testing.T) {
	w := newWorld(t, local.Spec{Servers: 1})
	w.see(primary)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if o := w.fleet.Probe(ctx, w.server(primary)); o.Reach != topology.ReachUnknown || !o.FailingSince.IsZero() {
		t.Errorf("%+v", o)
	}
	if o := w.see(primary); !o.OK() {
		t.Errorf("%+v", o)
	}
}

func TestAConnectionThatIsCutUnderAProbeIsMadeAgainWithinIt(t *testing.T) {
	w := newWorld(t, local.Spec{Servers: 1})
	p := newProxy(t, w.local.Servers[primary].Address())
	f := w.watching(w.settings())
	f.Watch("c", []topology.Address{p.address()})
	f.Probe(t.Context(), p.address())
	p.cut.Store(true)
	if o := f.Probe(t.Context(), p.address()); !o.OK() {
		t.Errorf("%+v", o)
	}
	if p.cut.Load() {
		t.Error("nothing was cut")
	}
}

func TestSilenceAfterACutIsStillACut(t *testing.T) {
	w := newWorld(t, local.Spec{Servers: 1})
	p := newProxy(t, w.local.Servers[primary].Address())
	f := w.watching(w.settings())
	f.Watch("c", []topology.Address{p.address()})
	f.Probe(t.Context(), p.address())
	p.mute.Store(true)
	p.cut.Store(true)
	for range 2 {
		if o := f.Probe(t.Context(), p.address()); o.Reach != topology.ReachReset {
			t.Errorf("%s: %s", o.Reach, o.Error)
		}
	}
	p.mute.Store(false)
	p.drop()
	if o := f.Probe(t.Context(), p.address()); !o.OK() {
		t.Errorf("%+v", o)
	}
}

func TestAFrozenServerFindsOneWaitingClientAndNotOnePerProbe(t *testing.T) {
	w := newWorld(t, local.Spec{Servers: 1})
	p := newProxy(t, w.local.Servers[primary].Address())
	f := w.watching(w.settings())
	f.Watch("c", []topology.Address{p.address()})
	f.Probe(t.Context(), p.address())
	before := p.accepted.Load()
	if err := w.local.Servers[primary].Freeze(); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		f.Probe(t.Context(), p.address())
	}
	if got := p.accepted.Load() - before; got != 1 {
		t.Errorf("%d new connections", got)
	}
}

func TestASessionThatAProbeLeftBehindIsEnded(t *testing.T) {
	w := newWorld(t, local.Spec{Servers: 1})
	p := newProxy(t, w.local.Servers[primary].Address())
	w.fleet.Watch("c", nil)
	f := w.watching(w.settings())
	f.Watch("c", []topology.Address{p.address()})
	f.Probe(t.Context(), p.address())
	p.hole.Store(true)
	if o := f.Probe(t.Context(), p.address()); o.Reach != topology.ReachSilent {
		t.Errorf("%+v", o)
	}
	w.eventuallyConnections(primary, 2) // the one that the server does not know to be gone, and a new one
	if o := f.Probe(t.Context(), p.address()); !o.OK() {
		t.Errorf("%+v", o)
	}
	w.eventuallyConnections(primary, 1)
}

func (w *world) drain() {
	for {
		select {
		case <-w.signals:
		default:
			return
		}
	}
}

// eventuallyConnections waits until Primacy's account has that many connections.
func (w *world) eventuallyConnections(i, want int) {
	w.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		got := w.number(i, "SELECT COUNT(*) FROM performance_schema.processlist WHERE USER = ?", w.local.Users.Primacy.Name)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("%d connections, want %d", got, want)
		}
	}
}

// proxy forwards one server and counts what clients send.
type proxy struct {
	net.Listener
	target         string
	accepted, sent atomic.Int64
	hole           atomic.Bool // swallow all of the connection on which a client sends next, once; the server hears of no end
	mute           atomic.Bool // accept connections and say nothing on them
	cut            atomic.Bool // close the connection on which a client sends next, once
	late           atomic.Pointer[delay]
	lost           atomic.Pointer[loss]
	ended          context.Context
	running        sync.WaitGroup

	mu   sync.Mutex
	open []net.Conn
}

// delay keeps what a client sends on one of the connections, from a moment on and until it is let go. The client may have
// hung up by then.
type delay struct {
	connection int64 // as they were accepted, from 1
	now        func() bool
	over       chan struct{}
}

// loss takes a connection away as it begins: it is closed, or nothing comes on it.
type loss struct {
	now    func() bool
	closes bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(context.Background())
	p := &proxy{Listener: l, target: target, ended: ended}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		end()
		_ = l.Close()
		p.drop()
		p.running.Wait()
	})
	return p
}

func (p *proxy) address() topology.Address { return topology.Address(p.Addr().String()) }

// drop closes all connections.
func (p *proxy) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		_ = c.Close()
	}
	p.open = nil
}

func (p *proxy) keep(connections ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = append(p.open, connections...)
}

func (p *proxy) accept() {
	for {
		client, err := p.Accept()
		if err != nil {
			return
		}
		number := p.accepted.Add(1)
		p.keep(client)
		if p.mute.Load() {
			continue
		}
		if l := p.lost.Load(); l != nil && l.now() {
			if p.lost.Store(nil); l.closes {
				_ = client.Close()
			}
			continue
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.keep(server)
		p.running.Go(func() { p.upstream(server, client, number) })
		p.running.Go(func() {
			defer client.Close()
			_, _ = io.Copy(client, server)
		})
	}
}

func (p *proxy) upstream(server, client net.Conn, number int64) {
	defer server.Close()
	defer client.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil || p.cut.CompareAndSwap(true, false) {
			return
		}
		p.sent.Add(1)
		if p.hole.CompareAndSwap(true, false) {
			_, _ = io.Copy(io.Discard, client)
			<-p.ended.Done()
			return
		}
		if d := p.late.Load(); d != nil && d.connection == number && d.now() {
			select {
			case <-d.over:
			case <-p.ended.Done():
				return
			}
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func BenchmarkProbe(b *testing.B) {
	binary, err := local.Find("")
	if err != nil {
		b.Fatal(err)
	}
	servers, err := local.Start(b.Context(), binary, local.Spec{Servers: 2})
	if err != nil {
		b.Fatal(err)
	}
	defer servers.Close()
	account := servers.Users.Primacy
	f := mysqld.NewFleet(mysqld.Settings{User: account.Name, Password: func() (string, error) { return account.Password, nil }})
	defer f.Close()
	for i, role := range []string{"primary", "replica"} {
		server := topology.Address(servers.Servers[i].Address())
		f.Watch("c", []topology.Address{server})
		b.Run(role, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if o := f.Probe(b.Context(), server); !o.OK() {
					b.Fatal(strings.TrimSpace(o.Error))
				}
			}
		})
	}
}
