// Package crowd has three electors, each a process of its own, share hundreds of clusters through one etcd. The loop and
// the store are the real ones; servers, of which two machines' worth would be needed, are only imagined.
package crowd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/store"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

const (
	many   = 500
	lease  = 3 * time.Second
	tenure = 5 * time.Second // a tenth of a real one, for the sake of the test's time
)

// TestThreeElectorsShareHundredsOfClusters is one story: two start, a third joins, all is calm, one dies.
func TestThreeElectorsShareHundredsOfClusters(t *testing.T) {
	client := freeURL(t)
	startProcess(t, "etcd", "DIR="+t.TempDir(), "CLIENT="+client, "PEER="+freeURL(t))
	record(t, client)
	join := func(node string) *process {
		return startProcess(t, "elector", "NODE="+node, "CLIENT="+client, fmt.Sprint("CLUSTERS=", many))
	}

	one, two := join("one"), join("two")
	await(t, "two electors have half each", 30*time.Second, func() bool { return holds(one) == many/2 && holds(two) == many/2 })

	three := join("three")
	await(t, "each of three has its third", tenure+60*time.Second, func() bool { return even(one, two, three) })
	if n := three.taken(); n > many/3+1 || one.taken()+two.taken() > many {
		t.Errorf("the third has taken %d clusters, the others %d", n, one.taken()+two.taken())
	}

	calm(t, client, one, two, three)

	lost := three.acting()
	died := time.Now()
	must(t, three.cmd.Process.Kill())
	await(t, "the two that are left have half each", 30*time.Second, func() bool { return holds(one) == many/2 && holds(two) == many/2 })
	first, last := between(lost, one, two)
	t.Logf("under a lease of %s, %d clusters were taken over within %s to %s", lease, len(lost), first.Sub(died).Round(time.Millisecond), last.Sub(died).Round(time.Millisecond))
	if first.Sub(died) > lease+time.Second || last.Sub(died) > lease+3*time.Second {
		t.Error("the first is to be within a second of the end of the lease, and a hundred more in two seconds more")
	}
	if n := one.taken() + two.taken(); n != many+len(lost) {
		t.Errorf("%d locks were taken in place of %d: clusters of others were moved", n, many+len(lost))
	}
}

// record has all clusters on record as led by A under term 1.
func record(t *testing.T, client string) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Settings{Endpoints: []string{client}, Elector: "test"})
	must(t, err)
	h := topologytest.Cluster("A", "B", "C").Acks(1).History()
	h.Leaderships[0].Kind = string(reparent.KindAdoption) // which opens no window
	todo := make(chan string)
	failed := make(chan error, 8)
	for range cap(failed) {
		go func() {
			var all error
			for name := range todo {
				all = errors.Join(all, recordOne(t.Context(), s, name, h))
			}
			failed <- all
		}()
	}
	for _, name := range names(many) {
		todo <- name
	}
	close(todo)
	for range cap(failed) {
		must(t, <-failed)
	}
	must(t, s.Close())
}

func recordOne(ctx context.Context, s *store.Store, name string, h topology.History) error {
	text, err := json.Marshal(map[string]any{
		"version": 1, "cluster": name, "history": topology.History{Leaderships: h.Leaderships, Leaders: h.Leaders},
	})
	if err != nil {
		return err
	}
	lock, err := s.Acquire(ctx, name)
	if err != nil {
		return err
	}
	err = lock.Put(ctx, store.Document{Key: "clusters/" + name + "/lineage", Value: text})
	return errors.Join(err, lock.Release(ctx))
}

func holds(p *process) int { return len(p.acting()) }

func even(all ...*process) bool {
	sum, least, most := 0, many, 0
	for _, p := range all {
		n := holds(p)
		sum, least, most = sum+n, min(least, n), max(most, n)
	}
	return sum == many && most-least <= 1
}

// calm checks that nothing is written and nothing moves while nothing happens. What the last hand-overs have to record
// is written first.
func calm(t *testing.T, client string, all ...*process) {
	t.Helper()
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{client}})
	must(t, err)
	defer etcd.Close()
	revision := func() int64 {
		reply, err := etcd.Get(t.Context(), "any")
		must(t, err)
		return reply.Header.Revision
	}
	await(t, "nothing has been written for three seconds", 30*time.Second, func() bool {
		before := revision()
		pause(t, 3*time.Second)
		return revision() == before
	})
	before, taken := revision(), 0
	for _, p := range all {
		taken += p.taken()
	}
	pause(t, 2*tenure)
	if n := revision() - before; n != 0 {
		t.Errorf("%d writes in the calm", n)
	}
	for _, p := range all {
		taken -= p.taken()
	}
	if taken != 0 {
		t.Errorf("%d clusters changed hands in the calm", -taken)
	}
}

// between is when the first and the last of some clusters were taken over.
func between(lost map[string]time.Time, by ...*process) (first, last time.Time) {
	for _, p := range by {
		for name, at := range p.acting() {
			if _, was := lost[name]; !was {
				continue
			}
			if first.IsZero() || at.Before(first) {
				first = at
			}
			if at.After(last) {
				last = at
			}
		}
	}
	return first, last
}

func await(t *testing.T, what string, atMost time.Duration, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); pause(t, 10*time.Millisecond) {
		if time.Since(begun) > atMost {
			t.Fatalf("after %s it is still not so that %s", atMost, what)
		}
	}
}

// pause lets real time pass: the other processes know no other.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal("the test is over")
	}
}
