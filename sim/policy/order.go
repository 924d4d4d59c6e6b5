package policy

import (
	"fmt"
	"slices"

	"github.com/primacydb/primacy/topology"
)

// move is one kind of step of a change of the rules. Those on MySQL are made one server at a time.
type move = topology.Move

const (
	raise   = topology.MoveRaise
	lower   = topology.MoveLower
	disable = topology.MoveDisable
	enable  = topology.MoveEnable
	record  = topology.MoveRecord
	barrier = topology.MoveBarrier
	repair  = topology.MoveRepair
)

// atOnce is how a change is made that Ruleset.Succeeds lets through: MySQL runs k″ of E″ already, and everything on record is
// acknowledged so.
func atOnce() []move { return []move{record, repair} }

// orderOf is the order in which the real code makes a change: the moves of topology.Transition, where its safety is proven, up
// to the record. All that is left then is the loop's to repair, each on a server of its own, so that it comes in any order.
func orderOf(old, next topology.Ruleset) []move {
	all := topology.Transition{Old: old, Next: next}.Moves()
	return append(slices.Clone(all[:slices.Index(all, record)+1]), repair)
}

// stage is a cluster between two steps of a change.
type stage struct {
	after    move // the last step; empty at the beginning
	recorded bool // the new ruleset is on record
	runs     regime
	// before are the regimes under which transactions were completed since the last barrier, the present one included.
	before []regime
}

// stages are a change of the rules of one primary, step by step; false when a barrier would never be acknowledged. Members are
// those of the old rules: others follow nobody before the new ones are on record.
func stages(order []move, old, next regime, members set) ([]stage, bool) {
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
			following := next.enabled
			if !last.recorded {
				following &= members
			}
			for i := range following.minus(last.runs.enabled).each {
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
