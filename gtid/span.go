package gtid

import (
	"cmp"
	"slices"
)

// span is a run of numbers, both ends included.
//
// Every []span in this package that belongs to a Set is canonical: ascending,
// with at least one missing number between neighbours, never empty and never
// changed again. That is what lets sets share memory.
type span struct{ first, last int64 }

// canonical puts spans, which the caller owns, into canonical form in place.
func canonical(spans []span) []span {
	if isCanonical(spans) {
		return spans
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	kept := 0
	for _, next := range spans[1:] {
		if next.first <= spans[kept].last+1 {
			spans[kept].last = max(spans[kept].last, next.last)
			continue
		}
		kept++
		spans[kept] = next
	}
	return spans[:kept+1]
}

func isCanonical(spans []span) bool {
	for i := 1; i < len(spans); i++ {
		if spans[i].first <= spans[i-1].last+1 {
			return false
		}
	}
	return true
}

// seek returns the first index from i on whose span ends at n or later. It
// gallops, so that walking a large set along a small one costs the small one's
// length times a logarithm, and walking two alike costs a step or two each.
func seek(spans []span, i int, n int64) int {
	if i < len(spans) && spans[i].last < n {
		i++
	}
	if i < len(spans) && spans[i].last < n {
		return gallop(spans, i, n)
	}
	return i
}

// gallop is seek from a span that ends before n.
func gallop(spans []span, i int, n int64) int {
	step := 1
	for i+step < len(spans) && spans[i+step].last < n {
		i += step
		step *= 2
	}
	// The answer is behind i and no further than a step away.
	low, high := i+1, min(i+step, len(spans))
	for low < high {
		middle := int(uint(low+high) / 2)
		if spans[middle].last < n {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// block is compared as one piece of memory, which is many times faster than
// span by span; sets of one fleet are alike for most of their length.
const block = 16

// alike returns how many leading spans are the same, counted in whole blocks.
func alike(a, b []span) int {
	n := 0
	for len(a)-n >= block && len(b)-n >= block && *(*[block]span)(a[n:]) == *(*[block]span)(b[n:]) {
		n += block
	}
	return n
}

// same reports whether both are one piece of memory.
func same(a, b []span) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

func equal(a, b []span) bool {
	if len(a) != len(b) || same(a, b) {
		return len(a) == len(b)
	}
	n := alike(a, b)
	return slices.Equal(a[n:], b[n:])
}

// covers reports whether each number of b is in a.
func covers(a, b []span) bool {
	if same(a, b) {
		return true
	}
	if len(a) == 1 && len(b) == 1 { // as of most servers, which number without gaps
		return a[0].first <= b[0].first && b[0].last <= a[0].last
	}
	i := 0
	for j := 0; j < len(b); j++ {
		if i = seek(a, i, b[j].last); i == len(a) || a[i].first > b[j].first {
			return false
		}
		if a[i] == b[j] {
			n := alike(a[i+1:], b[j+1:])
			i, j = i+n, j+n
		}
	}
	return true
}

// touches reports whether a and b have a number in common.
func touches(a, b []span) bool {
	i := 0
	for j := 0; j < len(b) && i < len(a); j++ {
		i = seek(a, i, b[j].first)
		if i < len(a) && a[i].first <= b[j].last {
			return true
		}
	}
	return false
}

// unite returns the numbers of either. It returns one of its arguments when
// that has everything, so that sets which grow together share memory.
func unite(a, b []span) []span {
	switch {
	case covers(a, b):
		return a
	case covers(b, a):
		return b
	}
	return fit(merge(make([]span, 0, len(a)+len(b)), a, b))
}

func merge(out, a, b []span) []span {
	for len(a) > 0 && len(b) > 0 {
		if a[0] == b[0] {
			n := 1 + alike(a[1:], b[1:])
			out, a, b = append(out, a[:n]...), a[n:], b[n:]
			continue
		}
		if b[0].first < a[0].first {
			a, b = b, a
		}
		next := a[0]
		if next.last+1 < b[0].first {
			out, a = before(out, a, b[0].first-1)
			continue
		}
		next, a, b = join(next, a[1:], b)
		out = append(out, next)
	}
	return append(append(out, a...), b...)
}

// before moves the spans of a that end before n, which the first one does, to
// out. A long run of them goes over in one piece.
func before(out, a []span, n int64) (moved, rest []span) {
	out, a = append(out, a[0]), a[1:]
	if len(a) > 0 && a[0].last < n {
		run := seek(a, 1, n)
		out, a = append(out, a[:run]...), a[run:]
	}
	return out, a
}

// join extends one span by all that it touches on either side, and returns it
// with what is left of both.
func join(s span, a, b []span) (span, []span, []span) {
	for {
		switch {
		case len(a) > 0 && a[0].first <= s.last+1:
			s.last, a = max(s.last, a[0].last), a[1:]
		case len(b) > 0 && b[0].first <= s.last+1:
			s.last, b = max(s.last, b[0].last), b[1:]
		default:
			return s, a, b
		}
	}
}

// without returns the numbers of a that are not in b.
func without(a, b []span) []span {
	switch {
	case covers(b, a):
		return nil
	case !touches(a, b):
		return a
	}
	n := alike(a, b)
	return fit(cut(make([]span, 0, len(a)-n), a[n:], b[n:]))
}

func cut(out, a, b []span) []span {
	for len(a) > 0 {
		b = b[seek(b, 0, a[0].first):]
		switch {
		case len(b) == 0:
			return append(out, a...)
		case a[0] == b[0]:
			n := 1 + alike(a[1:], b[1:])
			a, b = a[n:], b[n:]
		case a[0].last < b[0].first:
			out, a = before(out, a, b[0].first)
		default:
			out, b = carve(out, a[0], b)
			a = a[1:]
		}
	}
	return out
}

// carve appends what b leaves of s, and returns the part of b that may still
// matter to the numbers after s.
func carve(out []span, s span, b []span) ([]span, []span) {
	for len(b) > 0 && b[0].first <= s.last {
		if s.first < b[0].first {
			out = append(out, span{s.first, b[0].first - 1})
		}
		if b[0].last >= s.last {
			return out, b
		}
		s.first, b = b[0].last+1, b[1:]
	}
	return append(out, s), b
}

// common returns the numbers that are in both.
func common(a, b []span) []span {
	switch {
	case covers(b, a):
		return a
	case covers(a, b):
		return b
	}
	return fit(overlap(make([]span, 0, min(len(a), len(b))), a, b))
}

func overlap(out, a, b []span) []span {
	for len(a) > 0 && len(b) > 0 {
		if a[0] == b[0] {
			n := 1 + alike(a[1:], b[1:])
			out, a, b = append(out, a[:n]...), a[n:], b[n:]
			continue
		}
		if first, last := max(a[0].first, b[0].first), min(a[0].last, b[0].last); first <= last {
			out = append(out, span{first, last})
		}
		// The one that ends first has met all that it can meet.
		if a[0].last > b[0].last {
			a, b = b, a
		}
		a = a[1:]
		if len(a) > 0 {
			b = b[seek(b, 0, a[0].first):]
		}
	}
	return out
}

// fit gives back memory that a result was expected to need and did not.
func fit(spans []span) []span {
	if cap(spans) > len(spans)+len(spans)/4 {
		return append(make([]span, 0, len(spans)), spans...)
	}
	return spans[:len(spans):len(spans)]
}

// count adds the lengths up. It cannot overflow: the spans are disjoint and
// within 1 to MaxNumber.
func count(spans []span) uint64 {
	var n uint64
	for _, s := range spans {
		n += uint64(s.last-s.first) + 1
	}
	return n
}
