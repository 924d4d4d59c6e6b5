package scenario

import (
	"maps"
	"slices"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// book is what electors have on record and remember.
type book struct {
	rules       topology.Ruleset // as this elector knows them
	term        uint32           // the highest that was drawn
	leaderships []topology.Leadership
	leaders     []gtid.UUID
	seen        topology.Sightings
	floor       gtid.Set
}

func newBook(c Cast) book {
	b := book{rules: c.Ruleset, seen: topology.Sightings{}}
	b.rules.Members = slices.Clone(c.Ruleset.Members)
	if c.Leadership != nil {
		b.term = c.Leadership.Term
		b.record(*c.Leadership)
	}
	return b
}

// record takes a leadership over into the history: an established one ends all doubt about those before it.
func (b *book) record(l topology.Leadership) {
	if l.Established() {
		b.leaderships, b.floor = nil, gtid.Set{}
	}
	b.leaderships = slices.DeleteFunc(b.leaderships, func(old topology.Leadership) bool { return old.Term == l.Term })
	b.leaderships = append(b.leaderships, l)
	if !slices.Contains(b.leaders, l.PrimaryUUID) {
		b.leaders = append(b.leaders, l.PrimaryUUID)
	}
}

// remember takes over what a round of probes saw.
func (b *book) remember(seen []topology.Observation) {
	current, led := b.history().Current()
	for _, o := range seen {
		if !o.OK() {
			continue
		}
		b.seen[o.Address] = &o
		if led && o.Address == current.Primary {
			b.floor = topology.Floor(b.floor, o, current, b.rules)
		}
	}
}

func (b *book) history() topology.History {
	return topology.History{
		Leaderships: slices.Clone(b.leaderships), Leaders: slices.Clone(b.leaders), LastSeen: maps.Clone(b.seen), Floor: b.floor,
	}
}

// draw is the store's next term.
func (b *book) draw() uint32 {
	b.term++
	return b.term
}
