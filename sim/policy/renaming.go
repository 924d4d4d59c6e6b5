package policy

import "slices"

// renaming gives servers each other's names: it takes each set of them to the one under the other names.
type renaming [1 << serversMax]set

// renamings are those under which a moment stays the same, and with it every verdict up to the names: of outcomes that
// differ in nothing else one is enough. That a server holds something shows in one of two ways (election.acknowledged), of
// which everybody keeps its own.
func (m moment) renamings() []renaming {
	members := numbered(m.rules.Servers())
	var all []renaming
	var extend func(to []int)
	extend = func(to []int) {
		if len(to) < serversMax {
			for i := range first(serversMax).each {
				if !slices.Contains(to, i) && (i == len(to) || members.has(i) && members.has(len(to)) && i%2 == len(to)%2) {
					extend(append(slices.Clip(to), i))
				}
			}
			return
		}
		if r := renamed(to); m.staysUnder(r, to) {
			all = append(all, r)
		}
	}
	extend(nil)
	return all
}

func renamed(to []int) (r renaming) {
	for s := range first(serversMax).subsets() {
		for i := range s.each {
			r[s] |= one(to[i])
		}
	}
	return r
}

// staysUnder tells whether nobody knows the moment from the renamed one.
func (m moment) staysUnder(r renaming, to []int) bool {
	fixed := slices.Concat(m.led, []int{m.writer})
	if m.wanted >= 0 {
		fixed = append(fixed, m.wanted)
	}
	if r[m.certified] != m.certified || slices.ContainsFunc(fixed, func(i int) bool { return to[i] != i }) {
		return false
	}
	for i := range numbered(m.rules.Servers()).each {
		before, _ := m.rules.Member(name(i))
		after, _ := m.rules.Member(name(to[i]))
		runs := regime{r[m.runs[i].enabled], m.runs[i].acks}
		if before.Promotion != after.Promotion || runs != m.runs[to[i]] || r[zoneOf(m.rules, i)] != zoneOf(m.rules, to[i]) {
			return false
		}
	}
	return true
}

// seen is what of an outcome can be seen: of who holds the transaction at stake, those that were read and still have it.
func (o outcome) seen() outcome {
	o.holders &= o.frozen.minus(o.robbed)
	return o
}

// under is the outcome under other names.
func (o outcome) under(r *renaming) outcome {
	return outcome{frozen: r[o.frozen], robbed: r[o.robbed], silenced: r[o.silenced], holders: r[o.holders]}
}

// order sorts outcomes, by their holders first.
func (o outcome) order() uint32 {
	return uint32(o.holders)<<24 | uint32(o.frozen)<<16 | uint32(o.robbed)<<8 | uint32(o.silenced)
}

// foremost tells whether an outcome stands for all that it becomes by renamings.
func (o outcome) foremost(renamings []renaming) bool {
	for i := range renamings {
		if o.under(&renamings[i]).order() < o.order() {
			return false
		}
	}
	return true
}
