package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

func TestTheDeadlineCountsFromWhenTheConfirmedKeepAliveWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		s := newSession(t.Context(), 1, begun, 10*time.Second) // a tenth is kept back: 9 s
		sent := begun.Add(2 * time.Second)
		<-time.After(5 * time.Second) // the reply to the one sent at 2 s arrives at 5 s
		s.renew(sent, 10*time.Second)
		if want := begun.Add(11 * time.Second); !s.until().Equal(want) {
			t.Errorf("deadline is %s after the start, want 11s", s.until().Sub(begun))
		}
		if at := begun.Add(11 * time.Second); !s.held(at.Add(-1)) || s.held(at) {
			t.Error("held is asked for a moment ahead and answers for another")
		}
		if !s.held(time.Now()) {
			t.Error("asking about a moment ahead lost the session")
		}
		<-s.ctx.Done()
		if lost := time.Since(begun); lost != 11*time.Second {
			t.Errorf("lost after %s, want 11s", lost)
		}
	})
}

func TestAConfirmationThatArrivesAfterTheDeadlineRevivesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession(t.Context(), 1, time.Now(), 10*time.Second)
		s.mu.Lock()
		s.alarm.Stop() // as if the alarm's goroutine were starved
		s.mu.Unlock()
		<-time.After(9 * time.Second)
		s.renew(time.Now(), 10*time.Second)
		if s.held(time.Now()) || s.ctx.Err() == nil {
			t.Error("a lost session came back")
		}
		s.lose(nil)
	})
}

// slowLeases delivers replies to keep-alives late.
type slowLeases struct {
	pb.LeaseClient
	delay time.Duration
}

func (s slowLeases) LeaseKeepAlive(ctx context.Context, opts ...grpc.CallOption) (pb.Lease_LeaseKeepAliveClient, error) {
	stream, err := s.LeaseClient.LeaseKeepAlive(ctx, opts...)
	return slowStream{stream, s.delay}, err
}

type slowStream struct {
	pb.Lease_LeaseKeepAliveClient
	delay time.Duration
}

func (s slowStream) Recv() (*pb.LeaseKeepAliveResponse, error) {
	reply, err := s.Lease_LeaseKeepAliveClient.Recv()
	pause(s.Context(), s.delay)
	return reply, err
}

func TestAReplyThatTookLongBuysLessTime(t *testing.T) {
	t.Parallel()
	s := open(t, Settings{Dir: t.TempDir(), LeaseTTL: 3 * time.Second})
	s.leases = slowLeases{s.leases, 300 * time.Millisecond}
	l := acquire(t, s, "shop")
	first := l.Deadline()
	eventually(t, "the lease is renewed", func() bool { return l.Deadline() != first })
	if left := time.Until(l.Deadline()); left > 2400*time.Millisecond { // 3 s, less a tenth, less the delay
		t.Errorf("%s are left: counted from the reply, not from the request", left)
	}
}

func TestARequestThatGetsNoReplyIsGivenUpBeforeTheDeadline(t *testing.T) {
	t.Parallel()
	s := open(t, Settings{Dir: t.TempDir(), LeaseTTL: 2 * time.Second})
	s.leases = &stuckOnce{LeaseClient: s.leases}
	l := acquire(t, s, "shop")
	first := l.Deadline()
	eventually(t, "the lease is renewed or lost", func() bool { return l.Deadline() != first || !l.Held(time.Now()) })
	if !l.Held(time.Now()) {
		t.Error("one lost keep-alive cost the lock")
	}
}

// stuckOnce opens a first stream whose replies never come.
type stuckOnce struct {
	pb.LeaseClient
	opened bool
}

func (s *stuckOnce) LeaseKeepAlive(ctx context.Context, opts ...grpc.CallOption) (pb.Lease_LeaseKeepAliveClient, error) {
	stream, err := s.LeaseClient.LeaseKeepAlive(ctx, opts...)
	if s.opened {
		return stream, err
	}
	s.opened = true
	return slowStream{stream, time.Hour}, err
}

// ghost is the lease as an elector would have it whose clock stood still: it believes that it holds the lock.
func ghost(t *testing.T, l *Lease) *Lease {
	session := newSession(context.Background(), l.claim.session.id, time.Now(), time.Hour)
	t.Cleanup(func() { session.lose(nil) })
	g := &Lease{store: l.store, claim: claim{l.claim.name, l.claim.value, session}, token: l.token,
		fence: seen{revision: unknown}, termRev: unknown, writing: make(chan struct{}, 1)}
	g.ctx, g.end = context.WithCancelCause(session.ctx)
	return g
}

func TestEtcdRefusesTheWritesOfAnElectorThatMissedItsLoss(t *testing.T) {
	t.Parallel()
	eachEtcd(t, func(t *testing.T, settings Settings) {
		s := open(t, settings)
		first := acquire(t, s, "shop")
		must(t, first.Put(t.Context(), doc("d", "1")))
		must(t, first.Release(t.Context()))
		second := acquire(t, s, "shop")
		term, err := second.NextTerm(t.Context(), 0)
		must(t, err)

		for name, write := range map[string]func(*Lease) error{
			"put":    func(g *Lease) error { return g.Put(t.Context(), doc("d", "stale")) },
			"delete": func(g *Lease) error { return g.Delete(t.Context(), "d") },
			"update": func(g *Lease) error {
				return g.Update(t.Context(), "d", func([]byte) ([]byte, error) { return []byte("stale"), nil })
			},
			"draw a term": func(g *Lease) error { _, err := g.NextTerm(t.Context(), 100); return err },
		} {
			g := ghost(t, first)
			if !g.Held(time.Now()) {
				t.Fatal("the ghost knows")
			}
			if err := write(g); !errors.Is(err, ErrLost) {
				t.Errorf("%s: got %v, want ErrLost", name, err)
			}
			if g.Held(time.Now()) {
				t.Errorf("%s: etcd's refusal was not remembered", name)
			}
		}
		must(t, ghost(t, first).Release(t.Context()))

		if got := value(t, s, "d"); got != "1" {
			t.Errorf("a stale write was carried out: %q", got)
		}
		next, err := second.NextTerm(t.Context(), 0)
		if must(t, err); next != term+1 || !second.Held(time.Now()) {
			t.Errorf("the rightful holder drew term %d after %d, held %v", next, term, second.Held(time.Now()))
		}
	})
}

func TestALockThatAnotherTookAtTheSameRevisionIsNotOurs(t *testing.T) {
	t.Parallel()
	s := open(t, Settings{Dir: t.TempDir()})
	first := acquire(t, s, "shop")
	must(t, first.Put(t.Context(), doc("d", "1")))
	must(t, first.Release(t.Context()))
	second := acquire(t, s, "shop")
	must(t, second.Put(t.Context(), doc("d", "2")))
	g := ghost(t, first)
	g.token = second.Token() // as happens when etcd counts again from an older state
	g.marks = 0
	mustFail(t, g.Put(t.Context(), doc("d", "stale")), ErrLost)
	if got := value(t, s, "d"); got != "2" {
		t.Errorf("a stale write was carried out: %q", got)
	}
}

func TestALockThatIsRemovedInEtcdIsLostAtOnce(t *testing.T) {
	t.Parallel()
	eachEtcd(t, func(t *testing.T, settings Settings) {
		settings.LeaseTTL = time.Minute
		s := open(t, settings)
		kept := acquire(t, s, "other")
		for range 3 { // again, since the beginning of the watch is news by itself
			removed := acquire(t, s, "shop")
			_, err := s.client.Delete(t.Context(), locks+"shop")
			must(t, err)
			awaitDone(t, removed, 2*time.Second)
			if removed.Held(time.Now()) || !kept.Held(time.Now()) {
				t.Errorf("removed lock held %v, other lock held %v", removed.Held(time.Now()), kept.Held(time.Now()))
			}
		}
		must(t, acquire(t, s, "shop").Put(t.Context(), doc("a", "b")))
	})
}

func TestARevokedSessionEndsAllItsLocksAndTheNextAcquireBeginsAnother(t *testing.T) {
	t.Parallel()
	eachEtcd(t, func(t *testing.T, settings Settings) {
		s := open(t, settings)
		a, b := acquire(t, s, "a"), acquire(t, s, "b")
		_, err := s.client.Revoke(t.Context(), a.claim.session.id)
		must(t, err)
		awaitDone(t, a, 3*time.Second)
		awaitDone(t, b, 3*time.Second)
		again := acquire(t, s, "a")
		if again.Token() <= a.Token() || a.Held(time.Now()) {
			t.Errorf("token %d after %d, old lease held %v", again.Token(), a.Token(), a.Held(time.Now()))
		}
		must(t, again.Put(t.Context(), doc("a", "b")))
	})
}

type nameKey struct{}

func TestWhatIsDoneUnderALockEndsWithIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		end   func(*Lease)
		cause error
	}{
		{"the session is lost", func(l *Lease) { l.claim.session.lose(context.DeadlineExceeded) }, context.DeadlineExceeded},
		{"etcd refuses a write", func(l *Lease) { _ = l.lost() }, errDisowned},
		{"the lock is released", func(l *Lease) { _ = l.Release(t.Context()) }, errReleased},
	} {
		s := open(t, Settings{Dir: t.TempDir()})
		l, err := s.Acquire(context.WithValue(t.Context(), nameKey{}, "loop"), "shop")
		must(t, err)
		below, cancel := context.WithCancel(l.Context())
		defer cancel()
		if l.Context().Err() != nil || l.Context().Value(nameKey{}) != "loop" {
			t.Fatalf("%s: ended before: %v, value %v", c.name, l.Context().Err(), l.Context().Value(nameKey{}))
		}
		c.end(l) // whoever asks in the same moment gets the same answer from all of them
		if l.Held(time.Now()) || l.Context().Err() == nil || below.Err() == nil {
			t.Errorf("%s: held %v, context %v, one below it %v", c.name, l.Held(time.Now()), l.Context().Err(), below.Err())
		}
		if got := context.Cause(below); !errors.Is(got, c.cause) {
			t.Errorf("%s: the cause is %v, want %v", c.name, got, c.cause)
		}
	}
}

func TestALockOutlivesTheContextOfItsAcquisitionUntilItIsReleased(t *testing.T) {
	t.Parallel()
	s := open(t, Settings{Dir: t.TempDir()})
	stopping := errors.New("the loop is stopped")
	ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), nameKey{}, "loop"))
	l, err := s.Acquire(ctx, "shop")
	must(t, err)
	cancel(stopping)
	awaitDone(t, l, time.Second)
	mustFail(t, context.Cause(l.Context()), stopping)

	last := context.WithoutCancel(l.Context())
	if !l.Held(time.Now()) || last.Value(nameKey{}) != "loop" {
		t.Fatalf("held %v, value %v", l.Held(time.Now()), last.Value(nameKey{}))
	}
	must(t, l.Put(last, doc("d", "what was under way")))
	_, err = l.NextTerm(last, 0)
	must(t, err)
	mustFail(t, l.Put(l.Context(), doc("d", "too late")), context.Canceled)
	must(t, l.Release(last))
	must(t, acquire(t, s, "shop").Release(t.Context()))
	mustFail(t, l.Put(last, doc("d", "much too late")), ErrLost)
	if got := value(t, s, "d"); got != "what was under way" {
		t.Errorf("document says %q", got)
	}
}

func TestALeaseThatEndedLeavesNothingAtTheContextOfItsAcquisition(t *testing.T) {
	caller := &counted{Context: t.Context()}
	lock, end := context.WithCancelCause(t.Context())
	work := under(lock, caller)
	if caller.hooks != 1 || work.Err() != nil {
		t.Fatalf("%d hooks, work ended: %v", caller.hooks, work.Err())
	}
	end(errReleased)
	eventually(t, "the hook is taken back", func() bool {
		caller.mu.Lock()
		defer caller.mu.Unlock()
		return caller.hooks == 0
	})
}

// counted is a context that counts who is to be called at its end.
type counted struct {
	context.Context
	mu    sync.Mutex
	hooks int
}

// Value hides that there is a context of package context below, which would be used without AfterFunc.
func (c *counted) Value(any) any { return nil }

// AfterFunc is what context.AfterFunc uses where it is there.
func (c *counted) AfterFunc(f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hooks++
	stop := context.AfterFunc(c.Context, f)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.hooks--
		return stop()
	}
}

func TestHundredsOfLocksAreLostTakenAgainAndClosedTogether(t *testing.T) {
	t.Parallel()
	eachEtcd(t, func(t *testing.T, settings Settings) {
		settings.LeaseTTL = 5 * time.Second
		s := open(t, settings)
		var leases [300]*Lease
		for i := range leases {
			leases[i] = acquire(t, s, fmt.Sprint("cluster-", i))
		}
		var work sync.WaitGroup
		for _, l := range leases[:50] {
			work.Go(func() {
				if _, err := s.Acquire(t.Context(), l.claim.name); err != nil {
					t.Error(err)
				}
			})
		}
		_, err := s.client.Revoke(t.Context(), leases[0].claim.session.id)
		must(t, err)
		for _, l := range leases {
			awaitDone(t, l, 5*time.Second)
		}
		work.Wait()
		for i := range leases[50:] {
			acquire(t, s, fmt.Sprint("cluster-", 50+i))
		}
		begun := time.Now()
		must(t, s.Close())
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("closing took %s", took)
		}
	})
}

func TestUpdatesOfTwoElectorsLoseNothing(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	const each, edits = 3, 15
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // an edit that others forestall begins anew: how often is not the point
	defer cancel()
	var work sync.WaitGroup
	for elector := range 2 {
		s := open(t, Settings{Endpoints: []string{etcd.endpoint}, LeaseTTL: time.Minute})
		for i := range each {
			l := acquire(t, s, fmt.Sprintf("cluster-%d-%d", elector, i))
			work.Go(func() {
				for range edits {
					if err := l.Update(ctx, "fleet/brake", increment); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	work.Wait()
	s := open(t, Settings{Endpoints: []string{etcd.endpoint}})
	if got := value(t, s, "fleet/brake"); got != strconv.Itoa(2*each*edits) {
		t.Errorf("%s of %d edits are there", got, 2*each*edits)
	}
}

func increment(old []byte) ([]byte, error) {
	n, _ := strconv.Atoi(string(old)) // nothing counts as zero
	return []byte(strconv.Itoa(n + 1)), nil
}

func TestAnUpdateThatRefusesOrChangesNothingWritesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, Settings{Dir: t.TempDir()})
	l := acquire(t, s, "shop")
	refusal := fmt.Errorf("the brake is on: %w", context.DeadlineExceeded) // looks as if repeating would help
	calls := 0
	err := l.Update(t.Context(), "d", func(old []byte) ([]byte, error) {
		if calls++; old != nil {
			t.Errorf("no document reads as %q", old)
		}
		return []byte("x"), refusal
	})
	mustFail(t, err, refusal)
	must(t, l.Update(t.Context(), "d", func([]byte) ([]byte, error) { return nil, nil }))
	if _, ok, _ := s.Get(t.Context(), "d"); ok || calls != 1 {
		t.Errorf("document written: %v, edits: %d", ok, calls)
	}
}

// unreliable stands between the store and etcd. It carries out transactions and keeps the reply, or keeps the request
// and lets the test carry it out later.
type unreliable struct {
	clientv3.KV
	mu      sync.Mutex
	lose    func() bool // asked for each write: is its reply lost?
	hold    func() bool // asked for each write: is it held back?
	delayed []func() (*clientv3.TxnResponse, error)
}

var errReplyLost = context.DeadlineExceeded

func (u *unreliable) Txn(ctx context.Context) clientv3.Txn {
	return &unreliableTxn{Txn: u.KV.Txn(context.WithoutCancel(ctx)), u: u}
}

type unreliableTxn struct {
	clientv3.Txn
	u      *unreliable
	writes bool
}

func (x *unreliableTxn) If(cmps ...clientv3.Cmp) clientv3.Txn {
	x.Txn, x.writes = x.Txn.If(cmps...), true // only writes have conditions
	return x
}

func (x *unreliableTxn) Then(ops ...clientv3.Op) clientv3.Txn { x.Txn = x.Txn.Then(ops...); return x }
func (x *unreliableTxn) Else(ops ...clientv3.Op) clientv3.Txn { x.Txn = x.Txn.Else(ops...); return x }

func (x *unreliableTxn) Commit() (*clientv3.TxnResponse, error) {
	x.u.mu.Lock()
	defer x.u.mu.Unlock()
	if x.writes && x.u.hold != nil && x.u.hold() {
		x.u.delayed = append(x.u.delayed, x.Txn.Commit)
		return nil, errReplyLost
	}
	reply, err := x.Txn.Commit()
	if x.writes && x.u.lose != nil && x.u.lose() {
		return nil, errReplyLost
	}
	return reply, err
}

// deliver carries out what was held back, and says how many of those took effect.
func (u *unreliable) deliver(t *testing.T) (succeeded int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, commit := range u.delayed {
		reply, err := commit()
		if must(t, err); reply.Succeeded {
			succeeded++
		}
	}
	u.delayed = nil
	return succeeded
}

func openUnreliable(t *testing.T) (*Store, *unreliable) {
	s := open(t, Settings{Dir: t.TempDir()})
	u := &unreliable{KV: s.client.KV}
	s.client.KV = u
	return s, u
}

// every answers true at the nth, 2nth … time.
func every(n int) func() bool {
	asked := 0
	return func() bool { asked++; return asked%n == 0 }
}

// once answers true at the nth time only.
func once(n int) func() bool {
	asked := 0
	return func() bool { asked++; return asked == n }
}

func TestAWriteWhoseReplyIsLostIsMadeOnce(t *testing.T) {
	t.Parallel()
	s, u := openUnreliable(t)
	l := acquire(t, s, "shop")
	u.lose = every(2)
	for want := range uint64(10) {
		term, err := l.NextTerm(t.Context(), 0)
		if must(t, err); term != want+1 {
			t.Fatalf("term %d, want %d: the lost reply was not understood", term, want+1)
		}
		must(t, l.Update(t.Context(), "fleet/brake", increment))
	}
	if got := value(t, s, "fleet/brake"); got != "10" {
		t.Errorf("10 changes were counted as %s", got)
	}
}

func TestATermWhoseFateTheCallerNeverLearntIsNotGivenAgain(t *testing.T) {
	t.Parallel()
	s, u := openUnreliable(t)
	l := acquire(t, s, "shop")
	ctx, cancel := context.WithCancel(t.Context())
	u.lose = func() bool { cancel(); return true }
	_, err := l.NextTerm(ctx, 0)
	mustFail(t, err, context.DeadlineExceeded)
	u.lose = nil
	term, err := l.NextTerm(t.Context(), 0)
	if must(t, err); term != 2 {
		t.Errorf("term %d, want 2: the first was drawn by a call that failed", term)
	}
}

func TestADelayedDrawIsNeverGivenToAnother(t *testing.T) {
	t.Parallel()
	s, u := openUnreliable(t)
	l := acquire(t, s, "shop")
	u.hold = once(1)
	first, err := l.NextTerm(t.Context(), 0) // the first attempt is on its way, the second one succeeds
	must(t, err)
	if n := u.deliver(t); n != 0 {
		t.Errorf("%d delayed draws took effect after a later one", n)
	}
	second, err := l.NextTerm(t.Context(), 0)
	if must(t, err); second != first+1 {
		t.Errorf("term %d after %d", second, first)
	}
}

func TestADelayedWriteDoesNotUndoALaterOne(t *testing.T) {
	t.Parallel()
	s, u := openUnreliable(t)
	l := acquire(t, s, "shop")
	u.hold = every(1)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	mustFail(t, l.Put(ctx, doc("d", "old")), ErrUnavailable)
	u.hold = nil
	must(t, l.Put(t.Context(), doc("d", "new")))
	if n := u.deliver(t); n != 0 || value(t, s, "d") != "new" {
		t.Errorf("%d delayed writes took effect, the document says %q", n, value(t, s, "d"))
	}
	must(t, l.Put(t.Context(), doc("d", "newest")))
}

func TestAWriteWhoseReplyWasLostIsFollowedByTheNext(t *testing.T) {
	t.Parallel()
	s, u := openUnreliable(t)
	l := acquire(t, s, "shop")
	u.lose = every(2)
	for i := range 6 {
		must(t, l.Put(t.Context(), doc("d", strconv.Itoa(i))))
		if got := value(t, s, "d"); got != strconv.Itoa(i) {
			t.Fatalf("document says %s after write %d", got, i)
		}
	}
}

func TestALockWhoseReplyWasLostIsNotLeftLocked(t *testing.T) {
	t.Parallel()
	s, u := openUnreliable(t)
	u.lose = once(1)
	l := acquire(t, s, "shop")
	if !l.Held(time.Now()) {
		t.Error("not held")
	}
	must(t, l.Release(t.Context()))
	must(t, acquire(t, s, "shop").Release(t.Context()))
}

func TestADelayedAttemptAtALockComesToNothing(t *testing.T) {
	t.Parallel()
	s, u := openUnreliable(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := once(1)
	u.hold = func() bool { cancel(); return first() } // one attempt, no more
	_, err := s.Acquire(ctx, "shop")
	mustFail(t, err, context.Canceled)
	eventually(t, "the attempt is withdrawn", func() bool {
		reply, err := u.KV.Get(t.Context(), fences+"shop")
		return err == nil && len(reply.Kvs) == 1
	})
	if n := u.deliver(t); n != 0 {
		t.Error("the lock was taken for nobody")
	}
	must(t, acquire(t, s, "shop").Release(t.Context()))
}

func TestALockWhoseReleaseGotNoAnswerIsReleasedLater(t *testing.T) {
	t.Parallel()
	s, u := openUnreliable(t)
	l := acquire(t, s, "shop")
	u.mu.Lock()
	u.hold = func() bool { return true }
	u.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	mustFail(t, l.Release(ctx), ErrUnavailable)
	awaitDone(t, l, time.Second)
	u.mu.Lock()
	u.hold, u.delayed = nil, nil
	u.mu.Unlock()
	eventually(t, "the lock is free", func() bool {
		holder, err := s.Holder(t.Context(), "shop")
		return err == nil && holder == ""
	})
	if !acquire(t, s, "shop").Held(time.Now()) {
		t.Error("not held")
	}
}
