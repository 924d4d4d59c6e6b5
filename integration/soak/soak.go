package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/mysqld/workload"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// plan is what a soak is to be.
type plan struct {
	seed     uint64
	lasts    time.Duration
	servers  int
	writers  int
	out      io.Writer
	patience time.Duration // for the cluster to be healthy at the end; default 5 min
}

// soak is a cluster under strikes.
type soak struct {
	plan
	random *rand.Rand
	fleet  *local.Fleet
	plane  *plane
	begun  time.Time
	// toldUpTo is the number of the last event that was printed.
	toldUpTo uint64
	report
}

// report is what came of it.
type report struct {
	seed    uint64
	lasted  time.Duration
	strikes map[string]int
	changes int // of the primary
	settled map[string]int
	healthy time.Duration // after the last strike
	gap     workload.Gap
	rows    workload.Verdict
	changed int // rows that were changed again and again
	wrong   []string
}

func (p plan) carryOut(ctx context.Context) (r report, err error) {
	s := &soak{plan: p, random: rand.New(rand.NewPCG(p.seed, 0))}
	s.report = report{seed: p.seed, strikes: map[string]int{}, settled: map[string]int{}}
	if s.patience == 0 {
		s.patience = 5 * time.Minute
	}
	binary, err := local.Find("")
	if err != nil {
		return r, err
	}
	dir, err := os.MkdirTemp("", "soak-")
	if err != nil {
		return r, err
	}
	if s.fleet, err = local.Start(ctx, binary, local.Spec{Servers: p.servers, Schema: []string{changingTable}}); err != nil {
		return r, errors.Join(err, os.RemoveAll(dir))
	}
	if s.plane, err = startPlane(ctx, s.fleet, dir); err != nil {
		return r, errors.Join(err, s.fleet.Close(), os.RemoveAll(dir))
	}
	s.begun = time.Now()
	s.tell("seed %d, %d servers, %s", s.plan.seed, s.servers, s.lasts)
	err = s.run(ctx)
	err = errors.Join(err, s.plane.stop(), s.fleet.Close(), os.RemoveAll(dir))
	return s.report, err
}

// tell prints a line with the time since the beginning.
func (s *soak) tell(format string, args ...any) {
	fmt.Fprintf(s.out, "%8s  %s\n", time.Since(s.begun).Round(100*time.Millisecond), fmt.Sprintf(format, args...))
}

func (s *soak) run(ctx context.Context) error {
	if err := s.await(ctx, "a healthy cluster before anything is struck", s.isHealthy); err != nil {
		return err
	}
	client, err := workload.Start(ctx, s.clients())
	if err != nil {
		return err
	}
	defer client.Stop()
	changers := startChangers(ctx, s.clients(), s.writers/2)
	defer changers.stop()
	from := time.Now()
	if err := s.strikeOn(ctx, client); err != nil {
		return err
	}
	s.lasted = time.Since(from)
	client.Stop()
	s.changed = changers.stop()
	return s.judge(ctx, client.Writes(), from)
}

func (s *soak) clients() workload.Settings {
	var addresses []string
	for _, server := range s.fleet.Servers {
		addresses = append(addresses, server.Address())
	}
	return workload.Settings{
		Addresses: addresses, User: s.fleet.Users.App.Name, Password: s.fleet.Users.App.Password, Writers: s.writers,
		Timeout: 2 * time.Second, // a server that was frozen holds a writer no longer
		Pause:   5 * time.Millisecond,
	}
}

// await waits for a condition, and says what the cluster looks like when it never comes.
func (s *soak) await(ctx context.Context, what string, holds func(orchestrator.View) bool) error {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		v, err := s.plane.view()
		if err != nil {
			return err
		}
		if holds(v) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("never saw %s: %w\n%s", what, ctx.Err(), describe(v))
		}
	}
}

// isHealthy tells whether nothing at all is wrong, by a round of probes that is later than anything that was struck.
func (s *soak) isHealthy(v orchestrator.View) bool {
	return v.Primary != "" && v.Running == nil && v.Settling == nil && v.Snapshot.Server(v.Primary).Writable() &&
		v.Snapshot.Reached().Len() == len(v.Ruleset.Members) && len(serious(v)) == 0
}

// serious leaves out that a cluster with a server of three away could not lose another one.
func serious(v orchestrator.View) []topology.Finding {
	return slices.DeleteFunc(slices.Clone(v.Findings), func(f topology.Finding) bool { return f.Code == topology.WouldBlock })
}

func describe(v orchestrator.View) string {
	var text strings.Builder
	fmt.Fprintf(&text, "state %s, primary %s, term %d, refusal %q\n", v.State, v.Primary, v.Term, v.Refusal)
	for _, f := range v.Findings {
		fmt.Fprintf(&text, "  %s %s %s: %s [%s]\n", f.Severity, f.Code, f.Server, f.Message, f.WhyNot)
	}
	if v.Settling != nil {
		fmt.Fprintf(&text, "  settling %s: %s, %s %s\n", v.Settling.Server, v.Settling.Kind, v.Settling.Step, v.Settling.Detail)
	}
	return text.String()
}
