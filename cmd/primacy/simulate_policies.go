package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/sim/policy"
)

// checkPolicies tries everything in small clusters, where everything can be tried.
func checkPolicies(c *cobra.Command, s simulator, o simulateOptions, asJSON bool) error {
	if flag := o.anyOf("config", "cluster", "policy", "acks", "zones"); flag != "" {
		return usagef("--%s: --policies tries every policy, in clusters of every kind; leave one of both out", flag)
	}
	others := append([]string{"recorded", "parallel", "shrink", "keep-going"}, ofLifetimes...)
	if flag := o.anyOf(others...); flag != "" {
		return usagef("--%s: --policies tries everything, and seeds nothing; leave it out", flag)
	}
	n := policy.ServersMax
	if o.given("servers") {
		n = o.cluster.servers
	}
	if n < 1 || n > policy.ServersMax {
		return usagef("--servers: %d is not between 1 and %d, in which everything can be tried", n, policy.ServersMax)
	}
	began := time.Now()
	p := newProgress(c.ErrOrStderr())
	r := s.policies(n, func(done, total int) {
		p.offer(func() string { return fmt.Sprintf("%d of %d jobs, %s gone", done, total, coarse(time.Since(began))) })
	})
	p.clear()
	if asJSON {
		encoder := json.NewEncoder(c.OutOrStdout())
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(r); err != nil {
			return err
		}
	} else {
		newTerminal(c.OutOrStdout(), os.Getenv).policies(r, time.Since(began))
	}
	if !r.OK() {
		return &endedError{exitFailed}
	}
	return nil
}

func (t *terminal) policies(r policy.Report, took time.Duration) {
	for line := range strings.Lines(r.String()) {
		if line = strings.TrimRight(line, "\n"); cells(line) > width {
			t.hanging("", "  ", line, plain)
			continue
		}
		t.say("%s", shown(line))
	}
	t.say("took %s", coarse(took))
}
