package sim

import (
	"context"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

func TestCommandsToDifferentServersRunAtOnceAndResultsComeInTheirOrder(t *testing.T) {
	b := newBench(t, 4, 1)
	f := b.elector("one")
	begun := b.clock.now
	results := b.do(f, 1, reparent.Command{Verb: reparent.Read, Server: "C"}, reparent.Command{Verb: reparent.Read, Server: "A"},
		reparent.Command{Verb: reparent.Read, Server: "D"}, reparent.Command{Verb: reparent.Read, Server: "B"})
	for i, want := range []topology.Address{"C", "A", "D", "B"} {
		if r := b.yes(results[i]); r.Observation.Address != want {
			t.Errorf("result %d is of %s, not of %s", i, r.Observation.Address, want)
		}
	}
	if took := b.clock.now - begun; took > 2*time.Millisecond {
		t.Errorf("four reads at once took %s", took)
	}
}

func TestWhatFollowsACommandThatWasNotDoneIsSkipped(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	results := b.do(f, 1,
		reparent.Command{Verb: reparent.Antidote, Server: "A"}, // without a count
		reparent.Command{Verb: reparent.DisableSource, Server: "A"},
		reparent.Command{Verb: reparent.Read, Server: "B"})
	b.no(results[0], reparent.ReasonRefused)
	b.must(results[1], reparent.Skipped, reparent.ReasonNone)
	b.yes(results[2])
	if !b.at("A").semi.source {
		t.Error("the skipped command took effect")
	}
}

func TestAStepThatHasEnoughGivesGraceToTheRestWhichMayStillHappen(t *testing.T) {
	b := newBench(t, 4, 1)
	f := b.elector("one")
	b.at("D").freeze()
	var results []reparent.Result
	begun, asked := b.clock.now, 0
	batch := orchestrator.Batch{Grace: 25 * time.Millisecond, Enough: func(all []reparent.Result) bool {
		asked++
		if all[2].Outcome != reparent.Unknown || all[2].Reason != reparent.ReasonAbandoned {
			t.Errorf("what is not there yet is %s %s", all[2].Outcome, all[2].Reason)
		}
		return all[0].Done() && all[1].Done()
	}}
	for _, a := range []topology.Address{"B", "C", "D"} {
		batch.Commands = append(batch.Commands, reparent.Command{Verb: reparent.Freeze, Server: a, Cluster: "shop", Term: 1, Deadline: 5 * time.Second})
	}
	batch.Commands = append(batch.Commands, reparent.Command{Verb: reparent.Resume, Server: "D", Cluster: "shop", Term: 1})
	b.run(f, func() { results = f.Do(context.Background(), batch) })
	b.yes(results[0])
	b.yes(results[1])
	b.must(results[2], reparent.Unknown, reparent.ReasonAbandoned)
	b.must(results[3], reparent.Skipped, reparent.ReasonNone)
	if took := b.clock.now - begun; asked == 0 || took < 25*time.Millisecond || took > 80*time.Millisecond {
		t.Errorf("asked %d times, it took %s", asked, took)
	}
	b.at("D").thaw()
	b.pass(time.Second)
	if state, _ := b.at("D").receiver(); state != topology.ThreadOff {
		t.Errorf("the abandoned command did not go on: the receiver is %s", state)
	}
}

func TestTheEndOfAStepsContextGivesUpWhatRuns(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.at("B").freeze()
	var results []reparent.Result
	begun := b.clock.now
	b.run(f, func() {
		ctx, cancel := f.process.Within(context.Background(), 100*time.Millisecond)
		defer cancel()
		results = f.Do(ctx, orchestrator.Batch{Commands: []reparent.Command{
			{Verb: reparent.Freeze, Server: "B", Cluster: "shop", Term: 1}, {Verb: reparent.Resume, Server: "B", Cluster: "shop", Term: 1},
		}})
	})
	b.no(results[0], reparent.ReasonUnreachable)
	b.must(results[1], reparent.Skipped, reparent.ReasonNone)
	if took := b.clock.now - begun; took < 100*time.Millisecond || took > 110*time.Millisecond {
		t.Errorf("it took %s", took)
	}
}

func TestALostReplyIsUnknownAndALostLoginIsANo(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.yes(b.one(f, 1, reparent.Command{Verb: reparent.Antidote, Server: "A", Acks: 1}))
	b.network.cut(b.at("A").place, f.place)
	poisoned := b.one(f, 1, reparent.Command{Verb: reparent.Antidote, Server: "A", Acks: 2, Deadline: 200 * time.Millisecond})
	b.must(poisoned, reparent.Unknown, reparent.ReasonDeadline)
	if b.at("A").semi.acks != 2 {
		t.Error("the request should have arrived, and only the reply be lost")
	}
	late := b.one(f, 1, reparent.Command{Verb: reparent.Antidote, Server: "A", Acks: 1, Deadline: 5 * time.Second})
	b.no(late, reparent.ReasonUnreachable)
	if late.Took < connectTimeout || late.Took > connectTimeout+50*time.Millisecond {
		t.Errorf("a host that does not answer was given up after %s", late.Took)
	}
}

func TestAKilledElectorSendsNothingMore(t *testing.T) {
	b := newBench(t, 3, 1)
	for n := 1; n < 40; n++ {
		f := b.elector("one")
		sent, returned := 0, false
		f.sending = func(topology.Address, reparent.Verb, int) {
			if sent++; sent == n {
				f.process.kill()
				f.close()
			}
		}
		before := b.at("A").semi.acks
		b.run(f, func() {
			f.Do(context.Background(), orchestrator.Batch{Commands: []reparent.Command{
				{Verb: reparent.EnableSource, Server: "A", Cluster: "shop", Term: uint32(n), Acks: 1 + n%2},
			}})
			returned = true
		})
		b.pass(time.Second)
		if returned {
			if n < 4 {
				t.Errorf("the command took %d statements only", sent)
			}
			return
		}
		if sent > n {
			t.Fatalf("%d statements were sent, and it died at the %d.", sent, n)
		}
		if len(b.at("A").locks) > 0 || len(b.at("A").sessions()) > 2 {
			t.Fatalf("the dead elector is still there after statement %d: %d sessions", n, len(b.at("A").sessions()))
		}
		if n < 3 && b.at("A").semi.acks != before {
			t.Fatalf("acks changed before anything was sent")
		}
	}
	t.Error("the command never ended")
}
