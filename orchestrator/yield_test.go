package orchestrator

import (
	"errors"
	"testing"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// wantedElsewhere is a desk whose cluster has been meant for another elector for a while.
func wantedElsewhere(t *testing.T, b *topologytest.Builder) *desk {
	t.Helper()
	d := deskOf(t, b)
	d.o.settings.Company = &townsman{town: townOf(t, 0), says: map[string][]byte{}}
	d.o.sharing = newSharing(d.o)
	d.turned, d.ledSince = d.runtime().NewBell(), d.now.Add(-tenureMin)
	d.o.sharing.turns["shop"] = turn{to: "01", node: "elector-1", since: d.now.Add(-yieldAfter), owner: Owner{"02", "elector-2"}}
	return d
}

// TestAClusterIsHandedOverOnlyWhileNothingIsGoingOn has one row for each thing that can go on.
func TestAClusterIsHandedOverOnlyWhileNothingIsGoingOn(t *testing.T) {
	healthy := func() *topologytest.Builder { return topologytest.Cluster("A", "B", "C").Acks(1) }
	for _, row := range []struct {
		name    string
		cluster *topologytest.Builder
		change  func(*desk)
		handed  bool
	}{
		{"nothing is going on", healthy(), func(*desk) {}, true},
		{"a replica is down", healthy().Dead("C"), func(*desk) {}, true},
		{"the primary is dead", healthy().Dead("A").Replication("B", lostSource).Replication("C", lostSource), func(*desk) {}, false},
		{"the primary is suspect", healthy(), finds(topology.PrimarySuspect), false},
		{"a later term was begun, and its outcome is unknown", healthy(), finds(topology.LeadershipUnsettled), false},
		{"no term is on record", healthy(), finds(topology.NotAdopted), false},
		{"an applier lags", healthy(), finds(topology.Lagging), true},
		{"servers know of a term that is not on record", healthy().Positions("A:1-100, t1, t3", "B"), func(*desk) {}, false},
		{"a change is under way", healthy(), func(d *desk) { d.busy = true }, false},
		{"a repair is under way", healthy(), func(d *desk) { d.repairing = true }, false},
		{"an operation was left unfinished", healthy(), func(d *desk) { d.lineage.Running = "shop-2" }, false},
		{"somebody has asked for a change", healthy(), func(d *desk) { d.inbox.ask(&request{}) }, false},
		{"it has been ours for a moment only", healthy(), func(d *desk) { d.ledSince = d.now.Add(-tenureMin + time.Second) }, false},
		{"it has been meant for the other for a moment only", healthy(), func(d *desk) {
			d.turnIs(func(t *turn) { t.since = d.now.Add(-time.Second) })
		}, false},
		{"it is ours", healthy(), func(d *desk) { d.turnIs(func(t *turn) { t.ours, t.to = true, "02" }) }, false},
		{"it is ours, and it was not heard yet that we have it", healthy(), func(d *desk) {
			d.turnIs(func(t *turn) { t.ours, t.to, t.owner = true, "02", Owner{} })
		}, false},
		{"nobody knows whose it is", healthy(), func(d *desk) { d.turnIs(func(t *turn) { t.to = "" }) }, false},
		{"another was handed over a moment ago", healthy(), func(d *desk) { d.o.sharing.nextOut = d.now.Add(yieldEvery) }, false},
		{"the other left a lock to us before", healthy(), func(d *desk) {
			d.o.sharing.shunned["01"] = d.now.Add(time.Second)
		}, false},
		{"we are blind, and the primary seems to be dead", healthy().Dead("A").Replication("B", lostSource).Replication("C", lostSource), func(d *desk) {
			d.sight.blind = true
		}, true},
		{"we are blind, and a change is under way", healthy(), func(d *desk) { d.sight.blind, d.busy = true, true }, false},
		{"it has been ours for a moment, and we cannot act for it", healthy(), func(d *desk) {
			d.ledSince, d.o.sharing.unfit["shop"] = d.now, "no server is reached"
		}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := wantedElsewhere(t, row.cluster)
			d.look(t)
			row.change(d)
			if d.yield(t.Context()); (d.lease == nil) != row.handed {
				t.Errorf("it is handed over: %t; found is %v", d.lease == nil, codes(d.findings))
			}
		})
	}
}

// TestHandOversKeepTheirPaceAlsoWhereAllClustersAreLookedAtTogether looks at a hundred clusters once a second.
func TestHandOversKeepTheirPaceAlsoWhereAllClustersAreLookedAtTogether(t *testing.T) {
	d := wantedElsewhere(t, topologytest.Cluster("A", "B", "C").Acks(1))
	d.o.settings.TenureMin = tenureMin
	wanted := d.o.sharing.turns["shop"]
	for i := range 5 {
		handed := 0
		for _, name := range namesOf(100) {
			d.o.sharing.turns[name] = wanted
			if _, ok := d.o.sharing.out(name, d.ledSince, d.now.Add(time.Duration(i)*time.Second)); ok {
				handed++
			}
		}
		if most := int(yieldSaved / yieldEvery); handed < most || handed > most+1 {
			t.Errorf("in second %d, %d were handed over", i, handed)
		}
	}
}

func (d *desk) turnIs(change func(*turn)) {
	t := d.o.sharing.turns["shop"]
	change(&t)
	d.o.sharing.turns["shop"] = t
}

func finds(code topology.Code) func(*desk) {
	return func(d *desk) { d.findings = []topology.Finding{{Code: code}} }
}

func lostSource(r *topology.Replication) { r.Receiver = topology.ThreadConnecting }

func codes(findings []topology.Finding) (all []topology.Code) {
	for _, f := range findings {
		all = append(all, f.Code)
	}
	return all
}

// TestWhatWasHandedOverIsActedForNoMore asks for a change right after.
func TestWhatWasHandedOverIsActedForNoMore(t *testing.T) {
	d := wantedElsewhere(t, topologytest.Cluster("A", "B", "C").Acks(1))
	d.look(t)
	d.yield(t.Context())
	if _, err := d.grant(t.Context(), Wish{Cluster: "shop", Kind: reparent.KindPlanned, To: "C", By: "ada"}, d.now); !errors.Is(err, ErrNotLeading) || d.busy {
		t.Errorf("a change was begun: %v", err)
	}
	if v := d.view(); v.Leading || v.Elector != "elector-2" {
		t.Errorf("leading %t, elector %q", v.Leading, v.Elector)
	}
}
