package api

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/primacydb/primacy/topology"
)

func (p *plane) Inspect(_ context.Context, a topology.Address) topology.Inspection {
	p.called("inspect", a)
	i := topology.Inspection{Observation: *p.view.Snapshot.Server(a), Unread: []string{"SELECT on mysql.user is denied"}}
	i.Variables = map[string]topology.Variable{"sync_relay_log": {Value: "10000"}}
	return i
}

func (p *plane) LintLimits(string) topology.LintLimits {
	return topology.LintLimits{SilentAfter: 2 * time.Second}
}

func TestACheckOfSettingsSaysOfEachServerWhatIsPermittedAndWhatWasNotRead(t *testing.T) {
	s := serveWith(t, shop(), nil)
	told, err := s.client.CheckSettings(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	relayed := map[string]bool{}
	for _, f := range told.Findings {
		if f.Message == "" || f.Permits == "" || f.Mend == "" {
			t.Errorf("%s says too little: %+v", f.Code, f)
		}
		if f.Code == "sync_relay_log" {
			relayed[f.Server] = f.Fix == "SET PERSIST sync_relay_log = 1"
		}
	}
	if !relayed["db1:3306"] || !relayed["db2:3306"] || !relayed["db3:3306"] {
		t.Errorf("sync_relay_log: %v", relayed)
	}
	if len(told.Servers) != 3 || told.Servers[2].Unread[0] != "SELECT on mysql.user is denied" || told.Servers[0].Reach != "ok" || told.CheckedAt.IsZero() {
		t.Errorf("%+v", told.Servers)
	}
}

// Otherwise whoever may only look could keep servers busy.
func TestManyReadersOfACheckAskEachServerOnce(t *testing.T) {
	s := serveWith(t, shop(), nil)
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			if r := s.ask("GET", "/api/v1/clusters/shop/check", ""); r.status != 200 {
				t.Error(r.status, r.text)
			}
		})
	}
	readers.Wait()
	if asked := len(s.plane.calls); asked != 3 {
		t.Errorf("%d servers were asked: %s", asked, s.plane.calls)
	}
}

func TestACheckOfAnUnknownClusterAsksNobody(t *testing.T) {
	s := serveWith(t, shop(), nil)
	s.ask("GET", "/api/v1/clusters/shpo/check", "").wantProblem(t, 404, CodeNoSuchCluster)
	if len(s.plane.calls) > 0 {
		t.Error(s.plane.calls)
	}
}

// Else a clock that was set back would have an old answer told until it has caught up.
func TestACheckFromTheFutureIsNotToldAgain(t *testing.T) {
	p := shop()
	f := &front{settings: Settings{Plane: p, Inspector: p}.withDefaults()}
	f.checks.of("shop").latest = SettingsCheck{CheckedAt: time.Now().Add(time.Hour)}
	if told := f.inspected(t.Context(), p.view); len(told.Servers) != 3 {
		t.Errorf("%+v", told)
	}
}

// frozen answers only when an inspection's time is up.
type frozen struct{ *plane }

func (i frozen) Inspect(ctx context.Context, a topology.Address) topology.Inspection {
	bounded, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	<-bounded.Done()
	return i.plane.Inspect(ctx, a)
}

// Else whoever waits for the answer would have them asked again, one after the other, for 15 s each.
func TestACheckOfServersThatAreFrozenIsToldToThoseWhoWaitedForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := shop()
		f := &front{settings: Settings{Plane: p, Inspector: frozen{p}}.withDefaults()}
		f.inspected(t.Context(), p.view)
		f.inspected(t.Context(), p.view)
		if len(p.calls) != 3 {
			t.Errorf("%d servers were asked", len(p.calls))
		}
	})
}
