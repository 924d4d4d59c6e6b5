package orchestrator

import (
	"context"
	"fmt"
	"time"

	"github.com/primacydb/primacy/topology"
)

const (
	// yieldAfter is how long a cluster has to be meant for another elector before it is handed over to it.
	yieldAfter = 2 * time.Second
	// yieldEvery paces hand-overs of one elector: each costs its successor some writes and a round of probes.
	yieldEvery = 100 * time.Millisecond
	// yieldSaved is how much of that pace may be made up for at once: the rounds of many clusters begin in the same moment,
	// and would else each time find that another was handed over just before.
	yieldSaved = time.Second
	// tenureMin is how long a cluster stays where it is: electors that come and go do not have it passed to and fro.
	tenureMin = 30 * time.Second
)

// yield hands the cluster over to the elector that it is meant for, while nothing is going on: whoever gains it looks
// for itself, and what was going on would be a change interrupted.
func (c *cluster) yield(ctx context.Context) {
	now := c.now()
	if c.o.sharing == nil || c.lease == nil || !c.calm() {
		return
	}
	to, ok := c.o.sharing.out(c.name, c.ledSince, now)
	if !ok {
		return
	}
	lease := c.lease
	c.follow(fmt.Sprintf("it is the share of elector %s", to))
	if f, keeps := c.o.fleet.(interface{ EndTerm(string, uint32) }); keeps {
		f.EndTerm(c.name, c.sessionTerm) // its successor's sessions find none of ours in their way
	}
	c.giveBack(lease)
}

// calm tells whether the cluster can change hands: nothing is under way or left unfinished, nobody has asked for
// anything, and it is not open whether the primary has to be replaced.
func (c *cluster) calm() bool {
	if c.busy || c.repairing || c.spell != nil || c.lineage.Running != "" || !c.inbox.quiet() {
		return false
	}
	if c.sight.blind { // what is open is for one to judge that sees it
		return true
	}
	for i := range c.findings {
		f := &c.findings[i]
		switch f.Code {
		case topology.PrimarySuspect, topology.StoreBehind, topology.LeadershipUnsettled, topology.NotAdopted:
			return false
		}
		if f.Remedy == topology.RemedyEmergency {
			return false
		}
	}
	return true
}

// out tells whether a cluster is to be handed over now, and to whom. A yes counts as one of the few in this moment.
func (s *sharing) out(cluster string, since, now time.Time) (to string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.turns[cluster]
	_, asked := s.unfit[cluster]
	switch {
	case t.ours || t.to == "" || t.owner.Session == t.to || now.Sub(t.since) < yieldAfter:
		return "", false
	case now.Before(s.shunned[t.to]):
		return "", false
	case now.Sub(since) < s.o.settings.TenureMin && !asked:
		return "", false
	case now.Before(s.nextOut):
		return "", false
	}
	if saved := now.Add(-yieldSaved); s.nextOut.Before(saved) {
		s.nextOut = saved
	}
	s.nextOut = s.nextOut.Add(yieldEvery)
	return t.node, true
}
