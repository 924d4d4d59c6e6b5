package scenario

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// catalogued is one case of the catalogue in the design of failover, or a variant of it, with the files that tell it.
type catalogued struct {
	number int
	says   string
	files  []string // the beginnings of their names
}

// catalogue is every case that a failover has to get right.
var catalogue = []catalogued{
	{1, "x on A and B, A dies; B is reached and x is kept", []string{"01a"}},
	{1, "B is out of reach: x is dropped, and cancelled where it comes back", []string{"01b", "01d"}},
	{1, "only C and D are reached: blocked, and it says what is missing", []string{"01c", "01e"}},
	{2, "x is not durable and is honoured, for E could have acknowledged it", []string{"02a", "02c"}},
	{2, "E is reached without x: provably not durable, and the record says so", []string{"02b"}},
	{3, "the chosen primary and its elector die with the marker not acknowledged", []string{"03"}},
	{4, "y and its marker are on the dead leader only", []string{"04a", "04c"}},
	{4, "the marker is acknowledged, y is not", []string{"04b"}},
	{5, "a branch of fewer transactions wins by its marker", []string{"05"}},
	{6, "an old request is decided again under a later term", []string{"06"}},
	{7, "the later decision wins", []string{"07a"}},
	{7, "with the markers ignored the newest write wins, and x is lost", []string{"07b"}},
	{8, "the old primary completes x by restarting", []string{"08", "08b"}},
	{9, "a revoked replica restarts", []string{"09", "09b"}},
	{10, "an acker loses its relay log", []string{"10", "10b"}},
	{11, "a primary with waiters is shut down in order", []string{"11a", "11b", "11c", "11d", "11e"}},
	{12, "a non-acker is ahead of all ackers", []string{"12", "12b"}},
	{13, "two electors with one term", []string{"13", "13b", "13c"}},
	{14, "a change of the rules that one elector does not know", []string{"14a", "14b", "14c", "14d", "14e"}},
	{15, "a wiped server", []string{"15", "15b", "15c"}},
	{16, "super_read_only hangs", []string{"16", "16b"}},
	{17, "the semi-sync timeout was left finite", []string{"17", "17b", "17c", "17d"}},
	{18, "the only acker dies", []string{"18", "18b"}},
	{19, "the lease ends in the midst of a change, and the elector goes on after a pause", []string{"19", "19b"}},
	{20, "we cannot see A, its ackers can", []string{"20", "20c"}},
	{20, "neither we nor its ackers see A", []string{"20b"}},
	{21, "A answers and cannot complete", []string{"21", "21b"}},
	{22, "a replica hours behind, or down", []string{"22", "22b", "22c", "22d"}},
	{23, "every leader chokes on the same transaction", []string{"23"}},
	{24, "the elector dies after each step of an emergency", []string{"24a", "24d"}},
	{24, "the elector dies after each step of a planned change", []string{"24b", "24c", "24e"}},
	{25, "the old primary returns meanwhile", []string{"25", "25b", "25c"}},
	{26, "an errant server tries to rejoin", []string{"26", "26b"}},
	{27, "the candidate dies before its marker", []string{"27a"}},
	{27, "the candidate dies with its marker, or after it", []string{"27b", "27c"}},
	{28, "all replicas have purged what the candidate needs", []string{"28", "28b"}},
	{29, "acknowledgements get lost", []string{"29a", "29d", "29e", "29h"}},
	{29, "transactions get lost", []string{"29b", "29f"}},
	{29, "answers to the elector get lost", []string{"29c", "29g"}},
	{30, "the clock of an elector is off", []string{"30", "30b", "30c"}},
	{30, "the clock of a server is off", []string{"30d"}},
}

const (
	lastCase  = 30 // of the catalogue; what has a higher number is a further case
	firstLoop = 8  // from here on each case is told of the whole loop too
)

func TestEveryCaseOfTheCatalogueHasAScenario(t *testing.T) {
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	texts, listed, looped := map[string]string{}, map[string]bool{}, map[int]bool{}
	for _, f := range files {
		number, _, _ := strings.Cut(f.Name, "-")
		if texts[number] != "" {
			t.Errorf("two files have the number %s", number)
		}
		texts[number] = f.Text
	}
	for _, c := range catalogue {
		for _, number := range c.files {
			if !strings.HasPrefix(number, fmt.Sprintf("%02d", c.number)) || texts[number] == "" {
				t.Errorf("case %d (%s): there is no file %s", c.number, c.says, number)
			}
			listed[number] = true
			looped[c.number] = looped[c.number] || strings.Contains(texts[number], "\nthe loop runs for ")
		}
	}
	for n := 1; n <= lastCase; n++ {
		if !slices.ContainsFunc(catalogue, func(c catalogued) bool { return c.number == n && len(c.files) > 0 }) {
			t.Errorf("case %d has no scenario", n)
		}
		if n >= firstLoop && !looped[n] {
			t.Errorf("case %d is not told of the whole loop", n)
		}
	}
	for number := range texts {
		if number <= fmt.Sprint(lastCase)+"z" && !listed[number] {
			t.Errorf("file %s tells a case that the catalogue does not list", number)
		}
	}
}
