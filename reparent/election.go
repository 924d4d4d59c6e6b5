package reparent

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// candidacy is a server that can be established, with what that takes.
type candidacy struct {
	address   topology.Address
	source    topology.Address   // from where it fetches what it lacks; empty when it lacks nothing
	slow      bool               // what it has to apply is old: it would take long
	starts    bool               // its applier stands still and has to be started
	followers topology.ServerSet // reached servers that can follow it
	left      uint64             // transactions it has still to apply or fetch
	against   string             // why it cannot be established; empty when it can
	others    []candidacy        // of the best: first whoever cannot be established, then the able, best first
}

// elect finds the best server that can win: clean, able to apply, promotable, and with enough reached
// ackers that can follow it.
func (op Operation) elect(c choice) (candidacy, *Obstacle) {
	able := make([]candidacy, 0, len(op.Ruleset.Members))
	var others []candidacy
	for _, m := range op.Ruleset.Members {
		if found := op.candidate(m.Address, c); found.against == "" {
			able = append(able, found)
		} else {
			others = append(others, found)
		}
	}
	able = op.onlyWanted(able)
	if len(able) == 0 {
		return candidacy{}, op.nobody(others, c)
	}
	slices.SortStableFunc(able, op.rank)
	best := able[0]
	best.others = slices.Concat(others, able[1:])
	return best, nil
}

// electable tells whether elect finds a server.
func (op *Operation) electable(c choice) bool {
	return slices.ContainsFunc(op.Ruleset.Members, func(m topology.Member) bool {
		return (op.Wanted == "" || op.Wanted == m.Address) && op.candidate(m.Address, c).against == ""
	})
}

// ranked says what spoke against each of the others, or ranked it lower.
func (op *Operation) ranked(others []candidacy) []string {
	var words []string
	for _, o := range others {
		if o.against == "" {
			words = append(words, fmt.Sprintf("%s: also able, ranked lower (%s)", o.address, op.reasonToPromote(o)))
		} else {
			words = append(words, fmt.Sprintf("%s: %s", o.address, o.against))
		}
	}
	return words
}

func (op *Operation) onlyWanted(able []candidacy) []candidacy {
	if op.Wanted == "" {
		return able
	}
	return slices.DeleteFunc(able, func(c candidacy) bool { return c.address != op.Wanted })
}

func (op *Operation) nobody(refused []candidacy, c choice) *Obstacle {
	var needs []topology.ServerSet
	for _, r := range refused {
		needs = append(needs, op.needs(r, c)...)
	}
	wanted := "no server can be established as primary"
	if op.Wanted != "" {
		wanted = fmt.Sprintf("%s cannot be established as primary", op.Wanted)
	}
	remedy := "bring one of the named servers back or mend what stands against it"
	if idle := c.clean.Where(op.leftIdle); !idle.IsEmpty() {
		remedy = fmt.Sprintf("START REPLICA SQL_THREAD on %s, where received transactions are not applied; or bring another of the named servers back", idle)
	} else if len(c.read) > 0 && c.clean.IsEmpty() {
		remedy = fmt.Sprintf("nobody is without those transactions: keep them knowingly, by primacy emergency %s --keep-errant --reason …", op.Cluster)
	}
	return &Obstacle{
		Code: "no_candidate", Message: wanted + ": " + strings.Join(append(op.ranked(refused), op.because(c)), "; "), Needs: distinct(needs),
		Remedy: remedy,
	}
}

func distinct(sets []topology.ServerSet) []topology.ServerSet {
	var kept []topology.ServerSet
	for _, s := range sets {
		if !slices.ContainsFunc(kept, s.Equal) {
			kept = append(kept, s)
		}
	}
	return kept
}

// needs are the sets of servers that were not reached and that would give a clean server enough ackers.
func (op *Operation) needs(found candidacy, c choice) []topology.ServerSet {
	if !c.clean.Has(found.address) || op.Barred[found.address] != "" || (op.Wanted != "" && op.Wanted != found.address) {
		return nil
	}
	missing := op.Ruleset.Ackers(found.address).Where(func(a topology.Address) bool { return op.Progress[a].Reading == nil })
	return subsets(missing, op.Ruleset.AcksNeeded(found.address)-found.followers.And(op.Ruleset.Ackers(found.address)).Len())
}

// candidate says what it would take to establish a server, or why it cannot be.
func (op *Operation) candidate(a topology.Address, c choice) candidacy {
	p := op.Progress[a]
	found := candidacy{address: a, followers: op.followersOf(a, c), against: op.ineligible(a, p, c)}
	if found.against != "" {
		return found
	}
	if !op.Ruleset.CanComplete(a, found.followers) {
		found.against = fmt.Sprintf("it needs %s, and %s can follow it", acks(op.Ruleset.AcksNeeded(a)), only(found.followers))
		return found
	}
	lacks := op.lacks(a, c.history, p.Reading.Position())
	if found.source = op.holder(a, c, lacks); found.source == "" && !lacks.IsEmpty() {
		found.against = fmt.Sprintf("it lacks %s and no clean server that was reached can give it that", lacks) + op.withheld(c, lacks)
		return found
	}
	left := op.lacks(a, c.history, p.Reading.Executed)
	if !left.IsEmpty() && p.Reading.SemiSync.Waiters > 0 {
		found.against = "an earlier term's marker waits for acknowledgements there, and behind it nothing is applied"
		return found
	}
	found.starts = !left.IsEmpty() && op.idle(a)
	found.left, found.slow = left.Count(), delayed(p.Reading) > 0 || !left.IsEmpty() && late(p.Reading, found.starts)
	return found
}

// delayed is by how much a server applies late on purpose. It leads only where nobody else can: to lead ends its delay.
func delayed(o *topology.Observation) time.Duration {
	if o.Replication == nil {
		return 0
	}
	return time.Duration(o.Replication.ApplierDelayed) * time.Second
}

// ineligible says why a server could not lead whoever followed it; empty when it could.
func (op *Operation) ineligible(a topology.Address, p Progress, c choice) string {
	switch {
	case p.Reading == nil:
		return cmp.Or(p.Note, "it was not reached")
	case op.Barred[a] != "":
		return op.Barred[a]
	case op.tentative(a):
		return "it is the primary that was revoked, and commits of its clients may still wait there"
	case !c.clean.Has(a):
		return "it holds transactions that are errant or cancelled"
	case p.Frozen != Yes:
		return "it may still receive: it could not be frozen"
	case op.isLeader(a) && p.Silenced != Yes:
		return "it may still be leading: it could not be silenced"
	}
	return op.unfit(a, p.Reading)
}

// late tells whether what is next to be applied is old. Of an applier that stands still and has applied nothing since its
// server's start nobody knows.
func late(o *topology.Observation, idle bool) bool {
	return o.Replication != nil && (o.Replication.Lag > slowAfter || idle && o.Replication.Lag < 0)
}

// slowAfter is how far behind a server may be before one that needs less time is preferred, whatever
// promotion rule and zone say: a replica hours behind delays nothing.
const slowAfter = 10 * time.Second

// lacks is what a server has not got of a history. Its own marker may stand in its binary log without
// showing (E1): then it waits for nothing but acknowledgements.
func (op *Operation) lacks(a topology.Address, history, has gtid.Set) gtid.Set {
	return history.Subtract(has).Subtract(op.invisible(a))
}

// invisible are the markers that wait in the binary log of the process that was chosen.
func (op *Operation) invisible(a topology.Address) gtid.Set {
	reading, set := op.Progress[a].Reading, gtid.Set{}
	for _, l := range op.History.Leaderships {
		if l.Primary == a && !l.Established() && reading != nil && reading.Incarnation == l.Incarnation && reading.SemiSync.Waiters > 0 {
			set = set.Union(l.Marker().Set())
		}
	}
	return set
}

// unfit says why a server that was read could not serve as primary; empty when it could.
func (op *Operation) unfit(a topology.Address, o *topology.Observation) string {
	switch {
	case o.SemiSync.Waiters > 0 && !op.onlyMarkersPend(a):
		return "commits on it wait for acknowledgements"
	case !o.Undone.IsEmpty():
		return "a rewind was left half done there: its rows lack what its GTIDs tell of"
	case stalled(o):
		return "its disk is full, or commits hang there"
	case op.Ruleset.AcksNeeded(a) > 0 && !o.SemiSync.Installed:
		return "the semi-sync plugins are not loaded"
	case !o.Settings.LogBin || !o.Settings.LogReplicaUpdates:
		return "it does not write what it replicates to its own binary log"
	case failedApplier(o):
		return "its applier does not run and received transactions are not applied"
	case o.Replication != nil && o.Replication.ApplierDelayed > 0 && !o.Unapplied().IsEmpty():
		return "it applies with a delay on purpose, and has received what it has not applied yet"
	}
	return ""
}

// onlyMarkersPend tells whether the server was chosen by an earlier decision that never was known to be
// established: nobody but Primacy could write there, so what waits is that decision's marker.
func (op *Operation) onlyMarkersPend(a topology.Address) bool {
	return !op.pendingMarkers(a).IsEmpty() && op.Progress[a].Reading.ReadOnly
}

// pendingMarkers are the markers of earlier decisions for this server whose outcome is unknown. They
// may stand in its binary log without showing in its executed set (E1), so a new decision for the same
// server honours them. The log of a server whose data was replaced is gone, and with it what waited there.
func (op *Operation) pendingMarkers(a topology.Address) gtid.Set {
	var pending gtid.Set
	answers := op.identity(a)
	for _, l := range op.History.Leaderships {
		if l.Primary == a && l.PrimaryUUID == answers && !l.Established() {
			pending = pending.Union(l.Marker().Set())
		}
	}
	return pending
}

// identity is the server_uuid of who answers at an address.
func (op *Operation) identity(a topology.Address) gtid.UUID {
	if reading := op.Progress[a].Reading; reading != nil {
		return reading.UUID
	}
	return op.Known[a].UUID
}

func stuckApplier(o *topology.Observation) bool {
	if o.Unapplied().IsEmpty() {
		return false
	}
	return o.Replication == nil || o.Replication.Applier != topology.ThreadOn
}

// underMaintenance keeps a server from leading, and its applier from being started where it stands still.
const underMaintenance = "it is under maintenance"

// idle tells whether a server has received what it does not apply because somebody, or its own start, left its applier off.
func (op *Operation) idle(a topology.Address) bool {
	o := op.Progress[a].Reading
	return o != nil && stuckApplier(o) && !failedApplier(o)
}

// leftIdle tells whether such an applier is not started by the change: its server is under maintenance, or may not lead and
// would wait for acknowledgements of what it applies.
func (op *Operation) leftIdle(a topology.Address) bool {
	return op.idle(a) && (op.Barred[a] == underMaintenance || op.Barred[a] != "" && op.Progress[a].Reading.SemiSync.SourceEnabled)
}

// withheld names who would give what a candidate lacks if its applier ran; empty when nobody would.
func (op *Operation) withheld(c choice, lacks gtid.Set) string {
	has := c.clean.Where(func(b topology.Address) bool {
		o := op.Progress[b].Reading
		return o != nil && (failedApplier(o) || op.leftIdle(b)) && o.Position().Contains(lacks)
	})
	if has.IsEmpty() {
		return ""
	}
	return fmt.Sprintf(": the applier of %s, which received it, does not run", has)
}

// followersOf are the reached, clean servers that could follow a candidate: nothing that they lack has
// been purged there, none of their rows was undone that their GTIDs tell of, their version is not older than its, and no failed applier keeps what was received.
func (op *Operation) followersOf(a topology.Address, c choice) topology.ServerSet {
	reading := op.Progress[a].Reading
	if reading == nil {
		return topology.ServerSet{}
	}
	return c.follow.Without(a).Where(func(b topology.Address) bool {
		follower := op.Progress[b].Reading
		return follower != nil && op.Progress[b].Frozen == Yes && follower.SemiSync.Waiters == 0 && !stalled(follower) &&
			canFollow(follower, reading)
	})
}

// stalled tells whether commits do not get through on a server: it could not write what it receives either.
func stalled(o *topology.Observation) bool {
	return o.Stall.DiskFull || o.Stall.Committing > 0 && o.Stall.OldestCommit > time.Second
}

func canFollow(follower, source *topology.Observation) bool {
	return follower.Position().Contains(source.Purged) && !older(follower.Version, source.Version) && follower.Undone.IsEmpty() && !failedApplier(follower)
}

// failedApplier tells whether received transactions would get lost by following somebody else. An applier that was
// stopped by hand is started again by that.
func failedApplier(o *topology.Observation) bool {
	return stuckApplier(o) && (o.Replication == nil || o.Replication.ApplierErrno != 0)
}

// holder finds the server from which a candidate can fetch what it lacks. One that applies is rather taken than one whose
// applier has to be started.
func (op *Operation) holder(a topology.Address, c choice, lacks gtid.Set) topology.Address {
	if lacks.IsEmpty() {
		return ""
	}
	var idle topology.Address
	for b := range c.clean.Without(a).All() {
		switch {
		case !op.gives(b, lacks) || !canFollow(op.Progress[a].Reading, op.Progress[b].Reading):
		case !op.idle(b):
			return b
		case idle == "":
			idle = b
		}
	}
	return idle
}

// gives tells whether another server could fetch from this one: it stands still, nothing waits on it, it does not keep
// back for long what it has received, its applier runs or may be started without waiting for acknowledgements of what it
// applies, and when it is offline it can be taken back without letting clients write.
func (op *Operation) gives(b topology.Address, wanted gtid.Set) bool {
	p := op.Progress[b]
	o := p.Reading
	if delayed(o) > slowAfter && !o.Executed.Contains(wanted) {
		return false
	}
	if op.idle(b) && (op.Barred[b] == underMaintenance || o.SemiSync.SourceEnabled) {
		return false
	}
	return p.Frozen == Yes && o.Position().Contains(wanted) && o.SemiSync.Waiters == 0 && !failedApplier(o) &&
		(!o.OfflineMode || o.Closed())
}

// rank orders candidates: promotion rule, nearness to the old primary's zone, then least left to apply.
// One that would take long comes last, and before it one whose applier has to be started; of two equals the one that was chosen before, for its marker may
// wait in its binary log and would have to be removed there.
func (op *Operation) rank(a, b candidacy) int {
	ma, _ := op.Ruleset.Member(a.address)
	mb, _ := op.Ruleset.Member(b.address)
	return cmp.Or(
		cmp.Compare(one(a.slow), one(b.slow)),
		cmp.Compare(one(a.starts), one(b.starts)),
		cmp.Compare(ma.Promotion.Rank(), mb.Promotion.Rank()),
		cmp.Compare(op.away(ma), op.away(mb)),
		cmp.Compare(a.left, b.left),
		cmp.Compare(one(op.pendingMarkers(a.address).IsEmpty()), one(op.pendingMarkers(b.address).IsEmpty())),
		cmp.Compare(a.address, b.address),
	)
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func (op *Operation) away(m topology.Member) int {
	home, _ := op.Ruleset.Member(op.From)
	if m.Zone == home.Zone {
		return 0
	}
	return 1
}

func (op *Operation) reasonToPromote(c candidacy) string {
	m, _ := op.Ruleset.Member(c.address)
	why := fmt.Sprintf("promotion %s", cmp.Or(m.Promotion, topology.PromotionNeutral))
	if m.Zone != "" {
		why += ", zone " + m.Zone
	}
	why += fmt.Sprintf(", %d left to apply, %s can follow", c.left, c.followers)
	if c.slow {
		why += ", far behind"
	}
	if c.starts {
		why += ", its applier stands still and is started"
	}
	if c.source != "" {
		why += ", fetches what it lacks from " + string(c.source)
	}
	return why
}

// older compares MySQL release series (8.0 < 8.4 < 9.0); a replica may not be of an older series than
// its source. Versions that cannot be read are not older.
func older(replica, source string) bool {
	if replica == source {
		return false
	}
	r, okR := series(replica)
	s, okS := series(source)
	return okR && okS && slices.Compare(r[:], s[:]) < 0
}

func series(version string) ([2]int, bool) {
	first, rest, ok := strings.Cut(version, ".")
	if !ok {
		return [2]int{}, false
	}
	second, _, _ := strings.Cut(rest, ".")
	major, errMajor := strconv.Atoi(first)
	minor, errMinor := strconv.Atoi(second)
	return [2]int{major, minor}, errMajor == nil && errMinor == nil
}
