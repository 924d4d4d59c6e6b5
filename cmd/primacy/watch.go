package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
)

// addWatchFlag adds --watch to a command that shows something.
func addWatchFlag(c *cobra.Command, watch *bool) {
	c.Flags().BoolVarP(watch, "watch", "w", false, "show it again whenever something happens, until Ctrl-C; with -o json one line for each time that it is another")
}

const (
	// lookAgain is how often is looked for what is no event, such as lag.
	lookAgain = 2 * time.Second
	// reconnectMost is how long is waited at most before a control plane that went away is asked again.
	reconnectMost = 8 * time.Second
)

// watching shows something, and again after each event. A control plane that goes away is waited for: only the first look may
// fail because of it. What is shown goes over the whole screen of a terminal; elsewhere it is added when it has changed.
func (a *ask) watching(ctx context.Context, cluster string, show func(context.Context) error) error {
	ctx, leave := context.WithCancel(ctx)
	happened := make(chan struct{}, 1)
	var listening sync.WaitGroup
	defer listening.Wait()
	defer leave()
	screen := &screen{ask: a}
	if err := screen.draw(ctx, show); err != nil {
		return orDone(ctx, err)
	}
	listening.Go(func() { a.notify(ctx, cluster, happened) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-happened:
		case <-time.After(lookAgain):
		}
		if err := screen.draw(ctx, show); err != nil && !away(err) {
			return orDone(ctx, err)
		}
	}
}

// screen is what somebody sees who watches.
type screen struct {
	*ask
	last []byte
	lost time.Time // since when the control plane does not answer
}

func (s *screen) draw(ctx context.Context, show func(context.Context) error) error {
	var drawn bytes.Buffer
	real := s.terminal
	buffered := *real
	buffered.out = &drawn
	s.terminal = &buffered
	err := show(ctx)
	s.terminal = real
	switch {
	case away(err) && s.last != nil && ctx.Err() == nil:
		s.goes(err)
	case err == nil && (!s.lost.IsZero() || !bytes.Equal(drawn.Bytes(), s.last)):
		s.lost, s.last = time.Time{}, drawn.Bytes()
		s.put(drawn.Bytes())
	}
	return err
}

// put shows what was drawn.
func (s *screen) put(drawn []byte) {
	if s.json {
		var line bytes.Buffer
		if json.Compact(&line, drawn) == nil {
			drawn = append(line.Bytes(), '\n')
		}
	}
	if s.colour {
		s.say("\x1b[H\x1b[2J")
	}
	_, _ = s.out.Write(drawn)
}

// goes says once that what stands there is no longer up to date.
func (s *screen) goes(err error) {
	if !s.lost.IsZero() || s.json {
		return
	}
	s.lost = time.Now()
	s.wrapped("", fmt.Sprintf("Connection lost at %s: %v. What stands above is from before; trying again.", s.lost.Format(time.TimeOnly), err), yellow)
}

// away tells whether nobody answers, for now: a proxy without a control plane behind it counts, and a refusal does not.
func away(err error) bool {
	var problem *api.Problem
	if errors.As(err, &problem) {
		return problem.Status >= 500
	}
	return errors.As(err, new(*api.UnreachableError)) || errors.Is(err, context.DeadlineExceeded)
}

// notify passes on that something happened; several events that nobody has looked at yet are one. A stream that ends is
// joined again.
func (a *ask) notify(ctx context.Context, cluster string, happened chan<- struct{}) {
	last := ""
	for range retries(ctx) {
		_ = a.hear(ctx, cluster, &last, func(api.Event) error {
			select {
			case happened <- struct{}{}:
			default:
			}
			return nil
		})
	}
}

// hear listens to the stream of events from last on, until it ends.
func (a *ask) hear(ctx context.Context, cluster string, last *string, heard func(api.Event) error) error {
	listener, err := a.Listen(ctx, cluster, *last)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	for {
		e, err := listener.Next()
		if err != nil {
			return err
		}
		*last = e.ID
		if err := heard(e); err != nil {
			return err
		}
	}
}

// retries goes round until ctx ends: at once, and then with pauses that double while rounds are short.
func retries(ctx context.Context) func(func(int) bool) {
	return func(try func(int) bool) {
		pause := time.Second
		for n := 0; ctx.Err() == nil; n++ {
			began := time.Now()
			if !try(n) {
				return
			}
			if time.Since(began) > reconnectMost {
				pause = time.Second
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, reconnectMost)
		}
	}
}

// orDone takes the end that was asked for with Ctrl-C for no error.
func orDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
