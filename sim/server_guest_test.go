package sim

import (
	"errors"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
)

func TestE2KillCutsTheClientAndNotTheWait(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	o := f.write(f.a)
	id := o.wire.guest.id
	f.exec(f.a, func(on *guest, done func(error)) { done(on.server.killSession(id, on)) })
	f.pass(10 * time.Millisecond)
	f.check("cut", o.heard && errors.Is(o.err, errConnReset))
	f.stays("it waits", func() bool { return waiters(f.a) == 1 })
	f.check("it is listed", f.a.guest(id).connected())
	f.startAckers()
	f.arrives(f.a, o.row)
	f.check("it is gone then", f.a.guest(id) == nil)
}

func TestE3SuperReadOnlyHangsBehindAWaiterAndReads1(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	o := f.write(f.a)
	closing := f.as(accountPrimacy, f.a, closeNow)
	f.pass(10 * time.Millisecond)
	seen := f.a.observe(epoch)
	f.check("it reads 1 and read_only 0", seen.SuperReadOnly && !seen.ReadOnly && seen.Stall.ReadOnlyWait)
	queued := f.write(f.a)
	f.stays("both hang", func() bool { return !closing.heard && !queued.heard })
	f.exec(f.a, func(on *guest, done func(error)) { done(on.server.killQuery(closing.wire.guest.id)) })
	f.eventually("it ends with 1317", func() bool { return closing.heard && errors.Is(closing.err, errQueryInterrupted) })
	f.check("nothing is left of it", !f.a.superReadOnly && !f.a.readOnly)
	f.startAckers()
	f.eventually("both writes are answered", func() bool { return o.ok() && queued.ok() })
}

func TestE3SuperReadOnlyTakesEffectWhenTheWaiterIsGone(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	o := f.write(f.a)
	closing := f.as(accountPrimacy, f.a, closeNow)
	f.pass(10 * time.Millisecond)
	queued := f.write(f.a)
	f.startAckers()
	f.eventually("it returns", closing.ok)
	f.check("in force", f.a.readOnly && f.a.superReadOnly && !f.a.observe(epoch).Stall.ReadOnlyWait)
	f.eventually("the waiter heard OK", o.ok)
	f.eventually("what queued is refused", func() bool { return queued.heard })
	f.check("with 1290", errors.Is(queued.err, errReadOnlyOption))
}

func TestE3LockWaitTimeoutGivesUpAndLeavesNothing(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	f.write(f.a)
	err := f.exec(f.a, func(on *guest, done func(error)) { on.server.closeForWrites(on, time.Second, done) })
	f.check("1205", errors.Is(err, errLockWaitTimeout))
	f.check("nothing is left", !f.a.superReadOnly && !f.a.readOnly)
}

func TestE10bOfflineThenClosedThenSourceOffTellsNobodyOK(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	o := f.write(f.a)
	f.exec(f.a, func(on *guest, done func(error)) { on.server.setOffline(true); done(nil) })
	f.pass(10 * time.Millisecond)
	f.check("cut", o.heard && errors.Is(o.err, errConnReset))
	closing := f.as(accountPrimacy, f.a, closeNow)
	f.stays("it waits", func() bool { return !closing.heard && waiters(f.a) == 1 })
	f.exec(f.a, sourceOff)
	f.check("closed", closing.ok() && f.a.superReadOnly && waiters(f.a) == 0)
	f.check("on the primary alone", f.a.hasRow(o.row) && !f.b.hasRow(o.row))
}

func TestE23NamedLocksWorkOnAClosedServerAndKillHandsThemOn(t *testing.T) {
	f := newTrio(t)
	first, second := f.dial(f.b, accountPrimacy, announcement{}), f.dial(f.b, accountPrimacy, announcement{term: 7})
	get := func(w *wire) (got bool) {
		o := f.run(w, func(on *guest, done func(error)) { got = on.server.getLock(on, "shop"); done(nil) })
		f.eventually("answered", func() bool { return o.heard })
		return got
	}
	f.check("had", get(first.wire))
	f.check("exclusive", get(first.wire) && !get(second.wire))
	f.check("used by the first", f.b.lockHolder("shop") == first.wire.guest)
	f.check("attributes are seen", f.b.sessions()[1].says.term == 7)
	id := first.wire.guest.id
	o := f.run(second.wire, func(on *guest, done func(error)) { done(on.server.killSession(id, on)) })
	f.eventually("killed", o.ok)
	f.check("handed on", get(second.wire))
	third := f.dial(f.b, accountPrimacy, announcement{})
	f.check("not to be had", !get(third.wire))
	f.eventually("released", f.run(second.wire, func(on *guest, done func(error)) { on.server.releaseLock(on, "shop"); done(nil) }).ok)
	f.check("to be had", get(third.wire))
	f.check("the first noticed", !first.wire.alive())
	o = f.run(second.wire, func(on *guest, done func(error)) { done(on.server.killSession(id, on)) })
	f.eventually("1094", func() bool { return errors.Is(o.err, errNoSuchThread) })
}

func TestKillDoesNotReachAccountsWithSystemUser(t *testing.T) {
	f := newTrio(t)
	root, ours := f.dial(f.b, accountRoot, announcement{}), f.dial(f.b, accountPrimacy, announcement{})
	o := f.run(ours.wire, func(on *guest, done func(error)) { done(on.server.killSession(root.wire.guest.id, on)) })
	f.eventually("1095", func() bool { return errors.Is(o.err, errNotOwnerOfThread) })
}

func TestT3SuperReadOnlyStopsEverybodyAndReadOnlyThoseWithoutConnectionAdmin(t *testing.T) {
	f := newTrio(t)
	d := decisionOf(19, f.b)
	mark := func(on *guest, done func(error)) { on.server.mark(on, d, done) }
	f.check("root is refused", errors.Is(f.exec(f.b, mark), errReadOnlyOption))
	f.b.setSuperReadOnlyOff()
	f.check("an application is refused", errors.Is(f.write(f.b).err, errReadOnlyOption))
	o := f.as(accountPrimacy, f.b, mark)
	f.eventually("Primacy writes", o.ok)
}

func TestT8OfflineModeCutsClientsAndKeepsReplicasOut(t *testing.T) {
	f := newTrio(t)
	client := f.dial(f.a, accountApp, announcement{})
	f.exec(f.a, func(on *guest, done func(error)) { on.server.setOffline(true); done(nil) })
	f.pass(100 * time.Millisecond)
	f.check("cut", !client.wire.alive())
	f.check("refused", errors.Is(f.dial(f.a, accountApp, announcement{}).err, errOffline))
	f.check("Primacy comes in", f.dial(f.a, accountPrimacy, announcement{}).ok())
	_, errno := f.b.receiver()
	f.check("replicas are refused", errno == int(errOffline) && f.a.semiSync().Clients == 0)
	f.a.setOffline(false)
	f.eventually("they come back", func() bool { return f.a.semiSync().Clients == 2 })
}

func TestT8ReplicasWithConnectionAdminStay(t *testing.T) {
	o := healthyOptions()
	o.ReplicasExempt = true
	f := trioOf(t, 1, o)
	f.a.setOffline(true)
	f.stays("connected", func() bool { return f.a.semiSync().Clients == 2 })
}

func TestSuperReadOnlyBehindAWaiterReads0WhereReadOnlyIsOn(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	f.write(f.a)
	f.a.readOnly = true
	closing := f.as(accountPrimacy, f.a, closeNow)
	f.pass(10 * time.Millisecond)
	f.check("0 and 1, and it waits", !f.a.superReadOnly && f.a.readOnly && f.a.observe(epoch).Stall.ReadOnlyWait)
	f.startAckers()
	f.eventually("in force", func() bool { return closing.ok() && f.a.superReadOnly })
}

func TestReadOnlyOffWhileSuperReadOnlyWaitsChangesNothingButReadOnly(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	f.write(f.a)
	closing := f.as(accountRoot, f.a, closeNow)
	f.pass(10 * time.Millisecond)
	f.a.setReadOnlyOff()
	f.check("it reads 1 and waits on", f.a.superReadOnly && !f.a.readOnly && !closing.heard)
	f.startAckers()
	f.eventually("closed", func() bool { return closing.ok() && f.a.closed() })

	f.stopAckers()
	f.a.setSuperReadOnlyOff()
	_, _ = f.a.errant(1000, true)
	closing = f.as(accountRoot, f.a, closeNow)
	f.pass(10 * time.Millisecond)
	f.check("it reads 0 where read_only was on", !f.a.superReadOnly && !closing.heard)
	f.a.setReadOnlyOff()
	f.startAckers()
	f.eventually("told OK, and open all the same", func() bool { return closing.ok() && f.a.superReadOnly && !f.a.closed() })
	f.written(f.a)

	closing = f.as(accountRoot, f.a, closeNow)
	f.eventually("told OK at once, and open still", func() bool { return closing.ok() && !f.a.closed() })
	f.stopAckers()
	f.write(f.a)
	both := f.as(accountRoot, f.a, func(on *guest, done func(error)) { on.server.closeUp(on, time.Minute, done) })
	f.pass(10 * time.Millisecond)
	f.check("read_only waits as well", f.a.superReadOnly && !f.a.readOnly && !both.heard && f.a.observe(epoch).Stall.ReadOnlyWait)
	f.startAckers()
	f.eventually("closed by both", func() bool { return both.ok() && f.a.closed() })
}

func TestWaitForExecutedGTIDSetEndsWithTheSetOrTheTime(t *testing.T) {
	f := newTrio(t)
	f.b.blockApplier(true)
	o := f.written(f.a)
	set := gtid.Of(last(f.a))
	wait := func(on *guest, done func(error)) { on.server.awaitExecuted(on, set, time.Second, done) }
	f.check("time over", errors.Is(f.exec(f.b, wait), errAwaitTimeout))
	waiting := f.as(accountPrimacy, f.b, wait)
	f.pass(10 * time.Millisecond)
	f.b.blockApplier(false)
	f.eventually("there", waiting.ok)
	f.check("applied", f.b.hasRow(o.row) && f.exec(f.b, wait) == nil)
}
