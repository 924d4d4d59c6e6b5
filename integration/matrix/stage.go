package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/mysqld/local"
)

const (
	// lease is the store's lease of every elector.
	lease = 2 * time.Second
	// detection is the longest that it takes to find a primary dead with the settings that electors have by default.
	detection = 2500 * time.Millisecond
	// patience bounds every wait for a condition; it is never a measure of anything.
	patience = 90 * time.Second
)

// limits are the longest that a cell may take.
type limits struct {
	acting time.Duration // until another elector acts
	ended  time.Duration // until the interrupted change has ended
}

// promised is what the page says. It holds on a machine that has little else to do.
func promised() limits { return limits{acting: lease + time.Second, ended: lease + detection} }

// stage is three servers, a store and the electors that share it.
type stage struct {
	dir      string
	program  string
	logLevel string
	limits   limits
	leash    *leash
	memory   *memory
	fleet    *local.Fleet
	electors map[string]*elector // by name; who died is not among them
	asleep   []*elector          // those that are stopped
	started  int
}

// build makes the program with failpoints.
func build(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "primacy")
	tool := exec.CommandContext(ctx, "go", "build", "-tags", "failpoints", "-o", program, "github.com/primacydb/primacy/cmd/primacy")
	if said, err := tool.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build primacy with failpoints: %w\n%s", err, said)
	}
	return program, nil
}

// newStage starts everything, and returns when one elector acts for a healthy cluster and another one stands by. What it
// returns has to be closed in any case.
func newStage(ctx context.Context, dir, program, logLevel string, within limits) (*stage, error) {
	s := &stage{dir: dir, program: program, logLevel: logLevel, limits: within, leash: newLeash(), electors: map[string]*elector{}}
	binary, err := local.Find("")
	if err != nil {
		return s, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return s, err
	}
	if s.memory, err = startMemory(ctx, filepath.Join(dir, "etcd")); err != nil {
		return s, err
	}
	if s.fleet, err = local.Start(ctx, binary, local.Spec{Servers: 3}); err != nil {
		return s, err
	}
	err = s.man(ctx, "elector-1", "elector-2")
	return s, err
}

// man sees to it that these electors run.
func (s *stage) man(ctx context.Context, names ...string) error {
	for _, name := range names {
		if s.electors[name] != nil && s.electors[name].running() {
			continue
		}
		e, err := s.startElector(ctx, name)
		if e != nil && e.cmd != nil {
			s.electors[name] = e
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) close() error {
	for _, e := range s.electors {
		e.close()
	}
	for _, e := range s.asleep {
		e.close()
	}
	var err error
	if s.fleet != nil {
		err = s.fleet.Close()
	}
	if s.memory != nil {
		s.memory.close()
	}
	s.leash.close()
	return err
}

func (s *stage) addresses() []string {
	var all []string
	for _, server := range s.fleet.Servers {
		all = append(all, server.Address())
	}
	return all
}

// preferred is the server that elections prefer.
func (s *stage) preferred() string { return s.fleet.Servers[2].Address() }

// acting finds the elector that acts for the cluster; nil when none does.
func (s *stage) acting(ctx context.Context) (*elector, api.Cluster) {
	for _, e := range s.electors {
		if c, err := e.cluster(ctx); err == nil && c.Leading {
			return e, c
		}
	}
	return nil, api.Cluster{}
}

// await asks until the answer is yes.
func await(ctx context.Context, what string, holds func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("never saw %s: %w", what, ctx.Err())
		}
	}
	return nil
}
