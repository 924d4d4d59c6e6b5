package antiflap

import (
	"testing"
	"time"
)

// Sinks keep the compiler from dropping what is measured.
var (
	sinkCluster Cluster
	sinkWindow  Window
)

// BenchmarkRound is what each round of probes asks while a window is open.
func BenchmarkRound(b *testing.B) {
	c := Cluster{}.Established(Change{Cluster: "shop", Term: 2, Kind: Emergency, At: noon, From: "A", To: "B"}, Settings{})
	now := after(30 * time.Second)
	b.Run("proved", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sinkCluster = c.Rebased(now).Proved(now)
		}
	})
	b.Run("shown", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sinkWindow = c.Window(now)
		}
	})
}
