package panorama

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func landscapeOf(clusters int, now time.Time) *Plane {
	return New(Settings{Clusters: clusters, Servers: 5, Seed: 1, Changes: 3}, orchestrator.NewStream(nil), now)
}

func TestTheSameSeedShowsTheSameLandscape(t *testing.T) {
	now := time.Now()
	one, other := landscapeOf(60, now), landscapeOf(60, now)
	for range 30 {
		one.Change(now)
		other.Change(now)
	}
	for i, t1 := range one.towns {
		t2 := other.towns[i]
		if t1.view.State != t2.view.State || t1.view.Primary != t2.view.Primary || len(t1.view.Findings) != len(t2.view.Findings) {
			t.Errorf("%s is %s under %s, and %s under %s", t1.name, t1.view.State, t1.view.Primary, t2.view.State, t2.view.Primary)
		}
	}
}

// A page that was only ever looked at with healthy clusters is not finished.
func TestALandscapeShowsEveryStateAndMostFindings(t *testing.T) {
	p := landscapeOf(400, time.Now())
	states, findings := map[topology.ClusterState]int{}, map[topology.Code]int{}
	windows, apart := 0, 0
	for _, v := range p.Clusters() {
		states[v.State]++
		for _, f := range v.Findings {
			findings[f.Code]++
		}
		if v.Window().Open {
			windows++
		}
		if !v.Leading {
			apart++
		}
	}
	for _, s := range []topology.ClusterState{
		topology.StateHealthy, topology.StateDegraded, topology.StatePrimaryFailed, topology.StateReparenting, topology.StateBlocked,
	} {
		if states[s] == 0 {
			t.Errorf("no cluster is %s: %v", s, states)
		}
	}
	if len(findings) < 8 || windows == 0 || apart == 0 {
		t.Errorf("findings %v, %d windows, %d clusters of another elector", findings, windows, apart)
	}
	if states[topology.StateHealthy] < 280 {
		t.Errorf("most clusters are sick: %v", states)
	}
}

func TestAPlannedChangeIsPlayedToItsEnd(t *testing.T) {
	now := time.Now()
	p := landscapeOf(10, now)
	var quiet *town
	for _, x := range p.towns {
		if x.now == well {
			quiet = x
			break
		}
	}
	wish := orchestrator.Wish{Cluster: quiet.name, Kind: reparent.KindPlanned, By: "ada", DryRun: true}
	rehearsed, err := p.Reparent(context.Background(), wish)
	if err != nil || len(rehearsed.Steps) < 4 {
		t.Fatalf("%d steps, %v", len(rehearsed.Steps), err)
	}
	before := quiet.primary
	wish.DryRun = false
	begun, err := p.Reparent(context.Background(), wish)
	if err != nil || !begun.Operation.Running() {
		t.Fatalf("%s, %v", begun.Operation.State, err)
	}
	p.advance(time.Now().Add(lasts))
	v, err := p.Cluster(quiet.name)
	if err != nil || v.Primary == before || v.State != topology.StateHealthy || v.Term != begun.Operation.Term {
		t.Errorf("%s leads under term %d, %s, %v", v.Primary, v.Term, v.State, err)
	}
	op, err := p.Recovery(context.Background(), begun.Operation.ID)
	if err != nil || op.State != reparent.StateSucceeded {
		t.Errorf("%s, %v", op.State, err)
	}
}
