// Command crowd lets three electors, each in a process of its own, share hundreds of clusters over a real etcd, and
// measures how evenly they do, what that costs the store, and how long clusters wait when an elector dies.
//
// Loop and store are the real ones. Servers are not: three healthy ones for each cluster, which answer at once.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := perform(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "crowd:", err)
		os.Exit(1)
	}
}

// perform plays a part, where this process was given one, and else the whole.
func perform(ctx context.Context) error {
	if text, given := os.LookupEnv(variable); given {
		return play(ctx, text)
	}
	return run(ctx, os.Args[1:], os.Stdout)
}

func run(ctx context.Context, args []string, out io.Writer) error {
	plan := plan{slack: time.Second}
	flags := flag.NewFlagSet("crowd", flag.ContinueOnError)
	flags.IntVar(&plan.clusters, "clusters", 500, "how many clusters are shared")
	flags.IntVar(&plan.kills, "kills", 2, "how many times an elector is killed")
	flags.DurationVar(&plan.lease, "lease", 3*time.Second, "store.lease of all electors")
	flags.DurationVar(&plan.calm, "calm", 30*time.Second, "for how long nothing may be written")
	flags.DurationVar(&plan.probe, "probe", time.Second, "pause between two rounds of probes of a cluster")
	flags.DurationVar(&plan.tenure, "tenure", 30*time.Second, "how long a cluster stays where it is")
	docs := flags.String("docs", "", "page into which the table is written, between its two marks")
	keep := flags.Bool("keep", false, "keep the logs of the electors")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "crowd-")
	if err != nil {
		return err
	}
	if *keep {
		fmt.Fprintln(out, "logs are kept in", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	r, err := plan.carryOut(ctx, dir, out)
	if err != nil {
		return err
	}
	fmt.Fprint(out, "\n", r.table())
	if err := r.verdict(); err != nil || *docs == "" {
		return err
	}
	return intoPage(*docs, r, time.Now())
}
