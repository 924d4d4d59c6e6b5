package local

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// tieToParent makes the kernel kill the child when we are gone, however we went.
// A group of its own keeps the terminal's Ctrl-C away from it: how the fleet is
// stopped is decided in one place. A stopped process dies of SIGKILL, too.
func tieToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// watchParent has nothing to do where the kernel does it.
func watchParent(*exec.Cmd) (func(), error) {
	return func() {}, nil
}

// heldByKernel tells whether a process is stopped by a signal, ours or anyone's.
func heldByKernel(pid int) (held, known bool) {
	letter, known := processState(pid)
	return letter == 'T', known
}

// processState is the letter after the program's name, which stands in
// parentheses and may contain anything.
func processState(pid int) (letter byte, known bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	_, state, found := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(") "))
	if !found || len(state) == 0 {
		return 0, false
	}
	return state[0], true
}

// ended tells whether a process holds nothing any more. One that is dead but not
// yet collected by its parent has ended once its last other thread has: until
// then its ports are taken and its files locked.
func ended(pid int) bool {
	letter, known := processState(pid)
	if !known {
		return true
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return letter == 'Z' && (err != nil || len(threads) <= 1)
}

// commandLine is how a process was started, empty when there is none.
func commandLine(pid int) string {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
}

// reachable shortens the name of a directory that is too deep for a socket's
// address: the kernel follows the open directory instead.
func reachable(dir *os.File) (string, error) {
	return fmt.Sprintf("/proc/self/fd/%d", dir.Fd()), nil
}
