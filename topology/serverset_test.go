package topology_test

import (
	"slices"
	"testing"

	"github.com/primacydb/primacy/topology"
)

// TestSetsThatShareMemoryDoNotWriteIntoEachOther takes parts of a set, which may lie in its memory, and lets them grow.
func TestSetsThatShareMemoryDoNotWriteIntoEachOther(t *testing.T) {
	names := []topology.Address{"A", "B", "C", "D", "E"}
	all := topology.Servers(names...)
	for bits := range 1 << len(names) {
		chosen := func(a topology.Address) bool { return bits&(1<<slices.Index(names, a)) != 0 }
		part := all.Where(chosen)
		want := slices.DeleteFunc(slices.Clone(names), func(a topology.Address) bool { return !chosen(a) })
		if !slices.Equal(part.List(), want) || part.Equal(topology.ServerSet{}) != (bits == 0) {
			t.Fatalf("%s, not %v", part, want)
		}
		part.With("0", "Z").Union(topology.Servers("Y")).Without("C")
		if !slices.Equal(part.List(), want) || !slices.Equal(all.List(), names) {
			t.Fatalf("%v became %s of %s", want, part, all)
		}
	}
}

func TestAnEmptySetIsTheZeroSetHoweverItCameAbout(t *testing.T) {
	ab := topology.Servers("A", "B")
	for name, s := range map[string]topology.ServerSet{
		"made of nothing": topology.Servers([]topology.Address{}...), "all removed": ab.Without("A", "B"), "minus itself": ab.Minus(ab),
		"nothing in common": ab.And(topology.Servers("C")), "none kept": ab.Where(func(topology.Address) bool { return false }),
	} {
		if text, err := s.MarshalText(); s.List() != nil || text != nil || err != nil {
			t.Errorf("%s: %#v", name, s)
		}
	}
}
