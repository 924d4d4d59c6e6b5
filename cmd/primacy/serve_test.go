package main

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/config"
)

const soundConfig = `
listen: LISTEN
store: {dir: DIR/store}
mysql: {password: only-for-tests}
replication: {password: only-for-tests}
auth:
  tokens: [{name: dash, role: viewer, token: TOKEN}]
clusters:
  - name: shop
    servers: [{address: "127.0.0.1:1"}, {address: "127.0.0.1:2"}, {address: "127.0.0.1:3"}]
`

func configFile(t *testing.T, listen, token string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "primacy.yaml")
	text := strings.NewReplacer("LISTEN", listen, "DIR", dir, "TOKEN", token).Replace(soundConfig)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestEachMistakeInTheConfigurationIsALine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "primacy.yaml")
	if err := os.WriteFile(file, []byte("listn: 127.0.0.1:3900\nclusters: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := runWith(t, "serve", "--config", file)
	r.wants(t, exitUsage, "listn", "clusters")
	if strings.Count(r.errs, "\n") < 3 {
		t.Errorf("said %q", r.errs)
	}
}

func TestAPortInUseIsSaidBeforeAnythingStarts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	file := configFile(t, l.Addr().String(), "viewer-token-1234")
	runWith(t, "serve", "--config", file).wants(t, exitFailed, "is in use", "listen:")
	if _, err := os.Stat(filepath.Join(filepath.Dir(file), "store")); err == nil {
		t.Error("the store was opened already")
	}
}

func TestCallersAreTakenOverWhenTheConfigurationIsReadAgain(t *testing.T) {
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	file := configFile(t, "127.0.0.1:3900", "viewer-token-1234")
	before, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	who := newCallers(before.Auth)
	rewrite(t, file, "viewer-token-1234", "another-token-5678")
	rewrite(t, file, "127.0.0.1:3900", "127.0.0.1:3901")
	reread(file, before, who, logger)
	if got := who.current().Tokens; len(got) != 1 || got[0].Secret != "another-token-5678" || got[0].Role != api.RoleViewer {
		t.Errorf("callers are %+v", got)
	}
	if !strings.Contains(log.String(), "needs_restart=listen") || strings.Contains(log.String(), "token-5678") {
		t.Errorf("logged %s", log.String())
	}
}

func TestAFileWithMistakesChangesNothing(t *testing.T) {
	var log strings.Builder
	file := configFile(t, "127.0.0.1:3900", "viewer-token-1234")
	before, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	who := newCallers(before.Auth)
	rewrite(t, file, "role: viewer", "role: emperor")
	reread(file, before, who, slog.New(slog.NewTextHandler(&log, nil)))
	if who.current().Tokens[0].Secret != "viewer-token-1234" || !strings.Contains(log.String(), "emperor") {
		t.Errorf("callers %+v, logged %s", who.current(), log.String())
	}
}

func rewrite(t *testing.T, file, old, new string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), old, new)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// reloaded changes the configuration of a running control plane and says what the log says, and who may call then.
func reloaded(t *testing.T, change func(text string) string) (said string, who api.Access) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	file := configFile(t, "127.0.0.1:3900", "viewer-token-1234")
	running, err := loadConfig(file, log)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(change(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	callers := newCallers(running.Auth)
	var out bytes.Buffer
	reread(file, running, callers, slog.New(slog.NewTextHandler(&out, nil)))
	return out.String(), callers.current()
}

func TestAReloadTakesOverCallersAndNamesEverythingElse(t *testing.T) {
	said, who := reloaded(t, func(text string) string {
		return strings.Replace(text, "viewer-token-1234", "another-token-5678", 1) + `automation: false
detection: {probe_interval: 300ms}
antiflap: {window: 6m}
hooks: [{name: pager, url: "https://h/"}]
`
	})
	if who.Tokens[0].Secret != "another-token-5678" {
		t.Error("the new token was not taken over")
	}
	if want := `needs_restart="detection.probe_interval, antiflap.window, automation, hooks[pager]"`; !strings.Contains(said, want) {
		t.Errorf("said %s, want %s", said, want)
	}
}

func TestAReloadDoesNotSwitchSignInOff(t *testing.T) {
	said, who := reloaded(t, func(text string) string { return regexp.MustCompile(`(?s)auth:.*?]\n`).ReplaceAllString(text, "") })
	if len(who.Tokens) != 1 {
		t.Error("nobody has to sign in any more")
	}
	if !strings.Contains(said, "needs_restart=auth\n") {
		t.Errorf("said %s", said)
	}
}
