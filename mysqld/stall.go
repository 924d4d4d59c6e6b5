package mysqld

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/primacydb/primacy/topology"
)

// The states below are names of stages, which are neither translated nor error texts. What was tried
// on 9.7:
//   - disk full (binary log on a tmpfs of 4 MB): the writing commit and all behind it show stateCommit,
//     for as long as the server retries; it logs error 35 (see diskFull);
//   - disk that hangs (binary log on a file system under fsfreeze): the same without the log line;
//   - no acknowledgements: the first waiter shows ackWaitState, and commits behind it stateCommit, so the
//     latter speaks for the storage only when nobody shows the former;
//   - SET GLOBAL super_read_only with such a waiter: "Waiting for global read lock";
//   - a process that is stopped as a whole shows nothing, it is silent.
//
// Per manual both are the same from 8.0.26 on, but for the last word of the latter, which is an older
// one under terminology_use_previous; so only its beginning counts.
const stateCommit = "waiting for handler commit"

// sessionsTable lists who waits to commit, oldest statement first; group_concat_max_len cuts off the
// youngest. Sessions in their first second are counted but not listed: on a busy server that is all.
// The cost grows with the number of sessions: 0.5 ms at 1,000.
const sessionsTable = `(SELECT COUNT(IF(STATE = '` + stateCommit + `', 1, NULL)) AS committing,
 COUNT(IF(INFO LIKE 'SET%read_only%', 1, NULL)) AS read_only_wait,
 ` + onlyApplierWaits + ` AS applier_waits,
 GROUP_CONCAT(IF(TIME > 0 AND (STATE = '` + stateCommit + `' OR STATE LIKE '` + ackWaitState + `%'),
 CONCAT_WS(':', ID, TIME, STATE, USER), NULL) ORDER BY TIME DESC, ID SEPARATOR '\n') AS waiting
 FROM ` + waitingSessions + `) AS sessions ON TRUE`

// waitingSessions are those in a commit, and those that wait to close the server.
const waitingSessions = `performance_schema.processlist WHERE STATE = '` + stateCommit + `' OR STATE LIKE '` + ackWaitState + `%'
 OR STATE IN ('Waiting for global read lock', 'Waiting for commit lock') AND INFO LIKE 'SET%read_only%'`

// onlyApplierWaits tells of waitingSessions whether one of the applier's threads waits for acknowledgements and nobody else is
// among them. Commits are synced in groups, of which only the first waits: a client's shows stateCommit behind an applier's.
// Tried on 9.7, with one worker and with several.
const onlyApplierWaits = `COUNT(IF(USER = 'system user' AND STATE LIKE '` + ackWaitState + `%', 1, NULL)) > 0
 AND COUNT(IF(USER = 'system user', NULL, 1)) = 0`

var sessionsColumns = []column{
	value("sessions.committing", func(r *reading, c cell) { r.Stall.Committing = int(c.number()) }),
	value("sessions.applier_waits", func(r *reading, c cell) { r.Stall.ApplierWaits = c.number() > 0 }),
	value("sessions.read_only_wait", func(r *reading, c cell) { r.Stall.ReadOnlyWait = c.number() > 0 }),
	value("sessions.waiting", func(r *reading, c cell) { r.waiting = c.text }),
}

// diskFull asks whether the server began to wait for disk space since the given number of seconds. It
// logs that when the wait begins (MY-000035) and every ten minutes; asked only when a commit is stuck.
// Tried on 9.7; performance_schema.error_log is there since 8.0.22.
const diskFull = `SELECT COUNT(*) FROM performance_schema.error_log
 WHERE ERROR_CODE = 'MY-000035' AND LOGGED >= NOW(6) - INTERVAL ? SECOND`

// stuckAfter is how long a commit waits before it is worth asking for the reason.
const stuckAfter = 2 * time.Second

// waiter is a session that waits to commit.
type waiter struct {
	id    int64
	state string
	user  string
	// seconds is how old the server says its statement is. It may have run for hours before it came to
	// its commit, so this only bounds the wait from above.
	seconds int64
}

// waitersOf reads what sessionsTable concatenates; a last entry that was cut off is left out.
func waitersOf(text string) (all []waiter) {
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 4)
		if len(parts) < 4 {
			return all
		}
		id, _ := strconv.ParseInt(parts[0], 10, 64)
		seconds, _ := strconv.ParseInt(parts[1], 10, 64)
		all = append(all, waiter{id: id, state: parts[2], user: parts[3], seconds: seconds})
	}
	return all
}

// waits remembers since when each session has been seen waiting, reading after reading.
type waits map[int64]wait

type wait struct {
	begun time.Time // of the statement: what tells two statements of one session apart
	since time.Time // first seen waiting
}

// add folds in a reading taken at the given moment and tells what it shows. How long a commit has
// waited is never overstated: it counts from when the same statement was first seen waiting.
func (w *waits) add(at time.Time, all []waiter) topology.Stall {
	var stall topology.Stall
	var oldest waiter
	var longest time.Duration
	next := make(waits, len(all))
	for _, one := range all {
		next[one.id] = (*w)[one.id].continued(at, one)
		age := min(at.Sub(next[one.id].since), time.Duration(one.seconds)*time.Second)
		if strings.HasPrefix(one.state, ackWaitState) {
			stall.OldestAckWait = max(stall.OldestAckWait, age)
		} else {
			stall.OldestCommit = max(stall.OldestCommit, age)
		}
		if oldest.id == 0 || age > longest {
			oldest, longest = one, age
		}
	}
	if stall.OldestAckWait > 0 {
		stall.OldestCommit = 0 // they stand behind the one that waits for acknowledgements
	}
	*w = next
	stall.OldestWaiter = oldest.describe(longest)
	return stall
}

func (w wait) continued(at time.Time, one waiter) wait {
	begun := at.Add(-time.Duration(one.seconds) * time.Second)
	if w.since.IsZero() || begun.Sub(w.begun).Abs() > 1500*time.Millisecond {
		return wait{begun: begun, since: at}
	}
	return w
}

func (w waiter) describe(age time.Duration) string {
	if w.id == 0 {
		return ""
	}
	return fmt.Sprintf("session %d, user %s, %s for %s", w.id, w.user, w.state, age.Round(time.Second))
}
