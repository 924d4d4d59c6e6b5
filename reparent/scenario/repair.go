package scenario

import (
	"fmt"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// repair makes every server that is up a clean replica of the established primary, if that one serves: what the repair of
// replicas comes to, with whoever settles errant servers.
func (p *playing) repair() error {
	seen, err := p.stage.Observe()
	if err != nil {
		return err
	}
	current, led := p.book.history().Current()
	primary := observationOf(seen, current.Primary)
	if !led || len(p.book.leaderships) > 1 || !primary.Writable() || primary.Incarnation != current.Incarnation {
		return nil
	}
	for _, o := range seen {
		if !o.OK() || o.Address == current.Primary {
			continue
		}
		if err := p.rejoin(o, primary); err != nil {
			return err
		}
	}
	return p.stage.Settle()
}

func observationOf(seen []topology.Observation, a topology.Address) topology.Observation {
	return *topology.Snapshot{Servers: seen}.Server(a)
}

// rejoin makes one server follow.
func (p *playing) rejoin(o, primary topology.Observation) error {
	r := o.Replication
	if r != nil && r.Source == primary.Address && r.Receiver != topology.ThreadOff && r.Applier == topology.ThreadOn && o.SemiSync.Waiters == 0 {
		return nil
	}
	closed, err := p.closed(o)
	if err != nil {
		return err
	}
	if !heldBy(primary, closed.Position()).IsEmpty() || !closed.Position().Contains(primary.Purged) {
		if err := p.stage.Happen(Happening{Kind: Clone, Server: o.Address, Source: primary.Address}); err != nil {
			return err
		}
	}
	follow := p.command(reparent.Follow, o.Address)
	follow.Source, follow.Acker = primary.Address, p.book.rules.Ackers(primary.Address).Has(o.Address)
	_, err = p.must(follow)
	return err
}

// heldBy is what a position has beyond what a primary executed or still waits with.
func heldBy(primary topology.Observation, position gtid.Set) gtid.Set {
	return position.Subtract(primary.Executed).Only(func(s gtid.Source) bool { return s.UUID != primary.UUID })
}

// closed shuts what may have been a primary.
func (p *playing) closed(o topology.Observation) (topology.Observation, error) {
	if o.Closed() && !o.SemiSync.SourceEnabled && o.SemiSync.Waiters == 0 {
		return o, nil
	}
	r, err := p.must(p.command(reparent.Fence, o.Address))
	return r.Observation, err
}

const repairDeadline = 10 * time.Second

func (p *playing) command(verb reparent.Verb, a topology.Address) reparent.Command {
	return reparent.Command{Verb: verb, Server: a, Cluster: clusterName, Term: p.book.term, Deadline: repairDeadline}
}

// must carries out a command that is no part of a change.
func (p *playing) must(c reparent.Command) (reparent.Result, error) {
	results, err := p.stage.Do([]Order{{Command: c}})
	if err != nil {
		return reparent.Result{}, err
	}
	if r := results[0]; !r.Done() {
		return r, fmt.Errorf("%s: %s %s %s", c, r.Outcome, r.Reason, r.Detail)
	}
	return results[0], nil
}

// recover is what the loop does until a primary completes writes again.
func (p *playing) recover() error {
	if err := p.repair(); err != nil {
		return err
	}
	current, _ := p.book.history().Current()
	serves, err := p.completes(current.Primary)
	if err != nil {
		return err
	}
	if len(p.book.leaderships) > 1 || !serves {
		if err := p.change("emergency", ""); err != nil {
			return err
		}
		if err := p.repair(); err != nil {
			return err
		}
		current, _ = p.book.history().Current()
	}
	return p.proven(current.Primary)
}

// proven expects a write on a primary to be answered, and the primary to hold all that ever was.
func (p *playing) proven(primary topology.Address) error {
	g, err := p.stage.Write(primary)
	if err != nil {
		return err
	}
	if err := p.stage.Settle(); err != nil {
		return err
	}
	answered, err := p.stage.Answered()
	if err != nil {
		return err
	}
	o, err := p.stage.Look(primary)
	switch {
	case err != nil:
		return err
	case g.Number == 0 || !answered.Has(g):
		return fmt.Errorf("a write on %s does not complete", primary)
	case !o.Executed.Contains(answered):
		return fmt.Errorf("%s lacks answered %s", primary, answered.Subtract(o.Executed))
	}
	return nil
}
