package main

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/mysqld/workload"
	"github.com/primacydb/primacy/orchestrator"
)

// judge waits until the cluster has come to rest by itself, and looks at what is left.
func (s *soak) judge(ctx context.Context, writes []workload.Write, from time.Time) error {
	end := time.Now()
	s.tell("no more strikes")
	calm := func(v orchestrator.View) bool { return v.At.After(end) && s.isHealthy(v) && sameTransactions(v) }
	if err := s.await(ctx, "a healthy cluster afterwards", calm); err != nil {
		s.wrong = append(s.wrong, err.Error())
		s.tellEvents()
	}
	s.healthy = time.Since(end)
	s.gap = workload.LongestGap(writes, from)
	if err := s.countDone(ctx); err != nil {
		return err
	}
	return s.compare(ctx, writes)
}

// sameTransactions tells whether every server has executed what the primary has.
func sameTransactions(v orchestrator.View) bool {
	var first gtid.Set
	for i, o := range v.Snapshot.Servers {
		if i == 0 {
			first = o.Executed
		}
		if !o.Executed.Equal(first) || o.SemiSync.Waiters > 0 {
			return false
		}
	}
	return true
}

// countDone counts what the control plane has done.
func (s *soak) countDone(ctx context.Context) error {
	all, err := s.plane.orch.Recoveries(ctx, clusterName, 0)
	if err != nil {
		return err
	}
	for _, op := range all {
		if !op.Established.IsZero() {
			s.changes++
		}
	}
	settled, err := s.plane.orch.Settlements(ctx, clusterName, 1000)
	for _, x := range settled {
		s.settled[string(x.Kind)+" "+string(x.State)]++
	}
	return err
}

// compare judges each server by what clients were told, and all of them by each other.
func (s *soak) compare(ctx context.Context, writes []workload.Write) error {
	var sums string
	for i, server := range s.fleet.Servers {
		rows, err := workload.Rows(ctx, server.AdminDSN())
		if err != nil {
			return err
		}
		s.rows = workload.Judge(writes, rows)
		if !s.rows.Good() || s.rows.Acknowledged == 0 {
			s.wrong = append(s.wrong, fmt.Sprintf("on %s: %s (lost %v, ghosts %v)", server.Address(), s.rows, s.rows.Lost, s.rows.Ghosts))
		}
		these, err := checksums(ctx, server)
		if err != nil {
			return err
		}
		if i == 0 {
			sums = these
		}
		if these != sums {
			s.wrong = append(s.wrong, fmt.Sprintf("%s has checksums %s, and %s has %s", server.Address(), these, s.fleet.Servers[0].Address(), sums))
		}
	}
	return nil
}

func checksums(ctx context.Context, server *local.Server) (string, error) {
	db, err := sql.Open("mysql", server.AdminDSN())
	if err != nil {
		return "", err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, "CHECKSUM TABLE app.writes, app.accounts, _primacy.journal")
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var table string
		var sum sql.NullInt64
		if err := rows.Scan(&table, &sum); err != nil {
			return "", err
		}
		all = append(all, fmt.Sprintf("%s %d", table, sum.Int64))
	}
	return strings.Join(all, ", "), rows.Err()
}

// told are the events that say what the control plane did.
var told = []orchestrator.EventKind{
	orchestrator.EventRepair, orchestrator.EventRefused, orchestrator.EventRecoveryStarted, orchestrator.EventRecoveryFinished, orchestrator.EventPrimaryChanged,
}

// tellEvents prints what it did since the last time.
func (s *soak) tellEvents() {
	for _, e := range s.plane.stream.Recent() {
		if e.ID > s.toldUpTo && slices.Contains(told, e.Kind) {
			fmt.Fprintf(s.out, "%8s    %s: %s\n", e.At.Sub(s.begun).Round(100*time.Millisecond), e.Kind, e.Text)
		}
		s.toldUpTo = max(s.toldUpTo, e.ID)
	}
}

func (r report) verdict() error {
	if len(r.wrong) > 0 {
		return fmt.Errorf("seed %d: %s", r.seed, strings.Join(r.wrong, "\n"))
	}
	return nil
}

func counted(all map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, fmt.Sprintf("%d × %s", all[name], name))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// String tells the whole in a few lines.
func (r report) String() string {
	result := "nobody touched it, and it is healthy; all tables are the same on all servers"
	if len(r.wrong) > 0 {
		result = "FAILED: " + strings.Join(r.wrong, "; ")
	}
	return fmt.Sprintf(`seed         %d
lasted       %s
strikes      %s
changes      %d of the primary
settlements  %s
clients      %s; %d rows changed again and again
longest gap  %s without an acknowledgement
at the end   %s after the last strike: %s
`, r.seed, r.lasted.Round(time.Second), counted(r.strikes), r.changes, counted(r.settled), r.rows, r.changed, r.gap.Length().Round(10*time.Millisecond),
		r.healthy.Round(100*time.Millisecond), result)
}
