package primacy_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/primacydb/primacy/config"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/sim"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// What the pages promise is compared with the program, so that neither changes without the other.

const (
	gettingStarted = "docs/getting-started.md"
	operations     = "docs/operations.md"
)

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pages are all that a reader may come across.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("docs/*.md")
	if err != nil || len(found) < 3 {
		t.Fatalf("found %v, %v", found, err)
	}
	deeper, err := filepath.Glob("docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat([]string{"README.md", "CONTRIBUTING.md"}, found, deeper)
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// fenced gives the blocks of one language.
func fenced(text, language string) (blocks []string) {
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		if m[1] == language {
			blocks = append(blocks, m[2])
		}
	}
	return blocks
}

func TestTheRunbookHasASectionForEveryFinding(t *testing.T) {
	var written []string
	for code, section := range sections(page(t, operations)) {
		written = append(written, code)
		for _, part := range []string{"**Means:**", "**Primacy:**", "**You:**"} {
			if !strings.Contains(section, part) {
				t.Errorf("%s: the section of %s has no %s", operations, code, part)
			}
		}
	}
	var known []string
	for _, code := range topology.Codes() {
		known = append(known, string(code))
	}
	slices.Sort(written)
	slices.Sort(known)
	if !slices.Equal(written, known) {
		t.Errorf("%s has sections for\n%v\nand findings are\n%v", operations, written, known)
	}
}

var codeHeading = regexp.MustCompile("(?m)^#### `([a-z_]+)`$")

// sections are the parts of the runbook by code. A code that stands twice is given back as one that nobody knows.
func sections(text string) map[string]string {
	all := map[string]string{}
	places := codeHeading.FindAllStringSubmatchIndex(text, -1)
	for i, at := range places {
		end := len(text)
		if i+1 < len(places) {
			end = places[i+1][0]
		}
		code := text[at[2]:at[3]]
		if _, twice := all[code]; twice {
			code += " (twice)"
		}
		all[code] = text[at[1]:end]
	}
	return all
}

func TestThePageOfTheLinterNamesAllThatItRemarks(t *testing.T) {
	text := page(t, "docs/check.md")
	for _, code := range topology.LintCodes() {
		if !strings.Contains(text, "| `"+code+"` |") {
			t.Errorf("docs/check.md has no row %s", code)
		}
	}
}

// The pages call an account primacy or replica, and name everything by its default.
func TestTheGrantsOnThePagesAreThoseThatAreNeeded(t *testing.T) {
	needed := append(mysqld.GrantStatements("primacy", "%"), mysqld.ReplicaGrantStatements("replica", "%")...)
	slices.Sort(needed)
	if written := grants(page(t, gettingStarted)); !slices.Equal(written, needed) {
		t.Errorf("%s grants\n%s\nneeded is\n%s", gettingStarted, strings.Join(written, "\n"), strings.Join(needed, "\n"))
	}
	for _, grant := range slices.Concat(mysqld.Grants, mysqld.ReplicaGrants) {
		row := "| `" + grant.Privilege + "` | `" + strings.ReplaceAll(grant.On, "`", "") + "` |"
		if !strings.Contains(page(t, operations), row) {
			t.Errorf("%s has no row %s", operations, row)
		}
	}
}

func grants(text string) (statements []string) {
	for _, block := range fenced(text, "sql") {
		for line := range strings.Lines(block) {
			if strings.HasPrefix(line, "GRANT ") {
				statements = append(statements, strings.TrimSuffix(strings.TrimSpace(line), ";"))
			}
		}
	}
	slices.Sort(statements)
	return statements
}

// A server that was set up as the page says must not be reported, so every setting that can be reported stands there.
func TestEverySettingThatIsReportedStandsInGettingStarted(t *testing.T) {
	text := page(t, gettingStarted)
	reported := reportedSettings()
	if len(reported) < 10 {
		t.Fatalf("only %v are reported of a server on which everything is wrong", reported)
	}
	for _, name := range reported {
		name, _, _ = strings.Cut(name, " ")
		if !strings.Contains(text, name) {
			t.Errorf("%s says nothing of %s", gettingStarted, name)
		}
	}
}

// reportedSettings are the names of all settings that a finding can complain of.
func reportedSettings() (names []string) {
	s := topologytest.Cluster("A", "B", "C").Snapshot()
	for i := range s.Servers {
		o := &s.Servers[i]
		o.Settings = topology.Settings{RelayLogRecovery: true, RelayLogUnsynced: true, ReplicaNetTimeout: 1 << 40, ReplicaRetryPeriod: 1 << 40, JournalPresent: true}
		if o.Replication != nil {
			o.Replication.HeartbeatEvery = 0
		}
	}
	found := map[string]bool{}
	for _, f := range topology.Analyze(s, topologytest.Cluster("A", "B", "C").History(), topologytest.Limits, topologytest.Now, nil) {
		if f.Code != topology.WrongSettings {
			continue
		}
		_, list, _ := strings.Cut(f.Message, ": ")
		for name := range strings.SplitSeq(list, ", ") {
			found[name] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// A block of YAML that begins with the file's name is a complete configuration.
func TestCompleteConfigurationsOnThePagesLoad(t *testing.T) {
	tried := 0
	for _, name := range pages(t) {
		for _, block := range fenced(page(t, name), "yaml") {
			if !strings.HasPrefix(block, "# /etc/primacy/primacy.yaml") {
				continue
			}
			tried++
			if c, err := config.Parse([]byte(withFiles(t, block)), name); err != nil || len(c.Warnings) > 0 {
				t.Errorf("%s: %v %v\n%s", name, err, c.Warnings, block)
			}
		}
	}
	if tried < 3 {
		t.Errorf("only %d configurations were found", tried)
	}
}

// The pieces of a configuration are tried on top of a complete one.
func TestPiecesOfConfigurationOnThePagesLoad(t *testing.T) {
	whole := fenced(page(t, gettingStarted), "yaml")[0]
	for _, name := range pages(t) {
		for _, block := range fenced(page(t, name), "yaml") {
			if strings.HasPrefix(block, "# /etc/primacy/primacy.yaml") || !strings.HasPrefix(block, "# in primacy.yaml") {
				continue
			}
			if _, err := config.Parse([]byte(withFiles(t, merged(whole, block))), name); err != nil {
				t.Errorf("%s: %v\n%s", name, err, block)
			}
		}
	}
}

var section = regexp.MustCompile(`(?m)^([a-z]+):.*\n((?: .*\n|#.*\n)*)`)

// merged replaces the sections of the whole that stand in the piece.
func merged(whole, piece string) string {
	for _, m := range section.FindAllStringSubmatch(piece, -1) {
		whole = section.ReplaceAllStringFunc(whole, func(present string) string {
			if strings.HasPrefix(present, m[1]+":") {
				return ""
			}
			return present
		})
	}
	return whole + piece
}

var ofPrimacy = regexp.MustCompile(`/etc/primacy/[a-z0-9./-]+`)

// withFiles lets the files exist that a configuration names.
func withFiles(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	return ofPrimacy.ReplaceAllStringFunc(text, func(name string) string {
		file := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(file, []byte(strings.Repeat("0123456789abcdef", 2)), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	})
}

var metricName = regexp.MustCompile(`primacy_[a-z_]+`)

func TestEveryMetricOnThePagesExists(t *testing.T) {
	source := page(t, "metrics/metrics.go") + page(t, "metrics/situation.go")
	for _, name := range metricName.FindAllString(strings.Join(fenced(page(t, operations), "yaml"), "\n"), -1) {
		if name = strings.TrimSuffix(name, "_bucket"); !strings.Contains(source, `"`+name+`"`) {
			t.Errorf("%s: no metric is called %s", operations, name)
		}
	}
}

var (
	rerun   = regexp.MustCompile("go test ([^\x60]+?) -run ('[^']+'|\"[^\"]+\"|[^\\s\x60]+)")
	replant = regexp.MustCompile("go run \\./sim/planted -only ([^\\s\x60]+)")
	relive  = regexp.MustCompile("primacy simulate [^\x60]*--seed (\\d+)")
)

// Each row of the bug record that names a test names one that there is.
func TestTheBugRecordNamesTestsThatExist(t *testing.T) {
	found := rerun.FindAllStringSubmatch(page(t, "docs/bug-record.md"), -1)
	if len(found) < 10 {
		t.Fatalf("only %d commands were found", len(found))
	}
	for _, m := range found {
		source := ""
		for dir := range strings.FieldsSeq(m[1]) {
			if strings.HasPrefix(dir, "./") {
				source += tests(t, dir)
			}
		}
		for name := range strings.SplitSeq(strings.ReplaceAll(strings.Trim(m[2], `'"`), `\|`, "|"), "|") {
			name, _, _ = strings.Cut(name, "/")
			if !strings.Contains(source, "\nfunc "+name+"(t *testing.T)") {
				t.Errorf("docs/bug-record.md: %s has no test %s", m[1], name)
			}
		}
	}
}

// What a recorded lifetime showed is told by a row that names its seed; a row whose command lives one again names one that is
// on record, for no other is lived by every test; and bugs that are planted again are in the table of these.
func TestTheBugRecordTellsWhatEveryRecordedSeedShowed(t *testing.T) {
	file, err := os.Open("sim/testdata/seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	recorded, err := sim.ReadRecorded(file)
	if err != nil || len(recorded) == 0 {
		t.Fatal(len(recorded), err)
	}
	rows, lived := page(t, "docs/bug-record.md"), map[string]bool{}
	for _, r := range recorded {
		lived[strconv.FormatUint(r.Seed, 10)] = true
	}
	for seed := range lived {
		if !regexp.MustCompile(`\b` + seed + `\b`).MatchString(rows) {
			t.Errorf("seed %s is on record, and no row of docs/bug-record.md names it", seed)
		}
	}
	for _, m := range relive.FindAllStringSubmatch(rows, -1) {
		if !lived[m[1]] {
			t.Errorf("docs/bug-record.md lives seed %s again, and sim/testdata/seeds.txt lacks it", m[1])
		}
	}
	planted := page(t, "docs/simulation.md")
	for _, m := range replant.FindAllStringSubmatch(rows, -1) {
		for name := range strings.SplitSeq(m[1], ",") {
			if !strings.Contains(planted, "\n| "+name+" | ") {
				t.Errorf("docs/bug-record.md plants %s, and there is no such bug", name)
			}
		}
	}
}

// tests is the text of all tests of a package.
func tests(t *testing.T, dir string) (text string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Errorf("%s has no tests: %v", dir, err)
	}
	for _, file := range files {
		text += page(t, file)
	}
	return text
}

// The statement for people who have lost their journal is the one that the program runs.
func TestTheJournalOnThePageIsTheOneThatIsMade(t *testing.T) {
	source := strings.ReplaceAll(page(t, "mysqld/journal.go"), "` + \"`primary`\" + `", "`primary`")
	for _, block := range fenced(page(t, operations), "sql") {
		if _, table, found := strings.Cut(block, "CREATE TABLE"); found {
			if !strings.Contains(source, strings.TrimSuffix(strings.TrimSpace(table), ";")) {
				t.Errorf("%s makes another journal than mysqld/journal.go:\n%s", operations, table)
			}
			return
		}
	}
	t.Errorf("%s does not say how to make the journal", operations)
}

var link = regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`)

func TestLinksBetweenPagesLeadSomewhere(t *testing.T) {
	for _, name := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(page(t, name), -1) {
			target := name
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(name), m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s leads nowhere", name, m[0])
			} else if m[2] != "" && !slices.Contains(anchors(page(t, target)), m[2][1:]) {
				t.Errorf("%s: %s has no heading for %s", name, target, m[2])
			}
		}
	}
}

var heading = regexp.MustCompile(`(?m)^#+ (.*)$`)

// anchors are the names that headings get on the web.
func anchors(text string) (all []string) {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		plain := strings.Map(func(c rune) rune {
			switch {
			case c == ' ':
				return '-'
			case c == '-' || c == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
				return c
			}
			return -1
		}, strings.ToLower(m[1]))
		all = append(all, plain)
	}
	return all
}
