package main

import (
	"os/exec"
	"syscall"
)

// tie makes the kernel kill the process when we are gone, however we went, and keeps the terminal's Ctrl-C away from it.
func tie(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
