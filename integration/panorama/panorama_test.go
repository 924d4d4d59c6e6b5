package panorama

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
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

func (p *Plane) one(t *testing.T, s *situation) *town {
	t.Helper()
	for _, x := range p.towns {
		if x.now == s {
			return x
		}
	}
	t.Fatal("no cluster is like that")
	return nil
}

func TestARepeatedCallChangesNothingASecondTime(t *testing.T) {
	p := landscapeOf(10, time.Now())
	quiet := p.one(t, well)
	wish := orchestrator.Wish{Cluster: quiet.name, Kind: reparent.KindPlanned, By: "ada", Call: reparent.Call{Key: "k", Digest: "d"}}
	first, err := p.Reparent(t.Context(), wish)
	if err != nil {
		t.Fatal(err)
	}
	p.advance(time.Now().Add(lasts))
	again, err := p.Reparent(t.Context(), wish)
	if err != nil || again.Operation.ID != first.Operation.ID || quiet.running != nil {
		t.Errorf("%s and %s, %v", first.Operation.ID, again.Operation.ID, err)
	}
	wish.Call.Digest = "another"
	if _, err := p.Reparent(t.Context(), wish); !errors.Is(err, orchestrator.ErrCallReused) {
		t.Error(err)
	}
}

func TestAClusterThatSomebodyLooksAtHasAPastOfTenMinutes(t *testing.T) {
	rounds := 0
	events := orchestrator.NewStream(nil, func(e orchestrator.Event) {
		if e.Kind == orchestrator.EventProbed {
			rounds++
		}
	})
	p := New(Settings{Clusters: 5, Servers: 3, Seed: 1}, events, time.Now())
	for range 2 {
		if _, err := p.Cluster(p.towns[0].name); err != nil {
			t.Fatal(err)
		}
	}
	if want := int(remembered / probeEvery); rounds != want {
		t.Errorf("%d rounds, want %d", rounds, want)
	}
}

func TestAnErrantServerIsSettledStepByStep(t *testing.T) {
	p := landscapeOf(200, time.Now())
	sick := p.one(t, astray)
	found, err := p.Errant(t.Context(), sick.name, "")
	if err != nil || len(found) != 1 || found[0].Transcript.Rows != rowsShown+2 {
		t.Fatalf("%d servers, %v", len(found), err)
	}
	begun, err := p.Settle(t.Context(), orchestrator.SettleWish{
		Cluster: sick.name, Server: found[0].Server, Kind: settle.KindRewind, Accept: []string{settle.AcceptPossiblyAcked}, Reason: "r", By: "ada",
	})
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := p.Settlement(t.Context(), sick.name, begun.Settlement.ID)
	if err != nil || !s.Running() || s.Progress == nil {
		t.Errorf("%+v, %v", s, err)
	}
	p.advance(time.Now().Add(time.Minute))
	if s, _, err = p.Settlement(t.Context(), sick.name, begun.Settlement.ID); err != nil || s.State != settle.StateSucceeded || len(s.Stages) != len(begun.Steps) {
		t.Errorf("%+v, %v", s, err)
	}
	if found, _ = p.Errant(t.Context(), sick.name, ""); len(found) > 0 {
		t.Error("it is errant still")
	}
}
