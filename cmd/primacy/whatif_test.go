package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/topology/topologytest"
)

func exampleWhatIf() api.WhatIf {
	return api.WhatIf{
		Cluster: "shop", Primary: "db1:3306", Term: 7, ProbedAt: noon, ByHand: "the primary was changed 2 min ago (emergency, db2:3306 to db1:3306)",
		Failures: []api.Case{
			{Kind: "server", Failed: []string{"db1:3306"}, Outcome: "promoted", Promoted: "db2:3306"},
			{Kind: "server", Failed: []string{"db2:3306"}, Outcome: "unaffected"},
			{Kind: "server", Failed: []string{"db3:3306"}, Outcome: "writes_wait", Obstacle: &api.Obstacle{
				Message: "commits on db1:3306 wait for more acknowledgements than there are: for 2, of 1", Needs: [][]string{{"db3:3306"}, {"db4:3306"}}}},
			{Kind: "zone", Zone: "a", Failed: []string{"db1:3306", "db4:3306"}, Outcome: "blocked", Obstacle: &api.Obstacle{
				Message: "db1:3306 could still complete writes with db4:3306", Needs: [][]string{{"db1:3306"}, {"db4:3306"}}}},
			{Kind: "pair", Failed: []string{"db1:3306", "db2:3306"}, Outcome: "promoted", Promoted: "db3:3306"},
			{Kind: "pair", Failed: []string{"db1:3306", "db3:3306"}, Outcome: "blocked", Obstacle: &api.Obstacle{Message: "db1:3306 could still complete writes with db3:3306"}},
		},
		Expected: api.Expected{NoticedMS: 3250, ChangeMS: of[int64](1840), Measured: 3},
	}
}

func TestForecastsReadWell(t *testing.T) {
	told := exampleWhatIf()
	wantGolden(t, "whatif", drawn(func(t *terminal) { t.whatif(told, noon.Add(400*time.Millisecond)) }))
	told.Failures, told.ByHand, told.Expected.ChangeMS = told.Failures[:1], "", nil
	wantGolden(t, "whatif_asked", drawn(func(t *terminal) { t.whatif(told, noon.Add(400*time.Millisecond)) }))
}

func TestTheExitCodeSaysWhetherAFailureWouldBeSurvived(t *testing.T) {
	p := newPlane()
	b := topologytest.Cluster("A", "B", "C") // whose sets go by names without a port
	p.view.Ruleset, p.view.Snapshot, p.view.History, p.view.Primary = b.Ruleset(), b.Snapshot(), b.History(), "A"
	primacy(t, p, "whatif", "shop").wants(t, exitDone, "if A fails: B is promoted", "if C fails: writes go on", "Of 3 pairs of servers")
	primacy(t, p, "whatif", "shop", "--fail", "B", "--fail", "C").wants(t, exitBlocked, "writes wait")
	primacy(t, p, "whatif", "shop", "--fail", "Z").wants(t, exitUsage, "neither a server nor a zone")
	if r := primacy(t, p, "whatif", "shop", "-o", "json"); !json.Valid([]byte(r.out)) {
		t.Errorf("got %s", r.out)
	}
}
