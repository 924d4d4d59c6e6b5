package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/primacydb/primacy/orchestrator"
)

// changing are all calls that change something, each with a body that it takes and another one.
var changing = [][4]string{
	{"POST", "/api/v1/clusters/shop/reparent", `{"kind":"planned"}`, `{"kind":"emergency"}`},
	{"POST", "/api/v1/clusters/shop/antiflap/ack", `{"reason":"seen"}`, `{"reason":"looked"}`},
	{"PUT", "/api/v1/clusters/shop/automation", `{"on":true}`, `{"on":false}`},
	{"PUT", "/api/v1/clusters/shop/servers/db2:3306/maintenance", `{"on":true}`, `{"on":false}`},
}

func TestAKeyTellsOneCallFromAllOthers(t *testing.T) {
	for _, call := range changing {
		p := shop()
		s := serveWith(t, p, func(s *Settings) { s.Access = everybody })
		boss, other := bearer("admin-token-12345"), bearer("operator-token-12")
		ask := func(body, key string, who []string) orchestrator.Order {
			t.Helper()
			if r := s.ask(call[0], call[1], body, append(who, "Idempotency-Key", key)...); r.status >= 300 {
				t.Fatalf("%s: %d %s", call[1], r.status, r.text)
			}
			return p.last()
		}
		first := ask(call[2], "8e03978e-40d5", boss)
		if again := ask(strings.ReplaceAll(call[2], ":", " : "), "8e03978e-40d5", boss); again.Call != first.Call || first.Call.Key == "" {
			t.Errorf("%s: the same call, spaced otherwise, is %v and was %v", call[1], again.Call, first.Call)
		}
		if another := ask(call[3], "8e03978e-40d5", boss); another.Call.Key != first.Call.Key || another.Call.Digest == first.Call.Digest {
			t.Errorf("%s: another body is %v and was %v", call[1], another.Call, first.Call)
		}
		if fresh := ask(call[2], "another key", boss); fresh.Call.Key == first.Call.Key {
			t.Errorf("%s: two keys are one", call[1])
		}
		if call[1] != "/api/v1/clusters/shop/automation" { // which only one of them may
			if elsewhere := ask(call[2], "8e03978e-40d5", other); elsewhere.Call.Key == first.Call.Key {
				t.Errorf("%s: two callers share a key", call[1])
			}
		}
		if none := s.ask(call[0], call[1], call[2], boss...); none.status >= 300 || p.last().Call.Key != "" {
			t.Errorf("%s: without a key: %v", call[1], p.last().Call)
		}
	}
}

func TestKeysOfDifferentCallsAreDifferent(t *testing.T) {
	p := shop()
	s := serveWith(t, p, nil)
	seen := map[string]bool{}
	for _, call := range append(changing, [4]string{"PUT", "/api/v1/clusters/shop/servers/db3:3306/maintenance", `{"on":true}`}) {
		s.ask(call[0], call[1], call[2], "Idempotency-Key", "same")
		seen[p.last().Call.Key] = true
	}
	if len(seen) != len(changing)+1 {
		t.Errorf("%d keys of %d calls", len(seen), len(changing)+1)
	}
}

func TestAChangeIsBoundToWhatItsCallerHasSeen(t *testing.T) {
	for header, want := range map[string]string{
		`"0123456789abcdef"`:                     "[0123456789abcdef]",
		`"0123456789abcdef.fedcba9876543210"`:    "[0123456789abcdef]",
		`W/"0123456789abcdef.fedcba9876543210"`:  "[0123456789abcdef]",
		`"0123456789abcdef.fed", "fedcba98.012"`: "[0123456789abcdef fedcba98]",
		"*":                                      "[]",
		" ":                                      "[]",
	} {
		for _, call := range changing {
			p := shop()
			if r := serveWith(t, p, nil).ask(call[0], call[1], call[2], "If-Match", header); r.status >= 300 || fmt.Sprint(p.last().Revisions) != want {
				t.Errorf("%s with %s: %d, revisions %v", call[1], header, r.status, p.last().Revisions)
			}
		}
	}
	s := serveWith(t, shop(), nil)
	for _, wrong := range []string{"0123456789abcdef", `"`, `""`, `".x"`, `"a" b`} {
		s.ask("PUT", changing[2][1], changing[2][2], "If-Match", wrong).wantProblem(t, 422, CodeInvalid, "If-Match")
	}
}

func TestTheETagOfAClusterIsTakenForItsRevision(t *testing.T) {
	p := shop()
	s := serveWith(t, p, nil)
	tag := s.ask("GET", "/api/v1/clusters/shop", "").header.Get("ETag")
	answer := s.ask("PUT", changing[2][1], changing[2][2], "If-Match", tag)
	if got, want := fmt.Sprint(p.last().Revisions), "["+p.view.Revision()+"]"; got != want || answer.header.Get("ETag") != `"`+p.view.Revision()+`"` {
		t.Errorf("revisions %s, want %s; the answer's ETag is %s", got, want, answer.header.Get("ETag"))
	}
}

func TestWhatMakesNoSenseAsAKeyIsRefused(t *testing.T) {
	s := serveWith(t, shop(), nil)
	for _, key := range []string{strings.Repeat("x", 101), "schlüssel"} {
		s.ask("POST", changing[0][1], changing[0][2], "Idempotency-Key", key).wantProblem(t, 422, CodeInvalid, "Idempotency-Key")
	}
}

func TestRefusedConditionsHaveCodesOfTheirOwn(t *testing.T) {
	for name, row := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"another term":                   {orchestrator.ErrOtherTerm, 409, CodeChanged},
		"another revision":               {orchestrator.ErrOtherRevision, 412, CodeChanged},
		"another call with the same key": {orchestrator.ErrCallReused, 422, CodeIdempotency},
	} {
		p := shop()
		p.err = fmt.Errorf("%w: so it is", row.err)
		s := serveWith(t, p, nil)
		for _, call := range changing {
			t.Run(name+call[1], func(t *testing.T) {
				s.ask(call[0], call[1], call[2]).wantProblem(t, row.status, row.code, "so it is")
			})
		}
	}
}

func TestTheExpectedTermReachesTheControlPlane(t *testing.T) {
	p := shop()
	s := serveWith(t, p, nil)
	s.ask("POST", changing[0][1], `{"kind":"planned","expected_term":0}`)
	if got := p.wishes[0].Term; got == nil || *got != 0 {
		t.Errorf("term %v", got)
	}
	s.ask("POST", changing[0][1], `{"kind":"planned"}`)
	if got := p.wishes[1].Term; got != nil {
		t.Errorf("term %d that nobody named", *got)
	}
}
