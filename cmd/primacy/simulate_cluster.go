package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/config"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/sim"
	"github.com/primacydb/primacy/topology"
)

// simulatedCluster are the flags that say what cluster is simulated: one of a configuration, or one in a few words.
type simulatedCluster struct {
	config, name string
	servers      int
	policy       string
	acks, zones  int
}

// policies are the names that --policy takes.
var policies = []string{string(topology.PolicySemiSync), string(topology.PolicyCrossZone), string(topology.PolicyZones), string(topology.PolicyNone)}

func addShapeFlags(c *cobra.Command, s *simulatedCluster) {
	f := c.Flags()
	f.StringVarP(&s.config, "config", "c", "", "simulate a cluster of this configuration, with its policy, limits and windows")
	f.StringVar(&s.name, "cluster", "", "which one, if the configuration has several")
	f.IntVar(&s.servers, "servers", 0, "how many servers, 3 to 7, in zones a, b, c (default: drawn, or 5 with a policy)")
	f.StringVar(&s.policy, "policy", "", strings.Join(policies, ", ")+" (default: drawn, or semi_sync with --servers)")
	f.IntVar(&s.acks, "acks", 0, "how many servers must hold a transaction before its client gets OK (default 1)")
	f.IntVar(&s.zones, "zones", 0, "with policy zones: in how many zones it must be, the primary's included (default 2)")
	_ = c.RegisterFlagCompletionFunc("policy", cobra.FixedCompletions(policies, cobra.ShellCompDirectiveNoFileComp))
}

func (s simulatedCluster) check(given func(string) bool) error {
	if s.name != "" && s.config == "" {
		return usagef("--cluster: names a cluster of a configuration; give its file with --config")
	}
	for _, flag := range []string{"servers", "policy", "acks", "zones"} {
		if s.config != "" && given(flag) {
			return usagef("--%s: the configuration says it already; leave one of both out", flag)
		}
	}
	if given("policy") && !slices.Contains(policies, s.policy) {
		near, found := config.Nearest(s.policy, policies)
		if !found {
			return usagef("--policy: %q is not known; use one of %s", s.policy, strings.Join(policies, ", "))
		}
		return usagef("--policy: %q is not known; the nearest is %s (known: %s)", s.policy, near, strings.Join(policies, ", "))
	}
	switch kind := topology.PolicyKind(s.policy); {
	case kind == topology.PolicyNone && given("acks"):
		return usagef("--acks: policy none waits for no acks; leave it out, or use --policy semi_sync")
	case kind != topology.PolicyZones && given("zones"):
		return usagef("--zones: only policy zones counts zones; leave it out, or use --policy zones")
	}
	return nil
}

// settle is the cluster that was asked for; nil lets each seed draw one.
func (s simulatedCluster) settle(ctx context.Context, given func(string) bool, warn *terminal) (*sim.Cluster, error) {
	if s.config != "" {
		return s.configured(ctx, warn)
	}
	if !given("servers") && !given("policy") && !given("acks") && !given("zones") {
		return nil, nil
	}
	policy := topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}
	if s.policy != "" {
		policy.Kind = topology.PolicyKind(s.policy)
	}
	if given("acks") || policy.Kind == topology.PolicyNone {
		policy.Acks = s.acks
	}
	if policy.Kind == topology.PolicyZones {
		policy.Zones = 2
	}
	if given("zones") {
		policy.Zones = s.zones
	}
	if given("servers") && (s.servers < sim.ServersLeast || s.servers > sim.ServersMost) {
		return nil, usagef("--servers: %d is not between %d and %d", s.servers, sim.ServersLeast, sim.ServersMost)
	}
	cluster, err := sim.EvenCluster(s.servers, policy)
	if err != nil {
		return nil, refusedShape(policy, err)
	}
	return &cluster, nil
}

// refusedShape names the flag that asks for too much, and what to give instead.
func refusedShape(p topology.Policy, err error) error {
	flag, remedy := "--policy", "use more --servers, or a lower --acks or --zones"
	if p.Kind == topology.PolicySemiSync {
		flag = "--acks"
	}
	if unmet := (*topology.UnmetError)(nil); errors.As(err, &unmet) {
		remedy = unmet.Remedy("lower --acks to %d", "lower --zones to %d", "use more --servers")
	}
	return usagef("%s: %v; %s", flag, err, remedy)
}

// unbraked is more changes than a lifetime has: the brake is for causes that many clusters share, and here one cluster
// meets in a minute what a fleet meets in years.
const unbraked = 1000

// configured is a cluster of the configuration, with all that the loop would be told there.
func (s simulatedCluster) configured(ctx context.Context, warn *terminal) (*sim.Cluster, error) {
	c, err := config.Load(s.config, simulatedEnvironment(os.Environ()))
	var mistakes config.Errors
	switch {
	case errors.As(err, &mistakes):
		return nil, err
	case err != nil: // whatever keeps the file from being read
		return nil, usagef("--config: %v", err)
	}
	for _, w := range c.Warnings {
		warn.say("%s", shown(w.String()))
	}
	chosen, err := s.choose(c.Clusters)
	if err != nil {
		return nil, err
	}
	rules, err := rulesetOf(ctx, chosen, nil)
	if err != nil {
		return nil, usagef("--config: %v", err)
	}
	windows := windowsOf(c.Antiflap)
	windows.FleetChangesMax = unbraked
	return &sim.Cluster{
		Ruleset: rules, Limits: limitsOf(c.Detection), Antiflap: windows, Timing: reparent.DefaultTiming(),
		ProbeInterval: c.Detection.ProbeInterval,
	}, nil
}

// choose finds the cluster. Servers that are still to be discovered cannot be simulated, so they have to be listed.
func (s simulatedCluster) choose(all []config.Cluster) (config.Cluster, error) {
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
	}
	i := slices.Index(names, s.name)
	switch {
	case s.name == "" && len(all) == 1:
		i = 0
	case s.name == "":
		return config.Cluster{}, usagef("--cluster: the configuration has several, say which: %s", strings.Join(names, ", "))
	case i < 0:
		return config.Cluster{}, usagef("--cluster: there is no %q; known are %s", s.name, strings.Join(names, ", "))
	}
	if len(all[i].Servers) == 0 {
		return config.Cluster{}, usagef("--config: the servers of %s are found through a seed, and a simulation finds nobody; list them", all[i].Name)
	}
	all[i].Seed = ""
	return all[i], nil
}

// simulatedEnvironment leaves of the environment what a simulation needs, and puts aside the sections of the file that it
// has no use for: so a configuration can be tried where none of its passwords and certificates are.
func simulatedEnvironment(env []string) []string {
	kept := slices.DeleteFunc(slices.Clone(env), func(pair string) bool {
		for _, section := range []string{"PRIMACY_CLUSTERS", "PRIMACY_DETECTION", "PRIMACY_ANTIFLAP", "PRIMACY_REPLICATION_HEARTBEAT"} {
			if strings.HasPrefix(pair, section) {
				return false
			}
		}
		return true
	})
	return append(kept, "PRIMACY_LISTEN=127.0.0.1:3900", "PRIMACY_AUTH={}", "PRIMACY_TLS={}", "PRIMACY_STORE={}", "PRIMACY_HOOKS=[]",
		"PRIMACY_MYSQL={password: none}", "PRIMACY_REPLICATION_PASSWORD=none")
}

// words are the flags for a cluster: those that named it, or those that describe it.
func (s simulatedCluster) words(c *sim.Cluster) []string {
	if s.config != "" {
		words := []string{"--config", quoted(s.config)}
		if s.name != "" {
			words = append(words, "--cluster", quoted(s.name))
		}
		return words
	}
	if c == nil {
		return nil
	}
	p := c.Ruleset.Policy
	words := []string{"--servers", strconv.Itoa(len(c.Ruleset.Members)), "--policy", string(p.Kind)}
	if p.Kind != topology.PolicyNone {
		words = append(words, "--acks", strconv.Itoa(p.Acks))
	}
	if p.Zones > 0 {
		words = append(words, "--zones", strconv.Itoa(p.Zones))
	}
	return words
}
