package policy

import (
	"fmt"
	"slices"

	"github.com/primacydb/primacy/topology"
)

// rules is a ruleset with what follows from it for each primary.
type rules struct {
	topology.Ruleset
	servers set
	told    [serversMax]regime
	// accepted are, for each primary that is lost, the sets of frozen servers with which an elector that goes by this
	// ruleset alone moves leadership on. It is the least that an elector can know; seeing more makes it stricter.
	accepted [serversMax]family
	refuses  [serversMax]refusal // once they were asked for
	refused  [serversMax]map[prospect]string
}

// valid are the rulesets over some servers that Validate lets through. Of servers that are not the first ones it asks
// those: in the same order under other names, each gets the verdict of its counterpart.
func (c *checker) valid(servers set) []*rules {
	if known, done := c.rulesets[servers]; done {
		return known
	}
	var all []*rules
	if lowest := first(servers.len()); servers == lowest {
		for r := range rulesets(servers) {
			if r.Validate() == nil {
				all = append(all, c.rulesOf(r))
			}
		}
	} else {
		for _, r := range c.valid(lowest) {
			all = append(all, r.over(servers))
		}
	}
	c.rulesets[servers] = all
	return all
}

func (c *checker) rulesOf(r topology.Ruleset) *rules {
	all := &rules{Ruleset: r, servers: numbered(r.Servers())}
	for primary := range all.servers.each {
		all.told[primary] = c.judge.told(r, primary)
	}
	for primary := range all.servers.each {
		all.accepted[primary] = c.accepts(r, primary, all.told)
	}
	return all
}

// over gives the rules of the first servers to others, in the same order.
func (r *rules) over(servers set) *rules {
	renamed := &rules{Ruleset: r.Ruleset, servers: servers}
	renamed.Members = nil
	for i := range servers.each {
		m := r.Members[len(renamed.Members)]
		m.Address = name(i)
		renamed.Members = append(renamed.Members, m)
		primary := len(renamed.Members) - 1
		renamed.told[i] = regime{r.told[primary].enabled.over(servers), r.told[primary].acks}
		for s := range r.servers.subsets() {
			if r.accepted[primary].has(s) {
				renamed.accepted[i] = renamed.accepted[i].with(s.over(servers))
			}
		}
	}
	return renamed
}

func (c *checker) accepts(r topology.Ruleset, primary int, runs [serversMax]regime) family {
	elector := c.judge.elector(moment{rules: r, led: []int{primary}, runs: runs, writer: primary, wanted: -1, blind: true})
	var all family
	for frozen := range numbered(r.Servers()).minus(one(primary)).subsets() {
		c.report.Subsets++
		if elector.verdict(outcome{frozen: frozen}).accepted {
			all = all.with(frozen)
		}
	}
	return all
}

// loss is how a change of the rules loses a transaction.
type loss struct {
	primary int
	stage   stage
	frozen  set // accepted by the ruleset on record
	under   regime
}

func (l loss) String() string {
	text := fmt.Sprintf("while %s leads, %s; the next elector freezes %s and moves leadership on", name(l.primary), l.stage, l.frozen)
	if l.under.acks == 0 {
		return fmt.Sprintf("%s, and %s goes on answering clients without asking anybody", text, name(l.primary))
	}
	return fmt.Sprintf("%s, and what was acknowledged by %s (%s) is on none of them", text, set(l.under.missedBy(l.frozen)), l.under)
}

// loses finds what goes wrong in a change that is made in some order, whoever leads meanwhile, when electors accept what the
// given rule says; false when nothing does. A primary that the new ruleset does not have is left out: the real code refuses
// such a change.
func (c *checker) loses(old, next *rules, order []move, accepts rule) (loss, bool) {
	for primary := range (old.servers & next.servers).each {
		for _, s := range c.journey(order, old, next, primary).stages {
			c.report.Stages++
			by := old
			if s.recorded {
				by = next
			}
			if l, found := c.losesAt(s, by, primary, accepts(by, primary)); found {
				return l, true
			}
		}
	}
	return loss{}, false
}

// passage is a change of what MySQL is told, in one of the orders. There are few of them, and many rulesets.
type passage struct {
	old, next regime
	members   set // of the old rules
	order     int
}

// journey is what comes of a passage: its stages, and whether its barrier is acknowledged, if it has one.
type journey struct {
	stages  []stage
	arrives bool
}

func (c *checker) journey(order []move, old, next *rules, primary int) journey {
	p := passage{old.told[primary], next.told[primary], old.servers, c.numberOf(order)}
	known, done := c.passages[p]
	if !done {
		known.stages, known.arrives = stages(order, p.old, p.next, p.members)
		c.passages[p] = known
	}
	return known
}

func (c *checker) numberOf(order []move) int {
	i := slices.IndexFunc(c.orders, func(known []move) bool { return slices.Equal(known, order) })
	if i < 0 {
		i = len(c.orders)
		c.orders = append(c.orders, order)
	}
	return i
}

// losesAt: what was completed while policy none is on record was promised to nobody, however many acknowledged it, and what
// nobody had to acknowledge is not promised under it later. allow_unfenced says so; without it nothing is accepted.
func (c *checker) losesAt(s stage, by *rules, primary int, accepted family) (loss, bool) {
	for _, under := range s.before {
		missed := accepted &^ c.met(under)
		if missed != 0 && (!by.Policy.AllowUnfenced || s.recorded && under.acks != 0) {
			return loss{primary, s, missed.any(), under}, true
		}
	}
	return loss{}, false
}

// rule says which sets of frozen servers an elector accepts that goes by a ruleset.
type rule func(by *rules, primary int) family

// judged is what the code under judgement accepts.
func judged(by *rules, primary int) family { return by.accepted[primary] }

// whateverRevokes is the most that it could accept: all that revokes, also where too few servers are left to lead.
// In small clusters that is common, and what is not lost for that reason alone is lost in larger ones.
func (c *checker) whateverRevokes(by *rules, primary int) family { return c.met(by.told[primary]) }

func (c *checker) met(r regime) family {
	known, done := c.meets[r]
	if !done {
		known = r.met()
		c.meets[r] = known
	}
	return known
}

// checkChange asks of one change of the rules: if the real code lets it through as it is, does every stage keep every promise;
// if not, would it have lost something; and does the order in which the real code makes it keep
// every promise, whatever changes and whoever leads.
func (c *checker) checkChange(old, next *rules) {
	row := c.row(kindOf(old.Ruleset, next.Ruleset))
	order := c.judge.order(old.Ruleset, next.Ruleset)
	if why := c.judge.succeeds(old.Ruleset, next.Ruleset); why != "" {
		row.InSteps++
		if c.makes(row, old, next, order); old.servers&next.servers != 0 {
			c.recordedAtOnce(row, old, next, why)
		}
	} else {
		row.AtOnce++
		c.keeps(old, next, atOnce())
	}
	c.keeps(old, next, order)
}

func (c *checker) keeps(old, next *rules, order []move) {
	for _, accepts := range []rule{judged, c.whateverRevokes} {
		if l, loses := c.loses(old, next, order, accepts); loses {
			c.violated("Changed", old.Ruleset, "to %s: %s", described(next.Ruleset), l)
			return
		}
	}
}

// makes asks under which primaries the real code begins a change, and whether it can come to its end then.
func (c *checker) makes(k *Change, old, next *rules, order []move) {
	made := false
	for primary := range old.servers.each {
		if code := c.refusal(old, next, primary); code != "" {
			c.report.Refusals[code]++
			continue
		}
		made = true
		if !next.servers.has(primary) || !c.journey(order, old, next, primary).arrives {
			c.violated("Changed", old.Ruleset, "to %s: it is begun while %s leads, and cannot come to its end", described(next.Ruleset), name(primary))
		}
	}
	if !made {
		k.Refused++
	}
}

// row finds what was counted of a kind of change.
func (c *checker) row(kind string) *Change {
	i := slices.IndexFunc(c.report.Changes, func(k Change) bool { return k.Kind == kind })
	if i < 0 {
		i = len(c.report.Changes)
		c.report.Changes = append(c.report.Changes, Change{Kind: kind})
	}
	return &c.report.Changes[i]
}

// recordedAtOnce counts what a change that is made in steps would have lost without, with a loss that shows why.
func (c *checker) recordedAtOnce(k *Change, old, next *rules, why string) {
	l, happens := c.loses(old, next, atOnce(), judged)
	loses := happens
	if !happens {
		l, loses = c.loses(old, next, atOnce(), c.whateverRevokes)
	}
	switch {
	case happens:
		k.Losing++
	case !loses:
		k.Harmless++
		if k.Stricter == "" {
			k.Stricter = fmt.Sprintf("%s, to %s: %s", described(old.Ruleset), described(next.Ruleset), why)
		}
		return
	}
	if merit := l.merit(happens); merit > k.merit {
		k.Loss, k.merit = fmt.Sprintf("%s, to %s, recorded at once: %s", described(old.Ruleset), described(next.Ruleset), l), merit
	}
}

// merit ranks examples: what the real code would do, then what is lost over who leads twice.
func (l loss) merit(happens bool) int {
	merit := 1
	if happens {
		merit += 2
	}
	if l.under.acks > 0 {
		merit++
	}
	return merit
}

// kindOf names what a change changes; more than one thing is "several at once".
func kindOf(old, next topology.Ruleset) string {
	kind, kinds := "nothing", 0
	note := func(changed bool, what string) {
		if changed {
			kind, kinds = what, kinds+1
		}
	}
	before, after := numbered(old.Servers()), numbered(next.Servers())
	note(after.minus(before) != 0, "member added")
	note(before.minus(after) != 0, "member removed")
	note(old.Policy.Kind != next.Policy.Kind, "policy changed")
	note(old.Policy.AllowUnfenced != next.Policy.AllowUnfenced, "allow_unfenced changed")
	note(old.Policy.Kind == next.Policy.Kind && next.Policy.Acks > old.Policy.Acks, "acks up")
	note(old.Policy.Kind == next.Policy.Kind && next.Policy.Acks < old.Policy.Acks, "acks down")
	note(old.Policy.Kind == next.Policy.Kind && next.Policy.Zones > old.Policy.Zones, "zones up")
	note(old.Policy.Kind == next.Policy.Kind && next.Policy.Zones < old.Policy.Zones, "zones down")
	note(rezoned(old, next), "servers in other zones")
	note(repromoted(old, next), "promotion changed")
	if kinds > 1 {
		return "several at once"
	}
	return kind
}

// rezoned tells whether two servers of both rulesets share a zone in one of them and not in the other.
func rezoned(old, next topology.Ruleset) bool {
	both := numbered(old.Servers()) & numbered(next.Servers())
	for i := range both.each {
		if readsZones(old.Policy) && readsZones(next.Policy) && zoneOf(old, i)&both != zoneOf(next, i)&both {
			return true
		}
	}
	return false
}

func repromoted(old, next topology.Ruleset) bool {
	return slices.ContainsFunc(old.Members, func(m topology.Member) bool {
		now, member := next.Member(m.Address)
		return member && now.Promotion != m.Promotion
	})
}
