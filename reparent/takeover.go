package reparent

import (
	"fmt"
	"time"

	"github.com/primacydb/primacy/topology"
)

// Interrupted is the code of an operation that ended because its elector did, and not for a reason of its own.
const Interrupted = "interrupted"

// TakeOver continues an operation that was interrupted, perhaps by the death of its elector. The saved
// value may be older than what was done; the servers are the authority.
//
// As long as no decision is on record no marker was sent, and what was done is undone. With a decision
// on record the marker may have been written: when its candidate, the same process as then, shows it as
// committed under verified semi-sync, the marker was acknowledged and the change is carried to its end,
// unless another server leads again meanwhile: the revocation that the change rests on no longer holds.
// Otherwise the outcome stays unknown, and the next change revokes the candidate together with the
// leader before it.
func TakeOver(op Operation, term uint32, elector string, snapshot topology.Snapshot, now time.Time) Operation {
	if !op.Running() {
		return op
	}
	op = op.clone()
	op.Stages = append(op.Stages, Stage{
		Name: "resume", StartedAt: now, Outcome: "ok",
		Detail: fmt.Sprintf("taken over by %s in phase %s", elector, op.Phase),
	})
	op.Elector, op.PhaseAt, op.Tries = elector, now, 0
	op.SessionTerm = max(term, op.Term)
	switch {
	case op.Phase == PhaseReleasing, !op.Established.IsZero():
		return op
	case op.Kind == KindRules:
		return op.resumeRules(snapshot, now)
	case op.Decision == nil:
		return op.undo(snapshot, now)
	case !snapshot.LedBeside(op.To) && (!op.MarkedAt.IsZero() || op.committed(snapshot.Server(op.To))):
		return op.carryOn(now)
	case op.Kind == KindAdoption:
		return op.fail("resume", Obstacle{Code: Interrupted, Message: "the adoption was interrupted; it is tried again"}, now)
	}
	return op.fail("resume", Obstacle{
		Code:    Interrupted,
		Message: fmt.Sprintf("interrupted after %s was chosen; whether its marker was acknowledged is unknown, so the next change revokes it too", op.To),
	}, now)
}

// undo assumes the worst of what the dead elector did: everything that it could have sent may have
// taken effect.
func (op Operation) undo(snapshot topology.Snapshot, now time.Time) Operation {
	for _, m := range op.Ruleset.Members {
		p := op.Progress[m.Address]
		switch op.Kind {
		case KindEmergency:
			p.Frozen = atLeastUnknown(p.Frozen)
			p.Moved = p.Moved || !op.stayed(m.Address, snapshot.Server(m.Address))
		case KindReopening:
			p.Moved = p.Moved || !op.stayed(m.Address, snapshot.Server(m.Address))
		case KindPlanned:
			p.Moved = p.Moved || op.Prepared.Has(m.Address)
			if op.leavers().Has(m.Address) {
				p.Frozen = atLeastUnknown(p.Frozen)
			}
		case KindRules:
			if m.Address == op.To {
				p.Sourced = atLeastUnknown(p.Sourced)
			}
		case KindAdoption:
		}
		if with := op.silencedWith(m.Address); with != "" {
			p.Silenced, p.With = atLeastUnknown(p.Silenced), with
		}
		op.Progress[m.Address] = p
	}
	if op.Kind == KindEmergency {
		op.GapFrom = op.StartedAt
	}
	message := fmt.Sprintf("interrupted in phase %s before anything was decided; %d of %d servers answer now", op.Phase, snapshot.Reached().Len(), len(op.Ruleset.Members))
	return op.giveUp(StateUndone, "resume", Obstacle{Code: Interrupted, Message: message}, now)
}

// stayed tells whether a replica certainly has the source that it had: it says so. Fetching and attaching
// may have gone further than what was saved.
func (op *Operation) stayed(a topology.Address, o *topology.Observation) bool {
	_, known := op.Known[a]
	return !known || (o.OK() && sourceOf(o) == op.Known[a].Source)
}

func (op *Operation) silencedWith(a topology.Address) Verb {
	switch {
	case op.Kind == KindPlanned && a == op.From:
		return Demote
	case op.Kind == KindEmergency && op.isLeader(a):
		return op.silencerOf(a)
	}
	return ""
}

func atLeastUnknown(o Outcome) Outcome {
	if o == Yes {
		return Yes
	}
	return Unknown
}

// committed tells whether the candidate, the process that was chosen, shows the marker as executed while
// commits wait for acknowledgements there: then it was acknowledged. A process that restarted completes
// what was never acknowledged (E4), so its word does not count.
func (op *Operation) committed(o *topology.Observation) bool {
	verified := o.SemiSync.Verified() || op.Ruleset.AcksNeeded(op.To) == 0
	return o.OK() && o.Incarnation == op.Decision.Incarnation && verified &&
		o.SemiSync.Acks >= op.Ruleset.AcksNeeded(op.To) &&
		o.Executed.Has(op.Decision.Marker().GTID())
}

func (op Operation) carryOn(now time.Time) Operation {
	if op.MarkedAt.IsZero() {
		op.MarkedAt = now
	}
	if op.Kind == KindAdoption {
		op.Established = now
		return op.finish(StateSucceeded, now)
	}
	op.Phase = PhaseOpening
	return op
}
