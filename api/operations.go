package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

type body[T any] struct{ Body T }

// answer is a body with a status of its own.
type answer[T any] struct {
	Status int
	Body   T
}

type clusterPath struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
}

func (f *front) describeClusters(described huma.API) {
	huma.Register(described, needs(RoleViewer, huma.Operation{
		OperationID: "get-cluster", Method: http.MethodGet, Path: prefix + "/clusters/{cluster}", Tags: []string{"clusters"},
		Summary: "One cluster", Description: "Servers, findings with evidence, the anti-flapping window.",
	}), func(_ context.Context, in *clusterPath) (*clusterAnswer, error) {
		return f.cluster(in.Cluster)
	})
}

// clusterAnswer carries the revision of the cluster as its ETag, for If-Match.
type clusterAnswer struct {
	ETag string `header:"ETag"`
	Body Cluster
}

func (f *front) cluster(name string) (*clusterAnswer, error) {
	v, err := f.settings.Plane.Cluster(name)
	if err != nil {
		return nil, f.problemOf(err)
	}
	c := clusterOf(v, time.Now(), f.settings.FreshFor)
	return &clusterAnswer{`"` + c.Revision + `"`, c}, nil
}

// ReparentRequest asks for a change of the primary.
type ReparentRequest struct {
	Kind        string  `json:"kind" enum:"planned,emergency" doc:"planned asks the primary to step down; emergency revokes it."`
	To          string  `json:"to,omitempty" doc:"The server to promote; left out, the best one is chosen."`
	DryRun      bool    `json:"dry_run,omitempty" doc:"Say which steps would be taken, and take none."`
	DrainMS     int64   `json:"drain_ms,omitempty" minimum:"0" maximum:"600000" doc:"How long a planned change waits for running transactions."`
	CertifyDown Servers `json:"certify_down,omitempty" doc:"Servers that the caller vouches to be powered off; needs a reason."`
	AcceptLoss  bool    `json:"accept_loss,omitempty" doc:"Go on although acknowledged transactions may be lost; needs a reason."`
	KeepErrant  bool    `json:"keep_errant,omitempty" doc:"Keep what servers hold although no recorded leader wrote it, or it was cancelled; needs a reason."`
	// WithoutStore is for when nobody can say who else may be acting.
	WithoutStore bool `json:"without_store,omitempty" doc:"Change it although the store does not answer: no lock keeps other electors from acting, and every server has to be reached or certified down. Refused while the store answers; needs a reason."`
	// ExpectedTerm binds a change to the state that somebody looked at.
	ExpectedTerm *uint32 `json:"expected_term,omitempty" doc:"The term that the cluster has to be in, as the caller has seen it; in another one nothing is done, and the answer is 409 with code changed."`
	Reason       string  `json:"reason,omitempty" maxLength:"1000" doc:"For the record."`
}

// Servers is a list of addresses; a single one may be given as plain text.
type Servers []string

// UnmarshalJSON takes a text or a list of texts.
func (s *Servers) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*s = nil
		if one != "" {
			*s = Servers{one}
		}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(s))
}

// Schema describes both forms.
func (s Servers) Schema(huma.Registry) *huma.Schema {
	one := &huma.Schema{Type: huma.TypeString}
	return &huma.Schema{OneOf: []*huma.Schema{one, {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}}}}
}

// ReparentAnswer is the change that was begun, or for a dry run the steps it would take.
type ReparentAnswer struct {
	Recovery Recovery `json:"recovery"`
	Steps    []Step   `json:"steps,omitempty" nullable:"false" doc:"Of a dry run: what would be done, if every server answers as it should."`
	Vouched  string   `json:"vouched,omitempty" doc:"Of rules: nothing was changed but the record, for the caller vouches that they are in force. What was done, or would be. The recovery has no id then, and cannot be read again."`
}

type reparentInput struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	Wait    string `query:"wait" example:"30s" doc:"Wait for the end, at most so long."`
	Conditions
	Body ReparentRequest
}

// waitMax is how long a caller may wait for the end of a change.
const waitMax = 10 * time.Minute

func (f *front) describeRecoveries(described huma.API) {
	huma.Register(described, needs(RoleOperator, huma.Operation{
		OperationID: "reparent", Method: http.MethodPost, Path: prefix + "/clusters/{cluster}/reparent", Tags: []string{"changes"},
		Summary: "Change the primary", DefaultStatus: http.StatusAccepted, Middlewares: huma.Middlewares{f.patient},
		Description: "Answers 202 as soon as the change has begun, 200 with wait when it has ended and for a dry run, and 409 with code blocked and what it needs when it cannot be begun.",
	}), f.reparent)
	huma.Register(described, needs(RoleViewer, huma.Operation{
		OperationID: "get-recovery", Method: http.MethodGet, Path: prefix + "/recoveries/{id}", Tags: []string{"changes"},
		Summary: "One change", Description: "Stage by stage, with the evidence on which it rests.",
	}), f.recovery)
}

// patient lets an answer come as late as the longest wait.
func (f *front) patient(ctx huma.Context, next func(huma.Context)) {
	_, w := humamux.Unwrap(ctx)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(waitMax + f.settings.AnswerTimeout)) // refused only by recorders in tests
	next(ctx)
}

func (f *front) reparent(ctx context.Context, in *reparentInput) (*answer[ReparentAnswer], error) {
	wait, err := duration("query.wait", in.Wait, waitMax)
	if err != nil {
		return nil, err
	}
	order, err := in.order(ctx, in.Body.Reason, "reparent "+in.Cluster, in.Body)
	if err != nil {
		return nil, err
	}
	begun, err := f.settings.Plane.Reparent(ctx, wishOf(in, order))
	if err != nil {
		return nil, f.wishProblem(err)
	}
	told := ReparentAnswer{Recovery: recoveryOf(begun.Operation)}
	if in.Body.DryRun {
		told.Steps = stepsOf(begun.Steps)
		return &answer[ReparentAnswer]{http.StatusOK, told}, nil
	}
	return f.accepted(ctx, begun.Operation, wait)
}

// accepted answers for a change that was begun, once it is on record: an elector that stops forgets what is not.
func (f *front) accepted(ctx context.Context, op reparent.Operation, wait time.Duration) (*answer[ReparentAnswer], error) {
	if err := f.settings.Plane.OnRecord(ctx, op.ID); err != nil {
		return nil, f.problemOf(err)
	}
	if wait == 0 {
		return &answer[ReparentAnswer]{http.StatusAccepted, ReparentAnswer{Recovery: recoveryOf(op)}}, nil
	}
	return f.await(ctx, op, wait)
}

// wishProblem names the field when the server that a request names is unknown; the path itself was right.
func (f *front) wishProblem(err error) *Problem {
	p := f.problemOf(err)
	if errors.Is(err, orchestrator.ErrNoSuchServer) {
		p.Status, p.Title = http.StatusUnprocessableEntity, http.StatusText(http.StatusUnprocessableEntity)
	}
	return p
}

func wishOf(in *reparentInput, o orchestrator.Order) orchestrator.Wish {
	b := in.Body
	w := orchestrator.Wish{
		Cluster: in.Cluster, Kind: reparent.Kind(b.Kind), To: topology.Address(b.To), DryRun: b.DryRun,
		Drain: time.Duration(b.DrainMS) * time.Millisecond, AcceptLoss: b.AcceptLoss, KeepErrant: b.KeepErrant, WithoutStore: b.WithoutStore,
		By: o.By, Reason: o.Reason, Call: o.Call, Revisions: o.Revisions, Term: b.ExpectedTerm,
	}
	for _, s := range b.CertifyDown {
		w.CertifyDown = append(w.CertifyDown, topology.Address(s))
	}
	return w
}

// await answers 200 once the change has ended, and 202 with how far it is when the time is up before.
func (f *front) await(ctx context.Context, op reparent.Operation, wait time.Duration) (*answer[ReparentAnswer], error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	end, err := f.settings.Plane.Await(waiting, op.ID)
	if err != nil {
		return nil, f.problemOf(err)
	}
	status := http.StatusOK
	if end.Running() {
		status = http.StatusAccepted
	}
	return &answer[ReparentAnswer]{status, ReparentAnswer{Recovery: recoveryOf(end)}}, nil
}

func duration(location, text string, most time.Duration) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > most {
		return 0, mistaken(location, fmt.Sprintf("%q is no duration between 0s and %s; write it like 30s", clip(text), most))
	}
	return d, nil
}

func (f *front) recovery(ctx context.Context, in *struct {
	ID string `path:"id" example:"shop-0000000003" maxLength:"100"`
}) (*body[Recovery], error) {
	op, err := f.settings.Plane.Recovery(ctx, in.ID)
	if err != nil {
		return nil, f.problemOf(err)
	}
	return &body[Recovery]{recoveryOf(op)}, nil
}

// AckRequest acknowledges the last change.
type AckRequest struct {
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"For the record."`
}

// SwitchRequest switches something on or off.
type SwitchRequest struct {
	On     bool   `json:"on"`
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"For the record."`
}

func (f *front) describeSwitches(described huma.API) {
	huma.Register(described, needs(RoleOperator, huma.Operation{
		OperationID: "acknowledge", Method: http.MethodPost, Path: prefix + "/clusters/{cluster}/antiflap/ack", Tags: []string{"switches"},
		Summary: "Lift the anti-flapping window", Description: "Somebody has looked at the last change: automatic ones are possible again.",
	}), f.acknowledge)
	huma.Register(described, needs(RoleAdmin, huma.Operation{
		OperationID: "set-automation", Method: http.MethodPut, Path: prefix + "/clusters/{cluster}/automation", Tags: []string{"switches"},
		Summary: "Switch automatic changes on or off", Description: "By hand a change is always possible.",
	}), f.automation)
	f.describeMaintenance(described)
}

func (f *front) acknowledge(ctx context.Context, in *struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	Conditions
	Body AckRequest
}) (*clusterAnswer, error) {
	order, err := in.order(ctx, in.Body.Reason, "ack "+in.Cluster, in.Body)
	if err != nil {
		return nil, err
	}
	if _, err := f.settings.Plane.Acknowledge(ctx, in.Cluster, order); err != nil {
		return nil, f.problemOf(err)
	}
	return f.cluster(in.Cluster)
}

func (f *front) automation(ctx context.Context, in *struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	Conditions
	Body SwitchRequest
}) (*clusterAnswer, error) {
	order, err := in.order(ctx, in.Body.Reason, "automation "+in.Cluster, in.Body)
	if err != nil {
		return nil, err
	}
	if err := f.settings.Plane.SetAutomation(ctx, in.Cluster, in.Body.On, order); err != nil {
		return nil, f.problemOf(err)
	}
	return f.cluster(in.Cluster)
}

type eventsInput struct {
	Cluster string `query:"cluster" doc:"Only of this cluster."`
	LastID  string `header:"Last-Event-ID" doc:"Go on after this event."`
}

func (f *front) describeEvents(described huma.API) {
	op := needs(RoleViewer, huma.Operation{
		OperationID: "stream-events", Method: http.MethodGet, Path: prefix + "/events", Tags: []string{"events"},
		Summary:     "What happens, as it happens",
		Description: "Server-sent events: findings that open and close, stages of changes, refusals, operators' doings. With Last-Event-ID the stream goes on after that event; an event of kind gap says that some were missed.",
	})
	event := described.OpenAPI().Components.Schemas.Schema(typeOf[Event](), true, "Event")
	op.Responses = map[string]*huma.Response{"200": {
		Description: "Each event's data is one of these.", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: event}},
	}}
	huma.Register(described, op, func(_ context.Context, in *eventsInput) (*huma.StreamResponse, error) {
		if in.Cluster != "" {
			if _, err := f.settings.Plane.Cluster(in.Cluster); err != nil {
				return nil, f.problemOf(err)
			}
		}
		return &huma.StreamResponse{Body: func(ctx huma.Context) { f.stream(ctx, in.Cluster, in.LastID) }}, nil
	})
}

type checkInput struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	Server  string `query:"server" required:"true" example:"db1:3306"`
}

type replicaInput struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	Server  string `query:"server" required:"true" example:"db1:3306"`
	LagMax  string `query:"lag_max" example:"10s" doc:"Fail when it is further behind."`
}

func (f *front) describeChecks(described huma.API) {
	primary := huma.Operation{
		OperationID: "check-primary", Method: http.MethodGet, Path: "/check/{cluster}/primary", Tags: []string{"checks"},
		Summary:     "May writes go to this server?",
		Description: "200 only while the server leads an established term, is reached and writable; else 503.",
	}
	replica := huma.Operation{
		OperationID: "check-replica", Method: http.MethodGet, Path: "/check/{cluster}/replica", Tags: []string{"checks"},
		Summary: "May reads go to this server?", Description: "200 for a replica that follows and is in service; else 503.",
	}
	for _, op := range withHead(needs(RoleViewer, primary)) {
		huma.Register(described, op, func(_ context.Context, in *checkInput) (*answer[Check], error) {
			v, err := f.member(in.Cluster, in.Server)
			if err != nil {
				return nil, err
			}
			return checked(checkPrimary(v, topology.Address(in.Server), time.Now(), f.settings.FreshFor)), nil
		})
	}
	for _, op := range withHead(needs(RoleViewer, replica)) {
		huma.Register(described, op, func(_ context.Context, in *replicaInput) (*answer[Check], error) {
			v, err := f.member(in.Cluster, in.Server)
			if err != nil {
				return nil, err
			}
			lagMax, err := duration("query.lag_max", in.LagMax, 24*time.Hour)
			if err != nil {
				return nil, err
			}
			return checked(checkReplica(v, topology.Address(in.Server), lagMax, time.Now(), f.settings.FreshFor)), nil
		})
	}
}

// withHead adds the form that sends no body, which some routers prefer.
func withHead(op huma.Operation) []huma.Operation {
	op.Responses = map[string]*huma.Response{"503": {Description: "No."}}
	head := op
	head.Method, head.OperationID, head.Hidden = http.MethodHead, op.OperationID+"-head", true
	head.Responses = nil
	return []huma.Operation{op, head}
}

func (f *front) member(cluster, server string) (orchestrator.View, error) {
	v, err := f.settings.Plane.Cluster(cluster)
	if err != nil {
		return v, f.problemOf(err)
	}
	if _, member := v.Ruleset.Member(topology.Address(server)); !member {
		return v, newProblem(http.StatusNotFound, CodeNoSuchServer, fmt.Sprintf("%q is no member of cluster %s; members are %s", clip(server), cluster, v.Ruleset.Servers()))
	}
	return v, nil
}

func checked(c Check) *answer[Check] {
	if c.OK {
		return &answer[Check]{http.StatusOK, c}
	}
	return &answer[Check]{http.StatusServiceUnavailable, c}
}

// Health says whether something works, and if not, why.
type Health struct {
	OK     bool   `json:"ok"`
	Reason string `json:"reason" doc:"Why not; empty when ok."`
}

func (f *front) describeHealth(described huma.API) {
	health := huma.Operation{
		OperationID: "healthz", Method: http.MethodGet, Path: "/healthz", Tags: []string{"checks"},
		Summary: "Does this process answer?", Description: "For supervisors: restart it when not.",
	}
	ready := huma.Operation{
		OperationID: "readyz", Method: http.MethodGet, Path: "/readyz", Tags: []string{"checks"},
		Summary: "Could this elector act?", Description: "200 when its store answers and every cluster has been probed; else 503.",
	}
	for _, op := range withHead(needs(RoleNone, health)) {
		huma.Register(described, op, func(context.Context, *struct{}) (*answer[Health], error) {
			return &answer[Health]{http.StatusOK, Health{OK: true}}, nil
		})
	}
	for _, op := range withHead(needs(RoleNone, ready)) {
		huma.Register(described, op, func(ctx context.Context, _ *struct{}) (*answer[Health], error) {
			if reason := f.unready(ctx); reason != "" {
				return &answer[Health]{http.StatusServiceUnavailable, Health{Reason: reason}}, nil
			}
			return &answer[Health]{http.StatusOK, Health{OK: true}}, nil
		})
	}
}

// unready says in what way this elector could not act. Nobody has to sign in to ask, so where auth is on, strangers
// are told no more than that.
func (f *front) unready(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	reason := ""
	if err := f.settings.Plane.Ready(ctx); err != nil {
		reason = err.Error()
	}
	for _, v := range f.settings.Plane.Clusters() {
		if reason == "" && v.At.IsZero() {
			reason = "cluster " + v.Name + " has not been probed yet"
		}
	}
	if reason != "" && callerOf(ctx).role < RoleViewer {
		return "not ready"
	}
	return reason
}
