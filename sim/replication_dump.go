package sim

import (
	"slices"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// dump is the thread of a source that feeds one replica.
type dump struct {
	pipe     *pipe // the replica is its caller
	source   *server
	replica  *server
	receiver *receiver
	semi     bool
	exclude  gtid.Set  // what the replica held when it connected; it is skipped
	place    int       // of the next transaction to send
	life     int       // of the source's process
	uuid     gtid.UUID // of the source
	from     identity  // of the replica

	// What is on its way in each direction arrives in order, so one function for all of it suffices.
	sent      queue[delivery]
	acks      queue[int] // places
	delivered func()
	acked     func()

	// listened tells whether the thread that reads acknowledgements knows of the connection, which it does from then on
	// at the latest; early is what came before.
	listened bool
	then     time.Duration
	early    int
}

// delivery is a batch of transactions on its way.
type delivery struct {
	batch  []*transaction
	last   int  // place of the last one that is sent: others before it may be skipped
	wanted bool // an acknowledgement of it is
}

// identity is what a server is known by.
type identity struct {
	uuid     gtid.UUID
	serverID uint32
}

// accept answers a replica that connects: with a dump of the binary log, or with why not.
func (s *server) accept(d *dump) {
	refuse := func(errno mysqlError) {
		d.pipe.send(caller, func() { d.receiver.refused(d.pipe, errno) })
		d.pipe.close(callee)
	}
	switch {
	case s.offline && !s.options.ReplicasExempt:
		refuse(errOffline)
	case s.uuid == d.from.uuid || s.serverID == d.from.serverID:
		refuse(errReplicaFatal)
	case s.lacksHistory(d.exclude):
		refuse(errNoSource)
	default:
		s.feed(d)
	}
}

// lacksHistory tells whether the source cannot bring a replica up to date: it has purged what the replica needs, or the
// replica holds transactions of the source's own that the source knows nothing of.
func (s *server) lacksHistory(held gtid.Set) bool {
	if !held.Contains(s.purged) {
		return true
	}
	ours := held.Only(func(source gtid.Source) bool { return source.UUID == s.uuid })
	for i := range ours.Subtract(s.done.all()).Intervals() {
		for n := i.First; n <= i.Last; n++ {
			if !s.waits(gtid.GTID{UUID: s.uuid, Number: n}) {
				return true
			}
		}
	}
	return false
}

// feed begins a dump. An older one of the same replica is ended.
func (s *server) feed(d *dump) {
	for _, old := range slices.Clone(s.dumps) {
		if old.from.uuid == d.from.uuid {
			s.cutDump(old)
		}
	}
	d.place, d.life, d.uuid = s.log.from, s.life, s.uuid
	d.delivered, d.acked = d.delivery, d.acknowledgement
	s.admit(d)
	s.dumps = append(s.dumps, d)
	d.pipe.send(caller, func() { d.receiver.connected(d) })
	s.sendTo(d)
}

// pump sends what is new to all replicas.
func (s *server) pump() {
	for _, d := range s.dumps {
		s.sendTo(d)
	}
}

// sendTo sends a replica all that it lacks, as one message. What it held when it connected is skipped, so no
// acknowledgement of that ever comes.
func (s *server) sendTo(d *dump) {
	batch, last := s.log.since(d.place), -1
	for i := len(batch) - 1; i >= 0 && last < 0; i-- {
		if !d.exclude.Has(batch[i].gtid) {
			last = d.place + i
		}
	}
	d.place = s.log.end()
	if last < 0 {
		return
	}
	wanted := s.semi.source
	d.sent.push(delivery{batch, last, wanted})
	d.pipe.send(caller, d.delivered)
}

// delivery is the next batch at the replica's host.
func (d *dump) delivery() {
	d.receiver.arrived(d, d.sent.pop())
}

// acknowledge sends the replica's word.
func (d *dump) acknowledge(place int) {
	if lost := d.source.hosts.unheard; lost != nil && lost(d, place) {
		return
	}
	d.acks.push(place)
	d.pipe.send(callee, d.acked)
}

// acknowledgement is the next word of the replica at the source's host.
func (d *dump) acknowledgement() {
	place, source := d.acks.pop(), d.source
	if source.state == processUp && source.life == d.life {
		source.takeAck(d, place)
		return
	}
	source.inTurn(d.life, func() { source.takeAck(d, place) })
}

// ackPoll is how long a source's thread waits for acknowledgements before it looks for connections that are new. Any
// acknowledgement wakes it up earlier, and so does the first connection of all.
const ackPoll = time.Second

// admit makes a connection known to that thread, if it is not waiting for others.
func (s *server) admit(d *dump) {
	now := s.clock.now
	if d.listened = s.semiSyncClients() == 0; d.listened {
		s.semi.polled = now
	}
	d.then, d.early = now+ackPoll-(now-s.semi.polled)%ackPoll, -1
}

// takeAck is an acknowledgement as it reaches the source.
func (s *server) takeAck(d *dump, place int) {
	if !d.listened && s.clock.now < d.then {
		if d.early < 0 {
			s.later(d.then-s.clock.now, s.listenToAll)
		}
		d.early = place
		return
	}
	s.acknowledge(d.from.serverID, place)
	s.listenToAll()
}

// listenToAll is the thread's look for new connections.
func (s *server) listenToAll() {
	s.semi.polled = s.clock.now
	for _, d := range s.dumps {
		if !d.listened {
			d.listened = true
			if d.early >= 0 {
				s.acknowledge(d.from.serverID, d.early)
			}
		}
	}
}

// goneAfter bounds how long a dump thread takes to notice that its replica has left; so long it counts as a client.
const goneAfter = time.Second

func (s *server) replicaLeft(p *pipe) {
	for _, d := range s.dumps {
		if d.pipe == p {
			s.later(s.clock.between(goneAfter/2, goneAfter), func() { s.cutDump(d) })
		}
	}
}

// cutDump ends a dump from the source's side.
func (s *server) cutDump(d *dump) {
	i := slices.Index(s.dumps, d)
	if i < 0 {
		return
	}
	s.dumps = slices.Delete(s.dumps, i, i+1)
	d.pipe.close(callee)
	s.checkClients()
}

// replicas are the addresses of those that replicate from here.
func (s *server) replicas() []topology.Address {
	if len(s.dumps) == 0 {
		return nil
	}
	all := s.clock.slabs().addresses.some(len(s.dumps))
	for i, d := range s.dumps {
		all[i] = d.replica.address
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// linkChanged has receivers judge anew whether they hear their source.
func (h *hosts) linkChanged(from, to place) {
	for _, s := range h.all {
		if c := s.channel; c != nil && c.receiver.dump != nil && (s.place == to || s.place == from) {
			c.receiver.listen()
		}
	}
}

// sourceChanged is the same when a process stops or goes on.
func (h *hosts) sourceChanged(source *server) {
	for _, s := range h.all {
		if c := s.channel; c != nil && c.receiver.dump != nil && c.receiver.source == source {
			c.receiver.listen()
		}
	}
}
