package policy

import (
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// refuses asks the real code to change rules while a server leads, and all that these rules know of is well.
func refuses(old topology.Ruleset, primary int) refusal {
	in := change(old, primary)
	return func(next topology.Ruleset) string {
		op := reparent.Rules(clearance(), in, next, topology.ServerSet{}, now)
		if op.Obstacle != nil {
			return op.Obstacle.Code
		}
		return ""
	}
}

// change is what an elector knows that is asked for other rules.
func change(old topology.Ruleset, primary int) reparent.Intent {
	e := newElection(serving(old, primary))
	return reparent.Intent{
		ID: "check", Elector: "checker", Term: 1, History: e.history, By: "checker", Reason: "check",
		Snapshot: topology.Snapshot{Cluster: cluster, At: now, Ruleset: old, Servers: e.well(primary)},
	}
}

// prospect is of a new ruleset all that a refusal depends on besides the old one, as a test asks of each change of four servers.
type prospect struct {
	servers set
	runs    regime
	none    bool
}

// refusal is the code with which a change is refused while a server leads; empty when it is begun. It is asked once for all new
// rulesets that have the same servers and tell that server the same.
func (c *checker) refusal(old, next *rules, primary int) string {
	if old.refuses[primary] == nil {
		old.refuses[primary], old.refused[primary] = c.judge.refuses(old.Ruleset, primary), map[prospect]string{}
	}
	p := prospect{next.servers, next.told[primary], next.Policy.Kind == topology.PolicyNone}
	code, known := old.refused[primary][p]
	if !known {
		code = old.refuses[primary](next.Ruleset)
		old.refused[primary][p] = code
	}
	return code
}

// serving is a moment in which a primary serves and nobody has died.
func serving(r topology.Ruleset, primary int) moment {
	m := moment{rules: r, led: []int{primary}, writer: primary, wanted: -1}
	m.runs[primary] = told(r, primary)
	return m
}
