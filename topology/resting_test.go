package topology_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// mute has servers acknowledge nothing.
func mute(b *topologytest.Builder, names ...topology.Address) *topologytest.Builder {
	for _, a := range names {
		b = b.Edit(a, func(o *observation) { o.SemiSync.ReplicaEnabled, o.SemiSync.ReplicaActive = false, false })
	}
	return b
}

// whoRests are the ackers that are to acknowledge nothing, and those that are to begin.
func whoRests(b *topologytest.Builder) (rest, begin []topology.Address) {
	for _, f := range analyze(b) {
		switch f.Code {
		case topology.AckerBehind:
			rest = append(rest, f.Server)
		case topology.AckerDisabled:
			begin = append(begin, f.Server)
		}
	}
	slices.Sort(rest)
	slices.Sort(begin)
	return rest, begin
}

// TestAckersThatAreBehindRestAsLongAsEnoughOthersAcknowledge has a cluster of five that needs one acknowledgement.
func TestAckersThatAreBehindRestAsLongAsEnoughOthersAcknowledge(t *testing.T) {
	for _, row := range []struct {
		name  string
		b     *topologytest.Builder
		rest  string
		begin string
	}{
		{"nobody is behind", cluster(), "[]", "[]"},
		{"one is", backlogOf(20000, "C"), "[C]", "[]"},
		{"all are, and the two that have least to apply go on", behind(backlogOf(20000, "C", "E"), 30000, "B", "D"), "[B D]", "[]"},
		{"one that is delayed rests before one that is far behind", behind(lag(0, 3600), 90000, "C", "D"), "[B C]", "[]"},
		{"one that applies nothing rests before one that is far behind", behind(applier(topology.ThreadOff, 1062), 90000, "B", "C", "D"), "[B C]", "[]"},
		{"it rests until it has caught up", mute(backlogOf(1001, "C"), "C"), "[C]", "[]"},
		{"it has caught up", mute(backlogOf(1000, "C"), "C"), "[]", "[C]"},
		{"nobody is to spare without it", backlogOf(20000, "C").Silent("D", "E"), "[]", "[]"},
		{"it is needed again", mute(backlogOf(20000, "C"), "C").Silent("D", "E"), "[]", "[C]"},
		{"another one cannot be told apart from one that acknowledges, and does not", mute(backlogOf(20000, "C"), "C").Silent("D").Stopped("E"), "[]", "[C]"},
		{"one that is behind goes on until those that rest have caught up", mute(backlogOf(20000, "B", "C", "D"), "C", "D"), "[C D]", "[]"},
		{"commits wait", backlogOf(20000, "C").Edit("A", func(o *observation) { o.Stall.OldestAckWait = time.Second }), "[]", "[]"},
		{"commits wait, and it rests", mute(backlogOf(20000, "C"), "C").Edit("A", func(o *observation) { o.Stall.OldestAckWait = time.Second }), "[]", "[C]"},
		{"the primary waits for more than it should", backlogOf(20000, "C").Edit("A", func(o *observation) { o.SemiSync.Acks = 4 }), "[]", "[]"},
		{"who else acknowledges is under maintenance", backlogOf(20000, "C").Maintenance("B", "D").Silent("E"), "[]", "[]"},
		{"who else acknowledges is errant", backlogOf(20000, "C").Executed("B", "A:1-100,t1,B:1").Executed("D", "A:1-100,t1,D:1").Silent("E"), "[]", "[]"},
		{"no acknowledgement is needed", behind(unpromising(), 20000, "C"), "[]", "[]"},
		{"it is no acker", behind(crossZone().Zone("a", "B"), 20000, "B"), "[]", "[]"},
		{"the primary is dead", backlogOf(20000, "C").Dead("A"), "[]", "[]"},
		{"the cluster is not adopted", backlogOf(20000, "C").Unadopted(), "[]", "[]"},
	} {
		rest, begin := whoRests(row.b.Acks(1))
		if fmt.Sprint(rest) != row.rest || fmt.Sprint(begin) != row.begin {
			t.Errorf("%s: %v rest and %v begin to acknowledge, not %s and %s", row.name, rest, begin, row.rest, row.begin)
		}
	}
}

func TestAnAckerRestsOnlyAfterItWasBehindForAWhile(t *testing.T) {
	b := backlogOf(20000, "C")
	at := func(since time.Duration) topology.Finding {
		before := []topology.Finding{{Code: topology.AckerBehind, Server: "C", Since: topologytest.Now.Add(-since)}}
		f, _ := find(topology.Analyze(b.Snapshot(), b.History(), topologytest.Limits, topologytest.Now, before), topology.AckerBehind, "C")
		return f
	}
	if f := at(4 * time.Second); f.Remedy != topology.RemedyNone || f.Severity != topology.SeverityInfo || f.Rests(b.Snapshot().Server("C")) {
		t.Errorf("after 4 s: %+v", f)
	}
	if f := at(5 * time.Second); f.Remedy != topology.RemedyReconcile || f.Severity != topology.SeverityWarning || !f.Rests(b.Snapshot().Server("C")) {
		t.Errorf("after 5 s: %+v", f)
	}
	b = mute(b, "C")
	if f := at(0); f.Remedy != topology.RemedyNone || !f.Rests(b.Snapshot().Server("C")) {
		t.Errorf("when it rests: %+v", f)
	}
}

func TestNobodyRestsWhereTheLimitIsOff(t *testing.T) {
	limits := topologytest.Limits
	limits.BacklogMax = -1
	b := backlogOf(1000000, "C")
	if f, found := find(topology.Analyze(b.Snapshot(), b.History(), limits, topologytest.Now, nil), topology.AckerBehind, "C"); found {
		t.Error(f.Message)
	}
}

// TestWhoeverRestsTheCommitsOfThePrimaryAreAcknowledged puts clusters in random states.
func TestWhoeverRestsTheCommitsOfThePrimaryAreAcknowledged(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	rested := 0
	for n := range 2000 {
		b := []func() *topologytest.Builder{cluster, crossZone}[r.IntN(2)]().Acks(1 + r.IntN(2))
		for _, a := range []topology.Address{"B", "C", "D", "E"} {
			switch r.IntN(8) {
			case 0:
				b = b.Silent(a)
			case 1:
				b = b.Stopped(a)
			case 2:
				b = mute(b, a)
			case 3:
				b = b.Maintenance(a)
			}
			b = behind(b, r.IntN(20000), a)
		}
		s := b.Snapshot()
		rest, _ := whoRests(b)
		rested += len(rest)
		acking := s.Ruleset.Ackers("A").Where(func(a topology.Address) bool {
			o := s.Server(a)
			return o.OK() && o.Replication.Receiver == topology.ThreadOn && o.SemiSync.ReplicaEnabled && !slices.Contains(rest, a)
		})
		if len(rest) > 0 && !s.Ruleset.CanCompleteWith("A", acking, s.Ruleset.AcksNeeded("A")+1) {
			t.Fatalf("cluster %d: %v rest, and only %s acknowledge", n, rest, acking)
		}
	}
	if rested == 0 {
		t.Error("nobody rested")
	}
}
