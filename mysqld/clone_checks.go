package mysqld

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// mayClone asks, first-hand and before anything is changed, whether the server's data may be given up and where the copy
// comes from. The primary is asked last: what the others hold it must have.
func (j *job) mayClone(ctx context.Context) (string, error) {
	if j.task.Donor == "" {
		return "", notYet("no_donor", "no server can be the donor; clone.from_needed_acker and clone.from_primary would allow more")
	}
	o, err := j.sight(ctx)
	if err != nil {
		return "", err
	}
	if err := j.prerequisites(ctx); err != nil {
		return "", err
	}
	donor := j.fleet.Probe(ctx, j.task.Donor)
	if err := j.reuse(ctx, o); err != nil {
		return "", err
	}
	primary := j.fleet.Probe(ctx, j.task.Primary)
	if err := j.judgeClone(o, donor, primary); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s may be cloned from %s", j.server, j.task.Donor), nil
}

// judgeClone is the rule: nothing is given up that the primary has not executed, and the copy is of the primary's history.
func (j *job) judgeClone(o, donor, primary topology.Observation) error {
	if err := j.leads(primary); err != nil {
		return err
	}
	own := func(s gtid.Source) bool { return s.UUID == j.task.PrimaryUUID }
	only := o.Position().Subtract(j.task.Set).Subtract(primary.Executed).Subtract(gtid.Of(apart))
	foreign := donor.Executed.Subtract(primary.Executed).Subtract(donor.Executed.Only(own))
	lacks := settle.Earlier(primary).Subtract(donor.Executed)
	switch {
	case o.Writable():
		return notYet("writable", "%s takes writes; it has to be fenced first", j.server)
	case len(o.Replicas) > 0:
		return notYet("followed", "%s replicate from %s; attach them to another server first", namesOf(o.Replicas), j.server)
	case !only.IsEmpty():
		return notYet("only_copy", "%s holds %s, which %s has not executed: this may be the only copy", j.server, only, j.task.Primary)
	case !donor.OK():
		return notYet("donor", "donor %s is not reached: %s", j.task.Donor, donor.Error)
	case donor.UUID == o.UUID || j.task.Donor == j.server:
		return never("donor", "%s and its donor %s are one server", j.server, j.task.Donor)
	case !foreign.IsEmpty():
		return notYet("donor_errant", "donor %s holds %s, which %s does not", j.task.Donor, foreign, j.task.Primary)
	case !lacks.IsEmpty():
		return notYet("donor_behind", "donor %s has not executed %s, which a copy would not get from %s", j.task.Donor, lacks, j.task.Primary)
	}
	if not := settle.Unlike(donor.Version, o.Version); not != "" {
		return never("version", "donor %s %s", j.task.Donor, not)
	}
	return nil
}

// leads makes sure that the primary is the one that the settlement was decided under.
func (j *job) leads(primary topology.Observation) error {
	switch {
	case !primary.OK():
		return notYet("primary", "the primary %s is not reached: %s", j.task.Primary, primary.Error)
	case primary.UUID != j.task.PrimaryUUID:
		return notYet("primary", "another server answers at %s", j.task.Primary)
	case !primary.Writable():
		return notYet("primary", "%s does not take writes: it may lead no longer", j.task.Primary)
	}
	return nil
}

// reuse asks every member whether it holds transactions that the server wrote itself and is about to forget. As a primary it
// would use their numbers again, and whoever holds the old ones would skip the new ones in silence.
func (j *job) reuse(ctx context.Context, o topology.Observation) error {
	own := j.task.Set.Only(func(s gtid.Source) bool { return s.UUID == o.UUID })
	if own.IsEmpty() {
		return nil
	}
	var unknown []topology.Address
	for _, m := range j.members(ctx, j.server) {
		switch {
		case m.OK() && m.Position().Intersects(own):
			return notYet("reuse", "%s holds %s too; settle it first, for %s would give these numbers to other transactions", m.Address, m.Position().Intersect(own), j.server)
		case !m.OK():
			unknown = append(unknown, m.Address)
		}
	}
	if len(unknown) > 0 && !j.task.AcceptReuse {
		return notYet("reuse_unknown", "%s not reached, and may hold %s, whose numbers %s would use again", namesOf(unknown), own, j.server)
	}
	return nil
}

// members probes all members but those named, at once.
func (j *job) members(ctx context.Context, but ...topology.Address) []topology.Observation {
	asked := topology.Servers(j.task.Members...).Without(but...).List()
	seen := make([]topology.Observation, len(asked))
	var probes sync.WaitGroup
	for i, a := range asked {
		probes.Go(func() { seen[i] = j.fleet.Probe(ctx, a) })
	}
	probes.Wait()
	return seen
}

// heldElsewhere waits until the primary has executed a set and every other replica that receives from it holds the set. The
// settlement is not begun unless those are enough for every commit: so no acknowledgement that this server gave is needed
// any more.
func (j *job) heldElsewhere(ctx context.Context, held gtid.Set) error {
	tick := time.NewTicker(heldEvery)
	defer tick.Stop()
	for {
		err := j.holders(ctx, held)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

const heldEvery = 100 * time.Millisecond

func (j *job) holders(ctx context.Context, held gtid.Set) error {
	others := 0
	for _, m := range j.members(ctx, j.server) {
		leads := m.Address == j.task.Primary
		follows := m.OK() && m.Replication != nil && m.Replication.Source == j.task.Primary && m.Replication.Receiver == topology.ThreadOn
		lacks := held.Subtract(m.Position())
		if leads {
			lacks = held.Subtract(m.Executed)
		}
		switch {
		case (leads || follows) && !lacks.IsEmpty():
			return notYet("only_copy", "%s lacks %s, which %s holds and may have acknowledged", m.Address, lacks, j.server)
		case follows:
			others++
		}
	}
	if others == 0 {
		return notYet("only_copy", "no other replica receives from %s, so what %s acknowledged may be nowhere else", j.task.Primary, j.server)
	}
	return nil
}

// prerequisites asks for plugin and privileges on both sides: MySQL would say so too, on the donor only in a text.
func (j *job) prerequisites(ctx context.Context) error {
	if err := cloneReady(ctx, j.link, j.server, "CLONE_ADMIN"); err != nil {
		return err
	}
	l, err := j.fleet.dial(ctx, j.task.Donor, nil)
	if err != nil {
		return notYet("donor", "donor %s: %v", j.task.Donor, err)
	}
	defer l.close()
	return cloneReady(ctx, l, j.task.Donor, "BACKUP_ADMIN")
}

func cloneReady(ctx context.Context, q queryer, server topology.Address, privilege string) error {
	rows, err := q.query(ctx, "SELECT COUNT(*) FROM information_schema.plugins WHERE plugin_name = 'clone' AND plugin_status = 'ACTIVE'")
	if err != nil {
		return err
	}
	if !rows[0][0].on() {
		return never("plugin", "the clone plugin is not active on %s; run INSTALL PLUGIN clone SONAME 'mysql_clone.so' there", server)
	}
	if rows, err = q.query(ctx, askGrants); err != nil {
		return err
	}
	held := make(privileges)
	for _, r := range rows {
		held.add(r[0].text)
	}
	if !held.hold(privilege, "*.*") {
		return never(string(reparent.ReasonDenied), "our account lacks a privilege on %s; run GRANT %s ON *.* TO it there", server, privilege)
	}
	return nil
}
