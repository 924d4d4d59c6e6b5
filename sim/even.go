package sim

import (
	"fmt"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/topology"
)

// The sizes of clusters that can be asked for in a few words.
const (
	ServersLeast   = 3
	ServersMost    = 7
	serversDefault = 5
	zonesLeast     = 3
)

// EvenCluster is a cluster of so many servers, 0 for five, that are spread evenly over three zones or as many as the
// policy wants. Its windows are short, so that several changes of the primary fit into a lifetime.
func EvenCluster(servers int, p topology.Policy) (Cluster, error) {
	if servers == 0 {
		servers = serversDefault
	}
	if servers < ServersLeast || servers > ServersMost {
		return Cluster{}, fmt.Errorf("%d servers cannot be simulated; use %d to %d", servers, ServersLeast, ServersMost)
	}
	rules := topology.Ruleset{Number: 1, Policy: p}
	for i := range servers {
		zone := string(rune('a' + i%max(zonesLeast, p.Zones)))
		rules.Members = append(rules.Members, topology.Member{Address: topology.Address(rune('A' + i)), Zone: zone})
	}
	if err := rules.Validate(); err != nil {
		return Cluster{}, err
	}
	return Cluster{
		Ruleset: rules, ProbeInterval: time.Second,
		Antiflap: antiflap.Settings{
			Window: 3 * time.Second, WindowMax: time.Minute, ProvenAfter: 2 * time.Second, ReplaceGonePrimary: true, FleetChangesMax: 100,
		},
	}, nil
}
