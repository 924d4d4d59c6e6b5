package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent"
)

// judge compares what is there now with what was promised. It is called once the cluster is calm.
func (p *scene) judge(ctx context.Context) error {
	now, err := p.memory.read(ctx)
	if err != nil {
		return err
	}
	members := p.members(now.Ruleset)
	if err := p.converged(ctx, members); err != nil {
		return fmt.Errorf("%w\n%s", err, p.describe(context.WithoutCancel(ctx)))
	}
	actor, c := p.acting(ctx)
	if actor == nil || actor != p.heir {
		p.wrong("%s took over, and at the end somebody else acts", p.heir.name)
	}
	lost, err := p.lost(ctx, members)
	if err != nil {
		return err
	}
	standing, err := p.standing(ctx, c.Primary, members)
	if err != nil {
		return err
	}
	journal, err := journal(ctx, p.fleet.Server(c.Primary))
	if err != nil {
		return err
	}
	fresh := now.since(p.before)
	p.result.wrong = slices.Concat(p.result.wrong, lost, standing)
	p.history(now, fresh, c.Term, c.Primary)
	p.journal(fresh, journal)
	p.window(now, fresh)
	p.interrupted(fresh)
	if p.cell.Kind == reparent.KindRules {
		return p.governed(ctx, now, fresh, c.Primary)
	}
	if !now.Ruleset.Same(p.before.Ruleset) || now.Ruleset.Number != p.before.Ruleset.Number {
		p.wrong("the rules on record are %+v, and were %+v", now.Ruleset, p.before.Ruleset)
	}
	return nil
}

func (p *scene) wrong(format string, args ...any) {
	p.result.wrong = append(p.result.wrong, fmt.Sprintf(format, args...))
}

func (p *scene) late(format string, args ...any) {
	p.result.late = append(p.result.late, fmt.Sprintf(format, args...))
}

// history asks whether the record says of every change how it ended, and who leads since which.
func (p *scene) history(now books, fresh []reparent.Operation, term uint32, primary string) {
	seen := map[uint32]string{}
	for _, op := range now.Recoveries {
		if op.Running() {
			p.wrong("%s is still %s in phase %s", op.ID, op.State, op.Phase)
		}
		if other := seen[op.Term]; other != "" {
			p.wrong("%s and %s have the same term", other, op.ID)
		}
		seen[op.Term] = op.ID
	}
	if now.Running != "" {
		p.wrong("%s is on record as running", now.Running)
	}
	current, led := now.History.Current()
	if !led || len(now.History.Leaderships) != 1 || current.Term != term || string(current.Primary) != primary {
		p.wrong("%s leads under term %d, and on record is %+v", primary, term, now.History.Leaderships)
	}
	made := established(fresh)
	if len(made) > 1 || p.cell.Kind == reparent.KindEmergency && len(made) != 1 || p.cell.Kind == reparent.KindRules && len(made) > 0 {
		p.wrong("the primary changed %d times", len(made))
	}
	if len(made) == 1 && (made[0].Term != term || string(made[0].To) != primary) {
		p.wrong("%s leads under term %d, and %s made %s the primary", primary, term, made[0].ID, made[0].To)
	}
	if len(fresh) > 2 {
		p.wrong("there were %d attempts", len(fresh))
	}
}

// established are the changes after which somebody led.
func established(all []reparent.Operation) []reparent.Operation {
	return slices.DeleteFunc(slices.Clone(all), func(op reparent.Operation) bool { return op.Established.IsZero() })
}

// journal asks whether the servers know the same decisions as the record: every one that was established, no two under a
// term, and none of which the record does not know.
func (p *scene) journal(fresh []reparent.Operation, journal []string) {
	found := map[string]string{}
	for _, line := range journal {
		term, hash, _ := strings.Cut(line, " ")
		if found[term] != "" {
			p.wrong("two decisions of term %s are in the journal", term)
		}
		found[term] = hash
	}
	for _, op := range fresh {
		hash, in := found[fmt.Sprint(op.Term)]
		switch {
		case in && (op.Decision == nil || op.Decision.Hash != hash):
			p.wrong("the journal holds decision %s of term %d, and the record another one", hash, op.Term)
		case !in && !op.Established.IsZero():
			p.wrong("%s is established and not in the journal", op.ID)
		}
		delete(found, fmt.Sprint(op.Term))
	}
	for _, op := range p.before.Recoveries {
		delete(found, fmt.Sprint(op.Term))
	}
	for term := range found {
		p.wrong("term %s is in the journal and not on record", term)
	}
}

// window asks whether anti-flapping counted what was established, and only that, once.
func (p *scene) window(now books, fresh []reparent.Operation) {
	made := established(fresh)
	emergencies := 0
	last := p.before.Antiflap.Last.Term
	for _, op := range made {
		last = uint64(op.Term)
		if op.Kind == reparent.KindEmergency {
			emergencies++
		}
	}
	if opened := now.windows() - p.before.windows(); opened != emergencies {
		p.wrong("%d windows were opened, and %d emergency changes were established", opened, emergencies)
	}
	if now.Antiflap.Last.Term != last {
		p.wrong("anti-flapping counted a change of term %d last, and the last one had term %d", now.Antiflap.Last.Term, last)
	}
	if open := now.Antiflap.Ended.IsZero() && !now.Antiflap.Opened.IsZero(); len(made) > 0 && open != (now.Antiflap.Last.Kind == antiflap.Emergency) {
		p.wrong("the window is open: %t, after a change of kind %s", open, now.Antiflap.Last.Kind)
	}
	if len(now.Brake.Begun) > 0 {
		p.wrong("the fleet's brake still counts a change that is under way: %+v", now.Brake.Begun)
	}
	if braked := now.braked(p.began); braked != emergencies {
		p.wrong("the fleet's brake counts %d changes, and %d emergency changes were established", braked, emergencies)
	}
}

// interrupted finds what became of the change whose elector was caught, and how long that took.
func (p *scene) interrupted(fresh []reparent.Operation) {
	slices.SortFunc(fresh, func(a, b reparent.Operation) int { return cmp.Compare(a.Term, b.Term) })
	p.result.outcome = "not begun"
	if len(fresh) > 0 && fresh[0].StartedAt.Before(p.caughtAt) {
		op := fresh[0]
		fresh = fresh[1:]
		p.result.outcome = map[reparent.State]string{
			reparent.StateSucceeded: "finished", reparent.StateUndone: "undone", reparent.StateFailed: "given up", reparent.StateBlocked: "blocked",
		}[op.State]
		if made := established(append(fresh, op)); op.Kind == reparent.KindPlanned && op.Decision == nil && len(made) > 0 {
			p.wrong("nothing was decided in %s, and yet the primary was changed by %s", op.ID, made[0].ID)
		}
		if p.result.ended = op.FinishedAt.Sub(p.caughtAt); p.result.ended <= 0 {
			p.result.outcome, p.result.ended = "had ended", 0
		}
	}
	if len(fresh) > 0 {
		p.result.outcome += fmt.Sprintf(", then %s change", fresh[0].Kind)
	}
	if p.result.acting > p.limits.acting {
		p.late("another elector acted after %s, and %s is the limit", p.result.acting, p.limits.acting)
	}
	if p.result.ended > p.limits.ended {
		p.late("the change ended after %s, and %s is the limit", p.result.ended, p.limits.ended)
	}
}

// describe is what is needed to understand a cell that failed.
func (s *stage) describe(ctx context.Context) string {
	var text strings.Builder
	for _, e := range s.electors {
		c, err := e.cluster(ctx)
		fmt.Fprintf(&text, "%s: leading %t, elector %s, primary %s, term %d, state %s, refusal %q, %v\n", e.name, c.Leading, c.Elector, c.Primary, c.Term, c.State, c.Refusal, err)
		for _, f := range c.Findings {
			fmt.Fprintf(&text, "  %s %s: %s\n", f.Code, f.Server, f.Message)
		}
		for _, o := range c.Servers {
			fmt.Fprintf(&text, "  %s %s ro=%t receiver=%s applier=%s executed=%s %v\n", o.Address, o.Role, o.ReadOnly, o.Receiver, o.Applier, o.GTIDExecuted, o.Errors)
		}
		log, _ := os.ReadFile(e.log) // without it the rest is still of use
		lines := strings.Split(string(log), "\n")
		fmt.Fprintln(&text, strings.Join(lines[max(0, len(lines)-40):], "\n"))
	}
	return text.String()
}
