package orchestrator

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// silentDesk is a desk whose store has answered nothing for a minute, so that the lock is lost.
func silentDesk(t *testing.T, b *topologytest.Builder) *desk {
	t.Helper()
	d := deskOf(t, b)
	d.o.settings.Silence = func(now time.Time) (time.Time, error) { return now.Add(-time.Minute), errors.New("etcd is away") }
	d.lease = nil
	d.look(t)
	return d
}

func knowingly(kind reparent.Kind) Wish {
	return Wish{Cluster: "shop", Kind: kind, By: "ada", Reason: "pager", WithoutStore: true, DryRun: true}
}

func three() *topologytest.Builder { return topologytest.Cluster("A", "B", "C").Acks(1) }

func TestWithoutTheStoreEveryServerIsAskedAndNoTraceOfAnotherChangeMayShow(t *testing.T) {
	for _, row := range []struct {
		name  string
		b     *topologytest.Builder
		wish  Wish
		stops string // the obstacle; empty when nothing stands against it
	}{
		{"all are there", three(), knowingly(reparent.KindPlanned), ""},
		{"a replica does not answer", three().Silent("C"), knowingly(reparent.KindPlanned), "not_all_reached"},
		{"the primary is dead", three().Dead("A"), knowingly(reparent.KindEmergency), "not_all_reached"},
		{"the primary is dead and certified", three().Dead("A"), certifying(knowingly(reparent.KindEmergency), "A"), ""},
		{"another one is certified than the one that is dead", three().Dead("A"), certifying(knowingly(reparent.KindEmergency), "B"), "not_all_reached"},
		{"the primary was revoked by nobody here", three().Edit("A", func(o *topology.Observation) { o.SemiSync.Acks = topology.PoisonAcks }), knowingly(reparent.KindPlanned), "change_begun"},
		{"a marker may wait on a replica", three().Edit("B", func(o *topology.Observation) { o.SemiSync.Waiters = 1 }), knowingly(reparent.KindPlanned), "change_begun"},
		{"another server is open", three().Writable("B"), knowingly(reparent.KindPlanned), "change_begun"},
		{"servers know of a term that no journal tells of", three().Executed("B", "t7"), knowingly(reparent.KindPlanned), "record_behind"},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := silentDesk(t, row.b)
			_, err := d.grant(t.Context(), row.wish, d.now)
			var blocked *BlockedError
			if row.stops == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if row.stops != "" && (!errors.As(err, &blocked) || blocked.Obstacle.Code != row.stops) {
				t.Errorf("got %v, want the obstacle %s", err, row.stops)
			}
			if len(d.sent) > 0 {
				t.Errorf("servers were told: %v", d.sent)
			}
		})
	}
}

// An elector that was started without its store knows the rules of its file only, and servers may know of later ones. Those can be
// put on record in a store, so that is what it asks for.
func TestAPlannedChangeWithoutTheStoreWaitsForRulesThatOnlyTheStoreTells(t *testing.T) {
	d := silentDesk(t, three())
	d.o.settings.RulesChanges = true
	for latest, stops := range map[uint64]bool{d.record.Ruleset.Number: false, d.record.Ruleset.Number + 1: true} {
		d.lineage.History.Leaderships[0].Ruleset = latest
		_, err := d.grant(t.Context(), knowingly(reparent.KindPlanned), d.now)
		blocked, is := errors.AsType[*BlockedError](err)
		if is != stops || is && (blocked.Obstacle.Code != "rules_outdated" || !strings.Contains(blocked.Obstacle.Remedy, "the store")) || !is && err != nil {
			t.Errorf("decided under ruleset %d: %v", latest, err)
		}
	}
}

func certifying(w Wish, servers ...topology.Address) Wish {
	w.CertifyDown = servers
	return w
}

func TestAnEmergencyChangeWithoutTheStoreRevokesEveryServerAsIfItLed(t *testing.T) {
	d := silentDesk(t, three().ReadOnly("A"))
	in := d.wished(knowingly(reparent.KindEmergency))
	if !in.History.Recovered {
		t.Fatal("only recorded leaders would be revoked")
	}
	if d.lineage.History.Recovered {
		t.Error("the record itself was marked")
	}
}

func TestATermDrawnWithoutTheStoreIsFarAboveEveryOtherThatIsKnown(t *testing.T) {
	d := silentDesk(t, three())
	d.sessionTerm = 40
	lease := d.detach(t.Context(), d.now)
	defer lease.end()
	first, err := d.drawTerm(t.Context(), lease, d.sessionTerm)
	if err != nil || first <= d.sessionTerm+lostTerms {
		t.Errorf("term %d (%v): the store may give it away meanwhile", first, err)
	}
	if second, _ := d.drawTerm(t.Context(), lease, 0); second <= first {
		t.Errorf("term %d after %d", second, first)
	}
	if !lease.Held(d.now) || lease.Held(d.now.Add(detachedMost)) {
		t.Error("it is not held for as long as such a change may take")
	}
}

func TestAStoreThatStaysSilentIsNoNewsWithEachAttempt(t *testing.T) {
	d := silentDesk(t, three())
	told := func() (n int) {
		for _, e := range d.o.events.Recent() {
			if e.Kind == EventStore {
				n++
			}
		}
		return n
	}
	before := told()
	d.storeFailed(t.Context(), errors.New("acquire the lock of cluster shop: etcd is away"))
	if told() > before {
		t.Error("the finding says it already")
	}
	d.o.settings.Silence = nil
	if d.storeFailed(t.Context(), errors.New("etcd refuses")); told() == before {
		t.Error("nobody hears of a store that refuses")
	}
}

// An elector that is cut from the store sees what another one does, each time, and terms are 32 bits.
func TestWhatIsRecollectedWhileTheStoreIsSilentUsesUpNoTerms(t *testing.T) {
	d := deskOf(t, ledBy(three()))
	record, lease := d.lineage, d.lease
	for _, l := range record.History.Leaderships {
		d.journals["B"] = append(d.journals["B"], l.Decision)
	}
	d.lineage.History, d.lease = topology.History{}, nil
	d.o.settings.Silence = func(now time.Time) (time.Time, error) { return now.Add(-time.Minute), errors.New("etcd is away") }
	d.look(t)
	d.recollect(t.Context(), d.now)
	if current, led := d.lineage.History.Current(); !led || current.Primary != "B" {
		t.Fatalf("the journals were not asked: %+v", d.lineage.History)
	}
	d.o.settings.Silence = nil
	d.lead(t.Context(), gain{lease: lease, record: d.record, lineage: record, term: 3})
	d.round(t)
	if d.sessionTerm != 3 {
		t.Errorf("when the store answers, and all that happened is on record, it acts under term %d instead of 3", d.sessionTerm)
	}
}

func TestWhileTheStoreAnswersNothingIsDoneWithoutIt(t *testing.T) {
	d := deskOf(t, three())
	d.look(t)
	if _, err := d.grant(t.Context(), knowingly(reparent.KindPlanned), d.now); !errors.Is(err, ErrBadWish) {
		t.Errorf("holding the lock: %v", err)
	}
	d.lease = nil
	if _, err := d.grant(t.Context(), knowingly(reparent.KindPlanned), d.now); !errors.Is(err, ErrBadWish) {
		t.Errorf("while another elector may hold it: %v", err)
	}
}

func TestWhatWasDoneWithoutTheStoreIsPutOnRecordAndNoLaterRecordIsOverwritten(t *testing.T) {
	for _, row := range []struct {
		name    string
		on      uint32 // the term on record when the store is back
		leading uint32 // the term that counts then
	}{
		{"nobody was there meanwhile", 1, 9},
		{"another elector has taken it over already, under a later term", 12, 12},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := silentDesk(t, three())
			without := d.detach(t.Context(), d.now)
			ours := lineage{Cluster: "shop", History: topology.History{Leaderships: []topology.Leadership{{Decision: decided(9, "B", 2), EstablishedAt: d.now}}}}
			story := DocumentOf(operationKey("shop", "shop-9"), []byte("{}"))
			if err := without.Put(t.Context(), ours.document(), story); err != nil {
				t.Fatal(err)
			}
			d.owe(without)
			recorded := lineage{Cluster: "shop", LeftOut: 5, History: topology.History{Leaderships: []topology.Leadership{{Decision: decided(row.on, "A", 1), EstablishedAt: d.now}}}}
			d.lead(t.Context(), gain{lease: deskLease{d}, record: d.record, lineage: recorded, term: row.on + 1})
			if current, _ := d.lineage.History.Current(); current.Term != row.leading {
				t.Errorf("term %d counts, want %d", current.Term, row.leading)
			}
			if d.documents[story.Key] == nil || len(d.owed) > 0 {
				t.Error("what was done is not on record")
			}
			if saved := string(d.documents[lineageKey("shop")]); strings.Contains(saved, `"term":9`) != (row.leading == 9) {
				t.Errorf("the store has %s", saved)
			}
		})
	}
}
