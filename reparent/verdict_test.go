package reparent

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// sure is an author who waited for his acks to the end.
func sure(topology.Leadership, gtid.Set) string { return "" }

// cancelled is a primary of three or four servers that wrote one transaction which nobody received, and died; the world
// after the change that replaced it, with that change.
func cancelled(t *testing.T, acks int, names ...topology.Address) (*world, Operation, gtid.Set) {
	t.Helper()
	w := newWorld(acks, names...)
	w.snapshot()
	for _, a := range names[1:] {
		w.apart[[2]topology.Address{a, names[0]}] = true
	}
	x := w.write(names[0])
	w.servers[names[0]].crash()
	op := w.must(t, Emergency(clearance(true), w.intent(), w.now()))
	if op.State != StateSucceeded {
		t.Fatalf("%s: %+v", op.State, op.Obstacle)
	}
	return w, op, gtid.Of(x)
}

func (w *world) adopted(term uint32) Operation {
	l := topology.Leadership{Decision: topology.Decision{
		Term: term, Kind: string(KindAdoption), Primary: "A", PrimaryUUID: topologytest.UUID("A"), Base: gtid.MustParse(topologytest.UUID("A").String() + ":1"),
	}}
	return Operation{Kind: KindAdoption, Term: term, Decision: &l.Decision, Established: w.clock, State: StateSucceeded}
}

func TestWhatOnlyAKilledPrimaryHoldsWasNeverAnswered(t *testing.T) {
	w, op, x := cancelled(t, 1, "A", "B", "C")
	v := Acquit([]Operation{op, w.adopted(1)}, x, sure)
	if !v.Never || v.Term != op.Term {
		t.Errorf("%+v", v)
	}
}

func TestWhatIsNotProvenMayHaveBeenAnswered(t *testing.T) {
	type part struct {
		op     *Operation
		set    *gtid.Set
		author *Author
		chain  *[]Operation
	}
	rows := []struct {
		name string
		bend func(part)
		says string
	}{
		{"too few of its ackers were read", func(p part) {
			for _, a := range []topology.Address{"B", "C"} {
				was := p.op.Progress[a]
				was.Frozen = Unknown
				p.op.Progress[a] = was
			}
		}, "may have given it"},
		{"an acker that was read holds it, and one is enough", func(p part) {
			was := p.op.Progress["B"]
			seen := *was.Reading
			seen.Received = seen.Received.Union(*p.set)
			was.Reading = &seen
			p.op.Progress["B"] = was
		}, "may have given it"},
		{"an acker may have lost what it had received", func(p part) {
			was := p.op.Progress["B"]
			seen := *was.Reading
			seen.Settings.RelayLogRecovery, seen.Incarnation = true, "another"
			was.Reading = &seen
			p.op.Progress["B"] = was
		}, "may have given it"},
		{"its commits may have completed without acks", func(p part) {
			p.op.Leaders = slices.Clone(p.op.Leaders)
			p.op.Leaders[0].Acks, p.op.Leaders[0].Why = 0, "it was last seen without verified semi-sync"
		}, "without verified semi-sync"},
		{"somebody accepted a loss", func(p part) { p.op.AcceptLoss, p.op.By = true, "alice" }, "alice"},
		{"somebody kept what was errant", func(p part) { p.op.KeepErrant, p.op.By = true, "alice" }, "alice"},
		{"the history came from journals", func(p part) { p.op.History.Recovered = true }, "journals"},
		{"the change was a planned one", func(p part) { p.op.Kind = KindPlanned }, "in order"},
		{"its outcome is not on record", func(p part) { p.op.Established = time.Time{} }, "not on record"},
		{"the author's process is not certain to have waited", func(p part) {
			*p.author = func(topology.Leadership, gtid.Set) string { return "it was shut down in order" }
		}, "shut down in order"},
		{"no leader wrote it", func(p part) { *p.set = gtid.Range(gtid.Source{UUID: topologytest.UUID("C")}, 1, 1) }, "no change on record"},
		{"one of two was written by a stranger", func(p part) {
			*p.set = p.set.Union(gtid.Range(gtid.Source{UUID: topologytest.UUID("stranger")}, 1, 1))
		}, "no change on record"},
		{"another server answered at the author's address", func(p part) {
			was := p.op.Known["A"]
			was.UUID = topologytest.UUID("X")
			p.op.Known["A"] = was
		}, "another server"},
		{"the change is not on record", func(p part) { *p.chain = nil }, "no change on record"},
		{"a change between is not on record", func(p part) { (*p.chain)[1].Term = 7 }, "no change on record"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w, op, x := cancelled(t, 1, "A", "B", "C")
			op = reloaded(op)
			author, chain := Author(sure), []Operation{op, w.adopted(1)}
			p := part{op: &chain[0], set: &x, author: &author, chain: &chain}
			row.bend(p)
			v := Acquit(chain, x, author)
			if v.Never || !strings.Contains(strings.Join(v.Why, "\n"), row.says) {
				t.Errorf("%+v does not say %q", v, row.says)
			}
		})
	}
}

// A primary whose change came to nothing, or that restarted, is put back by the next one. What its ackers may have lost until
// then has nothing to do with what it wrote afterwards.
func TestWhatAPrimaryWroteAfterItWasPutBackIsJudgedByTheChangeThatEndedThat(t *testing.T) {
	w := newWorld(1, "A", "B", "C")
	w.snapshot()
	for _, s := range w.all() {
		s.relayLogRecovery = true
		s.crash()
		s.restart()
	}
	in := w.intent()
	in.Wanted = "A"
	back := w.must(t, Emergency(clearance(true), in, w.now()))
	if back.State != StateSucceeded || back.To != "A" {
		t.Fatalf("%s %s: %+v", back.To, back.State, back.Obstacle)
	}
	w.apart = map[[2]topology.Address]bool{{"B", "A"}: true, {"C", "A"}: true}
	w.snapshot()
	x := gtid.Of(w.write("A"))
	w.servers["A"].crash()
	gone := w.must(t, Emergency(clearance(true), w.intent(), w.now()))
	if gone.State != StateSucceeded || gone.To == "A" {
		t.Fatalf("%s %s: %+v", gone.To, gone.State, gone.Obstacle)
	}
	chain := []Operation{reloaded(gone), reloaded(back), w.adopted(1)}
	if v := Acquit(chain, x, sure); !v.Never || v.Term != gone.Term {
		t.Errorf("%+v", v)
	}
	for a, p := range chain[0].Progress {
		p.Frozen = Unknown
		chain[0].Progress[a] = p
	}
	if v := Acquit(chain, x, sure); v.Never {
		t.Errorf("nobody was read when it was replaced: %+v", v)
	}
}

func TestOneOfTwoAckersThatMayHoldItIsTooFewToHaveAnswered(t *testing.T) {
	w, op, x := cancelled(t, 2, "A", "B", "C", "D")
	op = reloaded(op)
	was := op.Progress["B"]
	was.Frozen = Unknown
	op.Progress["B"] = was
	if v := Acquit([]Operation{op, w.adopted(1)}, x, sure); !v.Never {
		t.Errorf("only B can have acknowledged, and 2 acks were needed: %+v", v)
	}
}

// Short lives of small clusters, with every safeguard against loss switched off: changes go on whatever may have escaped
// them. So answered writes do get lost, and the verdict on what turns up later has to know.
func TestWhatWasAnsweredIsNeverSaidNotToHaveBeen(t *testing.T) {
	acquitted := 0
	for n := 0; n < 10 && acquitted == 0; n++ { // a hundred lives seldom have none of which it is certain
		rapid.Check(t, func(t *rapid.T) { acquitted += judge(t) })
	}
	t.Logf("%d acquitted", acquitted)
	if acquitted == 0 {
		t.Error("nothing was ever acquitted: the property says nothing")
	}
}

func judge(t *rapid.T) (acquitted int) {
	l := startLife(t)
	w := l.world
	w.lossAccepted = true
	chain := []Operation{w.adopted(1)}
	for _, s := range w.all() { // once: who changes it between two starts that nobody sees deceives every proof of absence
		s.relayLogRecovery = l.odds(50, "relay_log_recovery")
	}
	for range rapid.IntRange(1, 3).Draw(t, "rounds") {
		l.misfortunes()
		in := w.intent()
		in.AcceptLoss = true
		e := &elector{world: w, name: "elector-1"}
		end, _ := e.run(Emergency(clearance(false), in, w.now()))
		w.concluded(end)
		l.say("%s leads: %s %s", end.To, end.State, l.why(end))
		if !end.Established.IsZero() {
			op := reloaded(end)
			op.AcceptLoss = false // it was the only thing that kept the verdict from being asked
			chain = append([]Operation{op}, chain...)
		}
		w.cut, w.apart = topology.ServerSet{}, map[[2]topology.Address]bool{}
		for _, s := range w.all() {
			s.applier = true
			if !s.up {
				s.restart()
			}
		}
		w.flow()
		acquitted += l.judged(chain)
		l.maybeRepair()
	}
	return acquitted
}

// misfortunes have some servers receive what is written and some not, and those that did lose it again.
func (l *life) misfortunes() {
	w := l.world
	for _, s := range w.all() {
		s.applier = l.odds(50, "applies")
		for _, other := range w.all() {
			if l.odds(30, "apart") {
				w.apart[[2]topology.Address{s.name, other.name}] = true
			}
		}
	}
	w.flow()
	for range rapid.IntRange(1, 3).Draw(l.t, "writes") {
		for _, p := range w.all() {
			if g := w.write(p.name); g.Number > 0 {
				l.say("write %s on %s, answered: %t", g, p.name, w.answered.Has(g))
			}
		}
	}
	for _, s := range w.all() {
		fates := []string{"lives", "lives", "lives", "restarts", "restarts", "cut"}
		if !s.readOnly {
			fates = []string{"dies", "dies", "dies", "dies", "restarts", "cut"}
		}
		switch rapid.SampledFrom(fates).Draw(l.t, "fate") {
		case "dies":
			s.crash()
			l.say("%s dies", s.name)
		case "restarts":
			s.crash()
			s.restart()
			l.say("%s restarts", s.name)
		case "cut":
			w.cut = w.cut.With(s.name)
			l.say("%s is cut off", s.name)
		}
	}
}

// judged claims that nothing is acquitted which a client was told.
func (l *life) judged(chain []Operation) (acquitted int) {
	if len(chain) < 2 {
		return 0
	}
	honoured := chain[0].Decision.Base.Union(chain[0].Decision.Marker().Set())
	for _, s := range l.world.all() {
		errant := s.logged().Union(s.received).Subtract(honoured)
		errant = errant.Only(func(g gtid.Source) bool { return g.UUID != chain[0].Decision.PrimaryUUID })
		if errant.IsEmpty() || s.name == chain[0].To {
			continue
		}
		v := Acquit(chain, errant, l.world.author)
		if v.Never {
			acquitted++
		}
		if lost := errant.Intersect(l.world.answered); v.Never && !lost.IsEmpty() {
			for _, line := range l.trace {
				l.t.Log(line)
			}
			l.t.Fatalf("%s was answered, and is acquitted on %s: %v", lost, s.name, v.Why)
		}
	}
	return acquitted
}

// author knows who wrote what: here only leaders of the process that was established let clients write.
func (w *world) author(led topology.Leadership, part gtid.Set) string {
	for g, by := range w.wrote {
		if part.Has(g) && by != led.Incarnation {
			return "another process wrote " + g.String()
		}
	}
	return ""
}
