package integration

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/primacydb/primacy/reparent/scenario"
	"github.com/primacydb/primacy/topology"
)

// disks are small file systems on which the servers of a theatre have their binary logs, one each: a full one holds up every
// commit, and mysqld tries again once a minute. Without any they say why there are none.
type disks struct {
	dirs []string
	none error
}

// diskSize is large enough for what a scenario writes.
const diskSize = 24 // MiB

func mountDisks(t *testing.T, n int) (d disks) {
	t.Helper()
	base := t.TempDir()
	for i := range n {
		dir := filepath.Join(base, string(rune('a'+i)))
		if d.none = mountSmall(dir, diskSize); d.none != nil {
			return d
		}
		d.dirs = append(d.dirs, dir)
		t.Cleanup(func() {
			if err := unmountSmall(dir); err != nil {
				t.Error(err)
			}
		})
	}
	return d
}

// options put a server's binary log on its disk.
func (d disks) options(i int) map[string]string {
	if i >= len(d.dirs) {
		return nil
	}
	return map[string]string{"log_bin": filepath.Join(d.dirs[i], "binlog")}
}

// ballast is what a disk is filled with.
const ballast = "ballast"

// fillDisk leaves no room on the disk of a server.
func (s *stage) fillDisk(a topology.Address) error {
	dir := s.diskOf(a)
	if dir == "" {
		return scenario.Cannot(noFullDisk)
	}
	file, err := os.Create(filepath.Join(dir, ballast))
	if err != nil {
		return err
	}
	defer file.Close()
	for size := 1 << 20; size > 0; { // to the last byte, for a commit takes less than a block
		_, err := file.Write(make([]byte, size))
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		if err != nil {
			size /= 2
		}
	}
	return nil
}

func (s *stage) diskOf(a topology.Address) string {
	for i, door := range s.order {
		if door == a && i < len(s.disks.dirs) {
			return s.disks.dirs[i]
		}
	}
	return ""
}

// emptyDisks makes room again. A server that waits for it would do so for up to a minute.
func (s *stage) emptyDisks() error {
	var errs []error
	for _, a := range s.order {
		dir := s.diskOf(a)
		if dir == "" {
			continue
		}
		err := os.Remove(filepath.Join(dir, ballast))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		errs = append(errs, err, s.actors[a].Kill(), s.actors[a].Start(s.ctx))
	}
	return errors.Join(errs...)
}
