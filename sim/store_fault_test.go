package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// handover is what two electors see of a lock that passes from one to the other without the first one's help.
type handover struct {
	*depot
	first, second *storeLease
	lostAt        time.Duration // when the first one's work ended
	takenAt       time.Duration
}

// handOver lets something happen to an elector that holds a lock, while another waits for it.
func handOver(t *testing.T, seed uint64, happens func(d *depot, holder *storeClient)) *handover {
	t.Helper()
	h := &handover{depot: newDepot(t, seed)}
	a, b := h.elector("elector-1"), h.elector("elector-2")
	h.first = h.acquire(a, "shop")
	h.start(b, func() {
		h.second = h.lease(b.Acquire(context.Background(), "shop"))
		h.takenAt = h.clock.now
	})
	h.start(a, func() {
		(&bell{clock: h.clock}).Wait(h.first.Context(), -1)
		h.lostAt = h.clock.now
	})
	h.pass(5 * time.Second)
	happens(h.depot, a)
	return h
}

func TestTheHolderOfAStoredLockGivesUpBeforeAnotherHasIt(t *testing.T) {
	for _, row := range []struct {
		name    string
		happens func(*depot, *storeClient)
	}{
		{"it is cut off", func(d *depot, c *storeClient) { d.vault.cut(c.process, true) }},
		{"it hears nothing", func(d *depot, c *storeClient) { d.vault.loseReplies(c.process, true) }},
		{"its way to the store is too slow", func(d *depot, c *storeClient) { d.vault.slow(c.process, 2*time.Second, 4*time.Second) }},
		{"the store has no majority for a while", func(d *depot, c *storeClient) {
			d.vault.stop(true)
			d.clock.after(10*time.Second, func() { d.vault.stop(false) })
		}},
	} {
		for seed := range uint64(50) {
			h := handOver(t, seed, row.happens)
			begun := h.clock.now
			h.clock.runUntil(begun+time.Minute, func() bool {
				if h.second != nil && h.held(h.first) {
					t.Fatalf("%s, seed %d: two hold the lock", row.name, seed)
				}
				return false
			})
			switch {
			case h.second == nil || !h.held(h.second):
				t.Fatalf("%s, seed %d: nobody has the lock", row.name, seed)
			case h.lostAt == 0 || h.lostAt > begun+sessionTTL-sessionTTL/10 || h.lostAt >= h.takenAt:
				t.Fatalf("%s, seed %d: it happened at %s, was noticed at %s, and the lock was taken at %s",
					row.name, seed, begun, h.lostAt, h.takenAt)
			}
			h.sound()
		}
	}
}

func TestASessionThatIsGivenUpIsHandedBackToTheStore(t *testing.T) {
	h := handOver(t, 1, func(d *depot, c *storeClient) { d.vault.loseReplies(c.process, true) })
	h.pass(time.Minute)
	if h.second == nil || h.takenAt-h.lostAt > 50*time.Millisecond {
		t.Errorf("lost at %s, taken at %s", h.lostAt, h.takenAt)
	}
}

func TestAStoredLockIsTakenSoonAfterItsHolderWasKilled(t *testing.T) {
	for seed := range uint64(50) {
		h := handOver(t, seed, func(_ *depot, c *storeClient) { c.process.kill() })
		begun := h.clock.now
		h.pass(time.Minute)
		if took := h.takenAt - begun; h.second == nil || took > sessionTTL+time.Second || took < sessionTTL/2 {
			t.Fatalf("seed %d: it took %s", seed, took)
		}
	}
}

func TestAPausedElectorWakesUpWithoutItsStoredLock(t *testing.T) {
	h := handOver(t, 1, func(_ *depot, c *storeClient) { c.process.pause() })
	h.pass(time.Minute)
	if h.second == nil || h.lostAt != 0 {
		t.Fatalf("taken at %s, noticed in its sleep at %s", h.takenAt, h.lostAt)
	}
	a := h.first.client.process
	woken := false
	a.spawn(func() { // what was about to happen when it fell asleep comes first
		if woken = true; h.held(h.first) || h.first.Context().Err() == nil {
			t.Errorf("held %v, context %v", h.held(h.first), h.first.Context().Err())
		}
		h.mustFail(h.first.Put(context.Background(), text("d", "x")), errLockLost)
	})
	h.pass(time.Second)
	thawed := h.clock.now
	a.thaw()
	h.pass(0)
	if !woken || h.lostAt != thawed {
		t.Errorf("woken %v, noticed %s late", woken, h.lostAt-thawed)
	}
	h.pass(time.Second)
	h.must(h.put(h.second, "d", "y"))
	h.sound()
}

func TestAShortPauseCostsNoStoredLock(t *testing.T) {
	h := handOver(t, 1, func(_ *depot, c *storeClient) { c.process.pause() })
	for range 20 {
		h.pass(1600 * time.Millisecond) // a keep-alive may be a second old already
		h.first.client.process.thaw()
		h.pass(0)
		h.first.client.process.pause()
	}
	if !h.held(h.first) || h.second != nil {
		t.Error("the lock was lost")
	}
}

func TestShortTroubleOnTheWayToTheStoreCostsNoLock(t *testing.T) {
	for seed := range uint64(100) {
		d := newDepot(t, seed)
		l := d.acquire(d.elector("elector-1"), "shop")
		for range 10 {
			d.vault.cut(l.client.process, true)
			d.pass(600 * time.Millisecond)
			d.vault.cut(l.client.process, false)
			d.vault.loseReplies(l.client.process, true)
			d.pass(200 * time.Millisecond)
			d.vault.loseReplies(l.client.process, false)
			d.pass(time.Second)
		}
		if !d.held(l) || l.Context().Err() != nil {
			t.Fatalf("seed %d: the lock was lost: %v", seed, l.why)
		}
		d.must(d.put(l, "d", "x"))
	}
}

func TestSkewOfAnElectorsClockDoesNotMatterToItsStoredLock(t *testing.T) {
	for _, skew := range []time.Duration{-time.Hour, time.Hour} {
		d := newDepot(t, 1)
		c := d.elector("elector-1")
		c.process.skew = skew
		l := d.acquire(c, "shop")
		now := c.process.Now()
		if left := l.session.deadline - d.clock.now; !l.Held(now) || !l.Held(now.Add(left-1)) || l.Held(now.Add(left)) {
			t.Errorf("skew %s: held %v, just before the deadline %v, at it %v",
				skew, l.Held(now), l.Held(now.Add(left-1)), l.Held(now.Add(left)))
		}
		if !d.held(l) {
			t.Errorf("skew %s: asking about a moment ahead lost the lock", skew)
		}
		d.vault.cut(c.process, true)
		d.pass(sessionTTL)
		if d.held(l) {
			t.Errorf("skew %s: held after it was lost", skew)
		}
	}
}

func TestAnUnreachedStoreFailsAfterTheCallsTimeAndNothingIsWritten(t *testing.T) {
	for _, row := range []struct {
		name    string
		happens func(*depot, *storeClient)
	}{
		{"the elector is cut off", func(d *depot, c *storeClient) { d.vault.cut(c.process, true) }},
		{"there is no majority", func(d *depot, _ *storeClient) { d.vault.stop(true) }},
	} {
		d := newDepot(t, 1)
		c := d.elector("elector-1")
		l := d.acquire(c, "shop")
		row.happens(d, c)
		begun := d.clock.now
		d.do(c, func() { d.mustFail(c.Ready(context.Background()), errUnanswered) })
		if took := d.clock.now - begun; took < storePatience*9/10 || took > storePatience {
			t.Errorf("%s: it took %s to say so", row.name, took)
		}
		d.mustFail(d.put(l, "d", "x"), errLockLost) // its time ends before the call's
		d.do(c, func() {
			ctx, cancel := c.process.Within(context.Background(), 300*time.Millisecond)
			defer cancel()
			begun := d.clock.now
			_, _, err := c.Get(ctx, "d")
			d.mustFail(err, context.DeadlineExceeded)
			if took := d.clock.now - begun; took != 300*time.Millisecond {
				t.Errorf("%s: a context of 300ms was honoured after %s", row.name, took)
			}
			_, err = c.Acquire(ctx, "other")
			d.mustFail(err, context.DeadlineExceeded)
		})
		if d.value("d") != "" {
			t.Errorf("%s: something was written", row.name)
		}
	}
}

func TestAStoreWriteWhoseReplyIsLostIsMadeOnce(t *testing.T) {
	d := newDepot(t, 1)
	c := d.elector("elector-1")
	l := d.acquire(c, "shop")
	d.vault.calling = func(string, string) { // the first attempt of each call gets no answer
		d.vault.loseReplies(c.process, true)
		d.clock.after(100*time.Millisecond, func() { d.vault.loseReplies(c.process, false) })
	}
	for i := range uint64(10) {
		begun := d.clock.now
		term, err := d.nextTerm(l, 0)
		if d.must(err); term != i+1 {
			t.Fatalf("term %d, want %d: the lost reply was not understood", term, i+1)
		}
		if d.clock.now-begun < 200*time.Millisecond {
			t.Fatal("no reply was lost")
		}
		d.do(c, func() { d.must(l.Update(context.Background(), "fleet/brake", addOne)) })
		d.must(d.put(l, "d", fmt.Sprint(i)))
		if got := d.value("d"); got != fmt.Sprint(i) {
			t.Fatalf("document says %s after write %d", got, i)
		}
	}
	if got := d.value("fleet/brake"); got != "10" {
		t.Errorf("10 changes were counted as %s", got)
	}
	d.sound()
}

func TestAStoreWriteThatGetsNoReplyFailsAndHasHappened(t *testing.T) {
	d := newDepot(t, 1)
	c := d.elector("elector-1")
	l := d.acquire(c, "shop")
	d.vault.loseReplies(c.process, true)
	d.do(c, func() {
		ctx, cancel := c.process.Within(context.Background(), time.Second)
		defer cancel()
		d.mustFail(l.Put(ctx, text("d", "x")), context.DeadlineExceeded)
	})
	if d.value("d") != "x" || !d.held(l) {
		t.Errorf("document says %q, held %v", d.value("d"), d.held(l))
	}
}

func TestAStoredTermWhoseFateTheCallerNeverLearntIsNotGivenAgain(t *testing.T) {
	d := newDepot(t, 1)
	c := d.elector("elector-1")
	l := d.acquire(c, "shop")
	d.vault.loseReplies(c.process, true)
	d.do(c, func() {
		ctx, cancel := c.process.Within(context.Background(), 100*time.Millisecond)
		defer cancel()
		_, err := l.NextTerm(ctx, 0)
		d.mustFail(err, context.DeadlineExceeded)
	})
	d.vault.loseReplies(c.process, false)
	term, err := d.nextTerm(l, 0)
	if d.must(err); term != 2 {
		t.Errorf("term %d, want 2: the first was drawn by a call that failed", term)
	}
}

// late lets requests be under way for long: what is sent while the connection is cut may arrive when it is mended.
func late(t *testing.T, try func(d *depot, c *storeClient, l *storeLease)) {
	t.Helper()
	arrived := 0
	for seed := range uint64(40) {
		d := newDepot(t, seed)
		c := d.elector("elector-1")
		l := d.acquire(c, "shop")
		d.vault.cut(c.process, true)
		d.do(c, func() { try(d, c, l) })
		arrived += len(c.stuck)
		d.vault.cut(c.process, false)
		d.must(d.put(l, "d", "new"))
		d.pass(time.Second)
		if got := d.value("d"); got != "new" {
			t.Fatalf("seed %d: a delayed write undid a later one: %q", seed, got)
		}
		d.must(d.put(l, "d", "newest"))
		first, err := d.nextTerm(l, 0)
		d.must(err)
		second, err := d.nextTerm(l, 0)
		if d.must(err); second != first+1 {
			t.Fatalf("seed %d: term %d after %d", seed, second, first)
		}
		d.sound()
	}
	if arrived < 10 {
		t.Errorf("only %d requests arrived late", arrived)
	}
}

func TestADelayedStoreWriteDoesNotUndoALaterOne(t *testing.T) {
	late(t, func(d *depot, c *storeClient, l *storeLease) {
		ctx, cancel := c.process.Within(context.Background(), 700*time.Millisecond)
		defer cancel()
		d.mustFail(l.Put(ctx, text("d", "old")), context.DeadlineExceeded)
	})
}

func TestADelayedDrawOfATermIsNeverGivenToAnother(t *testing.T) {
	late(t, func(d *depot, c *storeClient, l *storeLease) {
		ctx, cancel := c.process.Within(context.Background(), 700*time.Millisecond)
		defer cancel()
		_, err := l.NextTerm(ctx, 0)
		d.mustFail(err, context.DeadlineExceeded)
	})
}

func TestADelayedAttemptAtAStoredLockComesToNothing(t *testing.T) {
	arrived := 0
	for seed := range uint64(100) {
		d := newDepot(t, seed)
		c := d.elector("elector-1")
		d.acquire(c, "another") // so that there is a session
		d.vault.slow(c.process, 100*time.Millisecond, 100*time.Millisecond)
		d.start(c, func() {
			ctx, cancel := c.process.Within(context.Background(), 300*time.Millisecond)
			defer cancel()
			_, err := c.Acquire(ctx, "shop")
			d.mustFail(err, context.DeadlineExceeded)
		})
		d.pass(120 * time.Millisecond) // the lock was seen to be free; the attempt at it is under way
		d.vault.cut(c.process, true)
		d.pass(50 * time.Millisecond)
		arrived += len(c.stuck)
		d.pass(time.Second)
		d.vault.cut(c.process, false)
		d.pass(5 * time.Second)
		if h := d.vault.cell("shop").holder; h != nil {
			t.Fatalf("seed %d: the lock was taken for nobody", seed)
		}
		d.release(d.acquire(c, "shop"))
	}
	if arrived < 20 {
		t.Errorf("only %d attempts arrived late", arrived)
	}
}

func TestAStoredLockWhoseReplyWasLostIsNotLeftLocked(t *testing.T) {
	for seed := range uint64(40) {
		d := newDepot(t, seed)
		c := d.elector("elector-1")
		d.acquire(c, "another")
		asked := d.clock.now
		var l *storeLease
		d.start(c, func() { l = d.lease(c.Acquire(context.Background(), "shop")) })
		d.clock.runUntil(asked+time.Second, func() bool { return d.vault.cell("shop").holder != nil })
		d.vault.loseReplies(c.process, true)
		d.pass(time.Second)
		if l != nil {
			t.Fatal("the reply was not lost")
		}
		d.vault.loseReplies(c.process, false)
		d.pass(5 * time.Second)
		if l == nil || !d.held(l) {
			t.Fatalf("seed %d: not held", seed)
		}
		d.release(l)
		d.release(d.acquire(c, "shop"))
	}
}

func TestAStoredLockWhoseReleaseGotNoAnswerIsReleasedLater(t *testing.T) {
	for seed := range uint64(40) {
		d := newDepot(t, seed)
		c := d.elector("elector-1")
		l := d.acquire(c, "shop")
		d.vault.cut(c.process, true)
		d.do(c, func() {
			ctx, cancel := c.process.Within(context.Background(), 500*time.Millisecond)
			defer cancel()
			d.mustFail(l.Release(ctx), context.DeadlineExceeded)
		})
		if d.held(l) || l.Context().Err() == nil {
			t.Fatal("the lease did not end")
		}
		d.vault.cut(c.process, false)
		mended := d.clock.now
		d.acquire(d.elector("elector-2"), "shop")
		if took := d.clock.now - mended; took > 2*time.Second {
			t.Errorf("seed %d: the lock was free only after %s", seed, took)
		}
	}
}

func TestASessionThatTheStoreEndsEarlyCostsItsLocksAndTheNextHolderIsSafe(t *testing.T) {
	for seed := range uint64(40) {
		h := handOver(t, seed, func(d *depot, c *storeClient) { d.vault.endLeases(c.process) })
		ended := h.clock.now
		h.clock.runUntil(ended+time.Minute, func() bool { return h.second != nil && h.lostAt != 0 })
		if h.second == nil || h.lostAt == 0 || h.clock.now > ended+50*time.Millisecond {
			t.Fatalf("seed %d: noticed at %s, taken at %s, ended at %s", seed, h.lostAt, h.takenAt, ended)
		}
		again := h.start(h.first.client, func() {
			h.lease(h.first.client.Acquire(context.Background(), "other"))
		})
		h.pass(time.Second)
		if !*again || h.first.client.session == h.first.session {
			t.Errorf("seed %d: no other session was begun", seed)
		}
		h.sound()
	}
}

// ghost is a lease whose holder believes in it, whatever happened: its clock stands still.
func (d *depot) ghost(l *storeLease) *storeLease {
	s := &storeSession{client: l.client, known: l.session.known, deadline: 1 << 62}
	g := &storeLease{
		client: l.client, session: s, cluster: l.cluster, claim: l.claim, work: d.clock.newLife(context.Background()),
		fence: unread, termRev: unread,
	}
	g.bell = l.client.hang(l.cluster, func() {})
	return g
}

func TestTheStoreRefusesTheWritesOfAnElectorThatMissedItsLoss(t *testing.T) {
	d := newDepot(t, 1)
	a, b := d.elector("elector-1"), d.elector("elector-2")
	first := d.acquire(a, "shop")
	d.must(d.put(first, "d", "1"))
	d.release(first)
	second := d.acquire(b, "shop")
	term, err := d.nextTerm(second, 0)
	d.must(err)
	ctx := context.Background()
	for name, write := range map[string]func(*storeLease) error{
		"put": func(g *storeLease) error { return g.Put(ctx, text("d", "stale")) },
		"update": func(g *storeLease) error {
			return g.Update(ctx, "d", func([]byte) ([]byte, error) { return []byte("stale"), nil })
		},
		"draw a term": func(g *storeLease) error { _, err := g.NextTerm(ctx, 100); return err },
	} {
		g := d.ghost(first)
		if !d.held(g) {
			t.Fatal("the ghost knows")
		}
		d.do(a, func() { d.mustFail(write(g), errLockLost) })
		if d.held(g) || g.Context().Err() == nil {
			t.Errorf("%s: the store's refusal was not remembered", name)
		}
	}
	d.release(d.ghost(first))
	if got := d.value("d"); got != "1" {
		t.Errorf("a stale write was carried out: %q", got)
	}
	next, err := d.nextTerm(second, 0)
	if d.must(err); next != term+1 || !d.held(second) {
		t.Errorf("the rightful holder drew term %d after %d, held %v", next, term, d.held(second))
	}
	d.sound()
}

func TestARestoredStoreKnowsWhatItKnewThen(t *testing.T) {
	d := newDepot(t, 1)
	a, b := d.elector("elector-1"), d.elector("elector-2")
	first := d.acquire(a, "shop")
	d.acquire(b, "other") // so that the backup knows both sessions
	d.must(d.put(first, "d", "old"))
	_, err := d.nextTerm(first, 40)
	d.must(err)
	d.pass(10 * time.Second)
	backup := d.clock.now
	d.pass(time.Second)
	d.must(d.put(first, "d", "new"))
	d.must(d.put(first, "e", "new"))
	term, err := d.nextTerm(first, 0)
	d.must(err)
	d.release(first)
	second := d.acquire(b, "shop")
	d.pass(100 * time.Millisecond)

	d.vault.restore(d.clock.now - backup)
	d.pass(sessionTTL/3 + 10*time.Millisecond) // the next keep-alive meets another vault
	if d.held(second) || second.Context().Err() == nil {
		t.Error("a lock that was taken since is still held")
	}
	if d.value("d") != "old" || d.value("e") != "" || len(d.vault.keys) != 1 {
		t.Errorf("documents say %q and %q", d.value("d"), d.value("e"))
	}
	if h := d.vault.cell("shop").holder; h != first.claim {
		t.Errorf("the lock is held by %v, at the time of the backup it was by %v", h, first.claim)
	}
	third := d.acquire(a, "shop") // although the lock of the backup is there, kept alive by its session
	again, err := d.nextTerm(third, 0)
	if d.must(err); again != term {
		t.Errorf("term %d, want %d as before: nobody said that it was used", again, term)
	}
	above, err := d.nextTerm(third, 60)
	if d.must(err); above != 61 {
		t.Errorf("term %d, want one above those that the servers show", above)
	}
	d.must(d.put(third, "d", "newest"))
	d.sound() // in another era
}

func TestAnEmptiedStoreKnowsNothingAndHandsOutTermsAboveThoseOfTheServers(t *testing.T) {
	d := newDepot(t, 1)
	c := d.elector("elector-1")
	first := d.acquire(c, "shop")
	d.must(d.put(first, "d", "x"))
	_, err := d.nextTerm(first, 6)
	d.must(err)
	d.vault.empty()
	if d.value("d") != "" || d.vault.revision != 0 {
		t.Errorf("document says %q, revision %d", d.value("d"), d.vault.revision)
	}
	d.mustFail(d.put(first, "d", "x"), errLockLost)
	second := d.acquire(c, "shop")
	if second.claim.token != first.claim.token {
		t.Errorf("token %d, and %d before: revisions begin anew", second.claim.token, first.claim.token)
	}
	d.mustFail(d.put(d.ghost(first), "d", "x"), errLockLost) // the token alone would not tell them apart
	term, err := d.nextTerm(second, 7)
	if d.must(err); term != 8 {
		t.Errorf("term %d, want 8", term)
	}
	d.sound()
}

func TestTheHistoryAccusesAStoreThatAllowsWhatItMustNot(t *testing.T) {
	for _, row := range []struct {
		name  string
		wrong func(d *depot, old, new *storeLease)
	}{
		{"a write after the lock was given to another", func(d *depot, old, _ *storeLease) {
			d.vault.record(vaultEntry{kind: documentPut, cluster: "shop", claim: old.claim, key: "d"})
		}},
		{"a draw after the lock was given to another", func(d *depot, old, _ *storeLease) {
			d.vault.record(vaultEntry{kind: termDrawn, cluster: "shop", claim: old.claim, term: 3})
		}},
		{"a write after the lock was freed", func(d *depot, _, new *storeLease) {
			d.release(new)
			d.vault.record(vaultEntry{kind: documentPut, cluster: "shop", claim: new.claim, key: "d"})
		}},
		{"a write in a cluster without a lock", func(d *depot, _, new *storeLease) {
			d.vault.record(vaultEntry{kind: documentPut, cluster: "other", claim: new.claim, key: "d"})
		}},
		{"the same draw told twice", func(d *depot, _, new *storeLease) {
			d.vault.history.grant(grantedTerm{"shop", 7, storeMark{new.claim, 1}})
			d.vault.history.grant(grantedTerm{"shop", 7, storeMark{new.claim, 1}})
		}},
		{"a term that is not above the one before", func(d *depot, _, new *storeLease) {
			d.vault.record(vaultEntry{kind: termDrawn, cluster: "shop", claim: new.claim, term: 3})
			d.vault.record(vaultEntry{kind: termDrawn, cluster: "shop", claim: new.claim, term: 3})
		}},
	} {
		d := newDepot(t, 1)
		c := d.elector("elector-1")
		old := d.acquire(c, "shop")
		d.must(d.put(old, "d", "x"))
		d.release(old)
		new := d.acquire(c, "shop")
		d.must(d.put(new, "d", "y"))
		d.sound()
		row.wrong(d, old, new)
		if d.vault.violation() == "" {
			t.Errorf("%s was not noticed", row.name)
		}
	}
}

// turmoil is a life of three electors that compete for a lock, write as long as they hold it, and meet every fault.
type turmoil struct {
	*depot
	seed    uint64
	rand    *rand.Rand
	clients []*storeClient
	leases  []*storeLease // the one that each elector holds or held last
	sure    int           // updates that were confirmed in this era
	unsure  int           // and those that were not
	rewound bool          // the store has been restored: nothing is known of its counter
	early   time.Duration // until when two may believe that they hold the lock
}

func newTurmoil(t testing.TB, seed uint64) *turmoil {
	x := &turmoil{depot: newDepot(t, seed), seed: seed, rand: rand.New(rand.NewPCG(seed, 1))}
	for i := range 3 {
		x.clients, x.leases = append(x.clients, nil), append(x.leases, nil)
		x.hire(i)
	}
	x.clock.after(x.soon(), x.harm)
	return x
}

func (x *turmoil) soon() time.Duration { return time.Duration(x.rand.Int64N(int64(2 * time.Second))) }

// hire puts a new process in an elector's place.
func (x *turmoil) hire(i int) {
	c := x.vault.connect(x.clock.newProcess(fmt.Sprint("elector-", i+1)))
	x.clients[i], x.leases[i] = c, nil
	c.process.spawn(func() {
		for {
			if l, err := c.Acquire(context.Background(), "shop"); err == nil {
				x.leases[i] = l.(*storeLease)
				x.lead(x.leases[i])
			}
		}
	})
}

// lead writes until the lock is lost or given back.
func (x *turmoil) lead(l *storeLease) {
	ctx := context.Background()
	for n := 0; l.Context().Err() == nil && n < 200; n++ {
		x.unsure++
		if err := l.Update(ctx, "counter", addOne); err == nil {
			x.unsure--
			x.sure++
		}
		if n%5 == 0 {
			_, _ = l.NextTerm(ctx, 0) // what is handed out is checked by the vault
		}
		(&bell{clock: x.clock}).Wait(l.Context(), 20*time.Millisecond)
	}
	_ = l.Release(ctx) // a failed one is made up for
}

// harm is one fault, and the next one.
func (x *turmoil) harm() {
	i := x.rand.IntN(len(x.clients))
	p, v := x.clients[i].process, x.vault
	mended := x.soon() * 4
	switch x.rand.IntN(9) {
	case 0:
		p.kill()
		x.clock.after(mended, func() { x.hire(i) })
	case 1:
		p.pause()
		x.clock.after(mended, p.thaw)
	case 2:
		v.cut(p, true)
		x.clock.after(mended, func() { v.cut(p, false) })
	case 3:
		v.loseReplies(p, true)
		x.clock.after(mended, func() { v.loseReplies(p, false) })
	case 4:
		v.slow(p, 0, x.soon())
		x.clock.after(mended, func() { v.slow(p, usualDelay.low, usualDelay.high) })
	case 5:
		v.stop(true)
		x.clock.after(mended, func() { v.stop(false) })
	case 6:
		v.endLeases(p)
		x.early = x.clock.now + sessionTTL
	case 7:
		v.restore(mended)
		x.rewound, x.early = true, x.clock.now+sessionTTL
	case 8:
		v.empty()
		x.rewound, x.early = true, x.clock.now+sessionTTL
	}
	if x.clock.now < 30*time.Second {
		x.clock.after(x.soon(), x.harm)
	}
}

// judge checks what must always be so.
func (x *turmoil) judge() bool {
	holders := 0
	for _, l := range x.leases {
		if l != nil && !l.client.process.dead && !l.client.process.paused && x.held(l) {
			holders++
		}
	}
	if holders > 1 && x.clock.now > x.early {
		x.Fatalf("seed %d at %s: two hold the lock", x.seed, x.clock.now)
	}
	return false
}

func (x *turmoil) end() {
	x.Helper()
	x.clock.runUntil(40*time.Second, x.judge)
	before, at := x.sure, x.clock.now
	x.clock.runUntil(at+10*time.Second, x.judge)
	if x.sure == before {
		x.Fatalf("seed %d: nobody works although all faults are mended", x.seed)
	}
	x.sound()
	n := len(x.value("counter"))
	if counted := 0; !x.rewound && n > 0 {
		if _, err := fmt.Sscan(x.value("counter"), &counted); err != nil || counted < x.sure || counted > x.sure+x.unsure {
			x.Fatalf("seed %d: %d updates were confirmed, %d are in doubt, %d are there", x.seed, x.sure, x.unsure, counted)
		}
	}
	for _, c := range x.clients {
		c.process.kill()
	}
}

func TestUnderAllFaultsOneHoldsAStoredLockAndNothingIsLost(t *testing.T) {
	for seed := range uint64(200) {
		x := newTurmoil(t, seed)
		x.end()
	}
}

func TestTheSameSeedMakesTheSameStoreHistory(t *testing.T) {
	for seed := range uint64(10) {
		var digests [2]uint64
		var revisions [2]int64
		for i := range digests {
			x := newTurmoil(t, seed)
			x.end()
			digests[i], revisions[i] = x.clock.digest, int64(len(x.vault.history.entries))
		}
		if digests[0] != digests[1] || revisions[0] != revisions[1] {
			t.Errorf("seed %d: digests %x, entries %d", seed, digests, revisions)
		}
	}
}
