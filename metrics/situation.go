package metrics

import (
	"cmp"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// situation collects how things stand at the moment of a scrape.
type situation struct {
	views *atomic.Pointer[func() []orchestrator.View]
}

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append([]string{"cluster"}, labels...), nil)
}

var (
	serversDesc    = gauge("primacy_servers", "Members of a cluster, by role.", "role")
	termDesc       = gauge("primacy_term", "Number of the established leadership; 0 when none is recorded.")
	stateDesc      = gauge("primacy_cluster_state", "1 for the state that a cluster is in.", "state")
	findingsDesc   = gauge("primacy_findings", "What is wrong with a cluster, by code.", "code")
	antiflapDesc   = gauge("primacy_antiflap_open", "1 while no automatic change of the primary is made because of the last one.")
	automationDesc = gauge("primacy_automation", "1 while the primary is changed automatically when it fails.")
	leaderDesc     = gauge("primacy_elector_leader", "1 on the elector that acts for the cluster.")
	lagDesc        = gauge("primacy_replication_lag_seconds", "Age of what a replica is applying; absent when unknown.", "server")
	errantDesc     = gauge("primacy_errant_transactions", "Transactions of a server that the primary's history does not contain.", "server")
)

// Describe implements prometheus.Collector.
func (s situation) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{serversDesc, termDesc, stateDesc, findingsDesc, antiflapDesc, automationDesc, leaderDesc, lagDesc, errantDesc} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (s situation) Collect(to chan<- prometheus.Metric) {
	views := s.views.Load()
	if views == nil {
		return
	}
	for _, v := range (*views)() {
		set := func(d *prometheus.Desc, value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{v.Name}, labels...)...)
		}
		set(termDesc, float64(v.Term))
		set(stateDesc, 1, string(v.State))
		set(antiflapDesc, truth(v.Window().Open))
		set(automationDesc, truth(v.Automation.On))
		set(leaderDesc, truth(v.Leading))
		for role, n := range roles(v) {
			set(serversDesc, float64(n), string(role))
		}
		for code, n := range codes(v) {
			set(findingsDesc, float64(n), string(code))
		}
		for _, o := range v.Snapshot.Servers {
			if o.OK() && o.Replication != nil && o.Replication.Lag >= 0 {
				set(lagDesc, o.Replication.Lag.Seconds(), string(o.Address))
			}
		}
		for server, n := range errants(v) {
			set(errantDesc, float64(n), string(server))
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// roles counts every role that there is, so that an alert on a role sees 0 and not nothing.
func roles(v orchestrator.View) map[topology.ServerRole]int {
	all := map[topology.ServerRole]int{
		topology.RolePrimary: 0, topology.RoleReplica: 0, topology.RoleQuarantined: 0, topology.RoleUnreachable: 0, topology.RoleUnknown: 0,
	}
	for _, m := range v.Ruleset.Members {
		all[cmp.Or(v.Roles[m.Address], topology.RoleUnknown)]++
	}
	return all
}

func codes(v orchestrator.View) map[topology.Code]int {
	all := map[topology.Code]int{}
	for _, f := range v.Findings {
		all[f.Code]++
	}
	return all
}

// errants counts the transactions behind findings; only the analysis says that there are any.
func errants(v orchestrator.View) map[topology.Address]uint64 {
	all := map[topology.Address]uint64{}
	primary := v.Snapshot.Server(v.Primary)
	if !primary.OK() {
		primary = v.History.LastSeen.Of(v.Primary)
	}
	for _, f := range v.Findings {
		if f.Code == topology.Errant {
			extra := v.Snapshot.Server(f.Server).Position().Subtract(primary.Position())
			all[f.Server] = extra.Only(func(s gtid.Source) bool { return s.UUID != primary.UUID }).Count()
		}
	}
	return all
}
