package integration

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// outsideStore is an etcd in a process of its own, which can fall silent, and be put back to what it was. Nil is none.
type outsideStore struct {
	t       *testing.T
	process *process
	dir     string
	at      []string // its addresses, for clients and for peers
	silent  bool
	backups []backup
}

// backup is a copy of the store's files.
type backup struct {
	taken time.Time
	dir   string
}

// start is a new process on the files that are there.
func (o *outsideStore) start() error {
	if o.process != nil {
		return nil
	}
	if o.dir == "" {
		o.dir = filepath.Join(o.t.TempDir(), "etcd")
	}
	o.process = startRole(o.t, "etcd")
	if _, err := io.WriteString(o.process.input, strings.Join(append([]string{o.dir}, o.at...), " ")+"\n"); err != nil {
		return err
	}
	line, err := o.process.output.ReadString('\n')
	o.at = strings.Fields(line)
	return err
}

func (o *outsideStore) endpoints() []string { return o.at[:1] }

// fallSilent has it take what comes and answer nothing, as one without a majority; speak ends that.
func (o *outsideStore) fallSilent() error {
	o.silent = true
	err := o.process.cmd.Process.Signal(syscall.SIGSTOP)
	for end := time.Now().Add(patience); err == nil && !o.process.isPaused(); {
		if time.Now().After(end) {
			err = errors.New("the store was stopped and goes on")
		}
	}
	return err
}

func (o *outsideStore) speak() error {
	o.silent = false
	return o.process.cmd.Process.Signal(syscall.SIGCONT)
}

// backUp copies its files once a second, while nothing writes them.
func (o *outsideStore) backUp() error {
	if o == nil || o.silent || len(o.backups) > 0 && time.Since(o.backups[len(o.backups)-1].taken) < time.Second {
		return nil
	}
	err := o.fallSilent()
	b := backup{time.Now(), fmt.Sprintf("%s-%d", o.dir, len(o.backups))}
	err = errors.Join(err, os.CopyFS(b.dir, os.DirFS(o.dir)), o.speak())
	o.backups = append(o.backups, b)
	return err
}

// restore puts the files of a while ago in place, or the first ones that there are, and starts anew from them.
func (o *outsideStore) restore(ago time.Duration) error {
	if len(o.backups) == 0 {
		return errors.New("the loop has to run before its store can be put back")
	}
	chosen := o.backups[0]
	for _, b := range o.backups {
		if time.Since(b.taken) >= ago {
			chosen = b
		}
	}
	o.t.Logf("the store is put back to what it was %s ago", time.Since(chosen.taken).Round(time.Millisecond))
	if err := errors.Join(o.kill(), os.RemoveAll(o.dir), os.CopyFS(o.dir, os.DirFS(chosen.dir))); err != nil {
		return err
	}
	return o.start()
}

func (o *outsideStore) kill() error {
	err := o.process.cmd.Process.Kill()
	err = errors.Join(err, o.process.stop())
	o.process = nil
	return err
}

func (o *outsideStore) end() error {
	if o == nil || o.process == nil {
		return nil
	}
	return o.kill()
}
