package topology

import (
	"cmp"
	"slices"
)

// Expression is what MySQL is told of a durability policy while one member leads: answer the client
// once any Acks of Ackers have acknowledged. It knows neither zones nor names.
type Expression struct {
	Primary Address
	Ackers  ServerSet
	Acks    int
	// Exact: the policy asks for no fewer acknowledgements than MySQL waits for. Otherwise it was made
	// stricter, and Spread would have been enough.
	Exact  bool
	Spread ServerSet
	// Crowd is why it cannot be fewer: one acknowledgement less, and MySQL would answer the client with
	// these, although the policy is not satisfied. Empty when the policy itself asks for all of Acks.
	Crowd ServerSet
}

// Expressions says for each member that may lead how the policy is put to MySQL.
//
// Theorem. Let E be the ackers of primary P and k the acknowledgements that it waits for. Every Q ⊆ E
// with |Q| ≥ k is Durable: a policy that counts zones, which MySQL cannot, is made stricter and never
// weaker. The policy checker (sim/policy) enumerates this; Insufficient is the question that it asks.
func (r Ruleset) Expressions() []Expression {
	var all []Expression
	for _, m := range r.Members {
		if m.Promotion != PromotionNever {
			all = append(all, r.expression(m.Address))
		}
	}
	return all
}

func (r Ruleset) expression(primary Address) Expression {
	e := Expression{Primary: primary, Ackers: r.Ackers(primary), Acks: r.AcksNeeded(primary)}
	e.Spread = r.spread(primary)
	e.Exact = e.Spread.Len() >= e.Acks
	if !e.Exact {
		e.Crowd, _ = r.Insufficient(primary, e.Ackers, e.Acks-1)
	}
	return e
}

// Insufficient finds a counterexample to "any so many of these servers will do": a set of that size after
// whose acknowledgements MySQL, if these were the enabled ackers, would answer the client although the
// policy is not satisfied. False when there is none.
//
// A policy sees of a set no more than its size and its zones, and grows with both. So among the sets of
// one size the one that fills as few zones as possible is the first to fail, and no other needs asking.
func (r Ruleset) Insufficient(primary Address, among ServerSet, acks int) (ServerSet, bool) {
	ackers := r.crowded(primary, among)
	if acks > len(ackers) {
		return ServerSet{}, false
	}
	worst := Servers(ackers[:max(acks, 0)]...)
	return worst, !r.Durable(primary, worst)
}

// spread is a smallest set of ackers that satisfies the policy; empty when none is needed or none does. It takes the
// next server of each zone in turn, so that it fills as many zones as a set of its size can.
func (r Ruleset) spread(primary Address) ServerSet {
	ackers := r.crowded(primary, r.Ackers(primary))
	turn := map[Address]int{}
	seen := map[string]int{}
	for _, a := range ackers {
		zone := r.zoneOf(a)
		turn[a] = seen[zone]
		seen[zone]++
	}
	slices.SortStableFunc(ackers, func(a, b Address) int { return cmp.Compare(turn[a], turn[b]) })
	for n := range len(ackers) + 1 {
		if best := Servers(ackers[:n]...); r.Durable(primary, best) {
			return best
		}
	}
	return ServerSet{}
}

// crowded puts the servers of the primary's own zone first, which add no zone, and then those of the fullest.
func (r Ruleset) crowded(primary Address, among ServerSet) []Address {
	servers, home := among.Without(primary).List(), r.zoneOf(primary)
	inhabitants := map[string]int{}
	for _, a := range servers {
		inhabitants[r.zoneOf(a)]++
	}
	inhabitants[home] = len(servers) + 1
	slices.SortStableFunc(servers, func(a, b Address) int {
		zoneA, zoneB := r.zoneOf(a), r.zoneOf(b)
		return cmp.Or(cmp.Compare(inhabitants[zoneB], inhabitants[zoneA]), cmp.Compare(zoneA, zoneB))
	})
	return servers
}

func (r Ruleset) zoneOf(a Address) string {
	m, _ := r.Member(a)
	return m.Zone
}
