package local

import (
	"net"
	"strings"
	"testing"
)

// Only Linux has all of 127.0.0.0/8 without being told.
func TestServersListenOnTheHostsThatAreNamed(t *testing.T) {
	dir, hosts := t.TempDir(), []string{"127.0.0.2", "127.0.0.3"}
	fleet := startFleet(t, Spec{Dir: dir, Servers: 2, Hosts: hosts})
	for i, s := range fleet.Servers {
		if host, _, err := net.SplitHostPort(s.Address()); err != nil || host != hosts[i] {
			t.Errorf("%s is reached at %s: %v", s.Name, s.Address(), err)
		}
		if got := read(t, connect(t, s, fleet.Users.Primacy), "SELECT CONCAT(@@bind_address, ' ', @@report_host)"); got != hosts[i]+" "+hosts[i] {
			t.Errorf("%s listens and is known on %s", s.Name, got)
		}
	}
	replica := admin(t, fleet.Servers[1])
	if got := read(t, replica, "SELECT host FROM performance_schema.replication_connection_configuration"); got != hosts[0] {
		t.Errorf("the replica follows %s", got)
	}
	if err := fleet.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(deadline(t), testBinary(t), Spec{Dir: dir, Servers: 2}); err == nil || !strings.Contains(err.Error(), "127.0.0.2") {
		t.Errorf("the fleet was resumed on other hosts, where replicas do not find their source: %v", err)
	}
}

func TestAHostThatIsNotThisMachineIsRefused(t *testing.T) {
	for _, hosts := range [][]string{{"192.0.2.1"}, {loopback, loopback}} {
		if fleet, err := Start(deadline(t), testBinary(t), Spec{Servers: 1, Hosts: hosts}); err == nil {
			t.Errorf("a fleet was started on %v", hosts)
			fleet.Close()
		}
	}
}
