//go:build ignore

// Summary reads the events of `go test -json` and says what matters: failures
// with their output, what was not run, which tests took longest, and at the very end "N passed, N failed".
//
// With files it passes on what is written into them, line by line as it comes.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
)

// event is one line of `go test -json`; scripts/test.sh writes lines of the same
// form for its own checks.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
	Elapsed    float64
}

func (e event) place() string {
	name := e.Package
	if name == "" {
		name = e.ImportPath
	}
	if e.Test != "" {
		name += " " + e.Test
	}
	return name
}

type summary struct {
	passed, failed int
	output         map[string]*strings.Builder // of what has not ended yet
	broken         map[string]bool             // packages with a failure that was counted
	skipped        []string
	slowest        []event // of the tests that are part of no other, longest first
}

// slowestShown is how many tests are named of those that took longest: there is where to begin when all takes too long.
const slowestShown = 15

// Of a test that did not end so many lines are shown: of what it wrote, and of the stacks behind that.
const lastWords, stacksShown = 60, 600

func main() {
	if files := os.Args[1:]; len(files) > 0 {
		merge(files)
		return
	}
	s := summary{output: map[string]*strings.Builder{}, broken: map[string]bool{}}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Println(lines.Text()) // the go command's own complaints
			continue
		}
		s.take(e)
	}
	if err := lines.Err(); err != nil {
		fmt.Println("reading the tests' events:", err)
		s.failed++
	}
	s.close()
	if s.failed > 0 {
		os.Exit(1)
	}
}

// merge copies the lines of several pipes, none of which has to wait for another.
func merge(files []string) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, name := range files {
		all.Go(func() {
			f, err := os.Open(name)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			lines := bufio.NewReader(f)
			for err == nil {
				var line string
				line, err = lines.ReadString('\n')
				mu.Lock()
				fmt.Print(line)
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

func (s *summary) take(e event) {
	if e.Elapsed >= 10 && e.Test != "" && !strings.Contains(e.Test, "/") {
		s.slowest = append(s.slowest, e)
	}
	switch e.Action {
	case "output", "build-output":
		s.keep(e)
	case "pass":
		s.pass(e)
	case "fail", "build-fail":
		s.fail(e)
	case "skip":
		s.skip(e)
	}
}

func (s *summary) keep(e event) {
	text := s.output[e.place()]
	if text == nil {
		text = &strings.Builder{}
		s.output[e.place()] = text
	}
	text.WriteString(e.Output)
}

func (s *summary) pass(e event) {
	if e.Test != "" {
		s.passed++
	} else {
		fmt.Printf("ok    %-60s %6.1fs\n", e.Package, e.Elapsed)
	}
	delete(s.output, e.place())
}

// fail counts a package only when none of its tests was counted: it did not
// build, or ended outside of a test.
func (s *summary) fail(e event) {
	if e.Action == "build-fail" {
		s.show(e)
		return // the package that needed it fails next
	}
	if e.Test != "" || !s.broken[e.Package] {
		s.failed++
	}
	s.broken[e.Package] = true
	fmt.Printf("FAIL  %s\n", e.place())
	if e.Test == "" {
		s.showUnended(e.Package)
	}
	s.show(e)
}

// showUnended shows the last words of a package's tests that had not ended when it did: where it crashed or ran out of time,
// one of them was the cause, and go reports no result of theirs. The stacks of all goroutines come behind them.
func (s *summary) showUnended(pkg string) {
	for _, place := range slices.Sorted(maps.Keys(s.output)) {
		if !strings.HasPrefix(place, pkg+" ") {
			continue
		}
		fmt.Printf("NOT ENDED  %s\n", place)
		lines := slices.Collect(strings.Lines(s.output[place].String()))
		words := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "panic: ") })
		if words < 0 {
			words = len(lines)
		}
		for _, line := range lines[max(0, words-lastWords):min(len(lines), words+stacksShown)] {
			fmt.Print("      ", line)
		}
		delete(s.output, place)
	}
}

func (s *summary) show(e event) {
	if text := s.output[e.place()]; text != nil {
		for line := range strings.Lines(text.String()) {
			fmt.Print("      ", line)
		}
	}
	delete(s.output, e.place())
}

// skip leaves out packages without tests, which go reports in the same way.
func (s *summary) skip(e event) {
	if e.Test != "" {
		s.skipped = append(s.skipped, e.place())
	}
	delete(s.output, e.place())
}

// close ends the report. What did not run proves nothing, so where nobody reads
// along it counts as failed.
func (s *summary) close() {
	slices.SortStableFunc(s.slowest, func(a, b event) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	for _, e := range s.slowest[:min(slowestShown, len(s.slowest))] {
		fmt.Printf("slow  %6.1fs  %s\n", e.Elapsed, e.place())
	}
	for _, place := range s.skipped {
		fmt.Printf("NOT RUN  %s\n", place)
	}
	if os.Getenv("CI") == "true" {
		s.failed += len(s.skipped)
	}
	fmt.Printf("%d passed, %d failed\n", s.passed, s.failed)
}
