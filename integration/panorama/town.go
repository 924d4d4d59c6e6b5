package panorama

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// town is one cluster.
type town struct {
	name    string
	hostile bool
	ruleset topology.Ruleset
	rate    int64 // transactions in a second
	founded time.Time
	base    gtid.Set // what was there when the present primary began to lead: several servers have led before

	term        uint32
	primary     topology.Address
	led         time.Time // since when it leads
	decided     topology.Decision
	now         *situation
	since       time.Time
	antiflap    antiflap.Cluster
	automation  orchestrator.Switch
	maintenance map[topology.Address]orchestrator.Note
	held        *orchestrator.Note
	past        []reparent.Operation // latest first
	running     *play
	settled     []settle.Settlement // latest first
	settling    *settling
	halting     *halt.Halt
	halts       []halt.Halt // ended, latest first
	probed      time.Time   // the latest round that was told; zero while nobody looks
	watched     time.Time   // when somebody looked last

	view orchestrator.View // as of the last rebuild
}

var trades = []string{"shop", "billing", "users", "search", "mail", "stock", "ledger", "media", "chat", "ads"}

func newTown(i int, s Settings, random *rand.Rand, now time.Time) *town {
	t := &town{
		name: fmt.Sprintf("%s-%03d", trades[i%len(trades)], i/len(trades)), hostile: s.Hostile, rate: 5 + random.Int64N(400),
		founded: now.Add(-30 * 24 * time.Hour), automation: orchestrator.Switch{On: true, Reason: "as configured"},
		maintenance: map[topology.Address]orchestrator.Note{}, now: well,
	}
	t.ruleset = topology.Ruleset{Number: 1, Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1 + random.IntN(2)}}
	for n := range s.Servers {
		m := topology.Member{Address: topology.Address(fmt.Sprintf("%s-db%d:3306", t.name, n+1)), Zone: "zone-" + string(rune('a'+n%3))}
		if s.Hostile {
			m.Zone = hostile(m.Zone)
		}
		t.ruleset.Members = append(t.ruleset.Members, m)
	}
	t.ruleset.Members[s.Servers-1].Promotion = topology.PromotionAvoid
	for n, m := range t.ruleset.Members[:3] {
		t.base = t.base.Union(gtid.MustParse(fmt.Sprintf("%s:1-%d", identity(m.Address), 1000*(n+1))))
	}
	t.lead(1, t.ruleset.Members[0].Address, t.founded)
	t.live(random, s.Changes, now)
	if i%restarts == restarts/2 && t.now == well {
		t.halting = t.restart(now)
		t.halts = []halt.Halt{t.halt(halt.KindStop, t.ruleset.Servers().List()[:1], now.Add(-9*time.Hour)).End(halt.StateFailed, t.said("it was not done within 10m"), now.Add(-8*time.Hour))}
		t.rebuild(now)
	}
	return t
}

// live gives a cluster a past and a present.
func (t *town) live(random *rand.Rand, changes int, now time.Time) {
	t.rebuild(now)
	at := t.founded
	for range random.IntN(changes + 1) {
		at = at.Add(time.Duration(1+random.IntN(160)) * time.Hour)
		if at.After(now.Add(-2 * time.Hour)) {
			break
		}
		op := t.emergency(at)
		if random.IntN(3) > 0 {
			op, _ = t.wished(orchestrator.Wish{Kind: reparent.KindPlanned, By: "ada", Reason: t.said("new kernel")}, at)
		}
		end := newPlay(op, at)
		t.ended(end.op, end.end())
	}
	t.now, t.since = landscape.pick(random), now.Add(-time.Duration(random.IntN(7200))*time.Second)
	if t.now == reparenting {
		t.rebuild(now)
		t.running = newPlay(t.emergency(now), now.Add(-time.Duration(random.IntN(2000))*time.Millisecond))
	}
	if t.now == windowed {
		t.ended(newPlay(t.emergency(now.Add(-time.Minute)), now.Add(-time.Minute)).op, now.Add(-57*time.Second))
		t.now = windowed
	}
	t.rebuild(t.since)
	t.rebuild(now)
}

// said is what an operator or a server says.
func (t *town) said(text string) string {
	if t.hostile {
		return hostile(text)
	}
	return text
}

func identity(a topology.Address) gtid.UUID {
	sum := sha256.Sum256([]byte(a))
	return gtid.UUID(sum[:16])
}

// executed is what a server has executed that is so far behind.
func (t *town) executed(now time.Time, behind time.Duration) gtid.Set {
	number := t.rate*int64(now.Add(-behind).Sub(t.founded).Seconds()) + 1000
	own := gtid.MustParse(fmt.Sprintf("%s:1-%d", identity(t.primary), number))
	return t.base.Union(own).Union(t.decided.Marker().Set())
}

// lead lets a server lead under a term.
func (t *town) lead(term uint32, primary topology.Address, since time.Time) {
	t.term, t.primary, t.led = term, primary, since
	t.decided = topology.Decision{
		Cluster: t.name, Term: term, Kind: "adoption", Primary: primary, PrimaryUUID: identity(primary), Incarnation: string(primary) + "/1",
		Ruleset: 1, Base: t.base, Reached: t.ruleset.Servers(), Elector: "elector-1", DecidedAt: since,
	}.Sealed()
}

func (t *town) history(seen []topology.Observation) topology.History {
	h := topology.History{Leaderships: []topology.Leadership{{Decision: t.decided, EstablishedAt: t.led}}, LastSeen: topology.Sightings{}}
	for _, m := range t.ruleset.Members {
		h.Leaders = append(h.Leaders, identity(m.Address))
	}
	for i := range seen {
		h.LastSeen[seen[i].Address] = &seen[i]
	}
	return h
}

// healthy is what all servers show when nothing is wrong.
func (t *town) healthy(now time.Time) []topology.Observation {
	executed := t.executed(now, 0)
	all := make([]topology.Observation, 0, len(t.ruleset.Members))
	for i, m := range t.ruleset.Members {
		all = append(all, t.server(i, m.Address, executed, now))
	}
	return all
}

const timeoutMax = (1<<32 - 1) * time.Millisecond

// server is one server about which there is nothing to find.
func (t *town) server(i int, a topology.Address, executed gtid.Set, now time.Time) topology.Observation {
	o := topology.Observation{
		Address: a, At: now, Latency: time.Duration(1+i) * 700 * time.Microsecond, Reach: topology.ReachOK, UUID: identity(a), ServerID: uint32(i + 1),
		Version: t.said("9.7.1"), StartedAt: t.founded, Incarnation: string(a) + "/1", Executed: executed,
		Settings: topology.Settings{
			GTIDMode: "ON", EnforceGTIDConsistency: "ON", LogBin: true, LogReplicaUpdates: true, BinlogFormat: "ROW", BinlogRowImage: "FULL",
			SyncBinlog: 1, FlushLogAtCommit: 1, SkipReplicaStart: true, BootReadOnly: true, BootAcksOff: true, PreserveOrder: true,
			ReplicaNetTimeout: 4 * time.Second, ReplicaRetryPeriod: time.Second, JournalPresent: true,
		},
		SemiSync: topology.SemiSync{Installed: true, Timeout: timeoutMax, AfterSync: true, WaitNoReplica: true, Acks: t.ruleset.Policy.Acks},
	}
	if a == t.primary {
		o.SemiSync.SourceEnabled, o.SemiSync.SourceActive, o.SemiSync.Clients = true, true, len(t.ruleset.Members)-1
		o.Replicas = t.ruleset.Servers().Without(a).List()
		return o
	}
	o.ReadOnly, o.SuperReadOnly, o.Received = true, true, executed
	o.SemiSync.ReplicaEnabled, o.SemiSync.ReplicaActive = true, true
	o.Replication = &topology.Replication{
		Source: t.primary, SourceUUID: identity(t.primary), User: "replica", AutoPosition: true,
		Receiver: topology.ThreadOn, Applier: topology.ThreadOn, HeartbeatAge: 300 * time.Millisecond, HeartbeatEvery: 500 * time.Millisecond,
	}
	return o
}

// observed is what the servers show in the present situation.
func (t *town) observed(now time.Time) []topology.Observation {
	seen := t.healthy(now)
	if t.now.shows != nil {
		t.now.shows(t, seen, now)
	}
	return seen
}

func (t *town) snapshot(now time.Time) topology.Snapshot {
	s := topology.Snapshot{Cluster: t.name, At: now, Ruleset: t.ruleset, Servers: t.observed(now), Reparenting: t.running != nil}
	s.Maintenance = topology.Servers(slices.Sorted(maps.Keys(t.maintenance))...)
	if h := t.held; h != nil {
		s.Held = &topology.Held{By: h.By, Reason: h.Reason, Until: h.Until}
	}
	s.OthersWatched = 1000
	return s
}

// maintain begins or ends maintenance of a server, or of the whole town when none is named.
func (t *town) maintain(server topology.Address, on bool, n *orchestrator.Note) {
	switch {
	case server == "" && on:
		t.held = n
	case server == "":
		t.held = nil
	case on:
		t.maintenance[server] = *n
	default:
		delete(t.maintenance, server)
	}
}

// rebuild works the view out anew.
func (t *town) rebuild(now time.Time) {
	s := t.snapshot(now)
	v := orchestrator.View{
		Name: t.name, At: now, Ruleset: t.ruleset, Snapshot: s, History: t.history(t.healthy(now)), Roles: map[topology.Address]topology.ServerRole{},
		Primary: t.primary, Term: t.term, Automation: t.automation, Antiflap: t.antiflap, Told: now, Maintenance: maps.Clone(t.maintenance), Held: t.held,
		Leading: true, Elector: "elector-1", Halting: t.halting, Halted: t.halted(),
	}
	v.Findings = topology.Analyze(s, v.History, topology.Limits{}, now, t.view.Findings)
	v.State = topology.State(v.Findings, s)
	for _, o := range s.Servers {
		v.Roles[o.Address] = topology.Role(&o, v.History, v.Findings)
	}
	if t.running != nil {
		op := t.running.at(now)
		v.Running = &op
	}
	if t.now.tells != nil {
		t.now.tells(t, &v)
	}
	t.view = v
}

// glance is the view with little of it brought up to date, for a list of many.
func (t *town) glance(now time.Time) orchestrator.View {
	v := t.view
	v.At = now.Add(-200 * time.Millisecond)
	v.Told = now
	if t.now == forgotten {
		v.At = now.Add(-25 * time.Second)
	}
	if t.running != nil {
		op := t.running.at(now)
		v.Running = &op
	}
	return v
}

// look is the view with what its servers show at the moment.
func (t *town) look(now time.Time) orchestrator.View {
	v := t.glance(now)
	v.Snapshot.At, v.Snapshot.Servers = v.At, t.observed(v.At)
	return v
}
