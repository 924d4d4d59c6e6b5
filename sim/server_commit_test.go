package sim

import (
	"errors"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
)

func TestT2AMarkerIsReceivedBeforeItIsApplied(t *testing.T) {
	f := newTrio(t)
	f.exec(f.b, stopApplier)
	d := decisionOf(17, f.a)
	f.check("marked", f.exec(f.a, func(on *guest, done func(error)) { on.server.mark(on, d, done) }) == nil)
	f.check("received", f.b.received().Has(d.Marker().GTID()) && !f.b.executed().Has(d.Marker().GTID()))
	f.check("known", f.b.knowsLater(16) && !f.b.knowsLater(17))
	f.check("no row yet", len(f.b.decisions()) == 0)
	f.check("the row where it is applied", len(f.a.decisions()) == 1 && f.a.decisions()[0].Intact())
	_ = f.b.startApplier()
	f.eventually("the row", func() bool { return len(f.b.decisions()) == 1 })
	f.check("again is nothing", f.exec(f.a, func(on *guest, done func(error)) { on.server.mark(on, d, done) }) == nil && len(f.a.decisions()) == 1)
}

func TestAMarkerThatAnotherSessionCommitsIsWaitedFor(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	d := decisionOf(2, f.a)
	mark := func(on *guest, done func(error)) { on.server.mark(on, d, done) }
	first := f.as(accountPrimacy, f.a, mark)
	f.pass(10 * time.Millisecond)
	f.check("owned", f.a.owned(d.Marker().GTID().UUID))
	second := f.as(accountPrimacy, f.a, mark)
	f.stays("both wait", func() bool { return !first.heard && !second.heard })
	f.startAckers()
	f.eventually("both are answered", func() bool { return first.ok() || second.ok() })
	f.check("one row", len(f.a.decisions()) == 1)
}

func TestAStalledDiskHangsCommitsAndAcknowledgements(t *testing.T) {
	f := newTrio(t)
	f.a.stallDisk()
	o := f.write(f.a)
	f.pass(3 * time.Second)
	stall := f.a.observe(epoch).Stall
	f.check("it shows", !o.heard && stall.OldestCommit >= 2*time.Second && stall.Committing == 1 && !stall.DiskFull && waiters(f.a) == 0)
	f.a.healDisk()
	f.eventually("OK", o.ok)
	f.b.stallDisk()
	f.c.stallDisk()
	o = f.write(f.a)
	f.pass(time.Second)
	f.check("no acknowledgement", waiters(f.a) == 1)
	hanging := f.as(accountPrimacy, f.b, stopReceiver)
	f.stays("STOP hangs too", func() bool { return !hanging.heard })
	f.b.healDisk()
	f.eventually("OK", func() bool { return o.ok() && hanging.ok() })
	f.a.fillDisk()
	f.write(f.a)
	f.pass(3 * time.Second)
	f.check("full is told apart", f.a.observe(epoch).Stall.DiskFull)
	f.a.kill()
	f.a.boot()
	f.stays("disks outlast processes", func() bool { return f.a.disk.full && f.a.state == processBooting })
	f.a.healDisk()
	f.eventually("up", func() bool { return f.a.state == processUp })
}

func TestASlowDiskMakesCommitsSlow(t *testing.T) {
	f := newTrio(t)
	f.a.slowDisk(400 * time.Millisecond)
	began := f.clock.now
	o := f.write(f.a)
	f.eventually("OK", o.ok)
	f.check("late", f.clock.now-began >= 400*time.Millisecond)
	f.a.slowDisk(0)
	f.check("in time again", f.written(f.a).ok())
}

func TestTheLowestFreeNumberIsUsedNext(t *testing.T) {
	f := newTrio(t)
	f.written(f.a)
	f.a.done.add(gtid.GTID{UUID: f.a.uuid, Number: 3})
	f.written(f.a)
	f.written(f.a)
	f.check("2 and 4", f.a.executed().Equal(gtid.Range(gtid.Source{UUID: f.a.uuid}, 1, 4)) && last(f.a).Number == 4)
}

func TestAStalledDiskStopsTheApplier(t *testing.T) {
	f := newTrio(t)
	f.b.blockApplier(true)
	o := f.written(f.a)
	f.b.stallDisk()
	f.b.blockApplier(false)
	f.stays("received and not applied", func() bool { return f.b.unapplied() && !f.b.hasRow(o.row) })
	f.b.healDisk()
	f.arrives(f.b, o.row)
}

func TestTheJournalTableReplicates(t *testing.T) {
	o := healthyOptions()
	o.NoJournal = true
	f := trioOf(t, 1, o)
	f.check("absent", !f.a.observe(epoch).Settings.JournalPresent)
	f.check("1146", errors.Is(f.exec(f.a, func(on *guest, done func(error)) { on.server.mark(on, decisionOf(1, f.a), done) }), errNoTable))
	f.check("made", f.exec(f.a, func(on *guest, done func(error)) { on.server.createJournal(on, done) }) == nil)
	f.eventually("everywhere", func() bool { return f.b.observe(epoch).Settings.JournalPresent })
}
