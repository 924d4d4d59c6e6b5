package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
)

func ackCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "ack CLUSTER", Short: "lift the anti-flapping window: somebody has looked at the last change",
		Args: cobra.ExactArgs(1), ValidArgsFunction: completing(clusterNames),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := asking(c)
			if err != nil {
				return err
			}
			defer a.Close()
			after, err := a.Acknowledge(c.Context(), args[0], reason)
			if err != nil {
				return err
			}
			return a.tell(after, func() { a.say("Acknowledged: automatic changes of %s are possible again.", shown(after.Name)) })
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "what was found, for the record")
	return c
}

func automationCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "automation CLUSTER on|off", Short: "switch automatic changes of one cluster",
		Args: cobra.ExactArgs(2), ValidArgsFunction: completing(clusterThenSwitch),
		RunE: func(c *cobra.Command, args []string) error {
			on, err := switched(args[1])
			if err != nil {
				return err
			}
			if !on && reason == "" {
				return usagef("switching automation off needs --reason, so that whoever is woken next knows why")
			}
			a, err := asking(c)
			if err != nil {
				return err
			}
			defer a.Close()
			after, err := a.SetAutomation(c.Context(), args[0], on, reason)
			if err != nil {
				return err
			}
			return a.tell(after, func() { a.say("Automatic changes of %s are %s.", shown(after.Name), args[1]) })
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return c
}

func switched(word string) (bool, error) {
	switch word {
	case "on":
		return true, nil
	case "off":
		return false, nil
	}
	return false, usagef("%q is neither on nor off", word)
}

// clusterOf finds the cluster that a server belongs to, without asking for all that there are.
func (a *ask) clusterOf(ctx context.Context, server string) (string, error) {
	found, err := a.ClusterList(ctx, api.ClusterQuery{Q: server, Worst: true})
	if err != nil {
		return "", err
	}
	for _, summary := range found.Clusters {
		c, err := a.Cluster(ctx, summary.Name)
		if err != nil {
			return "", err
		}
		for _, s := range c.Servers {
			if s.Address == server {
				return c.Name, nil
			}
		}
	}
	var known []string
	all, err := everyServer(ctx, a.Client)
	for _, s := range all {
		known = append(known, s.server)
	}
	if err != nil || len(known) > 20 {
		return "", usagef("%q is a member of no cluster; see: primacy clusters --search PART", server)
	}
	return "", usagef("%q is a member of no cluster; known are %s", server, strings.Join(known, ", "))
}

type membership struct{ cluster, server string }

func everyServer(ctx context.Context, client *api.Client) ([]membership, error) {
	clusters, err := client.Clusters(ctx)
	if err != nil {
		return nil, err
	}
	var all []membership
	for _, summary := range clusters {
		c, err := client.Cluster(ctx, summary.Name)
		if err != nil {
			return nil, err
		}
		for _, s := range c.Servers {
			all = append(all, membership{c.Name, s.Address})
		}
	}
	return all, nil
}

func clusterThenSwitch(ctx context.Context, client *api.Client, args []string) []string {
	if len(args) == 1 {
		return []string{"on", "off"}
	}
	return clusterNames(ctx, client, args)
}
