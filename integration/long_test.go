package integration

import (
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// halfReceived tells of the transaction of which an applier has got the beginning and its receiver not yet the end.
const halfReceived = `SELECT processing_transaction FROM performance_schema.replication_applier_status_by_coordinator WHERE processing_transaction LIKE '%:%'
	AND NOT GTID_SUBSET(processing_transaction, (SELECT received_transaction_set FROM performance_schema.replication_connection_status WHERE channel_name = ''))`

// A primary that dies while it sends a transaction of many megabytes leaves half of it in the relay logs of all replicas. Their
// appliers wait a minute for the rest before they can be stopped; neither clients, nor hooks, nor the next change wait with them.
func TestAPrimaryThatDiesInTheMiddleOfALongTransactionIsReplaced(t *testing.T) {
	c := started(t, 4, 1)
	old := c.view().Primary
	c.byHand(old, "CREATE TABLE app.attempts (attempt INT AUTO_INCREMENT PRIMARY KEY)",
		"CREATE TABLE app.long_ones (id INT AUTO_INCREMENT PRIMARY KEY, attempt INT, text LONGTEXT)")
	client := c.write(2)
	c.awaitAcks(client, 50)
	told := c.longTransaction(old)
	c.eventually("half a transaction on all replicas", func() bool {
		if len(told) > 0 { // too late: another one
			if err := <-told; err != nil {
				t.Fatal(err)
			}
			told = c.longTransaction(old)
		}
		return !slices.ContainsFunc(c.members(old), func(a topology.Address) bool { return len(c.table(a, halfReceived)) == 0 })
	})
	killed := time.Now()
	c.kill(old)
	answered := <-told == nil
	second := c.awaitNewPrimary(old).Primary
	c.awaitAcks(client, 50)
	c.logChange(client, killed)
	c.acknowledge()
	op := c.reparented(orchestrator.Wish{Kind: reparent.KindPlanned, By: "ada", Reason: "it is not the one that we wanted"})
	if op.State != reparent.StateSucceeded {
		t.Fatalf("a planned change right after it: %s %+v\n%s", op.State, op.Obstacle, c.describe())
	}
	c.awaitAcks(client, 50)
	c.hooksDoNotWait()
	t.Log(c.nothingLost(client, old, second))
	halves := "SELECT COUNT(*) FROM app.long_ones WHERE attempt = (SELECT MAX(attempt) FROM app.attempts)"
	for _, a := range c.members(old, second) {
		if rows := c.table(a, halves)[0][0]; rows != "0" && rows != "64" || rows == "0" && answered {
			t.Errorf("%s has %s rows of a transaction of 64 (answered: %t)", a, rows, answered)
		}
	}
}

// hooksDoNotWait claims that of each change of the primary was told before the other replicas followed.
func (c *cluster) hooksDoNotWait() {
	c.t.Helper()
	told := map[string]int{}
	for _, e := range c.control.events() {
		switch {
		case e.Kind == orchestrator.EventPrimaryChanged:
			told[e.RecoveryID]++
		case e.Kind == orchestrator.EventRecoveryStage && e.Stage.Name == "reconcile" && told[e.RecoveryID] != 1:
			c.t.Errorf("%s: the new primary was told of %d times when the replicas were to follow", e.RecoveryID, told[e.RecoveryID])
		}
	}
	if len(told) != 2 {
		c.t.Errorf("%d changes of the primary were told of", len(told))
	}
}

// longTransaction commits many megabytes in one transaction on a server, and says on the channel what its client was told.
func (c *cluster) longTransaction(on topology.Address) <-chan error {
	c.t.Helper()
	s := c.connect(on)
	if _, err := s.ExecContext(c.t.Context(), "INSERT INTO app.attempts () VALUES ()"); err != nil {
		c.t.Fatal(err)
	}
	tx, err := s.BeginTx(c.t.Context(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for range 64 {
		if _, err := tx.ExecContext(c.t.Context(), "INSERT INTO app.long_ones (attempt, text) SELECT MAX(attempt), REPEAT('x', 1000000) FROM app.attempts"); err != nil {
			c.t.Fatal(err)
		}
	}
	told := make(chan error, 1)
	go func() { told <- tx.Commit() }()
	return told
}
