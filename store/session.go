package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// session is one lease of etcd, kept alive, to which all locks of this store are tied. Once lost it stays lost, and
// the next Acquire begins another.
//
// Theorem: when held returns true at time t, etcd has not ended the lease before t. Let s be when the last confirmed
// keep-alive was sent, and r ≥ s when etcd received it; etcd ends the lease at r + TTL or later, by its own monotonic
// clock. (A leader that was cut off may still confirm until it notices; its successor counts the whole TTL and an
// election timeout from its own election, which is later still.) The deadline is s + TTL − margin, so it comes first as
// long as the two clocks drift apart by less than the margin within one TTL, which is a tenth of it: a thousand times
// what quartz does.
type session struct {
	id   clientv3.LeaseID
	ttl  time.Duration
	ctx  context.Context // ends when the session is lost, with the reason as its cause
	lose context.CancelCauseFunc

	mu       sync.Mutex
	deadline time.Time
	alarm    *time.Timer
}

// session returns the one in use, or begins another.
func (s *Store) session(ctx context.Context) (*session, error) {
	select {
	case <-s.opened:
	case <-ctx.Done():
		return nil, cmp.Or(s.unopened(), ctx.Err())
	}
	var now *session
	select {
	case now = <-s.current:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { s.current <- now }()
	if now != nil && now.held(time.Now()) {
		return now, nil
	}
	fresh, err := s.grant(ctx)
	if err == nil {
		now = fresh
	}
	return fresh, err
}

func (s *Store) grant(ctx context.Context) (*session, error) {
	sent := time.Now()
	granted, err := s.client.Grant(ctx, s.settings.sessionSeconds())
	if err != nil {
		return nil, err
	}
	now := newSession(s.ctx, granted.ID, sent, time.Duration(granted.TTL)*time.Second)
	s.own(func() { s.keep(now) })
	return now, nil
}

func newSession(ctx context.Context, id clientv3.LeaseID, sent time.Time, ttl time.Duration) *session {
	s := &session{id: id, ttl: ttl, deadline: deadlineOf(sent, ttl)}
	s.ctx, s.lose = context.WithCancelCause(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarm = time.AfterFunc(time.Until(s.deadline), s.ring)
	context.AfterFunc(s.ctx, func() { s.alarm.Stop() })
	return s
}

func deadlineOf(sent time.Time, ttl time.Duration) time.Time {
	return sent.Add(ttl - ttl/10)
}

// held answers for the moment now, which may also lie ahead.
func (s *session) held(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alive() && now.Before(s.deadline)
}

// alive latches: a session that was once found past its deadline is lost, whatever etcd answers later. The caller
// holds mu, so that no renewal comes between finding out and remembering.
func (s *session) alive() bool {
	if !time.Now().Before(s.deadline) {
		s.lose(fmt.Errorf("no keep-alive was confirmed within the lease of %s", s.ttl))
	}
	return s.ctx.Err() == nil
}

func (s *session) renew(sent time.Time, ttl time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alive() {
		s.deadline = deadlineOf(sent, ttl)
		s.alarm.Reset(time.Until(s.deadline))
	}
}

// ring runs at what was the deadline when the alarm was set.
func (s *session) ring() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alive() {
		s.alarm.Reset(time.Until(s.deadline))
	}
}

// until is the deadline as it stands.
func (s *session) until() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deadline
}

// keep renews the session until it is lost, and then hands the lease back, so that the next holder need not wait for
// it to run out. It does so five times within a lease, and gives up early on an answer: when the member that leads etcd
// dies, the sessions of the electors that live have to outlast an election. After each break of the connection all locks are read again: etcd may have been restored from an older
// state, and a watch goes on as if nothing had happened, at a revision that is still to come.
func (s *Store) keep(now *session) {
	pulse := pulse{leases: s.leases, id: now.id}
	defer pulse.end()
	patience := now.ttl / 8
	for wait := now.ttl / 5; pause(now.ctx, wait); {
		sent, fresh := time.Now(), pulse.stream == nil
		ttl, err := pulse.beat(now.ctx, patience)
		switch {
		case err != nil:
			s.log.Debug("keep-alive failed", "error", err)
			wait, patience = now.ttl/20, min(patience+patience/2, now.ttl/4)
		case ttl <= 0:
			now.lose(errors.New("etcd has ended the lease"))
		default:
			now.renew(sent, ttl)
			s.silence.heard(sent)
			wait, patience = max(0, now.ttl/5-time.Since(sent)), now.ttl/8
			if fresh {
				s.bells.ringAll()
			}
		}
	}
	s.revoke(now)
}

func (s *Store) revoke(now *session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(now.ctx), time.Second)
	defer cancel()
	if _, err := s.client.Revoke(ctx, now.id); err != nil {
		s.log.Debug("the lease was not handed back and will run out", "error", err)
	}
}

// pulse sends keep-alives for one lease over a stream that stays open, for opening one means logging in again where
// etcd asks for a password. One request at a time is under way on a stream, and a stream that failed or was late is
// never used again; so a reply can only belong to the request that was sent last.
type pulse struct {
	leases pb.LeaseClient
	id     clientv3.LeaseID
	stream pb.Lease_LeaseKeepAliveClient
	life   context.Context // of the stream
	cancel context.CancelFunc
}

// beat returns the time to live that etcd has confirmed, zero if the lease is gone.
func (p *pulse) beat(ctx context.Context, patience time.Duration) (time.Duration, error) {
	if p.cancel == nil {
		p.life, p.cancel = context.WithCancel(ctx)
	}
	late := time.AfterFunc(patience, p.cancel)
	ttl, err := p.exchange()
	if !late.Stop() || err != nil {
		p.end()
	}
	return ttl, err
}

func (p *pulse) exchange() (ttl time.Duration, err error) {
	if p.stream == nil {
		if p.stream, err = p.leases.LeaseKeepAlive(p.life); err != nil {
			return 0, err
		}
	}
	if err := p.stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(p.id)}); err != nil {
		return 0, err
	}
	reply, err := p.stream.Recv()
	if err != nil {
		return 0, err
	}
	return time.Duration(reply.TTL) * time.Second, nil
}

func (p *pulse) end() {
	if p.cancel != nil {
		p.cancel()
	}
	p.stream, p.life, p.cancel = nil, nil, nil
}
