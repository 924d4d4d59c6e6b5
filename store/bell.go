package store

import (
	"context"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// bells tell whoever waits for a cluster's lock, or relies on it, that it may have been deleted in etcd.
//
// One watch serves all of them. With a watch for each lock, losing a session would end hundreds at once, and then
// etcd's client and an etcd in the same process each wait for the other to take its message.
type bells struct {
	mu    sync.Mutex
	heard map[string]map[*bell]bool // by cluster
}

// bell is rung at least once after each deletion, counted from the moment that it was hung up.
type bell struct {
	rung chan struct{}
}

// hang begins to listen. Whoever then reads the lock, and finds nothing of interest, may wait for the bell.
func (b *bells) hang(name string) (_ *bell, takeDown func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.heard == nil {
		b.heard = map[string]map[*bell]bool{}
	}
	if b.heard[name] == nil {
		b.heard[name] = map[*bell]bool{}
	}
	fresh := &bell{rung: make(chan struct{}, 1)}
	b.heard[name][fresh] = true
	return fresh, func() { b.takeDown(name, fresh) }
}

func (b *bells) takeDown(name string, old *bell) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if delete(b.heard[name], old); len(b.heard[name]) == 0 {
		delete(b.heard, name)
	}
}

func (b *bells) ring(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for one := range b.heard[name] {
		one.ring()
	}
}

func (b *bells) ringAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, some := range b.heard {
		for one := range some {
			one.ring()
		}
	}
}

// ring never waits: a bell that was rung and not yet heard says enough.
func (b *bell) ring() {
	select {
	case b.rung <- struct{}{}:
	default:
	}
}

// wait returns nil when there may be news, which is also after a while in silence, for a watch can be silent because
// its server is.
func (b *bell) wait(ctx context.Context, atMost time.Duration) error {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-b.rung:
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// listen watches the locks until the store is closed.
func (s *Store) listen() {
	for pause(s.ctx, retryPause) {
		s.listenOnce(s.ctx)
	}
}

// listenOnce follows one watch until it breaks. What happened before it began was not seen, so then all bells ring.
func (s *Store) listenOnce(ctx context.Context) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	news := s.client.Watch(ctx, locks, clientv3.WithPrefix(), clientv3.WithFilterPut(), clientv3.WithCreatedNotify())
	for reply := range until(ctx, news) {
		if reply.Created {
			s.bells.ringAll()
		}
		for _, event := range reply.Events {
			s.bells.ring(strings.TrimPrefix(string(event.Kv.Key), locks))
		}
	}
}

// until yields what comes over a channel, and stops when ctx ends even if the channel does not.
func until[T any](ctx context.Context, c <-chan T) func(yield func(T) bool) {
	return func(yield func(T) bool) {
		for {
			select {
			case v, ok := <-c:
				if !ok || !yield(v) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}
