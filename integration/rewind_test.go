package integration

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// errant is a cluster whose old primary has come back with transactions that nobody else has, and what rewinds it. The
// control plane is down meanwhile: each step is what the test makes of it.
type errant struct {
	*cluster
	old   topology.Address
	fleet *mysqld.Fleet
	term  uint32
	task  settle.Task
	told  []settle.Progress
	alone gtid.Set // all that it wrote alone, whatever the task says
}

// estrange makes the primary write alone, kills it, and lets another one take its place.
func estrange(t *testing.T, c *cluster, tables []string, alone func(topology.Address), after func(topology.Address)) *errant {
	t.Helper()
	c.startPlane()
	c.awaitHealthy()
	e := &errant{cluster: c, old: c.view().Primary}
	c.byHand(e.old, tables...)
	c.converged(c.members()...)
	c.stopPlane()
	for _, a := range c.members(e.old) {
		c.byHand(a, "STOP REPLICA IO_THREAD")
	}
	c.byHand(e.old, "SET GLOBAL rpl_semi_sync_source_enabled = OFF")
	alone(e.old)
	c.kill(e.old)
	c.startPlane()
	v := c.awaitNewPrimary(e.old)
	if after != nil {
		after(v.Primary)
	}
	c.restart(e.old)
	c.awaitFinding(topology.Errant, e.old)
	e.begin()
	return e
}

// begin ends the control plane and takes its term over.
func (e *errant) begin() {
	e.t.Helper()
	e.awaitRounds(2)
	v := e.view()
	primary := v.Snapshot.Server(v.Primary)
	e.term = v.Term
	e.task = settle.Task{
		Settlement: "s1", Kind: settle.KindRewind, Cluster: clusterName, Server: e.old, Primary: v.Primary, PrimaryUUID: primary.UUID,
		Members: e.members(), Set: v.Snapshot.Server(e.old).Position().Subtract(primary.Executed),
	}
	e.stopPlane()
	e.anew()
}

// anew is another process of the elector.
func (e *errant) anew() {
	e.t.Helper()
	if e.fleet != nil {
		if err := e.fleet.Close(); err != nil {
			e.t.Fatal(err)
		}
	}
	users := e.cluster.fleet.Users
	fleet := mysqld.NewFleet(mysqld.Settings{
		User: users.Primacy.Name, Password: fixed(users.Primacy.Password), ReplicationUser: users.Replica.Name,
		ReplicationPassword: fixed(users.Replica.Password), Elector: "test",
	})
	e.fleet = fleet
	e.t.Cleanup(func() {
		if err := fleet.Close(); err != nil {
			e.t.Error(err)
		}
	})
}

// work does one step, again as long as it is under way.
func (e *errant) work(step settle.Step) settle.Result {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), 2*patience)
	defer cancel()
	e.task.Step = step
	for {
		r := e.fleet.Work(ctx, clusterName, e.term, e.task, func(p settle.Progress) { e.told = append(e.told, p) })
		if r.Outcome != reparent.Unknown || ctx.Err() != nil {
			return r
		}
	}
}

func (e *errant) does(steps ...settle.Step) {
	e.t.Helper()
	for _, step := range steps {
		r := e.work(step)
		e.t.Logf("%-8s %8s %s", step, r.Took.Round(time.Millisecond), r.Detail)
		if r.Outcome != reparent.Yes {
			e.t.Fatalf("%s: %s (%s) %s", step, r.Outcome, r.Code, r.Detail)
		}
	}
}

// refuses claims that a step is refused for good, and that the server is as it was.
func (e *errant) refuses(step settle.Step, code string) {
	e.t.Helper()
	e.declines(step, code, true)
}

// declines claims that a step is refused, for good or until something else has changed, and that the server is as it was.
func (e *errant) declines(step settle.Step, code string, final bool) {
	e.t.Helper()
	before := e.state(e.old)
	r := e.work(step)
	e.t.Logf("%s %s: %s", step, r.Code, r.Detail)
	if r.Outcome != reparent.No || r.Final != final || r.Code != code {
		e.t.Errorf("%s: %s (%s, final %v) %s; expected that it is refused as %s", step, r.Outcome, r.Code, r.Final, r.Detail, code)
	}
	if now := e.state(e.old); now != before {
		e.t.Errorf("%s was changed, from\n%s\nto\n%s", e.old, before, now)
	}
}

var rewindSteps = []settle.Step{settle.StepCheck, settle.StepIsolate, settle.StepUndo, settle.StepCatchUp, settle.StepVerify, settle.StepAdmit}

// joins brings the control plane back and waits until the server is one like the others.
func (e *errant) joins() {
	e.t.Helper()
	if err := e.fleet.Close(); err != nil {
		e.t.Fatal(err)
	}
	e.startPlane()
	e.awaitHealthy()
	e.converged(e.members()...)
}

// alike claims that tables are the same everywhere, byte by byte.
func (e *errant) alike(tables ...string) {
	e.t.Helper()
	for _, table := range tables {
		want := e.table(e.task.Primary, "CHECKSUM TABLE "+table)
		for _, a := range []topology.Address{e.old, e.task.Primary} {
			if got := e.table(a, "CHECKSUM TABLE "+table); !slices.EqualFunc(got, want, slices.Equal) {
				e.t.Errorf("table %s: %v on %s, %v on the primary", table, got, a, want)
			}
		}
	}
}

func (e *errant) holds(a topology.Address) gtid.Set {
	e.t.Helper()
	executed, err := gtid.Parse(e.table(a, "SELECT @@GLOBAL.gtid_executed")[0][0])
	if err != nil {
		e.t.Fatal(err)
	}
	return executed
}

func TestAnErrantPrimaryIsRewoundAndLeadsAgain(t *testing.T) {
	c := bare(t, 3, 1)
	e := estrange(t, c, randomSchema, func(old topology.Address) { c.random(11, old).transactions(40) }, func(primary topology.Address) { c.random(12, primary).transactions(20) })
	e.does(rewindSteps...)
	if e.holds(e.old).Intersects(e.task.Set) {
		t.Error("its transactions are still in gtid_executed")
	}
	e.joins()
	e.alike(randomTables...)
	client := c.write(2)
	c.awaitAcks(client, 20)
	c.reparented(orchestrator.Wish{Kind: reparent.KindPlanned, To: e.old, By: "the test", Reason: "it is one like the others"})
	c.awaitAcks(client, 20)
	if now := c.view().Primary; now != e.old {
		t.Errorf("%s leads", now)
	}
	t.Log(c.nothingLost(client))
	e.alike(randomTables...)
}

// strayed is a cluster without a control plane, of which one replica can be made to go its own way again and again.
func strayed(t *testing.T, schema ...string) *errant {
	t.Helper()
	c := bare(t, 3, 1)
	primary, old := c.ruleset.Members[0].Address, c.ruleset.Members[2].Address
	c.byHand(primary, append([]string{"CREATE DATABASE _primacy"}, schema...)...)
	e := &errant{cluster: c, old: old, term: 1}
	e.anew()
	for _, a := range e.members() {
		e.eventually("the schema on all servers", func() bool { return e.holds(a).Contains(e.holds(primary)) })
	}
	p := e.probe(primary)
	e.task = settle.Task{Kind: settle.KindRewind, Cluster: clusterName, Server: old, Primary: primary, PrimaryUUID: p.UUID, Members: e.members()}
	return e
}

// strays takes the replica away from its source, and lets it write alone.
func (e *errant) strays(name string, alone func(topology.Address)) {
	e.t.Helper()
	e.task.Settlement = name
	e.byHand(e.old, "STOP REPLICA", "SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF")
	before := e.holds(e.old)
	alone(e.old)
	e.byHand(e.old, "SET GLOBAL super_read_only = ON")
	e.task.Set = e.holds(e.old).Subtract(before)
	e.alone = e.task.Set
}

// follows attaches the replica again, as a repair would do it, and waits until it has everything.
func (e *errant) follows() {
	e.t.Helper()
	r := e.attach()
	if r.Outcome != reparent.Yes {
		e.t.Fatalf("follow: %s %s %s", r.Outcome, r.Reason, r.Detail)
	}
	e.eventually("the replica at the primary's position", func() bool { return e.holds(e.old).Equal(e.holds(e.task.Primary)) })
}

// attach makes the replica follow the primary, unless it is errant.
func (e *errant) attach() reparent.Result {
	e.t.Helper()
	return e.fleet.Do(e.t.Context(), orchestrator.Batch{Commands: []reparent.Command{{
		Verb: reparent.Follow, Server: e.old, Cluster: clusterName, Term: e.term, Source: e.task.Primary, Acker: true, Within: e.holds(e.task.Primary),
	}}})[0]
}

// forgiven makes the replica as if it had never written, whatever its rows are.
func (e *errant) forgiven() {
	e.t.Helper()
	clean := e.holds(e.old).Subtract(e.alone)
	e.byHand(e.old, "RESET BINARY LOGS AND GTIDS", "SET GLOBAL gtid_purged = '"+clean.String()+"'")
}

// probe asks until it is answered: the machine may be busy.
func (e *errant) probe(a topology.Address) (o topology.Observation) {
	e.t.Helper()
	e.eventually("an answer of "+string(a), func() bool {
		o = e.fleet.Probe(e.t.Context(), a)
		return o.OK()
	})
	return o
}

func within(t *testing.T, text string) gtid.Set {
	t.Helper()
	set, err := gtid.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestRandomTransactionsAreUndoneToTheLastByte(t *testing.T) {
	e := strayed(t, randomSchema...)
	e.random(1, e.task.Primary).transactions(60)
	e.eventually("the first rows everywhere", func() bool { return e.holds(e.old).Contains(e.holds(e.task.Primary)) })
	for seed := range uint64(6) {
		e.strays(fmt.Sprint("seed-", seed), func(a topology.Address) { e.random(1000+seed, a).transactions(40) })
		rows := e.checksums(e.old)
		e.random(2000+seed, e.task.Primary).transactions(20)
		t.Logf("seed %d", seed)
		e.does(settle.StepCheck, settle.StepIsolate, settle.StepUndo)
		if now := e.checksums(e.old); slices.Equal(now, rows) {
			t.Error("the rows were no other: nothing was tested")
		}
		e.does(settle.StepCatchUp, settle.StepVerify, settle.StepAdmit)
		e.follows()
		e.alike(randomTables...)
	}
}

func (e *errant) checksums(a topology.Address) []string {
	e.t.Helper()
	var all []string
	for _, table := range randomTables {
		all = append(all, e.table(a, "CHECKSUM TABLE "+table)[0][1])
	}
	return all
}

// A server that was no acker may hold, received and not applied, what was cancelled.
func TestWhatWasOnlyReceivedIsDroppedAndWhatIsHalfAppliedIsUndone(t *testing.T) {
	for _, row := range []struct {
		name    string
		applied bool
	}{{"nothing of it is applied", false}, {"a part of it is applied", true}} {
		t.Run(row.name, func(t *testing.T) {
			e := strayed(t, fewTables...)
			wrote, next := e.task.Primary, e.members(e.old, e.task.Primary)[0]
			e.byHand(next, "STOP REPLICA")
			before := e.holds(next)
			if row.applied {
				e.byHand(wrote, "UPDATE app.goods SET stock = 1 WHERE id = 5")
				e.eventually("the first part", func() bool { return e.holds(e.old).Contains(e.holds(wrote)) })
			}
			e.byHand(e.old, "STOP REPLICA SQL_THREAD")
			e.byHand(wrote, "DELETE FROM app.goods WHERE id < 100", "UPDATE app.goods SET stock = -1")
			e.eventually("what is received", func() bool {
				old := e.probe(e.old)
				return old.Position().Contains(e.holds(wrote))
			})
			e.kill(wrote)
			e.byHand(next, "SET GLOBAL read_only = OFF", "UPDATE app.goods SET stock = 2 WHERE id = 6")
			old := e.probe(e.old)
			e.task.Set = old.Position().Subtract(before)
			e.task.Primary, e.task.PrimaryUUID = next, e.probe(next).UUID
			e.task.Settlement = "received"
			e.does(rewindSteps...)
			e.follows()
			e.alike("app.goods")
		})
	}
}
