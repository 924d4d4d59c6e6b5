package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/primacydb/primacy/reparent/scenario"
)

// The story is played thrice: by the real code, by one that takes the branch with the latest write, and by one that takes
// markers for transactions like others.
func TestWithoutMarkersCase7LosesTheRowThatItKeepsWithThem(t *testing.T) {
	p, err := inProject(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := named("markers-ignored")
	if err != nil {
		t.Fatal(err)
	}
	binary, err := p.build(t.Context(), append(ignored, newestWins()))
	if err != nil {
		t.Fatal(err)
	}
	const kept = "expect succeeded\nexpect primary B\nexpect B open\nexpect x kept\nexpect x on B D E\nexpect y dropped\nexpect y not on B\n"
	const lost = "expect succeeded\nexpect primary C\nexpect C open\nexpect x dropped\nexpect x not on C\nexpect y kept\nexpect y on C D E\n"
	const undecided = "expect blocked\nexpect obstacle incomparable\n"
	for name, row := range map[string]struct{ bug, ends, not string }{
		"with markers":                         {"", kept, lost},
		"the latest write wins":                {newestWins().name, lost, kept},
		"markers are transactions like others": {ignored[0].name, undecided, kept},
	} {
		t.Run(name, func(t *testing.T) {
			story := case7(t)
			if failure, err := told(t.Context(), binary, row.bug, scenario.File{Text: story + row.ends}); err != nil || failure != "" {
				t.Errorf("%v\n%s", err, failure)
			}
			if failure, err := told(t.Context(), binary, row.bug, scenario.File{Text: story + row.not}); err != nil || failure == "" {
				t.Errorf("it ends like this as well: %s (%v)", row.not, err)
			}
		})
	}
}

// case7 is the story of the scenario up to what it expects of the end.
func case7(t *testing.T) string {
	t.Helper()
	files, err := scenario.Files()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(files, func(f scenario.File) bool { return strings.HasPrefix(f.Name, "07b-") })
	if i < 0 {
		t.Fatal("the scenario is gone")
	}
	story, _, found := strings.Cut(files[i].Text, "expect succeeded\n")
	if !found {
		t.Fatal("its end is another one")
	}
	return story
}
