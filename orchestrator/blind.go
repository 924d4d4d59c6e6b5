package orchestrator

import (
	"fmt"
	"time"

	"github.com/primacydb/primacy/topology"
)

const (
	// sightMin is how long every server has to be reached before a cluster that was given up for want of sight may be
	// ours again. It doubles each time, up to sightMax: a path that flaps does not have the cluster passed to and fro.
	sightMin = 30 * time.Second
	sightMax = 10 * time.Minute
)

// sight is how well this elector sees a cluster, compared to others.
type sight struct {
	doubted int               // how many answers in a row were better than what we see
	counted map[string]uint64 // the latest answer of each that was counted
	blind   bool              // we have asked others to act
	whole   time.Time         // since when every server is reached
	need    time.Duration     // for how long it has to be
}

// compare gives the cluster up when others see it better, as two answers in a row have said, and takes that back when
// all of it has been seen for a while.
func (c *cluster) compare(now time.Time) {
	if c.o.sharing == nil {
		return
	}
	c.regain(now)
	if c.lease == nil || c.sight.blind || c.reachesPrimary() && !c.isolated() {
		c.sight.doubted = 0
		return
	}
	for _, r := range c.o.sharing.replies(c.name) {
		why := c.better(r.answer)
		switch {
		case r.Number <= c.sight.counted[r.node]:
			continue
		case why == "":
			c.sight.doubted = 0
		default:
			c.sight.doubted++
		}
		c.sight.count(r)
		if c.sight.doubted >= 2 {
			c.giveUp(fmt.Sprintf("elector %s %s", r.node, why))
			return
		}
	}
}

func (s *sight) count(r reply) {
	if s.counted == nil {
		s.counted = map[string]uint64{}
	}
	s.counted[r.node] = r.Number
}

// better says in what way another sees the cluster better, empty when it does not. Whoever reaches the primary does. When
// nobody does, it is whoever reaches more servers, as long as we can do nothing with those that we reach.
func (c *cluster) better(a answer) string {
	current, led := c.lineage.History.Current()
	if !led {
		return ""
	}
	if !c.reachesPrimary() && lives(a.Reach[current.Primary]) {
		return fmt.Sprintf("reaches the primary %s and this one does not", current.Primary)
	}
	ours, theirs := 0, 0
	for _, m := range c.record.Ruleset.Members {
		ours += boolean(lives(c.snapshot.Server(m.Address).Reach))
		theirs += boolean(lives(a.Reach[m.Address]))
	}
	if theirs > ours && (c.isolated() || c.obstacle != nil) {
		return fmt.Sprintf("reaches %d servers and this one %d", theirs, ours)
	}
	return ""
}

// giveUp asks others to act for the cluster. It is handed over as soon as nothing is under way.
func (c *cluster) giveUp(why string) {
	c.sight.blind, c.sight.doubted, c.sight.whole = true, 0, time.Time{}
	c.sight.need = min(max(sightMin, 2*c.sight.need), sightMax)
	c.o.sharing.ask(c.name, why)
	c.o.events.Tell(Event{Kind: EventRefused, At: c.now(), Cluster: c.name, Text: fmt.Sprintf("another elector is asked to act for cluster %s: %s", c.name, why)})
}

// regain takes the request back once every server has been reached for long enough.
func (c *cluster) regain(now time.Time) {
	if !c.sight.blind {
		return
	}
	for _, m := range c.record.Ruleset.Members {
		if c.snapshot.Server(m.Address).Reach != topology.ReachOK {
			c.sight.whole = time.Time{}
			return
		}
	}
	if c.sight.whole.IsZero() {
		c.sight.whole = now
	}
	if now.Sub(c.sight.whole) >= c.sight.need {
		c.sight.blind = false
		c.o.sharing.ask(c.name, "")
	}
}
