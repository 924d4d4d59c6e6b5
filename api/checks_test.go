package api

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

func healthy() *topologytest.Builder {
	return topologytest.Cluster(db1, db2, db3).Primary(db1).Term(3, db1, "")
}

func TestTheCheckForWritesSucceedsOnlyForAProvenPrimary(t *testing.T) {
	now := time.Now()
	running := func(phase reparent.Phase, established bool) func(*orchestrator.View) {
		return func(v *orchestrator.View) {
			op := reparent.Operation{Kind: reparent.KindPlanned, From: db1, To: db2, Term: 4, Phase: phase, State: reparent.StateRunning}
			if established {
				op.Established = now
			}
			v.Running = &op
		}
	}
	for name, row := range map[string]struct {
		cluster *topologytest.Builder
		server  topology.Address
		change  func(*orchestrator.View)
		ok      bool
	}{
		"the established primary":                      {healthy(), db1, nil, true},
		"a replica":                                    {healthy(), db2, nil, false},
		"a primary that is not reached":                {healthy().Unreachable(db1), db1, nil, false},
		"a primary that is read-only":                  {healthy().ReadOnly(db1), db1, nil, false},
		"a writable server of an unadopted cluster":    {healthy().Unadopted(), db1, nil, false},
		"a primary that was last seen too long ago":    {healthy(), db1, func(v *orchestrator.View) { v.At = now.Add(-time.Minute) }, false},
		"a cluster that was never probed":              {healthy(), db1, func(v *orchestrator.View) { v.At = time.Time{} }, false},
		"a primary that a server's higher term denies": {healthy(), db1, func(v *orchestrator.View) { v.Term = 2 }, false},
		"another server at the primary's address":      {healthy(), db1, func(v *orchestrator.View) { v.Roles[db1] = topology.RoleUnknown }, false},
		"a primary while the store is away":            {healthy(), db1, func(v *orchestrator.View) { v.Leading = false }, true},
		"the primary while its successor is prepared":  {healthy(), db1, running(reparent.PhasePreparing, false), true},
		"the primary while it steps down":              {healthy(), db1, running(reparent.PhaseDemoting, false), false},
		"the successor before its term is established": {healthy(), db2, running(reparent.PhaseMarking, false), false},
		"the successor before it takes writes":         {healthy(), db2, running(reparent.PhaseOpening, true), false},
		"the successor once it takes writes":           {healthy(), db2, running(reparent.PhaseReconciling, true), true},
		"the old primary once the successor does":      {healthy(), db1, running(reparent.PhaseReconciling, true), false},
	} {
		t.Run(name, func(t *testing.T) {
			v := viewOf(row.cluster, now)
			if row.change != nil {
				row.change(&v)
			}
			c := checkPrimary(v, row.server, now, 5*time.Second)
			if c.OK != row.ok || c.OK == (c.Reason != "") {
				t.Errorf("got %+v, want ok %v", c, row.ok)
			}
		})
	}
}

func TestTheCheckForReadsSucceedsForAReplicaInService(t *testing.T) {
	now := time.Now()
	lag := func(d time.Duration) *topologytest.Builder {
		return healthy().Replication(db2, func(r *topology.Replication) { r.Lag = d })
	}
	for name, row := range map[string]struct {
		cluster *topologytest.Builder
		server  topology.Address
		change  func(*orchestrator.View)
		lagMax  time.Duration
		ok      bool
	}{
		"a replica that follows":               {healthy(), db2, nil, 0, true},
		"the primary":                          {healthy(), db1, nil, 0, false},
		"a replica that is not reached":        {healthy().Dead(db2), db2, nil, 0, false},
		"a replica whose receiver is off":      {healthy().Stopped(db2), db2, nil, 0, false},
		"a replica that lags, and may":         {lag(time.Hour), db2, nil, 0, true},
		"a replica that lags more than it may": {lag(time.Hour), db2, nil, time.Minute, false},
		"a replica of unknown lag":             {lag(-1), db2, nil, time.Minute, false},
		"a replica under maintenance": {healthy(), db2, func(v *orchestrator.View) {
			v.Maintenance = map[topology.Address]orchestrator.Note{db2: {By: "ada"}}
		}, 0, false},
		"a replica that was last seen too long ago": {healthy(), db2, func(v *orchestrator.View) { v.At = now.Add(-time.Minute) }, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			v := viewOf(row.cluster, now)
			if row.change != nil {
				row.change(&v)
			}
			if c := checkReplica(v, row.server, row.lagMax, now, 5*time.Second); c.OK != row.ok || c.OK == (c.Reason != "") {
				t.Errorf("got %+v, want ok %v", c, row.ok)
			}
		})
	}
}

func TestChecksAnswerRoutersByStatus(t *testing.T) {
	s := serveWith(t, shop(), nil)
	for _, row := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/check/shop/primary?server=db1:3306", 200},
		{"HEAD", "/check/shop/primary?server=db1:3306", 200},
		{"GET", "/check/shop/primary?server=db2:3306", 503},
		{"HEAD", "/check/shop/primary?server=db2:3306", 503},
		{"GET", "/check/shop/replica?server=db2:3306&lag_max=10s", 200},
		{"GET", "/check/shop/replica?server=db1:3306", 503},
		{"GET", "/check/shop/primary?server=db9:3306", 404},
		{"GET", "/check/shap/primary?server=db1:3306", 404},
		{"GET", "/check/shop/primary", 422},
		{"GET", "/check/shop/replica?server=db2:3306&lag_max=much", 422},
	} {
		if r := s.ask(row.method, row.path, ""); r.status != row.status {
			t.Errorf("%s %s: %d, want %d: %s", row.method, row.path, r.status, row.status, r.text)
		}
	}
}

func TestReadinessNeedsTheStoreAndARoundOfProbes(t *testing.T) {
	p := shop()
	s := serveWith(t, p, nil)
	if r := s.ask("GET", "/readyz", ""); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.text)
	}
	p.store = errors.New("the store does not answer")
	if r := s.ask("GET", "/readyz", ""); r.status != http.StatusServiceUnavailable || r.tree(t)["reason"] != "the store does not answer" {
		t.Errorf("%d %s", r.status, r.text)
	}
	p.store, p.view.At = nil, time.Time{}
	if r := s.ask("GET", "/readyz", ""); r.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", r.status, r.text)
	}
	if r := s.ask("GET", "/healthz", ""); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.text)
	}
}
