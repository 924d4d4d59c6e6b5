package local

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

func TestAKilledServerComesBackClosed(t *testing.T) {
	fleet := startFleet(t, Spec{Servers: 2})
	do(t, connect(t, fleet.Servers[0], fleet.Users.App), "CREATE TABLE app.t (id INT PRIMARY KEY)")
	for _, s := range fleet.Servers {
		exited := s.Exited()
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		<-exited
		if s.State() != Stopped || s.Pid() != 0 {
			t.Fatalf("%s after Kill: %s, process %d", s.Name, s.State(), s.Pid())
		}
		if err := s.Start(deadline(t)); err != nil {
			t.Fatal(err)
		}
		got := read(t, admin(t, s), "SELECT CONCAT_WS(' ', @@super_read_only, @@rpl_semi_sync_source_enabled, @@rpl_semi_sync_replica_enabled, @@skip_replica_start)")
		if got != "1 0 1 1" {
			t.Errorf("%s came back with super_read_only, source, replica, skip_replica_start = %s, want 1 0 1 1", s.Name, got)
		}
	}
	receiver := "SELECT service_state FROM performance_schema.replication_connection_status"
	if got := read(t, admin(t, fleet.Servers[1]), receiver); got != "OFF" {
		t.Errorf("the replica's receiver came back %s", got)
	}
}

func TestAPersistedSettingSurvivesAKill(t *testing.T) {
	fleet := startFleet(t, Spec{Servers: 1})
	s := fleet.Servers[0]
	do(t, connect(t, s, fleet.Users.Primacy), "SET PERSIST_ONLY max_connections = 99")
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(deadline(t)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, admin(t, s), "SELECT @@max_connections"); got != "99" {
		t.Errorf("max_connections is %s after the restart", got)
	}
}

func TestAFrozenServerStaysFrozenUntilThawed(t *testing.T) {
	fleet := startFleet(t, Spec{Servers: 1})
	s := fleet.Servers[0]
	if err := s.Freeze(); err != nil {
		t.Fatal(err)
	}
	if s.State() != Frozen {
		t.Errorf("after Freeze: %s", s.State())
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	if s.State() != Running {
		t.Errorf("after Thaw: %s", s.State())
	}
	read(t, admin(t, s), "SELECT 1")
}

func TestSignalsFromElsewhereAreSeen(t *testing.T) {
	fleet := startFleet(t, Spec{Servers: 1})
	s := fleet.Servers[0]
	signal := func(sig syscall.Signal) {
		if err := syscall.Kill(s.Pid(), sig); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	eventually(t, "the frozen state", func() bool { return s.State() == Frozen })
	signal(syscall.SIGKILL)
	eventually(t, "its end", func() bool { return isClosed(s.Exited()) })
	if s.State() != Stopped {
		t.Errorf("after a foreign SIGKILL: %s", s.State())
	}
	if err := s.Freeze(); err == nil {
		t.Error("a stopped server was frozen")
	}
}

func TestAFrozenServerCanBeRestartedInOrder(t *testing.T) {
	fleet := startFleet(t, Spec{Servers: 1})
	s := fleet.Servers[0]
	before := s.Pid()
	if err := s.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(deadline(t)); err != nil {
		t.Fatal(err)
	}
	if s.State() != Running || s.Pid() == before {
		t.Errorf("after Restart: %s, process %d, before it %d", s.State(), s.Pid(), before)
	}
	if err := s.Start(deadline(t)); err == nil {
		t.Error("a running server was started again")
	}
}

func TestAServerThatEndsUnaskedIsRestartedWhereThatIsWanted(t *testing.T) {
	fleet := startFleet(t, Spec{Servers: 1, Restart: true})
	s := fleet.Servers[0]
	for range 3 {
		exited := s.Exited()
		if err := syscall.Kill(s.Pid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the next run", func() bool { return isClosed(exited) && s.State() == Running })
	}
	awaitValue(t, admin(t, s), "SELECT 1", "1")
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(deadline(t)); err != nil {
		t.Errorf("after Kill the server is ours to start: %v", err)
	}
}

func TestBackOffGrowsToItsLimit(t *testing.T) {
	want := []time.Duration{0, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond}
	for failures, wait := range want {
		if got := backoff(failures); got != wait {
			t.Errorf("after %d short runs: %v, want %v", failures, got, wait)
		}
	}
	if got := backoff(1000); got != backoffMax {
		t.Errorf("after a thousand short runs: %v", got)
	}
}

func TestTheRestartStatementIsObeyed(t *testing.T) {
	fleet := startFleet(t, Spec{Servers: 1})
	s := fleet.Servers[0]
	before, exited := s.Pid(), s.Exited()
	do(t, admin(t, s), "RESTART")
	eventually(t, "the next run", func() bool { return isClosed(exited) && s.State() == Running })
	awaitValue(t, admin(t, s), "SELECT 1", "1")
	if s.Pid() == before {
		t.Error("the process is still the same")
	}
}

func TestACloneEndsInAServerThatRunsAgain(t *testing.T) {
	fleet := startFleet(t, Spec{Servers: 2})
	donor, recipient := fleet.Servers[0], fleet.Servers[1]
	do(t, connect(t, donor, fleet.Users.App), "CREATE TABLE app.t (id INT PRIMARY KEY)", "INSERT INTO app.t VALUES (5)")
	do(t, admin(t, recipient), "STOP REPLICA")
	exited := recipient.Exited()
	db, account := connect(t, recipient, fleet.Users.Primacy), fleet.Users.Primacy
	do(t, db, "SET GLOBAL clone_valid_donor_list = '"+donor.Address()+"'", "SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF")
	clone := fmt.Sprintf("CLONE INSTANCE FROM '%s'@'127.0.0.1':%d IDENTIFIED BY '%s'", account.Name, donor.Port, account.Password)
	if _, err := db.ExecContext(deadline(t), clone); errorNumber(err) != 0 {
		t.Fatal(err) // a lost connection is no such error: the server restarts
	}
	eventually(t, "the end of the run that was cloned over", func() bool { return isClosed(exited) })
	awaitValue(t, admin(t, recipient), "SELECT state FROM performance_schema.clone_status", "Completed")
	if got := read(t, admin(t, recipient), "SELECT id FROM app.t"); got != "5" {
		t.Errorf("the clone's row is %q", got)
	}
}

func isClosed(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}
