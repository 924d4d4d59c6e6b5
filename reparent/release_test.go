package reparent

import (
	"testing"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// releasing is an emergency change that has to be undone, with what it did to the servers.
func releasing(in Intent, progress map[topology.Address]Progress) []string {
	op := revoking(in)
	for a, p := range progress {
		op.Progress[a] = p
	}
	op = op.giveUp(StateUndone, "revoke", Obstacle{Code: "test"}, topologytest.Now)
	var all []string
	for _, c := range op.Next().Commands {
		all = append(all, c.String())
	}
	return all
}

func TestWhatIsUndoneIsExactlyWhatWasOrMayHaveBeenDone(t *testing.T) {
	stopped := func(b *topologytest.Builder) { b.Stopped("B") }
	alone := func(o *topology.Observation) {
		o.Replication, o.ReadOnly, o.SuperReadOnly, o.SemiSync.SourceEnabled = nil, false, false, true
	}
	rows := []struct {
		name     string
		build    func(*topologytest.Builder)
		server   topology.Address
		progress Progress
		want     []string
	}{
		{"frozen", nil, "B", Progress{Frozen: Yes}, []string{"B: resume"}},
		{"perhaps frozen", nil, "B", Progress{Frozen: Unknown}, []string{"B: resume"}},
		{"not frozen", nil, "B", Progress{Frozen: No}, nil},
		{"never asked", nil, "B", Progress{Frozen: Skipped}, nil},
		{"frozen when it was stopped before", stopped, "B", Progress{Frozen: Yes}, nil},
		{"attached to the candidate", nil, "B", Progress{Frozen: Yes, Moved: true}, []string{"B: follow A"}},
		{"attached to the candidate when it was stopped before", stopped, "B", Progress{Moved: true}, []string{"B: freeze"}},
		{"chosen before under a term that may have begun, and stopped since: it is pointed at nobody whom it may have replaced", func(b *topologytest.Builder) {
			b.Term(1, "A", "A:1-10").Intent(2, "B", "A:1-100, t1").Stopped("B")
		}, "B", Progress{Frozen: Unknown, Moved: true}, []string{"B: freeze"}},
		{"attached to the primary when it still followed the one before: what its term cancelled may be there", func(b *topologytest.Builder) {
			b.Term(1, "A", "A:1-10").Term(2, "C", "A:1-100, t1").Positions("A:1-100, t1, t2", "C").Positions("A:1-100, t1", "A", "B")
		}, "B", Progress{Moved: true}, []string{"B: freeze"}},
		{"attached to the primary when it followed another server, which has all of the latest term", func(b *topologytest.Builder) {
			b.Term(1, "A", "A:1-10").Term(2, "C", "A:1-100, t1").Positions("A:1-100, t1, t2", "A", "C")
		}, "B", Progress{Moved: true}, []string{"B: follow A"}},
		{"attached to the candidate when a later term was begun and nobody shows it", func(b *topologytest.Builder) {
			b.Term(1, "A", "A:1-10").Intent(2, "C", "A:1-100, t1").Positions("A:1-100, t1", "A", "B", "C")
		}, "B", Progress{Moved: true}, []string{"B: follow A"}},
		{"its source side switched on", nil, "B", Progress{Frozen: Yes, Sourced: Unknown}, []string{"B: disable_source", "B: resume"}},
		{"poisoned", nil, "A", Progress{Silenced: Yes, With: Poison, Frozen: Yes}, []string{"A: antidote with 1 ack"}},
		{"perhaps poisoned", nil, "A", Progress{Silenced: Unknown, With: Poison}, []string{"A: antidote with 1 ack"}},
		{"not poisoned", nil, "A", Progress{Silenced: No, With: Poison}, nil},
		{"closed", nil, "A", Progress{Silenced: Yes, With: Demote}, []string{"A: reopen"}},
		{"closed when it was closed before", func(b *topologytest.Builder) { b.ReadOnly("A") }, "A", Progress{Silenced: Yes, With: Demote}, nil},
		{"closed after a restart that nobody had verified", func(b *topologytest.Builder) { b.Restarted("A") }, "A", Progress{Silenced: Yes, With: Demote}, nil},
		{"an old primary, closed while a server shows a later term", func(b *topologytest.Builder) {
			b.Term(1, "A", "A:1-10").Intent(2, "B", "A:1-100, t1").Positions("A:1-100, t1", "A", "C")
		}, "A", Progress{Silenced: Yes, With: Demote}, nil},
		{"a primary, closed while a later term was begun and nobody shows it", func(b *topologytest.Builder) {
			b.Term(1, "A", "A:1-10").Intent(2, "B", "A:1-100, t1").Positions("A:1-100, t1", "A", "B", "C")
		}, "A", Progress{Silenced: Yes, With: Demote}, []string{"A: reopen"}},
		{"a replica that somebody had opened, closed", func(b *topologytest.Builder) { b.Writable("B") }, "B", Progress{Silenced: Yes, With: Demote}, nil},
		{"closed where nobody is on record", func(b *topologytest.Builder) { b.Unadopted() }, "A", Progress{Silenced: Yes, With: Demote}, []string{"A: reopen"}},
		{"closed where the record came from journals", func(b *topologytest.Builder) { b.Recovered() }, "A", Progress{Silenced: Yes, With: Demote}, []string{"A: reopen"}},
		{"a server that started open and that no journal names, closed", func(b *topologytest.Builder) { b.Recovered().Writable("B") }, "B",
			Progress{Silenced: Yes, With: Demote, Frozen: Yes}, []string{"B: resume"}},
		{"a leader of an earlier term that was open still, made to follow", func(b *topologytest.Builder) { b.Term(2, "A", "A:1-100").Edit("B", alone) }, "B",
			Progress{Frozen: Yes, Moved: true}, []string{"B: detach"}},
		{"poisoned and made to follow", nil, "A", Progress{Silenced: Yes, With: Poison, Moved: true},
			[]string{"A: antidote with 1 ack", "A: detach", "A: enable_source with 1 ack", "A: reopen"}},
		{"a replica that may lead, poisoned and frozen: its resume may be refused as long as a STOP REPLICA of ours hangs", nil, "B",
			Progress{Silenced: Yes, With: Poison, Frozen: Unknown}, []string{"B: antidote with 1 ack", "B: resume"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C").Acks(1)
			if row.build != nil {
				row.build(b)
			}
			got := releasing(intentOf(b), map[topology.Address]Progress{row.server: row.progress})
			if text(got) != text(row.want) && len(got)+len(row.want) > 0 {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestAServerThatWasNotSeenStaysAsItIs(t *testing.T) {
	// B was last seen as a replica of A, which leads no more, and D as a primary. What they are by now nobody knows:
	// B might acknowledge A's commits while C completes others, and D might take writes.
	b := topologytest.Cluster("A", "B", "C", "D").Acks(1).Term(2, "C", "A:1-100, t1").Unreachable("B").Writable("D").Unreachable("D")
	unknown := Progress{Frozen: Unknown, Moved: true, Silenced: Unknown, With: Demote}
	if got := releasing(intentOf(b), map[topology.Address]Progress{"B": unknown, "D": unknown}); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

func TestPoisonThatAnEarlierChangeLeftStaysWhileSeveralMayLead(t *testing.T) {
	poisoned := func(o *topology.Observation) { o.SemiSync.Acks, o.OfflineMode = topology.PoisonAcks, true }
	b := topologytest.Cluster("A", "B", "C").Acks(1).Term(1, "A", "A:1-10").Intent(2, "C", "A:1-100, t1").Edit("A", poisoned)
	progress := map[topology.Address]Progress{"A": {Silenced: Yes, With: Poison}}
	if got := releasing(intentOf(b), progress); len(got) > 0 {
		t.Errorf("%q", got)
	}
	b = topologytest.Cluster("A", "B", "C").Acks(1).Edit("A", poisoned)
	if got := releasing(intentOf(b), progress); text(got) != `["A: antidote with 1 ack"]` {
		t.Errorf("only A can lead: %q", got)
	}
}

func TestALeaderThatWasOutOfReachIsFreedOnceItCanBe(t *testing.T) {
	// Nobody saw A when the change began; poison reached it all the same.
	b := topologytest.Cluster("A", "B", "C").Acks(1).Unreachable("A")
	if got := releasing(intentOf(b), map[topology.Address]Progress{"A": {Silenced: Yes, With: Poison}}); text(got) != `["A: antidote with 1 ack"]` {
		t.Errorf("%q", got)
	}
}

func TestAReleaseIsTriedAgainAndThenLeftToRepair(t *testing.T) {
	in := intentOf(topologytest.Cluster("A", "B", "C").Acks(1).Dead("A"))
	op := Emergency(clearance(true), in, topologytest.Now)
	op = op.Apply(nil, topologytest.Now)
	for range releaseTries {
		if !op.Running() {
			t.Fatalf("given up too early: %s", op.State)
		}
		results := make([]Result, len(op.Next().Commands))
		for i, c := range op.Next().Commands {
			results[i] = no(ReasonUnreachable)
			if c.Server == "B" {
				results[i] = yes
			}
		}
		op = op.Apply(results, topologytest.Now)
		for _, c := range op.Next().Commands {
			if c.Server == "B" {
				t.Errorf("%s: it was done", c)
			}
		}
	}
	if op.State != StateBlocked {
		t.Errorf("%s", op.State)
	}
}

func TestAFollowerIsGivenBackAsAnAckerOnlyWhereItWasOne(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C").Policy(topology.Policy{Kind: topology.PolicyCrossZone, Acks: 1}).Zone("east", "A", "B").Zone("west", "C")
	in := intentOf(b)
	op := revoking(in)
	op.Progress["B"], op.Progress["C"] = Progress{Moved: true}, Progress{Moved: true}
	op = op.giveUp(StateUndone, "revoke", Obstacle{Code: "test"}, topologytest.Now)
	back := commandsOf(op.Next(), Follow)
	if len(back) != 2 || back[0].Acker || !back[1].Acker {
		t.Errorf("%+v", back)
	}
}

func TestAPrimaryWithAnOldChannelGetsItsSourceSideBackWhenAPlannedChangeIsUndone(t *testing.T) {
	// A led and was to step down; to help the candidate out it was made to follow. What is left of a channel from earlier
	// times makes it no replica: reopened without its source side, it would answer what nobody acknowledged.
	old := func(o *topology.Observation) { o.Replication = &topology.Replication{Source: "C"} }
	op := Planned(clearance(false), intentOf(topologytest.Cluster("A", "B", "C").Acks(1).Edit("A", old)), topologytest.Now)
	if !op.Running() {
		t.Fatal(op.Obstacle)
	}
	op.Progress["A"] = Progress{Silenced: Yes, With: Demote, Moved: true}
	op = op.giveUp(StateUndone, "establish", Obstacle{Code: "test"}, topologytest.Now)
	var got []string
	for _, c := range op.Next().Commands {
		if c.Server == "A" {
			got = append(got, c.String())
		}
	}
	if text(got) != text([]string{"A: detach", "A: enable_source with 1 ack", "A: reopen"}) {
		t.Errorf("%q", got)
	}
}

// The store was put back to a time before commits waited for two acknowledgements, and before B was told to give none.
func TestNothingIsLoosenedByUndoingAChangeThatWasBegunUnderOlderRules(t *testing.T) {
	for _, outdated := range []bool{true, false} {
		in := intentOf(topologytest.Cluster("A", "B", "C").Acks(1).Primary("A"))
		if outdated {
			in.History.Leaderships[0].Ruleset = in.Snapshot.Ruleset.Number + 2
		}
		for i := range in.Snapshot.Servers {
			switch o := &in.Snapshot.Servers[i]; o.Address {
			case "A":
				o.SemiSync.Acks = 2
			case "B":
				o.SemiSync.ReplicaEnabled = false
			}
		}
		progress := map[topology.Address]Progress{
			"A": {Silenced: Yes, With: Poison, Frozen: Yes}, "B": {Frozen: Yes, Moved: true}, "C": {Frozen: Yes, Moved: true},
		}
		op := revoking(in)
		op.Progress = progress
		for _, c := range op.undo(in.Snapshot, topologytest.Now).Next().Commands {
			switch {
			case c.Verb == Antidote && c.Acks != map[bool]int{true: 2, false: 1}[outdated]:
				t.Errorf("outdated: %t, and %s waits for %d", outdated, c.Server, c.Acks)
			case c.Verb == Follow && c.Acker != (c.Server == "C" || !outdated):
				t.Errorf("outdated: %t, and %s acknowledges: %t", outdated, c.Server, c.Acker)
			}
		}
	}
}
