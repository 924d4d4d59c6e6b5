package reparent

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

func semiSync(acks int) topology.Policy {
	return topology.Policy{Kind: topology.PolicySemiSync, Acks: acks}
}

// with is a ruleset with another policy.
func with(r topology.Ruleset, p topology.Policy) topology.Ruleset {
	r.Policy = p
	return r
}

// without is a ruleset without some members.
func without(r topology.Ruleset, names ...topology.Address) topology.Ruleset {
	r.Members = slices.DeleteFunc(slices.Clone(r.Members), func(m topology.Member) bool { return slices.Contains(names, m.Address) })
	return r
}

// zoned is a ruleset with a member in another zone.
func zoned(r topology.Ruleset, name topology.Address, zone string) topology.Ruleset {
	r.Members = slices.Clone(r.Members)
	for i := range r.Members {
		if r.Members[i].Address == name {
			r.Members[i].Zone = zone
		}
	}
	return r
}

// moved are the moves that an operation's stages have made.
func movesOf(op Operation) []topology.Move {
	words := map[string]topology.Move{"raise": topology.MoveRaise, "disable": topology.MoveDisable, "barrier": topology.MoveBarrier, "record": topology.MoveRecord}
	var made []topology.Move
	for _, s := range op.Stages {
		if m, is := words[s.Name]; is && s.Outcome == "ok" {
			made = append(made, m)
		}
	}
	return made
}

func TestAChangeOfTheRulesMakesTheMovesThatAreProvenSafeInTheirOrder(t *testing.T) {
	five := topologytest.Cluster("A", "B", "C", "D", "E").Acks(1).Ruleset()
	abroad := topologytest.Cluster("A", "B", "C", "D", "E").Policy(topology.Policy{Kind: topology.PolicyCrossZone, Acks: 1}).Zone("west", "C", "D", "E").Ruleset()
	none := topologytest.Cluster("A", "B", "C").Policy(topology.Policy{Kind: topology.PolicyNone}).Ruleset()
	for name, row := range map[string]struct {
		old, next topology.Ruleset
		moves     []topology.Move
	}{
		"more acks":                       {five, with(five, semiSync(2)), []topology.Move{topology.MoveRaise, topology.MoveBarrier, topology.MoveRecord}},
		"fewer acks":                      {with(five, semiSync(2)), five, []topology.Move{topology.MoveRecord}},
		"a member less":                   {five, without(five, "E"), []topology.Move{topology.MoveRaise, topology.MoveDisable, topology.MoveBarrier, topology.MoveRecord}},
		"a member less, and more acks":    {five, without(with(five, semiSync(2)), "E"), []topology.Move{topology.MoveRaise, topology.MoveDisable, topology.MoveBarrier, topology.MoveRecord}},
		"an acker into the primary's own": {abroad, zoned(abroad, "E", "a"), []topology.Move{topology.MoveRaise, topology.MoveDisable, topology.MoveBarrier, topology.MoveRecord}},
		"from nothing to a promise":       {none, with(none, semiSync(1)), []topology.Move{topology.MoveRaise, topology.MoveBarrier, topology.MoveRecord}},
		"a member less, of no promise":    {none, without(none, "C"), []topology.Move{topology.MoveDisable, topology.MoveRecord}},
	} {
		t.Run(name, func(t *testing.T) {
			w := worldOf(row.old)
			w.write("A")
			in := w.intent()
			op := w.must(t, Rules(clearance(false), in, row.next, topology.ServerSet{}, w.now()))
			made := movesOf(op)
			if op.State != StateSucceeded || !slices.Equal(made, row.moves) {
				t.Fatalf("%s %v: %v", op.State, made, op.Obstacle)
			}
			proven := topology.Transition{Primary: "A", Old: row.old, Next: row.next}.Moves()
			at := 0
			for _, m := range made {
				if next := slices.Index(proven[at:], m); next < 0 {
					t.Errorf("%v is not in the order of %v", made, proven)
				} else {
					at += next + 1
				}
			}
			if w.ruleset.Number != row.old.Number+1 || !w.ruleset.Same(row.next) || op.Decision != nil || op.Leaders != nil {
				t.Errorf("on record is %+v, and the leadership was touched: %v", w.ruleset, op.Decision)
			}
			if g := w.write("A"); !w.answered.Has(g) {
				t.Error("a write does not complete any more")
			}
			if c := op.rulesClaim(); c.Standing != Holds {
				t.Errorf("its certificate: %+v", c)
			}
			if len(made) > 1 {
				before := op.needed()[len(op.needed())-2] // the barrier, where there is one
				op.Stages = slices.DeleteFunc(op.Stages, func(s Stage) bool { return s.Name == before })
				if c := op.rulesClaim(); c.Standing != Refuted {
					t.Errorf("without its %s: %+v", before, c)
				}
			}
		})
	}
}

func TestAChangeOfTheRulesIsRefusedWithARemedyBeforeAnythingIsTouched(t *testing.T) {
	base := func() *topologytest.Builder { return topologytest.Cluster("A", "B", "C", "D").Acks(1) }
	four := base().Ruleset()
	unpromised := func() *topologytest.Builder {
		return topologytest.Cluster("A", "B", "C").Policy(topology.Policy{Kind: topology.PolicyNone})
	}
	abroad := func() *topologytest.Builder { return base().Zone("east", "A", "B", "C").Zone("west", "D") }
	for name, row := range map[string]struct {
		b    *topologytest.Builder
		next topology.Ruleset
		gone []topology.Address
		code string
		says string
	}{
		"the same rules":         {base(), four, nil, "rules_same", "number 1"},
		"more acks than servers": {base(), with(four, semiSync(4)), nil, "rules_invalid", ""},
		"acks that a zone has too few for": {abroad(), with(abroad().Ruleset(), topology.Policy{Kind: topology.PolicyCrossZone, Acks: 2}), nil, "rules_invalid",
			"while A leads: 2 acks are needed and only D may give one, being outside its zone east; were the others' counted too, MySQL, which knows no zones, would answer clients with 2 acks (B, C), " +
				"which does not satisfy the policy (ask for acks 1, add servers outside zone east or give A promotion never)"},
		"the primary would be removed":      {base(), without(four, "A"), nil, "primary_removed", "primacy reparent"},
		"no promise any more":               {base(), with(four, topology.Policy{Kind: topology.PolicyNone, AllowUnfenced: true}), nil, "rules_promise_nothing", "lower the acks"},
		"too few follow":                    {base().Dead("C").Dead("D"), with(four, semiSync(2)), nil, "too_few_ackers", "B, C, D"},
		"the removed one is not reached":    {base().Dead("D"), without(four, "D"), nil, "not_reached", "primacy rules shop remove D --gone"},
		"the removed one answers after all": {base(), without(four, "D"), []topology.Address{"D"}, "gone_contradicted", "it is stopped then"},
		"the removed one takes writes":      {base().Writable("D"), without(four, "D"), nil, "removed_open", "super_read_only"},
		"one that stays is said to be gone": {base().Dead("D"), with(four, semiSync(2)), []topology.Address{"D"}, "gone_kept", "remove it"},
		"the primary is dead":               {base().Dead("A"), with(four, semiSync(2)), nil, "primary_not_serving", "findings"},
		"the primary restarted":             {base().Restarted("A"), with(four, semiSync(2)), nil, "primary_not_serving", "findings"},
		"it did, and nobody acknowledges":   {unpromised().Restarted("A").Writable("A"), with(unpromised().Ruleset(), semiSync(1)), nil, "primary_not_serving", "established anew"},
		"another change was begun":          {base().Term(1, "A", "").Intent(2, "C", "A:1-100"), with(four, semiSync(2)), nil, "history_unsettled", "wait"},
		"who leads is known from journals":  {base().Recovered(), with(four, semiSync(2)), nil, "history_unsettled", ""},
		"nobody ever led":                   {base().Unadopted(), with(four, semiSync(2)), nil, "history_unsettled", ""},
	} {
		t.Run(name, func(t *testing.T) {
			op := Rules(clearance(false), intentOf(row.b), row.next, topology.Servers(row.gone...), topologytest.Now)
			if op.State != StateBlocked || op.Obstacle.Code != row.code {
				t.Fatalf("%s: %+v", op.State, op.Obstacle)
			}
			if !strings.Contains(fmt.Sprintf("%s (%s)", op.Obstacle.Message, op.Obstacle.Remedy), row.says) {
				t.Errorf("%s (%s)", op.Obstacle.Message, op.Obstacle.Remedy)
			}
		})
	}
}

// A holds x, which B alone has acknowledged; C, D and E do not get it. The next elector goes by rules under which two
// acknowledge, does not reach B, and finds A dead.
func loneAck() (*world, topology.Ruleset) {
	w := newWorld(1, "A", "B", "C", "D", "E")
	for _, a := range []topology.Address{"C", "D", "E"} {
		w.apart[[2]topology.Address{a, "A"}] = true
	}
	w.write("A")
	return w, with(w.ruleset, semiSync(2))
}

func TestRecordingBeforeTheBarrierLosesWhatOneAckerHeld(t *testing.T) {
	w, next := loneAck()
	w.snapshot()
	next.Number = 2
	w.ruleset = next // what a change that records first would have done by now
	w.servers["A"].crash()
	w.cut = topology.Servers("B")
	w.lastSeen, w.floor = topology.Sightings{}, gtid.Set{} // the elector has just been started, and goes by the record
	e := &elector{world: w, name: "elector-1"}
	if op, _ := e.run(Emergency(clearance(true), w.intent(), w.now())); op.State != StateSucceeded {
		t.Fatalf("%s %v", op.State, op.Obstacle)
	}
	if len(w.broken) == 0 || !strings.Contains(strings.Join(w.broken, " "), "which clients were told is committed") {
		t.Errorf("nothing was lost: %v", w.broken)
	}
}

func TestAChangeWhoseBarrierIsNotAcknowledgedIsUndoneAndNothingIsLost(t *testing.T) {
	w, next := loneAck()
	if op := Rules(clearance(false), w.intent(), next, topology.ServerSet{}, w.now()); op.State != StateBlocked || op.Obstacle.Code != "too_few_ackers" {
		t.Fatalf("%s %v", op.State, op.Obstacle)
	}
	w.apart = map[[2]topology.Address]bool{}
	for _, a := range []topology.Address{"C", "D", "E"} { // they follow, and say nothing
		w.muted[[2]topology.Address{a, "A"}] = true
	}
	w.flow()
	op := w.must(t, Rules(clearance(false), w.intent(), next, topology.ServerSet{}, w.now()))
	if op.State != StateUndone || op.Obstacle.Code != "not_acknowledged" || w.ruleset.Number != 1 {
		t.Fatalf("%s %v under ruleset %d", op.State, op.Obstacle, w.ruleset.Number)
	}
	if g := w.write("A"); !w.answered.Has(g) || w.servers["A"].acks != 1 {
		t.Errorf("commits wait for %d acks", w.servers["A"].acks)
	}
}

func TestARemovedServerAcknowledgesNothingAfterARestart(t *testing.T) {
	w := newWorld(1, "A", "B", "C", "D")
	op := w.must(t, Rules(clearance(false), w.intent(), without(w.ruleset, "D"), topology.ServerSet{}, w.now()))
	d := w.servers["D"]
	d.crash()
	d.restart()
	if op.State != StateSucceeded || d.receives() || d.connected() {
		t.Errorf("%s, and D receives: %t", op.State, d.receives())
	}
}

func TestADeadServerIsRemovedOnSomebodysWord(t *testing.T) {
	w := newWorld(1, "A", "B", "C", "D")
	w.servers["D"].crash()
	op := w.must(t, Rules(clearance(false), w.intent(), without(w.ruleset, "D"), topology.Servers("D"), w.now()))
	if op.State != StateSucceeded || !strings.Contains(fmt.Sprint(op.Stages), "is the word of alice: test") {
		t.Errorf("%s %v: %v", op.State, op.Obstacle, op.Stages)
	}
}

// Where nothing is promised before and after, there is nothing to have acknowledged; the removed server is stopped all the same,
// or somebody vouches for it.
func TestAMemberOfAClusterThatPromisesNothingIsRemoved(t *testing.T) {
	none := topologytest.Cluster("A", "B", "C").Policy(topology.Policy{Kind: topology.PolicyNone}).Ruleset()
	for _, gone := range []bool{false, true} {
		w := worldOf(none)
		silent := topology.ServerSet{}
		if gone {
			w.servers["C"].crash()
			silent = topology.Servers("C")
		}
		op := w.must(t, Rules(clearance(false), w.intent(), without(none, "C"), silent, w.now()))
		if op.State != StateSucceeded || w.ruleset.Servers().Has("C") {
			t.Fatalf("gone %t: %s %v", gone, op.State, op.Obstacle)
		}
		if c := w.servers["C"]; !gone && c.receives() || w.servers["A"].semiSource {
			t.Errorf("gone %t: C receives: %t, A waits for acks: %t", gone, c.receives(), w.servers["A"].semiSource)
		}
		if c := op.rulesClaim(); c.Standing != Holds {
			t.Errorf("gone %t: its certificate: %+v", gone, c)
		}
	}
}

// Whatever point an elector dies at, the next one finds it finished, or gives it up; either way commits go on.
func TestAChangeOfTheRulesWhoseElectorDiesIsFinishedOrUndone(t *testing.T) {
	promised := func() (*world, topology.Ruleset) {
		w := newWorld(1, "A", "B", "C", "D")
		return w, without(with(w.ruleset, semiSync(2)), "D")
	}
	none := func() (*world, topology.Ruleset) {
		w := worldOf(topologytest.Cluster("A", "B", "C", "D").Policy(topology.Policy{Kind: topology.PolicyNone}).Ruleset())
		return w, without(w.ruleset, "D")
	}
	if finished := diesAtEachPoint(t, promised); finished < 2 {
		t.Errorf("%d were finished", finished)
	}
	if finished := diesAtEachPoint(t, none); finished < 2 {
		t.Errorf("%d were finished where nothing is promised", finished)
	}
}

func diesAtEachPoint(t *testing.T, begin func() (*world, topology.Ruleset)) (finished int) {
	t.Helper()
	for n := 1; n <= 5; n++ {
		for _, point := range []string{"save", "send", "apply"} {
			w, next := begin()
			e := &elector{world: w, name: "elector-1", keeps: func() bool { return true }, dies: func(i int, _ Phase, p string) bool { return i == n && p == point }}
			op := Rules(clearance(false), w.intent(), next, topology.ServerSet{}, w.now())
			end, died := e.run(op)
			if died {
				if e.saved.ID == "" {
					continue
				}
				end = w.must(t, (&elector{world: w, name: "elector-2"}).takeOver(e.saved))
			}
			inForce := w.ruleset.Number == 2
			if inForce != (end.State == StateSucceeded) || !inForce && end.State != StateUndone {
				t.Errorf("step %d %s: %s with ruleset %d in force", n, point, end.State, w.ruleset.Number)
			}
			if needed, a := w.ruleset.AcksNeeded("A"), w.servers["A"]; needed > 0 && a.acks != needed || a.semiSource != (needed > 0) {
				t.Errorf("step %d %s: commits wait for %d acks and %d are needed", n, point, a.acks, needed)
			}
			finished += map[bool]int{true: 1}[inForce]
		}
	}
	return finished
}

// TestWhateverHappensInChangesOfTheRulesNothingIsLost has rules changed to and fro while clients write, servers die and
// come back and are cut off, and electors die between any two steps; in between the primary is replaced under whatever
// rules are on record. The world claims on every marker that no answered write is given up, and of every recorded ruleset
// that enough of its ackers hold each.
func TestWhateverHappensInChangesOfTheRulesNothingIsLost(t *testing.T) {
	changed := 0
	rapid.Check(t, func(t *rapid.T) {
		l := startLife(t)
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			l.happenings()
			if l.odds(70, "rules") {
				before := l.world.ruleset.Number
				l.reorder()
				changed += int(l.world.ruleset.Number - before)
			} else {
				l.change()
			}
			l.world.flow()
			l.whole()
		}
		l.heal()
		l.recovers()
		l.whole()
	})
	if changed == 0 {
		t.Error("no rules were ever changed")
	}
}

// other is a ruleset that is something else than the one on record.
func (l *life) other() topology.Ruleset {
	r := l.world.ruleset
	r.Members = slices.Clone(r.Members)
	switch rapid.SampledFrom([]string{"acks", "acks", "remove", "add", "zone", "policy"}).Draw(l.t, "rule") {
	case "acks":
		r.Policy.Acks = rapid.IntRange(1, 3).Draw(l.t, "acks")
	case "remove":
		return without(r, l.any("removed").name)
	case "add":
		for _, s := range l.world.all() {
			if !r.Servers().Has(s.name) {
				r.Members = append(r.Members, topology.Member{Address: s.name})
				return r
			}
		}
	case "zone":
		return zoned(r, l.any("moved").name, rapid.SampledFrom([]string{"", "west"}).Draw(l.t, "to"))
	case "policy":
		r.Policy.Kind = rapid.SampledFrom([]topology.PolicyKind{topology.PolicySemiSync, topology.PolicyCrossZone}).Draw(l.t, "policy")
	}
	return r
}

// slowDown has some servers receive nothing for a while although they are connected, and clients write meanwhile.
func (l *life) slowDown() {
	for _, s := range l.world.all() {
		s.slow = l.odds(40, "slow")
	}
	for _, p := range l.world.all() {
		if g := l.world.write(p.name); g.Number > 0 {
			l.say("write %s on %s, with slow ones", g, p.name)
		}
	}
	for _, s := range l.world.all() { // without a flow: a barrier is the first thing that they get
		if s.slow && l.odds(30, "more of them") {
			s.slow = false
		}
	}
	for _, s := range l.world.all() {
		if l.odds(30, "others") {
			s.slow = true
		}
	}
}

func (l *life) reorder() {
	l.slowDown()
	next, gone := l.other(), topology.ServerSet{}
	for a := range l.world.ruleset.Servers().Minus(next.Servers()).All() {
		if s := l.world.servers[a]; !s.up && l.odds(80, "gone") { // and nobody starts it again as it is
			gone = gone.With(a)
			s.bootStopped = true
		}
	}
	op := Rules(clearance(false), l.world.intent(), next, gone, l.world.now())
	l.say("rules of term %d: %s: %s %s", op.Term, RulesDifference(l.world.ruleset, next), op.State, l.why(op))
	harm := rapid.IntRange(0, 12).Draw(l.t, "harm")
	for generation := 1; op.Running(); generation++ {
		e := l.elector(fmt.Sprintf("elector-%d", generation), harm)
		if generation == 4 {
			e.dies = nil
		}
		if generation > 1 {
			e.saved = reloaded(op)
		}
		end, died := e.run(op)
		l.trace = append(l.trace, e.trace...)
		if died {
			l.say("%s dies in phase %s", e.name, end.Phase)
			if e.saved.ID == "" {
				return
			}
			end = e.takeOver(e.saved)
		}
		op = end
	}
	l.say("ends %s under ruleset %d: %s", op.State, l.world.ruleset.Number, l.why(op))
	for _, s := range l.world.all() {
		s.slow = false
	}
	l.maybeRepair()
}
