package reparent

import (
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// mysqld is one server of a world.
type mysqld struct {
	world   *world
	name    topology.Address
	id      int
	uuid    gtid.UUID
	version string
	up      bool
	life    int
	started time.Time
	owner   uint32 // the highest term whose session was here

	readOnly, superReadOnly, offline bool
	stuck                            bool // no commit gets through: the disk is full
	lazy                             bool // it applies only when it is told to
	lag                              time.Duration
	slow                             bool // it is connected, and what is sent has not arrived yet

	binlog   []gtid.GTID
	waiting  []wait // in the binary log, not acknowledged, invisible
	executed gtid.Set
	received gtid.Set
	relay    []gtid.GTID // received, not applied yet
	purged   gtid.Set

	semiSource, infinite bool
	acks                 int
	semiReplica          bool

	channel, receiver, applier bool
	source                     topology.Address

	bootReadOnly, bootStopped, relayLogRecovery bool

	bar gtid.GTID // a barrier that has not come back
}

// wait is a commit that waits for acknowledgements.
type wait struct {
	gtid   gtid.GTID
	at     int // its place in the binary log
	acks   topology.ServerSet
	client bool // somebody is still there to be told OK
}

func (s *mysqld) incarnation() string { return fmt.Sprintf("%s/%d", s.name, s.life) }

func (s *mysqld) position() gtid.Set { return s.executed.Union(s.received) }

// logged is everything in the binary log or ever executed, waiting commits included.
func (s *mysqld) logged() gtid.Set {
	set := s.executed
	for _, w := range s.waiting {
		set = set.Union(gtid.Of(w.gtid))
	}
	return set
}

func (s *mysqld) next() gtid.GTID {
	source := gtid.Source{UUID: s.uuid}
	return gtid.GTID{UUID: s.uuid, Number: s.logged().Union(s.received).Next(source)}
}

// commit writes a transaction to the binary log; with the source side on it then waits.
func (s *mysqld) commit(g gtid.GTID, client bool) {
	s.binlog = append(s.binlog, g)
	if s.world.wrote[g] == "" {
		s.world.wrote[g] = s.incarnation()
	}
	if s.semiSource {
		s.waiting = append(s.waiting, wait{gtid: g, at: len(s.binlog) - 1, client: client})
		return
	}
	s.complete(g, client)
}

func (s *mysqld) complete(g gtid.GTID, client bool) {
	s.executed = s.executed.Union(gtid.Of(g))
	if client {
		s.world.answered = s.world.answered.Union(gtid.Of(g))
	}
}

// acknowledge counts an ack for a place in the binary log and everything before it.
func (s *mysqld) acknowledge(by topology.Address, place int) {
	for i := range s.waiting {
		if s.waiting[i].at <= place {
			s.waiting[i].acks = s.waiting[i].acks.With(by)
		}
	}
	s.settle()
}

// settle completes what has enough acknowledgements.
func (s *mysqld) settle() {
	s.waiting = slices.DeleteFunc(s.waiting, func(w wait) bool {
		done := w.acks.Len() >= s.acks
		if done {
			s.complete(w.gtid, w.client)
		}
		return done
	})
}

// receives tells whether the server takes transactions from its source, or would as soon as it is up again.
func (s *mysqld) receives() bool {
	if !s.up {
		return !s.bootStopped
	}
	return s.receiver
}

// connected tells whether the dump from its source runs.
func (s *mysqld) connected() bool {
	p := s.world.servers[s.source]
	return s.up && s.channel && s.receiver && p != nil && p.up && !p.offline &&
		!s.world.apart[[2]topology.Address{s.name, p.name}] && s.position().Contains(p.purged)
}

// receive takes what the source has and this server lacks; only what is sent is acknowledged.
func (s *mysqld) receive() bool {
	if !s.connected() || s.slow {
		return false
	}
	p, moved := s.world.servers[s.source], false
	for place, g := range p.binlog {
		if s.position().Has(g) || s.logged().Has(g) {
			continue
		}
		s.received, s.relay, moved = s.received.Union(gtid.Of(g)), append(s.relay, g), true
		if s.semiReplica && p.semiSource && !s.world.muted[[2]topology.Address{s.name, p.name}] {
			p.acknowledge(s.name, place)
		}
	}
	return moved
}

// apply commits one received transaction; with commit order preserved it queues behind what waits.
func (s *mysqld) apply() bool {
	if !s.up || !s.channel || !s.applier || s.stuck || s.lazy || len(s.relay) == 0 || len(s.waiting) > 0 {
		return false
	}
	g := s.relay[0]
	s.relay = s.relay[1:]
	s.commit(g, false)
	return true
}

func (s *mysqld) crash() {
	s.up = false
	for i := range s.waiting {
		s.waiting[i].client = false
	}
}

// shutDown ends the process in order: whoever waits for acknowledgements is told OK (E6), if no more than one acker is
// missing. Else the server waits for them on its way out, and somebody kills it.
func (s *mysqld) shutDown() {
	if s.clients() < s.acks-1 {
		s.crash()
		return
	}
	for _, w := range s.waiting {
		s.complete(w.gtid, false)
		if w.client {
			s.world.forced = s.world.forced.Union(gtid.Of(w.gtid))
		}
	}
	s.waiting, s.up = nil, false
}

// restart completes what waited, without telling anybody.
func (s *mysqld) restart() {
	for _, w := range s.waiting {
		s.complete(w.gtid, false)
	}
	s.waiting, s.up, s.life, s.started, s.owner = nil, true, s.life+1, s.world.clock, 0
	s.semiSource, s.offline, s.stuck = false, false, false
	s.readOnly, s.superReadOnly = s.bootReadOnly, s.bootReadOnly
	s.receiver = s.channel && !s.bootStopped
	s.applier = true
	if s.relayLogRecovery {
		s.received, s.relay = gtid.Set{}, nil
	}
	s.world.flow()
}

// purge removes transactions from the binary log, though not from what was executed.
func (s *mysqld) purge(set gtid.Set) {
	s.purged = s.purged.Union(set)
	s.binlog = slices.DeleteFunc(s.binlog, set.Has)
}

// copyOf makes a server a fresh copy of another one, as a clone does.
func (s *mysqld) copyOf(p *mysqld) {
	s.executed, s.purged, s.received = p.executed, p.executed, gtid.Set{}
	s.binlog, s.relay, s.waiting = nil, nil, nil
	s.channel, s.receiver, s.up, s.stuck = false, false, true, false
	s.life, s.started, s.owner = s.life+1, s.world.clock, 0
	s.readOnly, s.superReadOnly, s.offline, s.semiSource = true, true, false, false
}

func (s *mysqld) observe() topology.Observation {
	settings := topologytest.Settings
	settings.RelayLogRecovery, settings.BootReadOnly = s.relayLogRecovery, s.bootReadOnly
	o := topology.Observation{
		Address: s.name, At: s.world.clock, Latency: time.Millisecond, Reach: topology.ReachOK, UUID: s.uuid, ServerID: uint32(s.id),
		Version: s.version, StartedAt: s.started, Incarnation: s.incarnation(), ReadOnly: s.readOnly, SuperReadOnly: s.superReadOnly,
		OfflineMode: s.offline, Executed: s.executed, Received: s.received, Purged: s.purged, Settings: settings, SemiSync: s.semiSync(),
		Stall: topology.Stall{DiskFull: s.stuck},
	}
	if s.channel {
		o.Replication = s.replication()
	}
	return o
}

func (s *mysqld) semiSync() topology.SemiSync {
	timeout := topologytest.TimeoutMax
	if !s.infinite {
		timeout = 10 * time.Second
	}
	return topology.SemiSync{
		Installed: true, SourceEnabled: s.semiSource, SourceActive: s.semiSource, ReplicaEnabled: s.semiReplica, ReplicaActive: s.semiReplica && s.connected(),
		Acks: s.acks, Timeout: timeout, AfterSync: true, WaitNoReplica: true, Clients: s.clients(), Waiters: len(s.waiting),
	}
}

// clients counts the connected semi-sync replicas.
func (s *mysqld) clients() int {
	n := 0
	for _, r := range s.world.all() {
		if r.source == s.name && r.semiReplica && r.connected() {
			n++
		}
	}
	return n
}

func (s *mysqld) replication() *topology.Replication {
	r := &topology.Replication{
		Source: s.source, SourceUUID: topologytest.UUID(s.source), AutoPosition: true, Receiver: topology.ThreadOff, Applier: topology.ThreadOff,
		HeartbeatAge: 100 * time.Millisecond, HeartbeatEvery: 500 * time.Millisecond,
	}
	switch {
	case s.receiver && s.connected():
		r.Receiver = topology.ThreadOn
	case s.receiver:
		r.Receiver, r.ReceiverErrno = topology.ThreadConnecting, 2003
	}
	if s.applier {
		r.Applier = topology.ThreadOn
	}
	if len(s.relay) > 0 {
		r.Lag = s.lag
	}
	return r
}
