package main

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
)

// office is the API of one elector, with what it was asked.
type office struct {
	*httptest.Server
	*plane
	asked  atomic.Int64
	tokens atomic.Int64 // how many of those who asked brought one
}

// newOffice serves in clear text, or with TLS and a certificate that signs itself.
func newOffice(t *testing.T, secure bool) *office {
	t.Helper()
	o := &office{plane: newPlane()}
	inner := api.Handler(api.Settings{Plane: o.plane, Events: o.events})
	o.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.asked.Add(1)
		if r.Header.Get("Authorization") != "" {
			o.tokens.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	o.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		o.StartTLS()
	} else {
		o.Start()
	}
	t.Cleanup(o.Close)
	return o
}

// caFile is what has to be trusted to speak to it.
func (o *office) caFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (o *office) standsBy(url string) {
	o.err = &orchestrator.ElsewhereError{Elector: "elector-2", API: url}
}

func TestAChangeIsSentOnToTheElectorThatActsAndShownAsItGoes(t *testing.T) {
	for name, row := range map[string]struct {
		args  []string
		calls string
		shows []string
	}{
		"a planned change":       {[]string{"reparent", "shop", "--to", "db2:3306"}, "shop planned db2:3306", []string{"db1:3306 stepped down", "db2:3306 takes writes", "db2:3306 leads shop under term 4"}},
		"an emergency":           {[]string{"emergency", "shop"}, "shop emergency", []string{"db2:3306 takes writes"}},
		"a dry run":              {[]string{"reparent", "shop", "--dry-run"}, "shop planned", []string{"1. revoke", "Nothing was changed"}},
		"an acknowledgement":     {[]string{"ack", "shop", "--reason", "seen"}, "ack shop seen", []string{"possible again"}},
		"automation":             {[]string{"automation", "shop", "off", "--reason", "migration"}, "automation shop off migration", []string{"are off"}},
		"maintenance":            {[]string{"maintenance", "db2:3306", "on", "--reason", "disk"}, "maintenance shop db2:3306 on disk", []string{"under maintenance"}},
		"a change in JSON":       {[]string{"reparent", "shop", "-o", "json"}, "shop planned", nil},
		"a dry run told in JSON": {[]string{"reparent", "shop", "--dry-run", "-o", "json"}, "shop planned", nil},
	} {
		t.Run(name, func(t *testing.T) {
			first, acts := newOffice(t, false), newOffice(t, false)
			first.standsBy(acts.URL)
			r := runWith(t, append(row.args, "--api", first.URL)...)
			r.wants(t, exitDone, row.shows...)
			if said := strings.Join(strings.Fields(r.errs), " "); said != "primacy: elector-2 acts for the cluster; sending this on to it, at "+acts.URL {
				t.Errorf("said %q on standard error", said)
			}
			if len(acts.calls) != 1 || !strings.HasPrefix(acts.calls[0], row.calls) || len(first.calls) != 1 {
				t.Errorf("the first was called for %v, the one that acts for %v", first.calls, acts.calls)
			}
			if strings.Contains(name, "JSON") && !json.Valid([]byte(r.out)) {
				t.Errorf("no JSON: %s", r.out)
			}
			if n := acts.asked.Load(); n != 1 {
				t.Errorf("%d requests went to the one that acts: what is only read is read where it was asked for", n)
			}
		})
	}
}

// TestAChangeIsSentOnOnlyOnce has two electors each of which takes the other for the one that acts.
func TestAChangeIsSentOnOnlyOnce(t *testing.T) {
	one, two := newOffice(t, false), newOffice(t, false)
	one.standsBy(two.URL)
	two.standsBy(one.URL)
	runWith(t, "ack", "shop", "--api", one.URL).wants(t, exitFailed, "this elector does not act for the cluster: elector-2 does")
	if one.asked.Load() != 1 || two.asked.Load() != 1 {
		t.Errorf("asked %d and %d times", one.asked.Load(), two.asked.Load())
	}
}

// TestAChangeElsewhereIsAwaitedUntilItIsOnRecord where the elector that was asked reads of it.
func TestAChangeElsewhereIsAwaitedUntilItIsOnRecord(t *testing.T) {
	first, acts := newOffice(t, false), newOffice(t, false)
	first.standsBy(acts.URL)
	first.late = 2
	runWith(t, "reparent", "shop", "--api", first.URL).wants(t, exitDone, "db2:3306 takes writes", "db2:3306 leads shop under term 4")
}

func TestWhatTheElectorThatActsAnswersIsTheAnswer(t *testing.T) {
	first, acts := newOffice(t, false), newOffice(t, false)
	first.standsBy(acts.URL)
	acts.err = &orchestrator.BlockedError{Obstacle: reparent.Obstacle{Code: "not_revoked", Message: "db1:3306 could still complete"}}
	runWith(t, "emergency", "shop", "--api", first.URL).wants(t, exitBlocked, "sending this on", "nothing was changed", "could still complete")
}

func TestAnElectorThatDoesNotSayWhereItIsIsNamedWithWhatToSet(t *testing.T) {
	first := newOffice(t, false)
	first.standsBy("")
	r := runWith(t, "ack", "shop", "--api", first.URL)
	r.wants(t, exitFailed, "elector-2 does", "set advertise in the configuration of elector-2")
	first.err = orchestrator.ErrNotLeading
	runWith(t, "ack", "shop", "--api", first.URL).wants(t, exitFailed, "none is known that does", "try again")
}

// TestOnlyARefusalThatNamesAnElectorIsSentOn since of other failures it is not known what became of the call.
func TestOnlyARefusalThatNamesAnElectorIsSentOn(t *testing.T) {
	first, acts := newOffice(t, false), newOffice(t, false)
	for _, err := range []error{orchestrator.ErrBusy, orchestrator.ErrStoreSilent, orchestrator.ErrNotLeading, errors.New("a bug at " + acts.URL)} {
		first.err = err
		if r := runWith(t, "ack", "shop", "--api", first.URL); r.code == exitDone || strings.Contains(r.errs, "not asked from here") {
			t.Errorf("%v: exit code %d: %s", err, r.code, r.errs)
		}
	}
	if n := acts.asked.Load(); n != 0 {
		t.Errorf("another elector was asked %d times", n)
	}
}

// TestNoTokenGoesWhereItIsNotSafe sends an elector's caller to places that it has no reason to trust.
func TestNoTokenGoesWhereItIsNotSafe(t *testing.T) {
	t.Setenv("PRIMACY_TOKEN", "operator-token-12")
	clear, secure, stranger := newOffice(t, false), newOffice(t, true), newOffice(t, true)
	for name, row := range map[string]struct {
		first *office
		to    string
		tls   *office // whose authority is trusted
		says  []string
	}{
		"from TLS to clear text on this machine":    {secure, clear.URL, secure, []string{"from https to clear text"}},
		"from TLS to clear text elsewhere":          {secure, "http://192.0.2.1:3900", secure, []string{"from https to clear text"}},
		"from this machine to others in clear text": {clear, "http://192.0.2.1:3900", nil, []string{"travel in clear text"}},
		"to a certificate that nobody vouches for":  {clear, stranger.URL, nil, []string{"sent on to elector-2", "certificate of " + stranger.URL, "advertise in the configuration of elector-2", "--ca-file"}},
		"to a certificate for another name":         {clear, "https://localhost:" + port(secure), secure, []string{"is not accepted", "localhost"}},
		"to another kind of URL":                    {clear, "ftp://127.0.0.1:3900", nil, []string{"no URL of a control plane"}},
		"to a name with a password":                 {clear, "http://ada:geheim@127.0.0.1:3900", nil, []string{"more than a host and a path"}},
		"to itself":                                 {clear, clear.URL + "/", nil, []string{"where this answer comes from"}},
	} {
		t.Run(name, func(t *testing.T) {
			row.first.standsBy(row.to)
			args := []string{"ack", "shop", "--api", row.first.URL}
			if row.tls != nil {
				args = append(args, "--ca-file", row.tls.caFile(t))
			}
			before := clear.asked.Load() + secure.asked.Load() + stranger.asked.Load()
			r := runWith(t, args...)
			r.wants(t, exitFailed, row.says...)
			if n := clear.asked.Load() + secure.asked.Load() + stranger.asked.Load() - before; n != 1 || row.first.tokens.Load() == 0 {
				t.Errorf("%d requests were sent, one to the first elector is due", n)
			}
			if strings.Contains(r.errs, "Start one") || strings.Contains(r.errs, "operator-token") {
				t.Errorf("said %s", r.errs)
			}
		})
	}
}

func port(o *office) string {
	_, port, _ := strings.Cut(strings.TrimPrefix(o.URL, "https://"), ":")
	return port
}

// TestATokenGoesToWhomTheSameAuthorityVouchesFor has httptest's one certificate stand for both electors.
func TestATokenGoesToWhomTheSameAuthorityVouchesFor(t *testing.T) {
	t.Setenv("PRIMACY_TOKEN", "operator-token-12")
	first, acts := newOffice(t, true), newOffice(t, true)
	first.standsBy(acts.URL)
	runWith(t, "ack", "shop", "--api", first.URL, "--ca-file", first.caFile(t)).wants(t, exitDone, "possible again")
	if acts.tokens.Load() != 1 {
		t.Error("it came without the token")
	}
}

func TestAnElectorThatIsNotThereIsNamed(t *testing.T) {
	first, gone := newOffice(t, false), newOffice(t, false)
	first.standsBy(gone.URL)
	gone.Close()
	runWith(t, "ack", "shop", "--api", first.URL).wants(t, exitFailed, "sent on to elector-2", "no control plane answers at "+gone.URL, "advertise in the configuration of elector-2")
}

func TestTheHelpSaysThatChangesAreSentOn(t *testing.T) {
	runWith(t, "--help").wants(t, exitDone, "sent on to it, once")
}
