package policy

import "github.com/primacydb/primacy/topology"

// counting is an elector of a few lines, right as it stands. Tests take single thoughts out of it.
type counting struct {
	moment
	// ackers of a leader, and how many of them it waits for, as the elector believes.
	ackers func(m moment, leader int) set
	acks   func(m moment, leader int) int
	// loose are those of the ackers that may acknowledge still, and unread those that may hide what they hold.
	loose  func(m moment, o outcome, ackers set) set
	unread func(m moment, o outcome, ackers set) set
	// enough compares what is left of the ackers with what the leader waits for: may it complete nothing more?
	enough func(m moment, left set, acks int) bool
	// suspects are the leaders that have to be revoked.
	suspects func(m moment) set
	// heirs may lead next.
	heirs func(m moment, o outcome) set
	// lacking is how many acknowledgements of its marker a candidate can do without.
	lacking int
}

func right() counting {
	return counting{
		ackers: func(m moment, l int) set {
			if m.blind {
				return told(m.rules, l).enabled
			}
			return told(m.rules, l).enabled | m.runs[l].enabled
		},
		acks: func(m moment, l int) int {
			if m.blind {
				return told(m.rules, l).acks
			}
			return min(told(m.rules, l).acks, m.runs[l].acks)
		},
		loose:    func(_ moment, o outcome, ackers set) set { return ackers.minus(o.frozen) },
		unread:   func(_ moment, o outcome, ackers set) set { return ackers.minus(o.frozen.minus(o.robbed)) },
		enough:   func(_ moment, left set, acks int) bool { return left.len() < acks },
		suspects: moment.mayLead,
		heirs: func(m moment, o outcome) set {
			return o.frozen.minus(m.mayLead().minus(o.silenced)) & promotable(m.rules)
		},
	}
}

func promotable(r topology.Ruleset) set {
	var all set
	for _, m := range r.Members {
		if m.Promotion != topology.PromotionNever {
			all |= one(number(m.Address))
		}
	}
	return all
}

// judged is the real code with this elector.
func (c counting) judged() judge {
	j := production()
	j.elector = func(m moment) elector {
		c.moment = m
		return c
	}
	return j
}

func (c counting) verdict(o outcome) verdict {
	for l := range c.suspects(c.moment).minus(o.silenced).each {
		ackers, acks := c.ackers(c.moment, l).minus(one(l)), c.acks(c.moment, l)
		revoked := c.certified.has(l) || c.enough(c.moment, c.loose(c.moment, o, ackers), acks)
		found := c.mayLose() || c.enough(c.moment, c.unread(c.moment, o, ackers), acks)
		if !revoked || !found {
			return verdict{}
		}
	}
	heirs := c.heirs(c.moment, o)
	if c.wanted >= 0 {
		heirs &= one(c.wanted)
	}
	for next := range heirs.each {
		return c.accepted(o, next)
	}
	return verdict{}
}

func (c counting) accepted(o outcome, next int) verdict {
	read := o.frozen.minus(o.robbed)
	return verdict{
		accepted: true, candidate: next,
		kept: o.holders&read != 0 || o.silenced.has(c.writer),
		marks: func(attached set) (regime, bool) {
			runs := told(c.rules, next)
			runs.enabled &= attached
			runs.acks -= min(c.lacking, runs.acks)
			return runs, runs.enabled.len() >= runs.acks
		},
	}
}
