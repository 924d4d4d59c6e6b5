package main

import (
	"fmt"
	"strings"

	"github.com/primacydb/primacy/orchestrator/failpoint"
	"github.com/primacydb/primacy/reparent"
)

// cell is one place of the matrix: a point of a change, and what happens to the elector that gets there.
type cell struct {
	failpoint.Point
	// next is where the elector that takes over is caught as well; nil when it is let alone.
	next *failpoint.Point
	// rules is what a change of the rules alters; empty for a change of the primary.
	rules alteration
	// lagging holds back the server that is to be preferred, so that it has to fetch what it lacks from another one.
	lagging bool
}

// String names the cell so that -only can name it too.
func (c cell) String() string { return c.row() + ": " + string(c.Action) }

// change names what is being changed.
func (c cell) change() string {
	if c.rules != "" {
		return fmt.Sprintf("%s (%s)", c.Kind, c.rules)
	}
	return string(c.Kind)
}

// row is what cells of all actions have in common.
func (c cell) row() string { return c.change() + " " + c.place() }

// place is where in the change it lies.
func (c cell) place() string {
	text := fmt.Sprintf("%s %s", c.Moment, c.Step)
	if c.next != nil {
		text += fmt.Sprintf(", then %s %s", c.next.Moment, c.next.Step)
	}
	return text
}

// with is the same place with another action. The second one that is caught is no sleepwalker: it has yet to gain the lock
// when it is armed, and one that sleeps then would take it for its own for ever.
func (c cell) with(a failpoint.Action) cell {
	c.Action = a
	if c.next != nil {
		next := *c.next
		if next.Action = a; a == failpoint.Sleepwalk {
			next.Action = failpoint.Stop
		}
		c.next = &next
	}
	return c
}

// around are the moments of a step.
var (
	around  = []failpoint.Moment{failpoint.Before, failpoint.After}
	within  = []failpoint.Moment{failpoint.Before, failpoint.During, failpoint.After}
	written = []failpoint.Moment{failpoint.After}
)

// turn is one step of a change with the moments of it that are played.
type turn struct {
	step    string
	moments []failpoint.Moment
}

// turnsOf are the steps of a change in their order. A step of one command has no middle, and before a write lies where
// the step before it ended.
func turnsOf(k reparent.Kind) []turn {
	closing := []turn{
		{failpoint.Decision, written}, {"marking", within}, {"opening", around}, {failpoint.Established, written},
		{"reconciling", within}, {failpoint.Settled, written}, {failpoint.Counted, written},
	}
	if k == reparent.KindPlanned {
		return append([]turn{
			{failpoint.Term, written}, {failpoint.Intent, written}, {"measuring", around}, {"gating", around}, {"preparing", within},
			{"demoting", around}, {"catching_up", around},
		}, closing...)
	}
	return append([]turn{
		{failpoint.Brake, written}, {failpoint.Term, written}, {failpoint.Intent, written}, {"revoking", within}, {"fetching", around},
		{"propagating", within},
	}, closing...)
}

// turnsOfRules are the steps of a change of the rules, which depend on what it alters.
func turnsOfRules(a alteration) []turn {
	turns := []turn{{failpoint.Term, written}, {failpoint.Intent, written}}
	switch a {
	case raised:
		turns = append(turns, turn{"raising", within}, turn{"barrier", within})
	case removed:
		turns = append(turns, turn{"raising", within}, turn{"disabling", around}, turn{"barrier", within})
	case lowered, added:
	}
	return append(turns, turn{failpoint.Recorded, written}, turn{failpoint.Settled, written})
}

// quickCells are played by every run of the tests: each way in which a change can be left, with both actions.
func quickCells() []string {
	return []string{
		"emergency after revoking: kill", "emergency during marking: kill", "emergency after established: kill", "emergency before marking: stop",
		"planned during preparing: kill", "planned after demoting: kill", "planned after marking: stop", "planned before demoting: sleepwalk",
		"rules (a member removed) after disabling: kill", "rules (acks raised) after barrier: sleepwalk", "rules (acks lowered) after recorded: stop",
	}
}

// rows are all places at which an elector is caught, in the order in which a change comes by them, with no action yet.
func rows() []cell {
	var all []cell
	for _, kind := range []reparent.Kind{reparent.KindEmergency, reparent.KindPlanned} {
		for _, t := range turnsOf(kind) {
			for _, m := range t.moments {
				all = append(all, cell{Point: failpoint.Point{Kind: kind, Moment: m, Step: t.step}, lagging: t.step == "fetching"})
			}
		}
	}
	for _, a := range alterations() {
		for _, t := range turnsOfRules(a) {
			for _, m := range t.moments {
				all = append(all, cell{Point: failpoint.Point{Kind: reparent.KindRules, Moment: m, Step: t.step}, rules: a})
			}
		}
	}
	return append(all, undone()...)
}

// undone are those at which the elector that undoes a change is caught: undoing is a procedure too.
func undone() []cell {
	var all []cell
	for _, first := range []struct {
		failpoint.Point
		rules   alteration
		moments []failpoint.Moment
	}{
		{failpoint.Point{Kind: reparent.KindEmergency, Moment: failpoint.After, Step: "revoking"}, "", within},
		{failpoint.Point{Kind: reparent.KindPlanned, Moment: failpoint.After, Step: "demoting"}, "", within},
		{failpoint.Point{Kind: reparent.KindRules, Moment: failpoint.After, Step: "raising"}, raised, around},
		{failpoint.Point{Kind: reparent.KindRules, Moment: failpoint.After, Step: "disabling"}, removed, around},
	} {
		for _, m := range first.moments {
			all = append(all, cell{Point: first.Point, rules: first.rules, next: &failpoint.Point{Kind: first.Kind, Moment: m, Step: "releasing"}})
		}
	}
	return all
}

func actions() []failpoint.Action {
	return []failpoint.Action{failpoint.Kill, failpoint.Stop, failpoint.Sleepwalk}
}

// cells is the whole matrix.
func cells() []cell {
	var all []cell
	for _, a := range actions() {
		for _, r := range rows() {
			all = append(all, r.with(a))
		}
	}
	return all
}

// named are the cells whose names contain one of the words between commas; all when there are none.
func named(list string) ([]cell, error) {
	var chosen []cell
	for _, c := range cells() {
		for word := range strings.SplitSeq(list, ",") {
			if strings.Contains(c.String(), strings.TrimSpace(word)) {
				chosen = append(chosen, c)
				break
			}
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no cell is called %q; one is called %q", list, cells()[0])
	}
	return chosen, nil
}
