package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
)

func reparentCommand() *cobra.Command {
	request := api.ReparentRequest{Kind: "planned"}
	var drain time.Duration
	c := &cobra.Command{
		Use: "reparent CLUSTER", Short: "move a healthy primary to another server",
		Example: "  primacy reparent shop --to db2:3306 --dry-run\n  primacy reparent shop",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: completing(clusterNames),
		RunE: func(c *cobra.Command, args []string) error {
			if drain < 0 || drain > 10*time.Minute {
				return usagef("--drain: %s is not between 0s and 10m", drain)
			}
			if request.WithoutStore && request.Reason == "" {
				return usagef("--without-store needs --reason, for it goes on record")
			}
			request.DrainMS = drain.Milliseconds()
			return change(c, args[0], request)
		},
	}
	addChangeFlags(c, &request)
	c.Flags().DurationVar(&drain, "drain", 0, "how long the primary may take to step down (default 2s)")
	return c
}

func emergencyCommand() *cobra.Command {
	request := api.ReparentRequest{Kind: "emergency"}
	c := &cobra.Command{
		Use: "emergency CLUSTER", Short: "replace a primary that has failed, by hand",
		Long: `Replaces a primary that has failed. It is revoked first: until no earlier primary can complete
a write, nothing is promoted. When that cannot be shown, because too many servers are out of
reach, the answer is what would be needed. Somebody who knows that a server is powered off
can say so with --certify-down; that goes on record.`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: completing(clusterNames),
		RunE: func(c *cobra.Command, args []string) error {
			if (len(request.CertifyDown) > 0 || request.AcceptLoss || request.KeepErrant || request.WithoutStore) && request.Reason == "" {
				return usagef("--certify-down, --accept-loss, --keep-errant and --without-store need --reason, for it goes on record")
			}
			return change(c, args[0], request)
		},
	}
	addChangeFlags(c, &request)
	f := c.Flags()
	f.StringArrayVar((*[]string)(&request.CertifyDown), "certify-down", nil, "a server that you vouch to be powered off; may be repeated")
	f.BoolVar(&request.AcceptLoss, "accept-loss", false, "go on although acknowledged transactions may be lost")
	f.BoolVar(&request.KeepErrant, "keep-errant", false, "keep what servers hold although no recorded leader wrote it, or it was cancelled")
	_ = c.RegisterFlagCompletionFunc("certify-down", completing(membersOf))
	return c
}

func addChangeFlags(c *cobra.Command, request *api.ReparentRequest) {
	f := c.Flags()
	f.StringVar(&request.To, "to", "", "the server to promote (default: the best one)")
	f.BoolVar(&request.DryRun, "dry-run", false, "say which steps would be taken, and take none")
	f.BoolVar(&request.WithoutStore, "without-store", false, "change it although the store does not answer and no lock can be held")
	f.StringVar(&request.Reason, "reason", "", "why, for the record")
	_ = c.RegisterFlagCompletionFunc("to", completing(membersOf))
}

func change(c *cobra.Command, cluster string, request api.ReparentRequest) error {
	a, err := asking(c)
	if err != nil {
		return err
	}
	defer a.Close()
	if request.DryRun {
		return a.rehearse(c.Context(), cluster, request)
	}
	return a.carryOut(c.Context(), cluster, func(ctx context.Context) (api.ReparentAnswer, error) { return a.Reparent(ctx, cluster, request, 0) })
}

// rehearse prints the steps that a change would take.
func (a *ask) rehearse(ctx context.Context, cluster string, request api.ReparentRequest) error {
	answer, err := a.Reparent(ctx, cluster, request, 0)
	if err != nil {
		return err
	}
	return a.tell(answer, func() { a.steps(answer) })
}

func (t *terminal) steps(answer api.ReparentAnswer) {
	r := answer.Recovery
	t.wrapped("", fmt.Sprintf("%s change of %s: %s %s %s. If every server answers as it should:", r.Kind, r.Cluster, orDash(r.From), t.signs.arrow, orDash(r.To)), bold)
	for i, s := range answer.Steps {
		t.say("")
		t.hanging(fmt.Sprintf("%2d. ", i+1), "    ", s.Title, plain)
		if s.SaveFirst {
			t.wrapped("      ", "(saved to the store first)", dim)
		}
		for _, command := range s.Commands {
			t.hanging("      "+t.signs.bullet+" ", "        ", command, plain)
		}
	}
	t.say("")
	t.wrapped("", "Nothing was changed.", green)
}

// carryOut begins a change and shows it as it goes. The stream is joined first, so that no stage is missed.
func (a *ask) carryOut(ctx context.Context, cluster string, begin func(context.Context) (api.ReparentAnswer, error)) error {
	joined, leave := context.WithCancel(ctx)
	defer leave()
	listener, err := a.Listen(joined, cluster, "")
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	answer, err := begin(ctx)
	if err != nil {
		return err
	}
	if answer.Vouched != "" {
		return a.tell(answer, func() { a.vouched(answer) })
	}
	r, err := a.follow(ctx, listener, answer.Recovery)
	if err != nil {
		return err
	}
	if err := a.tell(api.ReparentAnswer{Recovery: r}, func() { a.concluded(r) }); err != nil {
		return err
	}
	switch r.State {
	case "succeeded":
		return nil
	case "blocked":
		return &endedError{exitBlocked}
	}
	return &endedError{exitFailed}
}

// follow shows stages until the change has ended. Should the stream break, it asks from time to time. What another elector
// does is not in the stream of the one that was asked, which reads it from the store, where it stands a moment later.
func (a *ask) follow(ctx context.Context, listener *api.Listener, begun api.Recovery) (api.Recovery, error) {
	if !a.json {
		a.wrapped("", fmt.Sprintf("%s change of %s under term %d: %s %s %s", begun.Kind, begun.Cluster, begun.Term, orDash(begun.From), a.signs.arrow, orDash(begun.To)), bold)
	}
	events := make(chan api.Event)
	stop := make(chan struct{})
	defer close(stop)
	go pump(listener, events, stop)
	pause, stages, recorded := time.Second, 0, time.Now().Add(recordedMost)
	if a.sent {
		pause = lookElsewhere
	}
	look := time.NewTicker(pause)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return begun, fmt.Errorf("%w; the change %s goes on, follow it with: primacy explain %s", ctx.Err(), begun.ID, begun.ID)
		case e := <-events:
			if e.Recovery == begun.ID && e.Stage != nil && !a.json {
				a.stage(*e.Stage)
			}
			if e.Recovery != begun.ID || e.Kind != "recovery_finished" {
				continue
			}
		case <-look.C:
		}
		r, err := a.Recovery(ctx, begun.ID)
		switch {
		case a.sent && notRecorded(err) && time.Now().Before(recorded):
			continue
		case err != nil:
			return r, err
		case a.sent && !a.json:
			stages = a.stagesFrom(r, stages)
		}
		if r.State != "running" {
			return r, nil
		}
	}
}

const (
	// lookElsewhere is how often it is looked for what another elector does.
	lookElsewhere = 200 * time.Millisecond
	// recordedMost is how long that may take to get on record before it counts as lost with its elector.
	recordedMost = 10 * time.Second
)

func notRecorded(err error) bool {
	var p *api.Problem
	return errors.As(err, &p) && p.Code == api.CodeNoSuchRecovery
}

// stagesFrom shows the stages that were not shown yet, and counts all.
func (t *terminal) stagesFrom(r api.Recovery, shown int) int {
	for _, s := range r.Stages[min(shown, len(r.Stages)):] {
		t.stage(s)
	}
	return max(shown, len(r.Stages))
}

// pump passes events on until the stream or the one who follows it ends.
func pump(l *api.Listener, events chan<- api.Event, stop <-chan struct{}) {
	for {
		e, err := l.Next()
		if err != nil {
			return
		}
		select {
		case events <- e:
		case <-stop:
			return
		}
	}
}

// stage is one line while a change goes on.
func (t *terminal) stage(s api.Stage) {
	mark, look := t.signs.tick, green
	if s.Outcome != "ok" {
		mark, look = t.signs.cross, red
	}
	first := fmt.Sprintf("%s %s %9s  ", t.paint(look, mark), padded(t.paint(bold, shown(s.Name)), 10), exact(time.Duration(s.DurationUS)*time.Microsecond))
	t.hanging(first, padded("", cells(first)), s.Detail, plain)
}

func (t *terminal) concluded(r api.Recovery) {
	t.say("")
	t.outcome(r)
	if r.Obstacle != nil {
		t.obstacle("Why", r.Obstacle)
	}
	t.wrapped("", "The whole story: primacy explain "+r.ID, dim)
}
