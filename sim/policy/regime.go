package policy

import (
	"fmt"
	"iter"

	"github.com/primacydb/primacy/topology"
)

// regime is what MySQL does while one server leads: it answers the client when any acks of the enabled
// have acknowledged. It is all that MySQL can do, and is written down here without asking anybody.
type regime struct {
	enabled set
	acks    int
}

// told is the regime that the real code sets up for a primary.
func told(r topology.Ruleset, primary int) regime {
	return regime{numbered(r.Ackers(name(primary))), r.AcksNeeded(name(primary))}
}

// answers yields each smallest set of ackers with which a client gets OK.
func (r regime) answers() iter.Seq[set] {
	return func(yield func(set) bool) {
		for q := range r.enabled.subsets() {
			if q.len() == r.acks && !yield(q) {
				return
			}
		}
	}
}

// answersWithin tells whether a commit can complete with acknowledgements of these servers alone.
func (r regime) answersWithin(loose set) bool {
	for q := range r.answers() {
		if q.minus(loose) == 0 {
			return true
		}
	}
	return false
}

// met is the family of sets that meet everything with which a client gets OK.
func (r regime) met() family {
	var all family
	for f := range first(serversMax).subsets() {
		if r.missedBy(f) < 0 {
			all = all.with(f)
		}
	}
	return all
}

// missedBy finds a set with which a client gets OK and of which a set of servers holds none; -1 when there is none.
func (r regime) missedBy(f set) int {
	for q := range r.answers() {
		if q&f == 0 {
			return int(q)
		}
	}
	return -1
}

func (r regime) String() string { return fmt.Sprintf("any %d of %s", r.acks, r.enabled) }
