// Command planted shows that the simulator notices mistakes: it builds the program with one planted bug after the other
// and simulates lifetimes until a promise is broken. A bug that nothing catches is a hole in the simulator.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "planted:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("planted", flag.ContinueOnError)
	hunting := flags.Bool("hunt", false, "carry out the hunts on standard input; for built programs")
	telling := flags.Bool("tell", false, "play the scenario on standard input; for built programs")
	seeds := flags.Uint64("seeds", boundDefault, "lifetimes after which a bug counts as not caught")
	only := flags.String("only", "", "names of bugs with commas between them; all when empty")
	quick := flags.Bool("quick", false, "try the recorded seed first, and search only when it does not catch the bug")
	docs := flags.String("docs", "", "page into which the table is written, between its two marks")
	record := flags.Bool("record", false, "write the seeds that caught the bugs to "+recordedFile)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *hunting {
		return carryOut(os.Stdin, out)
	}
	if *telling {
		return tell(os.Stdin, out)
	}
	work, err := os.MkdirTemp("", "planted-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	p, err := inProject(ctx, work)
	if err != nil {
		return err
	}
	chosen, err := named(*only)
	if err != nil {
		return err
	}
	r := &runner{project: p, bound: *seeds, quick: *quick, out: out}
	verdicts, err := r.all(ctx, chosen)
	if err != nil {
		return err
	}
	if *record {
		if err := saveRecorded(p, merged(verdicts)); err != nil {
			return err
		}
	}
	if *docs != "" {
		if err := intoPage(*docs, merged(verdicts)); err != nil {
			return err
		}
	}
	return judged(verdicts)
}

// named are the bugs with these names.
func named(list string) ([]bug, error) {
	if list == "" {
		return bugs(), nil
	}
	var chosen []bug
	for name := range strings.SplitSeq(list, ",") {
		before := len(chosen)
		for _, b := range bugs() {
			if b.name == name {
				chosen = append(chosen, b)
			}
		}
		if len(chosen) == before {
			return nil, fmt.Errorf("no bug is called %q", name)
		}
	}
	return chosen, nil
}
