package topology_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/primacydb/primacy/topology"
)

// Over every policy and zoning of up to five servers: a refusal names a set that a laxer rule would let through exactly when
// there is one, and what it says would help does.
func TestAPolicyThatCannotBeMetIsRefusedWithWhatALaxerRuleWouldAllow(t *testing.T) {
	refused, shown := 0, 0
	for r := range rulesets {
		var unmet *topology.UnmetError
		if !errors.As(r.Validate(), &unmet) {
			continue
		}
		refused++
		primary := unmet.Needs.Primary
		others := r.Servers().Without(primary)
		size := min(unmet.Needs.Acks, others.Len())
		is := size >= r.Policy.Acks && slices.ContainsFunc(subsets(others), func(s topology.ServerSet) bool { return s.Len() == size && !r.Durable(primary, s) })
		if is == unmet.Lax.IsEmpty() {
			t.Fatalf("%s: %v, and there is a counterexample: %t", described(r), unmet, is)
		}
		if is {
			shown++
		}
		if is && (unmet.Lax.Len() != size || r.Durable(primary, unmet.Lax) || !others.Contains(unmet.Lax) || !strings.Contains(unmet.Error(), "which does not satisfy the policy")) {
			t.Fatalf("%s: %v", described(r), unmet)
		}
		remedied(t, r, unmet)
	}
	if refused < 1000 || shown < 500 {
		t.Errorf("%d are refused, %d with a counterexample", refused, shown)
	}
}

// remedied: each of the numbers in the remedy is enough by itself, and one more is not.
func remedied(t *testing.T, r topology.Ruleset, unmet *topology.UnmetError) {
	t.Helper()
	for remedy := range strings.SplitSeq(unmet.Remedy("acks %d", "zones %d", "else"), " or ") {
		for word := range strings.SplitSeq(remedy, ", ") {
			var n int
			for format, part := range map[string]func(*topology.Policy) *int{
				"acks %d": func(p *topology.Policy) *int { return &p.Acks }, "zones %d": func(p *topology.Policy) *int { return &p.Zones },
			} {
				if _, err := fmt.Sscanf(word, format, &n); err != nil {
					continue
				}
				for more := range 2 {
					laxer, again := r, (*topology.UnmetError)(nil)
					*part(&laxer.Policy) = n + more
					if fails := errors.As(laxer.Validate(), &again) && again.Needs.Primary == unmet.Needs.Primary; fails != (more == 1) {
						t.Fatalf("%s: %v; %s, and %d more fails: %t", described(r), unmet, word, more, fails)
					}
				}
			}
		}
	}
}
