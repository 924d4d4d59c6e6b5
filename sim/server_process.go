package sim

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// add makes a server that runs, empty, without a source, with the next server_id and a uuid of its own.
func (h *hosts) add(a topology.Address, o options) *server {
	s := &server{
		hosts: h, clock: h.clock, address: a, place: h.network.join(string(a)), number: len(h.all), options: o,
	}
	h.all = append(h.all, s)
	s.empty()
	s.life = 1
	s.begin()
	return s
}

// empty is a new data directory.
func (s *server) empty() {
	s.renew()
	s.stored, s.log, s.done, s.purged = persisted{}, binlog{}, history{}, gtid.Set{}
	s.decided, s.journal, s.ruled, s.channel, s.torn, s.second = nil, !s.options.NoJournal, false, nil, nil, nil
}

// drawUUID names the server and how often it was made anew, so that people can read traces.
func (s *server) drawUUID() gtid.UUID {
	var u gtid.UUID
	binary.BigEndian.PutUint32(u[0:4], 0x5e000000+uint32(s.number)+1)
	binary.BigEndian.PutUint32(u[12:16], uint32(s.wiped)+1)
	return u
}

// persisted are settings that override the option file at the next start; nil is none.
type persisted struct {
	superReadOnly, skipReplicaStart *bool
}

func (p *persisted) or(set *bool, otherwise bool) bool {
	if set != nil {
		return *set
	}
	return otherwise
}

// bootsReadOnly tells whether the next start leaves super_read_only on.
func (s *server) bootsReadOnly() bool {
	return s.stored.or(s.stored.superReadOnly, s.options.SuperReadOnly)
}

// startsAlone tells whether the next start of the process starts replication too.
func (s *server) startsAlone() bool {
	return !s.stored.or(s.stored.skipReplicaStart, s.options.SkipReplicaStart)
}

// bootAcksOff tells whether it shows that the next start leaves the replica side off: a value that was set since the start
// of this process hides what the option file says.
func (s *server) bootAcksOff() bool { return !s.semi.replicaSet && !s.options.SemiSyncReplica }

// begin is a process as it comes up: everything as its settings say, whatever it was before.
func (s *server) begin() {
	o := s.options
	s.state, s.started = processUp, s.clock.now
	s.incarnation = s.uuid.String() + "/" + strconv.FormatInt(int64(s.started/time.Second), 10) + "/" + strconv.Itoa(s.life)
	s.superReadOnly = s.bootsReadOnly()
	s.readOnly, s.offline, s.skipReplicaStart = s.superReadOnly, o.Offline, !s.startsAlone()
	s.semi = semiSync{
		source: o.SemiSyncSource, active: o.SemiSyncSource, replica: o.SemiSyncReplica, acks: max(1, o.Acks), timeout: o.Timeout,
		waitNoReplica: true, afterSync: true,
	}
	s.nextNumber = 1
	if c := s.channel; c != nil {
		c.restarted(o.RelayLogRecovery)
		if !s.skipReplicaStart {
			_ = s.startReceiver()
			_ = s.startApplier()
		}
	}
}

// later does something after d, unless the process has ended by then. A frozen process does it when it goes on.
func (s *server) later(d time.Duration, do func()) timer {
	t := s.clock.after(d, do)
	t.event.server, t.event.life = s, s.life
	return t
}

// inTurn does something now, if the process is still the same, or when it goes on.
func (s *server) inTurn(life int, do func()) {
	switch {
	case s.life != life:
	case s.state == processFrozen:
		s.waiting = append(s.waiting, do)
	default:
		do()
	}
}

// kill ends the process as kill -9 does, or a crash.
func (s *server) kill() {
	if s.state == processDead {
		return
	}
	s.tell("killed", nil)
	s.end()
}

// end is the end of a process: what it knew is gone, what it wrote is not. Everybody who was connected hears of it.
func (s *server) end() {
	s.state = processDead
	s.life++
	for _, c := range s.commits {
		s.torn = append(s.torn, c.transaction)
	}
	for _, g := range s.guests {
		g.wire.pipe.close(callee)
	}
	for _, w := range s.knocking { // the kernel had accepted them in its place
		w.pipe.close(callee)
	}
	for _, d := range s.dumps {
		d.pipe.close(callee)
	}
	if s.channel != nil {
		s.channel.processEnded()
	}
	s.knocking = nil
	s.waiting, s.commits, s.closings, s.blocked, s.guests, s.turn = nil, nil, nil, nil, nil, channelTurn{}
	s.inserting, s.rowWaits, s.passes = nil, nil, s.passes[:0]
	s.locks, s.dumps, s.awaited, s.disk.queue, s.marking, s.inFlight, s.together = nil, nil, nil, nil, nil, 0, 0
	s.hosts.sourceChanged(s)
}

// shutDown stops the process in order. Whoever waits for acknowledgements hears OK without one, if no more than one
// acker is missing. Else the server waits for them on its way out, until somebody loses patience and kills it.
func (s *server) shutDown() {
	if s.state != processUp || s.hangsOnItsWayOut() {
		s.kill()
		return
	}
	s.tell("shut down", nil)
	s.rowWaits = nil // sessions are told to end first, and these can
	s.fallBack()
	s.end()
}

func (s *server) hangsOnItsWayOut() bool {
	return len(s.commits) > 0 && s.semiSyncClients() < s.semi.acks-1
}

// boot starts a dead process. It takes a second or two until it serves, or until its disk works; commits that nobody acknowledged are complete
// then, for they were in the binary log.
func (s *server) boot() {
	if s.state != processDead || s.hosts.network.off[s.place] {
		return
	}
	s.state = processBooting
	s.later(s.clock.between(800*time.Millisecond, 1600*time.Millisecond), func() { s.onceWritten(s.recovered) })
}

func (s *server) recovered() {
	for _, t := range s.torn {
		s.engine(t)
		s.tell("completed at restart", t)
	}
	s.torn = nil
	s.begin()
	s.tell("started", nil)
	if opened := s.hosts.startedOpen; opened != nil && !s.readOnly {
		opened(s)
	}
}

// freeze stops the process where it is, as SIGSTOP does. Its host still takes packets for it.
func (s *server) freeze() {
	if s.state != processUp {
		return
	}
	s.state = processFrozen
	s.tell("frozen", nil)
	s.hosts.sourceChanged(s)
}

// thaw lets a frozen process go on with all that came meanwhile.
func (s *server) thaw() {
	if s.state != processFrozen {
		return
	}
	s.state = processUp
	waiting := s.waiting
	s.waiting = nil
	for _, do := range waiting {
		s.later(0, do)
	}
	s.tell("goes on", nil)
	s.hosts.sourceChanged(s)
}

// powerOff takes the host's power: the process is gone, and nothing answers at its address.
func (s *server) powerOff() {
	s.hosts.network.powerOff(s.place)
	if s.state != processDead {
		s.tell("no power", nil)
		s.end()
	}
	if s.options.LoseRelayLogs && s.channel != nil {
		s.channel.dropRelayLogs()
	}
}

// powerOn gives it back; the process has to be started.
func (s *server) powerOn() { s.hosts.network.powerOn(s.place) }

// wipe loses the data directory, and with it what was persisted. The next start makes a new server, with another uuid
// and another server_id.
func (s *server) wipe() {
	s.kill()
	s.empty()
	s.tell("wiped", nil)
}

var (
	errNoDonor = errors.New("the donor of a clone does not answer")
	errKept    = errors.New("it has begun to lead, or holds what its donor lacks")
)

// clone makes the server a copy of another one under a new identity, unless somebody has second thoughts before its data
// goes. It takes seconds and ends with a restart; done is told then. A donor that dies meanwhile takes the copying with it,
// though it may have started again.
func (s *server) clone(donor topology.Address, sure func() bool, done func(error)) {
	d := s.hosts.at(donor)
	if s.state != processUp || !s.reaches(d) {
		done(errNoDonor)
		return
	}
	life, of := s.life, d.life
	copying := func() {
		switch {
		case !s.reaches(d) || d.life != of:
			done(errNoDonor)
			return
		case !sure():
			done(errKept)
			return
		}
		s.copyOf(d)
		s.renew()
		s.boot()
		s.later(2*time.Second, func() { done(nil) })
	}
	read := func() { s.inTurnOnDisk(life, copying) }
	s.later(s.clock.between(2*time.Second, 5*time.Second), func() { d.onceWritten(read) })
}

// reaches tells whether another server would answer this one.
func (s *server) reaches(d *server) bool {
	return d != nil && d != s && d.state == processUp && s.hosts.network.flows(s.place, d.place) && s.hosts.network.flows(d.place, s.place)
}

// renew gives the server another identity: under the old uuid it would give names again that others know for something
// else, and under the old server_id it would skip what it wrote before and the donor lacks.
func (s *server) renew() {
	s.uuid, s.serverID = s.drawUUID(), s.hosts.nextID
	s.hosts.nextID++
	s.wiped++
}

// copyOf takes all data of another server; uuid, server_id and persisted settings are the server's own, the channel is a
// copy of the donor's.
func (s *server) copyOf(d *server) {
	s.end()
	s.tell("cloned", nil)
	set := d.done.all()
	s.log, s.torn = binlog{from: 0}, nil
	s.done, s.purged = historyOf(set), set
	s.decided, s.journal, s.ruled, s.channel, s.second = slices.Clone(d.decided), d.journal, d.ruled, nil, maps.Clone(d.second)
	if d.channel != nil {
		s.channel = s.newChannel(d.channel.source)
		s.channel.autoPosition = d.channel.autoPosition
	}
}

// purgeBinlogs drops all that is executed from the binary log.
func (s *server) purgeBinlogs() {
	place := s.log.end()
	if len(s.commits) > 0 {
		place = s.commits[0].place
	}
	if s.state == processDead {
		return
	}
	gone := history{set: s.purged}
	for _, t := range s.log.purge(place) {
		gone.add(t.gtid)
	}
	s.purged = gone.all()
	s.tell("purged", nil)
}

// tell says what happened to whoever keeps a trace.
func (s *server) tell(what string, t *transaction) {
	if s.hosts.happened != nil {
		s.hosts.happened(s, what, t)
	}
}
