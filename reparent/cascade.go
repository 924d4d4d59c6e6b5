package reparent

import (
	"slices"

	"github.com/primacydb/primacy/topology"
)

// sourceFor is whom one of the followers is to follow: the new primary, or its intermediate if it followed that before and that
// follows too. Whoever had to leave its intermediate before stays with the primary; to bring it back is the repair's.
func (op Operation) sourceFor(a topology.Address) topology.Address {
	intermediate := op.Ruleset.Intermediate(a, op.To)
	if intermediate != "" && op.Known[a].Source == intermediate && op.Followers.Has(intermediate) {
		return intermediate
	}
	return op.To
}

// stayers are the followers that a planned change leaves alone: cascaded replicas whose intermediate changes its source in
// order. All that the new primary writes reaches them by that way.
func (op Operation) stayers(in Intent, followers topology.ServerSet) topology.ServerSet {
	moving := followers.With(op.From)
	return followers.Where(func(a topology.Address) bool {
		intermediate := op.Ruleset.Intermediate(a, op.To)
		return intermediate != "" && moving.Has(intermediate) && follows(in.Snapshot.Server(a), intermediate)
	})
}

// fedByIntermediate tells whether a server gets what it lacks from its intermediate.
func fedByIntermediate(a topology.Address, r topology.Ruleset, primary topology.Address, findings []topology.Finding) bool {
	unfit := slices.ContainsFunc(findings, func(f topology.Finding) bool { return f.Server == a && f.Code == topology.IntermediateUnfit })
	return !unfit && topology.SourceOf(a, r, primary, findings) != primary
}
