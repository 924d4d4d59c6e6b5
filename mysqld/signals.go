package mysqld

import (
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// Signals implements orchestrator.Fleet.
func (f *Fleet) Signals(tell func(orchestrator.Signal)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tell = tell
}

// signal tells every cluster that watches the server that something happened to its kept connection.
// It never waits.
func (f *Fleet) signal(server topology.Address, at time.Time) {
	f.mu.Lock()
	tell := f.tell
	f.mu.Unlock()
	if tell == nil {
		return
	}
	for _, cluster := range f.clustersOf(server) {
		tell(orchestrator.Signal{Cluster: cluster, Server: server, At: at})
	}
}
