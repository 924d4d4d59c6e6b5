package orchestrator

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// An elector that begins while a zone is lost has to know who of it may acknowledge, and who does not: to count all of them
// would block the change that is needed.
func TestAnElectorKnowsFromTheRecordWhoMayAcknowledge(t *testing.T) {
	rows := []struct {
		name string
		edit func(*topology.Observation)
		may  bool
	}{
		{"it does", func(o *topology.Observation) { o.SemiSync.ReplicaEnabled = true }, true},
		{"a restart would make it", func(o *topology.Observation) { o.SemiSync.ReplicaEnabled, o.Settings.SkipReplicaStart = false, false }, true},
		{"it does not, nor would a restart make it", func(o *topology.Observation) { o.SemiSync.ReplicaEnabled, o.Settings.SkipReplicaStart = false, true }, false},
	}
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1).Primary("A").Term(1, "A", "A:1-10"))
	for _, row := range rows {
		for i := range d.servers {
			if d.servers[i].Address == "B" {
				row.edit(&d.servers[i])
			}
		}
		d.look(t)
		d.keepRecord(t.Context(), d.now)
		d.lastSeen = topology.Sightings{}
		d.seed()
		if o := d.lastSeen.Of("B"); o.MayAck() != row.may || o.Incarnation == "" {
			t.Errorf("%s: %t by the record", row.name, o.MayAck())
		}
	}
}

func TestARecordThatDoesNotSayItLeavesItOpenWhoMayAcknowledge(t *testing.T) {
	if o := (identity{Incarnation: "B/1"}).observation("B", time.Time{}); !o.MayAck() {
		t.Error("an older program's record speaks for B")
	}
}
