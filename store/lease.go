package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// unknown stands for a revision that must be read again before it can be compared.
const unknown = -1

// Lease is the right to act for one cluster, for as long as Held says so. It is safe for concurrent use; its writes
// happen one after the other.
type Lease struct {
	store *Store
	claim claim
	token int64

	ctx  context.Context // ends when the lock is lost or released, with the reason as its cause
	end  context.CancelCauseFunc
	work context.Context // what Context returns; Acquire sets it
	era  atomic.Uint64

	writing chan struct{} // held during a write; guards what follows
	fence   seen          // what the fence was last, or of unknown revision
	marks   int64         // how many attempts at a write there were
	term    uint64        // the highest term drawn so far
	termRev int64         // revision of the term's key, or unknown
}

func (s *Store) newLease(c claim, revision int64, state lockState) *Lease {
	l := &Lease{store: s, claim: c, token: revision, fence: seen{revision, c.value}, writing: make(chan struct{}, 1)}
	l.ctx, l.end = context.WithCancelCause(c.session.ctx)
	if l.readTerm(state.term) != nil {
		l.termRev = unknown // NextTerm reads it again, and reports what is wrong with it
	}
	context.AfterFunc(l.ctx, func() { s.claims.end(c.value) })
	s.own(l.follow)
	s.log.Info("lock acquired", "cluster", c.name, "token", l.token)
	return l
}

// Held says whether the lock is certainly still ours at the moment now. Once false, it stays false.
func (l *Lease) Held(now time.Time) bool {
	return l.claim.session.held(now) && l.ctx.Err() == nil
}

// Deadline is until when the lock is held if nothing more is heard from etcd.
func (l *Lease) Deadline() time.Time { return l.claim.session.until() }

// Context is the one for whatever is done because the lock is held. It carries the values of the context that Acquire got. It ends
// when the lock is lost, because its deadline has passed or because etcd says so, whichever comes first; when it is
// released; and with the context that Acquire got, of which the lock itself does not take notice: it is still held, can
// be written through with another context, and waits to be released. The cause says which of these it was.
func (l *Lease) Context() context.Context { return l.work }

// under is a context that ends with the lock, in the same moment, and soon after caller.
func under(lock, caller context.Context) context.Context {
	work, end := context.WithCancelCause(valued{lock, caller})
	stop := context.AfterFunc(caller, func() { end(context.Cause(caller)) })
	context.AfterFunc(lock, func() { stop() })
	return work
}

// valued has the values of another context beside its own.
type valued struct {
	context.Context
	more context.Context
}

// Value asks its own context first, since that is where package context looks for what to end it with.
func (v valued) Value(key any) any {
	if value := v.Context.Value(key); value != nil {
		return value
	}
	return v.more.Value(key)
}

// Token grows with each holder of the same lock, until etcd is restored from an older state and counts from there. So it
// is for people and logs: whose a lock is, its value tells, which no other attempt has.
func (l *Lease) Token() int64 { return l.token }

// Put writes documents, all of them or none. Their Revision is not looked at.
func (l *Lease) Put(ctx context.Context, docs ...Document) error {
	var ops []clientv3.Op
	for _, doc := range docs {
		ops = append(ops, clientv3.OpPut(documents+doc.Key, string(doc.Value)))
	}
	return l.change(ctx, "save "+keysOf(docs), func(context.Context) (change, error) {
		return change{then: ops}, nil
	})
}

// Delete removes documents, all of them or none. One that does not exist is no error.
func (l *Lease) Delete(ctx context.Context, keys ...string) error {
	var ops []clientv3.Op
	for _, key := range keys {
		ops = append(ops, clientv3.OpDelete(documents+key))
	}
	return l.change(ctx, fmt.Sprintf("delete %q", keys), func(context.Context) (change, error) {
		return change{then: ops}, nil
	})
}

// Update replaces a document by what edit makes of it, and begins again when somebody else has changed it meanwhile;
// so it also serves for documents that several clusters share. old is nil if there is none, and a nil result leaves
// things as they are. edit may be called several times.
func (l *Lease) Update(ctx context.Context, key string, edit func(old []byte) ([]byte, error)) error {
	var refused error
	err := l.change(ctx, "update "+key, func(ctx context.Context) (change, error) {
		reply, err := l.store.client.Get(ctx, documents+key)
		if err != nil {
			return change{}, err
		}
		old := first(reply)
		var value []byte
		if value, refused = edit(old.GetValue()); refused != nil || value == nil {
			return change{}, nil
		}
		return change{
			when: seenIn(old).still(documents + key),
			then: []clientv3.Op{clientv3.OpPut(documents+key, string(value))},
		}, nil
	})
	if refused != nil {
		return fmt.Errorf("update %s: %w", key, refused)
	}
	return err
}

func first(reply *clientv3.GetResponse) *mvccpb.KeyValue {
	if len(reply.Kvs) == 0 {
		return nil
	}
	return reply.Kvs[0]
}

// NextTerm draws a term that was never drawn before for this cluster and is higher than above, the highest one that
// its servers have seen. A number whose fate is in doubt when NextTerm fails is left out and not given again.
func (l *Lease) NextTerm(ctx context.Context, above uint64) (uint64, error) {
	var drawn uint64
	err := l.change(ctx, "draw a term for "+l.claim.name, func(ctx context.Context) (change, error) {
		revision, err := l.takeTermRevision(ctx)
		if err != nil {
			return change{}, err
		}
		highest := max(l.term, above)
		if highest == math.MaxUint64 {
			return change{}, fmt.Errorf("term %d is the last one that there is", highest)
		}
		next := highest + 1
		return change{
			when: []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(terms+l.claim.name), "=", revision)},
			then: []clientv3.Op{clientv3.OpPut(terms+l.claim.name, strconv.FormatUint(next, 10))},
			done: func(revision int64) { drawn, l.term, l.termRev = next, next, revision },
		}, nil
	})
	if err != nil {
		return 0, err
	}
	return drawn, nil
}

// takeTermRevision is what the next draw compares with. It is forgotten here and only known again after the draw has
// been confirmed, so a draw in doubt is followed by a read.
func (l *Lease) takeTermRevision(ctx context.Context) (int64, error) {
	if l.termRev == unknown {
		reply, err := l.store.client.Get(ctx, terms+l.claim.name)
		if err != nil {
			return 0, err
		}
		if err := l.readTerm(first(reply)); err != nil {
			return 0, err
		}
	}
	revision := l.termRev
	l.termRev = unknown
	return revision, nil
}

func (l *Lease) readTerm(kv *mvccpb.KeyValue) (err error) {
	l.term, l.termRev = 0, modRevision(kv)
	if kv != nil {
		l.term, err = strconv.ParseUint(string(kv.Value), 10, 64)
	}
	return err
}

// Release gives the lock back. The lease ends in any case; on an error the lock itself is given back later, by going
// on to try or by the end of the session.
func (l *Lease) Release(ctx context.Context) error {
	if l.ctx.Err() != nil {
		return nil
	}
	l.end(errReleased)
	err := l.store.persist(ctx, "release the lock of "+l.claim.name, func(ctx context.Context) error {
		return l.store.tryWithdraw(ctx, l.claim)
	})
	if err != nil {
		l.store.own(func() { l.store.withdraw(l.claim) })
	}
	return err
}

// seen is what a key was when it was read or written; of revision 0, if there was none.
type seen struct {
	revision int64
	value    string
}

func seenIn(kv *mvccpb.KeyValue) seen { return seen{modRevision(kv), string(kv.GetValue())} }

// still says that a key is as it was seen. Its revision alone would not tell: an etcd that is restored from an older state
// counts from there, and gives the revisions that were seen before to other writes.
func (s seen) still(key string) []clientv3.Cmp {
	same := []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", s.revision)}
	if s.revision != 0 {
		same = append(same, clientv3.Compare(clientv3.Value(key), "=", s.value))
	}
	return same
}

// change is one guarded write: what must still be so, what to write, and whom to tell the revision.
type change struct {
	when []clientv3.Cmp
	then []clientv3.Op
	done func(revision int64)
}

// change plans a write and commits it, again from the start for as long as that can help.
func (l *Lease) change(ctx context.Context, what string, plan func(context.Context) (change, error)) error {
	ctx, cancel := l.store.bound(ctx)
	defer cancel()
	ctx, stop := within(ctx, l.ctx)
	defer stop()
	w := write{lease: l, plan: plan, tried: map[string]change{}}
	err := l.exclusively(ctx, func() error { return l.store.persist(ctx, what, w.try) })
	if err != nil && l.ctx.Err() != nil {
		return fmt.Errorf("%s: lock of %s: %w: %w", what, l.claim.name, ErrLost, context.Cause(l.ctx))
	}
	return err
}

// exclusively lets one write of this lease happen at a time.
func (l *Lease) exclusively(ctx context.Context, write func() error) error {
	if !l.Held(time.Now()) {
		return ErrLost
	}
	select {
	case l.writing <- struct{}{}:
	case <-ctx.Done():
		return l.store.explain("wait for an earlier write", ctx.Err())
	}
	defer func() { <-l.writing }()
	return write()
}

// write is one change with its attempts. Each attempt leaves a mark of its own in the fence, by which one whose reply
// was lost is known to have succeeded; so a change is not made twice, nor does a slow etcd have it repeated for ever.
type write struct {
	lease *Lease
	plan  func(context.Context) (change, error)
	tried map[string]change // by mark
}

func (w *write) try(ctx context.Context) error {
	l := w.lease
	if l.fence.revision == unknown {
		if err := l.readFence(ctx); err != nil {
			return err
		}
		if made, ok := w.tried[l.fence.value]; ok {
			made.tell(l.fence.revision)
			return nil
		}
	}
	planned, err := w.plan(ctx)
	if err != nil || len(planned.then) == 0 {
		return err
	}
	return w.commit(ctx, planned)
}

func (c change) tell(revision int64) {
	if c.done != nil {
		c.done(revision)
	}
}

// commit writes if the lock is ours and the fence stands where it was last seen. Until the reply is there the fence
// counts as unknown, so that whatever happens, what comes next begins by reading it.
func (w *write) commit(ctx context.Context, c change) error {
	l := w.lease
	l.marks++
	mark := fmt.Sprintf("%s %d", l.claim.value, l.marks)
	w.tried[mark] = c
	lock, fence := locks+l.claim.name, fences+l.claim.name
	guards := append(l.fence.still(fence), clientv3.Compare(clientv3.Value(lock), "=", l.claim.value))
	l.fence = seen{revision: unknown}
	reply, err := l.store.client.Txn(ctx).
		If(append(guards, c.when...)...).
		Then(append([]clientv3.Op{clientv3.OpPut(fence, mark)}, c.then...)...).
		Else(clientv3.OpGet(lock)).
		Commit()
	if err != nil {
		return err
	}
	if !reply.Succeeded {
		return l.refused(found(reply, 0))
	}
	l.fence = seen{reply.Header.Revision, mark}
	c.tell(l.fence.revision)
	return nil
}

// readFence learns the mark of the last write.
func (l *Lease) readFence(ctx context.Context) error {
	reply, err := l.store.client.Get(ctx, fences+l.claim.name)
	if err != nil {
		return err
	}
	l.fence = seenIn(first(reply))
	return nil
}

// refused tells a lost lock from a write that must be planned anew.
func (l *Lease) refused(lock *mvccpb.KeyValue) error {
	if l.owns(lock) {
		return errMoved
	}
	return l.lost()
}

func (l *Lease) owns(lock *mvccpb.KeyValue) bool {
	return lock != nil && string(lock.Value) == l.claim.value
}

func (l *Lease) lost() error {
	l.end(errDisowned)
	return ErrLost
}

// Era changes each time the lock was read again, since something may have been missed, and is still ours. etcd may have been
// restored then from a state in which it was ours too, and lack what was written through the lease since.
func (l *Lease) Era() uint64 { return l.era.Load() }

// follow makes the removal of the lock in etcd known at once, and not only at the next write.
func (l *Lease) follow() {
	defer l.logEnd()
	deleted, takeDown := l.store.bells.hang(l.claim.name)
	defer takeDown()
	for first := true; ; {
		state, err := l.store.lockState(l.ctx, l.claim.name)
		switch {
		case err == nil && !l.owns(state.lock):
			l.end(errDisowned)
		case err == nil && !first:
			l.era.Add(1)
		case err == nil:
			first = false
		}
		again := time.Minute
		if err != nil {
			again = l.claim.session.ttl / 10
		}
		if deleted.wait(l.ctx, again) != nil {
			return
		}
	}
}

func (l *Lease) logEnd() {
	why, level := context.Cause(l.ctx), slog.LevelWarn
	if errors.Is(why, errReleased) || errors.Is(why, ErrClosed) {
		level = slog.LevelInfo
	}
	l.store.log.Log(context.Background(), level, "lock ended", "cluster", l.claim.name, "token", l.token, "reason", why)
}
