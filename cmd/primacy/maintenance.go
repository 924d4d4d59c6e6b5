package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
)

func maintenanceCommand() *cobra.Command {
	var reason, cluster string
	var lasting time.Duration
	c := &cobra.Command{
		Use: "maintenance [SERVER] on|off", Short: "keep a server, or a whole cluster, from being changed by itself, or take it back",
		Long: `A server under maintenance is not promoted and not repaired, and findings about it are notes.
Of a cluster under maintenance nothing is changed by itself. With --for it ends by itself.`,
		Example: `  primacy maintenance db3:3306 on --for 2h --reason "new disk"
  primacy maintenance on --cluster shop --for 30m --reason "switch firmware"
  primacy maintenance off --cluster shop`,
		Args: cobra.RangeArgs(1, 2), ValidArgsFunction: completing(serverThenSwitch),
		RunE: func(c *cobra.Command, args []string) error {
			wanted, err := maintenanceOf(args[len(args)-1], lasting, reason)
			if err != nil {
				return err
			}
			server := ""
			if len(args) == 2 {
				server = args[0]
			}
			return setMaintenance(c, cluster, server, wanted)
		},
	}
	f := c.Flags()
	f.StringVar(&reason, "reason", "", "why, for the record")
	f.StringVar(&cluster, "cluster", "", "the server's cluster (default: found by the address); without a server, the cluster to take")
	f.DurationVar(&lasting, "for", 0, "end it by itself after so long, such as 2h")
	return c
}

func maintenanceOf(word string, lasting time.Duration, reason string) (api.MaintenanceRequest, error) {
	on, err := switched(word)
	switch {
	case err != nil:
		return api.MaintenanceRequest{}, err
	case lasting < 0 || lasting > 0 && lasting < time.Second:
		return api.MaintenanceRequest{}, usagef("--for %s is too short; write it like 2h", lasting)
	case lasting > 0 && !on:
		return api.MaintenanceRequest{}, usagef("--for belongs to on: off ends it now")
	}
	return api.MaintenanceRequest{On: on, ForMS: lasting.Milliseconds(), Reason: reason}, nil
}

func setMaintenance(c *cobra.Command, cluster, server string, wanted api.MaintenanceRequest) error {
	if server == "" && cluster == "" {
		return usagef("name a server, or a cluster with --cluster")
	}
	if server == "" && wanted.On && wanted.Reason == "" {
		return usagef("taking a whole cluster needs --reason, so that whoever is woken next knows why nothing is done")
	}
	a, err := asking(c)
	if err != nil {
		return err
	}
	defer a.Close()
	if cluster == "" {
		if cluster, err = a.clusterOf(c.Context(), server); err != nil {
			return err
		}
	}
	after, err := a.SetMaintenance(c.Context(), cluster, server, wanted)
	if err != nil {
		return err
	}
	return a.tell(after, func() { a.say("%s", maintenanceWords(after, server, wanted)) })
}

func maintenanceWords(after api.Cluster, server string, wanted api.MaintenanceRequest) string {
	what, word := fmt.Sprintf("Cluster %s", shown(after.Name)), "back in service"
	if server != "" {
		what = fmt.Sprintf("%s of cluster %s", shown(server), shown(after.Name))
	}
	if wanted.On {
		word = "under maintenance"
	}
	if wanted.ForMS > 0 {
		word += fmt.Sprintf(" for %s", time.Duration(wanted.ForMS)*time.Millisecond)
	}
	return fmt.Sprintf("%s is %s.", what, word)
}

// noteText is a note of maintenance as people read it.
func noteText(n api.Note, now time.Time) string {
	text := fmt.Sprintf("under maintenance: %s: %s", n.By, n.Reason)
	if !n.Until.IsZero() {
		text += fmt.Sprintf(" (ends in %s)", max(n.Until.Sub(now), 0).Round(time.Second))
	}
	return text
}

func serverThenSwitch(ctx context.Context, client *api.Client, args []string) []string {
	if len(args) > 1 {
		return nil
	}
	if len(args) == 1 {
		return []string{"on", "off"}
	}
	all, err := everyServer(ctx, client)
	if err != nil {
		return nil
	}
	names := []string{"on", "off"}
	for _, s := range all {
		names = append(names, s.server)
	}
	return names
}
