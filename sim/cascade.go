package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
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

// anotherSource has a member replicate from another one than before, or from whoever leads. Who is to begin to replicate from
// somebody acknowledges no longer, which is refused mostly: it takes a barrier.
func anotherSource(rules *topology.Ruleset, m *topology.Member, chance *rand.Rand) bool {
	if of := slices.IndexFunc(rules.Members, func(x topology.Member) bool { return x.Source != "" }); of >= 0 && chance.IntN(3) > 0 {
		m = &rules.Members[of]
	}
	if m.Source != "" && chance.IntN(2) == 0 {
		m.Source, m.Promotion = "", []topology.Promotion{topology.PromotionNever, topology.PromotionNeutral, ""}[chance.IntN(3)]
		return true
	}
	m.Source, m.Promotion = rules.Members[chance.IntN(len(rules.Members))].Address, topology.PromotionNever
	return true
}

// cascadesOf are the members that replicate from another one, in words; empty when none does.
func cascadesOf(rules topology.Ruleset) string {
	var words strings.Builder
	for i := range rules.Members {
		if m := &rules.Members[i]; m.Source != "" {
			fmt.Fprintf(&words, ", %s from %s", m.Address, m.Source)
		}
	}
	return words.String()
}
