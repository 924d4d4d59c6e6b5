package topology_test

import (
	"testing"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

func TestDiscoveryFindsTheWholeClusterFromAnyServer(t *testing.T) {
	world := map[topology.Address]observation{}
	for _, o := range cluster().Silent("D").Snapshot().Servers {
		world[o.Address] = o
	}
	for _, seed := range []topology.Address{"A", "B", "E"} {
		members, rounds := explore(world, seed)
		if want := cluster().Ruleset().Servers(); !members.Equal(want) || rounds > 3 {
			t.Errorf("from %s: %s in %d rounds", seed, members, rounds)
		}
	}
}

// explore does what the caller of Discover has to do.
func explore(world map[topology.Address]observation, seed topology.Address) (topology.ServerSet, int) {
	reached := map[topology.Address]observation{}
	for rounds := 1; ; rounds++ {
		members, unexplored := topology.Discover(world[seed], reached)
		if unexplored.IsEmpty() || rounds > 10 {
			return members, rounds
		}
		for _, a := range unexplored.List() {
			reached[a] = world[a]
		}
	}
}

func TestDiscovery(t *testing.T) {
	follower := func(name, source topology.Address) observation {
		return observation{Address: name, Reach: topology.ReachOK, UUID: topologytest.UUID(name), Replication: &channel{Source: source}}
	}
	a := observation{Address: "A", Reach: topology.ReachOK, UUID: topologytest.UUID("A"), Replicas: []topology.Address{"B", "", "C"}}
	alias := a
	alias.Address = "alias"
	for _, row := range []struct {
		name                string
		seed                observation
		reached             map[topology.Address]observation
		members, unexplored topology.ServerSet
	}{
		{"the seed alone", a, nil, topology.Servers("A", "B", "C"), topology.Servers("B", "C")},
		{"a replica as the seed", follower("B", "A"), nil, topology.Servers("A", "B"), topology.Servers("A")},
		{"a circle ends", follower("B", "C"), map[topology.Address]observation{"C": follower("C", "B")}, topology.Servers("B", "C"), topology.Servers()},
		{"a probe that failed is explored", a, map[topology.Address]observation{"B": {Address: "B", Reach: topology.ReachSilent}, "C": follower("C", "A")},
			topology.Servers("A", "B", "C"), topology.Servers()},
		{"a server under two names counts once", a, map[topology.Address]observation{"B": follower("B", "alias"), "C": follower("C", "A"), "alias": alias},
			topology.Servers("A", "B", "C"), topology.Servers()},
		{"a chain is followed", a, map[topology.Address]observation{"B": {Address: "B", Reach: topology.ReachOK, UUID: topologytest.UUID("B"), Replicas: []topology.Address{"D"}}, "C": follower("C", "A")},
			topology.Servers("A", "B", "C", "D"), topology.Servers("D")},
		{"the seed does not answer", observation{Address: "A", Reach: topology.ReachRefused}, nil, topology.Servers("A"), topology.Servers()},
	} {
		members, unexplored := topology.Discover(row.seed, row.reached)
		if !members.Equal(row.members) || !unexplored.Equal(row.unexplored) {
			t.Errorf("%s: members %s, unexplored %s", row.name, members, unexplored)
		}
	}
}
