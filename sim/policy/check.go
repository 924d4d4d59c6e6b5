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
	return check(real(), n, progress)
}

type checker struct {
	judge      judge
	report     Report
	violations map[string]int
	rulesets   map[set][]*rules
	meets      map[regime]family
}

func newChecker(j judge, n int) *checker {
	return &checker{
		judge: j, report: Report{Servers: n}, violations: map[string]int{},
		rulesets: map[set][]*rules{}, meets: map[regime]family{},
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

// jobs are one for each ruleset: at rest, with each set of members that may never lead, and on its way to others.
func (c *checker) jobs(n int) []func() {
	var all []func()
	for size := 1; size <= n; size++ {
		for r := range shapes(usable(rulesets(first(size)))) {
			all = append(all,
				func() { c.checkRuleset(r) },
				func() { c.checkPromotions(r) },
				func() { c.checkChanges(r, n) })
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

// checkChanges tries every change to a ruleset over the same servers, one more, or one fewer.
func (c *checker) checkChanges(r topology.Ruleset, n int) {
	servers := numbered(r.Servers())
	old := c.rulesOf(r)
	to := []set{servers}
	if servers.len() < n {
		to = append(to, first(servers.len()+1))
	}
	for i := range servers.each {
		if servers != one(i) {
			to = append(to, servers.minus(one(i)))
		}
	}
	for _, others := range to {
		for _, next := range c.valid(others) {
			c.checkChange(old, next)
		}
	}
}
