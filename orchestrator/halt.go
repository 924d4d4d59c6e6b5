package orchestrator

import (
	"context"
	"fmt"
	"time"

	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Halter is where servers are closed and told to stop; mysqld implements it. An orchestrator without one stops nobody.
// Every call ends with its context, and may be made again.
type Halter interface {
	// Halt does one step, on a session that is fenced by the term like those of a change; StepCheck only looks, and needs
	// none. tell hears what it waits for, from one goroutine at a time.
	Halt(ctx context.Context, cluster string, term uint32, t halt.Task, tell func(string)) halt.Result
}

// spell is one step of a halt while somebody works on it.
type spell struct {
	id     string // of the halt
	at     int
	step   halt.Step
	cancel context.CancelFunc
}

func (s *spell) of(h *halt.Halt) bool {
	return h != nil && s.id == h.ID && s.at == h.At && s.step == h.Step
}

// spelled is what came of a spell.
type spelled struct {
	spell  *spell
	result halt.Result
}

// goOnHalting does what the halt that is on record asks for next.
func (c *cluster) goOnHalting(ctx context.Context, now time.Time) {
	h := c.record.Halting
	if c.spell != nil && c.spell.step == halt.StepQuiesce && halt.Starved(c.findings, now) {
		c.spell.cancel()
	}
	if h == nil || c.o.settings.Halter == nil || c.busy || c.repairing || c.spell != nil {
		return
	}
	action := h.Next(c.haltSight(ctx, *h), now)
	switch action.Do {
	case halt.DoNothing:
		c.putHalt(ctx, action.Then, now)
	case halt.DoMove:
		answer, err := c.granted(ctx, c.moving(action.Then), c.lease, now)
		c.putHalt(ctx, action.Then.Moving(answer.Operation.ID, err, now), now)
	case halt.DoWork:
		if c.putHalt(ctx, action.Then, now) {
			c.workOnHalt(action.Then)
		}
	}
}

func (c *cluster) haltSight(ctx context.Context, h halt.Halt) halt.Sight {
	leader, led := c.lineage.History.Current()
	s := halt.Sight{
		Snapshot: c.snapshot, Findings: c.findings, Leader: leader, Led: led,
		Unsettled: len(c.lineage.History.Leaderships) > 1 || c.lineage.History.Recovered,
	}
	if c.lineage.Settling != nil {
		s.Settling = c.lineage.Settling.Server
	}
	if h.Change != "" && h.Step == halt.StepMove {
		s.Change, _ = c.loadUnfinished(ctx, h.Change) // only what it is told with is missing without it
	}
	return s
}

// moving is the planned change that takes the primary from a server that is to be stopped.
func (c *cluster) moving(h halt.Halt) Wish {
	return Wish{
		Cluster: c.name, Kind: reparent.KindPlanned, To: h.Terms.To, Drain: max(h.Terms.Drain, c.o.settings.Timing.Drain), By: h.By,
		Reason: fmt.Sprintf("%s is to be stopped: %s", h.Server(), h.Reason),
	}
}

// workOnHalt begins the step that a halt stands at, under the lock and the term that this elector acts under.
func (c *cluster) workOnHalt(h halt.Halt) {
	leader, _ := c.lineage.History.Current()
	ctx, cancel := c.runtime().Within(c.lease.Context(), h.Terms.Wait)
	at := &spell{id: h.ID, at: h.At, step: h.Step, cancel: cancel}
	c.spell = at
	task, term, halter := h.Task(leader), c.sessionTerm, c.o.settings.Halter
	c.workers.Go(func() {
		defer cancel()
		c.inbox.spell(spelled{at, halter.Halt(ctx, c.name, term, task, c.tellHalting)})
	})
}

func (c *cluster) tellHalting(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waitsFor = text
}

// endHalting gives the server free at once that is worked on: a change of the primary goes first. What was begun stays on
// record.
func (c *cluster) endHalting() {
	if c.spell != nil {
		c.spell.cancel()
	}
}

// spelt takes in what came of a spell. Without the lock nobody does: the step will be done again.
func (c *cluster) spelt(ctx context.Context, s spelled) {
	c.tellHalting("")
	if c.spell == s.spell {
		c.spell = nil
	}
	if h := c.record.Halting; c.lease != nil && s.spell.of(h) {
		now := c.now()
		c.putHalt(ctx, h.Apply(s.result, now), now)
	}
}

// putHalt puts on record how a halt stands, together with the maintenance that it takes. False when it cannot be saved:
// then it did not happen, and is asked for again.
func (c *cluster) putHalt(ctx context.Context, next halt.Halt, now time.Time) bool {
	before := c.record
	c.record.Halting = &next
	if !next.Running() {
		c.record.Halting = nil
	}
	if stands(before.Halting, next) {
		return true
	}
	c.keepOut(before, next, now)
	c.maintained()
	if err := c.save(ctx, haltDocument(next)); err != nil {
		c.record = before
		c.maintained()
		return false
	}
	if !next.Running() {
		c.lastHalted = &next
	}
	c.tellHalt(before.Halting, next)
	c.publish(c.snapshot.At)
	c.alarm()
	return true
}

// stands tells whether nothing has happened but that it waits for something else.
func stands(before *halt.Halt, next halt.Halt) bool {
	return before != nil && before.ID == next.ID && next.Running() && before.At == next.At && before.Step == next.Step &&
		before.Tries == next.Tries && before.Told == next.Told && before.Change == next.Change && before.Held == next.Held
}

// keepOut brings maintenance about as the halt wants it: what it has set itself ends with it, what others have set stays.
func (c *cluster) keepOut(before record, next halt.Halt, now time.Time) {
	var was topology.Address
	if before.Halting != nil {
		was = before.Halting.Held
	}
	if was == next.Held {
		return
	}
	if was != "" && before.Maintenance[was].Reason == haltReason(*before.Halting) {
		c.note(was, nil)
	}
	if next.Held != "" {
		c.note(next.Held, &Note{By: person(next.By), Reason: haltReason(next), At: now, Until: now.Add(next.Terms.Hold)})
	}
}

// haltReason is what stands beside a server that a halt keeps out.
func haltReason(h halt.Halt) string {
	word := map[halt.Kind]string{halt.KindStop: "stop-server", halt.KindRestart: "rolling restart"}[h.Kind]
	return fmt.Sprintf("%s %s: %s", word, h.ID, h.Reason)
}

func (c *cluster) tellHalt(before *halt.Halt, h halt.Halt) {
	tell := func(server topology.Address, text string) {
		c.o.events.Tell(Event{Kind: EventOperator, At: c.now(), Cluster: c.name, Server: server, By: h.By, Text: text})
	}
	told := 0
	if before == nil {
		tell("", fmt.Sprintf("%s asked for: %s of %v: %s", person(h.By), h.Kind, h.Servers, h.Reason))
	} else {
		told = min(len(before.Stages), len(h.Stages))
	}
	for _, stage := range h.Stages[told:] {
		tell(stage.Server, fmt.Sprintf("%s %s: %s (%s): %s", h.Kind, stage.Server, stage.Name, stage.Outcome, stage.Detail))
	}
	if !h.Running() {
		tell("", fmt.Sprintf("the %s %s: %s", h.Kind, h.State, h.Detail))
	}
}
