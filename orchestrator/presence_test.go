package orchestrator

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// inTown lets a story take place in a time of its own, in which 30 seconds take none.
func inTown(t *testing.T, clusters int, story func(*testing.T, *town)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { story(t, townOf(t, clusters)) })
}

// pass lets time pass, and all that is to happen in it.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestElectorsThatStartTogetherBeginWithTheirSharesAndMoveNothing(t *testing.T) {
	inTown(t, 20, func(t *testing.T, w *town) {
		one := w.join("one")
		pass(peersAfter / 2)
		if n := w.taken(); n != 0 {
			t.Errorf("one has taken %d clusters before others could show up", n)
		}
		two, three := w.join("two"), w.join("three")
		pass(time.Minute)
		if got := w.spread(); got["one"]+got["two"]+got["three"] != 20 || slices.Max(slices.Collect(maps.Values(got))) != 7 {
			t.Errorf("the clusters are spread as %v", got)
		}
		if n := w.taken(); n != 20 {
			t.Errorf("%d locks were taken for 20 clusters", n)
		}
		for _, e := range []elector{one, two, three} {
			e.stop()
		}
	})
}

func TestAnElectorThatStaysAloneTakesEverything(t *testing.T) {
	inTown(t, 5, func(t *testing.T, w *town) {
		one := w.join("one")
		pass(peersAfter + time.Second)
		if got := w.spread(); got["one"] != 5 {
			t.Errorf("after a second alone: %v", got)
		}
		one.stop()
	})
}

// TestOneWhoJoinsIsHandedItsShareOnceTheOthersHaveHadTheirTenure and nobody's cluster is moved more than once.
func TestOneWhoJoinsIsHandedItsShareOnceTheOthersHaveHadTheirTenure(t *testing.T) {
	inTown(t, 30, func(t *testing.T, w *town) {
		one, two := w.join("one"), w.join("two")
		pass(10 * time.Second)
		before := w.owners()
		three := w.join("three")
		pass(tenureMin - 15*time.Second)
		if !maps.Equal(w.owners(), before) {
			t.Error("clusters changed hands before their tenure was over")
		}
		pass(30 * time.Second)
		if got := w.spread(); got["one"] != 10 || got["two"] != 10 || got["three"] != 10 {
			t.Errorf("the clusters are spread as %v", got)
		}
		if n := w.taken(); n != 40 {
			t.Errorf("%d locks were taken, 30 at first and 10 by the third", n)
		}
		settled := w.owners()
		pass(5 * time.Minute)
		if !maps.Equal(w.owners(), settled) {
			t.Error("clusters change hands for nothing")
		}
		for _, e := range []elector{one, two, three} {
			e.stop()
		}
	})
}

func TestWhoLeavesIsReplacedAtOnceAndNothingElseMoves(t *testing.T) {
	inTown(t, 30, func(t *testing.T, w *town) {
		one, two, three := w.join("one"), w.join("two"), w.join("three")
		pass(10 * time.Second)
		before := w.owners()
		three.stop()
		pass(time.Second / 10)
		if got := w.spread(); got["one"] != 15 || got["two"] != 15 {
			t.Errorf("a moment after the third left: %v", got)
		}
		for name, session := range w.owners() {
			if before[name] != three.man.session && before[name] != session {
				t.Errorf("%s was moved though its elector lives", name)
			}
		}
		one.stop()
		two.stop()
	})
}

// TestWhatOneThatStopsGivesBackIsTakenWhileItStillLives since it may take a while until it has closed everything.
func TestWhatOneThatStopsGivesBackIsTakenWhileItStillLives(t *testing.T) {
	inTown(t, 30, func(t *testing.T, w *town) {
		one, two, three := w.join("one"), w.join("two"), w.join("three")
		pass(10 * time.Second)
		three.leave()
		pass(time.Second / 10)
		if got := w.spread(); got["one"] != 15 || got["two"] != 15 {
			t.Errorf("a moment after the third gave its locks back: %v", got)
		}
		for _, e := range []elector{one, two, three} {
			e.stop()
		}
	})
}

// TestOneWhoJoinsWhereOthersActTakesWhatIsFreeAtOnce has one leave in the moment in which another comes.
func TestOneWhoJoinsWhereOthersActTakesWhatIsFreeAtOnce(t *testing.T) {
	inTown(t, 20, func(t *testing.T, w *town) {
		one, two := w.join("one"), w.join("two")
		pass(10 * time.Second)
		three := w.join("three")
		pass(50 * time.Millisecond)
		two.stop()
		pass(50 * time.Millisecond)
		if got := w.spread(); got["one"] != 10 || got["three"] != 10 {
			t.Errorf("the clusters are spread as %v", got)
		}
		one.stop()
		three.stop()
	})
}

// texts is all that an elector has told.
func texts(e elector) string {
	events, cancel := e.Events().Listen(1)
	defer cancel()
	var all strings.Builder
	for len(events) > 0 {
		one := <-events
		all.WriteString(one.Text + "\n")
	}
	return all.String()
}

// TestOneThatLosesItsSessionComesBackToWhatItHad since nobody else had room for it yet.
func TestOneThatLosesItsSessionComesBackAsOneElectorAndNotAsTwo(t *testing.T) {
	inTown(t, 30, func(t *testing.T, w *town) {
		one, two := w.join("one"), w.join("two")
		pass(10 * time.Second)
		pass(tenureMin)
		before, old := w.owners(), *two.man
		w.change(func() { w.present[old.session] = &old }) // its old session lingers
		w.begin(two.man)
		pass(2 * sameNameAfter)
		if !maps.Equal(w.owners(), before) {
			t.Error("clusters were moved while its old session was not over")
		}
		if said := texts(two); strings.Contains(said, "is called two too") {
			t.Error("it takes itself for another")
		}
		w.end(old.session)
		pass(time.Second)
		if got := w.spread(); got["one"] != 15 || got["two"] != 15 {
			t.Errorf("the clusters are spread as %v", got)
		}
		one.stop()
		two.stop()
	})
}

func TestAnotherStandsInForOneThatLivesAndDoesNotTakeWhatIsItsOwn(t *testing.T) {
	inTown(t, 10, func(t *testing.T, w *town) {
		one := w.join("one")
		two := w.join("two")
		w.change(func() { two.man.refuses = true })
		pass(2 * time.Second)
		if got := w.spread(); got["one"] != 5 {
			t.Errorf("at first: %v", got)
		}
		pass(standInAfter)
		for range 3 {
			if got := w.spread(); got["one"] != 10 {
				t.Errorf("after a while: %v", got)
			}
			pass(tenureMin + 10*time.Second)
		}
		if n := w.taken(); n != 10 {
			t.Errorf("10 locks were taken %d times: clusters are handed to and fro", n)
		}
		one.stop()
		two.stop()
	})
}

// TestHundredsOfLocksThatChangeHandsAreDividedAFewTimes counts how often the survivor looks at who has what.
func TestHundredsOfLocksThatChangeHandsAreDividedAFewTimes(t *testing.T) {
	inTown(t, 200, func(t *testing.T, w *town) {
		one, two := w.join("one"), w.join("two")
		pass(10 * time.Second)
		before := two.man.asked
		one.stop()
		pass(time.Second)
		if n := two.man.asked - before; n > int(time.Second/reckonRest)+2 {
			t.Errorf("the clusters were divided %d times in a second", n)
		}
		if got := w.spread(); got["two"] != 200 {
			t.Errorf("%v", got)
		}
		two.stop()
	})
}

// TestOneThatTakesItsClustersSlowlyIsLeftToIt needs twice as long for all of its clusters as a lock is left
// alone, and takes no more at a time than a slow store may bear.
func TestOneThatTakesItsClustersSlowlyIsLeftToIt(t *testing.T) {
	inTown(t, 8*takingMax, func(t *testing.T, w *town) {
		one := w.join("one")
		two := w.join("two")
		w.change(func() { two.man.slow = standInAfter / 2 })
		pass(peersAfter + 3*standInAfter)
		if got := w.spread(); got["one"] != got["two"] || got["two"] != 4*takingMax {
			t.Errorf("%v", got)
		}
		if n := w.taken(); n != 8*takingMax {
			t.Errorf("%d locks were taken for %d clusters", n, 8*takingMax)
		}
		if two.man.most != takingMax {
			t.Errorf("%d locks were taken at a time", two.man.most)
		}
		one.stop()
		two.stop()
	})
}

// TestAnElectorThatCannotReadARecordLeavesItToOneThatCan has a record that a later release has written.
func TestAnElectorAsksOthersToActForClustersWhoseRecordItCannotRead(t *testing.T) {
	inTown(t, 2, func(t *testing.T, w *town) {
		w.documents[recordKey(w.names[0])] = []byte(`{"version": 99}`)
		one, two := w.join("one"), w.join("two")
		pass(time.Minute)
		for _, e := range []elector{one, two} {
			if said := string(e.man.says[unfitSubject]); !strings.Contains(said, w.names[0]) || strings.Contains(said, w.names[1]) {
				t.Errorf("%s says %q", e.man.node, said)
			}
			e.stop()
		}
	})
}

func TestTwoElectorsOfOneNameAreToldOf(t *testing.T) {
	for _, row := range []struct {
		name   string
		second string
		told   bool
	}{
		{"two of one name", "one", true},
		{"two names", "two", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			inTown(t, 4, func(t *testing.T, w *town) {
				one, two := w.join("one"), w.join(row.second)
				pass(2 * sameNameAfter)
				if told := strings.Count(texts(one), "is called one too"); told != boolean(row.told) {
					t.Errorf("it was told of %d times", told)
				}
				if got := w.owners(); len(got) != 4 {
					t.Errorf("owned are %v", got)
				}
				one.stop()
				two.stop()
			})
		})
	}
}

func TestAStandbyShowsWhoActsAndWhatIsOnRecordWithoutAskingTheStore(t *testing.T) {
	inTown(t, 2, func(t *testing.T, w *town) {
		one, two := w.join("one"), w.join("two")
		pass(10 * time.Second)
		for _, e := range []elector{one, two} {
			for _, v := range e.Clusters() {
				acts := map[string]string{one.man.session: "one", two.man.session: "two"}[w.owners()[v.Name]]
				if v.Elector != acts || v.Leading != (acts == e.man.node) || v.Primary != "A" || v.Term != 1 {
					t.Errorf("%s shows %s: elector %q, leading %t, primary %q, term %d", e.man.node, v.Name, v.Elector, v.Leading, v.Primary, v.Term)
				}
			}
		}
		one.stop()
		two.stop()
	})
}

func TestACalmTownWritesNothing(t *testing.T) {
	inTown(t, 6, func(t *testing.T, w *town) {
		one, two := w.join("one"), w.join("two")
		pass(10 * time.Second)
		before := w.writes
		pass(10 * time.Minute)
		if w.writes != before {
			t.Errorf("%d writes in ten calm minutes", w.writes-before)
		}
		one.stop()
		two.stop()
	})
}
