package topology

import (
	"slices"
	"strings"
)

// Address names one mysqld as "host:port"; it is the key of a server everywhere.
type Address string

// ServerSet is an immutable set of servers, kept sorted; the zero value is empty.
type ServerSet struct{ members []Address }

// Servers makes a set of the given addresses; duplicates count once.
func Servers(addresses ...Address) ServerSet {
	members := slices.Clone(addresses)
	slices.Sort(members)
	return ServerSet{slices.Compact(members)}
}

// Len is the number of servers in the set.
func (s ServerSet) Len() int { return len(s.members) }

// IsEmpty tells whether no server is in the set.
func (s ServerSet) IsEmpty() bool { return len(s.members) == 0 }

// Has tells whether the server is in the set.
func (s ServerSet) Has(a Address) bool {
	_, found := slices.BinarySearch(s.members, a)
	return found
}

// List returns the servers in order; the caller owns the slice.
func (s ServerSet) List() []Address { return slices.Clone(s.members) }

// Where keeps the servers for which keep is true.
func (s ServerSet) Where(keep func(Address) bool) ServerSet {
	var kept []Address
	for _, a := range s.members {
		if keep(a) {
			kept = append(kept, a)
		}
	}
	return ServerSet{kept}
}

// Union holds what is in either set.
func (s ServerSet) Union(t ServerSet) ServerSet {
	return Servers(append(slices.Clone(s.members), t.members...)...)
}

// With adds servers.
func (s ServerSet) With(addresses ...Address) ServerSet { return s.Union(Servers(addresses...)) }

// Minus holds what is in s and not in t.
func (s ServerSet) Minus(t ServerSet) ServerSet {
	return s.Where(func(a Address) bool { return !t.Has(a) })
}

// Without removes servers.
func (s ServerSet) Without(addresses ...Address) ServerSet { return s.Minus(Servers(addresses...)) }

// And holds what is in both sets.
func (s ServerSet) And(t ServerSet) ServerSet {
	return s.Where(t.Has)
}

// Equal tells whether both hold the same servers.
func (s ServerSet) Equal(t ServerSet) bool { return slices.Equal(s.members, t.members) }

// Contains tells whether all of t is in s.
func (s ServerSet) Contains(t ServerSet) bool { return t.Minus(s).IsEmpty() }

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
