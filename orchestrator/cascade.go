package orchestrator

import (
	"fmt"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// rehomings is how often a cascaded replica had to leave its intermediate lately, and when it last had to.
type rehomings struct {
	times int
	last  time.Time
}

// rehomedFor is for how long it is remembered that a cascaded replica had to leave its intermediate. It is longer than the
// longest time that this makes a return wait, with the default of detection.return_after.
const rehomedFor = time.Hour

// moved counts a cascaded replica that leaves its intermediate for the primary, and says why in the words of its finding; the
// same for one that goes back. Empty for any other repair.
func (c *cluster) moved(m mend, now time.Time) string {
	current, _ := c.lineage.History.Current()
	a := m.command.Server
	intermediate := c.record.Ruleset.Intermediate(a, current.Primary)
	o := c.snapshot.Find(a)
	if intermediate == "" || m.command.Verb != reparent.Follow || o == nil || o.Replication == nil || o.Replication.Source == m.command.Source {
		return ""
	}
	switch {
	case m.command.Source == intermediate:
		return "its intermediate"
	case o.Replication.Source == intermediate && m.result.Outcome != reparent.No:
		c.rehomings[a] = rehomings{times: c.rehomings[a].times + 1, last: now}
	}
	for i := range c.findings {
		if f := &c.findings[i]; f.Server == a && f.Code == topology.IntermediateUnfit {
			return fmt.Sprintf("for %s", f.Message)
		}
	}
	return ""
}

// rehomedLately is how often each cascaded replica had to leave its intermediate within memory.
func (c *cluster) rehomedLately(now time.Time) map[topology.Address]int {
	var all map[topology.Address]int
	for a, r := range c.rehomings {
		if now.Sub(r.last) >= rehomedFor {
			delete(c.rehomings, a)
			continue
		}
		if all == nil {
			all = map[topology.Address]int{}
		}
		all[a] = r.times
	}
	return all
}
