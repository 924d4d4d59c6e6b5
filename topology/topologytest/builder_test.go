package topologytest

import (
	"testing"

	"github.com/primacydb/primacy/topology"
)

func TestAnUntouchedClusterIsWhole(t *testing.T) {
	b := Cluster("A", "B", "C", "D", "E").Acks(2)
	s, h := b.Snapshot(), b.History()
	l, led := h.Current()
	if !led || l.Primary != "A" || !l.Intact() {
		t.Fatalf("leadership on record: %+v", l)
	}
	for _, o := range s.Servers {
		if !o.OK() || !o.Executed.Has(l.Marker().GTID()) || o.Writable() != (o.Address == "A") {
			t.Errorf("%s is not healthy: %+v", o.Address, o)
		}
	}
	if got := s.Server("A").SemiSync; got.Acks != 2 || got.Clients != 4 || !got.Verified() {
		t.Errorf("semi-sync on A: %+v", got)
	}
}

func TestADeadServerIsRefusedAndItsFollowersLoseIt(t *testing.T) {
	b := Cluster("A", "B", "C").Dead("A")
	s := b.Snapshot()
	if a := s.Server("A"); a.Reach != topology.ReachRefused || !a.Executed.IsEmpty() {
		t.Errorf("A is dead and still shows %+v", a)
	}
	if r := s.Server("B").Replication; r.Receiver != topology.ThreadConnecting {
		t.Errorf("B has not lost A: %+v", r)
	}
	if seen := b.History().LastSeen["A"]; !seen.OK() || !seen.At.Before(Now) {
		t.Errorf("A was last seen %+v", seen)
	}
}

func TestSetsGoByNameAndTerm(t *testing.T) {
	b := Cluster("A", "B").Term(1, "A", "").Intent(2, "B", "A:1-100, t1")
	set := b.Set("A:1-100, t1, t2, B:7")
	if m, _ := topology.HighestMarker(set); m != b.Marker(2) {
		t.Errorf("highest marker of %s is %v", set, m)
	}
	if !set.Contains(b.Set("A:50,B:7")) || set.Count() != 103 {
		t.Errorf("set is %s", set)
	}
	if b.Set("t9").Equal(b.Set("t2")) {
		t.Error("two terms share a marker")
	}
}
