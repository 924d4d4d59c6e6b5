package store

import (
	"context"

	"github.com/primacydb/primacy/orchestrator"
)

// Seam is the store as the orchestrator wants it.
func (s *Store) Seam() orchestrator.Store { return seam{s} }

type seam struct{ *Store }

// Acquire blocks until this elector holds the cluster's lock.
func (s seam) Acquire(ctx context.Context, cluster string) (orchestrator.Lease, error) {
	lease, err := s.Store.Acquire(ctx, cluster)
	if err != nil {
		return nil, err
	}
	return held{lease}, nil
}

// Get reads one document.
func (s seam) Get(ctx context.Context, key string) (orchestrator.Document, bool, error) {
	d, found, err := s.Store.Get(ctx, key)
	return orchestrator.DocumentOf(d.Key, d.Value), found, err
}

// List reads documents under a prefix.
func (s seam) List(ctx context.Context, prefix string, limit int, newestFirst bool) ([]orchestrator.Document, error) {
	found, err := s.Store.List(ctx, prefix, limit, newestFirst)
	docs := make([]orchestrator.Document, len(found))
	for i, d := range found {
		docs[i] = orchestrator.DocumentOf(d.Key, d.Value)
	}
	return docs, err
}

// Seam is the company as the orchestrator wants it; nil when there can be none.
func (c *Company) Seam() orchestrator.Company {
	if c == nil {
		return nil
	}
	return companySeam{c}
}

type companySeam struct{ *Company }

// Present is who lives and who holds which lock, as last heard.
func (c companySeam) Present() orchestrator.Present {
	p := c.Company.Present()
	owners := make(map[string]orchestrator.Owner, len(p.Owners))
	for name, o := range p.Owners {
		owners[name] = orchestrator.Owner(o)
	}
	return orchestrator.Present{Me: p.Me, Electors: p.Electors, Owners: owners}
}

// Peek is a document as last heard of.
func (c companySeam) Peek(key string) (orchestrator.Document, bool) {
	d, known := c.Company.Peek(key)
	return orchestrator.DocumentOf(d.Key, d.Value), known
}

// Take takes a lock that is free.
func (c companySeam) Take(ctx context.Context, cluster string) (orchestrator.Lease, error) {
	lease, err := c.Company.Take(ctx, cluster)
	if lease == nil {
		return nil, err
	}
	return held{lease}, nil
}

type held struct{ *Lease }

// Put writes documents while the lock is held, all or none.
func (h held) Put(ctx context.Context, docs ...orchestrator.Document) error {
	mine := make([]Document, len(docs))
	for i, d := range docs {
		text, err := d.Text()
		if err != nil {
			return err
		}
		mine[i] = Document{Key: d.Key, Value: text}
	}
	return h.Lease.Put(ctx, mine...)
}
