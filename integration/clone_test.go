package integration

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// workshop is a fleet of four without a control plane, with the bench that settlements are worked on. The first server is
// the primary; the last one holds a row that nobody else has.
type workshop struct {
	*cluster
	bench  *mysqld.Fleet
	task   settle.Task
	term   uint32
	told   []settle.Progress
	errant *local.Server
}

func newWorkshop(t *testing.T, spec local.Spec) *workshop {
	t.Helper()
	c := bareOf(t, spec, 1)
	b := mysqld.NewFleet(mysqld.Settings{
		User: c.fleet.Users.Primacy.Name, Password: fixed(c.fleet.Users.Primacy.Password), Elector: "test", Log: slog.New(slog.DiscardHandler),
		ReplicationUser: c.fleet.Users.Replica.Name, ReplicationPassword: fixed(c.fleet.Users.Replica.Password), ProbeTimeout: 3 * time.Second,
	})
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &workshop{cluster: c, bench: b, term: 1, errant: c.fleet.Servers[len(c.fleet.Servers)-1]}
	b.Watch(clusterName, c.members())
	x := topology.Address(w.errant.Address())
	c.byHand(c.addressOf(0), "SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF", "CREATE TABLE app.writes (id BIGINT PRIMARY KEY, v INT)", "INSERT INTO app.writes VALUES (1, 1)")
	w.held(x, "the primary's row", w.observed(c.addressOf(0)).Executed)
	c.byHand(x, "STOP REPLICA", "SET GLOBAL super_read_only = OFF", "INSERT INTO app.writes VALUES (2, 2)", "SET GLOBAL super_read_only = ON")
	p, o := w.observed(c.addressOf(0)), w.observed(x)
	w.task = settle.Task{
		Settlement: "1", Kind: settle.KindClone, Cluster: clusterName, Server: x, Set: o.Executed.Subtract(p.Executed),
		Primary: p.Address, PrimaryUUID: p.UUID, Donor: c.addressOf(1), Members: c.members(),
	}
	return w
}

func (c *cluster) addressOf(i int) topology.Address {
	return topology.Address(c.fleet.Servers[i].Address())
}

func (w *workshop) observed(a topology.Address) topology.Observation {
	w.t.Helper()
	o := w.bench.Probe(w.t.Context(), a)
	if !o.OK() {
		w.t.Fatalf("%s: %s", a, o.Error)
	}
	return o
}

func (w *workshop) held(a topology.Address, what string, s gtid.Set) {
	w.t.Helper()
	w.eventually(what, func() bool { return w.bench.Probe(w.t.Context(), a).Executed.Contains(s) })
}

func (w *workshop) step(s settle.Step) settle.Result {
	w.t.Helper()
	return w.stepIn(w.t.Context(), s)
}

func (w *workshop) stepIn(ctx context.Context, s settle.Step) settle.Result {
	w.t.Helper()
	t := w.task
	t.Step = s
	r := w.bench.Work(ctx, clusterName, w.term, t, func(p settle.Progress) { w.told = append(w.told, p) })
	w.t.Logf("%s: %s %s %s (%s)", s, r.Outcome, r.Code, r.Detail, r.Took.Round(time.Millisecond))
	return r
}

// does repeats a step as long as nobody knows what came of it, as the loop does.
func (w *workshop) does(s settle.Step) settle.Result {
	w.t.Helper()
	var r settle.Result
	w.eventually("the end of "+string(s), func() bool {
		r = w.step(s)
		return r.Outcome != reparent.Unknown
	})
	if r.Outcome != reparent.Yes {
		w.t.Fatalf("%s: %+v", s, r)
	}
	return r
}

func (w *workshop) settles() {
	w.t.Helper()
	for _, s := range []settle.Step{settle.StepCheck, settle.StepIsolate, settle.StepClone, settle.StepAdmit} {
		w.does(s)
	}
}

// isCopy claims that the server has its donor's rows and GTIDs, its own row no longer, and no channel; and that it
// follows the primary and acknowledges then.
func (w *workshop) isCopy() {
	w.t.Helper()
	x := w.task.Server
	o := w.observed(x)
	if o.Position().Intersects(w.task.Set) || !w.rows(x)[1] || w.rows(x)[2] {
		w.t.Errorf("it holds %s and the rows %v", o.Position(), w.rows(x))
	}
	if o.Replication != nil || !o.Closed() || o.SemiSync.SourceEnabled {
		w.t.Errorf("it is not as a server that joins: %+v", o)
	}
	w.joins()
}

func (w *workshop) joins() {
	w.t.Helper()
	x, p := w.task.Server, w.observed(w.task.Primary)
	result := w.bench.Do(w.t.Context(), orchestrator.Batch{Commands: []reparent.Command{{
		Verb: reparent.Follow, Server: x, Cluster: clusterName, Term: w.term, Deadline: patience, Source: w.task.Primary, Acker: true, Within: p.Executed,
	}}})[0]
	if !result.Done() {
		w.t.Fatalf("it does not follow: %+v", result)
	}
	w.byHand(w.task.Primary, "INSERT INTO app.writes VALUES (3, 3)")
	w.eventually("a row written after the clone", func() bool { return w.rows(x)[3] })
	if o := w.observed(x); !o.SemiSync.ReplicaActive || o.OfflineMode {
		w.t.Errorf("it does not acknowledge, or serves nobody: %+v", o)
	}
}

func TestAnErrantServerIsClonedAndJoins(t *testing.T) {
	w := newWorkshop(t, local.Spec{Servers: 4})
	w.settles()
	w.isCopy()
}

func TestACloneWithoutASupervisorWaitsForSomebodyToStartTheServer(t *testing.T) {
	w := newWorkshop(t, local.Spec{Servers: 4, Unsupervised: true})
	w.does(settle.StepCheck)
	w.does(settle.StepIsolate)
	exited := w.errant.Exited()
	if r := w.step(settle.StepClone); r.Outcome != reparent.Unknown || r.Code != "start_it" {
		t.Fatalf("%+v", r)
	}
	<-exited
	if r := w.step(settle.StepClone); r.Outcome != reparent.Unknown || r.Code != "start_it" {
		t.Fatalf("while it is down: %+v", r)
	}
	if err := w.errant.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.does(settle.StepClone)
	w.does(settle.StepAdmit)
	w.isCopy()
}

// Whatever ends a clone half way leaves a server that says that it holds nothing; the same step, done again, ends well.
func TestACloneThatIsCutOffLeavesAnEmptyServerAndIsDoneAgain(t *testing.T) {
	w := newWorkshop(t, local.Spec{Servers: 4})
	w.enlarge()
	w.does(settle.StepCheck)
	w.does(settle.StepIsolate)
	w.task.RateMax = 20

	t.Log("its time is over")
	ctx, cancel := context.WithCancel(t.Context())
	r := w.cutOff(ctx, cancel)
	w.isEmptied(r)

	t.Log("it takes too long")
	w.task.TimeMax = time.Millisecond
	r = w.step(settle.StepClone)
	w.isEmptied(r)
	if r.Outcome != reparent.No || r.Code != "too_long" || r.Final {
		t.Errorf("a clone that takes too long: %+v", r)
	}
	w.task.TimeMax = 0

	t.Log("the recipient dies")
	r = w.cutOff(t.Context(), func() {
		w.kill(w.task.Server)
		w.restart(w.task.Server)
	})
	w.isEmptied(r)

	t.Log("the donor dies")
	r = w.cutOff(t.Context(), func() { w.kill(w.task.Donor) })
	w.isEmptied(r)
	if r.Outcome != reparent.No || r.Code != "donor" || r.Final {
		t.Errorf("the donor's death: %+v", r)
	}

	t.Log("a higher term acts")
	w.restart(w.task.Donor) // whoever may hold the errant transactions has to be asked
	w.task.Donor = w.addressOf(2)
	r = w.cutOff(t.Context(), func() {
		begun := time.Now()
		result := w.bench.Do(t.Context(), orchestrator.Batch{Commands: []reparent.Command{{Verb: reparent.Freeze, Server: w.task.Server, Cluster: clusterName, Term: 2, Deadline: patience}}})[0]
		t.Logf("frozen under the next term after %s: %s %s", time.Since(begun).Round(time.Millisecond), result.Outcome, result.Detail)
		if !result.Done() {
			t.Errorf("a clone keeps a higher term out: %+v", result)
		}
	})
	if r.Outcome == reparent.Yes {
		t.Errorf("%+v", r)
	}

	t.Log("the recipient does not answer for three seconds")
	w.term, w.task.RateMax, w.task.StallMax = 2, 20, 8*time.Second
	r = w.cutOff(t.Context(), func() {
		if err := w.errant.Freeze(); err != nil {
			t.Fatal(err)
		}
		w.bench.Probe(t.Context(), w.task.Server) // waits for it in vain
		if err := w.errant.Thaw(); err != nil {
			t.Fatal(err)
		}
	})
	if r.Outcome == reparent.No {
		t.Errorf("a clone that goes on was ended: %+v", r)
	}
	w.does(settle.StepClone)
	w.does(settle.StepAdmit)
	w.isCopy()
	if len(w.told) == 0 {
		t.Error("nobody was told how far the clone was")
	}
}

// cutOff runs the clone until it copies, has something happen to it, and returns what came of it.
func (w *workshop) cutOff(ctx context.Context, happens func()) settle.Result {
	w.t.Helper()
	came := make(chan settle.Result, 1)
	go func() { came <- w.stepIn(ctx, settle.StepClone) }()
	session, copies := w.root(w.task.Server), 0
	w.eventually("a clone that copies", func() bool {
		query := "SELECT COUNT(*) FROM performance_schema.clone_progress WHERE stage = 'FILE COPY' AND state = 'In Progress' AND data > 0"
		ctx, cancel := context.WithTimeout(w.t.Context(), patience)
		defer cancel()
		return session.QueryRowContext(ctx, query).Scan(&copies) == nil && copies == 1
	})
	happens()
	select {
	case r := <-came:
		return r
	case <-time.After(patience):
		w.t.Fatal("the step does not end")
		return settle.Result{}
	}
}

func (w *workshop) isEmptied(r settle.Result) {
	w.t.Helper()
	if o := w.observed(w.task.Server); !o.Position().IsEmpty() || r.Outcome == reparent.Yes {
		w.t.Errorf("%+v; it says that it holds %s", r, o.Position())
	}
	if r := w.step(settle.StepAdmit); r.Outcome != reparent.No {
		w.t.Errorf("an empty server is admitted: %+v", r)
	}
}

// enlarge gives the servers more than a donor sends in its first second, in which it keeps to no limit.
func (w *workshop) enlarge() {
	w.t.Helper()
	w.byHand(w.task.Primary, "CREATE TABLE app.large (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)",
		"INSERT INTO app.large (v) VALUES "+strings.TrimSuffix(strings.Repeat("(REPEAT('x', 1000000)), ", 16), ", "),
		"INSERT INTO app.large (v) SELECT v FROM app.large", "INSERT INTO app.large (v) SELECT v FROM app.large", "INSERT INTO app.large (v) SELECT v FROM app.large")
	for _, donor := range []int{1, 2} {
		w.held(w.addressOf(donor), "the large table", w.observed(w.task.Primary).Executed)
	}
}

// What a server acknowledged may be nowhere else. Its relay logs are not dropped before the others have it.
func TestWhatTheServerAcknowledgedIsNotDroppedBeforeOthersHoldIt(t *testing.T) {
	w := newWorkshop(t, local.Spec{Servers: 3})
	x, p := w.task.Server, w.task.Primary
	w.byHand(x, "START REPLICA")
	w.eventually("a receiver that runs", func() bool { r := w.observed(x).Replication; return r != nil && r.Receiver == topology.ThreadOn })
	w.byHand(x, "STOP REPLICA SQL_THREAD")
	w.byHand(w.addressOf(1), "STOP REPLICA IO_THREAD")
	w.byHand(p, "INSERT INTO app.writes VALUES (5, 5)") // which only the errant server acknowledges
	if r := w.step(settle.StepIsolate); r.Outcome != reparent.No || r.Code != "only_copy" {
		t.Fatalf("%+v", r)
	}
	o := w.observed(x)
	if o.Unapplied().IsEmpty() || o.Replication == nil || o.Replication.Receiver != topology.ThreadOn {
		t.Errorf("it dropped what it acknowledged, or receives no longer: %+v", o.Replication)
	}
	w.byHand(w.addressOf(1), "START REPLICA IO_THREAD")
	w.eventually("another receiver that runs", func() bool { return w.observed(w.addressOf(1)).Replication.Receiver == topology.ThreadOn })
	w.does(settle.StepIsolate)
	if o := w.observed(x); !o.Received.IsEmpty() || o.Replication != nil || !o.Position().Intersects(w.task.Set) {
		t.Errorf("%+v", o)
	}
}

// The kernel of a server that hangs accepts connections for it. A step that waited for a greeting would keep the settlement
// until somebody calls it off.
func TestAStepOnAServerThatHangsComesToAnEnd(t *testing.T) {
	w := newWorkshop(t, local.Spec{Servers: 4})
	w.freeze(w.task.Server)
	came := make(chan settle.Result, 1)
	go func() { came <- w.step(settle.StepIsolate) }()
	select {
	case r := <-came:
		if r.Outcome == reparent.Yes || r.Final || !strings.Contains(r.Detail, string(w.task.Server)) {
			t.Errorf("%+v", r)
		}
	case <-time.After(patience):
		t.Error("the step does not end")
	}
	w.thaw(w.task.Server)
	w.does(settle.StepIsolate)
}

func TestACloneNamesThePrivilegeThatIsMissing(t *testing.T) {
	w := newWorkshop(t, local.Spec{Servers: 4})
	account := "'" + w.fleet.Users.Primacy.Name + "'@'%'"
	for _, row := range []struct {
		server    topology.Address
		privilege string
	}{{w.task.Server, "CLONE_ADMIN"}, {w.task.Donor, "BACKUP_ADMIN"}} {
		w.unrecorded(row.server, "REVOKE "+row.privilege+" ON *.* FROM "+account)
		if r := w.step(settle.StepCheck); r.Outcome != reparent.No || !r.Final || !strings.Contains(r.Detail, "GRANT "+row.privilege) || !strings.Contains(r.Detail, string(row.server)) {
			t.Errorf("without %s: %+v", row.privilege, r)
		}
		w.unrecorded(row.server, "GRANT "+row.privilege+" ON *.* TO "+account)
	}
	t.Log("what it received and the primary has not executed is kept")
	w.task.Set = gtid.Set{}
	if r := w.step(settle.StepCheck); r.Outcome != reparent.No || r.Code != "only_copy" {
		t.Errorf("%+v", r)
	}
	if !w.rows(w.task.Server)[2] {
		t.Error("its row is gone")
	}
}
