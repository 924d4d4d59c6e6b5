package integration

import (
	"slices"

	"github.com/primacydb/primacy/reparent"
)

// everyChangeIsProven examines the certificates of all changes: each by itself, all as a chain, and against what the
// servers hold in their journals.
func (c *cluster) everyChangeIsProven() {
	c.t.Helper()
	journals := reparent.Journals{}
	for _, a := range c.members() {
		decisions, err := c.plane.fleet.Journal(c.t.Context(), a)
		if err != nil {
			c.t.Fatal(err)
		}
		journals[a] = decisions
	}
	var chain []reparent.Certificate
	for _, op := range slices.Backward(c.endedChanges()) {
		text, err := c.plane.orch.Certificate(c.t.Context(), clusterName, op.ID)
		if err != nil {
			c.t.Fatal(err)
		}
		one, err := reparent.ReadCertificate(text)
		if err != nil {
			c.t.Fatal(err)
		}
		chain = append(chain, one)
		for _, claim := range append(one.Claims(), one.Against(journals)) {
			if claim.Standing != reparent.Holds {
				c.t.Errorf("%s: %s is %s: %s", op.ID, claim.Name, claim.Standing, claim.Detail)
			}
		}
	}
	for _, claim := range reparent.Chain(chain) {
		if claim.Standing != reparent.Holds {
			c.t.Errorf("%s: %s: %s", claim.Name, claim.Standing, claim.Detail)
		}
	}
	c.t.Logf("%d changes proven by their certificates", len(chain))
}

// endedChanges waits until no change is under way, and lists all, the latest first.
func (c *cluster) endedChanges() (all []reparent.Operation) {
	c.t.Helper()
	c.eventually("every change on record with its end", func() bool {
		all = c.recoveries()
		return !slices.ContainsFunc(all, reparent.Operation.Running)
	})
	return all
}
