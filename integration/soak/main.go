// Command soak leaves a real cluster alone under clients that write, while one of its servers after the other is killed,
// frozen or stopped, and judges it at the end: nobody has touched it, it is healthy, no row that a client was told of is
// lost, and all servers hold the same rows.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := perform(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func perform(ctx context.Context, args []string, out io.Writer) error {
	p := plan{out: out}
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(out)
	minutes := flags.Float64("minutes", 30, "for how long servers are struck")
	flags.Uint64Var(&p.seed, "seed", rand.Uint64N(1e6), "which server is struck how, and when; not what comes of it")
	flags.IntVar(&p.servers, "servers", 3, "servers, of which one acknowledgement is needed")
	flags.IntVar(&p.writers, "writers", 4, "clients that insert; half as many change rows again and again")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p.lasts = time.Duration(*minutes * float64(time.Minute))
	r, err := p.carryOut(ctx)
	if err != nil {
		return err
	}
	fmt.Fprint(out, "\n", r)
	return r.verdict()
}
