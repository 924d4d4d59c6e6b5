package mysqld

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Commands to servers as primaries. Statements were tried on MySQL 9.7 and have the same words since 8.0.26.

// undoTime is how much longer than its deadline a command may take that has to undo itself.
const undoTime = time.Second

// switches are the three variables that decide who can write.
type switches struct{ readOnly, superReadOnly, offline bool }

const readSwitches = "SELECT @@GLOBAL.read_only, @@GLOBAL.super_read_only, @@GLOBAL.offline_mode"

func (a *act) switches(ctx context.Context) (switches, error) {
	rows, err := a.query(ctx, readSwitches)
	if err != nil {
		return switches{}, err
	}
	return switches{rows[0][0].on(), rows[0][1].on(), rows[0][2].on()}, nil
}

// closed tells whether nobody can write: super_read_only alone closes nothing.
func (s switches) closed() bool { return s.readOnly && s.superReadOnly }

// demote closes the server for writes, or leaves it as it was. The proof is the return of the statements,
// never the variables, of which super_read_only reads 1 while its statement still waits (E3).
func (a *act) demote(ctx context.Context) (topology.Observation, error) {
	before, err := a.switches(ctx)
	if err != nil {
		return topology.Observation{}, err
	}
	before.superReadOnly = before.closed() // where it stands alone there is nothing to be put back
	login := a.aside
	if a.command.Offline && !before.offline {
		if err := a.change(ctx, "SET GLOBAL offline_mode = ON"); err != nil {
			return topology.Observation{}, err
		}
		login = a.asideAmongCut
	}
	if err := a.closeForWrites(ctx, login); err != nil {
		return topology.Observation{}, a.undone(ctx, before, err)
	}
	o, err := a.observe(ctx)
	if err != nil {
		return o, err
	}
	if err := a.demoted(o); err != nil {
		return o, a.undone(ctx, before, err)
	}
	return o, nil
}

// demoted tells why a server does not count as demoted although the statements have returned.
func (a *act) demoted(o topology.Observation) error {
	switch {
	case !o.Closed():
		return refuse(reparent.ReasonRefused, "%s was opened again at once", a.server)
	case o.SemiSync.Waiters > 0:
		return refuse(reparent.ReasonWaiters, "%d commits wait for acknowledgements on %s behind super_read_only", o.SemiSync.Waiters, a.server)
	}
	return nil
}

// closeForWrites runs closeUp until the command's deadline. It ends with nil only when the server has said
// that it is in force; after a refusal nothing of it is under way any more.
func (a *act) closeForWrites(ctx context.Context, login func(context.Context, duty) (*aside, error)) error {
	side, err := login(ctx, dutyClose)
	if err != nil {
		return err
	}
	defer side.close()
	beyond, cancel := context.WithTimeout(context.WithoutCancel(ctx), remaining(ctx)+undoTime)
	defer cancel()
	ended := side.start(beyond, closeStatement(ctx))
	select {
	case err := <-ended:
		return side.settle(ctx, err)
	case <-ctx.Done():
	}
	return side.giveUp(beyond, ended)
}

// closeUp closes a server whatever its switches were. The first statement takes read_only along, unless
// super_read_only reads ON already: then it changes nothing. Both may be so although anybody can write: a
// SET read_only = OFF while the first one waits leaves super_read_only ON alone. The second one closes that
// too; mostly it finds nothing to do. Tried on 9.7.
const closeUp = "SET GLOBAL super_read_only = ON; SET GLOBAL read_only = ON"

// closeStatement is closeUp with a bound: lock_wait_timeout makes the server give up by itself when we die
// meanwhile.
func closeStatement(ctx context.Context) string {
	seconds := math.Ceil(remaining(ctx).Seconds())
	return fmt.Sprintf("SET SESSION lock_wait_timeout = %d; "+closeUp, int(max(1, seconds)))
}

// remaining is the time that a command has left; commands always have a deadline.
func remaining(ctx context.Context) time.Duration {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return defaultDeadline
	}
	return max(0, time.Until(deadline))
}

// giveUp ends a statement whose time is over, and tells how it ended: it may have made it after all.
func (s *aside) giveUp(ctx context.Context, ended <-chan error) error {
	if err := s.cancel(ctx); err != nil {
		return doubtful(reparent.ReasonDeadline, "super_read_only on %s did not take effect in time, and cancelling it failed: %v", s.server, err)
	}
	switch err := <-ended; {
	case err == nil:
		return nil
	case mysqlErrno(err) == errQueryInterrupted, mysqlErrno(err) == errLockWaitTimeout:
		return refuse(reparent.ReasonDeadline, "super_read_only on %s did not take effect in time and was cancelled: something keeps a commit or a statement open", s.server)
	default:
		return doubtful(reparent.ReasonDeadline, "super_read_only on %s was cancelled and its end is not known: %v", s.server, err)
	}
}

// undone puts the switches back after a demotion that failed. The failure stays a No only when reading
// them back shows that they are.
func (a *act) undone(ctx context.Context, before switches, failure error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if statements := before.restore(); statements != "" {
		if err := a.change(ctx, statements); err != nil {
			return doubtful(reasonOf(failure), "%v; undoing it failed: %v", failure, err)
		}
	}
	after, err := a.switches(ctx)
	if err != nil || after != before {
		return doubtful(reasonOf(failure), "%v; undoing it could not be verified: %v", failure, err)
	}
	return failure
}

// restore switches off what was off.
func (s switches) restore() string {
	var statements []string
	if !s.superReadOnly {
		statements = append(statements, "SET GLOBAL super_read_only = OFF")
	}
	if !s.readOnly {
		statements = append(statements, "SET GLOBAL read_only = OFF")
	}
	if !s.offline {
		statements = append(statements, "SET GLOBAL offline_mode = OFF")
	}
	return strings.Join(statements, "; ")
}

// openFor is what open and reopen have in common. Switching read_only off switches super_read_only off.
func (a *act) openFor(ctx context.Context, guards []guard) (topology.Observation, error) {
	const openUp = "SET GLOBAL read_only = OFF; SET GLOBAL offline_mode = OFF"
	if err := a.meant(ctx); err != nil {
		return topology.Observation{}, err
	}
	if err := a.changeUnless(ctx, guards, openUp); err != nil {
		return topology.Observation{}, err
	}
	o, err := a.observe(ctx)
	if err == nil && !o.Writable() {
		err = refuse(reparent.ReasonRefused, "%s was closed again at once", a.server)
	}
	return o, err
}

// meant refuses to open another process than the command is for: one that came back by itself has its
// semi-sync off, and may have completed what nobody acknowledged.
func (a *act) meant(ctx context.Context) error {
	if a.command.Incarnation == "" {
		return nil
	}
	born, err := a.incarnation(ctx)
	if err == nil && born != a.command.Incarnation {
		err = refuse(reparent.ReasonRefused, "%s is not the process that this is for: it has restarted since", a.server)
	}
	return err
}

func (a *act) reopen(ctx context.Context) (topology.Observation, error) {
	return a.openFor(ctx, nil)
}

// open lets everybody write. Where the policy asks for acknowledgements, the server checks in the same
// round trip that its commits will wait for them.
func (a *act) open(ctx context.Context) (topology.Observation, error) {
	var guards []guard
	if a.command.Acks > 0 {
		guards = append(guards, unacknowledged(a.command.Acks))
	}
	return a.openFor(ctx, guards)
}

// fenceOff closes a primary of an earlier term in the only order in which no client hears an OK for a
// commit that nobody acknowledged (E10b): cut the clients, stop new commits, and only then let those
// that wait complete.
func (a *act) fenceOff(ctx context.Context) (topology.Observation, error) {
	if err := a.change(ctx, "SET GLOBAL offline_mode = ON"); err != nil {
		return topology.Observation{}, err
	}
	side, err := a.asideAmongCut(ctx, dutyClose)
	if err != nil {
		return topology.Observation{}, err
	}
	defer side.close()
	ended := side.start(ctx, closeStatement(ctx))
	if err := a.drain(ctx, side, ended); err != nil {
		_ = side.cancel(ctx) // else writes hang behind it until the server gives it up
		return topology.Observation{}, err
	}
	if err := a.sourceOff(ctx); err != nil {
		return topology.Observation{}, err
	}
	return a.fencedOff(ctx)
}

// asideAmongCut is aside right after offline_mode has cut sessions. The login that follows is sometimes lost on 9.7, fails or
// hangs, where sessions of replicas with TLS were cut; without TLS that was not seen. It looks as if a session that was cut
// went on using its descriptor, whose number is the next login's by then. The login after that one has another chance.
func (a *act) asideAmongCut(ctx context.Context, d duty) (*aside, error) {
	first, cancel := context.WithTimeout(ctx, remaining(ctx)/4)
	defer cancel()
	if side, err := a.aside(first, d); err == nil {
		return side, nil
	}
	return a.aside(ctx, d)
}

// drain waits until super_read_only is in force. While it waits itself, behind commits that wait for
// acknowledgements, no new commit can begin; then those are let go.
func (a *act) drain(ctx context.Context, side *aside, ended <-chan error) error {
	tick := time.NewTicker(drainEvery)
	defer tick.Stop()
	cut := killed{}
	for {
		select {
		case err := <-ended:
			return side.settle(ctx, err)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		held, err := a.cutWaiters(ctx, side, cut)
		if err != nil {
			return err
		}
		if held {
			if err := a.sourceOff(ctx); err != nil {
				return err
			}
		}
	}
}

const drainEvery = 5 * time.Millisecond

// cutWaiters tells whether super_read_only waits behind commits of which no client will hear. Only the
// first of several commits counts as waiting for an acknowledgement, the others queue behind it. And
// offline_mode spares accounts with CONNECTION_ADMIN, also with a transaction that is still open: once
// super_read_only waits they can begin nothing new, so whoever is left of them is ended here. Our own
// account is spared, bar an elector that waits with a marker.
func (a *act) cutWaiters(ctx context.Context, side *aside, cut killed) (held bool, err error) {
	rows, err := a.query(ctx, remainingSessions, ackWaitState+"%", stateCommit)
	if err != nil {
		return false, err
	}
	closing, waiters := false, 0
	var left []row
	for _, r := range rows {
		id, commits, ours, applies := r[0].number(), r[2].on(), r[4].on(), r[6].on()
		closing = closing || id == side.id && r[1].text == "Query"
		if commits {
			waiters++
		}
		if !applies && !cut[id] && (commits || !ours) {
			left = append(left, r)
		}
	}
	if !closing || waiters == 0 {
		return false, nil
	}
	for _, r := range left {
		if err := a.cutSession(ctx, r, cut); err != nil {
			return false, err
		}
	}
	return len(left) == 0, nil // a look that found nobody new
}

// remainingSessions lists who is still connected, and the appliers' threads: whether it commits, whether it has an open
// transaction that wrote something, whether it is of our own account, and whether it is an applier.
const remainingSessions = `SELECT processlist_id, processlist_command, processlist_state LIKE ? OR processlist_state = ? AS commits,
	EXISTS (SELECT 1 FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = processlist_id AND trx_rows_modified > 0) AS writes,
	processlist_user = SUBSTRING_INDEX(USER(), '@', 1) AS ours, processlist_user, name <> 'thread/sql/one_connection' AS applies
	FROM performance_schema.threads
	WHERE name = 'thread/sql/one_connection' AND processlist_command NOT LIKE 'Binlog Dump%'
		OR name IN ('thread/sql/replica_worker', 'thread/sql/replica_sql', 'thread/sql/slave_worker', 'thread/sql/slave_sql')`

// cutSession ends one session. Accounts with SYSTEM_USER are out of our reach (1095): they are spared as
// long as they have nothing to commit, and stop the fencing when they have.
func (a *act) cutSession(ctx context.Context, r row, cut killed) error {
	id := r[0].number()
	err := cut.kill(ctx, a.link, []rival{{id: id}})
	if mysqlErrno(err) != errNotOwnerOfThread {
		return err
	}
	if r[2].on() || r[3].on() {
		return refuse(reparent.ReasonWaiters, "session %d of %s on %s has a commit that nobody acknowledged; it has the privilege SYSTEM_USER, "+
			"so only such an account can end it: KILL %d", id, r[5].text, a.server, id)
	}
	cut[id] = true
	return nil
}

// sourceOff switches the source side off where it is on. It takes up to a second (E11).
func (a *act) sourceOff(ctx context.Context) error {
	s, err := a.source(ctx)
	if err != nil || !s.SourceEnabled {
		return err
	}
	return a.change(ctx, "SET GLOBAL rpl_semi_sync_source_enabled = OFF")
}

// fencedOff reads the proof back.
func (a *act) fencedOff(ctx context.Context) (topology.Observation, error) {
	o, err := a.observe(ctx)
	if err == nil && (!closed(o) || !o.OfflineMode || o.SemiSync.Waiters > 0) {
		err = refuse(reparent.ReasonRefused, "%s was changed by somebody else while it was fenced", a.server)
	}
	return o, err
}
