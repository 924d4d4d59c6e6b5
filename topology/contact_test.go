package topology_test

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
)

// A receiver that has just connected shows the heartbeat of the connection before.
func TestWhoHasJustConnectedHasHeardOfItsSource(t *testing.T) {
	type look struct {
		after    time.Duration
		receiver topology.Thread
		age      time.Duration // as MySQL tells it
		want     time.Duration
	}
	on, off, connecting := topology.ThreadOn, topology.ThreadOff, topology.ThreadConnecting
	for name, looks := range map[string][]look{
		"it was stopped":                      {{0, off, 3, 3}, {2, on, 5, 0}, {3, on, 6, 1}, {4, on, 1, 1}},
		"it was connecting":                   {{0, connecting, 7, 7}, {1, on, 8, 0}},
		"it never heard anything before":      {{0, connecting, -1, -1}, {1, on, -1, 0}, {5, on, -1, 4}},
		"its source falls silent after that":  {{0, off, 3, 3}, {2, on, 5, 0}, {9, on, 12, 7}},
		"nobody saw it without a connection":  {{0, on, 5, 5}, {1, on, 6, 6}},
		"it is stopped once more":             {{0, off, 3, 3}, {2, on, 5, 0}, {3, off, 6, 6}, {9, on, 12, 0}},
		"what is heard is later than joining": {{0, off, 3, 3}, {5, on, 8, 0}, {9, on, 2, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			var c topology.Contact
			begin := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
			for _, l := range looks {
				r := topology.Replication{Receiver: l.receiver, HeartbeatAge: l.age}
				c.Note(begin.Add(l.after), &r)
				if r.HeartbeatAge != l.want {
					t.Errorf("after %d it heard of its source %d ago, not %d", l.after, r.HeartbeatAge, l.want)
				}
			}
		})
	}
	var c topology.Contact
	c.Note(time.Now(), nil) // without a channel there is nothing to say
}
