package api

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// Trends is how a cluster's servers have fared lately, as this elector's probes saw them.
type Trends struct {
	StepMS  int64     `json:"step_ms" doc:"How much time each value stands for."`
	Until   time.Time `json:"until,omitzero" doc:"When the latest step ends; absent when there is none."`
	Servers []Trend   `json:"servers" nullable:"false"`
}

// Trend is one server's.
type Trend struct {
	Address string     `json:"address" example:"db1:3306"`
	LagMS   []*int64   `json:"lag_ms" nullable:"false" doc:"The highest replication lag in each step, oldest first; null when none was seen."`
	ProbeMS []*float64 `json:"probe_ms" nullable:"false" doc:"How long the slowest answered probe took in each step, oldest first; null when none was answered."`
}

const (
	trendStep  = 2 * time.Second
	trendSteps = 300 // ten minutes
)

// Charts keeps what Trends tells, in memory. It is fed by its Tap and may be asked meanwhile.
type Charts struct {
	mu       sync.Mutex
	clusters map[string]*chart
}

// chart holds the latest steps of one cluster.
type chart struct {
	step    int64 // number of the latest one, counted from the epoch
	first   int64
	servers map[topology.Address]*ring
}

// ring holds each step at its number modulo the length: the highest lag in milliseconds and the longest probe in
// microseconds, both raised by one, so that 0 is nothing.
type ring struct{ lag, probe [trendSteps]int32 }

// NewCharts keeps nothing yet.
func NewCharts() *Charts { return &Charts{clusters: map[string]*chart{}} }

// Tap takes rounds of probes in; see orchestrator.NewStream.
func (c *Charts) Tap(e orchestrator.Event) {
	if e.Kind != orchestrator.EventProbed {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.clusters[e.Cluster]
	if of == nil {
		of = &chart{servers: map[topology.Address]*ring{}}
		c.clusters[e.Cluster] = of
	}
	of.advance(e.At.UnixMilli() / trendStep.Milliseconds())
	of.take(e.Probes)
}

// advance begins a step, and empties those that nothing was seen in. A clock that goes back ends what was kept.
func (c *chart) advance(step int64) {
	if step < c.step || c.step == 0 {
		c.step, c.first = step, step
		clear(c.servers)
		return
	}
	from := max(c.step+1, step-trendSteps+1)
	for s := from; s <= step; s++ {
		for _, r := range c.servers {
			r.lag[s%trendSteps], r.probe[s%trendSteps] = 0, 0
		}
	}
	c.step = step
	c.first = max(c.first, step-trendSteps+1)
}

// take forgets servers that are members no more: a round asks all that are.
func (c *chart) take(probes []topology.Observation) {
	if len(c.servers) > len(probes) {
		for a := range c.servers {
			if !slices.ContainsFunc(probes, func(o topology.Observation) bool { return o.Address == a }) {
				delete(c.servers, a)
			}
		}
	}
	at := c.step % trendSteps
	for i := range probes {
		o := &probes[i]
		r := c.servers[o.Address]
		if r == nil {
			r = &ring{}
			c.servers[o.Address] = r
		}
		if !o.OK() {
			continue
		}
		r.probe[at] = max(r.probe[at], raised(o.Latency.Microseconds()))
		if o.Replication != nil && o.Replication.Lag >= 0 {
			r.lag[at] = max(r.lag[at], raised(o.Replication.Lag.Milliseconds()))
		}
	}
}

func raised(n int64) int32 { return int32(min(max(n, 0), 1<<31-2)) + 1 }

// trends tells what is kept of a cluster, for its members in their order.
func (c *Charts) trends(v orchestrator.View) Trends {
	told := Trends{StepMS: trendStep.Milliseconds(), Servers: []Trend{}}
	if c == nil {
		return told
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.clusters[v.Name]
	if of == nil {
		return told
	}
	told.Until = stamp(time.UnixMilli((of.step + 1) * trendStep.Milliseconds()))
	for _, m := range v.Ruleset.Members {
		if r := of.servers[m.Address]; r != nil {
			told.Servers = append(told.Servers, r.trend(string(m.Address), of.first, of.step))
		}
	}
	return told
}

func (r *ring) trend(address string, first, last int64) Trend {
	t := Trend{Address: address, LagMS: []*int64{}, ProbeMS: []*float64{}}
	for s := first; s <= last; s++ {
		var lag *int64
		var probe *float64
		if n := r.lag[s%trendSteps]; n > 0 {
			lag = new(int64(n - 1))
		}
		if n := r.probe[s%trendSteps]; n > 0 {
			probe = new(float64(n-1) / 1000)
		}
		t.LagMS, t.ProbeMS = append(t.LagMS, lag), append(t.ProbeMS, probe)
	}
	return t
}

func (f *front) describeTrends(described huma.API) {
	huma.Register(described, needs(RoleViewer, huma.Operation{
		OperationID: "get-trends", Method: http.MethodGet, Path: prefix + "/clusters/{cluster}/trends", Tags: []string{"clusters"},
		Summary: "Lag and probes of the last ten minutes", Description: "As the elector that answers saw them, since its start at most. For longer, there is /metrics.",
	}), func(_ context.Context, in *clusterPath) (*body[Trends], error) {
		v, err := f.settings.Plane.Cluster(in.Cluster)
		if err != nil {
			return nil, f.problemOf(err)
		}
		return &body[Trends]{f.settings.Charts.trends(v)}, nil
	})
}
