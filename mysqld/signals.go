package mysqld

import (
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// signalRoom is how many signals may wait. A full channel already says "probe now"; more is dropped.
const signalRoom = 64

// Signals implements orchestrator.Fleet.
func (f *Fleet) Signals() <-chan orchestrator.Signal { return f.signals }

// signal tells every cluster that watches the server that something happened to its kept connection.
// It never waits.
func (f *Fleet) signal(server topology.Address, at time.Time) {
	for _, cluster := range f.clustersOf(server) {
		select {
		case f.signals <- orchestrator.Signal{Cluster: cluster, Server: server, At: at}:
		default:
		}
	}
}
