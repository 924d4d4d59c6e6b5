package topology

import "fmt"

// UnmetError is a policy that cannot be met while one member leads: MySQL would have to be told to wait for more
// acknowledgements than there are members whose acknowledgement counts.
type UnmetError struct {
	Rules    Ruleset
	Needs    Expression
	ZoneRead bool   // the policy counts nobody in the primary's zone
	Home     string // that zone
	// Lax is what a laxer rule would let through: if everybody's acknowledgement counted, MySQL, which knows no zones, would
	// answer clients with those of these servers, and the policy would not be satisfied. Empty when there is no such set: too
	// few servers, or the others would do no harm, and still are not counted.
	Lax ServerSet
}

// unmet is why the policy cannot be met while this member leads; nil when it can.
func (r Ruleset) unmet(primary Address) *UnmetError {
	if r.Ackers(primary).Len() >= r.AcksNeeded(primary) {
		return nil
	}
	needs := r.expression(primary)
	e := UnmetError{Rules: r, Needs: needs, Home: r.zoneOf(primary)}
	e.ZoneRead = r.Policy.Kind == PolicyCrossZone || r.Policy.Kind == PolicyZones
	all := r.direct().Without(primary)
	if acks := min(needs.Acks, all.Len()); acks >= r.Policy.Acks {
		if lax, found := r.Insufficient(primary, all, acks); found {
			e.Lax = lax
		}
	}
	return &e
}

func (e *UnmetError) Error() string {
	ackers := e.Needs.Ackers
	text := fmt.Sprintf("durability policy %s cannot be met while %s leads: %s needed and %s may give one",
		e.Rules.Policy.Kind, e.Needs.Primary, plural(e.Needs.Acks, "ack is", "acks are"), onlyThese(ackers))
	if e.ZoneRead {
		text += fmt.Sprintf(", being outside its zone %s", e.Home)
	}
	switch {
	case e.Lax.IsEmpty():
	case ackers.Contains(e.Lax):
		held := e.Lax.With(e.Needs.Primary)
		text += fmt.Sprintf("; on %s a transaction is in %s only, which does not satisfy the policy", named(held.List()), plural(e.Rules.zones(held), "zone", "zones"))
	default:
		text += fmt.Sprintf("; were the others' counted too, MySQL, which knows no zones, would answer clients with %s (%s), which does not satisfy the policy",
			plural(e.Lax.Len(), "ack", "acks"), e.Lax)
	}
	return text
}

// Remedy lists what would help: fewer acks or zones, in the words of whoever wrote the rules, which take a number each, where
// one of both alone is enough; and what else there is.
func (e *UnmetError) Remedy(acks, zones string, others ...string) string {
	var all []string
	if n := e.Needs.Ackers.Len(); n > 0 && e.met(func(p *Policy) { p.Acks = min(p.Acks, n) }) {
		all = append(all, fmt.Sprintf(acks, n))
	}
	for n := e.Rules.Policy.Zones - 1; n >= 2; n-- {
		if e.met(func(p *Policy) { p.Zones = n }) {
			all = append(all, fmt.Sprintf(zones, n))
			break
		}
	}
	return joined(append(all, others...), "or")
}

// met tells whether another policy could be met with the same ackers.
func (e *UnmetError) met(change func(*Policy)) bool {
	r := e.Rules
	change(&r.Policy)
	return r.unmet(e.Needs.Primary) == nil
}
