// Command matrix kills or stops electors at every step of a change of the primary, on real processes, real servers and a
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
	"strings"
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
	docs := flags.String("docs", "", "page into which the table is written, between its two marks; needs all cells")
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
	results, err := playAll(ctx, chosen, promised(), dir, level, out)
	if err != nil {
		return err
	}
	if *docs != "" && *only == "" {
		return intoPage(*docs, results)
	}
	return nil
}

// playAll plays one cell after the other. A cell that failed leaves servers and electors behind of which nobody knows how
// they are, so the next one gets new ones.
func playAll(ctx context.Context, chosen []cell, within limits, dir, level string, out io.Writer) (results []result, err error) {
	program, err := build(ctx, dir)
	if err != nil {
		return nil, err
	}
	var s *stage
	defer func() {
		if s != nil {
			err = errors.Join(err, s.close())
		}
	}()
	failed := 0
	for i, c := range chosen {
		if s == nil {
			if s, err = newStage(ctx, filepath.Join(dir, strconv.Itoa(i)), program, level, within); err != nil {
				return results, err
			}
		}
		began := time.Now()
		r, err := s.play(ctx, c)
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
		if err != nil {
			r.wrong = append(r.wrong, err.Error())
		}
		fmt.Fprintf(out, "%3d/%d %s (%s)\n", i+1, len(chosen), r, time.Since(began).Round(100*time.Millisecond))
		results = append(results, r)
		if len(r.wrong) > 0 {
			failed++
			last := s
			s = nil
			if err := last.close(); err != nil {
				return results, err
			}
		}
	}
	if failed > 0 {
		return results, fmt.Errorf("%d of %d cells failed", failed, len(chosen))
	}
	return results, nil
}

// String tells what came of a cell in a line, and what is wrong in further ones.
func (r result) String() string {
	text := fmt.Sprintf("%-55s %-32s acting after %s, ended after %s, no write for %s", r.cell, r.outcome, short(r.acting), short(r.ended), short(r.gap))
	if r.rebuilt {
		text += ", old primary rebuilt"
	}
	if len(r.wrong) > 0 {
		text += "\n    FAILED: " + strings.Join(r.wrong, "\n    FAILED: ")
	}
	return text
}

func short(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
