package store

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/primacydb/primacy/internal/stopwatchtest"
)

// join opens a store and has it tell its name.
func join(t *testing.T, endpoint, name string) (*Store, *Company) {
	t.Helper()
	s := open(t, Settings{Endpoints: []string{endpoint}, Elector: name, LeaseTTL: ttl})
	c := s.Company()
	c.Announce("about", []byte(name))
	return s, c
}

// named are the electors that live, by what they say about themselves.
func named(p Present) string {
	var names []string
	for _, says := range p.Electors {
		names = append(names, string(says["about"]))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func rawClient(t *testing.T, endpoint string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

func TestElectorsHearWhoJoinsWhoLeavesAndWhoHoldsWhichLock(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	_, one := join(t, etcd.endpoint, "one")
	told := make(chan struct{}, 1)
	one.Heard(func() {
		select {
		case told <- struct{}{}:
		default:
		}
	})
	second, two := join(t, etcd.endpoint, "two")
	eventually(t, "both hear of both", func() bool { return named(one.Present()) == "one two" && named(two.Present()) == "one two" })
	<-told
	acquire(t, second, "shop")
	eventually(t, "one hears that two holds a lock", func() bool {
		return one.Present().Owners["shop"] == Owner{Session: two.Present().Me, Elector: "two"}
	})
	must(t, second.Close())
	eventually(t, "one hears that two is gone, and its lock", func() bool {
		return named(one.Present()) == "one" && len(one.Present().Owners) == 0
	})
}

func TestAnElectorThatDiesIsGoneInTheSameMomentAsItsLocks(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	_, one := join(t, etcd.endpoint, "one")
	child := startProcess(t, "present", "CLIENT="+etcd.endpoint)
	eventually(t, "one hears of the other and its lock", func() bool {
		return named(one.Present()) == "child one" && one.Present().Owners["shop"].Elector == "elector-child"
	})
	child.kill()
	died := stopwatchtest.Start(t)
	for {
		p := one.Present()
		if _, owned := p.Owners["shop"]; owned != (named(p) == "child one") {
			t.Fatalf("%q live, and the lock is held: %t", named(p), owned)
		}
		if named(p) == "one" {
			break
		}
		if took := died.Took(); took > 2*time.Second+3*time.Second {
			t.Fatalf("%s after its death the elector is still there", took)
		}
	}
}

func TestWhatAnElectorSaysIsToldAnewInEachSessionAndWhenEtcdForgot(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	first, one := join(t, etcd.endpoint, "one")
	_, two := join(t, etcd.endpoint, "two")
	eventually(t, "both hear of both", func() bool { return named(one.Present()) == "one two" && named(two.Present()) == "one two" })
	before := one.Present().Me

	one.Announce("about", []byte("uno"))
	eventually(t, "what is said anew replaces what was said", func() bool { return named(two.Present()) == "two uno" })

	client := rawClient(t, etcd.endpoint)
	_, err := client.Delete(t.Context(), live+before+"/about")
	must(t, err)
	eventually(t, "what etcd forgot is told again", func() bool {
		reply, err := client.Get(t.Context(), live+before+"/about")
		return err == nil && reply.Count == 1
	})

	now, err := first.sessionIn(t.Context())
	must(t, err)
	_, err = client.Revoke(t.Context(), now.id)
	must(t, err)
	eventually(t, "it comes back as another session", func() bool {
		return one.Present().Me != before && named(two.Present()) == "two uno"
	})
}

func TestTakeTakesWhatIsFreeAndNeverWaits(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	_, one := join(t, etcd.endpoint, "one")
	second, two := join(t, etcd.endpoint, "two")
	lease, err := one.Take(t.Context(), "shop")
	if must(t, err); lease == nil || !lease.Held(time.Now()) {
		t.Fatalf("a free lock was not taken: %v", lease)
	}
	for _, c := range []*Company{one, two} {
		if again, err := c.Take(t.Context(), "shop"); again != nil || err != nil {
			t.Errorf("a held lock: %v %v", again, err)
		}
	}
	must(t, lease.Put(t.Context(), doc("clusters/shop/record", "x")))
	must(t, lease.Release(t.Context()))
	must(t, acquire(t, second, "shop").Put(t.Context(), doc("clusters/shop/record", "y")))
}

func TestDocumentsOfClustersArePeekedAtAsTheyWereLastHeardOf(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	first, _ := join(t, etcd.endpoint, "one")
	l := acquire(t, first, "shop")
	must(t, l.Put(t.Context(), doc("clusters/shop/record", "a")))
	_, two := join(t, etcd.endpoint, "two")
	shown := func() string {
		d, known := two.Peek("clusters/shop/record")
		if !known {
			return "unknown"
		}
		return string(d.Value)
	}
	eventually(t, "what stood before is known", func() bool { return shown() == "a" })
	if d, known := two.Peek("clusters/none/record"); !known || d.Value != nil {
		t.Errorf("a document that does not exist: %+v %t", d, known)
	}
	must(t, l.Put(t.Context(), doc("clusters/shop/record", "b")))
	eventually(t, "a change is heard of", func() bool { return shown() == "b" })
	must(t, l.Delete(t.Context(), "clusters/shop/record"))
	eventually(t, "so is an end", func() bool { return shown() == "" })
}

// TestACalmCompanyWritesNothing counts by etcd's revision, which each write moves.
func TestACalmCompanyWritesNothing(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	_, one := join(t, etcd.endpoint, "one")
	_, two := join(t, etcd.endpoint, "two")
	eventually(t, "both hear of both", func() bool { return named(one.Present()) == "one two" && named(two.Present()) == "one two" })
	client := rawClient(t, etcd.endpoint)
	revision := func() int64 {
		reply, err := client.Get(t.Context(), live)
		must(t, err)
		return reply.Header.Revision
	}
	before, reads := revision(), 0
	_, first := one.living.at("")
	eventually(t, "everything was read three more times", func() bool {
		_, reads = one.living.at("")
		return reads >= first+3
	})
	if after := revision(); after != before {
		t.Errorf("%d writes in the calm", after-before)
	}
}

func TestAnElectorThatIsAloneWithItsStoreHasNoCompany(t *testing.T) {
	t.Parallel()
	s := open(t, Settings{Dir: t.TempDir()})
	if c := s.Company(); c != nil || c.Seam() != nil {
		t.Error("somebody else could get at an embedded etcd")
	}
}

func TestMembersOfOneEmbeddedEtcdKeepCompany(t *testing.T) {
	t.Parallel()
	stores, _ := openThreeMembers(t)
	for _, s := range stores {
		defer func() { must(t, s.Close()) }()
		s.Company().Announce("about", []byte(s.settings.Name))
	}
	want := slices.Sorted(maps.Keys(map[string]bool{stores[0].settings.Name: true, stores[1].settings.Name: true, stores[2].settings.Name: true}))
	for _, s := range stores {
		eventually(t, "each hears of all", func() bool { return named(s.Company().Present()) == strings.Join(want, " ") })
	}
}
