package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/primacydb/primacy/topology"
)

// hostsMost is how many servers a world has at most, with those that are added in its life.
const hostsMost = 9

// reconfigure starts the electors again, one after the other, with another ruleset. One that may not take the place of
// the recorded one by itself is refused; then the configuration is put back after a while, as the finding asks for.
func (w *world) reconfigure(f Fault) bool {
	rules := w.accepted
	rules.Members = slices.Clone(rules.Members)
	if !w.another(&rules, f) || rules.Validate() != nil || rules.Same(w.accepted) {
		return false
	}
	refused := w.accepted.Succeeds(rules) != ""
	if refused && !w.onRecord() { // there would be nothing to refuse it by
		return false
	}
	w.tell("fault", "%s: %s with %d acks, %s%s", f.Kind, rules.Policy.Kind, rules.Policy.Acks, rules.Servers(), cascadesOf(rules))
	w.ruleset = rules
	w.mayForce(rules)
	w.rollOut(f.For)
	if !refused {
		w.accepted = rules
		return true
	}
	w.later(max(f.For, 2*time.Second), func() {
		if w.ruleset.Same(rules) {
			w.ruleset = w.accepted
			w.rollOut(0)
		}
	})
	return true
}

// onRecord tells whether the store says which rules are in force, and has had what it once lost for a while. One that was
// restored from a backup may not say so until somebody has noticed, and nobody does as long as no elector reaches it.
func (w *world) onRecord() bool {
	e := w.actor()
	return e != nil && e.view().Primary != "" && (w.judge.forgotten < 0 || w.clock.now-w.judge.forgotten > 2*savedWithin) &&
		w.store.document("clusters/"+clusterName+"/record") != nil
}

// mayForce notes a ruleset that some elector will be configured with: if it may follow any that is in force, it may get so.
func (w *world) mayForce(rules topology.Ruleset) {
	if slices.ContainsFunc(w.forced, func(r topology.Ruleset) bool { return r.Succeeds(rules) == "" }) {
		w.forced = append(w.forced, rules)
		w.judge.fewest = min(w.judge.fewest, leastAcks(rules))
		w.judge.unfenced = w.judge.unfenced || rules.Policy.AllowUnfenced
	}
}

// rollOut starts all electors again that live and are configured otherwise, with a pause between two of them.
func (w *world) rollOut(pause time.Duration) {
	for i, e := range w.electors {
		w.clock.after(time.Duration(i)*pause, func() {
			if e.alive() && !e.rules.Same(w.ruleset) && (pause == 0 || !w.mended) {
				e.kill()
				e.restart()
			}
		})
	}
}

// ofOneMind tells whether all electors are configured with the rules in force.
func (w *world) ofOneMind() bool {
	if w.options.Rules {
		return w.undisputed()
	}
	return w.ruleset.Same(w.accepted) && !slices.ContainsFunc(w.electors, func(e *elector) bool { return !e.rules.Same(w.accepted) })
}

// another changes one thing of a ruleset; false when there is nothing of its kind to change.
func (w *world) another(rules *topology.Ruleset, f Fault) bool {
	chance := rand.New(rand.NewPCG(w.report.Seed, forRules<<32|uint64(f.Number)))
	m := &rules.Members[f.Other%len(rules.Members)]
	if ofCascades := draws(w.report.Seed, forCascades<<32|uint64(f.Number)); w.options.Cascade && ofCascades.IntN(2) == 0 {
		return anotherSource(rules, m, ofCascades)
	}
	switch f.Server % 7 {
	case 0:
		if rules.Policy.Acks < 2 {
			return false
		}
		rules.Policy.Acks--
	case 1:
		rules.Policy.Acks++
	case 2:
		m.Promotion = []topology.Promotion{topology.PromotionPrefer, topology.PromotionAvoid, topology.PromotionNever, ""}[chance.IntN(4)]
	case 3:
		rules.Policy = anotherPolicy(rules.Policy, chance)
	case 4:
		m.Zone = string(rune('w' + chance.IntN(4)))
	case 5:
		return w.enlist(rules, chance)
	case 6:
		rules.Members = slices.DeleteFunc(rules.Members, func(x topology.Member) bool { return x == *m })
	}
	return true
}

// anotherPolicy is one of another kind, or that allows what it did not allow before.
func anotherPolicy(p topology.Policy, chance *rand.Rand) topology.Policy {
	kinds := []topology.PolicyKind{topology.PolicySemiSync, topology.PolicySemiSync, topology.PolicyCrossZone, topology.PolicyZones, topology.PolicyNone}
	p.Kind, p.Zones, p.AllowUnfenced = kinds[chance.IntN(len(kinds))], 0, false
	switch p.Kind {
	case topology.PolicyNone:
		p.Acks, p.AllowUnfenced = 0, chance.IntN(2) == 0
	case topology.PolicyZones:
		p.Zones = 2
		fallthrough
	case topology.PolicySemiSync, topology.PolicyCrossZone:
		p.Acks = max(1, p.Acks)
	}
	return p
}

// enlist adds a member: a server that somebody has set up, empty and closed, and attached to nothing.
func (w *world) enlist(rules *topology.Ruleset, chance *rand.Rand) bool {
	if len(w.hosts.all) >= hostsMost {
		return false
	}
	a := topology.Address(fmt.Sprintf("N%d", len(w.hosts.all)+1))
	w.hosts.add(a, drawOptions(chance))
	rules.Members = append(rules.Members, topology.Member{Address: a, Zone: rules.Members[chance.IntN(len(rules.Members))].Zone})
	return true
}
