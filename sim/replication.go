package sim

import (
	"errors"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// channel is what a server holds of its source: it lives as long as the data directory, its two threads as long as the
// process.
type channel struct {
	server       *server
	source       topology.Address
	autoPosition bool
	relay        queue[*transaction] // received and not applied, on disk
	got          history             // the received set, which forgets its past at each restart
	receiver     receiver
	applier      applier
}

func (s *server) newChannel(source topology.Address) *channel {
	c := &channel{server: s, source: source, autoPosition: true}
	c.receiver.channel, c.applier.channel = c, c
	c.receiver.heard = never
	return c
}

// never is a time that has not come.
const never = time.Duration(-1)

// holds tells whether the server has a transaction, applied or in its relay logs.
func (c *channel) holds(g gtid.GTID) bool { return c.got.has(g) || c.server.done.has(g) }

// processEnded is what is left of a channel without a process.
func (c *channel) processEnded() {
	if c.receiver.pipe != nil {
		c.receiver.pipe.close(caller)
	}
	c.receiver = receiver{channel: c, heard: never, sourceUUID: c.receiver.sourceUUID}
	c.applier = applier{channel: c, ails: c.applier.ails}
}

// restarted is a channel as a new process finds it: the received set is what is left in the relay logs, and with
// relay_log_recovery not even that. A real server may still know of more that is executed: which relay log files are left
// when the applier has gone through them depends on how often the receiver has connected.
func (c *channel) restarted(recovery bool) {
	if recovery {
		c.dropRelayLogs()
		return
	}
	c.got = history{}
	for _, t := range c.relay.all() {
		c.got.add(t.gtid)
	}
}

// dropRelayLogs loses all that was received, applied or not.
func (c *channel) dropRelayLogs() { c.relay, c.got = queue[*transaction]{}, history{} }

// follows makes the server a replica at once, with both threads on their way, as a world begins.
func (s *server) follows(source topology.Address, acker bool) {
	s.channel = s.newChannel(source)
	if s.semi.replica != acker {
		s.setReplicaSide(acker)
	}
	_ = s.startReceiver()
	_ = s.startApplier()
}

// attach lets a person point a server that runs to a source, as at its console: it has one receiver, which is stopped
// before, and with its applier running nothing that it received is thrown away.
func (s *server) attach(source topology.Address) statement {
	return func(on *guest, done func(error)) {
		on.inChannelTurn(done, func(done func(error)) {
			s.stopReceiver(on, func(error) { done(s.pointTo(source)) })
		})
	}
}

func (s *server) pointTo(source topology.Address) error {
	fresh := s.channel == nil
	_ = s.startApplier()
	if err := s.changeSource(source, fresh); err != nil {
		return err
	}
	s.semi.replica = true
	return errors.Join(s.startReceiver(), s.startApplier())
}

// changeSource is CHANGE REPLICATION SOURCE TO. With the applier off it drops the relay logs, applied or not; naming
// auto-position needs both threads stopped.
func (s *server) changeSource(to topology.Address, autoPosition bool) error {
	c := s.channel
	switch {
	case c == nil:
		s.channel = s.newChannel(to)
		s.channel.autoPosition = autoPosition
		return nil
	case autoPosition && (c.receiver.state != receiverOff || c.applier.on):
		return errBothNotStopped
	case c.receiver.state != receiverOff:
		return errReplicaNotStopped
	}
	c.source, c.autoPosition = to, c.autoPosition || autoPosition
	c.receiver.errno, c.receiver.sourceUUID = 0, gtid.UUID{}
	if !c.applier.on {
		if s.hosts.dropping != nil {
			s.hosts.dropping(s)
		}
		c.dropRelayLogs()
	}
	return nil
}

// resetReplica is RESET REPLICA ALL.
func (s *server) resetReplica() error {
	c := s.channel
	if c != nil && (c.receiver.state != receiverOff || c.applier.on) {
		return errBothNotStopped
	}
	s.channel = nil
	if s.hosts.detached != nil {
		s.hosts.detached(s)
	}
	return nil
}

// executed is gtid_executed.
func (s *server) executed() gtid.Set { return s.done.all() }

// received is the channel's received set.
func (s *server) received() gtid.Set {
	if s.channel == nil {
		return gtid.Set{}
	}
	return s.channel.got.all()
}

// position is both.
func (s *server) position() gtid.Set { return s.executed().Union(s.received()) }

// unapplied tells whether something is received and not executed, which CHANGE and RESET could lose.
func (s *server) unapplied() bool {
	return s.channel != nil && s.channel.relay.len() > 0 && !s.executed().Contains(s.received())
}

// knowsLater tells whether the server holds the marker of a higher term.
func (s *server) knowsLater(term uint32) bool {
	return s.done.term > term || s.channel != nil && s.channel.got.term > term
}

// receiverState is what performance_schema shows of a receiver.
func (s *server) receiver() (topology.Thread, int) {
	if s.channel == nil {
		return topology.ThreadOff, 0
	}
	r := &s.channel.receiver
	switch r.state {
	case receiverOff:
		return topology.ThreadOff, r.errno
	case receiverOn:
		return topology.ThreadOn, r.errno
	case receiverTrying, receiverPausing:
	}
	return topology.ThreadConnecting, r.errno
}

// applier is the same of an applier.
func (s *server) applier() (topology.Thread, int) {
	switch {
	case s.channel == nil:
		return topology.ThreadOff, 0
	case s.channel.applier.on:
		return topology.ThreadOn, 0
	}
	return topology.ThreadOff, s.channel.applier.errno
}
