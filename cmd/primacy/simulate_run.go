package main

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/primacydb/primacy/sim"
)

// simulation is one call of the command.
type simulation struct {
	simulator
	plan     plan
	progress *progress
	underway underway
}

// ended is a lifetime that is over: the one with this number in the plan.
type ended struct {
	number int
	life   life
	report sim.Report
}

// outcome is what came of all lifetimes.
type outcome struct {
	lifetimes   int
	elapsed     time.Duration
	interrupted bool
	virtual     time.Duration
	sum         sim.Report // of the numbers in it
	last        ended
	first       *ended // that broke a promise, by its number in the plan
	broken      map[sim.Invariant]*tally
}

// tally counts the lifetimes in which an invariant was broken.
type tally struct {
	lifetimes int
	first     ended
	seeds     []uint64 // of some of them, in order
}

// talliedSeeds is how many seeds are named for one invariant.
const talliedSeeds = 20

// all simulates what is planned, until it is done, a promise is broken, or ctx ends. Numbers are handed out in order and
// each that was handed out is run to its end; so which broken lifetime is the first does not depend on who is faster.
func (r *simulation) all(ctx context.Context) *outcome {
	began := time.Now()
	open, stop := context.WithCancel(ctx)
	defer stop()
	o := &outcome{broken: map[sim.Invariant]*tally{}}
	reports := r.work(open)
	look := time.NewTicker(r.progress.every)
	defer look.Stop()
	for working := true; working; {
		select {
		case e, more := <-reports:
			if working = more; !more {
				break
			}
			o.add(e)
			if o.first != nil && !r.plan.keepGoing {
				stop()
			}
		case <-look.C:
			r.progress.show(o.progress(r.plan.total, time.Since(began), r.underway.longest()))
		}
	}
	r.progress.clear()
	o.elapsed, o.interrupted = time.Since(began), ctx.Err() != nil && o.lifetimes < r.plan.total
	return o
}

// work starts the workers; the channel is closed when the last one has ended.
func (r *simulation) work(open context.Context) <-chan ended {
	reports := make(chan ended)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(r.plan.workers, r.plan.total) {
		workers.Go(func() {
			var crew sim.Crew
			defer crew.Dismiss()
			for open.Err() == nil {
				number := int(next.Add(1)) - 1
				if number >= r.plan.total {
					return
				}
				l := r.plan.life(number)
				r.underway.begin(l.seed)
				report := r.lived(&crew, l.seed, l.options)
				r.underway.end(l.seed)
				reports <- ended{number, l, report}
			}
		})
	}
	go func() { workers.Wait(); close(reports) }()
	return reports
}

// lived is a lifetime. Should the simulator itself crash, the seed with which it does is what its developers need.
func (r *simulation) lived(crew *sim.Crew, seed uint64, o sim.Options) (report sim.Report) {
	defer func() {
		if p := recover(); p != nil {
			report = crashed(seed, p)
		}
	}()
	return r.live(crew, seed, o)
}

func crashed(seed uint64, p any) sim.Report {
	return sim.Report{Seed: seed, Violations: []sim.Violation{{Invariant: sim.NoCrash, Text: fmt.Sprintf("%v\n%s", p, debug.Stack())}}}
}

func (o *outcome) add(e ended) {
	r := e.report
	o.lifetimes++
	o.virtual += r.Virtual
	o.sum.Changes += r.Changes
	o.sum.Attempts += r.Attempts
	o.sum.Writes += r.Writes
	o.sum.Answered += r.Answered
	o.sum.Refused += r.Refused
	o.sum.Unknown += r.Unknown
	o.sum.Unprotected += r.Unprotected
	o.sum.Ruled += r.Ruled
	o.last = e
	if r.Failed() && (o.first == nil || e.number < o.first.number) {
		o.first = &e
	}
	for i := range broken(r) {
		o.count(i, e)
	}
}

// broken are the invariants that a lifetime broke, each once.
func broken(r sim.Report) map[sim.Invariant]sim.Violation {
	all := map[sim.Invariant]sim.Violation{}
	for _, v := range slices.Backward(r.Violations) {
		all[v.Invariant] = v
	}
	return all
}

func (o *outcome) count(i sim.Invariant, e ended) {
	t := o.broken[i]
	if t == nil {
		t = &tally{first: e}
		o.broken[i] = t
	}
	t.lifetimes++
	at, _ := slices.BinarySearch(t.seeds, e.life.seed)
	t.seeds = slices.Insert(t.seeds, at, e.life.seed)
	t.seeds = t.seeds[:min(len(t.seeds), talliedSeeds)]
	if e.number < t.first.number {
		t.first = e
	}
}

// invariants are those that were broken, in the order of the list.
func (o *outcome) invariants() []sim.Invariant {
	return slices.DeleteFunc(sim.Invariants(), func(i sim.Invariant) bool { return o.broken[i] == nil })
}

// perMinute is the rate at which lifetimes are simulated.
func perMinute(lifetimes int, elapsed time.Duration) int {
	if elapsed <= 0 {
		return 0
	}
	return int(float64(lifetimes) / elapsed.Minutes())
}

// shrunk is a broken lifetime with the fewest faults that still break it.
type shrunk struct {
	report sim.Report
	again  string
	// faults is how many of those that were drawn are left; from how many there were.
	faults, from int
}

// fewest leaves faults out, and then runs what is left with its trace.
func (r *simulation) fewest(e ended) (s shrunk) {
	tried, left, began := 0, len(e.report.Faults), time.Now()
	o, _ := r.shrink(e.life.seed, e.life.options, func(one sim.Report) {
		tried++
		if one.Failed() {
			left = min(left, len(one.Faults))
		}
		r.progress.offer(func() string {
			return fmt.Sprintf("shrinking: %s left of %d, %s tried, %s gone", count(left, "fault"), len(e.report.Faults), count(tried, "lifetime"), coarse(time.Since(began)))
		})
	})
	r.progress.clear()
	o.Trace = true
	var crew sim.Crew
	defer crew.Dismiss()
	report := r.lived(&crew, e.life.seed, o)
	return shrunk{report: report, again: e.life.again(o), faults: len(report.Faults), from: len(e.report.Faults)}
}

// underway knows which lifetimes run, and since when.
type underway struct {
	mu    sync.Mutex
	since map[uint64]time.Time
}

func (u *underway) begin(seed uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.since == nil {
		u.since = map[uint64]time.Time{}
	}
	u.since[seed] = time.Now()
}

func (u *underway) end(seed uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.since, seed)
}

// slow is a lifetime that takes long.
type slow struct {
	seed  uint64
	lasts time.Duration
}

// longest is the lifetime that has been running for the longest time.
func (u *underway) longest() (s slow) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, seed := range slices.Sorted(maps.Keys(u.since)) {
		if d := time.Since(u.since[seed]); d > s.lasts {
			s = slow{seed, d}
		}
	}
	return s
}
