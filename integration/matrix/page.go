package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/orchestrator/failpoint"
)

// The marks between which the table stands in a page.
const (
	markBegin = "<!-- crash matrix: written by make matrix -->"
	markEnd   = "<!-- crash matrix: end -->"
)

// intoPage writes the table into a page, in place of the one that is there.
func intoPage(file string, all map[string]result) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("write the crash matrix: %w", err)
	}
	before, rest, begins := strings.Cut(string(text), markBegin)
	_, after, ends := strings.Cut(rest, markEnd)
	if !begins || !ends {
		return fmt.Errorf("write the crash matrix: %s lacks the line %s or %s", file, markBegin, markEnd)
	}
	page := before + markBegin + "\n\n" + summary(all) + "\n" + matrix(all) + "\n" + markEnd + after
	return os.WriteFile(file, []byte(page), 0o644)
}

// matrix is a table for each change: a row for each point, and a column for each thing that happened to the elector.
func matrix(all map[string]result) string {
	var b strings.Builder
	for _, change := range changes() {
		fmt.Fprintf(&b, "| %s: the elector is caught |", change)
		for _, a := range actions() {
			fmt.Fprintf(&b, " %s |", headings[a])
		}
		b.WriteString("\n|---|---|---|---|\n")
		for _, r := range rows() {
			if r.title() == change {
				fmt.Fprintf(&b, "| %s |", r.place())
				for _, a := range actions() {
					fmt.Fprintf(&b, " %s |", told(all[r.with(a).String()]))
				}
				b.WriteString("\n")
			}
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// changes are the changes that have a table, in their order.
func changes() []string {
	var all []string
	for _, r := range rows() {
		if !slices.Contains(all, r.title()) {
			all = append(all, r.title())
		}
	}
	return all
}

func (c cell) title() string {
	if c.rules != "" {
		return fmt.Sprintf("change of the rules, %s", c.rules)
	}
	return fmt.Sprintf("%s change", c.Kind)
}

var headings = map[failpoint.Action]string{
	failpoint.Kill: "killed", failpoint.Stop: "stopped and woken up", failpoint.Sleepwalk: "sleepwalking",
}

// told is what came of a cell: in words, and when another elector acted, when the change had ended, and for how long no write
// was acknowledged.
func told(r result) string {
	if r.outcome == "" {
		return "not played"
	}
	return fmt.Sprintf("%s: %s, %s, %s", r.outcome, short(r.acting), short(r.ended), short(r.gap))
}

// summary says what holds for all cells, and the worst of what differs.
func summary(all map[string]result) string {
	var acting, ended time.Duration
	rebuilt := 0
	for _, r := range all {
		acting, ended = max(acting, r.acting), max(ended, r.ended)
		if r.rebuilt {
			rebuilt++
		}
	}
	return fmt.Sprintf("%d of %d cells passed, with a lease of %s. At worst another elector acted after %s, and the interrupted change "+
		"had ended after %s. Cells in which the old primary had completed what nobody acknowledged, and was rebuilt: %d.\n",
		len(all), len(cells()), lease, short(acting), short(ended), rebuilt)
}
