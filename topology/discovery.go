package topology

import "github.com/primacydb/primacy/gtid"

// Discover is one step of finding a cluster from one of its servers. It follows sources and replicas from the seed as
// far as the observations go; the caller probes the unexplored servers, adds the observations to reached, whatever came
// of the probe, and asks again until none is unexplored. A server that answers under two addresses is a member once,
// under the one that was met first; of a round that meets both, under the lower one.
func Discover(seed Observation, reached map[Address]Observation) (members, unexplored ServerSet) {
	at := func(a Address) (Observation, bool) {
		if a == seed.Address {
			return seed, true
		}
		o, probed := reached[a]
		return o, probed
	}
	met := Servers(seed.Address)
	known := map[gtid.UUID]bool{}
	for round := met; !round.IsEmpty(); {
		var next ServerSet
		for _, a := range round.List() {
			o, probed := at(a)
			switch {
			case !probed:
				unexplored = unexplored.With(a)
			case o.OK() && known[o.UUID]:
				continue
			case o.OK():
				known[o.UUID] = o.UUID != gtid.UUID{}
				next = next.With(o.neighbours()...)
			}
			members = members.With(a)
		}
		round = next.Minus(met)
		met = met.Union(next)
	}
	return members, unexplored
}

// neighbours are the servers that one names: its source and its replicas.
func (o Observation) neighbours() []Address {
	var all []Address
	if o.Replication != nil && o.Replication.Source != "" {
		all = append(all, o.Replication.Source)
	}
	for _, a := range o.Replicas {
		if a != "" {
			all = append(all, a)
		}
	}
	return all
}
