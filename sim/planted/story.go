package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/primacydb/primacy/reparent/scenario"
	"github.com/primacydb/primacy/sim"
)

// newestWins is how a failover decides that knows no term markers: the branch with the latest write wins, as timestamps in
// the binary logs would say. Who led later wrote later, so the term of the writer stands for the time here. That a decision
// took an old write over again is no write, and gives it no new time. What was cancelled cannot be told from the rest either,
// so whoever was read follows. It is planted for the story of a scenario only.
func newestWins() bug {
	b := bug{
		name:  "newest-write-wins",
		what:  "there are no markers: of the histories that are found the one with the latest write counts, and everybody follows",
		edits: []edit{{"reparent/history.go", "top := slices.MaxFunc(all, func(a, b reading) int { return cmp.Compare(a.marker.Term, b.marker.Term) })", newest}},
	}
	for _, other := range bugs() {
		if other.name == "errant-may-follow" {
			b.edits = append(b.edits, other.edits[1:]...)
		}
	}
	return b
}

const newest = `latest := func(r reading) (term uint32) {
		for _, l := range op.History.Leaderships {
			if !wrote(l.Decision, r.position).IsEmpty() {
				term = max(term, l.Term)
			}
		}
		return term
	}
	top := slices.MaxFunc(all, func(a, b reading) int {
		return cmp.Or(cmp.Compare(latest(a), latest(b)), cmp.Compare(a.position.Count(), b.position.Count()))
	})
	if len(all) > 0 {
		newest := choice{history: top.position, why: "latest write"}
		for _, r := range all {
			newest.clean = newest.clean.With(r.address)
		}
		newest.follow = newest.clean
		return newest, nil
	}`

// tell plays a scenario on simulated servers, and answers with why it fails; with nothing when it does not.
func tell(from io.Reader, to io.Writer) error {
	var f scenario.File
	if err := json.NewDecoder(from).Decode(&f); err != nil {
		return fmt.Errorf("read a scenario: %w", err)
	}
	var last *sim.Stage
	end := func() {
		if last != nil {
			last.Close()
		}
	}
	defer end()
	err := f.Play(func() (scenario.Stage, error) {
		end()
		last = sim.NewStage(firstSeed)
		return struct{ scenario.Looped }{last}, nil // what a broken program makes of the time after the story does not matter
	})
	if err != nil {
		_, err = fmt.Fprintln(to, err)
	}
	return err
}

// told has a built program play a scenario, and returns why it fails.
func told(ctx context.Context, binary, bug string, f scenario.File) (failure string, err error) {
	text, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("write a scenario: %w", err)
	}
	program := exec.CommandContext(ctx, binary, "-tell")
	program.Env = append(os.Environ(), bugVariable+"="+bug)
	program.Stdin, program.Stderr = strings.NewReader(string(text)), os.Stderr
	answer, err := program.Output()
	if err != nil {
		return "", fmt.Errorf("run %s: %w", binary, err)
	}
	return strings.TrimSpace(string(answer)), nil
}
