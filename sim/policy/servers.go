package policy

import (
	"iter"
	"math/bits"

	"github.com/primacydb/primacy/topology"
)

// serversMax is how many servers the largest checked cluster has.
const serversMax = 5

// set is a set of servers, one bit for each, which is small enough to enumerate and cheap to compare.
type set uint8

func one(server int) set { return 1 << server }

// first is the set of the first n servers.
func first(n int) set { return 1<<n - 1 }

func (s set) has(server int) bool { return s&one(server) != 0 }
func (s set) len() int            { return bits.OnesCount8(uint8(s)) }
func (s set) minus(t set) set     { return s &^ t }

// each yields the servers of the set in order.
func (s set) each(yield func(int) bool) {
	for i := range serversMax {
		if s.has(i) && !yield(i) {
			return
		}
	}
}

// subsets yields all subsets, the empty one first.
func (s set) subsets() iter.Seq[set] {
	return func(yield func(set) bool) {
		for t := set(0); ; t = (t - s) & s {
			if !yield(t) || t == s {
				return
			}
		}
	}
}

// over takes a set of the first servers to the corresponding ones of others.
func (s set) over(others set) set {
	var t set
	at := 0
	for i := range others.each {
		if s.has(at) {
			t |= one(i)
		}
		at++
	}
	return t
}

// named are the servers as the code under judgement knows them.
func (s set) named() topology.ServerSet {
	var all []topology.Address
	for i := range s.each {
		all = append(all, name(i))
	}
	return topology.Servers(all...)
}

func (s set) String() string { return s.named().String() }

func name(server int) topology.Address { return topology.Address(rune('A' + server)) }

func number(a topology.Address) int { return int(a[0] - 'A') }

func numbered(s topology.ServerSet) set {
	var all set
	for _, a := range s.List() {
		all |= one(number(a))
	}
	return all
}

// family is a set of sets: bit s is on when set s is in it.
type family uint32

func (f family) has(s set) bool { return f&(1<<s) != 0 }

func (f family) with(s set) family { return f | 1<<s }

// any is one of its sets; the family must not be empty.
func (f family) any() set { return set(bits.TrailingZeros32(uint32(f))) }
