package halt

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// yard is a cluster whose servers obey: what a halt asks for happens, and shows in the next sight.
type yard struct {
	t      *testing.T
	halt   Halt
	now    time.Time
	leader topology.Address
	term   uint32
	down   map[topology.Address]bool
	lives  map[topology.Address]int
	// disobeys is who does not come back, and answers what a task is answered with instead of a yes.
	disobeys topology.Address
	answers  func(Task) (Result, bool)
	builder  func() *topologytest.Builder

	log []string
}

func yardOf(t *testing.T, kind Kind, servers ...topology.Address) *yard {
	t.Helper()
	y := &yard{t: t, now: topologytest.Now, leader: "A", term: 1, down: map[topology.Address]bool{}, lives: map[topology.Address]int{}}
	y.builder = func() *topologytest.Builder { return topologytest.Cluster("A", "B", "C").Acks(1) }
	y.halt = Begin(Halt{ID: "shop-1", Cluster: "shop", Kind: kind, Servers: servers, By: "ada", Reason: "test", Terms: Terms{Wait: 30 * time.Second}}, y.sight().Leader, y.now)
	return y
}

func (y *yard) sight() Sight {
	b := y.builder().Primary(y.leader)
	for a, n := range y.lives {
		b = b.Edit(a, func(o *topology.Observation) { o.Incarnation = fmt.Sprintf("%s/%d", a, n+1) })
	}
	for a, is := range y.down {
		if is {
			b = b.Dead(a)
		}
	}
	if y.halt.Held != "" {
		b = b.Maintenance(y.halt.Held)
	}
	s := Sight{Snapshot: b.Snapshot()}
	h := b.History()
	last := &h.Leaderships[len(h.Leaderships)-1]
	last.Incarnation = s.Snapshot.Server(y.leader).Incarnation // it took over as the process that it is
	s.Leader, s.Led = h.Current()
	s.Leader.Term = y.term
	s.Findings = topology.Analyze(s.Snapshot, h, topologytest.Limits, s.Snapshot.At, nil)
	return s
}

// step asks once, and has it happen.
func (y *yard) step() {
	s := y.sight()
	action := y.halt.Next(s, y.now)
	y.halt = action.Then
	switch action.Do {
	case DoNothing:
	case DoMove:
		y.log = append(y.log, "move from "+string(y.leader))
		y.halt = y.halt.Moving("shop-0000000002", nil, y.now)
		y.leader, y.term = "B", y.term+1
	case DoWork:
		y.work(y.halt.Task(s.Leader))
	}
	for a := range y.down {
		if y.halt.Step == StepStart && a != y.disobeys {
			y.lives[a]++
			delete(y.down, a)
		}
	}
	y.now = y.now.Add(time.Second)
}

func (y *yard) work(t Task) {
	if y.answers != nil {
		if r, is := y.answers(t); is {
			y.halt = y.halt.Apply(r, y.now)
			return
		}
	}
	r := Result{Outcome: reparent.Yes, Detail: "done"}
	switch t.Step {
	case StepQuiesce:
		r.UUID, r.Process = topologytest.UUID(t.Server), fmt.Sprintf("%s/%d", t.Server, y.lives[t.Server]+1)
	case StepStop:
		if len(y.down) > 0 || t.Server == y.leader {
			y.t.Errorf("%s is stopped while %v is down and %s leads", t.Server, y.down, y.leader)
		}
		r.How = HowRestart
		y.down[t.Server] = true
		y.log = append(y.log, "stop "+string(t.Server))
	}
	y.halt = y.halt.Apply(r, y.now)
}

func (y *yard) run(seconds int) {
	for range seconds {
		if !y.halt.Running() {
			return
		}
		y.step()
	}
}

func (y *yard) ended(t *testing.T, state State, parts ...string) {
	t.Helper()
	if y.halt.State != state {
		t.Fatalf("%s, at %s of %s: %s; %v", y.halt.State, y.halt.Step, y.halt.Server(), y.halt.Detail, y.log)
	}
	for _, part := range parts {
		if !strings.Contains(y.halt.Detail, part) {
			t.Errorf("%q says nothing of %q", y.halt.Detail, part)
		}
	}
}

func TestARollingRestartTakesOneAfterTheOtherAndThePrimaryLastWhenAnotherLeads(t *testing.T) {
	y := yardOf(t, KindRestart, "A", "B", "C")
	y.run(100)
	y.ended(t, StateSucceeded)
	if want := []string{"stop B", "stop C", "move from A", "stop A"}; !slices.Equal(y.log, want) {
		t.Errorf("%v", y.log)
	}
	if y.halt.Held != "" {
		t.Errorf("%s is still kept out", y.halt.Held)
	}
	var steps []string
	for _, s := range y.halt.Stages {
		if s.Server == "A" {
			steps = append(steps, s.Name)
		}
	}
	if !slices.Equal(steps, []string{"check", "move", "hold", "quiesce", "stop", "start", "join"}) {
		t.Error(steps)
	}
}

func TestAStoppedServerStaysUnderMaintenance(t *testing.T) {
	y := yardOf(t, KindStop, "C")
	y.run(100)
	y.ended(t, StateSucceeded, "primacy maintenance C off")
	if y.halt.Held != "C" || !slices.Equal(y.log, []string{"stop C"}) {
		t.Errorf("%s is kept out, %v", y.halt.Held, y.log)
	}
}

func TestWhoeverLeadsIsStoppedWhenAnotherLeads(t *testing.T) {
	y := yardOf(t, KindStop, "A")
	y.run(100)
	y.ended(t, StateSucceeded)
	if want := []string{"move from A", "stop A"}; !slices.Equal(y.log, want) {
		t.Errorf("%v", y.log)
	}
}

func TestNobodyIsStoppedWithoutWhomCommitsWouldWait(t *testing.T) {
	y := yardOf(t, KindStop, "C")
	y.builder = func() *topologytest.Builder { return topologytest.Cluster("A", "B", "C").Acks(1).Stopped("B") }
	if why := y.halt.Hindered(y.sight()); !strings.Contains(why, "would wait") {
		t.Error(why)
	}
	y.run(60)
	y.ended(t, StateFailed, "C", "in vain", "would wait")
	if len(y.log) > 0 {
		t.Error(y.log)
	}
}

func TestAnAckerThatIsLostOnTheWayKeepsTheServerFromBeingStopped(t *testing.T) {
	for _, step := range []Step{StepHold, StepQuiesce, StepStop} {
		y := yardOf(t, KindStop, "C")
		for y.halt.Step != step {
			y.step()
		}
		y.builder = func() *topologytest.Builder { return topologytest.Cluster("A", "B", "C").Acks(1).Stopped("B") }
		y.run(60)
		y.ended(t, StateFailed, "would wait")
		if len(y.log) > 0 || y.halt.Held != "" {
			t.Errorf("at %s: %v, kept out: %s", step, y.log, y.halt.Held)
		}
	}
}

func TestAServerThatIsClosedIsGivenFreeWhenWritesWaitForItsAcknowledgements(t *testing.T) {
	for _, step := range []Step{StepHold, StepQuiesce, StepStop} {
		for _, closed := range []bool{false, true} {
			y := yardOf(t, KindStop, "C")
			for y.halt.Step != step {
				y.step()
			}
			y.builder = func() *topologytest.Builder {
				return topologytest.Cluster("A", "B", "C").Acks(1).Stopped("B", "C").
					Edit("A", func(o *topology.Observation) { o.SemiSync.Clients = 0 }).Edit("C", func(o *topology.Observation) { o.OfflineMode = closed })
			}
			y.run(10)
			if given := !y.halt.Running(); given != (closed && step != StepHold) {
				t.Errorf("at %s, closed: %v: it is %s: %s", step, closed, y.halt.State, y.halt.Detail)
			}
			if y.halt.Running() {
				continue
			}
			if y.ended(t, StateFailed, "given free again"); y.halt.Held != "" || len(y.log) > 0 {
				t.Errorf("%s is still kept out; %v", y.halt.Held, y.log)
			}
		}
	}
}

func TestARestartIsNotBegunBesideAMemberThatIsNotWell(t *testing.T) {
	rows := map[string]func(*topologytest.Builder) *topologytest.Builder{
		"one that does not answer":     func(b *topologytest.Builder) *topologytest.Builder { return b.Dead("D") },
		"one that does not replicate":  func(b *topologytest.Builder) *topologytest.Builder { return b.Stopped("D") },
		"one under maintenance":        func(b *topologytest.Builder) *topologytest.Builder { return b.Maintenance("D") },
		"one with errant transactions": func(b *topologytest.Builder) *topologytest.Builder { return b.Executed("D", "A:1-100,D:1") },
		"one that does not acknowledge": func(b *topologytest.Builder) *topologytest.Builder {
			return b.Edit("D", func(o *topology.Observation) { o.SemiSync.ReplicaActive = false })
		},
	}
	for name, spoil := range rows {
		t.Run(name, func(t *testing.T) {
			y := yardOf(t, KindRestart, "B")
			y.builder = func() *topologytest.Builder { return topologytest.Cluster("A", "B", "C", "D").Acks(1) }
			if why := y.halt.Hindered(y.sight()); why != "" {
				t.Fatalf("without it: %s", why)
			}
			y.builder = func() *topologytest.Builder { return spoil(topologytest.Cluster("A", "B", "C", "D").Acks(1)) }
			if why := y.halt.Hindered(y.sight()); why == "" {
				t.Error("it would be begun")
			}
		})
	}
}

func TestARestartNeedsSomebodyWhoAttachesTheServerAgain(t *testing.T) {
	y := yardOf(t, KindRestart, "B")
	s := y.sight()
	s.Snapshot.Held = &topology.Held{By: "eve"}
	if why := y.halt.Hindered(s); !strings.Contains(why, "whole cluster") {
		t.Error(why)
	}
	stop := y.halt
	stop.Kind = KindStop
	if why := stop.Hindered(s); why != "" {
		t.Errorf("a stop: %s", why)
	}
}

func TestItEndsAtTheFirstServerThatDoesNotComeBack(t *testing.T) {
	y := yardOf(t, KindRestart, "A", "B", "C")
	y.disobeys = "B"
	y.run(60)
	y.ended(t, StateFailed, "B", "start it")
	if !slices.Equal(y.log, []string{"stop B"}) || y.halt.Held != "" {
		t.Errorf("%v, kept out: %s", y.log, y.halt.Held)
	}
}

func TestItEndsAtTheFirstServerThatDoesNotJoin(t *testing.T) {
	y := yardOf(t, KindRestart, "A", "B", "C")
	y.builder = func() *topologytest.Builder {
		b := topologytest.Cluster("A", "B", "C").Acks(1)
		if y.lives["B"] > 0 {
			b = b.Stopped("B")
		}
		return b
	}
	y.run(60)
	y.ended(t, StateFailed, "B", "in vain")
	if !slices.Equal(y.log, []string{"stop B"}) {
		t.Error(y.log)
	}
}

// What a server lacks that has just connected shows nowhere but in what it has executed.
func TestAServerJoinsWhenItHasWhatThePrimaryHadWhenItCameBack(t *testing.T) {
	y := yardOf(t, KindRestart, "B")
	for y.halt.Step != StepJoin {
		y.step()
	}
	y.halt.Goal = y.halt.Goal.Union(gtid.Range(gtid.Source{UUID: topologytest.UUID("A")}, 1, 1_000_000))
	y.run(20)
	if !y.halt.Running() || !strings.Contains(y.halt.Detail, "catches up") {
		t.Errorf("%s: %s", y.halt.State, y.halt.Detail)
	}
}

func TestAChangeOfThePrimaryThatIsNotItsOwnEndsIt(t *testing.T) {
	for _, step := range []Step{StepHold, StepQuiesce, StepStop, StepStart, StepJoin} {
		y := yardOf(t, KindRestart, "B", "C")
		y.disobeys = "B"
		if step == StepJoin {
			y.disobeys = ""
		}
		for y.halt.Step != step {
			y.step()
		}
		y.term += 5
		y.run(1)
		y.ended(t, StateFailed, "changed meanwhile")
		if y.halt.Held != "" {
			t.Errorf("at %s: %s is still kept out", step, y.halt.Held)
		}
	}
}

func TestOneThatFallsSilentBeforeItWasToldToGoIsNotTakenForGone(t *testing.T) {
	y := yardOf(t, KindStop, "C")
	for y.halt.Step != StepStop {
		y.step()
	}
	y.builder = func() *topologytest.Builder { return topologytest.Cluster("A", "B", "C").Acks(1).Silent("C") }
	y.run(20)
	if !y.halt.Running() || y.halt.Step != StepStop {
		t.Errorf("%s at %s: %s", y.halt.State, y.halt.Step, y.halt.Detail)
	}
	y.halt.Told = HowShutdown
	y.run(1)
	y.ended(t, StateSucceeded)
}

func TestAStoppedServerThatSomethingStartsAgainIsNotTakenForStopped(t *testing.T) {
	y := yardOf(t, KindStop, "C")
	for y.halt.Step != StepStop {
		y.step()
	}
	y.lives["C"]++
	y.run(1)
	y.ended(t, StateFailed, "starts it again")
}

func TestMaintenanceThatSomebodyEndedKeepsTheServerFromBeingStopped(t *testing.T) {
	y := yardOf(t, KindStop, "C")
	for y.halt.Step != StepStop {
		y.step()
	}
	s := y.sight()
	s.Snapshot.Maintenance = topology.ServerSet{}
	if a := y.halt.Next(s, y.now); a.Do == DoWork || a.Then.State != StateFailed {
		t.Errorf("%s: %s", a.Do, a.Then.Detail)
	}
}

func TestAStepThatFailsIsTriedAgainAndThenGivenUp(t *testing.T) {
	rows := map[string]struct {
		result Result
		times  int
		state  State
	}{
		"a refusal that may pass":       {Result{Outcome: reparent.No, Code: "waiters", Detail: "a commit waits"}, TriesMax, StateFailed},
		"one that does not":             {Result{Outcome: reparent.No, Code: "denied", Detail: "a commit waits", Final: true}, 1, StateFailed},
		"a session of a higher term":    {Result{Outcome: reparent.No, Code: "fenced", Detail: "a commit waits"}, 25, StateRunning},
		"an answer that nobody has got": {Result{Outcome: reparent.Unknown, Detail: "a commit waits"}, 25, StateRunning},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			times := 0
			y := yardOf(t, KindStop, "C")
			y.answers = func(task Task) (Result, bool) {
				if task.Step == StepStop {
					times++
				}
				return row.result, task.Step == StepStop
			}
			for y.halt.Step != StepStop {
				y.step()
			}
			y.run(25)
			y.ended(t, row.state, "a commit waits")
			if times != row.times {
				t.Errorf("it was tried %d times", times)
			}
		})
	}
}

func TestAPrimaryThatCannotBeMovedIsNotStopped(t *testing.T) {
	y := yardOf(t, KindStop, "A")
	for y.halt.Step != StepMove {
		y.step()
	}
	change := &reparent.Operation{Obstacle: &reparent.Obstacle{Message: "2 commits wait for acknowledgements"}}
	for range 100 {
		s := y.sight()
		s.Change = change
		a := y.halt.Next(s, y.now)
		if a.Do == DoWork {
			t.Fatalf("%s is worked on", a.Then.Server())
		}
		if y.halt = a.Then; a.Do == DoMove {
			y.halt = y.halt.Moving("shop-0000000002", nil, y.now)
		}
		y.now = y.now.Add(5 * time.Second)
	}
	y.ended(t, StateFailed, "it leads", "2 commits wait")
}

func TestAnElectorWithAnotherClockGivesAStepNoLess(t *testing.T) {
	y := yardOf(t, KindStop, "C")
	for y.halt.Step != StepQuiesce {
		y.step()
	}
	late := y.now.Add(24 * time.Hour)
	if a := y.halt.Next(y.sight(), late); a.Then.State != StateFailed {
		t.Error("after a day by the same clock it goes on, so nothing is tested")
	}
	if a := y.halt.Shifted(24*time.Hour).Next(y.sight(), late); a.Then.State != StateRunning {
		t.Errorf("%s: %s", a.Then.State, a.Then.Detail)
	}
}

func TestThePlanNamesEachServerWithWhatIsDone(t *testing.T) {
	y := yardOf(t, KindRestart, "A", "B", "C")
	plan := y.halt.Plan("A")
	if len(plan) != 3 || plan[2].Server != "A" || len(plan[2].Steps) != 7 || len(plan[0].Steps) != 6 {
		t.Errorf("%+v", plan)
	}
	y = yardOf(t, KindStop, "A")
	if plan = y.halt.Plan("A"); len(plan) != 1 || len(plan[0].Steps) != 5 || plan[0].Steps[4] != "SHUTDOWN" {
		t.Errorf("%+v", plan)
	}
}
