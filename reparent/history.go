package reparent

import (
	"fmt"
	"math"
	"slices"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// reading is a frozen server's position, seen through what is on record.
type reading struct {
	address  topology.Address
	position gtid.Set
	// legit is what some recorded leader wrote, or adoption took over; the rest is errant by construction.
	legit  gtid.Set
	marker topology.Marker // the highest; term 0 when none
}

// errant is what no leader on record ever wrote.
func (r reading) errant() gtid.Set { return r.position.Subtract(r.legit) }

// choice is the history that wins, and who stands where towards it.
type choice struct {
	marker  topology.Marker
	history gtid.Set
	// clean are the servers whose position lies within the history; the others hold cancelled or errant
	// transactions.
	clean topology.ServerSet
	why   string
}

func (op Operation) readings() []reading {
	var all []reading
	for _, m := range op.Ruleset.Members {
		p := op.Progress[m.Address]
		if p.Reading == nil || (p.Frozen != Yes && !op.readsFromLeader(m.Address)) {
			continue
		}
		if op.isLeader(m.Address) && p.Silenced == Yes && p.With == Poison {
			continue // clients of it are cut and its waiters are tentative: it is no source of history
		}
		all = append(all, op.read(m.Address, p.Reading.Position()))
	}
	return all
}

func (op Operation) read(a topology.Address, position gtid.Set) reading {
	legit := op.legit(position)
	marker, _ := topology.HighestMarker(legit)
	return reading{address: a, position: position, legit: legit, marker: marker}
}

// legit keeps what recorded leaders wrote, what the last decisions took over, and term markers that are
// on record. Before adoption nothing is on record and everything is legitimate.
func (op Operation) legit(position gtid.Set) gtid.Set {
	if len(op.History.Leaderships) == 0 {
		return position
	}
	kept := position.Only(func(s gtid.Source) bool {
		if _, marker := topology.MarkerOf(s.UUID); marker {
			return true
		}
		return slices.Contains(op.History.Leaders, s.UUID)
	})
	for _, l := range op.History.Leaderships {
		kept = kept.Union(position.Intersect(l.Base))
	}
	return kept
}

// under keeps what is valid under a decision: what it honoured, its marker, and what its primary wrote
// afterwards. Anything else was cancelled by it.
func under(d topology.Decision, legit gtid.Set) gtid.Set {
	followed := gtid.Range(gtid.Source{UUID: d.PrimaryUUID}, 1, math.MaxInt64-1)
	return legit.Intersect(d.Base.Union(d.Marker().Set()).Union(followed).Union(tagged(d, legit)))
}

// tagged is what the decision's primary wrote under tagged GTIDs.
func tagged(d topology.Decision, position gtid.Set) gtid.Set {
	return position.Only(func(s gtid.Source) bool { return s.UUID == d.PrimaryUUID && s.Tag != "" })
}

// chooseHistory decides between the histories that the frozen servers hold: the highest marker wins,
// even against more transactions; under one marker the superset wins; two that contradict each other
// are for an operator.
func (op Operation) chooseHistory() (choice, *Obstacle) {
	all := op.readings()
	if len(all) == 0 {
		return choice{}, &Obstacle{Code: "nothing_read", Message: "no server could be read"}
	}
	top := slices.MaxFunc(all, func(a, b reading) int { return int(int64(a.marker.Term) - int64(b.marker.Term)) })
	if obstacle := oneMarker(all, top.marker); obstacle != nil {
		return choice{}, obstacle
	}
	decision, recorded := op.decisionOf(top.marker)
	if !recorded && top.marker.Term != 0 {
		return choice{}, &Obstacle{
			Code:    "unknown_marker",
			Message: fmt.Sprintf("%s holds the marker of %s, which is not on record: the store is older than the servers", top.address, top.marker),
			Remedy:  "wait for this elector to take the record over from the servers' journals, or restore the store",
		}
	}
	return op.weigh(all, top, decision)
}

func oneMarker(all []reading, top topology.Marker) *Obstacle {
	branches := map[topology.Address]gtid.Set{}
	differ := false
	for _, r := range all {
		if r.marker.Term == top.Term {
			branches[r.address] = r.position
			differ = differ || r.marker.Hash != top.Hash
		}
	}
	if !differ {
		return nil
	}
	return &Obstacle{
		Code: "two_markers", Branches: branches,
		Message: fmt.Sprintf("term %d was used by two electors: servers hold different markers of it", top.Term),
		Remedy:  "compare the branches and decide by hand which one to keep",
	}
}

func (op Operation) decisionOf(m topology.Marker) (topology.Decision, bool) {
	for _, l := range op.History.Leaderships {
		if l.Marker() == m {
			return l.Decision, true
		}
	}
	return topology.Decision{}, false
}

// weigh finds the superset among the servers of the highest marker, and sorts the others.
func (op Operation) weigh(all []reading, top reading, d topology.Decision) (choice, *Obstacle) {
	content := map[topology.Address]gtid.Set{}
	var best gtid.Set
	for _, r := range all {
		if r.marker != top.marker {
			continue
		}
		content[r.address] = r.legit
		if top.marker.Term != 0 {
			content[r.address] = under(d, r.legit)
		}
		if content[r.address].Contains(best) {
			best = content[r.address]
		}
	}
	for _, set := range content {
		if !best.Contains(set) {
			return choice{}, &Obstacle{
				Code: "incomparable", Branches: content,
				Message: fmt.Sprintf("servers of %s hold histories that contradict each other: someone wrote outside the protocol", markerWord(top.marker)),
				Remedy:  "compare the branches and decide by hand which one to keep",
			}
		}
	}
	if missing := op.legit(op.floor()).Subtract(best); !missing.IsEmpty() && !op.AcceptLoss && op.Ruleset.Policy.Kind != topology.PolicyNone {
		return choice{}, &Obstacle{
			Code:    "below_floor",
			Message: fmt.Sprintf("the best history that was found lacks transactions that were seen as committed on %s: %s", op.From, missing),
			Remedy:  fmt.Sprintf("bring back a server that holds them, or accept their loss knowingly: primacy emergency %s --accept-loss --reason …", op.Cluster),
		}
	}
	return choice{marker: top.marker, history: best, clean: within(all, best), why: op.reasonFor(all, top, best)}, nil
}

// floor is what the chosen history must not go below: what was seen as committed while semi-sync was
// verified, and what a leader that was made unable to complete shows as committed then.
func (op Operation) floor() gtid.Set {
	floor := op.Floor
	for _, l := range op.Leaders {
		p, before := op.Progress[l.Address], op.Known[l.Address]
		if p.Silenced == Yes && p.Reading != nil && p.Reading.Incarnation == op.establishedIncarnation(l.Address) && before.Incarnation == p.Reading.Incarnation {
			floor = floor.Union(p.Reading.Executed)
		}
	}
	return floor
}

func (op Operation) establishedIncarnation(a topology.Address) string {
	current, ok := op.History.Current()
	if !ok || current.Primary != a {
		return ""
	}
	return current.Incarnation
}

func within(all []reading, history gtid.Set) topology.ServerSet {
	var clean []topology.Address
	for _, r := range all {
		if history.Contains(r.position) {
			clean = append(clean, r.address)
		}
	}
	return topology.Servers(clean...)
}

func (op Operation) reasonFor(all []reading, top reading, best gtid.Set) string {
	why := fmt.Sprintf("highest marker among %d read: %s", len(all), markerWord(top.marker))
	for _, r := range all {
		switch left := r.position.Subtract(best); {
		case left.IsEmpty():
		case r.errant().IsEmpty():
			why += fmt.Sprintf("; %s holds cancelled %s", r.address, left)
		default:
			why += fmt.Sprintf("; %s holds errant %s, left out", r.address, left)
		}
	}
	return why
}

func markerWord(m topology.Marker) string {
	if m.Term == 0 {
		return "no term"
	}
	return fmt.Sprintf("term %d", m.Term)
}

func (op Operation) isLeader(a topology.Address) bool {
	return slices.ContainsFunc(op.Leaders, func(l Leader) bool { return l.Address == a })
}
