package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
)

func clustersCommand() *cobra.Command {
	var q api.ClusterQuery
	var watch bool
	c := &cobra.Command{
		Use: "clusters", Short: "list the clusters with their primaries and what is wrong", Args: cobra.NoArgs,
		Example: "  primacy clusters --trouble --watch\n  primacy clusters --state primary_failed,blocked\n  primacy clusters --search db17",
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := asking(c)
			if err != nil {
				return err
			}
			defer a.Close()
			q.Worst = !a.json
			show := func(ctx context.Context) error { return a.fleet(ctx, q) }
			if watch {
				return a.watching(c.Context(), "", show)
			}
			return show(c.Context())
		},
	}
	f := c.Flags()
	f.StringVarP(&q.Q, "search", "s", "", "part of the name of a cluster or server")
	f.StringSliceVar(&q.States, "state", nil, "only in one of these states: "+strings.Join(clusterStates, ", "))
	f.StringVar(&q.Severity, "severity", "", "only with a finding of this severity or worse: critical, warning, info")
	f.StringVar(&q.Finding, "finding", "", "only with this finding, by its code")
	f.StringVar(&q.Elector, "elector", "", "only those that this elector acts for")
	f.BoolVarP(&q.Trouble, "trouble", "t", false, "those that need somebody first")
	f.IntVarP(&q.Limit, "limit", "n", 0, "at most so many (default: all)")
	f.StringVar(&q.After, "after", "", "the page after this place, which the page before tells")
	addWatchFlag(c, &watch)
	fixed(c, "state", clusterStates...)
	fixed(c, "severity", "critical", "warning", "info")
	return c
}

var clusterStates = []string{"healthy", "degraded", "primary_failed", "reparenting", "blocked", "unknown"}

// fixed completes a flag with words that do not change.
func fixed(c *cobra.Command, flag string, words ...string) {
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

func (a *ask) fleet(ctx context.Context, q api.ClusterQuery) error {
	found, err := a.ClusterList(ctx, q)
	if err != nil {
		return err
	}
	return a.tell(found, func() { a.clusters(found, time.Now()) })
}

func (t *terminal) clusters(list api.ClusterList, now time.Time) {
	all := list.Clusters
	if len(all) == 0 {
		t.say("No cluster is like that, or none is configured.")
		return
	}
	columns := []column{
		{title: "CLUSTER"}, {title: "STATE", style: styleOfState}, {title: "PRIMARY", least: 12},
		{title: "FOR", right: true}, {title: "UP", right: true}, {title: "WORST FINDING", least: 13},
	}
	several := false
	for _, c := range all {
		several = several || c.Elector != all[0].Elector
	}
	if several {
		columns = append(columns, column{title: "ELECTOR", least: 9})
	}
	rows := make([][]string, len(all))
	for i, c := range all {
		rows[i] = []string{c.Name, c.State, orDash(c.Primary), leadsFor(c, now), fmt.Sprintf("%d/%d", c.Reachable, c.Servers), worstText(c)}
		if several {
			rows[i] = append(rows[i], orDash(c.Elector))
		}
	}
	t.table(columns, rows)
	t.counts(list)
	if list.Next != "" {
		t.wrapped("", "There are more: --after "+list.Next, dim)
	}
}

// leadsFor is how long the primary has led.
func leadsFor(c api.Summary, now time.Time) string {
	if c.ChangedAt.IsZero() {
		return "-"
	}
	return ago(now.Sub(c.ChangedAt))
}

// worstText is the gravest finding, with how many others there are.
func worstText(c api.Summary) string {
	if len(c.Findings) == 0 {
		return "-"
	}
	if more := max(c.FindingCount, len(c.Findings)) - 1; more > 0 {
		return fmt.Sprintf("%s +%d", c.Findings[0].Code, more)
	}
	return c.Findings[0].Code
}

// counts says how many clusters there are of each state, where that is more than can be counted by eye.
func (t *terminal) counts(list api.ClusterList) {
	if list.Total < 10 {
		return
	}
	parts := []string{fmt.Sprintf("%d clusters", list.Total)}
	for _, state := range clusterStates {
		if n := list.States[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	t.listed(parts, dim)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// styleOfState serves clusters and recoveries alike.
func styleOfState(state string) style {
	switch state {
	case "healthy", "succeeded":
		return green
	case "degraded", "reparenting", "running", "undone":
		return yellow
	case "primary_failed", "blocked", "failed":
		return red
	}
	return plain
}
