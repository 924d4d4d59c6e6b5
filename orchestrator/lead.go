package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// storeTimeout bounds each call to the store.
const storeTimeout = 3 * time.Second

// contend holds the cluster's lock, loads what is on record each time it is gained, and tries again
// whenever it is lost, until ctx ends. A lock that was handed to the loop is given back by the loop.
func (c *cluster) contend(ctx context.Context) {
	idle := c.runtime().NewBell()
	for ctx.Err() == nil {
		lease, err := c.acquire(ctx)
		if err != nil {
			c.storeFailed(ctx, fmt.Errorf("acquire the lock of cluster %s: %w", c.name, err))
			continue
		}
		g, err := c.takeStock(ctx, lease)
		if c.o.sharing != nil {
			c.o.sharing.taken()
		}
		if err != nil {
			c.excuse(err)
			c.storeFailed(ctx, err)
			c.giveBack(lease)
			continue
		}
		c.inbox.gain(g)
		idle.Wait(lease.Context(), forever)
		if c.inbox.lose(lease) {
			c.giveBack(lease)
		}
	}
}

// acquire waits for the lock: in turn where the clusters are shared out, and else for whoever has it.
func (c *cluster) acquire(ctx context.Context) (Lease, error) {
	if c.o.sharing != nil {
		return c.o.sharing.take(ctx, c)
	}
	return c.o.store.Acquire(ctx, c.name)
}

// excuse has others act for a cluster whose documents a later release has written.
func (c *cluster) excuse(err error) {
	if c.o.sharing != nil && errors.Is(err, errNewer) {
		c.o.sharing.ask(c.name, err.Error())
	}
}

// standByInterval is how often an elector that does not act for a cluster reads what the one that does has
// recorded, so that what it shows and answers routers is true.
const standByInterval = time.Second

// standBy reads the record of a cluster that another elector acts for. What cannot be read stays as it was.
func (c *cluster) standBy(ctx context.Context, now time.Time) {
	if c.lease != nil || c.busy || now.Sub(c.readAt) < standByInterval || c.o.storeSilent() {
		return
	}
	c.readAt = now
	before := c.read[1]
	if c.listen(ctx); !before.Same(c.read[1]) {
		c.recall(ctx)
	}
}

func (c *cluster) listen(ctx context.Context) {
	if company := c.o.settings.Company; company != nil {
		c.peek(company)
		return
	}
	ctx, cancel := c.runtime().Within(ctx, standByInterval/2)
	defer cancel()
	holder, err := c.o.store.Holder(ctx, c.name)
	if err != nil {
		return
	}
	c.named(holder)
	c.reread(ctx)
}

// counting is what is on record, with a later change that this elector counted and could not save.
func (c *cluster) counting(r record) record {
	if c.record.Antiflap.Last.Term > r.Antiflap.Last.Term {
		r.Antiflap = c.record.Antiflap
	}
	return r
}

func (c *cluster) reread(ctx context.Context) {
	r, _, err := c.o.store.Get(ctx, recordKey(c.name))
	l, _, err2 := c.o.store.Get(ctx, lineageKey(c.name))
	if err == nil && err2 == nil {
		c.takeIn(r, l)
	}
}

// peek is reread where others tell of what they write: hundreds of clusters are watched without asking the store.
func (c *cluster) peek(company Company) {
	r, known := company.Peek(recordKey(c.name))
	l, known2 := company.Peek(lineageKey(c.name))
	if known && known2 {
		c.takeIn(r, l)
	}
}

// takeIn takes over what is on record, as far as it has changed: the record does so often, the lineage rarely.
func (c *cluster) takeIn(r, l Document) {
	var err, err2 error
	record, lineage := c.record, c.lineage
	recordSame, lineageSame := r.Same(c.read[0]), l.Same(c.read[1])
	if !recordSame {
		record, err = recordOf(r, c.name, c.configured())
		record = c.counting(record.from(c.now()))
	}
	if !lineageSame {
		lineage, err2 = lineageOf(l, c.name)
	}
	if err != nil || err2 != nil || recordSame && lineageSame {
		return
	}
	members := c.record.Ruleset.Servers()
	c.record, c.lineage, c.read = record, lineage, [2]Document{r, l}
	c.seed()
	if c.o.settings.RulesChanges && !slices.Equal(members.List(), record.Ruleset.Servers().List()) {
		c.watch()
	}
}

// storeFailed reports a failure and waits a little, so that a store that is away is not hammered.
func (c *cluster) storeFailed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if !c.o.storeSilent() { // which is a finding, and not news each second
		c.o.events.Tell(Event{Kind: EventStore, At: c.now(), Cluster: c.name, Text: err.Error()})
	}
	c.runtime().NewBell().Wait(ctx, time.Second)
}

func (c *cluster) giveBack(l Lease) {
	ctx, cancel := c.runtime().Within(context.Background(), storeTimeout)
	defer cancel()
	if err := l.Release(ctx); err != nil {
		c.o.events.Tell(Event{Kind: EventStore, At: c.now(), Cluster: c.name, Text: fmt.Sprintf("release the lock of cluster %s: %v", c.name, err)})
	}
}

// takeStock reads what is on record and draws the term under which this elector's sessions act. The
// term is above every one that the servers show, so a store that was restored from an old backup does
// not hand out a used one.
func (c *cluster) takeStock(ctx context.Context, lease Lease) (gain, error) {
	ctx, cancel := c.runtime().Within(ctx, 3*storeTimeout)
	defer cancel()
	era := lease.Era() // before anything is read
	r, readRecord, err := loadRecord(ctx, c.o.store, c.name, c.configured())
	if err != nil {
		return gain{}, err
	}
	l, readLineage, err := loadLineage(ctx, c.o.store, c.name)
	if err != nil {
		return gain{}, err
	}
	g := gain{lease: lease, record: r.from(c.now()), lineage: l, era: era, read: []Document{readRecord, readLineage}}
	if g.unfinished, err = c.loadUnfinished(ctx, l.Running); err != nil {
		return gain{}, err
	}
	if g.brake, err = c.loadBrake(ctx); err != nil {
		return gain{}, err
	}
	g.term, err = c.drawTerm(ctx, lease, l.highestTerm())
	return g, err
}

// loadUnfinished reads the operation that was left behind; nil when there is none.
func (c *cluster) loadUnfinished(ctx context.Context, id string) (*reparent.Operation, error) {
	if id == "" {
		return nil, nil
	}
	d, found, err := c.o.store.Get(ctx, operationKey(c.name, id))
	if err != nil || !found {
		return nil, err
	}
	op, err := decodeOperation(d)
	return &op, err
}

func (c *cluster) loadBrake(ctx context.Context) (antiflap.Fleet, error) {
	d, found, err := c.o.store.Get(ctx, brakeKey)
	if err != nil || !found {
		return antiflap.Fleet{}, err
	}
	return decodeBrake(d)
}

func (c *cluster) drawTerm(ctx context.Context, lease Lease, above uint32) (uint32, error) {
	for _, o := range c.view().Snapshot.Servers {
		above = max(above, o.Term())
	}
	term, err := lease.NextTerm(ctx, uint64(above))
	if err != nil {
		return 0, fmt.Errorf("draw a term for cluster %s: %w", c.name, err)
	}
	if term > maxTerm {
		return 0, fmt.Errorf("draw a term for cluster %s: %d does not fit into a term marker", c.name, term)
	}
	return uint32(term), nil
}

// maxTerm is what fits into a marker's UUID.
const maxTerm = 1<<32 - 1

// lead begins to act for the cluster, first of all by taking over what was left unfinished.
func (c *cluster) lead(ctx context.Context, g gain) {
	now := c.now()
	g.record = c.counting(g.record)
	c.owner = max(c.owner, c.sessionTerm) // a store that went back gives out terms again that we have used
	c.lease, c.record, c.lineage, c.sessionTerm, c.brake = g.lease, g.record, c.withLeft(g.lineage), g.term, g.brake
	c.read, c.ledSince, c.era, c.entries = [2]Document{}, now, g.era, entries{}
	c.leftUnsaved = false // somebody else may have put it there
	c.entries.written(g.read...)
	c.seed()
	if c.repay(c.lease.Context()) {
		g.unfinished = nil
	}
	c.recall(c.lease.Context())
	c.uncounted(now)
	c.reconfigure(ctx)
	c.o.fleet.Watch(c.name, c.record.Ruleset.Servers().List())
	c.named(c.o.settings.Elector)
	c.o.events.Tell(Event{Kind: EventLeading, At: now, Cluster: c.name, Text: fmt.Sprintf("this elector acts for cluster %s", c.name)})
	if g.unfinished != nil && g.unfinished.Running() {
		c.takeOver(ctx, *g.unfinished, now)
	}
	c.publish(c.snapshot.At)
}

// withLeft is what was on record, with whom the last change of this elector chose where the store has gone back behind that: its
// marker may still wait for a disk, which shows nowhere, and the next change has to revoke it. Whom it chose without
// sending the marker never led: whoever took the change over has undone it, and that leaves no term on record. Of a change that
// was itself taken over, nobody here knows what was sent before.
func (c *cluster) withLeft(l lineage) lineage {
	led, decided := c.left.Leadership()
	sent := c.left.MarkSent || c.left.SessionTerm != 0
	if decided && sent && !led.Established() && led.Term > l.highestTerm() {
		l.History = c.left.Recorded(l.History)
	}
	return l
}

// uncounted opens the window of a change that was established by an elector that died before it had counted it, and tells
// the fleet's brake that a change has ended which began by itself: of others the brake was not told.
func (c *cluster) uncounted(now time.Time) {
	l, led := c.lineage.History.Current()
	if !led || assumed(c.lineage.History) || c.record.SavedAt.IsZero() || !changes(l.Kind) || uint64(l.Term) <= c.record.Antiflap.Last.Term {
		return
	}
	change := antiflap.Change{Cluster: c.name, Term: uint64(l.Term), Kind: l.Kind, At: now, To: string(l.Primary)}
	c.record.Antiflap = c.record.Antiflap.Established(change, c.o.settings.Antiflap)
	if c.brake.UnderWay(c.name) {
		c.updateBrake(c.lease.Context(), func(f antiflap.Fleet) antiflap.Fleet { return f.Established(change, c.o.settings.Antiflap) })
	}
	c.saveRecord(c.lease.Context())
}

// changes tells whether a decision of this kind changes the primary: only that opens a window.
func changes(kind string) bool {
	return kind != string(reparent.KindAdoption) && kind != string(reparent.KindReopening)
}

// assumed tells whether nobody knows that the established leadership ever was. Where journals leave open what became of the
// latest decision, the one that it honours stands for all before it, whether or not that one's marker was acknowledged.
func assumed(h topology.History) bool {
	n := len(h.Leaderships)
	return h.Recovered && n > 0 && !h.Leaderships[n-1].Established()
}

// firstSight probes once more: a take-over must not judge by what was seen before the lock was gained.
func (c *cluster) firstSight(ctx context.Context) topology.Snapshot {
	c.look(ctx)
	return c.snapshot
}

// seed fills in which processes were seen before this elector watched.
func (c *cluster) seed() {
	known := maps.Clone(c.lastSeen)
	for a, seen := range c.record.Seen {
		if _, watched := known[a]; !watched {
			known[a] = seen.observation(a, c.now())
		}
	}
	c.lastSeen = known
}

func (c *cluster) named(elector string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.elector = elector
}

// lost takes in that a lock is gone; it may be one that the loop has already given up.
func (c *cluster) lost(l Lease) {
	if c.lease == l {
		c.follow("the lock was lost")
	}
}

// follow stops acting. An operation under way notices by itself: each of its steps asks the lease.
// What it would not do, and why, is no longer its to say.
func (c *cluster) follow(why string) {
	c.lease = nil
	c.named("")
	c.refuse(because{}, nil, c.now())
	c.o.events.Tell(Event{Kind: EventNotLeading, At: c.now(), Cluster: c.name, Text: fmt.Sprintf("this elector no longer acts for cluster %s: %s", c.name, why)})
	c.publish(c.snapshot.At)
}

// save writes the record, and the documents with it, as one.
func (c *cluster) save(ctx context.Context, more ...Document) error {
	if c.lease == nil {
		return ErrNotLeading
	}
	c.record.SavedAt = c.now()
	return c.put(ctx, append(more, c.record.document())...)
}
