package policy

import (
	"slices"
	"testing"

	"github.com/primacydb/primacy/topology"
)

// What is proven here is what is made there: for all changes of all rulesets over four servers.
func TestTheLoopChangesRulesInTheOrderThatIsProven(t *testing.T) {
	text := func(moves []move) (words []string) {
		for _, m := range moves {
			words = append(words, string(m))
		}
		return words
	}
	barriers := 0
	for old := range rulesets(first(4)) {
		for next := range rulesets(first(4)) {
			if old.Policy.Kind == topology.PolicyNone || old.Validate() != nil || next.Validate() != nil {
				continue
			}
			var made []string
			for _, m := range (topology.Transition{Primary: name(0), Old: old, Next: next}).Moves() {
				made = append(made, string(m))
			}
			needsBarrier := old.Succeeds(next) != ""
			if want := text(safeOrder(needsBarrier)); !slices.Equal(made, want) {
				t.Fatalf("from %+v to %+v: %q, proven is %q", old, next, made, want)
			}
			if needsBarrier {
				barriers++
			}
		}
	}
	if barriers < 100 {
		t.Errorf("only %d changes take a barrier", barriers)
	}
}
