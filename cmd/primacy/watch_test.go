package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/orchestrator"
)

// watched is the program while it runs.
type watched struct {
	t     *testing.T
	lines chan string
	stop  func() int
}

// watch runs a command until the test stops it.
func watch(t *testing.T, url string, args ...string) *watched {
	t.Helper()
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("PRIMACY_API", url)
	ctx, cancel := context.WithCancel(t.Context())
	from, to := io.Pipe()
	var errs bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, args, to, &errs)
		_ = to.Close()
	}()
	w := &watched{t: t, lines: make(chan string, 10_000)}
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(w.lines)
		for s := bufio.NewScanner(from); s.Scan(); {
			w.lines <- s.Text()
		}
	})
	w.stop = sync.OnceValue(func() int {
		cancel()
		code := <-ended
		reading.Wait()
		return code
	})
	t.Cleanup(func() {
		if code := w.stop(); code != exitDone {
			t.Errorf("exit code %d: %s", code, errs.String())
		}
	})
	return w
}

// sees waits for a line that contains a text.
func (w *watched) sees(part string) string {
	w.t.Helper()
	var seen []string
	deadline := time.After(20 * time.Second)
	for {
		select {
		case line, open := <-w.lines:
			if !open {
				w.t.Fatalf("it ended without %q:\n%s", part, strings.Join(seen, "\n"))
			}
			if seen = append(seen, line); strings.Contains(line, part) {
				return line
			}
		case <-deadline:
			w.t.Fatalf("never saw %q:\n%s", part, strings.Join(seen, "\n"))
		}
	}
}

// interrupted is an API that can go away, as behind a proxy, and counts what it is asked.
type interrupted struct {
	url   string
	away  atomic.Bool
	asked atomic.Int64
}

func interruptible(t *testing.T, p *plane) *interrupted {
	t.Helper()
	i := &interrupted{}
	next := api.Handler(api.Settings{Plane: p, Events: p.events, Heartbeat: 10 * time.Millisecond})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.asked.Add(1)
		if i.away.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		go func() {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for !i.away.Load() {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
			cancel()
		}()
		next.ServeHTTP(w, r.WithContext(ctx))
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	i.url = server.URL
	return i
}

func (p *plane) happens(kind orchestrator.EventKind, text string) {
	p.events.Tell(orchestrator.Event{At: time.Now(), Kind: kind, Cluster: "shop", Text: text})
}

func TestEventsAreFollowedOverALostConnection(t *testing.T) {
	p := newPlane()
	p.happens(orchestrator.EventOperator, "before")
	i := interruptible(t, p)
	w := watch(t, i.url, "events", "shop", "--follow", "--kind", "operator")
	w.sees("shop operator: before")
	i.away.Store(true)
	w.sees("Connection lost")
	p.happens(orchestrator.EventRepair, "of another kind")
	p.happens(orchestrator.EventOperator, "meanwhile")
	i.away.Store(false)
	w.sees("shop operator: meanwhile")
	p.happens(orchestrator.EventOperator, "afterwards")
	w.sees("shop operator: afterwards")
}

func TestFollowedEventsAreOneLineOfJSONEach(t *testing.T) {
	p := newPlane()
	p.happens(orchestrator.EventOperator, "before")
	i := interruptible(t, p)
	w := watch(t, i.url, "events", "-f", "-o", "json")
	var e api.Event
	if err := json.Unmarshal([]byte(w.sees("before")), &e); err != nil || e.Kind != "operator" {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestWhatIsWatchedIsNotShownAgainUntilItIsAnother(t *testing.T) {
	p := newPlane()
	i := interruptible(t, p)
	w := watch(t, i.url, "recoveries", "--watch", "-o", "json")
	var list api.RecoveryList
	if err := json.Unmarshal([]byte(w.sees("shop-0000000004")), &list); err != nil || len(list.Recoveries) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	for before, tick := i.asked.Load(), time.NewTicker(time.Millisecond); i.asked.Load() < before+3; <-tick.C {
		p.happens(orchestrator.EventOperator, "something else")
	}
	w.stop()
	if rest := len(w.lines); rest > 0 {
		t.Errorf("%d more lines of what has not changed", rest)
	}
}

func TestAWatchedTreeSaysWhenTheConnectionIsLost(t *testing.T) {
	i := interruptible(t, newPlane())
	w := watch(t, i.url, "topology", "shop", "--watch")
	w.sees("shop is HEALTHY")
	i.away.Store(true)
	w.sees("Connection lost")
	i.away.Store(false)
	w.sees("shop is HEALTHY")
}

func TestWatchingSomethingUnknownIsAMistakeAndNoWait(t *testing.T) {
	primacy(t, newPlane(), "topology", "shap", "--watch").wants(t, exitUsage, "known are shop")
	primacy(t, newPlane(), "events", "shap", "--follow").wants(t, exitUsage, "known are shop")
}
