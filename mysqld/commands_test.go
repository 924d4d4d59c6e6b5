package mysqld_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// command is a command to a server by its index.
func (w *stage) command(verb reparent.Verb, i int, term uint32) reparent.Command {
	return reparent.Command{Verb: verb, Server: w.address(i), Term: term}
}

func (w *stage) has(i int, id int64) bool {
	w.Helper()
	return w.value(i, "SELECT COUNT(*) FROM app.rows WHERE id = ?", id) == "1"
}

// holds asks for a position: executed and received together.
const holds = "SELECT GTID_SUBSET(?, CONCAT(@@GLOBAL.gtid_executed, ',', received_transaction_set)) FROM performance_schema.replication_connection_status"

// applies waits until a row has arrived.
func (w *stage) applies(i int, id int64) {
	w.Helper()
	w.eventually(i, "1", "SELECT COUNT(*) FROM app.rows WHERE id = ?", id)
}

func TestAFrozenReplicaStaysFrozenOverARestart(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	r := w.must(f, w.freeze(1, term))
	if o := r.Observation; o.Replication.Receiver != topology.ThreadOff || o.Replication.Applier != topology.ThreadOn {
		t.Errorf("receiver %s, applier %s; expected the receiver alone to be off", o.Replication.Receiver, o.Replication.Applier)
	}
	w.must(f, w.freeze(1, term))
	if err := w.servers[1].Restart(context.Background()); err != nil {
		t.Fatal(err)
	}
	if state := w.value(1, receiverState); state != "OFF" {
		t.Errorf("after a restart the receiver is %s", state)
	}
	w.must(f, w.command(reparent.Resume, 1, term))
	w.applies(1, w.mustWrite(0))
}

func TestAServerWithoutASourceIsFrozenAsItIs(t *testing.T) {
	w := realStage(t)
	r := w.must(w.elector("elector-1"), w.freeze(0, w.term()))
	if o := r.Observation; o.Replication != nil || o.ReadOnly {
		t.Error("the observation does not say that the server is a writable one without a source")
	}
}

func TestAReceiverThatDoesNotStopInTimeIsNotFrozen(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	hole := blackHole(t)
	w.point(1, hole)
	w.exec(1, "START REPLICA")
	w.eventually(1, "CONNECTING", receiverState)
	freeze := w.freeze(1, term)
	freeze.Deadline = time.Second // long enough to log in twice, and not to see the end of a connect
	r := w.do(f, freeze)
	if r.Outcome != reparent.Unknown || r.Reason != reparent.ReasonDeadline {
		t.Fatalf("%s, %s: %s; expected unknown, deadline", r.Outcome, r.Reason, r.Detail)
	}
	newer := w.elector("elector-2")
	if r := w.must(newer, w.command(reparent.AwaitApplied, 1, term+1)); r.Took > 2*time.Second {
		t.Errorf("a STOP REPLICA that hangs kept a newer elector out for %s", r.Took)
	}
	w.must(newer, w.freeze(1, term+1))
}

func TestAReceiverThatIsAboutToBeStoppedHasNotBeenResumed(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.point(1, blackHole(t))
	w.exec(1, "START REPLICA")
	w.eventually(1, "CONNECTING", receiverState)
	freeze := w.freeze(1, term)
	freeze.Deadline = time.Second // long enough to log in twice, and not to see the end of a connect
	w.do(f, freeze)
	w.refused(f, w.command(reparent.Resume, 1, term), reparent.ReasonRefused)
	w.eventually(1, "OFF", receiverState)
	w.must(f, w.command(reparent.Resume, 1, term))
}

// blackHole is a port that takes connections and never says anything.
func blackHole(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().(*net.TCPAddr).Port
}

func TestResumeRefusesAServerThatHasStrayed(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.must(f, w.freeze(1, term))
	within := w.executed(1)
	w.exec(1, "SET GLOBAL super_read_only = OFF; INSERT INTO app.rows VALUES (?); SET GLOBAL super_read_only = ON", shared.rows.Add(1))
	resume := w.command(reparent.Resume, 1, term)
	resume.Within = within
	r := w.refused(f, resume, reparent.ReasonErrant)
	contains(t, r.Detail, w.value(1, "SELECT @@server_uuid"))
	if state := w.value(1, receiverState); state != "OFF" {
		t.Errorf("the receiver is %s", state)
	}
	resume.Within = w.executed(1)
	w.must(f, resume)
}

func TestPoisonHoldsEveryCommitUntilTheAntidote(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.stopAckers()
	id, ended := w.waitingWrite(0)
	w.must(f, w.command(reparent.Poison, 0, term))
	r := w.must(f, w.command(reparent.Poison, 0, term))
	if o := r.Observation; o.SemiSync.Acks != topology.PoisonAcks || !o.OfflineMode || o.SemiSync.Waiters != 1 {
		t.Errorf("acks %d, offline %t, waiters %d", o.SemiSync.Acks, o.OfflineMode, o.SemiSync.Waiters)
	}
	if err := <-ended; err == nil {
		t.Error("a client heard OK from a poisoned leader")
	}
	antidote := w.command(reparent.Antidote, 0, term)
	antidote.Acks = 1
	w.must(f, antidote)
	w.startAckers()
	w.awaitWaiters(0, 0)
	w.applies(1, id)
	w.mustWrite(0)
}

func TestPoisonDoesNothingToALeaderThatDoesNotWait(t *testing.T) {
	rows := map[string]string{
		"semi-sync is off":              "SET GLOBAL rpl_semi_sync_source_enabled = OFF",
		"it falls back after a timeout": "SET GLOBAL rpl_semi_sync_source_timeout = 10000",
		"it does without replicas":      "SET GLOBAL rpl_semi_sync_source_wait_no_replica = OFF",
		"it shows rows before acks":     "SET GLOBAL rpl_semi_sync_source_wait_point = AFTER_COMMIT",
	}
	for name, setting := range rows {
		t.Run(name, func(t *testing.T) {
			w := realStage(t)
			t.Cleanup(func() {
				w.exec(0, "SET GLOBAL rpl_semi_sync_source_wait_no_replica = ON; SET GLOBAL rpl_semi_sync_source_wait_point = AFTER_SYNC")
			})
			w.exec(0, setting)
			w.refused(w.elector("elector-1"), w.command(reparent.Poison, 0, w.term()), reparent.ReasonNotSemiSync)
			if now := w.value(0, "SELECT CONCAT(@@GLOBAL.rpl_semi_sync_source_wait_for_replica_count, @@GLOBAL.offline_mode)"); now != "10" {
				t.Errorf("it was changed nevertheless: %s", now)
			}
		})
	}
}

func TestDemoteReadsTheFinalPosition(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.mustWrite(0)
	r := w.must(f, w.command(reparent.Demote, 0, term))
	if got, want := r.Observation.Executed, w.executed(0); !got.Equal(want) {
		t.Errorf("final position %s, it is %s", got, want)
	}
	if _, ended := w.write(0); <-ended == nil {
		t.Error("a demoted server took a write")
	}
	w.must(f, w.command(reparent.Demote, 0, term))
	w.must(f, w.command(reparent.Reopen, 0, term))
	w.mustWrite(0)
}

// inVain is how long a command waits for what does not come. Before that it logs in, which takes its time on a busy machine.
const inVain = 2 * time.Second

func TestADemotionThatHangsIsUndone(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.stopAckers()
	id, ended := w.waitingWrite(0)
	demote := w.command(reparent.Demote, 0, term)
	demote.Deadline = inVain
	w.refused(f, demote, reparent.ReasonDeadline)
	if now := w.value(0, "SELECT CONCAT(@@GLOBAL.read_only, @@GLOBAL.super_read_only, @@GLOBAL.offline_mode)"); now != "000" {
		t.Errorf("read_only, super_read_only, offline_mode are %s", now)
	}
	w.startAckers()
	if err := <-ended; err != nil {
		t.Errorf("the write that stood in the way: %v", err)
	}
	w.applies(1, id)
	w.mustWrite(0)
}

func TestADemotionWithClientsCutThatHangsLetsThemBackIn(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.stopAckers()
	_, ended := w.waitingWrite(0)
	demote := w.command(reparent.Demote, 0, term)
	demote.Deadline, demote.Offline = inVain, true
	w.refused(f, demote, reparent.ReasonDeadline)
	if err := <-ended; err == nil {
		t.Error("the waiting client was not cut")
	}
	w.startAckers()
	w.mustWrite(0)
}

func TestFencingTellsNoClientOKAndLeavesNothingWaiting(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.exec(0, "CREATE USER IF NOT EXISTS dba IDENTIFIED BY 'dba'; GRANT CONNECTION_ADMIN, INSERT ON *.* TO dba")
	w.stopAckers()
	before := w.executed(0)
	id, ended := w.waitingWrite(0)
	admin := w.writeAs(w.login(0, "dba", "dba"))
	w.eventually(0, "waiting for handler commit", "SELECT processlist_state FROM performance_schema.threads WHERE processlist_user = 'dba'")
	r := w.must(f, w.command(reparent.Fence, 0, term))
	if err := <-ended; err == nil {
		t.Error("a client heard OK for a commit that nobody acknowledged")
	}
	if err := <-admin; err == nil {
		t.Error("an administrator, whom offline_mode spares, heard OK for a commit that nobody acknowledged")
	}
	o := r.Observation
	if !o.SuperReadOnly || !o.OfflineMode || o.SemiSync.Waiters != 0 || o.SemiSync.SourceEnabled {
		t.Errorf("super_read_only %t, offline_mode %t, %d waiters, source %t", o.SuperReadOnly, o.OfflineMode, o.SemiSync.Waiters, o.SemiSync.SourceEnabled)
	}
	if !w.has(0, id) || o.Executed.Subtract(before).Count() != 2 {
		t.Errorf("what it completed does not show: %s", o.Executed.Subtract(before))
	}
	w.must(f, w.command(reparent.Fence, 0, term))
}

func TestFencingStopsAtACommitOfAnAccountThatItCannotEnd(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.stopAckers()
	root := w.writeAs(w.admin(0))
	w.awaitWaiters(0, 1)
	fence := w.command(reparent.Fence, 0, term)
	fence.Deadline = time.Minute
	r := w.refused(f, fence, reparent.ReasonWaiters)
	contains(t, r.Detail, "SYSTEM_USER")
	w.eventually(0, "0", "SELECT @@GLOBAL.super_read_only")
	select {
	case err := <-root:
		t.Errorf("the commit that nobody acknowledged has returned: %v", err)
	default:
	}
	w.exec(0, "SET GLOBAL offline_mode = OFF")
	w.startAckers()
	if err := <-root; err != nil {
		t.Error(err)
	}
}

func TestFencingLetsWhatAnApplierCommitsThrough(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	enable := w.command(reparent.EnableSource, 1, term)
	enable.Acks = 1
	w.must(f, enable)
	w.exec(1, "SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF") // closing it waits for what is being committed
	w.mustWrite(0)
	w.awaitWaiters(1, 1)
	fence := w.command(reparent.Fence, 1, term)
	fence.Deadline = 20 * time.Second
	r := w.must(f, fence)
	if o := r.Observation; !o.SuperReadOnly || o.SemiSync.Waiters != 0 || o.SemiSync.SourceEnabled || !o.Executed.Contains(w.executed(0)) {
		t.Errorf("super_read_only %t, %d waiters, source %t, executed %s", o.SuperReadOnly, o.SemiSync.Waiters, o.SemiSync.SourceEnabled, o.Executed)
	}
	w.exec(1, "SET GLOBAL offline_mode = OFF")
}

func TestFencingAQuietServerTakesNoWaiters(t *testing.T) {
	w := realStage(t)
	r := w.must(w.elector("elector-1"), w.command(reparent.Fence, 0, w.term()))
	if !r.Observation.SuperReadOnly || !r.Observation.OfflineMode {
		t.Error("it is not closed")
	}
}

// MySQL disturbs the login that follows on the heels of offline_mode, where it has cut TLS sessions.
func TestALoginThatIsLostRightAfterOfflineModeIsMadeAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		verb   reparent.Verb
		closes bool
	}{
		{"cut, of a fencing", reparent.Fence, true},
		{"hanging, of a fencing", reparent.Fence, false},
		{"cut, of a demotion", reparent.Demote, true},
		{"hanging, of a demotion", reparent.Demote, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := realStage(t)
			f, term := w.elector("elector-1"), w.term()
			p, admin := newProxy(t, string(w.address(0))), w.admin(0)
			l := &loss{func() bool {
				var offline bool
				err := admin.QueryRowContext(w.Context(), "SELECT @@GLOBAL.offline_mode").Scan(&offline)
				return err == nil && offline
			}, c.closes}
			p.lost.Store(l)
			r := w.must(f, reparent.Command{Verb: c.verb, Server: p.address(), Term: term, Offline: c.verb == reparent.Demote})
			if p.lost.Load() != nil {
				t.Error("no login was lost")
			}
			if !r.Observation.SuperReadOnly || !r.Observation.OfflineMode {
				t.Error("it is not closed")
			}
		})
	}
}

func TestAwaitAppliedEndsInTimeAndSoonerWhenNothingApplies(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.stand(f, 1, term)
	await := w.command(reparent.AwaitApplied, 1, term)
	await.Set, await.Deadline = topology.Marker{Term: 1}.Set(), time.Second
	r := w.refused(f, await, reparent.ReasonDeadline)
	if r.Took > 2*time.Second {
		t.Errorf("it took %s", r.Took)
	}
	w.exec(1, "STOP REPLICA; RESET REPLICA ALL")
	await.Deadline = time.Minute
	w.refused(f, await, reparent.ReasonUnapplied)
}

func TestAwaitAppliedStartsAnApplierThatStandsStillAndOnlyOnce(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	await := w.command(reparent.AwaitApplied, 1, term)
	await.Deadline = time.Minute
	w.exec(1, "STOP REPLICA SQL_THREAD")
	w.mustWrite(0)
	w.eventually(1, "1", holds, w.executed(0).String())
	await.Set = w.executed(0)
	w.must(f, await)
	const state = "SELECT service_state FROM performance_schema.replication_applier_status WHERE channel_name = ''"
	if now := w.value(1, state); now != "ON" {
		t.Errorf("the applier is %s", now)
	}
	w.exec(1, "STOP REPLICA SQL_THREAD")
	await.Set = topology.Marker{Term: 1}.Set() // which nobody has
	answer := make(chan reparent.Result, 1)
	go func() { answer <- w.do(f, await) }()
	w.eventually(1, "ON", state)
	w.exec(1, "STOP REPLICA SQL_THREAD")
	if r := <-answer; r.Outcome != reparent.No || r.Reason != reparent.ReasonUnapplied {
		t.Errorf("somebody has stopped it again: %s, %s: %s", r.Outcome, r.Reason, r.Detail)
	}
	if now := w.value(1, state); now != "OFF" {
		t.Errorf("the applier is %s, and somebody had stopped it again", now)
	}
}

func TestAwaitAckersCountsThem(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	await := w.command(reparent.AwaitAckers, 0, term)
	await.Acks = 2
	w.must(f, await)
	await.Acks, await.Deadline = 9, time.Second
	w.refused(f, await, reparent.ReasonDeadline)
}

func TestTheSourceSideIsEnabledOnlyAfterCatchingUp(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.exec(1, "STOP REPLICA SQL_THREAD")
	w.mustWrite(0)
	w.eventually(1, "1", holds, w.executed(0).String())
	enable := w.command(reparent.EnableSource, 1, term)
	enable.Acks = 1
	w.refused(f, enable, reparent.ReasonUnapplied)
	w.exec(1, "START REPLICA; SET GLOBAL rpl_semi_sync_source_timeout = 10000")
	w.caughtUp()
	w.must(f, enable)
	w.must(f, enable)
	if now := w.value(1, "SELECT CONCAT(@@GLOBAL.rpl_semi_sync_source_enabled, ' ', @@GLOBAL.rpl_semi_sync_source_timeout)"); now != "1 4294967295" {
		t.Errorf("enabled and timeout are %s", now)
	}
	w.must(f, w.command(reparent.DisableSource, 1, term))
}

func TestPreparingTheSourceDoesNotEnableIt(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	prepare := w.command(reparent.PrepareSource, 1, term)
	prepare.Acks = 2
	w.must(f, prepare)
	if now := w.value(1, "SELECT CONCAT(@@GLOBAL.rpl_semi_sync_source_enabled, @@GLOBAL.rpl_semi_sync_source_wait_for_replica_count)"); now != "02" {
		t.Errorf("enabled and count are %s", now)
	}
}

func TestTheSourceSideIsNotDisabledUnderWaiters(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.stopAckers()
	w.waitingWrite(0)
	w.refused(f, w.command(reparent.DisableSource, 0, term), reparent.ReasonWaiters)
	w.startAckers()
	w.awaitWaiters(0, 0)
	w.must(f, w.command(reparent.DisableSource, 0, term))
}

func TestCommitsThatNeedNotWaitAreLetGo(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.stopAckers()
	w.waitingWrite(0)
	release := w.command(reparent.DisableSource, 0, term)
	release.Release, release.Incarnation = true, "another"
	w.refused(f, release, reparent.ReasonRefused)
	release.Incarnation = w.must(f, w.command(reparent.Read, 0, term)).Observation.Incarnation
	w.exec(0, "SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 65535")
	w.refused(f, release, reparent.ReasonWaiters)
	w.exec(0, "SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 1")
	if o := w.must(f, release).Observation; o.SemiSync.SourceEnabled || o.SemiSync.Waiters > 0 {
		t.Errorf("%+v", o.SemiSync)
	}
}

func TestDetachStopsAReceiverOfWhichNothingIsAppliedAnyMore(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.caughtUp()
	w.exec(1, "STOP REPLICA SQL_THREAD")
	id := w.mustWrite(0)
	w.eventually(1, "1", holds, w.executed(0).String())
	w.refused(f, w.command(reparent.Detach, 1, term), reparent.ReasonUnapplied)
	if state := w.value(1, receiverState); state != "OFF" {
		t.Errorf("its receiver is %s", state)
	}
	w.eventually(1, "1", holds, w.executed(0).String())
	w.exec(1, "START REPLICA")
	w.applies(1, id)
}

func TestDetachForgetsTheSource(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.caughtUp()
	w.must(f, w.command(reparent.Detach, 1, term))
	r := w.must(f, w.command(reparent.Detach, 1, term))
	if r.Observation.Replication != nil {
		t.Error("it still has a source")
	}
}

func TestOpeningChecksThatCommitsWillWait(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.must(f, w.command(reparent.Demote, 0, term))
	open := w.command(reparent.Open, 0, term)
	open.Acks = 2
	w.refused(f, open, reparent.ReasonNotSemiSync)
	if w.value(0, "SELECT @@GLOBAL.read_only") != "1" {
		t.Error("it was opened")
	}
	open.Acks = 1
	w.must(f, open)
	w.mustWrite(0)
}

func TestAVerbThatNobodyKnowsIsRefused(t *testing.T) {
	w := realStage(t)
	w.refused(w.elector("elector-1"), w.command("dance", 1, w.term()), reparent.ReasonRefused)
}

func TestReadingAServerNeedsNoFence(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.stand(w.elector("elector-2"), 1, term+1)
	if r := w.must(f, w.command(reparent.Read, 1, term)); !r.Observation.OK() {
		t.Error("no observation came back")
	}
}

// MySQL shows the heartbeat of the connection before until a new one is due, half a minute by its own default.
func TestAReplicaThatHasJustConnectedHasHeardOfItsSource(t *testing.T) {
	w := realStage(t)
	f := w.elector("elector-1")
	w.exec(2, "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_HEARTBEAT_PERIOD = 30; START REPLICA")
	w.Cleanup(func() {
		w.exec(2, "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_HEARTBEAT_PERIOD = 0.5; START REPLICA")
	})
	w.eventually(2, "ON", receiverState)
	w.exec(2, "STOP REPLICA IO_THREAD")
	if o := f.Probe(t.Context(), w.address(2)); o.Replication.Receiver != topology.ThreadOff {
		t.Fatalf("%+v", o.Replication)
	}
	started := time.Now()
	w.exec(2, "START REPLICA IO_THREAD")
	w.eventually(2, "ON", receiverState)
	if o := f.Probe(t.Context(), w.address(2)); o.Replication.HeartbeatAge < 0 || o.Replication.HeartbeatAge > time.Since(started) {
		t.Errorf("it connected less than %s ago: %+v", time.Since(started), o.Replication)
	}
}
