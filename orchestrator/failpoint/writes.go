package failpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Store puts the trap between the loop and the writes that it makes under a lock.
func (t *Trap) Store(s orchestrator.Store) orchestrator.Store { return &writes{s, t} }

type writes struct {
	orchestrator.Store
	trap *Trap
}

// Acquire hands out locks whose writes are watched.
func (w *writes) Acquire(ctx context.Context, cluster string) (orchestrator.Lease, error) {
	lease, err := w.Store.Acquire(ctx, cluster)
	if err != nil {
		return nil, err
	}
	return w.trap.watched(lease), nil
}

// Company puts the trap between the loop and the locks that it takes without waiting; nil stays nil.
func (t *Trap) Company(c orchestrator.Company) orchestrator.Company {
	if c == nil {
		return nil
	}
	return &company{c, t}
}

type company struct {
	orchestrator.Company
	trap *Trap
}

// Take hands out locks whose writes are watched.
func (c *company) Take(ctx context.Context, cluster string) (orchestrator.Lease, error) {
	lease, err := c.Company.Take(ctx, cluster)
	if err != nil || lease == nil {
		return nil, err
	}
	return c.trap.watched(lease), nil
}

// watched is a lock that was just gained: whoever holds one again is awake.
func (t *Trap) watched(l orchestrator.Lease) orchestrator.Lease {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asleep = false
	return &held{l, t}
}

type held struct {
	orchestrator.Lease
	trap *Trap
}

// Held is what a sleepwalker believes.
func (h *held) Held(now time.Time) bool { return h.trap.sleepwalks() || h.Lease.Held(now) }

// Context does not end for a sleepwalker.
func (h *held) Context() context.Context {
	if h.trap.sleepwalks() {
		return context.WithoutCancel(h.Lease.Context())
	}
	return h.Lease.Context()
}

// NextTerm draws a term; it does not say for which change.
func (h *held) NextTerm(ctx context.Context, above uint64) (uint64, error) {
	h.trap.at("", Before, Term)
	term, err := h.Lease.NextTerm(ctx, above)
	if err == nil {
		h.trap.at("", After, Term)
	}
	return term, err
}

// brakeKey is where the fleet's brake is kept, the only document that several clusters share.
const brakeKey = "fleet/antiflap"

// Update edits the brake.
func (h *held) Update(ctx context.Context, key string, edit func([]byte) ([]byte, error)) error {
	if key != brakeKey {
		return h.Lease.Update(ctx, key, edit)
	}
	h.trap.at("", Before, Brake)
	err := h.Lease.Update(ctx, key, edit)
	if err == nil {
		h.trap.at("", After, Brake)
	}
	return err
}

// Put writes documents, among them how far a change has got.
func (h *held) Put(ctx context.Context, docs ...orchestrator.Document) error {
	steps := h.trap.stepsOf(docs)
	for _, s := range steps {
		h.trap.at(s.kind, Before, s.name)
	}
	err := h.Lease.Put(ctx, docs...)
	if err == nil {
		for _, s := range steps {
			h.trap.at(s.kind, After, s.name)
		}
	}
	return err
}

type step struct {
	kind reparent.Kind
	name string
}

// stepsOf are the points that a write of these documents is.
func (t *Trap) stepsOf(docs []orchestrator.Document) (steps []step) {
	for _, d := range docs {
		switch {
		case strings.HasPrefix(d.Key, "recoveries/"):
			steps = append(steps, t.operation(d))
		case strings.HasPrefix(d.Key, "clusters/") && strings.HasSuffix(d.Key, "/record"):
			steps = append(steps, t.recording(d)...)
		}
	}
	return steps
}

func (t *Trap) operation(d orchestrator.Document) step {
	var stored struct {
		Operation reparent.Operation `json:"operation"`
	}
	read(d, &stored)
	op := stored.Operation
	switch {
	case !op.Running():
		if !op.Established.IsZero() {
			t.remember(op)
		}
		return step{op.Kind, Settled}
	case !op.Established.IsZero():
		return step{op.Kind, Established}
	case op.Decision != nil:
		return step{op.Kind, Decision}
	case op.Rules != nil:
		t.foresee(op)
	}
	return step{op.Kind, Intent}
}

func (t *Trap) remember(op reparent.Operation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settled[op.Kind] = uint64(op.Term)
}

// foresee notes which rules are going to be put on record.
func (t *Trap) foresee(op reparent.Operation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rules = op.Rules.Number
}

// recording tells whether a cluster's record counts a change that has ended, or has the rules that one under way puts in
// force; it is saved for other reasons as well.
func (t *Trap) recording(d orchestrator.Document) (steps []step) {
	var record struct {
		Antiflap antiflap.Cluster `json:"antiflap"`
		Ruleset  topology.Ruleset `json:"ruleset"`
	}
	read(d, &record)
	t.mu.Lock()
	defer t.mu.Unlock()
	last := record.Antiflap.Last
	if last.Term > 0 && t.settled[reparent.Kind(last.Kind)] == last.Term {
		steps = append(steps, step{reparent.Kind(last.Kind), Counted})
	}
	if t.rules > 0 && record.Ruleset.Number == t.rules {
		steps = append(steps, step{reparent.KindRules, Recorded})
	}
	return steps
}

func read(d orchestrator.Document, into any) {
	text, err := d.Text()
	must(err)
	if err := json.Unmarshal(text, into); err != nil {
		must(fmt.Errorf("read document %s: %w", d.Key, err))
	}
}
