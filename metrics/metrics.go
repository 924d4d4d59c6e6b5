// Package metrics shows what happens as Prometheus series. What is counted comes from the stream of events; what is
// so at this moment is read from the views at each scrape, so a series vanishes with the thing that it spoke of.
package metrics

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
)

// Metrics has a registry of its own. It is safe for concurrent use.
type Metrics struct {
	registry   *prometheus.Registry
	views      atomic.Pointer[func() []orchestrator.View]
	probes     *prometheus.CounterVec
	probeTime  prometheus.Histogram
	recoveries *prometheus.CounterVec
	recovery   *prometheus.HistogramVec
	gap        *prometheus.HistogramVec
	events     *prometheus.CounterVec
}

// New makes all series. Tap and Watch feed them.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		probes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "primacy_probes_total", Help: "Probes of servers, by how they ended: ok, refused, reset, silent, denied, unresolved.",
		}, []string{"result"}),
		probeTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "primacy_probe_duration_seconds", Help: "How long answered probes took.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 13),
		}),
		recoveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "primacy_recoveries_total", Help: "Changes of primaries that have ended, by what became of them.",
		}, []string{"cluster", "kind", "outcome"}),
		recovery: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "primacy_recovery_duration_seconds", Help: "How long changes of primaries took, from the first sign of trouble to the end.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 14),
		}, []string{"kind"}),
		gap: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "primacy_write_gap_seconds", Help: "How long a change of a primary kept writes from completing.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 14),
		}, []string{"kind"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "primacy_events_total", Help: "Everything that happened, by kind of event.",
		}, []string{"kind"}),
	}
	m.registry.MustRegister(
		m.probes, m.probeTime, m.recoveries, m.recovery, m.gap, m.events, situation{&m.views},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Tap counts an event. It is quick, and asks nobody anything.
func (m *Metrics) Tap(e orchestrator.Event) {
	switch e.Kind {
	case orchestrator.EventProbed:
		m.probed(e)
		return // far too many to be counted as events
	case orchestrator.EventRecoveryFinished:
		m.finished(e)
	case orchestrator.EventFindingOpened, orchestrator.EventFindingClosed, orchestrator.EventRecoveryStarted,
		orchestrator.EventRecoveryStage, orchestrator.EventRefused, orchestrator.EventRepair, orchestrator.EventLeading,
		orchestrator.EventNotLeading, orchestrator.EventPrimaryChanged, orchestrator.EventOperator, orchestrator.EventStore:
	}
	m.events.WithLabelValues(string(e.Kind)).Inc()
}

func (m *Metrics) probed(e orchestrator.Event) {
	for _, o := range e.Probes {
		m.probes.WithLabelValues(resultWord(string(o.Reach))).Inc()
		if o.OK() {
			m.probeTime.Observe(o.Latency.Seconds())
		}
	}
}

func resultWord(reach string) string {
	if reach == "" {
		return "unknown"
	}
	return reach
}

func (m *Metrics) finished(e orchestrator.Event) {
	op := e.Recovery
	if op == nil {
		return
	}
	m.recoveries.WithLabelValues(op.Cluster, string(op.Kind), string(op.State)).Inc()
	m.recovery.WithLabelValues(string(op.Kind)).Observe(max(op.FinishedAt.Sub(begun(*op)).Seconds(), 0))
	if !op.GapFrom.IsZero() && op.GapTo.After(op.GapFrom) {
		m.gap.WithLabelValues(string(op.Kind)).Observe(op.GapTo.Sub(op.GapFrom).Seconds())
	}
}

// begun is when trouble was first seen, which is before the operation was made.
func begun(op reparent.Operation) (at time.Time) {
	at = op.StartedAt
	if len(op.Stages) > 0 && op.Stages[0].StartedAt.Before(at) {
		at = op.Stages[0].StartedAt
	}
	return at
}

// Watch says where to read, at each scrape, how things stand. Until then only events are counted.
func (m *Metrics) Watch(views func() []orchestrator.View) { m.views.Store(&views) }

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry, MaxRequestsInFlight: 8})
}
