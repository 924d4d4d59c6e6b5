package sim

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func TestTasksTakeTurnsInTheOrderOfVirtualTime(t *testing.T) {
	c := newClock(1)
	var told []string
	p := c.newProcess("elector-1")
	for i, d := range []time.Duration{3 * time.Second, time.Second, 2 * time.Second} {
		p.spawn(func() {
			c.sleep(d)
			told = append(told, fmt.Sprintf("%d at %s", i, c.now))
		})
	}
	c.runUntil(time.Minute, nil)
	if got, want := fmt.Sprint(told), "[1 at 1s 2 at 2s 0 at 3s]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if c.now != time.Minute || len(p.tasks) != 0 {
		t.Errorf("the clock shows %s, %d tasks are left", c.now, len(p.tasks))
	}
}

func TestABellIsRememberedOnceAndWaitedForWithALimit(t *testing.T) {
	c := newClock(1)
	p := c.newProcess("p")
	b := p.NewBell()
	var heard []bool
	p.spawn(func() {
		b.Ring()
		b.Ring()
		heard = append(heard, b.Wait(t.Context(), -1), b.Wait(t.Context(), time.Second))
		heard = append(heard, b.Wait(t.Context(), -1), c.now == 5*time.Second)
	})
	c.after(5*time.Second, b.Ring)
	c.runUntil(time.Minute, nil)
	if got := fmt.Sprint(heard); got != "[true false true true]" {
		t.Error(got)
	}
}

func TestTheEndOfAContextWakesWhoeverWaitsUnderIt(t *testing.T) {
	c := newClock(1)
	p := c.newProcess("p")
	life := c.newLife(context.Background())
	var ends []string
	p.spawn(func() {
		within, cancel := p.Within(life, 10*time.Second)
		defer cancel()
		p.NewBell().Wait(within, -1)
		ends = append(ends, fmt.Sprint(within.Err(), c.now))
	})
	p.spawn(func() {
		within, cancel := p.Within(life, time.Second)
		defer cancel()
		p.NewBell().Wait(within, -1)
		ends = append(ends, fmt.Sprint(within.Err(), c.now))
	})
	c.after(3*time.Second, func() { life.end(context.Canceled) })
	c.runUntil(time.Minute, nil)
	if got := fmt.Sprint(ends); got != "[context deadline exceeded 1s context canceled 3s]" {
		t.Error(got)
	}
	if len(life.children) != 0 || len(life.waiters) != 0 {
		t.Errorf("%d children and %d waiters are left", len(life.children), len(life.waiters))
	}
}

func TestAPausedProcessGoesOnWhereItWas(t *testing.T) {
	c := newClock(1)
	p := c.newProcess("p")
	var woke time.Duration
	p.spawn(func() { c.sleep(time.Second); woke = c.now })
	c.after(500*time.Millisecond, p.pause)
	c.after(61*time.Second, p.thaw)
	c.runUntil(2*time.Minute, nil)
	if woke != 61*time.Second {
		t.Errorf("woke at %s", woke)
	}
}

func TestAKilledProcessHasNoMoreEffectThanItsDeferredFunctions(t *testing.T) {
	c := newClock(1)
	p := c.newProcess("p")
	var told []string
	effect := func(text string) { c.enter(); told = append(told, text) }
	p.spawn(func() {
		defer effect("deferred into the world")
		defer func() { told = append(told, "deferred at home") }()
		defer c.sleep(time.Second)
		effect("before")
		c.sleep(10 * time.Second)
		effect("after")
	})
	c.after(time.Second, p.kill)
	c.runUntil(time.Minute, nil)
	if got := fmt.Sprint(told); got != "[before deferred at home]" {
		t.Error(got)
	}
}

func TestAGroupWaitsForAllItsTasks(t *testing.T) {
	c := newClock(1)
	p := c.newProcess("p")
	var end time.Duration
	p.spawn(func() {
		g := p.NewTasks()
		g.Go(func() { c.sleep(2 * time.Second) })
		g.Go(func() { c.sleep(time.Second) })
		g.Wait()
		end = c.now
	})
	c.runUntil(time.Minute, nil)
	if end != 2*time.Second {
		t.Errorf("the end of the wait was at %s", end)
	}
}

func TestAPanicOfATaskIsNotSwallowed(t *testing.T) {
	c := newClock(1)
	c.newProcess("p").spawn(func() { panic("the control plane crashed") })
	defer func() {
		if r := recover(); fmt.Sprint(r) != "the control plane crashed" {
			t.Errorf("recovered %v", r)
		}
	}()
	c.runUntil(time.Minute, nil)
	t.Error("nothing happened")
}

func BenchmarkTaskSwitch(b *testing.B) {
	c := newClock(1)
	p := c.newProcess("p")
	p.spawn(func() {
		for {
			c.sleep(time.Millisecond)
		}
	})
	b.ReportAllocs()
	for b.Loop() {
		c.runUntil(c.now+time.Millisecond, nil)
	}
	p.kill()
}
