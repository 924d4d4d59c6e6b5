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
	// Era changes each time the store may have gone back to an older state although the lock is still ours: when that was
	// found out anew after something may have been missed. What was written through the lease may be gone then.
	Era() uint64
	// Release gives the lock back.
	Release(ctx context.Context) error
}

// Company is what a store offers whose electors are several: each tells the others something about itself, for as long as
// it lives, and hears who lives and who holds which lock. What it says may be behind, and gives no right to anything: that
// is the lock's. It answers from memory, but for Take. It is satisfied by package store.
type Company interface {
	// Announce replaces what this elector says about a subject. It returns at once.
	Announce(subject string, text []byte)
	// Heard says whom to tell when Present has changed. tell never blocks.
	Heard(tell func())
	// Present is what was heard last; a copy that the caller may keep.
	Present() Present
	// Peek is the record or the lineage of a cluster as last heard of, known when any was.
	Peek(key string) (d Document, known bool)
	// Take is Acquire without waiting: no lease and no error when the lock is not free, or the store does not answer.
	Take(ctx context.Context, cluster string) (Lease, error)
}

// Present is who lives and who holds which lock. Electors go by the sessions that their locks are tied to: one that lost
// its session comes back as another.
type Present struct {
	Me       string                       // this elector's session; empty while it has none
	Electors map[string]map[string][]byte // by session: what each says, by subject
	Owners   map[string]Owner             // by cluster
}

// Owner is who holds a lock: by session, which may have ended already, and by the name of its elector.
type Owner struct{ Session, Elector string }
