package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Searching costs up to a minute or two when the simulator has changed so that recorded seeds do something else; then
// the seeds are to be recorded anew.
const (
	testBound    = 3000
	testDeadline = 10 * time.Minute
)

const recordAnew = "run: make planted"

// A claim that nothing broken goes unnoticed is worth what it costs to break it. Each bug with a seed on record is planted
// in the real code, one at a time, and the simulator has to notice each; over the same seeds the unchanged code keeps every
// promise. Those without one are searched for by `make planted` only.
func TestEveryPlantedBugOnRecordIsCaught(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testDeadline)
	defer cancel()
	p, err := inProject(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{project: p, bound: testBound, quick: true, out: t.Output()}
	known := recorded()
	chosen := slices.DeleteFunc(bugs(), func(b bug) bool { _, found := known[b.name]; return !found })
	t.Logf("%d of %d bugs have a seed on record", len(chosen), len(bugs()))
	verdicts, err := r.all(ctx, chosen)
	switch {
	case errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
		t.Fatalf("after %s %d of %d bugs are caught; the seeds on record are outdated (%v); %s", testDeadline, len(verdicts), len(chosen), err, recordAnew)
	case err != nil:
		t.Fatal(err)
	}
	if err := judged(verdicts); err != nil {
		t.Error(err)
	}
	for _, v := range verdicts {
		if v.stale && v.Caught {
			t.Errorf("%s is caught at seed %d by %s, and on record stand seed %d and %s; %s",
				v.name, v.Seed, v.Invariant, known[v.name].Seed, known[v.name].Invariant, recordAnew)
		}
	}
}

func TestThePageInDocsHoldsWhatIsOnRecord(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "simulation.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := recorded()
	if !strings.Contains(string(text), markBegin+"\n\n"+table(all)+"\n"+markEnd) {
		t.Errorf("docs/simulation.md is not what is written from the record; %s", recordAnew)
	}
	for _, b := range bugs() {
		if _, caught := all[b.name]; !caught {
			t.Errorf("nothing on record has caught %s; %s", b.name, recordAnew)
		}
	}
	if len(all) != len(bugs()) {
		t.Errorf("%d catches are on record of %d bugs; %s", len(all), len(bugs()), recordAnew)
	}
}

func TestNothingIsCaughtWhereNothingIsPlanted(t *testing.T) {
	h := hunt{Options: bugs()[0].options, From: firstSeed, Seeds: 20}
	if c := h.run(); c.Caught || c.Lifetimes != h.Seeds {
		t.Errorf("%+v", c)
	}
}

func TestABugWhosePlaceHasChangedIsAnErrorThatNamesIt(t *testing.T) {
	const text = "package x\n\nfunc f() int { return 1 }\n\nfunc g() int { return 1 }\n\nvar v = 2\n"
	for name, row := range map[string]struct{ old, want string }{
		"gone":               {"return 3", "plant slip: x.go has 0 places"},
		"not unique":         {"return 1", "plant slip: x.go has 2 places"},
		"not in a function":  {"v = 2", "plant slip: x.go: this does not stand in one function"},
		"over two functions": {"1 }\n\nfunc g", "plant slip: x.go: this does not stand in one function"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := weave("x.go", text, []bug{{name: "slip", edits: []edit{{"x.go", row.old, "x"}}}})
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
}

func TestAWovenFunctionChoosesByTheBugAndPassesEverythingOn(t *testing.T) {
	const text = `package x

func (t T) f(a, _ int, more ...string) (n int, err error) { return a, nil }

func (*T) g(int) {}

func h() {}
`
	woven, pkg, err := weave("x.go", text, []bug{
		{name: "one", edits: []edit{{"x.go", "return a, nil", "return 1, nil"}, {"x.go", "g(int) {}", "g(int) { h() }"}}},
		{name: "two", edits: []edit{{"x.go", "return a, nil", "return 2, nil"}}},
	})
	if err != nil || pkg != "x" {
		t.Fatal(pkg, err)
	}
	for _, want := range []string{
		"func (t T) f(a, unnamed1 int, more ...string) (n int, err error) {\n\tswitch plantedBug {\n\tcase \"one\":\n\t\treturn t.fPlanted0(a, unnamed1, more...)",
		"case \"two\":\n\t\treturn t.fPlanted1(a, unnamed1, more...)\n\tdefault:\n\t\treturn t.fUnchanged(a, unnamed1, more...)",
		"func (t T) fUnchanged(a, _ int, more ...string) (n int, err error) { return a, nil }",
		"func (t T) fPlanted1(a, _ int, more ...string) (n int, err error) { return 2, nil }",
		"func (unnamed1 *T) g(unnamed2 int) {\n\tswitch plantedBug {\n\tcase \"one\":\n\t\tunnamed1.gPlanted0(unnamed2)",
		"func h() {}",
	} {
		if !strings.Contains(woven, want) {
			t.Errorf("this is missing:\n%s\nin\n%s", want, woven)
		}
	}
}

func TestEveryBugNamesWhatItBreaksAndHasAClusterOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range bugs() {
		if b.name == "" || b.what == "" || len(b.edits) == 0 || len(b.breaks) == 0 || seen[b.name] {
			t.Errorf("%q says too little, or is there twice", b.name)
		}
		seen[b.name] = true
	}
	if three == nil || four == nil || five == nil || five1 == nil || crossZone == nil {
		t.Error("a cluster cannot be made")
	}
}
