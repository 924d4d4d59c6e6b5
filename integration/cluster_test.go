package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/mysqld/workload"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

const clusterName = "shop"

// patience bounds every wait for a condition; it is never a measure of anything.
const patience = 90 * time.Second

// cluster is a real fleet with a control plane in front.
type cluster struct {
	t       *testing.T
	fleet   *local.Fleet
	ruleset topology.Ruleset
	storeAt string
	plane   *plane  // the control plane when it runs in this process
	control control // the control plane, wherever it runs; nil when none does
	tune    func(*blueprint)
	// at finds the server behind an address; nil when addresses are the servers' own.
	at func(topology.Address) string
}

// bare starts real servers without a control plane.
func bare(t *testing.T, servers, acks int) *cluster {
	t.Helper()
	return bareOf(t, local.Spec{Servers: servers}, acks)
}

// bareOf is bare with servers of a special kind.
func bareOf(t *testing.T, spec local.Spec, acks int) *cluster {
	t.Helper()
	binary, err := local.Find("")
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := local.Start(t.Context(), binary, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fleet.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &cluster{t: t, fleet: fleet, storeAt: t.TempDir()}
	c.ruleset.Number, c.ruleset.Policy = 1, topology.Policy{Kind: topology.PolicySemiSync, Acks: acks} // as cmd/primacy numbers those of a file
	for i, s := range fleet.Servers {
		c.ruleset.Members = append(c.ruleset.Members, topology.Member{Address: topology.Address(s.Address()), Zone: string(rune('a' + i))})
	}
	return c
}

// started is bare with a control plane that has adopted the cluster and finds it healthy.
func started(t *testing.T, servers, acks int) *cluster {
	t.Helper()
	c := bare(t, servers, acks)
	c.startPlane()
	c.awaitHealthy()
	return c
}

func (c *cluster) startPlane() {
	c.t.Helper()
	p, err := c.blueprint().start(c.t.Context(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.plane = p
	c.watchOver(p)
}

// watchOver makes a control plane the one that the test speaks to, and ends it with the test.
func (c *cluster) watchOver(p control) {
	c.control = p
	c.t.Cleanup(func() {
		if c.control == p {
			c.stopPlane()
		}
	})
}

func (c *cluster) stopPlane() {
	c.t.Helper()
	p := c.control
	c.control, c.plane = nil, nil
	if err := p.stop(); err != nil {
		c.t.Error(err)
	}
}

func (c *cluster) view() orchestrator.View {
	c.t.Helper()
	v, err := c.control.view()
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}

// await waits until the view satisfies a condition; each round of probes is a new look.
func (c *cluster) await(what string, holds func(orchestrator.View) bool) orchestrator.View {
	c.t.Helper()
	var seen orchestrator.View
	c.eventually(what, func() bool {
		seen = c.view()
		return holds(seen)
	})
	return seen
}

// eventually asks until the answer is yes.
func (c *cluster) eventually(what string, holds func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.t.Fatalf("never saw: %s\n%s", what, c.describe())
		}
	}
}

// awaitRounds waits until the servers have been probed, and judged, so many times more.
func (c *cluster) awaitRounds(n int) orchestrator.View {
	c.t.Helper()
	last := c.view().At
	for range n {
		v := c.await("another round of probes", func(v orchestrator.View) bool { return v.At.After(last) })
		last = v.At
	}
	return c.view()
}

// awaitWholeRound waits for a round of probes in which none came late.
func (c *cluster) awaitWholeRound() orchestrator.View {
	c.t.Helper()
	last := c.view().At
	return c.await("a round of probes that reached all", func(v orchestrator.View) bool {
		return v.At.After(last) && v.Snapshot.Reached().Len() == len(v.Ruleset.Members)
	})
}

// serves tells whether an established primary takes writes and no change runs.
func serves(v orchestrator.View) bool {
	return v.Primary != "" && v.Running == nil && v.Snapshot.Server(v.Primary).Writable()
}

// awaitHealthy waits until the control plane acts and nothing at all is wrong, but for a cluster that is too small for its
// policy to survive a failure. One that has yet to get the lock sees a healthy cluster too, and refuses what it is asked for.
func (c *cluster) awaitHealthy() orchestrator.View {
	c.t.Helper()
	c.awaitRounds(2) // the view of a round that began before the call proves nothing
	return c.await("a healthy cluster", func(v orchestrator.View) bool {
		return v.Leading && serves(v) && v.Snapshot.Reached().Len() == len(v.Ruleset.Members) &&
			!slices.ContainsFunc(v.Findings, func(f topology.Finding) bool { return f.Code != topology.WouldBlock })
	})
}

// awaitNewPrimary waits until another server than the one named leads and takes writes.
func (c *cluster) awaitNewPrimary(old topology.Address) orchestrator.View {
	c.t.Helper()
	return c.await("a primary other than "+string(old), func(v orchestrator.View) bool { return serves(v) && v.Primary != old })
}

// awaitFinding waits for a finding about a server; an empty server stands for any.
func (c *cluster) awaitFinding(code topology.Code, server topology.Address) topology.Finding {
	c.t.Helper()
	var found topology.Finding
	c.await(fmt.Sprintf("finding %s of %s", code, server), func(v orchestrator.View) bool {
		f, ok := findingOf(v, code, server)
		found = f
		return ok
	})
	return found
}

func (c *cluster) awaitNoFinding(code topology.Code, server topology.Address) {
	c.t.Helper()
	c.await(fmt.Sprintf("the end of finding %s of %s", code, server), func(v orchestrator.View) bool {
		_, ok := findingOf(v, code, server)
		return !ok
	})
}

func findingOf(v orchestrator.View, code topology.Code, server topology.Address) (topology.Finding, bool) {
	for _, f := range v.Findings {
		if f.Code == code && (server == "" || f.Server == server) {
			return f, true
		}
	}
	return topology.Finding{}, false
}

// now is the number of the latest event; what follows has a higher one.
func (c *cluster) now() uint64 {
	c.t.Helper()
	var latest uint64
	for _, e := range c.control.events() {
		latest = e.ID
	}
	return latest
}

// awaitEvent waits until the stream holds an event, after the one with that number, for which the test
// is looking.
func (c *cluster) awaitEvent(after uint64, kind orchestrator.EventKind, wanted func(orchestrator.Event) bool) orchestrator.Event {
	c.t.Helper()
	var found orchestrator.Event
	c.eventually(fmt.Sprintf("an event %s", kind), func() bool {
		for _, e := range c.control.events() {
			if e.ID > after && e.Kind == kind && wanted(e) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// reparented asks for a change and waits until it has ended.
func (c *cluster) reparented(w orchestrator.Wish) reparent.Operation {
	c.t.Helper()
	op, err := c.control.reparent(w)
	if err == nil {
		op, err = c.control.await(op.ID)
	}
	if err != nil {
		c.t.Fatalf("%v\n%s", err, c.describe())
	}
	c.await("the end of the change", func(v orchestrator.View) bool { return v.Running == nil })
	return op
}

// blocked asks for a change that must not begin, and returns what stands against it.
func (c *cluster) blocked(w orchestrator.Wish) reparent.Obstacle {
	c.t.Helper()
	op, err := c.control.reparent(w)
	var blocked *orchestrator.BlockedError
	if !errors.As(err, &blocked) {
		c.t.Fatalf("a change that must be blocked began: %s %s, %v\n%s", op.ID, op.State, err, c.describe())
	}
	return blocked.Obstacle
}

func (c *cluster) acknowledge() {
	c.t.Helper()
	if err := c.control.acknowledge(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) recoveries() []reparent.Operation {
	c.t.Helper()
	all, err := c.control.recoveries()
	if err != nil {
		c.t.Fatal(err)
	}
	return all
}

// describe is what a failed test needs to be understood.
func (c *cluster) describe() string {
	if c.control == nil {
		return "no control plane runs"
	}
	v, err := c.control.view()
	if err != nil {
		return err.Error()
	}
	text := fmt.Sprintf("state %s, primary %s, term %d, refusal %q", v.State, v.Primary, v.Term, v.Refusal)
	for _, f := range v.Findings {
		text += fmt.Sprintf("\n  %s %s %s: %s [%s]", f.Severity, f.Code, f.Server, f.Message, f.WhyNot)
		for _, e := range f.Evidence {
			text += fmt.Sprintf("\n    %s %s: %s", e.By, e.Server, e.Fact)
		}
	}
	for _, o := range v.Snapshot.Servers {
		text += fmt.Sprintf("\n  %s %s ro=%v super=%v off=%v executed=%s received=%s semi=%+v %s", o.Address, o.Reach, o.ReadOnly, o.SuperReadOnly, o.OfflineMode, o.Executed, o.Received, o.SemiSync, o.Error)
		if o.Replication != nil {
			text += fmt.Sprintf("\n     %+v", *o.Replication)
		}
	}
	for _, e := range c.control.events() {
		text += fmt.Sprintf("\n  %s %s %s", e.At.Format("15:04:05.000"), e.Kind, e.Text)
	}
	return text
}

// server is the process behind a member's address.
func (c *cluster) server(a topology.Address) *local.Server {
	c.t.Helper()
	own := string(a)
	if c.at != nil {
		own = c.at(a)
	}
	s := c.fleet.Server(own)
	if s == nil {
		c.t.Fatalf("no server %s", a)
	}
	return s
}

// members are the addresses of all servers but those named.
func (c *cluster) members(except ...topology.Address) []topology.Address {
	return c.ruleset.Servers().Without(except...).List()
}

func (c *cluster) kill(a topology.Address) {
	c.t.Helper()
	if err := c.server(a).Kill(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) restart(a topology.Address) {
	c.t.Helper()
	if err := c.server(a).Start(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) freeze(a topology.Address) {
	c.t.Helper()
	if err := c.server(a).Freeze(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) thaw(a topology.Address) {
	c.t.Helper()
	if err := c.server(a).Thaw(); err != nil {
		c.t.Fatal(err)
	}
}

// write starts clients that write to whichever server takes writes.
func (c *cluster) write(writers int) *workload.Client {
	c.t.Helper()
	var addresses []string
	for _, s := range c.fleet.Servers {
		addresses = append(addresses, s.Address())
	}
	client, err := workload.Start(c.t.Context(), workload.Settings{
		Addresses: addresses, User: c.fleet.Users.App.Name, Password: c.fleet.Users.App.Password, Writers: writers,
		Timeout: time.Second,          // a server that was frozen holds a writer no longer
		Pause:   5 * time.Millisecond, // what is written here has to be caught up with by servers that were rebuilt
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(client.Stop)
	return client
}

func (c *cluster) awaitAcks(client *workload.Client, n int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := client.AwaitAcks(ctx, n); err != nil {
		c.t.Fatalf("%v\n%s", err, c.describe())
	}
}

// nothingLost stops the client, waits until the servers have converged, and judges what the client was
// told by the rows of every server: none that was acknowledged is missing, none that was refused is
// there, and each of the others is on all servers or on none. Servers that are quarantined or down are
// excepted by name.
func (c *cluster) nothingLost(client *workload.Client, except ...topology.Address) workload.Verdict {
	c.t.Helper()
	client.Stop()
	members := c.members(except...)
	c.converged(members...)
	var verdict workload.Verdict
	var first map[int64]bool
	for i, a := range members {
		rows := c.rows(a)
		verdict = workload.Judge(client.Writes(), rows)
		if !verdict.Good() || verdict.Acknowledged == 0 {
			c.t.Fatalf("on %s: %s (lost %v, ghosts %v)\n%s", a, verdict, verdict.Lost, verdict.Ghosts, c.describe())
		}
		if i == 0 {
			first = rows
		}
		if !maps.Equal(first, rows) {
			c.t.Fatalf("%s holds rows %v that %s lacks, and lacks %v", a, beyond(rows, first), members[0], beyond(first, rows))
		}
	}
	return verdict
}

func beyond(rows, others map[int64]bool) []int64 {
	return slices.Sorted(maps.Keys(maps.Collect(func(yield func(int64, bool) bool) {
		for id := range rows {
			if !others[id] && !yield(id, true) {
				return
			}
		}
	})))
}

func (c *cluster) rows(a topology.Address) map[int64]bool {
	c.t.Helper()
	rows, err := workload.Rows(c.t.Context(), c.server(a).AdminDSN())
	if err != nil {
		c.t.Fatal(err)
	}
	return rows
}

// converged waits until the named servers hold the same transactions as the primary, by a look that began
// after the call.
func (c *cluster) converged(servers ...topology.Address) {
	c.t.Helper()
	c.awaitRounds(2)
	c.await(fmt.Sprintf("%v at the primary's position", servers), func(v orchestrator.View) bool {
		primary := v.Snapshot.Server(v.Primary)
		if !serves(v) || primary.Executed.IsEmpty() || primary.SemiSync.Waiters > 0 {
			return false
		}
		return !slices.ContainsFunc(servers, func(a topology.Address) bool {
			o := v.Snapshot.Server(a)
			return !o.OK() || !o.Executed.Equal(primary.Executed)
		})
	})
}
