package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Model is simulated servers by themselves, so that they can be compared with real ones: nothing happens to them but
// what is asked for, and electors are there only as far as they act on servers. Time passes in Rest, and in Do for as
// long as the commands take.
type Model struct {
	clock    *clock
	network  *network
	hosts    *hosts
	desk     place // where clients and the superuser sit
	electors []*fleet
}

// ModelServer is a server as a comparison begins: a process that runs, closed to writes, empty and without a source.
type ModelServer struct {
	Address  topology.Address
	UUID     gtid.UUID
	ServerID uint32
	// What the next start of the process will find in its settings.
	BootReadOnly, SkipReplicaStart, RelayLogRecovery bool
}

// NewModel makes servers that know nothing of each other.
func NewModel(seed uint64, servers []ModelServer) *Model {
	c := newClock(seed)
	n := newNetwork(c)
	m := &Model{clock: c, network: n, hosts: newHosts(c, n), desk: n.join("desk")}
	for _, server := range servers {
		o := healthyOptions()
		o.SemiSyncReplica, o.SkipReplicaStart, o.NoJournal, o.LockWait = true, false, true, forEver
		s := m.hosts.add(server.Address, o)
		s.uuid, s.serverID = server.UUID, server.ServerID
		s.options.SuperReadOnly, s.options.SkipReplicaStart, s.options.RelayLogRecovery =
			server.BootReadOnly, server.SkipReplicaStart, server.RelayLogRecovery
	}
	return m
}

// Close ends the electors.
func (m *Model) Close() {
	for _, f := range m.electors {
		f.process.kill()
	}
}

// Rest lets time pass. What does not move after some multiples of replica_net_timeout does not move any more.
func (m *Model) Rest(d time.Duration) { m.clock.runUntil(m.clock.now+d, nil) }

// Do has an elector carry out commands and returns when it has all results, or false after two minutes.
func (m *Model) Do(elector string, commands []reparent.Command) (results []reparent.Result, done bool) {
	f := m.elector(elector)
	f.process.spawn(func() {
		results = f.Do(context.Background(), orchestrator.Batch{Commands: commands})
		done = true
	})
	m.clock.runUntil(m.clock.now+2*time.Minute, func() bool { return done })
	return results, done
}

func (m *Model) elector(name string) *fleet {
	for _, f := range m.electors {
		if f.elector == name {
			return f
		}
	}
	f := newFleet(m.clock.newProcess(name), m.hosts, m.network.join(name), name)
	m.electors = append(m.electors, f)
	var all []topology.Address
	for _, s := range m.hosts.all {
		all = append(all, s.address)
	}
	f.Watch("model", all)
	m.Rest(20 * time.Millisecond)
	return f
}

// Observe is what a probe would read of a server that answers, and of a process that does not whether it is gone.
func (m *Model) Observe(server topology.Address) topology.Observation {
	s := m.hosts.at(server)
	switch {
	case s.refuses():
		return topology.Observation{Address: server, Reach: topology.ReachRefused}
	case s.state == processFrozen:
		return topology.Observation{Address: server, Reach: topology.ReachSilent}
	}
	return s.observe(epoch.Add(m.clock.now))
}

// Unacked counts the commits of a process that completed without the acknowledgements asked for; 0 for one that does not
// answer.
func (m *Model) Unacked(server topology.Address) int64 {
	s := m.hosts.at(server)
	if s.state != processUp {
		return 0
	}
	return s.unacked()
}

// Rows are those, of the first so many that were written anywhere, which a reader of a server sees.
func (m *Model) Rows(server topology.Address, last int64) (seen []int64) {
	s := m.hosts.at(server)
	for row := int64(1); row <= last; row++ {
		if s.hasRow(row) {
			seen = append(seen, row)
		}
	}
	return seen
}

// Journal is what a reader of a server's journal sees, newest first.
func (m *Model) Journal(server topology.Address) []topology.Decision {
	return m.hosts.at(server).decisions()
}

// Told is what somebody hears who sent a server a statement.
type Told struct {
	heard bool
	err   error
}

// String is "nothing yet", "OK", "error" with MySQL's number, "no connection" or "connection lost".
func (t *Told) String() string {
	number := errnoOf(t.err)
	switch {
	case !t.heard:
		return "nothing yet"
	case t.err == nil:
		return "OK"
	case number != 0:
		return fmt.Sprintf("error %d", int(number))
	case errors.Is(t.err, errConnRefused):
		return "no connection"
	}
	return "connection lost"
}

// send runs a statement in a session of its own.
func (m *Model) send(who account, on topology.Address, what statement) *Told {
	t := &Told{}
	var w *wire
	ended := func(err error) {
		t.heard, t.err = true, err
		w.close()
	}
	w = m.hosts.dial(m.desk, on, who, announcement{}, func(err error) {
		if err != nil {
			ended(err)
			return
		}
		w.run(what, ended)
	})
	return t
}

// Write is a client's insert of a row.
func (m *Model) Write(on topology.Address, row int64) *Told {
	return m.send(accountApp, on, func(on *guest, done func(error)) { on.server.write(on, row, done) })
}

// WriteAsRoot is the superuser's insert of a row.
func (m *Model) WriteAsRoot(on topology.Address, row int64) *Told {
	return m.send(accountRoot, on, func(on *guest, done func(error)) { on.server.write(on, row, done) })
}

// The superuser's statements, by the names that MySQL has for them.

func (m *Model) StopReceiver(on topology.Address) *Told {
	return m.send(accountRoot, on, stopsReceiver)
}
func (m *Model) StartReceiver(on topology.Address) *Told {
	return m.send(accountRoot, on, startsReceiver)
}
func (m *Model) StopApplier(on topology.Address) *Told { return m.send(accountRoot, on, stopsApplier) }
func (m *Model) StartApplier(on topology.Address) *Told {
	return m.send(accountRoot, on, startsApplier)
}

// ChangeSource is CHANGE REPLICATION SOURCE TO with an address, and with SOURCE_AUTO_POSITION if that is said.
func (m *Model) ChangeSource(on, source topology.Address, autoPosition bool) *Told {
	return m.send(accountRoot, on, changesSource(source, autoPosition))
}

// ResetReplica is RESET REPLICA ALL.
func (m *Model) ResetReplica(on topology.Address) *Told {
	return m.send(accountRoot, on, resetsReplica)
}

// SetSource is rpl_semi_sync_source_enabled.
func (m *Model) SetSource(on topology.Address, enabled bool) *Told {
	if !enabled {
		return m.send(accountRoot, on, disablesSource)
	}
	return m.sets(on, (*server).enableSource)
}

// SetReplica is rpl_semi_sync_replica_enabled.
func (m *Model) SetReplica(on topology.Address, enabled bool) *Told {
	return m.sets(on, func(s *server) { s.setReplicaSide(enabled) })
}

// SetTimeout is rpl_semi_sync_source_timeout; 0 stands for the longest.
func (m *Model) SetTimeout(on topology.Address, d time.Duration) *Told {
	if d == 0 {
		d = timeoutMax
	}
	return m.sets(on, func(s *server) { s.setTimeout(d) })
}

// SetAcks is rpl_semi_sync_source_wait_for_replica_count.
func (m *Model) SetAcks(on topology.Address, n int) *Told {
	return m.sets(on, func(s *server) { s.setAcks(n) })
}

// SetSuperReadOnly is super_read_only, and SetReadOnly read_only = OFF.
func (m *Model) SetSuperReadOnly(on topology.Address, closed bool) *Told {
	if !closed {
		return m.sets(on, (*server).setSuperReadOnlyOff)
	}
	return m.send(accountRoot, on, func(on *guest, done func(error)) { on.server.closeForWrites(on, lockWaitDefault, done) })
}

// OpenForWrites is SET read_only = OFF.
func (m *Model) OpenForWrites(on topology.Address) *Told { return m.sets(on, (*server).setReadOnlyOff) }

// SetOffline is offline_mode.
func (m *Model) SetOffline(on topology.Address, offline bool) *Told {
	return m.sets(on, func(s *server) { s.setOffline(offline) })
}

// Purge removes all binary logs but a new one.
func (m *Model) Purge(on topology.Address) *Told { return m.sets(on, (*server).purgeBinlogs) }

func (m *Model) does(on topology.Address, what func(*server) error) *Told {
	return m.send(accountRoot, on, func(on *guest, done func(error)) { done(what(on.server)) })
}

func (m *Model) sets(on topology.Address, what func(*server)) *Told {
	return m.does(on, func(s *server) error { what(s); return nil })
}

// Kill ends a process as kill -9 does; Start starts it; Freeze and Thaw are SIGSTOP and SIGCONT.
func (m *Model) Kill(server topology.Address)   { m.hosts.at(server).kill() }
func (m *Model) Start(server topology.Address)  { m.hosts.at(server).boot() }
func (m *Model) Freeze(server topology.Address) { m.hosts.at(server).freeze() }
func (m *Model) Thaw(server topology.Address)   { m.hosts.at(server).thaw() }

// Wipe loses a server's data directory and starts it anew; before time passes, Rename gives it the names that the real one
// has got.
func (m *Model) Wipe(server topology.Address) {
	s := m.hosts.at(server)
	s.wipe()
	s.boot()
}

// Rename gives a server a server_uuid and a server_id.
func (m *Model) Rename(server topology.Address, uuid gtid.UUID, id uint32) {
	s := m.hosts.at(server)
	s.uuid, s.serverID = uuid, id
}

// cloneTime is how long a clone of a small server takes.
const cloneTime = 2 * time.Second

// Clone is CLONE INSTANCE FROM another server, and no more: nobody gives the server another identity.
func (m *Model) Clone(on, donor topology.Address) {
	s := m.hosts.at(on)
	s.later(cloneTime, func() {
		s.copyOf(m.hosts.at(donor))
		s.boot()
	})
}

// Part cuts both ways between two servers, or mends them.
func (m *Model) Part(one, other topology.Address, cut bool) {
	a, b := m.hosts.at(one).place, m.hosts.at(other).place
	if cut {
		m.network.cutBoth(a, b)
	} else {
		m.network.healBoth(a, b)
	}
}

// Parted tells whether two servers do not hear each other.
func (m *Model) Parted(one, other topology.Address) bool {
	return !m.network.up(m.hosts.at(one).place, m.hosts.at(other).place)
}

// ShutDown has a process end in order, and tells whether it does; else it is killed on its way out.
func (m *Model) ShutDown(server topology.Address) (inOrder bool) {
	s := m.hosts.at(server)
	inOrder = !s.hangsOnItsWayOut()
	s.shutDown()
	return inOrder
}
