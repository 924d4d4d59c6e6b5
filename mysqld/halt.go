package mysqld

import (
	"context"
	"fmt"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

var _ orchestrator.Halter = (*Fleet)(nil)

// Stopping servers. Statements were tried on MySQL 9.7; RESTART exists since 8.0.4.

// stopping is one step of a halt while it is carried out, on the fenced session of its server.
type stopping struct {
	*act
	task halt.Task
	tell func(string)
}

// Halt implements orchestrator.Halter.
func (f *Fleet) Halt(ctx context.Context, cluster string, term uint32, t halt.Task, tell func(string)) halt.Result {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(f.ctx, cancel)()
	if t.Step == halt.StepCheck {
		return f.mayStop(ctx, t)
	}
	tenure, err := f.tenure(cluster, term)
	if err != nil {
		return haltFailed(ctx, err)
	}
	s, err := tenure.session(t.Server)
	if err != nil {
		return haltFailed(ctx, err)
	}
	if err := s.begin(ctx); err != nil {
		return haltFailed(ctx, err)
	}
	defer s.finish()
	command := reparent.Command{Verb: reparent.Verb(t.Step), Server: t.Server, Cluster: cluster, Term: term}
	j := &stopping{act: &act{session: s, command: command}, task: t, tell: tell}
	return j.do(ctx)
}

func haltFailed(ctx context.Context, err error) halt.Result {
	r := answer(ctx, topology.Observation{}, true, err)
	return halt.Result{Outcome: r.Outcome, Code: string(r.Reason), Detail: r.Detail}
}

func (j *stopping) do(ctx context.Context) halt.Result {
	switch j.task.Step {
	case halt.StepQuiesce:
		return j.quiesce(ctx)
	case halt.StepStop:
		return j.stop(ctx)
	case halt.StepCheck, halt.StepMove, halt.StepHold, halt.StepStart, halt.StepJoin:
	}
	return halt.Result{Outcome: reparent.No, Final: true, Code: "not_available", Detail: fmt.Sprintf("no server is asked for the step %s", j.task.Step)}
}

// mayStop asks for the privilege, which MySQL itself would ask for only when everything else is done.
func (f *Fleet) mayStop(ctx context.Context, t halt.Task) halt.Result {
	l, err := f.dial(ctx, t.Server, nil)
	if err != nil {
		return haltFailed(ctx, err)
	}
	defer l.close()
	rows, err := l.query(ctx, askGrants)
	if err != nil {
		return haltFailed(ctx, err)
	}
	held := make(privileges)
	for _, r := range rows {
		held.add(r[0].text)
	}
	if !held.hold("SHUTDOWN", "*.*") {
		return halt.Result{Outcome: reparent.No, Final: true, Code: string(reparent.ReasonDenied),
			Detail: fmt.Sprintf("our account lacks a privilege on %s; run GRANT SHUTDOWN ON *.* TO it there", t.Server)}
	}
	return halt.Result{Outcome: reparent.Yes, Detail: "commits can do without it, and it would obey"}
}

// fenceTime bounds the closing of a server, and stopReceiverTime that of its receiver.
const (
	fenceTime        = 30 * time.Second
	stopReceiverTime = 30 * time.Second
)

// quiesce leaves a server to which nobody writes, from which nobody reads, and which holds nothing that counts in its relay
// logs alone.
func (j *stopping) quiesce(ctx context.Context) halt.Result {
	o, err := j.observe(ctx)
	if err == nil {
		err = j.notLeader(o)
	}
	if err != nil {
		return haltFailed(ctx, err)
	}
	evidence, err := j.empty(ctx, o)
	if err != nil {
		return haltFailed(ctx, err)
	}
	if err := j.sourceOff(ctx); err != nil { // else the applier would wait for acknowledgements, and be waited for
		return haltFailed(ctx, err)
	}
	receiving := o.Replication != nil && o.Replication.Receiver == topology.ThreadOn && o.Replication.Source == j.task.Primary
	if o, err = j.digest(ctx, receiving); err != nil {
		return haltFailed(ctx, err)
	}
	return halt.Result{
		Outcome: reparent.Yes, UUID: o.UUID, Process: o.Incarnation, Evidence: append(evidence, "executed "+o.Executed.String()),
		Detail: "it is closed, its clients are gone, and what it received is applied",
	}
}

// notLeader is asked first-hand, for what is seen under an address changes.
func (j *stopping) notLeader(o topology.Observation) error {
	if o.UUID == j.task.PrimaryUUID || j.server == j.task.Primary {
		return refuse(reparent.ReasonRefused, "%s leads", j.server)
	}
	return nil
}

// empty lets the clients go, and then sends them away. A server that is open, or on which commits wait, is fenced: whoever
// waits there is cut off before it could hear an OK that nobody acknowledged (E6, E10b).
func (j *stopping) empty(ctx context.Context, o topology.Observation) (evidence []string, err error) {
	if !closed(o) || o.SemiSync.Waiters > 0 && !o.OnlyApplierWaits() {
		return []string{fmt.Sprintf("%d commits waited there, and their clients were cut before they could hear of it", o.SemiSync.Waiters)}, j.fenced(ctx)
	}
	left, err := j.letGo(ctx)
	if err != nil {
		return nil, err
	}
	return []string{fmt.Sprintf("%d clients were still connected when it went offline", left)}, j.change(ctx, "SET GLOBAL offline_mode = ON")
}

func (j *stopping) fenced(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fenceTime)
	defer cancel()
	_, err := j.fenceOff(ctx)
	return err
}

// askClients counts the sessions of others, without replicas.
const askClients = `SELECT COUNT(*) FROM performance_schema.threads WHERE name = 'thread/sql/one_connection'
	AND processlist_command NOT LIKE 'Binlog Dump%' AND processlist_user <> SUBSTRING_INDEX(USER(), '@', 1)`

// letGo waits until no client is left, for as long as clients are given.
func (j *stopping) letGo(ctx context.Context) (left int64, err error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for over := time.Now().Add(j.task.Drain); ; {
		rows, err := j.query(ctx, askClients)
		if err != nil {
			return 0, err
		}
		if left = rows[0][0].number(); left == 0 || !time.Now().Before(over) {
			return left, nil
		}
		j.tell(fmt.Sprintf("%d clients are still connected; they have %s", left, time.Until(over).Round(time.Second)))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return left, ctx.Err()
		}
	}
}

// digest stops the receiver and has everything applied that was received. What a delayed or stopped applier has not applied
// may stay, where the primary has executed it.
//
// A receiver that is stopped in the middle of a transaction leaves an applier that waits for the rest of it: a shutdown then
// takes a minute longer, for so long MySQL waits too. So the receiver gets the rest, and is stopped again. Tried on 9.7.
func (j *stopping) digest(ctx context.Context, receiving bool) (topology.Observation, error) {
	for range halvesMost {
		o, err := j.applied(ctx)
		if err != nil || !receiving {
			return o, err
		}
		half, err := j.half(ctx, o)
		if err != nil || half.IsEmpty() {
			return o, err
		}
		if err := j.complete(ctx, half); err != nil {
			return o, err
		}
	}
	return j.applied(ctx)
}

// halvesMost is how often a receiver is stopped in the hope to hit the end of a transaction.
const halvesMost = 20

// half is the transaction of which the applier has got the beginning only; empty when there is none.
func (j *stopping) half(ctx context.Context, o topology.Observation) (gtid.Set, error) {
	rows, err := j.query(ctx, "SELECT processing_transaction FROM performance_schema.replication_applier_status_by_coordinator WHERE channel_name = '' AND processing_transaction LIKE '%:%'")
	if err != nil || len(rows) == 0 {
		return gtid.Set{}, err
	}
	begun, err := gtid.Parse(rows[0][0].text)
	return begun.Subtract(o.Executed), err
}

// complete has the receiver run until it has got the rest of a transaction, or a moment has passed.
func (j *stopping) complete(ctx context.Context, half gtid.Set) error {
	if err := j.change(ctx, "START REPLICA IO_THREAD"); err != nil {
		return err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for over := time.Now().Add(time.Second); time.Now().Before(over); {
		r, err := j.receiver(ctx)
		if err != nil || r.received.Contains(half) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// applied is the server once its receiver is off and its applier has nothing left that is whole.
func (j *stopping) applied(ctx context.Context) (topology.Observation, error) {
	o, err := j.still(ctx)
	if err != nil {
		return o, err
	}
	if r := o.Replication; r != nil && r.Applier == topology.ThreadOn && r.ApplierDelayed == 0 && !o.Unapplied().IsEmpty() {
		j.tell(fmt.Sprintf("%d transactions are still to be applied", o.Unapplied().Count()))
		j.command.Set = o.Received
		bounded, cancel := context.WithTimeout(ctx, j.task.Wait)
		defer cancel()
		if _, err = j.awaitApplied(bounded); err != nil {
			return o, err
		}
		if o, err = j.observe(ctx); err != nil {
			return o, err
		}
	}
	return o, j.heldByPrimary(ctx, o.Unapplied())
}

func (j *stopping) still(ctx context.Context) (topology.Observation, error) {
	ctx, cancel := context.WithTimeout(ctx, stopReceiverTime)
	defer cancel()
	return j.freeze(ctx)
}

// heldByPrimary refuses to stop a server whose relay logs hold what the primary has not executed: they may be the last copy,
// and a start with relay_log_recovery throws them away (E8b).
func (j *stopping) heldByPrimary(ctx context.Context, unapplied gtid.Set) error {
	if unapplied.IsEmpty() {
		return nil
	}
	p := j.fleet.Probe(ctx, j.task.Primary)
	if !p.OK() || p.UUID != j.task.PrimaryUUID {
		return refuse(reparent.ReasonUnapplied, "%s has not applied %s, and %s could not be asked whether it has", j.server, unapplied, j.task.Primary)
	}
	if only := unapplied.Subtract(p.Executed); !only.IsEmpty() {
		return refuse(reparent.ReasonUnapplied, "%s holds %s in its relay logs alone, which %s has not executed", j.server, only, j.task.Primary)
	}
	return nil
}

// stop tells the process that was closed to go. The server asks itself once more whether it still is closed and nobody waits,
// in the same round trip.
func (j *stopping) stop(ctx context.Context) halt.Result {
	born, err := j.incarnation(ctx)
	if err == nil && born != j.task.Process {
		err = refuse(reparent.ReasonRefused, "%s has restarted since it was closed", j.server)
	}
	if err != nil {
		return haltFailed(ctx, err)
	}
	if j.task.Restart {
		err := j.changeUnless(ctx, []guard{unquiet}, "RESTART")
		if mysqlErrno(err) != errRestartFailed {
			return told(ctx, halt.HowRestart, err)
		}
	}
	return told(ctx, halt.HowShutdown, j.changeUnless(ctx, []guard{unquiet}, "SHUTDOWN"))
}

// told: a server that goes may do so before it has answered.
func told(ctx context.Context, how string, err error) halt.Result {
	if err != nil {
		return haltFailed(ctx, err)
	}
	return halt.Result{Outcome: reparent.Yes, How: how}
}

// unquiet keeps a server from an orderly shutdown that somebody could hear an OK from (E6).
var unquiet = guard{
	broken: "@@GLOBAL.read_only = 0 OR @@GLOBAL.super_read_only = 0 OR @@GLOBAL.offline_mode = 0 OR EXISTS (SELECT 1 FROM performance_schema.global_status " +
		"WHERE variable_name = 'Rpl_semi_sync_source_wait_sessions' AND variable_value > 0)",
	reason: reparent.ReasonWaiters,
	detail: "it was opened meanwhile, or a commit waits for acknowledgements; it is not shut down, for that would answer OK to whoever waits",
}
