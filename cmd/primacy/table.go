package main

import (
	"strings"
)

// column is one column of a table.
type column struct {
	title string
	right bool // numbers
	// least is how far the column may be cut when the table is too wide; 0: never.
	least int
	style func(text string) style
}

// table writes rows in columns. When they do not fit even after cutting what may be cut, each row becomes a short
// paragraph, so that nothing is lost.
func (t *terminal) table(columns []column, rows [][]string) {
	for _, r := range rows {
		for i := range r {
			r[i] = shown(r[i])
		}
	}
	widths := widthsOf(columns, rows)
	for total(widths) > width && shrink(columns, widths) {
	}
	if total(widths) > width {
		t.paragraphs(columns, rows)
		return
	}
	t.head(columns, widths)
	for _, r := range rows {
		t.row(columns, widths, r)
	}
}

func widthsOf(columns []column, rows [][]string) []int {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = cells(c.title)
		for _, r := range rows {
			widths[i] = max(widths[i], cells(r[i]))
		}
	}
	return widths
}

func total(widths []int) int {
	sum := 2 * (len(widths) - 1)
	for _, w := range widths {
		sum += w
	}
	return sum
}

// shrink takes one from the widest column that may be cut; false when none may.
func shrink(columns []column, widths []int) bool {
	widest := -1
	for i, c := range columns {
		if c.least > 0 && widths[i] > c.least && (widest < 0 || widths[i] > widths[widest]) {
			widest = i
		}
	}
	if widest < 0 {
		return false
	}
	widths[widest]--
	return true
}

func (t *terminal) head(columns []column, widths []int) {
	titles, quiet := make([]string, len(columns)), make([]column, len(columns))
	for i, c := range columns {
		titles[i], quiet[i] = c.title, column{right: c.right, style: func(string) style { return dim }}
	}
	t.row(quiet, widths, titles)
}

func (t *terminal) row(columns []column, widths []int, row []string) {
	parts := make([]string, len(columns))
	for i, c := range columns {
		text := row[i]
		if c.least > 0 && cells(text) > widths[i] {
			text = t.shortened(text, widths[i])
		}
		if c.style != nil {
			text = t.paint(c.style(row[i]), text)
		}
		if parts[i] = padded(text, widths[i]); c.right {
			parts[i] = padLeft(text, widths[i])
		}
	}
	t.say("%s", strings.TrimRight(strings.Join(parts, "  "), " "))
}

func (t *terminal) paragraphs(columns []column, rows [][]string) {
	for _, r := range rows {
		t.wrapped("", r[0], plain)
		for i, c := range columns[1:] {
			if r[i+1] != "" {
				t.wrapped("    ", strings.ToLower(c.title)+" "+r[i+1], plain)
			}
		}
	}
}
