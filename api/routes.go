package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"github.com/gorilla/mux"
)

const prefix = "/api/v1"

// routes is every path that there is.
func (f *front) routes() http.Handler {
	router := mux.NewRouter().SkipClean(true) // a redirect is no answer to a program; what does not match is a problem
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		newProblem(http.StatusNotFound, CodeNoSuchPath, "there is nothing at "+clip(r.URL.Path)+"; /docs lists what there is").write(w)
	})
	router.MethodNotAllowedHandler = http.HandlerFunc(notAllowed(router))
	described := humamux.New(router, f.description())
	described.UseMiddleware(f.authorized)
	f.describeLists(described)
	f.describeClusters(described)
	f.describeForecast(described)
	f.describeSettings(described)
	f.describeTrends(described)
	f.describeRecoveries(described)
	f.describeCertificates(described)
	f.describeSwitches(described)
	f.describeErrant(described)
	f.describeRules(described)
	f.describeExports(described)
	f.describeHalt(described)
	f.describeEvents(described)
	f.describeChecks(described)
	f.describeHealth(described)
	f.describeWhoami(described)
	spec := specification(described.OpenAPI())
	servePages(router, spec)
	serveDashboard(router)
	if f.settings.Metrics != nil {
		router.Path("/metrics").Methods(http.MethodGet, http.MethodHead).Handler(only(RoleViewer, f.settings.Metrics))
	}
	if f.settings.Extra != nil {
		router.PathPrefix("/sandbox/").Handler(only(RoleOperator, f.settings.Extra))
	}
	return tagged(router)
}

// description is what the OpenAPI document says of the whole.
func (f *front) description() huma.Config {
	c := huma.DefaultConfig("Primacy", f.settings.Version)
	c.Info.Description = "Control plane for semi-synchronous MySQL fleets. Errors are application/problem+json with a stable code. Times are RFC 3339 in UTC. No GET changes anything."
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.CreateHooks, c.RejectUnknownQueryParameters = nil, true
	c.Transformers = []huma.Transformer{asProblem}
	c.Formats = map[string]huma.Format{"application/json": escaped, "json": escaped}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":    {Type: "http", Scheme: "bearer", Description: "Only where auth is configured."},
		"password": {Type: "http", Scheme: "basic", Description: "Only where auth is configured."},
	}
	c.Tags = []*huma.Tag{
		{Name: "clusters", Description: "What is, and what is wrong"},
		{Name: "changes", Description: "Moving the primary, and the record of it"},
		{Name: "errant", Description: "Servers that hold what the primary's history does not, and what is done about them"},
		{Name: "halts", Description: "Stopping servers, and restarting them one after the other"},
		{Name: "rules", Description: "Durability policy and members, and changing them"},
		{Name: "switches", Description: "Windows, automation, maintenance"},
		{Name: "events", Description: "What happens, as it happens"},
		{Name: "checks", Description: "For routers, supervisors and scrapers"},
	}
	return c
}

// escaped is JSON in which <, > and & stand as escapes: whoever takes it for a page sees no markup in it.
var escaped = huma.Format{
	Marshal:   func(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) },
	Unmarshal: json.Unmarshal,
}

// needs marks an operation with the role that it takes, and describes its errors.
func needs(r Role, op huma.Operation) huma.Operation {
	op.Metadata = map[string]any{roleKey: r}
	op.MaxBodyBytes, op.BodyReadTimeout = bodyMax, -1 // the guard has read the body already
	if r > RoleNone {
		op.Security = []map[string][]string{{}, {"token": {}}, {"password": {}}}
		op.Description += " Needs the role " + r.String() + " where auth is on."
	}
	return op
}

const roleKey = "role"

// authorized lets a request through when its caller has the role that the operation takes.
func (f *front) authorized(ctx huma.Context, next func(huma.Context)) {
	wanted, _ := ctx.Operation().Metadata[roleKey].(Role)
	if _, w := humamux.Unwrap(ctx); !permitted(ctx.Context(), w, wanted) {
		return
	}
	next(ctx)
}

func only(wanted Role, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if permitted(r.Context(), w, wanted) {
			next.ServeHTTP(w, r)
		}
	})
}

func permitted(ctx context.Context, w http.ResponseWriter, wanted Role) bool {
	who := callerOf(ctx)
	switch {
	case who.role >= wanted:
		return true
	case who.role == RoleNone:
		unauthorized(w, "this needs the role "+wanted.String())
	default:
		newProblem(http.StatusForbidden, CodeForbidden, who.name+" is "+who.role.String()+", and this needs the role "+wanted.String()).write(w)
	}
	return false
}

// notAllowed names the methods that a path does take.
func notAllowed(router *mux.Router) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut} {
			probe := r.Clone(r.Context())
			probe.Method = method
			var match mux.RouteMatch
			if router.Match(probe, &match) && match.MatchErr == nil {
				w.Header().Add("Allow", method)
			}
		}
		newProblem(http.StatusMethodNotAllowed, CodeMethodNotAllowed, clip(r.Method)+" does nothing at "+clip(r.URL.Path)).write(w)
	}
}
