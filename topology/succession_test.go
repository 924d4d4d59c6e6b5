package topology

import (
	"testing"
	"time"
)

func semiSync(acks int, names ...Address) Ruleset {
	r := Ruleset{Number: 1, Policy: Policy{Kind: PolicySemiSync, Acks: acks}}
	for _, n := range names {
		r.Members = append(r.Members, Member{Address: n})
	}
	return r
}

func TestOnlyRulesThatFreezeMoreTakeThePlaceOfOthersWithoutABarrier(t *testing.T) {
	zoned := func(zones ...string) Ruleset {
		r := Ruleset{Policy: Policy{Kind: PolicyCrossZone, Acks: 1}}
		for i, z := range zones {
			r.Members = append(r.Members, Member{Address: Address(rune('A' + i)), Zone: z})
		}
		return r
	}
	preferred := semiSync(1, "A", "B", "C")
	preferred.Members[1].Promotion = PromotionPrefer
	for _, row := range []struct {
		name     string
		old, new Ruleset
		simply   bool
	}{
		{"the same", semiSync(1, "A", "B", "C"), semiSync(1, "A", "B", "C"), true},
		{"another promotion rule", semiSync(1, "A", "B", "C"), preferred, true},
		{"one more server", semiSync(1, "A", "B", "C"), semiSync(1, "A", "B", "C", "D"), true},
		{"fewer acks", semiSync(2, "A", "B", "C"), semiSync(1, "A", "B", "C"), true},
		{"more acks", semiSync(1, "A", "B", "C"), semiSync(2, "A", "B", "C"), false},
		{"one server fewer", semiSync(1, "A", "B", "C"), semiSync(1, "A", "B"), false},
		{"no acks at all", semiSync(1, "A", "B"), Ruleset{Policy: Policy{Kind: PolicyNone}, Members: semiSync(1, "A", "B").Members}, false},
		{"a server moves into the primary's zone", zoned("a", "b", "c"), zoned("a", "a", "c"), false},
		{"a server moves to a zone of its own", zoned("a", "a", "c"), zoned("a", "b", "c"), true},
	} {
		if why := row.old.Succeeds(row.new); (why == "") != row.simply {
			t.Errorf("%s: %q", row.name, why)
		}
	}
}

func TestRulesThatAreNotInForceAreReported(t *testing.T) {
	s := Snapshot{Cluster: "shop", Ruleset: semiSync(1, "A", "B"), RulesRefused: "B would need 2"}
	found := Analyze(s, History{}, Limits{}, time.Unix(1000, 0), nil)
	for _, f := range found {
		if f.Code == RulesetDiffers {
			return
		}
	}
	t.Errorf("not reported: %v", found)
}
