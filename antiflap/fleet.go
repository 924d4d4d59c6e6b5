package antiflap

import (
	"slices"
	"time"
)

// Fleet holds the recent automatic changes of all clusters, and those under way, for the brake. The zero value is a
// fleet that never changed. Electors share one Fleet, so it is saved with a check that nobody else saved in between.
type Fleet struct {
	Changes []Change `json:"changes,omitempty"`
	Begun   []Start  `json:"begun,omitempty"`
}

// Start is an automatic change that was cleared and has not ended yet.
type Start struct {
	Cluster string    `json:"cluster"`
	At      time.Time `json:"at"`
}

// Started counts a cleared automatic change from the moment it begins. When a rack dies, ten clusters ask within one
// second; counting only what reached establishment would let all ten through. Manual changes are not counted.
func (f Fleet) Started(c Clearance) Fleet {
	if !c.Valid() || !c.automatic {
		return f
	}
	f = f.Ended(c.cluster)
	f.Begun = append(f.Begun, Start{Cluster: c.cluster, At: c.at})
	return f
}

// Ended takes back what Started counted: the attempt failed or was undone.
func (f Fleet) Ended(cluster string) Fleet {
	f.Begun = without(f.Begun, func(s Start) bool { return s.Cluster == cluster })
	return f
}

// UnderWay tells whether a cluster's automatic change was counted that is not known to have ended.
func (f Fleet) UnderWay(cluster string) bool {
	return slices.ContainsFunc(f.Begun, func(s Start) bool { return s.Cluster == cluster })
}

// Established takes note of a change and forgets those that are too old to count.
func (f Fleet) Established(change Change, s Settings) Fleet {
	s = s.filled()
	f = f.Ended(change.Cluster)
	change.At = wall(change.At)
	f.Changes = without(f.Changes, func(c Change) bool {
		return !c.At.After(change.At.Add(-s.FleetPer)) || c.Cluster == change.Cluster && c.Term == change.Term
	})
	if change.brakes() {
		f.Changes = append(f.Changes, change)
	}
	return f
}

// Rebased moves to now whatever a clock that jumped back has left in the future. See [Cluster.Rebased].
func (f Fleet) Rebased(now time.Time) Fleet {
	now = wall(now)
	f.Changes, f.Begun = slices.Clone(f.Changes), slices.Clone(f.Begun)
	for i := range f.Changes {
		f.Changes[i].At = earlier(f.Changes[i].At, now)
	}
	for i := range f.Begun {
		f.Begun[i].At = earlier(f.Begun[i].At, now)
	}
	return f
}

// Brake is the state of the fleet's allowance at a moment.
type Brake struct {
	On      bool
	Until   time.Time // when the next automatic change fits in
	Changes int       // automatic changes that count now, those under way included
}

// Brake says whether one more automatic change fits into the allowance.
func (f Fleet) Brake(now time.Time, s Settings) Brake { return f.brakeFor("", now, s) }

// brakeFor leaves out what the asking cluster itself has under way: a retry is not one more change.
func (f Fleet) brakeFor(cluster string, now time.Time, s Settings) Brake {
	s = s.filled()
	now = wall(now)
	counted := f.countedAt(cluster, now, s.FleetPer)
	if len(counted) < s.FleetChangesMax {
		return Brake{Changes: len(counted)}
	}
	// There is room again once so many of the oldest have left that one fewer than allowed remains.
	leaves := counted[len(counted)-s.FleetChangesMax].Add(s.FleetPer)
	return Brake{On: true, Until: leaves, Changes: len(counted)}
}

// countedAt lists when the changes happened that count now, oldest first. One from the future counts as of now.
func (f Fleet) countedAt(except string, now time.Time, per time.Duration) []time.Time {
	var times []time.Time
	for _, c := range f.Changes {
		times = append(times, earlier(c.At, now))
	}
	for _, s := range f.Begun {
		if s.Cluster != except {
			times = append(times, earlier(s.At, now))
		}
	}
	times = without(times, func(t time.Time) bool { return !t.After(now.Add(-per)) })
	slices.SortFunc(times, time.Time.Compare)
	return times
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// without is slices.DeleteFunc on a copy: a Fleet that somebody still holds must not change under them.
func without[T any](all []T, drop func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), drop)
}
