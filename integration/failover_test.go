package integration

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/mysqld/workload"
)

func TestKilledPrimaryIsReplacedAndNothingIsLost(t *testing.T) {
	c := started(t, 3, 1)
	client := c.write(4)
	c.awaitAcks(client, 50)
	old := c.view().Primary
	killed := time.Now()
	if err := c.server(old).Kill(); err != nil {
		t.Fatal(err)
	}
	c.awaitNewPrimary(old)
	c.awaitAcks(client, 50)
	verdict := c.nothingLost(client)
	t.Logf("%s; gap %s", verdict, workload.LongestGap(client.Writes(), killed).Length())
	for _, s := range c.recoveries()[0].Stages {
		t.Logf("%-10s %8s %s", s.Name, s.Duration.Round(100*time.Microsecond), s.Detail)
	}
}
