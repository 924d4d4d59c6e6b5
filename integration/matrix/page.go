package main

import (
	"fmt"
	"os"
	"strings"
)

// The marks between which the table stands in a page.
const (
	markBegin = "<!-- crash matrix: written by make matrix -->"
	markEnd   = "<!-- crash matrix: end -->"
)

// intoPage writes the table into a page, in place of the one that is there.
func intoPage(file string, results []result) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("write the crash matrix: %w", err)
	}
	before, rest, begins := strings.Cut(string(text), markBegin)
	_, after, ends := strings.Cut(rest, markEnd)
	if !begins || !ends {
		return fmt.Errorf("write the crash matrix: %s lacks the line %s or %s", file, markBegin, markEnd)
	}
	page := before + markBegin + "\n\n" + "" + "\n" + markEnd + after
	return os.WriteFile(file, []byte(page), 0o644)
}
