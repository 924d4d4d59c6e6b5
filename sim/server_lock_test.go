package sim

import (
	"errors"
	"testing"
	"time"
)

// again writes the row of an earlier write once more.
func (f *trio) again(s *server, o *outcome) *outcome {
	f.Helper()
	second := f.as(accountApp, s, func(on *guest, done func(error)) { on.server.write(on, o.row, done) })
	f.pass(20 * time.Millisecond)
	return second
}

func TestE24ARowWhoseCommitWaitsIsLocked(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	first := f.write(f.a)
	second := f.again(f.a, first)
	f.stays("both wait", func() bool { return !first.heard && !second.heard })
	f.check("only one is in its commit", waiters(f.a) == 1 && f.a.observe(epoch).Stall.Committing == 0)
	f.startAckers()
	f.eventually("both are answered", func() bool { return first.ok() && second.heard })
	f.check("the second is a duplicate", errors.Is(second.err, errDuplicateRow))
	third := f.again(f.a, first)
	f.check("and so is a third, at once", third.heard && errors.Is(third.err, errDuplicateRow))
	f.check("nothing is under way", f.a.inFlight == 0 && len(f.a.inserting) == 0 && len(f.a.rowWaits) == 0)
}

func TestE24WhoWaitsForARowGivesUpAfterAWhile(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	second := f.again(f.a, f.write(f.a))
	f.pass(innodbLockWait - time.Second)
	f.check("it waits", !second.heard)
	f.pass(time.Second)
	f.check("1205", second.heard && errors.Is(second.err, errLockWaitTimeout))
}

func TestE24WhatEndsSessionsEndsTheirWaitForARow(t *testing.T) {
	for name, end := range map[string]statement{
		"KILL QUERY":   func(on *guest, done func(error)) { done(on.server.killQuery(on.id - 1)) },
		"KILL":         func(on *guest, done func(error)) { done(on.server.killSession(on.id-1, on)) },
		"offline_mode": func(on *guest, done func(error)) { on.server.setOffline(true); done(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newTrio(t)
			f.stopAckers()
			second := f.again(f.a, f.write(f.a))
			f.check("carried out", f.exec(f.a, end) == nil)
			f.eventually("it has ended", func() bool { return second.heard })
			f.check("with an error that is no duplicate", second.err != nil && !errors.Is(second.err, errDuplicateRow))
			f.check("and waits no more", f.a.inFlight == 1 && len(f.a.rowWaits) == 0)
		})
	}
}

func TestE24SuperReadOnlyWaitsForWhoWaitsForARow(t *testing.T) {
	f := newTrio(t)
	f.stopAckers()
	first := f.write(f.a)
	second := f.again(f.a, first)
	closing := f.as(accountRoot, f.a, closeNow)
	f.stays("it waits", func() bool { return !closing.heard })
	f.startAckers()
	f.eventually("closed", closing.ok)
	f.check("both were answered before", first.ok() && errors.Is(second.err, errDuplicateRow))
}

func TestE24AnApplierWaitsForARowAndFailsOnceItIsThere(t *testing.T) {
	f := newTrio(t)
	f.b.setReadOnlyOff()
	f.b.enableSource() // nobody acknowledges to it
	local := f.write(f.b)
	theirs := f.again(f.a, local)
	f.check("written on the source", theirs.ok())
	f.stays("the applier waits", func() bool { return f.b.channel.applier.on && f.b.channel.applier.lock != nil })
	f.exec(f.b, sourceOff)
	f.check("OK without acknowledgements", local.ok())
	f.check("the applier failed", !f.b.channel.applier.on && f.b.channel.applier.errno == int(errDuplicateRow))
}

func TestE24AnApplierThatWaitsForARowHoldsUpItsStop(t *testing.T) {
	f := newTrio(t)
	f.b.setReadOnlyOff()
	f.b.enableSource()
	f.again(f.a, f.write(f.b))
	f.eventually("the applier waits", func() bool { return f.b.channel.applier.lock != nil })
	stop := f.as(accountRoot, f.b, stopApplier)
	f.stays("it is not stopped", func() bool { return !stop.heard && f.b.channel.applier.on })
	f.exec(f.b, sourceOff)
	f.eventually("stopped once the row is there", func() bool { return stop.ok() && !f.b.channel.applier.on })
}
