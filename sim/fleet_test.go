package sim

import (
	"context"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// bench is a cluster with a primary, A, that waits for acknowledgements of the others, for electors to act upon.
type bench struct {
	t       testing.TB
	clock   *clock
	network *network
	hosts   *hosts
	rules   topology.Ruleset
	fleets  []*fleet
}

func newBench(t testing.TB, servers, acks int) *bench {
	c := newClock(1)
	n := newNetwork(c)
	b := &bench{t: t, clock: c, network: n, hosts: newHosts(c, n)}
	b.rules = topology.Ruleset{Number: 1, Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: acks}}
	for i := range servers {
		a := topology.Address(rune('A' + i))
		b.rules.Members = append(b.rules.Members, topology.Member{Address: a})
		b.hosts.add(a, healthyOptions())
	}
	first := b.at("A")
	for _, m := range b.rules.Members[1:] {
		b.at(m.Address).follows("A", true)
	}
	first.setReadOnlyOff()
	first.setAcks(acks)
	first.enableSource()
	b.pass(100 * time.Millisecond)
	t.Cleanup(func() {
		for _, f := range b.fleets {
			f.process.kill()
		}
	})
	return b
}

func (b *bench) at(a topology.Address) *server { return b.hosts.at(a) }

func (b *bench) pass(d time.Duration) { b.clock.runUntil(b.clock.now+d, nil) }

// elector is a process of an elector that watches the whole cluster.
func (b *bench) elector(name string) *fleet {
	f := newFleet(b.clock.newProcess(name), b.hosts, b.network.join(name), name)
	b.fleets = append(b.fleets, f)
	var all []topology.Address
	for _, m := range b.rules.Members {
		all = append(all, m.Address)
	}
	f.Watch("shop", all)
	b.pass(20 * time.Millisecond)
	return f
}

// run has an elector do something, and returns when it has.
func (b *bench) run(f *fleet, work func()) {
	b.t.Helper()
	done := false
	f.process.spawn(func() { work(); done = true })
	b.clock.runUntil(b.clock.now+2*time.Minute, func() bool { return done })
	if !done && !f.process.dead {
		b.t.Fatal("it never ends")
	}
}

// do runs commands of one step.
func (b *bench) do(f *fleet, term uint32, commands ...reparent.Command) (results []reparent.Result) {
	b.t.Helper()
	for i := range commands {
		commands[i].Cluster, commands[i].Term = "shop", term
	}
	b.run(f, func() { results = f.Do(context.Background(), orchestrator.Batch{Commands: commands}) })
	return results
}

// one runs one command.
func (b *bench) one(f *fleet, term uint32, c reparent.Command) reparent.Result {
	b.t.Helper()
	return b.do(f, term, c)[0]
}

// must fails the test unless a result is the one that is wanted.
func (b *bench) must(r reparent.Result, outcome reparent.Outcome, reason reparent.Reason) reparent.Result {
	b.t.Helper()
	if r.Outcome != outcome || r.Reason != reason {
		b.t.Fatalf("it is %s %s (%s), not %s %s", r.Outcome, r.Reason, r.Detail, outcome, reason)
	}
	return r
}

func (b *bench) yes(r reparent.Result) reparent.Result {
	b.t.Helper()
	return b.must(r, reparent.Yes, reparent.ReasonNone)
}

func (b *bench) no(r reparent.Result, reason reparent.Reason) reparent.Result {
	b.t.Helper()
	return b.must(r, reparent.No, reason)
}

// observe is a round of probes.
func (b *bench) observe(f *fleet) (seen []topology.Observation) {
	b.t.Helper()
	b.run(f, func() { seen = f.Observe(context.Background(), "shop") })
	return seen
}

// client is somebody who writes: how the write ended is nil, an error, or errConnTimeout while nobody knows.
func (b *bench) write(a topology.Address, row int64) *promise[error] {
	ended := b.clock.promise()
	var w *wire
	w = b.hosts.dial(b.network.join("client"), a, accountApp, announcement{}, func(err error) {
		if err != nil {
			ended.keep(err)
			return
		}
		w.run(func(on *guest, done func(error)) { on.server.write(on, row, done) }, ended.keep)
	})
	b.pass(20 * time.Millisecond)
	return ended
}
