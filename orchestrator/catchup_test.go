package orchestrator

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// decided is a decision that honours some before it.
func decided(term uint32, primary topology.Address, uuid byte, honoured ...topology.Decision) topology.Decision {
	d := topology.Decision{
		Cluster: "shop", Term: term, Kind: "emergency", Primary: primary, PrimaryUUID: gtid.UUID{uuid}, DecidedAt: time.Unix(int64(term), 0),
	}
	for _, before := range honoured {
		d.Base, d.Previous = d.Base.Union(before.Marker().Set()), before.Hash
	}
	return d.Sealed()
}

func holder(a topology.Address, uuid byte, writable bool, decisions ...topology.Decision) topology.Observation {
	o := topology.Observation{Address: a, Reach: topology.ReachOK, UUID: gtid.UUID{uuid}, ReadOnly: !writable}
	for _, d := range decisions {
		o.Executed = o.Executed.Union(d.Marker().Set())
	}
	return o
}

// ledBy is a cluster in which B was chosen for term 2, has completed the marker and takes writes.
func ledBy(b *topologytest.Builder) *topologytest.Builder {
	return b.Acks(1).Primary("B").Term(1, "A", "A:1-10").Intent(2, "B", "A:1-10, t1")
}

// TestALeadershipIsEstablishedByEvidenceOnlyIfItsMarkerMustHaveBeenAcknowledged asks both who finds a change of unknown
// outcome on record, and who takes the record over from the journals.
func TestALeadershipIsEstablishedByEvidenceOnlyIfItsMarkerMustHaveBeenAcknowledged(t *testing.T) {
	for _, row := range []struct {
		name        string
		change      func(*topologytest.Builder)
		established bool
	}{
		{"it serves as it was chosen", func(*topologytest.Builder) {}, true},
		{"it waits for far more acknowledgements, and is offline: a later change poisoned it in vain", func(b *topologytest.Builder) {
			b.Edit("B", func(o *topology.Observation) { o.SemiSync.Acks, o.OfflineMode = topology.PoisonAcks, true })
		}, true},
		{"it restarted, which completes what nobody acknowledged", func(b *topologytest.Builder) { b.Restarted("B").Writable("B") }, false},
		{"its commits wait for fewer acknowledgements than the policy asks for", func(b *topologytest.Builder) {
			b.Acks(2).Edit("B", func(o *topology.Observation) { o.SemiSync.Acks = 1 })
		}, false},
		{"its commits wait for nothing", func(b *topologytest.Builder) {
			b.Edit("B", func(o *topology.Observation) { o.SemiSync.SourceActive = false })
		}, false},
		{"it stops waiting after a time", func(b *topologytest.Builder) {
			b.Edit("B", func(o *topology.Observation) { o.SemiSync.Timeout = time.Second })
		}, false},
		{"the primary before it is open again, and has an acker", func(b *topologytest.Builder) {
			stillOpen(b).Replication("C", func(r *topology.Replication) { r.Source = "A" })
		}, false},
		{"the primary before it is open again, and its replicas are seen nowhere else yet", func(b *topologytest.Builder) {
			stillOpen(b).Edit("A", func(o *topology.Observation) { o.SemiSync.Clients = 1 })
		}, false},
		{"the primary before it is open again, and a server that may acknowledge is not reached", func(b *topologytest.Builder) {
			stillOpen(b).Dead("C")
		}, false},
		{"the primary before it is open again, and somebody holds more of it", func(b *topologytest.Builder) {
			stillOpen(b).Positions("A:1-200, t1, t2", "C")
		}, false},
		{"the primary before it is still open, and everybody has left it", func(b *topologytest.Builder) { stillOpen(b) }, true},
		{"the primary before it is open again, and no policy asks for acknowledgements", func(b *topologytest.Builder) {
			b.Policy(topology.Policy{Kind: topology.PolicyNone}).Writable("A")
		}, false},
		{"somebody has opened a replica, which waits for nothing", func(b *topologytest.Builder) { b.Writable("A") }, true},
		{"it is closed", func(b *topologytest.Builder) { b.ReadOnly("B") }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := ledBy(topologytest.Cluster("A", "B", "C"))
			row.change(b)
			d := deskOf(t, b)
			d.look(t)
			if d.evident(t.Context(), d.now) != row.established {
				t.Errorf("by evidence it is established: %t", !row.established)
			}
			all := b.History().Leaderships
			h, why := recovered(topology.History{}, []topology.Decision{all[0].Decision, all[1].Decision}, d.snapshot)
			if current, _ := h.Current(); why != "" || (current.Term == 2) != row.established {
				t.Errorf("by the journals term %d is established: %s", current.Term, why)
			}
		})
	}
}

// stillOpen lets A take writes that wait for acknowledgements.
func stillOpen(b *topologytest.Builder) *topologytest.Builder {
	return b.Writable("A").Edit("A", func(o *topology.Observation) {
		o.SemiSync.SourceEnabled, o.SemiSync.SourceActive, o.SemiSync.Clients = true, true, 0
	})
}

// TestAChangeThatMayHaveEndedBehindTheRecordsBackIsNotUndone: the store was restored to a time at which the change to C was
// under way, and C has led since.
func TestAChangeThatMayHaveEndedBehindTheRecordsBackIsNotUndone(t *testing.T) {
	for _, row := range []struct {
		name   string
		dead   []topology.Address
		undone bool
	}{
		{"nobody answers", []topology.Address{"A", "B", "C"}, false},
		{"C does not answer, nor does an acker of it", []topology.Address{"B", "C"}, false},
		{"C does not answer, and nobody shows what it could not have completed alone", []topology.Address{"C"}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C").Acks(1).Primary("A").Term(1, "A", "A:1-10")
			d := deskOf(t, b)
			d.look(t)
			later := *d.snapshot.Server("C")
			later.Executed = later.Executed.Union(decided(2, "C", 3).Marker().Set())
			d.lastSeen = maps.Clone(d.lastSeen)
			d.lastSeen["C"] = &later
			op := d.underway()
			d.servers = b.ReadOnly("A").Dead(row.dead...).Snapshot().Servers
			d.lineage.Running = op.ID
			d.takeOver(t.Context(), op, d.now)
			d.workers.Wait()
			if undone := slices.ContainsFunc(d.sent, func(c reparent.Command) bool { return c.Verb == reparent.Reopen }); undone != row.undone {
				t.Errorf("A was opened again: %t; refused: %s", undone, d.refusal)
			}
			if !row.undone && !strings.Contains(d.refusal, "term 2") {
				t.Errorf("what it waits for is not said: %q", d.refusal)
			}
		})
	}
}

// TestAChangeThatEndedWhileTheStoreWasAwayIsNotTakenForUnfinished: its decision is on record, and that it was withdrawn is not.
func TestAChangeThatEndedWhileTheStoreWasAwayIsNotTakenForUnfinished(t *testing.T) {
	for _, row := range []struct {
		name  string
		edit  func(left *reparent.Operation)
		known bool
	}{
		{"it was given up here", func(*reparent.Operation) {}, true},
		{"nobody knows here how it ended", func(left *reparent.Operation) { *left = reparent.Operation{} }, false},
		{"another one ended here", func(left *reparent.Operation) { left.ID = "shop-0000000001" }, false},
		{"another elector has taken it over since", func(left *reparent.Operation) { left.Elector = "elector-2" }, false},
		{"another life of this one has", func(left *reparent.Operation) { left.SessionTerm = 1 }, false},
		{"its marker may have been written", func(left *reparent.Operation) { left.Decision = &topology.Decision{} }, false},
		{"its marker was acknowledged, and it was seen through here", func(left *reparent.Operation) {
			chosen := decided(2, "C", 3)
			left.Decision, left.Established, left.State = &chosen, chosen.DecidedAt.Add(time.Second), reparent.StateSucceeded
		}, true},
		{"it goes on", func(left *reparent.Operation) {
			left.State, left.Phase = reparent.StateRunning, reparent.PhasePreparing
		}, false},
		{"it was about rules", func(left *reparent.Operation) { left.Kind = reparent.KindRules }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C").Acks(1).Primary("A").Term(1, "A", "A:1-10")
			d := deskOf(t, b)
			d.look(t)
			op := d.underway()
			op.Elector, op.SessionTerm = "elector-1", 2
			left := op
			left.State, left.Phase = reparent.StateUndone, reparent.PhaseDone
			row.edit(&left)
			chosen := decided(2, "C", 3)
			op.Decision = &chosen
			d.lineage, d.left = d.lineage.with(op), left
			d.takeOver(t.Context(), op, d.now)
			d.workers.Wait()
			if known := d.lineage.Running == ""; known != row.known {
				t.Fatalf("it is known how it ended: %t", known)
			}
			if !row.known {
				return
			}
			stored, err := decodeOperation(DocumentOf(operationKey("shop", op.ID), d.documents[operationKey("shop", op.ID)]))
			if err != nil || stored.State != left.State || len(d.sent) > 0 {
				t.Errorf("on record: %s, %+v, %v; sent %v", stored.State, d.lineage.History.Leaderships, err, d.sent)
			}
			leads := uint32(1)
			if !left.Established.IsZero() {
				leads = 2
			}
			if l := d.lineage.History.Leaderships; l[len(l)-1].Term != leads || !l[len(l)-1].Established() {
				t.Errorf("who leads: %+v", l)
			}
		})
	}
}

// TestAStoreThatWentBackBehindTheLastChangeUndoesNothing has it tell of a change as under way that was over by then, or of
// the last one without its decision.
func TestAStoreThatWentBackBehindTheLastChangeUndoesNothing(t *testing.T) {
	second := decided(2, "C", 3)
	for _, row := range []struct {
		name  string
		left  func(on reparent.Operation) reparent.Operation
		keeps uint32 // the latest term that is known
	}{
		{"a later one was begun here", func(reparent.Operation) reparent.Operation {
			return reparent.Operation{ID: "shop-0000000009", Elector: "elector-1", Term: 5, State: reparent.StateUndone}
		}, 1},
		{"its marker was sent here, and the outcome is unknown", func(left reparent.Operation) reparent.Operation {
			left.State, left.Phase, left.Decision, left.MarkSent = reparent.StateFailed, reparent.PhaseDone, &second, true
			return left
		}, 2},
		{"its marker was sent here, and it goes on", func(left reparent.Operation) reparent.Operation {
			left.Phase, left.To, left.Decision, left.MarkSent = reparent.PhaseMarking, "C", &second, true
			return left
		}, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C").Acks(1).Primary("A").Term(1, "A", "A:1-10")
			d := deskOf(t, b)
			d.look(t)
			op := d.underway()
			op.Elector, op.SessionTerm = "elector-1", 2
			d.lineage, d.left = d.lineage.with(op), row.left(op)
			d.takeOver(t.Context(), op, d.now)
			d.workers.Wait()
			if len(d.sent) > 0 {
				t.Errorf("servers were told %v", d.sent)
			}
			if l := d.lineage.History.Leaderships; l[len(l)-1].Term != row.keeps && (d.running == nil || d.running.Term != row.keeps) {
				t.Errorf("known leaderships: %+v; running %+v", l, d.running)
			}
		})
	}
}

// lapsedLease is over.
type lapsedLease struct{ Lease }

func (lapsedLease) Held(time.Time) bool { return false }

// TestAChangeThatWasGivenUpReleasesItsServersThoughTheStoreIsAway: the decision that it withdrew is on record still. Whoever
// carried it knows better for as long as it lives, and puts it there.
func TestAChangeThatWasGivenUpReleasesItsServersThoughTheStoreIsAway(t *testing.T) {
	for _, row := range []struct {
		name   string
		relost bool // the lock was lost meanwhile, and is ours again
		before bool // it was lost before anything was released
	}{{"the lock is kept", false, false}, {"the lock is lost", true, false}, {"the lock is lost before", true, true}} {
		t.Run(row.name, func(t *testing.T) {
			d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1).Primary("A").EstablishedAgo(time.Hour))
			d.round(t)
			op := d.underway()
			op.Elector, op.SessionTerm = "elector-2", 2
			chosen := decided(2, "C", 3)
			op.Decision = &chosen
			d.lineage = d.lineage.with(op)
			if err := d.saveLineage(t.Context(), operationDocument(op)); err != nil {
				t.Fatal(err)
			}
			recorded := d.lineage
			op.Decision, op.Phase, op.Ending = nil, reparent.PhaseReleasing, reparent.StateUndone
			op.Progress = map[topology.Address]reparent.Progress{"B": {Frozen: reparent.Yes}}
			d.obeys, d.sent = true, nil
			d.lease = deafLease{deskLease{d}}
			if row.before {
				d.lease = lapsedLease{d.lease}
			}
			d.begin(op, d.lease)
			d.workers.Wait()
			released := func() bool {
				return slices.ContainsFunc(d.sent, func(c reparent.Command) bool { return c.Verb == reparent.Resume && c.Server == "B" })
			}
			if released() == row.before {
				t.Fatalf("B is released without the store: %t", released())
			}
			for d.next(t.Context()) {
			}
			d.lease = deskLease{d}
			if row.relost {
				d.lineage, d.leftUnsaved = recorded, false
			}
			d.round(t)
			d.workers.Wait()
			d.round(t)
			stored, err := decodeOperation(DocumentOf(operationKey("shop", op.ID), d.documents[operationKey("shop", op.ID)]))
			if err != nil || stored.State != reparent.StateUndone || stored.Decision != nil || d.lineage.Running != "" || len(d.lineage.History.Leaderships) != 1 || !released() {
				t.Errorf("released: %t; on record: %s, %+v; %+v, %v", released(), stored.State, stored.Obstacle, d.lineage, err)
			}
		})
	}
}

// underway is a planned change away from A, as it is on record before anything was decided.
func (d *desk) underway() reparent.Operation {
	clearance, _, _ := d.o.settings.Antiflap.Clear(antiflap.Request{Cluster: "shop", Operator: "ann", Now: d.now}, d.record.Antiflap, d.brake)
	in := d.intent(topology.Finding{}, d.now)
	in.ID, in.Term = "shop-0000000002", 2
	return reparent.Planned(clearance, in, d.now)
}

func TestARecordIsTakenOverFromJournalsOnlyAsFarAsTheyProve(t *testing.T) {
	first := decided(1, "A", 1)
	second := decided(2, "B", 2, first)
	withoutSecond, later := decided(3, "A", 1, first), decided(3, "B", 2, first)
	forged := second
	forged.Primary = "C"
	foreign := second
	foreign.Cluster = "other"
	foreign = foreign.Sealed()
	twice := decided(2, "C", 3, first)
	servers := func(all ...topology.Observation) topology.Snapshot {
		return topology.Snapshot{Cluster: "shop", Servers: all}
	}
	for _, row := range []struct {
		name      string
		decisions []topology.Decision
		snapshot  topology.Snapshot
		refused   string // part of the reason
		current   uint32 // the established term
		unknown   int    // leaderships after it
	}{
		{"the latest primary serves", []topology.Decision{second, first}, servers(holder("A", 1, false, first, second), holder("B", 2, true, first, second)), "", 2, 0},
		{"the latest primary is read-only", []topology.Decision{first, second}, servers(holder("B", 2, false, first, second)), "", 1, 1},
		{"the one before it was left out by the latest", []topology.Decision{first, second, withoutSecond}, servers(holder("A", 1, false, first, withoutSecond)), "", 1, 2},
		{"another server answers at its address", []topology.Decision{first, second}, servers(holder("B", 9, true, first, second)), "", 1, 1},
		{"a row was changed", []topology.Decision{first, forged}, servers(), "hash", 0, 0},
		{"a row of another cluster", []topology.Decision{foreign}, servers(), "other", 0, 0},
		{"one term was decided twice", []topology.Decision{first, second, twice}, servers(), "twice", 0, 0},
		{"a later marker without its row", []topology.Decision{first}, servers(holder("C", 3, false, second)), "term 2", 0, 0},
		{"a marker between two rows without its own", []topology.Decision{first, withoutSecond}, servers(holder("C", 3, false, second)), "term 2", 0, 0},
		{"a marker before the latest primary's that serves, without its row", []topology.Decision{first, later},
			servers(holder("B", 2, true, first, later), holder("C", 3, false, second)), "", 3, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			h, why := recovered(topology.History{}, row.decisions, row.snapshot)
			if row.refused != "" {
				if !strings.Contains(why, row.refused) {
					t.Fatalf("reason %q does not speak of %q", why, row.refused)
				}
				return
			}
			current, ok := h.Current()
			if why != "" || !ok || current.Term != row.current || len(h.Leaderships)-1 != row.unknown {
				t.Fatalf("%q, established %v term %d, %d leaderships", why, ok, current.Term, len(h.Leaderships))
			}
			if len(h.Leaders) != 2 {
				t.Errorf("leaders %v", h.Leaders)
			}
		})
	}
}

// TestARecordIsTakenOverOnceAndThenThePrimaryIsReplaced has a decision that the latest one left out, whose marker one
// server still shows, while the latest one's primary is gone.
func TestARecordIsTakenOverOnceAndThenThePrimaryIsReplaced(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D", "E").Acks(1).Term(1, "A", "A:1-10").Intent(3, "C", "A:1-90, t1").Intent(4, "D", "A:1-100, t1")
	b.Positions("A:1-100, t1, t4", "A", "B", "E").Positions("A:1-100, t1, t3", "C").ReadOnly("A").Dead("D")
	d := deskOf(t, b)
	for _, l := range d.lineage.History.Leaderships {
		d.journals["C"] = append(d.journals["C"], l.Decision)
	}
	d.lineage.History.Leaderships = d.lineage.History.Leaderships[:1]
	d.round(t)
	if d.storeBehind() || len(d.lineage.History.Leaderships) != 3 {
		t.Fatalf("%d leaderships on record, refused %q", len(d.lineage.History.Leaderships), d.refusal)
	}
	d.round(t)
	if len(d.sent) == 0 {
		t.Errorf("nothing is done: %q", d.refusal)
	}
}

func TestALeadershipThatIsKnownFromJournalsOnlyGetsANewTermBeforeAnythingIsRepaired(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D").Acks(1).Term(3, "A", "A:1-90").Positions("A:1-100, t3", "A", "B", "C", "D").Stopped("C")
	for _, poisoned := range []bool{false, true} {
		if poisoned {
			b.Edit("A", func(o *topology.Observation) { o.SemiSync.Acks, o.OfflineMode = topology.PoisonAcks, true })
		}
		d := deskOf(t, b)
		d.journals["B"] = []topology.Decision{d.lineage.History.Leaderships[0].Decision}
		d.lineage.History = topology.History{}
		d.round(t)
		d.round(t)
		if h := d.lineage.History; !h.Recovered || len(d.sent) == 0 {
			t.Fatalf("poisoned %t: %+v, %d commands, refused %q", poisoned, h, len(d.sent), d.refusal)
		}
		for _, c := range d.sent {
			if c.Term <= 3+lostTerms || c.Verb == reparent.Follow || poisoned && c.Verb == reparent.Antidote || !poisoned && c.Verb == reparent.Freeze {
				t.Errorf("poisoned %t: %s under term %d", poisoned, c, c.Term)
			}
		}
	}
}

func TestARecordThatIsTakenOverKeepsWhatTheJournalsDoNotEnd(t *testing.T) {
	first, third := decided(1, "A", 1), decided(3, "C", 3, decided(1, "A", 1))
	fourth, sixth := decided(4, "D", 4, first), decided(6, "E", 5, first)
	unknown := func(d topology.Decision) topology.Leadership { return topology.Leadership{Decision: d} }
	recorded := topology.History{Leaderships: []topology.Leadership{
		{Decision: first, EstablishedAt: first.DecidedAt}, unknown(third), unknown(sixth),
	}}
	for _, row := range []struct {
		name  string
		open  bool // the latest primary by the journals serves
		terms []uint32
	}{
		{"the latest primary is closed", false, []uint32{1, 3, 4, 6}},
		{"the latest primary serves", true, []uint32{4, 6}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := topology.Snapshot{Cluster: "shop", Servers: []topology.Observation{holder("D", 4, row.open, first, fourth)}}
			h, why := recovered(recorded, []topology.Decision{first, fourth}, s)
			var terms []uint32
			for _, l := range h.Leaderships {
				terms = append(terms, l.Term)
			}
			if why != "" || !slices.Equal(terms, row.terms) {
				t.Errorf("%v on record: %s", terms, why)
			}
		})
	}
}

// behind is a desk whose store has lost what the servers' journals hold: B leads under term 2.
func behind(t *testing.T) *desk {
	t.Helper()
	d := deskOf(t, ledBy(topologytest.Cluster("A", "B", "C")))
	for _, l := range d.lineage.History.Leaderships {
		d.journals["B"] = append(d.journals["B"], l.Decision)
	}
	d.lineage.History, d.terms = topology.History{}, 0
	return d
}

// TestTermsThatALostStoreMayHaveGivenOutAreNeverDrawnAgain lets the elector die right after it took the record over.
func TestTermsThatALostStoreMayHaveGivenOutAreNeverDrawnAgain(t *testing.T) {
	d := behind(t)
	d.round(t)
	next, err := d.takeStock(t.Context(), d.lease)
	if err != nil || next.term <= 2+lostTerms {
		t.Errorf("the next elector draws term %d: %v", next.term, err)
	}
}

func TestAChangeThatIsAskedForRightAfterwardsLeavesThemOutToo(t *testing.T) {
	d := behind(t)
	d.round(t)
	answer, err := d.grant(t.Context(), Wish{Cluster: "shop", Kind: reparent.KindPlanned, To: "C", By: "ada"}, d.now)
	d.workers.Wait()
	if err != nil || answer.Operation.Term <= 2+lostTerms {
		t.Errorf("it runs under term %d: %v", answer.Operation.Term, err)
	}
}

func TestAStoreThatIsLostAgainLeavesOutTermsAboveThoseThatWereLeftOutBefore(t *testing.T) {
	d := behind(t)
	d.lineage.LeftOut = 5_000_000
	d.round(t)
	if d.lineage.LeftOut <= 5_000_000+lostTerms {
		t.Errorf("terms up to %d are left out", d.lineage.LeftOut)
	}
}

func TestAnEndThatTheStoreRefusesKeepsNoReplicaFromBeingRepaired(t *testing.T) {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1).Primary("A").EstablishedAgo(time.Hour).Stopped("B"))
	d.left, d.leftUnsaved = d.underway(), true
	d.left.State = reparent.StateUndone
	d.lease = deafLease{deskLease{d}}
	d.pass(t, 10*time.Second)
	if !d.leftUnsaved || !slices.ContainsFunc(d.sent, func(c reparent.Command) bool { return c.Server == "B" }) {
		t.Errorf("on record: %t; sent %v", !d.leftUnsaved, d.sent)
	}
}
