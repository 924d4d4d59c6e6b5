package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
)

// eventKinds are those that the stream tells; gap is told by the stream itself.
var eventKinds = []string{
	"finding_opened", "finding_closed", "recovery_started", "recovery_stage", "recovery_finished", "primary_changed",
	"refused", "repair", "leading", "not_leading", "operator", "store",
}

func eventsCommand() *cobra.Command {
	var q api.EventQuery
	var follow bool
	c := &cobra.Command{
		Use: "events [CLUSTER]", Short: "tell what has happened, the latest last, and go on telling it",
		Long: `Tells what has happened, the latest last: findings that opened and closed, changes stage by stage,
what was refused, what operators did. Each elector remembers what it saw itself, the latest one to two
thousand events, and none over a restart.

With --follow it goes on until Ctrl-C, and where it stood when the connection was lost. With -o json
that is one event in a line.`,
		Example: "  primacy events shop --follow\n  primacy events --kind primary_changed,refused -n 10",
		Args:    cobra.MaximumNArgs(1), ValidArgsFunction: completing(clusterNames),
		RunE: func(c *cobra.Command, args []string) error {
			if q.Limit < 1 || q.Limit > 500 {
				return usagef("--limit: %d is not between 1 and 500", q.Limit)
			}
			if follow && q.Before != "" {
				return usagef("--before looks back, and --follow goes on from now; give one of them")
			}
			for _, kind := range q.Kinds {
				if !slices.Contains(eventKinds, kind) {
					return usagef("--kind: %q is not known; there are %s", kind, listed(eventKinds))
				}
			}
			a, err := asking(c)
			if err != nil {
				return err
			}
			defer a.Close()
			q.Cluster = append(args, "")[0]
			if follow {
				return a.followEvents(c.Context(), q)
			}
			return a.events(c.Context(), q)
		},
	}
	f := c.Flags()
	f.StringSliceVarP(&q.Kinds, "kind", "k", nil, "only of one of these kinds: "+listed(eventKinds))
	f.IntVarP(&q.Limit, "limit", "n", 50, "how many of those that have happened")
	f.StringVar(&q.Before, "before", "", "the page before this place, which the page after it tells")
	f.BoolVarP(&follow, "follow", "f", false, "go on with what happens, until Ctrl-C")
	fixed(c, "kind", eventKinds...)
	return c
}

func listed(words []string) string {
	text := ""
	for i, w := range words {
		if i > 0 {
			text += ", "
		}
		text += w
	}
	return text
}

func (a *ask) events(ctx context.Context, q api.EventQuery) error {
	found, err := a.FindEvents(ctx, q)
	if err != nil {
		return err
	}
	return a.tell(found, func() {
		if len(found.Events) == 0 {
			a.wrapped("", "Nothing like that since "+found.Since.UTC().Format("2006-01-02 15:04:05")+" UTC, which is as far back as this elector remembers.", plain)
		}
		var d diary
		for _, e := range slices.Backward(found.Events) {
			d.tell(a.terminal, e)
		}
		if found.Next != "" {
			a.wrapped("", "There are earlier ones: --before "+found.Next, dim)
		}
	})
}

// followEvents goes on after what has happened. What is lost with the connection is asked for when it is back.
func (a *ask) followEvents(ctx context.Context, q api.EventQuery) error {
	found, err := a.FindEvents(ctx, q)
	if err != nil {
		return err
	}
	newest, err := a.FindEvents(ctx, api.EventQuery{Cluster: q.Cluster, Limit: 1})
	if err != nil {
		return err
	}
	var d diary
	for _, e := range slices.Backward(found.Events) {
		if err := a.happened(&d, e); err != nil {
			return err
		}
	}
	last := ""
	if len(newest.Events) > 0 {
		last = newest.Events[0].ID
	}
	if len(found.Events) > 0 {
		last = found.Events[0].ID // what came between the two questions is in the stream
	}
	return a.goOn(ctx, q, last, &d)
}

func (a *ask) goOn(ctx context.Context, q api.EventQuery, last string, d *diary) error {
	lost := false
	for range retries(ctx) {
		err := a.hear(ctx, q.Cluster, &last, func(e api.Event) error {
			lost = false
			if e.Kind != "gap" && len(q.Kinds) > 0 && !slices.Contains(q.Kinds, e.Kind) {
				return nil
			}
			return a.happened(d, e)
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case isRefusal(err):
			return err
		case !lost && !a.json:
			lost = true
			a.wrapped("", fmt.Sprintf("Connection lost at %s; trying again.", time.Now().UTC().Format(time.TimeOnly)), yellow)
		}
	}
	return nil
}

// isRefusal tells whether trying again is of no use.
func isRefusal(err error) bool {
	problem := asProblem(err)
	return problem != nil && problem.Status < 500 && problem.Code != api.CodeTooManyStreams
}

func (a *ask) happened(d *diary, e api.Event) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(e)
	}
	d.tell(a.terminal, e)
	return nil
}

// diary tells one event after the other, and the day where it changes.
type diary struct{ day string }

func (d *diary) tell(t *terminal, e api.Event) {
	at := e.At.UTC()
	if day := at.Format("2006-01-02"); day != d.day {
		d.day = day
		t.say("%s", t.paint(dim, day+" UTC"))
	}
	mark, look := t.markOf(e)
	text := e.Kind
	if e.Cluster != "" {
		text = e.Cluster + " " + text
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	if e.By != "" {
		text += " (" + e.By + ")"
	}
	t.hanging(at.Format(time.TimeOnly)+" "+t.paint(look, mark)+" ", "           ", text, plain)
}

// markOf says at a glance whether an event is good or bad news.
func (t *terminal) markOf(e api.Event) (string, style) {
	switch e.Kind {
	case "finding_opened":
		if e.Finding != nil && e.Finding.Severity == "info" {
			return t.signs.bullet, cyan
		}
		if e.Finding != nil && e.Finding.Severity == "warning" {
			return "!", yellow
		}
		return t.signs.cross, red
	case "finding_closed", "primary_changed":
		return t.signs.tick, green
	case "recovery_finished":
		if e.State == "succeeded" {
			return t.signs.tick, green
		}
		return t.signs.cross, red
	case "recovery_stage":
		if e.Stage != nil && e.Stage.Outcome != "ok" {
			return t.signs.cross, red
		}
		return t.signs.bullet, plain
	case "refused", "not_leading", "gap":
		return "!", yellow
	}
	return t.signs.bullet, plain
}
