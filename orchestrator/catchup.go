package orchestrator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/topology"
)

// storeBehind tells whether servers know of a leadership that the store does not: it was lost, restored
// from an old backup, or this control plane is new to a cluster that another one led.
func (c *cluster) storeBehind() bool {
	return slices.ContainsFunc(c.findings, func(f topology.Finding) bool { return f.Code == topology.StoreBehind })
}

// outlived says why what is on record may be older than what became of it, although no server that answers says so: before,
// a server showed a later leadership that no record names, and those that do not answer now suffice to carry it on. To undo
// a change that came to its end behind the record's back would open whom it replaced. Empty when nothing is remembered, or
// when those that answer disprove it.
func (c *cluster) outlived(s topology.Snapshot) string {
	rules, unread := c.record.Ruleset, c.record.Ruleset.Servers().Minus(s.Reached())
	for a := range unread.All() {
		later, is := c.unrecorded(*c.lastSeen.Of(a))
		if is && slices.ContainsFunc(unread.List(), func(l topology.Address) bool { return rules.CanComplete(l, unread) }) {
			return fmt.Sprintf("the store may have forgotten how it ended: %s showed %s before, which is not on record; not asked yet: %s", a, later, unread)
		}
	}
	return ""
}

// unrecorded finds the marker of a leadership after the current one, or beside it, that no record names.
func (c *cluster) unrecorded(o topology.Observation) (topology.Marker, bool) {
	current, led := c.lineage.History.Current()
	for _, m := range topology.Markers(o.Position()) {
		known := slices.ContainsFunc(c.lineage.History.Leaderships, func(l topology.Leadership) bool { return l.Marker() == m })
		if !known && (!led || m.Term >= current.Term) {
			return m, true
		}
	}
	return topology.Marker{}, false
}

// journalTimeout bounds the reading of all journals.
const journalTimeout = 5 * time.Second

// lostTerms is how many terms are left out after a store was lost: those that it had given out since the last one that
// servers show. A marker that waits for acknowledgements is shown nowhere, and its term must not be used again.
// A store may be lost twice before a term is established, so how many are left out differs each time.
const (
	lostTerms       = 1000
	lostTermsSpread = 1_000_000
)

// leftOut is that many, by what the clock shows.
func leftOut(now time.Time) uint32 { return lostTerms + uint32(now.UnixMilli()%lostTermsSpread) }

// catchUp takes the record over from the servers' journals, which are the authority. It only ever adds
// what is proven by a decision whose hash is intact and whose marker a server shows.
func (c *cluster) catchUp(ctx context.Context, now time.Time) {
	found, why := c.journaled(ctx, now)
	if why.text != "" {
		c.refuse(because{why.reason, "the servers know of a leadership that is not on record, and " + why.text}, nil, now)
		return
	}
	before := c.lineage
	c.lineage = found
	if err := c.saveLineage(ctx); err != nil {
		c.lineage = before
		c.refuse(because{"record_unsaved", fmt.Sprintf("the record taken over from the servers' journals could not be saved: %v", err)}, nil, now)
		return
	}
	last := found.History.Leaderships[len(found.History.Leaderships)-1]
	c.refuse(because{}, nil, now)
	c.owner = max(c.owner, c.lineage.LeftOut)
	c.o.events.Tell(Event{
		Kind: EventStore, At: now, Cluster: c.name, Server: last.Primary,
		Text: fmt.Sprintf("the record of cluster %s was behind its servers; term %d of %s was taken over from their journals", c.name, last.Term, last.Primary),
	})
	c.diagnose(now)
}

// journaled is the lineage with what the servers' journals say; the text says why that could not be found out.
func (c *cluster) journaled(ctx context.Context, now time.Time) (l lineage, why because) {
	reading, cancel := c.runtime().Within(ctx, journalTimeout)
	defer cancel()
	decisions, err := c.journals(reading)
	if err != nil {
		return l, because{"journals_unread", fmt.Sprintf("their journals could not be read: %v", err)}
	}
	history, doubt := recovered(c.lineage.History, decisions, c.snapshot)
	if doubt != "" {
		return l, because{doubt, "it cannot be taken over from their journals: " + doubt}
	}
	l = c.lineage
	l.History, l.Running = history, "" // an operation on an outdated record is long over
	l.LeftOut = l.highestTerm() + leftOut(now)
	return l, because{}
}

func (c *cluster) journals(ctx context.Context) ([]topology.Decision, error) {
	var all []topology.Decision
	var failed error
	for _, a := range c.snapshot.Reached().List() {
		found, err := c.o.fleet.Journal(ctx, a)
		failed = errors.Join(failed, err)
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, failed
	}
	return all, nil
}

func (c *cluster) saveLineage(ctx context.Context, more ...Document) error {
	if c.lease == nil {
		return ErrNotLeading
	}
	return c.put(ctx, append(more, c.lineage.document())...)
}

// evident puts on record that a leadership of unknown outcome was established, when its primary shows it: the very
// process that was chosen has completed the marker and is open for writes, and nobody knows of a later one. It was opened
// only after the marker was acknowledged. It may be offline or poisoned by a change that came to nothing.
func (c *cluster) evident(ctx context.Context, now time.Time) bool {
	all := c.lineage.History.Leaderships
	if len(all) == 0 || all[len(all)-1].Established() || !shownBy(all[len(all)-1], c.snapshot, c.record.Ruleset) {
		return false
	}
	before, l := c.lineage, all[len(all)-1]
	l.EstablishedAt = now
	c.lineage.History.Leaderships = []topology.Leadership{l}
	if err := c.saveLineage(ctx); err != nil {
		c.lineage = before
		return false
	}
	c.refuse(because{}, nil, now)
	c.o.events.Tell(Event{
		Kind: EventStore, At: now, Cluster: c.name, Server: l.Primary,
		Text: fmt.Sprintf("%s leads under term %d: it completed the marker and takes writes, which was not on record", l.Primary, l.Term),
	})
	c.uncounted(now)
	c.diagnose(now)
	return true
}

// shownBy tells whether servers show that a leadership was established: the very process that was chosen has completed
// the marker, waits for as many acknowledgements as the policy asks for, and is open. Where another server leads
// too, somebody has undone what the leadership rests on, and nothing is shown.
func shownBy(l topology.Leadership, s topology.Snapshot, r topology.Ruleset) bool {
	p, needed := s.Server(l.Primary), r.AcksNeeded(l.Primary)
	for i := range s.Servers {
		if s.Servers[i].Reach.OK() && s.Servers[i].Term() > l.Term {
			return false
		}
	}
	return p.OK() && !p.ReadOnly && p.UUID == l.PrimaryUUID && p.Incarnation == l.Incarnation && p.Executed.Has(l.Marker().GTID()) &&
		(needed == 0 || p.SemiSync.Verified()) && p.SemiSync.Acks >= needed && !s.LedBeside(l.Primary)
}

// recovered builds a cluster's history from the decisions in its servers' journals. The latest decision
// counts as established only if its primary shows that it leads; else its outcome is unknown, and it stands
// beside the established one before it.
func recovered(recorded topology.History, decisions []topology.Decision, s topology.Snapshot) (topology.History, string) {
	slices.SortFunc(decisions, func(a, b topology.Decision) int { return cmp.Compare(a.Term, b.Term) })
	decisions = slices.CompactFunc(decisions, func(a, b topology.Decision) bool { return a.Hash == b.Hash })
	h := topology.History{Leaders: slices.Clone(recorded.Leaders), Recovered: true}
	for i, d := range decisions {
		switch {
		case !d.Intact():
			return h, fmt.Sprintf("the decision of term %d does not match its hash", d.Term)
		case d.Cluster != s.Cluster:
			return h, fmt.Sprintf("term %d was decided for a cluster named %q, this one is %q", d.Term, d.Cluster, s.Cluster)
		case i > 0 && decisions[i-1].Term == d.Term:
			return h, fmt.Sprintf("term %d was decided twice", d.Term)
		}
		if !slices.Contains(h.Leaders, d.PrimaryUUID) {
			h.Leaders = append(h.Leaders, d.PrimaryUUID)
		}
	}
	if len(decisions) > 0 {
		h.Leaderships = settledLeaderships(decisions, s)
	}
	h.Leaderships = append(h.Leaderships, unresolved(recorded, h, decisions)...)
	slices.SortFunc(h.Leaderships, func(a, b topology.Leadership) int { return cmp.Compare(a.Term, b.Term) })
	return h, unexplained(h, s)
}

// unresolved are the recorded leaderships that the journals say nothing of and do not end: those later than all of them,
// and those of unknown outcome that are later than the established one.
func unresolved(recorded, h topology.History, decisions []topology.Decision) []topology.Leadership {
	current, _ := h.Current()
	var last uint32
	if n := len(decisions); n > 0 {
		last = decisions[n-1].Term
	}
	return slices.DeleteFunc(slices.Clone(recorded.Leaderships), func(l topology.Leadership) bool {
		told := slices.ContainsFunc(decisions, func(d topology.Decision) bool { return d.Term == l.Term })
		return told || l.Term < last && (l.Established() || l.Term < current.Term)
	})
}

// unexplained names a server that would still know of a leadership that is not on record. Its marker was received and not
// applied, as a rule: to record the rest would not help, and would be tried again without end.
func unexplained(h topology.History, s topology.Snapshot) string {
	current, _ := h.Current()
	for _, o := range s.Servers {
		m, _ := topology.HighestMarker(o.Position())
		onRecord := func(l topology.Leadership) bool { return l.Marker() == m }
		if m.Term >= current.Term && m.Term > 0 && !slices.ContainsFunc(h.Leaderships, onRecord) {
			return fmt.Sprintf("%s holds the marker of term %d and no reached server has its row in _primacy.journal yet", o.Address, m.Term)
		}
	}
	return ""
}

// settledLeaderships are the decisions whose primaries may still complete writes. Whoever made the latest
// revoked all earlier primaries before its marker was sent, so the one that it honours stands for those before it. Those
// after that one were left out; what became of them is unknown, and their markers may still be shown.
func settledLeaderships(decisions []topology.Decision, s topology.Snapshot) []topology.Leadership {
	last := decisions[len(decisions)-1]
	if shownBy(topology.Leadership{Decision: last}, s, s.Ruleset) {
		return []topology.Leadership{{Decision: last, EstablishedAt: last.DecidedAt}}
	}
	all := []topology.Leadership{{Decision: last}}
	for _, d := range slices.Backward(decisions[:len(decisions)-1]) {
		if last.Base.Has(d.Marker().GTID()) {
			all = append(all, topology.Leadership{Decision: d, EstablishedAt: d.DecidedAt})
			break
		}
		all = append(all, topology.Leadership{Decision: d})
	}
	slices.Reverse(all)
	return all
}
