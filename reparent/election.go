package reparent

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// candidacy is a server that can be established, with what that takes.
type candidacy struct {
	address   topology.Address
	source    topology.Address   // from where it fetches what it lacks; empty when it lacks nothing
	followers topology.ServerSet // reached servers that can follow it
	left      uint64             // transactions it has still to apply or fetch
	why       string
	others    []string // what spoke against the others, or ranked them lower
}

// elect finds the best server that can win: clean, able to apply, promotable, and with enough reached
// ackers that can follow it.
func (op Operation) elect(c choice) (candidacy, *Obstacle) {
	var able []candidacy
	var refused []string
	needs := []topology.ServerSet{}
	for _, m := range op.Ruleset.Members {
		found, why := op.candidate(m.Address, c)
		if why != "" {
			refused = append(refused, fmt.Sprintf("%s: %s", m.Address, why))
			if c.clean.Has(m.Address) {
				needs = append(needs, op.Ruleset.Establishable(m.Address, found.followers)...)
			}
			continue
		}
		able = append(able, found)
	}
	able = op.onlyWanted(able)
	if len(able) == 0 {
		return candidacy{}, op.nobody(refused, needs)
	}
	slices.SortStableFunc(able, op.rank)
	best := able[0]
	best.why = op.reasonToPromote(best)
	for _, other := range able[1:] {
		refused = append(refused, fmt.Sprintf("%s: also able, ranked lower (%s)", other.address, op.reasonToPromote(other)))
	}
	best.others = refused
	return best, nil
}

func (op Operation) onlyWanted(able []candidacy) []candidacy {
	if op.Wanted == "" {
		return able
	}
	return slices.DeleteFunc(able, func(c candidacy) bool { return c.address != op.Wanted })
}

func (op Operation) nobody(refused []string, needs []topology.ServerSet) *Obstacle {
	wanted := "no server can be established as primary"
	if op.Wanted != "" {
		wanted = fmt.Sprintf("%s cannot be established as primary", op.Wanted)
	}
	message := wanted + ": " + strings.Join(refused, "; ")
	if len(needs) > 0 {
		message += "; one of these would have to be reached: " + alternatives(needs)
	}
	return &Obstacle{Code: "no_candidate", Message: message, Needs: needs, Remedy: "bring one of the named servers back or mend what stands against it"}
}

// candidate says what it would take to establish a server, or why it cannot be.
func (op Operation) candidate(a topology.Address, c choice) (candidacy, string) {
	p := op.Progress[a]
	found := candidacy{address: a, followers: op.followersOf(a, c)}
	switch {
	case p.Reading == nil:
		return found, cmp.Or(p.Note, "it was not reached")
	case !c.clean.Has(a):
		return found, "it holds transactions that are errant or cancelled"
	case op.Barred[a] != "":
		return found, op.Barred[a]
	}
	if why := op.unfit(a, *p.Reading); why != "" {
		return found, why
	}
	if !op.Ruleset.CanComplete(a, found.followers) {
		return found, fmt.Sprintf("it needs %d ackers and only %s can follow it", op.Ruleset.AcksNeeded(a), found.followers)
	}
	lacks := c.history.Subtract(p.Reading.Position())
	if found.source = op.holder(a, c, lacks); found.source == "" && !lacks.IsEmpty() {
		return found, fmt.Sprintf("it lacks %s and no reached server can give it that", lacks)
	}
	found.left = c.history.Subtract(p.Reading.Executed).Count()
	return found, ""
}

// unfit says why a server that was read could not serve as primary; empty when it could.
func (op Operation) unfit(a topology.Address, o topology.Observation) string {
	switch {
	case o.SemiSync.Waiters > 0 && !op.onlyMarkersPend(a):
		return "commits on it wait for acknowledgements"
	case o.OfflineMode:
		return "it is in offline mode"
	case op.Ruleset.AcksNeeded(a) > 0 && !o.SemiSync.Installed:
		return "the semi-sync plugins are not loaded"
	case !o.Settings.LogBin || !o.Settings.LogReplicaUpdates:
		return "it does not write what it replicates to its own binary log"
	case stuckApplier(o):
		return "its applier does not run and received transactions are not applied"
	}
	return ""
}

// onlyMarkersPend tells whether the server was chosen by an earlier decision that never was known to be
// established: nobody but Primacy could write there, so what waits is that decision's marker.
func (op Operation) onlyMarkersPend(a topology.Address) bool {
	return !op.pendingMarkers(a).IsEmpty() && op.Progress[a].Reading.ReadOnly
}

// pendingMarkers are the markers of earlier decisions for this server whose outcome is unknown. They
// may stand in its binary log without showing in its executed set (E1), so a new decision for the same
// server honours them.
func (op Operation) pendingMarkers(a topology.Address) gtid.Set {
	var pending gtid.Set
	for _, l := range op.History.Leaderships {
		if l.Primary == a && !l.Established() {
			pending = pending.Union(l.Marker().Set())
		}
	}
	return pending
}

func stuckApplier(o topology.Observation) bool {
	if o.Unapplied().IsEmpty() {
		return false
	}
	return o.Replication == nil || o.Replication.Applier != topology.ThreadOn
}

// followersOf are the reached, clean servers that could follow a candidate: nothing that they lack has
// been purged there, and their version is not older than its.
func (op Operation) followersOf(a topology.Address, c choice) topology.ServerSet {
	reading := op.Progress[a].Reading
	if reading == nil {
		return topology.ServerSet{}
	}
	return c.clean.Without(a).Where(func(b topology.Address) bool {
		follower := op.Progress[b].Reading
		return follower != nil && op.Progress[b].Frozen == Yes && !follower.OfflineMode && op.canFollow(*follower, *reading)
	})
}

func (op Operation) canFollow(follower, source topology.Observation) bool {
	return follower.Position().Contains(source.Purged) && !older(follower.Version, source.Version) && !stuckApplier(follower)
}

// holder finds the server from which a candidate can fetch what it lacks.
func (op Operation) holder(a topology.Address, c choice, lacks gtid.Set) topology.Address {
	if lacks.IsEmpty() {
		return ""
	}
	for _, b := range c.clean.Without(a).List() {
		holder, fetcher := op.Progress[b].Reading, op.Progress[a].Reading
		if holder.Position().Contains(lacks) && !holder.OfflineMode && op.canFollow(*fetcher, *holder) && !stuckApplier(*holder) {
			return b
		}
	}
	return ""
}

// rank orders candidates: promotion rule, nearness to the old primary's zone, then least left to apply.
func (op Operation) rank(a, b candidacy) int {
	ma, _ := op.Ruleset.Member(a.address)
	mb, _ := op.Ruleset.Member(b.address)
	return cmp.Or(
		cmp.Compare(ma.Promotion.Rank(), mb.Promotion.Rank()),
		cmp.Compare(op.away(ma), op.away(mb)),
		cmp.Compare(a.left, b.left),
		cmp.Compare(a.address, b.address),
	)
}

func (op Operation) away(m topology.Member) int {
	home, _ := op.Ruleset.Member(op.From)
	if m.Zone == home.Zone {
		return 0
	}
	return 1
}

func (op Operation) reasonToPromote(c candidacy) string {
	m, _ := op.Ruleset.Member(c.address)
	why := fmt.Sprintf("promotion %s", cmp.Or(m.Promotion, topology.PromotionNeutral))
	if m.Zone != "" {
		why += ", zone " + m.Zone
	}
	why += fmt.Sprintf(", %d left to apply, %s can follow", c.left, c.followers)
	if c.source != "" {
		why += ", fetches what it lacks from " + string(c.source)
	}
	return why
}

// older compares MySQL release series (8.0 < 8.4 < 9.0); a replica may not be of an older series than
// its source. Versions that cannot be read are not older.
func older(replica, source string) bool {
	r, okR := series(replica)
	s, okS := series(source)
	return okR && okS && slices.Compare(r[:], s[:]) < 0
}

func series(version string) ([2]int, bool) {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return [2]int{}, false
	}
	major, errMajor := strconv.Atoi(parts[0])
	minor, errMinor := strconv.Atoi(parts[1])
	return [2]int{major, minor}, errMajor == nil && errMinor == nil
}
