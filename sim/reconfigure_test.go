package sim

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
)

// TestWhatMayNotBeConfiguredIsRefusedByWhatIsOnRecordOnly asks for more acknowledgements than those in force,
// which may not be had by itself.
// An elector that leads keeps its lock when the store is restored to a moment at which it had it already, and puts back what
// it knows. Else the one that starts with the new policy would find nothing to refuse it by.
func TestWhatMayNotBeConfiguredIsRefusedByWhatIsOnRecordOnly(t *testing.T) {
	cluster, err := EvenCluster(3, topology.Policy{Kind: topology.PolicySemiSync, Acks: 1})
	if err != nil {
		t.Fatal(err)
	}
	cluster.ProbeInterval = 2 * time.Second
	twoAcks := Fault{Kind: Reconfigure, Server: 1, For: time.Second}
	for _, row := range []struct {
		name   string
		befall func(*world)
		asked  bool
	}{
		{"nothing has happened to the store", func(*world) {}, true},
		{"it was restored to what it held just now", func(w *world) { w.forget(Fault{Kind: OldStore, For: time.Millisecond}) }, true},
		{"it was restored to the time before anything was on record", func(w *world) { w.forget(Fault{Kind: OldStore, For: w.clock.now - time.Second}) }, true},
		{"it is empty, and nobody reaches it", func(w *world) {
			w.forget(Fault{Kind: EmptyStore})
			w.store.cut(w.electors[0].process, true)
		}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(1, Options{Cluster: &cluster, Kinds: []Kind{}, Electors: 1})
			t.Cleanup(w.bury)
			w.adopt()
			row.befall(w)
			w.clock.runUntil(w.clock.now+time.Minute, w.broken)
			rules := w.accepted
			if w.another(&rules, twoAcks); w.accepted.Succeeds(rules) == "" {
				t.Fatalf("%s may take its place", rules.Policy.Kind)
			}
			if got := w.reconfigure(twoAcks); got != row.asked || w.broken() {
				t.Fatalf("asked: %t; %v", got, w.report.Violations)
			}
			w.clock.runUntil(w.clock.now+30*time.Second, w.broken)
			if got := w.rules().Policy; got != cluster.Ruleset.Policy {
				t.Errorf("%v is in force", got)
			}
		})
	}
}

// TestWhoACascadedReplicaReplicatesFromIsChanged has the electors started again with other sources, while the primary is changed
// too. What is asked for and may be had by itself is so at the end.
func TestWhoACascadedReplicaReplicatesFromIsChanged(t *testing.T) {
	cluster, err := EvenCluster(5, topology.Policy{Kind: topology.PolicySemiSync, Acks: 1})
	if err != nil {
		t.Fatal(err)
	}
	leaf := &cluster.Ruleset.Members[4]
	leaf.Source, leaf.Promotion = "B", topology.PromotionNever
	cluster.Limits.RehomeAfter, cluster.Limits.ReturnAfter = time.Second, time.Second
	faults := []Fault{{Number: 0, Kind: Reconfigure, At: 3 * time.Second, For: time.Second}, {Number: 1, Kind: WishPlanned, At: 8 * time.Second, Other: 1}, {Number: 2, Kind: Reconfigure, At: 12 * time.Second}}
	var moved, ended int
	for seed := range uint64(24) {
		w := newWorld(seed, Options{Cluster: &cluster, Cascade: true, Faults: faults, Length: 20 * time.Second})
		w.live()
		if w.broken() {
			t.Errorf("seed %d: %v", seed, w.report.Violations)
		}
		m, _ := w.rules().Member("E")
		if !w.rules().Same(w.accepted) {
			t.Errorf("seed %d: in force is %s, and asked for was %s", seed, cascadesOf(w.rules()), cascadesOf(w.accepted))
		}
		switch m.Source {
		case "":
			ended++
		case "B":
		default:
			moved++
		}
	}
	if moved < 2 || ended < 2 {
		t.Errorf("%d cascaded replicas got another source, and %d none", moved, ended)
	}
}
