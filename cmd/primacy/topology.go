package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
)

func topologyCommand() *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use: "topology CLUSTER", Short: "show the replication tree, what is wrong and what is done about it",
		Args: cobra.ExactArgs(1), ValidArgsFunction: completing(clusterNames),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := asking(c)
			if err != nil {
				return err
			}
			defer a.Close()
			if watch {
				return a.watch(c.Context(), args[0])
			}
			return a.topology(c.Context(), args[0])
		},
	}
	c.Flags().BoolVarP(&watch, "watch", "w", false, "show it again whenever something happens, until Ctrl-C")
	return c
}

func (a *ask) topology(ctx context.Context, name string) error {
	c, err := a.Cluster(ctx, name)
	if err != nil {
		return err
	}
	return a.tell(c, func() { a.tree(c, time.Now()) })
}

// watch shows the tree again after each event, and every two seconds for what is no event, such as lag.
func (a *ask) watch(ctx context.Context, name string) error {
	listener, err := a.Listen(ctx, name, "")
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	happened := make(chan error, 1)
	go notify(listener, happened)
	for {
		if a.colour {
			a.say("\x1b[H\x1b[2J")
		}
		if err := a.topology(ctx, name); err != nil {
			return orDone(ctx, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-happened:
			if err != nil {
				return orDone(ctx, err)
			}
		case <-time.After(2 * time.Second):
		}
	}
}

// notify passes on that something happened; several events that nobody has looked at yet are one.
func notify(l *api.Listener, happened chan<- error) {
	for {
		_, err := l.Next()
		if errors.Is(err, io.EOF) {
			err = errors.New("the control plane ended the stream of events")
		}
		if err != nil {
			happened <- err
			return
		}
		select {
		case happened <- nil:
		default:
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
