// Package rolling restarts three electors one after the other, as an upgrade does, while clients write, and asks those that do
// not act for changes.
package rolling

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/mysqld/workload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestElectorsAreRestartedOneAfterTheOtherAndClientsNoticeNothing restarts each once, the acting one among them, and then
// the acting one each time while a planned change is being made.
func TestElectorsAreRestartedOneAfterTheOtherAndClientsNoticeNothing(t *testing.T) {
	s := newStage(t)
	client := s.writes()
	defer client.Stop()
	t.Run("while nothing happens", func(t *testing.T) { s.calmRound(t, client) })
	t.Run("during a planned change", func(t *testing.T) {
		for range len(s.electors) {
			s.changeUnderRestart(t, client)
		}
	})
	client.Stop()
	s.judge(client)
}

func (s *stage) writes() *workload.Client {
	var addresses []string
	for _, server := range s.fleet.Servers {
		addresses = append(addresses, server.Address())
	}
	app := s.fleet.Users.App
	client, err := workload.Start(s.t.Context(), workload.Settings{
		Addresses: addresses, User: app.Name, Password: app.Password, Writers: 2, Pause: 10 * time.Millisecond,
	})
	must(s.t, err)
	must(s.t, client.AwaitAcks(s.t.Context(), 20))
	return client
}

// calmRound restarts one elector after the other. Nothing is to be changed by it, and no write to fail.
func (s *stage) calmRound(t *testing.T, client *workload.Client) {
	before, changes := s.known(t)
	from, began := len(client.Writes()), time.Now()
	for _, e := range s.electors {
		what := "which stands by"
		if s.acting() == e {
			what = "which acts"
		}
		s.restart(t, e, what)
	}
	must(t, client.AwaitAcks(t.Context(), 20))
	after, changesAfter := s.known(t)
	if after.Term != before.Term || after.Primary != before.Primary || len(changesAfter) != len(changes) {
		t.Errorf("term %d of %s became term %d of %s, with %d changes", before.Term, before.Primary, after.Term, after.Primary, len(changesAfter)-len(changes))
	}
	writes := client.Writes()
	for _, w := range writes[from:] {
		if w.Told != workload.OK || w.Server != before.Primary {
			t.Errorf("a write to %s came to nothing: %s", w.Server, w.Error)
		}
	}
	t.Logf("%d writes went on, at most %s apart", len(writes)-from, workload.LongestGap(writes, began).Length().Round(time.Millisecond))
}

// restart stops an elector, waits until one acts, and starts it again.
func (s *stage) restart(t *testing.T, e *elector, what string) {
	t.Helper()
	began := time.Now()
	ended, err := e.stop()
	must(t, err)
	s.await("another elector that acts", func() bool { return s.acting() != nil })
	acting := time.Since(began)
	must(t, ended())
	t.Logf("%s, %s, is told to stop: one of the others acts after %s, and it has ended after %s", e.name, what,
		acting.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	must(t, e.start(s.program))
	s.await("the restarted elector to stand by or act", func() bool { return s.acting() != nil })
}

// changeUnderRestart asks for a planned change and restarts the elector that makes it. The change is made or undone, and no
// other one is begun.
func (s *stage) changeUnderRestart(t *testing.T, client *workload.Client) {
	var e *elector
	s.await("an elector that acts", func() bool { e = s.acting(); return e != nil })
	before, changes := s.known(t)
	began := time.Now()
	answer, err := e.client.Reparent(t.Context(), clusterName, api.ReparentRequest{Kind: "planned"}, 0)
	must(t, err)
	s.restart(t, e, "which makes a change")
	must(t, client.AwaitAcks(t.Context(), 20))
	after, changesAfter := s.known(t)
	i := slices.IndexFunc(changesAfter, func(r api.Recovery) bool { return r.ID == answer.Recovery.ID })
	if i < 0 || len(changesAfter) != len(changes)+1 {
		t.Fatalf("%d changes became %d", len(changes), len(changesAfter))
	}
	made := changesAfter[i]
	switch {
	case made.State == "succeeded" && after.Primary == made.To && after.Term == made.Term:
	case made.State == "undone" && after.Primary == before.Primary && after.Term == before.Term:
	default:
		t.Errorf("the change to %s under term %d is %s, and %s leads under term %d", made.To, made.Term, made.State, after.Primary, after.Term)
	}
	t.Logf("the change %s; no write for %s", made.State, workload.LongestGap(client.Writes(), began).Length().Round(time.Millisecond))
}

// known is what the acting elector says of the cluster, and the changes on record.
func (s *stage) known(t *testing.T) (api.Cluster, []api.Recovery) {
	t.Helper()
	var e *elector
	s.await("an elector that acts", func() bool { e = s.acting(); return e != nil })
	c, err := e.cluster()
	must(t, err)
	changes, err := e.client.Recoveries(t.Context(), clusterName, 100)
	must(t, err)
	return c, changes
}

// judge looks for what clients were told on every server.
func (s *stage) judge(client *workload.Client) {
	s.await("servers that are alike", func() bool { return s.acting() != nil && s.alike() })
	for _, server := range s.fleet.Servers {
		rows, err := workload.Rows(s.t.Context(), server.AdminDSN())
		must(s.t, err)
		if v := workload.Judge(client.Writes(), rows); !v.Good() {
			s.t.Errorf("%s: %s", server.Address(), v)
		}
	}
}

// alike tells whether all servers hold as many rows.
func (s *stage) alike() bool {
	count := -1
	for _, server := range s.fleet.Servers {
		rows, err := workload.Rows(s.t.Context(), server.AdminDSN())
		if err != nil || count >= 0 && len(rows) != count {
			return false
		}
		count = len(rows)
	}
	return true
}
