package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// plan is what is to be played.
type plan struct {
	clusters, kills            int
	lease, calm, probe, tenure time.Duration
	slack                      time.Duration // how long after the lease every cluster has to be led again
}

// result is what came of it.
type result struct {
	plan
	first  movement // two electors share the clusters
	joined movement // a third one joins
	quiet  quiet
	deaths []departure
	leave  departure // in order
}

// movement is a time in which clusters got an elector.
type movement struct {
	took   time.Duration
	moves  int
	spread []int
	told   int64  // commands that servers were told
	load   string // of the machine
}

// quiet is a time in which nothing had to be done.
type quiet struct {
	lasted    time.Duration
	moves     int
	revisions int64
	raft      int64
	written   []string  // keys
	cpu       []float64 // processors in use, by elector
	load      string
}

// departure is an elector that is gone, and how long its clusters waited for another one.
type departure struct {
	movement
	name      string
	inOrder   bool
	clusters  int
	waits     []time.Duration // in order
	revisions int64
	written   map[string]int // how often to which kind of key
}

func (d departure) worst() time.Duration { return d.waits[len(d.waits)-1] }

func (d departure) median() time.Duration { return d.waits[len(d.waits)/2] }

// carryOut plays the plan. An error says that it could not be played to its end; what electors did wrong stands in the
// verdict of the result.
func (p plan) carryOut(ctx context.Context, dir string, out io.Writer) (r result, err error) {
	r.plan = p
	c, err := gather(ctx, p, dir)
	defer c.close()
	if err != nil {
		return r, err
	}
	if r.first, err = c.enter(ctx, out, "elector-1", "elector-2"); err != nil {
		return r, err
	}
	if r.joined, err = c.enter(ctx, out, "elector-3"); err != nil {
		return r, err
	}
	if r.quiet, err = c.rest(ctx, out); err != nil {
		return r, err
	}
	for i := range p.kills {
		name := fmt.Sprintf("elector-%d", i%3+1)
		d, err := c.depart(ctx, out, name, syscall.SIGKILL)
		if err != nil {
			return r, err
		}
		r.deaths = append(r.deaths, d)
		if _, err := c.enter(ctx, out, name); err != nil {
			return r, err
		}
	}
	r.leave, err = c.depart(ctx, out, "elector-2", syscall.SIGTERM)
	return r, err
}

// enter starts electors and waits until the clusters are shared with them.
func (c *crowd) enter(ctx context.Context, out io.Writer, names ...string) (movement, error) {
	before, err := c.count(ctx)
	if err != nil {
		return movement{}, err
	}
	if err := c.join(names...); err != nil {
		return movement{}, err
	}
	m, _, err := c.settle(ctx, before)
	if err != nil {
		return m, err
	}
	fmt.Fprintf(out, "%s joined: %s\n", strings.Join(names, " and "), m)
	return m, nil
}

// settle waits until the clusters are shared evenly and everybody knows, and says what that took.
func (c *crowd) settle(ctx context.Context, before tally) (m movement, revisions int64, err error) {
	if err := c.await(ctx, "clusters that are shared evenly", c.settled); err != nil {
		return m, 0, err
	}
	after, err := c.count(ctx)
	if err != nil {
		return m, 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m = movement{
		took: after.at.Sub(before.at), moves: after.gains - before.gains, told: after.commands - before.commands,
		spread: slices.Sorted(maps.Values(c.spread())), load: load(),
	}
	return m, after.revision - before.revision, nil
}

func (m movement) String() string {
	return fmt.Sprintf("%d moves, shared as %s after %s (load %s)", m.moves, numbers(m.spread), seconds(m.took), m.load)
}

// rest watches a time in which there is nothing to do.
func (c *crowd) rest(ctx context.Context, out io.Writer) (q quiet, err error) {
	before, err := c.count(ctx)
	if err != nil {
		return q, err
	}
	select {
	case <-time.After(c.calm):
	case <-ctx.Done():
		return q, ctx.Err()
	}
	after, err := c.count(ctx)
	if err != nil {
		return q, err
	}
	q = quiet{
		lasted: after.at.Sub(before.at), moves: after.gains - before.gains, revisions: after.revision - before.revision,
		raft: after.raft - before.raft, load: load(),
	}
	for _, name := range slices.Sorted(maps.Keys(after.cpu)) {
		q.cpu = append(q.cpu, (after.cpu[name]-before.cpu[name]).Seconds()/q.lasted.Seconds())
	}
	if q.written, err = c.written(ctx, before.revision, after.revision); err != nil {
		return q, err
	}
	fmt.Fprintf(out, "%s of calm: %d moves, %d revisions %q, %d log entries, processors in use %.2f (load %s)\n",
		seconds(q.lasted), q.moves, q.revisions, q.written, q.raft, q.cpu, q.load)
	return q, nil
}

// depart ends an elector, and waits until others act for all of its clusters.
func (c *crowd) depart(ctx context.Context, out io.Writer, name string, signal os.Signal) (departure, error) {
	before, err := c.count(ctx)
	if err != nil {
		return departure{}, err
	}
	at, had, err := c.leave(name, signal)
	if err != nil {
		return departure{}, err
	}
	d := departure{name: name, inOrder: signal != syscall.SIGKILL, clusters: len(had)}
	if d.movement, d.revisions, err = c.settle(ctx, before); err != nil {
		return d, err
	}
	if d.written, err = c.kinds(ctx, before.revision, before.revision+d.revisions); err != nil {
		return d, err
	}
	c.mu.Lock()
	for _, cluster := range had {
		d.waits = append(d.waits, c.gained[cluster].Sub(at))
	}
	c.mu.Unlock()
	slices.Sort(d.waits)
	fmt.Fprintf(out, "%s got %v: its %d clusters were led elsewhere after %s to %s (median %s), %d revisions; %s\n", name, signal, d.clusters,
		seconds(d.waits[0]), seconds(d.worst()), seconds(d.median()), d.revisions, d.movement)
	return d, nil
}

// writesMax is how many writes to the store it may cost to take over a cluster. That the session of the one before ends
// is one for all of them.
const writesMax = 3

// writes is how many it may cost that a cluster gets another elector: whoever leaves in order also gives the lock back.
func (d departure) writes() int {
	if d.inOrder {
		return writesMax + 1
	}
	return writesMax
}

// verdict is everything that is not as it has to be.
func (r result) verdict() error {
	var wrong []error
	claim := func(holds bool, what string, about ...any) {
		if !holds {
			wrong = append(wrong, fmt.Errorf(what, about...))
		}
	}
	third := r.clusters / 3
	claim(r.joined.moves == third || r.joined.moves == third+1, "%d clusters moved when a third elector joined", r.joined.moves)
	claim(r.quiet.moves == 0, "%d clusters moved while nothing happened", r.quiet.moves)
	claim(r.quiet.revisions == 0, "the store was written to %d times while nothing happened: %q", r.quiet.revisions, r.quiet.written)
	for _, d := range append(slices.Clone(r.deaths), r.leave) {
		claim(d.moves == d.clusters, "%d clusters moved when %s left %d", d.moves, d.name, d.clusters)
		claim(d.revisions <= int64(d.writes()*d.clusters+1), "%d writes for %d clusters of %s: %v", d.revisions, d.clusters, d.name, d.written)
		claim(d.waits[0] >= 0, "a cluster of %s was led elsewhere before it was left", d.name)
		claim(d.worst() <= r.lease+r.slack, "a cluster of %s was led elsewhere only after %s", d.name, seconds(d.worst()))
	}
	told := r.first.told + r.joined.told + r.leave.told
	for _, d := range r.deaths {
		told += d.told
	}
	claim(told == 0, "servers that were well were told %d commands", told)
	return errors.Join(wrong...)
}

// load says how busy the machine is, where it can be read.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(text), " ")
	return cmp.Or(one, "unknown") + fmt.Sprintf(" on %d processors", runtime.NumCPU())
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func numbers(n []int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(n[len(n)-1-i]))
	}
	return strings.Join(all, "/")
}
