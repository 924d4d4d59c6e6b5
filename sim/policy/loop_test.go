package policy

import (
	"slices"
	"testing"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// The stages that Changed is about are those by which the real code comes, whatever it changes and whoever leads, policy none
// included: of an operation of reparent up to the record, and then of the findings of topology and the repairs of reparent,
// which are asked what to do at every stage until there is nothing left. What it refuses is what cannot come to its end.
func TestRulesAreChangedByTheStagesThatAreChecked(t *testing.T) {
	made, steps := map[string]int{}, 0
	c := changer{newChecker(production(), 4), map[leading]reparent.Intent{}, map[leading][]reparent.Command{}}
	for size := 1; size <= 4; size++ {
		for r := range shapes(usable(rulesets(first(size)))) {
			for old, next := range c.changesOf(r, 4) {
				for primary := range old.servers.each {
					how, n := c.changed(t, old, next, primary)
					made[how]++
					steps += n
				}
			}
		}
	}
	if made["at once"] < 1_000 || made["with a barrier"] < 2_000 || made["from none"] < 100 || made["without a promise"] < 10 || steps < 20_000 {
		t.Errorf("%v with %d steps", made, steps)
	}
	for _, code := range []string{"primary_removed", "too_few_ackers", "rules_promise_nothing", "rules_same"} {
		if made[code] == 0 {
			t.Errorf("nothing was refused as %s: %v", code, made)
		}
	}
}

// changer remembers what does not depend on both rulesets of a change.
type changer struct {
	*checker
	intents map[leading]reparent.Intent
	mended  map[leading][]reparent.Command
}

// leading is a primary under rules, and what its MySQL waits for.
type leading struct {
	rules   *rules
	primary int
	runs    regime
}

// changed says how a change is made while one server leads, or as what it is refused.
func (c changer) changed(t *testing.T, old, next *rules, primary int) (how string, steps int) {
	t.Helper()
	order := orderOf(old.Ruleset, next.Ruleset)
	all := c.journey(order, old, next, primary)
	op := reparent.Rules(clearance(), c.intent(old, primary), next.Ruleset, topology.ServerSet{}, now)
	code := ""
	if op.Obstacle != nil {
		code = op.Obstacle.Code
	}
	if want := refusalOf(old, next, primary, all.arrives); code != want {
		t.Fatalf("%s, to %s is refused as %q while %s leads, and not as %q", described(old.Ruleset), described(next.Ruleset), code, name(primary), want)
	}
	if code == "rules_same" {
		return code, 0
	}
	if known := c.refusal(old, next, primary); known != code {
		t.Fatalf("%s, to %s is refused as %q while %s leads, and another one that tells it the same as %q", described(old.Ruleset), described(next.Ruleset), code, name(primary), known)
	}
	if code != "" {
		return code, 0
	}
	at, steps := recordedBy(t, old, next, primary, op, all.stages)
	switch steps += c.repaired(t, next, primary, at, all.stages); {
	case old.Succeeds(next.Ruleset) == "":
		return "at once", steps
	case !slices.Contains(order, barrier):
		return "without a promise", steps
	case old.Policy.Kind == topology.PolicyNone:
		return "from none", steps
	}
	return "with a barrier", steps
}

// refusalOf is why a change cannot be made as one, in the words of the code and by other thoughts.
func refusalOf(old, next *rules, primary int, arrives bool) string {
	switch {
	case old.Same(next.Ruleset):
		return "rules_same"
	case next.Policy.Kind == topology.PolicyNone && old.Policy.Kind != topology.PolicyNone:
		return "rules_promise_nothing"
	case !next.servers.has(primary):
		return "primary_removed"
	case !arrives:
		return "too_few_ackers"
	}
	return ""
}

// recordedBy carries an operation on to the record. After each of its steps MySQL is told what it is told at a stage that was
// checked; and while the step's commands are obeyed, whichever comes first, no more can complete than at such a stage.
func recordedBy(t *testing.T, old, next *rules, primary int, op reparent.Operation, checked []stage) (at regime, steps int) {
	t.Helper()
	checked = checked[:slices.IndexFunc(checked, func(s stage) bool { return s.recorded })]
	for at = old.told[primary]; op.Phase != reparent.PhaseRecording; {
		commands, before := op.Next().Commands, at
		if len(commands) == 0 || !op.Running() {
			t.Fatalf("%s, to %s: while %s leads the change stops: %s %v", described(old.Ruleset), described(next.Ruleset), name(primary), op.Phase, op.Obstacle)
		}
		for first := range 1 << len(commands) {
			at = before
			for i, c := range commands {
				if first>>i&1 == 1 {
					at = obeyedBy(t, at, primary, c)
				}
			}
			steps++
			known := func(s stage) bool { return s.runs == at }
			if first != 1<<len(commands)-1 {
				known = func(s stage) bool { return at.enabled.minus(s.runs.enabled) == 0 && at.acks >= s.runs.acks }
			}
			if !slices.ContainsFunc(checked, known) {
				t.Fatalf("%s, to %s: while %s leads MySQL comes to wait for %s %s, which was not checked", described(old.Ruleset), described(next.Ruleset), name(primary), at, op.Phase)
			}
		}
		if last := checked[len(checked)-1]; op.Phase == reparent.PhaseBarrier && (last.after != barrier || last.runs != at) {
			t.Fatalf("%s, to %s: while %s leads the barrier is acknowledged by %s, and what was checked is %s", described(old.Ruleset), described(next.Ruleset), name(primary), at, last)
		}
		op = op.Apply(slices.Repeat([]reparent.Result{{Outcome: reparent.Yes}}, len(commands)), now)
	}
	if last := checked[len(checked)-1]; last.runs != at {
		t.Fatalf("%s, to %s: while %s leads it is recorded when MySQL waits for %s, and what was checked is %s", described(old.Ruleset), described(next.Ruleset), name(primary), at, last)
	}
	return at, steps
}

func (c changer) intent(old *rules, primary int) reparent.Intent {
	l := leading{rules: old, primary: primary}
	if _, done := c.intents[l]; !done {
		c.intents[l] = change(old.Ruleset, primary)
	}
	return c.intents[l]
}

// repaired follows the loop along every order in which its repairs can be obeyed.
func (c changer) repaired(t *testing.T, next *rules, primary int, from regime, checked []stage) (steps int) {
	t.Helper()
	met := map[regime]bool{from: true}
	for open := []regime{from}; len(open) > 0; {
		at := open[0]
		open = open[1:]
		if !slices.ContainsFunc(checked, func(s stage) bool { return s.recorded && s.runs == at }) {
			t.Fatalf("to %s: while %s leads MySQL comes to wait for %s, which is no stage that was checked", described(next.Ruleset), name(primary), at)
		}
		commands := c.repairs(next, primary, at)
		if (len(commands) == 0) != (at == next.told[primary]) {
			t.Fatalf("to %s: while %s leads and MySQL waits for %s the loop does %v", described(next.Ruleset), name(primary), at, commands)
		}
		for _, command := range commands {
			steps++
			if after := obeyedBy(t, at, primary, command); !met[after] {
				met[after] = true
				open = append(open, after)
			}
		}
	}
	return steps
}

// repairs are what the loop does under these rules while a primary waits for something else.
func (c changer) repairs(r *rules, primary int, runs regime) []reparent.Command {
	l := leading{r, primary, runs}
	if known, done := c.mended[l]; done {
		return known
	}
	m := serving(r.Ruleset, primary)
	m.runs[primary] = runs
	e := newElection(m)
	s := topology.Snapshot{Cluster: cluster, At: now, Ruleset: r.Ruleset, Servers: e.well(primary)}
	c.mended[l] = reparent.Repairs(topology.Analyze(s, e.history, topology.Limits{}, now, nil), s, e.history, 1)
	return c.mended[l]
}

// obeyedBy is what MySQL waits for once a command is obeyed. No server takes one that waits for nobody (mysqld).
func obeyedBy(t *testing.T, at regime, primary int, c reparent.Command) regime {
	t.Helper()
	server, ofPrimary := one(number(c.Server)), c.Server == name(primary)
	switch {
	case ofPrimary && c.Verb == reparent.EnableSource && c.Acks > 0:
		at.acks = c.Acks
	case ofPrimary && (c.Verb == reparent.AwaitAckers || c.Verb == reparent.Barrier) && c.Acks > 0:
	case !ofPrimary && c.Verb == reparent.Follow && c.Acker && c.Source == name(primary):
		at.enabled |= server
	case !ofPrimary && (c.Verb == reparent.Freeze || c.Verb == reparent.Follow && c.Source == name(primary)):
		at.enabled = at.enabled.minus(server)
	default:
		t.Fatalf("%s leads and waits for %s: %s on %s with %d acks is no step of a change", name(primary), at, c.Verb, c.Server, c.Acks)
	}
	return at
}
