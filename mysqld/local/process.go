package local

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// exitRestart is the status with which mysqld asks its supervisor to start it
// again: after RESTART, and after a clone has replaced its data.
const exitRestart = 16

// A process is one run of one server.
type process struct {
	cmd      *exec.Cmd
	begun    time.Time
	failures int              // short runs directly before this one
	logStart int64            // where this run's part of the error log begins
	unwatch  func()           // ends what watches over our own end
	wanted   atomic.Bool      // someone asked for its end
	frozen   atomic.Bool      // we froze it; only asked where the kernel does not tell
	exited   chan struct{}    // closed when the process is gone and reaped
	status   *os.ProcessState // valid from then on
}

// spawn starts one run and the goroutine that waits for its end.
func (s *Server) spawn(failures int) (*process, error) {
	log, err := os.OpenFile(s.logPath(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{begun: time.Now(), failures: failures, exited: make(chan struct{})}
	if stat, err := log.Stat(); err == nil {
		p.logStart = stat.Size()
	}
	p.cmd = s.command(log)
	if err := s.fleet.forker.start(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.fleet.binary.Path, err)
	}
	if p.unwatch, err = watchParent(p.cmd); err != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		return nil, err
	}
	s.fleet.running.Go(func() { s.attend(p) })
	return p, nil
}

func (s *Server) command(log *os.File) *exec.Cmd {
	cmd := exec.Command(s.fleet.binary.Path, "--defaults-file="+s.configPath())
	cmd.Dir = s.Dir
	cmd.Stdout, cmd.Stderr = log, log
	// The first returns memory that was needed for starting only, in builds that
	// use tcmalloc. The second makes RESTART and clone work: mysqld only exits for
	// a restart when its parent says that it is a supervisor.
	cmd.Env = append(os.Environ(), "TCMALLOC_AGGRESSIVE_DECOMMIT=1")
	if !s.fleet.spec.Unsupervised {
		cmd.Env = append(cmd.Env, fmt.Sprintf("MYSQLD_PARENT_PID=%d", os.Getpid()))
	}
	tieToParent(cmd)
	return cmd
}

// attend waits for the end of a run and starts the next one where that is asked
// for, by the server itself or by the fleet's Restart.
func (s *Server) attend(p *process) {
	_ = p.cmd.Wait()
	p.status = p.cmd.ProcessState
	p.unwatch()
	if !p.wanted.Load() {
		s.fleet.logf("server %s (%s) ended by itself: %s", s.Name, s.Address(), p.status)
	}
	close(p.exited)
	s.revive(p)
}

// signal reaches the process or says that there is none; a number that was
// reused by another process is never hit.
func (p *process) signal(sig syscall.Signal) error {
	return p.cmd.Process.Signal(sig)
}

func (p *process) held() bool {
	if held, known := heldByKernel(p.cmd.Process.Pid); known {
		return held
	}
	return p.frozen.Load()
}

func (p *process) gone() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// complaints is what this run wrote to the error log that explains a failure.
func (s *Server) complaints(p *process) string {
	text, err := os.ReadFile(s.logPath())
	if err != nil || int64(len(text)) <= p.logStart {
		return "nothing in " + s.logPath()
	}
	return complaints(text[p.logStart:])
}

func (s *Server) logPath() string    { return filepath.Join(s.Dir, "error.log") }
func (s *Server) configPath() string { return filepath.Join(s.Dir, "my.cnf") }
func (s *Server) dataPath() string   { return filepath.Join(s.Dir, "data") }
