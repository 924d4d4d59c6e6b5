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
	const stopped = time.Second
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
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // a stopped one, too
	lines := bufio.NewScanner(out)
	lines.Scan()
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

// TestTimeThatPassesCounts however little of it the machine lets a process run: some counts each time that it is let.
func TestTimeThatPassesCounts(t *testing.T) {
	w := Start(t)
	tick, limit := time.NewTicker(pace), time.After(time.Minute)
	defer tick.Stop()
	for w.Took() < 50*time.Millisecond {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("a minute is taken for %s", w.Took())
		}
	}
}
