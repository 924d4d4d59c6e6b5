package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whoever types flags and commands is told of those, not of the parameters and paths behind them.
func TestRefusalsSpeakOfFlagsAndCommands(t *testing.T) {
	rows := []struct {
		args  []string
		wants string
	}{
		{[]string{"clusters", "--state", "sick"}, "--state: expected value"},
		{[]string{"recoveries", "--kind", "x"}, "--kind: expected value"},
		{[]string{"explain", "shop-9"}, "listed by `primacy recoveries`"},
	}
	for _, row := range rows {
		r := primacy(t, newPlane(), row.args...)
		r.wants(t, exitUsage, row.wants)
		if said := r.out + r.errs; strings.Contains(said, "query.") || strings.Contains(said, "/api/") {
			t.Errorf("%q is told of %s", row.args, said)
		}
	}
}

func TestASandboxAnswersInJSONToo(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one := sandboxServer{Name: "server-1", Address: "127.0.0.1:3306", State: "running", Pid: 7}
		if r.Method == http.MethodPost {
			answer(w, http.StatusOK, one)
			return
		}
		answer(w, http.StatusOK, map[string]any{"servers": []sandboxServer{one}})
	}))
	defer server.Close()
	t.Setenv("PRIMACY_API", server.URL)
	runWith(t, "sandbox", "servers").wants(t, exitDone, "server-1", "pid 7")
	runWith(t, "sandbox", "servers", "-o", "json").wants(t, exitDone, `"servers": [`, `"address": "127.0.0.1:3306"`)
	runWith(t, "sandbox", "kill", "server-1", "-o", "json").wants(t, exitDone, `"name": "server-1"`)
	runWith(t, "sandbox", "servers", "-o", "xml").wants(t, exitUsage, "use text or json")
}
