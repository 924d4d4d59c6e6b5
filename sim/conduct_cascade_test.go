package sim

import (
	"testing"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

func TestACancelledRowIsHandedOnWhereSomebodyAttachedAReplicaAfterIt(t *testing.T) {
	done := reparent.Result{Outcome: reparent.Yes, Observation: topology.Observation{Reach: topology.ReachOK}}
	for name, row := range map[string]struct {
		term   uint32
		result reparent.Result
		others bool // it gets it from another server than that to which it was attached
		broken bool
	}{
		"it was attached under the term that cancelled it": {term: 3, result: done, broken: true},
		"and under a later one":                            {term: 4, result: done, broken: true},
		"it was attached before":                           {term: 2, result: done},
		"nobody knows whether it was attached":             {term: 3, result: reparent.Result{Outcome: reparent.Unknown}},
		"it was attached to somebody else":                 {term: 3, result: done, others: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{})
			from, s := w.hosts.all[0], w.hosts.all[1]
			gone := holding(from, 7, gtid.GTID{UUID: from.uuid, Number: 7})
			w.judge.conduct.cancel(3, gtid.Set{}, gone)
			source := from.address
			if row.others {
				source = w.hosts.all[2].address
			}
			w.judge.conduct.attached(reparent.Command{Verb: reparent.Follow, Server: s.address, Source: source, Term: row.term}, row.result)
			w.judge.conduct.handed(s, from, gone)
			if got := w.breaks(EverywhereOrGone); got != row.broken {
				t.Errorf("broken: %t", got)
			}
		})
	}
}

func TestWhatANewLeadersOwnChannelMayBringIsCancelledOnceItHasNone(t *testing.T) {
	for name, lost := range map[string]bool{"it keeps its data": false, "its data was lost before": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{})
			from, s := w.hosts.all[0], w.hosts.all[1]
			row := holding(from, 7, gtid.GTID{UUID: from.uuid, Number: 7})
			s.follows(from.address, true)
			w.judge.conduct.leavesOut(s, 3)
			if row.cancelled {
				t.Fatal("it is cancelled, and it may come yet")
			}
			s.channel.receiver.state, s.channel.applier.on = receiverOff, false
			if lost {
				s.wipe()
			}
			if err := s.resetReplica(); err != nil || row.cancelled == lost {
				t.Errorf("%v, cancelled: %t", err, row.cancelled)
			}
		})
	}
}
