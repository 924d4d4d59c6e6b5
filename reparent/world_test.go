package reparent

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// world is a handful of servers that answer commands truthfully, as real ones were seen to do: what waits for
// acknowledgements is in the binary log and invisible, a restart completes it, a dump skips what the replica holds.
// The rules that it keeps are in mysqld_test.go. It is deterministic; whatever goes wrong is said from outside.
type world struct {
	ruleset topology.Ruleset
	servers map[topology.Address]*mysqld
	// cut are servers that the elector cannot reach; everyone else still can.
	cut topology.ServerSet
	// apart are pairs of servers between which no replication flows.
	apart map[[2]topology.Address]bool
	// muted are pairs of a replica and a source where transactions arrive and acknowledgements do not.
	muted map[[2]topology.Address]bool
	clock time.Time
	term  uint32

	leaderships []topology.Leadership
	leaders     []gtid.UUID
	lastSeen    topology.Sightings
	floor       gtid.Set
	maintenance topology.ServerSet

	answered gtid.Set             // whose client got OK
	forced   gtid.Set             // whose client got OK because its server was shut down in order (E6): no claim is made on it
	wrote    map[gtid.GTID]string // by which process
	names    map[string]gtid.GTID
	// lossAccepted and split switch off the claims that a scenario gives up on purpose.
	lossAccepted bool
	broken       []string // claims that did not hold
}

func newWorld(acks int, names ...topology.Address) *world {
	b := topologytest.Cluster(names...).Acks(acks)
	return worldOf(b.Ruleset())
}

// worldOf is a cluster whose first member leads term 1, with one transaction and the marker everywhere.
func worldOf(r topology.Ruleset) *world {
	w := &world{
		ruleset: r, servers: map[topology.Address]*mysqld{}, apart: map[[2]topology.Address]bool{}, muted: map[[2]topology.Address]bool{},
		clock: topologytest.Now, lastSeen: topology.Sightings{}, names: map[string]gtid.GTID{}, wrote: map[gtid.GTID]string{},
	}
	for i, m := range r.Members {
		w.servers[m.Address] = &mysqld{
			world: w, name: m.Address, id: i + 1, uuid: topologytest.UUID(m.Address), up: true, life: 1, started: w.clock.Add(-24 * time.Hour),
			readOnly: true, superReadOnly: true, acks: 1, infinite: true, applier: true, bootReadOnly: true, version: "8.4.6",
		}
	}
	w.lead(r.Members[0].Address)
	w.adopt(r.Members[0].Address)
	return w
}

// unadopted is the same cluster as somebody else set it up: with semi-sync, and without any term.
func unadopted(r topology.Ruleset) *world {
	adopted := worldOf(r)
	w := &world{
		ruleset: r, servers: adopted.servers, apart: adopted.apart, muted: adopted.muted, clock: adopted.clock,
		lastSeen: topology.Sightings{}, names: map[string]gtid.GTID{}, wrote: map[gtid.GTID]string{},
	}
	for _, s := range w.all() {
		s.world, s.binlog, s.executed, s.received = w, nil, gtid.Set{}, gtid.Set{}
	}
	w.write(r.Members[0].Address)
	return w
}

// lead makes a server the writable primary, with everyone following it.
func (w *world) lead(a topology.Address) {
	p := w.servers[a]
	p.readOnly, p.superReadOnly, p.acks = false, false, max(1, w.ruleset.AcksNeeded(a))
	for _, m := range w.ruleset.Members {
		if m.Address != a {
			s := w.servers[m.Address]
			s.source, s.channel, s.receiver, s.semiReplica = a, true, true, w.ruleset.Ackers(a).Has(m.Address)
		}
	}
	w.write(a)
}

// adopt records the next term for a server, with its marker everywhere.
func (w *world) adopt(a topology.Address) {
	p := w.servers[a]
	w.term++
	d := topology.Decision{
		Cluster: "shop", Term: w.term, Kind: string(KindAdoption), Primary: a, PrimaryUUID: p.uuid, Incarnation: p.incarnation(),
		Ruleset: w.ruleset.Number, Base: p.executed, Reached: w.ruleset.Servers(), Elector: "elector-1", DecidedAt: w.clock,
	}.Sealed()
	p.commit(d.Marker().GTID(), false)
	w.flow()
	p.semiSource = w.ruleset.AcksNeeded(a) > 0
	w.record(topology.Leadership{Decision: d, EstablishedAt: w.clock})
}

// record takes a leadership over into the history: an established one ends all doubt about those before it.
func (w *world) record(l topology.Leadership) {
	if l.Established() {
		w.leaderships, w.floor = nil, gtid.Set{}
	}
	w.leaderships = slices.DeleteFunc(w.leaderships, func(old topology.Leadership) bool { return old.Term == l.Term })
	w.leaderships = append(w.leaderships, l)
	if !slices.Contains(w.leaders, l.PrimaryUUID) {
		w.leaders = append(w.leaders, l.PrimaryUUID)
	}
}

// all are the servers, members or not any more.
func (w *world) all() []*mysqld {
	return slices.SortedFunc(maps.Values(w.servers), func(a, b *mysqld) int { return a.id - b.id })
}

// recorded puts rules on record. Whatever a client was told is held by so many of those who may acknowledge under them that
// no elector can go by without it.
func (w *world) recorded(r topology.Ruleset) {
	w.ruleset = r
	current, _ := w.history().Current()
	holds := r.Ackers(current.Primary)
	for _, g := range w.numbered(w.answered) {
		held := holds.Where(func(a topology.Address) bool { return w.servers[a].logged().Has(g) || w.servers[a].received.Has(g) })
		w.claim(held.Len() >= r.AcksNeeded(current.Primary), "ruleset %d asks for %d of %s, and %s, which a client was told, is held by %s", r.Number, r.AcksNeeded(current.Primary), holds, g, held)
	}
}

// numbered are the transactions that somebody wrote, of a set.
func (w *world) numbered(set gtid.Set) []gtid.GTID {
	var all []gtid.GTID
	for g := range w.wrote {
		if set.Has(g) {
			all = append(all, g)
		}
	}
	return all
}

// snapshot probes everyone; what was seen is remembered.
func (w *world) snapshot() topology.Snapshot {
	w.clock = w.clock.Add(time.Second)
	s := topology.Snapshot{Cluster: "shop", At: w.clock, Ruleset: w.ruleset, Maintenance: w.maintenance}
	for _, member := range w.ruleset.Members {
		m := w.servers[member.Address]
		o := m.observe()
		if !m.up {
			o = topology.Observation{Address: m.name, At: w.clock, Reach: topology.ReachRefused}
		} else if w.cut.Has(m.name) {
			o = topology.Observation{Address: m.name, At: w.clock, Reach: topology.ReachSilent}
		}
		if o.OK() {
			w.lastSeen[m.name] = &o
		}
		s.Servers = append(s.Servers, o)
	}
	w.raiseFloor()
	return s
}

func (w *world) raiseFloor() {
	l, ok := w.history().Current()
	if seen := w.lastSeen.Of(l.Primary); ok && seen.At.Equal(w.clock) && seen.SemiSync.Verified() && seen.Incarnation == l.Incarnation {
		w.floor = seen.Executed
	}
}

func (w *world) history() topology.History {
	return topology.History{Leaderships: slices.Clone(w.leaderships), Leaders: slices.Clone(w.leaders), LastSeen: maps.Clone(w.lastSeen), Floor: w.floor}
}

// flow lets replication run until nothing moves any more.
func (w *world) flow() {
	for moved := true; moved; {
		moved = false
		for _, s := range w.all() {
			moved = s.receive() || moved
			moved = s.apply() || moved
		}
	}
}

// write is a client's transaction on a server; the zero GTID when the server takes none.
func (w *world) write(a topology.Address) gtid.GTID {
	p := w.servers[a]
	if !p.up || p.readOnly || p.offline || p.stuck {
		return gtid.GTID{}
	}
	g := p.next()
	p.commit(g, true)
	w.flow()
	return g
}

// completes tells whether a client's commit on a server could be answered with OK, now or once whoever is down or cut
// off from it comes back as it is.
func (w *world) completes(p *mysqld) bool {
	if !p.up || p.readOnly || p.offline {
		return false
	}
	if !p.semiSource || !p.infinite {
		return true
	}
	ackers := 0
	for _, s := range w.all() {
		if s != p && s.channel && s.source == p.name && s.semiReplica && s.receives() {
			ackers++
		}
	}
	return ackers >= p.acks
}

// claim notes a claim that does not hold.
func (w *world) claim(holds bool, format string, values ...any) {
	if !holds {
		w.broken = append(w.broken, fmt.Sprintf(format, values...))
	}
}

// onePrimary claims that at most one server can complete writes.
func (w *world) onePrimary(after string) {
	var open []string
	for _, s := range w.all() {
		if w.completes(s) {
			open = append(open, string(s.name))
		}
	}
	w.claim(len(open) <= 1, "%s: %s can complete writes", after, strings.Join(open, " and "))
}

// safeToMark claims what a marker promises: nobody else can complete anything, and the decision honours whatever a
// client was told.
func (w *world) safeToMark(c Command) {
	for _, s := range w.all() {
		if s.name != c.Server {
			w.claim(!w.completes(s), "marker of term %d on %s while %s can complete writes", c.Decision.Term, c.Server, s.name)
		}
	}
	if w.lossAccepted || c.Decision.Kind == string(KindAdoption) {
		return
	}
	lost := w.answered.Subtract(c.Decision.Base)
	w.claim(lost.IsEmpty(), "marker of term %d on %s gives up %s, which clients were told is committed", c.Decision.Term, c.Server, lost)
	p := w.servers[c.Server]
	strange := p.logged().Subtract(c.Decision.Base).Subtract(c.Decision.Marker().Set())
	w.claim(strange.IsEmpty(), "marker of term %d on %s follows %s, which its decision does not honour", c.Decision.Term, c.Server, strange)
}
