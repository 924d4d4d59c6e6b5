package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// How often progress is shown: on a terminal in one line that changes, elsewhere as a new line.
const (
	updateEvery = 200 * time.Millisecond
	lineEvery   = 10 * time.Second
	slowAfter   = 30 * time.Second
)

// progress shows how far a run has come.
type progress struct {
	out      io.Writer
	updating bool // a line that is written over
	every    time.Duration
	dirty    bool // there is such a line now
	shown    time.Time
}

func newProgress(out io.Writer) *progress {
	file, isFile := out.(*os.File)
	if isFile && isTerminal(file) && os.Getenv("TERM") != "dumb" {
		return &progress{out: out, updating: true, every: updateEvery, shown: time.Now()}
	}
	return &progress{out: out, every: lineEvery, shown: time.Now()}
}

// offer shows a line if it is time for one again.
func (p *progress) offer(line func() string) {
	if time.Since(p.shown) >= p.every {
		p.shown = time.Now()
		p.show(line())
	}
}

func (p *progress) show(line string) {
	if !p.updating {
		fmt.Fprintln(p.out, line)
		return
	}
	if runes := []rune(line); len(runes) >= width { // a line that a terminal breaks cannot be written over
		line = string(runes[:width-1])
	}
	fmt.Fprint(p.out, "\r", line, "\x1b[K")
	p.dirty = true
}

// clear takes the line away before something else is written.
func (p *progress) clear() {
	if p.dirty {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	p.dirty = false
}

// progress is the outcome so far in a line. A lifetime takes milliseconds; one that takes long is named instead of how
// long the others will take.
func (o *outcome) progress(total int, elapsed time.Duration, longest slow) string {
	line := fmt.Sprintf("%d of %d lifetimes", o.lifetimes, total)
	broken := 0
	for _, t := range o.broken {
		broken += t.lifetimes
	}
	if broken > 0 {
		line += fmt.Sprintf(" (%d BROKEN)", broken)
	}
	if longest.lasts >= slowAfter {
		return line + fmt.Sprintf(", seed %d has been running for %s", longest.seed, coarse(longest.lasts))
	}
	rate := perMinute(o.lifetimes, elapsed)
	if rate == 0 {
		return line + fmt.Sprintf(", %s gone", coarse(elapsed))
	}
	left := time.Duration(float64(total-o.lifetimes) / float64(rate) * float64(time.Minute))
	return line + fmt.Sprintf(", %d a minute, %s gone, %s left", rate, coarse(elapsed), coarse(left))
}
