package local

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	lockName     = "lock"
	manifestName = "fleet.json"
)

var errLocked = errors.New("locked by another process")

// tryLock takes a lock file that the kernel releases with this process.
func tryLock(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return file, nil
	}
	file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errLocked
	}
	return nil, fmt.Errorf("%s: %w", path, err)
}

// waitLock waits for a lock that others hold only for seconds.
func waitLock(ctx context.Context, path string) (*os.File, error) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		lock, err := tryLock(path)
		if !errors.Is(err, errLocked) {
			return lock, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", path, ctx.Err())
		}
	}
}

// A manifest is what a directory remembers of its fleet. It is written when the
// fleet is complete, so a directory without one holds nothing worth keeping.
type manifest struct {
	Version string          `json:"version"`
	Servers []manifestEntry `json:"servers"`
}

type manifestEntry struct {
	Name string `json:"name"`
	Host string `json:"host,omitempty"` // empty, as written by an earlier release: loopback
	Port int    `json:"port"`
}

// lockDir makes the directory ours, or says whose it is.
func lockDir(dir string) (*os.File, error) {
	if err := refuseForeign(dir); err != nil {
		return nil, err
	}
	lock, err := tryLock(filepath.Join(dir, lockName))
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("another sandbox (process %s) runs in %s; stop it, or choose another directory", holder(dir), dir)
	}
	if err != nil {
		return nil, err
	}
	_ = lock.Truncate(0)
	_, err = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	return lock, err
}

func holder(dir string) string {
	pid, err := os.ReadFile(filepath.Join(dir, lockName))
	if err != nil || len(pid) == 0 {
		return "unknown"
	}
	return string(pid)
}

// refuseForeign keeps us from filling, and later emptying, a directory that holds
// someone's files.
func refuseForeign(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == lockName }) {
		return nil
	}
	return fmt.Errorf("%s is not empty and holds no sandbox; choose another directory", dir)
}

func readManifest(dir string) (manifest, bool, error) {
	var m manifest
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, os.ErrNotExist) {
		return m, false, nil
	}
	if err != nil {
		return m, false, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, false, fmt.Errorf("%s: %w; remove the directory to begin anew", filepath.Join(dir, manifestName), err)
	}
	return m, true, nil
}

// suits tells whether a directory holds the fleet that is asked for.
func (m manifest) suits(spec Spec) error {
	var names, hosts []string
	for _, entry := range m.Servers {
		names, hosts = append(names, entry.Name), append(hosts, cmp.Or(entry.Host, loopback))
	}
	if !slices.Equal(names, spec.Names) {
		return fmt.Errorf("the directory holds the servers %s", strings.Join(names, ", "))
	}
	if !slices.Equal(hosts, spec.Hosts) {
		return fmt.Errorf("the servers listen on %s", strings.Join(hosts, ", "))
	}
	if spec.BasePort != 0 && spec.BasePort != m.Servers[0].Port {
		return fmt.Errorf("the first server's port is %d", m.Servers[0].Port)
	}
	return nil
}

func (m manifest) write(dir string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, manifestName)
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// endStale ends a server that an earlier supervisor left behind in dir. It is
// recognised by how it was started, for its number may be another process by now.
func endStale(ctx context.Context, dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "data", "mysqld.pid"))
	if err != nil {
		return nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return nil
	}
	line := commandLine(pid)
	if line == "" {
		return awaitDying(ctx, pid)
	}
	if !strings.Contains(line+" ", "--defaults-file="+filepath.Join(dir, "my.cnf")+" ") {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end process %d, which an earlier run left in %s: %w", pid, dir, err)
	}
	return awaitEnd(ctx, pid)
}

// awaitDying gives a process that has lost its memory already, and its command
// line with it, the moment that it needs to let go of its port. A process that
// never had a command line is a thread of the kernel, which we do not wait for.
func awaitDying(ctx context.Context, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := awaitEnd(ctx, pid); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

func awaitEnd(ctx context.Context, pid int) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !ended(pid) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("process %d, left by an earlier run, does not end: %w", pid, ctx.Err())
		}
	}
	return nil
}

// temporaryDir makes a place for a fleet that nobody wants to keep, and removes
// those of earlier ones that were killed before they could clean up.
func temporaryDir(log io.Writer) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	root := filepath.Join(cache, "fleets")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return "", err
	}
	sweep(root, log)
	return os.MkdirTemp(root, "fleet-")
}

// sweep removes fleets whose lock is free. One that is being made at this moment
// has its lock file but perhaps not yet the lock; a young file is left alone.
func sweep(root string, log io.Writer) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return
	}
	for _, entry := range entries {
		dir := filepath.Join(root, entry.Name())
		lock, err := tryLockExisting(filepath.Join(dir, lockName))
		if err != nil {
			continue
		}
		fmt.Fprintf(log, "removing %s, which a killed sandbox left behind\n", dir)
		_ = os.RemoveAll(dir)
		lock.Close()
	}
}

func tryLockExisting(path string) (*os.File, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if time.Since(stat.ModTime()) < time.Minute {
		return nil, errLocked
	}
	return tryLock(path)
}
