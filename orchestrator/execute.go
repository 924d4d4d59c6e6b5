package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// settled is an operation that has ended or was interrupted, with the lineage that it leaves.
type settled struct {
	op      reparent.Operation
	lineage lineage
	owner   uint32    // the highest term that kept it from acting
	without *detached // nil unless it acted without the store
	saved   bool      // the operation as it is stands on record
}

// execution drives one operation: next, do, apply, save, until it ends or the lease does.
type execution struct {
	c       *cluster
	lease   Lease
	lineage lineage
	journal *journal
	owner   uint32

	recording *recording
}

// begin starts an operation in a goroutine of its own, so that the loop goes on observing.
func (c *cluster) begin(op reparent.Operation, lease Lease) {
	c.endSettling()
	c.endHalting()
	c.busy, c.snapshot.Reparenting = true, true
	op.Follows = c.lineage.Certified
	c.refuse(because{}, nil, c.now())
	c.show(&op)
	c.tellBegun(&op)
	if opened(&op) { // taken over: whether anybody was told is not known
		c.tellChanged(&op, c.now())
	}
	x := execution{c: c, lease: lease, lineage: c.lineage, recording: c.recordFrom(op.ID)}
	without, _ := lease.(*detached)
	c.workers.Go(func() {
		final := *x.drive(&op)
		x.recording.end(unrecorded(op.ID))
		c.inbox.settle(settled{op: final, lineage: x.lineage.with(final), owner: x.owner, without: without, saved: x.journal.covers(&final)})
	})
}

func (c *cluster) tellBegun(op *reparent.Operation) {
	c.o.events.Tell(Event{
		Kind: EventRecoveryStarted, At: op.StartedAt, Cluster: c.name, RecoveryID: op.ID, By: op.By, Recovery: op,
		Text: fmt.Sprintf("%s change of cluster %s begins under term %d: %s", op.Kind, c.name, op.Term, op.Cause),
	})
	for _, s := range op.Stages {
		c.tellStage(op, s)
	}
}

func (c *cluster) tellStage(op *reparent.Operation, s reparent.Stage) {
	c.o.events.Tell(Event{
		Kind: EventRecoveryStage, At: s.StartedAt.Add(s.Duration), Cluster: c.name, RecoveryID: op.ID, Stage: &s,
		Text: s.Name + ": " + s.Detail + " (" + s.Duration.Round(100*time.Microsecond).String() + ")",
	})
}

// drive does what the operation says, step by step. The lease is asked before each step; when it is
// gone, or the store cannot take what must be on record first, the operation is left as it is, for
// whoever holds the lock next. Each step makes a new operation, which the journal and readers share: none is ever changed.
func (x *execution) drive(op *reparent.Operation) *reparent.Operation {
	ctx := x.lease.Context() // what is under way on servers is given up with the lock: somebody else may be acting already
	x.journal = newJournal(x)
	defer x.journal.close()
	now := x.c.now
	for op.Running() {
		if !x.lease.Held(now()) || ctx.Err() != nil {
			return op
		}
		step := op.Next()
		if err := x.prepare(ctx, op, step); err != nil {
			return op
		}
		if step.Phase == reparent.PhaseRecording {
			refused, known := x.putInForce(ctx, op)
			if !known {
				return op
			}
			op = x.moved(op, op.InForce(refused, now()))
			continue
		}
		op = x.advance(op, x.c.o.fleet.Do(ctx, batchOf(op, step)), now())
	}
	op = x.sealed(op)
	if err := x.journal.ensure(ctx, op); err != nil {
		x.tellUnsaved(op, err)
	}
	return op
}

// sealed is the operation as it is put on record for good. One that cannot be sealed is put there without: its servers are
// what they are.
func (x *execution) sealed(op *reparent.Operation) *reparent.Operation {
	sealed, err := op.Sealed()
	if err != nil {
		x.tellUnsaved(op, err)
	}
	return &sealed
}

func batchOf(op *reparent.Operation, step reparent.Step) Batch {
	enough := func(results []reparent.Result) bool { return op.Enough(step.Commands, results) } // op.Enough would copy the operation
	return Batch{Commands: step.Commands, Enough: enough, Grace: op.Timing.Grace, Kind: op.Kind, Phase: step.Phase}
}

func (x *execution) prepare(ctx context.Context, op *reparent.Operation, step reparent.Step) error {
	if !step.SaveFirst {
		x.journal.follow(op, x.c.now())
		return nil
	}
	if step.Phase == reparent.PhaseReleasing {
		x.withdraw(ctx, op)
	} else if err := x.journal.ensure(ctx, op); err != nil {
		x.tellUnsaved(op, err)
		return err
	}
	if !x.lease.Held(x.c.now()) {
		return ErrNotLeading
	}
	return nil
}

// withdrawWithin is how long a release waits for the store.
const withdrawWithin = 300 * time.Millisecond

// withdraw takes a decision that came to nothing off the record before servers are released: a successor would have to take
// it for one whose marker may have been written. It does not keep them from what they did before, should the store not answer:
// the marker was never sent.
func (x *execution) withdraw(ctx context.Context, op *reparent.Operation) {
	ctx, cancel := x.c.runtime().Within(ctx, withdrawWithin)
	defer cancel()
	_ = x.journal.ensure(ctx, op) // if not now, then with how it ends
}

func (x *execution) tellUnsaved(op *reparent.Operation, err error) {
	x.c.o.events.Tell(Event{
		Kind: EventStore, At: x.c.now(), Cluster: x.c.name, RecoveryID: op.ID,
		Text: fmt.Sprintf("operation %s could not be saved and waits for whoever holds the lock next: %v", op.ID, err),
	})
}

// advance folds results in and tells what is new.
func (x *execution) advance(op *reparent.Operation, results []reparent.Result, now time.Time) *reparent.Operation {
	x.logCommands(op, results)
	for _, r := range results {
		x.owner = max(x.owner, ownerOf(op.Term, r))
	}
	return x.moved(op, op.Apply(results, now))
}

// moved tells of the stages that have ended since.
func (x *execution) moved(op *reparent.Operation, next reparent.Operation) *reparent.Operation {
	for _, s := range next.Stages[len(op.Stages):] {
		x.c.tellStage(&next, s)
	}
	if opened(&next) && !opened(op) {
		x.c.tellChanged(&next, x.c.now())
	}
	x.c.show(&next)
	return &next
}

// opened tells whether another server takes writes by now, which is all that clients and hooks wait for.
func opened(op *reparent.Operation) bool {
	return !op.Established.IsZero() && (op.Kind == reparent.KindPlanned || op.Kind == reparent.KindEmergency)
}

// tellChanged does not wait for the other replicas, one of which may well keep the rest of a change for seconds.
func (c *cluster) tellChanged(op *reparent.Operation, now time.Time) {
	c.o.events.Tell(Event{
		Kind: EventPrimaryChanged, At: now, Cluster: c.name, Server: op.To, RecoveryID: op.ID,
		Text: fmt.Sprintf("%s leads cluster %s under term %d; before: %s", op.To, c.name, op.Term, op.From),
	})
}

// recordAgain is how long it is waited before the record is tried again.
const recordAgain = 200 * time.Millisecond

// putInForce has the loop record the rules of a change, for as long as the lock is held: until it is certain what stands on
// record, nothing may be undone that it may rest on. known is false when that is left to the next one to hold the lock.
func (x *execution) putInForce(ctx context.Context, op *reparent.Operation) (refused string, known bool) {
	for x.lease.Held(x.c.now()) {
		var failed error
		if err := x.c.do(ctx, func(loop context.Context) { refused, failed = x.c.putInForce(loop, *op) }); err != nil {
			return "", false
		}
		if failed == nil {
			return refused, true
		}
		x.tellUnsaved(op, failed)
		if errors.Is(failed, ErrNotLeading) { // the loop has given its lock up, and gets none as long as this goes on
			return "", false
		}
		x.c.runtime().NewBell().Wait(ctx, recordAgain)
	}
	return "", false
}

// logCommands keeps each command with its time in the debug log: where a slow step spent it.
func (x *execution) logCommands(op *reparent.Operation, results []reparent.Result) {
	log := x.c.o.settings.Log
	if log == nil || !log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	for i, command := range op.Next().Commands {
		if i < len(results) {
			r := results[i]
			log.Debug("command", "cluster", op.Cluster, "recovery", op.ID, "command", command.String(),
				"outcome", string(r.Outcome), "reason", string(r.Reason), "detail", r.Detail, "took", r.Took.String())
		}
	}
}

// journal saves an operation off the critical path; ensure waits where something must be on record.
type journal struct {
	x     *execution
	owner Tasks
	work  Bell // something was pushed, or the end has come
	tried Bell // an attempt was made

	mu     sync.Mutex
	pushed *reparent.Operation // waits to be saved
	closed bool
	saved  *reparent.Operation // nil before anything is
	tries  int
	err    error // of the last attempt

	kept        time.Time // when something was last pushed
	established bool      // and whether it was established by then
}

func newJournal(x *execution) *journal {
	r := x.c.runtime()
	j := &journal{x: x, owner: r.NewTasks(), work: r.NewBell(), tried: r.NewBell()}
	j.owner.Go(j.run)
	return j
}

func (j *journal) run() {
	for {
		op, closed := j.take()
		switch {
		case op != nil:
			j.note(op, j.save(*op))
		case closed:
			return
		default:
			j.work.Wait(context.Background(), forever)
		}
	}
}

func (j *journal) take() (op *reparent.Operation, closed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	op, j.pushed = j.pushed, nil
	return op, j.closed
}

func (j *journal) note(op *reparent.Operation, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tries++
	if j.err = err; err == nil {
		j.saved = op
		j.x.recording.end(nil)
	}
	j.tried.Ring()
}

func (j *journal) save(op reparent.Operation) error {
	ctx, cancel := j.x.c.runtime().Within(context.Background(), storeTimeout)
	defer cancel()
	return j.x.lease.Put(ctx, operationDocument(op), j.x.lineage.with(op).document())
}

// followEvery is how old what is on record of an operation may get: it tells readers, and a successor finds out for
// itself how far the operation got. What has to be there for safety's sake is saved first.
const followEvery = 500 * time.Millisecond

// follow saves how far the operation has got, now and then, and that it was established at once: a successor that does
// not reach the new primary would have to take the change for one that never came to be.
func (j *journal) follow(op *reparent.Operation, now time.Time) {
	if since := now.Sub(j.kept); since < 0 || since >= followEvery || !op.Established.IsZero() && !j.established {
		j.push(op)
	}
}

// push replaces what waits to be saved. Only the operation's task calls it.
func (j *journal) push(op *reparent.Operation) {
	j.kept, j.established = j.x.c.now(), !op.Established.IsZero()
	j.mu.Lock()
	j.pushed = op
	j.mu.Unlock()
	j.work.Ring()
}

// ensure returns once what must be on record is: at once when an earlier save covers it.
func (j *journal) ensure(ctx context.Context, op *reparent.Operation) error {
	if j.covers(op) {
		return nil
	}
	before, _ := j.attempts()
	j.push(op)
	for !j.covers(op) {
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ErrNotLeading, ctx.Err())
		}
		if tries, err := j.attempts(); tries > before && err != nil {
			return err
		}
		j.tried.Wait(ctx, forever)
	}
	return nil
}

// attempts is how often it was tried to save, and what came of the last time.
func (j *journal) attempts() (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.tries, j.err
}

// covers tells whether what is saved suffices: the same decision under way, or the very end of it.
func (j *journal) covers(op *reparent.Operation) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.saved != nil && op.CoveredBy(*j.saved) && op.State == j.saved.State
}

func (j *journal) close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.work.Ring()
	j.owner.Wait()
}

// settle takes over what an operation left.
func (c *cluster) settle(ctx context.Context, s settled) {
	now := c.now()
	c.busy, c.snapshot.Reparenting, c.settledAt = false, false, now
	c.lineage, c.owner = s.lineage, max(c.owner, s.owner)
	if s.saved {
		c.entries.written(c.lineage.document()) // as the operation has saved it
	}
	c.owe(s.without)
	c.bygone(s.op)
	c.forgetLosses(s.op)
	c.left, c.leftUnsaved = s.op, !s.saved && !s.op.Running()
	c.show(nil)
	c.countChange(ctx, s.op, now)
	c.tellSettled(s.op, now)
	if c.o.settings.RulesChanges && c.lease != nil { // the configuration may have changed meanwhile
		c.reconfigure(ctx)
	}
	c.alarm()
	c.publish(c.snapshot.At)
}

func (c *cluster) tellSettled(op reparent.Operation, now time.Time) {
	if op.Running() {
		return
	}
	text := fmt.Sprintf("%s change of cluster %s under term %d: %s", op.Kind, c.name, op.Term, op.State)
	if op.Obstacle != nil {
		text += ": " + op.Obstacle.Message
	}
	c.o.events.Tell(Event{Kind: EventRecoveryFinished, At: now, Cluster: c.name, RecoveryID: op.ID, By: op.By, Recovery: &op, State: op.State, Text: text})
}

// countChange tells anti-flapping what came of an operation: windows count establishments, the back-off
// counts attempts that failed.
func (c *cluster) countChange(ctx context.Context, op reparent.Operation, now time.Time) {
	if op.Kind == reparent.KindReopening {
		c.countReopening(op, now)
	}
	if op.Running() || op.Kind == reparent.KindAdoption || op.Kind == reparent.KindReopening || op.Kind == reparent.KindRules {
		return
	}
	if op.Established.IsZero() {
		if op.Automatic && !interrupted(op) {
			c.record.Antiflap = c.record.Antiflap.AttemptFailed(now)
		}
		c.updateBrake(ctx, func(f antiflap.Fleet) antiflap.Fleet { return f.Ended(c.name) })
	} else {
		change := changeOf(op)
		c.floor = op.Chosen
		c.record.Antiflap = c.record.Antiflap.Established(change, c.o.settings.Antiflap)
		c.updateBrake(ctx, func(f antiflap.Fleet) antiflap.Fleet { return f.Established(change, c.o.settings.Antiflap) })
	}
	c.saveRecord(ctx)
}

// interrupted tells whether an operation ended because its elector did: that says nothing against trying
// again at once.
func interrupted(op reparent.Operation) bool {
	return op.Obstacle != nil && op.Obstacle.Code == reparent.Interrupted
}

func changeOf(op reparent.Operation) antiflap.Change {
	kind := antiflap.Emergency
	if op.Kind == reparent.KindPlanned {
		kind = antiflap.Planned
	}
	return antiflap.Change{
		Cluster: op.Cluster, Term: uint64(op.Term), Kind: kind, At: op.Established,
		From: string(op.From), To: string(op.To), Operator: op.By,
	}
}

func (c *cluster) saveRecord(ctx context.Context) {
	if err := c.save(ctx); err != nil && !errors.Is(err, ErrNotLeading) {
		c.o.events.Tell(Event{Kind: EventStore, At: c.now(), Cluster: c.name, Text: fmt.Sprintf("save the record of cluster %s: %v", c.name, err)})
	}
}

// servedBy tells whether the established primary completes writes as far as the findings say.
func servedBy(findings []topology.Finding) bool { return topology.Serves(findings) }
