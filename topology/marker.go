package topology

import (
	"encoding/binary"
	"fmt"

	"github.com/primacydb/primacy/gtid"
)

// markerPrefix is "prim" in ASCII: the first four bytes of every term marker's UUID.
const markerPrefix = 0x7072696d

// Marker is the version of a leadership as it stands in GTID sets: the first transaction of a new
// primary is written under UUID prefix-term-hash, number 1. It is visible in a replica's received
// set before it is applied, so terms are read by set arithmetic, with no table read.
type Marker struct {
	Term uint32 `json:"term"`
	// Hash holds bits of the decision's hash, so that two electors which (against all rules) used one
	// term never produce the same GTID with different content.
	Hash uint64 `json:"hash"`
}

// GTID is the marker as a transaction's name.
func (m Marker) GTID() gtid.GTID {
	var u gtid.UUID
	binary.BigEndian.PutUint32(u[0:4], markerPrefix)
	binary.BigEndian.PutUint32(u[4:8], m.Term)
	binary.BigEndian.PutUint64(u[8:16], m.Hash)
	return gtid.GTID{UUID: u, Number: 1}
}

// Set is the marker as a one-element set.
func (m Marker) Set() gtid.Set { return gtid.Of(m.GTID()) }

// String shows term and hash.
func (m Marker) String() string { return fmt.Sprintf("term %d (%016x)", m.Term, m.Hash) }

// MarkerOf reads a marker out of a UUID; false when the UUID is an ordinary server's.
func MarkerOf(u gtid.UUID) (Marker, bool) {
	if binary.BigEndian.Uint32(u[0:4]) != markerPrefix {
		return Marker{}, false
	}
	return Marker{Term: binary.BigEndian.Uint32(u[4:8]), Hash: binary.BigEndian.Uint64(u[8:16])}, true
}

// before orders markers as their UUIDs are.
func (m Marker) before(o Marker) bool {
	return m.Term < o.Term || m.Term == o.Term && m.Hash < o.Hash
}

// Markers lists the term markers in a position, lowest term first.
func Markers(position gtid.Set) []Marker {
	var found []Marker
	for s := range position.Sources() {
		if m, ok := MarkerOf(s.UUID); ok && (len(found) == 0 || found[len(found)-1] != m) {
			found = append(found, m)
		}
	}
	return found
}

// HighestMarker is the latest leadership that a position knows of; false when it knows none.
func HighestMarker(position gtid.Set) (Marker, bool) {
	var highest Marker
	found := false
	for s := range position.Sources() {
		if m, ok := MarkerOf(s.UUID); ok {
			highest, found = m, true
		}
	}
	return highest, found
}
