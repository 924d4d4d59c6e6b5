package topology

import "fmt"

// halfRewound reports servers on which a rewind was begun and not brought to its end: rows are undone that their GTIDs still
// tell of. Such a server skips these transactions for ever, whoever sends them, and where the primary has them by now it does
// not even pass for errant. It is attached to nobody and not promoted; see docs/rewind.md.
func (q *inquiry) halfRewound(found []Finding) []Finding {
	for _, o := range q.members {
		if !o.Reach.OK() || o.Undone.IsEmpty() || q.s.Settling == o.Address {
			continue
		}
		f := Finding{
			Code: HalfRewound, Severity: SeverityCritical, Server: o.Address,
			Message:  fmt.Sprintf("%s says that it has executed %s, and a rewind has undone it there: its rows lack what its GTIDs tell of", o.Address, transactions(o.Undone)),
			Evidence: []Evidence{q.noted(o, fmt.Sprintf("_primacy.undone names %s, and gtid_executed still holds it", o.Undone))},
			WhyNot:   "nobody sends it again what it says that it has: rebuild it from another server's data",
		}
		if q.errant[o.Address].Intersects(o.Undone) {
			f.WhyNot = "the rewind goes on from there when it is asked for again; or clone the server"
		}
		found = append(found, f)
	}
	return found
}
