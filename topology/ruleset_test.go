package topology_test

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/primacydb/primacy/topology"
)

// rulesets calls yield with every policy over every way to put up to five servers into zones.
func rulesets(yield func(topology.Ruleset) bool) {
	for n := 1; n <= 5; n++ {
		for zoning := range pow(n, n) {
			if !canonical(zoning, n) {
				continue
			}
			for _, policy := range policies(n) {
				if !yield(topology.Ruleset{Policy: policy, Members: zoned(zoning, n)}) {
					return
				}
			}
		}
	}
}

func policies(n int) []topology.Policy {
	all := []topology.Policy{{Kind: topology.PolicyNone}}
	for k := 1; k <= n; k++ {
		all = append(all, topology.Policy{Kind: topology.PolicySemiSync, Acks: k}, topology.Policy{Kind: topology.PolicyCrossZone, Acks: k})
		for zones := 1; zones <= n; zones++ {
			all = append(all, topology.Policy{Kind: topology.PolicyZones, Acks: k, Zones: zones})
		}
	}
	return all
}

// zoned reads a number as the zone of each server, in base n.
func zoned(zoning, n int) []topology.Member {
	members := make([]topology.Member, n)
	for i := range members {
		members[i] = topology.Member{Address: topology.Address('A' + rune(i)), Zone: string(rune('a' + zoning%n))}
		zoning /= n
	}
	return members
}

// canonical keeps one numbering of the zones out of all that differ in names only.
func canonical(zoning, n int) bool {
	highest := -1
	for range n {
		zone := zoning % n
		if zone > highest+1 {
			return false
		}
		highest = max(highest, zone)
		zoning /= n
	}
	return true
}

func pow(base, exponent int) int {
	p := 1
	for range exponent {
		p *= base
	}
	return p
}

func subsets(s topology.ServerSet) []topology.ServerSet {
	all, list := []topology.ServerSet{}, s.List()
	for bits := range 1 << len(list) {
		var chosen []topology.Address
		for i, a := range list {
			if bits&(1<<i) != 0 {
				chosen = append(chosen, a)
			}
		}
		all = append(all, topology.Servers(chosen...))
	}
	return all
}

func described(r topology.Ruleset) string { return fmt.Sprintf("%+v over %v", r.Policy, r.Members) }

func TestWhateverMySQLAnswersWithOKIsDurable(t *testing.T) {
	checked := 0
	for r := range rulesets {
		for _, m := range r.Members {
			for _, ackers := range subsets(r.Ackers(m.Address)) {
				if ackers.Len() == r.AcksNeeded(m.Address) {
					checked++
					if !r.Durable(m.Address, ackers) {
						t.Fatalf("%s: %s answers OK with the acks of %s, which is not durable", described(r), m.Address, ackers)
					}
				}
			}
		}
	}
	if checked < 5000 {
		t.Fatalf("only %d cases", checked)
	}
}

func TestNoFewerAcksWouldDo(t *testing.T) {
	for r := range rulesets {
		if r.Validate() != nil {
			continue
		}
		for _, m := range r.Members {
			fewer := r.AcksNeeded(m.Address) - 1
			tooFew := slices.ContainsFunc(subsets(r.Ackers(m.Address)), func(s topology.ServerSet) bool {
				return s.Len() == fewer && !r.Durable(m.Address, s)
			})
			if fewer >= 0 && !tooFew {
				t.Fatalf("%s: %s waits for %d acks and one fewer would always be durable", described(r), m.Address, fewer+1)
			}
		}
	}
}

// TestACompletedTransactionIsFoundByEveryRevocation is the intersection that failovers stand on: freezing F revokes
// leader L if L cannot complete with the other ackers. Whoever completed had a set of ackers Q that it could complete
// with, so Q is not among the others: F meets Q.
func TestACompletedTransactionIsFoundByEveryRevocation(t *testing.T) {
	for r, m := range leaders() {
		ackers := r.Ackers(m)
		for _, frozen := range subsets(ackers) {
			if r.CanComplete(m, ackers.Minus(frozen)) {
				continue
			}
			for _, acked := range subsets(ackers) {
				if r.CanComplete(m, acked) && acked.And(frozen).IsEmpty() {
					t.Fatalf("%s: %s completes with %s although %s are frozen", described(r), m, acked, frozen)
				}
			}
		}
	}
}

func TestMoreServersNeverMakeATransactionLessDurable(t *testing.T) {
	for r := range rulesets {
		if len(r.Members) > 4 {
			break
		}
		for _, m := range r.Members {
			for _, holders := range subsets(r.Servers()) {
				if !r.Durable(m.Address, holders) {
					continue
				}
				for _, more := range r.Servers().List() {
					if !r.Durable(m.Address, holders.With(more)) || !r.Durable(m.Address, holders.With("stranger")) {
						t.Fatalf("%s: %s with %s is durable, with %s more it is not", described(r), m.Address, holders, more)
					}
				}
			}
		}
	}
}

func TestUnrevokedListsExactlyTheMinimalSets(t *testing.T) {
	for r, m := range leaders() {
		ackers := r.Ackers(m)
		for acks := 1; acks <= r.AcksNeeded(m); acks++ {
			for _, frozen := range subsets(ackers) {
				revoked := func(more topology.ServerSet) bool {
					return !r.CanCompleteWith(m, ackers.Minus(frozen.Union(more)), acks)
				}
				compare(t, described(r)+" frozen "+frozen.String(), topology.Unrevoked(ackers.Minus(frozen), acks), minimal(ackers.Minus(frozen), revoked))
			}
		}
	}
}

func TestEstablishableListsExactlyTheMinimalSets(t *testing.T) {
	for r, m := range leaders() {
		ackers := r.Ackers(m)
		for _, attached := range subsets(ackers) {
			able := func(more topology.ServerSet) bool { return r.CanComplete(m, attached.Union(more)) }
			compare(t, described(r)+" attached "+attached.String(), r.Establishable(m, attached), minimal(ackers.Minus(attached), able))
		}
	}
}

// leaders yields every leader of every ruleset but those that have the same ackers and need as many of them as an
// earlier one: what a leader can complete with depends on nothing else.
func leaders() iter.Seq2[topology.Ruleset, topology.Address] {
	return func(yield func(topology.Ruleset, topology.Address) bool) {
		seen := map[string]bool{}
		for r := range rulesets {
			for _, m := range r.Members {
				key := fmt.Sprint(r.Ackers(m.Address), r.AcksNeeded(m.Address))
				if !seen[key] && !yield(r, m.Address) {
					return
				}
				seen[key] = true
			}
		}
	}
}

// minimal finds the smallest sets that suffice by trying all; none when nothing more is needed.
func minimal(from topology.ServerSet, suffices func(topology.ServerSet) bool) []topology.ServerSet {
	if suffices(topology.ServerSet{}) {
		return nil
	}
	var found []topology.ServerSet
	for _, s := range subsets(from) {
		without := func(a topology.Address) bool { return suffices(s.Without(a)) }
		if suffices(s) && !slices.ContainsFunc(s.List(), without) {
			found = append(found, s)
		}
	}
	return found
}

func compare(t *testing.T, name string, got, want []topology.ServerSet) {
	t.Helper()
	texts := func(sets []topology.ServerSet) []string {
		var all []string
		for _, s := range sets {
			all = append(all, s.String())
		}
		slices.Sort(all)
		return all
	}
	if !slices.Equal(texts(got), texts(want)) {
		t.Fatalf("%s: %v, not %v", name, got, want)
	}
}

func TestARulesetThatCannotWorkIsRefusedWithItsReason(t *testing.T) {
	three := zoned(0, 3)
	abc := []topology.Member{{Address: "A", Zone: "a"}, {Address: "B", Zone: "b"}, {Address: "C", Zone: "b"}}
	for _, row := range []struct {
		name    string
		policy  topology.Policy
		members []topology.Member
		says    string
	}{
		{"unknown policy", topology.Policy{Kind: "quorum"}, three, `"quorum" is unknown`},
		{"no acks", topology.Policy{Kind: topology.PolicySemiSync}, three, "acks of at least 1"},
		{"more acks than ackers", topology.Policy{Kind: topology.PolicySemiSync, Acks: 3}, three, "3 acks are needed and only B and C may give one"},
		{"one zone", topology.Policy{Kind: topology.PolicyCrossZone, Acks: 1}, three, "no member may give one"},
		{"enough from A, not from B", topology.Policy{Kind: topology.PolicyCrossZone, Acks: 2}, abc, "while B leads"},
		{"three zones of two", topology.Policy{Kind: topology.PolicyZones, Acks: 1, Zones: 3}, abc, "while A leads"},
		{"one zone asked for", topology.Policy{Kind: topology.PolicyZones, Acks: 1, Zones: 1}, abc, "zones of at least 2"},
		{"no member", topology.Policy{Kind: topology.PolicyNone}, nil, "no member"},
		{"a member twice", topology.Policy{Kind: topology.PolicyNone}, append(slices.Clone(abc), abc[0]), "A is a member twice"},
		{"nobody may lead", topology.Policy{Kind: topology.PolicyNone}, []topology.Member{{Address: "A", Promotion: topology.PromotionNever}}, "promotion never"},
		{"unknown promotion rule", topology.Policy{Kind: topology.PolicyNone}, []topology.Member{{Address: "A", Promotion: "must"}}, `"must"`},
	} {
		err := topology.Ruleset{Policy: row.policy, Members: row.members}.Validate()
		if err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

func TestWhoMayNeverLeadNeedsNoAckers(t *testing.T) {
	r := topology.Ruleset{Policy: topology.Policy{Kind: topology.PolicyCrossZone, Acks: 2}, Members: []topology.Member{
		{Address: "A", Zone: "a"}, {Address: "B", Zone: "b", Promotion: topology.PromotionNever}, {Address: "C", Zone: "b", Promotion: topology.PromotionNever}}}
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
}

func TestServerSetsReadWhatTheyWrote(t *testing.T) {
	for _, s := range subsets(topology.Servers("a:1", "b:2", "c:3")) {
		text, err := s.MarshalText()
		var back topology.ServerSet
		if err != nil || back.UnmarshalText(text) != nil || !back.Equal(s) {
			t.Errorf("%v was read back from %q as %v", s, text, back)
		}
	}
}
