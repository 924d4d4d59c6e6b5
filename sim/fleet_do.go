package sim

import (
	"context"
	"slices"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// defaultDeadline bounds a command that names no deadline.
const defaultDeadline = 10 * time.Second

// Do implements orchestrator.Fleet. Each server's commands are a task of their own; the tasks run in parallel. A
// command's deadline counts from the moment at which its turn comes. When ctx ends, what runs is cut off and what has
// not begun is skipped. When the batch has had enough, Do returns while the commands that are still running go on
// until their own deadlines: their effects may yet happen, and their sequences begin nothing more.
func (f *fleet) Do(ctx context.Context, batch orchestrator.Batch) []reparent.Result {
	f.clock.enter()
	if len(batch.Commands) == 0 {
		return nil
	}
	if f.hosts.stepping != nil && batch.Enough != nil {
		f.hosts.stepping(f)
	}
	b := f.begin(batch)
	b.await(ctx, batch)
	return b.abandon()
}

// errand is a batch while it is carried out.
type errand struct {
	fleet    *fleet
	commands []reparent.Command
	inner    *life // what is under way ends with it
	arrived  bell
	missing  int
	results  []reparent.Result
	begun    []bool
	ended    []bool
	left     bool              // nobody waits any more
	soFar    []reparent.Result // memory for suffices
}

func (f *fleet) begin(batch orchestrator.Batch) *errand {
	n := len(batch.Commands)
	flags := make([]bool, 2*n)
	b := f.clock.slabs().errands.one()
	*b = errand{
		fleet: f, commands: batch.Commands, inner: f.clock.newLife(context.Background()), arrived: bell{clock: f.clock}, missing: n,
		results: f.clock.slabs().results.some(n), begun: flags[:n:n], ended: flags[n:],
	}
	for _, indexes := range b.sequences() {
		f.process.spawn(func() { b.sequence(indexes) })
	}
	return b
}

// sequences groups the commands by server, each in their order.
func (b *errand) sequences() [][]int {
	var servers []topology.Address
	var groups [][]int
	for i := range b.commands {
		at := slices.Index(servers, b.commands[i].Server)
		if at < 0 {
			at = len(servers)
			servers, groups = append(servers, b.commands[i].Server), append(groups, nil)
		}
		groups[at] = append(groups[at], i)
	}
	return groups
}

func (b *errand) sequence(indexes []int) {
	for at, i := range indexes {
		if b.left || b.inner.err != nil {
			b.skip(indexes[at:], "the step was over before its turn came")
			return
		}
		b.begun[i] = true
		r := b.fleet.carryOut(b.inner, b.commands[i])
		b.end(i, r)
		if !r.Done() {
			b.skip(indexes[at+1:], string(b.commands[i].Verb)+" was not done")
			return
		}
	}
}

func (b *errand) skip(indexes []int, why string) {
	for _, i := range indexes {
		b.end(i, reparent.Result{Outcome: reparent.Skipped, Detail: why})
	}
}

func (b *errand) end(i int, r reparent.Result) {
	b.results[i], b.ended[i] = r, true
	b.missing--
	b.arrived.Ring()
}

// await returns when all results are there, when the batch has had enough and its grace is over, or when ctx ends and
// what ran has been cut off.
func (b *errand) await(ctx context.Context, batch orchestrator.Batch) {
	clock, grace := b.fleet.clock, time.Duration(-1)
	for b.missing > 0 {
		left := time.Duration(-1)
		if grace >= 0 {
			if left = grace - clock.now; left <= 0 {
				return
			}
		}
		rang := b.arrived.Wait(ctx, left)
		if ctx.Err() != nil {
			b.inner.end(context.Canceled)
			ctx = context.Background()
		}
		if rang && grace < 0 && b.missing > 0 && b.suffices(batch.Enough) {
			grace = clock.now + batch.Grace
		}
	}
}

// abandon ends the wait: what has begun goes on alone, what has not is never begun.
func (b *errand) abandon() []reparent.Result {
	b.left = true
	if b.missing == 0 { // nobody writes there any more
		return b.results
	}
	all := b.collect(nil)
	for i := range all {
		if !b.begun[i] && !b.ended[i] {
			all[i] = reparent.Result{Outcome: reparent.Skipped, Detail: "the step had enough before its turn came"}
		}
	}
	return all
}

// suffices asks whether the results that are there are enough.
func (b *errand) suffices(enough func([]reparent.Result) bool) bool {
	if enough == nil {
		return false
	}
	b.soFar = b.collect(b.soFar)
	return enough(b.soFar)
}

// collect puts what is known of all results into memory, for as long as that is not needed again.
func (b *errand) collect(memory []reparent.Result) []reparent.Result {
	all := memory
	if all == nil {
		all = b.fleet.clock.slabs().results.some(len(b.results))
	}
	copy(all, b.results)
	for i := range all {
		if !b.ended[i] {
			all[i] = reparent.Result{Outcome: reparent.Unknown, Reason: reparent.ReasonAbandoned, Detail: "the step had enough and did not wait for it"}
		}
	}
	return all
}

// carryOut is one command from its turn to its result.
func (f *fleet) carryOut(inner *life, c reparent.Command) reparent.Result {
	begun, deadline := f.clock.now, c.Deadline
	if deadline <= 0 {
		deadline = defaultDeadline
	}
	ctx := f.clock.patient(inner, deadline)
	r := f.command(ctx, c)
	ctx.over()
	r.Took = f.clock.now - begun
	if f.hosts.answered != nil {
		f.hosts.answered(f, c, r)
	}
	if f.finished != nil {
		f.finished(c, r)
	}
	return r
}

func (f *fleet) command(ctx *patience, c reparent.Command) reparent.Result {
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
	if err := s.begin(ctx, c.Verb); err != nil {
		return answer(ctx, topology.Observation{}, false, err)
	}
	a := f.clock.slabs().acts.one()
	a.session, a.command = s, c
	o, err := a.perform(ctx)
	s.finish()
	r := answer(ctx, o, a.changed, err)
	if err == nil {
		r.Detail = a.note
	}
	return r
}

// readOut needs no fence: it changes nothing.
func (f *fleet) readOut(ctx *patience, c reparent.Command) reparent.Result {
	o := f.Probe(ctx.life, c.Server)
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
func (a *act) perform(ctx *patience) (topology.Observation, error) {
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
