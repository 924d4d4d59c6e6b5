package local

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestADirectoryHoldsOneFleetAtATime(t *testing.T) {
	dir := t.TempDir()
	startFleet(t, Spec{Dir: dir, Servers: 1})
	_, err := Start(deadline(t), testBinary(t), Spec{Dir: dir, Servers: 1})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("a second fleet in one directory: %v", err)
	}
}

func TestADirectoryWithForeignFilesIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(deadline(t), testBinary(t), Spec{Dir: dir}); err == nil {
		t.Fatal("a fleet moved into someone's directory")
	}
	if entries := must(os.ReadDir(dir))(t); len(entries) != 1 {
		t.Errorf("the directory was changed: %v", entries)
	}
}

func TestAResumedFleetKeepsItsDataAndWaitsForALeader(t *testing.T) {
	dir := t.TempDir()
	first := startFleet(t, Spec{Dir: dir, Servers: 2})
	do(t, connect(t, first.Servers[0], first.Users.App), "CREATE TABLE app.t (id INT PRIMARY KEY)", "INSERT INTO app.t VALUES (5)")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := startFleet(t, Spec{Dir: dir, Servers: 2})
	if !second.Resumed || second.Servers[0].Port != first.Servers[0].Port {
		t.Errorf("resumed: %v, port %d, earlier %d", second.Resumed, second.Servers[0].Port, first.Servers[0].Port)
	}
	for i, s := range second.Servers {
		db := connect(t, s, second.Users.Primacy)
		if got := read(t, db, "SELECT @@super_read_only"); got != "1" {
			t.Errorf("%s is open", s.Name)
		}
		if i == 0 && read(t, db, "SELECT @@GLOBAL.gtid_executed") == "" {
			t.Error("the primary lost what it had")
		}
	}
	if got := read(t, admin(t, second.Servers[0]), "SELECT id FROM app.t"); got != "5" {
		t.Errorf("the row is %q", got)
	}
}

func TestADirectoryIsNotResumedAsAnotherFleet(t *testing.T) {
	dir := t.TempDir()
	if err := startFleet(t, Spec{Dir: dir, Servers: 1}).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(deadline(t), testBinary(t), Spec{Dir: dir, Servers: 2}); err == nil || !strings.Contains(err.Error(), "server-1") {
		t.Errorf("one server resumed as two: %v", err)
	}
}

func TestPortsThatFollowTheBaseAreUsed(t *testing.T) {
	claims := must(claimPorts(0, []string{loopback}))(t)
	base := claims[0].port
	_, err := claimPorts(base, []string{loopback})
	if err == nil {
		t.Errorf("port %d was given away twice", base)
	}
	releasePorts(claims)
	fleet := startFleet(t, Spec{Servers: 1, BasePort: base})
	if fleet.Servers[0].Port != base {
		t.Errorf("port %d instead of %d", fleet.Servers[0].Port, base)
	}
}

// roles are what this test program does when another test starts it anew.
var roles = map[string]func(){
	"supervisor": playSupervisor,
	"reaper":     playReaper,
}

// playSupervisor starts a fleet, freezes one server, says so and waits to be
// killed.
func playSupervisor() {
	binary, err := Find("")
	fail(err)
	fleet, err := Start(context.Background(), binary, Spec{Dir: os.Getenv("PRIMACY_TEST_DIR"), Servers: 2})
	fail(err)
	fail(fleet.Servers[1].Freeze())
	fail(json.NewEncoder(os.Stdout).Encode([]int{fleet.Servers[0].Pid(), fleet.Servers[1].Pid()}))
	select {}
}

// playReaper starts a child that only the reaper could end.
func playReaper() {
	cmd := exec.Command("sleep", "1000")
	fail(cmd.Start())
	_, err := reap(cmd)
	fail(err)
	fail(json.NewEncoder(os.Stdout).Encode([]int{cmd.Process.Pid}))
	select {}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// another starts this program in a role and returns it with the processes that
// it reports.
func another(t *testing.T, role, dir string) (*exec.Cmd, []int) {
	t.Helper()
	cmd := exec.Command(must(os.Executable())(t))
	cmd.Env = append(os.Environ(), "PRIMACY_TEST_ROLE="+role, "PRIMACY_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	out := must(cmd.StdoutPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadBytes('\n')
	var pids []int
	if err := json.Unmarshal(line, &pids); err != nil {
		t.Fatalf("the %s reported %q: %v", role, line, err)
	}
	return cmd, pids
}

func TestNoServerSurvivesAKilledSupervisor(t *testing.T) {
	for _, role := range []string{"supervisor", "reaper"} {
		t.Run(role, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "fleet")
			cmd, pids := another(t, role, dir)
			for _, pid := range pids {
				if syscall.Kill(pid, 0) != nil {
					t.Fatalf("process %d is not there to begin with", pid)
				}
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			for _, pid := range pids {
				eventually(t, fmt.Sprintf("the end of process %d", pid), func() bool { return !alive(pid) })
			}
			if role == "supervisor" {
				startFleet(t, Spec{Dir: dir, Servers: 2})
			}
		})
	}
}

// alive leaves out the dead whose parent, in a container without an init, does
// not collect them.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// A server that an earlier run left behind, as can happen where the kernel does
// not end children with their parent, is ended before its data is touched.
func TestAServerLeftBehindIsEnded(t *testing.T) {
	dir := t.TempDir()
	if err := startFleet(t, Spec{Dir: dir, Servers: 1}).Close(); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "server-1", "my.cnf")
	left := exec.Command(testBinary(t).Path, "--defaults-file="+config)
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- left.Wait() }()
	pidFile := filepath.Join(dir, "server-1", "data", "mysqld.pid")
	eventually(t, "the server left behind", func() bool {
		text, err := os.ReadFile(pidFile)
		return err == nil && strings.TrimSpace(string(text)) == fmt.Sprint(left.Process.Pid)
	})
	startFleet(t, Spec{Dir: dir, Servers: 1})
	if err := <-ended; err == nil {
		t.Error("the server left behind ended in order")
	}
}

func TestAProcessWithARecycledNumberIsNotEnded(t *testing.T) {
	dir := t.TempDir()
	bystander := exec.Command("sleep", "1000")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bystander.Process.Kill(); _ = bystander.Wait() }()
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "mysqld.pid"), []byte(fmt.Sprint(bystander.Process.Pid)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := endStale(deadline(t), dir); err != nil {
		t.Fatal(err)
	}
	if !alive(bystander.Process.Pid) {
		t.Error("a bystander was killed")
	}
}

func TestSweepRemovesOnlyFleetsThatNobodyHolds(t *testing.T) {
	root := t.TempDir()
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{"left", "held"} {
		lock := must(tryLock(filepath.Join(root, name, lockName)))(t)
		if err := os.Chtimes(lock.Name(), old, old); err != nil {
			t.Fatal(err)
		}
		if name == "held" {
			defer lock.Close()
		} else {
			lock.Close()
		}
	}
	must(tryLock(filepath.Join(root, "young", lockName)))(t).Close()
	sweep(root, testLog{t})
	var left []string
	for _, entry := range must(os.ReadDir(root))(t) {
		left = append(left, entry.Name())
	}
	if got := strings.Join(left, " "); got != "held young" {
		t.Errorf("after the sweep: %s", got)
	}
}
