package reparent

import (
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// settled is what comes of freezing everybody who answers.
func settledWith(in Intent) (settlement, *Obstacle) {
	op := revoking(in)
	for _, a := range in.Snapshot.Reached().List() {
		op = op.froze(in, a)
	}
	return op.settle()
}

func TestWhoIsPromoted(t *testing.T) {
	behind := func(o *topology.Observation) { o.Replication.Lag = 3 * time.Hour }
	rows := []struct {
		name  string
		build func(*topologytest.Builder)
		wins  topology.Address
	}{
		{"all the same: the first name", func(*topologytest.Builder) {}, "B"},
		{"least left to apply", func(b *topologytest.Builder) {
			b.Executed("B", "A:1-98, t1").Executed("C", "A:1-99, t1")
		}, "D"},
		{"the zone of the old primary before what is left to apply", func(b *topologytest.Builder) {
			b.Zone("west", "B", "C").Executed("D", "A:1-98, t1")
		}, "D"},
		{"promotion before zone", func(b *topologytest.Builder) {
			b.Zone("west", "B").Promotion(topology.PromotionPrefer, "B")
		}, "B"},
		{"not one that is to be avoided", func(b *topologytest.Builder) { b.Promotion(topology.PromotionAvoid, "B") }, "C"},
		{"one that is to be avoided, when there is nobody else", func(b *topologytest.Builder) {
			b.Promotion(topology.PromotionAvoid, "B").Promotion(topology.PromotionNever, "C", "D")
		}, "B"},
		{"not one under maintenance", func(b *topologytest.Builder) { b.Maintenance("B") }, "C"},
		{"not one hours behind, though preferred", func(b *topologytest.Builder) {
			b.Promotion(topology.PromotionPrefer, "B").Executed("B", "A:1-50, t1").Edit("B", behind)
		}, "C"},
		{"one that says it lags and has nothing left to apply", func(b *topologytest.Builder) {
			b.Promotion(topology.PromotionPrefer, "B").Edit("B", behind)
		}, "B"},
		{"not one whose applier failed with work left, when there is nobody else", func(b *topologytest.Builder) {
			b.Executed("B", "A:1-98, t1").Promotion(topology.PromotionNever, "C", "D")
			b.Edit("B", func(o *topology.Observation) {
				o.Replication.Applier, o.Replication.ApplierErrno = topology.ThreadOff, 1062
			})
		}, ""},
		{"one whose applier stands still with work left, when there is nobody else", func(b *topologytest.Builder) {
			b.Executed("B", "A:1-98, t1").Promotion(topology.PromotionNever, "C", "D")
			b.Edit("B", func(o *topology.Observation) { o.Replication.Applier = topology.ThreadOff })
		}, "B"},
		{"not one whose applier stands still with nobody knows how much work left, though one that runs is far behind", func(b *topologytest.Builder) {
			b.Promotion(topology.PromotionNever, "D").Executed("B", "A:1-2, t1").Executed("C", "A:1-99, t1").Edit("C", behind)
			b.Edit("B", func(o *topology.Observation) { o.Replication.Applier, o.Replication.Lag = topology.ThreadOff, -1 })
		}, "C"},
		{"not one whose applier stands still with work left, though preferred", func(b *topologytest.Builder) {
			b.Executed("B", "A:1-98, t1").Edit("B", func(o *topology.Observation) { o.Replication.Applier = topology.ThreadOff })
			b.Promotion(topology.PromotionPrefer, "B").Executed("C", "A:1-97, t1").Executed("D", "A:1-97, t1")
		}, "C"},
		{"not one that delays on purpose", func(b *topologytest.Builder) {
			b.Executed("B", "A:1-98, t1").Edit("B", func(o *topology.Observation) { o.Replication.ApplierDelayed = 3600 })
		}, "C"},
		{"not one that delays on purpose and has nothing left, though preferred", func(b *topologytest.Builder) {
			b.Promotion(topology.PromotionPrefer, "B").Edit("B", func(o *topology.Observation) { o.Replication.ApplierDelayed = 3600 })
		}, "C"},
		{"one that delays on purpose and has nothing left, when there is nobody else", func(b *topologytest.Builder) {
			b.Promotion(topology.PromotionNever, "C", "D").Edit("B", func(o *topology.Observation) { o.Replication.ApplierDelayed = 3600 })
		}, "B"},
		{"not one without the plugins", func(b *topologytest.Builder) {
			b.Edit("B", func(o *topology.Observation) { o.SemiSync.Installed = false })
		}, "C"},
		{"not one that does not log what it replicates", func(b *topologytest.Builder) {
			b.Edit("B", func(o *topology.Observation) { o.Settings.LogReplicaUpdates = false })
		}, "C"},
		{"not one with a full disk", func(b *topologytest.Builder) {
			b.Edit("B", func(o *topology.Observation) { o.Stall.DiskFull = true })
		}, "C"},
		{"not one that was rewound by half", func(b *topologytest.Builder) {
			b.Edit("B", func(o *topology.Observation) { o.Undone = b.Set("A:7") })
		}, "C"},
		{"not one whose only follower was rewound by half", func(b *topologytest.Builder) {
			b.Acks(2).Edit("D", func(o *topology.Observation) { o.Undone = b.Set("A:7") })
		}, ""},
		{"not one with waiting commits", func(b *topologytest.Builder) {
			b.Edit("B", func(o *topology.Observation) { o.SemiSync.Waiters = 1 })
		}, "C"},
		{"not an errant one", func(b *topologytest.Builder) { b.Positions("A:1-100, t1, B:1", "B") }, "C"},
		{"not one of a newer series than its followers", func(b *topologytest.Builder) {
			b.Edit("B", func(o *topology.Observation) { o.Version = "10.0.1" })
		}, "C"},
		{"one that is offline, for it can be taken back", func(b *topologytest.Builder) {
			b.Edit("B", func(o *topology.Observation) { o.OfflineMode = true })
		}, "B"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C", "D").Acks(1).Dead("A")
			row.build(b)
			found, obstacle := settledWith(intentOf(b))
			if found.candidate.address != row.wins {
				t.Errorf("%s wins; %+v; %+v", found.candidate.address, obstacle, found.candidate.others)
			}
		})
	}
}

func TestTheCandidateFetchesWhatItLacksFromTheHolder(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D").Acks(1).Dead("A").Promotion(topology.PromotionPrefer, "B").Positions("A:1-105, t1", "D")
	found, obstacle := settledWith(intentOf(b))
	if c := found.candidate; obstacle != nil || c.address != "B" || c.source != "D" || c.left != 5 {
		t.Errorf("%+v %+v", c, obstacle)
	}
}

// TestNobodyWaitsForWhatAServerKeepsBackOnPurpose has D hold what nobody else has.
func TestNobodyWaitsForWhatAServerKeepsBackOnPurpose(t *testing.T) {
	for _, row := range []struct {
		name     string
		delay    int // seconds
		executed string
		fetched  bool
	}{
		{"an hour, received", 3600, "A:1-100, t1", false},
		{"an hour, and it has executed it", 3600, "A:1-105, t1", true},
		{"seconds", 10, "A:1-100, t1", true},
	} {
		b := topologytest.Cluster("A", "B", "C", "D").Acks(1).Dead("A").Positions("A:1-105, t1", "D").Executed("D", row.executed)
		b.Edit("D", func(o *topology.Observation) { o.Replication.ApplierDelayed = row.delay })
		found, obstacle := settledWith(intentOf(b))
		if fetched := found.candidate.source == "D"; fetched != row.fetched || !fetched && code(obstacle) != "no_candidate" {
			t.Errorf("%s: %+v %+v", row.name, found.candidate, obstacle)
		}
	}
}

func TestWhatWasPurgedCannotBeFetched(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("A").Positions("A:1-105, t1", "C").Purged("C", "A:1-103")
	found, obstacle := settledWith(intentOf(b))
	if code(obstacle) != "no_candidate" {
		t.Fatalf("%s leads, fetching from %q: B needs 101 to 103, which C has purged", found.candidate.address, found.candidate.source)
	}
	if !strings.Contains(obstacle.Message, "B: it lacks") || !strings.Contains(obstacle.Message, "C: it needs 1 ack, and no server can follow it") {
		t.Error(obstacle.Message)
	}
}

func TestAnErrantHolderGivesNothing(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D").Acks(1).Dead("A").Positions("A:1-101, t1, B:1", "B")
	if found, obstacle := settledWith(intentOf(b)); code(obstacle) != "no_candidate" {
		t.Errorf("%s would fetch B's stray write along", found.candidate.address)
	}
}

func TestVersionsDecideWhoCanFollow(t *testing.T) {
	rows := []struct {
		replica, source string
		follows         bool
	}{
		{"8.0.36", "8.0.40", true}, {"8.0.40", "8.0.26", true}, {"8.4.1", "8.0.36", true}, {"9.7.4", "8.4.6", true},
		{"8.0.36", "8.4.1", false}, {"8.4.6", "9.0.1", false}, {"9.7.4", "10.0.0", false}, {"8.0.36-28", "8.4.0-1", false},
		{"unknown", "8.4.1", true}, {"", "", true},
	}
	for _, row := range rows {
		if older(row.replica, row.source) == row.follows {
			t.Errorf("%s behind %s: follows is not %t", row.replica, row.source, row.follows)
		}
	}
}

func TestAWantedServerIsPromotedOrNobody(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D").Acks(1).Dead("A").Positions("A:1-100, t1, D:1", "D")
	in := intentOf(b)
	in.Wanted = "C"
	if found, _ := settledWith(in); found.candidate.address != "C" {
		t.Errorf("%s", found.candidate.address)
	}
	in.Wanted = "D"
	if _, obstacle := settledWith(in); code(obstacle) != "no_candidate" || !strings.Contains(obstacle.Message, "D cannot be established") {
		t.Errorf("%+v", obstacle)
	}
	for _, wanted := range []topology.Address{"A", "X"} {
		in.Wanted = wanted
		if op := Emergency(clearance(true), in, topologytest.Now); code(op.Obstacle) != "not_a_candidate" {
			t.Errorf("%s: %+v", wanted, op.Obstacle)
		}
	}
}

func TestAServerThatMayStillReceiveIsNoCandidate(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D").Acks(1).Term(1, "A", "A:1-10").Intent(2, "B", "A:1-100, t1").Dead("A")
	in := intentOf(b)
	op := revoking(in).silenced(in, "B", Demote).froze(in, "C", "D")
	p := op.Progress["B"]
	p.Frozen = Unknown
	op.Progress["B"] = p
	found, _ := op.elect(choice{history: b.Set("A:1-100, t1"), clean: topology.Servers("B", "C", "D"), follow: topology.Servers("C", "D")})
	if found.address != "C" {
		t.Errorf("%s is elected, and B's receiver may be on", found.address)
	}
}

func TestAnEarlierChoiceIsPreferredToItsEquals(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D", "E").Acks(2).Term(1, "A", "A:1-10").Intent(2, "D", "A:1-100, t1").Executed("A", "A:1-100, t1").Dead("A")
	b.Positions("A:1-100, t1", "B", "C", "D", "E")
	in := intentOf(b)
	found, obstacle := revoking(in).silenced(in, "D", Demote).froze(in, "B", "C", "E").settle()
	if obstacle != nil || found.candidate.address != "D" {
		t.Fatalf("%s %+v", found.candidate.address, obstacle)
	}
	if op := revoking(in).silenced(in, "D", Demote).froze(in, "B", "C", "E").elected(found, topologytest.Now); !op.Decision.Base.Contains(b.Set("t2")) {
		t.Errorf("its marker may stand in its binary log already, and the decision honours only %s", op.Decision.Base)
	}
}

func TestAMarkerThatWaitedWhereTheDataIsGoneIsNotHonoured(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D", "E").Acks(2).Term(1, "A", "A:1-10").Intent(2, "D", "A:1-100, t1").Executed("A", "A:1-100, t1").Dead("A")
	b.Positions("A:1-100, t1", "B", "C", "D", "E").Promotion(topology.PromotionPrefer, "D")
	b.Edit("D", func(o *topology.Observation) { o.UUID = topologytest.UUID("X") })
	in := intentOf(b)
	op := revoking(in).silenced(in, "D", Demote).froze(in, "B", "C", "E")
	found, obstacle := op.settle()
	if obstacle != nil || found.candidate.address != "D" {
		t.Fatalf("%s %+v", found.candidate.address, obstacle)
	}
	if op = op.elected(found, topologytest.Now); op.Decision.Base.Intersects(b.Set("t2")) {
		t.Errorf("whoever still holds it has what D never will, and would count as clean: the decision honours %s", op.Decision.Base)
	}
	op = op.silenced(in, "D", Poison)
	op.Progress["D"].Reading.SemiSync.Waiters = 1
	if op.onlyMarkersPend("D") {
		t.Error("what waits on the new server is taken for the marker of the old one")
	}
}

func TestALeaderThatMayStillLeadIsNoCandidate(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D").Acks(1).Term(1, "A", "A:1-10").Intent(2, "B", "A:1-100, t1").Dead("A")
	in := intentOf(b)
	all := topology.Servers("B", "C", "D")
	found, _ := revoking(in).froze(in, "B", "C", "D").elect(choice{history: b.Set("A:1-100, t1, t2"), clean: all, follow: all})
	if found.address != "C" {
		t.Errorf("%s is elected, and B was not silenced", found.address)
	}
}

func TestAMarkerThatWaitsOnItsServerIsNotFetched(t *testing.T) {
	// D holds the marker of term 2, so B must have it in its binary log, where it waits and does not show.
	b := topologytest.Cluster("A", "B", "C", "D").Acks(2).Term(1, "A", "A:1-10").Intent(2, "B", "A:1-100, t1").Dead("A")
	b.Positions("A:1-100, t1", "B", "C").Positions("A:1-100, t1, t2", "D")
	b.Edit("B", func(o *topology.Observation) {
		o.SuperReadOnly, o.SemiSync.Waiters, o.SemiSync.SourceEnabled, o.SemiSync.SourceActive, o.SemiSync.Acks = false, 1, true, true, 2
	})
	in := intentOf(b)
	found, obstacle := revoking(in).silenced(in, "B", Poison).froze(in, "C", "D").settle()
	if c := found.candidate; obstacle != nil || c.address != "B" || c.source != "" || c.left != 0 {
		t.Fatalf("%+v %+v", c, obstacle)
	}
	op := revoking(in).silenced(in, "B", Poison).froze(in, "C", "D").elected(found, topologytest.Now)
	if !op.Decision.Base.Contains(b.Set("t2")) || op.Phase != PhasePropagating {
		t.Errorf("phase %s, base %s", op.Phase, op.Decision.Base)
	}
	for _, c := range op.Next().Commands {
		if c.Verb == AwaitApplied && c.Set.Intersects(b.Set("t2")) {
			t.Errorf("%s would wait for ever: the marker is there and shows only once it is acknowledged", c)
		}
	}
}

func TestServersThatCommitsWaitOnDoNotFollow(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("A").Edit("C", func(o *topology.Observation) { o.SemiSync.Waiters = 1 })
	if found, obstacle := settledWith(intentOf(b)); code(obstacle) != "no_candidate" {
		t.Errorf("%s leads with %s", found.candidate.address, found.candidate.followers)
	}
}

func TestAnApplierThatFailedKeepsAServerFromFollowing(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("A").Executed("C", "A:1-90, t1")
	b.Edit("C", func(o *topology.Observation) { o.Replication.Applier = topology.ThreadOff })
	if found, obstacle := settledWith(intentOf(b)); found.candidate.address != "B" {
		t.Errorf("stopped by hand, so following starts it again: %+v", obstacle)
	}
	b.Edit("C", func(o *topology.Observation) { o.Replication.ApplierErrno = 1062 })
	if found, obstacle := settledWith(intentOf(b)); code(obstacle) != "no_candidate" {
		t.Errorf("%s leads; what C received would be lost", found.candidate.address)
	}
}

// TestWhoDoesNotApplyWhatNobodyElseHasIsNamed has D hold alone what it received and does not apply, and never lead.
func TestWhoDoesNotApplyWhatNobodyElseHasIsNamed(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*topologytest.Builder)
		starts bool // who mends it has to start the applier
	}{
		"it failed":               {func(b *topologytest.Builder) { b.Edit("D", applierOff(1062)) }, false},
		"it is under maintenance": {func(b *topologytest.Builder) { b.Edit("D", applierOff(0)).Maintenance("D") }, true},
		"its source side is on":   {func(b *topologytest.Builder) { b.Edit("D", applierOff(0)).Edit("D", sources) }, true},
	} {
		b := heldByD()
		row.change(b)
		_, obstacle := settledWith(intentOf(b))
		if code(obstacle) != "no_candidate" || !strings.Contains(obstacle.Message, "can give it that: the applier of D, which received it, does not run") {
			t.Fatalf("%s: %+v", name, obstacle)
		}
		if strings.Contains(obstacle.Remedy, "START REPLICA SQL_THREAD on D") != row.starts {
			t.Errorf("%s: %s", name, obstacle.Remedy)
		}
	}
}

// heldByD has D hold alone what it has received and not applied, and never lead.
func heldByD() *topologytest.Builder {
	return topologytest.Cluster("A", "B", "C", "D").Acks(1).Dead("A").Positions("A:1-105, t1", "D").Executed("D", "A:1-90, t1").Promotion(topology.PromotionNever, "D")
}

func applierOff(errno int) func(*topology.Observation) {
	return func(o *topology.Observation) {
		o.Replication.Applier, o.Replication.ApplierErrno = topology.ThreadOff, errno
	}
}

func sources(o *topology.Observation) { o.SemiSync.SourceEnabled = true }

// TestNobodyIsToldToStartAnApplierThatTheChangeWouldStart has C be what is lacking, and not B's applier.
func TestNobodyIsToldToStartAnApplierThatTheChangeWouldStart(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("A").Executed("B", "A:1-90, t1").Edit("B", applierOff(0))
	b.Edit("C", func(o *topology.Observation) { o.Stall.DiskFull = true })
	_, obstacle := settledWith(intentOf(b))
	if code(obstacle) != "no_candidate" || strings.Contains(obstacle.Remedy, "SQL_THREAD") {
		t.Errorf("%+v", obstacle)
	}
}

func TestWhoDoesNotApplyWhatNobodyElseHasIsStarted(t *testing.T) {
	found, obstacle := settledWith(intentOf(heldByD().Edit("D", applierOff(0))))
	if c := found.candidate; obstacle != nil || c.address != "B" || c.source != "D" {
		t.Errorf("%+v %+v", c, obstacle)
	}
	both := heldByD().Positions("A:1-105, t1", "C").Promotion(topology.PromotionNever, "C").Executed("C", "A:1-90, t1")
	if found, obstacle = settledWith(intentOf(both.Edit("C", applierOff(0)))); obstacle != nil || found.candidate.source != "D" {
		t.Errorf("C and D have it, and only D applies: %+v %+v", found.candidate, obstacle)
	}
}

func TestFollowersThatAreNoAckersDoNotCount(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D").Policy(topology.Policy{Kind: topology.PolicyCrossZone, Acks: 1})
	b.Zone("east", "A", "B").Zone("west", "C", "D").Dead("A", "D")
	in := intentOf(b)
	op := revoking(in).froze(in, "B", "C")
	found, obstacle := op.elect(choice{history: b.Set("A:1-100, t1"), clean: topology.Servers("B", "C"), follow: topology.Servers("B", "C")})
	if obstacle != nil || found.address != "B" || !found.followers.Equal(topology.Servers("C")) {
		t.Errorf("%+v %+v", found, obstacle)
	}
	op = revoking(in).froze(in, "B")
	if _, obstacle := op.elect(choice{history: b.Set("A:1-100, t1"), clean: topology.Servers("B"), follow: topology.Servers("B")}); code(obstacle) != "no_candidate" ||
		alternatives(obstacle.Needs) != "{C} or {D}" {
		t.Errorf("%+v", obstacle)
	}
}

func TestBehindAWaitingMarkerNothingIsFetched(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D").Acks(1).Term(1, "A", "A:1-10").Intent(2, "B", "A:1-100, t1").Executed("A", "A:1-100, t1").Dead("A")
	b.Positions("A:1-100, t1", "B").Positions("A:1-105, t1", "C", "D")
	b.Edit("B", func(o *topology.Observation) { o.SemiSync.Waiters = 1 }).Promotion(topology.PromotionPrefer, "B")
	in := intentOf(b)
	found, obstacle := revoking(in).silenced(in, "B", Poison).froze(in, "C", "D").settle()
	if found.candidate.address != "C" {
		t.Errorf("%q leads: %+v", found.candidate.address, obstacle)
	}
}

func TestWhoGivesWhatAnotherLacks(t *testing.T) {
	rows := []struct {
		name   string
		change func(*Progress, *topology.Observation)
		gives  bool
	}{
		{"a frozen server", func(*Progress, *topology.Observation) {}, true},
		{"one that may still receive", func(p *Progress, _ *topology.Observation) { p.Frozen = Unknown }, false},
		{"one with waiting commits", func(_ *Progress, o *topology.Observation) { o.SemiSync.Waiters = 1 }, false},
		{"one that is offline and closed", func(_ *Progress, o *topology.Observation) { o.OfflineMode = true }, true},
		{"one that only being offline keeps clients from", func(_ *Progress, o *topology.Observation) {
			o.OfflineMode, o.SuperReadOnly = true, false
		}, false},
		{"one that is offline, and whose super_read_only stands alone", func(_ *Progress, o *topology.Observation) {
			o.OfflineMode, o.ReadOnly = true, false
		}, false},
		{"one whose applier failed before it", func(_ *Progress, o *topology.Observation) {
			o.Executed, o.Replication.Applier, o.Replication.ApplierErrno = o.Executed.Subtract(o.Received), topology.ThreadOff, 1062
		}, false},
		{"one whose applier stands still before it", func(_ *Progress, o *topology.Observation) {
			o.Executed, o.Replication.Applier = o.Executed.Subtract(o.Received), topology.ThreadOff
		}, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C").Dead("A")
			in := intentOf(b)
			op := revoking(in).froze(in, "B")
			p := op.Progress["B"]
			row.change(&p, p.Reading)
			op.Progress["B"] = p
			if op.gives("B", b.Set("A:100")) != row.gives {
				t.Errorf("gives is not %t", row.gives)
			}
		})
	}
}

func TestAServerThatMayStillReceiveIsNoFollower(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("A")
	in := intentOf(b)
	op := revoking(in).froze(in, "B", "C")
	p := op.Progress["C"]
	p.Frozen = Unknown
	op.Progress["C"] = p
	all := topology.Servers("B", "C")
	if found, obstacle := op.elect(choice{history: b.Set("A:1-100, t1"), clean: all, follow: all}); code(obstacle) != "no_candidate" {
		t.Errorf("%s leads", found.address)
	}
}
