package orchestrator

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// lostByAckers has the replicas say that they have lost the primary, which to an elector that does not reach it either
// makes it dead.
func lostByAckers(w *town) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.servers = slices.Clone(w.servers)
	for i := range w.servers {
		if r := w.servers[i].Replication; r != nil {
			lost := *r
			lost.Receiver, lost.ReceiverErrno = topology.ThreadConnecting, 2003
			w.servers[i].Replication = &lost
		}
	}
}

func (w *town) begunChanges() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.changes)
}

// TestAPrimaryThatAnotherElectorReachesIsNotReplaced has one not reach it, and its replicas have lost it.
func TestAPrimaryThatAnotherElectorReachesIsNotReplacedButHandedOver(t *testing.T) {
	inTown(t, 4, func(t *testing.T, w *town) {
		one, two := w.join("one"), w.join("two")
		pass(10 * time.Second)
		w.misses(one, "A")
		lostByAckers(w)
		pass(1500 * time.Millisecond)
		told := 0
		for _, v := range one.Clusters() {
			if v.Leading && slices.ContainsFunc(v.Snapshot.Words, func(w topology.Word) bool { return w.Elector == "two" && w.Server == "A" && w.Reach.OK() }) {
				told++
			}
		}
		if told != 2 {
			t.Errorf("of %d clusters it was heard in time that the other reaches the primary", told)
		}
		pass(15 * time.Second)
		if got := w.spread(); got["two"] != 4 {
			t.Errorf("the clusters are spread as %v", got)
		}
		if n := w.begunChanges(); n != 0 {
			t.Errorf("%d changes were begun", n)
		}
		one.stop()
		two.stop()
	})
}

func TestAPrimaryThatNobodyReachesIsReplacedAsSoonAsByOneElectorAlone(t *testing.T) {
	begun := func(electors ...string) (after time.Duration) {
		inTown(t, 2, func(t *testing.T, w *town) {
			var all []elector
			for _, name := range electors {
				all = append(all, w.join(name))
			}
			pass(10 * time.Second)
			for _, e := range all {
				w.misses(e, "A")
			}
			lostByAckers(w)
			for w.begunChanges() < 2 && after < time.Minute {
				pass(100 * time.Millisecond)
				after += 100 * time.Millisecond
			}
			for _, e := range all {
				e.stop()
			}
		})
		return after
	}
	alone, together := begun("one"), begun("one", "two")
	if alone > 10*time.Second || together > alone {
		t.Errorf("alone it takes %s, together %s", alone, together)
	}
}

// TestOneThatSeesAgainHasItsShareBackAfterAWhile follows one that was blind for a moment.
// TestWhatIsAskedLastStandsHoweverLongItTakesToTellIt has two clusters of one elector ask others to act in the same moment, and
// the first come to tell it after the second.
func TestWhatIsAskedLastStandsHoweverLongItTakesToTellIt(t *testing.T) {
	inTown(t, 2, func(t *testing.T, w *town) {
		one := w.join("one")
		pass(10 * time.Second)
		w.change(func() { one.man.lingers = time.Second })
		go one.sharing.ask(w.names[0], "for a reason")
		pass(100 * time.Millisecond)
		one.sharing.ask(w.names[1], "for another")
		pass(2 * time.Second)
		var told unfit
		w.change(func() {
			if err := json.Unmarshal(one.man.says[unfitSubject], &told); err != nil {
				t.Error(err)
			}
		})
		if len(told.Clusters) != 2 {
			t.Errorf("others hear that they are asked to act for %v", told.Clusters)
		}
		one.stop()
	})
}

func TestOneThatSeesAgainHasItsShareBackAfterAWhile(t *testing.T) {
	inTown(t, 4, func(t *testing.T, w *town) {
		one, two := w.join("one"), w.join("two")
		pass(10 * time.Second)
		w.misses(one, "A")
		pass(15 * time.Second)
		if got := w.spread(); got["two"] != 4 {
			t.Fatalf("the clusters are spread as %v", got)
		}
		w.misses(one)
		pass(sightMin - time.Second)
		if got := w.spread(); got["two"] != 4 {
			t.Errorf("too soon the clusters are spread as %v", got)
		}
		pass(tenureMin)
		if got := w.spread(); got["one"] != 2 {
			t.Errorf("at last the clusters are spread as %v", got)
		}
		pass(10 * time.Second)
		writes, announced := w.writes, w.announced()
		pass(10 * time.Minute)
		if w.writes != writes || w.announced() != announced {
			t.Errorf("%d writes and %d announcements when all is well again", w.writes-writes, w.announced()-announced)
		}
		one.stop()
		two.stop()
	})
}

// TestOfTwoThatDoNotReachThePrimaryTheOneThatReachesMoreActs since neither can do anything with the server that it reaches.
func TestOfTwoThatDoNotReachThePrimaryTheOneThatReachesMoreActs(t *testing.T) {
	for _, row := range []struct {
		name         string
		one, two     []topology.Address
		byOne, byTwo int
	}{
		{"two reaches more", []topology.Address{"A", "B", "C"}, []topology.Address{"A"}, 0, 4},
		{"neither reaches anything", []topology.Address{"A", "B", "C"}, []topology.Address{"A", "B", "C"}, 2, 2},
		{"one reaches more", []topology.Address{"A"}, []topology.Address{"A", "B", "C"}, 4, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			inTown(t, 4, func(t *testing.T, w *town) {
				one, two := w.join("one", manual), w.join("two", manual)
				pass(10 * time.Second)
				w.misses(one, row.one...)
				w.misses(two, row.two...)
				pass(15 * time.Second)
				if got := w.spread(); got["one"] != row.byOne || got["two"] != row.byTwo {
					t.Errorf("the clusters are spread as %v", got)
				}
				one.stop()
				two.stop()
			})
		})
	}
}

// manual keeps electors from changing anything by themselves.
func manual(s *Settings) { s.Automation = false }

func TestAnAnswerCountsFromWhenItsQuestionWasAsked(t *testing.T) {
	noon := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	q := question{number: 7, at: noon.Add(time.Second), before: noon}
	for number, want := range map[uint64]time.Time{7: q.at, 6: q.before} {
		if at, valid := q.asked(number); !valid || at != want {
			t.Errorf("question %d was asked at %s, %t", number, at, valid)
		}
	}
	for _, number := range []uint64{5, 8} {
		if at, valid := q.asked(number); valid {
			t.Errorf("question %d was asked at %s", number, at)
		}
	}
	if _, valid := (question{number: 1, at: noon}).asked(0); valid {
		t.Error("there was no question before the first one")
	}
}

func TestWhoIsAskedAnswersByALookThatBeganLater(t *testing.T) {
	d := wantedElsewhere(t, topologytest.Cluster("A", "B", "C").Acks(1))
	s := d.o.sharing
	s.talk.inquiries["shop"] = inquiry{session: "01", number: 3, heard: d.now}
	s.answer("shop", round{began: d.now.Add(-time.Millisecond), servers: d.servers})
	if len(s.talk.answers) != 0 {
		t.Errorf("an old look was an answer: %v", s.talk.answers)
	}
	s.answer("shop", round{began: d.now.Add(time.Millisecond), servers: d.servers})
	if a := s.talk.answers["shop"]; a.To != "01" || a.Number != 3 || !a.Reach["B"].OK() {
		t.Errorf("the answer is %+v", a)
	}
}
