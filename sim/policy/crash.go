package policy

import (
	"fmt"
	"iter"
	"slices"

	"github.com/primacydb/primacy/topology"
)

// checkRuleset asks everything about one ruleset that does not change.
func (c *checker) checkRuleset(r topology.Ruleset) {
	c.report.Rulesets++
	for primary := range leaders(r) {
		c.report.Primaries++
		c.checkPromise(r, primary)
		c.checkTold(r, primary)
		for m := range c.moments(r, primary) {
			c.checkMoment(m)
		}
	}
}

// checkPromotions bars each set of members from leading. Who may lead decides nothing but who is accepted as the next
// primary, so no more is asked than that, and that a change of it may come into force at once. One that may never
// lead may be leading still: it was not always so.
func (c *checker) checkPromotions(r topology.Ruleset) {
	free := c.rulesOf(r)
	for b := range shapes(usable(barred(r))) {
		c.report.Rulesets++
		for primary := range leaders(b) {
			c.report.Primaries++
			m := c.moment(b, primary)
			m.brief = true
			c.checkMoment(m)
		}
		c.checkChange(free, c.rulesOf(b))
		c.checkChange(c.rulesOf(b), free)
	}
}

// checkPromise: Durable(L, H) exactly when H ∪ {L} outlives every promised loss.
func (c *checker) checkPromise(r topology.Ruleset, primary int) {
	if r.Policy.Kind == topology.PolicyNone {
		return
	}
	for holders := range numbered(r.Servers()).minus(one(primary)).subsets() {
		c.report.Subsets++
		if r.Durable(name(primary), holders.named()) != outlives(r, primary, holders|one(primary)) {
			c.violated("Promise", r, "%s leads and %s hold a transaction: Durable says %t, and the losses that the policy promises to outlive say the opposite",
				name(primary), holders, r.Durable(name(primary), holders.named()))
		}
	}
}

// checkTold: whatever MySQL answers with outlives every promised loss.
func (c *checker) checkTold(r topology.Ruleset, primary int) {
	if r.Policy.Kind == topology.PolicyNone {
		return
	}
	for q := range c.judge.told(r, primary).answers() {
		c.report.Subsets++
		if !outlives(r, primary, q|one(primary)) {
			c.violated("Told", r, "MySQL answers clients of %s with the acknowledgements of %s, which the policy does not call durable", name(primary), q)
		}
	}
}

// moments yields what an elector may face when a primary is lost.
func (c *checker) moments(r topology.Ruleset, primary int) iter.Seq[moment] {
	usual := c.moment(r, primary)
	all := []moment{usual}
	for i := range numbered(r.Servers()).each {
		wanted := usual
		wanted.wanted, wanted.brief = i, true
		all = append(all, wanted)
	}
	return slices.Values(slices.Concat(all, c.strayAckers(usual), c.fewerAcks(usual), c.vouched(usual), c.unsettled(usual), c.unrecorded(usual)))
}

// moment is the usual one: the primary is on record, was seen a moment ago, and served as it should.
func (c *checker) moment(r topology.Ruleset, primary int) moment {
	m := moment{rules: r, led: []int{primary}, writer: primary, wanted: -1}
	for i := range numbered(r.Servers()).each {
		m.runs[i] = c.judge.told(r, i)
	}
	return m
}

// strayAckers: members acknowledge whose acknowledgement the policy does not count; MySQL does.
func (c *checker) strayAckers(usual moment) []moment {
	var all []moment
	runs := usual.runs[usual.writer]
	for strays := range numbered(usual.rules.Servers()).minus(runs.enabled | one(usual.writer)).subsets() {
		if strays != 0 && runs.acks > 0 {
			m := usual
			m.runs[m.writer].enabled |= strays
			all = append(all, m)
		}
	}
	return all
}

// fewerAcks: MySQL waits for less than the policy wants, down to nothing at all.
func (c *checker) fewerAcks(usual moment) []moment {
	var all []moment
	for acks := range usual.runs[usual.writer].acks {
		m := usual
		m.runs[m.writer].acks = acks
		all = append(all, m)
	}
	return all
}

// vouched: an operator certifies that the primary is down, or accepts a loss. The first is no word about what it
// completed, and the second none about what it may complete.
func (c *checker) vouched(usual moment) []moment {
	certified, accepted := usual, usual
	certified.certified = one(usual.writer)
	accepted.lossAccepted = true
	return []moment{certified, accepted}
}

// unsettled: another server was to take the primary's place, and nobody knows whether it did. What is at stake is what
// it completed since.
func (c *checker) unsettled(usual moment) []moment {
	var all []moment
	for i := range numbered(usual.rules.Servers()).minus(one(usual.writer)).each {
		m := usual
		m.led, m.writer = []int{usual.writer, i}, i
		all = append(all, m)
	}
	return all
}

// unrecorded: the store knows of no leadership, so that every member may be leading.
func (c *checker) unrecorded(usual moment) []moment {
	usual.led = nil
	return []moment{usual}
}

func (c *checker) checkMoment(m moment) {
	c.report.Moments++
	elector, renamings, tried := c.judge.elector(m), m.renamings(), map[outcome]bool{}
	for q := range m.runs[m.writer].answers() {
		for o := range outcomes(m, q) {
			if tried[o.seen()] || !o.foremost(renamings) {
				continue
			}
			tried[o.seen()] = true
			c.report.Subsets++
			v := elector.verdict(o)
			if !v.accepted {
				continue
			}
			c.report.Accepted++
			c.checkVerdict(m, o, v)
			c.checkEstablished(m, o, v)
		}
		if m.brief {
			return
		}
	}
}

// outcomes yields everything that can come of a revocation: each leader is silenced or lost, each other server is
// frozen, frozen without what it had received, or lost. A leader that obeys the freeze and cannot be silenced is no
// different from a lost one, and left out of brief moments.
func outcomes(m moment, holders set) iter.Seq[outcome] {
	all, leading := numbered(m.rules.Servers()).minus(m.certified), m.mayLead().minus(m.certified)
	return func(yield func(outcome) bool) {
		for silenced := range leading.subsets() {
			for frozen := range all.minus(silenced).subsets() {
				if frozen&leading != 0 && m.brief {
					continue
				}
				for robbed := range frozen.minus(leading).subsets() {
					if m.brief && robbed != 0 {
						continue
					}
					if !yield(outcome{frozen: frozen | silenced, robbed: robbed, silenced: silenced, holders: holders}) {
						return
					}
				}
			}
		}
	}
}

// checkVerdict: after an acceptance no leader completes anything more, and what was completed is in the history.
func (c *checker) checkVerdict(m moment, o outcome, v verdict) {
	if m.rules.Policy.AllowUnfenced {
		return // promises nothing, and says so
	}
	for l := range m.mayLead().minus(o.silenced | m.certified).each {
		if loose := numbered(m.rules.Servers()).minus(o.frozen | one(l)); m.runs[l].answersWithin(loose) {
			c.violated("Revoked", m.rules, "%s; %s is accepted, and %s still answers clients with %s (%s)", m, o, name(l), loose, m.runs[l])
		}
	}
	if !v.kept && !m.mayLose() {
		c.violated("Found", m.rules, "%s; %s is accepted, and the chosen history lacks what %s completed with %s", m, o, name(m.writer), o.holders)
	}
}

// mayLose tells whether the elector was told to do without what the lost primary alone may hold: by an operator, or by
// policy none once the primary is certified to be down.
func (m moment) mayLose() bool {
	return m.lossAccepted || m.rules.Policy.Kind == topology.PolicyNone && m.certified != 0
}

// checkEstablished: the candidate leads nothing any more, and whenever its marker may be written its commit can return,
// with what the policy calls durable. The latter is asked of each candidate for itself.
func (c *checker) checkEstablished(m moment, o outcome, v verdict) {
	next := v.candidate
	if member, _ := m.rules.Member(name(next)); member.Promotion == topology.PromotionNever {
		c.violated("Established", m.rules, "%s; %s is accepted with %s as the next primary, which may never lead", m, o, name(next))
	}
	if !o.frozen.has(next) || m.mayLead().minus(o.silenced).has(next) {
		c.violated("Established", m.rules, "%s; %s is accepted with %s as the next primary, which may receive or lead still", m, o, name(next))
	}
	if m.wanted < 0 {
		return
	}
	for attached := range o.frozen.minus(one(next)).subsets() {
		if runs, marked := v.marks(attached); marked {
			c.report.Established++
			c.checkMarked(m, next, attached, runs)
		}
	}
}

func (c *checker) checkMarked(m moment, next int, attached set, runs regime) {
	promised := c.judge.told(m.rules, next)
	if runs.enabled.minus(promised.enabled) != 0 || runs.acks < promised.acks {
		c.violated("Established", m.rules, "%s is told to wait for %s, and the next elector will go by %s", name(next), runs, promised)
	}
	if runs.enabled.minus(attached) != 0 || runs.enabled.len() < runs.acks {
		c.violated("Established", m.rules, "%s may write its marker with %s attached, and waits for %s", name(next), attached, runs)
	}
	for q := range runs.answers() {
		if m.rules.Policy.Kind != topology.PolicyNone && !outlives(m.rules, next, q|one(next)) {
			c.violated("Established", m.rules, "the marker of %s commits with %s, which the policy does not call durable", name(next), q)
		}
	}
}

func (m moment) String() string {
	text := "nobody is on record"
	if len(m.led) > 0 {
		text = fmt.Sprintf("%s leads", name(m.led[0]))
	}
	for _, l := range m.led[min(1, len(m.led)):] {
		text += fmt.Sprintf(", and perhaps %s", name(l))
	}
	if m.certified != 0 {
		text += fmt.Sprintf("; %s is certified to be down", m.certified)
	}
	if m.lossAccepted {
		text += "; a loss is accepted"
	}
	return text
}

func (o outcome) String() string {
	text := fmt.Sprintf("to freeze %s", o.frozen)
	if o.silenced != 0 {
		text += fmt.Sprintf(" and silence %s", o.silenced)
	}
	if o.robbed != 0 {
		text += fmt.Sprintf(", of which %s lost what they had received,", o.robbed)
	}
	return text
}
