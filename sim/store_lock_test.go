package sim

import (
	"context"
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
