package store

import (
	"sync"
	"time"
)

// silence is for how long etcd has answered nothing, and what the last attempt met.
type silence struct {
	mu    sync.Mutex
	since time.Time
	why   error // nil when the last attempt was answered
}

// heard notes an answer to something that was asked at the moment asked.
func (s *silence) heard(asked time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if asked.After(s.since) {
		s.since, s.why = asked, nil
	}
}

func (s *silence) unheard(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.why = why
}

func (s *silence) last() (since time.Time, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since, s.why
}

// Silence is since when etcd has not answered, and what the last attempt met; a zero time while it does answer. It comes
// from memory. A silence shorter than the lease is none: an election may take that long, and costs nobody a lock.
func (s *Store) Silence(now time.Time) (since time.Time, why error) {
	since, why = s.silence.last()
	if why == nil || now.Sub(since) <= s.settings.LeaseTTL {
		return time.Time{}, nil
	}
	return since, why
}

// attendSilence asks etcd now and then where keep-alives do not.
func (s *Store) attendSilence() {
	for every := s.settings.LeaseTTL / 3; pause(s.ctx, every); {
		asked := time.Now()
		if last, _ := s.silence.last(); asked.Sub(last) < every {
			continue
		}
		switch err := s.Ready(s.ctx); {
		case err == nil:
			s.silence.heard(asked)
		case s.ctx.Err() == nil:
			s.silence.unheard(err)
		}
	}
}
