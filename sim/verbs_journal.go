package sim

import (
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Commands that write the journal: the statements of mysqld, in the same order and behind the same guards.

// createJournal makes schema and table where they are missing.
func (a *act) createJournal(ctx *patience) (topology.Observation, error) {
	present, closed := false, false
	err := a.query(ctx, func(s *server) { present, closed = s.journal, switchesOf(s).closed() })
	switch {
	case err != nil || present:
		return topology.Observation{}, err
	case closed:
		return topology.Observation{}, refuse(reparent.ReasonRefused, "%s is closed for writes (super_read_only)", a.server)
	}
	return topology.Observation{}, a.runAside(ctx, dutyMark, func(on *guest, done func(error)) { on.server.createJournal(on, done) })
}

// mark commits the decision under its marker while nobody else can write. When the commit has returned with semi-sync
// on, everything before it in the binary log is held by as many ackers as the policy asks for: it is durable under the
// new term.
func (a *act) mark(ctx *patience) (topology.Observation, error) {
	if err := a.markable(ctx); err != nil {
		return topology.Observation{}, err
	}
	before, err := a.marking(ctx)
	if err != nil {
		return topology.Observation{}, err
	}
	if !before.committed && a.unackedBefore == nil {
		a.unackedBefore = &before.source.unacked
	}
	switch {
	case before.committed:
	case before.pending:
		err = a.awaitMarker(ctx)
	default:
		err = a.commitMarker(ctx, before)
	}
	if err != nil {
		return topology.Observation{}, err
	}
	return topology.Observation{}, a.acknowledged(ctx)
}

// markable checks the decision itself, and that it speaks of this process.
func (a *act) markable(ctx *patience) error {
	d := &a.command.Decision
	switch {
	case !d.Intact():
		return refuse(reparent.ReasonRefused, "the decision's hash is not that of its fields")
	case d.Cluster != a.cluster || d.Term != a.term || d.Primary != a.server:
		return refuse(reparent.ReasonRefused, "the decision is about %s in term %d of %s", d.Primary, d.Term, d.Cluster)
	}
	born, err := a.incarnation(ctx)
	if err != nil {
		return err
	}
	if born != d.Incarnation {
		return refuse(reparent.ReasonRefused, "%s is not the process that was chosen: it has restarted since", a.server)
	}
	return nil
}

// marking is the state in which a marker is to be written.
type marking struct {
	switches
	source    sourceState
	other     topology.Marker // another decision's of the same term; zero for none
	committed bool            // this process has committed the marker
	pending   bool            // an earlier attempt still waits for its acknowledgements
}

func (a *act) marking(ctx *patience) (m marking, err error) {
	marker := a.command.Decision.Marker()
	err = a.query(ctx, func(s *server) {
		m.switches = switchesOf(s)
		m.committed = s.executed().Has(marker.GTID())
		m.pending = s.owned(marker.GTID().UUID)
		for _, other := range topology.Markers(s.position()) {
			if other.Term == marker.Term && other != marker {
				m.other = other
			}
		}
	})
	if err != nil {
		return m, err
	}
	if m.other != (topology.Marker{}) {
		return m, fencedBy(marker.Term, "%s holds another marker of term %d (%s): two electors used one term", a.server, marker.Term, m.other)
	}
	m.source, err = a.source(ctx)
	return m, err
}

// commitMarker opens super_read_only for as long as the marker takes. When the commit certainly did not happen, it is
// closed again.
func (a *act) commitMarker(ctx *patience, before marking) error {
	d := a.command.Decision
	if !before.readOnly && reparent.Kind(d.Kind) != reparent.KindAdoption {
		return refuse(reparent.ReasonRefused, "read_only is off on %s: others could write before the marker", a.server)
	}
	side, err := a.aside(ctx, dutyMark)
	if err != nil {
		return err
	}
	if before.closed() {
		if err := a.change(ctx, func(s *server) error { s.setSuperReadOnlyOff(); return nil }); err != nil {
			side.close()
			return err
		}
	}
	side.guards = a.markGuards(before)
	err = side.run(ctx, func(on *guest, done func(error)) { on.server.mark(on, d, done) })
	err = a.unmarked(ctx, before, err)
	side.close()
	return err
}

// markGuards are checked by the server right before the commit.
func (a *act) markGuards(before marking) (guards []guard) {
	if before.readOnly {
		guards = append(guards, guard{
			broken: func(s *server) bool { return !s.readOnly },
			reason: reparent.ReasonRefused, detail: "read_only was switched off meanwhile",
		})
	}
	if a.command.Acks > 0 {
		guards = append(guards, unacknowledged(a.command.Acks))
	}
	return append(guards, a.strayed()...)
}

// unmarked closes the server again after an attempt that certainly left nothing behind.
func (a *act) unmarked(ctx *patience, before marking, err error) error {
	if err == nil || !before.closed() {
		return err
	}
	if outcome, _ := verdict(ctx, true, err); outcome != reparent.No {
		return err
	}
	undoing := a.fleet.clock.patient(nil, undoTime)
	undo := a.changeSlowly(undoing, nil, closeWithin(lockWaitDefault))
	undoing.over()
	if undo != nil {
		return doubtful(reasonOf(err), "%v; closing %s again failed: %v", err, a.server, undo)
	}
	return err
}

// awaitMarker waits for the commit of an earlier attempt, which cannot be ended.
func (a *act) awaitMarker(ctx *patience) error {
	a.changed = true // not by this attempt, but its commit may come at any time
	for {
		committed, err := a.awaitSet(ctx, a.command.Decision.Marker().Set())
		if err != nil || committed {
			return err
		}
		if ctx.remaining() < 25*time.Millisecond {
			return doubtful(reparent.ReasonDeadline, "the marker on %s waits for acknowledgements", a.server)
		}
	}
}

// acknowledged checks afterwards that the commit came back because of acknowledgements, and not because somebody
// switched semi-sync off. An earlier attempt of ours has left the count of commits that came back without one; after an
// attempt of a predecessor only the present settings can be checked.
func (a *act) acknowledged(ctx *patience) error {
	if a.command.Acks == 0 {
		return nil
	}
	after, err := a.source(ctx)
	if err != nil {
		return err
	}
	if !after.Verified() || after.Acks < a.command.Acks || a.unackedBefore != nil && after.unacked != *a.unackedBefore {
		return doubtful(reparent.ReasonNotSemiSync, "semi-sync was changed on %s while the marker was written", a.server)
	}
	return nil
}
