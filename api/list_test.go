package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// fleet is a plane of several clusters with a history.
type fleet struct {
	*plane
	views []orchestrator.View
	past  []reparent.Operation
}

func (f *fleet) Clusters() []orchestrator.View { return slices.Clone(f.views) }

// fleetOf has a cluster for each name, in that state and with a finding of that severity.
func fleetOf(t *testing.T, rows ...[3]string) (*fleet, *service) {
	t.Helper()
	f := &fleet{plane: shop()}
	for _, row := range rows {
		v := f.view
		v.Name, v.State, v.Findings = row[0], topology.ClusterState(row[1]), nil
		if row[2] != "" {
			v.Findings = []topology.Finding{
				{Code: "failover_would_block", Severity: topology.SeverityInfo, Since: v.At},
				{Code: topology.PrimaryDead, Severity: topology.Severity(row[2]), Since: v.At, Evidence: []topology.Evidence{{By: "probe"}}},
			}
		}
		f.views = append(f.views, v)
	}
	return f, serveWith(t, f.plane, func(s *Settings) { s.Plane = f })
}

func (f *fleet) Recoveries(_ context.Context, cluster string, limit int) ([]reparent.Operation, error) {
	f.called("recoveries", cluster, limit)
	return slices.Clone(f.past[:min(len(f.past), limit)]), nil
}

func (s *service) listed(query string) (names []string, list map[string]any) {
	s.t.Helper()
	r := s.ask("GET", "/api/v1/clusters?"+query, "")
	if r.status != 200 {
		s.t.Fatalf("%s: %d %s", query, r.status, r.text)
	}
	list = r.tree(s.t)
	for _, c := range list["clusters"].([]any) {
		names = append(names, c.(map[string]any)["name"].(string))
	}
	return names, list
}

func trouble5(t *testing.T) (*fleet, *service) {
	return fleetOf(t, [3]string{"bills", "healthy", ""}, [3]string{"carts", "blocked", "critical"}, [3]string{"mail", "degraded", "warning"},
		[3]string{"stock", "healthy", "info"}, [3]string{"users", "degraded", "warning"})
}

func TestClustersAreFoundByWhatIsAskedOfThem(t *testing.T) {
	f, s := trouble5(t)
	f.views[0].Elector = "elector-2"
	for query, want := range map[string]string{
		"":                                "bills carts mail stock users",
		"q=AI":                            "mail",
		"q=DB3":                           "bills carts mail stock users",
		"q=nothing":                       "",
		"state=blocked":                   "carts",
		"state=blocked,degraded":          "carts mail users",
		"severity=warning":                "carts mail users",
		"severity=critical":               "carts",
		"finding=failover_would_block":    "carts mail stock users",
		"finding=nothing":                 "",
		"elector=elector-2":               "bills",
		"severity=warning&state=degraded": "mail users",
		"sort=trouble":                    "carts mail users stock bills",
		"sort=trouble&limit=2":            "carts mail",
		"q=s&state=healthy&limit=1":       "bills",
	} {
		if names, _ := s.listed(query); strings.Join(names, " ") != want {
			t.Errorf("%s: %v, want %s", query, names, want)
		}
	}
}

func TestCountsAreOfAllThatMatchAndNotOfThePage(t *testing.T) {
	_, s := trouble5(t)
	_, list := s.listed("severity=warning&state=degraded&limit=1")
	if fmt.Sprint(list["total"], list["states"]) != "2 map[blocked:1 degraded:2]" || list["next"] == nil {
		t.Errorf("%v %v %v", list["total"], list["states"], list["next"])
	}
}

func TestTheWorstFindingStandsForAll(t *testing.T) {
	_, s := trouble5(t)
	_, list := s.listed("q=mail&findings=worst")
	c := list["clusters"].([]any)[0].(map[string]any)
	found := c["findings"].([]any)
	if len(found) != 1 || found[0].(map[string]any)["code"] != "primary_dead" || c["finding_count"] != 2.0 || len(found[0].(map[string]any)["evidence"].([]any)) != 0 {
		t.Errorf("got %v", c)
	}
	if _, all := s.listed("q=mail"); len(all["clusters"].([]any)[0].(map[string]any)["findings"].([]any)) != 2 {
		t.Error("without being asked for, findings are left out")
	}
}

func TestPagesShowEachClusterOnceWhateverComesAndGoes(t *testing.T) {
	for _, order := range []string{"name", "trouble"} {
		f, s := trouble5(t)
		var seen []string
		query := "limit=2&sort=" + order
		for page := 0; ; page++ {
			names, list := s.listed(query)
			seen = append(seen, names...)
			next, more := list["next"].(string)
			if !more {
				break
			}
			if page == 0 { // what the page ended with goes, and something comes in before it
				f.views = slices.DeleteFunc(f.views, func(v orchestrator.View) bool { return v.Name == names[len(names)-1] })
				first := f.views[0]
				first.Name, first.State, first.Findings = "aaa", "blocked", f.views[0].Findings
				f.views = append(f.views, first)
			}
			query = "limit=2&sort=" + order + "&after=" + url.QueryEscape(next)
		}
		slices.Sort(seen)
		if strings.Join(seen, " ") != "bills carts mail stock users" {
			t.Errorf("by %s: %v", order, seen)
		}
	}
}

func TestACursorOfAnotherListIsRefused(t *testing.T) {
	_, s := trouble5(t)
	_, list := s.listed("limit=2&sort=trouble")
	for path, place := range map[string]string{
		"/clusters?after=" + list["next"].(string):    "query.after",
		"/clusters?after=nonsense":                    "query.after",
		"/recoveries?before=" + list["next"].(string): "query.before",
		"/events/recent?before=abc-7":                 "query.before",
		"/events/recent?before=nonsense":              "query.before",
	} {
		s.ask("GET", "/api/v1"+path, "").wantProblem(t, 422, CodeInvalid, place)
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("bmFtZSAwIHNob3A")
	f.Add(position{-3, "a b\x00c"}.cursor("time"))
	f.Fuzz(func(t *testing.T, text string) {
		for _, order := range []string{"name", "time"} {
			p, err := readCursor("query.after", order, text)
			if err != nil || p == nil {
				continue
			}
			again, err := readCursor("query.after", order, p.cursor(order))
			if err != nil || *again != *p {
				t.Errorf("%q is %+v, and that is %+v %v", text, *p, again, err)
			}
			if _, err := base64.RawURLEncoding.DecodeString(text); err != nil {
				t.Errorf("%q was taken", text)
			}
		}
	})
}

func TestChangesAreFilteredAndPaged(t *testing.T) {
	f, s := fleetOf(t, [3]string{"shop", "healthy", ""})
	begun := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for i := range 7 {
		op := f.end
		op.ID, op.Cluster, op.StartedAt, op.Automatic = fmt.Sprintf("shop-%d", 7-i), "shop", begun.Add(-time.Duration(i/2)*time.Hour), i%2 == 0
		op.Stages = f.end.Stages
		if i == 6 {
			op.Kind, op.State = reparent.KindEmergency, reparent.StateUndone
		}
		f.past = append(f.past, op)
	}
	ask := func(query string) (ids []string, next string) {
		t.Helper()
		r := s.ask("GET", "/api/v1/recoveries?"+query, "")
		if r.status != 200 {
			t.Fatalf("%s: %s", query, r.text)
		}
		list := r.tree(t)
		for _, c := range list["recoveries"].([]any) {
			ids = append(ids, strings.TrimPrefix(c.(map[string]any)["id"].(string), "shop-"))
		}
		next, _ = list["next"].(string)
		return ids, next
	}
	for query, want := range map[string]string{
		"kind=emergency":                    "1",
		"state=undone,failed":               "1",
		"automatic=true":                    "7 5 3 1",
		"automatic=false":                   "6 4 2",
		"since=2026-11-20T11:00:00Z":        "6 7 4 5",
		"until=2026-11-20T11:00:00Z":        "2 3 1",
		"automatic=true&limit=2&brief=true": "7 5",
	} {
		if ids, _ := ask(query); strings.Join(ids, " ") != want {
			t.Errorf("%s: %v, want %s", query, ids, want)
		}
	}
	var seen []string
	ids, next := ask("limit=3")
	for seen = ids; next != ""; seen = append(seen, ids...) {
		ids, next = ask("limit=3&before=" + next)
	}
	if strings.Join(seen, " ") != "6 7 4 5 2 3 1" {
		t.Errorf("by pages: %v", seen)
	}
	brief := s.ask("GET", "/api/v1/recoveries?brief=true&limit=1", "").tree(t)["recoveries"].([]any)[0].(map[string]any)
	if len(brief["stages"].([]any)) != 0 || brief["certificate"].(map[string]any)["servers"] == nil || brief["state"] != "succeeded" {
		t.Errorf("brief: %v", brief)
	}
}

func TestWhatHasHappenedIsToldNewestFirst(t *testing.T) {
	s := serveWith(t, shop(), nil)
	for i := range 5 {
		s.tell("shop", fmt.Sprint(i))
	}
	s.tell("stock", "elsewhere")
	s.events.Tell(orchestrator.Event{Kind: orchestrator.EventStore, Cluster: "shop", Text: "away", At: time.Now()})
	read := func(query string) (told string, next string) {
		t.Helper()
		list := s.ask("GET", "/api/v1/events/recent?"+query, "").tree(t)
		for _, e := range list["events"].([]any) {
			told += e.(map[string]any)["text"].(string) + " "
		}
		if since, err := time.Parse(time.RFC3339, list["since"].(string)); err != nil || since.After(time.Now()) {
			t.Errorf("since %v", list["since"])
		}
		next, _ = list["next"].(string)
		return told, next
	}
	for query, want := range map[string]string{
		"":                           "away elsewhere 4 3 2 1 0 ",
		"cluster=shop":               "away 4 3 2 1 0 ",
		"cluster=shop&kind=operator": "4 3 2 1 0 ",
		"kind=store,refused":         "away ",
		"limit=2":                    "away elsewhere ",
	} {
		if told, _ := read(query); told != want {
			t.Errorf("%s: %s, want %s", query, told, want)
		}
	}
	told, next := read("cluster=shop&limit=4")
	for next != "" {
		var more string
		s.tell("shop", "meanwhile")
		more, next = read("cluster=shop&limit=4&before=" + next)
		told += more
	}
	if told != "away 4 3 2 1 0 " {
		t.Errorf("by pages: %s", told)
	}
	s.ask("GET", "/api/v1/events/recent?cluster=shap", "").wantProblem(t, 404, CodeNoSuchCluster)
}

func TestACallerLearnsWhoItIs(t *testing.T) {
	s := serveWith(t, shop(), func(s *Settings) { s.Access, s.Elector = everybody, "elector-1" })
	s.ask("GET", "/api/v1/whoami", "").wantProblem(t, 401, CodeUnauthorized)
	if got := fmt.Sprint(s.ask("GET", "/api/v1/whoami", "", bearer("operator-token-12")...).tree(t)); got != "map[auth:true elector:elector-1 name:deploy role:operator sandbox:false version:test]" {
		t.Error(got)
	}
	for _, path := range []string{"/events/recent", "/clusters/shop/trends"} {
		s.ask("GET", "/api/v1"+path, "").wantProblem(t, 401, CodeUnauthorized)
	}
}
