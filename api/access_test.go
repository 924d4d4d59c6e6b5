package api

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func everybody() Access {
	return Access{
		Tokens:       []Credential{{"dash", "viewer-token-1234", RoleViewer}, {"deploy", "operator-token-12", RoleOperator}, {"boss", "admin-token-12345", RoleAdmin}},
		Users:        []Credential{{"grace", "correct horse", RoleOperator}},
		Certificates: []Credential{{"pager.example.org", "", RoleViewer}},
	}
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

func basic(name, password string) []string {
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))}
}

func TestRolesSayWhoMayDoWhat(t *testing.T) {
	const change, automation = "/api/v1/clusters/shop/reparent", "/api/v1/clusters/shop/automation"
	for name, row := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		code               string
	}{
		"nobody reads":                         {"GET", "/api/v1/clusters", "", nil, 401, CodeUnauthorized},
		"nobody listens":                       {"GET", "/api/v1/events", "", nil, 401, CodeUnauthorized},
		"nobody checks":                        {"GET", "/check/shop/primary?server=db1:3306", "", nil, 401, CodeUnauthorized},
		"nobody scrapes":                       {"GET", "/metrics", "", nil, 401, CodeUnauthorized},
		"nobody changes":                       {"POST", change, `{"kind":"planned"}`, nil, 401, CodeUnauthorized},
		"anybody may ask whether it lives":     {"GET", "/healthz", "", nil, 200, ""},
		"a viewer reads":                       {"GET", "/api/v1/clusters", "", bearer("viewer-token-1234"), 200, ""},
		"a viewer scrapes":                     {"GET", "/metrics", "", bearer("viewer-token-1234"), 200, ""},
		"a viewer checks settings":             {"GET", "/api/v1/clusters/shop/check", "", bearer("viewer-token-1234"), 200, ""},
		"nobody checks settings":               {"GET", "/api/v1/clusters/shop/check", "", nil, 401, CodeUnauthorized},
		"a viewer exports no rows":             {"GET", "/api/v1/clusters/shop/servers/db3:3306/errant/export", "", bearer("viewer-token-1234"), 403, CodeForbidden},
		"a viewer exports no settled rows":     {"GET", "/api/v1/clusters/shop/settlements/shop-1/export", "", bearer("viewer-token-1234"), 403, CodeForbidden},
		"a viewer changes nothing":             {"POST", change, `{"kind":"planned"}`, bearer("viewer-token-1234"), 403, CodeForbidden},
		"an operator changes":                  {"POST", change, `{"kind":"planned"}`, bearer("operator-token-12"), 202, ""},
		"an operator with a password too":      {"POST", change, `{"kind":"planned"}`, basic("grace", "correct horse"), 202, ""},
		"an operator keeps off automation":     {"PUT", automation, `{"on":false}`, bearer("operator-token-12"), 403, CodeForbidden},
		"an admin switches automation":         {"PUT", automation, `{"on":false}`, bearer("admin-token-12345"), 200, ""},
		"a wrong token":                        {"GET", "/api/v1/clusters", "", bearer("viewer-token-1235"), 401, CodeUnauthorized},
		"an empty token":                       {"GET", "/api/v1/clusters", "", bearer(""), 401, CodeUnauthorized},
		"a wrong password":                     {"GET", "/api/v1/clusters", "", basic("grace", "wrong horse"), 401, CodeUnauthorized},
		"another one's password":               {"GET", "/api/v1/clusters", "", basic("ada", "correct horse"), 401, CodeUnauthorized},
		"a token as a password":                {"GET", "/api/v1/clusters", "", basic("deploy", "operator-token-12"), 401, CodeUnauthorized},
		"a scheme that nobody speaks":          {"GET", "/api/v1/clusters", "", []string{"Authorization", "Digest x"}, 401, CodeUnauthorized},
		"wrong credentials for health as well": {"GET", "/healthz", "", bearer("nope"), 401, CodeUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveWith(t, shop(), func(s *Settings) {
				s.Access = everybody
				s.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
			})
			r := s.ask(row.method, row.path, row.body, row.headers...)
			if row.code == "" && r.status != row.status {
				t.Fatalf("%d %s", r.status, r.text)
			}
			if row.code != "" {
				r.wantProblem(t, row.status, row.code)
			}
			if r.status == http.StatusUnauthorized && len(r.header.Values("WWW-Authenticate")) == 0 {
				t.Error("it does not say how to sign in")
			}
		})
	}
}

func TestAnAuthenticatedNameCannotBeClaimed(t *testing.T) {
	p := shop()
	s := serveWith(t, p, func(s *Settings) { s.Access = everybody })
	s.ask("POST", "/api/v1/clusters/shop/reparent", `{"kind":"planned"}`, append(bearer("operator-token-12"), userHeader, "ada")...)
	if len(p.wishes) != 1 || p.wishes[0].By != "deploy" {
		t.Errorf("wished %+v", p.wishes)
	}
}

func TestAClaimedNameIsCutToWhatBelongsIntoARecord(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header[userHeader] = []string{"ada\x1b[31m\n" + strings.Repeat("x", 200)}
	if got := claimed(r); got != "ada[31m"+strings.Repeat("x", 57)+" (not authenticated)" {
		t.Errorf("%q", got)
	}
}

func TestWhoMayCallCanChangeAtRunTime(t *testing.T) {
	access := Access{}
	s := serveWith(t, shop(), func(s *Settings) { s.Access = func() Access { return access } })
	before := s.ask("GET", "/api/v1/clusters", "").status
	access = everybody()
	if after := s.ask("GET", "/api/v1/clusters", "").status; before != 200 || after != 401 {
		t.Errorf("%d, then %d", before, after)
	}
}

func TestAVerifiedCertificateSignsIn(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	certificate := &x509.Certificate{Subject: pkix.Name{CommonName: "pager.example.org"}}
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}
	if c, _ := everybody().identify(r); c.role != RoleNone {
		t.Errorf("an unverified one makes %+v", c)
	}
	r.TLS.VerifiedChains = [][]*x509.Certificate{{certificate}}
	if c, _ := everybody().identify(r); c.role != RoleViewer || c.name != "pager.example.org" {
		t.Errorf("got %+v", c)
	}
}

func TestStrangersLearnNothingFromReadiness(t *testing.T) {
	p := shop()
	p.store = errors.New("etcd at 10.1.2.3 does not answer")
	s := serveWith(t, p, func(s *Settings) { s.Access = everybody })
	if r := s.ask("GET", "/readyz", ""); r.status != 503 || strings.Contains(r.text, "10.1.2.3") {
		t.Errorf("%d %s", r.status, r.text)
	}
	if r := s.ask("GET", "/readyz", "", bearer("viewer-token-1234")...); !strings.Contains(r.text, "10.1.2.3") {
		t.Errorf("%d %s", r.status, r.text)
	}
}

func TestOtherMachinesReachOnlyAnAPIWithAuthAndTLS(t *testing.T) {
	everywhere, here := &net.TCPAddr{IP: net.IPv4zero, Port: 3900}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 3900}
	for name, row := range map[string]struct {
		address                  net.Addr
		authenticated, encrypted bool
		ok                       bool
	}{
		"loopback with nothing": {here, false, false, true},
		"nothing":               {everywhere, false, false, false},
		"auth in clear text":    {everywhere, true, false, false},
		"TLS for everybody":     {everywhere, false, true, false},
		"both":                  {everywhere, true, true, true},
	} {
		if err := exposed(row.address, row.authenticated, row.encrypted); (err == nil) != row.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
