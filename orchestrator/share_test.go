package orchestrator

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// electorsOf are electors that may act for everything.
func electorsOf(nodes ...string) []sharer {
	var all []sharer
	for _, n := range nodes {
		all = append(all, sharer{id: "session-" + n, node: n, acts: func(string) bool { return true }})
	}
	return all
}

func namesOf(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("shop-%03d", i))
	}
	return all
}

func loads(given map[string]string, electors []sharer) []int {
	count := map[string]int{}
	for _, id := range given {
		count[id]++
	}
	var all []int
	for _, e := range electors {
		all = append(all, count[e.id])
	}
	return all
}

// someWorld draws clusters, electors, and owners who may be far from even, gone or nobody.
func someWorld(t *rapid.T) ([]string, []sharer, map[string]string) {
	names := namesOf(rapid.IntRange(0, 40).Draw(t, "clusters"))
	electors := electorsOf(namesOf(rapid.IntRange(1, 7).Draw(t, "electors"))...)
	owners := map[string]string{}
	for _, name := range names {
		switch i := rapid.IntRange(-3, len(electors)-1).Draw(t, "owner"); {
		case i >= 0:
			owners[name] = electors[i].id
		case i == -1:
			owners[name] = "an elector that is gone"
		}
	}
	return names, electors, owners
}

func TestSharesAreEvenAndMoveNoMoreThanTheyMust(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names, electors, owners := someWorld(t)
		given := shares(names, electors, owners)
		if len(given) != len(names) {
			t.Fatalf("%d of %d clusters are given to somebody", len(given), len(names))
		}
		after := loads(given, electors)
		if slices.Max(after)-slices.Min(after) > 1 {
			t.Fatalf("uneven: %v", after)
		}
		if moved, least := moves(given, owners, electors), leastMoves(loads(owners, electors), len(names)); moved != least {
			t.Fatalf("%d clusters move from one elector to another, %d would do", moved, least)
		}
	})
}

// moves counts clusters that are taken from an elector that lives.
func moves(given, owners map[string]string, electors []sharer) (n int) {
	for name, id := range given {
		lives := slices.ContainsFunc(electors, func(e sharer) bool { return e.id == owners[name] })
		n += boolean(lives && owners[name] != id)
	}
	return n
}

// leastMoves finds by trial how few clusters have to be taken away, whoever is allowed one more than the others.
func leastMoves(before []int, n int) int {
	each, more := n/len(before), n%len(before)
	slices.SortFunc(before, func(a, b int) int { return b - a })
	least := 0
	for i, has := range before {
		least += max(0, has-each-boolean(i < more))
	}
	return least
}

// TestWhatIsSaidStaysWhileItIsDone does what was said about some clusters, and half of it about others, which have been
// given back and not yet taken.
func TestWhatIsSaidStaysWhileItIsDone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names, electors, owners := someWorld(t)
		given := shares(names, electors, owners)
		midway := maps.Clone(owners)
		for _, name := range names {
			if given[name] == owners[name] {
				continue
			}
			switch rapid.IntRange(0, 2).Draw(t, "done") {
			case 0:
				delete(midway, name)
			case 1:
				midway[name] = given[name]
			}
		}
		if again := shares(names, electors, midway); !maps.Equal(again, given) {
			t.Fatalf("first it was\n%v\nand then\n%v", given, again)
		}
	})
}

// TestEverySuccessionOfStepsEnds also has electors that may not act for some clusters.
func TestEverySuccessionOfStepsEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names, electors, owners := someWorld(t)
		barred := map[string]bool{}
		for i := range electors {
			id := electors[i].id
			for _, name := range names {
				barred[id+name] = rapid.IntRange(0, 3).Draw(t, "barred") == 0
			}
			electors[i].acts = func(name string) bool { return !barred[id+name] }
		}
		for range 1 + 3*len(names)*len(electors) {
			given := shares(names, electors, owners)
			for name, id := range given {
				if id != "" && barred[id+name] {
					t.Fatalf("%s is given to %s, which may not act for it", name, id)
				}
				if id == "" && len(ranked(name, electors)) > 0 {
					t.Fatalf("%s is nobody's, though somebody may act for it", name)
				}
			}
			if !step(names, given, owners) {
				return
			}
		}
		t.Fatal("it goes on and on")
	})
}

// step does the first thing that is said and not yet so; false when there is none.
func step(names []string, given, owners map[string]string) bool {
	for _, name := range names {
		if id := given[name]; id != "" && id != owners[name] {
			owners[name] = id
			return true
		}
	}
	return false
}

func TestWhatIsHeardInAnotherOrderIsDividedAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names, electors, owners := someWorld(t)
		given := shares(names, electors, owners)
		names, electors = rapid.Permutation(names).Draw(t, "names"), rapid.Permutation(electors).Draw(t, "electors")
		if again := shares(names, electors, owners); !maps.Equal(again, given) {
			t.Fatalf("%v\n%v", given, again)
		}
	})
}

func TestOneWhoJoinsIsGivenItsShareAndOneWhoDiesLeavesItsOwn(t *testing.T) {
	names, two, three := namesOf(500), electorsOf("a", "b"), electorsOf("a", "b", "c")
	owners := shares(names, two, nil)
	if got := loads(owners, two); !slices.Equal(got, []int{250, 250}) {
		t.Fatalf("two electors have %v", got)
	}
	joined := shares(names, three, owners)
	if n := moves(joined, owners, three); n != 166 {
		t.Errorf("%d clusters move when a third joins: %v", n, loads(joined, three))
	}
	died := shares(names, three[1:], joined)
	if n := moves(died, joined, three[1:]); n != 0 {
		t.Errorf("%d clusters of others move when one dies", n)
	}
	if got := loads(died, three[1:]); !slices.Equal(got, []int{250, 250}) {
		t.Errorf("the two that are left have %v", got)
	}
}

// TestAClusterThatItsOwnerMayNoLongerActForGoesToAnother as when it sees no server of it.
func TestAClusterThatItsOwnerMayNoLongerActForGoesToAnother(t *testing.T) {
	electors := electorsOf("a", "b")
	names := namesOf(4)
	owners := shares(names, electors, nil)
	lost := names[slices.IndexFunc(names, func(n string) bool { return owners[n] == "session-a" })]
	electors[0].acts = func(name string) bool { return name != lost }
	if given := shares(names, electors, owners); given[lost] != "session-b" {
		t.Errorf("%s is given to %s", lost, given[lost])
	}
	electors[1].acts = electors[0].acts
	if given := shares(names, electors, owners); given[lost] != "" {
		t.Errorf("%s is given to %s, though nobody may act for it", lost, given[lost])
	}
}

func TestWeightsTellNamesApart(t *testing.T) {
	if weight("elector-1", "1") == weight("elector-", "11") {
		t.Error("where one name ends and the other begins makes no difference")
	}
}

func BenchmarkShares(b *testing.B) {
	names, electors := namesOf(500), electorsOf("a", "b", "c")
	for name, owners := range map[string]map[string]string{"calm": shares(names, electors, nil), "start": nil} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				shares(names, electors, owners)
			}
		})
	}
}
