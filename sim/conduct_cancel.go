package sim

import "github.com/primacydb/primacy/gtid"

// What a new leader does not have is cancelled, and never comes back.

// leavesOut takes in what a new leader does not have: it is cancelled. What its own channel may bring yet is not, until it has
// none any more: the old primary of a planned change may restart open while the candidate is out of everybody's reach, and what
// the candidate gets from there is followed by all.
func (c *conduct) leavesOut(s *server, term uint32) {
	w := c.world
	has := s.position()
	for _, waits := range s.commits { // behind the marker: they belong to its term
		has = has.Union(gtid.Of(waits.transaction.gtid))
	}
	if from := s.fedBy(); from != nil {
		has = has.Union(from.position())
		for _, waits := range from.commits {
			has = has.Union(gtid.Of(waits.transaction.gtid))
		}
		c.fed[s] = stillFed{term, s.uuid}
	}
	var others gtid.Set
	for _, o := range w.hosts.all {
		others = others.Union(o.position())
		for _, waits := range o.commits {
			c.cancel(term, has, waits.transaction)
		}
		for _, t := range o.torn {
			c.cancel(term, has, t)
		}
	}
	if left := others.Subtract(has); !left.IsEmpty() {
		for _, last := range w.hosts.rows {
			for t := last; t != nil; t = t.twin {
				if left.Has(t.gtid) {
					c.cancel(term, has, t)
				}
			}
		}
	}
}

// fedBy is the server to which a receiver that runs belongs; nil when there is none.
func (s *server) fedBy() *server {
	if s.channel == nil || s.channel.receiver.state == receiverOff {
		return nil
	}
	return s.hosts.at(s.channel.source)
}

// stillFed is a leader that received from another server when its term was acknowledged.
type stillFed struct {
	term uint32
	uuid gtid.UUID
}

// detached takes in that a server has no source any more. One whose data was lost since does not lead: what it lacks, others
// have.
func (c *conduct) detached(s *server) {
	fed, led := c.fed[s]
	if !led {
		return
	}
	delete(c.fed, s)
	led = fed.uuid == s.uuid
	for later := range c.terms {
		led = led && later <= fed.term
	}
	if led {
		c.leavesOut(s, fed.term)
	}
}

// cancel notes a client's row that a new leader does not have. Under another name the client may write it again.
func (c *conduct) cancel(term uint32, has gtid.Set, t *transaction) {
	if t.row > 0 && t.row < spareRows && !t.cancelled && !has.Has(t.gtid) {
		t.cancelled, c.cancelledBy[t] = true, term
		c.cancelled = append(c.cancelled, t)
	}
}

// goneForGood claims that no cancelled row is back.
func (c *conduct) goneForGood(p *server) {
	for _, t := range c.cancelled {
		if p.under(t.gtid) == t {
			c.world.violated(EverywhereOrGone, "row %d (%s) was cancelled by a later term and is back at the end", t.row&0xffffffff, t.gtid)
			return
		}
	}
}
