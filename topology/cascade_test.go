package topology_test

import (
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// sourceAfter is where a cascaded replica is to be when something has lasted: as after two rounds of probes.
func sourceAfter(b *topologytest.Builder, lasting time.Duration) (topology.Address, []topology.Finding) {
	s, h := b.Snapshot(), b.History()
	before := topology.Analyze(s, h, topologytest.Limits, topologytest.Now.Add(-lasting), nil)
	now := topology.Analyze(s, h, topologytest.Limits, topologytest.Now, before)
	return topology.SourceOf("E", s.Ruleset, "A", now), now
}

// TestACascadedReplicaIsWhereItCanBeFed has E replicate from B by the rules, while A leads.
func TestACascadedReplicaIsWhereItCanBeFed(t *testing.T) {
	for _, row := range []struct {
		name    string
		b       *topologytest.Builder
		lasting time.Duration
		want    topology.Address
	}{
		{"all is well", cascade(), time.Hour, "B"},
		{"its intermediate has just died", cascade().Dead("B"), 9 * time.Second, "B"},
		{"its intermediate is dead", cascade().Dead("B"), 10 * time.Second, "A"},
		{"its intermediate is silent", cascade().Silent("B"), 10 * time.Second, "A"},
		{"its intermediate does not receive", cascade().Stopped("B"), 10 * time.Second, "A"},
		{"its intermediate has not received for a moment", cascade().Stopped("B"), time.Second, "B"},
		{"its intermediate does not apply", cascade().Replication("B", func(r *channel) { r.Applier, r.ApplierErrno = topology.ThreadOff, 1062 }), 10 * time.Second, "A"},
		{"its intermediate is delayed", cascade().Replication("B", func(r *channel) { r.ApplierDelayed, r.Lag = 3600, time.Hour }), time.Hour, "B"},
		{"it is delayed itself", cascade().Replication("E", func(r *channel) { r.ApplierDelayed, r.Lag = 3600, time.Hour }), time.Hour, "B"},
		{"its intermediate lags", cascade().Replication("B", func(r *channel) { r.Lag = time.Hour }), time.Hour, "B"},
		{"its intermediate is in maintenance", cascade().Maintenance("B"), 10 * time.Second, "A"},
		{"its intermediate is being restarted", cascade().Maintenance("B"), 5 * time.Second, "B"},
		{"its intermediate holds errant transactions", cascade().Executed("B", "A:1-100,t1,B:1"), 0, "A"},
		{"its intermediate is being settled", cascade().Settling("B"), 0, "A"},
		{"its intermediate follows somebody else", cascade().Replication("B", func(r *channel) { r.Source = "C" }), 0, "A"},
		{"its intermediate logs nothing", cascade().Edit("B", func(o *observation) { o.Settings.LogReplicaUpdates = false }), 0, "A"},
		{"it follows nobody, and its intermediate is well", cascade().Edit("E", func(o *observation) { o.Replication = nil }), 0, "B"},
		{"it follows nobody, and its intermediate is dead", cascade().Dead("B").Edit("E", func(o *observation) { o.Replication = nil }), 0, "A"},
		{"it follows a stranger, and its intermediate is well", cascade().Replication("E", func(r *channel) { r.Source = "C" }), 0, "B"},
		{"it is with the primary, and its intermediate is dead", cascade().Dead("B").Replication("E", home), time.Hour, "A"},
		{"it is with the primary, and its intermediate is back", cascade().Replication("E", home), 59 * time.Second, "A"},
		{"it is with the primary, and its intermediate is well", cascade().Replication("E", home), time.Minute, "B"},
		{"it went to and fro lately", cascade().Rehomed("E", 3).Replication("E", home), 239 * time.Second, "A"},
		{"it went to and fro, and its intermediate has been well since", cascade().Rehomed("E", 3).Replication("E", home), 240 * time.Second, "B"},
		{"it went to and fro very often", cascade().Rehomed("E", 1000).Replication("E", home), 16 * time.Minute, "B"},
		{"it does not get through to its intermediate", cascade().Replication("E", func(r *channel) { r.Receiver, r.ReceiverErrno = topology.ThreadConnecting, 2003 }), 10 * time.Second, "A"},
		{"the primary is dead as well", cascade().Dead("A", "B"), time.Hour, "B"},
		{"an operator has it", cascade().Dead("B").Maintenance("E"), time.Hour, "B"},
		{"an operator has the cluster", cascade().Dead("B").Held("ann", "moving racks", 0), time.Hour, "B"},
		{"a change is running", cascade().Dead("B").Reparenting(), time.Hour, "B"},
		{"it holds errant transactions", cascade().Dead("B").Executed("E", "A:1-100,t1,E:1"), time.Hour, "B"},
		{"the primary has purged what it lacks", cascade().Dead("B").Purged("A", "A:1-90").Positions("A:1-80,t1", "E"), time.Hour, "B"},
	} {
		if got, found := sourceAfter(row.b, row.lasting); got != row.want {
			t.Errorf("%s for %s: it is to replicate from %s, not %s: %v", row.name, row.lasting, got, row.want, codesOf(found))
		}
	}
}

func TestACascadedReplicaThatNobodyCanFeedIsSaidToLackWhatIsPurged(t *testing.T) {
	b := cascade().Dead("B").Purged("A", "A:1-90").Positions("A:1-80,t1", "E")
	if _, ok := find(analyze(b), topology.PurgedOnSource, "E"); !ok {
		t.Errorf("its intermediate is dead: %v", codesOf(analyze(b)))
	}
	fed := cascade().Purged("A", "A:1-90").Positions("A:1-80,t1", "E").Edit("E", func(o *observation) { o.Replication = nil })
	if f, ok := find(analyze(fed), topology.PurgedOnSource, "E"); ok {
		t.Errorf("its intermediate has it: %s", f.Message)
	}
}

// TestADelayIsLeftOutOfTheLagOfWhoeverIsBehindIt: what comes late to the intermediate comes late to its replica.
func TestADelayIsLeftOutOfTheLagOfWhoeverIsBehindIt(t *testing.T) {
	late := func(delay int) *topologytest.Builder {
		return cascade().Replication("B", func(r *channel) { r.ApplierDelayed = delay }).Replication("E", func(r *channel) { r.Lag = time.Hour })
	}
	if f, ok := find(analyze(late(3600)), topology.Lagging, "E"); ok {
		t.Error(f.Message)
	}
	if _, ok := find(analyze(late(60)), topology.Lagging, "E"); !ok {
		t.Error("it lags behind the delay, and nothing is found")
	}
}

func TestACascadedReplicaNeitherAcknowledgesNorTestifies(t *testing.T) {
	r := cascade().Ruleset()
	if got := r.Ackers("A"); got.Has("E") || !got.Has("B") {
		t.Errorf("ackers %s", got)
	}
	if r.Durable("A", topology.Servers("E")) {
		t.Error("what only a cascaded replica holds counts as durable")
	}
	zones := crossZone().Cascade("B", "E").Ruleset()
	if zones.Ackers("A").Has("E") {
		t.Errorf("ackers %s", zones.Ackers("A"))
	}
	// E hears B, and that says nothing of A: with it as a witness the primary would be heard still.
	b := cascade().Dead("A")
	if f, ok := find(analyze(b), topology.PrimaryDead, "A"); !ok || strings.Contains(f.Message, "E") {
		t.Errorf("%v: %s", codesOf(analyze(b)), f.Message)
	}
}

func TestAnErrantTransactionIsFoundOnACascadedReplicaToo(t *testing.T) {
	both := cascade().Executed("B", "A:1-100,t1,B:1").Executed("E", "A:1-100,t1,B:1")
	for _, server := range []topology.Address{"B", "E"} {
		if _, ok := find(analyze(both), topology.Errant, server); !ok {
			t.Errorf("%s: %v", server, codesOf(analyze(both)))
		}
	}
	// What the primary wrote since it was asked comes by way of the intermediate.
	if f, ok := find(analyze(cascade().Positions("A:1-105,t1", "B", "E")), topology.Errant, "E"); ok {
		t.Error(f.Message)
	}
}

func TestRulesWithCascadesThatMakeNoSenseAreRefused(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(m []topology.Member)
		says   string
	}{
		{"its own source", func(m []topology.Member) { m[4].Source = "E" }, "the source of E: it cannot be its own source"},
		{"an unknown source", func(m []topology.Member) { m[4].Source = "X" }, "the source of E: X is no member"},
		{"a chain", func(m []topology.Member) {
			m[3].Source, m[3].Promotion, m[4].Source = "B", topology.PromotionNever, "D"
		}, "the source of E: D cannot be a source: it has a source itself"},
		{"a ring", func(m []topology.Member) { m[1].Source, m[1].Promotion = "E", topology.PromotionNever }, "it has a source itself"},
		{"it may lead", func(m []topology.Member) { m[4].Promotion = "" }, "give it promotion never"},
		{"one acker is left, which is enough", func(m []topology.Member) {
			for i := range m[2:] {
				m[i+2].Source, m[i+2].Promotion = "B", topology.PromotionNever
			}
			m[1].Promotion = topology.PromotionNever
		}, ""},
	} {
		r := cascade().Ruleset()
		row.change(r.Members)
		err := r.Validate()
		if row.says == "" && err != nil || row.says != "" && (err == nil || !strings.Contains(err.Error(), row.says)) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	r := cascade().Acks(4).Ruleset()
	if err := r.Validate(); err == nil || !strings.Contains(err.Error(), "only B, C and D may give one") {
		t.Errorf("an acknowledgement of a cascaded replica is counted on: %v", err)
	}
}

func TestACascadeIsAChangeOfTheRulesLikeOthers(t *testing.T) {
	plain, cascaded := cluster().Acks(1).Promotion(topology.PromotionNever, "E").Ruleset(), cascade().Ruleset()
	if plain.Same(cascaded) {
		t.Error("nobody would notice that E has a source by now")
	}
	if why := plain.Succeeds(cascaded); !strings.Contains(why, "no longer acknowledge") {
		t.Errorf("E leaves the ackers without a barrier: %q", why)
	}
	if why := cascaded.Succeeds(plain); why != "" {
		t.Errorf("E becomes an acker: %s", why)
	}
}
