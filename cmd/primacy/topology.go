package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
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
			show := func(ctx context.Context) error { return a.topology(ctx, args[0]) }
			if watch {
				return a.watching(c.Context(), args[0], show)
			}
			return show(c.Context())
		},
	}
	addWatchFlag(c, &watch)
	return c
}

func (a *ask) topology(ctx context.Context, name string) error {
	c, err := a.Cluster(ctx, name)
	if err != nil {
		return err
	}
	return a.tell(c, func() { a.tree(c, time.Now()) })
}
