package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// The marks between which the table stands in a page.
const (
	markBegin = "<!-- crowd: written by make crowd -->"
	markEnd   = "<!-- crowd: end -->"
)

// intoPage writes the table into a page, in place of the one that is there.
func intoPage(file string, r result, at time.Time) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("write the table of the crowd: %w", err)
	}
	before, rest, begins := strings.Cut(string(text), markBegin)
	_, after, ends := strings.Cut(rest, markEnd)
	if !begins || !ends {
		return fmt.Errorf("write the table of the crowd: %s lacks the line %s or %s", file, markBegin, markEnd)
	}
	intro := fmt.Sprintf("%d clusters, lease %s, on %s:\n\n", r.clusters, r.lease, at.Format(time.DateOnly))
	return os.WriteFile(file, []byte(before+markBegin+"\n\n"+intro+r.table()+"\n"+markEnd+after), 0o644)
}

// table is what was measured, and what it has to be.
func (r result) table() string {
	var b strings.Builder
	row := func(what, wanted, load, measured string, values ...any) {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", what, fmt.Sprintf(measured, values...), wanted, load)
	}
	b.WriteString("| what happens | measured | has to be | load of the machine |\n|---|---|---|---|\n")
	row("two electors start", "even", r.first.load, "%s after %s", numbers(r.first.spread), seconds(r.first.took))
	row(fmt.Sprintf("a third one joins; a cluster stays where it is for %s", r.tenure), fmt.Sprintf("even, %d or %d moves", r.clusters/3, r.clusters/3+1), r.joined.load,
		"%s with %d moves, the last after %s", numbers(r.joined.spread), r.joined.moves, seconds(r.joined.took))
	row("nothing, for "+seconds(r.quiet.lasted), "no move, no write", r.quiet.load, "%d moves, %d writes, %d log entries of etcd that renew leases; each elector uses %s processors",
		r.quiet.moves, r.quiet.revisions, r.quiet.raft, shares(r.quiet.cpu))
	for _, d := range r.deaths {
		r.departed(row, "`kill -9` of an elector", d)
	}
	if len(r.leave.waits) > 0 {
		r.departed(row, "SIGTERM of an elector", r.leave)
	}
	return b.String()
}

func (r result) departed(row func(what, wanted, load, measured string, values ...any), what string, d departure) {
	row(fmt.Sprintf("%s that acts for %d", what, d.clusters), fmt.Sprintf("at most %s, %d writes each", seconds(r.lease+r.slack), d.writes()), d.load,
		"another acts for each after %s to %s (median %s); shared as %s with %d moves; %.2f writes for each",
		seconds(d.waits[0]), seconds(d.worst()), seconds(d.median()), numbers(d.spread), d.moves, float64(d.revisions)/float64(max(1, d.clusters)))
}

func shares(cpu []float64) string {
	var all []string
	for _, one := range cpu {
		all = append(all, fmt.Sprintf("%.2f", one))
	}
	return strings.Join(all, ", ")
}
