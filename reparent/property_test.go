package reparent

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// TestWhateverHappensNoWriteIsLostAndNoTwoServersLead plays short lives of small clusters: clients write, servers die
// and come back, networks part, electors die between any two steps. The world claims on every command that no two
// servers can complete writes, and on every marker that no earlier leader can and that no answered write is given up.
func TestWhateverHappensNoWriteIsLostAndNoTwoServersLead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := startLife(t)
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			l.happenings()
			l.change()
			l.world.flow()
			l.whole()
		}
		l.heal()
		l.recovers()
		l.whole()
	})
}

// life is one run of the property.
type life struct {
	t     *rapid.T
	world *world
	trace []string
	stray int
}

func startLife(t *rapid.T) *life {
	n := rapid.IntRange(3, 5).Draw(t, "servers")
	k := rapid.IntRange(1, min(2, n-2)).Draw(t, "acks")
	b := topologytest.Cluster([]topology.Address{"A", "B", "C", "D", "E"}[:n]...).Acks(k)
	if n > 3 && rapid.IntRange(0, 4).Draw(t, "zones") == 4 {
		b.Policy(topology.Policy{Kind: topology.PolicyCrossZone, Acks: 1}).Zone("west", "C", "D", "E")
	}
	w := worldOf(b.Ruleset())
	for _, s := range w.all() {
		s.relayLogRecovery = rapid.IntRange(0, 5).Draw(t, "relay_log_recovery") == 5
	}
	w.snapshot()
	return &life{t: t, world: w}
}

func (l *life) odds(percent int, what string) bool {
	return rapid.IntRange(0, 99).Draw(l.t, what) >= 100-percent
}

func (l *life) any(what string) *mysqld {
	return l.world.all()[rapid.IntRange(0, len(l.world.all())-1).Draw(l.t, what)]
}

func (l *life) say(format string, values ...any) {
	l.trace = append(l.trace, fmt.Sprintf(format, values...))
}

// happenings change the world between two leadership changes.
func (l *life) happenings() {
	for range rapid.IntRange(0, 8).Draw(l.t, "happenings") {
		s := l.any("server")
		switch rapid.SampledFrom([]string{"write", "write", "write", "crash", "restart", "cut", "part", "join", "look", "stray", "applier"}).Draw(l.t, "happening") {
		case "write":
			for _, p := range l.world.all() {
				if g := l.world.write(p.name); g.Number > 0 {
					l.say("write %s on %s", g, p.name)
				}
			}
		case "crash":
			l.say("%s crashes", s.name)
			s.crash()
		case "restart":
			if !s.up {
				l.say("%s restarts", s.name)
				s.restart()
			}
		case "cut":
			if l.world.cut.Has(s.name) {
				l.world.cut = l.world.cut.Without(s.name)
			} else if l.world.cut.Len() < len(l.world.all())-1 {
				l.world.cut = l.world.cut.With(s.name)
			}
			l.say("cut from the elector: %s", l.world.cut)
		case "part":
			other := l.any("source")
			l.world.apart[[2]topology.Address{s.name, other.name}] = true
			l.say("%s cannot receive from %s", s.name, other.name)
		case "join":
			l.world.apart = map[[2]topology.Address]bool{}
			l.say("all can receive from all")
		case "look":
			l.world.snapshot()
			l.say("the elector looks")
		case "stray":
			if l.stray == 0 && s.up && s.readOnly && !s.semiSource && !l.followed(s) && l.odds(30, "stray") {
				l.stray++
				g := s.next()
				s.commit(g, false)
				l.say("stray %s on %s", g, s.name)
			}
		case "applier":
			s.applier = !s.applier
			l.say("applier of %s runs: %t", s.name, s.applier)
		}
		l.world.flow()
	}
}

// followed tells whether anybody has this server as its source: a stray write there is no longer one server's.
func (l *life) followed(s *mysqld) bool {
	return slices.ContainsFunc(l.world.all(), func(r *mysqld) bool { return r.channel && r.source == s.name })
}

// change begins a leadership change and carries it to an end, through the deaths of electors.
func (l *life) change() {
	in := l.world.intent()
	var op Operation
	if l.odds(25, "planned") {
		op = Planned(clearance(false), in, l.world.now())
	} else {
		op = Emergency(clearance(true), in, l.world.now())
	}
	l.say("%s of term %d: %s %s", op.Kind, op.Term, op.State, l.why(op))
	before := l.world.states()
	harm := rapid.IntRange(0, 12).Draw(l.t, "harm")
	for generation := 1; op.Running(); generation++ {
		e := l.elector(fmt.Sprintf("elector-%d", generation), harm)
		if generation == 4 {
			e.dies = nil
		}
		e.saved = reloaded(op)
		if generation == 1 {
			e.saved = Operation{}
		}
		end, died := e.run(op)
		l.trace = append(l.trace, e.trace...)
		if died {
			l.say("%s dies in phase %s", e.name, end.Phase)
			if e.saved.ID == "" {
				return // nothing was saved, so nothing was sent
			}
			end = e.takeOver(e.saved)
			l.say("taken over: %s %s %s", end.Phase, end.State, l.why(end))
		}
		op = end
	}
	l.say("ends %s, leading %s: %s", op.State, op.To, l.why(op))
	l.world.concluded(op)
	if harm == 0 {
		l.restored(op, before)
	}
	l.maybeRepair()
}

func (l *life) why(op Operation) string {
	if op.Obstacle == nil {
		return ""
	}
	return op.Obstacle.Code + ": " + op.Obstacle.Message
}

// elector is one that suffers: harm is the percentage of commands that go wrong.
func (l *life) elector(name string, harm int) *elector {
	deadline := rapid.SampledFrom([]string{"", "", "", "1 send", "1 apply", "2 send", "2 apply", "3 save", "3 send", "3 apply", "4 save", "4 apply", "5 send", "5 apply", "6 apply"}).Draw(l.t, "death")
	if harm == 0 {
		deadline = ""
	}
	return &elector{
		world: l.world, name: name, partial: true,
		order: func(n int) int { return rapid.IntRange(0, n-1).Draw(l.t, "order") },
		keeps: func() bool { return l.odds(50, "keep") },
		dies:  func(n int, _ Phase, point string) bool { return fmt.Sprintf("%d %s", n, point) == deadline },
		fate: func(Command) fate {
			if harm == 0 || !l.odds(harm, "harm") {
				return fateNone
			}
			return fate(rapid.IntRange(1, int(fateRestarted)).Draw(l.t, "fate"))
		},
	}
}

// state is what an undone change has to give back.
type state struct {
	receives, open, offline bool
	source                  topology.Address
	acks                    int
}

func (w *world) states() map[topology.Address]state {
	all := map[topology.Address]state{}
	for _, s := range w.all() {
		st := state{receives: s.receiver && s.channel, open: !s.readOnly, offline: s.offline}
		if s.channel && s.readOnly {
			st.source = s.source // what is left of a primary's old channel need not survive
		}
		if s.semiSource {
			st.acks = s.acks
		}
		all[s.name] = st
	}
	return all
}

// restored claims that a change which ended without a promise left everything as it was.
func (l *life) restored(op Operation, before map[topology.Address]state) {
	if op.State != StateUndone && op.State != StateBlocked {
		return
	}
	for a, now := range l.world.states() {
		l.world.claim(reflect.DeepEqual(now, before[a]), "the change ended %s and %s is %+v, which was %+v", op.State, a, now, before[a])
	}
}

// maybeRepair does what the repair of replicas does once a primary is established.
func (l *life) maybeRepair() {
	if l.odds(50, "repair") {
		l.say("replicas are repaired")
		l.world.repair()
	}
}

// repair makes every server that is up a clean replica of the established primary.
func (w *world) repair() {
	current, ok := w.history().Current()
	p := w.servers[current.Primary]
	if !ok || len(w.leaderships) > 1 || !p.up || p.readOnly || p.offline || w.cut.Has(p.name) || p.incarnation() != current.Incarnation {
		return
	}
	for _, s := range w.all() {
		if s != p && s.up && !w.cut.Has(s.name) {
			w.rejoin(s, p)
		}
	}
	w.flow()
}

func (w *world) rejoin(s, p *mysqld) {
	if s.channel && s.source == p.name && s.receiver && s.applier && len(s.waiting) == 0 {
		return
	}
	s.do(Command{Verb: Fence})
	if !p.logged().Contains(s.position()) || !s.position().Contains(p.purged) {
		s.copyOf(p)
	}
	s.offline, s.applier = false, true
	s.do(Command{Verb: Follow, Source: p.name, Acker: w.ruleset.Ackers(p.name).Has(s.name)})
}

// heal ends all faults.
func (l *life) heal() {
	l.world.cut, l.world.apart = topology.ServerSet{}, map[[2]topology.Address]bool{}
	for _, s := range l.world.all() {
		s.applier = true
		if !s.up {
			s.restart()
		}
	}
	l.world.flow()
	l.say("all faults end")
}

// recovers claims progress: with every server up and reachable, a cluster gets back to a primary that takes writes.
// Not so after a stray write: its server counts as failed, and the policy tolerates no more than so many.
func (l *life) recovers() {
	for range 3 {
		if l.serves() {
			return
		}
		op := Emergency(clearance(true), l.world.intent(), l.world.now())
		e := &elector{world: l.world, name: "elector-9"}
		end, _ := e.run(op)
		l.trace = append(l.trace, e.trace...)
		l.say("last emergency of term %d ends %s, leading %s: %s", end.Term, end.State, end.To, l.why(end))
		l.world.concluded(end)
	}
	l.world.claim(l.serves() || l.stray > 0, "no primary that completes writes although every server is up and reachable")
}

// serves tells whether the established primary completes writes once its replicas are repaired; it then claims that
// it holds whatever clients were told.
func (l *life) serves() bool {
	l.world.repair()
	current, ok := l.world.history().Current()
	if !ok || len(l.world.leaderships) > 1 || !l.world.completes(l.world.servers[current.Primary]) {
		return false
	}
	g := l.world.write(current.Primary)
	l.world.claim(l.world.answered.Has(g), "a write on the primary %s does not complete", current.Primary)
	l.world.claim(l.world.servers[current.Primary].executed.Contains(l.world.answered), "%s lacks answered writes", current.Primary)
	return true
}

func (l *life) whole() {
	if len(l.world.broken) == 0 {
		return
	}
	for _, line := range l.trace {
		l.t.Log(line)
	}
	for _, claim := range l.world.broken {
		l.t.Error(claim)
	}
	l.t.FailNow()
}
