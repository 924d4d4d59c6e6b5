package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
)

func recoveriesCommand() *cobra.Command {
	var q api.RecoveryQuery
	var since string
	var automatic, watch bool
	c := &cobra.Command{
		Use: "recoveries [CLUSTER]", Short: "list the changes of primaries, newest first", Args: cobra.MaximumNArgs(1),
		Example:           "  primacy recoveries shop --state blocked,failed\n  primacy recoveries --automatic --since 24h",
		ValidArgsFunction: completing(clusterNames),
		RunE: func(c *cobra.Command, args []string) error {
			if q.Limit < 1 || q.Limit > 1000 {
				return usagef("--limit: %d is not between 1 and 1000", q.Limit)
			}
			a, err := asking(c)
			if err != nil {
				return err
			}
			defer a.Close()
			q.Cluster, q.Brief = append(args, "")[0], !a.json
			if q.Since, err = moment(since, time.Now()); err != nil {
				return err
			}
			if c.Flags().Changed("automatic") {
				q.Automatic = strconv.FormatBool(automatic)
			}
			show := func(ctx context.Context) error { return a.history(ctx, q) }
			if watch {
				return a.watching(c.Context(), q.Cluster, show)
			}
			return show(c.Context())
		},
	}
	f := c.Flags()
	f.IntVarP(&q.Limit, "limit", "n", 20, "at most so many")
	f.StringVar(&q.Kind, "kind", "", "only of this kind: "+listed(recoveryKinds))
	f.StringSliceVar(&q.States, "state", nil, "only those that ended like this: "+listed(recoveryStates))
	f.BoolVar(&automatic, "automatic", false, "only those that nobody asked for; --automatic=false: only the others")
	f.StringVar(&since, "since", "", "only those since then: 24h, or a time such as 2026-01-31T08:00:00Z")
	f.StringVar(&q.Before, "before", "", "the page after this place, which the page before tells")
	addWatchFlag(c, &watch)
	fixed(c, "kind", recoveryKinds...)
	fixed(c, "state", recoveryStates...)
	return c
}

var recoveryKinds = []string{"planned", "emergency", "rules", "reopening", "adoption"}

var recoveryStates = []string{"running", "succeeded", "undone", "blocked", "failed"}

// moment is a time, or so long ago; zero for an empty text.
func moment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, usagef("--since: %q is neither a length of time such as 24h nor a time such as 2026-01-31T08:00:00Z", text)
	}
	return at, nil
}

func (a *ask) history(ctx context.Context, q api.RecoveryQuery) error {
	found, err := a.FindRecoveries(ctx, q)
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
		if found.Next != "" {
			a.wrapped("", "There are more: --before "+found.Next, dim)
		}
	})
}

func (t *terminal) recoveries(all []api.Recovery, now time.Time) {
	if len(all) == 0 {
		t.say("No primary was changed yet, or no change was like that.")
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
