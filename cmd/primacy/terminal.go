package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// width is how wide output gets at most.
const width = 80

// style is how text is shown on a terminal with colours.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// terminal writes for people. Colours and line drawing are left out where they would not show.
type terminal struct {
	out    io.Writer
	colour bool
	signs  signs
}

// signs are the few characters that are more than ASCII, with something in their place where they cannot be shown.
type signs struct{ star, branch, last, bar, tick, cross, dot, arrow, block, ellipsis, bullet, does string }

func newTerminal(out io.Writer, getenv func(string) string) *terminal {
	t := &terminal{out: out, signs: signs{"*", "|-", "`-", "|", "+", "x", "|", "->", "#", "..", "-", "=>"}}
	if speaksUTF8(getenv) {
		t.signs = signs{"★", "├─", "└─", "│", "✓", "✗", "·", "→", "█", "…", "•", "⇒"}
	}
	file, isFile := out.(*os.File)
	t.colour = isFile && isTerminal(file) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	return t
}

func speaksUTF8(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToUpper(getenv(name)); value != "" {
			return strings.Contains(value, "UTF-8") || strings.Contains(value, "UTF8")
		}
	}
	return false
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (t *terminal) paint(s style, text string) string {
	if !t.colour || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

func (t *terminal) say(format string, args ...any) {
	fmt.Fprintf(t.out, format+"\n", args...)
}

// cells is how many columns a text takes, colours not counting.
func cells(text string) int {
	n, escaped := 0, false
	for _, r := range text {
		switch {
		case escaped:
			escaped = r != 'm'
		case r == '\x1b':
			escaped = true
		default:
			n++
		}
	}
	return n
}

func padded(text string, to int) string {
	return text + strings.Repeat(" ", max(to-cells(text), 0))
}

func padLeft(text string, to int) string {
	return strings.Repeat(" ", max(to-cells(text), 0)) + text
}

// shown is text of a server as a terminal may get it: without anything that moves the cursor or changes colours.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// wrapped writes a paragraph behind an indent, in lines that fit. The text may come from anywhere.
func (t *terminal) wrapped(indent, text string, s style) {
	t.hanging(indent, indent, text, s)
}

// hanging writes a paragraph whose first line has an indent of its own.
func (t *terminal) hanging(first, rest, text string, s style) {
	for i, line := range lines(shown(text), max(width-max(cells(first), cells(rest)), 20)) {
		indent := rest
		if i == 0 {
			indent = first
		}
		t.say("%s", strings.TrimRight(indent+t.paint(s, line), " "))
	}
}

// listed writes facts one after the other and breaks lines only between them.
func (t *terminal) listed(facts []string, s style) {
	separator, line := " "+t.signs.dot+" ", ""
	for _, fact := range facts {
		fact = shown(fact)
		if line != "" && cells(line)+cells(separator)+cells(fact) > width {
			t.wrapped("", line, s)
			line = ""
		}
		if line != "" {
			line += separator
		}
		line += fact
	}
	t.wrapped("", line, s)
}

// lines breaks text between words. A word that is too long by itself, such as a GTID set, is broken after a comma or
// colon where that is possible.
func lines(text string, most int) []string {
	var all []string
	line := ""
	for _, word := range strings.Fields(text) {
		for _, part := range pieces(word, most) {
			switch {
			case line == "":
				line = part
			case cells(line)+1+cells(part) <= most:
				line += " " + part
			default:
				all, line = append(all, line), part
			}
		}
	}
	return append(all, line)
}

func pieces(word string, most int) []string {
	var all []string
	for cells(word) > most {
		runes := []rune(word)
		at := most
		if i := strings.LastIndexAny(string(runes[:most]), ",:-"); i > most/2 {
			at = utf8.RuneCountInString(string(runes[:most])[:i+1])
		}
		all, word = append(all, string(runes[:at])), string(runes[at:])
	}
	return append(all, word)
}

// shortened cuts the middle out of a text that is too long.
func (t *terminal) shortened(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	keep := max(most-cells(t.signs.ellipsis), 2)
	return string(runes[:(keep+1)/2]) + t.signs.ellipsis + string(runes[len(runes)-keep/2:])
}
