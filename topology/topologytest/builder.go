// Package topologytest builds clusters for tests, in the words of the scenarios: five servers A to E, A leads, B is
// dead, C has not received transaction 101. Whatever is not said is healthy.
package topologytest

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// Now is the moment at which every built snapshot is looked at.
var Now = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// Limits are the thresholds that the built clusters are meant for.
var Limits = topology.Limits{
	SilentAfter: 2 * time.Second, StuckAfter: 5 * time.Second, LagMax: 10 * time.Second, IsolatedShare: 0.5,
}

// Builder collects what a cluster looks like. The calls that shape it (Acks, Policy, Zone, Primary, Term …) and those
// that change single servers may come in any order: changes are applied to the finished healthy cluster.
type Builder struct {
	ruleset topology.Ruleset
	primary topology.Address
	terms   []term
	lost    bool // no leadership is on record
	journal bool // what is on record was taken over from journals
	age     time.Duration
	edits   []edit

	maintenance  topology.ServerSet
	ends         map[topology.Address]time.Time
	held         *topology.Held
	reparenting  bool
	rulesRefused string
	numbered     bool
	decidedUnder uint64 // rules, instead of those on record
	givenUp      map[topology.Address]int
	rehomed      map[topology.Address]int
	settling     topology.Address
	storeSilent  time.Duration
	words        []topology.Word
	lostServers  int
	watchedCount int
}

type term struct {
	number      uint32
	primary     topology.Address
	base        string
	established bool
}

type edit func(*built)

// built is a cluster while the edits are applied.
type built struct {
	builder  *Builder
	servers  []topology.Observation
	lastSeen topology.Sightings
}

// Cluster starts a healthy cluster: semi-sync with one ack, the first server leads term 1, every server is in zone
// "a", all hold the leader's transactions 1 to 100 and the term marker.
func Cluster(names ...topology.Address) *Builder {
	b := &Builder{primary: names[0]}
	b.ruleset = topology.Ruleset{Number: 1, Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}}
	for _, name := range names {
		b.ruleset.Members = append(b.ruleset.Members, topology.Member{Address: name, Zone: "a"})
	}
	return b
}

// Acks sets how many acknowledgements the policy wants.
func (b *Builder) Acks(k int) *Builder { b.ruleset.Policy.Acks = k; return b }

// Policy replaces the whole policy.
func (b *Builder) Policy(p topology.Policy) *Builder { b.ruleset.Policy = p; return b }

// Zone puts servers into a zone.
func (b *Builder) Zone(zone string, names ...topology.Address) *Builder {
	return b.members(names, func(m *topology.Member) { m.Zone = zone })
}

// Promotion sets the promotion rule of servers.
func (b *Builder) Promotion(p topology.Promotion, names ...topology.Address) *Builder {
	return b.members(names, func(m *topology.Member) { m.Promotion = p })
}

// Cascade has servers replicate from another member than the primary.
func (b *Builder) Cascade(source topology.Address, names ...topology.Address) *Builder {
	return b.members(names, func(m *topology.Member) { m.Source, m.Promotion = source, topology.PromotionNever })
}

// Rehomed says how often a cascaded server was attached to the primary lately.
func (b *Builder) Rehomed(name topology.Address, times int) *Builder {
	b.rehomed = map[topology.Address]int{name: times}
	return b
}

// Settling has somebody at work on a server.
func (b *Builder) Settling(name topology.Address) *Builder { b.settling = name; return b }

func (b *Builder) members(names []topology.Address, change func(*topology.Member)) *Builder {
	for i := range b.ruleset.Members {
		if slices.Contains(names, b.ruleset.Members[i].Address) {
			change(&b.ruleset.Members[i])
		}
	}
	return b
}

// Primary names the server that all others replicate from. Unless Term is called it leads term 1.
func (b *Builder) Primary(name topology.Address) *Builder { b.primary = name; return b }

// Term records an established leadership with its base, written as for Set.
func (b *Builder) Term(number uint32, primary topology.Address, base string) *Builder {
	b.terms = append(b.terms, term{number, primary, base, true})
	return b
}

// EstablishedAgo says how long ago leaderships were established; without it, about a day ago.
func (b *Builder) EstablishedAgo(d time.Duration) *Builder { b.age = d; return b }

// Intent records a leadership of which nobody knows whether it was established.
func (b *Builder) Intent(number uint32, primary topology.Address, base string) *Builder {
	b.terms = append(b.terms, term{number, primary, base, false})
	return b
}

// Unadopted is a cluster that has no leadership on record, and no marker on its servers.
func (b *Builder) Unadopted() *Builder { b.lost = true; return b }

// Recovered has the record taken over from the servers' journals.
func (b *Builder) Recovered() *Builder { b.journal = true; return b }

// Maintenance keeps servers out.
func (b *Builder) Maintenance(names ...topology.Address) *Builder {
	b.maintenance = b.maintenance.With(names...)
	return b
}

// Reparenting marks an operation as running.
func (b *Builder) Reparenting() *Builder { b.reparenting = true; return b }

// GivenUp has Primacy stop renewing a server's credentials after so many attempts.
func (b *Builder) GivenUp(a topology.Address, attempts int) *Builder {
	b.givenUp = map[topology.Address]int{a: attempts}
	return b
}

// RulesRefused keeps the configured ruleset out of force for a reason.
func (b *Builder) RulesRefused(reason string) *Builder { b.rulesRefused = reason; return b }

// DecidedUnder has every leadership decided under rules of that number, where their changes are counted.
func (b *Builder) DecidedUnder(number uint64) *Builder {
	b.numbered, b.decidedUnder = true, number
	return b
}

// StoreSilent has the store answer nothing for so long.
func (b *Builder) StoreSilent(ago time.Duration) *Builder { b.storeSilent = ago; return b }

// Word adds what another elector said about a server some time ago.
func (b *Builder) Word(elector string, about topology.Address, reach topology.Reach, ago time.Duration) *Builder {
	b.words = append(b.words, topology.Word{Elector: elector, Server: about, Reach: reach, At: Now.Add(-ago)})
	return b
}

// Lost says how many of all watched servers, of every cluster, this elector cannot reach. Without it the counts are
// those of this one cluster.
func (b *Builder) Lost(lost, watched int) *Builder {
	b.lostServers, b.watchedCount = lost, watched
	return b
}

// Ruleset is the policy with its members.
func (b *Builder) Ruleset() topology.Ruleset {
	r := b.ruleset
	r.Members = slices.Clone(r.Members)
	return r
}

// Snapshot is the cluster as one round of probes sees it.
func (b *Builder) Snapshot() topology.Snapshot {
	c := b.build()
	s := topology.Snapshot{
		Cluster: "shop", At: Now, Ruleset: b.Ruleset(), Servers: c.servers, Words: slices.Clone(b.words),
		Maintenance: b.maintenance, MaintenanceEnds: b.ends, Held: b.held, Reparenting: b.reparenting, GivenUp: b.givenUp, Rehomed: b.rehomed, Settling: b.settling, RulesRefused: b.rulesRefused, RulesNumbered: b.numbered,
	}
	if b.storeSilent > 0 {
		s.StoreSilent, s.StoreError = Now.Add(-b.storeSilent), "etcd does not answer"
	}
	s.OthersWatched = len(c.servers)
	s.OthersLost = s.OthersWatched - s.Reached().Len()
	if b.watchedCount > 0 {
		s.OthersLost, s.OthersWatched = b.lostServers, b.watchedCount
	}
	return s
}

// History is what is on record about the cluster.
func (b *Builder) History() topology.History {
	h := topology.History{LastSeen: b.build().lastSeen, Recovered: b.journal}
	if b.lost {
		return h
	}
	h.Leaderships = b.leaderships()
	for _, l := range h.Leaderships {
		h.Leaders = append(h.Leaders, l.PrimaryUUID)
	}
	if l, ok := h.Current(); ok {
		h.Floor = h.LastSeen.Of(l.Primary).Executed
	}
	return h
}

// leaderships seals one decision for each recorded term, each pointing to the one before it.
func (b *Builder) leaderships() []topology.Leadership {
	terms := b.terms
	if len(terms) == 0 {
		terms = []term{{1, b.primary, string(b.primary) + ":1-10", true}}
	}
	var all []topology.Leadership
	var markers = map[uint32]topology.Marker{}
	previous := ""
	for _, t := range terms {
		l := topology.Leadership{Decision: b.decide(t, previous, markers)}
		if t.established {
			l.EstablishedAt = l.DecidedAt.Add(time.Second)
			if b.age > 0 {
				l.EstablishedAt = Now.Add(-b.age)
			}
		}
		previous, markers[t.number] = l.Hash, l.Marker()
		all = append(all, l)
	}
	return all
}

func (b *Builder) decide(t term, previous string, markers map[uint32]topology.Marker) topology.Decision {
	return topology.Decision{
		Cluster: "shop", Term: t.number, Kind: "emergency", Primary: t.primary, PrimaryUUID: UUID(t.primary),
		Incarnation: Incarnation(t.primary), Ruleset: cmp.Or(b.decidedUnder, b.ruleset.Number), Base: expand(t.base, markers),
		Reached: b.ruleset.Servers(), Elector: "elector-1", Previous: previous,
		DecidedAt: Now.Add(-24 * time.Hour).Add(time.Duration(t.number) * time.Minute),
	}.Sealed()
}

// Marker is the marker of a recorded term. For a term that is not on record it is one that some other decision
// could have written.
func (b *Builder) Marker(number uint32) topology.Marker {
	if m, ok := b.markers()[number]; ok {
		return m
	}
	return topology.Marker{Term: number, Hash: uint64(number)}
}

func (b *Builder) markers() map[uint32]topology.Marker {
	all := map[uint32]topology.Marker{}
	if b.lost {
		return all
	}
	for _, l := range b.leaderships() {
		all[l.Term] = l.Marker()
	}
	return all
}

// Set reads a GTID set in which servers go by name and markers by term: "A:1-100, t1, B:7".
func (b *Builder) Set(text string) gtid.Set { return expand(text, b.markers()) }

func expand(text string, markers map[uint32]topology.Marker) gtid.Set {
	var set gtid.Set
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			set = set.Union(expandPart(part, markers))
		}
	}
	return set
}

func expandPart(part string, markers map[uint32]topology.Marker) gtid.Set {
	name, numbers, hasNumbers := strings.Cut(part, ":")
	if !hasNumbers {
		return markerSet(name, markers)
	}
	if len(name) == 36 {
		return gtid.MustParse(part)
	}
	return gtid.MustParse(UUID(topology.Address(name)).String() + ":" + numbers)
}

func markerSet(name string, markers map[uint32]topology.Marker) gtid.Set {
	var number uint32
	for _, digit := range strings.TrimPrefix(name, "t") {
		number = number*10 + uint32(digit-'0')
	}
	if m, ok := markers[number]; ok {
		return m.Set()
	}
	return topology.Marker{Term: number, Hash: uint64(number)}.Set()
}

// UUID is the server_uuid of a named server: aaaaaaaa-aaaa-… for A, and so on to F; others are made from the name.
func UUID(name topology.Address) gtid.UUID {
	if len(name) == 1 && name[0] >= 'A' && name[0] <= 'F' {
		nibble := name[0] - 'A' + 10
		var u gtid.UUID
		for i := range u {
			u[i] = nibble<<4 | nibble
		}
		return u
	}
	sum := sha256.Sum256([]byte(name))
	return gtid.UUID(sum[:16])
}

// Incarnation is the process of a server that was running when its leadership was decided.
func Incarnation(name topology.Address) string { return string(name) + "/1" }

// MaintenanceFor keeps a server out for a while.
func (b *Builder) MaintenanceFor(name topology.Address, rest time.Duration) *Builder {
	b.ends = map[topology.Address]time.Time{name: Now.Add(rest)}
	return b.Maintenance(name)
}

// Held has an operator take the whole cluster; for no time it is until somebody ends it.
func (b *Builder) Held(by, reason string, rest time.Duration) *Builder {
	b.held = &topology.Held{By: by, Reason: reason}
	if rest > 0 {
		b.held.Until = Now.Add(rest)
	}
	return b
}
