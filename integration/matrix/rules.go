package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// alteration is which rules a change of the rules puts in force.
type alteration string

// The alterations: the first two take a barrier, and only the second one has somebody to stop; the others are recorded as
// they are.
const (
	raised  alteration = "acks raised"
	removed alteration = "a member removed"
	lowered alteration = "acks lowered"
	added   alteration = "a member added"
)

func alterations() []alteration { return []alteration{raised, removed, lowered, added} }

// ordinary are the rules of the electors' files.
func (s *stage) ordinary() api.RulesRequest {
	r := api.RulesRequest{Policy: string(topology.PolicySemiSync), Acks: 1, Reason: "the crash matrix"}
	for i, a := range s.addresses() {
		r.Members = append(r.Members, api.RuleMember{Address: a, Zone: zone(i), Promotion: s.promotion(a)})
	}
	return r
}

// unlike are the ordinary rules with what an alteration brings about, or takes back.
func (p *scene) unlike() api.RulesRequest {
	r := p.ordinary()
	switch p.cell.rules {
	case raised, lowered:
		r.Acks = 2
	case removed, added:
		r.Members = slices.DeleteFunc(r.Members, func(m api.RuleMember) bool { return m.Address == p.outsider() })
	}
	return r
}

// outsider is the replica that is no member before it is added, or after it was removed.
func (p *scene) outsider() string {
	all := p.addresses()
	return all[slices.IndexFunc(all, func(a string) bool { return a != p.old && a != p.preferred() })]
}

// asked are the rules that the cell asks for, and present those under which it begins.
func (p *scene) asked() api.RulesRequest {
	if p.cell.rules == lowered || p.cell.rules == added {
		return p.ordinary()
	}
	return p.unlike()
}

func (p *scene) present() api.RulesRequest {
	if p.cell.rules == lowered || p.cell.rules == added {
		return p.unlike()
	}
	return p.ordinary()
}

// govern puts rules in force by way of the acting elector, unless they are.
func (p *scene) govern(ctx context.Context, wanted api.RulesRequest) error {
	actor, _ := p.acting(ctx)
	if actor == nil {
		return errors.New("no elector acts any more")
	}
	now, err := actor.client.Rules(ctx, clusterName)
	if err != nil || now.Acks == wanted.Acks && len(now.Members) == len(wanted.Members) {
		return err
	}
	answer, err := actor.client.ChangeRules(ctx, clusterName, wanted, patience)
	if err != nil {
		return fmt.Errorf("change the rules: %w", err)
	}
	if r := answer.Recovery; r.State != string(reparent.StateSucceeded) {
		return fmt.Errorf("change the rules: %s is %s: %+v", r.ID, r.State, r.Obstacle)
	}
	return p.calm(ctx)
}

// askRules asks for a change of the rules. Whoever is asked may die over it, so no answer is no refusal.
func (p *scene) askRules(ctx context.Context) {
	_, err := p.actor.client.ChangeRules(ctx, clusterName, p.asked(), 0)
	var problem *api.Problem
	if errors.As(err, &problem) {
		p.refused <- err
	}
}

// governed asks whether the rules on record are those of before, or those that the interrupted change has put in force, and
// whether every server obeys them.
func (p *scene) governed(ctx context.Context, now books, fresh []reparent.Operation, primary string) error {
	want := p.before.Ruleset
	for _, op := range fresh {
		if op.Kind != reparent.KindRules {
			p.wrong("%s changes more than the rules", op.ID)
			continue
		}
		if op.State == reparent.StateSucceeded {
			want = *op.Rules
		}
	}
	if len(fresh) > 1 {
		p.wrong("nobody asked for a second change of the rules, and there were %d", len(fresh))
	}
	if now.Ruleset.Number != want.Number || !now.Ruleset.Same(want) {
		p.wrong("the rules on record are %+v, and should be %+v", now.Ruleset, want)
	}
	return p.obeyed(ctx, now.Ruleset, primary)
}

// obeyed asks every server whether it waits, acknowledges and replicates as the rules want it.
func (p *scene) obeyed(ctx context.Context, rules topology.Ruleset, primary string) error {
	ackers := rules.Ackers(topology.Address(primary))
	for _, server := range p.fleet.Servers {
		a := topology.Address(server.Address())
		query, want := "SELECT @@GLOBAL.rpl_semi_sync_replica_enabled", "1"
		switch {
		case string(a) == primary:
			query = "SELECT @@GLOBAL.rpl_semi_sync_source_enabled, @@GLOBAL.rpl_semi_sync_source_wait_for_replica_count"
			want = fmt.Sprintf("1 %d", rules.AcksNeeded(a))
		case !ackers.Has(a):
			query, want = "SELECT service_state, @@GLOBAL.skip_replica_start FROM performance_schema.replication_connection_status", "OFF 1"
		}
		lines, err := table(ctx, server, query)
		if err != nil {
			return err
		}
		if !slices.Equal(lines, []string{want}) {
			p.wrong("%s leads by ruleset %d, and %s says %q instead of %q to: %s", primary, rules.Number, a, lines, want, query)
		}
	}
	return nil
}

// members are the servers that belong to the cluster by the rules.
func (s *stage) members(rules topology.Ruleset) []*local.Server {
	return slices.DeleteFunc(slices.Clone(s.fleet.Servers), func(server *local.Server) bool {
		return !rules.Servers().Has(topology.Address(server.Address()))
	})
}

// ordain puts the ordinary rules back, and has everybody be a member again who holds what the others do.
func (p *scene) ordain(ctx context.Context) error {
	if err := p.govern(ctx, p.ordinary()); err != nil {
		return err
	}
	if err := p.converged(ctx, p.fleet.Servers); err != nil {
		return err
	}
	lost, err := p.lost(ctx, p.fleet.Servers)
	p.result.wrong = append(p.result.wrong, lost...)
	return err
}
