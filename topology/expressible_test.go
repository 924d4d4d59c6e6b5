package topology_test

import (
	"slices"
	"testing"

	"github.com/primacydb/primacy/topology"
)

// TestInsufficientFindsASetExactlyWhenThereIsOne compares the one set that is asked about with all of that size, over
// every policy and zoning of up to five servers.
func TestInsufficientFindsASetExactlyWhenThereIsOne(t *testing.T) {
	checked := 0
	for r := range rulesets {
		for _, m := range r.Members {
			for _, among := range []topology.ServerSet{r.Ackers(m.Address), r.Servers().Without(m.Address)} {
				for acks := range among.Len() + 1 {
					checked++
					insufficientOrNot(t, r, m.Address, among, acks)
				}
			}
		}
	}
	if checked < 10000 {
		t.Fatalf("only %d cases", checked)
	}
}

func insufficientOrNot(t *testing.T, r topology.Ruleset, primary topology.Address, among topology.ServerSet, acks int) {
	t.Helper()
	is := slices.ContainsFunc(subsets(among), func(s topology.ServerSet) bool { return s.Len() == acks && !r.Durable(primary, s) })
	found, insufficient := r.Insufficient(primary, among, acks)
	if insufficient != is {
		t.Fatalf("%s: %d of %s while %s leads: %t with %s, and there is one: %t", described(r), acks, among, primary, insufficient, found, is)
	}
	if is && (found.Len() != acks || r.Durable(primary, found) || !among.Contains(found)) {
		t.Fatalf("%s: %s is no counterexample of %d acks while %s leads", described(r), found, acks, primary)
	}
}

func TestAnExpressionIsExactOrNamesWhatItCostsAndWhy(t *testing.T) {
	stricter := 0
	for r := range rulesets {
		if r.Validate() != nil {
			continue
		}
		for _, e := range r.Expressions() {
			if e.Acks != r.AcksNeeded(e.Primary) || !e.Ackers.Equal(r.Ackers(e.Primary)) {
				t.Fatalf("%s: %+v is not what MySQL is told", described(r), e)
			}
			if lax, found := r.Insufficient(e.Primary, e.Ackers, e.Acks); found {
				t.Fatalf("%s: MySQL answers with %s while %s leads", described(r), lax, e.Primary)
			}
			if !fewest(r, e) {
				t.Fatalf("%s: %s is not the fewest servers that satisfy the policy while %s leads", described(r), e.Spread, e.Primary)
			}
			if e.Exact {
				continue
			}
			stricter++
			if e.Crowd.Len() != e.Acks-1 || r.Durable(e.Primary, e.Crowd) {
				t.Fatalf("%s: %s does not show why %s waits for %d", described(r), e.Crowd, e.Primary, e.Acks)
			}
		}
	}
	if stricter < 100 {
		t.Fatalf("only %d expressions are stricter than their policy", stricter)
	}
}

// fewest tells whether the spread satisfies the policy and no smaller set of ackers does.
func fewest(r topology.Ruleset, e topology.Expression) bool {
	smaller := slices.ContainsFunc(subsets(e.Ackers), func(s topology.ServerSet) bool {
		return s.Len() < e.Spread.Len() && r.Durable(e.Primary, s)
	})
	return !smaller && r.Durable(e.Primary, e.Spread) && e.Ackers.Contains(e.Spread)
}

func TestACrowdedZoneMakesAZonesPolicyStricter(t *testing.T) {
	r := topology.Ruleset{Policy: topology.Policy{Kind: topology.PolicyZones, Acks: 2, Zones: 3}, Members: []topology.Member{
		{Address: "A", Zone: "a"}, {Address: "B", Zone: "b"}, {Address: "C", Zone: "b"}, {Address: "D", Zone: "c"}, {Address: "E", Zone: "c", Promotion: topology.PromotionNever}}}
	all := r.Expressions()
	if len(all) != 4 {
		t.Fatalf("%d members may lead: %+v", len(all), all)
	}
	if e := all[0]; e.Primary != "A" || e.Acks != 3 || e.Exact || e.Spread.String() != "B, D" || e.Crowd.String() != "B, C" {
		t.Errorf("%+v", e)
	}
	if e := all[1]; e.Primary != "B" || e.Acks != 3 || e.Exact || e.Crowd.String() != "D, E" {
		t.Errorf("%+v", e)
	}
}

// A large cluster must not take the time of all its subsets: this runs for every change of the configuration.
func TestLargeClustersAreExpressedAtOnce(t *testing.T) {
	r := topology.Ruleset{Policy: topology.Policy{Kind: topology.PolicyZones, Acks: 20, Zones: 4}}
	for i := range 60 {
		r.Members = append(r.Members, topology.Member{Address: topology.Address(rune('A'+i%26)) + topology.Address(rune('a'+i/26)), Zone: string(rune('a' + i%6))})
	}
	for _, e := range r.Expressions() {
		if e.Acks != 21 || e.Spread.Len() != 20 || e.Exact {
			t.Fatalf("%+v", e)
		}
	}
}
