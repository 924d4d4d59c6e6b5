package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// timeHeader tells what the elector's clock showed when it answered, so that what an answer says of times can be compared
// with something.
const timeHeader = "Primacy-Time"

// timed puts the time on every answer of the API, refusals too.
func timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, prefix+"/") {
			w = &timedWriter{ResponseWriter: w}
		}
		next.ServeHTTP(w, r)
	})
}

// tagged puts an ETag on everything of the API that can be read again and again. Who sends that back with If-None-Match
// gets 304 and no body while the answer would be the same.
func tagged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.HasPrefix(r.URL.Path, prefix+"/") || r.URL.Path == prefix+"/events" {
			next.ServeHTTP(w, r)
			return
		}
		held := &heldAnswer{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(held, r)
		held.send(r.Header.Values("If-None-Match"))
	})
}

// timedWriter puts the time on an answer when it begins, which may be long after the request came.
type timedWriter struct {
	http.ResponseWriter
	begun bool
}

// Unwrap lets deadlines and flushes through.
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *timedWriter) WriteHeader(status int) {
	if !w.begun {
		w.begun = true
		w.Header().Set(timeHeader, stamp(time.Now()).Format(timeFormat))
	}
	w.ResponseWriter.WriteHeader(status)
}

// timeFormat is RFC 3339 with all six digits, so that texts sort as times do.
const timeFormat = "2006-01-02T15:04:05.000000Z07:00"

func (w *timedWriter) Write(data []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(data)
}

// heldAnswer keeps an answer back until it is whole.
type heldAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// Unwrap lets deadlines through.
func (a *heldAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *heldAnswer) WriteHeader(status int) { a.status = status }

func (a *heldAnswer) Write(data []byte) (int, error) { return a.body.Write(data) }

// send leaves out a body that the caller has already.
func (a *heldAnswer) send(had []string) {
	if a.status == http.StatusOK {
		tag := tagOf(a.Header().Get("ETag"), a.body.Bytes())
		a.Header().Set("ETag", tag)
		if names(had, func(t string) bool { return t == "*" || t == tag }) {
			a.Header().Del("Content-Type")
			a.ResponseWriter.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if a.body.Len() > 0 {
		a.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	}
	a.ResponseWriter.WriteHeader(a.status)
	_, _ = a.ResponseWriter.Write(a.body.Bytes()) // the connection is gone then, and nobody is left to tell
}

// tagOf tells one answer from another. What has a revision, as a tag of its own, begins with it, for If-Match.
func tagOf(revision string, body []byte) string {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:8])
	if revision != "" {
		hash = strings.Trim(revision, `"`) + "." + hash
	}
	return `"` + hash + `"`
}

// names looks for a tag in the values of a header. Weak ones count as if they were strong: an intermediary may have made
// them so, and what they name is the same.
func names(values []string, wanted func(tag string) bool) bool {
	for _, v := range values {
		for tag := range strings.SplitSeq(v, ",") {
			if wanted(strings.TrimPrefix(strings.TrimSpace(tag), "W/")) {
				return true
			}
		}
	}
	return false
}

// describeTags says in the document what holds for everything that can be read.
func describeTags(doc *huma.OpenAPI) {
	text := &huma.Schema{Type: huma.TypeString}
	for path, item := range doc.Paths {
		op := item.Get
		if op == nil || !strings.HasPrefix(path, prefix+"/") || path == prefix+"/events" {
			continue
		}
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "If-None-Match", In: "header", Schema: text, Description: "ETag of an earlier answer: 304 without a body when this one would be the same.",
		})
		op.Responses["200"].Headers = map[string]*huma.Param{
			"ETag":     {Schema: text, Description: "Another one when the answer is."},
			timeHeader: {Schema: text, Description: "The elector's time when it answered."},
		}
		op.Responses["304"] = &huma.Response{Description: "The answer is the one that the caller has."}
	}
}
