package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// bodyMax is far above any request that makes sense.
const bodyMax = 64 << 10

// guarded puts in front of every route what holds for all of them.
func (f *front) guarded(next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	return f.recovering(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		control := http.NewResponseController(w)
		_ = control.SetWriteDeadline(time.Now().Add(f.settings.AnswerTimeout)) // refused only by recorders in tests
		access := f.settings.Access()
		if p := f.refused(r, access, origins); p != nil {
			p.write(w)
			return
		}
		who, ok := access.identify(r)
		if !ok {
			unauthorized(w, "these credentials are not known")
			return
		}
		if p := f.takeBody(w, r); p != nil {
			p.write(w)
			return
		}
		next.ServeHTTP(w, r.WithContext(withCaller(r.Context(), who)))
	}))
}

// secure sets what keeps browsers from doing more with an answer than showing it.
func secure(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
	h.Set("Cache-Control", "no-store")
}

// refused keeps out requests that a page of another site makes a browser send.
//
// Without credentials the only protection of an API on loopback is that nobody else can connect. A page of another
// site can, through its reader's browser: by sending simple requests across origins, which the media type and the
// browser's own headers give away, or by letting its own name point to 127.0.0.1, which the Host header gives away.
func (f *front) refused(r *http.Request, access Access, origins *http.CrossOriginProtection) *Problem {
	if !access.Enabled() && !localName(r.Host) {
		return newProblem(http.StatusMisdirectedRequest, CodeHost, "without authentication this API answers only to localhost and loopback addresses, not to "+clip(r.Host))
	}
	if err := origins.Check(r); err != nil {
		return newProblem(http.StatusForbidden, CodeCrossOrigin, "requests that change something are not taken from pages of other sites")
	}
	return nil
}

func localName(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

func clip(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

// takeBody reads the body at once and in bounded time. A change may take much longer than its body, and its
// context must not end when the time for the body does.
func (f *front) takeBody(w http.ResponseWriter, r *http.Request) *Problem {
	if !changes(r.Method) {
		return nil
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return newProblem(http.StatusUnsupportedMediaType, CodeMediaType, "requests that change something carry JSON; send Content-Type: application/json")
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(f.settings.BodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
	_ = control.SetReadDeadline(time.Time{})
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return newProblem(http.StatusRequestEntityTooLarge, CodeTooLarge, "the body is larger than 64 KiB")
	}
	if err != nil {
		return newProblem(http.StatusRequestTimeout, CodeBodyTimeout, "the body did not arrive in time")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

func changes(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

func unauthorized(w http.ResponseWriter, detail string) {
	w.Header().Add("WWW-Authenticate", `Bearer realm="primacy"`)
	w.Header().Add("WWW-Authenticate", `Basic realm="primacy", charset="UTF-8"`)
	newProblem(http.StatusUnauthorized, CodeUnauthorized, detail+"; send a token (Authorization: Bearer …) or name and password").write(w)
}

// recovering keeps a bug in one request from ending the control plane.
func (f *front) recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				f.settings.Log.Error("a request hit a bug", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
				newProblem(http.StatusInternalServerError, CodeInternal, "this is a bug; the log of the control plane says where").write(w)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
