package orchestrator

import (
	"slices"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// CloneSettings say how servers get the data of another one.
type CloneSettings struct {
	// Join lets a member that can get what it lacks from nobody's binary logs be cloned without being asked: a new empty one
	// beside a primary that has purged its first logs, or one that was down for too long.
	Join bool
	// Donors are the servers from which may be cloned, besides those that the primary can do without.
	Donors settle.DonorRules
	// RateMax bounds a donor's traffic, in MiB/s; 0 is no bound.
	RateMax int
	// StallMax is how long a clone may make no progress, TimeMax how long it may take; 0 takes what settle has.
	StallMax, TimeMax time.Duration
}

// joinAfter is how long a server has to lack what was purged before it is cloned: until then it may turn out that another
// server has it.
const joinAfter = 30 * time.Second

// detoured puts what takes a server to another source first in place of what would take it to the primary, which has purged
// what the server lacks. A server on its way is left alone.
func (c *cluster) detoured(repairs []reparent.Command) []reparent.Command {
	if c.o.settings.Bench == nil || !c.automation().On {
		return repairs
	}
	for _, d := range reparent.Detours(c.findings, c.snapshot, c.history(), c.sessionTerm) {
		repairs = slices.DeleteFunc(repairs, func(r reparent.Command) bool { return r.Server == d.Server && r.Verb == reparent.Follow })
		closing := slices.ContainsFunc(repairs, func(r reparent.Command) bool { return r.Server == d.Server })
		if d.Verb != "" && !closing {
			repairs = append(repairs, d)
		}
	}
	return repairs
}

// joining is a server that waits for a clone, and from whom: it lacks what is purged on the primary, no other server has it,
// and nothing of what it holds would be lost.
func (c *cluster) joining(now time.Time) (server, donor topology.Address, found bool) {
	current, led := c.lineage.History.Current()
	if c.o.settings.Bench == nil || !c.o.settings.Clone.Join || !c.automation().On || !led {
		return "", "", false
	}
	detours := reparent.Detours(c.findings, c.snapshot, c.history(), c.sessionTerm)
	for _, f := range c.findings {
		onDetour := slices.ContainsFunc(detours, func(d reparent.Command) bool { return d.Server == f.Server })
		if f.Code != topology.PurgedOnSource || onDetour || now.Sub(f.Since) < joinAfter || c.keptApart(f.Server) {
			continue
		}
		if donor, _ := c.donor(current.Primary, settle.Settlement{Server: f.Server}); donor != "" && settle.Needed(c.snapshot, current.Primary, f.Server) == "" {
			return f.Server, donor, true
		}
	}
	return "", "", false
}

// keptApart tells whether a server is for somebody else to settle.
func (c *cluster) keptApart(a topology.Address) bool {
	return c.snapshot.Maintenance.Has(a) || c.snapshot.Held != nil || !c.snapshot.Server(a).OK() ||
		slices.ContainsFunc(c.findings, func(f topology.Finding) bool { return f.Server == a && f.Code == topology.Errant })
}

// donor is from whom a settlement's server would be cloned now; without anybody, why not from each.
func (c *cluster) donor(primary topology.Address, s settle.Settlement) (topology.Address, []string) {
	return settle.Donor(c.snapshot, c.findings, primary, s.Server, c.o.settings.Clone.Donors, s.DonorTries)
}
