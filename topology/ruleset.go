package topology

import (
	"errors"
	"fmt"
	"slices"
)

// PolicyKind names a durability policy.
type PolicyKind string

// The durability policies. Everything else (revocation, candidacy, findings) is derived from them.
const (
	// PolicyNone wants no acknowledgement: replication is asynchronous as far as promises go.
	PolicyNone PolicyKind = "none"
	// PolicySemiSync wants Acks acknowledgements from any other members.
	PolicySemiSync PolicyKind = "semi_sync"
	// PolicyCrossZone wants Acks acknowledgements, all from members outside the primary's zone.
	PolicyCrossZone PolicyKind = "cross_zone"
	// PolicyZones wants every transaction in at least Zones zones, the primary's own included,
	// and at least Acks acknowledgements.
	PolicyZones PolicyKind = "zones"
)

// Policy says what makes a transaction durable.
type Policy struct {
	Kind PolicyKind `json:"policy"`
	// Acks is how many ackers must hold a transaction before its client gets OK.
	Acks int `json:"acks"`
	// Zones is for PolicyZones: how many zones must hold it, the primary's included.
	Zones int `json:"zones,omitempty"`
	// AllowUnfenced permits an emergency reparent under PolicyNone although nothing stops the old primary.
	AllowUnfenced bool `json:"allow_unfenced,omitempty"`
}

// Promotion is an operator's wish about who leads.
type Promotion string

// The promotion rules, best first.
const (
	PromotionPrefer  Promotion = "prefer"
	PromotionNeutral Promotion = "neutral"
	PromotionAvoid   Promotion = "avoid"
	PromotionNever   Promotion = "never"
)

// Rank orders promotion rules; lower is better. An empty rule is neutral.
func (p Promotion) Rank() int {
	switch p {
	case PromotionPrefer:
		return 0
	case PromotionNeutral, "":
		return 1
	case PromotionAvoid:
		return 2
	case PromotionNever:
		return 3
	}
	return 3
}

// Member is one server of a ruleset.
type Member struct {
	Address   Address   `json:"address"`
	Zone      string    `json:"zone,omitempty"`
	Promotion Promotion `json:"promotion,omitempty"`
	// Source is the member that this one replicates from, instead of from the primary. It then neither leads nor
	// acknowledges: see cascade.go. Empty for most.
	Source Address `json:"source,omitempty"`
}

// Ruleset is a numbered policy with its membership; changing it is itself a decision.
type Ruleset struct {
	Number  uint64   `json:"number"`
	Policy  Policy   `json:"durability"`
	Members []Member `json:"members"`
}

// Servers is the set of all members.
func (r Ruleset) Servers() ServerSet {
	all := make([]Address, len(r.Members))
	for i := range r.Members {
		all[i] = r.Members[i].Address
	}
	return ordered(all)
}

// Member finds a member by address.
func (r Ruleset) Member(a Address) (Member, bool) {
	for i := range r.Members {
		if r.Members[i].Address == a {
			return r.Members[i], true
		}
	}
	return Member{}, false
}

// Durable is the one question that everything else is derived from: does a transaction that the
// primary and these holders have survive whatever the policy promises to survive?
func (r Ruleset) Durable(primary Address, holders ServerSet) bool {
	others := holders.And(r.direct()).Without(primary)
	switch r.Policy.Kind {
	case PolicyNone:
		return true
	case PolicySemiSync:
		return others.Len() >= r.Policy.Acks
	case PolicyCrossZone:
		return others.And(r.abroad(primary)).Len() >= r.Policy.Acks
	case PolicyZones:
		return others.Len() >= r.Policy.Acks && r.zones(others.With(primary)) >= r.Policy.Zones
	}
	return false
}

// Ackers are the members whose acknowledgement may count for this primary: those on which the
// replica side of semi-sync is to be enabled while it leads.
func (r Ruleset) Ackers(primary Address) ServerSet {
	var kept []Address
	home := r.zoneOf(primary)
	for i := range r.Members {
		if m := &r.Members[i]; r.counts(m, primary, home) {
			if kept == nil {
				kept = make([]Address, 0, len(r.Members)-i)
			}
			kept = append(kept, m.Address)
		}
	}
	return ordered(kept)
}

// counts tells whether a member's acknowledgement may count for a primary, whose zone is home.
func (r *Ruleset) counts(m *Member, primary Address, home string) bool {
	if m.Source != "" {
		return false
	}
	switch r.Policy.Kind {
	case PolicyNone:
		return false
	case PolicySemiSync:
		return m.Address != primary
	case PolicyCrossZone, PolicyZones:
		return m.Address != primary && m.Zone != home
	}
	return false
}

// mayAck tells whether a server is among the ackers of a primary.
func (r *Ruleset) mayAck(primary, a Address) bool {
	for i := range r.Members {
		if m := &r.Members[i]; m.Address == a {
			return r.counts(m, primary, r.zoneOf(primary))
		}
	}
	return false
}

// AcksNeeded is the count that MySQL is given (rpl_semi_sync_source_wait_for_replica_count). MySQL
// can only say "any k of the enabled ackers", so k is the smallest number for which *every* k of
// Ackers satisfies Durable: a policy about zones becomes stricter rather than weaker.
func (r Ruleset) AcksNeeded(primary Address) int {
	switch r.Policy.Kind {
	case PolicyNone:
		return 0
	case PolicySemiSync, PolicyCrossZone:
		return r.Policy.Acks
	case PolicyZones:
		return max(r.Policy.Acks, r.acksThatSpanZones(primary))
	}
	return r.Servers().Len()
}

// acksThatSpanZones applies the pigeonhole principle: n-1 zones besides the primary's are sure to be
// among any k ackers once k exceeds what the n-2 fullest zones can hold.
func (r Ruleset) acksThatSpanZones(primary Address) int {
	zones := r.zonesOf(r.abroad(primary))
	slices.Sort(zones)
	var sizes []int
	for i, zone := range zones {
		if i == 0 || zones[i-1] != zone {
			sizes = append(sizes, 0)
		}
		sizes[len(sizes)-1]++
	}
	slices.SortFunc(sizes, func(a, b int) int { return b - a })
	needed := 1
	for i := range min(max(r.Policy.Zones-2, 0), len(sizes)) {
		needed += sizes[i]
	}
	return needed
}

// zonesOf lists the zone of each server.
func (r Ruleset) zonesOf(s ServerSet) []string {
	zones := make([]string, s.Len())
	for i, a := range s.members {
		m, _ := r.Member(a)
		zones[i] = m.Zone
	}
	return zones
}

// CanComplete tells whether a primary with these servers as its only possible ackers could still
// answer a commit with OK. Asked of the servers that we reach it means "can establish"; asked of
// those that we have not frozen it must be false, and then the primary is revoked.
func (r Ruleset) CanComplete(primary Address, available ServerSet) bool {
	return r.CanCompleteWith(primary, available, r.AcksNeeded(primary))
}

// CanCompleteWith is CanComplete for a primary that is known to wait for fewer acks than the ruleset
// wants: what MySQL really does counts, not what was meant.
func (r Ruleset) CanCompleteWith(primary Address, available ServerSet, acks int) bool {
	able := 0
	for _, a := range available.members {
		if r.mayAck(primary, a) {
			able++
		}
	}
	return able >= acks
}

// Unrevoked lists the minimal sets of servers that would have to be frozen before a leader that waits for acks
// acknowledgements can no longer complete, of the servers that could still give one; empty when it is revoked already.
// The list grows with the binomial coefficient of the membership.
func Unrevoked(loose ServerSet, acks int) []ServerSet {
	return subsetsOf(loose, loose.Len()-acks+1)
}

// Establishable lists the minimal sets of further servers that the candidate would need as ackers,
// besides those it has; empty when it can establish already, or when there are too few ackers for any
// set to do (Validate refuses such a ruleset).
func (r Ruleset) Establishable(candidate Address, attached ServerSet) []ServerSet {
	ackers := r.Ackers(candidate)
	return subsetsOf(ackers.Minus(attached), r.AcksNeeded(candidate)-ackers.And(attached).Len())
}

// subsetsOf lists all subsets of the given size; none when the size is not positive or out of reach.
func subsetsOf(s ServerSet, size int) []ServerSet {
	if size <= 0 || size > s.Len() {
		return nil
	}
	var found []ServerSet
	var extend func(start int, chosen []Address)
	extend = func(start int, chosen []Address) {
		if len(chosen) == size {
			found = append(found, Servers(chosen...))
			return
		}
		for i := start; i < len(s.members); i++ {
			extend(i+1, append(slices.Clone(chosen), s.members[i]))
		}
	}
	extend(0, nil)
	return found
}

// abroad are the members outside the primary's zone.
func (r Ruleset) abroad(primary Address) ServerSet {
	home, _ := r.Member(primary)
	return r.direct().Where(func(a Address) bool {
		m, _ := r.Member(a)
		return a != primary && m.Zone != home.Zone
	})
}

func (r Ruleset) zones(s ServerSet) int {
	zones := r.zonesOf(s)
	slices.Sort(zones)
	return len(slices.Compact(zones))
}

// Validate refuses a ruleset that some primary could not satisfy, and says which and what it lacks. A policy that MySQL
// cannot be told as it stands is made stricter instead, and refused only where that cannot be met, which is an *UnmetError: see
// Expressions.
func (r Ruleset) Validate() error {
	switch r.Policy.Kind {
	case PolicyNone, PolicySemiSync, PolicyCrossZone, PolicyZones:
	default:
		return fmt.Errorf("durability policy %q is unknown: use none, semi_sync, cross_zone or zones", r.Policy.Kind)
	}
	if r.Policy.Kind != PolicyNone && r.Policy.Acks < 1 {
		return fmt.Errorf("durability policy %s needs acks of at least 1, not %d", r.Policy.Kind, r.Policy.Acks)
	}
	if r.Policy.Kind == PolicyZones && r.Policy.Zones < 2 {
		return fmt.Errorf("durability policy zones needs zones of at least 2, the primary's own included, not %d", r.Policy.Zones)
	}
	if err := r.validateMembers(); err != nil {
		return err
	}
	for _, m := range r.Members {
		if m.Promotion != PromotionNever {
			if err := r.validateFor(m.Address); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r Ruleset) validateMembers() error {
	if len(r.Members) == 0 {
		return errors.New("the cluster has no member")
	}
	leaders := 0
	for i, m := range r.Members {
		switch m.Promotion {
		case "", PromotionPrefer, PromotionNeutral, PromotionAvoid:
			leaders++
		case PromotionNever:
		default:
			return fmt.Errorf("%s has promotion rule %q: use prefer, neutral, avoid or never", m.Address, m.Promotion)
		}
		if slices.ContainsFunc(r.Members[:i], func(earlier Member) bool { return earlier.Address == m.Address }) {
			return fmt.Errorf("%s is a member twice", m.Address)
		}
	}
	if leaders == 0 {
		return errors.New("every member has promotion never, so none may lead")
	}
	return r.validateSources()
}

func (r Ruleset) validateFor(primary Address) error {
	ackers := r.Ackers(primary)
	if ackers.Len() < r.AcksNeeded(primary) {
		return r.unmet(primary)
	}
	if !r.Durable(primary, ackers) {
		return fmt.Errorf("durability policy %s cannot be met while %s leads: a transaction on %s would still not be durable",
			r.Policy.Kind, primary, ackers.With(primary))
	}
	return nil
}

func onlyThese(s ServerSet) string {
	if s.IsEmpty() {
		return "no member"
	}
	return "only " + named(s.List())
}
