package reparent

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// intentOf is an emergency in a built cluster, under the term after the last on record.
func intentOf(b *topologytest.Builder) Intent {
	h := b.History()
	in := Intent{ID: "op", Elector: "elector-1", Term: 2, Snapshot: b.Snapshot(), History: h, By: "alice", Reason: "test"}
	if n := len(h.Leaderships); n > 0 {
		in.Term = h.Leaderships[n-1].Term + 1
	}
	return in
}

// revoking is an emergency change before anything was sent, whatever its prospects.
func revoking(in Intent) Operation {
	op := begin(KindEmergency, clearance(true), in, topologytest.Now)
	op.Leaders, op.Phase = leaders(&in), PhaseRevoking
	return op
}

// froze folds in that servers were frozen and show what the snapshot shows.
func (op Operation) froze(in Intent, names ...topology.Address) Operation {
	op = op.clone()
	for _, name := range names {
		o := *in.Snapshot.Server(name)
		p := op.Progress[name]
		p.Frozen, p.Reading = Yes, &o
		op.Progress[name] = p
	}
	return op
}

// silenced folds in that a leader itself was made unable to complete.
func (op Operation) silenced(in Intent, name topology.Address, with Verb) Operation {
	op = op.froze(in, name)
	p := op.Progress[name]
	p.Silenced, p.With = Yes, with
	op.Progress[name] = p
	return op
}

func code(o *Obstacle) string {
	if o == nil {
		return ""
	}
	return o.Code
}

func TestALeaderIsRevokedWhenTooFewAckersAreLeftLoose(t *testing.T) {
	rows := []struct {
		name    string
		acks    int
		frozen  []topology.Address
		revoked bool
		needs   string
	}{
		{"one of four is loose and two are needed", 2, []topology.Address{"B", "C", "D"}, true, ""},
		{"two are loose and two are needed", 2, []topology.Address{"C", "D"}, false, "{B} or {E} or {A}"},
		{"three are loose and two are needed", 2, []topology.Address{"D"}, false, "{B, C} or {B, E} or {C, E} or {A}"},
		{"one is loose and one suffices", 1, []topology.Address{"B", "C", "D"}, false, "{E} or {A}"},
		{"none is loose", 1, []topology.Address{"B", "C", "D", "E"}, true, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			in := intentOf(topologytest.Cluster("A", "B", "C", "D", "E").Acks(row.acks).Dead("A"))
			_, obstacle := revoking(in).froze(in, row.frozen...).revoked()
			if (obstacle == nil) != row.revoked {
				t.Fatalf("obstacle: %+v", obstacle)
			}
			if obstacle != nil && (obstacle.Code != "not_revoked" || alternatives(obstacle.Needs) != row.needs) {
				t.Errorf("%s, needs %s", obstacle.Code, alternatives(obstacle.Needs))
			}
		})
	}
}

func TestUnreachedAckersThatCouldCompleteBlockRevocation(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C", "D", "E").Acks(2).Dead("A").Silent("B", "E"))
	op := Emergency(clearance(true), in, topologytest.Now)
	if op.State != StateBlocked || code(op.Obstacle) != "not_revoked" {
		t.Fatalf("%s %+v", op.State, op.Obstacle)
	}
	if got := alternatives(op.Obstacle.Needs); got != "{A} or {B} or {E}" {
		t.Errorf("needs %s", got)
	}
	if step := op.Next(); !step.Done || len(step.Commands) > 0 {
		t.Errorf("a blocked operation wants %v", step.Commands)
	}
}

func TestAPoisonedLeaderNeedsNoAckers(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C").Acks(1))
	op := revoking(in).silenced(in, "A", Poison)
	proof, obstacle := op.revoked()
	if obstacle != nil || !strings.Contains(strings.Join(proof.How(), ""), "A itself was made unable to complete (poison)") {
		t.Errorf("%v %+v", proof.How(), obstacle)
	}
}

func TestWithAPoisonedLeaderOneAckerThatHoldsEverythingIsEnough(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D").Acks(1).Silent("C")
	in := intentOf(b)
	if _, obstacle := revoking(in).silenced(in, "A", Poison).froze(in, "B", "D").settle(); obstacle != nil {
		t.Errorf("all that A completed is on B and D, and yet: %+v", obstacle)
	}
	in = intentOf(b.Executed("A", "A:1-101, t1"))
	_, obstacle := revoking(in).silenced(in, "A", Poison).froze(in, "B", "D").settle()
	if code(obstacle) != "not_discovered" || alternatives(obstacle.Needs) != "{C}" {
		t.Errorf("A completed 101, which only C can hold: %+v", obstacle)
	}
}

func TestALeaderOfUnknownOutcomeIsRevokedToo(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D", "E").Acks(2).Term(1, "A", "A:1-10").Intent(2, "C", "A:1-100, t1")
	in := intentOf(b.Dead("A").Silent("C"))
	op := revoking(in).froze(in, "B", "D", "E")
	proof, obstacle := op.revoked()
	if obstacle != nil || len(proof.How()) != 2 {
		t.Fatalf("%v %+v", proof.How(), obstacle)
	}
	op = revoking(in).froze(in, "D", "E")
	if _, obstacle := op.revoked(); code(obstacle) != "not_revoked" {
		t.Errorf("A and B, or B and C, could go on: %+v", obstacle)
	}
}

func TestWithoutAnyRecordEverybodyMayBeLeading(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C").Unadopted())
	if op := revoking(in); len(op.Leaders) != 3 {
		t.Errorf("leaders %+v", op.Leaders)
	}
}

func TestWhatALeaderWasLastSeenToWaitForCounts(t *testing.T) {
	rows := []struct {
		name   string
		change func(*topology.Observation)
		acks   int
	}{
		{"as the ruleset wants", func(*topology.Observation) {}, 2},
		{"with a finite timeout", func(o *topology.Observation) { o.SemiSync.Timeout = 10 * time.Second }, 0},
		{"with semi-sync switched off", func(o *topology.Observation) { o.SemiSync.SourceEnabled = false }, 0},
		{"fallen back to async", func(o *topology.Observation) { o.SemiSync.SourceActive = false }, 0},
		{"waiting for fewer acks", func(o *topology.Observation) { o.SemiSync.Acks = 1 }, 1},
		{"waiting for more acks than the ruleset wants", func(o *topology.Observation) { o.SemiSync.Acks = 3 }, 2},
		{"with a stranger attached", func(o *topology.Observation) { o.SemiSync.Clients = 5 }, 1},
		{"closed for everybody and no source", func(o *topology.Observation) {
			o.SuperReadOnly, o.ReadOnly, o.SemiSync.SourceEnabled = true, true, false
		}, 2},
		{"no source, and super_read_only stands alone", func(o *topology.Observation) {
			o.SuperReadOnly, o.SemiSync.SourceEnabled = true, false
		}, 0},
		{"closing, which still hangs", func(o *topology.Observation) {
			o.SuperReadOnly, o.ReadOnly, o.SemiSync.SourceEnabled, o.Stall.ReadOnlyWait = true, true, false, true
		}, 0},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C", "D", "E").Acks(2).Edit("A", row.change)
			in := intentOf(b.Dead("A"))
			op := revoking(in)
			if got := op.Leaders[0].Acks; got != row.acks {
				t.Fatalf("counts %d acks (%s)", got, op.Leaders[0].Why)
			}
			_, obstacle := op.froze(in, "B", "C", "D", "E").revoked()
			if (obstacle == nil) != (row.acks > 0) {
				t.Errorf("with all ackers frozen: %+v", obstacle)
			}
		})
	}
}

func TestALeaderThatMayCommitAloneTakesACertificateAndAnAcceptedLoss(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Acks(1).Edit("A", func(o *topology.Observation) { o.SemiSync.Timeout = time.Second }).Dead("A")
	in := intentOf(b)
	if op := Emergency(clearance(true), in, topologytest.Now); code(op.Obstacle) != "not_revocable" {
		t.Errorf("without anything: %+v", op.Obstacle)
	}
	in.CertifiedDown = topology.Servers("A")
	if op := Emergency(clearance(true), in, topologytest.Now); code(op.Obstacle) != "not_discovered" {
		t.Errorf("certified: %+v", op.Obstacle)
	}
	in.AcceptLoss = true
	if op := Emergency(clearance(true), in, topologytest.Now); !op.Running() {
		t.Errorf("certified and accepted: %+v", op.Obstacle)
	}
}

func TestACertifiedLeaderIsLeftAlone(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C").Acks(1).Silent("A"))
	in.CertifiedDown = topology.Servers("A")
	op := Emergency(clearance(true), in, topologytest.Now)
	for _, c := range op.Next().Commands {
		if c.Server == "A" {
			t.Errorf("sent to a server that is powered off: %s", c)
		}
	}
}

func TestACertificateIsRefusedForAServerThatAnswers(t *testing.T) {
	for _, b := range []*topologytest.Builder{
		topologytest.Cluster("A", "B", "C"), topologytest.Cluster("A", "B", "C").Denied("A", 1045),
	} {
		in := intentOf(b)
		in.CertifiedDown = topology.Servers("A")
		if op := Emergency(clearance(true), in, topologytest.Now); code(op.Obstacle) != "certificate_contradicted" {
			t.Errorf("%+v", op.Obstacle)
		}
	}
}

func TestPolicyNoneBlocksWithoutACertificate(t *testing.T) {
	none := topology.Policy{Kind: topology.PolicyNone}
	in := intentOf(topologytest.Cluster("A", "B", "C").Policy(none).Dead("A"))
	op := Emergency(clearance(true), in, topologytest.Now)
	if code(op.Obstacle) != "not_revocable" || alternatives(op.Obstacle.Needs) != "{A}" {
		t.Errorf("%+v", op.Obstacle)
	}
	none.AllowUnfenced = true
	in = intentOf(topologytest.Cluster("A", "B", "C").Policy(none).Dead("A"))
	if op := Emergency(clearance(true), in, topologytest.Now); !op.Running() {
		t.Errorf("allow_unfenced: %+v", op.Obstacle)
	}
}

func TestAReplicaThatAcksAgainstTheRulesetCountsForRevocation(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D").Policy(topology.Policy{Kind: topology.PolicyCrossZone, Acks: 1})
	b.Zone("east", "A", "B").Zone("west", "C", "D")
	in := intentOf(b.Dead("A"))
	if _, obstacle := revoking(in).froze(in, "C", "D").revoked(); obstacle != nil {
		t.Errorf("B is in A's zone and does not acknowledge: %+v", obstacle)
	}
	in = intentOf(b.Edit("B", func(o *topology.Observation) { o.SemiSync.ReplicaEnabled = true }))
	if _, obstacle := revoking(in).froze(in, "C", "D").revoked(); code(obstacle) != "not_revoked" {
		t.Errorf("MySQL counts B's acks whatever its zone: %+v", obstacle)
	}
	if _, obstacle := revoking(in).froze(in, "B", "C", "D").revoked(); obstacle != nil {
		t.Errorf("all frozen: %+v", obstacle)
	}
}

// One of A's zone that is cut off together with it may have restarted since it was last seen.
func TestAServerThatARestartWouldMakeAcknowledgeCountsForRevocation(t *testing.T) {
	rows := []struct {
		name   string
		edit   func(*topology.Observation)
		counts bool
	}{
		{"it does not start its receiver by itself", func(o *topology.Observation) {}, false},
		{"it does, and its option file does not say that its acknowledgements are off", func(o *topology.Observation) { o.Settings.SkipReplicaStart = false }, true},
		{"it does, and they are certain to be off", func(o *topology.Observation) { o.Settings.SkipReplicaStart, o.Settings.BootAcksOff = false, true }, false},
		{"they are certain to be off, and it was seen to acknowledge", func(o *topology.Observation) { o.SemiSync.ReplicaEnabled, o.Settings.BootAcksOff = true, true }, true},
		{"it was never seen", func(o *topology.Observation) { *o = topology.Observation{Address: "B"} }, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C", "D").Policy(topology.Policy{Kind: topology.PolicyCrossZone, Acks: 1})
			in := intentOf(b.Zone("east", "A", "B").Zone("west", "C", "D").Edit("B", row.edit).Dead("A", "B"))
			op := revoking(in).froze(in, "C", "D")
			if _, obstacle := op.revoked(); code(obstacle) == "not_revoked" != row.counts {
				t.Errorf("A can complete with B: %t, and %+v", row.counts, obstacle)
			}
			if lost := op.undiscovered(gtid.Set{}); len(lost) > 0 != row.counts {
				t.Errorf("B alone may hold what A completed: %t, and %+v", row.counts, lost)
			}
		})
	}
}

func TestLostEvidenceCountsForRevocationAndNotForAbsence(t *testing.T) {
	recovers := func(o *topology.Observation) { o.Settings.RelayLogRecovery = true }
	unsynced := func(o *topology.Observation) { o.Settings.RelayLogUnsynced = true }
	unlogged := func(o *topology.Observation) { o.Settings.SyncBinlog = 0 }
	restarted := func(o *topology.Observation) {
		o.StartedAt, o.Incarnation = topologytest.Now, "B/2"
		o.Losses = o.LossesSince(&topology.Observation{Settings: o.Settings}) // as the loop notes it
	}
	rows := []struct {
		name    string
		build   func(*topologytest.Builder)
		blocked string
	}{
		{"nothing happened to B", func(*topologytest.Builder) {}, ""},
		{"B restarted", func(b *topologytest.Builder) { b.Edit("B", restarted) }, ""},
		{"B runs with relay_log_recovery and did not restart", func(b *topologytest.Builder) { b.Edit("B", recovers) }, ""},
		{"B restarted with relay_log_recovery", func(b *topologytest.Builder) { b.Edit("B", recovers).Edit("B", restarted) }, "not_discovered"},
		{"B does not sync its relay log and did not restart", func(b *topologytest.Builder) { b.Edit("B", unsynced) }, ""},
		{"B restarted without having synced its relay log", func(b *topologytest.Builder) { b.Edit("B", unsynced).Edit("B", restarted) }, "not_discovered"},
		{"B restarted without having synced its binary log", func(b *topologytest.Builder) { b.Edit("B", unlogged).Edit("B", restarted) }, "not_discovered"},
		{"B restarted and lacks even what A began with", func(b *topologytest.Builder) {
			b.Edit("B", restarted).Positions("A:1-5", "B")
		}, "not_discovered"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("A")
			row.build(b)
			in := intentOf(b)
			op := revoking(in).froze(in, "B", "C")
			if _, obstacle := op.revoked(); obstacle != nil {
				t.Errorf("not revoked: %+v", obstacle)
			}
			if _, obstacle := op.settle(); code(obstacle) != row.blocked {
				t.Errorf("%+v", obstacle)
			}
		})
	}
}

func TestAServerThatLacksTheBeginningProvesNothingUnlessAFloorHoldsWhatTheLeaderHad(t *testing.T) {
	// B was seen with new data before, and has not restarted since: only A, which restarted meanwhile, may still hold what B
	// had acknowledged once. What A shows after a restart is no floor.
	b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("A").Positions("A:1-5", "B").Positions("A:1-99", "C")
	in := intentOf(b)
	if _, obstacle := revoking(in).froze(in, "B", "C").settle(); code(obstacle) != "below_floor" {
		t.Errorf("with a floor: %+v", obstacle)
	}
	in.History.Floor = gtid.Set{}
	if _, obstacle := revoking(in).froze(in, "B", "C").settle(); code(obstacle) != "not_discovered" {
		t.Errorf("without: %+v", obstacle)
	}
}

func TestARestartThatOnlyTheUptimeShowsIsNoticed(t *testing.T) {
	// The last sight of B is after its restart already: nothing but the age of its process tells.
	b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("A").Edit("B", func(o *topology.Observation) {
		o.Settings.RelayLogRecovery, o.StartedAt = true, topologytest.Now.Add(-2*time.Second)
	})
	in := intentOf(b)
	if _, obstacle := revoking(in).froze(in, "B", "C").settle(); code(obstacle) != "not_discovered" {
		t.Errorf("%+v", obstacle)
	}
}

func TestARestartSinceTheLastSightCountsHoweverOldTheProcessSeems(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("A").Edit("B", func(o *topology.Observation) { o.Settings.RelayLogRecovery = true })
	in := intentOf(b)
	before := *in.History.LastSeen.Of("B")
	before.Incarnation = "B/0"
	in.History.LastSeen["B"] = &before
	if _, obstacle := revoking(in).froze(in, "B", "C").settle(); code(obstacle) != "not_discovered" {
		t.Errorf("%+v", obstacle)
	}
}

func TestWhatAServerDroppedAtAStartIsNotTakenForAbsenceOnceTheSettingIsMended(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("A").Edit("B", func(o *topology.Observation) { o.Incarnation, o.StartedAt = "B/2", topologytest.Now })
	in := intentOf(b)
	for name, was := range map[string]topology.Settings{"it recovered": {RelayLogRecovery: true}, "it did not sync": {RelayLogUnsynced: true}} {
		before := *in.History.LastSeen.Of("B")
		before.Incarnation, before.Settings = "B/1", was
		in.History.LastSeen["B"] = &before
		if _, obstacle := revoking(in).froze(in, "B", "C").settle(); code(obstacle) != "not_discovered" {
			t.Errorf("%s: %+v", name, obstacle)
		}
	}
}

func TestAnOldRestartIsHarmlessWhereTheFloorAsksForWhatItMayHaveLost(t *testing.T) {
	for name, edit := range map[string]func(*topology.Observation){
		"it recovers":     func(o *topology.Observation) { o.Settings.RelayLogRecovery = true },
		"it did not sync": func(o *topology.Observation) { o.Losses.Received = o.StartedAt },
	} {
		b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("A").Edit("B", edit)
		b.Positions("A:1-99, t1", "B")
		in := intentOf(b)
		if _, obstacle := revoking(in).froze(in, "B", "C").settle(); obstacle != nil {
			t.Errorf("%s: C holds what A had committed: %+v", name, obstacle)
		}
		in.History.Floor = b.Set("")
		if _, obstacle := revoking(in).froze(in, "B", "C").settle(); code(obstacle) != "not_discovered" {
			t.Errorf("%s: nothing asks for what B may have lost: %+v", name, obstacle)
		}
	}
}

func TestWhatAServerWasSeenToHoldItMustStillHold(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("A").Positions("A:1-90, t1", "B")
	in := intentOf(b)
	before := *in.History.LastSeen.Of("B")
	before.Executed = b.Set("A:1-100, t1")
	in.History.LastSeen["B"] = &before
	_, obstacle := revoking(in).froze(in, "B", "C").settle()
	if code(obstacle) != "not_discovered" || !strings.Contains(obstacle.Message, "it no longer holds transactions that it was seen to hold") {
		t.Errorf("%+v", obstacle)
	}
}

func TestAnotherServerAtAnAddressIsNoEvidence(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C").Acks(1).Dead("A"))
	before := *in.History.LastSeen.Of("B")
	before.UUID = topologytest.UUID("F")
	in.History.LastSeen["B"] = &before
	if _, obstacle := revoking(in).froze(in, "B", "C").settle(); code(obstacle) != "not_discovered" {
		t.Errorf("%+v", obstacle)
	}
}

// A primary whose data directory was lost comes back empty, as another server. Once that one has been seen there, nothing
// but the record knows that it never led.
func TestAnotherServerAtTheLeadersAddressDoesNotSpeakForTheLeader(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("B").Positions("A:1-90, t1", "A", "C").Edit("A", func(o *topology.Observation) {
		o.UUID, o.ReadOnly, o.SuperReadOnly = topologytest.UUID("F"), true, true
	})
	in := intentOf(b)
	seen := *in.Snapshot.Server("A")
	in.History.LastSeen["A"], in.History.Floor = &seen, gtid.Set{}
	for _, with := range []Verb{Demote, Poison} {
		_, obstacle := revoking(in).silenced(in, "A", with).froze(in, "C").settle()
		if code(obstacle) != "not_discovered" {
			t.Errorf("%s: what A completed may be on B alone, and yet: %+v", with, obstacle)
		}
	}
}

func TestSubsetsAreAllOfTheirSize(t *testing.T) {
	all := subsets(topology.Servers("A", "B", "C", "D"), 2)
	if len(all) != 6 || !slices.ContainsFunc(all, topology.Servers("B", "D").Equal) || len(distinct(all)) != 6 {
		t.Errorf("%s", alternatives(all))
	}
	if len(subsets(topology.Servers("A"), 2)) != 0 || len(subsets(topology.Servers("A"), 0)) != 0 || len(subsets(topology.Servers("A", "B"), 1)) != 2 {
		t.Error("sizes out of range, or one of two")
	}
}

func TestALeaderIsJudgedByItsOwnLastSightAndNotByWhoAnswersAtItsAddress(t *testing.T) {
	// A and E have lost their data, and B, which alone holds what A had completed with B and E, is down. E's process is
	// older than the sight of whoever answers for A now, and younger than that of A.
	b := topologytest.Cluster("A", "B", "C", "D", "E").Acks(2).Dead("B").Positions("", "A", "E").Positions("A:1-90, t1", "C", "D")
	in := intentOf(b)
	led := *in.History.LastSeen.Of("A")
	led.At, led.Executed = topologytest.Now.Add(-time.Minute), b.Set("A:1-90, t1")
	in.History.LastSeen["A"], in.History.Floor = &led, gtid.Set{}
	for i := range in.Snapshot.Servers {
		switch o := &in.Snapshot.Servers[i]; o.Address {
		case "A":
			o.UUID, o.Incarnation, o.ReadOnly, o.SuperReadOnly, o.SemiSync.SourceEnabled = topologytest.UUID("Z"), "Z/1", true, true, false
		case "E":
			o.StartedAt = topologytest.Now.Add(-10 * time.Second)
		}
	}
	seen := *in.Snapshot.Server("E")
	in.History.LastSeen["E"] = &seen // it was seen so before
	if _, obstacle := revoking(in).froze(in, "A", "C", "D", "E").settle(); code(obstacle) != "not_discovered" {
		t.Errorf("%+v", obstacle)
	}
}

func TestWhereTheRecordCameFromJournalsAServerOutOfReachMayLeadUnderALaterTerm(t *testing.T) {
	// B may have led under a term that only it knows, with C's acknowledgements; C's data has been replaced since.
	b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("B").Positions("", "C").ReadOnly("A").Edit("C", func(o *topology.Observation) { o.StartedAt = topologytest.Now })
	for _, row := range []struct{ recovered, established bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		in := intentOf(b)
		in.History.Recovered = row.recovered
		if !row.established {
			in.History.Leaderships[0].EstablishedAt = time.Time{}
		}
		delete(in.History.LastSeen, "B")
		op := revoking(in).froze(in, "C")
		a := *in.Snapshot.Server("A")
		op.Progress["A"] = Progress{Frozen: Yes, Silenced: Yes, With: Demote, Reading: &a}
		c := op.Progress["C"]
		c.Silenced, c.With = Yes, Demote
		op.Progress["C"] = c
		if _, obstacle := op.settle(); (code(obstacle) == "not_discovered") != row.recovered {
			t.Errorf("%+v: %+v", row, obstacle)
		}
	}
}

// The loop's memory is no older than its snapshot: what a server may have lost at a start has to be remembered as such.
func TestWhatAStartMayHaveLostIsNoProofThoughTheSettingsAreFineByNow(t *testing.T) {
	for name, row := range map[string]struct {
		lost    time.Duration // after A was last seen
		blocked string
	}{
		"since A was last seen":      {time.Second, "not_discovered"},
		"about when A was last seen": {-time.Second, "not_discovered"},
		"long before it was":         {-time.Hour, ""},
	} {
		b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("A")
		in := intentOf(b)
		after := *in.Snapshot.Server("B")
		after.Losses.Received = in.History.LastSeen.Of("A").At.Add(row.lost)
		*in.Snapshot.Server("B"), in.History.LastSeen["B"] = after, &after
		if _, obstacle := revoking(in).froze(in, "B", "C").settle(); code(obstacle) != row.blocked {
			t.Errorf("%s: %+v", name, obstacle)
		}
	}
}

// A leader's own word is worth nothing where a crash of its host may have taken the end of its binary log.
func TestALeaderThatMayHaveLostTheEndOfItsBinaryLogDoesNotSpeakForItself(t *testing.T) {
	restarted := func(o *topology.Observation) { o.Incarnation, o.StartedAt = "A/2", topologytest.Now }
	for name, row := range map[string]struct {
		edit func(*topology.Observation)
		word bool
	}{
		"the process that was established":   {func(o *topology.Observation) { o.Settings.SyncBinlog = 0 }, true},
		"it restarted":                       {restarted, true},
		"it restarted without its relay log": {func(o *topology.Observation) { restarted(o); o.Settings.RelayLogUnsynced = true }, true},
		"it restarted and does not sync":     {func(o *topology.Observation) { restarted(o); o.Settings.SyncBinlog = 0 }, false},
		"it restarted and did not sync then": {func(o *topology.Observation) { restarted(o); o.Losses.Executed = o.StartedAt }, false},
	} {
		for _, with := range []Verb{Demote, Poison} {
			b := topologytest.Cluster("A", "B", "C").Acks(1).Silent("C").Edit("A", row.edit)
			in := intentOf(b)
			op := revoking(in).silenced(in, "A", with).froze(in, "B")
			chosen, _ := op.chooseHistory()
			if word := len(op.undiscovered(chosen.history)) == 0; word != row.word {
				t.Errorf("%s, %s: its word counts: %t, %+v", name, with, word, op.undiscovered(chosen.history))
			}
		}
	}
}
