package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
)

func TestARefusalNamesTheElectorThatActsAndWhereItIs(t *testing.T) {
	for name, row := range map[string]struct {
		err     error
		elector any
		api     any
		says    string
	}{
		"it says where it is":                      {&orchestrator.ElsewhereError{Elector: "elector-2", API: "https://e2:3900"}, "elector-2", "https://e2:3900", "elector-2 does; its API is reached at https://e2:3900"},
		"it does not, or is of an earlier release": {&orchestrator.ElsewhereError{Elector: "elector-2"}, "elector-2", nil, "set advertise in the configuration of elector-2"},
		"nobody is known to act":                   {orchestrator.ErrNotLeading, nil, nil, "none is known that does; try again"},
	} {
		t.Run(name, func(t *testing.T) {
			p := shop()
			p.err = fmt.Errorf("wrapped: %w", row.err)
			s := serveWith(t, p, nil)
			for _, call := range [][3]string{
				{"POST", "/reparent", `{"kind":"planned"}`}, {"POST", "/antiflap/ack", `{}`}, {"PUT", "/automation", `{"on":true}`}, {"PUT", "/servers/db2:3306/maintenance", `{"on":true}`},
			} {
				r := s.ask(call[0], "/api/v1/clusters/shop"+call[1], call[2])
				r.wantProblem(t, http.StatusServiceUnavailable, CodeNotLeading, row.says)
				if tree := r.tree(t); tree["elector"] != row.elector || tree["api"] != row.api {
					t.Errorf("%s: %s", call[1], r.text)
				}
				if r.header.Get("Location") != "" {
					t.Error("a 503 has no Location")
				}
			}
		})
	}
}

// sender is a client of an elector that stands by, and what it was told of where its calls went.
func sender(t *testing.T, first *service) (*Client, *[]string) {
	t.Helper()
	var told []string
	c, err := NewClient(ClientSettings{URL: first.URL, User: "ada", Follow: func(elector, url string) { told = append(told, elector+" at "+url) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, &told
}

func TestACallIsSentOnAsItWas(t *testing.T) {
	standby, leader := shop(), shop()
	close(leader.ended)
	first, acts := serveWith(t, standby, nil), serveWith(t, leader, nil)
	standby.err = &orchestrator.ElsewhereError{Elector: "elector-2", API: acts.URL + "/"} // a slash more or less is the same URL
	c, told := sender(t, first)
	answer, err := c.Reparent(t.Context(), "shop", ReparentRequest{Kind: "emergency", To: "db2:3306", CertifyDown: Servers{"db1:3306"}, Reason: "dark"}, time.Minute)
	if err != nil || answer.Recovery.State != "succeeded" {
		t.Errorf("%+v %v: the wait was lost on the way", answer, err)
	}
	if len(leader.wishes) != 1 || len(standby.wishes) != 1 || fmt.Sprint(leader.wishes) != fmt.Sprint(standby.wishes) || leader.wishes[0].By != "ada (not authenticated)" {
		t.Errorf("asked for %+v here and %+v there", standby.wishes, leader.wishes)
	}
	if fmt.Sprint(*told) != "[elector-2 at "+acts.URL+"/]" {
		t.Errorf("told %v", *told)
	}
	if c.URL() != first.URL {
		t.Errorf("from now on it speaks to %s", c.URL())
	}
}

func TestWithoutLeaveNothingIsSentOn(t *testing.T) {
	standby, leader := shop(), shop()
	first, acts := serveWith(t, standby, nil), serveWith(t, leader, nil)
	standby.err = &orchestrator.ElsewhereError{Elector: "elector-2", API: acts.URL}
	_, err := first.client.Reparent(t.Context(), "shop", ReparentRequest{Kind: "planned"}, 0)
	var p *Problem
	if !errors.As(err, &p) || p.Elector != "elector-2" || p.API != acts.URL || len(leader.wishes) > 0 {
		t.Errorf("%v, and the other elector was asked for %v", err, leader.wishes)
	}
}

// TestReadingStaysWhereItIs even if an elector should refuse it in the words of a refused change.
func TestReadingStaysWhereItIs(t *testing.T) {
	standby, leader := shop(), shop()
	first, acts := serveWith(t, standby, nil), serveWith(t, leader, nil)
	standby.err = &orchestrator.ElsewhereError{Elector: "elector-2", API: acts.URL}
	c, told := sender(t, first)
	if _, err := c.Recoveries(t.Context(), "shop", 5); err == nil || len(leader.calls) > 0 || len(*told) > 0 {
		t.Errorf("%v, asked elsewhere for %v", err, leader.calls)
	}
}

// TestARefusalThatBreaksOffIsNotOne since what is missing of it may say otherwise.
func TestARefusalThatBreaksOffIsNotOne(t *testing.T) {
	leader := shop()
	acts := serveWith(t, leader, nil)
	whole := fmt.Sprintf(`{"status":503,"code":"not_leading","elector":"elector-2","api":%q}`, acts.URL)
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", problemType)
		w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(whole[:len(whole)-1]))
	}))
	defer cut.Close()
	c, told := sender(t, &service{Server: cut})
	_, err := c.Acknowledge(t.Context(), "shop", "seen")
	var gone *UnreachableError
	if !errors.As(err, &gone) || len(leader.calls) > 0 || len(*told) > 0 {
		t.Errorf("%v, asked elsewhere for %v", err, leader.calls)
	}
}

// TestOneWhoGivesUpIsNotSentOn has the caller leave right before the call would be sent on.
func TestOneWhoGivesUpIsNotSentOn(t *testing.T) {
	leader := shop()
	acts := serveWith(t, leader, nil)
	ctx, cancel := context.WithCancel(t.Context())
	standby := shop()
	standby.err = &orchestrator.ElsewhereError{Elector: "elector-2", API: acts.URL}
	first := serveWith(t, standby, nil)
	c, err := NewClient(ClientSettings{URL: first.URL, Follow: func(string, string) { cancel() }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Acknowledge(ctx, "shop", "seen"); !errors.Is(err, context.Canceled) || len(leader.calls) > 0 {
		t.Errorf("%v, asked elsewhere for %v", err, leader.calls)
	}
}

func TestWhatCameOfASentCallIsToldWithItsPlace(t *testing.T) {
	standby, leader := shop(), shop()
	first, acts := serveWith(t, standby, nil), serveWith(t, leader, nil)
	url := acts.URL
	acts.Close()
	standby.err = &orchestrator.ElsewhereError{Elector: "elector-2", API: url}
	c, _ := sender(t, first)
	_, err := c.Acknowledge(t.Context(), "shop", "seen")
	var sent *SentOnError
	if !errors.As(err, &sent) || sent.Elector != "elector-2" || !strings.Contains(err.Error(), "no control plane answers at "+url) {
		t.Errorf("got %v", err)
	}
}
