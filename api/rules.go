package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// RulesPlane is what changes the rules of a cluster; the orchestrator does.
type RulesPlane interface {
	ChangeRules(ctx context.Context, w orchestrator.RulesWish) (orchestrator.Answer, error)
}

// RulesRequest asks for other rules: all of them, not only what is to be different.
type RulesRequest struct {
	Policy        string       `json:"policy" enum:"none,semi_sync,cross_zone,zones"`
	Acks          int          `json:"acks" minimum:"0" maximum:"100"`
	Zones         int          `json:"zones,omitempty" minimum:"0" maximum:"100"`
	AllowUnfenced bool         `json:"allow_unfenced,omitempty"`
	Members       []RuleMember `json:"members" minItems:"1" maxItems:"100" nullable:"false"`
	Gone          []string     `json:"gone,omitempty" nullable:"false" doc:"Members to be removed that are not reached, of which the caller vouches that they acknowledge nothing any more; needs a reason."`
	// Ruleset binds a change to the rules that somebody looked at.
	Ruleset *uint64 `json:"ruleset,omitempty" doc:"The number of the rules that have to be in force, as the caller has seen them; under others nothing is done, and the answer is 412 with code changed."`
	DryRun  bool    `json:"dry_run,omitempty" doc:"Say which steps would be taken, and take none."`
	Reason  string  `json:"reason,omitempty" maxLength:"1000" doc:"For the record."`
}

// RuleMember is one server of a request for other rules.
type RuleMember struct {
	Address   string `json:"address" example:"db1:3306" minLength:"1" maxLength:"300"`
	Zone      string `json:"zone,omitempty" maxLength:"100"`
	Promotion string `json:"promotion,omitempty" enum:"prefer,neutral,avoid,never"`
	Source    string `json:"source,omitempty" maxLength:"300" doc:"The member that this one replicates from, instead of from the primary; it then needs promotion never, and that one has no source itself."`
}

func (f *front) describeRules(described huma.API) {
	huma.Register(described, needs(RoleViewer, huma.Operation{
		OperationID: "get-rules", Method: http.MethodGet, Path: prefix + "/clusters/{cluster}/rules", Tags: []string{"rules"},
		Summary: "The rules in force", Description: "Durability policy and members, as they are on record.",
	}), func(_ context.Context, in *clusterPath) (*body[Rules], error) {
		v, err := f.settings.Plane.Cluster(in.Cluster)
		if err != nil {
			return nil, f.problemOf(err)
		}
		return &body[Rules]{rulesOf(v.Ruleset)}, nil
	})
	if f.settings.Rules == nil {
		return
	}
	huma.Register(described, needs(RoleAdmin, huma.Operation{
		OperationID: "change-rules", Method: http.MethodPut, Path: prefix + "/clusters/{cluster}/rules", Tags: []string{"rules"},
		Summary: "Change the rules", DefaultStatus: http.StatusAccepted, Middlewares: huma.Middlewares{f.patient},
		Description: "Answers 202 as soon as the change has begun, 200 with wait when it has ended and for a dry run, and 409 with code blocked and what it needs when it cannot be made now.",
	}), f.changeRules)
}

type rulesInput struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	Wait    string `query:"wait" example:"30s" doc:"Wait for the end, at most so long."`
	Conditions
	Body RulesRequest
}

func (f *front) changeRules(ctx context.Context, in *rulesInput) (*answer[ReparentAnswer], error) {
	wait, err := duration("query.wait", in.Wait, waitMax)
	if err != nil {
		return nil, err
	}
	order, err := in.order(ctx, in.Body.Reason, "rules "+in.Cluster, in.Body)
	if err != nil {
		return nil, err
	}
	begun, err := f.settings.Rules.ChangeRules(ctx, rulesWish(in, order))
	if err != nil {
		return nil, f.problemOf(err)
	}
	told := ReparentAnswer{Recovery: recoveryOf(begun.Operation)}
	if begun.Vouched != "" {
		told.Vouched = begun.Vouched
		return &answer[ReparentAnswer]{http.StatusOK, told}, nil
	}
	if in.Body.DryRun {
		told.Steps = stepsOf(begun.Steps)
		return &answer[ReparentAnswer]{http.StatusOK, told}, nil
	}
	return f.accepted(ctx, begun.Operation, wait)
}

func rulesWish(in *rulesInput, o orchestrator.Order) orchestrator.RulesWish {
	b := in.Body
	w := orchestrator.RulesWish{
		Cluster: in.Cluster, Number: b.Ruleset, DryRun: b.DryRun, By: o.By, Reason: o.Reason, Call: o.Call, Revisions: o.Revisions,
		Policy: topology.Policy{Kind: topology.PolicyKind(b.Policy), Acks: b.Acks, Zones: b.Zones, AllowUnfenced: b.AllowUnfenced},
	}
	for _, m := range b.Members {
		w.Members = append(w.Members, topology.Member{Address: topology.Address(m.Address), Zone: m.Zone, Promotion: topology.Promotion(m.Promotion), Source: topology.Address(m.Source)})
	}
	for _, a := range b.Gone {
		w.Gone = append(w.Gone, topology.Address(a))
	}
	return w
}

// Rules tells which rules are in force.
func (c *Client) Rules(ctx context.Context, cluster string) (Rules, error) {
	var told Rules
	err := c.get(ctx, clusterURL(cluster)+"/rules", nil, &told)
	return told, err
}

// ChangeRules puts other rules in force. With wait it returns when the change has ended, or the time is up.
func (c *Client) ChangeRules(ctx context.Context, cluster string, request RulesRequest, wait time.Duration) (ReparentAnswer, error) {
	query := url.Values{}
	if wait > 0 {
		query.Set("wait", wait.String())
	}
	var told ReparentAnswer
	ctx, cancel := context.WithTimeout(ctx, wait+patience)
	defer cancel()
	err := c.sendOnce(ctx, http.MethodPut, clusterURL(cluster)+"/rules", query, request, &told)
	return told, err
}
