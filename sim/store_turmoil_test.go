package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// turmoil is a life of three electors that compete for a lock, write as long as they hold it, and meet every fault.
type turmoil struct {
	*depot
	seed    uint64
	rand    *rand.Rand
	clients []*storeClient
	leases  []*storeLease // the one that each elector holds or held last
	sure    int           // updates that were confirmed in this era
	unsure  int           // and those that were not
	rewound bool          // the store has been restored: nothing is known of its counter
	early   time.Duration // until when two may believe that they hold the lock
}

func newTurmoil(t testing.TB, seed uint64) *turmoil {
	x := &turmoil{depot: newDepot(t, seed), seed: seed, rand: rand.New(rand.NewPCG(seed, 1))}
	for i := range 3 {
		x.clients, x.leases = append(x.clients, nil), append(x.leases, nil)
		x.hire(i)
	}
	x.clock.after(x.soon(), x.harm)
	return x
}

func (x *turmoil) soon() time.Duration { return time.Duration(x.rand.Int64N(int64(2 * time.Second))) }

// hire puts a new process in an elector's place.
func (x *turmoil) hire(i int) {
	c := x.vault.connect(x.clock.newProcess(fmt.Sprint("elector-", i+1)))
	x.clients[i], x.leases[i] = c, nil
	c.process.spawn(func() {
		for {
			if l, err := c.Acquire(context.Background(), "shop"); err == nil {
				x.leases[i] = l.(*storeLease)
				x.lead(x.leases[i])
			}
		}
	})
}

// lead writes until the lock is lost or given back.
func (x *turmoil) lead(l *storeLease) {
	ctx := context.Background()
	for n := 0; l.Context().Err() == nil && n < 200; n++ {
		x.unsure++
		if err := l.Update(ctx, "counter", addOne); err == nil {
			x.unsure--
			x.sure++
		}
		if n%5 == 0 {
			_, _ = l.NextTerm(ctx, 0) // what is handed out is checked by the vault
		}
		(&bell{clock: x.clock}).Wait(l.Context(), 20*time.Millisecond)
	}
	_ = l.Release(ctx) // a failed one is made up for
}

// harm is one fault, and the next one.
func (x *turmoil) harm() {
	i := x.rand.IntN(len(x.clients))
	p, v := x.clients[i].process, x.vault
	mended := x.soon() * 4
	switch x.rand.IntN(9) {
	case 0:
		p.kill()
		x.clock.after(mended, func() { x.hire(i) })
	case 1:
		p.pause()
		x.clock.after(mended, p.thaw)
	case 2:
		v.cut(p, true)
		x.clock.after(mended, func() { v.cut(p, false) })
	case 3:
		v.loseReplies(p, true)
		x.clock.after(mended, func() { v.loseReplies(p, false) })
	case 4:
		v.slow(p, 0, x.soon())
		x.clock.after(mended, func() { v.slow(p, usualDelay.low, usualDelay.high) })
	case 5:
		v.stop(true)
		x.clock.after(mended, func() { v.stop(false) })
	case 6:
		v.endLeases(p)
		x.early = x.clock.now + sessionTTL
	case 7:
		v.restore(mended)
		x.rewound, x.early = true, x.clock.now+sessionTTL
	case 8:
		v.empty()
		x.rewound, x.early = true, x.clock.now+sessionTTL
	}
	if x.clock.now < 30*time.Second {
		x.clock.after(x.soon(), x.harm)
	}
}

// judge checks what must always be so.
func (x *turmoil) judge() bool {
	holders := 0
	for _, l := range x.leases {
		if l != nil && !l.client.process.dead && !l.client.process.paused && x.held(l) {
			holders++
		}
	}
	if holders > 1 && x.clock.now > x.early {
		x.Fatalf("seed %d at %s: two hold the lock", x.seed, x.clock.now)
	}
	return false
}

func (x *turmoil) end() {
	x.Helper()
	x.clock.runUntil(40*time.Second, x.judge)
	before, at := x.sure, x.clock.now
	x.clock.runUntil(at+10*time.Second, x.judge)
	if x.sure == before {
		x.Fatalf("seed %d: nobody works although all faults are mended", x.seed)
	}
	x.sound()
	n := len(x.value("counter"))
	if counted := 0; !x.rewound && n > 0 {
		if _, err := fmt.Sscan(x.value("counter"), &counted); err != nil || counted < x.sure || counted > x.sure+x.unsure {
			x.Fatalf("seed %d: %d updates were confirmed, %d are in doubt, %d are there", x.seed, x.sure, x.unsure, counted)
		}
	}
	for _, c := range x.clients {
		c.process.kill()
	}
}

func TestUnderAllFaultsOneHoldsAStoredLockAndNothingIsLost(t *testing.T) {
	for seed := range uint64(200) {
		x := newTurmoil(t, seed)
		x.end()
	}
}

func TestTheSameSeedMakesTheSameStoreHistory(t *testing.T) {
	for seed := range uint64(10) {
		var digests [2]uint64
		var revisions [2]int64
		for i := range digests {
			x := newTurmoil(t, seed)
			x.end()
			digests[i], revisions[i] = x.clock.digest, int64(len(x.vault.history.entries))
		}
		if digests[0] != digests[1] || revisions[0] != revisions[1] {
			t.Errorf("seed %d: digests %x, entries %d", seed, digests, revisions)
		}
	}
}
