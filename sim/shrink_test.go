package sim

import (
	"reflect"
	"slices"
	"testing"
)

// lives is a world in which a promise is broken when certain faults come together.
type lives struct {
	drawn  int
	broken func(has func(int) bool) Invariant // empty: nothing
	count  int
}

func (l *lives) live(o Options) Report {
	l.count++
	var r Report
	has := func(n int) bool { return o.Only == nil || slices.Contains(o.Only, n) }
	for n := range l.drawn {
		if has(n) {
			r.Faults = append(r.Faults, Fault{Number: n})
		}
	}
	if i := l.broken(has); i != "" {
		r.Violations = []Violation{{Invariant: i}}
	}
	return r
}

func when(numbers ...int) func(func(int) bool) Invariant {
	return func(has func(int) bool) Invariant {
		if slices.ContainsFunc(numbers, func(n int) bool { return !has(n) }) {
			return ""
		}
		return NothingLost
	}
}

func TestALifetimeIsShrunkToTheFaultsThatItTakes(t *testing.T) {
	for name, row := range map[string]struct {
		drawn  int
		broken func(func(int) bool) Invariant
		want   []int
	}{
		"one of many":              {24, when(17), []int{17}},
		"the first and the last":   {24, when(0, 23), []int{0, 23}},
		"three that lie apart":     {24, when(3, 11, 12), []int{3, 11, 12}},
		"all of them":              {3, when(0, 1, 2), []int{0, 1, 2}},
		"no fault at all":          {9, when(), []int{}},
		"the only one":             {1, when(0), []int{0}},
		"one of two, either":       {6, func(has func(int) bool) Invariant { return either(has(2), has(4)) }, []int{4}},
		"another promise in a few": {6, func(has func(int) bool) Invariant { return another(has(1), has(2)) }, []int{1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			l := &lives{drawn: row.drawn, broken: row.broken}
			o, r := shrink(Options{Electors: 2}, l.live)
			if !reflect.DeepEqual(o, Options{Electors: 2, Only: row.want}) || len(r.Faults) != len(row.want) || !r.Failed() {
				t.Errorf("kept %v, with %d faults", o.Only, len(r.Faults))
			}
			if l.count > 100 {
				t.Errorf("took %d lifetimes", l.count)
			}
		})
	}
}

func either(a, b bool) Invariant {
	if a || b {
		return NothingLost
	}
	return ""
}

// another breaks one promise with both faults, and another promise with one of them.
func another(a, b bool) Invariant {
	switch {
	case a && b:
		return NothingLost
	case a || b:
		return Progress
	}
	return ""
}

func TestALifetimeThatBreaksNothingIsNotShrunk(t *testing.T) {
	l := &lives{drawn: 5, broken: func(func(int) bool) Invariant { return "" }}
	if o, _ := shrink(Options{}, l.live); o.Only != nil || l.count != 1 {
		t.Errorf("kept %v after %d lifetimes", o.Only, l.count)
	}
}

func TestShrinkingTellsOfEveryLifetime(t *testing.T) {
	told := 0
	o, r := Shrink(1, Options{Kinds: []Kind{}, Trace: true}, func(Report) { told++ })
	if told != 1 || o.Only != nil || !o.Trace || len(r.Trace) == 0 {
		t.Errorf("told of %d, kept %v, %d lines", told, o.Only, len(r.Trace))
	}
}
