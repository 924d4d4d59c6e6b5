package sim

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// trio is a primary with replicas that acknowledge, by itself: no elector, no client that is not asked for.
type trio struct {
	*testing.T
	clock   *clock
	network *network
	hosts   *hosts
	a, b, c *server
	desk    place // where clients sit
	row     int64
}

func newTrio(t *testing.T) *trio { return trioOf(t, 1, healthyOptions()) }

func trioOf(t *testing.T, seed uint64, o options) *trio {
	c := newClock(seed)
	n := newNetwork(c)
	f := &trio{T: t, clock: c, network: n, hosts: newHosts(c, n)}
	f.a, f.b, f.c = f.hosts.add("A", o), f.hosts.add("B", o), f.hosts.add("C", o)
	f.desk = n.join("desk")
	f.b.follows("A", true)
	f.c.follows("A", true)
	f.a.setReadOnlyOff()
	f.a.enableSource()
	f.pass(time.Second)
	return f
}

func (f *trio) pass(d time.Duration) { f.clock.runUntil(f.clock.now+d, nil) }

// eventually lets time pass until something holds, for a minute at most.
func (f *trio) eventually(what string, holds func() bool) {
	f.Helper()
	f.clock.runUntil(f.clock.now+time.Minute, holds)
	if !holds() {
		f.Fatalf("after a minute: not %s", what)
	}
}

// stays lets two seconds pass, in which something has to hold on.
func (f *trio) stays(what string, holds func() bool) {
	f.Helper()
	f.clock.runUntil(f.clock.now+2*time.Second, func() bool { return !holds() })
	if !holds() {
		f.Fatalf("%s no longer", what)
	}
}

func (f *trio) check(what string, holds bool) {
	f.Helper()
	if !holds {
		f.Errorf("not %s", what)
	}
}

// outcome is what a client heard, if anything.
type outcome struct {
	wire  *wire
	row   int64
	heard bool
	err   error
	at    time.Duration
}

func (o *outcome) ok() bool { return o.heard && o.err == nil }

func (f *trio) dial(s *server, who account, says announcement) *outcome {
	o := &outcome{}
	o.wire = f.hosts.dial(f.desk, s.address, who, says, func(err error) { o.heard, o.err = true, err })
	f.pass(10 * time.Millisecond)
	return o
}

func (f *trio) run(w *wire, statement func(on *guest, done func(error))) *outcome {
	o := &outcome{wire: w}
	w.run(statement, func(err error) { o.heard, o.err, o.at = true, err, f.clock.now })
	return o
}

// as sends a statement in a session of its own, and does not wait for its end.
func (f *trio) as(who account, s *server, statement func(on *guest, done func(error))) *outcome {
	f.Helper()
	d := f.dial(s, who, announcement{})
	if !d.ok() {
		f.Fatalf("login on %s: %v", s.address, d.err)
	}
	return f.run(d.wire, statement)
}

// write is a client's write, on its way.
func (f *trio) write(s *server) *outcome {
	f.Helper()
	f.row++
	row := f.row
	o := f.as(accountApp, s, func(on *guest, done func(error)) { on.server.write(on, row, done) })
	o.row = row
	f.pass(20 * time.Millisecond)
	return o
}

func (f *trio) written(s *server) *outcome {
	f.Helper()
	o := f.write(s)
	if !o.ok() {
		f.Fatalf("a write on %s: heard %v, %v", s.address, o.heard, o.err)
	}
	return o
}

// exec runs a statement of the administrator to its end.
func (f *trio) exec(s *server, statement func(on *guest, done func(error))) error {
	f.Helper()
	o := f.as(accountRoot, s, statement)
	f.eventually("answered", func() bool { return o.heard })
	return o.err
}

func stopReceiver(on *guest, done func(error)) { on.server.stopReceiver(on, done) }
func stopApplier(on *guest, done func(error))  { on.server.stopApplier(on, done) }
func sourceOff(on *guest, done func(error))    { on.server.disableSource(on, done) }
func closeNow(on *guest, done func(error))     { on.server.closeForWrites(on, time.Minute, done) }

func (f *trio) stopAckers() {
	f.Helper()
	f.exec(f.b, stopReceiver)
	f.exec(f.c, stopReceiver)
}

func (f *trio) startAckers() {
	_ = f.b.startReceiver()
	_ = f.c.startReceiver()
}

// last is the newest transaction in a server's binary log.
func last(s *server) gtid.GTID { return s.log.entries[len(s.log.entries)-1].gtid }

func (f *trio) arrives(s *server, row int64) {
	f.Helper()
	f.eventually("arrived at "+string(s.address), func() bool { return s.hasRow(row) })
}

func waiters(s *server) int { return s.semiSync().Waiters }

func (f *trio) restart(s *server) {
	f.Helper()
	s.kill()
	s.boot()
	f.eventually("up again", func() bool { return s.state == processUp })
	f.pass(100 * time.Millisecond)
}

func decisionOf(term uint32, s *server) topology.Decision {
	return topology.Decision{Cluster: "shop", Term: term, Primary: s.address, DecidedAt: epoch}.Sealed()
}

func TestAQuietWorldGivesNoFindings(t *testing.T) {
	f := newTrio(t)
	o := f.a.observe(epoch)
	f.check("verified", o.SemiSync.Verified() && o.SemiSync.Clients == 2 && o.Writable())
	f.check("both replicas are named", len(o.Replicas) == 2 && o.Replicas[0] == "B")
	s := topology.Snapshot{Cluster: "shop", At: epoch, Ruleset: topology.Ruleset{Number: 1, Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}}}
	for _, server := range f.hosts.all {
		o := server.observe(epoch)
		o.At = epoch
		s.Servers = append(s.Servers, o)
		s.Ruleset.Members = append(s.Ruleset.Members, topology.Member{Address: server.address, Zone: "x"})
	}
	lead := topology.Leadership{Decision: topology.Decision{Cluster: "shop", Term: 1, Primary: "A", PrimaryUUID: f.a.uuid, Incarnation: f.a.incarnation}, EstablishedAt: epoch}
	findings := topology.Analyze(s, topology.History{Leaderships: []topology.Leadership{lead}, Leaders: []gtid.UUID{f.a.uuid}},
		topology.Limits{SilentAfter: 2 * time.Second, StuckAfter: 5 * time.Second, LagMax: 10 * time.Second, IsolatedShare: 0.5}, epoch, nil)
	for _, finding := range findings {
		t.Errorf("%s: %s", finding.Code, finding.Message)
	}
}
