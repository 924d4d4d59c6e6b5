package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// ErrantPlane is what settles servers with errant transactions; the orchestrator does.
type ErrantPlane interface {
	Errant(ctx context.Context, cluster string, server topology.Address) ([]orchestrator.Errant, error)
	Settle(ctx context.Context, w orchestrator.SettleWish) (orchestrator.SettleAnswer, error)
	CancelSettling(ctx context.Context, cluster string, server topology.Address, o orchestrator.Order) (settle.Settlement, error)
	// Settlements are all of them, newest first, when limit is 0.
	Settlements(ctx context.Context, cluster string, limit int) ([]settle.Settlement, error)
	Settlement(ctx context.Context, cluster, id string) (settle.Settlement, settle.Transcript, error)
}

// CodeNotErrant says that a server holds no errant transactions, and CodeCannotSettle that it cannot be settled in the
// way that was asked for, or not now; nothing was changed.
const (
	CodeNotErrant    = "not_errant"
	CodeCannotSettle = "cannot_settle"
)

// ErrantList is the servers of a cluster that hold transactions which the primary's history does not.
type ErrantList struct {
	Servers []ErrantServer `json:"servers" nullable:"false"`
}

// ErrantServer is what one server holds, and whether a client may have been told of it.
type ErrantServer struct {
	Server  string  `json:"server" example:"db1:3306"`
	Set     string  `json:"set" doc:"The GTIDs."`
	Verdict Verdict `json:"verdict"`
	// Unread is empty when everything could be read.
	Unread string `json:"unread,omitempty" doc:"Why they could not be read or judged."`
	Transcript
	Settlement *Settlement `json:"settlement,omitempty" doc:"What is being done about the server, or was done last."`
}

// Verdict is whether transactions were provably never answered to a client.
type Verdict struct {
	NeverAcknowledged bool     `json:"never_acknowledged" doc:"Proven: no client was ever told that they are committed. Otherwise some may have been."`
	Why               []string `json:"why" nullable:"false"`
	Term              uint32   `json:"term" doc:"Of the change that cancelled the last of them; 0 when none is known."`
}

// Transcript is what a server's binary log says that transactions did.
type Transcript struct {
	Transactions []settle.Transaction `json:"transactions" nullable:"false"`
	Missing      string               `json:"missing,omitempty" doc:"GTIDs that the binary log does not hold: purged, or not applied yet."`
	Rows         int                  `json:"rows" doc:"How many rows were changed."`
	Truncated    bool                 `json:"truncated,omitempty" doc:"There are more rows than errant.rows_max; the others have no values here."`
	File         string               `json:"file,omitempty" doc:"Where the whole was written, on the elector's host, when it is too large for the store."`
}

// Settlement is what is done about one server.
type Settlement struct {
	ID         string    `json:"id" example:"shop-20260102T150405.000"`
	Cluster    string    `json:"cluster"`
	Server     string    `json:"server"`
	Action     string    `json:"action" enum:"rewind,clone,discard,keep"`
	Set        string    `json:"set"`
	Verdict    Verdict   `json:"verdict"`
	Donor      string    `json:"donor,omitempty"`
	Automatic  bool      `json:"automatic"`
	By         string    `json:"by"`
	Reason     string    `json:"reason"`
	Accept     []string  `json:"accept" nullable:"false"`
	Step       string    `json:"step" enum:"export,check,isolate,undo,clone,catch_up,verify,discard,keep,admit"`
	State      string    `json:"state" enum:"running,succeeded,refused,failed,cancelled"`
	Tries      int       `json:"tries" doc:"Failed tries of this step, in a row."`
	NextAt     time.Time `json:"next_at,omitzero" doc:"When it is tried again."`
	Code       string    `json:"code,omitempty" doc:"Why it does not go on."`
	Detail     string    `json:"detail"`
	Progress   *Progress `json:"progress,omitempty"`
	Stages     []Stage   `json:"stages" nullable:"false"`
	ExportedTo string    `json:"exported_to,omitempty" doc:"Where the transactions are on record: a key of the store, or a file on the elector's host."`
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
}

// Progress tells how far a step has got.
type Progress struct {
	Text string `json:"text"`
	Done uint64 `json:"done"`
	Of   uint64 `json:"of" doc:"0 when that is not known."`
	Unit string `json:"unit,omitempty"`
}

// SettleRequest asks for a server's settlement, or calls it off.
type SettleRequest struct {
	Action string   `json:"action" enum:"rewind,clone,discard,keep,cancel" doc:"rewind undoes the transactions row by row, clone replaces the server's data, discard has the primary commit empty transactions with their GTIDs where they changed nothing that the primary does not have, keep has the primary do what they did, cancel calls off what is under way."`
	DryRun bool     `json:"dry_run,omitempty" doc:"Find out whether it is possible, and change nothing."`
	Accept []string `json:"accept,omitempty" nullable:"false" enum:"possibly_acked,incomplete,reuse,unverified" doc:"What the caller answers for. possibly_acked: clients may have been told of them. incomplete: not all of it can be put on record before it goes. reuse: a member could not be asked whether it holds a GTID that would be used anew, or is about to be taken into the history. unverified: the primary has what statements, and rows of tables without a primary key, cannot be compared for (discard)."`
	Reason string   `json:"reason,omitempty" maxLength:"1000" doc:"For the record; needed but for a dry run."`
}

// SettleAnswer is the settlement that was begun.
type SettleAnswer struct {
	Settlement Settlement `json:"settlement"`
	Steps      []string   `json:"steps" nullable:"false"`
	Check      *StepCheck `json:"check,omitempty" doc:"Of a dry run: whether it is possible."`
}

// StepCheck is what a dry run found out.
type StepCheck struct {
	Possible bool   `json:"possible"`
	Code     string `json:"code,omitempty"`
	Detail   string `json:"detail"`
}

// SettlementList is settlements, newest first.
type SettlementList struct {
	Settlements []Settlement `json:"settlements" nullable:"false"`
	Next        string       `json:"next,omitempty" doc:"Where the next page begins: before. Left out: there is none."`
}

// SettlementRecord is a settlement with what its transactions did, once that is on record.
type SettlementRecord struct {
	Settlement Settlement  `json:"settlement"`
	Transcript *Transcript `json:"transcript,omitempty"`
}

// readingMax is how long the binary logs of errant servers may be read for one call: they hold what comes after the first
// errant transaction, too, and that may be gigabytes.
const readingMax = 5 * time.Minute

func (f *front) describeErrant(described huma.API) {
	if f.settings.Errant == nil {
		return
	}
	huma.Register(described, needs(RoleOperator, huma.Operation{
		OperationID: "list-errant", Method: http.MethodGet, Path: prefix + "/clusters/{cluster}/errant", Tags: []string{"errant"}, Middlewares: huma.Middlewares{f.patient},
		Summary: "What errant servers hold", Description: "Transactions that the primary's history does not contain: who wrote what and when, and whether a client may have been told. Read from the servers' binary logs when it is asked for; row values are shown, so it takes more than looking.",
	}), f.errant)
	huma.Register(described, needs(RoleOperator, huma.Operation{
		OperationID: "settle-errant", Method: http.MethodPost, Path: prefix + "/clusters/{cluster}/servers/{server}/errant", Tags: []string{"errant"},
		Summary: "Settle an errant server", DefaultStatus: http.StatusAccepted, Middlewares: huma.Middlewares{f.patient},
		Description: "Answers 202 as soon as it has begun, 200 for a dry run and for cancel, and 409 with code cannot_settle when it is not possible now.",
	}), f.settle)
	huma.Register(described, needs(RoleViewer, huma.Operation{
		OperationID: "list-settlements", Method: http.MethodGet, Path: prefix + "/clusters/{cluster}/settlements", Tags: []string{"errant"},
		Summary: "What was done about errant servers, newest first", Description: "Under way and ended.",
	}), f.settlements)
	huma.Register(described, needs(RoleOperator, huma.Operation{
		OperationID: "get-settlement", Method: http.MethodGet, Path: prefix + "/clusters/{cluster}/settlements/{id}", Tags: []string{"errant"},
		Summary: "One settlement", Description: "With what the transactions did, as it was put on record before they went.",
	}), f.settlement)
}

func (f *front) errant(ctx context.Context, in *struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	Server  string `query:"server" example:"db1:3306" doc:"Only of this server."`
}) (*body[ErrantList], error) {
	ctx, cancel := context.WithTimeout(ctx, readingMax)
	defer cancel()
	all, err := f.settings.Errant.Errant(ctx, in.Cluster, topology.Address(in.Server))
	if err != nil {
		return nil, f.problemOf(err)
	}
	list := ErrantList{Servers: []ErrantServer{}}
	for _, e := range all {
		told := ErrantServer{Server: string(e.Server), Set: e.Set.String(), Verdict: verdictOf(e.Verdict), Unread: e.Unread, Transcript: transcriptOf(e.Transcript)}
		if e.Settlement != nil {
			s := settlementOf(*e.Settlement)
			told.Settlement = &s
		}
		list.Servers = append(list.Servers, told)
	}
	return &body[ErrantList]{list}, nil
}

func (f *front) settle(ctx context.Context, in *struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	Server  string `path:"server" example:"db1:3306" maxLength:"300"`
	Conditions
	Body SettleRequest
}) (*answer[SettleAnswer], error) {
	server := topology.Address(in.Server)
	o, err := in.order(ctx, in.Body.Reason, "errant "+in.Cluster+" "+in.Server, in.Body)
	if err != nil {
		return nil, err
	}
	if in.Body.Action == "cancel" {
		if p := in.Body.cannotCancel(); p != nil {
			return nil, p
		}
		s, err := f.settings.Errant.CancelSettling(ctx, in.Cluster, server, o)
		if err != nil {
			return nil, f.problemOf(err)
		}
		return &answer[SettleAnswer]{http.StatusOK, SettleAnswer{Settlement: settlementOf(s), Steps: []string{}}}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readingMax)
	defer cancel()
	begun, err := f.settings.Errant.Settle(ctx, orchestrator.SettleWish{
		Cluster: in.Cluster, Server: server, Kind: settle.Kind(in.Body.Action), DryRun: in.Body.DryRun, Accept: in.Body.Accept,
		Reason: o.Reason, By: o.By, Call: o.Call, Revisions: o.Revisions,
	})
	if err != nil {
		return nil, f.problemOf(err)
	}
	told := answer[SettleAnswer]{http.StatusAccepted, SettleAnswer{Settlement: settlementOf(begun.Settlement), Steps: []string{}}}
	for _, step := range begun.Steps {
		told.Body.Steps = append(told.Body.Steps, string(step))
	}
	if in.Body.DryRun {
		told.Status = http.StatusOK
		told.Body.Check = &StepCheck{Possible: begun.Check.Outcome == "yes", Code: begun.Check.Code, Detail: begun.Check.Detail}
	}
	return &told, nil
}

// cannotCancel is what is wrong with a request to call a settlement off.
func (r SettleRequest) cannotCancel() error {
	switch {
	case r.DryRun:
		return mistaken("body.dry_run", "calling it off cannot be tried out; leave dry_run out")
	case r.Reason == "":
		return mistaken("body.reason", "it needs a reason, for it goes on record")
	}
	return nil
}

func (f *front) settlements(ctx context.Context, in *struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	Past
}) (*body[SettlementList], error) {
	all, next, err := pastPage(in.Past, "settlements", func(limit int) ([]settle.Settlement, error) {
		return f.settings.Errant.Settlements(ctx, in.Cluster, limit)
	}, func(s settle.Settlement) position { return begunAt(s.StartedAt, s.ID) })
	if err != nil {
		return nil, f.problemOf(err)
	}
	list := SettlementList{Settlements: []Settlement{}, Next: next}
	for _, s := range all {
		list.Settlements = append(list.Settlements, settlementOf(s))
	}
	return &body[SettlementList]{list}, nil
}

func (f *front) settlement(ctx context.Context, in *struct {
	Cluster string `path:"cluster" example:"shop" maxLength:"63"`
	ID      string `path:"id" maxLength:"100"`
}) (*body[SettlementRecord], error) {
	s, t, err := f.settings.Errant.Settlement(ctx, in.Cluster, in.ID)
	if err != nil {
		return nil, f.unsettled(err, in.Cluster, in.ID)
	}
	record := SettlementRecord{Settlement: settlementOf(s)}
	if s.ExportedTo != "" {
		told := transcriptOf(t)
		record.Transcript = &told
	}
	return &body[SettlementRecord]{record}, nil
}

// unsettled is why a settlement cannot be told; where one is not there, it says where those are that are.
func (f *front) unsettled(err error, cluster, id string) *Problem {
	if errors.Is(err, orchestrator.ErrNoSuchRecovery) {
		return newProblem(http.StatusNotFound, CodeNoSuchRecovery, fmt.Sprintf("cluster %s has no settlement %q; %s/settlements lists them", cluster, clip(id), clusterURL(cluster)))
	}
	return f.problemOf(err)
}

// settleProblem is what stands against a settlement; nil for other errors.
func settleProblem(err error) *Problem {
	switch {
	case errors.Is(err, orchestrator.ErrNotErrant):
		return newProblem(http.StatusConflict, CodeNotErrant, err.Error())
	case errors.Is(err, orchestrator.ErrCannotSettle):
		return newProblem(http.StatusConflict, CodeCannotSettle, err.Error())
	}
	return nil
}

func verdictOf(v settle.Verdict) Verdict {
	return Verdict{NeverAcknowledged: v.Never, Why: append([]string{}, v.Why...), Term: v.Term}
}

func transcriptOf(t settle.Transcript) Transcript {
	return Transcript{
		Transactions: append([]settle.Transaction{}, t.Transactions...), Missing: t.Missing.String(), Rows: t.Rows, Truncated: t.Truncated, File: t.File,
	}
}

func settlementOf(s settle.Settlement) Settlement {
	told := Settlement{
		ID: s.ID, Cluster: s.Cluster, Server: string(s.Server), Action: string(s.Kind), Set: s.Set.String(), Verdict: verdictOf(s.Verdict), Donor: string(s.Donor),
		Automatic: s.Automatic, By: s.By, Reason: s.Reason, Accept: append([]string{}, s.Accept...), Step: string(s.Step), State: string(s.State), Tries: s.Tries,
		NextAt: stamp(s.NextAt), Code: s.Code, Detail: s.Detail, Stages: []Stage{}, ExportedTo: s.ExportedTo,
		StartedAt: stamp(s.StartedAt), FinishedAt: stamp(s.FinishedAt),
	}
	if p := s.Progress; p != nil {
		told.Progress = &Progress{Text: p.Text, Done: p.Done, Of: p.Of, Unit: p.Unit}
	}
	for _, stage := range s.Stages {
		told.Stages = append(told.Stages, stageOf(stage))
	}
	return told
}

// Errant tells what errant servers of a cluster hold; one server's only when it is named.
func (c *Client) Errant(ctx context.Context, cluster, server string) ([]ErrantServer, error) {
	query := url.Values{}
	if server != "" {
		query.Set("server", server)
	}
	var list ErrantList
	ctx, cancel := context.WithTimeout(ctx, readingMax+patience)
	defer cancel()
	err := c.get(ctx, clusterURL(cluster)+"/errant", query, &list)
	return list.Servers, err
}

// Settle asks for a server's settlement, or calls it off.
func (c *Client) Settle(ctx context.Context, cluster, server string, request SettleRequest) (SettleAnswer, error) {
	var told SettleAnswer
	ctx, cancel := context.WithTimeout(ctx, readingMax+patience)
	defer cancel()
	err := c.send(ctx, http.MethodPost, clusterURL(cluster)+"/servers/"+url.PathEscape(server)+"/errant", nil, request, &told)
	return told, err
}

// Settlements lists what was done about errant servers, newest first: at most limit, 20 when that is 0. Before is next of the
// page before; empty for the first one.
func (c *Client) Settlements(ctx context.Context, cluster string, limit int, before string) (SettlementList, error) {
	var list SettlementList
	err := c.get(ctx, clusterURL(cluster)+"/settlements", pastQuery(limit, before), &list)
	return list, err
}

// Settlement tells one settlement, with what its transactions did.
func (c *Client) Settlement(ctx context.Context, cluster, id string) (SettlementRecord, error) {
	var told SettlementRecord
	err := c.get(ctx, clusterURL(cluster)+"/settlements/"+url.PathEscape(id), nil, &told)
	return told, err
}
