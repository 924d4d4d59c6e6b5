package orchestrator

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

func TestWhatAServerMayHaveLostAtAStartIsRememberedByTheLoopAndOnRecord(t *testing.T) {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1).Primary("A").EstablishedAgo(time.Hour))
	d.round(t)
	if l := d.snapshot.Server("B").Losses; l != (topology.Losses{}) {
		t.Fatalf("at first: %+v", l)
	}
	b := &d.servers[1]
	b.Settings.RelayLogUnsynced = true
	d.round(t)
	b.Incarnation, b.StartedAt = "B/2", d.now.Add(-time.Second)
	d.round(t)
	lost := d.snapshot.Server("B").Losses.Received
	if lost.Before(b.StartedAt) {
		t.Fatalf("after its restart: %+v", lost)
	}
	b.Settings.RelayLogUnsynced = false // somebody does what the finding says
	d.round(t)
	b.Incarnation, b.StartedAt = "B/3", d.now
	d.round(t)
	d.round(t)
	if l := d.snapshot.Server("B").Losses; l.Received != lost || !l.Executed.IsZero() {
		t.Errorf("once it is mended: %+v, and it was %s", l, lost)
	}
	text, err := json.Marshal(identityOf(d.snapshot.Server("B")))
	if err != nil {
		t.Fatal(err)
	}
	var known identity
	if err := json.Unmarshal(text, &known); err != nil || known != identityOf(d.snapshot.Server("B")) {
		t.Errorf("%s is read as %+v, %v", text, known, err)
	}
	if writes := d.sawOthers(); writes {
		t.Error("the same is put on record again and again")
	}
}

// A process that nobody saw start may have lost what it was seen to lose by the settings of the one before it.
func TestAnElectorKnowsFromTheRecordWhatTheProcessBeforeMayHaveLost(t *testing.T) {
	for name, row := range map[string]struct {
		before             func(*topology.Settings)
		received, executed bool
	}{
		"all was written at once": {func(*topology.Settings) {}, false, false},
		"the relay log was not":   {func(s *topology.Settings) { s.RelayLogUnsynced = true }, true, false},
		"relay logs were dropped": {func(s *topology.Settings) { s.RelayLogRecovery = true }, true, false},
		"the binary log was not":  {func(s *topology.Settings) { s.SyncBinlog = 0 }, true, true},
	} {
		before := topology.Observation{Address: "B", Incarnation: "B/1", Settings: topologytest.Settings}
		row.before(&before.Settings)
		now := topology.Observation{Address: "B", Incarnation: "B/2", StartedAt: topologytest.Now, Settings: topologytest.Settings}
		l := now.LossesSince(identityOf(&before).observation("B", topologytest.Now))
		if l.Received.IsZero() == row.received || l.Executed.IsZero() == row.executed {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

func TestWhatWasLostBeforeALeadershipBeganIsForgottenAndNotWhatIsLostSince(t *testing.T) {
	lost := topology.Losses{Received: topologytest.Now.UTC()}
	later := topology.Losses{Received: topologytest.Now.Add(time.Second).UTC()}
	for name, row := range map[string]struct {
		established bool
		known, seen topology.Losses
		want        topology.Losses
		restarted   bool
	}{
		"before it began":          {true, lost, lost, topology.Losses{}, false},
		"again while it was made":  {true, lost, later, later, false},
		"while it was made":        {true, topology.Losses{}, lost, lost, false},
		"nobody was established":   {false, lost, lost, lost, false},
		"nothing":                  {true, topology.Losses{}, topology.Losses{}, topology.Losses{}, false},
		"again in the very second": {true, lost, lost, lost, true},
	} {
		d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1).Primary("A").EstablishedAgo(time.Hour))
		d.servers[1].Losses = row.seen
		d.lastSeen = topology.Sightings{"B": &d.servers[1]}
		op := d.underway()
		op.Known["B"] = reparent.Known{Losses: row.known, Incarnation: d.servers[1].Incarnation}
		if row.restarted {
			d.servers[1].Incarnation = "B/2"
		}
		if row.established {
			op.Established = d.now
		}
		d.forgetLosses(op)
		if got := d.lastSeen.Of("B").Losses; got != row.want || d.servers[1].Losses != row.seen {
			t.Errorf("%s: %+v, and readers are shown %+v", name, got, d.servers[1].Losses)
		}
	}
}
