package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
)

func TestTheClientReadsWhatTheServerWrites(t *testing.T) {
	p := shop()
	close(p.ended)
	s, ctx := serveWith(t, p, nil), context.Background()
	list, err := s.client.Clusters(ctx)
	if err != nil || len(list) != 1 || list[0].Primary != "db1:3306" {
		t.Errorf("clusters: %+v %v", list, err)
	}
	c, err := s.client.Cluster(ctx, "shop")
	if err != nil || len(c.Servers) != 3 || !c.Automation {
		t.Errorf("cluster: %+v %v", c, err)
	}
	begun, err := s.client.Reparent(ctx, "shop", ReparentRequest{Kind: "planned", CertifyDown: Servers{"db1:3306"}}, time.Minute)
	if err != nil || begun.Recovery.State != "succeeded" {
		t.Errorf("reparent: %+v %v", begun, err)
	}
	all, err := s.client.Recoveries(ctx, "shop", 5)
	if err != nil || len(all) != 1 || *all[0].GapMS != 7 {
		t.Errorf("recoveries: %+v %v", all, err)
	}
	if one, err := s.client.Recovery(ctx, "shop-0000000004"); err != nil || one.Stages[0].DurationUS != 1500 {
		t.Errorf("recovery: %+v %v", one, err)
	}
	_, ackErr := s.client.Acknowledge(ctx, "shop", "seen")
	_, switchErr := s.client.SetAutomation(ctx, "shop", true, "")
	_, maintenanceErr := s.client.SetMaintenance(ctx, "shop", "db2:3306", MaintenanceRequest{})
	if err := errors.Join(ackErr, switchErr, maintenanceErr); err != nil {
		t.Error(err)
	}
	if p.wishes[0].By != "ada (not authenticated)" {
		t.Errorf("asked as %q", p.wishes[0].By)
	}
}

func TestARefusalReachesTheCallerAsAProblem(t *testing.T) {
	p := shop()
	p.err = &orchestrator.BlockedError{Obstacle: reparent.Obstacle{Code: "window_open", Message: "too soon"}}
	_, err := serveWith(t, p, nil).client.Reparent(context.Background(), "shop", ReparentRequest{Kind: "planned"}, 0)
	var problem *Problem
	if !errors.As(err, &problem) || problem.Code != CodeBlocked || problem.Obstacle.Code != "window_open" {
		t.Errorf("got %v", err)
	}
}

func TestANameWithASlashStaysOneName(t *testing.T) {
	_, err := serveWith(t, shop(), nil).client.Cluster(context.Background(), "../recoveries")
	var problem *Problem
	if !errors.As(err, &problem) {
		t.Errorf("got %v", err)
	}
}

func TestNobodyThereAndSomebodyElseAreToldApartFromRefusals(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	_ = l.Close()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	defer other.Close()
	for _, url := range []string{nobody, other.URL} {
		client, err := NewClient(ClientSettings{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Clusters(context.Background())
		client.Close()
		var gone *UnreachableError
		if !errors.As(err, &gone) || !strings.Contains(err.Error(), url) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestATokenNeverTravelsInClearText(t *testing.T) {
	for url, ok := range map[string]bool{
		"http://primacy.example.org:3900": false, "https://primacy.example.org": true, "http://127.0.0.1:3900": true, "http://localhost:3900": true,
	} {
		if _, err := NewClient(ClientSettings{URL: url, Token: "secret-secret-secret"}); (err == nil) != ok || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestOnlyURLsOfAControlPlaneAreTaken(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:3900", "ftp://x", "http://", "://"} {
		if _, err := NewClient(ClientSettings{URL: url}); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
}

func TestAServerThatNeverAnswersIsNotWaitedForForEver(t *testing.T) {
	stop := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	defer s.Close()
	defer close(stop)
	client, err := NewClient(ClientSettings{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err = client.Clusters(ctx)
	var gone *UnreachableError
	if !errors.As(err, &gone) || !strings.Contains(err.Error(), "in time") {
		t.Errorf("got %v", err)
	}
}

// TestACallWhoseAnswerIsLostIsRepeatedWithItsKey cuts the connection after the call has been carried out.
func TestACallWhoseAnswerIsLostIsRepeatedWithItsKey(t *testing.T) {
	for name, row := range map[string]struct {
		knowsKeys bool
		calls     int
	}{
		"to a control plane that knows keys": {true, 2},
		"to one of an earlier release":       {false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := shop()
			inner := Handler(Settings{Plane: p, Events: orchestrator.NewStream(nil)})
			var lost atomic.Bool
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/api/v1/whoami" && !row.knowsKeys:
					http.NotFound(w, r)
				case r.Method == http.MethodPost && lost.CompareAndSwap(false, true):
					inner.ServeHTTP(httptest.NewRecorder(), r)
					panic(http.ErrAbortHandler)
				default:
					inner.ServeHTTP(w, r)
				}
			}))
			defer s.Close()
			client, err := NewClient(ClientSettings{URL: s.URL, User: "ada"})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.Reparent(context.Background(), "shop", ReparentRequest{Kind: "planned"}, 0)
			wishes := p.wished()
			if (err == nil) != row.knowsKeys || len(wishes) != row.calls {
				t.Fatalf("%v, %d calls", err, len(wishes))
			}
			if first, last := wishes[0].Call, wishes[len(wishes)-1].Call; first.Key == "" || first != last {
				t.Errorf("%v, then %v", first, last)
			}
		})
	}
}

func TestTheClientAsksForPagesAndReadsThem(t *testing.T) {
	_, s := trouble5(t)
	ctx := context.Background()
	first, err := s.client.ClusterList(ctx, ClusterQuery{States: []string{"degraded", "blocked"}, Severity: "warning", Finding: "primary_dead", Worst: true, Trouble: true, Limit: 2})
	if err != nil || first.Total != 3 || len(first.Clusters) != 2 || first.Clusters[0].Name != "carts" || len(first.Clusters[0].Findings) != 1 {
		t.Fatalf("%+v %v", first, err)
	}
	second, err := s.client.ClusterList(ctx, ClusterQuery{States: []string{"degraded", "blocked"}, Trouble: true, After: first.Next})
	if err != nil || len(second.Clusters) != 1 || second.Clusters[0].Name != "users" {
		t.Errorf("%+v %v", second, err)
	}
	s.tell("shop", "one")
	s.tell("shop", "two")
	events, err := s.client.RecentEvents(ctx, "", "", 1)
	if err != nil || len(events.Events) != 1 || events.Events[0].Text != "two" {
		t.Fatalf("%+v %v", events, err)
	}
	if older, err := s.client.RecentEvents(ctx, "", events.Next, 1); err != nil || older.Events[0].Text != "one" || older.Next != "" {
		t.Errorf("%+v %v", older, err)
	}
	if who, err := s.client.Whoami(ctx); err != nil || who.Role != "admin" || who.Auth {
		t.Errorf("%+v %v", who, err)
	}
}
