package sim

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

func TestAChangeWhoseCandidateIsNotSeenHasToBeFinished(t *testing.T) {
	for name, row := range map[string]struct {
		cause  topology.Code
		frozen bool
		broken bool
	}{
		"its candidate is frozen":      {cause: topology.LeadershipUnsettled, frozen: true},
		"its candidate answers":        {cause: topology.LeadershipUnsettled, broken: true},
		"it is not what is to be done": {cause: topology.PrimaryFrozen, frozen: true, broken: true},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, err := EvenCluster(3, topology.Policy{Kind: topology.PolicyNone})
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(1, Options{Cluster: &cluster, Kinds: []Kind{}})
			e, a, c := w.electors[0], w.hosts.all[0], w.hosts.all[2]
			all := func() bool {
				for _, s := range w.hosts.all {
					if s != a && !s.receives(a) {
						return false
					}
				}
				return !a.readOnly
			}
			w.clock.runUntil(10*time.Second, nil)
			if !all() {
				t.Fatal("not every server follows A")
			}
			if row.frozen {
				c.freeze()
			}
			led := topology.Leadership{Decision: topology.Decision{Term: 2, Primary: a.address, Incarnation: a.incarnation}, EstablishedAt: time.Unix(1, 0)}
			begun := topology.Leadership{Decision: topology.Decision{Term: 3, Primary: c.address, Incarnation: c.incarnation}}
			newConduct(w).needed(e, reparent.Operation{
				Kind: reparent.KindEmergency, Automatic: true, From: a.address, Cause: string(row.cause) + ": x", Ruleset: w.ruleset,
				History: topology.History{Leaderships: []topology.Leadership{led, begun}},
			})
			if got := w.breaks(NoNeedlessChange); got != row.broken {
				t.Errorf("broken: %t; expected %t", got, row.broken)
			}
		})
	}
}
