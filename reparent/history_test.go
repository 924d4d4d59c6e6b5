package reparent

import (
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// chosen is the history that frozen servers lead to.
func chosen(b *topologytest.Builder, names ...topology.Address) (choice, *Obstacle) {
	in := intentOf(b)
	op := revoking(in).froze(in, names...)
	c, obstacle := op.chooseHistory()
	c.why = op.because(c)
	return c, obstacle
}

func TestTheHighestMarkerBeatsMoreTransactions(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D", "E").Acks(2).Term(1, "A", "A:1-10").Term(2, "C", "A:1-100, t1").Dead("A")
	b.Positions("A:1-200, t1", "B").Positions("A:1-100, t1, t2, C:1", "C").Positions("A:1-100, t1, t2", "D")
	c, obstacle := chosen(b, "B", "C", "D")
	if obstacle != nil || !c.history.Equal(b.Set("A:1-100, t1, t2, C:1")) {
		t.Fatalf("%+v %s", obstacle, c.history)
	}
	if !c.clean.Equal(topology.Servers("C", "D")) || !strings.Contains(c.why, "B holds cancelled") {
		t.Errorf("clean %s, %s", c.clean, c.why)
	}
}

func TestUnderOneMarkerTheSupersetWins(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D").Dead("A").Positions("A:1-105, t1", "C").Positions("A:1-103, t1", "D")
	c, obstacle := chosen(b, "B", "C", "D")
	if obstacle != nil || !c.history.Equal(b.Set("A:1-105, t1")) || c.clean.Len() != 3 {
		t.Errorf("%+v %s, clean %s", obstacle, c.history, c.clean)
	}
}

func TestReceivedCountsLikeExecuted(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Dead("A").Received("B", "A:101-110")
	if c, _ := chosen(b, "B", "C"); !c.history.Equal(b.Set("A:1-110, t1")) {
		t.Errorf("%s", c.history)
	}
}

func TestHistoriesThatContradictEachOtherStop(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Dead("A").Positions("A:1-100:102, t1", "B").Positions("A:1-101, t1", "C")
	_, obstacle := chosen(b, "B", "C")
	if code(obstacle) != "incomparable" || len(obstacle.Branches) != 2 {
		t.Errorf("%+v", obstacle)
	}
}

func TestTwoHashesInOneTermStop(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Dead("A").Term(1, "A", "A:1-10").Intent(2, "B", "A:1-100, t1")
	other := topology.Marker{Term: 2, Hash: 77}.Set()
	b.Executed("B", "A:1-100, t1, t2").Edit("C", func(o *topology.Observation) { o.Executed = o.Executed.Subtract(b.Set("t2")).Union(other) })
	b.Edit("C", func(o *topology.Observation) { o.Received = o.Executed })
	if _, obstacle := chosen(b, "B", "C"); code(obstacle) != "two_markers" || len(obstacle.Branches) != 2 {
		t.Errorf("on two servers: %+v", obstacle)
	}
	if _, obstacle := chosen(b.Edit("C", func(o *topology.Observation) { o.Executed = o.Executed.Union(b.Set("t2")) }), "C"); code(obstacle) != "two_markers" {
		t.Errorf("on one server: %+v", obstacle)
	}
}

func TestAMarkerThatAnAdoptionDidNotKnowOfBelongsToItsHistory(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Dead("A").Positions("A:1-100, t1, t9", "B", "C")
	in := intentOf(b)
	in.History.Leaderships[0].Decision.Kind, in.History.Leaderships[0].Decision.Term = string(KindAdoption), 12
	in.History.Leaderships[0].Decision = in.History.Leaderships[0].Decision.Sealed()
	marker := in.History.Leaderships[0].Marker().Set()
	if kept := under(in.History.Leaderships[0].Decision, b.Set("A:1-100, t1, t9").Union(marker)); !kept.Equal(b.Set("A:1-100, t1, t9").Union(marker)) {
		t.Errorf("%s", kept)
	}
}

func TestAMarkerThatIsNotOnRecordStops(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Dead("A").Positions("A:1-100, t1, t9", "C")
	if _, obstacle := chosen(b, "B", "C"); code(obstacle) != "unknown_marker" {
		t.Errorf("%+v", obstacle)
	}
}

func TestErrantStraysAreLeftOutAndDoNotBlock(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D").Dead("A").Positions("A:1-100, t1, B:1-3", "B").Positions("A:1-101, t1", "C")
	c, obstacle := chosen(b, "B", "C", "D")
	if obstacle != nil || !c.history.Equal(b.Set("A:1-101, t1")) {
		t.Fatalf("%+v %s", obstacle, c.history)
	}
	if !c.clean.Equal(topology.Servers("C", "D")) || !strings.Contains(c.why, "B holds errant") {
		t.Errorf("clean %s, %s", c.clean, c.why)
	}
}

func TestWhatNobodyIsWithoutCanBeKept(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Acks(1).Dead("A").Positions("A:1-100, t1, B:1-3", "B", "C").Positions("A:1-100, t1, B:1-2", "C")
	in := intentOf(b)
	_, obstacle := revoking(in).froze(in, "B", "C").settle()
	if code(obstacle) != "no_candidate" || !strings.Contains(obstacle.Remedy, "--keep-errant") {
		t.Fatalf("%+v", obstacle)
	}
	in.KeepErrant = true
	settled, obstacle := revoking(in).froze(in, "B", "C").settle()
	if obstacle != nil || !settled.choice.history.Equal(b.Set("A:1-100, t1, B:1-3")) || !settled.choice.clean.Equal(topology.Servers("B", "C")) {
		t.Errorf("%+v, %s, clean %s", obstacle, settled.choice.history, settled.choice.clean)
	}
}

func TestWhatAllHoldFromBeforeALeadershipThatWasLostWithItsServerCanBeKept(t *testing.T) {
	// B was established alone under term 2, and lost its data; A had gone on under term 1, and C took that over from it.
	b := topologytest.Cluster("A", "B", "C").Policy(topology.Policy{Kind: topology.PolicyNone, AllowUnfenced: true}).Primary("B")
	b.Term(1, "A", "A:1-10").Term(2, "B", "A:1-100, t1").Dead("B").Positions("A:1-101, t1", "A", "C")
	in := intentOf(b)
	in.History.Leaderships = in.History.Leaderships[1:]
	_, obstacle := revoking(in).froze(in, "A", "C").settle()
	if code(obstacle) != "no_candidate" || !strings.Contains(obstacle.Remedy, "--keep-errant") {
		t.Fatalf("%+v", obstacle)
	}
	in.KeepErrant = true
	settled, obstacle := revoking(in).froze(in, "A", "C").settle()
	if obstacle != nil || !settled.choice.history.Equal(b.Set("A:1-101, t1")) || !settled.choice.clean.Equal(topology.Servers("A", "C")) {
		t.Errorf("%+v, %s, clean %s", obstacle, settled.choice.history, settled.choice.clean)
	}
}

func TestWhatAnErrantServerAloneHoldsStillCounts(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Dead("A").Positions("A:1-101, t1, B:1", "B")
	if c, _ := chosen(b, "B", "C"); !c.history.Equal(b.Set("A:1-101, t1")) {
		t.Errorf("%s", c.history)
	}
}

func TestALaterWriteOfAnOlderPrimaryIsCancelled(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Term(1, "A", "A:1-10").Term(2, "B", "A:1-100, t1").Primary("B").Dead("B")
	b.Positions("A:1-100, t1, t2", "C").Positions("A:1-103, t1, t2", "A")
	in := intentOf(b)
	in.History.Leaders = append(in.History.Leaders, topologytest.UUID("A"))
	c, obstacle := revoking(in).froze(in, "A", "C").chooseHistory()
	if obstacle != nil || !c.history.Equal(b.Set("A:1-100, t1, t2")) || !c.clean.Equal(topology.Servers("C")) {
		t.Errorf("%+v %s, clean %s", obstacle, c.history, c.clean)
	}
}

func TestWhatTheEstablishedLeaderCompletedCountsWhoeverWroteIt(t *testing.T) {
	// A was established while it still had the channel from B, which had restarted writable: B:101 was completed on A, too.
	b := topologytest.Cluster("A", "B", "C").Term(1, "B", "B:1-10").Term(2, "A", "B:1-100, t1").Dead("A")
	b.Positions("B:1-101, t1, t2, A:1", "C").Positions("B:1-103, t1, t2, A:1", "B")
	in := intentOf(b)
	in.History.Leaders = append(in.History.Leaders, topologytest.UUID("B"))
	in.History.Floor = b.Set("B:1-101, t1, t2, A:1")
	op := revoking(in).froze(in, "B", "C")
	c, obstacle := op.chooseHistory()
	if obstacle != nil || !c.history.Equal(b.Set("B:1-101, t1, t2, A:1")) || !c.clean.Equal(topology.Servers("C")) {
		t.Errorf("%+v %s, clean %s", obstacle, c.history, c.clean)
	}
	if below := op.belowFloor(c.history); below != nil {
		t.Errorf("C holds all that was seen as committed: %+v", below)
	}
}

func TestANumberThatWasUsedAgainDoesNotMakeItsOldHolderClean(t *testing.T) {
	// A:101 of term 1 was cancelled and is still on D. A leads again under term 3 and wrote another A:101.
	b := topologytest.Cluster("A", "B", "C", "D", "E").Acks(2).Term(1, "A", "A:1-10").Term(3, "A", "A:1-100, t1, B:1-5").Dead("A")
	b.Positions("A:1-102, B:1-5, t1, t3", "B", "C").Positions("A:1-101, t1", "D")
	c, obstacle := chosen(b, "B", "C", "D")
	if obstacle != nil || !c.history.Has(gtid.GTID{UUID: topologytest.UUID("A"), Number: 101}) || !c.clean.Equal(topology.Servers("B", "C")) {
		t.Errorf("%+v %s, clean %s", obstacle, c.history, c.clean)
	}
}

func TestWhatAnEarlierTermOfTheSamePrimaryLeftBehindIsNotItsOwn(t *testing.T) {
	// A leads again under term 3; D holds A:101 from term 1, which was cancelled in between.
	b := topologytest.Cluster("A", "B", "C", "D", "E").Acks(2).Term(1, "A", "A:1-10").Term(3, "A", "A:1-100, t1, B:1-5").Dead("A")
	b.Positions("A:1-100, B:1-5, t1, t3", "B", "C").Positions("A:1-101, t1", "D")
	if c, obstacle := chosen(b, "B", "C", "D"); obstacle != nil || !c.history.Equal(b.Set("A:1-100, B:1-5, t1, t3")) {
		t.Errorf("%+v %s", obstacle, c.history)
	}
}

func TestAnAdoptionCancelsNothing(t *testing.T) {
	// Clients wrote while term 1 was recorded: B has what they wrote and not yet the marker.
	b := topologytest.Cluster("A", "B", "C").Dead("A").Positions("A:1-101", "B").Positions("A:1-105, t1", "C")
	in := intentOf(b)
	in.History.Leaderships[0].Kind = string(KindAdoption)
	in.History.Leaderships[0].Decision = in.History.Leaderships[0].Sealed()
	marker := in.History.Leaderships[0].Marker().Set()
	op := revoking(in).froze(in, "B", "C")
	op.Progress["C"].Reading.Executed = b.Set("A:1-105").Union(marker)
	op.Progress["C"].Reading.Received = gtid.Set{}
	if c, obstacle := op.chooseHistory(); obstacle != nil || c.clean.Len() != 2 {
		t.Errorf("%+v, clean %s", obstacle, c.clean)
	}
}

func TestAChoiceBelowTheFloorIsRefused(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Dead("A").Positions("A:1-99, t1", "B", "C")
	in := intentOf(b)
	_, obstacle := revoking(in).froze(in, "B", "C").settle()
	if code(obstacle) != "below_floor" || !strings.Contains(obstacle.Message, ":100") {
		t.Errorf("A was seen with 100 as committed: %+v", obstacle)
	}
	in.AcceptLoss = true
	found, obstacle := revoking(in).froze(in, "B", "C").settle()
	if obstacle != nil || !strings.Contains(strings.Join(found.losses, ""), "loss accepted by alice (test)") {
		t.Errorf("accepted: %+v %v", obstacle, found.losses)
	}
}

func TestWhatAPoisonedLeaderShowsAsCommittedIsAFloor(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Executed("A", "A:1-101, t1")
	in := intentOf(b)
	in.History.Floor = b.Set("A:1-100, t1")
	op := revoking(in).silenced(in, "A", Poison).froze(in, "B", "C")
	if _, obstacle := op.settle(); code(obstacle) != "only_on_leader" || strings.Contains(obstacle.Remedy, "accept") {
		t.Errorf("A answers and shows it, so nothing is lost: %+v", obstacle)
	}
	in.History.Floor = b.Set("A:1-102, t1")
	if _, obstacle := revoking(in).silenced(in, "A", Poison).froze(in, "B", "C").settle(); code(obstacle) != "below_floor" {
		t.Errorf("A does not show all of it: %+v", obstacle)
	}
}

func TestWhatARestartedLeaderShowsIsNoFloor(t *testing.T) {
	// A restart completes what nobody acknowledged.
	b := topologytest.Cluster("A", "B", "C").Executed("A", "A:1-101, t1").Restarted("A")
	in := intentOf(b)
	in.History.Floor = b.Set("A:1-100, t1")
	op := revoking(in).silenced(in, "A", Poison).froze(in, "B", "C")
	if _, obstacle := op.settle(); obstacle != nil {
		t.Errorf("%+v", obstacle)
	}
}

func TestTheMarkerOfAnEstablishedLeadershipIsAFloor(t *testing.T) {
	// No last sight of A at all, and both ackers were set back behind the beginning of term 2.
	b := topologytest.Cluster("A", "B", "C").Term(1, "B", "A:1-10").Term(2, "A", "A:1-90, t1").Dead("A").Positions("A:1-90, t1", "B", "C")
	in := intentOf(b)
	in.History.Floor, in.History.LastSeen = gtid.Set{}, topology.Sightings{}
	if _, obstacle := revoking(in).froze(in, "B", "C").settle(); obstacle == nil {
		t.Error("the marker of term 2 was acknowledged, and nobody shows it")
	}
}

func TestWhatALeadershipBeganWithIsAFloorOfItsOwn(t *testing.T) {
	// Nobody restarted and nothing else is remembered, but A was established: somebody must hold its marker.
	b := topologytest.Cluster("A", "B", "C").Term(2, "A", "A:1-90").Executed("A", "A:1-80").Dead("A").Positions("A:1-90", "B", "C")
	in := intentOf(b)
	in.History.Floor, in.History.LastSeen = gtid.Set{}, topology.Sightings{"A": in.History.LastSeen["A"]}
	if _, obstacle := revoking(in).froze(in, "B", "C").settle(); code(obstacle) != "below_floor" {
		t.Errorf("%+v", obstacle)
	}
}

func TestServersBehindTheRecordGoOnFromWhatItHonoured(t *testing.T) {
	// Without acknowledgements the marker of term 2 may have reached nobody.
	none := topology.Policy{Kind: topology.PolicyNone, AllowUnfenced: true}
	b := topologytest.Cluster("A", "B", "C").Policy(none).Term(2, "A", "B:1-7, t1").Dead("A").Positions("B:1-7, t1", "B").Positions("B:1-6, t1", "C")
	in := intentOf(b)
	in.History.Leaders = append(in.History.Leaders, topologytest.UUID("B"))
	found, obstacle := revoking(in).froze(in, "B", "C").settle()
	if obstacle != nil || !found.choice.history.Equal(b.Set("B:1-7, t1")) {
		t.Errorf("%+v %s", obstacle, found.choice.history)
	}
	if losses := strings.Join(found.losses, "; "); !strings.Contains(losses, "may be lost, for the durability policy is none") {
		t.Errorf("losses: %s", losses)
	}
}

func TestNoPolicyLetsAnEmptyServerStandForACluster(t *testing.T) {
	none := topology.Policy{Kind: topology.PolicyNone, AllowUnfenced: true}
	b := topologytest.Cluster("A", "B", "C").Policy(none).Dead("A", "C").Positions("", "B")
	in := intentOf(b)
	if _, obstacle := revoking(in).froze(in, "B").settle(); code(obstacle) != "below_floor" || !strings.Contains(obstacle.Remedy, "--accept-loss") {
		t.Errorf("%+v", obstacle)
	}
	in.AcceptLoss = true
	if found, obstacle := revoking(in).froze(in, "B").settle(); obstacle != nil || len(found.losses) == 0 {
		t.Errorf("accepted: %+v", obstacle)
	}
	in = intentOf(b.Positions("A:1-3", "B"))
	if found, obstacle := revoking(in).froze(in, "B").settle(); obstacle != nil || len(found.losses) == 0 {
		t.Errorf("it has something: %+v", obstacle)
	}
}

func TestAPoisonedLeaderIsNoSourceOfHistory(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Executed("A", "A:1-101, t1")
	in := intentOf(b)
	c, _ := revoking(in).silenced(in, "A", Poison).froze(in, "B", "C").chooseHistory()
	if !c.history.Equal(b.Set("A:1-100, t1")) {
		t.Errorf("%s", c.history)
	}
}

func TestALeaderThatSteppedDownIsReadLikeAnyOther(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Executed("A", "A:1-101, t1").ReadOnly("A")
	in := intentOf(b)
	c, _ := revoking(in).silenced(in, "A", Demote).froze(in, "B", "C").chooseHistory()
	if !c.history.Equal(b.Set("A:1-101, t1")) || !c.clean.Has("A") {
		t.Errorf("%s, clean %s", c.history, c.clean)
	}
}

func TestBeforeAdoptionEverythingIsLegitimate(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Unadopted().Positions("A:1-100, B:1-5", "B", "C")
	if c, obstacle := chosen(b, "B", "C"); obstacle != nil || !c.history.Equal(b.Set("A:1-100, B:1-5")) {
		t.Errorf("%+v %s", obstacle, c.history)
	}
}

func TestTheRecordSaysWhetherWhatWasKeptMayHaveBeenAcknowledged(t *testing.T) {
	rows := []struct {
		name   string
		frozen []topology.Address
		says   string
	}{
		{"E was not read", []topology.Address{"B", "C", "D"}, "it may have been acknowledged"},
		{"all were read", []topology.Address{"B", "C", "D", "E"}, "it certainly was not acknowledged"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C", "D", "E").Acks(2).Dead("A").Positions("A:1-101, t1", "B")
			if c, _ := chosen(b, row.frozen...); !strings.Contains(c.why, row.says) {
				t.Error(c.why)
			}
		})
	}
}

func TestFloorsAreNotMeantForMarkersThatNobodyWrote(t *testing.T) {
	// Term 3 honoured B's marker of term 2, which never reached any binary log.
	b := topologytest.Cluster("A", "B", "C").Term(3, "B", "A:1-100, t1, t2").Primary("B").Dead("B")
	b.Positions("A:1-100, t1, t3", "A", "C")
	in := intentOf(b)
	in.History.Floor = gtid.Set{}
	in.History.Leaders = append(in.History.Leaders, topologytest.UUID("A"))
	in.Snapshot.At = topologytest.Now.Add(time.Second)
	if _, obstacle := revoking(in).froze(in, "A", "C").settle(); obstacle != nil {
		t.Errorf("%+v", obstacle)
	}
}

// An operator had what D wrote alone taken into the history, and the primary died when B had it from there.
func TestWhatWasTakenIntoTheHistoryCountsForWhoeverGotItFromThePrimary(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D").Dead("A").Positions("A:1-110, t1, X:1", "B").Positions("A:1-100, t1", "C").Positions("A:1-105, t1, X:1", "D")
	in := intentOf(b)
	refused, _ := revoking(in).froze(in, "B", "C", "D").chooseHistory()
	if refused.history.Intersects(b.Set("X:1")) || !refused.clean.Equal(topology.Servers("C")) {
		t.Fatalf("it counts although nobody took it in: %s, clean %s", refused.history, refused.clean)
	}
	in.History.Leaderships[0] = in.History.Leaderships[0].Accepting("D", b.Set("X:1"))
	c, obstacle := revoking(in).froze(in, "B", "C", "D").chooseHistory()
	if obstacle != nil || !c.history.Equal(b.Set("A:1-110, t1, X:1")) || !c.clean.Equal(topology.Servers("B", "C", "D")) {
		t.Errorf("%+v %s, clean %s", obstacle, c.history, c.clean)
	}
	b.Positions("A:1-100, t1", "B")
	in = intentOf(b)
	in.History.Leaderships[0] = in.History.Leaderships[0].Accepting("D", b.Set("X:1"))
	in.History.Floor = b.Set("A:1-104, t1, X:1")
	if c, obstacle := revoking(in).froze(in, "B", "C", "D").chooseHistory(); obstacle != nil || !c.history.Equal(b.Set("A:1-105, t1, X:1")) {
		t.Errorf("the primary was seen to hold it, and D has it: %+v %s", obstacle, c.history)
	}
}

func TestWhatWasToBeTakenIntoTheHistoryAndNeverReachedThePrimaryStaysErrant(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D").Dead("A").Positions("A:1-105, t1, X:1", "D")
	in := intentOf(b)
	in.History.Leaderships[0] = in.History.Leaderships[0].Accepting("D", b.Set("X:1"))
	c, obstacle := revoking(in).froze(in, "B", "C", "D").chooseHistory()
	if obstacle != nil || c.history.Intersects(b.Set("X:1")) || c.clean.Has("D") {
		t.Errorf("%+v %s, clean %s", obstacle, c.history, c.clean)
	}
}
