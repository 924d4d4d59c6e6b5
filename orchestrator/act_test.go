package orchestrator

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// TestWithinAWindowOnlyAChangeThatWasBegunIsFinished has the window of term 1 open, and a change to B under term 2 whose
// outcome nobody knows.
func TestWithinAWindowOnlyAChangeThatWasBegunIsFinished(t *testing.T) {
	for _, row := range []struct {
		name    string
		change  func(*topologytest.Builder)
		counted uint64 // the term of the change that opened the window
		acts    bool
	}{
		{"the old primary has stepped down", func(b *topologytest.Builder) { b.ReadOnly("A") }, 1, true},
		{"the old primary is gone", func(b *topologytest.Builder) { b.Dead("A") }, 1, true},
		{"the old primary takes writes again", func(*topologytest.Builder) {}, 1, false},
		{"a replica takes writes", func(b *topologytest.Builder) { b.ReadOnly("A").Writable("C") }, 1, false},
		{"the old primary is still open, and everybody has left it", func(b *topologytest.Builder) {
			b.Edit("A", func(o *topology.Observation) { o.SemiSync.Clients = 0 }).ReadOnly("B").Stopped("B", "C")
		}, 1, true},
		{"the old primary is still open without waiting for acknowledgements, and everybody has left it", func(b *topologytest.Builder) {
			b.Edit("A", func(o *topology.Observation) { o.SemiSync.Clients, o.SemiSync.Timeout = 0, time.Second }).ReadOnly("B").Stopped("B", "C")
		}, 1, false},
		{"the chosen server does not answer, and somebody receives from it", func(b *topologytest.Builder) {
			b.ReadOnly("A").Unreachable("B").Edit("C", func(o *topology.Observation) { o.Replication.Source = "B" })
		}, 1, false},
		{"the chosen server does not answer, and nobody receives from it any more", func(b *topologytest.Builder) {
			b.ReadOnly("A").Unreachable("B").Edit("C", func(o *topology.Observation) {
				o.Replication.Source, o.Replication.Receiver = "B", topology.ThreadConnecting
			})
		}, 1, true},
		{"that change is the one that opened the window", func(b *topologytest.Builder) { b.ReadOnly("A") }, 2, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C").Acks(1).Term(1, "A", "A:1-10").Intent(2, "B", "A:1-100, t1").Positions("A:1-100, t1", "A", "B", "C")
			row.change(b)
			d := deskOf(t, b)
			opened := antiflap.Change{Cluster: "shop", Term: row.counted, Kind: antiflap.Emergency, At: d.now}
			d.record.Antiflap = antiflap.Cluster{}.Established(opened, antiflap.Defaults())
			d.round(t)
			if acts := len(d.sent) > 0; acts != row.acts {
				t.Errorf("a change begins: %t, refused %q", acts, d.refusal)
			}
		})
	}
}

func TestWithinAWindowAPrimaryThatIsMerelyClosedIsNotReplaced(t *testing.T) {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1).ReadOnly("A"))
	opened := antiflap.Change{Cluster: "shop", Term: 1, Kind: antiflap.Emergency, At: d.now}
	d.record.Antiflap = antiflap.Cluster{}.Established(opened, antiflap.Defaults())
	if d.round(t); len(d.sent) > 0 {
		t.Errorf("%v", d.sent)
	}
}

// TestOnlyAChangeThatIsKnownToHaveBeenEstablishedOpensAWindow has an elector begin to lead that finds B's change under term 2
// on record, or in journals, and uncounted.
func TestOnlyAChangeThatIsKnownToHaveBeenEstablishedOpensAWindow(t *testing.T) {
	alone := func(*topologytest.Builder) {}
	third := func(b *topologytest.Builder) { b.Intent(3, "B", "A:1-10, t1, t2") }
	for _, row := range []struct {
		name      string
		change    func(*topologytest.Builder)
		recovered bool
		counted   uint64
	}{
		{"the elector that established it died", alone, false, 2},
		{"and another change was begun since", third, false, 2},
		{"its primary shows that it leads", alone, true, 2},
		{"a later decision honours its marker, and whether anybody acknowledged either is unknown", third, true, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C").Acks(1).Primary("B").Term(2, "B", "A:1-10, t1")
			row.change(b)
			d := deskOf(t, b)
			g := gain{lease: d.lease, record: d.record, lineage: d.lineage, term: 4}
			g.lineage.History.Recovered, g.record.SavedAt = row.recovered, d.now
			d.lead(t.Context(), g)
			if got := d.record.Antiflap.Last.Term; got != row.counted || d.record.Antiflap.Window(d.now).Open != (row.counted > 0) {
				t.Errorf("the change of term %d has opened a window: %s", got, d.record.Antiflap.Window(d.now).Reason)
			}
		})
	}
}

// TestTheBrakeCountsAChangeWhoseElectorDiedBeforeItHadCountedIt has an elector begin to lead that finds B's change under term 2
// on record and uncounted.
func TestTheBrakeCountsAChangeWhoseElectorDiedBeforeItHadCountedIt(t *testing.T) {
	for _, row := range []struct {
		name    string
		begun   string // whose automatic change the brake was told of
		counted int
	}{
		{"Primacy made it by itself", "shop", 1},
		{"somebody had asked for it", "another", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1).Primary("B").Term(2, "B", "A:1-10, t1"))
			brake := antiflap.Fleet{Begun: []antiflap.Start{{Cluster: row.begun, At: d.now}}}
			d.updateBrake(t.Context(), func(antiflap.Fleet) antiflap.Fleet { return brake })
			g := gain{lease: d.lease, record: d.record, lineage: d.lineage, term: 4, brake: brake}
			g.record.SavedAt = d.now
			d.lead(t.Context(), g)
			if got := len(d.brake.Changes); got != row.counted || d.brake.UnderWay("shop") {
				t.Errorf("the brake counts %+v", d.brake)
			}
		})
	}
}

// TestATermIsAboveEveryOneThatThisElectorKnowsOf has an elector that knows of term 9, which nothing else shows any more.
func TestATermIsAboveEveryOneThatThisElectorKnowsOf(t *testing.T) {
	knows := map[string]func(d *desk){
		"it counted a change a while ago, everybody lost their data since, and the store was emptied": func(d *desk) {
			counted := antiflap.Change{Cluster: "shop", Term: 9, Kind: antiflap.Emergency, At: d.now.Add(-24 * time.Hour)}
			d.record.Antiflap = antiflap.Cluster{}.Established(counted, antiflap.Defaults())
		},
		"it acted under it, lost the lock, and leads again with a store that went back": func(d *desk) {
			record, history := d.record, d.lineage
			d.sessionTerm = 9
			d.lost(d.lease)
			d.lead(t.Context(), gain{lease: deskLease{d}, record: record, lineage: history, term: 4})
		},
	}
	draws := map[string]func(d *desk) (uint32, error){
		"to replace the primary, as somebody asks": func(d *desk) (uint32, error) {
			op, err := d.operation(t.Context(), d.lease, antiflap.Clearance{}, reparent.Intent{}, func(_ antiflap.Clearance, in reparent.Intent, _ time.Time) reparent.Operation {
				return reparent.Operation{Term: in.Term}
			})
			return op.Term, err
		},
		"to put what it knows on record again": func(d *desk) (uint32, error) {
			err := d.remind(t.Context(), d.now)
			return d.sessionTerm, err
		},
	}
	for has, know := range knows {
		for what, draw := range draws {
			t.Run(has+": "+what, func(t *testing.T) {
				d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1).Dead("A"))
				d.look(t)
				know(d)
				if term, err := draw(d); err != nil || term <= 9 {
					t.Errorf("term %d, %v: %s", term, err, d.refusal)
				}
			})
		}
	}
}

// TestWhomTheLastChangeChoseMayLeadThoughTheStoreWentBackBehindThat has an elector lose the lock in the middle of a change, and
// lead again. The marker may wait for a disk: no server shows it.
func TestWhomTheLastChangeChoseMayLeadThoughTheStoreWentBackBehindThat(t *testing.T) {
	first, second, third := decided(1, "A", 1), decided(2, "B", 2, decided(1, "A", 1)), decided(3, "C", 3)
	intent := topology.Leadership{Decision: second}
	for _, row := range []struct {
		name  string
		left  reparent.Operation
		later []topology.Leadership // what is on record besides term 1
		kept  []uint32
	}{
		{"the store forgot it", reparent.Operation{Term: 2, State: reparent.StateRunning, Decision: &second, MarkSent: true}, nil, []uint32{1, 2}},
		{"it was given up with its outcome unknown", reparent.Operation{Term: 2, State: reparent.StateFailed, Decision: &second, MarkSent: true}, nil, []uint32{1, 2}},
		{"its marker was not sent, and another elector has undone it", reparent.Operation{Term: 2, State: reparent.StateRunning, Decision: &second}, nil, []uint32{1}},
		{"it was taken over: its marker may have been sent before", reparent.Operation{Term: 2, SessionTerm: 3, State: reparent.StateFailed, Decision: &second}, nil, []uint32{1, 2}},
		{"it is on record", reparent.Operation{Term: 2, State: reparent.StateRunning, Decision: &second, MarkSent: true}, []topology.Leadership{intent}, []uint32{1, 2}},
		{"another elector has decided since", reparent.Operation{Term: 2, State: reparent.StateRunning, Decision: &second, MarkSent: true}, []topology.Leadership{{Decision: third}}, []uint32{1, 3}},
		{"it had chosen nobody", reparent.Operation{Term: 2, State: reparent.StateRunning}, nil, []uint32{1}},
		{"its marker was acknowledged, which servers show", reparent.Operation{Term: 2, State: reparent.StateRunning, Decision: &second, Established: time.Unix(2, 0)}, nil, []uint32{1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1))
			d.left = row.left
			d.lost(d.lease)
			back := lineage{Cluster: "shop", History: topology.History{Leaderships: append([]topology.Leadership{{Decision: first, EstablishedAt: time.Unix(1, 0)}}, row.later...)}}
			d.lead(t.Context(), gain{lease: deskLease{d}, record: d.record, lineage: back, term: 5})
			var kept []uint32
			for _, l := range d.lineage.History.Leaderships {
				kept = append(kept, l.Term)
			}
			if !slices.Equal(kept, row.kept) {
				t.Errorf("leaderships under terms %v are known, want %v", kept, row.kept)
			}
		})
	}
}

// TestWhyNothingWasDoneIsNotSaidAnyLongerThanItHolds has an elector that refused to replace a dead primary.
func TestWhyNothingWasDoneIsNotSaidAnyLongerThanItHolds(t *testing.T) {
	for _, row := range []struct {
		name string
		then func(d *desk)
		said bool
	}{
		{"nothing changes", func(d *desk) { d.round(t) }, true},
		{"it loses the lock", func(d *desk) { d.lost(d.lease) }, false},
		{"servers show a leadership that is not on record, and it is taken over", func(d *desk) {
			b := ledBy(topologytest.Cluster("A", "B", "C"))
			d.servers = b.Snapshot().Servers
			for _, l := range b.History().Leaderships {
				d.journals["B"] = append(d.journals["B"], l.Decision)
			}
			d.round(t)
		}, false},
		{"a change of unknown outcome shows that it was established", func(d *desk) {
			b := ledBy(topologytest.Cluster("A", "B", "C"))
			d.servers, d.lineage.History = b.Snapshot().Servers, b.History()
			d.round(t)
		}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1).Dead("A", "B"))
			if d.round(t); d.view().Obstacle == nil {
				t.Fatalf("refused %q", d.refusal)
			}
			row.then(d)
			if v := d.view(); (v.Obstacle != nil) != row.said || (v.Refusal != "") != row.said {
				t.Errorf("it says %q", v.Refusal)
			}
		})
	}
}

// refusals are the texts of what was told to be refused.
func (d *desk) refusals() (texts []string) {
	for _, e := range d.o.events.Recent() {
		if e.Kind == EventRefused {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

// TestAReasonIsToldOnceWhileServersCatchUp has a primary that is gone after it was seen to hold more than its replicas, which
// apply a little more of it with each round.
func TestAReasonIsToldOnceWhileServersCatchUp(t *testing.T) {
	at := func(n int) *topologytest.Builder {
		return topologytest.Cluster("A", "B", "C").Acks(1).Positions("A:1-500, t1", "A").Positions(fmt.Sprintf("A:1-%d, t1", 100+n), "B", "C")
	}
	d := deskOf(t, at(0))
	d.round(t)
	var said []string
	fall := func(n int, b *topologytest.Builder) {
		d.servers = b.Snapshot().Servers
		for range n {
			d.pass(t, time.Second)
		}
		said = append(said, d.refusal)
	}
	for n := range 10 {
		fall(1, at(n).Dead("A"))
	}
	if told := d.refusals(); len(told) != 1 || d.obstacle == nil || said[0] == said[9] {
		t.Fatalf("told %q; it says %q first and %q at last", told, said[0], said[9])
	}
	if fall(1, at(10).Dead("A").Silent("C")); len(d.refusals()) != 2 {
		t.Errorf("another obstacle is no news: %q", d.refusals())
	}
	if fall(int(refusedAgain/time.Second), at(10).Dead("A").Silent("C")); len(d.refusals()) != 3 {
		t.Errorf("what lasts is told after %s once more: %q", refusedAgain, d.refusals())
	}
	fall(1, at(10))
	if fall(1, at(10).Dead("A").Silent("C")); len(d.refusals()) != 4 {
		t.Errorf("what comes back is news: %q", d.refusals())
	}
}
