package orchestrator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// detached stands in for a lock in a change that an operator asks for while the store does not answer. It keeps nobody
// else from acting, and remembers what is written through it until it can be put on record.
//
// What such a change is safe by, without any lock:
//
//	(1) its term is higher than every one that a server shows, by more than any store gives out meanwhile, so its
//	    sessions end all others and none can end it but that of a later such change;
//	(2) every member is reached and frozen, or was certified to be powered off by whoever asks: so whatever another
//	    elector decided, and had acknowledged, is read, whether a record knows of it or not;
//	(3) the old primary is revoked before a new one is established, as in every change.
//
// An elector that holds the lock meanwhile meets (1), draws a higher term and takes the outcome over from the servers'
// journals. See docs/failover.md.
type detached struct {
	ctx   context.Context
	end   context.CancelFunc
	now   func() time.Time
	until time.Time

	mu    sync.Mutex
	terms uint64
	docs  map[string]Document
}

// detachedMost is how long a change without the store may take.
const detachedMost = 5 * time.Minute

var _ Lease = (*detached)(nil)

func (c *cluster) detach(ctx context.Context, now time.Time) *detached {
	d := &detached{now: c.now, until: now.Add(detachedMost), docs: map[string]Document{}}
	d.ctx, d.end = c.runtime().Within(ctx, detachedMost)
	return d
}

// Held tells whether the time that a change without the store may take is not over yet.
func (d *detached) Held(now time.Time) bool { return d.ctx.Err() == nil && now.Before(d.until) }

// Context ends when Held does.
func (d *detached) Context() context.Context { return d.ctx }

// Put keeps documents until they can be put on record.
func (d *detached) Put(_ context.Context, docs ...Document) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, doc := range docs {
		d.docs[doc.Key] = doc
	}
	return nil
}

// Update refuses: what several clusters share is not known without the store.
func (d *detached) Update(_ context.Context, key string, _ func([]byte) ([]byte, error)) error {
	return fmt.Errorf("update %s: %w", key, ErrStoreSilent)
}

// NextTerm leaves out as many terms as after the loss of a store, for what it gives out meanwhile is not known either.
func (d *detached) NextTerm(_ context.Context, above uint64) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.terms = max(d.terms, above) + uint64(leftOut(d.now())) + 1
	return d.terms, nil
}

// Era never changes: there is no store that could go back.
func (d *detached) Era() uint64 { return 0 }

// Release ends it.
func (d *detached) Release(context.Context) error {
	d.end()
	return nil
}

// kept is what was written.
func (d *detached) kept() map[string]Document {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.docs
}

// withoutStore begins a change that an operator answers for, although nobody can say who else may be acting.
func (c *cluster) withoutStore(ctx context.Context, w Wish, now time.Time) (Answer, error) {
	if op, begun, err := c.begun(ctx, w); begun || err != nil {
		return Answer{Operation: op}, err
	}
	if c.busy {
		return Answer{}, ErrBusy
	}
	c.look(ctx)
	if c.snapshot.StoreSilent.IsZero() || c.lease != nil && c.lease.Held(now) {
		return Answer{}, fmt.Errorf("%w: the store answers; leave without_store out, and ask the elector that acts for the cluster", ErrBadWish)
	}
	if c.lease != nil {
		c.follow("its time ran out")
	}
	if c.storeBehind() {
		if why := c.fromJournals(ctx, now); why != "" {
			return Answer{}, blocked("record_behind", "the servers know of a leadership that this elector does not, and it cannot be taken over from their journals: "+why,
				"bring servers back until one that is reached has the row of the latest marker in _primacy.journal")
		}
	}
	if missing := c.unaccounted(w); !missing.IsEmpty() {
		return Answer{}, c.unaccountedFor(w, missing)
	}
	if begun := c.begunElsewhere(); begun != "" && w.Kind == reparent.KindPlanned {
		return Answer{}, blocked("change_begun", "a change may have been begun that this elector does not know of: "+begun,
			fmt.Sprintf("an emergency change revokes whoever it chose: primacy emergency %s --without-store --reason …", c.name))
	}
	d := c.detach(ctx, now)
	answer, err := c.granted(ctx, w, d, now)
	if err != nil || w.DryRun {
		d.end()
	}
	return answer, err
}

// unaccounted are the members of which nobody knows what they hold, or do: (2).
func (c *cluster) unaccounted(w Wish) topology.ServerSet {
	return c.record.Ruleset.Servers().Minus(c.snapshot.Reached()).Minus(topology.Servers(w.CertifyDown...))
}

func (c *cluster) unaccountedFor(w Wish, missing topology.ServerSet) error {
	remedy := fmt.Sprintf("bring them back, or the store; if they are powered off for certain: primacy emergency %s --without-store --certify-down SERVER --reason …", c.name)
	if w.Kind == reparent.KindEmergency {
		remedy = "bring them back, or the store; one that is powered off for certain can be named with --certify-down"
	}
	return &BlockedError{Obstacle: reparent.Obstacle{
		Code:    "not_all_reached",
		Message: fmt.Sprintf("without the store nobody knows what other electors have decided, so every server has to be asked, and these do not answer: %s", missing),
		Needs:   []topology.ServerSet{missing}, Remedy: remedy,
	}}
}

// begunElsewhere names a trace of a change that was begun and is on no record here: a planned change asks nobody but the
// primary to step down.
func (c *cluster) begunElsewhere() string {
	current, _ := c.lineage.History.Current()
	for i := range c.snapshot.Servers {
		o := &c.snapshot.Servers[i]
		switch leads := o.Address == current.Primary; {
		case leads && o.SemiSync.Acks >= topology.PoisonAcks:
			return fmt.Sprintf("%s was revoked", o.Address)
		case !leads && o.OK() && (o.Writable() || o.SemiSync.Waiters > 0):
			return fmt.Sprintf("%s is open, or waits for acknowledgements", o.Address)
		}
	}
	return ""
}

func blocked(code, message, remedy string) error {
	return &BlockedError{Obstacle: reparent.Obstacle{Code: code, Message: message, Remedy: remedy}}
}

// owe keeps what was written without the store, until repay puts it on record.
func (c *cluster) owe(d *detached) {
	if d == nil {
		return
	}
	d.end()
	owed := d.kept()
	for key, earlier := range c.owed {
		if _, again := owed[key]; !again {
			owed[key] = earlier
		}
	}
	c.owed = owed
}

// repay puts on record what was done while the store did not answer, and tells whether the lineage is ours now. If the
// store knows of a later term, somebody has taken the outcome over from the servers already, and only what was done is
// added.
func (c *cluster) repay(ctx context.Context) (ours bool) {
	if len(c.owed) == 0 {
		return false
	}
	var docs []Document
	mine, err := lineageOf(c.owed[lineageKey(c.name)], c.name)
	ours = err == nil && mine.highestTerm() > c.lineage.highestTerm()
	for key, d := range c.owed {
		if key != lineageKey(c.name) {
			docs = append(docs, d)
		}
	}
	before := c.lineage
	if ours {
		mine.LeftOut = max(mine.LeftOut, c.lineage.LeftOut)
		c.lineage = mine
		docs = append(docs, mine.document())
	}
	if err := c.save(ctx, docs...); err != nil {
		c.lineage = before
		return false
	}
	c.owed = nil
	c.o.events.Tell(Event{Kind: EventStore, At: c.now(), Cluster: c.name, Text: fmt.Sprintf("what was changed in cluster %s while the store did not answer is on record now", c.name)})
	return ours
}
