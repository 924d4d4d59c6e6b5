package sim

import (
	"math/rand/v2"
	"time"
)

// reader reads on every server that takes writes, or says so, whoever the electors believe to lead: one whose commits hang, one
// that is about to be revoked, and one that was replaced long ago. Clients read only where they were just told OK. It sits on the
// server's own host and takes no time, so that nothing happens otherwise because of it, and chance is its own.
type reader struct {
	world  *world
	chance *rand.Rand
	next   time.Duration // when it looks again
}

// readsEvery is how often it looks, give or take half of that.
const readsEvery = time.Second

func newReader(w *world) *reader {
	r := &reader{world: w, chance: draws(w.seed, forReaders)}
	r.rest()
	return r
}

func (r *reader) rest() {
	r.next = r.world.clock.now + readsEvery/2 + time.Duration(r.chance.Int64N(int64(readsEvery)))
}

// look reads what a client wrote last, on each server that is open.
func (r *reader) look() {
	r.rest()
	writer := r.world.clients[r.chance.IntN(len(r.world.clients))]
	for _, s := range r.world.hosts.all {
		if s.state == processUp && !s.readOnly && !s.offline {
			r.read(s, writer)
		}
	}
}

// latest is how many of a client's rows it looks through for one that it sees.
const latest = 3

// read looks for the latest of a client's rows that a server shows: that is the one to vanish first.
func (r *reader) read(s *server, writer *client) {
	for n := writer.rows; n > max(0, writer.rows-latest); n-- {
		row := writer.base + n
		if s.hasRow(row) {
			r.world.judge.seen(s, row)
			return
		}
		r.world.judge.unseen(s, row)
	}
}
