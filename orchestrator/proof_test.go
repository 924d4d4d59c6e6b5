package orchestrator

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// TestAQuarantinedServerDoesNotKeepThePrimaryFromProvingItself has A serve after a failover, and B, the old primary, back
// with a transaction that nobody acknowledged.
func TestAQuarantinedServerDoesNotKeepThePrimaryFromProvingItself(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*topologytest.Builder)
		open   bool // the window, after half of it
	}{
		{"nothing is wrong", func(*topologytest.Builder) {}, false},
		{"the old primary is quarantined", func(b *topologytest.Builder) { b.Positions("A:1-100, t1, B:1", "B") }, false},
		{"the primary has fallen back to waiting for nobody", func(b *topologytest.Builder) {
			b.Edit("A", func(o *topology.Observation) { o.SemiSync.SourceActive = false })
		}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C").Acks(1)
			row.change(b)
			d := deskOf(t, b)
			opened := antiflap.Change{Cluster: "shop", Term: 1, Kind: antiflap.Emergency, At: d.now}
			d.record.Antiflap = antiflap.Cluster{}.Established(opened, antiflap.Defaults())
			d.pass(t, antiflap.Defaults().Window/2+2*time.Second)
			if w := d.record.Antiflap.Window(d.now); w.Open != row.open {
				t.Errorf("the window is open: %t, %s", w.Open, w.Reason)
			}
		})
	}
}
