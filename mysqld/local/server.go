package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// State says what a server's process is doing. It says nothing about whether the
// server answers.
type State string

// The states of a server's process.
const (
	Running State = "running"
	Frozen  State = "frozen" // stopped by SIGSTOP: alive, holding its connections, doing nothing
	Stopped State = "stopped"
)

const (
	readyMax   = 60 * time.Second // when the caller's context has no earlier deadline
	pollEvery  = 20 * time.Millisecond
	backoffMin = 200 * time.Millisecond
	backoffMax = 5 * time.Second
)

// A Server is one mysqld on this machine. Its methods may be called at the same
// time; changes to one server take their turn.
type Server struct {
	Name string
	Host string // the address on which it listens
	Port int
	Dir  string // holds my.cnf, error.log, data/ and tmp/

	fleet     *Fleet
	shortData string        // reaches the data directory where its own name is too long for a socket
	openData  *os.File      // what shortData stands on
	lives     int           // how often it was rebuilt
	turn      chan struct{} // held by whoever changes the server, so that waiting has a deadline
	mu        sync.Mutex    // guards what follows
	run       *process      // the newest run, nil before the first
}

// populate gives the server its first data, in place of any remains.
func (s *Server) populate(template string) error {
	if err := os.RemoveAll(s.dataPath()); err != nil {
		return err
	}
	return copyTree(template, s.dataPath())
}

// configure writes my.cnf anew for every run of the program, so that a resumed
// server follows the spec of today.
// livesApart keeps the server_ids of all lives of all servers of a fleet apart.
const livesApart = 1000

func (s *Server) configure(i int, spec Spec) error {
	if err := os.MkdirAll(filepath.Join(s.Dir, "tmp"), 0o700); err != nil {
		return err
	}
	if err := s.shorten(); err != nil {
		return err
	}
	var own map[string]string
	if spec.PerServer != nil {
		own = spec.PerServer(i)
	}
	return writeSettings(s.configPath(), placeSettings(s.Dir, s.Host, s.Port, i+1+s.lives*livesApart), runAs(),
		safetySettings(), smallSettings(), extraSettings(spec.Options), extraSettings(own))
}

func (s *Server) shorten() (err error) {
	if len(filepath.Join(s.dataPath(), socketName)) <= socketPathMax {
		return nil
	}
	if s.openData, err = os.Open(s.dataPath()); err != nil {
		return err
	}
	s.shortData, err = reachable(s.openData)
	return err
}

// finish ends the server for good. The fleet is closing already, so no new run
// can begin.
func (s *Server) finish() error {
	err := s.Kill()
	if s.openData != nil {
		err = errors.Join(err, s.openData.Close())
	}
	return err
}

// Address is host and port as clients and replicas use it.
func (s *Server) Address() string { return net.JoinHostPort(s.Host, fmt.Sprint(s.Port)) }

// Pid is the number of the server's process, 0 when it is stopped.
func (s *Server) Pid() int {
	if p := s.process(); p != nil && !p.gone() {
		return p.cmd.Process.Pid
	}
	return 0
}

// State tells whether the process runs. A process that someone else stopped or
// killed is seen as well.
func (s *Server) State() State {
	p := s.process()
	switch {
	case p == nil || p.gone():
		return Stopped
	case p.held():
		return Frozen
	default:
		return Running
	}
}

// Exited is closed when the present run of the server has ended, for whatever
// reason; each run has its own channel. A server that never ran has exited.
func (s *Server) Exited() <-chan struct{} {
	if p := s.process(); p != nil {
		return p.exited
	}
	closed := make(chan struct{})
	close(closed)
	return closed
}

func (s *Server) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run
}

// Kill ends the process as a crash would and returns when it is gone. Killing a
// stopped server does nothing.
func (s *Server) Kill() error {
	p := s.process()
	if p == nil || p.gone() {
		return nil
	}
	p.wanted.Store(true)
	if err := p.signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill server %s: %w", s.Name, err)
	}
	<-p.exited
	return nil
}

// Freeze stops the process where it stands (SIGSTOP) and returns when it does.
// Its connections stay open and silent, as those of a host that hangs.
func (s *Server) Freeze() error {
	return s.hold(syscall.SIGSTOP, true)
}

// Thaw lets a frozen process go on (SIGCONT).
func (s *Server) Thaw() error {
	return s.hold(syscall.SIGCONT, false)
}

// hold waits for the effect, for the kernel stops a process some time after the
// signal was sent.
func (s *Server) hold(sig syscall.Signal, frozen bool) error {
	p := s.process()
	if p == nil || p.gone() {
		return fmt.Errorf("server %s is stopped; start it first", s.Name)
	}
	if err := p.signal(sig); err != nil {
		return fmt.Errorf("signal server %s: %w", s.Name, err)
	}
	p.frozen.Store(frozen)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for p.held() != frozen && !p.gone() {
		<-tick.C
	}
	return nil
}

// Start boots a stopped server and returns when it answers. It comes up closed to
// writes and with its replication threads stopped.
func (s *Server) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyMax)
	defer cancel()
	release, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	return s.boot(ctx)
}

// Stop asks the server to shut down in order and returns when it is gone. A
// frozen server is thawed, for it could not hear otherwise. When ctx ends first
// the server is still shutting down.
func (s *Server) Stop(ctx context.Context) error {
	release, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	return s.shutDown(ctx)
}

// Restart is Stop and Start in one.
func (s *Server) Restart(ctx context.Context) error {
	release, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := s.shutDown(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyMax)
	defer cancel()
	return s.boot(ctx)
}

// Rebuild throws the server's data away and boots it as it was at the very beginning, closed to writes and
// without a source: what a person does with a server whose transactions nobody wants. It gets a server_uuid and a
// server_id of its own: under the old server_id it would skip, in its source's log, all that it wrote in its
// life before. A frozen or running server is killed first.
func (s *Server) Rebuild(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*readyMax)
	defer cancel()
	release, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := s.Kill(); err != nil {
		return err
	}
	data, used, err := newTemplate(s.fleet.binary, s.fleet.spec).dir(ctx, s.fleet.log)
	if err != nil {
		return err
	}
	s.lives++
	if err := errors.Join(s.populate(data), used.Close(), s.letGo(), s.configure(slices.Index(s.fleet.Servers, s), s.fleet.spec)); err != nil {
		return err
	}
	if err := s.boot(ctx); err != nil {
		return err
	}
	return s.setPasswords(ctx, s.fleet.Users)
}

// letGo closes the short way to a data directory that was removed; configure finds the new one's.
func (s *Server) letGo() error {
	if s.openData == nil {
		return nil
	}
	err := s.openData.Close()
	s.openData, s.shortData = nil, ""
	return err
}

func (s *Server) takeTurn(ctx context.Context) (release func(), err error) {
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("server %s is being changed by someone else: %w", s.Name, ctx.Err())
	}
}

func (s *Server) boot(ctx context.Context) error {
	p, err := s.launch(0)
	if err != nil {
		return err
	}
	if err := s.awaitReady(ctx, p); err != nil {
		return err
	}
	s.fleet.logf("server %s (%s) answers after %d ms", s.Name, s.Address(), time.Since(p.begun).Milliseconds())
	return nil
}

// launch begins a run. The lock and the fleet's closing flag are looked at
// together with setting the run, so that Close sees every process there is.
func (s *Server) launch(failures int) (*process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fleet.closing() {
		return nil, errForkerClosed
	}
	if s.run != nil && !s.run.gone() {
		return nil, fmt.Errorf("server %s is running already", s.Name)
	}
	if err := s.clearSocket(); err != nil {
		return nil, err
	}
	p, err := s.spawn(failures)
	if err != nil {
		return nil, err
	}
	s.run = p
	return p, nil
}

// clearSocket removes what a killed server leaves. mysqld refuses to start when
// the number in an old socket's lock happens to belong to some living process.
func (s *Server) clearSocket() error {
	for _, name := range []string{socketName, socketName + ".lock"} {
		err := os.Remove(filepath.Join(s.dataPath(), name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (s *Server) shutDown(ctx context.Context) error {
	p := s.process()
	if p == nil || p.gone() {
		return nil
	}
	p.wanted.Store(true)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGCONT} {
		if err := p.signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop server %s: %w", s.Name, err)
		}
	}
	p.frozen.Store(false)
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("server %s is still shutting down: %w", s.Name, ctx.Err())
	}
}

// awaitReady waits until the server answers a query on its socket.
func (s *Server) awaitReady(ctx context.Context, p *process) error {
	db, err := s.open()
	if err != nil {
		return err
	}
	defer db.Close()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if db.PingContext(ctx) == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.exited:
			return fmt.Errorf("server %s (%s) did not start: %s\n%s", s.Name, s.Address(), p.status, s.complaints(p))
		case <-ctx.Done():
			return fmt.Errorf("server %s (%s) does not answer yet: %w\n%s", s.Name, s.Address(), ctx.Err(), s.complaints(p))
		}
	}
}

// revive starts the next run when the last one ended for a restart of its own,
// or unasked in a fleet that restarts such servers.
func (s *Server) revive(last *process) {
	asked := last.status.ExitCode() == exitRestart
	if last.wanted.Load() || !asked && !s.fleet.restart {
		return
	}
	failures := last.failures + 1
	if asked || time.Since(last.begun) > backoffMax {
		failures = 0
	}
	if !s.fleet.pause(backoff(failures)) {
		return
	}
	if _, err := s.launch(failures); err != nil {
		s.fleet.logf("server %s (%s) is not started again: %v", s.Name, s.Address(), err)
	}
}

// backoff makes a server that keeps failing be tried less and less often.
func backoff(failures int) time.Duration {
	if failures == 0 {
		return 0
	}
	return min(backoffMin<<min(failures-1, 10), backoffMax)
}
