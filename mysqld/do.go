package mysqld

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// defaultDeadline bounds a command that names no deadline.
const defaultDeadline = 10 * time.Second

// Do implements orchestrator.Fleet. Each server's commands are a sequence of their own; the sequences
// run in parallel. A command's deadline counts from the moment at which its turn comes. When ctx ends,
// what runs is cut off and what has not begun is skipped. When the batch has had enough, Do returns
// while the commands that are still running go on until their own deadlines: their effects may yet
// happen, their sequences begin nothing more, and Close waits for them.
func (f *Fleet) Do(ctx context.Context, batch orchestrator.Batch) []reparent.Result {
	if len(batch.Commands) == 0 {
		return nil
	}
	b := f.begin(ctx, batch)
	b.await(ctx, batch)
	return b.abandon()
}

// running is a batch while it is carried out.
type running struct {
	fleet    *Fleet
	commands []reparent.Command
	cut      context.CancelFunc
	arrived  chan struct{} // one for each result

	mu      sync.Mutex
	results []reparent.Result
	begun   []bool
	ended   []bool
	left    bool // nobody waits any more
}

func (f *Fleet) begin(ctx context.Context, batch orchestrator.Batch) *running {
	n := len(batch.Commands)
	inner, cut := context.WithCancel(context.WithoutCancel(ctx))
	b := &running{
		fleet: f, commands: batch.Commands, cut: cut, arrived: make(chan struct{}, n),
		results: make([]reparent.Result, n), begun: make([]bool, n), ended: make([]bool, n),
	}
	var sequences sync.WaitGroup
	for _, indexes := range b.sequences() {
		sequences.Add(1)
		ok := f.launch(func() {
			defer sequences.Done()
			b.sequence(inner, indexes)
		})
		if !ok {
			sequences.Done()
			b.skip(indexes, "the fleet is closed")
		}
	}
	f.launch(func() { sequences.Wait(); cut() })
	return b
}

// launch runs a goroutine that the fleet owns; false when the fleet is closed.
func (f *Fleet) launch(work func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctx.Err() != nil {
		return false
	}
	f.running.Go(work)
	return true
}

// sequences groups the commands by server, each in their order.
func (b *running) sequences() [][]int {
	var servers []topology.Address
	var groups [][]int
	for i, c := range b.commands {
		at := slices.Index(servers, c.Server)
		if at < 0 {
			at = len(servers)
			servers, groups = append(servers, c.Server), append(groups, nil)
		}
		groups[at] = append(groups[at], i)
	}
	return groups
}

func (b *running) sequence(ctx context.Context, indexes []int) {
	for at, i := range indexes {
		if !b.mayBegin(ctx, i) {
			b.skip(indexes[at:], "the step was over before its turn came")
			return
		}
		r := b.fleet.carryOut(ctx, b.commands[i])
		b.end(i, r)
		if !r.Done() {
			b.skip(indexes[at+1:], fmt.Sprintf("%s was not done", b.commands[i].Verb))
			return
		}
	}
}

func (b *running) mayBegin(ctx context.Context, i int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun[i] = !b.left && ctx.Err() == nil
	return b.begun[i]
}

func (b *running) skip(indexes []int, why string) {
	for _, i := range indexes {
		b.end(i, reparent.Result{Outcome: reparent.Skipped, Detail: why})
	}
}

func (b *running) end(i int, r reparent.Result) {
	b.mu.Lock()
	b.results[i], b.ended[i] = r, true
	b.mu.Unlock()
	b.arrived <- struct{}{}
}

// await returns when all results are there, when the batch has had enough and its grace is over, or
// when ctx ends and what ran has been cut off.
func (b *running) await(ctx context.Context, batch orchestrator.Batch) {
	over := ctx.Done()
	var grace <-chan time.Time
	for missing := len(b.commands); missing > 0; {
		select {
		case <-b.arrived:
			missing--
			if grace == nil && batch.Enough != nil && batch.Enough(b.snapshot()) {
				grace = time.After(batch.Grace)
			}
		case <-grace:
			return
		case <-over:
			b.cut()
			over = nil
		}
	}
}

func (b *running) snapshot() []reparent.Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.collect()
}

// abandon ends the wait: what has begun goes on alone, what has not is never begun.
func (b *running) abandon() []reparent.Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = true
	all := b.collect()
	for i := range all {
		if !b.begun[i] && !b.ended[i] {
			all[i] = reparent.Result{Outcome: reparent.Skipped, Detail: "the step had enough before its turn came"}
		}
	}
	return all
}

func (b *running) collect() []reparent.Result {
	all := slices.Clone(b.results)
	for i := range all {
		if !b.ended[i] {
			all[i] = reparent.Result{Outcome: reparent.Unknown, Reason: reparent.ReasonAbandoned, Detail: "the step had enough and did not wait for it"}
		}
	}
	return all
}

// carryOut is one command from its turn to its result.
func (f *Fleet) carryOut(ctx context.Context, c reparent.Command) reparent.Result {
	begun := time.Now()
	deadline := c.Deadline
	if deadline <= 0 {
		deadline = defaultDeadline
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	defer context.AfterFunc(f.ctx, cancel)()
	r := f.command(ctx, c)
	r.Took = time.Since(begun)
	return r
}

func (f *Fleet) command(ctx context.Context, c reparent.Command) reparent.Result {
	if c.Verb == reparent.Read {
		return f.readOut(ctx, c)
	}
	t, err := f.tenure(c.Cluster, c.Term)
	if err != nil {
		return answer(ctx, topology.Observation{}, false, err)
	}
	s, err := t.session(c.Server)
	if err != nil {
		return answer(ctx, topology.Observation{}, false, err)
	}
	if err := s.begin(ctx); err != nil {
		return answer(ctx, topology.Observation{}, false, err)
	}
	defer s.finish()
	a := &act{session: s, command: c}
	o, err := a.perform(ctx)
	r := answer(ctx, o, a.changed, err)
	if err == nil {
		r.Detail = a.note
	}
	return r
}

// readOut needs no fence: it changes nothing.
func (f *Fleet) readOut(ctx context.Context, c reparent.Command) reparent.Result {
	o := f.Probe(ctx, c.Server)
	r := reparent.Result{Outcome: reparent.Yes, Observation: o}
	if !o.OK() {
		r.Outcome, r.Reason, r.Detail = reparent.No, reparent.ReasonUnreachable, o.Error
	}
	if o.Reach == topology.ReachDenied {
		r.Reason = reparent.ReasonDenied
	}
	return r
}

// perform carries the verb out. A nil error means that all holds which the verb promises.
func (a *act) perform(ctx context.Context) (topology.Observation, error) {
	switch a.command.Verb {
	case reparent.Freeze:
		return a.freeze(ctx)
	case reparent.Resume:
		return a.resume(ctx)
	case reparent.Poison:
		return a.poison(ctx)
	case reparent.Antidote:
		return a.antidote(ctx)
	case reparent.Demote:
		return a.demote(ctx)
	case reparent.Reopen:
		return a.reopen(ctx)
	case reparent.Fence:
		return a.fenceOff(ctx)
	case reparent.Follow:
		return a.follow(ctx)
	case reparent.AwaitApplied:
		return a.awaitApplied(ctx)
	case reparent.AwaitAckers:
		return a.awaitAckers(ctx)
	case reparent.PrepareSource:
		return a.prepareSource(ctx)
	case reparent.EnableSource:
		return a.enableSource(ctx)
	case reparent.DisableSource:
		return a.disableSource(ctx)
	case reparent.Mark:
		return a.mark(ctx)
	case reparent.Open:
		return a.open(ctx)
	case reparent.Detach:
		return a.detach(ctx)
	case reparent.CreateJournal:
		return a.createJournal(ctx)
	case reparent.Barrier:
		return a.barrier(ctx)
	case reparent.Read:
	}
	return topology.Observation{}, refuse(reparent.ReasonRefused, "verb %q is not one that servers carry out", a.command.Verb)
}
