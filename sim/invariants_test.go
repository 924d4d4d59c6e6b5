package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// breaks tells whether a world has broken a promise.
func (w *world) breaks(i Invariant) bool {
	return slices.ContainsFunc(w.report.Violations, func(v Violation) bool { return v.Invariant == i })
}

// holding makes a row a part of a server's data, as if it had been completed elsewhere and replicated.
func holding(s *server, row int64, g gtid.GTID) *transaction {
	t := &transaction{row: row}
	s.name(t, g)
	s.register(t)
	s.engine(t)
	return t
}

func TestARowThatAReaderSawAndThatIsGoneIsAVanishedRead(t *testing.T) {
	for name, row := range map[string]struct {
		acks   int
		opened bool
		gone   bool
		broken bool
	}{
		"it is there at the end": {acks: 9},
		"it is gone":             {acks: 9, gone: true, broken: true},
		"it was completed without acknowledgements": {acks: 0, gone: true},
		"its server was opened by hand":             {acks: 9, gone: true, opened: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{})
			p := w.hosts.all[0]
			seen := &transaction{row: 7, gtid: gtid.GTID{UUID: p.uuid, Number: 7}}
			w.judge.completed(p, seen, row.acks)
			if row.opened {
				w.judge.opened = append(w.judge.opened, p.address)
			}
			w.judge.seen(p, 7)
			if !row.gone {
				holding(p, 7, seen.gtid)
			}
			w.judge.atTheEnd()
			if got := w.breaks(NoVanishingRead); got != row.broken {
				t.Errorf("broken: %t; expected %t", got, row.broken)
			}
		})
	}
}

func TestACancelledRowIsBackUnderItsOwnNameOnly(t *testing.T) {
	for name, row := range map[string]struct{ number, cancelled int64 }{
		"the client wrote it again":   {number: 8},
		"the cancelled one is there":  {number: 7, cancelled: 7},
		"both the one and the other ": {number: 8, cancelled: 7},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{})
			p, other := w.hosts.all[0], w.hosts.all[1]
			gone := holding(other, 7, gtid.GTID{UUID: other.uuid, Number: 7})
			w.judge.conduct.cancel(2, gtid.Set{}, gone)
			if row.cancelled > 0 {
				p.engine(gone)
			}
			if row.number != row.cancelled {
				holding(p, 7, gtid.GTID{UUID: p.uuid, Number: row.number})
			}
			w.judge.conduct.atTheEnd(p, nil)
			if got := w.breaks(EverywhereOrGone); got != (row.cancelled > 0) {
				t.Errorf("broken: %t", got)
			}
		})
	}
}

func TestWhoIsAnsweredIsToldOfTheServerThatItAsked(t *testing.T) {
	w := newWorld(1, Options{})
	first, second := w.hosts.all[0], w.hosts.all[1]
	c := &client{world: w, name: "client", server: second.address}
	w.judge.completed(second, &transaction{row: 7, gtid: gtid.GTID{UUID: second.uuid, Number: 1}}, 9)
	w.judge.completed(first, &transaction{row: 7, gtid: gtid.GTID{UUID: first.uuid, Number: 1}}, 0) // a fence lets it go meanwhile
	w.judge.told(c, 7)
	if len(w.report.Violations) > 0 || !w.judge.promised.has(gtid.GTID{UUID: second.uuid, Number: 1}) {
		t.Errorf("%v", w.report.Violations)
	}
}

// TestWhoCompletesIsJudgedAlsoWhereNoClientHearsOfIt has all clients cut off before their answers.
func TestWhoCompletesIsJudgedAlsoWhereNoClientHearsOfIt(t *testing.T) {
	cluster, err := EvenCluster(4, topology.Policy{Kind: topology.PolicySemiSync, Acks: 2})
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		termOfA, termOfB uint32
		acks, wants      int
		opened, local    bool // B
		taken            bool // over by whoever leads under the later term
		broken           bool
	}{
		"two in one term":                            {termOfA: 3, termOfB: 3, acks: 2, wants: 2, broken: true},
		"one of an earlier term":                     {termOfA: 3, termOfB: 2, acks: 2, wants: 2, broken: true},
		"the same, and the later one took it over":   {termOfA: 3, termOfB: 2, acks: 2, wants: 2, taken: true},
		"one of a later term":                        {termOfA: 3, termOfB: 4, acks: 2, wants: 2},
		"it is let go with too few acknowledgements": {termOfA: 3, termOfB: 2, acks: 1, wants: 2},
		"it is let go by poison":                     {termOfA: 3, termOfB: 2, acks: 2, wants: topology.PoisonAcks},
		"somebody opened it":                         {termOfA: 3, termOfB: 2, acks: 2, wants: 2, opened: true},
		"root wrote on it":                           {termOfA: 3, termOfB: 2, acks: 2, wants: 2, local: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{Cluster: &cluster})
			t.Cleanup(w.bury)
			a, b := w.hosts.all[0], w.hosts.all[1]
			a.done.term, b.done.term, b.semi.acks = row.termOfA, row.termOfB, row.wants
			late := &transaction{row: 8, gtid: gtid.GTID{UUID: b.uuid, Number: 1}}
			if row.taken {
				holding(a, 8, late.gtid)
				w.judge.established[row.termOfA] = change{term: row.termOfA, to: a}
			}
			if row.opened {
				w.judge.opened = append(w.judge.opened, b.address)
			}
			if row.local {
				late.row += spareRows
			}
			w.judge.completed(a, &transaction{row: 7, gtid: gtid.GTID{UUID: a.uuid, Number: 1}}, 2)
			w.judge.completed(b, late, row.acks)
			if got := w.breaks(OneCompleter); got != row.broken {
				t.Errorf("broken: %t; expected %t: %v", got, row.broken, w.report.Violations)
			}
		})
	}
}

func TestAnAnswerIsOneAlsoWhereSomebodyOpenedTheServer(t *testing.T) {
	for name, row := range map[string]struct {
		policy topology.Policy
		acks   int
		counts bool
	}{
		"none are wanted":          {policy: topology.Policy{Kind: topology.PolicyNone}, counts: true},
		"enough":                   {policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}, acks: 1, counts: true},
		"it waits for nobody":      {policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}},
		"fewer than are asked for": {policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 2}, acks: 1},
	} {
		cluster, err := EvenCluster(4, row.policy)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(1, Options{Cluster: &cluster})
		s := w.hosts.all[0]
		w.judge.opened = append(w.judge.opened, s.address)
		w.judge.completed(s, &transaction{row: 7, gtid: gtid.GTID{UUID: s.uuid, Number: 1}}, row.acks)
		w.clock.now = time.Second
		w.judge.told(&client{world: w, name: "client", server: s.address}, 7)
		if got := w.judge.answeredAt == time.Second; got != row.counts || len(w.report.Violations) > 0 {
			t.Errorf("%s: %t, %v", name, got, w.report.Violations)
		}
	}
}

// TestATermOfWhichNobodyCanKnowBeginsAnew has A complete writes under a term of which no other server has anything, and the
// store forget it: it is given out again.
func TestATermOfWhichNobodyCanKnowBeginsAnew(t *testing.T) {
	cluster, err := EvenCluster(3, topology.Policy{Kind: topology.PolicyNone})
	if err != nil {
		t.Fatal(err)
	}
	leads := func(w *world, s *server, elector string) {
		d := topology.Decision{Cluster: clusterName, Term: 7, Kind: string(reparent.KindPlanned), Primary: s.address, PrimaryUUID: s.uuid, Elector: elector}.Sealed()
		w.judge.conduct.deciding(s, &d)
		marker := &transaction{decision: &d, gtid: d.Marker().GTID()}
		s.done.add(marker.gtid)
		s.done.term = d.Term
		w.judge.completed(s, marker, 0)
	}
	writes := func(w *world, s *server, row int64) {
		w.judge.completed(s, &transaction{row: row, gtid: gtid.GTID{UUID: s.uuid, Number: row}}, 0)
		w.judge.told(&client{world: w, name: "client", server: s.address}, row)
	}
	for _, row := range []struct {
		name   string
		then   func(w *world, a, b *server)
		broken Invariant
	}{
		{"A lost its data and leads again", func(w *world, a, _ *server) {
			a.wipe()
			a.boot()
			w.clock.runUntil(time.Minute, nil)
			leads(w, a, "two")
			writes(w, a, 8)
		}, ""},
		{"A lost its data and B leads", func(w *world, a, b *server) {
			a.wipe()
			leads(w, b, "two")
			writes(w, b, 8)
		}, ""},
		{"A lost its data, B leads, and another server writes too", func(w *world, a, b *server) {
			a.wipe()
			leads(w, b, "two")
			writes(w, b, 8)
			b.wipe()
			b.boot()
			w.clock.runUntil(time.Minute, nil)
			b.done.term = 7
			writes(w, b, 9)
		}, OneCompleter},
		{"A lost its data and nobody decides again", func(w *world, a, _ *server) {
			a.wipe()
			a.boot()
			w.clock.runUntil(time.Minute, nil)
			a.done.term = 7
			writes(w, a, 8)
		}, OneCompleter},
		{"A shows what was decided, and B leads", func(w *world, _, b *server) {
			leads(w, b, "two")
		}, LeaseObeyed},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(1, Options{Cluster: &cluster, Kinds: []Kind{}})
			t.Cleanup(w.bury)
			a, b := w.hosts.all[0], w.hosts.all[1]
			leads(w, a, "one")
			writes(w, a, 7)
			w.report.Faults = append(w.report.Faults, Fault{Kind: OldStore})
			if row.then(w, a, b); w.broken() != (row.broken != "") || w.broken() && !w.breaks(row.broken) {
				t.Errorf("%v; expected %q", w.report.Violations, row.broken)
			}
			if leads := w.judge.established[7]; row.broken == "" && leads.life != leads.to.life {
				t.Errorf("whoever established term 7 before the data was lost is said to lead")
			}
		})
	}
}

func TestAServerIsNotOpenedWithoutWhatWasPromised(t *testing.T) {
	for name, row := range map[string]struct {
		held   bool
		began  time.Duration // the leadership under which it was answered
		breaks bool
	}{
		"it holds all": {held: true, began: time.Second},
		"it lacks some of a leadership that had begun when the statement was sent": {began: time.Second, breaks: true},
		"it lacks some of one that began before the statement was carried out":     {began: 3 * time.Second},
		"it lacks some of which nobody knows under whom it was answered":           {breaks: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{})
			s, other := w.hosts.all[0], w.hosts.all[1]
			promised := gtid.GTID{UUID: other.uuid, Number: 7}
			w.judge.promised.add(promised)
			if row.held {
				s.done.add(promised)
			}
			if row.began > 0 {
				w.judge.established[6] = change{at: row.began, term: 6, to: other}
				w.judge.completions[writtenRow{7, other.number}] = completedWrite{gtid: promised, server: other.address, uuid: other.uuid, term: 6}
			}
			w.hosts.opening(s, 2*time.Second)
			if got := w.breaks(NothingLost); got != row.breaks {
				t.Errorf("broken: %t", got)
			}
		})
	}
}

func TestWhoeverIsOpenedByAnElectorIsHeldAgainstWhatWasPromised(t *testing.T) {
	for _, verb := range []reparent.Verb{reparent.Open, reparent.Reopen} {
		b := newBench(t, 3, 1)
		f := b.elector("one")
		b.yes(b.one(f, 2, b.candidate(f)))
		var opened []*server
		b.hosts.opening = func(s *server, _ time.Duration) { opened = append(opened, s) }
		b.yes(b.one(f, 2, reparent.Command{Verb: verb, Server: "B", Acks: 1, Incarnation: b.at("B").incarnation}))
		if !slices.Equal(opened, []*server{b.at("B")}) {
			t.Errorf("%s: %d servers were looked at", verb, len(opened))
		}
	}
}

func TestWhatAFrozenServerIsToldToOpenItCarriesOutWhenItGoesOn(t *testing.T) {
	b := newBench(t, 3, 1)
	f := b.elector("one")
	b.yes(b.one(f, 2, b.candidate(f)))
	var sent, since, at time.Duration
	b.hosts.sent = func(_ *fleet, _ topology.Address, verb reparent.Verb, statement int) {
		if verb == reparent.Open && statement == 1 && sent == 0 {
			sent = b.clock.now
			b.at("B").freeze()
		}
	}
	b.hosts.opening = func(_ *server, when time.Duration) { since, at = when, b.clock.now }
	b.must(b.one(f, 2, reparent.Command{Verb: reparent.Open, Server: "B", Acks: 1, Deadline: time.Second}), reparent.Unknown, reparent.ReasonDeadline)
	b.pass(20 * time.Second)
	b.at("B").thaw()
	b.pass(time.Second)
	if b.at("B").readOnly || since != sent || at < sent+20*time.Second {
		t.Errorf("sent at %s, carried out at %s as sent at %s; read_only %t", sent, at, since, b.at("B").readOnly)
	}
}

func TestWhatIsAmissAtTheEndIsSeen(t *testing.T) {
	cluster, err := EvenCluster(3, topology.Policy{Kind: topology.PolicyCrossZone, Acks: 1})
	if err != nil {
		t.Fatal(err)
	}
	cluster.Ruleset.Members[2].Zone = cluster.Ruleset.Members[0].Zone // so that C must not acknowledge
	for name, row := range map[string]struct {
		spoil func(w *world)
		want  string
	}{
		"nothing":                         {func(*world) {}, ""},
		"a primary that follows":          {func(w *world) { w.hosts.all[0].follows("B", false) }, "A: it leads, and receives from B"},
		"a poisoned primary":              {func(w *world) { w.hosts.all[0].setAcks(topology.PoisonAcks) }, "A: it leads, and is poisoned"},
		"a finite timeout":                {func(w *world) { w.hosts.all[0].setTimeout(time.Second) }, "A: it leads, and its commits do not wait for 1 acknowledgements"},
		"a primary without semi-sync":     {func(w *world) { w.hosts.all[0].semi.source = false }, "A: it leads, and its commits do not wait for 1 acknowledgements"},
		"a replica with the source side":  {func(w *world) { w.hosts.all[1].enableSource() }, "B: it is no primary, and the source side of semi-sync is on"},
		"an acker that does not":          {func(w *world) { w.hosts.all[1].channel.receiver.semi = false }, "B: it does not acknowledge"},
		"somebody else who acknowledges":  {func(w *world) { w.hosts.all[2].channel.receiver.semi = true }, "C: it acknowledges, and must not"},
		"a replica whose applier is off":  {func(w *world) { w.hosts.all[2].channel.applier.on = false }, "C: its applier is OFF"},
		"a replica that is not closed":    {func(w *world) { w.hosts.all[2].setSuperReadOnlyOff() }, "C: it is no primary and not closed for writes"},
		"a replica that went offline too": {func(w *world) { w.hosts.all[2].setOffline(true) }, "C: it is offline"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{Cluster: &cluster, Kinds: []Kind{}})
			if w.adopt(); w.broken() {
				t.Fatal(w.report.Violations)
			}
			w.clock.runUntil(w.clock.now+3*time.Second, nil)
			row.spoil(w)
			p := w.hosts.all[0]
			var got string
			for _, s := range w.members() {
				why := w.amissLeading(s)
				if s != p {
					why = w.amissFollowing(s, p)
				}
				if why != "" {
					got += string(s.address) + ": " + why
				}
			}
			if got != row.want {
				t.Errorf("%q; expected %q", got, row.want)
			}
		})
	}
}

func TestEachRepeatMakesTheWindowLonger(t *testing.T) {
	for name, row := range map[string]struct {
		before int // emergency changes before the one that opened the window
		after  time.Duration
		fault  Kind
		broken bool
	}{
		"the first window":                       {after: 9 * time.Second, broken: true},
		"after half of it":                       {after: 11 * time.Second},
		"the second one is longer":               {before: 1, after: 11 * time.Second, broken: true},
		"after half of the second":               {before: 1, after: 21 * time.Second},
		"none is longer than the bound":          {before: 9, after: 31 * time.Second},
		"nor shorter than that":                  {before: 9, after: 29 * time.Second, broken: true},
		"nobody knows what an elector had saved": {before: 1, after: 11 * time.Second, fault: KillElector},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{})
			w.cluster.Antiflap = antiflap.Settings{Window: 20 * time.Second, WindowMax: time.Minute, ProvenAfter: time.Second}
			if row.fault != "" {
				w.report.Faults = []Fault{{Kind: row.fault}}
			}
			last := uint32(row.before + 1)
			for term := uint32(1); term <= last; term++ {
				w.judge.finished[term] = true
				w.judge.established[term] = change{at: time.Second, term: term, kind: reparent.KindEmergency, to: w.hosts.all[0], life: w.hosts.all[0].life}
			}
			w.judge.window(w.judge.established[last], change{at: time.Second + row.after, term: last + 1})
			if got := w.breaks(AntiflapObeyed); got != row.broken {
				t.Errorf("broken: %t", got)
			}
		})
	}
}

func TestNobodyIsAskedToAcceptALossOfWhatWasReached(t *testing.T) {
	for name, row := range map[string]struct {
		holder topology.Reach // what the only server that holds it was to the elector when it asked
		holds  bool
		again  bool // it has looked since, and not judged anew
		breaks bool
	}{
		"who holds it was reached by a look since":        {holder: topology.ReachOK, holds: true, again: true},
		"who holds it was reached":                        {holder: topology.ReachOK, holds: true, breaks: true},
		"who holds it was not reached, and answers since": {holder: topology.ReachRefused, holds: true},
		"nobody holds it":                                 {holder: topology.ReachOK},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{})
			s := w.hosts.all[1]
			lacked := gtid.GTID{UUID: w.hosts.all[0].uuid, Number: 7}
			w.judge.completions[writtenRow{7, 0}] = completedWrite{gtid: lacked, server: "A", uuid: lacked.UUID, acks: 9}
			v := orchestrator.View{Obstacle: &reparent.Obstacle{Code: "below_floor"}}
			v.Snapshot.Servers = []topology.Observation{{Address: s.address, Reach: row.holder}}
			if row.holds {
				s.done.add(lacked)
				v.Snapshot.Servers[0].Executed = gtid.Of(lacked)
			}
			if row.again {
				w.judge.conduct.missed("elector-1", &v)
				v.Snapshot.At = epoch.Add(time.Minute)
			}
			w.clock.now = time.Minute
			w.judge.conduct.missed("elector-1", &v)
			if got := w.breaks(Progress); got != row.breaks {
				t.Errorf("broken: %t", got)
			}
		})
	}
}

func TestAnEarlierTermsSessionStaysOutAlsoWhenTheLaterOneIsGone(t *testing.T) {
	type visit struct {
		s            *server
		older, newer *guest
	}
	comes := func(s *server, term uint32) *guest {
		g := &guest{server: s, life: s.life, who: accountPrimacy, says: announcement{cluster: clusterName, term: term}, entered: s.looks, wire: &wire{pipe: &pipe{}}}
		s.guests = append(s.guests, g)
		return g
	}
	looks := func(g *guest) { g.server.looks++; g.looked = g.server.looks }
	passes := func(g *guest) { g.passed = true; g.server.letThrough(g) }
	leaves := func(g *guest) {
		g.server.guests = slices.DeleteFunc(g.server.guests, func(o *guest) bool { return o == g })
	}
	through := func(v *visit, term uint32) { v.newer = comes(v.s, term); looks(v.newer); passes(v.newer) }
	for name, row := range map[string]struct {
		then   func(*visit)
		broken bool
	}{
		"it acts still":              {func(v *visit) { through(v, 6) }, true},
		"it is gone":                 {func(v *visit) { through(v, 6); leaves(v.newer) }, true},
		"one of a yet later one too": {func(v *visit) { through(v, 7); leaves(v.newer); through(v, 6); leaves(v.newer) }, true},
		"its last look is answered when it is gone": {func(v *visit) { v.newer = comes(v.s, 6); looks(v.newer); leaves(v.newer); passes(v.newer) }, true},
		"nobody came":              {func(*visit) {}, false},
		"it is of an earlier term": {func(v *visit) { through(v, 4) }, false},
		"it has not come through":  {func(v *visit) { v.newer = comes(v.s, 6); looks(v.newer) }, false},
		"it was gone before":       {func(v *visit) { leaves(v.older); through(v, 6); leaves(v.newer); v.older = comes(v.s, 5) }, false},
		"it looked and was gone before, and its answer comes now": {func(v *visit) {
			leaves(v.older)
			v.newer = comes(v.s, 6)
			looks(v.newer)
			leaves(v.newer)
			v.older = comes(v.s, 5)
			passes(v.newer)
		}, false},
		"a later one was gone before, and another came since": {func(v *visit) {
			leaves(v.older)
			through(v, 7)
			leaves(v.newer)
			v.older = comes(v.s, 5)
			through(v, 6)
			leaves(v.newer)
		}, true},
		"the server has started again": {func(v *visit) { through(v, 6); v.s.kill(); v.s.begin(); v.older = comes(v.s, 5) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{})
			t.Cleanup(w.bury)
			v := &visit{s: w.hosts.all[0]}
			v.older = comes(v.s, 5)
			looks(v.older)
			passes(v.older)
			row.then(v)
			w.judge.conduct.changing(v.older)
			if got := w.breaks(FencedStaysOut); got != row.broken {
				t.Errorf("broken: %t; expected %t", got, row.broken)
			}
		})
	}
}

// TestWhoComesWhenALaterTermIsGoneAndLeftNoMarkerIsLetIn is why no more is claimed: nothing on the server tells of that term.
func TestWhoComesWhenALaterTermIsGoneAndLeftNoMarkerIsLetIn(t *testing.T) {
	b := newBench(t, 3, 1)
	one, two := b.elector("one"), b.elector("two")
	b.yes(b.one(two, 6, antidote))
	two.process.kill()
	two.close()
	b.pass(10 * time.Millisecond)
	b.yes(b.one(one, 5, antidote))
}

func TestWhatIsOpenIsReadAlsoWhereCommitsHangAndNobodyIsAnswered(t *testing.T) {
	for name, row := range map[string]struct {
		then        func(*server)
		read, stays bool
	}{
		"it vanishes":          {func(*server) {}, true, false},
		"it stays":             {func(*server) {}, true, true},
		"the server is closed": {func(s *server) { s.readOnly = true }, false, false},
		"clients are cut off":  {func(s *server) { s.setOffline(true) }, false, false},
		"it stands still":      {func(s *server) { s.freeze() }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{Kinds: []Kind{}})
			t.Cleanup(w.bury)
			for _, c := range w.clients {
				c.process.kill()
				c.rows = 3
			}
			p := w.hosts.all[0]
			var seen []*transaction
			for i, c := range w.clients {
				seen = append(seen, holding(p, c.base+2, gtid.GTID{UUID: p.uuid, Number: int64(1 + i)}))
			}
			row.then(p)
			w.reader.look()
			if got := len(w.judge.read) > 0; got != row.read {
				t.Fatalf("read: %t", got)
			}
			p.state, p.readOnly, p.offline = processUp, false, false
			if !row.stays {
				p.done = history{}
				for _, x := range seen {
					delete(w.hosts.rows, x.row)
				}
			}
			w.judge.atTheEnd()
			if got := w.breaks(NoVanishingRead); got != (row.read && !row.stays) {
				t.Errorf("broken: %t: %v", got, w.report.Violations)
			}
		})
	}
}

func TestTheReaderLooksAboutOnceASecondAndMissesWhatWasPromised(t *testing.T) {
	w := newWorld(1, Options{Kinds: []Kind{}})
	t.Cleanup(w.bury)
	looks := 0
	for w.clock.now < time.Minute {
		before := w.reader.next
		w.clock.runUntil(w.clock.now+10*time.Millisecond, w.passes)
		if w.reader.next != before {
			looks++
		}
	}
	if looks < 45 || looks > 80 || w.broken() {
		t.Fatalf("%d looks in a minute, %v", looks, w.report.Violations)
	}
	p, c := w.primary(), w.clients[0]
	for _, c := range w.clients {
		c.process.kill()
	}
	c.rows++
	w.judge.completed(p, &transaction{row: c.base + c.rows, gtid: gtid.GTID{UUID: p.uuid, Number: 1 << 40}}, 9)
	w.judge.told(&client{world: w, name: "client", server: p.address}, c.base+c.rows)
	for range 20 { // it reads what any client wrote
		w.reader.look()
	}
	if !w.breaks(NoVanishingRead) {
		t.Errorf("%v", w.report.Violations)
	}
}

func TestARowThatWasRefusedEachTimeIsNowhere(t *testing.T) {
	told := func(c *client, err error, heard, again bool) {
		c.again = again
		c.note(c.base+1, err, heard)
	}
	for name, row := range map[string]struct {
		attempts func(c *client)
		broken   bool
	}{
		"refused":                        {func(c *client) { told(c, errReadOnlyOption, true, false) }, true},
		"refused twice":                  {func(c *client) { told(c, errReadOnlyOption, true, true); told(c, errLockWaitTimeout, true, false) }, true},
		"refused, and then answered":     {func(c *client) { told(c, errReadOnlyOption, true, true); told(c, nil, true, false) }, false},
		"nothing heard, and refused":     {func(c *client) { told(c, nil, false, true); told(c, errReadOnlyOption, true, false) }, false},
		"refused, and nothing heard":     {func(c *client) { told(c, errReadOnlyOption, true, true); told(c, nil, false, false) }, false},
		"its connection broke":           {func(c *client) { told(c, errConnReset, true, false) }, false},
		"refused, and it is tried again": {func(c *client) { told(c, errReadOnlyOption, true, true) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{Kinds: []Kind{}})
			t.Cleanup(w.bury)
			c, p := w.clients[0], w.hosts.all[0]
			row.attempts(c)
			holding(p, c.base+1, gtid.GTID{UUID: p.uuid, Number: 1})
			w.judge.nowhere(w.members())
			if got := w.breaks(EverywhereOrGone); got != row.broken {
				t.Errorf("broken: %t: %v", got, w.report.Violations)
			}
		})
	}
}

func TestWhatClientsHeardAddsUpToWhatTheyWrote(t *testing.T) {
	refused, unknown := 0, 0
	for seed := range uint64(20) {
		r := Live(seed, Options{})
		refused, unknown = refused+r.Refused, unknown+r.Unknown
		if r.Answered+r.Refused+r.Unknown != r.Writes || r.Unknown < 0 {
			t.Errorf("seed %d: %d answered, %d refused, %d unknown, %d writes", seed, r.Answered, r.Refused, r.Unknown, r.Writes)
		}
	}
	if refused == 0 || unknown == 0 {
		t.Errorf("%d refused, %d unknown", refused, unknown)
	}
}
