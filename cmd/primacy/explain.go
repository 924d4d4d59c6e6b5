package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
)

func explainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explain ID", Short: "tell one change stage by stage, with its evidence", Args: cobra.ExactArgs(1),
		ValidArgsFunction: completing(recoveryIDs),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := asking(c)
			if err != nil {
				return err
			}
			defer a.Close()
			r, err := a.Recovery(c.Context(), args[0])
			if err != nil {
				return err
			}
			return a.tell(r, func() { a.explain(r) })
		},
	}
}

func recoveryIDs(ctx context.Context, client *api.Client, args []string) []string {
	if len(args) > 0 {
		return nil
	}
	found, err := client.Recoveries(ctx, "", 20)
	if err != nil {
		return nil
	}
	var ids []string
	for _, r := range found {
		ids = append(ids, r.ID)
	}
	return ids
}

// explain tells a change from what set it off to what came of it.
func (t *terminal) explain(r api.Recovery) {
	t.say("%s  %s  %s", t.paint(bold, shown(r.ID)), shown(r.Kind), t.paint(styleOfState(r.State), shown(r.State)))
	t.wrapped("", fmt.Sprintf("%s %s %s, term %d, %s UTC, %s", orDash(r.From), t.signs.arrow, orDash(r.To), r.Term,
		r.StartedAt.UTC().Format("2006-01-02 15:04:05"), askedBy(r)), plain)
	t.wrapped("", "cause: "+r.Cause, plain)
	if r.Clearance != "" {
		t.wrapped("", "cleared: "+r.Clearance, dim)
	}
	t.say("")
	t.stages(r)
	if r.Obstacle != nil {
		t.say("")
		t.obstacle("Why it ended so", r.Obstacle)
	}
	t.rests(r.Certificate)
	t.say("")
	t.outcome(r)
}

func askedBy(r api.Recovery) string {
	switch {
	case r.Automatic:
		return "automatic, by elector " + r.Elector
	case r.Reason != "":
		return fmt.Sprintf("asked for by %s: %s", orDash(r.By), r.Reason)
	}
	return "asked for by " + orDash(r.By)
}

// barRoom is how wide the time line is drawn.
const barRoom = 30

// stages shows when each stage ran, on one scale, and what it did.
func (t *terminal) stages(r api.Recovery) {
	length := spanOf(r)
	t.say("%s", t.paint(dim, fmt.Sprintf("  %-12s %9s %10s", "stage", "began", "took")))
	for _, s := range r.Stages {
		began, took := s.StartedAt.Sub(r.StartedAt), time.Duration(s.DurationUS)*time.Microsecond
		mark, look := t.signs.tick, green
		if s.Outcome != "ok" {
			mark, look = t.signs.cross, red
		}
		line := fmt.Sprintf("%s %s %9s %10s  ", t.paint(look, mark), padded(t.paint(bold, shown(s.Name)), 12), "+"+exact(began), exact(took))
		t.say("%s", strings.TrimRight(line+t.bar(began, took, length), " "))
		t.wrapped("      ", s.Detail, plain)
		for _, e := range s.Evidence {
			t.hanging("      - ", "        ", e, dim)
		}
	}
}

func spanOf(r api.Recovery) time.Duration {
	var end time.Duration
	for _, s := range r.Stages {
		end = max(end, s.StartedAt.Sub(r.StartedAt)+time.Duration(s.DurationUS)*time.Microsecond)
	}
	return end
}

// bar draws a stage where it lies in the whole; the shortest one is still seen.
func (t *terminal) bar(began, took, whole time.Duration) string {
	if whole <= 0 {
		return ""
	}
	at := int(int64(barRoom) * int64(max(began, 0)) / int64(whole))
	long := max(int(int64(barRoom)*int64(took)/int64(whole)), 1)
	at = min(at, barRoom-1)
	long = min(long, barRoom-at)
	return strings.Repeat(" ", at) + t.paint(cyan, strings.Repeat(t.signs.block, long))
}

// rests tells what each server showed, which is what the change rests on.
func (t *terminal) rests(c api.Certificate) {
	if len(c.Leaders) == 0 && len(c.Servers) == 0 {
		return
	}
	t.say("")
	t.say("%s", t.paint(bold, "Evidence"))
	for _, l := range c.Leaders {
		text := fmt.Sprintf("%s may have been leading under term %d, waiting for %s", l.Address, l.Term, count(l.Acks, "ack"))
		if l.Certified {
			text += "; an operator vouched that it is powered off"
		}
		t.hanging("  - ", "    ", text, plain)
	}
	for _, w := range c.Servers {
		if text := witnessText(w); text != "" {
			t.hanging("  - ", "    ", w.Address+" "+text, plain)
		}
	}
	if d := c.Decision; d != nil {
		t.hanging("  - ", "    ", fmt.Sprintf("decision of term %d: %s leads, on the word of %s", d.Term, d.Primary, strings.Join(d.Reached, ", ")), plain)
		t.hanging("    ", "    ", "honoured history "+orDash(d.Base), dim)
	}
}

// witnessText leaves out what was not tried.
func witnessText(w api.Witness) string {
	var parts []string
	for _, p := range []struct{ outcome, yes string }{
		{w.Frozen, "was frozen"}, {w.Silenced, "was silenced"}, {w.Applied, "applied the history"}, {w.Attached, "follows"}, {w.Released, "was released"},
	} {
		switch p.outcome {
		case "yes":
			parts = append(parts, p.yes)
		case "no", "unknown":
			parts = append(parts, fmt.Sprintf("%s: %s", p.yes, p.outcome))
		}
	}
	if w.Note != "" {
		parts = append(parts, w.Note)
	}
	return strings.Join(parts, ", ")
}

// outcome is the last line: who leads, and what it cost.
func (t *terminal) outcome(r api.Recovery) {
	text := map[string]string{
		"running":   "It is under way, in phase " + r.Phase + ".",
		"succeeded": fmt.Sprintf("%s leads %s under term %d.", r.To, r.Cluster, r.Term),
		"undone":    "It was undone; nothing had been promised, and what was done is reversed.",
		"blocked":   "It was blocked.",
		"failed":    "It failed after it may have taken effect; the next change settles that.",
	}[r.State]
	t.wrapped("", text, styleOfState(r.State))
	t.wrapped("", timesText(r), plain)
}

func timesText(r api.Recovery) string {
	whole := exact(time.Duration(r.DurationMS) * time.Millisecond)
	if r.GapMS == nil {
		return "It took " + whole + "."
	}
	return fmt.Sprintf("Primacy kept writes from completing for %s; the whole took %s.", exact(time.Duration(*r.GapMS)*time.Millisecond), whole)
}
