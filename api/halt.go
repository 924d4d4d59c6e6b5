package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// HaltPlane is what stops and restarts servers; the orchestrator does.
type HaltPlane interface {
	Halt(ctx context.Context, w orchestrator.HaltWish) (orchestrator.HaltAnswer, error)
	CancelHalt(ctx context.Context, cluster string, by orchestrator.Order) (halt.Halt, error)
	// Halts are all of them, newest first, when limit is 0.
	Halts(ctx context.Context, cluster string, limit int) ([]halt.Halt, error)
}

// CodeCannotStop says that a server cannot be stopped now; nothing was changed.
const CodeCannotStop = "cannot_stop"

// HaltTerms are what a stop and a restart have in common.
type HaltTerms struct {
	To      string `json:"to,omitempty" maxLength:"300" doc:"Who is to lead instead, where a server leads; left out, the best one is chosen."`
	DryRun  bool   `json:"dry_run,omitempty" doc:"Find out whether it is possible, and change nothing."`
	DrainMS int64  `json:"drain_ms,omitempty" minimum:"0" maximum:"600000" doc:"How long clients of a server are given before they are cut; 5 s when left out."`
	HoldMS  int64  `json:"hold_ms,omitempty" minimum:"0" maximum:"86400000" doc:"After how long the maintenance of a server ends by itself; an hour when left out."`
	WaitMS  int64  `json:"wait_ms,omitempty" minimum:"0" maximum:"86400000" doc:"How long a step may take, the start of a server included; ten minutes when left out."`
	Reason  string `json:"reason,omitempty" maxLength:"1000" doc:"For the record; needed but for a dry run."`
}

// StopRequest asks for the stop of a server.
type StopRequest struct{ HaltTerms }

// RestartRequest asks for the restart of servers, one after the other.
type RestartRequest struct {
	Servers  []string `json:"servers,omitempty" nullable:"false" doc:"Which; all members when left out. Whoever leads goes last."`
	Shutdown bool     `json:"shutdown,omitempty" doc:"Shut each down and wait until somebody starts it, instead of having its supervisor do that."`
	HaltTerms
}

// HaltAnswer is the stop or restart that was begun, with what is done to each server.
type HaltAnswer struct {
	Halt Halt          `json:"halt"`
	Plan []PlannedHalt `json:"plan" nullable:"false"`
}

// PlannedHalt is what is done to one server, in words.
type PlannedHalt struct {
	Server string   `json:"server" example:"db1:3306"`
	Steps  []string `json:"steps" nullable:"false"`
}

// Halt is the stop of a server, or the restart of several.
type Halt struct {
	ID         string      `json:"id" example:"shop-20260102T150405.000"`
	Cluster    string      `json:"cluster"`
	Kind       string      `json:"kind" enum:"stop,restart"`
	Servers    []string    `json:"servers" nullable:"false" doc:"In the order in which they are stopped."`
	Server     string      `json:"server" doc:"At which it stands."`
	Step       string      `json:"step" enum:"check,move,hold,quiesce,stop,start,join" doc:"start and join are a restart's."`
	StepAt     time.Time   `json:"step_at"`
	State      string      `json:"state" enum:"running,succeeded,failed,cancelled"`
	To         string      `json:"to,omitempty"`
	Shutdown   bool        `json:"shutdown"`
	DrainMS    int64       `json:"drain_ms"`
	HoldMS     int64       `json:"hold_ms"`
	WaitMS     int64       `json:"wait_ms"`
	Recovery   string      `json:"recovery,omitempty" doc:"The planned change that it has begun, by its id."`
	Tries      int         `json:"tries" doc:"Failed tries of this step, in a row."`
	NextAt     time.Time   `json:"next_at,omitzero" doc:"When it is tried again."`
	Code       string      `json:"code,omitempty" doc:"Why it does not go on; start_it: somebody has to start the server."`
	Detail     string      `json:"detail" doc:"What it waits for, or how it ended."`
	Stages     []HaltStage `json:"stages" nullable:"false"`
	By         string      `json:"by"`
	Reason     string      `json:"reason"`
	StartedAt  time.Time   `json:"started_at"`
	FinishedAt time.Time   `json:"finished_at,omitzero"`
}

// HaltStage is a step of one server that is over.
type HaltStage struct {
	Server string `json:"server"`
	Stage
}

// HaltList is stops and restarts, newest first.
type HaltList struct {
	Halts []Halt `json:"halts" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"Where the next page begins: before. Left out: there is none."`
}

// CancelRequest calls something off.
type CancelRequest struct {
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"For the record."`
}

func (f *front) describeHalt(described huma.API) {
	if f.settings.Halt == nil {
		return
	}
	const answers = "Answers 202 as soon as it has begun, 200 for a dry run, and 409 with code cannot_stop or blocked when it is not possible now."
	huma.Register(described, needs(RoleOperator, huma.Operation{
		OperationID: "stop-server", Method: http.MethodPost, Path: prefix + "/clusters/{cluster}/servers/{server}/stop", Tags: []string{"halts"},
		Summary: "Stop a server", DefaultStatus: http.StatusAccepted,
		Description: "Moves the primary away from it if need be, puts it under maintenance, lets its clients go, and shuts it down so that nobody is told OK for what nobody acknowledged. " + answers,
	}), f.stopServer)
	huma.Register(described, needs(RoleOperator, huma.Operation{
		OperationID: "restart-servers", Method: http.MethodPost, Path: prefix + "/clusters/{cluster}/restart", Tags: []string{"halts"},
		Summary: "Restart servers one after the other", DefaultStatus: http.StatusAccepted,
		Description: "The next one when the last one replicates and acknowledges again; whoever leads goes last, when another one leads. It ends at the first server that does not come back. " + answers,
	}), f.restartServers)
	huma.Register(described, needs(RoleOperator, huma.Operation{
		OperationID: "cancel-halt", Method: http.MethodPost, Path: prefix + "/clusters/{cluster}/halts/cancel", Tags: []string{"halts"},
		Summary: "Call off a stop or restart", Description: "Of what is under way. A server that was told to go before may still do so; it is repaired when it is back.",
	}), f.cancelHalt)
	huma.Register(described, needs(RoleViewer, huma.Operation{
		OperationID: "list-halts", Method: http.MethodGet, Path: prefix + "/clusters/{cluster}/halts", Tags: []string{"halts"},
		Summary: "Stops and restarts of servers, newest first", Description: "Under way and ended.",
	}), f.halts)
}

type stopInput struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	Server  string `path:"server" example:"db1:3306" maxLength:"300"`
	Conditions
	Body StopRequest
}

func (f *front) stopServer(ctx context.Context, in *stopInput) (*answer[HaltAnswer], error) {
	order, err := in.order(ctx, in.Body.Reason, "stop "+in.Cluster+" "+in.Server, in.Body)
	if err != nil {
		return nil, err
	}
	w := orchestrator.HaltWish{
		Cluster: in.Cluster, Kind: halt.KindStop, Servers: []topology.Address{topology.Address(in.Server)}, Order: order,
	}
	told, err := f.beginHalt(ctx, w, in.Body.HaltTerms)
	if err != nil {
		return nil, f.problemOf(err)
	}
	return told, nil
}

type restartInput struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	Conditions
	Body RestartRequest
}

func (f *front) restartServers(ctx context.Context, in *restartInput) (*answer[HaltAnswer], error) {
	order, err := in.order(ctx, in.Body.Reason, "restart "+in.Cluster, in.Body)
	if err != nil {
		return nil, err
	}
	w := orchestrator.HaltWish{Cluster: in.Cluster, Kind: halt.KindRestart, Terms: halt.Terms{Shutdown: in.Body.Shutdown}, Order: order}
	for _, s := range in.Body.Servers {
		w.Servers = append(w.Servers, topology.Address(s))
	}
	told, err := f.beginHalt(ctx, w, in.Body.HaltTerms)
	if err != nil {
		return nil, f.wishProblem(err)
	}
	return told, nil
}

func (f *front) beginHalt(ctx context.Context, w orchestrator.HaltWish, t HaltTerms) (*answer[HaltAnswer], error) {
	w.DryRun, w.Terms.To = t.DryRun, topology.Address(t.To)
	w.Terms.Drain, w.Terms.Hold, w.Terms.Wait = ofMS(t.DrainMS), ofMS(t.HoldMS), ofMS(t.WaitMS)
	begun, err := f.settings.Halt.Halt(ctx, w)
	if err != nil {
		return nil, err
	}
	told := answer[HaltAnswer]{http.StatusAccepted, HaltAnswer{Halt: haltOf(begun.Halt), Plan: []PlannedHalt{}}}
	if w.DryRun {
		told.Status = http.StatusOK
	}
	for _, p := range begun.Plan {
		told.Body.Plan = append(told.Body.Plan, PlannedHalt{Server: string(p.Server), Steps: append([]string{}, p.Steps...)})
	}
	return &told, nil
}

func ofMS(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

func (f *front) cancelHalt(ctx context.Context, in *struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	Conditions
	Body CancelRequest
}) (*body[Halt], error) {
	order, err := in.order(ctx, in.Body.Reason, "cancel halt "+in.Cluster, in.Body)
	if err != nil {
		return nil, err
	}
	end, err := f.settings.Halt.CancelHalt(ctx, in.Cluster, order)
	if err != nil {
		return nil, f.problemOf(err)
	}
	return &body[Halt]{haltOf(end)}, nil
}

func (f *front) halts(ctx context.Context, in *struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	Past
}) (*body[HaltList], error) {
	all, next, err := pastPage(in.Past, "halts", func(limit int) ([]halt.Halt, error) {
		return f.settings.Halt.Halts(ctx, in.Cluster, limit)
	}, func(h halt.Halt) position { return begunAt(h.StartedAt, h.ID) })
	if err != nil {
		return nil, f.problemOf(err)
	}
	list := HaltList{Halts: []Halt{}, Next: next}
	for _, h := range all {
		list.Halts = append(list.Halts, haltOf(h))
	}
	return &body[HaltList]{list}, nil
}

// haltProblem is what stands against a stop; nil for other errors.
func haltProblem(err error) *Problem {
	if errors.Is(err, orchestrator.ErrCannotHalt) {
		return newProblem(http.StatusConflict, CodeCannotStop, err.Error())
	}
	return nil
}

func haltOf(h halt.Halt) Halt {
	told := Halt{
		ID: h.ID, Cluster: h.Cluster, Kind: string(h.Kind), Servers: []string{}, Server: string(h.Server()), Step: string(h.Step), StepAt: stamp(h.StepAt),
		State: string(h.State), To: string(h.Terms.To), Shutdown: h.Terms.Shutdown, DrainMS: h.Terms.Drain.Milliseconds(),
		HoldMS: h.Terms.Hold.Milliseconds(), WaitMS: h.Terms.Wait.Milliseconds(), Recovery: h.Change, Tries: h.Tries, NextAt: stamp(h.NextAt),
		Code: h.Code, Detail: h.Detail, Stages: []HaltStage{}, By: h.By, Reason: h.Reason, StartedAt: stamp(h.StartedAt), FinishedAt: stamp(h.FinishedAt),
	}
	for _, a := range h.Servers {
		told.Servers = append(told.Servers, string(a))
	}
	for _, s := range h.Stages {
		told.Stages = append(told.Stages, HaltStage{Server: string(s.Server), Stage: stageOf(s.Stage)})
	}
	return told
}

// StopServer asks for the stop of a server.
func (c *Client) StopServer(ctx context.Context, cluster, server string, request StopRequest) (HaltAnswer, error) {
	var told HaltAnswer
	err := c.sendOnce(ctx, http.MethodPost, clusterURL(cluster)+"/servers/"+url.PathEscape(server)+"/stop", nil, request, &told)
	return told, err
}

// RestartServers asks for the restart of servers, one after the other.
func (c *Client) RestartServers(ctx context.Context, cluster string, request RestartRequest) (HaltAnswer, error) {
	var told HaltAnswer
	err := c.sendOnce(ctx, http.MethodPost, clusterURL(cluster)+"/restart", nil, request, &told)
	return told, err
}

// CancelHalt calls off what is under way.
func (c *Client) CancelHalt(ctx context.Context, cluster, reason string) (Halt, error) {
	var told Halt
	err := c.sendOnce(ctx, http.MethodPost, clusterURL(cluster)+"/halts/cancel", nil, CancelRequest{Reason: reason}, &told)
	return told, err
}

// Halts lists stops and restarts of servers, newest first: at most limit of them, 20 when that is 0. Before is next of the
// page before; empty for the first one.
func (c *Client) Halts(ctx context.Context, cluster string, limit int, before string) (HaltList, error) {
	var list HaltList
	err := c.get(ctx, clusterURL(cluster)+"/halts", pastQuery(limit, before), &list)
	return list, err
}
