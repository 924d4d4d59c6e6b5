package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/primacydb/primacy/topology"
)

// Report is what a check has found.
type Report struct {
	Servers int `json:"servers"` // the largest cluster
	// Rulesets that Validate lets through, up to the servers' names; Primaries, each of them leading once; Moments, what
	// an elector may know when one is lost; Subsets of servers that were asked about; of these Accepted with the next
	// primary, and Established, how many ways that primary's marker may be written.
	Rulesets    int `json:"rulesets"`
	Primaries   int `json:"primaries"`
	Moments     int `json:"moments"`
	Subsets     int `json:"subsets"`
	Accepted    int `json:"accepted"`
	Established int `json:"established"`
	// Stages of changes of the rules between which the primary was lost.
	Stages  int      `json:"stages"`
	Changes []Change `json:"changes"`
	// Refusals count, by their code, changes with each primary under which they are not made as one, although all is well.
	Refusals map[string]int `json:"refusals"`
	// Violations are counterexamples, at most violationsMax of each claim; Violated counts them all.
	Violations []Violation `json:"violations"`
	Violated   int         `json:"violated"`
}

// Change is a kind of change of the rules.
type Change struct {
	Kind   string `json:"kind"`
	AtOnce int    `json:"at_once"` // may be recorded as they are
	// InSteps are made in the order of topology.Transition. Recorded as they are, Losing of them would lose a transaction or let two
	// servers lead; Harmless would not; the rest would, had a cluster of this size servers enough left to go on.
	InSteps  int `json:"in_steps"`
	Losing   int `json:"losing"`
	Harmless int `json:"harmless"`
	// Refused of them are not made as one change at all, whoever leads: see Refusals.
	Refused int `json:"refused"`
	// Loss shows why such changes are not recorded at once, and Stricter one that would have done no harm; empty when there is none.
	Loss     string `json:"loss,omitempty"`
	Stricter string `json:"stricter,omitempty"`
	merit    int
}

// Violation is a claim that does not hold, with the case that shows it.
type Violation struct {
	Claim   string `json:"claim"`
	Ruleset string `json:"ruleset"`
	Text    string `json:"text"`
}

func (v Violation) String() string { return fmt.Sprintf("%s (%s): %s", v.Claim, v.Ruleset, v.Text) }

// violationsMax is how many counterexamples of one claim are worth reading.
const violationsMax = 5

func (c *checker) violated(claim string, r topology.Ruleset, format string, values ...any) {
	c.report.Violated++
	c.violations[claim]++
	if c.violations[claim] <= violationsMax {
		c.report.Violations = append(c.report.Violations, Violation{claim, described(r), fmt.Sprintf(format, values...)})
	}
}

// OK tells whether every claim holds.
func (r Report) OK() bool { return r.Violated == 0 }

// String is the report as it is printed.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "clusters of up to %d servers: %d rulesets, %d primaries, %d moments, %d sets of servers\n", r.Servers, r.Rulesets, r.Primaries, r.Moments, r.Subsets)
	fmt.Fprintf(&b, "%d sets accepted as revocation, %d ways to establish the next primary, %d stages of changes\n\n", r.Accepted, r.Established, r.Stages)
	fmt.Fprintf(&b, "%-24s %9s %9s %9s %9s %9s\n", "change of the rules", "at once", "in steps", "losing", "harmless", "refused")
	for _, k := range r.Changes {
		fmt.Fprintf(&b, "%-24s %9d %9d %9d %9d %9d\n", k.Kind, k.AtOnce, k.InSteps, k.Losing, k.Harmless, k.Refused)
	}
	b.WriteString("\nrefused as one change, counted with each primary:\n")
	for _, code := range slices.Sorted(maps.Keys(r.Refusals)) {
		fmt.Fprintf(&b, "%9d %s\n", r.Refusals[code], code)
	}
	for _, k := range r.Changes {
		if k.Loss != "" {
			fmt.Fprintf(&b, "\nwhy %q is not recorded at once: %s\n", k.Kind, k.Loss)
		}
	}
	for _, k := range r.Changes {
		if k.Stricter != "" {
			fmt.Fprintf(&b, "\n%q is not recorded at once, although it could be: %s\n", k.Kind, k.Stricter)
		}
	}
	if r.OK() {
		return b.String() + "\nevery claim holds\n"
	}
	fmt.Fprintf(&b, "\n%d violations, the first of each claim:\n", r.Violated)
	for _, v := range r.Violations {
		fmt.Fprintf(&b, "%s\n", v)
	}
	return b.String()
}
