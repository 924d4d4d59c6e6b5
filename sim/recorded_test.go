package sim

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
)

func TestARecordedLineSaysWhatToRunAndWhatItWas(t *testing.T) {
	got, err := ReadRecorded(strings.NewReader(`
# of the first week
17  # nothing_lost: an acker lost its relay log

18446744073709551615 electors=3 cascade=yes length=60s faults=crash,freeze only=7,3 # progress, nobody led: not ever
5 faults=none only=none servers=7 policy=zones acks=3 zones=2 # no_crash: nil
`))
	if err != nil {
		t.Fatal(err)
	}
	seven, err := EvenCluster(7, topology.Policy{Kind: topology.PolicyZones, Acks: 3, Zones: 2})
	if err != nil {
		t.Fatal(err)
	}
	want := []Recorded{
		{Line: 3, Seed: 17, Invariant: NothingLost, Text: "an acker lost its relay log"},
		{Line: 5, Seed: 18446744073709551615, Options: Options{Electors: 3, Cascade: true, Length: time.Minute, Kinds: []Kind{Crash, Freeze}, Only: []int{3, 7}},
			Invariant: Progress, Text: "nobody led: not ever"},
		{Line: 6, Seed: 5, Options: Options{Kinds: []Kind{}, Only: []int{}, Cluster: &seven}, Invariant: NoCrash, Text: "nil"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestAMistakeInARecordedLineIsNamedWithItsLine(t *testing.T) {
	for name, row := range map[string]struct{ line, want string }{
		"no number":                     {"x17 # no_crash: x", `line 2: "x17" is no seed; it is a number from 0`},
		"a negative number":             {"-1 # no_crash: x", `line 2: "-1" is no seed`},
		"no story":                      {"17", "line 2: it is not said what the seed broke"},
		"a story without an invariant":  {"17 # it crashed", "line 2: it is not said what the seed broke"},
		"an invariant that there isn't": {"17 # nothing_lots: x", `line 2: "nothing_lots" is no invariant; known are nothing_lost, one_completer`},
		"an invariant alone":            {"17 # no_crash:", "line 2: it is not said how no_crash was broken"},
		"an option without a value":     {"17 electors # no_crash: x", `line 2: "electors" is no option; write NAME=VALUE`},
		"an option that there isn't":    {"17 elector=3 # no_crash: x", `line 2: option "elector" is unknown; known are electors,`},
		"an option given twice":         {"17 acks=1 acks=2 # no_crash: x", "line 2: acks is given twice"},
		"a number that is none":         {"17 electors=many # no_crash: x", "line 2: electors=many is no value for electors"},
		"fewer electors than none":      {"17 electors=-1 # no_crash: x", "line 2: electors=-1 is no value"},
		"a cascade that is none":        {"17 cascade=no # no_crash: x", "line 2: cascade=no is no value"},
		"rules that do not change":      {"17 rules=no # no_crash: x", "line 2: rules=no is no value"},
		"time that runs backwards":      {"17 length=-1s # no_crash: x", "line 2: length=-1s is no value"},
		"a fault that there isn't":      {"17 faults=crash,boredom # no_crash: x", `line 2: no fault is called "boredom"; use all, none, or some of crash,`},
		"a number of no fault":          {"17 only=3,x # no_crash: x", `line 2: "x" is no number of a fault`},
		"a policy that cannot be met":   {"17 servers=3 acks=3 # no_crash: x", "line 2: durability policy semi_sync cannot be met while A leads"},
		"too many servers":              {"17 servers=8 # no_crash: x", "line 2: 8 servers cannot be simulated; use 3 to 7"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadRecorded(strings.NewReader("\n" + row.line + "\n"))
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
}

func TestAPolicyAloneMakesACluster(t *testing.T) {
	got, err := ReadRecorded(strings.NewReader("1 policy=none # no_crash: x\n2 policy=cross_zone # no_crash: x\n"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []topology.Policy{{Kind: topology.PolicyNone}, {Kind: topology.PolicyCrossZone, Acks: 1}} {
		if r := got[i].Options.Cluster.Ruleset; r.Policy != want || len(r.Members) != serversDefault {
			t.Errorf("got %+v, want %+v", r, want)
		}
	}
}

func TestServersAreSpreadOverAsManyZonesAsThePolicyWants(t *testing.T) {
	for zones, want := range map[int]string{2: "abcab", 4: "abcda"} {
		c, err := EvenCluster(5, topology.Policy{Kind: topology.PolicyZones, Acks: 1, Zones: zones})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, m := range c.Ruleset.Members {
			got += m.Zone
		}
		if got != want {
			t.Errorf("%d zones: %s, want %s", zones, got, want)
		}
	}
}

// The lists are what reports, flags and pages are checked with, so that a constant which they lack would be checked by
// nobody.
func TestTheListsOfFaultsAndInvariantsAreComplete(t *testing.T) {
	if got, want := len(Kinds()), constants(t, "fault.go", "Kind"); got != want {
		t.Errorf("%d kinds are listed, %d declared", got, want)
	}
	if got, want := len(Invariants()), constants(t, "report.go", "Invariant"); got != want {
		t.Errorf("%d invariants are listed, %d declared", got, want)
	}
}

// constants counts those of one type in one file.
func constants(t *testing.T, file, of string) (n int) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(node ast.Node) bool {
		if spec, ok := node.(*ast.ValueSpec); ok {
			if name, ok := spec.Type.(*ast.Ident); ok && name.Name == of {
				n++
			}
		}
		return true
	})
	return n
}
