package sim

import (
	"slices"
	"time"

	"github.com/primacydb/primacy/topology"
)

// semiSync is both sides of semi-sync of one process.
type semiSync struct {
	source, active, replica  bool
	replicaSet               bool // the replica side was set since the process began
	acks                     int
	timeout                  time.Duration
	waitNoReplica, afterSync bool
	unacked                  int64         // Rpl_semi_sync_source_no_tx
	loosened                 time.Duration // when its timeout was last set to a finite one
	acked                    []ackedTo
	polled                   time.Duration // when acknowledgements were waited for last
}

// ackedTo is how far a replica has acknowledged. It counts also when the replica is gone.
type ackedTo struct {
	serverID uint32
	place    int // of the last transaction
}

// acknowledge takes a replica's word for all that it was sent up to a place.
func (s *server) acknowledge(serverID uint32, place int) {
	i := slices.IndexFunc(s.semi.acked, func(a ackedTo) bool { return a.serverID == serverID })
	if i < 0 {
		i = len(s.semi.acked)
		s.semi.acked = append(s.semi.acked, ackedTo{serverID, place})
	}
	s.semi.acked[i].place = max(s.semi.acked[i].place, place)
	if s.semi.source && !s.semi.active && place == s.log.end()-1 {
		s.semi.active = true // it has caught up
	}
	s.settle()
}

// acksFor counts who has acknowledged a place.
func (s *server) acksFor(place int) int {
	n := 0
	for _, a := range s.semi.acked {
		if a.place >= place {
			n++
		}
	}
	return n
}

// settle completes what has enough acknowledgements, in the order of the binary log.
func (s *server) settle() {
	for s.together > 0 && s.acksFor(s.commits[s.together-1].place) >= s.semi.acks {
		s.letGo()
	}
}

// lead has all that is in the binary log and not completed wait for acknowledgements together: they need those of the
// last one, whose place stands for all, and their patience begins now. What comes later waits until they are through.
func (s *server) lead() {
	s.together = len(s.commits)
	if s.together == 0 {
		return
	}
	head := s.commits[0]
	if head.guest != nil {
		head.guest.doing = waitingForAck
	}
	if t := s.semi.timeout; t < topology.TimeoutInfinite {
		s.later(t, func() { s.waitedTooLong(head) })
	}
}

// letGo completes those that wait together.
func (s *server) letGo() {
	for n := s.together; n > 0; n-- {
		c := s.commits[0]
		s.commits, s.together = s.commits[1:], n-1
		s.complete(c, s.acksFor(c.place))
	}
	if s.together == 0 { // else a commit that began meanwhile has done it
		s.lead()
	}
}

// fallBack lets all waiters go, with an OK that nobody's acknowledgement stands behind.
func (s *server) fallBack() {
	s.semi.active = false
	for s.together > 0 {
		s.unacknowledged()
		s.letGo()
	}
}

// unacknowledged counts what did not wait to the end. Those that wait together count as one.
func (s *server) unacknowledged() {
	if s.semi.source {
		s.semi.unacked++
	}
}

// waitedTooLong ends semi-sync silently when the timeout is finite.
func (s *server) waitedTooLong(c *commit) {
	if slices.Contains(s.commits, c) {
		s.tell("falls back to async", c.transaction)
		s.fallBack()
	}
}

// enableSource is SET rpl_semi_sync_source_enabled = ON.
func (s *server) enableSource() {
	if !s.semi.source {
		s.semi.source, s.semi.active = true, true
		s.checkClients()
	}
}

// disableSource is the same with OFF. Waiters are let go at once, and the statement returns a second later.
func (s *server) disableSource(on *guest, done func(error)) {
	if !s.semi.source {
		done(nil)
		return
	}
	s.semi.active = false
	if s.together > 0 {
		s.unacknowledged()
		s.letGo()
	}
	s.semi.source = false // those behind it find it off, and are not counted
	s.fallBack()
	s.later(s.clock.between(940*time.Millisecond, 990*time.Millisecond), func() { done(nil) })
}

// setAcks is SET rpl_semi_sync_source_wait_for_replica_count: 65535 is poison, fewer may let waiters go.
func (s *server) setAcks(n int) {
	s.semi.acks = n
	s.settle()
	s.checkClients()
}

// setTimeout is SET rpl_semi_sync_source_timeout; commits that wait already go by the old one.
func (s *server) setTimeout(d time.Duration) {
	if s.semi.timeout = d; d < topology.TimeoutInfinite {
		s.semi.loosened = s.clock.now
	}
}

// setWaitNoReplica is SET rpl_semi_sync_source_wait_no_replica.
func (s *server) setWaitNoReplica(on bool) {
	s.semi.waitNoReplica = on
	s.checkClients()
}

// checkClients ends semi-sync when fewer replicas are there than acknowledgements are needed, if the server is not to
// wait for them.
func (s *server) checkClients() {
	if s.semi.active && !s.semi.waitNoReplica && s.semiSyncClients() < s.semi.acks {
		s.fallBack()
	}
}

// setReplicaSide is SET rpl_semi_sync_replica_enabled; a receiver reads it when it starts, and when it connects.
func (s *server) setReplicaSide(on bool) { s.semi.replica, s.semi.replicaSet = on, true }

// semiSyncClients counts the connections of replicas that acknowledge; one that left counts for a moment longer.
func (s *server) semiSyncClients() int {
	n := 0
	for _, d := range s.dumps {
		if d.semi {
			n++
		}
	}
	return n
}

// semiSync is what variables and status say.
func (s *server) semiSync() topology.SemiSync {
	return topology.SemiSync{
		Installed: true, SourceEnabled: s.semi.source, SourceActive: s.semi.source && s.semi.active,
		ReplicaEnabled: s.semi.replica, ReplicaActive: s.channel != nil && s.channel.receiver.wouldAcknowledge(),
		Acks: s.semi.acks, Timeout: s.semi.timeout, AfterSync: s.semi.afterSync, WaitNoReplica: s.semi.waitNoReplica,
		Clients: s.semiSyncClients(), Waiters: min(1, len(s.commits)),
	}
}

// unacked counts the commits that completed without the acknowledgements asked for (Rpl_semi_sync_source_no_tx).
func (s *server) unacked() int64 { return s.semi.unacked }
