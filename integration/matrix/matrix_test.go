package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/primacydb/primacy/orchestrator/failpoint"
	"github.com/primacydb/primacy/reparent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Some cells of the matrix, of each way in which a change can be left; `make matrix` plays all.
func TestWhatAnElectorLeavesAnotherOneFinishesOrUndoes(t *testing.T) {
	var chosen []cell
	for _, name := range quickCells() {
		chosen = append(chosen, one(t, name))
	}
	// How long it takes is the machine's affair as well, and it may be busy with other tests.
	results, err := playAll(t.Context(), chosen, limits{acting: patience, ended: patience}, t.TempDir(), "info", t.Output())
	if err != nil {
		t.Error(err)
	}
	if len(results) != len(chosen) {
		t.Errorf("%d of %d cells were played", len(results), len(chosen))
	}
}

func one(t *testing.T, name string) cell {
	t.Helper()
	i := slices.IndexFunc(cells(), func(c cell) bool { return c.String() == name })
	if i < 0 {
		t.Fatalf("no cell is called %q", name)
	}
	return cells()[i]
}

// A step that is in nobody's list would be a hole in the matrix that nobody sees.
func TestEveryStepOfEachChangeIsInTheMatrix(t *testing.T) {
	played := map[string]bool{}
	for _, c := range cells() {
		for _, p := range append([]failpoint.Point{c.Point}, others(c)...) {
			if read, err := failpoint.Parse(p.String()); err != nil || read != p {
				t.Errorf("%s is no point: %v", p, err)
			}
			played[string(p.Kind)+" "+p.Step+": "+string(p.Action)] = true
		}
	}
	never := map[reparent.Kind][]string{
		reparent.KindEmergency: {"measuring", "gating", "preparing", "demoting", "catching_up", "raising", "disabling", "barrier", failpoint.Recorded},
		reparent.KindPlanned:   {failpoint.Brake, "revoking", "fetching", "propagating", "raising", "disabling", "barrier", failpoint.Recorded},
		reparent.KindRules: {
			failpoint.Brake, "revoking", "fetching", "propagating", "measuring", "gating", "preparing", "demoting", "catching_up",
			failpoint.Decision, "marking", "opening", failpoint.Established, "reconciling", failpoint.Counted,
		},
	}
	for kind, without := range never {
		for _, step := range append(failpoint.Writes(), failpoint.Phases()...) {
			for _, action := range actions() {
				wanted := !slices.Contains(without, step) && (step != "releasing" || action != failpoint.Sleepwalk)
				if name := string(kind) + " " + step + ": " + string(action); played[name] != wanted {
					t.Errorf("%s is played: %t", name, played[name])
				}
			}
		}
	}
}

func others(c cell) []failpoint.Point {
	if c.next == nil {
		return nil
	}
	return []failpoint.Point{*c.next}
}

func TestCellsHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range cells() {
		if seen[c.String()] {
			t.Errorf("two cells are called %s", c)
		}
		seen[c.String()] = true
	}
	if chosen, err := named("emergency after marking"); err != nil || len(chosen) != 3 {
		t.Errorf("%v, %v", chosen, err)
	}
	if _, err := named("after midnight"); err == nil || !strings.Contains(err.Error(), "emergency after brake: kill") {
		t.Errorf("a cell that does not exist was found: %v", err)
	}
}

func TestThePageHasARowForEveryPointWithWhatCameOfIt(t *testing.T) {
	results := map[string]result{}
	for i, c := range cells() {
		results[c.String()] = result{cell: c, outcome: "finished", acting: time.Duration(i) * time.Second}
	}
	file := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(file, []byte("before\n"+markBegin+"\nstale\n"+markEnd+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := intoPage(file, results); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	if !strings.HasPrefix(got, "before\n") || !strings.HasSuffix(got, "\nafter\n") || strings.Contains(got, "stale") || strings.Contains(got, "not played") {
		t.Errorf("the page is\n%s", got)
	}
	if n := strings.Count(got, "| finished: "); n != len(results) {
		t.Errorf("%d of %d cells are on the page", n, len(results))
	}
}

func TestWhatWasPlayedIsReadBackAndFailuresAreNot(t *testing.T) {
	all := cells()
	file := filepath.Join(t.TempDir(), "played.txt")
	kept := result{cell: all[0], outcome: "undone, then emergency change", acting: 1980 * time.Millisecond, gap: 2 * time.Second, rebuilt: true}
	failed := result{cell: all[1], outcome: "finished", wrong: []string{"two servers take writes"}}
	late := result{cell: all[2], outcome: "finished", late: []string{"another elector acted after 4 s"}}
	played := merged([]result{kept, failed, late})
	for _, r := range []result{failed, late} {
		if _, passed := played[r.cell.String()]; passed {
			t.Errorf("%s is on record as passed", r.cell)
		}
	}
	if err := saveRecorded(file, played); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	read := recorded(string(text))
	if got := read[kept.cell.String()]; got.String() != kept.String() || len(read) != len(played) {
		t.Errorf("%d of %d were read back, among them\n%s\nwhich was\n%s", len(read), len(played), got, kept)
	}
}

func TestThePageInDocsHoldsWhatIsOnRecord(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "electors.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := recorded(recordedText)
	if !strings.Contains(string(text), summary(all)+"\n"+matrix(all)) {
		t.Error("docs/electors.md is not what `make matrix` writes from its record")
	}
	for _, c := range cells() {
		if _, played := all[c.String()]; !played {
			t.Errorf("%s has never passed", c)
		}
	}
}
