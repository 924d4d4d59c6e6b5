package gtid

import (
	"fmt"
	"iter"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// MaxNumber is the highest transaction number that a server gives out, 2^63-2.
const MaxNumber int64 = math.MaxInt64 - 1

// Source is one stream of transaction numbers: a server's uuid and, from MySQL
// 8.3 on, an optional tag of up to 32 characters out of [a-z0-9_] that does not
// start with a digit. No tag is the empty string.
type Source struct {
	UUID UUID
	Tag  string
}

// String is uuid or uuid:tag.
func (s Source) String() string {
	return string(s.append(nil))
}

func (s Source) append(out []byte) []byte {
	out = s.UUID.append(out)
	if s.Tag != "" {
		out = append(append(out, ':'), s.Tag...)
	}
	return out
}

// compareSources is the order in which servers print: by the bytes of the
// uuid, then by tag, the untagged numbers first.
func compareSources(a, b *Source) int {
	if c := a.UUID.compare(&b.UUID); c != 0 {
		return c
	}
	return strings.Compare(a.Tag, b.Tag)
}

// is tells whether both are one source. Hardly any has a tag, which is compared last.
func (s *Source) is(t *Source) bool {
	return s.UUID == t.UUID && len(s.Tag) == len(t.Tag) && (s.Tag == "" || s.Tag == t.Tag)
}

// Interval is an unbroken run of numbers of one source, both ends included.
type Interval struct {
	Source      Source
	First, Last int64
}

// stream holds all numbers of one source.
type stream struct {
	source Source
	spans  []span
}

// Set is an immutable set of GTIDs. The zero value is the empty set.
type Set struct {
	// streams are ascending by source, each source once and with at least one
	// number; nil when the set is empty. Neither they nor their spans are ever
	// written to once a Set holds them.
	streams []stream
}

// Of returns the set of the GTIDs given. It panics on a GTID that no server
// could have; what comes from outside is checked by ParseGTID.
func Of(gtids ...GTID) Set {
	if len(gtids) == 1 {
		return Range(gtids[0].Source(), gtids[0].Number, gtids[0].Number)
	}
	streams := make([]stream, 0, len(gtids))
	for _, g := range gtids {
		check(g.Source(), g.Number, g.Number)
		streams = append(streams, stream{g.Source(), []span{{g.Number, g.Number}}})
	}
	return assemble(streams)
}

// Range returns the numbers from first to last, both included; none when last
// is before first. It panics on numbers or tags that no server could have.
func Range(source Source, first, last int64) Set {
	if last < first {
		return Set{}
	}
	check(source, first, last)
	return run(source, first, last)
}

// run is a set of one span, in one piece of memory.
func run(source Source, first, last int64) Set {
	all := &struct {
		streams [1]stream
		spans   [1]span
	}{spans: [1]span{{first, last}}}
	all.streams[0] = stream{source, all.spans[:]}
	return Set{all.streams[:]}
}

// check guards the invariants of Set against callers that build sources and
// numbers by hand: a set that breaks them would compare wrongly ever after.
func check(source Source, first, last int64) {
	if first < 1 || last > MaxNumber {
		panic(fmt.Sprintf("gtid: numbers %d to %d of %s: expected 1 to %d", first, last, source, MaxNumber))
	}
	if source.Tag != "" && !isTag(source.Tag) {
		panic(fmt.Sprintf("gtid: tag %q: expected up to %d characters out of a-z, 0-9 and _, not starting with a digit", source.Tag, maxTag))
	}
}

// assemble makes a Set of streams, which the caller owns, in any order.
func assemble(streams []stream) Set {
	if !isAscending(streams) {
		slices.SortStableFunc(streams, func(a, b stream) int { return compareSources(&a.source, &b.source) })
		streams = gather(streams)
	}
	if len(streams) == 0 {
		return Set{}
	}
	return Set{streams}
}

func isAscending(streams []stream) bool {
	for i := 1; i < len(streams); i++ {
		if compareSources(&streams[i-1].source, &streams[i].source) >= 0 {
			return false
		}
	}
	return true
}

// gather joins neighbours of the same source.
func gather(streams []stream) []stream {
	out := streams[:0]
	for from := 0; from < len(streams); {
		to := from + 1
		for to < len(streams) && streams[to].source == streams[from].source {
			to++
		}
		out, from = append(out, joined(streams[from:to])), to
	}
	return out
}

func joined(parts []stream) stream {
	if len(parts) == 1 {
		return parts[0]
	}
	var all []span
	for _, part := range parts {
		all = append(all, part.spans...)
	}
	return stream{parts[0].source, canonical(all)}
}

// IsEmpty reports whether the set has no GTID.
func (s Set) IsEmpty() bool { return len(s.streams) == 0 }

// Equal reports whether both sets have the same GTIDs.
func (s Set) Equal(t Set) bool {
	if s.same(t) {
		return true
	}
	return slices.EqualFunc(s.streams, t.streams, func(a, b stream) bool {
		return a.source.is(&b.source) && equal(a.spans, b.spans)
	})
}

// same reports whether both are one piece of memory, and therefore equal.
func (s Set) same(t Set) bool {
	return len(s.streams) == len(t.streams) && (len(s.streams) == 0 || &s.streams[0] == &t.streams[0])
}

// Contains reports whether each GTID of t is in s, as the server's
// GTID_SUBSET(t, s) does.
func (s Set) Contains(t Set) bool {
	if s.same(t) {
		return true
	}
	if len(t.streams) > len(s.streams) {
		return false
	}
	for i, at := 0, 0; i < len(t.streams); i++ {
		theirs := &t.streams[i]
		var ours []span
		if ours, at = find(s.streams, at, &theirs.source); !covers(ours, theirs.spans) {
			return false
		}
	}
	return true
}

// Has reports whether the GTID is in the set.
func (s Set) Has(g GTID) bool {
	source := g.Source()
	spans, _ := find(s.streams, 0, &source)
	i := seek(spans, 0, g.Number)
	return i < len(spans) && spans[i].first <= g.Number
}

// Intersects reports whether the sets have a GTID in common.
func (s Set) Intersects(t Set) bool {
	for i, at := 0, 0; i < len(t.streams); i++ {
		theirs := &t.streams[i]
		var ours []span
		if ours, at = find(s.streams, at, &theirs.source); touches(ours, theirs.spans) {
			return true
		}
	}
	return false
}

// find returns the numbers of one source, and where to look for the sources
// after it. It looks from an index on.
func find(streams []stream, from int, source *Source) (spans []span, next int) {
	// Sets of one fleet mostly have the same sources.
	if from < len(streams) && streams[from].source.is(source) {
		return streams[from].spans, from + 1
	}
	low, high := from, len(streams)
	for low < high {
		middle := int(uint(low+high) / 2)
		switch c := compareSources(&streams[middle].source, source); {
		case c == 0:
			return streams[middle].spans, middle + 1
		case c < 0:
			low = middle + 1
		default:
			high = middle
		}
	}
	return nil, low
}

// Union returns the GTIDs that are in either set.
func (s Set) Union(t Set) Set {
	if t.IsEmpty() || s.same(t) {
		return s
	}
	if s.IsEmpty() {
		return t
	}
	switch {
	case len(t.streams) == 1:
		return s.with(t.streams[0])
	case len(s.streams) == 1:
		return t.with(s.streams[0])
	case s.Contains(t):
		return s
	case t.Contains(s):
		return t
	}
	all := make([]stream, 0, max(len(s.streams), len(t.streams)))
	for w := (walk{s.streams, t.streams}); w.more(); {
		source, ours, theirs := w.next()
		all = append(all, stream{source, unite(ours, theirs)})
	}
	return Set{all}
}

// WithRange is the union with [Range]. Numbers that follow on the highest one of their source, as those of a server that
// writes do, take no more memory than the set that comes of it.
func (s Set) WithRange(source Source, first, last int64) Set {
	i, found := s.find(source)
	if !found || last < first || s.streams[i].last() != first-1 {
		return s.Union(Range(source, first, last))
	}
	check(source, first, last)
	spans := slices.Clone(s.streams[i].spans)
	spans[len(spans)-1].last = last
	return s.replaced(i, spans)
}

// last is the highest number.
func (s stream) last() int64 { return s.spans[len(s.spans)-1].last }

// find is where a source is, or would be.
func (s Set) find(source Source) (index int, found bool) {
	spans, next := find(s.streams, 0, &source)
	if spans == nil {
		return next, false
	}
	return next - 1, true
}

// replaced is the set with other numbers of the source with that index.
func (s Set) replaced(i int, spans []span) Set {
	all := slices.Clone(s.streams)
	all[i].spans = spans
	return Set{all}
}

// with is the set with the numbers of one source, which is how most sets grow. One that is not empty already.
func (s Set) with(more stream) Set {
	i, found := s.find(more.source)
	if !found {
		all := make([]stream, 0, len(s.streams)+1)
		return Set{append(append(append(all, s.streams[:i]...), more), s.streams[i:]...)}
	}
	united := unite(s.streams[i].spans, more.spans)
	if equal(united, s.streams[i].spans) {
		return s
	}
	return s.replaced(i, united)
}

// Subtract returns the GTIDs of s that are not in t, as the server's
// GTID_SUBTRACT(s, t) does.
func (s Set) Subtract(t Set) Set {
	if s.IsEmpty() || t.IsEmpty() {
		return s
	}
	if t.Contains(s) {
		return Set{}
	}
	r := result{ours: s.streams}
	at := 0
	for _, our := range s.streams {
		var theirs []span
		theirs, at = find(t.streams, at, &our.source)
		if left := without(our.spans, theirs); len(left) > 0 {
			r.add(stream{our.source, left})
		}
	}
	return r.set()
}

// Intersect returns the GTIDs that are in both sets.
func (s Set) Intersect(t Set) Set {
	if s.same(t) {
		return s
	}
	switch {
	case t.Contains(s):
		return s
	case s.Contains(t):
		return t
	}
	r := result{ours: s.streams, theirs: t.streams}
	at := 0
	for _, our := range s.streams {
		var theirs []span
		theirs, at = find(t.streams, at, &our.source)
		if both := common(our.spans, theirs); len(both) > 0 {
			r.add(stream{our.source, both})
		}
	}
	return r.set()
}

// result collects the streams of a set that is made of two others. Sets of one
// fleet mostly contain each other, and then the answer is one of them: as long
// as it begins like an operand it is that operand's memory.
type result struct {
	ours, theirs []stream // the operands; nil once the result is not like them
	n            int      // how many streams it has
	own          []stream // the result, once it is like neither
}

func (r *result) add(next stream) {
	if r.own == nil {
		begun := r.begun()
		r.ours, r.theirs = goesOn(r.ours, r.n, next), goesOn(r.theirs, r.n, next)
		if r.ours == nil && r.theirs == nil {
			r.own = append(make([]stream, 0, r.n+1), begun...)
		}
	}
	if r.own != nil {
		r.own = append(r.own, next)
	}
	r.n++
}

// goesOn returns the operand if what follows its first n streams is the next
// one of the result.
func goesOn(operand []stream, n int, next stream) []stream {
	if n < len(operand) && operand[n].source.is(&next.source) && equal(operand[n].spans, next.spans) {
		return operand
	}
	return nil
}

// begun is the result as long as it is like an operand.
func (r *result) begun() []stream {
	if r.ours != nil {
		return r.ours[:r.n:r.n]
	}
	return r.theirs[:r.n:r.n]
}

func (r *result) set() Set {
	if r.n == 0 {
		return Set{}
	}
	if r.own == nil {
		return Set{r.begun()}
	}
	return Set{r.own}
}

// walk goes through the sources of two sets in order, each once.
type walk struct{ ours, theirs []stream }

func (w *walk) more() bool { return len(w.ours)+len(w.theirs) > 0 }

// next is what the sets have of the next source; one side may have nothing.
func (w *walk) next() (source Source, ours, theirs []span) {
	o := order(w.ours, w.theirs)
	if o <= 0 {
		source, ours, w.ours = w.ours[0].source, w.ours[0].spans, w.ours[1:]
	}
	if o >= 0 {
		source, theirs, w.theirs = w.theirs[0].source, w.theirs[0].spans, w.theirs[1:]
	}
	return source, ours, theirs
}

// order says which side's next source comes first.
func order(a, b []stream) int {
	switch {
	case len(b) == 0:
		return -1
	case len(a) == 0:
		return +1
	}
	return compareSources(&a[0].source, &b[0].source)
}

// Count returns the number of GTIDs, math.MaxUint64 if there are more.
func (s Set) Count() uint64 {
	var n, carry uint64
	for _, stream := range s.streams {
		if n, carry = bits.Add64(n, count(stream.spans), 0); carry != 0 {
			return math.MaxUint64
		}
	}
	return n
}

// Intervals returns the runs of numbers in the order in which they print.
func (s Set) Intervals() iter.Seq[Interval] {
	return func(yield func(Interval) bool) {
		for _, stream := range s.streams {
			for _, r := range stream.spans {
				if !yield(Interval{stream.source, r.first, r.last}) {
					return
				}
			}
		}
	}
}

// Sources returns the sources of which the set has a number, in order.
func (s Set) Sources() iter.Seq[Source] {
	return func(yield func(Source) bool) {
		for _, stream := range s.streams {
			if !yield(stream.source) {
				return
			}
		}
	}
}

// UUIDs returns the servers of which the set has a number, sorted, each once.
func (s Set) UUIDs() []UUID {
	var ids []UUID
	for source := range s.Sources() {
		if len(ids) == 0 || ids[len(ids)-1] != source.UUID {
			ids = append(ids, source.UUID)
		}
	}
	return ids
}

// Only returns the part of the set whose sources keep accepts.
func (s Set) Only(keep func(Source) bool) Set {
	r := result{ours: s.streams}
	for _, stream := range s.streams {
		if keep(stream.source) {
			r.add(stream)
		}
	}
	return r.set()
}

// Next returns the lowest number above all that the set has of a source: 1 for
// an unknown source, MaxNumber+1 when the source has used all its numbers up.
func (s Set) Next(source Source) int64 {
	spans, _ := find(s.streams, 0, &source)
	if len(spans) == 0 {
		return 1
	}
	return spans[len(spans)-1].last + 1
}
