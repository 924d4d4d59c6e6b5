package orchestrator

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// EventKind names what happened; log lines, metrics, audit, live updates and hooks use these words.
type EventKind string

// The kinds of events.
const (
	EventFindingOpened    EventKind = "finding_opened"
	EventFindingClosed    EventKind = "finding_closed"
	EventRecoveryStarted  EventKind = "recovery_started"
	EventRecoveryStage    EventKind = "recovery_stage"
	EventRecoveryFinished EventKind = "recovery_finished"
	EventRefused          EventKind = "refused" // an automatic change was wanted and not made; says why
	EventRepair           EventKind = "repair"  // replication of one server was set right, or could not be
	EventLeading          EventKind = "leading" // this elector acts for the cluster from now on
	EventNotLeading       EventKind = "not_leading"
	EventPrimaryChanged   EventKind = "primary_changed"
	EventOperator         EventKind = "operator" // ack, automation, maintenance: who and why
	EventStore            EventKind = "store"    // the store failed or answers again
	EventProbed           EventKind = "probed"   // one round of probes; not logged, counted by metrics
)

// Event is one thing that happened. Only the fields that its kind speaks of are set.
type Event struct {
	ID         uint64              `json:"id"`
	At         time.Time           `json:"at"`
	Kind       EventKind           `json:"kind"`
	Cluster    string              `json:"cluster,omitempty"`
	Server     topology.Address    `json:"server,omitempty"`
	Text       string              `json:"text"`
	By         string              `json:"by,omitempty"`
	Finding    *topology.Finding   `json:"finding,omitempty"`
	Stage      *reparent.Stage     `json:"stage,omitempty"`
	Recovery   *reparent.Operation `json:"-"`
	RecoveryID string              `json:"recovery,omitempty"`
	// State is how a recovery ended, on recovery_finished.
	State  reparent.State         `json:"state,omitempty"`
	Probes []topology.Observation `json:"-"`
}

// Stream is the one stream of events. It keeps the latest ones for those who resume.
type Stream struct {
	mu        sync.Mutex
	next      uint64
	recent    []Event
	listeners map[int]chan Event
	serial    int
	taps      []func(Event)
	log       *slog.Logger
}

// recentMax is how many events a listener can catch up on.
const recentMax = 2048

// NewStream makes a stream that logs what passes. Taps are called in order, synchronously, with every
// event: metrics and the like; they must be quick and must not call back.
func NewStream(log *slog.Logger, taps ...func(Event)) *Stream {
	return &Stream{listeners: map[int]chan Event{}, taps: taps, log: log, next: 1}
}

// Tell adds an event; a listener that does not keep up is cut off and has to resume.
func (s *Stream) Tell(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.ID = s.next
	s.next++
	for _, tap := range s.taps {
		tap(e)
	}
	if e.Kind == EventProbed {
		return
	}
	s.logged(e)
	s.recent = append(s.recent, e)
	if len(s.recent) > recentMax {
		s.recent = append([]Event(nil), s.recent[len(s.recent)-recentMax/2:]...)
	}
	for id, ch := range s.listeners {
		select {
		case ch <- e:
		default:
			close(ch)
			delete(s.listeners, id)
		}
	}
}

func (s *Stream) logged(e Event) {
	if s.log == nil {
		return
	}
	level := slog.LevelInfo
	switch e.Kind {
	case EventRefused, EventStore, EventNotLeading:
		level = slog.LevelWarn
	case EventFindingOpened:
		if e.Finding == nil || e.Finding.Severity != topology.SeverityInfo {
			level = slog.LevelWarn
		}
	case EventFindingClosed, EventRecoveryStarted, EventRecoveryStage, EventRecoveryFinished, EventRepair,
		EventLeading, EventPrimaryChanged, EventOperator, EventProbed:
	}
	s.log.LogAttrs(context.Background(), level, e.Text, attributes(e)...)
}

func attributes(e Event) []slog.Attr {
	attrs := []slog.Attr{slog.String("event", string(e.Kind))}
	for _, pair := range [][2]string{{"cluster", e.Cluster}, {"server", string(e.Server)}, {"recovery", e.RecoveryID}, {"by", e.By}} {
		if pair[1] != "" {
			attrs = append(attrs, slog.String(pair[0], pair[1]))
		}
	}
	return attrs
}

// Listen gives every event after the one with that id, as far as they are remembered, and then those to
// come. The channel is closed when the listener falls behind; stop ends it.
func (s *Stream) Listen(after uint64) (events <-chan Event, stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := make(chan Event, recentMax+256)
	for _, e := range s.recent {
		if e.ID > after {
			ch <- e
		}
	}
	s.serial++
	id := s.serial
	s.listeners[id] = ch
	return ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if open, ok := s.listeners[id]; ok {
			close(open)
			delete(s.listeners, id)
		}
	}
}

// Recent lists the remembered events, oldest first.
func (s *Stream) Recent() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event(nil), s.recent...)
}
