package orchestrator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/primacydb/primacy/reparent"
)

// past is the latest changes of a cluster as they were stored, newest first: for those who ask while the store does not
// answer.
type past []Document

// pastMost bounds what is kept: hundreds of clusters keep theirs.
const pastMost = 5

// with takes a change in, in place of what was known of it before.
func (p past) with(d Document) past {
	kept := slices.DeleteFunc(slices.Clone(p), func(old Document) bool { return old.Key == d.Key })
	kept = append(kept, d)
	slices.SortFunc(kept, func(a, b Document) int { return strings.Compare(b.Key, a.Key) })
	return kept[:min(len(kept), pastMost)]
}

// recall reads the latest changes, where it can happen that the store is missed later.
func (c *cluster) recall(ctx context.Context) {
	if c.o.settings.Silence == nil {
		return
	}
	ctx, cancel := c.runtime().Within(ctx, standByInterval)
	defer cancel()
	docs, err := c.o.store.List(ctx, operationKey(c.name, ""), pastMost, true)
	if err != nil {
		return
	}
	for _, d := range docs {
		c.remembered(d)
	}
}

// bygone keeps a change that this elector made.
func (c *cluster) bygone(op reparent.Operation) {
	if c.o.settings.Silence != nil {
		c.remembered(operationDocument(op))
	}
}

func (c *cluster) remembered(d Document) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.past = c.past.with(d)
}

func (c *cluster) memory() past {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.past
}

// listed are a cluster's changes on record; while the store does not answer, those that are remembered.
func (c *cluster) listed(ctx context.Context, limit int) ([]reparent.Operation, error) {
	var docs []Document = c.memory()
	if !c.o.storeSilent() {
		var err error
		if docs, err = c.o.store.List(ctx, operationKey(c.name, ""), limit, true); err != nil {
			return nil, fmt.Errorf("list recoveries of cluster %s: %w", c.name, err)
		}
	}
	var all []reparent.Operation
	for _, d := range docs {
		op, err := decodeOperation(d)
		if err != nil {
			return nil, err
		}
		all = append(all, op)
	}
	return all, nil
}

// told finds a change by its id on record or, where that does not answer or does not know it yet, in memory.
func (c *cluster) told(ctx context.Context, id string) (op reparent.Operation, found bool, err error) {
	d, found, err := c.stored(ctx, id)
	if !found {
		return op, false, err
	}
	op, err = decodeOperation(d)
	return op, true, err
}

func (c *cluster) stored(ctx context.Context, id string) (d Document, found bool, err error) {
	if !c.o.storeSilent() {
		if d, found, err = c.o.store.Get(ctx, operationKey(c.name, id)); err != nil {
			err = fmt.Errorf("load recovery %s: %w", id, err)
		}
	}
	if !found {
		d, found = c.memory().find(operationKey(c.name, id))
	}
	return d, found, err
}

func (p past) find(key string) (Document, bool) {
	i := slices.IndexFunc(p, func(d Document) bool { return d.Key == key })
	if i < 0 {
		return Document{}, false
	}
	return p[i], true
}
