package orchestrator

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// deskHalter has a server obey: what is told to go is gone by the next round, and back by the one after.
type deskHalter struct {
	desk   *desk
	steps  []halt.Step
	answer func(ctx context.Context, t halt.Task) halt.Result
}

func (h *deskHalter) Halt(ctx context.Context, _ string, _ uint32, t halt.Task, _ func(string)) halt.Result {
	h.steps = append(h.steps, t.Step)
	if h.answer != nil {
		return h.answer(ctx, t)
	}
	o := h.desk.find(t.Server)
	switch t.Step {
	case halt.StepStop:
		o.Reach = topology.ReachRefused
		return halt.Result{Outcome: reparent.Yes, How: halt.HowRestart}
	}
	return halt.Result{Outcome: reparent.Yes, Detail: "done", UUID: o.UUID, Process: o.Incarnation}
}

func (d *desk) find(a topology.Address) *topology.Observation {
	i := slices.IndexFunc(d.servers, func(o topology.Observation) bool { return o.Address == a })
	return &d.servers[i]
}

// haltingDesk is a cluster of four in which a halt of C has begun.
func haltingDesk(t *testing.T, kind halt.Kind) (*desk, *deskHalter) {
	t.Helper()
	d := deskOf(t, topologytest.Cluster("A", "B", "C", "D").Acks(1))
	h := &deskHalter{desk: d}
	d.o.settings.Halter = h
	current, _ := d.lineage.History.Current()
	begun := halt.Begin(halt.Halt{ID: "shop-1", Cluster: "shop", Kind: kind, Servers: []topology.Address{"C"}, By: "ada", Reason: "disk"}, current, d.now)
	if !d.putHalt(t.Context(), begun, d.now) {
		t.Fatal("it was not put on record")
	}
	return d, h
}

// taken is the same cluster in the hands of another elector, which knows what is on record.
func taken(t *testing.T, from *desk) *desk {
	t.Helper()
	d := deskOf(t, topologytest.Cluster("A", "B", "C", "D").Acks(1))
	r, err := recordOf(DocumentOf(recordKey("shop"), from.documents[recordKey("shop")]), "shop", d.ruleset)
	if err != nil {
		t.Fatal(err)
	}
	d.record, d.servers, d.documents, d.now = r, from.servers, from.documents, from.now
	return d
}

func TestAHaltIsGoneOnWithByAnotherElectorAtWhicheverStepItStands(t *testing.T) {
	for rounds := range 9 {
		first, halter := haltingDesk(t, halt.KindRestart)
		turn := func(d *desk) {
			if o := d.find("C"); d.record.Halting != nil && d.record.Halting.Step == halt.StepStart {
				o.Reach, o.Incarnation = topology.ReachOK, "C/2"
			}
			d.round(t)
		}
		for range rounds {
			turn(first)
		}
		second := taken(t, first)
		halter.desk = second
		second.o.settings.Halter = halter
		for range 12 {
			turn(second)
		}
		var end storedHalt
		err := decode(DocumentOf("", second.documents[haltKey("shop", "shop-1")]), &end, &end.Version)
		if err != nil || end.Halt.State != halt.StateSucceeded || second.record.Halting != nil || len(second.record.Maintenance) > 0 {
			t.Errorf("after %d rounds of the first elector: %+v, %v", rounds, end.Halt, err)
		}
		ended := second
		if first.record.Halting == nil && rounds > 0 {
			ended = first
		}
		if v := ended.view(); v.Halting != nil || v.Halted == nil || v.Halted.State != halt.StateSucceeded {
			t.Errorf("after %d rounds of the first elector its end is not seen: %+v", rounds, v.Halted)
		}
		if want := []halt.Step{halt.StepCheck, halt.StepQuiesce, halt.StepStop}; !slices.Equal(halter.steps, want) {
			t.Errorf("after %d rounds of the first elector: %v", rounds, halter.steps)
		}
	}
}

func TestAServerThatIsStoppedIsUnderMaintenanceFromBeforeItIsClosed(t *testing.T) {
	d, h := haltingDesk(t, halt.KindStop)
	h.answer = func(_ context.Context, task halt.Task) halt.Result {
		note, under := d.record.Maintenance["C"]
		if under != (task.Step != halt.StepCheck) || under && note.Until.Sub(note.At) != halt.HoldDefault {
			t.Errorf("at %s: %+v", task.Step, d.record.Maintenance)
		}
		o := d.find("C")
		if task.Step == halt.StepStop {
			o.Reach = topology.ReachRefused
		}
		return halt.Result{Outcome: reparent.Yes, UUID: o.UUID, Process: o.Incarnation, How: halt.HowShutdown}
	}
	d.pass(t, 20*time.Second)
	if d.record.Halting != nil || len(d.record.Maintenance) != 1 {
		t.Errorf("%+v, %+v", d.record.Halting, d.record.Maintenance)
	}
	for _, f := range d.findings {
		if f.Server == "C" && f.Severity != topology.SeverityInfo {
			t.Errorf("that it went away is an incident: %s", f.Message)
		}
	}
}

func TestMaintenanceThatOthersHaveSetOutlivesAHalt(t *testing.T) {
	d, _ := haltingDesk(t, halt.KindStop)
	d.note("C", &Note{By: "eve", Reason: "disk"})
	d.pass(t, 5*time.Second)
	if _, err := d.cancelHalt(t.Context(), Order{By: "ada"}); err != nil && d.record.Halting != nil {
		t.Fatal(err)
	}
	if n := d.record.Maintenance["C"]; n.By != "eve" || !n.Until.IsZero() {
		t.Errorf("%+v", d.record.Maintenance)
	}
}

func TestACancelledHaltGivesItsServerBackAndDoesNothingMore(t *testing.T) {
	d, h := haltingDesk(t, halt.KindStop)
	h.answer = func(_ context.Context, task halt.Task) halt.Result {
		if task.Step == halt.StepQuiesce {
			return halt.Result{Outcome: reparent.Unknown}
		}
		return halt.Result{Outcome: reparent.Yes}
	}
	d.pass(t, 5*time.Second)
	if d.record.Halting == nil || d.record.Halting.Step != halt.StepQuiesce || len(d.record.Maintenance) != 1 {
		t.Fatalf("%+v", d.record.Halting)
	}
	end, err := d.cancelHalt(t.Context(), Order{By: "eve", Reason: "not today"})
	if err != nil || end.State != halt.StateCancelled || !strings.Contains(end.Detail, "eve") {
		t.Errorf("%+v, %v", end, err)
	}
	before := len(h.steps)
	d.pass(t, 5*time.Second)
	if d.record.Halting != nil || len(d.record.Maintenance) > 0 || len(h.steps) != before {
		t.Errorf("%+v, %+v, %v", d.record.Halting, d.record.Maintenance, h.steps)
	}
}

func TestAChangeOfThePrimaryCutsTheStepOfAHaltShort(t *testing.T) {
	d, h := haltingDesk(t, halt.KindStop)
	began := make(chan struct{})
	h.answer = func(ctx context.Context, _ halt.Task) halt.Result {
		close(began)
		<-ctx.Done()
		return halt.Result{Outcome: reparent.Unknown, Detail: "cut off"}
	}
	d.look(t)
	d.goOnHalting(t.Context(), d.now)
	<-began
	d.endHalting()
	d.workers.Wait()
	for d.next(t.Context()) {
	}
	if d.spell != nil || d.record.Halting == nil || d.record.Halting.Step != halt.StepCheck {
		t.Errorf("%+v", d.record.Halting)
	}
}

// What a closed server has received may take minutes to apply, and writes wait for its acknowledgements meanwhile.
func TestAServerThatIsBeingClosedIsGivenBackWhenWritesWaitForItsAcknowledgements(t *testing.T) {
	d, halter := haltingDesk(t, halt.KindStop)
	closing := make(chan struct{})
	halter.answer = func(ctx context.Context, task halt.Task) halt.Result {
		if task.Step == halt.StepQuiesce {
			close(closing)
			<-ctx.Done()
			return halt.Result{Outcome: reparent.Unknown, Detail: "cut off"}
		}
		return halt.Result{Outcome: reparent.Yes}
	}
	for d.record.Halting.Step != halt.StepQuiesce {
		d.round(t)
	}
	d.look(t)
	d.goOnHalting(t.Context(), d.now)
	<-closing
	d.find("A").SemiSync.Clients = 0
	d.find("C").OfflineMode = true
	for _, a := range []topology.Address{"B", "C", "D"} {
		d.find(a).Replication.Receiver = topology.ThreadOff
	}
	d.look(t)
	d.now = d.now.Add(4 * time.Second)
	d.goOnHalting(t.Context(), d.now)
	d.workers.Wait()
	for d.next(t.Context()) {
	}
	d.pass(t, 2*time.Second)
	if h := d.record.Halting; h != nil || len(d.record.Maintenance) > 0 {
		t.Errorf("%+v, kept out: %v", h, d.record.Maintenance)
	}
}

func TestNoServerIsSettledWhileOthersAreStopped(t *testing.T) {
	d, h := haltingDesk(t, halt.KindStop)
	h.answer = func(context.Context, halt.Task) halt.Result { return halt.Result{Outcome: reparent.Unknown} }
	bench := &deskBench{}
	d.o.settings.Bench, d.o.settings.Errant.Policy = bench, settle.PolicyAuto
	d.find("D").Executed = d.find("D").Executed.Union(strayOf("D"))
	d.pass(t, 2*time.Minute)
	if d.lineage.Settling != nil || d.stint != nil || len(bench.steps) > 0 {
		t.Errorf("%+v", d.lineage.Settling)
	}
	d.look(t)
	if err := d.maySettle(*rewindOf("D"), d.now); !errors.Is(err, ErrCannotSettle) || !strings.Contains(err.Error(), "under way") {
		t.Errorf("by hand: %v", err)
	}
}

// townHalter obeys nobody: what is begun in a town stays at its first step.
type townHalter struct{}

func (townHalter) Halt(_ context.Context, _ string, term uint32, t halt.Task, _ func(string)) halt.Result {
	if term == 0 && t.Server != "C" {
		return halt.Result{Outcome: reparent.Yes}
	}
	return halt.Result{Outcome: reparent.Unknown, Detail: "GRANT SHUTDOWN is lacking"}
}

func TestStoppingIsAskedForOnceAndWithAReason(t *testing.T) {
	inTown(t, 1, func(t *testing.T, w *town) {
		ctx, cluster := context.Background(), w.names[0]
		e := w.join("one", func(s *Settings) { s.Halter = townHalter{} })
		defer e.stop()
		pass(10 * time.Second)
		wish := func(kind halt.Kind, key string, servers ...topology.Address) HaltWish {
			return HaltWish{Cluster: cluster, Kind: kind, Servers: servers, Order: Order{By: "ada", Reason: "disk", Call: reparent.Call{Key: key, Digest: key}}}
		}
		refused := map[string]struct {
			wish HaltWish
			err  error
		}{
			"a server that nobody knows":    {wish(halt.KindStop, "", "X"), ErrNoSuchServer},
			"two at once":                   {wish(halt.KindStop, "", "B", "C"), ErrBadWish},
			"one twice":                     {wish(halt.KindRestart, "", "B", "B"), ErrBadWish},
			"a successor that nobody knows": {HaltWish{Cluster: cluster, Kind: halt.KindRestart, Terms: halt.Terms{To: "X"}, Order: Order{Reason: "disk"}}, ErrNoSuchServer},
			"no reason":                     {HaltWish{Cluster: cluster, Kind: halt.KindRestart}, ErrBadWish},
			"a server that would not obey":  {wish(halt.KindStop, "", "C"), ErrCannotHalt},
		}
		for name, row := range refused {
			if _, err := e.Halt(ctx, row.wish); !errors.Is(err, row.err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		dry := wish(halt.KindStop, "", "B")
		dry.DryRun = true
		if a, err := e.Halt(ctx, dry); err != nil || len(a.Plan) != 1 || len(a.Plan[0].Steps) != 4 {
			t.Errorf("%+v, %v", a, err)
		}
		if all, err := e.Halts(ctx, cluster, 5); err != nil || len(all) != 0 {
			t.Fatalf("a dry run is on record: %+v, %v", all, err)
		}
		first, err := e.Halt(ctx, wish(halt.KindStop, "k", "B"))
		again, err2 := e.Halt(ctx, wish(halt.KindStop, "k", "B"))
		if err != nil || err2 != nil || first.Halt.ID != again.Halt.ID {
			t.Errorf("%v, %v, %s and %s", err, err2, first.Halt.ID, again.Halt.ID)
		}
		if _, err := e.Halt(ctx, wish(halt.KindStop, "l", "B")); !errors.Is(err, ErrCannotHalt) {
			t.Errorf("a second one beside it: %v", err)
		}
		if v, err := e.Cluster(cluster); err != nil || v.Halting == nil || v.Halting.ID != first.Halt.ID {
			t.Errorf("%+v, %v", v.Halting, err)
		}
		end, err := e.CancelHalt(ctx, cluster, Order{By: "ada", Reason: "not today"})
		all, err2 := e.Halts(ctx, cluster, 5)
		if err != nil || err2 != nil || len(all) != 1 || all[0].State != halt.StateCancelled || end.ID != first.Halt.ID {
			t.Errorf("%+v, %v, %v", all, err, err2)
		}
		if _, err := e.CancelHalt(ctx, cluster, Order{By: "ada"}); !errors.Is(err, ErrCannotHalt) {
			t.Errorf("with nothing under way: %v", err)
		}
	})
}
