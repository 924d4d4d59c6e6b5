package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
)

// process is a control plane in a process of its own. It is spoken to in lines of JSON, one answer for
// each question. It ends when its input does, so it cannot outlive the tests.
type process struct {
	cmd *exec.Cmd

	mu     sync.Mutex
	input  io.WriteCloser
	output *bufio.Reader
}

// question is one line to the process. The first one carries the blueprint, and where to die.
type question struct {
	Blueprint *blueprint
	Death     death
	Ask       string
	Wish      orchestrator.Wish
	ID        string
}

type reply struct {
	Error      string
	View       orchestrator.View
	Events     []orchestrator.Event
	Recoveries []reparent.Operation
	Operation  reparent.Operation
}

// startProcess starts a control plane that dies by SIGKILL at the given moment, if any, and returns when
// it runs.
func (c *cluster) startProcess(d death) *process {
	c.t.Helper()
	p := startRole(c.t, "control plane")
	b := c.blueprint()
	if _, err := p.ask(question{Blueprint: &b, Death: d}); err != nil {
		c.t.Fatalf("the control plane did not start: %v", err)
	}
	c.watchOver(p)
	return p
}

// startRole starts the test binary in a role of TestMain.
func startRole(t *testing.T, role string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), roleVariable+"="+role)
	p.cmd.Stderr = os.Stderr
	input, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.input, p.output = input, bufio.NewReaderSize(output, 1<<20)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// errDied is the answer of a process that is gone.
var errDied = errors.New("the control plane's process died")

func (p *process) ask(q question) (reply, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line, err := json.Marshal(q)
	if err != nil {
		return reply{}, err
	}
	if _, err := p.input.Write(append(line, '\n')); err != nil {
		return reply{}, errDied
	}
	text, err := p.output.ReadBytes('\n')
	if err != nil {
		return reply{}, errDied
	}
	var r reply
	if err := json.Unmarshal(text, &r); err != nil {
		return reply{}, err
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

func (p *process) view() (orchestrator.View, error) {
	r, err := p.ask(question{Ask: "view"})
	return r.View, err
}

func (p *process) events() []orchestrator.Event {
	r, _ := p.ask(question{Ask: "events"}) // a dead process has none
	return r.Events
}

func (p *process) recoveries() ([]reparent.Operation, error) {
	r, err := p.ask(question{Ask: "recoveries"})
	return r.Recoveries, err
}

func (p *process) reparent(w orchestrator.Wish) (reparent.Operation, error) {
	r, err := p.ask(question{Ask: "reparent", Wish: w})
	return r.Operation, err
}

func (p *process) await(id string) (reparent.Operation, error) {
	r, err := p.ask(question{Ask: "await", ID: id})
	return r.Operation, err
}

func (p *process) acknowledge() error {
	_, err := p.ask(question{Ask: "acknowledge"})
	return err
}

// stop lets the process end in order, or collects it when it is dead already.
func (p *process) stop() error {
	_ = p.input.Close() // of a dead process it is closed already
	err := p.cmd.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) && p.killed() {
		return nil
	}
	return err
}

func (p *process) killed() bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// playControlPlane is the other side: the first line says what to run, each further one is a question.
func playControlPlane(input io.Reader, output io.Writer) error {
	lines := bufio.NewReaderSize(input, 1<<20)
	answers := json.NewEncoder(output)
	var first question
	if err := readLine(lines, &first); err != nil {
		return fmt.Errorf("read the blueprint: %w", err)
	}
	p, err := first.Blueprint.start(context.Background(), func(f orchestrator.Fleet) orchestrator.Fleet {
		return &mortal{Fleet: f, death: first.Death}
	})
	if err != nil {
		return err
	}
	if err := answers.Encode(reply{}); err != nil {
		return err
	}
	for {
		var q question
		if err := readLine(lines, &q); err != nil {
			return p.stop()
		}
		if err := answers.Encode(p.answer(q)); err != nil {
			return err
		}
	}
}

func readLine(lines *bufio.Reader, into any) error {
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, into)
}

func (p *plane) answer(q question) (r reply) {
	var err error
	switch q.Ask {
	case "view":
		r.View, err = p.view()
	case "events":
		r.Events = p.events()
	case "recoveries":
		r.Recoveries, err = p.recoveries()
	case "reparent":
		r.Operation, err = p.reparent(q.Wish)
	case "await":
		r.Operation, err = p.await(q.ID)
	case "acknowledge":
		err = p.acknowledge()
	default:
		err = fmt.Errorf("question %q is unknown", q.Ask)
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

// death says when a control plane kills itself: before the commands of a step are sent, when the first
// of them has been answered, or when all have. It can also stop itself before (SIGSTOP), and go on with
// the step when it is woken up.
type death struct {
	When string // before, during, after, paused before; empty: never
	Step string // the phase of a change
}

func (d death) String() string { return d.When + " " + d.Step }

// mortal is the seam to the servers of a control plane that is to die.
type mortal struct {
	orchestrator.Fleet
	death  death
	paused atomic.Bool // once is enough
}

const pausedBefore = "paused before"

func (m *mortal) Do(ctx context.Context, batch orchestrator.Batch) []reparent.Result {
	if batch.Phase == "" || batch.Kind == reparent.KindAdoption || string(batch.Phase) != m.death.Step {
		return m.Fleet.Do(ctx, batch)
	}
	m.at("before")
	if m.death.When == pausedBefore && m.paused.CompareAndSwap(false, true) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	}
	enough := batch.Enough
	batch.Enough = func(results []reparent.Result) bool {
		m.at("during")
		return enough(results)
	}
	results := m.Fleet.Do(ctx, batch)
	m.at("after")
	return results
}

func (m *mortal) at(when string) {
	if m.death.When == when {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the kernel is about to end this
	}
}

func TestAControlPlaneAsAProcessAnswersAsOneInThisProcess(t *testing.T) {
	c := bare(t, 2, 1)
	c.startProcess(death{})
	v := c.awaitHealthy()
	if v.Primary == "" || v.Term == 0 || len(v.Snapshot.Servers) != 2 {
		t.Errorf("the view did not survive the way: %+v", v)
	}
}
