// Command serve shows a landscape of clusters that do not exist, for looking at the dashboard and measuring it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/integration/panorama"
	"github.com/primacydb/primacy/orchestrator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "panorama:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var s panorama.Settings
	flags := flag.NewFlagSet("panorama", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:3997", "where to serve")
	flags.IntVar(&s.Clusters, "clusters", 1000, "how many clusters")
	flags.IntVar(&s.Servers, "servers", 5, "how many servers each has")
	flags.Uint64Var(&s.Seed, "seed", 1, "the same seed gives the same landscape")
	flags.IntVar(&s.Changes, "changes", 3, "how often the primary of a cluster has changed at most")
	flags.BoolVar(&s.Hostile, "hostile", false, "let servers and operators supply markup and scripts")
	every := flags.Duration("change-every", 200*time.Millisecond, "how often a cluster changes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.Clusters < 1 || s.Servers < 3 || s.Changes < 0 || *every <= 0 {
		return errors.New("a landscape has at least one cluster of at least three servers, and changes")
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", *listen)
	if err != nil {
		return err
	}
	charts := api.NewCharts()
	events := orchestrator.NewStream(nil, charts.Tap)
	plane := panorama.New(s, events, time.Now())
	fmt.Printf("http://%s shows %d clusters of %d servers\n", l.Addr(), s.Clusters, s.Servers)
	var changing sync.WaitGroup
	defer changing.Wait()
	changing.Go(func() { plane.Run(ctx, *every) })
	return api.Serve(ctx, plane.Settings(charts, "panorama"), l, nil)
}
