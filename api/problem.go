package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
)

// The codes of problems; they are stable.
const (
	CodeBlocked          = "blocked"              // the change would not be safe or could not succeed; nothing was changed
	CodeBusy             = "busy"                 // another change of the cluster is under way
	CodeChanged          = "changed"              // the cluster is not as the caller expects; nothing was changed
	CodeIdempotency      = "idempotency_conflict" // the key was used with another body before
	CodeNotLeading       = "not_leading"          // another elector acts for the cluster, or none does yet
	CodeStoreUnavailable = "store_unavailable"    // the store does not answer this elector
	CodeNoSuchCluster    = "no_such_cluster"
	CodeNoSuchServer     = "no_such_server"
	CodeNoSuchRecovery   = "no_such_recovery"
	CodeNoSuchPath       = "no_such_path"
	CodeMethodNotAllowed = "method_not_allowed"
	CodeInvalid          = "invalid_request" // a parameter or field is wrong; errors names the place
	CodeMediaType        = "unsupported_media_type"
	CodeTooLarge         = "body_too_large"
	CodeBodyTimeout      = "body_timeout"
	CodeUnauthorized     = "unauthorized"
	CodeForbidden        = "forbidden"
	CodeHost             = "host_not_allowed" // called under a name that is not this server's
	CodeCrossOrigin      = "cross_origin"     // sent by a page of another site
	CodeTooManyStreams   = "too_many_streams"
	CodeUnavailable      = "unavailable" // passes by itself; try again
	CodeInternal         = "internal"
)

// Problem is an error as RFC 9457 describes it, with a code that programs can rely on.
type Problem struct {
	Type   string    `json:"type" example:"about:blank" doc:"Always about:blank; code tells problems apart."`
	Title  string    `json:"title" example:"Conflict"`
	Status int       `json:"status" example:"409"`
	Code   string    `json:"code" example:"blocked" doc:"Stable name of the problem."`
	Detail string    `json:"detail" doc:"What happened, and what to do about it."`
	Errors []Mistake `json:"errors,omitempty" nullable:"false" doc:"Each wrong parameter or field."`
	// Elector and API are set for code not_leading, as far as they are known.
	Elector string `json:"elector,omitempty" example:"elector-2" doc:"With code not_leading: the elector that acts for the cluster."`
	API     string `json:"api,omitempty" example:"https://elector-2.example.org:3900" doc:"With code not_leading: where that elector's API is reached. Nothing of the call was begun here: it may be sent there."`
	// Obstacle is set for code blocked.
	Obstacle *Obstacle `json:"obstacle,omitempty" doc:"With code blocked: what stands against the change and what it needs."`
}

// Mistake is one wrong parameter or field.
type Mistake struct {
	Location string `json:"location" example:"body.kind"`
	Message  string `json:"message"`
}

// Obstacle is why a change was not made, and what would have to be different.
type Obstacle struct {
	Code    string `json:"code" example:"not_revoked"`
	Message string `json:"message"`
	// Needs are the minimal sets of servers one of which would have to come back.
	Needs    [][]string        `json:"needs" nullable:"false" doc:"Minimal sets of servers, one of which would have to come back; empty when that would not help."`
	Branches map[string]string `json:"branches,omitempty" doc:"Histories that contradict each other, by server."`
	Remedy   string            `json:"remedy" doc:"What an operator can do."`
}

// Error is the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus lets the router send the right status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is problem+json.
func (p *Problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

func newProblem(status int, code, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// write sends a problem outside of the described operations.
func (p *Problem) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the connection is gone then, and nobody is left to tell
}

// problemOf turns an error of the control plane into what the caller is told.
func (f *front) problemOf(err error) *Problem {
	var blocked *orchestrator.BlockedError
	var elsewhere *orchestrator.ElsewhereError
	var told *Problem
	switch {
	case errors.As(err, &told):
		return told
	case errors.As(err, &blocked):
		p := newProblem(http.StatusConflict, CodeBlocked, blocked.Error())
		p.Obstacle = obstacleOf(&blocked.Obstacle)
		return p
	case settleProblem(err) != nil:
		return settleProblem(err)
	case haltProblem(err) != nil:
		return haltProblem(err)
	case errors.Is(err, orchestrator.ErrBusy):
		return newProblem(http.StatusConflict, CodeBusy, err.Error()+"; follow it with /api/v1/events or wait for its end")
	case errors.Is(err, orchestrator.ErrOtherTerm):
		return newProblem(http.StatusConflict, CodeChanged, err.Error()+"; look at it again")
	case errors.Is(err, orchestrator.ErrOtherRevision):
		return newProblem(http.StatusPreconditionFailed, CodeChanged, err.Error()+"; look at it again")
	case errors.Is(err, orchestrator.ErrCallReused):
		return newProblem(http.StatusUnprocessableEntity, CodeIdempotency, err.Error()+"; choose a new "+keyHeader+" for a new call")
	case errors.As(err, &elsewhere):
		return refersTo(elsewhere)
	case errors.Is(err, orchestrator.ErrNotLeading):
		return newProblem(http.StatusServiceUnavailable, CodeNotLeading, err.Error()+", and none is known that does; try again in a few seconds")
	case errors.Is(err, orchestrator.ErrStoreSilent):
		return newProblem(http.StatusServiceUnavailable, CodeStoreUnavailable, err.Error())
	case errors.Is(err, orchestrator.ErrNoSuchCluster):
		return newProblem(http.StatusNotFound, CodeNoSuchCluster, f.unknownCluster(err))
	case errors.Is(err, orchestrator.ErrNoSuchServer):
		return newProblem(http.StatusNotFound, CodeNoSuchServer, err.Error())
	case errors.Is(err, orchestrator.ErrNoSuchRecovery):
		return newProblem(http.StatusNotFound, CodeNoSuchRecovery, err.Error()+"; /api/v1/recoveries lists them")
	case errors.Is(err, orchestrator.ErrBadWish):
		return newProblem(http.StatusUnprocessableEntity, CodeInvalid, err.Error())
	case f.settings.Temporary(err):
		return newProblem(http.StatusServiceUnavailable, CodeUnavailable, err.Error())
	}
	f.settings.Log.Error("a request failed", "error", err)
	return newProblem(http.StatusInternalServerError, CodeInternal, err.Error())
}

// refersTo names the elector that acts, and where it is.
func refersTo(e *orchestrator.ElsewhereError) *Problem {
	where := "; its API is reached at " + e.API
	if e.API == "" {
		where = fmt.Sprintf("; ask it there. Where that is, it does not say: set advertise in the configuration of %s to the URL of its API", e.Elector)
	}
	p := newProblem(http.StatusServiceUnavailable, CodeNotLeading, e.Error()+where)
	p.Elector, p.API = e.Elector, e.API
	return p
}

// namedMost is how many clusters are named to somebody who asks for one that is none of them.
const namedMost = 20

// unknownCluster names the clusters that there are, so that a typing error mends itself.
func (f *front) unknownCluster(err error) string {
	var names []string
	for _, v := range f.settings.Plane.Clusters() {
		names = append(names, v.Name)
	}
	if len(names) == 0 || strings.Contains(err.Error(), "known are") {
		return err.Error()
	}
	if more := len(names) - namedMost; more > 0 {
		names = append(slices.Clone(names[:namedMost]), fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("%s; known are %s", err, strings.Join(names, ", "))
}

func obstacleOf(o *reparent.Obstacle) *Obstacle {
	if o == nil {
		return nil
	}
	told := &Obstacle{Code: o.Code, Message: o.Message, Needs: [][]string{}, Remedy: o.Remedy}
	for _, set := range o.Needs {
		told.Needs = append(told.Needs, texts(set.List()))
	}
	for server, branch := range o.Branches {
		if told.Branches == nil {
			told.Branches = map[string]string{}
		}
		told.Branches[string(server)] = branch.String()
	}
	return told
}

// asProblem gives the errors that huma makes itself, by validation and negotiation, the same shape.
func asProblem(_ huma.Context, _ string, v any) (any, error) {
	model, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := newProblem(model.Status, codeOf(model.Status), model.Detail)
	var places []string
	for _, e := range model.Errors {
		if e == nil {
			continue
		}
		p.Errors = append(p.Errors, Mistake{Location: e.Location, Message: e.Message})
		places = append(places, strings.TrimPrefix(e.Location+": "+e.Message, ": "))
	}
	if len(places) > 0 {
		p.Detail = strings.Join(places, "; ")
	}
	return p, nil
}

func codeOf(status int) string {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return CodeTooLarge
	case http.StatusUnsupportedMediaType:
		return CodeMediaType
	case http.StatusRequestTimeout:
		return CodeBodyTimeout
	case http.StatusInternalServerError:
		return CodeInternal
	}
	return CodeInvalid
}

// mistaken is a problem with one parameter or field.
func mistaken(location, message string) *Problem {
	p := newProblem(http.StatusUnprocessableEntity, CodeInvalid, location+": "+message)
	p.Errors = []Mistake{{Location: location, Message: message}}
	return p
}
