package orchestrator

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// lockedOut is a desk on which the primary refuses B's login.
func lockedOut(t *testing.T) *desk {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1).Connecting(1045, "B"))
	d.obeys = true
	return d
}

// receiver puts B's receiver into a state.
func (d *desk) receiver(state topology.Thread, errno int) {
	for i := range d.servers {
		if r := d.servers[i].Replication; r != nil && d.servers[i].Address == "B" {
			changed := *r
			changed.Receiver, changed.ReceiverErrno = state, errno
			d.servers[i].Replication = &changed
		}
	}
}

// whyNot is why nothing is done about B's receiver.
func (d *desk) whyNot() string {
	for _, f := range d.findings {
		if f.Code == topology.ReceiverFailed && f.Server == "B" {
			return f.WhyNot
		}
	}
	return ""
}

// said counts the events about B that say something.
func (d *desk) said(text string) (n int) {
	for _, e := range d.o.events.Recent() {
		if e.Server == "B" && strings.Contains(e.Text, text) {
			n++
		}
	}
	return n
}

func TestAReplicaWhoseLoginIsRefusedIsToldTheConfiguredCredentialsLessAndLessOftenAndThenNoMore(t *testing.T) {
	d := lockedOut(t)
	var pauses []time.Duration
	for last := d.now; d.now.Sub(topologytest.Now) < 10*time.Minute; {
		before := len(d.sent)
		if d.pass(t, time.Second); len(d.sent) > before {
			pauses, last = append(pauses, d.now.Sub(last)/time.Second), d.now
		}
	}
	if want := []time.Duration{1, 2, 4, 8, 16, 32}; !slices.Equal(pauses, want) {
		t.Errorf("B was pointed at A anew after %d seconds each, not %d", pauses, want)
	}
	for _, c := range d.sent {
		if c.Verb != reparent.Follow || c.Server != "B" || c.Source != "A" || !c.Acker {
			t.Errorf("sent %s", c)
		}
	}
	if why := d.whyNot(); !strings.Contains(why, "6 times") || d.said("given up after 6 attempts") != 1 {
		t.Errorf("why nothing is done any more: %q", why)
	}
}

func TestAReplicaThatGotInIsToldItsCredentialsAgainWhenTheyAreRefusedLater(t *testing.T) {
	for _, row := range []struct {
		name  string
		state topology.Thread
		errno int
		again bool
	}{
		{"it got in", topology.ThreadOn, 0, true},
		{"it is connecting, and its source has not answered yet", topology.ThreadConnecting, 0, false},
		{"it does not reach its source", topology.ThreadConnecting, 2003, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := lockedOut(t)
			d.pass(t, 5*time.Minute)
			d.receiver(row.state, row.errno)
			d.pass(t, 5*time.Second)
			d.receiver(topology.ThreadConnecting, 1045)
			before := len(d.sent)
			d.pass(t, 5*time.Second)
			if again := len(d.sent) > before; again != row.again {
				t.Errorf("it is told anew: %t", again)
			}
		})
	}
}

func TestAnotherRepairThatIsDoneIsNotHeldBackByEarlierFailures(t *testing.T) {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1).Stopped("B"))
	d.pass(t, time.Minute)
	d.obeys = true
	before := len(d.sent)
	d.pass(t, time.Minute)
	if n := len(d.sent) - before; n < 25 {
		t.Errorf("repaired %d times in a minute", n)
	}
}
