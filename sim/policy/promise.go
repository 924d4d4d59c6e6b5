package policy

import (
	"iter"

	"github.com/primacydb/primacy/topology"
)

// losses yields every loss of servers that a policy promises to outlive while a primary leads. This is the
// promise as an operator reads it, and no part of the code under judgement:
//
//	none        promises nothing;
//	semi_sync   any k servers may be lost, the primary among them or not;
//	cross_zone  the primary's whole zone may be lost, and any k-1 servers besides;
//	zones       any z-1 whole zones may be lost; and so may any k servers.
func losses(r topology.Ruleset, primary int) iter.Seq[set] {
	all, p := numbered(r.Servers()), r.Policy
	return func(yield func(set) bool) {
		for lost := range all.subsets() {
			outlived := false
			switch p.Kind {
			case topology.PolicyNone:
			case topology.PolicySemiSync:
				outlived = lost.len() <= p.Acks
			case topology.PolicyCrossZone:
				outlived = lost.minus(zoneOf(r, primary)).len() <= p.Acks-1
			case topology.PolicyZones:
				outlived = zonesOf(r, lost) <= p.Zones-1 || lost.len() <= p.Acks
			}
			if outlived && !yield(lost) {
				return
			}
		}
	}
}

// outlives tells whether a transaction that these servers hold is still held by one after every loss.
func outlives(r topology.Ruleset, primary int, holders set) bool {
	for lost := range losses(r, primary) {
		if holders.minus(lost) == 0 {
			return false
		}
	}
	return true
}

// zoneOf are the servers in one server's zone.
func zoneOf(r topology.Ruleset, server int) set {
	home, _ := r.Member(name(server))
	var same set
	for _, m := range r.Members {
		if m.Zone == home.Zone {
			same |= one(number(m.Address))
		}
	}
	return same
}

// zonesOf counts the zones of some servers.
func zonesOf(r topology.Ruleset, some set) int {
	zones := 0
	for some != 0 {
		zones++
		for i := range some.each {
			some = some.minus(zoneOf(r, i))
			break
		}
	}
	return zones
}
