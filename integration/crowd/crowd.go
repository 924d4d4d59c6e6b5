package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// crowd is the electors that live, with the etcd that they share and what each of them shows.
type crowd struct {
	plan
	dir    string
	memory *process
	etcd   *clientv3.Client

	mu        sync.Mutex
	processes map[string]*process  // by name; those that live
	shows     map[string]shown     // by name of the elector
	gains     int                  // how often a cluster was seen to get an elector
	gained    map[string]time.Time // when each cluster did so first since an elector left
	commands  int64                // what servers were told
	endpoint  string
}

// shown is what one elector shows.
type shown struct {
	sights   map[string]sight
	commands int64
	cpu      time.Duration
}

// gather starts the etcd and puts the clusters on record. What it returns has to be closed in any case.
func gather(ctx context.Context, p plan, dir string) (*crowd, error) {
	c := &crowd{plan: p, dir: dir, processes: map[string]*process{}, shows: map[string]shown{}, gained: map[string]time.Time{}}
	var err error
	c.memory, err = begin(part{Name: "etcd", Dir: filepath.Join(dir, "etcd")}, dir, func(r report) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.endpoint = cmp.Or(r.Endpoint, c.endpoint)
	})
	if err != nil {
		return c, err
	}
	if err := c.await(ctx, "etcd to serve", func() bool { return c.endpoint != "" }); err != nil {
		return c, err
	}
	c.etcd, err = clientv3.New(clientv3.Config{Endpoints: []string{c.endpoint}, Logger: zap.NewNop()})
	if err != nil {
		return c, err
	}
	return c, adopted(ctx, c.etcd, p.clusters)
}

func (c *crowd) close() {
	for _, p := range c.processes {
		_ = p.end(p.cmd.Process.Kill)
	}
	if c.etcd != nil {
		_ = c.etcd.Close() // it says that it was cancelled
	}
	if c.memory != nil {
		_ = c.memory.end(c.memory.cmd.Process.Kill)
	}
}

// join starts electors.
func (c *crowd) join(names ...string) error {
	for _, name := range names {
		c.mu.Lock()
		c.shows[name] = shown{sights: map[string]sight{}}
		p, err := begin(part{
			Name: name, Endpoint: c.endpoint, Clusters: c.clusters, Lease: c.lease, Probe: c.probe, Tenure: c.tenure,
		}, c.dir, func(r report) { c.hear(name, r) })
		if err == nil {
			c.processes[name] = p
		}
		c.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// leave ends an elector, and says when that began and what it acted for.
func (c *crowd) leave(name string, signal os.Signal) (at time.Time, had []string, err error) {
	c.mu.Lock()
	p := c.processes[name]
	for cluster, s := range c.shows[name].sights {
		if s.Leading {
			had = append(had, cluster)
		}
	}
	delete(c.processes, name)
	delete(c.shows, name) // what it still says is not heard any more
	clear(c.gained)
	at = time.Now()
	c.mu.Unlock()
	return at, had, p.end(func() error { return p.cmd.Process.Signal(signal) })
}

// hear takes in what an elector tells.
func (c *crowd) hear(name string, r report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, lives := c.shows[name]
	if !lives {
		return
	}
	for _, one := range r.Sights {
		if one.Leading && !s.sights[one.Cluster].Leading {
			c.gains++
			if c.gained[one.Cluster].IsZero() {
				c.gained[one.Cluster] = r.At
			}
		}
		s.sights[one.Cluster] = one
	}
	c.commands += r.Commands - s.commands
	s.commands, s.cpu = r.Commands, r.CPU
	c.shows[name] = s
}

// await asks until the answer is yes.
func (c *crowd) await(ctx context.Context, what string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		c.mu.Lock()
		held, text := holds(), c.describe()
		c.mu.Unlock()
		if held {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("never saw %s: %w; %s", what, ctx.Err(), text)
		}
	}
}

// patience bounds every wait for a condition; it is never a measure of anything.
const patience = 3 * time.Minute

// settled tells whether each cluster has one elector that acts for it, all electors name that one, and no elector has two
// clusters more than another.
func (c *crowd) settled() bool {
	acting := c.acting()
	if len(acting) != c.clusters {
		return false
	}
	for _, s := range c.shows {
		for cluster, by := range acting {
			if s.sights[cluster].Elector != by {
				return false
			}
		}
	}
	n := slices.Collect(maps.Values(c.spread()))
	return slices.Max(n)-slices.Min(n) <= 1
}

// acting is who acts for each cluster; a cluster of which two say so is left out.
func (c *crowd) acting() map[string]string {
	by, two := map[string]string{}, map[string]bool{}
	for name, s := range c.shows {
		for cluster, one := range s.sights {
			if one.Leading {
				two[cluster] = two[cluster] || by[cluster] != ""
				by[cluster] = name
			}
		}
	}
	maps.DeleteFunc(by, func(cluster, _ string) bool { return two[cluster] })
	return by
}

// spread is for how many clusters each elector acts.
func (c *crowd) spread() map[string]int {
	n := map[string]int{}
	for name, s := range c.shows {
		n[name] = 0
		for _, one := range s.sights {
			if one.Leading {
				n[name]++
			}
		}
	}
	return n
}

func (c *crowd) describe() string {
	var said []string
	spread := c.spread()
	for _, name := range slices.Sorted(maps.Keys(spread)) {
		said = append(said, fmt.Sprintf("%s acts for %d", name, spread[name]))
	}
	return fmt.Sprintf("%s of %d clusters; %d gains so far", strings.Join(said, ", "), c.clusters, c.gains)
}

// tally is what is counted up from the beginning; two of them show what happened in between.
type tally struct {
	at       time.Time
	gains    int
	commands int64
	revision int64 // of the store: each write makes one
	raft     int64 // log entries of the store: also what renews leases
	cpu      map[string]time.Duration
}

func (c *crowd) count(ctx context.Context) (tally, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	status, err := c.etcd.Status(ctx, c.endpoint)
	if err != nil {
		return tally{}, fmt.Errorf("ask etcd for its revision: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := tally{at: time.Now(), gains: c.gains, commands: c.commands, revision: status.Header.Revision, raft: int64(status.RaftIndex), cpu: map[string]time.Duration{}}
	for name, s := range c.shows {
		t.cpu[name] = s.cpu
	}
	return t, nil
}

// written are the keys that were written to between two revisions, each as often as that was done.
func (c *crowd) written(ctx context.Context, after, until int64) (keys []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if after == until {
		return nil, nil
	}
	for reply := range c.etcd.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(after+1)) {
		for _, event := range reply.Events {
			if event.Kv.ModRevision <= until {
				keys = append(keys, string(event.Kv.Key))
			}
		}
		if err := reply.Err(); err != nil || reply.Header.Revision >= until {
			return keys, err
		}
	}
	return keys, ctx.Err()
}

// kinds counts what was written by the kind of key, which is the key without the cluster.
func (c *crowd) kinds(ctx context.Context, after, until int64) (map[string]int, error) {
	keys, err := c.written(ctx, after, until)
	count := map[string]int{}
	for _, key := range keys {
		var kind []string
		for part := range strings.SplitSeq(strings.TrimPrefix(key, "/primacy/v1/"), "/") {
			if !strings.HasPrefix(part, clusterPrefix) {
				kind = append(kind, part)
			}
		}
		count[strings.Join(kind, "/")]++
	}
	return count, err
}
