package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// ClusterList is the clusters that were asked for.
type ClusterList struct {
	Clusters []Summary      `json:"clusters" nullable:"false"`
	Total    int            `json:"total" doc:"How many clusters match, over all pages."`
	States   map[string]int `json:"states" doc:"How many clusters are in each state, of those that match everything but state."`
	Next     string         `json:"next,omitempty" doc:"For after: where the next page begins; absent on the last."`
}

type clustersInput struct {
	Q        string   `query:"q" maxLength:"200" doc:"Part of the name, of the primary or of a server, in whatever case."`
	State    []string `query:"state" enum:"healthy,degraded,primary_failed,reparenting,blocked,unknown" doc:"One of these."`
	Severity string   `query:"severity" enum:"critical,warning,info" doc:"A finding of this severity, or a worse one, is open."`
	Finding  string   `query:"finding" example:"failover_would_block" maxLength:"100" doc:"A finding with this code is open."`
	Elector  string   `query:"elector" maxLength:"200" doc:"The elector that acts for the cluster."`
	Findings string   `query:"findings" enum:"all,worst" default:"all" doc:"worst tells at most one finding of each cluster, without evidence."`
	Sort     string   `query:"sort" enum:"name,trouble" default:"name" doc:"trouble puts first what needs somebody."`
	Limit    int      `query:"limit" minimum:"1" maximum:"1000" doc:"At most so many; left out, all."`
	After    string   `query:"after" maxLength:"400" doc:"next of the page before, asked for with the same sort."`
}

func (f *front) listClusters(_ context.Context, in *clustersInput) (*body[ClusterList], error) {
	after, err := readCursor("query.after", in.Sort, in.After)
	if err != nil {
		return nil, err
	}
	views := slices.DeleteFunc(f.settings.Plane.Clusters(), func(v orchestrator.View) bool { return !in.matches(v) })
	list := ClusterList{Clusters: []Summary{}, States: map[string]int{}}
	for _, v := range views {
		list.States[string(v.State)]++
	}
	if len(in.State) > 0 {
		views = slices.DeleteFunc(views, func(v orchestrator.View) bool { return !slices.Contains(in.State, string(v.State)) })
	}
	list.Total = len(views)
	views, list.Next = paged(views, in.position, after, in.Limit, in.Sort)
	now := time.Now()
	for _, v := range views {
		list.Clusters = append(list.Clusters, in.summary(v, now, f.settings.FreshFor))
	}
	return &body[ClusterList]{list}, nil
}

// matches tells whether a cluster is asked for, whatever state it is in.
func (in *clustersInput) matches(v orchestrator.View) bool {
	return (in.Q == "" || mentions(v, strings.ToLower(in.Q))) &&
		(in.Elector == "" || v.Elector == in.Elector) &&
		(in.Severity == "" || slices.ContainsFunc(v.Findings, func(f topology.Finding) bool { return gravity(f.Severity) <= gravity(topology.Severity(in.Severity)) })) &&
		(in.Finding == "" || slices.ContainsFunc(v.Findings, func(f topology.Finding) bool { return string(f.Code) == in.Finding }))
}

func mentions(v orchestrator.View, part string) bool {
	within := func(text string) bool { return strings.Contains(strings.ToLower(text), part) }
	return within(v.Name) || within(string(v.Primary)) ||
		slices.ContainsFunc(v.Ruleset.Members, func(m topology.Member) bool { return within(string(m.Address)) })
}

// position is where a cluster stands in the order that was asked for.
func (in *clustersInput) position(v orchestrator.View) position {
	if in.Sort == "trouble" {
		return position{int64(trouble(v)), v.Name}
	}
	return position{0, v.Name}
}

func (in *clustersInput) summary(v orchestrator.View, now time.Time, freshFor time.Duration) Summary {
	s := summaryOf(v, now, freshFor)
	if in.Findings == "worst" {
		s.Findings = worst(v.Findings)
		return s
	}
	s.Findings = findingsOf(v.Findings)
	return s
}

// gravity is lower for what is worse.
func gravity(s topology.Severity) int {
	switch s {
	case topology.SeverityCritical:
		return 0
	case topology.SeverityWarning:
		return 1
	case topology.SeverityInfo:
		return 2
	}
	return 3
}

// trouble is lower for what somebody should look at first: a state counts as much as the findings that go with it.
func trouble(v orchestrator.View) int {
	least := 3
	switch v.State {
	case topology.StatePrimaryFailed, topology.StateBlocked:
		least = 0
	case topology.StateReparenting, topology.StateUnknown, topology.StateDegraded:
		least = 1
	case topology.StateHealthy:
	}
	for i := range v.Findings {
		least = min(least, gravity(v.Findings[i].Severity))
	}
	return least
}

// worst is the gravest finding, the oldest among several, without what it rests on.
func worst(findings []topology.Finding) []Finding {
	if len(findings) == 0 {
		return []Finding{}
	}
	f := slices.MinFunc(findings, func(a, b topology.Finding) int {
		return cmp.Or(cmp.Compare(gravity(a.Severity), gravity(b.Severity)), a.Since.Compare(b.Since))
	})
	f.Evidence = nil
	return []Finding{findingOf(f)}
}

// EventList is what has happened lately, newest first.
type EventList struct {
	Events []Event   `json:"events" nullable:"false"`
	Since  time.Time `json:"since" doc:"What happened earlier this elector does not remember: it keeps a few thousand events, and none over a restart."`
	Next   string    `json:"next,omitempty" doc:"For before: where the next page begins; absent on the last."`
}

type recentInput struct {
	Cluster string   `query:"cluster" maxLength:"63" doc:"Only of this cluster."`
	Kind    []string `query:"kind" doc:"One of these kinds."`
	Limit   int      `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"At most so many."`
	Before  string   `query:"before" maxLength:"100" doc:"next of the page before, or the id of an event: only what happened before it."`
}

func (f *front) recentEvents(_ context.Context, in *recentInput) (*body[EventList], error) {
	if in.Cluster != "" {
		if _, err := f.settings.Plane.Cluster(in.Cluster); err != nil {
			return nil, f.problemOf(err)
		}
	}
	before, err := f.numberOf(in.Before)
	if err != nil {
		return nil, err
	}
	recent := f.settings.Events.Recent()
	list := EventList{Events: []Event{}, Since: stamp(f.began)}
	if len(recent) > 0 && recent[0].ID > 1 {
		list.Since = stamp(recent[0].At)
	}
	for _, e := range slices.Backward(recent) {
		if e.ID >= before || !in.matches(e) {
			continue
		}
		if len(list.Events) == in.Limit {
			list.Next = list.Events[in.Limit-1].ID
			break
		}
		list.Events = append(list.Events, f.eventOf(e))
	}
	return &body[EventList]{list}, nil
}

func (in *recentInput) matches(e orchestrator.Event) bool {
	return (in.Cluster == "" || e.Cluster == in.Cluster) && (len(in.Kind) == 0 || slices.Contains(in.Kind, string(e.Kind)))
}

// describeLists adds what is asked for page by page.
func (f *front) describeLists(described huma.API) {
	huma.Register(described, needs(RoleViewer, huma.Operation{
		OperationID: "list-clusters", Method: http.MethodGet, Path: prefix + "/clusters", Tags: []string{"clusters"},
		Summary: "All clusters, or some", Description: "Name, primary, term, state and findings of each. What is left out of the query does not restrict the answer.",
	}), f.listClusters)
	huma.Register(described, needs(RoleViewer, huma.Operation{
		OperationID: "list-recoveries", Method: http.MethodGet, Path: prefix + "/recoveries", Tags: []string{"changes"},
		Summary: "Changes of primaries, newest first", Description: "Under way and ended, of one cluster or all. Filters and pages reach back as far as the latest 1000 changes of a cluster, and 20000 of all clusters together, shared evenly: the latest 40 of each of 500.",
	}), f.listRecoveries)
	huma.Register(described, needs(RoleViewer, huma.Operation{
		OperationID: "recent-events", Method: http.MethodGet, Path: prefix + "/events/recent", Tags: []string{"events"},
		Summary: "What has happened, newest first", Description: "As far as the elector that answers remembers: each remembers what it saw itself, since its start, and only the latest few thousand events.",
	}), f.recentEvents)
}

// RecoveryList is changes of primaries, newest first.
type RecoveryList struct {
	Recoveries []Recovery `json:"recoveries" nullable:"false"`
	FromMemory bool       `json:"from_memory,omitempty" doc:"The store does not answer: these are the latest few that this elector remembers."`
	Next       string     `json:"next,omitempty" doc:"For before: where the next page begins; absent on the last."`
}

type recoveriesInput struct {
	Cluster   string    `query:"cluster" doc:"Only of this cluster."`
	Kind      string    `query:"kind" enum:"adoption,planned,emergency,reopening,rules" doc:"Only of this kind."`
	State     []string  `query:"state" enum:"running,succeeded,undone,blocked,failed" doc:"One of these."`
	Automatic string    `query:"automatic" enum:"true,false" doc:"Only those that nobody asked for, or only those that somebody did."`
	Since     time.Time `query:"since" doc:"Begun at this time or later."`
	Until     time.Time `query:"until" doc:"Begun before this time."`
	Limit     int       `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"At most so many."`
	Before    string    `query:"before" maxLength:"400" doc:"next of the page before."`
	Brief     bool      `query:"brief" doc:"Leave out stages and certificate."`
}

func (f *front) listRecoveries(ctx context.Context, in *recoveriesInput) (*body[RecoveryList], error) {
	before, err := readCursor("query.before", newestFirst, in.Before)
	if err != nil {
		return nil, err
	}
	names, err := f.clustersOf(in.Cluster)
	if err != nil {
		return nil, err
	}
	found := search{recoveries: f.settings.Plane.Recoveries, wanted: in.matches, before: before, since: in.Since, most: in.Limit + 1} // one more tells whether there is another page
	if err := found.through(ctx, names); err != nil {
		return nil, f.problemOf(err)
	}
	list := RecoveryList{Recoveries: []Recovery{}, FromMemory: slices.ContainsFunc(f.settings.Plane.Clusters(), withoutStore)}
	page, next := paged(found.best, backInTime, before, in.Limit, newestFirst)
	list.Next = next
	for _, op := range page {
		list.Recoveries = append(list.Recoveries, in.recovery(op))
	}
	return &body[RecoveryList]{list}, nil
}

// clustersOf are the names of all clusters, or the one that is asked for.
func (f *front) clustersOf(name string) (names []string, err error) {
	if name != "" {
		if _, err := f.settings.Plane.Cluster(name); err != nil {
			return nil, f.problemOf(err)
		}
		return []string{name}, nil
	}
	for _, v := range f.settings.Plane.Clusters() {
		names = append(names, v.Name)
	}
	return names, nil
}

func withoutStore(v orchestrator.View) bool { return !v.Snapshot.StoreSilent.IsZero() }

const newestFirst = "time"

func backInTime(op reparent.Operation) position { return position{-op.StartedAt.UnixMicro(), op.ID} }

func (in *recoveriesInput) matches(op reparent.Operation) bool {
	return (in.Kind == "" || string(op.Kind) == in.Kind) &&
		(len(in.State) == 0 || slices.Contains(in.State, string(op.State))) &&
		(in.Automatic == "" || strconv.FormatBool(op.Automatic) == in.Automatic) &&
		!op.StartedAt.Before(in.Since) && (in.Until.IsZero() || op.StartedAt.Before(in.Until))
}

func (in *recoveriesInput) recovery(op reparent.Operation) Recovery {
	r := recoveryOf(op)
	if in.Brief {
		r.Stages, r.Certificate = []Stage{}, certificateOf(reparent.Operation{})
	}
	return r
}
