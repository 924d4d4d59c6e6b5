package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/primacydb/primacy/sim"
)

// A hunt is an order to a built program: live these seeds' lives until a promise is broken.
type hunt struct {
	Options sim.Options
	Breaks  []sim.Invariant // what counts as caught; none given: anything
	From    uint64
	Seeds   uint64
}

// A catch is what came of a hunt.
type catch struct {
	Caught    bool
	Seed      uint64 // the lowest that broke a promise
	Invariant sim.Invariant
	Text      string
	Lifetimes uint64
	// Others counts the lifetimes in which only promises were broken that do not count.
	Others uint64
}

// carryOut runs hunts one after the other, each on all cores.
func carryOut(from io.Reader, to io.Writer) error {
	var all []hunt
	if err := json.NewDecoder(from).Decode(&all); err != nil {
		return fmt.Errorf("read hunts: %w", err)
	}
	catches := []catch{}
	for _, h := range all {
		catches = append(catches, h.run())
	}
	return json.NewEncoder(to).Encode(catches)
}

// run lives the lifetimes. Whatever the number of cores, it finds the lowest seed.
func (h hunt) run() catch {
	var next, lived, others atomic.Uint64
	var workers sync.WaitGroup
	var mu sync.Mutex
	best := catch{Seed: h.From + h.Seeds}
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			var crew sim.Crew
			defer crew.Dismiss()
			for {
				seed := h.From + next.Add(1) - 1
				mu.Lock()
				over := seed >= best.Seed
				mu.Unlock()
				if over {
					return
				}
				report := crew.Live(seed, h.Options)
				lived.Add(1)
				v, counts := h.counts(report)
				if !counts {
					others.Add(uint64(min(1, len(report.Violations))))
					continue
				}
				mu.Lock()
				if seed < best.Seed {
					best = catch{Caught: true, Seed: seed, Invariant: v.Invariant, Text: v.String()}
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	best.Lifetimes, best.Others = lived.Load(), others.Load()
	return best
}

// counts finds a violation that was asked for.
func (h hunt) counts(r sim.Report) (sim.Violation, bool) {
	for _, v := range r.Violations {
		if len(h.Breaks) == 0 || slices.Contains(h.Breaks, v.Invariant) {
			return v, true
		}
	}
	return sim.Violation{}, false
}

// send has a built program carry hunts out, with one of its bugs or, when no name is given, without any.
func send(ctx context.Context, binary, bug string, all ...hunt) ([]catch, error) {
	order, err := json.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("order hunts: %w", err)
	}
	var answer bytes.Buffer
	program := exec.CommandContext(ctx, binary, "-hunt")
	program.Env = append(os.Environ(), bugVariable+"="+bug)
	program.Stdin, program.Stdout, program.Stderr = bytes.NewReader(order), &answer, os.Stderr
	if err := program.Run(); err != nil {
		return nil, fmt.Errorf("run %s: %w", binary, err)
	}
	var catches []catch
	if err := json.NewDecoder(&answer).Decode(&catches); err != nil || len(catches) != len(all) {
		return nil, fmt.Errorf("run %s: %d answers to %d hunts (%w)", binary, len(catches), len(all), err)
	}
	return catches, nil
}
