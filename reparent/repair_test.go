package reparent

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// repairsOf analyzes a cluster and says what is done about each server.
func repairsOf(b *topologytest.Builder) map[topology.Address]Command {
	s, h := b.Snapshot(), b.History()
	found := map[topology.Address]Command{}
	for _, c := range Repairs(topology.Analyze(s, h, topology.Limits{}, s.At, nil), s, h, 9) {
		found[c.Server] = c
	}
	return found
}

func trio() *topologytest.Builder {
	return topologytest.Cluster("A", "B", "C").Acks(1).Primary("A")
}

func TestAPrimaryThatWasPoisonedInVainGetsTheAntidote(t *testing.T) {
	poisoned := func(o *topology.Observation) { o.SemiSync.Acks, o.OfflineMode = topology.PoisonAcks, true }
	if got := repairsOf(trio().Edit("A", poisoned))["A"]; got.Verb != Antidote || got.Acks != 1 || got.Term != 9 {
		t.Errorf("%+v", got)
	}
	for name, b := range map[string]*topologytest.Builder{
		"it was fenced":            trio().Edit("A", poisoned).Edit("A", func(o *topology.Observation) { o.SemiSync.SourceEnabled = false }),
		"the record was lost":      trio().Recovered().Edit("A", poisoned),
		"a later term was decided": trio().Edit("A", poisoned).Intent(2, "C", "A:1-100"),
		"it restarted":             trio().Edit("A", poisoned).Restarted("A"),
		"it is under maintenance":  trio().Edit("A", poisoned).Maintenance("A"),
		"it is offline only":       trio().Edit("A", func(o *topology.Observation) { o.OfflineMode = true }),
	} {
		if got := repairsOf(b); len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAPrimaryThatServesUnderNoPromiseWaitsForNobody(t *testing.T) {
	waiting := func(o *topology.Observation) {
		o.SemiSync.SourceEnabled, o.SemiSync.SourceActive, o.SemiSync.Acks, o.SemiSync.Waiters = true, true, 1, 2
	}
	none := func() *topologytest.Builder {
		return trio().Policy(topology.Policy{Kind: topology.PolicyNone}).Edit("A", waiting)
	}
	got := repairsOf(none())["A"]
	if got.Verb != DisableSource || !got.Release || got.Incarnation == "" || got.Incarnation != none().Snapshot().Server("A").Incarnation {
		t.Errorf("%+v", got)
	}
	for name, b := range map[string]*topologytest.Builder{
		"it is closed":             none().ReadOnly("A"),
		"it is poisoned":           none().Edit("A", func(o *topology.Observation) { o.SemiSync.Acks = topology.PoisonAcks }),
		"the record was lost":      none().Recovered(),
		"a later term was decided": none().Intent(2, "C", "A:1-100"),
		"it is under maintenance":  none().Maintenance("A"),
		"one ack is needed":        trio().Edit("A", waiting),
	} {
		if got := repairsOf(b)["A"]; got.Verb == DisableSource {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWhatIsNotAsItShouldBeIsSetRight(t *testing.T) {
	for _, row := range []struct {
		name   string
		b      *topologytest.Builder
		server topology.Address
		want   Verb // empty: nothing is done
	}{
		{"all is well", trio(), "B", ""},
		{"a receiver that was stopped", trio().Stopped("B"), "B", Follow},
		{"a receiver that ran out of attempts to reach the source", trio().Edit("B", func(o *topology.Observation) {
			o.Replication.Receiver, o.Replication.ReceiverErrno = topology.ThreadOff, 2003
		}), "B", Follow},
		{"a receiver that ran out of attempts at a source in offline mode", trio().Edit("B", func(o *topology.Observation) {
			o.Replication.Receiver, o.Replication.ReceiverErrno = topology.ThreadOff, 3032
		}), "B", Follow},
		{"a receiver that asks for what was purged", trio().Edit("B", func(o *topology.Observation) {
			o.Replication.Receiver, o.Replication.ReceiverErrno = topology.ThreadOff, 1236
		}), "B", ""},
		{"a receiver that could not read what its source sent", trio().Edit("B", func(o *topology.Observation) {
			o.Replication.Receiver, o.Replication.ReceiverErrno = topology.ThreadOff, 13117
		}), "B", Follow},
		{"a receiver whose source has its own server_id", trio().Edit("B", func(o *topology.Observation) {
			o.Replication.Receiver, o.Replication.ReceiverErrno, o.ServerID = topology.ThreadOff, 13117, 1
		}), "B", ""},
		{"a receiver that still tries", trio().Edit("B", func(o *topology.Observation) {
			o.Replication.Receiver, o.Replication.ReceiverErrno = topology.ThreadConnecting, 2003
		}), "B", ""},
		{"a receiver whose login is refused", trio().Connecting(1045, "B"), "B", Follow},
		{"a receiver of whose account the source demands TLS", trio().Connecting(3159, "B"), "B", Follow},
		{"a receiver whose login is refused with the configured credentials too", trio().Connecting(1045, "B").GivenUp("B", 6), "B", ""},
		{"a receiver that was stopped when its login was refused", trio().Connecting(1045, "B").GivenUp("B", 6).Edit("B", func(o *topology.Observation) { o.Replication.Receiver = topology.ThreadOff }), "B", Follow},
		{"a receiver whose login is refused, of a server with an errant transaction", trio().Connecting(1045, "B").Executed("B", "A:1-100, t1, B:1"), "B", ""},
		{"a receiver whose login is refused, under maintenance", trio().Connecting(1045, "B").Maintenance("B"), "B", ""},
		{"a replica in offline mode", trio().Edit("B", func(o *topology.Observation) { o.OfflineMode = true }), "B", Follow},
		{"a replica that waits for acknowledgements of what it applies", trio().Edit("B", func(o *topology.Observation) { o.SemiSync.SourceEnabled = true }), "B", DisableSource},
		{"a replica on which that holds up its applier", trio().Edit("B", func(o *topology.Observation) { o.SemiSync.SourceEnabled, o.SemiSync.Waiters = true, 1 }), "B", Fence},
		{"another server at the primary's address, open", trio().Edit("A", func(o *topology.Observation) { o.UUID[0]++ }).Stopped("B", "C"), "A", Fence},
		{"another server at the primary's address, closed", trio().Edit("A", func(o *topology.Observation) { o.UUID[0]++ }).ReadOnly("A").Stopped("B", "C"), "A", ""},
		{"another server at the primary's address, where a replica still hears the primary", trio().Edit("A", func(o *topology.Observation) { o.UUID[0]++ }), "A", ""},
		{"another server at the primary's address, being worked on", trio().Edit("A", func(o *topology.Observation) { o.UUID[0]++ }).Stopped("B", "C").Maintenance("A"), "A", ""},
		{"another server at the primary's address, while it is unsettled who leads", trio().Term(1, "A", "A:1-10").Intent(2, "B", "A:1-100, t1").Primary("A").Edit("A", func(o *topology.Observation) { o.UUID[0]++ }).Stopped("B", "C"), "A", ""},
		{"a writable replica", trio().Writable("B"), "B", Follow},
		{"a replica on which super_read_only stands alone", trio().Edit("B", func(o *topology.Observation) { o.ReadOnly = false }), "B", Follow},
		{"a writable replica with an errant transaction is closed", trio().Writable("B").Executed("B", "A:1-100, t1, B:1"), "B", Demote},
		{"a read-only replica with an errant transaction is left alone", trio().Executed("B", "A:1-100, t1, B:1"), "B", ""},
		{"a stopped replica with an errant transaction is attached to nothing", trio().Stopped("B").Executed("B", "A:1-100, t1, B:1"), "B", ""},
		{"a replica that does not acknowledge", trio().Edit("B", func(o *topology.Observation) { o.SemiSync.ReplicaEnabled = false }), "B", Follow},
		{"a primary that does not wait for acknowledgements", trio().Edit("A", func(o *topology.Observation) { o.SemiSync.SourceEnabled, o.SemiSync.SourceActive = false, false }), "A", EnableSource},
		{"a primary that gives up waiting", trio().Edit("A", func(o *topology.Observation) { o.SemiSync.Timeout = 10e9 }), "A", EnableSource},
		{"a replica on which a commit waits for acknowledgements", trio().Writable("B").Edit("B", func(o *topology.Observation) { o.SemiSync.Waiters = 1 }), "B", Fence},
		{"a server under maintenance", trio().Stopped("B").Maintenance("B"), "B", ""},
		{"a stopped receiver while the primary is dead", trio().Stopped("B").Dead("A"), "B", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := repairsOf(row.b)[row.server]
			if got.Verb != row.want {
				t.Fatalf("%q, want %q", got.Verb, row.want)
			}
			if got.Verb == Follow && (got.Source != "A" || !got.Acker || got.Within.IsEmpty() || got.Term != 9) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAnEarlierPrimaryThatIsWritableIsFencedThoughThePrimaryDoesNotServe(t *testing.T) {
	second := func() *topologytest.Builder {
		return trio().Primary("C").Term(1, "A", "").Term(2, "C", "A:1-100").Writable("A")
	}
	another := func(o *topology.Observation) { o.UUID[0]++ }
	for name, b := range map[string]*topologytest.Builder{
		"it restarted and is read-only":      second().ReadOnly("C"),
		"it is dead":                         second().Dead("C"),
		"it is silent":                       second().Silent("C"),
		"another server answers in its name": second().Edit("C", another).Stopped("B"),
	} {
		got := repairsOf(b)
		if got["A"].Verb != Fence || got["A"].Term != 9 {
			t.Errorf("%s: %+v", name, got)
		}
		delete(got, "A")
		for a, c := range got {
			if c.Verb != Fence || a != "C" {
				t.Errorf("%s: %+v", name, c)
			}
		}
	}
	for name, b := range map[string]*topologytest.Builder{
		"a later term was decided":             second().ReadOnly("C").Intent(3, "B", "A:1-100"),
		"the record was lost":                  second().ReadOnly("C").Recovered(),
		"it is under maintenance":              second().ReadOnly("C").Maintenance("A"),
		"it is closed":                         second().ReadOnly("C").ReadOnly("A"),
		"the store does not answer":            second().ReadOnly("C").StoreSilent(time.Minute),
		"it is not reached":                    second().ReadOnly("C").Silent("A"),
		"a server that never led is open":      trio().Primary("C").Term(1, "C", "").Writable("A").ReadOnly("C"),
		"a change of the cluster is under way": second().ReadOnly("C").Reparenting(),
	} {
		if got := repairsOf(b); len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAnAckerThatIsFarBehindAcknowledgesNothingUntilItIsNeeded(t *testing.T) {
	mute := func(o *topology.Observation) { o.SemiSync.ReplicaEnabled, o.SemiSync.ReplicaActive = false, false }
	four := func() *topologytest.Builder { return topologytest.Cluster("A", "B", "C", "D").Acks(1).Primary("A") }
	far := func() *topologytest.Builder {
		return four().Edit("B", func(o *topology.Observation) { o.Received = four().Set("A:1-20100") })
	}
	for _, row := range []struct {
		name string
		b    *topologytest.Builder
		want Verb
		acks bool
	}{
		{"it acknowledges", far(), Follow, false},
		{"it rests", far().Edit("B", mute), "", false},
		{"it rests, and its receiver was stopped", far().Edit("B", mute).Stopped("B"), Follow, false},
		{"it rests, and only one other acknowledges", far().Edit("B", mute).Silent("C"), Follow, true},
		{"it rests, and has caught up", four().Edit("B", mute), Follow, true},
		{"it is under maintenance", far().Maintenance("B"), "", false},
		{"it holds an errant transaction", far().Executed("B", "A:1-100, t1, B:1"), "", false},
	} {
		s, h := row.b.Snapshot(), row.b.History()
		before := []topology.Finding{{Code: topology.AckerBehind, Server: "B", Since: s.At.Add(-time.Minute)}}
		var got Command
		for _, c := range Repairs(topology.Analyze(s, h, topology.Limits{}, s.At, before), s, h, 9) {
			if c.Server == "B" {
				got = c
			}
		}
		if got.Verb != row.want || got.Acker != row.acks {
			t.Errorf("%s: %q, acker %t", row.name, got.Verb, got.Acker)
		}
	}
}

func TestAServerThatWasRewoundByHalfIsAttachedToNobody(t *testing.T) {
	stopped := func() *topologytest.Builder { return trio().Stopped("B") }
	half := stopped()
	half.Edit("B", func(o *topology.Observation) { o.Undone = half.Set("A:7") })
	if got := repairsOf(stopped())["B"]; got.Verb != Follow {
		t.Errorf("one that is whole: %+v", got)
	}
	if got := repairsOf(half); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
