package topology

import (
	"fmt"
	"time"
)

// testimony is what a replica's receiver says about whether the primary lives.
type testimony string

const (
	// testimonyNone is a receiver that says nothing either way: stopped by hand, or refused for a reason of its own.
	testimonyNone testimony = "none"
	// testimonyHears is a receiver that heard of the primary after our own probes began to fail.
	testimonyHears testimony = "hears"
	// testimonyUnsettled is a receiver that is on and has not had the time to notice: its last heartbeat is neither
	// later than our first failure nor overdue.
	testimonyUnsettled testimony = "unsettled"
	// testimonyLost is a receiver that lost the primary: connecting in vain, or on and without a heartbeat for too long.
	testimonyLost testimony = "lost"
)

// witness is a reached replica of the primary with its testimony.
type witness struct {
	*Observation
	says  testimony
	words string
}

// witnesses are the reached ackers that follow the primary. Under a policy without ackers every follower is one.
//
// Only ackers count where there are any: a primary that is heard by other replicas alone cannot complete a write.
func (q *inquiry) witnesses() []witness {
	var all []witness
	for _, o := range q.replicas {
		if o.Reach.OK() && q.follows(o) && (q.ackers.IsEmpty() || q.ackers.Has(o.Address)) {
			says, words := q.testimony(o)
			all = append(all, witness{o, says, words})
		}
	}
	return all
}

func (q *inquiry) testimony(o *Observation) (testimony, string) {
	r := o.Replication
	switch r.Receiver {
	case ThreadOn:
		return q.heartbeat(o)
	case ThreadConnecting:
		if trying := o.At.Sub(o.Connecting); !o.Connecting.IsZero() && trying < q.l.SilentAfter {
			return testimonyUnsettled, "was first seen connecting to it " + span(trying) + " before, which settles nothing yet"
		}
		if r.ReceiverErrno == 0 || networkErrno(r.ReceiverErrno) {
			return testimonyLost, "has lost it: its receiver is connecting in vain" + errnoText(r.ReceiverErrno)
		}
		return testimonyNone, "is refused by it" + errnoText(r.ReceiverErrno) + ", which says nothing either way"
	case ThreadOff:
		if networkErrno(r.ReceiverErrno) {
			return testimonyLost, "has lost it: its receiver gave up" + errnoText(r.ReceiverErrno)
		}
		if r.ReceiverErrno != 0 {
			return testimonyNone, "had stopped receiving before" + errnoText(r.ReceiverErrno) + ", which says nothing either way"
		}
		return testimonyNone, "is no witness: its receiver was stopped by hand"
	}
	return testimonyNone, "does not say what its receiver does"
}

// ConnectingSince is since when the receiver of a server, which was seen as before tells or not at all, tries its first connection
// to its source: one that was started or pointed there since, or whose server was started, and that has not failed. It proves
// nothing by not being connected yet. One that was connected, and connects again, has lost its source.
func (o *Observation) ConnectingSince(before *Observation) time.Time {
	now, then := o.Replication, before.Replication
	switch {
	case !o.isConnecting():
		return time.Time{}
	case !before.OK(), before.Incarnation != o.Incarnation, then == nil, then.Source != now.Source, then.Receiver == ThreadOff:
		return o.At
	}
	return before.Connecting
}

// isConnecting tells whether the receiver tries to connect and has not failed.
func (o *Observation) isConnecting() bool {
	return o.Replication != nil && o.Replication.Receiver == ThreadConnecting && o.Replication.ReceiverErrno == 0
}

// drainShare is the part of SilentAfter for which a killed primary may still seem to be heard, while its replicas
// read what lies in socket buffers.
const drainShare = 4

// heartbeat judges a receiver that is on. Let F be when our probes began to fail and T when the replica last heard of
// the primary. T later than F (and a margin for buffers) proves that the primary outlived our connection. T too long
// ago, as measured when the replica was asked, proves that the replica lost it too. Between the two nothing is proven.
func (q *inquiry) heartbeat(o *Observation) (testimony, string) {
	r := o.Replication
	if r.HeartbeatAge < 0 {
		return testimonyUnsettled, "has its receiver on and knows of no heartbeat"
	}
	heard, limit := o.At.Add(-r.HeartbeatAge), q.heartbeatLimit(*r)
	words := "heartbeat " + span(q.now.Sub(heard)) + " ago"
	switch {
	case r.HeartbeatAge > limit:
		return testimonyLost, "has lost it: its receiver is on, but the last " + words
	case q.now.Sub(heard) <= limit && heard.After(q.failingSince().Add(q.l.SilentAfter/drainShare)):
		return testimonyHears, "still receives from it, " + words
	}
	return testimonyUnsettled, "has its receiver on, the last " + words + ", which settles nothing yet"
}

// heartbeatLimit is how old a heartbeat may be. One that is due every 30 s is not missed after 2 s.
func (q *inquiry) heartbeatLimit(r Replication) time.Duration {
	return max(q.l.SilentAfter, 2*r.HeartbeatEvery)
}

// failingSince is when probes of the primary began to fail.
func (q *inquiry) failingSince() time.Time {
	if q.p.FailingSince.IsZero() {
		return q.p.At
	}
	return q.p.FailingSince
}

// failingFor is how long probes of the primary have been seen to fail: until the last one was given up, not until now.
func (q *inquiry) failingFor() time.Duration {
	return max(q.p.At.Add(q.p.Latency).Sub(q.failingSince()), 0)
}

// reachedByOthers are fresh words of other electors that the primary answers them. A word's time is by our own clock: when
// it was asked for, and they looked later than that. One from the future is as worthless as an old one all the same: it
// would stay fresh for as long as that is ahead.
func (q *inquiry) reachedByOthers() []Evidence {
	var all []Evidence
	for _, w := range q.s.Words {
		age := q.now.Sub(w.At)
		lives := w.Reach == ReachOK || w.Reach == ReachDenied
		if w.Server == q.leader && lives && age.Abs() <= q.l.SilentAfter && w.At.After(q.failingSince()) {
			all = append(all, Evidence{Server: w.Server, By: w.Elector, Fact: "reached it " + span(age) + " ago", At: w.At})
		}
	}
	return all
}

// networkErrno tells whether an error is the client library's, which means that no MySQL answered.
func networkErrno(errno int) bool {
	return errno >= 2000 && errno < 3000 && errno != 2026 && errno != 2059 && errno != 2061
}

func errnoText(errno int) string {
	if errno == 0 {
		return ""
	}
	return fmt.Sprintf(" (error %d)", errno)
}
