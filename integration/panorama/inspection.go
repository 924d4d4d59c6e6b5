package panorama

import (
	"context"
	"strings"
	"time"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/topology"
)

var _ api.Inspector = (*Plane)(nil)

// Inspect implements api.Inspector: it shows servers of which much could be better.
func (p *Plane) Inspect(_ context.Context, a topology.Address) topology.Inspection {
	p.mu.Lock()
	defer p.mu.Unlock()
	name, _, _ := strings.Cut(string(a), "-db")
	i := topology.Inspection{Observation: topology.Observation{Address: a, Reach: topology.ReachUnknown}}
	t, ok := p.byName[name]
	if !ok {
		return i
	}
	for _, o := range t.observed(time.Now()) {
		if o.Address == a {
			i.Observation = o
		}
	}
	if !i.OK() {
		return i
	}
	off := "OFF"
	i.Variables = map[string]topology.Variable{
		"sync_relay_log": {Value: "10000", Origin: "COMPILED"}, "skip_replica_start": {Value: "ON", Origin: "GLOBAL", Persisted: &off},
		"binlog_row_metadata": {Value: "MINIMAL", Origin: "COMPILED"}, "persisted_globals_load": {Value: "ON", Origin: "COMPILED"},
	}
	i.Keyless = topology.Listed{Count: 2, Names: []string{"app." + t.said("log"), "app.old_orders"}}
	i.Powerful = topology.Listed{Count: 1, Names: []string{t.said("backup@%")}}
	i.Unread = []string{t.said("mysql.user: SELECT is denied")}
	return i
}

// LintLimits implements api.Inspector.
func (p *Plane) LintLimits(string) topology.LintLimits {
	return topology.LintLimits{SilentAfter: 2 * time.Second}
}
