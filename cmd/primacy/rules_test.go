package main

import (
	"context"
	"strings"
	"testing"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// registry remembers which rules were asked for.
type registry struct {
	*plane
	asked   []orchestrator.RulesWish
	vouched string
}

func (r *registry) ChangeRules(_ context.Context, w orchestrator.RulesWish) (orchestrator.Answer, error) {
	r.asked = append(r.asked, w)
	if r.vouched != "" {
		return orchestrator.Answer{Operation: reparent.Operation{Kind: reparent.KindRules, State: reparent.StateSucceeded}, Vouched: r.vouched}, nil
	}
	return orchestrator.Answer{Operation: r.end, Steps: []reparent.Step{{Title: "raise: commits wait"}}}, r.err
}

func onRegistry(t *testing.T, r *registry, args ...string) result {
	t.Helper()
	return against(t, api.Settings{Plane: r.plane, Rules: r, Events: r.events}, args...)
}

func TestRulesAreShownAndChangedOneThingAtATime(t *testing.T) {
	for name, row := range map[string]struct {
		args string
		says string
		want func(w orchestrator.RulesWish) bool
	}{
		"acks": {"set --acks 2 --reason more", "leads", func(w orchestrator.RulesWish) bool {
			return w.Policy.Acks == 2 && len(w.Members) == 3 && w.Reason == "more"
		}},
		"a policy": {"set --policy cross_zone --dry-run", "Nothing was changed", func(w orchestrator.RulesWish) bool { return w.Policy.Kind == topology.PolicyCrossZone && w.DryRun }},
		"a server": {"add db4:3306 --zone c --reason new", "", func(w orchestrator.RulesWish) bool {
			return w.Members[3] == topology.Member{Address: "db4:3306", Zone: "c"}
		}},
		"a zone": {"change db2:3306 --zone x --reason moved", "", func(w orchestrator.RulesWish) bool {
			return w.Members[1].Zone == "x" && w.Members[1].Address == "db2:3306"
		}},
		"a source": {"change db3:3306 --promotion never --source db2:3306 --reason reports", "", func(w orchestrator.RulesWish) bool {
			return w.Members[2].Source == "db2:3306" && w.Members[2].Promotion == topology.PromotionNever && w.Members[1].Source == ""
		}},
		"one less": {"remove db3:3306 --reason old", "", func(w orchestrator.RulesWish) bool { return len(w.Members) == 2 && len(w.Gone) == 0 }},
		"one lost": {"remove db3:3306 --gone --reason burnt", "", func(w orchestrator.RulesWish) bool { return len(w.Members) == 2 && w.Gone[0] == "db3:3306" }},
	} {
		t.Run(name, func(t *testing.T) {
			r := &registry{plane: newPlane()}
			res := onRegistry(t, r, append([]string{"rules", "shop"}, strings.Fields(row.args)...)...)
			res.wants(t, exitDone)
			if len(r.asked) != 1 || !row.want(r.asked[0]) || *r.asked[0].Number != 1 {
				t.Errorf("asked for %+v", r.asked)
			}
		})
	}
	r := &registry{plane: newPlane()}
	onRegistry(t, r, "rules", "shop").wants(t, exitDone, "ruleset 1: semi_sync, acks", "db3:3306")
	r.err = &orchestrator.BlockedError{Obstacle: reparent.Obstacle{Code: "not_reached", Message: "db3:3306 is away", Remedy: "bring it back"}}
	onRegistry(t, r, "rules", "shop", "remove", "db3:3306", "--reason", "old").wants(t, exitBlocked, "db3:3306 is away", "bring it back")
}

func TestToVouchForRulesIsToSucceed(t *testing.T) {
	r := &registry{plane: newPlane(), vouched: "ada vouches that these rules are in force: they are on record as ruleset 5"}
	for _, more := range [][]string{{"--reason", "as before"}, {"--dry-run"}, {"--reason", "as before", "-o", "json"}} {
		onRegistry(t, r, append([]string{"rules", "shop", "set", "--acks", "2"}, more...)...).wants(t, exitDone, "on record as ruleset 5")
	}
}

func TestRulesThatMakeNoSenseAreAMistakeInUsage(t *testing.T) {
	for _, args := range []string{
		"forget", "set --reason x", "set --acks 2", "set db1:3306 --acks 2 --reason x", "add --reason x", "add db1:3306 --reason x", "remove db9:3306 --reason x",
		"change db1:3306 --reason x", "remove db3:3306 --zone a --reason x", "show --gone",
	} {
		r := &registry{plane: newPlane()}
		onRegistry(t, r, append([]string{"rules", "shop"}, strings.Fields(args)...)...).wants(t, exitUsage)
		if len(r.asked) > 0 {
			t.Errorf("%s: asked for %+v", args, r.asked)
		}
	}
}
