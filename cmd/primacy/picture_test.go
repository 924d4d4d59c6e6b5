package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/primacydb/primacy/api"
)

const pictureFile = "../../docs/pictures/terminal.svg"

// The picture in the README shows what the program writes today: it is drawn of the same examples as all other texts here.
func TestThePictureOfATerminalShowsWhatIsWritten(t *testing.T) {
	got := picture(session())
	if *update {
		if err := os.WriteFile(pictureFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(pictureFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is another; if that is meant: go test ./cmd/primacy -run %s -update", pictureFile, t.Name())
	}
	if err := xml.Unmarshal(got, new(struct{ XMLName xml.Name })); err != nil {
		t.Error(err)
	}
}

// session is a look at a cluster after a failover, as a person with colours sees it.
func session() string {
	var out bytes.Buffer
	s := newTerminal(&out, env("LANG", "C.UTF-8"))
	s.colour = true
	typed := func(command string) { s.say("%s %s", s.paint(green, "$"), s.paint(bold, command)) }
	typed("primacy topology shop")
	s.tree(exampleCluster(), noon)
	s.say("")
	typed("primacy whatif shop --fail db1:3306")
	told := exampleWhatIf()
	told.Failures, told.ByHand = told.Failures[:1], ""
	s.whatif(told, noon.Add(400*time.Millisecond))
	s.say("")
	r := exampleRecovery()
	typed("primacy explain " + r.ID)
	s.explain(api.Recovery{
		ID: r.ID, Cluster: r.Cluster, Kind: r.Kind, Cause: r.Cause, Term: r.Term, From: r.From, To: r.To, State: r.State, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
		DurationMS: r.DurationMS, GapMS: r.GapMS, Stages: r.Stages, Automatic: r.Automatic, Elector: r.Elector, Clearance: r.Clearance,
	})
	return out.String()
}

const (
	cellWidth  = 8.4
	lineHeight = 19
	margin     = 18
)

var inks = map[string]string{"1": "#ffffff", "2": "#8b949e", "31": "#ff7b72", "32": "#56d364", "33": "#e3b341", "36": "#76e3ea"}

// picture draws a coloured text: every run of one colour stands at its own column, so that no font moves what is below it.
func picture(text string) []byte {
	rows := strings.Split(strings.TrimRight(text, "\n"), "\n")
	var b bytes.Buffer
	w, h := 2*margin+cellWidth*width, 2*margin+lineHeight*len(rows)
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%d\" viewBox=\"0 0 %.0f %d\" role=\"img\" aria-label=\"primacy in a terminal\">\n", w, h, w, h)
	fmt.Fprintf(&b, "<rect width=\"100%%\" height=\"100%%\" rx=\"8\" fill=\"#0d1117\"/>\n<g font-family=\"ui-monospace, 'SF Mono', 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\" fill=\"#d5dbe1\">\n")
	for i, row := range rows {
		at := 0
		for _, run := range runs(row) {
			if strings.TrimSpace(run.text) != "" {
				b.WriteString(run.drawn(at, margin+lineHeight*i+14))
			}
			at += utf8.RuneCountInString(run.text)
		}
	}
	b.WriteString("</g>\n</svg>\n")
	return b.Bytes()
}

// inked is text of one colour.
type inked struct{ ink, text string }

func (r inked) drawn(column, y int) string {
	lead := utf8.RuneCountInString(r.text) - utf8.RuneCountInString(strings.TrimLeft(r.text, " "))
	var shown bytes.Buffer
	_ = xml.EscapeText(&shown, []byte(strings.TrimSpace(r.text)))
	look := ""
	if ink, ok := inks[r.ink]; ok {
		look = fmt.Sprintf(" fill=%q", ink)
	}
	if r.ink == "1" {
		look += ` font-weight="bold"`
	}
	length := cellWidth * float64(utf8.RuneCountInString(strings.TrimSpace(r.text)))
	return fmt.Sprintf("<text xml:space=\"preserve\" x=\"%.1f\" y=\"%d\" textLength=\"%.1f\"%s>%s</text>\n", margin+cellWidth*float64(column+lead), y, length, look, shown.String())
}

// runs takes a line apart at its escapes.
func runs(line string) (all []inked) {
	ink := ""
	for i, part := range strings.Split(line, "\x1b[") {
		if i > 0 {
			ink, part, _ = strings.Cut(part, "m")
		}
		if part != "" {
			all = append(all, inked{ink, part})
		}
	}
	return all
}
