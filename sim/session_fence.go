package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// The fence, as mysqld has it. A session may change its server from the moment at which one look, taken while it holds
// the cluster's named lock, shows
//
//	(1) no session of a higher term, and none of the same term that is not ours,
//	(2) no session of a lower term that could still begin a statement,
//	(3) no marker of a higher term in executed ∪ received.

// fenceEvery paces the wait for killed sessions to end.
const fenceEvery = 2 * time.Millisecond

// fence lets a new connection through.
func (s *session) fence(ctx *patience, w *wire) error {
	clock, ended := s.fleet.clock, killed{}
	obstacle := "has not answered"
	for tick := clock.now + fenceEvery; ; {
		seen, err := s.look(ctx, w)
		if ctx.Err() != nil {
			return refuse(reparent.ReasonDeadline, "no fenced session in time: %s %s", s.server, obstacle)
		}
		if err != nil {
			return fenceFailed(s.server, err)
		}
		rivals, err := s.judge(seen, ended)
		if err != nil {
			return err
		}
		if seen.locked && len(rivals) == 0 {
			return nil
		}
		obstacle = seen.obstacle(rivals)
		if err := s.end(ctx, w, rivals, &ended); err != nil && ctx.Err() == nil {
			return fenceFailed(s.server, err)
		}
		s.fleet.rest(ctx, tick-clock.now)
		tick = nextTick(tick, clock.now, fenceEvery)
	}
}

// nextTick is when a ticker ticks next that dropped what nobody took.
func nextTick(last, now, every time.Duration) time.Duration {
	for last <= now {
		last += every
	}
	return last
}

func fenceFailed(server topology.Address, err error) error {
	if errnoOf(err) == errAccessDenied {
		return refuse(reparent.ReasonDenied, "no fenced session on %s: %v", server, err)
	}
	return refuse(reparent.ReasonUnreachable, "no fenced session on %s: %v", server, err)
}

// sight is what one look showed.
type sight struct {
	id       int64
	locked   bool
	holder   int64 // of the named lock
	sessions []rival
	marker   uint32 // the highest term of a marker there, when it is higher than ours
}

// rival is another announced session on the same server, or our own.
type rival struct {
	id    int64
	says  announcement
	doing doing
}

// look is everything that the fence depends on, in one round trip. The lock comes first, for what is read before it may
// be outdated when it is granted.
func (s *session) look(ctx *patience, w *wire) (seen sight, err error) {
	err = s.exec(ctx, w, func(on *guest, done func(error)) {
		at, lock := on.server, lockName(s.cluster)
		at.looks++
		on.looked = at.looks
		seen = sight{id: on.id, locked: at.getLock(on, lock)}
		if holder := at.lockHolder(lock); holder != nil {
			seen.holder = holder.id
		}
		for _, g := range at.sessions() {
			if g.says.cluster == s.cluster && g != on {
				seen.sessions = append(seen.sessions, rival{g.id, g.says, g.doing})
			}
		}
		if at.knowsLater(s.term) {
			m, _ := topology.HighestMarker(at.position())
			seen.marker = m.Term
		}
		done(nil)
	})
	return seen, err
}

// lockName is the cluster's named lock.
func lockName(cluster string) string { return "primacy/" + cluster }

// killed are sessions for which KILL has returned: they begin no further statement. Nothing tells them from others, so
// whoever kills has to remember. Numbers are not used twice.
type killed []int64

func (k killed) has(id int64) bool { return slices.Contains(k, id) }

// spent tells whether a killed session is in a statement that cannot be ended: a commit that waits for acknowledgements,
// or behind one that does (it is tentative, and the protocol reckons with it), or a STOP REPLICA.
func (k killed) spent(r rival) bool {
	return k.has(r.id) && (r.says.duty == dutyStop || r.doing == committing || r.doing == waitingForAck)
}

// end kills sessions; one that has ended by itself meanwhile is no error.
func (s *session) end(ctx *patience, w *wire, rivals []rival, ended *killed) error {
	for _, r := range rivals {
		if ended.has(r.id) {
			continue
		}
		err := s.exec(ctx, w, func(on *guest, done func(error)) { done(on.server.killSession(r.id, on)) })
		if err != nil && errnoOf(err) != errNoSuchThread {
			return err
		}
		*ended = append(*ended, r.id)
	}
	return nil
}

// judge applies the three rules. It returns the sessions that have to end first.
func (s *session) judge(seen sight, ended killed) (rivals []rival, err error) {
	if seen.marker > s.term {
		return nil, fencedBy(seen.marker, "%s holds the marker of term %d, we act under %d", s.server, seen.marker, s.term)
	}
	for _, other := range seen.sessions {
		mustEnd, err := s.judgeRival(other)
		if err != nil {
			return nil, err
		}
		if mustEnd && !ended.spent(other) {
			rivals = append(rivals, other)
		}
	}
	return rivals, nil
}

// judgeRival tells whether one other session has to end before we act, or whether we may not act. Each process draws
// terms of its own, so one of our term that is another process', be it of our own name, was given out by a store that
// has forgotten it since: a marker may wait in that session. Whoever holds the lock draws a higher one.
func (s *session) judgeRival(other rival) (mustEnd bool, err error) {
	switch {
	case other.says.term > s.term:
		return false, fencedBy(other.says.term, "elector %q acts on %s under term %d, we under %d", other.says.elector, s.server, other.says.term, s.term)
	case other.says.term < s.term:
		return true, nil
	case other.says.elector != s.fleet.elector:
		return false, fencedBy(s.term, "elector %q acts on %s under our term %d", other.says.elector, s.server, s.term)
	case other.says.process != s.fleet.incarnation:
		return false, fencedBy(s.term, "another process of elector %q acts on %s under our term %d", s.fleet.elector, s.server, s.term)
	}
	// Our own. A second one that acts is the broken predecessor of this one; those with another duty belong to commands
	// that still have an owner.
	return other.says.duty == dutyAct, nil
}

// obstacle says what the fence waited for.
func (v sight) obstacle(rivals []rival) string {
	if len(rivals) > 0 {
		return fmt.Sprintf("still runs session %d of elector %q, term %d, which was killed", rivals[0].id, rivals[0].says.elector, rivals[0].says.term)
	}
	return fmt.Sprintf("has the cluster's named lock held by session %d, which announces no elector; end it if it is not Primacy's", v.holder)
}
