package topology_test

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// BenchmarkAnalyzeHealthy is what each round of probes costs while all is well: the most frequent thing by far.
func BenchmarkAnalyzeHealthy(b *testing.B) { benchmarkAnalyze(b, cluster(), 0) }

// BenchmarkAnalyzeDeadPrimary stands between the death of a primary and its replacement.
func BenchmarkAnalyzeDeadPrimary(b *testing.B) { benchmarkAnalyze(b, cluster().Dead("A"), 1) }

// BenchmarkAnalyzeBlockedFailover searches for the sets of servers that would help.
func BenchmarkAnalyzeBlockedFailover(b *testing.B) {
	benchmarkAnalyze(b, cluster().Dead("A").Silent("B", "C"), 4)
}

// BenchmarkAnalyzeZones has to work out how many acknowledgements span the zones.
func BenchmarkAnalyzeZones(b *testing.B) {
	benchmarkAnalyze(b, crossZone().Policy(topology.Policy{Kind: topology.PolicyZones, Acks: 1, Zones: 3}), 0)
}

var sinkFindings []topology.Finding

func benchmarkAnalyze(b *testing.B, c *topologytest.Builder, want int) {
	s, h := c.Snapshot(), c.History()
	previous := topology.Analyze(s, h, topologytest.Limits, topologytest.Now.Add(-time.Second), nil)
	if len(previous) != want {
		b.Fatalf("the cluster has %v", codesOf(previous))
	}
	b.ReportAllocs()
	for b.Loop() {
		sinkFindings = topology.Analyze(s, h, topologytest.Limits, topologytest.Now, previous)
	}
}
