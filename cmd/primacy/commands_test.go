package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// plane is a control plane of one healthy cluster, shop, whose changes end as a test says, with the stages told.
type plane struct {
	view   orchestrator.View
	events *orchestrator.Stream
	end    reparent.Operation
	err    error
	calls  []string
	// lasting is how long each maintenance that was asked for is to last.
	lasting []time.Duration
	late    int // how often a change is asked for before it is on record
}

func (p *plane) Clusters() []orchestrator.View { return []orchestrator.View{p.view} }

func (p *plane) Cluster(name string) (orchestrator.View, error) {
	if name != "shop" {
		return orchestrator.View{}, orchestrator.ErrNoSuchCluster
	}
	return p.view, nil
}

func (p *plane) Reparent(_ context.Context, w orchestrator.Wish) (orchestrator.Answer, error) {
	p.called(w.Cluster, string(w.Kind), string(w.To), w.Reason, w.By)
	if p.err != nil {
		return orchestrator.Answer{}, p.err
	}
	begun := p.end
	begun.State, begun.Stages = reparent.StateRunning, nil
	if w.DryRun {
		return orchestrator.Answer{Operation: begun, Steps: []reparent.Step{{Title: "revoke", Commands: []reparent.Command{{Verb: reparent.Demote, Server: "db1:3306"}}}}}, nil
	}
	for i := range p.end.Stages {
		p.events.Tell(orchestrator.Event{Kind: orchestrator.EventRecoveryStage, Cluster: "shop", RecoveryID: p.end.ID, Stage: &p.end.Stages[i]})
	}
	p.events.Tell(orchestrator.Event{Kind: orchestrator.EventRecoveryFinished, Cluster: "shop", RecoveryID: p.end.ID, Recovery: &p.end})
	return orchestrator.Answer{Operation: begun}, nil
}

func (p *plane) OnRecord(context.Context, string) error { return nil }

func (p *plane) Await(context.Context, string) (reparent.Operation, error) { return p.end, nil }

func (p *plane) Recoveries(context.Context, string, int) ([]reparent.Operation, error) {
	return []reparent.Operation{p.end}, nil
}

func (p *plane) Recovery(_ context.Context, id string) (reparent.Operation, error) {
	if p.late--; id != p.end.ID || p.late >= 0 {
		return reparent.Operation{}, orchestrator.ErrNoSuchRecovery
	}
	return p.end, nil
}

func (p *plane) Acknowledge(_ context.Context, cluster string, o orchestrator.Order) (antiflap.Window, error) {
	p.called("ack", cluster, o.Reason)
	return antiflap.Window{}, p.err
}

func (p *plane) SetAutomation(_ context.Context, cluster string, on bool, o orchestrator.Order) error {
	p.called("automation", cluster, map[bool]string{true: "on", false: "off"}[on], o.Reason)
	return p.err
}

func (p *plane) SetMaintenance(_ context.Context, cluster string, server topology.Address, on bool, o orchestrator.Order) error {
	p.called("maintenance", cluster, string(server), map[bool]string{true: "on", false: "off"}[on], o.Reason)
	p.lasting = append(p.lasting, o.Lasting)
	return p.err
}

func (p *plane) Ready(context.Context) error { return nil }

func (p *plane) called(words ...string) { p.calls = append(p.calls, strings.Join(words, " ")) }

func newPlane() *plane {
	b := topologytest.Cluster("db1:3306", "db2:3306", "db3:3306").Term(3, "db1:3306", "")
	v := orchestrator.View{
		Name: "shop", At: time.Now(), Ruleset: b.Ruleset(), Snapshot: b.Snapshot(), History: b.History(), State: topology.StateHealthy,
		Roles: map[topology.Address]topology.ServerRole{"db1:3306": "primary", "db2:3306": "replica", "db3:3306": "replica"}, Primary: "db1:3306", Term: 3,
	}
	return &plane{view: v, events: orchestrator.NewStream(nil), end: reparent.Operation{
		ID: "shop-0000000004", Cluster: "shop", Kind: reparent.KindPlanned, Term: 4, From: "db1:3306", To: "db2:3306", State: reparent.StateSucceeded,
		Stages: []reparent.Stage{{Name: "revoke", Outcome: "ok", Detail: "db1:3306 stepped down"}, {Name: "open", Outcome: "ok", Detail: "db2:3306 takes writes"}},
	}}
}

// result is what a run of the program left.
type result struct {
	code      int
	out, errs string
}

// primacy runs the program against a plane.
func primacy(t *testing.T, p *plane, args ...string) result {
	t.Helper()
	return against(t, api.Settings{Plane: p, Events: p.events}, args...)
}

// against runs the program against an API.
func against(t *testing.T, s api.Settings, args ...string) result {
	t.Helper()
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("LC_ALL", "")
	server := httptest.NewServer(api.Handler(s))
	defer server.Close()
	t.Setenv("PRIMACY_API", server.URL)
	return runWith(t, args...)
}

func runWith(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	code := run(ctx, args, &out, &errs)
	return result{code, out.String(), errs.String()}
}

func (r result) wants(t *testing.T, code int, parts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d\n%s%s", r.code, code, r.out, r.errs)
	}
	all := strings.Join(strings.Fields(r.out+r.errs), " ")
	for _, part := range parts {
		if !strings.Contains(all, part) {
			t.Errorf("does not say %q:\n%s%s", part, r.out, r.errs)
		}
	}
}

func TestMistakesInTheCallAreExitCode2(t *testing.T) {
	for name, args := range map[string][]string{
		"a command that does not exist":       {"clusterz"},
		"a flag that does not exist":          {"clusters", "--fast"},
		"an argument too few":                 {"topology"},
		"an argument too many":                {"clusters", "shop"},
		"an output that does not exist":       {"clusters", "-o", "yaml"},
		"a URL that is none":                  {"clusters", "--api", "127.0.0.1:3900"},
		"a cluster that does not exist":       {"topology", "shap"},
		"a recovery that does not exist":      {"explain", "shop-9"},
		"a server that does not exist":        {"maintenance", "db9:3306", "on"},
		"maintenance of nothing":              {"maintenance", "on", "--reason", "x"},
		"a cluster taken for no reason":       {"maintenance", "on", "--cluster", "shop"},
		"an end for what is ended":            {"maintenance", "db2:3306", "off", "--for", "2h"},
		"an end in the past":                  {"maintenance", "db2:3306", "on", "--for", "-2h"},
		"neither on nor off":                  {"automation", "shop", "maybe"},
		"automation off without a reason":     {"automation", "shop", "off"},
		"a certificate without a reason":      {"emergency", "shop", "--certify-down", "db1:3306"},
		"a loss that is accepted silently":    {"emergency", "shop", "--accept-loss"},
		"errant rows that are kept silently":  {"emergency", "shop", "--keep-errant"},
		"going without the store silently":    {"reparent", "shop", "--without-store"},
		"the same when the primary is dead":   {"emergency", "shop", "--without-store"},
		"a negative drain":                    {"reparent", "shop", "--drain", "-1s"},
		"a token file that does not exist":    {"clusters", "--token-file", "/nonexistent"},
		"an authority that does not exist":    {"clusters", "--ca-file", "/nonexistent"},
		"an authority that is none":           {"clusters", "--ca-file", "commands_test.go"},
		"a configuration that is not there":   {"serve", "--config", "/nonexistent.yaml"},
		"a log format that does not exist":    {"serve", "--log-format", "xml"},
		"a scenario that does not exist":      {"sandbox", "--scenario", "boredom"},
		"a report without a story":            {"sandbox", "-o", "json"},
		"a limit that lists nothing at all":   {"recoveries", "--limit", "0"},
		"no events at all":                    {"events", "--limit", "0"},
		"a kind of event that does not exist": {"events", "--kind", "boredom"},
		"a state that does not exist":         {"clusters", "--state", "fine"},
		"a time that is none":                 {"recoveries", "--since", "yesterday"},
		"a page after which nothing can be":   {"events", "--follow", "--before", "x-1"},
		"a planned change with a certificate": {"reparent", "shop", "--certify-down", "db1:3306"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlane()
			r := primacy(t, p, args...)
			r.wants(t, exitUsage)
			if r.errs == "" || len(p.calls) > 0 {
				t.Errorf("said %q, called %v", r.errs, p.calls)
			}
		})
	}
}

func TestOneIsWrittenInTheSingular(t *testing.T) {
	runWith(t, "sandbox", "--servers", "2", "--acks", "2").wants(t, exitUsage, "2 acks cannot be given by 1 replica;")
	steps := (reparent.Command{Verb: reparent.PrepareSource, Server: "db2:3306", Acks: 1}).String()
	if steps != "db2:3306: prepare_source with 1 ack" {
		t.Errorf("a dry run says %q", steps)
	}
}

func TestAnUnknownClusterIsAnsweredWithTheKnownOnes(t *testing.T) {
	primacy(t, newPlane(), "topology", "shap").wants(t, exitUsage, "known are shop")
}

func TestNobodyThereSaysHowToStartOne(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	runWith(t, "clusters", "--api", "http://"+l.Addr().String()).wants(t, exitFailed, "primacy serve --config FILE", "primacy sandbox", "--api")
}

func TestReadingCommandsAnswerInBothForms(t *testing.T) {
	for _, args := range [][]string{{"clusters"}, {"topology", "shop"}, {"recoveries"}, {"recoveries", "shop"}, {"recoveries", "--automatic=false", "--since", "24h", "--state", "succeeded"}, {"events"}, {"events", "shop", "--kind", "operator"}, {"clusters", "--trouble", "--search", "sh", "-n", "3"}, {"explain", "shop-0000000004"}, {"version"}} {
		p := newPlane()
		primacy(t, p, args...).wants(t, exitDone)
		r := primacy(t, p, append(args, "-o", "json")...)
		if r.wants(t, exitDone); !json.Valid([]byte(r.out)) {
			t.Errorf("%v: %s", args, r.out)
		}
	}
}

func TestAChangeIsShownAsItGoes(t *testing.T) {
	p := newPlane()
	r := primacy(t, p, "reparent", "shop", "--to", "db2:3306", "--reason", "rack 3 moves")
	r.wants(t, exitDone, "db1:3306 stepped down", "db2:3306 takes writes", "db2:3306 leads shop under term 4", "primacy explain shop-0000000004")
	if !strings.HasPrefix(p.calls[0], "shop planned db2:3306 rack 3 moves") || !strings.HasSuffix(p.calls[0], "(not authenticated)") {
		t.Errorf("called %v", p.calls)
	}
}

func TestTheExitCodeSaysWhatBecameOfAChange(t *testing.T) {
	for state, code := range map[reparent.State]int{
		reparent.StateSucceeded: exitDone, reparent.StateBlocked: exitBlocked, reparent.StateUndone: exitFailed, reparent.StateFailed: exitFailed,
	} {
		for _, form := range []string{"text", "json"} {
			p := newPlane()
			p.end.State = state
			primacy(t, p, "reparent", "shop", "-o", form).wants(t, code)
		}
	}
}

func TestABlockedChangeIsExitCode3AndSaysWhatItNeeds(t *testing.T) {
	p := newPlane()
	p.err = &orchestrator.BlockedError{Obstacle: reparent.Obstacle{
		Code: "not_revoked", Message: "db1:3306 could still complete", Needs: []topology.ServerSet{topology.Servers("db1:3306"), topology.Servers("db2:3306", "db3:3306")}, Remedy: "bring one back",
	}}
	primacy(t, p, "emergency", "shop").wants(t, exitBlocked, "nothing was changed", "could still complete", "needs db1:3306", "or db2:3306 and db3:3306", "bring one back")
	p.err = orchestrator.ErrBusy
	primacy(t, p, "reparent", "shop").wants(t, exitBlocked, "under way")
}

func TestADryRunPrintsItsSteps(t *testing.T) {
	primacy(t, newPlane(), "reparent", "shop", "--dry-run").wants(t, exitDone, "1. revoke", "db1:3306: demote", "Nothing was changed")
}

func TestSwitchesAreSwitched(t *testing.T) {
	p := newPlane()
	primacy(t, p, "ack", "shop", "--reason", "seen").wants(t, exitDone, "possible again")
	primacy(t, p, "automation", "shop", "off", "--reason", "migration").wants(t, exitDone, "are off")
	primacy(t, p, "maintenance", "db2:3306", "on", "--reason", "disk").wants(t, exitDone, "under maintenance")
	primacy(t, p, "maintenance", "db2:3306", "off").wants(t, exitDone, "back in service")
	primacy(t, p, "maintenance", "db2:3306", "on", "--for", "2h", "--reason", "disk").wants(t, exitDone, "under maintenance for 2h0m0s")
	primacy(t, p, "maintenance", "on", "--cluster", "shop", "--reason", "switches").wants(t, exitDone, "Cluster shop is under maintenance")
	want := "ack shop seen|automation shop off migration|maintenance shop db2:3306 on disk|maintenance shop db2:3306 off |maintenance shop db2:3306 on disk|maintenance shop  on switches"
	if got := strings.Join(p.calls, "|"); got != want {
		t.Errorf("called %s", got)
	}
	if want := []time.Duration{0, 0, 2 * time.Hour, 0}; !slices.Equal(p.lasting, want) {
		t.Errorf("maintenance lasts %v", p.lasting)
	}
}

func TestTheShellIsToldTheNames(t *testing.T) {
	for name, row := range map[string]struct{ args, want string }{
		"clusters":             {"topology ", "shop"},
		"servers to promote":   {"reparent shop --to ", "db2:3306"},
		"servers to take out":  {"maintenance ", "db3:3306"},
		"on and off":           {"automation shop ", "off"},
		"recoveries":           {"explain ", "shop-0000000004"},
		"forms of output":      {"clusters --output ", "json"},
		"clusters with events": {"events ", "shop"},
		"kinds of events":      {"events --kind ", "primary_changed"},
		"states":               {"clusters --state ", "blocked"},
		"ends of changes":      {"recoveries --state ", "undone"},
	} {
		t.Run(name, func(t *testing.T) {
			r := primacy(t, newPlane(), append([]string{"__complete"}, strings.Split(row.args, " ")...)...)
			if !strings.Contains("\n"+r.out, "\n"+row.want+"\n") {
				t.Errorf("got %q", r.out)
			}
		})
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := runWith(t, "completion", shell); r.code != exitDone || len(r.out) < 1000 {
			t.Errorf("%s: %d, %d bytes", shell, r.code, len(r.out))
		}
	}
}

func TestATokenComesFromTheEnvironmentOrAFile(t *testing.T) {
	p := newPlane()
	access := api.Access{Tokens: []api.Credential{{Name: "deploy", Secret: "operator-token-12", Role: api.RoleViewer}}}
	server := httptest.NewServer(api.Handler(api.Settings{Plane: p, Events: p.events, Access: func() api.Access { return access }}))
	defer server.Close()
	t.Setenv("PRIMACY_API", server.URL)
	runWith(t, "clusters").wants(t, exitFailed, "PRIMACY_TOKEN")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("operator-token-12\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	runWith(t, "clusters", "--token-file", file).wants(t, exitDone, "shop")
	t.Setenv("PRIMACY_TOKEN", "operator-token-12")
	runWith(t, "clusters").wants(t, exitDone, "shop")
	runWith(t, "reparent", "shop").wants(t, exitFailed, "operator")
}

// secureServer speaks TLS with a certificate for 127.0.0.1 and example.com that signs itself.
func secureServer(t *testing.T) (url, caFile string) {
	t.Helper()
	p := newPlane()
	server := httptest.NewUnstartedServer(api.Handler(api.Settings{Plane: p, Events: p.events}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(caFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL, caFile
}

func TestTheAuthorityOfTheAPIComesFromAFlagOrTheEnvironment(t *testing.T) {
	url, caFile := secureServer(t)
	runWith(t, "clusters", "--api", url, "--ca-file", caFile).wants(t, exitDone, "shop")
	t.Setenv("PRIMACY_CA_FILE", caFile)
	runWith(t, "clusters", "--api", url).wants(t, exitDone, "shop")
}

func TestTroubleWithTLSIsToldAsSuch(t *testing.T) {
	url, caFile := secureServer(t)
	_, port, _ := strings.Cut(strings.TrimPrefix(url, "https://"), ":")
	p := newPlane()
	clear := httptest.NewServer(api.Handler(api.Settings{Plane: p, Events: p.events}))
	defer clear.Close()
	for name, row := range map[string]struct {
		args  []string
		wants []string
	}{
		"signed by nobody who is known": {[]string{"--api", url}, []string{"the certificate of " + url, "unknown authority", "--ca-file FILE"}},
		"made for another name":         {[]string{"--api", "https://localhost:" + port, "--ca-file", caFile}, []string{"is not accepted", "localhost", "by a name that stands in its certificate"}},
		"https where http is spoken":    {[]string{"--api", strings.Replace(clear.URL, "http:", "https:", 1)}, []string{"speaks no TLS", "write http://"}},
		"http where https is spoken":    {[]string{"--api", strings.Replace(url, "https:", "http:", 1)}, []string{"speaks TLS; write https://"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := runWith(t, append([]string{"clusters"}, row.args...)...)
			r.wants(t, exitFailed, row.wants...)
			if strings.Contains(r.errs, "Start one") {
				t.Errorf("sends people to start another one:\n%s", r.errs)
			}
		})
	}
}
