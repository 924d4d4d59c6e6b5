package sim

import (
	"slices"

	"github.com/primacydb/primacy/topology"
)

// What no promise covers, because nobody can keep it: a person has to decide, or nothing can be known.

// unknowable tells whether nobody could tell whoever acts that another server than this one leads by now: the store forgot it, and
// all that hold its marker are out of reach. With n servers and k acknowledgements that takes n ≥ 2k+2, and is a limit that
// docs/failover.md names: two primaries are possible. From then on nothing is claimed.
func (j *judge) unknowable(s *server) bool {
	w, e := j.world, j.world.actor()
	if e == nil || len(w.members()) < 2*j.fewest+2 {
		return false
	}
	for term, later := range j.established {
		d := j.conduct.decided[term]
		if d == nil || later.at > j.forgotten || e.knows(term) || s.position().Has(d.Marker().GTID()) {
			continue
		}
		if !slices.ContainsFunc(w.hosts.all, func(x *server) bool { return e.reaches(x) && x.position().Has(d.Marker().GTID()) }) {
			w.tell("invariant", "the store forgot term %d, and nobody who is reached holds its marker: nothing is claimed any more", term)
			j.beyond = true
			return true
		}
	}
	return false
}

// knows tells whether a term is in the history by which an elector acts.
func (e *elector) knows(term uint32) bool {
	return slices.ContainsFunc(e.view().History.Leaderships, func(l topology.Leadership) bool { return l.Term == term })
}

func (e *elector) reaches(s *server) bool {
	return s.state == processUp && e.world.network.prompt(e.place, s.place)
}

// undecided tells whether an end is a person's to find: histories contradict each other, of servers that took writes as soon as
// they started or that led under one term, and Primacy shows them. Even then what was promised is still there.
func (j *judge) undecided() bool {
	e := j.world.actor()
	if e == nil {
		return false
	}
	v := e.view()
	shown := v.Obstacle != nil && j.conduct.startOpen() || v.Refusal != "" && j.conduct.contested()
	if !shown {
		return false
	}
	left := j.promised.all()
	for _, s := range j.world.hosts.all {
		left = left.Subtract(s.position())
	}
	if !left.IsEmpty() {
		j.world.violated(NothingLost, "no server holds %s, which clients were told is committed", left)
	}
	return true
}
