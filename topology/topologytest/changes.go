package topologytest

import (
	"time"

	"github.com/primacydb/primacy/topology"
)

// Edit changes the observation of one server in any way.
func (b *Builder) Edit(name topology.Address, change func(*topology.Observation)) *Builder {
	b.edits = append(b.edits, func(c *built) { change(c.server(name)) })
	return b
}

func (c *built) server(name topology.Address) *topology.Observation {
	for i := range c.servers {
		if c.servers[i].Address == name {
			return &c.servers[i]
		}
	}
	panic("topologytest: no server " + string(name))
}

// Executed sets gtid_executed, written as for Set.
func (b *Builder) Executed(name topology.Address, set string) *Builder {
	return b.Edit(name, func(o *topology.Observation) { o.Executed = b.Set(set) })
}

// Received sets the received set, written as for Set.
func (b *Builder) Received(name topology.Address, set string) *Builder {
	return b.Edit(name, func(o *topology.Observation) { o.Received = b.Set(set) })
}

// Purged sets gtid_purged, written as for Set.
func (b *Builder) Purged(name topology.Address, set string) *Builder {
	return b.Edit(name, func(o *topology.Observation) { o.Purged = b.Set(set) })
}

// Positions sets executed and received of several servers to the same set.
func (b *Builder) Positions(set string, names ...topology.Address) *Builder {
	for _, name := range names {
		b.Executed(name, set).Received(name, set)
	}
	return b
}

// Dead kills processes: the host refuses connections since half a second, and whoever follows one has lost it.
func (b *Builder) Dead(names ...topology.Address) *Builder {
	return b.gone(names, topology.ReachRefused, 500*time.Millisecond, func(r *topology.Replication) {
		r.Receiver, r.ReceiverErrno, r.ReceiverError = topology.ThreadConnecting, 2003, "can't connect to source"
	})
}

// Silent freezes hosts: nothing has come back for ten seconds, neither for us nor for the followers.
func (b *Builder) Silent(names ...topology.Address) *Builder {
	return b.gone(names, topology.ReachSilent, 10*time.Second, func(r *topology.Replication) {
		r.Receiver, r.ReceiverErrno, r.HeartbeatAge = topology.ThreadConnecting, 2003, 10*time.Second
	})
}

// Unreachable cuts the way between us and the servers, for ten seconds by now; everyone else still sees them.
func (b *Builder) Unreachable(names ...topology.Address) *Builder {
	return b.gone(names, topology.ReachSilent, 10*time.Second, func(*topology.Replication) {})
}

// Denied makes servers refuse our login.
func (b *Builder) Denied(name topology.Address, errno int) *Builder {
	b.gone([]topology.Address{name}, topology.ReachDenied, 10*time.Second, func(*topology.Replication) {})
	return b.Edit(name, func(o *topology.Observation) { o.Errno = errno })
}

// Probe replaces a server's observation by a failed probe that began to fail some time ago. What the others say of
// the server stays as it is.
func (b *Builder) Probe(name topology.Address, reach topology.Reach, failing time.Duration) *Builder {
	return b.gone([]topology.Address{name}, reach, failing, func(*topology.Replication) {})
}

func (b *Builder) gone(names []topology.Address, reach topology.Reach, failing time.Duration, followers func(*topology.Replication)) *Builder {
	for _, name := range names {
		b.edits = append(b.edits, func(c *built) {
			c.fail(name, reach, failing)
			c.eachFollower(name, followers)
		})
	}
	return b
}

func (c *built) fail(name topology.Address, reach topology.Reach, failing time.Duration) {
	o := c.server(name)
	if o.OK() {
		seen := *o
		seen.At = Now.Add(-failing - 250*time.Millisecond)
		c.lastSeen[name] = &seen
	}
	*o = topology.Observation{Address: name, At: Now.Add(-50 * time.Millisecond), Reach: reach, FailingSince: Now.Add(-failing)}
}

// eachFollower leaves out who does not receive: a stopped receiver notices nothing.
func (c *built) eachFollower(source topology.Address, change func(*topology.Replication)) {
	for i := range c.servers {
		if r := c.servers[i].Replication; r != nil && r.Source == source && r.Receiver != topology.ThreadOff {
			change(r)
		}
	}
}

// Replication changes the channel of one server.
func (b *Builder) Replication(name topology.Address, change func(*topology.Replication)) *Builder {
	return b.Edit(name, func(o *topology.Observation) {
		if o.Replication != nil {
			change(o.Replication)
		}
	})
}

// Stopped stops the receivers of servers by hand: off, without an error.
func (b *Builder) Stopped(names ...topology.Address) *Builder {
	return b.receivers(topology.ThreadOff, 0, names)
}

// Connecting makes receivers try in vain with the given error.
func (b *Builder) Connecting(errno int, names ...topology.Address) *Builder {
	return b.receivers(topology.ThreadConnecting, errno, names)
}

func (b *Builder) receivers(state topology.Thread, errno int, names []topology.Address) *Builder {
	for _, name := range names {
		b.Replication(name, func(r *topology.Replication) { r.Receiver, r.ReceiverErrno = state, errno })
	}
	return b
}

// Heartbeat sets when servers last heard of their source.
func (b *Builder) Heartbeat(age time.Duration, names ...topology.Address) *Builder {
	for _, name := range names {
		b.Replication(name, func(r *topology.Replication) { r.HeartbeatAge = age })
	}
	return b
}

// Writable opens servers for writing.
func (b *Builder) Writable(names ...topology.Address) *Builder {
	for _, name := range names {
		b.Edit(name, func(o *topology.Observation) { o.ReadOnly, o.SuperReadOnly = false, false })
	}
	return b
}

// ReadOnly closes servers for writing.
func (b *Builder) ReadOnly(names ...topology.Address) *Builder {
	for _, name := range names {
		b.Edit(name, func(o *topology.Observation) { o.ReadOnly, o.SuperReadOnly = true, true })
	}
	return b
}

// Restarted gives a server a new process.
func (b *Builder) Restarted(name topology.Address) *Builder {
	return b.Edit(name, func(o *topology.Observation) {
		o.Incarnation, o.StartedAt = string(name)+"/2", Now.Add(-5*time.Second)
	})
}
