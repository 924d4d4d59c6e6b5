package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

func TestClustersAreListedWithTheNamesThatScriptsRelyOn(t *testing.T) {
	s := serveWith(t, shop(), nil)
	list := s.ask("GET", "/api/v1/clusters", "").tree(t)["clusters"].([]any)
	c := list[0].(map[string]any)
	if len(list) != 1 || c["name"] != "shop" || c["primary"] != "db1:3306" || c["term"] != 3.0 || c["state"] != "healthy" {
		t.Errorf("got %v", list)
	}
	if _, isList := c["findings"].([]any); !isList {
		t.Errorf("findings is %T, want a list also when it is empty", c["findings"])
	}
}

func TestAClusterShowsWhatTheContractNames(t *testing.T) {
	s := serveWith(t, shop(), nil)
	c := s.ask("GET", "/api/v1/clusters/shop", "").tree(t)
	for _, key := range []string{"name", "term", "state", "primary", "durability", "servers", "findings", "antiflap", "automation"} {
		if _, there := c[key]; !there {
			t.Errorf("%s is missing", key)
		}
	}
	if c["automation"] != true || c["antiflap"].(map[string]any)["open"] != false {
		t.Errorf("automation %v, antiflap %v", c["automation"], c["antiflap"])
	}
	servers := c["servers"].([]any)
	replica := servers[1].(map[string]any)
	for _, key := range []string{
		"address", "role", "zone", "promotion", "reachable", "read_only", "super_read_only", "gtid_executed", "gtid_received", "lag_ms",
		"semi_sync", "source", "receiver", "applier", "term", "version", "errors",
	} {
		if _, there := replica[key]; !there {
			t.Errorf("servers[].%s is missing", key)
		}
	}
	if replica["role"] != "replica" || replica["source"] != "db1:3306" || replica["receiver"] != "on" || replica["behind"] != 0.0 ||
		replica["semi_sync"].(map[string]any)["acker"] != true || replica["promotion"] != "neutral" {
		t.Errorf("got %v", replica)
	}
}

func TestWhatIsNotKnownIsNullAndNotZero(t *testing.T) {
	p := shop()
	p.view = viewOf(topologytest.Cluster(db1, db2, db3).Primary(db1).Term(3, db1, "").Replication(db2, func(r *topology.Replication) { r.Lag = -1 }).Dead(db3), time.Now())
	c := serveWith(t, p, nil).ask("GET", "/api/v1/clusters/shop", "").tree(t)
	lagging, dead := c["servers"].([]any)[1].(map[string]any), c["servers"].([]any)[2].(map[string]any)
	if lagging["lag_ms"] != nil || dead["behind"] != nil || dead["reachable"] != false || dead["reach"] != "refused" {
		t.Errorf("got %v and %v", lagging, dead)
	}
}

func TestAWindowShowsItsTimeAndHowToLiftIt(t *testing.T) {
	p := shop()
	p.view.Told = time.Now()
	change := antiflap.Change{Cluster: "shop", Term: 3, Kind: antiflap.Emergency, At: p.view.Told}
	p.view.Antiflap = antiflap.Cluster{}.Established(change, antiflap.Settings{Window: time.Minute})
	c := serveWith(t, p, nil).ask("GET", "/api/v1/clusters/shop", "").tree(t)
	w := c["antiflap"].(map[string]any)
	left := w["left_ms"].(float64)
	if w["open"] != true || !strings.Contains(w["lift"].(string), "primacy ack shop") || left <= 50_000 || left > 60_000 || !strings.HasSuffix(w["until"].(string), "Z") {
		t.Errorf("got %v", w)
	}
}

func TestAChangeIsAcceptedAndCarriesWhoAskedForWhat(t *testing.T) {
	p := shop()
	s := serveWith(t, p, nil)
	body := `{"kind":"emergency","to":"db2:3306","drain_ms":1500,"certify_down":["db1:3306","db3:3306"],"accept_loss":true,"keep_errant":true,"without_store":true,"reason":"rack 3 is dark"}`
	r := s.ask("POST", "/api/v1/clusters/shop/reparent", body, userHeader, "ada")
	if r.status != http.StatusAccepted || r.tree(t)["recovery"].(map[string]any)["id"] != "shop-0000000004" {
		t.Fatalf("%d %s", r.status, r.text)
	}
	want := orchestrator.Wish{
		Cluster: "shop", Kind: reparent.KindEmergency, To: db2, Drain: 1500 * time.Millisecond,
		CertifyDown: []topology.Address{db1, db3}, AcceptLoss: true, KeepErrant: true, WithoutStore: true, Reason: "rack 3 is dark", By: "ada (not authenticated)",
	}
	if got := fmt.Sprint(p.wishes); got != fmt.Sprint([]orchestrator.Wish{want}) {
		t.Errorf("wished %s", got)
	}
}

func TestOneCertifiedServerMayBeGivenAsText(t *testing.T) {
	p := shop()
	serveWith(t, p, nil).ask("POST", "/api/v1/clusters/shop/reparent", `{"kind":"emergency","certify_down":"db1:3306","reason":"unplugged"}`)
	if len(p.wishes) != 1 || len(p.wishes[0].CertifyDown) != 1 || p.wishes[0].CertifyDown[0] != db1 {
		t.Errorf("wished %+v", p.wishes)
	}
}

func TestADryRunAnswersWithItsSteps(t *testing.T) {
	p := shop()
	p.answer.Steps = []reparent.Step{{Phase: reparent.PhaseDemoting, Title: "revoke", Commands: []reparent.Command{{Verb: reparent.Demote, Server: db1}}, SaveFirst: true}}
	r := serveWith(t, p, nil).ask("POST", "/api/v1/clusters/shop/reparent", `{"kind":"planned","dry_run":true}`)
	steps, _ := r.tree(t)["steps"].([]any)
	if r.status != http.StatusOK || len(steps) != 1 || steps[0].(map[string]any)["commands"].([]any)[0] != "db1:3306: demote" || !p.wishes[0].DryRun {
		t.Errorf("%d %s", r.status, r.text)
	}
}

func TestWaitingAnswersWhenTheChangeHasEnded(t *testing.T) {
	p := shop()
	s := serveWith(t, p, func(s *Settings) { s.BodyTimeout, s.AnswerTimeout = 50*time.Millisecond, 50*time.Millisecond })
	time.AfterFunc(150*time.Millisecond, func() { close(p.ended) }) // longer than body and answer may take otherwise
	r := s.ask("POST", "/api/v1/clusters/shop/reparent?wait=30s", `{"kind":"planned"}`)
	change, _ := r.tree(t)["recovery"].(map[string]any)
	if r.status != http.StatusOK || change["state"] != "succeeded" || change["gap_ms"] != 7.0 {
		t.Errorf("%d %s", r.status, r.text)
	}
}

func TestWaitingThatIsOverBeforeTheChangeIsAnswered202(t *testing.T) {
	r := serveWith(t, shop(), nil).ask("POST", "/api/v1/clusters/shop/reparent?wait=20ms", `{"kind":"planned"}`)
	if r.status != http.StatusAccepted || r.tree(t)["recovery"].(map[string]any)["state"] != "running" {
		t.Errorf("%d %s", r.status, r.text)
	}
}

func TestABlockedChangeSaysWhatItNeeds(t *testing.T) {
	p := shop()
	p.err = &orchestrator.BlockedError{Obstacle: reparent.Obstacle{
		Code: "not_revoked", Message: "db1 could still complete", Needs: []topology.ServerSet{topology.Servers(db2), topology.Servers(db1, db3)}, Remedy: "bring db2 back",
	}}
	r := serveWith(t, p, nil).ask("POST", "/api/v1/clusters/shop/reparent", `{"kind":"emergency"}`)
	r.wantProblem(t, http.StatusConflict, CodeBlocked, "db1 could still complete")
	o := r.tree(t)["obstacle"].(map[string]any)
	if fmt.Sprint(o["needs"]) != "[[db2:3306] [db1:3306 db3:3306]]" || o["remedy"] != "bring db2 back" || o["code"] != "not_revoked" {
		t.Errorf("got %v", o)
	}
}

func TestErrorsOfTheControlPlaneHaveCodesOfTheirOwn(t *testing.T) {
	away := errors.New("the store does not answer")
	for name, row := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"another change is under way":   {orchestrator.ErrBusy, http.StatusConflict, CodeBusy},
		"the store is silent":           {orchestrator.ErrStoreSilent, http.StatusServiceUnavailable, CodeStoreUnavailable},
		"another elector leads":         {orchestrator.ErrNotLeading, http.StatusServiceUnavailable, CodeNotLeading},
		"the named server is unknown":   {fmt.Errorf("%w: db9", orchestrator.ErrNoSuchServer), http.StatusUnprocessableEntity, CodeNoSuchServer},
		"the wish makes no sense":       {fmt.Errorf("%w: needs a reason", orchestrator.ErrBadWish), http.StatusUnprocessableEntity, CodeInvalid},
		"the store is away for now":     {away, http.StatusServiceUnavailable, CodeUnavailable},
		"something that nobody foresaw": {errors.New("who knows"), http.StatusInternalServerError, CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			p := shop()
			p.err = row.err
			s := serveWith(t, p, func(s *Settings) { s.Temporary = func(err error) bool { return errors.Is(err, away) } })
			s.ask("POST", "/api/v1/clusters/shop/reparent", `{"kind":"planned"}`).wantProblem(t, row.status, row.code)
		})
	}
}

func TestAChangeThatNeverComesOnRecordIsNotCalledAccepted(t *testing.T) {
	p := shop()
	p.unrecorded = fmt.Errorf("%w: shop-7 was begun and given up", orchestrator.ErrNotLeading)
	for path, call := range map[string][2]string{
		"reparent": {"POST", `{"kind":"planned"}`},
		"rules":    {"PUT", `{"policy":"semi_sync","acks":1,"members":[{"address":"db1:3306"},{"address":"db2:3306"}]}`},
	} {
		serveWith(t, p, nil).ask(call[0], "/api/v1/clusters/shop/"+path, call[1]).wantProblem(t, http.StatusServiceUnavailable, CodeNotLeading, "shop-7")
	}
}

func TestEveryMistakeIsAProblemThatNamesThePlace(t *testing.T) {
	const change = "/api/v1/clusters/shop/reparent"
	for name, row := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		code, says         string
	}{
		"a cluster that does not exist":      {"GET", "/api/v1/clusters/shap", "", nil, 404, CodeNoSuchCluster, "known are shop"},
		"a change of such a cluster":         {"POST", "/api/v1/clusters/shap/reparent", `{"kind":"planned"}`, nil, 404, CodeNoSuchCluster, "known are shop"},
		"a recovery that does not exist":     {"GET", "/api/v1/recoveries/nope", "", nil, 404, CodeNoSuchRecovery, "/api/v1/recoveries"},
		"a path that does not exist":         {"GET", "/api/v1/nope", "", nil, 404, CodeNoSuchPath, "/api/v1/nope"},
		"a method that a path does not take": {"DELETE", "/api/v1/clusters/shop", "", []string{"Content-Type", "application/json"}, 405, CodeMethodNotAllowed, "DELETE"},
		"a change by GET":                    {"GET", change, "", nil, 405, CodeMethodNotAllowed, "GET"},
		"a query that is not known":          {"GET", "/api/v1/recoveries?claster=shop", "", nil, 422, CodeInvalid, "query.claster"},
		"a limit that is no number":          {"GET", "/api/v1/recoveries?limit=many", "", nil, 422, CodeInvalid, "query.limit"},
		"a limit out of bounds":              {"GET", "/api/v1/recoveries?limit=0", "", nil, 422, CodeInvalid, "query.limit"},
		"a wait that is no duration":         {"POST", change + "?wait=soon", `{"kind":"planned"}`, nil, 422, CodeInvalid, "query.wait"},
		"a field that is not known":          {"POST", change, `{"kind":"planned","dryrun":true}`, nil, 422, CodeInvalid, "body.dryrun"},
		"a field of the wrong type":          {"POST", change, `{"kind":"planned","dry_run":"yes"}`, nil, 422, CodeInvalid, "body.dry_run"},
		"a kind that is not known":           {"POST", change, `{"kind":"polite"}`, nil, 422, CodeInvalid, "body.kind"},
		"a kind that is missing":             {"POST", change, `{}`, nil, 422, CodeInvalid, "kind"},
		"a body that is no JSON":             {"POST", change, `{"kind":`, nil, 400, CodeInvalid, ""},
		"no body at all":                     {"POST", change, "", []string{"Content-Type", "application/json"}, 400, CodeInvalid, ""},
		"a form from a web page":             {"POST", change, "kind=planned", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, CodeMediaType, "application/json"},
		"plain text from a web page":         {"POST", change, `{"kind":"planned"}`, []string{"Content-Type", "text/plain"}, 415, CodeMediaType, "application/json"},
		"a body without end":                 {"POST", change, `{"kind":"` + strings.Repeat("x", bodyMax) + `"}`, nil, 413, CodeTooLarge, "64 KiB"},
		"a page of another site":             {"POST", change, `{"kind":"planned"}`, []string{"Sec-Fetch-Site", "cross-site"}, 403, CodeCrossOrigin, ""},
		"another site's origin":              {"POST", change, `{"kind":"planned"}`, []string{"Origin", "https://example.org"}, 403, CodeCrossOrigin, ""},
		"a name that was rebound":            {"GET", "/api/v1/clusters", "", []string{"Host", "evil.example.org"}, 421, CodeHost, "evil.example.org"},
	} {
		t.Run(name, func(t *testing.T) {
			p := shop()
			serveWith(t, p, nil).ask(row.method, row.path, row.body, row.headers...).wantProblem(t, row.status, row.code, row.says)
			if len(p.calls) > 0 || len(p.wishes) > 0 && row.code != CodeNoSuchCluster {
				t.Errorf("it reached the control plane: %v %v", p.calls, p.wishes)
			}
		})
	}
}

func TestALocalNameIsAnsweredWhateverItsForm(t *testing.T) {
	s := serveWith(t, shop(), nil)
	for _, host := range []string{"localhost", "LOCALHOST:3900", "127.0.0.1", "127.9.9.9:80", "[::1]:3900"} {
		if r := s.ask("GET", "/healthz", "", "Host", host); r.status != http.StatusOK {
			t.Errorf("%s: %d", host, r.status)
		}
	}
}

func TestA405NamesTheMethodsThatThereAre(t *testing.T) {
	r := serveWith(t, shop(), nil).ask("GET", "/api/v1/clusters/shop/reparent", "")
	if allow := r.header.Values("Allow"); fmt.Sprint(allow) != "[POST]" {
		t.Errorf("Allow: %v", allow)
	}
}

func TestABodyThatTricklesInIsGivenUp(t *testing.T) {
	s := serveWith(t, shop(), func(s *Settings) { s.BodyTimeout = 30 * time.Millisecond })
	reader, writer := io.Pipe()
	defer func() { _ = writer.Close() }()
	r, _ := http.NewRequest(http.MethodPost, s.URL+"/api/v1/clusters/shop/reparent", reader)
	r.Header.Set("Content-Type", "application/json")
	response, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusRequestTimeout {
		t.Errorf("status %d", response.StatusCode)
	}
}

func TestSwitchesReachTheControlPlaneWithNameAndReason(t *testing.T) {
	p := shop()
	s := serveWith(t, p, nil)
	for _, r := range []reply{
		s.ask("POST", "/api/v1/clusters/shop/antiflap/ack", `{"reason":"seen"}`, userHeader, "ada"),
		s.ask("PUT", "/api/v1/clusters/shop/automation", `{"on":false,"reason":"migration"}`, userHeader, "ada"),
		s.ask("PUT", "/api/v1/clusters/shop/servers/db2:3306/maintenance", `{"on":true,"reason":"disk"}`, userHeader, "ada"),
		s.ask("PUT", "/api/v1/clusters/shop/maintenance", `{"on":true,"for_ms":60000,"reason":"switches"}`, userHeader, "ada"),
	} {
		if r.status != http.StatusOK || r.tree(t)["name"] != "shop" {
			t.Errorf("%d %s", r.status, r.text)
		}
	}
	want := []string{
		`["ack","shop","ada (not authenticated)","seen"]`,
		`["automation","shop",false,"ada (not authenticated)","migration"]`,
		`["maintenance","shop","db2:3306",true,"ada (not authenticated)","disk"]`,
		`["maintenance","shop","",true,"ada (not authenticated)","switches"]`,
	}
	if strings.Join(p.calls, "\n") != strings.Join(want, "\n") {
		t.Errorf("called %v", p.calls)
	}
	if got := p.last().Lasting; got != time.Minute {
		t.Errorf("it lasts %s", got)
	}
}

func TestRecoveriesCarryStagesAndCertificate(t *testing.T) {
	p := shop()
	p.end.Decision = &topology.Decision{Term: 4, Primary: db2, Reached: topology.Servers(db2, db3)}
	p.end.Leaders = []reparent.Leader{{Address: db1, Term: 3, Acks: 1}}
	seen := *p.view.Snapshot.Server(db2)
	p.end.Progress = map[topology.Address]reparent.Progress{db2: {Frozen: reparent.Yes, Reading: &seen}}
	s := serveWith(t, p, nil)
	s.ask("GET", "/api/v1/recoveries?cluster=shop&limit=7", "")
	if p.calls[0] != `["recoveries","shop",16]` { // a few more, for the clocks of electors differ
		t.Errorf("called %v", p.calls)
	}
	r := s.ask("GET", "/api/v1/recoveries/shop-0000000004", "").tree(t)
	for _, key := range []string{"id", "cluster", "kind", "cause", "term", "from", "to", "state", "started_at", "finished_at", "stages", "certificate"} {
		if _, there := r[key]; !there {
			t.Errorf("%s is missing", key)
		}
	}
	stage := r["stages"].([]any)[0].(map[string]any)
	if stage["name"] != "revoke" || stage["duration_ms"] != 1.0 || stage["duration_us"] != 1500.0 || stage["outcome"] != "ok" {
		t.Errorf("stage %v", stage)
	}
	c := r["certificate"].(map[string]any)
	witness := c["servers"].([]any)[0].(map[string]any)
	if witness["frozen"] != "yes" || witness["gtid_executed"] != seen.Executed.String() ||
		fmt.Sprint(c["decision"].(map[string]any)["reached"]) != "[db2:3306 db3:3306]" || len(c["leaders"].([]any)) != 1 {
		t.Errorf("certificate %v", c)
	}
}

func TestChangesThatAreReadFromMemorySaySo(t *testing.T) {
	p := shop()
	s := serveWith(t, p, nil)
	if text := s.ask("GET", "/api/v1/recoveries", "").text; strings.Contains(text, "from_memory") {
		t.Errorf("the store answers: %s", text)
	}
	p.view.Snapshot.StoreSilent = time.Now()
	if text := s.ask("GET", "/api/v1/recoveries", "").text; !strings.Contains(text, `"from_memory":true`) {
		t.Errorf("the store is silent: %s", text)
	}
}

func TestWhatAServerSaysIsNeverMarkup(t *testing.T) {
	p := shop()
	r := serveWith(t, p, nil).ask("GET", "/api/v1/recoveries/shop-0000000004", "")
	if kind := r.header.Get("Content-Type"); kind != "application/json" || strings.Contains(r.text, "<b>") || !strings.Contains(r.text, `\u003cb\u003edb1`) {
		t.Errorf("content type %q: %s", kind, r.text)
	}
	for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store"} {
		if got := r.header.Get(header); got != want {
			t.Errorf("%s: %q", header, got)
		}
	}
	if policy := r.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "require-trusted-types-for 'script'; trusted-types 'none'") {
		t.Errorf("policy %q", policy)
	}
	if r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("pages of other sites may read it")
	}
}

func TestAPanicEndsOneRequestOnly(t *testing.T) {
	s := serveWith(t, shop(), func(s *Settings) {
		s.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a bug") })
	})
	s.ask("GET", "/metrics", "").wantProblem(t, http.StatusInternalServerError, CodeInternal, "bug")
	if r := s.ask("GET", "/healthz", ""); r.status != http.StatusOK {
		t.Errorf("status %d", r.status)
	}
}

func TestWhatOnlyASandboxServesIsBehindTheSameGuard(t *testing.T) {
	p := shop()
	s := serveWith(t, p, func(s *Settings) {
		s.Extra = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { p.called("extra"); w.WriteHeader(http.StatusNoContent) })
	})
	s.ask("POST", "/sandbox/servers/server-1/kill", `{}`, "Sec-Fetch-Site", "cross-site").wantProblem(t, 403, CodeCrossOrigin)
	s.ask("POST", "/sandbox/servers/server-1/kill", `x`, "Content-Type", "text/plain").wantProblem(t, 415, CodeMediaType)
	if r := s.ask("POST", "/sandbox/servers/server-1/kill", `{}`); r.status != http.StatusNoContent || len(p.calls) != 1 {
		t.Errorf("%d %v", r.status, p.calls)
	}
}
