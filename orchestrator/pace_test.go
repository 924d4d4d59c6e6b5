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
		acting           bool
		suspect          time.Duration // for how long; negative when it is not
		interval, expect time.Duration
	}{
		{"acting, all well", true, -1, 250 * time.Millisecond, 250 * time.Millisecond},
		{"acting, the primary is suspect", true, 0, 250 * time.Millisecond, 5 * time.Millisecond},
		{"acting, the primary has been suspect for a while", true, 200 * time.Millisecond, 250 * time.Millisecond, 20 * time.Millisecond},
		{"acting, the primary has been suspect for long", true, 2 * time.Second, 250 * time.Millisecond, 50 * time.Millisecond},
		{"acting, the primary has been suspect for long, with an interval that is short", true, 2 * time.Second, 40 * time.Millisecond, 40 * time.Millisecond},
		{"watching, all well", false, -1, 250 * time.Millisecond, 500 * time.Millisecond},
		{"watching, the primary is suspect", false, 0, 250 * time.Millisecond, 500 * time.Millisecond},
		{"watching, with an interval that is long already", false, -1, 5 * time.Second, 5 * time.Second},
	} {
		d := deskOf(t, topologytest.Cluster("A", "B", "C"))
		d.o.settings.ProbeInterval = c.interval
		if !c.acting {
			d.lease = nil
		}
		if c.suspect >= 0 {
			d.findings = []topology.Finding{{Code: topology.PrimarySuspect, Since: d.now.Add(-c.suspect)}}
		}
		if d.setPace(); d.rest() != c.expect {
			t.Errorf("%s: looks again after %s, want %s", c.name, d.rest(), c.expect)
		}
	}
}
