package store

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/internal/stopwatchtest"
)

func TestAStoreThatMayComeLaterIsOpenWithoutItsEtcdAndWorksOnceThatAnswers(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	etcd.kill()
	begun := time.Now()
	s := open(t, Settings{Endpoints: []string{etcd.endpoint}, Later: true, ReadyTimeout: 300 * time.Millisecond, LeaseTTL: ttl})
	waiting := make(chan *Lease)
	go func() {
		l, _ := s.Acquire(t.Context(), "shop")
		waiting <- l
	}()
	asked := stopwatchtest.Start(t)
	_, _, err := s.Get(t.Context(), "d")
	mustFail(t, err, ErrUnavailable)
	mustFail(t, s.Ready(t.Context()), ErrUnavailable)
	if took := asked.Took(); took > time.Second {
		t.Errorf("it took %s to say that the store has not answered yet", took)
	}
	eventually(t, "the silence is told", func() bool {
		since, why := s.Silence(time.Now())
		return !since.IsZero() && since.Sub(begun).Abs() < time.Second && strings.Contains(why.Error(), etcd.endpoint)
	})
	etcd.start()
	l := <-waiting
	must(t, l.Put(t.Context(), doc("d", "x")))
	if got := value(t, s, "d"); got != "x" {
		t.Errorf("document says %q", got)
	}
	if since, why := s.Silence(time.Now()); !since.IsZero() {
		t.Errorf("silent since %s although it answers: %v", since, why)
	}
}

func TestALoneStarterOfThreeWaitsForTheOthersAsLongAsItTakes(t *testing.T) {
	t.Parallel()
	cluster := threeAddresses(t)
	s := open(t, Settings{Dir: t.TempDir(), Name: "a", InitialCluster: cluster, Later: true, ReadyTimeout: 300 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := s.Acquire(ctx, "shop")
	mustFail(t, err, ErrUnavailable)
	peer := startProcess(t, "peer", "NAME=b", "DIR="+t.TempDir(), "CLUSTER="+cluster)
	must(t, acquire(t, s, "shop").Put(t.Context(), doc("d", "two of three")))
	peer.kill()
}

func TestWhatCannotWorkLaterEitherIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	single, err := Open(t.Context(), Settings{Dir: dir})
	must(t, err)
	openFails(t, Settings{Dir: dir, Later: true}, "in use by process")
	must(t, single.Close())
	openFails(t, Settings{Dir: dir, Name: "a", InitialCluster: threeAddresses(t), Later: true, ReadyTimeout: 300 * time.Millisecond}, "etcd of 1 member")
	must(t, os.RemoveAll(dir))
	etcd := startEtcdProcess(t)
	enableAuthentication(t, etcd.endpoint)
	openFails(t, Settings{Endpoints: []string{etcd.endpoint}, Later: true}, "set user and password")
}

func TestAStoreIsClosedThatNeverOpened(t *testing.T) {
	t.Parallel()
	for _, settings := range []Settings{
		{Endpoints: []string{freeURL(t)}},
		{Dir: t.TempDir(), Name: "a", InitialCluster: threeAddresses(t)},
	} {
		settings.Later, settings.ReadyTimeout = true, 300*time.Millisecond
		s, err := Open(t.Context(), settings)
		must(t, err)
		must(t, s.Close())
		_, _, err = s.Get(t.Context(), "d")
		mustFail(t, err, ErrClosed)
	}
}

func TestAnEtcdThatStopsAnsweringIsSilentAfterTheLease(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	s := open(t, Settings{Endpoints: []string{etcd.endpoint}, LeaseTTL: ttl})
	acquire(t, s, "shop")
	frozen := time.Now()
	etcd.freeze()
	eventually(t, "the silence is told", func() bool { since, _ := s.Silence(time.Now()); return !since.IsZero() })
	since, why := s.Silence(time.Now())
	if took := time.Since(frozen); took < ttl/2 || took > 3*ttl || since.Sub(frozen).Abs() > time.Second {
		t.Errorf("told after %s, silent since %s after it was frozen: %v", took, since.Sub(frozen), why)
	}
	mustFail(t, why, ErrUnavailable)
	etcd.thaw()
	eventually(t, "the silence is over", func() bool { since, _ := s.Silence(time.Now()); return since.IsZero() })
}
