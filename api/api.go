// Package api is the outside of the control plane over HTTP: REST with an OpenAPI description, the stream of
// events, checks for routers, and the Go client of all that. Everything that servers say is data here: it is
// encoded as JSON and never interpreted.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// ControlPlane is what the API needs of the orchestrator. Its methods are called from many goroutines at once;
// each returns within the deadline of its context, and its errors are the orchestrator's.
type ControlPlane interface {
	Clusters() []orchestrator.View
	Cluster(name string) (orchestrator.View, error)
	Reparent(ctx context.Context, wish orchestrator.Wish) (orchestrator.Answer, error)
	// OnRecord waits until a change that was begun is on record; an error says that it never will be.
	OnRecord(ctx context.Context, id string) error
	Await(ctx context.Context, id string) (reparent.Operation, error)
	Recoveries(ctx context.Context, cluster string, limit int) ([]reparent.Operation, error)
	Recovery(ctx context.Context, id string) (reparent.Operation, error)
	Acknowledge(ctx context.Context, cluster string, o orchestrator.Order) (antiflap.Window, error)
	SetAutomation(ctx context.Context, cluster string, on bool, o orchestrator.Order) error
	SetMaintenance(ctx context.Context, cluster string, server topology.Address, on bool, o orchestrator.Order) error
	// Ready tells why this elector could not act right now.
	Ready(ctx context.Context) error
}

// Settings are what the API is told at start. Zero durations take the defaults that stand beside them.
type Settings struct {
	Plane  ControlPlane
	Events *orchestrator.Stream
	Errant ErrantPlane // for errant servers; nil: nothing is settled here
	Halt   HaltPlane   // for stopping servers; nil: none is stopped here
	// Inspector looks at settings; nil: they are not checked here.
	Inspector Inspector
	// Certificates prove of changes why they were safe; nil: there are none here.
	Certificates CertificatePlane
	// Rules is for changes of the rules; nil: they are told only.
	Rules   RulesPlane
	Charts  *Charts      // fed by the same stream; nil: nothing is kept for /trends
	Metrics http.Handler // for /metrics; nil: there is none
	// Extra is served under /sandbox/, behind the same guard, to operators; nil: there is none.
	Extra http.Handler
	// Access says who may call; it is asked at each request, so that it can change at run time. nil lets
	// everybody in, and then the API is served on loopback only.
	Access func() Access
	// Version is this program's, for /openapi.json.
	Version string
	// Elector is the name of the one that answers.
	Elector string
	// FreshFor is how old what is known of a cluster may be for a check to succeed; default 5 s.
	FreshFor time.Duration
	// NoticedWithin is how long a primary that falls silent may stay unnoticed, for forecasts; 0: nothing is said.
	NoticedWithin time.Duration
	// Heartbeat is how often an idle event stream sends a sign of life; default 15 s.
	Heartbeat time.Duration
	// BodyTimeout bounds the arrival of a request's body; default 5 s.
	BodyTimeout time.Duration
	// AnswerTimeout bounds an answer from the request's first byte to its last, but for waits and streams;
	// default 30 s.
	AnswerTimeout time.Duration
	// Temporary tells which errors of the control plane pass by themselves, such as a store that is away.
	Temporary func(error) bool
	Log       *slog.Logger
}

func (s Settings) withDefaults() Settings {
	orElse := func(d *time.Duration, fallback time.Duration) {
		if *d <= 0 {
			*d = fallback
		}
	}
	orElse(&s.FreshFor, 5*time.Second)
	orElse(&s.Heartbeat, 15*time.Second)
	orElse(&s.BodyTimeout, 5*time.Second)
	orElse(&s.AnswerTimeout, 30*time.Second)
	if s.Access == nil {
		s.Access = func() Access { return Access{} }
	}
	if s.Temporary == nil {
		s.Temporary = func(error) bool { return false }
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	return s
}

// front is the API behind its handlers.
type front struct {
	settings Settings
	began    time.Time
	epoch    string // tells this process's events from those of an earlier one
	streams  chan struct{}
	checks   checks
}

// Handler serves the API.
func Handler(s Settings) http.Handler {
	began := time.Now()
	f := &front{settings: s.withDefaults(), began: began, epoch: epoch(began), streams: make(chan struct{}, streamsMax)}
	return timed(f.guarded(f.routes()))
}
