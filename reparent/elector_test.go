package reparent

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/topology"
)

// fate is what goes wrong with one command. The zero value is nothing.
type fate int

const (
	fateNone      fate = iota
	fateRefused        // the server cannot be reached: a certain No
	fateDropped        // the reply is lost and nothing happened
	fateLost           // the reply is lost and it took effect
	fateCrashed        // the server dies instead
	fateRestarted      // the server dies and comes back before the command arrives
)

// elector carries operations out in a world, the way the loop does: save first where the step asks for it, send, apply.
type elector struct {
	world *world
	name  string
	// fate decides what goes wrong; nil for nothing.
	fate func(Command) fate
	// dies tells whether the elector dies at a point of step n: before "save", "send" or "apply".
	dies func(n int, phase Phase, point string) bool
	// keeps tells whether the value is saved after a step that does not demand it.
	keeps func() bool
	// order picks the next of n servers to be served; nil for the first.
	order func(n int) int
	// partial lets the step end as soon as it has enough.
	partial bool

	saved Operation
	done  []doneStep
	trace []string
}

// doneStep is a step with what came of its commands.
type doneStep struct {
	Step
	results []Result
}

func clearance(automatic bool) antiflap.Clearance {
	c, _, _ := antiflap.Settings{}.Clear(antiflap.Request{Cluster: "shop", Automatic: automatic, Operator: "alice"},
		antiflap.Cluster{}, antiflap.Fleet{})
	return c
}

// intent is what a change in this world starts from.
func (w *world) intent() Intent {
	s := w.snapshot()
	w.term++
	return Intent{ID: fmt.Sprintf("op-%d", w.term), Elector: "elector-1", Term: w.term, Snapshot: s, History: w.history(), Cause: "test", By: "alice", Reason: "test"}
}

func (w *world) now() time.Time {
	w.clock = w.clock.Add(10 * time.Millisecond)
	return w.clock
}

// run carries an operation to its end, or to the elector's death.
func (e *elector) run(op Operation) (end Operation, died bool) {
	for _, s := range e.world.all() {
		s.bar.Number = 0 // another elector's
	}
	for n := 1; op.Running(); n++ {
		if n > 400 {
			e.world.claim(false, "the operation never ends; it is in phase %s", op.Phase)
			return op, false
		}
		step := op.Next()
		if e.dead(n, op.Phase, "save") {
			return op, true
		}
		if step.SaveFirst && !op.CoveredBy(e.saved) {
			e.save(op)
		}
		if e.dead(n, op.Phase, "send") {
			return op, true
		}
		results := e.send(op, step)
		if step.Phase == PhaseRecording {
			e.world.recorded(*op.Rules)
		}
		if step.Phase == PhaseRevoking {
			after := op.clone().foldRevoking(step.Commands, results)
			_, obstacle := after.settle()
			e.world.claim(after.revocationSuffices() == (obstacle == nil), "whether the revocation suffices is answered otherwise than it is settled: %+v", obstacle)
		}
		e.done = append(e.done, doneStep{step, results})
		if e.dead(n, op.Phase, "apply") {
			return op, true
		}
		op = reloaded(op).Apply(results, e.world.now())
		if e.keeps != nil && e.keeps() {
			e.save(op)
		}
	}
	e.save(op)
	return op, false
}

func (e *elector) dead(n int, phase Phase, point string) bool {
	return e.dies != nil && e.dies(n, phase, point)
}

func (e *elector) save(op Operation) { e.saved = reloaded(op) }

// reloaded is an operation after a stay in the store.
func reloaded(op Operation) Operation {
	text, err := json.Marshal(op)
	if err != nil {
		panic(err)
	}
	var again Operation
	if err := json.Unmarshal(text, &again); err != nil {
		panic(err)
	}
	return again
}

// send hands the commands of a step to their servers: one server after the other in any order, each server its own
// in turn and only as long as each is a Yes. What waits is asked again when something else has happened.
func (e *elector) send(op Operation, step Step) []Result {
	results := make([]Result, len(step.Commands))
	for i := range results {
		results[i] = Result{Outcome: Unknown, Reason: ReasonAbandoned}
	}
	queues := queuesOf(step.Commands)
	for len(queues) > 0 {
		moved := false
		for _, at := range e.ordered(len(queues)) {
			q := &queues[at]
			for len(q.places) > 0 && e.serve(step.Commands, results, q) {
				moved = true
			}
		}
		queues = busy(queues)
		if e.partial && op.Enough(step.Commands, results) {
			e.abandon(step.Commands, queues)
			return results
		}
		if !moved && len(queues) > 0 {
			e.timeOut(step.Commands, results, &queues[0])
			queues = busy(queues)
		}
	}
	return results
}

// queue is the commands for one server.
type queue struct {
	places  []int
	doomed  bool // one was not a Yes: the rest is skipped
	decided map[int]fate
}

func queuesOf(commands []Command) []queue {
	var queues []queue
	at := map[topology.Address]int{}
	for i, c := range commands {
		if _, ok := at[c.Server]; !ok {
			at[c.Server] = len(queues)
			queues = append(queues, queue{decided: map[int]fate{}})
		}
		q := &queues[at[c.Server]]
		q.places = append(q.places, i)
	}
	return queues
}

func busy(queues []queue) []queue {
	var left []queue
	for _, q := range queues {
		if len(q.places) > 0 {
			left = append(left, q)
		}
	}
	return left
}

func (e *elector) ordered(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	if e.order != nil {
		for i := n - 1; i > 0; i-- {
			j := e.order(i + 1)
			order[i], order[j] = order[j], order[i]
		}
	}
	return order
}

// serve answers the first command of a queue; false when it has to wait.
func (e *elector) serve(commands []Command, results []Result, q *queue) bool {
	i := q.places[0]
	c := commands[i]
	if q.doomed {
		results[i], q.places = Result{Outcome: Skipped}, q.places[1:]
		e.tell(c, results[i])
		return true
	}
	r, pending := e.ask(c, q, i)
	if pending {
		return false
	}
	e.tell(c, r)
	results[i], q.places, q.doomed = r, q.places[1:], r.Outcome != Yes
	e.world.onePrimary(c.String())
	return true
}

func (e *elector) tell(c Command, r Result) {
	e.trace = append(e.trace, strings.TrimSpace(fmt.Sprintf("%s → %s %s", c, r.Outcome, r.Reason)))
}

func (e *elector) ask(c Command, q *queue, i int) (Result, bool) {
	f, known := q.decided[i]
	if !known && e.fate != nil {
		f = e.fate(c)
		q.decided[i] = f
		e.suffer(c, f)
	}
	switch f {
	case fateRefused:
		return no(ReasonUnreachable), false
	case fateDropped:
		return Result{Outcome: Unknown, Reason: ReasonDeadline}, false
	case fateLost:
		e.world.answer(c)
		return Result{Outcome: Unknown, Reason: ReasonDeadline}, false
	case fateNone, fateCrashed, fateRestarted:
	}
	return e.world.answer(c)
}

func (e *elector) suffer(c Command, f fate) {
	s := e.world.servers[c.Server]
	if (f == fateCrashed || f == fateRestarted) && s.up {
		e.trace = append(e.trace, fmt.Sprintf("%s crashes", c.Server))
		s.crash()
	}
	if f == fateRestarted && !s.up {
		e.trace = append(e.trace, fmt.Sprintf("%s restarts", c.Server))
		s.restart()
	}
}

func (e *elector) timeOut(commands []Command, results []Result, q *queue) {
	i := q.places[0]
	results[i] = e.world.late(commands[i])
	e.tell(commands[i], results[i])
	q.places, q.doomed = q.places[1:], true
}

// abandon lets what nobody waits for any more take effect or not.
func (e *elector) abandon(commands []Command, queues []queue) {
	for _, q := range queues {
		for _, i := range q.places {
			if e.order == nil || e.order(2) == 0 || q.doomed {
				break
			}
			if r, _ := e.world.answer(commands[i]); r.Outcome != Yes {
				break
			}
			e.trace = append(e.trace, fmt.Sprintf("%s → done, but nobody waited", commands[i]))
		}
	}
}

// takeOver is the next elector, which finds the saved operation.
func (e *elector) takeOver(saved Operation) Operation {
	s := e.world.snapshot()
	e.world.term++
	return TakeOver(saved, e.world.term, e.name, s, e.world.now())
}

// concluded takes the outcome into the world's record.
func (w *world) concluded(op Operation) {
	if l, ok := op.Leadership(); ok && !op.Running() {
		w.record(l)
	}
}

// must runs an operation to its end and fails the test when a claim of the world broke on the way.
func (w *world) must(t *testing.T, op Operation) Operation {
	t.Helper()
	e := &elector{world: w, name: "elector-1"}
	end, _ := e.run(op)
	w.concluded(end)
	w.whole(t, e.trace)
	return end
}

func (w *world) whole(t testing.TB, trace []string) {
	t.Helper()
	if len(w.broken) == 0 {
		return
	}
	for _, line := range trace {
		t.Log(line)
	}
	for _, claim := range w.broken {
		t.Error(claim)
	}
}
