package reparent

import (
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// cascade is a cluster in which A leads, and X replicates from B.
func cascade() *topologytest.Builder {
	return topologytest.Cluster("A", "B", "C", "X").Acks(1).Primary("A").Cascade("B", "X")
}

// home has X replicate from the primary.
func home(r *topology.Replication) { r.Source, r.SourceUUID = "A", topologytest.UUID("A") }

// repairedAfter is what is done about X when something has lasted.
func repairedAfter(b *topologytest.Builder, lasting time.Duration) Command {
	s, h := b.Snapshot(), b.History()
	before := topology.Analyze(s, h, topologytest.Limits, s.At.Add(-lasting), nil)
	for _, c := range Repairs(topology.Analyze(s, h, topologytest.Limits, s.At, before), s, h, 9) {
		if c.Server == "X" {
			return c
		}
	}
	return Command{}
}

func TestACascadedReplicaIsAttachedToWhomTheAnalysisSays(t *testing.T) {
	for _, row := range []struct {
		name    string
		b       *topologytest.Builder
		lasting time.Duration
		source  topology.Address // empty: it is left alone
	}{
		{"all is well", cascade(), time.Hour, ""},
		{"its intermediate has just died", cascade().Dead("B"), time.Second, ""},
		{"its intermediate is dead", cascade().Dead("B"), time.Minute, "A"},
		{"its intermediate is errant", cascade().Executed("B", "A:1-100, t1, B:1"), 0, "A"},
		{"both are errant", cascade().Executed("B", "A:1-100, t1, B:1").Executed("X", "A:1-100, t1, B:1"), time.Hour, ""},
		{"it is with the primary and its intermediate dead", cascade().Dead("B").Replication("X", home), time.Hour, ""},
		{"it is with the primary and its intermediate well", cascade().Replication("X", home), time.Hour, "B"},
		{"its receiver was stopped", cascade().Stopped("X"), 0, "B"},
		{"its receiver was stopped and its intermediate is dead", cascade().Dead("B").Stopped("X"), time.Minute, "A"},
		{"its receiver was stopped while it was with the primary", cascade().Dead("B").Replication("X", home).Stopped("X"), 0, "A"},
		{"it has no channel", cascade().Edit("X", func(o *topology.Observation) { o.Replication = nil }), 0, "B"},
		{"it would acknowledge", cascade().Edit("X", func(o *topology.Observation) { o.SemiSync.ReplicaEnabled = true }), 0, "B"},
		{"its applier was stopped", cascade().Replication("X", func(r *topology.Replication) { r.Applier = topology.ThreadOff }), 0, "B"},
		{"its intermediate leads", cascade().Primary("B").Term(1, "A", "").Term(2, "B", "A:1-100").Edit("X", func(o *topology.Observation) { o.Replication = nil }), 0, "B"},
		{"it is in maintenance", cascade().Dead("B").Maintenance("X"), time.Hour, ""},
		{"the primary is dead too", cascade().Dead("A", "B"), time.Hour, ""},
	} {
		got := repairedAfter(row.b, row.lasting)
		if got.Source != row.source || row.source != "" && (got.Verb != Follow || got.Acker) {
			t.Errorf("%s: %s, as an acker: %v; want it to follow %q", row.name, got, got.Acker, row.source)
		}
	}
}

func TestACascadedReplicaGoesOnADetourOnlyWhenItsIntermediateCannotFeedIt(t *testing.T) {
	fresh := func() *topologytest.Builder {
		return cascade().Purged("A", "A:1-50").Executed("X", "A:1-20").Received("X", "").Edit("X", func(o *topology.Observation) { o.Replication = nil })
	}
	for name, row := range map[string]struct {
		b    *topologytest.Builder
		want topology.Address
	}{
		"its intermediate has what it lacks": {fresh(), ""},
		"its intermediate is dead":           {fresh().Dead("B"), "C"},
	} {
		s, h := row.b.Snapshot(), row.b.History()
		var got topology.Address
		for _, c := range Detours(topology.Analyze(s, h, topologytest.Limits, s.At, nil), s, h, 9) {
			got = c.Source
		}
		if got != row.want {
			t.Errorf("%s: a detour by %q, not %q", name, got, row.want)
		}
	}
}

// toldX are the verbs that X is told in a change that is played, and whom it follows at last.
func toldX(op Operation, b *topologytest.Builder) (verbs []Verb, source topology.Address, end Operation) {
	steps, end := DryRun(op, b.Snapshot(), topologytest.Now)
	for _, step := range steps {
		for _, c := range step.Commands {
			if c.Server != "X" {
				continue
			}
			verbs = append(verbs, c.Verb)
			if c.Verb == Follow {
				source = c.Source
			}
		}
	}
	return verbs, source, end
}

func TestAnEmergencyTakesACascadedReplicaAlongAndWaitsForItNowhere(t *testing.T) {
	for _, row := range []struct {
		name   string
		b      *topologytest.Builder
		to     topology.Address
		source topology.Address // empty: it is not told to follow anybody
	}{
		{"another server leads, and it stays with its intermediate", cascade().Promotion(topology.PromotionPrefer, "C").Dead("A"), "C", "B"},
		{"its intermediate leads", cascade().Promotion(topology.PromotionPrefer, "B").Dead("A"), "B", "B"},
		{"its intermediate is the primary that died", cascade().Primary("B").Term(1, "A", "").Term(2, "B", "A:1-100").Promotion(topology.PromotionPrefer, "C").Dead("B"), "C", "C"},
		{"its intermediate is not reached either", topologytest.Cluster("A", "B", "C", "D", "E", "X").Acks(2).Primary("A").Cascade("B", "X").Promotion(topology.PromotionPrefer, "C").Dead("A", "B"), "C", "C"},
		{"it had to leave its intermediate before", cascade().Promotion(topology.PromotionPrefer, "C").Replication("X", home).Dead("A"), "C", "C"},
		{"it is not reached", cascade().Promotion(topology.PromotionPrefer, "C").Dead("A", "X"), "C", ""},
		{"it is not reached, and nobody knows whether it would acknowledge", cascade().Promotion(topology.PromotionPrefer, "C").Dead("A").Probe("X", topology.ReachSilent, time.Minute), "C", ""},
		{"it is hours late on purpose", cascade().Promotion(topology.PromotionPrefer, "C").Replication("X", func(r *topology.Replication) { r.ApplierDelayed, r.Lag = 3600, time.Hour }).Executed("X", "A:1-10, t1").Dead("A"), "C", "B"},
		{"it holds what the history does not", cascade().Promotion(topology.PromotionPrefer, "C").Positions("A:1-100, t1, X:1", "X").Dead("A"), "C", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			verbs, source, end := toldX(Emergency(clearance(true), intentOf(row.b), topologytest.Now), row.b)
			if end.State != StateSucceeded || end.To != row.to || source != row.source {
				t.Errorf("%s under %s: %+v; X was told %v, to follow %q", end.State, end.To, end.Obstacle, verbs, source)
			}
			if !slices.Contains(verbs, Freeze) {
				t.Errorf("it was not frozen: %v", verbs)
			}
			if end.Followers.Has("X") && end.Ruleset.Ackers(end.To).Has("X") {
				t.Error("it counts as an acker")
			}
		})
	}
}

// TestWhatACascadedReplicaHoldsCountsWhenTheHistoryIsChosen has B, which acknowledged A:101, gone with A; X got it from B.
func TestWhatACascadedReplicaHoldsCountsWhenTheHistoryIsChosen(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D", "X").Acks(1).Primary("A").Cascade("B", "X").Positions("A:1-101, t1", "B", "X").Dead("A", "B")
	in := intentOf(b)
	if op := Emergency(clearance(true), in, topologytest.Now); op.State != StateBlocked || code(op.Obstacle) != "not_revoked" {
		t.Fatalf("who acknowledged may have been B alone, and it is %s: %+v", op.State, op.Obstacle)
	}
	in.CertifiedDown, in.AcceptLoss = topology.Servers("A"), true
	_, end := DryRun(Emergency(clearance(true), in, topologytest.Now), b.Snapshot(), topologytest.Now)
	if end.To == "" || !end.Chosen.Contains(b.Set("A:1-101")) || end.Source != "X" {
		t.Errorf("%s under %q, with %s fetched from %q: %+v", end.State, end.To, end.Chosen, end.Source, end.Obstacle)
	}
}

func TestAPlannedChangeLeavesACascadedReplicaAlone(t *testing.T) {
	for _, row := range []struct {
		name   string
		b      *topologytest.Builder
		to     topology.Address
		told   bool
		source topology.Address
	}{
		{"to another server", cascade(), "C", false, ""},
		{"away from its intermediate", cascade().Primary("B").Term(1, "A", "").Term(2, "B", "A:1-100"), "C", false, ""},
		{"while it is with the primary", cascade().Replication("X", home), "C", true, "C"},
		{"while its receiver is stopped", cascade().Stopped("X"), "C", true, "B"},
	} {
		t.Run(row.name, func(t *testing.T) {
			in := intentOf(row.b)
			in.Wanted = row.to
			verbs, source, end := toldX(Planned(clearance(false), in, topologytest.Now), row.b)
			if end.State != StateSucceeded || len(verbs) > 0 != row.told || source != row.source {
				t.Errorf("%s: %+v; X was told %v, to follow %q", end.State, end.Obstacle, verbs, source)
			}
		})
	}
}
