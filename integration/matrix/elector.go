package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/orchestrator/failpoint"
	"github.com/primacydb/primacy/topology"
)

const clusterName = "shop"

// elector is one `primacy serve` in a process of its own.
type elector struct {
	name   string
	trap   string // the file that says where it is caught
	log    string
	cmd    *exec.Cmd
	client *api.Client
	ended  chan struct{}
}

// startElector runs the program under a configuration, and returns when its API answers.
func (s *stage) startElector(ctx context.Context, name string) (*elector, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s.started++
	base := filepath.Join(s.dir, fmt.Sprintf("%s-%d", name, s.started))
	e := &elector{name: name, trap: base + ".trap", log: base + ".log", ended: make(chan struct{})}
	if err := os.WriteFile(base+".yaml", []byte(s.config(name, address)), 0o600); err != nil {
		return nil, err
	}
	if e.client, err = api.NewClient(api.ClientSettings{URL: "http://" + address, User: "matrix"}); err != nil {
		return nil, err
	}
	if err := e.start(s, base+".yaml"); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return e, await(ctx, name+" to answer", func(ctx context.Context) bool {
		c, err := e.cluster(ctx)
		return err == nil && !c.ProbedAt.IsZero()
	})
}

func (e *elector) start(s *stage, config string) error {
	log, err := os.Create(e.log)
	if err != nil {
		return err
	}
	defer log.Close()
	e.cmd = exec.Command(s.program, "serve", "--config", config, "--log-level", s.logLevel)
	e.cmd.Env = append(os.Environ(), failpoint.Variable+"="+e.trap)
	e.cmd.Stdout, e.cmd.Stderr = log, log
	if err := s.leash.start(e.cmd); err != nil {
		return err
	}
	go func() {
		_ = e.cmd.Wait() // how it ended is asked of its state
		close(e.ended)
	}()
	return nil
}

// config is that of an elector which shares the store with others.
func (s *stage) config(node, listen string) string {
	var servers strings.Builder
	for i, a := range s.addresses() {
		fmt.Fprintf(&servers, "      - {address: %q, zone: %q, promotion: %s}\n", a, zone(i), s.promotion(a))
	}
	users := s.fleet.Users
	return fmt.Sprintf(`node: %s
listen: %s
store: {endpoints: [%q], lease: %s}
mysql: {user: %s, password: %q}
replication: {user: %s, password: %q}
antiflap: {fleet: {changes_max: 10000}}
clusters:
  - name: %s
    durability: {policy: semi_sync, acks: 1}
    servers:
%s`, node, listen, s.memory.address, lease, users.Primacy.Name, users.Primacy.Password, users.Replica.Name, users.Replica.Password, clusterName, servers.String())
}

// zone is that of the server with this number.
func zone(i int) string { return string(rune('a' + i)) }

func (s *stage) promotion(address string) string {
	if address == s.preferred() {
		return string(topology.PromotionPrefer)
	}
	return string(topology.PromotionNeutral)
}

func (e *elector) cluster(ctx context.Context) (api.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return e.client.Cluster(ctx, clusterName)
}

// arm says where the elector is caught.
func (e *elector) arm(p failpoint.Point) error {
	incomplete := e.trap + ".new"
	if err := os.WriteFile(incomplete, []byte(p.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(incomplete, e.trap)
}

func (e *elector) armed() bool {
	_, err := os.Stat(e.trap)
	return !errors.Is(err, fs.ErrNotExist)
}

func (e *elector) disarm() { os.Remove(e.trap) }

// caught waits until the elector got to the point for which it was armed, and says when that was.
func (e *elector) caught(ctx context.Context, p failpoint.Point, refused <-chan error) (at time.Time, err error) {
	err = await(ctx, fmt.Sprintf("%s to be caught %s", e.name, p), func(context.Context) bool {
		if !e.armed() {
			at = time.Now()
		}
		return !at.IsZero() || len(refused) > 0
	})
	switch {
	case len(refused) > 0 && at.IsZero():
		return at, fmt.Errorf("the change was refused: %w", <-refused)
	case err != nil:
		return at, err
	case p.Action != failpoint.Kill:
		return at, await(ctx, e.name+" to stop", func(context.Context) bool { return e.stopped() })
	}
	return at, e.died(ctx)
}

func (e *elector) died(ctx context.Context) error {
	select {
	case <-e.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	e.client.Close()
	status, known := e.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !known || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		return fmt.Errorf("%s did not die of SIGKILL: %s; its log is %s", e.name, e.cmd.ProcessState, e.log)
	}
	return nil
}

// stopped asks the kernel.
func (e *elector) stopped() bool {
	state, err := exec.Command("ps", "-o", "stat=", "-p", fmt.Sprint(e.cmd.Process.Pid)).Output()
	return err == nil && strings.HasPrefix(strings.TrimSpace(string(state)), "T")
}

func (e *elector) wake() error { return e.cmd.Process.Signal(syscall.SIGCONT) }

func (e *elector) running() bool {
	select {
	case <-e.ended:
		return false
	default:
		return true
	}
}

// stop lets the process end in order, so that it gives its locks back.
func (e *elector) stop(ctx context.Context) error {
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := await(ctx, e.name+" to end", func(context.Context) bool { return !e.running() })
	e.close()
	return err
}

// close ends the process, however it stands with it.
func (e *elector) close() {
	if e.running() {
		_ = e.cmd.Process.Kill() // it may be ending already
	}
	<-e.ended
	e.client.Close()
}
