package sim

import (
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
)

var update = flag.Bool("update", false, "write the files that tests compare with")

const digestFile = "testdata/digests.txt"

// A lifetime is the same on every machine and with every compiler: what it was where the file was written is compared
// with what it is here, every word of its trace included. The file is written anew whenever the program is meant to behave
// otherwise; it says nothing about which behaviour is right.
func TestDigestsAreTheSameOnEveryMachine(t *testing.T) {
	got := pinned(t)
	if *update {
		if err := os.WriteFile(digestFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(digestFile)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("lifetimes went otherwise than when %s was written; if the program was changed: go test ./sim -run Digests -update\ngot\n%s\nwant\n%s",
			digestFile, got, want)
	}
}

// pinned lives a handful of lifetimes, some of them under each policy.
func pinned(t *testing.T) string {
	var b strings.Builder
	fmt.Fprintln(&b, "# What some lifetimes are on every machine: options, digest, hash of the trace, length. Do not edit; write it with")
	fmt.Fprintln(&b, "# go test ./sim -run Digests -update")
	for seed := range uint64(6) {
		fmt.Fprintf(&b, "seed=%d %s\n", seed, digested(seed, Options{Trace: true}))
	}
	for _, p := range []topology.Policy{
		{Kind: topology.PolicyNone}, {Kind: topology.PolicySemiSync, Acks: 2}, {Kind: topology.PolicyCrossZone, Acks: 1},
		{Kind: topology.PolicyZones, Acks: 1, Zones: 3},
	} {
		cluster, err := EvenCluster(7, p)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "seed=77 servers=7 policy=%s acks=%d zones=%d %s\n", p.Kind, p.Acks, p.Zones, digested(77, Options{Cluster: &cluster, Trace: true}))
	}
	return b.String()
}

func digested(seed uint64, o Options) string {
	r := Live(seed, o)
	words := fnv.New64a()
	for _, e := range r.Trace {
		fmt.Fprintln(words, int64(e.At), e.Who, e.Text)
	}
	return fmt.Sprintf("%016x %016x %s", r.Digest, words.Sum64(), r.Virtual.Round(time.Millisecond))
}
