//go:build linux

package partition

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// roleVariable says what a process of this test program is to be. The first one, which is told nothing, only gives the
// second one a network of its own.
const roleVariable = "PRIMACY_PARTITION_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "":
		os.Exit(enter())
	case "etcd":
		if err := playMember(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// enter runs the tests in a namespace in which they can lay networks as they like. Neither it nor one of those that they
// make has a name or a file: the kernel removes each with its last process, however the tests end, and processes end with us.
func enter() int {
	runtime.LockOSThread() // the kernel ends the child with the thread that started it
	program, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	inner := exec.Command(program, os.Args[1:]...)
	inner.Env = append(os.Environ(), roleVariable+"=tests")
	inner.Stdout, inner.Stderr = os.Stdout, os.Stderr
	inner.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	var failed *exec.ExitError
	switch err := inner.Run(); {
	case err == nil:
		return 0
	case errors.As(err, &failed) && failed.Exited():
		return failed.ExitCode()
	case errors.Is(err, syscall.EPERM):
		fmt.Fprintln(os.Stderr, "partitions are made in network namespaces, and only root may make those; scripts/test.sh leaves this package out elsewhere")
	default:
		fmt.Fprintln(os.Stderr, err)
	}
	return 1
}
