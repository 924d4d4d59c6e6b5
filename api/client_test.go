package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
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
	_, maintenanceErr := s.client.SetMaintenance(ctx, "shop", "db2:3306", false, "")
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
