package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/halt"
)

// past are the flags of a command that does something and can tell what was done.
type past struct {
	wanted bool
	before string
}

func (p *past) add(c *cobra.Command, what string) {
	c.Flags().BoolVar(&p.wanted, "past", false, "list "+what+", newest first, and do nothing")
	c.Flags().StringVar(&p.before, "before", "", "with --past: the page after this place, which the page before tells")
}

// pastMost is how many are listed.
const pastMost = 50

// asked connects, asks and disconnects.
func asked(c *cobra.Command, what func(context.Context, *ask) error) error {
	a, err := asking(c)
	if err != nil {
		return err
	}
	defer a.Close()
	return what(c.Context(), a)
}

func (a *ask) pastHalts(ctx context.Context, cluster, before string) error {
	list, err := a.Halts(ctx, cluster, pastMost, before)
	if err != nil {
		return err
	}
	return a.tell(list, func() {
		a.halts(list.Halts, time.Now())
		a.more(list.Next)
	})
}

func (t *terminal) more(next string) {
	if next != "" {
		t.wrapped("", "There are more: --past --before "+next, dim)
	}
}

func (t *terminal) halts(all []api.Halt, now time.Time) {
	if len(all) == 0 {
		t.say("No server was stopped or restarted from here yet.")
		return
	}
	rows := make([][]string, len(all))
	for i, h := range all {
		rows[i] = []string{h.Kind, h.State, ofServers(h.Servers), orDash(h.By), ago(now.Sub(h.StartedAt)), h.Reason}
	}
	t.table([]column{
		{title: "KIND"}, {title: "STATE", style: styleOfState}, {title: "SERVERS", least: 12}, {title: "BY", least: 8}, {title: "AGO", right: true}, {title: "REASON", least: 12},
	}, rows)
	for _, h := range all {
		if h.State != string(halt.StateSucceeded) {
			t.say("")
			t.underHalt(h)
		}
	}
}

// ofServers names one, and counts several.
func ofServers(all []string) string {
	if len(all) == 1 {
		return all[0]
	}
	return count(len(all), "server")
}

// underHalt is how far a stop or restart has come, and what it waits for.
func (t *terminal) underHalt(h api.Halt) {
	over := 0
	for over < len(h.Servers) && h.Servers[over] != h.Server {
		over++
	}
	running := h.State == string(halt.StateRunning)
	word, look := "under way", yellow
	if !running {
		word, look = h.State, red
	}
	of := ""
	if len(h.Servers) > 1 {
		of = fmt.Sprintf(", %d of %d servers over", over, len(h.Servers))
	}
	t.wrapped("", fmt.Sprintf("%s %s by %s (%s): at %s, step %s%s", strings.ToUpper(h.Kind[:1])+h.Kind[1:], word, orDash(h.By), h.Reason, h.Server, h.Step, of), look)
	if h.Code == "start_it" && running {
		t.hanging("  ", "  ", "Start "+h.Server+" now.", bold)
	}
	if h.Detail != "" {
		t.hanging("  ", "  ", h.Detail, plain)
	}
}

func (a *ask) pastSettlements(ctx context.Context, cluster, before string) error {
	list, err := a.Settlements(ctx, cluster, pastMost, before)
	if err != nil {
		return err
	}
	return a.tell(list, func() {
		a.settlements(list.Settlements, time.Now())
		a.more(list.Next)
	})
}

func (t *terminal) settlements(all []api.Settlement, now time.Time) {
	if len(all) == 0 {
		t.say("No errant server was settled yet.")
		return
	}
	rows := make([][]string, len(all))
	for i, s := range all {
		by := orDash(s.By)
		if s.Automatic {
			by = "itself"
		}
		rows[i] = []string{s.Action, s.State, s.Server, by, ago(now.Sub(s.StartedAt)), s.Reason}
	}
	t.table([]column{
		{title: "ACTION"}, {title: "STATE", style: styleOfState}, {title: "SERVER", least: 12}, {title: "BY", least: 8}, {title: "AGO", right: true}, {title: "REASON", least: 12},
	}, rows)
	for _, s := range all {
		if s.Detail != "" && s.State != "succeeded" {
			t.say("")
			t.hanging("", "  ", fmt.Sprintf("%s of %s %s: %s", s.Action, s.Server, s.State, s.Detail), plain)
		}
	}
}
