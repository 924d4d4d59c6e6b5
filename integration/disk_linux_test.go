package integration

import (
	"fmt"
	"os"
	"syscall"
)

// mountSmall makes a directory a file system of its own that is full soon. Only root can; elsewhere it says why not.
func mountSmall(dir string, megabytes int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syscall.Mount("small", dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0777", megabytes))
}

// unmountSmall takes it away, also from under whoever still uses it.
func unmountSmall(dir string) error { return syscall.Unmount(dir, syscall.MNT_DETACH) }
