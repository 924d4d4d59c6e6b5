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
	q := inquire(s, h, l, now)
	var found []Finding
	for _, ask := range []func() []Finding{
		q.records, q.unreachedPrimary, q.servingPrimary, q.ackWaits, q.sourceSide, q.ackers,
		q.writableServers, q.stalePrimaries, q.unreachedServers, q.channels, q.errants,
		q.rules, q.settings, q.grants, q.identities, q.isolation,
	} {
		found = append(found, ask()...)
	}
	found = append(found, q.readiness(found)...)
	return q.settled(q.restrained(found), previous)
}

// inquiry is everything that one analysis looks at.
type inquiry struct {
	s   Snapshot
	h   History
	l   Limits
	now time.Time

	led  bool       // a leadership is on record
	lead Leadership // the current one
	// leader is whom the replicas should follow: the established primary or, in a cluster without a record, the only
	// writable server; empty when neither exists.
	leader     Address
	leaderUUID gtid.UUID
	p          Observation           // the leader's probe
	errant     map[Address]gtid.Set  // see errants
	replaced   bool                  // another server answers at the leader's address
	ahead      map[Address]Marker    // servers that hold a marker later than the current leadership's
	recorded   map[Marker]Leadership // markers that some record names
}

func inquire(s Snapshot, h History, l Limits, now time.Time) inquiry {
	l = l.filled()
	q := inquiry{s: s.fresh(now, 2*l.SilentAfter), h: h, l: l, now: now}
	q.lead, q.led = h.Current()
	q.leader, q.leaderUUID = q.lead.Primary, q.lead.PrimaryUUID
	if !q.led {
		q.leader, q.leaderUUID = q.onlyWritable()
	}
	q.p = q.s.Server(q.leader)
	q.replaced = q.p.OK() && q.leaderUUID != gtid.UUID{} && q.p.UUID != q.leaderUUID
	q.recorded, q.ahead = q.recordedMarkers(), q.aheadOfRecord()
	q.errant = q.errantSets()
	return q
}

// fresh turns observations that are too old to say anything into unprobed servers.
func (s Snapshot) fresh(now time.Time, limit time.Duration) Snapshot {
	if s.At.IsZero() {
		s.At = now
	}
	s.Servers = slices.Clone(s.Servers)
	for i, o := range s.Servers {
		if o.At.IsZero() {
			s.Servers[i].At = s.At
		} else if now.Sub(o.At) > limit {
			s.Servers[i] = Observation{Address: o.Address, At: o.At}
		}
	}
	return s
}

// The thresholds that stand in for those that were not given.
const (
	silentAfterDefault   = 2 * time.Second
	stuckAfterDefault    = 5 * time.Second
	lagMaxDefault        = 10 * time.Second
	isolatedShareDefault = 0.5
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
	if l.IsolatedShare <= 0 {
		l.IsolatedShare = isolatedShareDefault
	}
	return l
}

// replicas are the members other than the leader, in the order of the ruleset.
func (q inquiry) replicas() []Observation {
	var all []Observation
	for _, m := range q.s.Ruleset.Members {
		if m.Address != q.leader {
			all = append(all, q.s.Server(m.Address))
		}
	}
	return all
}

// members are all servers of the ruleset, in its order.
func (q inquiry) members() []Observation {
	all := make([]Observation, len(q.s.Ruleset.Members))
	for i, m := range q.s.Ruleset.Members {
		all[i] = q.s.Server(m.Address)
	}
	return all
}

// reached are the members that answered.
func (q inquiry) reached() ServerSet { return q.s.Reached().And(q.s.Ruleset.Servers()) }

// follows tells whether a server's channel leads to the primary. A source that goes by a name which is no member's is
// recognised by its server_uuid; under the name of another member an old server_uuid proves nothing.
func (q inquiry) follows(o Observation) bool {
	r := o.Replication
	if r == nil || q.leader == "" {
		return false
	}
	if r.Source == q.leader {
		return true
	}
	return !q.s.Ruleset.Servers().Has(r.Source) && r.SourceUUID == q.leaderUUID && r.SourceUUID != gtid.UUID{}
}

// needed is how many acknowledgements a commit of the leader has to wait for.
func (q inquiry) needed() int { return q.s.Ruleset.AcksNeeded(q.leader) }

// settled puts the findings in order and gives each its beginning.
func (q inquiry) settled(found, previous []Finding) []Finding {
	type key struct {
		code   Code
		server Address
	}
	began := map[key]time.Time{}
	for _, f := range previous {
		began[key{f.Code, f.Server}] = f.Since
	}
	for i, f := range found {
		found[i].Since = q.now
		if since := began[key{f.Code, f.Server}]; !since.IsZero() {
			found[i].Since = since
		}
	}
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Severity.rank(), b.Severity.rank()),
			cmp.Compare(a.Code.rank(), b.Code.rank()), cmp.Compare(a.Server, b.Server))
	})
	return found
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
	ElectorIsolated, StoreBehind, PrimaryDead, PrimaryFrozen, PrimaryReplaced, PrimaryStuck, PrimaryUnverified,
	PrimaryReadOnly, LeadershipUnsettled, NoPrimary, WouldBlock, SemiSyncBlocked, PrimarySuspect, PrimaryUnreachableByUs,
	PrimaryDenied, TwoWritable, StalePrimary, WritableReplica, SemiSyncAsync, Errant, DuplicateIdentity, NotAdopted,
	UnknownAcker, SemiSyncSettings, AckerDisabled, ServerUnreachable, ServerDenied, PurgedOnSource, WrongSource,
	NotReplicating, ReceiverFailed, ReceiverStopped, ReceiverConnecting, ApplierFailed, ApplierStopped, Lagging,
	GrantMissing, JournalMissing, RulesetDiffers, WrongSettings,
}

// Codes lists every kind of finding, for the metrics and the runbook.
func Codes() []Code { return slices.Clone(codes) }

func (c Code) rank() int {
	if i := slices.Index(codes, c); i >= 0 {
		return i
	}
	return len(codes)
}
