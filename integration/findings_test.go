package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// What goes wrong with servers by somebody's hand: each is named, and mended where that is safe.

func TestReplicaStoppedByHandIsReportedAndStartedAgain(t *testing.T) {
	c := started(t, 3, 1)
	client := c.write(1)
	replicas := c.members(c.view().Primary)
	for _, row := range []struct {
		statement string
		code      topology.Code
	}{
		{"STOP REPLICA IO_THREAD", topology.ReceiverStopped},
		{"STOP REPLICA SQL_THREAD", topology.ApplierStopped},
		{"STOP REPLICA", topology.ReceiverStopped},
	} {
		t.Run(row.statement, func(t *testing.T) {
			c := c.in(t)
			began := c.now()
			c.byHand(replicas[0], row.statement)
			c.awaitEvent(began, orchestrator.EventFindingOpened, func(e orchestrator.Event) bool {
				return e.Server == replicas[0] && e.Finding.Code == row.code
			})
			c.awaitEvent(began, orchestrator.EventRepair, func(e orchestrator.Event) bool {
				return e.Server == replicas[0] && strings.HasPrefix(e.Text, "repaired")
			})
			c.awaitHealthy()
		})
	}
	c.awaitAcks(client, 20)
	t.Log(c.nothingLost(client))
}

func TestReplicaWithoutAChannelAndOneWithAWrongSourceFollowThePrimaryAgain(t *testing.T) {
	c := started(t, 3, 1)
	client := c.write(1)
	c.awaitAcks(client, 20)
	replicas := c.members(c.view().Primary)
	for _, row := range []struct {
		code       topology.Code
		statements []string
	}{
		{topology.NotReplicating, []string{"STOP REPLICA", "RESET REPLICA ALL"}},
		{topology.WrongSource, []string{"STOP REPLICA IO_THREAD", fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_PORT = %d", c.server(replicas[1]).Port), "START REPLICA IO_THREAD"}},
	} {
		c.maintained(replicas[0], true) // nothing is repaired between two of the statements
		c.byHand(replicas[0], row.statements...)
		c.awaitFinding(row.code, replicas[0])
		c.maintained(replicas[0], false)
		c.awaitHealthy()
	}
	c.awaitAcks(client, 20)
	t.Log(c.nothingLost(client))
}

// One stray write must neither spread nor block a failover: its server is left out, the others go on.
func TestServerWithAnErrantTransactionIsNamedAndNeverLeads(t *testing.T) {
	c := started(t, 4, 1)
	client := c.write(2)
	c.awaitAcks(client, 20)
	old := c.view().Primary
	errant := c.members(old)[0]
	c.unrepaired(errant, "SET GLOBAL super_read_only = OFF", "CREATE DATABASE stray", "SET GLOBAL super_read_only = ON")
	uuid := c.table(errant, "SELECT @@GLOBAL.server_uuid")[0][0]
	f := c.awaitFinding(topology.Errant, errant)
	if !strings.Contains(f.Message, uuid+":1") {
		t.Errorf("the finding does not name the transaction %s:1: %s", uuid, f.Message)
	}
	t.Log(f.Message)
	c.await("quarantine", func(v orchestrator.View) bool { return v.Roles[errant] == topology.RoleQuarantined })
	if obstacle := c.blocked(orchestrator.Wish{Kind: reparent.KindPlanned, To: errant, By: "the test"}); !strings.Contains(obstacle.Message, "errant") {
		t.Errorf("the errant server was refused for another reason: %+v", obstacle)
	}
	c.kill(old)
	v := c.awaitNewPrimary(old)
	if v.Primary == errant {
		t.Fatalf("%s leads and holds errant transactions", errant)
	}
	c.awaitAcks(client, 20)
	c.restart(old)
	c.awaitSettled(old)
	quarantined := c.quarantined()
	if !slices.Contains(quarantined, errant) {
		t.Errorf("%s is no longer quarantined: %v", errant, quarantined)
	}
	t.Log(c.nothingLost(client, quarantined...))
	for _, a := range c.members(errant) {
		if got := c.table(a, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'stray'")[0][0]; got != "0" {
			t.Errorf("the stray write reached %s", a)
		}
	}
}

func TestWritableReplicaIsReportedAndClosed(t *testing.T) {
	c := started(t, 3, 1)
	replica := c.members(c.view().Primary)[1]
	c.byHand(replica, "SET GLOBAL read_only = OFF")
	e := c.awaitEvent(0, orchestrator.EventFindingOpened, func(e orchestrator.Event) bool {
		return e.Server == replica && e.Finding.Code == topology.WritableReplica && e.Finding.Severity == topology.SeverityCritical
	})
	t.Log(e.Text)
	c.awaitHealthy()
	c.onlyPrimaryIsWritable()
}

// A server that refuses a login lives: it is named with the remedy, and nothing is done behind its back.
func TestServersThatRefuseTheLoginAreDeniedAndNotDead(t *testing.T) {
	c := started(t, 3, 1)
	client := c.write(1)
	c.awaitAcks(client, 20)
	primary := c.view().Primary
	user := c.fleet.Users.Primacy
	for _, row := range []struct {
		name   string
		server topology.Address
		code   topology.Code
	}{
		{"a replica", c.members(primary)[0], topology.ServerDenied},
		{"the primary", primary, topology.PrimaryDenied},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := c.in(t)
			c.unrecorded(row.server, fmt.Sprintf("ALTER USER '%s'@'%%' IDENTIFIED BY 'another'", user.Name))
			c.hangUp(row.server, user.Name)
			f := c.awaitFinding(row.code, row.server)
			t.Log(f.Message)
			told := len(c.control.events())
			c.awaitRounds(10)
			if more := c.control.events()[told:]; len(more) > 3 {
				t.Errorf("%d events in ten rounds of a state that does not change: %v", len(more), more)
			}
			c.unrecorded(row.server, fmt.Sprintf("ALTER USER '%s'@'%%' IDENTIFIED BY '%s'", user.Name, user.Password))
			c.awaitHealthy()
		})
	}
	if v := c.view(); v.Primary != primary {
		t.Errorf("%s leads: a wrong password set off a failover", v.Primary)
	}
	c.rotate(primary, "another")
	c.awaitHealthy()
	c.awaitAcks(client, 20)
	t.Log(c.nothingLost(client))
}

// rotate changes the password of the replication account, first on the servers and then in the configuration, as one has to.
func (c *cluster) rotate(primary topology.Address, password string) {
	c.t.Helper()
	user := c.fleet.Users.Replica.Name
	c.stopPlane()
	c.byHand(primary, fmt.Sprintf("ALTER USER '%s'@'%%' IDENTIFIED BY '%s'", user, password))
	for _, a := range c.members(primary) { // KILL of the sessions that send to them may leave commits waiting for ever
		c.byHand(a, "STOP REPLICA IO_THREAD", "START REPLICA IO_THREAD")
	}
	c.tune = func(b *blueprint) { b.Users.Replica.Password = password }
	c.startPlane()
	for _, a := range c.members(primary) {
		e := c.awaitEvent(0, orchestrator.EventFindingOpened, func(e orchestrator.Event) bool {
			return e.Server == a && e.Finding.Code == topology.ReceiverFailed
		})
		c.t.Log(e.Text)
	}
}

func TestMissingGrantIsNamed(t *testing.T) {
	c := bare(t, 3, 1)
	replica := c.members(topology.Address(c.fleet.Servers[0].Address()))[0]
	c.unrecorded(replica, fmt.Sprintf("REVOKE REPLICATION_SLAVE_ADMIN ON *.* FROM '%s'@'%%'", c.fleet.Users.Primacy.Name))
	c.startPlane()
	f := c.awaitFinding(topology.GrantMissing, replica)
	t.Log(f.Message)
	if !strings.Contains(f.Message, "REPLICATION_SLAVE_ADMIN") {
		t.Errorf("the finding does not name the privilege: %s", f.Message)
	}
	c.unrecorded(replica, fmt.Sprintf("GRANT REPLICATION_SLAVE_ADMIN ON *.* TO '%s'@'%%'", c.fleet.Users.Primacy.Name))
	c.hangUp(replica, c.fleet.Users.Primacy.Name)
	c.awaitNoFinding(topology.GrantMissing, replica)
	c.awaitHealthy()
}

// Without GTIDs nothing can be said about a server's position: it is named and leads nothing.
func TestServerWithoutGTIDsIsNamedAndNeverLeads(t *testing.T) {
	c := started(t, 4, 1)
	client := c.write(1)
	c.awaitAcks(client, 20)
	old := c.view().Primary
	without := c.members(old)[0]
	c.stopPlane()
	c.byHand(without, "STOP REPLICA", "RESET REPLICA ALL", "SET GLOBAL gtid_mode = ON_PERMISSIVE", "SET GLOBAL gtid_mode = OFF_PERMISSIVE", "SET GLOBAL gtid_mode = OFF")
	c.startPlane()
	f := c.awaitFinding(topology.WrongSettings, without)
	t.Log(f.Message)
	if !strings.Contains(f.Message, "gtid_mode") || f.Severity == topology.SeverityInfo {
		t.Errorf("the finding does not say how bad it is: %s %s", f.Severity, f.Message)
	}
	if _, err := c.control.reparent(orchestrator.Wish{Kind: reparent.KindPlanned, To: without, By: "the test"}); err == nil {
		t.Error("a server without GTIDs may be promoted")
	}
	c.kill(old)
	if v := c.awaitNewPrimary(old); v.Primary == without {
		t.Error("a server without GTIDs leads")
	}
	c.awaitAcks(client, 20)
	c.restart(old)
	c.awaitSettled(old)
	t.Log(c.nothingLost(client, append(c.quarantined(), without)...))
}
