package main

import (
	_ "embed"
	"fmt"
	"os"
	"strings"
	"time"
)

// recordedFile holds, line by line, what came of each cell when it was last played, so that one can be played again alone.
const recordedFile = "integration/matrix/played.txt"

//go:embed played.txt
var recordedText string

// recorded are the cells of a record that passed, by name.
func recorded(text string) map[string]result {
	lines := map[string][]string{}
	for line := range strings.Lines(text) {
		words := strings.Split(strings.TrimSpace(line), "\t")
		if len(words) == 6 {
			lines[words[0]] = words
		}
	}
	all := map[string]result{}
	for _, c := range cells() {
		if words, played := lines[c.String()]; played {
			all[words[0]] = result{
				cell: c, outcome: words[1], acting: duration(words[2]), ended: duration(words[3]), gap: duration(words[4]), rebuilt: words[5] == "rebuilt",
			}
		}
	}
	return all
}

// duration reads what saveRecorded wrote.
func duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0
	}
	return d
}

// merged is what is on record, brought up to date with what was played now.
func merged(results []result) map[string]result {
	all := recorded(recordedText)
	for _, r := range results {
		delete(all, r.cell.String())
		if r.passed() {
			all[r.cell.String()] = r
		}
	}
	return all
}

// saveRecorded puts results on record.
func saveRecorded(file string, all map[string]result) error {
	var text strings.Builder
	text.WriteString("# What came of each cell; until another elector acted, the interrupted change had ended, a write was acknowledged. Written by: make matrix\n")
	for _, c := range cells() {
		r, played := all[c.String()]
		if !played {
			continue
		}
		old := "kept"
		if r.rebuilt {
			old = "rebuilt"
		}
		fmt.Fprintf(&text, "%s\t%s\t%s\t%s\t%s\t%s\n", c, r.outcome, rounded(r.acting), rounded(r.ended), rounded(r.gap), old)
	}
	return os.WriteFile(file, []byte(text.String()), 0o644)
}

func rounded(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
