package store

import (
	"context"
	"maps"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// mirror is a copy, in memory, of what stands in etcd between two keys. One watch keeps it up to date, so that what many
// ask for often costs etcd nothing. It may be behind: nothing that has to be true is decided by it.
//
// It is read anew as a whole each time the watch breaks, when the connection was lost, and every now and then: an etcd
// that was restored from an older state tells its watches nothing, and one that hangs is silent too.
type mirror struct {
	store    *Store
	from, to string
	every    time.Duration
	changed  func() // called after each change and each reading, and must not block

	mu    sync.Mutex
	kvs   map[string]*mvccpb.KeyValue
	reads int // how often it was read as a whole
}

// run follows etcd until the store is closed.
func (m *mirror) run() {
	lost, takeDown := m.store.bells.hang(noCluster)
	defer takeDown()
	for ctx := m.store.ctx; ctx.Err() == nil; {
		revision, err := m.read(ctx)
		if err == nil {
			err = m.follow(ctx, revision+1, lost)
		}
		if err != nil && !pause(ctx, retryPause) {
			return
		}
	}
}

// noCluster is a name that no lock has. Its bell is rung with all others, when something may have been missed.
const noCluster = ""

func (m *mirror) read(ctx context.Context) (revision int64, err error) {
	err = m.store.persist(ctx, "read what other electors told", func(ctx context.Context) error {
		reply, err := m.store.client.Get(ctx, m.from, clientv3.WithRange(m.to))
		if err == nil {
			revision = reply.Header.Revision
			m.replace(reply.Kvs)
		}
		return err
	})
	return revision, err
}

func (m *mirror) replace(kvs []*mvccpb.KeyValue) {
	fresh := make(map[string]*mvccpb.KeyValue, len(kvs))
	for _, kv := range kvs {
		fresh[string(kv.Key)] = kv
	}
	m.mu.Lock()
	m.kvs = fresh
	m.reads++
	m.mu.Unlock()
	m.changed()
}

// follow takes in changes until it is time to read everything again; an error is a watch that broke.
func (m *mirror) follow(ctx context.Context, from int64, lost *bell) error {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), m.every)
	defer cancel()
	news := m.store.client.Watch(ctx, m.from, clientv3.WithRange(m.to), clientv3.WithRev(from))
	for {
		select {
		case reply, ok := <-news:
			if !ok || reply.Err() != nil {
				return errMoved
			}
			if len(reply.Events) > 0 {
				m.apply(reply.Events)
			}
		case <-lost.rung:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

func (m *mirror) apply(events []*clientv3.Event) {
	m.mu.Lock()
	for _, e := range events {
		if e.Type == clientv3.EventTypeDelete {
			delete(m.kvs, string(e.Kv.Key))
		} else {
			m.kvs[string(e.Kv.Key)] = e.Kv
		}
	}
	m.mu.Unlock()
	m.changed()
}

// at is what stands under a key, nil for nothing, and how often everything was read until now.
func (m *mirror) at(key string) (*mvccpb.KeyValue, int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kvs[key], m.reads
}

// all is everything; nil as long as nothing was ever read.
func (m *mirror) all() map[string]*mvccpb.KeyValue {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.kvs)
}
