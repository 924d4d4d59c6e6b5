package api

import (
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

func TestAnAnswerThatTheCallerHasIsNotSentAgain(t *testing.T) {
	p := shop()
	s := serveWith(t, p, nil)
	for _, path := range []string{"/clusters", "/clusters?findings=worst", "/clusters/shop", "/clusters/shop/trends", "/recoveries", "/recoveries/shop-0000000004", "/events/recent", "/whoami"} {
		first := s.ask("GET", "/api/v1"+path, "")
		tag := first.header.Get("ETag")
		for _, had := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			again := s.ask("GET", "/api/v1"+path, "", "If-None-Match", had)
			if again.status != 304 || again.text != "" || again.header.Get("ETag") != tag {
				t.Errorf("%s with %s: %d, ETag %q: %s", path, had, again.status, again.header.Get("ETag"), again.text)
			}
		}
		if other := s.ask("GET", "/api/v1"+path, "", "If-None-Match", `"other"`); other.status != 200 || other.text != first.text {
			t.Errorf("%s with another tag: %d %s", path, other.status, other.text)
		}
	}
}

func TestAFindingThatOpensMakesAnotherAnswer(t *testing.T) {
	p := shop()
	s := serveWith(t, p, nil)
	for _, path := range []string{"/api/v1/clusters", "/api/v1/clusters?findings=worst", "/api/v1/clusters/shop"} {
		p.view.Findings = nil
		tag := s.ask("GET", path, "").header.Get("ETag")
		p.view.Findings = []topology.Finding{{Code: topology.PrimaryDead, Severity: topology.SeverityCritical, Since: p.view.At}}
		if r := s.ask("GET", path, "", "If-None-Match", tag); r.status != 200 || r.header.Get("ETag") == tag {
			t.Errorf("%s: %d, ETag %s as before", path, r.status, tag)
		}
	}
}

func TestProblemsHaveNoTag(t *testing.T) {
	r := serveWith(t, shop(), nil).ask("GET", "/api/v1/clusters/shap", "", "If-None-Match", "*")
	r.wantProblem(t, 404, CodeNoSuchCluster)
	if r.header.Get("ETag") != "" {
		t.Error("a problem has an ETag")
	}
}

func TestEveryAnswerOfTheAPISaysWhatTimeItIs(t *testing.T) {
	s := serveWith(t, shop(), func(s *Settings) { s.AnswerTimeout = time.Minute })
	for _, r := range []reply{
		s.ask("GET", "/api/v1/clusters", ""), s.ask("GET", "/api/v1/clusters/shap", ""), s.ask("GET", "/api/v1/nope", ""),
		s.ask("PUT", "/api/v1/clusters/shop/automation", `{"on":true}`), s.ask("GET", "/api/v1/clusters", "", "If-None-Match", "*"),
		s.ask("PUT", "/api/v1/clusters/shop/automation", `{"on":true}`, "Content-Type", "text/plain"),
		s.ask("GET", "/api/v1/clusters", "", "Host", "elsewhere.example.org"),
	} {
		told, err := time.Parse(time.RFC3339, r.header.Get("Primacy-Time"))
		if err != nil || time.Since(told) > time.Minute || time.Since(told) < -time.Minute || !strings.HasSuffix(r.header.Get("Primacy-Time"), "Z") {
			t.Errorf("%d: Primacy-Time %q", r.status, r.header.Get("Primacy-Time"))
		}
	}
}

func TestAnAnswerThatWaitedSaysWhatTimeItIsAtItsEnd(t *testing.T) {
	p := shop()
	before := time.Now()
	r := serveWith(t, p, nil).ask("POST", "/api/v1/clusters/shop/reparent?wait=100ms", `{"kind":"planned"}`)
	if told, err := time.Parse(time.RFC3339, r.header.Get("Primacy-Time")); err != nil || told.Sub(before) < 100*time.Millisecond {
		t.Errorf("Primacy-Time %q, asked at %s: %v", r.header.Get("Primacy-Time"), before, err)
	}
}

// The revision is what a caller can bind a change to, so it must tell what matters from what only passes by.
func TestTheRevisionChangesWithTheRecordAndNotWithTheProbes(t *testing.T) {
	for name, row := range map[string]struct {
		change  func(v *orchestrator.View)
		another bool
	}{
		"another round of probes": {func(v *orchestrator.View) { v.At = v.At.Add(time.Second); v.Snapshot.At = v.At }, false},
		"a finding":               {func(v *orchestrator.View) { v.Findings = []topology.Finding{{Code: topology.PrimaryDead}} }, false},
		"a new primary that goes on proving itself":  {func(v *orchestrator.View) { v.Antiflap.ProvingTo = v.At }, false},
		"the same window by another elector's clock": {func(v *orchestrator.View) { v.Antiflap = v.Antiflap.Shifted(time.Hour) }, false},
		"a window": {func(v *orchestrator.View) {
			v.Antiflap = v.Antiflap.Established(antiflap.Change{Term: 4, Kind: antiflap.Emergency, At: v.At}, antiflap.Defaults())
		}, true},
		"an acknowledgement":      {func(v *orchestrator.View) { v.Antiflap.AcknowledgedAt = v.At }, true},
		"automation switched":     {func(v *orchestrator.View) { v.Automation = orchestrator.Switch{By: "ada", At: v.At} }, true},
		"a server taken out":      {func(v *orchestrator.View) { v.Maintenance = map[topology.Address]orchestrator.Note{db2: {By: "ada"}} }, true},
		"another policy":          {func(v *orchestrator.View) { v.Ruleset.Policy.Acks = 2 }, true},
		"a change that has begun": {func(v *orchestrator.View) { op := shop().end; v.Running = &op }, true},
		"a term that was decided": {func(v *orchestrator.View) {
			v.History.Leaderships = append(v.History.Leaderships, topology.Leadership{})
		}, true},
	} {
		p := shop()
		s := serveWith(t, p, nil)
		p.view.Antiflap = p.view.Antiflap.Established(antiflap.Change{Term: 3, Kind: antiflap.Emergency, At: p.view.At.Add(-time.Minute)}, antiflap.Defaults())
		before := s.ask("GET", "/api/v1/clusters/shop", "")
		row.change(&p.view)
		after := s.ask("GET", "/api/v1/clusters/shop", "")
		was, is := before.tree(t)["revision"], after.tree(t)["revision"]
		if another := was != is; another != row.another {
			t.Errorf("%s: revision %v, then %v", name, was, is)
		}
		if !strings.HasPrefix(after.header.Get("ETag"), `"`+is.(string)+".") {
			t.Errorf("%s: ETag %s of revision %s", name, after.header.Get("ETag"), is)
		}
	}
}
