package orchestrator

import (
	"context"
	"time"
)

// Store remembers what must outlive this process, and says who may act. It is satisfied by package
// store; failures are errors, and a write whose fate is unknown is an error too: it may have happened.
type Store interface {
	// Acquire blocks until this elector holds the cluster's lock, or ctx ends.
	Acquire(ctx context.Context, cluster string) (Lease, error)
	// Holder names the elector that holds the cluster's lock; empty when nobody does.
	Holder(ctx context.Context, cluster string) (string, error)
	// Get reads one document; false when there is none.
	Get(ctx context.Context, key string) (Document, bool, error)
	// List reads documents under a prefix by key; newestFirst turns the order round. limit 0 is all.
	List(ctx context.Context, prefix string, limit int, newestFirst bool) ([]Document, error)
	// Ready tells whether the store answers now.
	Ready(ctx context.Context) error
}

// Document is one stored value. Its bytes are never changed by whom they are handed to: nobody copies them.
type Document struct {
	Key   string
	Value []byte
}

// Lease is a held lock. Everything written through it is written only while it is held.
type Lease interface {
	// Held tells, by the local monotonic clock alone, whether the lock is certainly still ours.
	Held(now time.Time) bool
	// Context ends when the lock is lost, at the latest when Held turns false, and with the context that Acquire got.
	// What is done under the lock is done under it.
	Context() context.Context
	// Put writes documents, all or none.
	Put(ctx context.Context, docs ...Document) error
	// Update changes a document that several clusters share, again when somebody else was faster.
	Update(ctx context.Context, key string, edit func(old []byte) ([]byte, error)) error
	// NextTerm hands out a term that is higher than every one before and than above.
	NextTerm(ctx context.Context, above uint64) (uint64, error)
	// Release gives the lock back.
	Release(ctx context.Context) error
}
