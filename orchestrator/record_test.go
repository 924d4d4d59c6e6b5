package orchestrator

import (
	"context"
	"testing"

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
	d, err := record{Cluster: "shop", Ruleset: ruled("A", "B")}.document()
	if err != nil {
		t.Fatal(err)
	}
	configured := ruled("C", "D")
	r, err := loadRecord(t.Context(), oneDocument{document: d}, "shop", configured)
	if err != nil || !r.Ruleset.Same(ruled("A", "B")) {
		t.Fatalf("%+v %v", r.Ruleset, err)
	}
	if !configured.Same(ruled("C", "D")) {
		t.Errorf("the configured ruleset became %+v", configured)
	}
}

func TestAClusterWithoutARecordStartsWithTheConfiguredRuleset(t *testing.T) {
	r, err := loadRecord(t.Context(), oneDocument{}, "shop", ruled("C", "D"))
	if err != nil || !r.Ruleset.Same(ruled("C", "D")) || r.Ruleset.Number != 1 || r.Cluster != "shop" {
		t.Fatalf("%+v %v", r, err)
	}
}
