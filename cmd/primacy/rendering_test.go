package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/primacydb/primacy/api"
)

var update = flag.Bool("update", false, "write the files that tests compare with")

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// drawn is what a person with a UTF-8 terminal gets to see, without colours.
func drawn(draw func(*terminal)) string {
	var out bytes.Buffer
	draw(newTerminal(&out, env("LANG", "C.UTF-8")))
	return out.String()
}

// wantGolden compares with a committed file.
func wantGolden(t *testing.T, name, got string) {
	t.Helper()
	wantWidth(t, got)
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; if that is meant: go test ./cmd/primacy -run %s -update\n%s", file, t.Name(), got)
	}
}

// wantWidth refuses lines that are wider than a terminal.
func wantWidth(t *testing.T, got string) {
	t.Helper()
	for line := range strings.Lines(got) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
			t.Errorf("%d columns: %s", n, line)
		}
		if strings.HasSuffix(line, " \n") {
			t.Errorf("blanks at the end: %q", line)
		}
	}
}

func TestATreeOfAHealthyCluster(t *testing.T) {
	wantGolden(t, "tree_healthy", drawn(func(s *terminal) { s.tree(exampleCluster(), noon) }))
}

func TestATreeOfATroubledCluster(t *testing.T) {
	wantGolden(t, "tree_troubled", drawn(func(s *terminal) { s.tree(troubledCluster(), noon) }))
}

func TestATreeWithoutUTF8(t *testing.T) {
	var out bytes.Buffer
	newTerminal(&out, env("LANG", "C")).tree(troubledCluster(), noon)
	for i, r := range out.String() {
		if r > 126 {
			t.Fatalf("%q at %d is not ASCII", r, i)
		}
	}
	wantGolden(t, "tree_ascii", out.String())
}

func TestATreeWhileAChangeIsUnderWay(t *testing.T) {
	c := exampleCluster()
	c.State, c.ProbedAt = "reparenting", noon.Add(-20*time.Second)
	running := exampleRecovery()
	running.State, running.Phase = "running", "revoking"
	c.Recovery, c.Obstacle = &running, blockedRecovery().Obstacle
	wantGolden(t, "tree_reparenting", drawn(func(s *terminal) { s.tree(c, noon) }))
}

func TestACascadedReplicaIsDrawnBelowItsIntermediateOrSaidToBeAwayFromIt(t *testing.T) {
	c := exampleCluster()
	leaf := exampleServer("db4:3306", "replica", "c", "db2:3306")
	leaf.Intermediate, leaf.Promotion, leaf.SemiSync.Acker = "db2:3306", "never", false
	c.Servers = append(c.Servers, leaf)
	wantGolden(t, "tree_cascade", drawn(func(s *terminal) { s.tree(c, noon) }))
	c.Servers[len(c.Servers)-1].Source = c.Primary
	if text := drawn(func(s *terminal) { s.tree(c, noon) }); !strings.Contains(text, "away from db2:3306") {
		t.Error(text)
	}
}

func TestEveryServerIsDrawnOnceWhoeverFollowsWhom(t *testing.T) {
	c := exampleCluster()
	ring := func(address, source string) api.Server { return exampleServer(address, "replica", "x", source) }
	c.Servers = append(c.Servers, ring("ring1:1", "ring2:1"), ring("ring2:1", "ring1:1"), ring("self:1", "self:1"), ring("below:1", "ring2:1"), ring("stray:1", "elsewhere:1"))
	c.Servers[0].Source = "db2:3306" // a primary that follows a replica
	text := drawn(func(s *terminal) { s.tree(c, noon) })
	for _, server := range c.Servers {
		if n := strings.Count(text, " "+server.Address+"  "); n != 1 {
			t.Errorf("%s is drawn %d times:\n%s", server.Address, n, text)
		}
	}
}

func TestARecoveryIsToldStageByStage(t *testing.T) {
	wantGolden(t, "explain_succeeded", drawn(func(s *terminal) { s.explain(exampleRecovery()) }))
}

func TestABlockedRecoverySaysWhatItNeeds(t *testing.T) {
	wantGolden(t, "explain_blocked", drawn(func(s *terminal) { s.explain(blockedRecovery()) }))
}

func TestRecoveriesInATable(t *testing.T) {
	all := []api.Recovery{blockedRecovery(), exampleRecovery()}
	wantGolden(t, "recoveries", drawn(func(s *terminal) { s.recoveries(all, noon.Add(10*time.Minute)) }))
	long := exampleRecovery()
	long.To = "orders-primary-01.mysql.eu-central-1.internal.example.org:3306"
	wantGolden(t, "recoveries_long", drawn(func(s *terminal) { s.recoveries([]api.Recovery{long}, noon.Add(72*time.Hour)) }))
	long.ID = strings.Repeat("orders", 10) + "-0000000008"
	wantGolden(t, "recoveries_paragraphs", drawn(func(s *terminal) { s.recoveries([]api.Recovery{long}, noon.Add(72*time.Hour)) }))
}

func TestClustersInATable(t *testing.T) {
	all := []api.Summary{
		{Name: "shop", State: "healthy", Primary: "db1:3306", Term: 7, Servers: 3, Reachable: 3, Elector: "elector-2", ChangedAt: noon.Add(-50 * time.Hour)},
		{Name: "stock", State: "primary_failed", Servers: 5, Reachable: 4, Findings: []api.Finding{{Code: "primary_dead"}}, FindingCount: 3},
		{Name: "orders-archive", State: "degraded", Primary: "orders-archive-db3.example.org:3306", Servers: 5, Reachable: 5, Findings: []api.Finding{{Code: "errant_transactions"}}, FindingCount: 1, ChangedAt: noon.Add(-time.Minute)},
	}
	wantGolden(t, "clusters", drawn(func(s *terminal) { s.clusters(api.ClusterList{Clusters: all[:2]}, noon) }))
	for i := range all {
		all[i].Elector = "elector-1"
	}
	list := api.ClusterList{Clusters: all, Total: 120, States: map[string]int{"healthy": 117, "degraded": 2, "primary_failed": 1}, Next: "dHJvdWJsZQ"}
	wantGolden(t, "clusters_page", drawn(func(s *terminal) { s.clusters(list, noon) }))
}

func TestEventsAreToldLikeADiary(t *testing.T) {
	at := noon.Add(-24 * time.Hour)
	all := []api.Event{
		{At: at, Kind: "finding_opened", Cluster: "shop", Text: "db1:3306 is gone: its host refuses the connection, so no process listens", Finding: &api.Finding{Severity: "critical"}},
		{At: at.Add(2 * time.Second), Kind: "recovery_started", Cluster: "shop", Text: "primary_dead: db1:3306 is gone"},
		{At: at.Add(3 * time.Second), Kind: "recovery_stage", Cluster: "shop", Text: "revoke: no earlier primary can complete a write", Stage: &api.Stage{Outcome: "ok"}},
		{At: at.Add(4 * time.Second), Kind: "recovery_finished", Cluster: "shop", State: "succeeded", Text: "the change ended: succeeded"},
		{At: noon, Kind: "operator", Cluster: "shop", By: "ada", Text: "acknowledged the last change: looked at it"},
		{At: noon, Kind: "refused", Cluster: "stock", Text: "the anti-flapping window is open"},
		{At: noon, Kind: "finding_opened", Cluster: "stock", Text: "db7:3306 lags", Finding: &api.Finding{Severity: "warning"}},
		{At: noon, Kind: "store"},
	}
	wantGolden(t, "events", drawn(func(s *terminal) {
		var d diary
		for _, e := range all {
			d.tell(s, e)
		}
	}))
}

func TestStepsOfADryRun(t *testing.T) {
	answer := api.ReparentAnswer{Recovery: exampleRecovery(), Steps: []api.Step{
		{Phase: "preparing", Title: "prepare: attach ackers to the candidate while writes go on", SaveFirst: true, Commands: []string{"db2:3306: prepare_source with 1 ack", "db3:3306: follow db2:3306"}},
		{Phase: "gating", Title: "lag gate: does the candidate keep up", Commands: []string{"db2:3306: wait until 4b35649f-e544-11f1-ac09-02fc00000001:1-2,7072696d-0000-0002-77cc-6b4bd39d962e:1 is applied"}},
	}}
	wantGolden(t, "steps", drawn(func(s *terminal) { s.steps(answer) }))
}

func TestWhatAServerSaysCannotMoveTheCursor(t *testing.T) {
	c := troubledCluster()
	evil := "\x1b[2J\x1b]0;owned\x07\r\nforged\u202e"
	c.Name, c.Elector, c.Servers[1].Version, c.Servers[1].Zone, c.Servers[3].Reach = c.Name+evil, evil, evil, evil, evil
	c.Servers[2].Errors, c.Findings[0].Message, c.Findings[0].Code, c.Antiflap.Reason = []string{evil}, evil, evil, evil
	r := blockedRecovery()
	r.ID, r.Cause, r.Stages[0].Name, r.Stages[0].Detail, r.Obstacle.Message = evil, evil, evil, evil, evil
	text := drawn(func(s *terminal) {
		s.tree(c, noon)
		s.explain(r)
		s.recoveries([]api.Recovery{r}, noon)
		s.clusters(api.ClusterList{Clusters: []api.Summary{{Name: evil, Primary: evil, State: evil, Elector: evil}}}, noon)
		var d diary
		d.tell(s, api.Event{Kind: evil, Cluster: evil, Text: evil, By: evil})
	})
	if strings.ContainsAny(text, "\x1b\x07\r\u202e") || strings.Contains(text, "\nforged") {
		t.Errorf("got %q", text)
	}
}

func TestColoursAreForTerminalsOnly(t *testing.T) {
	var out bytes.Buffer
	terminal := newTerminal(&out, env("LANG", "C.UTF-8", "TERM", "xterm"))
	terminal.tree(exampleCluster(), noon)
	if strings.Contains(out.String(), "\x1b") {
		t.Error("colours into a pipe")
	}
	terminal.colour = true
	out.Reset()
	terminal.tree(exampleCluster(), noon)
	if !strings.Contains(out.String(), "\x1b[32m") {
		t.Error("no colours on a terminal")
	}
	stripped := newTerminal(&out, env("NO_COLOR", "1"))
	if stripped.colour {
		t.Error("NO_COLOR is not respected")
	}
}

func TestColoursMoveNoColumn(t *testing.T) {
	var coloured, without bytes.Buffer
	for out, colour := range map[*bytes.Buffer]bool{&coloured: true, &without: false} {
		s := newTerminal(out, env("LANG", "C.UTF-8"))
		s.colour = colour
		s.tree(troubledCluster(), noon)
		s.explain(exampleRecovery())
		s.recoveries([]api.Recovery{exampleRecovery(), blockedRecovery()}, noon)
	}
	if got := uncoloured(coloured.String()); got != without.String() {
		t.Errorf("with colours:\n%s", got)
	}
}

func uncoloured(text string) string {
	var out strings.Builder
	escaped := false
	for _, r := range text {
		switch {
		case escaped:
			escaped = r != 'm'
		case r == '\x1b':
			escaped = true
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}
