package policy

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/primacydb/primacy/topology"
)

// policies yields every policy with every value of its parameters that n servers could be asked for.
func policies(n int) []topology.Policy {
	all := []topology.Policy{{Kind: topology.PolicyNone}, {Kind: topology.PolicyNone, AllowUnfenced: true}}
	for k := 1; k < n; k++ {
		all = append(all, topology.Policy{Kind: topology.PolicySemiSync, Acks: k}, topology.Policy{Kind: topology.PolicyCrossZone, Acks: k})
		for zones := 2; zones <= n; zones++ {
			all = append(all, topology.Policy{Kind: topology.PolicyZones, Acks: k, Zones: zones})
		}
	}
	return all
}

// readsZones tells whether it matters to a policy where servers are.
func readsZones(p topology.Policy) bool {
	return p.Kind == topology.PolicyCrossZone || p.Kind == topology.PolicyZones
}

// zonings yields every way to put n servers into zones, up to the names of the zones: server i is in an
// old zone or in the next new one.
func zonings(n int) iter.Seq[[]int] {
	var extend func(zoning []int, zones int, yield func([]int) bool) bool
	extend = func(zoning []int, zones int, yield func([]int) bool) bool {
		if len(zoning) == n {
			return yield(zoning)
		}
		for zone := range zones + 1 {
			if !extend(append(slices.Clone(zoning), zone), max(zones, zone+1), yield) {
				return false
			}
		}
		return true
	}
	return func(yield func([]int) bool) { extend(nil, 0, yield) }
}

// rulesets yields every policy over these servers in every zoning.
func rulesets(servers set) iter.Seq[topology.Ruleset] {
	return func(yield func(topology.Ruleset) bool) {
		for _, p := range policies(servers.len()) {
			for zoning := range zonings(servers.len()) {
				if !readsZones(p) && slices.Max(zoning) > 0 {
					continue
				}
				if !yield(ruled(p, servers, zoning)) {
					return
				}
			}
		}
	}
}

func ruled(p topology.Policy, servers set, zoning []int) topology.Ruleset {
	r := topology.Ruleset{Number: 1, Policy: p}
	for i := range servers.each {
		r.Members = append(r.Members, topology.Member{Address: name(i), Zone: string(rune('a' + zoning[len(r.Members)]))})
	}
	return r
}

// shapes keeps the first ruleset of all that differ in the servers' names only. No verdict depends on those: names
// decide who of two equal candidates is taken, and every candidate is asked for.
func shapes(all iter.Seq[topology.Ruleset]) iter.Seq[topology.Ruleset] {
	return func(yield func(topology.Ruleset) bool) {
		met := map[string]bool{}
		for r := range all {
			if key := shape(r); !met[key] {
				met[key] = true
				if !yield(r) {
					return
				}
			}
		}
	}
}

func shape(r topology.Ruleset) string {
	var zones []string
	for _, m := range r.Members {
		zones = append(zones, place(r, m))
	}
	slices.Sort(zones)
	return fmt.Sprint(r.Policy, zones)
}

// place is all that tells a member from another but its name: what its zone is like, and whether it may lead.
func place(r topology.Ruleset, m topology.Member) string {
	var zone []string
	for _, other := range r.Members {
		if other.Zone == m.Zone {
			zone = append(zone, string(other.Promotion))
		}
	}
	slices.Sort(zone)
	return strings.Join(zone, ",") + "/" + string(m.Promotion)
}

// leaders yields one primary of all that differ in their names only. Whoever may never lead may have led before that
// was said of it.
func leaders(r topology.Ruleset) iter.Seq[int] {
	return func(yield func(int) bool) {
		met := map[string]bool{}
		for _, m := range r.Members {
			if key := place(r, m); !met[key] {
				met[key] = true
				if !yield(number(m.Address)) {
					return
				}
			}
		}
	}
}

// barred yields a ruleset with each set of members that may never lead, but neither none nor all of them.
func barred(r topology.Ruleset) iter.Seq[topology.Ruleset] {
	return func(yield func(topology.Ruleset) bool) {
		all := numbered(r.Servers())
		for never := range all.subsets() {
			if never != 0 && never != all && !yield(withBarred(r, never)) {
				return
			}
		}
	}
}

func withBarred(r topology.Ruleset, never set) topology.Ruleset {
	r.Members = slices.Clone(r.Members)
	for i := range r.Members {
		if never.has(number(r.Members[i].Address)) {
			r.Members[i].Promotion = topology.PromotionNever
		}
	}
	return r
}

// described is a ruleset in one line of a report.
func described(r topology.Ruleset) string {
	text := string(r.Policy.Kind)
	if r.Policy.Acks > 0 {
		text += fmt.Sprintf(", acks %d", r.Policy.Acks)
	}
	if r.Policy.Zones > 0 {
		text += fmt.Sprintf(", zones %d", r.Policy.Zones)
	}
	if r.Policy.AllowUnfenced {
		text += ", allow_unfenced"
	}
	text += ", servers"
	for _, m := range r.Members {
		text += fmt.Sprintf(" %s", m.Address)
		if readsZones(r.Policy) {
			text += "(" + m.Zone + ")"
		}
		if m.Promotion == topology.PromotionNever {
			text += "!"
		}
	}
	return text
}
