package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/primacydb/primacy/internal/stopwatchtest"
)

func TestDocumentsAreWrittenAllOrNoneAndReadInTheOrderOfTheirKeys(t *testing.T) {
	t.Parallel()
	eachEtcd(t, func(t *testing.T, settings Settings) {
		s := open(t, settings)
		l := acquire(t, s, "shop")
		must(t, l.Put(t.Context(), doc("r/1", "a"), doc("r/3", "c"), doc("r/2", "b"), doc("other", "")))

		for _, c := range []struct {
			name   string
			limit  int
			newest bool
			want   string
		}{
			{"all of them", 0, false, "[r/1=a r/2=b r/3=c]"},
			{"the first ones", 2, false, "[r/1=a r/2=b]"},
			{"newest first", 0, true, "[r/3=c r/2=b r/1=a]"},
			{"the newest one", 1, true, "[r/3=c]"},
		} {
			docs, err := s.List(t.Context(), "r/", c.limit, c.newest)
			must(t, err)
			var got []string
			for _, d := range docs {
				got = append(got, d.Key+"="+string(d.Value))
			}
			if fmt.Sprint(got) != c.want {
				t.Errorf("%s: got %v, want %s", c.name, got, c.want)
			}
		}

		must(t, l.Delete(t.Context(), "r/1", "r/2", "never there"))
		if _, ok, err := s.Get(t.Context(), "r/1"); ok || err != nil {
			t.Errorf("a deleted document is still there (%v, %v)", ok, err)
		}
		empty, ok, err := s.Get(t.Context(), "other")
		if must(t, err); !ok || empty.Value == nil || empty.Revision == 0 {
			t.Errorf("an empty document reads as none: %+v", empty)
		}
		err = l.Put(t.Context(), doc("twice", "a"), doc("twice", "b"))
		if err == nil || value(t, s, "twice") != "" {
			t.Errorf("half of a refused write was carried out: %v", err)
		}
		must(t, l.Put(t.Context(), doc("after the refusal", "x")))
	})
}

func TestAWatcherSeesWhatStandsAndThenEachChange(t *testing.T) {
	t.Parallel()
	eachEtcd(t, func(t *testing.T, settings Settings) {
		s := open(t, settings)
		l := acquire(t, s, "shop")
		must(t, l.Put(t.Context(), doc("w/1", "a"), doc("x/1", "not watched")))
		ctx, cancel := context.WithCancel(t.Context())
		news := s.Watch(ctx, "w/")
		expect := func(want string) {
			t.Helper()
			select {
			case d := <-news:
				if got := fmt.Sprintf("%s=%s %v", d.Key, d.Value, d.Value == nil); got != want {
					t.Fatalf("got %s, want %s", got, want)
				}
			case <-time.After(5 * time.Second):
				t.Fatalf("no news of %s", want)
			}
		}
		expect("w/1=a false")
		must(t, l.Put(t.Context(), doc("w/2", "b")))
		expect("w/2=b false")
		must(t, l.Delete(t.Context(), "w/1"))
		expect("w/1= true")
		cancel()
		if d, ok := <-news; ok {
			t.Fatalf("news after the end: %+v", d)
		}
	})
}

func TestOneLockHasOneHolderAndGoesToTheNextWhenReleased(t *testing.T) {
	t.Parallel()
	eachEtcd(t, func(t *testing.T, settings Settings) {
		settings.Elector = "elector-1"
		s := open(t, settings)
		first := acquire(t, s, "shop")
		holder, err := s.Holder(t.Context(), "shop")
		if must(t, err); holder != "elector-1" {
			t.Errorf("holder is %q", holder)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err = s.Acquire(ctx, "shop")
		mustFail(t, err, context.DeadlineExceeded)
		if want := "acquire the lock of shop: it is held by elector-1: context deadline exceeded"; err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}

		next := make(chan *Lease)
		go func() {
			l, _ := s.Acquire(t.Context(), "shop")
			next <- l
		}()
		must(t, first.Put(t.Context(), doc("by", "first")))
		must(t, first.Release(t.Context()))
		second := <-next
		if second == nil || !second.Held(time.Now()) || first.Held(time.Now()) {
			t.Fatal("the lock did not pass on")
		}
		if second.Token() <= first.Token() {
			t.Errorf("token %d does not follow %d", second.Token(), first.Token())
		}
		awaitDone(t, first, 0+time.Second)
		mustFail(t, first.Put(t.Context(), doc("by", "first again")), ErrLost)
		must(t, second.Release(t.Context()))
		holder, err = s.Holder(t.Context(), "shop")
		if must(t, err); holder != "" {
			t.Errorf("a free lock is held by %q", holder)
		}
	})
}

func TestLocksOfDifferentClustersAreHeldSideBySide(t *testing.T) {
	t.Parallel()
	s := open(t, Settings{Dir: t.TempDir()})
	a, b := acquire(t, s, "a"), acquire(t, s, "b")
	must(t, a.Release(t.Context()))
	if !b.Held(time.Now()) {
		t.Error("releasing one cluster's lock took the other's")
	}
}

func TestTermsGrowAndPassWhatTheServersHaveSeen(t *testing.T) {
	t.Parallel()
	eachEtcd(t, func(t *testing.T, settings Settings) {
		s := open(t, settings)
		l := acquire(t, s, "shop")
		for _, c := range []struct{ above, want uint64 }{{0, 1}, {0, 2}, {1, 3}, {40, 41}, {41, 42}, {7, 43}} {
			term, err := l.NextTerm(t.Context(), c.above)
			if must(t, err); term != c.want {
				t.Errorf("above %d: got term %d, want %d", c.above, term, c.want)
			}
		}
		must(t, l.Release(t.Context()))
		term, err := acquire(t, s, "shop").NextTerm(t.Context(), 0)
		if must(t, err); term != 44 {
			t.Errorf("the next holder drew term %d, want 44", term)
		}
		term, err = acquire(t, s, "other").NextTerm(t.Context(), 0)
		if must(t, err); term != 1 {
			t.Errorf("another cluster began with term %d", term)
		}
		if _, err := acquire(t, s, "last").NextTerm(t.Context(), 1<<64-1); err == nil {
			t.Error("a term after the last one was drawn")
		}
	})
}

func TestReadyMeansThatEtcdAnswers(t *testing.T) {
	t.Parallel()
	must(t, open(t, Settings{Dir: t.TempDir()}).Ready(t.Context()))

	etcd := startEtcdProcess(t)
	s := open(t, Settings{Endpoints: []string{etcd.endpoint}})
	must(t, s.Ready(t.Context()))
	etcd.kill()
	watch := stopwatchtest.Start(t)
	mustFail(t, s.Ready(t.Context()), ErrUnavailable)
	if took := watch.Took(); took > callTimeout+time.Second {
		t.Errorf("it took %s to say so", took)
	}
	_, _, err := s.Get(t.Context(), "x")
	mustFail(t, err, ErrUnavailable)
}

func TestAClosedStoreSaysThatItIsClosed(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Settings{Dir: t.TempDir()})
	must(t, err)
	l := acquire(t, s, "shop")
	waiting := make(chan error)
	go func() {
		_, err := s.Acquire(context.Background(), "shop")
		waiting <- err
	}()
	news := s.Watch(context.Background(), "")
	must(t, s.Close())
	must(t, s.Close())
	mustFail(t, <-waiting, ErrClosed)
	awaitDone(t, l, time.Second)
	if _, ok := <-news; ok {
		t.Error("a watcher outlived the store")
	}
	mustFail(t, l.Put(context.Background(), doc("a", "b")), ErrLost)
	mustFail(t, l.Put(context.Background(), doc("a", "b")), ErrClosed)
	_, _, err = s.Get(context.Background(), "a")
	mustFail(t, err, ErrClosed)
	_, err = s.Acquire(context.Background(), "shop")
	mustFail(t, err, ErrClosed)
	if _, ok := <-s.Watch(context.Background(), ""); ok {
		t.Error("a watcher began after the end")
	}
}
