package orchestrator

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// deskBench does every step at once, or when its test lets it.
type deskBench struct {
	steps  []settle.Step
	answer func(ctx context.Context, t settle.Task) settle.Result
}

func (*deskBench) Decode(_ context.Context, _ topology.Address, set gtid.Set, _ settle.Limits) (settle.Transcript, error) {
	return settle.Transcript{Set: set}, nil
}

func (b *deskBench) Work(ctx context.Context, _ string, _ uint32, t settle.Task, _ func(settle.Progress)) settle.Result {
	b.steps = append(b.steps, t.Step)
	if b.answer != nil {
		return b.answer(ctx, t)
	}
	return settle.Result{Outcome: reparent.Yes, Detail: "done"}
}

// strayed is a cluster of four whose D holds a transaction of its own.
func strayed() *topologytest.Builder {
	return topologytest.Cluster("A", "B", "C", "D").Acks(1).Edit("D", func(o *topology.Observation) {
		o.Executed = o.Executed.Union(strayOf("D"))
	})
}

func strayOf(a topology.Address) gtid.Set {
	return gtid.Range(gtid.Source{UUID: topologytest.UUID(a)}, 1, 1)
}

// settlingDesk has an elector with a bench act for the cluster of strayed, and goes on with what is on record.
func settlingDesk(t *testing.T, bench *deskBench, s *settle.Settlement) *desk {
	t.Helper()
	d := deskOf(t, strayed())
	d.o.settings.Bench, d.lineage.Settling = bench, s
	return d
}

func rewindOf(a topology.Address) *settle.Settlement {
	s := settle.Begin(settle.Settlement{ID: "shop-1", Cluster: "shop", Server: a, Kind: settle.KindRewind, Set: strayOf(a), Term: 1, By: "ada", Reason: "test"}, topologytest.Now)
	return &s
}

func TestASettlementIsGoneOnWithByAnotherElectorAtWhicheverStepItStands(t *testing.T) {
	steps := settle.KindRewind.Steps()
	for done := range len(steps) {
		bench := &deskBench{}
		first := settlingDesk(t, bench, rewindOf("D"))
		for range done {
			first.round(t)
		}
		second := settlingDesk(t, bench, first.lineage.Settling)
		if text := first.documents[lineageKey("shop")]; done > 0 {
			kept, err := lineageOf(DocumentOf(lineageKey("shop"), text), "shop")
			if err != nil {
				t.Fatal(err)
			}
			second.lineage.Settling = kept.Settling
		}
		for range len(steps) - done {
			second.round(t)
		}
		if !slices.Equal(bench.steps, steps) || second.lineage.Settling != nil {
			t.Errorf("after %d steps of the first elector: %v, still %+v", done, bench.steps, second.lineage.Settling)
		}
		var end storedSettlement
		if err := decode(DocumentOf("", second.documents[settlementKey("shop", "shop-1")]), &end, &end.Version); err != nil || end.Settlement.State != settle.StateSucceeded {
			t.Errorf("%+v, %v", end.Settlement, err)
		}
	}
}

func TestAChangeOfThePrimaryEndsTheStepUnderWayAndTakesNothingOfIt(t *testing.T) {
	began := make(chan struct{})
	bench := &deskBench{answer: func(ctx context.Context, _ settle.Task) settle.Result {
		close(began)
		<-ctx.Done()
		return settle.Result{Outcome: reparent.Yes, Detail: "too late"}
	}}
	d := settlingDesk(t, bench, rewindOf("D"))
	d.look(t)
	d.settleErrant(t.Context(), d.now)
	<-began
	d.endSettling()
	d.busy = true // from here on only the change writes the lineage
	d.workers.Wait()
	for d.next(t.Context()) {
	}
	if s := d.lineage.Settling; s == nil || s.Step != settle.StepExport || len(s.Stages) > 0 || d.stint != nil {
		t.Errorf("%+v", s)
	}
	if _, written := d.documents[lineageKey("shop")]; written {
		t.Error("the lineage was written beside the change")
	}
}

func TestAServerUnderSettlementIsNotRepaired(t *testing.T) {
	bench := &deskBench{answer: func(context.Context, settle.Task) settle.Result { return settle.Result{Outcome: reparent.Unknown} }}
	d := deskOf(t, topologytest.Cluster("A", "B", "C", "D").Acks(1).Stopped("D", "C")) // D is clean already, and not admitted yet
	s := rewindOf("D")
	s.Step = settle.StepAdmit
	d.o.settings.Bench, d.lineage.Settling = bench, s
	d.round(t)
	for _, c := range d.sent {
		if c.Server == "D" {
			t.Errorf("%s was sent", c)
		}
	}
	if len(d.sent) == 0 {
		t.Error("nothing was repaired at all, so nothing was tested")
	}
}

// Of two replicas one is gone while the other is settled, so each commit of the primary waits.
func TestAServerThatIsOnItsWayBackDoesNotWaitForTheAcknowledgementsThatItIsToGive(t *testing.T) {
	waiting := topologytest.Cluster("A", "B", "D").Acks(1).Stopped("D").Dead("B").Edit("A", func(o *topology.Observation) { o.SemiSync.Clients = 0 })
	revoked := waiting.Snapshot()
	for i := range revoked.Servers {
		if revoked.Servers[i].Address == "A" {
			revoked.Servers[i].SemiSync.Acks = topology.PoisonAcks
		}
	}
	for _, step := range settle.KindRewind.Steps() {
		for name, servers := range map[string][]topology.Observation{"waiting": waiting.Snapshot().Servers, "revoked": revoked.Servers} {
			bench := &deskBench{answer: func(context.Context, settle.Task) settle.Result { return settle.Result{Outcome: reparent.Unknown} }}
			d := deskOf(t, waiting)
			s := rewindOf("D")
			s.Step = step
			d.servers, d.o.settings.Bench, d.lineage.Settling = servers, bench, s
			d.round(t)
			if went, want := len(bench.steps) > 0, name == "waiting" && step.BringsBack(); went != want {
				t.Errorf("%s, while the primary is %s: it goes on: %v; %s", step, name, went, d.lineage.Settling.Detail)
			}
		}
	}
}

// Whoever dies at its last step would keep all other settlements, stops and rules waiting.
func TestASettlementIsCalledOffAtItsLastStepOnlyWhereItsServerDoesNotAnswer(t *testing.T) {
	for name, servers := range map[string]*topologytest.Builder{"reached": strayed(), "dead": strayed().Dead("D")} {
		d := deskOf(t, servers)
		s := rewindOf("D")
		s.Step, s.Kind = settle.StepAdmit, settle.KindClone
		d.o.settings.Bench, d.lineage.Settling = &deskBench{}, s
		d.look(t)
		if _, err := d.cancelSettling(t.Context(), "D", Order{By: "ada", Reason: "later"}); (err == nil) != (name == "dead") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatServersHoldByTheirGTIDsIsNotKeptWhileTheRowsOfOneAreUndone(t *testing.T) {
	for _, row := range []struct {
		kind   settle.Kind
		step   settle.Step
		errant bool // is to be kept
		dead   bool
		want   bool // that it stands in the way
	}{
		{settle.KindRewind, settle.StepCheck, true, false, false},
		{settle.KindRewind, settle.StepUndo, true, false, true},
		{settle.KindRewind, settle.StepAdmit, true, false, true},
		{settle.KindRewind, settle.StepUndo, true, true, false},
		{settle.KindRewind, settle.StepUndo, false, false, false},
		{settle.KindClone, settle.StepClone, true, false, true},
		{settle.KindKeep, settle.StepCatchUp, true, false, false},
	} {
		b := strayed().Dead("A")
		if row.dead {
			b = b.Dead("D")
		}
		d := deskOf(t, b)
		s := rewindOf("D")
		s.Kind, s.Step = row.kind, row.step
		d.o.settings.Bench, d.lineage.Settling = &deskBench{}, s
		d.look(t)
		_, err := d.granted(t.Context(), Wish{Cluster: "shop", Kind: reparent.KindEmergency, KeepErrant: row.errant, DryRun: true, Reason: "all hold it"}, d.lease, d.now)
		blocked, _ := errors.AsType[*BlockedError](err)
		if stands := blocked != nil && blocked.Obstacle.Code == "half_settled"; stands != row.want {
			t.Errorf("%+v: %v", row, err)
		}
	}
}

func TestWhatASettledServerHoldsBesidesCallsItOff(t *testing.T) {
	bench := &deskBench{}
	s := rewindOf("D")
	s.Set = gtid.Range(gtid.Source{UUID: topologytest.UUID("D")}, 7, 7)
	d := settlingDesk(t, bench, s)
	d.round(t)
	if len(bench.steps) > 0 || d.lineage.Settling != nil {
		t.Errorf("%v, %+v", bench.steps, d.lineage.Settling)
	}
}

func TestAStepThatFailsIsTriedAgainAndThenGivenUp(t *testing.T) {
	bench := &deskBench{answer: func(context.Context, settle.Task) settle.Result {
		return settle.Result{Outcome: reparent.No, Code: "unapplied", Detail: "not yet"}
	}}
	d := settlingDesk(t, bench, rewindOf("D"))
	d.pass(t, 1e9*600)
	if len(bench.steps) != settle.TriesMax || d.lineage.Settling != nil {
		t.Errorf("tried %d times, %+v", len(bench.steps), d.lineage.Settling)
	}
}

// TestACloneThatFailedIsTriedFromAnotherDonor has every clone fail, or come to nothing that anybody knows of.
func TestACloneThatFailedIsTriedFromAnotherDonor(t *testing.T) {
	for _, row := range []struct {
		name   string
		answer settle.Result
		want   []topology.Address
	}{
		{"it got nowhere", settle.Result{Outcome: reparent.No, Code: "stalled"}, []topology.Address{"B", "C", "B", "C"}},
		{"the donor is silent", settle.Result{Outcome: reparent.No, Code: "donor"}, []topology.Address{"B", "C", "B", "C"}},
		{"an error that is in no list", settle.Result{Outcome: reparent.No, Code: "error"}, []topology.Address{"B", "C", "B", "C"}},
		{"the server has no room", settle.Result{Outcome: reparent.No, Code: "disk"}, []topology.Address{"B", "B", "B", "B"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var donors []topology.Address
			bench := &deskBench{answer: func(_ context.Context, task settle.Task) settle.Result {
				if task.Step != settle.StepClone {
					return settle.Result{Outcome: reparent.Yes}
				}
				donors = append(donors, task.Donor)
				return row.answer
			}}
			s := rewindOf("D")
			s.Kind = settle.KindClone
			d := settlingDesk(t, bench, s)
			d.pass(t, 10*time.Minute)
			if !slices.Equal(donors, row.want) || d.lineage.Settling != nil {
				t.Errorf("cloned from %v, and then %+v", donors, d.lineage.Settling)
			}
		})
	}
}

// What the primary is about to get belongs to the history of its leadership before it gets it.
func TestWhatIsTakenIntoTheHistoryIsOnRecordBeforeThePrimaryGetsIt(t *testing.T) {
	for _, kind := range []settle.Kind{settle.KindKeep, settle.KindDiscard} {
		var d *desk
		bench := &deskBench{}
		bench.answer = func(_ context.Context, task settle.Task) settle.Result {
			kept, err := lineageOf(DocumentOf(lineageKey("shop"), d.documents[lineageKey("shop")]), "shop")
			if err != nil {
				t.Error(err)
			}
			current, _ := kept.History.Current()
			if on := current.Accepted["D"].Contains(strayOf("D")); on != task.Step.IntoHistory() {
				t.Errorf("%s of a %s: on record %v", task.Step, kind, on)
			}
			return settle.Result{Outcome: reparent.Yes, Detail: "done"}
		}
		s := rewindOf("D")
		s.Kind = kind
		d = settlingDesk(t, bench, s)
		for range kind.Steps() {
			d.round(t)
		}
		if !slices.Equal(bench.steps, kind.Steps()) || d.lineage.Settling != nil {
			t.Errorf("%v, still %+v", bench.steps, d.lineage.Settling)
		}
	}
}

func TestACallThatIsRepeatedFindsTheSettlementThatItBeganAndTheOneThatItCalledOff(t *testing.T) {
	d := settlingDesk(t, &deskBench{answer: func(context.Context, settle.Task) settle.Result { return settle.Result{Outcome: reparent.Unknown} }}, nil)
	began, ended := reparent.Call{Key: "k1", Digest: "a"}, reparent.Call{Key: "k2", Digest: "b"}
	s := rewindOf("D")
	s.Calls = []reparent.Call{began}
	d.concluded(t.Context(), *s)
	for _, call := range []reparent.Call{began, ended} {
		found, is, err := d.settled(t.Context(), Order{Call: call})
		if err != nil || is != (call == began) || is && found.ID != s.ID {
			t.Errorf("%v: %+v, %v, %v", call, found, is, err)
		}
	}
	if _, err := d.cancelSettling(t.Context(), "D", Order{By: "ada", Reason: "test", Call: ended}); err != nil {
		t.Fatal(err)
	}
	for _, call := range []reparent.Call{began, ended} {
		if found, is, err := d.settled(t.Context(), Order{Call: call}); err != nil || !is || found.State != settle.StateCancelled {
			t.Errorf("%v: %+v, %v, %v", call, found, is, err)
		}
	}
	if _, _, err := d.settled(t.Context(), Order{Call: reparent.Call{Key: "k1", Digest: "other"}}); !errors.Is(err, ErrCallReused) {
		t.Errorf("the key of another call: %v", err)
	}
	if _, _, err := d.settled(t.Context(), Order{Revisions: []string{"another"}}); !errors.Is(err, ErrOtherRevision) {
		t.Errorf("meant for another revision: %v", err)
	}
}

// readOnlyLease keeps nothing.
// TestAListOfSettlementsIsNoLongerThanAskedForWhileOneRuns has two that ended on record, and one under way.
func TestAListOfSettlementsIsNoLongerThanAskedForWhileOneRuns(t *testing.T) {
	d := settlingDesk(t, &deskBench{}, rewindOf("D"))
	for _, id := range []string{"shop-00", "shop-01"} {
		s := rewindOf("D").End(settle.StateFailed, "in vain", d.now)
		s.ID = id
		text, err := settlementDocument(s).Text()
		if err != nil {
			t.Fatal(err)
		}
		d.documents[settlementKey("shop", id)] = text
	}
	d.publish(d.now)
	for limit, want := range map[int][]string{0: {"shop-1", "shop-01", "shop-00"}, 1: {"shop-1"}, 2: {"shop-1", "shop-01"}, 3: {"shop-1", "shop-01", "shop-00"}} {
		var ids []string
		all, err := d.o.Settlements(t.Context(), "shop", limit)
		for _, s := range all {
			ids = append(ids, s.ID)
		}
		if err != nil || !slices.Equal(ids, want) {
			t.Errorf("%d at most: %v, %v", limit, ids, err)
		}
	}
	for id, want := range map[string]settle.State{"shop-1": settle.StateRunning, "shop-00": settle.StateFailed} {
		if s, _, err := d.o.Settlement(t.Context(), "shop", id); err != nil || s.ID != id || s.State != want {
			t.Errorf("%s: %+v, %v", id, s, err)
		}
	}
	if _, _, err := d.o.Settlement(t.Context(), "shop", "shop-0"); !errors.Is(err, ErrNoSuchRecovery) {
		t.Error(err)
	}
}

type readOnlyLease struct{ Lease }

func (readOnlyLease) Put(context.Context, ...Document) error {
	return errors.New("the disk of the store is full")
}

func TestASettlementThatCouldNotBeCalledOffOnRecordIsNotSaidToBe(t *testing.T) {
	d := settlingDesk(t, &deskBench{}, rewindOf("D"))
	d.lease = readOnlyLease{d.lease}
	s, err := d.cancelSettling(t.Context(), "D", Order{By: "ada", Reason: "later"})
	if err == nil || d.lineage.Settling == nil {
		t.Errorf("%s, %v, and still %+v", s.State, err, d.lineage.Settling)
	}
	d.lease = d.lease.(readOnlyLease).Lease
	if s, err = d.cancelSettling(t.Context(), "D", Order{By: "ada", Reason: "later"}); err != nil || s.State != settle.StateCancelled || d.lineage.Settling != nil {
		t.Errorf("%s, %v, and still %+v", s.State, err, d.lineage.Settling)
	}
}

// A keep was refused when the primary had half of it. A commit may still be on its way there when the keep ends: so the rest
// is taken out a while later, when no commit waits.
func TestWhatAKeepWasRefusedBelongsToTheHistoryNoLonger(t *testing.T) {
	source := gtid.Source{UUID: topologytest.UUID("D")}
	both, first := gtid.Range(source, 1, 2), gtid.Range(source, 1, 1)
	for _, row := range []struct {
		name    string
		waiters int
		want    gtid.Set
	}{
		{"nothing waits", 0, first},
		{"a commit waits for acknowledgements", 1, both},
	} {
		t.Run(row.name, func(t *testing.T) {
			var d *desk
			bench := &deskBench{answer: func(_ context.Context, task settle.Task) settle.Result {
				if !task.Step.IntoHistory() {
					return settle.Result{Outcome: reparent.Yes}
				}
				d.servers[0].Executed = d.servers[0].Executed.Union(first)
				d.servers[0].SemiSync.Waiters = row.waiters
				return settle.Result{Outcome: reparent.No, Code: "rows_differ", Final: true}
			}}
			s := rewindOf("D")
			s.Kind, s.Set = settle.KindKeep, both
			d = settlingDesk(t, bench, s)
			d.servers[3].Executed = d.servers[3].Executed.Union(both)
			accepted := func() gtid.Set {
				kept, err := lineageOf(DocumentOf(lineageKey("shop"), d.documents[lineageKey("shop")]), "shop")
				if err != nil {
					t.Fatal(err)
				}
				current, _ := kept.History.Current()
				return current.Accepted["D"]
			}
			d.pass(t, 30*time.Second)
			if d.lineage.Settling != nil || !accepted().Equal(both) {
				t.Fatalf("settling %+v, accepted %s", d.lineage.Settling, accepted())
			}
			d.pass(t, 2*time.Minute)
			if got := accepted(); !got.Equal(row.want) {
				t.Errorf("it ended with %s in the history, and should with %s", got, row.want)
			}
		})
	}
}
