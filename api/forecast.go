package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// WhatIf is what failures would lead to, as things stand.
type WhatIf struct {
	Cluster  string    `json:"cluster"`
	Primary  string    `json:"primary" doc:"Empty when no leadership is recorded."`
	Term     uint32    `json:"term"`
	ProbedAt time.Time `json:"probed_at" doc:"When the servers were seen as they are here."`
	// Ready is false where the failure of one server, or what was asked for, would stop writes for good.
	Ready bool `json:"ready" doc:"The failure of each single server, or what was asked for, would be survived."`
	// ByHand is empty as a rule.
	ByHand   string   `json:"by_hand,omitempty" doc:"Why a promotion would not be made automatically right now."`
	Failures []Case   `json:"failures" nullable:"false"`
	Expected Expected `json:"expected"`
}

// Case is one failure.
type Case struct {
	Kind     string    `json:"kind" enum:"server,zone,pair,asked"`
	Zone     string    `json:"zone,omitempty"`
	Failed   []string  `json:"failed" nullable:"false"`
	Outcome  string    `json:"outcome" enum:"unaffected,writes_wait,promoted,blocked,unknown" doc:"unaffected: the primary stays and writes go on. writes_wait: it stays, and commits wait for acknowledgements. promoted: another server takes over. blocked: none can. unknown: no leadership is recorded."`
	Promoted string    `json:"promoted,omitempty"`
	Obstacle *Obstacle `json:"obstacle,omitempty"`
}

// Expected is how long a change takes.
type Expected struct {
	NoticedMS int64  `json:"noticed_ms,omitempty" doc:"The longest until a primary that falls silent counts as failed; one whose process ends is noticed at once as a rule."`
	ChangeMS  *int64 `json:"change_ms,omitempty" doc:"The median of this cluster's latest emergency changes, from the first doubt to open writes; absent when there were none."`
	Measured  int    `json:"measured" doc:"How many changes that rests on."`
}

type whatIfInput struct {
	Cluster string   `path:"cluster" example:"shop" maxLength:"63"`
	Fail    []string `query:"fail,explode" maxItems:"50" doc:"Servers, or zone:NAME for all of a zone, that fail together. Left out: each server, each zone, and each pair of servers."`
}

func (f *front) describeForecast(described huma.API) {
	huma.Register(described, needs(RoleViewer, huma.Operation{
		OperationID: "what-if", Method: http.MethodGet, Path: prefix + "/clusters/{cluster}/whatif", Tags: []string{"clusters"},
		Summary: "What would happen if servers failed now", Description: "The questions that a change asks, of what the servers show now. Nothing is sent to them.",
	}), f.whatIf)
}

func (f *front) whatIf(ctx context.Context, in *whatIfInput) (*body[WhatIf], error) {
	v, err := f.settings.Plane.Cluster(in.Cluster)
	if err != nil {
		return nil, f.problemOf(err)
	}
	cases, err := casesOf(v.Ruleset, in.Fail)
	if err != nil {
		return nil, err
	}
	told := WhatIf{
		Cluster: v.Name, Primary: string(v.Primary), Term: v.Term, ProbedAt: stamp(v.At), Ready: true, ByHand: byHand(v),
		Failures: []Case{}, Expected: f.expected(ctx, v.Name),
	}
	for _, c := range cases {
		told.Failures = append(told.Failures, c.foreseen(v))
	}
	told.Ready = !slices.ContainsFunc(told.Failures, func(c Case) bool { return (c.Kind == "server" || c.Kind == "asked") && !c.Survived() })
	return &body[WhatIf]{told}, nil
}

// Survived tells whether writes go on, after a change where one is needed.
func (c Case) Survived() bool { return c.Outcome == "unaffected" || c.Outcome == "promoted" }

// asked is one failure before it is told what it would lead to.
type asked struct {
	Case
	servers topology.ServerSet
}

func casesOf(r topology.Ruleset, fail []string) ([]asked, error) {
	if len(fail) > 0 {
		failed, err := failedOf(r, fail)
		return []asked{{Case{Kind: "asked"}, failed}}, err
	}
	var cases []asked
	single, zones, pairs := reparent.Failures(r)
	for _, s := range single {
		cases = append(cases, asked{Case{Kind: "server"}, s})
	}
	for _, s := range zones {
		m, _ := r.Member(s.List()[0])
		cases = append(cases, asked{Case{Kind: "zone", Zone: m.Zone}, s})
	}
	for _, s := range pairs {
		cases = append(cases, asked{Case{Kind: "pair"}, s})
	}
	return cases, nil
}

// failedOf reads servers and zones.
func failedOf(r topology.Ruleset, fail []string) (failed topology.ServerSet, err error) {
	for _, name := range fail {
		zone, isZone := strings.CutPrefix(name, "zone:")
		one := r.Servers().Where(func(a topology.Address) bool {
			m, _ := r.Member(a)
			return isZone && m.Zone == zone || string(a) == name
		})
		if one.IsEmpty() {
			return failed, mistaken("query.fail", fmt.Sprintf("%q is neither a server nor a zone (zone:NAME) of the cluster; servers are %s", clip(name), r.Servers()))
		}
		failed = failed.Union(one)
	}
	return failed, nil
}

// foreseen asks with a clearance of its own, which permits nothing else.
func (c asked) foreseen(v orchestrator.View) Case {
	clearance, _, _ := antiflap.Settings{}.Clear(antiflap.Request{Cluster: v.Name, Operator: "whatif", Now: v.Told}, antiflap.Cluster{}, antiflap.Fleet{})
	intent := reparent.Intent{ID: "whatif", Elector: v.Elector, Snapshot: v.Snapshot, History: v.History, Cause: "whatif"}
	f := reparent.Foresee(clearance, intent, c.servers, v.Told)
	told := c.Case
	told.Failed, told.Outcome, told.Promoted, told.Obstacle = texts(c.servers.List()), string(f.Prospect), string(f.Promoted), obstacleOf(f.Obstacle)
	return told
}

// byHand says why a change that would be possible would not be made without being asked for.
func byHand(v orchestrator.View) string {
	w := v.Window()
	switch {
	case !v.Automation.On:
		return "automatic changes are switched off"
	case !v.Snapshot.StoreSilent.IsZero():
		return "the store does not answer, so no lock can be held"
	case w.Open:
		return w.Reason
	}
	return ""
}

// expectedFrom is how many changes are looked at for how long one takes.
const expectedFrom = 20

func (f *front) expected(ctx context.Context, cluster string) Expected {
	e := Expected{NoticedMS: f.settings.NoticedWithin.Milliseconds()}
	past, err := f.settings.Plane.Recoveries(ctx, cluster, expectedFrom)
	if err != nil {
		return e // a store that is away is no reason to say nothing
	}
	var took []time.Duration
	for _, op := range past {
		if op.Kind == reparent.KindEmergency && op.State == reparent.StateSucceeded && !op.GapTo.IsZero() && len(op.Stages) > 0 {
			took = append(took, op.GapTo.Sub(op.Stages[0].StartedAt))
		}
	}
	if len(took) == 0 {
		return e
	}
	slices.Sort(took)
	median := took[len(took)/2].Milliseconds()
	e.ChangeMS, e.Measured = &median, len(took)
	return e
}
