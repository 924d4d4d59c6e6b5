package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

// directory is a data directory that this process alone uses. etcd has locks of its own, but waits for them in
// silence.
type directory struct {
	file *fileutil.LockedFile
}

func occupy(path string) (*directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	name := filepath.Join(path, "primacy.lock")
	file, err := fileutil.TryLockFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fileutil.ErrLocked) {
		return nil, fmt.Errorf("open the store: %s is in use by %s; stop it, or choose another directory", path, occupant(name))
	}
	if err != nil {
		return nil, fmt.Errorf("open the store: lock %s: %w", name, err)
	}
	return &directory{file: file}, sign(file)
}

// sign leaves this process's number for the message of whoever comes next.
func sign(file *fileutil.LockedFile) error {
	if err := file.Truncate(0); err != nil {
		return errors.Join(err, file.Close())
	}
	if _, err := fmt.Fprintf(file, "%d\n", os.Getpid()); err != nil {
		return errors.Join(err, file.Close())
	}
	return nil
}

func occupant(name string) string {
	text, err := os.ReadFile(name)
	if pid := strings.TrimSpace(string(text)); err == nil && pid != "" {
		return "process " + pid
	}
	return "another process"
}

// leave ends the occupation. The file stays: removing it would let two processes lock two files of one name.
func (d *directory) leave() error {
	return d.file.Close()
}
