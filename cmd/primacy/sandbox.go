package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/config"
	"github.com/primacydb/primacy/mysqld/local"
)

// sandboxCluster is the name of the one cluster that a sandbox has.
const sandboxCluster = "sandbox"

// sandboxOptions are the flags of the sandbox.
type sandboxOptions struct {
	report   io.Writer // how a story ended, as JSON; nil: not wanted
	servers  int
	acks     int
	dir      string
	listen   string
	mysqld   string
	scenario string
	rounds   int
	drain    time.Duration
	verbose  bool
}

func sandboxCommand() *cobra.Command {
	o := sandboxOptions{}
	c := &cobra.Command{
		Use:   "sandbox",
		Short: "a real fleet on this machine, with the control plane in front",
		Long: `Starts real mysqld processes on this machine, semi-sync replicated, with the control plane in front.
Servers can be killed, frozen and restarted to see what happens. Ctrl-C stops everything.

With --scenario one story is played with a writing client: the write gap, the acknowledged and
the lost rows are reported, and the exit code is 0 only if nothing was lost. With -o json the
report is standard output, and the story itself goes to standard error.`,
		Example: `  primacy sandbox
  primacy sandbox kill server-1          # in another terminal
  primacy sandbox --scenario kill-primary --rounds 5`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			asJSON, err := wantsJSON(c)
			switch {
			case err != nil:
				return err
			case asJSON && o.scenario == "":
				return usagef("-o json tells how a story ended; name one with --scenario")
			case asJSON:
				o.report = c.OutOrStdout()
				return runSandbox(c.Context(), c.ErrOrStderr(), o)
			}
			return runSandbox(c.Context(), c.OutOrStdout(), o)
		},
	}
	f := c.Flags()
	f.IntVar(&o.servers, "servers", 3, "how many servers")
	f.IntVar(&o.acks, "acks", 1, "how many replicas must hold a transaction before its client gets OK")
	f.StringVar(&o.dir, "dir", "", "keep the fleet in this directory and resume it next time (default: a temporary one)")
	f.StringVar(&o.listen, "listen", "127.0.0.1:3900", "address of API and metrics")
	f.StringVar(&o.mysqld, "mysqld", "", "path of the mysqld to run (default: $PRIMACY_MYSQLD, PATH, or what make mysql fetched)")
	f.StringVar(&o.scenario, "scenario", "", "play one story: "+strings.Join(scenarios, ", "))
	f.IntVar(&o.rounds, "rounds", 1, "how often to play the scenario")
	f.DurationVar(&o.drain, "drain", 0, "how long a primary may take to step down in a planned change (default 2s)")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "show the control plane's log")
	for _, action := range sandboxActions {
		c.AddCommand(actionCommand(action))
	}
	c.AddCommand(sandboxListCommand())
	return c
}

func (o sandboxOptions) check() error {
	known := o.scenario == ""
	for _, s := range scenarios {
		known = known || s == o.scenario
	}
	switch {
	case !known:
		return usagef("--scenario: %q is not known; use one of %s", o.scenario, strings.Join(scenarios, ", "))
	case o.servers < 2 || o.servers > 15:
		return usagef("--servers: %d is not between 2 and 15", o.servers)
	case o.acks < 1 || o.acks > o.servers-1:
		return usagef("--acks: %s cannot be given by %s; use a number from 1 to %d", count(o.acks, "ack"), count(o.servers-1, "replica"), o.servers-1)
	case o.rounds < 1 || o.rounds > 100:
		return usagef("--rounds: %d is not between 1 and 100", o.rounds)
	case o.drain < 0:
		return usagef("--drain: cannot be negative")
	}
	return nil
}

func runSandbox(ctx context.Context, out io.Writer, o sandboxOptions) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	binary, err := local.Find(o.mysqld)
	if err != nil {
		return err
	}
	listener, err := sandboxListener(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Starting %d servers of MySQL %s …\n", o.servers, binary.Version)
	began := time.Now()
	fleet, err := local.Start(ctx, binary, local.Spec{Dir: o.dir, Servers: o.servers, Restart: false})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, fleet.Close()) }()
	data, err := sandboxData(o)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer data.remove()
	plane, err := startControlPlane(ctx, sandboxConfig(o, fleet, data.dir), sandboxLog(o))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, plane.Close()) }()
	served := serve(listener, plane, sandboxHandler(fleet))
	defer func() { err = errors.Join(err, served.Close()) }()
	s := &story{out: out, fleet: fleet, orch: plane.orch, cluster: sandboxCluster, rounds: o.rounds, drain: o.drain, report: o.report}
	_, unready := s.await(ctx, "an established primary", serving)
	if o.scenario != "" && unready != nil {
		return unready
	}
	fmt.Fprintf(out, "Ready after %s.\n", time.Since(began).Round(10*time.Millisecond))
	if o.scenario != "" {
		return s.play(ctx, o.scenario)
	}
	return interactive(ctx, out, fleet, listener.Addr().String())
}

// sandboxListener takes the port first: to find it in use after the servers were started would waste
// their start. A story needs no fixed port.
func sandboxListener(ctx context.Context, o sandboxOptions) (net.Listener, error) {
	address := o.listen
	if o.scenario != "" {
		address = "127.0.0.1:0"
	}
	if host, _, err := net.SplitHostPort(address); err != nil || !loopback(host) {
		return nil, usagef("--listen: %q is no loopback address with a port, such as 127.0.0.1:3900; a sandbox has no authentication and serves this machine only", address)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w; choose another port, or stop what uses this one", err)
	}
	return listener, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// sandboxStore is where the control plane of a sandbox remembers: beside the fleet, or for as long as
// the sandbox lives.
type sandboxStore struct {
	dir       string
	temporary bool
}

func sandboxData(o sandboxOptions) (sandboxStore, error) {
	if o.dir != "" {
		return sandboxStore{dir: filepath.Join(o.dir, "primacy-data")}, nil
	}
	dir, err := os.MkdirTemp("", "primacy-sandbox-store-")
	return sandboxStore{dir: dir, temporary: true}, err
}

func (s sandboxStore) remove() {
	if s.temporary {
		_ = os.RemoveAll(s.dir) // nothing of value: the fleet that it spoke of is gone
	}
}

func sandboxLog(o sandboxOptions) *slog.Logger {
	if !o.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func sandboxConfig(o sandboxOptions, fleet *local.Fleet, data string) config.Config {
	c := config.Defaults()
	c.Node, c.Listen = "sandbox", o.listen
	c.Store.Dir, c.Store.Lease = data, 2*time.Second
	c.MySQL.User, c.MySQL.Password = fleet.Users.Primacy.Name, config.NewSecret(fleet.Users.Primacy.Password)
	c.Replication.User, c.Replication.Password = fleet.Users.Replica.Name, config.NewSecret(fleet.Users.Replica.Password)
	c.Detection.IsolatedShare = 1     // there is no other cluster to compare with
	c.Antiflap.Fleet.ChangesMax = 100 // who plays kills more often than a fleet's brake would stand
	cluster := config.Cluster{Name: sandboxCluster, Durability: config.Durability{Policy: "semi_sync", Acks: o.acks}}
	for i, s := range fleet.Servers {
		cluster.Servers = append(cluster.Servers, config.Server{Address: s.Address(), Zone: string(rune('a' + i)), Promotion: "neutral"})
	}
	c.Clusters = []config.Cluster{cluster}
	return c
}

// interactive prints what there is and what to try, and waits for Ctrl-C.
func interactive(ctx context.Context, out io.Writer, fleet *local.Fleet, address string) error {
	fmt.Fprintf(out, "\nAPI and metrics: http://%s\n\nServers\n", address)
	for _, s := range fleet.Servers {
		fmt.Fprintf(out, "  %-10s %s  pid %-7d %s\n", s.Name, s.Address(), s.Pid(), s.Dir)
	}
	app := fleet.Users.App
	fmt.Fprintf(out, `
An application can write as user %q with password %q to the schema app.

Try in another terminal%s
%s
Ctrl-C stops everything.
`, app.Name, app.Password, apiHint(address), listedHints(os.Args[0], sandboxHints(fleet.Servers[0].Name, fleet.Servers[0].Address())))
	<-ctx.Done()
	fmt.Fprintln(out, "\nStopping …")
	return nil
}

func apiHint(address string) string {
	if address == "127.0.0.1:3900" {
		return ""
	}
	return fmt.Sprintf(" (first: export PRIMACY_API=http://%s)", address)
}

// served is the API of a sandbox, being served.
type served struct {
	server *http.Server
	done   chan error
}

// Close ends all requests and waits for the listener's goroutine.
func (s *served) Close() error {
	err := s.server.Close()
	if ended := <-s.done; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}
