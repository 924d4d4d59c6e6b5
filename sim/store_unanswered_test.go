package sim

import (
	"context"
	"fmt"
	"testing"
	"time"
)

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
