package sim

import (
	"context"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

var antidote = reparent.Command{Verb: reparent.Antidote, Server: "A", Acks: 1}

func TestALaterTermEndsTheSessionsOfAnEarlierOneWhichMayNotComeBack(t *testing.T) {
	b := newBench(t, 3, 1)
	one, two := b.elector("one"), b.elector("two")
	b.yes(b.one(one, 5, antidote))
	earlier := one.tenures[0].sessions[0].link.guest
	b.yes(b.one(two, 6, antidote))
	if earlier.connected() {
		t.Error("the earlier session still stands")
	}
	b.no(b.one(one, 5, antidote), reparent.ReasonFenced)
	b.yes(b.one(two, 6, antidote))
}

func TestOneTermIsForOneElector(t *testing.T) {
	b := newBench(t, 3, 1)
	one, two := b.elector("one"), b.elector("two")
	b.yes(b.one(one, 5, antidote))
	b.no(b.one(two, 5, antidote), reparent.ReasonFenced)
	b.yes(b.one(one, 5, antidote))
}

func TestAMarkerOfALaterTermIsAFenceOfItsOwn(t *testing.T) {
	b := newBench(t, 3, 1)
	one, two := b.elector("one"), b.elector("two")
	b.yes(b.one(one, 5, antidote))
	b.yes(b.one(two, 6, b.marker(two, 6, "A")))
	two.process.kill()
	two.close()
	b.pass(10 * time.Millisecond)
	for _, server := range []topology.Address{"A", "B"} {
		r := b.no(b.one(one, 5, reparent.Command{Verb: reparent.Follow, Server: server, Source: "C"}), reparent.ReasonFenced)
		t.Log(r.Detail)
		b.no(b.one(one, 5, reparent.Command{Verb: reparent.AwaitAckers, Server: server}), reparent.ReasonFenced)
	}
}

func TestAMarkerThatArrivesBetweenTwoStatementsOfAFreezeStopsTheNext(t *testing.T) {
	for at := 1; ; at++ {
		b := newBench(t, 3, 1)
		one, two := b.elector("one"), b.elector("two")
		statements, over := 0, false
		one.sending = func(topology.Address, reparent.Verb, int) {
			if statements++; statements == at {
				one.process.pause()
			}
		}
		var r reparent.Result
		one.process.spawn(func() {
			r = one.Do(t.Context(), orchestrator.Batch{Commands: []reparent.Command{
				{Verb: reparent.Freeze, Server: "B", Cluster: "shop", Term: 5, Deadline: time.Minute},
			}})[0]
			over = true
		})
		b.pass(100 * time.Millisecond)
		if over {
			if at < 9 {
				t.Errorf("it has %d statements only", at-1)
			}
			return
		}
		before := b.receives("B")
		mark := b.marker(two, 6, "C") // it acts on C only
		mark.Acks = 0
		b.yes(b.one(two, 6, mark))
		b.at("B").follows("C", true)
		b.pass(100 * time.Millisecond)
		one.process.thaw()
		b.pass(time.Second)
		if before && (r.Reason != reparent.ReasonFenced || r.Outcome == reparent.Yes) {
			t.Errorf("paused before statement %d: %s %s (%s)", at, r.Outcome, r.Reason, r.Detail)
		}
		if before && !b.receives("B") {
			t.Errorf("paused before statement %d it was frozen", at)
		}
	}
}

func TestAMarkerThatArrivesLaterStopsTheNextStatementOfAStandingSession(t *testing.T) {
	b := newBench(t, 3, 1)
	one, two := b.elector("one"), b.elector("two")
	b.yes(b.one(one, 5, reparent.Command{Verb: reparent.Antidote, Server: "B", Acks: 1}))
	b.yes(b.one(two, 6, b.marker(two, 6, "A"))) // acts on A only, but the marker goes to B
	b.pass(10 * time.Millisecond)
	r := b.one(one, 5, reparent.Command{Verb: reparent.Antidote, Server: "B", Acks: 2})
	b.no(r, reparent.ReasonFenced)
	if b.at("B").semi.acks != 1 {
		t.Error("it took effect")
	}
}

func TestAnElectorsOwnLaterTermEndsItsEarlierOne(t *testing.T) {
	b := newBench(t, 3, 1)
	one := b.elector("one")
	b.yes(b.one(one, 5, antidote))
	b.yes(b.one(one, 6, antidote))
	b.no(b.one(one, 5, antidote), reparent.ReasonFenced)
	b.pass(10 * time.Millisecond)
	if n := len(b.at("A").sessions()); n != 2 { // the kept connection and the session of term 6
		t.Errorf("%d sessions", n)
	}
}

func TestATermIsForOneProcessOfItsElector(t *testing.T) {
	b := newBench(t, 3, 1)
	one := b.elector("one")
	b.yes(b.one(one, 5, antidote))
	again := b.elector("one")
	if r := b.no(b.one(again, 5, antidote), reparent.ReasonFenced); r.Owner != 5 {
		t.Errorf("the term that it has to outbid is %d", r.Owner)
	}
	b.yes(b.one(one, 5, antidote))
	b.yes(b.one(again, 6, antidote))
	b.no(b.one(one, 5, antidote), reparent.ReasonFenced)
}

func TestAnEarlierProcessOfAnElectorDoesNotEndTheSessionsOfItsLaterTerm(t *testing.T) {
	b := newBench(t, 3, 1)
	one := b.elector("one")
	again := b.elector("one")
	b.yes(b.one(again, 6, antidote))
	b.no(b.one(one, 5, antidote), reparent.ReasonFenced)
	if !again.tenures[0].sessions[0].link.alive() {
		t.Error("the later session was ended")
	}
}

func TestSessionsAreKeptBetweenCommandsAndOpenedAgainWhenTheyBroke(t *testing.T) {
	b := newBench(t, 3, 1)
	one := b.elector("one")
	logins := func(c reparent.Command) (statements int) {
		one.sending = func(topology.Address, reparent.Verb, int) { statements++ }
		b.yes(b.one(one, 5, c))
		one.sending = nil
		return statements
	}
	if n := logins(antidote); n != 4 { // login, look, change, observation
		t.Errorf("the first command took %d statements", n)
	}
	if n := logins(antidote); n != 2 {
		t.Errorf("the second command took %d statements", n)
	}
	_ = b.at("A").killSession(one.tenures[0].sessions[0].link.guest.id, &guest{who: accountRoot})
	b.pass(5 * time.Millisecond)
	if n := logins(antidote); n != 4 {
		t.Errorf("after it broke, a command took %d statements", n)
	}
}

func TestAnElectorThatWasPausedBetweenTwoStatementsWakesUpToDeadSessions(t *testing.T) {
	for at := 1; at <= 4; at++ {
		b := newBench(t, 3, 1)
		one, two := b.elector("one"), b.elector("two")
		statements := 0
		one.sending = func(topology.Address, reparent.Verb, int) {
			if statements++; statements == at {
				one.process.pause()
			}
		}
		var result []reparent.Result
		one.process.spawn(func() {
			result = one.Do(context.Background(), orchestrator.Batch{Commands: []reparent.Command{
				{Verb: reparent.Antidote, Server: "A", Cluster: "shop", Term: 5, Acks: 2, Deadline: 3 * time.Minute},
			}})
		})
		b.pass(time.Second)
		b.yes(b.one(two, 6, antidote))
		b.pass(time.Minute)
		one.process.thaw()
		b.pass(time.Second)
		if len(result) != 1 || result[0].Done() {
			t.Fatalf("paused before statement %d: %+v", at, result)
		}
		want := 1
		if at == 4 { // its change was made before the other came
			want = 2
		}
		if b.at("A").semi.acks > want || result[0].Outcome == reparent.Yes {
			t.Errorf("paused before statement %d it set %d acks: %+v", at, b.at("A").semi.acks, result[0])
		}
	}
}

func TestTheFenceWaitsForAStatementThatKillCannotEndOnlyWhereThatIsHarmless(t *testing.T) {
	b := newBench(t, 3, 1)
	one, two := b.elector("one"), b.elector("two")
	b.isolateAckers()
	mark := b.marker(one, 5, "A")
	mark.Deadline = 100 * time.Millisecond
	b.must(b.one(one, 5, mark), reparent.Unknown, reparent.ReasonDeadline)
	// The marker waits for acknowledgements, for ever. It is tentative, and no reason to wait for it.
	b.yes(b.one(two, 6, reparent.Command{Verb: reparent.Antidote, Server: "A", Acks: 2, Deadline: 200 * time.Millisecond}))
	if !b.at("A").owned(mark.Decision.Marker().GTID().UUID) {
		t.Error("the marker of the earlier term should still wait")
	}
}

func TestALockHeldByAStrangerIsNamed(t *testing.T) {
	b := newBench(t, 2, 1)
	one := b.elector("one")
	w := b.hosts.dial(b.network.join("stranger"), "A", accountRoot, announcement{}, func(error) {})
	b.pass(5 * time.Millisecond)
	w.run(func(on *guest, done func(error)) { on.server.getLock(on, lockName("shop")); done(nil) }, func(error) {})
	b.pass(5 * time.Millisecond)
	c := antidote
	c.Deadline = 50 * time.Millisecond
	if r := b.no(b.one(one, 5, c), reparent.ReasonDeadline); r.Took > 60*time.Millisecond {
		t.Errorf("it took %s", r.Took)
	}
	w.close()
	b.pass(5 * time.Millisecond)
	b.yes(b.one(one, 5, antidote))
}

func TestACommandOfATermThatIsReplacedEndsAtOnce(t *testing.T) {
	b := newBench(t, 3, 1)
	one := b.elector("one")
	b.yes(b.one(one, 5, reparent.Command{Verb: reparent.Antidote, Server: "B", Acks: 1}))
	var earlier []reparent.Result
	began := b.clock.now
	var took time.Duration
	one.process.spawn(func() {
		earlier = one.Do(context.Background(), orchestrator.Batch{Commands: []reparent.Command{
			{Verb: reparent.AwaitAckers, Server: "B", Cluster: "shop", Term: 5, Acks: 2, Deadline: 5 * time.Second},
		}})
		took = b.clock.now - began
	})
	b.pass(20 * time.Millisecond)
	b.yes(b.one(one, 6, antidote))
	b.pass(100 * time.Millisecond)
	if len(earlier) != 1 || earlier[0].Outcome != reparent.No || took > 100*time.Millisecond {
		t.Errorf("after %s: %+v", took, earlier)
	}
}
