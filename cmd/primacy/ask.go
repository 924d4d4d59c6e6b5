package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
)

const apiDefault = "http://127.0.0.1:3900"

// addAPIFlags adds what every command takes that speaks to a control plane. There is no flag for a token itself:
// other users of a machine can read the arguments of every process.
func addAPIFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.String("api", "", "URL of the control plane (default $PRIMACY_API or "+apiDefault+")")
	f.StringP("output", "o", "text", "text or json")
	f.String("ca-file", "", "authority that signed the control plane's certificate, in PEM form (default $PRIMACY_CA_FILE or the system's authorities)")
	f.String("token-file", "", "file that holds the API token (default: the token in $PRIMACY_TOKEN)")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

// ask is one question to the control plane with the way to tell the answer.
type ask struct {
	*api.Client
	*terminal
	json bool
	sent bool // on to another elector
}

// asking connects a command to the control plane that its flags name.
func asking(c *cobra.Command) (*ask, error) {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return nil, err
	}
	settings, err := clientSettings(c)
	if err != nil {
		return nil, err
	}
	a := &ask{terminal: newTerminal(c.OutOrStdout(), os.Getenv), json: asJSON}
	settings.Follow = func(elector, url string) {
		a.sent = true
		newTerminal(c.ErrOrStderr(), os.Getenv).wrapped("", fmt.Sprintf("primacy: %s acts for the cluster; sending this on to it, at %s", shown(elector), shown(url)), plain)
	}
	if a.Client, err = api.NewClient(settings); err != nil {
		return nil, usagef("%v", err)
	}
	return a, nil
}

// wantsJSON reads --output.
func wantsJSON(c *cobra.Command) (bool, error) {
	output, _ := c.Flags().GetString("output")
	if output != "text" && output != "json" {
		return false, usagef("--output: %q is not known; use text or json", output)
	}
	return output == "json", nil
}

func clientSettings(c *cobra.Command) (api.ClientSettings, error) {
	url, _ := c.Flags().GetString("api")
	file, _ := c.Flags().GetString("token-file")
	s := api.ClientSettings{URL: cmp.Or(url, os.Getenv("PRIMACY_API"), apiDefault), Token: os.Getenv("PRIMACY_TOKEN"), User: loginName()}
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return s, usagef("--token-file: %v", err)
		}
		s.Token = strings.TrimSpace(string(text))
	}
	var err error
	s.TLS, err = trusting(c)
	return s, err
}

// trusting is nil when the system's authorities are to be trusted.
func trusting(c *cobra.Command) (*tls.Config, error) {
	named := "--ca-file"
	file, _ := c.Flags().GetString("ca-file")
	if file == "" {
		named, file = "PRIMACY_CA_FILE", os.Getenv("PRIMACY_CA_FILE")
	}
	if file == "" {
		return nil, nil
	}
	trusted, err := authorities(file)
	if err != nil {
		return nil, usagef("%s: %v", named, err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trusted}, nil
}

// loginName is who asks, for the record of a control plane that does not authenticate.
func loginName() string {
	who, err := user.Current()
	if err != nil {
		return ""
	}
	return who.Username
}

// tell writes an answer: as JSON for programs, else as the function does it for people.
func (a *ask) tell(answer any, text func()) error {
	if !a.json {
		text()
		return nil
	}
	encoder := json.NewEncoder(a.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(answer)
}

// sandboxCall asks what only the control plane of a sandbox answers.
func sandboxCall(c *cobra.Command, method, path string, into any) error {
	a, err := asking(c)
	if err != nil {
		return err
	}
	defer a.Close()
	err = a.Call(c.Context(), method, path, struct{}{}, into)
	var problem *api.Problem
	if errors.As(err, &problem) && problem.Code == api.CodeNoSuchPath {
		return fmt.Errorf("the control plane at %s is no sandbox; start one with `primacy sandbox`", a.URL())
	}
	return err
}

// completing answers the shell's question for names; it is quick or silent.
func completing(names func(ctx context.Context, client *api.Client, args []string) []string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		settings, err := clientSettings(c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		client, err := api.NewClient(settings)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer client.Close()
		ctx, cancel := context.WithTimeout(c.Context(), time.Second)
		defer cancel()
		return names(ctx, client, args), cobra.ShellCompDirectiveNoFileComp
	}
}

// clusterNames completes the first argument.
func clusterNames(ctx context.Context, client *api.Client, args []string) []string {
	if len(args) > 0 {
		return nil
	}
	return everyCluster(ctx, client)
}

func everyCluster(ctx context.Context, client *api.Client) []string {
	found, err := client.Clusters(ctx)
	if err != nil {
		return nil
	}
	var names []string
	for _, c := range found {
		names = append(names, c.Name)
	}
	return names
}

// membersOf completes a flag with the servers of the cluster that stands first.
func membersOf(ctx context.Context, client *api.Client, args []string) []string {
	if len(args) == 0 {
		return nil
	}
	c, err := client.Cluster(ctx, args[0])
	if err != nil {
		return nil
	}
	var names []string
	for _, s := range c.Servers {
		names = append(names, s.Address)
	}
	return names
}
