package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// owner is the value of a lock. Attempt makes it unlike the value of every other attempt, so that whoever finds it
// knows that this attempt, and no other, has succeeded.
type owner struct {
	Elector string `json:"elector"`
	Attempt string `json:"attempt"`
}

// claim is one attempt at one cluster's lock.
type claim struct {
	name    string
	value   string
	session *session
}

func (s *Store) newClaim(name string, now *session) claim {
	attempt := fmt.Sprintf("%x-%d", int64(now.id), s.claims.next())
	value, _ := json.Marshal(owner{Elector: s.settings.Elector, Attempt: attempt}) // two strings always encode
	s.claims.begin(string(value))
	return claim{name: name, value: string(value), session: now}
}

// claims are those of one store that are under way or have become a lease.
type claims struct {
	mu    sync.Mutex
	drawn uint64 // makes the value of each claim unlike all others
	live  map[string]bool
}

func (c *claims) next() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drawn++
	return c.drawn
}

func (c *claims) begin(value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live == nil {
		c.live = map[string]bool{}
	}
	c.live[value] = true
}

func (c *claims) end(value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.live, value)
}

func (c *claims) lives(value string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.live[value]
}

// stray says whether a lock is kept alive by the session that we use, and yet of use to nobody: an attempt whose
// withdrawal is still under way, or one that etcd was restored to after it had been given back.
func (s *Store) stray(lock *mvccpb.KeyValue, now *session) bool {
	var holder owner
	if json.Unmarshal(lock.Value, &holder) != nil || s.claims.lives(string(lock.Value)) {
		return false
	}
	return strings.HasPrefix(holder.Attempt, fmt.Sprintf("%x-", int64(now.id)))
}

// Acquire takes the lock of one cluster. It waits while another holds it, another call on this Store included, and
// while etcd does not answer; it fails when ctx ends, or at once when etcd refuses, as for want of permission. The
// lease's Context ends with ctx too.
func (s *Store) Acquire(ctx context.Context, name string) (*Lease, error) {
	if name == "" {
		return nil, errors.New("acquire a lock: the name is empty")
	}
	caller := ctx
	ctx, cancel := within(ctx, s.ctx)
	defer cancel()
	what := "acquire the lock of " + name
	for {
		lease, err := s.contend(ctx, name)
		switch {
		case err == nil:
			lease.work = under(lease.ctx, caller)
			return lease, nil
		case errors.Is(err, errHeld) && ctx.Err() != nil && s.ctx.Err() == nil:
			return nil, fmt.Errorf("%s: %w", what, err)
		case !passing(err) || !pause(ctx, retryPause):
			return nil, s.explain(what, errors.Join(err, ctx.Err()))
		}
	}
}

// passing says whether a new attempt at a lock may do better.
func passing(err error) bool {
	return unavailable(err) || errors.Is(err, ErrLost) || errors.Is(err, errHeld) || canceled(err)
}

// contend competes within one session and ends with it.
func (s *Store) contend(ctx context.Context, name string) (*Lease, error) {
	now, err := s.sessionIn(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := within(ctx, now.ctx)
	defer cancel()
	c := s.newClaim(name, now)
	lease, err := s.compete(ctx, c)
	if lease == nil {
		s.claims.end(c.value)
	}
	return lease, err
}

func (s *Store) compete(ctx context.Context, c claim) (*Lease, error) {
	deleted, takeDown := s.bells.hang(c.name)
	defer takeDown()
	for {
		state, err := s.lockState(ctx, c.name)
		switch {
		case err != nil:
			return nil, err
		case state.lock == nil:
			if lease, err := s.take(ctx, c, state); lease != nil || err != nil {
				return lease, err
			}
		case s.stray(state.lock, c.session):
			if err := s.tryWithdraw(ctx, claim{name: c.name, value: string(state.lock.Value)}); err != nil {
				return nil, err
			}
		default:
			if err := deleted.wait(ctx, c.session.ttl); err != nil {
				return nil, fmt.Errorf("%w by %s: %w", errHeld, holderOf(state.lock), err)
			}
		}
	}
}

func (s *Store) sessionIn(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return s.session(ctx)
}

// take makes the lock ours if nothing has changed since state was read; otherwise it returns neither lease nor error.
// On an error nobody can say what became of the attempt, so it is withdrawn in the background, or else the lock might
// turn up later as ours with nobody to use it.
func (s *Store) take(ctx context.Context, c claim, state lockState) (*Lease, error) {
	revision, err := s.tryTake(ctx, c, state)
	if err == nil && revision != 0 && !c.session.held(time.Now()) {
		err = fmt.Errorf("%w: %w", ErrLost, context.Cause(c.session.ctx))
	}
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		c.session.lose(errors.New("etcd has ended the lease"))
		err = fmt.Errorf("%w: %w", ErrLost, err)
	}
	if err != nil {
		s.own(func() { s.withdraw(c) })
	}
	if err != nil || revision == 0 {
		return nil, err
	}
	return s.newLease(c, revision, state), nil
}

func (s *Store) tryTake(ctx context.Context, c claim, state lockState) (revision int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	lock, fence := locks+c.name, fences+c.name
	reply, err := s.client.Txn(ctx).
		If(append(state.fence.still(fence), clientv3.Compare(clientv3.CreateRevision(lock), "=", 0))...).
		Then(clientv3.OpPut(lock, c.value, clientv3.WithLease(c.session.id)), clientv3.OpPut(fence, c.value)).
		Commit()
	if err != nil || !reply.Succeeded {
		return 0, err
	}
	return reply.Header.Revision, nil
}

// lockState is what stands in etcd at one moment about one cluster.
type lockState struct {
	lock  *mvccpb.KeyValue // nil if the lock is free
	fence seen             // what last moved the fence, and when
	term  *mvccpb.KeyValue // nil if no term was ever drawn
}

func (s *Store) lockState(ctx context.Context, name string) (lockState, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	reply, err := s.client.Txn(ctx).
		Then(clientv3.OpGet(locks+name), clientv3.OpGet(fences+name), clientv3.OpGet(terms+name)).
		Commit()
	if err != nil {
		return lockState{}, err
	}
	return lockState{lock: found(reply, 0), fence: seenIn(found(reply, 1)), term: found(reply, 2)}, nil
}

func found(reply *clientv3.TxnResponse, i int) *mvccpb.KeyValue {
	if kvs := reply.Responses[i].GetResponseRange().Kvs; len(kvs) > 0 {
		return kvs[0]
	}
	return nil
}

func modRevision(kv *mvccpb.KeyValue) int64 {
	if kv == nil {
		return 0
	}
	return kv.ModRevision
}

// withdraw takes an attempt back until that is certain or the session's end has done it. The lock is deleted if it is
// ours, and otherwise the fence is moved, so that an attempt still on its way finds another fence than it names.
func (s *Store) withdraw(c claim) {
	for c.session.ctx.Err() == nil {
		if s.tryWithdraw(c.session.ctx, c) == nil || !pause(c.session.ctx, retryPause) {
			return
		}
	}
}

func (s *Store) tryWithdraw(ctx context.Context, c claim) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	lock, fence := locks+c.name, fences+c.name
	moved := clientv3.OpPut(fence, c.value+" withdrawn")
	free := clientv3.Compare(clientv3.CreateRevision(lock), "=", 0)
	_, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.Value(lock), "=", c.value)).
		Then(clientv3.OpDelete(lock), moved).
		Else(clientv3.OpTxn([]clientv3.Cmp{free}, []clientv3.Op{moved}, nil)).
		Commit()
	return err
}

// Holder is the name of the elector that holds a cluster's lock, "" if nobody does.
func (s *Store) Holder(ctx context.Context, name string) (string, error) {
	var holder string
	err := s.persist(ctx, "read who holds the lock of "+name, func(ctx context.Context) error {
		reply, err := s.client.Get(ctx, locks+name)
		if err == nil {
			holder = holderOf(first(reply))
		}
		return err
	})
	return holder, err
}

// holderOf reads the elector's name for people; whether a lock is ours is never decided by it.
func holderOf(lock *mvccpb.KeyValue) string {
	if lock == nil {
		return ""
	}
	var holder owner
	if json.Unmarshal(lock.Value, &holder) != nil || holder.Elector == "" {
		return "an elector without a name"
	}
	return holder.Elector
}
