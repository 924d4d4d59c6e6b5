package gtid

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	idA = "11111111-1111-1111-1111-111111111111"
	idB = "22222222-2222-2222-2222-222222222222"
)

func source(id, tag string) Source {
	u, err := ParseUUID(id)
	if err != nil {
		panic(err)
	}
	return Source{u, tag}
}

func TestTheZeroSetIsEmpty(t *testing.T) {
	var none Set
	full := MustParse(idA + ":1-5")
	mustAnswer(t, "is empty", none.IsEmpty(), true)
	mustAnswer(t, "text", none.String(), "")
	mustAnswer(t, "count", none.Count(), 0)
	mustAnswer(t, "next", none.Next(source(idA, "")), 1)
	mustAnswer(t, "contains itself", none.Contains(none), true)
	mustAnswer(t, "contains something", none.Contains(full), false)
	mustAnswer(t, "is contained", full.Contains(none), true)
	mustAnswer(t, "intersects", full.Intersects(none), false)
	mustAnswer(t, "has a gtid", none.Has(GTID{}), false)
}

func TestEqualSetsHaveEqualRepresentations(t *testing.T) {
	a := MustParse(idA + ":1-5:7," + idB + ":tag:1-9")
	b := MustParse(idB + ":tag:1-3," + idA + ":7").Union(MustParse(idA + ":1-5," + idB + ":TAG:4-9"))
	if !reflect.DeepEqual(a, b) || !a.Equal(b) {
		t.Fatalf("%#v differs from %#v", a, b)
	}
	if empty := a.Subtract(b); !reflect.DeepEqual(empty, Set{}) {
		t.Fatalf("%#v is not the zero value", empty)
	}
	if parsed := MustParse(" , "); !reflect.DeepEqual(parsed, Set{}) {
		t.Fatalf("%#v is not the zero value", parsed)
	}
}

func TestTagsAreSourcesOfTheirOwn(t *testing.T) {
	s := MustParse(idA + ":1-5:backup:1-3")
	mustAnswer(t, "untagged number", s.Has(GTID{source(idA, "").UUID, "", 5}), true)
	mustAnswer(t, "same number under the tag", s.Has(GTID{source(idA, "").UUID, "backup", 5}), false)
	mustAnswer(t, "next under the tag", s.Next(source(idA, "backup")), 4)
	mustAnswer(t, "next under another tag", s.Next(source(idA, "other")), 1)
	mustAnswer(t, "tagged part", s.Only(func(s Source) bool { return s.Tag != "" }).String(), idA+":backup:1-3")
	mustAnswer(t, "untagged contains tagged", MustParse(idA+":1-5").Contains(s), false)
}

func TestSetsWithTheSameNumbersOfDifferentSourcesDiffer(t *testing.T) {
	a := MustParse(idA + ":1-5")
	mustAnswer(t, "another uuid", a.Equal(MustParse(idB+":1-5")), false)
	mustAnswer(t, "another tag", a.Equal(MustParse(idA+":t:1-5")), false)
	mustAnswer(t, "the same source", a.Equal(MustParse(idA+":1-5")), true)
}

func TestResultsThatTurnOutSmallDoNotKeepTheMemoryOfTheirOperands(t *testing.T) {
	odd, even := Set{}, Set{}
	for n := int64(1); n < 200; n += 2 {
		odd, even = odd.Union(Range(source(idA, ""), n, n)), even.Union(Range(source(idA, ""), n+1, n+1))
	}
	small := []Set{odd.Union(even), odd.Subtract(odd.Subtract(MustParse(idA + ":1"))), odd.Intersect(MustParse(idA + ":1-8:199-400"))}
	for _, s := range small {
		if spans := s.streams[0].spans; cap(spans) > 2*len(spans) {
			t.Errorf("%d spans hold the memory of %d", len(spans), cap(spans))
		}
	}
}

// Sets of thousands of intervals are united and compared each second; what did
// not change must not be copied.
func TestResultsThatAreAnOperandShareItsMemory(t *testing.T) {
	large, part, other := MustParse(idA+":1-9:20-30:40"), MustParse(idA+":2-5:40"), MustParse(idA+":11-12:50")
	results := map[string]Set{
		"union with nothing":                 large.Union(Set{}),
		"nothing united with it":             Set{}.Union(large),
		"union with a part of it":            large.Union(part),
		"a part of it united with it":        part.Union(large),
		"what others without it subtract":    large.Subtract(other),
		"intersection with all and more":     large.Intersect(large.Union(other)),
		"all and more intersected with it":   large.Union(other).Intersect(large),
		"the part whose sources were wanted": large.Only(func(Source) bool { return true }),
	}
	for name, s := range results {
		mustAnswer(t, name, same(s.streams[0].spans, large.streams[0].spans), true)
	}
}

func TestSourcesAndUUIDsAreListedOnceAndInOrder(t *testing.T) {
	s := MustParse(idB + ":5," + idA + ":b:1:a:1," + idA + ":9:7")
	want := []Source{source(idA, ""), source(idA, "a"), source(idA, "b"), source(idB, "")}
	if got := slices.Collect(s.Sources()); !slices.Equal(got, want) {
		t.Fatalf("sources: got %v, want %v", got, want)
	}
	if got := s.UUIDs(); !slices.Equal(got, []UUID{want[0].UUID, want[3].UUID}) {
		t.Fatalf("uuids: got %v", got)
	}
}

func TestIterationStopsWhenAsked(t *testing.T) {
	s := MustParse(idA + ":1:3:5," + idB + ":7")
	for range s.Intervals() {
		break
	}
	for range s.Sources() {
		break
	}
}

func TestNextIsAboveGapsAndNeverRepeatsANumber(t *testing.T) {
	a := source(idA, "")
	mustAnswer(t, "with a gap", MustParse(idA+":1-3:9").Next(a), 10)
	mustAnswer(t, "at the end", Range(a, 1, MaxNumber).Next(a), math.MaxInt64)
}

func TestCountSaturatesInsteadOfWrapping(t *testing.T) {
	s := Range(source(idA, ""), 1, MaxNumber).Union(Range(source(idA, "t"), 1, MaxNumber))
	mustAnswer(t, "two full sources", s.Count(), 2*uint64(MaxNumber))
	mustAnswer(t, "three full sources", s.Union(Range(source(idB, ""), 1, MaxNumber)).Count(), math.MaxUint64)
}

func TestRangesAreEmptyWhenTheyEndBeforeTheyStart(t *testing.T) {
	mustAnswer(t, "1 to 0", Range(source(idA, ""), 1, 0).IsEmpty(), true)
	mustAnswer(t, "1 to 3", Range(source(idA, "t"), 1, 3).String(), idA+":t:1-3")
}

func TestASetWithARangeIsTheUnionWithIt(t *testing.T) {
	for _, text := range []string{"", idA + ":1-5", idA + ":1-2:4-5", idA + ":7", idA + ":t:1-5," + idB + ":1-5", idB + ":1-5"} {
		set := MustParse(text)
		for first := int64(1); first < 9; first++ {
			for last := first - 1; last < 9; last++ {
				for _, of := range []Source{source(idA, ""), source(idA, "t"), source(idB, "")} {
					got, want := set.WithRange(of, first, last), set.Union(Range(of, first, last))
					if !got.Equal(want) || got.String() != want.String() || set.String() != MustParse(text).String() {
						t.Errorf("%q with %d to %d of %s is %s", text, first, last, of, got)
					}
				}
			}
		}
	}
	written := MustParse(idA + ":1-5:8-9," + idB + ":1-5")
	if n := testing.AllocsPerRun(10, func() { written.WithRange(source(idA, ""), 10, 12) }); n > 2 {
		t.Errorf("what follows on the latest takes memory %g times", n)
	}
}

func TestNumbersAndTagsOfNoServerCannotEnterASet(t *testing.T) {
	u := source(idA, "").UUID
	impossible := map[string]func(){
		"number zero":           func() { Of(GTID{u, "", 0}) },
		"number above the last": func() { Range(Source{u, ""}, 5, MaxNumber+1) },
		"numbers beyond it":     func() { Range(Source{u, ""}, 1, 4).WithRange(Source{u, ""}, 5, MaxNumber+1) },
		"upper-case tag":        func() { Of(GTID{u, "Tag", 1}) },
		"tag with a digit":      func() { Range(Source{u, "1a"}, 1, 2) },
		"tag too long":          func() { Range(Source{u, strings.Repeat("a", 33)}, 1, 2) },
		"malformed text":        func() { MustParse("no gtid") },
	}
	for name, make := range impossible {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Fatal("expected a panic")
				}
			}()
			make()
		})
	}
}

func TestSetsAreStringsInJSON(t *testing.T) {
	type report struct {
		Received Set  `json:"received"`
		Errant   Set  `json:"errant,omitzero"`
		Server   UUID `json:"server"`
	}
	before := report{Received: MustParse(idB + ":t:2," + idA + ":1-5"), Server: source(idA, "").UUID}
	text, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	mustAnswer(t, "json", string(text), `{"received":"`+idA+":1-5,"+idB+`:t:2","server":"`+idA+`"}`)
	var after report
	if err := json.Unmarshal(text, &after); err != nil || !reflect.DeepEqual(before, after) {
		t.Fatalf("got %v, %v", after, err)
	}
	for _, bad := range []string{`{"received":"x"}`, `{"server":"x"}`} {
		if err := json.Unmarshal([]byte(bad), &after); err == nil {
			t.Fatalf("%s: expected an error", bad)
		}
	}
	if !reflect.DeepEqual(before, after) {
		t.Fatalf("a refused text left %v behind", after)
	}
}

func TestUnmarshalingLeavesCopiesAlone(t *testing.T) {
	s := MustParse(idA + ":1-5")
	kept := s
	if err := s.UnmarshalText([]byte(idB + ":9")); err != nil {
		t.Fatal(err)
	}
	mustAnswer(t, "copy", kept.String(), idA+":1-5")
	mustAnswer(t, "replaced", s.String(), idB+":9")
}

// The race detector is what judges this test.
func TestManyGoroutinesMayUseOneSet(t *testing.T) {
	a, b := MustParse(idA+":1-5:9:11-20"), MustParse(idA+":4-10,"+idB+":t:1-3")
	want := a.Union(b).Subtract(b).String()
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			if got := a.Union(b).Subtract(b).String(); got != want || a.Contains(b) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	readers.Wait()
}

// TestAnAnswerThatIsAnOperandTakesNoMemory is what lets an analysis ask as often
// as it likes: servers of one fleet hold the same, or the one all of the other.
func TestAnAnswerThatIsAnOperandTakesNoMemory(t *testing.T) {
	const text = idA + ":1-1000," + idB + ":1-77," + idB + ":backup:1-4,7072696d-0000-0001-1234-123456789abc:1"
	ahead, again := MustParse(text), MustParse(text)
	behind, apart := MustParse(strings.Replace(text, "1000", "990", 1)), MustParse("99999999-3333-3333-3333-333333333333:5")
	rows := map[string]struct {
		ask  func() Set
		want Set
	}{
		"union with the same":        {func() Set { return ahead.Union(again) }, ahead},
		"union with less":            {func() Set { return ahead.Union(behind) }, ahead},
		"union with more":            {func() Set { return behind.Union(ahead) }, ahead},
		"subtract all":               {func() Set { return behind.Subtract(ahead) }, Set{}},
		"subtract what is not there": {func() Set { return ahead.Subtract(apart) }, ahead},
		"intersect with more":        {func() Set { return behind.Intersect(ahead) }, behind},
		"intersect with less":        {func() Set { return ahead.Intersect(behind) }, behind},
		"nothing in common":          {func() Set { return ahead.Intersect(apart) }, Set{}},
		"only all":                   {func() Set { return ahead.Only(func(Source) bool { return true }) }, ahead},
		"only none":                  {func() Set { return ahead.Only(func(Source) bool { return false }) }, Set{}},
		"only the first": {func() Set { return ahead.Only(func(s Source) bool { return s.UUID == ahead.streams[0].source.UUID }) },
			MustParse(idA + ":1-1000")},
	}
	for name, row := range rows {
		var got Set
		if n := testing.AllocsPerRun(10, func() { got = row.ask() }); n > 0 {
			t.Errorf("%s takes memory %g times", name, n)
		}
		if !got.Equal(row.want) || got.IsEmpty() != (got.streams == nil) {
			t.Errorf("%s: %s, not %s", name, got, row.want)
		}
	}
	if n := testing.AllocsPerRun(10, func() { sinkBool = ahead.Contains(behind) && ahead.Equal(again) && !ahead.Intersects(apart) }); n > 0 {
		t.Errorf("to compare takes memory %g times", n)
	}
}
