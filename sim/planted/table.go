package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/primacydb/primacy/sim"
)

// recordedFile holds, line by line, which seed caught which bug, and by which invariant.
const recordedFile = "sim/planted/caught.txt"

//go:embed caught.txt
var recordedText string

// recorded are the catches on record, by bug.
func recorded() map[string]catch {
	all := map[string]catch{}
	for line := range strings.Lines(recordedText) {
		words := strings.Fields(line)
		if len(words) != 3 || words[0] == "#" {
			continue
		}
		if seed, err := strconv.ParseUint(words[1], 10, 64); err == nil {
			all[words[0]] = catch{Caught: true, Seed: seed, Invariant: sim.Invariant(words[2])}
		}
	}
	return all
}

// merged is what is on record, brought up to date with what was hunted now.
func merged(verdicts []verdict) map[string]catch {
	all := recorded()
	for _, v := range verdicts {
		delete(all, v.name)
		if v.Caught && !v.guilty.Caught {
			all[v.name] = v.catch
		}
	}
	return all
}

// saveRecorded puts catches on record.
func saveRecorded(p project, all map[string]catch) error {
	var text strings.Builder
	text.WriteString("# The first seed that catches each planted bug, and by which invariant. Written by: make planted\n")
	for _, b := range bugs() {
		if c, caught := all[b.name]; caught {
			fmt.Fprintf(&text, "%s %d %s\n", b.name, c.Seed, c.Invariant)
		}
	}
	return os.WriteFile(filepath.Join(p.root, recordedFile), []byte(text.String()), 0o644)
}

// The marks between which the table stands in a page.
const (
	markBegin = "<!-- planted bugs: written by make planted -->"
	markEnd   = "<!-- planted bugs: end -->"
)

// intoPage writes the table into a page, in place of the one that is there.
func intoPage(file string, all map[string]catch) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("write the table of planted bugs: %w", err)
	}
	before, rest, begins := strings.Cut(string(text), markBegin)
	_, after, ends := strings.Cut(rest, markEnd)
	if !begins || !ends {
		return fmt.Errorf("write the table of planted bugs: %s lacks the line %s or %s", file, markBegin, markEnd)
	}
	page := before + markBegin + "\n\n" + table(all) + "\n" + markEnd + after
	return os.WriteFile(file, []byte(page), 0o644)
}

// table is for people: what was planted, and what noticed it.
func table(all map[string]catch) string {
	var b strings.Builder
	b.WriteString("| bug | what is wrong | where | caught by | at seed |\n|---|---|---|---|---|\n")
	for _, planted := range bugs() {
		seed, by := "not yet caught", ""
		if c, caught := all[planted.name]; caught {
			seed, by = strconv.FormatUint(c.Seed, 10), "`"+string(c.Invariant)+"`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", planted.name, planted.what, planted.where(), by, seed)
	}
	b.WriteString(afterwards)
	return b.String()
}

const afterwards = `
Seeds are counted from 1, so each is also the number of lifetimes that it took. ` + "`make planted`" + ` hunts all of them again,
` + "`go run ./sim/planted -only NAME`" + ` hunts one; ` + "`make test`" + ` plants each and tries its seed. Over the same seeds the unchanged
program breaks nothing. Where a bug is made in several places it takes away a check together with the one behind it: either of
the two alone would still hold. Where faults have to come in a certain order, they are given and the seed draws the rest. Most
are hunted in a small cluster, over 15 seconds, and with those kinds of faults that make what it takes likely (their options stand
in ` + "`sim/planted`" + `); among ordinary lifetimes they would take longer. *Twin of ` + "`mysqld/`" + `*: the real statements are SQL, so the
mistake is made in the simulated servers' copy of them.
`

// where are the files that are edited.
func (b bug) where() string {
	var files []string
	for _, e := range b.edits {
		if f := "`" + e.file + "`"; !strings.Contains(strings.Join(files, " "), f) {
			files = append(files, f)
		}
	}
	words := strings.Join(files, ", ")
	if b.twin() {
		words += " (twin of `mysqld/`)"
	}
	return words
}
