package policy

import "github.com/primacydb/primacy/topology"

// judge is the code whose verdicts are checked. The checker takes it as a parameter, so that wrong ones can be
// shown to be caught.
type judge struct {
	// told is what MySQL is told while a server leads.
	told func(r topology.Ruleset, primary int) regime
	// elector faces a moment: a primary is lost, and leadership is to move.
	elector func(m moment) elector
	// succeeds says why one ruleset may not simply take another's place; empty when it may.
	succeeds func(old, next topology.Ruleset) string
	// order is how a change of the rules is carried out.
	order func(old, next topology.Ruleset) []move
	// refuses says by which code a change is not made as one while a server leads, although everybody is well; empty when it
	// is begun.
	refuses func(old topology.Ruleset, primary int) refusal
}

// production is the code that electors run.
func production() judge {
	return judge{
		told:     told,
		elector:  func(m moment) elector { return newElection(m) },
		succeeds: topology.Ruleset.Succeeds,
		order:    orderOf,
		refuses:  refuses,
	}
}

// refusal is asked of one new ruleset after the other.
type refusal func(next topology.Ruleset) string

// moment is a cluster as the elector knows it when it begins.
type moment struct {
	rules topology.Ruleset
	// led is who leads by record: the established primary, then any whose outcome is unknown. With nobody on
	// record everybody may be leading.
	led []int
	// runs is what each server's MySQL does, or would do, as a primary.
	runs [serversMax]regime
	// writer is the leader whose transaction is at stake.
	writer int
	// blind: the elector has never seen the leaders, nor who acknowledges; it goes by the record alone.
	blind bool
	// certified are leaders that an operator vouches to be powered off; lossAccepted: that operator gives up what the
	// frozen servers cannot show.
	certified    set
	lossAccepted bool
	// wanted is the only candidate that will do; -1 for any.
	wanted int
	// brief asks who may lead next, and leaves out what that does not depend on: by whom the transaction at stake was
	// acknowledged, and servers that lost their relay log.
	brief bool
}

// mayLead is everybody who may be completing writes.
func (m moment) mayLead() set {
	var all set
	for _, l := range m.led {
		all |= one(l)
	}
	if all == 0 {
		return numbered(m.rules.Servers())
	}
	return all
}

// outcome is who did what the elector asked for.
type outcome struct {
	frozen   set // the receiver is off, and they were read
	robbed   set // of the frozen: they have restarted without their relay log since they were seen
	silenced set // leaders that were made unable to complete; frozen as well
	holders  set // who holds the transaction at stake, besides its writer
}

// verdict is what the elector makes of an outcome.
type verdict struct {
	accepted  bool
	kept      bool // the chosen history has the transaction at stake
	candidate int
	// marks tells whether the candidate's marker is written once these servers are attached to it, and what MySQL
	// is told before.
	marks func(attached set) (regime, bool)
}

// elector judges outcomes of one moment.
type elector interface {
	verdict(o outcome) verdict
}
