package api

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

var update = flag.Bool("update", false, "write files that tests compare with")

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// plane is a control plane of one cluster, shop, that does what a test tells it.
type plane struct {
	mu     sync.Mutex
	view   orchestrator.View
	wishes []orchestrator.Wish
	answer orchestrator.Answer
	err    error
	end    reparent.Operation
	ended  chan struct{} // Await returns when it is closed
	calls  []string
	errant []orchestrator.Errant
	begun  orchestrator.SettleAnswer
	export settle.Transcript
	orders []orchestrator.Order
	store  error
	halts  []halt.Halt // nil: one that has just begun

	unrecorded error // what OnRecord says
}

func (p *plane) Clusters() []orchestrator.View { return []orchestrator.View{p.view} }

func (p *plane) Cluster(name string) (orchestrator.View, error) {
	if name != p.view.Name {
		return orchestrator.View{}, orchestrator.ErrNoSuchCluster
	}
	return p.view, nil
}

func (p *plane) Reparent(_ context.Context, w orchestrator.Wish) (orchestrator.Answer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wishes = append(p.wishes, w)
	p.orders = append(p.orders, orchestrator.Order{By: w.By, Reason: w.Reason, Call: w.Call, Revisions: w.Revisions})
	if w.Cluster != p.view.Name {
		return orchestrator.Answer{}, orchestrator.ErrNoSuchCluster
	}
	return p.answer, p.err
}

// wished is what was asked for so far. A call whose answer was cut off may still be under way.
func (p *plane) wished() []orchestrator.Wish {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.wishes)
}

func (p *plane) OnRecord(context.Context, string) error { return p.unrecorded }

func (p *plane) Await(ctx context.Context, _ string) (reparent.Operation, error) {
	select {
	case <-p.ended:
		return p.end, nil
	case <-ctx.Done():
		return p.answer.Operation, nil
	}
}

func (p *plane) Recoveries(_ context.Context, cluster string, limit int) ([]reparent.Operation, error) {
	p.called("recoveries", cluster, limit)
	return []reparent.Operation{p.end}, p.err
}

func (p *plane) Recovery(_ context.Context, id string) (reparent.Operation, error) {
	if id != p.end.ID {
		return reparent.Operation{}, orchestrator.ErrNoSuchRecovery
	}
	return p.end, nil
}

func (p *plane) Acknowledge(_ context.Context, cluster string, o orchestrator.Order) (antiflap.Window, error) {
	p.ordered(o)
	p.called("ack", cluster, o.By, o.Reason)
	return antiflap.Window{}, p.err
}

func (p *plane) SetAutomation(_ context.Context, cluster string, on bool, o orchestrator.Order) error {
	p.ordered(o)
	p.called("automation", cluster, on, o.By, o.Reason)
	return p.err
}

func (p *plane) SetMaintenance(_ context.Context, cluster string, server topology.Address, on bool, o orchestrator.Order) error {
	p.ordered(o)
	p.called("maintenance", cluster, server, on, o.By, o.Reason)
	return p.err
}

func (p *plane) Ready(context.Context) error { return p.store }

func (p *plane) ordered(o orchestrator.Order) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.orders = append(p.orders, o)
}

// last is the latest order that came in.
func (p *plane) last() orchestrator.Order {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.orders[len(p.orders)-1]
}

func (p *plane) called(args ...any) {
	text, _ := json.Marshal(args)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, string(text))
}

const (
	db1 topology.Address = "db1:3306"
	db2 topology.Address = "db2:3306"
	db3 topology.Address = "db3:3306"
)

// shop is a healthy cluster of three, led by db1 under term 3.
func shop() *plane {
	b := topologytest.Cluster(db1, db2, db3).Primary(db1).Term(3, db1, "")
	v := viewOf(b, time.Now())
	begun := reparent.Operation{
		ID: "shop-0000000004", Cluster: "shop", Kind: reparent.KindPlanned, Term: 4, From: db1, To: db2,
		State: reparent.StateRunning, Phase: reparent.PhasePreparing, StartedAt: v.At, PhaseAt: v.At,
	}
	end := begun
	end.State, end.Phase, end.FinishedAt = reparent.StateSucceeded, reparent.PhaseDone, v.At.Add(120*time.Millisecond)
	end.GapFrom, end.GapTo = v.At, v.At.Add(7*time.Millisecond)
	end.Stages = []reparent.Stage{{Name: "revoke", StartedAt: v.At, Duration: 1500 * time.Microsecond, Outcome: "ok", Detail: "<b>db1</b> stepped down"}}
	return &plane{view: v, answer: orchestrator.Answer{Operation: begun}, end: end, ended: make(chan struct{})}
}

func viewOf(b *topologytest.Builder, at time.Time) orchestrator.View {
	v := orchestrator.View{
		Name: "shop", At: at, Ruleset: b.Ruleset(), Snapshot: b.Snapshot(), History: b.History(),
		State: topology.StateHealthy, Roles: map[topology.Address]topology.ServerRole{}, Leading: true, Elector: "elector-1",
		Automation: orchestrator.Switch{On: true, Reason: "as configured"},
	}
	v.Findings = topology.Analyze(v.Snapshot, v.History, topologytest.Limits, v.Snapshot.At, nil)
	if current, led := v.History.Current(); led {
		v.Primary, v.Term = current.Primary, current.Term
	}
	for _, m := range v.Ruleset.Members {
		v.Roles[m.Address] = topology.Role(v.Snapshot.Server(m.Address), v.History, v.Findings)
	}
	return v
}

// service is the API in front of a plane, being served.
type service struct {
	*httptest.Server
	t      *testing.T
	plane  *plane
	events *orchestrator.Stream
	client *Client
}

func serveWith(t *testing.T, p *plane, change func(*Settings)) *service {
	t.Helper()
	s := Settings{Plane: p, Errant: p, Rules: p, Halt: p, Certificates: p, Inspector: p, Events: orchestrator.NewStream(nil), Version: "test"}
	if change != nil {
		change(&s)
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer(s)
	server.Start()
	client, err := NewClient(ClientSettings{URL: server.URL, User: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Client().CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Config.Shutdown(ctx); err != nil {
			t.Errorf("requests did not end with the server: %v", err)
		}
		server.Close()
	})
	return &service{Server: server, t: t, plane: p, events: s.Events, client: client}
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	text   string
}

func (s *service) ask(method, path, body string, headers ...string) reply {
	s.t.Helper()
	r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	response, err := s.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(text)}
}

// tree is an answer's JSON as it stands, so that tests see names and not our own types.
func (r reply) tree(t *testing.T) map[string]any {
	t.Helper()
	var tree map[string]any
	if err := json.Unmarshal([]byte(r.text), &tree); err != nil {
		t.Fatalf("%s: %v", r.text, err)
	}
	return tree
}

func (r reply) wantProblem(t *testing.T, status int, code string, parts ...string) {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.text)
	}
	if kind := r.header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("content type %q", kind)
	}
	p := r.tree(t)
	if p["code"] != code || p["status"] != float64(status) || p["title"] == "" {
		t.Errorf("got %s, want code %s", r.text, code)
	}
	for _, part := range parts {
		if !strings.Contains(r.text, part) {
			t.Errorf("%s does not say %q", r.text, part)
		}
	}
}
