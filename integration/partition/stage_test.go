//go:build linux

package partition

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/topology"
)

const (
	// lease is the store's lease of every elector; longer than a busy host keeps this machine from running at all.
	lease = 10 * time.Second
	// detection is the longest that it takes to find a primary dead with the settings that electors have by default.
	detection = 2500 * time.Millisecond
	// patience bounds every wait for a condition; it is never a measure of anything.
	patience = 90 * time.Second
)

// stage is four servers, two electors and their store, with a network between them in which anything can be lost.
type stage struct {
	dir      string
	program  string
	network  *network
	servers  *host // where clients and the tests are, too
	memory   *memory
	fleet    *local.Fleet
	electors []*elector
}

const serversOfFleet = 4

func build(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "primacy")
	said, err := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/primacydb/primacy/cmd/primacy").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build primacy: %w\n%s", err, said)
	}
	return program, nil
}

// newStage starts everything. What it returns has to be closed in any case.
func newStage(ctx context.Context, dir, program string) (*stage, error) {
	s := &stage{dir: dir, program: program}
	var err error
	if s.network, err = newNetwork(); err != nil {
		return s, err
	}
	if s.servers, err = s.network.attach("servers", 1+serversOfFleet, true); err != nil {
		return s, err
	}
	if s.memory, err = startMemory(ctx, s.network, dir); err != nil {
		return s, err
	}
	if err := s.startFleet(ctx); err != nil {
		return s, err
	}
	for _, name := range []string{"elector-1", "elector-2"} {
		e, err := s.startElector(name)
		if e != nil {
			s.electors = append(s.electors, e)
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *stage) startFleet(ctx context.Context) error {
	binary, err := local.Find("")
	if err != nil {
		return err
	}
	var hosts []string
	for i := range serversOfFleet {
		hosts = append(hosts, s.servers.address(2+i))
	}
	s.fleet, err = local.Start(ctx, binary, local.Spec{Servers: serversOfFleet, Hosts: hosts})
	return err
}

func (s *stage) close() error {
	for _, e := range s.electors {
		e.close()
	}
	var err error
	if s.fleet != nil {
		err = s.fleet.Close()
	}
	if s.memory != nil {
		s.memory.close()
	}
	if s.servers != nil {
		err = errors.Join(err, s.servers.ip("link del eth0")) // the tests' own host outlives its thread
	}
	if s.network != nil {
		s.network.close()
	}
	return err
}

func (s *stage) addresses() []string {
	var all []string
	for _, server := range s.fleet.Servers {
		all = append(all, server.Address())
	}
	return all
}

// acting finds the elector that acts for the cluster; nil when none does.
func (s *stage) acting(ctx context.Context) (*elector, api.Cluster) {
	for _, e := range s.electors {
		if c, err := e.cluster(ctx); err == nil && c.Leading {
			return e, c
		}
	}
	return nil, api.Cluster{}
}

// isCalm tells whether one elector acts, all others know, and nothing is wrong in the eyes of any.
func (s *stage) isCalm(ctx context.Context) bool {
	acting, _ := s.acting(ctx)
	if acting == nil {
		return false
	}
	for _, e := range s.electors {
		c, err := e.cluster(ctx)
		if err != nil || !isCalm(c) || c.Leading != (e == acting) || c.Elector != acting.name {
			return false
		}
	}
	return true
}

// describe is what is needed to understand a story that failed.
func (s *stage) describe(ctx context.Context) string {
	var text strings.Builder
	for _, e := range s.electors {
		c, err := e.cluster(ctx)
		fmt.Fprintf(&text, "%s: leading %t, elector %s, primary %s, term %d, state %s, refusal %q, %v\n", e.name, c.Leading, c.Elector, c.Primary, c.Term, c.State, c.Refusal, err)
		for _, f := range c.Findings {
			fmt.Fprintf(&text, "  %s %s: %s (%s)\n", f.Code, f.Server, f.Message, f.WhyNot)
		}
		for _, o := range c.Servers {
			fmt.Fprintf(&text, "  %s %s reach=%s ro=%t receiver=%s applier=%s executed=%s %v\n", o.Address, o.Role, o.Reach, o.ReadOnly, o.Receiver, o.Applier, o.GTIDExecuted, o.Errors)
		}
		log, _ := os.ReadFile(e.log) // without it the rest is still of use
		lines := strings.Split(string(log), "\n")
		fmt.Fprintln(&text, strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
	return text.String()
}

// isErrant tells whether a server is left out until somebody has rebuilt it.
func isErrant(c api.Cluster, server string) bool {
	_, found := finding(c, topology.Errant, server)
	return found
}

// await asks until the answer is yes.
func await(ctx context.Context, what string, holds func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
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
