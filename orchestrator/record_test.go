package orchestrator

import (
	"context"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/topology"
)

// oneDocument is a store that holds one document; loadRecord asks it for nothing else.
type oneDocument struct {
	Store
	document Document
}

func (s oneDocument) Get(_ context.Context, key string) (Document, bool, error) {
	return s.document, key == s.document.Key, nil
}

func ruled(names ...topology.Address) topology.Ruleset {
	r := topology.Ruleset{Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}}
	for _, n := range names {
		r.Members = append(r.Members, topology.Member{Address: n})
	}
	return r
}

func TestReadingARecordLeavesTheConfiguredRulesetAsItIs(t *testing.T) {
	d := record{Cluster: "shop", Ruleset: ruled("A", "B")}.document()
	configured := ruled("C", "D")
	r, _, err := loadRecord(t.Context(), oneDocument{document: d}, "shop", configured)
	if err != nil || !r.Ruleset.Same(ruled("A", "B")) {
		t.Fatalf("%+v %v", r.Ruleset, err)
	}
	if !configured.Same(ruled("C", "D")) {
		t.Errorf("the configured ruleset became %+v", configured)
	}
}

func TestAClusterWithoutARecordStartsWithTheConfiguredRuleset(t *testing.T) {
	r, _, err := loadRecord(t.Context(), oneDocument{}, "shop", ruled("C", "D"))
	if err != nil || !r.Ruleset.Same(ruled("C", "D")) || r.Ruleset.Number != 1 || r.Cluster != "shop" {
		t.Fatalf("%+v %v", r, err)
	}
}

func TestARecordThatIsReadAfterAMonthHasItsRepeatsForgottenAndItsWindowWhole(t *testing.T) {
	noon := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	change := antiflap.Change{Cluster: "shop", Term: 2, Kind: antiflap.Emergency, At: noon}
	saved := record{SavedAt: noon, Antiflap: antiflap.Cluster{}.Established(change, antiflap.Defaults())}
	later := noon.Add(30 * 24 * time.Hour)
	read := saved.from(later).Antiflap
	if w := read.Window(later); w.Left != antiflap.Defaults().Window {
		t.Errorf("%s are left of the window", w.Left)
	}
	change.Term, change.At = 3, later
	if next := read.Established(change, antiflap.Defaults()); next.Repeats != 0 {
		t.Errorf("a change a month later is repeat %d", next.Repeats)
	}
}
