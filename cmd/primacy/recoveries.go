package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
)

func recoveriesCommand() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use: "recoveries [CLUSTER]", Short: "list the changes of primaries, newest first", Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: completing(clusterNames),
		RunE: func(c *cobra.Command, args []string) error {
			if limit < 1 || limit > 1000 {
				return usagef("--limit: %d is not between 1 and 1000", limit)
			}
			a, err := asking(c)
			if err != nil {
				return err
			}
			defer a.Close()
			return a.history(c.Context(), append(args, "")[0], limit)
		},
	}
	c.Flags().IntVarP(&limit, "limit", "n", 20, "at most so many")
	return c
}

func (a *ask) history(ctx context.Context, cluster string, limit int) error {
	found, err := a.RecoveryList(ctx, cluster, limit)
	if err != nil {
		return err
	}
	return a.tell(found, func() {
		if found.FromMemory {
			a.wrapped("", fmt.Sprintf("The store does not answer. Of the latest changes this elector remembers %d.", len(found.Recoveries)), yellow)
		}
		if !found.FromMemory || len(found.Recoveries) > 0 {
			a.recoveries(found.Recoveries, time.Now())
		}
	})
}

func (t *terminal) recoveries(all []api.Recovery, now time.Time) {
	if len(all) == 0 {
		t.say("No primary was changed yet.")
		return
	}
	rows := make([][]string, len(all))
	for i, r := range all {
		rows[i] = []string{r.ID, r.Kind, r.State, orDash(r.To), ago(now.Sub(r.StartedAt)), exact(time.Duration(r.DurationMS) * time.Millisecond), gapText(r)}
	}
	t.table([]column{
		{title: "ID"}, {title: "KIND"}, {title: "STATE", style: styleOfState}, {title: "TO", least: 12},
		{title: "AGO", right: true}, {title: "TOOK", right: true}, {title: "GAP", right: true},
	}, rows)
	t.wrapped("", "More of one: primacy explain ID", dim)
}

// ago is one unit only, for a column.
func ago(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours())/24)
}

func gapText(r api.Recovery) string {
	if r.GapMS == nil {
		return "-"
	}
	return exact(time.Duration(*r.GapMS) * time.Millisecond)
}
