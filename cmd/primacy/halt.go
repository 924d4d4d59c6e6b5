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

// haltFlags are what stop-server and restart have in common.
type haltFlags struct {
	to, reason        string
	dryRun, wait      bool
	cancel            bool
	drain, hold, step time.Duration
}

func (f *haltFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.to, "to", "", "who is to lead instead, where a server leads (default: the best one)")
	flags.StringVar(&f.reason, "reason", "", "why, for the record")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be done to each server, and do nothing")
	flags.BoolVar(&f.cancel, "cancel", false, "call off what is under way")
	flags.BoolVar(&f.wait, "wait", true, "follow it to its end; Ctrl-C ends only that")
	flags.DurationVar(&f.drain, "drain", halt.DrainDefault, "how long clients are given before they are cut")
	flags.DurationVar(&f.hold, "for", halt.HoldDefault, "after how long a server's maintenance ends by itself")
	flags.DurationVar(&f.step, "timeout", halt.WaitDefault, "how long a step may take, the start of a server included")
	_ = c.RegisterFlagCompletionFunc("to", completing(membersOf))
}

func (f *haltFlags) terms() api.HaltTerms {
	return api.HaltTerms{
		To: f.to, DryRun: f.dryRun, DrainMS: f.drain.Milliseconds(), HoldMS: f.hold.Milliseconds(), WaitMS: f.step.Milliseconds(), Reason: f.reason,
	}
}

func (f *haltFlags) sane() error {
	switch {
	case f.reason == "" && !f.dryRun:
		return usagef("it needs --reason, for it goes on record")
	case f.cancel && f.dryRun:
		return usagef("--cancel and --dry-run contradict each other")
	case min(f.drain, f.hold, f.step) < 0:
		return usagef("--drain, --for and --timeout cannot be negative")
	}
	return nil
}

func stopServerCommand() *cobra.Command {
	var f haltFlags
	var cluster string
	c := &cobra.Command{
		Use: "stop-server SERVER", Short: "stop a server without a client being told OK for what nobody acknowledged",
		Long: `MySQL answers OK to whoever waits for an acknowledgement when it is shut down in order, although
nobody has acknowledged. So the primary is moved away first by a planned change; then the server is
put under maintenance, its clients are given time and cut, what it has received is applied, and it
is shut down. It is refused while commits could not do without the server.

The server stays under maintenance: when it runs again, primacy maintenance SERVER off.`,
		Example: "  primacy stop-server db2:3306 --reason \"new disk\" --for 4h\n  primacy stop-server db2:3306 --dry-run",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: completing(oneServer),
		RunE: func(c *cobra.Command, args []string) error {
			return halting(c, f, func(ctx context.Context, a *ask) (name string, err error) {
				if cluster == "" {
					return a.clusterOf(ctx, args[0])
				}
				return cluster, nil
			}, func(ctx context.Context, a *ask, cluster string) (api.HaltAnswer, error) {
				return a.StopServer(ctx, cluster, args[0], api.StopRequest{HaltTerms: f.terms()})
			})
		},
	}
	f.add(c)
	c.Flags().StringVar(&cluster, "cluster", "", "the server's cluster (default: found by the address)")
	return c
}

func restartCommand() *cobra.Command {
	var f haltFlags
	var shutdown bool
	var p past
	c := &cobra.Command{
		Use: "restart CLUSTER [SERVER…]", Short: "restart all servers of a cluster, one after the other, the primary last",
		Long: `Each server is stopped as stop-server does it and started again; the next one follows when it
replicates and acknowledges as before. Before the primary's turn a planned change moves the
primary to a server that was restarted. It stops at the first server that does not come back
healthy, and touches no other.

A server is started by its supervisor (MySQL's RESTART). Where it has none, or with --shutdown, it
is shut down, and whoever follows is told to start it: the moment to exchange its version.`,
		Example: "  primacy restart shop --dry-run\n  primacy restart shop --reason \"upgrade to 8.4.7\" --shutdown\n  primacy restart shop --past",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: completing(clusterThenMembers),
		RunE: func(c *cobra.Command, args []string) error {
			if p.wanted {
				return asked(c, func(ctx context.Context, a *ask) error { return a.pastHalts(ctx, args[0], p.before) })
			}
			return halting(c, f, func(context.Context, *ask) (string, error) { return args[0], nil },
				func(ctx context.Context, a *ask, cluster string) (api.HaltAnswer, error) {
					return a.RestartServers(ctx, cluster, api.RestartRequest{Servers: args[1:], Shutdown: shutdown, HaltTerms: f.terms()})
				})
		},
	}
	f.add(c)
	p.add(c, "stops and restarts of the cluster's servers")
	c.Flags().BoolVar(&shutdown, "shutdown", false, "shut each server down and wait until somebody starts it")
	return c
}

func oneServer(ctx context.Context, client *api.Client, args []string) []string {
	if len(args) > 0 {
		return nil
	}
	return serverThenSwitch(ctx, client, args)
}

func clusterThenMembers(ctx context.Context, client *api.Client, args []string) []string {
	if len(args) == 0 {
		return everyCluster(ctx, client)
	}
	return membersOf(ctx, client, args)
}

// halting asks for a stop or a restart, or calls it off, and tells how it goes.
func halting(c *cobra.Command, f haltFlags, named func(context.Context, *ask) (string, error), begin func(context.Context, *ask, string) (api.HaltAnswer, error)) error {
	if err := f.sane(); err != nil {
		return err
	}
	a, err := asking(c)
	if err != nil {
		return err
	}
	defer a.Close()
	ctx := c.Context()
	cluster, err := named(ctx, a)
	if err != nil {
		return err
	}
	if f.cancel {
		end, err := a.CancelHalt(ctx, cluster, f.reason)
		if err != nil {
			return err
		}
		return a.tell(end, func() { a.wrapped("", fmt.Sprintf("%s %s: %s", end.Kind, end.State, end.Detail), plain) })
	}
	answer, err := begin(ctx, a, cluster)
	switch {
	case err != nil:
		return err
	case f.dryRun || !f.wait:
		return a.tell(answer, func() { a.plannedHalt(answer, f.dryRun) })
	}
	return a.followHalt(ctx, answer.Halt)
}

func (t *terminal) plannedHalt(answer api.HaltAnswer, dryRun bool) {
	t.wrapped("", fmt.Sprintf("%s of %s. If every server answers as it should:", answer.Halt.Kind, strings.Join(answer.Halt.Servers, ", ")), bold)
	for i, p := range answer.Plan {
		t.say("")
		t.hanging(fmt.Sprintf("%2d. ", i+1), "    ", p.Server, bold)
		for _, step := range p.Steps {
			t.hanging("      "+t.signs.bullet+" ", "        ", step, plain)
		}
	}
	t.say("")
	if dryRun {
		t.wrapped("", "Nothing was changed.", green)
		return
	}
	t.wrapped("", fmt.Sprintf("It has begun: %s.", answer.Halt.ID), plain)
}

// followHalt tells each stage when it has ended and what is waited for, until all is over.
func (a *ask) followHalt(ctx context.Context, h api.Halt) error {
	told, waits := 0, ""
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		if !a.json {
			told, waits = a.haltNews(h, told, waits)
		}
		if h.State != string(halt.StateRunning) {
			return a.haltEnded(h)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		now, err := a.haltNow(ctx, h)
		if err != nil {
			return err
		}
		h = now
	}
}

// haltNow asks how it stands; another elector may not have read that it has begun.
func (a *ask) haltNow(ctx context.Context, h api.Halt) (api.Halt, error) {
	list, err := a.Halts(ctx, h.Cluster, 0, "")
	if err != nil {
		return h, err
	}
	for _, one := range list.Halts {
		if one.ID == h.ID {
			return one, nil
		}
	}
	return h, nil
}

// haltNews tells what is new: stages that have ended, and what is waited for since.
func (a *ask) haltNews(h api.Halt, told int, waits string) (int, string) {
	for ; told < len(h.Stages); told++ {
		stage := h.Stages[told]
		mark := a.signs.tick
		if stage.Outcome != "ok" {
			mark = a.signs.cross
		}
		a.hanging(mark+" ", "  ", fmt.Sprintf("%s %s (%s): %s", stage.Server, stage.Name, exact(time.Duration(stage.DurationUS)*time.Microsecond), stage.Detail), plain)
	}
	if h.State != string(halt.StateRunning) || h.Detail == "" || h.Server+h.Step+h.Code == waits {
		return told, waits
	}
	look := dim
	if h.Code == "start_it" {
		look = yellow
	}
	a.hanging(a.signs.ellipsis+" ", "  ", fmt.Sprintf("%s %s: %s", h.Server, h.Step, h.Detail), look)
	return told, h.Server + h.Step + h.Code
}

func (a *ask) haltEnded(h api.Halt) error {
	good := h.State == string(halt.StateSucceeded)
	err := a.tell(h, func() {
		look := green
		if !good {
			look = red
		}
		a.wrapped("", fmt.Sprintf("It %s: %s", h.State, h.Detail), look)
	})
	if err == nil && !good {
		return &endedError{exitFailed}
	}
	return err
}
