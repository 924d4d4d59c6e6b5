package metrics

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

func viewOf(b *topologytest.Builder) orchestrator.View {
	v := orchestrator.View{
		Name: "shop", Ruleset: b.Ruleset(), Snapshot: b.Snapshot(), History: b.History(), Leading: true, State: topology.StateHealthy,
		Roles: map[topology.Address]topology.ServerRole{}, Automation: orchestrator.Switch{On: true},
	}
	v.Findings = topology.Analyze(v.Snapshot, v.History, topologytest.Limits, topologytest.Now, nil)
	if current, led := v.History.Current(); led {
		v.Primary, v.Term = current.Primary, current.Term
	}
	for _, m := range v.Ruleset.Members {
		v.Roles[m.Address] = topology.Role(v.Snapshot.Server(m.Address), v.History, v.Findings)
	}
	return v
}

// watching is metrics of clusters that a test may exchange.
func watching(views ...orchestrator.View) (*Metrics, func(...orchestrator.View)) {
	m := New()
	m.Watch(func() []orchestrator.View { return views })
	return m, func(other ...orchestrator.View) { views = other }
}

func (m *Metrics) wants(t *testing.T, name, want string) {
	t.Helper()
	if err := testutil.GatherAndCompare(m.registry, strings.NewReader(want), name); err != nil {
		t.Error(err)
	}
}

func TestAClusterIsShownAsItStands(t *testing.T) {
	m, _ := watching(viewOf(topologytest.Cluster("A", "B", "C").Term(7, "A", "").Dead("C")))
	m.wants(t, "primacy_servers", `
# HELP primacy_servers Members of a cluster, by role.
# TYPE primacy_servers gauge
primacy_servers{cluster="shop",role="primary"} 1
primacy_servers{cluster="shop",role="quarantined"} 0
primacy_servers{cluster="shop",role="replica"} 1
primacy_servers{cluster="shop",role="unknown"} 0
primacy_servers{cluster="shop",role="unreachable"} 1
`)
	m.wants(t, "primacy_term", "# HELP primacy_term Number of the established leadership; 0 when none is recorded.\n# TYPE primacy_term gauge\nprimacy_term{cluster=\"shop\"} 7\n")
	m.wants(t, "primacy_elector_leader", "# HELP primacy_elector_leader 1 on the elector that acts for the cluster.\n# TYPE primacy_elector_leader gauge\nprimacy_elector_leader{cluster=\"shop\"} 1\n")
	m.wants(t, "primacy_antiflap_open", "# HELP primacy_antiflap_open 1 while no automatic change of the primary is made because of the last one.\n# TYPE primacy_antiflap_open gauge\nprimacy_antiflap_open{cluster=\"shop\"} 0\n")
}

func TestLagIsShownInSecondsAndNotWhenUnknown(t *testing.T) {
	lag := func(d time.Duration) func(*topology.Replication) { return func(r *topology.Replication) { r.Lag = d } }
	m, _ := watching(viewOf(topologytest.Cluster("A", "B", "C").Replication("B", lag(1500*time.Millisecond)).Replication("C", lag(-1))))
	m.wants(t, "primacy_replication_lag_seconds", `
# HELP primacy_replication_lag_seconds Age of what a replica is applying; absent when unknown.
# TYPE primacy_replication_lag_seconds gauge
primacy_replication_lag_seconds{cluster="shop",server="B"} 1.5
`)
}

func TestErrantTransactionsAreCounted(t *testing.T) {
	m, _ := watching(viewOf(topologytest.Cluster("A", "B", "C").Executed("B", "A:1-100,B:1-3")))
	m.wants(t, "primacy_errant_transactions", `
# HELP primacy_errant_transactions Transactions of a server that the primary's history does not contain.
# TYPE primacy_errant_transactions gauge
primacy_errant_transactions{cluster="shop",server="B"} 3
`)
}

func TestSeriesVanishWithWhatTheySpokeOf(t *testing.T) {
	m, exchange := watching(viewOf(topologytest.Cluster("A", "B", "C").Dead("C")))
	count := func(name string) int {
		n, err := testutil.GatherAndCount(m.registry, name)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if count("primacy_findings") == 0 {
		t.Fatal("a dead server is no finding")
	}
	exchange(viewOf(topologytest.Cluster("A", "B", "C")))
	if n := count("primacy_findings"); n != 0 {
		t.Errorf("%d findings of a healthy cluster", n)
	}
	exchange()
	if n := count("primacy_servers") + count("primacy_term"); n != 0 {
		t.Errorf("%d series of no cluster", n)
	}
}

func TestChangesAreCountedWithTheirTimes(t *testing.T) {
	m := New()
	at := topologytest.Now
	op := reparent.Operation{
		Cluster: "shop", Kind: reparent.KindEmergency, State: reparent.StateSucceeded, StartedAt: at, FinishedAt: at.Add(200 * time.Millisecond),
		GapFrom: at, GapTo: at.Add(100 * time.Millisecond), Stages: []reparent.Stage{{Name: "detect", StartedAt: at.Add(-800 * time.Millisecond)}},
	}
	m.Tap(orchestrator.Event{Kind: orchestrator.EventRecoveryStarted, Recovery: &op})
	m.Tap(orchestrator.Event{Kind: orchestrator.EventRecoveryFinished, Recovery: &op})
	m.wants(t, "primacy_recoveries_total", `
# HELP primacy_recoveries_total Changes of primaries that have ended, by what became of them.
# TYPE primacy_recoveries_total counter
primacy_recoveries_total{cluster="shop",kind="emergency",outcome="succeeded"} 1
`)
	text := scrape(t, m)
	for _, line := range []string{
		`primacy_recovery_duration_seconds_sum{kind="emergency"} 1`, `primacy_write_gap_seconds_sum{kind="emergency"} 0.1`,
		`primacy_events_total{kind="recovery_finished"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
}

func TestProbesAreCountedByHowTheyEnded(t *testing.T) {
	m := New()
	m.Tap(orchestrator.Event{Kind: orchestrator.EventProbed, Probes: []topology.Observation{
		{Reach: topology.ReachOK, Latency: 2 * time.Millisecond}, {Reach: topology.ReachSilent, Latency: time.Second}, {},
	}})
	m.wants(t, "primacy_probes_total", `
# HELP primacy_probes_total Probes of servers, by how they ended: ok, refused, reset, silent, denied, unresolved.
# TYPE primacy_probes_total counter
primacy_probes_total{result="ok"} 1
primacy_probes_total{result="silent"} 1
primacy_probes_total{result="unknown"} 1
`)
	if text := scrape(t, m); !strings.Contains(text, "primacy_probe_duration_seconds_sum 0.002\n") {
		t.Error("the time of a probe that was not answered counts")
	}
}

func TestNamesAndHelpAreAsPrometheusWantsThem(t *testing.T) {
	m, _ := watching(viewOf(topologytest.Cluster("A", "B", "C").Dead("C").Executed("B", "A:1-100,B:1")))
	m.Tap(orchestrator.Event{Kind: orchestrator.EventRecoveryFinished, Recovery: &reparent.Operation{}})
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestAScrapeBeforeAnythingIsWatchedIsNoError(t *testing.T) {
	if text := scrape(t, New()); !strings.Contains(text, "go_goroutines") {
		t.Error("nothing of this process")
	}
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text, err := io.ReadAll(w.Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %v", w.Code, err)
	}
	return string(text)
}
