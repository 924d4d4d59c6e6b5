package sim

import (
	"errors"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
)

func TestE4ACrashCompletesWhatNobodyAcknowledged(t *testing.T) {
	f := newTrio(t)
	f.a.options.SuperReadOnly = false
	f.stopAckers()
	o := f.write(f.a)
	before, began := f.a.incarnation, f.clock.now
	f.a.kill()
	f.pass(10 * time.Millisecond)
	f.check("its client heard of the end", errors.Is(o.err, errConnReset))
	refused := f.dial(f.a, accountApp, announcement{})
	f.check("the host refuses", errors.Is(refused.err, errConnRefused))
	f.a.boot()
	f.eventually("it serves", func() bool { return f.a.state == processUp })
	f.check("in about a second", f.clock.now-began < 2*time.Second)
	f.check("the row is there", f.a.hasRow(o.row) && f.a.executed().Has(last(f.a)))
	f.check("semi-sync off, writable, another incarnation", !f.a.semi.source && !f.a.readOnly && f.a.incarnation != before)
}

func TestBootSettingsHoldAtTheNextStart(t *testing.T) {
	f := newTrio(t)
	f.a.options.Offline = true
	f.check("by the option file", f.a.observe(epoch).Settings.BootReadOnly)
	f.exec(f.a, func(on *guest, done func(error)) { on.server.persistSuperReadOnly(on, false, done) })
	f.check("what is persisted comes first", !f.a.observe(epoch).Settings.BootReadOnly)
	f.exec(f.a, func(on *guest, done func(error)) { on.server.persistSuperReadOnly(on, true, done) })
	f.restart(f.a)
	f.check("closed and offline", f.a.superReadOnly && f.a.readOnly && f.a.offline)
}

func TestARestartMakesAServerAcknowledgeWhereItsOptionFileSaysSo(t *testing.T) {
	f := newTrio(t)
	seen := func() *topology.Observation { o := f.b.observe(epoch); return &o }
	f.b.options.SemiSyncReplica, f.b.options.SkipReplicaStart = false, false
	f.restart(f.b)
	f.check("off at start", f.b.observe(epoch).Settings.BootAcksOff && !seen().MayAck())
	f.b.setReplicaSide(false)
	f.check("what was set hides what the option file says", seen().AcksAlone())
	f.b.options.SemiSyncReplica = true
	f.restart(f.b)
	f.check("on at start", f.b.semi.replica && !f.b.observe(epoch).Settings.BootAcksOff)
	f.exec(f.b, func(on *guest, done func(error)) { on.server.persistSkipReplicaStart(on, true, done) })
	f.check("it waits to be started", !seen().AcksAlone())
}

func TestE6AnOrderlyShutdownAnswersOKToWaiters(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	o := f.write(f.a)
	f.a.shutDown()
	f.pass(10 * time.Millisecond)
	f.check("OK", o.ok())
	f.a.boot()
	f.arrives(f.a, o.row)
	f.check("on the primary alone", !f.b.hasRow(o.row) && !f.c.hasRow(o.row))
}

func TestAWipedServerIsANewOneThatGetsEverything(t *testing.T) {
	f := newTrio(t)
	o := f.written(f.a)
	f.arrives(f.b, o.row)
	uuid, id := f.b.uuid, f.b.serverID
	f.b.wipe()
	f.b.boot()
	f.eventually("up", func() bool { return f.b.state == processUp })
	f.check("another", f.b.uuid != uuid && f.b.serverID != id && f.b.executed().IsEmpty() && f.b.channel == nil)
	f.b.follows("A", true)
	f.arrives(f.b, o.row)
}

func TestAServerThatIsRebuiltUnderItsOldServerIDSkipsWhatItWrote(t *testing.T) {
	f := newTrio(t)
	o := f.written(f.a)
	f.arrives(f.b, o.row)
	id := f.a.serverID
	f.a.wipe()
	f.a.serverID = id
	f.a.boot()
	f.eventually("up", func() bool { return f.a.state == processUp })
	f.a.follows("B", false)
	f.stays("skipped", func() bool { return !f.a.hasRow(o.row) })
}

func TestAFrozenServerTakesUpWhatCameMeanwhile(t *testing.T) {
	f := newTrio(t)
	f.exec(f.c, stopReceiver)
	f.b.freeze()
	o := f.write(f.a)
	silent := f.dial(f.b, accountPrimacy, announcement{})
	gone := f.dial(f.b, accountPrimacy, announcement{term: 9})
	gone.wire.close()
	f.stays("nothing comes back", func() bool { return !o.heard && !silent.heard })
	f.b.thaw()
	f.eventually("both are answered", func() bool { return o.ok() && silent.ok() })
	f.pass(10 * time.Millisecond)
	for _, g := range f.b.sessions() {
		f.check("no session of a client that gave up", g.says.term != 9)
	}
}

func TestAHostWithoutPowerIsSilentAndRefusesWhenItIsBack(t *testing.T) {
	f := newTrio(t)
	f.a.powerOff()
	o := f.dial(f.a, accountApp, announcement{})
	f.stays("silent", func() bool { return !o.heard })
	state, _ := f.b.receiver()
	f.check("its replicas do not know yet", state == topology.ThreadOn)
	f.a.powerOn()
	f.eventually("refused", func() bool { return errors.Is(o.err, errConnRefused) })
}

func TestAServerDoesNotStartBeforeItsDiskWorks(t *testing.T) {
	f := newTrio(t)
	f.b.kill()
	f.b.stallDisk()
	f.b.boot()
	f.stays("it starts", func() bool { return f.b.state == processBooting })
	f.b.healDisk()
	f.eventually("it serves", func() bool { return f.b.state == processUp })
}

func TestACloneWaitsForBothDisks(t *testing.T) {
	for name, of := range map[string]func(f *trio) *server{
		"its own":     func(f *trio) *server { return f.b },
		"the donor's": func(f *trio) *server { return f.a },
	} {
		t.Run(name, func(t *testing.T) {
			f := newTrio(t)
			stuck, cloned := of(f), false
			f.b.clone(f.a.address, always, func(err error) { cloned = err == nil })
			stuck.stallDisk()
			f.pass(10 * time.Second)
			f.check("nothing is copied yet", f.b.state == processUp && !cloned)
			stuck.healDisk()
			f.eventually("cloned", func() bool { return cloned })
		})
	}
}

func TestACloneFailsWithItsDonor(t *testing.T) {
	f := newTrio(t)
	before := f.b.uuid
	var why error
	f.b.clone(f.a.address, always, func(err error) { why = err })
	f.a.kill()
	f.a.boot()
	f.eventually("given up", func() bool { return why != nil })
	f.check("as it was", f.a.state == processUp && f.b.uuid == before && errors.Is(why, errNoDonor))
}

func TestWhatIsFrozenOrStartsCanDieAndWhatIsDeadCannot(t *testing.T) {
	w := newWorld(1, Options{})
	s := w.hosts.all[2]
	for _, k := range []Kind{Crash, HostDown, Wipe} {
		for name, put := range map[string]func(){"frozen": s.freeze, "starting": func() { s.kill(); s.boot() }} {
			put()
			before := s.life
			if !w.harm(Fault{Kind: k, For: time.Second}, s) || s.life == before || s.state != processDead {
				t.Errorf("%s does not end a server that is %s", k, name)
			}
			if w.harm(Fault{Kind: k, For: time.Second}, s) {
				t.Errorf("%s meets a server that is dead", k)
			}
			s.powerOn()
			s.boot()
			w.clock.runUntil(w.clock.now+3*time.Second, nil)
		}
	}
	s.freeze()
	if w.harm(Fault{Kind: Purge}, s) {
		t.Error("a frozen server purged its logs")
	}
}
