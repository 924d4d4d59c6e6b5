package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/settle"
)

// errantFlags are what the actions of one command take.
type errantFlags struct {
	format, reason string
	dryRun, wait   bool
	past           past
	accept         []string
}

func errantCommand() *cobra.Command {
	var f errantFlags
	c := &cobra.Command{
		Use: "errant CLUSTER [SERVER] [show|export|rewind|clone|discard|keep|cancel]", Short: "what servers hold that the primary's history does not, and what to do about it",
		Long: `Errant transactions stand on a server and not in the history of the primary: an old primary
wrote them without an acknowledgement and came back after a failover, or somebody wrote to a
replica. The server is quarantined until they are settled.

  show    who wrote what and when, and whether a client may have been told (the default)
  export  all of it, as SQL or JSON, on standard output
  rewind  undo it on the server, row by row, and let it join again
  clone   replace the server's data by that of a healthy one
  discard keep it out of the history for good, where the primary's rows are the same: the primary
          gets empty transactions with the same GTIDs
  keep    have the primary do what it did, under the same GTIDs, where the primary's rows are
          still what they were before
  cancel  call off what is under way; the server stays quarantined

What may have been answered to a client goes only with --accept possibly_acked; keep takes nothing away.`,
		Args: cobra.RangeArgs(1, 3), ValidArgsFunction: completing(errantArguments),
		RunE: func(c *cobra.Command, args []string) error { return errantAction(c, args, f) },
	}
	f.past.add(c, "what was done about the cluster's errant servers")
	c.Flags().StringVar(&f.format, "format", "sql", "of export: sql or json")
	c.Flags().StringVar(&f.reason, "reason", "", "why, for the record")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "find out whether it is possible, and change nothing")
	c.Flags().BoolVar(&f.wait, "wait", true, "follow it to its end")
	c.Flags().StringSliceVar(&f.accept, "accept", nil, "what you answer for: possibly_acked (a client may have been told of it), incomplete (not all of it can be put on record before it goes), reuse (a member could not be asked whether it holds a GTID that would be used anew or taken into the history), unverified (the primary has what cannot be compared: of discard)")
	return c
}

func errantAction(c *cobra.Command, args []string, f errantFlags) error {
	if f.past.wanted {
		return asked(c, func(ctx context.Context, a *ask) error { return a.pastSettlements(ctx, args[0], f.past.before) })
	}
	args = append(args, "", "")
	cluster, server, action := args[0], args[1], args[2]
	if action == "" {
		action = "show"
	}
	if !slices.Contains(errantActions, action) {
		return usagef("%q is no action; use %s", action, strings.Join(errantActions, ", "))
	}
	if action == "cancel" && f.dryRun {
		return usagef("--dry-run belongs to rewind and clone: calling it off cannot be tried out")
	}
	a, err := asking(c)
	if err != nil {
		return err
	}
	defer a.Close()
	switch action {
	case "show":
		return a.showErrant(c.Context(), cluster, server)
	case "export":
		return a.exportErrant(c.Context(), cluster, server, f.format)
	}
	if f.reason == "" && !f.dryRun {
		return usagef("%s needs --reason, for it goes on record", action)
	}
	return a.settle(c.Context(), cluster, server, action, f)
}

var errantActions = []string{"show", "export", "rewind", "clone", "discard", "keep", "cancel"}

func errantArguments(ctx context.Context, client *api.Client, args []string) []string {
	switch len(args) {
	case 0:
		return everyCluster(ctx, client)
	case 1:
		return membersOf(ctx, client, args)
	case 2:
		return errantActions
	}
	return nil
}

func (a *ask) showErrant(ctx context.Context, cluster, server string) error {
	found, err := a.Errant(ctx, cluster, server)
	if err != nil {
		return err
	}
	return a.tell(api.ErrantList{Servers: append([]api.ErrantServer{}, found...)}, func() { a.errant(found) })
}

func (t *terminal) errant(found []api.ErrantServer) {
	if len(found) == 0 {
		t.say("Nothing is errant: what the servers hold is in the primary's history.")
	}
	for i, e := range found {
		if i > 0 {
			t.say("")
		}
		t.errantServer(e)
	}
}

func (t *terminal) errantServer(e api.ErrantServer) {
	t.wrapped("", fmt.Sprintf("%s holds %d errant transactions: %s", e.Server, countOf(e), e.Set), bold)
	if e.Verdict.NeverAcknowledged {
		t.wrapped("", "Never answered: it is proven that no client was told of them.", green)
	} else {
		t.wrapped("", "Possibly answered: it is not proven that no client was told of them.", red)
	}
	for _, why := range e.Verdict.Why {
		t.hanging("  - ", "    ", why, dim)
	}
	if e.Unread != "" {
		t.wrapped("", "They could not be read: "+e.Unread, yellow)
	}
	if e.Missing != "" {
		t.wrapped("", "The binary log does not hold "+e.Missing, yellow)
	}
	t.say("")
	for _, x := range e.Transactions[:min(len(e.Transactions), shownMost)] {
		t.transaction(x)
	}
	if more := len(e.Transactions) - shownMost; more > 0 {
		t.wrapped("", fmt.Sprintf("%d more; all of it: primacy errant CLUSTER %s export", more, e.Server), dim)
	}
	if e.Settlement != nil {
		t.say("")
		t.settlement(*e.Settlement)
	}
}

// shownMost is how many transactions and rows of each are shown.
const shownMost = 20

func countOf(e api.ErrantServer) uint64 {
	set, err := gtid.Parse(e.Set)
	if err != nil {
		return uint64(len(e.Transactions))
	}
	return set.Count()
}

func (t *terminal) transaction(x settle.Transaction) {
	who := fmt.Sprintf("server_id %d", x.ServerID)
	if x.Thread != 0 {
		who += fmt.Sprintf(", connection %d", x.Thread)
	}
	t.wrapped("", fmt.Sprintf("%s  %s  %s", x.GTID, committedText(x.CommittedAt), who), cyan)
	for _, s := range x.Statements {
		t.hanging("  ", "    ", s, plain)
	}
	for _, c := range x.Changes[:min(len(x.Changes), shownMost)] {
		t.hanging("  ", "    ", rowText(c), plain)
	}
	if len(x.Lacks) > 0 {
		t.hanging("  ", "    ", "and what is not told: "+strings.Join(x.Lacks, ", "), red)
	}
	if more := len(x.Changes) - shownMost; more > 0 {
		t.wrapped("  ", fmt.Sprintf("and %d more rows", more), dim)
	}
}

// committedText is empty of no time: a relay log knows none.
func committedText(at time.Time) string {
	if at.IsZero() {
		return "at no known time"
	}
	return at.UTC().Format("2006-01-02 15:04:05.000") + " UTC"
}

// rowText is one changed row; of an update only what identifies the row and what is different.
func rowText(c settle.Change) string {
	table := c.Schema + "." + c.Table
	switch c.Action {
	case "insert":
		return fmt.Sprintf("insert %s: %s", table, valuesText(c.After))
	case "delete":
		return fmt.Sprintf("delete %s: %s", table, valuesText(c.Before))
	}
	var key, changes []string
	for i, v := range c.Before {
		if v.Key {
			key = append(key, v.Column+"="+v.SQL)
		}
		if i < len(c.After) && c.After[i].Column == v.Column && c.After[i].SQL != v.SQL {
			changes = append(changes, fmt.Sprintf("%s: %s -> %s", v.Column, v.SQL, c.After[i].SQL))
		}
	}
	return strings.TrimSpace(fmt.Sprintf("update %s %s %s", table, strings.Join(key, " "), strings.Join(changes, ", ")))
}

func valuesText(row []settle.Value) string {
	var all []string
	for _, v := range row {
		all = append(all, v.Column+"="+v.SQL)
	}
	return strings.Join(all, ", ")
}

func (t *terminal) settlement(s api.Settlement) {
	by := "by " + orDash(s.By)
	if s.Automatic {
		by = "by itself"
	}
	t.wrapped("", fmt.Sprintf("%s %s, %s, %s: %s", s.Action, s.ID, s.State, by, s.Reason), bold)
	for _, stage := range s.Stages {
		t.settlementStage(stage)
	}
	if s.State == string(settle.StateRunning) {
		text := s.Step
		if s.Progress != nil {
			text += ": " + s.Progress.Text
		} else if s.Detail != "" {
			text += ": " + s.Detail
		}
		t.hanging("  "+t.signs.ellipsis+" ", "    ", text, plain)
	} else if s.State != string(settle.StateSucceeded) {
		t.wrapped("  ", s.Detail, yellow)
	}
}

func (t *terminal) settlementStage(s api.Stage) {
	mark := t.signs.tick
	if s.Outcome != "ok" {
		mark = t.signs.cross
	}
	t.hanging("  "+mark+" ", "    ", fmt.Sprintf("%s (%s): %s", s.Name, exact(time.Duration(s.DurationUS)*time.Microsecond), s.Detail), plain)
}

func (a *ask) exportErrant(ctx context.Context, cluster, server, format string) error {
	if format != "sql" && format != "json" {
		return usagef("--format: %q is not known; use sql or json", format)
	}
	if server == "" {
		return usagef("name the server whose transactions are to be exported")
	}
	found, err := a.Errant(ctx, cluster, server)
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		return fmt.Errorf("%s holds nothing that is errant", server)
	case found[0].Unread != "" && len(found[0].Transactions) == 0:
		return errors.New(found[0].Unread)
	case format == "json" || a.json:
		encoder := json.NewEncoder(a.out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(found[0])
	default:
		err = asTranscript(found[0]).WriteSQL(a.out)
	}
	if err == nil && (found[0].Truncated || found[0].Missing != "") {
		err = errors.New("this is not all of it: errant.rows_max is exceeded, or the binary log holds them no more")
	}
	if lacking := asTranscript(found[0]).Lacking(); err == nil && len(lacking) > 0 {
		err = fmt.Errorf("this is not all of it: %s holds %s besides, so that its statements would do something else", lacking[0].GTID, strings.Join(lacking[0].Lacks, ", "))
	}
	return err
}

// asTranscript is what the API told, as the package that writes SQL wants it.
func asTranscript(e api.ErrantServer) settle.Transcript {
	t := settle.Transcript{Transactions: e.Transactions, Rows: e.Rows, Truncated: e.Truncated}
	t.Set, _ = gtid.Parse(e.Set)
	t.Missing, _ = gtid.Parse(e.Missing)
	return t
}

func (a *ask) settle(ctx context.Context, cluster, server, action string, f errantFlags) error {
	begun, err := a.Settle(ctx, cluster, server, api.SettleRequest{Action: action, DryRun: f.dryRun, Accept: f.accept, Reason: f.reason})
	switch {
	case err != nil:
		return err
	case f.dryRun:
		return a.tried(begun)
	case action == "cancel" || !f.wait:
		return a.tell(begun, func() { a.settlement(begun.Settlement) })
	}
	return a.followSettlement(ctx, begun.Settlement)
}

func (a *ask) tried(begun api.SettleAnswer) error {
	err := a.tell(begun, func() {
		look, word := green, "Possible"
		if !begun.Check.Possible {
			look, word = red, "Not possible"
		}
		a.wrapped("", word+": "+begun.Check.Detail, look)
		a.wrapped("", "Steps: "+strings.Join(begun.Steps, ", "), dim)
	})
	if err == nil && !begun.Check.Possible {
		return &endedError{exitBlocked}
	}
	return err
}

// followSettlement tells each stage when it has ended, until all have.
func (a *ask) followSettlement(ctx context.Context, s api.Settlement) error {
	told := 0
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		if !a.json {
			for ; told < len(s.Stages); told++ {
				a.settlementStage(s.Stages[told])
			}
		}
		if s.State != string(settle.StateRunning) {
			return a.settled(s)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		record, err := a.Settlement(ctx, s.Cluster, s.ID)
		if err != nil {
			return err
		}
		s = record.Settlement
	}
}

func (a *ask) settled(s api.Settlement) error {
	err := a.tell(s, func() {
		if s.State == string(settle.StateSucceeded) {
			a.say("%s is clean again: it joins the cluster by itself.", shown(s.Server))
			return
		}
		a.wrapped("", fmt.Sprintf("It ended %s: %s", s.State, s.Detail), red)
	})
	if err == nil && s.State != string(settle.StateSucceeded) {
		return &endedError{exitFailed}
	}
	return err
}
