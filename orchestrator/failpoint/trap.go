package failpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/primacydb/primacy/reparent"
)

// Variable names the environment variable with the path of the file that is looked into.
const Variable = "PRIMACY_FAILPOINT"

// Trap waits for an elector to get to the point that is named in a file. As long as there is no file it lets everything
// pass, so that a test can say of an elector that has been at work for a while where it is to die. Whoever is caught takes
// the file away: an elector that wakes up again is not stopped a second time.
type Trap struct {
	file string
	hit  func(Action)

	mu      sync.Mutex
	asleep  bool                     // it was caught, and is to go on as if it held its lock
	settled map[reparent.Kind]uint64 // the latest term of each kind that ended with an established primary
	rules   uint64                   // the number of the rules that a change is about to put in force
}

// Set makes a trap that looks into a file; into none when the name is empty.
func Set(file string) *Trap {
	return &Trap{file: file, hit: do, settled: map[reparent.Kind]uint64{}}
}

// do lets nothing more happen at this point: a signal to all threads reaches each in its own time, and the one that sent it
// would go on for a moment.
func do(a Action) {
	woken := make(chan os.Signal, 1)
	signal.Notify(woken, syscall.SIGCONT)
	defer signal.Stop(woken)
	send := syscall.SIGSTOP
	if a == Kill {
		send = syscall.SIGKILL
	}
	must(syscall.Kill(os.Getpid(), send))
	<-woken // of a killed one the kernel ends the wait
}

// at is told that a point has been reached. An empty kind stands for any: some writes do not say of which change they are.
func (t *Trap) at(kind reparent.Kind, moment Moment, step string) {
	t.mu.Lock()
	armed, ok := t.armed()
	caught := ok && armed.Moment == moment && armed.Step == step && (kind == "" || kind == armed.Kind)
	if caught {
		t.asleep = armed.Action == Sleepwalk
		must(os.Remove(t.file))
	}
	t.mu.Unlock()
	if caught {
		t.hit(armed.Action)
	}
}

// sleepwalks tells whether the elector is not to find out that it loses its lock.
func (t *Trap) sleepwalks() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.armed()
	return t.asleep || ok && p.Action == Sleepwalk
}

func (t *Trap) armed() (Point, bool) {
	if t.file == "" {
		return Point{}, false
	}
	text, err := os.ReadFile(t.file)
	if errors.Is(err, fs.ErrNotExist) {
		return Point{}, false
	}
	must(err)
	p, err := Parse(string(text))
	must(err)
	return p, true
}

// must ends the program: a test whose trap cannot work must not wait for it.
func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("failpoint: %v", err))
	}
}
