package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// Whoami is how a caller is known, and who answers.
type Whoami struct {
	Name    string `json:"name" doc:"For the record; empty when nobody has to say who they are, and did not."`
	Role    string `json:"role" enum:"viewer,operator,admin"`
	Auth    bool   `json:"auth" doc:"Whether callers have to show who they are."`
	Elector string `json:"elector" doc:"The elector that answers."`
	Version string `json:"version" doc:"The release that it runs."`
	Sandbox bool   `json:"sandbox" doc:"Whether it is a fleet to play with."`
}

func (f *front) describeWhoami(described huma.API) {
	huma.Register(described, needs(RoleViewer, huma.Operation{
		OperationID: "whoami", Method: http.MethodGet, Path: prefix + "/whoami", Tags: []string{"checks"},
		Summary: "Who am I here?", Description: "Name and role of the caller, and name and release of the elector that answers.",
	}), func(ctx context.Context, _ *struct{}) (*body[Whoami], error) {
		who, s := callerOf(ctx), f.settings
		return &body[Whoami]{Whoami{
			Name: who.name, Role: who.role.String(), Auth: s.Access().Enabled(), Elector: s.Elector, Version: s.Version, Sandbox: s.Extra != nil,
		}}, nil
	})
}
