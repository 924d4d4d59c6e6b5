package reparent

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// reading is a frozen server's position, seen through what is on record.
type reading struct {
	address  topology.Address
	position gtid.Set
	// legit is what some recorded leader wrote, or adoption took over; the rest is errant by construction.
	legit   gtid.Set
	marker  topology.Marker // the highest; term 0 when none
	content gtid.Set        // what of it belongs to the history of that marker
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
	// follow are the clean servers, and poisoned leaders that hold nothing but the history: those write no
	// history, but they may follow.
	follow topology.ServerSet
	read   []reading // what it was chosen from
	why    string    // when it was not chosen by weighing what was read
}

func (op *Operation) readings() []reading {
	return op.readingsWhere(func(a topology.Address, p Progress) bool {
		return (p.Frozen == Yes || op.readsFromLeader(a)) && !op.tentative(a)
	})
}

// subdued are leaders that were poisoned and frozen.
func (op *Operation) subdued() []reading {
	return op.readingsWhere(func(a topology.Address, p Progress) bool { return p.Frozen == Yes && op.tentative(a) })
}

func (op *Operation) readingsWhere(keep func(topology.Address, Progress) bool) []reading {
	var all []reading
	for _, m := range op.Ruleset.Members {
		if p := op.Progress[m.Address]; p.Reading != nil && keep(m.Address, p) {
			all = append(all, op.read(m.Address, p.Reading.Position()))
		}
	}
	return all
}

// tentative tells whether a server is a poisoned leader whose clients' commits may still wait in its binary
// log: it is no source of history.
func (op *Operation) tentative(a topology.Address) bool {
	p := op.Progress[a]
	return op.isLeader(a) && p.Silenced == Yes && p.With == Poison && !op.onlyMarkersPend(a)
}

func (op *Operation) read(a topology.Address, position gtid.Set) reading {
	legit := op.legit(position).Subtract(op.pending(a))
	marker, _ := topology.HighestMarker(legit)
	return reading{address: a, position: position, legit: legit, marker: marker}
}

// legit keeps what recorded leaders wrote, what the last decisions took over, and term markers that are
// on record. Before adoption nothing is on record and everything is legitimate; so it is if an operator wants to keep what
// servers hold.
func (op *Operation) legit(position gtid.Set) gtid.Set {
	if len(op.History.Leaderships) == 0 || op.KeepErrant {
		return position
	}
	kept := position.Only(func(s gtid.Source) bool {
		if _, marker := topology.MarkerOf(s.UUID); marker {
			return true
		}
		return slices.Contains(op.History.Leaders, s.UUID)
	})
	if kept.Equal(position) { // which is mostly so
		return position
	}
	for _, l := range op.History.Leaderships {
		kept = kept.Union(position.Intersect(l.Base))
	}
	return kept.Union(position.Intersect(op.accepted()))
}

// accepted are the errant transactions that somebody had taken into the history of the established leadership. Whoever
// holds its marker has them from its primary, like what that one wrote, in the order of its binary log.
func (op *Operation) accepted() gtid.Set {
	current, _ := op.History.Current()
	return current.Accepts()
}

// pending is what a server that they come from holds of them while the primary was not seen to hold it. The primary may
// never have got it, or as an empty transaction that keeps it out: so it makes no history. Where the server's rows were
// compared before the primary got it, the server is as good as any other that has the history.
func (op *Operation) pending(a topology.Address) gtid.Set {
	current, _ := op.History.Current()
	set := current.Accepted[a]
	if set.IsEmpty() || op.KeepErrant {
		return gtid.Set{}
	}
	return set.Subtract(op.floor())
}

// under keeps what is valid on a server that holds a decision's marker: what the decision honoured, the
// marker, and what its primary wrote afterwards. Anything else was cancelled by it.
func under(d topology.Decision, legit gtid.Set) gtid.Set {
	kept := legit.Intersect(before(d, legit).Union(d.Marker().Set()).Union(wrote(d, legit)))
	if d.Kind == string(KindAdoption) { // which does not know of an earlier one's marker that waited there while the store was lost
		kept = kept.Union(legit.Only(func(s gtid.Source) bool {
			m, marker := topology.MarkerOf(s.UUID)
			return marker && m.Term < d.Term
		}))
	}
	return kept
}

// before keeps what is valid on a server that does not hold a decision's marker: what the decision
// honoured. What else it holds, even of the same primary from an earlier term, was cancelled. An
// adoption cancels nothing: its primary took writes all the while.
func before(d topology.Decision, legit gtid.Set) gtid.Set {
	kept := legit.Intersect(d.Base)
	if d.Kind == string(KindAdoption) {
		kept = kept.Union(wrote(d, legit))
	}
	return kept
}

// wrote is what the decision's primary wrote, at whatever time and under whatever tag.
func wrote(d topology.Decision, position gtid.Set) gtid.Set {
	return position.Only(func(s gtid.Source) bool { return s.UUID == d.PrimaryUUID })
}

// chooseHistory decides between the histories that the frozen servers hold: the highest marker wins,
// even against more transactions; under one marker the superset wins; two that contradict each other
// are for an operator.
func (op Operation) chooseHistory() (choice, *Obstacle) {
	all := op.readings()
	if len(all) == 0 {
		return choice{}, &Obstacle{Code: "nothing_read", Message: "no server could be read"}
	}
	top := slices.MaxFunc(all, func(a, b reading) int { return cmp.Compare(a.marker.Term, b.marker.Term) })
	if obstacle := oneMarker(all, top.marker.Term); obstacle != nil {
		return choice{}, obstacle
	}
	valid, known := op.validity(top.marker)
	if !known {
		return choice{}, unknownMarker(top.address, top.marker)
	}
	return op.weigh(all, top, valid)
}

func unknownMarker(holder topology.Address, m topology.Marker) *Obstacle {
	return &Obstacle{
		Code:    "unknown_marker",
		Message: fmt.Sprintf("%s holds the marker of %s, which is not on record: the store is older than the servers", holder, m),
		Remedy:  "wait for this elector to take the record over from the servers' journals, or restore the store",
	}
}

// validity is what a marker says about the servers that hold it and those that do not: which part of
// their positions belongs to the history.
type validity struct{ with, without func(gtid.Set) gtid.Set }

func everything(s gtid.Set) gtid.Set { return s }

// validity of the highest marker that was found; false when nobody recorded it. Where not even the
// marker of the established leadership was found, only what that one honoured is valid.
func (op *Operation) validity(top topology.Marker) (validity, bool) {
	for _, l := range op.History.Leaderships {
		if l.Marker() == top && op.KeepErrant {
			return validity{with: everything, without: everything}, true
		}
		if l.Marker() == top {
			completed, accepts := op.completedUnder(l), l.Accepts()
			return validity{
				with: func(s gtid.Set) gtid.Set {
					return under(l.Decision, s).Union(s.Intersect(completed)).Union(s.Intersect(accepts))
				},
				without: func(s gtid.Set) gtid.Set { return before(l.Decision, s) },
			}, true
		}
	}
	if current, led := op.History.Current(); led && top.Term < current.Term {
		if op.KeepErrant { // what it cancelled, too: it is lost, and nobody may be without that
			return validity{with: everything, without: everything}, true
		}
		only := func(s gtid.Set) gtid.Set { return before(current.Decision, s) }
		return validity{with: only, without: only}, true
	}
	return validity{with: everything, without: everything}, top.Term == 0
}

// completedUnder is what the established leader was seen to have completed, whoever wrote it. What reached it from elsewhere, as
// over the channel from its old source, stands in its binary log and was read there like all else: nothing cancels it any more.
func (op *Operation) completedUnder(l topology.Leadership) gtid.Set {
	if current, led := op.History.Current(); !led || current.Marker() != l.Marker() {
		return gtid.Set{}
	}
	return op.floor()
}

// oneMarker refuses to choose when two decisions used one term: their markers differ in the hash.
func oneMarker(all []reading, term uint32) *Obstacle {
	var first topology.Marker
	for _, r := range all {
		for s := range r.position.Sources() {
			m, ok := topology.MarkerOf(s.UUID)
			switch {
			case !ok || m.Term != term || m == first:
			case first == topology.Marker{}:
				first = m
			default:
				return twoMarkers(all, term)
			}
		}
	}
	return nil
}

func twoMarkers(all []reading, term uint32) *Obstacle {
	branches := map[topology.Address]gtid.Set{}
	for _, r := range all {
		if slices.ContainsFunc(topology.Markers(r.position), func(m topology.Marker) bool { return m.Term == term }) {
			branches[r.address] = r.position
		}
	}
	return &Obstacle{
		Code: "two_markers", Branches: branches,
		Message: fmt.Sprintf("term %d was used by two electors: servers hold different markers of it", term),
		Remedy:  "compare the branches and decide by hand which one to keep",
	}
}

// weigh finds the superset among the servers of the highest marker, and sorts the others.
func (op *Operation) weigh(all []reading, top reading, valid validity) (choice, *Obstacle) {
	var best gtid.Set
	for i, r := range all {
		if r.marker != top.marker {
			continue
		}
		all[i].content = valid.with(r.legit)
		if all[i].content.Contains(best) {
			best = all[i].content
		}
	}
	for _, r := range all {
		if r.marker == top.marker && !best.Contains(r.content) {
			return choice{}, incomparable(all, top.marker)
		}
	}
	c := choice{marker: top.marker, history: best, read: all}
	c.clean = clean(all, top.marker, valid, best)
	c.follow = c.clean.Union(clean(op.subdued(), top.marker, valid, best))
	return c, nil
}

func incomparable(all []reading, top topology.Marker) *Obstacle {
	branches := map[topology.Address]gtid.Set{}
	for _, r := range all {
		if r.marker == top {
			branches[r.address] = r.content
		}
	}
	return &Obstacle{
		Code: "incomparable", Branches: branches,
		Message: fmt.Sprintf("servers of %s hold histories that contradict each other: someone wrote outside the protocol", markerWord(top)),
		Remedy:  "compare the branches and decide by hand which one to keep",
	}
}

// clean are the servers that hold nothing but the history, and where they do not hold its marker nothing
// but what came before it: the number of a cancelled transaction may have been used again since.
func clean(all []reading, top topology.Marker, valid validity, history gtid.Set) topology.ServerSet {
	var found []topology.Address
	for _, r := range all {
		valid := valid.without
		if r.marker == top {
			valid = everything
		}
		if history.Contains(r.position) && valid(r.position).Contains(r.position) {
			found = append(found, r.address)
		}
	}
	return topology.Servers(found...)
}

// belowFloor says what the chosen history lacks although it was certainly completed; nil when nothing.
func (op *Operation) belowFloor(history gtid.Set) *Obstacle {
	missing := op.legit(op.floor()).Subtract(history)
	if missing.IsEmpty() {
		return nil
	}
	if holders := op.showing(missing); !holders.IsEmpty() {
		return &Obstacle{
			Code:    "only_on_leader",
			Message: fmt.Sprintf("the best history that was found lacks transactions that are committed on %s, which is reached and does not count: %s", holders, missing),
			Remedy:  fmt.Sprintf("mend what keeps %[1]s from completing writes; or attach a replica to it, or rebuild one from it; or stop the server that was chosen since, if nobody acknowledged its marker", holders),
		}
	}
	return &Obstacle{
		Code:    "below_floor",
		Message: fmt.Sprintf("the best history that was found lacks transactions that were seen as committed on %s: %s", op.From, missing),
		Remedy:  fmt.Sprintf("bring back a server that holds them, or accept their loss knowingly: primacy emergency %s --accept-loss --reason …", op.Cluster),
	}
}

// showing are the servers that answer and show all of some transactions as committed: with them nothing is lost.
func (op *Operation) showing(wanted gtid.Set) topology.ServerSet {
	return op.Ruleset.Servers().Where(func(a topology.Address) bool {
		reading := op.Progress[a].Reading
		return reading != nil && reading.Executed.Contains(wanted)
	})
}

// floor is what the chosen history must not go below: what the established leadership began with, what
// was seen as committed while semi-sync was verified, and what a leader that was made unable to complete
// shows as committed then.
func (op *Operation) floor() gtid.Set {
	floor := op.Floor.Union(op.foundation())
	for _, l := range op.Leaders {
		p, before := op.Progress[l.Address], op.Known[l.Address]
		if p.Silenced == Yes && p.Reading != nil && p.Reading.Incarnation == op.establishedIncarnation(l.Address) && before.Incarnation == p.Reading.Incarnation && op.answered(p.Reading) {
			floor = floor.Union(p.Reading.Executed)
		}
	}
	return floor
}

// answered tells whether all that a leader shows as committed can have been answered to clients. Where commits wait for
// acknowledgements and the waiting was switched off, as fencing does once nobody listens any more, it cannot.
func (op *Operation) answered(leader *topology.Observation) bool {
	return leader.SemiSync.Verified() || op.Ruleset.AcksNeeded(leader.Address) == 0
}

// foundation is what became durable when the established leadership was: everything before its marker,
// and the marker. Markers before it are left out: a decision also honours one that may never have been
// written (pendingMarkers).
func (op *Operation) foundation() gtid.Set {
	current, ok := op.History.Current()
	if !ok {
		return gtid.Set{}
	}
	return begunWith(current)
}

func begunWith(l topology.Leadership) gtid.Set {
	return l.Marker().Set().Union(l.Base.Only(func(s gtid.Source) bool {
		_, marker := topology.MarkerOf(s.UUID)
		return !marker
	}))
}

// beginning is what a server has to show before it proves anything by what it lacks: one whose data was replaced has
// nothing of it. Journals that show no leadership to be established name at least one that was begun, long ago as a rule;
// it is no floor, for nobody may have acknowledged it.
func (op *Operation) beginning() gtid.Set {
	all := op.History.Leaderships
	if _, led := op.History.Current(); led || !op.History.Recovered || len(all) == 0 {
		return op.foundation()
	}
	return begunWith(all[0])
}

func (op *Operation) establishedIncarnation(a topology.Address) string {
	current, ok := op.History.Current()
	if !ok || current.Primary != a {
		return ""
	}
	return current.Incarnation
}

// because says why a history counts, and what of it could have been acknowledged.
func (op *Operation) because(c choice) string {
	if c.why != "" {
		return c.why
	}
	why := fmt.Sprintf("the history that counts has the highest marker among %d read, %s", len(c.read), markerWord(c.marker))
	for _, r := range c.read {
		switch left := r.position.Subtract(c.history); {
		case left.IsEmpty():
		case r.errant().IsEmpty():
			why += fmt.Sprintf("; %s holds cancelled %s", r.address, left)
		default:
			why += fmt.Sprintf("; %s holds errant %s, left out", r.address, left)
		}
	}
	for _, p := range scattered(c.read, c.history) {
		why += op.durability(p)
	}
	return why
}

// part is a piece of the history that not every server that was read holds.
type part struct {
	set     gtid.Set
	holders topology.ServerSet
}

// scattered cuts what is not held everywhere into parts with the same holders.
func scattered(all []reading, history gtid.Set) []part {
	parts := []part{{set: history}}
	for _, r := range all {
		var cut []part
		for _, p := range parts {
			cut = append(cut, part{p.set.Intersect(r.position), p.holders.With(r.address)}, part{p.set.Subtract(r.position), p.holders})
		}
		parts = slices.DeleteFunc(cut, func(p part) bool { return p.set.IsEmpty() })
	}
	return slices.DeleteFunc(parts, func(p part) bool { return p.holders.Len() == len(all) })
}

// durability says whether a part of the history can have been acknowledged by enough ackers of the leader
// that wrote it; empty when no leader that is being revoked did.
func (op *Operation) durability(p part) string {
	for _, l := range op.Leaders {
		if !slices.Contains(p.set.UUIDs(), op.Known[l.Address].UUID) {
			continue
		}
		unread := op.mayAck(l.Address).Minus(op.evidence(l))
		if p.holders.Union(unread).And(op.mayAck(l.Address)).Len() >= l.Acks {
			return fmt.Sprintf("; %s is held by %s and honoured: it may have been acknowledged", p.set, p.holders)
		}
		return fmt.Sprintf("; %s is held by %s and honoured although it certainly was not acknowledged: fewer than %d ackers can hold it", p.set, p.holders, l.Acks)
	}
	return ""
}

func markerWord(m topology.Marker) string {
	if m.Term == 0 {
		return "no term"
	}
	return fmt.Sprintf("term %d", m.Term)
}

func (op *Operation) isLeader(a topology.Address) bool {
	return slices.ContainsFunc(op.Leaders, func(l Leader) bool { return l.Address == a })
}
