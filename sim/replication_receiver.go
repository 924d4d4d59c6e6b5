package sim

import (
	"time"

	"github.com/primacydb/primacy/gtid"
)

// receiverState is how far a receiver thread is.
type receiverState int

const (
	receiverOff     receiverState = iota
	receiverTrying                // a connect is under way: STOP waits for its end
	receiverPausing               // between two attempts
	receiverOn
)

// receiver is the thread that fetches a source's binary log into the relay log.
type receiver struct {
	channel    *channel
	state      receiverState
	errno      int
	semi       bool // it acknowledges: the replica side was on when it started, or when it connected since
	source     *server
	sourceUUID gtid.UUID // as of the last connection
	pipe       *pipe
	dump       *dump
	timer      timer         // of the connect, the pause, or the silence of the source
	locked     bool          // it is logged in and waits for a lock
	stopped    []func()      // STOP REPLICA IO_THREAD that waits for the end of a connect
	ending     bool          // STOP REPLICA IO_THREAD waits for the disk: the thread connects no more
	unsaved    []func()      // what arrived while the disk was stuck
	heard      time.Duration // when something was last heard of the source, as of the last look; never
	beats      time.Duration // heartbeats come at multiples of the interval after this
	flowing    bool          // they do come
}

// startReceiver is START REPLICA IO_THREAD.
func (s *server) startReceiver() error {
	if s.channel == nil {
		return errNotConfigured
	}
	r := &s.channel.receiver
	if r.state != receiverOff {
		return nil
	}
	r.errno, r.semi, r.ending = 0, s.semi.replica, false
	r.try()
	return nil
}

// try connects: a login of a few round trips, then the request for a dump with all that is held.
func (r *receiver) try() {
	s := r.channel.server
	r.state, r.source = receiverTrying, s.hosts.at(r.channel.source)
	if r.source == nil {
		r.pause(int(errNoConnection))
		return
	}
	p, source := s.hosts.network.open(s.place, r.source.place), r.source
	p.ends[caller].gone = func() { s.inTurn(s.life, func() { r.brokeOff(p) }) }
	p.ends[callee].gone = func() { source.inTurn(source.life, func() { source.replicaLeft(p) }) }
	r.pipe = p
	r.timer = s.later(s.options.NetTimeout, func() { r.refused(p, p.silence()) })
	p.send(callee, func() { r.reach(p, source) })
}

// silence is the error of a login that nobody answers: the process does not where the host did.
func (p *pipe) silence() mysqlError {
	if p.reached {
		return errLostSource
	}
	return errNoConnection
}

// reach is the connection at the source's host.
func (r *receiver) reach(p *pipe, source *server) {
	s := r.channel.server
	if barred := s.hosts.barred; source.refuses() || barred != nil && barred(s, source) {
		p.send(caller, func() { r.refused(p, errNoConnection) })
		return
	}
	source.inTurn(source.life, func() {
		source.later(source.clock.between(2*time.Millisecond, 8*time.Millisecond), func() {
			p.send(caller, func() { s.inTurn(s.life, func() { r.request(p) }) })
		})
	})
}

// request asks for the dump.
func (r *receiver) request(p *pipe) {
	if r.pipe != p || r.state != receiverTrying {
		return
	}
	if a := &r.channel.applier; len(a.stopped) > 0 {
		// STOP REPLICA SQL_THREAD hangs, and holds a lock that the thread needs: it notices nothing until then.
		r.timer.cancel()
		r.errno, r.locked = 0, true
		a.stopped = append(a.stopped, func() { r.unlocked(p) })
		return
	}
	s, source := r.channel.server, r.source
	r.semi = r.semi || s.semi.replica
	d := &dump{pipe: p, source: source, replica: s, receiver: r, from: identity{s.uuid, s.serverID}, semi: s.semi.replica, exclude: s.position()}
	p.send(callee, func() { source.inTurn(source.life, func() { source.accept(d) }) })
}

// unlocked goes on with a login that had to wait.
func (r *receiver) unlocked(p *pipe) {
	if r.locked = false; p.ends[callee].closed {
		r.brokeOff(p)
		return
	}
	s := r.channel.server
	r.timer = s.later(s.options.NetTimeout, func() { r.refused(p, p.silence()) })
	r.request(p)
}

// connected is the source's consent.
func (r *receiver) connected(d *dump) {
	s := r.channel.server
	s.inTurn(s.life, func() {
		if r.pipe != d.pipe || r.state != receiverTrying {
			return
		}
		r.timer.cancel()
		r.state, r.dump, r.errno, r.sourceUUID = receiverOn, d, 0, d.uuid
		r.beats, r.flowing = s.clock.now, true
		switch {
		case r.endStop():
		case r.semi && !d.semi:
			r.giveUp(errReplicaFatal)
		default:
			r.listen()
		}
	})
}

// giveUp is the end of a thread that does not try again. One such end is a replica side that was switched off while the
// thread ran: when it connects anew it asks for a dump without acknowledgements, and cannot read what it gets, since it
// still expects one with them.
func (r *receiver) giveUp(errno mysqlError) {
	r.hear()
	r.hangUp()
	r.state, r.errno = receiverOff, int(errno)
	r.channel.server.tell("receiver gives up", nil)
}

// refused is an attempt that failed.
func (r *receiver) refused(p *pipe, errno mysqlError) {
	s := r.channel.server
	s.inTurn(s.life, func() {
		if r.pipe != p || r.state != receiverTrying {
			return
		}
		r.hangUp()
		switch {
		case r.endStop():
		case errno == errNoSource || errno == errReplicaFatal:
			r.giveUp(errno)
		default:
			r.pause(int(errno))
		}
	})
}

// pause waits before the next attempt.
func (r *receiver) pause(errno int) {
	s := r.channel.server
	r.state, r.errno = receiverPausing, errno
	r.timer = s.later(s.options.RetryPeriod, func() {
		if r.state == receiverPausing {
			r.try()
		}
	})
}

// brokeOff is the end of a connection that was reset.
func (r *receiver) brokeOff(p *pipe) {
	if r.pipe != p || r.state == receiverOff || r.locked {
		return
	}
	trying := r.state == receiverTrying
	r.hear()
	r.hangUp()
	switch {
	case r.endStop():
	case r.ending:
		r.state = receiverOff
	case trying:
		r.pause(int(errLostSource))
	default:
		r.again()
	}
}

// again tries at once after a connection was lost.
func (r *receiver) again() {
	r.try()
	r.errno = int(errLostSource)
}

func (r *receiver) hangUp() {
	r.timer.cancel()
	if r.pipe != nil {
		r.pipe.close(caller)
	}
	r.pipe, r.dump, r.timer, r.flowing, r.unsaved = nil, nil, timer{}, false, nil
}

// stopReceiver is STOP REPLICA IO_THREAD: a few milliseconds, but for a connect that hangs, which nothing ends but its
// own timeout (E15), and for a relay log that a stuck disk does not take.
func (s *server) stopReceiver(on *guest, done func(error)) {
	if s.channel == nil {
		done(nil)
		return
	}
	r := &s.channel.receiver
	ended := func() { done(nil) }
	on.doing = stopping
	switch {
	case r.state == receiverOff:
		done(nil)
	case r.state == receiverTrying:
		r.stopped = append(r.stopped, ended)
	case len(r.unsaved) > 0:
		r.ending = true
		s.onDisk(time.Millisecond, func() { s.stopReceiver(on, done) })
	default:
		s.later(s.clock.between(2*time.Millisecond, 20*time.Millisecond), func() { r.halt(on, done) })
	}
}

// halt is the end of the thread, unless a connect has begun or the disk got stuck meanwhile.
func (r *receiver) halt(on *guest, done func(error)) {
	s := r.channel.server
	if s.channel != r.channel || r.state == receiverTrying || len(r.unsaved) > 0 {
		s.stopReceiver(on, done)
		return
	}
	r.hear()
	r.hangUp()
	r.state = receiverOff
	done(nil)
}

// endStop ends the thread for those who waited for it.
func (r *receiver) endStop() bool {
	if len(r.stopped) == 0 {
		return false
	}
	r.hear()
	r.hangUp()
	r.state = receiverOff
	waiting := r.stopped
	r.stopped = nil
	for _, tell := range waiting {
		tell()
	}
	return true
}

// acknowledges tells whether the receiver is connected as one that acknowledges.
func (r *receiver) acknowledges() bool { return r.state == receiverOn && r.semi }

// wouldAcknowledge is what Rpl_semi_sync_replica_status says: as long as the thread runs, connected or not.
func (r *receiver) wouldAcknowledge() bool { return r.state != receiverOff && r.semi }

// arrived is a batch of transactions at the replica's host.
func (r *receiver) arrived(d *dump, next delivery) {
	s := r.channel.server
	if s.state == processUp && len(r.unsaved) == 0 && !s.disk.stuck() {
		r.store(d, next)
		return
	}
	s.inTurn(s.life, func() { r.storeLater(d, next) })
}

// storeLater is store behind what the disk has not taken yet.
func (r *receiver) storeLater(d *dump, next delivery) {
	s := r.channel.server
	switch {
	case r.dump != d:
	case len(r.unsaved) == 0 && !s.disk.stuck():
		r.store(d, next)
	default:
		r.unsaved = append(r.unsaved, func() { r.store(d, next) })
		if len(r.unsaved) == 1 {
			r.listen()
			s.onDisk(0, r.save)
		}
	}
}

// save writes what waited for the disk.
func (r *receiver) save() {
	unsaved := r.unsaved
	r.unsaved = nil
	for _, store := range unsaved {
		store()
	}
	r.listen()
}

// store writes transactions to the relay log and acknowledges the last one that was sent.
func (r *receiver) store(d *dump, next delivery) {
	if r.dump != d {
		return
	}
	c := r.channel
	for _, t := range next.batch {
		if t.origin == c.server.serverID || c.holds(t.gtid) {
			continue // its own it takes for old, whoever sends it
		}
		c.got.add(t.gtid)
		c.relay.push(t)
		if t.cancelled && c.server.hosts.handed != nil {
			c.server.hosts.handed(c.server, r.source, t)
		}
	}
	r.heard, r.beats = c.server.clock.now, c.server.clock.now
	if next.wanted && r.semi {
		d.acknowledge(next.last)
	}
	c.applier.kick()
}

// listen judges whether the source is heard. While it is, heartbeats need no events; when it falls silent, the receiver
// gives up after replica_net_timeout.
func (r *receiver) listen() {
	if r.dump == nil {
		return
	}
	s := r.channel.server
	flows := r.source.state == processUp && r.source.life == r.dump.life && len(r.unsaved) == 0 && s.hosts.network.flows(r.source.place, s.place)
	if flows == r.flowing {
		return
	}
	r.hear()
	r.flowing = flows
	if flows {
		r.timer.cancel()
		r.beats = s.clock.now
		return
	}
	if len(r.unsaved) > 0 {
		return // it is the disk that it waits for
	}
	d := r.dump
	r.timer = s.later(r.lastSign()+s.options.NetTimeout-s.clock.now, func() { r.silent(d) })
}

// silent is replica_net_timeout without a word.
func (r *receiver) silent(d *dump) {
	if r.dump != d || r.flowing {
		return
	}
	r.hangUp()
	r.again()
}

// lastSign is when the source was last heard or, before its first heartbeat, when it accepted.
func (r *receiver) lastSign() time.Duration { return max(r.heard, r.beats) }

// hear notes the heartbeats that have come since the last look.
func (r *receiver) hear() {
	every := r.channel.server.options.Heartbeat
	if !r.flowing || every <= 0 {
		return
	}
	if n := (r.channel.server.clock.now - r.beats) / every; n > 0 {
		r.heard = r.beats + n*every
	}
}

// heartbeatAge is how long ago the source was heard; negative when it never was.
func (r *receiver) heartbeatAge() time.Duration {
	r.hear()
	if r.heard < 0 {
		return never
	}
	return r.channel.server.clock.now - r.heard
}
