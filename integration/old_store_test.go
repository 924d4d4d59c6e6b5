package integration

import (
	"context"
	"strings"
	"testing"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// decisions are all that the servers' journals tell, by term. Two under one term contradict each other for good.
func (c *cluster) decisions() map[uint32]topology.Decision {
	c.t.Helper()
	found := map[uint32]topology.Decision{}
	for _, a := range c.members() {
		ctx, cancel := context.WithTimeout(c.t.Context(), patience)
		told, err := c.plane.fleet.Journal(ctx, a)
		cancel()
		if err != nil {
			c.t.Fatal(err)
		}
		for _, d := range told {
			if known, again := found[d.Term]; again && known.Hash != d.Hash {
				c.t.Errorf("term %d was decided twice: for %s and for %s", d.Term, known.Primary, d.Primary)
			}
			found[d.Term] = d
		}
	}
	return found
}

func (c *cluster) moveOn() reparent.Operation {
	c.t.Helper()
	op := c.reparented(orchestrator.Wish{Kind: reparent.KindPlanned, By: "ada"})
	if op.State != reparent.StateSucceeded {
		c.t.Fatalf("%s: %s %v\n%s", op.ID, op.State, op.Obstacle, c.describe())
	}
	c.awaitHealthy()
	return op
}

// onRecord tells whether a stored document says something.
func (c *cluster) onRecord(key, text string) bool {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	d, _, err := c.plane.store.Get(ctx, key)
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.Contains(string(d.Value), text)
}

// The backup is of a time before several changes; the elector that made them is gone in one case, and goes on in the other.
func TestAStoreThatWasPutBackHandsOutNoTermThatServersHaveSeen(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		name := "the elector goes on"
		if restarted {
			name = "the elector is new as well"
		}
		t.Run(name, func(t *testing.T) {
			c, etcd := onOutsideStore(t, 3, 1)
			client := c.write(2)
			if err := etcd.backUp(); err != nil {
				t.Fatal(err)
			}
			c.awaitHealthy()
			c.moveOn()
			last := c.moveOn()
			used := c.decisions()
			if restarted {
				c.stopPlane()
			}
			if err := etcd.restore(0); err != nil {
				t.Fatal(err)
			}
			if restarted {
				c.startPlane()
			}
			// An elector whose lock the backup knows has lost nothing. A new one adopts the primary that it finds.
			c.await("acting for the same primary", func(v orchestrator.View) bool {
				return v.Leading && v.Primary == last.To && (v.Term > last.Term || !restarted)
			})
			c.awaitHealthy()
			c.eventually("what it knows is on record again", func() bool {
				if v := c.view(); v.Leading && v.Term > last.Term {
					return true // the store was away for longer than a lease, which shows only once it is back: it began anew from the journals
				}
				return c.onRecord("clusters/shop/lineage", last.Decision.Hash) && c.onRecord("recoveries/shop/"+last.ID, last.Decision.Hash)
			})
			c.awaitHealthy()
			c.moveOn()
			for term, d := range c.decisions() {
				if _, before := used[term]; !before && term <= last.Term {
					t.Errorf("term %d of %s is new, and %d was in use", term, d.Primary, last.Term)
				}
			}
			c.nothingLost(client)
		})
	}
}
