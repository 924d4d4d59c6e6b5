package topology

import (
	"cmp"
	"slices"
	"time"

	"github.com/primacydb/primacy/gtid"
)

// Analyze says what is wrong with a cluster, worst first. It is a pure function: the same snapshot, history, limits
// and time give the same findings. From previous, the answer of the last call, it takes over since when a finding holds.
//
// What convicts a primary was seen first-hand and is fresh: a failed probe lasted from its FailingSince until the last
// probe was given up, a heartbeat was old when the replica was asked. Time that passed since then convicts nobody, so
// an elector that was paused for a minute wakes up with questions and not with a verdict. What was last seen of a server
// that no longer answers is quoted and nothing more.
func Analyze(s Snapshot, h History, l Limits, now time.Time, previous []Finding) []Finding {
	var q inquiry
	q.begin(s, h, l, now)
	q.previous = previous
	found := make([]Finding, 0, len(previous)+foundMore)
	return q.settled(q.restrained(q.readiness(q.asked(found))), previous)
}

// foundMore is memory for what is found besides what was found before.
const foundMore = 2

// asked puts the questions, each on its own: each adds what it finds. They are called by name, since a large inquiry that is
// passed to whichever function a table holds cannot stay on the stack.
func (q *inquiry) asked(found []Finding) []Finding {
	found = q.sourceSide(q.ackWaits(q.servingPrimary(q.unreachedPrimary(q.records(found)))))
	found = q.channels(q.unreachedServers(q.stalePrimaries(q.writableServers(q.acking(found)))))
	found = q.held(q.outdated(q.rules(q.halfRewound(q.errants(found)))))
	return q.silentStore(q.isolation(q.identities(q.grants(q.settings(found)))))
}

// inquiry is everything that one analysis looks at. What several questions need is worked out once, for most rounds of
// probes find nothing and should cost next to nothing; observations are pointed to, since they are large.
type inquiry struct {
	s        Snapshot
	h        History
	l        Limits
	now      time.Time
	previous []Finding // by the last analysis

	led  bool       // a leadership is on record
	lead Leadership // the current one
	// leader is whom the replicas should follow: the established primary or, in a cluster without a record, the only
	// writable server; empty when neither exists.
	leader     Address
	leaderUUID gtid.UUID
	p          *Observation         // the leader's probe
	errant     map[Address]gtid.Set // see errants
	replaced   bool                 // another server answers at the leader's address
	ahead      map[Address]Marker   // servers that hold a marker later than the current leadership's

	members  []*Observation // of all servers of the ruleset, in its order
	replicas []*Observation // the members other than the leader, in the same order
	servers  ServerSet      // the members' addresses
	ackers   ServerSet      // whose acknowledgement counts for the leader
	needed   int            // how many acknowledgements a commit of the leader has to wait for

	cascading bool // a member has an intermediate by the rules
}

func (q *inquiry) begin(s Snapshot, h History, l Limits, now time.Time) {
	l = l.filled()
	*q = inquiry{s: s.fresh(now, 2*l.SilentAfter), h: h, l: l, now: now, servers: s.Ruleset.Servers()}
	q.members = q.observed()
	q.lead, q.led = h.Current()
	q.leader, q.leaderUUID = q.lead.Primary, q.lead.PrimaryUUID
	if !q.led {
		q.leader, q.leaderUUID = q.onlyWritable()
	}
	q.p, q.replicas = q.server(q.leader), q.others()
	q.cascading = s.Ruleset.cascades()
	q.ackers, q.needed = s.Ruleset.Ackers(q.leader), s.Ruleset.AcksNeeded(q.leader)
	q.replaced = q.p.Reach.OK() && q.leaderUUID != gtid.UUID{} && q.p.UUID != q.leaderUUID
	q.ahead = q.aheadOfRecord()
	q.errant = q.errantSets()
}

// fresh turns observations that are too old to say anything into unprobed servers. The caller's stay as they are.
func (s Snapshot) fresh(now time.Time, limit time.Duration) Snapshot {
	if s.At.IsZero() {
		s.At = now
	}
	given := s.Servers
	for i := range given {
		at := given[i].At
		if !at.IsZero() && now.Sub(at) <= limit {
			continue
		}
		if &given[0] == &s.Servers[0] {
			s.Servers = slices.Clone(given)
		}
		if at.IsZero() {
			s.Servers[i].At = s.At
		} else {
			s.Servers[i] = Observation{Address: given[i].Address, At: at}
		}
	}
	return s
}

// The thresholds that stand in for those that were not given.
const (
	silentAfterDefault   = 2 * time.Second
	stuckAfterDefault    = 5 * time.Second
	lagMaxDefault        = 10 * time.Second
	rehomeAfterDefault   = 10 * time.Second
	returnAfterDefault   = time.Minute
	isolatedShareDefault = 0.5
	backlogMaxDefault    = 10000
)

// filled replaces thresholds that make no sense by the defaults.
func (l Limits) filled() Limits {
	if l.SilentAfter <= 0 {
		l.SilentAfter = silentAfterDefault
	}
	if l.StuckAfter <= 0 {
		l.StuckAfter = stuckAfterDefault
	}
	if l.LagMax <= 0 {
		l.LagMax = lagMaxDefault
	}
	if l.RehomeAfter <= 0 {
		l.RehomeAfter = rehomeAfterDefault
	}
	if l.ReturnAfter <= 0 {
		l.ReturnAfter = returnAfterDefault
	}
	if l.BacklogMax == 0 {
		l.BacklogMax = backlogMaxDefault
	}
	if l.IsolatedShare <= 0 {
		l.IsolatedShare = isolatedShareDefault
	}
	return l
}

// observed finds the observation of each member.
func (q *inquiry) observed() []*Observation {
	n := len(q.s.Ruleset.Members)
	all := make([]*Observation, n, 2*n) // room for others besides
	for i := range all {
		a := q.s.Ruleset.Members[i].Address
		if i < len(q.s.Servers) && q.s.Servers[i].Address == a { // their order is the same
			all[i] = &q.s.Servers[i]
		} else {
			all[i] = q.server(a)
		}
	}
	return all
}

// server finds an observation; an address that was never probed gives ReachUnknown.
func (q *inquiry) server(a Address) *Observation {
	if i := q.s.place(a); i >= 0 {
		return &q.s.Servers[i]
	}
	return &Observation{Address: a}
}

// others are the members besides the leader.
func (q *inquiry) others() []*Observation {
	all := q.members[len(q.members):]
	for _, o := range q.members {
		if o.Address != q.leader {
			all = append(all, o)
		}
	}
	return all
}

// follows tells whether a server's channel leads to the primary. A source that goes by a name which is no member's is
// recognised by its server_uuid; under the name of another member an old server_uuid proves nothing.
func (q *inquiry) follows(o *Observation) bool {
	r := o.Replication
	if r == nil || q.leader == "" {
		return false
	}
	if r.Source == q.leader {
		return true
	}
	return !q.servers.Has(r.Source) && r.SourceUUID == q.leaderUUID && r.SourceUUID != gtid.UUID{}
}

// settled puts the findings in order and gives each its beginning.
func (q *inquiry) settled(found, previous []Finding) []Finding {
	for i := range found {
		found[i].Since = q.now
		if since := began(&found[i], previous); !since.IsZero() {
			found[i].Since = since
		}
	}
	slices.SortStableFunc(found, inOrder)
	return found
}

// began says since when a finding has held by the last analysis; zero when it is new.
func began(f *Finding, previous []Finding) time.Time {
	for i := len(previous) - 1; i >= 0; i-- {
		if p := &previous[i]; p.Server == f.Server && p.Code == f.Code {
			return p.Since
		}
	}
	return time.Time{}
}

// inOrder puts the worst first.
func inOrder(a, b Finding) int {
	if c := cmp.Compare(a.Severity.rank(), b.Severity.rank()); c != 0 {
		return c
	}
	if a.Code != b.Code {
		return cmp.Compare(a.Code.rank(), b.Code.rank())
	}
	return cmp.Compare(a.Server, b.Server)
}

func (s Severity) rank() int {
	switch s {
	case SeverityCritical:
		return 0
	case SeverityWarning:
		return 1
	case SeverityInfo:
		return 2
	}
	return 3
}

// codes lists all findings in the order in which an operator wants to read those of one severity.
var codes = []Code{
	ElectorIsolated, StoreUnavailable, StoreBehind, RulesOutdated, PrimaryDead, PrimaryFrozen, PrimaryReplaced, PrimaryStuck, PrimaryUnverified,
	PrimaryReadOnly, LeadershipUnsettled, NoPrimary, WouldBlock, SemiSyncBlocked, PrimarySuspect, PrimaryUnreachableByUs,
	PrimaryDenied, TwoWritable, StalePrimary, WritableReplica, SemiSyncAsync, Errant, HalfRewound, DuplicateIdentity, NotAdopted,
	UnknownAcker, SemiSyncSettings, AckerDisabled, AckerBehind, ServerUnreachable, ServerDenied, PurgedOnSource, IntermediateUnfit, WrongSource,
	NotReplicating, ReceiverFailed, ReceiverStopped, ReceiverConnecting, ApplierFailed, ApplierStopped, ReplicaOffline, Lagging,
	GrantMissing, JournalMissing, RulesetDiffers, WrongSettings, CascadeRehomed, CascadeReturning, ClusterMaintenance,
}

// Codes lists every kind of finding, for the metrics and the runbook.
func Codes() []Code { return slices.Clone(codes) }

func (c Code) rank() int {
	if i := slices.Index(codes, c); i >= 0 {
		return i
	}
	return len(codes)
}
