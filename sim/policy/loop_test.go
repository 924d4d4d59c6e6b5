package policy

import (
	"testing"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// The steps of a change that Changed is about are those of the loop: once a ruleset is on record, the findings of topology
// and the repairs of reparent are asked what to do, at every stage, until there is nothing left.
func TestTheLoopMakesAChangeByTheStagesThatAreChecked(t *testing.T) {
	made, steps := 0, 0
	c := newChecker(production(), 4)
	for size := 2; size <= 4; size++ {
		for r := range shapes(usable(rulesets(first(size)))) {
			for old, next := range c.changesOf(r, 4) {
				if old.Policy.Kind == topology.PolicyNone || old.Succeeds(next.Ruleset) != "" {
					continue
				}
				made++
				for primary := range old.servers.each {
					steps += repairedByTheLoop(t, old, next, primary)
				}
			}
		}
	}
	if made < 50 || steps < 500 {
		t.Errorf("%d changes with %d steps", made, steps)
	}
}

// repairedByTheLoop follows the loop along every order in which its repairs can be obeyed.
func repairedByTheLoop(t *testing.T, old, next *rules, primary int) (steps int) {
	t.Helper()
	from, to := old.told[primary], next.told[primary]
	checked := map[regime]bool{}
	all, _ := stages(safeOrder(false), from, to)
	for _, s := range all {
		checked[s.runs] = true
	}
	met := map[regime]bool{from: true}
	for open := []regime{from}; len(open) > 0; {
		at := open[0]
		open = open[1:]
		if !checked[at] {
			t.Fatalf("%s, to %s: while %s leads MySQL comes to wait for %s, which is no stage that was checked", described(old.Ruleset), described(next.Ruleset), name(primary), at)
		}
		commands := repairs(next, primary, at)
		if (len(commands) == 0) != (at == to) {
			t.Fatalf("%s, to %s: while %s leads and MySQL waits for %s the loop does %v", described(old.Ruleset), described(next.Ruleset), name(primary), at, commands)
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
func repairs(r *rules, primary int, runs regime) []reparent.Command {
	m := moment{rules: r.Ruleset, led: []int{primary}, writer: primary, wanted: -1}
	m.runs[primary] = runs
	e := newElection(m)
	s := topology.Snapshot{Cluster: cluster, At: now, Ruleset: r.Ruleset}
	for i := range r.servers.each {
		o := e.plain[i]
		if i == primary {
			o = e.leading(i)
		}
		s.Servers = append(s.Servers, o)
	}
	return reparent.Repairs(topology.Analyze(s, e.history, topology.Limits{}, now, nil), s, e.history, 1)
}

func obeyedBy(t *testing.T, at regime, primary int, c reparent.Command) regime {
	t.Helper()
	switch {
	case c.Verb == reparent.EnableSource && c.Server == name(primary):
		at.acks = c.Acks
	case c.Verb == reparent.Follow && c.Acker && c.Source == name(primary):
		at.enabled |= one(number(c.Server))
	default:
		t.Fatalf("%s leads and waits for %s: %s on %s is no step of a change", name(primary), at, c.Verb, c.Server)
	}
	return at
}
