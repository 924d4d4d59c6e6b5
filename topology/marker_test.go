package topology_test

import (
	"slices"
	"testing"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

func TestAMarkerCountsOnceHoweverItsStreamIsCut(t *testing.T) {
	m := topology.Marker{Term: 3, Hash: 9}
	tagged := m.GTID()
	tagged.Tag = "x"
	position := m.Set().Union(topology.Marker{Term: 1}.Set()).Union(gtid.Of(tagged))
	if got := topology.Markers(position); !slices.Equal(got, []topology.Marker{{Term: 1}, m}) {
		t.Errorf("markers %v", got)
	}
	if got, ok := topology.HighestMarker(position); !ok || got != m {
		t.Errorf("highest %v", got)
	}
}
