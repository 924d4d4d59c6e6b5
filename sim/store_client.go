package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/orchestrator"
)

// How patient package store is.
const (
	storePatience = 2 * time.Second // with a call
	retryPause    = 50 * time.Millisecond
)

// resendMax is how long what was under way may take to arrive once nothing hinders it any more.
const resendMax = time.Second

var (
	errLockLost   = errors.New("the lock is no longer held")
	errUnanswered = errors.New("the store does not answer")
	errOvertaken  = errors.New("another write came first")
)

// span is from when to when something may take.
type span struct{ low, high time.Duration }

// usualDelay is what a call to the store takes, there and back, with its commit.
var usualDelay = span{200 * time.Microsecond, 3 * time.Millisecond}

// storeClient is one elector's connection to the vault, with all that can go wrong on the way. It implements
// orchestrator.Store.
type storeClient struct {
	vault   *vault
	clock   *clock
	process *process

	session *storeSession // the one in use, or the last one
	opening turn          // one session is begun at a time
	bells   []*storeBell

	broken  bool // the connection was lost since the last keep-alive
	severed bool // nothing gets through
	deaf    bool // requests get through, and replies do not
	delay   span
	stuck   []func() // requests that are on the way since the connection broke, and may get through when it is mended
}

// storeBell is rung when a cluster's lock may have been freed.
type storeBell struct {
	cluster string
	ring    func()
}

var _ orchestrator.Store = (*storeClient)(nil)

// connect lets a process use the vault, for as long as it lives.
func (v *vault) connect(p *process) *storeClient {
	v.clients = slices.DeleteFunc(v.clients, func(c *storeClient) bool { return c.process.dead })
	c := &storeClient{vault: v, clock: v.clock, process: p, delay: usualDelay}
	v.clients = append(v.clients, c)
	return c
}

func (v *vault) client(p *process) *storeClient {
	for _, c := range v.clients {
		if c.process == p {
			return c
		}
	}
	return nil
}

// cut separates a process from the vault, or joins them again.
func (v *vault) cut(p *process, cut bool) {
	c := v.client(p)
	if c == nil || c.severed == cut {
		return
	}
	if c.severed = cut; cut {
		return
	}
	stuck := c.stuck
	c.stuck = nil
	for _, arrive := range stuck {
		v.clock.after(c.clock.between(0, resendMax), arrive)
	}
	c.listenAgain()
}

// loseReplies lets the vault do what a process asks, and keeps the answers from it.
func (v *vault) loseReplies(p *process, lose bool) {
	if c := v.client(p); c != nil {
		c.deaf = lose
	}
}

// slow sets how long calls of a process take, there and back.
func (v *vault) slow(p *process, low, high time.Duration) {
	if c := v.client(p); c != nil {
		c.delay = span{low, high}
	}
}

// unhindered tells whether nothing is in the way between client and vault.
func (c *storeClient) unhindered() bool {
	return !c.severed && !c.deaf && !c.vault.stopped && c.delay.high <= usualDelay.high
}

func (c *storeClient) halfway() time.Duration { return c.clock.between(c.delay.low, c.delay.high) / 2 }

// enter is where each call of an elector begins. Being told of it, somebody may have killed the elector.
func (c *storeClient) enter(call string) {
	c.clock.enter()
	if c.vault.calling != nil {
		c.vault.calling(c.process.name, call)
		c.clock.enter()
	}
}

// storeRequest is one message to the vault and the answer to it.
type storeRequest[T any] struct {
	client  *storeClient
	perform func() T
	giveUp  time.Duration // until when somebody waits for the answer
	half    time.Duration // what each way takes
	answer  promise[storeAnswer[T]]
	then    func(storeAnswer[T]) // for a request that no task waits for
}

type storeAnswer[T any] struct {
	value T
	lost  bool
}

// ask sends a request and waits for the answer. Without one, nobody knows whether it was or will be carried out.
func ask[T any](ctx context.Context, c *storeClient, patience time.Duration, perform func() T) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	r := post(c, patience, perform, nil)
	answer, came := r.answer.await(ctx, -1)
	switch {
	case !came:
		return none, ctx.Err()
	case answer.lost:
		return none, errUnanswered
	}
	return answer.value, nil
}

// post sends a request; then is called with what becomes of it.
func post[T any](c *storeClient, patience time.Duration, perform func() T, then func(storeAnswer[T])) *storeRequest[T] {
	r := &storeRequest[T]{client: c, perform: perform, half: c.halfway(), then: then}
	r.answer.clock = c.clock
	r.giveUp = c.clock.now + patience
	c.clock.after(r.half, r.arrive)
	if 2*r.half > patience {
		r.despair()
	}
	return r
}

// arrive is when the request has reached the vault. Where it does not get through, it is lost, or waits to be sent again
// without the elector knowing.
func (r *storeRequest[T]) arrive() {
	c := r.client
	switch {
	case c.severed:
		r.hinder(&c.stuck)
	case c.vault.stopped:
		r.hinder(&c.vault.deferred)
	default:
		value := r.perform()
		c.clock.after(r.half, func() { r.deliver(value) })
	}
}

func (r *storeRequest[T]) hinder(until *[]func()) {
	r.despair()
	if r.client.clock.chance(0.5) {
		*until = append(*until, r.arrive)
	}
}

func (r *storeRequest[T]) deliver(value T) {
	if c := r.client; c.severed || c.deaf || c.vault.stopped {
		r.despair()
		return
	}
	r.end(storeAnswer[T]{value: value})
}

// despair ends the wait when it has lasted long enough. Only who knows that there will be no answer needs to arrange it.
func (r *storeRequest[T]) despair() {
	r.client.clock.after(r.giveUp-r.client.clock.now, func() { r.end(storeAnswer[T]{lost: true}) })
}

// end tells whoever waits; only the first counts.
func (r *storeRequest[T]) end(answer storeAnswer[T]) {
	if r.answer.kept {
		return
	}
	r.answer.keep(answer)
	if r.then != nil {
		r.client.process.deliver(func() { r.then(answer) })
	}
}

// persist tries again until there is an answer, the call's time is over or the error is one that repeating cannot cure.
func (c *storeClient) persist(ctx context.Context, what, name string, try func(patience time.Duration) error) error {
	until := c.clock.now + storePatience
	for patience := storePatience / 10; ; patience += patience / 2 {
		err := try(min(patience, until-c.clock.now))
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errOvertaken) && ctx.Err() == nil && c.clock.now < until:
		case !errors.Is(err, errUnanswered) || until-c.clock.now <= retryPause || !c.pause(ctx):
			return fmt.Errorf("%s %s: %w", what, name, err)
		}
	}
}

// pause rests before another attempt, and says whether there is any point in it.
func (c *storeClient) pause(ctx context.Context) bool {
	c.clock.waitFor(ctx, retryPause, func() bool { return false }, func(*task) {})
	return ctx.Err() == nil
}

// reads asks until there is an answer.
func reads[T any](ctx context.Context, c *storeClient, what, name string, read func() T) (T, error) {
	var found T
	err := c.persist(ctx, what, name, func(patience time.Duration) (err error) {
		found, err = ask(ctx, c, patience, read)
		return err
	})
	return found, err
}

// Holder implements orchestrator.Store.
func (c *storeClient) Holder(ctx context.Context, cluster string) (string, error) {
	c.enter("holder")
	return reads(ctx, c, "read who holds the lock of", cluster, func() string {
		if holder := c.vault.cell(cluster).holder; holder != nil {
			return holder.elector
		}
		return ""
	})
}

// Get implements orchestrator.Store.
func (c *storeClient) Get(ctx context.Context, key string) (orchestrator.Document, bool, error) {
	c.enter("get")
	found, err := reads(ctx, c, "read", key, func() *orchestrator.Document { return c.vault.document(key) })
	if err != nil || found == nil {
		return orchestrator.Document{}, false, err
	}
	return *found, true, nil
}

// document is one, or nil.
func (v *vault) document(key string) *orchestrator.Document {
	d, found := v.documents[key]
	if !found {
		return nil
	}
	return &d.Document
}

// List implements orchestrator.Store.
func (c *storeClient) List(ctx context.Context, prefix string, limit int, newestFirst bool) ([]orchestrator.Document, error) {
	c.enter("list")
	return reads(ctx, c, "list", prefix, func() []orchestrator.Document { return c.vault.list(prefix, limit, newestFirst) })
}

// Ready implements orchestrator.Store.
func (c *storeClient) Ready(ctx context.Context) error {
	c.enter("ready")
	_, err := reads(ctx, c, "read from", "the store", func() bool { return true })
	return err
}

// hang begins to listen for news of a cluster's lock.
func (c *storeClient) hang(cluster string, ring func()) *storeBell {
	b := &storeBell{cluster: cluster, ring: ring}
	c.bells = append(c.bells, b)
	return b
}

func (c *storeClient) takeDown(b *storeBell) {
	c.bells = slices.DeleteFunc(c.bells, func(x *storeBell) bool { return x == b })
}

// news that a lock was freed travels to the client, if it gets through.
func (c *storeClient) news(cluster string) {
	if c.process.dead || !slices.ContainsFunc(c.bells, func(b *storeBell) bool { return b.cluster == cluster }) {
		return
	}
	c.clock.after(c.halfway(), func() { c.ring(func(b *storeBell) bool { return b.cluster == cluster }) })
}

// listenAgain is how a watch begins: nobody knows what was missed before, so all bells ring.
func (c *storeClient) listenAgain() {
	if c.process.dead {
		return
	}
	c.clock.after(retryPause+c.halfway(), func() { c.ring(func(*storeBell) bool { return true }) })
}

func (c *storeClient) ring(which func(*storeBell) bool) {
	if c.severed || c.vault.stopped {
		return // it is made up for by listenAgain
	}
	c.process.deliver(func() {
		for _, b := range slices.Clone(c.bells) {
			if which(b) {
				b.ring()
			}
		}
	})
}

// turn lets one task at a time do something.
type turn struct {
	taken   bool
	waiting []*task
}

// take waits for the turn; it is false when ctx ends first.
func (t *turn) take(ctx context.Context, c *clock) bool {
	for t.taken && ctx.Err() == nil {
		var mine *task
		c.waitFor(ctx, -1, func() bool { return !t.taken }, func(x *task) {
			if x != nil {
				mine = x
				t.waiting = append(t.waiting, x)
				return
			}
			t.waiting = slices.DeleteFunc(t.waiting, func(y *task) bool { return y == mine })
		})
	}
	if ctx.Err() != nil {
		return false
	}
	t.taken = true
	return true
}

func (t *turn) give() {
	t.taken = false
	for _, x := range t.waiting {
		x.process.wake(x)
	}
}
