package reparent

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// Verdict is whether transactions that a change cancelled were provably never answered to a client.
type Verdict struct {
	Never bool     `json:"never_acknowledged"`
	Why   []string `json:"why"`
	// Term is that of the change that cancelled the last of them.
	Term uint32 `json:"term,omitempty"`
}

// Author tells why it is not certain that one process of a leader wrote transactions, was made to wait for
// acknowledgements all the while, and ended or was fenced without letting anybody go who waited; empty when it is.
// A process that is shut down in order answers OK to whoever waits, though nobody acknowledged (E6).
type Author func(leader topology.Leadership, part gtid.Set) string

// Acquit asks whether errant transactions were provably never answered. chain are the established changes of the cluster
// as they were stored, newest first.
//
// Theorem. Let x be written by a leader L whose commits wait for k acks out of the servers M that can give one, and let a
// later change have cancelled x. Let C be those of M that the change froze and read, that prove absence by what they lack
// (evidence), and that lacked x. If |M \ C| < k then no client was ever told that x is committed, as long as L waited for
// its acks to the end. Proof: whoever acknowledged x held x then. A server of C did not hold x before it was frozen, for it
// would still hold it; and once frozen it acknowledged nothing to L. So the acks of x came from M \ C, which is too small.
//
// What L waited for is the author's word. A leader that stepped down in order, a change that somebody answered for, and a
// history that was taken over from journals prove nothing here; neither does what no leader on record wrote.
func Acquit(chain []Operation, errant gtid.Set, author Author) Verdict {
	v := Verdict{Never: !errant.IsEmpty()}
	for _, source := range errant.UUIDs() {
		part := errant.Only(func(s gtid.Source) bool { return s.UUID == source })
		c := cause{part: part, uuid: source, author: author}
		c.marker, c.isMarker = topology.MarkerOf(source)
		term, why, doubt := c.try(chain)
		v.Never, v.Term = v.Never && !doubt, max(v.Term, term)
		v.Why = append(v.Why, fmt.Sprintf("%s: %s", part, why))
	}
	return v
}

// cause is what one leader wrote and a change cancelled.
type cause struct {
	part     gtid.Set
	uuid     gtid.UUID
	marker   topology.Marker
	isMarker bool
	author   Author
}

// try goes back from change to change until the one that made the author a leader: each on the way that ended a
// leadership of his has to prove that nothing of the part was answered. That last one need not, though it may have ended an
// earlier leadership of his: what he had completed by then it took over, and the part lies beyond that.
func (c cause) try(chain []Operation) (term uint32, why string, doubt bool) {
	for i, op := range chain {
		if i > 0 {
			if before, led := chain[i-1].History.Current(); !led || before.Term != op.Term {
				break
			}
		}
		if l, his := c.leadership(op); his && !c.began(op) {
			if doubt := op.doubts(l, c); doubt != "" {
				return op.Term, doubt, true
			}
			term, why = max(term, op.Term), op.acquitted(l, c)
		}
		if c.began(op) {
			if why == "" {
				break
			}
			return term, why, false
		}
	}
	return term, "no change on record that ended the leadership under which they were written proves anything about them", true
}

// leadership is the one of the author's that a change ended.
func (c cause) leadership(op Operation) (topology.Leadership, bool) {
	for _, l := range op.History.Leaderships {
		if c.isMarker && l.Marker() == c.marker || !c.isMarker && l.PrimaryUUID == c.uuid {
			return l, true
		}
	}
	return topology.Leadership{}, false
}

// began tells whether a change began the leadership under which the part was written: what he had written before it is
// part of what it took over. A marker was written by the change of its own term, which came to nothing.
func (c cause) began(op Operation) bool {
	if c.isMarker {
		return op.Term <= c.marker.Term
	}
	if op.Decision == nil || op.Decision.PrimaryUUID != c.uuid {
		return false
	}
	for i := range c.part.Intervals() {
		if i.First < op.Decision.Base.Next(i.Source) {
			return false
		}
	}
	return true
}

// doubts says why a change proves nothing of a part that it cancelled; empty when it does.
func (op Operation) doubts(led topology.Leadership, c cause) string {
	switch {
	case op.Kind != KindEmergency:
		return fmt.Sprintf("%s of term %d stepped down in order in the %s change of term %d: what it wrote beyond that is nobody's", led.Primary, led.Term, op.Kind, op.Term)
	case op.Established.IsZero() || op.Decision == nil:
		return fmt.Sprintf("what became of the change of term %d is not on record", op.Term)
	case op.AcceptLoss, op.KeepErrant:
		return fmt.Sprintf("in the change of term %d %s took it upon himself what may be lost: %s", op.Term, op.By, op.Reason)
	case op.History.Recovered:
		return fmt.Sprintf("the change of term %d began from a history that was taken over from journals", op.Term)
	case op.Decision.Base.Intersects(c.part):
		return fmt.Sprintf("the change of term %d honours some of it", op.Term)
	}
	i := slices.IndexFunc(op.Leaders, func(l Leader) bool { return l.Address == led.Primary })
	if i < 0 {
		return fmt.Sprintf("the change of term %d did not revoke %s", op.Term, led.Primary)
	}
	return cmp.Or(op.counts(op.Leaders[i], c.part), c.waited(led, op))
}

// waited asks the author. Of a marker nobody but an elector was ever told, and that it was not established is on record.
func (c cause) waited(led topology.Leadership, op Operation) string {
	if c.isMarker {
		return ""
	}
	if known := op.Known[led.Primary]; known.UUID != led.PrimaryUUID {
		return fmt.Sprintf("another server answered at %s than the one that led", led.Primary)
	}
	return c.author(led, c.part)
}

// counts says whose acknowledgements some of a part may have had; empty when there cannot have been enough of them.
func (op *Operation) counts(l Leader, part gtid.Set) string {
	if l.Acks == 0 || l.SeenAt.IsZero() {
		return cmp.Or(l.Why, fmt.Sprintf("%s may have answered without any acknowledgement", l.Address))
	}
	evidence := op.evidence(l)
	for _, piece := range op.pieces(part, evidence) {
		lacking := evidence.Where(func(a topology.Address) bool { return !op.Progress[a].Reading.Position().Intersects(piece) })
		if possible := op.mayAck(l.Address).Minus(lacking); possible.Len() >= l.Acks {
			return fmt.Sprintf("%s needed %s, and %s may have given it for %s", l.Address, acks(l.Acks), possible, piece)
		}
	}
	return ""
}

// pieces cuts a part so that each piece is held whole or not at all by each server that proves something.
func (op *Operation) pieces(part gtid.Set, servers topology.ServerSet) []gtid.Set {
	all := []gtid.Set{part}
	for _, a := range servers.List() {
		held := op.Progress[a].Reading.Position()
		var cut []gtid.Set
		for _, p := range all {
			cut = append(cut, p.Intersect(held), p.Subtract(held))
		}
		all = slices.DeleteFunc(cut, gtid.Set.IsEmpty)
	}
	return all
}

// acquitted words the proof.
func (op *Operation) acquitted(led topology.Leadership, c cause) string {
	i := slices.IndexFunc(op.Leaders, func(l Leader) bool { return l.Address == led.Primary })
	l := op.Leaders[i]
	evidence := op.evidence(l).And(op.mayAck(l.Address))
	lacking := evidence.Where(func(a topology.Address) bool { return !op.Progress[a].Reading.Position().Intersects(c.part) })
	return fmt.Sprintf("written by %s under term %d, whose commits wait for %s; the change of term %d froze and read %s, and %s lacked them: too few were left that could have acknowledged",
		led.Primary, led.Term, acks(l.Acks), op.Term, evidence, lacking)
}
