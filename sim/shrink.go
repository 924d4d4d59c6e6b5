package sim

import "slices"

// Shrink looks for the fewest faults of a lifetime with which it still breaks the same promise. It gives the options that
// keep only these, and what came of them; the options as they were when nothing was broken. tried, unless it is nil, is
// told of every lifetime on the way.
func Shrink(seed uint64, o Options, tried func(Report)) (Options, Report) {
	trace := o.Trace
	o.Trace = false // nobody reads those of the attempts
	fewest, report := shrink(o, func(o Options) Report {
		r := Live(seed, o)
		if tried != nil {
			tried(r)
		}
		return r
	})
	if fewest.Trace = trace; trace {
		report = Live(seed, fewest)
	}
	return fewest, report
}

func shrink(o Options, live func(Options) Report) (Options, Report) {
	report := live(o)
	if !report.Failed() {
		return o, report
	}
	// with tries a lifetime with these faults only; what it breaks has to be what was broken before, or else the search
	// would slip from one bug to another.
	broken := report.Violations[0].Invariant
	with := func(numbers []int) bool {
		fewer := o
		fewer.Only = numbers
		r := live(fewer)
		if !r.Failed() || r.Violations[0].Invariant != broken {
			return false
		}
		o, report = fewer, r
		return true
	}
	numbers := []int{}
	for _, f := range report.Faults {
		numbers = append(numbers, f.Number)
	}
	slices.Sort(numbers)
	if with(numbers) {
		fewest(numbers, with)
	}
	return o, report
}

// fewest leaves numbers out, many at once at first, until not one more can be left out. When one can, the others are
// tried again: faults often matter in pairs.
func fewest(numbers []int, still func([]int) bool) []int {
	for size := len(numbers); size > 0; {
		smaller, found := leftOut(numbers, size, still)
		switch {
		case found:
			numbers, size = smaller, min(size, len(smaller))
		default:
			size /= 2
		}
	}
	return numbers
}

// leftOut tries to do without so many in a row, wherever they stand.
func leftOut(numbers []int, size int, still func([]int) bool) ([]int, bool) {
	for at := 0; at < len(numbers); at += size {
		fewer := append([]int{}, numbers[:at]...) // never nil, which would keep all
		fewer = append(fewer, numbers[min(at+size, len(numbers)):]...)
		if still(fewer) {
			return fewer, true
		}
	}
	return numbers, false
}
