package sim

import (
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// barrier commits a transaction of the primary's own while clients write: the statements of mysqld, in the same order and
// behind the same guards. When it has returned with semi-sync on, everything before it in the binary log is held by as many
// as acknowledged it.
func (a *act) barrier(ctx *patience) (topology.Observation, error) {
	if err := a.barrable(ctx); err != nil {
		return topology.Observation{}, err
	}
	if err := a.createRules(ctx); err != nil {
		return topology.Observation{}, err
	}
	before, err := a.source(ctx)
	if err != nil {
		return topology.Observation{}, err
	}
	a.unackedBefore = &before.unacked
	side, err := a.aside(ctx, dutyMark)
	if err != nil {
		return topology.Observation{}, err
	}
	side.guards = []guard{unacknowledged(a.command.Acks), closedMeanwhile}
	err = side.run(ctx, func(on *guest, done func(error)) { on.server.barrier(on, done) })
	side.close()
	if err != nil {
		return topology.Observation{}, err
	}
	return topology.Observation{}, a.acknowledged(ctx)
}

// closedMeanwhile keeps a barrier off a server that somebody has closed.
var closedMeanwhile = guard{
	broken: func(s *server) bool { return s.readOnly || s.offline },
	reason: reparent.ReasonRefused,
	detail: "it is closed for writes",
}

// barrable checks that the process is the one that the rules are changed under.
func (a *act) barrable(ctx *patience) error {
	if a.command.Rules == nil || a.command.Acks < 1 {
		return refuse(reparent.ReasonRefused, "a barrier takes rules and at least one acknowledgement")
	}
	born, err := a.incarnation(ctx)
	if err == nil && born != a.command.Incarnation {
		err = refuse(reparent.ReasonRefused, "%s is not the process that led: it has restarted since", a.server)
	}
	return err
}

// createRules makes the table that keeps the rules for people, where it is missing.
func (a *act) createRules(ctx *patience) error {
	present := false
	if err := a.query(ctx, func(s *server) { present = s.ruled }); err != nil || present {
		return err
	}
	return a.runAside(ctx, dutyMark, func(on *guest, done func(error)) { on.server.createRules(on, done) })
}
