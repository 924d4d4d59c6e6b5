package sim

import (
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Commands to the source side of semi-sync: the statements of mysqld, in the same order and behind the same guards.

// sourceState is a reading of the source side.
type sourceState struct {
	topology.SemiSync
	unacked int64 // commits that completed without the acknowledgements asked for
}

// source reads the source side.
func (a *act) source(ctx *patience) (now sourceState, err error) {
	err = a.query(ctx, func(s *server) { now = sourceState{s.semiSync(), s.unacked()} })
	return now, err
}

// unacknowledged guards statements that rely on commits waiting for at least so many acknowledgements.
func unacknowledged(acks int) guard {
	return guard{
		broken: func(s *server) bool {
			now := s.semiSync()
			return !now.SourceEnabled || now.Acks < acks || now.Timeout < topology.TimeoutInfinite || !now.SourceActive
		},
		reason: reparent.ReasonNotSemiSync,
		detail: "its commits do not wait for as many acknowledgements as they have to, for as long as it takes",
	}
}

// poison makes a leader wait for more acknowledgements than any cluster can give, and then cuts its clients. On a
// leader whose commits do not wait it would prove nothing.
func (a *act) poison(ctx *patience) (topology.Observation, error) {
	before, err := a.source(ctx)
	if err != nil {
		return topology.Observation{}, err
	}
	if !before.Verified() {
		return topology.Observation{}, refuse(reparent.ReasonNotSemiSync, "commits on %s do not wait for acknowledgements for as long as it takes, so the ack count does not bind it", a.server)
	}
	poisonous := func(s *server) error {
		s.setAcks(topology.PoisonAcks)
		s.setOffline(true)
		return nil
	}
	if err := a.changeUnless(ctx, []guard{unacknowledged(1)}, poisonous); err != nil {
		return topology.Observation{}, err
	}
	o, err := a.observe(ctx)
	if err == nil && (!o.SemiSync.Verified() || o.SemiSync.Acks != topology.PoisonAcks || !o.OfflineMode) {
		err = refuse(reparent.ReasonRefused, "%s was changed by somebody else while it was poisoned", a.server)
	}
	return o, err
}

// antidote lets a poisoned leader go on: what waited completes as soon as its acknowledgements are there.
func (a *act) antidote(ctx *patience) (topology.Observation, error) {
	acks := a.command.Acks
	if acks < 1 {
		return topology.Observation{}, refuse(reparent.ReasonRefused, "the antidote needs the ack count to go back to")
	}
	healing := func(s *server) error {
		s.setAcks(acks)
		s.setOffline(false)
		return nil
	}
	if err := a.change(ctx, healing); err != nil {
		return topology.Observation{}, err
	}
	o, err := a.observe(ctx)
	if err == nil && (o.SemiSync.Acks != acks || o.OfflineMode) {
		err = refuse(reparent.ReasonRefused, "%s was changed by somebody else meanwhile", a.server)
	}
	return o, err
}

// prepareSource sets what differs. None of it has an effect before the source side is enabled. The server is about to
// be marked, so what that takes is made ready too.
func (a *act) prepareSource(ctx *patience) (topology.Observation, error) {
	now, err := a.source(ctx)
	if err != nil {
		return topology.Observation{}, err
	}
	if err := a.fitsSource(now); err != nil {
		return topology.Observation{}, err
	}
	if a.sourceDiffers(now) {
		acks := a.command.Acks
		if err := a.change(ctx, func(s *server) error { return setUpSource(s, acks) }); err != nil {
			return topology.Observation{}, err
		}
	}
	a.warmUp(ctx)
	return topology.Observation{}, nil
}

// fitsSource refuses what cannot become a source of that many acknowledgements.
func (a *act) fitsSource(now sourceState) error {
	switch {
	case a.command.Acks < 1 || a.command.Acks >= topology.PoisonAcks:
		return refuse(reparent.ReasonRefused, "%d is no count of acknowledgements for %s", a.command.Acks, a.server)
	case !now.Installed:
		return refuse(reparent.ReasonNotSemiSync, "%s cannot be a semi-sync source: install its plugin semisync_source.so", a.server)
	}
	return nil
}

func (a *act) sourceDiffers(now sourceState) bool {
	return now.Timeout < topology.TimeoutInfinite || !now.WaitNoReplica || !now.AfterSync || now.Acks != a.command.Acks
}

// setUpSource is what PrepareSource sets, in the order in which it does.
func setUpSource(s *server, acks int) error {
	s.setTimeout(timeoutMax)
	s.setWaitNoReplica(true)
	s.setAcks(acks)
	return nil
}

// enableSource refuses while something received is not applied: on a server that feeds others which hold it already,
// the applier would wait for acknowledgements for ever.
func (a *act) enableSource(ctx *patience) (topology.Observation, error) {
	now, err := a.source(ctx)
	if err != nil {
		return topology.Observation{}, err
	}
	if err := a.fitsSource(now); err != nil {
		return topology.Observation{}, err
	}
	if a.sourceDiffers(now) || !now.SourceEnabled {
		acks, enable := a.command.Acks, !now.SourceEnabled
		err := a.changeUnless(ctx, []guard{unapplied}, func(s *server) error {
			if enable {
				defer s.enableSource()
			}
			return setUpSource(s, acks)
		})
		if err != nil {
			return topology.Observation{}, err
		}
		if now, err = a.source(ctx); err != nil {
			return topology.Observation{}, err
		}
	}
	if !now.Verified() || now.Acks != a.command.Acks {
		return topology.Observation{}, refuse(reparent.ReasonNotSemiSync, "%s does not wait for %d acknowledgements although its source side was set up", a.server, a.command.Acks)
	}
	return topology.Observation{}, nil
}

// releasing guards against letting commits go that nobody acknowledged. Those of the applier may go where the server is closed.
var releasing = guard{
	broken: func(s *server) bool { return len(s.commits) > 0 && (!switchesOf(s).closed() || !s.onlyApplierWaits()) },
	reason: reparent.ReasonWaiters,
	detail: "commits wait for acknowledgements, and their clients would hear OK without one",
}

// poisoned guards a revocation: what it holds back may not be let go whatever the rules are.
var poisoned = guard{
	broken: func(s *server) bool { return s.semi.acks >= topology.PoisonAcks },
	reason: reparent.ReasonWaiters,
	detail: "it is poisoned, and what waits there must not complete",
}

func (a *act) disableSource(ctx *patience) (topology.Observation, error) {
	now, err := a.source(ctx)
	if err != nil || !now.SourceEnabled {
		return topology.Observation{}, err
	}
	unless := releasing
	if a.command.Release {
		unless = poisoned
		if err := a.meant(ctx); err != nil {
			return topology.Observation{}, err
		}
	}
	if err := a.changeSlowly(ctx, []guard{unless}, disablesSource); err != nil || now.Waiters == 0 {
		return topology.Observation{}, err
	}
	return a.observe(ctx)
}

// awaitAckers polls: MySQL tells nobody when a replica connects. Ackers are counted also while the source side is off.
func (a *act) awaitAckers(ctx *patience) (topology.Observation, error) {
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		now, err := a.source(ctx)
		switch {
		case err != nil:
			return topology.Observation{}, err
		case !now.Installed:
			return topology.Observation{}, refuse(reparent.ReasonNotSemiSync, "%s cannot be a semi-sync source: install its plugin semisync_source.so", a.server)
		case now.Clients >= a.command.Acks:
			return topology.Observation{}, nil
		}
		if a.fleet.rest(ctx, pause); ctx.Err() != nil {
			return topology.Observation{}, refuse(reparent.ReasonDeadline, "%d of %d ackers are connected to %s", now.Clients, a.command.Acks, a.server)
		}
	}
}

// switching is a process that switches its source side off, which makes whoever reads a variable wait.
type switching struct {
	life    int
	count   int      // of statements that do so
	readers []func() // that wait
}

// switchSource begins it; it is over with the call of what is returned.
func (s *server) switchSource(done func(error)) func(error) {
	if s.switching.life != s.life {
		s.switching = switching{life: s.life}
	}
	s.switching.count++
	return func(err error) {
		if s.switching.count--; s.switching.count == 0 {
			readers := s.switching.readers
			s.switching.readers = nil
			for _, read := range readers {
				read()
			}
		}
		done(err)
	}
}

// whenReadable carries a statement out that reads variables, as all of an elector's do: it waits while none can be read.
func (g *guest) whenReadable(do statement) {
	now := &g.server.switching
	if now.count == 0 || now.life != g.server.life {
		do(g, g.done)
		return
	}
	now.readers = append(now.readers, func() {
		if g.killed {
			g.done(errQueryInterrupted)
		} else {
			do(g, g.done)
		}
	})
}
