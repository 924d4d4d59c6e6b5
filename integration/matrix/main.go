// Command matrix kills or stops electors at every step of a change of the primary or the rules, on real processes, real servers and a
// real etcd, and checks what another elector makes of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("matrix", flag.ContinueOnError)
	only := flags.String("only", "", "parts of names of cells with commas between them, as \"emergency after marking\"; all when empty")
	docs := flags.String("docs", "", "page into which the table is written, between its two marks")
	record := flags.Bool("record", false, "write what came of the cells to "+recordedFile)
	list := flags.Bool("list", false, "name the cells and play none")
	verbose := flags.Bool("v", false, "let electors log what they tell the servers")
	keep := flags.Bool("keep", false, "keep the logs of the electors")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := named(*only)
	if err != nil {
		return err
	}
	if *list {
		for _, c := range chosen {
			fmt.Fprintln(out, c)
		}
		return nil
	}
	dir, err := os.MkdirTemp("", "matrix-")
	if err != nil {
		return err
	}
	if *keep {
		fmt.Fprintln(out, "logs are kept in", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	level := "info"
	if *verbose {
		level = "debug"
	}
	results, failed := playAll(ctx, chosen, promised(), dir, level, out)
	all := merged(results)
	if *record {
		failed = errors.Join(failed, saveRecorded(recordedFile, all))
	}
	if *docs != "" {
		failed = errors.Join(failed, intoPage(*docs, all))
	}
	return failed
}

// playAll plays one cell after the other, and once more those that were only late: on a busy machine each may be.
func playAll(ctx context.Context, chosen []cell, within limits, dir, level string, out io.Writer) ([]result, error) {
	program, err := build(ctx, dir)
	if err != nil {
		return nil, err
	}
	t := &theatre{dir: dir, program: program, logLevel: level, limits: within, out: out}
	defer func() { _ = t.close() }() // after a failure, which says more
	for _, c := range chosen {
		if err := t.play(ctx, c); err != nil {
			return t.results, err
		}
	}
	for i, r := range t.results {
		if len(r.late) > 0 && len(r.wrong) == 0 {
			if err := t.play(ctx, r.cell); err != nil {
				return t.results, err
			}
			t.results[i] = t.results[len(t.results)-1]
			t.results = t.results[:len(t.results)-1]
		}
	}
	return t.results, t.verdict()
}

// theatre has a stage for as long as cells pass.
type theatre struct {
	dir      string
	program  string
	logLevel string
	limits   limits
	out      io.Writer

	stage   *stage
	stages  int
	played  int // on this stage
	results []result
}

// play plays a cell. One that failed leaves servers and electors behind of which nobody knows how they are, so the next one
// gets new ones.
func (t *theatre) play(ctx context.Context, c cell) error {
	if t.stage == nil {
		var err error
		t.stages++
		t.stage, err = newStage(ctx, filepath.Join(t.dir, strconv.Itoa(t.stages)), t.program, t.logLevel, t.limits)
		if err != nil {
			return err
		}
	}
	began := time.Now()
	r, err := t.stage.play(ctx, c)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.wrong = append(r.wrong, err.Error())
	}
	t.results = append(t.results, r)
	fmt.Fprintf(t.out, "%3d %s (%s)\n", len(t.results), r, time.Since(began).Round(100*time.Millisecond))
	if t.played++; len(r.wrong) > 0 || t.played == stageCells {
		return t.close()
	}
	return nil
}

// stageCells is for how many cells a stage is used: a server that is rebuilt applies everything that was written since it began.
const stageCells = 20

func (t *theatre) close() error {
	if t.stage == nil {
		return nil
	}
	err := t.stage.close()
	t.stage, t.played = nil, 0
	return err
}

func (t *theatre) verdict() error {
	failed := 0
	for _, r := range t.results {
		if !r.passed() {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d cells failed", failed, len(t.results))
	}
	return t.close()
}

func (r result) passed() bool { return len(r.wrong) == 0 && len(r.late) == 0 }

// String tells what came of a cell in a line, and what is wrong in further ones.
func (r result) String() string {
	text := fmt.Sprintf("%-55s %-32s acting after %s, ended after %s, no write for %s", r.cell, r.outcome, short(r.acting), short(r.ended), short(r.gap))
	if r.rebuilt {
		text += ", old primary rebuilt"
	}
	for _, w := range r.wrong {
		text += "\n    FAILED: " + w
	}
	for _, w := range r.late {
		text += "\n    LATE: " + w
	}
	return text
}

func short(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
