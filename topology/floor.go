package topology

import "github.com/primacydb/primacy/gtid"

// Floor is the position below which no later choice of history may go, brought up to date with a new observation.
//
// What the established process P has executed while each of its commits waits for as many acknowledgements as the
// ruleset needs was answered to clients and is durable. So P's executed set is a floor if it is P that was seen (the
// same server, the same process: a restart completes what nobody acknowledged) and if it was seen to wait. Any other
// observation proves nothing and leaves the floor as it was. The new floor replaces the old one rather than joining it:
// an operator may have accepted a loss, and then the old floor could never be reached again.
//
// Once P shows the marker of a later term it has stepped down and replicates: it executes what it receives, whether or
// not anybody else acknowledged that.
func Floor(previous gtid.Set, o Observation, l Leadership, r Ruleset) gtid.Set {
	established := l.Established() && o.OK() && o.UUID == l.PrimaryUUID && o.Incarnation == l.Incarnation
	if !established || !o.SemiSync.Verified() || o.SemiSync.Acks < r.AcksNeeded(l.Primary) {
		return previous
	}
	if latest, _ := HighestMarker(o.Executed); latest.Term > l.Term {
		return previous
	}
	return o.Executed
}
