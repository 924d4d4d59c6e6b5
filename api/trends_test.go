package api

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// probed tells of a round of probes in which each server took as many milliseconds, and lagged as far, as is said.
func probed(c *Charts, at time.Time, lag time.Duration, servers ...topology.Address) {
	e := orchestrator.Event{Kind: orchestrator.EventProbed, Cluster: "shop", At: at}
	for _, a := range servers {
		e.Probes = append(e.Probes, topology.Observation{Address: a, Reach: topology.ReachOK, Latency: lag / 2, Replication: &topology.Replication{Lag: lag}})
	}
	c.Tap(e)
}

func TestTrendsTellTheWorstOfEachStepAndNothingWhereNothingWasSeen(t *testing.T) {
	p, c := shop(), NewCharts()
	begin := time.UnixMilli(1_800_000_000_000)
	probed(c, begin, 30*time.Millisecond, db1, db2)
	probed(c, begin.Add(time.Second), 50*time.Millisecond, db1, db2)
	probed(c, begin.Add(1900*time.Millisecond), 10*time.Millisecond, db1, db2)
	c.Tap(orchestrator.Event{Kind: orchestrator.EventProbed, Cluster: "shop", At: begin.Add(6 * time.Second), Probes: []topology.Observation{
		{Address: db1, Reach: topology.ReachSilent}, {Address: db2, Reach: topology.ReachOK, Latency: 1500 * time.Microsecond, Replication: &topology.Replication{Lag: -1}},
	}})
	told := c.trends(p.view)
	text, _ := json.Marshal(told.Servers)
	want := `[{"address":"db1:3306","lag_ms":[50,null,null,null],"probe_ms":[25,null,null,null]},{"address":"db2:3306","lag_ms":[50,null,null,null],"probe_ms":[25,null,null,1.5]}]`
	if string(text) != want || told.StepMS != 2000 || !told.Until.Equal(begin.Add(8*time.Second)) {
		t.Errorf("%s until %s, want\n%s", text, told.Until, want)
	}
}

func TestTrendsForgetWhatIsLongAgoAndWhoIsNoMember(t *testing.T) {
	p, c := shop(), NewCharts()
	begin := time.UnixMilli(1_800_000_000_000)
	for i := range 2 * trendSteps {
		probed(c, begin.Add(time.Duration(i)*trendStep), time.Duration(i)*time.Millisecond, db1, db2)
	}
	told := c.trends(p.view)
	if lags := told.Servers[0].LagMS; len(lags) != trendSteps || *lags[0] != trendSteps || *lags[trendSteps-1] != 2*trendSteps-1 {
		t.Errorf("%d steps from %d", len(lags), *lags[0])
	}
	later := begin.Add(4 * trendSteps * trendStep)
	probed(c, later, time.Millisecond, db1)
	told = c.trends(p.view)
	if len(told.Servers) != 1 || fmt.Sprint(*told.Servers[0].LagMS[trendSteps-1]) != "1" || told.Servers[0].LagMS[0] != nil {
		t.Errorf("%d servers after a long silence", len(told.Servers))
	}
	probed(c, begin, time.Millisecond, db1)
	if lags := c.trends(p.view).Servers[0].LagMS; len(lags) != 1 {
		t.Errorf("%d steps after the clock went back", len(lags))
	}
}

func BenchmarkTrendsOfFiveThousandServers(b *testing.B) {
	at := time.UnixMilli(1_800_000_000_000)
	for b.Loop() {
		c := NewCharts()
		for cluster := range 1000 {
			e := orchestrator.Event{Kind: orchestrator.EventProbed, Cluster: fmt.Sprint(cluster), At: at}
			for server := range 5 {
				e.Probes = append(e.Probes, topology.Observation{Address: topology.Address(fmt.Sprint(server)), Reach: topology.ReachOK})
			}
			c.Tap(e)
		}
	}
}
