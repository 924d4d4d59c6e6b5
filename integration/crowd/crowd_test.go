package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain plays a part, where this process was given one.
func TestMain(m *testing.M) {
	if _, given := os.LookupEnv(variable); given {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err := perform(ctx)
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// TestThreeElectorsShareACrowdOfClusters does in small what `make crowd` measures.
func TestThreeElectorsShareACrowdOfClusters(t *testing.T) {
	small := plan{
		clusters: 40, kills: 1, lease: 6 * time.Second, calm: 3 * time.Second, probe: 250 * time.Millisecond, tenure: time.Second,
		slack: 10 * time.Second, // a machine that tests something else at the same time says nothing about time
	}
	r, err := small.carryOut(t.Context(), t.TempDir(), t.Output())
	if err == nil {
		err = r.verdict()
	}
	if err != nil {
		t.Error(err)
	}
}

// asItHasToBe is a result with which nothing is wrong.
func asItHasToBe() result {
	at := func(moves int, spread ...int) movement {
		return movement{took: time.Second, moves: moves, spread: spread, load: "0.10 on 2 processors"}
	}
	death := departure{movement: at(3, 4, 5), name: "elector-1", clusters: 3, revisions: 10, waits: []time.Duration{1e9, 2e9, 4e9}}
	leave := departure{movement: at(3, 4, 5), name: "elector-2", inOrder: true, clusters: 3, revisions: 13, waits: []time.Duration{1, 2, 3}}
	return result{
		plan: plan{clusters: 9, lease: 3 * time.Second, slack: time.Second}, first: at(9, 4, 5), joined: at(3, 3, 3, 3),
		quiet: quiet{lasted: 30 * time.Second, cpu: []float64{0.1, 0.2, 0.3}}, deaths: []departure{death}, leave: leave,
	}
}

func TestTheVerdictNamesEachThingThatIsNotAsItHasToBe(t *testing.T) {
	if err := asItHasToBe().verdict(); err != nil {
		t.Fatal(err)
	}
	for wrong, change := range map[string]func(*result){
		"5 clusters moved when a third elector joined":                func(r *result) { r.joined.moves = 5 },
		"1 clusters moved while nothing happened":                     func(r *result) { r.quiet.moves = 1 },
		"the store was written to 2 times":                            func(r *result) { r.quiet.revisions = 2 },
		"4 clusters moved when elector-1 left 3":                      func(r *result) { r.deaths[0].moves = 4 },
		"11 writes for 3 clusters of elector-1":                       func(r *result) { r.deaths[0].revisions = 11 },
		"a cluster of elector-1 was led elsewhere only after 4.10 s":  func(r *result) { r.deaths[0].waits[2] = 4100 * time.Millisecond },
		"14 writes for 3 clusters of elector-2":                       func(r *result) { r.leave.revisions = 14 },
		"a cluster of elector-2 was led elsewhere before it was left": func(r *result) { r.leave.waits[0] = -1 },
		"servers that were well were told 7 commands":                 func(r *result) { r.deaths[0].told = 7 },
		"a cluster of elector-2 was led elsewhere only after 5.00 s":  func(r *result) { r.leave.waits[2] = 5 * time.Second },
	} {
		r := asItHasToBe()
		change(&r)
		if err := r.verdict(); err == nil || !strings.Contains(err.Error(), wrong) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v instead of %q", err, wrong)
		}
	}
}

func TestThePageHasARowForEverythingThatHappened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(file, []byte("before\n"+markBegin+"\nstale\n"+markEnd+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := intoPage(file, asItHasToBe(), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	if lines[0] != "before" || slices.Contains(lines, "stale") || !strings.HasSuffix(string(text), "\nafter\n") || !strings.Contains(string(text), "2026-03-01") {
		t.Errorf("the page is\n%s", text)
	}
	for _, row := range []string{"two electors start", "a third one joins", "nothing, for 30.00 s", "`kill -9` of an elector that acts for 3", "SIGTERM of an elector that acts for 3"} {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "| "+row) }) {
			t.Errorf("there is no row %q on the page\n%s", row, text)
		}
	}
}
