package orchestrator

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// desk is a cluster's loop that nothing drives: a test looks, acts and asks in it by hand. Its servers stand still and
// refuse every command; its store keeps documents in memory, and its clock is the test's.
type desk struct {
	*cluster
	now       time.Time
	servers   []topology.Observation
	journals  map[topology.Address][]topology.Decision
	mu        sync.Mutex // of the documents, which operations save beside the loop
	documents map[string][]byte
	terms     uint64
	storeEra  uint64
	watched   []topology.Address // as its fleet was told last
	sent      []reparent.Command
	batches   []Batch // with what was sent
	obeys     bool    // its servers carry out every command, of which nothing comes
}

// deskOf has an elector hold the lock of the built cluster, with what the builder has on record.
func deskOf(t *testing.T, b *topologytest.Builder) *desk {
	t.Helper()
	d := &desk{now: topologytest.Now, servers: b.Snapshot().Servers, journals: map[topology.Address][]topology.Decision{}, documents: map[string][]byte{}}
	settings := Settings{
		Elector: "elector-2", Limits: topologytest.Limits, Antiflap: antiflap.Defaults(), Automation: true, Runtime: deskClock{desk: d},
		Clusters: []ClusterSettings{{Name: "shop", Ruleset: b.Ruleset()}},
	}
	d.cluster = New(settings, deskFleet{d}, deskStore{d}, NewStream(nil)).clusters["shop"]
	d.lineage.History = topology.History{Leaderships: b.History().Leaderships, Leaders: b.History().Leaders}
	d.lease, d.record.SavedAt = deskLease{d}, d.now
	d.sessionTerm = d.lineage.highestTerm()
	return d
}

// look has the loop see its servers as they are.
func (d *desk) look(t *testing.T) {
	t.Helper()
	d.cluster.look(t.Context())
}

// round is a round of probes that the loop acts on, and the end of what it began.
func (d *desk) round(t *testing.T) {
	t.Helper()
	d.cluster.round(t.Context(), round{began: d.now, servers: slices.Clone(d.servers)})
	d.workers.Wait()
	for d.next(t.Context()) {
	}
}

// pass lets time pass, with a round of probes each second.
func (d *desk) pass(t *testing.T, long time.Duration) {
	t.Helper()
	for end := d.now.Add(long); d.now.Before(end); {
		d.now = d.now.Add(time.Second)
		for i := range d.servers {
			d.servers[i].At = d.now
		}
		d.round(t)
	}
}

type deskClock struct {
	Process
	desk *desk
}

func (c deskClock) Now() time.Time { return c.desk.now }

type deskFleet struct{ *desk }

func (f deskFleet) Watch(_ string, servers []topology.Address) { f.watched = servers }

func (f deskFleet) Observe(context.Context, string) []topology.Observation { return f.servers }

func (deskFleet) Signals(func(Signal)) {}

func (f deskFleet) Do(_ context.Context, batch Batch) []reparent.Result {
	f.sent, f.batches = append(f.sent, batch.Commands...), append(f.batches, batch)
	results := make([]reparent.Result, len(batch.Commands))
	for i := range results {
		results[i] = reparent.Result{Outcome: reparent.No, Reason: reparent.ReasonRefused}
		if f.obeys {
			results[i] = reparent.Result{Outcome: reparent.Yes}
		}
	}
	return results
}

func (f deskFleet) Journal(_ context.Context, a topology.Address) ([]topology.Decision, error) {
	return f.desk.journals[a], nil
}

func (f deskFleet) Probe(_ context.Context, a topology.Address) topology.Observation {
	return *topology.Snapshot{Servers: f.servers}.Server(a)
}

type deskStore struct{ *desk }

func (deskStore) Acquire(ctx context.Context, _ string) (Lease, error) { return nil, ctx.Err() }

func (deskStore) Holder(context.Context, string) (string, error) { return "elector-2", nil }

func (s deskStore) Get(_ context.Context, key string) (Document, bool, error) {
	s.desk.mu.Lock()
	defer s.desk.mu.Unlock()
	value, found := s.documents[key]
	return DocumentOf(key, value), found, nil
}

func (s deskStore) List(_ context.Context, prefix string, limit int, backward bool) (all []Document, err error) {
	s.desk.mu.Lock()
	defer s.desk.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(s.documents)) {
		if strings.HasPrefix(key, prefix) {
			all = append(all, DocumentOf(key, s.documents[key]))
		}
	}
	if backward {
		slices.Reverse(all)
	}
	if limit > 0 {
		all = all[:min(limit, len(all))]
	}
	return all, nil
}

func (deskStore) Ready(context.Context) error { return nil }

type deskLease struct{ *desk }

func (deskLease) Held(time.Time) bool { return true }

func (deskLease) Context() context.Context { return context.Background() }

func (l deskLease) Put(_ context.Context, docs ...Document) error {
	for _, d := range docs {
		text, err := d.Text()
		if err != nil {
			return err
		}
		l.desk.mu.Lock()
		l.documents[d.Key] = text
		l.desk.mu.Unlock()
	}
	return nil
}

func (l deskLease) Update(_ context.Context, key string, edit func([]byte) ([]byte, error)) error {
	l.desk.mu.Lock()
	defer l.desk.mu.Unlock()
	value, err := edit(l.documents[key])
	if err == nil {
		l.documents[key] = value
	}
	return err
}

func (l deskLease) NextTerm(_ context.Context, above uint64) (uint64, error) {
	l.desk.terms = max(l.desk.terms, above) + 1
	return l.desk.terms, nil
}

func (l deskLease) Era() uint64 { return l.desk.storeEra }

func (deskLease) Release(context.Context) error { return nil }
