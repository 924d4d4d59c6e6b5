package mysqld

import (
	"context"
	"time"

	"github.com/primacydb/primacy/topology"
)

// keeper keeps one connection to one watched server.
type keeper struct {
	fleet  *Fleet
	server topology.Address
	end    context.CancelFunc
}

// keepWatched starts and ends keepers so that each watched server has one. The caller holds mu.
func (f *Fleet) keepWatched() {}

// clustersOf lists the clusters that watch a server.
func (f *Fleet) clustersOf(server topology.Address) (watching []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for cluster, servers := range f.clusters {
		for _, s := range servers {
			if s == server {
				watching = append(watching, cluster)
			}
		}
	}
	return watching
}

// Observe implements orchestrator.Fleet.
func (f *Fleet) Observe(ctx context.Context, cluster string) []topology.Observation {
	f.mu.Lock()
	servers := f.clusters[cluster]
	f.mu.Unlock()
	seen := make([]topology.Observation, len(servers))
	for i, server := range servers {
		seen[i] = f.Probe(ctx, server)
	}
	return seen
}

// Probe implements orchestrator.Fleet.
func (f *Fleet) Probe(ctx context.Context, server topology.Address) topology.Observation {
	ctx, cancel := context.WithTimeout(ctx, f.settings.ProbeTimeout)
	defer cancel()
	l, err := f.dial(ctx, server, nil)
	if err != nil {
		return topology.Observation{Address: server, At: time.Now(), Reach: topology.ReachSilent, Error: err.Error()}
	}
	defer l.close()
	return f.read(ctx, l, server)
}
