package orchestrator

import (
	"context"
	"testing"
)

func TestABellThatRangBeforeAnybodyWaitedIsHeardOnce(t *testing.T) {
	b := Process{}.NewBell()
	b.Ring()
	b.Ring()
	if !b.Wait(t.Context(), forever) {
		t.Error("the ring was forgotten")
	}
	if b.Wait(t.Context(), 0) {
		t.Error("two rings before a wait are one")
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if (Process{}).NewBell().Wait(ctx, forever) {
		t.Error("nobody rang")
	}
}

// aLease is a lock that only its identity matters of.
type aLease struct{ Lease }

func TestWhatEndedIsTakenBeforeWhatBegins(t *testing.T) {
	b := &inbox{bell: Process{}.NewBell()}
	b.ask(&request{})
	b.probe(round{})
	b.gain(gain{lease: &aLease{}})
	b.settle(settled{})
	if m := b.take(true); m.settled == nil {
		t.Errorf("%+v", m)
	}
	if m := b.take(true); m.gained == nil {
		t.Errorf("%+v", m)
	}
	if m := b.take(true); m.probed == nil {
		t.Errorf("%+v", m)
	}
	if m := b.take(true); m.asked == nil {
		t.Errorf("%+v", m)
	}
	if m := b.take(true); m.settled != nil || m.gained != nil || m.probed != nil || m.asked != nil {
		t.Errorf("%+v", m)
	}
}

func TestALockIsNotTakenWhileTheWorkUnderTheOneBeforeGoesOn(t *testing.T) {
	b := &inbox{bell: Process{}.NewBell()}
	b.gain(gain{lease: &aLease{}})
	if m := b.take(false); m.gained != nil {
		t.Error("taken")
	}
	if m := b.take(true); m.gained == nil {
		t.Error("forgotten")
	}
}

func TestALockThatIsLostBeforeTheLoopTookItIsGivenBackByWhoeverGotIt(t *testing.T) {
	b, first, second := &inbox{bell: Process{}.NewBell()}, &aLease{}, &aLease{}
	b.gain(gain{lease: first})
	if !b.lose(first) {
		t.Error("nobody gives the first one back")
	}
	if m := b.take(true); m.gained != nil || m.lost != nil {
		t.Errorf("the loop hears of a lock that it never had: %+v", m)
	}
	b.gain(gain{lease: second})
	b.take(true)
	if b.lose(second) {
		t.Error("the second one is the loop's")
	}
	if m := b.take(true); m.lost != second {
		t.Error("the loop does not hear of it")
	}
}

func TestARequestThatNobodyTookIsWithdrawn(t *testing.T) {
	b, r := &inbox{bell: Process{}.NewBell()}, &request{}
	b.ask(r)
	if !b.withdraw(r) || b.withdraw(r) {
		t.Error("it can be withdrawn once")
	}
	if m := b.take(true); m.asked != nil {
		t.Error("the loop got it all the same")
	}
}
