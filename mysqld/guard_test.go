package mysqld

import (
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/primacydb/primacy/topology"
)

// StopUnderWay is the condition of a guard, for tests on real servers.
var StopUnderWay = stopUnderWay.broken

// terms are the interesting ones: around every digit's carry, the ends, and some at random.
func terms() []uint32 {
	all := []uint32{0, 1, math.MaxUint32 - 1, math.MaxUint32}
	for shift := range 32 {
		all = append(all, 1<<shift-1, 1<<shift, 1<<shift+1)
	}
	for range 60 {
		all = append(all, rand.Uint32())
	}
	return all
}

func TestTheGuardKnowsLaterMarkersFromEarlierOnes(t *testing.T) {
	for _, ours := range terms() {
		pattern := regexp.MustCompile(laterMarkers(ours))
		for _, theirs := range terms() {
			marker := topology.Marker{Term: theirs, Hash: rand.Uint64()}
			if got := pattern.MatchString(marker.Set().String()); got != (theirs > ours) {
				t.Fatalf("a marker of term %d met by term %d: later is %t", theirs, ours, got)
			}
		}
	}
}

func TestTheGuardTakesNoServerForAMarker(t *testing.T) {
	pattern := regexp.MustCompile(laterMarkers(0))
	if pattern.MatchString("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-7072696,7072696d-0000-0000-0000-000000000001:1") {
		t.Error("it matches a set without a marker of a later term")
	}
}

func TestLockNamesFitAndDiffer(t *testing.T) {
	long := strings.Repeat("x", 100)
	names := map[string]bool{}
	for _, cluster := range []string{"shop", "Schloß", long, long + "y"} {
		name := lockName(cluster)
		if len(name) > 64 || !strings.HasPrefix(name, "primacy/") || names[name] {
			t.Errorf("%q has the lock %q", cluster, name)
		}
		names[name] = true
	}
}
