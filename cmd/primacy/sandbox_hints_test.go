package main

import (
	"slices"
	"strings"
	"testing"
)

func TestTheHintsOfASandboxStandInColumns(t *testing.T) {
	text := listedHints("./bin/primacy", sandboxHints("server-1", "127.0.0.1:13301"))
	var columns []int
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "  ./bin/primacy ") {
			t.Errorf("%q does not call the program by its own path", line)
		}
		columns = append(columns, strings.Index(line, "  # "))
	}
	if len(slices.Compact(slices.Clone(columns))) != 1 || columns[0] < 0 {
		t.Errorf("the remarks begin in columns %v:\n%s", columns, text)
	}
}

func TestEveryHintOfASandboxIsACommand(t *testing.T) {
	for _, h := range sandboxHints("server-1", "127.0.0.1:13301") {
		if err := parses("primacy " + h.command); err != nil {
			t.Errorf("%s: %v", h.command, err)
		}
	}
}

func TestAProgramWithASpaceInItsPathIsQuoted(t *testing.T) {
	text := listedHints("/opt/it's here/primacy", []hint{{"recoveries", "what was done"}})
	if want := `  '/opt/it'\''s here/primacy' recoveries  # what was done` + "\n"; text != want {
		t.Errorf("got %q", text)
	}
}
