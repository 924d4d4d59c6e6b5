package policy

import (
	"fmt"
	"slices"
)

// move is one kind of step of a change of the rules, on the primary's MySQL, on its ackers or in the store.
type move string

// The moves. Those on MySQL are made one server at a time.
const (
	raise   move = "raise the acks"                       // to the higher of both rulesets'
	lower   move = "lower the acks"                       // to the new ruleset's
	disable move = "disable ackers"                       // those that the new ruleset does not have
	enable  move = "enable ackers"                        // those that the old ruleset did not have
	record  move = "record"                               // the new ruleset takes the old one's place in the store
	barrier move = "have a transaction acknowledged once" // whoever acknowledged it holds everything before it
	// repair is what the loop does about the findings that a newly recorded ruleset brings: it enables ackers and sets
	// the acks, each on a server of its own, so that they come in any order.
	repair move = "repair"
)

// safeOrder is the order in which a change of the rules keeps every promise.
//
// Theorem. Let the old rules be k of E and the new ones k' of E'. As long as the old ones are on record MySQL may run
// any j of G with G ⊆ E and j ≥ k: fewer can answer, so whoever is revoked by the record is revoked. The same holds
// for the new ones. So the change goes through k″ = max(k, k') of E″ = E ∩ E', which both records cover; and before the
// new ruleset is recorded a barrier makes k″ of E″ hold everything that fewer or others had acknowledged.
//
// A change that only adds ackers and lowers acks has k″ of E″ = k of E: MySQL runs it already, everything on record is
// acknowledged so, and there is nothing to wait for. These are the changes that Ruleset.Succeeds lets through: the loop
// records them, and repairs what the new ruleset finds wrong, in whatever order servers obey. The others are made in the
// order with a barrier (topology.Transition), whose last two steps are such repairs too.
func safeOrder(needsBarrier bool) []move {
	if needsBarrier {
		return []move{raise, disable, barrier, record, enable, lower}
	}
	return []move{record, repair}
}

// stage is a cluster between two steps of a change.
type stage struct {
	after    move // the last step; empty at the beginning
	recorded bool // the new ruleset is on record
	runs     regime
	// before are the regimes under which transactions were completed since the last barrier, the present one included.
	before []regime
}

// stages are a change of the rules of one primary, step by step; false when a barrier would never be acknowledged.
func stages(order []move, old, next regime) ([]stage, bool) {
	all := []stage{{runs: old, before: []regime{old}}}
	for _, m := range order {
		last := all[len(all)-1]
		switch m {
		case raise:
			all = last.adjusted(all, m, regime{last.runs.enabled, max(last.runs.acks, next.acks)})
		case lower:
			all = last.adjusted(all, m, regime{last.runs.enabled, next.acks})
		case disable:
			for i := range last.runs.enabled.minus(next.enabled).each {
				last = all[len(all)-1]
				all = last.adjusted(all, m, regime{last.runs.enabled.minus(one(i)), last.runs.acks})
			}
		case enable:
			for i := range next.enabled.minus(last.runs.enabled).each {
				last = all[len(all)-1]
				all = last.adjusted(all, m, regime{last.runs.enabled | one(i), last.runs.acks})
			}
		case repair:
			all = last.repaired(all, next)
		case record:
			last.after, last.recorded = m, true
			all = append(all, last)
		case barrier:
			if last.runs.enabled.len() < last.runs.acks {
				return all, false
			}
			last.after, last.before = m, []regime{last.runs}
			all = append(all, last)
		}
	}
	return all, true
}

// adjusted adds the stage after MySQL was told something else; nothing when it was told so already.
func (s stage) adjusted(all []stage, m move, runs regime) []stage {
	if runs == s.runs {
		return all
	}
	before := append(slices.Clip(s.before), runs)
	return append(all, stage{after: m, recorded: s.recorded, runs: runs, before: before})
}

// repaired adds every stage between what MySQL runs and what it is to run. In whichever order it comes there, each
// transaction was completed at one of these stages or before; so each is asked for what is lost of its own.
func (s stage) repaired(all []stage, next regime) []stage {
	for added := range next.enabled.minus(s.runs.enabled).subsets() {
		for _, acks := range []int{s.runs.acks, next.acks} {
			all = s.adjusted(all, repair, regime{s.runs.enabled | added, acks})
			if next.acks == s.runs.acks {
				break
			}
		}
	}
	return all
}

func (s stage) String() string {
	if s.after == "" {
		return fmt.Sprintf("before the first step MySQL waits for %s", s.runs)
	}
	return fmt.Sprintf("after the step %q MySQL waits for %s", s.after, s.runs)
}
