package topology

import (
	"fmt"
	"slices"
)

// Same tells whether two rulesets rule alike, whatever their numbers.
func (r Ruleset) Same(s Ruleset) bool {
	return r.Policy == s.Policy && slices.Equal(r.Members, s.Members)
}

// Succeeds says why next may not simply take this ruleset's place; empty when it may.
//
// Theorem. Let a primary's ackers under the old rules be E with k acks, under the new ones E' with k'. If E' ⊇ E and
// k' ≤ k then whoever is revoked and discovered under the new rules is so under the old ones: |E' \ F| < k' gives
// |E \ F| ≤ |E' \ F| < k' ≤ k. So nothing that was durable before the change can be missed after it, and it takes no
// barrier. Any other change needs one: a transaction that k ackers hold is not held by k+1 because the rules now say so.
func (r Ruleset) Succeeds(next Ruleset) string {
	if gone := r.Servers().Minus(next.Servers()); !gone.IsEmpty() {
		return fmt.Sprintf("%s would no longer be members, and may hold transactions that nobody else holds", gone)
	}
	for _, m := range r.Members {
		old, now := r.AcksNeeded(m.Address), next.AcksNeeded(m.Address)
		lost := r.Ackers(m.Address).Minus(next.Ackers(m.Address))
		switch {
		case now > old:
			return fmt.Sprintf("%s would need %d acknowledgements instead of %d, and what it has written so far is held by %d only", m.Address, now, old, old)
		case !lost.IsEmpty():
			return fmt.Sprintf("%s would no longer acknowledge for %s, and may hold transactions that nobody else holds", lost, m.Address)
		}
	}
	return ""
}

// outdated reports that the store was put back to a time before rules were changed: who has to acknowledge, and who may, would be
// judged by rules that are not in force any more.
func (q *inquiry) outdated(found []Finding) []Finding {
	latest := q.h.LatestRules()
	if !q.s.RulesNumbered || latest <= q.s.Ruleset.Number {
		return found
	}
	return append(found, Finding{
		Code: RulesOutdated, Severity: SeverityCritical,
		Message:  fmt.Sprintf("ruleset %d is on record, and a leadership was decided under ruleset %d: the store is older than the rules in force", q.s.Ruleset.Number, latest),
		Evidence: []Evidence{{By: "journal", Fact: fmt.Sprintf("decided under ruleset %d", latest), At: q.now}},
		WhyNot:   "which rules these were the journals do not say: put the rules that are in force on record by hand (primacy rules), also where they are those on record",
	})
}

// rules reports a configured ruleset that is not in force.
func (q *inquiry) rules(found []Finding) []Finding {
	if q.s.RulesByHand == "" && q.s.RulesRefused == "" {
		return found
	}
	f := Finding{
		Code: RulesetDiffers, Severity: SeverityWarning,
		Message:  "the configured durability or membership is not in force; the recorded one is",
		Evidence: []Evidence{{By: "configuration", Fact: q.s.RulesRefused, At: q.now}},
		WhyNot:   "such a change needs a transaction that is acknowledged under the old and the new rules; this release cannot make one, so put the configuration back, or add servers and lower acks only",
	}
	switch {
	case q.s.RulesByHand != "":
		f.Severity, f.Evidence[0].Fact = SeverityInfo, q.s.RulesByHand
		f.WhyNot = "what was asked for by hand counts for more than a file that has not changed since: bring the file in line, or change it to something else"
	case q.s.RulesPending:
		f.WhyNot = "the change is made by itself as soon as nothing stands in its way: mend what the evidence names, put the configuration back, or change the rules by hand (primacy rules)"
	}
	return append(found, f)
}
