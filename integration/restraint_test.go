package integration

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// With the primary and one of three replicas gone, the missing replica may still acknowledge what the
// primary writes: nothing may be done, although a new primary would find an acker, and the report says
// who would have to come back.
func TestFailoverWithTooFewAckersIsBlockedAndTouchesNothing(t *testing.T) {
	c := started(t, 4, 1)
	client := c.write(2)
	c.awaitAcks(client, 30)
	old := c.view().Primary
	lost := c.members(old)[0]
	c.kill(lost)
	c.awaitFinding(topology.ServerUnreachable, lost)
	f := c.awaitFinding(topology.WouldBlock, "")
	t.Log(f.Message)
	c.kill(old)
	c.await("replicas that have read and applied what the primary had sent", func(v orchestrator.View) bool {
		return !slices.ContainsFunc(c.members(old, lost), func(a topology.Address) bool {
			o := v.Snapshot.Server(a)
			return !o.OK() || !o.Unapplied().IsEmpty() || o.Replication.Receiver != topology.ThreadConnecting
		})
	})
	before, sent := c.states(c.members(old, lost)...), len(c.plane.sent.all())
	v := c.await("a blocked cluster that says why", func(v orchestrator.View) bool {
		return v.State == topology.StateBlocked && v.Obstacle != nil
	})
	t.Log(v.Refusal)
	for _, a := range []topology.Address{old, lost} {
		if !strings.Contains(v.Refusal, string(a)) {
			t.Errorf("the refusal does not name %s: %s", a, v.Refusal)
		}
	}
	c.awaitRounds(5)
	c.unchanged(before)
	if more := c.plane.sent.all()[sent:]; len(more) > 0 {
		t.Errorf("commands were sent although nothing could be done: %v", more)
	}
	// The server that was named comes back, and the failover goes on by itself.
	c.restart(lost)
	c.awaitNewPrimary(old)
	c.awaitAcks(client, 30)
	c.bringBack(old)
	t.Log(c.nothingLost(client))
}

func TestSecondFailureInsideTheWindowIsRefusedUntilAcknowledged(t *testing.T) {
	c := started(t, 3, 1)
	client := c.write(2)
	first := c.view().Primary
	c.awaitAcks(client, 20)
	c.kill(first)
	second := c.awaitNewPrimary(first).Primary
	c.bringBack(first)
	c.awaitAcks(client, 20)
	changes := len(c.recoveries())
	c.kill(second)
	e := c.awaitEvent(0, orchestrator.EventRefused, func(e orchestrator.Event) bool { return strings.Contains(e.Text, string(second)) })
	t.Log(e.Text)
	v := c.await("a refusal that is shown", func(v orchestrator.View) bool {
		f, ok := findingOf(v, topology.PrimaryDead, second)
		return v.Refusal != "" && ok && f.WhyNot != ""
	})
	if !v.Window().Open || v.Window().Lift == "" {
		t.Errorf("the window is not shown, or not how to lift it: %+v", v.Window())
	}
	c.awaitRounds(10)
	if got := len(c.recoveries()); got != changes {
		t.Fatalf("%d changes were made inside the window", got-changes)
	}
	c.acknowledge()
	c.awaitNewPrimary(second)
	c.awaitAcks(client, 20)
	c.bringBack(second)
	t.Log(c.nothingLost(client))
}

// A primary that proved itself and is certainly gone is no sign of flapping.
func TestProvenPrimaryThatIsCertainlyGoneIsReplacedInsideTheWindow(t *testing.T) {
	c := bare(t, 3, 1)
	c.tune = func(b *blueprint) { b.Antiflap.ProvenAfter = 100 * time.Millisecond }
	c.startPlane()
	c.awaitHealthy()
	client := c.write(2)
	first := c.view().Primary
	c.awaitAcks(client, 20)
	c.kill(first)
	second := c.awaitNewPrimary(first).Primary
	c.bringBack(first)
	c.awaitAcks(client, 20)
	c.awaitRounds(3)
	c.kill(second)
	v := c.awaitNewPrimary(second)
	if op := c.recoveries()[0]; !v.Window().Open || !strings.Contains(op.Clearance, "inside a window") || op.Kind != reparent.KindEmergency {
		t.Errorf("the window was not open, so nothing was tested: %+v, %s", v.Window(), op.Clearance)
	}
	c.bringBack(second)
	t.Log(c.nothingLost(client))
}
