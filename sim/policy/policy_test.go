package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/primacydb/primacy/topology"
)

func TestEveryClaimHoldsForEveryPolicyInSmallClusters(t *testing.T) {
	r := Check(largest, nil)
	if !r.OK() {
		t.Fatal(r)
	}
	// What is accepted is what the claims are about: a checker to which nothing is accepted finds nothing.
	if r.Rulesets < 200 || r.Subsets < 50_000 || r.Accepted < 5_000 || r.Established < 500 || r.Stages < 100_000 {
		t.Errorf("too little was tried:\n%s", r)
	}
	refusalsAreExplained(t, r, largest)
}

// refusalsAreExplained: a change that the real code refuses would have lost something, unless it leads to policy none,
// under which electors without the primary accept nothing.
func refusalsAreExplained(t *testing.T, r Report, n int) {
	t.Helper()
	recorded := map[string]bool{"nothing": true, "allow_unfenced changed": true, "promotion changed": true, "acks down": true, "zones down": true}
	losing := map[string]bool{"member removed": true, "policy changed": true, "servers in other zones": true, "several at once": true, "acks up": n > 4, "zones up": n > 4}
	for _, k := range r.Changes {
		if recorded[k.Kind] != (k.InSteps == 0) || k.InSteps > 0 && k.Loss == "" {
			t.Errorf("%s: %d at once, %d in steps: %s", k.Kind, k.AtOnce, k.InSteps, k.Loss)
		}
		if losing[k.Kind] && k.Losing == 0 {
			t.Errorf("%s: none of %d changes that are made in steps loses anything with the real code", k.Kind, k.InSteps)
		}
		if k.Stricter != "" && !strings.Contains(k.Stricter, "to none,") {
			t.Errorf("%s: made in steps although harmless: %s", k.Kind, k.Stricter)
		}
	}
	if len(r.Changes) != 12 {
		t.Errorf("%d kinds of change: %v", len(r.Changes), r.Changes)
	}
}

// A refusal that leads to policy none is the only one that does no harm, even among several changes at once.
func TestOnlyChangesToPolicyNoneAreRefusedWithoutNeed(t *testing.T) {
	c := newChecker(right().judged(), ServersMax)
	refused, harmless := 0, 0
	for size := 1; size <= ServersMax; size++ {
		for r := range shapes(usable(rulesets(first(size)))) {
			for old, next := range c.changesOf(r, ServersMax) {
				if c.judge.succeeds(old.Ruleset, next.Ruleset) == "" {
					continue
				}
				refused++
				if _, loses := c.loses(old, next, atOnce(), c.whateverRevokes); loses || old.servers&next.servers == 0 {
					continue
				}
				harmless++
				if next.Policy.Kind != topology.PolicyNone {
					t.Fatalf("%s, to %s is refused and loses nothing", described(old.Ruleset), described(next.Ruleset))
				}
			}
		}
	}
	if refused < 50_000 || harmless < 500 {
		t.Errorf("%d refused, %d of them harmless", refused, harmless)
	}
}

// A judge that accepts nothing violates nothing. With the primary dead the real code accepts what the elector of a few
// lines does, whenever the next primary finds its ackers among the frozen.
func TestTheRealElectorAcceptsWhateverIsSafe(t *testing.T) {
	accepted := 0
	for size := 2; size <= ServersMax; size++ {
		for r := range shapes(usable(rulesets(first(size)))) {
			for primary := range leaders(r) {
				accepted += acceptsWhateverIsSafe(t, newChecker(production(), size).moment(r, primary))
			}
		}
	}
	if accepted < 300 {
		t.Errorf("only %d sets were accepted", accepted)
	}
}

func acceptsWhateverIsSafe(t *testing.T, m moment) (accepted int) {
	t.Helper()
	wanted, asked := right(), newElection(m)
	wanted.moment = m
	wanted.heirs = func(m moment, o outcome) set {
		var able set
		for i := range o.frozen.each {
			if runs := told(m.rules, i); (runs.enabled & o.frozen).len() >= runs.acks {
				able |= one(i)
			}
		}
		return able
	}
	for q := range m.runs[m.writer].answers() {
		for o := range outcomes(m, q) {
			if o.silenced != 0 || o.robbed != 0 || o.frozen.has(m.writer) || m.rules.Policy.AllowUnfenced {
				continue
			}
			want, got, soon := wanted.verdict(o).accepted, asked.verdict(o).accepted, asked.enough(o)
			if want != got || soon != got {
				t.Fatalf("%s: %s; %s is accepted: %t, and is enough to wait for no others: %t", described(m.rules), m, o, got, soon)
			}
			if got {
				accepted++
			}
		}
	}
	return accepted
}

// enough is what decides whether an elector goes on waiting for answers.
func (e *election) enough(o outcome) bool {
	b := e.begin(o.silenced)
	return b.op.Running() && b.op.Enough(b.commands, e.obeyed(b.commands, o))
}

// The safe order reaches its end for every change whose rules have enough ackers in common, and touches MySQL in both
// directions on the way.
func TestTheSafeOrderArrives(t *testing.T) {
	arrived := 0
	for old := range regimes {
		for next := range regimes {
			all, acknowledged := stages([]move{raise, disable, barrier, record, enable, lower}, old, next, first(serversMax))
			common := (old.enabled & next.enabled).len() >= max(old.acks, next.acks)
			if acknowledged != common {
				t.Fatalf("from %s to %s: the barrier is acknowledged: %t", old, next, acknowledged)
			}
			if last := all[len(all)-1]; acknowledged && (last.runs != next || !last.recorded) {
				t.Fatalf("from %s to %s: ends with %s", old, next, last)
			} else if acknowledged {
				arrived++
			}
		}
	}
	if arrived < 400 {
		t.Errorf("only %d changes arrived", arrived)
	}
}

// regimes yields what a primary A of five servers may wait for.
func regimes(yield func(regime) bool) {
	for enabled := range first(serversMax).minus(one(0)).subsets() {
		for acks := 1; acks <= enabled.len(); acks++ {
			if !yield(regime{enabled, acks}) {
				return
			}
		}
	}
}

// Shapes stand for all rulesets that differ in names: who is asked under another name gives the same verdict.
func TestNamesDecideNothing(t *testing.T) {
	c := newChecker(production(), 4)
	compared := 0
	for r := range usable(rulesets(first(4))) {
		mirrored := r
		mirrored.Members = nil
		for i := range r.Members {
			m := r.Members[len(r.Members)-1-i]
			mirrored.Members = append(mirrored.Members, topology.Member{Address: name(i), Zone: m.Zone})
		}
		a, b := c.rulesOf(r), c.rulesOf(mirrored)
		for primary := range first(4).each {
			for f := range first(4).subsets() {
				compared++
				if a.accepted[primary].has(f) != b.accepted[3-primary].has(mirror(f)) {
					t.Fatalf("%s: %s leads, and %s frozen are accepted under one set of names only", described(r), name(primary), f)
				}
			}
		}
	}
	if compared < 4000 {
		t.Errorf("only %d verdicts", compared)
	}
}

// One outcome stands for those that differ from it in names, or in what nobody can see: of all of four servers, the real code
// says the same of each.
func TestOutcomesThatAreAlikeGetTheSameVerdict(t *testing.T) {
	c := newChecker(production(), 4)
	spared, asked := 0, 0
	for size := 1; size <= 4; size++ {
		for r := range shapes(usable(rulesets(first(size)))) {
			for primary := range leaders(r) {
				for m := range c.moments(r, primary) {
					s, a := sameUnderEachName(t, m)
					spared, asked = spared+s, asked+a
				}
			}
		}
	}
	if spared < 5_000 || asked < 20_000 {
		t.Errorf("%d of %d outcomes were spared", spared, asked)
	}
}

func sameUnderEachName(t *testing.T, m moment) (spared, asked int) {
	t.Helper()
	elector, renamings, known := newElection(m), m.renamings(), map[outcome]verdict{}
	for q := range m.runs[m.writer].answers() {
		for o := range outcomes(m, q) {
			known[o] = elector.verdict(o)
		}
	}
	for o, v := range known {
		asked++
		if !o.foremost(renamings) {
			spared++
		}
		if o != o.seen() {
			if seen := elector.verdict(o.seen()); seen.accepted != v.accepted || seen.kept != v.kept {
				t.Fatalf("%s: %s; %s is accepted: %t, and %t when nobody unseen holds anything", described(m.rules), m, o, v.accepted, seen.accepted)
			}
		}
		for i := range renamings {
			other, tried := known[o.under(&renamings[i])]
			if !tried || other.accepted != v.accepted || other.kept != v.kept {
				t.Fatalf("%s: %s; %s is accepted: %t, and renamed to %s: %t", described(m.rules), m, o, v.accepted, o.under(&renamings[i]), other.accepted)
			}
		}
	}
	return spared, asked
}

func mirror(f set) set {
	var all set
	for i := range f.each {
		all |= one(3 - i)
	}
	return all
}

func TestEveryPolicyAndEveryZoningIsTried(t *testing.T) {
	for n, bell := range []int{1: 1, 2: 2, 3: 5, 4: 15, 5: 52} {
		if n == 0 {
			continue
		}
		if got := len(slices.Collect(zonings(n))); got != bell {
			t.Errorf("%d servers: %d zonings, not %d", n, got, bell)
		}
		// none twice, semi_sync and cross_zone for each count of acks, zones for each count of acks and of zones
		if got, want := len(policies(n)), 2+2*(n-1)+(n-1)*(n-1); got != want {
			t.Errorf("%d servers: %d policies, not %d", n, got, want)
		}
	}
}

func TestAPolicyPromisesToOutliveWhatItSays(t *testing.T) {
	abc := ruled(topology.Policy{Kind: topology.PolicyCrossZone, Acks: 2}, first(4), []int{0, 0, 1, 2})
	zones := ruled(topology.Policy{Kind: topology.PolicyZones, Acks: 1, Zones: 2}, first(4), []int{0, 0, 1, 2})
	for _, row := range []struct {
		name    string
		rules   topology.Ruleset
		holders set
		outlive bool
	}{
		{"one holder outside the zone, and that one may be lost as well", abc, 0b0101, false},
		{"two outside", abc, 0b1101, true},
		{"two zones", zones, 0b0101, true},
		{"two servers of one zone", zones, 0b0011, false},
	} {
		if outlives(row.rules, 0, row.holders) != row.outlive {
			t.Errorf("%s: %s", row.name, row.holders)
		}
	}
}

func TestProgressCountsToTheEnd(t *testing.T) {
	var steps []string
	Check(2, func(done, total int) { steps = append(steps, fmt.Sprintf("%d/%d", done, total)) })
	if n := len(steps); n < 3 || steps[0] != fmt.Sprintf("1/%d", n) || steps[n-1] != fmt.Sprintf("%d/%d", n, n) {
		t.Errorf("%v", steps)
	}
}

func TestAReportSaysWhatWasTriedAndWhatFailed(t *testing.T) {
	if text := Check(3, nil).String(); !strings.Contains(text, "every claim holds") || !strings.Contains(text, `why "policy changed" is not recorded at once: `) {
		t.Error(text)
	}
	j := production()
	j.told = func(r topology.Ruleset, primary int) regime {
		runs := told(r, primary)
		return regime{runs.enabled, max(runs.acks-1, 0)}
	}
	text := check(j, 3, nil).String()
	if !strings.Contains(text, "Told (semi_sync, acks 1, servers A B): MySQL answers clients of A with the acknowledgements of no server, which the policy does not call durable") {
		t.Error(text)
	}
}
