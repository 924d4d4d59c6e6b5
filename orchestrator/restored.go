package orchestrator

import (
	"context"
	"fmt"
	"time"
)

// entries are what stands in the store under some keys, as far as the holder of the lock knows: nobody else writes there.
type entries map[string]entry

// entry is the document that was written last. Of an attempt without an answer nobody knows whether it was written too.
type entry struct{ sure, tried Document }

func (e entries) trying(docs ...Document) {
	for _, d := range docs {
		e[d.Key] = entry{sure: e[d.Key].sure, tried: d}
	}
}

func (e entries) written(docs ...Document) {
	for _, d := range docs {
		e[d.Key] = entry{sure: d, tried: d}
	}
}

func (e entry) explains(found Document) bool { return found.Same(e.sure) || found.Same(e.tried) }

// put writes documents under the lock.
func (c *cluster) put(ctx context.Context, docs ...Document) error {
	ctx, cancel := c.runtime().Within(ctx, storeTimeout)
	defer cancel()
	c.entries.trying(docs...)
	err := c.lease.Put(ctx, docs...)
	if err == nil {
		c.entries.written(docs...)
	}
	return err
}

// auditEvery bounds how often the store is asked for what it should have: where it cannot be read, the loop goes on.
const auditEvery = time.Second

// audit notices that the store went back to an older state in which the lock was ours already. Nothing else would tell: only
// what changes is saved, and whoever acts next would go by what was on record then, for as long as servers show no later
// leadership: without windows, switches and maintenance since. It costs nothing where there is no sign of it: see Lease.Era.
func (c *cluster) audit(ctx context.Context, now time.Time) {
	era := c.lease.Era()
	if era == c.era || now.Sub(c.audited) < auditEvery {
		return
	}
	c.audited = now
	if lacks, err := c.lacking(ctx); err != nil || lacks && c.remind(ctx, now) != nil {
		return
	}
	c.era = era
}

// lacking tells whether the store has something else on record than what was put there.
func (c *cluster) lacking(ctx context.Context) (bool, error) {
	ctx, cancel := c.runtime().Within(ctx, standByInterval/2)
	defer cancel()
	for _, key := range []string{recordKey(c.name), lineageKey(c.name)} {
		d, _, err := c.o.store.Get(ctx, key)
		if err != nil {
			return false, err
		}
		if !c.entries[key].explains(d) {
			return true, nil
		}
	}
	return false, nil
}

// remind puts on record again what this elector knows: it has held the lock all the while, so nobody knows better. Terms are
// drawn above those that were, for the store may have forgotten them too.
func (c *cluster) remind(ctx context.Context, now time.Time) error {
	drawing, cancel := c.runtime().Within(ctx, storeTimeout)
	defer cancel()
	term, err := c.drawTerm(drawing, c.lease, c.usedTerm())
	if err != nil {
		return err
	}
	c.sessionTerm = term
	if err := c.save(ctx, append(c.memory(), c.lineage.document())...); err != nil {
		return err
	}
	c.o.events.Tell(Event{
		Kind: EventStore, At: now, Cluster: c.name,
		Text: fmt.Sprintf("the store has gone back to an older state while this elector held the lock of cluster %s; what it knows is on record again", c.name),
	})
	return nil
}
