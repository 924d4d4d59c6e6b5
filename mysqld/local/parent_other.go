//go:build unix && !linux

package local

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// tieToParent keeps the terminal's Ctrl-C away from the child: how the fleet is
// stopped is decided in one place.
func tieToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

func watchParent(cmd *exec.Cmd) (func(), error) {
	return reap(cmd)
}

// heldByKernel does not know here; what we did ourselves has to do.
func heldByKernel(int) (held, known bool) {
	return false, false
}

// commandLine is how a process was started, empty when there is none.
func commandLine(pid int) string {
	line, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return string(line)
}

// ended tells whether a process is gone.
func ended(pid int) bool {
	return commandLine(pid) == ""
}

func reachable(dir *os.File) (string, error) {
	return "", fmt.Errorf("%s is too long a name for a socket in it; choose a shorter directory", dir.Name())
}
