package store

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/internal/stopwatchtest"
)

const ttl = 2 * time.Second

// loses checks that a lease ends within its time to live after begun, and for good.
func loses(t *testing.T, l *Lease, begun time.Time, watch *stopwatchtest.Watch) {
	t.Helper()
	awaitDone(t, l, 10*ttl)
	if took := watch.Took(); took > ttl {
		t.Errorf("lost only after %s, the lease is %s", took, ttl)
	}
	if l.Held(time.Now()) || l.Held(begun.Add(-time.Hour)) {
		t.Error("held after it was lost")
	}
}

func TestAFrozenEtcdEndsEveryLeaseWithinItsTimeToLive(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	s := open(t, Settings{Endpoints: []string{etcd.endpoint}, LeaseTTL: ttl})
	a, b := acquire(t, s, "a"), acquire(t, s, "b")

	begun, watch := time.Now(), stopwatchtest.Start(t)
	etcd.freeze()
	err := a.Put(t.Context(), doc("d", "into the silence"))
	mustFail(t, err, ErrLost)
	loses(t, a, begun, watch)
	loses(t, b, begun, watch)
	mustFail(t, s.Ready(t.Context()), ErrUnavailable)

	etcd.thaw()
	again := acquire(t, s, "a")
	must(t, again.Put(t.Context(), doc("d", "after")))
	if again.Token() <= a.Token() || a.Held(time.Now()) {
		t.Errorf("token %d after %d, old lease held %v", again.Token(), a.Token(), a.Held(time.Now()))
	}
	if got := value(t, s, "d"); got != "after" {
		t.Errorf("document says %q", got)
	}
}

func TestAKilledEtcdEndsTheLeaseAndEverythingGoesOnAfterItsRestart(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	s := open(t, Settings{Endpoints: []string{etcd.endpoint}, LeaseTTL: ttl})
	var last uint64
	for range 2 {
		l := acquire(t, s, "shop")
		term, err := l.NextTerm(t.Context(), 0)
		if must(t, err); term <= last {
			t.Errorf("term %d after %d", term, last)
		}
		last = term
		must(t, l.Put(t.Context(), doc("d", "kept")))
		begun, watch := time.Now(), stopwatchtest.Start(t)
		etcd.kill()
		loses(t, l, begun, watch)
		etcd.start()
		if got := value(t, s, "d"); got != "kept" {
			t.Errorf("document says %q after the restart", got)
		}
	}
}

func TestALockOutlivesAShortRestartOfEtcd(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	s := open(t, Settings{Endpoints: []string{etcd.endpoint}, LeaseTTL: 10 * time.Second})
	l := acquire(t, s, "shop")
	etcd.kill()
	etcd.start()
	must(t, l.Put(t.Context(), doc("d", "x")))
	restarted := time.Now()
	eventually(t, "a keep-alive is confirmed", func() bool { return l.Deadline().After(restarted.Add(9 * time.Second)) })
}

func TestAnEtcdThatGoesBackToAnOlderStateKeepsNoLockOfTheOtherPast(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	settings := Settings{Endpoints: []string{etcd.endpoint}, LeaseTTL: 15 * time.Second}
	a, b := open(t, settings), open(t, settings)
	first := acquire(t, a, "shop")
	acquire(t, b, "other") // so that the backup knows both sessions
	must(t, first.Put(t.Context(), doc("d", "old")))
	backup := etcd.backUp()
	must(t, first.Put(t.Context(), doc("d", "new")))
	must(t, first.Release(t.Context()))
	second := acquire(t, b, "shop")
	must(t, second.Put(t.Context(), doc("d", "newer")))

	etcd.restore(backup)
	awaitDone(t, second, 10*time.Second)
	mustFail(t, context.Cause(second.Context()), errDisowned)
	third := acquire(t, a, "shop") // although the lock of the backup is there, kept alive by its session
	must(t, third.Put(t.Context(), doc("e", "x")))
	if got := value(t, a, "d"); got != "old" {
		t.Errorf("document says %q, the backup has the old one", got)
	}
}

// TestALockThatIsOursInTheBackupTooSaysThatItsStoreMayHaveGoneBack and neither renewals nor writes do.
func TestALockThatIsOursInTheBackupTooSaysThatItsStoreMayHaveGoneBack(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	s := open(t, Settings{Endpoints: []string{etcd.endpoint}, LeaseTTL: 15 * time.Second})
	l := acquire(t, s, "shop")
	must(t, l.Put(t.Context(), doc("d", "old")))
	backup := etcd.backUp()
	era := l.Era()
	eventually(t, "it was kept alive, and nothing was noticed", func() bool {
		era = l.Era()
		must(t, l.Put(t.Context(), doc("d", "new")))
		renewed := l.Deadline().Add(2 * time.Second)
		eventually(t, "it was kept alive", func() bool { return l.Deadline().After(renewed) })
		return l.Era() == era
	})

	etcd.restore(backup)
	eventually(t, "it says so", func() bool { return l.Era() > era })
	if got := value(t, s, "d"); got != "old" {
		t.Errorf("document says %q, the backup has the old one", got)
	}
	must(t, l.Put(t.Context(), doc("d", "new")))
}

func TestAWriteFromAnotherPastComesToNothingThoughRevisionsRepeat(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	s := open(t, Settings{Endpoints: []string{etcd.endpoint}, LeaseTTL: 30 * time.Second})
	u := &unreliable{KV: s.client.KV}
	s.client.KV = u
	shop, drawer, brake, other := acquire(t, s, "shop"), acquire(t, s, "drawer"), acquire(t, s, "brake"), acquire(t, s, "other")
	keys := []string{fences + "shop", fences + "drawer", documents + "fleet/brake"}
	write := func(text string) (revisions []int64) {
		for range 3 {
			must(t, shop.Put(t.Context(), doc("d", text)))
			must(t, drawer.Put(t.Context(), doc("e", text)))
			must(t, other.Put(t.Context(), doc("fleet/brake", text)))
		}
		for _, key := range keys {
			reply, err := u.KV.Get(t.Context(), key)
			must(t, err)
			revisions = append(revisions, modRevision(first(reply)))
		}
		return revisions
	}
	backup := etcd.backUp()
	before := write("1")
	u.hold = every(1)
	held := func(write func(context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		mustFail(t, write(ctx), ErrUnavailable)
	}
	held(func(ctx context.Context) error { return shop.Put(ctx, doc("d", "from another past")) })
	held(func(ctx context.Context) error { _, err := drawer.NextTerm(ctx, 0); return err })
	held(func(ctx context.Context) error { return brake.Update(ctx, "fleet/brake", increment) })
	u.hold = nil

	etcd.restore(backup)
	if after := write("5"); !slices.Equal(after, before) {
		t.Fatalf("revisions are %d, and not %d as before", after, before)
	}
	if n := u.deliver(t); n != 0 {
		t.Errorf("%d writes from another past took effect", n)
	}
	if d, count := value(t, s, "d"), value(t, s, "fleet/brake"); d != "5" || count != "5" {
		t.Errorf("documents say %q and %q", d, count)
	}
	must(t, shop.Put(t.Context(), doc("d", "6")))
	must(t, brake.Update(t.Context(), "fleet/brake", increment))
}

func TestTheNextElectorHasTheLockSoonAfterItsHolderWasKilled(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	holder := startProcess(t, "elector", "CLIENT="+etcd.endpoint)
	s := open(t, Settings{Endpoints: []string{etcd.endpoint}, LeaseTTL: ttl})
	name, err := s.Holder(t.Context(), "shop")
	if must(t, err); name != "elector-child" {
		t.Fatalf("holder is %q", name)
	}
	watch := stopwatchtest.Start(t)
	holder.kill()
	acquire(t, s, "shop")
	took := watch.Took()
	if t.Logf("the next holder had the lock after %s", took); took > ttl+time.Second {
		t.Errorf("that is more than a second over the lease of %s", ttl)
	}
}

func TestClosingAStoreHandsItsLocksOnAtOnce(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	first, err := Open(t.Context(), Settings{Endpoints: []string{etcd.endpoint}, LeaseTTL: time.Minute})
	must(t, err)
	acquire(t, first, "shop")
	second := open(t, Settings{Endpoints: []string{etcd.endpoint}})
	must(t, first.Close())
	watch := stopwatchtest.Start(t)
	acquire(t, second, "shop")
	if took := watch.Took(); took > time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestAFrozenElectorWakesUpWithoutItsLock(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	holder := startProcess(t, "elector", "CLIENT="+etcd.endpoint)
	holder.freeze()
	s := open(t, Settings{Endpoints: []string{etcd.endpoint}, LeaseTTL: ttl})
	l := acquire(t, s, "shop")
	holder.thaw()
	// The child goes on as if nothing had happened, and takes nothing away.
	woken := time.Now()
	eventually(t, "the lock was kept alive since", func() bool { return l.Deadline().After(woken.Add(2 * ttl)) })
	must(t, l.Put(t.Context(), doc("d", "x")))
}

func TestWhatWasWrittenSurvivesTheKillingOfAnEmbeddedEtcd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	child := startProcess(t, "member", "DIR="+dir)
	child.kill()
	s := open(t, Settings{Dir: dir, LeaseTTL: time.Minute})
	if got := value(t, s, "operations/shop/1"); got != "intent" {
		t.Errorf("document says %q", got)
	}
	watch := stopwatchtest.Start(t)
	l := acquire(t, s, "shop")
	if took := watch.Took(); took > 500*time.Millisecond {
		t.Errorf("the dead process kept its lock for %s", took)
	}
	term, err := l.NextTerm(t.Context(), 0)
	if must(t, err); term != 43 {
		t.Errorf("term %d, want 43 after 42", term)
	}
}

func TestOneFrozenMemberOfThreeCostsNoLock(t *testing.T) {
	t.Parallel()
	etcds := startThreeEtcds(t)
	var endpoints []string
	for _, e := range etcds {
		endpoints = append(endpoints, e.endpoint)
	}
	s := open(t, Settings{Endpoints: endpoints, LeaseTTL: 3 * time.Second})
	l := acquire(t, s, "shop")
	etcds[ledMember(t, s, endpoints)].freeze()
	frozen := time.Now()
	for i := range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second) // time enough to elect another leader
		if err := l.Put(ctx, doc("d", "x")); err != nil {
			t.Errorf("write %d: %v", i, err)
		}
		cancel()
	}
	eventually(t, "the lock was kept alive since, or lost", func() bool {
		return l.Deadline().After(frozen.Add(8*time.Second)) || !l.Held(time.Now())
	})
	if !l.Held(time.Now()) {
		t.Error("the lock was lost")
	}
}

// ledMember is the index of a member that does not lead.
func ledMember(t *testing.T, s *Store, endpoints []string) int {
	t.Helper()
	for i, endpoint := range endpoints {
		status, err := s.client.Status(t.Context(), endpoint)
		if must(t, err); status.Leader != status.Header.MemberId {
			return i
		}
	}
	t.Fatal("every member leads")
	return 0
}

func TestWithoutAQuorumTheLeaseEnds(t *testing.T) {
	t.Parallel()
	etcds := startThreeEtcds(t)
	s := open(t, Settings{Endpoints: []string{etcds[0].endpoint}, LeaseTTL: ttl})
	l := acquire(t, s, "shop")
	etcds[1].freeze()
	etcds[2].freeze()
	// A leader without followers takes up to two election timeouts to notice, and renews leases until then. It may, for
	// another leader would count each lease from its own election.
	awaitDone(t, l, ttl+2*time.Second)
	if l.Held(time.Now()) {
		t.Error("held after it was lost")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := s.Acquire(ctx, "shop")
	mustFail(t, err, ErrUnavailable)
	mustFail(t, err, context.DeadlineExceeded)
	etcds[1].thaw()
	must(t, acquire(t, s, "shop").Put(t.Context(), doc("d", "x")))
}
