package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/primacydb/primacy/topology"
)

// misplaced tells whether a replica is not where the rules want it: at its intermediate, or with the primary while it
// had to leave that. In a world that draws its cascade it has the time to go back.
func (w *world) misplaced(s, p *server, source topology.Address) bool {
	intermediate := w.rules().Intermediate(s.address, p.address)
	if intermediate == "" || !w.options.Cascade {
		return source != p.address && (intermediate == "" || source != intermediate)
	}
	return source != intermediate
}

// drawCascade has one or two members replicate from another one by the rules, where the policy can be met without their
// acknowledgements; else the cluster stays as it is. The first two, of which one leads, may always do so.
func drawCascade(r *rand.Rand, c Cluster) Cluster {
	members := slices.Clone(c.Ruleset.Members)
	n := len(members)
	leaf := 2 + r.IntN(n-2)
	intermediate := (leaf + 1 + r.IntN(n-1)) % n
	second := r.IntN(n)
	c.Limits.RehomeAfter = time.Duration(500+r.IntN(1500)) * time.Millisecond
	c.Limits.ReturnAfter = c.Limits.RehomeAfter + time.Duration(r.IntN(1000))*time.Millisecond // even 16 times as long is over in time
	cascade := func(leaf int) bool {
		before := c.Ruleset
		c.Ruleset.Members = slices.Clone(members)
		c.Ruleset.Members[leaf].Source, c.Ruleset.Members[leaf].Promotion = members[intermediate].Address, topology.PromotionNever
		if c.Ruleset.Validate() != nil {
			c.Ruleset = before
			return false
		}
		members = c.Ruleset.Members
		return true
	}
	for !cascade(leaf) && c.Ruleset.Policy.Acks > 1 { // fewer acks leave more who need not give one
		c.Ruleset.Policy.Acks--
	}
	if second > 1 && second != leaf && n > 4 {
		cascade(second)
	}
	return c
}
