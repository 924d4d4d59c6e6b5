package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/config"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/topology"
)

// checkOptions are the flags of check.
type checkOptions struct {
	config, failOn string
	fix, dryRun    bool
}

func checkCommand() *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use: "check [CLUSTER...]", Short: "find settings, grants and tables that permit a loss or a delay",
		Long: `Reads the configuration, asks every server of it directly, and says what its settings, grants,
accounts and tables permit that the durability policy promises not to happen: what is wrong, what
that costs, and the statement that mends it. It needs no running control plane, and reads no row
of anybody's data.

With --fix it makes those settings last that need no thought (never gtid_mode, accounts or tables);
what only a restart brings into force is said.

Exit codes: 0 nothing at or above --fail-on, 1 something is, 2 bad usage or configuration.`,
		Example: "  primacy check --config /etc/primacy/primacy.yaml\n  primacy check shop --fail-on critical -o json\n  primacy check --fix --dry-run",
		RunE:    func(c *cobra.Command, names []string) error { return runCheck(c, names, o) },
	}
	f := c.Flags()
	f.StringVarP(&o.config, "config", "c", "primacy.yaml", "the configuration file")
	f.StringVar(&o.failOn, "fail-on", "warning", "the least severity for exit code 1: critical, warning, info or never")
	f.BoolVar(&o.fix, "fix", false, "persist the settings that need no thought")
	f.BoolVar(&o.dryRun, "dry-run", false, "with --fix: say what would be set, and set nothing")
	_ = c.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions([]string{"critical", "warning", "info", "never"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// checkReport is what check found, as JSON has it.
type checkReport struct {
	Clusters []checkedCluster `json:"clusters"`
	// Configuration is what is allowed in the file, and unwise.
	Configuration []string     `json:"configuration,omitempty"`
	Settings      []checkedFix `json:"settings,omitempty"` // that were made, or would be
	Critical      int          `json:"critical"`
	Warnings      int          `json:"warnings"`
	Notes         int          `json:"notes"`
	Passed        bool         `json:"passed"`
}

type checkedCluster struct {
	Name     string            `json:"name"`
	Policy   topology.Policy   `json:"durability"`
	Servers  []checkedServer   `json:"servers"`
	Findings []topology.Remark `json:"findings"`
}

type checkedServer struct {
	Address topology.Address `json:"address"`
	Reach   topology.Reach   `json:"reach"`
	Version string           `json:"version,omitempty"`
	// Unread is what could not be looked at, with the reason.
	Unread []string `json:"unread,omitempty"`
}

// checkedFix is one setting that was made, or would be.
type checkedFix struct {
	Server    topology.Address `json:"server"`
	Statement string           `json:"statement"`
	Done      bool             `json:"done"`
	Error     string           `json:"error,omitempty"`
}

func runCheck(c *cobra.Command, names []string, o checkOptions) error {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	if err := o.validate(); err != nil {
		return err
	}
	cfg, err := loadConfig(o.config, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if cfg.Clusters, err = chosen(cfg.Clusters, names); err != nil {
		return err
	}
	report, err := checked(c.Context(), cfg, o)
	if err != nil {
		return err
	}
	a := &ask{terminal: newTerminal(c.OutOrStdout(), os.Getenv), json: asJSON}
	if err := a.tell(report, func() { a.checked(report, o) }); err != nil {
		return err
	}
	if !report.Passed {
		return &endedError{exitFailed}
	}
	return nil
}

func (o checkOptions) validate() error {
	if _, known := failures[o.failOn]; !known {
		return usagef("--fail-on: %q is not known; use critical, warning, info or never", o.failOn)
	}
	if o.dryRun && !o.fix {
		return usagef("--dry-run says what --fix would set; give both")
	}
	return nil
}

// chosen are the clusters that were named, or all.
func chosen(all []config.Cluster, names []string) ([]config.Cluster, error) {
	if len(names) == 0 {
		return all, nil
	}
	var kept []config.Cluster
	for _, name := range names {
		i := slices.IndexFunc(all, func(c config.Cluster) bool { return c.Name == name })
		if i < 0 {
			return nil, usagef("there is no cluster %q in the configuration", name)
		}
		kept = append(kept, all[i])
	}
	return kept, nil
}

// checked looks at all clusters, sets what is to be set, and looks again.
func checked(ctx context.Context, cfg config.Config, o checkOptions) (report checkReport, err error) {
	settings, err := serverSettings(cfg, nil)
	if err != nil {
		return report, err
	}
	fleet := mysqld.NewFleet(settings)
	defer func() { err = errors.Join(err, fleet.Close()) }()
	for _, w := range cfg.Warnings {
		report.Configuration = append(report.Configuration, w.String())
	}
	for _, cluster := range cfg.Clusters {
		rules, err := rulesetOf(ctx, cluster, fleet)
		if err != nil {
			return report, err
		}
		limits := lintLimits(cfg, cluster)
		found := inspected(ctx, fleet, cluster.Name, rules, limits)
		if fixes := o.apply(ctx, fleet, found.Findings); len(fixes) > 0 {
			report.Settings = append(report.Settings, fixes...)
			if !o.dryRun {
				found = inspected(ctx, fleet, cluster.Name, rules, limits)
			}
		}
		report.Clusters = append(report.Clusters, found)
	}
	report.count(o.failOn)
	return report, nil
}

// inspected asks all servers of a cluster at the same time.
func inspected(ctx context.Context, fleet *mysqld.Fleet, name string, rules topology.Ruleset, limits topology.LintLimits) checkedCluster {
	seen := make([]topology.Inspection, len(rules.Members))
	var running sync.WaitGroup
	for i, m := range rules.Members {
		running.Go(func() { seen[i] = fleet.Inspect(ctx, m.Address) })
	}
	running.Wait()
	c := checkedCluster{Name: name, Policy: rules.Policy, Findings: []topology.Remark{}}
	for i := range seen {
		c.Servers = append(c.Servers, checkedServer{Address: seen[i].Address, Reach: seen[i].Reach, Version: seen[i].Version, Unread: seen[i].Unread})
	}
	c.Findings = append(c.Findings, topology.Lint(rules, limits, seen)...)
	return c
}

// apply makes the settings that findings ask for, each once.
func (o checkOptions) apply(ctx context.Context, fleet *mysqld.Fleet, findings []topology.Remark) (made []checkedFix) {
	if !o.fix {
		return nil
	}
	for _, f := range findings {
		if f.Fix == nil {
			continue
		}
		one := checkedFix{Server: f.Server, Statement: f.Fix.Statement()}
		if !o.dryRun {
			err := fleet.Persist(ctx, f.Server, *f.Fix)
			if one.Done = err == nil; err != nil {
				one.Error = err.Error()
			}
		}
		made = append(made, one)
	}
	return made
}

// failures are the ranks from which a check fails.
var failures = map[string]int{"never": 0, "critical": 1, "warning": 2, "info": 3}

func (r *checkReport) count(failOn string) {
	r.Warnings = len(r.Configuration)
	for _, c := range r.Clusters {
		for _, f := range c.Findings {
			switch f.Severity {
			case topology.SeverityCritical:
				r.Critical++
			case topology.SeverityWarning:
				r.Warnings++
			case topology.SeverityInfo:
				r.Notes++
			}
		}
	}
	found := []int{r.Critical, r.Warnings, r.Notes}
	r.Passed = !slices.ContainsFunc(found[:failures[failOn]], func(n int) bool { return n > 0 })
	for _, s := range r.Settings {
		r.Passed = r.Passed && s.Error == ""
	}
}
