package sim

import (
	"context"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// reaches wants a round to end with these ways of reaching A, B, C, ….
func (b *bench) reaches(f *fleet, want ...topology.Reach) []topology.Observation {
	b.t.Helper()
	seen := b.observe(f)
	for i, o := range seen {
		if o.Reach != want[i] {
			b.t.Errorf("%s is %q (%s), not %q", o.Address, o.Reach, o.Error, want[i])
		}
	}
	return seen
}

const (
	reachOK      = topology.ReachOK
	reachRefused = topology.ReachRefused
	reachReset   = topology.ReachReset
	reachSilent  = topology.ReachSilent
	reachUnknown = topology.ReachUnknown
)

func TestARoundSeesEachServerAsItWasWhenAskedByTheElectorsOwnClock(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	f.process.skew = time.Hour
	b.write("A", 7)
	before := f.process.Now()
	seen := b.reaches(f, reachOK, reachOK, reachOK)
	for i, a := range []topology.Address{"A", "B", "C"} {
		o := seen[i]
		if o.Address != a || o.UUID != b.at(a).uuid || o.Incarnation != b.at(a).incarnation || !o.Executed.Equal(b.at("A").executed()) {
			t.Errorf("%s was seen as %+v", a, o)
		}
		if again := b.observe(f)[i]; !again.StartedAt.Equal(o.StartedAt) {
			t.Errorf("%s started at %s, and then at %s", a, o.StartedAt, again.StartedAt)
		}
		if !o.At.Equal(before) || o.Latency < 2*b.network.fast || o.Latency > 2*b.network.slow {
			t.Errorf("%s was asked at %s, and it took %s", a, o.At, o.Latency)
		}
	}
	if seen[0].Replication != nil || seen[1].Replication == nil || seen[1].Replication.Receiver != topology.ThreadOn {
		t.Errorf("channels: %+v and %+v", seen[0].Replication, seen[1].Replication)
	}
}

func TestOneSilentServerDelaysTheOthersAnswersNoLongerThanTheTimeout(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.network.cutBoth(f.place, b.at("B").place)
	begun := b.clock.now
	seen := b.reaches(f, reachOK, reachSilent, reachOK)
	if took := b.clock.now - begun; took != f.probeTimeout {
		t.Errorf("the round took %s", took)
	}
	if seen[1].FailingSince.IsZero() || !seen[1].FailingSince.Equal(seen[1].At) || seen[1].Latency != f.probeTimeout {
		t.Errorf("B fails since %s, and the probe waited for %s", seen[1].FailingSince, seen[1].Latency)
	}
	first := seen[1].FailingSince
	if seen = b.reaches(f, reachOK, reachSilent, reachOK); !seen[1].FailingSince.Equal(first) {
		t.Errorf("B fails since %s, though it did so at %s", seen[1].FailingSince, first)
	}
	b.network.healBoth(f.place, b.at("B").place)
	b.pass(500 * time.Millisecond)
	if seen = b.reaches(f, reachOK, reachOK, reachOK); !seen[1].FailingSince.IsZero() {
		t.Error("it is back and still failing")
	}
}

func TestHowAServerIsGoneShowsInTheRound(t *testing.T) {
	b := newBench(t, 5, 1)
	f := b.elector("one")
	b.at("A").kill()
	b.at("B").freeze()
	b.at("C").powerOff()
	b.at("D").kill()
	b.at("D").powerOff()
	// D's kernel had the time to say that the process let go, before its host lost power.
	b.reaches(f, reachRefused, reachSilent, reachSilent, reachReset, reachOK)
}

func TestSilenceAfterACutConnectionIsStillACut(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	b.at("A").kill()
	b.pass(5 * time.Millisecond)
	b.at("A").powerOff()
	b.reaches(f, reachReset, reachOK)
}

func TestAServerThatGoesOnAfterSIGSTOPIsSignalledAndAnswersAgain(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	b.at("A").freeze()
	b.reaches(f, reachSilent, reachOK)
	b.reaches(f, reachSilent, reachOK)
	var told []orchestrator.Signal
	f.Signals(func(s orchestrator.Signal) { told = append(told, s) })
	b.at("A").thaw()
	b.pass(5 * time.Millisecond)
	if len(told) != 1 || told[0].Server != "A" || told[0].Cluster != "shop" {
		t.Errorf("told: %v", told)
	}
	b.reaches(f, reachOK, reachOK)
}

func TestTheDeathOfAProcessIsSignalledWhenItsResetArrives(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	var at time.Duration
	f.Signals(func(s orchestrator.Signal) { at = b.clock.now })
	died := b.clock.now
	b.at("A").kill()
	b.pass(10 * time.Millisecond)
	if at-died < b.network.fast || at-died > b.network.slow {
		t.Errorf("told after %s", at-died)
	}
}

func TestNobodyIsToldOfAHostThatLosesPower(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	f.Signals(func(s orchestrator.Signal) { t.Errorf("told of %s", s.Server) })
	b.at("A").powerOff()
	b.pass(time.Second)
}

func TestARestartBetweenTwoRoundsShowsAsAnotherProcess(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	before := b.observe(f)[0]
	b.at("A").kill()
	b.at("A").boot()
	b.pass(3 * time.Second)
	after := b.reaches(f, reachOK, reachOK)[0]
	if before.Incarnation == after.Incarnation || !after.StartedAt.After(before.StartedAt) || after.UUID != before.UUID {
		t.Errorf("%s from %s became %s from %s", before.Incarnation, before.StartedAt, after.Incarnation, after.StartedAt)
	}
}

func TestARoundThatIsCancelledKnowsNothing(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	b.at("A").freeze()
	var seen []topology.Observation
	b.run(f, func() {
		ctx, cancel := f.process.Within(context.Background(), time.Hour)
		b.clock.after(10*time.Millisecond, cancel)
		seen = f.Observe(ctx, "shop")
	})
	if seen[0].Reach != reachUnknown || seen[1].Reach != reachOK || !seen[0].FailingSince.IsZero() {
		t.Errorf("%q and %q", seen[0].Reach, seen[1].Reach)
	}
}

func TestAPausedElectorReadsWhatCameMeanwhileWithItsOldTime(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	asked := f.process.Now()
	b.clock.after(50*time.Microsecond, f.process.pause)
	b.clock.after(time.Minute, f.process.thaw)
	seen := b.reaches(f, reachOK, reachOK)
	if !seen[0].At.Equal(asked) || seen[0].Latency < time.Minute-time.Second {
		t.Errorf("it was asked at %s, and took %s", seen[0].At, seen[0].Latency)
	}
}

func TestProbesOfOneServerWaitForEachOther(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	b.at("A").freeze()
	answers := 0
	for range 2 {
		f.process.spawn(func() {
			if o := f.Probe(context.Background(), "A"); o.OK() {
				answers++
			}
		})
	}
	b.pass(10 * time.Millisecond)
	if n := len(f.keepers[0].probes); n != 2 || f.keepers[0].probes[1].phase != queued {
		t.Errorf("%d probes are under way", n)
	}
	b.at("A").thaw()
	b.pass(10 * time.Millisecond)
	if answers != 2 {
		t.Errorf("%d probes were answered", answers)
	}
}

func TestAServerThatIsNotWatchedCanBeAskedAndLeavesNothingBehind(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	f.Watch("shop", []topology.Address{"A"})
	b.pass(10 * time.Millisecond)
	var o topology.Observation
	b.run(f, func() { o = f.Probe(context.Background(), "B") })
	b.pass(10 * time.Millisecond)
	if !o.OK() || o.Address != "B" || len(f.wires) != 1 || len(b.at("B").sessions()) != 0 {
		t.Errorf("%+v, %d connections, %d sessions on B", o, len(f.wires), len(b.at("B").sessions()))
	}
	b.at("B").kill()
	b.run(f, func() { o = f.Probe(context.Background(), "B") })
	if o.Reach != reachRefused || o.FailingSince.IsZero() {
		t.Errorf("%+v", o)
	}
}

func BenchmarkObserve(t *testing.B) {
	b := newBench(t, 5, 2)
	f := b.elector("one")
	t.ReportAllocs()
	t.ResetTimer()
	for left := t.N; left > 0; left -= 1000 {
		b.run(f, func() {
			for range min(left, 1000) {
				f.Observe(context.Background(), "shop")
			}
		})
	}
}

func TestADeadElectorLogsInNowhere(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	b.network.cutBoth(f.place, b.at("A").place)
	f.process.spawn(func() {
		for range 3 {
			f.Observe(context.Background(), "shop")
		}
	})
	b.pass(1500 * time.Millisecond) // a login is under way, and a probe waits for it
	f.process.kill()
	f.close()
	b.network.healBoth(f.place, b.at("A").place)
	b.pass(time.Minute)
	if n := len(b.at("A").sessions()) + len(b.at("B").sessions()); n != 0 || len(f.wires) != 0 {
		t.Errorf("%d sessions, %d connections", n, len(f.wires))
	}
}

func TestAPausedElectorDoesNothingWithWhatArrives(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	b.at("A").kill()
	b.at("A").boot()
	f.process.pause()
	b.pass(10 * time.Second)
	if n := len(b.at("A").sessions()); n != 0 {
		t.Errorf("%d sessions while it is paused", n)
	}
	f.process.thaw()
	b.reaches(f, reachOK, reachOK)
}

func TestAFailureOfALoginThatBeganBeforeTheProbeIsNoNews(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	b.at("A").freeze()
	b.reaches(f, reachSilent, reachOK)
	b.clock.after(100*time.Millisecond, b.at("A").kill)
	b.reaches(f, reachRefused, reachOK)
}

func TestWhoIsNoLongerWatchedIsNoLongerWaitedFor(t *testing.T) {
	b := newBench(t, 2, 1)
	f := b.elector("one")
	b.at("A").freeze()
	var seen []topology.Observation
	for range 2 {
		f.process.spawn(func() { seen = append(seen, f.Observe(context.Background(), "shop")[0]) })
	}
	b.pass(10 * time.Millisecond)
	f.Watch("shop", []topology.Address{"B"})
	b.pass(10 * time.Millisecond)
	if len(seen) != 2 || seen[0].Reach != reachUnknown || seen[1].Reach != reachUnknown || len(f.wires) != 1 {
		t.Errorf("%+v, %d connections", seen, len(f.wires))
	}
}
