package orchestrator

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// replied has another elector answer, with the servers that it reaches.
func (d *desk) replied(node string, number uint64, reaches ...topology.Address) {
	reach := map[topology.Address]topology.Reach{"A": topology.ReachSilent, "B": topology.ReachSilent, "C": topology.ReachSilent}
	for _, a := range reaches {
		reach[a] = topology.ReachOK
	}
	d.o.sharing.talk.replies["shop"] = []reply{{node, answer{Number: number, Reach: reach}}}
}

func TestAClusterIsGivenUpWhenTwoAnswersInARowSeeItBetter(t *testing.T) {
	blocked := func(d *desk) { d.obstacle = &reparent.Obstacle{} }
	for _, row := range []struct {
		name  string
		we    []topology.Address // do not reach
		story func(*desk)
		gives bool
	}{
		{"they reach the primary, and we do not", []topology.Address{"A"}, func(d *desk) {
			d.replied("two", 1, "A", "B", "C")
			d.compare(d.now)
			d.replied("two", 2, "A", "B", "C")
		}, true},
		{"one answer heard twice is one", []topology.Address{"A"}, func(d *desk) {
			d.replied("two", 1, "A", "B", "C")
			d.compare(d.now)
		}, false},
		{"one between them does not see it better", []topology.Address{"A"}, func(d *desk) {
			d.replied("two", 1, "A")
			d.compare(d.now)
			d.replied("two", 2, "B", "C")
			d.compare(d.now)
			d.replied("two", 3, "A")
		}, false},
		{"we reach the primary, and less else", []topology.Address{"B", "C"}, func(d *desk) {
			blocked(d)
			d.replied("two", 1, "A", "B", "C")
			d.compare(d.now)
			d.replied("two", 2, "A", "B", "C")
		}, false},
		{"nobody reaches the primary, we can do nothing, and they reach more", []topology.Address{"A", "B"}, func(d *desk) {
			blocked(d)
			d.replied("two", 1, "B", "C")
			d.compare(d.now)
			d.replied("two", 2, "B", "C")
		}, true},
		{"nobody reaches the primary, we can do nothing, and they reach as many", []topology.Address{"A", "B"}, func(d *desk) {
			blocked(d)
			d.replied("two", 1, "B")
			d.compare(d.now)
			d.replied("two", 2, "B")
		}, false},
		{"nobody reaches the primary, they reach more, and we are able to replace it", []topology.Address{"A", "B"}, func(d *desk) {
			d.replied("two", 1, "B", "C")
			d.compare(d.now)
			d.replied("two", 2, "B", "C")
		}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := wantedElsewhere(t, topologytest.Cluster("A", "B", "C").Acks(1).Silent(row.we...))
			d.look(t)
			row.story(d)
			d.compare(d.now)
			if _, asked := d.o.sharing.unfit["shop"]; d.sight.blind != row.gives || asked != row.gives {
				t.Errorf("it is given up: %t, others are asked: %t", d.sight.blind, asked)
			}
		})
	}
}

// TestEachTimeThatAClusterIsGivenUpItTakesLongerToComeBack keeps a path that flaps from passing it to and fro.
func TestEachTimeThatAClusterIsGivenUpItTakesLongerToComeBack(t *testing.T) {
	d := wantedElsewhere(t, topologytest.Cluster("A", "B", "C").Acks(1))
	d.look(t)
	for _, want := range []time.Duration{sightMin, 2 * sightMin, 4 * sightMin, 8 * sightMin, 16 * sightMin, sightMax, sightMax} {
		d.giveUp("two sees it better")
		d.compare(d.now)
		d.compare(d.now.Add(want - time.Second))
		if !d.sight.blind {
			t.Errorf("before %s are over", want)
		}
		if d.compare(d.now.Add(want)); d.sight.blind {
			t.Errorf("not after %s", want)
		}
	}
}

func TestAnswersToOthersAreNotOurs(t *testing.T) {
	d := wantedElsewhere(t, topologytest.Cluster("A", "B", "C").Acks(1))
	s := d.o.sharing
	s.inquire("shop", d.now)
	for session, to := range map[string]string{"01": "me", "02": "another"} {
		s.heard[session] = &colleague{about: about{Node: session}, answers: answers{map[string]answer{"shop": {
			To: to, Number: 1, Reach: map[topology.Address]topology.Reach{"A": topology.ReachOK},
		}}}}
	}
	s.converse("me", d.now)
	if words := s.words("shop"); len(words) != 1 || words[0].Elector != "01" || words[0].At != d.now {
		t.Errorf("the words are %v", words)
	}
}

func TestQuestionsAboutManyClustersAreToldTogether(t *testing.T) {
	d := wantedElsewhere(t, topologytest.Cluster("A", "B", "C").Acks(1))
	s, man := d.o.sharing, d.o.settings.Company.(*townsman)
	for i, name := range namesOf(100) {
		now := d.now.Add(time.Duration(i) * time.Millisecond)
		s.inquire(name, now)
		s.tellTalk(now)
	}
	if n := man.announced(); n != 2 {
		t.Errorf("%d documents were told in a tenth of a second", n)
	}
	if s.tellTalk(d.now.Add(time.Second)); man.announced() != 4 {
		t.Errorf("%d documents were told", man.announced())
	}
}
