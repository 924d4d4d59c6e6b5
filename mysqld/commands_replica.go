package mysqld

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Commands to servers as replicas. Statements were tried on MySQL 9.7 and have the same words since 8.0.26.

// freeze persists the promise first: a revoked replica that restarts would otherwise connect to the old
// primary again and acknowledge (E16). The receiver is stopped also while it is only "connecting".
func (a *act) freeze(ctx context.Context) (topology.Observation, error) {
	if !a.command.Passing {
		if err := a.promiseToStayStopped(ctx); err != nil {
			return topology.Observation{}, err
		}
	}
	before, err := a.receiver(ctx)
	if err != nil {
		return topology.Observation{}, err
	}
	if before.exists {
		if err := a.runAside(ctx, dutyStop, "STOP REPLICA IO_THREAD"); err != nil {
			return topology.Observation{}, err
		}
	}
	return a.standsStill(ctx)
}

// standsStill reads twice that the receiver is off and that the received set does not grow.
func (a *act) standsStill(ctx context.Context) (topology.Observation, error) {
	first, err := a.receiver(ctx)
	if err != nil {
		return topology.Observation{}, err
	}
	o, err := a.observe(ctx)
	switch {
	case err != nil:
		return o, err
	case o.Replication != nil && (first.state != topology.ThreadOff || o.Replication.Receiver != topology.ThreadOff):
		return o, refuse(reparent.ReasonRefused, "the receiver of %s runs again after STOP REPLICA: something else starts it", a.server)
	case !first.received.Equal(o.Received):
		return o, doubtful(reparent.ReasonRefused, "%s still receives although its receiver is off", a.server)
	}
	return o, nil
}

// promiseToStayStopped makes the next start of the process leave replication off. That this process was started so says
// something of the next one only where the option file or the command line told it: what was persisted then may have been
// taken back since.
func (a *act) promiseToStayStopped(ctx context.Context) error {
	rows, err := a.query(ctx, `SELECT @@GLOBAL.skip_replica_start, @@GLOBAL.persisted_globals_load,
		(SELECT variable_value FROM performance_schema.persisted_variables WHERE variable_name = 'skip_replica_start'),
		(SELECT variable_source FROM performance_schema.variables_info WHERE variable_name = 'skip_replica_start')`)
	if err != nil {
		return err
	}
	now, loaded, persisted := rows[0][0].on() && rows[0][3].text != "PERSISTED", rows[0][1].on(), rows[0][2]
	switch {
	case !loaded && now:
		return nil
	case !loaded:
		return refuse(reparent.ReasonRefused, "%s ignores persisted variables at its start (persisted_globals_load is OFF), so it "+
			"could not be kept from acknowledging after a restart; put skip_replica_start=ON into its option file", a.server)
	case persisted.on(), persisted.null && now:
		return nil
	}
	return a.change(ctx, "SET PERSIST_ONLY skip_replica_start = ON")
}

// receiver is a small reading of the receiver alone.
type receiver struct {
	exists   bool
	state    topology.Thread
	received gtid.Set
}

func (a *act) receiver(ctx context.Context) (receiver, error) {
	rows, err := a.query(ctx, "SELECT service_state, received_transaction_set FROM performance_schema.replication_connection_status WHERE channel_name = ''")
	if err != nil || len(rows) == 0 {
		return receiver{}, err
	}
	received, err := gtid.Parse(rows[0][1].text)
	return receiver{exists: true, state: thread(rows[0][0]), received: received}, err
}

// resume starts what freeze stopped. The applier was not stopped; it is started only where the process
// came up without replication, which is what a restart of a frozen server looks like. Elsewhere an
// applier that is off was stopped by an operator.
func (a *act) resume(ctx context.Context) (topology.Observation, error) {
	before, err := a.observe(ctx)
	if err == nil && before.Replication != nil && before.Replication.Receiver != topology.ThreadOff {
		before, err = a.undisturbed(ctx)
	}
	switch {
	case err != nil:
		return before, err
	case before.Replication == nil:
		return before, refuse(reparent.ReasonRefused, "%s has no source to resume from", a.server)
	case before.Replication.Receiver != topology.ThreadOff:
		return before, a.errant(before, a.receivedFrom(before))
	}
	if err := a.errant(before, gtid.Set{}); err != nil {
		return before, err
	}
	statement, err := a.resumption(ctx, *before.Replication)
	if err != nil {
		return before, err
	}
	if err := a.changeUnless(ctx, append(a.strayed(), stopUnderWay), statement); err != nil {
		return before, err
	}
	return a.receiverStarted(ctx)
}

// undisturbed is a reading of a server on which no STOP REPLICA of ours is left. One that hangs behind a
// connect ends a receiver that still shows as running, and a start would hang behind it in a session that
// keeps newer electors out.
func (a *act) undisturbed(ctx context.Context) (topology.Observation, error) {
	rows, err := a.query(ctx, announcedSessions)
	if err != nil {
		return topology.Observation{}, err
	}
	ours := a.announcement(dutyAct, "")[attrCluster]
	if slices.ContainsFunc(announced(rows), func(r rival) bool { return r.cluster == ours && r.duty == dutyStop }) {
		return topology.Observation{}, refuse(reparent.ReasonRefused, "a STOP REPLICA of ours has not returned on %s", a.server)
	}
	return a.observe(ctx)
}

// resumption asks how this process was started, which is not what is persisted for the next one.
func (a *act) resumption(ctx context.Context, r topology.Replication) (string, error) {
	rows, err := a.query(ctx, "SELECT @@GLOBAL.skip_replica_start")
	if err != nil {
		return "", err
	}
	if r.Applier == topology.ThreadOff && r.ApplierErrno == 0 && rows[0][0].on() {
		return "START REPLICA", nil
	}
	return "START REPLICA IO_THREAD", nil
}

func (a *act) receiverStarted(ctx context.Context) (topology.Observation, error) {
	o, err := a.observe(ctx)
	switch {
	case err != nil:
		return o, err
	case o.Replication == nil:
		return o, refuse(reparent.ReasonRefused, "%s lost its channel meanwhile", a.server)
	case o.Replication.Receiver == topology.ThreadOff:
		return o, refuse(reparent.ReasonError, "the receiver of %s stopped at once: error %d", a.server, o.Replication.ReceiverErrno)
	}
	return o, nil
}

// errant refuses a position that is not within what the command allows. besides holds what came from
// the source since the check that was made before the start.
func (a *act) errant(o topology.Observation, besides gtid.Set) error {
	if a.command.Within.IsEmpty() {
		return nil
	}
	if stray := o.Position().Subtract(a.command.Within).Subtract(besides); !stray.IsEmpty() {
		return refuse(reparent.ReasonErrant, "%s holds what the chosen history does not: %s", a.server, stray)
	}
	return nil
}

// receivedFrom is the part of a position that a running receiver may have added since the check before
// its start: its source's own transactions, and the markers of this term.
func (a *act) receivedFrom(o topology.Observation) gtid.Set {
	return o.Position().Only(func(s gtid.Source) bool {
		m, isMarker := topology.MarkerOf(s.UUID)
		return s.UUID == o.Replication.SourceUUID || isMarker && m.Term >= a.term
	})
}

// strayed is the errant check made by the server itself, in the round trip that starts the receiver.
func (a *act) strayed() []guard {
	if a.command.Within.IsEmpty() {
		return nil
	}
	within := literal(a.command.Within)
	return []guard{{
		broken: "NOT GTID_SUBSET(@@GLOBAL.gtid_executed, " + within + ") OR EXISTS (SELECT 1 FROM " +
			"performance_schema.replication_connection_status WHERE NOT GTID_SUBSET(received_transaction_set, " + within + "))",
		reason: reparent.ReasonErrant,
		detail: "it holds what the chosen history does not",
	}}
}

// unapplied guards statements that would throw relay logs away (E8a).
var unapplied = guard{
	broken: "EXISTS (SELECT 1 FROM performance_schema.replication_connection_status WHERE NOT GTID_SUBSET(received_transaction_set, @@GLOBAL.gtid_executed))",
	reason: reparent.ReasonUnapplied,
	detail: "it has received transactions that are not applied, and they would be lost",
}

// unappliedAndStopped allows what unapplied forbids while the applier runs, for then relay logs are kept (E17).
var unappliedAndStopped = guard{
	broken: unapplied.broken + " AND NOT EXISTS (SELECT 1 FROM performance_schema.replication_applier_status WHERE channel_name = '' AND service_state = 'ON')",
	reason: unapplied.reason,
	detail: unapplied.detail + ": the applier does not run",
}

// stopUnderWay keeps a statement from queueing behind a STOP REPLICA of anybody's that has not returned. MySQL carries out
// one statement about the channel after the other, and what hangs there cannot be killed: by the time that it is our turn
// the applier may be off that still shows as running, and CHANGE would throw away what it has not applied. One that has begun
// shows by its state, which older servers word with "slave", and one that waits behind another statement by its text. The
// text stays for a moment after whoever sent it has its answer: what is only tidied up has returned.
var stopUnderWay = guard{
	broken: `EXISTS (SELECT 1 FROM performance_schema.threads WHERE processlist_state IN ('Killing replica', 'Killing slave')
		OR processlist_command = 'Query' AND REGEXP_LIKE(processlist_info, '^[[:space:]]*STOP[[:space:]]+(REPLICA|SLAVE)', 'i')
			AND COALESCE(processlist_state, '') NOT IN ('query end', 'closing tables', 'freeing items', 'cleaning up'))`,
	reason: reparent.ReasonRefused,
	detail: "a STOP REPLICA has not returned there; what it waits for, such as a disk that is full, a lock or a source that does not answer, has to end first",
}

// follow makes the server a replica of the command's source. Whatever takes long comes after the start.
func (a *act) follow(ctx context.Context) (topology.Observation, error) {
	before, err := a.observe(ctx)
	if err == nil {
		before, err = a.completeTarget(ctx, before)
	}
	if err == nil {
		err = a.wholeOrForgotten(ctx, before)
	}
	if err != nil {
		return before, err
	}
	if err := a.mayFollow(before); err != nil {
		return before, err
	}
	if before, err = a.closeReplica(ctx, before); err != nil {
		return before, err
	}
	if before, err = a.hushed(ctx, before); err != nil {
		return before, err
	}
	if a.isFollowing(before) {
		return a.tidyReplica(ctx, before)
	}
	stopped, err := a.stopReceiver(ctx, before)
	if err != nil {
		return stopped, err
	}
	if err := a.acknowledges(ctx, stopped); err != nil {
		return stopped, err
	}
	if err := a.repoint(ctx, stopped); err != nil {
		return stopped, err
	}
	if err := a.changeUnless(ctx, append(a.strayed(), unfollowable, stopUnderWay), "START REPLICA"); err != nil {
		return stopped, err
	}
	started, err := a.receiverStarted(ctx)
	if err != nil {
		return started, err
	}
	return a.tidyReplica(ctx, started)
}

// unfollowable keeps a writable server from replicating.
var unfollowable = guard{
	broken: "@@GLOBAL.super_read_only = 0 OR @@GLOBAL.read_only = 0",
	reason: reparent.ReasonRefused,
	detail: "it was opened for writes meanwhile",
}

func (a *act) mayFollow(o topology.Observation) error {
	switch {
	case a.command.Source == a.server:
		return refuse(reparent.ReasonRefused, "%s cannot follow itself", a.server)
	case o.SemiSync.Waiters > 0 && !closed(o):
		return refuse(reparent.ReasonWaiters, "%d commits on %s wait for acknowledgements; fence it first", o.SemiSync.Waiters, a.server)
	case a.isFollowing(o):
		return a.errant(o, a.receivedFrom(o))
	}
	return a.errant(o, gtid.Set{})
}

// closed tells whether super_read_only is in force: the variables alone may belong to a SET that still
// waits (E3).
func closed(o topology.Observation) bool { return o.Closed() && !o.Stall.ReadOnlyWait }

func (a *act) closeReplica(ctx context.Context, o topology.Observation) (topology.Observation, error) {
	if closed(o) {
		return o, nil
	}
	if err := a.closeForWrites(ctx, a.aside); err != nil {
		return o, err
	}
	o, err := a.observe(ctx)
	if err == nil && !o.Closed() {
		err = refuse(reparent.ReasonRefused, "%s was opened again at once", a.server)
	}
	return o, err
}

// isFollowing tells whether there is nothing left to do but to tidy up. A receiver that is only
// connecting is restarted, since it may sit out a long retry period or hold old credentials.
func (a *act) isFollowing(o topology.Observation) bool {
	r := o.Replication
	return r != nil && r.Source == a.command.Source && r.Receiver == topology.ThreadOn && r.Applier == topology.ThreadOn &&
		o.SemiSync.ReplicaEnabled == a.command.Acker
}

// stopReceiver makes the position stand still, and checks it as it then is.
func (a *act) stopReceiver(ctx context.Context, o topology.Observation) (topology.Observation, error) {
	if o.Replication == nil || o.Replication.Receiver == topology.ThreadOff {
		return o, nil
	}
	if err := a.runAside(ctx, dutyStop, "STOP REPLICA IO_THREAD"); err != nil {
		return o, err
	}
	stopped, err := a.standsStill(ctx)
	if err != nil {
		return stopped, err
	}
	return stopped, a.errant(stopped, gtid.Set{})
}

// hushed keeps a server that must not acknowledge from doing so after a restart, unseen by anybody (E16): one that does not
// start its receiver by itself waits for somebody who says to whom it is to connect, and how. To persist that its replica side
// is off would not do: MySQL applies what is persisted for a plugin while the receiver that it has started connects already.
// A server that cannot be kept from it is attached all the same, and goes on counting as one that may acknowledge.
func (a *act) hushed(ctx context.Context, o topology.Observation) (topology.Observation, error) {
	if a.command.Acker || !o.AcksAlone() {
		return o, nil
	}
	a.note = "it follows; skip_replica_start is persisted, for after a restart it could have acknowledged by itself"
	err := a.promiseToStayStopped(ctx)
	if no, is := errors.AsType[refusal](err); is && no.reason == reparent.ReasonRefused {
		a.note, err = "it follows; "+no.detail, nil
	}
	if err != nil {
		return o, err
	}
	return a.observe(ctx)
}

// acknowledges sets the replica side of semi-sync, which a receiver reads when it starts.
func (a *act) acknowledges(ctx context.Context, o topology.Observation) error {
	if o.SemiSync.ReplicaEnabled == a.command.Acker {
		return nil
	}
	err := a.change(ctx, "SET GLOBAL rpl_semi_sync_replica_enabled = "+onOff(a.command.Acker))
	if mysqlErrno(err) == errUnknownVariable {
		return refuse(reparent.ReasonNotSemiSync, "%s cannot acknowledge: install its plugin semisync_replica.so", a.server)
	}
	return err
}

func onOff(on bool) string {
	if on {
		return "ON"
	}
	return "OFF"
}

// repoint changes the source so that what was received and is not applied survives: with the applier
// running, and without a word about auto-position, which the channel keeps (E17, E17b).
func (a *act) repoint(ctx context.Context, o topology.Observation) error {
	switch r := o.Replication; {
	case r == nil:
		return a.changeSource(ctx, true)
	case !r.AutoPosition:
		return a.adoptAutoPosition(ctx)
	case r.Applier == topology.ThreadOff && r.ApplierErrno != 0 && !o.Unapplied().IsEmpty():
		if r.Source == a.command.Source { // it may at least receive, and acknowledge or not, as it is told
			return nil
		}
		return refuse(reparent.ReasonUnapplied, "%s: %s: its applier stopped with error %d", a.server, unapplied.detail, r.ApplierErrno)
	case r.Applier == topology.ThreadOff && !o.Unapplied().IsEmpty():
		if err := a.changeUnless(ctx, []guard{stopUnderWay}, "START REPLICA SQL_THREAD"); err != nil {
			return err
		}
	}
	return a.changeSource(ctx, false)
}

// adoptAutoPosition is for a channel that somebody else set up by file and position. Auto-position
// needs both threads stopped, and so everything applied.
func (a *act) adoptAutoPosition(ctx context.Context) error {
	if err := a.stopApplier(ctx); err != nil {
		return err
	}
	return a.changeSource(ctx, true)
}

// changeSource never shows MySQL's text of an error: where it complains about syntax it repeats the
// statement, password included. MySQL itself masks the password in its logs and in the process list.
func (a *act) changeSource(ctx context.Context, autoPosition bool) error {
	statement, args, err := a.sourceOptions(autoPosition)
	if err != nil {
		return err
	}
	err = a.changeUnless(ctx, []guard{stopUnderWay, unappliedAndStopped}, statement, args...)
	if errno := mysqlErrno(err); errno != 0 && !denials[errno] {
		return refuse(reparent.ReasonError, "CHANGE REPLICATION SOURCE on %s: error %d", a.server, errno)
	}
	return err
}

func (a *act) sourceOptions(autoPosition bool) (statement string, args []any, err error) {
	host, port, err := net.SplitHostPort(string(a.command.Source))
	if err != nil {
		return "", nil, refuse(reparent.ReasonRefused, "source %q is no host:port", a.command.Source)
	}
	settings := a.fleet.settings
	password := ""
	if settings.ReplicationPassword != nil {
		if password, err = settings.ReplicationPassword(); err != nil {
			return "", nil, refuse(reparent.ReasonRefused, "password of replication account %q: %v", settings.ReplicationUser, err)
		}
	}
	options := []string{"SOURCE_HOST = ?", "SOURCE_PORT = " + port, "SOURCE_USER = ?", "SOURCE_PASSWORD = ?",
		"SOURCE_CONNECT_RETRY = 1", "SOURCE_RETRY_COUNT = 4294967295", "GET_SOURCE_PUBLIC_KEY = 1",
		fmt.Sprintf("SOURCE_HEARTBEAT_PERIOD = %.3f", settings.Heartbeat.Seconds())}
	secure, files := settings.ReplicationTLS.options()
	options = append(options, secure...)
	if autoPosition {
		options = append(options, "SOURCE_AUTO_POSITION = 1")
	}
	args = append([]any{host, settings.ReplicationUser, password}, files...)
	return "CHANGE REPLICATION SOURCE TO " + strings.Join(options, ", "), args, nil
}

// tidyReplica ends what a former primary brings along. The applier of a server whose source side is on
// would wait for acknowledgements that never come (E20); switching it off takes up to a second (E11),
// so it comes after the start, when the server acknowledges already. Nothing but the applier can be
// waiting: the server was closed with no waiters before.
func (a *act) tidyReplica(ctx context.Context, o topology.Observation) (topology.Observation, error) {
	var undo []string
	if o.SemiSync.SourceEnabled {
		undo = append(undo, "SET GLOBAL rpl_semi_sync_source_enabled = OFF")
	}
	if o.OfflineMode {
		undo = append(undo, "SET GLOBAL offline_mode = OFF")
	}
	if len(undo) == 0 {
		return o, nil
	}
	if err := a.change(ctx, strings.Join(undo, "; ")); err != nil {
		return o, err
	}
	a.note = "it follows; it was still set up as a primary: " + strings.Join(undo, "; ")
	return a.observe(ctx)
}

// awaitApplied waits in slices, so that an applier that does not run is noticed. One that stands still without an error, as
// after a restart, is started, and whoever stops it again meanwhile is let have it so.
func (a *act) awaitApplied(ctx context.Context) (topology.Observation, error) {
	started := false
	for {
		rows, err := a.query(ctx, "SELECT WAIT_FOR_EXECUTED_GTID_SET("+literal(a.command.Set)+", ?)", slice(ctx).Seconds())
		if err != nil {
			return topology.Observation{}, err
		}
		if rows[0][0].text == "0" {
			return topology.Observation{}, nil
		}
		if started, err = a.stillApplies(ctx, started); err != nil {
			return topology.Observation{}, err
		}
	}
}

// slice is how long one wait on the server may take: it ends a little before the command does, so that
// the session survives the wait.
func slice(ctx context.Context) time.Duration {
	const longest, spare = 250 * time.Millisecond, 20 * time.Millisecond
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return longest
	}
	return max(time.Millisecond, min(longest, time.Until(deadline)-spare))
}

// stillApplies refuses to wait any longer, or starts the applier if it has not done so before.
func (a *act) stillApplies(ctx context.Context, started bool) (bool, error) {
	if deadline, bounded := ctx.Deadline(); bounded && time.Until(deadline) < 25*time.Millisecond {
		return started, refuse(reparent.ReasonDeadline, "%s has not applied %s yet", a.server, a.command.Set)
	}
	rows, err := a.query(ctx, "SELECT service_state FROM performance_schema.replication_applier_status WHERE channel_name = ''")
	if err != nil || len(rows) > 0 && rows[0][0].text == "ON" {
		return started, err
	}
	o, err := a.observe(ctx)
	if err != nil {
		return started, err
	}
	if r := o.Replication; started || r == nil || r.ApplierErrno != 0 {
		return started, refuse(reparent.ReasonUnapplied, "%s has not applied %s and its applier does not run", a.server, a.command.Set)
	}
	return true, a.changeUnless(ctx, []guard{stopUnderWay}, "START REPLICA SQL_THREAD")
}

// detach forgets the source. Relay logs go with it, so everything in them has to be applied. Where the applier does not run,
// to wait helps nobody: the receiver is stopped all the same, for a primary must get nothing from where it is no more.
func (a *act) detach(ctx context.Context) (topology.Observation, error) {
	before, err := a.observe(ctx)
	switch {
	case err != nil || before.Replication == nil:
		return before, err
	case !before.Unapplied().IsEmpty() && before.Replication.Applier == topology.ThreadOn:
		return before, refuse(unapplied.reason, "%s: %s", a.server, unapplied.detail)
	}
	if err := a.runAside(ctx, dutyStop, "STOP REPLICA IO_THREAD"); err != nil {
		return before, err
	}
	if err := a.stopApplier(ctx); err != nil {
		return before, err
	}
	if err := a.changeUnless(ctx, []guard{unapplied}, "RESET REPLICA ALL"); err != nil {
		return before, err
	}
	return a.observe(ctx)
}

// stopApplier stops an applier that has applied everything that was received. Where the receiver was stopped in the middle of a
// transaction, as by the death of the source, it waits a minute for the rest, in which it cannot be killed: in a session of its
// own it keeps nobody from acting on the server.
func (a *act) stopApplier(ctx context.Context) error {
	if err := a.changeUnless(ctx, []guard{unapplied}, "DO 0"); err != nil {
		return err
	}
	return a.runAside(ctx, dutyStop, "STOP REPLICA SQL_THREAD")
}
