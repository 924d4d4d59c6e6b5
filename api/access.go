package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"unicode"
)

// Role says what a caller may do; each includes those before it.
type Role int

// The roles.
const (
	RoleNone     Role = iota // nobody has shown who they are
	RoleViewer               // reads
	RoleOperator             // changes primaries, lifts windows, takes servers out
	RoleAdmin                // switches automation
)

// ParseRole reads a role's name; RoleNone for anything else.
func ParseRole(name string) Role {
	for _, r := range []Role{RoleViewer, RoleOperator, RoleAdmin} {
		if r.String() == name {
			return r
		}
	}
	return RoleNone
}

func (r Role) String() string {
	switch r {
	case RoleViewer:
		return "viewer"
	case RoleOperator:
		return "operator"
	case RoleAdmin:
		return "admin"
	case RoleNone:
		return "none"
	}
	return "none"
}

// Access lists who may call. Its zero value asks nobody who they are.
type Access struct {
	Tokens       []Credential // Authorization: Bearer …
	Users        []Credential // Authorization: Basic …
	Certificates []Credential // common names of client certificates that TLS has verified; without secret
}

// Credential is somebody with what they prove it by.
type Credential struct {
	Name   string
	Secret string
	Role   Role
}

// Enabled tells whether callers have to show who they are.
func (a Access) Enabled() bool { return len(a.Tokens)+len(a.Users)+len(a.Certificates) > 0 }

// caller is who sent a request.
type caller struct {
	name string
	role Role
}

// identify finds out who sent a request; false when credentials were shown and are wrong.
func (a Access) identify(r *http.Request) (caller, bool) {
	if !a.Enabled() {
		return caller{name: claimed(r), role: RoleAdmin}, true
	}
	authorization := r.Header.Get("Authorization")
	if authorization == "" {
		return a.certified(r), true
	}
	if token, isBearer := cutScheme(authorization, "Bearer"); isBearer {
		return match(a.Tokens, "", token, false)
	}
	if name, password, isBasic := r.BasicAuth(); isBasic {
		return match(a.Users, name, password, true)
	}
	return caller{}, false
}

func cutScheme(authorization, scheme string) (string, bool) {
	found, rest, ok := strings.Cut(authorization, " ")
	return strings.TrimSpace(rest), ok && strings.EqualFold(found, scheme)
}

// match compares with every credential, in time that depends on none of them.
func match(known []Credential, name, secret string, named bool) (caller, bool) {
	found, ok := caller{}, false
	for _, c := range known {
		same := equal(c.Secret, secret)
		if named {
			same &= equal(c.Name, name)
		}
		if same == 1 && c.Secret != "" {
			found, ok = caller{c.Name, c.Role}, true
		}
	}
	return found, ok
}

// equal compares digests, so that not even the length of a secret shows in the time it takes.
func equal(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}

// certified trusts a client certificate only when TLS has verified its chain.
func (a Access) certified(r *http.Request) caller {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return caller{}
	}
	name := r.TLS.VerifiedChains[0][0].Subject.CommonName
	for _, c := range a.Certificates {
		if c.Name == name && name != "" {
			return caller{c.Name, c.Role}
		}
	}
	return caller{}
}

// userHeader carries who a caller without credentials says they are, for the record.
const userHeader = "Primacy-User"

// claimed is that name, marked as nobody's proof and cut to what belongs into a record.
func claimed(r *http.Request) string {
	name := strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, r.Header.Get(userHeader))
	if name == "" {
		return ""
	}
	if runes := []rune(name); len(runes) > 64 {
		name = string(runes[:64])
	}
	return name + " (not authenticated)"
}

type callerKey struct{}

func withCaller(ctx context.Context, c caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}
