package sim

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
)

// depot is a vault with the electors that use it, and nothing else in the world.
type depot struct {
	testing.TB
	clock *clock
	vault *vault
}

func newDepot(t testing.TB, seed uint64) *depot {
	c := newClock(seed)
	return &depot{TB: t, clock: c, vault: newVault(c)}
}

func (d *depot) elector(name string) *storeClient {
	c := d.vault.connect(d.clock.newProcess(name))
	d.Cleanup(c.process.kill)
	return c
}

// do lets an elector work until it is done.
func (d *depot) do(c *storeClient, work func()) {
	d.Helper()
	done := d.start(c, work)
	d.clock.runUntil(d.clock.now+time.Minute, func() bool { return *done })
	if !*done {
		d.Fatal("it was not done within a minute")
	}
}

func (d *depot) start(c *storeClient, work func()) (done *bool) {
	done = new(bool)
	c.process.spawn(func() { work(); *done = true })
	return done
}

func (d *depot) pass(t time.Duration) { d.clock.runUntil(d.clock.now+t, nil) }

func (d *depot) acquire(c *storeClient, cluster string) (l *storeLease) {
	d.Helper()
	d.do(c, func() { l = d.lease(c.Acquire(context.Background(), cluster)) })
	return l
}

func (d *depot) lease(l orchestrator.Lease, err error) *storeLease {
	d.Helper()
	d.must(err)
	return l.(*storeLease)
}

func (d *depot) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *depot) mustFail(err, want error) {
	d.Helper()
	if !errors.Is(err, want) {
		d.Fatalf("got error %v, want %v", err, want)
	}
}

// put saves one document and returns what came of it.
func (d *depot) put(l *storeLease, key, value string) (err error) {
	d.Helper()
	d.do(l.client, func() { err = l.Put(context.Background(), text(key, value)) })
	return err
}

func (d *depot) nextTerm(l *storeLease, above uint64) (term uint64, err error) {
	d.Helper()
	d.do(l.client, func() { term, err = l.NextTerm(context.Background(), above) })
	return term, err
}

func (d *depot) release(l *storeLease) {
	d.Helper()
	d.do(l.client, func() { d.must(l.Release(context.Background())) })
}

// value is what the vault has, whoever reaches it.
func (d *depot) value(key string) string { return d.read(d.vault.documents[key].Document) }

func (d *depot) read(doc orchestrator.Document) string {
	d.Helper()
	text, err := doc.Text()
	d.must(err)
	return string(text)
}

func (d *depot) held(l *storeLease) bool { return l.Held(l.client.process.Now()) }

// sound checks that the vault allowed nothing that it must not.
func (d *depot) sound() {
	d.Helper()
	if wrong := d.vault.violation(); wrong != "" {
		d.Error(wrong)
	}
}

func text(key, value string) orchestrator.Document {
	return orchestrator.DocumentOf(key, []byte(value))
}

func TestStoredDocumentsAreWrittenAllOrNoneAndReadInTheOrderOfTheirKeys(t *testing.T) {
	d := newDepot(t, 1)
	c := d.elector("elector-1")
	l := d.acquire(c, "shop")
	ctx := context.Background()
	d.do(c, func() {
		d.must(l.Put(ctx, text("r/1", "a"), text("r/3", "c"), text("r/2", "b"), text("other", "")))
		for _, row := range []struct {
			name   string
			limit  int
			newest bool
			want   string
		}{
			{"all of them", 0, false, "[r/1=a r/2=b r/3=c]"},
			{"the first ones", 2, false, "[r/1=a r/2=b]"},
			{"newest first", 0, true, "[r/3=c r/2=b r/1=a]"},
			{"the newest one", 1, true, "[r/3=c]"},
		} {
			docs, err := c.List(ctx, "r/", row.limit, row.newest)
			d.must(err)
			var got []string
			for _, x := range docs {
				got = append(got, x.Key+"="+d.read(x))
			}
			if fmt.Sprint(got) != row.want {
				t.Errorf("%s: got %v, want %s", row.name, got, row.want)
			}
		}
		empty, found, err := c.Get(ctx, "other")
		if d.must(err); !found || d.read(empty) != "" {
			t.Errorf("an empty document reads as none: %+v", empty)
		}
		if _, found, err := c.Get(ctx, "never there"); found || err != nil {
			t.Errorf("found %v, error %v", found, err)
		}
		if err := l.Put(ctx, text("twice", "a"), text("twice", "b")); err == nil || d.value("twice") != "" {
			t.Errorf("half of a refused write was carried out: %v", err)
		}
		d.must(l.Put(ctx, text("after the refusal", "x")))
		d.must(c.Ready(ctx))
	})
}

func TestOneStoredLockHasOneHolderAndGoesToTheNextWhenReleased(t *testing.T) {
	d := newDepot(t, 1)
	a, b := d.elector("elector-1"), d.elector("elector-2")
	first := d.acquire(a, "shop")
	d.do(b, func() {
		holder, err := b.Holder(context.Background(), "shop")
		if d.must(err); holder != "elector-1" {
			t.Errorf("holder is %q", holder)
		}
		ctx, cancel := b.process.Within(context.Background(), 200*time.Millisecond)
		defer cancel()
		_, err = b.Acquire(ctx, "shop")
		d.mustFail(err, context.DeadlineExceeded)
		if want := "acquire the lock of shop: it is held by elector-1: context deadline exceeded"; err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	})
	var second *storeLease
	d.start(b, func() { second = d.lease(b.Acquire(context.Background(), "shop")) })
	d.pass(20 * time.Second)
	if second != nil {
		t.Fatal("two hold the lock")
	}
	d.must(d.put(first, "by", "first"))
	d.release(first)
	d.pass(10 * time.Millisecond)
	if second == nil || !d.held(second) || d.held(first) || first.Context().Err() == nil {
		t.Fatal("the lock did not pass on")
	}
	if second.claim.token <= first.claim.token {
		t.Errorf("token %d does not follow %d", second.claim.token, first.claim.token)
	}
	d.mustFail(d.put(first, "by", "first again"), errLockLost)
	d.release(second)
	d.do(b, func() {
		holder, err := b.Holder(context.Background(), "shop")
		if d.must(err); holder != "" {
			t.Errorf("a free lock is held by %q", holder)
		}
	})
}

func TestOneElectorHoldsStoredLocksOfDifferentClustersSideBySide(t *testing.T) {
	d := newDepot(t, 1)
	c := d.elector("elector-1")
	var a, b *storeLease
	d.start(c, func() { a = d.lease(c.Acquire(context.Background(), "a")) })
	d.start(c, func() { b = d.lease(c.Acquire(context.Background(), "b")) })
	d.pass(time.Second)
	if a.session != b.session {
		t.Error("an elector has two sessions")
	}
	d.release(a)
	if !d.held(b) || b.Context().Err() != nil {
		t.Error("releasing one cluster's lock took the other's")
	}
}

func TestStoredTermsGrowAndPassWhatTheServersHaveSeen(t *testing.T) {
	d := newDepot(t, 1)
	c := d.elector("elector-1")
	l := d.acquire(c, "shop")
	for _, row := range []struct{ above, want uint64 }{{0, 1}, {0, 2}, {1, 3}, {40, 41}, {41, 42}, {7, 43}} {
		term, err := d.nextTerm(l, row.above)
		if d.must(err); term != row.want {
			t.Errorf("above %d: got term %d, want %d", row.above, term, row.want)
		}
	}
	d.release(l)
	term, err := d.nextTerm(d.acquire(c, "shop"), 0)
	if d.must(err); term != 44 {
		t.Errorf("the next holder drew term %d, want 44", term)
	}
	term, err = d.nextTerm(d.acquire(c, "other"), 0)
	if d.must(err); term != 1 {
		t.Errorf("another cluster began with term %d", term)
	}
	if _, err := d.nextTerm(d.acquire(c, "last"), 1<<64-1); err == nil {
		t.Error("a term after the last one was drawn")
	}
}

func TestStoreUpdatesOfTwoElectorsLoseNothing(t *testing.T) {
	const each, edits = 3, 15
	d := newDepot(t, 1)
	var done []*bool
	for elector := range 2 {
		c := d.elector(fmt.Sprint("elector-", elector))
		for i := range each {
			l := d.acquire(c, fmt.Sprintf("cluster-%d-%d", elector, i))
			done = append(done, d.start(c, func() {
				for range edits {
					d.must(l.Update(context.Background(), "fleet/brake", addOne))
				}
			}))
		}
	}
	d.pass(time.Minute)
	for _, one := range done {
		if !*one {
			t.Error("one of them did not come to its end")
		}
	}
	if got := d.value("fleet/brake"); got != strconv.Itoa(2*each*edits) {
		t.Errorf("%s of %d edits are there", got, 2*each*edits)
	}
}

func addOne(old []byte) ([]byte, error) {
	n, _ := strconv.Atoi(string(old)) // nothing counts as zero
	return []byte(strconv.Itoa(n + 1)), nil
}

func TestAStoreUpdateThatRefusesOrChangesNothingWritesNothing(t *testing.T) {
	d := newDepot(t, 1)
	c := d.elector("elector-1")
	l := d.acquire(c, "shop")
	refusal := fmt.Errorf("the brake is on: %w", errUnanswered) // looks as if repeating would help
	calls := 0
	d.do(c, func() {
		err := l.Update(context.Background(), "d", func(old []byte) ([]byte, error) {
			if calls++; old != nil {
				t.Errorf("no document reads as %q", old)
			}
			return []byte("x"), refusal
		})
		d.mustFail(err, refusal)
		d.must(l.Update(context.Background(), "d", func([]byte) ([]byte, error) { return nil, nil }))
	})
	if _, found := d.vault.documents["d"]; found || calls != 1 {
		t.Errorf("document written: %v, edits: %d", found, calls)
	}
}

func TestAStoredLockOutlivesTheContextOfItsAcquisitionUntilItIsReleased(t *testing.T) {
	d := newDepot(t, 1)
	c := d.elector("elector-1")
	loop := d.clock.newLife(context.Background())
	var l *storeLease
	d.do(c, func() { l = d.lease(c.Acquire(loop, "shop")) })
	if l.Context().Err() != nil {
		t.Fatal("ended before")
	}
	loop.end(context.Canceled)
	if l.Context().Err() == nil || !d.held(l) {
		t.Fatalf("context %v, held %v", l.Context().Err(), d.held(l))
	}
	d.do(c, func() {
		last := context.WithoutCancel(l.Context())
		d.must(l.Put(last, text("d", "what was under way")))
		d.mustFail(l.Put(l.Context(), text("d", "too late")), context.Canceled)
		d.must(l.Release(last))
		d.mustFail(l.Put(last, text("d", "much too late")), errLockLost)
	})
	d.release(d.acquire(c, "shop"))
	if got := d.value("d"); got != "what was under way" {
		t.Errorf("document says %q", got)
	}
}

func TestEachCallToTheStoreIsToldBeforeItIsMade(t *testing.T) {
	d := newDepot(t, 1)
	c := d.elector("elector-1")
	var told []string
	d.vault.calling = func(elector, call string) { told = append(told, elector+" "+call) }
	l := d.acquire(c, "shop")
	d.vault.calling = func(elector, call string) { told = append(told, call); c.process.kill() }
	c.process.spawn(func() { _ = l.Put(context.Background(), text("d", "x")) })
	d.pass(time.Second)
	if got, want := strings.Join(told, ", "), "elector-1 acquire, put"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	if d.value("d") != "" {
		t.Error("an elector that was killed before the call has written")
	}
}

func TestAKilledElectorStoresNothingMoreThanWhatWasOnItsWay(t *testing.T) {
	d := newDepot(t, 1)
	c := d.elector("elector-1")
	l, other := d.acquire(c, "shop"), d.acquire(c, "other")
	saved := false
	c.process.spawn(func() {
		defer func() { _ = other.Put(context.Background(), text("deferred", "x")) }()
		d.must(l.Put(context.Background(), text("on its way", "x")))
		saved = true
	})
	d.clock.runUntil(d.clock.now+time.Second, func() bool { return len(l.writing.waiting) == 0 && l.writing.taken })
	c.process.kill()
	d.pass(time.Minute)
	if saved || d.value("deferred") != "" || d.value("on its way") != "x" {
		t.Errorf("saved %v, deferred %q, on its way %q", saved, d.value("deferred"), d.value("on its way"))
	}
}

func TestKeepAlivesOfAnUnhinderedElectorCostOneEventEach(t *testing.T) {
	d := newDepot(t, 1)
	l := d.acquire(d.elector("elector-1"), "shop")
	d.pass(time.Second) // what follows the taking
	before := d.clock.serial
	d.pass(60 * time.Second)
	if n := d.clock.serial - before; n > 60+60/2 { // beats, and the vault's own looks at the session
		t.Errorf("%d events in a minute in which nothing happened", n)
	}
	if !d.held(l) {
		t.Error("the lock was lost")
	}
}

func BenchmarkStorePut(b *testing.B) {
	d := newDepot(b, 1)
	c := d.elector("elector-1")
	l := d.acquire(c, "shop")
	doc := text("recoveries/shop/1", strings.Repeat("x", 16))
	n := 0
	c.process.spawn(func() {
		for {
			d.must(l.Put(context.Background(), doc))
			n++
		}
	})
	b.ReportAllocs()
	for b.Loop() {
		if h := &d.vault.history; len(h.entries) > 1000 { // a lifetime is not longer
			h.entries, h.standing = h.entries[:1], h.standing[:1]
		}
		before := n
		d.clock.runUntil(d.clock.now+time.Second, func() bool { return n > before })
	}
}
