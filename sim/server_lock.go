package sim

import (
	"slices"
	"time"
)

// innodbLockWait is innodb_lock_wait_timeout.
const innodbLockWait = 50 * time.Second

// rowWait is an insert that waits for the lock on its row, which another transaction that inserts it keeps until it is
// complete, and so while it waits for acknowledgements. It counts as under way: what closes the server waits for it too.
type rowWait struct {
	row   int64
	ended func(error)
	timer timer
}

// enlist notes that a commit is under way.
func (s *server) enlist(c *commit) {
	s.inFlight++
	if c.row != 0 {
		s.inserting = append(s.inserting, c)
	}
}

// strike is the end of a commit that was under way, and lets go who waits for its row. It is there by then.
func (s *server) strike(c *commit) {
	s.inFlight--
	if c.row == 0 {
		return
	}
	s.inserting = slices.DeleteFunc(s.inserting, func(o *commit) bool { return o == c })
	if len(s.rowWaits) == 0 {
		return
	}
	for _, w := range slices.Clone(s.rowWaits) {
		if w.row == c.row {
			s.endRowWait(w, errDuplicateRow)
		}
	}
}

// locked tells whether another transaction that is under way inserts the same row.
func (s *server) locked(t *transaction) bool {
	for _, c := range s.inserting {
		if c.row == t.row && c.transaction != t {
			return true
		}
	}
	return false
}

// awaitRow has an insert wait for its row. It never gets it, for nothing but the end of the process keeps the other one
// from being complete.
func (s *server) awaitRow(row int64, ended func(error)) *rowWait {
	w := &rowWait{row: row, ended: ended}
	s.inFlight++
	s.rowWaits = append(s.rowWaits, w)
	return w
}

// awaitRowOf is the wait of a session, which gives up with 1205 in the end and which KILL ends.
func (s *server) awaitRowOf(on *guest, row int64, done func(error)) {
	w := s.awaitRow(row, done)
	w.timer = s.later(s.options.LockWait, func() { s.endRowWait(w, errLockWaitTimeout) })
	on.doing = querying
	on.cancel = func(err error) { s.endRowWait(w, err) }
}

func (s *server) endRowWait(w *rowWait, err error) {
	w.timer.cancel()
	s.inFlight--
	s.rowWaits = slices.DeleteFunc(s.rowWaits, func(o *rowWait) bool { return o == w })
	w.ended(err)
	s.executedMore()
}
