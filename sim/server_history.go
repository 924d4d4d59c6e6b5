package sim

import (
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// history is a set of transactions that mostly grows by the next number of one source, which costs nothing until
// somebody asks for the whole.
type history struct {
	set         gtid.Set
	run         gtid.UUID
	first, last int64  // of run, and not in set yet; none when last is 0
	term        uint32 // of the highest marker
}

// historyOf begins with a set.
func historyOf(set gtid.Set) history {
	m, _ := topology.HighestMarker(set)
	return history{set: set, term: m.Term}
}

func (h *history) add(g gtid.GTID) {
	if h.last > 0 && g.Number == h.last+1 && g.UUID == h.run {
		h.last++
		return
	}
	if h.has(g) {
		return
	}
	h.all()
	h.run, h.first, h.last = g.UUID, g.Number, g.Number
	if m, is := topology.MarkerOf(g.UUID); is {
		h.term = max(h.term, m.Term)
	}
}

func (h *history) has(g gtid.GTID) bool {
	if h.last > 0 && g.UUID == h.run && g.Number >= h.first && g.Number <= h.last {
		return true
	}
	return h.set.Has(g)
}

// all is the whole set.
func (h *history) all() gtid.Set {
	if h.last > 0 {
		h.set = h.set.WithRange(gtid.Source{UUID: h.run}, h.first, h.last)
		h.first, h.last = 0, 0
	}
	return h.set
}

// binlog is a server's binary log. Places in it are counted from the first transaction that it ever held.
type binlog struct {
	entries []*transaction
	from    int // the place of the first entry; what was before it is purged
}

// end is the place behind the last transaction.
func (b *binlog) end() int { return b.from + len(b.entries) }

// since are the transactions from a place on. Entries are never changed, so the slice may be kept.
func (b *binlog) since(place int) []*transaction {
	return b.entries[place-b.from : len(b.entries) : len(b.entries)]
}

// purge drops what stands before a place, and returns it.
func (b *binlog) purge(before int) []*transaction {
	n := before - b.from
	dropped := b.entries[:n:n]
	b.entries, b.from = b.entries[n:], before
	return dropped
}
