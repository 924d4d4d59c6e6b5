package policy

import (
	"iter"

	"github.com/primacydb/primacy/topology"
)

// ServersMax is the largest cluster that can be checked.
const ServersMax = serversMax

// Check tries everything in clusters of up to n servers (1 to ServersMax) with the code that runs in production.
// Progress, unless it is nil, is told how many of the jobs are done; it is called from the goroutine of the caller.
func Check(n int, progress func(done, total int)) Report {
	return check(production(), n, progress)
}

type checker struct {
	judge      judge
	report     Report
	violations map[string]int
	rulesets   map[set][]*rules
	meets      map[regime]family
	passages   map[passage]journey
	orders     [][]move
}

func newChecker(j judge, n int) *checker {
	return &checker{
		judge: j, report: Report{Servers: n, Refusals: map[string]int{}}, violations: map[string]int{},
		rulesets: map[set][]*rules{}, meets: map[regime]family{}, passages: map[passage]journey{},
	}
}

func check(j judge, n int, progress func(done, total int)) Report {
	n = min(max(n, 1), ServersMax)
	c := newChecker(j, n)
	jobs := c.jobs(n)
	for i, job := range jobs {
		job()
		if progress != nil {
			progress(i+1, len(jobs))
		}
	}
	return c.report
}

// jobs are three for each ruleset: as it stands, with each set of members that may never lead, and on its way to
// others.
func (c *checker) jobs(n int) []func() {
	var all []func()
	for size := 1; size <= n; size++ {
		for r := range shapes(usable(rulesets(first(size)))) {
			all = append(all,
				func() { c.checkRuleset(r) },
				func() { c.checkPromotions(r) },
				func() {
					for old, next := range c.changesOf(r, n) {
						c.checkChange(old, next)
					}
				})
		}
	}
	return all
}

// usable are the rulesets that may come into force.
func usable(all iter.Seq[topology.Ruleset]) iter.Seq[topology.Ruleset] {
	return func(yield func(topology.Ruleset) bool) {
		for r := range all {
			if r.Validate() == nil && !yield(r) {
				return
			}
		}
	}
}

// changesOf yields every change of a ruleset to any other over any of n servers. Servers that the old one does not have
// differ in their names only, so that the first of them stand for all.
func (c *checker) changesOf(r topology.Ruleset, n int) iter.Seq2[*rules, *rules] {
	old := c.rulesOf(r)
	return func(yield func(*rules, *rules) bool) {
		for kept := range old.servers.subsets() {
			for size := old.servers.len(); size <= n; size++ {
				servers := kept | first(size).minus(old.servers)
				if servers == 0 {
					continue
				}
				for _, next := range c.valid(servers) {
					if !yield(old, next) {
						return
					}
				}
			}
		}
	}
}
