package sim

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// campaign is what an elector remembers between changes of the primary that it carries out by hand.
type campaign struct {
	*bench
	f       *fleet
	term    uint32
	row     int64
	history topology.History
}

func (b *bench) campaign(f *fleet) *campaign { return &campaign{bench: b, f: f} }

func cleared() antiflap.Clearance {
	c, _, _ := antiflap.Settings{}.Clear(antiflap.Request{Cluster: "shop", Operator: "alice"}, antiflap.Cluster{}, antiflap.Fleet{})
	return c
}

// intent looks, and draws the next term.
func (c *campaign) intent() reparent.Intent {
	c.term++
	s := topology.Snapshot{Cluster: "shop", At: c.f.process.Now(), Ruleset: c.rules, Servers: c.observe(c.f)}
	if c.history.LastSeen == nil {
		c.history.LastSeen = topology.Sightings{}
	}
	for _, o := range s.Servers {
		if o.OK() {
			c.history.LastSeen[o.Address] = &o
		}
	}
	return reparent.Intent{ID: fmt.Sprint("op-", c.term), Elector: c.f.elector, Term: c.term, Snapshot: s, History: c.history, Cause: "test", By: "alice"}
}

// batchOf is what an elector asks of servers for a step.
func batchOf(op reparent.Operation, step reparent.Step) orchestrator.Batch {
	enough := func(results []reparent.Result) bool { return op.Enough(step.Commands, results) }
	return orchestrator.Batch{Commands: step.Commands, Enough: enough, Grace: op.Timing.Grace}
}

// carryOut is next, do, apply, until the operation ends.
func (c *campaign) carryOut(op reparent.Operation) reparent.Operation {
	c.t.Helper()
	c.run(c.f, func() {
		for op.Running() {
			step := op.Next()
			results := c.f.Do(context.Background(), batchOf(op, step))
			op = op.Apply(results, c.f.process.Now())
		}
	})
	l, decided := op.Leadership()
	if l.Established() {
		c.history.Leaderships = nil
	}
	if decided {
		c.history.Leaderships, c.history.Leaders = append(c.history.Leaderships, l), append(c.history.Leaders, l.PrimaryUUID)
	}
	return op
}

// must is a change that succeeds.
func (c *campaign) must(op reparent.Operation) reparent.Operation {
	c.t.Helper()
	if op = c.carryOut(op); op.State != reparent.StateSucceeded {
		c.t.Fatalf("it ended %s: %+v", op.State, op.Obstacle)
	}
	return op
}

func (c *campaign) adopt() {
	c.t.Helper()
	in := c.intent()
	c.must(reparent.Adoption(cleared(), in, "A", c.f.process.Now()))
}

// whole wants everybody to follow a primary that completes writes, and to hold the same.
func (c *campaign) whole(primary topology.Address, members ...topology.Address) {
	c.t.Helper()
	c.pass(3 * time.Second)
	c.row++
	if w := c.write(primary, 1000+c.row); !w.kept || w.value != nil {
		c.t.Errorf("a write on %s ends with %v (%t)", primary, w.value, w.kept)
	}
	c.pass(100 * time.Millisecond)
	var all gtid.Set
	for _, a := range members {
		s := c.at(a)
		if all.IsEmpty() {
			all = s.executed()
		}
		if !s.executed().Equal(all) {
			c.t.Errorf("%s holds %s, and %s holds %s", a, s.executed(), members[0], all)
		}
		if a != primary && !c.receives(a) {
			c.t.Errorf("%s does not receive", a)
		}
	}
}

func TestAnEmergencyReparentTakesTensOfMilliseconds(t *testing.T) {
	b := newBench(t, 5, 2)
	c := b.campaign(b.elector("one"))
	c.adopt()
	b.write("A", 1)
	b.at("A").kill()
	b.pass(50 * time.Millisecond)
	in := c.intent()
	begun := b.clock.now
	op := c.must(reparent.Emergency(cleared(), in, c.f.process.Now()))
	if took := op.Established.Sub(op.StartedAt); took < 5*time.Millisecond || took > 150*time.Millisecond {
		t.Errorf("it was established after %s, all of it took %s", took, b.clock.now-begun)
	}
	if !b.at(op.To).hasRow(1) {
		t.Error("an acknowledged row is lost")
	}
	members := []topology.Address{"B", "C", "D", "E"}
	c.whole(op.To, members...)

	// The old primary comes back, and is made a replica by the same elector under the same term.
	b.at("A").boot()
	b.pass(5 * time.Second)
	b.yes(b.one(c.f, c.term, reparent.Command{Verb: reparent.Follow, Server: "A", Source: op.To, Acker: true, Within: b.at(op.To).executed()}))
	c.whole(op.To, append(members, "A")...)
}

func TestAPlannedReparentKeepsWritesWaitingForTensOfMilliseconds(t *testing.T) {
	b := newBench(t, 5, 2)
	c := b.campaign(b.elector("one"))
	c.adopt()
	b.write("A", 1)
	op := c.must(reparent.Planned(cleared(), c.intent(), c.f.process.Now()))
	if gap := op.GapTo.Sub(op.GapFrom); gap < time.Millisecond || gap > 80*time.Millisecond {
		t.Errorf("writes waited for %s", gap)
	}
	c.whole(op.To, "A", "B", "C", "D", "E")
	back := c.intent()
	back.Wanted = "A"
	op = c.must(reparent.Planned(cleared(), back, c.f.process.Now()))
	if op.To != "A" {
		t.Errorf("%s leads", op.To)
	}
	c.whole("A", "A", "B", "C", "D", "E")
}

func TestALaterElectorFinishesWhatAnEarlierOneLeft(t *testing.T) {
	for died := 1; died < 80; died++ {
		b := newBench(t, 5, 2)
		one, two := b.elector("one"), b.elector("two")
		c := b.campaign(one)
		c.adopt()
		b.write("A", 1)
		b.at("A").kill()
		b.pass(50 * time.Millisecond)
		op := reparent.Emergency(cleared(), c.intent(), one.process.Now())
		statements, over := 0, false
		one.sending = func(topology.Address, reparent.Verb, int) {
			if statements++; statements == died {
				one.process.kill()
				one.close()
			}
		}
		b.run(one, func() {
			for op.Running() {
				op = op.Apply(one.Do(context.Background(), batchOf(op, op.Next())), one.process.Now())
			}
			over = true
		})
		if over {
			return
		}
		c.f = two
		in := c.intent()
		end := c.carryOut(reparent.TakeOver(op, c.term, "two", in.Snapshot, two.process.Now()))
		if end.State != reparent.StateSucceeded { // nothing was decided before it died, or nobody knows whether it was
			end = c.must(reparent.Emergency(cleared(), c.intent(), two.process.Now()))
		}
		if !b.at(end.To).hasRow(1) {
			t.Fatalf("dead at statement %d: an acknowledged row is lost", died)
		}
		c.whole(end.To, "B", "C", "D", "E")
		if t.Failed() {
			t.Fatalf("the first elector died at statement %d", died)
		}
	}
	t.Error("the change has more statements than expected")
}
