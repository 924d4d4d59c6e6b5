//go:build linux

package partition

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/topology"
)

const (
	clusterName = "shop"
	// apiAddress is that of every elector, each on its own host.
	apiAddress = "127.0.0.1:3900"
)

// elector is one `primacy serve` on a host of its own. Its API is asked there, so that no cut lies between.
type elector struct {
	name   string
	host   *host
	log    string
	cmd    *exec.Cmd
	client *http.Client
}

func (s *stage) startElector(name string) (*elector, error) {
	h, err := s.network.attach(name, 1, false)
	if err != nil {
		return nil, err
	}
	e := &elector{name: name, host: h, log: filepath.Join(s.dir, name+".log"), client: &http.Client{Transport: &http.Transport{DialContext: h.dial}}}
	return e, s.launch(e)
}

func (s *stage) launch(e *elector) error {
	config := filepath.Join(s.dir, e.name+".yaml")
	if err := os.WriteFile(config, []byte(s.config(e.name)), 0o600); err != nil {
		return err
	}
	log, err := os.OpenFile(e.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.program, "serve", "--config", config)
	cmd.Stdout, cmd.Stderr = log, log
	if err := e.host.start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", e.name, err)
	}
	e.cmd = cmd
	return nil
}

// renew starts both electors anew, as one that did not see well leaves clusters to others for a while.
func (s *stage) renew() error {
	for _, e := range s.electors {
		if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
	}
	for _, e := range s.electors {
		if err := e.cmd.Wait(); err != nil {
			return fmt.Errorf("%s did not end in order: %w", e.name, err)
		}
		e.client.CloseIdleConnections()
		if err := s.launch(e); err != nil {
			return err
		}
	}
	return nil
}

// config is that of an elector which shares the store with others.
func (s *stage) config(name string) string {
	var servers strings.Builder
	for _, a := range s.addresses() {
		fmt.Fprintf(&servers, "      - {address: %q}\n", a)
	}
	users := s.fleet.Users
	return fmt.Sprintf(`node: %s
listen: %s
store: {endpoints: ["%s"], lease: %s}
mysql: {user: %s, password: %q}
replication: {user: %s, password: %q}
antiflap: {fleet: {changes_max: 10000}}
clusters:
  - name: %s
    durability: {policy: semi_sync, acks: 1}
    servers:
%s`, name, apiAddress, strings.Join(s.memory.endpoints, `", "`), lease, users.Primacy.Name, users.Primacy.Password,
		users.Replica.Name, users.Replica.Password, clusterName, servers.String())
}

func (e *elector) close() {
	if e.cmd != nil {
		_ = e.cmd.Process.Kill()
		_ = e.cmd.Wait() // it was killed
	}
	e.client.CloseIdleConnections()
}

// cluster is how the elector sees the cluster.
func (e *elector) cluster(ctx context.Context) (api.Cluster, error) {
	var c api.Cluster
	return c, e.ask(ctx, http.MethodGet, "/clusters/"+clusterName, nil, &c)
}

// changes are those on record, newest first.
func (e *elector) changes(ctx context.Context) ([]api.Recovery, error) {
	var list api.RecoveryList
	err := e.ask(ctx, http.MethodGet, "/recoveries?limit=100&cluster="+clusterName, nil, &list)
	return list.Recoveries, err
}

// reparent asks for a planned change.
func (e *elector) reparent(ctx context.Context) error {
	return e.ask(ctx, http.MethodPost, "/clusters/"+clusterName+"/reparent", api.ReparentRequest{Kind: "planned"}, &api.ReparentAnswer{})
}

func (e *elector) acknowledge(ctx context.Context) error {
	return e.ask(ctx, http.MethodPost, "/clusters/"+clusterName+"/antiflap/ack", api.AckRequest{Reason: "the story is over"}, nil)
}

func (e *elector) ask(ctx context.Context, method, path string, question, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var body bytes.Buffer
	if question != nil {
		if err := json.NewEncoder(&body).Encode(question); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+apiAddress+"/api/v1"+path, &body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	reply, err := e.client.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode >= http.StatusMultipleChoices {
		p := &api.Problem{}
		if err := json.NewDecoder(reply.Body).Decode(p); err != nil {
			return fmt.Errorf("%s: %s: %w", path, reply.Status, err)
		}
		return p
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(reply.Body).Decode(answer)
}

// finding looks one up, of any server when none is named.
func finding(c api.Cluster, code topology.Code, server string) (api.Finding, bool) {
	for _, f := range c.Findings {
		if f.Code == string(code) && (server == "" || f.Server == server) {
			return f, true
		}
	}
	return api.Finding{}, false
}

// serves tells whether the recorded primary takes writes, as the elector sees it.
func serves(c api.Cluster) bool {
	for _, s := range c.Servers {
		if s.Address == c.Primary {
			return s.Reachable && !s.ReadOnly && !s.OfflineMode
		}
	}
	return false
}

// follows tells whether a server is a replica whose threads run.
func follows(c api.Cluster, server string) bool {
	for _, s := range c.Servers {
		if s.Address == server {
			return s.Role == string(topology.RoleReplica) && s.Receiver == "on" && s.Applier == "on"
		}
	}
	return false
}

// isCalm tells whether every server is where it belongs and nothing is wrong.
func isCalm(c api.Cluster) bool {
	if !serves(c) || c.Recovery != nil || len(c.Findings) > 0 {
		return false
	}
	for _, s := range c.Servers {
		if s.Address != c.Primary && !follows(c, s.Address) {
			return false
		}
	}
	return true
}
