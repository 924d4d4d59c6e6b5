package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
)

func whatifCommand() *cobra.Command {
	var fail []string
	c := &cobra.Command{
		Use: "whatif CLUSTER", Short: "say what would happen if servers failed now",
		Long: `Says what would happen if servers failed now: which one would be promoted, whether commits would
wait, or why nobody could be promoted and what that would take. Without --fail every single
server, every zone and every pair of servers is gone through. Nothing is sent to any server.

Exit codes: 0 what was asked for, or else the failure of each single server, would be survived;
3 it would not; 1 the control plane could not say.`,
		Example: "  primacy whatif shop\n  primacy whatif shop --fail db1:3306 --fail zone:b",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: completing(clusterNames),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := asking(c)
			if err != nil {
				return err
			}
			defer a.Close()
			told, err := a.WhatIf(c.Context(), args[0], fail...)
			if err != nil {
				return err
			}
			if err := a.tell(told, func() { a.whatif(told, time.Now()) }); err != nil {
				return err
			}
			if !told.Ready {
				return &endedError{exitBlocked}
			}
			return nil
		},
	}
	c.Flags().StringArrayVar(&fail, "fail", nil, "a server, or zone:NAME, that fails; may be repeated, and all fail together")
	_ = c.RegisterFlagCompletionFunc("fail", completing(membersOf))
	return c
}

func (t *terminal) whatif(w api.WhatIf, now time.Time) {
	if w.Primary == "" {
		t.wrapped("", w.Cluster+": no leadership is recorded, so nothing would be done about any failure.", yellow)
		return
	}
	t.wrapped("", fmt.Sprintf("%s: %s leads under term %d, seen %s ago", w.Cluster, w.Primary, w.Term, coarse(now.Sub(w.ProbedAt))), bold)
	pairs, survived := 0, 0
	for _, c := range w.Failures {
		if c.Kind == "pair" {
			pairs++
			if c.Survived() {
				survived++
				continue
			}
		}
		t.failure(c)
	}
	t.say("")
	if pairs > 0 {
		t.wrapped("", fmt.Sprintf("Of %d pairs of servers %d may fail together.", pairs, survived), plain)
	}
	t.outlook(w)
}

// failure is one line, and what stands in the way below it.
func (t *terminal) failure(c api.Case) {
	mark, look := t.signs.tick, green
	if !c.Survived() {
		mark, look = t.signs.cross, red
	}
	text := "if " + strings.Join(c.Failed, " and ") + fails(len(c.Failed)) + ": "
	if c.Kind == "zone" {
		text = "if zone " + c.Zone + " (" + strings.Join(c.Failed, ", ") + ") fails: "
	}
	t.hanging(t.paint(look, mark)+" ", "  ", text+prospect(c), plain)
	if c.Obstacle == nil {
		return
	}
	for i, set := range c.Obstacle.Needs {
		word := "    needs "
		if i > 0 {
			word = "    or    "
		}
		t.hanging(word, "          ", strings.Join(set, " and "), plain)
	}
}

func fails(n int) string {
	if n == 1 {
		return " fails"
	}
	return " fail"
}

func prospect(c api.Case) string {
	why := ""
	if c.Obstacle != nil {
		why = ", " + c.Obstacle.Message
	}
	switch c.Outcome {
	case "unaffected":
		return "writes go on"
	case "writes_wait":
		return "the primary stays and writes wait" + why
	case "promoted":
		return c.Promoted + " is promoted"
	case "blocked":
		return "nobody is promoted" + why
	}
	return "nobody can tell"
}

// outlook says how long a change takes, and whether somebody has to ask for it.
func (t *terminal) outlook(w api.WhatIf) {
	if w.ByHand != "" {
		t.wrapped("", "Right now a promotion might have to be asked for: "+w.ByHand, yellow)
	}
	switch {
	case w.Expected.ChangeMS != nil:
		t.wrapped("", fmt.Sprintf("A change takes about %s from the first doubt to open writes, the median of the last %d.",
			exact(time.Duration(*w.Expected.ChangeMS)*time.Millisecond), w.Expected.Measured), dim)
	case w.Expected.NoticedMS > 0:
		t.wrapped("", fmt.Sprintf("Here none has been measured yet. A primary that falls silent is noticed within %s; one whose process ends, at once as a rule.",
			exact(time.Duration(w.Expected.NoticedMS)*time.Millisecond)), dim)
	}
}
