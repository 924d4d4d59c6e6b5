package gtid

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// width is how many numbers of each source the oracle knows. It leaves room for
// several blocks of spans, which are compared as a whole.
const width = 160

// universe is what the oracle counts in, in the order in which servers print.
// The last source counts from the top of the range of numbers downwards.
var universe = []Source{
	{UUID: UUID{0: 0x0a}},
	{UUID: UUID{0: 0x0a}, Tag: "_x"},
	{UUID: UUID{0: 0x0a}, Tag: "backup"},
	{UUID: UUID{0: 0x0a, 15: 1}, Tag: "t2"},
	{UUID: UUID{0: 0x0a, 15: 1}, Tag: "t3"},
	{UUID: UUID{0: 0xf0}},
}

// numberAt is the number that a bit of a source stands for.
func numberAt(source, bit int) int64 {
	if source == len(universe)-1 {
		return MaxNumber - width + 1 + int64(bit)
	}
	return int64(bit) + 1
}

// bitmap is the oracle: one bit for each number of each source.
type bitmap [6][width]bool

func (m *bitmap) combine(o *bitmap, f func(a, b bool) bool) *bitmap {
	out := new(bitmap)
	for s := range m {
		for n := range m[s] {
			out[s][n] = f(m[s][n], o[s][n])
		}
	}
	return out
}

func (m *bitmap) or(o *bitmap) *bitmap {
	return m.combine(o, func(a, b bool) bool { return a || b })
}

func (m *bitmap) and(o *bitmap) *bitmap {
	return m.combine(o, func(a, b bool) bool { return a && b })
}

func (m *bitmap) minus(o *bitmap) *bitmap {
	return m.combine(o, func(a, b bool) bool { return a && !b })
}

func (m *bitmap) count() (n uint64) {
	for s := range m {
		for _, has := range m[s] {
			if has {
				n++
			}
		}
	}
	return n
}

// intervals lists the runs of one source.
func (m *bitmap) intervals(source int) (runs []Interval) {
	for n, has := range m[source] {
		number := numberAt(source, n)
		switch last := len(runs) - 1; {
		case !has:
		case last >= 0 && runs[last].Last == number-1:
			runs[last].Last = number
		default:
			runs = append(runs, Interval{universe[source], number, number})
		}
	}
	return runs
}

// text prints as a server does, written apart from the code under test.
func (m *bitmap) text() string {
	var elements []string
	printed := map[UUID]bool{}
	for s, source := range universe {
		runs := m.intervals(s)
		if len(runs) == 0 {
			continue
		}
		if !printed[source.UUID] {
			elements = append(elements, fmt.Sprintf("%x-%x-%x-%x-%x",
				source.UUID[:4], source.UUID[4:6], source.UUID[6:8], source.UUID[8:10], source.UUID[10:]))
			printed[source.UUID] = true
		}
		last := &elements[len(elements)-1]
		if source.Tag != "" {
			*last += ":" + source.Tag
		}
		for _, r := range runs {
			*last += ":" + intervalText(r)
		}
	}
	return strings.Join(elements, ",")
}

func intervalText(r Interval) string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// drawBitmap fills each source in one of several ways: nothing, all, noise,
// runs, or every other number.
func drawBitmap(t *rapid.T, label string) *bitmap {
	m := new(bitmap)
	for s := range m {
		switch rapid.IntRange(0, 4).Draw(t, label+" shape") {
		case 1:
			drawRuns(t, &m[s], label, width)
		case 2:
			drawRuns(t, &m[s], label, 8)
		case 3:
			copy(m[s][:], rapid.SliceOfN(rapid.Bool(), width, width).Draw(t, label+" noise"))
		case 4:
			for n := 0; n < width; n += 2 {
				m[s][n] = true
			}
		}
	}
	return m
}

func drawRuns(t *rapid.T, bits *[width]bool, label string, longest int) {
	for range rapid.IntRange(1, 12).Draw(t, label+" runs") {
		first := rapid.IntRange(0, width-1).Draw(t, label+" first")
		length := rapid.IntRange(1, longest).Draw(t, label+" length")
		for n := first; n < min(first+length, width); n++ {
			bits[n] = true
		}
	}
}

// drawNear is either unrelated to m or differs from it by a few numbers, as the
// servers of one cluster do.
func drawNear(t *rapid.T, m *bitmap, label string) *bitmap {
	if rapid.Bool().Draw(t, label+" unrelated") {
		return drawBitmap(t, label)
	}
	out := *m
	for range rapid.IntRange(0, 4).Draw(t, label+" changes") {
		s := rapid.IntRange(0, len(universe)-1).Draw(t, label+" source")
		n := rapid.IntRange(0, width-1).Draw(t, label+" number")
		out[s][n] = !out[s][n]
	}
	return &out
}

// drawSet spells m as no server would: in any order, overlapping, adjacent,
// with space, upper case and empty elements. Then it has it parsed.
func drawSet(t *rapid.T, m *bitmap, label string) Set {
	text := drawSpelling(t, m, label)
	s, err := Parse(text)
	if err != nil {
		t.Fatalf("%s: %v\n%s", label, err, text)
	}
	return s
}

func drawSpelling(t *rapid.T, m *bitmap, label string) string {
	var elements []string
	for s, source := range universe {
		for _, r := range m.intervals(s) {
			elements = append(elements, spellings(t, source, r)...)
		}
	}
	if rapid.Bool().Draw(t, label+" shuffled") {
		elements = rapid.Permutation(elements).Draw(t, label+" order")
	}
	comma := rapid.SampledFrom([]string{",", ", ", ",\n", " ,,\t", "\n,\n , "}).Draw(t, label+" comma")
	return strings.Join(elements, comma)
}

// spellings covers an interval by two that meet or overlap, or by itself.
func spellings(t *rapid.T, source Source, r Interval) []string {
	head := source.String()
	if rapid.Bool().Draw(t, "upper case") {
		head = strings.ToUpper(head)
	}
	colon := rapid.SampledFrom([]string{":", " : ", ":\n"}).Draw(t, "colon")
	head = strings.ReplaceAll(head, ":", colon) + colon
	if r.First == r.Last {
		return []string{head + fmt.Sprint(r.First)}
	}
	middle := rapid.Int64Range(r.First, r.Last-1).Draw(t, "middle")
	back := rapid.Int64Range(r.First, middle+1).Draw(t, "back")
	left, right := intervalText(Interval{source, r.First, middle}), intervalText(Interval{source, back, r.Last})
	if rapid.Bool().Draw(t, "one element") {
		return []string{head + right + colon + left}
	}
	return []string{head + left, head + right}
}

// mustBe compares with the oracle, and checks the form that all algorithms
// rely on.
func mustBe(t rapid.TB, what string, got Set, want *bitmap) {
	t.Helper()
	if got.String() != want.text() {
		t.Fatalf("%s:\n got %s\nwant %s", what, got, want.text())
	}
	mustBeCanonical(t, got)
}

func mustBeCanonical(t rapid.TB, s Set) {
	t.Helper()
	if len(s.streams) == 0 && s.streams != nil || !isAscending(s.streams) {
		t.Fatalf("streams are not ascending: %v", s)
	}
	for _, stream := range s.streams {
		if len(stream.spans) == 0 || !isCanonical(stream.spans) {
			t.Fatalf("spans of %s are not canonical: %v", stream.source, stream.spans)
		}
		first, last := stream.spans[0], stream.spans[len(stream.spans)-1]
		if first.first < 1 || last.last > MaxNumber || slices.ContainsFunc(stream.spans, func(s span) bool { return s.first > s.last }) {
			t.Fatalf("spans of %s are out of range: %v", stream.source, stream.spans)
		}
	}
}

func TestSetsAgreeWithABitmap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ma := drawBitmap(t, "a")
		mb := drawNear(t, ma, "b")
		a, b := drawSet(t, ma, "a"), drawSet(t, mb, "b")

		mustBe(t, "parse a", a, ma)
		mustBe(t, "parse b", b, mb)
		mustBe(t, "union", a.Union(b), ma.or(mb))
		mustBe(t, "intersection", a.Intersect(b), ma.and(mb))
		mustBe(t, "a without b", a.Subtract(b), ma.minus(mb))
		mustBe(t, "b without a", b.Subtract(a), mb.minus(ma))

		mustAnswer(t, "a contains b", a.Contains(b), mb.minus(ma).count() == 0)
		mustAnswer(t, "b contains a", b.Contains(a), ma.minus(mb).count() == 0)
		mustAnswer(t, "a equals b", a.Equal(b), *ma == *mb)
		mustAnswer(t, "a intersects b", a.Intersects(b), ma.and(mb).count() > 0)
		mustAnswer(t, "a is empty", a.IsEmpty(), ma.count() == 0)
		mustAnswer(t, "count of a", a.Count(), ma.count())
	})
}

func TestMembersOfASetAgreeWithABitmap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawBitmap(t, "set")
		set := drawSet(t, m, "set")
		var all []GTID
		var runs []Interval
		for s, source := range universe {
			runs = append(runs, m.intervals(s)...)
			next := int64(1)
			for n, has := range m[s] {
				g := GTID{source.UUID, source.Tag, numberAt(s, n)}
				mustAnswer(t, "has "+g.String(), set.Has(g), has)
				if has {
					all, next = append(all, g), g.Number+1
				}
			}
			mustAnswer(t, "next of "+source.String(), set.Next(source), next)
		}
		mustBe(t, "of all members", Of(rapid.Permutation(all).Draw(t, "members")...), m)
		if got := slices.Collect(set.Intervals()); !slices.Equal(got, runs) {
			t.Fatalf("intervals:\n got %v\nwant %v", got, runs)
		}
	})
}

func mustAnswer[T comparable](t rapid.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func TestSetAlgebraHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ma := drawBitmap(t, "a")
		mb := drawNear(t, ma, "b")
		a, b, c := drawSet(t, ma, "a"), drawSet(t, mb, "b"), drawSet(t, drawNear(t, mb, "c"), "c")
		var none Set

		laws := []struct {
			name        string
			left, right Set
		}{
			{"union commutes", a.Union(b), b.Union(a)},
			{"union associates", a.Union(b).Union(c), a.Union(b.Union(c))},
			{"union with itself changes nothing", a.Union(a), a},
			{"union with nothing changes nothing", a.Union(none), a},
			{"nothing united with a set is the set", none.Union(a), a},
			{"intersection commutes", a.Intersect(b), b.Intersect(a)},
			{"intersection associates", a.Intersect(b).Intersect(c), a.Intersect(b.Intersect(c))},
			{"intersection with itself changes nothing", a.Intersect(a), a},
			{"intersection with nothing is nothing", a.Intersect(none), none},
			{"intersection distributes over union", a.Intersect(b.Union(c)), a.Intersect(b).Union(a.Intersect(c))},
			{"union distributes over intersection", a.Union(b.Intersect(c)), a.Union(b).Intersect(a.Union(c))},
			{"a set absorbs its intersections", a.Union(a.Intersect(b)), a},
			{"a set is absorbed by its unions", a.Intersect(a.Union(b)), a},
			{"a set less itself is nothing", a.Subtract(a), none},
			{"a set less nothing is itself", a.Subtract(none), a},
			{"what subtraction took was common", a.Subtract(b).Union(a.Intersect(b)), a},
			{"subtraction leaves nothing common", a.Subtract(b).Intersect(b), none},
			{"subtracting a union subtracts each", a.Subtract(b.Union(c)), a.Subtract(b).Subtract(c)},
			{"subtracting an intersection keeps what either lacks", a.Subtract(b.Intersect(c)), a.Subtract(b).Union(a.Subtract(c))},
		}
		for _, law := range laws {
			if !law.left.Equal(law.right) {
				t.Fatalf("%s:\n left %s\nright %s", law.name, law.left, law.right)
			}
			mustBeCanonical(t, law.left)
		}
		mustAnswer(t, "a union contains its parts", a.Union(b).Contains(a), true)
		mustAnswer(t, "to contain is to leave nothing", a.Contains(b), b.Subtract(a).IsEmpty())
		mustAnswer(t, "to intersect is to have something common", a.Intersects(b), !a.Intersect(b).IsEmpty())
		mustAnswer(t, "counts add up", a.Count()+b.Count(), a.Union(b).Count()+a.Intersect(b).Count())
	})
}

func TestNoOperationChangesASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := []Set{drawSet(t, drawBitmap(t, "a"), "a"), drawSet(t, drawBitmap(t, "b"), "b")}
		born := []string{pool[0].String(), pool[1].String()}
		// Results go back into the pool, so that sets which share memory meet.
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			a := pool[rapid.IntRange(0, len(pool)-1).Draw(t, "left")]
			b := pool[rapid.IntRange(0, len(pool)-1).Draw(t, "right")]
			made := []Set{a.Union(b), a.Subtract(b), a.Intersect(b), a.Only(func(s Source) bool { return s.Tag == "" })}
			for _, s := range made {
				pool, born = append(pool, s), append(born, s.String())
			}
		}
		for i, s := range pool {
			mustAnswer(t, "text of a set that others were made of", s.String(), born[i])
		}
	})
}
