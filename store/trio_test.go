package store

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"

	"github.com/primacydb/primacy/internal/stopwatchtest"
)

// trio is three electors that each embed a member of etcd: a in this process, b and c in processes of their own.
type trio struct {
	t    *testing.T
	a    *Store
	b, c *process
}

func startTrio(t *testing.T) *trio {
	t.Helper()
	cluster := threeAddresses(t)
	x := &trio{t: t}
	var announced []*announcement
	for name, p := range map[string]**process{"b": &x.b, "c": &x.c} {
		*p = &process{t: t, env: []string{roleVariable + "=peer", "NAME=" + name, "DIR=" + t.TempDir(), "CLUSTER=" + cluster}}
		announced = append(announced, (*p).launch())
		t.Cleanup((*p).kill)
	}
	x.a = open(t, Settings{Dir: t.TempDir(), Name: "a", InitialCluster: cluster})
	for _, a := range announced {
		a.awaitReady()
	}
	return x
}

// crown makes a member the leader of etcd.
func (x *trio) crown(name string) {
	x.t.Helper()
	server := x.a.member.etcd.Server
	members := server.Cluster().Members()
	i := slices.IndexFunc(members, func(m *membership.Member) bool { return m.Name == name })
	if server.Leader() != members[i].ID {
		must(x.t, server.MoveLeader(x.t.Context(), server.Lead(), uint64(members[i].ID)))
	}
}

// taken is the revision at which a lock was taken.
func (x *trio) taken(name string) int64 {
	x.t.Helper()
	reply, err := x.a.client.Get(x.t.Context(), locks+name)
	must(x.t, err)
	return modRevision(first(reply))
}

// takeover kills the elector c, and returns how long its lock takes to come to a.
func (x *trio) takeover() time.Duration {
	x.t.Helper()
	watch := stopwatchtest.Start(x.t)
	x.c.kill()
	l := acquire(x.t, x.a, "of c")
	took := watch.Took()
	ctx, cancel := context.WithTimeout(x.t.Context(), callTimeout)
	defer cancel()
	must(x.t, l.Release(ctx))
	return took
}

func TestAmongThreeMembersADeadElectorIsReplacedWithinItsLeaseAndASecondAndNobodyElseLosesALock(t *testing.T) {
	t.Parallel()
	x := startTrio(t)
	own := acquire(t, x.a, "of a")
	others := x.taken("of b")
	for _, c := range []struct{ name, leader string }{
		{"its member led etcd", "c"},
		{"its member followed another", "a"},
		{"its member led etcd, again", "c"},
	} {
		x.crown(c.leader)
		took := x.takeover()
		if t.Logf("%s: replaced after %s", c.name, took); took > leaseTTLDefault+time.Second {
			t.Errorf("%s: it took %s to replace it, and the lease is %s", c.name, took, leaseTTLDefault)
		}
		if !own.Held(time.Now()) {
			t.Fatalf("%s: a lost its own lock: %v", c.name, context.Cause(own.Context()))
		}
		if now := x.taken("of b"); now != others {
			t.Errorf("%s: the lock of b was taken at revision %d, and again at %d", c.name, others, now)
		}
		x.c.start()
	}
}
