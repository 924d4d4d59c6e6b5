package sim

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/primacydb/primacy/orchestrator"
)

var (
	errReleased = errors.New("it was released")
	errDisowned = errors.New("the store no longer knows our claim to it")
)

// unread stands for a revision that must be read again before it can be compared.
const unread = -1

// storeLease is a held lock. It implements orchestrator.Lease.
type storeLease struct {
	client  *storeClient
	session *storeSession
	cluster string
	claim   *storeClaim
	bell    *storeBell

	why  error // the lock was lost or released; nil while it is held
	work *life // what Context returns
	own  []*life

	writing turn
	fence   storeFence // what the fence was last, or of unread revision
	marks   int64      // how many attempts at a write there were
	term    uint64
	termRev int64 // revision of the term, or unread

	checked bool
	era     uint64
}

var _ orchestrator.Lease = (*storeLease)(nil)

func (s *storeSession) newLease(seen vaultCell, claim *storeClaim) *storeLease {
	l := &storeLease{
		client: s.client, session: s, cluster: seen.cluster, claim: claim,
		fence: storeFence{claim.token, storeMark{claim, markTaken}}, term: seen.term, termRev: seen.termRevision,
	}
	s.leases = append(s.leases, l)
	l.bell = s.client.hang(l.cluster, l.check)
	l.check()
	return l
}

func (l *storeLease) workUnder(ctx context.Context) {
	l.work = l.client.clock.newLife(ctx)
	if l.why != nil {
		l.work.end(context.Canceled)
	}
}

// check makes the removal of the lock known at once, and not only at the next write.
func (l *storeLease) check() {
	if l.why != nil {
		return
	}
	c := l.client
	post(c, storePatience, func() bool { return c.vault.cell(l.cluster).holder == l.claim }, func(a storeAnswer[bool]) {
		switch {
		case a.lost:
			c.clock.after(sessionTTL/10, func() { c.process.deliver(l.check) })
		case !a.value:
			l.end(errDisowned)
		case l.checked:
			l.era++
		default:
			l.checked = true
		}
	})
}

// Era implements orchestrator.Lease.
func (l *storeLease) Era() uint64 { return l.era }

// end ends whatever is done under the lock.
func (l *storeLease) end(why error) {
	if l.why != nil {
		return
	}
	l.why, l.claim.live = why, false
	l.session.leases = slices.DeleteFunc(l.session.leases, func(x *storeLease) bool { return x == l })
	l.client.takeDown(l.bell)
	if l.work != nil {
		l.work.end(context.Canceled)
	}
	for _, call := range slices.Clone(l.own) {
		call.end(context.Canceled)
	}
}

// Held implements orchestrator.Lease. Once false, it stays false.
func (l *storeLease) Held(now time.Time) bool {
	l.client.clock.enter()
	return l.session.held(now) && l.why == nil
}

// Context implements orchestrator.Lease.
func (l *storeLease) Context() context.Context { return l.work }

// Put implements orchestrator.Lease.
func (l *storeLease) Put(ctx context.Context, docs ...orchestrator.Document) error {
	l.client.enter("put")
	for i, d := range docs {
		if slices.ContainsFunc(docs[:i], func(before orchestrator.Document) bool { return before.Key == d.Key }) {
			return fmt.Errorf("save %s: the same key is written twice at once", d.Key)
		}
	}
	if len(docs) == 0 {
		return nil
	}
	w := storeWrite{lease: l, planned: storeChange{puts: docs}}
	return l.change(ctx, "save", docs[0].Key, &w)
}

// Update implements orchestrator.Lease. A nil result of edit leaves things as they are.
func (l *storeLease) Update(ctx context.Context, key string, edit func(old []byte) ([]byte, error)) error {
	l.client.enter("update")
	var refused error
	w := storeWrite{lease: l}
	w.plan = func(ctx context.Context, patience time.Duration) error {
		c := l.client
		old, err := ask(ctx, c, patience, func() vaultDocument { return c.vault.documents[key] })
		if err != nil {
			return err
		}
		text, err := old.Text()
		if err != nil {
			return err
		}
		w.planned = storeChange{}
		if text, refused = edit(text); refused != nil || text == nil {
			return nil
		}
		w.planned = storeChange{when: key, was: old, puts: []orchestrator.Document{orchestrator.DocumentOf(key, text)}}
		return nil
	}
	err := l.change(ctx, "update", key, &w)
	if refused != nil {
		return fmt.Errorf("update %s: %w", key, refused)
	}
	return err
}

// NextTerm implements orchestrator.Lease.
func (l *storeLease) NextTerm(ctx context.Context, above uint64) (uint64, error) {
	l.client.enter("next term")
	var drawn uint64
	w := storeWrite{lease: l}
	w.plan = func(ctx context.Context, patience time.Duration) error {
		revision, err := l.takeTermRevision(ctx, patience)
		if err != nil {
			return err
		}
		highest := max(l.term, above)
		if highest == math.MaxUint64 {
			return fmt.Errorf("term %d is the last one that there is", highest)
		}
		w.planned = storeChange{term: highest + 1, revision: revision}
		return nil
	}
	var by storeMark
	w.done = func(made storeChange, mark storeMark) {
		drawn, by, l.term, l.termRev = made.term, mark, made.term, l.fence.revision
	}
	if err := l.change(ctx, "draw a term for", l.cluster, &w); err != nil {
		return 0, err
	}
	l.client.vault.history.grant(grantedTerm{cluster: l.cluster, term: drawn, by: by})
	return drawn, nil
}

// takeTermRevision is what the next draw compares with. It is forgotten here and only known again after the draw has
// been confirmed, so a draw in doubt is followed by a read.
func (l *storeLease) takeTermRevision(ctx context.Context, patience time.Duration) (int64, error) {
	if l.termRev == unread {
		c := l.client
		seen, err := ask(ctx, c, patience, func() vaultCell { return *c.vault.cell(l.cluster) })
		if err != nil {
			return 0, err
		}
		l.term, l.termRev = seen.term, seen.termRevision
	}
	revision := l.termRev
	l.termRev = unread
	return revision, nil
}

// Release implements orchestrator.Lease. The lease ends in any case; on an error the lock itself is given back later.
func (l *storeLease) Release(ctx context.Context) error {
	c, s := l.client, l.session
	c.enter("release")
	if !s.alive() || l.why != nil {
		return nil
	}
	l.end(errReleased)
	err := c.persist(ctx, "release the lock of", l.cluster, func(patience time.Duration) error {
		return s.tryWithdraw(ctx, patience, l.cluster, l.claim)
	})
	if err != nil {
		c.process.spawn(func() { s.withdraw(l.cluster, l.claim) })
	}
	return err
}

// change makes one guarded write, again from its plan for as long as that can help.
func (l *storeLease) change(ctx context.Context, what, name string, w *storeWrite) error {
	in := l.client.clock.newLife(ctx)
	l.own = append(l.own, in)
	defer l.leave(in)
	err := l.exclusively(in, what, name, w)
	if err != nil && l.why != nil {
		return fmt.Errorf("%s %s: lock of %s: %w: %w", what, name, l.cluster, errLockLost, l.why)
	}
	return err
}

func (l *storeLease) leave(in *life) {
	in.end(context.Canceled)
	for i, x := range l.own {
		if x == in {
			l.own = append(l.own[:i], l.own[i+1:]...)
			return
		}
	}
}

// exclusively lets one write of this lease happen at a time.
func (l *storeLease) exclusively(in *life, what, name string, w *storeWrite) error {
	c := l.client
	if !l.session.alive() || l.why != nil {
		return errLockLost
	}
	if !l.writing.take(in, c.clock) {
		return fmt.Errorf("%s %s: %w", what, name, in.err)
	}
	defer l.writing.give()
	return c.persist(in, what, name, func(patience time.Duration) error { return w.try(in, patience) })
}

// storeWrite is one change with its attempts. Each leaves a mark of its own in the fence, by which one whose reply was
// lost is known to have succeeded; so a change is not made twice.
type storeWrite struct {
	lease   *storeLease
	plan    func(ctx context.Context, patience time.Duration) error // sets planned; nil when that is set already
	planned storeChange
	done    func(made storeChange, by storeMark) // may be nil
	tried   []triedWrite                         // the attempts that got no answer
}

type triedWrite struct {
	mark   storeMark
	change storeChange
}

func (w *storeWrite) try(ctx context.Context, patience time.Duration) error {
	l := w.lease
	if l.fence.revision == unread {
		if made, err := w.readFence(ctx, patience); made || err != nil {
			return err
		}
	}
	if w.plan != nil {
		if err := w.plan(ctx, patience); err != nil || (w.planned.term == 0 && w.planned.puts == nil) {
			return err
		}
	}
	return w.commit(ctx, patience)
}

// readFence is true when the fence shows that an earlier attempt has succeeded.
func (w *storeWrite) readFence(ctx context.Context, patience time.Duration) (bool, error) {
	l := w.lease
	c := l.client
	seen, err := ask(ctx, c, patience, func() vaultCell { return *c.vault.cell(l.cluster) })
	if err != nil {
		return false, err
	}
	l.fence = seen.fence
	for _, t := range w.tried {
		if seen.fence.mark == t.mark {
			w.made(t.change, t.mark)
			return true, nil
		}
	}
	return false, nil
}

func (w *storeWrite) made(change storeChange, by storeMark) {
	if w.done != nil {
		w.done(change, by)
	}
}

// commit writes. Until the reply is there the fence counts as unread, so that whatever happens, what comes next begins
// by reading it.
func (w *storeWrite) commit(ctx context.Context, patience time.Duration) error {
	l := w.lease
	c, fence, change := l.client, l.fence, w.planned
	l.marks++
	mark := storeMark{l.claim, l.marks}
	l.fence = storeFence{revision: unread}
	got, err := ask(ctx, c, patience, func() written { return c.vault.write(l.cluster, mark, fence, change) })
	switch {
	case err != nil:
		w.tried = append(w.tried, triedWrite{mark, change})
		return err
	case got.revision == 0 && got.owned:
		return errOvertaken
	case got.revision == 0:
		l.end(errDisowned)
		return errLockLost
	}
	l.fence = storeFence{got.revision, mark}
	w.made(change, mark)
	return nil
}
