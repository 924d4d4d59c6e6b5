package sim

import (
	"slices"
	"testing"
	"time"
)

// wires is a network of two places that notes what arrives.
func wires() (*clock, *network, place, place) {
	c := newClock(7)
	n := newNetwork(c)
	return c, n, n.join("a"), n.join("b")
}

func TestMessagesOfAConnectionArriveInOrderAndThoseOfTwoNeedNot(t *testing.T) {
	c, n, a, b := wires()
	one, two := n.open(a, b), n.open(a, b)
	var got, mixed []int
	for i := range 50 {
		one.send(callee, func() { got = append(got, i); mixed = append(mixed, 2*i) })
		two.send(callee, func() { mixed = append(mixed, 2*i+1) })
	}
	c.runUntil(time.Second, nil)
	if len(got) != 50 || !slices.IsSorted(got) {
		t.Errorf("one connection: %v", got)
	}
	if slices.IsSorted(mixed) {
		t.Error("two connections never overtook each other")
	}
}

func TestWhatIsSentIntoACutArrivesOnceItIsMended(t *testing.T) {
	c, n, a, b := wires()
	p, got := n.open(a, b), []int{}
	p.send(callee, func() { got = append(got, 0) })
	c.runUntil(time.Second, nil)
	n.cut(a, b)
	for i := range 3 {
		p.send(callee, func() { got = append(got, i+1) })
	}
	c.runUntil(20*time.Second, nil)
	if len(got) != 1 || !n.holds(a, b) {
		t.Fatalf("during the cut %v arrived", got)
	}
	n.healAll()
	c.runUntil(21*time.Second, nil)
	if !slices.Equal(got, []int{0, 1, 2, 3}) || n.holds(a, b) {
		t.Errorf("%v arrived", got)
	}
}

func TestACutOfOneWaySilencesAConnectionBothWaysBeforeLong(t *testing.T) {
	c, n, a, b := wires()
	p, got := n.open(a, b), 0
	send := func() { p.send(callee, func() { got++ }) }
	send()
	c.runUntil(time.Second, nil)
	n.cut(b, a)
	send()
	c.runUntil(c.now+firstFlight/2, nil)
	if got != 2 {
		t.Errorf("the first flight: %d arrived", got)
	}
	c.runUntil(c.now+firstFlight, nil)
	send()
	c.runUntil(c.now+time.Second, nil)
	if got != 2 || n.flows(a, b) || !n.up(a, b) {
		t.Errorf("later: %d arrived", got)
	}
	n.healBoth(a, b)
	c.runUntil(c.now+time.Second, nil)
	if got != 3 {
		t.Errorf("mended: %d arrived", got)
	}
}

func TestTheOtherSideHearsOfACloseAfterWhatWasSentBefore(t *testing.T) {
	c, n, a, b := wires()
	p, got := n.open(a, b), []string{}
	p.ends[callee].gone = func() { got = append(got, "gone") }
	p.send(callee, func() { got = append(got, "message") })
	p.send(caller, func() { got = append(got, "to the one who closed") })
	p.close(caller)
	c.runUntil(time.Second, nil)
	if !slices.Equal(got, []string{"message", "gone"}) {
		t.Errorf("heard %v", got)
	}
}

func TestAConnectThatWasGivenUpInACutNeverArrives(t *testing.T) {
	c, n, a, b := wires()
	n.cutBoth(a, b)
	p, got := n.open(a, b), 0
	p.ends[callee].gone = func() { got++ }
	p.send(callee, func() { got++ })
	p.close(caller)
	n.healBoth(a, b)
	c.runUntil(time.Second, nil)
	if got != 0 {
		t.Error("it arrived")
	}
}

func TestASlowLinkDelaysOneWay(t *testing.T) {
	c, n, a, b := wires()
	n.slowDown(a, b, 300*time.Millisecond)
	var there, back time.Duration
	n.open(a, b).send(callee, func() { there = c.now })
	n.open(b, a).send(callee, func() { back = c.now })
	c.runUntil(time.Second, nil)
	if there < 300*time.Millisecond || back > time.Millisecond {
		t.Errorf("%s there, %s back", there, back)
	}
}

func TestAHostWithoutPowerNeitherSendsNorHears(t *testing.T) {
	c, n, a, b := wires()
	n.powerOff(b)
	got := 0
	n.open(a, b).send(callee, func() { got++ })
	n.open(b, a).send(callee, func() { got++ })
	c.runUntil(time.Second, nil)
	if got != 0 {
		t.Errorf("%d arrived without power", got)
	}
	n.powerOn(b)
	n.open(a, b).send(callee, func() { got++ })
	c.runUntil(2*time.Second, nil)
	if got != 3 {
		t.Errorf("%d arrived once it was back, and three were sent", got)
	}
}

func TestAnAnswerComesInTimeWhereNoWayIsCutOrSlow(t *testing.T) {
	w := peace(t)
	a, b := w.hosts.all[0].place, w.hosts.all[1].place
	for name, row := range map[string]struct{ ail, mend func() }{
		"there is slow": {func() { w.network.slowDown(a, b, time.Second) }, func() { w.network.slowDown(a, b, 0) }},
		"back is slow":  {func() { w.network.slowDown(b, a, time.Second) }, func() { w.network.slowDown(b, a, 0) }},
		"there is cut":  {func() { w.network.cut(a, b) }, func() { w.network.heal(a, b) }},
		"back is cut":   {func() { w.network.cut(b, a); w.clock.runUntil(w.clock.now+time.Second, nil) }, func() { w.network.heal(b, a) }},
	} {
		before := w.network.prompt(a, b)
		row.ail()
		during := w.network.prompt(a, b)
		row.mend()
		if after := w.network.prompt(a, b); !before || during || !after {
			t.Errorf("%s: %t before, %t while it lasts, %t afterwards", name, before, during, after)
		}
	}
}
