package gtid

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// TestMain prints, after the benchmarks of a run, how many times longer
// go-mysql took than this package. Of several runs (-count) the fastest one
// counts, since whatever else the machine does can only slow them down. Nothing
// passes or fails by it.
func TestMain(m *testing.M) {
	code := m.Run()
	measured.print()
	os.Exit(code)
}

// measured collects the benchmarks of this run.
var measured timings

type timings struct {
	sync.Mutex
	rows []timing
}

// timing is one line of the table, in nanoseconds for one operation.
type timing struct {
	operation    string
	n            int
	ours, theirs float64
}

// row returns the line of an operation, which is new when it is first asked for.
func (t *timings) row(operation string, n int) *timing {
	for i := range t.rows {
		if t.rows[i].operation == operation && t.rows[i].n == n {
			return &t.rows[i]
		}
	}
	t.rows = append(t.rows, timing{operation: operation, n: n})
	return &t.rows[len(t.rows)-1]
}

func (t *timings) print() {
	if len(t.rows) == 0 {
		return
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "\noperation\tintervals\tprimacy ns\tgo-mysql ns\tgo-mysql / primacy\t")
	for _, r := range t.rows {
		theirs, ratio := "-", "-"
		if r.theirs > 0 {
			theirs, ratio = fmt.Sprintf("%.0f", r.theirs), fmt.Sprintf("%.1f", r.theirs/r.ours)
		}
		fmt.Fprintf(out, "%s\t%d\t%.0f\t%s\t%s\t\n", r.operation, r.n, r.ours, theirs, ratio)
	}
	out.Flush()
}

// compare runs both implementations as sub-benchmarks; theirs is nil where
// go-mysql has nothing to compare with.
func compare(b *testing.B, n int, ours, theirs func()) {
	operation := strings.TrimPrefix(strings.Split(b.Name(), "/")[0], "Benchmark")
	run := func(name string, f func(), took func(*timing) *float64) {
		if f == nil {
			return
		}
		b.Run(fmt.Sprintf("n=%d/%s", n, name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
			measured.Lock()
			defer measured.Unlock()
			fastest := took(measured.row(operation, n))
			if ns := float64(b.Elapsed().Nanoseconds()) / float64(b.N); *fastest == 0 || ns < *fastest {
				*fastest = ns
			}
		})
	}
	run("primacy", ours, func(t *timing) *float64 { return &t.ours })
	run("go-mysql", theirs, func(t *timing) *float64 { return &t.theirs })
}

// sizes are how many intervals the larger set of a benchmark has.
var sizes = []int{10, 1_000, 10_000}

// worn is the text of a set of n intervals, as a fleet of three servers has it
// after many transactions were injected or skipped: each interval starts shift
// numbers later than in worn(n, 0, …) and has the given length out of a period
// of 20.
func worn(n int, shift, length int64) string {
	sources := []string{idA, idB, idB + ":backup", "33333333-3333-3333-3333-333333333333"}
	intervals := map[string][]string{}
	for i := range n {
		id := sources[i*len(sources)/n]
		first := int64(i)*20 + 1_000_000 + shift
		intervals[id] = append(intervals[id], fmt.Sprintf("%d-%d", first, first+length-1))
	}
	var elements []string
	for _, id := range slices.Sorted(maps.Keys(intervals)) {
		elements = append(elements, id+":"+strings.Join(intervals[id], ":"))
	}
	return MustParse(strings.Join(elements, ",")).String()
}

// Sinks keep the compiler from dropping what is measured.
var (
	sinkSet    Set
	sinkBool   bool
	sinkText   string
	sinkTheirs mysql.GTIDSet
)

func BenchmarkParse(b *testing.B) {
	for _, n := range sizes {
		text := worn(n, 0, 10)
		compare(b, n,
			func() { sinkSet, _ = Parse(text) },
			func() { sinkTheirs, _ = mysql.ParseMysqlGTIDSet(text) })
	}
}

// BenchmarkContain asks of a primary and a replica that is a little behind it,
// whose sets have the same gaps: the question before each promotion.
func BenchmarkContain(b *testing.B) {
	for _, n := range sizes {
		primary := worn(n, 0, 10)
		replica := primary[:strings.LastIndexByte(primary, ':')]
		benchmarkContain(b, n, primary, replica)
	}
}

// BenchmarkContainNarrower has no interval in common: each of the smaller set
// lies strictly within one of the larger.
func BenchmarkContainNarrower(b *testing.B) {
	for _, n := range sizes {
		benchmarkContain(b, n, worn(n, 0, 10), worn(n, 3, 4))
	}
}

func benchmarkContain(b *testing.B, n int, large, small string) {
	ourLarge, ourSmall := MustParse(large), MustParse(small)
	theirLarge, theirSmall := theirSet(b, large), theirSet(b, small)
	mustAnswer(b, "contains", ourLarge.Contains(ourSmall), true)
	mustAnswer(b, "contains, by go-mysql", theirLarge.Contain(theirSmall), true)
	compare(b, n,
		func() { sinkBool = ourLarge.Contains(ourSmall) },
		func() { sinkBool = theirLarge.Contain(theirSmall) })
}

// BenchmarkUnion joins sets whose intervals overlap one by one, so that each
// must be merged and neither set contains the other.
func BenchmarkUnion(b *testing.B) {
	for _, n := range sizes {
		benchmarkUnion(b, n, worn(n, 0, 10), worn(n, 5, 10))
	}
}

// BenchmarkUnionApart joins sets whose intervals alternate and never touch.
func BenchmarkUnionApart(b *testing.B) {
	for _, n := range sizes {
		benchmarkUnion(b, n, worn(n, 0, 5), worn(n, 10, 5))
	}
}

// BenchmarkUnionAlike joins what two servers received that differ at the end
// only.
func BenchmarkUnionAlike(b *testing.B) {
	for _, n := range sizes {
		text := worn(n, 0, 10)
		benchmarkUnion(b, n, text, text+":999999999")
	}
}

func benchmarkUnion(b *testing.B, n int, left, right string) {
	ourLeft, ourRight := MustParse(left), MustParse(right)
	theirLeft, theirRight := theirSet(b, left), theirSet(b, right)
	mustAnswer(b, "union", ourLeft.Union(ourRight).String(), theirUnion(theirLeft, theirRight).String())
	compare(b, n,
		func() { sinkSet = ourLeft.Union(ourRight) },
		func() { sinkTheirs = theirUnion(theirLeft, theirRight) })
}

// BenchmarkUnionOfOne adds a single transaction to a large set.
func BenchmarkUnionOfOne(b *testing.B) {
	for _, n := range sizes {
		benchmarkUnion(b, n, worn(n, 0, 10), idA+":7")
	}
}

func BenchmarkSubtract(b *testing.B) {
	for _, n := range sizes {
		left, right := MustParse(worn(n, 0, 10)), MustParse(worn(n, 5, 10))
		compare(b, n, func() { sinkSet = left.Subtract(right) }, nil)
	}
}

// BenchmarkSubtractAlike is the check for errant transactions: two servers
// that differ at the end only.
func BenchmarkSubtractAlike(b *testing.B) {
	for _, n := range sizes {
		text := worn(n, 0, 10)
		left, right := MustParse(text+":999999999"), MustParse(text)
		compare(b, n, func() { sinkSet = left.Subtract(right) }, nil)
	}
}

func BenchmarkIntersect(b *testing.B) {
	for _, n := range sizes {
		left, right := MustParse(worn(n, 0, 10)), MustParse(worn(n, 5, 10))
		compare(b, n, func() { sinkSet = left.Intersect(right) }, nil)
	}
}

func BenchmarkString(b *testing.B) {
	for _, n := range sizes {
		ours, theirs := MustParse(worn(n, 0, 10)), theirSet(b, worn(n, 0, 10))
		mustAnswer(b, "text", ours.String(), theirs.String())
		compare(b, n, func() { sinkText = ours.String() }, func() { sinkText = theirs.String() })
	}
}

// BenchmarkSmall asks of two servers of a fleet that was led by three, one a
// little behind the other: what an analysis asks again and again.
func BenchmarkSmall(b *testing.B) {
	const before = idA + ":1-1000," + idB + ":1-77," + idB + ":backup:1-4,7072696d-0000-0001-1234-123456789abc:1"
	ahead, behind := MustParse(before), MustParse(strings.Replace(before, "1000", "990", 1))
	for name, ask := range map[string]func(){
		"Contain":        func() { sinkBool = ahead.Contains(behind) },
		"Union":          func() { sinkSet = behind.Union(ahead) },
		"Subtract":       func() { sinkSet = behind.Subtract(ahead) },
		"SubtractLeaves": func() { sinkSet = ahead.Subtract(behind) },
		"Intersect":      func() { sinkSet = ahead.Intersect(behind) },
		"Only":           func() { sinkSet = ahead.Only(func(Source) bool { return true }) },
		"OnlyNone":       func() { sinkSet = ahead.Only(func(Source) bool { return false }) },
		"OnlyOne":        func() { sinkSet = ahead.Only(func(s Source) bool { return s.UUID[0] == 0x70 }) },
		"Of":             func() { sinkSet = Of(GTID{UUID: UUID{7}, Number: 1}) },
		"String":         func() { sinkText = ahead.String() },
		"Parse":          func() { sinkSet, _ = Parse(before) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ask()
			}
		})
	}
}
