package orchestrator

import (
	"context"
	"fmt"
	"time"

	"github.com/primacydb/primacy/topology"
)

// Maintenance may have an end. It is the acting elector that ends it, by its own clock; one that takes over counts on from
// the moment at which the record was saved last, as for windows, so that clocks need not agree.

// setMaintenance begins or ends maintenance of a server, or of the whole cluster when none is named.
func (c *cluster) setMaintenance(ctx context.Context, server topology.Address, on bool, o Order) error {
	if _, member := c.view().Ruleset.Member(server); !member && server != "" {
		return fmt.Errorf("%w: %q is no member of cluster %s; members are %s", ErrNoSuchServer, server, c.name, c.view().Ruleset.Servers())
	}
	if o.Lasting < 0 {
		return fmt.Errorf("%w: maintenance cannot last for less than no time", ErrBadWish)
	}
	_, err := c.change(ctx, maintenanceText(c.name, server, on, o), o, func(now time.Time) {
		note := &Note{By: person(o.By), Reason: o.Reason, At: now}
		if o.Lasting > 0 {
			note.Until = now.Add(o.Lasting)
		}
		if !on {
			note = nil
		}
		c.note(server, note)
		c.maintained()
	})
	return err
}

func maintenanceText(cluster string, server topology.Address, on bool, o Order) string {
	word := map[bool]string{true: "under", false: "out of"}[on]
	what := string(server)
	if server == "" {
		what = "cluster " + cluster
	}
	text := fmt.Sprintf("%s took %s %s maintenance", person(o.By), what, word)
	if on && o.Lasting > 0 {
		text += fmt.Sprintf(" for %s", o.Lasting)
	}
	return text + ": " + o.Reason
}

// note puts a note about a server, or the whole cluster, in place of the one before; nil takes that away. What was published
// stays as it is.
func (c *cluster) note(server topology.Address, n *Note) {
	if server == "" {
		c.record.Held = n
		return
	}
	notes := map[topology.Address]Note{}
	for a, other := range c.record.Maintenance {
		if a != server {
			notes[a] = other
		}
	}
	if n != nil {
		notes[server] = *n
	}
	c.record.Maintenance = notes
}

// maintained shows in the snapshot what is under maintenance.
func (c *cluster) maintained() {
	s := &c.snapshot
	s.Maintenance, s.MaintenanceEnds, s.Held = topology.ServerSet{}, nil, nil
	var out []topology.Address
	for a, n := range c.record.Maintenance {
		out = append(out, a)
		if n.Until.IsZero() {
			continue
		}
		if s.MaintenanceEnds == nil {
			s.MaintenanceEnds = map[topology.Address]time.Time{}
		}
		s.MaintenanceEnds[a] = n.Until
	}
	s.Maintenance = topology.Servers(out...)
	if h := c.record.Held; h != nil {
		s.Held = &topology.Held{By: h.By, Reason: h.Reason, Until: h.Until}
	}
}

// timedSavedEvery is how old the record may get while some maintenance has an end: by so much an elector that takes over
// may prolong it.
const timedSavedEvery = time.Minute

// expire ends maintenance whose time is over, and tells whether the record has to be saved for that or for what is left.
func (c *cluster) expire(now time.Time) (save bool) {
	over := func(n Note) bool { return !n.Until.IsZero() && !now.Before(n.Until) }
	timed := c.record.Held != nil && !c.record.Held.Until.IsZero()
	if h := c.record.Held; h != nil && over(*h) {
		c.ended("", *h, now)
		save = true
	}
	for _, m := range c.record.Ruleset.Members {
		n, under := c.record.Maintenance[m.Address]
		timed = timed || under && !n.Until.IsZero()
		if under && over(n) {
			c.ended(m.Address, n, now)
			save = true
		}
	}
	return save || timed && now.Sub(c.record.SavedAt) >= timedSavedEvery
}

func (c *cluster) ended(server topology.Address, n Note, now time.Time) {
	c.note(server, nil)
	what := string(server)
	if server == "" {
		what = "cluster " + c.name
	}
	c.o.events.Tell(Event{
		Kind: EventOperator, At: now, Cluster: c.name, Server: server, By: n.By,
		Text: fmt.Sprintf("the maintenance of %s that %s began (%s) is over: its time has run out", what, n.By, n.Reason),
	})
}

// shifted are notes as they count for a clock that shows another time.
func shifted(notes map[topology.Address]Note, by time.Duration) map[topology.Address]Note {
	return eachNote(notes, func(n Note) Note { return *n.shifted(by) })
}

func (n *Note) shifted(by time.Duration) *Note {
	if n == nil || n.Until.IsZero() {
		return n
	}
	later := *n
	later.Until = n.Until.Add(by)
	return &later
}

// timeless are notes without their ends, which another elector tells by another clock.
func timeless(notes map[topology.Address]Note) map[topology.Address]Note {
	return eachNote(notes, func(n Note) Note { return *n.timeless() })
}

func (n *Note) timeless() *Note {
	if n == nil || n.Until.IsZero() {
		return n
	}
	bare := *n
	bare.Until = time.Time{}
	return &bare
}

func eachNote(notes map[topology.Address]Note, edit func(Note) Note) map[topology.Address]Note {
	if notes == nil {
		return nil
	}
	edited := make(map[topology.Address]Note, len(notes))
	for a, n := range notes {
		edited[a] = edit(n)
	}
	return edited
}
