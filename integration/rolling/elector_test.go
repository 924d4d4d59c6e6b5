package rolling

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/internal/porttest"
	"github.com/primacydb/primacy/mysqld/local"
)

const (
	clusterName = "shop"
	// patience bounds every wait for a condition; it is never a measure of anything.
	patience = 90 * time.Second
)

// stage is three servers and three `primacy serve`, each with a member of the store.
type stage struct {
	t        *testing.T
	dir      string
	program  string
	fleet    *local.Fleet
	electors []*elector
}

// elector is one `primacy serve`, started again and again under one configuration.
type elector struct {
	name   string
	dir    string
	url    string // of its API
	client *api.Client
	http   *http.Client
	cmd    *exec.Cmd // nil while it is stopped
}

// newStage starts everything, and returns when one elector acts for a healthy cluster and the others name it.
func newStage(t *testing.T) *stage {
	s := &stage{t: t, dir: t.TempDir(), program: filepath.Join(t.TempDir(), "primacy")}
	tool := exec.CommandContext(t.Context(), "go", "build", "-o", s.program, "github.com/primacydb/primacy/cmd/primacy")
	if said, err := tool.CombinedOutput(); err != nil {
		t.Fatalf("build primacy: %v\n%s", err, said)
	}
	binary, err := local.Find("")
	if err != nil {
		t.Fatal(err)
	}
	if s.fleet, err = local.Start(t.Context(), binary, local.Spec{Servers: 3}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, s.fleet.Close()) })
	addresses := freeAddresses(t, 6)
	var members []string
	for i := range 3 {
		members = append(members, fmt.Sprintf("elector-%d=%s", i+1, addresses[3+i]))
	}
	for i := range 3 {
		s.electors = append(s.electors, s.newElector(fmt.Sprintf("elector-%d", i+1), addresses[i], members))
	}
	t.Cleanup(s.close)
	for _, e := range s.electors {
		must(t, e.start(s.program))
	}
	s.await("a calm cluster", func() bool { return s.acting() != nil })
	return s
}

// freeAddresses are some of this machine that nobody uses.
func freeAddresses(t *testing.T, n int) (all []string) {
	t.Helper()
	for range n {
		address, err := porttest.Free()
		must(t, err)
		all = append(all, address)
	}
	return all
}

func (s *stage) newElector(name, listen string, members []string) *elector {
	e := &elector{name: name, dir: filepath.Join(s.dir, name), url: "http://" + listen, http: &http.Client{Transport: &http.Transport{}}}
	must(s.t, os.Mkdir(e.dir, 0o700))
	var servers strings.Builder
	for _, server := range s.fleet.Servers {
		fmt.Fprintf(&servers, "      - {address: %q}\n", server.Address())
	}
	users := s.fleet.Users
	config := fmt.Sprintf(`node: %s
listen: %s
store: {dir: %s, name: %s, initial_cluster: ["%s"]}
mysql: {user: %s, password: %q}
replication: {user: %s, password: %q}
clusters:
  - name: %s
    durability: {policy: semi_sync, acks: 1}
    servers:
%s`, name, listen, filepath.Join(e.dir, "store"), name, strings.Join(members, `", "`), users.Primacy.Name, users.Primacy.Password,
		users.Replica.Name, users.Replica.Password, clusterName, servers.String())
	must(s.t, os.WriteFile(e.config(), []byte(config), 0o600))
	var err error
	e.client, err = api.NewClient(api.ClientSettings{URL: e.url, User: "operator"})
	must(s.t, err)
	return e
}

func (e *elector) config() string { return filepath.Join(e.dir, "primacy.yaml") }

func (e *elector) log() string { return filepath.Join(e.dir, "log") }

func (e *elector) start(program string) error {
	log, err := os.OpenFile(e.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program, "serve", "--config", e.config())
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	e.cmd = cmd
	return nil
}

// stop has the process end in order, which it has to do without an error. It is one of those that run no more from now on;
// what is returned waits until it has ended.
func (e *elector) stop() (ended func() error, err error) {
	cmd := e.cmd
	e.cmd = nil
	e.disconnect()
	done := make(chan error, 1)
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	go func() { done <- cmd.Wait(); late.Stop() }()
	return func() error {
		if err := <-done; err != nil {
			return fmt.Errorf("%s was told to stop and ended with: %w", e.name, err)
		}
		return nil
	}, cmd.Process.Signal(syscall.SIGTERM)
}

func (e *elector) disconnect() {
	e.client.Close()
	e.http.CloseIdleConnections()
}

func (e *elector) cluster() (api.Cluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return e.client.Cluster(ctx, clusterName)
}

// ready asks what an upgrade is to wait for.
func (e *elector) ready() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.client.URL()+"/readyz", nil)
	if err != nil {
		return false
	}
	reply, err := e.http.Do(request)
	if err != nil {
		return false
	}
	defer reply.Body.Close()
	return reply.StatusCode == http.StatusOK
}

func (s *stage) close() {
	for _, e := range s.electors {
		if e.cmd != nil {
			_ = e.cmd.Process.Kill()
			_ = e.cmd.Wait() // it was killed
		}
		e.disconnect()
		if text, err := os.ReadFile(e.log()); err == nil && s.t.Failed() {
			s.t.Logf("%s:\n%s", e.name, text)
		}
	}
}

// acting is the elector that acts for a calm cluster, as all that run agree and are ready; nil when they do not, or it is
// not.
func (s *stage) acting() (acting *elector) {
	var named []string
	for _, e := range s.electors {
		if e.cmd == nil {
			continue
		}
		c, err := e.cluster()
		if err != nil || !calm(c) || !e.ready() {
			return nil
		}
		if named = append(named, c.Elector); c.Leading {
			acting = e
		}
	}
	for _, name := range named {
		if acting == nil || name != acting.name {
			return nil
		}
	}
	return acting
}

// calm tells whether the primary takes writes, all others follow it, and nothing is wrong.
func calm(c api.Cluster) bool {
	for _, server := range c.Servers {
		if server.Address == c.Primary && (!server.Reachable || server.ReadOnly) ||
			server.Address != c.Primary && (server.Receiver != "on" || server.Applier != "on") {
			return false
		}
	}
	return c.Primary != "" && c.Recovery == nil && len(c.Findings) == 0
}

// await asks until the answer is yes.
func (s *stage) await(what string, holds func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("never saw %s: %s", what, s.describe())
		}
	}
}

func (s *stage) describe() string {
	var all []string
	for _, e := range s.electors {
		c, err := e.cluster()
		all = append(all, fmt.Sprintf("%s: leading %t, %q acts, state %s, primary %s, findings %v, %v", e.name, c.Leading, c.Elector, c.State, c.Primary, c.Findings, err))
	}
	return strings.Join(all, "\n")
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
