package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// variable holds the part that a process is to play.
const variable = "PRIMACY_CROWD_PART"

// part is what a process is told: to be an elector, or the etcd when it has no endpoint.
type part struct {
	Name     string
	Dir      string // of the etcd
	Endpoint string
	Clusters int
	Lease    time.Duration
	Probe    time.Duration
	Tenure   time.Duration
}

// report is what a process tells, one in a line.
type report struct {
	At       time.Time
	Endpoint string        `json:",omitempty"` // of the etcd, once it serves
	Sights   []sight       `json:",omitempty"`
	Commands int64         `json:",omitempty"` // what servers were told, ever
	CPU      time.Duration `json:",omitempty"` // that the process has used, ever
}

// sight is what an elector shows of a cluster.
type sight struct {
	Cluster string
	Leading bool   `json:",omitempty"`
	Elector string // who acts, as it believes
}

// play does what the part says until ctx ends, or whoever gave it is gone.
func play(ctx context.Context, text string) error {
	var p part
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return fmt.Errorf("read the part: %w", err)
	}
	go outliveNobody()
	tell := json.NewEncoder(os.Stdout)
	if p.Endpoint == "" {
		return p.remember(ctx, tell)
	}
	return p.elect(ctx, tell)
}

// outliveNobody ends this process when the one that started it has ended, however it did: nobody else holds the other
// end.
func outliveNobody() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

// process is a part that is being played.
type process struct {
	part
	cmd    *exec.Cmd
	input  io.Closer
	heard  func(report)
	ended  chan struct{}
	output io.ReadCloser
}

// begin starts this program once more, with a part.
func begin(p part, dir string, heard func(report)) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, p.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	r := &process{part: p, cmd: exec.Command(program), heard: heard, ended: make(chan struct{})}
	r.cmd.Env, r.cmd.Stderr, r.cmd.SysProcAttr = append(os.Environ(), variable+"="+string(text)), log, &syscall.SysProcAttr{Setpgid: true}
	input, err := r.cmd.StdinPipe()
	output, err2 := r.cmd.StdoutPipe()
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	r.input, r.output = input, output
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	go r.listen()
	return r, nil
}

// listen reads what the process tells until it has ended.
func (p *process) listen() {
	defer close(p.ended)
	lines := bufio.NewScanner(p.output)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var r report
		if json.Unmarshal(lines.Bytes(), &r) == nil { // a killed process leaves half a line
			p.heard(r)
		}
	}
	_ = p.cmd.Wait() // how it ended is nobody's question
}

// end does something that ends the process, and waits until it has.
func (p *process) end(how func() error) error {
	defer p.input.Close()
	if err := how(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	return nil
}
