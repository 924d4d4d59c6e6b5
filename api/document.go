package api

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gorilla/mux"
)

// pages are the few files that a browser gets. They load nothing from elsewhere, and what they show of the API they
// put in as text, never as markup.
//
//go:embed pages
var pages embed.FS

// specification finishes the OpenAPI document and returns it as JSON.
func specification(doc *huma.OpenAPI) []byte {
	problem := doc.Components.Schemas.Schema(typeOf[Problem](), true, "Problem")
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put} {
			if op != nil {
				op.Responses["default"] = &huma.Response{
					Description: "A problem; code tells which.", Content: map[string]*huma.MediaType{problemType: {Schema: problem}},
				}
			}
		}
	}
	schemas := doc.Components.Schemas.Map()
	delete(schemas, "ErrorModel") // huma's own errors leave this server as problems
	delete(schemas, "ErrorDetail")
	openUp(schemas)
	dryRuns(doc)
	describeTags(doc)
	describeMetrics(doc)
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("the OpenAPI document cannot be encoded: %v", err)) // its parts are fixed when this is compiled
	}
	return append(text, '\n')
}

// openUp says that answers may gain fields; requests stay closed, so that a mistyped field is an error.
func openUp(schemas map[string]*huma.Schema) {
	for name, s := range schemas {
		if !strings.HasSuffix(name, "Request") {
			s.AdditionalProperties = nil
		}
	}
}

// dryRuns adds the answers of reparent that differ from the default one in their status only.
func dryRuns(doc *huma.OpenAPI) {
	op := doc.Paths[prefix+"/clusters/{cluster}/reparent"].Post
	op.Responses["202"].Description = "The change has begun, or has not ended within wait."
	op.Responses["200"] = &huma.Response{Description: "The change has ended (wait), or its steps (dry_run).", Content: op.Responses["202"].Content}
	op.Responses["409"] = &huma.Response{Description: "Codes blocked, busy and changed: nothing was changed.", Content: op.Responses["default"].Content}
}

func describeMetrics(doc *huma.OpenAPI) {
	doc.AddOperation(&huma.Operation{
		OperationID: "metrics", Method: http.MethodGet, Path: "/metrics", Tags: []string{"checks"}, Summary: "Prometheus metrics",
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{"text/plain": {}}}},
	})
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

func servePages(router *mux.Router, spec []byte) {
	serve := func(path, file, kind string) {
		content, err := pages.ReadFile("pages/" + file)
		if err != nil {
			panic(err) // embedded when this is compiled
		}
		router.Path(path).Methods(http.MethodGet, http.MethodHead).Handler(static(content, kind))
	}
	serve("/docs", "docs.html", "text/html; charset=utf-8")
	serve("/docs/docs.js", "docs.js", "text/javascript; charset=utf-8")
	serve("/docs/style.css", "style.css", "text/css; charset=utf-8")
	router.Path("/openapi.json").Methods(http.MethodGet, http.MethodHead).Handler(static(spec, "application/json"))
}

func static(content []byte, kind string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
}
