//go:build linux

package partition

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/topology"
)

// All stories are told on one stage, for it takes long to set up. One that failed leaves behind nobody knows what, so the
// next one gets a new stage.
func TestPartitions(t *testing.T) {
	program, err := build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	stories := []struct {
		claim string
		tell  func(*story)
	}{
		{"An elector cut from the store is replaced by one that is not", cutFromTheStore},
		{"An elector cut from the servers hands over to one that sees them", cutFromTheServers},
		{"An elector cut from both is replaced, and knows nothing of it", cutFromBoth},
		{"An elector that the servers do not hear hands over", notHeardByServers},
		{"An elector that does not hear the servers hands over", hearsNoServers},
		{"A change whose answers are lost ends when they come again", answersLost},
		{"A planned change whose elector loses the store is ended by the other one", cutFromTheStoreMidway},
		{"An emergency change whose elector loses everything is ended by the other one", cutFromBothMidway},
		{"An elector that is not heard by the store is replaced", notHeardByTheStore},
		{"An elector that hears nothing from the store is replaced", hearsNoStore},
		{"Without a majority of the store servers serve and nothing is changed", withoutMajority},
		{"An elector that sees the half of the servers without the primary hands over to the one that sees it", otherHalf},
		{"A primary that dies while each elector sees half of the servers is replaced when they see all", halves},
	}
	var s *stage
	defer func() { closed(t, s) }()
	for _, story := range stories {
		if s == nil {
			if s, err = newStage(t.Context(), t.TempDir(), program); err != nil {
				t.Fatal(err)
			}
		}
		done := t.Run(story.claim, func(t *testing.T) {
			p := s.begin(t)
			defer p.leave()
			story.tell(p)
		})
		if !done {
			closed(t, s)
			s = nil
		}
	}
}

func closed(t *testing.T, s *stage) {
	t.Helper()
	if s == nil {
		return
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

func cutFromTheStore(p *story) {
	p.lose(between(p.acting.host.subnet, p.memory.all()...)...)
	p.acts(p.other)
	c := p.sees(p.acting, "that it no longer acts", func(c api.Cluster) bool {
		_, silent := finding(c, topology.StoreUnavailable, "")
		return !c.Leading && silent
	})
	p.unchanged(c)
	p.refuses(p.acting, api.CodeStoreUnavailable)
	p.writes(50)
	p.kill()
	p.replaced(p.other)
	if c := p.looks(p.acting, p.killed); c.Leading || c.Recovery != nil {
		p.t.Errorf("%s, which is cut from the store, leads: %t, and changes %v", p.acting.name, c.Leading, c.Recovery)
	}
	p.heal()
	p.standsBy(p.acting, p.other)
	p.end(1, p.other)
}

// refuses checks that an elector makes no planned change, and by which code it says so.
func (p *story) refuses(e *elector, code string) {
	p.t.Helper()
	var problem *api.Problem
	if err := e.reparent(p.t.Context()); !errors.As(err, &problem) || problem.Code != code {
		p.t.Errorf("%s was asked for a change and said %v, want %s", e.name, err, code)
	}
}

func cutFromTheServers(p *story) {
	p.lose(between(p.acting.host.subnet, p.servers.subnet)...)
	p.handedOver()
	p.kill()
	p.replaced(p.other)
	if c := p.looks(p.acting, p.killed); c.Leading || c.Recovery != nil {
		p.t.Errorf("%s, which sees no server, leads: %t, and changes %v", p.acting.name, c.Leading, c.Recovery)
	}
	p.heal()
	p.standsBy(p.acting, p.other)
	p.end(1, p.other)
}

// handedOver waits until the elector that sees no server has left the cluster to the other one, under the same primary.
func (p *story) handedOver() {
	p.t.Helper()
	p.acts(p.other)
	p.finds(p.acting, topology.ElectorIsolated, "")
	p.standsBy(p.acting, p.other)
	for _, e := range p.electors {
		p.unchanged(p.looks(e, p.cutAt))
	}
	p.writes(50)
}

func cutFromBoth(p *story) {
	p.lose(between(p.acting.host.subnet, append(p.memory.all(), p.servers.subnet)...)...)
	p.acts(p.other)
	p.finds(p.acting, topology.ElectorIsolated, "")
	p.finds(p.acting, topology.StoreUnavailable, "")
	p.writes(50)
	p.must(p.other.reparent(p.t.Context()))
	p.replaced(p.other)
	if c := p.looks(p.acting, p.cutAt); c.Leading || c.Recovery != nil || c.Primary != p.primary {
		p.t.Errorf("%s, which is cut from everything, leads: %t, believes in %s, changes %v", p.acting.name, c.Leading, c.Primary, c.Recovery)
	}
	p.heal()
	p.standsBy(p.acting, p.other)
	p.end(1, p.other)
}

func notHeardByServers(p *story) { p.oneWay(cut{p.acting.host.subnet, p.servers.subnet}) }

func hearsNoServers(p *story) { p.oneWay(cut{p.servers.subnet, p.acting.host.subnet}) }

func (p *story) oneWay(c cut) {
	p.t.Helper()
	p.lose(c)
	p.handedOver()
	p.end(0, nil)
}

// The statements reach the servers, which do as they are told; only the elector does not hear of it.
func answersLost(p *story) {
	p.ask(cut{p.servers.subnet, p.acting.host.subnet})
	p.finds(p.acting, topology.ElectorIsolated, "")
	p.heal()
	p.ended()
}

// The servers go on doing what it says until its lease runs out, and nothing of that gets on record.
func cutFromTheStoreMidway(p *story) {
	p.ask(between(p.acting.host.subnet, p.memory.all()...)...)
	p.acts(p.other)
	p.writes(50)
	p.heal()
	p.standsBy(p.acting, p.other)
	p.ended()
}

// ask has the elector that acts make a planned change, and cuts something while it does.
func (p *story) ask(cuts ...cut) {
	p.t.Helper()
	asked := make(chan error, 1)
	go func() { asked <- p.acting.reparent(p.t.Context()) }()
	p.changing(cuts...)
	if err := <-asked; err != nil && strings.Contains(err.Error(), "before it was on record") { // then there is nothing to finish
		p.t.Log(err)
	} else {
		p.must(err)
	}
}

func (p *story) changing(cuts ...cut) {
	p.t.Helper()
	c := p.sees(p.acting, "the change", func(c api.Cluster) bool { return c.Recovery != nil || c.Primary != p.primary })
	p.lose(cuts...)
	if c.Recovery != nil {
		p.t.Logf("%s was cut while it was %s", p.acting.name, c.Recovery.Phase)
	}
}

// ended waits until what came of a planned change is settled, whichever way.
func (p *story) ended() {
	p.t.Helper()
	p.await("a calm cluster", p.isCalm)
	p.writes(20)
	moved := 0
	if _, c := p.whoActs(); c.Primary != p.primary {
		moved = 1
	}
	p.end(moved, nil)
}

func cutFromBothMidway(p *story) {
	p.kill()
	p.changing(between(p.acting.host.subnet, append(p.memory.all(), p.servers.subnet)...)...)
	p.acts(p.other)
	p.replaced(p.other)
	p.heal()
	p.standsBy(p.acting, p.other)
	p.end(1, nil)
}

func notHeardByTheStore(p *story) {
	var cuts []cut
	for _, members := range p.memory.all() {
		cuts = append(cuts, cut{p.acting.host.subnet, members})
	}
	p.oneWayToTheStore(cuts)
}

func hearsNoStore(p *story) {
	var cuts []cut
	for _, members := range p.memory.all() {
		cuts = append(cuts, cut{members, p.acting.host.subnet})
	}
	p.oneWayToTheStore(cuts)
}

func (p *story) oneWayToTheStore(cuts []cut) {
	p.t.Helper()
	p.lose(cuts...)
	p.acts(p.other)
	p.finds(p.acting, topology.StoreUnavailable, "")
	p.writes(50)
	p.heal()
	p.standsBy(p.acting, p.other)
	p.end(0, nil)
}

func withoutMajority(p *story) {
	members := p.memory.all()
	p.lose(append(between(members[0], members[1:]...), between(members[1], members[2])...)...)
	for _, e := range p.electors {
		c := p.sees(e, "that nobody acts", func(c api.Cluster) bool {
			_, silent := finding(c, topology.StoreUnavailable, "")
			return !c.Leading && silent
		})
		p.unchanged(c)
	}
	p.writes(100)
	p.refuses(p.acting, api.CodeStoreUnavailable)
	p.kill()
	for _, e := range p.electors {
		p.finds(e, topology.PrimaryDead, p.primary)
		p.unchanged(p.looks(e, p.killed))
	}
	if open := p.watch.open(p.t.Context()); len(open) > 0 {
		p.t.Errorf("nobody may act, and %v take writes", open)
	}
	p.heal()
	p.await("a new primary", func(ctx context.Context) bool {
		_, c := p.stage.acting(ctx)
		return c.Primary != p.primary && serves(c)
	})
	p.writes(20)
	p.end(1, nil)
}

// half cuts both electors from half of the servers each, and returns the servers that the one which acts still sees.
func (p *story) half(actingSeesPrimary bool) (seen, unseen []string) {
	p.t.Helper()
	ordered := []string{p.primary}
	for _, a := range p.addresses() {
		if a != p.primary {
			ordered = append(ordered, a)
		}
	}
	seen, unseen = ordered[:serversOfFleet/2], ordered[serversOfFleet/2:]
	if !actingSeesPrimary {
		seen, unseen = unseen, seen
	}
	p.lose(append(between(p.acting.host.subnet, p.hosts(unseen)...), between(p.other.host.subnet, p.hosts(seen)...)...)...)
	return seen, unseen
}

func (p *story) hosts(addresses []string) []string {
	var all []string
	for _, a := range addresses {
		all = append(all, p.fleet.Server(a).Host)
	}
	return all
}

func otherHalf(p *story) {
	seen, _ := p.half(false)
	f := p.finds(p.acting, topology.PrimaryUnreachableByUs, p.primary)
	if !slices.ContainsFunc(f.Evidence, func(e api.Evidence) bool { return slices.Contains(seen, e.By) }) {
		p.t.Errorf("%s sees %v, and none of them testifies: %v", p.acting.name, seen, f.Evidence)
	}
	p.acts(p.other)
	for _, e := range p.electors {
		p.unchanged(p.looks(e, p.cutAt))
	}
	p.writes(50)
	p.end(0, nil)
}

func halves(p *story) {
	_, unseen := p.half(true)
	for _, server := range unseen {
		p.finds(p.acting, topology.ServerUnreachable, server)
	}
	p.finds(p.acting, topology.WouldBlock, "")
	p.writes(50)
	p.kill()
	p.acts(p.other) // which sees two servers, and the first one no more than one
	c := p.sees(p.other, "that it cannot replace the primary", func(c api.Cluster) bool { return c.Obstacle != nil })
	if c.Primary != p.primary || c.Obstacle.Code == "" {
		p.t.Errorf("%s leads, and what stands against replacing it is %+v", c.Primary, c.Obstacle)
	}
	p.t.Logf("blocked by %s: %s", c.Obstacle.Code, c.Obstacle.Message)
	for _, e := range p.electors {
		if c := p.looks(e, p.killed); c.Primary != p.primary {
			p.t.Errorf("%s says that %s leads", e.name, c.Primary)
		}
	}
	if open := p.watch.open(p.t.Context()); len(open) > 0 {
		p.t.Errorf("nobody can be established, and %v take writes", open)
	}
	p.heal()
	p.replaced(p.other)
	p.end(1, p.other)
}
