package local

import (
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
)

// reap starts a small process that kills cmd's process once ours is gone. It
// learns of that from a pipe that only we hold open: the kernel closes it with
// us, whatever ended us. The returned function ends the reaper.
func reap(cmd *exec.Cmd) (func(), error) {
	reaper := exec.Command("/bin/sh", "-c", `read -r word || kill -KILL "$1"`, "primacy-reaper", strconv.Itoa(cmd.Process.Pid))
	reaper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := reaper.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := reaper.Start(); err != nil {
		return nil, fmt.Errorf("start the process that ends servers with us: %w", err)
	}
	return func() {
		// A word instead of the end of the file: the server is gone already, and
		// its number may belong to someone else by now.
		_, _ = pipe.Write([]byte("over\n"))
		_ = reaper.Wait()
	}, nil
}
