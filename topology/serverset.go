package topology

import (
	"iter"
	"slices"
	"strings"
)

// Address names one mysqld as "host:port"; it is the key of a server everywhere.
type Address string

// ServerSet is an immutable set of servers, kept sorted; the zero value is empty.
type ServerSet struct{ members []Address }

// Servers makes a set of the given addresses; duplicates count once.
func Servers(addresses ...Address) ServerSet { return ordered(slices.Clone(addresses)) }

// ordered makes a set of addresses that nobody else holds.
func ordered(addresses []Address) ServerSet {
	if len(addresses) == 0 {
		return ServerSet{}
	}
	if !slices.IsSorted(addresses) {
		slices.Sort(addresses)
	}
	return ServerSet{slices.Compact(addresses)}
}

// Len is the number of servers in the set.
func (s ServerSet) Len() int { return len(s.members) }

// IsEmpty tells whether no server is in the set.
func (s ServerSet) IsEmpty() bool { return len(s.members) == 0 }

// Has tells whether the server is in the set. Clusters are so small that looking at each is the fastest way.
func (s ServerSet) Has(a Address) bool { return slices.Contains(s.members, a) }

// List returns the servers in order; the caller owns the slice.
func (s ServerSet) List() []Address { return slices.Clone(s.members) }

// All goes through the servers in order.
func (s ServerSet) All() iter.Seq[Address] { return slices.Values(s.members) }

// Where keeps the servers for which keep is true. What lies side by side in s, all of s as a rule, shares its memory.
func (s ServerSet) Where(keep func(Address) bool) ServerSet {
	from, to := 0, 0
	for i, a := range s.members {
		switch {
		case !keep(a):
		case from == to:
			from, to = i, i+1
		case to == i:
			to++
		default:
			return ServerSet{s.gathered(from, to, i, keep)}
		}
	}
	if from == to {
		return ServerSet{}
	}
	return ServerSet{s.members[from:to:to]}
}

// gathered is what remains of a set that falls apart at the server with the given index, which is kept.
func (s ServerSet) gathered(from, to, at int, keep func(Address) bool) []Address {
	kept := append(make([]Address, 0, len(s.members)-(at-to)-from), s.members[from:to]...)
	kept = append(kept, s.members[at])
	for _, a := range s.members[at+1:] {
		if keep(a) {
			kept = append(kept, a)
		}
	}
	return kept
}

// Union holds what is in either set.
func (s ServerSet) Union(t ServerSet) ServerSet {
	switch {
	case s.Contains(t):
		return s
	case t.Contains(s):
		return t
	}
	return ordered(slices.Concat(s.members, t.members))
}

// With adds servers.
func (s ServerSet) With(addresses ...Address) ServerSet {
	for _, a := range addresses {
		if !s.Has(a) {
			return ordered(slices.Concat(s.members, addresses))
		}
	}
	return s
}

// Minus holds what is in s and not in t.
func (s ServerSet) Minus(t ServerSet) ServerSet {
	return s.Where(func(a Address) bool { return !t.Has(a) })
}

// Without removes servers.
func (s ServerSet) Without(addresses ...Address) ServerSet {
	return s.Where(func(a Address) bool { return !slices.Contains(addresses, a) })
}

// And holds what is in both sets.
func (s ServerSet) And(t ServerSet) ServerSet {
	return s.Where(t.Has)
}

// Equal tells whether both hold the same servers.
func (s ServerSet) Equal(t ServerSet) bool { return slices.Equal(s.members, t.members) }

// Contains tells whether all of t is in s.
func (s ServerSet) Contains(t ServerSet) bool {
	for _, a := range t.members {
		if !s.Has(a) {
			return false
		}
	}
	return true
}

// String lists the servers as an operator reads them.
func (s ServerSet) String() string {
	if s.IsEmpty() {
		return "no server"
	}
	names := make([]string, len(s.members))
	for i, a := range s.members {
		names[i] = string(a)
	}
	return strings.Join(names, ", ")
}

// MarshalText makes a set a plain list in records, "a:1,b:2".
func (s ServerSet) MarshalText() ([]byte, error) {
	if s.IsEmpty() {
		return nil, nil
	}
	return []byte(strings.ReplaceAll(s.String(), ", ", ",")), nil
}

// UnmarshalText reads what MarshalText wrote.
func (s *ServerSet) UnmarshalText(text []byte) error {
	*s = ServerSet{}
	if len(text) == 0 {
		return nil
	}
	var all []Address
	for part := range strings.SplitSeq(string(text), ",") {
		all = append(all, Address(part))
	}
	*s = Servers(all...)
	return nil
}
