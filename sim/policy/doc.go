// Package policy checks durability policies by trying everything: for small clusters it enumerates every
// policy with every parameter, every way to spread the servers over zones, who may lead and who leads, who
// acknowledged and who answers the elector, and every change of the rules. It judges the real code: what
// MySQL is told is asked of topology, what an elector accepts of reparent's Operation, driven by results as
// a fleet would give them.
//
// The letters are these. A cluster has servers S; L leads; MySQL was told to answer L's clients once any k of
// the enabled ackers E have acknowledged, so what L completes is held by L and a set Q ⊆ E with |Q| = k.
// An elector has silenced the leaders in Z and frozen F ⊆ S; of these the ones in R have lost their relay log.
//
//	Promise     Durable(L, H) exactly when H ∪ {L} outlives every loss that the policy promises to outlive.
//	Told        every Q outlives them: MySQL never answers too early.
//	Revoked     F is accepted  ⇒  |E \ F| < k, or L ∈ Z, or an operator certified L: it completes nothing more.
//	Found       F is accepted  ⇒  the chosen history has what L completed with Q, for every Q.
//	Established F is accepted and the marker may be written with A attached  ⇒  the candidate is in F and leads
//	            nothing any more, |A ∩ E'| ≥ k', and each k' of A ∩ E' outlive the losses. By Revoked nobody else
//	            completes then: two leaders exclude each other.
//	Changed     Revoked and Found hold at every step of a change of the rules, with all that was completed on the
//	            way, for an elector that knows just the ruleset that is on record at that step, in the order in which the
//	            real code makes the change; up to the record step by step, and then at all stages that the loop's repairs
//	            may come by, in any order. What the real code begins it can bring to its end.
//
// Policy none promises nothing of what its primary alone holds, and with allow_unfenced not even Revoked, nor of anything as
// long as it is on record; what was completed under it counts from the record of a ruleset that promises more. An operator
// may accept that Found does not hold. Everything is tried up to the names of servers and zones. Who is wanted as the next
// primary, and who may never be one, is tried with one Q and without R, on which it has no bearing.
//
// Revoked and Found say of the frozen sets what quorum systems say of theirs: each meets every Q.
package policy
