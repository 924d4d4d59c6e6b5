//go:build unix && !linux

package main

import (
	"os/exec"
	"syscall"
)

// tie keeps the terminal's Ctrl-C away from the process. No kernel but Linux ends it with us.
func tie(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
