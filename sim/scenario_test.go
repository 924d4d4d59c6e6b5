package sim

import (
	"errors"
	"strings"
	"testing"

	"github.com/primacydb/primacy/reparent/scenario"
)

// cannotSimulate lists the scenarios that are not played on simulated servers, and why.
var cannotSimulate = map[string]string{}

// TestScenarios plays every scenario in virtual time.
func TestScenarios(t *testing.T) {
	files, err := scenario.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		t.Run(f.Name, func(t *testing.T) {
			err := simulated(f, 1)
			if reason, ok := errors.AsType[*scenario.CannotError](err); ok && reason.Reason == cannotSimulate[f.Name] {
				t.Log(err)
			} else if err != nil {
				t.Error(err)
			} else if cannotSimulate[f.Name] != "" {
				t.Errorf("it can be played: %s", cannotSimulate[f.Name])
			}
		})
	}
}

func simulated(f scenario.File, seed uint64) error {
	var last *Stage
	defer func() {
		if last != nil {
			last.Close()
		}
	}()
	return f.Play(func() (scenario.Stage, error) {
		if last != nil {
			last.Close()
		}
		last = NewStage(seed)
		return last, nil
	})
}

// TestALoopThatDoesNotDoWhatIsExpectedFails says of each expectation of the loop what must make it fail.
func TestALoopThatDoesNotDoWhatIsExpectedFails(t *testing.T) {
	const ran = "cluster A B C with 1 ack\nthe loop runs for 5s\n"
	const changed = ran + "A dies\nthe loop runs for 10s\n"
	rows := map[string]struct{ story, says string }{
		"no change where there was one":              {changed + "expect no changes", "there were 1 changes: emergency to B (succeeded)"},
		"a change where there was none":              {ran + "expect 1 change", "there were 0 changes"},
		"a finding that nobody has":                  {ran + "expect finding primary_dead", "the findings are"},
		"no finding where there is one":              {changed + "expect no finding server_unreachable of A", "the findings are"},
		"a refusal where nothing is refused":         {ran + `expect refusal "window"`, "the refusal is"},
		"no refusal where there is one":              {"cluster A B with 1 ack\nthe loop runs for 5s\nA dies\nthe loop runs for 9s\nexpect no refusal", "and  was expected"},
		"the same everywhere with one server down":   {changed + "expect all hold the same", "A is down"},
		"the same everywhere with one server behind": {ran + "C cannot receive from A\nwrite x on A\nexpect all hold the same", "C lacks answered"},
		"a statement that the elector never sends":   {ran + "the elector dies before its 500th statement\nthe loop runs for 5s", "never came to the statement"},
		"a story of statements that are never sent":  {"\nfor every statement of the elector\n" + ran, "the elector sent only 0 statements"},
		"an answer that no operator got":             {ran + "an operator asks for a planned change to B\nexpect it says \"hocus pocus\"", "it says"},
		"a second primary behind Primacy's back":     {"cluster A B C with 1 ack\nA is out of reach\nemergency\nall receive\nA writes asynchronously\nplanned to C", "can complete writes"},
		"an accepted loss that nobody had to take":   {"cluster A B C with policy none and allow_unfenced\nonly A receives\nwrite x on A\nA dies\nemergency", "which clients were told is committed"},
		"whole against its word":                     {ran + "it does not become whole: for no reason", "it became whole, and it is said that it does not"},
		"two markers of one term, and nobody judges": {"cluster A B C with 1 ack\nan elector with the same term marks C\nA dies", "[] take writes; the loop refuses to act"},
		"an answered write that nobody holds any more": {"cluster A B C with 1 ack\nB C cannot receive from A\nthe semi-sync timeout of A is finite\nwrite x on A\n" +
			"A falls back to async\nA is wiped", "gives up"},
		"an elector where none runs": {"cluster A B C with 1 ack\nthe elector dies", "the loop has to run first"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			err := simulated(scenario.File{Name: name, Text: row.story}, 1)
			if err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("it ended with %v, and not with %q", err, row.says)
			}
		})
	}
}
