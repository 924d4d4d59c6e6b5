package sim

import (
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// slab is memory for values of one type, none of which is used after the lifetime that took it. The next lifetime gets the same
// memory again: there is less to allocate, to collect and to fetch into the processor's caches.
type slab[T any] struct {
	blocks [][]T
	full   int // how many blocks are handed out already
	taken  int // of the block after those
}

// slabBlock is how many values are made at a time.
const slabBlock = 64

// one is a zero value.
func (s *slab[T]) one() *T { return &s.some(1)[0] }

// some are zero values side by side, with no room for more.
func (s *slab[T]) some(n int) []T {
	if s.full < len(s.blocks) && s.taken+n > len(s.blocks[s.full]) {
		s.full, s.taken = s.full+1, 0
	}
	for s.full < len(s.blocks) && n > len(s.blocks[s.full]) {
		s.full++
	}
	if s.full == len(s.blocks) {
		s.blocks = append(s.blocks, make([]T, max(n, slabBlock)))
	}
	from := s.taken
	s.taken += n
	return s.blocks[s.full][from:s.taken:s.taken]
}

// reuse takes everything back that was handed out. What it pointed to is let go.
func (s *slab[T]) reuse() { s.renew(func(values []T) { clear(values) }) }

// renew is reuse for values that keep something for whoever has their memory next.
func (s *slab[T]) renew(blank func([]T)) {
	for _, block := range s.blocks[:s.full] {
		blank(block)
	}
	if s.full < len(s.blocks) {
		blank(s.blocks[s.full][:s.taken])
	}
	s.full, s.taken = 0, 0
}

// each is how values are made blank one by one.
func each[T any](blank func(*T)) func([]T) {
	return func(values []T) {
		for i := range values {
			blank(&values[i])
		}
	}
}

// slabs are what a crew's lifetimes take most of their memory from.
type slabs struct {
	observations slab[topology.Observation]
	replications slab[topology.Replication]
	results      slab[reparent.Result]
	errands      slab[errand]
	acts         slab[act]
	patiences    slab[patience]
	lives        slab[life]
	promises     slab[promise[error]]
	tasks        slab[task]
	events       slab[event]
	addresses    slab[topology.Address]
	pipes        slab[pipe]
	wires        slab[wire]
	guests       slab[guest]
	transactions slab[transaction]
	commits      slab[commit]

	rows        map[int64]*transaction
	named       map[gtid.GTID]*transaction
	completions map[writtenRow]completedWrite
}

// rowsOfALife is how many rows clients write in a lifetime, as a rule.
const rowsOfALife = 400

// emptied is a map that was used before, or a new one.
func emptied[K comparable, V any](used *map[K]V) map[K]V {
	if *used == nil {
		*used = make(map[K]V, rowsOfALife)
	}
	clear(*used)
	return *used
}

func (s *slabs) reuse() {
	clear(s.rows)
	clear(s.named)
	clear(s.completions)
	s.transactions.reuse()
	s.commits.renew(each((*commit).blank))
	s.observations.reuse()
	s.replications.reuse()
	s.results.reuse()
	s.errands.reuse()
	s.acts.reuse()
	s.patiences.reuse()
	s.lives.renew(each((*life).blank))
	s.promises.reuse()
	s.events.reuse()
	s.addresses.reuse()
	s.tasks.renew(each((*task).blank))
	s.pipes.renew(each((*pipe).blank))
	s.wires.renew(each((*wire).blank))
	s.guests.renew(each((*guest).blank))
}
