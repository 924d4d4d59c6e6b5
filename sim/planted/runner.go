package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// boundDefault is the number of lifetimes within which a bug has to be caught: a minute or two on two cores.
const boundDefault = 20_000

// firstSeed is where every search begins, so that a seed is also the number of lifetimes that it took.
const firstSeed = 1

// runner plants bugs and hunts them.
type runner struct {
	project   project
	bound     uint64
	quick     bool
	out       io.Writer
	planted   string // the program with the bugs
	unchanged string // and without
}

// verdict is what came of one bug.
type verdict struct {
	bug
	catch
	// stale is set when the recorded seed does not catch it any more, or by another promise, or none is recorded.
	stale bool
	// guilty is what the unchanged program breaks over the same seeds: then the catch proves nothing.
	guilty catch
}

// all hunts one bug after the other. Each hunt uses all cores.
func (r *runner) all(ctx context.Context, chosen []bug) ([]verdict, error) {
	var err error
	if r.unchanged, err = r.project.buildUnchanged(ctx); err != nil {
		return nil, err
	}
	if r.planted, err = r.project.build(ctx, chosen); err != nil {
		return nil, err
	}
	var verdicts []verdict
	for _, b := range chosen {
		v, err := r.one(ctx, b)
		if err != nil {
			return nil, err
		}
		fmt.Fprintln(r.out, v)
		verdicts = append(verdicts, v)
	}
	return verdicts, nil
}

// one plants a bug, hunts it, and has the unchanged program live the same lives.
func (r *runner) one(ctx context.Context, b bug) (verdict, error) {
	var err error
	v := verdict{bug: b}
	search := hunt{Options: b.options, Breaks: b.breaks, From: firstSeed, Seeds: r.bound}
	if r.quick {
		search.From, search.Seeds = recorded()[b.name].Seed, 1
	}
	if v.catch, err = r.hunt(ctx, r.planted, b.name, search); err != nil {
		return v, err
	}
	if r.quick && !v.Caught {
		search.From, search.Seeds, v.stale = firstSeed, r.bound, true
		if v.catch, err = r.hunt(ctx, r.planted, b.name, search); err != nil {
			return v, err
		}
	}
	if !v.Caught {
		return v, nil
	}
	known := recorded()[b.name]
	v.stale = v.stale || known.Seed != v.Seed || known.Invariant != v.Invariant
	search.Breaks, search.Seeds = nil, v.Seed-search.From+1
	v.guilty, err = r.hunt(ctx, r.unchanged, "", search)
	return v, err
}

func (r *runner) hunt(ctx context.Context, binary, bug string, h hunt) (catch, error) {
	catches, err := send(ctx, binary, bug, h)
	if err != nil {
		return catch{}, err
	}
	return catches[0], nil
}

// String is the verdict in a line.
func (v verdict) String() string {
	switch {
	case !v.Caught:
		return fmt.Sprintf("%-32s NOT CAUGHT in %d lifetimes (%d broke other promises)", v.name, v.Lifetimes, v.Others)
	case v.guilty.Caught:
		return fmt.Sprintf("%-32s seed %d breaks a promise without it: %s", v.name, v.guilty.Seed, v.guilty.Text)
	}
	return fmt.Sprintf("%-32s seed %-6d %s", v.name, v.Seed, v.Text)
}

// judged is an error when a bug was not caught, or when the unchanged program is not clean.
func judged(verdicts []verdict) error {
	var missed, guilty []string
	for _, v := range verdicts {
		switch {
		case !v.Caught:
			missed = append(missed, v.name)
		case v.guilty.Caught:
			guilty = append(guilty, v.name)
		}
	}
	var err error
	if len(missed) > 0 {
		err = fmt.Errorf("nothing caught %s: each is a hole in the simulator", strings.Join(missed, ", "))
	}
	if len(guilty) > 0 {
		err = errors.Join(err, fmt.Errorf("over the seeds of %s the unchanged program breaks promises too", strings.Join(guilty, ", ")))
	}
	return err
}
