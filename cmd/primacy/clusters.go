package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
)

func clustersCommand() *cobra.Command {
	return &cobra.Command{
		Use: "clusters", Short: "list the clusters with their primaries and what is wrong", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := asking(c)
			if err != nil {
				return err
			}
			defer a.Close()
			found, err := a.Clusters(c.Context())
			if err != nil {
				return err
			}
			return a.tell(api.ClusterList{Clusters: found}, func() { a.clusters(found) })
		},
	}
}

func (t *terminal) clusters(all []api.Summary) {
	if len(all) == 0 {
		t.say("No cluster is configured.")
		return
	}
	rows := make([][]string, len(all))
	for i, c := range all {
		rows[i] = []string{c.Name, c.State, orDash(c.Primary), strconv.FormatUint(uint64(c.Term), 10), strconv.Itoa(c.Servers), strconv.Itoa(len(c.Findings)), orDash(c.Elector)}
	}
	t.table([]column{
		{title: "CLUSTER"}, {title: "STATE", style: styleOfState}, {title: "PRIMARY", least: 15},
		{title: "TERM", right: true}, {title: "SERVERS", right: true}, {title: "FINDINGS", right: true}, {title: "ELECTOR"},
	}, rows)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// styleOfState serves clusters and recoveries alike.
func styleOfState(state string) style {
	switch state {
	case "healthy", "succeeded":
		return green
	case "degraded", "reparenting", "running", "undone":
		return yellow
	case "primary_failed", "blocked", "failed":
		return red
	}
	return plain
}
