package reparent

import (
	"testing"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// lacking is a cluster whose fourth server asks the primary for what is purged there; B and C still have it.
func lacking() *topologytest.Builder {
	return topologytest.Cluster("A", "B", "C", "X").Acks(1).Primary("A").Purged("A", "A:1-50").Executed("X", "A:1-20").Received("X", "").
		Edit("X", func(o *topology.Observation) {
			o.Replication.Receiver, o.Replication.ReceiverErrno = topology.ThreadOff, 1236
		})
}

func onDetour(source topology.Address) func(*topology.Observation) {
	return func(o *topology.Observation) {
		o.Replication.Source, o.Replication.Receiver, o.Replication.ReceiverErrno = source, topology.ThreadOn, 0
	}
}

func TestAServerThatLacksWhatThePrimaryPurgedFollowsAnotherOneThatHasIt(t *testing.T) {
	for _, row := range []struct {
		name   string
		b      *topologytest.Builder
		source topology.Address // empty: there is no detour
		verb   Verb
	}{
		{"two have it", lacking(), "B", Follow},
		{"the first has purged it too", lacking().Purged("B", "A:1-30"), "C", Follow},
		{"the first has purged only what the server holds", lacking().Purged("B", "A:1-20"), "B", Follow},
		{"the first is not reached", lacking().Dead("B"), "C", Follow},
		{"the first is in maintenance", lacking().Maintenance("B"), "C", Follow},
		{"the first holds errant transactions", lacking().Executed("B", "A:1-100, t1, B:1"), "C", Follow},
		{"the first does not replicate", lacking().Stopped("B"), "C", Follow},
		{"nobody has it", lacking().Purged("B", "A:1-30").Purged("C", "A:1-30"), "", ""},
		{"it is on its way", lacking().Edit("X", onDetour("C")), "C", ""},
		{"it follows one that cannot help", lacking().Edit("X", onDetour("C")).Purged("C", "A:1-30"), "B", Follow},
		{"a new member without any channel", lacking().Executed("X", "").Edit("X", func(o *topology.Observation) { o.Replication = nil }), "B", Follow},
		{"it has got all that it lacked", lacking().Edit("X", onDetour("B")).Received("X", "A:21-60"), "", ""},
		{"it holds errant transactions", lacking().Executed("X", "A:1-20, X:1"), "", ""},
		{"it is in maintenance", lacking().Maintenance("X"), "", ""},
		{"a change runs", lacking().Reparenting(), "", ""},
		{"the primary takes no writes", lacking().ReadOnly("A"), "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, h := row.b.Snapshot(), row.b.History()
			var got Command
			for _, c := range Detours(topology.Analyze(s, h, topology.Limits{}, s.At, nil), s, h, 9) {
				if c.Server != "X" {
					t.Errorf("a detour for %s", c.Server)
				}
				got = c
			}
			if got.Source != row.source || got.Verb != row.verb || got.Acker {
				t.Errorf("%q from %q, as an acker: %v", got.Verb, got.Source, got.Acker)
			}
			if row.verb == Follow && (got.Term != 9 || !got.Within.Contains(s.Server("A").Executed) || got.Within.Has(row.b.Marker(7).GTID())) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAfterItsDetourAServerFollowsThePrimaryAgain(t *testing.T) {
	got := repairsOf(lacking().Edit("X", onDetour("B")).Received("X", "A:21-60"))["X"]
	if got.Verb != Follow || got.Source != "A" || !got.Acker {
		t.Errorf("%+v", got)
	}
}
