package sim

import (
	"cmp"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// attachment is from whom a server was last told to replicate, and under which term.
type attachment struct {
	source topology.Address
	term   uint32
}

// attached notes from whom an elector has a server replicate.
func (c *conduct) attached(command reparent.Command, r reparent.Result) {
	if command.Verb != reparent.Follow {
		return
	}
	delete(c.followed, command.Server)
	if r.Done() {
		c.followed[command.Server] = attachment{command.Source, command.Term}
	}
}

// handed claims that a replica which an elector attached to its intermediate, under a term or a later one, gets nothing from
// there that this term cancelled: whoever told it so has not asked what the intermediate holds, or will hold when it is back.
func (c *conduct) handed(s, from *server, t *transaction) {
	told := c.followed[s.address]
	if told.source != from.address || told.term < c.cancelledBy[t] || c.forgot() || c.world.judge.kept || c.world.judge.unfenced {
		return
	}
	c.world.violated(EverywhereOrGone, "row %d (%s) was cancelled under term %d, and %s gets it from %s, to which it was attached under term %d",
		t.row&0xffffffff, t.gtid, c.cancelledBy[t], s.address, from.address, told.term)
}

// strandedFor is how long an elector that acts may take to attach a cascaded replica to the primary once that is due.
const strandedFor = 15 * time.Second

// stranded claims that no cascaded replica stands still behind an intermediate that is gone, while the primary serves and could
// feed it.
func (c *conduct) stranded(e *elector, v *orchestrator.View) {
	for i := range v.Ruleset.Members {
		m := &v.Ruleset.Members[i]
		if m.Source == "" || !v.Leading {
			continue
		}
		since, known := c.standing[m.Address]
		switch now := c.world.clock.now; {
		case !c.standsStill(e, v, m):
			delete(c.standing, m.Address)
		case !known:
			c.standing[m.Address] = now
		case now-max(since, c.calm) > c.rehomeAfter()+strandedFor:
			c.world.violated(NothingLeftBehind, "%s stands still behind %s, which is gone, and %s serves: %s", m.Address, m.Source, v.Primary, c.world.state())
		}
	}
}

// rehomeAfter is for how long an intermediate has to be unfit: what the cluster says, or the default.
func (c *conduct) rehomeAfter() time.Duration {
	return cmp.Or(c.world.cluster.Limits.RehomeAfter, 10*time.Second)
}

// standsStill tells whether a cascaded replica is with an intermediate whose process is gone, and nothing keeps its elector
// from attaching it to the primary.
func (c *conduct) standsStill(e *elector, v *orchestrator.View, m *topology.Member) bool {
	w := c.world
	s, b, p := w.hosts.at(m.Address), w.hosts.at(v.Ruleset.Intermediate(m.Address, v.Primary)), w.hosts.at(v.Primary)
	if s == nil || b == nil || p == nil || b.state == processUp || s.state != processUp || s.disk.stuck() || s.channel == nil || s.channel.source != b.address {
		return false
	}
	all := v.History.Leaderships
	if v.Running != nil || v.History.Recovered || len(all) == 0 || !all[len(all)-1].Established() || !w.meet(e.place, s.place) || !w.meet(e.place, p.place) || !w.meet(s.place, p.place) {
		return false
	}
	_, out := v.Maintenance[s.address]
	within := p.position().Contains(s.position()) && s.position().Contains(p.purged)
	return !out && within && c.serves(reparent.Operation{History: v.History, Ruleset: v.Ruleset, From: v.Primary}, p)
}

// meet tells whether two places hear each other.
func (w *world) meet(a, b place) bool { return w.network.flows(a, b) && w.network.flows(b, a) }
