package mysqld

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// A clone replaces all data of the settled server by that of a donor. What MySQL does on the way, and what follows:
//
//	(1) From the moment at which the rows are dropped gtid_executed is empty, and stays so when the clone is ended, fails,
//	    or the server is killed (E33, E34). So the server says of itself what is true at every moment: it holds nothing.
//	(2) What it has received and not applied stays in its received set though its rows are gone. So the channel is forgotten
//	    before, in isolate: else the server would count as the holder of transactions that it does not have.
//	(3) Rows are dropped table by table, and gtid_executed is emptied after that. A server that dies in between claims rows
//	    that it has lost. An errant one is errant then, and is attached to nothing; to any other one a GTID of nobody's is
//	    given before, so that it is errant as well (apart).
//	(4) It keeps its server_uuid and what it has persisted (E32). So what it wrote under its own UUID and nobody has would
//	    be written anew, with other content: reuse is asked before.
//
// Tried on 9.7; the statements are the same since 8.0.17.

// apart is the GTID that makes a server errant while its data is replaced, where it is not so already.
var apart = gtid.GTID{UUID: gtid.UUID{'p', 'r', 'm', 'c', 'c', 'l', 'o', 'n', 'e'}, Number: 1}

// isolateTime bounds what isolate waits for.
const isolateTime = 15 * time.Second

// clone does one step of a clone.
func (j *job) clone(ctx context.Context) settle.Result {
	var detail string
	var err error
	switch j.task.Step {
	case settle.StepCheck:
		detail, err = j.checkClone(ctx)
	case settle.StepIsolate:
		detail, err = j.isolateForClone(ctx)
	case settle.StepClone:
		detail, err = j.replaceData(ctx)
	case settle.StepAdmit:
		detail, err = j.admitClone(ctx)
	case settle.StepExport, settle.StepUndo, settle.StepCatchUp, settle.StepVerify, settle.StepKeep, settle.StepDiscard:
		return settle.NotAvailable(j.task)
	}
	if err != nil {
		return j.cloneFailed(ctx, err)
	}
	return doneStep("%s", detail)
}

// checkClone is mayClone within the time of a step.
func (j *job) checkClone(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	return j.mayClone(ctx)
}

// isolateForClone closes the server to everybody else and has it forget its channel. What it received and did not apply goes
// with the channel; it may have been acknowledged, so others have to hold it first.
func (j *job) isolateForClone(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, isolateTime)
	defer cancel()
	if err := j.promiseToStayStopped(ctx); err != nil {
		return "", err
	}
	o, err := j.observe(ctx)
	if err != nil {
		return "", err
	}
	if o.SemiSync.Waiters > 0 && !o.OnlyApplierWaits() {
		return "", refuse(reparent.ReasonWaiters, "%d commits on %s wait for acknowledgements; it has to be fenced first", o.SemiSync.Waiters, j.server)
	}
	if err := j.change(ctx, "SET GLOBAL offline_mode = ON"); err != nil {
		return "", err
	}
	if o.Replication != nil {
		if err := j.forgetChannel(ctx, o); err != nil {
			return "", err
		}
	}
	if _, err := j.closeReplica(ctx, o); err != nil {
		return "", err
	}
	if err := j.sourceOff(ctx); err != nil {
		return "", err
	}
	return "it is closed, offline, and replicates from nobody", nil
}

// forgetChannel drops the channel with its relay logs, once others hold all that was received. As long as they do not it
// receives again: what it acknowledged counts.
func (j *job) forgetChannel(ctx context.Context, before topology.Observation) error {
	if err := j.holders(ctx, gtid.Set{}); err != nil {
		return err
	}
	err := j.dropChannel(ctx)
	if err != nil && before.Replication.Receiver != topology.ThreadOff {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		_ = j.change(undo, "START REPLICA IO_THREAD") // a server without a channel has nothing to start
	}
	return err
}

func (j *job) dropChannel(ctx context.Context) error {
	if err := j.runAside(ctx, dutyStop, "STOP REPLICA IO_THREAD"); err != nil {
		return err
	}
	o, err := j.standsStill(ctx)
	if err != nil {
		return err
	}
	if err := j.heldElsewhere(ctx, o.Position().Subtract(j.task.Set)); err != nil {
		return err
	}
	if err := j.runAside(ctx, dutyStop, "STOP REPLICA SQL_THREAD"); err != nil {
		return err
	}
	return j.changeUnless(ctx, []guard{beyond(o.Position())}, "RESET REPLICA ALL")
}

// beyond stops a statement on a server that holds more than what was looked at.
func beyond(position gtid.Set) guard {
	within := literal(position)
	return guard{
		broken: "NOT GTID_SUBSET(@@GLOBAL.gtid_executed, " + within + ") OR EXISTS (SELECT 1 FROM " +
			"performance_schema.replication_connection_status WHERE NOT GTID_SUBSET(received_transaction_set, " + within + "))",
		reason: reparent.ReasonErrant,
		detail: "it holds more than when it was looked at",
	}
}

// replaceData runs the clone, unless it has been done. It ends with the server's process, so the answer to a clone that
// went well is that nobody knows yet; the same task, handed out again, finds it done.
func (j *job) replaceData(ctx context.Context) (string, error) {
	done, err := j.readyToClone(ctx)
	if err != nil {
		return "", err
	}
	if done {
		return fmt.Sprintf("its data is a copy of that of %s", j.task.Donor), nil
	}
	err = j.runClone(ctx)
	if _, ended := errors.AsType[cloneRefusal](err); ended || mysqlErrno(err) != 0 || ctx.Err() != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		_ = j.change(undo, "SET GLOBAL super_read_only = ON") // the next try closes it again, if it has to
	}
	if err == nil {
		err = errRestarts
	}
	return "", err
}

// readyToClone does what comes before the clone, and tells whether it has been done already.
func (j *job) readyToClone(ctx context.Context) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	if done, err := j.isCloned(ctx); done || err != nil {
		return done, err
	}
	if err := j.endEarlierClone(ctx); err != nil {
		return false, err
	}
	if _, err := j.mayClone(ctx); err != nil {
		return false, err
	}
	o, err := j.isolated(ctx)
	if err != nil {
		return false, err
	}
	return false, j.makeReady(ctx, o)
}

// errRestarts: the answer of CLONE is no proof yet, for the new data is only taken into use by the next process.
var errRestarts = doubtful(reparent.ReasonUnreachable, "the data is copied")

// isolated makes sure that what isolate did still holds.
func (j *job) isolated(ctx context.Context) (topology.Observation, error) {
	o, err := j.observe(ctx)
	switch {
	case err != nil:
		return o, err
	case o.ReadOnly && o.OfflineMode && o.Replication == nil:
		return o, nil
	}
	if _, err := j.isolateForClone(ctx); err != nil {
		return o, err
	}
	return j.observe(ctx)
}

// makeReady opens super_read_only, under which CLONE is refused (E31); read_only and offline_mode stay on.
func (j *job) makeReady(ctx context.Context, o topology.Observation) error {
	err := j.changeUnless(ctx, []guard{beyond(o.Position().Union(gtid.Of(apart)))}, "SET GLOBAL clone_valid_donor_list = ?; SET GLOBAL clone_max_data_bandwidth = ?; "+
		"SET GLOBAL super_read_only = OFF", string(j.task.Donor), int64(j.task.RateMax))
	if err != nil || o.Executed.IsEmpty() || o.Executed.Intersects(j.task.Set) || o.Executed.Has(apart) {
		return err
	}
	return j.change(ctx, "SET SESSION gtid_next = '"+apart.String()+"'; BEGIN; COMMIT; SET SESSION gtid_next = 'AUTOMATIC'")
}

// runClone runs the statement in a session of its own and tells how far it is. When its time is over, or this elector may
// act no longer, the clone is ended: the server is then empty.
func (j *job) runClone(ctx context.Context) error {
	statement, args, err := j.cloneStatement()
	if err != nil {
		return err
	}
	side, err := j.aside(ctx, dutyClone)
	if err != nil {
		return err
	}
	defer side.close()
	side.guards = []guard{unready}
	if err := j.link.exec(ctx, idleFor(j.task)); err != nil { // it has nothing to do until the clone has to be ended
		return err
	}
	look := &onlooker{job: j}
	defer look.close()
	lasting, end := context.WithCancel(context.WithoutCancel(ctx)) // a context that ends would hang up, and the clone go on
	defer end()
	ended := side.start(lasting, statement, args...)
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for watch := watchClone(j.task, time.Now()); ; {
		select {
		case err := <-ended:
			return side.settle(ctx, err)
		case <-tick.C:
			progress, donor := look.tellProgress(ctx), j.fleet.Probe(ctx, j.task.Donor)
			watch = watch.saw(progress, donor.OK(), time.Now())
			if err := watch.overdue(time.Now()); err != nil {
				j.endClone(lasting, side, ended)
				return err
			}
		case <-ctx.Done():
			j.endClone(lasting, side, ended)
			return ctx.Err()
		}
	}
}

// idleFor keeps a session from being ended for its silence as long as a clone may take.
func idleFor(t settle.Task) string {
	const most = 365 * 24 * time.Hour // that MySQL takes
	return fmt.Sprintf("SET SESSION wait_timeout = %d", int(min(most, cmp.Or(t.TimeMax, settle.CloneTimeMax)+time.Hour).Seconds()))
}

// unready keeps a clone from a server that others can write to, or that replicates.
var unready = guard{
	broken: "@@GLOBAL.read_only = 0 OR @@GLOBAL.offline_mode = 0 OR EXISTS (SELECT 1 FROM performance_schema.replication_connection_status WHERE channel_name = '' AND service_state <> 'OFF')",
	reason: reparent.ReasonRefused,
	detail: "it was opened, or attached to a source, meanwhile",
}

// cloneStatement has the password as an argument, which MySQL masks in its logs and in the process list.
func (j *job) cloneStatement() (string, []any, error) {
	host, port, err := net.SplitHostPort(string(j.task.Donor))
	if err != nil {
		return "", nil, refuse(reparent.ReasonRefused, "donor %q is no host:port", j.task.Donor)
	}
	settings, password := j.fleet.settings, ""
	if settings.Password != nil {
		if password, err = settings.Password(); err != nil {
			return "", nil, refuse(reparent.ReasonRefused, "password of account %q: %v", settings.User, err)
		}
	}
	statement := "CLONE INSTANCE FROM ?@?:" + port + " IDENTIFIED BY ?"
	if settings.TLS != nil || settings.ReplicationTLS.Enabled {
		statement += " REQUIRE SSL"
	}
	return statement, []any{settings.User, host, password}, nil
}

// endClone ends a clone that runs, and waits a moment for its end.
func (j *job) endClone(ctx context.Context, side *aside, ended <-chan error) {
	ctx, cancel := context.WithTimeout(ctx, undoTime)
	defer cancel()
	if side.cancel(ctx) != nil {
		return // a higher term has cut us off, and ends it itself
	}
	select {
	case err := <-ended: // the step's answer is why it was cut off
		j.fleet.settings.Log.Debug("a clone was ended", "server", j.server, "error", err)
	case <-ctx.Done():
	}
}

// admitClone makes the copy a server of its own: it forgets the donor's channel, and is compared once more with the
// primary. Then repairs attach it like any other replica.
func (j *job) admitClone(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, isolateTime)
	defer cancel()
	o, err := j.observe(ctx)
	if err != nil {
		return "", err
	}
	if o, err = j.closeReplica(ctx, o); err != nil {
		return "", err
	}
	if err := j.dropCopiedChannel(ctx, o); err != nil {
		return "", err
	}
	if o, err = j.observe(ctx); err != nil {
		return "", err
	}
	p := j.fleet.Probe(ctx, j.task.Primary)
	if err := j.isWhole(o, p); err != nil {
		return "", err
	}
	return fmt.Sprintf("it holds %s and nothing that %s does not", o.Executed, j.task.Primary), nil
}

// dropCopiedChannel ends the donor's channel, which is copied with its data and names a relay log that is not here. Its
// receiver is off, for skip_replica_start was persisted; one that runs was started by somebody else.
func (j *job) dropCopiedChannel(ctx context.Context, o topology.Observation) error {
	switch r := o.Replication; {
	case r == nil:
		return nil
	case r.Receiver != topology.ThreadOff || r.Applier != topology.ThreadOff:
		return refuse(reparent.ReasonRefused, "somebody has started replication on %s; run STOP REPLICA there", j.server)
	}
	return j.changeUnless(ctx, []guard{unapplied}, "RESET REPLICA ALL")
}

// isWhole compares the copy with the primary.
func (j *job) isWhole(o, primary topology.Observation) error {
	if err := j.leads(primary); err != nil {
		return err
	}
	foreign := o.Executed.Subtract(primary.Executed).Only(func(s gtid.Source) bool { return s.UUID != j.task.PrimaryUUID })
	lacks := settle.Earlier(primary).Subtract(o.Executed)
	switch {
	case o.Executed.IsEmpty():
		return notYet("half", "%s is empty, as after a clone that did not end well; clone it again", j.server)
	case !foreign.IsEmpty():
		return refuse(reparent.ReasonErrant, "the copy holds %s, which %s does not", foreign, j.task.Primary)
	case !lacks.IsEmpty():
		return refuse(reparent.ReasonRefused, "the copy lacks %s, which it would not get from %s", lacks, j.task.Primary)
	}
	return nil
}

// cloneFailed says what an error means for the step.
func (j *job) cloneFailed(ctx context.Context, err error) settle.Result {
	if no, refused := errors.AsType[cloneRefusal](err); refused {
		return settle.Result{Outcome: reparent.No, Code: no.code, Detail: no.detail, Final: no.final}
	}
	errno := mysqlErrno(err)
	switch advice, known := cloneAdvices[errno]; {
	case ctx.Err() != nil:
		return settle.Result{Outcome: reparent.Unknown, Code: string(reparent.ReasonDeadline), Detail: fmt.Sprintf("the step was ended: %v", err)}
	case errno == errRestartFailed:
		return settle.Result{Outcome: reparent.Unknown, Code: codeStartIt, Detail: fmt.Sprintf("%s has its new data and is down, for nobody restarts it: start it", j.server)}
	case j.task.Step == settle.StepClone && errno == 0 && reasonOf(err) == reparent.ReasonUnreachable:
		return awaitedStart(j.task, err.Error())
	case known:
		r := failedStep(ctx, err)
		r.Code, r.Final, r.Detail = advice.code, advice.final, fmt.Sprintf("%s: %s", r.Detail, advice.text)
		return r
	case errno == errSyntax: // MySQL repeats the statement, password included
		return refusedStep("clone_failed", "CLONE on %s: error %d", j.server, errno)
	}
	return failedStep(ctx, err)
}

// cloneRefusal is a condition that a clone needs and that does not hold.
type cloneRefusal struct {
	code, detail string
	final        bool
}

func (r cloneRefusal) Error() string { return r.detail }

func notYet(code, format string, args ...any) error {
	return cloneRefusal{code: code, detail: fmt.Sprintf(format, args...)}
}

func never(code, format string, args ...any) error {
	return cloneRefusal{code: code, detail: fmt.Sprintf(format, args...), final: true}
}

// codeStartIt is why a step waits for a person: only who runs the server's host can start it.
const codeStartIt = "start_it"

// awaitsStart tells whether a step finds its server down because the step before it made the server restart.
func awaitsStart(t settle.Task, r settle.Result) bool {
	return t.Kind == settle.KindClone && (t.Step == settle.StepClone || t.Step == settle.StepAdmit) &&
		(r.Code == string(reparent.ReasonUnreachable) || r.Code == string(reparent.ReasonDeadline))
}

func awaitedStart(t settle.Task, why string) settle.Result {
	return settle.Result{Outcome: reparent.Unknown, Code: codeStartIt,
		Detail: fmt.Sprintf("%s restarts after a clone; where nothing supervises it, it stays down until somebody starts it (%s)", t.Server, why)}
}

// cloneAdvice is what to do about an error of CLONE.
type cloneAdvice struct {
	code  string
	final bool
	text  string
}

// cloneAdvices are by number; texts change between versions.
var cloneAdvices = map[int]cloneAdvice{
	1227: {"denied", true, "the account lacks a privilege; GRANT CLONE_ADMIN ON *.* on the server and GRANT BACKUP_ADMIN ON *.* on the donor"},
	1158: {"interrupted", false, "it was cut off while it read from its donor, as by KILL QUERY; it begins anew"},
	1317: {"interrupted", false, "somebody ended it; it begins anew"},
	1524: {"plugin", true, "the clone plugin is not active; INSTALL PLUGIN clone SONAME 'mysql_clone.so'"},
	3634: {"busy", false, "an earlier clone has not ended"},
	3862: {"donor", false, "the donor refused or died; see whether the account may log in there, with BACKUP_ADMIN, and whether the clone plugin is active"},
	3863: {"donor", false, "the donor answered something else"},
	3864: {"version", true, "their versions cannot be cloned to each other"},
	3865: {"platform", true, "their operating systems differ"},
	3866: {"platform", true, "their platforms differ"},
	3867: {"settings", true, "a collation of the donor is missing"},
	3868: {"settings", true, "a setting that is made with the data directory differs"},
	3869: {"settings", false, "a setting of the clone itself is wrong"},
	3870: {"plugin", true, "a plugin that the donor's data needs is not active here"},
	3872: {"tls", true, "encrypted tables are only cloned over TLS; configure mysql.tls"},
	3873: {"disk", false, "the disk has no room for the donor's data"},
	3874: {"busy", false, "an earlier clone has not ended"},
	3875: {"busy", false, "the server does something that a clone cannot run beside"},
	3957: {"settings", true, "raise max_allowed_packet to 2 MiB or more on both servers"},
}

// namesOf lists addresses as a sentence does.
func namesOf(all []topology.Address) string {
	var texts []string
	for _, a := range all {
		texts = append(texts, string(a))
	}
	return strings.Join(texts, ", ")
}
