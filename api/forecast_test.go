package api

import (
	"net/http"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology/topologytest"
)

// zoned is a control plane of four servers in three zones.
func zoned(change func(*topologytest.Builder)) *plane {
	p := shop()
	b := topologytest.Cluster("A", "B", "C", "D").Zone("a", "A", "B").Zone("b", "C").Zone("c", "D")
	if change != nil {
		change(b)
	}
	p.view = viewOf(b, time.Now())
	return p
}

func (s *service) whatIf(fail ...string) WhatIf {
	s.t.Helper()
	told, err := s.client.WhatIf(s.t.Context(), "shop", fail...)
	if err != nil {
		s.t.Fatal(err)
	}
	return told
}

func TestEachFailureIsForetold(t *testing.T) {
	told := serveWith(t, zoned(nil), nil).whatIf()
	kinds, outcomes := map[string]int{}, map[string]int{}
	for _, c := range told.Failures {
		kinds[c.Kind]++
		outcomes[c.Outcome]++
	}
	if kinds["server"] != 4 || kinds["zone"] != 1 || kinds["pair"] != 5 {
		t.Errorf("asked for %v", kinds)
	}
	if !told.Ready || told.Primary != "A" || told.Term != 1 || told.ByHand != "" {
		t.Errorf("got %+v", told)
	}
	if first := told.Failures[0]; first.Outcome != "promoted" || first.Promoted == "" || first.Failed[0] != "A" {
		t.Errorf("the primary's failure: %+v", first)
	}
}

func TestWhatFailsTogetherIsAskedForByServerAndZone(t *testing.T) {
	s := serveWith(t, zoned(nil), nil)
	told := s.whatIf("zone:a", "C")
	if len(told.Failures) != 1 || len(told.Failures[0].Failed) != 3 || told.Failures[0].Outcome != "blocked" || told.Failures[0].Obstacle == nil || told.Ready {
		t.Errorf("got %+v", told)
	}
	if told = s.whatIf("D"); !told.Ready || told.Failures[0].Outcome != "unaffected" {
		t.Errorf("a replica: %+v", told)
	}
	s.ask("GET", "/api/v1/clusters/shop/whatif?fail=Z", "").wantProblem(t, http.StatusUnprocessableEntity, CodeInvalid)
	s.ask("GET", "/api/v1/clusters/shop/whatif?fail=zone:z", "").wantProblem(t, http.StatusUnprocessableEntity, CodeInvalid)
	s.ask("GET", "/api/v1/clusters/shap/whatif", "").wantProblem(t, http.StatusNotFound, CodeNoSuchCluster)
}

func TestAClusterThatOneFailureWouldStopIsNotReady(t *testing.T) {
	told := serveWith(t, zoned(func(b *topologytest.Builder) { b.Acks(2).Silent("C") }), nil).whatIf()
	if told.Ready {
		t.Errorf("got %+v", told)
	}
}

func TestWithoutALeadershipNothingIsForetold(t *testing.T) {
	if told := serveWith(t, zoned(func(b *topologytest.Builder) { b.Unadopted() }), nil).whatIf(); told.Ready || told.Failures[0].Outcome != "unknown" {
		t.Errorf("got %+v", told)
	}
}

func TestWhatWouldTakeAHandIsSaid(t *testing.T) {
	p := zoned(nil)
	p.view.Automation = orchestrator.Switch{Reason: "migration"}
	if told := serveWith(t, p, nil).whatIf(); told.ByHand == "" {
		t.Errorf("got %+v", told)
	}
}

func TestHowLongAChangeTakesRestsOnThoseThatWereMade(t *testing.T) {
	p := zoned(nil)
	p.end.Kind, p.end.GapTo = reparent.KindEmergency, p.end.StartedAt.Add(420*time.Millisecond)
	p.end.Stages[0].StartedAt = p.end.StartedAt
	s := serveWith(t, p, func(s *Settings) { s.NoticedWithin = 3 * time.Second })
	if e := s.whatIf().Expected; e.ChangeMS == nil || *e.ChangeMS != 420 || e.Measured != 1 || e.NoticedMS != 3000 {
		t.Errorf("got %+v", e)
	}
	p.end.Kind = reparent.KindPlanned
	if e := s.whatIf().Expected; e.ChangeMS != nil || e.Measured != 0 {
		t.Errorf("a planned change counts: %+v", e)
	}
}
