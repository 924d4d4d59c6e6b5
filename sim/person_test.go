package sim

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// peace is a world whose primary was adopted, without faults.
func peace(t *testing.T) *world {
	w := newWorld(1, Options{Kinds: []Kind{}, Electors: 1})
	t.Cleanup(w.bury)
	w.clock.runUntil(10*time.Second, nil)
	if p := w.primary(); p == nil || !w.leads(p) {
		t.Fatal("nobody leads")
	}
	return w
}

func TestAServerThatBeganToLeadWhileItWasAboutToBeRebuiltKeepsItsData(t *testing.T) {
	w := peace(t)
	chosen, other := w.primary(), w.hosts.all[2]
	before := chosen.uuid
	e := w.electors[0]
	view := e.view()
	chosen.readOnly = true // as it was when the operator made up his mind
	w.person.process.spawn(func() { w.person.overwrite(chosen, other, always) })
	w.clock.runUntil(w.clock.now+time.Millisecond, nil)
	chosen.readOnly = false
	w.clock.runUntil(w.clock.now+10*time.Second, nil)
	if chosen.uuid != before || view.Primary != chosen.address {
		t.Error("the data of the server that leads was replaced")
	}
}

func TestMaintenanceDoesNotEndWhileAServerIsBeingRebuilt(t *testing.T) {
	w := peace(t)
	s, e := w.hosts.all[2], w.electors[0]
	out := func() bool { _, out := e.view().Maintenance[s.address]; return out }
	w.person.process.spawn(func() { w.person.clone(e, s, w.primary()) })
	w.clock.runUntil(w.clock.now+time.Second, out)
	w.takeBack(s.address) // as another operator does who is done with it
	before := s.uuid
	w.clock.runUntil(w.clock.now+10*time.Second, func() bool { return s.uuid != before })
	if s.uuid == before || !out() {
		t.Errorf("rebuilt: %t, and out of candidacy until then: %t", s.uuid != before, out())
	}
	w.clock.runUntil(w.clock.now+10*time.Second, func() bool { return !out() })
	if out() {
		t.Error("it stays out of candidacy")
	}
}

func TestWhereNothingIsOnRecordAndNobodyIsWritableTheOperatorDecidesWhoLeads(t *testing.T) {
	w := peace(t)
	w.mended = true
	w.store.empty()
	for _, s := range w.hosts.all {
		s.wipe()
		s.boot()
	}
	w.judge.promised = history{} // all copies at once: nobody promised to survive that
	w.clock.runUntil(w.clock.now+90*time.Second, func() bool { return w.primary() != nil && w.electors[0].view().Primary != "" })
	if p := w.primary(); p == nil || w.electors[0].view().Primary != p.address {
		t.Errorf("after a minute and a half: %s", w.state())
	}
}

func TestWhereNothingIsOnRecordAndTwoAreWritableTheOperatorClosesTheOneThatClientsDoNotWriteTo(t *testing.T) {
	w := peace(t)
	w.mended = true
	w.store.empty()
	w.electors[0].kill() // who would know who led
	for _, s := range w.hosts.all {
		s.wipe()
		s.boot()
	}
	w.electors[0].restart()
	w.judge.promised = history{} // all copies at once: nobody promised to survive that
	right, other := w.hosts.all[1], w.hosts.all[2]
	w.clock.runUntil(w.clock.now+10*time.Second, func() bool { return right.state == processUp && other.state == processUp })
	for _, s := range []*server{right, other} {
		w.judge.opened = append(w.judge.opened, s.address)
		s.setReadOnlyOff()
	}
	for n := range 300 { // more than clients write to the other one meanwhile
		holding(right, spareRows+int64(n), gtid.GTID{UUID: right.uuid, Number: 1000 + int64(n)})
	}
	w.clock.runUntil(w.clock.now+90*time.Second, func() bool { return w.electors[0].view().Primary == right.address })
	if a := w.electors[0].view().Primary; a != right.address || !other.readOnly {
		t.Errorf("%s leads, and %s is closed: %t; %s", a, other.address, other.readOnly, w.state())
	}
}

func TestWhoLendsItsDataHoldsWhatReadersSawAndNotOnlyWhatWasPromised(t *testing.T) {
	w := peace(t)
	last := w.hosts.all[len(w.hosts.all)-1]
	row := w.clients[0].base + 1000
	saw := holding(last, row, gtid.GTID{UUID: w.primary().uuid, Number: 1000})
	if donor := w.richest(); donor == nil || donor == last {
		t.Errorf("nobody has seen it, and %v lends what it holds beside what was promised", donor)
	}
	w.judge.read = append(w.judge.read, row)
	if donor := w.richest(); donor != last {
		t.Errorf("readers saw %s, which %s lacks", saw.gtid, donor.address)
	}
}

// TestTheOperatorAttachesNobodyThatIsNotCloned has an elector restart meanwhile: it knows of no primary until it has read the
// store, as one does before anything was adopted.
func TestTheOperatorAttachesNobodyThatIsNotCloned(t *testing.T) {
	w := peace(t)
	donor, s, e := w.primary(), w.hosts.all[2], w.electors[0]
	latest := w.hosts.all[1]
	ended := false
	w.person.process.spawn(func() { w.person.clone(e, s, donor); ended = true })
	w.clock.runUntil(w.clock.now+5*time.Second, func() bool { _, out := e.view().Maintenance[s.address]; return out })
	e.kill()
	w.store.stop(true)
	e.restart()
	w.byHand(s, s.attach(latest.address)) // as a change did that was made meanwhile
	donor.kill()
	before := s.uuid
	w.boot(donor)
	w.clock.runUntil(w.clock.now+20*time.Second, func() bool { return ended })
	if !ended || s.uuid != before || e.view().Primary != "" {
		t.Fatalf("ended: %t, its data was replaced: %t, and %q leads", ended, s.uuid != before, e.view().Primary)
	}
	w.clock.runUntil(w.clock.now+time.Second, nil)
	if s.channel.source != latest.address {
		t.Errorf("%s follows %s, from which it was to be cloned", s.address, s.channel.source)
	}
}

// TestTheOperatorStartsTheApplierOfWhoeverHoldsTheLatestTerm has a replica hold what it received and does not apply.
func TestTheOperatorStartsTheApplierOfWhoeverHoldsTheLatestTerm(t *testing.T) {
	w := peace(t)
	donor, s := w.primary(), w.hosts.all[2]
	told := &reparent.Obstacle{Code: "no_candidate", Remedy: "START REPLICA SQL_THREAD on C"}
	if idle := w.idleAs(donor, told); idle != nil {
		t.Fatalf("%s applies", idle.address)
	}
	s.channel.applier.on = false
	s.channel.relay.push(&transaction{gtid: gtid.GTID{UUID: donor.uuid, Number: 5000}})
	s.channel.got.add(gtid.GTID{UUID: donor.uuid, Number: 5000})
	if idle := w.idleAs(donor, told); idle != s {
		t.Errorf("%v", idle)
	}
	if idle := w.idleAs(donor, &reparent.Obstacle{Code: "no_candidate"}); idle != nil {
		t.Errorf("nobody is told to start the applier of %s", idle.address)
	}
	w.judge.promised, donor.done = history{}, history{}
	if idle := w.idleAs(donor, told); idle != nil {
		t.Errorf("%s holds another term", idle.address)
	}
}

func TestWhatIsPromisedIsNotClonedAwayFromAServerThatExecutedIt(t *testing.T) {
	w := peace(t)
	donor, s := w.primary(), w.hosts.all[2]
	if !w.replaces(donor, s) {
		t.Fatal("all that is promised is held by both")
	}
	promised := gtid.GTID{UUID: donor.uuid, Number: 5000}
	w.judge.promised.add(promised)
	holding(s, spareRows, promised)
	if w.replaces(donor, s) {
		t.Errorf("%s would lose %s, which %s has not executed", s.address, promised, donor.address)
	}
	holding(donor, spareRows, promised)
	if !w.replaces(donor, s) {
		t.Errorf("%s has executed %s as well", donor.address, promised)
	}
}

// TestTheLastCopyOfWhatIsPromisedIsNotOverwritten has C acknowledge what another primary completed while C is being rebuilt from
// one that was replaced meanwhile.
func TestTheLastCopyOfWhatIsPromisedIsNotOverwritten(t *testing.T) {
	cluster, err := EvenCluster(3, topology.Policy{Kind: topology.PolicySemiSync, Acks: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		lost     bool // the other copy
		held     bool // by the donor as well
		read     bool // another one, that nobody was told of
		replaced bool
	}{
		"another server holds it":                           {replaced: true},
		"the other copy is lost":                            {lost: true},
		"the other copy is lost, and the donor has one":     {lost: true, held: true, replaced: true},
		"the donor has one, and not of what a reader saw":   {lost: true, held: true, read: true},
		"another server holds all of it, the donor nothing": {read: true, replaced: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{Cluster: &cluster, Kinds: []Kind{}, Electors: 1})
			t.Cleanup(w.bury)
			w.clock.runUntil(10*time.Second, nil)
			donor, other, s := w.hosts.all[0], w.hosts.all[1], w.hosts.all[2]
			promised := gtid.GTID{UUID: other.uuid, Number: 7}
			w.judge.promised.add(promised)
			holding(s, spareRows, promised)
			if row.held {
				holding(donor, spareRows, promised)
			}
			if row.read {
				seen := holding(s, 7, gtid.GTID{UUID: other.uuid, Number: 8})
				w.judge.read = append(w.judge.read, seen.row)
			}
			if row.lost {
				w.damaged = []damage{{other, gtid.Of(promised)}}
			}
			before := s.uuid
			w.person.process.spawn(func() { w.person.clone(w.electors[0], s, donor) })
			w.clock.runUntil(w.clock.now+10*time.Second, nil)
			if s.uuid == before == row.replaced {
				t.Errorf("replaced: %t", s.uuid != before)
			}
		})
	}
}

// TestWhomTheOperatorMakesWritableBeginsTermZeroAnew has A complete a write before anybody was adopted, and all that is known of
// it be lost. What B, made writable, completes before its adoption is told to a client after that.
func TestWhomTheOperatorMakesWritableBeginsTermZeroAnew(t *testing.T) {
	cluster, err := EvenCluster(3, topology.Policy{Kind: topology.PolicyNone})
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		chosen, other bool
		broken        Invariant
	}{
		"only B, by the operator":       {chosen: true},
		"only B, and nobody asked it":   {broken: OneCompleter},
		"another server writes as well": {chosen: true, other: true, broken: OneCompleter},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{Cluster: &cluster, Kinds: []Kind{}, Electors: 1})
			t.Cleanup(w.bury)
			writes := func(s *server, row int64) (heard func()) {
				w.judge.completed(s, &transaction{row: row, gtid: gtid.GTID{UUID: s.uuid, Number: row}}, 0)
				return func() { w.judge.told(&client{world: w, name: "client", server: s.address}, row) }
			}
			a, b, c := w.hosts.all[0], w.hosts.all[1], w.hosts.all[2]
			writes(a, 7)()
			if row.chosen {
				w.person.makeWritable(b)
			}
			heard := writes(b, 8)
			d := topology.Decision{Cluster: clusterName, Term: 1, Kind: string(reparent.KindAdoption), Primary: b.address, PrimaryUUID: b.uuid}.Sealed()
			w.judge.completed(b, &transaction{decision: &d, gtid: d.Marker().GTID()}, 0)
			heard()
			if row.other {
				writes(c, 9)()
			}
			if got := w.report.Violations; (row.broken == "") != (len(got) == 0) || len(got) > 0 && got[0].Invariant != row.broken {
				t.Errorf("%v", got)
			}
		})
	}
}

// TestAServerIsNotRebuiltFromWhoeverWasReplacedMeanwhile has the donor's disk be full while another server is made the primary.
func TestAServerIsNotRebuiltFromWhoeverWasReplacedMeanwhile(t *testing.T) {
	for name, replaced := range map[string]bool{"it leads still": false, "another one leads": true} {
		t.Run(name, func(t *testing.T) {
			w := peace(t)
			s, donor := w.hosts.all[2], w.primary()
			if replaced {
				donor = w.hosts.all[1]
			}
			if s == w.primary() || donor == s || replaced && donor == w.primary() {
				t.Fatal("not the roles this test is about")
			}
			if got := w.succeeded(donor); got != replaced {
				t.Errorf("succeeded: %t", got)
			}
			before := s.uuid
			w.person.process.spawn(func() { w.person.overwrite(s, donor, func() bool { return !w.succeeded(donor) }) })
			w.clock.runUntil(w.clock.now+10*time.Second, nil)
			if s.uuid == before != replaced {
				t.Errorf("rebuilt: %t", s.uuid != before)
			}
		})
	}
}

// TestACloneThatTheOperatorGaveUpReplacesNothing has the donor's disk be stuck for longer than the operator waits.
func TestACloneThatTheOperatorGaveUpReplacesNothing(t *testing.T) {
	w := peace(t)
	s, donor := w.hosts.all[2], w.hosts.all[1]
	before := s.uuid
	w.person.process.spawn(func() { w.person.overwrite(s, donor, always) })
	donor.fillDisk()
	w.clock.runUntil(w.clock.now+25*time.Second, nil)
	donor.healDisk()
	w.clock.runUntil(w.clock.now+10*time.Second, nil)
	if s.uuid != before {
		t.Error("its data was replaced by a clone that nobody waited for")
	}
}
