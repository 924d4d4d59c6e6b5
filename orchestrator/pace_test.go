package orchestrator

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

func TestOnlyTheElectorThatActsHurries(t *testing.T) {
	for _, c := range []struct {
		name             string
		acting, suspect  bool
		interval, expect time.Duration
	}{
		{"acting, all well", true, false, 250 * time.Millisecond, 250 * time.Millisecond},
		{"acting, the primary is suspect", true, true, 250 * time.Millisecond, urgentInterval},
		{"watching, all well", false, false, 250 * time.Millisecond, 500 * time.Millisecond},
		{"watching, the primary is suspect", false, true, 250 * time.Millisecond, 500 * time.Millisecond},
		{"watching, with an interval that is long already", false, false, 5 * time.Second, 5 * time.Second},
	} {
		d := deskOf(t, topologytest.Cluster("A", "B", "C"))
		d.o.settings.ProbeInterval = c.interval
		if !c.acting {
			d.lease = nil
		}
		if c.suspect {
			d.findings = []topology.Finding{{Code: topology.PrimarySuspect}}
		}
		if d.setPace(); d.rest() != c.expect {
			t.Errorf("%s: looks again after %s, want %s", c.name, d.rest(), c.expect)
		}
	}
}
