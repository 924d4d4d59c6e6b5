package stopwatchtest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// TestChild measures from its first line to the next one that it reads, as the child of another test.
func TestChild(t *testing.T) {
	if os.Getenv("STOPWATCH_CHILD") == "" {
		return
	}
	w := Start(t)
	fmt.Println("begun")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	fmt.Println(w.Took())
}

// TestTimeInWhichTheProcessWasNotLetRunDoesNotCount stops a process for a second, which is what a machine does to one whose
// processors others use, only longer.
func TestTimeInWhichTheProcessWasNotLetRunDoesNotCount(t *testing.T) {
	const stopped, waited = time.Second, 200 * time.Millisecond
	cmd := exec.Command(os.Args[0], "-test.run", "^TestChild$")
	cmd.Env = append(os.Environ(), "STOPWATCH_CHILD=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	time.Sleep(waited)
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(stopped)
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in)
	lines.Scan()
	took, err := time.ParseDuration(lines.Text())
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if t.Logf("it says that it took %s", took); took >= stopped {
		t.Errorf("the second in which it was stopped counts")
	}
}

// TestTimeThatPassesCounts as far as the machine lets it: of a sleep of its own the process is there to be woken.
func TestTimeThatPassesCounts(t *testing.T) {
	w := Start(t)
	time.Sleep(300 * time.Millisecond)
	if took := w.Took(); took < 50*time.Millisecond {
		t.Errorf("300 ms of waiting are taken for %s", took)
	}
}
