package api

import (
	"context"
	"slices"
	"time"

	"github.com/primacydb/primacy/reparent"
)

// A change on record is large: it holds all that proves it. So a list of them reads, cluster by cluster, no more of the latest
// than may stand on the page, and keeps of what it reads only that.

// How far back changes are looked for: in one cluster, in all together, and in each at least.
const (
	reachBack      = 1000
	reachBackAll   = 20000
	reachBackLeast = 20
)

// firstRead is how many of a cluster's latest changes are read at first, and readFactor how many more when those may not be all
// that belongs on the page: they are read again, for a record is found by its place among the latest only.
const (
	firstRead  = 16
	readFactor = 4
)

// behindEnough: the times are those of different electors' clocks, so that a change may seem to have begun before the one that it
// followed. That many in a row tell that what is older is further back.
const behindEnough = 4

// search gathers the newest changes behind a position that are wanted.
type search struct {
	recoveries func(ctx context.Context, cluster string, limit int) ([]reparent.Operation, error)
	wanted     func(reparent.Operation) bool
	before     *position
	since      time.Time // nothing is wanted that began earlier
	most       int
	best       []reparent.Operation // newest first, at most so many
}

// reachOf is how many changes of each cluster are looked at.
func reachOf(clusters int) int {
	return min(reachBack, max(reachBackLeast, reachBackAll/max(clusters, 1)))
}

// through searches clusters, one after the other.
func (s *search) through(ctx context.Context, clusters []string) error {
	reach := reachOf(len(clusters))
	for _, name := range clusters {
		for limit := min(firstRead, reach); ; limit = min(limit*readFactor, reach) {
			found, err := s.recoveries(ctx, name, limit)
			if err != nil {
				return err
			}
			best := s.with(found)
			if len(found) < limit || limit == reach || s.full(best, found) {
				s.best = best
				break
			}
		}
	}
	return nil
}

// full tells whether nothing older than what was found of a cluster belongs on the page: it is not wanted, or the page is full
// of what is newer.
func (s *search) full(best, found []reparent.Operation) bool {
	oldest := found[max(0, len(found)-behindEnough):]
	if !slices.ContainsFunc(oldest, func(op reparent.Operation) bool { return !op.StartedAt.Before(s.since) }) {
		return true
	}
	return len(best) == s.most && !slices.ContainsFunc(oldest, func(op reparent.Operation) bool {
		return backInTime(op).compare(backInTime(best[s.most-1])) <= 0
	})
}

// with are the best so far and those found, as far as they are wanted and fit on the page.
func (s *search) with(found []reparent.Operation) []reparent.Operation {
	best := slices.Clone(s.best)
	for _, op := range found {
		at := backInTime(op)
		if !s.wanted(op) || s.before != nil && at.compare(*s.before) <= 0 {
			continue
		}
		place, _ := slices.BinarySearchFunc(best, at, func(one reparent.Operation, at position) int { return backInTime(one).compare(at) })
		if place < s.most {
			best = slices.Insert(best, place, op)
			best = slices.Clip(best[:min(len(best), s.most)])
		}
	}
	return best
}
