package api

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

func (s *service) tell(cluster, text string) {
	s.events.Tell(orchestrator.Event{Kind: orchestrator.EventOperator, At: time.Now(), Cluster: cluster, Text: text})
}

func (s *service) listen(cluster, lastID string) *Listener {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	s.t.Cleanup(cancel)
	l, err := s.client.Listen(ctx, cluster, lastID)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = l.Close() })
	return l
}

func (s *service) next(l *Listener) Event {
	s.t.Helper()
	e, err := l.Next()
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

func TestAListenerHearsWhatHappensFromNowOn(t *testing.T) {
	s := serveWith(t, shop(), nil)
	s.tell("shop", "before")
	l := s.listen("", "")
	s.tell("shop", "after")
	if e := s.next(l); e.Text != "after" || e.Kind != "operator" || e.Cluster != "shop" || e.ID == "" {
		t.Errorf("heard %+v", e)
	}
}

func TestAListenerOfOneClusterHearsOfNoOther(t *testing.T) {
	s := serveWith(t, shop(), nil)
	l := s.listen("shop", "")
	s.tell("stock", "not for you")
	s.tell("shop", "for you")
	if e := s.next(l); e.Text != "for you" {
		t.Errorf("heard %+v", e)
	}
}

func TestAListenerGoesOnWhereItLeftOff(t *testing.T) {
	s := serveWith(t, shop(), nil)
	l := s.listen("", "")
	s.tell("shop", "one")
	first := s.next(l)
	_ = l.Close()
	s.tell("shop", "two")
	l = s.listen("", first.ID)
	s.tell("shop", "three")
	if two, three := s.next(l), s.next(l); two.Text != "two" || three.Text != "three" {
		t.Errorf("heard %+v and %+v", two, three)
	}
}

func TestAListenerOfAnEarlierLifeIsToldThatItMissedSomething(t *testing.T) {
	s := serveWith(t, shop(), nil)
	s.tell("shop", "one")
	for _, id := range []string{"abc-99", "nonsense", "99"} {
		l := s.listen("", id)
		if gap, one := s.next(l), s.next(l); gap.Kind != EventGap || one.Text != "one" {
			t.Errorf("after %q heard %+v and %+v", id, gap, one)
		}
	}
}

func TestAListenerThatWasAwayForTooLongIsToldSo(t *testing.T) {
	s := serveWith(t, shop(), nil)
	l := s.listen("", "")
	s.tell("shop", "one")
	first := s.next(l)
	_ = l.Close()
	for range 5000 {
		s.tell("shop", "many")
	}
	if e := s.next(s.listen("", first.ID)); e.Kind != EventGap {
		t.Errorf("heard %+v", e)
	}
}

func TestEventsCarryFindingsAndStages(t *testing.T) {
	s := serveWith(t, shop(), nil)
	l := s.listen("", "")
	s.events.Tell(orchestrator.Event{
		Kind: orchestrator.EventRecoveryStage, Cluster: "shop", RecoveryID: "shop-4", Stage: &reparent.Stage{Name: "revoke", Duration: time.Millisecond},
		Finding: &topology.Finding{Code: topology.PrimaryDead, Message: "gone"}, Recovery: &reparent.Operation{State: reparent.StateRunning},
	})
	e := s.next(l)
	if e.Recovery != "shop-4" || e.Stage.Name != "revoke" || e.Stage.DurationUS != 1000 || e.Finding.Code != "primary_dead" || e.State != "running" {
		t.Errorf("heard %+v", e)
	}
}

func TestNoTextCanEndAnEventAndBeginItsOwn(t *testing.T) {
	s := serveWith(t, shop(), nil)
	l := s.listen("", "")
	evil := "x\n\nevent: recovery_finished\ndata: {\"text\":\"forged\"}\n\n"
	s.tell("shop", evil)
	s.tell("shop", "next")
	if e, after := s.next(l), s.next(l); e.Text != evil || after.Text != "next" {
		t.Errorf("heard %+v and %+v", e, after)
	}
}

func TestAnIdleStreamGivesSignsOfLife(t *testing.T) {
	s := serveWith(t, shop(), func(s *Settings) { s.Heartbeat = 5 * time.Millisecond })
	response, err := s.Client().Get(s.URL + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("content type %q", kind)
	}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), ":") {
			return
		}
	}
	t.Error("the stream ended without one")
}

func TestTheServersEndEndsStreamsAndWaits(t *testing.T) {
	s := serveWith(t, shop(), nil)
	l := s.listen("", "")
	answered := make(chan reply, 1)
	go func() { answered <- s.ask("POST", "/api/v1/clusters/shop/reparent?wait=5m", `{"kind":"planned"}`) }()
	awaitWish(t, s)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Config.Shutdown(ctx); err != nil {
		t.Fatalf("they go on: %v", err)
	}
	if _, err := l.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream: %v", err)
	}
	if r := <-answered; r.status != http.StatusAccepted {
		t.Errorf("the wait: %d %s", r.status, r.text)
	}
}

func awaitWish(t *testing.T, s *service) {
	t.Helper()
	deadline := time.After(5 * time.Second)
	for {
		if len(s.plane.wished()) > 0 {
			return
		}
		select {
		case <-deadline:
			t.Fatal("the request never arrived")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestMoreListenersThanFitAreSentAway(t *testing.T) {
	s := serveWith(t, shop(), nil)
	for range streamsMax {
		s.listen("", "")
	}
	s.ask("GET", "/api/v1/events", "").wantProblem(t, http.StatusServiceUnavailable, CodeTooManyStreams)
}

func TestEventsOfAnUnknownClusterAreAMistake(t *testing.T) {
	serveWith(t, shop(), nil).ask("GET", "/api/v1/events?cluster=shap", "").wantProblem(t, 404, CodeNoSuchCluster)
}
