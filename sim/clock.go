package sim

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/primacydb/primacy/orchestrator"
)

// epoch is when every simulated world begins, by a clock that is right.
var epoch = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// clock is virtual time and all that is to happen in it. One thing happens at a time, in an order that follows from the
// seed alone: by time, and at the same time in the order in which it was arranged.
type clock struct {
	now     time.Duration // since epoch
	rand    *rand.Rand
	later   agenda        // later than when it was arranged
	soon    queue[*event] // at once, and in order: most of what happens
	spare   spareEvents
	serial  uint64
	current *task  // the task that runs now; nil while an event does
	crew    *Crew  // whose coroutines run the tasks
	strands int    // of them that run a task, or wait in one
	alone   bool   // nobody else has the crew, and it goes with the last task
	digest  uint64 // of all that happened: the same for the same world
}

// newClock is one with a crew of its own.
func newClock(seed uint64) *clock {
	c := newClockOf(&Crew{}, seed)
	c.alone = true
	return c
}

func newClockOf(crew *Crew, seed uint64) *clock {
	return &clock{crew: crew, rand: rand.New(rand.NewPCG(seed, 0x5072696d616379))}
}

// slabs are where to take memory from.
func (c *clock) slabs() *slabs { return &c.crew.slabs }

// event is something that will happen. When it has, its memory serves another one.
type event struct {
	at     time.Duration
	serial uint64
	do     func()  // nil when it was called off
	server *server // whose process does it, if one does
	life   int     // which of its processes
	disk   bool    // it needs the disk
	beside *event  // in the same slot of the agenda's wheel, or among the spare ones
}

// before tells whether an event is earlier than another, or was arranged earlier for the same time.
func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.serial < o.serial }

// happenAtServer is for an event that a server's process does.
func (e *event) happenAtServer() {
	if e.disk {
		e.server.inTurnOnDisk(e.life, e.do)
	} else {
		e.server.inTurn(e.life, e.do)
	}
}

// spareEvents are events that have happened, to be used again.
type spareEvents struct{ first *event }

func (s *spareEvents) add(e *event) {
	e.do, e.server, e.beside = nil, nil, s.first
	s.first = e
}

// timer is an event for whoever may want to call it off; the zero value is none.
type timer struct {
	event  *event
	serial uint64
}

// cancel calls an event off; one that has happened already, or none, is no mistake.
func (t timer) cancel() {
	if t.event != nil && t.event.serial == t.serial {
		t.event.do = nil
	}
}

// set tells whether there is an event, which may have happened.
func (t timer) set() bool { return t.event != nil }

// after arranges for do to happen after d. It runs outside of any task and must not wait.
func (c *clock) after(d time.Duration, do func()) timer {
	e := c.blank()
	e.at, e.serial, e.do, e.disk = c.now+max(d, 0), c.serial, do, false
	c.serial++
	if d <= 0 {
		c.soon.push(e)
	} else {
		c.later.push(e)
	}
	return timer{e, e.serial}
}

// blank is memory for an event.
func (c *clock) blank() *event {
	e := c.spare.first
	if e == nil {
		return c.slabs().events.one()
	}
	c.spare.first = e.beside
	return e
}

// next takes the next event out of its queue; nil when there is none until the end.
func (c *clock) next(end time.Duration) *event {
	if len(c.later.near) == 0 {
		c.later.goOn(end, &c.spare)
	}
	later := c.later.first(end)
	if c.soon.len() > 0 && (later == nil || c.soon.first().before(later)) {
		return c.soon.pop()
	}
	if later != nil {
		c.later.pop()
	}
	return later
}

// runUntil lets time pass until the end, or until stop says so; stop is asked after each event, nil never.
func (c *clock) runUntil(end time.Duration, stop func() bool) {
	for e := c.next(end); e != nil; e = c.next(end) {
		happens := e.do != nil
		if happens {
			c.now = e.at
			c.digest = (c.digest^uint64(e.at)^e.serial)*0x100000001b3 + 1
			if e.server == nil {
				e.do()
			} else {
				e.happenAtServer()
			}
		}
		c.spare.add(e)
		if happens && stop != nil && stop() {
			return
		}
	}
	c.now = max(c.now, end)
}

// between draws a duration, both ends included.
func (c *clock) between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(c.rand.Int64N(int64(high-low)+1))
}

// chance draws whether something that happens with probability p happens.
func (c *clock) chance(p float64) bool { return c.rand.Float64() < p }

// task is a line of work that can wait: a coroutine. It belongs to a process, with which it ends.
type task struct {
	process *process
	work    func()
	strand  *strand // that it runs on; nil before it has begun
	resume  func()  // lets it go on, as an event
	expire  func()  // ends what it waits for at most, as an event
	over    bool    // that has happened
	parked  bool    // it waits in park
	due     bool    // a wake is arranged already
	ended   bool
}

// blank is the task's memory for the next one.
func (t *task) blank() { *t = task{resume: t.resume, expire: t.expire} }

// unwound is what a task that is killed panics with, so that it stops wherever it waits.
type unwound struct{}

// process is what the tasks of one elector (or of one client) have in common: they are paused together, as by SIGSTOP or
// a long collection of garbage, and killed together.
type process struct {
	clock  *clock
	name   string
	skew   time.Duration // of its clock
	read   time.Duration // when its clock was read last
	shown  time.Time     // and what it showed; zero before
	paused bool
	dead   bool
	tasks  []*task
	asleep []*task  // would run now, but the process is paused
	held   []func() // what arrived meanwhile
}

func (c *clock) newProcess(name string) *process { return &process{clock: c, name: name} }

// spawn starts a task now, after what is happening has happened.
func (p *process) spawn(work func()) *task {
	t := p.clock.slabs().tasks.one()
	t.process, t.work = p, work
	if t.resume == nil {
		t.resume = func() { t.process.resume(t) }
		t.expire = func() { t.over = true; t.process.wake(t) }
	}
	p.tasks = append(p.tasks, t)
	t.parked = true
	p.wake(t)
	return t
}

// wake lets a parked task go on, now, or when its process is no longer paused.
func (p *process) wake(t *task) {
	if p.dead || t.ended || t.due || !t.parked {
		return
	}
	t.due = true
	p.clock.after(0, t.resume)
}

func (p *process) resume(t *task) {
	switch {
	case p.dead || t.ended:
	case p.paused:
		p.asleep = append(p.asleep, t)
	default:
		t.due, t.parked = false, false
		before := p.clock.current
		p.clock.current = t
		if t.strand == nil {
			t.strand = p.clock.crew.strand(t)
			p.clock.strands++
		}
		t.strand.next()
		p.clock.current = before
		if t.ended {
			p.forget(t)
			p.clock.release(t.strand)
		}
	}
}

// release gives a strand back whose task is over.
func (c *clock) release(s *strand) {
	c.crew.release(s)
	if c.strands--; c.strands == 0 && c.alone {
		c.crew.Dismiss()
	}
}

func (p *process) forget(t *task) {
	for i, x := range p.tasks {
		if x == t {
			p.tasks = append(p.tasks[:i], p.tasks[i+1:]...)
			return
		}
	}
}

// pause stops all tasks where they are; time goes on without them.
func (p *process) pause() { p.paused = true }

// thaw lets a paused process go on.
func (p *process) thaw() { p.thawLagging(0) }

// thawLagging lets a paused process go on, and its tasks a while before what came for it meanwhile: after a long stop it is
// anybody's guess what a process does first, and timers that would tell it how late it is may be last.
func (p *process) thawLagging(lag time.Duration) {
	p.paused = false
	held, asleep := p.held, p.asleep
	p.held, p.asleep = nil, nil
	for _, do := range held {
		p.clock.after(lag, func() { p.deliver(do) })
	}
	for _, t := range asleep {
		t.due = false
		p.wake(t)
	}
}

// deliver hands the process something that arrived from outside: now, or when it is no longer paused. It must not wait.
func (p *process) deliver(do func()) {
	switch {
	case p.dead:
	case p.paused:
		p.held = append(p.held, do)
	default:
		do()
	}
}

// kill ends the process at once: none of its tasks does anything more.
func (p *process) kill() {
	if p.dead {
		return
	}
	p.dead = true
	tasks := p.tasks
	p.tasks, p.asleep, p.held = nil, nil, nil
	before := p.clock.current
	for _, t := range tasks {
		if t != before && t.strand != nil {
			p.clock.current = t
			t.strand.next() // it learns that it is dead, and unwinds
			p.clock.release(t.strand)
		}
	}
	p.clock.current = before
}

// enter is the first thing that every call into the world does: a task of a killed process, which still runs what it
// deferred, has no more effect on anything.
func (c *clock) enter() {
	if c.current != nil && c.current.process.dead {
		panic(unwound{})
	}
}

// park gives way until wake. Only the task itself calls it. A task whose process was killed never returns from it.
func (c *clock) park() {
	t := c.current
	if t == nil {
		panic("sim: something that is no task tried to wait")
	}
	if t.process.dead {
		panic(unwound{})
	}
	t.parked = true
	if t.strand.yield(struct{}{}); t.process.dead {
		panic(unwound{})
	}
}

// sleep lets a task wait for d.
func (c *clock) sleep(d time.Duration) {
	t := c.current
	t.over = false
	c.after(d, t.expire)
	for !t.over {
		c.park()
	}
}

// promise is an answer that is not there yet.
type promise[T any] struct {
	clock  *clock
	value  T
	kept   bool
	waiter *task
}

// promise is one of nothing but an error.
func (c *clock) promise() *promise[error] {
	p := c.slabs().promises.one()
	p.clock = c
	return p
}

// keep gives the answer; only the first counts.
func (p *promise[T]) keep(value T) {
	if p.kept {
		return
	}
	p.value, p.kept = value, true
	if p.waiter != nil {
		p.waiter.process.wake(p.waiter)
	}
}

// await waits for the answer, until ctx ends or d is over (negative: for ever); false when it did not come.
func (p *promise[T]) await(ctx context.Context, d time.Duration) (T, bool) {
	p.clock.waitFor(ctx, d, func() bool { return p.kept }, func(t *task) { p.waiter = t })
	return p.value, p.kept
}

// waitFor parks the current task until ready, the end of d or that of ctx. It is woken by whoever was handed the task.
func (c *clock) waitFor(ctx context.Context, d time.Duration, ready func() bool, hand func(*task)) {
	if ready() || d == 0 || ctx.Err() != nil {
		return
	}
	t := c.current
	t.over = false
	var limit timer
	if d > 0 {
		limit = c.after(d, t.expire)
	}
	life := ended(ctx)
	life.attend(t)
	hand(t)
	for !ready() && !t.over && ctx.Err() == nil {
		c.park()
	}
	hand(nil)
	life.leave(t)
	limit.cancel()
}

// bell implements orchestrator.Bell.
type bell struct {
	clock  *clock
	rung   bool
	waiter *task
}

func (b *bell) Ring() {
	b.rung = true
	if b.waiter != nil {
		b.waiter.process.wake(b.waiter)
	}
}

func (b *bell) Wait(ctx context.Context, atMost time.Duration) bool {
	b.clock.waitFor(ctx, atMost, func() bool { return b.rung }, func(t *task) { b.waiter = t })
	rung := b.rung
	b.rung = false
	return rung
}

// group implements orchestrator.Tasks.
type group struct {
	process *process
	running int
	idle    bell
}

func (g *group) Go(work func()) {
	g.running++
	g.process.spawn(func() {
		work()
		g.running--
		g.idle.Ring()
	})
}

func (g *group) Wait() {
	for g.running > 0 {
		g.idle.Wait(context.Background(), -1)
	}
}

var _ orchestrator.Runtime = (*process)(nil)

// Now implements orchestrator.Runtime: the time by the clock of this process, which may be wrong.
func (p *process) Now() time.Time {
	if now := p.clock.now + p.skew; p.shown.IsZero() || now != p.read {
		p.read, p.shown = now, epoch.Add(now)
	}
	return p.shown
}

// NewBell implements orchestrator.Runtime.
func (p *process) NewBell() orchestrator.Bell { return &bell{clock: p.clock} }

// NewTasks implements orchestrator.Runtime.
func (p *process) NewTasks() orchestrator.Tasks {
	return &group{process: p, idle: bell{clock: p.clock}}
}

// Within implements orchestrator.Runtime.
func (p *process) Within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	in := p.clock.newLife(ctx)
	limit := p.clock.after(d, in.expire)
	return in, func() { limit.cancel(); in.end(context.Canceled) }
}

// life is a context in virtual time. Nothing runs beside it: who waits for its end is woken by it.
type life struct {
	clock    *clock
	parent   *life
	children []*life
	waiters  []*task
	err      error
	done     chan struct{}
	expire   func() // ends it, as an event
}

// blank is the life's memory for the next one.
func (l *life) blank() {
	clear(l.children[:cap(l.children)])
	clear(l.waiters[:cap(l.waiters)])
	*l = life{expire: l.expire, children: l.children[:0], waiters: l.waiters[:0]}
}

// newLife is a context that ends with its parent, which is another life or one that never ends.
func (c *clock) newLife(parent context.Context) *life {
	l := c.slabs().lives.one()
	if l.clock = c; l.expire == nil {
		l.expire = func() { l.end(context.DeadlineExceeded) }
	}
	if p := ended(parent); p != nil {
		l.parent = p
		if l.err = p.err; l.err == nil {
			p.children = append(p.children, l)
		}
	}
	return l
}

// ended is the life behind a context; nil for one that never ends.
func ended(ctx context.Context) *life {
	l, _ := ctx.(*life)
	return l
}

// end ends the life and all that depend on it.
func (l *life) end(err error) {
	if l.err != nil {
		return
	}
	l.err = err
	if l.done != nil {
		close(l.done)
	}
	if l.parent != nil {
		l.parent.leaveChild(l)
	}
	for _, t := range l.waiters {
		t.process.wake(t)
	}
	children := l.children
	l.children = nil
	for _, child := range children {
		child.end(err)
	}
}

func (l *life) leaveChild(child *life) {
	for i, x := range l.children {
		if x == child {
			l.children = append(l.children[:i], l.children[i+1:]...)
			return
		}
	}
}

// attend has a task woken at the end.
func (l *life) attend(t *task) {
	if l != nil {
		l.waiters = append(l.waiters, t)
	}
}

// leave takes attend back.
func (l *life) leave(t *task) {
	if l == nil {
		return
	}
	for i, x := range l.waiters {
		if x == t {
			l.waiters = append(l.waiters[:i], l.waiters[i+1:]...)
			return
		}
	}
}

// Deadline implements context.Context. Virtual time is nobody else's business.
func (l *life) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (l *life) Done() <-chan struct{} {
	if l.done == nil {
		l.done = make(chan struct{})
		if l.err != nil {
			close(l.done)
		}
	}
	return l.done
}

// Err implements context.Context.
func (l *life) Err() error { return l.err }

// Value implements context.Context.
func (l *life) Value(any) any { return nil }
