package integration

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// onOutsideStore is a healthy cluster whose control plane remembers in an etcd that a test can take away.
func onOutsideStore(t *testing.T, servers, acks int) (*cluster, *outsideStore) {
	t.Helper()
	c, etcd := bare(t, servers, acks), &outsideStore{t: t}
	if err := etcd.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := etcd.end(); err != nil {
			t.Error(err)
		}
	})
	c.tune = func(b *blueprint) { b.StoreDir, b.Etcd, b.StoreWait = "", etcd.endpoints(), 300*time.Millisecond }
	c.startPlane()
	c.awaitHealthy()
	return c, etcd
}

func (c *cluster) loseStore(etcd *outsideStore) {
	c.t.Helper()
	if err := etcd.kill(); err != nil {
		c.t.Fatal(err)
	}
	c.awaitFinding(topology.StoreUnavailable, "")
}

// regainStore starts the store again, and waits until the control plane acts and nothing is wrong.
func (c *cluster) regainStore(etcd *outsideStore) orchestrator.View {
	c.t.Helper()
	if err := etcd.start(); err != nil {
		c.t.Fatal(err)
	}
	c.awaitLeading()
	return c.awaitHealthy()
}

func (c *cluster) awaitLeading() {
	c.t.Helper()
	c.await("acting again", func(v orchestrator.View) bool { return v.Leading })
}

// isOnRecord checks that a control plane which begins anew finds a change in the store, and the primary as it is.
func (c *cluster) isOnRecord(op reparent.Operation, primary topology.Address) {
	c.t.Helper()
	c.stopPlane()
	c.startPlane()
	v := c.awaitHealthy()
	if v.Primary != primary || v.Term < op.Term {
		c.t.Errorf("%s leads under term %d, want %s and no term before %d", v.Primary, v.Term, primary, op.Term)
	}
	for _, known := range c.recoveries() {
		if known.ID == op.ID && known.State == op.State && known.To == op.To {
			return
		}
	}
	c.t.Errorf("%s is not on record", op.ID)
}

func (c *cluster) refused(w orchestrator.Wish, want error) {
	c.t.Helper()
	if op, err := c.control.reparent(w); !errors.Is(err, want) {
		c.t.Fatalf("got %s and %v, want %v", op.ID, err, want)
	}
}

func TestWhileTheStoreIsAwayTheServersServeAndAnOperatorCanMoveThePrimaryKnowingly(t *testing.T) {
	c, etcd := onOutsideStore(t, 3, 1)
	before := c.view()
	wish := orchestrator.Wish{Kind: reparent.KindPlanned, By: "ada", Reason: "its host goes away", WithoutStore: true}
	c.refused(wish, orchestrator.ErrBadWish) // the store answers
	client := c.write(2)
	c.loseStore(etcd)
	c.awaitAcks(client, 50)
	if v := c.view(); v.Leading || v.Primary != before.Primary || v.State != topology.StateDegraded {
		t.Errorf("leading %v, primary %s, state %s", v.Leading, v.Primary, v.State)
	}
	if known := c.recoveries(); len(known) != 1 || known[0].Kind != reparent.KindAdoption {
		t.Errorf("of the past it remembers %d changes", len(known))
	}

	plain := wish
	plain.WithoutStore = false
	c.refused(plain, orchestrator.ErrStoreSilent)
	silent := wish
	silent.Reason = ""
	c.refused(silent, orchestrator.ErrBadWish)
	op := c.reparented(wish)
	if op.State != reparent.StateSucceeded || op.To == before.Primary || !strings.Contains(op.Cause, "without the store") {
		t.Fatalf("%s: %s to %s because %s\n%s", op.ID, op.State, op.To, op.Cause, c.describe())
	}
	c.awaitAcks(client, 50)
	if known := c.recoveries(); len(known) != 2 || known[0].ID != op.ID {
		t.Errorf("the change is not remembered among %d", len(known))
	}

	v := c.regainStore(etcd)
	if v.Primary != op.To {
		t.Errorf("%s leads, and %s was chosen", v.Primary, op.To)
	}
	c.isOnRecord(op, op.To)
	again := c.reparented(orchestrator.Wish{Kind: reparent.KindPlanned, By: "ada"})
	if again.State != reparent.StateSucceeded || again.Term <= op.Term {
		t.Errorf("the next change: %s under term %d after %d", again.State, again.Term, op.Term)
	}
	c.awaitHealthy()
	c.nothingLost(client)
}

func TestWhileTheStoreIsAwayADeadPrimaryIsReplacedByAnOperatorWhoVouchesForWhatIsNotReached(t *testing.T) {
	c, etcd := onOutsideStore(t, 3, 1)
	client := c.write(2)
	c.loseStore(etcd)
	old := c.view().Primary
	c.kill(old)
	dead := c.awaitFinding(topology.PrimaryDead, old)
	if dead.Remedy != topology.RemedyNone || !strings.Contains(dead.WhyNot, string(topology.StoreUnavailable)) {
		t.Errorf("a dead primary is answered with %q, because %q", dead.Remedy, dead.WhyNot)
	}
	wish := orchestrator.Wish{Kind: reparent.KindEmergency, By: "ada", Reason: "pager", WithoutStore: true}
	if o := c.blocked(wish); o.Code != "not_all_reached" || len(o.Needs) != 1 || !o.Needs[0].Equal(topology.Servers(old)) {
		t.Errorf("blocked by %s, needing %v", o.Code, o.Needs)
	}
	if len(c.plane.sent.all()) > 0 && c.plane.sent.of(reparent.Freeze, c.members(old)[0]) > 0 {
		t.Error("a server was frozen although nothing was to be changed")
	}
	wish.CertifyDown = []topology.Address{old}
	op := c.reparented(wish)
	if op.State != reparent.StateSucceeded {
		t.Fatalf("%s: %s %v\n%s", op.ID, op.State, op.Obstacle, c.describe())
	}
	c.awaitAcks(client, 50)
	c.restart(old)
	if err := etcd.start(); err != nil {
		t.Fatal(err)
	}
	c.awaitLeading()
	c.awaitRejoined(old)
	c.isOnRecord(op, op.To)
	c.nothingLost(client)
}

// The elector that made the change is gone when the store returns: the servers themselves have to tell.
func TestWhatWasDoneWithoutTheStoreIsTakenOverFromTheServersByAnElectorThatWasNotThere(t *testing.T) {
	c, etcd := onOutsideStore(t, 3, 1)
	client := c.write(2)
	before := c.view()
	c.loseStore(etcd)
	c.stopPlane()
	c.startPlane() // without its store
	v := c.await("the leader by the servers' journals", func(v orchestrator.View) bool { return v.Primary == before.Primary })
	if _, silent := findingOf(v, topology.StoreUnavailable, ""); !silent || v.Leading || v.Term != before.Term {
		t.Errorf("leading %v under term %d, and the store's silence is told: %v", v.Leading, v.Term, silent)
	}
	op := c.reparented(orchestrator.Wish{Kind: reparent.KindPlanned, By: "ada", Reason: "its host goes away", WithoutStore: true})
	if op.State != reparent.StateSucceeded {
		t.Fatalf("%s: %s %v\n%s", op.ID, op.State, op.Obstacle, c.describe())
	}
	c.stopPlane()
	if err := etcd.start(); err != nil {
		t.Fatal(err)
	}
	c.startPlane()
	if v := c.awaitHealthy(); v.Primary != op.To || v.Term <= op.Term || !v.Leading {
		t.Errorf("%s leads under term %d, want %s and a later term than %d", v.Primary, v.Term, op.To, op.Term)
	}
	c.nothingLost(client)
}

// Only the elector that is asked has lost the store. The other one holds the lock all the while, and outbids it as soon as
// it is refused by a server: before the change has ended, as a rule.
func TestAnElectorThatActsSettlesWhatIsDoneBehindItsBack(t *testing.T) {
	c, etcd := onOutsideStore(t, 3, 1)
	client := c.write(2)
	acting := c.plane
	way := newPath(t, strings.TrimPrefix(etcd.endpoints()[0], "http://"))
	b := c.blueprint()
	b.Elector, b.Etcd = "cut off", []string{"http://" + string(way.address())}
	other, err := b.start(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.watchOver(other)
	before := c.await("the leader on record", func(v orchestrator.View) bool { return v.Primary != "" && v.Elector == "test" })
	way.swallow()
	c.awaitFinding(topology.StoreUnavailable, "")
	op := c.reparented(orchestrator.Wish{Kind: reparent.KindPlanned, By: "ada", Reason: "its host goes away", WithoutStore: true})
	t.Logf("%s %s", op.ID, op.State)
	c.stopPlane()
	c.watchOver(acting)
	c.plane = acting
	v := c.await("a leader again", func(v orchestrator.View) bool { return serves(v) && v.Term >= before.Term })
	if !v.Leading {
		t.Error("the lock changed hands")
	}
	v = c.awaitHealthy()
	if op.State == reparent.StateSucceeded && (v.Primary != op.To || v.Term <= op.Term) {
		t.Errorf("%s leads under term %d after %s was established under %d", v.Primary, v.Term, op.To, op.Term)
	}
	c.awaitAcks(client, 50)
	c.nothingLost(client)
}
