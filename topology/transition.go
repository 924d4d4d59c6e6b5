package topology

// Move is one kind of step of a change of the rules: on the primary's MySQL, on its ackers, or in the store.
type Move string

// The moves, in the order in which a change that takes a barrier makes them.
const (
	MoveRaise   Move = "raise the acks"                       // to the higher of both rulesets'
	MoveDisable Move = "disable ackers"                       // those that the new ruleset does not have
	MoveBarrier Move = "have a transaction acknowledged once" // whoever acknowledged it holds everything before it
	MoveRecord  Move = "record"                               // the new ruleset takes the old one's place in the store
	MoveEnable  Move = "enable ackers"                        // those that the old ruleset did not have
	MoveLower   Move = "lower the acks"                       // to the new ruleset's
	// MoveRepair is enabling and lowering in whatever order servers obey, as the loop mends what a new ruleset finds wrong.
	MoveRepair Move = "repair"
)

// Transition is how one ruleset takes another one's place while one server leads.
//
// Theorem. Let the old rules be k of E and the new ones k' of E'. As long as the old ones are on record MySQL may run any j
// of G with G ⊆ E and j ≥ k: fewer can answer, so whoever is revoked by the record is revoked. The same holds for the new
// ones. So a change goes through k″ = max(k, k') of E″ = E ∩ E', which both records cover; and before the new rules are
// recorded a barrier makes k″ of E″ hold everything that fewer or others had acknowledged: a transaction that is committed
// after the change of MySQL was confirmed, and comes back acknowledged. Whatever was answered before stands before it in the
// binary log. It may be given up at any point: either ruleset covers what MySQL runs by then.
//
// Where the old policy is none, nobody's acknowledgement was ever asked for, and the primary is revoked by reaching it alone.
// Then E may be taken to be E'. Where the new one is none as well nothing was promised and nothing will be: there is nothing
// to have acknowledged, and no server could be told to wait for nobody.
type Transition struct {
	Primary   Address
	Old, Next Ruleset
}

// Moves are the steps of the change, in an order in which it is safe to stop after each.
func (t Transition) Moves() []Move {
	switch {
	case t.AtOnce():
		return []Move{MoveRecord, MoveRepair}
	case t.PromisesNothing():
		return []Move{MoveDisable, MoveRecord}
	case t.Old.Policy.Kind == PolicyNone:
		return []Move{MoveEnable, MoveRaise, MoveBarrier, MoveRecord}
	}
	return []Move{MoveRaise, MoveDisable, MoveBarrier, MoveRecord, MoveEnable, MoveLower}
}

// AtOnce tells whether it takes no more than to record the new rules: see Ruleset.Succeeds.
func (t Transition) AtOnce() bool { return t.Old.Succeeds(t.Next) == "" }

// PromisesNothing tells whether there is no promise before the change nor after it, so that it takes no barrier.
func (t Transition) PromisesNothing() bool {
	return t.Old.Policy.Kind == PolicyNone && t.Next.Policy.Kind == PolicyNone
}

// Acks is k″.
func (t Transition) Acks() int {
	return max(t.Old.AcksNeeded(t.Primary), t.Next.AcksNeeded(t.Primary))
}

// Kept is E″: who may acknowledge before the change and after it.
func (t Transition) Kept() ServerSet {
	if t.Old.Policy.Kind == PolicyNone {
		return t.Next.Ackers(t.Primary)
	}
	return t.Old.Ackers(t.Primary).And(t.Next.Ackers(t.Primary))
}

// Leaving are the ackers that have to stop acknowledging before the barrier.
func (t Transition) Leaving() ServerSet {
	return t.Old.Ackers(t.Primary).Minus(t.Next.Ackers(t.Primary))
}

// Removed are the servers that are members no more.
func (t Transition) Removed() ServerSet { return t.Old.Servers().Minus(t.Next.Servers()) }

// Added are those that become members.
func (t Transition) Added() ServerSet { return t.Next.Servers().Minus(t.Old.Servers()) }
