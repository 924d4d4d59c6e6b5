package mysqld

import (
	"context"
	"fmt"
	"regexp"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// What a keep and a discard have in common: errant transactions become part of the primary's history, under their own
// GTIDs. Let X be the server, S its errant transactions and P the established primary.
//
//	(1) X alone holds S. Whoever else held it would have it in an order of his own, and nobody would compare his rows.
//	(2) X follows P, closed to everybody else, and has S in its gtid_executed. P has not: so X is errant by its own word.
//	(3) P commits a transaction of S only after it was seen that its rows are the same on X as they are to be on P, at a
//	    position of X that has all that P had committed before. From there on both go the same way.
//
// So the last thing that happens is that P has S, and with it X is errant no more.

// alone is X as it has to be before anything is done, and the primary.
func (j *job) alone(ctx context.Context) (o, p topology.Observation, err error) {
	if o, err = j.sight(ctx); err != nil {
		return o, p, err
	}
	if p, err = j.primary(ctx); err != nil {
		return o, p, err
	}
	if err := j.detached(o, p); err != nil {
		return o, p, err
	}
	j.applied = o.Executed.Intersect(j.task.Set)
	if wait := j.task.Set.Subtract(o.Executed); !wait.IsEmpty() {
		return o, p, unfitYet("unapplied", "%s has not applied %s", j.server, wait)
	}
	for _, m := range topology.Markers(j.task.Set) {
		return o, p, unfitFor("marker", "%s is the marker of a decision that came to nothing: nobody else may hold it; rewind or clone %s", m, j.server)
	}
	return o, p, j.onlyHere(ctx, p)
}

// onlyHere checks (1) for what the primary has not got yet.
func (j *job) onlyHere(ctx context.Context, p topology.Observation) error {
	rest := j.task.Set.Subtract(p.Executed)
	for _, member := range j.task.Members {
		if member == j.server || member == j.task.Primary {
			continue
		}
		m := j.fleet.Probe(ctx, member)
		switch held := m.Position().Intersect(rest); {
		case !m.OK() && !j.task.AcceptReuse:
			return unfitYet("reuse", "%s could not be asked (%s) whether it holds %s too, with rows that nobody compares. "+
				"Bring it back, take it out of the cluster, or accept it", member, m.Error, rest)
		case !held.IsEmpty():
			return unfitFor("reuse", "%s holds %s too: settle it first, by a rewind or a clone", member, held)
		}
	}
	return nil
}

// isolateWhole is isolate for a set that stays: whatever was received is applied.
func (j *job) isolateWhole(ctx context.Context) (string, error) {
	if err := j.shutIn(ctx); err != nil {
		return "", err
	}
	o, err := j.observe(ctx)
	switch {
	case err != nil:
		return "", err
	case o.Replication == nil:
		return "closed; it has no source", nil
	case o.Unapplied().IsEmpty():
		return "closed; replication is stopped", j.stopApplier(ctx)
	}
	if err := j.applyAll(ctx, o); err != nil {
		return "", err
	}
	return "closed; what it had received is applied", j.stopApplier(ctx)
}

// onPrimary works in a session of the primary, which is fenced by the same term as that of the server.
func (j *job) onPrimary(ctx context.Context, work func(*aside) error) error {
	s, err := j.tenure.session(j.task.Primary)
	if err != nil {
		return err
	}
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.finish()
	command := reparent.Command{Verb: reparent.Verb(j.task.Step), Server: j.task.Primary, Cluster: j.task.Cluster, Term: j.term}
	side, err := (&act{session: s, command: command}).aside(ctx, dutyKeep)
	if err != nil {
		return err
	}
	defer side.close()
	return work(side)
}

// openForAll guards what is committed on the primary: while a change of the primary closes it nothing more is to come.
var openForAll = guard{broken: "@@GLOBAL.read_only <> 0", reason: reparent.ReasonRefused, detail: "it takes no writes any more"}

// commits runs what ends a transaction, unless the primary is none any more.
func (s *aside) commits(ctx context.Context, statement string) error {
	s.guards = []guard{openForAll}
	return s.run(ctx, statement)
}

// committed is what a primary has executed or is about to: who owns a GTID has had all the locks that it needs. Who commits
// gives its GTID from the one to the other, so they are read in this order: else it could be missing in both.
func committed(ctx context.Context, q queryer) (executed, owned gtid.Set, err error) {
	owns, err := q.query(ctx, "SELECT @@GLOBAL.gtid_owned")
	if err != nil {
		return executed, owned, err
	}
	has, err := q.query(ctx, "SELECT @@GLOBAL.gtid_executed")
	if err != nil {
		return executed, owned, err
	}
	if executed, err = gtid.Parse(has[0][0].text); err != nil {
		return executed, owned, err
	}
	owned, err = gtid.Parse(owners.ReplaceAllString(owns[0][0].text, ""))
	return executed, owned, err
}

// owners are the threads in a gtid_owned, which is "uuid:number#thread:number#thread, uuid:…".
var owners = regexp.MustCompile(`#\d+`)

// left are those of the set that the primary has not got, none of which an earlier attempt may still be committing.
func (j *job) left(ctx context.Context, primary *link) (gtid.Set, error) {
	executed, owned, err := committed(ctx, primary)
	if err != nil {
		return gtid.Set{}, err
	}
	if waits := owned.Intersect(j.task.Set); !waits.IsEmpty() {
		return gtid.Set{}, underWay{fmt.Sprintf("%s waits for acknowledgements on the primary", waits)}
	}
	return j.task.Set.Subtract(executed), nil
}

func (j *job) tellCommitted(done, of int) {
	j.tell(settle.Progress{Step: j.task.Step, Text: "committed on the primary", Done: uint64(done), Of: uint64(of), Unit: "transactions"})
}
