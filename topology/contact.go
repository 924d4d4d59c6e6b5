package topology

import "time"

// Contact is what is remembered of a replica's receiver from one probe to the next. MySQL forgets to say one thing: after a
// receiver has connected, its last heartbeat is that of the connection before until a new one is due, although the source has
// just answered it. Tried on 9.7. The zero value remembers nothing.
type Contact struct {
	apart  bool      // it had no connection when it was last seen
	joined time.Time // when it was first seen with the connection that it has; zero when that was there before
}

// Note completes what was seen of a receiver at a time: who has connected since the last probe has heard of its source.
func (c *Contact) Note(at time.Time, r *Replication) {
	if r == nil || r.Receiver != ThreadOn {
		*c = Contact{apart: true}
		return
	}
	if c.apart {
		*c = Contact{joined: at}
	}
	if since := at.Sub(c.joined); !c.joined.IsZero() && (r.HeartbeatAge < 0 || since < r.HeartbeatAge) {
		r.HeartbeatAge = since
	}
}
