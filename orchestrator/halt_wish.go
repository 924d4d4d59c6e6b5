package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// HaltWish asks for the stop of one server, or for the restart of several; of all members when none is named.
type HaltWish struct {
	Cluster string
	Kind    halt.Kind
	Servers []topology.Address
	Terms   halt.Terms
	DryRun  bool // find out whether it is possible, and change nothing
	Order
}

// HaltAnswer is the halt that was begun or, for a dry run, would be, with what is done to each server.
type HaltAnswer struct {
	Halt halt.Halt
	Plan []halt.Planned
}

// termsMost bounds what may be asked for.
const termsMost = 24 * time.Hour

func (w HaltWish) sane(members topology.ServerSet) error {
	for i, a := range w.Servers {
		if !members.Has(a) {
			return fmt.Errorf("%w: %q is no member of cluster %s; members are %s", ErrNoSuchServer, a, w.Cluster, members)
		}
		if slices.Contains(w.Servers[:i], a) {
			return fmt.Errorf("%w: %s is named twice", ErrBadWish, a)
		}
	}
	switch t := w.Terms; {
	case w.Kind != halt.KindStop && w.Kind != halt.KindRestart:
		return fmt.Errorf("%w: kind %q is unknown, use stop or restart", ErrBadWish, w.Kind)
	case w.Kind == halt.KindStop && len(w.Servers) != 1:
		return fmt.Errorf("%w: one server is stopped at a time", ErrBadWish)
	case t.To != "" && !members.Has(t.To):
		return fmt.Errorf("%w: %q is no member of cluster %s; members are %s", ErrNoSuchServer, t.To, w.Cluster, members)
	case min(t.Drain, t.Hold, t.Wait) < 0 || max(t.Drain, t.Hold, t.Wait) > termsMost:
		return fmt.Errorf("%w: drain, hold and wait are between 0 and %s", ErrBadWish, termsMost)
	case w.Reason == "" && !w.DryRun:
		return fmt.Errorf("%w: it needs a reason, for it goes on record", ErrBadWish)
	}
	return nil
}

// Halt begins to stop or restart servers. It returns as soon as that is on record; Halts tells how it goes on.
func (o *Orchestrator) Halt(ctx context.Context, w HaltWish) (HaltAnswer, error) {
	c, err := o.find(w.Cluster)
	if err != nil {
		return HaltAnswer{}, err
	}
	if o.settings.Halter == nil {
		return HaltAnswer{}, fmt.Errorf("%w: this control plane stops no servers", ErrCannotHalt)
	}
	if err := w.sane(c.view().Ruleset.Servers()); err != nil {
		return HaltAnswer{}, err
	}
	return c.halt(ctx, w)
}

// halt looks in the loop, asks the servers outside of it, for that may take a while, and begins in the loop.
func (c *cluster) halt(ctx context.Context, w HaltWish) (HaltAnswer, error) {
	var begun *halt.Halt
	var h halt.Halt
	var leader topology.Leadership
	var failed error
	err := c.do(ctx, func(loop context.Context) {
		if begun, failed = c.halted(loop, w.Order); begun != nil || failed != nil {
			return
		}
		c.look(loop)
		h, failed = c.mayHalt(loop, w)
		leader, _ = c.lineage.History.Current()
	})
	if err := errors.Join(err, failed); err != nil {
		return HaltAnswer{}, err
	}
	if begun != nil {
		return HaltAnswer{Halt: *begun, Plan: []halt.Planned{}}, nil
	}
	answer := HaltAnswer{Halt: h, Plan: h.Plan(leader.Primary)}
	if err := c.permitted(ctx, h, leader); err != nil || w.DryRun {
		return answer, err
	}
	err = c.do(ctx, func(loop context.Context) { begun, failed = c.beginHalt(loop, w) })
	if err := errors.Join(err, failed); err != nil {
		return HaltAnswer{}, err
	}
	answer.Halt = *begun
	return answer, nil
}

// halted finds the halt that was begun for an order already; nil when there is none. It refuses to begin where this elector
// may not, and what is meant for another revision.
func (c *cluster) halted(ctx context.Context, o Order) (*halt.Halt, error) {
	if c.lease == nil || !c.lease.Held(c.now()) {
		return nil, c.notLeading()
	}
	done, err := c.done(o)
	if err != nil || !done {
		return nil, err
	}
	all, err := c.halts(ctx, callsKept)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Call.Key == o.Call.Key {
			return &all[i], nil
		}
	}
	return nil, fmt.Errorf("%w: halt of key %s", ErrNoSuchRecovery, o.Call.Key)
}

// mayHalt makes the halt, or says why it cannot be begun now.
func (c *cluster) mayHalt(ctx context.Context, w HaltWish) (halt.Halt, error) {
	now := c.now()
	leader, _ := c.lineage.History.Current()
	servers := w.Servers
	if len(servers) == 0 {
		servers = c.record.Ruleset.Servers().List()
	}
	h := halt.Begin(halt.Halt{
		ID: settlementID(c.name, now), Cluster: c.name, Kind: w.Kind, Servers: servers, Terms: w.Terms, By: person(w.By), Reason: w.Reason, Call: w.Call,
	}, leader, now)
	switch {
	case c.busy:
		return h, ErrBusy
	case c.record.Halting != nil:
		return h, fmt.Errorf("%w: a %s is under way, at %s", ErrCannotHalt, c.record.Halting.Kind, c.record.Halting.Server())
	}
	if why := h.Hindered(c.haltSight(ctx, h)); why != "" {
		return h, fmt.Errorf("%w: %s", ErrCannotHalt, why)
	}
	if h.Has(leader.Primary) {
		return h, c.movable(ctx, h, now)
	}
	return h, nil
}

// movable plays the planned change through that the halt is going to take.
func (c *cluster) movable(ctx context.Context, h halt.Halt, now time.Time) error {
	h.At = len(h.Servers) - 1
	w := c.moving(h)
	w.DryRun = true
	_, err := c.granted(ctx, w, c.lease, now)
	return err
}

// permitted asks every server for the privilege that it takes, before anything is done to any.
func (c *cluster) permitted(ctx context.Context, h halt.Halt, leader topology.Leadership) error {
	results := make([]halt.Result, len(h.Servers))
	var asking sync.WaitGroup
	for i := range h.Servers {
		one := h
		one.At = i
		asking.Go(func() { results[i] = c.o.settings.Halter.Halt(ctx, c.name, 0, one.Task(leader), func(string) {}) })
	}
	asking.Wait()
	for i, r := range results {
		if r.Outcome != reparent.Yes {
			return fmt.Errorf("%w: %s: %s", ErrCannotHalt, h.Servers[i], r.Detail)
		}
	}
	return nil
}

// beginHalt looks once more, and puts it on record with the call.
func (c *cluster) beginHalt(ctx context.Context, w HaltWish) (*halt.Halt, error) {
	if begun, err := c.halted(ctx, w.Order); begun != nil || err != nil {
		return begun, err
	}
	h, err := c.mayHalt(ctx, w)
	if err != nil {
		return nil, err
	}
	before := c.record
	if c.record = c.record.called(w.Call); !c.putHalt(ctx, h, c.now()) {
		c.record = before
		return nil, errors.New("it could not be put on record; nothing was changed")
	}
	return &h, nil
}

// CancelHalt calls off what is under way. A server that was told to go before may still do so.
func (o *Orchestrator) CancelHalt(ctx context.Context, cluster string, by Order) (halt.Halt, error) {
	c, err := o.find(cluster)
	if err != nil {
		return halt.Halt{}, err
	}
	var h halt.Halt
	var failed error
	err = c.do(ctx, func(loop context.Context) { h, failed = c.cancelHalt(loop, by) })
	return h, errors.Join(err, failed)
}

func (c *cluster) cancelHalt(ctx context.Context, o Order) (halt.Halt, error) {
	now := c.now()
	if c.lease == nil || !c.lease.Held(now) {
		return halt.Halt{}, c.notLeading()
	}
	done, err := c.done(o)
	h := c.record.Halting
	switch {
	case err != nil:
		return halt.Halt{}, err
	case done:
		return c.lastHalt(ctx)
	case h == nil:
		return halt.Halt{}, fmt.Errorf("%w: nothing of that kind is under way", ErrCannotHalt)
	}
	c.endHalting()
	detail := fmt.Sprintf("called off by %s at step %s of %s: %s", person(o.By), h.Step, h.Server(), o.Reason)
	end, before := h.End(halt.StateCancelled, detail, now), c.record
	if c.record = c.record.called(o.Call); !c.putHalt(ctx, end, now) {
		c.record = before
		return *h, errors.New("that could not be put on record; it goes on")
	}
	return end, nil
}

func (c *cluster) lastHalt(ctx context.Context) (halt.Halt, error) {
	all, err := c.halts(ctx, 1)
	if err != nil || len(all) == 0 {
		return halt.Halt{}, err
	}
	return all[0], nil
}

// Halts lists the stops and restarts of servers of a cluster, newest first, with the one under way as it stands.
func (o *Orchestrator) Halts(ctx context.Context, cluster string, limit int) ([]halt.Halt, error) {
	c, err := o.find(cluster)
	if err != nil {
		return nil, err
	}
	all, err := c.halts(ctx, limit)
	if now := c.view().Halting; now != nil {
		all = slices.DeleteFunc(all, func(h halt.Halt) bool { return h.ID == now.ID })
		all = append([]halt.Halt{*now}, all...)
	}
	return all, err
}

func (c *cluster) halts(ctx context.Context, limit int) ([]halt.Halt, error) {
	docs, err := c.o.store.List(ctx, haltKey(c.name, ""), limit, true)
	if err != nil {
		return nil, fmt.Errorf("list halts of cluster %s: %w", c.name, err)
	}
	var all []halt.Halt
	for _, d := range docs {
		var h storedHalt
		if err := decode(d, &h, &h.Version); err != nil {
			return nil, err
		}
		all = append(all, h.Halt)
	}
	return all, nil
}
